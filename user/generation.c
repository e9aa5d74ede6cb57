/* SPDX-License-Identifier: GPL-2.0-only */
#include "generation.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* ---- is the image sound ---------------------------------------------- */

static int check_size(size_t n, size_t most, const char *what, char *error,
		      size_t error_len)
{
	if (n <= most)
		return 0;
	return say(error, error_len, -E2BIG,
		   "the policy needs %zu %s, the gate holds %zu", n, what,
		   most);
}

static int check_sizes(const struct image *image, char *error, size_t error_len)
{
	return check_size(image->n_rulesets, RULESETS_MAX, "pairs of endpoints",
			  error, error_len) ?:
	       check_size(image->n_conditions, CONDITIONS_MAX, "conditions",
			  error, error_len) ?:
	       check_size(image->n_shapes, SHAPES_MAX,
			  "different sets of functions", error, error_len) ?:
	       check_size(image->n_limits, LIMITS_MAX,
			  "different lists of arguments", error, error_len) ?:
	       check_size(image->n_rules, RULES_MAX - 1, "allow statements",
			  error, error_len) ?:
	       check_size(image->n_conduits, CONDUITS_MAX, "conduits", error,
			  error_len) ?:
	       check_size(image->n_zones, ZONES_MAX, "zones", error,
			  error_len) ?:
	       check_size(image->n_services, SERVICES_MAX, "services", error,
			  error_len);
}

static bool ruleset_is_sound(const struct image *image,
			     const struct portcullis_ruleset *r)
{
	size_t i;

	if (r->n_rules > RULESET_RULES || r->conduit >= image->n_conduits ||
	    r->service >= image->n_services)
		return false;
	for (i = 0; i < r->n_rules; i++)
		if (r->rule[i] >= image->n_rules)
			return false;
	for (i = 0; i < RULESET_PROTOS; i++)
		if (r->shape[i] >= image->n_shapes || r->protos[i] >= PROTO_max)
			return false;
	return true;
}

/* Numbers that point nowhere would be a fault of the compiler; the kernel must
 * not find it out. */
static bool image_is_sound(const struct image *image)
{
	size_t i;

	if (!image->services_map || !image->n_shapes || !image->n_conduits)
		return false;
	for (i = 0; i < image->n_rulesets; i++)
		if (!ruleset_is_sound(image, &image->rulesets[i]))
			return false;
	for (i = 0; i < image->n_conditions; i++)
		if (image->conditions[i].rule >= image->n_rules ||
		    (image->conditions[i].limits &&
		     image->conditions[i].limits >= image->n_limits))
			return false;
	for (i = 0; i < image->n_keys; i++)
		if (image->keys[i].key.service &&
		    image->keys[i].ruleset >= image->n_rulesets)
			return false;
	for (i = 0; i < image->n_places4; i++)
		if (image->places4[i].place.zone >= image->n_zones ||
		    image->places4[i].key.prefixlen > 32)
			return false;
	for (i = 0; i < image->n_places6; i++)
		if (image->places6[i].place.zone >= image->n_zones ||
		    image->places6[i].key.prefixlen > 128)
			return false;
	return true;
}

/* ---- numbers that outlive a generation ------------------------------- */

static int plan_rules(struct datapath *dp, const struct image *image,
		      struct generation *g)
{
	size_t i;

	g->n_rules = image->n_rules;
	g->rule_row = calloc(g->n_rules + 1, sizeof(*g->rule_row));
	g->rule_texts = calloc(g->n_rules + 1, sizeof(*g->rule_texts));
	if (!g->rule_row || !g->rule_texts)
		return -ENOMEM;
	for (i = 0; i < g->n_rules; i++) {
		identity_hash(&g->rule_texts[i],
			      image->conduits[image->rules[i].conduit].name);
		identity_hash(&g->rule_texts[i], image->rules[i].text);
	}
	return identity_plan(dp->own->rules, RULES_MAX, dp->gate->generation,
			     g->rule_texts, g->n_rules, g->rule_row);
}

/* Conduit 0 is "none" in every generation. */
static int plan_conduits(struct datapath *dp, const struct image *image,
			 struct generation *g)
{
	size_t i;

