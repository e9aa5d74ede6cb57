/* SPDX-License-Identifier: GPL-2.0-only */
/* HTTP/2 with prior knowledge, RFC 9113: the preface, SETTINGS first from both
 * sides, then every frame by its type's length, flags, stream and order.
 *
 * Heads are compressed against all that went before (HPACK, RFC 7541), which
 * no window of bytes can follow: methods, paths and hosts are not told, and
 * neither is a CONNECT. Where they matter, demand HTTP/1. Nor are closed
 * streams told from open ones: a frame of a stream that was never opened is
 * refused, one of a stream that has ended is not. What a frame's header
 * reserves must be 0, as its sender is held to (4.1).
 *
 * Frames of types that are not known are passed over, as peers do (4.1, 5.5),
 * but not within a head.
 */
#ifndef PORTCULLIS_PROTO_HTTP2_H
#define PORTCULLIS_PROTO_HTTP2_H

#include <stdbool.h>

#include "window.h"

/* One more than the type of the frame. A request is HEADERS, whatever its
 * method: neither read nor write admits it. */
#define http2_FUNCTIONS(F)                                                     \
	F(1, "data", other)                                                    \
	F(2, "headers", other)                                                 \
	F(3, "priority", other)                                                \
	F(4, "rst-stream", other)                                              \
	F(5, "settings", other)                                                \
	F(6, "push-promise", other)                                            \
	F(7, "ping", other)                                                    \
	F(8, "goaway", other)                                                  \
	F(9, "window-update", other)                                           \
	F(10, "continuation", other)                                           \
	F(11, "altsvc", other)                                                 \
	F(13, "origin", other)                                                 \
	F(17, "priority-update", other)                                        \
	F(20, "unknown-frame", other)

enum {
	HTTP2_DATA = 0,
	HTTP2_HEADERS,
	HTTP2_PRIORITY,
	HTTP2_RST_STREAM,
	HTTP2_SETTINGS,
	HTTP2_PUSH_PROMISE,
	HTTP2_PING,
	HTTP2_GOAWAY,
	HTTP2_WINDOW_UPDATE,
	HTTP2_CONTINUATION,
	HTTP2_ALTSVC,		    /* RFC 7838 */
	HTTP2_ORIGIN = 12,	    /* RFC 8336 */
	HTTP2_PRIORITY_UPDATE = 16, /* RFC 9218 */
	HTTP2_unknown = 19,

	HTTP2_END_STREAM = 0x1,
	HTTP2_ACK = 0x1,
	HTTP2_END_HEADERS = 0x4,
	HTTP2_PADDED = 0x8,
	HTTP2_HAS_PRIORITY = 0x20,

	HTTP2_HEADER = 9,
	HTTP2_PREFACE = 24,
	HTTP2_LEAST_FRAME = 16384,   /* everybody takes that, 4.2 */
	HTTP2_MOST_FRAME = 16777215, /* 6.5.2 */
	HTTP2_MOST_HEAD = 1 << 20,   /* all its CONTINUATIONs, 10.5.1 */
};

enum http2_phase {
	HTTP2_AT_START = 0,
	HTTP2_AT_FIRST, /* SETTINGS behind the preface */
	HTTP2_AT_FRAME,
	HTTP2_IN_SETTINGS,
};

/* Bytes 0, and 2 to 6, are those of struct http_own, when HTTP/1 was first. */
struct http2_own {
	__u8 outer;
	__u8 phase; /* enum http2_phase */
	__u8 pad[6];
	__u32 open; /* stream whose head goes on in CONTINUATION, or 0 */
	__u32 head; /* bytes of that head */
	__u32 rest; /* of SETTINGS */
	__u32 pad2;
} __attribute__((may_alias));
_Static_assert(sizeof(struct http2_own) == OWN_BYTES, "http2: own");

/* [0] of the client, [1] of the server. What is counted stops at 255 and is not
 * demanded from there on. */
