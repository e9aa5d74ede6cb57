/* SPDX-License-Identifier: GPL-2.0-only */
/* DNS over UDP and TCP: header, questions, records, to the last byte.
 *
 * RFC 1035 (format), 1995 and 5936 (transfers), 1996 (NOTIFY), 2136 (UPDATE),
 * 6891 (EDNS), 7766 (TCP: messages behind a 16-bit length, answers in any
 * order). STATUS, IQUERY and DSO (RFC 8490) are refused.
 *
 * Label text and record data are opaque. Compression pointers are not
 * followed: each must point backwards behind the header, and none may stand in
 * a question. Check order is byte order, so that a message cut anywhere is
 * refused for the same reason as the whole one.
 */
#ifndef PORTCULLIS_PROTO_DNS_H
#define PORTCULLIS_PROTO_DNS_H

#include <stdbool.h>

#include "window.h"

/* `query` asks for the types that hosts look up. Text is apart because tunnels
 * love it; query-other are the types that only tunnels and tests use: NULL,
 * KEY, SIG, CERT, private and unassigned ones, and classes HS, NONE and ANY.
 */
#define dns_FUNCTIONS(F)                                                       \
	F(1, "query", read)                                                    \
	F(2, "query-text", read)                                               \
	F(3, "query-any", read)                                                \
	F(4, "query-other", other)                                             \
	F(5, "query-chaos", admin)                                             \
	F(6, "transfer", admin)                                                \
	F(7, "incremental-transfer", admin)                                    \
	F(8, "notify", admin)                                                  \
	F(9, "update", write)                                                  \
	F(10, "key-exchange", admin)

enum {
	DNS_query = 1,
	DNS_text,
	DNS_any,
	DNS_other,
	DNS_chaos,
	DNS_transfer,
	DNS_incremental,
	DNS_notify,
	DNS_update,
	DNS_key,

	DNS_header = 12,
	DNS_turns = 8, /* items that a loop looks at */
	DNS_asked = 7,
	DNS_forgotten_udp = 64,
	DNS_forgotten_tcp = 248,
	DNS_no_opt = 512, /* RFC 1035 2.3.4, RFC 6891 6.2.5 */

	DNS_opcode_query = 0,
	DNS_opcode_notify = 4,
	DNS_opcode_update = 5,

	DNS_type_opt = 41,
	DNS_type_tsig = 250,
	DNS_type_ixfr = 251,
	DNS_type_axfr = 252,
};

/* What comes next in a message. */
enum dns_phase {
	DNS_between = 0,
	DNS_question_name,
	DNS_question,
	DNS_record_name,
	DNS_record,
	DNS_option,
	DNS_padding, /* zeros behind the message */
};

enum {
	DNS_saw_opt = 1U << 0,
	DNS_saw_pointer = 1U << 1, /* in this name */
	DNS_is_query = 1U << 2,	   /* opcode */
	DNS_is_update = 1U << 3,
	DNS_opcodes = DNS_is_query | DNS_is_update,
};

struct dns_own {
	__u8 phase;
	__u8 flags;
	__u8 name;     /* bytes of the name so far */
	__u8 function; /* 0: not yet known */
	__u16 left;    /* bytes of the message to come */
	__u16 at;      /* place in the message */
	__u16 questions;
	__u16 records; /* answers and authorities */
	__u16 additional;
	__u16 options; /* bytes of them to come */
	__u16 id;
	__u16 pad;
	__u32 hash; /* of the question: label lengths, type, class, opcode */
} __attribute__((may_alias));
_Static_assert(sizeof(struct dns_own) == OWN_BYTES, "dns: own");

/* Queries without an answer. A resolver that asks from one port, or pipelines,
 * has hundreds, and over UDP some are never answered. So the place that was
 * not renewed for longest is given up and counted as forgotten: that many
 * answers are later accepted without knowing to what. Over UDP the count
 * stops there, over TCP, where every query has an answer or an end of the
 * connection, one more is too many. A transfer keeps its place, for it is
 * answered by many messages (RFC 5936 2.2).
 */
struct dns_shared {
	union {
		/* id << 16 | 2 | check, 0: free; DNS_asked of them */
		__u32 asked[DNS_asked + 1];
		struct {
			__u32 places[DNS_asked];
			__u8 next; /* to be given up */
			__u8 forgotten;
			__u8 transfers; /* bit per place */
			__u8 incremental;
		};
	};
} __attribute__((may_alias));
_Static_assert(sizeof(struct dns_shared) == SHARED_BYTES, "dns: shared");

