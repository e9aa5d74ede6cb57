/* SPDX-License-Identifier: GPL-2.0-only */
/* HTTP/1.0 and 1.1, RFC 9112: start lines, header lines, bodies by
 * Content-Length or chunks, so that every message of a connection is judged,
 * pipelined ones too.
 *
 * Two readers must never see the end of a message at two places: whatever RFC
 * 9112 leaves to taste there is refused (`smuggling`). Refused as well:
 *	HTTP/0.9 (no head), absolute targets that Host contradicts;
 *	a switch of protocol by 101 (bad_order), but to WebSocket (RFC 6455) or
 *	HTTP/2 (RFC 7540 3.2), whose frames are followed both ways; and what a
 *	client sends before a CONNECT or a switch is answered;
 *	a 408 that a server sends unasked before it closes (RFC 9110 15.5.9).
 *
 * A reply without a length runs until the connection closes (RFC 9112 6.3):
 * it is opaque to the end of the flow. So are both sides behind 2xx to CONNECT.
 */
#ifndef PORTCULLIS_PROTO_HTTP_H
#define PORTCULLIS_PROTO_HTTP_H

#include <stdbool.h>

#include "http2.h"
#include "window.h"

/* The keyword is the method in lower case, '-' for '_'. TRACE reads nothing
 * but gives back what proxies added, credentials among it: admin. What runs
 * inside a WebSocket can not be told; it is said by the reply that grants it,
 * and a row that no request can spell; so is HTTP/2, which hides the methods.
 * Then come the methods of eventing (UPnP Device Architecture 1.0, 4): a device
 * that is subscribed to calls back, so neither read nor write admits them. The
 * last is said beside the method by a request that may be meant for another
 * host than the one that it goes to. */
#define http_FUNCTIONS(F)                                                      \
	F(1, "get", read)                                                      \
	F(2, "head", read)                                                     \
	F(3, "post", write)                                                    \
	F(4, "put", write)                                                     \
	F(5, "delete", write)                                                  \
	F(6, "options", read)                                                  \
	F(7, "patch", write)                                                   \
	F(8, "connect", admin)                                                 \
	F(9, "trace", admin)                                                   \
	F(10, "query", read)                                                   \
	F(11, "propfind", read)                                                \
	F(12, "report", read)                                                  \
	F(13, "search", read)                                                  \
	F(14, "proppatch", write)                                              \
	F(15, "mkcol", write)                                                  \
	F(16, "copy", write)                                                   \
	F(17, "move", write)                                                   \
	F(18, "lock", write)                                                   \
	F(19, "unlock", write)                                                 \
	F(20, "mkcalendar", write)                                             \
	F(21, "merge", write)                                                  \
	F(22, "checkout", write)                                               \
	F(23, "mkactivity", write)                                             \
	F(24, "bind", write)                                                   \
	F(25, "rebind", write)                                                 \
	F(26, "unbind", write)                                                 \
	F(27, "link", write)                                                   \
	F(28, "unlink", write)                                                 \
	F(29, "acl", admin)                                                    \
	F(30, "purge", admin)                                                  \
	F(31, "rpc-in-data", other)                                            \
	F(32, "rpc-out-data", other)                                           \
	F(33, "bits-post", other)                                              \
	F(34, "ccm-post", other)                                               \
	F(35, "websocket", admin)                                              \
	F(36, "subscribe", other)                                              \
	F(37, "unsubscribe", other)                                            \
	F(38, "notify", other)                                                 \
	F(39, "absolute-target", other)                                        \
	F(40, "upgrade-h2c", admin)

enum {
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_OPTIONS = 6,
	HTTP_CONNECT = 8,
	HTTP_TO_WEBSOCKET = 35,
	HTTP_TO_ABSOLUTE = 39,
	HTTP_TO_H2C = 40,

	HTTP_MOST_TARGET = 8192,
	HTTP_MOST_HEAD = 32768,
	HTTP_MOST_EXTENSION = 256,
	HTTP_OUTSTANDING = 16,
};

enum http_phase {
	HTTP_AT_START = 0,
	HTTP_AT_TARGET,
	HTTP_IN_AUTHORITY, /* of an absolute target */
	HTTP_IN_TARGET,
	HTTP_AT_VERSION,
	HTTP_IN_REASON,
	HTTP_AT_LINE,
	HTTP_IN_NAME,
	HTTP_IN_VALUE,
	HTTP_AT_HOST, /* Host's value, where it is compared */
	HTTP_IN_HOST,
	HTTP_AT_LENGTH, /* Content-Length's value */
	HTTP_IN_LENGTH,
	HTTP_AT_CODING, /* Transfer-Encoding's value */
	HTTP_AT_TAIL,	/* nothing but space is left of the value */
	HTTP_AT_OPTION, /* an element of Connection's value */
	HTTP_IN_OPTION,
	HTTP_AT_UPGRADE, /* Upgrade's value */
	HTTP_IN_SIZE,	 /* of a chunk */
	HTTP_IN_EXTENSION,
	HTTP_AT_CHUNK_END,
	HTTP_AT_END,   /* this side said that it sends no more */
	HTTP_IN_HTTP2, /* the rest of own is struct http2_own */
};

/* What the connection has become. */
enum {
	HTTP_IS_HTTP1 = 0,
	HTTP_IS_BETWEEN, /* the head that grants it has not ended */
	HTTP_IS_WEBSOCKET,
	HTTP_IS_HTTP2, /* the rest of shared is struct http2_shared */
	HTTP_IS_TUNNEL,
};

