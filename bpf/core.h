/* SPDX-License-Identifier: GPL-2.0-only */
/* judge(): one packet, one verdict, one reason. README.md has the picture.
 */
#ifndef PORTCULLIS_CORE_H
#define PORTCULLIS_CORE_H

#include "fast.h"
#include "reset.h"

static __always_inline int port_find(struct scratch *x, __u32 ifindex)
{
	const struct portcullis_port *port;
	__u32 i;

	for (i = 0; i < PORT_PROBES; i++) {
		port = &gate_get()->ports[(ifindex + i) % PORT_TABLE];
		if (port->ifindex == ifindex) {
			x->port = *port;
			return 1;
		}
		if (!port->ifindex)
			return 0;
	}
	return 0;
}

static __always_inline int parse_any_inline(const struct frame *f,
					    struct scratch *x)
{
	return parse_slow(f, &x->p);
}

DOOR_FUNCTION(parse_any)

static __always_inline int syn_options_inline(const struct frame *f,
					      struct scratch *x)
{
	return parse_syn_options(f, &x->p);
}

DOOR_FUNCTION(syn_options)

/* ---- finding the conversation ------------------------------------------- */

/* The hint's slot, locked, if it is the packet's: the way of every packet of an
 * established conversation. */
static __always_inline struct portcullis_slot *flow_hinted(struct scratch *x)
{
	__u64 hash = hint_hash(&x->p.key), *hint;
	struct portcullis_slot *slot;
	__u32 version, index;

	hint = hint_at(hint_place(hash, gate_get()));
	if (!hint)
		return NULL;
	index = hint_number(load_once64(hint), hash);
	if (!index)
		return NULL;
	slot = slot_at(index - 1);
	if (!slot)
		return NULL;
	version = load_once(&slot->lock);
	if ((version & 1) || !key_equal(&slot->key, &x->p.key))
		return NULL;
	if (compare_swap(&slot->lock, version, version + 1) != version)
		return NULL;
	x->slot = index;
	return slot;
}

/* Locked, or NULL and x->reason says why; REASON_none: there is none. */
static __always_inline struct portcullis_slot *flow_lookup(struct scratch *x)
{
	struct portcullis_slot *slot = flow_hinted(x);
	__u32 index;

	x->reason = REASON_none;
	if (slot)
		return slot;
	index = flow_find(x);
	if (!index)
		return NULL;
	slot = slot_at(index - 1);
	if (!slot)
		return NULL;
	x->reason = REASON_busy;
	x->slot = index;
	x->mode = slot->mode;
	x->rule = slot->rule;
	if (!slot_lock(slot))
		return NULL;
	if (key_equal(&slot->key, &x->p.key))
		return slot;
	slot_unlock(slot);
	return NULL;
}

/* A TCP segment that opens nothing: picked up while the grace lasts, else
 * answered by an RST where the policy would let the two talk, so that an honest
 * peer connects anew at once. */
static __always_inline int flow_stray(struct scratch *x,
				      const struct portcullis_gate *g)
{
	int reason = policy_who(x);
	int swapped = 0;
	__u8 port = x->port.id;

	if (reason == REASON_no_service || reason == REASON_no_rule) {
		/* The server's side, perhaps. Its own address was checked. */
		packet_swap(&x->p);
		x->port.id = 0;
		reason = policy_who(x);
		packet_swap(&x->p);
		x->port.id = port;
		swapped = 1;
	}
	if (reason != REASON_ok)
		return reason;
	if (x->mode == MODE_enforce && x->now > g->grace_until) {
		x->turn = !(x->p.flags & TCP_RST);
		return REASON_no_flow;
	}
	if (!x->p.payload_len)
		return REASON_grace;
	x->p.dir ^= swapped; /* the claim notes who is the client */
	x->slot = flow_claim(x);
	x->p.dir ^= swapped;
	return x->slot ? REASON_ok : x->reason;
}

/* The first packet of a conversation. REASON_ok: x->slot is there and locked.
 */
__noinline int flow_open(struct scratch *x)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_slot *slot;
	int reason, stray;

	if (!x || !g)
		return REASON_internal;
	stray = x->p.l4 == TRANSPORT_tcp &&
		(x->p.flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	if (stray) {
		reason = flow_stray(x, g);
		if (reason != REASON_ok)
			return reason;
	} else {
		reason = policy_who(x);
		if (reason != REASON_ok)
			return reason;
		x->slot = flow_claim(x);
		if (!x->slot)
			return x->reason;
	}
	slot = slot_at(x->slot - 1);
	if (!slot) {
		x->slot = 0;
		return REASON_internal;
	}
	if (x->p.l4 == TRANSPORT_udp || stray)
		slot->state = SLOT_live;
	if (stray)
		slot->flags |= FLOW_pickup;
	return REASON_ok;
}

/* ---- judging it -----------------------------------------------------------
 */

/* The policy of another generation, or a time that has run out. */
static __always_inline int flow_is_stale(const struct scratch *x,
					 const struct portcullis_slot *slot)
{
	return slot->generation != x->generation ||
	       (slot->until && x->now > slot->until);
}

