/* SPDX-License-Identifier: GPL-2.0-only */
/* NetBIOS datagram service: announcements of browsers, logon, messages.
 *
 * RFC 1002 4.4; what Windows sends in it is an SMB transaction to a mailslot,
 * [MS-MAIL] 2.2.1, judged up to the mailslot's name: what that one is told is
 * opaque. Other data may stand in a datagram too (5.3); nobody can say what it
 * is, so it has a function of its own, `raw`, for the policy to grant. So has
 * `fragment`, what goes on from another datagram.
 *
 * Nothing is answered, so nothing is paired, but what a distribution server is
 * asked (4.4.4). Whether the source that a datagram names is the one that sent
 * it is not looked at (some name port 0). Refused are scopes.
 */
#ifndef PORTCULLIS_PROTO_NBDS_H
#define PORTCULLIS_PROTO_NBDS_H

#include <stdbool.h>

#include "window.h"

#define nbds_FUNCTIONS(F)                                                      \
	F(1, "browser", read)                                                  \
	F(2, "netlogon", read)                                                 \
	F(3, "messenger", other)                                               \
	F(4, "mailslot", other)                                                \
	F(5, "raw", other)                                                     \
	F(6, "fragment", other)                                                \
	F(7, "error", read)                                                    \
	F(8, "query", read)

enum {
	NBDS_browser = 1,
	NBDS_netlogon,
	NBDS_messenger,
	NBDS_mailslot,
	NBDS_raw,
	NBDS_fragment,
	NBDS_error,
	NBDS_query,

	/* 4.4.1 */
	NBDS_direct_unique = 0x10,
	NBDS_direct_group,
	NBDS_broadcast,
	NBDS_is_error,
	NBDS_is_query,
	NBDS_positive,
	NBDS_negative,
	NBDS_more = 1, /* flags */
	NBDS_first = 2,

	NBDS_head = 14,
	NBDS_short_head = 10, /* of errors and queries */
	NBDS_two_names = 68,
	NBDS_letters = 33, /* and a zero */
	NBDS_longest = 1064,

	NBDS_smb = 32,
	NBDS_words = 17, /* fourteen, and three of setup */
	NBDS_block = 37, /* count, words, bytes */
	NBDS_slot = 17,	 /* "\MAILSLOT\BROWSE" and a zero */
};

enum nbds_phase {
	NBDS_AT_HEAD = 0,
	NBDS_AT_COUNT, /* the byte before a name */
	NBDS_AT_NAME,
	NBDS_AT_DATA,
	NBDS_AT_WORDS,
	NBDS_AT_SLOT,
};

struct nbds_own {
	__u8 phase; /* enum nbds_phase */
	__u8 flags;
	__u8 names;   /* to come */
	__u8 is_data; /* something follows the names */
	__u8 pad[20];
} __attribute__((may_alias));
_Static_assert(sizeof(struct nbds_own) == OWN_BYTES, "nbds: own");

struct nbds_shared {
	__u8 queries; /* without an answer */
	__u8 pad[31];
} __attribute__((may_alias));
_Static_assert(sizeof(struct nbds_shared) == SHARED_BYTES, "nbds: shared");

static __always_inline __u8 nbds_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		nbds_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- header, 4.4.1 --------------------------------------------------- */

/* 4.4.2: the length is that of names and data; the offset is of data, and only
 * the first has none. */
static __always_inline void nbds_transfer(struct step *s, struct nbds_own *own)
{
	__u32 length = be16_at(s, 10), offset = be16_at(s, 12);

	if (s->have < NBDS_head)
		return bad(s, REASON_truncated);
	if (length < NBDS_two_names || length > NBDS_longest)
		return bad(s, REASON_bad_length);
	if (length > s->left - NBDS_head)
		return bad(s, REASON_truncated);
	if (length < s->left - NBDS_head)
		return bad(s, REASON_trailing_bytes);
	if ((own->flags & NBDS_first) ? offset != 0 : offset == 0)
		return bad(s, REASON_bad_value);
	own->names = 2;
	own->is_data = length > NBDS_two_names;
	own->phase = NBDS_AT_COUNT;
	take(s, NBDS_head, 0);
}