enum {
	HTTP_HAS_LENGTH = 1U << 0,
	HTTP_HAS_CODING = 1U << 1,
	HTTP_HAS_HOST = 1U << 2,
	HTTP_CLOSES = 1U << 3,
	HTTP_KEEPS = 1U << 4,
	HTTP_IS_10 = 1U << 5,
	HTTP_NO_BODY = 1U << 6, /* a reply whatever its head says */
	HTTP_INTERIM = 1U << 7, /* 1xx: the real reply is still to come */
	HTTP_EMPTY = 1U << 8,	/* 1xx and 204: nor may its head say so */
	HTTP_TRAILER = 1U << 9,
	HTTP_BLANK = 1U << 10,	   /* an empty line before the request */
	HTTP_WEBSOCKET = 1U << 11, /* offered, granted */
	HTTP_SWITCHES = 1U << 12,  /* a reply of 101 */
	HTTP_FRAGMENTS = 1U << 13, /* WebSocket: more of the message follows */
	HTTP_ABSOLUTE = 1U << 14,  /* the target named a host */
	HTTP_H2C = 1U << 15,	   /* offered, granted */
};

struct http_own {
	__u8 phase; /* enum http_phase */
	__u8 method;
	__u16 flags; /* HTTP_* of the message */
	__u16 head;  /* bytes of the head, or chunk line, so far */
	__u8 digits; /* of the chunk's size */
	__u8 pad;
	__u64 length; /* of body or chunk */
	__u64 host;   /* hash of the authority, or of Host, so far */
} __attribute__((may_alias));
_Static_assert(sizeof(struct http_own) == OWN_BYTES, "http: own");

/* Requests that no final reply has begun to answer, the oldest in bit 0. */
struct http_shared {
	__u16 is_head;
	__u16 is_connect;
	__u16 is_websocket; /* offers to become one */
	__u8 outstanding;
	__u8 switched;	 /* HTTP_IS_* */
	__u64 authority; /* hash of what the request's target named */
	__u16 is_h2c;	 /* offers to become HTTP/2 */
	__u8 pad[14];
} __attribute__((may_alias));
_Static_assert(sizeof(struct http_shared) == SHARED_BYTES, "http: shared");
_Static_assert(__builtin_offsetof(struct http_shared, switched) ==
		   __builtin_offsetof(struct http2_shared, outer),
	       "http: what outlives the switch to HTTP/2");

/* ---- words of eight bytes -------------------------------------------- */

/* The first n bytes of word i of a text, as a mask. */
static __always_inline __u64 http_mask(__u32 n, __u32 i)
{
	n = n > i * 8 ? n - i * 8 : 0;
	n = n < 8 ? n : 8;
	return ~(~0ULL << n * 4 << n * 4);
}

/* How many bytes from the start of the window on, of so many words, are text:
 * from `least` (0x20 or 0x21) on, but no DEL, no `stop`, nothing behind 0x7e
 * in ASCII. */
static __always_inline __u32 http_run(struct step *s, __u32 words, __u8 least,
				      __u8 stop, bool is_ascii)
{
	__u64 word, marks = 0;
	__u32 i;

	for (i = 0; i < words && !marks; i++) {
		word = word_at(s, i);
		marks = marks_below(word, least) | marks_same(word, 0x7f) |
			marks_same(word, stop);
		if (is_ascii)
			marks |= word & EACH_BYTE(0x80);
	}
	return forget(s, i * 8) - (marks ? 8 - bytes_before(marks) : 0);
}

/* RFC 9110 5.6.2 */
static __always_inline bool http_is_token(__u8 c)
{
	__u64 word = c < 64 ? 0x03ff6cfa00000000ULL : 0x57ffffffc7fffffeULL;

	return c < 128 && word >> c % 64 & 1;
}

static __always_inline bool http_is_space(__u8 c)
{
	return c == ' ' || c == '\t';
}

/* A text of at most 24 bytes, made into words by the compiler. */
#define HTTP_LETTER(c) ((c) >= 'a' && (c) <= 'z')
#define HTTP_BYTE(text, i, f)                                                  \
	((__u64)((i) < sizeof(text) - 1 ? f((text)[(i) % sizeof(text)]) : 0)   \
	 << (i) % 8 * 8)
#define HTTP_WORD(text, i, f)                                                  \
	(HTTP_BYTE(text, 8 * (i), f) | HTTP_BYTE(text, 8 * (i) + 1, f) |       \
	 HTTP_BYTE(text, 8 * (i) + 2, f) | HTTP_BYTE(text, 8 * (i) + 3, f) |   \
	 HTTP_BYTE(text, 8 * (i) + 4, f) | HTTP_BYTE(text, 8 * (i) + 5, f) |   \
	 HTTP_BYTE(text, 8 * (i) + 6, f) | HTTP_BYTE(text, 8 * (i) + 7, f))
#define HTTP_SAME(c) (__u8)(c)
#define HTTP_FULL(c) 0xff
#define HTTP_CASE(c) (HTTP_LETTER(c) ? 0x20 : 0)
#define HTTP_METHOD(c) (HTTP_LETTER(c) ? (c)-0x20 : (c) == '-' ? '_' : (c))

/* The words 0 to 2 of the window, and a mask of what is there of them. */
struct http_words {
	__u64 word[3];
	__u64 there[3];
};

static __always_inline void http_look(const struct step *s,
				      struct http_words *ret)
{
	__u32 i;

	for (i = 0; i < 3; i++) {
		ret->word[i] = word_at(s, i);
		ret->there[i] = http_mask(s->have, i);
	}
}

/* Does the window, as far as it goes, spell the text? Letters of it are in
 * lower case and match both. */
#define HTTP_SPELLS_WORD(w, text, i)                                           \
	((((w)->word[i] | HTTP_WORD(text, i, HTTP_CASE)) ^                     \
	  HTTP_WORD(text, i, HTTP_SAME)) &                                     \
	 (w)->there[i] & HTTP_WORD(text, i, HTTP_FULL))
