/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes of the payload: into the window of a step, and into the segment hash.
 */
#ifndef PORTCULLIS_SEGMENT_H
#define PORTCULLIS_SEGMENT_H

#include "packet.h"

/* Offsets above it would leave what the verifier grants a packet pointer. */
#define DIRECT_MOST 0xfe00

/* bytes[0..n) = frame[at..at+n), the rest of the window zero. 1 <= n <= 64.
 * Whole words first; the tail is the end of the word that ends with it (there
 * is always a header of more than eight bytes in front). 0 or negative. */
static __always_inline int window_direct(const struct frame *f, __u64 *w,
					 __u32 at, __u32 n)
{
	unsigned char *data = frame_data(f), *end = frame_end(f), *p;
	__u32 i, full = n >> 3, rest = n & 7;

	if (at > DIRECT_MOST || at < 8)
		return -1;
	for (i = 0; i < 8; i++) {
		w[i] = 0;
		if (i < full) {
			p = data + at + i * 8;
			if (p + 8 > end)
				return -1;
			w[i] = load64(p);
		} else if (i == full && rest) {
			p = data + (at + i * 8 + rest - 8);
			if (p + 8 > end)
				return -1;
			w[i] = load64(p) >> (64 - rest * 8);
		}
	}
	return 0;
}

static __always_inline void words_zero(__u64 *w, __u32 n)
{
	__u32 i;

	for (i = 0; i < n; i++)
		w[i] = 0;
}

/* Both are aligned to words, and `n` is a constant. */
static __always_inline void words_copy(void *to, const void *from, __u32 n)
{
	const __u64 *f = from;
	__u64 *t = to;
	__u32 i;

	for (i = 0; i < n; i++)
		t[i] = f[i];
}

/* The window from frame[at..at+n) wherever it lies. */
static __always_inline int window_fill(const struct frame *f, struct step *s,
				       __u32 at, __u32 n)
{
	__u64 *w = (__u64 *)s->bytes;

	if (n < 1 || n > WINDOW_BYTES)
		return -1;
	if (!window_direct(f, w, at, n))
		return 0;
	words_zero(w, 8);
	return frame_load(f, at, s->bytes, size_within(n, WINDOW_BYTES));
}

/* The window from the carry and what follows it. Returns the bytes it holds in
 * all, or negative. */
static __always_inline int window_join(const struct frame *f, struct scratch *x,
				       __u32 at, __u32 rest)
{
	__u32 carry = x->c.carry, n;

	if (carry < 1 || carry > NEED_BYTES)
		return -1;
	words_copy(x->step.bytes, x->c.carry_bytes, WINDOW_BYTES / 8);
	/* Bytes behind the carry read as zero until the load below. */
	n = WINDOW_BYTES - carry;
	if (n > rest)
		n = rest;
	if (n < 1 || n > WINDOW_BYTES)
		return -1;
	carry = masked(carry, 63);
	if (frame_load(f, at, x->step.bytes + carry,
		       size_within(n, WINDOW_BYTES)))
		return -1;
	return carry + n;
}

/* ---- hash ------------------------------------------------------------ */

/* The first `words` of the `most` words that are there. */
static __always_inline __u64 hash_words(const __u64 *w, __u32 words, __u32 most,
					const __u64 *key, __u32 from)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < most; i++) {
		if (i >= words)
			break;
		sum += nh_word(w[i], key[(from + i) & (HASH_WORDS - 1)]);
	}
	return sum;
}

/* Of the first `len` bytes of the window, as range_hash() has it. */
static __always_inline __u32 window_hash(const struct step *s, __u32 len)
{
	const __u64 *w = (const __u64 *)s->bytes, *key = gate_get()->hash_key;
	__u32 words = len >> 3, rest = len & 7;
	__u64 sum;

	if (len > WINDOW_BYTES)
		return 0;
	sum = hash_words(w, words, WINDOW_BYTES / 8, key, 0);
	if (rest)
		sum += nh_word(w[words & 7] & (~0ULL >> (64 - rest * 8)),
			       key[words & 7]);
	return nh_fold(sum, len);
}

/* One block of x->h; 1 at the end. */
static __always_inline long hash_blocks_turn(const struct frame *f)
{
	const __u64 *key = gate_get()->hash_key;
	struct scratch *x = scratch_get();
	struct hash_walk *h;
	__u32 n;

	if (!x)
		return 1;
	h = &x->h;
	n = h->left < HASH_BLOCK ? h->left : HASH_BLOCK;
	if (n < 1 || n > HASH_BLOCK)
		return 1;
	words_zero(h->block, HASH_BLOCK / 8);
	if (frame_load(f, h->at, h->block, size_within(n, HASH_BLOCK))) {
		h->failed = 1;
		return 1;
	}
	/* Past the end of the key it begins again: what came before is
	 * multiplied by a secret odd number, so that blocks cannot change
	 * places. */
	if (h->word >= HASH_WORDS) {
		h->word = 0;
		h->sum *= key[0] | 1;
	}
	h->sum +=
	    hash_words(h->block, (n + 7) / 8, HASH_BLOCK / 8, key, h->word);
	h->word += HASH_BLOCK / 8;
	h->at += n;
	h->left -= n;
	return h->left == 0;
}

DOOR_LOOP(hash_blocks)

/* Hash of the payload bytes [h.from, h.from + h.len) into h.result. */
static __always_inline int range_hash_inline(const struct frame *f,
					     struct scratch *x)
{
	struct hash_walk *h = &x->h;

	h->at = x->p.payload_at + h->from;
	h->left = h->len;
	h->word = 0;
	h->sum = 0;
	h->failed = 0;
	hash_blocks(f, 65536 / HASH_BLOCK);
	if (h->failed || h->left)
		return REASON_unreadable;
	h->result = nh_fold(h->sum, h->len);
	return REASON_ok;
}

DOOR_FUNCTION(range_hash)

#endif
