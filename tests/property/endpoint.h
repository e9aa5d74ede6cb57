/* SPDX-License-Identifier: GPL-2.0-only */
/* One end of a TCP connection, as an honest stack behaves (RFC 9293 3.10),
 * small enough to be read. Time does not exist: the schedule says when a
 * timer would run out. Positions are offsets in the stream: 0 is the byte
 * behind the SYN.
 */
#ifndef PROPERTY_ENDPOINT_H
#define PROPERTY_ENDPOINT_H

#include "../frame.h"
#include "script.h"

enum endpoint_state {
	END_idle, /* a client that has not begun */
	END_listen,
	END_syn_sent,
	END_syn_rcvd,
	END_open, /* and all that follows, until both FINs are through */
	END_reset,
};

enum { END_SEGMENTS = 64 };

struct end_segment {
	uint32_t first;
	uint32_t end; /* without the FIN */
	bool fin;
};

struct endpoint {
	/* how it is */
	unsigned int side; /* 0 client, 1 server */
	const struct script *script;
	const uint8_t *out; /* what it says, out_len bytes */
	uint32_t out_len;
	struct random *random;
	struct frame head; /* addresses, ports, tags */
	uint32_t mss;	   /* 0: another for each segment */
	uint32_t flight;   /* segments under way at most */
	uint32_t window;   /* bytes */
	uint8_t scale;
	bool offers_scale;
	bool stamps;	  /* timestamps on every segment */
	bool ecn;	  /* asks for it in its SYN, RFC 3168 6.1.1 */
	bool half_closes; /* FIN before the last answer is there */
	bool lazy;	  /* the application reads late */
	bool replaces;	  /* a second SYN replaces an unanswered first */
	bool last_wins;	  /* of bytes that came twice */
	bool probes_data; /* at a closed window: a byte, not a keep-alive */
	bool merges;	  /* neighbours when it sends again */
	bool aborts;	  /* ends by RST */

	enum endpoint_state state;
	uint32_t iss;
	uint32_t irs;
	/* sending */
	uint32_t una;
	uint32_t nxt;
	bool fin_sent;
	bool fin_acked;
	bool probed;	  /* a byte behind nxt is under way */
	bool recovers;	  /* a timer ran out: nothing new before ... */
	uint32_t recover; /* ... this is acknowledged */
	uint32_t edge;	  /* of the peer's window */
	uint8_t peer_scale;
	bool scaled; /* both offered */
	struct end_segment segments[END_SEGMENTS];
	unsigned int n_segments;
	/* receiving */
	uint32_t rcv_nxt;
	uint32_t read;	   /* by the application */
	uint32_t rcv_edge; /* promised */
	uint32_t peer_fin; /* its position, if has_peer_fin */
	bool has_peer_fin;
	bool fin_read; /* rcv_nxt stands behind it */
	bool ack_due;
	uint32_t stamp;
	uint32_t incarnations; /* handshakes that reached a listener */
	uint32_t resets;       /* RSTs that ended it */
	uint32_t in_high;
	uint8_t in_have[SCRIPT_STREAM + 2000];
	uint8_t in[SCRIPT_STREAM + 2000];
};

/* Sets what must be the same for all: state, positions. The configuration
 * above `state` is the caller's, and iss. */
void endpoint_begin(struct endpoint *e);

/* Takes a frame. Writes what it answers at once to *ret_answer and returns
 * true, or returns false: an ACK may be due. */
bool endpoint_receive(struct endpoint *e, const struct frame *f,
		      struct frame *ret_answer);

/* Does one thing it has to do: handshake, an ACK that is due, new data, FIN.
 * False: nothing to do but to wait. */
bool endpoint_act(struct endpoint *e, struct frame *ret);

/* A timer ran out: sends again, probes, or updates the window. */
bool endpoint_timeout(struct endpoint *e, struct frame *ret);

/* Sends one of its segments again, out of turn. */
bool endpoint_resend(struct endpoint *e, struct frame *ret);

/* Has said and heard everything, FINs included. */
bool endpoint_done(const struct endpoint *e);

/* A segment of this end: bytes [first, first + len) of `from`. */
void endpoint_segment(const struct endpoint *e, struct frame *ret,
		      const uint8_t *from, uint32_t first, uint32_t len,
		      uint8_t flags);

#endif
