/* SPDX-License-Identifier: GPL-2.0-only */
/* The gate under test: one engine, or two that must agree on everything. Keeps
 * a diary of the schedule.
 */
#ifndef PROPERTY_RIG_H
#define PROPERTY_RIG_H

#include "../../user/engine.h"
#include "../frame.h"

enum { RIG_ENGINES = 2, DIARY = 1024 };

enum diary_kind {
	DIARY_judged, /* a packet came to the gate */
	DIARY_lost_before,
	DIARY_lost_behind,
	DIARY_arrived,
	DIARY_note,
};

struct diary_line {
	uint8_t kind;
	uint8_t port;
	uint8_t flags;
	uint8_t verdict;
	uint8_t reason;
	bool forwarded;
	bool turned;
	bool bad_checksum;
	char from; /* C, S, or ? for neither */
	uint16_t window;
	uint32_t seq; /* less the sender's ISN */
	uint32_t ack; /* less the other's */
	uint32_t len;
	uint64_t time_ns;
	const char *note;
};

struct rig {
	struct engine *engines[RIG_ENGINES];
	unsigned int n_engines;
	uint64_t time_ns;
	bool verbose;
	struct diary_line diary[DIARY];
	uint64_t lines;	  /* ever written in this schedule */
	uint64_t packets; /* of all schedules */
	uint64_t reasons[256];
	char fault[400];
};

/* Opens the engines of `kinds` with equal keys. False, and says why. */
bool rig_open(struct rig *g, const enum engine_kind *kinds, unsigned int n,
	      const struct image *image, uint64_t seed);
void rig_close(struct rig *g);

/* A schedule begins. With an odd seed conversations have no more than their
 * own places for entries. */
void rig_begin(struct rig *g, bool verbose, uint64_t seed);

/* Judges a frame. False, and g->fault, if an engine fails or two differ. */
bool rig_judge(struct rig *g, unsigned int port, const uint8_t *frame,
	       size_t len, struct engine_result *ret);

/* A line for the diary; `line` is copied. */
void rig_write(struct rig *g, const struct diary_line *line);
void rig_print_diary(const struct rig *g);

#endif