	g->n_conduits = image->n_conduits;
	g->conduit_row = calloc(g->n_conduits, sizeof(*g->conduit_row));
	g->conduit_texts = calloc(g->n_conduits, sizeof(*g->conduit_texts));
	if (!g->conduit_row || !g->conduit_texts)
		return -ENOMEM;
	for (i = 1; i < g->n_conduits; i++)
		identity_hash(&g->conduit_texts[i], image->conduits[i].name);
	return identity_plan(dp->own->conduits, CONDUITS_MAX,
			     dp->gate->generation, g->conduit_texts + 1,
			     g->n_conduits - 1, g->conduit_row + 1);
}

static int plan_numbers(struct datapath *dp, const struct image *image,
			struct generation *g)
{
	size_t i;
	int err = plan_rules(dp, image, g) ?: plan_conduits(dp, image, g);

	if (err)
		return err;
	memset(g->rule_of, 0xff, sizeof(g->rule_of));
	memset(g->conduit_of, 0xff, sizeof(g->conduit_of));
	for (i = g->n_rules; i--;)
		g->rule_of[g->rule_row[i]] = i;
	for (i = 0; i < g->n_conduits; i++)
		g->conduit_of[g->conduit_row[i]] = i;
	return 0;
}

/* ---- filling maps ---------------------------------------------------- */

/* Writes `n` elements, in one call where the kernel can. */
static int put_elements(int map, const void *keys, size_t key_size,
			const void *values, size_t value_size, size_t n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	__u32 count = n;
	size_t i;

	if (!n || !bpf_map_update_batch(map, keys, values, &count, &opts))
		return 0;
	for (i = 0; i < n; i++)
		if (bpf_map_update_elem(map, (const char *)keys + i * key_size,
					(const char *)values + i * value_size,
					0))
			return -errno;
	return 0;
}

/* The same for rows first.. of an array. */
static int put_rows(int map, __u32 first, const void *values, size_t value_size,
		    size_t n)
{
	_cleanup_free_ __u32 *keys = calloc(n + 1, sizeof(*keys));
	size_t i;

	if (!keys)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		keys[i] = first + i;
	return put_elements(map, keys, sizeof(*keys), values, value_size, n);
}

static int put_rulesets(struct datapath *dp, const struct image *image,
			const struct generation *g)
{
	_cleanup_free_ struct portcullis_ruleset *rows =
	    calloc(image->n_rulesets + 1, sizeof(*rows));
	size_t i, k;

	if (!rows)
		return -ENOMEM;
	for (i = 0; i < image->n_rulesets; i++) {
		rows[i] = image->rulesets[i];
		rows[i].conduit = g->conduit_row[rows[i].conduit];
		for (k = 0; k < rows[i].n_rules; k++)
			rows[i].rule[k] = g->rule_row[rows[i].rule[k]];
	}
	return put_rows(dp->map[PIN_rulesets], (g->number & 1) * RULESETS_MAX,
			rows, sizeof(*rows), image->n_rulesets);
}

static int put_conditions(struct datapath *dp, const struct image *image,
			  const struct generation *g)
{
	_cleanup_free_ struct portcullis_condition *rows =
	    calloc(image->n_conditions + 1, sizeof(*rows));
	size_t i;

	if (!rows)
		return -ENOMEM;
	for (i = 0; i < image->n_conditions; i++) {
		rows[i] = image->conditions[i];
		rows[i].rule = g->rule_row[rows[i].rule];
	}
	return put_rows(dp->map[PIN_conditions],
			(g->number & 1) * CONDITIONS_MAX, rows, sizeof(*rows),
			image->n_conditions);
}

/* Image port ids to those of the gate. */
static __u64 port_bits(__u64 bits, const struct interface_plan *plan)
{
	__u64 out = 0;
	size_t i;

	for (i = 0; i < plan->n; i++)
		if (bits >> (i + 1) & 1)
			out |= 1ULL << plan->id[i];
	return out;
}

