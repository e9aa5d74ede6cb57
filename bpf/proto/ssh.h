/* SPDX-License-Identifier: GPL-2.0-only */
/* SSH 2, RFC 4253: the identification line of each side, then binary packets
 * in clear up to and with NEWKEYS, both directions.
 *
 * Behind NEWKEYS a direction is opaque to the end of the flow: packet lengths
 * are encrypted or their form depends on the cipher chosen. Whatever runs
 * inside (shell, files, forwarded ports) can not be told, and is not.
 *
 * Two liberties that old peers take with 4.2 are let pass, for they have no
 * second meaning: a '-' in the software version ("Cisco-1.25", "libssh-0.7.2")
 * and an identification that ends in LF alone (OpenSSH 4.3, libssh 0.7). SSH 1
 * is refused.
 */
#ifndef PORTCULLIS_PROTO_SSH_H
#define PORTCULLIS_PROTO_SSH_H

#include <stdbool.h>

#include "window.h"

/* Said by the client's identification: what comes then is not to be known. */
#define ssh_FUNCTIONS(F) F(0, "session", admin)

enum {
	SSH_SESSION = 0, /* function */

	SSH_DISCONNECT = 1,
	SSH_IGNORE = 2,
	SSH_UNIMPLEMENTED = 3,
	SSH_DEBUG = 4,
	SSH_KEXINIT = 20,
	SSH_NEWKEYS = 21,
	SSH_KEX_FIRST = 30,
	SSH_KEX_LAST = 49,

	SSH_PIECE = 16,
	SSH_LONGEST_LINE = 255,	 /* with CR LF, 4.2 */
	SSH_LINES_BEFORE = 20,	 /* of the server, before that */
	SSH_BYTES_BEFORE = 1024, /* of all these lines */
	SSH_LEAST_PACKET = 12,	 /* behind the length field, 6 */
	SSH_MOST_PACKET = 34996, /* 35000 with it, 6.1 */
	SSH_LEAST_KEXINIT = 62,	 /* all ten lists empty, 7.1 */
	SSH_LISTS = 10,
	SSH_LISTS_NEEDED = 8, /* all but the languages, 7.1 */
};

enum ssh_phase {
	SSH_AT_LINE = 0, /* at the start of a line */
	SSH_AT_BEFORE,	 /* in a line before the identification */
	SSH_AT_IDENTIFICATION,
	SSH_AT_PACKET,
	SSH_AT_LIST, /* of a KEXINIT */
	SSH_AT_END,  /* has disconnected */
};

struct ssh_own {
	__u8 phase; /* enum ssh_phase */
	__u8 lines; /* before the identification */
	__u8 lists; /* of the KEXINIT that were walked */
	__u8 padding;
	__u8 has_cr;	 /* the last byte of the line so far */
	__u8 is_guessed; /* a kex packet follows the KEXINIT unasked */
	__u16 line;	 /* bytes of this line */
	__u16 before;	 /* bytes of all lines before the identification */
	__u16 left;	 /* bytes of the KEXINIT's payload to come */
	__u8 pad[12];
} __attribute__((may_alias));
_Static_assert(sizeof(struct ssh_own) == OWN_BYTES, "ssh: own");

/* [0] of the client, [1] of the server */
struct ssh_shared {
	__u8 kexinit[2];
	__u8 kex[2]; /* sent a packet of the key exchange's method */
	__u8 pad[28];
} __attribute__((may_alias));
_Static_assert(sizeof(struct ssh_shared) == SHARED_BYTES, "ssh: shared");

/* ---- lines ----------------------------------------------------------- */

/* Is the window, as far as it goes, `text` of len <= 9 bytes? */
static __always_inline bool ssh_starts(const struct step *s, const char *text,
				       __u32 len)
{
	__u32 i;

	for (i = 0; i < len; i++)
		if (i < s->have && u8_at(s, i) != (__u8)text[i])
			return false;
	return true;
}

/* 4.2, 5.1: 1.99 is what a server says that knows SSH 1 too. */
static __always_inline void ssh_identification(struct step *s,
					       struct ssh_own *own)
{
	__u32 n = 8;

