/* SPDX-License-Identifier: GPL-2.0-only */
/* Modbus/TCP: a 7-byte MBAP header, then function code and data.
 *
 * MB: MODBUS Application Protocol Specification V1.1b3.
 * TCP: MODBUS Messaging on TCP/IP Implementation Guide V1.0b.
 *
 * Every ADU is judged up to the bytes that fix its length; values that are
 * read or written are opaque, except where the specification narrows them.
 * Length fields are exact: libmodbus and others find the end of an ADU from
 * function and byte count and never look at the length field, so an ADU whose
 * length disagrees has two ends (libmodbus issues 810 and 867).
 *
 * Check order is byte order, so that a message cut anywhere is refused for
 * the same reason as the whole one.
 */
#ifndef PORTCULLIS_PROTO_MODBUS_H
#define PORTCULLIS_PROTO_MODBUS_H

#include <stdbool.h>

#include "window.h"

/* Below 128 the number is the function code; above stand those that a code
 * shares with more harmless ones (MB 6.8: sub-functions; MB 6.19: MEI types).
 * The user-defined codes (MB 5) have no layout: nothing but a rule that names
 * them, or the class other, should admit them.
 *
 * From MODBUS_umas on stand the functions of UMAS, which Schneider's
 * controllers carry in code 90. It has no public specification: names and codes
 * are those of apache/plc4x (umas.mspec) and of what researchers published; one
 * that is not among them is plain "umas". An upload takes the program away, so
 * that is its class too; monitoring carries writes as well as reads.
 */
#define modbus_FUNCTIONS(F)                                                    \
	F(1, "read-coils", read)                                               \
	F(2, "read-discrete-inputs", read)                                     \
	F(3, "read-holding-registers", read)                                   \
	F(4, "read-input-registers", read)                                     \
	F(5, "write-single-coil", write)                                       \
	F(6, "write-single-register", write)                                   \
	F(7, "read-exception-status", read)                                    \
	F(8, "diagnostics", read)                                              \
	F(9, "program-484", program)                                           \
	F(10, "poll-484", program)                                             \
	F(11, "get-comm-event-counter", read)                                  \
	F(12, "get-comm-event-log", read)                                      \
	F(13, "program-controller", program)                                   \
	F(14, "poll-controller", program)                                      \
	F(15, "write-multiple-coils", write)                                   \
	F(16, "write-multiple-registers", write)                               \
	F(17, "report-server-id", read)                                        \
	F(18, "program-884", program)                                          \
	F(19, "reset-link", admin)                                             \
	F(20, "read-file-record", read)                                        \
	F(21, "write-file-record", write)                                      \
	F(22, "mask-write-register", write)                                    \
	F(23, "read-write-multiple-registers", write)                          \
	F(24, "read-fifo-queue", read)                                         \
	F(40, "program-concept", program)                                      \
	F(43, "read-device-identification", read)                              \
	F(65, "user-defined-65", other)                                        \
	F(66, "user-defined-66", other)                                        \
	F(67, "user-defined-67", other)                                        \
	F(68, "user-defined-68", other)                                        \
	F(69, "user-defined-69", other)                                        \
	F(70, "user-defined-70", other)                                        \
	F(71, "user-defined-71", other)                                        \
	F(72, "user-defined-72", other)                                        \
	F(90, "umas", program)                                                 \
	F(100, "user-defined-100", other)                                      \
	F(101, "user-defined-101", other)                                      \
	F(102, "user-defined-102", other)                                      \
	F(103, "user-defined-103", other)                                      \
	F(104, "user-defined-104", other)                                      \
	F(105, "user-defined-105", other)                                      \
	F(106, "user-defined-106", other)                                      \
	F(107, "user-defined-107", other)                                      \
	F(108, "user-defined-108", other)                                      \
	F(109, "user-defined-109", other)                                      \
	F(110, "user-defined-110", other)                                      \
	F(125, "firmware", program)                                            \
	F(126, "program-compact", program)                                     \
	F(128, "restart-communications", admin)                                \
	F(129, "change-ascii-delimiter", admin)                                \
	F(130, "force-listen-only", operate)                                   \
	F(131, "clear-counters", admin)                                        \
	F(132, "canopen-general-reference", write)                             \
	F(133 + 0x01, "umas-init", other)                                      \
	F(133 + 0x02, "umas-read-id", read)                                    \
	F(133 + 0x03, "umas-read-project-info", read)                          \
	F(133 + 0x04, "umas-read-plc-info", read)                              \
	F(133 + 0x06, "umas-read-card-info", read)                             \
	F(133 + 0x0a, "umas-repeat", read)                                     \
	F(133 + 0x10, "umas-take-reservation", admin)                          \
	F(133 + 0x11, "umas-release-reservation", admin)                       \
	F(133 + 0x12, "umas-keep-alive", other)                                \
	F(133 + 0x20, "umas-read-memory-block", read)                          \
	F(133 + 0x21, "umas-write-memory-block", program)                      \
	F(133 + 0x22, "umas-read-variables", read)                             \
	F(133 + 0x23, "umas-write-variables", write)                           \
	F(133 + 0x24, "umas-read-coils-registers", read)                       \
	F(133 + 0x25, "umas-write-coils-registers", write)                     \
	F(133 + 0x26, "umas-read-data-dictionary", read)                       \
	F(133 + 0x30, "umas-init-upload", program)                             \
	F(133 + 0x31, "umas-upload-block", program)                            \
	F(133 + 0x32, "umas-end-upload", program)                              \
	F(133 + 0x33, "umas-init-download", program)                           \
	F(133 + 0x34, "umas-download-block", program)                          \
	F(133 + 0x35, "umas-end-download", program)                            \
	F(133 + 0x36, "umas-card-backup", program)                             \
	F(133 + 0x38, "umas-reservation-authenticated", admin)                 \
	F(133 + 0x39, "umas-read-ethernet-master-data", read)                  \
	F(133 + 0x40, "umas-start-plc", operate)                               \
	F(133 + 0x41, "umas-stop-plc", operate)                                \
	F(133 + 0x42, "umas-init-plc", operate)                                \
	F(133 + 0x50, "umas-monitor-plc", write)                               \
	F(133 + 0x58, "umas-check-plc", read)                                  \
	F(133 + 0x6d, "umas-exchange-nonces", admin)                           \
	F(133 + 0x6e, "umas-verify-nonces", admin)                             \
	F(133 + 0x70, "umas-read-io-object", read)                             \
	F(133 + 0x71, "umas-write-io-object", write)                           \
	F(133 + 0x73, "umas-get-module-status", read)

