/* SPDX-License-Identifier: GPL-2.0-only */
/* S7comm (S7-200, 300, 400 and what imitates them) over TPKT and COTP.
 *
 * No specification is public. The layout is that of what devices and Siemens'
 * own programs send; names are those in common use. All numbers are big endian.
 *
 *	TPKT and COTP DT   7 bytes, proto/cotp.h
 *	header             0x32, ROSCTR, redundancy id 2, PDU reference 2,
 *			   length of parameters 2, of data 2
 *			   [error class, error code: ROSCTR 2 and 3]
 *	parameters         of a job: function code and what belongs to it
 *	data
 *
 * TPKT length, COTP's end mark and the two lengths must agree. Header and
 * parameters stand in the first DT (a PDU is agreed on to fit one; nobody cuts
 * it otherwise), data may go on in others. The items of read-var and write-var
 * are walked one by one, and their data too as long as they stand in one DT.
 * What a block, a record or a value holds is opaque.
 *
 * The connection and setup-communication say no function: a rule that allows
 * reading must let it begin. What an answer says is what was asked.
 */
#ifndef PORTCULLIS_PROTO_S7COMM_H
#define PORTCULLIS_PROTO_S7COMM_H

#include <stdbool.h>

#include "cotp.h"
#include "window.h"

/* 4 to 41: function code of a job. 48 on: PI services (job 40) by name. 64 on:
 * userdata by group and subfunction, see s7comm_GROUPS.
 */
#define s7comm_FUNCTIONS(F)                                                    \
	F(4, "read-var", read)                                                 \
	F(5, "write-var", write)                                               \
	F(26, "request-download", program)                                     \
	F(27, "download-block", program)                                       \
	F(28, "download-ended", program)                                       \
	F(29, "start-upload", program)                                         \
	F(30, "upload", program)                                               \
	F(31, "end-upload", program)                                           \
	F(41, "plc-stop", operate)                                             \
	F(48, "pi-program", operate)                                           \
	F(49, "pi-insert-block", program)                                      \
	F(50, "pi-delete-block", program)                                      \
	F(51, "pi-copy-ram-to-rom", program)                                   \
	F(52, "pi-compress-memory", admin)                                     \
	F(53, "pi-login", admin)                                               \
	F(54, "pi-nc-operate", operate)                                        \
	F(55, "pi-nc-file", program)                                           \
	F(56, "pi-other", other)                                               \
	F(64, "mode-transition", read)                                         \
	F(65, "block-status", read)                                            \
	F(66, "variable-status", read)                                         \
	F(67, "output-stack", read)                                            \
	F(68, "time-measurement", read)                                        \
	F(69, "force-selection", read)                                         \
	F(70, "modify-variable", operate)                                      \
	F(71, "force", operate)                                                \
	F(72, "breakpoint", operate)                                           \
	F(73, "exit-hold", operate)                                            \
	F(74, "memory-reset", program)                                         \
	F(75, "disable-job", operate)                                          \
	F(76, "enable-job", operate)                                           \
	F(77, "delete-job", operate)                                           \
	F(78, "read-job-list", read)                                           \
	F(79, "read-job", read)                                                \
	F(80, "replace-job", operate)                                          \
	F(81, "flash-led", read)                                               \
	F(84, "cyclic-transfer", read)                                         \
	F(85, "cyclic-unsubscribe", read)                                      \
	F(86, "cyclic-change-driven", read)                                    \
	F(87, "cyclic-change-driven-modify", read)                             \
	F(88, "cyclic-read-record", read)                                      \
	F(92, "list-blocks", read)                                             \
	F(93, "list-blocks-of-type", read)                                     \
	F(94, "block-info", read)                                              \
	F(96, "read-szl", read)                                                \
	F(97, "message-service", read)                                         \
	F(98, "diagnostic-message", read)                                      \
	F(99, "alarm-indication", read)                                        \
	F(100, "alarm-query", read)                                            \
	F(101, "alarm-lock", operate)                                          \
	F(102, "alarm-unlock", operate)                                        \
	F(103, "alarm-acknowledge", operate)                                   \
	F(112, "password", admin)                                              \
	F(113, "clear-password", admin)                                        \
	F(116, "block-send", write)                                            \
	F(120, "read-clock", read)                                             \
	F(121, "set-clock", admin)                                             \
	F(126, "nc-program", program)

/* Number, group, subfunction. Group 0 is only pushed, and in a form of its own;
 * groups 6 (block send) and 15 (NC) go by the group alone. */
