/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket: requests taken apart, answers that come whole, and
 * clients that are slow, silent, rude or not entitled.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "files.h"
#include "tap.h"

/* ---- requests -------------------------------------------------------- */

static void test_parse(void)
{
	char *const argv[] = { "apply", "--json", "", "x", NULL };
	struct control_request request;
	_cleanup_free_ char *bytes = NULL;
	_cleanup_free_ char *copy = NULL;
	struct control_head head;
	size_t size, i;

	check(!control_make(4, argv, "body", 4, &bytes, &size), "makes");
	check(control_size(bytes, 15) == 0, "a head that is not whole");
	check(control_size(bytes, 16) == (ssize_t)size, "its size");
	copy = malloc(size);
	memcpy(copy, bytes, size);
	check(!control_parse(copy, size, &request), "parses");
	check(request.argc == 4 && !strcmp(request.argv[0], "apply") &&
		  !strcmp(request.argv[1], "--json") && !*request.argv[2] &&
		  !strcmp(request.argv[3], "x") && !request.argv[4],
	      "its words");
	check(request.body_len == 4 && !memcmp(request.body, "body", 4),
	      "its body");
	for (i = 0; i < size; i++)
		check(control_parse(copy, i, &request) == -EPROTO, "cut at %zu",
		      i);

	memcpy(&head, bytes, sizeof(head));
	head.argc = 3;
	memcpy(copy, &head, sizeof(head));
	check(control_parse(copy, size, &request) == -EPROTO, "too few words");
	head.argc = 5;
	memcpy(copy, &head, sizeof(head));
	check(control_parse(copy, size, &request) == -EPROTO, "too many words");
	head.argc = 0;
	memcpy(copy, &head, sizeof(head));
	check(control_size(copy, size) == -EPROTO, "no word");
	head = (struct control_head){ CONTROL_MAGIC, 1, 2,
				      CONTROL_BODY_BYTES + 1 };
	check(control_size(&head, sizeof(head)) == -E2BIG, "a large body");
	head =
	    (struct control_head){ CONTROL_MAGIC, CONTROL_ARGS + 1, 1000, 0 };
	check(control_size(&head, sizeof(head)) == -E2BIG, "many words");
	head = (struct control_head){ CONTROL_MAGIC + 1, 1, 2, 0 };
	check(control_size(&head, sizeof(head)) == -EPROTO, "another magic");
}

/* ---- a daemon -------------------------------------------------------- */

struct served {
	struct control *control;
	uint64_t now_ms;
	int requests;
	bool may_change;
	bool metrics_only;
	uid_t uid;
	size_t body_len;
};

static void handle(const struct control_request *request,
		   struct control_reply *reply, void *arg)
{
	struct served *served = arg;
	size_t i;

	served->requests++;
	served->may_change = request->may_change;
	served->metrics_only = request->metrics_only;
	served->uid = request->uid;
	served->body_len = request->body_len;
	reply->exit = 4;
	if (!strcmp(request->argv[0], "large")) {
		for (i = 0; i < 1000000; i++)
			fputs("12345678", reply->out);
	} else if (!strcmp(request->argv[0], "watch")) {
		reply->watch = true;
	} else if (!strcmp(request->argv[0], "hold")) {
		reply->hold = true;
	} else {
		fprintf(reply->out, "out %s\n", request->argv[0]);
		fputs("err\n", reply->err);
	}
}

static void turn(struct served *served, int wait_ms)
{
	struct pollfd fds[CONTROL_FDS];
	size_t n = control_poll(served->control, fds);

	poll(fds, n, wait_ms);
	control_run(served->control, fds, n, served->now_ms);
}

