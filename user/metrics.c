/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <string.h>

#include "metrics.h"
#include "protocols.h"
#include "version.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void family(FILE *out, const char *name, const char *type,
		   const char *help)
{
	fprintf(out, "# HELP portcullis_%s %s\n# TYPE portcullis_%s %s\n", name,
		help, name, type);
}

/* A label's value: backslash, quote and newline escaped. */
static void label(FILE *out, char before, const char *name, const char *value)
{
	fprintf(out, "%c%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void single(FILE *out, const char *name, const char *type,
		   const char *help, uint64_t value)
{
	family(out, name, type, help);
	fprintf(out, "portcullis_%s %" PRIu64 "\n", name, value);
}

static void with_one(FILE *out, const char *name, const char *key,
		     const char *word, uint64_t value)
{
	fprintf(out, "portcullis_%s", name);
	label(out, '{', key, word);
	fprintf(out, "} %" PRIu64 "\n", value);
}

static void with_two(FILE *out, const char *name, const char *key1,
		     const char *word1, const char *key2, const char *word2,
		     uint64_t value)
{
	fprintf(out, "portcullis_%s", name);
	label(out, '{', key1, word1);
	label(out, ',', key2, word2);
	fprintf(out, "} %" PRIu64 "\n", value);
}

/* Verdicts that packets of a kind of reason can get. */
static bool can_be(enum portcullis_kind kind, enum portcullis_verdict verdict)
{
	switch (verdict) {
	case VERDICT_pass:
		return true;
	case VERDICT_drop:
	case VERDICT_mirror:
		return kind != KIND_passed;
	case VERDICT_reset:
	case VERDICT_divert:
		return kind == KIND_denied || kind == KIND_forbidden;
	default:
		return false;
	}
}

static void packets(FILE *out, const struct portcullis_counts *counts)
{
	unsigned int reason, verdict;
	uint64_t count;

	family(out, "packets_total", "counter",
	       "Packets judged, by what was done and why.");
	for (reason = 1; reason < REASON_max; reason++) {
		if (!reason_name(reason))
			continue;
		for (verdict = 0; verdict <= VERDICT_divert; verdict++) {
			count = counts->reason[reason][verdict];
			if (!count && !can_be(reason_kind(reason), verdict))
				continue;
			with_two(out, "packets_total", "verdict",
				 verdict_name(verdict), "reason",
				 reason_name(reason), count);
		}
	}
	family(out, "bytes_total", "counter",
	       "Bytes of the frames judged, by what was done.");
	for (verdict = 0; verdict <= VERDICT_divert; verdict++)
		with_one(out, "bytes_total", "verdict", verdict_name(verdict),
			 counts->bytes[verdict]);
}

static void messages(FILE *out, const struct portcullis_counts *counts)
{
	const struct protocol *protocols;
	size_t n, i, class;

	family(out, "messages_total", "counter",
	       "Messages judged and allowed, by protocol and class.");
	protocols = protocol_list(&n);
	for (i = 0; i < n; i++) {
		for (class = 0; class <= CLASS_other; class ++)
			with_two(out, "messages_total", "protocol",
				 protocols[i].name, "class", class_name(class),
				 counts->message[protocols[i].id][class]);
	}
}

static void layer2(FILE *out, const struct portcullis_counts *counts)
{
	unsigned int id;

	family(out, "layer2_frames_total", "counter",
	       "Frames that the layer-2 table let through, by kind.");
	for (id = 1; id < LAYER2_max; id++) {
		if (layer2_name(id))
			with_one(out, "layer2_frames_total", "kind",
				 layer2_name(id), counts->layer2[id]);
	}
}

static size_t conduits_shown(const struct snapshot *snapshot)
{
	size_t n = snapshot->image ? snapshot->image->n_conduits : 1;

	return n > METRICS_CONDUITS ? METRICS_CONDUITS : n;
}

static bool is_violation(unsigned int reason)
{
	return reason_name(reason) && reason_kind(reason) != KIND_passed;
}

static void violations(FILE *out, const struct snapshot *snapshot)
{
	size_t shown = conduits_shown(snapshot), conduit;
	unsigned int reason;
	uint64_t rest;

	family(
	    out, "violations_total", "counter",
	    "Packets that were or would have been refused, whatever the mode then did.");
	for (conduit = 0; conduit < shown; conduit++) {
		for (reason = 1; reason < REASON_max; reason++) {
			if (is_violation(reason))
				with_two(out, "violations_total", "conduit",
					 snapshot_conduit(snapshot, conduit),
					 "reason", reason_name(reason),
					 snapshot->violations[conduit][reason]);
		}
	}
	if (!snapshot->image || shown == snapshot->image->n_conduits)
		return;
	for (reason = 1; reason < REASON_max; reason++) {
		if (!is_violation(reason))
			continue;
		rest = 0;
		for (conduit = shown; conduit < snapshot->image->n_conduits;
		     conduit++)
			rest += snapshot->violations[conduit][reason];
		with_two(out, "violations_total", "conduit", "others", "reason",
			 reason_name(reason), rest);
	}
}

static void conduit_traffic(FILE *out, const struct snapshot *snapshot)
{
	size_t shown = conduits_shown(snapshot), i;

	family(out, "conduit_packets_total", "counter",
	       "Packets of conversations that the conduit's rules opened.");
	for (i = 1; i < shown; i++)
		with_one(out, "conduit_packets_total", "conduit",
			 snapshot_conduit(snapshot, i),
			 snapshot->conduits[i].packets);
	family(out, "conduit_bytes_total", "counter",
	       "Bytes of the frames of these conversations.");
	for (i = 1; i < shown; i++)
		with_one(out, "conduit_bytes_total", "conduit",
			 snapshot_conduit(snapshot, i),
			 snapshot->conduits[i].bytes);
}

static void conduit_modes(FILE *out, const struct snapshot *snapshot)
{
	size_t shown = conduits_shown(snapshot), i;
	unsigned int mode;

	family(out, "conduit_mode", "gauge",
	       "1 for the mode that the conduit is in.");
	for (i = 1; i < shown; i++) {
		for (mode = MODE_enforce; mode <= MODE_mirror; mode++)
			with_two(out, "conduit_mode", "conduit",
				 snapshot_conduit(snapshot, i), "mode",
				 mode_name(mode),
				 snapshot->image->conduits[i].mode == mode);
	}
}

static void truncated(FILE *out, const struct snapshot *snapshot)
{
	size_t shown = conduits_shown(snapshot), hidden = 0;

	if (snapshot->image)
		hidden = snapshot->image->n_conduits - shown;
	single(
	    out, "conduits_truncated", "gauge",
	    "Conduits that have no series of their own because there are too many.",
	    hidden);
}

static bool door_is(const struct datapath_port_status *port, const char *state)
{
	const char *door = port->door ? port->door : "detached";

	for (; *door && *state; door++, state++) {
		if (*door != *state && !(*door == '-' && *state == '_'))
			return false;
	}
	return *door == *state;
}

static void interfaces(FILE *out, const struct snapshot *snapshot)
{
	static const char *const states[] = { "xdp_native", "xdp_generic", "tc",
					      "detached" };
	const struct datapath_port_status *port = snapshot->ports;
	size_t i, k;

	family(out, "interface_state", "gauge",
	       "1 for the door that stands in the interface.");
	for (i = 0; i < snapshot->n_ports; i++) {
		for (k = 0; k < ARRAY_SIZE(states); k++)
			with_two(out, "interface_state", "interface",
				 port[i].name, "state", states[k],
				 door_is(&port[i], states[k]));
	}
	family(out, "interface_up", "gauge",
	       "1 while the interface has a link.");
	for (i = 0; i < snapshot->n_ports; i++)
		with_one(out, "interface_up", "interface", port[i].name,
			 port[i].up);
	family(out, "interface_lost_frames_total", "counter",
	       "Frames lost after the verdict, read from the device.");
	for (i = 0; i < snapshot->n_ports; i++)
		with_one(out, "interface_lost_frames_total", "interface",
			 port[i].name, port[i].lost);
}

static void flows(FILE *out, const struct snapshot *snapshot)
{
	unsigned int state;

	family(out, "flows", "gauge", "Conversations in the table, by state.");
	for (state = SLOT_opening; state < SNAPSHOT_STATES; state++)
		with_one(out, "flows", "state", snapshot_state(state),
			 snapshot->flows[state]);
	single(out, "flow_table_capacity", "gauge",
	       "Conversations that the table can hold.", snapshot->slots);
	single(out, "flows_opened_total", "counter",
	       "Conversations that got a place in the table.",
	       snapshot->counts.flows_opened);
	single(out, "flow_evictions_total", "counter",
	       "Conversations that made room for others in a full set.",
	       snapshot->counts.flows_evicted);
	single(out, "coarse_entries_total", "counter",
	       "Super-frames remembered as fewer pieces than they have.",
	       snapshot->counts.coarse_entries);
}

static void events(FILE *out, const struct snapshot *snapshot)
{
	family(out, "events_total", "counter", "Events reported, by output.");
	with_one(out, "events_total", "output", "ring",
		 snapshot->counts.events);
	with_one(out, "events_total", "output", "file",
		 snapshot->events_written);
	family(out, "events_lost_total", "counter",
	       "Events lost, by where there was no room.");
	with_one(out, "events_lost_total", "stage", "ring_buffer",
		 snapshot->counts.events_lost);
	with_one(out, "events_lost_total", "stage", "file",
		 snapshot->events_unwritten);
	family(
	    out, "events_suppressed_total", "counter",
	    "Events left out as repeats or by their rate; counters have them all.");
	with_one(out, "events_suppressed_total", "stage", "kernel",
		 snapshot->counts.events_suppressed);
	with_one(out, "events_suppressed_total", "stage", "summary",
		 snapshot->events_folded);
}

static void policy(FILE *out, const struct snapshot *snapshot)
{
	family(out, "policy_info", "gauge", "The policy in force.");
	if (snapshot->image)
		with_two(out, "policy_info", "site", snapshot->image->site,
			 "file", snapshot->policy_name, 1);
	single(out, "policy_generation", "gauge",
	       "Number of the policy in force; 0 means none, all is refused.",
	       snapshot->generation);
	single(out, "policy_rules", "gauge", "Allow statements in force.",
	       snapshot->image ? snapshot->image->n_rules : 0);
	single(out, "live_changes", "gauge",
	       "Allow statements made live and still in force.",
	       snapshot->n_live);
	single(out, "last_apply_successful", "gauge",
	       "1 if the last policy that was applied had no fault.",
	       snapshot->applied_well);
	single(out, "last_apply_timestamp_seconds", "gauge",
	       "When a policy was last applied or refused.", snapshot->applied);
}

static void up(FILE *out, bool is_up)
{
	single(out, "up", "gauge", "1 if the daemon answers.", is_up);
}

static void build(FILE *out)
{
	char abi[12];

	snprintf(abi, sizeof(abi), "%u", PORTCULLIS_ABI);
	family(out, "build_info", "gauge", "What is running.");
	fputs("portcullis_build_info", out);
	label(out, '{', "version", PORTCULLIS_VERSION);
	label(out, ',', "abi", abi);
	label(out, ',', "libbpf", libbpf_version_string());
	fputs("} 1\n", out);
}

static void quirks(FILE *out, const struct portcullis_counts *counts)
{
	unsigned int id;

	family(out, "quirks_total", "counter",
	       "Messages that only a quirk of the policy let pass, by quirk.");
	for (id = 0; id < QUIRK_max; id++) {
		if (quirk_get(id))
			with_one(out, "quirks_total", "quirk",
				 quirk_get(id)->name, counts->quirk[id]);
	}
}

void metrics_write(FILE *out, const struct snapshot *snapshot)
{
	up(out, true);
	build(out);
	single(out, "start_time_seconds", "gauge", "When the daemon started.",
	       snapshot->started);
	policy(out, snapshot);
	interfaces(out, snapshot);
	conduit_modes(out, snapshot);
	conduit_traffic(out, snapshot);
	violations(out, snapshot);
	packets(out, &snapshot->counts);
	messages(out, &snapshot->counts);
	layer2(out, &snapshot->counts);
	quirks(out, &snapshot->counts);
	flows(out, snapshot);
	events(out, snapshot);
	truncated(out, snapshot);
}

void metrics_down(FILE *out)
{
	up(out, false);
}
