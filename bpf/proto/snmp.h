/* SPDX-License-Identifier: GPL-2.0-only */
/* SNMP v1, v2c and v3 over UDP: every element of a message by tag, length and
 * place, to the datagram's end.
 *
 * RFC 1157 (v1), 1901 and 3416 (v2c, PDUs), 3412 and 3414 (v3, USM), 7860
 * (longer digests), 3417 (UDP; 8: definite lengths); X.690 (BER). Over TCP (RFC
 * 3430) it is refused.
 *
 * What contains must be filled exactly by what it contains, or two readers
 * could see two ends. Lengths may be longer than needed, for net-snmp writes
 * them so. Strings, community included, object identifiers and values are
 * opaque but for type and size; the step that judges a name (SNMP_name) has its
 * identifier in the window. What v3 encrypts is opaque: its function is not
 * known, it says `encrypted`.
 */
#ifndef PORTCULLIS_PROTO_SNMP_H
#define PORTCULLIS_PROTO_SNMP_H

#include <stdbool.h>

#include "window.h"

/* The number is one more than that of the PDU's tag (RFC 3416 3). Responses and
 * reports tell the function that they answer. */
#define snmp_FUNCTIONS(F)                                                      \
	F(1, "get", read)                                                      \
	F(2, "get-next", read)                                                 \
	F(4, "set", write)                                                     \
	F(5, "trap-v1", read)                                                  \
	F(6, "get-bulk", read)                                                 \
	F(7, "inform", read)                                                   \
	F(8, "trap", read)                                                     \
	F(10, "encrypted", other)

enum {
	SNMP_get = 1,
	SNMP_get_next,
	SNMP_response,
	SNMP_set,
	SNMP_trap_v1,
	SNMP_get_bulk,
	SNMP_inform,
	SNMP_trap,
	SNMP_report,
	SNMP_encrypted,

	SNMP_v1 = 0,
	SNMP_v2c = 1,
	SNMP_v3 = 3,

	SNMP_authenticated = 1, /* msgFlags, RFC 3412 6.4 */
	SNMP_private = 2,
	SNMP_reportable = 4,
	SNMP_discovery = 0x80, /* no engine: ours */

	SNMP_least_size = 484, /* RFC 3412 6.3 */
	SNMP_turns = 12,       /* elements that a step looks at */
	SNMP_asked = 6,
	SNMP_forgotten = 64,
};

/* The element that comes next. */
enum snmp_phase {
	SNMP_message = 0,
	SNMP_version,
	SNMP_community,
	SNMP_pdu,
	SNMP_id,
	SNMP_status,
	SNMP_index,
	SNMP_list,
	SNMP_binding,
	SNMP_name,
	SNMP_value,
	/* of a trap of v1, RFC 1157 4.1.6; then SNMP_list */
	SNMP_enterprise,
	SNMP_agent,
	SNMP_generic,
	SNMP_specific,
	SNMP_ticks,
	/* behind the version of v3, RFC 3412 6; then SNMP_pdu */
	SNMP_global,
	SNMP_message_id,
	SNMP_size,
	SNMP_flags,
	SNMP_model,
	SNMP_security,
	SNMP_usm,
	SNMP_engine,
	SNMP_boots,
	SNMP_time,
	SNMP_user,
	SNMP_digest,
	SNMP_salt,
	SNMP_scoped,
	SNMP_context_engine,
	SNMP_context,
	SNMP_done,
	SNMP_phases = 64,
};

struct snmp_own {
	__u8 phase;
	__u8 version;
	__u8 pdu;      /* SNMP_get.. SNMP_encrypted */
	__u8 function; /* what it says */
	__u8 flags;
	__u8 pad;
	__u16 inner; /* bytes to come of what need not reach to the end */
	__u32 id;
	__u8 pad2[OWN_BYTES - 12];
} __attribute__((may_alias));
_Static_assert(sizeof(struct snmp_own) == OWN_BYTES, "snmp: own");

/* The last requests, by request-id or, in v3, by msgID. A request stays after
 * its answer, for over UDP both may come twice. One that is given up without
 * an answer is counted as forgotten: that many answers are later accepted
 * without knowing to what.
 */