static __always_inline __u8 dns_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		dns_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* As modbus_within(): can 16 bits, perhaps not all there, be low..high? */
static __always_inline bool dns_within(const struct step *s, __u32 off,
				       __u32 low, __u32 high)
{
	__u32 least = be16_at(s, off);
	__u32 most = least;

	if (s->have <= off)
		return true;
	if (s->have == off + 1) {
		/* behind the window's last byte the readers begin anew */
		least &= 0xff00;
		most = least | 0xff;
	}
	return most >= low && least <= high;
}

/* The message is too short for what it says: a datagram is cut, a stream has
 * a wrong length. */
static __always_inline void dns_short(struct step *s)
{
	bad(s, s->l4 == TRANSPORT_udp ? REASON_truncated : REASON_bad_length);
}

/* ---- outstanding queries --------------------------------------------- */

/* Never 0, which says that the query had no question (RFC 7873 5.4). */
static __always_inline __u32 dns_check(const struct dns_own *own)
{
	if (!own->hash)
		return 0;
	return ((own->hash >> 16 ^ own->hash) & 0xffff) | 1;
}

static __always_inline __u32 dns_free_place(struct step *s,
					    struct dns_shared *shared)
{
	__u32 place;

	for (place = 0; place < DNS_asked; place++)
		if (!shared->asked[place])
			break;
	if (place == DNS_asked) {
		place = shared->next;
		shared->next = place + 1 < DNS_asked ? place + 1 : 0;
	}
	return forget(s, place) & 7;
}

static __always_inline void dns_ask(struct step *s, const struct dns_own *own,
				    struct dns_shared *shared)
{
	__u32 most =
	    s->l4 == TRANSPORT_udp ? DNS_forgotten_udp : DNS_forgotten_tcp;
	__u32 place = dns_free_place(s, shared), bit = 1U << place;

	shared->transfers &= ~bit;
	shared->incremental &= ~bit;
	if (s->l4 == TRANSPORT_tcp && own->function == DNS_transfer)
		shared->transfers |= bit;
	if (s->l4 == TRANSPORT_tcp && own->function == DNS_incremental)
		shared->incremental |= bit;
	if (shared->asked[place] && shared->forgotten < most)
		shared->forgotten++;
	else if (shared->asked[place] && s->l4 == TRANSPORT_tcp)
		return bad(s, REASON_too_many_requests);
	/* id 0 without a question is not free */
	shared->asked[place] = (__u32)own->id << 16 | 2 | dns_check(own);
}

/* The place of the query that has this id and, if it is told, this check. */
static __always_inline __u32 dns_find(struct step *s,
				      const struct dns_shared *shared, __u32 id,
				      __u32 check)
{
	__u32 place, wrong;

	for (place = 0; place < DNS_asked; place++) {
		wrong = shared->asked[place] ^ (id << 16 | 2 | check);
		if (shared->asked[place] && !(check ? wrong : wrong >> 16))
			break;
	}
	return forget(s, place) & 7;
}

static __always_inline bool dns_asked_for(struct step *s,
					  const struct dns_own *own,
					  const struct dns_shared *shared)
{
	return shared->forgotten ||
	       dns_find(s, shared, own->id, dns_check(own)) < DNS_asked;
}

static __always_inline void dns_answered(struct step *s,
					 const struct dns_own *own,
					 struct dns_shared *shared)
{
	__u32 place = dns_find(s, shared, own->id, dns_check(own));

	if (place == DNS_asked)
		shared->forgotten--; /* dns_asked_for() saw that there is one */
	else if (!((shared->transfers | shared->incremental) >> place & 1))
		shared->asked[place] = 0;
}

/* ---- header, RFC 1035 4.1.1 ------------------------------------------ */

/* What the second word of the header may hold; 0, or the reason why not.
 * `at` is where the message begins in the window. */
