/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "duration.h"

static uint64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

int duration_parse(const char *text, uint64_t *ret_seconds)
{
	uint64_t seconds = 0, number, unit;

	if (!*text)
		return -EINVAL;
	while (*text) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		for (number = 0; isdigit((unsigned char)*text); text++) {
			number = number * 10 + (*text - '0');
			if (number > DURATION_MOST)
				return -EINVAL;
		}
		unit = unit_seconds(*text);
		if (!unit)
			return -EINVAL;
		text++;
		seconds += number * unit;
		if (seconds > DURATION_MOST)
			return -EINVAL;
	}
	if (!seconds)
		return -EINVAL;
	*ret_seconds = seconds;
	return 0;
}

const char *duration_print(uint64_t seconds, char *text, size_t size)
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(text, size, "%llu s", s);
	else if (s < 3600)
		snprintf(text, size, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(text, size, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return text;
}
