/* SPDX-License-Identifier: GPL-2.0-only */
/* From step to step over the bytes of a segment or datagram: which protocol,
 * is it spoken, is the function allowed. State is worked on as a copy, so that
 * a walk that is refused has changed nothing.
 */
#ifndef PORTCULLIS_WALK_H
#define PORTCULLIS_WALK_H

#include "segment.h"
#include "protocols.gen.h"

/* Each protocol's step apart, verified once however many callers it has; the
 * list and the switch are made from the table. */
#define PROTOCOL(id, name, ...) STEP_APART(name##_step)
#include <portcullis/protocols.def>
#undef PROTOCOL

static __always_inline void protocol_step(struct step *s, struct state *st,
					  __u32 proto)
{
	switch (proto) {
#define PROTOCOL(id, name, ...)                                                \
	case PROTO_##name:                                                     \
		name##_step_apart(s, st);                                      \
		break;
#include <portcullis/protocols.def>
#undef PROTOCOL
	default:
		bad(s, REASON_internal);
	}
}

/* How many datagrams may answer one request. */
static __always_inline __u32 protocol_answers(__u32 proto)
{
	switch (proto) {
#define PROTOCOL(id, name, ports, answers, ...)                                \
	case PROTO_##name:                                                     \
		return answers;
#include <portcullis/protocols.def>
#undef PROTOCOL
	default:
		return 0;
	}
}

static __always_inline void step_clear(struct step *s)
{
	s->answer = STEP_unanswered;
	s->ends = 0;
	s->function = FUNCTION_none;
	s->class = CLASS_none;
	s->has_unit = 0;
	s->later = 0;
	s->again = 0;
	s->named = 0;
	s->free = s->from_server;
	s->tolerated = 0;
	s->skip = 0;
}

/* ---- may this be said? ----------------------------------------------- */

static __always_inline int bit_of(const __u64 set[4], __u8 bit)
{
	return set[bit >> 6] >> (bit & 63) & 1;
}

/* Bit 0 of it says whether a <= b: no branch, so that the verifier sees one way
 * through a table. */
static __always_inline __u32 at_most(__u32 a, __u32 b)
{
	return unpredicted((__u64)b - a) >> 63 ^ 1;
}

/* Is what was named in a range of its kind? */
static __always_inline __u32 within(const struct portcullis_limits *l,
				    const struct portcullis_range *named)
{
	__u32 i, found = 0;

	for (i = 0; i < LIMIT_RANGES; i++)
		found |= at_most(named->kind ^ l->kind[i], 0) &
			 at_most(l->first[i], named->first) &
			 at_most(named->last, l->last[i]);
	return found;
}

/* Bit per kind that is limited. */
static __always_inline __u32 limited_kinds(const struct portcullis_limits *l)
{
	__u32 i, kinds = 0;

	for (i = 0; i < LIMIT_RANGES; i++)
		kinds |= 1U << (l->kind[i] & 31);
	return kinds & ~(1U << ARGUMENT_none);
}

/* Does a row of `limits` admit all that the step names? What is not admitted
 * stands in x->argument, kind 0 if something is missing. */
__noinline int limits_hold(struct scratch *x, __u32 row)
{
	const struct portcullis_limits *l = NULL;
	__u32 i, limited, kind, n, named = 0;

	if (!x)
		return 0;
	l = limits_at(x->generation, row);
	if (!l)
		return 0;
	n = x->step.named;
	limited = limited_kinds(l);
	for (i = 0; i < STEP_ARGUMENTS; i++) {
		if (i >= n)
			break;
		kind = x->step.argument[i].kind & 31;
		named |= unpredicted(1U << kind);
		if ((limited >> kind & 1) && !within(l, &x->step.argument[i])) {
			x->argument = x->step.argument[i];
			return 0;
		}
	}
	if (!(limited & ~named))
		return 1;
	x->argument.kind = ARGUMENT_none;
	return x->step.later && !n;
}

/* The rules of a ruleset one by one, for a function whose answer hangs on the
 * unit, the arguments or the time. */
