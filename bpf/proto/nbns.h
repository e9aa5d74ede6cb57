/* SPDX-License-Identifier: GPL-2.0-only */
/* NetBIOS name service: who has a name, what names a node has, who takes one.
 *
 * RFC 1002 4.2. Every datagram is judged to its last byte: header, the name in
 * its half-byte letters, one record with its addresses or its table of names.
 *
 * Both ends use port 137, so either may ask, and what the other side asked is
 * paired with its answer by id and opcode. But who was found by a broadcast
 * answers from an address that was not called: to the gate his answer opens a
 * conversation. It is let pass as a function of its own, `broadcast-answer`,
 * for the policy to grant: it is what a poisoner of names sends too.
 *
 * Refused are scopes (4.1), redirects (4.2.15), and answers that repeat the
 * question. The statistics behind a table of names are opaque, and as long as
 * the node likes: few are as 4.2.18 says.
 */
#ifndef PORTCULLIS_PROTO_NBNS_H
#define PORTCULLIS_PROTO_NBNS_H

#include <stdbool.h>

#include "window.h"

#define nbns_FUNCTIONS(F)                                                      \
	F(1, "query", read)                                                    \
	F(2, "node-status", read)                                              \
	F(3, "registration", write)                                            \
	F(4, "release", write)                                                 \
	F(5, "refresh", write)                                                 \
	F(6, "multihomed-registration", write)                                 \
	F(7, "broadcast-answer", other)                                        \
	F(8, "name-conflict", write)

enum {
	NBNS_query = 1,
	NBNS_node_status,
	NBNS_registration,
	NBNS_release,
	NBNS_refresh,
	NBNS_multihomed,
	NBNS_broadcast_answer,
	NBNS_name_conflict,

	NBNS_op_query = 0,
	NBNS_op_registration = 5,
	NBNS_op_release,
	NBNS_op_wait, /* WACK */
	NBNS_op_refresh,
	NBNS_op_refresh_alt,
	NBNS_op_multihomed = 15,

	NBNS_type_null = 0x0a,
	NBNS_type_nb = 0x20,
	NBNS_type_nbstat = 0x21,

	NBNS_conflict = 7, /* RCODE, 4.2.8 */
	NBNS_head = 13,	   /* and the length of the name */
	NBNS_letters = 33, /* and a zero */
	NBNS_address = 6,
	NBNS_entry = 18,
	NBNS_statistics = 64, /* 46 by 4.2.18 */
	NBNS_asked = 6,
	NBNS_forgotten = 64,
};

enum nbns_phase {
	NBNS_AT_HEAD = 0,
	NBNS_AT_NAME,
	NBNS_AT_QUESTION,
	NBNS_AT_RECORD_NAME,
	NBNS_AT_RECORD,
	NBNS_AT_ADDRESS,
	NBNS_AT_COUNT,
	NBNS_AT_ENTRY,
};

struct nbns_own {
	__u8 phase; /* enum nbns_phase */
	__u8 opcode;
	__u8 is_answer;
	__u8 rcode;
	__u8 in_record; /* the name is that of the record */
	__u8 has_record;
	__u8 entries; /* of a node's table to come */
	__u8 pad;
	__u16 left; /* bytes of the record's data to come */
	__u16 pad2[7];
} __attribute__((may_alias));
_Static_assert(sizeof(struct nbns_own) == OWN_BYTES, "nbns: own");

/* Requests without an answer, of either side. Most are broadcasts, which get
 * theirs elsewhere, so the place that was not renewed for longest is given up
 * and counted as forgotten: up to a bound, that many answers are later accepted
 * without knowing to what.
 */
struct nbns_shared {
	__u32 asked[NBNS_asked]; /* nbns_key(), 0: free */
	__u8 next;		 /* to be given up */
	__u8 forgotten;
	__u8 pad[6];
} __attribute__((may_alias));
_Static_assert(sizeof(struct nbns_shared) == SHARED_BYTES, "nbns: shared");

static __always_inline __u8 nbns_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		nbns_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- requests and their answers -------------------------------------- */

/* What was asked, and by whom; never 0. */
static __always_inline __u32 nbns_key(__u32 id, __u32 opcode, bool of_server)
{
	return id << 16 | 0x100 | opcode << 1 | of_server;
}

