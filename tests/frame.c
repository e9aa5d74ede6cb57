/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "frame.h"

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* One's complement sum, RFC 1071; eight bytes at a time. */
static uint64_t sum(const uint8_t *p, size_t len, uint64_t acc)
{
	uint32_t word;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		acc += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		acc += word;
	}
	return acc;
}

static uint16_t fold(uint64_t acc)
{
	uint8_t bytes[2];
	uint16_t v;

	acc = (acc & 0xffffffff) + (acc >> 32);
	acc = (acc & 0xffffffff) + (acc >> 32);
	acc = (acc & 0xffff) + (acc >> 16);
	acc = (acc & 0xffff) + (acc >> 16);
	v = (uint16_t)~acc;
	memcpy(bytes, &v, 2);
	return (uint16_t)get16(bytes);
}

/* RFC 9293 3.1, RFC 8200 8.1: the pseudo-header counts too. */
static uint16_t l4_checksum(const struct frame *f, const uint8_t *l4,
			    size_t len)
{
	uint8_t pseudo[8] = { 0 };
	uint64_t acc;

	put32(pseudo, (uint32_t)len);
	pseudo[7] = f->l4;
	if (f->family == 4)
		acc = sum(f->src + 12, 4, sum(f->dst + 12, 4, 0));
	else
		acc = sum(f->src, 16, sum(f->dst, 16, 0));
	return fold(sum(l4, len, sum(pseudo, 8, acc)));
}

static size_t put_ethernet(const struct frame *f, uint8_t *p)
{
	size_t at = 12;

	memcpy(p, f->dst_mac, 6);
	memcpy(p + 6, f->src_mac, 6);
	if (f->outer) {
		put16(p + at, 0x88a8);
		put16(p + at + 2, f->outer);
		at += 4;
	}
	if (f->vlan) {
		put16(p + at, 0x8100);
		put16(p + at + 2, f->vlan);
		at += 4;
	}
	put16(p + at, f->family == 4 ? 0x0800 : 0x86dd);
	return at + 2;
}

static size_t put_ip(const struct frame *f, uint8_t *p, size_t l4_len)
{
	uint8_t ttl = f->ttl ? f->ttl : 64;

	if (f->family == 4) {
		memset(p, 0, 20);
		p[0] = 0x45;
		put16(p + 2, (unsigned int)(20 + l4_len));
		p[6] = 0x40; /* do not fragment */
		p[8] = ttl;
		p[9] = f->l4;
		memcpy(p + 12, f->src + 12, 4);
		memcpy(p + 16, f->dst + 12, 4);
		put16(p + 10, fold(sum(p, 20, 0)));
		return 20;
	}
	put32(p, 0x60000000);
	put16(p + 4, (unsigned int)l4_len);
	p[6] = f->l4;
	p[7] = ttl;
	memcpy(p + 8, f->src, 16);
	memcpy(p + 24, f->dst, 16);
	return 40;
}

static size_t put_tcp(const struct frame *f, uint8_t *p)
{
	size_t header = 20 + (size_t)f->options_len;
	uint16_t check;

	put16(p, f->sport);
	put16(p + 2, f->dport);
	put32(p + 4, f->seq);
	put32(p + 8, f->ack);
	p[12] = (uint8_t)(header / 4 << 4);
	p[13] = f->flags;
	put16(p + 14, f->window);
	put16(p + 16, 0);
	put16(p + 18, f->urgent);
	memcpy(p + 20, f->options, f->options_len);
	if (f->payload_len)
		memcpy(p + header, f->payload, f->payload_len);
	check = l4_checksum(f, p, header + f->payload_len);
	put16(p + 16, f->bad_checksum ? check ^ 0x5555U : check);
	return header + f->payload_len;
}

static size_t put_udp(const struct frame *f, uint8_t *p)
{
	uint16_t check;

	put16(p, f->sport);
	put16(p + 2, f->dport);
	put16(p + 4, (unsigned int)(8 + f->payload_len));
	put16(p + 6, 0);
	if (f->payload_len)
		memcpy(p + 8, f->payload, f->payload_len);
	check = l4_checksum(f, p, 8 + f->payload_len);
	if (!check)
		check = 0xffff;
	put16(p + 6, f->bad_checksum ? check ^ 0x5555U : check);
	return 8 + f->payload_len;
}