__noinline int rule_ask(struct scratch *x, struct portcullis_slot *slot)
{
	const struct portcullis_ruleset *r;
	const struct portcullis_condition *c;
	__u32 proto, i, n, first;
	int reason = REASON_function_not_allowed;
	__u8 fn, none;

	if (!x || !slot)
		return REASON_internal;
	r = ruleset_at(x->generation, slot->ruleset);
	if (!r)
		return REASON_internal;
	for (proto = 0; proto < RULESET_PROTOS; proto++)
		if (r->protos[proto] == slot->proto)
			break;
	n = r->n_rules;
	first = r->conditions + proto * n;
	none = x->step.function == FUNCTION_none;
	fn = none ? 0 : x->step.function;
	for (i = 0; i < RULESET_RULES; i++) {
		if (i >= n)
			break;
		c = condition_at(x->generation, first + i);
		if (!c || c->proto != slot->proto || !bit_of(c->functions, fn))
			continue;
		if (c->until && x->now > c->until)
			continue;
		/* What says no function says no unit either. */
		if (!none && (c->flags & CONDITION_units) &&
		    !(x->step.has_unit && bit_of(c->units, x->step.unit))) {
			if (reason == REASON_function_not_allowed)
				reason = REASON_unit_not_allowed;
			continue;
		}
		if (!none && c->limits && !x->step.free &&
		    !limits_hold(x, c->limits)) {
			reason = REASON_argument_not_allowed;
			continue;
		}
		slot->rule = c->rule;
		slot->row = 0;
		return REASON_ok;
	}
	return reason;
}

static __always_inline int rule_check(struct scratch *x,
				      struct portcullis_slot *slot)
{
	const struct portcullis_shape *shape;
	const struct portcullis_ruleset *r;
	__u8 row, fn = x->step.function;

	shape = shape_at(x->generation, slot->shape);
	if (!shape)
		return REASON_internal;
	/* Row 0 says whether the protocol is admitted at all. */
	row = shape->rule[fn == FUNCTION_none ? 0 : fn];
	if (row == 0)
		return REASON_function_not_allowed;
	if (row == SHAPE_ask)
		return rule_ask(x, slot);
	if (fn == FUNCTION_none)
		return REASON_ok;
	slot->said = fn;
	if (row == slot->row)
		return REASON_ok;
	r = ruleset_at(x->generation, slot->ruleset);
	if (!r)
		return REASON_internal;
	slot->rule = r->rule[(row - 1) & (RULESET_RULES - 1)];
	slot->row = row;
	return REASON_ok;
}

/* ---- which of several protocols? ------------------------------------- */

/* The first message decides: the first of the expected protocols that takes it
 * is committed. Returns it; 0: none can be it (bad) or none can tell yet
 * (need), as step.answer says. */
__noinline int protocol_commit(struct scratch *x, struct portcullis_slot *slot)
{
	const struct portcullis_ruleset *r;
	__u32 i, proto, answer = STEP_bad, wanted = 0;

	if (!x || !slot)
		return 0;
	r = ruleset_at(x->generation, slot->ruleset);
	if (!r)
		return 0;
	for (i = 0; i < RULESET_PROTOS; i++) {
		proto = r->protos[i];
		if (!proto)
			break;
		__builtin_memcpy(&x->trial_step, &x->step, sizeof(x->step));
		words_zero((__u64 *)&x->trial_state,
			   sizeof(x->trial_state) / 8);
		step_clear(&x->trial_step);
		protocol_step(&x->trial_step, &x->trial_state, proto);
		if (x->trial_step.answer == STEP_take) {
			slot->proto = proto;
			slot->shape = r->shape[i];
			return proto;
		}
		if (x->trial_step.answer == STEP_need) {
			answer = STEP_need;
			x->step.ends |= x->trial_step.ends;
			if (x->trial_step.n > wanted)
				wanted = x->trial_step.n;
		}
	}
	x->step.answer = answer;
	x->step.n = wanted;
	x->step.reason = REASON_mismatch;
	return 0;
}

/* ---- turns ----------------------------------------------------------- */

/* Bytes [from..from+NEED_BYTES) of the window become the carry. */
__noinline int carry_keep(struct scratch *x, __u32 from)
{
	__u32 i;

	if (!x || from > WINDOW_BYTES)
		return -1;
	for (i = 0; i < NEED_BYTES; i++)
		x->c.carry_bytes[i] = x->step.bytes[from + i];
	return 0;
}

static __always_inline void turn_end(struct cursor *c, __u8 reason)
{
	c->reason = reason;
	c->done = 1;
}

/* Marks the pieces of a super-frame that hold [from, to) as judged. */
static __always_inline void mark_pieces(struct cursor *c, __u32 gso, __u32 from,
					__u32 to)
{
	__u32 first = from / gso, last = (to - 1) / gso;

	if (last > 63) { /* more than can be told apart: one entry for all */
		c->pieces = ~0ULL;
		return;
	}
	c->pieces |= (~0ULL >> (63 - last)) & (~0ULL << first);
}