	if (!ssh_starts(s, "SSH-2.0-", 8)) {
		n = 9;
		if (!ssh_starts(s, "SSH-1.99-", 9) || !s->from_server)
			return bad(s, REASON_bad_value);
	}
	if (s->have > n && (u8_at(s, n) <= ' ' || u8_at(s, n) > 0x7e))
		return bad(s, REASON_bad_text); /* no software version */
	if (s->have <= n)
		return need(s, n + 1);
	own->phase = SSH_AT_IDENTIFICATION;
	own->line = n;
	own->has_cr = 0;
	if (!s->from_server)
		says(s, SSH_SESSION, CLASS_admin);
	take(s, n, 0);
}

/* Lines before the identification are UTF-8. */
static __always_inline bool ssh_text(__u8 c, bool is_before)
{
	if (c < 0x20)
		return is_before && c == '\t';
	return c < 0x7f || (is_before && c > 0x7f);
}

/* A piece of a line: short, for the verifier goes through it byte by byte. */
static __always_inline void ssh_line(struct step *s, struct ssh_own *own)
{
	bool is_before = own->phase == SSH_AT_BEFORE;
	__u32 has_cr = own->has_cr, n;
	bool ended = false;

	for (n = 0; n < SSH_PIECE && n < s->have; n++) {
		__u8 c = u8_at(s, n);

		ended = c == '\n';
		if (ended)
			break;
		if (has_cr || (c != '\r' && !ssh_text(c, is_before)))
			return bad(s, REASON_bad_text);
		has_cr = c == '\r';
	}
	n = forget(s, n + ended);
	own->has_cr = has_cr && !ended;
	own->line += n;
	if (own->line + (ended ? 0 : 1) > SSH_LONGEST_LINE && !is_before)
		return bad(s, REASON_too_long);
	if (is_before) {
		own->before += n;
		if (own->before > SSH_BYTES_BEFORE)
			return bad(s, REASON_too_long);
	}
	take(s, n, 0);
	if (!ended)
		return;
	own->phase = is_before ? SSH_AT_LINE : SSH_AT_PACKET;
	if (!is_before)
		message_ends(s);
}

static __always_inline void ssh_line_start(struct step *s, struct ssh_own *own)
{
	if (ssh_starts(s, "SSH-", 4))
		return ssh_identification(s, own);
	if (!s->from_server)
		return bad(s, REASON_bad_magic);
	if (own->lines == SSH_LINES_BEFORE)
		return bad(s, REASON_too_long);
	own->lines++;
	own->phase = SSH_AT_BEFORE;
	own->line = 0;
	own->has_cr = 0;
	ssh_line(s, own);
}

/* ---- packets --------------------------------------------------------- */

/* May this message come now? 7, 7.3, 11, RFC 4250 4.1.2. */
static __always_inline enum portcullis_reason
ssh_number(const struct step *s, const struct ssh_own *own,
	   const struct ssh_shared *h, __u8 number)
{
	__u8 me = s->from_server ? 1 : 0;
	bool both = h->kexinit[0] && h->kexinit[1];

	if (number >= SSH_DISCONNECT && number <= SSH_DEBUG)
		return REASON_none;
	if (number == SSH_KEXINIT)
		return h->kexinit[me] ? REASON_bad_order : REASON_none;
	if (number >= SSH_KEX_FIRST && number <= SSH_KEX_LAST)
		return both || own->is_guessed ? REASON_none : REASON_bad_order;
	if (number == SSH_NEWKEYS)
		return both && h->kex[0] && h->kex[1] ? REASON_none
						      : REASON_bad_order;
	/* Requests, authentication, channels: never in clear. */
	return number == 0 ? REASON_bad_value : REASON_bad_order;
}

/* The payload as long as the message must be? */
static __always_inline bool ssh_payload_legal(__u8 number, __u32 payload)
{
	switch (number) {
	case SSH_DISCONNECT: /* code, text; the language is often left out */
		return payload >= 9;
	case SSH_IGNORE:
		return payload >= 5;
	case SSH_UNIMPLEMENTED:
		return payload == 5;
	case SSH_DEBUG:
		return payload >= 10;
	case SSH_KEXINIT:
		return payload >= SSH_LEAST_KEXINIT;
	case SSH_NEWKEYS:
		return payload == 1;
	}
	return payload >= 1;
}

