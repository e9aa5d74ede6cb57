/* SPDX-License-Identifier: GPL-2.0-only */
/* Modbus/TCP, and what is not. Frames 1 to 3 are the handshake. */
#include "cases.h"

#define READ "0001 0000 0006 01 03 0000 0002"
#define READ_REPLY "0001 0000 0007 01 03 04 0001 0002"
#define WRITE "0002 0000 0006 01 06 0010 00ff"
#define WRITE_REPLY WRITE

static void begin(struct talk *talk, struct tape *tape)
{
	talk_begin(talk, tape, 4, 6, 502);
	talk_open(talk);
}

/* A request, whatever it is, and the end of the conversation. */
static void ask(struct tape *tape, const char *request)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, request);
	talk_close(&talk);
}

/* A good request and the reply to it, whatever that is. */
static void answer(struct tape *tape, const char *reply)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, READ);
	talk_hex(&talk, TALK_server, reply);
	talk_close(&talk);
}

static void make_read(struct tape *tape)
{
	answer(tape, READ_REPLY);
}

static void make_write(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, WRITE);
	talk_hex(&talk, TALK_server, WRITE_REPLY);
	talk_hex(&talk, TALK_client,
		 "0003 0000 000b 01 10 0001 0002 04 000a 0102");
	talk_hex(&talk, TALK_server, "0003 0000 0006 01 10 0001 0002");
	talk_close(&talk);
}

static void make_exception(struct tape *tape)
{
	answer(tape, "0001 0000 0003 01 83 02");
}

/* The request in two, the reply a byte a segment; each is acknowledged. */
static void make_split(struct tape *tape)
{
	struct talk talk;
	uint8_t bytes[64];
	size_t len;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, "0001 0000");
	talk_hex(&talk, TALK_client, "0006 01 03 0000 0002");
	len = tape_hex(READ_REPLY, bytes, sizeof(bytes));
	for (size_t i = 0; i < len; i++) {
		talk_say(&talk, TALK_server, bytes + i, 1);
		talk_ack(&talk, TALK_client);
	}
	talk_close(&talk);
}

static void make_pipelined(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client,
		 READ WRITE "0003 0000 0006 01 03 0000 0001");
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_hex(&talk, TALK_server,
		 WRITE_REPLY "0003 0000 0005 01 03 02 0001");
	talk_close(&talk);
}

static void make_pipelined_bad(struct tape *tape)
{
	ask(tape, READ WRITE "0003 0001 0006 01 03 0000 0001");
}

static void make_wrong_protocol(struct tape *tape)
{
	ask(tape, "0001 0001 0006 01 03 0000 0002");
}

static void make_length_zero(struct tape *tape)
{
	ask(tape, "0001 0000 0000 01 03 0000 0002");
}

static void make_length_lies(struct tape *tape)
{
	ask(tape, "0001 0000 0007 01 03 0000 0002 ff");
}

static void make_too_long(struct tape *tape)
{
	ask(tape, "0001 0000 ffff 01 03 0000 0002");
}

static void make_quantity_zero(struct tape *tape)
{
	ask(tape, "0001 0000 0006 01 03 0000 0000");
}

static void make_function_zero(struct tape *tape)
{
	ask(tape, "0001 0000 0006 01 00 0000 0002");
}

static void make_byte_count(struct tape *tape)
{
	ask(tape, "0003 0000 000b 01 10 0001 0002 05 000a 0102");
}

/* The first half is a legal prefix; what completes it is not. */
static void make_split_bad(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, "0001 0000 0006 01");
	talk_hex(&talk, TALK_client, "00 0000 0002");
	talk_close(&talk);
}

static void make_unsolicited(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_close(&talk);
}

static void make_wrong_id(struct tape *tape)
{
	answer(tape, "0009 0000 0007 01 03 04 0001 0002");
}

static void make_reply_bytes(struct tape *tape)
{
	answer(tape, "0001 0000 0007 01 03 06 0001 0002");
}

static void make_ssh(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk_text(&talk, TALK_server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk_close(&talk);
}

static void make_http(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_text(&talk, TALK_client,
		  "GET /index.html HTTP/1.1\r\nHost: plant\r\n\r\n");
	talk_close(&talk);
}

static void make_shell(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_text(&talk, TALK_server, "/bin/sh: can't access tty\n# ");
	talk_text(&talk, TALK_client, "id\n");
	talk_close(&talk);
}

static void make_rtu(struct tape *tape)
{
	ask(tape, "11 03 006b 0003 7687");
}

static void make_switch(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape);
	talk_hex(&talk, TALK_client, READ);
	talk_hex(&talk, TALK_server, READ_REPLY);
	talk_hex(&talk, TALK_client, WRITE);
	talk_hex(&talk, TALK_server, WRITE_REPLY);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk_text(&talk, TALK_server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk_close(&talk);
}

const struct capture_case modbus_cases[] = {
	CASE("modbus-read", make_read, PASS(2, "modbus")),
	CASE("modbus-write", make_write, PASS(4, "modbus")),
	CASE("modbus-exception", make_exception, PASS(2, "modbus")),
	CASE("modbus-split", make_split, PASS(15, "modbus")),
	CASE("modbus-pipelined", make_pipelined, PASS(3, "modbus")),
	CASE("modbus-pipelined-bad", make_pipelined_bad,
	     DROP("bad_magic", 4, 0, NULL)),
	CASE("modbus-wrong-protocol", make_wrong_protocol,
	     DROP("bad_magic", 4, 0, "null")),
	CASE("modbus-length-zero", make_length_zero,
	     DROP("bad_length", 4, 0, "null")),
	CASE("modbus-length-lies", make_length_lies,
	     DROP("bad_length", 4, 0, "null")),
	CASE("modbus-too-long", make_too_long,
	     DROP("bad_length", 4, 0, "null")),
	CASE("modbus-quantity-zero", make_quantity_zero,
	     DROP("bad_value", 4, 0, "null")),
	CASE("modbus-function-zero", make_function_zero,
	     DROP("bad_function", 4, 0, "null")),
	CASE("modbus-byte-count", make_byte_count,
	     DROP("bad_length", 4, 0, "null")),
	CASE("modbus-split-bad", make_split_bad,
	     DROP("bad_function", 5, 1, "null")),
	CASE("modbus-unsolicited", make_unsolicited,
	     DROP("unsolicited", 4, 0, NULL)),
	CASE("modbus-wrong-id", make_wrong_id, DROP("unsolicited", 5, 1, NULL)),
	CASE("modbus-reply-bytes", make_reply_bytes,
	     DROP("bad_length", 5, 1, NULL)),
	CASE("ssh-on-502", make_ssh, DROP("bad_magic", 4, 0, "ssh")),
	CASE("http-on-502", make_http, DROP("bad_magic", 4, 0, "http")),
	CASE("shell-on-502", make_shell, DROP("bad_magic", 4, 0, "null")),
	CASE("rtu-on-502", make_rtu, DROP("bad_magic", 4, 0, "null")),
	CASE("modbus-then-ssh", make_switch, DROP("bad_magic", 8, 4, "ssh")),
	{ .name = NULL },
};