enum {
	MODBUS_restart = 128,
	MODBUS_delimiter,
	MODBUS_listen_only,
	MODBUS_clear,
	MODBUS_canopen,
	MODBUS_umas, /* and the code of its function behind it */

	MODBUS_exception = 0x80, /* MB 7 */
	MODBUS_longest = 254,	 /* unit and PDU, TCP 3.1.3 */
	MODBUS_umas_longest = 1024,
	MODBUS_head = 8, /* MBAP header and function code */
	MODBUS_asked = 6,
	MODBUS_forgotten = 10,

	/* in the stead of a place, see modbus_find() */
	MODBUS_one_forgotten = MODBUS_asked,
	MODBUS_other_length,
	MODBUS_none,
};

/* What is inside a message whose head was judged. */
enum modbus_phase {
	MODBUS_between = 0,
	MODBUS_read_records,  /* groups of a request, FC 20 */
	MODBUS_write_records, /* FC 21, both ways */
	MODBUS_records,	      /* groups of an answer, FC 20 */
	MODBUS_objects,	      /* of an answer, FC 43/14 */
};

struct modbus_own {
	__u8 phase;
	__u8 count; /* objects to come */
	__u16 left; /* bytes of the message to come */
	__u8 pad[OWN_BYTES - 4];
} __attribute__((may_alias));
_Static_assert(sizeof(struct modbus_own) == OWN_BYTES, "modbus: own");

/* Requests without an answer. TCP 4.3.2 lets a client have up to 16 of them,
 * but most have one, and some are never answered: broadcasts through a serial
 * gateway, force-listen-only, dead slaves behind a gateway that says nothing.
 * So a full table must not end the conversation. The place that was not
 * renewed for longest is given up and counted as forgotten: that many answers,
 * at most ten, are later accepted without knowing to what. Never can there be
 * more answers than requests.
 */
struct modbus_shared {
	__u32 asked[MODBUS_asked]; /* modbus_key(), 0: free */
	__u8 length[MODBUS_asked]; /* of the answer, 0: not fixed */
	__u8 next;		   /* to be given up */
	__u8 forgotten;
} __attribute__((may_alias));
_Static_assert(sizeof(struct modbus_shared) == SHARED_BYTES, "modbus: shared");

static __always_inline __u8 modbus_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		modbus_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* The function code that goes with a number. */
static __always_inline __u32 modbus_code(__u32 number)
{
	if (number == MODBUS_canopen)
		return 43;
	if (number > MODBUS_umas)
		return 90;
	return number < 128 ? number : 8;
}

#define MODBUS_BIT(number, word)                                               \
	((number) >> 6 == (word) ? 1ULL << (number) % 64 : 0)

static __always_inline bool modbus_known(__u32 code)
{
#define F(number, name, class) | MODBUS_BIT(number, 0)
	const __u64 low = 0 modbus_FUNCTIONS(F);
#undef F
#define F(number, name, class) | MODBUS_BIT(number, 1)
	const __u64 high = 0 modbus_FUNCTIONS(F);
#undef F

	return code < 128 && (code < 64 ? low : high) >> code % 64 & 1;
}

/* The number of a function of UMAS. */
static __always_inline __u32 modbus_umas(__u32 sub)
{
#define F(number, name, class)                                                 \
	| ((number) > MODBUS_umas ? MODBUS_BIT((number)-MODBUS_umas, 0) : 0)
	const __u64 low = 0 modbus_FUNCTIONS(F);
#undef F
#define F(number, name, class)                                                 \
	| ((number) > MODBUS_umas ? MODBUS_BIT((number)-MODBUS_umas, 1) : 0)
	const __u64 high = 0 modbus_FUNCTIONS(F);
#undef F

	if (sub < 128 && (sub < 64 ? low : high) >> sub % 64 & 1)
		return MODBUS_umas + sub;
	return 90;
}

