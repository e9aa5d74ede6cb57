/* SPDX-License-Identifier: GPL-2.0-only */
/* From a reason to a verdict, and what is said about it: counters always, an
 * event once per conversation or per first occurrence.
 */
#ifndef PORTCULLIS_REPORT_H
#define PORTCULLIS_REPORT_H

#include "datagram.h"
#include "layer2.h"

static __always_inline __u32 reason_kind_of(__u32 reason)
{
	switch (reason) {
#define REASON(id, name, kind, sentence)                                       \
	case REASON_##name:                                                    \
		return KIND_##kind;
#include <portcullis/reasons.def>
#undef REASON
	default:
		return KIND_malformed;
	}
}

/* What enforce does with a packet that is not passed. */
static __always_inline __u8 verdict_enforced(const struct scratch *x,
					     __u32 kind)
{
	if (x->turn)
		return VERDICT_reset;
	if (kind != KIND_forbidden || x->reason == REASON_poisoned ||
	    x->reason == REASON_closed)
		return VERDICT_drop;
	switch (x->action) {
	case ACTION_drop:
		return VERDICT_drop;
	case ACTION_mirror:
		return VERDICT_mirror;
	case ACTION_divert:
		return VERDICT_divert;
	default:
		return x->p.l4 == TRANSPORT_tcp ? VERDICT_reset : VERDICT_drop;
	}
}

/* Monitor and mirror hold nothing back, whatever is wrong with it. */
static __always_inline __u8 verdict_of(const struct scratch *x, __u32 kind)
{
	if (kind == KIND_passed)
		return VERDICT_pass;
	if (x->mode == MODE_monitor)
		return VERDICT_pass;
	if (x->mode == MODE_mirror)
		return kind == KIND_forbidden ? VERDICT_mirror : VERDICT_pass;
	return x->would;
}

/* ---- events ------------------------------------------------------------ */

/* One token of a bucket that refills `rate` times a second and holds as many:
 * the word is when the next token is due (GCRA). */
static __always_inline int bucket_take(__u32 index, __u64 now, __u32 hz,
				       __u32 rate)
{
	__u64 *due = bucket_at(index), was, next;
	/* in 1/256 of a jiffy, so that rates above HZ can be told */
	__u64 t = now << 8, step = ((__u64)hz << 8) / (rate ? rate : 1);

	if (!due)
		return 0;
	if (!rate)
		return 1;
	was = *due;
	next = was > t ? was : t;
	if (next > t + ((__u64)hz << 8))
		return 0;
	*due = next + step;
	return 1;
}

/* Who, as far as it was parsed: before that the scratch holds an older
 * packet's.
 */
static __always_inline void event_endpoints(struct portcullis_event *e,
					    const struct packet *p)
{
	int known = p->family && p->l4, ports;

	ports = known && (p->l4 == TRANSPORT_tcp || p->l4 == TRANSPORT_udp);
	__builtin_memset(e->src, 0, sizeof(e->src));
	__builtin_memset(e->dst, 0, sizeof(e->dst));
	if (known) {
		__builtin_memcpy(e->src, p->src, sizeof(e->src));
		__builtin_memcpy(e->dst, p->dst, sizeof(e->dst));
	}
	e->sport = ports ? net16(p->sport) : 0;
	e->dport = ports ? net16(p->dport) : 0;
}

/* Bytes of a conversation that passes unjudged, since it is only watched and
 * no rule knows it: user space is to see the first of them once. */
static __always_inline int shows_payload(const struct scratch *x)
{
	return x->verdict != VERDICT_drop && x->p.payload_len &&
	       reason_kind_of(x->reason) == KIND_denied &&
	       (x->p.l4 == TRANSPORT_tcp || x->p.l4 == TRANSPORT_udp);
}

/* First occurrence of who, what and why where no slot remembers it; the repeats
 * of a minute are summed. What shows a payload counts once a conversation, from
 * either side, until it was silent for a minute. Returns how many it stands
 * for, 0: not now. */
