/* SPDX-License-Identifier: GPL-2.0-only */
/* DNS over UDP, whose frames are numbered from the first datagram, and over
 * TCP, where 1 to 3 are the handshake. */
#include "cases.h"

#define NS_PER_S 1000000000ULL

/* plc.example, A */
#define QUESTION "03 706c63 07 6578616d706c65 00 0001 0001"
#define QUERY "1234 0100 0001 0000 0000 0000" QUESTION
#define ANSWER "c00c 0001 0001 0000003c 0004 c0000201"
#define RESPONSE "1234 8180 0001 0001 0000 0000" QUESTION ANSWER
#define OTHER_RESPONSE "1234 8180 0001 0000 0000 0000" QUESTION

static void begin(struct talk *talk, struct tape *tape, unsigned int l4)
{
	talk_begin(talk, tape, 4, l4, 53);
	if (l4 == 6)
		talk_open(talk);
}

static void ask(struct tape *tape, const char *query)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, query);
}

static void answer(struct tape *tape, const char *response)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, response);
}

static void make_query(struct tape *tape)
{
	answer(tape, RESPONSE);
}

static void make_wrong_id(struct tape *tape)
{
	answer(tape, "4321 8180 0001 0001 0000 0000" QUESTION ANSWER);
}

/* Without a request before it, it is a datagram to a port of no service. */
static void make_unasked(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_server, RESPONSE);
}

static void make_twice(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, RESPONSE);
	talk_hex(&talk, TALK_server, OTHER_RESPONSE);
}

/* A mirror port copies a packet where it comes in and where it goes out. */
static void make_echo(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, RESPONSE);
	talk_hex(&talk, TALK_server, RESPONSE);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, OTHER_RESPONSE);
}

/* The copy of an answer long ago is none of the last one. */
static void make_stale_echo(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, RESPONSE);
	talk_hex(&talk, TALK_client, QUERY);
	talk_hex(&talk, TALK_server, OTHER_RESPONSE);
	talk_hex(&talk, TALK_server, RESPONSE);
}

static void make_late(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 17);
	talk_hex(&talk, TALK_client, QUERY);
	tape->time_ns += 6 * NS_PER_S;
	talk_hex(&talk, TALK_server, RESPONSE);
}

static void make_trailing(struct tape *tape)
{
	ask(tape, QUERY "00");
}

static void make_truncated(struct tape *tape)
{
	ask(tape, "1234 0100 0001 0000 0000 0000 03 706c63 07 657861");
}

static void make_tcp(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 6);
	talk_hex(&talk, TALK_client, "001d" QUERY);
	talk_hex(&talk, TALK_server, "002d" RESPONSE);
	talk_close(&talk);
}

static void make_modbus(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 6);
	talk_hex(&talk, TALK_client, "0001 0000 0006 01 03 0000 0002");
	talk_close(&talk);
}

static void make_ssh(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 6);
	talk_text(&talk, TALK_client, "SSH-2.0-dropbear_2022.83\r\n");
	talk_close(&talk);
}

const struct capture_case dns_cases[] = {
	CASE("dns-query", make_query, PASS(2, "dns")),
	CASE("dns-wrong-id", make_wrong_id, DROP("unsolicited", 2, 1, NULL)),
	CASE("dns-unasked", make_unasked, DROP("no_service", 1, 0, "dns")),
	CASE("dns-twice", make_twice, DROP("too_many_answers", 3, 2, "dns")),
	CASE("dns-echo", make_echo, PASS(4, "dns")),
	CASE("dns-stale-echo", make_stale_echo,
	     DROP("too_many_answers", 5, 4, "dns")),
	CASE("dns-late", make_late, DROP("late_answer", 2, 1, "dns")),
	CASE("dns-trailing", make_trailing, DROP("trailing_bytes", 1, 0, NULL)),
	CASE("dns-truncated", make_truncated, DROP("truncated", 1, 0, NULL)),
	CASE("dns-tcp", make_tcp, PASS(2, "dns")),
	CASE("modbus-on-53", make_modbus, DROP("bad_length", 4, 0, "modbus")),
	CASE("ssh-on-53", make_ssh, DROP("bad_function", 4, 0, "ssh")),
	{ .name = NULL },
};
