/* SPDX-License-Identifier: GPL-2.0-only */
/* What the measuring programs of traffic.bpf.c and those who run them agree
 * on. A conversation is a number: its addresses, ports and initial sequence
 * numbers follow from it, and where it stands follows from the round. So the
 * traffic needs no memory, which would stand in the gate's caches.
 */
#ifndef TESTS_TRAFFIC_H
#define TESTS_TRAFFIC_H

#include <linux/types.h>

enum {
	TRAFFIC_FRAME = 96, /* bytes; what is behind the IP length is padding */
	TRAFFIC_WORDS = 7,  /* of a datagram's template */
	TRAFFIC_POLLED = 256, /* conversations of a path */
	TRAFFIC_BURST = 64,
	TRAFFIC_OPENING = 3 * TRAFFIC_POLLED,
	TRAFFIC_MISMATCHED = 4096, /* rows of `where` */
};

/* What stands behind the traffic: gates, and a program that does nothing. One
 * place each, since another program in the same place takes a grace period; and
 * each number of established conversations has a gate that holds no others. */
enum traffic_lane {
	LANE_1,
	LANE_256,
	LANE_4096,
	LANE_16384,
	LANE_small,
	LANE_ten,
	LANE_large,
	LANE_empty,
	LANE_max
};

/* Conversations base.. base + mask, in another order each round. */
struct traffic_plan {
	__u32 base;
	__u32 mask;
	__u32 bits;
	__u32 shift;  /* (bits + 1) / 2, at least 1 */
	__u32 rules;  /* newcomers: rule r joins client r % hosts and server */
	__u32 hosts;  /* (r + r / hosts) % hosts */
	__u32 report; /* mismatches: each is the first of its conversation */
	__u32 rows;   /* of `where`, where theirs begin */
	__u32 lane;   /* enum traffic_lane: where they are opened */
};

/* Polling through a path, as long as it goes on: no more is sent than what has
 * arrived permits. */
struct traffic_source {
	__u64 at;
	__u64 sent;
	__u64 got[2]; /* by the sinks: from clients, from servers */
	__u32 out[2]; /* interfaces: at the clients' end, at the servers' */
};

#endif
