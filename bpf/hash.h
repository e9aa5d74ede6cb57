/* SPDX-License-Identifier: GPL-2.0-only */
/* Two keyed hashes.
 *
 * conversation_hash: SipHash-1-3 over the canonical 5-tuple. Without the key
 * nobody can choose 5-tuples that fall into one set; a linear hash would let
 * him, whatever its seed.
 *
 * NH (Black et al., UMAC) over the bytes of a segment: for two different texts
 * of the same length the chance of equal sums over the random key is 2^-32, and
 * one wrong guess poisons the conversation. Neither key nor sum is ever shown.
 * It is a sum, so that it can be taken in blocks.
 */
#ifndef PORTCULLIS_HASH_H
#define PORTCULLIS_HASH_H

#include "kernel.h"

static __always_inline __u64 rotate(__u64 x, int n)
{
	return x << n | x >> (64 - n);
}

struct sip {
	__u64 v0, v1, v2, v3;
};

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static __always_inline void sip_word(struct sip *s, __u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static __always_inline void sip_start(struct sip *s, const __u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ULL;
	s->v1 = key[1] ^ 0x646f72616e646f6dULL;
	s->v2 = key[0] ^ 0x6c7967656e657261ULL;
	s->v3 = key[1] ^ 0x7465646279746573ULL;
}

/* The texts hashed here all have one length, so no length block is needed. */
static __always_inline __u64 sip_end(struct sip *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static __always_inline __u64 conversation_hash(const struct portcullis_key *k,
					       const __u64 key[2])
{
	const __u64 *w = (const __u64 *)k;
	struct sip s;

	sip_start(&s, key);
	sip_word(&s, w[0]);
	sip_word(&s, w[1]);
	sip_word(&s, w[2]);
	sip_word(&s, w[3]);
	sip_word(&s, w[4]);
	return sip_end(&s);
}

static __always_inline __u64 nh_word(__u64 word, __u64 key)
{
	__u32 a = (__u32)word + (__u32)key;
	__u32 b = (__u32)(word >> 32) + (__u32)(key >> 32);

	return (__u64)a * b;
}

static __always_inline __u32 nh_fold(__u64 sum, __u32 len)
{
	return (__u32)(sum ^ sum >> 32) + len;
}

#endif
