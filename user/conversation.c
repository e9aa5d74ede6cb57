/* SPDX-License-Identifier: GPL-2.0-only */
#include "conversation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <portcullis/abi.h>

enum {
	BUCKETS = 1 << 16,
	EXTENSIONS_MAX = 8,
	SAME_MAX = 64, /* conversations of one 5-tuple that are looked at */
};

/* A SYN this long after the last packet opens a conversation of its own. */
#define IDLE_NS (120ULL * 1000000000ULL)

struct conversations {
	struct conversation **buckets;
	struct conversation *first;
	struct conversation *last;
	size_t count;
	uint64_t key;
	bool (*serves)(uint8_t l4, uint16_t port, void *arg);
	void *arg;
};

/* ---- reading --------------------------------------------------------- */

static unsigned int be16(const uint8_t *bytes)
{
	return (unsigned int)bytes[0] << 8 | bytes[1];
}

static uint32_t be32(const uint8_t *bytes)
{
	return (uint32_t)be16(bytes) << 16 | be16(bytes + 2);
}

static bool is_vlan(unsigned int type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Offset of the network layer and its type; 0: the frame is too short. */
static size_t read_ethernet(const struct capture_frame *frame, int *ret_vlan,
			    unsigned int *ret_type)
{
	unsigned int type;
	int vlan = -1;
	size_t at = 14;

	if (frame->len < at)
		return 0;
	type = be16(frame->bytes + 12);
	for (; is_vlan(type); at += 4) {
		if (frame->len < at + 4)
			return 0;
		if (vlan < 0)
			vlan = be16(frame->bytes + at) & 0xfff;
		type = be16(frame->bytes + at + 2);
	}
	*ret_vlan = vlan;
	*ret_type = type;
	return at;
}

/* Offset of the transport, 0: none. *ret_end: where the packet says it ends. */
static size_t read_ipv4(const struct capture_frame *frame, size_t at,
			struct segment *segment, size_t *ret_end)
{
	const uint8_t *ip = frame->bytes + at;
	size_t header, total;

	if (frame->len < at + 20)
		return 0;
	header = (ip[0] & 15) * 4U;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20 || be16(ip + 6) & 0x1fff)
		return 0;
	segment->family = 4;
	segment->l4 = ip[9];
	memcpy(segment->src + 12, ip + 12, 4);
	memcpy(segment->dst + 12, ip + 16, 4);
	*ret_end = total < header ? frame->wire_len : at + total;
	return at + header;
}

/* Steps over one extension header; 0: not one, or the end of the bytes. */
static size_t skip_extension(const struct capture_frame *frame, size_t at,
			     uint8_t *next)
{
	const uint8_t *header = frame->bytes + at;
	size_t len;

	if (frame->len < at + 8)
		return 0;
	switch (*next) {
	case 0:	 /* hop by hop */
	case 43: /* routing */
	case 60: /* destination options */
		len = (header[1] + 1U) * 8;
		break;
	case 44: /* fragment: only the first has ports */
		len = be16(header + 2) & 0xfff8 ? 0 : 8;
		break;
	case 51: /* authentication */
		len = (header[1] + 2U) * 4;
		break;
	default:
		return 0;
	}
	*next = header[0];
	return len;
}

static size_t read_ipv6(const struct capture_frame *frame, size_t at,
			struct segment *segment, size_t *ret_end)
{
	const uint8_t *ip = frame->bytes + at;
	size_t len;

	if (frame->len < at + 40 || ip[0] >> 4 != 6)
		return 0;
	segment->family = 6;
	segment->l4 = ip[6];
	memcpy(segment->src, ip + 8, 16);
	memcpy(segment->dst, ip + 24, 16);
	*ret_end = at + 40 + be16(ip + 4);
	at += 40;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (segment->l4 == TRANSPORT_tcp ||
		    segment->l4 == TRANSPORT_udp)
			return at;
		len = skip_extension(frame, at, &segment->l4);
		if (!len)
			return 0;
		at += len;
	}
	return 0;
}

/* Where the payload begins. The ports are there; the rest may not be. */
static size_t read_transport(const struct capture_frame *frame, size_t at,
			     struct segment *segment)
{
	const uint8_t *header = frame->bytes + at;

	segment->sport = (uint16_t)be16(header);
	segment->dport = (uint16_t)be16(header + 2);
	if (segment->l4 == TRANSPORT_udp)
		return at + 8;
	if (frame->len < at + 14)
		return at + 20;
	segment->seq = be32(header + 4);
	segment->ack = be32(header + 8);
	segment->flags = header[13];
	return at + (header[12] >> 4) * 4U;
}

bool segment_read(const struct capture_frame *frame,
		  struct segment *ret_segment)
{
	struct segment segment = { 0 };
	size_t at, end = 0, payload;
	unsigned int type;

	at = read_ethernet(frame, &segment.vlan, &type);
	if (!at)
		return false;
	segment.l3_at = at;
	if (type == 0x0800)
		at = read_ipv4(frame, at, &segment, &end);
	else if (type == 0x86dd)
		at = read_ipv6(frame, at, &segment, &end);
	else
		return false;
	if (!at || frame->len < at + 4 ||
	    (segment.l4 != TRANSPORT_tcp && segment.l4 != TRANSPORT_udp))
		return false;

