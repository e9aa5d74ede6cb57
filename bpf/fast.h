/* SPDX-License-Identifier: GPL-2.0-only */
/* The commonest segments in one straight line: of an established conversation
 * that its hint finds, and holding nothing, body alone, or one Modbus message
 * that modbus_fast() knows.
 *
 * It decides on what it has read of the slot under one version and takes the
 * lock only to write the outcome, which is a dozen stores. When somebody else
 * was at the slot meanwhile, or anything is out of the common, it says no and
 * has changed nothing: the long way (core.h) judges the packet from the start.
 * It may pass nothing, and leave nothing in the slot, that the long way would
 * not: tests/property_test runs every schedule both ways and compares.
 */
#ifndef PORTCULLIS_FAST_H
#define PORTCULLIS_FAST_H

#include "report.h"

/* What is about to be written into the slot. */
struct outcome {
	struct modbus_shared shared;
	__u32 hash;
	__u32 judged; /* bytes, 0: none */
	__u32 rule;
	__u8 function;
	__u8 class;
	__u8 row;
};

/* All that modbus_fast() may have changed. */
static __always_inline void fast_remember(struct portcullis_slot *slot,
					  const struct modbus_shared *now)
{
	struct modbus_shared *shared = (struct modbus_shared *)slot->shared;

	shared->asked[0] = now->asked[0];
	shared->length[0] = now->length[0];
}

/* `place` is the bit of a free place in the slot. */
static __always_inline void fast_entry(struct portcullis_slot *slot,
				       __u64 place, __u32 first,
				       const struct outcome *o)
{
	__u32 i = lowest_bit(place);

	if (i >= SLOT_ENTRIES)
		return;
	slot->entry[SLOT_ENTRIES - 1 - i].first = first;
	slot->entry[SLOT_ENTRIES - 1 - i].hash = o->hash;
	slot->entry_len[i] = o->judged;
}

#define FLAGS_followed                                                         \
	(HALF_synced | HALF_scaled | HALF_edge | HALF_fin | HALF_lost)

/* Both directions followed, neither at its end. */
static __always_inline int fast_half(const struct portcullis_half *half)
{
	return (half->flags & FLAGS_followed) ==
	       (HALF_synced | HALF_scaled | HALF_edge);
}

/* Two words of the payload, which has more than eight bytes; what lies behind
 * `len` reads as zero. The second is the end of the word that ends with the
 * payload, if that comes before its own. */
static __always_inline int fast_words(const struct frame *f, __u32 at,
				      __u32 len, __u64 w[2])
{
	unsigned char *p = frame_data(f), *end = frame_end(f), *q;
	__s64 over = (__s64)unpredicted(len) - 16;
	__u64 missing = -(over & over >> 63);

	if (at > 1024)
		return 0;
	p += at;
	q = p + (8 - (missing & 7));
	if (q + 8 > end || p + 8 > end)
		return 0;
	w[0] = load64(p);
	w[1] = load64(q) >> (missing & 7) * 8;
	return 1;
}

/* One Modbus message, whole and alone in the segment. */
static __always_inline int fast_modbus(const struct frame *f,
				       const struct portcullis_slot *slot,
				       const struct packet *p,
				       struct outcome *ret)
{
	const struct hash_key *k = hash_key_get();
	struct step s;
	__u64 w[2];

	if (!k || p->payload_len < 9 || p->payload_len > 260 ||
	    !fast_words(f, p->payload_at, p->payload_len, w))
		return 0;
	__builtin_memcpy(s.bytes, w, sizeof(w));
	__builtin_memcpy(&ret->shared, slot->shared, sizeof(ret->shared));
	s.have = p->payload_len;
	s.from_server = (p->dir ^ slot->client) & 1;
	if (!modbus_fast(&s, &ret->shared) || s.n + s.skip != p->payload_len)
		return 0;
	ret->function = s.function;
	ret->class = s.class;
	ret->judged = s.n;
	w[1] &= ~0ULL >> (128 - s.n * 8);
	ret->hash =
	    nh_fold(nh_word(w[0], k->word[0]) + nh_word(w[1], k->word[1]), s.n);
	return 1;
}

/* The function is one that a rule allows without looking further. */
static __always_inline int fast_rule(const struct portcullis_slot *slot,
				     struct outcome *ret)
{
	const struct portcullis_shape *shape;
	const struct portcullis_ruleset *r;

	shape = shape_at(slot->generation, slot->shape);
	if (!shape)
		return 0;
	ret->row = shape->rule[ret->function];
	if (ret->row == slot->row && ret->row)
		return 1;
	if (!ret->row || ret->row == SHAPE_ask)
		return 0;
	r = ruleset_at(slot->generation, slot->ruleset);
	if (!r)
		return 0;
	ret->rule = r->rule[(ret->row - 1) & (RULESET_RULES - 1)];
	return 1;
}

/* The slot that the hint names, as it stands under *ret_version. */
static __always_inline struct portcullis_slot *
fast_slot(const struct packet *p, __u32 *ret_version, __u32 *ret_index)
{
	__u32 *hint = hint_at(hint_hash(&p->key) & hint_mask), index;
	struct portcullis_slot *slot;

	if (!hint)
		return NULL;
	index = load_once(hint);
	slot = slot_at(index - 1);
	if (!index || !slot)
		return NULL;
	*ret_version = load_acquire(&slot->lock);
	*ret_index = index;
	if ((*ret_version & 1) || !key_equal(&slot->key, &p->key))
		return NULL;
	return slot;
}

