/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "files.h"

enum {
	ASK_MS = 10000,	   /* a request must be whole within */
	ANSWER_MS = 30000, /* and each part of the answer be taken within */
};

struct client {
	int fd; /* -1: a free place */
	bool metrics_only;
	bool may_change;
	bool answered; /* what is in `out` ends the conversation */
	bool watching;
	bool watch_json;
	bool held;
	struct ucred peer;
	uint64_t deadline_ms;
	char *in;
	size_t in_len;
	size_t in_size;
	char *out;
	size_t out_at;
	size_t out_len;
	size_t out_size;
	uint64_t missed; /* lines that a slow watcher did not get */
};

struct control {
	int fd;
	int metrics_fd;
	char *path;
	char *metrics_path;
	gid_t group;
	bool has_group;
	control_handler *handler;
	void *arg;
	uint64_t now_ms;
	size_t held; /* bytes of requests not yet whole */
	struct client clients[CONTROL_CLIENTS + CONTROL_METRICS_CLIENTS];
};

#define N_CLIENTS (CONTROL_CLIENTS + CONTROL_METRICS_CLIENTS)

/* ---- requests -------------------------------------------------------- */

ssize_t control_size(const void *bytes, size_t len)
{
	struct control_head head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != CONTROL_MAGIC || !head.argc ||
	    head.args_len < head.argc)
		return -EPROTO;
	if (head.argc > CONTROL_ARGS || head.args_len > CONTROL_ARGS_BYTES ||
	    head.body_len > CONTROL_BODY_BYTES)
		return -E2BIG;
	return sizeof(head) + head.args_len + head.body_len;
}

int control_parse(char *bytes, size_t size, struct control_request *request)
{
	struct control_head head;
	char *at, *end, *next;
	uint32_t i;

	if (size < sizeof(head) || control_size(bytes, size) != (ssize_t)size)
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	at = bytes + sizeof(head);
	end = at + head.args_len;
	for (i = 0; i < head.argc; i++) {
		next = memchr(at, '\0', end - at);
		if (!next)
			return -EPROTO;
		request->argv[i] = at;
		at = next + 1;
	}
	if (at != end)
		return -EPROTO;
	request->argv[i] = NULL;
	request->argc = head.argc;
	request->body = end;
	request->body_len = head.body_len;
	return 0;
}

/* ---- answers --------------------------------------------------------- */

static void client_drop(struct control *control, struct client *client)
{
	control->held -= client->in_size;
	close(client->fd);
	free(client->in);
	free(client->out);
	*client = (struct client){ .fd = -1 };
}

static bool out_add(struct client *client, const void *bytes, size_t len)
{
	size_t size = client->out_size ? client->out_size : 4096;
	char *more;

	if (client->out_at && client->out_at == client->out_len)
		client->out_at = client->out_len = 0;
	while (size - client->out_len < len)
		size *= 2;
	if (size != client->out_size) {
		more = realloc(client->out, size);
		if (!more)
			return false;
		client->out = more;
		client->out_size = size;
	}
	memcpy(client->out + client->out_len, bytes, len);
	client->out_len += len;
	return true;
}

static bool out_frame(struct client *client, enum control_kind kind,
		      const void *bytes, size_t len)
{
	struct control_frame frame = { .kind = kind, .len = len };

	return out_add(client, &frame, sizeof(frame)) &&
	       out_add(client, bytes, len);
}

static bool out_exit(struct client *client, int code)
{
	int32_t value = code;

	client->answered = true;
	return out_frame(client, CONTROL_exit, &value, sizeof(value));
}

