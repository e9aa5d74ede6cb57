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

#include "entries.h"
#include "policy.h"

/* Positions further apart than this are never compared. */
#define FAR (1U << 30)
/* A body without end moves its base along in steps of this. */
#define REBASE (1U << 28)

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

/* ---- handshake and RST ------------------------------------------------ */

static __always_inline void half_begin(struct portcullis_slot *slot, __u32 dir,
				       __u32 isn)
{
	struct portcullis_half *half = &slot->half[dir & 1];

	half->next = half->acked = half->high = isn + 1;
	slot->rest[dir & 1].isn = isn;
	slot->rest[dir & 1].fin = 0;
	half->skip = 0;
	half->carry = 0;
	half->entries = 0;
	half->edge = 0;
	half->flags = HALF_synced;
	words_zero((__u64 *)slot->own[dir & 1], OWN_BYTES / 8);
}

/* The SYN-ACK that answers the proposal: both halves begin anew. */
static __always_inline void stream_open(struct portcullis_slot *slot,
					struct portcullis_half *caller,
					struct portcullis_half *callee,
					const struct scratch *x)
{
	const struct portcullis_ruleset *r;
	__u8 scale = caller->answers;

	half_begin(slot, !x->p.dir, (__u32)slot->rest[!x->p.dir].asked);
	half_begin(slot, x->p.dir, x->p.seq);
	words_zero((__u64 *)slot->shared, SHARED_BYTES / 8);
	entries_forget(slot);
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
	struct portcullis_rest *rest, *proposed;
	struct packet *p;

	if (!x || !slot)
		return REASON_internal;
	p = &x->p;
	half = &slot->half[p->dir & 1];
	other = &slot->half[!p->dir];
	rest = &slot->rest[p->dir & 1];
	proposed = &slot->rest[!p->dir];
	if (!(p->flags & TCP_ACK)) {
		if (p->dir != slot->client)
			return REASON_handshake;
		/* The same once more. No stack takes a number twice for the
		 * same ports: on what is over it is a late copy, which a
		 * server must not use to bring it back to life. */
		if ((half->flags & HALF_synced) && p->seq == rest->isn)
			return slot->state == SLOT_live ? REASON_ok
							: REASON_handshake;
		rest->asked = p->seq;
		half->answers = p->scale;
		half->flags |= HALF_proposal;
		return REASON_ok;
	}
	if (p->dir == slot->client)
		return REASON_handshake;
	/* The answer that opened what is followed: it came again because its
	 * acknowledgement was lost. It never opens anything anew, whatever was
	 * proposed since: it may have waited on its way. */
	if ((half->flags & HALF_synced) && p->seq == rest->isn &&
	    p->ack == proposed->isn + 1)
		return slot->state == SLOT_live ? REASON_ok : REASON_handshake;
	if ((other->flags & HALF_proposal) &&
	    p->ack == (__u32)proposed->asked + 1) {
		stream_open(slot, other, half, x);
		return REASON_ok;
	}
	return REASON_handshake;
}

