/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that a seed fixes: splitmix64, small and without bad seeds. */
#ifndef PROPERTY_RANDOM_H
#define PROPERTY_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* 0 .. n - 1; n at least 1 */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

/* low .. high */
static inline uint32_t random_within(struct random *r, uint32_t low,
				     uint32_t high)
{
	return low + random_below(r, high - low + 1);
}

static inline bool random_permille(struct random *r, uint32_t permille)
{
	return random_below(r, 1000) < permille;
}

static inline void random_fill(struct random *r, uint8_t *bytes, size_t len)
{
	while (len--)
		*bytes++ = (uint8_t)(random_next(r) >> 56);
}

#endif
