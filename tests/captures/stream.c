/* SPDX-License-Identifier: GPL-2.0-only */
/* TLS, HTTP/1 and SSH. Frames 1 to 3 are the handshake of TCP. */
#include <string.h>

#include "cases.h"

#define BYTES_8 "11223344 55667788"
#define BYTES_32 BYTES_8 BYTES_8 BYTES_8 BYTES_8
/* RFC 8446 4.1.2, 4.1.3; one suite, and the extension of versions. */
#define CLIENT_HELLO                                                           \
	"16 0301 0036 01 000032 0303" BYTES_32                                 \
	"00 0002 1301 01 00 0007 002b 0003 02 0304"
#define SERVER_HELLO                                                           \
	"16 0303 0032 02 00002e 0303" BYTES_32 "00 1301 00 0006 002b 0002 0304"
#define CHANGE_CIPHER "14 0303 0001 01"
#define DATA "17 0303 0020" BYTES_32

static void begin(struct talk *talk, struct tape *tape, uint16_t port)
{
	talk_begin(talk, tape, 4, 6, port);
	talk_open(talk);
}

/* ---- TLS -------------------------------------------------------------- */

static void tls_begin(struct talk *talk, struct tape *tape)
{
	begin(talk, tape, 443);
	talk_hex(talk, TALK_client, CLIENT_HELLO);
	talk_hex(talk, TALK_server, SERVER_HELLO CHANGE_CIPHER DATA);
	talk_hex(talk, TALK_client, CHANGE_CIPHER DATA);
}

static void make_tls(struct tape *tape)
{
	struct talk talk;

	tls_begin(&talk, tape);
	talk_hex(&talk, TALK_client, DATA);
	talk_hex(&talk, TALK_server, DATA DATA);
	talk_close(&talk);
}

static void make_tls_broken(struct tape *tape)
{
	struct talk talk;

	tls_begin(&talk, tape);
	talk_hex(&talk, TALK_client, DATA);
	talk_hex(&talk, TALK_client, "47 0303 0020" BYTES_32);
	talk_close(&talk);
}

static void make_tls_then_ssh(struct tape *tape)
{
	struct talk talk;

	tls_begin(&talk, tape);
	talk_hex(&talk, TALK_server, DATA);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1\r\n");
	talk_text(&talk, TALK_server, "SSH-2.0-OpenSSH_9.2p1\r\n");
	talk_close(&talk);
}

static void make_tls_no_hello(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 443);
	talk_hex(&talk, TALK_client, DATA);
	talk_close(&talk);
}

static void make_modbus_on_443(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 443);
	talk_hex(&talk, TALK_client, "0001 0000 0006 01 03 0000 0002");
	talk_hex(&talk, TALK_server, "0001 0000 0007 01 03 04 0001 0002");
	talk_close(&talk);
}

static void make_ssh_on_443(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 443);
	talk_text(&talk, TALK_client, "SSH-2.0-OpenSSH_9.2p1\r\n");
	talk_close(&talk);
}

static void make_tls_on(struct tape *tape, uint16_t port)
{
	struct talk talk;

	begin(&talk, tape, port);
	talk_hex(&talk, TALK_client, CLIENT_HELLO);
	talk_hex(&talk, TALK_server, SERVER_HELLO);
	talk_close(&talk);
}

static void make_tls_on_80(struct tape *tape)
{
	make_tls_on(tape, 80);
}

static void make_tls_on_502(struct tape *tape)
{
	make_tls_on(tape, 502);
}

/* ---- HTTP ------------------------------------------------------------- */

#define GET "GET / HTTP/1.1\r\nHost: plant\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void http(struct tape *tape, const char *request, const char *response)
{
	struct talk talk;

	begin(&talk, tape, 80);
	talk_text(&talk, TALK_client, request);
	if (response)
		talk_text(&talk, TALK_server, response);
	talk_close(&talk);
}

