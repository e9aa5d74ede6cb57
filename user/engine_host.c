/* SPDX-License-Identifier: GPL-2.0-only */
/* The core of bpf/ built for this machine: this file is that build. */
#include "engine_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off: hash.h before core.h, as in portcullis.bpf.c */
#include "kernel.h"
#include "hash.h"
#include "core.h"
/* clang-format on */

__thread struct host *host_now;

/* An image, arranged for looking things up. */
struct lookup {
	struct image_place4 *places4; /* longest prefix first */
	size_t n4;
	struct image_place6 *places6;
	size_t n6;
	struct image_key *keys; /* sorted */
	size_t n_keys;
	struct portcullis_ruleset *rulesets;
	struct portcullis_condition *conditions;
	struct portcullis_shape *shapes;
	struct portcullis_limits *limits;
	struct portcullis_services services;
};

struct engine_host {
	struct engine base;
	struct host gate;
	struct lookup *lookups[2];
	uint32_t n_slots;
	int is_xdp;
	__u8 frame[ENGINE_FRAME_MOST] __attribute__((aligned(8)));
};

/* ---- looking up ---------------------------------------------------------- */

static int bits_match(const __u8 *a, const __u8 *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return 0;
	return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

static const struct portcullis_place *
lookup_place(const void *image, __u8 family, const __u32 addr[4])
{
	const struct lookup *l = image;
	size_t i;

	if (family == 4) {
		for (i = 0; i < l->n4; i++)
			if (bits_match(l->places4[i].key.addr,
				       (const __u8 *)&addr[3],
				       l->places4[i].key.prefixlen))
				return &l->places4[i].place;
		return NULL;
	}
	for (i = 0; i < l->n6; i++)
		if (bits_match(l->places6[i].key.addr, (const __u8 *)addr,
			       l->places6[i].key.prefixlen))
			return &l->places6[i].place;
	return NULL;
}

static int key_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct portcullis_rule_key));
}

static const __u32 *lookup_rule(const void *image,
				const struct portcullis_rule_key *key)
{
	const struct lookup *l = image;
	const struct image_key *found =
	    bsearch(key, l->keys, l->n_keys, sizeof(*l->keys), key_order);

	return found ? &found->ruleset : NULL;
}

static int longer4(const void *a, const void *b)
{
	const struct image_place4 *x = a, *y = b;

	return (int)y->key.prefixlen - (int)x->key.prefixlen;
}

static int longer6(const void *a, const void *b)
{
	const struct image_place6 *x = a, *y = b;

	return (int)y->key.prefixlen - (int)x->key.prefixlen;
}

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = calloc(n + 1, size);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
}

static void lookup_free(struct lookup *l)
{
	if (!l)
		return;
	free(l->places4);
	free(l->places6);
	free(l->keys);
	free(l->rulesets);
	free(l->conditions);
	free(l->shapes);
	free(l->limits);
	free(l);
}

static struct lookup *lookup_make(const struct image *image)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->n4 = image->n_places4;
	l->n6 = image->n_places6;
	l->n_keys = image->n_keys;
	l->places4 = copy(image->places4, l->n4, sizeof(*l->places4));
	l->places6 = copy(image->places6, l->n6, sizeof(*l->places6));
	l->keys = copy(image->keys, l->n_keys, sizeof(*l->keys));
	l->rulesets =
	    copy(image->rulesets, image->n_rulesets, sizeof(*l->rulesets));
	l->conditions = copy(image->conditions, image->n_conditions,
			     sizeof(*l->conditions));
	l->shapes = copy(image->shapes, image->n_shapes, sizeof(*l->shapes));
	l->limits = copy(image->limits, image->n_limits, sizeof(*l->limits));
	if (!l->places4 || !l->places6 || !l->keys || !l->rulesets ||
	    !l->conditions || !l->shapes || !l->limits) {
		lookup_free(l);
		return NULL;
	}
	l->services = *image->services_map;
	qsort(l->places4, l->n4, sizeof(*l->places4), longer4);
	qsort(l->places6, l->n6, sizeof(*l->places6), longer6);
	qsort(l->keys, l->n_keys, sizeof(*l->keys), key_order);
	return l;
}

/* ---- the engine ------------------------------------------------------------
 */

static void host_ports(struct host *h, const struct image *image)
{
	struct portcullis_port ports[PORTS_MAX];
	unsigned int i, n = engine_ports(image, ports);

	memset(h->gate.ports, 0, sizeof(h->gate.ports));
	for (i = 1; i <= n; i++)
		h->gate.ports[ports[i].ifindex % PORT_TABLE] = ports[i];
}