/* Turns until the child is done; its exit status, -1 after ten seconds. */
static int serve_child(struct served *served, pid_t child)
{
	int i, status;

	for (i = 0; i < 2000; i++) {
		turn(served, 5);
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return -1;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* In a child: asks, and exits with 0 if all is as it should be. */
static pid_t ask(const char *path, const char *word, size_t body_len,
		 const char *expected, int expected_code)
{
	char *const argv[] = { (char *)word, NULL };
	char *body = calloc(1, body_len + 1), *out = NULL;
	int code = -1, err;
	size_t len;
	FILE *to;
	pid_t child = fork();

	if (child) {
		free(body);
		return child;
	}
	to = open_memstream(&out, &len);
	err = control_call(path, 1, argv, body, body_len, 8000, to, to, &code);
	fclose(to);
	_exit(err || code != expected_code ||
	      (expected && strcmp(out, expected)));
}

static void test_round_trip(struct served *served, const char *path)
{
	pid_t child;

	child = ask(path, "status", 0, "out status\nerr\n", 4);
	check(serve_child(served, child) == 0, "asks and gets an answer");
	check(served->may_change && !served->metrics_only &&
		  served->uid == geteuid(),
	      "who asked is known");
	child = ask(path, "apply", CONTROL_BODY_BYTES, "out apply\nerr\n", 4);
	check(serve_child(served, child) == 0, "a body of the largest size");
	check(served->body_len == CONTROL_BODY_BYTES, "all of it came");
	child = ask(path, "large", 0, NULL, 4);
	check(serve_child(served, child) == 0, "an answer of 8 MB");
}

static void test_metrics_socket(struct served *served, const char *path)
{
	pid_t child = ask(path, "metrics", 0, "out metrics\nerr\n", 4);

	check(serve_child(served, child) == 0, "metrics.sock answers");
	check(served->metrics_only && !served->may_change,
	      "and gives no right to change");
	child = ask(path, "metrics", 8192, NULL, EXIT_failed);
	check(serve_child(served, child) == 0, "and takes no large request");
}

static int ask_as_nobody(const char *control, const char *metrics)
{
	char *const argv[] = { "metrics", NULL };
	int code = -1;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (control_call(control, 1, argv, NULL, 0, 2000, NULL, NULL, &code) !=
	    -EACCES)
		return 2;
	return control_call(metrics, 1, argv, NULL, 0, 2000, NULL, NULL, &code);
}

static void test_nobody(struct served *served, const char *folder,
			const char *control, const char *metrics)
{
	struct stat st;
	pid_t child;

	check(!stat(control, &st) && (st.st_mode & 0777) == 0660, "0660");
	check(!stat(metrics, &st) && (st.st_mode & 0777) == 0666, "0666");
	if (geteuid())
		return;
	chmod(folder, 0755);
	child = fork();
	if (!child)
		_exit(ask_as_nobody(control, metrics));
	check(serve_child(served, child) == 0,
	      "nobody may read metrics and nothing else");
	/* An admin may open the socket to others: they still change nothing. */
	chmod(control, 0666);
	child = fork();
	if (!child)
		_exit(setgid(65534) || setuid(65534) ||
		      ask_as_nobody(metrics, control) == 1);
	served->may_change = true;
	serve_child(served, child);
	check(!served->may_change, "no member, no change");
	chmod(control, 0660);
}

/* What is still there to read aside, the other end has closed. */
static bool is_gone(int fd)
{
	char bytes[4096];
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

/* Bytes after another with silence in between, never a whole request. */
static void test_silent_client(struct served *served, const char *path)
{
	int fd = connect_to(path);
	char byte;

	turn(served, 100);
	check(write(fd, "PC", 2) == 2, "two bytes");
	turn(served, 100);
	served->now_ms += 9000;
	turn(served, 0);
	check(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN,
	      "has ten seconds");
	served->now_ms += 2000;
	turn(served, 0);
	check(is_gone(fd), "then it is sent away");
	close(fd);
}

/* Asks for much and reads nothing: others are served meanwhile. */
static void test_slow_reader(struct served *served, const char *path)
{
	char *const argv[] = { "large", NULL };
	_cleanup_free_ char *bytes = NULL;
	int fd = connect_to(path);
	struct timespec before, after;
	size_t size;
	pid_t child;

	check(!control_make(1, argv, NULL, 0, &bytes, &size) &&
		  write(fd, bytes, size) == (ssize_t)size,
	      "asks");
	clock_gettime(CLOCK_MONOTONIC, &before);
	turn(served, 100);
	turn(served, 100);
	clock_gettime(CLOCK_MONOTONIC, &after);
	check(after.tv_sec - before.tv_sec < 2, "does not block");
	child = ask(path, "status", 0, "out status\nerr\n", 4);
	check(serve_child(served, child) == 0, "another is served");
	served->now_ms += 31000;
	turn(served, 0);
	check(is_gone(fd), "is sent away");
	close(fd);
}

static void test_rubbish(struct served *served, const char *path)
{
	static const char rubbish[64] = "GET / HTTP/1.1\r\n\r\n";
	int fd = connect_to(path), before = served->requests;
	struct control_frame frame;

	check(write(fd, rubbish, sizeof(rubbish)) == sizeof(rubbish), "sends");
	turn(served, 100);
	turn(served, 100);
	check(read(fd, &frame, sizeof(frame)) == sizeof(frame) &&
		  frame.kind == CONTROL_err,
	      "is told so");
	check(served->requests == before, "reaches no handler");
	close(fd);
}

static void test_many_clients(struct served *served, const char *path)
{
	int fds[CONTROL_CLIENTS + 4];
	size_t i, n = sizeof(fds) / sizeof(fds[0]);
	pid_t child;

	for (i = 0; i < 12; i++) {
		fds[i] = connect_to(path);
		turn(served, 20);
	}
	for (; i < n; i++) {
		fds[i] = connect_to(path);
		turn(served, 20);
	}
	check(fds[n - 1] >= 0, "more than there are places may wait");
	served->now_ms += 11000;
	turn(served, 0);
	child = ask(path, "status", 0, "out status\nerr\n", 4);
	check(serve_child(served, child) == 0,
	      "the silent ones made room for one that asks");
	for (i = 0; i < n; i++)
		close(fds[i]);
	turn(served, 20);
}

/* Promises of large requests do not cost memory, their bytes are bounded. */
static void test_held_bytes(struct served *served, const char *path)
{
	struct control_head head = { CONTROL_MAGIC, 1, 2, CONTROL_BODY_BYTES };
	static char part[65536];
	int fds[8], refused = 0;
	struct control_frame frame;
	size_t i, k;

	for (i = 0; i < 8; i++) {
		fds[i] = connect_to(path);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		check(write(fds[i], &head, sizeof(head)) == sizeof(head),
		      "head");
	}
	for (k = 0; k < 62; k++) {
		for (i = 0; i < 8; i++) {
			if (send(fds[i], part, sizeof(part), MSG_NOSIGNAL) < 0)
				continue;
			turn(served, 0);
		}
	}
	for (i = 0; i < 8; i++) {
		if (recv(fds[i], &frame, sizeof(frame), MSG_DONTWAIT) ==
			sizeof(frame) &&
		    frame.kind == CONTROL_err)
			refused++;
		close(fds[i]);
	}
	turn(served, 20);
	check(refused >= 3 && refused < 8, "%d of 8 are refused", refused);
}

static size_t read_some(int fd, char *bytes, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size &&
	       (n = recv(fd, bytes + len, size - len, MSG_DONTWAIT)) > 0)
		len += n;
	return len;
}

static void test_watch(struct served *served, const char *path)
{
	char *const argv[] = { "watch", NULL };
	_cleanup_free_ char *bytes = NULL;
	static char text[8 << 20];
	int fd = connect_to(path);
	size_t size, len, i;

	check(!control_make(1, argv, NULL, 0, &bytes, &size) &&
		  write(fd, bytes, size) == (ssize_t)size,
	      "asks");
	turn(served, 100);
	turn(served, 100);
	check(control_watchers(served->control) == 1, "watches");
	served->now_ms += 3600 * 1000;
	turn(served, 0);
	check(control_watchers(served->control) == 1, "an hour of silence");
	control_publish(served->control, "{}\n", 3, "line\n", 5);
	len = read_some(fd, text, sizeof(text));
	check(len == sizeof(struct control_frame) + 5 &&
		  !memcmp(text + len - 5, "line\n", 5),
	      "gets a line");
	for (i = 0; i < 100000; i++)
		control_publish(served->control, "{}\n", 3,
				"a line of thirty-two characters\n", 32);
	check(control_watchers(served->control) == 1, "a slow one may stay");
	len = 0;
	for (i = 0; i < 20; i++) {
		len += read_some(fd, text + len, sizeof(text) - len);
		turn(served, 10);
	}
	check(len < 100000 * 40, "but misses some: %zu", len);
	control_publish(served->control, "{}\n", 3, "line\n", 5);
	len = read_some(fd, text, sizeof(text) - 1);
	text[len] = '\0';
	check(memmem(text, len, "events were not shown", 21), "and is told");
	close(fd);
	turn(served, 100);
	check(control_watchers(served->control) == 0, "has left");
}

static void test_end(struct served *served, const char *path)
{
	pid_t held = ask(path, "hold", 0, "", 7);
	pid_t watcher =
	    ask(path, "watch", 0, "portcullisd: stopped\n", EXIT_no_daemon);
	int i, status;

	for (i = 0; i < 20; i++)
		turn(served, 10);
	control_end(served->control, 7);
	waitpid(held, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status),
	      "who was held gets the code");
	waitpid(watcher, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status),
	      "who watched hears the end");
}