struct snmp_shared {
	__u32 id[SNMP_asked];
	__u8 asked[SNMP_asked]; /* snmp_asks(); 0x80: answered; 0: free */
	__u8 next;
	__u8 forgotten;
} __attribute__((may_alias));
_Static_assert(sizeof(struct snmp_shared) == SHARED_BYTES, "snmp: shared");

/* What every element must be: its tag, its least and its greatest length. */
struct snmp_element {
	__u8 tag;
	__u8 least;
	__u16 most;
};

#define SNMP_INTEGER                                                           \
	{                                                                      \
		0x02, 1, 4                                                     \
	}
#define SNMP_STRING(least, most)                                               \
	{                                                                      \
		0x04, least, most                                              \
	}
#define SNMP_SEQUENCE                                                          \
	{                                                                      \
		0x30, 0, 0xffff                                                \
	}

static const struct snmp_element snmp_elements[SNMP_phases] = {
	[SNMP_message] = SNMP_SEQUENCE,
	[SNMP_version] = { 0x02, 1, 1 },
	[SNMP_community] = SNMP_STRING(0, 0xffff),
	[SNMP_pdu] = { 0, 0, 0xffff }, /* see snmp_tag() */
	[SNMP_id] = SNMP_INTEGER,
	[SNMP_status] = SNMP_INTEGER,
	[SNMP_index] = SNMP_INTEGER,
	[SNMP_list] = SNMP_SEQUENCE,
	[SNMP_binding] = SNMP_SEQUENCE,
	[SNMP_name] = { 0x06, 1, 640 }, /* RFC 2578 3.5: 128 numbers */
	[SNMP_value] = { 0, 0, 0xffff },
	[SNMP_enterprise] = { 0x06, 1, 640 },
	[SNMP_agent] = { 0x40, 4, 4 },
	[SNMP_generic] = { 0x02, 1, 1 },
	[SNMP_specific] = SNMP_INTEGER,
	[SNMP_ticks] = { 0x43, 1, 5 },
	[SNMP_global] = SNMP_SEQUENCE,
	[SNMP_message_id] = SNMP_INTEGER,
	[SNMP_size] = SNMP_INTEGER,
	[SNMP_flags] = SNMP_STRING(1, 1),
	[SNMP_model] = { 0x02, 1, 1 },
	[SNMP_security] = SNMP_STRING(0, 0xffff),
	[SNMP_usm] = SNMP_SEQUENCE,
	[SNMP_engine] = SNMP_STRING(0, 32), /* RFC 3411 5 */
	[SNMP_boots] = SNMP_INTEGER,
	[SNMP_time] = SNMP_INTEGER,
	[SNMP_user] = SNMP_STRING(0, 32), /* RFC 3414 2.4 */
	[SNMP_digest] = SNMP_STRING(0, 48),
	[SNMP_salt] = SNMP_STRING(0, 8),
	[SNMP_scoped] = { 0, 0, 0xffff },
	[SNMP_context_engine] = SNMP_STRING(0, 32),
	[SNMP_context] = SNMP_STRING(0, 255),
	[SNMP_done] = { 0xff, 0, 0 },
};

static __always_inline __u8 snmp_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		snmp_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- outstanding requests -------------------------------------------- */

/* Version and function of a request; never 0. */
static __always_inline __u8 snmp_asks(const struct snmp_own *own)
{
	return own->version << 4 | own->pdu;
}

static __always_inline __u32 snmp_find(struct step *s,
				       const struct snmp_own *own,
				       const struct snmp_shared *shared)
{
	__u32 place;

	for (place = 0; place < SNMP_asked; place++)
		if (shared->asked[place] && shared->id[place] == own->id &&
		    (shared->asked[place] >> 4 & 3) == own->version)
			break;
	return forget(s, place);
}

static __always_inline void snmp_ask(struct step *s, const struct snmp_own *own,
				     struct snmp_shared *shared)
{
	__u32 place = snmp_find(s, own, shared);

