/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "world.h"

static struct endpoint *own_end(struct world *w)
{
	return &w->end[w->attacker.side];
}

static void remember(struct attacker *a, uint32_t first, uint32_t len)
{
	unsigned int i = a->n_history++ % HISTORY;

	a->history[i].first = first;
	a->history[i].len = len;
}

void attacker_begin(struct world *w)
{
	struct attacker *a = &w->attacker;
	struct random *r = &w->random;
	struct endpoint *e = own_end(w);
	uint32_t i, n = random_within(r, 1, 6);

	a->n_history = 0;
	a->tricks = 0;
	for (i = random_within(r, 0, 3); i--;)
		a->tricks |= 1U << random_below(r, TRICKS);
	if (random_permille(r, 100))
		a->tricks = (1U << TRICKS) - 1;
	a->tricky = random_within(r, 20, 600);
	script_spoil(&w->script, r, a->side);
	a->lies = w->script.has_evil && random_permille(r, 500);
	e->out = a->lies ? w->script.evil : w->script.stream[a->side];
	memcpy(a->garbled, w->script.stream[a->side], w->script.len[a->side]);
	while (n-- && w->script.len[a->side])
		a->garbled[random_below(r, w->script.len[a->side])] ^=
		    (uint8_t)random_within(r, 1, 255);
	if (a->tricks & TRICK_eager)
		for (i = 0; i < w->script.n_messages; i++)
			if (w->script.messages[i].from_server == a->side)
				w->script.messages[i].after = 0;
}

/* ---- segments of its own making -------------------------------------- */

/* It may have guessed the number of an answer that it has not seen. */
static void guess(struct world *w, struct frame *f)
{
	const struct endpoint *other = &w->end[!w->attacker.side];

	if (other->state == END_syn_rcvd && random_permille(&w->random, 600))
		f->ack = other->iss + 1;
}

static const uint8_t *other_bytes(struct world *w, const char **ret_what)
{
	struct attacker *a = &w->attacker;

	switch (random_below(&w->random, 4)) {
	case 3:
		if (w->script.has_swallow) {
			*ret_what = "a long record over a spoilt message";
			return w->script.swallow;
		}
		break;
	case 0:
		*ret_what = "honest bytes";
		return w->script.stream[a->side];
	case 1:
		if (w->script.has_evil) {
			*ret_what = w->script.evil_what;
			return w->script.evil;
		}
		break;
	}
	*ret_what = "garbled bytes";
	return a->garbled;
}

static void clip(const struct world *w, uint32_t *first, uint32_t *len)
{
	uint32_t have = w->script.len[w->attacker.side];

	if (*first >= have)
		*first = have ? have - 1 : 0;
	if (*len > have - *first)
		*len = have - *first;
}

static void send_range(struct world *w, uint32_t first, uint32_t len,
		       const uint8_t *bytes, const char *note)
{
	struct frame f;

	clip(w, &first, &len);
	if (len > 1460)
		len = 1460;
	endpoint_segment(own_end(w), &f, bytes, first, len,
			 FRAME_ACK | FRAME_PSH);
	guess(w, &f);
	remember(&w->attacker, first, len);
	world_send(w, w->attacker.side, &f, false, note);
}

/* A range that stands to one sent before in any of Allen's thirteen ways. */
static void choose_range(struct world *w, uint32_t *ret_first,
			 uint32_t *ret_len)
{
	struct attacker *a = &w->attacker;
	struct random *r = &w->random;
	uint32_t n = a->n_history < HISTORY ? a->n_history : HISTORY;
	uint32_t i = random_below(r, n ? n : 1), from, to, k;
	uint32_t first = n ? a->history[i].first : 0;
	uint32_t last = n ? first + a->history[i].len : 10;
	uint32_t points[6];

	k = random_within(r, 1, 12);
	points[0] = first > k ? first - k : 0;
	points[1] = first;
	points[2] = first + (last - first) / 2;
	points[3] = last > first + k ? last - k : last;
	points[4] = last;
	points[5] = last + k;
	from = random_below(r, 5);
	to = random_within(r, from + 1, 5);
	*ret_first = points[from];
	*ret_len = points[to] > points[from] ? points[to] - points[from] : 1;
}

