/* SPDX-License-Identifier: GPL-2.0-only */
#include "trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocols.h"

enum {
	HELD_MAX = 64, /* segments a conversation */
	TRIES_MAX = 200,
	TC_FRAME_MAX = 3500,
	RUNT_MAX = 14 + 40, /* Ethernet and IPv6 */
};

#define HELD_BYTES_MAX (64U << 20) /* in all conversations */

/* ---- where it comes in ----------------------------------------------- */

static bool has_prefix(const uint8_t *addr, const uint8_t *prefix,
		       unsigned int bits)
{
	unsigned int rest = bits & 7;

	if (memcmp(addr, prefix, bits / 8))
		return false;
	return !rest || !((addr[bits / 8] ^ prefix[bits / 8]) >> (8 - rest));
}

/* The interfaces that the address may arrive on: a bit per port id. */
static uint64_t ports_of(const struct image *image, uint8_t family,
			 const uint8_t addr[16])
{
	const struct image_place4 *p4 = image->places4;
	const struct image_place6 *p6 = image->places6;
	uint32_t longest = 0;
	uint64_t ports = 0;

	for (size_t i = 0; family == 4 && i < image->n_places4; i++, p4++)
		if (p4->key.prefixlen >= longest &&
		    has_prefix(addr + 12, p4->key.addr, p4->key.prefixlen)) {
			longest = p4->key.prefixlen;
			ports = p4->place.ports;
		}
	for (size_t i = 0; family == 6 && i < image->n_places6; i++, p6++)
		if (p6->key.prefixlen >= longest &&
		    has_prefix(addr, p6->key.addr, p6->key.prefixlen)) {
			longest = p6->key.prefixlen;
			ports = p6->place.ports;
		}
	return ports;
}

/* An address that may come from anywhere: the client on the first interface,
 * the server at the other end of its wire. */
static unsigned int port_of_side(const struct image *image, unsigned int side)
{
	for (size_t i = 0; i < image->n_ports; i++) {
		const struct image_port *port = &image->ports[i];

		if (port->is_monitor)
			continue;
		if (side == SIDE_server && port->forward == FORWARD_wire)
			return port->peer;
		return (unsigned int)i + 1;
	}
	return 1;
}

/* A capture does not say by which interface of the gate a packet came. The
 * policy does, where a zone names its interfaces. */
static unsigned int engine_port(const struct image *image,
				struct conversation *c, unsigned int side)
{
	uint64_t ports;

	if (c->engine_port[side])
		return c->engine_port[side];
	if (!image->n_ports) {
		c->engine_port[side] = side == SIDE_client ? 1 : 2;
		return c->engine_port[side];
	}
	ports = ports_of(image, c->family, c->addr[side]);
	c->engine_port[side] =
	    (uint8_t)(ports ? (unsigned int)__builtin_ctzll(ports)
			    : port_of_side(image, side));
	return c->engine_port[side];
}

/* ---- loopback -------------------------------------------------------- */

static int make_copy(struct trial *t, size_t len)
{
	uint8_t *copy;

	if (len <= t->copy_room)
		return 0;
	copy = realloc(t->copy, len);
	if (!copy)
		return -ENOMEM;
	t->copy = copy;
	t->copy_room = len;
	return 0;
}