	if (own->pdu == SNMP_trap || own->pdu == SNMP_trap_v1)
		return; /* nobody answers */
	if (place == SNMP_asked) {
		place = shared->next;
		shared->next = place + 1 < SNMP_asked ? place + 1 : 0;
		place = forget(s, place);
		if (place < SNMP_asked && shared->asked[place] &&
		    !(shared->asked[place] & 0x80) &&
		    shared->forgotten < SNMP_forgotten)
			shared->forgotten++;
	}
	if (place >= SNMP_asked)
		return;
	shared->id[place] = own->id;
	shared->asked[place] = snmp_asks(own);
}

/* An answer with this id: what does it answer? */
static __always_inline void snmp_matches(struct step *s, struct snmp_own *own,
					 const struct snmp_shared *shared)
{
	__u32 place = snmp_find(s, own, shared);

	if (place < SNMP_asked)
		own->function = shared->asked[place] & 15;
	else if (!shared->forgotten)
		bad(s, REASON_unsolicited);
}

static __always_inline void snmp_answered(struct step *s,
					  const struct snmp_own *own,
					  struct snmp_shared *shared)
{
	__u32 place = snmp_find(s, own, shared);

	if (place < SNMP_asked)
		shared->asked[place] |= 0x80;
	else if (shared->forgotten)
		shared->forgotten--;
}

static __always_inline void snmp_say(struct step *s, const struct snmp_own *own)
{
	if (own->function)
		says(s, own->function, snmp_class(own->function));
}

/* ---- tags ------------------------------------------------------------ */

/* RFC 3416 3, RFC 1157 4.1: 0, or the reason why this PDU may not come. */
static __always_inline int snmp_pdu_tag(const struct step *s,
					const struct snmp_own *own, __u8 tag)
{
	__u32 pdu = tag - 0xa0 + 1;
	bool answers = pdu == SNMP_response || pdu == SNMP_report;

	if (tag < 0xa0 || pdu > SNMP_report)
		return REASON_bad_function;
	if (own->version == SNMP_v1 ? pdu > SNMP_trap_v1 : pdu == SNMP_trap_v1)
		return REASON_bad_function;
	if (own->version != SNMP_v3 && pdu == SNMP_report)
		return REASON_bad_function;
	return answers == !!s->from_server ? 0 : REASON_bad_direction;
}

/* RFC 3416 3: of what asks for values there are none yet, exceptions stand in
 * answers alone, and not in v1, which has no 64 bits either. */
static __always_inline bool snmp_value_tag(const struct snmp_own *own, __u8 tag)
{
	if (own->pdu == SNMP_get || own->pdu == SNMP_get_next ||
	    own->pdu == SNMP_get_bulk)
		return tag == 0x05;
	switch (tag) {
	case 0x02: /* INTEGER */
	case 0x04: /* OCTET STRING */
	case 0x05: /* NULL */
	case 0x06: /* OBJECT IDENTIFIER */
	case 0x40: /* IpAddress */
	case 0x41: /* Counter32 */
	case 0x42: /* Unsigned32 */
	case 0x43: /* TimeTicks */
	case 0x44: /* Opaque */
		return true;
	case 0x46: /* Counter64 */
		return own->version != SNMP_v1;
	case 0x80: /* noSuchObject */
	case 0x81: /* noSuchInstance */
	case 0x82: /* endOfMibView */
		return own->version != SNMP_v1 && own->pdu == SNMP_response;
	}
	return false;
}

/* 0, or the reason why the element may not come here. */
static __always_inline int snmp_tag(const struct step *s,
				    const struct snmp_own *own, __u8 tag)
{
	switch (own->phase) {
	case SNMP_message:
		return tag == 0x30 ? 0 : REASON_bad_magic;
	case SNMP_version:
		return tag == 0x02 ? 0 : REASON_bad_magic;
	case SNMP_pdu:
		return snmp_pdu_tag(s, own, tag);
	case SNMP_value:
		return snmp_value_tag(own, tag) ? 0 : REASON_bad_value;
	case SNMP_scoped: /* RFC 3412 6.8 */
		return tag == (own->flags & SNMP_private ? 0x04 : 0x30)
			   ? 0
			   : REASON_bad_value;
	}
	return tag == snmp_elements[own->phase & (SNMP_phases - 1)].tag
		   ? 0
		   : REASON_bad_value;
}

