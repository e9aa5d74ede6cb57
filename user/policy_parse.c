/* SPDX-License-Identifier: GPL-2.0-only */
/* Tokens to tree: the statements of site, service and zone, and what all
 * statements are read with. Conduits: policy_conduit.c.
 */
#include <arpa/inet.h>
#include <string.h>

#include "policy_tree.h"

/* ---- tokens ---------------------------------------------------------- */

bool at_word(const struct lexer *lex, const char *word)
{
	return lex->token.kind == TOKEN_word && !strcmp(lex->token.text, word);
}

bool accept_word(struct lexer *lex, const char *word)
{
	if (!at_word(lex, word))
		return false;
	lexer_next(lex);
	return true;
}

bool accept_token(struct lexer *lex, enum token_kind kind)
{
	if (lex->token.kind != kind)
		return false;
	lexer_next(lex);
	return true;
}

/* Right behind what was taken last, rather than behind a comment. */
static struct spot spot_of_end(const struct lexer *lex)
{
	struct spot spot = lex->before;

	if (!spot.line || spot.line != lex->token.spot.line)
		return lex->token.spot;
	spot.offset += spot.len;
	spot.len = 1;
	return spot;
}

bool unexpected(struct lexer *lex, const char *expected)
{
	const struct token *token = &lex->token;
	struct spot spot = token->spot;
	static const char *const found[] = {
		[TOKEN_end] = "nothing follows",
		[TOKEN_line] = "the line ends",
		[TOKEN_open] = "found '{'",
		[TOKEN_close] = "found '}'",
		[TOKEN_comma] = "found ','",
		[TOKEN_string] = "found a string",
	};

	if (token->kind == TOKEN_bad)
		return false;
	if (token->kind == TOKEN_word) {
		policy_error(lex->policy, &spot, "expected %s, found '%s'",
			     expected, token->text);
		return false;
	}
	if (token->kind == TOKEN_line || token->kind == TOKEN_end)
		spot = spot_of_end(lex);
	policy_error(lex->policy, &spot, "expected %s, but %s", expected,
		     found[token->kind]);
	return false;
}

bool expect_word(struct lexer *lex, const char *what, struct word *ret_word)
{
	if (lex->token.kind != TOKEN_word)
		return unexpected(lex, what);
	*ret_word =
	    (struct word){ .spot = lex->token.spot, .text = lex->token.text };
	lexer_next(lex);
	return true;
}

static bool is_name(const char *text)
{
	if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')))
		return false;
	return !strpbrk(text, "/:@+%");
}

bool expect_name(struct lexer *lex, const char *what, struct word *ret_word)
{
	struct word word;

	if (lex->token.kind == TOKEN_string) {
		unexpected(lex, what);
		policy_note(
		    lex->policy,
		    "the name comes first, without quotes; a \"title\" may follow it");
		return false;
	}
	if (!expect_word(lex, what, &word))
		return false;
	if (!is_name(word.text)) {
		policy_error(lex->policy, &word.spot, "'%s' cannot be a name",
			     word.text);
		policy_note(
		    lex->policy,
		    "a name is a letter and then letters, digits, '-', '_' or '.'");
		return false;
	}
	if (word.spot.len > POLICY_NAME_MAX) {
		policy_error(lex->policy, &word.spot,
			     "a name of %u letters; the longest may have %d",
			     word.spot.len, POLICY_NAME_MAX);
		return false;
	}
	*ret_word = word;
	return true;
}

int expect_choice(struct lexer *lex, const char *what, const char *const *words,
		  struct spot *ret_spot)
{
	struct word word;

	if (!expect_word(lex, what, &word)) {
		if (lex->token.kind != TOKEN_bad)
			policy_note_words(lex->policy, "", words);
		return -1;
	}
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], word.text))
			continue;
		*ret_spot = word.spot;
		return i;
	}
	policy_error(lex->policy, &word.spot, "'%s' is not %s", word.text,
		     what);
	policy_note_words(lex->policy, word.text, words);
	return -1;
}

bool parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (number > (max - (*text - '0')) / 10)
			return false;
		number = number * 10 + (*text - '0');
	}
	if (number > max)
		return false;
	*ret_number = number;
	return true;
}

