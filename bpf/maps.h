/* SPDX-License-Identifier: GPL-2.0-only */
/* Every map, each with who writes it, who reads it and what happens when it is
 * full; and the accessors through which the core reaches them. host.h has the
 * same accessors over plain memory.
 *
 * A policy generation stands in half `generation & 1`. The loader fills the
 * half that no packet uses and then stores the new number in `gate`.
 */
#ifndef PORTCULLIS_MAPS_H
#define PORTCULLIS_MAPS_H

#include "scratch.h"

/* ---- set before load ------------------------------------------------- */

/* Sets in the conversation table; slots = sets * SET_WAYS. */
const volatile __u32 set_count = 2048;
/* Buckets of the table of hints, a power of two less one. */
const volatile __u32 hint_most = 32767;
/* Replay and tests: take the time from gate.clock and write `trace`. */
const volatile __u8 tracing = 0;
/* A machine that reorders loads and stores: lock and unlock by atomics. */
const volatile __u8 weak_order = 0;

/* ---- policy: written by the loader ----------------------------------- */

/* Read at every packet: a section of its own is an array of one row whose
 * address stands in the program, where another map would have to be asked. */
struct portcullis_gate gate SEC(".data.gate");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * RULESETS_MAX);
	__type(key, __u32);
	__type(value, struct portcullis_ruleset);
} rulesets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * CONDITIONS_MAX);
	__type(key, __u32);
	__type(value, struct portcullis_condition);
} conditions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * SHAPES_MAX);
	__type(key, __u32);
	__type(value, struct portcullis_shape);
} shapes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * LIMITS_MAX);
	__type(key, __u32);
	__type(value, struct portcullis_limits);
} limits SEC(".maps");

/* Inner maps: a fresh one each generation, sized by the loader. Sizes instead
 * of types, since BTF leaves out what is named only behind two pointers. */
struct places4_inner {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct portcullis_lpm4));
	__uint(value_size, sizeof(struct portcullis_place));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct places4_inner);
} places4 SEC(".maps");

struct places6_inner {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct portcullis_lpm6));
	__uint(value_size, sizeof(struct portcullis_place));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct places6_inner);
} places6 SEC(".maps");

struct keys_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct portcullis_rule_key));
	__uint(value_size, sizeof(__u32));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct keys_inner);
} keys SEC(".maps");

struct services_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct portcullis_services));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct services_inner);
} services SEC(".maps");

/* Where a wire leads: by port id; 0: the monitor port. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

/* For a copy on the wire way: by port id, a map of its peer and the monitor
 * port, for a broadcast redirect. */
struct copies_inner {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__array(values, struct copies_inner);
} copies SEC(".maps");

/* ---- conversations: written by the programs -------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct portcullis_set);
} sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct portcullis_slot);
} slots SEC(".maps");

/* Taken by a compare-and-swap of `owner`, freed by a store, both under the lock
 * of the owner's slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ANNEXES);
	__type(key, __u32);
	__type(value, struct portcullis_annex);
} annexes SEC(".maps");

/* Slots given out so far. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} slots_used SEC(".maps");

/* Cheap hash of a 5-tuple to the place of its slot. A hint only: the slot's key
 * is compared whole, so a wrong one costs time and nothing else. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, __u64);
} hints SEC(".maps");

/* Held while a conversation is being opened, by its hash: two CPUs that see the
 * first packet of one conversation must not make two slots of it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} locks SEC(".maps");

/* Live conversations by source host (bucket of a keyed hash), rule, zone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HOST_BUCKETS);
	__type(key, __u32);
	__type(value, __u32);
} live_hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} live_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ZONES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} live_zones SEC(".maps");

/* ---- counters and events: written by the programs -------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct portcullis_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULES_MAX);
	__type(key, __u32);
	__type(value, struct portcullis_rule_count);
} rule_counts SEC(".maps");

/* [conduit * REASON_max + reason] */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CONDUITS_MAX *REASON_max);
	__type(key, __u32);
	__type(value, __u64);
} violations SEC(".maps");

/* First occurrences without a slot. A collision costs one more event. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TAG_TABLE);
	__type(key, __u32);
	__type(value, struct report_tag);
} tags SEC(".maps");

/* Events per second, by conduit: a bucket each, [CONDUITS_MAX] is all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONDUITS_MAX + 1);
	__type(key, __u32);
	__type(value, __u64);
} buckets SEC(".maps");

/* Drained by the daemon. Full: the event is counted as lost. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct portcullis_trace);
} trace SEC(".maps");

/* Always: only the host engine can be told to go the long way. */
#define fast_allowed 1

/* ---- accessors ------------------------------------------------------- */

static __always_inline struct portcullis_gate *gate_get(void)
{
	return &gate;
}

static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

static __always_inline struct portcullis_counts *counts_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero);
}

static __always_inline struct portcullis_trace *trace_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trace, &zero);
}

static __always_inline struct portcullis_set *set_at(__u32 index)
{
	return bpf_map_lookup_elem(&sets, &index);
}

static __always_inline struct portcullis_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline struct portcullis_annex *annex_at(__u32 index)
{
	return bpf_map_lookup_elem(&annexes, &index);
}

static __always_inline __u32 *slots_used_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&slots_used, &zero);
}

static __always_inline __u64 *hint_at(__u32 index)
{
	return bpf_map_lookup_elem(&hints, &index);
}