#define HTTP_SPELLS(w, text)                                                   \
	(HTTP_SPELLS_WORD(w, text, 0) == 0 &&                                  \
	 HTTP_SPELLS_WORD(w, text, 1) == 0 &&                                  \
	 HTTP_SPELLS_WORD(w, text, 2) == 0)

static __always_inline __u32 http_least(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* ---- line ends ------------------------------------------------------- */

/* A CR stands at n. True: and its LF. Otherwise the step is answered. */
static __always_inline bool http_line_ends(struct step *s, __u32 n)
{
	if (s->have > n + 1) {
		if (u8_at(s, n + 1) == '\n')
			return true;
		bad(s, REASON_bad_text);
	} else if (n) {
		take(s, n, 0);
	} else {
		need(s, 2);
	}
	return false;
}

/* Text up to a CR LF, with tabs, behind which comes phase `then`. */
static __always_inline void http_text(struct step *s, struct http_own *own,
				      __u8 then)
{
	__u32 n = http_run(s, 8, 0x20, 0x7f, false);

	if (n >= s->have)
		return take(s, s->have, 0);
	if (u8_at(s, n) == '\t')
		return take(s, n + 1, 0);
	if (u8_at(s, n) != '\r')
		return bad(s, REASON_bad_text);
	if (!http_line_ends(s, n))
		return;
	own->phase = then;
	take(s, n + 2, 0);
}

/* ---- start lines ----------------------------------------------------- */

static __always_inline void http_method(struct step *s, struct http_own *own,
					struct http_shared *h, __u8 number,
					__u8 class, __u32 len)
{
	__u16 bit;

	if (s->have <= len)
		return need(s, s->have + 1);
	if (h->outstanding >= HTTP_OUTSTANDING)
		return bad(s, REASON_too_many_requests);
	bit = 1U << (h->outstanding & 15);
	h->is_head &= ~bit;
	h->is_connect &= ~bit;
	h->is_websocket &= ~bit;
	h->is_h2c &= ~bit;
	if (number == HTTP_HEAD)
		h->is_head |= bit;
	if (number == HTTP_CONNECT)
		h->is_connect |= bit;
	h->outstanding++;
	own->method = number;
	own->flags = 0;
	own->length = 0;
	own->phase = HTTP_AT_TARGET;
	says(s, number, class);
	take(s, len + 1, 0);
}

/* Of the first method that the window, as far as it goes, may be: number,
 * class and length, a byte each; 0: of none. */
static __always_inline __u32 http_find_method(const struct step *s)
{
	struct http_words w;
	__u32 found = 0;

	http_look(s, &w);
#define F(code, name, class)                                                   \
	if (!found && code != HTTP_TO_WEBSOCKET && code < HTTP_TO_ABSOLUTE &&  \
	    ((w.word[0] ^ HTTP_WORD(name " ", 0, HTTP_METHOD)) & w.there[0] &  \
	     HTTP_WORD(name " ", 0, HTTP_FULL)) == 0 &&                        \
	    ((w.word[1] ^ HTTP_WORD(name " ", 1, HTTP_METHOD)) & w.there[1] &  \
	     HTTP_WORD(name " ", 1, HTTP_FULL)) == 0)                          \
		found = code | CLASS_##class << 8 | (sizeof(name) - 1) << 16;
	http_FUNCTIONS(F);
#undef F
	return found;
}

static __always_inline void http_request(struct step *s, struct http_own *own,
					 struct http_shared *h)
{
	__u32 found;

	/* RFC 9110 9.3.6: it would be of the tunnel, or a request */
	if (h->switched || h->is_connect & ~(~0U << (h->outstanding & 31)))
		return bad(s, REASON_bad_order);
	/* One empty line may come before a request. RFC 9112 2.2 */
	if (u8_at(s, 0) == '\r' && !(own->flags & HTTP_BLANK)) {
		if (!http_line_ends(s, 0))
			return;
		own->flags |= HTTP_BLANK;
		return take(s, 2, 0);
	}
	found = forget(s, http_find_method(s));
	if (!found)
		return bad(s, http_is_token(u8_at(s, 0)) ? REASON_bad_function
							 : REASON_bad_magic);
	http_method(s, own, h, found & 0xff, found >> 8 & 0xff, found >> 16);
}

#define HTTP_HOST_START 0xcbf29ce484222325ULL

/* RFC 3986 3.2.2, without what can be written in two ways: no "%41" for A, no
 * user before a '@'. */
static __always_inline bool http_is_host(__u8 c)
{
	if (c < 64)
		return 0x07ff600000000000ULL >> c & 1;
	return c < 128 && 0x47fffffeaffffffeULL >> (c - 64) & 1;
}

/* The bytes of a host name, whose case means nothing, to the hash; how many
 * there were. Among these bytes | 0x20 makes no two equal but letters. */
static __always_inline __u32 http_host_run(const struct step *s,
					   struct http_own *own)
{
	__u64 host = own->host;
	__u32 n;

	for (n = 0; n < 16; n++) {
		__u8 c = u8_at(s, n);

		if (n >= s->have || !http_is_host(c))
			break;
		host = (host ^ (c | 0x20)) * 0x100000001b3ULL;
	}
	own->host = host;
	return n;
}

/* RFC 9112 3.2.2: every server must know it, though proxies alone are meant
 * to get it. */
static __always_inline void http_absolute(struct step *s, struct http_own *own)
{
	struct http_words w;

	http_look(s, &w);
	if (!HTTP_SPELLS(&w, "http://"))
		return bad(s, REASON_bad_value);
	if (s->have < 7)
		return need(s, 7);
	own->phase = HTTP_IN_AUTHORITY;
	own->host = HTTP_HOST_START;
	says(s, HTTP_TO_ABSOLUTE, CLASS_other);
	take(s, 7, 0);
}

static __always_inline void http_authority(struct step *s, struct http_own *own,
					   struct http_shared *h)
{
	__u32 n = http_host_run(s, own);
	__u8 c = u8_at(s, n);

	if (n)
		return take(s, n, 0);
	if ((c != '/' && c != '?' && c != ' ') || own->host == HTTP_HOST_START)
		return bad(s, REASON_bad_value);
	h->authority = own->host;
	own->flags |= HTTP_ABSOLUTE;
	own->phase = c == ' ' ? HTTP_AT_VERSION : HTTP_IN_TARGET;
	take(s, 1, 0);
}

/* RFC 9112 3.2: a path; "*" of OPTIONS; host and port of CONNECT. */
static __always_inline void http_target(struct step *s, struct http_own *own)
{
	__u8 c = u8_at(s, 0);

	if (own->method == HTTP_CONNECT) {
		if (c == '/' || c == '*' || c <= ' ' || c > 0x7e)
			return bad(s, REASON_bad_value);
	} else if (c == '*' && own->method == HTTP_OPTIONS) {
		if (s->have < 2)
			return need(s, 2);
		if (u8_at(s, 1) != ' ')
			return bad(s, REASON_bad_value);
	} else if (c != '/') {
		return http_absolute(s, own);
	}
	own->phase = HTTP_IN_TARGET;
	take(s, 1, 0);
}

static __always_inline void http_in_target(struct step *s, struct http_own *own)
{
	__u32 n = http_run(s, 8, 0x21, 0x7f, true);

	if (n >= s->have)
		return take(s, s->have, 0);
	if (u8_at(s, n) == '\r') /* HTTP/0.9 */
		return bad(s, REASON_bad_value);
	if (u8_at(s, n) != ' ')
		return bad(s, REASON_bad_text);
	own->phase = HTTP_AT_VERSION;
	take(s, n + 1, 0);
}

/* "HTTP/1." and 0 or 1, as far as the window goes. */
static __always_inline bool http_is_version(const struct step *s)
{
	__u32 n = http_least(s->have, 7);

	if ((word_at(s, 0) ^ HTTP_WORD("HTTP/1.", 0, HTTP_SAME)) &
	    http_mask(n, 0))
		return false;
	return s->have < 8 || u8_at(s, 7) == '0' || u8_at(s, 7) == '1';
}

static __always_inline void http_version(struct step *s, struct http_own *own)
{
	if (!http_is_version(s))
		return bad(s, REASON_bad_value);
	if ((s->have > 8 && u8_at(s, 8) != '\r') ||
	    (s->have > 9 && u8_at(s, 9) != '\n'))
		return bad(s, REASON_bad_text);
	if (s->have < 10)
		return need(s, 10);
	if (u8_at(s, 7) == '0')
		own->flags |= HTTP_IS_10;
	own->phase = HTTP_AT_LINE;
	take(s, 10, 0);
}

/* Three digits, 100 to 599, as far as the window goes. */
static __always_inline bool http_is_status(const struct step *s)
{
	__u8 a = u8_at(s, 9), b = u8_at(s, 10), c = u8_at(s, 11);

	if (s->have > 8 && u8_at(s, 8) != ' ')
		return false;
	if (s->have > 9 && (a < '1' || a > '5'))
		return false;
	if (s->have > 10 && (b < '0' || b > '9'))
		return false;
	return s->have < 12 || (c >= '0' && c <= '9');
}

/* Of a reply that begins: takes the request that it answers off the list. */
static __always_inline __u16 http_reply_flags(struct http_shared *h,
					      __u32 status)
{
	__u16 flags = 0;

	if (status == 101)
		flags =
		    HTTP_NO_BODY | HTTP_INTERIM | HTTP_EMPTY | HTTP_SWITCHES;
	else if (status < 200)
		return HTTP_NO_BODY | HTTP_INTERIM | HTTP_EMPTY;
	if (status == 204)
		flags = HTTP_NO_BODY | HTTP_EMPTY;
	if (status == 304 || h->is_head & 1)
		flags |= HTTP_NO_BODY;
	h->is_head >>= 1;
	h->is_connect >>= 1;
	h->is_websocket >>= 1;
	h->is_h2c >>= 1;
	h->outstanding--;
	return flags;
}

/* By this reply, if its head ends well: a number of HTTP_FUNCTIONS, or 0. */
static __always_inline __u8 http_becomes(const struct http_shared *h,
					 __u32 status)
{
	if (status / 100 == 2 && h->is_connect & 1)
		return HTTP_CONNECT;
	if (status != 101)
		return 0;
	return h->is_websocket & 1 ? HTTP_TO_WEBSOCKET : HTTP_TO_H2C;
}

static __always_inline void http_reply(struct step *s, struct http_own *own,
				       struct http_shared *h)
{
	__u32 status = (u8_at(s, 9) - '0') * 100 + (u8_at(s, 10) - '0') * 10 +
		       u8_at(s, 11) - '0';

	if (!http_is_version(s))
		return bad(s, REASON_bad_magic);
	if (!http_is_status(s))
		return bad(s, REASON_bad_value);
	if (h->outstanding == 0)
		return bad(s, REASON_unsolicited);
	if (h->switched)
		return bad(s, REASON_bad_order);
	if (s->have > 11 && status == 101 &&
	    (!((h->is_websocket | h->is_h2c) & 1) || h->outstanding != 1 ||
	     u8_at(s, 7) == '0'))
		return bad(s, REASON_bad_order);
	if (s->have > 12 && u8_at(s, 12) != ' ' && u8_at(s, 12) != '\r')
		return bad(s, REASON_bad_value);
	if (s->have < 13)
		return need(s, 13);
	own->method = http_becomes(h, status);
	if (own->method)
		h->switched = HTTP_IS_BETWEEN;
	if (status == 101)
		says(s, own->method, CLASS_admin);
	own->flags = http_reply_flags(h, status);
	if (u8_at(s, 7) == '0')
		own->flags |= HTTP_IS_10;
	own->length = 0;
	own->phase = HTTP_IN_REASON;
	take(s, 12, 0); /* the space belongs to the text */
}

/* ---- bodies ---------------------------------------------------------- */

/* A message has ended, or its last bytes are being skipped. */
static __always_inline void http_message_ends(struct step *s,
					      struct http_own *own)
{
	bool closes = own->flags & HTTP_CLOSES;

	if (own->flags & HTTP_IS_10 && !(own->flags & HTTP_KEEPS))
		closes = true;
	if (own->flags & HTTP_INTERIM)
		closes = false;
	own->phase = closes ? HTTP_AT_END : HTTP_AT_START;
	own->flags = 0;
	/* as HTTP/2 wants to find it, if that comes */
	own->method = 0;
	own->digits = 0;
	own->length = 0;
	own->host = 0;
	message_ends(s);
}

/* RFC 6455 4.1, RFC 7540 3.2: what the request offers; it is the last that is
 * outstanding, unless a hasty reply has overtaken its head. */
static __always_inline void http_offers(const struct http_own *own,
					struct http_shared *h)
{
	__u16 offers = own->flags & (HTTP_WEBSOCKET | HTTP_H2C);
	__u16 bit = 1U << ((h->outstanding - 1) & 15);

	if (own->flags & HTTP_IS_10 || !h->outstanding)
		return;
	if (offers == HTTP_WEBSOCKET && own->method == HTTP_GET)
		h->is_websocket |= bit;
	if (offers == HTTP_H2C && own->method != HTTP_CONNECT)
		h->is_h2c |= bit;
}

/* The head of the reply has ended that grants what the request offered. */
static __always_inline void http_switch(struct step *s, struct http_own *own,
					struct http_shared *h)
{
	__u16 grants = own->flags & (HTTP_WEBSOCKET | HTTP_H2C);
	__u8 to = own->method;

	if (to == HTTP_CONNECT) {
		/* RFC 9110 9.3.6: no length, which some would believe */
		if (own->flags & HTTP_HAS_CODING || own->length)
			return bad(s, REASON_smuggling);
		h->switched = HTTP_IS_TUNNEL;
		take(s, 2, SKIP_forever);
		return message_ends(s);
	}
	if (grants != (to == HTTP_TO_H2C ? HTTP_H2C : HTTP_WEBSOCKET))
		return bad(s, REASON_bad_order);
	if (own->flags & HTTP_HAS_CODING || own->length)
		return bad(s, REASON_smuggling);
	http_message_ends(s, own);
	take(s, 2, 0);
	if (to == HTTP_TO_H2C)
		http2_upgraded((struct http2_shared *)h);
	h->switched = to == HTTP_TO_H2C ? HTTP_IS_HTTP2 : HTTP_IS_WEBSOCKET;
}

/* The empty line: how long is the body? RFC 9112 6.3, in its order. */
static __always_inline void http_head_ends(struct step *s, struct http_own *own,
					   struct http_shared *h)
{
	if (!http_line_ends(s, 0))
		return;
	if (own->flags & HTTP_TRAILER) {
		take(s, 2, 0);
		return http_message_ends(s, own);
	}
	if (s->from_server && h->switched)
		return http_switch(s, own, h);
	if (!s->from_server)
		http_offers(own, h);
	/* RFC 9110 9.3.6: a body of it has no meaning */
	if (!s->from_server && own->method == HTTP_CONNECT &&
	    (own->flags & HTTP_HAS_CODING || own->length))
		return bad(s, REASON_smuggling);
	if (own->flags & HTTP_EMPTY &&
	    (own->flags & HTTP_HAS_CODING || own->length))
		return bad(s, REASON_smuggling);
	if (own->flags & HTTP_NO_BODY) {
		take(s, 2, 0);
		return http_message_ends(s, own);
	}
	if (own->flags & HTTP_HAS_CODING) {
		own->phase = HTTP_IN_SIZE;
		own->digits = 0;
		own->length = 0;
		return take(s, 2, 0);
	}
	if (s->from_server && !(own->flags & HTTP_HAS_LENGTH)) {
		take(s, 2, SKIP_forever);
		return message_ends(s);
	}
	take(s, 2, own->length);
	http_message_ends(s, own);
}

/* The line of a chunk's size ends at n. RFC 9112 7.1 */
static __always_inline void http_size_ends(struct step *s, struct http_own *own,
					   __u32 n)
{
	if (s->have > n + 1 && u8_at(s, n + 1) != '\n')
		return bad(s, REASON_smuggling);
	if (!http_line_ends(s, n))
		return;
	if (own->length == 0) {
		own->flags |= HTTP_TRAILER;
		own->phase = HTTP_AT_LINE;
	} else {
		own->phase = HTTP_AT_CHUNK_END;
	}
	take(s, n + 2, own->length);
	own->length = 0;
	own->digits = 0;
}

static __always_inline __u32 http_hex(__u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10U : 16;
}

static __always_inline void http_size(struct step *s, struct http_own *own)
{
	__u64 length = own->length;
	__u32 n;
	__u8 c;

	for (n = 0; n < 17; n++) {
		__u32 digit = http_hex(u8_at(s, n));

		if (n >= s->have || digit > 15)
			break;
		length = length << 4 | digit;
	}
	n = forget(s, n);
	if (own->digits + n > 16 || length >> 62)
		return bad(s, REASON_bad_length);
	own->length = length;
	own->digits += n;
	if (n >= s->have)
		return take(s, n, 0);
	c = u8_at(s, n);
	if (own->digits == 0 || (c != ';' && c != '\r'))
		return bad(s, REASON_smuggling);
	if (c == '\r')
		return http_size_ends(s, own, n);
	own->phase = HTTP_IN_EXTENSION;
	take(s, n + 1, 0);
}

static __always_inline void http_extension(struct step *s, struct http_own *own)
{
	__u32 n = http_run(s, 8, 0x20, 0x7f, false);

	if (n >= s->have)
		return take(s, s->have, 0);
	if (u8_at(s, n) == '\t')
		return take(s, n + 1, 0);
	if (u8_at(s, n) != '\r')
		return bad(s, REASON_smuggling);
	http_size_ends(s, own, n);
}

static __always_inline void http_chunk_end(struct step *s, struct http_own *own)
{
	if (u8_at(s, 0) != '\r' || (s->have > 1 && u8_at(s, 1) != '\n'))
		return bad(s, REASON_smuggling);
	if (s->have < 2)
		return need(s, 2);
	own->phase = HTTP_IN_SIZE;
	take(s, 2, 0);
}

/* ---- header lines ---------------------------------------------------- */

/* Which header decides what: the phase that reads its value, if `flags` of
 * the message let it be there. */
static __always_inline void http_special(struct step *s, struct http_own *own,
					 __u32 len, __u8 phase)
{
	__u16 length = HTTP_HAS_LENGTH, coding = HTTP_HAS_CODING;
	__u16 flags = own->flags;

	if (s->have < len)
		return need(s, s->have + 1);
	/* Twice, both, in a trailer, or a coding that 1.0 does not know. */
	if (phase == HTTP_AT_LENGTH) {
		if (flags & (length | coding | HTTP_TRAILER))
			return bad(s, REASON_smuggling);
		own->flags |= length;
	} else if (phase == HTTP_AT_CODING) {
		if (flags & (length | coding | HTTP_TRAILER | HTTP_IS_10))
			return bad(s, REASON_smuggling);
		own->flags |= coding;
	} else if (phase == HTTP_IN_VALUE) {
		if (flags & (HTTP_HAS_HOST | HTTP_TRAILER))
			return bad(s, REASON_smuggling);
		own->flags |= HTTP_HAS_HOST;
		own->host = HTTP_HOST_START;
		if (flags & HTTP_ABSOLUTE)
			phase = HTTP_AT_HOST;
	} else if (flags & HTTP_TRAILER) {
		phase = HTTP_IN_VALUE;
	}
	own->phase = phase;
	take(s, len, 0);
}

static __always_inline void http_name(struct step *s, struct http_own *own)
{
	bool is_start = own->phase == HTTP_AT_LINE;
	__u32 n;
	__u8 c;

	for (n = 0; n < 32; n++)
		if (n >= s->have || !http_is_token(u8_at(s, n)))
			break;
	n = forget(s, n);
	c = u8_at(s, n);
	own->phase = HTTP_IN_NAME;
	if (n >= s->have || n == 32)
		return take(s, n, 0);
	/* RFC 9112 5.1, 5.2: no space before the colon, no folded lines */
	if (http_is_space(c))
		return bad(s, REASON_smuggling);
	if (c != ':' || (is_start && n == 0))
		return bad(s, REASON_bad_text);
	own->phase = HTTP_IN_VALUE;
	take(s, n + 1, 0);
}

/* Of a header that decides something: the phase that reads its value << 8 |
 * the length of its name. 0: it is none. */
static __always_inline __u32 http_find_special(const struct step *s)
{
	struct http_words w;

	http_look(s, &w);
	if (HTTP_SPELLS(&w, "host:"))
		return HTTP_IN_VALUE << 8 | 5;
	if (HTTP_SPELLS(&w, "upgrade:"))
		return HTTP_AT_UPGRADE << 8 | 8;
	if (HTTP_SPELLS(&w, "connection:"))
		return HTTP_AT_OPTION << 8 | 11;
	if (HTTP_SPELLS(&w, "content-length:"))
		return HTTP_AT_LENGTH << 8 | 15;
	if (HTTP_SPELLS(&w, "transfer-encoding:"))
		return HTTP_AT_CODING << 8 | 18;
	return 0;
}

static __always_inline void http_line(struct step *s, struct http_own *own,
				      struct http_shared *h)
{
	__u32 special;

	if (u8_at(s, 0) == '\r')
		return http_head_ends(s, own, h);
	special = forget(s, http_find_special(s));
	if (special)
		return http_special(s, own, special & 0xff, special >> 8);
	http_name(s, own);
}

/* RFC 9112 3.2: the same as in an absolute target. */
static __always_inline void http_host(struct step *s, struct http_own *own,
				      const struct http_shared *h)
{
	__u8 c = u8_at(s, 0);
	__u32 n;

	if (own->phase == HTTP_AT_HOST && http_is_space(c))
		return take(s, 1, 0);
	n = http_host_run(s, own);
	if (n) {
		own->phase = HTTP_IN_HOST;
		return take(s, n, 0);
	}
	if ((c != '\r' && !http_is_space(c)) || own->host != h->authority)
		return bad(s, REASON_smuggling);
	if (c == '\r' && !http_line_ends(s, 0))
		return;
	own->phase = c == '\r' ? HTTP_AT_LINE : HTTP_AT_TAIL;
	take(s, c == '\r' ? 2 : 1, 0);
}

/* RFC 9110 8.6: digits, and nothing else. */
static __always_inline void http_length(struct step *s, struct http_own *own)
{
	bool is_start = own->phase == HTTP_AT_LENGTH;
	__u64 length = own->length;
	__u32 n;
	__u8 c = u8_at(s, 0);

	if (is_start && http_is_space(c))
		return take(s, 1, 0);
	for (n = 0; n < 16; n++) {
		c = u8_at(s, n);
		if (n >= s->have || c < '0' || c > '9')
			break;
		/* ten times this is still far below 2^63 */
		if (length >> 58)
			return bad(s, REASON_smuggling);
		length = length * 10 + c - '0';
	}
	n = forget(s, n);
	own->length = length;
	if (n) {
		own->phase = HTTP_IN_LENGTH;
		return take(s, n, 0);
	}
	if (is_start || (!http_is_space(c) && c != '\r'))
		return bad(s, REASON_smuggling);
	if (c == '\r' && !http_line_ends(s, 0))
		return;
	own->phase = c == '\r' ? HTTP_AT_LINE : HTTP_AT_TAIL;
	take(s, c == '\r' ? 2 : 1, 0);
}

/* "chunked", spelt so, alone: all readers know that. */
static __always_inline void http_coding(struct step *s, struct http_own *own)
{
	__u32 n = http_least(s->have, 7);

	if (http_is_space(u8_at(s, 0)))
		return take(s, 1, 0);
	if ((word_at(s, 0) ^ HTTP_WORD("chunked", 0, HTTP_SAME)) &
	    http_mask(n, 0))
		return bad(s, REASON_smuggling);
	if (s->have < 7)
		return need(s, 7);
	own->phase = HTTP_AT_TAIL;
	take(s, 7, 0);
}

static __always_inline void http_tail(struct step *s, struct http_own *own)
{
	if (http_is_space(u8_at(s, 0)))
		return take(s, 1, 0);
	if (u8_at(s, 0) != '\r')
		return bad(s, REASON_smuggling);
	if (!http_line_ends(s, 0))
		return;
	own->phase = HTTP_AT_LINE;
	take(s, 2, 0);
}

/* A connection option, RFC 9110 7.6.1. */
static __always_inline void http_option(struct step *s, struct http_own *own,
					__u32 len, __u16 flag)
{
	__u8 c = u8_at(s, len);

	if (s->have <= len)
		return need(s, s->have + 1);
	if (http_is_space(c) || c == ',' || c == '\r')
		own->flags |= flag;
	own->phase = HTTP_IN_OPTION;
	take(s, len, 0);
}

static __always_inline void http_in_option(struct step *s, struct http_own *own)
{
	__u32 n;
	__u8 c;

	n = http_run(s, 2, 0x20, ',', false);
	c = u8_at(s, n);
	if (n < s->have && c == '\r') {
		bool ends = http_line_ends(s, n);

		if (ends)
			take(s, n + 2, 0);
		if (s->answer == STEP_take)
			own->phase = ends ? HTTP_AT_LINE : HTTP_IN_OPTION;
		return;
	}
	own->phase = HTTP_IN_OPTION;
	if (n >= s->have || n == 16)
		return take(s, n, 0);
	if (c == ',')
		own->phase = HTTP_AT_OPTION;
	else if (c != '\t')
		return bad(s, REASON_bad_text);
	take(s, n + 1, 0);
}

static __always_inline void http_options(struct step *s, struct http_own *own)
{
	struct http_words w;

	if (http_is_space(u8_at(s, 0)))
		return take(s, 1, 0);
	http_look(s, &w);
	if (HTTP_SPELLS(&w, "close"))
		return http_option(s, own, 5, HTTP_CLOSES);
	if (HTTP_SPELLS(&w, "keep-alive"))
		return http_option(s, own, 10, HTTP_KEEPS);
	http_in_option(s, own);
}

/* One protocol, and it is WebSocket or HTTP/2; of any other offer nothing is
 * noted. */
static __always_inline void http_upgrade(struct step *s, struct http_own *own)
{
	struct http_words w;
	bool is_h2c;
	__u32 len;
	__u8 c;

	if (http_is_space(u8_at(s, 0)))
		return take(s, 1, 0);
	if (u8_at(s, 0) == '\r')
		return http_text(s, own, HTTP_AT_LINE);
	http_look(s, &w);
	is_h2c = HTTP_SPELLS(&w, "h2c");
	if (!is_h2c && !HTTP_SPELLS(&w, "websocket")) {
		own->phase = HTTP_IN_VALUE;
		return http_text(s, own, HTTP_AT_LINE);
	}
	len = forget(s, is_h2c ? 3 : 9);
	if (s->have <= len)
		return need(s, s->have + 1);
	c = u8_at(s, len);
	if (c == '\r' || http_is_space(c))
		own->flags |= is_h2c ? HTTP_H2C : HTTP_WEBSOCKET;
	own->phase = HTTP_IN_VALUE;
	take(s, len, 0);
}

/* ---- WebSocket ------------------------------------------------------- */

enum {
	WEBSOCKET_FINAL = 0x80,
	WEBSOCKET_PACKED = 0x40, /* RSV1: RFC 7692, permessage-deflate */
	WEBSOCKET_RESERVED = 0x30,
	WEBSOCKET_CONTINUES = 0,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PONG = 10,
	WEBSOCKET_MASKED = 0x80,
};

/* The first byte of a frame, RFC 6455 5.2, 5.4, 5.5. */
static __always_inline enum portcullis_reason
http_opcode(const struct http_own *own, __u8 first)
{
	__u8 opcode = first & 15;
	bool fragments = own->flags & HTTP_FRAGMENTS;

	if (first & WEBSOCKET_RESERVED ||
	    (opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) ||
	    opcode > WEBSOCKET_PONG)
		return REASON_bad_value;
	if (first & WEBSOCKET_PACKED &&
	    (opcode == WEBSOCKET_CONTINUES || opcode > WEBSOCKET_BINARY))
		return REASON_bad_value;
	if (opcode >= WEBSOCKET_CLOSE)
		return first & WEBSOCKET_FINAL ? REASON_none : REASON_bad_value;
	return fragments == (opcode == WEBSOCKET_CONTINUES) ? REASON_none
							    : REASON_bad_order;
}

/* Mask bit and length, in its shortest form. */
static __always_inline enum portcullis_reason
http_frame_length(const struct step *s, __u64 length)
{
	__u8 opcode = u8_at(s, 0) & 15, second = u8_at(s, 1);
	bool is_masked = second & WEBSOCKET_MASKED;

	if (s->have < 2)
		return REASON_none;
	if (is_masked == (s->from_server != 0))
		return REASON_bad_direction;
	second &= 127;
	if (opcode >= WEBSOCKET_CLOSE && second > 125)
		return REASON_bad_length;
	if (opcode == WEBSOCKET_CLOSE && second == 1)
		return REASON_bad_length;
	if (second == 126 && s->have > 3 && length < 126)
		return REASON_bad_length;
	if (second == 127 && length >> 62)
		return REASON_bad_length;
	if (second == 127 && s->have > 9 && length >> 16 == 0)
		return REASON_bad_length;
	return REASON_none;
}

static __always_inline void http_frame(struct step *s, struct http_own *own)
{
	__u8 opcode = u8_at(s, 0) & 15, second = u8_at(s, 1) & 127;
	enum portcullis_reason reason = http_opcode(own, u8_at(s, 0));
	__u64 length = second;
	__u32 n = s->from_server ? 2 : 6;

	if (second == 126) {
		length = be16_at(s, 2);
		n += 2;
	} else if (second == 127) {
		length = (__u64)be32_at(s, 2) << 32 | be32_at(s, 6);
		n += 8;
	}
	if (!reason)
		reason = http_frame_length(s, length);
	if (reason)
		return bad(s, reason);
	if (s->have < n)
		return need(s, n);
	if (opcode == WEBSOCKET_CLOSE) /* 5.5.1: the last of this side */
		own->phase = HTTP_AT_END;
	else if (opcode < WEBSOCKET_CLOSE && u8_at(s, 0) & WEBSOCKET_FINAL)
		own->flags &= ~HTTP_FRAGMENTS;
	else if (opcode < WEBSOCKET_CLOSE)
		own->flags |= HTTP_FRAGMENTS;
	take(s, n, length);
	message_ends(s);
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void http_judge(struct step *s, struct http_own *own,
				       struct http_shared *h)
{
	switch (own->phase) {
	case HTTP_AT_START:
		if (h->switched == HTTP_IS_WEBSOCKET)
			return http_frame(s, own);
		if (s->from_server)
			return http_reply(s, own, h);
		return http_request(s, own, h);
	case HTTP_AT_TARGET:
		return http_target(s, own);
	case HTTP_IN_AUTHORITY:
		return http_authority(s, own, h);
	case HTTP_IN_TARGET:
		return http_in_target(s, own);
	case HTTP_AT_VERSION:
		return http_version(s, own);
	case HTTP_IN_REASON:
	case HTTP_IN_VALUE:
		return http_text(s, own, HTTP_AT_LINE);
	case HTTP_AT_LINE:
		return http_line(s, own, h);
	case HTTP_IN_NAME:
		return http_name(s, own);
	case HTTP_AT_HOST:
	case HTTP_IN_HOST:
		return http_host(s, own, h);
	case HTTP_AT_LENGTH:
	case HTTP_IN_LENGTH:
		return http_length(s, own);
	case HTTP_AT_CODING:
		return http_coding(s, own);
	case HTTP_AT_TAIL:
		return http_tail(s, own);
	case HTTP_AT_OPTION:
		return http_options(s, own);
	case HTTP_IN_OPTION:
		return http_in_option(s, own);
	case HTTP_AT_UPGRADE:
		return http_upgrade(s, own);
	case HTTP_IN_SIZE:
		return http_size(s, own);
	case HTTP_IN_EXTENSION:
		return http_extension(s, own);
	case HTTP_AT_CHUNK_END:
		return http_chunk_end(s, own);
	}
	bad(s, REASON_bad_order); /* HTTP_AT_END */
}

static __always_inline void http_in_http1(struct step *s, struct state *st)
{
	struct http_own *own = (struct http_own *)st->own;
	struct http_shared *h = (struct http_shared *)st->shared;
	__u16 most = HTTP_MOST_HEAD;

	if (h->switched == HTTP_IS_TUNNEL && !s->from_server) {
		take(s, s->have, SKIP_forever);
		return message_ends(s);
	}
	if (own->phase == HTTP_IN_TARGET || own->phase == HTTP_IN_AUTHORITY)
		most = HTTP_MOST_TARGET;
	else if (own->phase == HTTP_IN_EXTENSION)
		most = HTTP_MOST_EXTENSION;
	http_judge(s, own, h);
	if (s->answer != STEP_take)
		return;
	own->head += s->n;
	if (own->head > most)
		bad(s, REASON_too_long);
	if (s->ends || (own->phase == HTTP_IN_SIZE && own->digits == 0))
		own->head = 0;
}
STEP_APART(http_in_http1)

/* By Upgrade. What its frames say is admitted with that. */
static __always_inline void http_in_http2(struct step *s, struct state *st)
{
	struct http_own *own = (struct http_own *)st->own;

	http2_judge_apart(s, st);
	read_anew();
	if (s->answer == STEP_take)
		own->phase = HTTP_IN_HTTP2;
	s->function = FUNCTION_none;
}

/* Both stand apart, since the stack does not hold one above the other. */
static __always_inline void http_step(struct step *s, struct state *st)
{
	const struct http_own *own = (const struct http_own *)st->own;
	const struct http_shared *h = (const struct http_shared *)st->shared;

	if (h->switched == HTTP_IS_HTTP2 &&
	    (own->phase == HTTP_AT_START || own->phase == HTTP_IN_HTTP2))
		return http_in_http2(s, st);
	http_in_http1_apart(s, st);
}

#endif
