/* SPDX-License-Identifier: GPL-2.0-only */
/* DNP3 over TCP and UDP: link frames, transport segments, application headers
 * and the headers of every object in them. IEEE Std 1815-2012, clauses below.
 *
 * A frame is a header of eight bytes, then blocks of up to sixteen; each is
 * followed by its CRC, and each is judged when its last byte is there, so that
 * a fragment's bytes are judged in blocks that the receiver would not use
 * either before it has seen their CRC. The prefix of a block is judged too.
 *
 * The object headers are walked (11.2: group, variation, qualifier, range) and
 * data is counted, across blocks, frames and segments; values are opaque. The
 * step that judges a block knows function, group, variation and range. Groups
 * without a row in dnp3_sizes[] are refused: nothing could say where they end.
 *
 * Over UDP a datagram holds whole frames (13.2). What is known of a fragment
 * ends with its datagram: a segment that goes on with a fragment of an earlier
 * datagram is held to its CRCs and its place, its objects are opaque.
 *
 * The object walk of secure authentication (group 120) ends at its sizes.
 */
#ifndef PORTCULLIS_PROTO_DNP3_H
#define PORTCULLIS_PROTO_DNP3_H

#include <stdbool.h>

#include "window.h"

/* The number is the function code (4.2.2.5), but for link functions (9.2.4),
 * which stand above 64. A response tells the function that it answers;
 * confirmations and what the link layer needs to live (test, status, ack) tell
 * none, so that no rule can forget them.
 */
#define dnp3_FUNCTIONS(F)                                                      \
	F(1, "read", read)                                                     \
	F(2, "write", write)                                                   \
	F(3, "select", operate)                                                \
	F(4, "operate", operate)                                               \
	F(5, "direct-operate", operate)                                        \
	F(6, "direct-operate-no-response", operate)                            \
	F(7, "freeze", operate)                                                \
	F(8, "freeze-no-response", operate)                                    \
	F(9, "freeze-clear", operate)                                          \
	F(10, "freeze-clear-no-response", operate)                             \
	F(11, "freeze-at-time", operate)                                       \
	F(12, "freeze-at-time-no-response", operate)                           \
	F(13, "cold-restart", admin)                                           \
	F(14, "warm-restart", admin)                                           \
	F(15, "initialize-data", program)                                      \
	F(16, "initialize-application", program)                               \
	F(17, "start-application", program)                                    \
	F(18, "stop-application", program)                                     \
	F(19, "save-configuration", program)                                   \
	F(20, "enable-unsolicited", admin)                                     \
	F(21, "disable-unsolicited", admin)                                    \
	F(22, "assign-class", admin)                                           \
	F(23, "delay-measurement", admin)                                      \
	F(24, "record-current-time", admin)                                    \
	F(25, "open-file", admin)                                              \
	F(26, "close-file", admin)                                             \
	F(27, "delete-file", admin)                                            \
	F(28, "get-file-info", read)                                           \
	F(29, "authenticate-file", admin)                                      \
	F(30, "abort-file", admin)                                             \
	F(31, "activate-configuration", program)                               \
	F(32, "authenticate-request", other)                                   \
	F(33, "authenticate-request-no-response", other)                       \
	F(64, "reset-link", admin)                                             \
	F(65, "reset-user-process", admin)                                     \
	F(130, "unsolicited-response", read)

enum {
	DNP3_confirm = 0,
	DNP3_read = 1,
	DNP3_freeze_at_time = 11,
	DNP3_freeze_at_time_silent = 12,
	DNP3_assign_class = 22,
	DNP3_last_request = 33,
	DNP3_reset_link = 64,
	DNP3_reset_user = 65,
	DNP3_response = 129,
	DNP3_unsolicited = 130,
	DNP3_authentication = 131,

	DNP3_link_header = 10,
	DNP3_block = 16,
	DNP3_asked = 6,
	DNP3_forgotten = 64,

	DNP3_reserved = 0xfff0, /* 9.2.5 */
	DNP3_self = 0xfffc,
	DNP3_broadcast = 0xfffd, /* and two more */

	/* application control, 4.2.2.4 */
	DNP3_first = 0x80,
	DNP3_last = 0x40,
	DNP3_wants_confirm = 0x20,
	DNP3_spontaneous = 0x10,

	/* in the stead of a place, see dnp3_find() */
	DNP3_one_forgotten = DNP3_asked,
	DNP3_none,
};

enum {
	DNP3_head = 1U << 0,	  /* the frame's first block is to come */
	DNP3_master = 1U << 1,	  /* sent by a master */
	DNP3_final = 1U << 2,	  /* the fragment ends with this frame */
	DNP3_opaque = 1U << 3,	  /* begun in another datagram */
	DNP3_known = 1U << 4,	  /* function and walk are of this fragment */
	DNP3_elsewhere = 1U << 5, /* and this frame is of other stations */
};

