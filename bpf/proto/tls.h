/* SPDX-License-Identifier: GPL-2.0-only */
/* TLS 1.0 to 1.3 and SSL 3: every record header of both directions to the end
 * of the flow. RFC 8446, RFC 5246, RFC 6101.
 *
 * While a direction is in clear its handshake is walked too: which messages,
 * in which order, how long, across records. After that only the five bytes of
 * each record header can be judged. What the connection speaks is learnt from
 * what follows the clear part: opaque handshake records (up to 1.2) or nothing
 * but application data (1.3).
 *
 * Refused: SSL 2 hellos (RFC 5246, E.2), heartbeat (RFC 6520), connection ids
 * of DTLS, empty records (no cipher makes one).
 */
#ifndef PORTCULLIS_PROTO_TLS_H
#define PORTCULLIS_PROTO_TLS_H

#include <stdbool.h>

#include "window.h"

#define tls_FUNCTIONS(F)

enum {
	TLS_CHANGE_CIPHER = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_DATA = 23,
};

enum {
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_TICKET = 4,
	TLS_CERTIFICATE_VERIFY = 15,
	TLS_KEY_EXCHANGE = 16,
};

/* One direction. */
enum tls_phase {
	TLS_AT_CLEAR = 0,
	TLS_AT_CHANGE, /* has sent its ChangeCipherSpec */
	TLS_AT_OPAQUE, /* encrypted, up to 1.2: all types */
	TLS_AT_DATA,   /* encrypted, 1.3: type 23 and nothing else */
	TLS_AT_END,    /* has closed with an alert in clear */
};

enum tls_mode { TLS_IS_OPEN = 0, TLS_IS_OLD, TLS_IS_13 };

/* Places in the order of messages, see tls_rank(). */
enum {
	TLS_RANK_HELLO = 1,
	TLS_RANK_EXCHANGE = 4, /* client */
	TLS_RANK_DONE = 7,     /* server */
	TLS_RANK_TICKET = 8,
};

#define TLS_BODY 0xff /* tls_own.at: behind the head of a message */

struct tls_own {
	__u8 phase; /* enum tls_phase */
	__u8 rank;  /* of the last handshake message; 0: none yet */
	__u8 at;    /* bytes of the message's head that were judged */
	__u8 type;
	__u8 minor;   /* version of the record */
	__u8 hellos;  /* sent by this side */
	__u8 changed; /* has sent a ChangeCipherSpec */
	__u8 sealed;  /* opaque handshake records since, up to 2 */
	__u16 record; /* bytes of a clear handshake record yet to be judged */
	__u16 pad;
	__u32 message; /* bytes of the handshake message to come */
	__u32 random;  /* first bytes of the server's */
	__u32 pad2;
} __attribute__((may_alias));
_Static_assert(sizeof(struct tls_own) == OWN_BYTES, "tls: own");

struct tls_shared {
	__u8 hellos;	     /* of the client */
	__u8 hello_done;     /* its last one is complete */
	__u8 client_minor;   /* highest version that it offers */
	__u8 is_version_set; /* the server has chosen */
	__u8 server_minor;
	__u8 mode;	  /* enum tls_mode */
	__u8 retry;	  /* HelloRetryRequest seen */
	__u8 server_rank; /* of the last complete message */
	__u8 client_changed;
	__u8 server_changed;
	__u8 pad[22];
} __attribute__((may_alias));
_Static_assert(sizeof(struct tls_shared) == SHARED_BYTES, "tls: shared");

/* RFC 5246 6.2.1: 2^14; RFC 8446 5.2: + 256; RFC 5246 6.2.3: + 2048. */
#define TLS_MOST_CLEAR 16384
#define TLS_MOST_13 (16384 + 256)
#define TLS_MOST_OLD (16384 + 2048)

/* The smallest ClientHello: version, random, no session, one suite, one
 * compression method; the longest: all vectors full. RFC 8446 4.1.2. */
#define TLS_LEAST_CLIENT_HELLO 41
#define TLS_MOST_CLIENT_HELLO 131396
#define TLS_LEAST_SERVER_HELLO 38
#define TLS_MOST_SERVER_HELLO 65607

/* Start of the random that marks a HelloRetryRequest. RFC 8446 4.1.3. */
#define TLS_RETRY_RANDOM 0xcf21ad74U

