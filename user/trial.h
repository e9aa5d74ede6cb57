/* SPDX-License-Identifier: GPL-2.0-only */
/* A capture shows what passed without a gate, so three things need care.
 *
 * The sender of a postponed or implausible segment resends it to a gate; in
 * the capture it does not, for its receiver had it. So such a segment is held
 * and offered again whenever another of the conversation has passed: segments
 * that the capture holds out of order are no refusal. What is still held at
 * the end is one only if the conversation came to a stop there.
 *
 * It may show an answer twice, for a mirror port copies what comes in and what
 * goes out. The gate lets one through, and that is all there was.
 *
 * A capture may lack bytes: the snaplen cut a packet ("cut"), or a packet was
 * not captured though its receiver acknowledged it ("gap"); of the packets of
 * one end perhaps none, and the other end's seem out of order then. From there
 * on the conversation is not judged, and that is said.
 *
 * It may begin in the middle of a conversation. One without its SYN is picked
 * up as in the gate's grace time; one with its SYN never is.
 */
#ifndef PORTCULLIS_TRIAL_H
#define PORTCULLIS_TRIAL_H

#include "capture.h"
#include "conversation.h"
#include "engine.h"

struct trial {
	struct engine *engine;
	const struct image *image;
	enum engine_door door;
	bool grace;	   /* pick up conversations without a SYN */
	uint64_t shift_ns; /* from the capture's time to the engine's */
	/* own */
	uint64_t now_ns;
	size_t held_bytes;
	uint8_t *copy; /* of a loopback frame */
	size_t copy_room;
	bool is_grace;
};

void trial_end(struct trial *trial);

/* Judges a frame of a conversation; what came of it stands there. 0, -ENOMEM,
 * or an -errno of the engine. */
int trial_judge(struct trial *trial, struct conversation *conversation,
		unsigned int side, const struct capture_frame *frame,
		const struct segment *segment);
/* Judges a frame that is of no conversation. The same; -EMSGSIZE: too long for
 * the door. */
int trial_judge_other(struct trial *trial, const struct capture_frame *frame,
		      struct engine_result *ret_result);
/* No more frames will come: decides on those that are held, and on a
 * conversation of which nothing passed. 0 / -ENOMEM. */
int trial_settle(struct trial *trial, struct conversation *conversation);

#endif