static bool is_loopback(uint8_t family, const uint8_t addr[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return family == 4 ? addr[12] == 127 : !memcmp(addr, one, 16);
}

/* No gate sees a host talk to itself, and `same_endpoints` refuses it. In a
 * capture of a loopback interface the two ends are told apart by their ports:
 * the server is judged under another address of the loopback network. */
static int part_ends(struct trial *t, struct offer *offer)
{
	size_t size = offer->segment.family == 4 ? 4 : 16;
	size_t at = offer->segment.l3_at + (size == 4 ? 12 : 8);

	if (make_copy(t, offer->len))
		return -ENOMEM;
	memcpy(t->copy, offer->bytes, offer->len);
	if (offer->side == SIDE_client)
		at += size;
	t->copy[at + size - 2] ^= 0x80;
	if (offer->segment.payload)
		offer->segment.payload =
		    t->copy + (offer->segment.payload - offer->bytes);
	offer->bytes = t->copy;
	return 0;
}

/* ---- what the engine says -------------------------------------------- */

static bool has_passed(const struct engine_result *result)
{
	return result->verdict == VERDICT_pass ||
	       result->verdict == VERDICT_mirror;
}

static bool is_beyond(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static void hold_nothing(struct trial *t, struct conversation *c)
{
	struct held *held;

	while ((held = c->held)) {
		c->held = held->next;
		t->held_bytes -= held->offer.len;
		free(held);
	}
	c->n_held = 0;
}

/* The first refusal is the one that counts: what follows is only shown to the
 * engine so that it sees the conversation end. */
static int refuse(struct trial *t, struct conversation *c,
		  const struct offer *offer, uint8_t reason)
{
	int error;

	c->first_refused = offer->number;
	c->reason = reason;
	c->refused_side = (uint8_t)offer->side;
	error = conversation_note(c, offer->side, &offer->segment);
	hold_nothing(t, c);
	return error;
}

/* A prefix that may still become a message proves nothing. */
static bool is_proved(const struct portcullis_slot *slot, uint8_t l4)
{
	const struct portcullis_half *half = slot->half;

	if (!slot->proto || l4 == TRANSPORT_udp)
		return slot->proto != 0;
	for (int i = 0; i < 2; i++, half++)
		if (half->flags & HALF_judged && !half->carry &&
		    !(half->flags & HALF_inside))
			return true;
	return false;
}

static void learn_proto(struct trial *t, struct conversation *c,
			const struct engine_result *result)
{
	const struct portcullis_slot *slot;

	if (!result->slot)
		return;
	slot = engine_slot(t->engine, result->slot);
	if (slot && is_proved(slot, c->l4)) {
		c->proto = slot->proto;
		conversation_forget(c);
	}
}

static void note_reason(struct conversation *c, uint8_t reason)
{
	if (c->would_drop)
		return;
	if (reason_kind(reason) != KIND_passed) /* monitored: let pass */
		c->would_drop = true;
	if (c->reason != REASON_ok || c->would_drop)
		c->reason = reason;
}

/* FNV-1a; who makes two datagrams alike fools nobody but his own reader. */
static uint64_t fingerprint(const struct segment *segment)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < segment->payload_has; i++)
		hash = (hash ^ segment->payload[i]) * 0x100000001b3ULL;
	return hash;
}

static int let_pass(struct trial *t, struct conversation *c,
		    const struct offer *offer,
		    const struct engine_result *result)
{
	const struct segment *segment = &offer->segment;
	uint32_t end = segment->seq + (uint32_t)segment->payload_len;
	unsigned int side = offer->side;

	c->passed++;
	note_reason(c, result->reason);
	if (!segment->payload_len)
		return 0;
	c->delivered_packets += !offer->goes_on;
	c->delivered_bytes += segment->payload_len;
	if (c->l4 == TRANSPORT_udp)
		c->heard[side] = fingerprint(segment);
	if (!c->has_high[side] || is_beyond(end, c->high[side])) {
		c->has_high[side] = true;
		c->high[side] = end;
		c->fresh_frame[side] = offer->number;
	}
	if (!c->proto)
		learn_proto(t, c, result);
	return c->proto ? 0 : conversation_note(c, side, segment);
}

static int run(struct trial *t, struct conversation *c,
	       const struct offer *offer, struct engine_result *ret_result)
{
	bool grace = c && !c->has_syn && t->grace;
	int error;

	if (grace != t->is_grace) {
		engine_grace(t->engine, grace ? UINT64_MAX : 0);
		t->is_grace = grace;
	}
	error = engine_run(t->engine, offer->port, t->now_ns, offer->bytes,
			   offer->len, ret_result);
	if (error != -EINVAL || offer->len >= RUNT_MAX)
		return error;
	/* Too short for the kernel to make a packet of it for a test. */
	*ret_result = (struct engine_result){ .verdict = VERDICT_drop,
					      .would = VERDICT_drop,
					      .reason = REASON_runt_frame };
	return 0;
}

/* ---- held segments --------------------------------------------------- */