static __always_inline int dns_flags(const struct step *s, __u32 at)
{
	__u32 high = u8_at(s, at + 2), low = u8_at(s, at + 3);
	__u32 opcode = high >> 3 & 15;

	if (s->have > at + 2) {
		if ((high >> 7) != !!s->from_server)
			return REASON_bad_direction;
		if (opcode != DNS_opcode_query && opcode != DNS_opcode_notify &&
		    opcode != DNS_opcode_update)
			return REASON_bad_function;
	}
	/* TC has no sense over TCP nor in a query, where AA has none but in
	 * NOTIFY (RFC 1996 3.7) */
	if (high & 0x02 && (!s->from_server || s->l4 == TRANSPORT_tcp))
		return REASON_bad_value;
	if (high & 0x04 && !s->from_server && opcode != DNS_opcode_notify)
		return REASON_bad_value;
	if (low & (s->from_server ? 0x40 : 0xcf))
		return REASON_bad_value;
	return (low & 15) > 11 ? REASON_bad_value : 0;
}

/* The four counts; those still to come read as zero. */
static __always_inline bool dns_counts(const struct step *s, __u32 at,
				       __u32 length)
{
	__u32 questions = be16_at(s, at + 4), answers = be16_at(s, at + 6);
	__u32 authorities = be16_at(s, at + 8), more = be16_at(s, at + 10);
	__u32 opcode = u8_at(s, at + 2) >> 3 & 15;

	if (questions > 1)
		return false;
	/* a name, type and class take 5 bytes, a record 11 */
	if (s->have >= at + 4 &&
	    DNS_header + 5 * questions + 11 * (answers + authorities + more) >
		length)
		return false;
	if (s->from_server || opcode == DNS_opcode_update)
		return true;
	if (opcode == DNS_opcode_query && answers)
		return false;
	return answers <= 1 && authorities <= 1 && more <= 2;
}

/* A message without question: cookies (RFC 7873 5.4), an error, the answer to
 * an UPDATE, a later message of a transfer. */
static __always_inline bool dns_no_question(struct step *s, __u32 at,
					    struct dns_own *own,
					    const struct dns_shared *shared)
{
	__u32 place;

	if (!s->from_server) {
		own->function = DNS_query;
		return own->flags & DNS_is_query && !own->records &&
		       own->additional == 1;
	}
	place = dns_find(s, shared, own->id, 0);
	if (place < DNS_asked) {
		if (shared->transfers >> place & 1)
			own->function = DNS_transfer;
		if (shared->incremental >> place & 1)
			own->function = DNS_incremental;
	}
	return u8_at(s, at + 3) & 15 || own->function || place == DNS_asked ||
	       !(shared->asked[place] & 1);
}

static __always_inline void dns_say(struct step *s, const struct dns_own *own)
{
	if (own->function)
		says(s, own->function, dns_class(own->function));
}

static __always_inline void dns_next(struct dns_own *own)
{
	own->name = 0;
	own->flags &= ~DNS_saw_pointer;
	if (own->questions)
		own->phase = DNS_question_name;
	else if (own->records || own->additional)
		own->phase = DNS_record_name;
	else
		own->phase = DNS_between;
}

static __always_inline void dns_begin(struct step *s, struct dns_own *own,
				      __u32 at, __u32 length)
{
	__u32 opcode = u8_at(s, at + 2) >> 3 & 15;

	own->flags = opcode == DNS_opcode_query ? DNS_is_query : 0;
	own->function = opcode == DNS_opcode_notify ? DNS_notify : 0;
	if (opcode == DNS_opcode_update) {
		own->flags = DNS_is_update;
		own->function = DNS_update;
	}
	own->left = length - DNS_header;
	own->at = DNS_header;
	own->questions = be16_at(s, at + 4);
	own->records = be16_at(s, at + 6) + be16_at(s, at + 8);
	own->additional = be16_at(s, at + 10);
	own->id = be16_at(s, at);
	own->hash = 0;
}

/* The header stands at `at`. */
static __always_inline void dns_head(struct step *s, struct dns_own *own,
				     const struct dns_shared *shared, __u32 at,
				     __u32 length)
{
	int reason = dns_flags(s, at);

	if (reason)
		return bad(s, reason);
	if (s->l4 == TRANSPORT_udp && length < DNS_header)
		return bad(s, REASON_truncated);
	if (!dns_counts(s, at, length))
		return bad(s, REASON_bad_value);
	if (s->have < at + DNS_header)
		return need(s, at + DNS_header);
	dns_begin(s, own, at, length);
	if (s->from_server && !dns_asked_for(s, own, shared))
		return bad(s, REASON_unsolicited);
	if (!own->questions && !dns_no_question(s, at, own, shared))
		return bad(s, REASON_bad_value);
	dns_next(own);
	dns_say(s, own);
	take(s, at + DNS_header, 0);
}