static void make_http(struct tape *tape)
{
	http(tape, GET, OK);
}

static void make_http_pipelined(struct tape *tape)
{
	http(tape, GET GET, OK OK);
}

static void make_http_chunked(struct tape *tape)
{
	http(tape, GET,
	     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "5\r\nhello\r\n0\r\n\r\n");
}

/* RFC 9112 6.1: the two disagree on where the message ends. */
static void make_http_smuggling(struct tape *tape)
{
	http(tape,
	     "POST / HTTP/1.1\r\nHost: plant\r\nContent-Length: 4\r\n"
	     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	     NULL);
}

static void make_http_two_lengths(struct tape *tape)
{
	http(tape,
	     "POST / HTTP/1.1\r\nHost: plant\r\nContent-Length: 4\r\n"
	     "Content-Length: 5\r\n\r\nabcd",
	     NULL);
}

/* Behind the body of the first message stands no second one. */
static void make_http_then_modbus(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 80);
	talk_text(&talk, TALK_client, GET);
	talk_text(&talk, TALK_server, OK);
	talk_hex(&talk, TALK_client, "0001 0000 0006 01 03 0000 0002");
	talk_close(&talk);
}

/* ---- SSH -------------------------------------------------------------- */

/* RFC 4253 6: padded to a multiple of eight. */
static void ssh_packet(struct talk *talk, unsigned int side, uint8_t type,
		       const char *payload)
{
	uint8_t packet[1024] = { 0 };
	size_t len = 1 + tape_hex(payload, packet + 6, sizeof(packet) - 32);
	size_t pad = 8 - (5 + len) % 8;

	if (pad < 4)
		pad += 8;
	packet[2] = (uint8_t)((1 + len + pad) >> 8);
	packet[3] = (uint8_t)(1 + len + pad);
	packet[4] = (uint8_t)pad;
	packet[5] = type;
	talk_say(talk, side, packet, 5 + len + pad);
}

/* RFC 4253 7.1: a cookie, ten lists of names, two fields. */
#define KEXINIT                                                                \
	BYTES_8 BYTES_8 "00000011 63757276653235353139 2d736861323536"         \
			"0000000b 7373682d65643235353139"                      \
			"0000000a 6165733132382d637472"                        \
			"0000000a 6165733132382d637472"                        \
			"0000000d 686d61632d736861322d323536"                  \
			"0000000d 686d61632d736861322d323536"                  \
			"00000004 6e6f6e65"                                    \
			"00000004 6e6f6e65"                                    \
			"00000000"                                             \
			"00000000"                                             \
			"00 00000000"

