/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows that outlive a policy: the counter row of a rule and the number of a
 * conduit go with its text, not with its place in the file. The table of texts
 * (as hashes) is a pinned map that the loader sees as memory.
 */
#ifndef PORTCULLIS_IDENTITY_H
#define PORTCULLIS_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

struct identity {
	uint64_t hash[2];    /* of the text; both 0: the row was never used */
	uint32_t generation; /* that named it last */
	uint32_t pad;
};

/* Hashes `text`, adding to *into, which starts as zero. Not keyed: the texts
 * are the policy's own. */
void identity_hash(struct identity *into, const char *text);

/* Finds a row for each of `wanted`, equal ones sharing one: its own if it has
 * one, else a row never used, else one that neither generation `current` nor
 * `wanted` names, else any that `wanted` does not name. Row 0 is never given.
 * Changes nothing. 0, -ENOSPC, -ENOMEM. */
int identity_plan(const struct identity *table, size_t size, uint32_t current,
		  const struct identity *wanted, size_t n, uint32_t *ret_rows);

/* Writes the plan down. `reused` is called for each row that belonged to
 * another text, before it is given away. */
void identity_commit(struct identity *table, uint32_t generation,
		     const struct identity *wanted, size_t n,
		     const uint32_t *rows,
		     void (*reused)(uint32_t row, void *arg), void *arg);

#endif