static void trick_rewrite(struct world *w)
{
	uint32_t first, len;
	const uint8_t *bytes;
	const char *what;

	choose_range(w, &first, &len);
	bytes = other_bytes(w, &what);
	send_range(w, first, len, bytes, what);
}

static void trick_hole(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	const uint8_t *bytes = e->out;
	const char *what = "beyond a hole";

	if (random_permille(r, 300))
		bytes = other_bytes(w, &what);
	send_range(w, e->nxt + random_within(r, 1, 30),
		   random_within(r, 1, 200), bytes, what);
}

static void trick_outside(struct world *w)
{
	static const int32_t far[] = { -70000,	   -2000,      -20,
				       -1,	   0,	       70000,
				       0x3fffffff, 0x40000001, 0x7fffffff,
				       -0x40000000 };
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	struct frame f;

	endpoint_segment(e, &f, w->attacker.garbled, 0,
			 random_below(r, w->script.len[e->side] < 40
					     ? w->script.len[e->side] + 1
					     : 40),
			 FRAME_ACK);
	f.seq = e->iss + 1 + e->una + (uint32_t)far[random_below(r, 10)];
	world_send(w, e->side, &f, false, "outside the window");
}

static void trick_rst(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	struct frame f;
	bool exact = random_permille(r, 100);

	endpoint_segment(e, &f, NULL, 0, 0,
			 FRAME_RST | (random_permille(r, 500) ? FRAME_ACK : 0));
	f.seq = e->iss + 1 + e->nxt;
	if (!exact)
		f.seq += random_within(r, 1, 3000) - 1500;
	world_send(w, e->side, &f, false, exact ? "exact RST" : "RST");
}

static void trick_fin(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	uint32_t first = e->nxt > 8 ? e->nxt - random_below(r, 8) : e->nxt;
	uint32_t len = random_below(r, 4);
	struct frame f;

	first += random_permille(r, 300) ? random_below(r, 60) : 0;
	clip(w, &first, &len);
	endpoint_segment(e, &f, e->out, first, len, FRAME_FIN | FRAME_ACK);
	world_send(w, e->side, &f, false, "FIN out of place");
}

static void trick_syn(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	struct frame f;
	uint8_t flags = FRAME_SYN;

	if (random_permille(r, e->side ? 600 : 200))
		flags |= FRAME_ACK;
	endpoint_segment(e, &f, NULL, 0, 0, flags);
	f.seq = e->iss;
	if (random_permille(r, 700))
		f.seq += 0x30000000 + random_below(r, 0x10000000);
	else if (random_permille(r, 500) && e->state == END_open)
		f.seq += e->nxt + random_below(r, 2000);
	world_send(w, e->side, &f, false, "SYN again");
}

static void trick_ack(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	struct frame f;

	endpoint_segment(e, &f, NULL, e->nxt, 0, FRAME_ACK);
	f.ack += random_within(r, 1, random_permille(r, 500) ? 20 : 100000);
	if (random_permille(r, 200))
		f.ack += 0x40000000;
	world_send(w, e->side, &f, false, "ACK of what nobody sent");
}

/* Its own words, or those of the honest end, from the wrong side. */
static void trick_port(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct endpoint *other = &w->end[!e->side];
	struct frame f;

	if (random_permille(&w->random, 500)) {
		endpoint_segment(
		    e, &f, w->attacker.garbled, 0,
		    w->script.len[e->side] < 50 ? w->script.len[e->side] : 50,
		    FRAME_ACK);
		f.seq += e->nxt;
		world_send(w, e->side, &f, true, "wrong port");
		return;
	}
	endpoint_segment(other, &f, NULL, other->nxt, 0, FRAME_ACK);
	world_send(w, e->side, &f, false, "in the other's name");
}

