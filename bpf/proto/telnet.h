/* SPDX-License-Identifier: GPL-2.0-only */
/* Telnet: commands and option negotiation strictly, text as far as it goes.
 *
 * RFC 854 (NVT), 855 (options), with the options that IANA lists.
 *
 * This is a weak check, and can be no other. Telnet has no frame and no first
 * message, and carries any text: a shell behind a plain socket looks like a
 * terminal. What is held to: every IAC sequence is one that exists, of an
 * option that exists; a subnegotiation is of an option that was offered or
 * asked for before; text is 7 bit without NUL until both sides have negotiated
 * (RFC 854, NVT; then anything goes, since terminals send 8 bit without
 * asking); a client writes text only when the server has spoken or it has
 * negotiated itself; and neither side begins as SSH, RFB, HTTP, SIP, Fox or
 * mail do. So binary protocols and the first messages of others are refused,
 * but who negotiates one option first may then say what he likes. Whether an
 * offer is answered is not demanded: RFC 855 gives no time for it.
 *
 * Opaque to the end is what follows the start of encryption (RFC 2946) and of
 * TLS (draft-altman-telnet-starttls).
 */
#ifndef PORTCULLIS_PROTO_TELNET_H
#define PORTCULLIS_PROTO_TELNET_H

#include <stdbool.h>

#include "window.h"

/* An option is said, as its number and one, by the side that offers or asks for
 * it; `session` by the client's first text, and commands by whom they come
 * from. */
#define telnet_FUNCTIONS(F)                                                    \
	F(1, "binary", other)                                                  \
	F(2, "echo", other)                                                    \
	F(3, "reconnection", other)                                            \
	F(4, "suppress-go-ahead", other)                                       \
	F(5, "message-size", other)                                            \
	F(6, "status", other)                                                  \
	F(7, "timing-mark", other)                                             \
	F(8, "remote-control", other)                                          \
	F(9, "line-width", other)                                              \
	F(10, "page-size", other)                                              \
	F(11, "carriage-return", other)                                        \
	F(12, "tab-stops", other)                                              \
	F(13, "tab-disposition", other)                                        \
	F(14, "formfeed", other)                                               \
	F(15, "vertical-tab-stops", other)                                     \
	F(16, "vertical-tab-disposition", other)                               \
	F(17, "linefeed", other)                                               \
	F(18, "extended-ascii", other)                                         \
	F(19, "logout", admin)                                                 \
	F(20, "byte-macro", other)                                             \
	F(21, "data-entry-terminal", other)                                    \
	F(22, "supdup", other)                                                 \
	F(23, "supdup-output", other)                                          \
	F(24, "send-location", other)                                          \
	F(25, "terminal-type", other)                                          \
	F(26, "end-of-record", other)                                          \
	F(27, "tacacs", admin)                                                 \
	F(28, "output-marking", other)                                         \
	F(29, "terminal-location", other)                                      \
	F(30, "regime-3270", other)                                            \
	F(31, "x3-pad", other)                                                 \
	F(32, "window-size", other)                                            \
	F(33, "terminal-speed", other)                                         \
	F(34, "flow-control", other)                                           \
	F(35, "linemode", other)                                               \
	F(36, "x-display", other)                                              \
	F(37, "environment", other)                                            \
	F(38, "authentication", admin)                                         \
	F(39, "encryption", admin)                                             \
	F(40, "new-environment", other)                                        \
	F(41, "tn3270e", other)                                                \
	F(42, "xauth", admin)                                                  \
	F(43, "charset", other)                                                \
	F(44, "remote-serial-port", admin)                                     \
	F(45, "com-port", admin)                                               \
	F(46, "suppress-local-echo", other)                                    \
	F(47, "start-tls", admin)                                              \
	F(48, "kermit", admin)                                                 \
	F(49, "send-url", other)                                               \
	F(50, "forward-x", admin)                                              \
	F(51, "pragma-logon", admin)                                           \
	F(52, "sspi-logon", admin)                                             \
	F(53, "pragma-heartbeat", other)                                       \
	F(60, "session", admin)                                                \
	F(61, "break", admin)                                                  \
	F(62, "interrupt-process", operate)                                    \
	F(63, "abort-output", other)                                           \
	F(64, "are-you-there", other)

enum {
	TELNET_session = 60,
	TELNET_break,

	TELNET_IAC = 255,
	TELNET_EOF = 236, /* RFC 1184; SUSP, ABORT, EOR (RFC 885) */
	TELNET_SE = 240,
	TELNET_BRK = 243,
	TELNET_AYT = 246,
	TELNET_SB = 250,
	TELNET_WILL = 251,
	TELNET_DO = 253,
	TELNET_options = 50, /* IANA: 0 to 49, 138 to 140 */
	TELNET_PRAGMA_LOGON = 138,
	TELNET_PRAGMA_HEARTBEAT = 140,
	TELNET_none = 63,
	TELNET_NAWS = 31,
	TELNET_encrypt = 38,
	TELNET_start_tls = 46,
	TELNET_most_sub = 4096,
};

