/* SPDX-License-Identifier: GPL-2.0-only */
/* The same floor as maps.h and frame.h, over plain memory: the core built for
 * the host. One struct host is one gate; the caller points `host_now` at it.
 */
#ifndef PORTCULLIS_HOST_H
#define PORTCULLIS_HOST_H

#include <stddef.h>
#include <string.h>

#include "scratch.h"

#define __noinline static __attribute__((noinline, unused))

enum { HOST_EVENTS = 4096 };

/* What a generation of the policy answers; see the map of the same name. */
struct host_policy {
	const struct portcullis_ruleset *rulesets;
	__u32 n_rulesets;
	const struct portcullis_condition *conditions;
	__u32 n_conditions;
	const struct portcullis_shape *shapes;
	__u32 n_shapes;
	const struct portcullis_limits *limits;
	__u32 n_limits;
	const struct portcullis_services *services;
	void *image; /* for the three below */
	const struct portcullis_place *(*place)(const void *image, __u8 family,
						const __u32 addr[4]);
	const __u32 *(*rule)(const void *image,
			     const struct portcullis_rule_key *key);
};

struct host {
	bool long_way; /* tests: every packet is judged by core.h */
	struct portcullis_gate gate;
	struct host_policy policy[2]; /* by generation & 1 */
	__u32 n_sets;
	__u32 last_hint;
	struct portcullis_set *sets;
	struct portcullis_slot *slots;
	struct portcullis_annex annexes[ANNEXES];
	__u32 slots_used;
	__u64 *hints;
	__u32 locks[1024];
	__u32 live_hosts[HOST_BUCKETS];
	__u32 live_rules[RULES_MAX];
	__u32 live_zones[ZONES_MAX];
	struct portcullis_counts counts;
	struct portcullis_rule_count rule_counts[RULES_MAX];
	__u64 violations[CONDUITS_MAX * REASON_max];
	struct report_tag tags[TAG_TABLE];
	__u64 buckets[CONDUITS_MAX + 1];
	struct portcullis_event events[HOST_EVENTS];
	__u32 event_head; /* next to be written */
	__u32 event_tail; /* next to be read */
	struct portcullis_trace trace;
	struct scratch scratch;
};

extern __thread struct host *host_now;

#define set_count (host_now->n_sets)
#define hint_most (host_now->last_hint)
#define tracing 1
#define weak_order 0
#define fast_allowed (!host_now->long_way)

/* ---- accessors, as in maps.h ------------------------------------------- */

static __always_inline struct portcullis_gate *gate_get(void)
{
	return &host_now->gate;
}

static __always_inline struct scratch *scratch_get(void)
{
	return &host_now->scratch;
}

static __always_inline struct portcullis_counts *counts_get(void)
{
	return &host_now->counts;
}

static __always_inline struct portcullis_trace *trace_get(void)
{
	return &host_now->trace;
}

static __always_inline struct portcullis_set *set_at(__u32 index)
{
	return index < set_count ? &host_now->sets[index] : NULL;
}

static __always_inline struct portcullis_slot *slot_at(__u32 index)
{
	return index < set_count * SET_WAYS ? &host_now->slots[index] : NULL;
}

static __always_inline struct portcullis_annex *annex_at(__u32 index)
{
	return index < ANNEXES ? &host_now->annexes[index] : NULL;
}

static __always_inline __u32 *slots_used_get(void)
{
	return &host_now->slots_used;
}

static __always_inline __u64 *hint_at(__u32 index)
{
	return index <= hint_most ? &host_now->hints[index] : NULL;
}

static __always_inline __u32 *lock_at(__u32 index)
{
	return index < 1024 ? &host_now->locks[index] : NULL;
}

static __always_inline __u32 *live_host_at(__u32 index)
{
	return index < HOST_BUCKETS ? &host_now->live_hosts[index] : NULL;
}

static __always_inline __u32 *live_rule_at(__u32 index)
{
	return index < RULES_MAX ? &host_now->live_rules[index] : NULL;
}

static __always_inline __u32 *live_zone_at(__u32 index)
{
	return index < ZONES_MAX ? &host_now->live_zones[index] : NULL;
}

static __always_inline struct portcullis_rule_count *rule_count_at(__u32 index)
{
	return index < RULES_MAX ? &host_now->rule_counts[index] : NULL;
}

static __always_inline __u64 *violation_at(__u32 index)
{
	return index < CONDUITS_MAX * REASON_max ? &host_now->violations[index]
						 : NULL;
}