size_t frame_make(const struct frame *f, uint8_t *ret, size_t size)
{
	size_t l4_len = f->payload_len;
	size_t at;

	l4_len += f->l4 == 6 ? 20 + (size_t)f->options_len : 8;
	if (size < FRAME_HEADERS_MAX ||
	    f->payload_len > size - FRAME_HEADERS_MAX)
		return 0;
	at = put_ethernet(f, ret);
	at += put_ip(f, ret + at, l4_len);
	at += f->l4 == 6 ? put_tcp(f, ret + at) : put_udp(f, ret + at);
	return at;
}

static bool read_ethernet(const uint8_t *p, size_t len, struct frame *f,
			  size_t *ret_at)
{
	size_t at = 12;

	if (len < 14)
		return false;
	memcpy(f->dst_mac, p, 6);
	memcpy(f->src_mac, p + 6, 6);
	if (get16(p + at) == 0x88a8 && len >= at + 6) {
		f->outer = (uint16_t)get16(p + at + 2);
		at += 4;
	}
	if (get16(p + at) == 0x8100 && len >= at + 6) {
		f->vlan = (uint16_t)get16(p + at + 2);
		at += 4;
	}
	if (get16(p + at) == 0x0800)
		f->family = 4;
	else if (get16(p + at) == 0x86dd)
		f->family = 6;
	*ret_at = at + 2;
	return f->family != 0;
}

static bool read_ip(const uint8_t *p, size_t len, struct frame *f,
		    size_t *ret_header, size_t *ret_l4_len)
{
	size_t header = 40;
	size_t total;

	if (f->family == 4) {
		if (len < 20 || p[0] >> 4 != 4)
			return false;
		header = (size_t)(p[0] & 15) * 4;
		total = get16(p + 2);
		if (header < 20 || total < header || total > len ||
		    fold(sum(p, header, 0)) != 0)
			return false;
		f->ttl = p[8];
		f->l4 = p[9];
		memcpy(f->src + 12, p + 12, 4);
		memcpy(f->dst + 12, p + 16, 4);
	} else {
		if (len < 40 || p[0] >> 4 != 6)
			return false;
		total = 40 + get16(p + 4);
		if (total > len)
			return false;
		f->l4 = p[6];
		f->ttl = p[7];
		memcpy(f->src, p + 8, 16);
		memcpy(f->dst, p + 24, 16);
	}
	*ret_header = header;
	*ret_l4_len = total - header;
	return true;
}

static bool read_tcp(const uint8_t *p, size_t len, struct frame *f)
{
	size_t header;

	if (len < 20)
		return false;
	header = (size_t)(p[12] >> 4) * 4;
	if (header < 20 || header > len)
		return false;
	f->seq = get32(p + 4);
	f->ack = get32(p + 8);
	f->flags = p[13];
	f->window = (uint16_t)get16(p + 14);
	f->urgent = (uint16_t)get16(p + 18);
	f->options_len = (uint8_t)(header - 20);
	memcpy(f->options, p + 20, f->options_len);
	f->payload = p + header;
	f->payload_len = len - header;
	return true;
}

bool frame_read(const uint8_t *bytes, size_t len, struct frame *ret)
{
	size_t at, header, l4_len;
	const uint8_t *l4;

	memset(ret, 0, sizeof(*ret));
	if (!read_ethernet(bytes, len, ret, &at) ||
	    !read_ip(bytes + at, len - at, ret, &header, &l4_len))
		return false;
	l4 = bytes + at + header;
	if ((ret->l4 != 6 && ret->l4 != 17) || l4_len < 8)
		return false;
	ret->sport = (uint16_t)get16(l4);
	ret->dport = (uint16_t)get16(l4 + 2);
	ret->bad_checksum = l4_checksum(ret, l4, l4_len) != 0;
	if (ret->l4 == 6)
		return read_tcp(l4, l4_len, ret);
	ret->payload = l4 + 8;
	ret->payload_len = l4_len - 8;
	return get16(l4 + 4) == l4_len;
}

void frame_turn(struct frame *f)
{
	struct frame was = *f;

	memcpy(f->src, was.dst, 16);
	memcpy(f->dst, was.src, 16);
	memcpy(f->src_mac, was.dst_mac, 6);
	memcpy(f->dst_mac, was.src_mac, 6);
	f->sport = was.dport;
	f->dport = was.sport;
}
