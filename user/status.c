/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "duration.h"
#include "json.h"
#include "protocols.h"
#include "status.h"

#define MOST_REASONS 8

/* ---- words ----------------------------------------------------------- */

static void flush_json(FILE *out, struct json *json)
{
	json_line(json);
	if (!json->failed)
		fwrite(json->text, 1, json->len, out);
	json_reset(json);
}

static const char *local_time(time_t time, char *text, size_t size)
{
	struct tm tm;

	if (!time || !localtime_r(&time, &tm))
		return "never";
	strftime(text, size, "%Y-%m-%d %H:%M:%S %Z", &tm);
	return text;
}

static bool has_no_door(const struct datapath_port_status *port)
{
	return !port->door || !strcmp(port->door, "detached");
}

static bool is_monitor_port(const struct datapath_port_status *port)
{
	return port->forward && !strcmp(port->forward, "monitor");
}

/* Ports that should have a door and have none. */
static size_t open_ports(const struct snapshot *snapshot)
{
	size_t i, n = 0;

	for (i = 0; i < snapshot->n_ports; i++)
		n += has_no_door(&snapshot->ports[i]) &&
		     !is_monitor_port(&snapshot->ports[i]);
	return n;
}

static const char *what_it_does(const struct snapshot *snapshot)
{
	const struct image *image = snapshot->image;
	size_t i, n[MODE_mirror + 1] = { 0 };

	if (!image || !snapshot->generation)
		return "no policy, everything is refused";
	for (i = 1; i < image->n_conduits; i++) {
		if (image->conduits[i].mode <= MODE_mirror)
			n[image->conduits[i].mode]++;
	}
	if (n[MODE_enforce] == image->n_conduits - 1)
		return "enforcing";
	return n[MODE_enforce] ? "enforcing some conduits, watching others"
			       : "watching only, nothing is refused";
}

/* ---- status ---------------------------------------------------------- */

static void text_policy(FILE *out, const struct snapshot *snapshot)
{
	const struct image *image = snapshot->image;
	char when[64], span[32];

	fprintf(out, "%s: %s\n",
		image && *image->site ? image->site : "Portcullis",
		what_it_does(snapshot));
	if (image)
		fprintf(
		    out,
		    "policy     %s, generation %u: %zu rules in %zu conduits, %zu live changes\n",
		    snapshot->policy_name, snapshot->generation, image->n_rules,
		    image->n_conduits - 1, snapshot->n_live);
	fprintf(out, "applied    %s%s\n",
		local_time(snapshot->applied, when, sizeof(when)),
		snapshot->applied_well
		    ? ""
		    : ": REFUSED, the policy before it stays in force");
	fprintf(out, "daemon     pid %d, up %s%s\n", snapshot->pid,
		duration_print(snapshot->now - snapshot->started, span,
			       sizeof(span)),
		snapshot->adopted ? ", took over a running gate" : "");
}

static void text_ports(FILE *out, const struct snapshot *snapshot)
{
	const struct datapath_port_status *port = snapshot->ports;
	size_t i;

	for (i = 0; i < snapshot->n_ports; i++, port++) {
		fprintf(out, "%-10s %-15s %-11s %-5s %s", i ? "" : "ports",
			port->name, port->door ? port->door : "detached",
			port->up ? "up" : "down",
			port->forward ? port->forward : "");
		if (port->lost)
			fprintf(out,
				", %" PRIu64 " frames lost behind the gate",
				port->lost);
		if (port->why && *port->why)
			fprintf(out, "  (%s)", port->why);
		fputc('\n', out);
	}
}

static void text_conduits(FILE *out, const struct snapshot *snapshot)
{
	const struct image *image = snapshot->image;
	const struct image_conduit *conduit;
	size_t i;

	if (!image)
		return;
	for (i = 1; i < image->n_conduits; i++) {
		conduit = &image->conduits[i];
		fprintf(out,
			"%-10s %-20s %s > %s  %s  packets %" PRIu64
			"  refused %" PRIu64 "\n",
			i == 1 ? "conduits" : "", conduit->name,
			image->zones[conduit->from].name,
			image->zones[conduit->to].name,
			mode_name(conduit->mode),
			(uint64_t)snapshot->conduits[i].packets,
			snapshot_refused(snapshot, i));
	}
}