#define s7comm_GROUPS(G)                                                       \
	G(65, 1, 0x01)                                                         \
	G(66, 1, 0x02)                                                         \
	G(67, 1, 0x03)                                                         \
	G(67, 1, 0x04)                                                         \
	G(67, 1, 0x05)                                                         \
	G(68, 1, 0x06)                                                         \
	G(69, 1, 0x07)                                                         \
	G(70, 1, 0x08)                                                         \
	G(71, 1, 0x09)                                                         \
	G(72, 1, 0x0a)                                                         \
	G(73, 1, 0x0b)                                                         \
	G(74, 1, 0x0c)                                                         \
	G(75, 1, 0x0d)                                                         \
	G(76, 1, 0x0e)                                                         \
	G(77, 1, 0x0f)                                                         \
	G(78, 1, 0x10)                                                         \
	G(79, 1, 0x11)                                                         \
	G(80, 1, 0x12)                                                         \
	G(65, 1, 0x13)                                                         \
	G(81, 1, 0x16)                                                         \
	G(84, 2, 0x01)                                                         \
	G(85, 2, 0x04)                                                         \
	G(86, 2, 0x05)                                                         \
	G(87, 2, 0x07)                                                         \
	G(88, 2, 0x08)                                                         \
	G(92, 3, 0x01)                                                         \
	G(93, 3, 0x02)                                                         \
	G(94, 3, 0x03)                                                         \
	G(96, 4, 0x01)                                                         \
	G(97, 4, 0x02)                                                         \
	G(98, 4, 0x03)                                                         \
	G(99, 4, 0x05)                                                         \
	G(99, 4, 0x06)                                                         \
	G(101, 4, 0x07)                                                        \
	G(102, 4, 0x08)                                                        \
	G(99, 4, 0x09)                                                         \
	G(103, 4, 0x0b)                                                        \
	G(99, 4, 0x0c)                                                         \
	G(99, 4, 0x0d)                                                         \
	G(99, 4, 0x0e)                                                         \
	G(99, 4, 0x11)                                                         \
	G(99, 4, 0x12)                                                         \
	G(100, 4, 0x13)                                                        \
	G(99, 4, 0x16)                                                         \
	G(112, 5, 0x01)                                                        \
	G(113, 5, 0x02)                                                        \
	G(120, 7, 0x01)                                                        \
	G(121, 7, 0x02)                                                        \
	G(120, 7, 0x03)                                                        \
	G(121, 7, 0x04)

enum {
	S7COMM_JOB = 1,
	S7COMM_ACK = 2, /* without parameters */
	S7COMM_ACK_DATA = 3,
	S7COMM_USERDATA = 7,

	S7COMM_READ = 4,
	S7COMM_WRITE = 5,
	S7COMM_DOWNLOAD = 26,
	S7COMM_BLOCK = 27,
	S7COMM_ENDED = 28,
	S7COMM_START_UPLOAD = 29,
	S7COMM_UPLOAD = 30,
	S7COMM_END_UPLOAD = 31,
	S7COMM_PI = 40,
	S7COMM_STOP = 41,
	S7COMM_SETUP = 240, /* no function, a number only here */

	S7COMM_PI_PROGRAM = 48,
	S7COMM_PI_INSERT,
	S7COMM_PI_DELETE,
	S7COMM_PI_MODU,
	S7COMM_PI_GARB,
	S7COMM_PI_LOGIN,
	S7COMM_PI_NC_OPERATE,
	S7COMM_PI_NC_FILE,
	S7COMM_PI_OTHER,
	S7COMM_TRANSITION = 64,
	S7COMM_BSEND = 116,
	S7COMM_NC = 126,

	S7COMM_DB = 0x84,
	S7COMM_DI = 0x85,

	S7COMM_HEAD = 10, /* 12 with an error code */
	S7COMM_AT = 17,	  /* the parameters, behind such a head */
	S7COMM_AT_ACK = 19,
	S7COMM_LEAST_PDU = 112, /* that setup may agree on */
	S7COMM_ASKED = 6,
	S7COMM_FORGOTTEN = 10,
};

/* What step.note says to s7comm_remember(). */
enum {
	S7COMM_ONE_FORGOTTEN = S7COMM_ASKED, /* below: place of the request */
	S7COMM_NONE,			     /* such a request is not there */
	S7COMM_NO_PAIR,			     /* nothing to be remembered */
	S7COMM_ASKS,
};

/* What an entry of the table asks for, its low byte. */
enum {
	S7COMM_BY_CLIENT = 1,
	S7COMM_BY_SERVER = 2, /* download-block, download-ended, block-send */
	S7COMM_BY_USERDATA = 4,
};

/* What is inside a message whose head was judged. */
enum s7comm_phase {
	S7COMM_BETWEEN = 0,
	S7COMM_ITEMS,	/* of read-var and write-var */
	S7COMM_VALUES,	/* that are written or were read */
	S7COMM_PI_NAME, /* behind the parameters of a PI service */
};

struct s7comm_own {
	struct cotp cotp;
	__u8 phase;
	__u8 items; /* to come */
	__u8 count; /* of them in all */
	__u8 pad;
	__u16 bytes; /* of items, values or name to come */
	__u16 data;  /* of the message */
	__u16 ref;
	__u8 pad2[6];
} __attribute__((may_alias));
_Static_assert(sizeof(struct s7comm_own) == OWN_BYTES, "s7comm: own");

/* Requests without an answer: reference, number, by whom. As many as setup
 * agrees on may be open, mostly one; some stacks use one reference for all. A
 * full table forgets, as modbus.h explains. */
