/* SPDX-License-Identifier: GPL-2.0-only */
/* Two ends, the gate between them, and a network on each side of it that
 * loses, doubles and reorders. One schedule is one conversation in it, decided
 * by a seed.
 *
 *	client ~~ before ~~> gate ~~ behind ~~> server
 *	       <~ behind ~~~      <~ before ~~~
 */
#ifndef PROPERTY_WORLD_H
#define PROPERTY_WORLD_H

#include "endpoint.h"
#include "rig.h"
#include "strict.h"

enum world_kind {
	WORLD_honest,  /* two honest ends, legal words: must complete */
	WORLD_spoofed, /* the same, and a stranger who guesses: must complete */
	WORLD_attack,  /* one end does what it likes */
	WORLD_watched, /* the conduit is monitored: nothing may be dropped */
	WORLD_kinds,
};

enum { QUEUE = 48, PACKET = 1600, HISTORY = 32 };

struct packet {
	uint16_t len;
	uint8_t port;	  /* it comes to the gate by */
	const char *note; /* not NULL: no honest stack made it */
	uint8_t bytes[PACKET];
};

struct queue {
	unsigned int n;
	uint16_t packet[QUEUE];
};

struct network {
	uint32_t loses; /* in a thousand */
	uint32_t doubles;
	uint32_t reorders;
};

enum attack_trick {
	TRICK_rewrite = 1U << 0, /* other bytes for what was sent */
	TRICK_hole = 1U << 1,	 /* segments beyond a hole */
	TRICK_outside = 1U << 2, /* below and above the window */
	TRICK_rst = 1U << 3,
	TRICK_fin = 1U << 4,
	TRICK_syn = 1U << 5,
	TRICK_ack = 1U << 6,	   /* of bytes that nobody sent */
	TRICK_port = 1U << 7,	   /* on the other side of the gate */
	TRICK_invisible = 1U << 8, /* segments that the receiver ignores */
	TRICK_early = 1U << 9,	   /* data before the handshake */
	TRICK_eager = 1U << 10,	   /* says all without waiting for answers */
	TRICK_reopen = 1U << 11,   /* after the reset the same ports again */
	TRICK_flags = 1U << 12,	   /* SYN with FIN, null, and so on */
	TRICK_repeat = 1U << 13,   /* the same segments again and again */
	TRICK_run = 1U << 14,	   /* several segments of another version */
	TRICK_resync = 1U << 15,   /* a handshake again, then a run */
	TRICK_behind = 1U << 16,   /* a whole message after a start */
	TRICKS = 17,
};

struct attacker {
	unsigned int side;
	uint32_t tricks;
	uint32_t tricky; /* in a thousand acts */
	bool lies;	 /* its own stream holds the spoilt message */
	unsigned int n_history;
	struct {
		uint32_t first;
		uint32_t len;
	} history[HISTORY];
	uint8_t garbled[SCRIPT_STREAM]; /* its stream with some bytes changed */
};

struct tally {
	uint64_t schedules[WORLD_kinds];
	uint64_t poisoned; /* attacks that were refused for good */
	uint64_t reset;	   /* of these: the honest end was told */
	uint64_t reopened;
	uint64_t reused;  /* honest ends that took the same ports again */
	uint64_t wrapped; /* sequence numbers went through zero */
	uint64_t bytes;	  /* judged by the strict receiver */
	uint64_t messages;
	uint64_t opaque_changes;
	uint64_t protos[PROTO_max];
	uint64_t steps;
};

struct world {
	struct rig *rig;
	struct tally *tally;
	enum world_kind kind;
	struct random random;
	struct script script;
	struct endpoint end[2];
	unsigned int port_of[2];
	struct network before;
	struct network behind;
	struct queue queue_before[2]; /* by the sending end */
	struct queue queue_behind[2]; /* by the receiving end */
	unsigned int under_way;
	struct packet pool[4 * QUEUE];
	uint16_t unused[4 * QUEUE];
	unsigned int n_unused;
	struct attacker attacker;
	struct strict strict;
	uint32_t incarnations;
	uint32_t poison_incarnation;
	bool poisoned;
	bool ending; /* the attacker has said all it has to say */
	bool closed; /* both FINs or an RST have passed the gate */
	bool fin_passed[2];
	uint32_t steps;
	char fault[400];
};

struct world *world_new(struct rig *rig, struct tally *tally);
void world_free(struct world *w);

/* Runs the schedule of `seed`. False, and w->fault, if it broke the property.
 */
bool world_run(struct world *w, uint64_t seed);

/* ---- for the attacker ------------------------------------------------ */

/* Sends a frame from `side`'s end of the gate, or, with `wrong_port`, from the
 * other. False: no room on the way. */
bool world_send(struct world *w, unsigned int side, const struct frame *f,
		bool wrong_port, const char *note);

/* Sets up the attacker; the script is there, the ends are configured. */
void attacker_begin(struct world *w);
/* One act. */
void attacker_act(struct world *w);
/* One packet of a stranger who knows the addresses and nothing else. */
void spoofer_act(struct world *w);

#endif