/* Transaction, unit and function; never 0, since no function is. */
static __always_inline __u32 modbus_key(const struct step *s, __u32 number)
{
	return (__u32)be16_at(s, 0) << 16 | (__u32)u8_at(s, 6) << 8 | number;
}

/* Can these two bytes, of which the second may be still to come, be a number
 * in low..high? What is not there reads as zero: the least it can become. */
static __always_inline bool modbus_within(const struct step *s, __u32 off,
					  __u32 low, __u32 high)
{
	__u32 least = be16_at(s, off);
	__u32 most = least;

	if (s->have <= off)
		return true;
	if (s->have == off + 1)
		most |= 0xff;
	return most >= low && least <= high;
}

/* A quantity of 1..limit that fits behind its address, which is 16 bit wide:
 * what goes beyond can earn nothing but exception 2. */
static __always_inline bool modbus_range(const struct step *s, __u32 off,
					 __u32 low, __u32 high)
{
	return modbus_within(s, off + 2, low, high) &&
	       (__u32)be16_at(s, off) + be16_at(s, off + 2) <= 65536;
}

/* ---- outstanding requests -------------------------------------------- */

static __always_inline void modbus_ask(struct step *s,
				       struct modbus_shared *shared)
{
	__u32 place, length = s->note;

	for (place = 0; place < MODBUS_asked; place++)
		if (!shared->asked[place])
			break;
	if (place == MODBUS_asked) {
		place = shared->next;
		shared->next = place + 1 < MODBUS_asked ? place + 1 : 0;
		if (shared->forgotten < MODBUS_forgotten)
			shared->forgotten++;
	}
	place = forget(s, place);
	if (place >= MODBUS_asked)
		return;
	shared->asked[place] = modbus_key(s, s->function);
	shared->length[place] = length;
}

/* The place of the request that this answers, or what stands for one. */
static __always_inline __u32 modbus_find(struct step *s,
					 const struct modbus_shared *shared,
					 __u32 number)
{
	__u32 i, key = modbus_key(s, number), length = be16_at(s, 4);
	__u32 place = shared->forgotten ? MODBUS_one_forgotten : MODBUS_none;

	for (i = 0; i < MODBUS_asked; i++) {
		if (shared->asked[i] != key)
			continue;
		place = MODBUS_other_length;
		if (!shared->length[i] || shared->length[i] == length) {
			place = i;
			break;
		}
	}
	return forget(s, place);
}

/* An exception names the code alone, not which of its sub-functions. */
static __always_inline __u32
modbus_find_code(struct step *s, const struct modbus_shared *shared, __u32 code)
{
	__u32 i, key = modbus_key(s, code);
	__u32 place = shared->forgotten ? MODBUS_one_forgotten : MODBUS_none;

	for (i = 0; i < MODBUS_asked; i++) {
		if (shared->asked[i] >> 8 == key >> 8 &&
		    modbus_code(shared->asked[i] & 0xff) == code) {
			place = i;
			break;
		}
	}
	return forget(s, place);
}

/* Some servers are one poll behind with the transaction, but answer in order:
 * unit and function tell their answers apart, and the length if it is fixed. In
 * the note is what was found, and stays so if it is something; bits 8 to 15 are
 * the function, bit 16 is set for an exception, whose length is its own. */
static __always_inline void modbus_late(struct step *s, struct state *st)
{
	const struct modbus_shared *shared = (struct modbus_shared *)st->shared;
	__u32 note = s->note, i, key = u8_at(s, 6) << 8 | (note >> 8 & 0xff);
	__u32 length = be16_at(s, 4), place = MODBUS_none;

	s->note = note & 0xff;
	if (s->note != MODBUS_none || !has_quirk(s, QUIRK_late_transaction_ids))
		return;
	for (i = 0; i < MODBUS_asked; i++) {
		if ((shared->asked[i] & 0xffff) != key)
			continue;
		if (note >> 16 || !shared->length[i] ||
		    shared->length[i] == length) {
			place = i;
			break;
		}
	}
	s->note = place;
	if (place != MODBUS_none)
		tolerates(s, QUIRK_late_transaction_ids);
}
STEP_APART(modbus_late)

static __always_inline __u32 modbus_or_late(struct step *s, struct state *st,
					    __u32 place, __u32 code,
					    __u32 is_exception)
{
	s->note = is_exception << 16 | code << 8 | place;
	modbus_late_apart(s, st);
	return s->note;
}

static __always_inline void modbus_not_found(struct step *s, __u32 place)
{
	bad(s, place == MODBUS_other_length ? REASON_bad_length
					    : REASON_unsolicited);
}

/* Frees the place; what was asked there may be a sub-function. */
static __always_inline void modbus_answered(struct step *s,
					    struct modbus_shared *shared)
{
	__u32 place = s->note;

