/* SPDX-License-Identifier: GPL-2.0-only */
/* What is around the segments: links, tags, extension headers, lengths that
 * lie, files. The conversations are Modbus, or DNS where a datagram will do. */
#include <string.h>

#include "cases.h"

#define READ "0001 0000 0006 01 03 0000 0002"
#define READ_REPLY "0001 0000 0007 01 03 04 0001 0002"
#define QUERY                                                                  \
	"1234 0100 0001 0000 0000 0000 03 706c63 07 6578616d706c65 00 0001 0001"

enum { PSH_ACK = FRAME_PSH | FRAME_ACK };
enum { IP = 14, TCP = 34, TYPE = 12 };

static void transact(struct talk *talk)
{
	talk_open(talk);
	talk_hex(talk, TALK_client, READ);
	talk_hex(talk, TALK_server, READ_REPLY);
	talk_close(talk);
}

static void make_ipv4(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	transact(&talk);
}

static void make_ipv6(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 6, 6, 502);
	transact(&talk);
}

static void make_loopback(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	tape_hex("7f000001", talk.frame.src + 12, 4);
	tape_hex("7f000001", talk.frame.dst + 12, 4);
	transact(&talk);
}

static void make_land(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	memcpy(talk.frame.src, talk.frame.dst, 16);
	talk.frame.sport = 502;
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
}

static void make_vlan(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk.frame.vlan = 10;
	transact(&talk);
}

static void make_qinq(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk.frame.vlan = 10;
	talk.frame.outer = 200;
	transact(&talk);
}

/* Puts `hex` into the frame at `at`. */
static size_t insert(uint8_t *frame, size_t len, size_t at, const char *hex)
{
	uint8_t bytes[64];
	size_t more = tape_hex(hex, bytes, sizeof(bytes));

	memmove(frame + at + more, frame + at, len - at);
	memcpy(frame + at, bytes, more);
	return len + more;
}

static void make_three_tags(struct tape *tape)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 4, 6, 502);
	talk.frame.vlan = 10;
	talk.frame.outer = 200;
	len = talk_make(&talk, TALK_client, 0, FRAME_SYN, "", frame);
	tape_put(tape, frame, insert(frame, len, TYPE, "8100 0005"));
}

/* Destination options of eight bytes, all padding, before the datagram. */
static void make_ipv6_options(struct tape *tape)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 6, 17, 53);
	len = talk_make(&talk, TALK_client, 0, 0, QUERY, frame);
	len = insert(frame, len, IP + 40, "11 00 01 04 00000000");
	frame[IP + 6] = 60;
	frame[IP + 5] += 8;
	tape_put(tape, frame, len);
}

/* An atomic fragment, RFC 6946. */
static void make_ipv6_fragment(struct tape *tape)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 6, 17, 53);
	len = talk_make(&talk, TALK_client, 0, 0, QUERY, frame);
	len = insert(frame, len, IP + 40, "11 00 0000 12345678");
	frame[IP + 6] = 44;
	frame[IP + 5] += 8;
	tape_put(tape, frame, len);
}

/* The first of more fragments; 0x20 is "more fragments". */
static void make_fragment(struct tape *tape)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 4, 17, 53);
	len = talk_make(&talk, TALK_client, 0, 0, QUERY, frame);
	frame[IP + 6] = 0x20;
	tape_put(tape, frame, len);
}

/* One frame of an open conversation, changed by one byte. */
static void change_byte(struct tape *tape, unsigned int l4, size_t at,
			uint8_t value)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 4, l4, l4 == 6 ? 502 : 53);
	if (l4 == 6)
		talk_open(&talk);
	len = talk_make(&talk, TALK_client, 0, PSH_ACK, l4 == 6 ? READ : QUERY,
			frame);
	frame[at] = value;
	tape_put(tape, frame, len);
}

static void make_ip_length(struct tape *tape)
{
	change_byte(tape, 6, IP + 2, 0x02);
}

static void make_tcp_header(struct tape *tape)
{
	change_byte(tape, 6, TCP + 12, 0x40);
}

