/* SPDX-License-Identifier: GPL-2.0-only */
#include "tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 1 << 16,
	FRAME_NS = 1000000,
	ISN_client = 1000,
	ISN_server = 900000,
};

#define BEGIN_NS 1700000000000000000ULL

static void stop(const char *what)
{
	fprintf(stderr, "tape: %s\n", what);
	abort();
}

/* ---- file ------------------------------------------------------------- */

static void append(struct tape *tape, const void *bytes, size_t len)
{
	if (tape->len + len > tape->room) {
		tape->room += len + CHUNK;
		tape->bytes = realloc(tape->bytes, tape->room);
		if (!tape->bytes)
			stop("out of memory");
	}
	memcpy(tape->bytes + tape->len, bytes, len);
	tape->len += len;
}

static void append32(struct tape *tape, uint32_t v)
{
	if (tape->form == TAPE_pcap_swapped)
		v = __builtin_bswap32(v);
	append(tape, &v, sizeof(v));
}

static void append16(struct tape *tape, uint16_t v)
{
	if (tape->form == TAPE_pcap_swapped)
		v = __builtin_bswap16(v);
	append(tape, &v, sizeof(v));
}

/* LINKTYPE_ values, as they stand in files. */
static uint32_t link_number(enum tape_link link)
{
	switch (link) {
	case TAPE_ethernet:
		return 1;
	case TAPE_raw:
		return 101;
	case TAPE_null:
		return 0;
	case TAPE_cooked:
		return 113;
	case TAPE_cooked2:
		return 276;
	case TAPE_ppp:
		return 9;
	}
	stop("no such link");
	return 0;
}

/* Section header and one interface with nanoseconds (option 9, if_tsresol). */
static void begin_pcapng(struct tape *tape)
{
	append32(tape, 0x0a0d0d0a);
	append32(tape, 28);
	append32(tape, 0x1a2b3c4d);
	append16(tape, 1);
	append16(tape, 0);
	append32(tape, 0xffffffff);
	append32(tape, 0xffffffff);
	append32(tape, 28);
	append32(tape, 1);
	append32(tape, 32);
	append16(tape, (uint16_t)link_number(tape->link));
	append16(tape, 0);
	append32(tape, tape->snaplen);
	append16(tape, 9);
	append16(tape, 1);
	append32(tape, 9);
	append32(tape, 0);
	append32(tape, 32);
}

void tape_begin(struct tape *tape, enum tape_form form, enum tape_link link,
		uint32_t snaplen)
{
	*tape = (struct tape){ .form = form,
			       .link = link,
			       .snaplen = snaplen,
			       .time_ns = BEGIN_NS,
			       .client_port = 40000 };
	if (form == TAPE_pcapng) {
		begin_pcapng(tape);
		return;
	}
	append32(tape, form == TAPE_pcap_ns ? 0xa1b23c4d : 0xa1b2c3d4);
	append16(tape, 2);
	append16(tape, 4);
	append32(tape, 0);
	append32(tape, 0);
	append32(tape, snaplen);
	append32(tape, link_number(link));
}

void tape_free(struct tape *tape)
{
	free(tape->bytes);
	tape->bytes = NULL;
}

static void put_pcap(struct tape *tape, const uint8_t *bytes, uint32_t len)
{
	uint32_t kept = len < tape->snaplen ? len : tape->snaplen;
	uint32_t rest = (uint32_t)(tape->time_ns % 1000000000U);

	append32(tape, (uint32_t)(tape->time_ns / 1000000000U));
	append32(tape, tape->form == TAPE_pcap_ns ? rest : rest / 1000);
	append32(tape, kept);
	append32(tape, len);
	append(tape, bytes, kept);
}

/* An enhanced packet block. */
static void put_pcapng(struct tape *tape, const uint8_t *bytes, uint32_t len)
{
	uint32_t kept = len < tape->snaplen ? len : tape->snaplen;
	uint32_t pad = (4 - kept % 4) % 4;

	append32(tape, 6);
	append32(tape, 32 + kept + pad);
	append32(tape, 0);
	append32(tape, (uint32_t)(tape->time_ns >> 32));
	append32(tape, (uint32_t)tape->time_ns);
	append32(tape, kept);
	append32(tape, len);
	append(tape, bytes, kept);
	append(tape, "\0\0\0", pad);
	append32(tape, 32 + kept + pad);
}

/* What stands before the packet instead of Ethernet's header. */
static size_t put_link(const struct tape *tape, const uint8_t *frame,
		       uint8_t *ret)
{
	static const uint8_t cooked[] = { 0, 0, 0, 1, 0, 6 };
	/* Linux has IPv6 as 10, and this machine is little-endian. */
	uint8_t family = frame[12] == 0x86 ? 10 : 2;

	switch (tape->link) {
	case TAPE_null:
		memset(ret, 0, 4);
		ret[tape->form == TAPE_pcap_swapped ? 3 : 0] = family;
		return 4;
	case TAPE_cooked:
		memcpy(ret, cooked, 6);
		memcpy(ret + 6, frame + 6, 6);
		memset(ret + 12, 0, 2);
		memcpy(ret + 14, frame + 12, 2);
		return 16;
	case TAPE_cooked2:
		memset(ret, 0, 20);
		memcpy(ret, frame + 12, 2);
		ret[7] = 1; /* interface */
		ret[9] = 1; /* Ethernet */
		ret[11] = 6;
		memcpy(ret + 12, frame + 6, 6);
		return 20;
	default:
		return 0;
	}
}