static __always_inline __u32 *lock_at(__u32 index)
{
	return bpf_map_lookup_elem(&locks, &index);
}

static __always_inline __u32 *live_host_at(__u32 index)
{
	return bpf_map_lookup_elem(&live_hosts, &index);
}

static __always_inline __u32 *live_rule_at(__u32 index)
{
	return bpf_map_lookup_elem(&live_rules, &index);
}

static __always_inline __u32 *live_zone_at(__u32 index)
{
	return bpf_map_lookup_elem(&live_zones, &index);
}

static __always_inline struct portcullis_rule_count *rule_count_at(__u32 index)
{
	return bpf_map_lookup_elem(&rule_counts, &index);
}

static __always_inline __u64 *violation_at(__u32 index)
{
	return bpf_map_lookup_elem(&violations, &index);
}

static __always_inline struct report_tag *tag_at(__u32 index)
{
	return bpf_map_lookup_elem(&tags, &index);
}

static __always_inline __u64 *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&buckets, &index);
}

static __always_inline const struct portcullis_ruleset *
ruleset_at(__u32 generation, __u32 index)
{
	__u32 at = (generation & 1) * RULESETS_MAX + index;

	return bpf_map_lookup_elem(&rulesets, &at);
}

static __always_inline const struct portcullis_condition *
condition_at(__u32 generation, __u32 index)
{
	__u32 at = (generation & 1) * CONDITIONS_MAX + index;

	return bpf_map_lookup_elem(&conditions, &at);
}

static __always_inline const struct portcullis_shape *shape_at(__u32 generation,
							       __u32 index)
{
	__u32 at = (generation & 1) * SHAPES_MAX + index;

	return bpf_map_lookup_elem(&shapes, &at);
}

static __always_inline const struct portcullis_limits *
limits_at(__u32 generation, __u32 index)
{
	__u32 at = (generation & 1) * LIMITS_MAX + index;

	return bpf_map_lookup_elem(&limits, &at);
}

/* Longest prefix that holds `addr` (network); NULL: no zone has it. */
static __always_inline const struct portcullis_place *
place_find(__u32 generation, __u8 family, const __u32 addr[4])
{
	__u32 half = generation & 1;
	struct portcullis_lpm4 k4;
	struct portcullis_lpm6 k6;
	void *inner;

	if (family == 4) {
		inner = bpf_map_lookup_elem(&places4, &half);
		if (!inner)
			return NULL;
		k4.prefixlen = 32;
		__builtin_memcpy(k4.addr, &addr[3], 4);
		return bpf_map_lookup_elem(inner, &k4);
	}
	inner = bpf_map_lookup_elem(&places6, &half);
	if (!inner)
		return NULL;
	k6.prefixlen = 128;
	__builtin_memcpy(k6.addr, addr, 16);
	return bpf_map_lookup_elem(inner, &k6);
}

/* Service number of a port (host order), 0: none. */
static __always_inline __u16 service_find(__u32 generation, __u8 l4, __u16 port)
{
	const struct portcullis_services *all;
	__u32 half = generation & 1, zero = 0;
	void *inner;

	inner = bpf_map_lookup_elem(&services, &half);
	if (!inner)
		return 0;
	all = bpf_map_lookup_elem(inner, &zero);
	if (!all)
		return 0;
	return all->of[l4 == TRANSPORT_udp][masked(port, 0xffff)];
}

static __always_inline const __u32 *
rule_find(__u32 generation, const struct portcullis_rule_key *key)
{
	__u32 half = generation & 1;
	void *inner;

	inner = bpf_map_lookup_elem(&keys, &half);
	if (!inner)
		return NULL;
	return bpf_map_lookup_elem(inner, key);
}

static __always_inline struct portcullis_event *event_reserve(void)
{
	return bpf_ringbuf_reserve(&events, sizeof(struct portcullis_event), 0);
}

static __always_inline void event_submit(struct portcullis_event *event)
{
	bpf_ringbuf_submit(event, 0);
}

static __always_inline __u64 monotonic_ns(void)
{
	return bpf_ktime_get_ns();
}

static __always_inline __u64 jiffies_now(const struct portcullis_gate *g)
{
	return tracing ? g->clock : bpf_jiffies64();
}

/* ---- one writer a slot ----------------------------------------------- */

static __always_inline __u32 compare_swap(__u32 *word, __u32 old, __u32 new)
{
	return __sync_val_compare_and_swap(word, old, new);
}

/* Returns what it was. */
static __always_inline __u32 add_to(__u32 *word, __u32 n)
{
	return __sync_fetch_and_add(word, n);
}

/* Stores before it are seen before it. */
static __always_inline void store_release(__u32 *word, __u32 value)
{
	if (weak_order)
		__sync_lock_test_and_set(word, value);
	else
		*(volatile __u32 *)word = value;
}

/* Loads after it are not made before it. */
static __always_inline __u32 load_acquire(__u32 *word)
{
	__u32 value;

	if (weak_order)
		return add_to(word, 0);
	value = *(const volatile __u32 *)word;
	asm volatile("" ::: "memory");
	return value;
}

static __always_inline __u32 load_once(const __u32 *word)
{
	return *(const volatile __u32 *)word;
}

static __always_inline __u64 load_once64(const __u64 *word)
{
	return *(const volatile __u64 *)word;
}

#endif