static void make_udp_length(struct tape *tape)
{
	change_byte(tape, 17, TCP + 5, 9);
}

/* Window scale of length 0. */
static void make_syn_options(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk.frame.options_len = 4;
	talk.frame.options[0] = 3;
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
}

/* Ethernet pads short frames; what lies behind the IP length is nothing. */
static void make_padded(struct tape *tape)
{
	struct talk talk;
	uint8_t frame[FRAME_MAX];
	size_t len;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_open(&talk);
	talk_hex(&talk, TALK_client, READ);
	len = talk_make(&talk, TALK_server, 0, FRAME_ACK, "", frame);
	memset(frame + len, 0x55, 60 - len);
	tape_put(tape, frame, 60);
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_close(&talk);
}

const struct capture_case frame_cases[] = {
	CASE("ipv6", make_ipv6,
	     PASS_AND(2, "modbus", "\"src\":\"2001:db8::a\"")),
	CASE_ON("loopback", make_loopback, TAPE_pcap, TAPE_null,
		PASS(2, "modbus")),
	CASE("land", make_land, DROP("same_endpoints", 1, 0, "null")),
	CASE("vlan", make_vlan, PASS_AND(2, "modbus", "\"vlan\":10,")),
	CASE("qinq", make_qinq, PASS_AND(2, "modbus", "\"vlan\":200,")),
	CASE("three-tags", make_three_tags, DROP("vlan_depth", 1, 0, "null")),
	CASE("ipv6-options", make_ipv6_options, PASS(1, "dns")),
	CASE("ipv6-fragment", make_ipv6_fragment, DROP("fragment", 1, 0, NULL)),
	CASE("fragment", make_fragment, DROP("fragment", 1, 0, NULL)),
	CASE("ip-length", make_ip_length, DROP("bad_ip_length", 4, 0, NULL)),
	CASE("tcp-header", make_tcp_header, DROP("bad_tcp_header", 4, 0, NULL)),
	CASE("udp-length", make_udp_length, DROP("bad_udp_length", 1, 0, NULL)),
	CASE("syn-options", make_syn_options,
	     DROP("bad_tcp_options", 1, 0, "null")),
	CASE("padded", make_padded, PASS(2, "modbus")),
	{ .name = "snaplen",
	  .make = make_ipv4,
	  .snaplen = 60,
	  .expect = { PASS_AND(0, "null", "\"cut\":true") } },
	CASE_ON("raw-ip", make_ipv4, TAPE_pcap, TAPE_raw, PASS(2, "modbus")),
	CASE_ON("raw-ipv6", make_ipv6, TAPE_pcap, TAPE_raw, PASS(2, "modbus")),
	CASE_ON("cooked", make_ipv4, TAPE_pcap, TAPE_cooked, PASS(2, "modbus")),
	CASE_ON("cooked-vlan", make_vlan, TAPE_pcap, TAPE_cooked,
		PASS_AND(2, "modbus", "\"vlan\":10,")),
	CASE_ON("cooked2", make_ipv6, TAPE_pcap, TAPE_cooked2,
		PASS(2, "modbus")),
	CASE_ON("null-ipv6", make_ipv6, TAPE_pcap, TAPE_null,
		PASS(2, "modbus")),
	CASE_ON("pcapng", make_ipv4, TAPE_pcapng, TAPE_ethernet,
		PASS(2, "modbus")),
	CASE_ON("pcapng-raw", make_ipv4, TAPE_pcapng, TAPE_raw,
		PASS(2, "modbus")),
	CASE_ON("nanoseconds", make_ipv4, TAPE_pcap_ns, TAPE_ethernet,
		PASS(2, "modbus")),
	CASE_ON("other-byte-order", make_ipv4, TAPE_pcap_swapped, TAPE_ethernet,
		PASS(2, "modbus")),
	CASE_ON("null-other-byte-order", make_ipv4, TAPE_pcap_swapped,
		TAPE_null, PASS(2, "modbus")),
	{ .name = NULL },
};