static __always_inline __u32 nbns_find(struct step *s,
				       const struct nbns_shared *h, __u32 key)
{
	__u32 place;

	for (place = 0; place < NBNS_asked; place++)
		if (h->asked[place] == key)
			break;
	return forget(s, place);
}

static __always_inline void nbns_ask(struct step *s, struct nbns_shared *h,
				     __u32 key)
{
	__u32 place = nbns_find(s, h, key);

	if (place < NBNS_asked) /* sent again */
		return;
	place = nbns_find(s, h, 0);
	if (place >= NBNS_asked) {
		place = h->next;
		h->next = place + 1 < NBNS_asked ? place + 1 : 0;
		if (h->forgotten < NBNS_forgotten)
			h->forgotten++;
	}
	place = forget(s, place);
	if (place < NBNS_asked)
		h->asked[place] = key;
}

/* 4.2.16: a WACK is an answer to a registration or a release, not the last. */
static __always_inline bool nbns_answers(struct step *s, struct nbns_shared *h,
					 __u32 id, __u32 opcode)
{
	bool is_wait = opcode == NBNS_op_wait;
	__u32 place;

	place = nbns_find(s, h,
			  nbns_key(id, is_wait ? NBNS_op_registration : opcode,
				   !s->from_server));
	if (place >= NBNS_asked && is_wait)
		place = nbns_find(
		    s, h, nbns_key(id, NBNS_op_release, !s->from_server));
	/* 4.2.4: what was asked as a refresh or as multihomed may be answered
	 * as the registration that it is */
	if (place >= NBNS_asked && opcode == NBNS_op_registration)
		place = nbns_find(
		    s, h, nbns_key(id, NBNS_op_refresh, !s->from_server));
	if (place >= NBNS_asked && opcode == NBNS_op_registration)
		place = nbns_find(
		    s, h, nbns_key(id, NBNS_op_multihomed, !s->from_server));
	if (place < NBNS_asked) {
		if (!is_wait)
			h->asked[place] = 0;
		return true;
	}
	if (!s->from_server || !h->forgotten)
		return false;
	h->forgotten--;
	return true;
}

/* ---- header, 4.2.1 --------------------------------------------------- */

/* What a request with this opcode asks; 0: none has it. A query is told by its
 * type. */
static __always_inline __u32 nbns_function(__u32 opcode)
{
	switch (opcode) {
	case NBNS_op_query:
		return NBNS_query;
	case NBNS_op_registration:
		return NBNS_registration;
	case NBNS_op_release:
		return NBNS_release;
	case NBNS_op_refresh:
	case NBNS_op_refresh_alt:
		return NBNS_refresh;
	case NBNS_op_multihomed:
		return NBNS_multihomed;
	}
	return 0;
}

/* 8000 answer, 7800 opcode, 0400 authoritative, 0200 cut short, 0100 recursion
 * desired, 0080 available, 0010 broadcast, 000f rcode */
static __always_inline enum portcullis_reason nbns_flags(__u32 flags)
{
	__u32 opcode = flags >> 11 & 15;

	if (flags & 0x8000) {
		if (!nbns_function(opcode) && opcode != NBNS_op_wait)
			return REASON_bad_function;
		return flags & 0x0060 || (flags & 15) > NBNS_conflict
			   ? REASON_bad_value
			   : REASON_none;
	}
	if (!nbns_function(opcode))
		return REASON_bad_function;
	return flags & 0x06ef ? REASON_bad_value : REASON_none;
}

/* A request is a question, and a record if it takes or gives back a name; an
 * answer is a record, which a refusal may leave out. */
static __always_inline bool nbns_counts(const struct step *s, __u32 flags)
{
	__u32 questions = be16_at(s, 4), answers = be16_at(s, 6);
	__u32 more = be16_at(s, 10), opcode = flags >> 11 & 15;

	if (be16_at(s, 8))
		return false;
	if (flags & 0x8000)
		return !questions && answers == 1 && !more;
	return questions == 1 && !answers &&
	       more == (opcode == NBNS_op_query ? 0 : 1);
}

/* A refusal without a record: nothing but a header. */
static __always_inline bool nbns_is_bare(const struct step *s, __u32 flags)
{
	return s->left == NBNS_head - 1 && flags & 0x8000 && flags & 15 &&
	       !be32_at(s, 4) && !be32_at(s, 8);
}

