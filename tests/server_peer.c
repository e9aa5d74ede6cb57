/* SPDX-License-Identifier: GPL-2.0-only */
/* A Modbus server for thousands of connections and pipelined requests, which
 * libmodbus does not take (select() and one request at a time).
 *
 *   server_peer PORT [dribble]     dribble: answers go out byte by byte
 *
 * At SIGTERM it says what it has seen, one line: connections, how many at
 * once, requests, writes among them, bytes, connections that broke the
 * framing, connections that ended by an RST. SIGUSR1: the same, and goes on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROOM = 65536,
	EVENTS = 256,
	HEAD = 6,
	LONGEST = 260,
};

struct connection {
	int fd;
	size_t len;
	uint8_t bytes[LONGEST];
};

static struct {
	unsigned long accepted, open, most, requests, writes, bytes, broken,
	    resets;
} seen;
static bool dribbles;

static void say_seen(void)
{
	printf(
	    "accepted %lu most %lu requests %lu writes %lu bytes %lu broken %lu resets %lu open %lu\n",
	    seen.accepted, seen.most, seen.requests, seen.writes, seen.bytes,
	    seen.broken, seen.resets, seen.open);
	fflush(stdout);
}

static unsigned int word(const uint8_t *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

/* Register N holds N, all coils are 0. Returns the length of the answer. */
static size_t make_answer(const uint8_t *ask, uint8_t *answer)
{
	unsigned int at = word(ask + 8), n = word(ask + 10), i;
	size_t len;

	memcpy(answer, ask, 8);
	switch (ask[7]) {
	case 1:
	case 2:
		answer[8] = (n + 7) / 8;
		memset(answer + 9, 0, answer[8]);
		len = 9 + answer[8];
		break;
	case 3:
	case 4:
		answer[8] = n * 2;
		for (i = 0; i < n; i++) {
			answer[9 + i * 2] = (at + i) >> 8;
			answer[10 + i * 2] = at + i;
		}
		len = 9 + n * 2;
		break;
	default: /* of a write: its address, and value or number */
		seen.writes++;
		memcpy(answer + 8, ask + 8, 4);
		len = 12;
	}
	answer[4] = (len - HEAD) >> 8;
	answer[5] = len - HEAD;
	return len;
}

static bool send_all(int fd, const uint8_t *bytes, size_t len)
{
	size_t piece, at;
	ssize_t n;

	for (at = 0; at < len; at += n) {
		piece = dribbles ? 1 : len - at;
		n = send(fd, bytes + at, piece, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		if (dribbles)
			usleep(300);
	}
	return true;
}

/* Answers what is whole. False: not Modbus, or nobody there. */
static bool take(struct connection *c, const uint8_t *bytes, size_t len,
		 uint8_t *out)
{
	size_t made = 0, want, part;

	while (len) {
		want = c->len < HEAD ? HEAD : HEAD + word(c->bytes + 4);
		part = want - c->len < len ? want - c->len : len;
		memcpy(c->bytes + c->len, bytes, part);
		c->len += part;
		bytes += part;
		len -= part;
		if (c->len < HEAD)
			break;
		want = HEAD + word(c->bytes + 4);
		if (word(c->bytes + 2) || want < 12 || want > LONGEST) {
			seen.broken++;
			return false;
		}
		if (c->len < want)
			continue;
		seen.requests++;
		c->len = 0;
		made += make_answer(c->bytes, out + made);
		if (made > ROOM - LONGEST || !len) {
			if (!send_all(c->fd, out, made))
				return false;
			made = 0;
		}
	}
	return !made || send_all(c->fd, out, made);
}

static void serve(struct connection *c)
{
	static uint8_t in[ROOM], out[ROOM];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		seen.bytes += n;
		if (take(c, in, n, out))
			return;
	} else if (n < 0) {
		seen.resets++;
	}
	seen.open--;
	close(c->fd);
	free(c);
}

static void welcome(int listener, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct connection *c = calloc(1, sizeof(*c));
	int one = 1;

	c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd < 0) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event.data.ptr = c;
	epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
	seen.accepted++;
	if (++seen.open > seen.most)
		seen.most = seen.open;
}

static int open_listener(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&any, sizeof(any)) || listen(fd, 4096)) {
		perror("server_peer: cannot listen");
		exit(1);
	}
	return fd;
}

static int open_signals(void)
{
	struct rlimit files = { 65536, 65536 };
	sigset_t set;

	setrlimit(RLIMIT_NOFILE, &files);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	int signals = open_signals(), epoll = epoll_create1(0), listener, n, i;
	struct epoll_event event = { .events = EPOLLIN }, events[EVENTS];
	struct signalfd_siginfo info;

	if (argc < 2)
		return 2;
	dribbles = argc > 2 && !strcmp(argv[2], "dribble");
	listener = open_listener(atoi(argv[1]));
	event.data.ptr = &listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	event.data.ptr = &signals;
	epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event);
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == &listener) {
				welcome(listener, epoll);
			} else if (events[i].data.ptr != &signals) {
				serve(events[i].data.ptr);
			} else if (read(signals, &info, sizeof(info)) > 0) {
				say_seen();
				if (info.ssi_signo == SIGTERM)
					return 0;
			}
		}
	}
}