struct reason_sum {
	unsigned int reason;
	uint64_t count;
};

static int more_first(const void *left, const void *right)
{
	const struct reason_sum *a = left, *b = right;

	return a->count < b->count ? 1 : a->count > b->count ? -1 : 0;
}

/* What was done to packets under reasons of refusal, most frequent first. */
static size_t refused_most(const struct portcullis_counts *counts,
			   struct reason_sum *sums)
{
	unsigned int reason, verdict;
	size_t n = 0;

	for (reason = 1; reason < REASON_max; reason++) {
		sums[n] = (struct reason_sum){ .reason = reason };
		if (!reason_name(reason) || reason_kind(reason) == KIND_passed)
			continue;
		for (verdict = 0; verdict < VERDICT_max; verdict++)
			sums[n].count += counts->reason[reason][verdict];
		if (sums[n].count)
			n++;
	}
	qsort(sums, n, sizeof(sums[0]), more_first);
	return n;
}

static uint64_t events_lost(const struct snapshot *snapshot)
{
	return snapshot->counts.events_lost + snapshot->events_unwritten;
}

static uint64_t events_left_out(const struct snapshot *snapshot)
{
	return snapshot->counts.events_suppressed + snapshot->events_folded;
}

static void text_packets(FILE *out, const struct snapshot *snapshot)
{
	struct reason_sum sums[REASON_max];
	size_t n, i;

	fprintf(out,
		"flows      %" PRIu64 " live, %" PRIu64 " opening, %" PRIu64
		" closed, %" PRIu64 " poisoned; room for %u\n",
		snapshot->flows[SLOT_live], snapshot->flows[SLOT_opening],
		snapshot->flows[SLOT_closed], snapshot->flows[SLOT_poisoned],
		snapshot->slots);
	fprintf(out,
		"packets    %" PRIu64 " passed, %" PRIu64 " dropped, %" PRIu64
		" reset, %" PRIu64 " mirrored, %" PRIu64 " diverted\n",
		snapshot_packets(snapshot, VERDICT_pass),
		snapshot_packets(snapshot, VERDICT_drop),
		snapshot_packets(snapshot, VERDICT_reset),
		snapshot_packets(snapshot, VERDICT_mirror),
		snapshot_packets(snapshot, VERDICT_divert));
	fprintf(out,
		"events     %" PRIu64 " written, %" PRIu64 " lost, %" PRIu64
		" left out as repeats\n",
		snapshot->events_written, events_lost(snapshot),
		events_left_out(snapshot));
	n = refused_most(&snapshot->counts, sums);
	for (i = 0; i < n && i < MOST_REASONS; i++)
		fprintf(out, "%-10s %10" PRIu64 "  %-20s %s\n",
			i ? "" : "refused", sums[i].count,
			reason_name(sums[i].reason),
			reason_sentence(sums[i].reason));
	if (n > MOST_REASONS)
		fprintf(out,
			"%-10s %10s  and %zu more: portcullis show counters\n",
			"", "", n - MOST_REASONS);
}

static void json_ports(struct json *json, const struct snapshot *snapshot)
{
	const struct datapath_port_status *port = snapshot->ports;
	size_t i;

	json_array(json, "ports");
	for (i = 0; i < snapshot->n_ports; i++, port++) {
		json_object(json, NULL);
		json_string(json, "name", port->name);
		json_uint(json, "ifindex", port->ifindex);
		json_string(json, "door", port->door ? port->door : "detached");
		json_string(json, "why", port->why);
		json_string(json, "forward", port->forward);
		json_bool(json, "up", port->up);
		json_uint(json, "lost", port->lost);
		json_end_object(json);
	}
	json_end_array(json);
}