enum telnet_phase {
	TELNET_AT_TEXT = 0,
	TELNET_AT_SUB, /* in a subnegotiation */
};

struct telnet_own {
	__u8 phase; /* enum telnet_phase */
	__u8 option;
	__u8 first; /* byte of the subnegotiation */
	__u8 has_begun;
	__u8 has_cr; /* the last byte was a CR */
	__u8 has_said;
	__u16 length; /* of the subnegotiation so far */
	__u8 pad[16];
} __attribute__((may_alias));
_Static_assert(sizeof(struct telnet_own) == OWN_BYTES, "telnet: own");

/* [0] of the client, [1] of the server */
struct telnet_shared {
	__u64 options; /* bit per option that was offered or asked for */
	__u8 spoke[2];
	__u8 negotiated[2];
	__u8 pad[20];
} __attribute__((may_alias));
_Static_assert(sizeof(struct telnet_shared) == SHARED_BYTES, "telnet: shared");

static __always_inline __u8 telnet_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		telnet_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- how others begin ------------------------------------------------ */

/* Bit `len` if the window, as far as it goes, begins with this text. Without a
 * branch, which would be walked for each text anew. */
static __always_inline __u32 telnet_begins(const struct step *s,
					   const char text[8], __u32 len)
{
	__u32 there = s->have < len ? s->have : len;
	__u64 want, differs;

	__builtin_memcpy(&want, text, 8);
	differs = (word_at(s, 0) ^ want) << (8 - there) * 8;
	differs = unpredicted(differs | -differs) >> 63;
	return (__u32)(differs ^ 1) << len;
}

/* 0: may be Telnet; 1: not to be told from another yet; 2: is another. */
static __always_inline __u32 telnet_foreign(struct step *s)
{
	__u32 begins = 0, there = s->have < 8 ? s->have : 8;

#define TELNET_FOREIGN(F)                                                      \
	F("SSH-\0\0\0", 4)                                                     \
	F("RFB 0\0\0", 5)                                                      \
	F("HTTP/\0\0", 5)                                                      \
	F("GET /\0\0", 5)                                                      \
	F("PUT /\0\0", 5)                                                      \
	F("POST /\0", 6)                                                       \
	F("HEAD /\0", 6)                                                       \
	F("DELETE ", 7)                                                        \
	F("TRACE /", 7)                                                        \
	F("PATCH /", 7)                                                        \
	F("NOTIFY ", 7)                                                        \
	F("OPTIONS", 7)                                                        \
	F("CONNECT", 7)                                                        \
	F("PRI * H", 7)                                                        \
	F("INVITE ", 7)                                                        \
	F("SIP/2.0", 7)                                                        \
	F("EHLO \0\0", 5)                                                      \
	F("HELO \0\0", 5)                                                      \
	F("fox a \0", 6)
#define F(text, len) begins |= telnet_begins(s, text, len);
	TELNET_FOREIGN(F)
#undef F
	begins = forget(s, begins);
	if (begins & ((2U << there) - 1))
		return 2;
	return begins ? 1 : 0;
}

/* ---- commands, RFC 854 ----------------------------------------------- */

/* The place of an option among those that IANA lists; TELNET_none. */
static __always_inline __u8 telnet_place(__u8 option)
{
	if (option < TELNET_options)
		return option;
	if (option >= TELNET_PRAGMA_LOGON && option <= TELNET_PRAGMA_HEARTBEAT)
		return option - TELNET_PRAGMA_LOGON + TELNET_options;
	return TELNET_none;
}

/* An offer or a refusal of an option; RFC 855. */
static __always_inline void telnet_option(struct step *s,
					  struct telnet_shared *h)
{
	__u8 verb = u8_at(s, 1), place = telnet_place(u8_at(s, 2));

	if (s->have > 2 && place == TELNET_none)
		return bad(s, REASON_bad_value);
	if (s->have < 3)
		return need(s, 3);
	if (verb == TELNET_WILL || verb == TELNET_DO) {
		h->options |= 1ULL << (place & 63);
		s->function = place + 1;
	}
	h->negotiated[s->from_server ? 1 : 0] = 1;
	h->spoke[s->from_server ? 1 : 0] = 1;
	take(s, 3, 0);
	message_ends(s);
}

static __always_inline void telnet_sub(struct step *s, struct telnet_own *own,
				       const struct telnet_shared *h)
{
	__u8 option = u8_at(s, 2), place = telnet_place(option);

	if (s->have > 2 && place == TELNET_none)
		return bad(s, REASON_bad_value);
	if (s->have > 2 && !(h->options >> (place & 63) & 1))
		return bad(s, REASON_bad_order);
	if (s->have < 3)
		return need(s, 3);
	own->phase = TELNET_AT_SUB;
	own->option = option;
	own->first = 0;
	own->length = 0;
	take(s, 3, 0);
}