struct dnp3_own {
	__u8 left; /* bytes of the frame to come, without CRCs */
	__u8 flags;
	__u8 function;
	__u8 got; /* bytes of an object header or of a size that are there */
	__u16 outstation;
	__u16 master;
	__u8 group;
	__u8 variation;
	__u8 qualifier;
	__u8 objects; /* to come, each behind its size */
	__u32 data;   /* bytes to be passed over */
	union {
		__u8 range[8];
		__u8 size[8];
	};
} __attribute__((may_alias));
_Static_assert(sizeof(struct dnp3_own) == OWN_BYTES, "dnp3: own");

/* Requests, the last ones: a response must carry the sequence of one of them
 * and come from where it went (4.2.2.4.7). It may come twice, for requests are
 * repeated, and in fragments, each one number further. A place that is given
 * up before its answer came is counted as forgotten: so many responses are
 * later accepted without knowing to what.
 */
struct dnp3_request {
	__u16 outstation;
	__u8 sequences; /* first << 4 | last that may come */
	__u8 function;	/* 0x80: answered; 0: free */
};

struct dnp3_shared {
	struct dnp3_request asked[DNP3_asked];
	__u8 next; /* to be given up */
	__u8 forgotten;
	__u8 master; /* 0: not yet known, 1: the client, 2: the server */
	__u8 pad;
	__u8 transport[2]; /* 0x80: inside a fragment, next sequence */
	__u8 pad2[2];
} __attribute__((may_alias));
_Static_assert(sizeof(struct dnp3_shared) == SHARED_BYTES, "dnp3: shared");

static __always_inline __u8 dnp3_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		dnp3_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- CRC, 9.2.8 ------------------------------------------------------- */

/* x^16 + x^13 + x^12 + x^11 + x^10 + x^8 + x^6 + x^5 + x^2 + 1, lowest bit
 * first. The remainder of a byte is the sum of those of its bits. */
#define DNP3_BIT(i, bit, crc) ((i) & (bit) ? (crc) : 0)
#define DNP3_CRC(i)                                                            \
	(DNP3_BIT(i, 0x80, 0xa6bc) ^ DNP3_BIT(i, 0x40, 0x535e) ^               \
	 DNP3_BIT(i, 0x20, 0x29af) ^ DNP3_BIT(i, 0x10, 0xb26b) ^               \
	 DNP3_BIT(i, 0x08, 0xff89) ^ DNP3_BIT(i, 0x04, 0xd978) ^               \
	 DNP3_BIT(i, 0x02, 0x6cbc) ^ DNP3_BIT(i, 0x01, 0x365e))
#define DNP3_CRC4(i)                                                           \
	DNP3_CRC(i), DNP3_CRC((i) + 1), DNP3_CRC((i) + 2), DNP3_CRC((i) + 3)
#define DNP3_CRC16(i)                                                          \
	DNP3_CRC4(i), DNP3_CRC4((i) + 4), DNP3_CRC4((i) + 8),                  \
	    DNP3_CRC4((i) + 12)
#define DNP3_CRC64(i)                                                          \
	DNP3_CRC16(i), DNP3_CRC16((i) + 16), DNP3_CRC16((i) + 32),             \
	    DNP3_CRC16((i) + 48)

static const __u16 dnp3_remainders[256] = {
	DNP3_CRC64(0),
	DNP3_CRC64(64),
	DNP3_CRC64(128),
	DNP3_CRC64(192),
};

/* Of the first n bytes, at most DNP3_block. */
static __always_inline __u16 dnp3_crc(const struct step *s, __u32 n)
{
	__u16 crc = 0;
	__u32 i;

	for (i = 0; i < DNP3_block; i++) {
		if (i >= n)
			break;
		crc = crc >> 8 ^
		      dnp3_remainders[place_within(crc ^ u8_at(s, i), 256)];
	}
	return ~crc;
}

/* Those bytes of the CRC behind n bytes that are there. */
static __always_inline bool dnp3_crc_fits(const struct step *s, __u32 n)
{
	__u16 wrong = dnp3_crc(s, n) ^ le16_at(s, n);

	if (s->have <= n)
		return true;
	return s->have == n + 1 ? !(wrong & 0xff) : !wrong;
}

/* ---- objects, clause 11 and annex A ---------------------------------- */

/* Bytes of an object by group and variation, a nibble for each variation from
 * 0 on. 0: there is no such variation. */
