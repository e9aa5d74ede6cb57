/* SPDX-License-Identifier: GPL-2.0-only */
/* TriStation 1131, by which Triconex safety controllers are programmed, over
 * UDP.
 *
 * There is no public specification. What is held to was published by those who
 * took TRITON apart (ICS-CERT MAR-17-352-01; Nozomi Networks, tricotools) and
 * holds for every datagram of the one capture that is public:
 *
 *	0 type, 1 channel, 2 length L (little endian), L bytes, CRC-16
 *	of the L bytes: 0 direction, 1 connection, 2 command, 3 sequence,
 *	4 unknown, 6 checksum, 8 length again, 10 data
 *
 * A datagram is 4 + L + 2 bytes, exactly. Both sums are taken over all of it,
 * a window at a time. Fields of which nothing is known may hold anything. Data
 * is opaque, but lengths are held to where they are known: the implant's orders
 * came as data behind a command that has none (29).
 */
#ifndef PORTCULLIS_PROTO_TRISTATION_H
#define PORTCULLIS_PROTO_TRISTATION_H

#include <stdbool.h>

#include "window.h"

/* The number is one more than the command. Replies tell the command that they
 * answer; connecting, disconnecting and pings tell none. Of the commands that
 * have no name here nothing is known, they are refused. To read a program out
 * is to program: who may not change it has no business with it either. */
#define tristation_FUNCTIONS(F)                                                \
	F(1, "start-download-all", program)                                    \
	F(2, "start-download-change", program)                                 \
	F(3, "update-configuration", program)                                  \
	F(4, "upload-configuration", program)                                  \
	F(5, "set-io-addresses", program)                                      \
	F(6, "allocate-network", program)                                      \
	F(7, "load-vector-table", program)                                     \
	F(8, "set-calendar", admin)                                            \
	F(9, "get-calendar", read)                                             \
	F(10, "set-scan-time", admin)                                          \
	F(11, "end-download-all", program)                                     \
	F(12, "end-download-change", program)                                  \
	F(13, "cancel-download-change", program)                               \
	F(14, "attach", admin)                                                 \
	F(15, "set-io-limits", program)                                        \
	F(16, "configure-module", program)                                     \
	F(17, "set-multiple-points", operate)                                  \
	F(18, "enable-all-points", operate)                                    \
	F(19, "upload-vector-table", program)                                  \
	F(20, "get-cp-status", read)                                           \
	F(21, "run-program", operate)                                          \
	F(22, "halt-program", operate)                                         \
	F(23, "pause-program", operate)                                        \
	F(24, "do-single-scan", operate)                                       \
	F(25, "get-chassis-status", read)                                      \
	F(26, "get-minimum-scan-time", read)                                   \
	F(27, "set-node-number", admin)                                        \
	F(28, "set-io-point-values", operate)                                  \
	F(29, "get-io-point-values", read)                                     \
	F(30, "get-mp-status", read)                                           \
	F(31, "set-retentive-values", operate)                                 \
	F(32, "adjust-clock", admin)                                           \
	F(33, "clear-module-alarms", admin)                                    \
	F(34, "get-event-log", read)                                           \
	F(35, "set-soe-block", admin)                                          \
	F(36, "record-event-log", admin)                                       \
	F(37, "get-soe-data", read)                                            \
	F(38, "enable-ovd", operate)                                           \
	F(39, "disable-ovd", operate)                                          \
	F(40, "enable-all-ovds", operate)                                      \
	F(41, "disable-all-ovds", operate)                                     \
	F(42, "process-modbus", operate)                                       \
	F(43, "upload-network", program)                                       \
	F(44, "set-label", admin)                                              \
	F(45, "configure-system-variables", program)                           \
	F(46, "deconfigure-module", program)                                   \
	F(47, "get-system-variables", read)                                    \
	F(48, "get-module-types", read)                                        \
	F(49, "begin-conversion-table-download", program)                      \
	F(50, "continue-conversion-table-download", program)                   \
	F(51, "end-conversion-table-download", program)                        \
	F(52, "get-conversion-table", read)                                    \
	F(53, "set-icm-status", admin)                                         \
	F(55, "get-module-versions", read)                                     \
	F(56, "allocate-program", program)                                     \
	F(57, "allocate-function", program)                                    \
	F(58, "clear-retentive-values", operate)                               \
	F(59, "set-initial-values", program)                                   \
	F(60, "start-ts2-program-download", program)                           \
	F(61, "set-ts2-data-area", program)                                    \
	F(62, "get-ts2-data", read)                                            \
	F(63, "set-ts2-data", operate)                                         \
	F(64, "set-program-information", program)                              \
	F(65, "get-program-information", read)                                 \
	F(66, "upload-program", program)                                       \
	F(67, "upload-function", program)                                      \
	F(68, "get-point-groups", read)                                        \
	F(69, "allocate-symbol-table", program)                                \
	F(70, "get-io-address", read)                                          \
	F(71, "resend-io-address", read)                                       \
	F(72, "get-program-timing", read)                                      \
	F(73, "allocate-multiple-functions", program)                          \
	F(74, "get-node-number", read)                                         \
	F(75, "get-symbol-table", read)                                        \
	F(81, "go-to-download-mode", program)

