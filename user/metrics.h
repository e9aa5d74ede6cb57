/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot as Prometheus text, format 0.0.4. Every series stands there from
 * the start, at 0; labels come from the tables and the policy, never from
 * packets.
 */
#ifndef PORTCULLIS_METRICS_H
#define PORTCULLIS_METRICS_H

#include <stdio.h>

#include "snapshot.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* Conduits with series of their own; the rest is summed under "others". */
#define METRICS_CONDUITS 100

void metrics_write(FILE *out, const struct snapshot *snapshot);
/* What there is to say without a daemon. */
void metrics_down(FILE *out);

#endif
