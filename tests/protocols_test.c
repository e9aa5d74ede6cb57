/* SPDX-License-Identifier: GPL-2.0-only */
/* user/protocols.c: names and numbers agree with the tables both ways, and
 * identify() tells what bytes really are, or that it cannot.
 */
#include <ctype.h>
#include <string.h>

#include "foreign.h"
#include "protocols.h"
#include "tap.h"

/* ---- names ----------------------------------------------------------- */

static bool is_keyword(const char *word)
{
	if (!*word)
		return false;
	for (; *word; word++)
		if (!islower((unsigned char)*word) &&
		    !isdigit((unsigned char)*word) && *word != '-')
			return false;
	return true;
}

static void test_functions(const struct protocol *p)
{
	for (size_t i = 0; i < p->n_functions; i++) {
		const struct protocol_function *f = &p->functions[i];
		const char *name = protocol_function_name(p->id, f->number);

		check(is_keyword(f->name), "%s: \"%s\" is no keyword", p->name,
		      f->name);
		check(name && !strcmp(name, f->name),
		      "%s: number %u of %s stands for %s too", p->name,
		      f->number, f->name, name ? name : "nothing");
		check(f->number < 255 && f->class > CLASS_none &&
			  f->class <= CLASS_other,
		      "%s %s: number or class", p->name, f->name);
		for (size_t j = 0; j < i; j++)
			check(strcmp(p->functions[j].name, f->name) != 0,
			      "%s: two functions are named %s", p->name,
			      f->name);
	}
	check(!p->functions == !p->n_functions, "%s: list and count", p->name);
	check(!protocol_function_name(p->id, 255), "%s: 255 is none", p->name);
}

static void test_protocols(void)
{
	size_t n;
	const struct protocol *list = protocol_list(&n);

	check(n >= 5, "%zu protocols", n);
	for (size_t i = 0; i < n; i++) {
		const struct protocol *p = &list[i];

		check(protocol_get(p->id) == p, "%s by id", p->name);
		check(protocol_find(p->name) == p, "%s by name", p->name);
		check(!strcmp(protocol_name(p->id), p->name), "%s", p->name);
		check(*p->title && strpbrk(p->ports, "0123456789"),
		      "%s: title and ports", p->name);
		check(strstr(p->ports, "tcp ") || strstr(p->ports, "udp "),
		      "%s: transport", p->name);
		check(!strstr(p->ports, "udp ") == !p->answers,
		      "%s: answers to UDP requests", p->name);
		test_functions(p);
	}
	check(protocol_get(PROTO_modbus) == &list[0], "modbus is first");
	check(!protocol_get(0) && !protocol_get(PROTO_max) &&
		  !protocol_get(~0U),
	      "ids without a row");
	check(!protocol_find("modbu") && !protocol_find(""), "no such names");
	check(!strcmp(protocol_name(0), "unknown"), "0 is unknown");
	check(!strcmp(protocol_name(PROTO_max), "unknown"), "max is unknown");
	check(!protocol_function_name(0, 1), "unknown has no functions");
}

static void test_reasons(void)
{
	unsigned int n = 0;

	for (unsigned int id = 0; id < REASON_max + 2; id++) {
		const char *name = reason_name(id);

		if (!name) {
			check(!reason_sentence(id) && !reason_kind(id),
			      "reason %u has half a row", id);
			continue;
		}
		n++;
		check(reason_find(name) == (int)id, "reason %s by name", name);
		check(reason_sentence(id)[0] && reason_kind(id) != KIND_none,
		      "reason %s: sentence and kind", name);
	}
	check(n > 60, "%u reasons", n);
	check(reason_find("nonsense") == -1, "no such reason");
	check(reason_kind(REASON_ok) == KIND_passed, "ok");
	check(reason_kind(REASON_smuggling) == KIND_forbidden, "smuggling");
	check(reason_kind(REASON_ahead) == KIND_postponed, "ahead");
}

static void test_small_tables(void)
{
	for (unsigned int i = CLASS_read; i <= CLASS_other; i++)
		check(class_find(class_name(i)) == (int)i, "class %u", i);
	check(class_find("none") == -1 && class_find("x") == -1, "no class");
	check(!strcmp(class_name(CLASS_none), "none"), "class 0");
	check(!strcmp(class_name(CLASS_max), "unknown"), "class max");
	check(!strcmp(kind_name(KIND_implausible), "implausible"), "kind");
	check(!strcmp(kind_name(99), "unknown"), "kind 99");
	check(!strcmp(verdict_name(VERDICT_divert), "divert"), "verdict");
	check(!strcmp(verdict_name(VERDICT_max), "unknown"), "verdict max");
	check(!strcmp(mode_name(MODE_monitor), "monitor"), "mode");
	check(!strcmp(mode_name(9), "unknown"), "mode 9");
	check(layer2_find("icmp-error") == LAYER2_icmp_error, "with '-'");
	check(layer2_find("icmp_error") == LAYER2_icmp_error, "with '_'");
	check(layer2_find("icmp") == -1 && layer2_find("arpx") == -1, "none");
	check(!strcmp(layer2_name(LAYER2_goose), "goose"), "goose");
	check(!layer2_name(0) && !layer2_name(LAYER2_max), "no row");
	check(strstr(layer2_title(LAYER2_arp), "ARP") != NULL, "title");
	check(layer2_default_drop(LAYER2_llc) &&
		  !layer2_default_drop(LAYER2_arp),
	      "defaults");
}