/* Exact or ignored, RFC 5961 §3.2; it closes for data and frees nothing. */
__noinline int stream_rst(struct scratch *x, struct portcullis_slot *slot)
{
	struct portcullis_half *half, *other;
	struct portcullis_rest *proposed;
	struct packet *p;

	if (!x || !slot)
		return REASON_internal;
	p = &x->p;
	half = &slot->half[p->dir & 1];
	other = &slot->half[!p->dir];
	proposed = &slot->rest[!p->dir];
	if ((other->flags & HALF_proposal) && (p->flags & TCP_ACK) &&
	    p->ack == (__u32)proposed->asked + 1) {
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
		if (half->entries && after(p->ack, half->next) >= 0)
			entries_drop(slot, half, dir);
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
	walk_turn(f, x, slot);
	return x->c.done != 0;
}

DOOR_LOOP(walk_more)

/* More turns than the longest super-frame has bytes are never needed. */
#define WALK_TURNS 70000

static __always_inline void state_take(struct scratch *x,
				       const struct portcullis_slot *slot)
{
	words_copy(x->state.own, slot->own[x->p.dir & 1], OWN_BYTES / 8);
	words_copy(x->state.shared, slot->shared, SHARED_BYTES / 8);
}

static __always_inline void state_give(const struct scratch *x,
				       struct portcullis_slot *slot)
{
	words_copy(slot->own[x->p.dir & 1], x->state.own, OWN_BYTES / 8);
	words_copy(slot->shared, x->state.shared, SHARED_BYTES / 8);
}

/* One step judged it all, and the window still holds what it judged. */
__noinline int walk_hash(struct scratch *x)
{
	__u32 from, end, gso;

	if (!x)
		return 0;
	from = x->c.from;
	end = x->c.judged;
	gso = x->p.gso;
	if (gso && from / gso != (end - 1) / gso)
		return 0;
	x->hash = window_hash(&x->step, end - from);
	x->hashed = 1;
	return 0;
}

/* Judges the payload from offset `start` on. REASON_ok: all of it may pass, and
 * x->c, x->state say where the stream stands then. The first turn is inline,
 * since most segments hold one message. */
static __always_inline int walk(const struct frame *f, struct scratch *x,
				struct portcullis_slot *slot,
				struct portcullis_half *half, __u32 start)
{
	struct cursor *c = &x->c;
	int tcp = x->p.l4 == TRANSPORT_tcp;

	c->off = start;
	c->len = x->p.payload_len;
	c->skip = 0;
	c->pieces = 0;
	c->from = c->judged = start;
	c->carry = half->carry;
	c->inside = !!(half->flags & HALF_inside);
	c->whole = 0;
	c->done = 0;
	c->reason = REASON_ok;
	x->from_server = x->p.dir != slot->client;
	x->step.from_server = x->from_server;
	x->step.l4 = x->p.l4;
	x->step.quirks = slot->quirks;
	if (c->carry)
		words_copy(c->carry_bytes, slot->rest[x->p.dir & 1].carry_bytes,
			   NEED_BYTES / 8);
	state_take(x, slot);
	walk_turn(f, x, slot);
	x->hashed = 0;
	if (!c->done)
		walk_more(f, WALK_TURNS);
	else if (c->reason == REASON_ok && tcp && !half->carry)
		walk_hash(x);
	if (!c->done)
		return REASON_internal;
	return c->reason;
}

static __always_inline int split_check(const struct portcullis_slot *slot,
				       const struct cursor *c)
{
	if (c->whole)
		return REASON_ok;
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
	reason = entries_leave(f, x, slot, half);
	if (reason != REASON_ok)
		return reason;
	half->next = end;
	half->high = end;
	half->skip = x->c.skip;
	half->carry = x->c.carry;
	if (x->c.carry)
		words_copy(slot->rest[x->p.dir & 1].carry_bytes,
			   x->c.carry_bytes, NEED_BYTES / 8);
	half->flags |= HALF_judged | HALF_synced;
	if (x->c.inside)
		half->flags |= HALF_inside;
	else
		half->flags &= ~HALF_inside;
	state_give(x, slot);
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
	words_zero((__u64 *)slot->own[x->p.dir & 1], OWN_BYTES / 8);
	return REASON_ok;
}

/* A FIN stands where it stood before, or behind all that was forwarded. */
static __always_inline int fin_fits(const struct portcullis_half *half,
				    const struct portcullis_rest *rest,
				    __u32 at)
{
	if ((half->flags & HALF_fin) && at == rest->fin)
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
	if ((x->p.flags & TCP_FIN) &&
	    !fin_fits(half, &slot->rest[x->p.dir & 1], end))
		return REASON_out_of_window;
	if (slot->state == SLOT_closed)
		return closed_check(half, seq, end);
	if (!len && !(x->p.flags & TCP_FIN))
		return REASON_ok;
	x->reset_seq = d > 0 ? seq : half->next;
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
	if (entries_are_full(slot, half, x->slot)) {
		if (!entries_covered(x, slot))
			return REASON_inflight_full;
		x->join = !pool_free(slot);
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
	/* Not yet in step with a conversation that was picked up. A whole
	 * message that says what no rule allows is no matter of steps. */
	if (!(half->flags & HALF_synced) &&
	    reason != REASON_function_not_allowed &&
	    reason != REASON_unit_not_allowed &&
	    reason != REASON_argument_not_allowed)
		return REASON_grace;
	return reason;
}

/* A FIN stands behind the payload. It is believed once it is acknowledged. */
static __always_inline void stream_fin(struct portcullis_slot *slot,
				       const struct packet *p)
{
	slot->rest[p->dir & 1].fin = p->seq + p->payload_len;
	slot->half[p->dir & 1].flags |= HALF_fin;
}

static __always_inline int fin_is_acked(const struct portcullis_slot *slot,
					__u32 dir)
{
	const struct portcullis_half *half = &slot->half[dir];

	return (half->flags & HALF_fin) &&
	       after(half->acked, slot->rest[dir].fin) > 0;
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
		stream_fin(slot, &x->p);
	if (fin_is_acked(slot, 0) && fin_is_acked(slot, 1))
		slot->state = SLOT_closed;
}

#endif
