/* SPDX-License-Identifier: GPL-2.0-only */
#include "replay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "files.h"
#include "json.h"
#include "log.h"
#include "policy.h"
#include "protocols.h"
#include "trial.h"

enum {
	CONVERSATIONS_MAX = 1 << 18,
	PROGRESS_FRAMES = 1 << 14,
	POLICY_MAX = 4 << 20,
	SLOTS_DEFAULT = 131072,
	SLOTS_MAX = 1 << 22,
};

#define HOUR_NS (3600ULL * 1000000000ULL)

/* Frames that belong to no conversation, by what became of them. */
struct outside {
	uint64_t frames;
	uint64_t first;
};

struct replay {
	struct trial trial;
	const struct image *image;
	const struct replay_options *options;
	const struct capture *capture;
	struct conversations *table;
	struct replay_totals *totals;
	FILE *out;
	struct json json;
	uint64_t outside_cut;
	struct outside outside[REASON_max];
	bool has_header;
};

static unsigned int service_of(const struct image *image, uint8_t l4,
			       uint16_t port)
{
	return image->services_map->of[l4 == TRANSPORT_udp][port];
}

static bool serves(uint8_t l4, uint16_t port, void *arg)
{
	return service_of(arg, l4, port) != 0;
}

/* ---- what is said of a conversation ---------------------------------- */

struct summary {
	char addr[2][INET6_ADDRSTRLEN];
	unsigned int service;
	unsigned int actual; /* protocol, 0: not known */
	bool is_dropped;
};

/* The refusal has nothing to do with what language was spoken. */
static bool is_about_language(uint8_t reason)
{
	switch (reason) {
	case REASON_function_not_allowed:
	case REASON_unit_not_allowed:
	case REASON_argument_not_allowed:
	case REASON_split_header:
	case REASON_split_message:
	case REASON_overlap_inconsistent:
	case REASON_closed:
		return false;
	default:
		return reason_kind(reason) == KIND_forbidden;
	}
}

static unsigned int name_protocol(const struct conversation *c)
{
	unsigned int side = c->refused_side, found;

	if (c->proto && !(c->first_refused && is_about_language(c->reason)))
		return c->proto;
	for (int i = 0; i < 2; i++, side = !side) {
		const struct evidence *e = &c->evidence[side];

		found = e->len ? identify(e->bytes, e->len, c->l4,
					  side == SIDE_server)
			       : PROTO_unknown;
		if (found != PROTO_unknown)
			return found;
	}
	return PROTO_unknown;
}

static void print_addr(const struct conversation *c, unsigned int side,
		       char text[INET6_ADDRSTRLEN])
{
	if (c->family == 4)
		inet_ntop(AF_INET, c->addr[side] + 12, text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, c->addr[side], text, INET6_ADDRSTRLEN);
}

static struct summary summarise(const struct replay *r,
				const struct conversation *c)
{
	struct summary s = {
		.is_dropped = c->first_refused != 0,
		.service = service_of(r->image, c->l4, c->port[SIDE_server]),
		.actual = name_protocol(c),
	};

	print_addr(c, SIDE_client, s.addr[SIDE_client]);
	print_addr(c, SIDE_server, s.addr[SIDE_server]);
	return s;
}

static void json_number_or_null(struct json *json, const char *key, bool there,
				uint64_t value)
{
	if (there)
		json_uint(json, key, value);
	else
		json_null(json, key);
}

static void json_name_or_null(struct json *json, const char *key,
			      const char *name)
{
	if (name)
		json_string(json, key, name);
	else
		json_null(json, key);
}

static void json_expected(struct json *json, const uint8_t *protos)
{
	json_array(json, "expected");
	for (int i = 0; i < RULESET_PROTOS && protos[i]; i++)
		json_string(json, NULL, protocol_name(protos[i]));
	json_end_array(json);
}