/* The receiver drops it for its checksum; the gate cannot know. */
static void trick_invisible(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	uint32_t first = e->nxt, len = random_within(r, 1, 60);
	const uint8_t *bytes;
	const char *what;
	struct frame f;

	bytes = other_bytes(w, &what);
	clip(w, &first, &len);
	endpoint_segment(e, &f, bytes, first, len, FRAME_ACK);
	f.bad_checksum = true;
	remember(&w->attacker, first, len);
	world_send(w, e->side, &f, false, what);
}

static void trick_early(struct world *w)
{
	struct endpoint *e = own_end(w);
	uint32_t first = 0, len = random_within(&w->random, 1, 100);
	struct frame f;

	if (e->state == END_open) {
		trick_rewrite(w);
		return;
	}
	clip(w, &first, &len);
	endpoint_segment(e, &f, e->out, first, len, FRAME_ACK);
	if (random_permille(&w->random, 300))
		f.ack = w->end[!e->side].iss + 1;
	remember(&w->attacker, first, len);
	world_send(w, e->side, &f, false, "data before the handshake");
}

/* The honest end is gone: the same ports once more. */
static void trick_reopen(struct world *w)
{
	struct endpoint *e = own_end(w);

	if (e->side || !w->end[1].resets || w->end[1].state != END_listen ||
	    e->state == END_syn_sent)
		return;
	e->iss += 0x50000000 + random_below(&w->random, 1000);
	endpoint_begin(e);
	w->attacker.n_history = 0;
	w->tally->reopened++;
	if (random_permille(&w->random, 500))
		e->out = w->script.stream[0];
}

static void trick_flags(struct world *w)
{
	static const uint8_t odd[] = {
		0,
		FRAME_FIN,
		FRAME_SYN | FRAME_FIN,
		FRAME_SYN | FRAME_RST,
		FRAME_RST | FRAME_FIN,
		FRAME_FIN | FRAME_PSH | FRAME_URG,
		FRAME_SYN | FRAME_URG,
		FRAME_PSH,
		0x3f,
		0xff,
		FRAME_URG | FRAME_ACK,
	};
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	uint32_t first = e->nxt, len = random_below(r, 20);
	struct frame f;

	clip(w, &first, &len);
	endpoint_segment(e, &f, w->attacker.garbled, first, len,
			 odd[random_below(r, sizeof(odd))]);
	f.urgent = (uint16_t)random_below(r, 3);
	remember(&w->attacker, first, len);
	world_send(w, e->side, &f, false, "odd flags");
}

static void trick_repeat(struct world *w)
{
	struct attacker *a = &w->attacker;
	uint32_t n = a->n_history < HISTORY ? a->n_history : HISTORY, i;

	if (!n)
		return;
	i = random_below(&w->random, n);
	send_range(w, a->history[i].first, a->history[i].len, own_end(w)->out,
		   "again");
}

/* Consecutive segments: bytes[from..] at offset `at` of the stream. */
static void send_run(struct world *w, const uint8_t *bytes, uint32_t from,
		     uint32_t at, uint32_t len, const char *what)
{
	struct random *r = &w->random;
	struct frame f;
	uint32_t n;

	clip(w, &from, &len);
	while (len) {
		n = random_within(r, 1, random_permille(r, 500) ? 40 : 1460);
		if (n > len)
			n = len;
		endpoint_segment(own_end(w), &f, bytes, from, n, FRAME_ACK);
		f.seq += at - from;
		guess(w, &f);
		remember(&w->attacker, at, n);
		if (!world_send(w, w->attacker.side, &f, false, what))
			return;
		from += n;
		at += n;
		len -= n;
	}
}

static uint32_t choose_start(struct world *w)
{
	struct endpoint *e = own_end(w);
	uint32_t i = random_below(&w->random, w->script.n_messages);

	switch (random_below(&w->random, 4)) {
	case 0:
		return 0;
	case 1:
		return e->una;
	case 2:
		return e->nxt;
	}
	if (w->script.messages[i].from_server == e->side)
		return w->script.messages[i].first;
	return w->script.evil_first;
}