static void ignore(struct conversation *c, uint64_t number, uint8_t reason)
{
	if (c->ignored_frame)
		return;
	c->ignored_frame = number;
	c->ignored_reason = reason;
}

/* Whether the bytes of a held segment never came through, and nothing behind
 * them either. */
static bool is_stuck(const struct conversation *c, const struct offer *held)
{
	uint32_t end = held->segment.seq + (uint32_t)held->segment.payload_len;

	if (!held->segment.payload_len ||
	    held->number < c->fresh_frame[held->side])
		return false;
	return !c->has_high[held->side] || is_beyond(end, c->high[held->side]);
}

/* Whether it is stuck because packets are missing in the capture: the other
 * end had what lies before it, or it answers what is not there. */
static bool is_gap(const struct conversation *c, const struct held *held)
{
	unsigned int peer = !held->offer.side;

	switch (held->reason) {
	case REASON_ahead:
		return c->has_ack[peer] &&
		       !is_beyond(held->offer.segment.seq, c->ack[peer]);
	case REASON_ack_invalid:
		return true;
	case REASON_not_acknowledged:
	case REASON_handshake:
		return c->vlan[peer] == VLAN_open;
	default:
		return false;
	}
}

/* Nothing more will come that could help: decides on what is held. */
static int settle(struct trial *t, struct conversation *c)
{
	struct held *held = c->held;

	while (held && !is_stuck(c, &held->offer))
		held = held->next;
	if (!held)
		return 0;
	if (!is_gap(c, held))
		return refuse(t, c, &held->offer, held->reason);
	c->has_gap = true;
	c->stopped_frame = held->offer.number;
	hold_nothing(t, c);
	return 0;
}

static void drop_oldest(struct trial *t, struct conversation *c)
{
	struct held *held = c->held;

	ignore(c, held->offer.number, held->reason);
	c->held = held->next;
	c->n_held--;
	t->held_bytes -= held->offer.len;
	free(held);
}

/* A place for one more; false: the conversation is settled, or there is none.
 */
static bool make_place(struct trial *t, struct conversation *c, size_t len,
		       int *ret_error)
{
	if (c->n_held < HELD_MAX && t->held_bytes + len <= HELD_BYTES_MAX)
		return true;
	if (!c->held)
		return false;
	*ret_error = settle(t, c);
	if (*ret_error || c->first_refused || c->has_gap)
		return false;
	drop_oldest(t, c);
	return t->held_bytes + len <= HELD_BYTES_MAX;
}

static int hold(struct trial *t, struct conversation *c,
		const struct offer *offer, uint8_t reason)
{
	struct held **last = &c->held;
	struct held *held;
	int error = 0;

	if (!make_place(t, c, offer->len, &error)) {
		ignore(c, offer->number, reason);
		return error;
	}
	held = malloc(sizeof(*held) + offer->len);
	if (!held)
		return -ENOMEM;
	*held = (struct held){ .offer = *offer, .reason = reason };
	memcpy(held->bytes, offer->bytes, offer->len);
	held->offer.bytes = held->bytes;
	if (offer->segment.payload)
		held->offer.segment.payload =
		    held->bytes + (offer->segment.payload - offer->bytes);
	while (*last)
		last = &(*last)->next;
	*last = held;
	c->n_held++;
	t->held_bytes += offer->len;
	return 0;
}

static bool may_come_again(uint8_t reason)
{
	enum portcullis_kind kind = reason_kind(reason);

	if (kind == KIND_postponed)
		return true;
	return kind == KIND_implausible && reason != REASON_rst_inexact &&
	       reason != REASON_wrong_side;
}

/* Offers one held segment again. 1: it is no longer held; 0; -errno. */
static int try_again(struct trial *t, struct conversation *c, struct held **at)
{
	struct held *held = *at;
	struct engine_result result;
	int error;

	if (held->tries >= TRIES_MAX)
		return 0;
	held->tries++;
	error = run(t, c, &held->offer, &result);
	if (error)
		return error;
	if (!has_passed(&result) && may_come_again(result.reason)) {
		held->reason = result.reason;
		return 0;
	}
	if (!has_passed(&result)) {
		error = refuse(t, c, &held->offer, result.reason);
		return error ? error : 1;
	}
	*at = held->next;
	c->n_held--;
	t->held_bytes -= held->offer.len;
	error = let_pass(t, c, &held->offer, &result);
	free(held);
	return error ? error : 1;
}

