/* SPDX-License-Identifier: GPL-2.0-only */
/* The interfaces of the policy: which ids they have, what the programs are told
 * of them, how they are followed when they come, go, or lose their carrier.
 */
#ifndef PORTCULLIS_INTERFACES_H
#define PORTCULLIS_INTERFACES_H

#include "pins.h"

/* A new policy's interfaces against those in force. */
struct interface_plan {
	size_t n;
	uint8_t id[PORTS_MAX];	      /* by index in image->ports */
	struct role role[PORTS_MAX];  /* likewise */
	bool attached_now[PORTS_MAX]; /* by interfaces_prepare() */
	bool fail_open;
	/* how it was, by interfaces_prepare() */
	struct interface before[PORTS_MAX];
	bool fail_open_before;
};

/* Gives every interface of `image` its id and looks whether it can be used.
 * Changes nothing. 0 / -errno and a sentence. */
int interfaces_plan(struct datapath *dp, const struct image *image,
		    struct interface_plan *plan, char *error, size_t error_len);
/* Guards and attaches what is new or has another role. They stay unknown to the
 * programs, which refuse what comes in there. On failure all is put back. */
int interfaces_prepare(struct datapath *dp, const struct image *image,
		       struct interface_plan *plan, char *error,
		       size_t error_len);
void interfaces_undo(struct datapath *dp, const struct interface_plan *plan);
/* Tells the programs; to be called right before the switch. 0 / -errno. */
int interfaces_commit(struct datapath *dp, const struct interface_plan *plan,
		      uint32_t generation, char *error, size_t error_len);
/* Lets go of what the policy in force no longer names. */
void interfaces_finish(struct datapath *dp);

/* Brings everything in step with the devices that are there. */
void interfaces_follow(struct datapath *dp);
/* Takes everything off, puts every device back. */
void interfaces_release(struct datapath *dp);

void interfaces_status(struct datapath *dp, size_t *ret_n);

#endif
