/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of conversations. A conversation may stand in one of two sets of
 * eight, chosen by the halves of a keyed hash. Whoever would change a slot
 * holds its lock word, which is also its version: even is free, odd is held,
 * and every holder leaves another number behind. A reader that finds the same
 * even number before and after has seen one state.
 */
#ifndef PORTCULLIS_FLOW_H
#define PORTCULLIS_FLOW_H

#include "packet.h"

#define COARSE(now) ((__u32)((now) >> 8) & 0x3fffffff)

/* Turns to wait for a lock whose holder is at work on another CPU: it holds it
 * for some 50 ns, and microseconds when an interrupt came between. After that
 * the packet is given up as `busy`. */
#define LOCK_TRIES 512

/* A minute closed: no segment of it is on its way any more. */
#define CLOSED_COARSE(hz) (((hz)*60U) >> 8)

/* An hour of idleness makes a verified conversation evictable. */
#define IDLE_COARSE(hz) (((hz)*3600U) >> 8)

static __always_inline int key_equal(const struct portcullis_key *a,
				     const struct portcullis_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
		 (x[4] ^ y[4]));
}

/* ---- hints -------------------------------------------------------------
 *
 * A bucket holds two slot numbers, each with a tag above it. The number of
 * buckets grows with the number of slots in use, so that a few conversations
 * need little of the cache; those whose bucket is another then are found by
 * their sets once more. */
#define HINT_NUMBER ((1U << 23) - 1)

/* Of what is the same from both endpoints, so that nothing need be put in order
 * first. Anybody may collide it: it only names a hint. */
static __always_inline __u64 hint_of(__u32 differ, __u64 sum, __u32 ports,
				     __u32 domain)
{
	sum += (__u64)ports << 34 ^ (__u64)domain << 20;
	return differ * 0x9e3779b97f4a7c15ULL + sum * 0xd6e8feb86659fd93ULL;
}

static __always_inline __u64 hint_hash(const struct portcullis_key *k)
{
	const __u32 *lo = k->lo_addr, *hi = k->hi_addr;

	return hint_of(
	    lo[0] ^ hi[0] ^ lo[1] ^ hi[1] ^ lo[2] ^ hi[2] ^ lo[3] ^ hi[3],
	    (__u64)lo[3] + hi[3], k->lo_port + k->hi_port, k->domain_l4);
}

static __always_inline __u32 hint_place(__u64 hash,
					const struct portcullis_gate *g)
{
	return (__u32)(hash >> 40) & g->hint_mask;
}

/* The number in a bucket that bears the hash's tag, or 0. */
static __always_inline __u32 hint_number(__u64 bucket, __u64 hash)
{
	__u32 tag = (__u32)(hash >> 8), one = (__u32)bucket;

	if ((one ^ tag) & ~HINT_NUMBER)
		one = bucket >> 32;
	return (one ^ tag) & ~HINT_NUMBER ? 0 : one & HINT_NUMBER;
}

/* The newest stands first. */
static __always_inline void hint_leave(const struct portcullis_key *k,
				       const struct portcullis_gate *g,
				       __u32 number)
{
	__u64 hash = hint_hash(k), *hint = hint_at(hint_place(hash, g)), was;
	__u32 tag = (__u32)(hash >> 8) & ~HINT_NUMBER;

	if (!hint)
		return;
	was = load_once64(hint);
	if (((__u32)was ^ tag) & ~HINT_NUMBER)
		was <<= 32;
	*hint = (was >> 32 << 32) | tag | number;
}

struct places {
	__u32 set[2];
	__u32 tag;
	__u32 lock;
};

static __always_inline void flow_places(const struct portcullis_key *k,
					const struct portcullis_gate *g,
					struct places *ret)
{
	__u64 h = conversation_hash(k, g->sip_key);

	ret->set[0] = (__u32)(((h & 0xffffffff) * set_count) >> 32);
	ret->set[1] = (__u32)(((h >> 32) * set_count) >> 32);
	ret->tag = (__u32)(h >> 16) | 1;
	ret->lock = (__u32)(h >> 24) & 1023;
}

