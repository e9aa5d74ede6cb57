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

/* Who talks to whom: enough to find the conversation. */
struct tuple {
	__u32 src; /* network */
	__u32 dst;
	__u32 ports; /* network, source port first in memory */
	__u32 vlan;
	__u32 l3_at;
};

/* A TCP segment over IPv4 as far as this file needs it. Host byte order. */
struct segment {
	__u32 seq;
	__u32 ack;
	__u32 window;
	__u32 at; /* of the payload in the frame */
	__u32 len;
	__u32 frame_len;
};

/* What a judged message leaves behind. */
struct outcome {
	struct modbus_shared shared;
	__u32 hash;
	__u32 judged; /* bytes */
	__u32 rule;
	__u8 function;
	__u8 class;
	__u8 row;
};

/* Two or four fields at once, as little endian has them. */
struct word32 {
	__u32 fields;
} WIRE_LAYOUT;

static __always_inline __u32 word32(const void *p)
{
	return ((const struct word32 *)p)->fields;
}

/* The address of a value is kept, and not computed anew at every use. */
#define KEPT(p) asm volatile("" : "+r"(p))

/* TCP over IPv4 behind at most one tag, headers directly readable. */
static __always_inline int fast_tuple(const struct frame *f, struct tuple *ret)
{
	unsigned char *data = frame_data(f), *end = frame_end(f);
	struct eth_header *eth = (void *)data;
	struct ip4_header *ip;
	struct vlan_tag *tag;
	__u16 type;

	if (data + sizeof(*eth) + sizeof(*tag) + sizeof(*ip) +
		    sizeof(struct tcp_header) >
		end ||
	    frame_tag_beside(f) != 0xffff || frame_gso(f))
		return 0;
	type = eth->type;
	ret->vlan = 0;
	ret->l3_at = sizeof(*eth);
	if (type == net16(ETHERTYPE_vlan)) {
		tag = (void *)(data + sizeof(*eth));
		ret->vlan = net16(tag->tci) & 0xfff;
		ret->l3_at += sizeof(*tag);
		type = tag->type;
	}
	ip = (void *)(data + ret->l3_at);
	if (type != net16(ETHERTYPE_ipv4) || ip->version_ihl != 0x45 ||
	    ip->protocol != TRANSPORT_tcp || ip->src == ip->dst)
		return 0;
	ret->src = ip->src;
	ret->dst = ip->dst;
	ret->ports = word32(ip + 1);
	return 1;
}

/* The rest of what the headers say, read when it is needed: not a fragment; an
 * acknowledgement with or without PSH. */
static __always_inline int fast_segment(const struct frame *f, __u32 l3_at,
					struct segment *ret)
{
	unsigned char *data = frame_data(f), *end = frame_end(f);
	struct ip4_header *ip = (void *)(data + (l3_at & 31));
	struct tcp_header *tcp = (void *)(ip + 1);
	__u32 total, header;

	if ((unsigned char *)(tcp + 1) > end)
		return 0;
	total = net16(ip->total_len);
	header = tcp->off >> 2 & 0x3c;
	ret->frame_len = end - data;
	if ((ip->frag & net16(0x3fff)) || total > ret->frame_len - l3_at ||
	    header < sizeof(*tcp) || total < sizeof(*ip) + header ||
	    (tcp->flags & (0x3f & ~TCP_PSH)) != TCP_ACK)
		return 0;
	ret->seq = net32(tcp->seq);
	ret->ack = net32(tcp->ack);
	ret->window = net16(tcp->window);
	ret->at = l3_at + sizeof(*ip) + header;
	ret->len = total - sizeof(*ip) - header;
	return 1;
}

/* As packet_key() has it. */
static __always_inline __u32 fast_domain(const struct portcullis_port *port,
					 __u32 vlan)
{
	__u32 wire = port->domain >> 16;

	return wire ? (wire & 0x3f) << 24 | vlan : 0;
}

/* The slot that the hint names: its number, or 0. */
static __always_inline __u32 fast_number(const struct tuple *t, __u32 domain,
					 const struct portcullis_gate *g)
{
	__u64 h = hint_of(t->src ^ t->dst, (__u64)t->src + t->dst,
			  (t->ports & 0xffff) + (t->ports >> 16), domain);
	const __u64 *hint = hint_at(hint_place(h, g));

	return hint ? hint_number(load_once64(hint), h) : 0;
}