bool expect_number(struct lexer *lex, const char *what, uint64_t max,
		   uint64_t *ret_number)
{
	struct word word;

	if (!expect_word(lex, what, &word))
		return false;
	if (parse_number(word.text, max, ret_number))
		return true;
	policy_error(lex->policy, &word.spot, "'%s' is not %s", word.text,
		     what);
	policy_note(lex->policy, "expected a whole number up to %llu",
		    (unsigned long long)max);
	return false;
}

bool once(struct lexer *lex, const char *what, struct spot *set,
	  const struct spot *now)
{
	if (!set->line) {
		*set = *now;
		return true;
	}
	policy_error(lex->policy, now, "'%s' stands twice", what);
	policy_note(lex->policy, "first at %s",
		    policy_where(lex->policy, now, set));
	return false;
}

void word_append(struct policy *p, struct word_list *list,
		 const struct word *word)
{
	struct word *copy = arena_alloc(p, sizeof(*copy));

	*copy = *word;
	copy->next = NULL;
	if (list->last)
		list->last->next = copy;
	else
		list->first = copy;
	list->last = copy;
}

static const char *optional_title(struct lexer *lex)
{
	const char *title = "";

	if (lex->token.kind == TOKEN_string) {
		title = lex->token.text;
		lexer_next(lex);
	}
	return title;
}

/* ---- statements and blocks ------------------------------------------- */

static void skip_statement(struct lexer *lex)
{
	unsigned int depth = 0;

	lex->quiet = true;
	for (;; lexer_next(lex)) {
		enum token_kind kind = lex->token.kind;

		if (kind == TOKEN_end)
			break;
		if (!depth && (kind == TOKEN_line || kind == TOKEN_close))
			break;
		if (kind == TOKEN_open)
			depth++;
		if (kind == TOKEN_close)
			depth--;
	}
	lex->quiet = false;
}

void skip_head(struct lexer *lex)
{
	lex->quiet = true;
	while (lex->token.kind != TOKEN_open && lex->token.kind != TOKEN_line &&
	       lex->token.kind != TOKEN_close && lex->token.kind != TOKEN_end)
		lexer_next(lex);
	lex->quiet = false;
	while (lex->token.kind == TOKEN_line)
		lexer_next(lex);
	lex->resumed = lex->token.kind != TOKEN_open;
}

static bool end_statement(struct lexer *lex)
{
	enum token_kind kind = lex->token.kind;

	if (kind == TOKEN_line || kind == TOKEN_close || kind == TOKEN_end)
		return true;
	if (kind == TOKEN_open) {
		policy_error(lex->policy, &lex->token.spot,
			     "this statement has no block");
		policy_note(
		    lex->policy,
		    "site, zone and conduit have one, and blocks do not nest");
		return false;
	}
	return unexpected(lex, "the end of the statement");
}

static const struct statement *find_statement(const struct statement *all,
					      const char *word)
{
	for (; all->word; all++)
		if (!strcmp(all->word, word))
			return all;
	return NULL;
}

static void unknown_statement(struct lexer *lex,
			      const struct statement *statements,
			      const char *what, const struct word *word)
{
	const char *words[32];
	size_t n = 0;

	for (; statements->word; statements++)
		if (statements->parse && n < 31)
			words[n++] = statements->word;
	words[n] = NULL;
	policy_error(lex->policy, &word->spot, "'%s' is not a statement %s",
		     word->text, what);
	policy_note_words(lex->policy, word->text, words);
}

static bool parse_statement(struct lexer *lex,
			    const struct statement *statements,
			    const char *what, void *node)
{
	const struct statement *statement;
	struct word word;
	bool fine = false;

	if (!expect_word(lex, "a statement", &word)) {
		/* What no statement can begin with must not stay. */
		if (lex->token.kind != TOKEN_line &&
		    lex->token.kind != TOKEN_open)
			lexer_next(lex);
		skip_statement(lex);
		return false;
	}
	statement = find_statement(statements, word.text);
	if (!statement) {
		unknown_statement(lex, statements, what, &word);
	} else if (!statement->parse) {
		policy_error(lex->policy, &word.spot,
			     "'%s' is not supported yet", word.text);
		policy_note(lex->policy, "%s", statement->later);
	} else {
		fine = statement->parse(lex, &word, node);
		if (lex->resumed) {
			lex->resumed = false;
			return false;
		}
		if (fine)
			fine = end_statement(lex);
	}
	if (!fine)
		skip_statement(lex);
	return fine;
}

