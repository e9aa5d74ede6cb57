/* SPDX-License-Identifier: GPL-2.0-only */
/* check() and a summary, for host tests: each check is one test, a failed one
 * says where and why, and `return tap_summary();` ends main().
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int tap_passed;
static unsigned int tap_failed;

__attribute__((format(printf, 4, 5))) static inline bool
tap_check(bool good, const char *file, int line, const char *format, ...)
{
	va_list args;

	if (good) {
		tap_passed++;
		return true;
	}
	tap_failed++;
	printf("%s:%d: failed: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return false;
}

#define check(good, ...) tap_check(good, __FILE__, __LINE__, __VA_ARGS__)

/* For main() to return: failure too if nothing was checked at all. */
static inline int tap_summary(void)
{
	printf("%u passed, %u failed\n", tap_passed, tap_failed);
	return tap_failed || !tap_passed;
}

#endif
