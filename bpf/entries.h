/* SPDX-License-Identifier: GPL-2.0-only */
/* Entries: what was judged of the segments that were forwarded, and that the
 * receiver has not acknowledged. An entry reaches from the first to the last
 * judged byte of its segment; what stands outside of entries is body.
 *
 * Places for them are few in a slot. A conversation that needs more borrows an
 * annex, as bulk TLS with a record header every 16 kB does.
 */
#ifndef PORTCULLIS_ENTRIES_H
#define PORTCULLIS_ENTRIES_H

#include "flow.h"
#include "walk.h"

static __always_inline __s32 after(__u32 a, __u32 b)
{
	return (__s32)(a - b);
}

static __always_inline __u64 entries_of(const struct portcullis_slot *slot,
					__u32 dir)
{
	return slot->entries & (slot->entries_hi ^ ((__u64)dir - 1));
}

/* ---- places ------------------------------------------------------------ */

#define PLACES_slot ((1ULL << SLOT_ENTRIES) - 1)

static __always_inline __u64 pool_free(const struct portcullis_slot *slot)
{
	return ~slot->entries & (slot->annex ? ~0ULL : PLACES_slot);
}

/* Where place i of the pool is, and its length. */
static __always_inline struct portcullis_entry *
pool_entry(struct portcullis_slot *slot, __u32 i, __u16 **ret_len)
{
	struct portcullis_annex *annex;

	if (i < SLOT_ENTRIES) {
		*ret_len = &slot->entry_len[i];
		return &slot->entry[SLOT_ENTRIES - 1 - i];
	}
	annex = annex_at(slot->annex - 1U);
	i -= SLOT_ENTRIES;
	if (!annex || i >= ANNEX_ENTRIES)
		return NULL;
	*ret_len = &annex->len[i];
	return &annex->entry[i];
}

/* Set bits of a word. */
static __always_inline __u32 bits_set(__u64 w)
{
	w -= w >> 1 & 0x5555555555555555ULL;
	w = (w & 0x3333333333333333ULL) + (w >> 2 & 0x3333333333333333ULL);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (w * 0x0101010101010101ULL) >> 56;
}

/* Number of the lowest bit of a word that is not 0. */
static __always_inline __u32 lowest_bit(__u64 w)
{
	return bits_set(~w & (w - 1));
}

/* An annex near the slot's own number; more than a few looks are not worth it.
 */
__noinline int annex_borrow(struct portcullis_slot *slot, __u32 number)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_annex *annex;
	__u32 i, at;

	if (!slot || !g)
		return 0;
	for (i = 0; i < 8; i++) {
		at = (number + i) % ANNEXES;
		annex = annex_at(at);
		if (!annex)
			return 0;
		if (at < g->annexes && !load_once(&annex->owner) &&
		    !compare_swap(&annex->owner, 0, number)) {
			slot->annex = at + 1;
			return 1;
		}
	}
	return 0;
}

/* All of a direction: its receiver has acknowledged everything. */
static __always_inline void entries_drop(struct portcullis_slot *slot,
					 struct portcullis_half *half,
					 __u32 dir)
{
	slot->entries &= ~entries_of(slot, dir);
	half->entries = 0;
	if (!(slot->entries & ~PLACES_slot))
		annex_return(slot);
}

/* Those that the acknowledgement has passed, once places are short: until then
 * they are in nobody's way, since what is acknowledged is not compared. */
__noinline int entries_prune(struct portcullis_slot *slot, __u32 dir)
{
	struct portcullis_half *half;
	struct portcullis_entry *e;
	__u64 mine;
	__u16 *len;
	__u32 i;

	if (!slot)
		return 0;
	half = &slot->half[dir & 1];
	mine = entries_of(slot, dir);
	for (i = 0; i < POOL_ENTRIES; i++) {
		if (!(mine >> i & 1))
			continue;
		e = pool_entry(slot, i, &len);
		if (e && after(e->first + *len, half->acked) <= 0) {
			slot->entries &= ~(1ULL << i);
			half->entries--;
		}
	}
	if (!(slot->entries & ~PLACES_slot))
		annex_return(slot);
	return 0;
}

static __always_inline int pool_is_full(const struct portcullis_slot *slot,
					const struct portcullis_half *half)
{
	return half->entries >= (slot->annex ? POOL_HALF : HALF_ENTRIES) ||
	       !pool_free(slot);
}

/* May this direction have no further entry? `number` is the slot's. */
static __always_inline int entries_are_full(struct portcullis_slot *slot,
					    const struct portcullis_half *half,
					    __u32 number)
{
	if (!pool_is_full(slot, half))
		return 0;
	entries_prune(slot, 0);
	entries_prune(slot, 1);
	if (!pool_is_full(slot, half))
		return 0;
	if (!slot->annex)
		annex_borrow(slot, number);
	return pool_is_full(slot, half);
}

