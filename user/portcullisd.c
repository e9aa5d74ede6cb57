/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon: puts up the gate, follows its interfaces, writes its events,
 * answers the control socket. The packets need none of it: what is pinned goes
 * on when this process dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "duration.h"
#include "eventlog.h"
#include "events.h"
#include "files.h"
#include "gate.h"
#include "log.h"
#include "requests.h"
#include "version.h"

enum {
	TICK_MS = 1000,
	DRAIN_MOST = 4096,
	GRACE_SECONDS = 60,
	LOG_MEGABYTES = 64,
};

struct settings {
	const char *policy;
	const char *run_dir;
	const char *log;
	uint64_t log_cap;
	bool every_event;
	struct datapath_options datapath;
};

/* An interface's name, asked for once a second at most. */
struct interface_name {
	uint32_t ifindex;
	uint64_t asked_s;
	char name[IF_NAMESIZE];
};

struct daemon {
	struct settings settings;
	struct gate gate;
	struct eventlog *log;
	struct events_table *events;
	struct control *control;
	struct requests requests;
	int lock_fd;
	char *lock_path;
	char *made[2]; /* folders that were not there before */
	int signal_fd;
	bool stopping;
	uint64_t ticked_ms;
	uint64_t watchdog_ms; /* 0: none wanted */
	uint64_t number;      /* of the last event */
	int64_t wall_offset_ns;
	char host[HOST_NAME_MAX + 1];
	struct json json;
	struct interface_name names[64];
};

/* ---- time ------------------------------------------------------------ */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* ---- service manager ------------------------------------------------- */

/* sd_notify(3) without its library: one datagram. */
static void tell_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t len;

	if (!path || (*path != '/' && *path != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL,
			     (struct sockaddr *)&to,
			     offsetof(struct sockaddr_un, sun_path) + len) < 0)
		log_warn("cannot tell the service manager about %s", state);
}

static uint64_t watchdog_period(void)
{
	const char *usec = getenv("WATCHDOG_USEC");

	return usec ? strtoull(usec, NULL, 10) / 2000 : 0;
}

/* ---- events ---------------------------------------------------------- */

static const char *interface_name(struct daemon *daemon, uint32_t ifindex)
{
	struct interface_name *name = &daemon->names[ifindex % 64];
	uint64_t now_s = now_ms() / 1000;

	if (name->ifindex != ifindex || name->asked_s != now_s) {
		name->ifindex = ifindex;
		name->asked_s = now_s;
		if (!if_indextoname(ifindex, name->name))
			name->name[0] = '\0';
	}
	return *name->name ? name->name : NULL;
}

/* To the file, and to whoever watches. */
static void write_report(struct daemon *daemon,
			 const struct events_report *report,
			 struct events_context *context)
{
	char line[1024];
	size_t len;

	context->number = ++daemon->number;
	json_reset(&daemon->json);
	events_json(&daemon->json, report, context);
	if (daemon->json.failed)
		return;
	eventlog_add(daemon->log, daemon->json.text, daemon->json.len);
	if (!daemon->control || !control_watchers(daemon->control))
		return;
	events_text(line, sizeof(line) - 1, report, context);
	len = strlen(line);
	line[len++] = '\n';
	control_publish(daemon->control, daemon->json.text, daemon->json.len,
			line, len);
}

/* A report of the events table. */
static void report_event(const struct events_report *given, void *arg)
{
	struct daemon *daemon = arg;
	struct events_report report = *given;
	struct events_context context = {
		.image = gate_image(&daemon->gate, given->event.generation),
		.interface = interface_name(daemon, given->event.ifindex),
		.host = daemon->host,
		.wall_offset_ns = daemon->wall_offset_ns,
	};

	if (!context.image) {
		/* Made before this daemon started: its numbers mean nothing
		 * here, but its addresses still have names. */
		events_forget_numbers(&report.event);
		context.image = daemon->gate.image;
	}
	write_report(daemon, &report, &context);
	report.foreign = events_is_foreign(&report, context.image);
	if (report.foreign)
		write_report(daemon, &report, &context);
}

