/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "endpoint.h"

enum { ECE = 0x40, CWR = 0x80 };

void endpoint_begin(struct endpoint *e)
{
	e->state = e->side ? END_listen : END_idle;
	e->out_len = e->script->len[e->side];
	e->irs = 0;
	e->una = e->nxt = 0;
	e->fin_sent = e->fin_acked = false;
	e->probed = e->recovers = false;
	e->edge = 0;
	e->peer_scale = 0;
	e->scaled = false;
	e->n_segments = 0;
	e->rcv_nxt = e->read = 0;
	e->rcv_edge = e->window;
	e->has_peer_fin = e->fin_read = false;
	e->ack_due = false;
	memset(e->in_have, 0, e->in_high);
	e->in_high = 0;
}

/* ---- making segments ------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* RFC 7323 3.2, aligned as its appendix A says. */
static void add_stamp(struct endpoint *e, struct frame *f)
{
	uint8_t *p = f->options + f->options_len;

	if (!e->stamps)
		return;
	put32(p, 0x0101080a);
	put32(p + 4, e->stamp++);
	put32(p + 8, 0);
	f->options_len += 12;
}

static void add_syn_options(struct endpoint *e, struct frame *f)
{
	static const uint8_t size[4] = { 2, 4, 1460 >> 8, 1460 & 0xff };

	memcpy(f->options, size, 4);
	f->options_len = 4;
	if (e->offers_scale) {
		put32(f->options + 4, 0x01030300U | e->scale);
		f->options_len += 4;
	}
	add_stamp(e, f);
}

static uint16_t advertised(const struct endpoint *e)
{
	uint32_t room = e->rcv_edge - e->rcv_nxt;

	if (e->rcv_edge < e->rcv_nxt)
		return 0;
	if (e->scaled)
		room >>= e->scale;
	return (uint16_t)(room < 65535 ? room : 65535);
}

void endpoint_segment(const struct endpoint *e, struct frame *ret,
		      const uint8_t *from, uint32_t first, uint32_t len,
		      uint8_t flags)
{
	*ret = e->head;
	ret->flags = flags;
	ret->seq = e->iss + 1 + first;
	if (flags & FRAME_ACK)
		ret->ack = e->irs + 1 + e->rcv_nxt + e->fin_read;
	ret->window = advertised(e);
	ret->payload = len ? from + first : NULL;
	ret->payload_len = len;
}

static void make_ack(struct endpoint *e, struct frame *ret)
{
	endpoint_segment(e, ret, NULL, e->nxt + (e->fin_sent ? 1 : 0), 0,
			 FRAME_ACK);
	add_stamp(e, ret);
	e->ack_due = false;
}

static void make_syn(struct endpoint *e, struct frame *ret)
{
	uint8_t flags = FRAME_SYN;

	if (e->state == END_syn_rcvd)
		flags |= FRAME_ACK | (e->ecn ? ECE : 0);
	else
		flags |= e->ecn ? ECE | CWR : 0;
	endpoint_segment(e, ret, NULL, 0, 0, flags);
	ret->seq = e->iss;
	ret->window = (uint16_t)(e->window < 65535 ? e->window : 65535);
	add_syn_options(e, ret);
}

/* The answer to what belongs to no connection. RFC 9293 3.10.7.1 */
static bool make_rst(const struct endpoint *e, const struct frame *f,
		     struct frame *ret)
{
	if ((f->flags & FRAME_RST) || !(f->flags & FRAME_ACK))
		return false;
	*ret = e->head;
	ret->flags = FRAME_RST;
	ret->seq = f->ack;
	return true;
}

static void make_data(struct endpoint *e, struct frame *ret,
		      const struct end_segment *g)
{
	uint8_t flags = FRAME_ACK;

	if (g->fin)
		flags |= FRAME_FIN;
	if (g->end == e->nxt || random_permille(e->random, 300))
		flags |= FRAME_PSH;
	endpoint_segment(e, ret, e->out, g->first, g->end - g->first, flags);
	add_stamp(e, ret);
	e->ack_due = false;
}

/* ---- receiving ------------------------------------------------------- */

static void app_reads(struct endpoint *e)
{
	bool was_closed = e->rcv_edge <= e->rcv_nxt;

	e->read = e->rcv_nxt;
	if (e->read + e->window > e->rcv_edge)
		e->rcv_edge = e->read + e->window;
	if (was_closed && e->rcv_edge > e->rcv_nxt)
		e->ack_due = true;
}