/* The conversation is the packet's; *ret_dir is the direction. Which of the two
 * it is, no predictor knows: no branch hangs on it. */
static __always_inline int fast_is(const struct portcullis_slot *slot,
				   const struct tuple *t, __u32 domain,
				   __u64 *ret_dir)
{
	const struct portcullis_key *k = &slot->key;
	__u32 ports = word32(&k->lo_port);
	__u32 turned = t->ports << 16 | t->ports >> 16;
	__u64 up = (t->src ^ k->lo_addr[3]) | (t->dst ^ k->hi_addr[3]) |
		   (t->ports ^ ports);
	__u64 down = (t->src ^ k->hi_addr[3]) | (t->dst ^ k->lo_addr[3]) |
		     (turned ^ ports);

	*ret_dir = (down - 1) >> 63;
	return ((up - 1) | (down - 1)) >> 63 && k->domain_l4 == domain;
}

/* ---- the message ------------------------------------------------------- */

/* Two words of the payload, which has more than eight bytes; what lies behind
 * `len` reads as zero. The second is the end of the word that ends with the
 * payload, if that comes before its own. */
static __always_inline int fast_words(const struct frame *f, __u32 at,
				      __u32 len, __u64 w[2])
{
	unsigned char *p = frame_data(f), *end = frame_end(f), *q;
	__s64 over = (__s64)unpredicted(len) - 16;
	__u64 missing = unpredicted(-(over & over >> 63));

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
				       const struct segment *p, __u64 dir,
				       struct outcome *ret)
{
	const __u64 *key = gate_get()->hash_key;
	struct step s;
	__u64 w[2];

	if (p->len < 9 || p->len > 260 || !fast_words(f, p->at, p->len, w))
		return 0;
	__builtin_memcpy(s.bytes, w, sizeof(w));
	__builtin_memcpy(&ret->shared, slot->shared, sizeof(ret->shared));
	s.have = p->len;
	s.from_server = (dir ^ slot->client) & 1;
	if (!modbus_fast(&s, &ret->shared) || s.n + s.skip != p->len)
		return 0;
	ret->function = s.function;
	ret->class = s.class;
	ret->judged = s.n;
	w[1] &= ~0ULL >> (128 - s.n * 8);
	ret->hash = nh_fold(nh_word(w[0], key[0]) + nh_word(w[1], key[1]), s.n);
	return 1;
}

/* The function is one that a rule allows without looking further. */
static __always_inline int fast_rule(const struct portcullis_slot *slot,
				     struct outcome *ret)
{
	const struct portcullis_shape *shape;
	const struct portcullis_ruleset *r;

	ret->rule = slot->rule;
	ret->row = slot->row;
	if (ret->row && ret->function == slot->said)
		return 1;
	shape = shape_at(slot->generation, slot->shape);
	if (!shape)
		return 0;
	ret->row = shape->rule[ret->function];
	if (!ret->row || ret->row == SHAPE_ask)
		return 0;
	r = ruleset_at(slot->generation, slot->ruleset);
	if (!r)
		return 0;
	ret->rule = r->rule[(ret->row - 1) & (RULESET_RULES - 1)];
	return 1;
}

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
	/* De Bruijn: each bit of 16 moves another nibble to the top. */
	__u32 i =
	    0xcd7ea84fb6935210ULL >> ((place * 0x9af >> 12 & 15) * 4) & 15;

	if (i >= SLOT_ENTRIES)
		return;
	slot->entry[SLOT_ENTRIES - 1 - i].first = first;
	slot->entry[SLOT_ENTRIES - 1 - i].hash = o->hash;
	slot->entry_len[i] = o->judged;
}

/* ---- counters ------------------------------------------------------------ */

static __always_inline void fast_trace(const struct portcullis_slot *slot,
				       __u32 index, __u32 rule, __u64 dir)
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

/* `class` of the Modbus message, CLASS_none: there was none. */
static __always_inline void fast_count(__u32 rule, __u32 bytes, __u32 class)
{
	struct portcullis_counts *n = counts_get();
	struct portcullis_rule_count *r = rule_count_at(rule);

	if (!n || !r)
		return;
	n->reason[REASON_ok][VERDICT_pass]++;
	n->bytes[VERDICT_pass] += bytes;
	if (class)
		n->message[PROTO_modbus][class & (CLASS_max - 1)]++;
	r->packets++;
	r->bytes += bytes;
}