static void test_no_daemon(const char *control, const char *metrics)
{
	char *const argv[] = { "status", NULL };
	int code;

	check(access(control, F_OK) && access(metrics, F_OK),
	      "closing takes the sockets away");
	check(control_call(control, 1, argv, NULL, 0, 100, NULL, NULL, &code) ==
		  -ENOENT,
	      "nobody there");
}

int main(void)
{
	char folder[] = "/tmp/portcullis-control.XXXXXX";
	struct served served = { .now_ms = 1000 };
	_cleanup_free_ char *control = NULL;
	_cleanup_free_ char *metrics = NULL;

	signal(SIGPIPE, SIG_IGN);
	test_parse();
	if (!check(mkdtemp(folder), "a folder"))
		return tap_summary();
	control = files_name("%s/control.sock", folder);
	metrics = files_name("%s/metrics.sock", folder);
	served.control = control_open(folder, handle, &served);
	if (!check(served.control, "opens"))
		return tap_summary();
	test_round_trip(&served, control);
	test_metrics_socket(&served, metrics);
	test_nobody(&served, folder, control, metrics);
	test_silent_client(&served, control);
	test_slow_reader(&served, control);
	test_rubbish(&served, control);
	test_many_clients(&served, control);
	test_held_bytes(&served, control);
	test_watch(&served, control);
	test_end(&served, control);
	control_close(served.control);
	test_no_daemon(control, metrics);
	check(!rmdir(folder), "leaves nothing behind");
	return tap_summary();
}