/* Sends what the socket takes. False: the client is gone or done. */
static bool client_send(struct control *control, struct client *client)
{
	ssize_t n;

	while (client->out_at < client->out_len) {
		n = send(client->fd, client->out + client->out_at,
			 client->out_len - client->out_at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		client->out_at += n;
		client->deadline_ms = control->now_ms + ANSWER_MS;
	}
	return !client->answered;
}

static void client_refuse(struct control *control, struct client *client,
			  const char *line, int code)
{
	client->answered = true;
	client->deadline_ms = control->now_ms + ANSWER_MS;
	if (!out_frame(client, CONTROL_err, line, strlen(line)) ||
	    !out_exit(client, code) || !client_send(control, client))
		client_drop(control, client);
}

/* Runs the handler and puts its words into frames. False: no memory. */
static bool run_handler(struct control *control, struct client *client,
			const struct control_request *request)
{
	struct control_reply reply = { .exit = EXIT_failed };
	_cleanup_free_ char *out = NULL;
	_cleanup_free_ char *err = NULL;
	size_t out_len = 0, err_len = 0;
	bool good;

	reply.out = open_memstream(&out, &out_len);
	reply.err = open_memstream(&err, &err_len);
	if (reply.out && reply.err)
		control->handler(request, &reply, control->arg);
	good = reply.out && reply.err;
	if (reply.out && fclose(reply.out))
		good = false;
	if (reply.err && fclose(reply.err))
		good = false;
	if (good && out_len)
		good = out_frame(client, CONTROL_out, out, out_len);
	if (good && err_len)
		good = out_frame(client, CONTROL_err, err, err_len);
	client->watching = good && reply.watch;
	client->watch_json = reply.watch_json;
	client->held = good && reply.hold;
	return good && (client->watching || client->held ||
			out_exit(client, reply.exit));
}

static void client_serve(struct control *control, struct client *client)
{
	struct control_request request = {
		.uid = client->peer.uid,
		.pid = client->peer.pid,
		.may_change = client->may_change,
		.metrics_only = client->metrics_only,
	};
	bool good;

	if (control_parse(client->in, client->in_len, &request)) {
		client_refuse(control, client,
			      "portcullisd: that was no request\n",
			      EXIT_failed);
		return;
	}
	good = run_handler(control, client, &request);
	free(client->in);
	client->in = NULL;
	control->held -= client->in_size;
	client->in_size = client->in_len = 0;
	client->deadline_ms = control->now_ms + ANSWER_MS;
	if (!good || !client_send(control, client))
		client_drop(control, client);
}

/* ---- reading --------------------------------------------------------- */

/* Memory follows what has come, not what a head promises. */
static bool in_reserve(struct control *control, struct client *client,
		       size_t most)
{
	size_t size = client->in_size ? client->in_size * 2 : 4096;
	char *more;

	if (client->in_size > client->in_len)
		return true;
	if (size > most)
		size = most;
	if (control->held + size - client->in_size > CONTROL_HELD_BYTES)
		return false;
	more = realloc(client->in, size);
	if (!more)
		return false;
	control->held += size - client->in_size;
	client->in = more;
	client->in_size = size;
	return true;
}

static void client_read(struct control *control, struct client *client)
{
	size_t most = sizeof(struct control_head);
	ssize_t size, n;

	for (;;) {
		size = control_size(client->in, client->in_len);
		if (size > 0)
			most = size;
		if (size < 0 || (client->metrics_only && most > 4096)) {
			client_refuse(
			    control, client,
			    size == -E2BIG
				? "portcullisd: the request is too large\n"
				: "portcullisd: that was no request\n",
			    EXIT_failed);
			return;
		}
		if (size && client->in_len == most) {
			client_serve(control, client);
			return;
		}
		if (!in_reserve(control, client, most)) {
			client_refuse(
			    control, client,
			    "portcullisd: too many large requests at once: try again\n",
			    EXIT_failed);
			return;
		}
		n = most < client->in_size ? most : client->in_size;
		n = recv(client->fd, client->in + client->in_len,
			 n - client->in_len, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client_drop(control, client);
			return;
		}
		client->in_len += n;
	}
}

/* A watcher says nothing more; one that has left is let go. */
static void client_listen(struct control *control, struct client *client)
{
	char byte;
	ssize_t n;

	n = recv(client->fd, &byte, 1, MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	client_drop(control, client);
}

/* ---- who ------------------------------------------------------------- */

static bool is_member(const struct control *control, int fd,
		      const struct ucred *peer)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);
	size_t i;

	if (!control->has_group)
		return false;
	if (peer->gid == control->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == control->group)
			return true;
	}
	return false;
}

static struct client *free_client(struct control *control, bool metrics_only)
{
	size_t first = metrics_only ? CONTROL_CLIENTS : 0;
	size_t end = metrics_only ? N_CLIENTS : CONTROL_CLIENTS;

	for (; first < end; first++) {
		if (control->clients[first].fd < 0)
			return &control->clients[first];
	}
	return NULL;
}

static void client_accept(struct control *control, bool metrics_only)
{
	struct client *client = free_client(control, metrics_only);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	_cleanup_close_ int fd = -1;

	fd = accept4(metrics_only ? control->metrics_fd : control->fd, NULL,
		     NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || !client)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return;
	*client = (struct client){
		.metrics_only = metrics_only,
		.peer = peer,
		.deadline_ms = control->now_ms + ASK_MS,
	};
	client->may_change =
	    !metrics_only && (peer.uid == 0 || peer.uid == geteuid() ||
			      is_member(control, fd, &peer));
	client->fd = take_fd(&fd);
}

/* ---- sockets --------------------------------------------------------- */

