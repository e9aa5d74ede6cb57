/* SPDX-License-Identifier: GPL-2.0-only */
/* Ethernet, VLAN, IPv4, IPv6, TCP, UDP: bytes to struct packet, once, in host
 * order. Every length that lies has a reason of its own. The common form (at
 * most one tag, IPv4 without options) is inline; all else is one function that
 * the verifier sees once.
 */
#ifndef PORTCULLIS_PACKET_H
#define PORTCULLIS_PACKET_H

#include "hash.h"

#define ETHERTYPE_ipv4 0x0800
#define ETHERTYPE_ipv6 0x86dd
#define ETHERTYPE_vlan 0x8100
#define ETHERTYPE_qinq 0x88a8
#define ETHERTYPE_least 0x0600 /* below: an 802.3 length */

struct eth_header {
	__u8 dst[6];
	__u8 src[6];
	__u16 type; /* network */
} WIRE_LAYOUT;

struct vlan_tag {
	__u16 tci;
	__u16 type;
} WIRE_LAYOUT;

struct ip4_header {
	__u8 version_ihl;
	__u8 tos;
	__u16 total_len;
	__u16 id;
	__u16 frag;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__u32 src;
	__u32 dst;
} WIRE_LAYOUT;

struct ip6_header {
	__u32 version_class_flow;
	__u16 payload_len;
	__u8 next;
	__u8 hop_limit;
	__u32 src[4];
	__u32 dst[4];
} WIRE_LAYOUT;

struct tcp_header {
	__u16 sport;
	__u16 dport;
	__u32 seq;
	__u32 ack;
	__u8 off;
	__u8 flags;
	__u16 window;
	__u16 check;
	__u16 urgent;
} WIRE_LAYOUT;

struct udp_header {
	__u16 sport;
	__u16 dport;
	__u16 len;
	__u16 check;
} WIRE_LAYOUT;

enum { L4_icmp = 1, L4_igmp = 2, L4_icmp6 = 58 };

static __always_inline __u16 net16(__u16 x)
{
	return __builtin_bswap16(x);
}

static __always_inline __u32 net32(__u32 x)
{
	return __builtin_bswap32(x);
}

/* The header of `size` bytes at `at`, NULL when it is not directly readable.
 * `at` stays small, which the verifier wants to see. */
static __always_inline void *header_at(const struct frame *f, __u32 at,
				       __u32 size)
{
	unsigned char *p = frame_data(f);

	if (at > 1024)
		return NULL;
	p += at;
	if (p + size > (unsigned char *)frame_end(f))
		return NULL;
	return p;
}

/* Null, Xmas, SYN with FIN or RST: no honest stack sends these. */
static __always_inline int flags_are_odd(__u8 flags)
{
	if (flags & TCP_SYN)
		return flags & (TCP_FIN | TCP_RST);
	if (flags & TCP_RST)
		return flags & TCP_FIN;
	return !(flags & TCP_ACK);
}

static __always_inline int parse_tcp(const struct frame *f, struct packet *p,
				     __u32 l4_len)
{
	struct tcp_header *t = header_at(f, p->l4_at, sizeof(*t));
	__u32 header;

	if (!t || l4_len < sizeof(*t))
		return REASON_bad_tcp_header;
	header = (t->off >> 4) * 4;
	if (header < sizeof(*t) || header > l4_len)
		return REASON_bad_tcp_header;
	p->sport = t->sport;
	p->dport = t->dport;
	p->seq = net32(t->seq);
	p->ack = net32(t->ack);
	p->flags = t->flags & 0x3f;
	p->window = net16(t->window);
	p->payload_at = p->l4_at + header;
	p->payload_len = l4_len - header;
	if (flags_are_odd(p->flags))
		return REASON_bad_tcp_flags;
	if ((p->flags & TCP_SYN) && p->payload_len)
		return REASON_syn_data;
	return REASON_ok;
}

