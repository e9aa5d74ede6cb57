/* SPDX-License-Identifier: GPL-2.0-only */
/* Holds what was printed to what is expected; counts in tap.h, so it is part
 * of the test that includes it. */
#ifndef TESTS_CAPTURES_EXPECT_H
#define TESTS_CAPTURES_EXPECT_H

#include <stdlib.h>
#include <string.h>

#include "../tap.h"
#include "cases.h"
#include "play.h"

static inline bool holds(const char *line, const char *key, const char *value)
{
	char words[128];

	snprintf(words, sizeof(words), "\"%s\":%s,", key, value);
	return strstr(line, words) != NULL;
}

static inline bool holds_name(const char *line, const char *key,
			      const char *name)
{
	char value[64];

	if (!strcmp(name, "null"))
		return holds(line, key, "null");
	snprintf(value, sizeof(value), "\"%s\"", name);
	return holds(line, key, value);
}

static inline bool holds_number(const char *line, const char *key,
				unsigned int number)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", number);
	return holds(line, key, value);
}

static inline void check_line(const char *name, const char *line,
			      const struct expectation *e)
{
	check(holds_name(line, "verdict", e->verdict),
	      "%s: verdict is not %s: %s", name, e->verdict, line);
	check(holds_name(line, "reason", e->reason), "%s: reason is not %s: %s",
	      name, e->reason, line);
	check(e->first_refused
		  ? holds_number(line, "first_refused", e->first_refused)
		  : holds(line, "first_refused", "null"),
	      "%s: first_refused is not %u: %s", name, e->first_refused, line);
	check(holds_number(line, "payload_packets_delivered", e->delivered),
	      "%s: not %u packets delivered: %s", name, e->delivered, line);
	if (e->actual)
		check(holds_name(line, "actual", e->actual),
		      "%s: actual is not %s: %s", name, e->actual, line);
	if (e->more)
		check(strstr(line, e->more), "%s: no %s: %s", name, e->more,
		      line);
}

static inline void check_case(const struct capture_case *c,
			      const struct image *image,
			      const struct replay_options *options)
{
	struct replay_totals totals;
	unsigned int n = 0;
	char *text, *line, *rest;
	struct tape tape;
	int error;

	case_make(c, &tape);
	text = play(tape.bytes, tape.len, image, options, &error, &totals);
	check(!error && text, "%s: error %d", c->name, error);
	check(totals.frames == tape.frames, "%s: not all frames were read",
	      c->name);
	line = error || !text ? NULL : strtok_r(text, "\n", &rest);
	for (; line; line = strtok_r(NULL, "\n", &rest), n++) {
		if (check(n < CASE_CONVERSATIONS && c->expect[n].verdict,
			  "%s: one too many: %s", c->name, line))
			check_line(c->name, line, &c->expect[n]);
	}
	check(n == CASE_CONVERSATIONS || !c->expect[n].verdict,
	      "%s: only %u conversations", c->name, n);
	free(text);
	tape_free(&tape);
}

#endif
