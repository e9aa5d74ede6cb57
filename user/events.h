/* SPDX-License-Identifier: GPL-2.0-only */
/* Ring records made readable: one EVE-shaped JSON object or one line of text
 * each, and the table that folds repeats into summaries.
 */
#ifndef PORTCULLIS_EVENTS_H
#define PORTCULLIS_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image.h"
#include "json.h"

/* One thing to report. Times are CLOCK_MONOTONIC. */
struct events_report {
	struct portcullis_event event; /* a summary: the first of its kind */
	unsigned int seen;	       /* protocol that the payload really is */
	bool summary; /* stands for `count` repeats after the first */
	bool foreign; /* says events_is_foreign() of it, not its reason */
	uint64_t count;
	uint64_t first_ns;
	uint64_t last_ns;
};

/* What is known around it. */
struct events_context {
	const struct image
	    *image;	       /* of the event's generation; NULL: no names */
	const char *interface; /* it came in on; NULL: unknown */
	const char *host;      /* with `number` the event's name */
	uint64_t number;
	int64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
};

/* What the captured payload really is, PROTO_unknown if there is none. */
unsigned int events_seen(const struct portcullis_event *event);

/* An industrial protocol where neither its standard nor the policy puts it.
 * That is worth an event of its own beside the one about the packet: the same
 * report with `foreign` set. */
bool events_is_foreign(const struct events_report *report,
		       const struct image *image);

/* Takes out the numbers that only the policy of the event's generation can
 * explain. */
void events_forget_numbers(struct portcullis_event *event);

/* Appends one object and a newline. */
void events_json(struct json *json, const struct events_report *report,
		 const struct events_context *context);
/* One line without a newline. */
void events_text(char *line, size_t size, const struct events_report *report,
		 const struct events_context *context);

/* Repeats: the first of a kind is reported at once; what follows is summed and
 * reported 10 s later, 60 s later, then every five minutes while it goes on. A
 * kind is (conduit, source, destination, service, reason, protocol seen,
 * function, verdict, has it a payload). Bounded: the longest silent kind makes
 * room and is reported first, so no count is lost.
 */
struct events_table;
typedef void events_each(const struct events_report *report, void *arg);

struct events_table *events_table_new(bool fold, events_each *each, void *arg);
void events_table_free(struct events_table *table); /* reports what is left */
void events_table_add(struct events_table *table,
		      const struct portcullis_event *event);
void events_table_tick(struct events_table *table, uint64_t now_ns);
/* Repeats that went into summaries. */
uint64_t events_table_folded(const struct events_table *table);

#endif
