/* SPDX-License-Identifier: GPL-2.0-only */
/* TPKT (RFC 1006, RFC 2126) and class 0 of the connection-oriented transport
 * protocol (X.224, ISO 8073): what S7comm, S7comm-plus and MMS stand on. Not a
 * protocol of its own: no row, no functions.
 *
 * All three begin with the same connect request (CR) and confirm (CC), and may
 * be expected on one port. Which one is spoken is told by the first byte of the
 * first data (DT). So a CR is not taken before that byte is seen behind it:
 * the step waits with the whole CR in hand, as window.h lets it. What the
 * server sends until then waits too. Since a step may wait for no more than
 * NEED_BYTES, a CR that leaves no room for the first data is told by its
 * called TSAP, and one longer than COTP_LONGEST_CONNECT is refused: that takes
 * two TSAPs of some 20 bytes, while the longest in use have 16.
 *
 * A CR that waits has said COTP_CONNECTS if its TSAPs are what the protocol
 * commonly uses: nothing is decided by that, but identify() reads it.
 *
 * A conversation that is picked up in its middle begins with data.
 */
#ifndef PORTCULLIS_PROTO_COTP_H
#define PORTCULLIS_PROTO_COTP_H

#include <stdbool.h>

#include "window.h"

/* X.224 13.1, the high half of the octet behind the length indicator; the
 * credit in the low half is zero in class 0. */
enum {
	COTP_ER = 0x70,
	COTP_DR = 0x80,
	COTP_CC = 0xd0,
	COTP_CR = 0xe0,
	COTP_DT = 0xf0,
};

enum {
	COTP_HEAD = 7, /* of a DT, TPKT included */
	COTP_LONGEST_CONNECT = NEED_BYTES - 1,
	COTP_PARAMETERS = 8, /* in one connect, at most */
	COTP_CONNECTS = 0,   /* no function has this number */
	COTP_UNBOUND = 255,

	/* X.224 13.3.4 */
	COTP_SIZE = 0xc0,
	COTP_CALLED = 0xc2,
	COTP_PREFERRED_SIZE = 0xf0,
};

/* First byte of the first data of a client: which protocol it is. */
enum cotp_user {
	COTP_MMS = 0x0d, /* a session CONNECT, X.225 8.3.1 */
	COTP_S7COMM = 0x32,
	COTP_S7COMM_PLUS = 0x72,
};

/* One direction. */
enum { COTP_NEW = 0, COTP_OPEN, COTP_CLOSED };

struct cotp {
	__u8 phase;
	__u8 pad;
	__u16 left;  /* bytes of this DT that are still to be judged */
	__u32 later; /* bytes of the message that stand in further DTs */
};

/* How the conversation began. */
enum { COTP_UNKNOWN = 0, COTP_CONNECTED, COTP_PICKED_UP };

struct cotp_link {
	__u8 begun;
	__u8 size; /* of a TPDU, as power of 2; 0: not agreed */
	__u16 ref; /* of the client */
};

/* ---- answering ------------------------------------------------------- */

static __always_inline __u32 cotp_length(const struct step *s)
{
	return be16_at(s, 2);
}

/* n bytes of a TPKT, and that skip of its bytes are opaque. */
static __always_inline void cotp_take(struct step *s, struct cotp *own,
				      struct cotp_link *link, __u32 n,
				      __u32 skip)
{
	if (link->begun == COTP_UNKNOWN)
		link->begun = COTP_PICKED_UP;
	own->phase = COTP_OPEN;
	take(s, n, skip);
}

/* Is the first DT of a message that is so long in all filled as it must be? */
static __always_inline bool cotp_fits(const struct step *s, __u32 message)
{
	__u32 here = cotp_length(s) - COTP_HEAD;

	return u8_at(s, 6) >> 7 ? here == message : here < message;
}

/* The first DT of a message is judged with n bytes, the rest is opaque. */
static __always_inline void cotp_message(struct step *s, struct cotp *own,
					 struct cotp_link *link, __u32 n,
					 __u32 message)
{
	own->later = message - (cotp_length(s) - COTP_HEAD);
	own->left = 0;
	cotp_take(s, own, link, n, cotp_length(s) - n);
	if (!own->later)
		message_ends(s);
}