static int listen_at(const char *path, mode_t mode,
		     const struct control *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* The lock on the run folder is held: nobody listens here. */
	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Born closed to everyone else, opened when its group is right. */
	if (fchmod(fd, 0600) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	if (control->has_group && chown(path, -1, control->group) &&
	    errno != EPERM)
		return -errno;
	if (chmod(path, mode) || listen(fd, 16))
		return -errno;
	return take_fd(&fd);
}

struct control *control_open(const char *run_dir, control_handler *handler,
			     void *arg)
{
	struct control *control = calloc(1, sizeof(*control));
	struct group *group = getgrnam(CONTROL_GROUP);
	size_t i;

	if (!control)
		return NULL;
	control->fd = control->metrics_fd = -1;
	control->handler = handler;
	control->arg = arg;
	control->has_group = group != NULL;
	control->group = group ? group->gr_gid : 0;
	for (i = 0; i < N_CLIENTS; i++)
		control->clients[i].fd = -1;
	control->path = files_name("%s/control.sock", run_dir);
	control->metrics_path = files_name("%s/metrics.sock", run_dir);
	if (!control->path || !control->metrics_path) {
		errno = ENOMEM;
		goto err_free;
	}
	control->fd = listen_at(control->path, 0660, control);
	if (control->fd < 0) {
		errno = -control->fd;
		goto err_free;
	}
	control->metrics_fd = listen_at(control->metrics_path, 0666, control);
	if (control->metrics_fd < 0) {
		errno = -control->metrics_fd;
		goto err_close;
	}
	return control;

err_close:
	close(control->fd);
	unlink(control->path);
err_free:
	free(control->path);
	free(control->metrics_path);
	free(control);
	return NULL;
}

void control_close(struct control *control)
{
	size_t i;

	if (!control)
		return;
	for (i = 0; i < N_CLIENTS; i++) {
		if (control->clients[i].fd >= 0)
			client_drop(control, &control->clients[i]);
	}
	close(control->fd);
	close(control->metrics_fd);
	unlink(control->path);
	unlink(control->metrics_path);
	free(control->path);
	free(control->metrics_path);
	free(control);
}

/* ---- loop ------------------------------------------------------------ */

size_t control_poll(struct control *control, struct pollfd *fds)
{
	const struct client *client;
	size_t i, n = 0;

	/* Without a free place callers wait in the queue of the socket. */
	fds[n++] = (struct pollfd){
		.fd = free_client(control, false) ? control->fd : -1,
		.events = POLLIN,
	};
	fds[n++] = (struct pollfd){
		.fd = free_client(control, true) ? control->metrics_fd : -1,
		.events = POLLIN,
	};
	for (i = 0; i < N_CLIENTS; i++) {
		client = &control->clients[i];
		fds[n++] = (struct pollfd){
			.fd = client->fd,
			.events =
			    client->out_at < client->out_len ? POLLOUT : POLLIN,
		};
	}
	return n;
}

static void client_run(struct control *control, struct client *client,
		       short events)
{
	if (events && client->out_at < client->out_len) {
		if (!client_send(control, client))
			client_drop(control, client);
	} else if (events && (client->watching || client->held)) {
		client_listen(control, client);
	} else if (events) {
		client_read(control, client);
	}
	if (client->fd < 0 || control->now_ms < client->deadline_ms)
		return;
	/* A watcher that owes nothing may wait for ever. */
	if ((client->watching || client->held) &&
	    client->out_at == client->out_len)
		return;
	client_drop(control, client);
}

void control_run(struct control *control, const struct pollfd *fds, size_t n,
		 uint64_t now_ms)
{
	size_t i;

	control->now_ms = now_ms;
	for (i = 0; i < N_CLIENTS && i + 2 < n; i++) {
		if (control->clients[i].fd >= 0 &&
		    control->clients[i].fd == fds[i + 2].fd)
			client_run(control, &control->clients[i],
				   fds[i + 2].revents);
	}
	if (n > 0 && fds[0].revents)
		client_accept(control, false);
	if (n > 1 && fds[1].revents)
		client_accept(control, true);
}

static void say_missed(struct client *client)
{
	char line[80];
	int len;

	len = snprintf(
	    line, sizeof(line),
	    "portcullisd: %llu events were not shown: the reader is too slow\n",
	    (unsigned long long)client->missed);
	if (out_frame(client, CONTROL_err, line, len))
		client->missed = 0;
}

void control_publish(struct control *control, const char *json, size_t json_len,
		     const char *text, size_t text_len)
{
	struct client *client;
	size_t i, len;

	for (i = 0; i < N_CLIENTS; i++) {
		client = &control->clients[i];
		if (client->fd < 0 || !client->watching)
			continue;
		len = client->watch_json ? json_len : text_len;
		if (client->out_at == client->out_len)
			client->deadline_ms = control->now_ms + ANSWER_MS;
		if (client->out_len + len > CONTROL_WATCH_BYTES) {
			client->missed++;
			continue;
		}
		if (client->missed)
			say_missed(client);
		if (!out_frame(client, CONTROL_out,
			       client->watch_json ? json : text, len) ||
		    !client_send(control, client))
			client_drop(control, client);
	}
}

void control_end(struct control *control, int code)
{
	static const char line[] = "portcullisd: stopped\n";
	struct client *client;
	size_t i;

	for (i = 0; i < N_CLIENTS; i++) {
		client = &control->clients[i];
		if (client->fd < 0 || !(client->watching || client->held))
			continue;
		if (client->watching)
			client_refuse(control, client, line, EXIT_no_daemon);
		else if (!out_exit(client, code) ||
			 !client_send(control, client))
			client_drop(control, client);
	}
}

size_t control_watchers(const struct control *control)
{
	size_t i, n = 0;

	for (i = 0; i < N_CLIENTS; i++)
		n +=
		    control->clients[i].fd >= 0 && control->clients[i].watching;
	return n;
}