struct s7comm_shared {
	struct cotp_link link;
	__u32 asked[S7COMM_ASKED]; /* 0: free */
	__u8 next;
	__u8 forgotten;
	__u8 setup; /* was asked for */
	__u8 pad;
} __attribute__((may_alias));
_Static_assert(sizeof(struct s7comm_shared) == SHARED_BYTES, "s7comm: shared");

static __always_inline __u8 s7comm_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		s7comm_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* The number of a userdata function; 0: there is none. */
static __always_inline __u32 s7comm_grouped(__u32 group, __u32 sub)
{
	if (group == 6)
		return S7COMM_BSEND;
	if (group == 15)
		return S7COMM_NC;
	switch (group << 8 | sub) {
#define G(number, g, sub_)                                                     \
	case (g) << 8 | (sub_):                                                \
		return number;
		s7comm_GROUPS(G)
#undef G
	}
	return 0;
}

/* The function code that goes with a number. */
static __always_inline __u32 s7comm_code(__u32 number)
{
	if (number >= S7COMM_PI_PROGRAM && number <= S7COMM_PI_OTHER)
		return S7COMM_PI;
	return number;
}

static __always_inline bool s7comm_known(__u32 code)
{
	return code == S7COMM_READ || code == S7COMM_WRITE ||
	       (code >= S7COMM_DOWNLOAD && code <= S7COMM_END_UPLOAD) ||
	       code == S7COMM_PI || code == S7COMM_STOP || code == S7COMM_SETUP;
}

static __always_inline __u32 s7comm_parameters(const struct step *s)
{
	return be16_at(s, 13);
}

static __always_inline __u32 s7comm_data(const struct step *s)
{
	return be16_at(s, 15);
}

/* ---- outstanding requests -------------------------------------------- */

static __always_inline void s7comm_ask(struct step *s,
				       struct s7comm_shared *shared, __u32 key)
{
	__u32 place;

	for (place = 0; place < S7COMM_ASKED; place++)
		if (!shared->asked[place])
			break;
	if (place == S7COMM_ASKED) {
		place = shared->next;
		shared->next = place + 1 < S7COMM_ASKED ? place + 1 : 0;
		if (shared->forgotten < S7COMM_FORGOTTEN)
			shared->forgotten++;
	}
	place = forget(s, place);
	if (place < S7COMM_ASKED)
		shared->asked[place] = key;
}

/* The place of the request that is answered; code 0: whatever it was. */
static __always_inline __u32 s7comm_find(struct step *s,
					 const struct s7comm_shared *shared,
					 __u32 code, __u32 by)
{
	__u32 place = shared->forgotten ? S7COMM_ONE_FORGOTTEN : S7COMM_NONE;
	__u32 i, asked, key = (__u32)be16_at(s, 11) << 16 | by;

	for (i = 0; i < S7COMM_ASKED; i++) {
		asked = shared->asked[i];
		if ((asked & 0xffff00ff) == key &&
		    (!code || s7comm_code(asked >> 8 & 0xff) == code)) {
			place = i;
			break;
		}
	}
	return forget(s, place);
}

/* What each way through the step has in common, at its end. */
static __always_inline void s7comm_remember(struct step *s,
					    struct s7comm_shared *shared,
					    __u32 ref, __u32 by)
{
	__u32 number, note;

	read_anew();
	note = s->note;
	if (s->answer != STEP_take)
		return;
	number = s->function;
	if (note == S7COMM_ASKS) {
		s7comm_ask(s, shared, ref << 16 | number << 8 | by);
	} else if (note < S7COMM_ASKED) {
		number = shared->asked[note] >> 8 & 0xff;
		shared->asked[note] = 0;
	} else if (note == S7COMM_ONE_FORGOTTEN) {
		shared->forgotten--;
		if (number == S7COMM_PI) /* which of them? */
			number = FUNCTION_none;
	}
	if (number == S7COMM_SETUP) {
		shared->setup = 1;
		number = FUNCTION_none;
	}
	says(s, number, s7comm_class(number));
}

/* ---- jobs ------------------------------------------------------------ */

/* A file name of nine characters: `_`, type, number, where to. */
static __always_inline bool s7comm_block_name(const struct step *s)
{
	return s->have <= S7COMM_AT + 8 ||
	       (u8_at(s, S7COMM_AT + 8) == 9 &&
		(s->have <= S7COMM_AT + 9 || u8_at(s, S7COMM_AT + 9) == '_'));
}

/* How many bytes of parameters a job has at least and at most. */
static __always_inline bool s7comm_job_length(__u32 code, __u32 length,
					      __u32 data)
{
	if (code != S7COMM_WRITE && data)
		return false;
	switch (code) {
	case S7COMM_READ:
		return length >= 6;
	case S7COMM_WRITE:
		return length >= 6 && data >= 4;
	case S7COMM_DOWNLOAD: /* with or without the sizes of the block */
		return length == 18 || length == 32;
	case S7COMM_BLOCK:
	case S7COMM_ENDED:
	case S7COMM_START_UPLOAD:
		return length == 18;
	case S7COMM_UPLOAD:
	case S7COMM_END_UPLOAD:
	case S7COMM_SETUP:
		return length == 8;
	case S7COMM_STOP:
		return length == 16;
	}
	return length >= 12 && length <= 1024; /* PI */
}

