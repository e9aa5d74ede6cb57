/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/protocols.h"
#include "world.h"

enum {
	STEPS_MOST = 60000,  /* of an attack, until the network is silent */
	STEPS_STILL = 30000, /* of an honest conversation without progress */
};

struct world *world_new(struct rig *rig, struct tally *tally)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w) {
		w->rig = rig;
		w->tally = tally;
	}
	return w;
}

void world_free(struct world *w)
{
	free(w);
}

static bool fault(struct world *w, const char *what, const char *detail)
{
	if (!w->fault[0])
		snprintf(w->fault, sizeof(w->fault), "%s%s%s", what,
			 detail ? ": " : "", detail ? detail : "");
	return false;
}

static bool is_honest(const struct world *w, unsigned int side)
{
	return w->kind != WORLD_attack || w->attacker.side != side;
}

/* ---- the diary ------------------------------------------------------- */

static unsigned int sender_of(const struct world *w, const struct frame *f)
{
	unsigned int side;

	for (side = 0; side < 2; side++)
		if (!memcmp(f->src, w->end[side].head.src, 16) &&
		    !memcmp(f->dst, w->end[side].head.dst, 16) &&
		    f->sport == w->end[side].head.sport &&
		    f->dport == w->end[side].head.dport)
			return side;
	return 2;
}

static void describe(const struct world *w, const struct frame *f,
		     struct diary_line *l)
{
	unsigned int side = sender_of(w, f);

	l->from = "CS?"[side];
	l->flags = f->flags;
	l->window = f->window;
	l->len = (uint32_t)f->payload_len;
	l->bad_checksum = f->bad_checksum;
	l->seq = f->seq;
	l->ack = f->ack;
	if (side == 2)
		return;
	l->seq -= w->end[side].iss;
	if (f->flags & FRAME_ACK)
		l->ack -= w->end[!side].iss;
}

static void write_packet(struct world *w, enum diary_kind kind,
			 const struct packet *p, const struct frame *f)
{
	struct diary_line l = { .kind = kind,
				.port = p->port,
				.note = p->note };

	describe(w, f, &l);
	rig_write(w->rig, &l);
}

static void note(struct world *w, const char *text)
{
	struct diary_line l = { .kind = DIARY_note, .note = text };

	rig_write(w->rig, &l);
}

/* ---- queues ---------------------------------------------------------- */

static struct packet *enqueue(struct world *w, struct queue *q)
{
	uint16_t i;

	if (q->n == QUEUE || !w->n_unused)
		return NULL;
	i = w->unused[--w->n_unused];
	q->packet[q->n++] = i;
	w->under_way++;
	return &w->pool[i];
}

static void release(struct world *w, struct queue *q, unsigned int at)
{
	w->unused[w->n_unused++] = q->packet[at];
	memmove(q->packet + at, q->packet + at + 1,
		(q->n - at - 1) * sizeof(q->packet[0]));
	q->n--;
	w->under_way--;
}

bool world_send(struct world *w, unsigned int side, const struct frame *f,
		bool wrong_port, const char *text)
{
	struct packet *p = enqueue(w, &w->queue_before[side]);

	if (!p)
		return false;
	p->len = (uint16_t)frame_make(f, p->bytes, sizeof(p->bytes));
	p->port = (uint8_t)w->port_of[side];
	if (wrong_port)
		p->port = (uint8_t)(3 - p->port);
	p->note = text;
	return true;
}

static void to_behind(struct world *w, unsigned int side, const uint8_t *bytes,
		      size_t len, const char *text)
{
	struct packet *p = enqueue(w, &w->queue_behind[side]);

	if (!p || len > sizeof(p->bytes))
		return;
	memcpy(p->bytes, bytes, len);
	p->len = (uint16_t)len;
	p->port = (uint8_t)w->port_of[side];
	p->note = text;
}

/* ---- what must hold of a verdict ------------------------------------- */

/* The gate changes nothing of a packet that it passes, but that it may clear
 * the urgent flag; what it makes itself is a frame that a host accepts. */