enum {
	TRISTATION_connect = 1,
	TRISTATION_connected,
	TRISTATION_disconnected,
	TRISTATION_disconnect,
	TRISTATION_command,
	TRISTATION_ping,
	TRISTATION_last_type = 11, /* access denied and the like */

	TRISTATION_head = 4,
	TRISTATION_inner = 10, /* least L of a command */
	TRISTATION_longest = 1472,

	TRISTATION_first_reply = 100, /* command rejected */
	TRISTATION_last_reply = 170,
	TRISTATION_first_reject = 200,

	TRISTATION_bare =
	    1,		   /* what a datagram begins with, without a command */
	TRISTATION_summed, /* and with one */

	TRISTATION_asked = 8,
	TRISTATION_forgotten = 64,
};

struct tristation_own {
	__u16 left; /* bytes before the CRC */
	__u16 crc;
	__u16 sum;
	__u16 checksum; /* what it must become */
	__u8 begun;	/* 0: not yet */
	__u8 command;	/* from 1 on; 0: none */
	__u8 sequence;
	__u8 pad[OWN_BYTES - 11];
} __attribute__((may_alias));
_Static_assert(sizeof(struct tristation_own) == OWN_BYTES, "tristation: own");

/* The last commands: a reply repeats the sequence of one. It may come twice,
 * since commands are repeated. One that is given up without a reply is counted
 * as forgotten: that many replies are later accepted without knowing to what.
 */
struct tristation_shared {
	__u8 sequence[TRISTATION_asked];
	__u8 command[TRISTATION_asked]; /* from 1 on, 0x80: answered; 0: free */
	__u8 next;
	__u8 forgotten;
	__u8 pad[SHARED_BYTES - 2 * TRISTATION_asked - 2];
} __attribute__((may_alias));
_Static_assert(sizeof(struct tristation_shared) == SHARED_BYTES,
	       "tristation: shared");

static __always_inline __u8 tristation_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		tristation_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- CRC-16, x^16 + x^15 + x^2 + 1, lowest bit first ------------------ */

#define TRISTATION_BIT(i, bit, crc) ((i) & (bit) ? (crc) : 0)
#define TRISTATION_CRC(i)                                                      \
	(TRISTATION_BIT(i, 0x80, 0xa001) ^ TRISTATION_BIT(i, 0x40, 0xf001) ^   \
	 TRISTATION_BIT(i, 0x20, 0xd801) ^ TRISTATION_BIT(i, 0x10, 0xcc01) ^   \
	 TRISTATION_BIT(i, 0x08, 0xc601) ^ TRISTATION_BIT(i, 0x04, 0xc301) ^   \
	 TRISTATION_BIT(i, 0x02, 0xc181) ^ TRISTATION_BIT(i, 0x01, 0xc0c1))
#define TRISTATION_CRC4(i)                                                     \
	TRISTATION_CRC(i), TRISTATION_CRC((i) + 1), TRISTATION_CRC((i) + 2),   \
	    TRISTATION_CRC((i) + 3)
#define TRISTATION_CRC16(i)                                                    \
	TRISTATION_CRC4(i), TRISTATION_CRC4((i) + 4),                          \
	    TRISTATION_CRC4((i) + 8), TRISTATION_CRC4((i) + 12)
#define TRISTATION_CRC64(i)                                                    \
	TRISTATION_CRC16(i), TRISTATION_CRC16((i) + 16),                       \
	    TRISTATION_CRC16((i) + 32), TRISTATION_CRC16((i) + 48)

