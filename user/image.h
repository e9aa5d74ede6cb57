/* SPDX-License-Identifier: GPL-2.0-only */
/* A compiled policy: what one generation in the kernel is filled from, and the
 * names that go with its numbers. Made by policy_compile(), read by
 * datapath_apply() and engine_open(). Plain memory, no kernel object.
 */
#ifndef PORTCULLIS_IMAGE_H
#define PORTCULLIS_IMAGE_H

#include <stddef.h>

#include <portcullis/abi.h>

struct image_place4 {
	struct portcullis_lpm4 key;
	struct portcullis_place place;
};

struct image_place6 {
	struct portcullis_lpm6 key;
	struct portcullis_place place;
};

struct image_key {
	struct portcullis_rule_key key;
	/* Index in rulesets; with service 0: enum portcullis_mode, that of the
	 * conduits between two zones. */
	__u32 ruleset;
};

/* An interface that the policy names. Id = index + 1. */
struct image_port {
	char name[16];
	__u8 forward;	 /* enum portcullis_forward */
	__u8 peer;	 /* wire: id of the other end */
	__u8 wire;	 /* wire number, 1..; 0: kernel way */
	__u8 is_monitor; /* only a target of mirror and divert */
};

/* One allow statement; its index is what rulesets and conditions call `rule`
 * until datapath_apply() has mapped it to a counter row that lives on. */
struct image_rule {
	char *text;    /* the statement, canonical: identity of the counter */
	__u16 conduit; /* index in conduits */
	__u16 service;
	unsigned int line;
	const char *file;
	__u32 live_id; /* of a live change; 0: from the policy file */
};

struct image_conduit {
	char *name; /* index 0: "none", traffic that no conduit covers */
	char *title;
	__u16 from; /* zones */
	__u16 to;
	__u8 mode;
	__u8 action;
};

struct image_named {
	char *name;
	char *title;
};

struct image_asset {
	char *name;
	char *address;
	__u16 zone;
};

struct image_service {
	char *name;
	char *ports; /* canonical words */
	__u8 protos[RULESET_PROTOS];
};

struct image {
	char *site; /* title, never NULL */
	__u8 default_mode;
	__u8 fail_open;
	__u8 pad[6];
	__u64 layer2_drop;
	__u32 host_ceiling;
	__u32 zone_ceiling;
	__u64 evidence_bytes;

	struct image_port *ports;
	size_t n_ports;
	struct image_place4 *places4;
	size_t n_places4;
	struct image_place6 *places6;
	size_t n_places6;
	struct portcullis_services *services_map; /* one */
	struct image_key *keys;
	size_t n_keys;
	struct portcullis_ruleset *rulesets;
	size_t n_rulesets;
	struct portcullis_condition *conditions;
	size_t n_conditions;
	struct portcullis_shape *shapes; /* row 0 refuses everything */
	size_t n_shapes;
	struct portcullis_limits *limits; /* row 0: none */
	size_t n_limits;

	struct image_rule *rules;
	size_t n_rules;
	struct image_conduit *conduits; /* [0] is "none" */
	size_t n_conduits;
	struct image_named *zones; /* [0] is "none", [i] is zone i */
	size_t n_zones;
	struct image_asset *assets; /* [0] is "none" */
	size_t n_assets;
	struct image_service *services; /* [0] is "none" */
	size_t n_services;
};

/* What the gate is told of the site as a whole. */
void image_site(const struct image *image, struct portcullis_site *ret);

void image_free(struct image *image); /* NULL is fine */

#endif