static void take_event(const struct portcullis_event *event, void *arg)
{
	struct daemon *daemon = arg;

	events_table_add(daemon->events, event);
}

static void drain_events(struct daemon *daemon)
{
	int n;

	daemon->wall_offset_ns =
	    (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
	n = datapath_drain(daemon->gate.dp, DRAIN_MOST, take_event, daemon);
	if (n < 0)
		log_warnx("cannot read events: %s", strerror(-n));
}

/* A start that fails leaves none behind. */
static int make_folder(struct daemon *daemon, unsigned int number,
		       const char *path, mode_t mode)
{
	bool is_there = !access(path, F_OK);
	int err = files_make_folder(path, mode);

	if (!err && !is_there)
		daemon->made[number] = strdup(path);
	return err;
}

static void leave_folders(struct daemon *daemon, bool has_failed)
{
	size_t i;

	for (i = 0; i < sizeof(daemon->made) / sizeof(daemon->made[0]); i++) {
		if (has_failed && daemon->made[i])
			rmdir(daemon->made[i]);
		free(daemon->made[i]);
	}
}

static int open_events(struct daemon *daemon)
{
	const char *path = daemon->settings.log;
	_cleanup_free_ char *folder = files_folder(path);
	int err = folder ? make_folder(daemon, 0, folder, 0750) : -ENOMEM;

	if (!err) {
		daemon->log = eventlog_open(path, daemon->settings.log_cap);
		err = daemon->log ? 0 : -errno;
	}
	if (err) {
		log_warnx(
		    "cannot write events to %s: %s: name another file with --log",
		    path, strerror(-err));
		return err == -EACCES || err == -EPERM ? EXIT_not_permitted
						       : EXIT_failed;
	}
	daemon->events = events_table_new(!daemon->settings.every_event,
					  report_event, daemon);
	if (!daemon->events)
		return EXIT_failed;
	if (gethostname(daemon->host, sizeof(daemon->host) - 1))
		strcpy(daemon->host, "localhost");
	/* Numbers go on rising over restarts. */
	daemon->number = (uint64_t)time(NULL) * 1000000;
	return EXIT_done;
}

/* ---- start ----------------------------------------------------------- */

static int say_unusable(const char *run_dir, int error)
{
	bool is_forbidden = error == EACCES || error == EPERM;

	log_warnx("cannot use %s: %s: %sname a folder of yours with --run-dir",
		  run_dir, strerror(error), is_forbidden ? "be root, or " : "");
	return is_forbidden ? EXIT_not_permitted : EXIT_failed;
}

static int say_running(int fd)
{
	char pid[32] = "";

	if (read(fd, pid, sizeof(pid) - 1) < 0)
		pid[0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	log_warnx(
	    "already running as process %s: stop it first, or give this one its own --run-dir and --pin-dir",
	    *pid ? pid : "unknown");
	return EXIT_failed;
}

/* Whoever stops removes the file: what was locked may be gone by now. */
static bool still_stands(int fd, const char *path)
{
	struct stat held, there;

	return !fstat(fd, &held) && !stat(path, &there) &&
	       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

/* Held as long as the process lives; one that is killed leaves a file that
 * nobody holds. */
static int take_lock(struct daemon *daemon)
{
	const char *run_dir = daemon->settings.run_dir;
	_cleanup_close_ int fd = -1;
	char pid[32];
	int err;

	daemon->lock_path = files_name("%s/portcullisd.pid", run_dir);
	err =
	    daemon->lock_path ? make_folder(daemon, 1, run_dir, 0755) : -ENOMEM;
	if (err)
		return say_unusable(run_dir, -err);
	do {
		if (fd >= 0)
			close(fd);
		fd =
		    open(daemon->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return say_unusable(run_dir, errno);
		if (flock(fd, LOCK_EX | LOCK_NB))
			return say_running(fd);
	} while (!still_stands(fd, daemon->lock_path));
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) || write(fd, pid, strlen(pid)) < 0)
		log_warn("cannot write %s", daemon->lock_path);
	daemon->lock_fd = take_fd(&fd);
	return EXIT_done;
}

/* Before anything is touched: a faulty policy leaves no trace. */
static int check_policy(const struct settings *settings)
{
	int err;

	err = gate_check(settings->policy, stderr, NULL);
	if (!err)
		return EXIT_done;
	if (err == -EINVAL)
		log_warnx("not started: %s has errors: correct them first",
			  settings->policy);
	if (gate_is_pinned(settings->datapath.pin_dir))
		log_warnx(
		    "the gate of the last run goes on enforcing its policy; portcullis detach would take it down");
	if (err == -EINVAL)
		return EXIT_policy;
	return err == -EACCES || err == -EPERM ? EXIT_not_permitted
					       : EXIT_failed;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_control(struct daemon *daemon)
{
	daemon->requests = (struct requests){ .gate = &daemon->gate,
					      .log = daemon->log,
					      .events = daemon->events };
	daemon->control = control_open(daemon->settings.run_dir,
				       requests_handle, &daemon->requests);
	if (daemon->control)
		return EXIT_done;
	log_warn("cannot put the control socket into %s",
		 daemon->settings.run_dir);
	return EXIT_failed;
}

static int start(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	int code;

	daemon->signal_fd = open_signals();
	if (daemon->signal_fd < 0) {
		log_warn("cannot listen for signals");
		return EXIT_failed;
	}
	code = take_lock(daemon);
	if (code == EXIT_done)
		code = check_policy(settings);
	if (code == EXIT_done)
		code = open_events(daemon);
	if (code != EXIT_done)
		return code;
	code = gate_open(&daemon->gate, &settings->datapath, settings->policy,
			 stderr);
	if (code == EXIT_done)
		code = open_control(daemon);
	if (code != EXIT_done) {
		eventlog_drop_empty(daemon->log);
		return code;
	}
	log_info("%s %s: generation %u of %s",
		 daemon->gate.adopted ? "took over the running gate, now with"
				      : "the gate stands with",
		 *daemon->gate.image->site ? daemon->gate.image->site
					   : "its policy",
		 daemon->gate.generation, settings->policy);
	daemon->watchdog_ms = watchdog_period();
	tell_manager("READY=1");
	return EXIT_done;
}

/* ---- loop ------------------------------------------------------------ */

static void reload(struct daemon *daemon)
{
	tell_manager("RELOADING=1");
	if (gate_reload(&daemon->gate, stderr) == EXIT_done)
		log_info("%s is in force: generation %u",
			 daemon->settings.policy, daemon->gate.generation);
	else
		log_warnx(
		    "%s was not applied: the policy before it stays in force",
		    daemon->settings.policy);
	tell_manager("READY=1");
}

static void take_signals(struct daemon *daemon)
{
	struct signalfd_siginfo info;

	while (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload(daemon);
			break;
		case SIGUSR1:
			if (eventlog_reopen(daemon->log))
				log_warnx("cannot open %s anew",
					  daemon->settings.log);
			break;
		default:
			daemon->stopping = true;
		}
	}
}

static void tick(struct daemon *daemon, uint64_t now)
{
	static uint64_t fed_ms;

	if (now - daemon->ticked_ms < TICK_MS)
		return;
	daemon->ticked_ms = now;
	datapath_follow(daemon->gate.dp);
	gate_expire(&daemon->gate);
	events_table_tick(daemon->events, now * 1000000);
	if (daemon->watchdog_ms && now - fed_ms >= daemon->watchdog_ms) {
		fed_ms = now;
		tell_manager("WATCHDOG=1");
	}
}

static void run_once(struct daemon *daemon)
{
	struct pollfd fds[CONTROL_FDS + 3];
	uint64_t now = now_ms(), due = daemon->ticked_ms + TICK_MS;
	size_t n;

	fds[0] = (struct pollfd){ .fd = daemon->signal_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = datapath_link_fd(daemon->gate.dp),
				  .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = datapath_event_fd(daemon->gate.dp),
				  .events = POLLIN };
	n = control_poll(daemon->control, fds + 3);
	if (poll(fds, n + 3, due > now ? (int)(due - now) : 0) < 0) {
		if (errno != EINTR)
			log_warn("cannot wait for work");
		return;
	}
	if (fds[0].revents)
		take_signals(daemon);
	if (fds[1].revents)
		datapath_follow(daemon->gate.dp);
	drain_events(daemon);
	control_run(daemon->control, fds + 3, n, now_ms());
	tick(daemon, now_ms());
	eventlog_flush(daemon->log);
}

/* ---- stop ------------------------------------------------------------ */

static int take_down(struct daemon *daemon)
{
	char sentence[512] = "";

	if (!datapath_detach(&daemon->settings.datapath, sentence,
			     sizeof(sentence))) {
		log_info("the gate is taken down");
		return EXIT_done;
	}
	log_warnx("cannot take the gate down: %s", sentence);
	return EXIT_failed;
}

static int stop(struct daemon *daemon, int code)
{
	bool stood = daemon->control != NULL;

	if (stood)
		tell_manager("STOPPING=1");
	/* Reports what is left, to watchers too. */
	events_table_free(daemon->events);
	eventlog_close(daemon->log);
	gate_close(&daemon->gate);
	if (daemon->requests.detach)
		code = take_down(daemon);
	else if (stood)
		log_info(
		    "stopped; the gate goes on by itself (portcullis detach takes it down)");
	if (stood)
		control_end(daemon->control, code);
	control_close(daemon->control);
	json_free(&daemon->json);
	if (daemon->signal_fd >= 0)
		close(daemon->signal_fd);
	if (daemon->lock_fd >= 0) {
		unlink(daemon->lock_path);
		close(daemon->lock_fd);
	}
	free(daemon->lock_path);
	leave_folders(daemon, !stood);
	return code;
}

/* ---- options --------------------------------------------------------- */

static const char help[] =
    "Usage: portcullisd [OPTION]...\n"
    "Puts up the gate and stays in the foreground; messages go to standard error.\n"
    "\n"
    "  --policy FILE     policy to start with (" FILES_POLICY ")\n"
    "  --run-dir DIR     control socket and lock ($PORTCULLIS_RUN_DIR, " FILES_RUN_DIR
    ")\n"
    "  --log FILE        events (" FILES_EVENTS ")\n"
    "  --log-size MB     begin a fresh file after so much, 4 old ones are kept (64; 0: never)\n"
    "  --every-event     write each event, do not sum repeats\n"
    "  --pin-dir DIR     where the gate is pinned, on a bpf file system\n"
    "  --door DOOR       auto, native, generic or tc (auto)\n"
    "  --slots N         conversations that the table holds (131072)\n"
    "  --wait            at the start wait for interfaces that are not there yet\n"
    "  --grace TIME      take over running TCP connections for so long (60s; 0: none)\n"
    "  --debug           say more\n"
    "  --version, --help\n"
    "\n"
    "SIGHUP reads the policy anew, SIGUSR1 opens the event file anew.\n";

enum option_id {
	OPTION_policy = 256,
	OPTION_run_dir,
	OPTION_log,
	OPTION_log_size,
	OPTION_every_event,
	OPTION_pin_dir,
	OPTION_door,
	OPTION_slots,
	OPTION_grace,
	OPTION_wait,
	OPTION_debug,
	OPTION_version,
	OPTION_help,
};

static const struct option options[] = {
	{ "policy", required_argument, NULL, OPTION_policy },
	{ "run-dir", required_argument, NULL, OPTION_run_dir },
	{ "log", required_argument, NULL, OPTION_log },
	{ "log-size", required_argument, NULL, OPTION_log_size },
	{ "every-event", no_argument, NULL, OPTION_every_event },
	{ "pin-dir", required_argument, NULL, OPTION_pin_dir },
	{ "door", required_argument, NULL, OPTION_door },
	{ "slots", required_argument, NULL, OPTION_slots },
	{ "grace", required_argument, NULL, OPTION_grace },
	{ "wait", no_argument, NULL, OPTION_wait },
	{ "debug", no_argument, NULL, OPTION_debug },
	{ "version", no_argument, NULL, OPTION_version },
	{ "help", no_argument, NULL, OPTION_help },
	{ 0 },
};

static uint64_t number_option(const char *name, const char *text,
			      uint64_t least, uint64_t most)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value < least ||
	    value > most)
		fatal(EXIT_usage,
		      "--%s wants a number from %" PRIu64 " to %" PRIu64
		      ", not `%s`",
		      name, least, most, text);
	return value;
}

