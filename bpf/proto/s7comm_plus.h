/* SPDX-License-Identifier: GPL-2.0-only */
/* S7comm-plus (S7-1200 and 1500) over TPKT and COTP.
 *
 * No specification is public. The layout is that of what devices and Siemens'
 * own programs send; names are those in common use. All numbers are big endian.
 *
 *	TPKT and COTP DT   7 bytes, proto/cotp.h
 *	header             0x72, version, length of the data 2
 *	[version 3: 0x20 and 32 bytes of HMAC-SHA256]
 *	data               opcode, 0 0, function 2, 0 0, sequence number 2,
 *			   of a request: session 4, flags, object 4 ...
 *	trailer            0x72, version, 0 0
 *
 * A long message goes on in further DTs, each with a header of its own; only
 * the last has the trailer, only the first an opcode. COTP's own way of cutting
 * is not used. Version 0xfe is an event of the system: no opcode, no trailer.
 * What stands behind the object is opaque, for it is compressed or encoded by
 * attribute; so starting and stopping a CPU is set-multi-variables or invoke.
 * The HMAC cannot be checked: its key is the session's.
 *
 * Opening a session, what a session does to itself (it must write its own
 * attributes before it may read) and asking for TLS say no function. Newer
 * firmware begins with that request: from its answer on the DTs carry TLS, of
 * which nothing but the record headers can be judged.
 */
#ifndef PORTCULLIS_PROTO_S7COMM_PLUS_H
#define PORTCULLIS_PROTO_S7COMM_PLUS_H

#include <stdbool.h>

#include "cotp.h"
#include "window.h"

#define s7comm_plus_FUNCTIONS(F)                                               \
	F(1, "explore", read)                                                  \
	F(2, "create-object", program)                                         \
	F(3, "delete-object", program)                                         \
	F(4, "set-variable", write)                                            \
	F(5, "get-variable", read)                                             \
	F(6, "add-link", program)                                              \
	F(7, "remove-link", program)                                           \
	F(8, "get-link", read)                                                 \
	F(9, "set-multi-variables", write)                                     \
	F(10, "get-multi-variables", read)                                     \
	F(11, "begin-sequence", program)                                       \
	F(12, "end-sequence", program)                                         \
	F(13, "invoke", operate)                                               \
	F(14, "set-variable-substreamed", write)                               \
	F(15, "get-variable-substreamed", read)                                \
	F(16, "get-variables-address", read)                                   \
	F(17, "abort", other)                                                  \
	F(18, "notification", read)

/* Number and code on the wire. */
#define s7comm_plus_CODES(G)                                                   \
	G(1, 0x04bb)                                                           \
	G(2, 0x04ca)                                                           \
	G(3, 0x04d4)                                                           \
	G(4, 0x04f2)                                                           \
	G(5, 0x04fc)                                                           \
	G(6, 0x0506)                                                           \
	G(7, 0x051a)                                                           \
	G(8, 0x0524)                                                           \
	G(9, 0x0542)                                                           \
	G(10, 0x054c)                                                          \
	G(11, 0x0556)                                                          \
	G(12, 0x0560)                                                          \
	G(13, 0x056b)                                                          \
	G(14, 0x057c)                                                          \
	G(15, 0x0586)                                                          \
	G(16, 0x0590)                                                          \
	G(17, 0x059a)

enum {
	S7PLUS_REQUEST = 0x31,
	S7PLUS_RESPONSE = 0x32,
	S7PLUS_NOTIFICATION = 0x33,
	S7PLUS_RESPONSE_2 = 0x02,

	S7PLUS_CREATE = 2,
	S7PLUS_DELETE = 3,
	S7PLUS_SET = 4,
	S7PLUS_SET_MULTI = 9,
	S7PLUS_NOTIFIED = 18,
	/* no functions, numbers only here */
	S7PLUS_SESSION = 200,
	S7PLUS_TLS,
	S7PLUS_ERROR, /* answers whatever was asked */

	S7PLUS_CONNECT = 1, /* versions; 2 and 3 between */
	S7PLUS_INTEGRITY = 3,
	S7PLUS_EVENT = 0xfe,

	S7PLUS_LEAST = 9, /* of a response, up to its sequence number */
	S7PLUS_LEAST_REQUEST = 18, /* up to its object */
	S7PLUS_AT = 11,		   /* the data, behind such a head */
	S7PLUS_TRAILER = 4,
	S7PLUS_HMAC = 32,
	S7PLUS_ASKED = 6,
	S7PLUS_FORGOTTEN = 10,
};

/* What step.note says to s7plus_remember(), as in s7comm.h. */
enum {
	S7PLUS_ONE_FORGOTTEN = S7PLUS_ASKED,
	S7PLUS_NONE,
	S7PLUS_NO_PAIR,
	S7PLUS_ASKS,
};