static __always_inline void turn_need(struct scratch *x, __u32 have)
{
	struct cursor *c = &x->c;

	if (x->step.n <= have || x->step.n > NEED_BYTES || have > NEED_BYTES) {
		turn_end(c, REASON_internal);
		return;
	}
	if (x->p.l4 == TRANSPORT_udp) {
		turn_end(c, REASON_truncated);
		return;
	}
	if (x->p.gso)
		mark_pieces(c, x->p.gso, c->off, c->len);
	carry_keep(x, 0);
	c->carry = have;
	c->whole = x->step.ends;
	c->off = c->judged = c->len;
	turn_end(c, REASON_ok);
}

static __always_inline void turn_take(struct scratch *x,
				      struct portcullis_slot *slot, __u32 have)
{
	struct cursor *c = &x->c;
	__u32 n = x->step.n, before = c->carry, rest;
	int reason;

	if (n < 1 || n > have) {
		turn_end(c, REASON_internal);
		return;
	}
	reason = rule_check(x, slot);
	if (reason != REASON_ok) {
		x->function = x->step.function;
		x->unit = x->step.unit;
		turn_end(c, reason);
		return;
	}
	c->inside = !x->step.ends;
	if (n < before) {
		/* A step looked further than it took: the rest of the carry
		 * stands at the front of the next window. */
		carry_keep(x, n);
		c->carry = before - n;
		if (x->step.skip) {
			/* Opaque bytes begin within the carry: not done by any
			 * protocol, and not followed. */
			turn_end(c, REASON_internal);
		}
		return;
	}
	if (x->p.gso && n > before)
		mark_pieces(c, x->p.gso, c->off, c->off + n - before);
	c->off += n - before;
	c->judged = c->off;
	c->carry = 0;
	rest = c->len - c->off;
	if (x->step.skip > rest) {
		c->skip = x->step.skip == SKIP_forever ? SKIP_forever
						       : x->step.skip - rest;
		c->off = c->len;
	} else {
		c->off += (__u32)x->step.skip;
	}
	if (c->off >= c->len)
		turn_end(c, REASON_ok);
	else if (x->p.l4 == TRANSPORT_udp && x->step.ends)
		turn_end(c, REASON_trailing_bytes);
}

/* Allowed messages by class, and what they needed. */
static __always_inline void count_message(const struct scratch *x, __u8 proto)
{
	struct portcullis_counts *n = counts_get();

	if (n && x->step.function != FUNCTION_none && !x->step.again)
		n->message[proto & (PROTO_max - 1)]
			  [x->step.class & (CLASS_max - 1)]++;
	if (n && x->step.tolerated)
		n->quirk[masked(x->step.tolerated, QUIRK_max - 1)]++;
}

/* One turn: window, step, verdict on it. */
static __always_inline void walk_turn(const struct frame *f, struct scratch *x,
				      struct portcullis_slot *slot)
{
	struct cursor *c = &x->c;
	__u32 at = x->p.payload_at + c->off, rest = c->len - c->off, have;
	int joined;

	if (c->carry) {
		joined = window_join(f, x, at, rest);
		if (joined < 0) {
			turn_end(c, REASON_unreadable);
			return;
		}
		have = joined;
	} else {
		have = rest > WINDOW_BYTES ? WINDOW_BYTES : rest;
		if (window_fill(f, &x->step, at, have)) {
			turn_end(c, REASON_unreadable);
			return;
		}
	}
	x->step.have = have;
	x->step.left = x->p.l4 == TRANSPORT_udp ? rest : LEFT_stream;
	step_clear(&x->step);
	if (slot->proto || protocol_commit(x, slot))
		protocol_step(&x->step, &x->state, slot->proto);
	if (x->step.answer == STEP_take) {
		turn_take(x, slot, have);
		if (c->reason == REASON_ok)
			count_message(x, slot->proto);
	} else if (x->step.answer == STEP_need) {
		turn_need(x, have);
	} else if (x->step.answer == STEP_bad) {
		turn_end(c, x->step.reason);
	} else {
		turn_end(c, REASON_internal);
	}
}

/* What a datagram owes at its end. */
static __always_inline int walk_datagram_end(const struct cursor *c)
{
	if (c->reason != REASON_ok)
		return c->reason;
	if (c->skip || c->inside || c->carry)
		return REASON_truncated;
	return REASON_ok;
}

#endif
