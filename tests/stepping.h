/* SPDX-License-Identifier: GPL-2.0-only */
/* Drives one protocol's stepper over what two sides send, as the data path
 * does: keeps what was not enough, passes over what is opaque, gives each
 * datagram a fresh memory. Holds every step to the contract in bpf/window.h.
 *
 * Include build/protocols.gen.h first. The includer supplies broken().
 */
#ifndef PORTCULLIS_TESTS_STEPPING_H
#define PORTCULLIS_TESTS_STEPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "window.h"

enum { SAID_MAX = 4096, NAMED_MAX = 64 };

struct conversation {
	unsigned int proto; /* enum portcullis_proto */
	unsigned int l4;
	uint16_t quirks;
	uint16_t tolerated;	   /* what was needed of them */
	uint8_t own[2][OWN_BYTES]; /* [1]: sent by the server */
	uint8_t shared[SHARED_BYTES];
	uint8_t carry[2][NEED_BYTES];
	size_t n_carry[2];
	uint64_t skip[2];
	bool inside[2];
	enum portcullis_reason reason; /* REASON_ok while all is well */
	size_t n_said;
	uint8_t said[SAID_MAX];
	size_t n_named; /* of the client's arguments, the first */
	struct portcullis_range named[NAMED_MAX];
	size_t messages;
};

/* A step broke the contract: what it did, in words. */
static void broken(const struct conversation *c, const char *what);

struct table_function {
	unsigned int number;
	const char *name;
	unsigned int class;
};

/* The last row of each stands for the end. */
#define FUNCTION(code, word, class) { code, word, CLASS_##class },
#define PROTOCOL(id, name, ...)                                                \
	static const struct table_function name##_table[] = {                  \
		name##_FUNCTIONS(FUNCTION){ FUNCTION_none, NULL, CLASS_none }  \
	};
#include <portcullis/protocols.def>
#undef PROTOCOL
#undef FUNCTION

#define PROTOCOL(id, name, ...) [id] = name##_table,
static const struct table_function *const function_table[PROTO_max] = {
#include <portcullis/protocols.def>
};
#undef PROTOCOL

#define REASON(id, name, kind, ...) [id] = KIND_##kind,
static const uint8_t reason_kinds[REASON_max] = {
#include <portcullis/reasons.def>
};
#undef REASON

static inline void run_step(unsigned int proto, struct step *s,
			    struct state *st)
{
	switch (proto) {
#define PROTOCOL(id, name, ...)                                                \
	case id:                                                               \
		name##_step(s, st);                                            \
		break;
#include <portcullis/protocols.def>
#undef PROTOCOL
	}
}

static inline bool in_table(const struct conversation *c, const struct step *s)
{
	const struct table_function *f;

	for (f = function_table[c->proto]; f->name; f++)
		if (f->number == s->function)
			return f->class == s->class;
	return false;
}

static inline void check_arguments(const struct conversation *c,
				   const struct step *s)
{
	const struct portcullis_range *a = s->argument;
	int i;

	for (i = 0; i < s->named && i < STEP_ARGUMENTS; i++)
		if (!a[i].kind || a[i].kind >= 32 || a[i].first > a[i].last)
			broken(c, "names what is no range");
	if (s->named > STEP_ARGUMENTS)
		broken(c, "names more than a step may");
	if ((s->named || s->later || s->again) && s->function == FUNCTION_none)
		broken(c, "names something, but no function");
	if (s->later && s->named)
		broken(c, "will name later what it can not");
}

static inline void check_answer(const struct conversation *c, size_t carried,
				const struct step *in, const struct step *s,
				const struct state *before,
				const struct state *st)
{
	switch (s->answer) {
	case STEP_take:
		if (s->n < 1 || s->n > s->have)
			broken(c, "takes no byte, or more than there are");
		if (s->n < carried && s->skip)
			broken(c, "passes over bytes that it waited for");
		if (s->function != FUNCTION_none && !in_table(c, s))
			broken(c, "says a function that is not in its table");
		check_arguments(c, s);
		break;
	case STEP_need:
		if (s->n <= s->have || s->n > NEED_BYTES)
			broken(c, "needs what it has, or more than it may");
		if (memcmp(before, st, sizeof(*st)))
			broken(c, "changes its state and asks for more");
		break;
	case STEP_bad:
		if (s->reason >= REASON_max ||
		    reason_kinds[s->reason] != KIND_forbidden)
			broken(c, "refuses for a reason of another kind");
		break;
	default:
		broken(c, "does not answer");
	}
	if (s->tolerated && !(in->quirks >> s->tolerated & 1))
		broken(c, "tolerates what it should not");
	if (memcmp(in->bytes, s->bytes, sizeof(s->bytes)) ||
	    in->have != s->have || in->left != s->left)
		broken(c, "changes what it was given");
}