static void json_conduits(struct json *json, const struct snapshot *snapshot)
{
	const struct image *image = snapshot->image;
	size_t i;

	json_array(json, "conduits");
	for (i = 1; image && i < image->n_conduits; i++) {
		json_object(json, NULL);
		json_string(json, "name", image->conduits[i].name);
		json_string(json, "title", image->conduits[i].title);
		json_string(json, "from",
			    image->zones[image->conduits[i].from].name);
		json_string(json, "to",
			    image->zones[image->conduits[i].to].name);
		json_string(json, "mode", mode_name(image->conduits[i].mode));
		json_uint(json, "packets", snapshot->conduits[i].packets);
		json_uint(json, "refused", snapshot_refused(snapshot, i));
		json_end_object(json);
	}
	json_end_array(json);
}

static void json_flows(struct json *json, const struct snapshot *snapshot)
{
	unsigned int state, verdict;

	json_object(json, "flows");
	for (state = SLOT_opening; state < SNAPSHOT_STATES; state++)
		json_uint(json, snapshot_state(state), snapshot->flows[state]);
	json_uint(json, "capacity", snapshot->slots);
	json_end_object(json);
	json_object(json, "packets");
	for (verdict = 0; verdict <= VERDICT_divert; verdict++)
		json_uint(json, verdict_name(verdict),
			  snapshot_packets(snapshot, verdict));
	json_end_object(json);
	json_object(json, "events");
	json_uint(json, "written", snapshot->events_written);
	json_uint(json, "lost", events_lost(snapshot));
	json_uint(json, "suppressed", events_left_out(snapshot));
	json_end_object(json);
}

static void status_json(FILE *out, const struct snapshot *snapshot)
{
	const struct image *image = snapshot->image;
	struct json json = { 0 };

	json_object(&json, NULL);
	json_string(&json, "schema", "portcullis.status.1");
	json_string(&json, "site", image ? image->site : NULL);
	json_string(&json, "state", what_it_does(snapshot));
	json_uint(&json, "generation", snapshot->generation);
	json_string(&json, "policy", snapshot->policy_name);
	json_uint(&json, "rules", image ? image->n_rules : 0);
	json_uint(&json, "live_changes", snapshot->n_live);
	json_time(&json, "applied", snapshot->applied);
	json_bool(&json, "applied_well", snapshot->applied_well);
	json_time(&json, "started", snapshot->started);
	json_bool(&json, "adopted", snapshot->adopted);
	json_uint(&json, "pid", snapshot->pid);
	json_ports(&json, snapshot);
	json_conduits(&json, snapshot);
	json_flows(&json, snapshot);
	json_end_object(&json);
	flush_json(out, &json);
	json_free(&json);
}

size_t status_write(FILE *out, const struct snapshot *snapshot, bool json)
{
	if (json) {
		status_json(out, snapshot);
		return open_ports(snapshot);
	}
	text_policy(out, snapshot);
	text_ports(out, snapshot);
	text_conduits(out, snapshot);
	text_packets(out, snapshot);
	return open_ports(snapshot);
}

/* ---- show counters --------------------------------------------------- */

static void counter(FILE *out, struct json *json, const char *kind,
		    const char *name, const char *what, uint64_t count)
{
	if (!json) {
		fprintf(out, "%-9s %-22s %-8s %12" PRIu64 "\n", kind, name,
			what, count);
		return;
	}
	json_object(json, NULL);
	json_string(json, "counter", kind);
	json_string(json, "name", name);
	json_string(json, "what", what);
	json_uint(json, "count", count);
	json_end_object(json);
	flush_json(out, json);
}

static void counters_of_packets(FILE *out, struct json *json,
				const struct portcullis_counts *counts)
{
	unsigned int reason, verdict;

	for (reason = 1; reason < REASON_max; reason++) {
		for (verdict = 0;
		     reason_name(reason) && verdict <= VERDICT_divert;
		     verdict++) {
			if (counts->reason[reason][verdict])
				counter(out, json, "packets",
					reason_name(reason),
					verdict_name(verdict),
					counts->reason[reason][verdict]);
		}
	}
}