struct http2_shared {
	__u8 unacked[2]; /* SETTINGS sent */
	__u8 pings[2];	 /* sent and not answered */
	__u8 no_push;	 /* the client's ENABLE_PUSH is 0 */
	__u8 pad[2];
	__u8 outer;    /* HTTP/1's, when that was first */
	__u32 last[2]; /* highest stream opened, promised */
	__u32 most[2]; /* longest frame that it takes; 0: 16384 */
	__u8 pad2[8];
} __attribute__((may_alias));
_Static_assert(sizeof(struct http2_shared) == SHARED_BYTES, "http2: shared");

/* The 9 bytes, 4.1. */
struct http2_frame {
	__u32 length;
	__u8 type;
	__u8 flags;
	__u32 stream;
};

/* An upgrade from HTTP/1: the request has opened stream 1. RFC 7540 3.2 */
static __always_inline void http2_upgraded(struct http2_shared *h)
{
	__builtin_memset(h, 0, sizeof(*h));
	h->last[0] = 1;
}

static __always_inline void http2_count(__u8 *n)
{
	if (*n < 255)
		*n += 1;
}

/* An answer to what is counted in n; false: to nothing. */
static __always_inline bool http2_answers(__u8 *n)
{
	if (*n == 0)
		return false;
	if (*n < 255)
		*n -= 1;
	return true;
}

/* ---- preface, 3.4 ---------------------------------------------------- */

static __always_inline void http2_preface(struct step *s, struct http2_own *own)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	__u64 want, differs = 0;
	__u32 i, there;

	for (i = 0; i < HTTP2_PREFACE / 8; i++) {
		__builtin_memcpy(&want, preface + i * 8, 8);
		there = s->have > i * 8 ? s->have - i * 8 : 0;
		there = there < 8 ? there : 8;
		differs |=
		    (word_at(s, i) ^ want) & ~(~0ULL << there * 4 << there * 4);
	}
	if (differs)
		return bad(s, REASON_bad_magic);
	if (s->have < HTTP2_PREFACE)
		return need(s, HTTP2_PREFACE);
	own->phase = HTTP2_AT_FIRST;
	take(s, HTTP2_PREFACE, 0);
}

/* ---- a frame's header ------------------------------------------------ */

/* 4.1: others must be 0. */
static __always_inline __u8 http2_known_flags(__u8 type)
{
	switch (type) {
	case HTTP2_DATA:
		return HTTP2_END_STREAM | HTTP2_PADDED;
	case HTTP2_HEADERS:
		return HTTP2_END_STREAM | HTTP2_END_HEADERS | HTTP2_PADDED |
		       HTTP2_HAS_PRIORITY;
	case HTTP2_SETTINGS:
	case HTTP2_PING:
		return HTTP2_ACK;
	case HTTP2_PUSH_PROMISE:
		return HTTP2_END_HEADERS | HTTP2_PADDED;
	case HTTP2_CONTINUATION:
		/* END_STREAM means nothing there, and some set it */
		return HTTP2_END_HEADERS | HTTP2_END_STREAM;
	case HTTP2_PRIORITY:
	case HTTP2_RST_STREAM:
	case HTTP2_GOAWAY:
	case HTTP2_WINDOW_UPDATE:
	case HTTP2_PRIORITY_UPDATE:
		return 0;
	}
	return 0xff;
}

static __always_inline bool http2_is_length(const struct http2_frame *f)
{
	__u32 least = 0;

	switch (f->type) {
	case HTTP2_PRIORITY:
		return f->length == 5;
	case HTTP2_RST_STREAM:
	case HTTP2_WINDOW_UPDATE:
		return f->length == 4;
	case HTTP2_PING:
		return f->length == 8;
	case HTTP2_SETTINGS:
		return f->flags & HTTP2_ACK ? f->length == 0
					    : f->length % 6 == 0;
	case HTTP2_GOAWAY:
		return f->length >= 8;
	case HTTP2_ALTSVC:
		return f->length >= 2;
	case HTTP2_PRIORITY_UPDATE:
	case HTTP2_PUSH_PROMISE:
		least = 4;
		break;
	case HTTP2_HEADERS:
		least = f->flags & HTTP2_HAS_PRIORITY ? 5 : 0;
		break;
	}
	if (f->type <= HTTP2_PUSH_PROMISE && f->type != HTTP2_SETTINGS)
		least += f->flags & HTTP2_PADDED ? 1 : 0;
	return f->length >= least;
}