static const __u16 tristation_remainders[256] = {
	TRISTATION_CRC64(0),
	TRISTATION_CRC64(64),
	TRISTATION_CRC64(128),
	TRISTATION_CRC64(192),
};

/* Both sums go on over the first n bytes of the window. */
static __always_inline void tristation_sum(const struct step *s,
					   struct tristation_own *own, __u32 n)
{
	__u32 i, crc = own->crc, sum = own->sum;

	for (i = 0; i < WINDOW_BYTES; i++) {
		if (i >= n)
			break;
		sum += u8_at(s, i);
		crc =
		    crc >> 8 ^
		    tristation_remainders[place_within(crc ^ u8_at(s, i), 256)];
	}
	own->crc = crc;
	own->sum = sum;
}

/* ---- commands -------------------------------------------------------- */

/* L of a command, if it is known to be fixed. */
static __always_inline __u32 tristation_request_length(__u32 command)
{
	switch (command) {
	case 11:
	case 19 ... 20:
	case 29: /* with data it is for an implant */
		return TRISTATION_inner;
	case 65 ... 66:
		return 18;
	case 1:
		return 52;
	}
	return 0;
}

static __always_inline __u32 tristation_reply_length(__u32 reply)
{
	switch (reply) {
	case 100:
		return 12;
	case 102 ... 103:
	case 153:
		return TRISTATION_inner;
	}
	return 0;
}

/* The reply that a command has if it is not rejected, where that is known. */
static __always_inline __u32 tristation_reply(__u32 command)
{
	switch (command) {
	case 0:
		return 101;
	case 1:
		return 102;
	case 11:
		return 103;
	case 13:
		return 106;
	case 19 ... 22:
		return command - 19 + 108;
	case 24:
		return 119;
	case 28:
		return 121;
	case 29:
		return 127;
	case 41:
		return 152;
	case 54:
		return 151;
	case 55 ... 56:
		return command - 55 + 153;
	case 65 ... 66:
		return command - 65 + 162;
	}
	return 0;
}

/* ---- outstanding commands -------------------------------------------- */

static __always_inline __u32 tristation_find(
    struct step *s, const struct tristation_shared *shared, __u8 sequence)
{
	__u32 place;

	for (place = 0; place < TRISTATION_asked; place++)
		if (shared->command[place] &&
		    shared->sequence[place] == sequence)
			break;
	return forget(s, place);
}

static __always_inline void tristation_ask(struct step *s,
					   const struct tristation_own *own,
					   struct tristation_shared *shared)
{
	__u32 place = tristation_find(s, shared, own->sequence);

	if (place == TRISTATION_asked) {
		place = shared->next;
		shared->next = place + 1 < TRISTATION_asked ? place + 1 : 0;
		place = forget(s, place);
		if (place < TRISTATION_asked && shared->command[place] &&
		    !(shared->command[place] & 0x80) &&
		    shared->forgotten < TRISTATION_forgotten)
			shared->forgotten++;
	}
	if (place >= TRISTATION_asked)
		return;
	shared->sequence[place] = own->sequence;
	shared->command[place] = own->command;
}

static __always_inline void
tristation_answered(struct step *s, const struct tristation_own *own,
		    struct tristation_shared *shared)
{
	__u32 place = tristation_find(s, shared, own->sequence);

	if (place < TRISTATION_asked)
		shared->command[place] |= 0x80;
	else if (shared->forgotten)
		shared->forgotten--;
}

/* Does the reply answer anything? 0, or the reason why not. */
static __always_inline int
tristation_matches(struct step *s, struct tristation_own *own,
		   const struct tristation_shared *shared, __u32 reply)
{
	__u32 place = tristation_find(s, shared, own->sequence), wanted;

	own->command = 0;
	if (place >= TRISTATION_asked)
		return shared->forgotten ? 0 : REASON_unsolicited;
	own->command = shared->command[place] & 0x7f;
	wanted = tristation_reply(own->command - 1);
	if (wanted && reply != wanted && reply != TRISTATION_first_reply &&
	    reply < TRISTATION_first_reject)
		return REASON_unsolicited;
	return 0;
}

/* ---- the head -------------------------------------------------------- */

/* Who may send it? */
static __always_inline bool tristation_sender(const struct step *s, __u32 type)
{
	switch (type) {
	case TRISTATION_command: /* says so itself */
	case TRISTATION_ping:
		return true;
	case TRISTATION_connect:
	case TRISTATION_disconnect:
		return !s->from_server;
	}
	return s->from_server;
}