/* As above, but there is more to be judged behind n + skip. */
static __always_inline void cotp_walk_on(struct step *s, struct cotp *own,
					 struct cotp_link *link, __u32 n,
					 __u32 skip, __u32 message)
{
	own->later = message - (cotp_length(s) - COTP_HEAD);
	own->left = cotp_length(s) - n - skip;
	cotp_take(s, own, link, n, skip);
}

/* Inside a DT: n bytes are judged, skip of them opaque. */
static __always_inline void cotp_past(struct step *s, struct cotp *own, __u32 n,
				      __u32 skip)
{
	own->left -= n + skip;
	take(s, n, skip);
	if (!own->left && !own->later)
		message_ends(s);
}

/* ---- TPKT and the head of the TPDU ----------------------------------- */

/* RFC 1006 6; X.224 13.2. The least that a length indicator may be. */
static __always_inline __u32 cotp_least(__u32 code)
{
	switch (code) {
	case COTP_DT:
		return 2;
	case COTP_ER:
		return 4;
	case COTP_CR:
	case COTP_CC:
	case COTP_DR:
		return 6;
	}
	return 0; /* of classes 1 to 4, or none at all */
}

/* True: the seven bytes that every TPKT has are there and legal. */
static __always_inline bool cotp_head(struct step *s)
{
	__u32 length = cotp_length(s), li = u8_at(s, 4), code = u8_at(s, 5);
	enum portcullis_reason reason = REASON_none;
	__u32 least = cotp_least(code);

	if (u8_at(s, 0) != 3 || u8_at(s, 1) != 0)
		reason = REASON_bad_magic;
	else if (s->have > 3 && length < COTP_HEAD)
		reason = REASON_bad_length;
	else if (s->have > 4 &&
		 (li < 2 || li == 3 || li == 255 || li + 5 > length))
		reason = REASON_bad_length;
	else if (s->have > 5 && !least)
		reason = REASON_bad_function;
	else if (s->have > 5 &&
		 (code == COTP_DT ? li != 2 : li < least || li + 5 != length))
		reason = REASON_bad_length; /* class 0: data only in DTs */
	else if (s->have > 5 && (code == COTP_CR || code == COTP_CC) &&
		 length > COTP_LONGEST_CONNECT)
		reason = REASON_too_long;
	if (reason)
		bad(s, reason);
	else if (s->have < COTP_HEAD)
		need(s, COTP_HEAD);
	return s->answer == STEP_unanswered;
}

/* ---- connect --------------------------------------------------------- */

/* X.224 13.3.4: C0 to C7, F0, and what other classes have: 85 to 89, 8B, F2.
 * (RDP puts a cookie or a request of its own here.) */
static __always_inline bool cotp_parameter(__u32 code)
{
	return (code >= 0xc0 && code <= 0xc7) || code == COTP_PREFERRED_SIZE ||
	       code == 0xf2 || (code >= 0x85 && code <= 0x89) || code == 0x8b;
}

/* S7: 01 PG, 02 OP, 03 others, then rack and slot. S7comm-plus: a name. */
static __always_inline __u8 cotp_user_of(const struct step *s, __u32 at,
					 __u32 length)
{
	__u32 first = u8_at(s, at);

	if (length > 2 && first >= 'A' && first <= 'Z')
		return COTP_S7COMM_PLUS;
	return length == 2 && first ? COTP_S7COMM : COTP_MMS;
}

/* What the parameters have said stands in step.note. */
static __always_inline __u8 cotp_size(const struct step *s)
{
	return s->note;
}

static __always_inline __u8 cotp_looks(const struct step *s)
{
	return s->note >> 8;
}