static enum datapath_door door_option(const char *text)
{
	static const struct {
		const char *name;
		enum datapath_door door;
	} doors[] = { { "auto", DATAPATH_auto },
		      { "native", DATAPATH_native },
		      { "generic", DATAPATH_generic },
		      { "tc", DATAPATH_tc } };
	size_t i;

	for (i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		if (!strcmp(text, doors[i].name))
			return doors[i].door;
	}
	fatal(EXIT_usage, "--door is auto, native, generic or tc, not `%s`",
	      text);
}

static uint32_t grace_option(const char *text)
{
	uint64_t seconds = 0;

	if (strcmp(text, "0") && strcmp(text, "0s") &&
	    (duration_parse(text, &seconds) || seconds > 3600))
		fatal(EXIT_usage,
		      "--grace is a time like 60s, up to 1h, not `%s`", text);
	return seconds;
}

static void leave_with(const char *text)
{
	fputs(text, stdout);
	exit(fflush(stdout) ? EXIT_failed : EXIT_done);
}

static void take_option(struct settings *settings, int option)
{
	switch (option) {
	case OPTION_policy:
		settings->policy = optarg;
		break;
	case OPTION_run_dir:
		settings->run_dir = optarg;
		break;
	case OPTION_log:
		settings->log = optarg;
		break;
	case OPTION_log_size:
		settings->log_cap =
		    number_option("log-size", optarg, 0, 1 << 20) << 20;
		break;
	case OPTION_every_event:
		settings->every_event = true;
		break;
	case OPTION_pin_dir:
		settings->datapath.pin_dir = optarg;
		break;
	case OPTION_door:
		settings->datapath.door = door_option(optarg);
		break;
	case OPTION_slots:
		settings->datapath.slots =
		    number_option("slots", optarg, 1024, 1 << 22);
		break;
	case OPTION_grace:
		settings->datapath.grace_seconds = grace_option(optarg);
		break;
	case OPTION_wait:
		settings->datapath.wait_for_interfaces = true;
		break;
	case OPTION_debug:
		log_open("portcullisd", true);
		break;
	case OPTION_version:
		leave_with("portcullisd " PORTCULLIS_VERSION "\n");
		break;
	case OPTION_help:
		leave_with(help);
		break;
	default:
		exit(EXIT_usage); /* getopt has said why */
	}
}

static void read_options(struct settings *settings, int argc, char **argv)
{
	int option;

	*settings = (struct settings){
		.policy = FILES_POLICY,
		.log = FILES_EVENTS,
		.log_cap = (uint64_t)LOG_MEGABYTES << 20,
		.datapath.grace_seconds = GRACE_SECONDS,
	};
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		take_option(settings, option);
	if (optind < argc)
		fatal(EXIT_usage, "`%s` is no option: see portcullisd --help",
		      argv[optind]);
	settings->run_dir = files_run_dir(settings->run_dir);
}

int main(int argc, char **argv)
{
	static struct daemon daemon = { .lock_fd = -1, .signal_fd = -1 };
	int code;

	log_open("portcullisd", false);
	read_options(&daemon.settings, argc, argv);
	code = start(&daemon);
	while (code == EXIT_done && !daemon.stopping && !daemon.requests.detach)
		run_once(&daemon);
	return stop(&daemon, code);
}