	if (place >= MODBUS_asked) {
		shared->forgotten--;
		return;
	}
	s->function = shared->asked[place];
	shared->asked[place] = 0;
}

/* ---- answers of a step ----------------------------------------------- */

/* n bytes are judged, the rest of the message is opaque. */
static __always_inline void modbus_take(struct step *s, __u32 number, __u32 n)
{
	s->function = number;
	take(s, n, 6 + be16_at(s, 4) - n);
	message_ends(s);
}

/* A request is whole enough. */
static __always_inline void modbus_request(struct step *s, __u32 number,
					   __u32 n, __u32 answer_length)
{
	s->note = answer_length;
	modbus_take(s, number, n);
}

/* So is the answer to what was asked at the place. */
static __always_inline void modbus_reply(struct step *s, __u32 number,
					 __u32 place, __u32 n)
{
	s->note = place;
	modbus_take(s, number, n);
}

/* What each way through the step has in common, at its end: the verifier sees
 * it once. */
static __always_inline void modbus_remember(struct step *s,
					    struct modbus_shared *shared)
{
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (s->from_server)
		modbus_answered(s, shared);
	else
		modbus_ask(s, shared);
	says(s, s->function, modbus_class(s->function));
	for_unit(s, u8_at(s, 6));
}

/* The message goes on behind n bytes with groups to be walked. */
static __always_inline void modbus_walk_on(struct step *s, struct state *st,
					   __u8 phase, __u32 n, __u32 count)
{
	struct modbus_own *own = (struct modbus_own *)st->own;

	own->phase = phase;
	own->count = count;
	own->left = 6 + be16_at(s, 4) - n;
	take(s, n, 0);
	s->ends = 0;
}

/* ---- diagnostics, MB 6.8, both ways ---------------------------------- */

static __always_inline __u32 modbus_diagnostic(__u32 sub)
{
	switch (sub) {
	case 0:
	case 2:
	case 11 ... 18:
	case 21:
		return 8;
	case 1:
		return MODBUS_restart;
	case 3:
		return MODBUS_delimiter;
	case 4:
		return MODBUS_listen_only;
	case 10:
	case 20:
		return MODBUS_clear;
	}
	return 0;
}

static __always_inline bool modbus_diagnostic_data(const struct step *s,
						   __u32 sub)
{
	__u32 high = u8_at(s, 10), low = u8_at(s, 11);

	switch (sub) {
	case 0:
		return true;
	case 1:
		return (high == 0 || high == 0xff) && low == 0;
	case 3:
		return low == 0;
	case 21: /* 3 get, 4 clear */
		return high == 0 && (s->have < 12 || low == 3 || low == 4);
	case 4:
	case 10:
	case 20:
		return high == 0 && low == 0;
	}
	return s->from_server || (high == 0 && low == 0);
}

static __always_inline void modbus_diagnostics(struct step *s, struct state *st)
{
	struct modbus_shared *shared = (struct modbus_shared *)st->shared;
	__u32 length = be16_at(s, 4), sub = u8_at(s, 9), number, n = 12;
	bool statistics;
	__u32 place;

	if (u8_at(s, 8))
		return bad(s, REASON_bad_function);
	if (s->have < 10)
		return need(s, 12);
	number = modbus_diagnostic(sub);
	if (!number)
		return bad(s, REASON_bad_function);
	if (sub && length != 6 && !(sub == 21 && s->from_server))
		return bad(s, REASON_bad_length);
	if (!modbus_diagnostic_data(s, sub))
		return bad(s, REASON_bad_value);
	if (s->have < 12)
		return need(s, 12);
	statistics = sub == 21 && u8_at(s, 11) == 3;
	if (sub == 21 && !statistics)
		number = MODBUS_clear;
	if (!s->from_server)
		return modbus_request(s, number, n, statistics ? 0 : length);
	place = modbus_find(s, shared, number);
	if (place > MODBUS_one_forgotten)
		return modbus_not_found(s, place);
	if (statistics) { /* a byte count of 16 bits, then the words */
		if (length < 8 || !modbus_within(s, 12, length - 8, length - 8))
			return bad(s, REASON_bad_length);
		n = 14;
		if (s->have < n)
			return need(s, n);
	}
	modbus_reply(s, number, place, n);
}

/* ---- requests -------------------------------------------------------- */

/* What the function says about the length field, MB 6.1 to 6.21. */
static __always_inline bool modbus_request_length(__u32 code, __u32 length)
{
	switch (code) {
	case 1 ... 6:
		return length == 6;
	case 7:
	case 11:
	case 12:
	case 17:
		return length == 2;
	case 8:
		return length >= 6 && length <= MODBUS_longest &&
		       length % 2 == 0;
	case 15: /* 1968 coils at most */
		return length >= 8 && length <= 253;
	case 16: /* 123 registers at most */
		return length >= 9 && length <= 253 && length % 2 == 1;
	case 20:
		return length >= 10 && length <= 248 && (length - 3) % 7 == 0;
	case 21:
		return length >= 12 && length <= MODBUS_longest;
	case 22:
		return length == 8;
	case 23: /* 121 registers written at most */
		return length >= 13 && length <= 253 && length % 2 == 1;
	case 24:
		return length == 4;
	case 43:
		return length >= 3 && length <= MODBUS_longest;
	case 90: /* sizes are agreed in its own handshake */
		return length >= 4 && length <= MODBUS_umas_longest;
	}
	return length >= 2 && length <= MODBUS_longest;
}

