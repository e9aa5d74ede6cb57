/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static const char *program_name = "portcullis";
static bool debugging;

void log_open(const char *program, bool debug)
{
	program_name = program;
	debugging = debug;
}

/* One write a line, so that lines of several processes do not mix. */
static void say(int error, const char *format, va_list args)
{
	char text[2048];
	int len;

	len = vsnprintf(text, sizeof(text), format, args);
	if (len < 0)
		return;
	if (error)
		fprintf(stderr, "%s: %s: %s\n", program_name, text,
			strerror(error));
	else
		fprintf(stderr, "%s: %s\n", program_name, text);
}

void log_warn(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	say(error, format, args);
	va_end(args);
}

void log_warnx(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(0, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(0, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	if (!debugging)
		return;
	va_start(args, format);
	say(0, format, args);
	va_end(args);
}

void fatal(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(0, format, args);
	va_end(args);
	exit(status);
}
