/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include <string.h>

#include "../../user/protocols.h"
#include "protocols.gen.h"
#include "strict.h"

static void side_begin(struct strict_side *side)
{
	uint32_t used = side->pos > side->high ? side->pos : side->high;

	memset(side->mark, 0, (used < STRICT_BYTES ? used : STRICT_BYTES) + 1);
	memset(side->own, 0, sizeof(side->own));
	side->mark[0] = STRICT_begins;
	side->pos = 0;
	side->high = 0;
	side->forever = false;
}

void strict_begin(struct strict *s, const struct script *script)
{
	s->script = script;
	side_begin(&s->side[0]);
	side_begin(&s->side[1]);
	memset(s->shared, 0, sizeof(s->shared));
	s->fault[0] = 0;
}

static void one_step(struct step *step, struct state *st, unsigned int proto)
{
	switch (proto) {
#define PROTOCOL(id, name, ...)                                                \
	case PROTO_##name:                                                     \
		name##_step(step, st);                                         \
		break;
#include <portcullis/protocols.def>
#undef PROTOCOL
	}
}

static bool fault(struct strict *s, unsigned int side, const char *what,
		  uint32_t offset, unsigned int detail)
{
	snprintf(s->fault, sizeof(s->fault),
		 "%s (%u), byte %u of what the %s sends", what, detail, offset,
		 side ? "server" : "client");
	return false;
}

/* The next bytes in line, up to a window of them or to one of two forms. */
static uint32_t fill(const struct strict_side *side, struct step *step)
{
	uint32_t n = 0;

	while (n < WINDOW_BYTES && side->pos + n < side->high &&
	       (side->mark[side->pos + n] & (STRICT_given | STRICT_twice)) ==
		   STRICT_given) {
		step->bytes[n] = side->value[side->pos + n];
		n++;
	}
	return n;
}

static void mark_opaque(struct strict_side *side, uint64_t skip)
{
	uint64_t end = side->pos + skip;

	if (skip == SKIP_forever) {
		side->forever = true;
		return;
	}
	if (end > STRICT_BYTES) {
		end = STRICT_BYTES;
		side->forever = true;
	}
	for (; side->pos < end; side->pos++)
		side->mark[side->pos] |= STRICT_opaque;
}

static bool take_step(struct strict *s, unsigned int from,
		      const struct step *step)
{
	struct strict_side *side = &s->side[from];

	if (step->n < 1 || step->n > step->have)
		return fault(s, from, "a step took what is not there",
			     side->pos, step->n);
	if (step->function != FUNCTION_none &&
	    !script_allows(s->script->proto, step->function, step->class))
		return fault(s, from, "a function that the policy refuses",
			     side->pos, step->function);
	side->pos += step->n;
	mark_opaque(side, step->skip);
	if (step->ends && side->pos <= STRICT_BYTES)
		side->mark[side->pos] |= STRICT_begins;
	s->messages += step->ends;
	s->steps++;
	return true;
}

/* False: a byte that is to be judged came in two forms. */
static bool is_single(struct strict *s, unsigned int from, uint32_t have)
{
	const struct strict_side *side = &s->side[from];
	uint32_t at = side->pos + have;

	return at >= STRICT_BYTES || !(side->mark[at] & STRICT_twice) ||
	       fault(s, from, "a judged byte in two forms", at, have);
}

/* Steps as far as there are bytes. */
static bool drive(struct strict *s, unsigned int from)
{
	struct strict_side *side = &s->side[from];
	struct step step;
	struct state st;

	while (!side->forever) {
		memset(&step, 0, sizeof(step));
		step.have = fill(side, &step);
		if (!step.have)
			return is_single(s, from, 0);
		step.left = LEFT_stream;
		step.from_server = (uint8_t)from;
		step.l4 = TRANSPORT_tcp;
		step.function = FUNCTION_none;
		memcpy(st.own, side->own, sizeof(st.own));
		memcpy(st.shared, s->shared, sizeof(st.shared));
		one_step(&step, &st, s->script->proto);
		if (step.answer == STEP_need)
			return is_single(s, from, step.have);
		if (step.answer != STEP_take)
			return fault(s, from, reason_name(step.reason),
				     side->pos, step.have);
		memcpy(side->own, st.own, sizeof(st.own));
		memcpy(s->shared, st.shared, sizeof(st.shared));
		if (!take_step(s, from, &step))
			return false;
	}
	return true;
}

static bool is_opaque(const struct strict_side *side, uint32_t at)
{
	return (side->forever && at >= side->pos) ||
	       (side->mark[at] & STRICT_opaque);
}

/* The spoilt message must never stand there whole, whatever the steps say of
 * it; within another message the same bytes are no message. */
static bool evil_absent(struct strict *s, unsigned int from)
{
	const struct script *script = s->script;
	const struct strict_side *side = &s->side[from];
	uint32_t at;

	if (!script->has_evil || script->evil_side != from ||
	    side->high <= script->evil_last ||
	    !(side->mark[script->evil_first] & STRICT_begins))
		return true;
	for (at = script->evil_first; at <= script->evil_last; at++)
		if (!(side->mark[at] & STRICT_given) ||
		    side->value[at] != script->evil[at])
			return true;
	return fault(s, from, script->evil_what, script->evil_last, 0);
}

bool strict_give(struct strict *s, unsigned int from, int64_t first,
		 const uint8_t *bytes, size_t len, uint32_t acked)
{
	struct strict_side *side = &s->side[from];
	int64_t at;
	size_t i;

	for (i = 0; i < len; i++) {
		at = first + (int64_t)i;
		if (at < acked || at >= STRICT_BYTES)
			continue;
		if (!(side->mark[at] & STRICT_given)) {
			side->mark[at] |= STRICT_given;
			side->value[at] = bytes[i];
			if (at >= side->high)
				side->high = (uint32_t)at + 1;
		} else if (side->value[at] != bytes[i]) {
			if (!is_opaque(side, (uint32_t)at)) {
				if (at < side->pos)
					return fault(
					    s, from,
					    "a judged byte in two forms",
					    (uint32_t)at, bytes[i]);
				side->mark[at] |= STRICT_twice;
				continue;
			}
			s->opaque_changes++;
			side->value[at] = bytes[i];
		}
	}
	return drive(s, from) && evil_absent(s, from);
}
