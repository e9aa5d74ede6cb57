/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <window.h>

#include "arguments.h"
#include "events.h"
#include "protocols.h"
#include "secrets.h"

#define SECOND 1000000000ULL

/* Number of the rule set in alert.gid: IEC 62443. */
#define ALERT_GID 62443
#define ALERT_ID(reason) (1000 + (reason))
#define ALERT_FOREIGN 1900

static const char ics_name[] = "ics_on_foreign_port";
static const char ics_sentence[] =
    "an industrial protocol on a port that is not its own";

static const uint8_t *payload(const struct portcullis_event *event,
			      size_t *ret_len)
{
	size_t held = event->evidence;

	if (held > sizeof(event->data))
		held = sizeof(event->data);
	*ret_len = held > event->payload_at ? held - event->payload_at : 0;
	return event->data + (*ret_len ? event->payload_at : 0);
}

/* Reasons that say nothing against the protocol itself. */
static bool language_is_fine(const struct portcullis_event *event)
{
	switch (event->reason) {
	case REASON_function_not_allowed:
	case REASON_unit_not_allowed:
	case REASON_argument_not_allowed:
		return true;
	default:
		return false;
	}
}

static bool has_ports(const struct portcullis_event *event)
{
	return event->l4 == TRANSPORT_tcp || event->l4 == TRANSPORT_udp;
}

static bool has_payload(const struct portcullis_event *event)
{
	size_t len;

	payload(event, &len);
	return event->payload_at && len && has_ports(event);
}

unsigned int events_seen(const struct portcullis_event *event)
{
	const uint8_t *bytes;
	unsigned int seen;
	size_t len;

	if (event->proto && language_is_fine(event))
		return event->proto;
	if (!has_payload(event))
		return PROTO_unknown;
	bytes = payload(event, &len);
	seen = identify(bytes, len, event->l4, event->from_server);
	/* Without a conversation nobody knows who called whom. */
	if (!seen && !event->conversation)
		seen = identify(bytes, len, event->l4, !event->from_server);
	return seen;
}

/* Nothing says who is the server where there is no conversation: then its own
 * port at either end will do. */
static bool lives_there(const struct portcullis_event *event, unsigned int seen)
{
	bool either = !event->conversation;

	return ((either || !event->from_server) &&
		protocol_lives_at(seen, event->l4, event->dport)) ||
	       ((either || event->from_server) &&
		protocol_lives_at(seen, event->l4, event->sport));
}

static bool is_expected(const struct image_service *service, unsigned int seen)
{
	size_t i;

	for (i = 0; i < RULESET_PROTOS; i++) {
		if (service->protos[i] == seen)
			return true;
	}
	return false;
}

bool events_is_foreign(const struct events_report *report,
		       const struct image *image)
{
	const struct portcullis_event *event = &report->event;
	unsigned int seen = report->seen, port, service, side;

	if (!protocol_is_industrial(seen) || seen == event->proto ||
	    !has_payload(event) || lives_there(event, seen))
		return false;
	if (!image || !image->services_map)
		return true;
	for (side = 0; side < 2; side++) {
		if (event->conversation && side != event->from_server)
			continue;
		port = side ? event->sport : event->dport;
		service =
		    image->services_map->of[event->l4 == TRANSPORT_udp][port];
		if (service && service < image->n_services &&
		    is_expected(&image->services[service], seen))
			return false;
	}
	return true;
}

/* ---- names ----------------------------------------------------------- */

static bool prefix_holds(const uint8_t *addr, const uint8_t *prefix,
			 unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(addr, prefix, whole))
		return false;
	return !rest || !((addr[whole] ^ prefix[whole]) >> (8 - rest));
}

