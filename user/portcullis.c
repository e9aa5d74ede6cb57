/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: a table of commands, most of them asked of the daemon. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "datapath.h"
#include "duration.h"
#include "files.h"
#include "gate.h"
#include "json.h"
#include "log.h"
#include "preset.h"
#include "protocols.h"
#include "replay.h"
#include "version.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum wants {
	WANTS_json = 1U << 0,
	WANTS_for = 1U << 1,
	WANTS_message = 1U << 2,
	WANTS_limit = 1U << 3,
	WANTS_pin_dir = 1U << 4,
	WANTS_daemon = 1U << 5, /* --run-dir */
	WANTS_preset = 1U << 6,
};

struct command {
	const char *name;
	const char *synopsis; /* behind the name */
	const char *summary;
	const char *more; /* for COMMAND --help, NULL: nothing */
	int (*run)(const struct command *command, int argc, char **argv);
	unsigned int wants;
	int least; /* words that must stand there */
	int most;
};

struct arguments {
	bool json;
	uint64_t seconds;
	const char *message;
	const char *limit;
	const char *pin_dir;
	const char *run_dir;
	const char *preset;
	int argc; /* words */
	char **argv;
};

/* ---- options --------------------------------------------------------- */

static const struct {
	unsigned int wants;
	const char *text;
} option_help[] = {
	{ WANTS_json, "  --json           one JSON object a line\n" },
	{ WANTS_for,
	  "  --for TIME       take it back after 90s, 30m, 2h, 1d …\n" },
	{ WANTS_message,
	  "  -m, --message WHY\n                   kept beside the change\n" },
	{ WANTS_limit,
	  "  --limit N        show at most N conversations (1000)\n" },
	{ WANTS_pin_dir,
	  "  --pin-dir DIR    where the gate is pinned, if no daemon runs\n" },
	{ WANTS_preset,
	  "  --preset NAME    a wire between interfaces A and B, watched under this\n"
	  "                   preset (t0885) instead of a file\n" },
	{ WANTS_daemon,
	  "  --run-dir DIR    of the daemon ($PORTCULLIS_RUN_DIR, " FILES_RUN_DIR
	  ")\n" },
};

static void print_command_help(const struct command *command)
{
	size_t i;

	printf("Usage: portcullis %s%s%s\n%s.\n", command->name,
	       *command->synopsis ? " " : "", command->synopsis,
	       command->summary);
	if (command->more)
		printf("\n%s", command->more);
	if (command->wants)
		putchar('\n');
	for (i = 0; i < ARRAY_SIZE(option_help); i++) {
		if (command->wants & option_help[i].wants)
			fputs(option_help[i].text, stdout);
	}
}

static int finish_output(int code)
{
	if (fflush(stdout) || ferror(stdout)) {
		log_warn("cannot write the output");
		return EXIT_failed;
	}
	return code;
}

enum option_id {
	OPTION_json = 256,
	OPTION_for,
	OPTION_limit,
	OPTION_pin_dir,
	OPTION_run_dir,
	OPTION_preset,
	OPTION_help,
};

static unsigned int wanted_by(int option)
{
	switch (option) {
	case OPTION_json:
		return WANTS_json;
	case OPTION_for:
		return WANTS_for;
	case 'm':
		return WANTS_message;
	case OPTION_limit:
		return WANTS_limit;
	case OPTION_pin_dir:
		return WANTS_pin_dir;
	case OPTION_run_dir:
		return WANTS_daemon;
	case OPTION_preset:
		return WANTS_preset;
	default:
		return 0;
	}
}

static void take_option(const struct command *command, int option,
			struct arguments *arguments)
{
	if (option == OPTION_help) {
		print_command_help(command);
		exit(finish_output(EXIT_done));
	}
	if (option == '?')
		exit(EXIT_usage); /* getopt has said why */
	if (!(command->wants & wanted_by(option)))
		fatal(EXIT_usage,
		      "that option is not for %s: see portcullis %s --help",
		      command->name, command->name);
	switch (option) {
	case OPTION_json:
		arguments->json = true;
		break;
	case OPTION_for:
		if (duration_parse(optarg, &arguments->seconds))
			fatal(
			    EXIT_usage,
			    "--for wants a time like 90s, 30m, 2h or 1d12h, up to 366d, not `%s`",
			    optarg);
		break;
	case 'm':
		arguments->message = optarg;
		break;
	case OPTION_limit:
		arguments->limit = optarg;
		break;
	case OPTION_pin_dir:
		arguments->pin_dir = optarg;
		break;
	case OPTION_run_dir:
		arguments->run_dir = optarg;
		break;
	case OPTION_preset:
		arguments->preset = optarg;
		break;
	}
}