/* The slot of the packet's conversation, by its sets: index + 1, 0: none. */
static __always_inline __u32 flow_search(const struct scratch *x,
					 const struct places *at)
{
	struct portcullis_slot *slot;
	struct portcullis_set *set;
	__u32 i, way, index;

	for (i = 0; i < 2; i++) {
		set = set_at(at->set[i]);
		if (!set)
			return 0;
		for (way = 0; way < SET_WAYS; way++) {
			if (set->tag[way] != at->tag)
				continue;
			index = set->slot[way];
			slot = slot_at(index - 1);
			if (index && slot && key_equal(&slot->key, &x->p.key))
				return index;
		}
	}
	return 0;
}

/* As flow_search(), and leaves a hint for the next packet. */
__noinline int flow_find(struct scratch *x)
{
	struct portcullis_gate *g = gate_get();
	struct places at;
	__u32 found;

	if (!x || !g)
		return 0;
	flow_places(&x->p.key, g, &at);
	found = flow_search(x, &at);
	if (found)
		hint_leave(&x->p.key, g, found);
	return found;
}

/* ---- the lock -------------------------------------------------------- */

static __always_inline int slot_try(struct portcullis_slot *slot)
{
	__u32 v = load_once(&slot->lock);

	return !(v & 1) && compare_swap(&slot->lock, v, v + 1) == v;
}

/* Verified once, since the verifier walks every turn. */
__noinline int slot_wait(struct portcullis_slot *slot)
{
	__u32 i;

	if (!slot)
		return 0;
	for (i = 0; i < LOCK_TRIES; i++)
		if (slot_try(slot))
			return 1;
	return 0;
}

static __always_inline int slot_lock(struct portcullis_slot *slot)
{
	return slot_try(slot) || slot_wait(slot);
}

static __always_inline void slot_unlock(struct portcullis_slot *slot)
{
	store_release(&slot->lock, load_once(&slot->lock) + 1);
}

/* ---- entries, as far as the table has to do with them ------------------ */

static __always_inline void annex_return(struct portcullis_slot *slot)
{
	struct portcullis_annex *annex;

	if (!slot->annex)
		return;
	annex = annex_at(slot->annex - 1U);
	slot->annex = 0;
	if (annex)
		store_release(&annex->owner, 0);
}

static __always_inline void entries_forget(struct portcullis_slot *slot)
{
	slot->half[0].entries = slot->half[1].entries = 0;
	slot->entries = 0;
	annex_return(slot);
}

/* ---- worth, ceilings ------------------------------------------------- */

/* What eviction may know of a slot stands beside its tag. */
static __always_inline void flow_worth(const struct portcullis_slot *slot,
				       __u32 worth, __u64 now)
{
	struct portcullis_set *set = set_at(slot->way / SET_WAYS);

	if (set)
		set->seen[slot->way % SET_WAYS] = worth << 30 | COARSE(now);
}

static __always_inline __u32 slot_worth(const struct portcullis_slot *slot)
{
	if (slot->state == SLOT_closed)
		return WORTH_closed;
	if (slot->state == SLOT_live && (slot->flags & FLOW_verified))
		return WORTH_verified;
	return WORTH_unverified;
}

static __always_inline void ceilings_add(const struct portcullis_slot *slot,
					 __u32 n)
{
	__u32 *live;

	live = live_host_at(slot->host);
	if (live)
		add_to(live, n);
	live = live_zone_at(slot->zone);
	if (live)
		add_to(live, n);
	live = live_rule_at(slot->opened_by);
	if (live)
		add_to(live, n);
}

/* Called under the lock: it no longer counts as live. */
static __always_inline void flow_discount(struct portcullis_slot *slot)
{
	if (!(slot->flags & FLOW_counted))
		return;
	slot->flags &= ~FLOW_counted;
	ceilings_add(slot, -1);
}

static __always_inline void flow_count(struct portcullis_slot *slot)
{
	if (slot->flags & FLOW_counted)
		return;
	slot->flags |= FLOW_counted;
	ceilings_add(slot, 1);
}