void tape_put(struct tape *tape, const uint8_t *frame, size_t len)
{
	uint8_t built[FRAME_MAX + 20];
	size_t header;

	if (len > FRAME_MAX || len < 14)
		stop("a frame of that length is not made");
	tape->time_ns += FRAME_NS;
	tape->frames++;
	if (tape->link == TAPE_ethernet) {
		memcpy(built, frame, len);
	} else {
		header = put_link(tape, frame, built);
		memcpy(built + header, frame + 14, len - 14);
		len = header + len - 14;
	}
	if (tape->form == TAPE_pcapng)
		put_pcapng(tape, built, (uint32_t)len);
	else
		put_pcap(tape, built, (uint32_t)len);
}

static unsigned int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c);

	if (!at || !c)
		stop("not hexadecimal");
	return (unsigned int)(at - digits);
}

size_t tape_hex(const char *text, uint8_t *ret, size_t size)
{
	size_t len = 0;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		if (len == size)
			stop("too many bytes");
		ret[len] = (uint8_t)(digit(text[0]) << 4);
		ret[len++] |= (uint8_t)digit(*++text);
	}
	return len;
}

/* ---- conversations ---------------------------------------------------- */

void talk_begin(struct talk *talk, struct tape *tape, unsigned int family,
		unsigned int l4, uint16_t port)
{
	struct frame *f = &talk->frame;

	*talk = (struct talk){
		.tape = tape,
		.next = { ISN_client, ISN_server },
	};
	f->family = (uint8_t)family;
	f->l4 = (uint8_t)l4;
	f->sport = tape->client_port;
	f->dport = port;
	f->window = 64240;
	tape_hex("00005e005301", f->src_mac, 6);
	tape_hex("00005e005302", f->dst_mac, 6);
	if (family == 4) {
		tape_hex("c000020a", f->src + 12, 4);
		tape_hex("c6336407", f->dst + 12, 4);
	} else {
		tape_hex("20010db80000000000000000 0000000a", f->src, 16);
		tape_hex("20010db80001000000000000 00000007", f->dst, 16);
	}
}

static size_t make(struct talk *talk, unsigned int side, int32_t offset,
		   uint8_t flags, const void *bytes, size_t len,
		   uint8_t ret[FRAME_MAX])
{
	struct frame f = talk->frame;
	size_t made;

	if (side == TALK_server)
		frame_turn(&f);
	f.seq = talk->next[side] + (uint32_t)offset;
	f.ack = flags & FRAME_ACK ? talk->next[!side] : 0;
	f.flags = flags;
	f.payload = bytes;
	f.payload_len = len;
	made = frame_make(&f, ret, FRAME_MAX);
	if (!made)
		stop("the frame is too long");
	return made;
}

static void put(struct talk *talk, unsigned int side, uint8_t flags,
		const void *bytes, size_t len)
{
	uint8_t frame[FRAME_MAX];

	tape_put(talk->tape, frame,
		 make(talk, side, 0, flags, bytes, len, frame));
	talk->next[side] += (uint32_t)len;
	if (flags & (FRAME_SYN | FRAME_FIN))
		talk->next[side]++;
}

void talk_open(struct talk *talk)
{
	put(talk, TALK_client, FRAME_SYN, NULL, 0);
	put(talk, TALK_server, FRAME_SYN | FRAME_ACK, NULL, 0);
	put(talk, TALK_client, FRAME_ACK, NULL, 0);
}

void talk_close(struct talk *talk)
{
	put(talk, TALK_client, FRAME_FIN | FRAME_ACK, NULL, 0);
	put(talk, TALK_server, FRAME_FIN | FRAME_ACK, NULL, 0);
	put(talk, TALK_client, FRAME_ACK, NULL, 0);
}

void talk_say(struct talk *talk, unsigned int side, const void *bytes,
	      size_t len)
{
	put(talk, side, FRAME_PSH | FRAME_ACK, bytes, len);
}

void talk_hex(struct talk *talk, unsigned int side, const char *text)
{
	uint8_t bytes[2048];

	talk_say(talk, side, bytes, tape_hex(text, bytes, sizeof(bytes)));
}

void talk_text(struct talk *talk, unsigned int side, const char *text)
{
	talk_say(talk, side, text, strlen(text));
}

void talk_ack(struct talk *talk, unsigned int side)
{
	put(talk, side, FRAME_ACK, NULL, 0);
}

size_t talk_make(struct talk *talk, unsigned int side, int32_t offset,
		 uint8_t flags, const char *hex, uint8_t ret[FRAME_MAX])
{
	uint8_t bytes[2048];
	size_t len = tape_hex(hex, bytes, sizeof(bytes));

	return make(talk, side, offset, flags, bytes, len, ret);
}

void talk_segment(struct talk *talk, unsigned int side, int32_t offset,
		  uint8_t flags, const char *hex)
{
	uint8_t frame[FRAME_MAX];

	tape_put(talk->tape, frame,
		 talk_make(talk, side, offset, flags, hex, frame));
}