static void read_arguments(const struct command *command, int argc, char **argv,
			   struct arguments *arguments)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, OPTION_json },
		{ "for", required_argument, NULL, OPTION_for },
		{ "message", required_argument, NULL, 'm' },
		{ "limit", required_argument, NULL, OPTION_limit },
		{ "pin-dir", required_argument, NULL, OPTION_pin_dir },
		{ "run-dir", required_argument, NULL, OPTION_run_dir },
		{ "preset", required_argument, NULL, OPTION_preset },
		{ "help", no_argument, NULL, OPTION_help },
		{ 0 },
	};
	char program[64];
	int option;

	snprintf(program, sizeof(program), "portcullis %s", command->name);
	argv[0] = program;
	*arguments = (struct arguments){ 0 };
	while ((option = getopt_long(argc, argv, "m:", options, NULL)) >= 0)
		take_option(command, option, arguments);
	arguments->argc = argc - optind;
	arguments->argv = argv + optind;
	if (arguments->argc < command->least || arguments->argc > command->most)
		fatal(EXIT_usage, "usage: portcullis %s %s", command->name,
		      command->synopsis);
}

/* ---- asking the daemon ----------------------------------------------- */

struct request {
	const char *socket; /* file in the run folder */
	int argc;
	const char *argv[CONTROL_ARGS];
	const char *body;
	size_t body_len;
	int patience_ms;
};

static void add_word(struct request *request, const char *word)
{
	if (request->argc == CONTROL_ARGS)
		fatal(EXIT_usage, "too many words");
	request->argv[request->argc++] = word;
}

static int say_failure(int err, const char *path)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		log_warnx("no daemon answers at %s: start portcullisd", path);
		return EXIT_no_daemon;
	case -ECONNRESET:
	case -EPIPE:
		log_warnx(
		    "the daemon left before it had answered: see its messages");
		return EXIT_no_daemon;
	case -EACCES:
	case -EPERM:
		log_warnx(
		    "not permitted to use %s: be root or a member of group " CONTROL_GROUP,
		    path);
		return EXIT_not_permitted;
	case -ETIMEDOUT:
		log_warnx("the daemon at %s does not answer: see its messages",
			  path);
		return EXIT_failed;
	case -E2BIG:
		log_warnx(
		    "that is more than a request can hold (4 MiB, 256 words)");
		return EXIT_failed;
	default:
		log_warnx("cannot ask the daemon at %s: %s", path,
			  strerror(-err));
		return EXIT_failed;
	}
}

/* 0 and *ret_code, or -errno of control_call(). */
static int try_daemon(const struct request *request, const char *path,
		      int *ret_code)
{
	/* control_call() only reads them. */
	char *const *words = (char *const *)request->argv;

	return control_call(path, request->argc, words, request->body,
			    request->body_len, request->patience_ms, stdout,
			    stderr, ret_code);
}

static int ask_daemon(const struct request *request, const char *run_dir)
{
	_cleanup_free_ char *path = NULL;
	int err, code = EXIT_failed;

	path = files_name("%s/%s", files_run_dir(run_dir),
			  request->socket ? request->socket : "control.sock");
	if (!path)
		return EXIT_failed;
	err = try_daemon(request, path, &code);
	return err ? say_failure(err, path) : finish_output(code);
}

/* Most commands: the same words, asked of the daemon. */
static int cmd_ask(const struct command *command, int argc, char **argv)
{
	struct request request = { .patience_ms = CONTROL_PATIENCE_MS };
	_cleanup_free_ char *limit = NULL;
	struct arguments arguments;
	int i;

	read_arguments(command, argc, argv, &arguments);
	add_word(&request, command->name);
	if (arguments.json)
		add_word(&request, "--json");
	if (arguments.limit) {
		limit = files_name("--limit=%s", arguments.limit);
		add_word(&request, limit ? limit : "--limit=1000");
	}
	add_word(&request, "--");
	for (i = 0; i < arguments.argc; i++)
		add_word(&request, arguments.argv[i]);
	return ask_daemon(&request, arguments.run_dir);
}

