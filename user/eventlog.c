/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "eventlog.h"
#include "files.h"
#include "log.h"

struct eventlog {
	char *path;
	int fd;
	uint64_t cap;
	uint64_t size; /* of the file */
	uint64_t written;
	uint64_t lost;
	uint64_t waiting; /* lines in buf */
	size_t len;
	int failed; /* errno of the last write, said once */
	char buf[65536];
};

static int open_file(const char *path, uint64_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	*ret_size = st.st_size;
	return take_fd(&fd);
}

struct eventlog *eventlog_open(const char *path, uint64_t cap)
{
	struct eventlog *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->cap = cap;
	log->path = strdup(path);
	log->fd = log->path ? open_file(path, &log->size) : -ENOMEM;
	if (log->fd < 0) {
		errno = -log->fd;
		free(log->path);
		free(log);
		return NULL;
	}
	return log;
}

int eventlog_reopen(struct eventlog *log)
{
	uint64_t size = 0;
	int fd;

	eventlog_flush(log);
	fd = open_file(log->path, &size);
	if (fd < 0)
		return fd;
	close(log->fd);
	log->fd = fd;
	log->size = size;
	return 0;
}

static void rotate(struct eventlog *log)
{
	unsigned int i;

	for (i = EVENTLOG_KEPT; i > 0; i--) {
		_cleanup_free_ char *from = NULL;
		_cleanup_free_ char *to = files_name("%s.%u", log->path, i);

		from = i > 1 ? files_name("%s.%u", log->path, i - 1)
			     : strdup(log->path);
		if (from && to && rename(from, to) && errno != ENOENT)
			log_warn("cannot rename %s", from);
	}
	if (eventlog_reopen(log) < 0)
		log_warnx("cannot begin a fresh %s: the old file grows on",
			  log->path);
}

static void write_failed(struct eventlog *log, int error)
{
	if (error && error != log->failed)
		log_warnx("cannot write %s: %s: events are lost until it can",
			  log->path, strerror(error));
	log->failed = error;
}

void eventlog_flush(struct eventlog *log)
{
	size_t at = 0;
	int error = 0;
	ssize_t n;

	if (!log->len)
		return; /* nothing tells whether it can be written by now */
	while (at < log->len && !error) {
		n = write(log->fd, log->buf + at, log->len - at);
		if (n >= 0)
			at += n;
		else if (errno != EINTR)
			error = errno;
	}
	log->size += at;
	write_failed(log, error);
	if (error) {
		/* Never half a line: the rest of it would spoil the next. */
		if (at && ftruncate(log->fd, log->size - at) == 0)
			log->size -= at;
		log->lost += log->waiting;
	} else {
		log->written += log->waiting;
	}
	log->len = 0;
	log->waiting = 0;
	if (log->cap && log->size >= log->cap) {
		log->size = 0; /* the rotation flushes again */
		rotate(log);
	}
}

void eventlog_add(struct eventlog *log, const char *text, size_t len)
{
	if (len > sizeof(log->buf)) {
		log->lost++;
		return;
	}
	if (len > sizeof(log->buf) - log->len)
		eventlog_flush(log);
	memcpy(log->buf + log->len, text, len);
	log->len += len;
	log->waiting++;
}

void eventlog_close(struct eventlog *log)
{
	if (!log)
		return;
	eventlog_flush(log);
	close(log->fd);
	free(log->path);
	free(log);
}

void eventlog_drop_empty(struct eventlog *log)
{
	if (!log->size && !log->waiting)
		unlink(log->path);
}

uint64_t eventlog_written(const struct eventlog *log)
{
	return log->written;
}

uint64_t eventlog_lost(const struct eventlog *log)
{
	return log->lost;
}
