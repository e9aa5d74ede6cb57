/* SPDX-License-Identifier: GPL-2.0-only */
/* Events: from a ring record to JSON and text, repeats to summaries, lines to
 * a file of bounded size.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <window.h>

#include "cleanup.h"
#include "eventlog.h"
#include "events.h"
#include "files.h"
#include "protocols.h"
#include "tap.h"

#define SECOND 1000000000ULL

static struct image_conduit conduits[] = { { .name = "none" },
					   { .name = "hmi-to-cell" } };
static struct image_named zones[] = { { .name = "none" },
				      { .name = "hmi" },
				      { .name = "cell" } };
static struct image_asset assets[] = { { .name = "none" },
				       { .name = "hmi-1" },
				       { .name = "plc-1" } };
static struct image_service services[] = {
	{ .name = "none" },
	{ .name = "modbus", .protos = { PROTO_modbus } },
	{ .name = "iso", .protos = { PROTO_http, PROTO_ssh } },
};
static struct portcullis_services services_map = {
	.of = { [0] = { [502] = 1, [102] = 2 } },
};
static struct image_place4 places4[] = {
	{ { 32, { 10, 0, 3, 11 } }, { .zone = 2, .asset = 2 } },
	{ { 23, { 10, 0, 2, 0 } }, { .zone = 1 } },
	{ { 24, { 10, 0, 3, 0 } }, { .zone = 2 } },
};
static struct image_place6 places6[] = {
	{ { 0, { 0 } }, { .zone = 1 } },
	{ { 32, { 0x20, 0x01, 0x0d, 0xb8 } }, { .zone = 2 } },
};
static const struct image image = {
	.site = "",
	.conduits = conduits,
	.n_conduits = 2,
	.zones = zones,
	.n_zones = 3,
	.assets = assets,
	.n_assets = 3,
	.services = services,
	.n_services = 3,
	.places4 = places4,
	.n_places4 = 3,
	.places6 = places6,
	.n_places6 = 2,
	.services_map = &services_map,
};
static const struct events_context context = {
	.image = &image,
	.interface = "eth0",
	.host = "gw-01",
	.number = 42,
	.wall_offset_ns = 1795494000 * (int64_t)SECOND,
};

/* 54 bytes of headers, then what an SSH client says first. */
static struct portcullis_event ssh_event(void)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
	struct portcullis_event event = {
		.record = RECORD_refusal,
		.reason = REASON_bad_magic,
		.verdict = VERDICT_reset,
		.would = VERDICT_reset,
		.proto = PROTO_modbus,
		.function = FUNCTION_none,
		.l4 = TRANSPORT_tcp,
		.family = 4,
		.time_ns = 123456789,
		.src = { [12] = 10, 0, 2, 11 },
		.dst = { [12] = 10, 0, 3, 11 },
		.sport = 49153,
		.dport = 502,
		.vlan = 7,
		.conduit = 1,
		.from_zone = 1,
		.to_zone = 2,
		.from_asset = 1,
		.to_asset = 2,
		.generation = 12,
		.frame_len = 54 + sizeof(banner) - 1,
		.count = 1,
		.payload_at = 54,
		.evidence = 54 + sizeof(banner) - 1,
		.service = 1,
		.conversation = 99,
	};

	memcpy(event.data + 54, banner, sizeof(banner) - 1);
	return event;
}

static char *json_of(const struct portcullis_event *event,
		     const struct events_context *with)
{
	struct events_report report = { .event = *event,
					.seen = events_seen(event),
					.count = 1,
					.first_ns = event->time_ns,
					.last_ns = event->time_ns };
	struct json json = { 0 };
	char *text;

	events_json(&json, &report, with);
	text = strndup(json.text, json.len);
	json_free(&json);
	return text;
}

static void has(const char *text, const char *part)
{
	check(strstr(text, part), "%s in %s", part, text);
}