/* MB 6.1 to 6.6: address and quantity or value. */
static __always_inline void modbus_simple_request(struct step *s, __u32 code)
{
	__u32 length = 6, quantity = be16_at(s, 10);
	bool ok = true;

	if (code <= 2) {
		ok = modbus_range(s, 8, 1, 2000);
		length = 3 + (quantity + 7) / 8;
	} else if (code <= 4) {
		ok = modbus_range(s, 8, 1, 125);
		length = 3 + 2 * quantity;
	} else if (code == 5) {
		ok = quantity == 0 || quantity == 0xff00;
	}
	if (!ok)
		return bad(s, REASON_bad_value);
	if (s->have < 12)
		return need(s, 12);
	modbus_request(s, code, 12, length);
}

/* MB 6.11, 6.12: the length field leaves one quantity of registers, or eight
 * of coils, and one byte count. */
static __always_inline void modbus_write_request(struct step *s, __u32 code)
{
	__u32 bytes = be16_at(s, 4) - 7;
	__u32 low = bytes / 2, high = bytes / 2;

	if (code == 15) {
		low = 8 * bytes - 7;
		high = 8 * bytes;
	}
	if (!modbus_range(s, 8, low, high))
		return bad(s, REASON_bad_value);
	if (s->have > 12 && u8_at(s, 12) != bytes)
		return bad(s, REASON_bad_length);
	if (s->have < 13)
		return need(s, 13);
	modbus_request(s, code, 13, 6);
}

/* MB 6.17: a write that looks like a read. */
static __always_inline void modbus_read_write_request(struct step *s)
{
	__u32 bytes = be16_at(s, 4) - 11;

	if (!modbus_range(s, 8, 1, 125) ||
	    !modbus_range(s, 12, bytes / 2, bytes / 2))
		return bad(s, REASON_bad_value);
	if (s->have > 16 && u8_at(s, 16) != bytes)
		return bad(s, REASON_bad_length);
	if (s->have < 17)
		return need(s, 17);
	modbus_request(s, 23, 17, 3 + 2 * be16_at(s, 10));
}

/* MB 6.14, 6.15: a byte count, then groups. */
static __always_inline void modbus_file_request(struct step *s,
						struct state *st, __u32 code)
{
	__u32 length = be16_at(s, 4);

	if (s->have < 9)
		return need(s, 9);
	if (u8_at(s, 8) != length - 3)
		return bad(s, REASON_bad_length);
	modbus_request(s, code, 9, code == 21 ? length : 0);
	modbus_walk_on(s, st,
		       code == 21 ? MODBUS_write_records : MODBUS_read_records,
		       9, 0);
}

/* MB 6.19, 6.20, 6.21. */
static __always_inline void modbus_mei_request(struct step *s)
{
	__u32 code = u8_at(s, 9);

	if (s->have < 9)
		return need(s, 9);
	if (u8_at(s, 8) == 13)
		return modbus_request(s, MODBUS_canopen, 9, 0);
	if (u8_at(s, 8) != 14)
		return bad(s, REASON_bad_function);
	if (be16_at(s, 4) != 5)
		return bad(s, REASON_bad_length);
	if (s->have > 9 && (code < 1 || code > 4))
		return bad(s, REASON_bad_value);
	if (s->have < 11)
		return need(s, 11);
	modbus_request(s, 43, 11, 0);
}

/* A session's key, then the function; what follows is little endian. */
static __always_inline void modbus_umas_request(struct step *s)
{
	__u32 sub = u8_at(s, 9), length = be16_at(s, 4);

	if (s->have < 10)
		return need(s, 10);
	if ((sub == 0x20 && length != 13) || (sub == 0x26 && length != 17) ||
	    ((sub == 0x22 || sub == 0x23) && length < 9))
		return bad(s, REASON_bad_length);
	modbus_request(s, modbus_umas(sub), 10, 0);
}

/* Nothing is known of the layout but its first n bytes. */
static __always_inline void modbus_fixed_request(struct step *s, __u32 code,
						 __u32 n, __u32 answer_length)
{
	if (s->have < n)
		return need(s, n);
	modbus_request(s, code, n, answer_length);
}

static __always_inline void modbus_from_client(struct step *s, struct state *st)
{
	__u32 code = u8_at(s, 7);

	if (code > MODBUS_exception && modbus_known(code - MODBUS_exception))
		return bad(s, REASON_bad_direction);
	if (!modbus_known(code))
		return bad(s, REASON_bad_function);
	if (!modbus_request_length(code, be16_at(s, 4)))
		return bad(s, REASON_bad_length);
	switch (code) {
	case 1 ... 6:
		return modbus_simple_request(s, code);
	case 7:
		return modbus_fixed_request(s, code, 8, 3);
	case 8:
		return modbus_diagnostics(s, st);
	case 11:
		return modbus_fixed_request(s, code, 8, 6);
	case 15:
	case 16:
		return modbus_write_request(s, code);
	case 20:
	case 21:
		return modbus_file_request(s, st, code);
	case 22:
		return modbus_fixed_request(s, code, 14, 8);
	case 23:
		return modbus_read_write_request(s);
	case 24: /* a pointer */
		return modbus_fixed_request(s, code, 10, 0);
	case 90:
		return modbus_umas_request(s);
	case 43:
		return modbus_mei_request(s);
	}
	modbus_fixed_request(s, code, 8, 0);
}