static bool check_frame(struct world *w, const struct packet *p,
			const struct frame *in, const struct engine_result *r)
{
	struct frame out, want = *in;

	if (!r->forwarded && !r->turned)
		return true;
	if (r->forwarded && r->turned)
		return fault(w, "a packet both forwarded and turned", NULL);
	if (r->out_len == p->len && !memcmp(r->out, p->bytes, p->len) &&
	    r->forwarded)
		return true;
	if (!frame_read(r->out, r->out_len, &out))
		return fault(w, "the gate made a frame that cannot be read",
			     reason_name(r->reason));
	if (r->turned)
		frame_turn(&want);
	if (memcmp(out.src, want.src, 16) || memcmp(out.dst, want.dst, 16) ||
	    out.sport != want.sport || out.dport != want.dport ||
	    out.vlan != want.vlan || (out.bad_checksum && !in->bad_checksum))
		return fault(w,
			     "the gate made a frame with wrong addresses or "
			     "checksum",
			     reason_name(r->reason));
	if (r->verdict == VERDICT_reset)
		return ((out.flags & FRAME_RST) && !out.payload_len) ||
		       fault(w, "a reset that is no bare RST", NULL);
	if (!(in->flags & FRAME_URG) || out.payload_len != in->payload_len ||
	    memcmp(out.payload, in->payload, in->payload_len))
		return fault(w, "the gate changed a packet that it passed",
			     NULL);
	return true;
}

static bool check_honest(struct world *w, const struct packet *p,
			 const struct engine_result *r)
{
	enum portcullis_kind kind = reason_kind(r->reason);

	if (p->note || w->closed)
		return true;
	if (r->turned || kind == KIND_forbidden || kind == KIND_malformed ||
	    kind == KIND_denied)
		return fault(w, "an honest packet was refused",
			     reason_name(r->reason));
	return true;
}

/* Bytes that the receiver has long had may pass: it does not look at them. */
static bool check_stranger(struct world *w, const struct packet *p,
			   const struct frame *f, const struct engine_result *r)
{
	const struct endpoint *to;
	unsigned int side = sender_of(w, f);
	int32_t end;

	if (!p->note || side > 1 || (!r->forwarded && !r->turned))
		return true;
	to = &w->end[!side];
	end = (int32_t)(f->seq + f->payload_len - (to->irs + 1));
	if (r->turned || (f->flags & FRAME_RST) ||
	    (f->payload_len && end > (int32_t)to->rcv_nxt))
		return fault(w, "a stranger's guess was believed",
			     reason_name(r->reason));
	return true;
}

static bool check_watched(struct world *w, const struct packet *p,
			  const struct engine_result *r)
{
	if (!r->forwarded || r->out_len != p->len ||
	    memcmp(r->out, p->bytes, p->len) != 0)
		return fault(w, "a monitored packet did not pass as it was",
			     reason_name(r->reason));
	return true;
}

static bool check_verdict(struct world *w, const struct packet *p,
			  const struct frame *f, const struct engine_result *r)
{
	switch (w->kind) {
	case WORLD_watched:
		return check_watched(w, p, r);
	case WORLD_honest:
		return check_frame(w, p, f, r) && check_honest(w, p, r);
	case WORLD_spoofed:
		return check_frame(w, p, f, r) && check_honest(w, p, r) &&
		       check_stranger(w, p, f, r);
	default:
		return check_frame(w, p, f, r);
	}
}

/* ---- what the strict receiver is given ------------------------------- */

/* `f` is on its way from `side`, or arrives. */
static bool give(struct world *w, unsigned int side, const struct frame *f)
{
	const struct endpoint *from = &w->end[side];
	const struct endpoint *to = &w->end[!side];
	uint32_t base = from->iss + 1, acked = 0;

	if (!f->payload_len || w->kind == WORLD_watched)
		return true;
	if (is_honest(w, !side)) {
		if (to->state != END_open && to->state != END_syn_rcvd)
			return true;
		/* RFC 9293 3.10.7.4: before the handshake is through nothing
		 * counts that does not acknowledge it. */
		if (to->state == END_syn_rcvd && f->ack != to->iss + 1)
			return true;
		if (to->fin_read)
			return true; /* it reads nothing behind a FIN */
		base = to->irs + 1;
		acked = to->rcv_nxt;
	}
	if (!strict_give(&w->strict, side, (int32_t)(f->seq - base), f->payload,
			 f->payload_len, acked))
		return fault(w,
			     "the receiver could be given what was never "
			     "verified",
			     w->strict.fault);
	return true;
}