#define DNP3_SIZE(variation, size) ((__u64)(size) << 4 * (variation))
#define DNP3_SIZES4(a, b, c, d)                                                \
	(DNP3_SIZE(1, a) | DNP3_SIZE(2, b) | DNP3_SIZE(3, c) | DNP3_SIZE(4, d))
#define DNP3_SIZES8(a, b, c, d, e, f, g, h)                                    \
	(DNP3_SIZES4(a, b, c, d) | DNP3_SIZES4(e, f, g, h) << 16)

enum {
	DNP3_bit = 12,
	DNP3_two_bits = 13,
	DNP3_sized = 14, /* behind a size in bytes, 11.3.3.3 */
};
#define DNP3_ALL_SIZED (EACH_BYTE(DNP3_sized << 4 | DNP3_sized) & ~15ULL)
#define DNP3_EVENTS DNP3_SIZES8(5, 3, 11, 9, 5, 9, 11, 15)

static const __u64 dnp3_sizes[256] = {
	[0] = ~0ULL, /* attributes: see dnp3_size() */
	[1] = DNP3_SIZES4(DNP3_bit, 1, 0, 0),
	[2] = DNP3_SIZES4(1, 7, 3, 0),
	[3] = DNP3_SIZES4(DNP3_two_bits, 1, 0, 0),
	[4] = DNP3_SIZES4(1, 7, 3, 0),
	[10] = DNP3_SIZES4(DNP3_bit, 1, 0, 0),
	[11] = DNP3_SIZES4(1, 7, 0, 0),
	[12] = DNP3_SIZES4(11, 11, DNP3_bit, 0),
	[13] = DNP3_SIZES4(1, 7, 0, 0),
	[20] = DNP3_SIZES8(5, 3, 5, 3, 4, 2, 4, 2),
	[21] = DNP3_SIZES8(5, 3, 5, 3, 11, 9, 11, 9) | DNP3_SIZE(9, 4) |
	       DNP3_SIZE(10, 2) | DNP3_SIZE(11, 4) | DNP3_SIZE(12, 2),
	[22] = DNP3_SIZES8(5, 3, 5, 3, 11, 9, 11, 9),
	[23] = DNP3_SIZES8(5, 3, 5, 3, 11, 9, 11, 9),
	[30] = DNP3_SIZES8(5, 3, 4, 2, 5, 9, 0, 0),
	[31] = DNP3_SIZES8(5, 3, 11, 9, 4, 2, 5, 9),
	[32] = DNP3_EVENTS,
	[33] = DNP3_EVENTS,
	[34] = DNP3_SIZES4(2, 4, 4, 0),
	[40] = DNP3_SIZES4(5, 3, 5, 9),
	[41] = DNP3_SIZES4(5, 3, 5, 9),
	[42] = DNP3_EVENTS,
	[43] = DNP3_EVENTS,
	[50] = DNP3_SIZES4(6, 10, 6, 11),
	[51] = DNP3_SIZES4(6, 6, 0, 0),
	[52] = DNP3_SIZES4(2, 2, 0, 0),
	[60] = DNP3_SIZES4(15, 15, 15, 15), /* has no data, but variations */
	[70] = DNP3_SIZES8(DNP3_sized, DNP3_sized, DNP3_sized, DNP3_sized,
			   DNP3_sized, DNP3_sized, DNP3_sized, DNP3_sized),
	[80] = DNP3_SIZES4(DNP3_bit, 0, 0, 0),
	[81] = DNP3_SIZES4(3, 0, 0, 0),
	[82] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[83] = DNP3_SIZES4(DNP3_sized, DNP3_sized, 0, 0),
	[85] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[86] = DNP3_SIZES4(DNP3_sized, 1, DNP3_sized, 0),
	[87] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[88] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[90] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[91] = DNP3_SIZES4(DNP3_sized, 0, 0, 0),
	[101] = DNP3_SIZES4(2, 4, 8, 0),
	[102] = DNP3_SIZES4(1, 0, 0, 0),
	[110 ... 113] = ~0ULL, /* strings: the variation is their length */
	[120] = (DNP3_ALL_SIZED & ~DNP3_SIZE(3, 15) & ~DNP3_SIZE(4, 15)) |
		DNP3_SIZE(3, 6) | DNP3_SIZE(4, 2),
	[121] = DNP3_SIZES4(7, 0, 0, 0),
	[122] = DNP3_SIZES4(7, 13, 0, 0),
};

enum {
	DNP3_no_size = 0x100, /* no such variation */
	DNP3_attribute,	      /* type, length, value; 12.1 */
	DNP3_bits,
	DNP3_bit_pairs,
	DNP3_behind_size,
	DNP3_class_object,
};