/* The first four bytes; 0, or the reason why not. */
static __always_inline int tristation_outer(const struct step *s)
{
	__u32 type = u8_at(s, 0), length = le16_at(s, 2);

	if (type < TRISTATION_connect || type > TRISTATION_last_type)
		return REASON_bad_magic;
	if (!tristation_sender(s, type))
		return REASON_bad_direction;
	if (s->left < TRISTATION_head + 2)
		return REASON_truncated;
	if (type == TRISTATION_command ? length < TRISTATION_inner : length)
		return REASON_bad_length;
	if (s->left < TRISTATION_head + length + 2)
		return REASON_truncated;
	if (s->left > TRISTATION_head + length + 2)
		return REASON_trailing_bytes;
	return s->left > TRISTATION_longest ? REASON_too_long : 0;
}

static __always_inline bool tristation_is_reply(__u32 command)
{
	return command >= TRISTATION_first_reject ||
	       (command >= TRISTATION_first_reply &&
		command <= TRISTATION_last_reply);
}

/* The ten bytes of a command or reply; 0, or the reason why not. */
static __always_inline int
tristation_command(struct step *s, struct tristation_own *own,
		   const struct tristation_shared *shared)
{
	__u32 command = u8_at(s, 6), length = le16_at(s, 2), fixed;

	if (u8_at(s, 4) > 1)
		return REASON_bad_value;
	if (u8_at(s, 4) != !!s->from_server)
		return REASON_bad_direction;
	if (s->from_server ? !tristation_is_reply(command)
			   : !tristation_class(command + 1))
		return REASON_bad_function;
	fixed = s->from_server ? tristation_reply_length(command)
			       : tristation_request_length(command);
	if ((fixed && fixed != length) || le16_at(s, 12) != length)
		return REASON_bad_length;
	own->sequence = u8_at(s, 7);
	own->command = command + 1;
	return s->from_server ? tristation_matches(s, own, shared, command) : 0;
}

static __always_inline void
tristation_begin(struct step *s, struct tristation_own *own,
		 const struct tristation_shared *shared)
{
	__u32 length = le16_at(s, 2), i;
	int reason = tristation_outer(s);

	if (!reason && length)
		reason = tristation_command(s, own, shared);
	if (reason)
		return bad(s, reason);
	own->begun = length ? TRISTATION_summed : TRISTATION_bare;
	own->left = TRISTATION_head + length;
	if (!length)
		return;
	/* of the head and the checksum itself nothing is summed, but the
	 * length is, once more */
	own->checksum = le16_at(s, 10);
	own->sum = length - u8_at(s, 10) - u8_at(s, 11);
	for (i = 0; i < TRISTATION_head; i++)
		own->sum -= u8_at(s, i);
	if (own->command)
		says(s, own->command, tristation_class(own->command));
}

/* ---- the step -------------------------------------------------------- */

/* The CRC stands behind n bytes of the window. */
static __always_inline void tristation_end(struct step *s,
					   struct tristation_own *own,
					   struct tristation_shared *shared,
					   __u32 n)
{
	if (own->begun == TRISTATION_summed && own->sum != own->checksum)
		return bad(s, REASON_bad_value);
	if (le16_at(s, n) != own->crc)
		return bad(s, REASON_bad_value);
	take(s, n + 2, 0);
	message_ends(s);
	if (own->begun != TRISTATION_summed)
		return;
	if (s->from_server)
		tristation_answered(s, own, shared);
	else
		tristation_ask(s, own, shared);
}

static __always_inline void tristation_step(struct step *s, struct state *st)
{
	struct tristation_own *own = (struct tristation_own *)st->own;
	struct tristation_shared *shared =
	    (struct tristation_shared *)st->shared;
	__u32 n;

	if (s->l4 != TRANSPORT_udp)
		return bad(s, REASON_bad_magic);
	s->answer = STEP_take;
	if (!own->begun)
		tristation_begin(s, own, shared);
	read_anew();
	if (s->answer != STEP_take)
		return;
	n = own->left < s->have ? own->left : s->have;
	tristation_sum(s, own, n);
	own->left -= n;
	n = forget(s, n);
	if (own->left == 0 && s->have >= n + 2)
		tristation_end(s, own, shared, n);
	else
		take(s, n, 0);
}

#endif