/* As the kernel looks it up: the longest prefix. NULL: no zone holds it. */
static const struct portcullis_place *
place_of(const struct image *image, unsigned int family, const uint8_t *addr)
{
	const struct portcullis_place *best = NULL;
	unsigned int bits = 0;
	size_t i;

	for (i = 0; family == 4 && i < image->n_places4; i++) {
		const struct image_place4 *row = &image->places4[i];

		if ((!best || row->key.prefixlen > bits) &&
		    row->key.prefixlen <= 32 &&
		    prefix_holds(addr + 12, row->key.addr,
				 row->key.prefixlen)) {
			best = &row->place;
			bits = row->key.prefixlen;
		}
	}
	for (i = 0; family == 6 && i < image->n_places6; i++) {
		const struct image_place6 *row = &image->places6[i];

		if ((!best || row->key.prefixlen > bits) &&
		    row->key.prefixlen <= 128 &&
		    prefix_holds(addr, row->key.addr, row->key.prefixlen)) {
			best = &row->place;
			bits = row->key.prefixlen;
		}
	}
	return best;
}

/* What the kernel left out, since the slow path was not walked again, follows
 * from the addresses and the policy. */
static void complete(struct portcullis_event *event, const struct image *image)
{
	const struct portcullis_place *from, *to;
	unsigned int port = event->from_server ? event->sport : event->dport;

	if (!image || !event->family)
		return;
	from = place_of(image, event->family, event->src);
	to = place_of(image, event->family, event->dst);
	if (from && !event->from_zone) {
		event->from_zone = from->zone;
		event->from_asset = from->asset;
	}
	if (to && !event->to_zone) {
		event->to_zone = to->zone;
		event->to_asset = to->asset;
	}
	if (!event->service && image->services_map &&
	    (event->l4 == TRANSPORT_tcp || event->l4 == TRANSPORT_udp))
		event->service =
		    image->services_map->of[event->l4 == TRANSPORT_udp][port];
}

void events_forget_numbers(struct portcullis_event *event)
{
	event->conduit = event->service = 0;
	event->from_zone = event->to_zone = 0;
	event->from_asset = event->to_asset = 0;
}

static const char *zone_name(const struct image *image, unsigned int zone)
{
	if (!image || !zone || zone >= image->n_zones)
		return NULL;
	return image->zones[zone].name;
}

static const char *asset_name(const struct image *image, unsigned int asset)
{
	if (!image || !asset || asset >= image->n_assets)
		return NULL;
	return image->assets[asset].name;
}

static const char *conduit_name(const struct image *image, unsigned int conduit)
{
	if (!image || !conduit || conduit >= image->n_conduits)
		return NULL;
	return image->conduits[conduit].name;
}

static const char *service_name(const struct image *image, unsigned int service)
{
	if (!image || !service || service >= image->n_services)
		return NULL;
	return image->services[service].name;
}

static const char *address(const struct portcullis_event *event,
			   const uint8_t *from, char *text)
{
	if (event->family == 4)
		return inet_ntop(AF_INET, from + 12, text, INET6_ADDRSTRLEN);
	if (event->family == 6)
		return inet_ntop(AF_INET6, from, text, INET6_ADDRSTRLEN);
	return NULL;
}

static const char *transport(const struct portcullis_event *event)
{
	switch (event->l4) {
	case TRANSPORT_tcp:
		return "TCP";
	case TRANSPORT_udp:
		return "UDP";
	case IPPROTO_ICMP:
		return "ICMP";
	case IPPROTO_ICMPV6:
		return "IPv6-ICMP";
	default:
		return NULL;
	}
}

static const char *expected(const struct portcullis_event *event,
			    const struct image *image, char *text, size_t size)
{
	const struct image_service *service;
	size_t len = 0, i;

	if (image && event->service && event->service < image->n_services) {
		service = &image->services[event->service];
		for (i = 0; i < RULESET_PROTOS && service->protos[i]; i++)
			len += snprintf(text + len, size - len, "%s%s",
					i ? "," : "",
					protocol_name(service->protos[i]));
		if (len)
			return text;
	}
	return event->proto ? protocol_name(event->proto) : NULL;
}

static const char *function_name(const struct portcullis_event *event,
				 char *text, size_t size)
{
	const char *name;

	if (event->function == FUNCTION_none)
		return NULL;
	name = protocol_function_name(event->proto, event->function);
	if (name)
		return name;
	snprintf(text, size, "%u", event->function);
	return text;
}