/* 4.4.3: no such name, bad source or destination name. */
static __always_inline void nbds_error(struct step *s)
{
	__u8 code = u8_at(s, NBDS_short_head);

	if (s->have < NBDS_short_head + 1)
		return bad(s, REASON_truncated);
	if (code < 0x82 || code > 0x84)
		return bad(s, REASON_bad_value);
	if (s->left > NBDS_short_head + 1)
		return bad(s, REASON_trailing_bytes);
	s->function = NBDS_error;
	take(s, NBDS_short_head + 1, 0);
	message_ends(s);
}

/* 4.4.4: can it be distributed, asked and answered. */
static __always_inline void nbds_asks(struct step *s, struct nbds_own *own,
				      struct nbds_shared *h)
{
	bool is_query = u8_at(s, 0) == NBDS_is_query;

	if (is_query == !!s->from_server)
		return bad(s, REASON_bad_direction);
	if (s->left < NBDS_short_head + 34)
		return bad(s, REASON_truncated);
	if (s->left > NBDS_short_head + 34)
		return bad(s, REASON_trailing_bytes);
	if (!is_query && !h->queries)
		return bad(s, REASON_unsolicited);
	if (!is_query)
		h->queries--;
	else if (h->queries < 255)
		h->queries++;
	s->function = NBDS_query;
	own->flags = 0;
	own->names = 1;
	own->phase = NBDS_AT_COUNT;
	take(s, NBDS_short_head, 0);
}

static __always_inline void nbds_header(struct step *s, struct nbds_own *own,
					struct nbds_shared *h)
{
	__u8 type = u8_at(s, 0), flags = u8_at(s, 1);

	if (type < NBDS_direct_unique || type > NBDS_negative)
		return bad(s, REASON_bad_magic);
	if (s->have > 1 && flags & 0xf0)
		return bad(s, REASON_bad_value);
	if (s->have < NBDS_short_head)
		return bad(s, REASON_truncated);
	own->flags = flags;
	if (type <= NBDS_broadcast)
		return nbds_transfer(s, own);
	if (type == NBDS_is_error)
		return nbds_error(s);
	nbds_asks(s, own, h);
}

/* ---- names, 4.1 ------------------------------------------------------ */

static __always_inline void nbds_count(struct step *s, struct nbds_own *own)
{
	if (u8_at(s, 0) != 32)
		return bad(s, REASON_bad_value);
	own->phase = NBDS_AT_NAME;
	take(s, 1, 0);
}

/* Half a byte a letter, 'A' to 'P', and no scope behind them. */
static __always_inline void nbds_name(struct step *s, struct nbds_own *own)
{
	__u64 marks = 0;
	__u32 i;

	if (s->have < NBDS_letters)
		return bad(s, REASON_truncated);
	for (i = 0; i < 4; i++)
		marks |= word_at(s, i) - EACH_BYTE('A');
	if (marks & EACH_BYTE(0xf0) || u8_at(s, 32) != 0)
		return bad(s, REASON_bad_value);
	own->names--;
	own->phase = own->names ? NBDS_AT_COUNT : NBDS_AT_DATA;
	take(s, NBDS_letters, 0);
	if (own->names || own->is_data)
		return;
	if (own->flags & NBDS_first)
		s->function = NBDS_raw; /* empty */
	message_ends(s);
}

/* ---- what it carries ------------------------------------------------- */

static __always_inline void nbds_opaque(struct step *s, __u8 function)
{
	s->function = function;
	take(s, 1, s->left - 1);
	message_ends(s);
}