/* How many bytes of it are judged in the first step. */
static __always_inline __u32 s7comm_job_judged(__u32 code)
{
	switch (code) {
	case S7COMM_READ:
	case S7COMM_WRITE:
		return S7COMM_AT + 2;
	case S7COMM_DOWNLOAD:
	case S7COMM_BLOCK:
	case S7COMM_ENDED:
	case S7COMM_START_UPLOAD:
		return S7COMM_AT + 10;
	case S7COMM_PI:
		return S7COMM_AT + 10;
	case S7COMM_STOP:
		return S7COMM_AT + 7;
	}
	return S7COMM_AT + 8;
}

/* Two numbers of jobs at once, then the length of a PDU. */
static __always_inline bool s7comm_setup_fields(const struct step *s, __u32 at)
{
	if (u8_at(s, at + 1))
		return false;
	if (s->have > at + 3 && !be16_at(s, at + 2))
		return false;
	if (s->have > at + 5 && !be16_at(s, at + 4))
		return false;
	return s->have <= at + 7 || be16_at(s, at + 6) >= S7COMM_LEAST_PDU;
}

static __always_inline bool s7comm_job_fields(const struct step *s, __u32 code)
{
	switch (code) {
	case S7COMM_READ:
	case S7COMM_WRITE:
		return s->have <= S7COMM_AT + 1 || u8_at(s, S7COMM_AT + 1);
	case S7COMM_DOWNLOAD:
	case S7COMM_BLOCK:
	case S7COMM_ENDED:
	case S7COMM_START_UPLOAD:
		return s7comm_block_name(s);
	case S7COMM_SETUP:
		return s7comm_setup_fields(s, S7COMM_AT);
	case S7COMM_PI:
		if (be32_at(s, 18) || be16_at(s, 22))
			return false;
		return s->have <= 24 || u8_at(s, 24) == 0xfd;
	case S7COMM_STOP:
		if (be32_at(s, 18) || u8_at(s, 22))
			return false;
		return s->have <= 23 || u8_at(s, 23) == 9;
	}
	return true;
}

/* The first byte of items or of a name is still to come: the walk is begun. */
static __always_inline void s7comm_job_walk(struct step *s,
					    struct s7comm_own *own,
					    struct s7comm_shared *shared,
					    __u32 code, __u32 n, __u32 message)
{
	__u32 length = s7comm_parameters(s), skip = 0;

	own->ref = be16_at(s, 11);
	own->data = s7comm_data(s);
	if (code == S7COMM_PI) {
		skip = be16_at(s, S7COMM_AT + 8);
		if (skip + 12 > length)
			return bad(s, REASON_bad_length);
		own->phase = S7COMM_PI_NAME;
		own->bytes = length - 10 - skip;
	} else {
		own->phase = S7COMM_ITEMS;
		own->count = u8_at(s, S7COMM_AT + 1);
		own->items = own->count;
		own->bytes = length - 2;
		if (own->count * 4U > own->bytes)
			return bad(s, REASON_bad_length);
	}
	cotp_walk_on(s, &own->cotp, &shared->link, n, skip, message);
}

static __always_inline void s7comm_job(struct step *s, struct s7comm_own *own,
				       struct s7comm_shared *shared)
{
	__u32 code = u8_at(s, S7COMM_AT), length = s7comm_parameters(s);
	__u32 message = S7COMM_HEAD + length + s7comm_data(s), n;

	if (!length)
		return bad(s, REASON_bad_length);
	if (s->have <= S7COMM_AT)
		return need(s, S7COMM_AT + 1);
	if (!s7comm_known(code))
		return bad(s, REASON_bad_function);
	/* While it loads a program the controller asks for the blocks. */
	if ((code == S7COMM_BLOCK || code == S7COMM_ENDED) != s->from_server)
		return bad(s, REASON_bad_direction);
	if (shared->link.begun == COTP_CONNECTED && !shared->setup &&
	    code != S7COMM_SETUP)
		return bad(s, REASON_bad_order);
	if (!s7comm_job_length(code, length, s7comm_data(s)))
		return bad(s, REASON_bad_length);
	if (!s7comm_job_fields(s, code))
		return bad(s, REASON_bad_value);
	n = s7comm_job_judged(code);
	if (s->have < n)
		return need(s, n);
	s->function = code;
	s->note = S7COMM_ASKS;
	if (code == S7COMM_READ || code == S7COMM_WRITE)
		names_later(s);
	if (code == S7COMM_READ || code == S7COMM_WRITE || code == S7COMM_PI)
		s7comm_job_walk(s, own, shared, code, n, message);
	else
		cotp_message(s, &own->cotp, &shared->link, n, message);
	if (code == S7COMM_PI) /* its name will say which */
		s->note = S7COMM_NO_PAIR;
	if (code == S7COMM_PI)
		s->function = FUNCTION_none;
}

/* ---- answers to jobs ------------------------------------------------- */