/* ---- answers --------------------------------------------------------- */

static __always_inline bool modbus_answer_length(__u32 code, __u32 length)
{
	switch (code) {
	case 1:
	case 2:
		return length >= 4 && length <= 253;
	case 3:
	case 4:
	case 23:
		return length >= 5 && length <= 253 && length % 2 == 1;
	case 5:
	case 6:
	case 11:
	case 15:
	case 16:
		return length == 6;
	case 7:
		return length == 3;
	case 12: /* 64 events at most */
		return length >= 9 && length <= 73;
	case 17:
		return length >= 4 && length <= MODBUS_longest;
	case 20:
		return length >= 7 && length <= 248;
	case 24: /* 31 registers at most */
		return length >= 6 && length <= 68 && length % 2 == 0;
	}
	return modbus_request_length(code, length);
}

/* Length fields may leave out the unit, or count one byte more: what is sent
 * has nine bytes all the same. One branch, for the verifier. */
static __always_inline bool modbus_exception_length(struct step *s,
						    __u32 length)
{
	__u64 odd = has_quirk(s, QUIRK_exception_length);
	__u64 legal = unpredicted(1 << 3 | ((1 << 2 | 1 << 4) & -odd));

	if (length >> 3 || !(legal >> length & 1))
		return false;
	odd = unpredicted(-(__u64)(length ^ 3)) >> 63;
	s->tolerated = QUIRK_exception_length & -odd;
	return true;
}

static __always_inline void
modbus_exception_answer(struct step *s, struct state *st, __u32 code)
{
	struct modbus_shared *shared = (struct modbus_shared *)st->shared;
	__u32 exception = u8_at(s, 8), length = be16_at(s, 4), place;

	if (!modbus_exception_length(s, length))
		return bad(s, REASON_bad_length);
	place = modbus_find_code(s, shared, code);
	place = modbus_or_late(s, st, place, code, 1);
	if (place > MODBUS_one_forgotten)
		return modbus_not_found(s, place);
	if (s->have < 9)
		return need(s, 9);
	/* MB 7; 5 and 7 are of older issues */
	if (exception < 1 || exception > 11 || exception == 9)
		return bad(s, REASON_bad_value);
	modbus_reply(s, code, place, 9);
	s->skip = 0;
}

static __always_inline bool modbus_conformity(__u32 level)
{
	return (level & 0x7f) >= 1 && (level & 0x7f) <= 3;
}

/* MB 6.21: six bytes, then objects. */
static __always_inline void modbus_mei_answer(struct step *s, struct state *st)
{
	struct modbus_shared *shared = (struct modbus_shared *)st->shared;
	__u32 length = be16_at(s, 4), number = 43;
	__u32 code = u8_at(s, 9), more = u8_at(s, 11);
	__u32 place;

	if (s->have < 9)
		return need(s, 9);
	if (u8_at(s, 8) == 13)
		number = MODBUS_canopen;
	else if (u8_at(s, 8) != 14)
		return bad(s, REASON_bad_function);
	if (number == 43 && length < 8)
		return bad(s, REASON_bad_length);
	place = modbus_find(s, shared, number);
	if (place > MODBUS_one_forgotten)
		return modbus_not_found(s, place);
	if (number != 43)
		return modbus_reply(s, number, place, 9);
	if ((s->have > 9 && (code < 1 || code > 4)) ||
	    (s->have > 10 && !modbus_conformity(u8_at(s, 10))) ||
	    (more != 0 && more != 0xff) || (more == 0 && u8_at(s, 12) != 0) ||
	    2U * u8_at(s, 13) > length - 8 ||
	    (s->have > 13 && u8_at(s, 13) == 0 && length != 8))
		return bad(s, REASON_bad_value);
	if (s->have < 14)
		return need(s, 14);
	modbus_reply(s, number, place, 14);
	if (length > 8)
		modbus_walk_on(s, st, MODBUS_objects, 14, u8_at(s, 13));
}