/* Order of the clear messages; 0: not one of this side. RFC 5246 7.3, with
 * supplemental data (23, RFC 4680), certificate status (22, RFC 6066) and
 * session ticket (4, RFC 5077). One digit a type, 0 the last. */
static __always_inline __u8 tls_rank(__u8 type, __u8 from_server)
{
	if (type == 23)
		return 2;
	if (type == 22)
		return from_server ? 4 : 0;
	if (type == TLS_KEY_EXCHANGE)
		return from_server ? 0 : TLS_RANK_EXCHANGE;
	if (type > 15)
		return 0;
	if (from_server)
		return 0x0765300000080100ULL >> (type * 4) & 0xf;
	return 0x5000300000000010ULL >> (type * 4) & 0xf;
}

static __always_inline __u8 tls_least(__u8 mode)
{
	/* Up to 1.2 no cipher with a MAC adds less than 16; 1.3 has an 8-byte
	 * tag (CCM_8) behind the inner type. */
	return mode == TLS_IS_OLD ? 16 : 9;
}

/* The five bytes of a record header as far as they are there. */
static __always_inline enum portcullis_reason
tls_header(const struct step *s, const struct tls_shared *h, __u32 most)
{
	__u8 type = u8_at(s, 0);

	if (type < TLS_CHANGE_CIPHER || type > TLS_DATA)
		return REASON_bad_magic;
	if (s->have > 1 && u8_at(s, 1) != 3)
		return REASON_bad_magic;
	/* Only the first hello may carry another version than the one chosen,
	 * and none says 03 04. RFC 8446 5.1. */
	if (s->have > 2 && u8_at(s, 2) > 3)
		return REASON_bad_value;
	if (s->have > 2 && h->is_version_set && u8_at(s, 2) != h->server_minor)
		return REASON_bad_value;
	if (s->have > 3 && be16_at(s, 3) > most)
		return REASON_bad_length;
	if (s->have > 4 && be16_at(s, 3) == 0)
		return REASON_bad_length;
	return REASON_none;
}

/* ---- encrypted ------------------------------------------------------- */

/* May an encrypted record of this type come here, and how short is it at
 * least? 0: no. */
static __always_inline __u32 tls_sealed_least(const struct tls_own *o,
					      const struct tls_shared *h,
					      __u8 type)
{
	if (type == TLS_DATA)
		return tls_least(h->mode);
	if (o->phase != TLS_AT_OPAQUE)
		return 0;
	if (type == TLS_HANDSHAKE)
		return 20; /* a HelloRequest and 16 */
	if (type == TLS_ALERT)
		return 18;
	/* Again only in a renegotiation: behind Finished and a new hello. */
	return o->sealed > 1 ? 17 : 0;
}

static __always_inline void tls_sealed(struct step *s, struct tls_own *o,
				       const struct tls_shared *h)
{
	__u32 most = h->mode == TLS_IS_OLD ? TLS_MOST_OLD : TLS_MOST_13;
	enum portcullis_reason reason = tls_header(s, h, most);
	__u8 type = u8_at(s, 0);
	__u32 least = tls_sealed_least(o, h, type);

	if (reason)
		return bad(s, reason);
	if (least == 0)
		return bad(s, REASON_bad_order);
	if (s->have < 5)
		return need(s, 5);
	if (be16_at(s, 3) < least)
		return bad(s, REASON_bad_length);
	if (type == TLS_HANDSHAKE && o->sealed < 2)
		o->sealed++;
	if (type == TLS_CHANGE_CIPHER)
		o->sealed = 0;
	take(s, 5, be16_at(s, 3));
	message_ends(s);
}

/* ---- the handshake in clear ------------------------------------------ */