/* [MS-CIFS] 2.2.3.1: a transaction, which is a request. */
static __always_inline void nbds_data(struct step *s, struct nbds_own *own)
{
	if (!(own->flags & NBDS_first))
		return nbds_opaque(s, NBDS_fragment);
	if (le32_at(s, 0) != 0x424d53ffU || s->have < 4)
		return nbds_opaque(s, NBDS_raw);
	if (s->have < NBDS_smb)
		return bad(s, REASON_truncated);
	if (u8_at(s, 4) != 0x25)
		return bad(s, REASON_bad_function);
	if (u8_at(s, 9) & 0x80)
		return bad(s, REASON_bad_direction);
	own->phase = NBDS_AT_WORDS;
	take(s, NBDS_smb, 0);
}

/* [MS-MAIL] 2.2.1: no parameters, three words of setup: write, priority, class.
 * Offsets are from the SMB header; 69 bytes stand before the name. */
static __always_inline void nbds_words(struct step *s, struct nbds_own *own)
{
	__u32 data = le16_at(s, 23), offset = le16_at(s, 25);
	__u32 bytes = le16_at(s, 35), end = NBDS_smb + s->left;

	if (s->have < NBDS_block)
		return bad(s, REASON_truncated);
	if (u8_at(s, 0) != NBDS_words)
		return bad(s, REASON_bad_length);
	if (le16_at(s, 1) || le16_at(s, 19)) /* parameters */
		return bad(s, REASON_bad_value);
	if (u8_at(s, 27) != 3 || le16_at(s, 29) != 1)
		return bad(s, REASON_bad_value);
	if (le16_at(s, 33) - 1U > 1) /* class 1 or 2 */
		return bad(s, REASON_bad_value);
	if (!(own->flags & NBDS_more) &&
	    (offset + data > end || bytes > s->left - NBDS_block))
		return bad(s, REASON_bad_length);
	if (offset < NBDS_smb + NBDS_block)
		return bad(s, REASON_bad_length);
	own->phase = NBDS_AT_SLOT;
	take(s, NBDS_block, 0);
}

/* Is this the text, in letters of any case? */
static __always_inline bool nbds_is(const struct step *s, __u32 off,
				    const char *text, __u32 len)
{
	bool same = true;
	__u32 i;

	for (i = 0; i < len; i++)
		same &= ((u8_at(s, off + i) ^ (__u8)text[i]) &
			 (text[i] == '\\' ? 0xff : 0xdf)) == 0;
	return same;
}

static __always_inline void nbds_mailslot(struct step *s)
{
	__u32 number = NBDS_mailslot;

	if (s->left < NBDS_slot)
		return bad(s, REASON_truncated);
	if (!nbds_is(s, 0, "\\MAILSLOT\\", 10))
		return bad(s, REASON_bad_magic);
	if (nbds_is(s, 10, "BROWSE", 6) || nbds_is(s, 10, "LANMAN", 6))
		number = NBDS_browser;
	else if (nbds_is(s, 10, "NET\\", 4))
		number = NBDS_netlogon;
	else if (nbds_is(s, 10, "MESSNG", 6))
		number = NBDS_messenger;
	s->function = forget(s, number);
	take(s, NBDS_slot, s->left - NBDS_slot);
	message_ends(s);
}

static __always_inline void nbds_phases(struct step *s, struct nbds_own *own,
					struct nbds_shared *h)
{
	switch (own->phase) {
	case NBDS_AT_HEAD:
		return nbds_header(s, own, h);
	case NBDS_AT_COUNT:
		return nbds_count(s, own);
	case NBDS_AT_NAME:
		return nbds_name(s, own);
	case NBDS_AT_DATA:
		return nbds_data(s, own);
	case NBDS_AT_WORDS:
		return nbds_words(s, own);
	case NBDS_AT_SLOT:
		return nbds_mailslot(s);
	}
	bad(s, REASON_bad_order);
}

static __always_inline void nbds_step(struct step *s, struct state *st)
{
	if (s->l4 != TRANSPORT_udp)
		return bad(s, REASON_bad_value);
	nbds_phases(s, (struct nbds_own *)st->own,
		    (struct nbds_shared *)st->shared);
	read_anew();
	if (s->function != FUNCTION_none)
		says(s, s->function, nbds_class(s->function));
}

#endif
