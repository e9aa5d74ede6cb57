/* SPDX-License-Identifier: GPL-2.0-only */
/* Modbus clients that other people's programs are not.
 *
 *   client_peer many ADDRESS PORT CONNECTIONS ROUNDS [PAUSE_MS [FROM]]
 *	All at once, one request each time; ROUNDS 0: until SIGTERM. The first
 *	connection begins its sequence numbers just below the wrap; it comes
 *	from port FROM.
 *   client_peer split ADDRESS PORT
 *	Requests cut in two at every byte, and byte by byte.
 *   client_peer pipeline ADDRESS PORT MESSAGES DEPTH
 *   client_peer switch ADDRESS PORT MESSAGES DEPTH
 *	So many reads, DEPTH of them ahead of their answers; switch then goes
 *	on in SSH, and waits two seconds for what comes of it.
 *   client_peer retry ADDRESS PORT TIMES
 *	A write, until the connection breaks, and again on a new one; then a
 *	read.
 *
 * Each says what came of it in one line of words and numbers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ASK = 12,      /* a read of one register */
	ANSWER = 11,   /* and its answer */
	PATIENCE = 15, /* seconds without any answer */
	WRAP = 90,     /* bytes before the wrap */
};

static struct sockaddr_in server;
static int own_port; /* 0: any */
static volatile sig_atomic_t ending;

static void end(int number)
{
	(void)number;
	ending = 1;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "client_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_ask(uint8_t *ask, unsigned int id)
{
	static const uint8_t head[ASK] = { 0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1 };

	memcpy(ask, head, ASK);
	ask[0] = id >> 8;
	ask[1] = id;
	ask[9] = id & 63;
}

static bool right(const uint8_t *answer, unsigned int id)
{
	const uint8_t good[ANSWER] = { id >> 8, id, 0, 0, 0,	  5,
				       1,	3,  2, 0, id & 63 };

	return !memcmp(answer, good, ANSWER);
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("no socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Segments sent again because they were lost: what the other side had twice was
 * only late. */
static unsigned int lost(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_total_retrans - info.tcpi_dsack_dups;
}

static int dial(void)
{
	struct timeval patience = { PATIENCE, 0 };
	int fd = open_socket();

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (void *)&server, sizeof(server)))
		die("cannot connect");
	return fd;
}

static bool receive(int fd, uint8_t *bytes, size_t len)
{
	return recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len;
}

/* ---- many ------------------------------------------------------------ */

struct line {
	int fd;
	bool open;
	unsigned int id, rounds;
	size_t len;
	double asked, due;
	uint8_t answer[ANSWER];
};

static struct {
	unsigned long connected, answers, broken, lost;
	double slowest;
} many_seen;

/* The send queue's number: set before connect(), asked for after. */
static void set_repair(int fd, int on)
{
	int queue = TCP_SEND_QUEUE;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    (on > 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue,
				  sizeof(queue))))
		die("TCP_REPAIR");
}

static void begin_below_wrap(int fd)
{
	uint32_t seq = -WRAP;

	set_repair(fd, 1);
	if (setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof(seq)))
		die("TCP_QUEUE_SEQ");
	set_repair(fd, TCP_REPAIR_OFF_NO_WP);
}

static bool has_wrapped(int fd)
{
	socklen_t len = sizeof(uint32_t);
	uint32_t seq = -1;

	set_repair(fd, 1);
	getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len);
	set_repair(fd, TCP_REPAIR_OFF_NO_WP);
	return seq < 1U << 31;
}

static void ask(struct line *l, double now)
{
	uint8_t bytes[ASK];

	l->due = 0;
	l->asked = now;
	l->len = 0;
	make_ask(bytes, ++l->id);
	if (send(l->fd, bytes, ASK, MSG_NOSIGNAL) != ASK)
		l->open = false;
}