/* Over TCP the length of the message comes first. */
static __always_inline void dns_start(struct step *s, struct dns_own *own,
				      const struct dns_shared *shared)
{
	if (s->l4 == TRANSPORT_udp)
		dns_head(s, own, shared, 0, s->left);
	else if (dns_within(s, 0, DNS_header, 65535))
		dns_head(s, own, shared, 2, be16_at(s, 0));
	else
		bad(s, REASON_bad_length);
}

/* ---- items: each moves s->n and s->skip on, or answers need or bad ---- */

static __always_inline void dns_move(struct step *s, struct dns_own *own,
				     __u32 n, __u32 skip)
{
	own->left -= n + skip;
	own->at += n + skip;
	take(s, s->n + n, skip);
}

/* RFC 1035 4.1.4, RFC 6891 5 (no other label types). */
static __always_inline void dns_pointer(struct step *s, struct dns_own *own,
					__u32 off)
{
	if (own->phase == DNS_question_name)
		return bad(s, REASON_bad_value);
	if (own->left < 2)
		return dns_short(s);
	if (!dns_within(s, off, 0xc000 + DNS_header, 0xc000U + own->at - 1))
		return bad(s, REASON_bad_value);
	if (s->have < off + 2)
		return need(s, 2);
	own->flags |= DNS_saw_pointer;
	own->phase = DNS_record;
	dns_move(s, own, 2, 0);
}

static __always_inline void dns_label(struct step *s, struct dns_own *own)
{
	__u32 off = s->n, length = u8_at(s, off);

	if (own->left < 1)
		return dns_short(s);
	if (length >= 0xc0)
		return dns_pointer(s, own, off);
	if (length >= 0x40)
		return bad(s, REASON_bad_value);
	/* RFC 1035 2.3.4: 255 bytes, of which the root takes one */
	if (length && own->name + 1 + length > 254)
		return bad(s, REASON_too_long);
	if (1 + length > own->left)
		return dns_short(s);
	own->name += 1 + length;
	if (own->phase == DNS_question_name)
		own->hash = (own->hash ^ (length + 1)) * 0x01000193;
	if (!length)
		own->phase =
		    own->phase == DNS_question_name ? DNS_question : DNS_record;
	dns_move(s, own, 1, length);
}

/* What a question asks for; 0: no such type. */
static __always_inline __u32 dns_type(__u32 type)
{
	switch (type) {
	case 0: /* RFC 6895 3.1 */
	case DNS_type_opt:
	case DNS_type_tsig:
	case 65535:
		return 0;
	case 16:
	case 99:
		return DNS_text;
	case 255:
		return DNS_any;
	case DNS_type_axfr:
		return DNS_transfer;
	case DNS_type_ixfr:
		return DNS_incremental;
	case 249:
		return DNS_key;
	case 1 ... 2:	  /* A NS */
	case 5 ... 6:	  /* CNAME SOA */
	case 12 ... 13:	  /* PTR HINFO */
	case 15:	  /* MX */
	case 17 ... 18:	  /* RP AFSDB */
	case 28 ... 29:	  /* AAAA LOC */
	case 33:	  /* SRV */
	case 35 ... 36:	  /* NAPTR KX */
	case 39:	  /* DNAME */
	case 42 ... 53:	  /* APL DS SSHFP IPSECKEY … TLSA SMIMEA */
	case 59 ... 65:	  /* CDS CDNSKEY OPENPGPKEY … SVCB HTTPS */
	case 256 ... 257: /* URI CAA */
		return DNS_query;
	}
	return DNS_other;
}

/* RFC 6895 3.2: 1 IN, 3 CH, 4 HS, 254 NONE, 255 ANY. */
static __always_inline bool dns_class_known(__u32 class)
{
	return class == 1 || class == 3 || class == 4 || class == 254 ||
	       class == 255;
}

static __always_inline __u32 dns_function(__u32 type, __u32 class)
{
	if (class == 1)
		return dns_type(type);
	if (class == 3)
		return DNS_chaos;
	/* RFC 2930: TKEY is asked for in class ANY */
	return type == 249 && class == 255 ? DNS_key : DNS_other;
}

