/* SPDX-License-Identifier: GPL-2.0-only */
#include "snapshot.h"

static const char *const states[] = {
	[SLOT_free] = "free",	      [SLOT_opening] = "opening",
	[SLOT_live] = "live",	      [SLOT_closed] = "closed",
	[SLOT_poisoned] = "poisoned",
};
_Static_assert(sizeof(states) / sizeof(states[0]) == SNAPSHOT_STATES,
	       "a state without a name");

const char *snapshot_conduit(const struct snapshot *snapshot, size_t conduit)
{
	const struct image *image = snapshot->image;

	if (!image || !conduit || conduit >= image->n_conduits)
		return "none";
	return image->conduits[conduit].name;
}

uint64_t snapshot_refused(const struct snapshot *snapshot, size_t conduit)
{
	uint64_t sum = 0;
	size_t reason;

	for (reason = 0; reason < REASON_max; reason++)
		sum += snapshot->violations[conduit][reason];
	return sum;
}

uint64_t snapshot_packets(const struct snapshot *snapshot,
			  enum portcullis_verdict verdict)
{
	uint64_t sum = 0;
	size_t reason;

	for (reason = 0; reason < REASON_max; reason++)
		sum += snapshot->counts.reason[reason][verdict];
	return sum;
}

const char *snapshot_state(unsigned int state)
{
	return state < SNAPSHOT_STATES ? states[state] : "unknown";
}