static __always_inline int ceiling_check(struct scratch *x,
					 const struct portcullis_site *site,
					 const struct portcullis_ruleset *r,
					 __u32 bucket)
{
	__u32 *live;

	live = live_host_at(bucket);
	if (site->host_ceiling && live && *live >= site->host_ceiling)
		return REASON_host_ceiling;
	live = live_zone_at(x->from.zone);
	if (site->zone_ceiling && live && *live >= site->zone_ceiling)
		return REASON_zone_ceiling;
	live = live_rule_at(r->rule[0]);
	if (r->ceiling && live && *live >= r->ceiling)
		return REASON_rule_ceiling;
	return REASON_ok;
}

/* Bucket of the source address: hosts that share one share the ceiling. */
static __always_inline __u32 host_bucket(const struct packet *p,
					 const __u64 key[2])
{
	const __u64 *w = (const __u64 *)p->src;
	struct sip s;

	sip_start(&s, key);
	sip_word(&s, w[0]);
	sip_word(&s, w[1]);
	return (__u32)sip_end(&s) % HOST_BUCKETS;
}

/* ---- a place for a newcomer ------------------------------------------ */

/* Smaller goes first; EVICT_never may not be evicted. What has been closed for
 * a while goes before a way that was never used, so that the slots in use stay
 * close together. A function of its own, so that sixteen of them are not
 * sixteen times the paths to verify. */
#define EVICT_never 0xffffffffU
__noinline __u32 evict_rank(__u32 tag, __u32 seen, __u32 now, __u32 hz)
{
	__u32 worth = seen >> 30, idle = now - (seen & 0x3fffffff);

	idle &= 0x3fffffff;
	if (!tag)
		return 0x20000001;
	if (idle > 0x1fffffff)
		idle = 0; /* another CPU's clock is a tick ahead */
	if (worth == WORTH_closed)
		return (idle > CLOSED_COARSE(hz) ? 0x20000000 : 0x50000000) -
		       idle;
	if (worth == WORTH_unverified)
		return 0x80000000 - idle;
	if (idle > IDLE_COARSE(hz))
		return 0xc0000000 - idle;
	return EVICT_never;
}

/* The least of the sixteen into x->victim. */
static __always_inline void victim_choose(struct scratch *x,
					  const struct places *at,
					  const struct portcullis_gate *g)
{
	struct portcullis_set *set;
	__u32 i, way, rank, now = COARSE(x->now);

	x->victim_rank = EVICT_never;
	for (i = 0; i < 2 * SET_WAYS; i++) {
		way = i % SET_WAYS;
		set = set_at(at->set[i / SET_WAYS]);
		if (!set)
			return;
		rank = evict_rank(set->tag[way], set->seen[way], now, g->hz);
		if (rank < x->victim_rank) {
			x->victim_rank = rank;
			x->victim = at->set[i / SET_WAYS] * SET_WAYS + way;
		}
	}
}

/* A slot that held another conversation, or none, begins anew. Its lock is
 * held. */
static __always_inline void slot_begin(struct portcullis_slot *slot,
				       const struct scratch *x)
{
	__u64 *w = (__u64 *)slot;
	__u32 i, lock = slot->lock;

	for (i = 1; i < sizeof(*slot) / 8; i++)
		w[i] = 0;
	w[0] = lock;
	slot->key = x->p.key;
}

/* The slot of a way, given to it now if it has none. Two newcomers may meet at
 * one way: the first keeps it, and a number is lost to the other. */
static __always_inline __u32 way_slot(struct portcullis_gate *g,
				      struct portcullis_set *set, __u32 way)
{
	__u32 *used = slots_used_get(), mask = load_once(&g->hint_mask);
	__u32 number, was;

	number = load_once(&set->slot[way & (SET_WAYS - 1)]);
	if (number || !used || load_once(used) >= set_count * SET_WAYS)
		return number;
	number = add_to(used, 1) + 1;
	if (number > set_count * SET_WAYS)
		return 0;
	if (2 * number > mask && mask < hint_most)
		g->hint_mask = 2 * mask + 1;
	was = compare_swap(&set->slot[way & (SET_WAYS - 1)], 0, number);
	return was ? was : number;
}

