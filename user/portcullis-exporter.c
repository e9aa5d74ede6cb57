/* SPDX-License-Identifier: GPL-2.0-only */
/* Serves the daemon's metrics over HTTP. Holds no privilege: asks the daemon's
 * metrics.sock, which answers nothing else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <microhttpd.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "files.h"
#include "log.h"
#include "metrics.h"
#include "version.h"

enum {
	CONNECTIONS = 32,
	TIMEOUT_SECONDS = 10,
	PATIENCE_MS = 2000, /* with the daemon */
};

struct settings {
	const char *listen;
	const char *run_dir;
	const char *user;
};

static const char index_page[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><title>Portcullis</title>\n"
    "<h1>Portcullis</h1>\n<p><a href=\"/metrics\">metrics</a></p></html>\n";

/* ---- pages ----------------------------------------------------------- */

/* The daemon's text, or that there is none. Fresh memory. */
static char *fetch_metrics(const char *socket_path, size_t *ret_len)
{
	char *const argv[] = { "metrics", NULL };
	char *text = NULL;
	int code = EXIT_failed, err;
	FILE *out;

	out = open_memstream(&text, ret_len);
	if (!out)
		return NULL;
	err = control_call(socket_path, 1, argv, NULL, 0, PATIENCE_MS, out,
			   NULL, &code);
	if (!err && code == EXIT_done) {
		if (!fclose(out))
			return text;
		free(text);
		return NULL;
	}
	/* Half an answer is none. */
	fclose(out);
	free(text);
	text = NULL;
	out = open_memstream(&text, ret_len);
	if (!out)
		return NULL;
	metrics_down(out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static enum MHD_Result answer(struct MHD_Connection *connection,
			      unsigned int status, const char *type, char *text,
			      size_t len, enum MHD_ResponseMemoryMode memory)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(len, text, memory);
	if (!response) {
		if (memory == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *connection,
			   unsigned int status, const char *type,
			   const char *text)
{
	return answer(connection, status, type, (char *)text, strlen(text),
		      MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	const char *socket_path = arg;
	size_t len = 0;
	char *text;

	(void)version;
	(void)upload;
	/* First called when only the head is there: an answer now would close
	 * the connection before a body has been read. */
	if (!*state) {
		*state = arg;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			   "text/plain", "only GET and HEAD\n");
	if (!strcmp(url, "/"))
		return say(connection, MHD_HTTP_OK, "text/html; charset=utf-8",
			   index_page);
	if (strcmp(url, "/metrics"))
		return say(connection, MHD_HTTP_NOT_FOUND, "text/plain",
			   "there is / and /metrics\n");
	text = fetch_metrics(socket_path, &len);
	if (!text)
		return MHD_NO;
	return answer(connection, MHD_HTTP_OK, METRICS_TYPE, text, len,
		      MHD_RESPMEM_MUST_FREE);
}

/* ---- start ----------------------------------------------------------- */

/* "127.0.0.1:9917", "[::1]:9917" */
static bool parse_address(const char *text, struct sockaddr_storage *address,
			  socklen_t *ret_len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	unsigned long port;
	size_t len;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	len = colon - text;
	if (*end || port > 65535 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*address = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*ret_len = sizeof(*v4);
		return true;
	}
	if (len < 3 || host[0] != '[' || host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	*ret_len = sizeof(*v6);
	return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
}

static int open_listener(const char *text)
{
	struct sockaddr_storage address;
	int fd, on = 1;
	socklen_t len;

	if (!parse_address(text, &address, &len))
		fatal(
		    EXIT_usage,
		    "--listen wants ADDRESS:PORT, as 127.0.0.1:9917 or [::1]:9917, not `%s`",
		    text);
	fd = socket(address.ss_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fatal(EXIT_failed, "cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 64)) {
		if (errno == EADDRINUSE)
			fatal(
			    EXIT_failed,
			    "%s is taken by another program: choose another address with --listen",
			    text);
		fatal(
		    errno == EACCES ? EXIT_not_permitted : EXIT_failed,
		    "cannot listen on %s: %s: choose another address with --listen",
		    text, strerror(errno));
	}
	return fd;
}

/* Capabilities too, so that `setcap` or a generous service manager give none.
 */
static void drop_privileges(const char *user_name)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };
	struct passwd *user;

	if (geteuid() == 0) {
		user = getpwnam(user_name);
		if (!user || !user->pw_uid)
			fatal(
			    EXIT_failed,
			    "there is no user `%s` without privileges: name one with --user",
			    user_name);
		if (setgroups(0, NULL) || setgid(user->pw_gid) ||
		    setuid(user->pw_uid))
			fatal(EXIT_failed, "cannot become %s: %s", user_name,
			      strerror(errno));
	}
	if (syscall(SYS_capset, &head, none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fatal(EXIT_failed, "cannot give privileges up: %s",
		      strerror(errno));
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static struct MHD_Daemon *open_server(int listener, char *socket_path)
{
	return MHD_start_daemon(
	    MHD_USE_EPOLL, 0, NULL, NULL, on_request, socket_path,
	    MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned int)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned int)TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)32768, MHD_OPTION_END);
}

/* ---- loop ------------------------------------------------------------ */

static int serve(struct MHD_Daemon *server, int signal_fd)
{
	const union MHD_DaemonInfo *info;
	MHD_UNSIGNED_LONG_LONG due;
	struct pollfd fds[2];
	int wait_ms;

	info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info) {
		log_warnx("libmicrohttpd has no epoll here");
		return EXIT_failed;
	}
	fds[0] = (struct pollfd){ .fd = info->epoll_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
	for (;;) {
		wait_ms = 1000;
		if (MHD_get_timeout(server, &due) == MHD_YES && due < 1000)
			wait_ms = due;
		if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
			log_warn("cannot wait for requests");
			return EXIT_failed;
		}
		if (fds[1].revents)
			return EXIT_done;
		MHD_run(server);
	}
}

/* ---- options --------------------------------------------------------- */

static const char help[] =
    "Usage: portcullis-exporter [OPTION]...\n"
    "Serves the metrics of portcullisd at http://ADDRESS:PORT/metrics.\n"
    "\n"
    "  --listen ADDRESS:PORT  (127.0.0.1:9917)\n"
    "  --run-dir DIR          of the daemon ($PORTCULLIS_RUN_DIR, " FILES_RUN_DIR
    ")\n"
    "  --user NAME            to become when started as root (nobody)\n"
    "  --version, --help\n";

static void leave_with(const char *text)
{
	fputs(text, stdout);
	exit(fflush(stdout) ? EXIT_failed : EXIT_done);
}

static void read_options(struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "user", required_argument, NULL, 'u' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*settings =
	    (struct settings){ .listen = "127.0.0.1:9917", .user = "nobody" };
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'l':
			settings->listen = optarg;
			break;
		case 'r':
			settings->run_dir = optarg;
			break;
		case 'u':
			settings->user = optarg;
			break;
		case 'v':
			leave_with("portcullis-exporter " PORTCULLIS_VERSION
				   "\n");
			break;
		case 'h':
			leave_with(help);
			break;
		default:
			exit(EXIT_usage); /* getopt has said why */
		}
	}
	if (optind < argc)
		fatal(EXIT_usage,
		      "`%s` is no option: see portcullis-exporter --help",
		      argv[optind]);
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *socket_path = NULL;
	struct MHD_Daemon *server;
	struct settings settings;
	int listener, signal_fd, code;

	log_open("portcullis-exporter", false);
	read_options(&settings, argc, argv);
	socket_path =
	    files_name("%s/metrics.sock", files_run_dir(settings.run_dir));
	listener = open_listener(settings.listen);
	drop_privileges(settings.user);
	signal_fd = open_signals();
	server = socket_path ? open_server(listener, socket_path) : NULL;
	if (!server || signal_fd < 0)
		fatal(EXIT_failed, "cannot start the server on %s",
		      settings.listen);
	log_info("http://%s/metrics", settings.listen);
	code = serve(server, signal_fd);
	MHD_stop_daemon(server);
	close(signal_fd);
	return code;
}
