/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP without reassembly: per direction the next byte to be judged and how many
 * opaque bytes follow it. Nothing is buffered but a cut header; everything else
 * is left to what TCP guarantees. The rules are argued in bpf/README.md.
 *
 *	   acked          next            next + skip
 *	-----|--------------|----------------|------------
 *	 the receiver   judged, or     opaque: any     unjudged:
 *	 has it         body; resends  order           refused as `ahead`
 *	                compared
 */
#ifndef PORTCULLIS_STREAM_H
#define PORTCULLIS_STREAM_H

#include "policy.h"
#include "walk.h"

/* Positions further apart than this are never compared. */
#define FAR (1U << 30)
/* A body without end moves its base along in steps of this. */
#define REBASE (1U << 28)

static __always_inline __s32 after(__u32 a, __u32 b)
{
	return (__s32)(a - b);
}

static __always_inline __u16 side_vlan(const struct scratch *x)
{
	return x->port.forward == FORWARD_wire ? 0 : x->p.vlan;
}

/* Not learnt yet: on a wire the answer comes from the other end, and on the
 * kernel way its sender was checked when the conversation was opened. */
static __always_inline int side_fits(const struct portcullis_half *half,
				     const struct portcullis_half *other,
				     const struct scratch *x)
{
	if (half->port)
		return half->port == x->port.id && half->vlan == side_vlan(x);
	return x->port.forward != FORWARD_wire || other->port != x->port.id;
}

/* From a packet that was believed, never from one that anybody may send. */
static __always_inline void side_learn(struct portcullis_half *half,
				       const struct scratch *x)
{
	if (half->port)
		return;
	half->port = x->port.id;
	half->vlan = side_vlan(x);
}

/* ---- entries: forwarded segments that held judged bytes --------------- */

static __always_inline __u32 entries_of(const struct portcullis_slot *slot,
					__u32 dir)
{
	return dir ? slot->entries & slot->entries_hi
		   : slot->entries & ~slot->entries_hi;
}

/* Number of the lowest bit of a 12-bit word that is not 0. */
static __always_inline __u32 lowest_bit(__u32 w)
{
	w &= -w;
	return (!!(w & 0xaaa)) | (!!(w & 0xccc)) << 1 | (!!(w & 0xf0)) << 2 |
	       (!!(w & 0xf00)) << 3;
}

#define ENTRIES_all ((1U << SLOT_ENTRIES) - 1)

static __always_inline int entries_are_full(const struct portcullis_slot *slot,
					    const struct portcullis_half *half)
{
	return half->entries >= HALF_ENTRIES || slot->entries == ENTRIES_all;
}

static __always_inline void entry_add(struct portcullis_slot *slot,
				      struct portcullis_half *half, __u32 dir,
				      __u32 first, __u32 len, __u32 hash)
{
	__u32 i = lowest_bit(~slot->entries & ENTRIES_all);

	if (i >= SLOT_ENTRIES)
		return;
	slot->entry[i].first = first;
	slot->entry[i].hash = hash;
	slot->entry_len[i] = len;
	slot->entries |= 1U << i;
	if (dir)
		slot->entries_hi |= 1U << i;
	else
		slot->entries_hi &= ~(1U << i);
	half->entries++;
}

/* Drops the entries that the acknowledgement of x->p has passed. Some, not all:
 * the common case (all of them) is inline. */
__noinline int entries_prune(struct portcullis_slot *slot, __u32 dir)
{
	struct portcullis_half *half;
	__u32 i, mine;

	if (!slot)
		return 0;
	half = &slot->half[dir & 1];
	mine = entries_of(slot, dir);
	for (i = 0; i < SLOT_ENTRIES; i++) {
		if (!(mine >> i & 1))
			continue;
		if (after(slot->entry[i].first + slot->entry_len[i],
			  half->acked) <= 0) {
			slot->entries &= ~(1U << i);
			half->entries--;
		}
	}
	return 0;
}

static __always_inline int entry_is_covered(const struct portcullis_slot *slot,
					    const struct packet *p, __u32 i)
{
	__u32 first = slot->entry[i].first;

	return after(first, p->seq) >= 0 &&
	       after(first + slot->entry_len[i], p->seq + p->payload_len) <= 0;
}

/* Are there entries that lie whole within the segment? Then it is what its
 * sender has joined of them, with new bytes behind, and passes beyond its
 * share: waiting for an acknowledgement would be waiting for what it carries.
 * When the pool is full too, two of those become one. */