static void hear(struct line *l, unsigned int rounds, double pause)
{
	double now = now_ms();
	ssize_t n;

	n = recv(l->fd, l->answer + l->len, ANSWER - l->len, MSG_DONTWAIT);
	if (n <= 0 && (n == 0 || errno != EAGAIN)) {
		l->open = false;
		return;
	}
	l->len += n < 0 ? 0 : n;
	if (l->len < ANSWER)
		return;
	if (!right(l->answer, l->id)) {
		l->open = false;
		return;
	}
	many_seen.answers++;
	l->rounds++;
	if (now - l->asked > many_seen.slowest)
		many_seen.slowest = now - l->asked;
	l->len = 0;
	if ((rounds && l->rounds == rounds) || ending)
		l->due = -1; /* done */
	else if (pause > 0)
		l->due = l->asked + pause > now ? l->asked + pause : now;
	else
		ask(l, now);
}

static void begin_first(int fd)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_port = htons(own_port) };

	if (own_port && bind(fd, (void *)&from, sizeof(from)))
		die("cannot take that port");
	begin_below_wrap(fd);
}

static void connect_all(struct line *lines, int n, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	int i;

	for (i = 0; i < n; i++) {
		lines[i].fd = open_socket();
		if (!i)
			begin_first(lines[i].fd);
		if (connect(lines[i].fd, (void *)&server, sizeof(server)))
			die("cannot connect");
		lines[i].open = true;
		lines[i].id = i * 7;
		many_seen.connected++;
		event.data.ptr = &lines[i];
		epoll_ctl(epoll, EPOLL_CTL_ADD, lines[i].fd, &event);
	}
}

/* Asks whose time has come; how many are still at work. */
static int ask_due(struct line *lines, int n, int epoll)
{
	double now = now_ms();
	int i, working = 0;

	for (i = 0; i < n; i++) {
		struct line *l = &lines[i];

		if (l->open && l->due > 0 && ending)
			l->due = -1;
		if (l->open && l->due > 0 && now >= l->due)
			ask(l, now);
		if (l->open && !l->due && now - l->asked > PATIENCE * 1e3)
			l->open = false;
		if (!l->open && l->fd >= 0) {
			many_seen.broken++;
			epoll_ctl(epoll, EPOLL_CTL_DEL, l->fd, NULL);
			close(l->fd);
			l->fd = -1;
		}
		working += l->open && l->due >= 0;
	}
	return working;
}

static int many(int n, unsigned int rounds, double pause)
{
	struct line *lines = calloc(n, sizeof(*lines));
	struct epoll_event events[256];
	int epoll = epoll_create1(0), i, ready, wrapped;
	double start;

	connect_all(lines, n, epoll);
	start = now_ms();
	for (i = 0; i < n; i++)
		lines[i].due = start + (pause > 0 ? pause * i / n : 0) + 0.001;
	while (ask_due(lines, n, epoll)) {
		ready = epoll_wait(epoll, events, 256, 1);
		for (i = 0; i < ready; i++)
			hear(events[i].data.ptr, rounds, pause);
	}
	for (i = 0; i < n; i++)
		many_seen.lost += lines[i].open ? lost(lines[i].fd) : 0;
	wrapped = lines[0].open && has_wrapped(lines[0].fd);
	printf(
	    "connected %lu answers %lu broken %lu wrapped %d lost %lu slowest %.0f ms %.0f\n",
	    many_seen.connected, many_seen.answers, many_seen.broken, wrapped,
	    many_seen.lost, many_seen.slowest, now_ms() - start);
	return many_seen.broken != 0;
}

/* ---- split ----------------------------------------------------------- */

static bool piece(int fd, const uint8_t *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len &&
	       !usleep(1500);
}

static int split(void)
{
	uint8_t bytes[ASK], answer[ANSWER];
	int fd = dial(), good = 0, cut, i;
	unsigned int id = 0;

	for (cut = 1; cut < ASK; cut++) {
		make_ask(bytes, ++id);
		good += piece(fd, bytes, cut) &&
			piece(fd, bytes + cut, ASK - cut) &&
			receive(fd, answer, ANSWER) && right(answer, id);
	}
	make_ask(bytes, ++id);
	for (i = 0; i < ASK && piece(fd, bytes + i, 1); i++)
		;
	good += receive(fd, answer, ANSWER) && right(answer, id);
	printf("answers %d of %d\n", good, ASK);
	return good != ASK;
}