static __always_inline bool dns_type_fits(const struct step *s,
					  const struct dns_own *own, __u32 type)
{
	if (own->flags & DNS_is_update) /* RFC 2136 2.3 */
		return type == 6;
	/* RFC 5936 4.2 */
	if (type == DNS_type_axfr && s->l4 == TRANSPORT_udp)
		return false;
	/* RFC 1995 3: the client's SOA */
	if (own->flags & DNS_is_query && own->records && !s->from_server &&
	    type != DNS_type_ixfr)
		return false;
	return dns_type(type) != 0;
}

/* Type and class, RFC 1035 4.1.2. */
static __always_inline void dns_asks(struct step *s, struct dns_own *own,
				     const struct dns_shared *shared)
{
	__u32 off = s->n, have = s->have - off;
	__u32 type = be16_at(s, off), class = be16_at(s, off + 2);

	if (own->left < 4)
		return dns_short(s);
	if (have >= 2 && !dns_type_fits(s, own, type))
		return bad(s, REASON_bad_value);
	if (!dns_within(s, off + 2, 1, 255) ||
	    (have >= 4 && !dns_class_known(class)))
		return bad(s, REASON_bad_value);
	if (have < 4)
		return need(s, 4);
	own->hash = (own->hash ^ type) * 0x01000193;
	own->hash ^= class | (__u32)(own->flags & DNS_opcodes) << 16;
	own->hash = own->hash * 0x01000193 | 1;
	if (s->from_server && !dns_asked_for(s, own, shared))
		return bad(s, REASON_unsolicited);
	if (own->flags & DNS_is_query) { /* the header said the others */
		own->function = dns_function(type, class);
		dns_say(s, own);
	}
	own->questions--;
	dns_move(s, own, 4, 0);
	dns_next(own);
}

/* RFC 6891 6.1.1: root, once, in the additional section; RFC 8945 5.1: TSIG
 * comes last. 0, or the reason why not. */
static __always_inline int dns_record_type(const struct dns_own *own,
					   __u32 type)
{
	switch (type) {
	case DNS_type_opt:
		if (own->records)
			return REASON_bad_order;
		return own->name != 1 || own->flags & DNS_saw_opt
			   ? REASON_bad_value
			   : 0;
	case DNS_type_tsig:
		return own->records || own->additional != 1 ? REASON_bad_order
							    : 0;
	case 255: /* RFC 2136 2.4 */
		return own->flags & DNS_is_update ? 0 : REASON_bad_value;
	case 0:
	case DNS_type_ixfr ... 254:
	case 65535:
		return REASON_bad_value;
	}
	return 0;
}

/* The class of a record; of OPT it is the size that the sender can take. */
static __always_inline bool dns_record_class(const struct step *s, __u32 off,
					     __u32 type)
{
	__u32 have = s->have - off;

	if (have < 3)
		return true;
	if (type == DNS_type_opt) /* version 0, RFC 6891 6.1.3 */
		return have < 6 || u8_at(s, off + 5) == 0;
	return dns_within(s, off + 2, 1, 255) &&
	       (have < 4 || dns_class_known(be16_at(s, off + 2)));
}

static __always_inline void dns_records(struct step *s, struct dns_own *own)
{
	__u32 off = s->n, have = s->have - off, room = own->left - 10U;
	__u32 type = be16_at(s, off), length = be16_at(s, off + 8);
	int reason;

	if (own->left < 10)
		return dns_short(s);
	reason = have >= 2 ? dns_record_type(own, type) : 0;
	if (reason)
		return bad(s, reason);
	if (!dns_record_class(s, off, type))
		return bad(s, REASON_bad_value);
	if (!dns_within(s, off + 8, 0, room))
		return dns_short(s);
	if (have < 10)
		return need(s, 10);
	if (own->records)
		own->records--;
	else
		own->additional--;
	if (type != DNS_type_opt) {
		dns_move(s, own, 10, length);
		return dns_next(own);
	}
	own->flags |= DNS_saw_opt;
	own->options = length;
	dns_move(s, own, 10, 0);
	if (length)
		own->phase = DNS_option;
	else
		dns_next(own);
}

/* RFC 6891 6.1.2: code, length, data; they fill the record. */
static __always_inline void dns_options(struct step *s, struct dns_own *own)
{
	__u32 off = s->n, length = be16_at(s, off + 2);

	if (own->options < 4 || !dns_within(s, off + 2, 0, own->options - 4U))
		return bad(s, REASON_bad_length);
	if (s->have < off + 4)
		return need(s, 4);
	own->options -= 4 + length;
	dns_move(s, own, 4, length);
	if (!own->options)
		dns_next(own);
}

