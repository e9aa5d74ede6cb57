/* SPDX-License-Identifier: GPL-2.0-only */
/* `portcullis replay`: what the gate would have said to a capture. */
#ifndef PORTCULLIS_REPLAY_H
#define PORTCULLIS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "capture.h"
#include "engine.h"

/* An engine for several captures, one after the other: what was live stays so,
 * and an hour passes in between. Faster than one each, and not the same. */
struct replay_gate {
	struct engine *engine;
	uint64_t now_ns;
};

struct replay_options {
	struct replay_gate *gate; /* NULL: an engine of its own */
	enum engine_kind kind;
	enum engine_door door;
	uint32_t slots; /* conversations that the gate has place for */
	bool json;
	bool grace;    /* pick up what began before the capture */
	bool progress; /* a line on standard error that tells how far it is */
};

enum { WHY_MAX = 512 };

struct replay_totals {
	uint64_t frames;
	uint64_t conversations;
	uint64_t dropped;
	uint64_t early;	   /* reported before their end: too many at a time */
	char why[WHY_MAX]; /* where it did not go well: a sentence */
};

/* Replays one capture and prints a line or an
 * object a conversation to `out`, in the order of their first frames. 0;
 * -EIO: the capture is damaged (what stood before was reported); -ENOMEM; or
 * another -errno of the engine. For all but 0 ret_totals->why says it. */
int replay_capture(struct capture *capture, const struct image *image,
		   const struct replay_options *options, FILE *out,
		   struct replay_totals *ret_totals);

int cmd_replay(int argc, char **argv);

#endif