/* ---- lengths --------------------------------------------------------- */

/* What stands in the window of an element that s->n points to. */
struct snmp_at {
	__u32 head; /* bytes of tag and length */
	__u32 length;
	__u32 value; /* its first bytes, at most five, the last lowest */
	__u32 first; /* the very first of them */
};

/* X.690 8.1.3: false, if there is no such length. */
static __always_inline bool snmp_length(const struct step *s,
					struct snmp_at *at)
{
	__u32 first = u8_at(s, s->n + 1), more = first & 0x7f;

	at->head = 2;
	at->length = first;
	if (first < 0x80)
		return true;
	at->head = 2 + more;
	at->length = be32_at(s, s->n + 2) >> ((4 - more) * 8 & 31);
	return more >= 1 && more <= 4;
}

/* Those that reach to the end of the message. */
static __always_inline bool snmp_reaches(__u32 phase)
{
	const __u64 reach = 1ULL << SNMP_message | 1ULL << SNMP_pdu |
			    1ULL << SNMP_list | 1ULL << SNMP_scoped;

	return reach >> (phase & 63) & 1;
}

/* Those that stand in another one that ends before. */
static __always_inline bool snmp_is_inner(__u32 phase)
{
	return phase == SNMP_name || phase == SNMP_value ||
	       (phase >= SNMP_message_id && phase <= SNMP_model) ||
	       (phase >= SNMP_usm && phase <= SNMP_salt);
}

/* And those after which that one must be full. */
static __always_inline bool snmp_fills(__u32 phase)
{
	return phase == SNMP_value || phase == SNMP_model ||
	       phase == SNMP_usm || phase == SNMP_salt;
}

/* Does the element fit where it stands? 0, or the reason why not. */
static __always_inline int snmp_fits(const struct step *s,
				     const struct snmp_own *own,
				     const struct snmp_at *at)
{
	__u32 phase = own->phase & (SNMP_phases - 1);
	__u32 rest = s->left - s->n;
	__u64 whole = (__u64)at->head + at->length;

	if (phase == SNMP_message && whole != rest)
		return whole > rest ? REASON_truncated : REASON_trailing_bytes;
	if (whole > rest || (snmp_reaches(phase) && whole != rest))
		return REASON_bad_length;
	if (snmp_is_inner(phase) &&
	    (whole > own->inner || (snmp_fills(phase) && whole != own->inner)))
		return REASON_bad_length;
	if (at->length < snmp_elements[phase].least ||
	    at->length > snmp_elements[phase].most)
		return REASON_bad_length;
	return 0;
}

/* Sizes of values, RFC 2578 7.1; 32 bits without a sign may need five bytes. */
static __always_inline bool snmp_value_fits(__u8 tag, const struct snmp_at *at)
{
	__u32 n = at->length;

	switch (tag) {
	case 0x02:
		return n >= 1 && n <= 4;
	case 0x05:
	case 0x80 ... 0x82:
		return n == 0;
	case 0x06:
		return n >= 1 && n <= 640;
	case 0x40:
		return n == 4;
	case 0x41 ... 0x43:
		return n >= 1 && (n <= 4 || (n == 5 && at->first == 0));
	case 0x46:
		return n >= 1 && (n <= 8 || (n == 9 && at->first == 0));
	}
	return true;
}

/* ---- values ---------------------------------------------------------- */

/* Error status and index of a request are 0; get-bulk has numbers there. */
static __always_inline bool snmp_error_fits(const struct snmp_own *own,
					    __u32 value)
{
	if (own->pdu == SNMP_get_bulk)
		return value < 0x80000000;
	if (own->pdu != SNMP_response && own->pdu != SNMP_report)
		return value == 0;
	if (own->phase == SNMP_index)
		return value < 0x80000000;
	return value <= (own->version == SNMP_v1 ? 5 : 18);
}

/* RFC 3414 2.4, 3.1: empty without authentication or privacy. Who names no
 * engine earns a report before anybody looks at his digest (3.2, 3 b). */