static void test_json(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = json_of(&event, &context);

	has(text,
	    "{\"timestamp\":\"2026-11-24T04:20:00.123456+0000\",\"event_type\":\"alert\",\"flow_id\":99,");
	has(text,
	    "\"vlan\":[7],\"src_ip\":\"10.0.2.11\",\"src_port\":49153,\"dest_ip\":\"10.0.3.11\",\"dest_port\":502,\"proto\":\"TCP\",");
	has(text,
	    "\"app_proto\":\"ssh\",\"app_proto_expected\":\"modbus\",\"verdict\":{\"action\":\"reset\"},");
	has(text,
	    "\"alert\":{\"action\":\"blocked\",\"gid\":62443,\"signature_id\":1090,\"rev\":1,\"signature\":\"ssh on a modbus port\",\"category\":\"forbidden\",\"severity\":1},");
	has(text,
	    "\"portcullis\":{\"event\":\"gw-01:000042\",\"reason\":\"bad_magic\",");
	has(text,
	    "\"conduit\":\"hmi-to-cell\",\"service\":\"modbus\",\"from_zone\":\"hmi\",\"to_zone\":\"cell\",\"src_asset\":\"hmi-1\",\"dest_asset\":\"plc-1\",");
	has(text, "\"payload\":\"U1NILTIuMC1PcGVuU1NIXzkuMnAxDQo=\"");
	has(text, "\"packet_info\":{\"linktype\":1}");
	check(text[strlen(text) - 1] == '\n' &&
		  strchr(text, '\n') == text + strlen(text) - 1,
	      "one line");
}

