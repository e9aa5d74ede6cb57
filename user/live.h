/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine-owned file of live changes beside the policy: a line each,
 *
 *	STATEMENT  # id=7 by=root at=2026-11-24T04:20:00Z until=… why="…"
 *
 * which the policy compiler reads like any other text. Lines that are not
 * understood are kept as they are.
 */
#ifndef PORTCULLIS_LIVE_H
#define PORTCULLIS_LIVE_H

#include <stddef.h>
#include <time.h>

struct live_change {
	unsigned int id; /* 0: a line that is no change */
	char *line;	 /* as it stands in the file, without newline */
	char *
	    statement; /* what stands before the remark; the rest may be NULL */
	char *by;
	char *at;
	char *why;
	time_t until; /* 0: for ever */
};

struct live {
	struct live_change *changes;
	size_t n;
	unsigned int next_id;
};

/* A file that is not there is empty. 0, -errno. Any *live is overwritten. */
int live_read(const char *path, struct live *live);
int live_parse(const char *text, size_t len, struct live *live);
int live_write(const char *path, const struct live *live);
/* The text that live_write() would write; NULL without memory. */
char *live_text(const struct live *live, size_t *ret_len);
void live_free(struct live *live);

/* Adds a line made by policy_live_allow() and uses up its id. 0 / -ENOMEM. */
int live_add(struct live *live, const char *line);
/* 0 / -ENOENT */
int live_remove(struct live *live, unsigned int id);
const struct live_change *live_find(const struct live *live, unsigned int id);
/* Removes what has run out; returns how many. */
size_t live_expire(struct live *live, time_t now);
size_t live_count(const struct live *live);

#endif