static void counters_of_messages(FILE *out, struct json *json,
				 const struct portcullis_counts *counts)
{
	const struct protocol *protocols;
	size_t n, i, class;

	protocols = protocol_list(&n);
	for (i = 0; i < n; i++) {
		for (class = 0; class <= CLASS_other; class ++) {
			if (counts->message[protocols[i].id][class])
				counter(
				    out, json, "messages", protocols[i].name,
				    class_name(class),
				    counts->message[protocols[i].id][class]);
		}
	}
	for (i = 1; i < LAYER2_max; i++) {
		if (layer2_name(i) && counts->layer2[i])
			counter(out, json, "layer2", layer2_name(i), "pass",
				counts->layer2[i]);
	}
	for (i = 0; i < QUIRK_max; i++) {
		if (counts->quirk[i] && quirk_get(i))
			counter(out, json, "quirks", quirk_get(i)->name, "pass",
				counts->quirk[i]);
	}
}

void status_counters(FILE *out, const struct snapshot *snapshot, bool json)
{
	const struct portcullis_counts *counts = &snapshot->counts;
	struct json writer = { 0 }, *with = json ? &writer : NULL;

	if (!json)
		fprintf(out, "%-9s %-22s %-8s %12s\n", "COUNTER", "NAME",
			"WHAT", "COUNT");
	counters_of_packets(out, with, counts);
	counters_of_messages(out, with, counts);
	counter(out, with, "events", "ring", "sent", counts->events);
	counter(out, with, "events", "ring", "lost", counts->events_lost);
	counter(out, with, "events", "kernel", "repeats",
		counts->events_suppressed);
	counter(out, with, "events", "summary", "repeats",
		snapshot->events_folded);
	counter(out, with, "flows", "opened", "", counts->flows_opened);
	counter(out, with, "flows", "evicted", "", counts->flows_evicted);
	json_free(&writer);
}

/* ---- show rules, zones, live ------------------------------------------ */

/* The text that names a counter begins with its conduit; a table has a column
 * for that. */
static const char *statement(const struct image_rule *rule)
{
	const char *at = strstr(rule->text, ": allow ");

	return at && !strncmp(rule->text, "conduit ", 8) ? at + 2 : rule->text;
}

void status_rules(FILE *out, const struct snapshot *snapshot, bool json)
{
	const struct image *image = snapshot->image;
	const struct image_rule *rule;
	struct json writer = { 0 };
	size_t i;

	if (!json)
		fprintf(out, "%-20s %12s %14s  %s\n", "CONDUIT", "PACKETS",
			"BYTES", "RULE");
	for (i = 0; image && i < image->n_rules; i++) {
		rule = &image->rules[i];
		if (!json) {
			fprintf(out, "%-20s %12llu %14llu  %s\n",
				snapshot_conduit(snapshot, rule->conduit),
				snapshot->rules[i].packets,
				snapshot->rules[i].bytes, statement(rule));
			continue;
		}
		json_object(&writer, NULL);
		json_string(&writer, "conduit",
			    snapshot_conduit(snapshot, rule->conduit));
		json_string(&writer, "rule", statement(rule));
		json_string(&writer, "service",
			    image->services[rule->service].name);
		json_string(&writer, "file", rule->file);
		json_uint(&writer, "line", rule->line);
		json_uint(&writer, "live_id", rule->live_id);
		json_uint(&writer, "packets", snapshot->rules[i].packets);
		json_uint(&writer, "bytes", snapshot->rules[i].bytes);
		json_end_object(&writer);
		flush_json(out, &writer);
	}
	json_free(&writer);
}

/* One network of a zone that is no asset: [0..n_places4) are IPv4. */
static bool zone_network(const struct image *image, size_t zone, size_t i,
			 char text[INET6_ADDRSTRLEN + 4])
{
	bool is_ip4 = i < image->n_places4;
	const struct portcullis_place *place;
	const void *addr;
	uint32_t len;

	if (is_ip4) {
		place = &image->places4[i].place;
		addr = image->places4[i].key.addr;
		len = image->places4[i].key.prefixlen;
	} else {
		i -= image->n_places4;
		place = &image->places6[i].place;
		addr = image->places6[i].key.addr;
		len = image->places6[i].key.prefixlen;
	}
	if (place->zone != zone || place->asset)
		return false;
	inet_ntop(is_ip4 ? AF_INET : AF_INET6, addr, text, INET6_ADDRSTRLEN);
	sprintf(text + strlen(text), "/%u", len);
	return true;
}