static const char *function_class(const struct portcullis_event *event)
{
	const struct protocol *protocol = protocol_get(event->proto);
	size_t i;

	if (!protocol || event->function == FUNCTION_none)
		return NULL;
	for (i = 0; i < protocol->n_functions; i++) {
		if (protocol->functions[i].number == event->function)
			return class_name(protocol->functions[i].class);
	}
	return NULL;
}

/* "modbus register 40-41", or what it was that named nothing. */
static void argument_headline(const struct portcullis_event *event,
			      const char *function, char *text, size_t size)
{
	const struct argument_word *word = argument_of(&event->argument);
	const char *proto = protocol_name(event->proto);
	char range[64];

	if (!word) {
		snprintf(text, size, "%s %s names nothing that is allowed here",
			 proto, function);
		return;
	}
	argument_text(word, &event->argument, range, sizeof(range));
	snprintf(text, size, "%s %s %s is not allowed here", proto, word->word,
		 range);
}

static void json_argument(struct json *json,
			  const struct portcullis_range *argument)
{
	const struct argument_word *word = argument_of(argument);

	if (!word)
		return;
	json_object(json, "argument");
	json_string(json, "kind", word->word);
	json_uint(json, "first", argument->first - word->base);
	json_uint(json, "last", argument->last - word->base);
	json_end_object(json);
}

/* A short headline, from tables and the policy's words only. */
static void headline(const struct events_report *report,
		     const struct image *image, char *text, size_t size)
{
	const struct portcullis_event *event = &report->event;
	const char *port, *function, *sentence;
	char words[64], number[8];

	if (report->foreign) {
		snprintf(text, size, "%s on a port that is not its own",
			 protocol_name(report->seen));
		return;
	}
	port = expected(event, image, words, sizeof(words));
	function = function_name(event, number, sizeof(number));
	sentence = reason_sentence(event->reason);
	if (event->reason == REASON_function_not_allowed && function && port)
		snprintf(text, size, "%s %s is not allowed here",
			 protocol_name(event->proto), function);
	else if (event->reason == REASON_unit_not_allowed && port)
		snprintf(text, size, "%s unit %u is not allowed here",
			 protocol_name(event->proto), event->unit);
	else if (event->reason == REASON_argument_not_allowed && function)
		argument_headline(event, function, text, size);
	else if (reason_kind(event->reason) == KIND_forbidden && report->seen &&
		 port && report->seen != event->proto &&
		 !strstr(port, protocol_name(report->seen)))
		snprintf(text, size, "%s on a %s port",
			 protocol_name(report->seen), port);
	else if (reason_kind(event->reason) == KIND_denied && sentence &&
		 has_payload(event))
		snprintf(text, size, "%s: %s", protocol_name(report->seen),
			 sentence);
	else
		snprintf(text, size, "%s", sentence ? sentence : "unknown");
}

static unsigned int severity(unsigned int reason)
{
	switch (reason_kind(reason)) {
	case KIND_forbidden:
		return 1;
	case KIND_denied:
		return 2;
	default:
		return 3;
	}
}

static void wall_time(uint64_t time_ns, const struct events_context *context,
		      bool local, char *text, size_t size)
{
	int64_t ns = (int64_t)time_ns + context->wall_offset_ns;
	time_t seconds = ns / (int64_t)SECOND;
	unsigned int micro = ns / 1000 % 1000000;
	struct tm tm = { 0 };
	char date[32];

	if (local) {
		localtime_r(&seconds, &tm);
		strftime(date, sizeof(date), "%H:%M:%S", &tm);
		snprintf(text, size, "%s.%03u", date, micro / 1000);
		return;
	}
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, size, "%s.%06u+0000", date, micro);
}

static bool went_through(unsigned int verdict)
{
	return verdict == VERDICT_pass || verdict == VERDICT_mirror;
}

static void json_alert(struct json *json, const struct events_report *report,
		       const struct image *image)
{
	const struct portcullis_event *event = &report->event;
	unsigned int id = ALERT_ID(event->reason);
	const char *category = kind_name(reason_kind(event->reason));
	char text[160];

	headline(report, image, text, sizeof(text));
	json_object(json, "alert");
	json_string(json, "action",
		    went_through(event->verdict) ? "allowed" : "blocked");
	json_uint(json, "gid", ALERT_GID);
	json_uint(json, "signature_id", report->foreign ? ALERT_FOREIGN : id);
	json_uint(json, "rev", 1);
	json_string(json, "signature", text);
	json_string(json, "category",
		    report->foreign ? "identification" : category);
	json_uint(json, "severity",
		  report->foreign ? 1 : severity(event->reason));
	json_end_object(json);
}