/* An answer that nobody here asked for: of who was called it is refused, of who
 * opened the conversation it is a function. */
static __always_inline bool nbns_pair(struct step *s, struct nbns_shared *h,
				      __u32 flags)
{
	__u32 opcode = flags >> 11 & 15, id = be16_at(s, 0);

	if (!(flags & 0x8000)) {
		nbns_ask(s, h, nbns_key(id, opcode, !!s->from_server));
		return true;
	}
	if (nbns_answers(s, h, id, opcode))
		return true;
	s->function = (flags & 15) == NBNS_conflict ? NBNS_name_conflict
						    : NBNS_broadcast_answer;
	return !s->from_server;
}

static __always_inline void nbns_header(struct step *s, struct nbns_own *own,
					struct nbns_shared *h)
{
	__u32 flags = be16_at(s, 2);
	enum portcullis_reason reason = nbns_flags(flags);
	bool is_bare = nbns_is_bare(s, flags);

	if (s->have < NBNS_head - 1)
		return bad(s, REASON_truncated);
	if (reason)
		return bad(s, reason);
	if (!is_bare && !nbns_counts(s, flags))
		return bad(s, REASON_bad_value);
	if (!is_bare && s->have < NBNS_head)
		return bad(s, REASON_truncated);
	if (!is_bare && u8_at(s, 12) != 32)
		return bad(s, REASON_bad_value);
	if (!nbns_pair(s, h, flags))
		return bad(s, REASON_unsolicited);
	own->opcode = flags >> 11 & 15;
	own->is_answer = flags >> 15;
	own->in_record = own->is_answer;
	own->rcode = flags & 15;
	own->has_record = be16_at(s, 10) == 1;
	own->phase = NBNS_AT_NAME;
	take(s, is_bare ? NBNS_head - 1 : NBNS_head, 0);
	if (is_bare)
		message_ends(s);
}

/* ---- names, 4.1 ------------------------------------------------------ */

/* Half a byte a letter, 'A' to 'P', and no scope behind them. */
static __always_inline bool nbns_is_name(const struct step *s)
{
	__u64 marks = 0;
	__u32 i;

	for (i = 0; i < 4; i++)
		marks |= word_at(s, i) - EACH_BYTE('A');
	return !(marks & EACH_BYTE(0xf0)) && u8_at(s, 32) == 0;
}

static __always_inline void nbns_name(struct step *s, struct nbns_own *own)
{
	if (s->have < NBNS_letters)
		return bad(s, REASON_truncated);
	if (!nbns_is_name(s))
		return bad(s, REASON_bad_value);
	own->phase = own->in_record ? NBNS_AT_RECORD : NBNS_AT_QUESTION;
	take(s, NBNS_letters, 0);
}

static __always_inline void nbns_question(struct step *s, struct nbns_own *own)
{
	__u32 type = be16_at(s, 0), number = nbns_function(own->opcode);

	if (s->have < 4)
		return bad(s, REASON_truncated);
	if (type == NBNS_type_nbstat && own->opcode == NBNS_op_query)
		number = NBNS_node_status;
	else if (type != NBNS_type_nb)
		return bad(s, REASON_bad_value);
	if (be16_at(s, 2) != 1) /* IN */
		return bad(s, REASON_bad_value);
	s->function = number;
	take(s, 4, 0);
	own->phase = NBNS_AT_RECORD_NAME;
	if (!own->has_record)
		message_ends(s);
}

/* 4.2.1.3: a pointer to the name of the question, or the name once more. */
static __always_inline void nbns_record_name(struct step *s,
					     struct nbns_own *own)
{
	if (u8_at(s, 0) == 32) {
		own->in_record = 1;
		own->phase = NBNS_AT_NAME;
		return take(s, 1, 0);
	}
	if (s->have < 2)
		return bad(s, REASON_truncated);
	if (be16_at(s, 0) != 0xc00c)
		return bad(s, REASON_bad_value);
	own->phase = NBNS_AT_RECORD;
	take(s, 2, 0);
}

/* ---- records, 4.2.1.3 ------------------------------------------------ */

