/* SPDX-License-Identifier: GPL-2.0-only */
/* Replays captures that stand in memory. */
#ifndef TESTS_CAPTURES_PLAY_H
#define TESTS_CAPTURES_PLAY_H

#include <stddef.h>

#include "../../user/image.h"
#include "../../user/replay.h"

/* The built-in policy, or `text`; NULL if it has errors (they are printed). */
struct image *play_policy(const char *text);

/* What replay_capture() prints: fresh memory. *ret_error is what it returns,
 * or -EBADF if the capture could not be opened; the text says why then. */
char *play(const void *bytes, size_t len, const struct image *image,
	   const struct replay_options *options, int *ret_error,
	   struct replay_totals *ret_totals);

#endif