static void learn_options(struct endpoint *e, const struct frame *f)
{
	unsigned int i = 0;

	e->scaled = false;
	while (i + 2 < f->options_len && f->options[i]) {
		if (f->options[i] == 1) {
			i++;
			continue;
		}
		if (f->options[i] == 3 && e->offers_scale) {
			e->scaled = true;
			e->peer_scale = f->options[i + 2];
		}
		if (f->options[i + 1] < 2)
			return;
		i += f->options[i + 1];
	}
}

static void learn_peer(struct endpoint *e, const struct frame *f)
{
	e->irs = f->seq;
	learn_options(e, f);
	e->edge = f->window; /* never scaled on a SYN */
}

static bool listen_receive(struct endpoint *e, const struct frame *f,
			   struct frame *ret)
{
	if (f->flags & (FRAME_RST | FRAME_ACK))
		return make_rst(e, f, ret);
	if (!(f->flags & FRAME_SYN))
		return false;
	/* Behind the old number, by chance or by the clock of RFC 6528 3. */
	if (e->incarnations)
		e->iss += random_permille(e->random, 500)
			      ? 0x50000000 + random_below(e->random, 1000)
			      : random_within(e->random, 100000, 10000000);
	endpoint_begin(e);
	e->incarnations++;
	learn_peer(e, f);
	e->offers_scale = e->offers_scale && e->scaled;
	e->state = END_syn_rcvd;
	make_syn(e, ret);
	return true;
}

static bool syn_sent_receive(struct endpoint *e, const struct frame *f,
			     struct frame *ret)
{
	bool answers = (f->flags & FRAME_ACK) && f->ack == e->iss + 1;

	if (f->flags & FRAME_RST) {
		if (answers) {
			e->state = END_reset;
			e->resets++;
		}
		return false;
	}
	if ((f->flags & FRAME_ACK) && !answers)
		return make_rst(e, f, ret);
	if (!answers || !(f->flags & FRAME_SYN))
		return false;
	learn_peer(e, f);
	e->state = END_open;
	e->incarnations++;
	make_ack(e, ret);
	return true;
}

static void ends_by_rst(struct endpoint *e)
{
	e->resets++;
	e->state = e->side ? END_listen : END_reset;
}

static void pop_acked(struct endpoint *e, uint32_t upto)
{
	struct end_segment *g = e->segments;
	unsigned int n = 0;

	while (n < e->n_segments && g[n].end <= upto &&
	       (!g[n].fin || upto > g[n].end))
		n++;
	memmove(g, g + n, (e->n_segments - n) * sizeof(*g));
	e->n_segments -= n;
	if (e->n_segments && g[0].first < upto)
		g[0].first = upto;
}

/* False: it acknowledges what was never sent. */
static bool take_ack(struct endpoint *e, const struct frame *f)
{
	int32_t upto = (int32_t)(f->ack - (e->iss + 1));
	uint32_t sent = e->nxt + (e->fin_sent || e->probed ? 1 : 0);
	uint64_t edge;

	if (upto < 0)
		return true;
	if ((uint32_t)upto > sent)
		return false;
	if ((uint32_t)upto > e->una || !e->una) {
		pop_acked(e, (uint32_t)upto);
		if ((uint32_t)upto >= e->recover)
			e->recovers = false;
		if (e->fin_sent && (uint32_t)upto == e->out_len + 1) {
			e->fin_acked = true;
			upto--;
		}
		e->una = (uint32_t)upto;
		if (e->una > e->nxt) {
			e->nxt = e->una;
			e->probed = false;
		}
	}
	edge = (uint64_t)upto +
	       ((uint64_t)f->window << (e->scaled ? e->peer_scale : 0));
	if (edge > e->edge)
		e->edge = edge < 0x40000000 ? (uint32_t)edge : 0x40000000;
	return true;
}

static void store(struct endpoint *e, int64_t first, const struct frame *f)
{
	int64_t at, edge = e->rcv_edge;
	size_t i;

	if (edge > (int64_t)sizeof(e->in))
		edge = sizeof(e->in);
	for (i = 0; i < f->payload_len; i++) {
		at = first + (int64_t)i;
		if (at < e->rcv_nxt || at >= edge)
			continue;
		if (e->in_have[at] && !e->last_wins)
			continue;
		e->in[at] = f->payload[i];
		e->in_have[at] = 1;
		if (at >= e->in_high)
			e->in_high = (uint32_t)at + 1;
	}
	while (e->rcv_nxt < e->in_high && e->in_have[e->rcv_nxt])
		e->rcv_nxt++;
}