/* ---- the slot --------------------------------------------------------------
 */

/* State, client, protocol and flags of a slot in one word; VLAN, port and flags
 * of a half in another. */
#define SLOT_word(state, proto, flags)                                         \
	((__u32)(state) | (__u32)(proto) << 16 | (__u32)(flags) << 24)
#define HALF_word(vlan, port, flags)                                           \
	((__u32)(vlan) | (__u32)(port) << 16 | (__u32)(flags) << 24)
#define FLAGS_followed                                                         \
	(HALF_synced | HALF_scaled | HALF_edge | HALF_fin | HALF_lost)
#define FLAGS_good (HALF_synced | HALF_scaled | HALF_edge)
_Static_assert(__builtin_offsetof(struct portcullis_slot, flags) -
			   __builtin_offsetof(struct portcullis_slot, state) ==
		       3 &&
		   __builtin_offsetof(struct portcullis_half, flags) -
			   __builtin_offsetof(struct portcullis_half, vlan) ==
		       3,
	       "words of fast.h");

/* A slot that stands as the policy left it, both halves followed and neither at
 * its end, and the segment from the side where its sender is. */
static __always_inline int fast_fits(const struct portcullis_slot *slot,
				     const struct portcullis_half *half,
				     const struct portcullis_half *other,
				     const struct portcullis_gate *g,
				     __u32 side)
{
	__u32 state = word32(&slot->state);

	return !(
	    (state & SLOT_word(0xff, 0, FLOW_timed)) !=
		SLOT_word(SLOT_live, 0, 0) ||
	    slot->generation != g->generation ||
	    (word32(&half->vlan) & HALF_word(0xffff, 0xff, FLAGS_followed)) !=
		(side | HALF_word(0, 0, FLAGS_good)) ||
	    (word32(&other->vlan) & HALF_word(0, 0, FLAGS_followed)) !=
		HALF_word(0, 0, FLAGS_good));
}

/* The acknowledgement has passed everything: these entries go. */
static __always_inline __u64 fast_drop(const struct portcullis_slot *slot,
				       const struct portcullis_half *other,
				       const struct segment *p, __u64 dir)
{
	if (!other->entries || after(p->ack, other->next) < 0)
		return 0;
	return entries_of(slot, !dir);
}

/* A message that begins where judging resumes. 1: it was judged, it may pass
 * and the slot says so. */
static __always_inline int
fast_message(const struct frame *f, struct portcullis_slot *slot,
	     struct portcullis_half *half, struct portcullis_half *other,
	     const struct segment *p, __u64 dir, __u32 version, __u32 *ret_rule,
	     __u32 *ret_class)
{
	__u32 edge = p->ack + (p->window << (half->scale & 15));
	__u64 room, drop, used;
	struct outcome o;

	/* `carry` and `entries` */
	if (half->carry || half->entries >= HALF_ENTRIES ||
	    (half->flags & (HALF_inside | HALF_judged)) != HALF_judged ||
	    (word32(&slot->state) & SLOT_word(0, 0xff, FLOW_verified)) !=
		SLOT_word(0, PROTO_modbus, FLOW_verified))
		return 0;
	__builtin_memset(&o, 0, sizeof(o));
	if (!fast_modbus(f, slot, p, dir, &o) || !fast_rule(slot, &o))
		return 0;
	used = slot->entries;
	drop = fast_drop(slot, other, p, dir);
	/* What is acknowledged makes room, but is not counted on: the long way
	 * takes it only afterwards. */
	if (!(~used & PLACES_slot) || (drop && slot->annex))
		return 0;
	used &= ~drop;
	room = ~used & PLACES_slot;
	room &= -room;
	if (compare_swap(&slot->lock, version, version + 1) != version)
		return 0;
	other->acked = p->ack;
	if (after(edge, other->edge) > 0)
		other->edge = edge;
	if (drop)
		other->entries = 0;
	half->next = half->high = p->seq + p->len;
	half->entries++;
	slot->entries = used | room;
	slot->entries_hi = (slot->entries_hi & ~room) | (room & -dir);
	fast_entry(slot, room, p->seq, &o);
	slot->rule = o.rule;
	slot->row = o.row;
	slot->said = o.function;
	fast_remember(slot, &o.shared);
	store_release(&slot->lock, version + 2);
	*ret_rule = o.rule;
	*ret_class = o.class;
	return 1;
}