/* The parameter at s->n, as far as it is there; s->n goes on if it is whole. */
static __always_inline void cotp_one(struct step *s, struct state *st)
{
	__u32 at = s->n, code = u8_at(s, at), length = u8_at(s, at + 1);
	__u32 value = u8_at(s, at + 2), size = cotp_size(s);
	__u32 looks = cotp_looks(s);

	(void)st;
	if (!cotp_parameter(code))
		return bad(s, REASON_bad_value);
	if (at + 2 > cotp_length(s))
		return bad(s, REASON_bad_length);
	if (s->have < at + 2)
		return;
	if (at + 2 + length > cotp_length(s) ||
	    (code == COTP_SIZE && length != 1))
		return bad(s, REASON_bad_length);
	if (s->have < at + 2 + length)
		return;
	if (code == COTP_SIZE && (value < 7 || value > 13)) /* 128 to 8192 */
		return bad(s, REASON_bad_value);
	if (code == COTP_SIZE && size != COTP_UNBOUND)
		size = value;
	if (code == COTP_PREFERRED_SIZE)
		size = COTP_UNBOUND;
	if (code == COTP_CALLED)
		looks = cotp_user_of(s, at + 2, length);
	s->note = looks << 8 | size;
	s->n = at + 2 + length;
}
STEP_APART(cotp_one)

/* True: the whole connect TPDU is there and legal. */
static __always_inline bool cotp_connect(struct step *s, struct state *st)
{
	__u32 i, length = cotp_length(s);

	s->note = COTP_MMS << 8;
	s->n = 11;
	if (u8_at(s, 10)) { /* class and options */
		bad(s, REASON_bad_value);
		return false;
	}
	for (i = 0; i < COTP_PARAMETERS; i++) {
		if (s->answer != STEP_unanswered || s->n >= length ||
		    s->n >= s->have)
			break;
		cotp_one_apart(s, st);
	}
	if (s->answer != STEP_unanswered)
		return false;
	if (s->have < length)
		need(s, length);
	else if (s->n != length) /* more of them than anybody has */
		bad(s, REASON_bad_length);
	return s->answer == STEP_unanswered;
}

/* Is what follows the CR, as far as it is there, this protocol's? True: the
 * step is not answered, the CR may be taken. */
static __always_inline bool cotp_proved(struct step *s, __u8 user)
{
	__u32 looks = cotp_looks(s), at = forget(s, cotp_length(s));

	if (at > NEED_BYTES - 8) {
		if ((looks == COTP_S7COMM_PLUS) != (user == COTP_S7COMM_PLUS))
			bad(s, REASON_bad_value);
		return s->answer == STEP_unanswered;
	}
	if ((s->have > at && u8_at(s, at) != 3) || u8_at(s, at + 1))
		bad(s, REASON_bad_magic);
	else if (s->have > at + 4 && u8_at(s, at + 4) != 2)
		return true; /* no data: judged when its turn comes */
	else if (s->have > at + 3 && be16_at(s, at + 2) <= COTP_HEAD)
		return true; /* empty */
	else if (s->have > at + 7 && u8_at(s, at + 7) != user)
		bad(s, REASON_bad_magic);
	else if (s->have < at + 8)
		need(s, at + 8);
	s->ends = s->have == at;
	if (s->answer == STEP_need && looks == user)
		says(s, COTP_CONNECTS, CLASS_other);
	return s->answer == STEP_unanswered;
}

/* Nothing from the server is taken before the client has shown what is spoken.
 * True: it may be. */
static __always_inline bool cotp_may_answer(struct step *s,
					    const struct cotp_link *link)
{
	__u32 length = cotp_length(s);

	if (!s->from_server || link->begun != COTP_UNKNOWN)
		return true;
	if (length > COTP_LONGEST_CONNECT)
		bad(s, REASON_too_long);
	else if (s->have > length)
		bad(s, REASON_bad_order);
	else
		need(s, length + 1);
	s->ends = s->have == length;
	return false;
}

/* May one come here, and of this connection? */
static __always_inline enum portcullis_reason
cotp_may_connect(const struct step *s, const struct cotp *own,
		 const struct cotp_link *link, bool request)
{
	if (s->from_server == request)
		return REASON_bad_direction;
	if (own->phase != COTP_NEW)
		return REASON_bad_order;
	if (request && link->begun != COTP_UNKNOWN)
		return REASON_bad_order;
	if (link->begun == COTP_PICKED_UP)
		return REASON_bad_order;
	if (request && be16_at(s, 6))
		return REASON_bad_value;
	if (link->begun == COTP_CONNECTED && s->have > 7 &&
	    be16_at(s, 6) != link->ref)
		return REASON_unsolicited;
	return REASON_none;
}