static __always_inline void flow_poison(struct scratch *x,
					struct portcullis_slot *slot)
{
	if (x->p.l4 != TRANSPORT_tcp)
		return;
	if (x->mode != MODE_enforce || x->action == ACTION_mirror) {
		/* Both: what answers an offence is no offence of its own. */
		slot->half[0].flags |= HALF_lost;
		slot->half[1].flags |= HALF_lost;
		return;
	}
	slot->state = SLOT_poisoned;
	slot->reason = x->reason;
	flow_discount(slot);
}

/* After the verdict on a packet of a conversation, under its lock. */
static __always_inline void flow_after(struct scratch *x,
				       struct portcullis_slot *slot)
{
	__u32 kind = reason_kind_of(x->reason), before, worth;
	__u32 seen = COARSE(x->now);

	before = slot_worth(slot);
	/* One datagram proves nothing: anybody may send it. */
	if (x->reason == REASON_ok && x->p.payload_len &&
	    (x->p.l4 == TRANSPORT_tcp || x->from_server))
		slot->flags |= FLOW_verified;
	if (kind == KIND_forbidden && slot->state != SLOT_poisoned &&
	    slot->state != SLOT_closed)
		flow_poison(x, slot);
	if (kind == KIND_forbidden || kind == KIND_denied) {
		x->report = !(slot->flags & FLOW_reported);
		slot->flags |= FLOW_reported;
	}
	if (x->reason == REASON_poisoned || x->reason == REASON_closed ||
	    (kind == KIND_denied && x->p.l4 == TRANSPORT_tcp))
		x->turn = x->action == ACTION_reset && !(x->p.flags & TCP_RST);
	if (slot->state == SLOT_closed || slot->state == SLOT_poisoned) {
		flow_discount(slot);
		entries_forget(slot);
	}
	worth = slot_worth(slot);
	if (x->p.l4 == TRANSPORT_udp && !slot->half[slot->client & 1].answers) {
		worth = WORTH_closed;
		flow_discount(slot);
	}
	/* An RST or the last FIN closed it before `before` was looked at. */
	if (seen != slot->seen || worth != before ||
	    slot->state == SLOT_closed) {
		slot->seen = seen;
		flow_worth(slot, worth, x->now);
	}
}

/* The packet against its conversation; TCP and UDP meet in one walk. */
static __always_inline int flow_walk(const struct frame *f, struct scratch *x,
				     struct portcullis_slot *slot)
{
	struct portcullis_half *half = &slot->half[x->p.dir & 1];
	struct portcullis_half *other = &slot->half[!x->p.dir];
	int reason, tcp = x->p.l4 == TRANSPORT_tcp;

	x->walk = 0;
	if (tcp) {
		reason = stream_control(x, slot, half, other);
		if (reason == REASON_ok)
			side_learn(half, x);
		if (reason != REASON_none)
			return reason;
		reason = stream_place(f, x, slot, half);
	} else {
		reason = datagram_place(x, slot, half, other);
	}
	if (x->walk) {
		reason = walk(f, x, slot, half, x->from_offset);
		if (tcp)
			reason = stream_walked(f, x, slot, half, reason);
		else
			reason = datagram_walked(x, slot, half, other);
	}
	if (tcp && (reason == REASON_ok || reason == REASON_grace))
		stream_passed(x, slot, half, other);
	if (reason_kind_of(reason) == KIND_passed)
		side_learn(half, x);
	return reason;
}

/* The policy in force no longer lets it be: its mode is the policy's, not the
 * slot's, and both ends are told. */
static __always_inline void
flow_withdraw(struct scratch *x, struct portcullis_slot *slot, int reason)
{
	slot->mode = x->mode;
	if (x->mode != MODE_enforce || slot->state == SLOT_poisoned)
		return;
	slot->state = SLOT_poisoned;
	slot->reason = reason;
}

/* x->slot is locked. */
static __always_inline int flow_judge(const struct frame *f, struct scratch *x,
				      struct portcullis_slot *slot)
{
	int reason = REASON_ok;

	if (!side_fits(&slot->half[x->p.dir & 1], &slot->half[!x->p.dir], x)) {
		reason = REASON_wrong_side;
	} else if (flow_is_stale(x, slot)) {
		reason = flow_refresh(x, slot);
		if (reason != REASON_ok)
			flow_withdraw(x, slot, reason);
	}
	x->conduit = slot->conduit;
	x->mode = slot->mode;
	x->action = slot->action;
	x->proto = slot->proto;
	x->from_server = x->p.dir != slot->client;
	if (reason == REASON_ok)
		reason = flow_walk(f, x, slot);
	x->proto = slot->proto;
	x->rule = slot->rule;
	x->reason = reason;
	flow_after(x, slot);
	slot_unlock(slot);
	return reason;
}

static __always_inline int conversation_judge(const struct frame *f,
					      struct scratch *x)
{
	struct portcullis_slot *slot;
	int reason;

