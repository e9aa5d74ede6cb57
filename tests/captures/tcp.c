/* SPDX-License-Identifier: GPL-2.0-only */
/* What TCP and captures do to a conversation that is Modbus. Frames 1 to 3 are
 * the handshake where there is one. */
#include "cases.h"

#define READ "0001 0000 0006 01 03 0000 0002"
#define READ_REPLY "0001 0000 0007 01 03 04 0001 0002"
#define READ_2 "0002 0000 0006 01 03 0000 0002"
#define READ_2_REPLY "0002 0000 0007 01 03 04 0001 0002"
#define READ_OTHER "0001 0000 0006 01 03 0000 0003"

enum { PSH_ACK = FRAME_PSH | FRAME_ACK, ADU = 12, ADU_REPLY = 13 };

static void begin(struct talk *talk, struct tape *tape)
{
	talk_begin(talk, tape, 4, 6, 502);
	talk_open(talk);
}

static void transact(struct talk *talk)
{
	talk_hex(talk, TALK_client, READ);
	talk_hex(talk, TALK_server, READ_REPLY);
}

static void make_reordered(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_segment(&talk, TALK_client, ADU, PSH_ACK, READ_2);
	talk_hex(&talk, TALK_client, READ);
	talk.next[TALK_client] += ADU;
	talk_hex(&talk, TALK_server, READ_REPLY READ_2_REPLY);
	talk_close(&talk);
}

/* The reply stands before the request that it acknowledges. */
static void make_reply_first(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk.next[TALK_client] += ADU;
	talk_segment(&talk, TALK_server, 0, PSH_ACK, READ_REPLY);
	talk_segment(&talk, TALK_client, -ADU, PSH_ACK, READ);
	talk.next[TALK_server] += ADU_REPLY;
	talk_close(&talk);
}

/* Nobody ever had what lies before the second request. */
static void make_hole(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_segment(&talk, TALK_client, ADU, PSH_ACK, READ_2);
	talk_ack(&talk, TALK_server);
}

/* The server acknowledges a request that the capture does not have. */
static void make_gap(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk.next[TALK_client] += ADU;
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

static void make_resent(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_segment(&talk, TALK_client, 0, PSH_ACK, READ);
	talk_segment(&talk, TALK_client, 0, PSH_ACK, READ);
	transact(&talk);
	talk_close(&talk);
}

static void make_resent_otherwise(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_segment(&talk, TALK_client, 0, PSH_ACK, READ);
	talk_segment(&talk, TALK_client, 0, PSH_ACK, READ_OTHER);
	talk.next[TALK_client] += ADU;
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_close(&talk);
}

/* RFC 5961 3.2: an RST that is not exactly at the next byte ends nothing. */
static void make_rst_inexact(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_segment(&talk, TALK_server, 500, FRAME_RST | FRAME_ACK, "");
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

static void make_rst(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_segment(&talk, TALK_client, 0, FRAME_RST | FRAME_ACK, "");
}

static void make_data_after_rst(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_segment(&talk, TALK_client, 0, FRAME_RST | FRAME_ACK, "");
	talk_hex(&talk, TALK_client, READ_2);
}

/* The reply was under way when the client gave up. */
static void make_data_meets_rst(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, READ);
	talk_segment(&talk, TALK_client, 0, FRAME_RST | FRAME_ACK, "");
	talk_hex(&talk, TALK_server, READ_REPLY);
}

static void make_refused(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
	talk.next[TALK_client]++;
	talk_segment(&talk, TALK_server, -900000, FRAME_RST | FRAME_ACK, "");
}

static void make_syn_fin(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_segment(&talk, TALK_client, 0, FRAME_SYN | FRAME_FIN, "");
}

static void make_xmas(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_segment(&talk, TALK_client, 0, FRAME_FIN | FRAME_PSH | FRAME_URG,
		     "");
}

static void make_syn_data(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, READ);
}