static int host_apply(struct engine *engine, const struct image *image)
{
	struct engine_host *e = (struct engine_host *)engine;
	__u32 next = e->gate.gate.generation + 1;
	struct lookup *l = lookup_make(image);

	if (!l)
		return -ENOMEM;
	lookup_free(e->lookups[next & 1]);
	e->lookups[next & 1] = l;
	e->gate.policy[next & 1] = (struct host_policy){
		.rulesets = l->rulesets,
		.n_rulesets = image->n_rulesets,
		.conditions = l->conditions,
		.n_conditions = image->n_conditions,
		.shapes = l->shapes,
		.n_shapes = image->n_shapes,
		.limits = l->limits,
		.n_limits = image->n_limits,
		.services = &l->services,
		.image = l,
		.place = lookup_place,
		.rule = lookup_rule,
	};
	host_ports(&e->gate, image);
	engine_gate(image, next, &e->gate.gate);
	e->gate.gate.generation = next;
	return 0;
}

static void host_close(struct engine *engine)
{
	struct engine_host *e = (struct engine_host *)engine;

	lookup_free(e->lookups[0]);
	lookup_free(e->lookups[1]);
	free(e->gate.sets);
	free(e->gate.slots);
	free(e->gate.hints);
	free(e);
}

static struct engine *host_open(const struct engine_options *options,
				const struct image *image,
				const char **ret_error)
{
	struct engine_host *e = calloc(1, sizeof(*e));
	struct host *h;

	if (!e)
		return NULL;
	h = &e->gate;
	h->gate.annexes = ANNEXES;
	h->long_way = options->kind == ENGINE_host_long;
	e->is_xdp = options->door == DOOR_xdp;
	e->n_slots = engine_slot_count(options);
	h->n_sets = e->n_slots / SET_WAYS;
	h->last_hint = e->n_slots - 1;
	h->sets = calloc(h->n_sets, sizeof(*h->sets));
	h->slots = aligned_alloc(64, e->n_slots * sizeof(*h->slots));
	h->hints = calloc(e->n_slots, sizeof(*h->hints));
	if (h->slots)
		memset(h->slots, 0, e->n_slots * sizeof(*h->slots));
	engine_keys(options->seed, &h->gate);
	if (!h->sets || !h->slots || !h->hints || host_apply(&e->base, image)) {
		*ret_error = "out of memory";
		host_close(&e->base);
		return NULL;
	}
	return &e->base;
}

static void host_grace(struct engine *engine, uint64_t until)
{
	((struct engine_host *)engine)->gate.gate.grace_until = until;
}

static void host_annexes(struct engine *engine, uint32_t n)
{
	((struct engine_host *)engine)->gate.gate.annexes = n;
}

static int host_run(struct engine *engine, unsigned int port, uint64_t jiffies,
		    const void *bytes, size_t len, struct engine_result *ret)
{
	struct engine_host *e = (struct engine_host *)engine;
	__u32 out_len = len, peer;
	struct frame f = {
		.data = e->frame,
		.len = &out_len,
		.ifindex = ENGINE_IFINDEX + port,
		.is_xdp = e->is_xdp,
	};

	if (len > sizeof(e->frame))
		return -EMSGSIZE;
	memcpy(e->frame, bytes, len);
	host_now = &e->gate;
	host_now->gate.clock = jiffies;
	if (!fast_pass(&f, f.ifindex, &peer))
		judge(&f, &host_now->scratch, f.ifindex);
	engine_result_from(&host_now->trace, ret);
	ret->out = e->frame;
	ret->out_len = out_len;
	return 0;
}

static const struct portcullis_slot *host_slot(struct engine *engine,
					       uint32_t slot)
{
	struct engine_host *e = (struct engine_host *)engine;

	if (!slot || slot > e->n_slots)
		return NULL;
	return &e->gate.slots[slot - 1];
}

static int host_counts(struct engine *engine, struct portcullis_counts *ret)
{
	*ret = ((struct engine_host *)engine)->gate.counts;
	return 0;
}

static int host_event(struct engine *engine, struct portcullis_event *ret)
{
	struct host *h = &((struct engine_host *)engine)->gate;

	if (h->event_tail == h->event_head)
		return -EAGAIN;
	*ret = h->events[h->event_tail++ % HOST_EVENTS];
	return 0;
}

const struct engine_ops engine_host_ops = {
	.open = host_open,
	.close = host_close,
	.apply = host_apply,
	.grace = host_grace,
	.annexes = host_annexes,
	.run = host_run,
	.slot = host_slot,
	.counts = host_counts,
	.event = host_event,
};