__noinline int entries_covered(struct scratch *x, struct portcullis_slot *slot)
{
	__u32 i, mine, n = 0;

	if (!x || !slot)
		return 0;
	mine = entries_of(slot, x->p.dir);
	for (i = 0; i < SLOT_ENTRIES; i++)
		if ((mine >> i & 1) && entry_is_covered(slot, &x->p, i))
			n++;
	return n;
}

/* The two lowest of them into x->pair. In memory, so that the verifier forgets
 * which way it came. */
static __always_inline void pair_choose(struct scratch *x,
					const struct portcullis_slot *slot)
{
	__u32 i, at, mine = entries_of(slot, x->p.dir);

	x->pair[0] = x->pair[1] = SLOT_ENTRIES;
	x->pair_at[0] = x->pair_at[1] = ~0U;
	for (i = 0; i < SLOT_ENTRIES; i++) {
		if (!(mine >> i & 1) || !entry_is_covered(slot, &x->p, i))
			continue;
		at = slot->entry[i].first - x->p.seq;
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
	__u32 low, next;
	int reason;

	if (!slot)
		return REASON_internal;
	pair_choose(x, slot);
	low = x->pair[0];
	next = x->pair[1];
	if (low >= SLOT_ENTRIES)
		return REASON_internal;
	slot->half[x->p.dir & 1].entries--;
	if (next >= SLOT_ENTRIES) {
		x->start = x->pair_at[0];
		slot->entries &= ~(1U << low);
		return REASON_ok;
	}
	x->h.from = x->pair_at[0];
	x->h.len = x->pair_at[1] + slot->entry_len[next] - x->pair_at[0];
	slot->entries &= ~(1U << next);
	reason = range_hash(f, x);
	slot->entry[low].hash = x->h.result;
	slot->entry_len[low] = x->h.len;
	return reason;
}

DOOR_FUNCTION(entries_join)

/* A segment that reaches below `next`: whatever of it the receiver may still
 * take must be what was judged: whole entries with the same bytes, and body
 * between them. */
static __always_inline int resend_check_inline(const struct frame *f,
					       struct scratch *x)
{
	struct portcullis_slot *slot = slot_at(x->slot - 1);
	struct portcullis_half *half;
	__u32 i, first, last, low, end, mine;
	int reason;

	if (!slot)
		return REASON_internal;
	half = &slot->half[x->p.dir & 1];
	low = after(half->acked, x->p.seq) > 0 ? half->acked : x->p.seq;
	end = x->p.seq + x->p.payload_len;
	mine = entries_of(slot, x->p.dir);
	for (i = 0; i < SLOT_ENTRIES; i++) {
		if (!(mine >> i & 1))
			continue;
		first = slot->entry[i].first;
		last = first + slot->entry_len[i];
		if (after(last, low) <= 0 || after(first, end) >= 0)
			continue;
		if (after(first, x->p.seq) < 0 || after(last, end) > 0)
			return REASON_resend_unknown;
		x->h.from = first - x->p.seq;
		x->h.len = last - first;
		reason = range_hash_inline(f, x);
		if (reason != REASON_ok)
			return reason;
		if (x->h.result != slot->entry[i].hash)
			return REASON_overlap_inconsistent;
	}
	return REASON_ok;
}

DOOR_FUNCTION(resend_check)

/* Set bits of a word. */
static __always_inline __u32 bits_set(__u64 w)
{
	w -= w >> 1 & 0x5555555555555555ULL;
	w = (w & 0x3333333333333333ULL) + (w >> 2 & 0x3333333333333333ULL);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (w * 0x0101010101010101ULL) >> 56;
}

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
	if (end > x->c.len)
		end = x->c.len;
	if (start < x->start)
		start = x->start;
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

/* Leaves entries for a segment that was judged, of which the bytes from payload
 * offset x->start on are new: one, or one a piece of a super-frame that held
 * judged bytes. */
static __always_inline int entries_leave_inline(const struct frame *f,
						struct scratch *x)
{
	struct portcullis_slot *slot = slot_at(x->slot - 1);
	struct portcullis_counts *n = counts_get();
	struct portcullis_half *half;

	if (!slot || !n)
		return REASON_internal;
	half = &slot->half[x->p.dir & 1];
	if (x->p.gso && x->c.len > x->p.gso) {
		if (bits_set(x->c.pieces) + bits_set(slot->entries) <=
		    SLOT_ENTRIES) {
			x->piece = 0;
			entry_pieces(f, 64);
			return x->c.reason;
		}
		/* More pieces than places: one entry for all. Their resend one
		 * by one will not be known. */
		n->coarse_entries++;
	}
	x->h.from = x->start;
	x->h.len = x->c.len - x->start;
	if (range_hash(f, x) != REASON_ok)
		return REASON_unreadable;
	entry_add(slot, half, x->p.dir, x->p.seq + x->start, x->h.len,
		  x->h.result);
	return REASON_ok;
}

DOOR_FUNCTION(entries_leave)

/* ---- handshake and RST ------------------------------------------------ */

static __always_inline void half_begin(struct portcullis_half *half, __u32 isn)
{
	__u64 *own = (__u64 *)half->own;
	__u32 i;

	half->next = half->acked = half->high = isn + 1;
	half->isn = isn;
	half->skip = 0;
	half->carry = 0;
	half->entries = 0;
	half->fin = 0;
	half->edge = 0;
	half->flags = HALF_synced;
	for (i = 0; i < OWN_BYTES / 8; i++)
		own[i] = 0;
}

/* The SYN-ACK that answers the proposal: both halves begin anew. */
static __always_inline void stream_open(struct portcullis_slot *slot,
					struct portcullis_half *caller,
					struct portcullis_half *callee,
					const struct scratch *x)
{
	const struct portcullis_ruleset *r;
	__u8 scale = caller->answers;

	half_begin(caller, (__u32)caller->asked);
	half_begin(callee, x->p.seq);
	words_zero((__u64 *)slot->shared, SHARED_BYTES / 8);
	slot->entries = 0;
	slot->entries_hi = 0;
	flow_count(slot);
	slot->state = SLOT_live;
	slot->flags &=
	    ~(FLOW_pickup | FLOW_resync | FLOW_verified | FLOW_reported);
	r = ruleset_at(x->generation, slot->ruleset);
	if (r && r->protos[1])
		slot->proto = 0;
	/* RFC 7323 §2.2: scaling holds only where both offered it. */
	if (scale != SCALE_none && x->p.scale != SCALE_none) {
		caller->scale = scale;
		callee->scale = x->p.scale;
	} else {
		caller->scale = callee->scale = 0;
	}
	caller->flags |= HALF_scaled | HALF_edge;
	callee->flags |= HALF_scaled;
	/* The window of a SYN is never scaled. */
	caller->edge = x->p.ack + x->p.window;
}

/* SYN and SYN-ACK. A SYN changes nothing that lives until it is answered. */
__noinline int stream_syn(struct scratch *x, struct portcullis_slot *slot)
{
	struct portcullis_half *half, *other;
	struct packet *p;

	if (!x || !slot)
		return REASON_internal;
	p = &x->p;
	half = &slot->half[p->dir & 1];
	other = &slot->half[!p->dir];
	if (!(p->flags & TCP_ACK)) {
		if (p->dir != slot->client)
			return REASON_handshake;
		/* The same once more. No stack takes a number twice for the
		 * same ports: on what is over it is a late copy, which a
		 * server must not use to bring it back to life. */
		if ((half->flags & HALF_synced) && p->seq == half->isn)
			return slot->state == SLOT_live ? REASON_ok
							: REASON_handshake;
		half->asked = p->seq;
		half->answers = p->scale;
		half->flags |= HALF_proposal;
		return REASON_ok;
	}
	if (p->dir == slot->client)
		return REASON_handshake;
	/* The answer that opened what is followed: it came again because its
	 * acknowledgement was lost. It never opens anything anew, whatever was
	 * proposed since: it may have waited on its way. */
	if ((half->flags & HALF_synced) && p->seq == half->isn &&
	    p->ack == other->isn + 1)
		return slot->state == SLOT_live ? REASON_ok : REASON_handshake;
	if ((other->flags & HALF_proposal) &&
	    p->ack == (__u32)other->asked + 1) {
		stream_open(slot, other, half, x);
		return REASON_ok;
	}
	return REASON_handshake;
}

/* Exact or ignored, RFC 5961 §3.2; it closes for data and frees nothing. */
__noinline int stream_rst(struct scratch *x, struct portcullis_slot *slot)
{
	struct portcullis_half *half, *other;
	struct packet *p;

	if (!x || !slot)
		return REASON_internal;
	p = &x->p;
	half = &slot->half[p->dir & 1];
	other = &slot->half[!p->dir];
	if ((other->flags & HALF_proposal) && (p->flags & TCP_ACK) &&
	    p->ack == (__u32)other->asked + 1) {
		/* The answer to a SYN: nobody listens. */
		other->flags &= ~HALF_proposal;
		if (slot->state == SLOT_opening)
			slot->state = SLOT_closed;
		return REASON_ok;
	}
	if (!(half->flags & HALF_synced) ||
	    (p->seq != half->acked && p->seq != half->high &&
	     p->seq != half->next))
		return REASON_rst_inexact;
	if (slot->state == SLOT_live)
		slot->state = SLOT_closed;
	return REASON_ok;
}

/* What was let pass unjudged, as monitor and mirror do, is not counted: its
 * acknowledgement proves nothing wrong. */
static __always_inline int half_is_followed(const struct portcullis_half *half)
{
	return (half->flags & (HALF_synced | HALF_lost)) == HALF_synced;
}

/* ---- acknowledgements -------------------------------------------------- */

/* `half` was sent by the other side; x->p acknowledges its bytes. Believed only
 * as far as something was forwarded. */
static __always_inline int ack_check(const struct portcullis_half *half,
				     const struct packet *p,
				     const struct portcullis_half *by)
{
	__u32 scale = by->flags & HALF_scaled ? by->scale & 15 : 14;
	__s32 over = after(p->ack, half->high);

	if (over > !!(half->flags & HALF_fin))
		return REASON_ack_invalid;
	/* RFC 5961 §5.2: not older than the largest window. */
	if (after(half->acked, p->ack) > (__s32)(0x10000U << scale))
		return REASON_ack_invalid;
	return REASON_ok;
}

/* `by` is the half of the side that acknowledges. */
static __always_inline void ack_take(struct portcullis_slot *slot,
				     struct portcullis_half *half, __u32 dir,
				     const struct packet *p,
				     const struct portcullis_half *by)
{
	__u32 edge = p->ack + ((__u32)p->window << (by->scale & 15));

	if (after(p->ack, half->acked) > 0) {
		half->acked = p->ack;
		if (half->entries) {
			if (after(p->ack, half->next) >= 0) {
				slot->entries &= ~entries_of(slot, dir);
				half->entries = 0;
			} else {
				entries_prune(slot, dir);
			}
		}
	}
	/* Of a conversation that was picked up nobody knows how windows are
	 * scaled: any window will do. */
	if (!(by->flags & HALF_scaled))
		return;
	if (!(half->flags & HALF_edge) || after(edge, half->edge) > 0) {
		half->edge = edge;
		half->flags |= HALF_edge;
	}
}

/* ---- data --------------------------------------------------------------- */

/* The rest of the walk, turn by turn, for more than one message a segment. */
static __always_inline long walk_more_turn(const struct frame *f)
{
	struct scratch *x = scratch_get();
	struct portcullis_slot *slot;

	if (!x)
		return 1;
	slot = slot_at(x->slot - 1);
	if (!slot) {
		turn_end(&x->c, REASON_internal);
		return 1;
	}
	walk_turn(f, x, slot, 0);
	return x->c.done != 0;
}

DOOR_LOOP(walk_more)

/* More turns than the longest super-frame has bytes are never needed. */
#define WALK_TURNS 70000

static __always_inline void state_take(struct scratch *x,
				       const struct portcullis_slot *slot,
				       const struct portcullis_half *half)
{
	words_copy(x->state.own, half->own, OWN_BYTES / 8);
	words_copy(x->state.shared, slot->shared, SHARED_BYTES / 8);
}

static __always_inline void state_give(const struct scratch *x,
				       struct portcullis_slot *slot,
				       struct portcullis_half *half)
{
	words_copy(half->own, x->state.own, OWN_BYTES / 8);
	words_copy(slot->shared, x->state.shared, SHARED_BYTES / 8);
}

/* Judges the payload from offset `start` on. REASON_ok: all of it may pass, and
 * x->c, x->state say where the stream stands then. The first turn is inline,
 * since most segments hold one message. */
static __always_inline int walk(const struct frame *f, struct scratch *x,
				struct portcullis_slot *slot,
				struct portcullis_half *half, __u32 start)
{
	struct cursor *c = &x->c;

	c->off = start;
	c->len = x->p.payload_len;
	c->skip = 0;
	c->pieces = 0;
	c->carry = half->carry;
	c->inside = !!(half->flags & HALF_inside);
	c->done = 0;
	c->reason = REASON_ok;
	x->hashed = 0;
	x->from_server = x->p.dir != slot->client;
	x->step.from_server = x->from_server;
	x->step.l4 = x->p.l4;
	if (c->carry)
		words_copy(c->carry_bytes, half->carry_bytes, NEED_BYTES / 8);
	state_take(x, slot, half);
	walk_turn(f, x, slot, 1);
	if (!c->done)
		walk_more(f, WALK_TURNS);
	if (!c->done)
		return REASON_internal;
	return c->reason;
}

static __always_inline int split_check(const struct portcullis_slot *slot,
				       const struct cursor *c)
{
	if ((slot->flags & FLOW_split_header) &&
	    (c->carry || (c->inside && !c->skip)))
		return REASON_split_header;
	if ((slot->flags & FLOW_split_message) &&
	    (c->carry || c->skip || c->inside) && c->skip != SKIP_forever)
		return REASON_split_message;
	return REASON_ok;
}

/* What was judged becomes the state of the stream. */
static __always_inline int stream_commit(const struct frame *f,
					 struct scratch *x,
					 struct portcullis_slot *slot,
					 struct portcullis_half *half)
{
	__u32 end = x->p.seq + x->p.payload_len;
	int reason;

	if (x->join) {
		reason = entries_join(f, x);
		if (reason != REASON_ok)
			return reason;
	}
	if (x->hashed && !x->start) {
		entry_add(slot, half, x->p.dir, x->p.seq, x->p.payload_len,
			  x->hash);
	} else {
		reason = entries_leave(f, x);
		if (reason != REASON_ok)
			return reason;
	}
	half->next = end;
	half->high = end;
	half->skip = x->c.skip;
	half->carry = x->c.carry;
	if (x->c.carry)
		words_copy(half->carry_bytes, x->c.carry_bytes, NEED_BYTES / 8);
	half->flags |= HALF_judged | HALF_synced;
	if (x->c.inside)
		half->flags |= HALF_inside;
	else
		half->flags &= ~HALF_inside;
	state_give(x, slot, half);
	return REASON_ok;
}

/* A conversation picked up in the grace: this segment may begin a message. If
 * it does, the half is followed from here on; if not, it may come once more. */
__noinline int stream_pickup(struct scratch *x, struct portcullis_slot *slot)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_half *half;
	__u64 until;

	if (!x || !slot || !g)
		return REASON_internal;
	half = &slot->half[x->p.dir & 1];
	until = slot->flags & FLOW_resync ? g->resync_until : g->grace_until;
	if (x->mode == MODE_enforce && x->now > until)
		return REASON_no_flow;
	half->carry = 0;
	half->skip = 0;
	half->flags &= HALF_scaled;
	half->next = half->acked = half->high = x->p.seq;
	x->reset_seq = x->p.seq;
	words_zero((__u64 *)half->own, OWN_BYTES / 8);
	return REASON_ok;
}

