/* SPDX-License-Identifier: GPL-2.0-only */
/* What `status` and `show` print: text for people, or one JSON object a line
 * with keys that stay.
 */
#ifndef PORTCULLIS_STATUS_H
#define PORTCULLIS_STATUS_H

#include <stdio.h>

#include "live.h"
#include "snapshot.h"

/* Returns how many ports of the policy have no door: 0 is healthy. */
size_t status_write(FILE *out, const struct snapshot *snapshot, bool json);
void status_counters(FILE *out, const struct snapshot *snapshot, bool json);
void status_rules(FILE *out, const struct snapshot *snapshot, bool json);
void status_zones(FILE *out, const struct snapshot *snapshot, bool json);
void status_live(FILE *out, const struct live *live, bool json);

/* One conversation; the table's head goes first, unless JSON. */
void status_flow_head(FILE *out);
void status_flow(FILE *out, const struct image *image, uint32_t index,
		 const struct portcullis_slot *slot, bool json);

#endif