static __always_inline void fast_trace(const struct portcullis_slot *slot,
				       __u32 index, __u32 rule, int dir)
{
	struct portcullis_trace *t = trace_get();

	if (!t)
		return;
	t->slot = index;
	t->reason = REASON_ok;
	t->verdict = t->would = VERDICT_pass;
	t->proto = slot->proto;
	t->function = FUNCTION_none;
	t->from_server = dir != slot->client;
	t->turned = 0;
	t->l4 = TRANSPORT_tcp;
	t->service = 0;
	t->conduit = slot->conduit;
	t->rule = rule;
}

static __always_inline void fast_count(struct portcullis_counts *n,
				       const struct outcome *o, __u32 bytes)
{
	struct portcullis_rule_count *r = rule_count_at(o->rule);

	n->reason[REASON_ok][VERDICT_pass]++;
	n->bytes[VERDICT_pass] += bytes;
	if (o->judged)
		n->message[PROTO_modbus][o->class & (CLASS_max - 1)]++;
	if (!r)
		return;
	r->packets++;
	r->bytes += bytes;
}

/* 1: it passes, and *ret_peer is the port it goes out by, 0 on the kernel way.
 * 0: the long way decides. */
static __always_inline int fast_pass(const struct frame *f, __u32 ifindex,
				     __u32 *ret_peer)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_counts *n = counts_get();
	const struct portcullis_port *port;
	struct portcullis_half *half, *other;
	struct portcullis_slot *slot;
	struct outcome o;
	struct packet p;
	__u32 version = 0, index = 0, len, end, edge, ahead;
	__u64 room, drop = 0, now;
	int reason, grown, granted, higher;

	if (!g || !n || !fast_allowed)
		return 0;
	/* Compilers move about what was never set, and the verifier minds. */
	__builtin_memset(&p, 0, sizeof(p));
	__builtin_memset(&o, 0, sizeof(o));
	if (tracing && g->trace_ifindex)
		ifindex = g->trace_ifindex;
	port = port_at(ifindex % PORT_TABLE);
	if (!port || port->ifindex != ifindex)
		return 0;
	if (parse_fast(f, &p, &reason) || reason != REASON_ok ||
	    p.l4 != TRANSPORT_tcp || p.gso ||
	    (p.flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_URG)))
		return 0;
	packet_key(&p, port->domain >> 16);
	now = jiffies_now(g);
	slot = fast_slot(&p, &version, &index);
	if (!slot || slot->state != SLOT_live ||
	    slot->generation != g->generation || (slot->flags & FLOW_timed) ||
	    slot->seen != COARSE(now))
		return 0;
	half = &slot->half[p.dir & 1];
	other = &slot->half[!p.dir];
	if (!fast_half(half) || !fast_half(other) || half->port != port->id ||
	    half->vlan != (port->forward == FORWARD_wire ? 0 : p.vlan))
		return 0;

	/* An acknowledgement of what was forwarded, and none of the past. */
	if (after(p.ack, other->high) > 0 || after(p.ack, other->acked) < 0)
		return 0;
	len = p.payload_len;
	end = p.seq + len;
	ahead = p.seq - half->next;
	if (after(end, half->edge) > 0)
		return 0;
	o.rule = slot->rule;
	o.judged = 0;
	o.row = slot->row;
	if (!len) {
		if (ahead + FAR > 2 * FAR)
			return 0;
	} else if (!(slot->flags & FLOW_verified)) {
		return 0;
	} else if (half->skip) {
		if (ahead > REBASE || (__u64)ahead + len > half->skip)
			return 0;
	} else {
		if (ahead || slot->proto != PROTO_modbus || half->carry ||
		    half->entries >= HALF_ENTRIES ||
		    (half->flags & (HALF_inside | HALF_judged)) != HALF_judged)
			return 0;
		if (!fast_modbus(f, slot, &p, &o) || !fast_rule(slot, &o))
			return 0;
	}
	grown = p.ack != other->acked;
	if (grown && other->entries && after(p.ack, other->next) >= 0) {
		if (slot->annex)
			return 0;
		drop = entries_of(slot, !p.dir);
	}
	/* What is acknowledged makes room, but is not counted on: the long way
	 * takes it only afterwards. */
	if (o.judged && !(~slot->entries & PLACES_slot))
		return 0;
	room = (~slot->entries | drop) & PLACES_slot;
	room &= -room;
	edge = p.ack + ((__u32)p.window << (half->scale & 15));
	granted = after(edge, other->edge) > 0;
	higher = len && after(end, half->high) > 0;

	if (grown || granted || higher) {
		if (compare_swap(&slot->lock, version, version + 1) != version)
			return 0;
		if (grown)
			other->acked = p.ack;
		if (granted)
			other->edge = edge;
		if (higher)
			half->high = end;
		if (drop)
			other->entries = 0;
		if (drop || o.judged)
			slot->entries =
			    (slot->entries & ~drop) | (o.judged ? room : 0);
		if (o.judged) {
			half->next = end;
			slot->entries_hi =
			    (slot->entries_hi & ~room) | (room & -(__u64)p.dir);
			half->entries++;
			fast_entry(slot, room, p.seq, &o);
			slot->rule = o.rule;
			slot->row = o.row;
			fast_remember(slot, &o.shared);
		}
		store_release(&slot->lock, version + 2);
	} else if (load_acquire(&slot->lock) != version) {
		return 0;
	}
	fast_count(n, &o, p.frame_len);
	if (tracing)
		fast_trace(slot, index, o.rule, p.dir);
	*ret_peer = port->forward == FORWARD_wire ? port->peer : 0;
	return 1;
}

#endif