/* A FIN stands where it stood before, or behind all that was forwarded. */
static __always_inline int fin_fits(const struct portcullis_half *half,
				    __u32 at)
{
	if ((half->flags & HALF_fin) && at == half->fin)
		return 1;
	return after(at, half->high) >= 0;
}

/* Behind the end of a conversation only what the receiver has already may come
 * again, because its last acknowledgement was lost. */
static __always_inline int closed_check(const struct portcullis_half *half,
					__u32 seq, __u32 end)
{
	if (after(end, half->acked) <= 0)
		return REASON_ok;
	return seq == half->next ? REASON_closed : REASON_out_of_window;
}

/* Where the payload lies against what was judged. REASON_ok: it may pass as it
 * is, or, with x->walk set, once the bytes from payload offset x->from on have
 * been judged. */
static __always_inline int stream_place(const struct frame *f,
					struct scratch *x,
					struct portcullis_slot *slot,
					struct portcullis_half *half)
{
	__u32 seq = x->p.seq, len = x->p.payload_len, end = seq + len;
	__s32 d;
	__u64 to_judge; /* from seq to the byte where judging resumes */
	int reason;

	if (half->flags & HALF_lost)
		return REASON_not_judged;
	if (!len && !(half->flags & HALF_synced))
		return REASON_ok;
	if (!(half->flags & HALF_synced)) {
		reason = stream_pickup(x, slot);
		if (reason != REASON_ok)
			return reason;
	}
	d = after(seq, half->next);
	if (d > (__s32)FAR || d < -(__s32)FAR)
		return REASON_out_of_window;
	/* One byte beyond: a probe of a closed window, RFC 9293 §3.8.6.1. */
	if ((half->flags & HALF_edge) && after(end, half->edge) > 1)
		return REASON_out_of_window;
	if ((x->p.flags & TCP_FIN) && !fin_fits(half, end))
		return REASON_out_of_window;
	if (slot->state == SLOT_closed)
		return closed_check(half, seq, end);
	if (!len && !(x->p.flags & TCP_FIN))
		return REASON_ok;
	x->reset_seq = d > 0 ? seq : half->next;
	/* What was forwarded before, as body too, is not new: a sender may send
	 * it joined to what is, and later what is new alone. */
	x->start = after(half->high, seq) > 0 ? half->high - seq : 0;
	if (d >= 0 && (__u32)d > half->skip) {
		/* Only watched, it passes and never comes again: follow the
		 * stream anew from the next message. */
		if (x->mode != MODE_enforce) {
			half->flags &= ~HALF_synced;
			slot->flags |= FLOW_pickup;
		}
		return REASON_ahead;
	}
	if (d < 0) {
		reason = resend_check(f, x);
		if (reason != REASON_ok)
			return reason;
	}
	to_judge = half->skip == SKIP_forever ? SKIP_forever : half->skip - d;
	if (to_judge >= len) {
		if (after(end, half->high) > 0)
			half->high = end;
		/* Keep the base within reach of comparisons. */
		if (d > (__s32)REBASE) {
			half->next = seq;
			if (half->skip != SKIP_forever)
				half->skip -= (__u32)d;
		}
		return REASON_ok;
	}
	x->join = 0;
	if (entries_are_full(slot, half)) {
		if (!entries_covered(x, slot))
			return REASON_inflight_full;
		x->join = slot->entries == ENTRIES_all;
	}
	x->walk = 1;
	x->from_offset = (__u32)to_judge;
	return REASON_ok;
}

