/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of event lines: appended to, bounded in size, opened again on
 * request for who rotates it from outside.
 */
#ifndef PORTCULLIS_EVENTLOG_H
#define PORTCULLIS_EVENTLOG_H

#include <stddef.h>
#include <stdint.h>

/* Old files kept beside the current one, NAME.1 the youngest. */
#define EVENTLOG_KEPT 4

struct eventlog;

/* `cap`: bytes after which a fresh file is begun, 0: never. NULL and errno. */
struct eventlog *eventlog_open(const char *path, uint64_t cap);
void eventlog_close(struct eventlog *log);
/* Removes the file if nothing was ever written to it. */
void eventlog_drop_empty(struct eventlog *log);
/* Whole lines. They reach the file with eventlog_flush() at the latest; a full
 * disk loses them, counted. */
void eventlog_add(struct eventlog *log, const char *text, size_t len);
void eventlog_flush(struct eventlog *log);
/* 0 / -errno; on failure the old file goes on being used. */
int eventlog_reopen(struct eventlog *log);
uint64_t eventlog_written(const struct eventlog *log); /* lines */
uint64_t eventlog_lost(const struct eventlog *log);

#endif