/* What the ruleset says of the conversation, taken over into the slot. */
static __always_inline void slot_rules(struct portcullis_slot *slot,
				       const struct portcullis_ruleset *r,
				       const struct scratch *x)
{
	slot->generation = x->generation;
	slot->ruleset = x->ruleset;
	slot->conduit = r->conduit;
	slot->mode = r->mode;
	slot->action = r->action;
	slot->until = r->until;
	slot->rule = r->rule[0];
	slot->row = 0;
	slot->quirks = r->quirks | x->to.flags >> PLACE_quirks;
	slot->flags &= ~(FLOW_split_header | FLOW_split_message | FLOW_timed);
	if (r->flags & RULESET_split_header)
		slot->flags |= FLOW_split_header;
	if (r->flags & RULESET_split_message)
		slot->flags |= FLOW_split_message;
	if (r->until)
		slot->flags |= FLOW_timed;
	if ((r->flags & RULESET_asymmetric) && slot->mode == MODE_enforce)
		slot->mode = MODE_monitor;
}

/* Claims a place and fills in what the policy said. Returns index + 1 with the
 * slot LOCKED, or 0 and x->reason. */
__noinline int flow_claim(struct scratch *x)
{
	struct portcullis_gate *g = gate_get();
	const struct portcullis_ruleset *r;
	struct portcullis_counts *n = counts_get();
	struct portcullis_slot *slot;
	struct portcullis_set *set;
	struct places at;
	__u32 *lock, tag, way, host, index, number;
	int reason;

	if (!x || !g || !n)
		return 0;
	x->reason = REASON_internal;
	r = ruleset_at(x->generation, x->ruleset);
	if (!r)
		return 0;
	host = host_bucket(&x->p, g->sip_key);
	reason = ceiling_check(x, &g->site[x->generation & 1], r, host);
	if (reason != REASON_ok) {
		x->reason = reason;
		return 0;
	}
	flow_places(&x->p.key, g, &at);
	lock = lock_at(at.lock);
	if (!lock)
		return 0;
	x->reason = REASON_busy;
	if (compare_swap(lock, 0, 1))
		return 0;
	/* Another CPU may have opened it meanwhile: let the packet come again
	 * and find it. */
	if (flow_search(x, &at))
		goto out;
	victim_choose(x, &at, g);
	index = x->victim;
	if (x->victim_rank == EVICT_never) {
		x->reason = REASON_table_full;
		goto out;
	}
	set = set_at(index / SET_WAYS);
	way = index % SET_WAYS;
	if (!set)
		goto out;
	number = way_slot(g, set, way);
	slot = slot_at(number - 1);
	if (!number || !slot || !slot_lock(slot))
		goto out;
	tag = set->tag[way];
	/* Somebody else's newcomer was faster, or the victim came to life. */
	if (evict_rank(tag, set->seen[way], COARSE(x->now), g->hz) >
		x->victim_rank ||
	    compare_swap(&set->tag[way], tag, at.tag) != tag) {
		slot_unlock(slot);
		goto out;
	}
	if (tag)
		n->flows_evicted++;
	flow_discount(slot);
	annex_return(slot);
	slot_begin(slot, x);
	slot->way = index;
	slot->opened_by = r->rule[0];
	slot->host = host;
	slot->zone = x->from.zone;
	slot->client = x->p.dir;
	slot->state = SLOT_opening;
	/* A SYN that nobody answers fills no ceiling: stream_open() counts. */
	if (!(x->p.flags & TCP_SYN))
		flow_count(slot);
	slot_rules(slot, r, x);
	if (!r->protos[1]) {
		slot->proto = r->protos[0];
		slot->shape = r->shape[0];
	}
	flow_worth(slot, WORTH_unverified, x->now);
	hint_leave(&x->p.key, g, number);
	n->flows_opened++;
	store_release(lock, 0);
	return number;
out:
	store_release(lock, 0);
	return 0;
}

#endif