enum { TOP_STATEMENTS = 8 };
static const struct statement top_statements[TOP_STATEMENTS];

bool parse_block(struct lexer *lex, const struct statement *statements,
		 const char *what, const struct spot *opened, void *node)
{
	struct policy *p = lex->policy;
	bool fine = true;

	if (!accept_token(lex, TOKEN_open)) {
		fine = unexpected(lex, "'{' on this line");
		skip_head(lex);
		if (!accept_token(lex, TOKEN_open))
			return false;
	}
	for (;;) {
		const struct token *token = &lex->token;

		while (accept_token(lex, TOKEN_line))
			;
		if (accept_token(lex, TOKEN_close))
			return fine;
		if (token->kind == TOKEN_end) {
			policy_error(p, opened,
				     "this block has no closing '}'");
			return false;
		}
		if (token->kind == TOKEN_word &&
		    !find_statement(statements, token->text) &&
		    find_statement(top_statements, token->text)) {
			policy_error(p, &token->spot,
				     "'%s' cannot stand inside a block",
				     token->text);
			policy_note(
			    p, "the block opened at line %u has no closing '}'",
			    opened->line);
			lex->resumed = true;
			return false;
		}
		if (!parse_statement(lex, statements, what, node))
			fine = false;
	}
}

/* ---- site ------------------------------------------------------------ */

static const char *const mode_words[] = { [MODE_enforce] = "enforce",
					  [MODE_monitor] = "monitor",
					  [MODE_mirror] = "mirror",
					  NULL };

static bool site_mode(struct lexer *lex, const struct word *word, void *node)
{
	struct site_tree *site = node;
	struct spot spot;
	int mode = expect_choice(lex, "a mode", mode_words, &spot);

	if (mode < 0 || !once(lex, "mode", &site->mode_at, &word->spot))
		return false;
	site->mode = mode;
	return true;
}

static bool site_default(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { "deny", "monitor", NULL };
	struct site_tree *site = node;
	struct spot spot;
	int choice = expect_choice(lex, "a default", words, &spot);

	if (choice < 0 || !once(lex, "default", &site->default_at, &word->spot))
		return false;
	site->default_mode = choice ? MODE_monitor : MODE_enforce;
	return true;
}

/* What Linux takes as the name of an interface. */
static bool expect_interface(struct lexer *lex, struct word *ret_word)
{
	struct word word;

	if (!expect_word(lex, "an interface", &word))
		return false;
	if (word.spot.len > 15 || strpbrk(word.text, "/:") ||
	    !strcmp(word.text, ".") || !strcmp(word.text, "..")) {
		policy_error(lex->policy, &word.spot,
			     "'%s' cannot be the name of an interface",
			     word.text);
		policy_note(
		    lex->policy,
		    "interfaces have up to 15 letters, without '/' and ':'");
		return false;
	}
	*ret_word = word;
	return true;
}

static bool expect_interfaces(struct lexer *lex, struct word_list *list)
{
	struct spot first;
	struct word word;
	int n = 0;

	do {
		if (!expect_interface(lex, &word))
			return false;
		if (++n == PORTS_MAX) {
			policy_error(lex->policy, &word.spot,
				     "more than %d interfaces", PORTS_MAX - 1);
			return false;
		}
		for (const struct word *w = list->first; w; w = w->next)
			if (!strcmp(w->text, word.text)) {
				first = w->spot;
				return once(lex, word.text, &first, &word.spot);
			}
		word_append(lex->policy, list, &word);
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool site_monitor(struct lexer *lex, const struct word *word, void *node)
{
	struct site_tree *site = node;
	struct word name;

	if (!expect_interface(lex, &name) ||
	    !once(lex, "monitor-port", &site->monitor_at, &word->spot))
		return false;
	site->monitor_at = name.spot;
	site->monitor_port = name.text;
	return true;
}

/* 128MB, 512kB, 2GB or bytes; 1 kB is 1024 bytes. */
static bool parse_size(const char *text, uint64_t *ret_size)
{
	static const struct {
		const char *unit;
		unsigned int shift;
	} units[] = { { "kB", 10 },
		      { "KB", 10 },
		      { "MB", 20 },
		      { "GB", 30 },
		      { "", 0 } };
	size_t digits = strspn(text, "0123456789");
	char number[16];

	if (!digits || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].unit))
			continue;
		if (!parse_number(number, (1ULL << 40) >> units[i].shift,
				  ret_size))
			return false;
		*ret_size <<= units[i].shift;
		return true;
	}
	return false;
}