/* What follows in the DT. */
enum { S7PLUS_BETWEEN = 0, S7PLUS_AT_OPCODE, S7PLUS_AT_TRAILER, S7PLUS_AT_TLS };

struct s7plus_own {
	struct cotp cotp;
	__u8 phase;
	__u8 version;
	__u8 more;    /* the message goes on in the next DT */
	__u8 trailer; /* bytes of it in this DT */
	__u8 at;      /* bytes of a TLS record header that were judged */
	__u8 pad;
	__u16 record; /* bytes of it to come */
	__u8 pad2[8];
} __attribute__((may_alias));
_Static_assert(sizeof(struct s7plus_own) == OWN_BYTES, "s7comm_plus: own");

/* Sequence number, number, 1: requests without an answer. A full table forgets,
 * as modbus.h explains. */
struct s7plus_shared {
	struct cotp_link link;
	__u32 asked[S7PLUS_ASKED]; /* 0: free */
	__u8 next;
	__u8 forgotten;
	__u8 tls; /* was agreed on */
	__u8 pad;
} __attribute__((may_alias));
_Static_assert(sizeof(struct s7plus_shared) == SHARED_BYTES,
	       "s7comm_plus: shared");

static __always_inline __u8 s7plus_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		s7comm_plus_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* The number of a function code; 0: there is none. */
static __always_inline __u32 s7plus_number(__u32 code)
{
	switch (code) {
#define G(number, code_)                                                       \
	case code_:                                                            \
		return number;
		s7comm_plus_CODES(G)
#undef G
		    case 0x05b3 : return S7PLUS_TLS;
	case 0x04b1:
	case 0x05a9:
		return S7PLUS_ERROR;
	}
	return 0;
}

/* ---- outstanding requests -------------------------------------------- */

static __always_inline void s7plus_ask(struct step *s,
				       struct s7plus_shared *shared, __u32 key)
{
	__u32 place;

	for (place = 0; place < S7PLUS_ASKED; place++)
		if (!shared->asked[place])
			break;
	if (place == S7PLUS_ASKED) {
		place = shared->next;
		shared->next = place + 1 < S7PLUS_ASKED ? place + 1 : 0;
		if (shared->forgotten < S7PLUS_FORGOTTEN)
			shared->forgotten++;
	}
	place = forget(s, place);
	if (place < S7PLUS_ASKED)
		shared->asked[place] = key;
}

/* The place of the request that is answered. What a session does to itself is
 * told by its request alone. */
static __always_inline __u32 s7plus_find(struct step *s,
					 const struct s7plus_shared *shared,
					 __u32 number)
{
	__u32 place = shared->forgotten ? S7PLUS_ONE_FORGOTTEN : S7PLUS_NONE;
	__u32 i, asked;

	for (i = 0; i < S7PLUS_ASKED; i++) {
		asked = shared->asked[i];
		if (!asked || asked >> 16 != be16_at(s, 7))
			continue;
		asked = asked >> 8 & 0xff;
		if (asked == number || number == S7PLUS_ERROR ||
		    asked == S7PLUS_SESSION) {
			place = i;
			break;
		}
	}
	return forget(s, place);
}

static __always_inline void s7plus_remember(struct step *s,
					    struct s7plus_shared *shared)
{
	__u32 number, note;

	read_anew();
	note = s->note;
	if (s->answer != STEP_take)
		return;
	number = s->function;
	if (note == S7PLUS_ASKS) {
		s7plus_ask(s, shared,
			   (__u32)be16_at(s, 7) << 16 | number << 8 | 1);
	} else if (note < S7PLUS_ASKED) {
		if (number == S7PLUS_TLS)
			shared->tls = 1;
		number = shared->asked[note] >> 8 & 0xff;
		shared->asked[note] = 0;
	} else if (note == S7PLUS_ONE_FORGOTTEN) {
		shared->forgotten--;
		number = FUNCTION_none;
	}
	if (number >= S7PLUS_SESSION)
		number = FUNCTION_none;
	says(s, number, s7plus_class(number));
}

/* ---- data ------------------------------------------------------------ */

/* n bytes of the data are judged: on to the trailer, or to the next DT. */
static __always_inline void s7plus_past(struct step *s, struct s7plus_own *own,
					__u32 n)
{
	own->phase = own->trailer ? S7PLUS_AT_TRAILER : S7PLUS_BETWEEN;
	own->more = !own->trailer;
	cotp_past(s, &own->cotp, n, own->cotp.left - own->trailer - n);
	if (!own->trailer)
		s->ends = 0;
}