	packet_key(&x->p, x->port.domain >> 16);
	if (x->p.flags & TCP_SYN) {
		reason = syn_options(f, x);
		if (reason != REASON_ok)
			return reason;
	}
	slot = flow_lookup(x);
	if (!slot) {
		if (x->reason != REASON_none)
			return x->reason;
		reason = flow_open(x);
		if (reason != REASON_ok)
			return reason;
		slot = slot_at(x->slot - 1);
		if (!slot)
			return REASON_internal;
	}
	return flow_judge(f, x, slot);
}

/* `default monitor` is for what no conduit can cover: between two zones of a
 * site that enforces anything, what cannot be judged does not pass, unless the
 * conduit between them only watches. */
static __always_inline void malformed_mode(struct scratch *x)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_rule_key key = { .service = 0 };
	const __u32 *mode;

	if (!g || !x->p.family || !g->site[x->generation & 1].enforces)
		return;
	policy_places(x);
	if (!x->from.zone || !x->to.zone)
		return;
	key.from = x->from.zone;
	key.to = x->to.zone;
	mode = rule_find(x->generation, &key);
	x->mode = mode ? *mode : MODE_enforce;
}

static __always_inline int packet_judge(const struct frame *f,
					struct scratch *x)
{
	int reason;

	if (!x->generation)
		return REASON_no_policy;
	if (!port_find(x, x->ifindex))
		return REASON_not_a_port;
	if (parse_fast(f, &x->p, &reason))
		reason = parse_any(f, x);
	if (reason != REASON_ok) {
		malformed_mode(x);
		return reason;
	}
	if (x->p.family &&
	    (x->p.l4 == TRANSPORT_tcp || x->p.l4 == TRANSPORT_udp))
		return conversation_judge(f, x);
	return other_judge(f, x);
}

static __always_inline void
scratch_begin(struct scratch *x, const struct portcullis_gate *g, __u32 ifindex)
{
	x->ifindex = tracing && g->trace_ifindex ? g->trace_ifindex : ifindex;
	x->now = jiffies_now(g);
	x->generation = g->generation;
	x->mode = g->site[g->generation & 1].default_mode;
	x->action = ACTION_reset;
	x->slot = 0;
	x->rule = 0;
	x->service = 0;
	x->conduit = 0;
	x->turn = 0;
	x->proto = PROTO_unknown;
	x->function = FUNCTION_none;
	x->unit = 0;
	x->from_server = 0;
	x->report = 0;
	x->from.zone = x->from.asset = 0;
	x->to.zone = x->to.asset = 0;
	x->p.family = 0;
	x->p.l4 = 0;
	x->p.flags = 0;
	x->p.kind = LAYER2_none;
	x->p.frame_len = 0;
	x->p.payload_at = 0;
}

static __always_inline void trace_write(const struct scratch *x)
{
	struct portcullis_trace *t = trace_get();

	if (!t)
		return;
	t->slot = x->slot;
	t->reason = x->reason;
	t->verdict = x->verdict;
	t->would = x->would;
	t->proto = x->proto;
	t->function = x->function;
	t->from_server = x->from_server;
	t->turned = x->turn;
	t->l4 = x->p.l4;
	t->service = x->service;
	t->conduit = x->conduit;
	t->rule = x->rule;
}

/* Counts, reports and rewrites what is not simply passed. */
static __always_inline void refuse(const struct frame *f, struct scratch *x,
				   __u32 kind)
{
	if (kind == KIND_denied || kind == KIND_forbidden)
		count_violation(x);
	if (!x->slot && kind != KIND_postponed && kind != KIND_implausible)
		x->report = 1;
	if (x->report)
		report_event(f, x);
	if (x->verdict == VERDICT_reset && reset_make(f, x)) {
		x->verdict = VERDICT_drop;
		x->turn = 0;
	}
}

/* The verdict on the frame; x->turn: it goes back where it came from. */
static __always_inline __u8 judge(const struct frame *f, struct scratch *x,
				  __u32 ifindex)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_counts *n = counts_get();
	__u32 kind;

	if (!g || !n)
		return VERDICT_drop;
	if (x->in_use) {
		n->reason[REASON_scratch_busy][VERDICT_drop]++;
		return VERDICT_drop;
	}
	x->in_use = 1;
	scratch_begin(x, g, ifindex);
	x->reason = packet_judge(f, x);
	kind = reason_kind_of(x->reason);
	if (kind == KIND_passed) {
		x->would = x->verdict = VERDICT_pass;
		x->turn = 0;
		if (x->p.kind)
			n->layer2[x->p.kind & (LAYER2_max - 1)]++;
	} else {
		x->would = verdict_enforced(x, kind);
		x->verdict = verdict_of(x, kind);
		if (x->verdict != VERDICT_reset)
			x->turn = 0;
		refuse(f, x, kind);
	}
	count_packet(x);
	if (tracing)
		trace_write(x);
	x->in_use = 0;
	return x->verdict;
}

#endif