static int cmd_watch(const struct command *command, int argc, char **argv)
{
	struct request request = { .patience_ms = -1 };
	struct arguments arguments;

	read_arguments(command, argc, argv, &arguments);
	add_word(&request, "watch");
	if (arguments.json)
		add_word(&request, "--json");
	return ask_daemon(&request, arguments.run_dir);
}

static int cmd_metrics(const struct command *command, int argc, char **argv)
{
	struct request request = { .socket = "metrics.sock",
				   .patience_ms = CONTROL_PATIENCE_MS };
	struct arguments arguments;

	read_arguments(command, argc, argv, &arguments);
	add_word(&request, "metrics");
	return ask_daemon(&request, arguments.run_dir);
}

static int cmd_show(const struct command *command, int argc, char **argv)
{
	static const char *const tables[] = { "flows", "counters", "rules",
					      "zones", "live" };
	const char *what = NULL;
	size_t k;
	int i;

	for (i = 1; i < argc && !what; i++) {
		for (k = 0; k < ARRAY_SIZE(tables); k++) {
			if (!strcmp(argv[i], tables[k]))
				what = tables[k];
		}
		if (!strcmp(argv[i], "--help"))
			what = argv[i];
	}
	if (!what)
		fatal(EXIT_usage,
		      "show what? flows, counters, rules, zones or live");
	return cmd_ask(command, argc, argv);
}

static int cmd_allow(const struct command *command, int argc, char **argv)
{
	struct request request = { .patience_ms = CONTROL_PATIENCE_MS };
	_cleanup_free_ char *duration = NULL;
	_cleanup_free_ char *why = NULL;
	struct arguments arguments;
	int i;

	read_arguments(command, argc, argv, &arguments);
	duration =
	    files_name("--for=%llu", (unsigned long long)arguments.seconds);
	why =
	    files_name("--why=%s", arguments.message ? arguments.message : "");
	if (!duration || !why)
		return EXIT_failed;
	add_word(&request, "allow");
	add_word(&request, duration);
	add_word(&request, why);
	if (arguments.json)
		add_word(&request, "--json");
	add_word(&request, "--");
	for (i = 0; i < arguments.argc; i++)
		add_word(&request, arguments.argv[i]);
	return ask_daemon(&request, arguments.run_dir);
}

/* The text of a preset's policy for two interfaces. */
static char *preset_text(const struct arguments *arguments, size_t *ret_len)
{
	char *text;

	if (!preset_find(arguments->preset, &(size_t){ 0 }))
		fatal(EXIT_usage,
		      "there is no preset '%s': the presets are: %s",
		      arguments->preset, preset_names()[0]);
	if (arguments->argc != 2)
		fatal(
		    EXIT_usage,
		    "a preset alone names no interfaces: portcullis apply --preset %s A B makes a wire between A and B",
		    arguments->preset);
	text = preset_policy(arguments->preset, arguments->argv[0],
			     arguments->argv[1]);
	if (!text)
		fatal(EXIT_failed, "out of memory");
	*ret_len = strlen(text);
	return text;
}

static int cmd_apply(const struct command *command, int argc, char **argv)
{
	struct request request = { .patience_ms = CONTROL_PATIENCE_MS };
	_cleanup_free_ char *text = NULL;
	char name[PATH_MAX];
	struct arguments arguments;
	const char *file;
	int err;

	read_arguments(command, argc, argv, &arguments);
	if (!arguments.preset && arguments.argc > 1)
		fatal(EXIT_usage, "usage: portcullis apply %s",
		      command->synopsis);
	file = arguments.argc ? arguments.argv[0] : NULL;
	add_word(&request, "apply");
	if (arguments.json)
		add_word(&request, "--json");
	add_word(&request, "--");
	if (arguments.preset) {
		request.body = text =
		    preset_text(&arguments, &request.body_len);
		snprintf(name, sizeof(name), "preset %s", arguments.preset);
		add_word(&request, name);
		return ask_daemon(&request, arguments.run_dir);
	}
	if (!file)
		return ask_daemon(&request, arguments.run_dir);
	err = files_read(strcmp(file, "-") ? file : "/dev/stdin",
			 CONTROL_BODY_BYTES, &text, &request.body_len);
	if (err) {
		log_warnx("cannot read %s: %s", file, strerror(-err));
		return err == -EACCES ? EXIT_not_permitted : EXIT_failed;
	}
	request.body = text;
	/* The daemon stands in another folder. */
	if (!strcmp(file, "-") || !realpath(file, name))
		snprintf(name, sizeof(name), "%s",
			 strcmp(file, "-") ? file : "standard input");
	add_word(&request, name);
	return ask_daemon(&request, arguments.run_dir);
}