/* Is the object that is written or deleted the session that asks? */
static __always_inline bool s7plus_itself(const struct step *s, __u32 number)
{
	return (number == S7PLUS_DELETE || number == S7PLUS_SET ||
		number == S7PLUS_SET_MULTI) &&
	       be32_at(s, 9) == be32_at(s, 14);
}

static __always_inline void s7plus_request(struct step *s,
					   struct s7plus_own *own, __u32 number)
{
	if (s->have < S7PLUS_LEAST_REQUEST)
		return need(s, S7PLUS_LEAST_REQUEST);
	/* A session begins as an object in the first version. */
	if (s7plus_itself(s, number) ||
	    (number == S7PLUS_CREATE && own->version == S7PLUS_CONNECT))
		number = S7PLUS_SESSION;
	s->function = number;
	s->note = S7PLUS_ASKS;
	s7plus_past(s, own, S7PLUS_LEAST_REQUEST);
}

static __always_inline void s7plus_response(struct step *s,
					    struct s7plus_own *own,
					    const struct s7plus_shared *shared,
					    __u32 number)
{
	__u32 place;

	if (s->have < S7PLUS_LEAST)
		return need(s, S7PLUS_LEAST);
	place = s7plus_find(s, shared, number);
	if (place == S7PLUS_NONE)
		return bad(s, REASON_unsolicited);
	s->function = number;
	s->note = place;
	s7plus_past(s, own, S7PLUS_LEAST);
}

static __always_inline void s7plus_opcode(struct step *s,
					  struct s7plus_own *own,
					  struct s7plus_shared *shared)
{
	__u32 opcode = u8_at(s, 0), data = own->cotp.left - own->trailer;
	__u32 number;

	if (opcode != S7PLUS_REQUEST && opcode != S7PLUS_RESPONSE &&
	    opcode != S7PLUS_RESPONSE_2 && opcode != S7PLUS_NOTIFICATION)
		return bad(s, REASON_bad_function);
	if ((opcode == S7PLUS_REQUEST) == s->from_server)
		return bad(s, REASON_bad_direction);
	if (opcode == S7PLUS_NOTIFICATION) {
		s->function = S7PLUS_NOTIFIED;
		s->note = S7PLUS_NO_PAIR;
		return s7plus_past(s, own, 1);
	}
	if (data <
	    (opcode == S7PLUS_REQUEST ? S7PLUS_LEAST_REQUEST : S7PLUS_LEAST))
		return bad(s, REASON_bad_length);
	if (be16_at(s, 1))
		return bad(s, REASON_bad_value);
	if (s->have < 5)
		return need(s, S7PLUS_LEAST);
	number = forget(s, s7plus_number(be16_at(s, 3)));
	if (!number)
		return bad(s, REASON_bad_function);
	if (number == S7PLUS_ERROR && opcode == S7PLUS_REQUEST)
		return bad(s, REASON_bad_direction);
	if (be16_at(s, 5))
		return bad(s, REASON_bad_value);
	if (opcode == S7PLUS_REQUEST)
		s7plus_request(s, own, number);
	else
		s7plus_response(s, own, shared, number);
}

static __always_inline void s7plus_end(struct step *s, struct s7plus_own *own)
{
	if (u8_at(s, 0) != 0x72 || (s->have > 1 && u8_at(s, 1) != own->version))
		return bad(s, REASON_bad_magic);
	if (be16_at(s, 2)) /* its length */
		return bad(s, REASON_bad_length);
	if (s->have < S7PLUS_TRAILER)
		return need(s, S7PLUS_TRAILER);
	own->phase = S7PLUS_BETWEEN;
	cotp_past(s, &own->cotp, S7PLUS_TRAILER, 0);
}

/* ---- TLS ------------------------------------------------------------- */

/* One byte of a record header, RFC 8446 5.1, where DTs cut it as they like. */
static __always_inline void s7plus_record(struct step *s,
					  struct s7plus_own *own)
{
	__u32 byte = u8_at(s, 0), skip = 0;

	if (own->at == 0 && (byte < 20 || byte > 23))
		return bad(s, REASON_bad_magic);
	if (own->at == 1 && byte != 3)
		return bad(s, REASON_bad_magic);
	if (own->at == 2 && byte > 4)
		return bad(s, REASON_bad_value);
	if (own->at == 3 && byte > 72) /* 18432 bytes, RFC 5246 6.2.3 */
		return bad(s, REASON_bad_length);
	if (own->at == 4 && !own->record && !byte)
		return bad(s, REASON_bad_length);
	if (own->at == 3)
		own->record = byte << 8;
	if (own->at == 4)
		own->record |= byte;
	own->at++;
	if (own->at > 4) {
		skip = own->cotp.left - 1;
		if (skip > own->record)
			skip = own->record;
		own->record -= skip;
		own->at = own->record ? own->at : 0;
	}
	cotp_past(s, &own->cotp, 1, skip);
}