static __always_inline int parse_udp(const struct frame *f, struct packet *p,
				     __u32 l4_len)
{
	struct udp_header *u = header_at(f, p->l4_at, sizeof(*u));

	/* What lies behind the UDP length is seen by some readers only. */
	if (!u || l4_len < sizeof(*u) || net16(u->len) != l4_len)
		return REASON_bad_udp_length;
	p->sport = u->sport;
	p->dport = u->dport;
	p->flags = 0;
	p->payload_at = p->l4_at + sizeof(*u);
	p->payload_len = l4_len - sizeof(*u);
	return REASON_ok;
}

static __always_inline int parse_l4(const struct frame *f, struct packet *p,
				    __u32 l4_len)
{
	if (p->l4 == TRANSPORT_tcp)
		return parse_tcp(f, p, l4_len);
	if (p->l4 == TRANSPORT_udp)
		return parse_udp(f, p, l4_len);
	p->payload_at = p->l4_at;
	p->payload_len = l4_len;
	return REASON_ok;
}

/* Header and total length against the frame; what follows the total length is
 * padding or a trailer and passes unchanged. */
static __always_inline int parse_ip4(const struct frame *f, struct packet *p)
{
	struct ip4_header *ip = header_at(f, p->l3_at, sizeof(*ip));
	__u32 header, total;

	if (!ip)
		return REASON_runt_frame;
	if (ip->version_ihl >> 4 != 4)
		return REASON_bad_ip_version;
	header = (ip->version_ihl & 15) * 4;
	total = net16(ip->total_len);
	if (header < sizeof(*ip))
		return REASON_bad_ip_header;
	if (total < header || total > p->frame_len - p->l3_at)
		return REASON_bad_ip_length;
	p->family = 4;
	p->l4 = ip->protocol;
	p->ttl = ip->ttl;
	p->src[0] = p->src[1] = p->src[2] = 0;
	p->dst[0] = p->dst[1] = p->dst[2] = 0;
	p->src[3] = ip->src;
	p->dst[3] = ip->dst;
	if (ip->frag & net16(0x3fff))
		return REASON_fragment;
	if (ip->src == ip->dst)
		return REASON_same_endpoints;
	p->l4_at = p->l3_at + header;
	return parse_l4(f, p, total - header);
}

/* Extension headers that may stand before the transport, RFC 8200 §4.1. */
static __always_inline int parse_ip6(const struct frame *f, struct packet *p)
{
	struct ip6_header *ip = header_at(f, p->l3_at, sizeof(*ip));
	__u32 left, at, len, i;
	__u8 next, *ext;

	if (!ip)
		return REASON_runt_frame;
	if ((net32(ip->version_class_flow) >> 28) != 6)
		return REASON_bad_ip_version;
	left = net16(ip->payload_len);
	if (left > p->frame_len - p->l3_at - sizeof(*ip))
		return REASON_bad_ip_length;
	p->family = 6;
	p->ttl = ip->hop_limit;
	__builtin_memcpy(p->src, ip->src, 16);
	__builtin_memcpy(p->dst, ip->dst, 16);
	if (p->src[0] == p->dst[0] && p->src[1] == p->dst[1] &&
	    p->src[2] == p->dst[2] && p->src[3] == p->dst[3])
		return REASON_same_endpoints;
	next = ip->next;
	at = p->l3_at + sizeof(*ip);
	for (i = 0; i < 6; i++) {
		if (next == 44)
			return REASON_fragment;
		/* Hop-by-hop only first; routing and destination options. */
		if (next != 60 && next != 43 && !(next == 0 && i == 0))
			break;
		ext = header_at(f, at, 8);
		if (!ext)
			return REASON_bad_ipv6_extension;
		len = (ext[1] + 1U) * 8;
		/* With segments left the true receiver is another. */
		if (len > left || (next == 43 && ext[3]))
			return REASON_bad_ipv6_extension;
		next = ext[0];
		at += len;
		left -= len;
	}
	if (i == 6 || next == 0)
		return REASON_bad_ipv6_extension;
	p->l4 = next;
	p->l4_at = at;
	return parse_l4(f, p, left);
}