static __always_inline void entry_add(struct portcullis_slot *slot,
				      struct portcullis_half *half, __u32 dir,
				      __u32 first, __u32 len, __u32 hash)
{
	__u64 room = pool_free(slot);
	struct portcullis_entry *e;
	__u16 *at_len;
	__u32 i;

	if (!room)
		return;
	i = lowest_bit(room);
	e = pool_entry(slot, i, &at_len);
	if (!e)
		return;
	e->first = first;
	e->hash = hash;
	*at_len = len;
	slot->entries |= 1ULL << i;
	if (dir)
		slot->entries_hi |= 1ULL << i;
	else
		slot->entries_hi &= ~(1ULL << i);
	half->entries++;
}

/* ---- resends ------------------------------------------------------------- */

/* Lies entry i whole within the segment? Its payload offset then, else -1. */
static __always_inline long entry_covered_at(struct portcullis_slot *slot,
					     const struct packet *p, __u32 i)
{
	struct portcullis_entry *e;
	__u16 *len;

	e = pool_entry(slot, i, &len);
	if (!e || after(e->first, p->seq) < 0 ||
	    after(e->first + *len, p->seq + p->payload_len) > 0)
		return -1;
	return e->first - p->seq;
}

/* Are there entries that lie whole within the segment? Then it is what its
 * sender has joined of them, with new bytes behind, and passes beyond its
 * share: waiting for an acknowledgement would be waiting for what it carries.
 * When the pool is full too, two of those become one. */
__noinline int entries_covered(struct scratch *x, struct portcullis_slot *slot)
{
	__u64 mine;
	__u32 i;

	if (!x || !slot)
		return 0;
	mine = entries_of(slot, x->p.dir);
	for (i = 0; i < POOL_ENTRIES; i++)
		if ((mine >> i & 1) && entry_covered_at(slot, &x->p, i) >= 0)
			return 1;
	return 0;
}

/* The two lowest of them into x->pair. In memory, so that the verifier forgets
 * which way it came. */
static __always_inline void pair_choose(struct scratch *x,
					struct portcullis_slot *slot)
{
	__u64 mine = entries_of(slot, x->p.dir);
	long at;
	__u32 i;

	x->pair[0] = x->pair[1] = POOL_ENTRIES;
	x->pair_at[0] = x->pair_at[1] = ~0U;
	for (i = 0; i < POOL_ENTRIES; i++) {
		if (!(mine >> i & 1))
			continue;
		at = entry_covered_at(slot, &x->p, i);
		if (at < 0)
			continue;
		if (at < x->pair_at[0]) {
			x->pair[1] = x->pair[0];
			x->pair_at[1] = x->pair_at[0];
			x->pair[0] = i;
			x->pair_at[0] = at;
		} else if (at < x->pair_at[1]) {
			x->pair[1] = i;
			x->pair_at[1] = at;
		}
	}
}

/* They become one; a single one is taken into the segment's own entry. So the
 * boundary is lost at which an acknowledgement is least likely to stop: the
 * receiver of what was joined has both. */
static __always_inline int entries_join_inline(const struct frame *f,
					       struct scratch *x)
{
	struct portcullis_slot *slot = slot_at(x->slot - 1);
	struct portcullis_entry *e;
	__u32 low, next;
	__u16 *len;
	int reason;

	if (!slot)
		return REASON_internal;
	pair_choose(x, slot);
	low = x->pair[0];
	next = x->pair[1];
	if (low >= POOL_ENTRIES)
		return REASON_internal;
	if (next >= POOL_ENTRIES) {
		slot->half[x->p.dir & 1].entries--;
		x->c.from = x->pair_at[0];
		x->hashed = 0;
		slot->entries &= ~(1ULL << low);
		return REASON_ok;
	}
	e = pool_entry(slot, next, &len);
	if (!e)
		return REASON_internal;
	x->h.from = x->pair_at[0];
	x->h.len = x->pair_at[1] + *len - x->pair_at[0];
	reason = range_hash(f, x);
	if (reason != REASON_ok)
		return reason;
	slot->half[x->p.dir & 1].entries--;
	slot->entries &= ~(1ULL << next);
	e = pool_entry(slot, low, &len);
	if (!e)
		return REASON_internal;
	e->hash = x->h.result;
	*len = x->h.len;
	return REASON_ok;
}

DOOR_FUNCTION(entries_join)

/* One place of the pool against the resend in hand. */
static __always_inline int resend_compare(const struct frame *f,
					  struct scratch *x,
					  struct portcullis_slot *slot, __u32 i)
{
	__u32 seq = x->p.seq, end = seq + x->p.payload_len, first, last, hash;
	struct portcullis_entry *e;
	__u16 *len;
	int reason;