/* Type byte of a message. */
static __always_inline enum portcullis_reason
tls_type(const struct step *s, const struct tls_own *o,
	 const struct tls_shared *h, __u8 type)
{
	__u8 rank = tls_rank(type, s->from_server);

	if (rank == 0)
		return tls_rank(type, !s->from_server) ? REASON_bad_direction
						       : REASON_bad_value;
	if (rank == TLS_RANK_HELLO) {
		if (s->from_server && !h->hello_done)
			return REASON_bad_order;
		if (o->rank == 0)
			return REASON_none;
		/* A second one answers a HelloRetryRequest. RFC 8446 4.1.2 */
		if (o->rank == TLS_RANK_HELLO && h->retry && o->hellos == 1 &&
		    (!s->from_server || h->hellos == 2))
			return REASON_none;
		return REASON_bad_order;
	}
	if (rank <= o->rank || o->rank == 0 || h->mode == TLS_IS_13)
		return REASON_bad_order;
	if (!s->from_server && h->server_rank != TLS_RANK_DONE)
		return REASON_bad_order;
	if (type == TLS_CERTIFICATE_VERIFY && o->rank != TLS_RANK_EXCHANGE)
		return REASON_bad_order;
	if (type == TLS_TICKET && s->from_server &&
	    (o->rank != TLS_RANK_HELLO) &&
	    (o->rank != TLS_RANK_DONE || !h->client_changed))
		return REASON_bad_order;
	return REASON_none;
}

static __always_inline __u8 tls_head(__u8 type)
{
	if (type == TLS_CLIENT_HELLO)
		return 6; /* and the version */
	if (type == TLS_SERVER_HELLO)
		return 10; /* and four bytes of the random */
	return 4;
}

static __always_inline bool tls_length_legal(__u8 type, __u32 length)
{
	switch (type) {
	case TLS_CLIENT_HELLO:
		return length >= TLS_LEAST_CLIENT_HELLO &&
		       length <= TLS_MOST_CLIENT_HELLO;
	case TLS_SERVER_HELLO:
		return length >= TLS_LEAST_SERVER_HELLO &&
		       length <= TLS_MOST_SERVER_HELLO;
	case 14: /* server_hello_done */
		return length == 0;
	}
	return true;
}

/* The head of a message is whole. */
static __always_inline enum portcullis_reason
tls_head_done(const struct step *s, struct tls_own *o, struct tls_shared *h)
{
	o->rank = tls_rank(o->type, s->from_server);
	if (o->rank != TLS_RANK_HELLO)
		return REASON_none;
	o->hellos = (o->hellos + 1) & 3;
	o->phase = TLS_AT_CLEAR;
	if (!s->from_server) {
		h->hellos = o->hellos;
		h->hello_done = 0;
		return REASON_none;
	}
	if (o->random == TLS_RETRY_RANDOM) {
		if (h->retry || h->server_minor != 3)
			return REASON_bad_order;
		h->retry = 1;
		h->mode = TLS_IS_13;
	}
	return REASON_none;
}

/* The body runs to the end of the message or of the record. */
static __always_inline void tls_body(struct step *s, struct tls_own *o,
				     struct tls_shared *h, __u32 n)
{
	__u32 skip = o->message < o->record ? o->message : o->record;

	o->message -= skip;
	o->record -= skip;
	o->at = TLS_BODY;
	if (o->message == 0) {
		o->at = 0;
		if (s->from_server)
			h->server_rank = o->rank;
		else
			h->hello_done = 1;
	}
	take(s, n, skip);
	if (o->record == 0)
		message_ends(s);
}

/* One byte of a message's head: records may cut it anywhere, and all of this
 * happens once a connection. */
static __always_inline void tls_head_byte(struct step *s, struct tls_own *o,
					  struct tls_shared *h)
{
	enum portcullis_reason reason = REASON_none;
	__u8 c = u8_at(s, 0);
	__u8 at = o->at;

	if (at == 0) {
		reason = tls_type(s, o, h, c);
		o->type = c;
		o->message = 0;
		o->random = 0;
	} else if (at < 4) {
		o->message = o->message << 8 | c;
		if (at == 3 && !tls_length_legal(o->type, o->message))
			reason = REASON_bad_length;
	} else if (at == 4) {
		if (c != 3)
			reason = REASON_bad_value;
	} else if (at == 5) {
		if (c > 3 || c < o->minor ||
		    (s->from_server && (c != o->minor || c > h->client_minor)))
			reason = REASON_bad_value;
		if (s->from_server) {
			h->server_minor = c;
			h->is_version_set = 1;
		} else {
			h->client_minor = c;
		}
	} else {
		o->random = o->random << 8 | c;
	}
	o->at = at + 1;
	o->record--;
	if (!reason && o->at == tls_head(o->type)) {
		o->message -= o->at - 4;
		reason = tls_head_done(s, o, h);
		if (!reason)
			return tls_body(s, o, h, 1);
	}
	if (reason)
		return bad(s, reason);
	take(s, 1, 0);
	if (o->record == 0)
		message_ends(s);
}