/* The fields behind the function code; 0, or the reason why not. */
static __always_inline int modbus_answer_fields(const struct step *s,
						__u32 code, __u32 length)
{
	__u32 count = u8_at(s, 8), value = be16_at(s, 10);

	switch (code) {
	case 1 ... 4:
	case 17:
	case 20:
	case 21:
	case 23:
		if (s->have > 8 && count != length - 3)
			return REASON_bad_length;
		return 0;
	case 5:
		return value == 0 || value == 0xff00 ? 0 : REASON_bad_value;
	case 11: /* busy or not */
		return modbus_within(s, 8, 0, 0) ||
			       modbus_within(s, 8, 0xffff, 0xffff)
			   ? 0
			   : REASON_bad_value;
	case 12:
		if (s->have > 8 && count != length - 3)
			return REASON_bad_length;
		return modbus_within(s, 9, 0, 0) ||
			       modbus_within(s, 9, 0xffff, 0xffff)
			   ? 0
			   : REASON_bad_value;
	case 15:
		return modbus_range(s, 8, 1, 1968) ? 0 : REASON_bad_value;
	case 16:
		return modbus_range(s, 8, 1, 123) ? 0 : REASON_bad_value;
	case 24: /* a byte count and a count, both of 16 bits */
		return modbus_within(s, 8, length - 4, length - 4) &&
			       modbus_within(s, 10, length / 2 - 3,
					     length / 2 - 3)
			   ? 0
			   : REASON_bad_length;
	case 90: /* done or refused */
		return s->have > 9 && u8_at(s, 9) != 0xfe && u8_at(s, 9) != 0xfd
			   ? REASON_bad_value
			   : 0;
	}
	return 0;
}

/* How much of an answer is judged. */
static __always_inline __u32 modbus_answer_judged(__u32 code)
{
	switch (code) {
	case 1 ... 4:
	case 7:
	case 17:
	case 20:
	case 21:
	case 23:
		return 9;
	case 5:
	case 6:
	case 11:
	case 15:
	case 16:
	case 24:
		return 12;
	case 12:
		return 11;
	case 22:
		return 14;
	case 90:
		return 10;
	}
	return MODBUS_head;
}

static __always_inline void modbus_from_server(struct step *s, struct state *st)
{
	struct modbus_shared *shared = (struct modbus_shared *)st->shared;
	__u32 code = u8_at(s, 7), length = be16_at(s, 4), place, n;
	int reason;

	if (!modbus_known(code & 0x7f))
		return bad(s, REASON_bad_function);
	if (code & MODBUS_exception)
		return modbus_exception_answer(s, st, code & 0x7f);
	if (!modbus_answer_length(code, length))
		return bad(s, REASON_bad_length);
	if (code == 8)
		return modbus_diagnostics(s, st);
	if (code == 43)
		return modbus_mei_answer(s, st);
	/* UMAS does not repeat its function. */
	place = code == 90 ? modbus_find_code(s, shared, code)
			   : modbus_find(s, shared, code);
	place = modbus_or_late(s, st, place, code, 0);
	if (place > MODBUS_one_forgotten)
		return modbus_not_found(s, place);
	reason = modbus_answer_fields(s, code, length);
	if (reason)
		return bad(s, reason);
	n = modbus_answer_judged(code);
	if (s->have < n)
		return need(s, n);
	modbus_reply(s, code, place, n);
	if (code == 20 || code == 21)
		modbus_walk_on(
		    s, st, code == 20 ? MODBUS_records : MODBUS_write_records,
		    n, 0);
}

/* ---- inside a message ------------------------------------------------ */

/* MB 6.14, 6.15: reference type 6, file from 1, record up to 9999, length in
 * registers. */
static __always_inline void
modbus_record_request(struct step *s, struct modbus_own *own, bool writes)
{
	/* of the answer there is room for 245 bytes, of a request for left */
	__u32 most = writes ? (own->left - 7U) / 2 : 121;
	__u32 data = writes ? 2U * be16_at(s, 5) : 0;

	if (own->left < (writes ? 9 : 7))
		return bad(s, REASON_bad_length);
	if (u8_at(s, 0) != 6 || !modbus_within(s, 1, 1, 65535) ||
	    !modbus_within(s, 3, 0, 9999) || !modbus_within(s, 5, 1, most))
		return bad(s, REASON_bad_value);
	if (s->have < 7)
		return need(s, 7);
	take(s, 7, data);
	own->left -= 7 + data;
}

/* Length, which counts the reference type, reference type, registers. */
static __always_inline void modbus_record_answer(struct step *s,
						 struct modbus_own *own)
{
	__u32 length = u8_at(s, 0);

	if (own->left < 4)
		return bad(s, REASON_bad_length);
	if (length < 3 || length % 2 == 0 || length >= own->left)
		return bad(s, REASON_bad_length);
	if (s->have < 2)
		return need(s, 2);
	if (u8_at(s, 1) != 6)
		return bad(s, REASON_bad_value);
	take(s, 2, length - 1);
	own->left -= 1 + length;
}

static __always_inline void modbus_object(struct step *s,
					  struct modbus_own *own)
{
	__u32 room = own->left - 2U * own->count, length = u8_at(s, 1);

	if (s->have < 2)
		return need(s, 2);
	/* the objects to come need two bytes each, the last leaves none */
	if (length > room || (own->count == 1 && length != room))
		return bad(s, REASON_bad_length);
	take(s, 2, length);
	own->left -= 2 + length;
	own->count--;
}

