/* SPDX-License-Identifier: GPL-2.0-only */
#include "protocols.h"
#include "foreign.h"

#include <stdio.h>
#include <string.h>

#include <window.h>
#include <protocols.gen.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- tables ---------------------------------------------------------- */

#define FUNCTION(number, keyword, class_) { number, keyword, CLASS_##class_ },
#define PROTOCOL(id, name, ...)                                                \
	static const struct protocol_function name##_functions[] = {           \
		name##_FUNCTIONS(FUNCTION)                                     \
	};
#include <portcullis/protocols.def>
#undef PROTOCOL
#undef FUNCTION

static const struct protocol protocols[] = {
#define PROTOCOL(id_, name_, ports_, answers_, longest_, title_)               \
	{ .id = id_,                                                           \
	  .name = #name_,                                                      \
	  .ports = ports_,                                                     \
	  .title = title_,                                                     \
	  .answers = answers_,                                                 \
	  .longest = longest_,                                                 \
	  .functions = sizeof(name_##_functions) ? name_##_functions : NULL,   \
	  .n_functions = ARRAY_SIZE(name_##_functions) },
#include <portcullis/protocols.def>
#undef PROTOCOL
};

typedef void (*stepper)(struct step *s, struct state *st);

static const stepper steppers[] = {
#define PROTOCOL(id, name, ...) name##_step,
#include <portcullis/protocols.def>
#undef PROTOCOL
};

/* Place in the two arrays above. */
enum row {
#define PROTOCOL(id, name, ...) ROW_##name,
#include <portcullis/protocols.def>
#undef PROTOCOL
	ROW_max,
};
_Static_assert((int)ROW_max < (int)PROTO_max, "protocols.def: too many rows");

static const uint8_t row_of[PROTO_max] = {
#define PROTOCOL(id, name, ...) [id] = ROW_##name + 1,
#include <portcullis/protocols.def>
#undef PROTOCOL
};

static const struct quirk quirks[QUIRK_max] = {
#define QUIRK(id, name_, keyword, protocols_, title_)                          \
	[id] = { keyword, protocols_, title_ },
#include <portcullis/quirks.def>
#undef QUIRK
};

struct reason {
	const char *name;
	const char *sentence;
	enum portcullis_kind kind;
};

static const struct reason reasons[REASON_max] = {
#define REASON(id, name, kind, sentence)                                       \
	[id] = { #name, sentence, KIND_##kind },
#include <portcullis/reasons.def>
#undef REASON
};

enum { DEFAULT_pass = 0, DEFAULT_drop = 1 };

struct layer2 {
	const char *name;
	const char *title;
	bool drop;
};

static const struct layer2 layer2s[LAYER2_max] = {
#define LAYER2(id, name, default_, ethertype, title)                           \
	[id] = { #name, title, DEFAULT_##default_ },
#include <portcullis/layer2.def>
#undef LAYER2
};

static const char *const kinds[] = {
	[KIND_none] = "none",
	[KIND_passed] = "passed",
	[KIND_malformed] = "malformed",
	[KIND_denied] = "denied",
	[KIND_implausible] = "implausible",
	[KIND_postponed] = "postponed",
	[KIND_forbidden] = "forbidden",
};

static const char *const classes[] = {
	[CLASS_none] = "none",	     [CLASS_read] = "read",
	[CLASS_write] = "write",     [CLASS_operate] = "operate",
	[CLASS_program] = "program", [CLASS_admin] = "admin",
	[CLASS_other] = "other",
};

static const char *const verdicts[] = {
	[VERDICT_drop] = "drop",     [VERDICT_pass] = "pass",
	[VERDICT_reset] = "reset",   [VERDICT_mirror] = "mirror",
	[VERDICT_divert] = "divert",
};

static const char *const modes[] = {
	[MODE_enforce] = "enforce",
	[MODE_monitor] = "monitor",
	[MODE_mirror] = "mirror",
};

/* ---- names ----------------------------------------------------------- */

const struct protocol *protocol_get(unsigned int id)
{
	if (id >= PROTO_max || row_of[id] == 0)
		return NULL;
	return &protocols[row_of[id] - 1];
}

const struct protocol *protocol_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	return NULL;
}

const struct protocol *protocol_list(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(protocols);
	return protocols;
}

const char *protocol_name(unsigned int id)
{
	const struct protocol *p = protocol_get(id);

	return p ? p->name : foreign_name(id) ?: "unknown";
}

const char *protocol_function_name(unsigned int id, unsigned int number)
{
	const struct protocol *p = protocol_get(id);

	for (size_t i = 0; p && i < p->n_functions; i++)
		if (p->functions[i].number == number)
			return p->functions[i].name;
	return NULL;
}

bool protocol_is_tunnel(unsigned int id, unsigned int number)
{
	return id == PROTO_http &&
	       (number == HTTP_CONNECT || number == HTTP_TO_WEBSOCKET ||
		number == HTTP_TO_H2C);
}

const struct quirk *quirk_get(unsigned int id)
{
	return id < QUIRK_max && quirks[id].name ? &quirks[id] : NULL;
}

int quirk_find(const char *name)
{
	for (int i = 0; i < QUIRK_max; i++)
		if (quirks[i].name && strcmp(quirks[i].name, name) == 0)
			return i;
	return -1;
}

bool quirk_is_of(unsigned int id, const struct protocol *protocol)
{
	const struct quirk *q = quirk_get(id);
	size_t len = strlen(protocol->name);
	const char *at = q ? strstr(q->protocols, protocol->name) : NULL;

	for (; at; at = strstr(at + len, protocol->name))
		if (at[-1] == ' ' && at[len] == ' ')
			return true;
	return false;
}

const char *reason_name(unsigned int id)
{
	return id < REASON_max ? reasons[id].name : NULL;
}

const char *reason_sentence(unsigned int id)
{
	return id < REASON_max ? reasons[id].sentence : NULL;
}

enum portcullis_kind reason_kind(unsigned int id)
{
	return id < REASON_max ? reasons[id].kind : KIND_none;
}

int reason_find(const char *name)
{
	for (int i = 0; i < REASON_max; i++)
		if (reasons[i].name && strcmp(reasons[i].name, name) == 0)
			return i;
	return -1;
}

const char *kind_name(unsigned int kind)
{
	return kind < ARRAY_SIZE(kinds) ? kinds[kind] : "unknown";
}

const char *class_name(unsigned int class)
{
	return class < ARRAY_SIZE(classes) ? classes[class] : "unknown";
}

/* "none" is the absence of a class, not one to ask for. */
int class_find(const char *name)
{
	for (size_t i = CLASS_none + 1; i < ARRAY_SIZE(classes); i++)
		if (strcmp(classes[i], name) == 0)
			return (int)i;
	return -1;
}

const char *verdict_name(unsigned int verdict)
{
	return verdict < ARRAY_SIZE(verdicts) ? verdicts[verdict] : "unknown";
}

const char *mode_name(unsigned int mode)
{
	return mode < ARRAY_SIZE(modes) ? modes[mode] : "unknown";
}

const char *layer2_name(unsigned int id)
{
	return id < LAYER2_max ? layer2s[id].name : NULL;
}

const char *layer2_title(unsigned int id)
{
	return id < LAYER2_max ? layer2s[id].title : NULL;
}

bool layer2_default_drop(unsigned int id)
{
	return id < LAYER2_max && layer2s[id].drop;
}

static bool same_word(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : *a;
		char y = *b == '-' ? '_' : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

int layer2_find(const char *name)
{
	for (int i = 0; i < LAYER2_max; i++)
		if (layer2s[i].name && same_word(layer2s[i].name, name))
			return i;
	return -1;
}

/* What was made to command or read machines, by name; where it lives by
 * standard, unless protocols.def says it. PROFINET's context manager is left
 * out: it answers from any port. */
static const struct {
	const char *name;
	const char *ports;
} industrial[] = {
	{ "modbus", NULL },
	{ "dnp3", NULL },
	{ "s7comm", NULL },
	{ "s7comm_plus", NULL },
	{ "mms", NULL },
	{ "enip", NULL },
	{ "cipio", NULL },
	{ "tristation", NULL },
	{ "opcua", "tcp 4840" },
	{ "iec104", "tcp 2404" },
	{ "ads", "tcp 48898, udp 48899" },
	{ "c37118", "tcp 4712, udp 4713" },
	{ "fins", "tcp 9600, udp 9600" },
	{ "codesys", "tcp 1217, tcp 11740, tcp 11741, tcp 11742, tcp 11743, "
		     "udp 1740, udp 1741, udp 1742, udp 1743" },
	{ "bacnet", "udp 47808" },
	{ "knxnetip", "udp 3671, tcp 3671" },
	{ "fox", "tcp 1911" },
	{ "slmp", "tcp 5007, udp 5006" },
	{ "dlms", "tcp 4059, udp 4059" },
	{ "rocplus", "tcp 4000, udp 4000" },
	{ "hartip", "tcp 5094, udp 5094" },
};

static size_t industrial_row(unsigned int id)
{
	const char *name = protocol_name(id);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(industrial); i++)
		if (!strcmp(industrial[i].name, name))
			break;
	return i;
}

bool protocol_is_industrial(unsigned int id)
{
	return industrial_row(id) < ARRAY_SIZE(industrial);
}

static const char *ports_of(unsigned int id)
{
	const struct protocol *p = protocol_get(id);
	size_t row = industrial_row(id);

	if (p)
		return p->ports;
	if (row < ARRAY_SIZE(industrial) && industrial[row].ports)
		return industrial[row].ports;
	return "";
}

bool protocol_lives_at(unsigned int id, unsigned int l4, unsigned int port)
{
	const char *transport = l4 == TRANSPORT_udp ? "udp" : "tcp";
	const char *at = ports_of(id);
	unsigned int number;
	char word[4];

	while (sscanf(at, " %3[a-z] %u", word, &number) == 2) {
		if (!strcmp(word, transport) && number == port)
			return true;
		at += strcspn(at, ",");
		at += *at == ',';
	}
	return false;
}

/* ---- what is this? --------------------------------------------------- */

/* The fewest legal bytes that say anything when no message has ended. */
#define EVIDENCE_LEAST 8

struct evidence {
	bool complete; /* a whole message */
	bool spoke;    /* a function was read, or an answer */
	size_t judged; /* bytes that were looked at and found legal */
};

static bool speaks_over(const struct protocol *p, unsigned int l4)
{
	return strstr(p->ports, l4 == TRANSPORT_udp ? "udp" : "tcp") != NULL;
}

static void look(struct step *s, const uint8_t *bytes, size_t len,
		 unsigned int l4, bool from_server)
{
	memset(s, 0, sizeof(*s));
	s->have = len < WINDOW_BYTES ? len : WINDOW_BYTES;
	memcpy(s->bytes, bytes, s->have);
	s->left = l4 == TRANSPORT_udp ? (uint32_t)len : LEFT_stream;
	s->l4 = l4;
	s->from_server = from_server;
	s->function = FUNCTION_none;
}

/* False: this can not be the protocol. */
static bool collect(stepper step, const uint8_t *bytes, size_t len,
		    unsigned int l4, bool from_server, struct evidence *ret)
{
	struct state st = { 0 };
	struct evidence e = { 0 };
	struct step s;
	size_t at = 0;

	while (at < len) {
		look(&s, bytes + at, len - at, l4, from_server);
		step(&s, &st);
		e.spoke |= s.function != FUNCTION_none;
		/* One side alone: that its answers match no request is no
		 * evidence against it. */
		if (s.answer == STEP_bad && s.reason != REASON_unsolicited)
			return false;
		e.spoke |= s.answer == STEP_bad && s.have >= EVIDENCE_LEAST;
		if (s.answer != STEP_take) {
			e.judged += s.have;
			break;
		}
		if (s.n == 0 || s.n > s.have)
			return false;
		e.judged += s.n;
		if (s.skip > len - at - s.n)
			break;
		at += s.n + s.skip;
		e.complete |= s.ends;
	}
	if (l4 == TRANSPORT_udp && !e.complete && !e.spoke)
		return false;
	*ret = e;
	return true;
}

static bool is_enough(const struct protocol *p, const struct evidence *e)
{
	/* any text may be Telnet, whole or not */
	if (p->id == PROTO_telnet)
		return e->spoke;
	if (e->complete || e->spoke)
		return true;
	return !p->functions && e->judged >= EVIDENCE_LEAST;
}

/* Of two that take the same bytes it is the one with less to say: every
 * question for a NetBIOS name is one that DNS may ask too. */
static bool is_stronger(const struct evidence *a, const struct protocol *of_a,
			const struct evidence *b, const struct protocol *of_b)
{
	if (a->complete != b->complete)
		return a->complete;
	if (a->judged != b->judged || !of_b)
		return a->judged > b->judged;
	return of_a->longest && of_a->longest < of_b->longest;
}

unsigned int identify(const uint8_t *bytes, size_t len, unsigned int l4,
		      bool from_server)
{
	struct evidence best = { 0 };
	unsigned int id = PROTO_unknown;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		struct evidence e;

		if (!speaks_over(&protocols[i], l4) ||
		    !collect(steppers[i], bytes, len, l4, from_server, &e) ||
		    !is_enough(&protocols[i], &e))
			continue;
		if (id == PROTO_unknown ||
		    is_stronger(&e, &protocols[i], &best, protocol_get(id))) {
			best = e;
			id = protocols[i].id;
		}
	}
	return id ?: foreign_identify(bytes, len, l4, from_server);
}