/* ---- pipeline and switch --------------------------------------------- */

/* Sends what may go out now, takes the answers. False: it broke. */
static bool pump(int fd, unsigned int *sent, unsigned int *heard,
		 unsigned int messages, unsigned int depth)
{
	uint8_t out[ASK * 64], in[ANSWER * 64];
	unsigned int n = 0, i;
	ssize_t got;

	while (*sent < messages && *sent - *heard < depth)
		make_ask(out + ASK * n++, ++*sent);
	if (n && send(fd, out, n * ASK, MSG_NOSIGNAL) != (ssize_t)n * ASK)
		return false;
	n = *sent - *heard;
	got = recv(fd, in, n * ANSWER, MSG_WAITALL);
	for (i = 0; got == (ssize_t)n * ANSWER && i < n; i++) {
		if (!right(in + ANSWER * i, ++*heard))
			return false;
	}
	return got == (ssize_t)n * ANSWER;
}

static const char *outcome(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n > 0)
		return "answered";
	if (!n)
		return "closed";
	return errno == EAGAIN ? "silent" : "reset";
}

static int pipeline(unsigned int messages, unsigned int depth, bool switches)
{
	static const char ssh[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	struct timeval patience = { 2, 0 };
	unsigned int sent = 0, heard = 0;
	int fd = dial();
	double start = now_ms(), then;

	depth = depth > 64 ? 64 : depth;
	while (heard < messages && pump(fd, &sent, &heard, messages, depth))
		;
	then = now_ms();
	if (!switches) {
		printf("answers %u lost %u ms %.0f\n", heard, lost(fd),
		       then - start);
		return heard != messages;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, ssh, sizeof(ssh) - 1, MSG_NOSIGNAL) < 0)
		die("cannot send");
	printf("answers %u then %s", heard, outcome(fd));
	printf(" ms %.0f\n", now_ms() - then);
	return 0;
}

/* ---- retry ----------------------------------------------------------- */

static int retry(int times)
{
	static const uint8_t write[ASK] = {
		0, 1, 0, 0, 0, 6, 1, 6, 0, 1, 0, 7
	};
	uint8_t bytes[ASK], answer[ANSWER];
	int fd, i, errors = 0, good;
	double start, slowest = 0;

	for (i = 0; i < times; i++) {
		fd = dial();
		start = now_ms();
		if (send(fd, write, ASK, MSG_NOSIGNAL) != ASK)
			die("cannot send");
		errors += recv(fd, answer, 1, 0) < 0 && errno == ECONNRESET;
		if (now_ms() - start > slowest)
			slowest = now_ms() - start;
		close(fd);
	}
	fd = dial();
	make_ask(bytes, 1);
	good = send(fd, bytes, ASK, MSG_NOSIGNAL) == ASK &&
	       receive(fd, answer, ANSWER) && right(answer, 1);
	printf("errors %d slowest %.0f read %d\n", errors, slowest, good);
	return errors != times || !good;
}

static int run(int argc, char **argv)
{
	int a = argc > 4 ? atoi(argv[4]) : 0;
	int b = argc > 5 ? atoi(argv[5]) : 0;

	own_port = argc > 7 ? atoi(argv[7]) : 0;
	if (!strcmp(argv[1], "many") && a)
		return many(a, b, argc > 6 ? atoi(argv[6]) : 0);
	if (!strcmp(argv[1], "split"))
		return split();
	if (!strcmp(argv[1], "pipeline") && a && b)
		return pipeline(a, b, false);
	if (!strcmp(argv[1], "switch") && a && b)
		return pipeline(a, b, true);
	if (!strcmp(argv[1], "retry") && a)
		return retry(a);
	return 2;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = end };
	struct rlimit files = { 65536, 65536 };

	if (argc < 4)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
	server.sin_family = AF_INET;
	server.sin_port = htons(atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1)
		die("no address");
	return run(argc, argv);
}
