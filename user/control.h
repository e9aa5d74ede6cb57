/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket: how the CLI and the exporter talk to the daemon.
 *
 * One request a connection. It is a struct control_head, `args_len` bytes of
 * words (each ends in a NUL), `body_len` bytes of body. The answer is a run of
 * struct control_frame, each followed by its bytes: text for standard output,
 * text for standard error, and last the exit code (4 bytes). `watch` goes on
 * sending text until one side leaves. Host byte order: both ends are one
 * machine.
 *
 * Two sockets stand in the run folder. control.sock (0660, group portcullis if
 * there is one) takes everything; who may change is decided by peer
 * credentials: root, or a member of that group. metrics.sock (0666) answers
 * `metrics` and `ping` only, so that the exporter needs no right to change
 * anything.
 */
#ifndef PORTCULLIS_CONTROL_H
#define PORTCULLIS_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CONTROL_MAGIC 0x31434350U /* "PCC1" */
#define CONTROL_GROUP "portcullis"

enum {
	CONTROL_ARGS = 256,
	CONTROL_ARGS_BYTES = 64 << 10,
	CONTROL_BODY_BYTES = 4 << 20,
	CONTROL_CLIENTS = 32,	       /* of control.sock */
	CONTROL_METRICS_CLIENTS = 8,   /* of metrics.sock */
	CONTROL_HELD_BYTES = 16 << 20, /* of requests not yet whole */
	CONTROL_WATCH_BYTES = 1 << 20, /* a slow reader of `watch` may owe */
	CONTROL_FDS = CONTROL_CLIENTS + CONTROL_METRICS_CLIENTS + 2,
};

/* Exit codes, everywhere the same. */
enum {
	EXIT_done = 0,
	EXIT_failed = 1,
	EXIT_usage = 2,
	EXIT_policy = 3,
	EXIT_differs = 4,
	EXIT_not_permitted = 5,
	EXIT_no_daemon = 6,
};

struct control_head {
	uint32_t magic;
	uint32_t argc;
	uint32_t args_len;
	uint32_t body_len;
};
_Static_assert(sizeof(struct control_head) == 16, "control_head");

enum control_kind {
	CONTROL_out = 1,
	CONTROL_err = 2,
	CONTROL_exit = 3,
};

struct control_frame {
	uint32_t kind; /* enum control_kind */
	uint32_t len;
};
_Static_assert(sizeof(struct control_frame) == 8, "control_frame");

struct control_request {
	int argc;
	char *argv[CONTROL_ARGS + 1]; /* into the buffer that was parsed */
	const char *body;
	size_t body_len;
	/* of the peer */
	uid_t uid;
	pid_t pid;
	bool may_change;
	bool metrics_only;
};

/* How many bytes the request that begins here has in all: 0 as long as its
 * head is not whole, -EPROTO if it can not be one, -E2BIG if it is too large.
 */
ssize_t control_size(const void *bytes, size_t len);
/* Splits a whole request of `size` bytes. 0 / -EPROTO. */
int control_parse(char *bytes, size_t size, struct control_request *request);
/* A request as bytes in fresh memory. 0, -E2BIG, -ENOMEM. */
int control_make(int argc, char *const argv[], const char *body,
		 size_t body_len, char **ret_bytes, size_t *ret_size);

/* ---- daemon ---------------------------------------------------------- */

struct control;

struct control_reply {
	FILE *out;
	FILE *err;
	int exit;
	bool watch; /* goes on: lines of control_publish() follow */
	bool watch_json;
	bool hold; /* goes on: control_end() gives the exit code */
};
typedef void control_handler(const struct control_request *request,
			     struct control_reply *reply, void *arg);

/* Puts up both sockets in `run_dir`, which is there. NULL and errno. */
struct control *control_open(const char *run_dir, control_handler *handler,
			     void *arg);
void control_close(struct control *control);
/* The end: who watches hears that, who is held gets `code`. */
void control_end(struct control *control, int code);
/* Fills up to CONTROL_FDS rows; returns how many. */
size_t control_poll(struct control *control, struct pollfd *fds);
/* Does what the rows of control_poll() came back with, and sends away who is
 * too slow. `now_ms` only moves forward. Never blocks. */
void control_run(struct control *control, const struct pollfd *fds, size_t n,
		 uint64_t now_ms);
/* To everyone who watches: a JSON line or a line of text, with newlines. */
void control_publish(struct control *control, const char *json, size_t json_len,
		     const char *text, size_t text_len);
size_t control_watchers(const struct control *control);

/* ---- clients --------------------------------------------------------- */

enum { CONTROL_PATIENCE_MS = 60000 };

/* Asks and copies the answer to `out` and `err` as it comes. 0 and *ret_exit,
 * or what went wrong: -ENOENT and -ECONNREFUSED: no daemon; -EACCES;
 * -ETIMEDOUT: nothing came for `patience_ms` (-1: no bound); -ECONNRESET:
 * the daemon left in the middle; -EPROTO. */
int control_call(const char *socket_path, int argc, char *const argv[],
		 const char *body, size_t body_len, int patience_ms, FILE *out,
		 FILE *err, int *ret_exit);

#endif