static __always_inline bool s7comm_answer_length(__u32 code, __u32 length,
						 __u32 data)
{
	switch (code) {
	case S7COMM_READ:
		return length == 2 && data >= 4;
	case S7COMM_WRITE:
		return length == 2 && data >= 1;
	case S7COMM_BLOCK:
	case S7COMM_UPLOAD:
		return length == 2 && data >= 4;
	case S7COMM_START_UPLOAD:
		return length == 16 && !data;
	case S7COMM_SETUP:
		return length == 8 && !data;
	}
	return length <= 2 && !data;
}

static __always_inline void s7comm_answer_walk(struct step *s,
					       struct s7comm_own *own,
					       struct s7comm_shared *shared,
					       __u32 message)
{
	__u32 count = u8_at(s, S7COMM_AT_ACK + 1), n = S7COMM_AT_ACK + 2;

	own->phase = S7COMM_VALUES;
	own->count = count;
	own->items = count;
	own->bytes = s7comm_data(s);
	if (own->count * 4U > own->bytes)
		return bad(s, REASON_bad_length);
	cotp_walk_on(s, &own->cotp, &shared->link, n, 0, message);
}

/* What stands behind the function code of a good answer. */
static __always_inline void s7comm_answer(struct step *s,
					  struct s7comm_own *own,
					  struct s7comm_shared *shared,
					  __u32 code, __u32 message)
{
	__u32 length = s7comm_parameters(s), data = s7comm_data(s);
	__u32 count = u8_at(s, S7COMM_AT_ACK + 1), n = S7COMM_AT_ACK + 1;

	if (!s7comm_answer_length(code, length, data))
		return bad(s, REASON_bad_length);
	if (code == S7COMM_READ || code == S7COMM_WRITE)
		n = S7COMM_AT_ACK + 2;
	if (code == S7COMM_BLOCK || code == S7COMM_UPLOAD)
		n = S7COMM_AT_ACK + 6;
	if (code == S7COMM_SETUP)
		n = S7COMM_AT_ACK + 8;
	if (code == S7COMM_SETUP && !s7comm_setup_fields(s, S7COMM_AT_ACK))
		return bad(s, REASON_bad_value);
	if (n == S7COMM_AT_ACK + 2 && s->have >= n && !count)
		return bad(s, REASON_bad_value);
	if (n > cotp_length(s)) /* the head of the data is in another DT */
		return bad(s, REASON_bad_length);
	if (s->have < n)
		return need(s, n);
	if (code == S7COMM_WRITE && data != count) /* a return code each */
		return bad(s, REASON_bad_length);
	if (n == S7COMM_AT_ACK + 6 &&
	    (be16_at(s, S7COMM_AT_ACK + 2) + 4U != data ||
	     be16_at(s, S7COMM_AT_ACK + 4) != 0x00fb))
		return bad(s, REASON_bad_length);
	if (code == S7COMM_READ && u8_at(s, 6) >> 7)
		return s7comm_answer_walk(s, own, shared, message);
	cotp_message(s, &own->cotp, &shared->link, n, message);
}

static __always_inline void s7comm_ack(struct step *s, struct s7comm_own *own,
				       struct s7comm_shared *shared)
{
	__u32 length = s7comm_parameters(s), code = 0, n = S7COMM_AT_ACK;
	__u32 message = S7COMM_HEAD + 2 + length + s7comm_data(s), place;
	__u32 by = s->from_server ? S7COMM_BY_CLIENT : S7COMM_BY_SERVER;

	if (!length && s7comm_data(s))
		return bad(s, REASON_bad_length);
	if (length)
		n++;
	if (s->have < n)
		return need(s, n);
	if (length)
		code = u8_at(s, S7COMM_AT_ACK);
	if (length && !s7comm_known(code))
		return bad(s, REASON_bad_function);
	place = s7comm_find(s, shared, code, by);
	if (place == S7COMM_NONE)
		return bad(s, REASON_unsolicited);
	s->function = code ? code : FUNCTION_none;
	/* A refusal may leave out what the answer would say. */
	if (length && !be16_at(s, 17))
		s7comm_answer(s, own, shared, code, message);
	else
		cotp_message(s, &own->cotp, &shared->link, n, message);
	s->note = place;
}

/* ---- userdata -------------------------------------------------------- */

/* Four bytes before the data: return code, transport size, length. */
static __always_inline bool s7comm_envelope(const struct step *s, __u32 at)
{
	__u32 kind = u8_at(s, at + 1), length = be16_at(s, at + 2);

	if (kind >= 3 && kind <= 5) /* in bits */
		length = (length + 7) / 8;
	return length + 4 == s7comm_data(s);
}

/* The controller has changed its mode. */
static __always_inline void s7comm_transition(struct step *s,
					      struct s7comm_own *own,
					      struct s7comm_shared *shared)
{
	if (!s->from_server)
		return bad(s, REASON_bad_direction);
	if (s7comm_parameters(s) != 8 || s7comm_data(s))
		return bad(s, REASON_bad_length);
	if (s->have < 20)
		return need(s, 20);
	if (u8_at(s, 19) != 0x10)
		return bad(s, REASON_bad_value);
	s->function = S7COMM_TRANSITION;
	s->note = S7COMM_NO_PAIR;
	cotp_message(s, &own->cotp, &shared->link, 20, S7COMM_HEAD + 8);
}