/* With a daemon it takes the gate down itself, or it would put it up again. */
static int cmd_detach(const struct command *command, int argc, char **argv)
{
	struct request request = { .patience_ms = CONTROL_PATIENCE_MS };
	struct datapath_options options = { 0 };
	_cleanup_free_ char *path = NULL;
	struct arguments arguments;
	char sentence[512] = "";
	int err, code = EXIT_failed;

	read_arguments(command, argc, argv, &arguments);
	path = files_name("%s/control.sock", files_run_dir(arguments.run_dir));
	if (!path)
		return EXIT_failed;
	add_word(&request, "detach");
	err = try_daemon(&request, path, &code);
	if (!err)
		return code;
	if (err != -ENOENT && err != -ECONNREFUSED)
		return say_failure(err, path);
	options.pin_dir = arguments.pin_dir;
	if (!gate_is_pinned(options.pin_dir))
		log_info(
		    "no daemon answers and no gate is pinned there: only remains are removed");
	err = datapath_detach(&options, sentence, sizeof(sentence));
	if (!err)
		return EXIT_done;
	log_warnx("%s", *sentence ? sentence : strerror(-err));
	return err == -EPERM || err == -EACCES ? EXIT_not_permitted
					       : EXIT_failed;
}

/* ---- without a daemon ------------------------------------------------ */

static void print_json(struct json *json)
{
	json_line(json);
	fwrite(json->text, 1, json->len, stdout);
	json_reset(json);
}

static void say_checked(const char *file, const struct image *image,
			bool as_json)
{
	struct json json = { 0 };

	if (!as_json) {
		printf(
		    "%s: no errors: %zu zones, %zu services, %zu rules in %zu conduits, %zu interfaces\n",
		    file, image->n_zones - 1, image->n_services - 1,
		    image->n_rules, image->n_conduits - 1, image->n_ports);
		return;
	}
	json_object(&json, NULL);
	json_string(&json, "policy", file);
	json_uint(&json, "zones", image->n_zones - 1);
	json_uint(&json, "services", image->n_services - 1);
	json_uint(&json, "rules", image->n_rules);
	json_uint(&json, "conduits", image->n_conduits - 1);
	json_uint(&json, "interfaces", image->n_ports);
	json_end_object(&json);
	print_json(&json);
	json_free(&json);
}

static int cmd_check(const struct command *command, int argc, char **argv)
{
	struct arguments arguments;
	struct image *image = NULL;
	const char *file;
	int err;

	read_arguments(command, argc, argv, &arguments);
	file = arguments.argc ? arguments.argv[0] : FILES_POLICY;
	err = gate_check(file, stderr, &image);
	if (err == -EACCES || err == -EPERM)
		return EXIT_not_permitted;
	if (err)
		return err == -EINVAL ? EXIT_policy : EXIT_failed;
	say_checked(file, image, arguments.json);
	image_free(image);
	return finish_output(EXIT_done);
}