static void print_json(struct replay *r, const struct conversation *c,
		       const struct summary *s)
{
	const uint8_t *protos = r->image->services[s->service].protos;
	struct json *j = &r->json;

	json_reset(j);
	json_object(j, NULL);
	json_string(j, "src", s->addr[SIDE_client]);
	json_uint(j, "sport", c->port[SIDE_client]);
	json_string(j, "dst", s->addr[SIDE_server]);
	json_uint(j, "dport", c->port[SIDE_server]);
	json_string(j, "transport", c->l4 == TRANSPORT_udp ? "udp" : "tcp");
	json_number_or_null(j, "vlan", c->first_vlan >= 0,
			    (uint64_t)c->first_vlan);
	json_expected(j, protos);
	json_name_or_null(j, "actual",
			  s->actual ? protocol_name(s->actual) : NULL);
	json_string(j, "verdict", s->is_dropped ? "drop" : "pass");
	json_string(j, "would",
		    s->is_dropped || c->would_drop ? "drop" : "pass");
	json_name_or_null(j, "reason",
			  c->reason ? reason_name(c->reason) : NULL);
	json_uint(j, "packets", c->packets);
	json_uint(j, "payload_packets", c->payload_packets);
	json_number_or_null(j, "first_refused", s->is_dropped,
			    c->first_refused);
	json_uint(j, "payload_packets_delivered", c->delivered_packets);
	json_uint(j, "payload_bytes_delivered", c->delivered_bytes);
	json_bool(j, "covered", protos[0] != 0);
	json_bool(j, "cut", c->is_cut || c->is_long);
	json_bool(j, "gap", c->has_gap);
	json_string(j, "capture", capture_name(r->capture));
	json_end_object(j);
	json_line(j);
	fwrite(j->text, 1, j->len, r->out);
}

static void write_end(char *text, size_t size, const struct conversation *c,
		      const struct summary *s, unsigned int side)
{
	snprintf(text, size, c->family == 6 ? "[%s]:%u" : "%s:%u",
		 s->addr[side], c->port[side]);
}