static void learn_verdict(struct world *w, unsigned int side,
			  const struct packet *p, const struct frame *f,
			  const struct engine_result *r)
{
	if (w->kind == WORLD_attack &&
	    reason_kind(r->reason) == KIND_forbidden &&
	    r->reason != REASON_closed && r->reason != REASON_poisoned) {
		w->poisoned = true;
		w->poison_incarnation = w->end[!w->attacker.side].incarnations;
	}
	if (!r->forwarded || side > 1 || (p->note && w->kind == WORLD_spoofed))
		return;
	/* The honest server answers another SYN: what was refused is over. */
	if ((f->flags & FRAME_SYN) && side == 1 && is_honest(w, 1))
		w->poisoned = false;
	if (f->flags & FRAME_FIN)
		w->fin_passed[side] = true;
	if ((f->flags & FRAME_RST) || (w->fin_passed[0] && w->fin_passed[1]))
		w->closed = true;
}

/* ---- moving packets -------------------------------------------------- */

static bool judge(struct world *w, const struct packet *p)
{
	struct diary_line l = { .kind = DIARY_judged,
				.port = p->port,
				.note = p->note };
	struct engine_result r;
	unsigned int side, exit;
	struct frame f, out;

	w->rig->time_ns += random_within(&w->random, 1000, 3000000);
	if (!frame_read(p->bytes, p->len, &f))
		return fault(w, "the test made a frame it cannot read", NULL);
	side = sender_of(w, &f);
	if (!rig_judge(w->rig, p->port, p->bytes, p->len, &r))
		return fault(w, w->rig->fault, NULL);
	describe(w, &f, &l);
	l.verdict = r.verdict;
	l.reason = r.reason;
	l.forwarded = r.forwarded;
	l.turned = r.turned;
	rig_write(w->rig, &l);
	learn_verdict(w, side, p, &f, &r);
	if (!check_verdict(w, p, &f, &r))
		return false;
	if (!r.forwarded && !r.turned)
		return true;
	exit = r.forwarded ? 3U - p->port : p->port;
	if (side < 2 && r.forwarded && exit == w->port_of[!side] &&
	    frame_read(r.out, r.out_len, &out) && !give(w, side, &out))
		return false;
	to_behind(w, exit == w->port_of[0] ? 0 : 1, r.out, r.out_len, p->note);
	return true;
}

static void watch_incarnations(struct world *w)
{
	unsigned int side = w->kind == WORLD_attack ? !w->attacker.side : 1;

	if (w->end[side].incarnations == w->incarnations)
		return;
	w->incarnations = w->end[side].incarnations;
	strict_begin(&w->strict, &w->script);
	w->poisoned = false;
	note(w, "a connection begins at the honest end");
}

static bool arrive(struct world *w, unsigned int side, const struct packet *p)
{
	struct frame f, answer;

	if (!frame_read(p->bytes, p->len, &f) || sender_of(w, &f) != !side)
		return true;
	if (!is_honest(w, side) && (f.flags & FRAME_RST))
		return true; /* an attacker does not give up */
	if (!is_honest(w, side) && w->ending)
		return true;
	write_packet(w, DIARY_arrived, p, &f);
	if (is_honest(w, side) && !f.bad_checksum && !give(w, !side, &f))
		return false;
	if (endpoint_receive(&w->end[side], &f, &answer))
		world_send(w, side, &answer, false, NULL);
	watch_incarnations(w);
	return true;
}

static void write_loss(struct world *w, enum diary_kind kind,
		       const struct packet *p)
{
	struct frame f;

	if (frame_read(p->bytes, p->len, &f))
		write_packet(w, kind, p, &f);
}

/* Takes a packet from a queue: loses it, or brings it on. */
static bool move_from(struct world *w, struct queue *q, unsigned int side,
		      bool is_before)
{
	const struct network *net = is_before ? &w->before : &w->behind;
	struct random *r = &w->random;
	unsigned int at =
	    random_permille(r, net->reorders) ? random_below(r, q->n) : 0;
	struct packet p = w->pool[q->packet[at]];

	if (random_permille(r, net->loses)) {
		write_loss(w, is_before ? DIARY_lost_before : DIARY_lost_behind,
			   &p);
		release(w, q, at);
		return true;
	}
	if (!random_permille(r, net->doubles))
		release(w, q, at);
	return is_before ? judge(w, &p) : arrive(w, side, &p);
}