static __always_inline void dns_end(struct step *s, struct dns_own *own,
				    struct dns_shared *shared)
{
	bool udp = s->l4 == TRANSPORT_udp;

	if (own->left && udp && s->from_server &&
	    own->at + own->left == DNS_no_opt &&
	    has_quirk(s, QUIRK_zero_padding)) {
		own->phase = DNS_padding;
		return;
	}
	if (own->left)
		return bad(s, udp ? REASON_trailing_bytes : REASON_bad_length);
	if (udp && s->from_server && own->at > DNS_no_opt &&
	    !(own->flags & DNS_saw_opt))
		return bad(s, REASON_too_long);
	message_ends(s);
	if (s->from_server)
		dns_answered(s, own, shared);
	else
		dns_ask(s, own, shared);
}

/* The DNS proxies of some gateways send their whole buffer of 512 bytes, RFC
 * 1035 2.3.4. */
static __always_inline void dns_zeros(struct step *s, struct dns_own *own)
{
	__u64 any = 0; /* what is not there reads as zero */
	int i;

	for (i = 0; i < WINDOW_BYTES / 8; i++)
		any |= word_at(s, i);
	if (any || s->have > own->left)
		return bad(s, REASON_trailing_bytes);
	dns_move(s, own, s->have, 0);
	if (own->left)
		return;
	own->phase = DNS_between;
	tolerates(s, QUIRK_zero_padding);
}

/* ---- the step -------------------------------------------------------- */

/* Does the window hold more to judge, and is it of phases first..last? */
static __always_inline bool
dns_more(const struct step *s, const struct dns_own *own, __u8 first, __u8 last)
{
	read_anew();
	return s->answer == STEP_take && !s->skip && s->n < s->have &&
	       own->phase >= first && own->phase <= last;
}

/* Behind an item that began at `judged`. */
static __always_inline void dns_settle(struct step *s, __u32 judged)
{
	read_anew();
	if (s->answer == STEP_need && judged) /* next step, from there */
		take(s, judged, 0);
	if (s->answer == STEP_take && s->skip <= s->have - s->n) {
		s->n += s->skip;
		s->skip = 0;
	}
}

static __always_inline void dns_item(struct step *s, struct state *st)
{
	struct dns_own *own = (struct dns_own *)st->own;
	__u32 judged = s->n;

	if (own->phase == DNS_question)
		dns_asks(s, own, (struct dns_shared *)st->shared);
	else if (own->phase == DNS_record_name)
		dns_label(s, own);
	else if (own->phase == DNS_record)
		dns_records(s, own);
	else
		dns_options(s, own);
	dns_settle(s, judged);
}
STEP_APART(dns_item)

/* A question stands in every message: its labels are not worth a call each. */
static __always_inline void dns_walk_name(struct step *s, struct dns_own *own)
{
	__u32 judged;
	int i;

	for (i = 0; i < DNS_turns; i++) {
		if (!dns_more(s, own, DNS_question_name, DNS_question_name))
			break;
		judged = s->n;
		dns_label(s, own);
		dns_settle(s, judged);
		if (s->n == judged) /* cut, or bad */
			break;
	}
}

static __always_inline void dns_walk(struct step *s, struct state *st,
				     __u8 first, __u8 last)
{
	__u32 judged;
	int i;

	for (i = 0; i < DNS_turns; i++) {
		if (!dns_more(s, (struct dns_own *)st->own, first, last))
			break;
		judged = s->n;
		dns_item_apart(s, st);
		if (s->n == judged)
			break;
	}
}

static __always_inline void dns_step(struct step *s, struct state *st)
{
	struct dns_own *own = (struct dns_own *)st->own;
	struct dns_shared *shared = (struct dns_shared *)st->shared;

	take(s, 0, 0);
	if (own->phase == DNS_between) {
		dns_start(s, own, shared);
		if (s->answer != STEP_take)
			return;
	}
	if (own->phase == DNS_padding)
		dns_zeros(s, own);
	dns_walk_name(s, own);
	dns_walk(s, st, DNS_question, DNS_question);
	dns_walk(s, st, DNS_record_name, DNS_option);
	if (s->answer == STEP_take && own->phase == DNS_between)
		dns_end(s, own, shared);
}

#endif