static __always_inline bool snmp_usm_fits(const struct snmp_own *own,
					  __u32 length)
{
	bool authenticated = own->flags & SNMP_authenticated;

	switch (own->phase) {
	case SNMP_engine:
		return length == 0 || length >= 5;
	case SNMP_digest:
		if (!length)
			return !authenticated || own->flags & SNMP_discovery;
		return length == 12 || length == 16 || length == 24 ||
		       length == 32 || length == 48;
	case SNMP_salt:
		return length == 8 || (!length && !(own->flags & SNMP_private));
	}
	return true;
}

static __always_inline bool snmp_flags_fit(__u32 flags)
{
	return flags <= 7 && (flags & 3) != SNMP_private;
}

/* Is the value of the element legal? */
static __always_inline bool snmp_judge(const struct step *s,
				       const struct snmp_own *own,
				       const struct snmp_at *at)
{
	__u32 value = at->value;

	switch (own->phase) {
	case SNMP_version:
		return value == SNMP_v1 || value == SNMP_v2c ||
		       value == SNMP_v3;
	case SNMP_status:
	case SNMP_index:
		return snmp_error_fits(own, value);
	case SNMP_name:
	case SNMP_enterprise: /* X.690 8.19.2 */
		return at->first != 0x80;
	case SNMP_value:
		return snmp_value_fits(u8_at(s, s->n), at);
	case SNMP_generic:
		return value <= 6;
	case SNMP_ticks:
		return at->length < 5 || at->first == 0;
	case SNMP_message_id:
	case SNMP_boots:
	case SNMP_time:
		return value < 0x80000000;
	case SNMP_size:
		return value >= SNMP_least_size && value < 0x80000000;
	case SNMP_flags:
		return snmp_flags_fit(value);
	case SNMP_model:
		return value == 3;
	case SNMP_engine:
	case SNMP_digest:
	case SNMP_salt:
		return snmp_usm_fits(own, at->length);
	}
	return true;
}

/* ---- elements -------------------------------------------------------- */

/* Those whose content is read, at most five bytes, or looked into. */
static __always_inline bool snmp_has_number(const struct snmp_own *own)
{
	__u32 phase = own->phase & (SNMP_phases - 1);

	return snmp_elements[phase].tag == 0x02 || phase == SNMP_flags;
}

static __always_inline bool snmp_contains(const struct snmp_own *own)
{
	__u32 phase = own->phase & (SNMP_phases - 1);

	if (phase == SNMP_scoped)
		return !(own->flags & SNMP_private);
	return snmp_elements[phase].tag == 0x30 || phase == SNMP_pdu ||
	       phase == SNMP_security;
}

static __always_inline void snmp_number(const struct step *s,
					struct snmp_at *at)
{
	__u32 bits = (4 - at->length) * 8 & 31;

	at->value = 0;
	at->first = u8_at(s, s->n + at->head);
	if (at->length >= 1 && at->length <= 4)
		at->value = (__s32)be32_at(s, s->n + at->head) >> bits;
}

static __always_inline __u8 snmp_next(const struct snmp_own *own)
{
	switch (own->phase) {
	case SNMP_version:
		return own->version == SNMP_v3 ? SNMP_global : SNMP_community;
	case SNMP_pdu:
		return own->pdu == SNMP_trap_v1 ? SNMP_enterprise : SNMP_id;
	case SNMP_value:
		return SNMP_binding;
	case SNMP_ticks:
		return SNMP_list;
	case SNMP_scoped:
		if (own->flags & SNMP_private)
			return SNMP_done;
		break;
	case SNMP_context:
		return SNMP_pdu;
	}
	return own->phase + 1;
}

/* What the conversation or the rest of the message needs of the element. */
static __always_inline void snmp_learn(struct step *s, struct snmp_own *own,
				       const struct snmp_shared *shared,
				       const struct snmp_at *at)
{
	switch (own->phase) {
	case SNMP_version:
		own->version = at->value;
		return;
	case SNMP_flags:
		own->flags = at->value;
		return;
	case SNMP_engine:
		if (!at->length)
			own->flags |= SNMP_discovery;
		return;
	case SNMP_scoped:
		if (!(own->flags & SNMP_private))
			return;
		own->function = own->pdu = SNMP_encrypted;
		break;
	case SNMP_pdu:
		own->pdu = u8_at(s, s->n) - 0xa0 + 1;
		if (!s->from_server)
			own->function = own->pdu;
		break;
	case SNMP_id:
		if (own->version == SNMP_v3)
			return;
		own->id = at->value;
		if (s->from_server)
			snmp_matches(s, own, shared);
		break;
	case SNMP_message_id:
		own->id = at->value;
		if (s->from_server)
			snmp_matches(s, own, shared);
		return;
	default:
		return;
	}
	snmp_say(s, own);
}