/* Bytes of an object, or what stands for them. */
static __always_inline __u32 dnp3_size(const struct dnp3_own *own)
{
	__u32 group = own->group, variation = own->variation, size;

	if (group == 0)
		return variation ? DNP3_attribute : DNP3_no_size;
	if (group >= 110 && group <= 113)
		return variation ? variation : DNP3_no_size;
	if (variation > 15)
		return DNP3_no_size;
	if (group == 122 && variation == 2)
		return 13;
	size = dnp3_sizes[group] >> 4 * variation & 15;
	if (!size)
		return DNP3_no_size;
	if (group == 60)
		return DNP3_class_object;
	if (size >= DNP3_bit && size <= DNP3_sized)
		return DNP3_bits + size - DNP3_bit;
	return size;
}

/* Which groups a function is about: of the rest only 120 may stand beside it
 * (aggressive mode, 7.5.2.7). */
static __always_inline bool dnp3_about(__u32 function, __u32 group)
{
	switch (function) {
	case 0:		/* confirm */
	case 13 ... 14: /* restart */
	case 23 ... 24: /* time */
	case 32 ... 33: /* authentication */
	case DNP3_authentication:
		return false;
	case 3 ... 6:
		return group == 12 || group == 41 || group == 87;
	case 7 ... 10:
		return group == 20 || group == 30;
	case 11 ... 12:
		return group == 20 || group == 30 || group == 50;
	case 15 ... 18:
		return group == 90;
	case 20 ... 21:
		return group == 60;
	case 25 ... 30:
		return group == 70;
	case 31:
		return group == 70 || group == 110;
	case DNP3_read:
	case DNP3_assign_class:
		return true;
	}
	return group != 60;
}

/* Do objects follow the header, or does it only name them (4.4)? */
static __always_inline bool dnp3_has_data(const struct dnp3_own *own)
{
	switch (own->function) {
	case DNP3_read:
	case 7 ... 10:
	case 19:
	case 20 ... 22:
		return own->group == 120;
	case DNP3_freeze_at_time:
	case DNP3_freeze_at_time_silent:
		return own->group == 50 || own->group == 120;
	}
	return true;
}

/* 11.2.3: how many bytes of range there are; 0xff: no such qualifier. */
static __always_inline __u32 dnp3_range_bytes(__u32 qualifier)
{
	__u32 prefix = qualifier >> 4, code = qualifier & 15;

	switch (code) {
	case 0 ... 2: /* start and stop */
		return prefix ? 0xff : 2U << code;
	case 6: /* all */
		return prefix ? 0xff : 0;
	case 7 ... 9: /* count */
		return prefix > 3 ? 0xff : 1U << (code - 7);
	case 11: /* count, sizes before the objects */
		return prefix < 4 || prefix > 6 ? 0xff : 1;
	}
	return 0xff;
}

/* Bytes before each object: its index or its size. */
static __always_inline __u32 dnp3_prefix_bytes(__u32 qualifier)
{
	__u32 prefix = qualifier >> 4 & 7;

	if (!prefix)
		return 0;
	return 1U << (prefix > 3 ? prefix - 4 : prefix - 1);
}

/* Bytes before an object that say its size. */
static __always_inline __u32 dnp3_size_bytes(const struct dnp3_own *own)
{
	if ((own->qualifier & 15) == 11)
		return dnp3_prefix_bytes(own->qualifier);
	return 2 + dnp3_prefix_bytes(own->qualifier); /* attribute */
}

/* What the fragment must still hold, at the least. */
static __always_inline __u64 dnp3_owed(const struct dnp3_own *own)
{
	__u64 owed = own->data;

	if (own->objects)
		return owed + own->objects * dnp3_size_bytes(own) - own->got;
	if (own->got == 0)
		return owed;
	if (own->got < 3)
		return owed + 3 - own->got;
	return owed + 3 + dnp3_range_bytes(own->qualifier) - own->got;
}

static __always_inline __u32 dnp3_le32(const __u8 *bytes)
{
	return bytes[0] | (__u32)bytes[1] << 8 | (__u32)bytes[2] << 16 |
	       (__u32)bytes[3] << 24;
}

/* One less than the objects that the range names; false: none. */
static __always_inline bool dnp3_count(const struct dnp3_own *own,
				       __u32 *ret_less)
{
	__u32 code = own->qualifier & 15, first = dnp3_le32(own->range);
	__u32 last = dnp3_le32(own->range + 4);

	if (code == 0) {
		last = own->range[1];
		first = own->range[0];
	} else if (code == 1) {
		last = first >> 16;
		first &= 0xffff;
	} else if (code > 2) {
		last = first;
		first = 1;
	}
	*ret_less = last - first;
	return last >= first;
}

