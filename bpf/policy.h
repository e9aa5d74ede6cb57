/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may talk to whom: the slow path, paid once a conversation.
 */
#ifndef PORTCULLIS_POLICY_KERNEL_H
#define PORTCULLIS_POLICY_KERNEL_H

#include "flow.h"

/* An address belongs where it comes from. */
static __always_inline int place_is_spoofed(const struct portcullis_place *p,
					    __u8 port)
{
	if (p->flags & PLACE_self)
		return 1;
	/* Port 0: the question is asked from the other side. */
	return port && p->ports && !(p->ports >> (port & 63) & 1);
}

static __always_inline void place_copy(struct portcullis_place *to,
				       const struct portcullis_place *from)
{
	if (from) {
		*to = *from;
		return;
	}
	to->zone = 0;
	to->asset = 0;
	to->flags = 0;
	to->ports = 0;
}

/* Fills x->from and x->to. REASON_ok, spoofed, to_self. */
static __always_inline int policy_places(struct scratch *x)
{
	place_copy(&x->from, place_find(x->generation, x->p.family, x->p.src));
	place_copy(&x->to, place_find(x->generation, x->p.family, x->p.dst));
	if (place_is_spoofed(&x->from, x->port.id))
		return REASON_spoofed;
	if (x->to.flags & PLACE_self)
		return REASON_to_self;
	return REASON_ok;
}

/* Does the packet begin something with the gateway that rules could speak of?
 * What answers it, and what runs already, its own stack knows better: an apply
 * never cuts the session that it came through. */
static __always_inline int opens_to_self(const struct scratch *x,
					 const struct portcullis_gate *g)
{
	if (!g->site[x->generation & 1].self_ruled)
		return 0;
	if (x->p.l4 == TRANSPORT_tcp)
		return (x->p.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return x->service != 0;
}

/* The four keys from the most to the least specific; the compiler has merged
 * into each all that holds for it. Index of the ruleset, or -1. */
static __always_inline long ruleset_find(const struct scratch *x)
{
	struct portcullis_rule_key key = { .service = x->service };
	const __u32 *found;
	__u32 i;

	for (i = 0; i < 4; i++) {
		if ((!x->from.asset && i < 2) || (!x->to.asset && !(i & 1)))
			continue;
		key.from =
		    i < 2 ? ENDPOINT_asset | x->from.asset : x->from.zone;
		key.to = i & 1 ? x->to.zone : ENDPOINT_asset | x->to.asset;
		found = rule_find(x->generation, &key);
		if (found)
			return *found;
	}
	return -1;
}

/* May this packet's sender open a conversation with its receiver? Fills
 * x->service, x->ruleset, x->conduit, x->mode. */
__noinline int policy_who(struct scratch *x)
{
	const struct portcullis_gate *g = gate_get();
	const struct portcullis_ruleset *r;
	int reason, self;
	long found;

	if (!x || !g)
		return REASON_internal;
	x->conduit = 0;
	x->service = service_find(x->generation, x->p.l4, net16(x->p.dport));
	reason = policy_places(x);
	self = reason == REASON_to_self;
	if (reason != REASON_ok && !(self && opens_to_self(x, g)))
		return reason;
	if (!x->from.zone || !x->to.zone)
		return REASON_no_zone;
	if (!x->service)
		return REASON_no_service;
	found = ruleset_find(x);
	if (found < 0)
		return REASON_no_rule;
	if (self)
		return REASON_to_self;
	r = ruleset_at(x->generation, (__u32)found);
	if (!r)
		return REASON_internal;
	x->ruleset = (__u32)found;
	x->conduit = r->conduit;
	x->mode = r->mode;
	x->action = r->action;
	x->proto = r->protos[0];
	if (r->until && x->now > r->until)
		return REASON_rule_expired;
	return REASON_ok;
}

/* Puts the packet's endpoints in the order client, server, as policy_who()
 * wants them, when the packet came from the server. */
static __always_inline void packet_swap(struct packet *p)
{
	__u16 port = p->sport;
	__u32 i, word;

	p->sport = p->dport;
	p->dport = port;
	for (i = 0; i < 4; i++) {
		word = p->src[i];
		p->src[i] = p->dst[i];
		p->dst[i] = word;
	}
}

/* The policy changed under a live conversation: what it still allows goes on
 * with all its state. Called under the slot's lock; x->p is the packet in hand,
 * from either side. */
__noinline int flow_refresh(struct scratch *x, struct portcullis_slot *slot)
{
	const struct portcullis_ruleset *r;
	__u32 i, swapped;
	__u8 port;
	int reason;

	if (!x || !slot)
		return REASON_internal;
	swapped = x->p.dir != slot->client;
	port = x->port.id;
	if (swapped) {
		packet_swap(&x->p);
		/* 0, not learnt yet: any side will do for the question. */
		x->port.id = slot->half[slot->client & 1].port;
	}
	reason = policy_who(x);
	if (swapped) {
		packet_swap(&x->p);
		x->port.id = port;
	}
	if (reason != REASON_ok)
		return reason;
	r = ruleset_at(x->generation, x->ruleset);
	if (!r)
		return REASON_internal;
	for (i = 0; i < RULESET_PROTOS; i++)
		if (!slot->proto || r->protos[i] == slot->proto)
			break;
	if (i == RULESET_PROTOS) {
		/* A new connection may speak what is expected now. */
		if ((x->p.flags & TCP_SYN) == 0 || slot->state == SLOT_live)
			return REASON_protocol_withdrawn;
		slot->proto = r->protos[1] ? 0 : r->protos[0];
		i = 0;
	}
	slot->shape = r->shape[i & (RULESET_PROTOS - 1)];
	slot_rules(slot, r, x);
	/* What was only watched is judged from here on: take it up anew. */
	if (slot->mode == MODE_enforce && slot->action != ACTION_mirror &&
	    ((slot->half[0].flags | slot->half[1].flags) & HALF_lost)) {
		slot->half[0].flags &= ~(HALF_lost | HALF_synced);
		slot->half[1].flags &= ~(HALF_lost | HALF_synced);
		slot->flags |= FLOW_pickup | FLOW_resync;
	}
	return REASON_ok;
}

#endif
