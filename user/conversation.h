/* SPDX-License-Identifier: GPL-2.0-only */
/* The conversations of a capture: which frame belongs to which, who called
 * whom, and what is kept of each. The reading here is lenient and only for
 * book-keeping (whose frame is this, how much payload); what a frame is worth
 * is the engine's word alone.
 */
#ifndef PORTCULLIS_CONVERSATION_H
#define PORTCULLIS_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture.h"

enum {
	SEGMENT_fin = 1U << 0, /* as in the TCP header */
	SEGMENT_syn = 1U << 1,
	SEGMENT_rst = 1U << 2,
	SEGMENT_ack = 1U << 4,
};

/* What book-keeping wants of a frame. Host byte order, addresses network;
 * IPv4 in the last four bytes. */
struct segment {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
	uint8_t family; /* 4, 6 */
	uint8_t l4;	/* TRANSPORT_* */
	uint8_t flags;	/* SEGMENT_* of TCP, 0 of UDP */
	bool is_cut;	/* bytes of the packet are not in the capture */
	int vlan;	/* id of the outermost tag, -1: none */
	uint32_t seq;
	uint32_t ack;
	size_t l3_at; /* offsets in the frame */
	size_t l4_at;
	const uint8_t *payload;
	size_t payload_len; /* as the headers say */
	size_t payload_has; /* of these in the capture */
};

/* False: no TCP or UDP ports to be found, the frame is of no conversation. */
bool segment_read(const struct capture_frame *frame,
		  struct segment *ret_segment);

enum { SIDE_client = 0, SIDE_server = 1 };

/* The first bytes that one side sent, for naming the protocol. */
struct evidence {
	uint8_t *bytes;
	uint16_t len;
	uint32_t next; /* TCP: sequence number of the byte that fits behind */
};

/* A frame on its way to the engine. */
struct offer {
	uint64_t number;
	const uint8_t *bytes;
	size_t len;
	unsigned int side;
	unsigned int port;
	bool goes_on; /* a piece of a frame, and not the last */
	struct segment segment;
};

/* One that the engine is to see again: a sender resends what is lost. */
struct held {
	struct held *next;
	struct offer offer; /* points to the bytes below */
	uint8_t reason;	    /* why it was not let through */
	uint8_t tries;
	uint8_t bytes[];
};

struct conversation {
	struct conversation *bucket_next; /* newest first */
	struct conversation **bucket_at;  /* what points here */
	struct conversation *next;	  /* by first frame */
	uint8_t addr[2][16];		  /* by side */
	uint16_t port[2];
	uint8_t family;
	uint8_t l4;
	int16_t vlan[2];    /* -1: untagged, VLAN_open: nothing sent yet */
	int16_t first_vlan; /* -1: untagged */
	uint8_t
	    engine_port[2]; /* where the side's frames come in, 0: not known */
	bool has_syn;
	bool is_closed; /* in the capture: RST, or FIN from both */
	bool has_fin[2];
	bool has_rst[2];
	bool has_ack[2];
	uint32_t ack[2]; /* highest that the side acknowledged */
	uint32_t first_ack[2];
	uint32_t isn; /* of the client's SYN */
	uint64_t seen_ns;
	uint64_t first_frame;

	uint64_t packets;
	uint64_t payload_packets;

	/* what the engine said; filled by the replay */
	uint64_t first_refused; /* frame, 0: none */
	uint64_t delivered_packets;
	uint64_t delivered_bytes;
	uint64_t passed; /* packets of any kind */
	uint64_t
	    fresh_frame[2];	/* of a passed packet with new bytes, by side */
	uint64_t stopped_frame; /* first that was not judged: cut or gap */
	uint64_t ignored_frame; /* first that was dropped without harm */
	uint32_t high[2];	/* end of the bytes that passed, by side */
	uint64_t heard[2];	/* hash of the last datagram that passed */
	bool has_high[2];
	uint8_t reason;
	uint8_t ignored_reason;
	uint8_t proto; /* committed */
	uint8_t refused_side;
	bool is_cut;	 /* by the snaplen: no longer judged */
	bool is_long;	 /* for the engine's door: no longer judged */
	bool has_gap;	 /* the capture lacks packets: no longer judged */
	bool would_drop; /* refused but for monitor mode */

	struct evidence evidence[2];
	struct held *held;
	unsigned int n_held;
};

enum { VLAN_open = -2, EVIDENCE_MAX = 512 };

struct conversations;

/* `serves` says whether some service is known on a port (for telling the
 * client where no SYN does). NULL: out of memory. */
struct conversations *
conversations_new(bool (*serves)(uint8_t l4, uint16_t port, void *arg),
		  void *arg);
void conversations_free(struct conversations *table); /* NULL is fine */

/* The conversation that the segment belongs to, made if there is none, and the
 * side that sent it. Its packets are counted here. NULL: out of memory. */
struct conversation *conversation_of(struct conversations *table,
				     const struct capture_frame *frame,
				     const struct segment *segment,
				     unsigned int *ret_side);

size_t conversations_count(const struct conversations *table);
/* Takes the one with the oldest first frame out of the table. NULL: empty. To
 * be given to conversation_free(). */
struct conversation *conversations_take(struct conversations *table);
void conversation_free(struct conversation *conversation);

/* Keeps payload for naming the protocol. 0 / -ENOMEM. */
int conversation_note(struct conversation *conversation, unsigned int side,
		      const struct segment *segment);
void conversation_forget(struct conversation *conversation);

#endif