/* One more that passed may let others pass, until none does. */
static int offer_held(struct trial *t, struct conversation *c)
{
	struct held **at = &c->held;
	int done;

	while (*at) {
		done = try_again(t, c, at);
		if (done < 0)
			return done;
		if (done)
			at = &c->held;
		else
			at = &(*at)->next;
	}
	return 0;
}

/* ---- a frame --------------------------------------------------------- */

/* Data that was under way when the other end sent its RST: honest, and as
 * useless to the receiver as the drop says. */
static bool has_crossed_rst(const struct conversation *c, unsigned int side,
			    uint8_t reason)
{
	return reason == REASON_closed && c->has_rst[!side] &&
	       !c->has_rst[side];
}

/* The same answer once more, as a mirror port shows it that copies a packet
 * where it comes in and where it goes out: the asker had it. */
static bool is_echo(const struct conversation *c, const struct offer *offer,
		    uint8_t reason)
{
	return reason == REASON_too_many_answers &&
	       c->heard[offer->side] == fingerprint(&offer->segment);
}

/* Of the other end nothing was captured, yet this one acknowledged bytes of
 * it, and they could have made legal what is refused. */
static bool is_half(const struct conversation *c, unsigned int side,
		    uint8_t reason)
{
	return (reason == REASON_bad_order || reason == REASON_unsolicited) &&
	       c->l4 == TRANSPORT_tcp && c->vlan[!side] == VLAN_open &&
	       c->ack[side] != c->first_ack[side];
}

static int end_at_gap(struct trial *t, struct conversation *c,
		      const struct offer *offer)
{
	c->has_gap = true;
	c->stopped_frame = offer->number;
	hold_nothing(t, c);
	return conversation_note(c, offer->side, &offer->segment);
}

static int take_result(struct trial *t, struct conversation *c,
		       const struct offer *offer,
		       const struct engine_result *result)
{
	const struct segment *segment = &offer->segment;
	bool occupies = segment->payload_len ||
			segment->flags & (SEGMENT_syn | SEGMENT_fin);
	int error;

	if (has_passed(result)) {
		error = let_pass(t, c, offer, result);
		return error ? error : offer_held(t, c);
	}
	if (is_half(c, offer->side, result->reason))
		return end_at_gap(t, c, offer);
	if (may_come_again(result->reason)) {
		if (c->l4 == TRANSPORT_tcp && occupies)
			return hold(t, c, offer, result->reason);
	} else if (reason_kind(result->reason) != KIND_implausible &&
		   !has_crossed_rst(c, offer->side, result->reason) &&
		   !is_echo(c, offer, result->reason)) {
		return refuse(t, c, offer, result->reason);
	}
	ignore(c, offer->number, result->reason);
	return 0;
}

/* Of this frame not all is there, or not all can be judged. */
static void stop_at(struct trial *t, struct conversation *c,
		    const struct capture_frame *frame, bool is_cut)
{
	if (c->first_refused || c->has_gap || c->is_cut || c->is_long)
		return;
	c->is_cut = is_cut;
	c->is_long = !is_cut;
	c->stopped_frame = frame->number;
	hold_nothing(t, c);
}

