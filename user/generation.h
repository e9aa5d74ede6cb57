/* SPDX-License-Identifier: GPL-2.0-only */
/* One generation of the policy in the kernel: built in the half that no packet
 * uses, then switched to by one store.
 */
#ifndef PORTCULLIS_GENERATION_H
#define PORTCULLIS_GENERATION_H

#include "interfaces.h"
#include "pins.h"

struct generation {
	uint32_t number;
	uint16_t self; /* zone of the gateway's own addresses */
	bool has_self; /* the kernel way is in use */
	int places4;   /* inner maps, to follow address changes */
	int places6;
	int services;
	/* as in the kernel, without the gateway's own addresses */
	struct image_place4 *of4;
	size_t n4;
	struct image_place6 *of6;
	size_t n6;
	struct netlink_address *addresses; /* the gateway's own */
	size_t n_addresses;
	/* counter rows and conduit numbers, by index in the image */
	uint32_t *rule_row;
	size_t n_rules;
	uint32_t *conduit_row;
	size_t n_conduits;
	/* and back; ~0U: not of this generation */
	uint32_t rule_of[RULES_MAX];
	uint32_t conduit_of[CONDUITS_MAX];
	struct identity *rule_texts;
	struct identity *conduit_texts;
};

/* Fills the unused half from `image`. 0 / -errno and a sentence; nothing that a
 * packet sees has changed then, nor after success. */
int generation_build(struct datapath *dp, const struct image *image,
		     const struct interface_plan *plan, struct generation **ret,
		     char *error, size_t error_len);
/* The one store, and waits for the packets that had read the old number. Takes
 * `new` over. */
void generation_switch(struct datapath *dp, const struct image *image,
		       struct generation *new);
void generation_free(struct generation *generation); /* NULL is fine */

/* The gateway's addresses changed: keeps the places in step. */
void generation_follow(struct datapath *dp);

#endif