/* 00 01 12, length of the rest, method: 11 for four bytes, 12 for eight. */
static __always_inline bool s7comm_userdata_head(const struct step *s)
{
	__u32 length = s7comm_parameters(s);

	if ((s->have > 18 && u8_at(s, 18) != 1) ||
	    (s->have > 19 && u8_at(s, 19) != 0x12))
		return false;
	if (s->have > 20 && u8_at(s, 20) != length - 4)
		return false;
	return s->have <= 21 || u8_at(s, 21) == (length == 8 ? 0x11 : 0x12);
}

/* 0 pushed, 4 asked for, 8 answered; NC programs have others. A block may be
 * sent either way. */
static __always_inline bool s7comm_userdata_from(const struct step *s,
						 __u32 group, __u32 type)
{
	if (group == 15)
		return true;
	if (group == 6)
		return type == 0 || type == 4 || type == 8;
	return s->from_server ? type == 0 || type == 8 : type == 4;
}

static __always_inline void s7comm_userdata(struct step *s,
					    struct s7comm_own *own,
					    struct s7comm_shared *shared)
{
	__u32 length = s7comm_parameters(s), type = u8_at(s, 22) >> 4;
	__u32 group = u8_at(s, 22) & 15, number, n = S7COMM_AT + 12;
	__u32 place = S7COMM_NO_PAIR;

	if (length != 8 && length != 12)
		return bad(s, REASON_bad_length);
	if (shared->link.begun == COTP_CONNECTED && !shared->setup)
		return bad(s, REASON_bad_order);
	if (s->have < 18)
		return need(s, 18);
	if (u8_at(s, 17) == 1)
		return s7comm_transition(s, own, shared);
	if (u8_at(s, 17))
		return bad(s, REASON_bad_value);
	if (s7comm_data(s) < 4)
		return bad(s, REASON_bad_length);
	if (!s7comm_userdata_head(s))
		return bad(s, REASON_bad_value);
	if (s->have < 24)
		return need(s, 24);
	if (!s7comm_userdata_from(s, group, type))
		return bad(s, REASON_bad_direction);
	number = forget(s, s7comm_grouped(group, u8_at(s, 23)));
	if (!number)
		return bad(s, REASON_bad_function);
	if (type == 4)
		place = S7COMM_ASKS;
	if (type == 8 && group != 15)
		place = s7comm_find(s, shared, number, S7COMM_BY_USERDATA);
	if (place == S7COMM_NONE)
		return bad(s, REASON_unsolicited);
	if (length == 12)
		n = S7COMM_AT + 16;
	if (n > cotp_length(s)) /* the head of the data is in another DT */
		return bad(s, REASON_bad_length);
	if (s->have < n)
		return need(s, n);
	if (!(length == 8 ? s7comm_envelope(s, S7COMM_AT + 8)
			  : s7comm_envelope(s, S7COMM_AT + 12)))
		return bad(s, REASON_bad_length);
	cotp_message(s, &own->cotp, &shared->link, n,
		     S7COMM_HEAD + length + s7comm_data(s));
	s->function = number;
	s->note = group == 15 ? S7COMM_NO_PAIR : place;
}

/* ---- inside a message ------------------------------------------------ */

/* How an item addresses: any, blocks, alarms, NC, drives, symbols. */
static __always_inline bool s7comm_syntax(__u32 syntax)
{
	return syntax == 0x10 || syntax == 0x13 || syntax == 0x15 ||
	       syntax == 0x16 || syntax == 0x19 || syntax == 0x1a ||
	       syntax == 0x1c || (syntax >= 0x82 && syntax <= 0x84) ||
	       syntax == 0xa2 || syntax == 0xb0 || syntax == 0xb2;
}

/* Records, system data, analogue inputs of the 200, counters, timers;
 * peripherals, inputs, outputs, flags, DB, DI, local and caller's data. */
static __always_inline bool s7comm_area(__u32 area)
{
	return area == 1 || area == 3 || (area >= 5 && area <= 7) ||
	       (area >= 0x1c && area <= 0x1f) || (area >= 0x80 && area <= 0x87);
}

/* Type, count, DB, area, bit address. */
static __always_inline enum portcullis_reason s7comm_any(const struct step *s)
{
	__u32 type = u8_at(s, 3);

	if (u8_at(s, 1) != 10)
		return REASON_bad_length;
	if (s->have > 3 &&
	    !(type >= 1 && (type <= 0xf || (type >= 0x13 && type <= 0x1f))))
		return REASON_bad_value;
	if (s->have > 5 && !be16_at(s, 4))
		return REASON_bad_value;
	if (s->have > 8 && !s7comm_area(u8_at(s, 8)))
		return REASON_bad_value;
	return REASON_none;
}

/* Which area an item is of, and which DB; of other ways to address nothing is
 * known that rules could limit. */