static __always_inline int parse_ip(const struct frame *f, struct packet *p)
{
	if (p->ethertype == ETHERTYPE_ipv4)
		return parse_ip4(f, p);
	if (p->ethertype == ETHERTYPE_ipv6)
		return parse_ip6(f, p);
	p->family = 0;
	return REASON_ok;
}

/* Everything that parse_fast() leaves: two tags, tags beside the frame, IP
 * options, IPv6, non-IP. */
static __always_inline int parse_slow(const struct frame *f, struct packet *p)
{
	struct eth_header *eth = header_at(f, 0, sizeof(*eth));
	struct vlan_tag *tag;
	__u16 type, first = 0, second = 0, beside;
	__u32 at = sizeof(*eth), tags = 0, i;

	if (!eth)
		return REASON_runt_frame;
	p->frame_len = frame_length(f);
	p->gso = frame_gso(f);
	type = net16(eth->type);
	beside = frame_tag_beside(f);
	if (beside != 0xffff) {
		first = beside;
		tags = 1;
	}
	for (i = 0; i < 3; i++) {
		if (type != ETHERTYPE_vlan && type != ETHERTYPE_qinq)
			break;
		tag = header_at(f, at, sizeof(*tag));
		if (!tag)
			return REASON_runt_frame;
		if (tags >= 2)
			return REASON_vlan_depth;
		if (tags)
			second = net16(tag->tci) & 0xfff;
		else
			first = net16(tag->tci) & 0xfff;
		tags++;
		type = net16(tag->type);
		at += sizeof(*tag);
	}
	p->vlan = tags == 2 ? second : first;
	p->outer = tags == 2 ? first : 0;
	p->ethertype = type;
	p->l3_at = at;
	return parse_ip(f, p);
}

/* Ethernet, at most one tag, IPv4 of 20 bytes, not a fragment, TCP or UDP, all
 * of it directly readable. 0: parsed into *p; 1: not that common form. */
static __always_inline int parse_fast(const struct frame *f, struct packet *p,
				      int *ret_reason)
{
	unsigned char *data = frame_data(f), *end = frame_end(f);
	struct eth_header *eth = (void *)data;
	struct ip4_header *ip;
	struct vlan_tag *tag;
	__u32 total, linear;
	__u16 type;

	if (data + sizeof(*eth) + sizeof(*tag) + sizeof(*ip) + 8 > end)
		return 1;
	if (frame_tag_beside(f) != 0xffff)
		return 1;
	type = eth->type;
	p->l3_at = sizeof(*eth);
	p->vlan = p->outer = 0;
	if (type == net16(ETHERTYPE_vlan)) {
		tag = (void *)(data + sizeof(*eth));
		p->vlan = net16(tag->tci) & 0xfff;
		p->l3_at = sizeof(*eth) + sizeof(*tag);
		type = tag->type;
	}
	if (type != net16(ETHERTYPE_ipv4))
		return 1;
	ip = (void *)(data + p->l3_at);
	if (ip->version_ihl != 0x45 || (ip->frag & net16(0x3fff)) ||
	    ip->src == ip->dst)
		return 1;
	if (ip->protocol != TRANSPORT_tcp && ip->protocol != TRANSPORT_udp)
		return 1;
	total = net16(ip->total_len);
	linear = end - data;
	if (total < sizeof(*ip) || total > linear - p->l3_at)
		return 1;
	p->frame_len = linear;
	p->ethertype = ETHERTYPE_ipv4;
	p->family = 4;
	p->l4 = ip->protocol;
	p->ttl = ip->ttl;
	p->gso = frame_gso(f);
	p->src[0] = p->src[1] = p->src[2] = 0;
	p->dst[0] = p->dst[1] = p->dst[2] = 0;
	p->src[3] = ip->src;
	p->dst[3] = ip->dst;
	p->l4_at = p->l3_at + sizeof(*ip);
	*ret_reason = parse_l4(f, p, total - sizeof(*ip));
	return 0;
}