static __always_inline void s7plus_tls(struct step *s, struct s7plus_own *own,
				       struct s7plus_shared *shared)
{
	__u32 left = cotp_length(s) - COTP_HEAD, skip = 0;

	if (!(u8_at(s, 6) >> 7))
		return bad(s, REASON_bad_length);
	if (own->at > 4) { /* inside a record */
		skip = left < own->record ? left : own->record;
		own->record -= skip;
		own->at = own->record ? own->at : 0;
	}
	own->phase = S7PLUS_AT_TLS;
	cotp_walk_on(s, &own->cotp, &shared->link, COTP_HEAD, skip, left);
	if (!own->cotp.left)
		message_ends(s);
}

/* ---- the head of a DT's data ----------------------------------------- */

static __always_inline bool s7plus_version(const struct s7plus_own *own,
					   __u32 version)
{
	if (version == S7PLUS_EVENT)
		return true;
	if (own->more)
		return version == own->version;
	return version >= S7PLUS_CONNECT && version <= S7PLUS_INTEGRITY;
}

static __always_inline void s7plus_event(struct step *s, struct s7plus_own *own,
					 struct s7plus_shared *shared)
{
	__u32 here = cotp_length(s) - COTP_HEAD;

	if (be16_at(s, 9) + 4U != here || here < 12)
		return bad(s, REASON_bad_length);
	cotp_message(s, &own->cotp, &shared->link, S7PLUS_AT, here);
}

static __always_inline void s7plus_begin(struct step *s, struct s7plus_own *own,
					 struct s7plus_shared *shared)
{
	__u32 here = cotp_length(s) - COTP_HEAD, data = be16_at(s, 9);
	__u32 n = S7PLUS_AT, skip = 0, least = own->more ? 1 : 5;
	__u8 version = u8_at(s, 8);

	if (data + 4 != here && data + 4 + S7PLUS_TRAILER != here)
		return bad(s, REASON_bad_length);
	if (version == S7PLUS_INTEGRITY) {
		n++;
		skip = S7PLUS_HMAC;
		least += 1 + S7PLUS_HMAC;
	}
	if (data < least)
		return bad(s, REASON_bad_length);
	if (s->have < n)
		return need(s, n);
	if (skip && u8_at(s, S7PLUS_AT) != S7PLUS_HMAC)
		return bad(s, REASON_bad_value);
	own->version = version;
	own->trailer = here - 4 - data;
	own->phase = S7PLUS_AT_OPCODE;
	if (own->more) { /* opaque up to the trailer */
		skip = data - (n - S7PLUS_AT);
		own->more = !own->trailer;
		own->phase = own->trailer ? S7PLUS_AT_TRAILER : S7PLUS_BETWEEN;
	}
	cotp_walk_on(s, &own->cotp, &shared->link, n, skip, here);
}

static __always_inline void s7plus_pdu(struct step *s, struct s7plus_own *own,
				       struct s7plus_shared *shared)
{
	__u32 here = cotp_length(s) - COTP_HEAD;

	if (!(u8_at(s, 6) >> 7) || here < 5) /* never cut by COTP */
		return bad(s, REASON_bad_length);
	if (s->have > 7 && u8_at(s, 7) != COTP_S7COMM_PLUS)
		return bad(s, REASON_bad_magic);
	if (s->have > 8 && !s7plus_version(own, u8_at(s, 8)))
		return bad(s, REASON_bad_value);
	if (s->have < S7PLUS_AT)
		return need(s, S7PLUS_AT);
	if (u8_at(s, 8) == S7PLUS_EVENT)
		s7plus_event(s, own, shared);
	else
		s7plus_begin(s, own, shared);
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void s7plus_walk(struct step *s, struct s7plus_own *own,
					struct s7plus_shared *shared)
{
	switch (own->phase) {
	case S7PLUS_AT_OPCODE:
		s7plus_opcode(s, own, shared);
		return s7plus_remember(s, shared);
	case S7PLUS_AT_TRAILER:
		return s7plus_end(s, own);
	case S7PLUS_AT_TLS:
		return s7plus_record(s, own);
	}
	bad(s, REASON_internal);
}

static __always_inline void s7comm_plus_step(struct step *s, struct state *st)
{
	struct s7plus_own *own = (struct s7plus_own *)st->own;
	struct s7plus_shared *shared = (struct s7plus_shared *)st->shared;

	if (own->cotp.left)
		return s7plus_walk(s, own, shared);
	if (!cotp_step(s, st, &own->cotp, &shared->link, COTP_S7COMM_PLUS))
		return;
	if (shared->tls)
		s7plus_tls(s, own, shared);
	else
		s7plus_pdu(s, own, shared);
}

#endif
