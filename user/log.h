/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines to standard error, each beginning with the program's name. */
#ifndef PORTCULLIS_LOG_H
#define PORTCULLIS_LOG_H

#include <stdbool.h>

#define LOG_FORMAT(at) __attribute__((format(printf, at, at + 1)))

void log_open(const char *program, bool debug);

/* With what errno says behind it. */
void log_warn(const char *format, ...) LOG_FORMAT(1);
void log_warnx(const char *format, ...) LOG_FORMAT(1);
void log_info(const char *format, ...) LOG_FORMAT(1);
void log_debug(const char *format, ...) LOG_FORMAT(1);
/* Says it and leaves with `status`. */
void fatal(int status, const char *format, ...) LOG_FORMAT(2)
    __attribute__((noreturn));

#endif
