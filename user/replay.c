/* SPDX-License-Identifier: GPL-2.0-only */
/* A capture shows what passed without a gate, so three things need care.
 *
 * The sender of a postponed or implausible segment resends it to a gate; in
 * the capture it does not, for its receiver had it. So such a segment is held
 * and offered again whenever another of the conversation has passed: segments
 * that the capture holds out of order are no refusal. What is still held at
 * the end is one only if the conversation came to a stop there.
 *
 * A capture may lack bytes: the snaplen cut a packet ("cut"), or a packet was
 * not captured though its receiver acknowledged it ("gap"). From there on the
 * conversation is not judged, and that is said.
 *
 * It may begin in the middle of a conversation. One without its SYN is picked
 * up as in the gate's grace time; one with its SYN never is.
 */
#include "replay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "conversation.h"
#include "files.h"
#include "json.h"
#include "log.h"
#include "policy.h"
#include "protocols.h"

enum {
	CONVERSATIONS_MAX = 1 << 18,
	HELD_MAX = 64, /* segments a conversation */
	TRIES_MAX = 200,
	PROGRESS_FRAMES = 1 << 14,
	POLICY_MAX = 4 << 20,
	SLOTS_DEFAULT = 131072,
	SLOTS_MAX = 1 << 22,
};

#define HELD_BYTES_MAX (64U << 20) /* in all conversations */

/* Frames that belong to no conversation, by what became of them. */
struct outside {
	uint64_t frames;
	uint64_t first;
};

struct replay {
	struct engine *engine;
	const struct image *image;
	const struct replay_options *options;
	const struct capture *capture;
	struct conversations *table;
	struct replay_totals *totals;
	FILE *out;
	struct json json;
	uint64_t now_ns;
	uint64_t outside_cut;
	struct outside outside[REASON_max];
	size_t held_bytes;
	uint8_t *copy; /* of a loopback frame */
	size_t copy_room;
	bool is_grace;
	bool has_header;
};

/* ---- where it comes in ----------------------------------------------- */

static unsigned int service_of(const struct image *image, uint8_t l4,
			       uint16_t port)
{
	return image->services_map->of[l4 == TRANSPORT_udp][port];
}

static bool serves(uint8_t l4, uint16_t port, void *arg)
{
	return service_of(arg, l4, port) != 0;
}

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
	c->engine_port[side] = (uint8_t)(
		ports ? (unsigned int)__builtin_ctzll(ports) :
			port_of_side(image, side));
	return c->engine_port[side];
}

/* ---- loopback -------------------------------------------------------- */

