/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of the packet in hand. One of these a CPU: it keeps the stack
 * small, and the verifier forgets what is in it between functions.
 */
#ifndef PORTCULLIS_SCRATCH_H
#define PORTCULLIS_SCRATCH_H

#include "window.h"

/* The mask as an instruction of its own: what the compiler knows of a value, an
 * older verifier may have lost. */
static __always_inline __u32 masked(__u32 value, __u32 mask)
{
	asm volatile("" : "+r"(value));
	return value & mask;
}

/* 1 .. most, a power of two, as it is known to be. */
static __always_inline __u32 size_within(__u32 n, __u32 most)
{
	return masked(n - 1, most - 1) + 1;
}

/* A parsed packet. Offsets count from the first byte of the frame. Host byte
 * order but for addresses and the ports inside `key`. */
struct packet {
	__u32 src[4]
	    __attribute__((aligned(8))); /* network; IPv4 in the last */
	__u32 dst[4];
	__u32 frame_len;
	__u32 l3_at;
	__u32 l4_at;
	__u32 payload_at; /* of TCP, UDP, ICMP */
	__u32 payload_len;
	__u32 seq;
	__u32 ack;
	__u16 sport; /* network */
	__u16 dport;
	__u16 window;
	__u16 ethertype;
	__u16 vlan;  /* inner VLAN id, 0: none or priority tag */
	__u16 outer; /* outer VLAN id of two */
	__u16 gso;   /* bytes a piece of a super-frame, 0: none */
	__u8 family; /* 4, 6, 0 */
	__u8 l4;     /* IP protocol number */
	__u8 flags;  /* TCP */
	__u8 dir;    /* 0: sent by the `lo` endpoint of the key */
	__u8 scale;  /* of a SYN's window option, SCALE_none */
	__u8 type;   /* ICMP */
	__u8 ttl;
	__u8 kind; /* enum portcullis_layer2 */
	__u8 pad[2];
	struct portcullis_key key __attribute__((aligned(8)));
};
#define SCALE_none 0xff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

/* Where a walk over the messages of a segment or datagram stands. */
struct cursor {
	__u32 off;  /* payload offset of the next byte that is not in `carry` */
	__u32 len;  /* payload length */
	__u64 skip; /* opaque bytes behind the end of the payload */
	__u32 from; /* payload offset of the first judged byte */
	__u32 judged; /* behind the last judged byte */
	__u64 pieces; /* bit per gso piece that held judged bytes */
	__u32 carry;  /* bytes of the window that came before this segment */
	__u8 inside;  /* within a message */
	__u8 done;
	__u8 reason; /* enum portcullis_reason, REASON_ok so far */
	__u8 whole;  /* messages are what is carried, see window.h at need() */
	__u8 carry_bytes[WINDOW_BYTES + NEED_BYTES] __attribute__((aligned(8)));
};

/* A first occurrence that was reported without a slot to remember it. */
struct report_tag {
	__u32 tag;   /* hash of who, what and why */
	__u32 seen;  /* jiffies >> 8 of the last report */
	__u32 count; /* repeats since */
};

/* A range of the payload on its way into the segment hash. */
#define HASH_BLOCK 128
struct hash_walk {
	__u32 from; /* in: of the payload */
	__u32 len;
	__u32 result; /* out */
	__u32 at;
	__u32 left;
	__u32 word; /* of the key */
	__u64 failed;
	__u64 sum;
	__u64 block[HASH_BLOCK / 8];
};

struct scratch {
	__u32 in_use;
	__u32 ifindex;
	__u64 now; /* jiffies */
	struct portcullis_port port;
	struct packet p;
	/* the policy's answer for a newcomer */
	__u32 ruleset;
	__u16 service;
	__u16 conduit;
	struct portcullis_place from;
	struct portcullis_place to;
	/* the conversation, and what was decided */
	__u32 slot; /* index + 1 */
	__u32 rule;
	__u32 generation;
	__u8 reason;
	__u8 verdict;
	__u8 would;
	__u8 mode;
	__u8 action;
	__u8 turn; /* answer the sender with an RST */
	__u8 proto;
	__u8 function;
	__u8 unit;
	__u8 from_server;
	__u8 report;
	__u8 pad;
	__u32 reset_seq; /* position of an RST to the receiver */
	__u32 hash;   /* of judged bytes that are whole in the first window */
	__u32 victim; /* slot that a newcomer may take */
	__u32 victim_rank;
	__u32 pair[2]; /* entries that become one */
	__u32 pair_at[2];
	__u32 piece;	   /* of a super-frame */
	__u32 from_offset; /* of the payload: where judging begins */
	__u8 walk;	   /* there are bytes to judge */
	__u8 hashed;	   /* `hash` is known */
	__u8 join;	   /* the entry takes the place of those it covers */
	__u8 pad_hash[5];
	struct portcullis_range argument; /* that a rule did not allow */
	__u32 pad_argument;
	struct cursor c;
	struct hash_walk h;
	struct step step;
	struct state state;
	struct step trial_step;
	struct state trial_state;
};

#endif