/* The kernel runs no tc program on a frame that does not fit into a page. */
static bool is_too_long(const struct trial *t, size_t len)
{
	return t->door == DOOR_tc && len > TC_FRAME_MAX;
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A TCP frame as long as that was made of several by the machine that captured:
 * it is judged as some. No checksum is looked at.
 *
 * The piece of `whole` that begins `at` bytes into its payload; its length. */
static size_t cut_piece(const struct offer *whole, size_t at,
			struct offer *ret_piece, uint8_t *bytes)
{
	const struct segment *all = &whole->segment;
	size_t header = (size_t)(all->payload - whole->bytes);
	size_t len = TC_FRAME_MAX - header;
	struct offer piece = *whole;

	if (len > all->payload_len - at)
		len = all->payload_len - at;
	piece.bytes = bytes;
	piece.len = header + len;
	piece.goes_on = at + len < all->payload_len;
	piece.segment.seq += (uint32_t)at;
	piece.segment.payload = bytes + header;
	piece.segment.payload_len = piece.segment.payload_has = len;
	memcpy(bytes, whole->bytes, header);
	memcpy(bytes + header, all->payload + at, len);
	if (all->family == 4)
		put16(bytes + all->l3_at + 2, piece.len - all->l3_at);
	else
		put16(bytes + all->l3_at + 4, piece.len - all->l3_at - 40);
	put16(bytes + all->l4_at + 4, piece.segment.seq >> 16);
	put16(bytes + all->l4_at + 6, piece.segment.seq);
	if (piece.goes_on) {
		piece.segment.flags &= ~SEGMENT_fin;
		bytes[all->l4_at + 13] &= (uint8_t)~SEGMENT_fin;
	}
	*ret_piece = piece;
	return len;
}

static int judge_offer(struct trial *t, struct conversation *c,
		       const struct offer *offer)
{
	struct engine_result result;
	int error;

	error = run(t, c, offer, &result);
	if (error)
		return error;
	if (c->first_refused)
		return conversation_note(c, offer->side, &offer->segment);
	if (c->has_gap)
		return 0;
	return take_result(t, c, offer, &result);
}

static int judge_pieces(struct trial *t, struct conversation *c,
			const struct offer *whole)
{
	uint8_t bytes[TC_FRAME_MAX];
	struct offer piece;
	size_t at = 0;
	int error = 0;

	while (!error && at < whole->segment.payload_len) {
		at += cut_piece(whole, at, &piece, bytes);
		error = judge_offer(t, c, &piece);
	}
	return error;
}

int trial_judge(struct trial *t, struct conversation *c, unsigned int side,
		const struct capture_frame *frame,
		const struct segment *segment)
{
	struct offer offer = {
		.number = frame->number,
		.bytes = frame->bytes,
		.len = frame->len,
		.side = side,
		.port = engine_port(t->image, c, side),
		.segment = *segment,
	};

	bool is_long = is_too_long(t, frame->len);
	bool has_pieces =
	    is_long && segment->l4 == TRANSPORT_tcp && segment->payload;

	t->now_ns = frame->time_ns + t->shift_ns;
	if (segment->is_cut || (is_long && !has_pieces))
		stop_at(t, c, frame, segment->is_cut);
	if (segment->is_cut || (is_long && !has_pieces) || c->is_cut ||
	    c->is_long || c->has_gap)
		return c->proto ? 0 : conversation_note(c, side, segment);
	if (is_loopback(c->family, segment->src) &&
	    !memcmp(segment->src, segment->dst, 16) && part_ends(t, &offer))
		return -ENOMEM;
	if (has_pieces)
		return judge_pieces(t, c, &offer);
	return judge_offer(t, c, &offer);
}

int trial_judge_other(struct trial *t, const struct capture_frame *frame,
		      struct engine_result *ret_result)
{
	const struct offer offer = {
		.number = frame->number,
		.bytes = frame->bytes,
		.len = frame->len,
		.port = port_of_side(t->image, SIDE_client),
	};

	t->now_ns = frame->time_ns + t->shift_ns;
	if (is_too_long(t, frame->len))
		return -EMSGSIZE;
	return run(t, NULL, &offer, ret_result);
}

/* Of a conversation in which nothing passed no drop was without harm. */
static void blame_first(struct conversation *c)
{
	if (c->first_refused || c->passed || c->is_cut || c->is_long ||
	    c->has_gap)
		return;
	if (c->held &&
	    (!c->ignored_frame || c->held->offer.number < c->ignored_frame)) {
		c->first_refused = c->held->offer.number;
		c->reason = c->held->reason;
	} else {
		c->first_refused = c->ignored_frame;
		c->reason = c->ignored_reason;
	}
}

int trial_settle(struct trial *t, struct conversation *c)
{
	int error = settle(t, c);

	blame_first(c);
	hold_nothing(t, c);
	return error;
}

void trial_end(struct trial *t)
{
	free(t->copy);
	t->copy = NULL;
}
