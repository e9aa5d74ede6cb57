/* SPDX-License-Identifier: GPL-2.0-only */
/* Ethernet frames for tests: made from fields, and read back into fields.
 * Knows nothing of the gate. Byte order: host, addresses as on the wire.
 */
#ifndef TESTS_FRAME_H
#define TESTS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_FIN = 0x01,
	FRAME_SYN = 0x02,
	FRAME_RST = 0x04,
	FRAME_PSH = 0x08,
	FRAME_ACK = 0x10,
	FRAME_URG = 0x20,
};

enum {
	FRAME_MAX = 9216,	/* the longest frame that is ever made */
	FRAME_OPTIONS_MAX = 40, /* of TCP */
	FRAME_HEADERS_MAX = 14 + 8 + 40 + 60,
};

struct frame {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t vlan;	 /* 0: no tag */
	uint16_t outer;	 /* outer tag of QinQ, 0: none */
	uint8_t family;	 /* 4 or 6 */
	uint8_t l4;	 /* 6 TCP, 17 UDP */
	uint8_t ttl;	 /* 0: 64 */
	uint8_t flags;	 /* FRAME_* */
	uint8_t src[16]; /* IPv4 in the last four bytes */
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
	uint32_t ack;
	uint16_t window;
	uint16_t urgent;
	uint8_t options[FRAME_OPTIONS_MAX];
	uint8_t options_len; /* a multiple of four */
	bool bad_checksum;   /* of TCP or UDP: made wrong, or found wrong */
	const uint8_t *payload;
	size_t payload_len;
};

/* Writes the frame, returns its length; 0 if `size` does not hold it. */
size_t frame_make(const struct frame *f, uint8_t *ret, size_t size);

/* Reads a frame of the kinds that frame_make() writes. False if it is none or
 * if a length or the IPv4 checksum is wrong; bytes behind the IP length are
 * padding. ret->payload points into `bytes`. */
bool frame_read(const uint8_t *bytes, size_t len, struct frame *ret);

/* Swaps source and destination: addresses, ports, MACs. */
void frame_turn(struct frame *f);

#endif