static __always_inline void s7comm_names(struct step *s,
					 const struct s7comm_own *own)
{
	__u32 area = (__u32)u8_at(s, 8) << 16, function = S7COMM_READ;

	if (own->data) /* a read brings none */
		function = S7COMM_WRITE;
	says_again(s, function, s7comm_class(function));
	if (u8_at(s, 2) != 0x10)
		return;
	if (area == S7COMM_DB << 16 || area == S7COMM_DI << 16) {
		area |= be16_at(s, 6);
		return names(s, ARGUMENT_area, area, area);
	}
	names(s, ARGUMENT_area, area, area | 0xffff);
}

/* Behind the last item the values that go with them, if they can be told. */
static __always_inline void s7comm_items_end(struct step *s,
					     struct s7comm_own *own)
{
	own->phase = S7COMM_BETWEEN;
	if (!own->data || own->cotp.later)
		return;
	own->phase = S7COMM_VALUES;
	own->items = own->count;
	own->bytes = own->data;
	s->ends = 0;
	if (own->count * 4U > own->data)
		bad(s, REASON_bad_length);
}

static __always_inline void s7comm_item(struct step *s, struct s7comm_own *own)
{
	__u32 length = u8_at(s, 1) + 2U, n = 3, more = own->items - 1;
	enum portcullis_reason reason = REASON_none;

	if (u8_at(s, 0) != 0x12)
		return bad(s, REASON_bad_value);
	if (s->have > 1) {
		if (more && length & 1) /* filled up to a word */
			length++;
		if (length < 4 || length + more * 4 > own->bytes ||
		    (!more && length != own->bytes))
			return bad(s, REASON_bad_length);
	}
	if (s->have > 2 && !s7comm_syntax(u8_at(s, 2)))
		return bad(s, REASON_bad_value);
	if (s->have > 2 && u8_at(s, 2) == 0x10) {
		reason = s7comm_any(s);
		n = 12; /* area, DB and address are known here */
	}
	if (reason)
		return bad(s, reason);
	if (s->have < n)
		return need(s, n);
	own->items = more;
	own->bytes -= length;
	length -= n;
	/* of a fragmented message the values are opaque */
	if (!more && own->cotp.later)
		length = own->cotp.left - n;
	cotp_past(s, &own->cotp, n, length);
	s7comm_names(s, own);
	if (!more)
		s7comm_items_end(s, own);
}

/* Return code, transport size, length, value, filled up to a word. */
static __always_inline void s7comm_value(struct step *s, struct s7comm_own *own)
{
	__u32 kind = u8_at(s, 1), length = be16_at(s, 2);
	__u32 more = own->items - 1, code = u8_at(s, 0);

	if (s->from_server ? code >= 0x20 && code != 0xff : code != 0)
		return bad(s, REASON_bad_value);
	if (s->have > 1 && kind > 0x20)
		return bad(s, REASON_bad_value);
	if (s->have < 4)
		return need(s, 4);
	if (kind >= 3 && kind <= 5) /* in bits */
		length = (length + 7) / 8;
	if (length & 1 && (more || length + 5 == own->bytes))
		length++;
	if (length + 4 + more * 4 > own->bytes ||
	    (!more && length + 4 != own->bytes))
		return bad(s, REASON_bad_length);
	own->items = more;
	own->bytes -= length + 4;
	if (!more)
		own->phase = S7COMM_BETWEEN;
	cotp_past(s, &own->cotp, 4, length);
}

