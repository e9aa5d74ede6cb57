/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP: the datagram is the message. Replies are let through for a while after
 * the last request, at most as many as the protocol's row says. A forbidden
 * datagram is dropped and poisons nothing: anybody could have sent it in the
 * peer's name.
 */
#ifndef PORTCULLIS_DATAGRAM_H
#define PORTCULLIS_DATAGRAM_H

#include "stream.h"

static __always_inline int reply_check(const struct portcullis_half *asker,
				       const struct portcullis_rest *rest,
				       const struct portcullis_gate *g,
				       const struct scratch *x)
{
	if (!rest->asked)
		return REASON_no_request;
	if (x->now - rest->asked > g->reply_jiffies)
		return REASON_late_answer;
	if (!asker->answers)
		return REASON_too_many_answers;
	return REASON_ok;
}

/* REASON_ok: the payload is to be judged. */
static __always_inline int datagram_place(struct scratch *x,
					  struct portcullis_slot *slot,
					  struct portcullis_half *half,
					  struct portcullis_half *other)
{
	const struct portcullis_gate *g = gate_get();
	int reason;

	if (!g)
		return REASON_internal;
	if (x->p.dir != slot->client) {
		reason = reply_check(other, &slot->rest[!x->p.dir], g, x);
		if (reason != REASON_ok)
			return reason;
	}
	if (!x->p.payload_len)
		return REASON_truncated;
	/* Every datagram is a message of its own: no memory but the shared. */
	words_zero((__u64 *)slot->own[x->p.dir & 1], OWN_BYTES / 8);
	half->carry = 0;
	half->flags = 0;
	x->walk = 1;
	x->from_offset = 0;
	return REASON_ok;
}

static __always_inline int datagram_walked(struct scratch *x,
					   struct portcullis_slot *slot,
					   struct portcullis_half *half,
					   struct portcullis_half *other)
{
	__u32 answers;
	int reason = walk_datagram_end(&x->c);

	if (reason != REASON_ok)
		return reason;
	state_give(x, slot);
	if (x->from_server) {
		other->answers--;
		return REASON_ok;
	}
	answers = half->answers + protocol_answers(slot->proto);
	half->answers = answers > 255 ? 255 : answers;
	slot->rest[x->p.dir & 1].asked = x->now;
	flow_count(slot);
	return REASON_ok;
}

#endif