/* The walk is done: what came of it. */
static __always_inline int stream_walked(const struct frame *f,
					 struct scratch *x,
					 struct portcullis_slot *slot,
					 struct portcullis_half *half,
					 int reason)
{
	if (reason == REASON_ok)
		reason = split_check(slot, &x->c);
	if (reason == REASON_ok)
		return stream_commit(f, x, slot, half);
	/* Not yet in step with a conversation that was picked up. */
	if (!(half->flags & HALF_synced))
		return REASON_grace;
	return reason;
}

/* A FIN stands behind the payload. It is believed once it is acknowledged. */
static __always_inline void stream_fin(struct portcullis_half *half,
				       const struct packet *p)
{
	half->fin = p->seq + p->payload_len;
	half->flags |= HALF_fin;
}

static __always_inline int fin_is_acked(const struct portcullis_half *half)
{
	return (half->flags & HALF_fin) && after(half->acked, half->fin) > 0;
}

/* What stands before the data. REASON_none: go on to them. */
static __always_inline int stream_control(struct scratch *x,
					  struct portcullis_slot *slot,
					  struct portcullis_half *half,
					  struct portcullis_half *other)
{
	struct packet *p = &x->p;
	int reason;

	if (p->flags & TCP_URG)
		return REASON_bad_tcp_flags;
	if (p->flags & TCP_SYN)
		return stream_syn(x, slot);
	if (p->flags & TCP_RST)
		return stream_rst(x, slot);
	if (slot->state == SLOT_poisoned)
		return REASON_poisoned;
	if (slot->state == SLOT_opening && !(slot->flags & FLOW_pickup))
		return REASON_not_acknowledged;
	if (half_is_followed(other)) {
		reason = ack_check(other, p, half);
		if (reason != REASON_ok)
			return reason;
	}
	return REASON_none;
}

/* After data, or none, that may pass. */
static __always_inline void stream_passed(struct scratch *x,
					  struct portcullis_slot *slot,
					  struct portcullis_half *half,
					  struct portcullis_half *other)
{
	if (half_is_followed(other))
		ack_take(slot, other, !x->p.dir, &x->p, half);
	if ((x->p.flags & TCP_FIN) && (half->flags & HALF_synced))
		stream_fin(half, &x->p);
	if (fin_is_acked(half) && fin_is_acked(other))
		slot->state = SLOT_closed;
}

#endif