/* 6: what is of the connection has stream 0, the rest has another. */
static __always_inline bool http2_is_stream(const struct http2_frame *f)
{
	switch (f->type) {
	case HTTP2_SETTINGS:
	case HTTP2_PING:
	case HTTP2_GOAWAY:
	case HTTP2_ORIGIN:
	case HTTP2_PRIORITY_UPDATE:
		return f->stream == 0;
	case HTTP2_WINDOW_UPDATE:
	case HTTP2_ALTSVC:
		return true;
	}
	return f->type >= HTTP2_ALTSVC || f->stream;
}

/* Was the stream opened, or promised? 5.1.1 */
static __always_inline bool http2_was_opened(const struct http2_shared *h,
					     __u32 stream)
{
	return stream <= (stream & 1 ? h->last[0] : h->last[1]);
}

/* 6.2, 8.1: opens a stream, or ends one with a trailer; a server only replies
 * to what was opened or promised. */
static __always_inline enum portcullis_reason
http2_headers(const struct step *s, const struct http2_frame *f,
	      const struct http2_shared *h)
{
	if (s->from_server)
		return http2_was_opened(h, f->stream) ? REASON_none
						      : REASON_unsolicited;
	if (!(f->stream & 1))
		return REASON_bad_value;
	if (f->stream <= h->last[0] && !(f->flags & HTTP2_END_STREAM))
		return REASON_bad_order;
	return REASON_none;
}

/* What the type wants of the stream. */
static __always_inline enum portcullis_reason
http2_of_stream(const struct step *s, const struct http2_frame *f,
		const struct http2_shared *h)
{
	switch (f->type) {
	case HTTP2_HEADERS:
		return http2_headers(s, f, h);
	case HTTP2_PUSH_PROMISE:
		if (!s->from_server)
			return REASON_bad_direction;
		if (h->no_push && !h->unacked[0])
			return REASON_bad_order;
		return f->stream & 1 && f->stream <= h->last[0]
			   ? REASON_none
			   : REASON_bad_order;
	case HTTP2_DATA:
	case HTTP2_RST_STREAM:
	case HTTP2_WINDOW_UPDATE:
		return http2_was_opened(h, f->stream) ? REASON_none
						      : REASON_bad_order;
	case HTTP2_ORIGIN:
	case HTTP2_ALTSVC:
		return s->from_server ? REASON_none : REASON_bad_direction;
	case HTTP2_PRIORITY_UPDATE:
		return s->from_server ? REASON_bad_direction : REASON_none;
	}
	return REASON_none;
}

/* Length, type and flags, as far as they are there. */
static __always_inline enum portcullis_reason
http2_early(const struct step *s, const struct http2_frame *f,
	    const struct http2_own *own, const struct http2_shared *h)
{
	__u32 most = s->from_server ? h->most[0] : h->most[1];

	if (f->length > (most ? most : HTTP2_LEAST_FRAME))
		return REASON_too_long;
	if (s->have < 4)
		return REASON_none;
	if (own->phase != HTTP2_AT_FRAME && f->type != HTTP2_SETTINGS)
		return REASON_bad_order;
	/* 6.10: nothing comes between the parts of a head */
	if (!own->open == (f->type == HTTP2_CONTINUATION))
		return REASON_bad_order;
	if (s->have < 5)
		return REASON_none;
	if (own->phase != HTTP2_AT_FRAME && f->flags & HTTP2_ACK)
		return REASON_bad_order;
	if (f->flags & ~http2_known_flags(f->type))
		return REASON_bad_value;
	return http2_is_length(f) ? REASON_none : REASON_bad_length;
}

/* The header is there. */
static __always_inline enum portcullis_reason
http2_late(const struct step *s, const struct http2_frame *f,
	   const struct http2_own *own, const struct http2_shared *h)
{
	if (f->stream >> 31 || !http2_is_stream(f))
		return REASON_bad_value;
	if (own->open && f->stream != own->open)
		return REASON_bad_order;
	return http2_of_stream(s, f, h);
}

/* ---- frames ---------------------------------------------------------- */