/* An acknowledgement, or body. */
static __always_inline int fast_body(struct portcullis_slot *slot,
				     struct portcullis_half *half,
				     struct portcullis_half *other,
				     const struct segment *p, __u64 dir,
				     __u32 version)
{
	__u32 ahead = p->seq - half->next, end = p->seq + p->len;
	__u32 edge = p->ack + (p->window << (half->scale & 15));
	int grown, granted, higher;
	__u64 drop = 0;

	if (!p->len) {
		if (ahead + FAR > 2 * FAR)
			return 0;
	} else if (!(slot->flags & FLOW_verified) || ahead > REBASE ||
		   (__u64)ahead + p->len > half->skip) {
		return 0;
	}
	grown = p->ack != other->acked;
	if (grown)
		drop = fast_drop(slot, other, p, dir);
	if (drop && slot->annex)
		return 0;
	granted = after(edge, other->edge) > 0;
	higher = p->len && after(end, half->high) > 0;
	if (!grown && !granted && !higher)
		return load_acquire(&slot->lock) == version;
	if (compare_swap(&slot->lock, version, version + 1) != version)
		return 0;
	other->acked = p->ack;
	if (granted)
		other->edge = edge;
	if (higher)
		half->high = end;
	if (drop) {
		slot->entries &= ~drop;
		other->entries = 0;
	}
	store_release(&slot->lock, version + 2);
	return 1;
}

/* 1: it passes, and *ret_peer is the port it goes out by, 0 on the kernel way.
 * 0: the long way decides. */
static __always_inline int fast_pass(const struct frame *f, __u32 ifindex,
				     __u32 *ret_peer)
{
	const struct portcullis_gate *g = gate_get();
	const struct portcullis_port *port;
	struct portcullis_half *half, *other;
	__u32 version, number, rule, side, domain, class = CLASS_none;
	struct portcullis_slot *slot;
	struct segment p;
	struct tuple t;
	__u64 dir;

	if (!fast_allowed)
		return 0;
	if (tracing && g->trace_ifindex)
		ifindex = g->trace_ifindex;
	/* Compilers move about what was never set, and the verifier minds. */
	__builtin_memset(&t, 0, sizeof(t));
	__builtin_memset(&p, 0, sizeof(p));
	port = &g->ports[ifindex % PORT_TABLE];
	if (port->ifindex != ifindex || !fast_tuple(f, &t))
		return 0;
	domain = fast_domain(port, t.vlan);
	number = fast_number(&t, domain, g);
	slot = slot_at(number - 1);
	if (!number || !slot)
		return 0;
	if (slot->seen != COARSE(jiffies_now(g)))
		return 0;
	version = load_acquire(&slot->lock);
	if ((version & 1) || !fast_is(slot, &t, domain, &dir) ||
	    !fast_segment(f, t.l3_at, &p))
		return 0;
	half = &slot->half[dir];
	other = &slot->half[dir ^ 1];
	KEPT(half);
	KEPT(other);
	side =
	    HALF_word(port->forward == FORWARD_wire ? 0 : t.vlan, port->id, 0);
	if (!fast_fits(slot, half, other, g, side))
		return 0;
	/* An acknowledgement of what was forwarded, and none of the past; and
	 * nothing beyond the window. */
	if (after(p.ack, other->high) > 0 || after(p.ack, other->acked) < 0 ||
	    after(p.seq + p.len, half->edge) > 0)
		return 0;
	rule = slot->rule;
	if (p.len && p.seq == half->next && !half->skip) {
		if (!fast_message(f, slot, half, other, &p, dir, version, &rule,
				  &class))
			return 0;
	} else if (!fast_body(slot, half, other, &p, dir, version)) {
		return 0;
	}
	fast_count(rule, p.frame_len, class);
	if (tracing)
		fast_trace(slot, number, rule, dir);
	*ret_peer = port->forward == FORWARD_wire ? port->peer : 0;
	return 1;
}

#endif