/* One step over `len` bytes, of which the window may hold fewer. The first
 * `carried` were seen before. */
static inline void judge(struct conversation *c, int side, const uint8_t *bytes,
			 size_t len, size_t carried, struct step *ret_step)
{
	struct step in = { 0 }, again;
	struct state before, st, st_again;

	in.have = len < WINDOW_BYTES ? len : WINDOW_BYTES;
	memcpy(in.bytes, bytes, in.have);
	in.left = c->l4 == TRANSPORT_udp ? len : LEFT_stream;
	in.from_server = in.free = side;
	in.l4 = c->l4;
	in.quirks = c->quirks;
	in.function = FUNCTION_none;
	memcpy(before.own, c->own[side], OWN_BYTES);
	memcpy(before.shared, c->shared, SHARED_BYTES);

	*ret_step = in;
	st = before;
	run_step(c->proto, ret_step, &st);
	check_answer(c, carried, &in, ret_step, &before, &st);

	again = in;
	st_again = before;
	run_step(c->proto, &again, &st_again);
	if (memcmp(&st, &st_again, sizeof(st)) ||
	    memcmp(&again, ret_step, sizeof(again)))
		broken(c, "answers the same question in two ways");

	memcpy(c->own[side], st.own, OWN_BYTES);
	memcpy(c->shared, st.shared, SHARED_BYTES);
}

static inline void took(struct conversation *c, int side, const struct step *s)
{
	int i;

	for (i = 0; i < s->named && !s->free; i++)
		if (c->n_named < NAMED_MAX)
			c->named[c->n_named++] = s->argument[i];
	if (s->function != FUNCTION_none && !s->again && c->n_said < SAID_MAX)
		c->said[c->n_said++] = s->function;
	c->tolerated |= s->tolerated ? 1U << s->tolerated : 0;
	c->messages += s->ends;
	c->inside[side] = !s->ends;
	c->skip[side] = s->skip;
}

static inline size_t pass_over(struct conversation *c, int side, size_t len)
{
	uint64_t n = c->skip[side] < len ? c->skip[side] : len;

	if (c->skip[side] != SKIP_forever)
		c->skip[side] -= n;
	return n;
}

/* Walks over what was carried and what came; what is left is carried. */
static inline void walk(struct conversation *c, int side, const uint8_t *bytes,
			size_t len)
{
	size_t at = 0, carried = c->n_carry[side];
	struct step s;

	while (at < len) {
		at += pass_over(c, side, len - at);
		if (at == len)
			break;
		if (c->l4 == TRANSPORT_udp && at && !c->inside[side]) {
			c->reason = REASON_trailing_bytes;
			return;
		}
		judge(c, side, bytes + at, len - at,
		      carried > at ? carried - at : 0, &s);
		if (s.answer == STEP_bad)
			c->reason = s.reason;
		if (s.answer != STEP_take)
			break;
		at += s.n;
		took(c, side, &s);
	}
	c->n_carry[side] = len - at;
	if (c->reason == REASON_ok && at < len) {
		if (len - at > NEED_BYTES)
			abort();
		memcpy(c->carry[side], bytes + at, len - at);
	}
}

static inline bool is_open(const struct conversation *c, int side)
{
	if (c->skip[side] == SKIP_forever)
		return false;
	return c->n_carry[side] || c->inside[side] || c->skip[side];
}

/* A run of bytes, or a datagram, from one side. */
static inline void deliver(struct conversation *c, int side,
			   const uint8_t *bytes, size_t len)
{
	size_t n = c->n_carry[side];
	uint8_t *all;

	if (c->reason != REASON_ok || !len)
		return;
	if (c->l4 == TRANSPORT_udp) {
		memset(c->own[side], 0, OWN_BYTES);
		c->inside[side] = true;
	}
	all = malloc(n + len);
	if (!all)
		abort();
	memcpy(all, c->carry[side], n);
	memcpy(all + n, bytes, len);
	walk(c, side, all, n + len);
	free(all);
	if (c->l4 == TRANSPORT_udp && c->reason == REASON_ok &&
	    is_open(c, side))
		c->reason = REASON_truncated;
}

static inline void conversation_init(struct conversation *c, unsigned int proto,
				     unsigned int l4)
{
	memset(c, 0, sizeof(*c));
	c->proto = proto;
	c->l4 = l4;
	c->reason = REASON_ok;
}

#endif
