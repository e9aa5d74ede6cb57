/* SPDX-License-Identifier: GPL-2.0-only */
/* The central property: whatever is cut, lost, doubled, reordered, overlapped
 * or forged, a receiver is given no byte that was not verified, and honest
 * conversations complete. See property/README.md.
 */
#ifndef TESTS_PROPERTY_H
#define TESTS_PROPERTY_H

#include "../user/engine.h"

/* Runs schedules on the engines `kinds`, which must agree on every packet.
 * Options: -n COUNT, -s SEED, -v; else PROPERTY_COUNT and PROPERTY_SEED from
 * the environment; else `count` schedules, half from a fixed seed, half from
 * one that is chosen now and printed. Returns the exit status. */
int property_main(int argc, char **argv, const enum engine_kind *kinds,
		  unsigned int n_kinds, unsigned long count);

/* The policy of these tests, compiled, without ceilings. NULL, having said why;
 * to be freed by image_free(). */
struct image *property_image(void);

#endif