static int copy_places(const struct image *image,
		       const struct interface_plan *plan, struct generation *g)
{
	size_t i;

	g->of4 = calloc(image->n_places4 + 1, sizeof(*g->of4));
	g->of6 = calloc(image->n_places6 + 1, sizeof(*g->of6));
	if (!g->of4 || !g->of6)
		return -ENOMEM;
	g->n4 = image->n_places4;
	g->n6 = image->n_places6;
	for (i = 0; i < g->n4; i++) {
		g->of4[i] = image->places4[i];
		g->of4[i].place.ports = port_bits(g->of4[i].place.ports, plan);
	}
	for (i = 0; i < g->n6; i++) {
		g->of6[i] = image->places6[i];
		g->of6[i].place.ports = port_bits(g->of6[i].place.ports, plan);
	}
	return 0;
}

/* A fresh inner map in this generation's slot of an outer one, filled. The map
 * is full before it is put there. Returns its descriptor / -errno. */
static int put_inner(struct datapath *dp, enum pin outer, __u32 half,
		     enum bpf_map_type type, const void *keys, size_t key_size,
		     const void *values, size_t value_size, size_t n,
		     size_t room)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts,
		    .map_flags =
			type == BPF_MAP_TYPE_LPM_TRIE ? BPF_F_NO_PREALLOC : 0);
	int fd = bpf_map_create(type, NULL, key_size, value_size, room, &opts);
	int err;

	if (fd < 0)
		return fd;
	err = put_elements(fd, keys, key_size, values, value_size, n);
	if (!err && bpf_map_update_elem(dp->map[outer], &half, &fd, 0))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* An array of pairs becomes the two arrays that the kernel wants. */
struct columns {
	char *keys;
	char *values;
};

static int columns_make(struct columns *c, const void *pairs, size_t pair_size,
			size_t value_at, size_t key_size, size_t value_size,
			size_t n)
{
	const char *pair = pairs;
	size_t i;

	c->keys = calloc(n + 1, key_size);
	c->values = calloc(n + 1, value_size);
	if (!c->keys || !c->values)
		return -ENOMEM;
	for (i = 0; i < n; i++, pair += pair_size) {
		memcpy(c->keys + i * key_size, pair, key_size);
		memcpy(c->values + i * value_size, pair + value_at, value_size);
	}
	return 0;
}

static int put_pairs(struct datapath *dp, enum pin outer, __u32 half,
		     enum bpf_map_type type, const void *pairs,
		     size_t pair_size, size_t value_at, size_t key_size,
		     size_t value_size, size_t n, size_t room)
{
	struct columns c;
	int fd = columns_make(&c, pairs, pair_size, value_at, key_size,
			      value_size, n);

	if (!fd)
		fd = put_inner(dp, outer, half, type, c.keys, key_size,
			       c.values, value_size, n, room);
	free(c.keys);
	free(c.values);
	return fd;
}

/* Room for the gateway's own addresses beside the policy's. */
enum { OWN_ADDRESSES = 1024 };

static int put_places(struct datapath *dp, struct generation *g)
{
	__u32 half = g->number & 1;

	g->places4 = put_pairs(
	    dp, PIN_places4, half, BPF_MAP_TYPE_LPM_TRIE, g->of4,
	    sizeof(*g->of4), offsetof(struct image_place4, place),
	    sizeof(struct portcullis_lpm4), sizeof(struct portcullis_place),
	    g->n4, g->n4 + OWN_ADDRESSES);
	if (g->places4 < 0)
		return g->places4;
	g->places6 = put_pairs(
	    dp, PIN_places6, half, BPF_MAP_TYPE_LPM_TRIE, g->of6,
	    sizeof(*g->of6), offsetof(struct image_place6, place),
	    sizeof(struct portcullis_lpm6), sizeof(struct portcullis_place),
	    g->n6, g->n6 + OWN_ADDRESSES);
	return g->places6 < 0 ? g->places6 : 0;
}