static __always_inline struct report_tag *tag_at(__u32 index)
{
	return index < TAG_TABLE ? &host_now->tags[index] : NULL;
}

static __always_inline __u64 *bucket_at(__u32 index)
{
	return index <= CONDUITS_MAX ? &host_now->buckets[index] : NULL;
}

static __always_inline const struct portcullis_ruleset *
ruleset_at(__u32 generation, __u32 index)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return index < p->n_rulesets ? &p->rulesets[index] : NULL;
}

static __always_inline const struct portcullis_condition *
condition_at(__u32 generation, __u32 index)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return index < p->n_conditions ? &p->conditions[index] : NULL;
}

static __always_inline const struct portcullis_shape *shape_at(__u32 generation,
							       __u32 index)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return index < p->n_shapes ? &p->shapes[index] : NULL;
}

static __always_inline const struct portcullis_limits *
limits_at(__u32 generation, __u32 index)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return index < p->n_limits ? &p->limits[index] : NULL;
}

static __always_inline const struct portcullis_place *
place_find(__u32 generation, __u8 family, const __u32 addr[4])
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return p->image ? p->place(p->image, family, addr) : NULL;
}

static __always_inline __u16 service_find(__u32 generation, __u8 l4, __u16 port)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return p->services ? p->services->of[l4 == TRANSPORT_udp][port] : 0;
}

static __always_inline const __u32 *
rule_find(__u32 generation, const struct portcullis_rule_key *key)
{
	const struct host_policy *p = &host_now->policy[generation & 1];

	return p->image ? p->rule(p->image, key) : NULL;
}

static __always_inline struct portcullis_event *event_reserve(void)
{
	if (host_now->event_head - host_now->event_tail >= HOST_EVENTS)
		return NULL;
	return &host_now->events[host_now->event_head % HOST_EVENTS];
}

static __always_inline void event_submit(struct portcullis_event *event)
{
	(void)event;
	host_now->event_head++;
}

static __always_inline __u64 monotonic_ns(void)
{
	return host_now->gate.clock * 1000000;
}

static __always_inline __u64 jiffies_now(const struct portcullis_gate *g)
{
	return g->clock;
}

static __always_inline __u32 compare_swap(__u32 *word, __u32 old, __u32 new)
{
	return __sync_val_compare_and_swap(word, old, new);
}

static __always_inline __u32 add_to(__u32 *word, __u32 n)
{
	return __sync_fetch_and_add(word, n);
}

static __always_inline void store_release(__u32 *word, __u32 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static __always_inline __u32 load_acquire(__u32 *word)
{
	return *(const volatile __u32 *)word;
}

static __always_inline __u32 load_once(const __u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static __always_inline __u64 load_once64(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* ---- frames, as in frame.h ---------------------------------------------- */

struct frame {
	__u8 *data;
	__u32 *len; /* shrinks when the frame is cut */
	__u32 ifindex;
	int is_xdp;
};

static __always_inline void *frame_data(const struct frame *f)
{
	return f->data;
}

static __always_inline void *frame_end(const struct frame *f)
{
	return f->data + *f->len;
}

static __always_inline __u32 frame_length(const struct frame *f)
{
	return *f->len;
}

static __always_inline __u64 load64(const void *p)
{
	__u64 word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static __always_inline int frame_load(const struct frame *f, __u32 off,
				      void *to, __u32 len)
{
	if (off > *f->len || len > *f->len - off)
		return -1;
	memcpy(to, f->data + off, len);
	return 0;
}

static __always_inline int frame_cut(const struct frame *f, __u32 len)
{
	if (len > *f->len)
		return -1;
	*f->len = len;
	return 0;
}

static __always_inline __u16 frame_tag_beside(const struct frame *f)
{
	(void)f;
	return 0xffff;
}

static __always_inline __u16 frame_gso(const struct frame *f)
{
	(void)f;
	return 0;
}

/* ---- what kernel.h makes for each door ----------------------------------- */

#define DOOR_FUNCTION(name)                                                    \
	__noinline int name(const struct frame *f, struct scratch *x)          \
	{                                                                      \
		return name##_inline(f, x);                                    \
	}

#define DOOR_LOOP(name)                                                        \
	static __always_inline void name(const struct frame *f, __u32 turns)   \
	{                                                                      \
		while (turns-- && !name##_turn(f))                             \
			;                                                      \
	}

#endif