static bool move_one(struct world *w)
{
	unsigned int i = random_below(&w->random, 4), tries;
	struct queue *q;

	for (tries = 0; tries < 4; tries++, i = (i + 1) % 4) {
		q = i < 2 ? &w->queue_before[i] : &w->queue_behind[i - 2];
		if (q->n)
			return move_from(w, q, i & 1, i < 2);
	}
	return true;
}

static void honest_act(struct world *w, unsigned int side)
{
	struct endpoint *e = &w->end[side];
	struct frame f;

	if (endpoint_act(e, &f)) {
		world_send(w, side, &f, false, NULL);
		return;
	}
	if (!w->under_way) {
		if (endpoint_timeout(e, &f))
			world_send(w, side, &f, false, NULL);
	} else if (random_permille(&w->random, 20) && endpoint_resend(e, &f)) {
		world_send(w, side, &f, false, NULL);
	}
}

/* The network had kept a copy of the honest client's SYN. */
static void late_syn(struct world *w)
{
	struct frame f;

	if (w->end[0].state != END_open)
		return;
	endpoint_segment(&w->end[0], &f, NULL, 0, 0, FRAME_SYN);
	f.seq = w->end[0].iss;
	world_send(w, 0, &f, false, "a late duplicate");
}

static void act(struct world *w)
{
	unsigned int side = random_below(&w->random, 2);

	if (!is_honest(w, side)) {
		attacker_act(w);
		return;
	}
	if (w->kind == WORLD_spoofed && w->end[0].state == END_open &&
	    w->end[1].state == END_open && random_permille(&w->random, 60)) {
		spoofer_act(w);
		return;
	}
	if (w->kind == WORLD_attack && side == 0 &&
	    (w->attacker.tricks & TRICK_resync) &&
	    random_permille(&w->random, 30)) {
		late_syn(w);
		return;
	}
	honest_act(w, side);
}

/* ---- setting up ------------------------------------------------------ */

static void choose_network(struct world *w, struct network *net)
{
	static const uint32_t rates[] = { 0, 0, 5, 30, 200 };
	struct random *r = &w->random;

	net->loses = rates[random_below(r, 5)];
	net->doubles = rates[random_below(r, 5)];
	net->reorders = rates[random_below(r, 5)];
}

static void choose_addresses(struct world *w)
{
	struct random *r = &w->random;
	struct frame *c = &w->end[0].head;
	unsigned int side, net;
	uint8_t *address;

	memset(c, 0, sizeof(*c));
	c->l4 = 6;
	c->family = random_permille(r, 600) ? 4 : 6;
	c->vlan =
	    random_permille(r, 200) ? (uint16_t)random_within(r, 1, 4094) : 0;
	c->sport = (uint16_t)random_within(r, 1024, 65535);
	c->dport = w->script.port;
	w->port_of[0] = w->kind == WORLD_watched ? 1 : random_within(r, 1, 2);
	w->port_of[1] = 3 - w->port_of[0];
	for (side = 0; side < 2; side++) {
		net = w->port_of[side];
		if (w->kind == WORLD_watched && side == 0)
			net = 3;
		address = side ? c->dst : c->src;
		if (c->family == 4) {
			address[12] = 10;
			address[13] = (uint8_t)net;
			random_fill(r, address + 14, 2);
		} else {
			address[0] = 0xfd;
			address[1] = (uint8_t)net;
			random_fill(r, address + 4, 12);
		}
	}
	memcpy(c->src_mac, "\x02\0\0\0\0\1", 6);
	memcpy(c->dst_mac, "\x02\0\0\0\0\2", 6);
	w->end[1].head = *c;
	frame_turn(&w->end[1].head);
}