/* The header is there: what follows it? 0, or the reason why not. */
static __always_inline int dnp3_follows(struct dnp3_own *own)
{
	__u32 prefix = dnp3_prefix_bytes(own->qualifier);
	__u32 size = dnp3_size(own), less = 0;
	bool sized = (own->qualifier & 15) == 11;

	own->got = 0;
	if ((own->qualifier & 15) == 6) /* all that there are */
		return 0;
	if (!dnp3_count(own, &less))
		return REASON_bad_value;
	if (!sized && !dnp3_has_data(own))
		size = 0;
	else if (less >= 65535)
		return REASON_bad_length;
	if (sized || size == DNP3_attribute) {
		if (less >= 255)
			return REASON_bad_length;
		own->objects = less + 1;
	} else if (size == DNP3_bits) {
		own->data = less / 8 + 1;
	} else if (size == DNP3_bit_pairs) {
		own->data = less / 4 + 1;
	} else if (size || prefix) {
		if (less >= 65535)
			return REASON_bad_length;
		own->data = (less + 1) * (prefix + size);
	}
	return 0;
}

/* A qualifier that this function and group can have. */
static __always_inline bool dnp3_qualified(const struct dnp3_own *own)
{
	__u32 qualifier = own->qualifier, size = dnp3_size(own);

	if (dnp3_range_bytes(qualifier) == 0xff)
		return false;
	if ((qualifier & 15) == 11)
		return size != DNP3_attribute && size != DNP3_class_object;
	if (!dnp3_has_data(own))
		return true;
	if (size == DNP3_bits || size == DNP3_bit_pairs)
		return (qualifier & 15) != 6 && qualifier >> 4 == 0;
	return (qualifier & 15) != 6 && size != DNP3_behind_size;
}

/* A byte of an object header, 11.2; 0, or the reason why not. */
static __always_inline int dnp3_header_byte(struct dnp3_own *own, __u8 byte)
{
	switch (own->got++) {
	case 0:
		own->group = byte;
		own->variation = own->qualifier = 0;
		__builtin_memset(own->range, 0, sizeof(own->range));
		if (!dnp3_sizes[byte])
			return REASON_bad_value;
		return byte == 120 || dnp3_about(own->function, byte)
			   ? 0
			   : REASON_bad_value;
	case 1:
		own->variation = byte;
		if (!byte) /* any, where no data follows */
			return dnp3_has_data(own) ? REASON_bad_value : 0;
		return dnp3_size(own) == DNP3_no_size ? REASON_bad_value : 0;
	case 2:
		own->qualifier = byte;
		if (!dnp3_qualified(own))
			return REASON_bad_value;
		break;
	default:
		own->range[(own->got - 4) & 7] = byte;
	}
	if (own->got < 3 + dnp3_range_bytes(own->qualifier))
		return 0;
	return dnp3_follows(own);
}

/* A byte of an object's size, or of an attribute's head (12.1). */
static __always_inline void dnp3_size_byte(struct dnp3_own *own, __u8 byte)
{
	__u32 n = dnp3_size_bytes(own);

	own->size[own->got++ & 7] = byte;
	if (own->got < n)
		return;
	own->got = 0;
	own->objects--;
	if ((own->qualifier & 15) != 11)
		own->data = byte;
	else if (n == 4)
		own->data = dnp3_le32(own->size);
	else
		own->data = n == 1 ? byte : own->size[0] | (__u32)byte << 8;
}