/* Bytes that an element needs in the window to be judged. */
static __always_inline __u32 snmp_wants(const struct snmp_own *own,
					const struct snmp_at *at)
{
	if (snmp_contains(own) || !at->length)
		return at->head;
	return at->head + (snmp_has_number(own) ? at->length : 1);
}

/* k bytes from s->n on are needed. */
static __always_inline void snmp_wait(struct step *s,
				      const struct snmp_own *own, __u32 k)
{
	if (own->phase != SNMP_message && s->left - s->n < k)
		return bad(s, REASON_bad_length);
	need(s, k);
}

/* Judges the element at s->n and moves it on, or answers need or bad. */
static __always_inline void snmp_element(struct step *s, struct state *st)
{
	struct snmp_own *own = (struct snmp_own *)st->own;
	__u32 have = s->have - s->n, wants;
	struct snmp_at at;
	int reason = snmp_tag(s, own, u8_at(s, s->n));

	if (snmp_is_inner(own->phase) && !own->inner)
		return bad(s, REASON_bad_length);
	if (reason)
		return bad(s, reason);
	if (have < 2)
		return snmp_wait(s, own, 2);
	if (!snmp_length(s, &at))
		return bad(s, REASON_bad_length);
	if (have < at.head)
		return snmp_wait(s, own, at.head);
	reason = snmp_fits(s, own, &at);
	if (reason)
		return bad(s, reason);
	wants = snmp_wants(own, &at);
	if (have < wants)
		return need(s, wants);
	snmp_number(s, &at);
	if (!snmp_judge(s, own, &at))
		return bad(s, REASON_bad_value);
	snmp_learn(s, own, (struct snmp_shared *)st->shared, &at);
	if (s->answer != STEP_take)
		return;
	if (snmp_is_inner(own->phase) && own->phase != SNMP_usm)
		own->inner -= at.head + at.length;
	else if (snmp_contains(own))
		own->inner = at.length;
	take(s, s->n + wants,
	     snmp_contains(own) ? 0 : at.head + at.length - wants);
	own->phase = snmp_next(own);
}

/* One element of the message, perhaps with others judged before it. */
static __always_inline void snmp_item(struct step *s, struct state *st)
{
	__u32 judged = s->n;

	snmp_element(s, st);
	read_anew();
	if (s->answer == STEP_need && judged) /* next step, from there */
		take(s, judged, 0);
	if (s->answer == STEP_take && s->skip <= s->have - s->n) {
		s->n += s->skip;
		s->skip = 0;
	}
}
STEP_APART(snmp_item)

/* The datagram ends: so must the message. */
static __always_inline void snmp_end(struct step *s, struct snmp_own *own,
				     struct snmp_shared *shared)
{
	if (own->phase != SNMP_binding && own->phase != SNMP_done)
		return bad(s, REASON_bad_length);
	message_ends(s);
	if (s->from_server)
		snmp_answered(s, own, shared);
	else
		snmp_ask(s, own, shared);
}

static __always_inline void snmp_step(struct step *s, struct state *st)
{
	struct snmp_own *own = (struct snmp_own *)st->own;
	__u32 judged;
	int i;

	if (s->l4 != TRANSPORT_udp)
		return bad(s, REASON_bad_magic);
	take(s, 0, 0);
	for (i = 0; i < SNMP_turns; i++) {
		read_anew();
		if (s->answer != STEP_take || s->skip || s->n >= s->have)
			break;
		judged = s->n;
		snmp_item_apart(s, st);
		read_anew();
		if (s->n == judged)
			break;
	}
	read_anew();
	if (s->answer == STEP_take && s->n + s->skip == s->left)
		snmp_end(s, own, (struct snmp_shared *)st->shared);
}

#endif