/* The base64 text of a field as bytes, 0 if it is not there. */
static size_t decode(const char *json, const char *key, uint8_t *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strstr(json, key), *digit;
	uint32_t bits = 0;
	size_t n = 0, i;

	for (i = 0; at && at[strlen(key) + i] != '"'; i++) {
		digit = strchr(digits, at[strlen(key) + i]);
		if (!digit || !*digit)
			break;
		bits = bits << 6 | (uint32_t)(digit - digits);
		if (i % 4)
			ret[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	return n;
}

/* A refused datagram of `len` bytes that would carry "hunter2", behind `at`
 * bytes of headers. */
static struct portcullis_event secret_event(const void *bytes, size_t len,
					    unsigned int l4, uint16_t port)
{
	struct portcullis_event event = ssh_event();
	uint16_t at = l4 == TRANSPORT_udp ? 42 : 54;

	event.l4 = (uint8_t)l4;
	event.dport = port;
	event.proto = PROTO_unknown;
	event.service = 0;
	event.payload_at = at;
	memset(event.data, 0, sizeof(event.data));
	memcpy(event.data + at, bytes, len);
	event.evidence = (uint16_t)(at + len);
	event.frame_len = event.evidence;
	return event;
}

static void is_hidden(const struct portcullis_event *event, const char *what,
		      bool is_to_be)
{
	_cleanup_free_ char *text = json_of(event, &context);
	uint8_t bytes[2 * EVIDENCE_BYTES];
	size_t n;

	check(!strstr(text, "\"redacted\":true") == !is_to_be, "%s: said: %s",
	      what, text);
	n = decode(text, "\"packet\":\"", bytes);
	check(n == event->evidence, "%s: %zu bytes of packet", what, n);
	check(!memmem(bytes, n, "hunter2", 7) == is_to_be, "%s: packet", what);
	n = decode(text, "\"payload\":\"", bytes);
	check(n || !event->payload_at, "%s: payload is there", what);
	check(!memmem(bytes, n, "hunter2", 7) == (is_to_be || !n),
	      "%s: payload", what);
}

struct secret {
	const char *what;
	const char *bytes;
	size_t len;
	bool is_to_be_hidden;
	uint8_t l4;
	uint16_t port;
};
#define UDP(port, is, what, bytes)                                             \
	{                                                                      \
		what, bytes, sizeof(bytes) - 1, is, TRANSPORT_udp, port        \
	}
#define TCP(port, is, what, bytes)                                             \
	{                                                                      \
		what, bytes, sizeof(bytes) - 1, is, TRANSPORT_tcp, port        \
	}
#define GET_PDU "\xa0\x0b\2\1\1\2\1\0\2\1\0\x30\0"

static const struct secret secrets[] = {
	UDP(161, true, "v1", "\x30\x19\2\1\0\4\7hunter2" GET_PDU),
	UDP(161, true, "v2c", "\x30\x19\2\1\1\4\7hunter2" GET_PDU),
	UDP(53, true, "another port", "\x30\x19\2\1\1\4\7hunter2" GET_PDU),
	TCP(502, true, "over TCP", "\x30\x19\2\1\1\4\7hunter2" GET_PDU),
	UDP(161, true, "long lengths",
	    "\x30\x82\0\x1e\2\1\1\4\x81\7hunter2" GET_PDU),
	UDP(161, true, "a version of two bytes",
	    "\x30\x1a\2\2\0\1\4\7hunter2" GET_PDU),
	UDP(161, true, "a length that lies", "\x30\x19\2\1\1\4\x7fhunter2"),
	UDP(162, true, "no length that can be read",
	    "\x30\x19\2\1\1\4\x80hunter2"),
	UDP(161, true, "another sequence", "\x31\x19\2\1\1\4\7hunter2" GET_PDU),
	UDP(161, true, "another string", "\x30\x19\2\1\1\x0c\7hunter2" GET_PDU),
	UDP(161, false, "v3 has none", "\x30\x19\2\1\3\4\7hunter2"),
	TCP(502, true, "Authorization",
	    "GET / HTTP/1.1\r\nAuthorization: Basic hunter2\r\n\r\n"),
	TCP(80, true, "in any case of letters, continued",
	    "GET / HTTP/1.1\r\nHost: a\r\nPROXY-authorization:\r\n\thunter2\r\n"),
	TCP(80, true, "a cookie, cut",
	    "GET / HTTP/1.1\nCookie: a=b; id=hunter2"),
	TCP(80, true, "set by a server",
	    "HTTP/1.1 200 OK\r\nSet-Cookie: hunter2\r\n\r\n"),
	TCP(80, true, "first in a segment", "Authorization: hunter2\r\n\r\n"),
	TCP(80, false, "another field",
	    "GET / HTTP/1.1\r\nX-Authorization: hunter2\r\n\r\n"),
	TCP(80, false, "behind the field",
	    "GET / HTTP/1.1\r\nHost: a\r\nAccept: hunter2\r\n\r\n"),
	UDP(161, false, "another protocol on that port",
	    "\0\1\1\0\0\1\0\0\0\0\0\0\7hunter2\0\0\1\0\1"),
};

static void test_secrets(void)
{
	struct portcullis_event event;
	size_t i;

	for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		const struct secret *c = &secrets[i];

		event = secret_event(c->bytes, c->len, c->l4, c->port);
		is_hidden(&event, c->what, c->is_to_be_hidden);
	}
	/* A frame that was not understood: where its payload is, who knows. */
	event =
	    secret_event(secrets[0].bytes, secrets[0].len, TRANSPORT_udp, 161);
	event.payload_at = 0;
	is_hidden(&event, "no payload known", true);
}

static void test_json_of_little(void)
{
	struct portcullis_event event = { .reason = REASON_runt_frame,
					  .function = FUNCTION_none };
	struct events_context nothing = { .host = "gw" };
	_cleanup_free_ char *text = json_of(&event, &nothing);

	check(!strstr(text, "src_ip") && !strstr(text, "packet"),
	      "no address, no evidence: %s", text);
	has(text, "\"conduit\":null");
	has(text, "\"app_proto\":null");
	has(text, "\"action\":\"blocked\"");
}

/* What the kernel did not say follows from addresses and ports. */
static void test_completed(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *back = NULL;
	_cleanup_free_ char *six = NULL;

	event.service = event.from_zone = event.to_zone = 0;
	event.from_asset = event.to_asset = 0;
	text = json_of(&event, &context);
	has(text,
	    "\"service\":\"modbus\",\"from_zone\":\"hmi\",\"to_zone\":\"cell\",\"src_asset\":null,\"dest_asset\":\"plc-1\",");
	event.from_server = 1;
	event.sport = 102;
	back = json_of(&event, &context);
	has(back, "\"service\":\"iso\",");
	event.family = 6;
	memcpy(event.dst, "\x20\x01\x0d\xb8", 4);
	six = json_of(&event, &context);
	has(six, "\"from_zone\":\"hmi\",\"to_zone\":\"cell\",");
}

static bool is_foreign(const struct portcullis_event *event)
{
	struct events_report report = { .event = *event,
					.seen = events_seen(event) };

	return events_is_foreign(&report, &image);
}

/* A read of registers to a port that no service names, which only watches. */
static void test_foreign(void)
{
	static const uint8_t read[] = { 0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10 };
	struct portcullis_event event = ssh_event(), at;
	struct events_report report = { .foreign = true };
	_cleanup_free_ char *text = NULL;
	struct json json = { 0 };
	char line[1024];

	check(!is_foreign(&event), "SSH is nowhere foreign");
	event.reason = REASON_no_service;
	event.verdict = VERDICT_pass;
	event.proto = event.service = event.conversation = 0;
	event.dport = 4444;
	event.evidence = 54 + sizeof(read);
	memcpy(event.data + 54, read, sizeof(read));
	check(events_seen(&event) == PROTO_modbus && is_foreign(&event),
	      "Modbus on 4444");
	at = event;
	at.dport = 502;
	check(!is_foreign(&at), "on its own port");
	at.dport = 102;
	check(is_foreign(&at), "on the port of another");
	at.sport = 502;
	check(!is_foreign(&at), "from its own port, nobody knows who called");
	at.conversation = 1;
	check(is_foreign(&at), "by a client that took the port");
	at.from_server = 1;
	check(!is_foreign(&at), "by a server that has it");
	at = event;
	at.evidence = 54;
	check(!is_foreign(&at), "nothing was seen");
	at = event;
	services_map.of[0][4444] = 1;
	check(!is_foreign(&at), "where the policy puts it");
	services_map.of[0][4444] = 0;

	report.event = event;
	report.seen = PROTO_modbus;
	events_json(&json, &report, &context);
	text = strndup(json.text, json.len);
	json_free(&json);
	has(text, "\"app_proto\":\"modbus\",\"app_proto_expected\":null,");
	has(text,
	    "\"signature_id\":1900,\"rev\":1,\"signature\":\"modbus on a port that is not its own\",\"category\":\"identification\",\"severity\":1}");
	has(text, "\"reason\":\"ics_on_foreign_port\"");
	has(text, "\"action\":\"allowed\"");
	events_text(line, sizeof(line), &report, &context);
	has(line,
	    "modbus on a port that is not its own [hmi-to-cell, ics_on_foreign_port]");
	report.foreign = false;
	events_text(line, sizeof(line), &report, &context);
	has(line,
	    "modbus: a port that no service names [hmi-to-cell, no_service]");
}

/* Who called is not known of what has no conversation; what was looked at and
 * not known is said to be unknown. */
static void test_seen_from_either_side(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = NULL;

	event.evidence = 54 + 38;
	memcpy(event.data + 54, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	       38);
	check(events_seen(&event) != PROTO_http, "not from a client");
	event.conversation = 0;
	check(events_seen(&event) == PROTO_http, "from nobody knows which");
	memcpy(event.data + 54, "uname -a; id; who\n", 18);
	event.evidence = 54 + 18;
	text = json_of(&event, &context);
	has(text, "\"app_proto\":\"unknown\"");
}

/* Numbers that no image has must not be looked up. */
static void test_wild_numbers(void)
{
	struct portcullis_event event;
	_cleanup_free_ char *text = NULL;
	char line[1024];
	struct events_report report;

	memset(&event, 0xff, sizeof(event));
	text = json_of(&event, &context);
	has(text, "\"reason\":null");
	report = (struct events_report){ .event = event };
	events_text(line, sizeof(line), &report, &context);
	check(strlen(line) > 0, "text");
}

static void test_function(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *mode = NULL;

	event.reason = REASON_function_not_allowed;
	event.function = 6;
	text = json_of(&event, &context);
	has(text, "\"app_proto\":\"modbus\"");
	has(text, "\"class\":\"write\",\"function\":\"write-single-register\"");
	has(text, "modbus write-single-register is not allowed here");

	event.verdict = VERDICT_pass;
	mode = json_of(&event, &context);
	has(mode, "\"alert\":{\"action\":\"allowed\"");
	has(mode, "\"would\":\"reset\"");
}

static void test_argument(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *none = NULL;

	event.reason = REASON_argument_not_allowed;
	event.function = 3;
	event.argument = (struct portcullis_range){ ARGUMENT_address,
						    TABLE_register << 16 | 40,
						    TABLE_register << 16 | 41 };
	text = json_of(&event, &context);
	has(text,
	    "\"signature\":\"modbus register 40-41 is not allowed here\"");
	has(text,
	    "\"argument\":{\"kind\":\"register\",\"first\":40,\"last\":41}");
	event.argument.kind = ARGUMENT_none;
	none = json_of(&event, &context);
	has(none,
	    "\"signature\":\"modbus read-holding-registers names nothing that is allowed here\"");
	check(!strstr(none, "\"argument\":"), "no argument: %s", none);
}

static void test_several_expected(void)
{
	struct portcullis_event event = ssh_event();
	_cleanup_free_ char *text = NULL;

	event.service = 2;
	text = json_of(&event, &context);
	has(text, "\"app_proto_expected\":\"http,ssh\"");
	check(!strstr(text, "ssh on a"), "ssh is expected there");
}

static void test_text(void)
{
	struct portcullis_event event = ssh_event();
	struct events_report report = { .event = event,
					.seen = PROTO_ssh,
					.count = 1 };
	char line[1024];

	events_text(line, sizeof(line), &report, &context);
	has(line,
	    " reset  10.0.2.11:49153 (hmi-1) > 10.0.3.11:502 (plc-1) TCP: ssh on a modbus port [hmi-to-cell, bad_magic]");
	report.summary = true;
	report.count = 7;
	report.event.family = 6;
	events_text(line, sizeof(line), &report, &context);
	has(line, "[::10.0.2.11]:49153");
	has(line, ", 7 times more");
	events_text(line, 20, &report, &context);
	check(strlen(line) == 19, "a short buffer holds: %s", line);
}

/* ---- repeats --------------------------------------------------------- */

struct seen {
	size_t reports;
	size_t summaries;
	uint64_t count;
	uint64_t last_count;
};

static void note(const struct events_report *report, void *arg)
{
	struct seen *seen = arg;

	seen->reports++;
	seen->summaries += report->summary;
	seen->count += report->count;
	seen->last_count = report->count;
}

static void test_repeats(void)
{
	struct portcullis_event event = ssh_event();
	struct seen seen = { 0 };
	struct events_table *table = events_table_new(true, note, &seen);
	int i;

	event.time_ns = SECOND;
	events_table_add(table, &event);
	check(seen.reports == 1 && !seen.summaries, "the first goes at once");
	for (i = 0; i < 500; i++)
		events_table_add(table, &event);
	check(seen.reports == 1, "repeats wait");
	check(events_table_folded(table) == 500, "counted");
	events_table_tick(table, 10 * SECOND);
	check(seen.reports == 1, "not before their time");
	events_table_tick(table, 11 * SECOND);
	check(seen.summaries == 1 && seen.last_count == 500,
	      "a summary of 500");
	event.count = 3;
	events_table_add(table, &event);
	events_table_tick(table, 70 * SECOND);
	check(seen.summaries == 1, "the next wait is a minute");
	events_table_tick(table, 71 * SECOND);
	check(seen.summaries == 2 && seen.last_count == 3,
	      "the kernel's own count counts: %llu",
	      (unsigned long long)seen.last_count);
	events_table_tick(table, 371 * SECOND);
	check(seen.summaries == 2, "silence is no summary");
	event.time_ns = 372 * SECOND;
	events_table_add(table, &event);
	check(seen.reports == 4 && seen.summaries == 2,
	      "after silence the first goes at once again");
	events_table_free(table);
	check(seen.count == 1 + 500 + 3 + 3, "nothing is lost: %llu",
	      (unsigned long long)seen.count);
}

static void test_kinds(void)
{
	struct portcullis_event event = ssh_event();
	struct seen seen = { 0 };
	struct events_table *table = events_table_new(true, note, &seen);

	events_table_add(table, &event);
	event.sport++;
	events_table_add(table, &event);
	check(seen.reports == 1, "another source port is the same kind");
	event.dst[15]++;
	events_table_add(table, &event);
	event.reason = REASON_mismatch;
	events_table_add(table, &event);
	event.function = 3;
	events_table_add(table, &event);
	memcpy(event.data + 54, "GET / HTTP/1.1\r\n\r\n", 18);
	event.evidence = 54 + 18;
	events_table_add(table, &event);
	check(seen.reports == 5,
	      "other target, reason, function, protocol: %zu", seen.reports);
	events_table_free(table);
}

/* More kinds than places: all are reported, and each count once. */
static void test_flood(void)
{
	struct portcullis_event event = ssh_event();
	struct seen seen = { 0 };
	struct events_table *table = events_table_new(true, note, &seen);
	uint32_t i, source;

	for (i = 0; i < 100000; i++) {
		source = i * 2654435761U % 20000;
		memcpy(event.src + 12, &source, sizeof(source));
		event.time_ns = i;
		events_table_add(table, &event);
	}
	events_table_free(table);
	check(seen.count == 100000, "counts: %llu",
	      (unsigned long long)seen.count);
}

static void test_every_event(void)
{
	struct portcullis_event event = ssh_event();
	struct seen seen = { 0 };
	struct events_table *table = events_table_new(false, note, &seen);

	events_table_add(table, &event);
	events_table_add(table, &event);
	check(seen.reports == 2 && !seen.summaries, "each is reported");
	events_table_free(table);
}

/* ---- the file -------------------------------------------------------- */

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void test_log(const char *folder)
{
	_cleanup_free_ char *path = files_name("%s/events.json", folder);
	_cleanup_free_ char *old = files_name("%s/events.json.1", folder);
	_cleanup_free_ char *moved = files_name("%s/moved", folder);
	struct eventlog *log = eventlog_open(path, 1000);
	char line[101];
	int i;

	memset(line, 'x', 100);
	line[99] = '\n';
	eventlog_add(log, line, 100);
	check(size_of(path) == 0, "waits for the flush");
	eventlog_flush(log);
	check(size_of(path) == 100, "written");
	eventlog_close(log);
	log = eventlog_open(path, 1000);
	eventlog_add(log, line, 100);
	eventlog_flush(log);
	check(size_of(path) == 200, "appended to");
	check(!rename(path, moved) && !eventlog_reopen(log), "reopened");
	eventlog_add(log, line, 100);
	eventlog_flush(log);
	check(size_of(path) == 100 && size_of(moved) == 200,
	      "goes on in a fresh file");
	for (i = 0; i < 100; i++) {
		eventlog_add(log, line, 100);
		eventlog_flush(log);
	}
	check(size_of(path) == 100 && size_of(old) == 1000, "bounded: %ld, %ld",
	      (long)size_of(path), (long)size_of(old));
	check(eventlog_written(log) == 102 && eventlog_lost(log) == 0,
	      "counted: %llu", (unsigned long long)eventlog_written(log));
	eventlog_close(log);
	unlink(path);
	unlink(moved);
	for (i = 1; i <= EVENTLOG_KEPT + 1; i++) {
		_cleanup_free_ char *name = files_name("%s.%d", path, i);

		check(!unlink(name) == (i <= EVENTLOG_KEPT), "%s", name);
	}
}

static void test_full_disk(void)
{
	struct eventlog *log = eventlog_open("/dev/full", 0);

	if (!check(log, "/dev/full"))
		return;
	fputs("(one line about a full disk follows)\n", stderr);
	eventlog_add(log, "{}\n", 3);
	eventlog_flush(log);
	eventlog_add(log, "{}\n", 3);
	eventlog_flush(log);
	check(eventlog_lost(log) == 2 && eventlog_written(log) == 0,
	      "what is lost is counted");
	eventlog_close(log);
	check(!eventlog_open("/nowhere/events", 0), "no folder");
}

int main(void)
{
	char folder[] = "/tmp/portcullis-events.XXXXXX";

	test_json();
	test_secrets();
	test_json_of_little();
	test_completed();
	test_foreign();
	test_seen_from_either_side();
	test_wild_numbers();
	test_function();
	test_argument();
	test_several_expected();
	test_text();
	test_repeats();
	test_kinds();
	test_flood();
	test_every_event();
	if (check(mkdtemp(folder), "a folder")) {
		test_log(folder);
		check(!rmdir(folder), "leaves nothing behind");
	}
	test_full_disk();
	return tap_summary();
}