static void protocol_json(const struct protocol *protocol)
{
	const struct protocol_function *function;
	struct json json = { 0 };
	size_t i;

	json_object(&json, NULL);
	json_uint(&json, "id", protocol->id);
	json_string(&json, "protocol", protocol->name);
	json_string(&json, "title", protocol->title);
	json_string(&json, "ports", protocol->ports);
	json_uint(&json, "longest", protocol->longest);
	json_array(&json, "functions");
	for (i = 0; i < protocol->n_functions; i++) {
		function = &protocol->functions[i];
		json_object(&json, NULL);
		json_uint(&json, "number", function->number);
		json_string(&json, "name", function->name);
		json_string(&json, "class", class_name(function->class));
		json_end_object(&json);
	}
	json_end_array(&json);
	json_array(&json, "quirks");
	for (i = 0; i < QUIRK_max; i++) {
		if (!quirk_is_of(i, protocol))
			continue;
		json_object(&json, NULL);
		json_string(&json, "name", quirk_get(i)->name);
		json_string(&json, "title", quirk_get(i)->title);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
	print_json(&json);
	json_free(&json);
}

static void quirks_text(const struct protocol *protocol)
{
	bool is_first = true;
	size_t i;

	for (i = 0; i < QUIRK_max; i++) {
		if (!quirk_is_of(i, protocol))
			continue;
		if (is_first)
			printf("%-22s %s\n", "QUIRK", "WHAT IT TOLERATES");
		is_first = false;
		printf("%-22s %s\n", quirk_get(i)->name, quirk_get(i)->title);
	}
}

static void protocol_text(const struct protocol *protocol)
{
	size_t i;

	printf("%s: %s, by standard on %s", protocol->name, protocol->title,
	       protocol->ports);
	if (protocol->longest)
		printf(", messages up to %u bytes", protocol->longest);
	putchar('\n');
	if (!protocol->n_functions) {
		printf("    no functions: `allow %s` allows all of it\n",
		       protocol->name);
		quirks_text(protocol);
		return;
	}
	printf("%10s  %-36s %s\n", "FUNCTION", "NAME", "CLASS");
	for (i = 0; i < protocol->n_functions; i++)
		printf("%10u  %-36s %s\n", protocol->functions[i].number,
		       protocol->functions[i].name,
		       class_name(protocol->functions[i].class));
	quirks_text(protocol);
}

static int cmd_protocols(const struct command *command, int argc, char **argv)
{
	const struct protocol *protocols, *one;
	struct arguments arguments;
	size_t n, i;

	read_arguments(command, argc, argv, &arguments);
	protocols = protocol_list(&n);
	if (arguments.argc) {
		one = protocol_find(arguments.argv[0]);
		if (!one)
			fatal(
			    EXIT_failed,
			    "there is no protocol `%s`: portcullis protocols lists them",
			    arguments.argv[0]);
		if (arguments.json)
			protocol_json(one);
		else
			protocol_text(one);
		return finish_output(EXIT_done);
	}
	if (!arguments.json)
		printf("%-12s %-24s %9s  %s\n", "PROTOCOL", "PORTS",
		       "FUNCTIONS", "TITLE");
	for (i = 0; i < n; i++) {
		if (arguments.json)
			protocol_json(&protocols[i]);
		else
			printf("%-12s %-24s %9zu  %s\n", protocols[i].name,
			       protocols[i].ports, protocols[i].n_functions,
			       protocols[i].title);
	}
	return finish_output(EXIT_done);
}

static int run_replay(const struct command *command, int argc, char **argv)
{
	(void)command;
	return cmd_replay(argc, argv);
}

static int cmd_help(const struct command *command, int argc, char **argv);

/* ---- table ----------------------------------------------------------- */

enum { MANY = CONTROL_ARGS };

static const struct command commands[] = {
	{ "status", "[--json]", "What is enforced where, on one screen",
	  "Exit code 1 if an interface of the policy is not attached.\n",
	  cmd_ask, WANTS_json | WANTS_daemon, 0, 0 },
	{ "check", "[FILE] [--json]",
	  "Look for errors in a policy, without a daemon",
	  "Reads FILE (" FILES_POLICY
	  ") and what stands in policy.d/ beside it.\n",
	  cmd_check, WANTS_json, 0, 1 },
	{ "apply", "[FILE | --preset NAME A B] [--json]",
	  "Put a policy in force, atomically",
	  "Without FILE the daemon reads its own policy file anew; what stands in\n"
	  "policy.d/ beside that file is part of the policy either way. With errors the\n"
	  "policy in force stays and the exit code is 3.\n"
	  "With --preset the policy is made: see portcullis-t0885(7).\n",
	  cmd_apply, WANTS_json | WANTS_preset | WANTS_daemon, 0, 2 },
	{ "allow", "SERVICE [FUNCTION…] [from A] [to B] [--for TIME] [-m WHY]",
	  "Allow something now, in the words of the policy",
	  "For example: portcullis allow modbus write from hmi-1 to plc-1 --for 2h\n"
	  "The change stands in policy.d/90-live.policy and survives restarts.\n",
	  cmd_allow, WANTS_json | WANTS_for | WANTS_message | WANTS_daemon, 1,
	  MANY - 5 },
	{ "revoke", "ID", "Take a live change back",
	  "The numbers are those of: portcullis show live\n", cmd_ask,
	  WANTS_daemon, 1, 1 },
	{ "show", "flows|counters|rules|zones|live [--json]",
	  "Tables of what is there", NULL, cmd_show,
	  WANTS_json | WANTS_limit | WANTS_daemon, 1, 1 },
	{ "watch", "[--json]", "Events as they come, one a line", NULL,
	  cmd_watch, WANTS_json | WANTS_daemon, 0, 0 },
	{ "protocols", "[NAME] [--json]",
	  "What can be verified, and its functions", NULL, cmd_protocols,
	  WANTS_json, 0, 1 },
	{ "replay", "[OPTION]... CAPTURE...",
	  "What the gate would do to a capture", NULL, run_replay, 0, 0, 0 },
	{ "metrics", "", "Counters as Prometheus text", NULL, cmd_metrics,
	  WANTS_daemon, 0, 0 },
	{ "detach", "", "Take the gate down, and the daemon with it",
	  "Traffic of `forward kernel` then passes unverified; wires are cut.\n",
	  cmd_detach, WANTS_daemon | WANTS_pin_dir, 0, 0 },
	{ "help", "[COMMAND]", "This list, or one command", NULL, cmd_help, 0,
	  0, 1 },
};

static void print_help(void)
{
	size_t i;

	puts(
	    "Usage: portcullis COMMAND [ARGUMENT]...\n"
	    "\n"
	    "Verifies that every conversation on a port speaks the protocol which that port is for.\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	puts(
	    "\n"
	    "portcullis COMMAND --help says more; portcullis --version which one this is.\n"
	    "Exit codes: 0 done, 1 failed, 2 usage, 3 policy has errors, 4 differences or\n"
	    "violations found, 5 not permitted, 6 no daemon.");
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

/* Letters to change, add or leave out, to make one word of the other. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], i, k, left, above, here, n = strlen(b);

	if (n >= ARRAY_SIZE(row) || strlen(a) >= ARRAY_SIZE(row))
		return ARRAY_SIZE(row);
	for (k = 0; k <= n; k++)
		row[k] = k;
	for (i = 0; a[i]; i++) {
		above = row[0];
		left = row[0] = i + 1;
		for (k = 0; k < n; k++) {
			here = above + (a[i] != b[k]);
			if (here > left + 1)
				here = left + 1;
			if (here > row[k + 1] + 1)
				here = row[k + 1] + 1;
			above = row[k + 1];
			left = row[k + 1] = here;
		}
	}
	return row[n];
}

static int unknown_command(const char *name)
{
	const char *best = NULL;
	size_t i, far, least = 3;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		far = distance(name, commands[i].name);
		if (far < least) {
			least = far;
			best = commands[i].name;
		}
	}
	if (best)
		log_warnx("there is no command `%s`: did you mean `%s`?", name,
			  best);
	else
		log_warnx(
		    "there is no command `%s`: portcullis help lists them",
		    name);
	return EXIT_usage;
}

static int cmd_help(const struct command *command, int argc, char **argv)
{
	struct arguments arguments;
	const struct command *about;

	read_arguments(command, argc, argv, &arguments);
	if (!arguments.argc) {
		print_help();
		return finish_output(EXIT_done);
	}
	about = find_command(arguments.argv[0]);
	if (!about)
		return unknown_command(arguments.argv[0]);
	if (about->run == run_replay)
		return cmd_replay(2, (char *[]){ "replay", "--help", NULL });
	print_command_help(about);
	return finish_output(EXIT_done);
}

int main(int argc, char **argv)
{
	const struct command *command;

	log_open("portcullis", false);
	if (argc < 2) {
		log_warnx("a command is needed: portcullis help lists them");
		return EXIT_usage;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help();
		return finish_output(EXIT_done);
	}
	if (!strcmp(argv[1], "--version")) {
		puts("portcullis " PORTCULLIS_VERSION);
		return finish_output(EXIT_done);
	}
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