static void ssh_begin(struct talk *talk, struct tape *tape)
{
	begin(talk, tape, 22);
	talk_text(talk, TALK_server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk_text(talk, TALK_client, "SSH-2.0-PuTTY_Release_0.78\r\n");
}

static void make_ssh(struct tape *tape)
{
	struct talk talk;

	ssh_begin(&talk, tape);
	ssh_packet(&talk, TALK_client, 20, KEXINIT);
	ssh_packet(&talk, TALK_server, 20, KEXINIT);
	ssh_packet(&talk, TALK_client, 30, "00000020" BYTES_32);
	ssh_packet(&talk, TALK_server, 31,
		   "00000033 0000000b 7373682d65643235353139 00000020" BYTES_32
		   "00000020" BYTES_32
		   "00000053 0000000b 7373682d65643235353139 00000040" BYTES_32
		       BYTES_32);
	ssh_packet(&talk, TALK_server, 21, "");
	ssh_packet(&talk, TALK_client, 21, "");
	talk_hex(&talk, TALK_client, BYTES_32);
	talk_hex(&talk, TALK_server, BYTES_32 BYTES_8);
	talk_close(&talk);
}

/* What is only said encrypted (RFC 4254 5.2), in clear. */
static void make_ssh_data(struct tape *tape)
{
	struct talk talk;

	ssh_begin(&talk, tape);
	ssh_packet(&talk, TALK_client, 20, KEXINIT);
	ssh_packet(&talk, TALK_client, 94, "00000000 00000004 726f6f74");
	talk_close(&talk);
}

/* The packets of a server alone, who answers a key exchange; `heard`: bytes
 * of the client that it acknowledges. */
static void ssh_server(struct tape *tape, unsigned int heard, uint8_t type)
{
	struct talk talk;

	talk_begin(&talk, tape, 4, 6, 22);
	talk.next[TALK_client]++;
	talk_segment(&talk, TALK_server, 0, FRAME_SYN | FRAME_ACK, "");
	talk.next[TALK_server]++;
	talk_text(&talk, TALK_server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	talk.next[TALK_client] += heard;
	ssh_packet(&talk, TALK_server, 20, KEXINIT);
	ssh_packet(&talk, TALK_server, type, "00000020" BYTES_32);
}

static void make_ssh_server_alone(struct tape *tape)
{
	ssh_server(tape, 28, 31);
}

static void make_ssh_server_unasked(struct tape *tape)
{
	ssh_server(tape, 0, 31);
}

/* Whatever the client said. */
static void make_ssh_server_wrong(struct tape *tape)
{
	ssh_server(tape, 28, 0);
}

static void make_modbus_on_22(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 22);
	talk_hex(&talk, TALK_client, "0001 0000 0006 01 03 0000 0002");
	talk_close(&talk);
}

static void make_http_on_22(struct tape *tape)
{
	struct talk talk;

	begin(&talk, tape, 22);
	talk_text(&talk, TALK_client, GET);
	talk_close(&talk);
}

const struct capture_case stream_cases[] = {
	CASE("tls", make_tls, PASS(5, "tls")),
	CASE("tls-broken", make_tls_broken, DROP("bad_magic", 8, 4, NULL)),
	CASE("tls-then-ssh", make_tls_then_ssh, DROP("bad_magic", 8, 4, "ssh")),
	CASE("tls-no-hello", make_tls_no_hello, DROP("bad_magic", 4, 0, NULL)),
	CASE("modbus-on-443", make_modbus_on_443,
	     DROP("bad_magic", 4, 0, "modbus")),
	CASE("ssh-on-443", make_ssh_on_443, DROP("bad_magic", 4, 0, "ssh")),
	CASE("tls-on-80", make_tls_on_80, DROP("mismatch", 4, 0, "tls")),
	CASE("tls-on-502", make_tls_on_502, DROP("bad_magic", 4, 0, "tls")),
	CASE("http", make_http, PASS(2, "http")),
	CASE("http-pipelined", make_http_pipelined, PASS(2, "http")),
	CASE("http-chunked", make_http_chunked, PASS(2, "http")),
	CASE("http-smuggling", make_http_smuggling,
	     DROP("smuggling", 4, 0, NULL)),
	CASE("http-two-lengths", make_http_two_lengths,
	     DROP("smuggling", 4, 0, NULL)),
	CASE("http-then-modbus", make_http_then_modbus,
	     DROP("bad_magic", 6, 2, "modbus")),
	CASE("ssh", make_ssh, PASS(10, "ssh")),
	CASE("ssh-data-in-clear", make_ssh_data, DROP("bad_order", 7, 3, NULL)),
	CASE("ssh-server-alone", make_ssh_server_alone,
	     PASS_AND(2, "ssh", "\"gap\":true")),
	CASE("ssh-server-unasked", make_ssh_server_unasked,
	     DROP("bad_order", 4, 2, NULL)),
	CASE("ssh-server-wrong", make_ssh_server_wrong,
	     DROP("bad_value", 4, 2, NULL)),
	CASE("modbus-on-22", make_modbus_on_22,
	     DROP("bad_magic", 4, 0, "modbus")),
	CASE("http-on-22", make_http_on_22, DROP("bad_magic", 4, 0, "http")),
	{ .name = NULL },
};