/* A handshake record in clear. */
static __always_inline void tls_handshake(struct step *s, struct tls_own *o,
					  struct tls_shared *h)
{
	o->minor = u8_at(s, 2);
	o->record = be16_at(s, 3);
	if (o->at == TLS_BODY)
		return tls_body(s, o, h, 5);
	take(s, 5, 0);
}

/* ---- other records in clear ------------------------------------------ */

/* RFC 8446 6, with those of old: RFC 5246 7.2, RFC 6101 5.4. A bit a code. */
static __always_inline bool tls_alert_legal(__u8 code)
{
	if (code < 64)
		return 0x100fff0040700401ULL >> code & 1;
	return code < 128 && (0x011fe010044100c0ULL >> (code - 64) & 1);
}

static __always_inline void tls_alert(struct step *s, struct tls_own *o)
{
	__u8 level = u8_at(s, 5);

	if (s->have > 4 && be16_at(s, 3) != 2)
		return bad(s, REASON_bad_length);
	if (s->have > 5 && level != 1 && level != 2)
		return bad(s, REASON_bad_value);
	if (s->have > 6 && !tls_alert_legal(u8_at(s, 6)))
		return bad(s, REASON_bad_value);
	if (s->have < 7)
		return need(s, 7);
	if (level == 2 || u8_at(s, 6) == 0)
		o->phase = TLS_AT_END;
	take(s, 7, 0);
	message_ends(s);
}

static __always_inline bool tls_may_change(const struct step *s,
					   const struct tls_own *o,
					   const struct tls_shared *h)
{
	if (o->changed || o->rank == 0)
		return false;
	if (o->rank == TLS_RANK_HELLO)
		return true; /* resumed, or for the eyes of middleboxes */
	if (s->from_server)
		return o->rank == TLS_RANK_TICKET ||
		       (o->rank == TLS_RANK_DONE && h->client_changed);
	return o->rank >= TLS_RANK_EXCHANGE;
}

static __always_inline void tls_change(struct step *s, struct tls_own *o,
				       struct tls_shared *h)
{
	if (!tls_may_change(s, o, h))
		return bad(s, REASON_bad_order);
	if (s->have > 4 && be16_at(s, 3) != 1)
		return bad(s, REASON_bad_length);
	if (s->have > 5 && u8_at(s, 5) != 1)
		return bad(s, REASON_bad_value);
	if (s->have < 6)
		return need(s, 6);
	o->changed = 1;
	o->phase = TLS_AT_CHANGE;
	if (s->from_server)
		h->server_changed = 1;
	else
		h->client_changed = 1;
	take(s, 6, 0);
	message_ends(s);
}

/* ---- from clear to encrypted ----------------------------------------- */

/* A side whose next handshake record is a hello in clear, whatever it sent. */
static __always_inline bool tls_owes_hello(const struct step *s,
					   const struct tls_own *o,
					   const struct tls_shared *h)
{
	if (!h->retry || o->hellos != 1)
		return false;
	return !s->from_server || h->hellos == 2;
}

/* The first handshake record behind a ChangeCipherSpec: Finished, up to 1.2. */
static __always_inline void tls_first_sealed(struct step *s, struct tls_own *o,
					     struct tls_shared *h)
{
	if (h->mode == TLS_IS_13)
		return bad(s, REASON_bad_order);
	/* Only the server begins when a session is resumed. RFC 5246 7.3 */
	if (!s->from_server && o->rank == TLS_RANK_HELLO && !h->server_changed)
		return bad(s, REASON_bad_order);
	if (s->have < 5)
		return need(s, 5);
	h->mode = TLS_IS_OLD;
	o->phase = TLS_AT_OPAQUE;
	tls_sealed(s, o, h);
}

/* Application data that no Finished came before: 1.3, of the client also
 * early data right behind its hello. RFC 8446 2.3. */