static uint32_t choose_mss(struct random *r, uint32_t len)
{
	if (random_permille(r, 200) && len < 500)
		return 1;
	if (random_permille(r, 200) && len < 4000)
		return random_within(r, 2, 30);
	if (random_permille(r, 300))
		return 0;
	return random_permille(r, 500) ? 1460 : random_within(r, 30, 1460);
}

static uint32_t choose_window(struct random *r)
{
	if (random_permille(r, 200))
		return random_within(r, 300, 3000);
	if (random_permille(r, 100))
		return random_within(r, 100000, 300000);
	return random_within(r, 20000, 65535);
}

static void choose_end(struct world *w, unsigned int side)
{
	struct endpoint *e = &w->end[side];
	struct random *r = &w->random;
	uint32_t len = w->script.len[side];

	e->side = side;
	e->script = &w->script;
	e->out = w->script.stream[side];
	e->random = r;
	e->mss = choose_mss(r, len);
	e->flight = random_within(r, 1, 24);
	e->window = choose_window(r);
	e->offers_scale = random_permille(r, 600);
	e->scale = (uint8_t)random_below(r, 8);
	/* The window of the SYN must not be more than scaling can say after. */
	e->window &= ~((1U << e->scale) - 1);
	e->stamps = random_permille(r, 300);
	e->ecn = random_permille(r, 100);
	e->half_closes = random_permille(r, 200);
	e->lazy = random_permille(r, 200);
	e->replaces = w->kind == WORLD_attack && random_permille(r, 300);
	e->last_wins = random_permille(r, 500);
	e->probes_data = random_permille(r, 500);
	e->merges = random_permille(r, 500);
	e->aborts = false;
	e->iss = (uint32_t)random_next(r);
	if (random_permille(r, 300))
		e->iss = 0U - random_below(r, len + 2);
	if (e->iss + len + 2 < e->iss)
		w->tally->wrapped++;
	e->incarnations = 0;
	e->resets = 0;
	endpoint_begin(e);
}

static enum world_kind choose_kind(struct random *r)
{
	uint32_t k = random_below(r, 100);

	if (k < 40)
		return WORLD_honest;
	if (k < 50)
		return WORLD_spoofed;
	return k < 95 ? WORLD_attack : WORLD_watched;
}

static void set_up(struct world *w, uint64_t seed)
{
	struct random *r = &w->random;
	unsigned int i;

	r->state = seed;
	w->kind = choose_kind(r);
	script_make(&w->script, r);
	choose_addresses(w);
	choose_end(w, 0);
	choose_end(w, 1);
	choose_network(w, &w->before);
	choose_network(w, &w->behind);
	w->n_unused = w->under_way = 0;
	for (i = 0; i < 4 * QUEUE; i++)
		w->unused[w->n_unused++] = (uint16_t)i;
	for (i = 0; i < 2; i++)
		w->queue_before[i].n = w->queue_behind[i].n = 0;
	w->incarnations = w->steps = 0;
	w->poisoned = w->closed = w->ending = false;
	w->fin_passed[0] = w->fin_passed[1] = false;
	w->fault[0] = 0;
	strict_begin(&w->strict, &w->script);
	if (w->kind == WORLD_attack) {
		w->attacker.side = random_below(r, 2);
		attacker_begin(w);
	} else if (w->kind == WORLD_watched) {
		i = random_below(r, 2);
		if (random_permille(r, 500) && script_spoil(&w->script, r, i))
			w->end[i].out = w->script.evil;
	} else if (random_permille(r, 150)) {
		w->end[random_below(r, 2)].aborts = true;
	}
}

/* ---- running --------------------------------------------------------- */

static bool step(struct world *w)
{
	w->steps++;
	if (w->under_way && random_permille(&w->random, 600))
		return move_one(w);
	act(w);
	return true;
}

static bool completed(const struct world *w)
{
	unsigned int side;

	for (side = 0; side < 2; side++)
		if (w->end[side].aborts)
			return w->end[side].state == END_reset;
	return endpoint_done(&w->end[0]) && endpoint_done(&w->end[1]);
}

