/* SPDX-License-Identifier: GPL-2.0-only */
/* The running gate as the daemon sees it: the datapath, the policy in force,
 * the live changes, and what it takes to change them.
 */
#ifndef PORTCULLIS_GATE_H
#define PORTCULLIS_GATE_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "datapath.h"
#include "live.h"
#include "snapshot.h"

struct gate_carried; /* counts of rules that are gone, by conduit */

struct gate {
	struct datapath *dp;
	struct datapath_options options;
	bool adopted;
	time_t started;

	const char *policy_path;
	char *live_path;
	struct live live;
	time_t expire_again; /* not before, after a failure */
	/* The text in force, kept because live changes are checked against it.
	 */
	char *name;
	char *text;
	size_t len;

	struct image *image;
	struct image *before; /* names for events still on their way */
	uint32_t generation;
	uint32_t before_generation;
	time_t applied;
	bool applied_well;
	struct gate_carried *carried;
	size_t n_carried;

	uint64_t flows[SNAPSHOT_STATES];
	time_t flows_counted;
};

/* Whether the policy on disk has errors, without any datapath. 0; -EINVAL with
 * the errors in `errors`; -errno likewise. *ret_image may be NULL. */
int gate_check(const char *policy_path, FILE *errors, struct image **ret_image);

/* Whether a gate stands there, with or without a daemon. NULL: the default. */
bool gate_is_pinned(const char *pin_dir);

/* Everything below returns an exit code (control.h), having said on `errors`
 * why it is not EXIT_done. */

/* Opens the datapath and applies the policy at `policy_path`. On failure
 * nothing is left that was not there before. */
int gate_open(struct gate *gate, const struct datapath_options *options,
	      const char *policy_path, FILE *errors);
void gate_close(struct gate *gate);

/* Reads the policy file anew. */
int gate_reload(struct gate *gate, FILE *errors);
/* Applies a text; it is in force until the next one or a restart. */
int gate_apply(struct gate *gate, const char *name, const char *text,
	       size_t len, FILE *errors);
int gate_allow(struct gate *gate, int argc, char *const argv[], const char *who,
	       time_t until, const char *why, unsigned int *ret_id,
	       FILE *errors);
int gate_revoke(struct gate *gate, unsigned int id, FILE *errors);
/* Takes live changes away that have run out. */
void gate_expire(struct gate *gate);

/* The policy under which an event of this generation was made, or NULL. */
const struct image *gate_image(const struct gate *gate, uint32_t generation);

/* 0 / -errno. To be given back with gate_snapshot_free(). */
int gate_snapshot(struct gate *gate, struct snapshot *snapshot);
void gate_snapshot_free(struct snapshot *snapshot);

#endif
