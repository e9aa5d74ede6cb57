/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../../user/policy.h"
#include "../../user/protocols.h"
#include "../property.h"
#include "world.h"

enum {
	FIXED_SEED = 20240613,
	FAULTS_MOST = 5,    /* then it is clear enough */
	REACH_LEAST = 5000, /* schedules from which on all must be reached */
};

struct request {
	unsigned long count;
	uint64_t seed;
	bool seeded;
	bool verbose;
};

struct run {
	struct rig rig;
	struct tally tally;
	struct world *world;
	unsigned long passed;
	unsigned long failed;
	bool verbose;
};

/* What a run that deserves its name has met. */
static const enum portcullis_reason reached[] = {
	REASON_ok,
	REASON_spoofed,
	REASON_bad_tcp_flags,
	REASON_no_flow,
	REASON_out_of_window,
	REASON_ack_invalid,
	REASON_rst_inexact,
	REASON_handshake,
	REASON_not_acknowledged,
	REASON_ahead,
	REASON_inflight_full,
	REASON_resend_unknown,
	REASON_poisoned,
	REASON_closed,
	REASON_overlap_inconsistent,
	REASON_function_not_allowed,
	REASON_bad_magic,
	REASON_bad_length,
	REASON_bad_value,
	REASON_unsolicited,
};

struct image *property_image(void)
{
	const struct policy_source source = { "property", script_policy,
					      strlen(script_policy) };
	const struct policy_context context = { 0, 0, 1000 };
	struct image *image = NULL;
	size_t i;

	if (policy_compile(&source, 1, &context, stderr, &image))
		return NULL;
	/* What earlier schedules left open must not bar the next. */
	image->host_ceiling = image->zone_ceiling = 0;
	for (i = 0; i < image->n_rulesets; i++)
		image->rulesets[i].ceiling = 0;
	return image;
}

static uint64_t choose_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)time(NULL);
	return seed >> 16; /* short enough to be typed */
}

static bool read_number(const char *text, const char *what, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (!errno && *end == 0 && end != text)
		return true;
	fprintf(stderr, "property: %s must be a number, not '%s'\n", what,
		text);
	return false;
}

static bool read_environment(struct request *q)
{
	const char *count = getenv("PROPERTY_COUNT");
	const char *seed = getenv("PROPERTY_SEED");
	uint64_t n;

	if (count) {
		if (!read_number(count, "PROPERTY_COUNT", &n))
			return false;
		q->count = (unsigned long)n;
	}
	if (!seed)
		return true;
	q->seeded = true;
	return read_number(seed, "PROPERTY_SEED", &q->seed);
}