/* Bit per port id where the zone is; 0: anywhere. */
static uint64_t zone_ports(const struct image *image, size_t zone)
{
	size_t i;

	for (i = 0; i < image->n_places4; i++) {
		if (image->places4[i].place.zone == zone)
			return image->places4[i].place.ports;
	}
	for (i = 0; i < image->n_places6; i++) {
		if (image->places6[i].place.zone == zone)
			return image->places6[i].place.ports;
	}
	return 0;
}

static bool has_port(uint64_t ports, size_t index)
{
	return ports >> (index + 1) & 1;
}

static void zone_text(FILE *out, const struct image *image, size_t zone)
{
	uint64_t ports = zone_ports(image, zone);
	char network[INET6_ADDRSTRLEN + 4];
	size_t i;

	fprintf(out, "%s", image->zones[zone].name);
	if (image->zones[zone].title && *image->zones[zone].title)
		fprintf(out, "  \"%s\"", image->zones[zone].title);
	fputc('\n', out);
	for (i = 0; i < image->n_ports; i++) {
		if (has_port(ports, i))
			fprintf(out, "    interface  %s\n",
				image->ports[i].name);
	}
	for (i = 0; i < image->n_places4 + image->n_places6; i++) {
		if (zone_network(image, zone, i, network))
			fprintf(out, "    network    %s\n", network);
	}
	for (i = 1; i < image->n_assets; i++) {
		if (image->assets[i].zone == zone)
			fprintf(out, "    asset      %-20s %s\n",
				image->assets[i].name,
				image->assets[i].address);
	}
}

static void zone_assets(struct json *json, const struct image *image,
			size_t zone)
{
	size_t i;

	json_array(json, "assets");
	for (i = 1; i < image->n_assets; i++) {
		if (image->assets[i].zone != zone)
			continue;
		json_object(json, NULL);
		json_string(json, "name", image->assets[i].name);
		json_string(json, "address", image->assets[i].address);
		json_end_object(json);
	}
	json_end_array(json);
}

static void zone_json(FILE *out, struct json *json, const struct image *image,
		      size_t zone)
{
	uint64_t ports = zone_ports(image, zone);
	char network[INET6_ADDRSTRLEN + 4];
	size_t i;

	json_object(json, NULL);
	json_string(json, "zone", image->zones[zone].name);
	json_string(json, "title", image->zones[zone].title);
	json_array(json, "interfaces");
	for (i = 0; i < image->n_ports; i++) {
		if (has_port(ports, i))
			json_string(json, NULL, image->ports[i].name);
	}
	json_end_array(json);
	json_array(json, "networks");
	for (i = 0; i < image->n_places4 + image->n_places6; i++) {
		if (zone_network(image, zone, i, network))
			json_string(json, NULL, network);
	}
	json_end_array(json);
	zone_assets(json, image, zone);
	json_end_object(json);
	flush_json(out, json);
}

void status_zones(FILE *out, const struct snapshot *snapshot, bool json)
{
	const struct image *image = snapshot->image;
	struct json writer = { 0 };
	size_t i;

	for (i = 1; image && i < image->n_zones; i++) {
		if (json)
			zone_json(out, &writer, image, i);
		else
			zone_text(out, image, i);
	}
	json_free(&writer);
}

static void live_json(FILE *out, struct json *json,
		      const struct live_change *change)
{
	json_object(json, NULL);
	json_uint(json, "id", change->id);
	json_string(json, "statement", change->statement);
	json_string(json, "by", change->by);
	json_string(json, "at", change->at);
	json_time(json, "until", change->until);
	json_string(json, "why", change->why);
	json_end_object(json);
	flush_json(out, json);
}

void status_live(FILE *out, const struct live *live, bool json)
{
	const struct live_change *change;
	struct json writer = { 0 };
	char until[64];
	size_t i;

	if (!json)
		fprintf(out, "%4s  %-10s %-24s %s\n", "ID", "BY", "UNTIL",
			"STATEMENT");
	for (i = 0; i < live->n; i++) {
		change = &live->changes[i];
		if (!change->id)
			continue;
		if (json) {
			live_json(out, &writer, change);
			continue;
		}
		fprintf(out, "%4u  %-10s %-24s %s", change->id,
			change->by ? change->by : "?",
			change->until
			    ? local_time(change->until, until, sizeof(until))
			    : "for ever",
			change->statement);
		if (change->why && *change->why)
			fprintf(out, "  (%s)", change->why);
		fputc('\n', out);
	}
	json_free(&writer);
}