/* The bytes of the payload that are looked at, behind the header. */
static __always_inline __u32 http2_looked_at(const struct http2_frame *f)
{
	__u32 n = 0;

	switch (f->type) {
	case HTTP2_WINDOW_UPDATE:
		return 4;
	case HTTP2_PRIORITY:
		return 5;
	case HTTP2_GOAWAY:
		return 8;
	case HTTP2_PUSH_PROMISE:
		n = 4;
		break;
	case HTTP2_HEADERS:
		n = f->flags & HTTP2_HAS_PRIORITY ? 5 : 0;
		break;
	case HTTP2_DATA:
		break;
	default:
		return 0;
	}
	return n + (f->flags & HTTP2_PADDED ? 1 : 0);
}

/* 6.1, 6.2, 6.6: padding, the priority of a stream, what is promised. `fixed`
 * bytes of the payload are no padding for certain, `word` is among them. */
static __always_inline enum portcullis_reason
http2_fields(const struct http2_frame *f, const struct http2_shared *h,
	     __u32 pad, __u32 word, __u32 fixed)
{
	if (pad + fixed > f->length)
		return REASON_bad_length;
	if (f->type == HTTP2_PUSH_PROMISE)
		return word >> 31 || word & 1 || word <= h->last[1]
			   ? REASON_bad_value
			   : REASON_none;
	if (f->type == HTTP2_WINDOW_UPDATE)
		return word >> 31 || !word ? REASON_bad_value : REASON_none;
	if (f->type == HTTP2_PRIORITY ||
	    (f->type == HTTP2_HEADERS && f->flags & HTTP2_HAS_PRIORITY))
		return (word & 0x7fffffff) == f->stream ? REASON_bad_value
							: REASON_none;
	return REASON_none;
}

/* What the frame changes. False: it answers nothing. */
static __always_inline bool http2_note(struct step *s,
				       const struct http2_frame *f,
				       struct http2_own *own,
				       struct http2_shared *h, __u32 word)
{
	__u32 me = s->from_server ? 1 : 0;

	if (f->type == HTTP2_PING) {
		if (f->flags & HTTP2_ACK)
			return http2_answers(&h->pings[1 - me]);
		http2_count(&h->pings[me]);
	} else if (f->type == HTTP2_SETTINGS) {
		if (f->flags & HTTP2_ACK)
			return http2_answers(&h->unacked[1 - me]);
		http2_count(&h->unacked[me]);
		own->rest = f->length;
	} else if (f->type == HTTP2_HEADERS && !me) {
		if (f->stream > h->last[0])
			h->last[0] = f->stream;
	} else if (f->type == HTTP2_PUSH_PROMISE) {
		h->last[1] = word;
	}
	return true;
}

/* 4.3, 6.10: a head may go on in other frames, but not for ever. */
static __always_inline void http2_head(const struct http2_frame *f,
				       struct http2_own *own)
{
	if (f->type != HTTP2_HEADERS && f->type != HTTP2_PUSH_PROMISE &&
	    f->type != HTTP2_CONTINUATION)
		return;
	own->head = own->open ? own->head + f->length : f->length;
	own->open = f->flags & HTTP2_END_HEADERS ? 0 : f->stream;
}

static __always_inline __u8 http2_function(__u8 type)
{
	if (type <= HTTP2_ALTSVC || type == HTTP2_ORIGIN ||
	    type == HTTP2_PRIORITY_UPDATE)
		return type + 1;
	return HTTP2_unknown + 1;
}

static __always_inline void http2_goes_on(struct step *s, struct http2_own *own,
					  const struct http2_frame *f, __u32 n)
{
	bool is_settings = f->type == HTTP2_SETTINGS && own->rest;

	own->phase = is_settings ? HTTP2_IN_SETTINGS : HTTP2_AT_FRAME;
	s->function = http2_function(f->type);
	take(s, n, is_settings ? 0 : f->length + HTTP2_HEADER - n);
	if (!is_settings)
		message_ends(s);
}

