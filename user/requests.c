/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "duration.h"
#include "json.h"
#include "log.h"
#include "metrics.h"
#include "requests.h"
#include "status.h"

enum { FLOWS_SHOWN = 1000, FLOWS_MOST = 65536 };

/* A request taken apart: options first, then words. */
struct ask {
	const struct control_request *request;
	struct requests *state;
	struct control_reply *reply;
	bool json;
	uint64_t seconds; /* --for, 0: for ever */
	uint64_t limit;
	const char *why;
	int argc; /* words behind the name and the options */
	char *const *argv;
};

static int snapshot_of(struct ask *ask, struct snapshot *snapshot)
{
	struct requests *state = ask->state;
	int err;

	err = gate_snapshot(state->gate, snapshot);
	if (err) {
		fprintf(ask->reply->err,
			"portcullisd: cannot read counters: %s\n",
			strerror(-err));
		return EXIT_failed;
	}
	snapshot->events_written = eventlog_written(state->log);
	snapshot->events_unwritten = eventlog_lost(state->log);
	snapshot->events_folded = events_table_folded(state->events);
	return EXIT_done;
}

static void who_is(uid_t uid, char *name, size_t size)
{
	struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(name, size, "%s", user->pw_name);
	else
		snprintf(name, size, "uid-%u", uid);
}

/* ---- looking --------------------------------------------------------- */

static int do_ping(struct ask *ask)
{
	fputs("portcullisd answers\n", ask->reply->out);
	return EXIT_done;
}

static int do_status(struct ask *ask)
{
	struct snapshot snapshot;
	size_t open_ports;
	int code;

	code = snapshot_of(ask, &snapshot);
	if (code != EXIT_done)
		return code;
	open_ports = status_write(ask->reply->out, &snapshot, ask->json);
	gate_snapshot_free(&snapshot);
	if (!open_ports)
		return EXIT_done;
	fprintf(
	    ask->reply->err,
	    "portcullis: %zu interfaces of the policy are not attached: see `ports` above\n",
	    open_ports);
	return EXIT_failed;
}

static int do_metrics(struct ask *ask)
{
	struct snapshot snapshot;
	int code;

	code = snapshot_of(ask, &snapshot);
	if (code != EXIT_done)
		return code;
	metrics_write(ask->reply->out, &snapshot);
	gate_snapshot_free(&snapshot);
	return EXIT_done;
}

static int do_watch(struct ask *ask)
{
	ask->reply->watch = true;
	ask->reply->watch_json = ask->json;
	return EXIT_done;
}

struct flow_list {
	FILE *out;
	const struct image *image;
	bool json;
	uint64_t limit;
	uint64_t seen;
};

static void list_flow(uint32_t index, const struct portcullis_slot *slot,
		      void *arg)
{
	struct flow_list *list = arg;

	if (list->seen++ < list->limit)
		status_flow(list->out, list->image, index, slot, list->json);
}

static int show_flows(struct ask *ask)
{
	struct gate *gate = ask->state->gate;
	struct flow_list list = { .out = ask->reply->out,
				  .image = gate->image,
				  .json = ask->json,
				  .limit = ask->limit };
	int err;

	if (!ask->json)
		status_flow_head(list.out);
	err = datapath_flows(gate->dp, list_flow, &list);
	if (err) {
		fprintf(ask->reply->err,
			"portcullisd: cannot read conversations: %s\n",
			strerror(-err));
		return EXIT_failed;
	}
	if (list.seen > list.limit)
		fprintf(
		    ask->reply->err,
		    "portcullis: %llu more are not shown: --limit N shows up to %d\n",
		    (unsigned long long)(list.seen - list.limit), FLOWS_MOST);
	return EXIT_done;
}

static int show_live(struct ask *ask)
{
	status_live(ask->reply->out, &ask->state->gate->live, ask->json);
	return EXIT_done;
}

typedef void show_writer(FILE *out, const struct snapshot *snapshot, bool json);

static int show_snapshot(struct ask *ask, show_writer *writer)
{
	struct snapshot snapshot;
	int code;

	code = snapshot_of(ask, &snapshot);
	if (code != EXIT_done)
		return code;
	writer(ask->reply->out, &snapshot, ask->json);
	gate_snapshot_free(&snapshot);
	return EXIT_done;
}