/* Length, padding length and message number as far as they are there. 6 */
static __always_inline enum portcullis_reason
ssh_header(const struct step *s, const struct ssh_own *own,
	   const struct ssh_shared *h)
{
	__u32 length = be32_at(s, 0), padding = u8_at(s, 4);
	enum portcullis_reason reason;

	/* What is not there reads as zero: the least that it can become. */
	if (length > SSH_MOST_PACKET)
		return REASON_bad_length;
	if (s->have > 3 && (length < SSH_LEAST_PACKET || (length + 4) % 8))
		return REASON_bad_length;
	if (s->have > 4 && (padding < 4 || padding + 2 > length))
		return REASON_bad_length;
	if (s->have < 6)
		return REASON_none;
	reason = ssh_number(s, own, h, u8_at(s, 5));
	if (reason)
		return reason;
	return ssh_payload_legal(u8_at(s, 5), length - 1 - padding)
		   ? REASON_none
		   : REASON_bad_length;
}

static __always_inline void ssh_packet(struct step *s, struct ssh_own *own,
				       struct ssh_shared *h)
{
	__u8 number = u8_at(s, 5), me = s->from_server ? 1 : 0;
	enum portcullis_reason reason = ssh_header(s, own, h);
	__u32 length = be32_at(s, 0);

	if (reason)
		return bad(s, reason);
	if (s->have < 6)
		return need(s, 6);
	if (number == SSH_KEXINIT) {
		own->phase = SSH_AT_LIST;
		own->lists = 0;
		own->padding = u8_at(s, 4);
		own->left = length - 1 - own->padding - 17;
		h->kexinit[me] = 1;
		return take(s, 6, 16); /* the cookie */
	}
	if (number == SSH_DISCONNECT)
		own->phase = SSH_AT_END;
	if (number >= SSH_KEX_FIRST)
		h->kex[me] = 1;
	take(s, 6, number == SSH_NEWKEYS ? SKIP_forever : length - 2);
	message_ends(s);
}

/* 7.1: ten name-lists, first_kex_packet_follows and a zero. */
static __always_inline void ssh_list(struct step *s, struct ssh_own *own)
{
	__u32 length = be32_at(s, 0);
	__u32 room = own->left - 4 - 4 * (SSH_LISTS - own->lists - 1) - 5;

	if (length > room)
		return bad(s, REASON_bad_length);
	if (s->have < 4)
		return need(s, 4);
	if (length == 0 && own->lists < SSH_LISTS_NEEDED)
		return bad(s, REASON_bad_length);
	own->lists++;
	own->left -= 4 + length;
	if (own->lists == SSH_LISTS && own->left != 5)
		return bad(s, REASON_bad_length);
	take(s, 4, length);
}

static __always_inline void ssh_lists_end(struct step *s, struct ssh_own *own)
{
	if (u8_at(s, 0) > 1 || be32_at(s, 1) != 0)
		return bad(s, REASON_bad_value);
	if (s->have < 5)
		return need(s, 5);
	own->is_guessed = u8_at(s, 0);
	own->phase = SSH_AT_PACKET;
	take(s, 5, own->padding);
	message_ends(s);
}

static __always_inline void ssh_step(struct step *s, struct state *st)
{
	struct ssh_own *own = (struct ssh_own *)st->own;
	struct ssh_shared *h = (struct ssh_shared *)st->shared;

	switch (own->phase) {
	case SSH_AT_LINE:
		return ssh_line_start(s, own);
	case SSH_AT_BEFORE:
	case SSH_AT_IDENTIFICATION:
		return ssh_line(s, own);
	case SSH_AT_PACKET:
		return ssh_packet(s, own, h);
	case SSH_AT_LIST:
		if (own->lists < SSH_LISTS)
			return ssh_list(s, own);
		return ssh_lists_end(s, own);
	}
	bad(s, REASON_bad_order);
}

#endif