static void trick_run(struct world *w)
{
	uint32_t start = choose_start(w);
	const uint8_t *bytes;
	const char *what;

	bytes = other_bytes(w, &what);
	if (random_permille(&w->random, 300))
		send_run(w, bytes, 0, start, 300, "the start out of place");
	else
		send_run(w, bytes, start, start,
			 random_permille(&w->random, 500) ? 3000 : 200, what);
}

/* A second handshake in the middle, as far as one end can make it: will the
 * gate begin to judge anew where the receiver does not? */
static void trick_resync(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	uint32_t at = random_permille(r, 500) ? 0 : choose_start(w);
	struct frame f;

	endpoint_segment(e, &f, NULL, 0, 0, FRAME_SYN);
	if (e->side) {
		f.flags |= FRAME_ACK;
		f.ack = e->irs + 1;
	}
	f.seq = e->iss + at;
	world_send(w, e->side, &f, false, "handshake again");
	if (e->state != END_open || random_permille(r, 300))
		return;
	if (w->script.has_swallow && random_permille(r, 500))
		send_run(w, w->script.swallow, 0, at, SCRIPT_STREAM,
			 "a long record over a spoilt message");
	else
		send_run(w, e->out, 0, at, 300, "the start once more");
}

/* A message begins, and a whole one follows where its rest should. */
static void trick_behind(struct world *w)
{
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	uint32_t i = random_below(r, w->script.n_messages), n = 0;
	const struct script_message *m = &w->script.messages[i];

	if (m->from_server != e->side || e->state != END_open)
		return;
	n = random_within(r, 1, m->len < 9 ? m->len : 9);
	send_run(w, e->out, m->first, e->nxt, n, "the start of a message");
	send_run(w, e->out, m->first, e->nxt + n, m->len,
		 "a whole message behind it");
}

static void (*const tricks[TRICKS])(struct world *w) = {
	trick_rewrite,	 trick_hole,   trick_outside, trick_rst,
	trick_fin,	 trick_syn,    trick_ack,     trick_port,
	trick_invisible, trick_early,  trick_rewrite, trick_reopen,
	trick_flags,	 trick_repeat, trick_run,     trick_resync,
	trick_behind,
};

void attacker_act(struct world *w)
{
	struct attacker *a = &w->attacker;
	struct endpoint *e = own_end(w);
	struct random *r = &w->random;
	unsigned int i = random_below(r, TRICKS);
	struct frame f;

	if (random_permille(r, a->tricky) && (a->tricks & 1U << i)) {
		tricks[i](w);
		return;
	}
	if (!endpoint_act(e, &f)) {
		if (!random_permille(r, 200) || !endpoint_timeout(e, &f))
			return;
	}
	if (f.payload_len)
		remember(a, f.seq - e->iss - 1, (uint32_t)f.payload_len);
	world_send(w, a->side, &f, false, NULL);
}

/* ---- a stranger ------------------------------------------------------ */

void spoofer_act(struct world *w)
{
	static const uint8_t kinds[] = {
		FRAME_SYN,
		FRAME_SYN | FRAME_ACK,
		FRAME_RST,
		FRAME_RST | FRAME_ACK,
		FRAME_ACK,
		FRAME_ACK | FRAME_PSH,
		FRAME_ACK | FRAME_FIN,
	};
	struct random *r = &w->random;
	unsigned int side = random_below(r, 2);
	struct endpoint *e = &w->end[side];
	struct frame f;
	uint8_t text[40];

	memset(text, 'x', sizeof(text));
	endpoint_segment(e, &f, text, 0, 0, kinds[random_below(r, 7)]);
	/* It does not know the window: nowhere near it. */
	f.seq = e->iss + 0x00200000 + random_below(r, 0xffc00000U);
	f.ack = (uint32_t)random_next(r);
	if (f.flags & FRAME_PSH) {
		f.payload = text;
		f.payload_len = random_within(r, 1, sizeof(text));
	}
	world_send(w, side, &f, random_permille(r, 300), "a stranger");
}