static __always_inline void modbus_walk(struct step *s, struct modbus_own *own)
{
	switch (own->phase) {
	case MODBUS_read_records:
		modbus_record_request(s, own, false);
		break;
	case MODBUS_write_records:
		modbus_record_request(s, own, true);
		break;
	case MODBUS_records:
		modbus_record_answer(s, own);
		break;
	case MODBUS_objects:
		modbus_object(s, own);
		break;
	default:
		bad(s, REASON_internal);
	}
	if (s->answer == STEP_take && own->left == 0) {
		own->phase = MODBUS_between;
		message_ends(s);
	}
}

/* ---- what a request works on ------------------------------------------ */

/* Which table a function reads or writes, and from its address on how much of
 * it: 0 where bytes 10 and 11 tell, MB 6.1 to 6.18. */
static __always_inline bool modbus_place_of(__u32 number, __u32 *ret_table,
					    __u32 *ret_count)
{
	*ret_count = 0;
	*ret_table = TABLE_register;
	switch (number) {
	case 5:
		*ret_count = 1;
		/* fall through */
	case 1:
	case 15:
		*ret_table = TABLE_coil;
		return true;
	case 2:
		*ret_table = TABLE_discrete_input;
		return true;
	case 4:
		*ret_table = TABLE_input_register;
		return true;
	case 6:
	case 22:
		*ret_count = 1;
		return true;
	case 24: /* a count and the queue behind it, 31 at most */
		*ret_count = 32;
		return true;
	case 3:
	case 16:
	case 23:
		return true;
	}
	return false;
}

static __always_inline void modbus_names(struct step *s, __u32 table, __u32 at,
					 __u32 count)
{
	__u32 first = be16_at(s, at), last = first + count - 1;

	names(s, ARGUMENT_address, table << 16 | first,
	      table << 16 | (last > 0xffff ? 0xffff : last));
}

/* A request whose head was judged says what it works on. */
static __always_inline void modbus_arguments(struct step *s)
{
	__u32 table, count;

	read_anew();
	if (s->answer != STEP_take || s->from_server ||
	    !modbus_place_of(s->function, &table, &count))
		return;
	modbus_names(s, table, 8, count ? count : be16_at(s, 10));
	if (s->function == 23)
		modbus_names(s, TABLE_register, 12, be16_at(s, 14));
}

/* ---- the step -------------------------------------------------------- */

/* Bit 63 of it says whether a > b, for a comparison that is no branch. */
static __always_inline __u64 modbus_above(__u32 a, __u32 b)
{
	return (__u64)b - a;
}

/* What nearly all traffic is: a read request while the first place is free,
 * and its answer. True: the step is answered. It may say nothing that the
 * long way would not.
 *
 * Which side speaks is a mask and no branch: where many conversations are
 * polled in turn, no predictor knows it.
 */
static __always_inline bool modbus_fast(struct step *s,
					struct modbus_shared *shared)
{
	__u64 head = word_at(s, 0), body = word_at(s, 1);
	__u64 server = -(__u64)unpredicted(s->from_server), wrong;
	__u32 code = head >> 56, length = head >> 40 & 0xff;
	__u32 transaction = __builtin_bswap16(head);
	__u32 unit_and_code = __builtin_bswap16(head >> 48);
	__u32 address = __builtin_bswap16(body), bytes = body & 0xff;
	__u32 quantity = __builtin_bswap16(body >> 16);
	__u32 key = transaction << 16 | unit_and_code;
	__u32 n = 12 - (server & 3), asked = shared->asked[0];
	__u32 answer = shared->length[0];
	__u32 data = code <= 2 ? (quantity + 7) / 8 : 2 * quantity;

	/* protocol identifier, and a length below 256 */
	if ((head >> 16 & 0xffffff) || code - 1 > 3 || s->have < n)
		return false;
	wrong = server &
		((asked ^ key) | (answer ^ length) | ((bytes + 3) ^ length));
	wrong |= ~server & (asked | (length ^ 6) |
			    (modbus_above(data - 1, 249) |
			     modbus_above(address + quantity, 65536)) >>
				63);
	if (wrong)
		return false;
	shared->asked[0] = key & ~server;
	shared->length[0] = ((data + 3) & ~server) | (answer & server);
	take(s, n, bytes & server);
	message_ends(s);
	says(s, code, CLASS_read);
	for_unit(s, unit_and_code >> 8);
	return true;
}

static __always_inline void modbus_step(struct step *s, struct state *st)
{
	struct modbus_own *own = (struct modbus_own *)st->own;
	struct modbus_shared *shared = (struct modbus_shared *)st->shared;

	if (own->phase != MODBUS_between)
		return modbus_walk(s, own);
	if (modbus_fast(s, shared))
		return modbus_arguments(s);
	if (be16_at(s, 2) != 0) /* protocol identifier */
		return bad(s, REASON_bad_magic);
	if (!modbus_within(s, 4, 2, MODBUS_umas_longest))
		return bad(s, REASON_bad_length);
	if (s->have < MODBUS_head)
		return need(s, MODBUS_head);
	if (s->from_server)
		modbus_from_server(s, st);
	else
		modbus_from_client(s, st);
	modbus_remember(s, shared);
	modbus_arguments(s);
}

#endif