static bool site_evidence(struct lexer *lex, const struct word *word,
			  void *node)
{
	struct site_tree *site = node;
	struct word size;

	if (!expect_word(lex, "a size", &size))
		return false;
	if (!parse_size(size.text, &site->evidence)) {
		policy_error(lex->policy, &size.spot, "'%s' is not a size",
			     size.text);
		policy_note(
		    lex->policy,
		    "expected bytes, or a number and kB, MB or GB without a space: 128MB; at most 1024GB");
		return false;
	}
	return once(lex, "evidence", &site->evidence_at, &word->spot);
}

static bool site_forward(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { "wire", "kernel", NULL };
	struct site_tree *site = node;
	struct wire_tree *wire;
	struct word a, b;
	struct spot spot;
	int choice = expect_choice(lex, "a way of forwarding", words, &spot);

	if (choice < 0)
		return false;
	if (choice == 1) {
		if (!once(lex, "forward kernel", &site->kernel_at, &word->spot))
			return false;
		return lex->token.kind != TOKEN_word ||
		       expect_interfaces(lex, &site->kernel_ports);
	}
	if (!expect_interface(lex, &a) || !expect_interface(lex, &b))
		return false;
	wire = arena_alloc(lex->policy, sizeof(*wire));
	wire->a = a;
	wire->b = b;
	*site->wires_end = wire;
	site->wires_end = &wire->next;
	return true;
}

static bool site_fail(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { "closed", "open", NULL };
	struct site_tree *site = node;
	struct spot spot;
	int choice = expect_choice(lex, "a way to fail", words, &spot);

	if (choice < 0 || !once(lex, "fail", &site->fail_at, &word->spot))
		return false;
	site->fail_open = choice == 1;
	return true;
}

static bool one_layer2(struct lexer *lex, struct site_tree *site, bool drop)
{
	const char *words[LAYER2_max + 1];
	struct word word;
	size_t n = 0;
	int id;

	if (!expect_word(lex, "a kind of frame", &word))
		return false;
	id = layer2_find(word.text);
	if (id <= 0 || id >= LAYER2_max) {
		for (int i = 1; i < LAYER2_max; i++)
			if (layer2_name(i))
				words[n++] = layer2_name(i);
		words[n] = NULL;
		policy_error(lex->policy, &word.spot,
			     "'%s' is not a kind of layer-2 frame", word.text);
		policy_note_words(lex->policy, word.text, words);
		return false;
	}
	if (!once(lex, word.text, &site->layer2_at[id], &word.spot))
		return false;
	site->layer2_drop &= ~(1ULL << id);
	site->layer2_drop |= (uint64_t)drop << id;
	return true;
}