static int do_show(struct ask *ask)
{
	static const struct {
		const char *name;
		show_writer *writer;
	} tables[] = {
		{ "counters", status_counters },
		{ "rules", status_rules },
		{ "zones", status_zones },
	};
	const char *what = ask->argc ? ask->argv[0] : "";
	size_t i;

	if (!strcmp(what, "flows"))
		return show_flows(ask);
	if (!strcmp(what, "live"))
		return show_live(ask);
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!strcmp(what, tables[i].name))
			return show_snapshot(ask, tables[i].writer);
	}
	fprintf(
	    ask->reply->err,
	    "portcullis: show what? flows, counters, rules, zones or live\n");
	return EXIT_usage;
}

/* ---- changing -------------------------------------------------------- */

static void say_applied(struct ask *ask)
{
	const struct gate *gate = ask->state->gate;
	const struct image *image = gate->image;
	FILE *out = ask->reply->out;
	struct json json = { 0 };

	if (!ask->json) {
		fprintf(
		    out,
		    "%s is in force: generation %u, %zu rules in %zu conduits\n",
		    gate->name, gate->generation, image->n_rules,
		    image->n_conduits - 1);
		if (strcmp(gate->name, gate->policy_path))
			fprintf(
			    out,
			    "the daemon starts with %s: copy it there to keep it\n",
			    gate->policy_path);
		return;
	}
	json_object(&json, NULL);
	json_string(&json, "policy", gate->name);
	json_uint(&json, "generation", gate->generation);
	json_uint(&json, "rules", image->n_rules);
	json_uint(&json, "conduits", image->n_conduits - 1);
	json_bool(&json, "kept_at_restart",
		  !strcmp(gate->name, gate->policy_path));
	json_end_object(&json);
	json_line(&json);
	fwrite(json.text, 1, json.len, out);
	json_free(&json);
}

static int do_apply(struct ask *ask)
{
	struct gate *gate = ask->state->gate;
	char who[64];
	int code;

	if (ask->argc)
		code = gate_apply(gate, ask->argv[0], ask->request->body,
				  ask->request->body_len, ask->reply->err);
	else
		code = gate_reload(gate, ask->reply->err);
	who_is(ask->request->uid, who, sizeof(who));
	if (code == EXIT_done)
		log_info("%s applied %s: generation %u", who, gate->name,
			 gate->generation);
	else
		log_warnx(
		    "%s tried to apply %s: refused, the policy in force stays",
		    who, ask->argc ? ask->argv[0] : gate->policy_path);
	if (code == EXIT_done)
		say_applied(ask);
	return code;
}

static void say_allowed(struct ask *ask, const struct live_change *change)
{
	struct json json = { 0 };
	char span[32];

	if (!ask->json) {
		fprintf(ask->reply->out, "allowed as %u%s%s: %s\n", change->id,
			ask->seconds ? " for " : "",
			ask->seconds
			    ? duration_print(ask->seconds, span, sizeof(span))
			    : "",
			change->statement);
		return;
	}
	json_object(&json, NULL);
	json_uint(&json, "id", change->id);
	json_string(&json, "statement", change->statement);
	json_string(&json, "by", change->by);
	json_time(&json, "until", change->until);
	json_string(&json, "why", change->why);
	json_end_object(&json);
	json_line(&json);
	fwrite(json.text, 1, json.len, ask->reply->out);
	json_free(&json);
}

static int do_allow(struct ask *ask)
{
	struct gate *gate = ask->state->gate;
	time_t until = ask->seconds ? time(NULL) + (time_t)ask->seconds : 0;
	const struct live_change *change;
	unsigned int id = 0;
	char who[64];
	int code;

	who_is(ask->request->uid, who, sizeof(who));
	code = gate_allow(gate, ask->argc, ask->argv, who, until, ask->why, &id,
			  ask->reply->err);
	if (code != EXIT_done)
		return code;
	change = live_find(&gate->live, id);
	if (!change)
		return EXIT_failed;
	log_info("%s allowed %u: %s", who, id, change->statement);
	say_allowed(ask, change);
	return EXIT_done;
}

