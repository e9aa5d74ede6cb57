/* SPDX-License-Identifier: GPL-2.0-only */
/* What a protocol sees and says: one step over a window of bytes.
 *
 * A protocol NAME is one function in bpf/proto/NAME.h,
 *
 *	static __always_inline void
 *	NAME_step(struct step *s, struct state *st)
 *
 * pure: no context, no map, no helper, no global. The same source runs in the
 * kernel, in `replay`, in the tests and under the fuzzer. Beside it stands the
 * list of what it says(), empty if it says nothing (class: read, write, ...):
 *
 *	#define NAME_FUNCTIONS(F) F(number, "keyword", class) ...
 *
 * In:  s->bytes[0 .. s->have) are the bytes at the place to be judged; what
 *	lies behind `have` reads as zero. `have` is at least 1. s->left is how
 *	many bytes the datagram still holds from bytes[0] on (UDP), or
 *	LEFT_stream. s->from_server: the sender is the side that was called.
 *	st->own is the protocol's memory of this direction, st->shared of the
 *	conversation; both start as zero bytes, own anew with every datagram.
 *	What quirks.def names may be let pass: tolerates(s, QUIRK_name).
 *
 * Out, exactly one of
 *	take(s, n, skip)  bytes[0 .. n) are judged, the next `skip` bytes are
 *			  opaque (SKIP_forever: to the end of the flow);
 *			  1 <= n <= have. Call message_ends(s) when the message
 *			  ends behind n + skip, says(s, function) in the step
 *			  that reads the function, and beside it names() for
 *			  what the function is to work on. Where that comes in
 *			  later steps: names_later(), and says_again() in each
 *			  of them. Rules limit what a client names; one that
 *			  does so refuses what names nothing.
 *	need(s, k)	  `have` bytes do not suffice, k do; have < k <=
 *			  NEED_BYTES. Everything that can be refused with the
 *			  bytes at hand must have been: a prefix that can no
 *			  longer become legal is bad, not need. `st` must not
 *			  have been changed: the step is called again with the
 *			  same first bytes and more behind them.
 *			  message_ends(s) beside it: the `have` bytes are whole
 *			  messages, it is for what stands behind them that the
 *			  step waits, and nothing was split. says(s, 0) beside
 *			  it, where 0 is no function: what is there is so much
 *			  the protocol's that identify() may name it; nothing
 *			  else reads that.
 *	bad(s, reason)	  this can not be the protocol, or not here.
 *
 * A message is as many steps as it needs. TCP cuts anywhere: no step may rely
 * on where a segment ends. On UDP the last step must end a message exactly at
 * the datagram's end.
 */
#ifndef PORTCULLIS_WINDOW_H
#define PORTCULLIS_WINDOW_H

#include <stdbool.h>

#include <portcullis/abi.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define LEFT_stream 0xffffffffU
#define SKIP_forever (~0ULL)
#define FUNCTION_none 0xff
#define STEP_ARGUMENTS 8 /* a power of two */

enum step_answer {
	STEP_unanswered = 0,
	STEP_take,
	STEP_need,
	STEP_bad,
};

struct step {
	/* in; behind the window lies room for a carry to be joined in */
	__u8 bytes[WINDOW_BYTES + NEED_BYTES] __attribute__((aligned(8)));
	__u32 have;
	__u32 left;
	__u8 from_server;
	__u8 l4; /* TRANSPORT_* */
	/* out */
	__u8 answer; /* enum step_answer */
	__u8 reason; /* of STEP_bad: enum portcullis_reason */
	__u8 n;
	__u8 ends;     /* a message ends behind n + skip */
	__u8 function; /* 0..254, FUNCTION_none */
	__u8 class;    /* enum portcullis_class of the function */
	__u8 has_unit;
	__u8 unit;
	__u8 later; /* the arguments stand in steps to come */
	__u8 again; /* the function was said before, of this message */
	__u8 named; /* arguments in use */
	__u8 free;  /* of limits: an answer, or what a session itself needs */
	__u8 tolerated; /* the quirk that lets it pass, 0: none */
	__u8 pad;
	__u32 note;   /* the step's own while it is at work */
	__u16 quirks; /* in: what is tolerated, bit per enum portcullis_quirk */
	__u16 pad2;
	__u64 skip;
	struct portcullis_range argument[STEP_ARGUMENTS];
};

struct state {
	__u8 own[OWN_BYTES] __attribute__((aligned(8)));
	__u8 shared[SHARED_BYTES] __attribute__((aligned(8)));
};

/* ---- reading: the offset is masked, so that no reader can leave the window;
 * whether the bytes are there at all is the caller's question (s->have). */

static __always_inline __u8 u8_at(const struct step *s, __u32 off)
{
	return s->bytes[off & (WINDOW_BYTES - 1)];
}

static __always_inline __u16 be16_at(const struct step *s, __u32 off)
{
	return (__u16)u8_at(s, off) << 8 | u8_at(s, off + 1);
}

static __always_inline __u32 be24_at(const struct step *s, __u32 off)
{
	return (__u32)u8_at(s, off) << 16 | be16_at(s, off + 1);
}

static __always_inline __u32 be32_at(const struct step *s, __u32 off)
{
	return (__u32)be16_at(s, off) << 16 | be16_at(s, off + 2);
}