static bool check_delivered(struct world *w)
{
	const struct endpoint *e;
	unsigned int side;

	for (side = 0; side < 2; side++) {
		e = &w->end[!side];
		if (e->rcv_nxt < w->script.len[side] ||
		    memcmp(e->in, w->end[side].out, w->script.len[side]) != 0)
			return fault(w,
				     "an honest end holds other bytes than "
				     "were sent",
				     side ? "client" : "server");
		if (w->kind == WORLD_watched)
			continue;
		if (!w->strict.side[side].forever &&
		    w->strict.side[side].pos < w->script.len[side])
			return fault(w,
				     "an honest conversation was not judged "
				     "to its end",
				     w->strict.fault);
	}
	return true;
}

/* Grows whenever an end has received, or was acknowledged, something. */
static uint64_t progress(const struct world *w)
{
	const struct endpoint *c = &w->end[0], *s = &w->end[1];

	return (uint64_t)c->una + s->una + c->rcv_nxt + s->rcv_nxt + c->read +
	       s->read + c->state + s->state + c->fin_acked + s->fin_acked +
	       c->fin_read + s->fin_read;
}

static bool run_to_end(struct world *w)
{
	uint64_t now, before = 0;
	uint32_t since = w->steps;

	while (!completed(w)) {
		now = progress(w);
		if (now != before)
			since = w->steps;
		before = now;
		if (w->steps - since > STEPS_STILL)
			return fault(w,
				     "an honest conversation does not "
				     "complete",
				     NULL);
		if (!step(w))
			return false;
	}
	return check_delivered(w);
}

/* Waits until nothing is under way, then the same ports once more: an honest
 * client may, RFC 9293 3.6.1. */
static bool begin_again(struct world *w)
{
	while (w->under_way)
		if (!move_one(w))
			return false;
	note(w, "the same ports once more");
	w->end[0].iss += 0x50000000 + random_below(&w->random, 1000);
	endpoint_begin(&w->end[0]);
	endpoint_begin(&w->end[1]);
	w->closed = w->fin_passed[0] = w->fin_passed[1] = false;
	w->tally->reused++;
	return true;
}

static bool run_honest(struct world *w)
{
	if (!run_to_end(w))
		return false;
	if (!random_permille(&w->random, 100))
		return true;
	return begin_again(w) && run_to_end(w);
}

/* After a refusal whatever the honest end says is turned round: it learns that
 * the connection is over. */
static bool check_told(struct world *w)
{
	unsigned int side = !w->attacker.side;
	struct endpoint *e = &w->end[side];
	struct frame f;

	if (!w->poisoned)
		return true;
	w->tally->poisoned++;
	if (e->state != END_open || e->incarnations != w->poison_incarnation) {
		w->tally->reset += e->resets > 0;
		return true;
	}
	endpoint_segment(e, &f, NULL, e->nxt + e->fin_sent, 0, FRAME_ACK);
	note(w, "does the honest end learn of the refusal?");
	world_send(w, side, &f, false, NULL);
	while (w->under_way)
		if (!move_one(w))
			return false;
	if (e->state == END_open)
		return fault(w,
			     "the honest end was not told that the "
			     "connection is over",
			     NULL);
	w->tally->reset++;
	return true;
}

static bool run_attack(struct world *w)
{
	uint32_t limit = random_within(&w->random, 40, 400);
	static const struct network calm;

	while (w->steps < limit)
		if (!step(w))
			return false;
	w->before = w->behind = calm;
	w->ending = true;
	while (w->under_way || random_permille(&w->random, 900)) {
		if (w->under_way) {
			if (!move_one(w))
				return false;
		} else {
			honest_act(w, !w->attacker.side);
		}
		if (++w->steps > STEPS_MOST)
			return fault(w, "the network never falls silent", NULL);
	}
	return check_told(w);
}

static void count(struct world *w)
{
	struct tally *t = w->tally;
	unsigned int side;

	t->schedules[w->kind]++;
	t->protos[w->script.proto]++;
	t->steps += w->steps;
	for (side = 0; side < 2; side++)
		t->bytes += w->strict.side[side].pos;
	t->messages += w->strict.messages;
	t->opaque_changes += w->strict.opaque_changes;
	w->strict.messages = w->strict.opaque_changes = 0;
}

bool world_run(struct world *w, uint64_t seed)
{
	bool ok;

	set_up(w, seed);
	ok = w->kind == WORLD_attack ? run_attack(w) : run_honest(w);
	count(w);
	return ok;
}
