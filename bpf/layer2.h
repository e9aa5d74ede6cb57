/* SPDX-License-Identifier: GPL-2.0-only */
/* Below the conversations: frames without IP by EtherType and LLC, and the
 * small IP protocols that keep a network alive. Whatever is recognised passes
 * and is counted unless the policy says drop; the rest is refused by name.
 */
#ifndef PORTCULLIS_LAYER2_H
#define PORTCULLIS_LAYER2_H

#include "policy.h"

struct arp_packet {
	__u16 hardware;
	__u16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__u16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
} __attribute__((packed));

static __always_inline __u32 kind_by_ethertype(__u32 type)
{
	switch (type) {
#define LAYER2(id, name, preset, ethertype, title)                             \
	case (ethertype) ? (ethertype):                                        \
		0x10000 + (id) : return id;
#include <portcullis/layer2.def>
#undef LAYER2
	default:
		return LAYER2_none;
	}
}

/* 802.3: a length, then LLC. BPDUs are 42-42-03 (IEEE 802.1D). */
static __always_inline __u32 kind_by_llc(const struct frame *f,
					 const struct packet *p)
{
	__u8 *llc = header_at(f, p->l3_at, 3);

	if (llc && llc[0] == 0x42 && llc[1] == 0x42 && llc[2] == 3)
		return LAYER2_stp;
	return LAYER2_llc;
}

/* A sender may claim only an address of the side it is on. */
static __always_inline int arp_check(const struct frame *f, struct scratch *x)
{
	struct arp_packet *arp = header_at(f, x->p.l3_at, sizeof(*arp));
	const struct portcullis_place *place;
	__u32 addr[4] = { 0, 0, 0, 0 };

	if (!arp || arp->hardware != net16(1) ||
	    arp->protocol != net16(ETHERTYPE_ipv4) || arp->hardware_len != 6 ||
	    arp->protocol_len != 4)
		return REASON_arp_malformed;
	__builtin_memcpy(&addr[3], arp->sender_ip, 4);
	if (!addr[3])
		return REASON_layer2; /* a probe, RFC 5227 §2.1.1 */
	place = place_find(x->generation, 4, addr);
	if (place && place_is_spoofed(place, x->port.id))
		return REASON_spoofed;
	return REASON_layer2;
}

/* An ICMP error is believed when it quotes a packet of a live conversation that
 * its receiver sent. */
static __always_inline int quote_check(const struct frame *f, struct scratch *x)
{
	__u32 at = x->p.payload_at + 8, header, found, word, i;
	struct portcullis_slot *slot;
	struct packet *p = &x->p;
	struct ip4_header *ip4;
	struct ip6_header *ip6;
	__u16 *ports;

	if (p->family == 4) {
		ip4 = header_at(f, at, sizeof(*ip4));
		if (!ip4 || ip4->src != p->dst[3] ||
		    ip4->version_ihl >> 4 != 4 || ip4->version_ihl < 0x45)
			return REASON_bad_icmp;
		header = (ip4->version_ihl & 15) * 4;
		p->l4 = ip4->protocol;
		p->dst[3] = ip4->dst;
		p->src[3] = ip4->src;
	} else {
		ip6 = header_at(f, at, sizeof(*ip6));
		if (!ip6)
			return REASON_bad_icmp;
		header = sizeof(*ip6);
		p->l4 = ip6->next;
		for (i = 0; i < 4; i++) {
			word = ip6->src[i];
			if (word != p->dst[i])
				return REASON_bad_icmp;
			p->src[i] = word;
			p->dst[i] = ip6->dst[i];
		}
	}
	if (p->l4 != TRANSPORT_tcp && p->l4 != TRANSPORT_udp)
		return REASON_bad_icmp;
	ports = header_at(f, at + header, 4);
	if (!ports || p->payload_len < 8 + header + 4)
		return REASON_bad_icmp;
	p->sport = ports[0];
	p->dport = ports[1];
	packet_key(p, x->port.domain >> 16);
	found = flow_find(x);
	slot = slot_at(found - 1);
	if (!found || !slot || slot->state == SLOT_free)
		return REASON_bad_icmp;
	return REASON_icmp;
}