static __always_inline void
telnet_command(struct step *s, struct telnet_own *own, struct telnet_shared *h)
{
	__u8 verb = u8_at(s, 1);

	if (s->have < 2)
		return need(s, 2);
	if (verb < TELNET_EOF || verb == TELNET_SE)
		return bad(s, REASON_bad_function);
	if (verb == TELNET_IAC) {
		/* a byte of data, and not one of 7 bits */
		if (!h->negotiated[0] || !h->negotiated[1])
			return bad(s, REASON_bad_text);
	} else if (verb >= TELNET_WILL) {
		return telnet_option(s, h);
	} else if (verb == TELNET_SB) {
		return telnet_sub(s, own, h);
	} else if (verb >= TELNET_BRK && verb <= TELNET_AYT) {
		s->function = verb - TELNET_BRK + TELNET_break;
	}
	h->spoke[s->from_server ? 1 : 0] = 1;
	own->has_cr = 0;
	take(s, 2, 0);
	message_ends(s);
}

/* ---- subnegotiation, RFC 855 ----------------------------------------- */

/* IAC SE behind it: what it was, and what it begins. */
static __always_inline void telnet_sub_end(struct step *s,
					   struct telnet_own *own)
{
	__u64 skip = 0;

	if (own->option == TELNET_NAWS && own->length != 4) /* RFC 1073 */
		return bad(s, REASON_bad_length);
	if (own->option == TELNET_encrypt && own->first == 3) /* START */
		skip = SKIP_forever;
	if (own->option == TELNET_start_tls && own->first == 1) /* FOLLOWS */
		skip = SKIP_forever;
	own->phase = TELNET_AT_TEXT;
	take(s, 2, skip);
	message_ends(s);
}

/* Bytes before the first IAC. */
static __always_inline __u32 telnet_run(const struct step *s, bool is_strict)
{
	__u32 i, n = 0, more;

	for (i = 0; i < WINDOW_BYTES / 8; i++) {
		__u64 word = word_at(s, i);
		__u64 marks = marks_same(word, TELNET_IAC);

		if (is_strict)
			marks = marks_below(word, 1) | (word & EACH_BYTE(0x80));
		more = bytes_before(marks);
		n += more;
		if (more < 8)
			break;
	}
	return n < s->have ? n : s->have;
}

static __always_inline void telnet_in_sub(struct step *s,
					  struct telnet_own *own)
{
	__u32 n = 2;

	if (u8_at(s, 0) == TELNET_IAC) {
		if (s->have < 2)
			return need(s, 2);
		if (u8_at(s, 1) == TELNET_SE)
			return telnet_sub_end(s, own);
		if (u8_at(s, 1) != TELNET_IAC)
			return bad(s, REASON_bad_function);
		own->length += 1;
	} else {
		n = forget(s, telnet_run(s, false));
		if (!own->length)
			own->first = u8_at(s, 0);
		own->length += n;
	}
	if (own->length > TELNET_most_sub)
		return bad(s, REASON_too_long);
	take(s, n, 0);
}

/* ---- text ------------------------------------------------------------ */

static __always_inline void telnet_text(struct step *s, struct telnet_own *own,
					struct telnet_shared *h)
{
	bool is_strict = !h->negotiated[0] || !h->negotiated[1];
	__u8 me = s->from_server ? 1 : 0;
	__u32 n;

	/* CR NUL is a CR */
	if (is_strict && u8_at(s, 0) == 0 && !own->has_cr)
		return bad(s, REASON_bad_text);
	if (is_strict && u8_at(s, 0) >= 0x80)
		return bad(s, REASON_bad_text);
	n = forget(s, telnet_run(s, is_strict));
	if (n == 0)
		n = 1; /* that NUL */
	own->has_cr = u8_at(s, n - 1) == '\r';
	h->spoke[me] = 1;
	if (!s->from_server && !own->has_said)
		s->function = TELNET_session;
	own->has_said = 1;
	take(s, n, 0);
	message_ends(s);
}

static __always_inline void
telnet_phases(struct step *s, struct telnet_own *own, struct telnet_shared *h)
{
	__u32 foreign;

	if (own->phase == TELNET_AT_SUB)
		return telnet_in_sub(s, own);
	if (u8_at(s, 0) == TELNET_IAC)
		return telnet_command(s, own, h);
	if (!s->from_server && !h->spoke[1] && !h->negotiated[0])
		return bad(s, REASON_bad_order);
	if (!own->has_begun) {
		foreign = telnet_foreign(s);
		if (foreign == 2)
			return bad(s, REASON_bad_magic);
		if (foreign == 1)
			return need(s, s->have + 1);
		own->has_begun = 1;
	}
	telnet_text(s, own, h);
}

static __always_inline void telnet_step(struct step *s, struct state *st)
{
	telnet_phases(s, (struct telnet_own *)st->own,
		      (struct telnet_shared *)st->shared);
	read_anew();
	if (s->function != FUNCTION_none)
		says(s, s->function, telnet_class(s->function));
}

#endif