static void json_own(struct json *json, const struct events_report *report,
		     const struct events_context *context, bool is_redacted)
{
	const struct portcullis_event *event = &report->event;
	const struct image *image = context->image;
	char text[128];

	json_object(json, "portcullis");
	snprintf(text, sizeof(text), "%s:%06llu", context->host,
		 (unsigned long long)context->number);
	json_string(json, "event", text);
	json_string(json, "reason",
		    report->foreign ? ics_name : reason_name(event->reason));
	json_string(json, "sentence",
		    report->foreign ? ics_sentence
				    : reason_sentence(event->reason));
	json_string(json, "conduit", conduit_name(image, event->conduit));
	json_string(json, "service", service_name(image, event->service));
	json_string(json, "from_zone", zone_name(image, event->from_zone));
	json_string(json, "to_zone", zone_name(image, event->to_zone));
	json_string(json, "src_asset", asset_name(image, event->from_asset));
	json_string(json, "dest_asset", asset_name(image, event->to_asset));
	json_string(json, "sender", event->from_server ? "server" : "client");
	json_string(json, "class", function_class(event));
	json_string(json, "function", function_name(event, text, sizeof(text)));
	if (event->reason == REASON_unit_not_allowed)
		json_uint(json, "unit", event->unit);
	if (event->reason == REASON_argument_not_allowed)
		json_argument(json, &event->argument);
	json_string(json, "would", verdict_name(event->would));
	json_uint(json, "generation", event->generation);
	json_uint(json, "count", report->count);
	json_bool(json, "summary", report->summary);
	if (is_redacted)
		json_bool(json, "redacted", true);
	wall_time(report->first_ns, context, false, text, sizeof(text));
	json_string(json, "first_seen", text);
	wall_time(report->last_ns, context, false, text, sizeof(text));
	json_string(json, "last_seen", text);
	json_end_object(json);
}

/* Sent to where SNMP is spoken, and nothing else that is known. */
static bool is_to_snmp(const struct events_report *report)
{
	const struct portcullis_event *event = &report->event;
	unsigned int port = event->from_server ? event->sport : event->dport;

	if (report->seen && report->seen != PROTO_snmp)
		return false;
	return event->proto == PROTO_snmp ||
	       (event->l4 == TRANSPORT_udp && (port == 161 || port == 162));
}

/* Nobody reads a password in a file of events. */
static bool redact(struct events_report *report)
{
	struct portcullis_event *event = &report->event;
	size_t len = event->evidence;

	if (len > sizeof(event->data))
		len = sizeof(event->data);
	return secrets_hide(event->data, len, event->payload_at,
			    is_to_snmp(report));
}

static void json_evidence(struct json *json,
			  const struct portcullis_event *event)
{
	const uint8_t *bytes;
	size_t len;

	if (!event->evidence)
		return;
	bytes = payload(event, &len);
	if (event->payload_at && len)
		json_base64(json, "payload", bytes, len);
	len = event->evidence;
	if (len > sizeof(event->data))
		len = sizeof(event->data);
	json_base64(json, "packet", event->data, len);
	json_object(json, "packet_info");
	json_uint(json, "linktype", 1);
	json_end_object(json);
	json_uint(json, "packet_len", event->frame_len);
}

static void json_where(struct json *json, const struct portcullis_event *event,
		       const char *interface)
{
	char text[INET6_ADDRSTRLEN];

	json_string(json, "in_iface", interface);
	if (event->vlan) {
		json_array(json, "vlan");
		json_uint(json, NULL, event->vlan & 0xfff);
		json_end_array(json);
	}
	if (!event->family)
		return;
	json_string(json, "src_ip", address(event, event->src, text));
	if (has_ports(event))
		json_uint(json, "src_port", event->sport);
	json_string(json, "dest_ip", address(event, event->dst, text));
	if (has_ports(event))
		json_uint(json, "dest_port", event->dport);
	if (event->l4)
		json_string(json, "proto", transport(event));
}