/* As long as its type and the message say. 4.2.2 to 4.2.18 */
static __always_inline bool nbns_length(const struct nbns_own *own, __u32 type,
					__u32 length)
{
	if (type == NBNS_type_nbstat)
		return length >= 1;
	if (own->opcode == NBNS_op_wait)
		return length == 2;
	if (type == NBNS_type_null)
		return length == 0;
	if (length == 0)
		return own->rcode != 0;
	return length % NBNS_address == 0;
}

static __always_inline bool nbns_type(const struct nbns_own *own, __u32 type)
{
	if (type == NBNS_type_nb)
		return true;
	if (type == NBNS_type_nbstat)
		return own->is_answer && own->opcode == NBNS_op_query;
	return type == NBNS_type_null && own->is_answer &&
	       (own->rcode || own->opcode == NBNS_op_wait);
}

static __always_inline void nbns_record(struct step *s, struct nbns_own *own)
{
	__u32 type = be16_at(s, 0), length = be16_at(s, 8);

	if (s->have < 10)
		return bad(s, REASON_truncated);
	if (!nbns_type(own, type) || be16_at(s, 2) != 1)
		return bad(s, REASON_bad_value);
	if (!nbns_length(own, type, length))
		return bad(s, REASON_bad_length);
	if (length > s->left - 10)
		return bad(s, REASON_truncated);
	if (length < s->left - 10)
		return bad(s, REASON_trailing_bytes);
	own->left = length;
	if (type == NBNS_type_nbstat) {
		own->phase = NBNS_AT_COUNT;
		return take(s, 10, 0);
	}
	own->phase = NBNS_AT_ADDRESS;
	if (own->opcode == NBNS_op_wait || !length)
		message_ends(s);
	take(s, 10, own->opcode == NBNS_op_wait ? length : 0);
}

/* 4.2.1.3: a group or not, which kind of node; the rest is 0. */
static __always_inline void nbns_address(struct step *s, struct nbns_own *own)
{
	if (be16_at(s, 0) & 0x1fff)
		return bad(s, REASON_bad_value);
	own->left -= NBNS_address;
	take(s, 2, NBNS_address - 2);
	if (!own->left)
		message_ends(s);
}

/* 4.2.18. */
static __always_inline void nbns_count(struct step *s, struct nbns_own *own)
{
	__u32 names = u8_at(s, 0) * NBNS_entry;

	if (names + 1 > own->left || own->left - names - 1 > NBNS_statistics)
		return bad(s, REASON_bad_length);
	own->left -= 1;
	own->entries = u8_at(s, 0);
	own->phase = NBNS_AT_ENTRY;
	take(s, 1, own->entries ? 0 : own->left);
	if (!own->entries)
		message_ends(s);
}

/* Fifteen characters, a suffix and flags, of which the low nine are 0. */
static __always_inline void nbns_entry(struct step *s, struct nbns_own *own)
{
	if (be16_at(s, 16) & 0x01ff)
		return bad(s, REASON_bad_value);
	own->entries--;
	own->left -= NBNS_entry;
	take(s, NBNS_entry, own->entries ? 0 : own->left);
	if (!own->entries)
		message_ends(s);
}

static __always_inline void nbns_phases(struct step *s, struct nbns_own *own,
					struct nbns_shared *h)
{
	switch (own->phase) {
	case NBNS_AT_HEAD:
		return nbns_header(s, own, h);
	case NBNS_AT_NAME:
		return nbns_name(s, own);
	case NBNS_AT_QUESTION:
		return nbns_question(s, own);
	case NBNS_AT_RECORD_NAME:
		return nbns_record_name(s, own);
	case NBNS_AT_RECORD:
		return nbns_record(s, own);
	case NBNS_AT_ADDRESS:
		return nbns_address(s, own);
	case NBNS_AT_COUNT:
		return nbns_count(s, own);
	case NBNS_AT_ENTRY:
		return nbns_entry(s, own);
	}
	bad(s, REASON_bad_order);
}

static __always_inline void nbns_step(struct step *s, struct state *st)
{
	if (s->l4 != TRANSPORT_udp)
		return bad(s, REASON_bad_value);
	nbns_phases(s, (struct nbns_own *)st->own,
		    (struct nbns_shared *)st->shared);
	read_anew();
	if (s->function != FUNCTION_none)
		says(s, s->function, nbns_class(s->function));
}

#endif