static __always_inline void tls_first_data(struct step *s, struct tls_own *o,
					   struct tls_shared *h)
{
	if (h->mode == TLS_IS_OLD || o->rank != TLS_RANK_HELLO ||
	    (s->from_server && h->retry && o->hellos < 2))
		return bad(s, REASON_bad_order);
	if (h->is_version_set && h->server_minor != 3)
		return bad(s, REASON_bad_order);
	if (s->have < 5)
		return need(s, 5);
	h->mode = TLS_IS_13;
	o->phase = TLS_AT_DATA;
	tls_sealed(s, o, h);
}

/* A record while the direction is in clear, or no longer quite. */
static __always_inline void tls_clear(struct step *s, struct tls_own *o,
				      struct tls_shared *h)
{
	__u8 type = u8_at(s, 0);
	__u32 most = TLS_MOST_CLEAR;
	enum portcullis_reason reason;

	if (type == TLS_DATA)
		most = TLS_MOST_13;
	else if (o->phase == TLS_AT_CHANGE)
		most = TLS_MOST_OLD;
	reason = tls_header(s, h, most);
	if (reason)
		return bad(s, reason);
	if (s->from_server && h->hellos == 0)
		return bad(s, REASON_unsolicited);
	/* No other record stands inside a message. RFC 8446 5.1 */
	if (o->phase == TLS_AT_END || (o->at && type != TLS_HANDSHAKE))
		return bad(s, REASON_bad_order);
	if (type == TLS_DATA)
		return tls_first_data(s, o, h);
	if (type == TLS_CHANGE_CIPHER)
		return tls_change(s, o, h);
	if (type == TLS_ALERT)
		return tls_alert(s, o);
	if (o->phase == TLS_AT_CHANGE && !tls_owes_hello(s, o, h))
		return tls_first_sealed(s, o, h);
	if (s->have < 5)
		return need(s, 5);
	tls_handshake(s, o, h);
}

/* The client's first record: eleven bytes that must be a ClientHello's. */
static __always_inline void tls_first(struct step *s, struct tls_own *o,
				      struct tls_shared *h)
{
	enum portcullis_reason reason = tls_header(s, h, TLS_MOST_CLEAR);
	__u32 length = be24_at(s, 6);

	if (u8_at(s, 0) != TLS_HANDSHAKE)
		reason = REASON_bad_magic;
	/* A head cut over records is legal, but no client cuts here. */
	else if (!reason && s->have > 4 && be16_at(s, 3) < 6)
		reason = REASON_bad_length;
	else if (!reason && s->have > 5 && u8_at(s, 5) != TLS_CLIENT_HELLO)
		reason = REASON_bad_order;
	else if (!reason && s->have > 6 && length > TLS_MOST_CLIENT_HELLO)
		reason = REASON_bad_length;
	else if (!reason && s->have > 8 && length < TLS_LEAST_CLIENT_HELLO)
		reason = REASON_bad_length;
	else if (!reason && s->have > 9 && u8_at(s, 9) != 3)
		reason = REASON_bad_value;
	else if (!reason && s->have > 10 &&
		 (u8_at(s, 10) > 3 || u8_at(s, 10) < u8_at(s, 2)))
		reason = REASON_bad_value;
	if (reason)
		return bad(s, reason);
	if (s->have < 11)
		return need(s, 11);
	o->record = be16_at(s, 3) - 6;
	o->message = length - 2;
	o->rank = TLS_RANK_HELLO;
	o->hellos = 1;
	h->hellos = 1;
	h->client_minor = u8_at(s, 10);
	tls_body(s, o, h, 11);
}

static __always_inline void tls_step(struct step *s, struct state *st)
{
	struct tls_own *o = (struct tls_own *)st->own;
	struct tls_shared *h = (struct tls_shared *)st->shared;

	if (o->record)
		return tls_head_byte(s, o, h);
	if (o->phase == TLS_AT_OPAQUE)
		return tls_sealed(s, o, h);
	if (o->phase == TLS_AT_DATA) {
		if (u8_at(s, 0) != TLS_HANDSHAKE || !tls_owes_hello(s, o, h))
			return tls_sealed(s, o, h);
	}
	if (!s->from_server && o->rank == 0)
		return tls_first(s, o, h);
	tls_clear(s, o, h);
}

#endif