static int put_keys(struct datapath *dp, const struct image *image,
		    const struct generation *g)
{
	int fd = put_pairs(dp, PIN_keys, g->number & 1, BPF_MAP_TYPE_HASH,
			   image->keys, sizeof(*image->keys),
			   offsetof(struct image_key, ruleset),
			   sizeof(struct portcullis_rule_key), sizeof(__u32),
			   image->n_keys, image->n_keys ? image->n_keys : 1);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int put_services(struct datapath *dp, const struct image *image,
			struct generation *g)
{
	__u32 zero = 0;

	g->services =
	    put_inner(dp, PIN_services, g->number & 1, BPF_MAP_TYPE_ARRAY,
		      &zero, sizeof(zero), image->services_map,
		      sizeof(*image->services_map), 1, 1);
	return g->services < 0 ? g->services : 0;
}

/* Returns when no program runs that began before the call: the kernel waits so
 * after every change of an outer map, here of a slot to what it is. */
static void wait_for_packets(struct datapath *dp, const struct generation *g)
{
	__u32 half = g->number & 1;

	bpf_map_update_elem(dp->map[PIN_services], &half, &g->services, 0);
}

/* ---- the gateway's own addresses ------------------------------------- */

static const struct portcullis_place *
place_named(const struct generation *g, const struct netlink_address *a)
{
	size_t i;

	if (a->family == 4) {
		for (i = 0; i < g->n4; i++)
			if (g->of4[i].key.prefixlen == 32 &&
			    !memcmp(g->of4[i].key.addr, a->addr, 4))
				return &g->of4[i].place;
		return NULL;
	}
	for (i = 0; i < g->n6; i++)
		if (g->of6[i].key.prefixlen == 128 &&
		    !memcmp(g->of6[i].key.addr, a->addr, 16))
			return &g->of6[i].place;
	return NULL;
}

/* `place` NULL: removes it. */
static int put_place(const struct generation *g,
		     const struct netlink_address *a,
		     const struct portcullis_place *place)
{
	struct portcullis_lpm4 k4 = { .prefixlen = 32 };
	struct portcullis_lpm6 k6 = { .prefixlen = 128 };
	const void *key = a->family == 4 ? (void *)&k4 : (void *)&k6;
	int map = a->family == 4 ? g->places4 : g->places6;

	memcpy(k4.addr, a->addr, sizeof(k4.addr));
	memcpy(k6.addr, a->addr, sizeof(k6.addr));
	if (place ? bpf_map_update_elem(map, key, place, 0)
		  : bpf_map_delete_elem(map, key))
		return -errno;
	return 0;
}

/* An asset may be named by one of these addresses: it stays that asset. */
static int put_own(const struct generation *g, const struct netlink_address *a)
{
	const struct portcullis_place *named = place_named(g, a);
	struct portcullis_place place = {
		.zone = g->self,
		.asset = named ? named->asset : 0,
		.flags = PLACE_self | (named ? named->flags : 0),
	};

	return put_place(g, a, &place);
}

static bool has_address(const struct netlink_address *all, size_t n,
			const struct netlink_address *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (all[i].family == a->family &&
		    !memcmp(all[i].addr, a->addr, sizeof(a->addr)))
			return true;
	return false;
}

static int put_addresses(struct generation *g)
{
	struct netlink_address *now = NULL;
	size_t n = 0, i;
	int err, result = 0;

	if (!g->has_self)
		return 0;
	err = netlink_addresses(&now, &n);
	if (err)
		return err;
	for (i = 0; i < g->n_addresses; i++)
		if (!has_address(now, n, &g->addresses[i]))
			put_place(g, &g->addresses[i],
				  place_named(g, &g->addresses[i]));
	for (i = 0; i < n && !result; i++)
		if (!has_address(g->addresses, g->n_addresses, &now[i]))
			result = put_own(g, &now[i]);
	free(g->addresses);
	g->addresses = now;
	g->n_addresses = n;
	return result;
}

void generation_follow(struct datapath *dp)
{
	if (dp->generation)
		put_addresses(dp->generation);
}

/* The zone `self` of the policy. On wires alone nothing is addressed to the
 * gateway, and its own addresses are as foreign as any. */
static void find_self(const struct image *image, struct generation *g)
{
	size_t i;

	for (i = 1; i < image->n_zones; i++)
		if (!strcmp(image->zones[i].name, "self"))
			g->self = i;
	for (i = 0; i < image->n_ports; i++)
		g->has_self |= image->ports[i].forward == FORWARD_kernel &&
			       !image->ports[i].is_monitor;
}

/* ---- all of it ------------------------------------------------------- */

/* No packet looks at this half: the last switch waited for those that had read
 * the number of the generation which was there before. */
static int build(struct datapath *dp, const struct image *image,
		 const struct interface_plan *plan, struct generation *g)
{
	__u32 half = g->number & 1;

	return plan_numbers(dp, image, g) ?: copy_places(image, plan, g) ?:
	       put_places(dp, g) ?: put_addresses(g) ?:
	       put_keys(dp, image, g) ?: put_services(dp, image, g) ?:
	       put_rulesets(dp, image, g) ?: put_conditions(dp, image, g) ?:
	       put_rows(dp->map[PIN_limits], half * LIMITS_MAX, image->limits,
			sizeof(*image->limits), image->n_limits) ?:
	       put_rows(dp->map[PIN_shapes], half * SHAPES_MAX, image->shapes,
			sizeof(*image->shapes), image->n_shapes);
}

int generation_build(struct datapath *dp, const struct image *image,
		     const struct interface_plan *plan, struct generation **ret,
		     char *error, size_t error_len)
{
	struct generation *g;
	int err = check_sizes(image, error, error_len);

	if (err)
		return err;
	if (!image_is_sound(image))
		return say(
		    error, error_len, -EINVAL,
		    "the compiled policy is not sound: please report this");
	g = calloc(1, sizeof(*g));
	if (!g)
		return say(error, error_len, -ENOMEM, "out of memory");
	g->places4 = g->places6 = g->services = -1;
	/* 0 means that there is no policy; the halves alternate. */
	g->number = dp->gate->generation + 1;
	if (!g->number)
		g->number = 2;
	find_self(image, g);
	err = build(dp, image, plan, g);
	if (err) {
		generation_free(g);
		return say(error, error_len, err,
			   "cannot write the policy into the kernel: %s",
			   strerror(-err));
	}
	*ret = g;
	return 0;
}

/* Called with a row of rule_counts that had another owner. */
static void clear_rule(uint32_t row, void *arg)
{
	struct datapath *dp = arg;
	struct portcullis_rule_count *none = calloc(dp->n_cpus, sizeof(*none));

	if (none)
		bpf_map_update_elem(dp->map[PIN_rule_counts], &row, none, 0);
	free(none);
}

static void clear_conduit(uint32_t row, void *arg)
{
	struct datapath *dp = arg;
	__u64 *none = calloc(dp->n_cpus, sizeof(*none));
	__u32 key, reason;

	for (reason = 0; none && reason < REASON_max; reason++) {
		key = row * REASON_max + reason;
		bpf_map_update_elem(dp->map[PIN_violations], &key, none, 0);
	}
	free(none);
}

void generation_switch(struct datapath *dp, const struct image *image,
		       struct generation *new)
{
	struct portcullis_gate *gate = dp->gate;

	identity_commit(dp->own->rules, new->number, new->rule_texts,
			new->n_rules, new->rule_row, clear_rule, dp);
	identity_commit(dp->own->conduits, new->number, new->conduit_texts + 1,
			new->n_conduits - 1, new->conduit_row + 1,
			clear_conduit, dp);
	image_site(image, &gate->site[new->number & 1]);
	__atomic_store_n(&gate->generation, new->number, __ATOMIC_RELEASE);
	wait_for_packets(dp, new);
	generation_free(dp->generation);
	dp->generation = new;
}

void generation_free(struct generation *g)
{
	if (!g)
		return;
	if (g->places4 >= 0)
		close(g->places4);
	if (g->places6 >= 0)
		close(g->places6);
	if (g->services >= 0)
		close(g->services);
	free(g->of4);
	free(g->of6);
	free(g->addresses);
	free(g->rule_row);
	free(g->conduit_row);
	free(g->rule_texts);
	free(g->conduit_texts);
	free(g);
}