/* X.224 13.3 and 13.4. */
static __always_inline void cotp_begin(struct step *s, struct state *st,
				       struct cotp *own, struct cotp_link *link,
				       __u8 user)
{
	bool request = u8_at(s, 5) == COTP_CR;
	enum portcullis_reason reason;

	reason = cotp_may_connect(s, own, link, request);
	if (reason)
		return bad(s, reason);
	if (!cotp_connect(s, st))
		return;
	if (!(request ? cotp_proved(s, user) : cotp_may_answer(s, link)))
		return;
	if (request) {
		link->begun = COTP_CONNECTED;
		link->ref = be16_at(s, 8);
	} else {
		link->size = cotp_size(s);
	}
	cotp_take(s, own, link, cotp_length(s), 0);
	message_ends(s);
}

/* ---- disconnect and error, X.224 13.5 and 13.12 ---------------------- */

static __always_inline void cotp_end(struct step *s, struct cotp *own,
				     struct cotp_link *link, __u32 code)
{
	__u32 at = code == COTP_DR ? 10 : 8, cause = u8_at(s, at);
	bool known = cause <= 3;

	if (code == COTP_DR && cause >= 128 && cause <= 138)
		known = true;
	if (own->later || (!s->from_server && link->begun == COTP_UNKNOWN))
		return bad(s, REASON_bad_order);
	if (!known)
		return bad(s, REASON_bad_value);
	if (s->have < at + 1)
		return need(s, at + 1);
	if (!cotp_may_answer(s, link))
		return;
	cotp_take(s, own, link, at + 1, cotp_length(s) - at - 1);
	own->phase = COTP_CLOSED;
	message_ends(s);
}

/* ---- data ------------------------------------------------------------ */

/* Siemens sends DTs without data and without the end mark to be heard of. As
 * the first of a conversation one proves nothing. */
static __always_inline void cotp_empty(struct step *s, struct cotp *own,
				       struct cotp_link *link, __u32 last)
{
	if (link->begun == COTP_UNKNOWN)
		return bad(s, REASON_bad_order);
	if (own->later && last)
		return bad(s, REASON_bad_length);
	cotp_take(s, own, link, COTP_HEAD, 0);
	if (!own->later)
		message_ends(s);
}

/* X.224 13.7. Some stacks number the TPDUs of class 0 too, and those that read
 * them look at the end mark alone. True: the first data of a message begins at
 * COTP_HEAD. */
static __always_inline bool cotp_data(struct step *s, struct cotp *own,
				      struct cotp_link *link)
{
	__u32 left = cotp_length(s) - COTP_HEAD, last = u8_at(s, 6) >> 7;

	if (own->phase == COTP_NEW && s->from_server &&
	    link->begun == COTP_CONNECTED) {
		bad(s, REASON_bad_order);
	} else if ((u8_at(s, 6) & 0x7f) && /* number: zero in class 0 */
		   !tolerates(s, QUIRK_tpdu_number)) {
		bad(s, REASON_bad_value);
	} else if (link->size && link->size != COTP_UNBOUND &&
		   left + 3 > 1U << (link->size & 15)) {
		bad(s, REASON_bad_length);
	} else if (!left) {
		cotp_empty(s, own, link, last);
	} else if (!own->later) {
		return true;
	} else if (left > own->later || (left == own->later) != last) {
		bad(s, REASON_bad_length);
	} else {
		own->later -= left;
		cotp_take(s, own, link, COTP_HEAD, left);
		if (!own->later)
			message_ends(s);
	}
	return false;
}

/* True: the first data of a message of the user begins at COTP_HEAD. */
static __always_inline bool cotp_step(struct step *s, struct state *st,
				      struct cotp *own, struct cotp_link *link,
				      __u8 user)
{
	__u32 code = u8_at(s, 5);

	if (own->phase == COTP_CLOSED)
		bad(s, REASON_bad_order);
	if (s->answer != STEP_unanswered || !cotp_head(s))
		return false;
	if (code == COTP_DT)
		return cotp_data(s, own, link);
	if (code == COTP_CR || code == COTP_CC)
		cotp_begin(s, st, own, link, user);
	else
		cotp_end(s, own, link, code);
	return false;
}

#endif