static int do_revoke(struct ask *ask)
{
	const char *word = ask->argc == 1 ? ask->argv[0] : "";
	unsigned long id;
	char who[64];
	char *end;
	int code;

	id = strtoul(word, &end, 10);
	if (!*word || *end || !id || id > 0x7fffffff) {
		fprintf(
		    ask->reply->err,
		    "portcullis: revoke which? one number of portcullis show live\n");
		return EXIT_usage;
	}
	code = gate_revoke(ask->state->gate, id, ask->reply->err);
	if (code != EXIT_done)
		return code;
	who_is(ask->request->uid, who, sizeof(who));
	log_info("%s revoked %lu", who, id);
	fprintf(ask->reply->out, "revoked %lu\n", id);
	return EXIT_done;
}

static int do_detach(struct ask *ask)
{
	char who[64];

	who_is(ask->request->uid, who, sizeof(who));
	log_info("%s detaches the gate", who);
	ask->state->detach = true;
	ask->reply->hold = true;
	return EXIT_done;
}

/* ---- table ----------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct ask *ask);
	bool changes;
	bool for_metrics; /* metrics.sock answers it too */
} requests[] = {
	{ "ping", do_ping, false, true },
	{ "metrics", do_metrics, false, true },
	{ "status", do_status, false, false },
	{ "show", do_show, false, false },
	{ "watch", do_watch, false, false },
	{ "apply", do_apply, true, false },
	{ "allow", do_allow, true, false },
	{ "revoke", do_revoke, true, false },
	{ "detach", do_detach, true, false },
};

static bool number(const char *text, uint64_t most, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value > most)
		return false;
	*ret_value = value;
	return true;
}

static bool say_strange(struct ask *ask)
{
	fprintf(
	    ask->reply->err,
	    "portcullisd: cannot do that: are portcullis and portcullisd of one version?\n");
	return false;
}

static bool read_limit(struct ask *ask, const char *text)
{
	if (number(text, FLOWS_MOST, &ask->limit))
		return true;
	fprintf(ask->reply->err,
		"portcullis: --limit wants a number up to %d, not `%s`\n",
		FLOWS_MOST, text);
	return false;
}

/* Options stand before the words, `--` ends them. False: it has said why. */
static bool read_options(struct ask *ask)
{
	int at = 1;

	for (; at < ask->request->argc; at++) {
		char *word = ask->request->argv[at];

		if (!strcmp(word, "--")) {
			at++;
			break;
		} else if (!strcmp(word, "--json")) {
			ask->json = true;
		} else if (!strncmp(word, "--why=", 6)) {
			ask->why = word + 6;
		} else if (!strncmp(word, "--for=", 6)) {
			if (!number(word + 6, DURATION_MOST, &ask->seconds))
				return say_strange(ask);
		} else if (!strncmp(word, "--limit=", 8)) {
			if (!read_limit(ask, word + 8))
				return false;
		} else if (word[0] == '-') {
			return say_strange(ask);
		} else {
			break;
		}
	}
	ask->argc = ask->request->argc - at;
	ask->argv = ask->request->argv + at;
	return true;
}

void requests_handle(const struct control_request *request,
		     struct control_reply *reply, void *arg)
{
	struct ask ask = { .request = request,
			   .state = arg,
			   .reply = reply,
			   .limit = FLOWS_SHOWN };
	size_t i, n = sizeof(requests) / sizeof(requests[0]);

	for (i = 0; i < n; i++) {
		if (!strcmp(request->argv[0], requests[i].name))
			break;
	}
	if (i == n ? !say_strange(&ask) : !read_options(&ask)) {
		reply->exit = EXIT_usage;
		return;
	}
	if ((requests[i].changes && !request->may_change) ||
	    (request->metrics_only && !requests[i].for_metrics)) {
		fprintf(
		    reply->err,
		    "portcullis: not permitted: be root or a member of group " CONTROL_GROUP
		    "\n");
		reply->exit = EXIT_not_permitted;
		return;
	}
	reply->exit = requests[i].run(&ask);
}