#define S7COMM_NAME(a, b, c, d)                                                \
	((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (d))

/* PI services by the first characters of their names. The second four of a
 * name that has a NC's head say what it is. */
static __always_inline __u32 s7comm_pi(__u32 first, __u32 second, __u32 length)
{
	if (first == S7COMM_NAME('_', 'N', '_', 'F') && length > 5)
		return S7COMM_PI_NC_FILE;
	if (length == 9 && first == S7COMM_NAME('P', '_', 'P', 'R') &&
	    second == S7COMM_NAME('O', 'G', 'R', 'A'))
		return S7COMM_PI_PROGRAM;
	if (length != 5)
		return S7COMM_PI_OTHER;
	second >>= 24;
	if (first == S7COMM_NAME('_', 'I', 'N', 'S') &&
	    (second == 'E' || second == '2'))
		return S7COMM_PI_INSERT;
	if (first == S7COMM_NAME('_', 'D', 'E', 'L') && second == 'E')
		return S7COMM_PI_DELETE;
	if (first == S7COMM_NAME('_', 'M', 'O', 'D') && second == 'U')
		return S7COMM_PI_MODU;
	if (first == S7COMM_NAME('_', 'G', 'A', 'R') && second == 'B')
		return S7COMM_PI_GARB;
	return S7COMM_PI_OTHER;
}

/* _N_, then: LOGIN, LOGOUT, NEWPWD; SELECT, STRT.., CANCEL, NCKMOD, ASUP;
 * EXT.., CONFIG, DELVAR, TM.., CREA.., DELE... */
static __always_inline __u32 s7comm_pi_nc(__u32 second)
{
	switch (second) {
	case S7COMM_NAME('L', 'O', 'G', 'I'):
	case S7COMM_NAME('L', 'O', 'G', 'O'):
	case S7COMM_NAME('N', 'E', 'W', 'P'):
		return S7COMM_PI_LOGIN;
	case S7COMM_NAME('S', 'E', 'L', 'E'):
	case S7COMM_NAME('S', 'T', 'R', 'T'):
	case S7COMM_NAME('C', 'A', 'N', 'C'):
	case S7COMM_NAME('N', 'C', 'K', 'M'):
	case S7COMM_NAME('A', 'S', 'U', 'P'):
		return S7COMM_PI_NC_OPERATE;
	case S7COMM_NAME('E', 'X', 'T', 'E'):
	case S7COMM_NAME('E', 'X', 'T', 'M'):
	case S7COMM_NAME('C', 'O', 'N', 'F'):
	case S7COMM_NAME('D', 'E', 'L', 'V'):
	case S7COMM_NAME('C', 'R', 'E', 'A'):
	case S7COMM_NAME('D', 'E', 'L', 'E'):
		return S7COMM_PI_NC_FILE;
	}
	return second >> 16 == ('T' << 8 | 'M') ? S7COMM_PI_NC_FILE
						: S7COMM_PI_OTHER;
}

static __always_inline void s7comm_pi_name(struct step *s,
					   struct s7comm_own *own,
					   struct s7comm_shared *shared)
{
	__u32 length = u8_at(s, 0), n = length + 1, number;

	if (n != own->bytes || length > 40)
		return bad(s, REASON_bad_length);
	if (s->have < n)
		return need(s, n);
	if (be24_at(s, 1) == ('_' << 16 | 'N' << 8 | '_') && length > 7 &&
	    u8_at(s, 4) != 'F')
		number = s7comm_pi_nc(be32_at(s, 4));
	else
		number = s7comm_pi(be32_at(s, 1), be32_at(s, 5), length);
	s->function = forget(s, number);
	s->note = S7COMM_ASKS;
	own->phase = S7COMM_BETWEEN;
	cotp_past(s, &own->cotp, n, own->cotp.left - n);
	s7comm_remember(s, shared, own->ref, S7COMM_BY_CLIENT);
}

static __always_inline void s7comm_walk(struct step *s, struct s7comm_own *own,
					struct s7comm_shared *shared)
{
	switch (own->phase) {
	case S7COMM_ITEMS:
		return s7comm_item(s, own);
	case S7COMM_VALUES:
		return s7comm_value(s, own);
	case S7COMM_PI_NAME:
		return s7comm_pi_name(s, own, shared);
	}
	bad(s, REASON_internal);
}

/* ---- the step -------------------------------------------------------- */

/* True: the ten bytes that every PDU has are there and legal, and the lengths
 * agree. */
static __always_inline bool s7comm_head(struct step *s)
{
	__u32 here = cotp_length(s) - COTP_HEAD, kind = u8_at(s, 8);
	bool ack = kind == S7COMM_ACK || kind == S7COMM_ACK_DATA;
	__u32 head = S7COMM_HEAD + (ack ? 2 : 0);

	if (here < S7COMM_HEAD)
		bad(s, REASON_bad_length);
	else if (s->have > 7 && u8_at(s, 7) != COTP_S7COMM)
		bad(s, REASON_bad_magic);
	else if (s->have > 8 && !ack && kind != S7COMM_JOB &&
		 kind != S7COMM_USERDATA)
		bad(s, REASON_bad_function);
	else if (s->have > 8 && here < head)
		bad(s, REASON_bad_length);
	else if (be16_at(s, 9)) /* redundancy identification */
		bad(s, REASON_bad_magic);
	else if (s->have < S7COMM_AT)
		need(s, S7COMM_AT);
	else if (here < head + s7comm_parameters(s) ||
		 !cotp_fits(s, head + s7comm_parameters(s) + s7comm_data(s)))
		bad(s, REASON_bad_length);
	return s->answer == STEP_unanswered;
}

static __always_inline void s7comm_step(struct step *s, struct state *st)
{
	struct s7comm_own *own = (struct s7comm_own *)st->own;
	struct s7comm_shared *shared = (struct s7comm_shared *)st->shared;
	__u32 by = s->from_server ? S7COMM_BY_SERVER : S7COMM_BY_CLIENT;
	__u32 kind = u8_at(s, 8);

	if (own->cotp.left)
		return s7comm_walk(s, own, shared);
	if (!cotp_step(s, st, &own->cotp, &shared->link, COTP_S7COMM) ||
	    !s7comm_head(s))
		return;
	if (kind == S7COMM_JOB)
		s7comm_job(s, own, shared);
	else if (kind == S7COMM_USERDATA)
		s7comm_userdata(s, own, shared);
	else
		s7comm_ack(s, own, shared);
	if (kind == S7COMM_USERDATA)
		by = S7COMM_BY_USERDATA;
	s7comm_remember(s, shared, be16_at(s, 11), by);
}

#endif
