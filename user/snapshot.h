/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything that status, show and metrics print, as plain memory: taken from
 * the datapath by gate_snapshot(), made by hand in tests.
 */
#ifndef PORTCULLIS_SNAPSHOT_H
#define PORTCULLIS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "datapath.h"
#include "image.h"

#define SNAPSHOT_STATES (SLOT_poisoned + 1)

struct snapshot {
	time_t now;
	time_t started;
	time_t applied;	   /* last apply that was tried; 0: none */
	bool applied_well; /* it succeeded */
	bool adopted;	   /* the daemon took over a running gate */
	int pid;
	const char *policy_name;
	const struct image *image; /* NULL: no policy */
	uint32_t generation;
	size_t n_live; /* live changes */

	struct portcullis_counts counts;
	uint64_t (*violations)[REASON_max];  /* [CONDUITS_MAX] */
	struct portcullis_rule_count *rules; /* [image->n_rules] */
	/* By conduit: of all rules it has had. */
	struct portcullis_rule_count *conduits; /* [image->n_conduits] */
	const struct datapath_port_status *ports;
	size_t n_ports;
	uint64_t flows[SNAPSHOT_STATES]; /* by enum portcullis_slot_state */
	uint32_t slots;

	uint64_t events_written;
	uint64_t events_unwritten; /* the file could not take them */
	uint64_t events_folded;	   /* repeats that went into summaries */
};

/* The conduit's name; "none" for what no conduit covers. */
const char *snapshot_conduit(const struct snapshot *snapshot, size_t conduit);
/* Refusals of one conduit, all reasons. */
uint64_t snapshot_refused(const struct snapshot *snapshot, size_t conduit);
uint64_t snapshot_packets(const struct snapshot *snapshot,
			  enum portcullis_verdict verdict);
const char *snapshot_state(unsigned int state);

#endif