static __always_inline __u16 le16_at(const struct step *s, __u32 off)
{
	return (__u16)(u8_at(s, off) | (__u16)u8_at(s, off + 1) << 8);
}

static __always_inline __u32 le32_at(const struct step *s, __u32 off)
{
	return le16_at(s, off) | (__u32)le16_at(s, off + 2) << 16;
}

/* Bytes 8 * i and on at once, the first of them lowest. */
static __always_inline __u64 word_at(const struct step *s, __u32 i)
{
	__u64 word;

	__builtin_memcpy(&word, &s->bytes[i * 8 & (WINDOW_BYTES - 1)], 8);
	return word;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "word_at() is read as little endian");

/* ---- words of eight bytes: a mark is the highest bit of a byte -------- */

#define EACH_BYTE(c) (0x0101010101010101ULL * (c))

/* Marks the bytes below c, which is at most 0x80. Behind the first of them
 * others may be marked too. */
static __always_inline __u64 marks_below(__u64 word, __u8 c)
{
	return (word - EACH_BYTE(c)) & ~word & EACH_BYTE(0x80);
}

/* Marks the bytes that are c; as above. */
static __always_inline __u64 marks_same(__u64 word, __u8 c)
{
	return marks_below(word ^ EACH_BYTE(c), 1);
}

/* How many bytes stand before the first that is marked: 8 if none is. */
static __always_inline __u32 bytes_before(__u64 marks)
{
	marks >>= 7;
	return ((marks - 1) & ~marks & EACH_BYTE(1)) * EACH_BYTE(1) >> 56;
}

/* ---- being verified: bpf/README.md, "What a protocol costs the verifier" */

/* What is in memory is read anew: the verifier knows nothing of it. */
static __always_inline void read_anew(void)
{
	asm volatile("" ::: "memory");
}

/* n, of which the verifier knows nothing. */
static __always_inline __u32 forget(struct step *s, __u32 n)
{
	s->note = n;
	read_anew();
	return s->note;
}

/* Makes NAME_apart(s, st) of NAME(s, st): a function that the verifier sees
 * once, on its own, for the price of a call. It is weak, so that every object
 * on the host may hold it and no compiler knows what it does. */
#define STEP_APART(name)                                                       \
	__attribute__((weak)) int name##_apart(struct step *s,                 \
					       struct state *st);              \
	__attribute__((weak, noinline)) int name##_apart(struct step *s,       \
							 struct state *st)     \
	{                                                                      \
		if (s && st)                                                   \
			name(s, st);                                           \
		return 0;                                                      \
	}

/* A value that the compiler cannot know to be one of two, and make a branch of.
 */
static __always_inline __u64 unpredicted(__u64 value)
{
	asm volatile("" : "+r"(value));
	return value;
}

/* An index below `size`, a power of two, that older verifiers (6.1) lose sight
 * of when it has been on the stack. */
static __always_inline __u32 place_within(__u32 place, __u32 size)
{
	return unpredicted(place) & (size - 1);
}

/* ---- answering ------------------------------------------------------- */

static __always_inline void take(struct step *s, __u32 n, __u64 skip)
{
	s->answer = STEP_take;
	s->n = n;
	s->skip = skip;
}

static __always_inline void need(struct step *s, __u32 k)
{
	s->answer = STEP_need;
	s->n = k;
}

static __always_inline void bad(struct step *s, enum portcullis_reason reason)
{
	s->answer = STEP_bad;
	s->reason = reason;
}

static __always_inline void message_ends(struct step *s)
{
	s->ends = 1;
}

static __always_inline void says(struct step *s, __u8 function, __u8 class)
{
	s->function = function;
	s->class = class;
}

static __always_inline bool has_quirk(const struct step *s,
				      enum portcullis_quirk quirk)
{
	return s->quirks >> quirk & 1;
}

/* Is this let pass here, though the protocol has it not? To be asked only where
 * it would else be refused: it is counted. */
static __always_inline bool tolerates(struct step *s,
				      enum portcullis_quirk quirk)
{
	if (!has_quirk(s, quirk))
		return false;
	s->tolerated = quirk;
	return true;
}

/* The unit (Modbus), outstation and the like that the message is for. */
static __always_inline void for_unit(struct step *s, __u8 unit)
{
	s->has_unit = 1;
	s->unit = unit;
}

/* Another step of a message that has said its function. */
static __always_inline void says_again(struct step *s, __u8 function,
				       __u8 class)
{
	says(s, function, class);
	s->again = 1;
}

/* Something that the function is to work on, up to STEP_ARGUMENTS a step. */
static __always_inline void names(struct step *s, enum portcullis_argument kind,
				  __u32 first, __u32 last)
{
	__u32 i = place_within(s->named, STEP_ARGUMENTS);

	s->argument[i].kind = kind;
	s->argument[i].first = first;
	s->argument[i].last = last;
	s->named = i + 1;
}

/* Not limited, as answers are not: what a session itself needs. */
static __always_inline void free_of_limits(struct step *s)
{
	s->free = 1;
}

/* Steps to come are certain to say what, or to refuse. */
static __always_inline void names_later(struct step *s)
{
	s->later = 1;
}

#endif