	e = pool_entry(slot, i, &len);
	if (!e)
		return REASON_internal;
	first = e->first;
	last = first + *len;
	hash = e->hash;
	if (after(last, slot->half[x->p.dir & 1].acked) <= 0 ||
	    after(last, seq) <= 0 || after(first, end) >= 0)
		return REASON_ok;
	if (after(first, seq) < 0 || after(last, end) > 0)
		return REASON_resend_unknown;
	x->h.from = first - seq;
	x->h.len = last - first;
	reason = range_hash(f, x);
	if (reason != REASON_ok)
		return reason;
	return x->h.result == hash ? REASON_ok : REASON_overlap_inconsistent;
}

static __always_inline long resend_turn(const struct frame *f)
{
	struct scratch *x = scratch_get();
	struct portcullis_slot *slot;
	__u32 i;

	if (!x)
		return 1;
	x->c.reason = REASON_internal;
	slot = slot_at(x->slot - 1);
	if (!slot)
		return 1;
	x->c.reason = REASON_ok;
	i = x->piece++;
	if (i >= POOL_ENTRIES)
		return 1;
	if (entries_of(slot, x->p.dir) >> i & 1)
		x->c.reason = resend_compare(f, x, slot, i);
	return x->c.reason != REASON_ok;
}

DOOR_LOOP(resend)

/* A segment that reaches below `next`: whatever of it the receiver may still
 * take must be what was judged: whole entries with the same bytes, and body
 * between them. */
static __always_inline int resend_check_inline(const struct frame *f,
					       struct scratch *x)
{
	struct portcullis_slot *slot = slot_at(x->slot - 1);

	if (!slot)
		return REASON_internal;
	x->c.reason = REASON_ok;
	x->piece = 0;
	if (slot->half[x->p.dir & 1].entries)
		resend(f, slot->annex ? POOL_ENTRIES : SLOT_ENTRIES);
	return x->c.reason;
}

DOOR_FUNCTION(resend_check)

/* ---- leaving them ------------------------------------------------------ */

/* The entry of one piece of a super-frame, if it held judged bytes. */
static __always_inline long entry_pieces_turn(const struct frame *f)
{
	struct scratch *x = scratch_get();
	struct portcullis_slot *slot;
	__u32 i, start, end;

	if (!x)
		return 1;
	slot = slot_at(x->slot - 1);
	i = x->piece++;
	if (!slot || i > 63)
		return 1;
	if (!(x->c.pieces >> i & 1))
		return 0;
	start = i * x->p.gso;
	end = start + x->p.gso;
	if (end > x->c.judged)
		end = x->c.judged;
	if (start < x->c.from)
		start = x->c.from;
	if (start >= end)
		return 0;
	x->h.from = start;
	x->h.len = end - start;
	if (range_hash(f, x) != REASON_ok) {
		x->c.reason = REASON_unreadable;
		return 1;
	}
	entry_add(slot, &slot->half[x->p.dir & 1], x->p.dir, x->p.seq + start,
		  x->h.len, x->h.result);
	return 0;
}

DOOR_LOOP(entry_pieces)

/* More than the bytes of one window. */
static __always_inline int entries_far_inline(const struct frame *f,
					      struct scratch *x)
{
	struct portcullis_slot *slot = slot_at(x->slot - 1);
	struct portcullis_counts *n = counts_get();

	if (!slot || !n)
		return REASON_internal;
	if (x->p.gso && x->c.len > x->p.gso) {
		if (bits_set(x->c.pieces) > SLOT_ENTRIES - HALF_ENTRIES &&
		    !slot->annex)
			annex_borrow(slot, x->slot);
		if (bits_set(x->c.pieces) <= bits_set(pool_free(slot))) {
			x->piece = 0;
			entry_pieces(f, 64);
			return x->c.reason;
		}
		/* More pieces than places: one entry for all. Their resend one
		 * by one will not be known. */
		n->coarse_entries++;
	}
	x->h.from = x->c.from;
	x->h.len = x->c.judged - x->c.from;
	if (range_hash(f, x) != REASON_ok)
		return REASON_unreadable;
	entry_add(slot, &slot->half[x->p.dir & 1], x->p.dir,
		  x->p.seq + x->c.from, x->h.len, x->h.result);
	return REASON_ok;
}

DOOR_FUNCTION(entries_far)

/* Leaves entries for a segment that was judged: one, or one a piece of a
 * super-frame that held judged bytes. */
static __always_inline int entries_leave(const struct frame *f,
					 struct scratch *x,
					 struct portcullis_slot *slot,
					 struct portcullis_half *half)
{
	if (!x->hashed)
		return entries_far(f, x);
	entry_add(slot, half, x->p.dir, x->p.seq + x->c.from,
		  x->c.judged - x->c.from, x->hash);
	return REASON_ok;
}

#endif