void events_json(struct json *json, const struct events_report *given,
		 const struct events_context *context)
{
	struct events_report whole = *given;
	const struct events_report *report = &whole;
	const struct portcullis_event *event = &report->event;
	bool is_redacted = redact(&whole);
	char text[64];

	complete(&whole.event, context->image);
	json_object(json, NULL);
	wall_time(report->summary ? report->last_ns : event->time_ns, context,
		  false, text, sizeof(text));
	json_string(json, "timestamp", text);
	json_string(json, "event_type", "alert");
	if (event->conversation)
		json_uint(json, "flow_id", event->conversation);
	json_where(json, event, context->interface);
	json_string(json, "app_proto",
		    report->seen || has_payload(event)
			? protocol_name(report->seen)
			: NULL);
	json_string(json, "app_proto_expected",
		    expected(event, context->image, text, sizeof(text)));
	json_object(json, "verdict");
	json_string(json, "action", verdict_name(event->verdict));
	json_end_object(json);
	json_alert(json, report, context->image);
	json_own(json, report, context, is_redacted);
	json_evidence(json, event);
	json_end_object(json);
	json_line(json);
}

static void endpoint(const struct portcullis_event *event,
		     const struct image *image, bool source, char *text,
		     size_t size)
{
	const char *name =
	    asset_name(image, source ? event->from_asset : event->to_asset);
	unsigned int port = source ? event->sport : event->dport;
	char number[INET6_ADDRSTRLEN], ports[8] = "";
	const char *where;

	where = address(event, source ? event->src : event->dst, number);
	if (!where)
		where = "?";
	if (has_ports(event))
		snprintf(ports, sizeof(ports), ":%u", port);
	if (event->family == 6 && *ports)
		snprintf(text, size, "[%s]%s", where, ports);
	else
		snprintf(text, size, "%s%s", where, ports);
	if (name)
		snprintf(text + strlen(text), size - strlen(text), " (%s)",
			 name);
}

void events_text(char *line, size_t size, const struct events_report *given,
		 const struct events_context *context)
{
	struct events_report whole = *given;
	const struct events_report *report = &whole;
	const struct portcullis_event *event = &report->event;
	const char *conduit = conduit_name(context->image, event->conduit);
	char when[32], from[128], to[128], what[160], more[64] = "";
	const char *reason =
	    report->foreign ? ics_name : reason_name(event->reason);

	complete(&whole.event, context->image);
	wall_time(report->summary ? report->last_ns : event->time_ns, context,
		  true, when, sizeof(when));
	headline(report, context->image, what, sizeof(what));
	if (report->summary)
		snprintf(more, sizeof(more), ", %llu times more",
			 (unsigned long long)report->count);
	else if (report->count > 1)
		snprintf(more, sizeof(more), ", %llu times",
			 (unsigned long long)report->count);
	from[0] = to[0] = '\0';
	if (event->family) {
		endpoint(event, context->image, true, from, sizeof(from));
		endpoint(event, context->image, false, to, sizeof(to));
	}
	snprintf(line, size, "%s %-6s %s%s%s%s%s: %s [%s%s%s]%s", when,
		 verdict_name(event->verdict), from, *from ? " > " : "", to,
		 transport(event) ? " " : "",
		 transport(event) ? transport(event) : "frame", what,
		 conduit ? conduit : "", conduit ? ", " : "",
		 reason ? reason : "unknown", more);
}

/* ---- repeats --------------------------------------------------------- */

enum { KINDS = 4096, WAYS = 8, STEPS = 3 };

struct kind {
	bool used;
	uint8_t step; /* of the waiting times */
	uint64_t due_ns;
	struct events_report report; /* count: repeats since the last report */
};

struct events_table {
	bool fold;
	uint64_t folded;
	events_each *each;
	void *arg;
	struct kind kinds[KINDS];
};

static const uint64_t waits[STEPS] = { 10 * SECOND, 60 * SECOND, 300 * SECOND };