/* ---- show flows ------------------------------------------------------- */

/* Bits of portcullis_key.domain_l4, as bpf/packet.h sets them. */
#define KEY_UDP (1U << 31)
#define KEY_IPV6 (1U << 30)

struct flow_side {
	char address[INET6_ADDRSTRLEN];
	unsigned int port;
};

static void flow_side(const struct portcullis_key *key, bool high,
		      struct flow_side *side)
{
	const __u32 *addr = high ? key->hi_addr : key->lo_addr;

	if (key->domain_l4 & KEY_IPV6)
		inet_ntop(AF_INET6, addr, side->address, sizeof(side->address));
	else
		inet_ntop(AF_INET, &addr[3], side->address,
			  sizeof(side->address));
	side->port = ntohs(high ? key->hi_port : key->lo_port);
}

void status_flow_head(FILE *out)
{
	fprintf(out, "%-28s %-28s %-4s %-10s %-9s %s\n", "CLIENT", "SERVER",
		"L4", "PROTOCOL", "STATE", "CONDUIT");
}

static void flow_text(FILE *out, const struct flow_side side[2],
		      const struct portcullis_slot *slot, const char *conduit)
{
	char client[64], server[64];
	const char *reason = reason_name(slot->reason);
	bool v6 = slot->key.domain_l4 & KEY_IPV6;
	const char *form = v6 ? "[%s]:%u" : "%s:%u";

	snprintf(client, sizeof(client), form, side[0].address, side[0].port);
	snprintf(server, sizeof(server), form, side[1].address, side[1].port);
	fprintf(out, "%-28s %-28s %-4s %-10s %-9s %s%s%s\n", client, server,
		slot->key.domain_l4 & KEY_UDP ? "udp" : "tcp",
		slot->proto ? protocol_name(slot->proto) : "-",
		snapshot_state(slot->state), conduit ? conduit : "-",
		slot->state == SLOT_poisoned ? "  " : "",
		slot->state == SLOT_poisoned && reason ? reason : "");
}

static void flow_json(FILE *out, const struct flow_side side[2], uint32_t index,
		      const struct portcullis_slot *slot, const char *conduit)
{
	struct json json = { 0 };

	json_object(&json, NULL);
	json_string(&json, "src", side[0].address);
	json_uint(&json, "sport", side[0].port);
	json_string(&json, "dst", side[1].address);
	json_uint(&json, "dport", side[1].port);
	json_string(&json, "transport",
		    slot->key.domain_l4 & KEY_UDP ? "udp" : "tcp");
	json_string(&json, "conduit", conduit);
	json_string(&json, "protocol",
		    slot->proto ? protocol_name(slot->proto) : NULL);
	json_string(&json, "state", snapshot_state(slot->state));
	json_string(&json, "mode", mode_name(slot->mode));
	json_string(&json, "reason",
		    slot->state == SLOT_poisoned ? reason_name(slot->reason)
						 : NULL);
	json_bool(&json, "verified", slot->flags & FLOW_verified);
	json_bool(&json, "picked_up", slot->flags & FLOW_pickup);
	json_uint(&json, "vlan", slot->half[slot->client & 1].vlan & 0xfff);
	json_uint(&json, "generation", slot->generation);
	json_uint(&json, "slot", index);
	json_end_object(&json);
	flush_json(out, &json);
	json_free(&json);
}

void status_flow(FILE *out, const struct image *image, uint32_t index,
		 const struct portcullis_slot *slot, bool json)
{
	struct flow_side side[2];
	const char *conduit = NULL;

	flow_side(&slot->key, slot->client != 0, &side[0]);
	flow_side(&slot->key, slot->client == 0, &side[1]);
	if (image && slot->conduit && slot->conduit < image->n_conduits)
		conduit = image->conduits[slot->conduit].name;
	if (json)
		flow_json(out, side, index, slot, conduit);
	else
		flow_text(out, side, slot, conduit);
}
