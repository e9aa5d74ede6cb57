/* SPDX-License-Identifier: GPL-2.0-only */
/* Ending a connection at both ends with packets that exist: the offender, cut
 * to its headers, becomes an RST to the receiver; whatever a refused sender
 * sends next is turned round as an RST to it (RFC 9293 §3.10.7.1).
 */
#ifndef PORTCULLIS_RESET_H
#define PORTCULLIS_RESET_H

#include "packet.h"

static __always_inline __u32 sum_words(const __u16 *w, __u32 n, __u32 sum)
{
	__u32 i;

	for (i = 0; i < n; i++)
		sum += w[i];
	return sum;
}

static __always_inline __u16 sum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* Pseudo-header of the addresses in p, network order words. */
static __always_inline __u32 sum_pseudo(const struct packet *p, __u16 len)
{
	__u32 sum = 0;

	sum = sum_words((const __u16 *)p->src, 8, sum);
	sum = sum_words((const __u16 *)p->dst, 8, sum);
	return sum + net16(len) + net16(TRANSPORT_tcp);
}

/* The header that goes out: 20 bytes, no options. */
static __always_inline void reset_header(const struct scratch *x,
					 struct tcp_header *t)
{
	const struct packet *p = &x->p;

	t->off = 0x50;
	t->window = 0;
	t->check = 0;
	t->urgent = 0;
	if (!x->turn) {
		t->sport = p->sport;
		t->dport = p->dport;
		t->seq = net32(x->reset_seq);
		t->ack = net32(p->ack);
		t->flags = TCP_RST | (p->flags & TCP_ACK);
		return;
	}
	t->sport = p->dport;
	t->dport = p->sport;
	if (p->flags & TCP_ACK) {
		t->seq = net32(p->ack);
		t->ack = 0;
		t->flags = TCP_RST;
	} else {
		t->seq = 0;
		t->ack =
		    net32(p->seq + p->payload_len + !!(p->flags & TCP_SYN));
		t->flags = TCP_RST | TCP_ACK;
	}
}

static __always_inline void swap_macs(struct eth_header *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->dst, 6);
	__builtin_memcpy(eth->dst, eth->src, 6);
	__builtin_memcpy(eth->src, mac, 6);
}

static __always_inline int reset_ip4(const struct frame *f, struct scratch *x)
{
	struct ip4_header *ip = header_at(f, x->p.l3_at, sizeof(*ip));
	__u32 words, sum = 0, i, src;
	__u16 *w;

	if (!ip)
		return -1;
	ip->total_len = net16((__u16)(x->p.l4_at - x->p.l3_at + 20));
	ip->check = 0;
	if (x->turn) {
		src = ip->src;
		ip->src = ip->dst;
		ip->dst = src;
	}
	words = (ip->version_ihl & 15) * 2;
	for (i = 0; i < 30; i++) {
		if (i >= words)
			break;
		w = header_at(f, x->p.l3_at + i * 2, 2);
		if (!w)
			return -1;
		sum += *w;
	}
	ip = header_at(f, x->p.l3_at, sizeof(*ip));
	if (!ip)
		return -1;
	ip->check = ~sum_fold(sum);
	return 0;
}

static __always_inline int reset_ip6(const struct frame *f, struct scratch *x)
{
	struct ip6_header *ip = header_at(f, x->p.l3_at, sizeof(*ip));
	__u32 word, i;

	if (!ip)
		return -1;
	ip->payload_len =
	    net16((__u16)(x->p.l4_at - x->p.l3_at - sizeof(*ip) + 20));
	if (!x->turn)
		return 0;
	for (i = 0; i < 4; i++) {
		word = ip->src[i];
		ip->src[i] = ip->dst[i];
		ip->dst[i] = word;
	}
	return 0;
}

/* Rewrites the frame. x->turn: it goes back to its sender. 0, or not 0 when it
 * could not be done: then it is dropped. */
static __always_inline int reset_make_inline(const struct frame *f,
					     struct scratch *x)
{
	struct packet *p = &x->p;
	struct tcp_header *t, made;
	__u16 words[10];
	struct eth_header *eth;
	__u16 partial, had;

	if (p->l4_at > 512)
		return 1;
	t = header_at(f, p->l4_at, sizeof(*t));
	if (!t)
		return 1;
	had = t->check;
	/* tc may hold a sum that the device is still to finish: then the field
	 * is the plain pseudo-header sum, and must be again. */
	partial =
	    !f->is_xdp &&
	    had == sum_fold(sum_pseudo(
		       p, (__u16)(p->payload_at - p->l4_at + p->payload_len)));
	if (frame_cut(f, p->l4_at + 20))
		return 1;
	if (p->family == 4 ? reset_ip4(f, x) : reset_ip6(f, x))
		return 1;
	reset_header(x, &made);
	__builtin_memcpy(words, &made, sizeof(words));
	if (partial)
		made.check = sum_fold(sum_pseudo(p, 20));
	else
		made.check = ~sum_fold(sum_words(words, 10, sum_pseudo(p, 20)));
	t = header_at(f, p->l4_at, sizeof(*t));
	eth = header_at(f, 0, sizeof(*eth));
	if (!t || !eth)
		return 1;
	*t = made;
	if (x->turn)
		swap_macs(eth);
	return 0;
}

DOOR_FUNCTION(reset_make)

#endif