static __always_inline void http2_frame(struct step *s, struct http2_own *own,
					struct http2_shared *h)
{
	struct http2_frame f = {
		.length = be24_at(s, 0),
		.type = u8_at(s, 3),
		.flags = u8_at(s, 4),
		.stream = be32_at(s, 5),
	};
	bool is_padded, has_pad;
	enum portcullis_reason reason;
	__u32 n, pad = 0, word;

	reason = http2_early(s, &f, own, h);
	if (reason)
		return bad(s, reason);
	if (s->have < HTTP2_HEADER)
		return need(s, HTTP2_HEADER);
	reason = http2_late(s, &f, own, h);
	if (reason)
		return bad(s, reason);
	n = http2_looked_at(&f);
	if (s->have < HTTP2_HEADER + n)
		return need(s, HTTP2_HEADER + n);
	has_pad = f.type <= HTTP2_PUSH_PROMISE && f.type != HTTP2_SETTINGS;
	is_padded = has_pad && f.flags & HTTP2_PADDED;
	if (is_padded)
		pad = u8_at(s, HTTP2_HEADER);
	word =
	    is_padded ? be32_at(s, HTTP2_HEADER + 1) : be32_at(s, HTTP2_HEADER);
	reason = http2_fields(&f, h, pad, word, n);
	if (reason)
		return bad(s, reason);
	if (own->open && own->head + f.length > HTTP2_MOST_HEAD)
		return bad(s, REASON_too_long);
	if (!http2_note(s, &f, own, h, word))
		return bad(s, REASON_unsolicited);
	http2_head(&f, own);
	http2_goes_on(s, own, &f, HTTP2_HEADER + n);
}

/* ---- SETTINGS, 6.5 --------------------------------------------------- */

enum {
	HTTP2_ENABLE_PUSH = 2,
	HTTP2_WINDOW = 4,
	HTTP2_FRAME_SIZE = 5,
	HTTP2_ENABLE_CONNECT = 8, /* RFC 8441 */
	HTTP2_NO_PRIORITIES = 9,  /* RFC 9218 */
};

static __always_inline bool http2_is_setting(const struct step *s, __u16 id,
					     __u32 value)
{
	switch (id) {
	case HTTP2_ENABLE_PUSH:
		return value == 0 || (value == 1 && !s->from_server);
	case HTTP2_WINDOW:
		return value >> 31 == 0;
	case HTTP2_FRAME_SIZE:
		return value >= HTTP2_LEAST_FRAME && value <= HTTP2_MOST_FRAME;
	case HTTP2_ENABLE_CONNECT:
	case HTTP2_NO_PRIORITIES:
		return value <= 1;
	}
	return true;
}

/* A frame size that is taken back is still believed: until it is acknowledged
 * the other may use it. */
static __always_inline void http2_setting(struct step *s, struct http2_own *own,
					  struct http2_shared *h)
{
	__u32 value = be32_at(s, 2), me = s->from_server ? 1 : 0;
	__u16 id = be16_at(s, 0);

	if (s->have < 6)
		return need(s, 6);
	if (!http2_is_setting(s, id, value))
		return bad(s, REASON_bad_value);
	if (id == HTTP2_ENABLE_PUSH && !me)
		h->no_push = !value;
	if (id == HTTP2_FRAME_SIZE && me && value > h->most[1])
		h->most[1] = value;
	if (id == HTTP2_FRAME_SIZE && !me && value > h->most[0])
		h->most[0] = value;
	own->rest -= 6;
	take(s, 6, 0);
	if (own->rest)
		return;
	own->phase = HTTP2_AT_FRAME;
	message_ends(s);
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void http2_judge(struct step *s, struct state *st)
{
	struct http2_own *own = (struct http2_own *)st->own;
	struct http2_shared *h = (struct http2_shared *)st->shared;

	if (own->phase == HTTP2_IN_SETTINGS)
		return http2_setting(s, own, h);
	if (own->phase == HTTP2_AT_START && !s->from_server)
		return http2_preface(s, own);
	http2_frame(s, own, h);
}
STEP_APART(http2_judge)

static __always_inline void http2_step(struct step *s, struct state *st)
{
	http2_judge_apart(s, st);
	read_anew();
	if (s->function != FUNCTION_none)
		says(s, s->function, CLASS_other);
}

#endif