static bool is_loopback(uint8_t family, const uint8_t addr[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return family == 4 ? addr[12] == 127 : !memcmp(addr, one, 16);
}

/* No gate sees a host talk to itself, and `same_endpoints` refuses it. In a
 * capture of a loopback interface the two ends are told apart by their ports:
 * the server is judged under another address of the loopback network. */
static int part_ends(struct replay *r, struct offer *offer, uint8_t family)
{
	size_t at = 14, size = family == 4 ? 4 : 16;
	uint8_t *copy;

	if (offer->len > r->copy_room) {
		copy = realloc(r->copy, offer->len);
		if (!copy)
			return -ENOMEM;
		r->copy = copy;
		r->copy_room = offer->len;
	}
	memcpy(r->copy, offer->bytes, offer->len);
	while (r->copy[at - 2] == 0x81 || r->copy[at - 2] == 0x88 ||
	       r->copy[at - 2] == 0x91)
		at += 4; /* the frame was read before: the tags are whole */
	at += family == 4 ? 12 : 8;
	if (offer->side == SIDE_client)
		at += size;
	r->copy[at + size - 2] ^= 0x80;
	if (offer->segment.payload)
		offer->segment.payload =
			r->copy + (offer->segment.payload - offer->bytes);
	offer->bytes = r->copy;
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

static void hold_nothing(struct replay *r, struct conversation *c)
{
	struct held *held;

	while ((held = c->held)) {
		c->held = held->next;
		r->held_bytes -= held->offer.len;
		free(held);
	}
	c->n_held = 0;
}

/* The first refusal is the one that counts: what follows is only shown to the
 * engine so that it sees the conversation end. */
static int refuse(struct replay *r, struct conversation *c,
		  const struct offer *offer, uint8_t reason)
{
	int error;

	c->first_refused = offer->number;
	c->reason = reason;
	c->refused_side = (uint8_t)offer->side;
	error = conversation_note(c, offer->side, &offer->segment);
	hold_nothing(r, c);
	return error;
}

static void learn_proto(struct replay *r, struct conversation *c,
			const struct engine_result *result)
{
	const struct portcullis_slot *slot;

	if (!result->slot)
		return;
	slot = engine_slot(r->engine, result->slot);
	if (slot && slot->proto) {
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

static int let_pass(struct replay *r, struct conversation *c,
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
	c->delivered_packets++;
	c->delivered_bytes += segment->payload_len;
	if (!c->has_high[side] || is_beyond(end, c->high[side])) {
		c->has_high[side] = true;
		c->high[side] = end;
		c->fresh_frame[side] = offer->number;
	}
	if (!c->proto)
		learn_proto(r, c, result);
	return c->proto ? 0 : conversation_note(c, side, segment);
}

static int run(struct replay *r, struct conversation *c,
	       const struct offer *offer, struct engine_result *ret_result)
{
	bool grace = c && !c->has_syn && r->options->grace;

	if (grace != r->is_grace) {
		engine_grace(r->engine, grace ? UINT64_MAX : 0);
		r->is_grace = grace;
	}
	return engine_run(r->engine, offer->port, r->now_ns, offer->bytes,
			  offer->len, ret_result);
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
static int settle(struct replay *r, struct conversation *c)
{
	struct held *held = c->held;

	while (held && !is_stuck(c, &held->offer))
		held = held->next;
	if (!held)
		return 0;
	if (!is_gap(c, held))
		return refuse(r, c, &held->offer, held->reason);
	c->has_gap = true;
	c->stopped_frame = held->offer.number;
	hold_nothing(r, c);
	return 0;
}

static void drop_oldest(struct replay *r, struct conversation *c)
{
	struct held *held = c->held;

	ignore(c, held->offer.number, held->reason);
	c->held = held->next;
	c->n_held--;
	r->held_bytes -= held->offer.len;
	free(held);
}

/* A place for one more; false: the conversation is settled, or there is none. */
static bool make_place(struct replay *r, struct conversation *c, size_t len,
		       int *ret_error)
{
	if (c->n_held < HELD_MAX && r->held_bytes + len <= HELD_BYTES_MAX)
		return true;
	if (!c->held)
		return false;
	*ret_error = settle(r, c);
	if (*ret_error || c->first_refused || c->has_gap)
		return false;
	drop_oldest(r, c);
	return r->held_bytes + len <= HELD_BYTES_MAX;
}

static int hold(struct replay *r, struct conversation *c,
		const struct offer *offer, uint8_t reason)
{
	struct held **last = &c->held;
	struct held *held;
	int error = 0;

	if (!make_place(r, c, offer->len, &error)) {
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
	r->held_bytes += offer->len;
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
static int try_again(struct replay *r, struct conversation *c,
		     struct held **at)
{
	struct held *held = *at;
	struct engine_result result;
	int error;

	if (held->tries >= TRIES_MAX)
		return 0;
	held->tries++;
	error = run(r, c, &held->offer, &result);
	if (error)
		return error;
	if (!has_passed(&result) && may_come_again(result.reason)) {
		held->reason = result.reason;
		return 0;
	}
	if (!has_passed(&result)) {
		error = refuse(r, c, &held->offer, result.reason);
		return error ? error : 1;
	}
	*at = held->next;
	c->n_held--;
	r->held_bytes -= held->offer.len;
	error = let_pass(r, c, &held->offer, &result);
	free(held);
	return error ? error : 1;
}

/* One more that passed may let others pass, until none does. */
static int offer_held(struct replay *r, struct conversation *c)
{
	struct held **at = &c->held;
	int done;

	while (*at) {
		done = try_again(r, c, at);
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

static int judge_outside(struct replay *r, const struct capture_frame *frame)
{
	struct engine_result result;
	struct offer offer = {
		.number = frame->number,
		.bytes = frame->bytes,
		.len = frame->len,
		.port = port_of_side(r->image, SIDE_client),
	};
	struct outside *outside;
	int error;

	if (frame->wire_len > frame->len) {
		r->outside_cut++;
		return 0;
	}
	error = run(r, NULL, &offer, &result);
	if (error)
		return error;
	outside = &r->outside[result.reason & (REASON_max - 1)];
	if (!outside->frames++)
		outside->first = frame->number;
	return 0;
}

static int take_result(struct replay *r, struct conversation *c,
		       const struct offer *offer,
		       const struct engine_result *result)
{
	const struct segment *segment = &offer->segment;
	bool occupies = segment->payload_len ||
			segment->flags & (SEGMENT_syn | SEGMENT_fin);
	int error;

	if (has_passed(result)) {
		error = let_pass(r, c, offer, result);
		return error ? error : offer_held(r, c);
	}
	if (may_come_again(result->reason)) {
		if (c->l4 == TRANSPORT_tcp && occupies)
			return hold(r, c, offer, result->reason);
	} else if (reason_kind(result->reason) != KIND_implausible) {
		return refuse(r, c, offer, result->reason);
	}
	ignore(c, offer->number, result->reason);
	return 0;
}

static void stop_at_cut(struct replay *r, struct conversation *c,
			const struct capture_frame *frame)
{
	if (c->first_refused || c->has_gap || c->is_cut)
		return;
	c->is_cut = true;
	c->stopped_frame = frame->number;
	hold_nothing(r, c);
}

static int judge(struct replay *r, struct conversation *c, unsigned int side,
		 const struct capture_frame *frame,
		 const struct segment *segment)
{
	struct engine_result result;
	struct offer offer = {
		.number = frame->number,
		.bytes = frame->bytes,
		.len = frame->len,
		.side = side,
		.port = engine_port(r->image, c, side),
		.segment = *segment,
	};
	bool was_refused = c->first_refused != 0;
	int error;

	if (segment->is_cut)
		stop_at_cut(r, c, frame);
	if (segment->is_cut || c->is_cut || c->has_gap)
		return c->proto ? 0 : conversation_note(c, side, segment);
	if (is_loopback(c->family, segment->src) &&
	    !memcmp(segment->src, segment->dst, 16) &&
	    part_ends(r, &offer, c->family))
		return -ENOMEM;
	error = run(r, c, &offer, &result);
	if (error)
		return error;
	if (was_refused)
		return conversation_note(c, side, segment);
	return take_result(r, c, &offer, &result);
}

/* ---- what is said of a conversation ---------------------------------- */

struct summary {
	char addr[2][INET6_ADDRSTRLEN];
	unsigned int service;
	unsigned int actual; /* protocol, 0: not known */
	bool is_dropped;
	uint8_t reason; /* REASON_none: nothing was judged */
	uint64_t refused;
};

/* The refusal has nothing to do with what language was spoken. */
static bool is_about_language(uint8_t reason)
{
	switch (reason) {
	case REASON_function_not_allowed:
	case REASON_unit_not_allowed:
	case REASON_split_header:
	case REASON_split_message:
	case REASON_overlap_inconsistent:
	case REASON_closed:
		return false;
	default:
		return reason_kind(reason) == KIND_forbidden;
	}
}

static unsigned int name_protocol(const struct conversation *c)
{
	unsigned int side = c->refused_side, found;

	if (c->proto && !(c->first_refused && is_about_language(c->reason)))
		return c->proto;
	for (int i = 0; i < 2; i++, side = !side) {
		const struct evidence *e = &c->evidence[side];

		found = e->len ? identify(e->bytes, e->len, c->l4,
					  side == SIDE_server) :
				 PROTO_unknown;
		if (found != PROTO_unknown)
			return found;
	}
	return PROTO_unknown;
}

static void print_addr(const struct conversation *c, unsigned int side,
		       char text[INET6_ADDRSTRLEN])
{
	if (c->family == 4)
		inet_ntop(AF_INET, c->addr[side] + 12, text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, c->addr[side], text, INET6_ADDRSTRLEN);
}

static struct summary summarise(struct replay *r, struct conversation *c)
{
	struct summary s = { .reason = c->reason, .refused = c->first_refused };

	if (settle(r, c))
		log_warnx("%s: out of memory", capture_name(r->capture));
	s.reason = c->reason;
	s.refused = c->first_refused;
	/* Not one packet passed: harmless drops are none then. */
	if (!s.refused && !c->passed && c->ignored_frame && !c->is_cut &&
	    !c->has_gap) {
		s.refused = c->ignored_frame;
		s.reason = c->ignored_reason;
	}
	if (!s.refused && !c->passed && c->held && !c->is_cut && !c->has_gap) {
		s.refused = c->held->offer.number;
		s.reason = c->held->reason;
	}
	s.is_dropped = s.refused != 0;
	s.service = service_of(r->image, c->l4, c->port[SIDE_server]);
	s.actual = name_protocol(c);
	print_addr(c, SIDE_client, s.addr[SIDE_client]);
	print_addr(c, SIDE_server, s.addr[SIDE_server]);
	return s;
}

static void json_number_or_null(struct json *json, const char *key, bool there,
				uint64_t value)
{
	if (there)
		json_uint(json, key, value);
	else
		json_null(json, key);
}

static void json_name_or_null(struct json *json, const char *key,
			      const char *name)
{
	if (name)
		json_string(json, key, name);
	else
		json_null(json, key);
}

static void json_expected(struct json *json, const uint8_t *protos)
{
	json_array(json, "expected");
	for (int i = 0; i < RULESET_PROTOS && protos[i]; i++)
		json_string(json, NULL, protocol_name(protos[i]));
	json_end_array(json);
}

static void print_json(struct replay *r, const struct conversation *c,
		       const struct summary *s)
{
	const uint8_t *protos = r->image->services[s->service].protos;
	struct json *j = &r->json;

	json_reset(j);
	json_object(j, NULL);
	json_string(j, "src", s->addr[SIDE_client]);
	json_uint(j, "sport", c->port[SIDE_client]);
	json_string(j, "dst", s->addr[SIDE_server]);
	json_uint(j, "dport", c->port[SIDE_server]);
	json_string(j, "transport", c->l4 == TRANSPORT_udp ? "udp" : "tcp");
	json_number_or_null(j, "vlan", c->first_vlan >= 0,
			    (uint64_t)c->first_vlan);
	json_expected(j, protos);
	json_name_or_null(j, "actual",
			  s->actual ? protocol_name(s->actual) : NULL);
	json_string(j, "verdict", s->is_dropped ? "drop" : "pass");
	json_string(j, "would",
		    s->is_dropped || c->would_drop ? "drop" : "pass");
	json_name_or_null(j, "reason",
			  s->reason ? reason_name(s->reason) : NULL);
	json_uint(j, "packets", c->packets);
	json_uint(j, "payload_packets", c->payload_packets);
	json_number_or_null(j, "first_refused", s->is_dropped, s->refused);
	json_uint(j, "payload_packets_delivered", c->delivered_packets);
	json_uint(j, "payload_bytes_delivered", c->delivered_bytes);
	json_bool(j, "covered", protos[0] != 0);
	json_bool(j, "cut", c->is_cut);
	json_bool(j, "gap", c->has_gap);
	json_string(j, "capture", capture_name(r->capture));
	json_end_object(j);
	json_line(j);
	fwrite(j->text, 1, j->len, r->out);
}

static void write_end(char *text, size_t size, const struct conversation *c,
		      const struct summary *s, unsigned int side)
{
	snprintf(text, size, c->family == 6 ? "[%s]:%u" : "%s:%u",
		 s->addr[side], c->port[side]);
}

static void write_expected(char *text, size_t size, const uint8_t *protos)
{
	size_t len = 0;

	snprintf(text, size, "-");
	for (int i = 0; i < RULESET_PROTOS && protos[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? "," : "", protocol_name(protos[i]));
}

static void print_header(struct replay *r)
{
	if (r->has_header)
		return;
	r->has_header = true;
	fprintf(r->out, "%s\n", capture_name(r->capture));
	fprintf(r->out, "%-21s %-21s %-4s %5s %-8s %-8s %-4s %-20s %9s %8s %8s %11s\n",
		"CLIENT", "SERVER", "OVER", "VLAN", "EXPECTED", "ACTUAL", "",
		"REASON", "REFUSED", "PACKETS", "PAYLOAD", "DELIVERED");
}

static void print_line(struct replay *r, const struct conversation *c,
		       const struct summary *s)
{
	char ends[2][INET6_ADDRSTRLEN + 9], expected[128], vlan[8] = "-";
	char refused[24] = "-";

	print_header(r);
	write_end(ends[0], sizeof(ends[0]), c, s, SIDE_client);
	write_end(ends[1], sizeof(ends[1]), c, s, SIDE_server);
	write_expected(expected, sizeof(expected),
		       r->image->services[s->service].protos);
	if (c->first_vlan >= 0)
		snprintf(vlan, sizeof(vlan), "%d", c->first_vlan);
	if (s->is_dropped)
		snprintf(refused, sizeof(refused), "%" PRIu64, s->refused);
	fprintf(r->out,
		"%-21s %-21s %-4s %5s %-8s %-8s %-4s %-20s %9s %8" PRIu64
		" %8" PRIu64 " %11" PRIu64 "%s",
		ends[0], ends[1], c->l4 == TRANSPORT_udp ? "udp" : "tcp", vlan,
		expected, s->actual ? protocol_name(s->actual) : "-",
		s->is_dropped ? "drop" : "pass",
		s->reason ? reason_name(s->reason) : "-", refused, c->packets,
		c->payload_packets, c->delivered_bytes,
		!s->is_dropped && c->would_drop ? " monitored" : "");
	if (c->is_cut)
		fprintf(r->out, " not judged from frame %" PRIu64 " on: cut by the snaplen",
			c->stopped_frame);
	if (c->has_gap)
		fprintf(r->out, " not judged from frame %" PRIu64 " on: packets before it were not captured",
			c->stopped_frame);
	fputc('\n', r->out);
}

/* ---- a capture ------------------------------------------------------- */

/* Reports the oldest conversations until `keep` are left. */
static void report(struct replay *r, size_t keep)
{
	struct conversation *c;
	struct summary s;

	while (conversations_count(r->table) > keep) {
		c = conversations_take(r->table);
		s = summarise(r, c);
		if (r->options->json)
			print_json(r, c, &s);
		else
			print_line(r, c, &s);
		r->totals->conversations++;
		r->totals->dropped += s.is_dropped;
		hold_nothing(r, c);
		conversation_free(c);
	}
}

static int replay_frame(struct replay *r, const struct capture_frame *frame)
{
	struct conversation *c;
	struct segment segment;
	unsigned int side;
	int error;

	r->totals->frames++;
	r->now_ns = frame->time_ns;
	if (!segment_read(frame, &segment))
		return judge_outside(r, frame);
	c = conversation_of(r->table, frame, &segment, &side);
	if (!c)
		return -ENOMEM;
	error = judge(r, c, side, frame, &segment);
	if (conversations_count(r->table) > CONVERSATIONS_MAX) {
		r->totals->early += CONVERSATIONS_MAX / 4;
		report(r, CONVERSATIONS_MAX / 4 * 3);
	}
	return error;
}

static void say_progress(const struct replay *r)
{
	int percent = capture_progress(r->capture);

	if (percent >= 0)
		fprintf(stderr, "\r%3d %%", percent);
	else
		fputc('\r', stderr);
	fprintf(stderr, " %" PRIu64 " frames, %zu conversations",
		r->totals->frames, conversations_count(r->table));
}

static void print_outside(struct replay *r)
{
	for (unsigned int i = 0; i < REASON_max; i++) {
		const struct outside *o = &r->outside[i];
		const char *name = reason_name(i);

		if (o->frames)
			fprintf(r->out, "%" PRIu64 " frames of no conversation: %s %s, first frame %" PRIu64 "\n",
				o->frames,
				reason_kind(i) == KIND_passed ? "pass" : "drop",
				name ? name : "none", o->first);
	}
	if (r->outside_cut)
		fprintf(r->out, "%" PRIu64 " frames of no conversation were cut by the snaplen and not judged\n",
			r->outside_cut);
}

static int replay_frames(struct replay *r, struct capture *capture)
{
	struct capture_frame frame;
	int got, error = 0;

	while (!error && (got = capture_next(capture, &frame)) > 0) {
		error = replay_frame(r, &frame);
		if (error)
			log_warnx("%s: frame %" PRIu64 ": %s",
				  capture_name(capture), frame.number,
				  strerror(-error));
		if (r->options->progress &&
		    frame.number % PROGRESS_FRAMES == 0)
			say_progress(r);
	}
	if (r->options->progress)
		fprintf(stderr, "\r%60s\r", "");
	if (!error && got < 0) {
		log_warnx("%s: damaged behind frame %" PRIu64 ": %s; what stands before was replayed",
			  capture_name(capture), r->totals->frames,
			  capture_error(capture));
		error = -EIO;
	}
	return error;
}

static int open_engine(struct replay *r)
{
	const struct engine_options options = {
		.kind = r->options->kind,
		.door = r->options->door,
		.slots = r->options->slots,
	};
	const char *error = NULL;

	r->engine = engine_open(&options, r->image, &error);
	if (r->engine)
		return 0;
	log_warnx("cannot open the engine: %s", error ? error : "no reason given");
	return -ENOTSUP;
}

int replay_capture(struct capture *capture, const struct image *image,
		   const struct replay_options *options, FILE *out,
		   struct replay_totals *ret_totals)
{
	struct replay r = {
		.image = image,
		.options = options,
		.capture = capture,
		.totals = ret_totals,
		.out = out,
	};
	int error;

	*ret_totals = (struct replay_totals){ 0 };
	error = open_engine(&r);
	if (error)
		return error;
	r.table = conversations_new(serves, (void *)image);
	if (r.table) {
		error = replay_frames(&r, capture);
		report(&r, 0);
		if (!options->json)
			print_outside(&r);
	} else {
		error = -ENOMEM;
		log_warnx("%s: out of memory", capture_name(capture));
	}
	conversations_free(r.table);
	json_free(&r.json);
	free(r.copy);
	engine_close(r.engine);
	return error;
}

/* ---- command --------------------------------------------------------- */

static const char usage[] =
	"usage: portcullis replay [--policy FILE] [--engine bpf|host] [--json]\n"
	"                         [--door xdp|tc] [--no-grace] [--slots N] CAPTURE...\n";

struct arguments {
	struct replay_options options;
	const char *policy;
	bool has_engine;
};

enum { OPTION_policy = 256, OPTION_engine, OPTION_json, OPTION_door,
       OPTION_no_grace, OPTION_slots, OPTION_help };

static const struct option long_options[] = {
	{ "policy", required_argument, NULL, OPTION_policy },
	{ "engine", required_argument, NULL, OPTION_engine },
	{ "json", no_argument, NULL, OPTION_json },
	{ "door", required_argument, NULL, OPTION_door },
	{ "no-grace", no_argument, NULL, OPTION_no_grace },
	{ "slots", required_argument, NULL, OPTION_slots },
	{ "help", no_argument, NULL, OPTION_help },
	{ 0 },
};

/* The place of `word` in a list of two, -1: it is neither. */
static int choose(const char *option, const char *word, const char *first,
		  const char *second)
{
	if (!strcmp(word, first))
		return 0;
	if (!strcmp(word, second))
		return 1;
	log_warnx("replay: --%s is %s or %s, not '%s'", option, first, second,
		  word);
	return -1;
}

static bool read_slots(const char *word, uint32_t *ret_slots)
{
	char *end;
	unsigned long slots;

	errno = 0;
	slots = strtoul(word, &end, 10);
	if (errno || *end || word[0] < '0' || word[0] > '9' || slots < 1 ||
	    slots > SLOTS_MAX) {
		log_warnx("replay: --slots is a number from 1 to %d, not '%s'",
			  SLOTS_MAX, word);
		return false;
	}
	*ret_slots = (uint32_t)slots;
	return true;
}

/* 0: go on; 1: help was asked for; -1: usage. */
static int read_option(int option, struct arguments *a)
{
	int chosen = 0;

	switch (option) {
	case OPTION_policy:
		a->policy = optarg;
		break;
	case OPTION_engine:
		chosen = choose("engine", optarg, "host", "bpf");
		a->options.kind = chosen == 1 ? ENGINE_bpf : ENGINE_host;
		a->has_engine = true;
		break;
	case OPTION_json:
		a->options.json = true;
		break;
	case OPTION_door:
		chosen = choose("door", optarg, "xdp", "tc");
		a->options.door = chosen == 1 ? DOOR_tc : DOOR_xdp;
		break;
	case OPTION_no_grace:
		a->options.grace = false;
		break;
	case OPTION_slots:
		return read_slots(optarg, &a->options.slots) ? 0 : -1;
	case OPTION_help:
		return 1;
	default:
		return -1;
	}
	return chosen < 0 ? -1 : 0;
}

static int read_arguments(int argc, char **argv, struct arguments *a)
{
	int option, answer;

	optind = 0; /* the words before the command were read by it too */
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		answer = read_option(option, a);
		if (answer)
			return answer;
	}
	if (optind == argc) {
		log_warnx("replay: name a capture, pcap or pcapng");
		return -1;
	}
	return 0;
}

/* 0, or the exit code. */
static int read_policy(const char *path, struct image **ret_image)
{
	const struct policy_context context = { .now = time(NULL), .hz = 1000 };
	_cleanup_free_ char *text = NULL;
	struct policy_source source = { "built-in policy", policy_builtin(), 0 };
	int error;

	source.len = strlen(source.text);
	if (path) {
		error = files_read(path, POLICY_MAX, &text, &source.len);
		if (error) {
			log_warnx("cannot read the policy %s: %s", path,
				  strerror(-error));
			return 1;
		}
		source.name = path;
		source.text = text;
	}
	error = policy_compile(&source, 1, &context, stderr, ret_image);
	if (error && error != -EINVAL)
		log_warnx("cannot compile the policy %s: %s", source.name,
			  strerror(-error));
	return !error ? 0 : error == -EINVAL ? 3 : 1;
}

/* The kernel's own program where that may be run, unless told which. */
static void choose_engine(struct arguments *a, const struct image *image)
{
	const struct engine_options options = { .kind = ENGINE_bpf,
						.door = a->options.door };
	const char *error = NULL;
	struct engine *engine;

	if (a->has_engine)
		return;
	engine = engine_open(&options, image, &error);
	a->options.kind = engine ? ENGINE_bpf : ENGINE_host;
	if (!engine && geteuid() == 0)
		log_info("replaying on the host engine: %s",
			 error ? error : "the kernel's cannot be opened");
	engine_close(engine);
}

static int replay_path(const char *path, const struct arguments *a,
		       const struct image *image, uint64_t *dropped)
{
	struct replay_totals totals;
	struct capture *capture;
	char why[512];
	int error;

	capture = capture_open(path, why, sizeof(why));
	if (!capture) {
		log_warnx("%s: %s", path, why);
		return 1;
	}
	error = replay_capture(capture, image, &a->options, stdout, &totals);
	capture_close(capture);
	*dropped += totals.dropped;
	if (totals.early)
		log_info("%s: %" PRIu64 " conversations were reported before the end of the capture; packets that came later count as conversations of their own",
			 path, totals.early);
	if (!a->options.json)
		printf("%" PRIu64 " frames, %" PRIu64 " conversations: %" PRIu64
		       " passed, %" PRIu64 " dropped\n",
		       totals.frames, totals.conversations,
		       totals.conversations - totals.dropped, totals.dropped);
	return error ? 1 : 0;
}

int cmd_replay(int argc, char **argv)
{
	struct arguments a = {
		.options = { .slots = SLOTS_DEFAULT, .grace = true },
	};
	struct image *image = NULL;
	uint64_t dropped = 0;
	int status;

	status = read_arguments(argc, argv, &a);
	if (status) {
		fputs(usage, status > 0 ? stdout : stderr);
		return status > 0 ? 0 : 2;
	}
	status = read_policy(a.policy, &image);
	if (status)
		return status;
	a.options.progress = isatty(STDERR_FILENO);
	choose_engine(&a, image);
	for (int i = optind; i < argc; i++)
		status |= replay_path(argv[i], &a, image, &dropped);
	image_free(image);
	if (fflush(stdout) || ferror(stdout)) {
		log_warn("cannot write the result");
		return 1;
	}
	return status ? 1 : dropped ? 4 : 0;
}