	segment.l4_at = at;
	payload = read_transport(frame, at, &segment);
	if (end > frame->wire_len) /* a lie, which is the engine's to find */
		end = frame->wire_len;
	segment.is_cut = end > frame->len;
	if (payload < end)
		segment.payload_len = end - payload;
	if (payload < frame->len && segment.payload_len) {
		segment.payload = frame->bytes + payload;
		segment.payload_has =
		    segment.is_cut ? frame->len - payload : segment.payload_len;
	}
	*ret_segment = segment;
	return true;
}

/* ---- finding --------------------------------------------------------- */

struct conversations *
conversations_new(bool (*serves)(uint8_t l4, uint16_t port, void *arg),
		  void *arg)
{
	struct conversations *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->buckets = calloc(BUCKETS, sizeof(table->buckets[0]));
	if (!table->buckets) {
		free(table);
		return NULL;
	}
	/* Not secret enough is only slower: the order of what is printed does
	 * not hang on it. */
	if (getrandom(&table->key, sizeof(table->key), GRND_NONBLOCK) < 0)
		table->key = (uintptr_t)table;
	table->serves = serves;
	table->arg = arg;
	return table;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static uint64_t hash_end(uint64_t key, const uint8_t addr[16], uint16_t port)
{
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	return mix(mix(mix(key, words[0]), words[1]), port);
}

/* The same for both directions: the sum of both ends. */
static struct conversation **bucket_of(const struct conversations *table,
				       const uint8_t a[16], uint16_t a_port,
				       const uint8_t b[16], uint16_t b_port,
				       uint8_t l4)
{
	uint64_t sum =
	    hash_end(table->key, a, a_port) + hash_end(table->key, b, b_port);

	return &table->buckets[mix(sum, l4) >> 32 & (BUCKETS - 1)];
}

static bool is_end(const struct conversation *c, unsigned int side,
		   const uint8_t addr[16], uint16_t port)
{
	return c->port[side] == port && !memcmp(c->addr[side], addr, 16);
}

/* The side that sent the segment, -1: not of this conversation. */
static int side_of(const struct conversation *c, const struct segment *segment)
{
	if (c->l4 != segment->l4 || c->family != segment->family)
		return -1;
	if (is_end(c, SIDE_client, segment->src, segment->sport) &&
	    is_end(c, SIDE_server, segment->dst, segment->dport))
		return SIDE_client;
	if (is_end(c, SIDE_server, segment->src, segment->sport) &&
	    is_end(c, SIDE_client, segment->dst, segment->dport))
		return SIDE_server;
	return -1;
}

/* Each side has its own VLAN, learnt from its first packet: so two directions
 * on two VLANs are one conversation, and cells that use the same addresses on
 * VLANs of their own do not run into each other. */
static struct conversation *find(struct conversation *bucket,
				 const struct segment *segment, int *ret_side)
{
	struct conversation *open = NULL;
	int side, open_side = -1, same = 0;

	for (struct conversation *c = bucket; c && same < SAME_MAX;
	     c = c->bucket_next) {
		side = side_of(c, segment);
		if (side < 0)
			continue;
		same++;
		if (c->vlan[side] == segment->vlan && !(open && c->is_closed)) {
			*ret_side = side;
			return c;
		}
		if (c->vlan[side] != VLAN_open)
			continue;
		if (c->vlan[!side] == segment->vlan) {
			*ret_side = side;
			return c;
		}
		if (!open) {
			open = c;
			open_side = side;
		}
	}
	*ret_side = open_side;
	return open;
}

/* A SYN opens a conversation of its own where the old one is over. */
static bool opens_anew(const struct conversation *c, unsigned int side,
		       const struct capture_frame *frame,
		       const struct segment *segment)
{
	if (segment->l4 != TRANSPORT_tcp ||
	    (segment->flags & (SEGMENT_syn | SEGMENT_ack | SEGMENT_rst |
			       SEGMENT_fin)) != SEGMENT_syn)
		return false;
	if (c->has_syn && side == SIDE_client && segment->seq == c->isn &&
	    c->payload_packets == 0 && !c->is_closed)
		return false; /* the same SYN again */
	return c->is_closed || frame->time_ns - c->seen_ns > IDLE_NS;
}

/* Whether the sender of a first packet is the one that called. */
static bool sender_called(const struct conversations *table,
			  const struct segment *segment)
{
	if (segment->flags & SEGMENT_syn)
		return !(segment->flags & SEGMENT_ack);
	if (table->serves(segment->l4, segment->dport, table->arg))
		return true;
	return !table->serves(segment->l4, segment->sport, table->arg);
}

static struct conversation *make(struct conversations *table,
				 struct conversation **bucket,
				 const struct capture_frame *frame,
				 const struct segment *segment, int *ret_side)
{
	struct conversation *c = calloc(1, sizeof(*c));
	unsigned int side;

	if (!c)
		return NULL;
	side = sender_called(table, segment) ? SIDE_client : SIDE_server;
	memcpy(c->addr[side], segment->src, 16);
	memcpy(c->addr[!side], segment->dst, 16);
	c->port[side] = segment->sport;
	c->port[!side] = segment->dport;
	c->family = segment->family;
	c->l4 = segment->l4;
	c->vlan[SIDE_client] = VLAN_open;
	c->vlan[SIDE_server] = VLAN_open;
	c->first_vlan = (int16_t)segment->vlan;
	c->first_frame = frame->number;
	c->has_syn = side == SIDE_client && segment->flags & SEGMENT_syn;
	c->isn = segment->seq;

	c->bucket_next = *bucket;
	c->bucket_at = bucket;
	if (*bucket)
		(*bucket)->bucket_at = &c->bucket_next;
	*bucket = c;
	if (table->last)
		table->last->next = c;
	else
		table->first = c;
	table->last = c;
	table->count++;
	*ret_side = (int)side;
	return c;
}

static void follow(struct conversation *c, unsigned int side,
		   const struct segment *segment)
{
	if (segment->l4 != TRANSPORT_tcp)
		return;
	if (segment->flags & SEGMENT_ack &&
	    (!c->has_ack[side] || (int32_t)(segment->ack - c->ack[side]) > 0)) {
		if (!c->has_ack[side])
			c->first_ack[side] = segment->ack;
		c->ack[side] = segment->ack;
		c->has_ack[side] = true;
	}
	if (segment->flags & SEGMENT_fin)
		c->has_fin[side] = true;
	if (segment->flags & SEGMENT_rst)
		c->has_rst[side] = true;
	if (segment->flags & SEGMENT_rst ||
	    (c->has_fin[SIDE_client] && c->has_fin[SIDE_server]))
		c->is_closed = true;
}

struct conversation *conversation_of(struct conversations *table,
				     const struct capture_frame *frame,
				     const struct segment *segment,
				     unsigned int *ret_side)
{
	struct conversation **bucket =
	    bucket_of(table, segment->src, segment->sport, segment->dst,
		      segment->dport, segment->l4);
	int side;
	struct conversation *c = find(*bucket, segment, &side);

	if (!c || opens_anew(c, (unsigned int)side, frame, segment))
		c = make(table, bucket, frame, segment, &side);
	if (!c)
		return NULL;
	c->vlan[side] = (int16_t)segment->vlan;
	c->seen_ns = frame->time_ns;
	c->packets++;
	c->payload_packets += segment->payload_len > 0;
	follow(c, (unsigned int)side, segment);
	*ret_side = (unsigned int)side;
	return c;
}

size_t conversations_count(const struct conversations *table)
{
	return table->count;
}

struct conversation *conversations_take(struct conversations *table)
{
	struct conversation *c = table->first;

	if (!c)
		return NULL;
	*c->bucket_at = c->bucket_next;
	if (c->bucket_next)
		c->bucket_next->bucket_at = c->bucket_at;
	table->first = c->next;
	if (!table->first)
		table->last = NULL;
	table->count--;
	c->next = NULL;
	return c;
}

void conversation_free(struct conversation *conversation)
{
	struct held *held;

	if (!conversation)
		return;
	conversation_forget(conversation);
	while ((held = conversation->held)) {
		conversation->held = held->next;
		free(held);
	}
	free(conversation);
}

void conversations_free(struct conversations *table)
{
	struct conversation *c;

	if (!table)
		return;
	while ((c = conversations_take(table)))
		conversation_free(c);
	free(table->buckets);
	free(table);
}

/* ---- evidence -------------------------------------------------------- */

/* A datagram is a message, so only the first counts; of a stream, what stands
 * in order. */
static bool fits_behind(const struct conversation *c,
			const struct evidence *evidence,
			const struct segment *segment)
{
	if (!evidence->len)
		return true;
	return c->l4 == TRANSPORT_tcp && segment->seq == evidence->next &&
	       evidence->len < EVIDENCE_MAX;
}

int conversation_note(struct conversation *conversation, unsigned int side,
		      const struct segment *segment)
{
	struct evidence *evidence = &conversation->evidence[side];
	size_t len = segment->payload_has;
	uint8_t *bytes;

	if (!len || !fits_behind(conversation, evidence, segment))
		return 0;
	if (len > (size_t)EVIDENCE_MAX - evidence->len)
		len = (size_t)EVIDENCE_MAX - evidence->len;
	bytes = realloc(evidence->bytes, evidence->len + len);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes + evidence->len, segment->payload, len);
	evidence->bytes = bytes;
	evidence->len = (uint16_t)(evidence->len + len);
	evidence->next = segment->seq + (uint32_t)segment->payload_len;
	return 0;
}

void conversation_forget(struct conversation *conversation)
{
	for (int side = 0; side < 2; side++) {
		free(conversation->evidence[side].bytes);
		conversation->evidence[side] = (struct evidence){ 0 };
	}
}