struct events_table *events_table_new(bool fold, events_each *each, void *arg)
{
	struct events_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->fold = fold;
	table->each = each;
	table->arg = arg;
	return table;
}

/* FNV-1a over what makes a kind. */
static uint32_t kind_hash(const struct portcullis_event *e, unsigned int seen)
{
	const uint16_t rest[] = { e->conduit,  e->service, e->reason,	  seen,
				  e->function, e->verdict, has_payload(e) };
	const struct {
		const void *bytes;
		size_t len;
	} parts[] = { { e->src, sizeof(e->src) },
		      { e->dst, sizeof(e->dst) },
		      { rest, sizeof(rest) } };
	uint32_t hash = 2166136261U;
	size_t i, k;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (k = 0; k < parts[i].len; k++) {
			hash ^= ((const uint8_t *)parts[i].bytes)[k];
			hash *= 16777619U;
		}
	}
	return hash ^ hash >> 15;
}

static bool same_kind(const struct kind *kind, const struct portcullis_event *e,
		      unsigned int seen)
{
	const struct portcullis_event *k = &kind->report.event;

	return kind->used && kind->report.seen == seen &&
	       k->reason == e->reason && k->conduit == e->conduit &&
	       k->service == e->service && k->function == e->function &&
	       k->verdict == e->verdict && has_payload(k) == has_payload(e) &&
	       !memcmp(k->src, e->src, sizeof(k->src)) &&
	       !memcmp(k->dst, e->dst, sizeof(k->dst));
}

static void report_repeats(struct events_table *table, struct kind *kind)
{
	if (!kind->report.count)
		return;
	kind->report.summary = true;
	table->each(&kind->report, table->arg);
	kind->report.count = 0;
}

/* The kind's own place, else a free one, else that of the longest silent. */
static struct kind *place(struct events_table *table,
			  const struct portcullis_event *event,
			  unsigned int seen, bool *ret_known)
{
	uint32_t first = kind_hash(event, seen) % (KINDS / WAYS) * WAYS;
	struct kind *best = NULL, *kind;
	size_t i;

	for (i = 0; i < WAYS; i++) {
		kind = &table->kinds[first + i];
		if (same_kind(kind, event, seen)) {
			*ret_known = true;
			return kind;
		}
		if (!best ||
		    (best->used && (!kind->used || kind->report.last_ns <
						       best->report.last_ns)))
			best = kind;
	}
	if (best->used)
		report_repeats(table, best);
	*ret_known = false;
	return best;
}

void events_table_add(struct events_table *table,
		      const struct portcullis_event *event)
{
	unsigned int seen = events_seen(event);
	uint64_t count = event->count ? event->count : 1;
	struct events_report report = {
		.event = *event,
		.seen = seen,
		.count = count,
		.first_ns = event->time_ns,
		.last_ns = event->time_ns,
	};
	struct kind *kind;
	bool known;

	if (!table->fold) {
		table->each(&report, table->arg);
		return;
	}
	kind = place(table, event, seen, &known);
	if (known) {
		if (!kind->report.count)
			kind->report.first_ns = event->time_ns;
		kind->report.last_ns = event->time_ns;
		kind->report.count += count;
		table->folded += count;
		return;
	}
	table->each(&report, table->arg);
	report.count = 0;
	*kind = (struct kind){ .used = true,
			       .due_ns = event->time_ns + waits[0],
			       .report = report };
}

void events_table_tick(struct events_table *table, uint64_t now_ns)
{
	struct kind *kind;
	size_t i;

	for (i = 0; i < KINDS; i++) {
		kind = &table->kinds[i];
		if (!kind->used || kind->due_ns > now_ns)
			continue;
		if (!kind->report.count) {
			kind->used = false;
			continue;
		}
		report_repeats(table, kind);
		if (kind->step + 1 < STEPS)
			kind->step++;
		kind->due_ns = now_ns + waits[kind->step];
	}
}

void events_table_free(struct events_table *table)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < KINDS; i++) {
		if (table->kinds[i].used)
			report_repeats(table, &table->kinds[i]);
	}
	free(table);
}

uint64_t events_table_folded(const struct events_table *table)
{
	return table->folded;
}