/* An intruder's SYN is a proposal that nobody answers. */
static void make_syn_amid(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_segment(&talk, TALK_client, 123456789, FRAME_SYN, "");
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

static void make_wrap(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk.next[TALK_client] = 0xfffffff8;
	talk.next[TALK_server] = 0xfffffffc;
	talk_open(&talk);
	transact(&talk);
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

/* One byte below the last acknowledged one, as some stacks keep alive. */
static void make_keep_alive(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_ack(&talk, TALK_client);
	talk_segment(&talk, TALK_client, -1, FRAME_ACK, "00");
	talk_ack(&talk, TALK_server);
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

static void make_half_close(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, READ);
	talk_segment(&talk, TALK_client, 0, FRAME_FIN | FRAME_ACK, "");
	talk.next[TALK_client]++;
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_segment(&talk, TALK_server, 0, FRAME_FIN | FRAME_ACK, "");
	talk.next[TALK_server]++;
	talk_ack(&talk, TALK_client);
}

/* The same ports again: a conversation of its own, and it is another one. */
static void make_ports_again(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	transact(&talk);
	talk_close(&talk);
	talk.next[TALK_client] += 1000000;
	talk.next[TALK_server] += 1000000;
	talk_open(&talk);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1\r\n");
	talk_close(&talk);
}

static void make_midstream(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	transact(&talk);
	talk_hex(&talk, TALK_client, READ_2);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	talk_close(&talk);
}

static void make_midstream_server(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_hex(&talk, TALK_server, READ_2_REPLY);
	transact(&talk);
}

static void make_midstream_switch(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	transact(&talk);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1\r\n");
}

static void make_other_port(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 9999);
	talk_open(&talk);
	talk_hex(&talk, TALK_client, READ);
	talk_close(&talk);
}

static void make_no_answer(struct tape *tape)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 502);
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
	talk_segment(&talk, TALK_client, 0, FRAME_SYN, "");
}

const struct capture_case tcp_cases[] = {
	CASE("reordered", make_reordered, PASS(3, "modbus")),
	CASE("reply-first", make_reply_first, PASS(2, "modbus")),
	CASE("hole", make_hole, DROP("ahead", 6, 2, NULL)),
	CASE("gap", make_gap, PASS_AND(2, "modbus", "\"gap\":true")),
	CASE("resent", make_resent, PASS(4, "modbus")),
	CASE("resent-otherwise", make_resent_otherwise,
	     DROP("overlap_inconsistent", 5, 1, "modbus")),
	CASE("rst-inexact", make_rst_inexact, PASS(4, "modbus")),
	CASE("rst", make_rst, PASS(2, "modbus")),
	CASE("data-after-rst", make_data_after_rst,
	     DROP("closed", 7, 2, "modbus")),
	CASE("data-meets-rst", make_data_meets_rst, PASS(1, "modbus")),
	CASE("refused-by-server", make_refused, PASS(0, "null")),
	CASE("syn-fin", make_syn_fin, DROP("bad_tcp_flags", 1, 0, "null")),
	CASE("xmas", make_xmas, DROP("bad_tcp_flags", 1, 0, "null")),
	CASE("syn-data", make_syn_data, DROP("syn_data", 1, 0, NULL)),
	CASE("syn-amid", make_syn_amid, PASS(4, "modbus")),
	CASE("sequence-wrap", make_wrap, PASS(4, "modbus")),
	CASE("keep-alive", make_keep_alive, PASS(5, "modbus")),
	CASE("half-close", make_half_close, PASS(2, "modbus")),
	CASE("ports-again", make_ports_again, PASS(2, "modbus"),
	     DROP("bad_magic", 12, 0, "ssh")),
	CASE("midstream", make_midstream, PASS(4, "modbus")),
	CASE("midstream-server", make_midstream_server,
	     PASS_AND(3, "modbus", "\"dport\":502")),
	CASE("midstream-switch", make_midstream_switch,
	     DROP("bad_magic", 3, 2, "ssh")),
	CASE("other-port", make_other_port,
	     DROP_AND("no_service", 1, 0, "modbus", "\"covered\":false")),
	CASE("no-answer", make_no_answer, PASS(0, "null")),
	{ .name = NULL },
};
