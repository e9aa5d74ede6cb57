/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"

int control_make(int argc, char *const argv[], const char *body,
		 size_t body_len, char **ret_bytes, size_t *ret_size)
{
	struct control_head head = { .magic = CONTROL_MAGIC, .argc = argc };
	size_t args_len = 0, size, len;
	char *bytes, *at;
	int i;

	for (i = 0; i < argc; i++)
		args_len += strlen(argv[i]) + 1;
	if (argc < 1 || argc > CONTROL_ARGS || args_len > CONTROL_ARGS_BYTES ||
	    body_len > CONTROL_BODY_BYTES)
		return -E2BIG;
	head.args_len = args_len;
	head.body_len = body_len;
	size = sizeof(head) + args_len + body_len;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &head, sizeof(head));
	at = bytes + sizeof(head);
	for (i = 0; i < argc; i++) {
		len = strlen(argv[i]) + 1;
		memcpy(at, argv[i], len);
		at += len;
	}
	if (body_len)
		memcpy(at, body, body_len);
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

static int wait_for(int fd, short events, int patience_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&poll_fd, 1, patience_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int send_all(int fd, const char *bytes, size_t len, int patience_ms)
{
	ssize_t n;
	int err;

	while (len) {
		err = wait_for(fd, POLLOUT, patience_ms);
		if (err)
			return err;
		n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* Refused before it was read: the answer says why. */
		if (n < 0 && errno == EPIPE)
			return 0;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= n;
	}
	return 0;
}

static int receive_all(int fd, void *into, size_t len, int patience_ms)
{
	char *bytes = into;
	ssize_t n;
	int err;

	while (len) {
		err = wait_for(fd, POLLIN, patience_ms);
		if (err)
			return err;
		n = recv(fd, bytes, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		bytes += n;
		len -= n;
	}
	return 0;
}

static int copy_text(int fd, size_t len, int patience_ms, FILE *to)
{
	char bytes[16384];
	size_t part;
	int err;

	while (len) {
		part = len < sizeof(bytes) ? len : sizeof(bytes);
		err = receive_all(fd, bytes, part, patience_ms);
		if (err)
			return err;
		if (to)
			fwrite(bytes, 1, part, to);
		len -= part;
	}
	if (to && fflush(to))
		return -errno;
	return 0;
}

static int read_answer(int fd, int patience_ms, FILE *out, FILE *err_out,
		       int *ret_exit)
{
	struct control_frame frame;
	int32_t code;
	int err;

	for (;;) {
		err = receive_all(fd, &frame, sizeof(frame), patience_ms);
		if (err)
			return err;
		switch (frame.kind) {
		case CONTROL_out:
			err = copy_text(fd, frame.len, patience_ms, out);
			break;
		case CONTROL_err:
			err = copy_text(fd, frame.len, patience_ms, err_out);
			break;
		case CONTROL_exit:
			if (frame.len != sizeof(code))
				return -EPROTO;
			err = receive_all(fd, &code, sizeof(code), patience_ms);
			if (!err)
				*ret_exit = code;
			return err;
		default:
			return -EPROTO;
		}
		if (err)
			return err;
	}
}

static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return take_fd(&fd);
}

int control_call(const char *socket_path, int argc, char *const argv[],
		 const char *body, size_t body_len, int patience_ms, FILE *out,
		 FILE *err_out, int *ret_exit)
{
	_cleanup_free_ char *bytes = NULL;
	_cleanup_close_ int fd = -1;
	size_t size;
	int err;

	err = control_make(argc, argv, body, body_len, &bytes, &size);
	if (err)
		return err;
	fd = connect_to(socket_path);
	if (fd < 0)
		return fd;
	err = send_all(fd, bytes, size, patience_ms);
	if (err)
		return err;
	return read_answer(fd, patience_ms, out, err_out, ret_exit);
}
