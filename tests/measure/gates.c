/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jiffies.h"
#include "measure.h"
#include "policy.h"
#include "protocols.h"

bool complain(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

bool command(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!system(line))
		return true;
	return complain("this command failed: %s", line);
}

static struct image *compile(const char *policy)
{
	struct policy_source source = { .name = "bench",
					.text = policy,
					.len = strlen(policy) };
	struct policy_context context = { .now = time(NULL),
					  .hz = jiffies_per_second() };
	struct image *image = NULL;

	if (policy_compile(&source, 1, &context, stderr, &image))
		return NULL;
	return image;
}

struct datapath *gate_open(const char *name, const char *policy,
			   enum datapath_door door)
{
	char error[512] = "", pins[64];
	struct datapath_options options = { .pin_dir = pins, .door = door };
	struct image *image = compile(policy);
	struct datapath *dp;
	bool adopted;

	if (!image)
		return NULL;
	snprintf(pins, sizeof(pins), PINS "/%s", name);
	dp = datapath_open(&options, &adopted, error, sizeof(error));
	if (dp && datapath_apply(dp, image, error, sizeof(error))) {
		datapath_close(dp);
		dp = NULL;
	}
	image_free(image);
	if (!dp)
		complain("gate %s: %s", name, error);
	return dp;
}

uint64_t gate_count(struct datapath *dp, enum portcullis_reason reason,
		    enum portcullis_verdict verdict)
{
	static struct portcullis_counts counts;

	if (datapath_counts(dp, &counts))
		return 0;
	return counts.reason[reason][verdict];
}

bool gate_complain(struct datapath *dp, const char *name)
{
	static struct portcullis_counts counts;
	size_t reason, verdict;

	complain("%s: packets were not judged as they should be:", name);
	if (datapath_counts(dp, &counts))
		return false;
	for (reason = 0; reason < REASON_max; reason++)
		for (verdict = 0; verdict < VERDICT_max; verdict++)
			if (counts.reason[reason][verdict])
				fprintf(stderr, "  %s, verdict %zu: %llu\n",
					reason_name(reason), verdict,
					counts.reason[reason][verdict]);
	return false;
}
