/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel side of a running gate: the only file that knows the skeleton.
 * Loads, pins, adopts, attaches, applies. All state that must outlive the
 * daemon is pinned under /sys/fs/bpf/portcullis/v<ABI>/.
 */
#ifndef PORTCULLIS_DATAPATH_H
#define PORTCULLIS_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image.h"

struct datapath;

enum datapath_door {
	DATAPATH_auto,
	DATAPATH_native,
	DATAPATH_generic,
	DATAPATH_tc,
	DATAPATH_clsact, /* tc as kernels before 6.6 have it */
};

struct datapath_options {
	const char *pin_dir;	/* NULL: /sys/fs/bpf/portcullis/v<ABI> */
	uint32_t slots;		/* conversations, 0: 131072 */
	uint32_t grace_seconds; /* pick-up after the first attach, 0: none */
	enum datapath_door door;
	/* At the first apply an interface that is not there is waited for, its
	 * traffic refused (a machine that boots); else it is an error. */
	bool wait_for_interfaces;
};

/* Opens the pinned datapath, or loads and pins a new one where there is none.
 * *ret_adopted says which. NULL and a sentence in `error` (who reads it knows
 * what to do) on failure, with errno; nothing is left behind then.
 */
struct datapath *datapath_open(const struct datapath_options *options,
			       bool *ret_adopted, char *error,
			       size_t error_len);
/* Forgets the descriptors; what is pinned goes on working. */
void datapath_close(struct datapath *dp);
/* Detaches everything, removes pins and the nftables table. 0 / -errno. */
int datapath_detach(const struct datapath_options *options, char *error,
		    size_t error_len);

/* Makes `image` the policy in force: builds a fresh generation, attaches new
 * interfaces, switches by one store, detaches those no longer named, frees the
 * old generation when no CPU can see it. On failure the old policy stays
 * whole and a sentence stands in `error`. 0 / -errno. */
int datapath_apply(struct datapath *dp, const struct image *image, char *error,
		   size_t error_len);

/* Follows the interfaces: a descriptor to poll, and what to do when it is
 * readable or a second has passed: re-attach what came back, carry link state
 * across wires, keep the nftables table in step. */
int datapath_link_fd(const struct datapath *dp);
void datapath_follow(struct datapath *dp);

struct datapath_port_status {
	char name[16];
	uint32_t ifindex;    /* 0: not there */
	const char *door;    /* "xdp-native", "xdp-generic", "tc", "detached" */
	const char *why;     /* how auto came to it, or why it is detached */
	const char *forward; /* "wire NAME", "kernel", "monitor" */
	bool up;
	uint64_t lost; /* frames lost after the verdict, read from the device */
};
/* Ports of the policy in force; an array of *ret_n, valid till the next call.
 */
const struct datapath_port_status *datapath_ports(struct datapath *dp,
						  size_t *ret_n);

/* Sums over all CPUs. 0 / -errno. */
int datapath_counts(struct datapath *dp, struct portcullis_counts *ret_counts);
/* Counter of image rule `rule` of the policy in force. It goes with the text of
 * the rule, over restarts and over other policies. -ENOENT: this process has
 * applied no policy. */
int datapath_rule_count(struct datapath *dp, size_t rule,
			struct portcullis_rule_count *ret_count);
/* Refusals by conduit and reason: ret[conduit][reason]. 0 / -errno. */
int datapath_violations(struct datapath *dp,
			uint64_t (*ret)[REASON_max] /* [CONDUITS_MAX] */);

/* Conversations: calls `each` for every slot in use, with a copy whose `rule`
 * and `conduit` are indexes of the image in force (~0U and 0 for what it does
 * not name). 0 / -errno. */
int datapath_flows(struct datapath *dp,
		   void (*each)(uint32_t index, const struct portcullis_slot *,
				void *arg),
		   void *arg);
uint32_t datapath_slots(const struct datapath *dp);

/* Events: a descriptor to poll; drain calls `each` for what is there, at most
 * `most`; returns how many, or -errno. `rule` and `conduit` as above. */
int datapath_event_fd(const struct datapath *dp);
int datapath_drain(struct datapath *dp, size_t most,
		   void (*each)(const struct portcullis_event *, void *arg),
		   void *arg);

/* The kernel's jiffies now and per second (learnt by a probe program). */
uint64_t datapath_jiffies(struct datapath *dp);
uint32_t datapath_hz(struct datapath *dp);
uint32_t datapath_generation(struct datapath *dp);

#endif