/* ---- identify() ------------------------------------------------------ */

struct sample {
	unsigned int proto;
	unsigned int l4;
	bool from_server;
	const char *what;
	const char *bytes;
	size_t len;
};

#define BYTES(text) text, sizeof(text) - 1
#define TCP TRANSPORT_tcp
#define UDP TRANSPORT_udp

static const struct sample samples[] = {
	{ PROTO_modbus, TCP, false, "a read of holding registers",
	  BYTES("\0\1\0\0\0\6\1\3\0\0\0\12") },
	{ PROTO_modbus, TCP, false, "two pipelined requests",
	  BYTES("\0\1\0\0\0\6\1\3\0\0\0\12\0\2\0\0\0\6\1\6\0\0\0\12") },
	{ PROTO_modbus, TCP, true, "an answer alone",
	  BYTES("\0\1\0\0\0\5\1\3\2\0\12") },
	{ PROTO_dns, UDP, false, "a question for a.b",
	  BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1") },
	{ PROTO_dns, TCP, false, "the same over TCP",
	  BYTES("\0\x15\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1") },
	{ PROTO_tls, TCP, false, "the start of a ClientHello",
	  BYTES("\x16\3\1\2\0\1\0\1\xfc\3\3") },
	{ PROTO_tls, TCP, true, "a ServerHello",
	  BYTES("\x16\3\3\0\x7a\2\0\0\x76\3\3") },
	{ PROTO_http, TCP, false, "a request",
	  BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ PROTO_http, TCP, false, "the start of one", BYTES("POST /x") },
	{ PROTO_http, TCP, true, "a reply",
	  BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") },
	{ PROTO_ssh, TCP, false, "a client", BYTES("SSH-2.0-PuTTY_0.78\r\n") },
	{ PROTO_ssh, TCP, true, "a server",
	  BYTES("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") },

	{ PROTO_unknown, TCP, false, "nothing", BYTES("") },
	{ PROTO_unknown, TCP, false, "one byte", BYTES("G") },
	{ PROTO_unknown, TCP, false, "the start of many", BYTES("\0\1\0") },
	{ PROTO_unknown, TCP, false, "a shell", BYTES("uname -a; id\n") },
	{ PROTO_unknown, TCP, true, "a prompt", BYTES("login: ") },
	{ PROTO_unknown, TCP, false, "Modbus RTU with its CRC",
	  BYTES("\1\3\0\0\0\12\xc5\xcd") },
	{ PROTO_unknown, UDP, false, "Modbus in a datagram",
	  BYTES("\0\1\0\0\0\6\1\3\0\0\0\12") },
	{ PROTO_unknown, UDP, false, "HTTP in a datagram",
	  BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ PROTO_unknown, UDP, false, "a question that goes on",
	  BYTES("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1x") },
	{ PROTO_unknown, TCP, false, "a read, then a shell",
	  BYTES("\0\1\0\0\0\6\1\3\0\0\0\12uname -a\n") },
};

static void test_samples(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		unsigned int got = identify((const uint8_t *)s->bytes, s->len,
					    s->l4, s->from_server);

		check(got == s->proto, "%s: must be %s, is %s", s->what,
		      protocol_name(s->proto), protocol_name(got));
	}
}

/* Known by name alone. */
static const struct {
	const char *name;
	unsigned int l4;
	bool from_server;
	const char *what;
	const char *bytes;
	size_t len;
} foreign_samples[] = {
	{ "opcua", TCP, false, "a hello",
	  BYTES(
	      "HELF \000\000\000\000\000\000\000\000\000\001\000\000\000\001\000\000\000\000\000\000\000\000\000\377\377\377\377") },
	{ "iec104", TCP, false, "STARTDT act", BYTES("h\004\007\000\000\000") },
	{ "iec104", TCP, true, "an interrogation",
	  BYTES("h\016\000\000\000\000d\001\006\000\001\000\000\000\000\024") },
	{ "ads", TCP, false, "read state",
	  BYTES(
	      "\000\000 \000\000\000\005\006\005\006\001\001Q\003\n\n\n\n\001\001\001\200\004\000\004\000\000\000\000\000\000\000\000\000\007\000\000\000") },
	{ "c37118", TCP, false, "data on",
	  BYTES("\252A\000\022\000\007Onk!\000\000\000\000\000\002F\202") },
	{ "fins", TCP, false, "a node address asked for",
	  BYTES(
	      "FINS\000\000\000\014\000\000\000\000\000\000\000\000\000\000\000\000") },
	{ "fins", UDP, false, "controller data read",
	  BYTES("\200\000\002\000\n\000\000\013\000\001\005\001") },
	{ "codesys", UDP, false, "an address request",
	  BYTES("\305k@\001\000\021\000\000\n\000\000\001") },
	{ "codesys", TCP, false, "the same over TCP",
	  BYTES("\000\001\027\350\020\000\000\000\305s@\002\000\021\000\000") },
	{ "bacnet", UDP, false, "who is there",
	  BYTES("\201\013\000\014\001 \377\377\000\377\020\010") },
	{ "slmp", TCP, false, "a batch read",
	  BYTES(
	      "P\000\000\377\377\003\000\014\000\020\000\001\004\000\000d\000\000\250\012\000") },
	{ "ssh", TCP, true, "its first version", BYTES("SSH-1.5-x\n") },
	{ "knxnetip", UDP, false, "a search",
	  BYTES("\006\020\002\001\000\016\010\001\300\250\000\002\303P") },
	{ "fox", TCP, false, "a hello", BYTES("fox a 1 -1 fox hello\n{\n") },
	{ "dlms", TCP, false, "a get",
	  BYTES("\000\001\000\020\000\001\000\005\300\001\301\000\017") },
	{ "mqtt", TCP, false, "connect",
	  BYTES("\020\017\000\004MQTT\004\002\000<\000\003abc") },
	{ "mqtt", TCP, true, "its acknowledgement", BYTES(" \002\000\000") },
	{ "sip", UDP, false, "options",
	  BYTES("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\n\r\n") },
	{ "rtsp", TCP, false, "describe",
	  BYTES("DESCRIBE rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n") },
	{ "rdp", TCP, false, "a negotiation",
	  BYTES(
	      "\003\000\000\023\016\340\000\000\000\000\000\001\000\010\000\003\000\000\000") },
	{ "kerberos", UDP, false, "AS-REQ",
	  BYTES(
	      "j\0350\033\241\003\002\001\005\242\003\002\001\n\244\0170\r\240\007\003\005\000@\000\000\020\242\002\002\000") },
	{ "kerberos", TCP, false, "AS-REQ",
	  BYTES(
	      "\000\000\000\037j\0350\033\241\003\002\001\005\242\003\002\001\n\244\0170\r\240\007\003\005\000@\000\000\020\242\002\002\000") },
	{ "ldap", TCP, false, "a bind",
	  BYTES("0\014\002\001\001`\007\002\001\003\004\000\200\000") },
	{ "vnc", TCP, true, "its version", BYTES("RFB 003.008\n") },
	{ "smtp", TCP, true, "a greeting",
	  BYTES("220 mail.example ESMTP\r\n") },
	{ "smtp", TCP, false, "EHLO", BYTES("EHLO a.example\r\n") },
	{ "ftp", TCP, true, "a greeting", BYTES("220 (vsFTPd 3.0.3)\r\n") },
	{ "ftp", TCP, false, "USER", BYTES("USER anonymous\r\n") },
	{ "imap", TCP, true, "a greeting", BYTES("* OK IMAP4rev1 ready\r\n") },
	{ "pop3", TCP, true, "a greeting", BYTES("+OK ready\r\n") },
	{ "mysql", TCP, true, "a greeting",
	  BYTES(
	      "'\000\000\000\n8.0.33\000\001\000\000\000abcdefgh\000\377\367!\002\000\377\301\025\000\000\000\000\000\000\000\000\000\000") },
	{ "postgresql", TCP, false, "startup",
	  BYTES(
	      "\000\000\000\033\000\003\000\000user\000a\000database\000b\000\000") },
	{ "tds", TCP, false, "prelogin",
	  BYTES(
	      "\022\001\000\024\000\000\000\000\000\000\006\000\006\000\001\377\013\000\000\000") },
	{ "wireguard", UDP, false, "an initiation",
	  BYTES(
	      "\001\000\000\000xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	{ "stun", UDP, false, "a binding request",
	  BYTES("\000\001\000\000!\022\244B0123456789ab") },
	{ "quic", UDP, false, "an initial packet",
	  BYTES(
	      "\300\000\000\000\001\01001234567\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000") },
	{ "ike", UDP, false, "IKE_SA_INIT",
	  BYTES(
	      "01234567\000\000\000\000\000\000\000\000! \"\010\000\000\000\000\000\000\000 \000\000\000\004") },
	{ "dhcp",
	  UDP, false, "discover", BYTES("\001\001\006\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000c\202Sc5\001\001\377") },
	{ "tftp", UDP, false, "a read request",
	  BYTES("\000\001boot.img\000octet\000") },
	{ "syslog", UDP, false, "a message",
	  BYTES("<34>Oct 11 22:14:15 host su: failed") },
	{ "radius", UDP, false, "an access request",
	  BYTES("\001\001\000\0310123456789abcdef\001\005bob") },
	{ "openvpn", UDP, false, "a hard reset",
	  BYTES("801234567\000\000\000\000\000") },
	{ "ptp", UDP, false, "sync",
	  BYTES(
	      "\000\002\000,\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000") },
	{ "hartip", TCP, false, "a session begins",
	  BYTES("\001\000\000\000\000\001\000\r\001\000\000u0") },
	{ "rocplus", TCP, false, "the clock is read",
	  BYTES("\001\002\001\000\007\000{\306") },
	{ "ntp", UDP, false, "a client",
	  BYTES(
	      "#\000\006\354\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000") },
	{ "profinet-cm", UDP, false, "connect",
	  BYTES(
	      "\004\000 \000\020\000\000\000\000\000\240\336\227l\321\021\202q\000d\001\001\0006\001\000\240\336\227l\321\021\202q\000\240$B\337}\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000") },
};

static void test_foreign(void)
{
	size_t n = sizeof(foreign_samples) / sizeof(foreign_samples[0]);

	for (size_t i = 0; i < n; i++) {
		const uint8_t *bytes = (const void *)foreign_samples[i].bytes;
		unsigned int got = identify(bytes, foreign_samples[i].len,
					    foreign_samples[i].l4,
					    foreign_samples[i].from_server);

		check(!strcmp(protocol_name(got), foreign_samples[i].name),
		      "%s, %s: is %s", foreign_samples[i].name,
		      foreign_samples[i].what, protocol_name(got));
	}
	for (unsigned int id = FOREIGN_first; foreign_name(id); id++) {
		bool tried = false;

		for (size_t i = 0; i < n; i++)
			tried |=
			    !strcmp(foreign_samples[i].name, foreign_name(id));
		check(tried, "%s has a sample", foreign_name(id));
	}
}

/* xorshift64: the same bytes in every run. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Random bytes must be unknown, but for one in 20,000 by chance. */
static void test_random(unsigned int l4, bool from_server)
{
	uint64_t state = 0x9e3779b97f4a7c15ULL + l4 + from_server;
	unsigned int taken = 0, last = 0;
	uint8_t bytes[256];

	for (unsigned int i = 0; i < 40000; i++) {
		size_t len = next(&state) % sizeof(bytes);
		unsigned int got;

		for (size_t j = 0; j < len; j++)
			bytes[j] = next(&state) >> 32;
		got = identify(bytes, len, l4, from_server);
		if (got)
			last = got;
		taken += got != PROTO_unknown;
	}
	check(taken <= 2, "%s, %s: %u random buffers taken, the last for %s",
	      l4 == TRANSPORT_udp ? "udp" : "tcp",
	      from_server ? "server" : "client", taken, protocol_name(last));
}

static void test_industrial(void)
{
	unsigned int opcua =
	    identify((const uint8_t *)"HELF\x20\0\0\0\0\0\0\0\0\0\1\0"
				      "\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0",
		     32, TRANSPORT_tcp, false);

	check(!strcmp(protocol_name(opcua), "opcua"), "HEL is %s",
	      protocol_name(opcua));
	check(protocol_is_industrial(opcua) &&
		  protocol_lives_at(opcua, TRANSPORT_tcp, 4840) &&
		  !protocol_lives_at(opcua, TRANSPORT_udp, 4840) &&
		  !protocol_lives_at(opcua, TRANSPORT_tcp, 48400),
	      "OPC UA lives at tcp 4840 only");
	check(protocol_is_industrial(PROTO_enip) &&
		  protocol_lives_at(PROTO_enip, TRANSPORT_tcp, 44818) &&
		  protocol_lives_at(PROTO_enip, TRANSPORT_udp, 44818) &&
		  !protocol_lives_at(PROTO_enip, TRANSPORT_udp, 2222),
	      "EtherNet/IP has two ports");
	check(!protocol_is_industrial(PROTO_unknown) &&
		  !protocol_is_industrial(PROTO_dcerpc) &&
		  !protocol_lives_at(PROTO_unknown, TRANSPORT_tcp, 0),
	      "not everything is industrial");
}

int main(void)
{
	test_industrial();
	test_protocols();
	test_reasons();
	test_small_tables();
	test_samples();
	test_foreign();
	test_random(TRANSPORT_tcp, false);
	test_random(TRANSPORT_tcp, true);
	test_random(TRANSPORT_udp, false);
	test_random(TRANSPORT_udp, true);
	return tap_summary();
}