static void take_data(struct endpoint *e, int64_t first, const struct frame *f)
{
	int64_t end = first + (int64_t)f->payload_len;

	if (f->payload_len || (f->flags & FRAME_FIN))
		e->ack_due = true;
	if (e->fin_read)
		return;
	store(e, first, f);
	if ((f->flags & FRAME_FIN) && !e->has_peer_fin && end >= e->rcv_nxt &&
	    end <= e->rcv_edge) {
		e->has_peer_fin = true;
		e->peer_fin = (uint32_t)end;
	}
	if (e->has_peer_fin && e->rcv_nxt >= e->peer_fin) {
		e->rcv_nxt = e->peer_fin;
		e->fin_read = true;
	}
	if (!e->lazy)
		app_reads(e);
}

/* RFC 9293 3.4: does it touch the window? */
static bool acceptable(const struct endpoint *e, int64_t first,
		       const struct frame *f)
{
	int64_t len = (int64_t)f->payload_len + !!(f->flags & FRAME_FIN);
	int64_t next = (int64_t)e->rcv_nxt + e->fin_read;

	if (!len)
		return first >= next && first <= (int64_t)e->rcv_edge;
	return first + len > next &&
	       (first < (int64_t)e->rcv_edge || first == next);
}

static bool open_receive(struct endpoint *e, const struct frame *f,
			 struct frame *ret)
{
	int64_t first = (int32_t)(f->seq - (e->irs + 1));

	if (f->flags & FRAME_RST) {
		if (first == (int64_t)e->rcv_nxt + e->fin_read) {
			ends_by_rst(e);
			return false;
		}
		if (!acceptable(e, first, f))
			return false;
	}
	/* RFC 5961 3.2, 4.2 and an old segment: all get the same ACK. */
	if ((f->flags & (FRAME_RST | FRAME_SYN)) || !acceptable(e, first, f) ||
	    ((f->flags & FRAME_ACK) && !take_ack(e, f))) {
		make_ack(e, ret);
		return true;
	}
	if (f->flags & FRAME_ACK)
		take_data(e, first, f);
	return false;
}

static bool syn_rcvd_receive(struct endpoint *e, const struct frame *f,
			     struct frame *ret)
{
	if (f->flags & FRAME_RST) {
		if (f->seq == e->irs + 1)
			ends_by_rst(e);
		return false;
	}
	if (f->flags & FRAME_SYN) {
		if (f->flags & FRAME_ACK)
			return false;
		if (f->seq != e->irs) {
			if (!e->replaces)
				return false;
			return listen_receive(e, f, ret);
		}
		make_syn(e, ret);
		return true;
	}
	if (!(f->flags & FRAME_ACK))
		return false;
	if (f->ack != e->iss + 1)
		return make_rst(e, f, ret);
	e->state = END_open;
	return open_receive(e, f, ret);
}

bool endpoint_receive(struct endpoint *e, const struct frame *f,
		      struct frame *ret_answer)
{
	if (f->bad_checksum)
		return false;
	switch (e->state) {
	case END_idle:
		return false;
	case END_listen:
		return listen_receive(e, f, ret_answer);
	case END_syn_sent:
		return syn_sent_receive(e, f, ret_answer);
	case END_syn_rcvd:
		return syn_rcvd_receive(e, f, ret_answer);
	case END_open:
		return open_receive(e, f, ret_answer);
	case END_reset:
		break;
	}
	return make_rst(e, f, ret_answer);
}

/* ---- sending --------------------------------------------------------- */

/* What the application has written so far. */
static uint32_t written(const struct endpoint *e)
{
	const struct script_message *m;
	uint32_t i, bytes = 0;

	for (i = 0; i < e->script->n_messages; i++) {
		m = &e->script->messages[i];
		if (m->from_server != e->side)
			continue;
		if (m->after > e->read)
			break;
		bytes = m->first + m->len;
	}
	return bytes < e->out_len ? bytes : e->out_len;
}

static bool may_close(const struct endpoint *e, uint32_t upto)
{
	if (e->aborts)
		return false;
	if (e->fin_read && e->read == e->rcv_nxt)
		return true;
	if (upto != e->out_len)
		return false;
	return e->half_closes || e->read >= e->script->len[!e->side];
}

static uint32_t next_size(const struct endpoint *e)
{
	if (e->mss)
		return e->mss;
	if (random_permille(e->random, 400))
		return random_within(e->random, 1, 20);
	return random_within(e->random, 1, 1460);
}