/* Window scale (RFC 7323 §2.2) of a SYN: the only option that is believed. */
static __always_inline int parse_syn_options(const struct frame *f,
					     struct packet *p)
{
	__u32 at = p->l4_at + 20, end = p->payload_at, i;
	__u8 *o;

	p->scale = SCALE_none;
	for (i = 0; i < 40; i++) {
		if (at >= end)
			return REASON_ok;
		o = header_at(f, at, 1);
		if (!o)
			return REASON_bad_tcp_options;
		if (o[0] == 0)
			return REASON_ok;
		if (o[0] == 1) {
			at++;
			continue;
		}
		o = header_at(f, at, 3);
		if (!o)
			o = header_at(f, at, 2);
		if (!o || at + 2 > end || o[1] < 2 || at + o[1] > end)
			return REASON_bad_tcp_options;
		if (o[0] == 3 && o[1] == 3) {
			o = header_at(f, at, 3);
			if (!o)
				return REASON_bad_tcp_options;
			p->scale = o[2] > 14 ? 14 : o[2];
			o = header_at(f, at, 2);
			if (!o)
				return REASON_bad_tcp_options;
		}
		at += o[1];
	}
	return REASON_bad_tcp_options;
}

/* 1 if a > b, both below 2^63, without a branch: half of all packets come from
 * either side, which no predictor learns. */
static __always_inline __u64 is_above(__u64 a, __u64 b)
{
	return unpredicted(b - a) >> 63;
}

/* Canonical key: the endpoint with the smaller (address, port) is `lo`. On a
 * wire the domain holds its number and both VLAN ids, so that equal cells on
 * different VLANs do not meet; on the kernel way VLANs may be routed into each
 * other and only the transport counts. */
static __always_inline void packet_key(struct packet *p, __u32 wire)
{
	__u64 *k = (__u64 *)&p->key, lo[2], hi[2];
	__u32 domain = p->l4 == TRANSPORT_udp ? 1U << 31 : 0;
	const __u64 *src = (const __u64 *)p->src;
	const __u64 *dst = (const __u64 *)p->dst;
	__u64 a, b, differ;
	__u64 dir;

	/* Written in whole words, since whole words are read back at once. */
	if (p->family == 4) {
		a = (__u64)p->src[3] << 16 | p->sport;
		b = (__u64)p->dst[3] << 16 | p->dport;
		dir = is_above(a, b);
		differ = (a ^ b) & -dir;
		a ^= differ;
		b ^= differ;
		lo[0] = hi[0] = 0;
		lo[1] = a >> 16 << 32;
		hi[1] = b >> 16 << 32;
		k[4] = (b & 0xffff) << 16 | (a & 0xffff);
	} else {
		domain |= 1U << 30;
		dir = src[0] != dst[0] ? src[0] > dst[0] : src[1] > dst[1];
		lo[0] = dir ? dst[0] : src[0];
		lo[1] = dir ? dst[1] : src[1];
		hi[0] = dir ? src[0] : dst[0];
		hi[1] = dir ? src[1] : dst[1];
		k[4] = (__u64)(dir ? p->sport : p->dport) << 16 |
		       (dir ? p->dport : p->sport);
	}
	if (wire)
		domain |= (wire & 0x3f) << 24 | (p->outer & 0xfff) << 12 |
			  (p->vlan & 0xfff);
	p->dir = dir;
	k[0] = lo[0];
	k[1] = lo[1];
	k[2] = hi[0];
	k[3] = hi[1];
	k[4] |= (__u64)domain << 32;
}

#endif