static __always_inline __u32 kind_by_icmp(const struct packet *p)
{
	__u8 type = p->type;

	if (p->l4 == L4_igmp)
		return LAYER2_igmp;
	if (p->l4 == L4_icmp) {
		if (type == 0 || type == 8)
			return LAYER2_icmp_echo;
		/* Unreachable, time exceeded, parameter problem. Redirect and
		 * source quench steer traffic and are refused. */
		if (type == 3 || type == 11 || type == 12)
			return LAYER2_icmp_error;
		return LAYER2_none;
	}
	if (p->l4 != L4_icmp6)
		return LAYER2_none;
	if (type == 128 || type == 129)
		return LAYER2_icmp_echo;
	if (type >= 1 && type <= 4)
		return LAYER2_icmp_error;
	if (type == 133 || type == 134)
		return LAYER2_router_discovery;
	if (type == 135 || type == 136)
		return LAYER2_nd;
	if ((type >= 130 && type <= 132) || type == 143)
		return LAYER2_mld;
	return LAYER2_none;
}

static __always_inline int layer2_refuses(const struct portcullis_gate *g,
					  const struct scratch *x, __u32 kind)
{
	return g->site[x->generation & 1].layer2_drop >> kind & 1;
}

static __always_inline int is_group(const struct packet *p)
{
	const __u8 *dst = (const __u8 *)p->dst;

	return p->family == 4 ? dst[12] >> 4 == 14 : dst[0] == 0xff;
}

/* As ARP: nobody advertises an address of another side (RFC 4861 §4.4). */
static __always_inline int advertised_check(const struct frame *f,
					    struct scratch *x, int reason)
{
	const struct portcullis_place *place;
	__u8 *target = header_at(f, x->p.payload_at + 8, 16);
	__u32 addr[4];

	if (!target || x->p.payload_len < 24)
		return REASON_bad_icmp;
	__builtin_memcpy(addr, target, 16);
	place = place_find(x->generation, 6, addr);
	if (place && place_is_spoofed(place, x->port.id))
		return REASON_spoofed;
	return reason == REASON_to_self ? reason : REASON_icmp;
}

static __always_inline int icmp_judge(const struct frame *f, struct scratch *x,
				      const struct portcullis_gate *g)
{
	__u8 *type = header_at(f, x->p.payload_at, 1);
	__u32 kind;
	int reason;

	if (x->p.l4 != (x->p.family == 6 ? L4_icmp6 : L4_icmp) &&
	    (x->p.l4 != L4_igmp || x->p.family == 6))
		return REASON_l4_protocol;
	if (!type || x->p.payload_len < 8)
		return REASON_bad_icmp;
	x->p.type = type ? *type : 0;
	kind = kind_by_icmp(&x->p);
	x->p.kind = kind;
	if (kind == LAYER2_none)
		return REASON_bad_icmp;
	if (layer2_refuses(g, x, kind))
		return REASON_layer2_refused;
	/* RFC 4861 §6.1, §7.1: never from beyond a router. */
	if ((kind == LAYER2_nd || kind == LAYER2_router_discovery) &&
	    x->p.ttl != 255)
		return REASON_bad_icmp;
	/* RFC 2236 §2, RFC 3376 §4, RFC 3810 §5: to a group, one hop far. */
	if ((kind == LAYER2_igmp || kind == LAYER2_mld) &&
	    (x->p.ttl != 1 || !is_group(&x->p)))
		return REASON_bad_icmp;
	reason = policy_places(x);
	if (reason == REASON_spoofed)
		return reason;
	if (kind == LAYER2_nd && x->p.type == 136)
		return advertised_check(f, x, reason);
	if (kind == LAYER2_icmp_error && reason != REASON_to_self)
		return quote_check(f, x);
	if (reason == REASON_to_self)
		return reason;
	return REASON_icmp;
}

/* Every frame that is neither TCP nor UDP over IP. */
static __always_inline int other_judge_inline(const struct frame *f,
					      struct scratch *x)
{
	const struct portcullis_gate *g = gate_get();
	__u32 kind;

	if (!g)
		return REASON_internal;
	if (x->p.family)
		return icmp_judge(f, x, g);
	if (x->p.ethertype < ETHERTYPE_least)
		kind = kind_by_llc(f, &x->p);
	else
		kind = kind_by_ethertype(x->p.ethertype);
	x->p.kind = kind;
	if (kind == LAYER2_none)
		return REASON_ethertype;
	if (layer2_refuses(g, x, kind))
		return kind == LAYER2_llc ? REASON_llc_frame
					  : REASON_layer2_refused;
	if (kind == LAYER2_arp)
		return arp_check(f, x);
	return REASON_layer2;
}

DOOR_FUNCTION(other_judge)

#endif