static bool send_new(struct endpoint *e, uint32_t avail, struct frame *ret)
{
	struct end_segment *g = &e->segments[e->n_segments];
	uint32_t len = next_size(e);
	bool closes;

	if (e->n_segments >= e->flight || e->fin_sent || e->recovers)
		return false;
	if (len > avail - e->nxt)
		len = avail - e->nxt;
	if (e->nxt + len > e->edge)
		len = e->edge > e->nxt ? e->edge - e->nxt : 0;
	closes = e->nxt + len == avail && may_close(e, avail) &&
		 (len == 0 || random_permille(e->random, 500));
	if (!len && !(closes && e->nxt == avail))
		return false;
	g->first = e->nxt;
	g->end = e->nxt + len;
	g->fin = closes;
	e->n_segments++;
	e->nxt = g->end;
	e->probed = false;
	if (closes) {
		e->fin_sent = true;
		e->out_len = g->end;
	}
	make_data(e, ret, g);
	return true;
}

static bool send_abort(struct endpoint *e, struct frame *ret)
{
	if (!e->aborts || e->una != e->out_len ||
	    e->read < e->script->len[!e->side])
		return false;
	endpoint_segment(e, ret, NULL, e->nxt, 0, FRAME_RST | FRAME_ACK);
	e->state = END_reset;
	return true;
}

bool endpoint_act(struct endpoint *e, struct frame *ret)
{
	if (e->state == END_idle) {
		e->state = END_syn_sent;
		make_syn(e, ret);
		return true;
	}
	if (e->state != END_open)
		return false;
	if (e->lazy && random_permille(e->random, 200))
		app_reads(e);
	if (send_abort(e, ret))
		return true;
	if ((!e->ack_due || random_permille(e->random, 600)) &&
	    send_new(e, written(e), ret))
		return true;
	if (!e->ack_due)
		return false;
	make_ack(e, ret);
	return true;
}

/* As Linux does: all that fit, unless a neighbour has arrived already. */
static void merge(struct endpoint *e, unsigned int i)
{
	struct end_segment *g = e->segments;

	while (e->merges && i + 1 < e->n_segments &&
	       g[i + 1].end - g[i].first <= 1460 &&
	       random_permille(e->random, 950)) {
		g[i].end = g[i + 1].end;
		g[i].fin = g[i + 1].fin;
		memmove(g + i + 1, g + i + 2,
			(e->n_segments - i - 2) * sizeof(*g));
		e->n_segments--;
	}
}

bool endpoint_resend(struct endpoint *e, struct frame *ret)
{
	unsigned int i;

	if (e->state != END_open || !e->n_segments)
		return false;
	i = random_below(e->random, e->n_segments);
	make_data(e, ret, &e->segments[i]);
	return true;
}

/* Nothing is under way and nothing can be sent: is the peer alive, has its
 * window opened? RFC 9293 3.8.6.1, 3.8.4 */
static bool probe(struct endpoint *e, struct frame *ret)
{
	bool closed = e->nxt < written(e) && e->edge <= e->nxt;

	if (closed && e->probes_data && e->edge == e->nxt) {
		e->probed = true;
		endpoint_segment(e, ret, e->out, e->nxt, 1, FRAME_ACK);
	} else if (e->una && !e->fin_acked && random_permille(e->random, 500)) {
		endpoint_segment(e, ret, e->out, e->una - 1, 1, FRAME_ACK);
	} else {
		endpoint_segment(e, ret, NULL, e->una - 1, 0, FRAME_ACK);
	}
	if (e->fin_acked)
		ret->seq++;
	add_stamp(e, ret);
	return true;
}

bool endpoint_timeout(struct endpoint *e, struct frame *ret)
{
	if (e->state == END_syn_sent || e->state == END_syn_rcvd) {
		make_syn(e, ret);
		return true;
	}
	if (e->state != END_open)
		return false;
	if (e->lazy)
		app_reads(e);
	if (!e->n_segments)
		return probe(e, ret);
	/* RFC 5681 3.1: a window of one segment, and what is lost first. */
	e->recovers = true;
	e->recover = e->nxt;
	merge(e, 0);
	make_data(e, ret, &e->segments[0]);
	return true;
}

bool endpoint_done(const struct endpoint *e)
{
	if (e->state != END_open)
		return e->aborts && e->state == END_reset;
	return e->fin_acked && e->fin_read &&
	       e->rcv_nxt >= e->script->len[!e->side];
}
