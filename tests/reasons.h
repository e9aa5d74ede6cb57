/* SPDX-License-Identifier: GPL-2.0-only */
/* Every reason of the table, produced by packets: on one engine, or on two that
 * must agree. reasons.c has the cases.
 */
#ifndef TESTS_REASONS_H
#define TESTS_REASONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../user/engine.h"
#include "frame.h"

enum { LAB_ENGINES = 2, LAB_FRAME = 65536 + 256 };

struct lab {
	const char *name; /* of the case in hand */
	const enum engine_kind *kinds;
	unsigned int n_engines;
	struct engine *engines[LAB_ENGINES];
	uint64_t time_ns;
	uint16_t ports_used; /* of clients */
	unsigned int packets;
	bool first_only; /* the engines are known to differ in what follows */
	bool differs;	 /* they did */
	struct engine_result last;
	uint8_t seen[REASON_max];
	FILE *seed; /* what is sent is written there too */
	uint8_t frame[LAB_FRAME];
};

/* One conversation as the two ends see it. */
struct talk_lab {
	struct frame head; /* as the client sends it */
	uint32_t next[2];  /* byte that the side sends next */
};

/* Judges a frame on all engines; the reason. */
unsigned int lab_judge(struct lab *l, unsigned int port, const void *frame,
		       size_t len);

/* A conversation of 10.`from`.0.1 with 10.2.0.`host`, a new client port. */
void lab_talk(struct lab *l, struct talk_lab *t, unsigned int l4, uint8_t from,
	      uint16_t port);
unsigned int lab_open(struct lab *l, struct talk_lab *t);
/* One packet of `side`, `offset` bytes from where it stands. */
unsigned int lab_segment(struct lab *l, struct talk_lab *t, unsigned int side,
			 uint8_t flags, int32_t offset, const void *bytes,
			 size_t len);
/* The next `len` bytes of `side`. */
unsigned int lab_say(struct lab *l, struct talk_lab *t, unsigned int side,
		     const void *bytes, size_t len);
#define lab_bytes(l, t, side, text) lab_say(l, t, side, text, sizeof(text) - 1)

/* Changes the policy: one of enum reasons_policy. */
enum reasons_policy {
	POLICY_usual,
	POLICY_other,
	POLICY_hosts,
	POLICY_zones,
	POLICY_watch
};
bool lab_apply(struct lab *l, enum reasons_policy policy);

/* A case that only one of the test programs can play. */
struct reasons_case {
	enum portcullis_reason reason;
	void (*play)(struct lab *l);
	enum reasons_policy policy;
};

/* Reasons that this program cannot produce, each with the argument why. */
struct reasons_exception {
	enum portcullis_reason reason;
	const char *why;
};

/* Plays the common cases, then `more` (up to reason 0); fails for what was
 * neither seen nor is in `except`. `--seeds FOLDER` writes each case as input
 * of fuzz_packet instead. Returns the exit status. */
int reasons_main(int argc, char **argv, const enum engine_kind *kinds,
		 unsigned int n_kinds, const struct reasons_case *more,
		 const struct reasons_exception *except);

#endif