static bool site_layer2(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { "pass", "drop", NULL };
	struct site_tree *site = node;
	struct spot spot;
	int choice =
	    expect_choice(lex, "what to do with a frame", words, &spot);

	(void)word;
	if (choice < 0)
		return false;
	do {
		if (!one_layer2(lex, site, choice == 1))
			return false;
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool site_limit(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { "host", "zone", NULL };
	struct site_tree *site = node;
	struct spot spot;
	uint64_t number;
	int choice = expect_choice(lex, "what can be limited", words, &spot);

	if (choice < 0 || !expect_number(lex, "a number of conversations",
					 UINT32_MAX, &number))
		return false;
	accept_word(lex, "conversations");
	if (!number) {
		policy_error(lex->policy, &word->spot,
			     "a limit of 0 would let nobody talk");
		policy_note(
		    lex->policy,
		    "leave the statement out where there is to be no limit");
		return false;
	}
	site->limit[choice] = number;
	return once(lex, choice ? "limit zone" : "limit host",
		    &site->limit_at[choice], &word->spot);
}

static const struct statement site_statements[] = {
	{ "mode", site_mode, NULL },
	{ "default", site_default, NULL },
	{ "monitor-port", site_monitor, NULL },
	{ "evidence", site_evidence, NULL },
	{ "forward", site_forward, NULL },
	{ "fail", site_fail, NULL },
	{ "layer2", site_layer2, NULL },
	{ "limit", site_limit, NULL },
	{ "verify", NULL, "checksums are left to the receiver; leave it out" },
	{ "follow-link", NULL, "wires always follow the link; leave it out" },
	{ NULL, NULL, NULL },
};

static bool parse_site(struct lexer *lex, const struct word *word, void *node)
{
	struct site_tree *site = &lex->policy->site;
	struct spot set = site->name.spot;
	bool fine = once(lex, "site", &set, &word->spot);
	const char *title = optional_title(lex);

	(void)node;
	if (fine) {
		site->name = *word;
		site->title = title;
	}
	if (!parse_block(lex, site_statements, "of a site", &word->spot, site))
		site->broken = true;
	return fine;
}

/* ---- service --------------------------------------------------------- */

static bool at_transport(const struct lexer *lex)
{
	return at_word(lex, "tcp") || at_word(lex, "udp");
}

/* 502 or 4000-4010 */
static bool parse_ports(struct lexer *lex, const struct word *word,
			uint16_t *ret_first, uint16_t *ret_last)
{
	const char *dash = strchr(word->text, '-');
	uint64_t first, last;
	const char *head = word->text;

	if (*head < '0' || *head > '9') {
		policy_error(lex->policy, &word->spot,
			     "expected a port, found '%s'", head);
		return false;
	}
	if (dash)
		head = arena_copy(lex->policy, head, dash - head);
	if (!parse_number(head, 65535, &first) || !first ||
	    (dash && !parse_number(dash + 1, 65535, &last))) {
		policy_error(lex->policy, &word->spot, "'%s' is not a port",
			     word->text);
		policy_note(
		    lex->policy,
		    "expected a number from 1 to 65535, or a range such as 4000-4010");
		return false;
	}
	if (!dash)
		last = first;
	if (last < first) {
		policy_error(lex->policy, &word->spot,
			     "this range of ports ends before it begins");
		policy_note(lex->policy, "did you mean '%u-%u'?",
			    (unsigned int)last, (unsigned int)first);
		return false;
	}
	*ret_first = first;
	*ret_last = last;
	return true;
}

static bool add_ports(struct lexer *lex, struct service_tree *service,
		      const struct word *word, const uint8_t *l4, size_t n_l4)
{
	struct port_range *range;
	uint16_t first, last;

	if (!parse_ports(lex, word, &first, &last))
		return false;
	for (size_t i = 0; i < n_l4; i++) {
		range = arena_alloc(lex->policy, sizeof(*range));
		*range = (struct port_range){ .spot = word->spot,
					      .l4 = l4[i],
					      .first = first,
					      .last = last };
		*service->ports_end = range;
		service->ports_end = &range->next;
	}
	return true;
}

/* tcp 502, 503 | tcp 502, udp 502 | udp, tcp 53 | tcp 4000-4010 */
static bool service_ports(struct lexer *lex, struct service_tree *service)
{
	uint8_t l4[2];
	size_t n_l4 = 0;
	bool used = true; /* a port followed the transports read so far */
	struct word word;

	do {
		if (at_transport(lex)) {
			if (used)
				n_l4 = 0;
			used = false;
			if (n_l4 == 2)
				return unexpected(lex, "a port");
			l4[n_l4++] =
			    at_word(lex, "tcp") ? TRANSPORT_tcp : TRANSPORT_udp;
			lexer_next(lex);
			if (lex->token.kind == TOKEN_comma)
				continue;
		}
		if (!n_l4)
			return unexpected(lex, "'tcp' or 'udp'");
		if (!expect_word(lex, "a port", &word) ||
		    !add_ports(lex, service, &word, l4, n_l4))
			return false;
		used = true;
	} while (accept_token(lex, TOKEN_comma));
	return used || unexpected(lex, "a port");
}

static bool service_expect(struct lexer *lex, struct service_tree *service)
{
	struct word word;

	if (!accept_word(lex, "expect")) {
		unexpected(lex, "'expect' and a protocol");
		policy_note(
		    lex->policy,
		    "a service says which protocols its ports are for: expect modbus");
		return false;
	}
	do {
		if (!expect_word(lex, "a protocol", &word))
			return false;
		word_append(lex->policy, &service->expects, &word);
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static void unknown_quirk(struct policy *p, const struct word *word)
{
	const char *words[QUIRK_max + 1];
	size_t n = 0;

	for (unsigned int i = 0; i < QUIRK_max; i++)
		if (quirk_get(i))
			words[n++] = quirk_get(i)->name;
	words[n] = NULL;
	policy_error(p, &word->spot, "no quirk named '%s'", word->text);
	policy_note_words(p, word->text, words);
}

/* Does one of the service's protocols have it? That none exists is said when
 * the names are resolved. */
static bool service_has(struct policy *p, const struct service_tree *service,
			const struct word *word, unsigned int quirk)
{
	const char *protocols = quirk_get(quirk)->protocols;
	const struct protocol *proto;

	for (const struct word *w = service->expects.first; w; w = w->next) {
		proto = protocol_find(w->text);
		if (!proto || quirk_is_of(quirk, proto))
			return true;
	}
	policy_error(p, &word->spot,
		     "'%s' is no quirk of what is expected here", word->text);
	policy_note(p, "it is for%.*s", (int)strlen(protocols) - 1, protocols);
	return false;
}

/* quirk exception-length, tpdu-number; of an asset: service is NULL */
static bool parse_quirks(struct lexer *lex, const struct service_tree *service,
			 uint16_t *ret_quirks)
{
	struct word word;
	int quirk;

	do {
		if (!expect_word(lex, "a quirk", &word))
			return false;
		quirk = quirk_find(word.text);
		if (quirk < 0) {
			unknown_quirk(lex->policy, &word);
			return false;
		}
		if (service && !service_has(lex->policy, service, &word, quirk))
			return false;
		if (*ret_quirks >> quirk & 1) {
			policy_error(lex->policy, &word.spot,
				     "'%s' stands twice", word.text);
			return false;
		}
		*ret_quirks |= 1U << quirk;
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool service_option(struct lexer *lex, struct service_tree *service)
{
	static const char *const later[] = { "track", NULL };
	const struct token *token = &lex->token;

	if (accept_word(lex, "quirk") &&
	    !parse_quirks(lex, service, &service->quirks))
		return false;
	if (token->kind != TOKEN_word)
		return true;
	for (int i = 0; later[i]; i++) {
		if (strcmp(token->text, later[i]))
			continue;
		policy_error(lex->policy, &token->spot,
			     "'%s' is not supported yet", token->text);
		policy_note(
		    lex->policy,
		    "leave it out: name the ports with a range instead");
		return false;
	}
	policy_error(lex->policy, &token->spot,
		     "'%s' is not an option of a service", token->text);
	policy_note(lex->policy, "protocols are separated by ','");
	return false;
}

static bool parse_service(struct lexer *lex, const struct word *word,
			  void *node)
{
	struct policy *p = lex->policy;
	struct service_tree *service;
	struct word name;

	(void)word;
	(void)node;
	if (!expect_name(lex, "the name of the service", &name))
		return false;
	service = arena_alloc(p, sizeof(*service));
	service->name = name;
	service->ports_end = &service->ports;
	*p->services_end = service;
	p->services_end = &service->next;
	if (service_ports(lex, service) && service_expect(lex, service) &&
	    service_option(lex, service))
		return true;
	service->broken = true;
	return false;
}

/* ---- zone ------------------------------------------------------------ */

static bool zone_interface(struct lexer *lex, const struct word *word,
			   void *node)
{
	struct zone_tree *zone = node;

	(void)word;
	return expect_interfaces(lex, &zone->interfaces);
}

static bool parse_address(const char *text, uint8_t *ret_family,
			  uint8_t ret_addr[16])
{
	if (inet_pton(AF_INET, text, ret_addr) == 1)
		*ret_family = 4;
	else if (inet_pton(AF_INET6, text, ret_addr) == 1)
		*ret_family = 6;
	else
		return false;
	return true;
}

static void add_network(struct policy *p, struct zone_tree *zone,
			const struct network_tree *network)
{
	struct network_tree *copy = arena_alloc(p, sizeof(*copy));

	*copy = *network;
	*zone->networks_end = copy;
	zone->networks_end = &copy->next;
}

/* Clears what lies behind the prefix; was it clear? */
static bool mask_address(uint8_t addr[16], unsigned int prefixlen,
			 unsigned int bits)
{
	bool clear = true;

	for (unsigned int bit = prefixlen; bit < bits; bit++) {
		uint8_t mask = 0x80 >> bit % 8;

		if (addr[bit / 8] & mask)
			clear = false;
		addr[bit / 8] &= ~mask;
	}
	return clear;
}

static bool parse_network(struct lexer *lex, const struct word *word,
			  struct network_tree *ret_network)
{
	const char *slash = strchr(word->text, '/');
	struct network_tree n = { .spot = word->spot };
	const char *address = word->text;
	char shown[INET6_ADDRSTRLEN];
	unsigned int bits;
	uint64_t len;

	if (slash)
		address = arena_copy(lex->policy, address, slash - address);
	if (!parse_address(address, &n.family, n.addr)) {
		policy_error(lex->policy, &word->spot, "'%s' is not a network",
			     word->text);
		policy_note(
		    lex->policy,
		    "expected an address and the length of its prefix, such as 10.20.2.0/24 or fd20:2::/64, or 'any'");
		return false;
	}
	bits = n.family == 4 ? 32 : 128;
	len = bits;
	if (slash && !parse_number(slash + 1, bits, &len)) {
		policy_error(lex->policy, &word->spot,
			     "'%s' is not the length of an IPv%u prefix",
			     slash + 1, n.family);
		policy_note(lex->policy, "expected a number up to %u", bits);
		return false;
	}
	n.prefixlen = len;
	if (!mask_address(n.addr, len, bits)) {
		inet_ntop(n.family == 4 ? AF_INET : AF_INET6, n.addr, shown,
			  sizeof(shown));
		policy_error(lex->policy, &word->spot,
			     "the address goes on behind its prefix");
		policy_note(lex->policy,
			    "did you mean '%s/%u', or the one host '%s'?",
			    shown, n.prefixlen, address);
		return false;
	}
	*ret_network = n;
	return true;
}

static bool zone_network(struct lexer *lex, const struct word *word, void *node)
{
	struct zone_tree *zone = node;
	struct network_tree network;
	struct word name;

	(void)word;
	do {
		if (!expect_word(lex, "a network", &name))
			return false;
		if (!strcmp(name.text, "any")) {
			network = (struct network_tree){ .spot = name.spot,
							 .family = 4 };
			add_network(lex->policy, zone, &network);
			network.family = 6;
		} else if (!parse_network(lex, &name, &network)) {
			return false;
		}
		add_network(lex->policy, zone, &network);
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool is_host(const struct asset_tree *asset)
{
	static const uint8_t zero[16],
	    mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *a = asset->addr;

	if (asset->family == 4)
		return a[0] && a[0] < 224;
	return memcmp(a, zero, 16) && a[0] != 0xff && memcmp(a, mapped, 12);
}

static bool asset_address(struct lexer *lex, struct asset_tree *asset)
{
	struct word word;

	if (!expect_word(lex, "the address of the asset", &word))
		return false;
	asset->address_at = word.spot;
	if (!parse_address(word.text, &asset->family, asset->addr)) {
		policy_error(lex->policy, &word.spot,
			     "'%s' is not an IP address", word.text);
		policy_note(
		    lex->policy,
		    "expected an address such as 10.20.3.11 or fd20:3::11");
		return false;
	}
	if (!is_host(asset)) {
		policy_error(lex->policy, &word.spot,
			     "'%s' is not the address of one host", word.text);
		policy_note(
		    lex->policy,
		    "an asset is one machine; groups and unspecified addresses cannot be one");
		return false;
	}
	return true;
}

static bool is_mac(const char *text)
{
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':'
			       : !text[i] ||
				     !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return !text[17];
}

static bool asset_mac(struct lexer *lex, struct asset_tree *asset)
{
	struct word word;

	if (!expect_word(lex, "a MAC address", &word))
		return false;
	if (!is_mac(word.text)) {
		policy_error(lex->policy, &word.spot,
			     "'%s' is not a MAC address", word.text);
		policy_note(
		    lex->policy,
		    "expected six pairs of hex digits: 00:1b:1b:12:34:56");
		return false;
	}
	asset->has_mac = true;
	return true;
}

static bool asset_options(struct lexer *lex, struct asset_tree *asset)
{
	enum { OPTION_mac, OPTION_essential, OPTION_quirk, OPTIONS };
	static const char *const words[] = { "mac", "essential", "quirk",
					     NULL };
	struct spot spot, at[OPTIONS] = { 0 };
	int choice;

	while (lex->token.kind == TOKEN_word) {
		choice =
		    expect_choice(lex, "an option of an asset", words, &spot);
		if (choice < 0)
			return false;
		if (!once(lex, words[choice], &at[choice], &spot))
			return false;
		if (choice == OPTION_essential)
			asset->essential = true;
		else if (choice == OPTION_mac && !asset_mac(lex, asset))
			return false;
		else if (choice == OPTION_quirk &&
			 !parse_quirks(lex, NULL, &asset->quirks))
			return false;
	}
	return true;
}

static bool zone_asset(struct lexer *lex, const struct word *word, void *node)
{
	struct policy *p = lex->policy;
	struct zone_tree *zone = node;
	struct asset_tree *asset;
	struct word name;

	(void)word;
	if (!expect_name(lex, "the name of the asset", &name))
		return false;
	asset = arena_alloc(p, sizeof(*asset));
	asset->name = name;
	asset->zone = zone;
	zone->n_assets++;
	*p->assets_end = asset;
	p->assets_end = &asset->next;
	return asset_address(lex, asset) && asset_options(lex, asset);
}

static const struct statement zone_statements[] = {
	{ "interface", zone_interface, NULL },
	{ "network", zone_network, NULL },
	{ "asset", zone_asset, NULL },
	{ "sl-target", NULL, "leave it out, or keep it as a comment" },
	{ NULL, NULL, NULL },
};

static bool parse_zone(struct lexer *lex, const struct word *word, void *node)
{
	struct policy *p = lex->policy;
	struct zone_tree *zone;
	struct word name;

	(void)node;
	if (!expect_name(lex, "the name of the zone", &name))
		return false;
	zone = arena_alloc(p, sizeof(*zone));
	zone->name = name;
	zone->networks_end = &zone->networks;
	*p->zones_end = zone;
	p->zones_end = &zone->next;
	zone->title = optional_title(lex);
	if (!parse_block(lex, zone_statements, "of a zone", &word->spot, zone))
		zone->broken = true;
	return true;
}

/* ---- the whole text -------------------------------------------------- */

static const struct statement top_statements[TOP_STATEMENTS] = {
	{ "site", parse_site, NULL },
	{ "service", parse_service, NULL },
	{ "zone", parse_zone, NULL },
	{ "conduit", parse_conduit, NULL },
	{ "allow", parse_live_allow, NULL },
	{ "use", parse_use, NULL },
	{ "protocol", NULL, "only built-in protocols can be expected" },
	{ NULL, NULL, NULL },
};

void policy_parse(struct policy *p, uint32_t source)
{
	struct lexer lex;

	lexer_start(&lex, p, source);
	for (;;) {
		while (accept_token(&lex, TOKEN_line))
			;
		if (lex.token.kind == TOKEN_end)
			return;
		if (lex.token.kind == TOKEN_close) {
			policy_error(p, &lex.token.spot,
				     "this '}' closes nothing");
			lexer_next(&lex);
			continue;
		}
		parse_statement(&lex, top_statements, "of a policy", NULL);
	}
}