static bool read_options(int argc, char **argv, struct request *q)
{
	uint64_t n;
	int c;

	while ((c = getopt(argc, argv, "n:s:v")) != -1) {
		switch (c) {
		case 'n':
			if (!read_number(optarg, "-n", &n))
				return false;
			q->count = (unsigned long)n;
			break;
		case 's':
			if (!read_number(optarg, "-s", &q->seed))
				return false;
			q->seeded = true;
			break;
		case 'v':
			q->verbose = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static const char *kind_name_of(enum world_kind kind)
{
	static const char *const names[WORLD_kinds] = {
		"honest", "honest with a stranger", "attack", "monitored"
	};

	return names[kind];
}

static void say_schedule(const struct world *w)
{
	printf("  %s conversation, %s", kind_name_of(w->kind),
	       protocol_name(w->script.proto));
	if (w->script.has_evil)
		printf(", the %s's bytes %u..%u are \"%s\"",
		       w->script.evil_side ? "server" : "client",
		       w->script.evil_first, w->script.evil_last,
		       w->script.evil_what);
	printf("\n");
}

static void say_fault(const struct run *run, uint64_t seed)
{
	printf("FAILED: schedule with seed %llu: %s\n",
	       (unsigned long long)seed, run->world->fault);
	say_schedule(run->world);
	if (!run->verbose)
		rig_print_diary(&run->rig);
	printf("  again: -s %llu -n 1 -v\n", (unsigned long long)seed);
	fflush(stdout);
}

static bool run_schedules(struct run *run, uint64_t seed, unsigned long count)
{
	bool progress = isatty(STDERR_FILENO) && count > 1000;
	unsigned long i;

	printf("seed %llu, %lu schedules\n", (unsigned long long)seed, count);
	for (i = 0; i < count; i++, seed++) {
		rig_begin(&run->rig, run->verbose, seed);
		if (world_run(run->world, seed)) {
			run->passed++;
		} else {
			say_fault(run, seed);
			if (++run->failed >= FAULTS_MOST)
				return false;
		}
		if (progress && i % 1000 == 0)
			fprintf(stderr, "\r%lu of %lu ", i, count);
	}
	if (progress)
		fprintf(stderr, "\r%40s\r", "");
	return true;
}

static void say_tally(const struct run *run)
{
	const struct tally *t = &run->tally;
	unsigned int i;

	for (i = 0; i < WORLD_kinds; i++)
		printf("  %-24s %10llu schedules\n", kind_name_of(i),
		       (unsigned long long)t->schedules[i]);
	printf("  attacks refused for good %10llu, honest end told in %llu, "
	       "opened again %llu\n",
	       (unsigned long long)t->poisoned, (unsigned long long)t->reset,
	       (unsigned long long)t->reopened);
	printf("  the same ports once more %10llu\n",
	       (unsigned long long)t->reused);
	printf("  streams through zero     %10llu\n",
	       (unsigned long long)t->wrapped);
	printf("  packets judged           %10llu\n",
	       (unsigned long long)run->rig.packets);
	printf(
	    "  bytes verified           %10llu in %llu messages, %llu opaque "
	    "ones came in two forms\n",
	    (unsigned long long)t->bytes, (unsigned long long)t->messages,
	    (unsigned long long)t->opaque_changes);
	for (i = 0; i < 256; i++)
		if (run->rig.reasons[i])
			printf("  %-24s %10llu packets\n", reason_name(i),
			       (unsigned long long)run->rig.reasons[i]);
}

/* A generator that no longer reaches what it is for proves nothing. */
static void check_reach(struct run *run)
{
	size_t i;

	if (run->passed + run->failed < REACH_LEAST)
		return;
	for (i = 0; i < sizeof(reached) / sizeof(reached[0]); i++) {
		if (run->rig.reasons[reached[i]])
			continue;
		printf("FAILED: no packet was ever judged '%s'\n",
		       reason_name(reached[i]));
		run->failed++;
	}
}

static void run_all(struct run *run, const struct request *q)
{
	if (q->seeded || q->count < 2) {
		run_schedules(run, q->seeded ? q->seed : FIXED_SEED, q->count);
	} else if (run_schedules(run, FIXED_SEED, q->count / 2)) {
		run_schedules(run, choose_seed(), q->count - q->count / 2);
	}
	say_tally(run);
	check_reach(run);
}

int property_main(int argc, char **argv, const enum engine_kind *kinds,
		  unsigned int n_kinds, unsigned long count)
{
	struct request q = { .count = count };
	struct image *image;
	struct run *run;
	int status = 1;

	if (!read_environment(&q) || !read_options(argc, argv, &q)) {
		fprintf(stderr, "usage: %s [-n COUNT] [-s SEED] [-v]\n",
			argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	run = calloc(1, sizeof(*run));
	image = property_image();
	if (!run || !image)
		goto out;
	run->verbose = q.verbose;
	run->world = world_new(&run->rig, &run->tally);
	if (run->world &&
	    rig_open(&run->rig, kinds, n_kinds, image, FIXED_SEED)) {
		run_all(run, &q);
		status = run->failed || !run->passed;
		rig_close(&run->rig);
	}
	world_free(run->world);
out:
	image_free(image);
	printf("%lu passed, %lu failed\n", run ? run->passed : 0,
	       run ? run->failed + (status && !run->failed) : 1);
	free(run);
	return status;
}