static __always_inline __u32 tag_first(const struct scratch *x,
				       const struct portcullis_gate *g)
{
	const __u64 *src = (const __u64 *)x->p.src;
	const __u64 *dst = (const __u64 *)x->p.dst;
	const __u64 *key = (const __u64 *)&x->p.key;
	struct report_tag *t;
	struct sip s;
	__u64 h;
	__u32 count, tag, port = x->p.family ? x->p.dport : x->p.ethertype;
	int shows = shows_payload(x);

	sip_start(&s, g->sip_key);
	/* Without them the scratch holds an older packet's. */
	if (shows) {
		sip_word(&s, key[0] ^ rotate(key[1], 17));
		sip_word(&s, key[2] ^ rotate(key[3], 29));
		sip_word(&s, key[4]);
		port = 0;
	} else if (x->p.family && x->p.l4) {
		sip_word(&s, src[0] ^ rotate(src[1], 17));
		sip_word(&s, dst[0] ^ rotate(dst[1], 29));
	}
	sip_word(&s, (__u64)x->reason << 32 | (__u64)x->p.l4 << 16 | port);
	h = sip_end(&s);
	t = tag_at((__u32)h % TAG_TABLE);
	if (!t)
		return 0;
	tag = (__u32)(h >> 32) | 1;
	if (t->tag == tag && COARSE(x->now) - t->seen < (g->hz * 60) >> 8) {
		t->count++;
		if (shows)
			t->seen = COARSE(x->now);
		return 0;
	}
	count = t->tag == tag ? t->count + 1 : 1;
	t->tag = tag;
	t->seen = COARSE(x->now);
	t->count = 0;
	return count;
}

static __always_inline void event_fill(struct portcullis_event *e,
				       const struct scratch *x, __u32 count)
{
	const struct packet *p = &x->p;

	e->record = RECORD_refusal;
	e->reason = x->reason;
	e->verdict = x->verdict;
	e->would = x->would;
	e->proto = x->proto;
	e->function = x->function;
	e->l4 = p->l4;
	e->family = p->family;
	e->ifindex = x->ifindex;
	e->time_ns = monotonic_ns();
	event_endpoints(e, p);
	e->vlan = p->vlan;
	e->conduit = x->conduit;
	e->from_zone = x->from.zone;
	e->to_zone = x->to.zone;
	e->from_asset = x->from.asset;
	e->to_asset = x->to.asset;
	e->generation = x->generation;
	e->frame_len = p->frame_len;
	e->count = count;
	e->payload_at = p->payload_at;
	e->from_server = x->from_server;
	e->unit = x->unit;
	e->service = x->service;
	e->rule = x->rule;
	e->slot = x->slot;
	e->conversation = x->slot;
	e->argument = x->argument;
	e->pad = 0;
	e->evidence = 0;
}

/* Reports the packet in x. Never fails for the packet: what cannot be reported
 * is counted. */
static __always_inline int report_event_inline(const struct frame *f,
					       struct scratch *x)
{
	const struct portcullis_gate *g = gate_get();
	struct portcullis_counts *n = counts_get();
	struct portcullis_event *e;
	__u32 count = 1, len;

	if (!g || !n)
		return 0;
	if (!x->slot)
		count = tag_first(x, g);
	if (!count ||
	    !bucket_take(x->conduit & (CONDUITS_MAX - 1), x->now, g->hz,
			 g->event_rate) ||
	    !bucket_take(CONDUITS_MAX, x->now, g->hz, g->event_rate * 4)) {
		n->events_suppressed++;
		return 0;
	}
	e = event_reserve();
	if (!e) {
		n->events_lost++;
		return 0;
	}
	event_fill(e, x, count);
	len = x->p.frame_len;
	if (len > EVIDENCE_BYTES)
		len = EVIDENCE_BYTES;
	if (len >= 1 && len <= EVIDENCE_BYTES &&
	    !frame_load(f, 0, e->data, size_within(len, EVIDENCE_BYTES)))
		e->evidence = len;
	event_submit(e);
	n->events++;
	return 0;
}

DOOR_FUNCTION(report_event)

/* ---- counters ---------------------------------------------------------- */

static __always_inline void count_packet(const struct scratch *x)
{
	struct portcullis_counts *n = counts_get();
	struct portcullis_rule_count *r;

	if (!n)
		return;
	n->reason[x->reason & (REASON_max - 1)]
		 [x->verdict & (VERDICT_max - 1)]++;
	n->bytes[x->verdict & (VERDICT_max - 1)] += x->p.frame_len;
	if (!x->slot)
		return;
	r = rule_count_at(x->rule);
	if (r) {
		r->packets++;
		r->bytes += x->p.frame_len;
	}
}

static __always_inline void count_violation(const struct scratch *x)
{
	__u64 *v = violation_at((x->conduit & (CONDUITS_MAX - 1)) * REASON_max +
				(x->reason & (REASON_max - 1)));

	if (v)
		(*v)++;
}

#endif
