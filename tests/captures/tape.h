/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes captures of conversations that are made up: frames with right
 * lengths and checksums, in any form that `replay` reads. Knows nothing of the
 * gate. What is asked of it is within bounds; it stops the program otherwise.
 */
#ifndef TESTS_CAPTURES_TAPE_H
#define TESTS_CAPTURES_TAPE_H

#include <stddef.h>
#include <stdint.h>

#include "../frame.h"

enum tape_link {
	TAPE_ethernet,
	TAPE_raw,
	TAPE_null,
	TAPE_cooked,
	TAPE_cooked2,
	TAPE_ppp, /* which replay does not read */
};

enum tape_form {
	TAPE_pcap,
	TAPE_pcap_swapped, /* of a machine of the other byte order */
	TAPE_pcap_ns,
	TAPE_pcapng,
};

struct tape {
	uint8_t *bytes;
	size_t len;
	size_t room;
	enum tape_link link;
	enum tape_form form;
	uint32_t snaplen;
	uint32_t frames;
	uint64_t time_ns;
	uint16_t client_port; /* of conversations that begin */
};

void tape_begin(struct tape *tape, enum tape_form form, enum tape_link link,
		uint32_t snaplen);
void tape_free(struct tape *tape);
/* An Ethernet frame, with what its link has before the packet instead. */
void tape_put(struct tape *tape, const uint8_t *frame, size_t len);

/* Writes the bytes that `text` says in hexadecimal; spaces mean nothing. */
size_t tape_hex(const char *text, uint8_t *ret, size_t size);

/* ---- conversations ---------------------------------------------------- */

enum { TALK_client = 0, TALK_server = 1 };

struct talk {
	struct tape *tape;
	struct frame frame; /* as the client sends it */
	uint32_t next[2];   /* byte that the side sends next */
};

/* Client 192.0.2.10, or 2001:db8::a, with the tape's port speaks to
 * 198.51.100.7, or 2001:db8:1::7. */
void talk_begin(struct talk *talk, struct tape *tape, unsigned int family,
		unsigned int l4, uint16_t port);
void talk_open(struct talk *talk);  /* three frames */
void talk_close(struct talk *talk); /* three frames */

/* One frame each. */
void talk_say(struct talk *talk, unsigned int side, const void *bytes,
	      size_t len);
void talk_hex(struct talk *talk, unsigned int side, const char *text);
void talk_text(struct talk *talk, unsigned int side, const char *text);
void talk_ack(struct talk *talk, unsigned int side);
/* A TCP segment `offset` bytes from where the side stands, which stays. */
void talk_segment(struct talk *talk, unsigned int side, int32_t offset,
		  uint8_t flags, const char *hex);
/* The same as a frame to be changed before tape_put(); its length. */
size_t talk_make(struct talk *talk, unsigned int side, int32_t offset,
		 uint8_t flags, const char *hex, uint8_t ret[FRAME_MAX]);

#endif