static void write_expected(char *text, size_t size, const uint8_t *protos)
{
	size_t len = 0;

	snprintf(text, size, "-");
	for (int i = 0; i < RULESET_PROTOS && protos[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? "," : "", protocol_name(protos[i]));
}

static void print_header(struct replay *r)
{
	if (r->has_header)
		return;
	r->has_header = true;
	fprintf(r->out, "%s\n", capture_name(r->capture));
	fprintf(r->out,
		"%-21s %-21s %-4s %5s %-8s %-8s %-7s %-20s %9s %8s %8s %11s\n",
		"CLIENT", "SERVER", "OVER", "VLAN", "EXPECTED", "ACTUAL",
		"VERDICT", "REASON", "REFUSED", "PACKETS", "PAYLOAD",
		"DELIVERED");
}

static void print_line(struct replay *r, const struct conversation *c,
		       const struct summary *s)
{
	char ends[2][INET6_ADDRSTRLEN + 9], expected[128], vlan[8] = "-";
	char refused[24] = "-";

	print_header(r);
	write_end(ends[0], sizeof(ends[0]), c, s, SIDE_client);
	write_end(ends[1], sizeof(ends[1]), c, s, SIDE_server);
	write_expected(expected, sizeof(expected),
		       r->image->services[s->service].protos);
	if (c->first_vlan >= 0)
		snprintf(vlan, sizeof(vlan), "%d", c->first_vlan);
	if (s->is_dropped)
		snprintf(refused, sizeof(refused), "%" PRIu64,
			 c->first_refused);
	fprintf(r->out,
		"%-21s %-21s %-4s %5s %-8s %-8s %-7s %-20s %9s %8" PRIu64
		" %8" PRIu64 " %11" PRIu64 "%s",
		ends[0], ends[1], c->l4 == TRANSPORT_udp ? "udp" : "tcp", vlan,
		expected, s->actual ? protocol_name(s->actual) : "-",
		s->is_dropped ? "drop" : "pass",
		c->reason ? reason_name(c->reason) : "-", refused, c->packets,
		c->payload_packets, c->delivered_bytes,
		!s->is_dropped && c->would_drop ? " monitored" : "");
	if (c->is_cut)
		fprintf(r->out,
			" not judged from frame %" PRIu64
			" on: cut by the snaplen",
			c->stopped_frame);
	if (c->is_long)
		fprintf(r->out,
			" not judged from frame %" PRIu64
			" on: too long to be run at the tc door",
			c->stopped_frame);
	if (c->has_gap)
		fprintf(r->out,
			" not judged from frame %" PRIu64
			" on: packets before it were not captured",
			c->stopped_frame);
	fputc('\n', r->out);
}

/* ---- a capture ------------------------------------------------------- */

/* Reports the oldest conversations until `keep` are left. 0 / -ENOMEM. */
static int report(struct replay *r, size_t keep)
{
	struct conversation *c;
	struct summary s;
	int error = 0;

	while (conversations_count(r->table) > keep) {
		c = conversations_take(r->table);
		if (trial_settle(&r->trial, c))
			error = -ENOMEM;
		s = summarise(r, c);
		if (r->options->json)
			print_json(r, c, &s);
		else
			print_line(r, c, &s);
		r->totals->conversations++;
		r->totals->dropped += s.is_dropped;
		conversation_free(c);
	}
	return error;
}

static int replay_other(struct replay *r, const struct capture_frame *frame)
{
	struct engine_result result;
	struct outside *outside;
	int error;

	error = frame->wire_len > frame->len
		    ? -EMSGSIZE
		    : trial_judge_other(&r->trial, frame, &result);
	if (error == -EMSGSIZE) {
		r->outside_cut++;
		return 0;
	}
	if (error)
		return error;
	outside = &r->outside[result.reason & (REASON_max - 1)];
	if (!outside->frames++)
		outside->first = frame->number;
	return 0;
}

static void begin_time(struct replay *r, const struct capture_frame *frame)
{
	const struct replay_gate *gate = r->options->gate;

	if (gate && gate->now_ns)
		r->trial.shift_ns = gate->now_ns + HOUR_NS - frame->time_ns;
}

static int replay_frame(struct replay *r, const struct capture_frame *frame)
{
	struct conversation *c;
	struct segment segment;
	unsigned int side;
	int error;

	if (!r->totals->frames++)
		begin_time(r, frame);
	if (!segment_read(frame, &segment))
		return replay_other(r, frame);
	c = conversation_of(r->table, frame, &segment, &side);
	if (!c)
		return -ENOMEM;
	error = trial_judge(&r->trial, c, side, frame, &segment);
	if (error || conversations_count(r->table) <= CONVERSATIONS_MAX)
		return error;
	r->totals->early += CONVERSATIONS_MAX / 4;
	return report(r, CONVERSATIONS_MAX / 4 * 3);
}

static void say_progress(const struct replay *r)
{
	int percent = capture_progress(r->capture);

	if (percent >= 0)
		fprintf(stderr, "\r%3d %%", percent);
	else
		fputc('\r', stderr);
	fprintf(stderr, " %" PRIu64 " frames, %zu conversations",
		r->totals->frames, conversations_count(r->table));
}

static void print_outside(struct replay *r)
{
	for (unsigned int i = 0; i < REASON_max; i++) {
		const struct outside *o = &r->outside[i];
		const char *name = reason_name(i);

		if (o->frames)
			fprintf(
			    r->out,
			    "%" PRIu64
			    " frames of no conversation: %s %s, first frame %" PRIu64
			    "\n",
			    o->frames,
			    reason_kind(i) == KIND_passed ? "pass" : "drop",
			    name ? name : "none", o->first);
	}
	if (r->outside_cut)
		fprintf(
		    r->out,
		    "%" PRIu64
		    " frames of no conversation were cut by the snaplen or too long, and not judged\n",
		    r->outside_cut);
}

static int replay_frames(struct replay *r, struct capture *capture)
{
	char *why = r->totals->why;
	struct capture_frame frame;
	int got, error = 0;

	while (!error && (got = capture_next(capture, &frame)) > 0) {
		error = replay_frame(r, &frame);
		if (r->options->progress && frame.number % PROGRESS_FRAMES == 0)
			say_progress(r);
	}
	if (r->options->progress)
		fprintf(stderr, "\r%60s\r", "");
	if (error) {
		snprintf(why, WHY_MAX,
			 "frame %" PRIu64 " cannot be judged: %s%s",
			 r->totals->frames, strerror(-error),
			 r->options->door == DOOR_tc ? "; try --door xdp" : "");
	} else if (got < 0) {
		error = -EIO;
		snprintf(why, WHY_MAX,
			 "cannot be read behind frame %" PRIu64
			 ": %s; what stands before was replayed",
			 r->totals->frames, capture_error(capture));
	}
	return error;
}

static int open_engine(struct replay *r)
{
	const struct engine_options options = {
		.kind = r->options->kind,
		.door = r->options->door,
		.slots = r->options->slots,
	};
	const char *error = NULL;

	r->trial.image = r->image;
	r->trial.door = r->options->door;
	r->trial.grace = r->options->grace;
	if (r->options->gate)
		r->trial.engine = r->options->gate->engine;
	else
		r->trial.engine = engine_open(&options, r->image, &error);
	if (r->trial.engine)
		return 0;
	snprintf(r->totals->why, WHY_MAX, "cannot open the engine: %s%s",
		 error ? error : "no reason given",
		 options.kind == ENGINE_bpf ? "; --engine host needs no kernel"
					    : "");
	return -ENOTSUP;
}

static int replay_all(struct replay *r, struct capture *capture)
{
	int error, other;

	r->table = conversations_new(serves, (void *)r->image);
	if (!r->table) {
		snprintf(r->totals->why, WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	error = replay_frames(r, capture);
	other = report(r, 0);
	if (!r->options->json)
		print_outside(r);
	conversations_free(r->table);
	return error ? error : other;
}

int replay_capture(struct capture *capture, const struct image *image,
		   const struct replay_options *options, FILE *out,
		   struct replay_totals *ret_totals)
{
	struct replay r = {
		.image = image,
		.options = options,
		.capture = capture,
		.totals = ret_totals,
		.out = out,
	};
	int error;

	*ret_totals = (struct replay_totals){ 0 };
	error = open_engine(&r);
	if (error)
		return error;
	error = replay_all(&r, capture);
	json_free(&r.json);
	trial_end(&r.trial);
	if (options->gate)
		options->gate->now_ns = r.trial.now_ns;
	else
		engine_close(r.trial.engine);
	return error;
}

/* ---- command --------------------------------------------------------- */

static const char usage[] = "usage: portcullis replay [OPTION]... CAPTURE...\n";

static const char help[] =
    "\n"
    "Judges pcap and pcapng captures (- is standard input) as the gate would\n"
    "and prints a line a conversation, in the order of their first frames.\n"
    "\n"
    "  --policy FILE      the policy; without it every protocol that is built in\n"
    "                     is expected on its standard ports, between any hosts\n"
    "  --engine bpf|host  the kernel's own program, or the same source built for\n"
    "                     this machine; without it the first that can be used\n"
    "  --door xdp|tc      where the packets come in (xdp)\n"
    "  --json             an object a conversation\n"
    "  --no-grace         refuse TCP conversations without their SYN instead of\n"
    "                     picking them up\n"
    "  --slots N          conversations that the gate has place for (131072)\n"
    "\n"
    "Segments that a capture holds out of order are offered again, as a sender\n"
    "resends them. A conversation is not judged behind a packet that the snaplen\n"
    "cut (cut) or that the capture lacks though it was received (gap). Packets of\n"
    "a loopback interface are judged as between two hosts.\n"
    "\n"
    "Exit code 0 if all conversations passed, 4 if one was refused, 1 if a\n"
    "capture could not be read, 2 usage, 3 the policy has errors.\n";

struct arguments {
	struct replay_options options;
	const char *policy;
	bool has_engine;
};

enum {
	OPTION_policy = 256,
	OPTION_engine,
	OPTION_json,
	OPTION_door,
	OPTION_no_grace,
	OPTION_slots,
	OPTION_help
};

static const struct option long_options[] = {
	{ "policy", required_argument, NULL, OPTION_policy },
	{ "engine", required_argument, NULL, OPTION_engine },
	{ "json", no_argument, NULL, OPTION_json },
	{ "door", required_argument, NULL, OPTION_door },
	{ "no-grace", no_argument, NULL, OPTION_no_grace },
	{ "slots", required_argument, NULL, OPTION_slots },
	{ "help", no_argument, NULL, OPTION_help },
	{ 0 },
};

/* The place of `word` in a list of two, -1: it is neither. */
static int choose(const char *option, const char *word, const char *first,
		  const char *second)
{
	if (!strcmp(word, first))
		return 0;
	if (!strcmp(word, second))
		return 1;
	log_warnx("replay: --%s is %s or %s, not '%s'", option, first, second,
		  word);
	return -1;
}

static bool read_slots(const char *word, uint32_t *ret_slots)
{
	char *end;
	unsigned long slots;

	errno = 0;
	slots = strtoul(word, &end, 10);
	if (errno || *end || word[0] < '0' || word[0] > '9' || slots < 1 ||
	    slots > SLOTS_MAX) {
		log_warnx("replay: --slots is a number from 1 to %d, not '%s'",
			  SLOTS_MAX, word);
		return false;
	}
	*ret_slots = (uint32_t)slots;
	return true;
}

/* 0: go on; 1: help was asked for; -1: usage. */
static int read_option(int option, struct arguments *a)
{
	int chosen = 0;

	switch (option) {
	case OPTION_policy:
		a->policy = optarg;
		break;
	case OPTION_engine:
		chosen = choose("engine", optarg, "host", "bpf");
		a->options.kind = chosen == 1 ? ENGINE_bpf : ENGINE_host;
		a->has_engine = true;
		break;
	case OPTION_json:
		a->options.json = true;
		break;
	case OPTION_door:
		chosen = choose("door", optarg, "xdp", "tc");
		a->options.door = chosen == 1 ? DOOR_tc : DOOR_xdp;
		break;
	case OPTION_no_grace:
		a->options.grace = false;
		break;
	case OPTION_slots:
		return read_slots(optarg, &a->options.slots) ? 0 : -1;
	case OPTION_help:
		return 1;
	default:
		return -1;
	}
	return chosen < 0 ? -1 : 0;
}

static int read_arguments(int argc, char **argv, struct arguments *a)
{
	int option, answer;

	optind = 0; /* the words before the command were read by it too */
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >=
	       0) {
		answer = read_option(option, a);
		if (answer)
			return answer;
	}
	if (optind == argc) {
		log_warnx("replay: name a capture, pcap or pcapng");
		return -1;
	}
	return 0;
}

/* 0, or the exit code. */
static int read_policy(const char *path, struct image **ret_image)
{
	const struct policy_context context = { .now = time(NULL), .hz = 1000 };
	_cleanup_free_ char *text = NULL;
	struct policy_source source = { "built-in policy", policy_builtin(),
					0 };
	int error;

	source.len = strlen(source.text);
	if (path) {
		error = files_read(path, POLICY_MAX, &text, &source.len);
		if (error) {
			log_warnx("cannot read the policy %s: %s", path,
				  strerror(-error));
			return 1;
		}
		source.name = path;
		source.text = text;
	}
	error = policy_compile(&source, 1, &context, stderr, ret_image);
	if (error && error != -EINVAL)
		log_warnx("cannot compile the policy %s: %s", source.name,
			  strerror(-error));
	return !error ? 0 : error == -EINVAL ? 3 : 1;
}

/* The kernel's own program where that may be run, unless told which. */
static void choose_engine(struct arguments *a, const struct image *image)
{
	const struct engine_options options = { .kind = ENGINE_bpf,
						.door = a->options.door };
	const char *error = NULL;
	struct engine *engine;

	if (a->has_engine)
		return;
	engine = engine_open(&options, image, &error);
	a->options.kind = engine ? ENGINE_bpf : ENGINE_host;
	if (!engine && geteuid() == 0)
		log_info("replaying on the host engine: %s",
			 error ? error : "the kernel's cannot be opened");
	engine_close(engine);
}

static int replay_path(const char *path, const struct arguments *a,
		       const struct image *image, uint64_t *dropped)
{
	struct replay_totals totals;
	struct capture *capture;
	char why[512];
	int error;

	capture = capture_open(path, why, sizeof(why));
	if (!capture) {
		log_warnx("%s: %s", path, why);
		return 1;
	}
	error = replay_capture(capture, image, &a->options, stdout, &totals);
	if (error)
		log_warnx("%s: %s", path, totals.why);
	capture_close(capture);
	*dropped += totals.dropped;
	if (totals.early)
		log_info(
		    "%s: %" PRIu64
		    " conversations were reported before the end of the capture; packets that came later count as conversations of their own",
		    path, totals.early);
	if (!a->options.json && (!error || totals.frames))
		printf("%" PRIu64 " frames, %" PRIu64 " conversations: %" PRIu64
		       " passed, %" PRIu64 " dropped\n",
		       totals.frames, totals.conversations,
		       totals.conversations - totals.dropped, totals.dropped);
	return error ? 1 : 0;
}

int cmd_replay(int argc, char **argv)
{
	struct arguments a = {
		.options = { .slots = SLOTS_DEFAULT, .grace = true },
	};
	struct image *image = NULL;
	uint64_t dropped = 0;
	int status;

	status = read_arguments(argc, argv, &a);
	if (status) {
		fputs(usage, status > 0 ? stdout : stderr);
		fputs(status > 0 ? help : "", stdout);
		return status > 0 ? 0 : 2;
	}
	status = read_policy(a.policy, &image);
	if (status)
		return status;
	a.options.progress = isatty(STDERR_FILENO);
	choose_engine(&a, image);
	for (int i = optind; i < argc; i++)
		status |= replay_path(argv[i], &a, image, &dropped);
	image_free(image);
	if (fflush(stdout) || ferror(stdout)) {
		log_warn("cannot write the result");
		return 1;
	}
	return status ? 1 : dropped ? 4 : 0;
}