static __always_inline __u32 dnp3_least(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* How much of this block is there, without its CRC. */
static __always_inline __u32 dnp3_visible(const struct step *s,
					  const struct dnp3_own *own)
{
	return dnp3_least(s->have, dnp3_least(own->left, DNP3_block));
}

/* An object header begins. */
static __always_inline void
dnp3_names_group(struct step *s, const struct dnp3_own *own, __u8 group)
{
	if (own->flags & DNP3_master)
		names(s, ARGUMENT_group, group, group);
	read_anew();
}

/* Moves s->n on: over data, or one byte of what describes it. */
static __always_inline void dnp3_item(struct step *s, struct state *st)
{
	struct dnp3_own *own = (struct dnp3_own *)st->own;
	__u32 n = dnp3_least(own->data, dnp3_visible(s, own) - s->n);
	__u8 byte = u8_at(s, s->n);
	int reason = 0;

	if (own->data) {
		own->data -= n;
		s->n += n;
		return;
	}
	s->n++;
	if (!own->objects && !own->got)
		dnp3_names_group(s, own, byte);
	if (own->objects)
		dnp3_size_byte(own, byte);
	else
		reason = dnp3_header_byte(own, byte);
	if (!reason && own->flags & DNP3_final &&
	    dnp3_owed(own) > (__u32)own->left - s->n)
		reason = REASON_bad_length;
	if (reason)
		bad(s, reason);
}
STEP_APART(dnp3_item)

/* ---- outstanding requests -------------------------------------------- */

/* 6, 8, 10, 12 and 33 have no response. */
static __always_inline bool dnp3_has_response(__u32 function)
{
	const __u64 silent = 1ULL << DNP3_confirm | 1ULL << 6 | 1ULL << 8 |
			     1ULL << 10 | 1ULL << 12 | 1ULL << 33;

	return !(silent >> (function & 63) & 1);
}

static __always_inline void dnp3_ask(struct step *s, const struct dnp3_own *own,
				     struct dnp3_shared *shared, __u32 sequence)
{
	struct dnp3_request *r;
	__u32 i;

	for (i = 0; i < DNP3_asked; i++) {
		r = &shared->asked[i];
		if (r->function && r->outstation == own->outstation &&
		    r->sequences >> 4 == sequence)
			break; /* again */
	}
	if (i == DNP3_asked) {
		i = shared->next;
		shared->next = i + 1 < DNP3_asked ? i + 1 : 0;
	}
	i = forget(s, i);
	if (i >= DNP3_asked)
		return;
	r = &shared->asked[i];
	if (r->function && !(r->function & 0x80) &&
	    r->outstation < DNP3_reserved && r->sequences >> 4 != sequence &&
	    shared->forgotten < DNP3_forgotten)
		shared->forgotten++;
	r->outstation = own->outstation;
	r->sequences = sequence << 4 | sequence;
	r->function = own->function;
}

/* The place of the request that this answers, or what stands for one. One that
 * went to every outstation, or to whom it concerns, any may answer. */
static __always_inline __u32 dnp3_find(struct step *s,
				       const struct dnp3_shared *shared,
				       __u32 outstation, __u32 sequence)
{
	__u32 i, place = shared->forgotten ? DNP3_one_forgotten : DNP3_none;
	const struct dnp3_request *r;

	for (i = 0; i < DNP3_asked; i++) {
		r = &shared->asked[i];
		if (!r->function || (r->outstation != outstation &&
				     r->outstation < DNP3_reserved))
			continue;
		if (((sequence - (r->sequences >> 4)) & 15) <=
		    ((r->sequences - (r->sequences >> 4)) & 15)) {
			place = i;
			break;
		}
	}
	return forget(s, place);
}

/* The response is whole enough: tells what it answers. */
static __always_inline void dnp3_answered(struct step *s,
					  struct dnp3_shared *shared,
					  __u32 place, __u32 control)
{
	struct dnp3_request *r;
	__u32 last;

	if (place >= DNP3_asked) {
		shared->forgotten--;
		return;
	}
	r = &shared->asked[place];
	r->function |= 0x80;
	last = r->sequences & 15;
	if (!(control & DNP3_last) && (control & 15) == last)
		r->sequences = (r->sequences & 0xf0) | ((last + 1) & 15);
	says(s, r->function & 0x7f, dnp3_class(r->function & 0x7f));
}

/* ---- link header, 9.2.4 ---------------------------------------------- */

/* Bytes of a frame whose user data is u. */
static __always_inline __u32 dnp3_wire(__u32 u)
{
	return DNP3_link_header + u + 2 * ((u + 15) / 16);
}

/* The control byte; 0, or the reason why not. */
static __always_inline int
dnp3_control(const struct step *s, const struct dnp3_shared *shared, __u32 u)
{
	__u32 control = u8_at(s, 3), function = control & 15;
	__u32 master = control >> 7 ^ !!s->from_server ? 1 : 2;
	bool data = false, counted = false;

	if (shared->master && shared->master != master)
		return REASON_bad_direction;
	if (control & 0x40) { /* from the primary, table 9-1 */
		if (function > 4 && function != 9)
			return REASON_bad_function;
		data = function == 3 || function == 4;
		counted = function == 2 || function == 3;
		if (counted != !!(control & 0x10))
			return REASON_bad_value;
	} else { /* table 9-2 */
		if (function > 1 && function != 11 && function != 14 &&
		    function != 15)
			return REASON_bad_function;
		if (control & 0x20)
			return REASON_bad_value;
	}
	/* a transport header and at least a byte, or nothing */
	return data ? (u < 2 ? REASON_bad_length : 0)
		    : (u ? REASON_bad_length : 0);
}

/* 9.2.5: of the reserved addresses four are a destination for masters, three of
 * them for data alone. That it goes there without confirmation is not held to:
 * test masters ask for one, and nobody answers. */
static __always_inline bool dnp3_addresses(const struct step *s)
{
	__u32 to = le16_at(s, 4), from = le16_at(s, 6);
	bool data = u8_at(s, 2) > 5;

	if (s->have > 5 && to >= DNP3_reserved) {
		if (to < DNP3_self || !(u8_at(s, 3) & 0x80))
			return false;
		if (to >= DNP3_broadcast && !data)
			return false;
	}
	return s->have < 8 || from < DNP3_reserved;
}

/* A frame with data begins. */
static __always_inline void dnp3_frame(struct step *s, struct dnp3_own *own,
				       __u32 u)
{
	bool from_master = u8_at(s, 3) & 0x80;
	__u32 to = le16_at(s, 4), from = le16_at(s, 6);
	__u32 outstation = from_master ? to : from;
	__u32 master = from_master ? from : to;

	own->flags &= DNP3_known;
	own->flags |= DNP3_head | (from_master ? DNP3_master : 0);
	if (own->outstation != outstation || own->master != master)
		own->flags |= DNP3_elsewhere;
	own->outstation = outstation;
	own->master = master;
	own->left = u;
}

static __always_inline void dnp3_link(struct step *s, struct state *st)
{
	struct dnp3_own *own = (struct dnp3_own *)st->own;
	struct dnp3_shared *shared = (struct dnp3_shared *)st->shared;
	__u32 control = u8_at(s, 3), u = u8_at(s, 2) - 5U;
	int reason;

	if (u8_at(s, 0) != 0x05 || (s->have > 1 && u8_at(s, 1) != 0x64))
		return bad(s, REASON_bad_magic);
	if (s->have > 2 && u8_at(s, 2) < 5)
		return bad(s, REASON_bad_length);
	if (s->l4 == TRANSPORT_udp &&
	    s->left < (s->have > 2 ? dnp3_wire(u) : DNP3_link_header))
		return bad(s, REASON_truncated);
	reason = s->have > 3 ? dnp3_control(s, shared, u) : 0;
	if (reason)
		return bad(s, reason);
	if (!dnp3_addresses(s))
		return bad(s, REASON_bad_value);
	if (!dnp3_crc_fits(s, 8))
		return bad(s, REASON_bad_value);
	if (s->have < DNP3_link_header)
		return need(s, DNP3_link_header);
	shared->master = control >> 7 ^ !!s->from_server ? 1 : 2;
	if (u)
		dnp3_frame(s, own, u);
	if ((control & 0x4f) == 0x40)
		says(s, DNP3_reset_link, CLASS_admin);
	else if ((control & 0x4f) == 0x41)
		says(s, DNP3_reset_user, CLASS_admin);
	free_of_limits(s);
	take(s, DNP3_link_header, 0);
}

/* ---- a frame's first block ------------------------------------------- */

/* 8.2: FIN, FIR, sequence; 0, or the reason why not. */
static __always_inline int dnp3_transport(const struct step *s,
					  struct dnp3_own *own,
					  const struct dnp3_shared *shared)
{
	__u32 header = u8_at(s, 0);

	if (header & 0x80)
		own->flags |= DNP3_final;
	if (header & 0x40) {
		own->flags &= ~DNP3_known;
		own->got = own->objects = own->data = 0;
		return 0;
	}
	if (shared->transport[!!s->from_server] != (0x80 | (header & 63)))
		return REASON_bad_order;
	if (!(own->flags & DNP3_known))
		own->flags |= DNP3_opaque;
	else if (own->flags & DNP3_elsewhere)
		return REASON_bad_order;
	else if (header & 0x80 && dnp3_owed(own) > own->left - 1U)
		return REASON_bad_length;
	return 0;
}

/* 4.2.2.4, 4.2.2.5: application control and function of a request. */
static __always_inline int dnp3_request_head(const struct step *s)
{
	__u32 control = u8_at(s, 1), function = u8_at(s, 2);
	const __u32 one = DNP3_first | DNP3_last;

	if (s->have > 1 && (control & one) != one)
		return REASON_bad_value;
	if (s->have < 3)
		return 0;
	if (function >= DNP3_response && function <= DNP3_authentication)
		return REASON_bad_direction;
	if (function > DNP3_last_request)
		return REASON_bad_function;
	if (control & DNP3_spontaneous && function != DNP3_confirm)
		return REASON_bad_value;
	return 0;
}

/* And of a response, with its internal indications (4.2.2.6). */
static __always_inline int dnp3_response_head(const struct step *s)
{
	__u32 control = u8_at(s, 1), function = u8_at(s, 2);
	const __u32 whole = DNP3_first | DNP3_last | DNP3_spontaneous;

	if (s->have < 3)
		return 0;
	if (function <= DNP3_last_request)
		return REASON_bad_direction;
	if (function < DNP3_response || function > DNP3_authentication)
		return REASON_bad_function;
	if (function == DNP3_unsolicited && (control & whole) != whole)
		return REASON_bad_value;
	if (function == DNP3_response && control & DNP3_spontaneous)
		return REASON_bad_value;
	return u8_at(s, 4) & 0xc0 ? REASON_bad_value : 0;
}

/* Judges what stands before the objects; s->n moves behind it. */
static __always_inline void dnp3_begin(struct step *s, struct dnp3_own *own,
				       struct dnp3_shared *shared)
{
	__u32 n = own->flags & DNP3_master ? 3 : 5;
	__u32 control = u8_at(s, 1);
	int reason = dnp3_transport(s, own, shared);

	if (!reason && !(u8_at(s, 0) & 0x40)) {
		s->n = 1;
		return;
	}
	if (!reason && own->left < n)
		reason = REASON_bad_length;
	if (!reason)
		reason = own->flags & DNP3_master ? dnp3_request_head(s)
						  : dnp3_response_head(s);
	if (!reason && n == 5 && s->have > 2 &&
	    u8_at(s, 2) != DNP3_unsolicited && !(control & DNP3_spontaneous) &&
	    dnp3_find(s, shared, own->outstation, control & 15) == DNP3_none)
		reason = REASON_unsolicited;
	if (reason)
		return bad(s, reason);
	own->function = u8_at(s, 2);
	own->flags |= DNP3_known;
	s->n = n;
}

/* What a request's first block says of its objects. Over UDP nothing is known
 * of a request that goes on in another datagram: it names everything. */
static __always_inline void dnp3_names(struct step *s,
				       const struct dnp3_own *own, bool final)
{
	if (!final && s->l4 == TRANSPORT_udp) {
		s->named = 0;
		names(s, ARGUMENT_group, 0, 255);
	} else if (!s->named && (!final || own->left > s->n)) {
		names_later(s);
	}
}

/* The block is judged: what it tells, and what is to be remembered. */
static __always_inline void dnp3_remember(struct step *s,
					  const struct dnp3_own *own,
					  struct dnp3_shared *shared)
{
	__u32 header = u8_at(s, 0), control = u8_at(s, 1), place;

	shared->transport[!!s->from_server] =
	    header & 0x80 ? 0 : 0x80 | ((header + 1) & 63);
	if (!(header & 0x40) || own->function == DNP3_confirm)
		return;
	if (own->flags & DNP3_master) {
		if (dnp3_has_response(own->function))
			dnp3_ask(s, own, shared, control & 15);
		says(s, own->function, dnp3_class(own->function));
		dnp3_names(s, own, header & 0x80);
		return;
	}
	if (own->function == DNP3_unsolicited)
		return says(s, DNP3_unsolicited, CLASS_read);
	if (control & DNP3_spontaneous)
		return;
	place = dnp3_find(s, shared, own->outstation, control & 15);
	dnp3_answered(s, shared, place, control);
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void dnp3_walk(struct step *s, struct state *st)
{
	struct dnp3_own *own = (struct dnp3_own *)st->own;
	__u32 visible = dnp3_visible(s, own);
	int i;

	if (own->flags & DNP3_opaque)
		return;
	for (i = 0; i < DNP3_block; i++) {
		read_anew();
		if (s->answer != STEP_take || s->n >= visible)
			break;
		dnp3_item_apart(s, st);
	}
}

static __always_inline void dnp3_data(struct step *s, struct state *st)
{
	struct dnp3_own *own = (struct dnp3_own *)st->own, saved = *own;
	struct dnp3_shared *shared = (struct dnp3_shared *)st->shared;
	__u32 n = dnp3_least(own->left, DNP3_block);

	take(s, 0, 0);
	if (own->flags & DNP3_head)
		dnp3_begin(s, own, shared);
	dnp3_walk(s, st);
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (!dnp3_crc_fits(s, n))
		return bad(s, REASON_bad_value);
	if (s->have < n + 2) {
		*own = saved;
		return need(s, n + 2);
	}
	/* A master may be the side that was called. */
	s->free = !(own->flags & DNP3_master);
	if (own->flags & DNP3_head)
		dnp3_remember(s, own, shared);
	if (s->function == FUNCTION_none && own->function == DNP3_confirm)
		s->named = 0;
	else if (s->function == FUNCTION_none && s->named)
		says_again(s, own->function, dnp3_class(own->function));
	own->flags &= ~DNP3_head;
	own->left -= n;
	take(s, n + 2, 0);
}

static __always_inline void dnp3_step(struct step *s, struct state *st)
{
	struct dnp3_own *own = (struct dnp3_own *)st->own;

	if (own->left)
		dnp3_data(s, st);
	else
		dnp3_link(s, st);
	read_anew();
	if (s->answer == STEP_take && !own->left &&
	    (s->l4 == TRANSPORT_tcp || s->left == s->n))
		message_ends(s);
}

#endif
