/* SPDX-License-Identifier: GPL-2.0-only */
/* Two CPUs bring different segments for the same position of one conversation
 * at the same moment, through one port or through two. Each alone is legal;
 * a receiver that was given both could be given anything. Never may both pass.
 */
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frame.h"
#include "links.h"
#include "property.h"
#include "property/random.h"

enum {
	ROUNDS = 100000,
	FAULTS_MOST = 10,
	AHEAD_NS = 3000, /* long enough for the second thread to wake up */
	JITTER_NS = 400,
};

struct shot {
	uint8_t bytes[256];
	size_t len;
	unsigned int port;
	uint64_t when_ns;
	bool forwarded;
	int error;
};

struct race {
	struct engine *engine;
	struct random random;
	struct shot shot[2];
	atomic_uint round; /* the second thread fires when it changes */
	atomic_uint fired;
	atomic_bool over;
	int cpu[2];
	unsigned long won[2];
	unsigned long neither;
	unsigned long both;
};

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* The first two CPUs that this process may use. */
static bool choose_cpus(int cpu[2])
{
	cpu_set_t set;
	int i, n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return false;
	for (i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n == 2;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fire(struct race *r, unsigned int i)
{
	struct shot *s = &r->shot[i];

	while (now_ns() < s->when_ns)
		;
	s->error = engine_thread_run(r->engine, s->port, s->bytes, s->len,
				     &s->forwarded);
}

static void *second_thread(void *arg)
{
	struct race *r = arg;
	unsigned int seen = 0, now;

	if (!pin(r->cpu[1]))
		r->shot[1].error = -EINVAL;
	for (;;) {
		now = atomic_load_explicit(&r->round, memory_order_acquire);
		if (atomic_load_explicit(&r->over, memory_order_relaxed))
			return NULL;
		if (now == seen)
			continue;
		seen = now;
		fire(r, 1);
		atomic_store_explicit(&r->fired, seen, memory_order_release);
	}
}

/* ---- the conversation ------------------------------------------------ */

static void addresses(struct race *r, struct frame *f)
{
	memset(f, 0, sizeof(*f));
	f->family = 4;
	f->l4 = 6;
	memcpy(f->src + 12, "\x0a\x01", 2);
	memcpy(f->dst + 12, "\x0a\x02", 2);
	random_fill(&r->random, f->src + 14, 2);
	random_fill(&r->random, f->dst + 14, 2);
	f->sport = (uint16_t)random_within(&r->random, 1024, 65535);
	f->dport = 502;
	f->seq = (uint32_t)random_next(&r->random);
	f->ack = (uint32_t)random_next(&r->random);
	f->window = 8192;
}

/* 0, or why not. */
static int pass(struct race *r, unsigned int port, const struct frame *f)
{
	uint8_t bytes[256];
	size_t len = frame_make(f, bytes, sizeof(bytes));
	bool forwarded = false;
	int err = engine_thread_run(r->engine, port, bytes, len, &forwarded);

	if (err)
		return err;
	return forwarded ? 0 : -EACCES;
}

/* SYN, SYN-ACK, ACK; f is then the client's next segment. */
static int shake_hands(struct race *r, struct frame *f)
{
	struct frame answer;
	int err;

	addresses(r, f);
	f->flags = FRAME_SYN;
	err = pass(r, 1, f);
	if (err)
		return err;
	answer = *f;
	frame_turn(&answer);
	answer.flags = FRAME_SYN | FRAME_ACK;
	answer.seq = f->ack;
	answer.ack = f->seq + 1;
	err = pass(r, 2, &answer);
	if (err)
		return err;
	f->seq++;
	f->ack++;
	f->flags = FRAME_ACK;
	return pass(r, 1, f);
}

/* A read request each, alike in length and unlike in what it reads. */
static void load(struct race *r, const struct frame *next, bool two_ports)
{
	uint8_t request[12] = { 0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1 };
	struct frame f = *next;
	uint64_t start = now_ns() + AHEAD_NS;
	unsigned int i;

	f.flags = FRAME_ACK | FRAME_PSH;
	f.payload = request;
	f.payload_len = sizeof(request);
	for (i = 0; i < 2; i++) {
		request[9] = (uint8_t)(i + 1);
		r->shot[i].len =
		    frame_make(&f, r->shot[i].bytes, sizeof(r->shot[i].bytes));
		r->shot[i].port = two_ports ? i + 1 : 1;
		r->shot[i].when_ns =
		    start + random_below(&r->random, JITTER_NS);
		r->shot[i].forwarded = false;
		r->shot[i].error = 0;
	}
}

/* What is closed may be evicted: without it 100,000 conversations, verified
 * each, would fill the table. */
static void close_it(struct race *r, struct frame *f)
{
	if (r->shot[0].forwarded || r->shot[1].forwarded)
		f->seq += 12;
	f->flags = FRAME_RST | FRAME_ACK;
	pass(r, 1, f);
}

static bool one_round(struct race *r, unsigned int n)
{
	struct frame next;
	int err = shake_hands(r, &next);

	if (err) {
		printf("round %u: the handshake did not pass: %d\n", n, err);
		return false;
	}
	load(r, &next, n % 4 == 3);
	atomic_store_explicit(&r->round, n + 1, memory_order_release);
	fire(r, 0);
	while (atomic_load_explicit(&r->fired, memory_order_acquire) != n + 1)
		;
	if (r->shot[0].error || r->shot[1].error) {
		printf("round %u: the program did not run: %d, %d\n", n,
		       r->shot[0].error, r->shot[1].error);
		return false;
	}
	if (r->shot[0].forwarded && r->shot[1].forwarded) {
		r->both++;
		printf("round %u: both segments passed\n", n);
		return false;
	}
	r->won[0] += r->shot[0].forwarded;
	r->won[1] += r->shot[1].forwarded;
	r->neither += !r->shot[0].forwarded && !r->shot[1].forwarded;
	close_it(r, &next);
	return true;
}

static void say(struct race *r, unsigned long rounds)
{
	struct portcullis_counts counts;

	printf("  %lu rounds: first passed %lu, second %lu, neither %lu, "
	       "both %lu\n",
	       rounds, r->won[0], r->won[1], r->neither, r->both);
	if (!engine_counts(r->engine, &counts))
		printf("  dropped as busy %llu, as overlap_inconsistent %llu, "
		       "as poisoned %llu\n",
		       (unsigned long long)
			   counts.reason[REASON_busy][VERDICT_drop],
		       (unsigned long long)(counts.reason
						[REASON_overlap_inconsistent]
						[VERDICT_drop] +
					    counts.reason
						[REASON_overlap_inconsistent]
						[VERDICT_reset]),
		       (unsigned long long)(counts.reason[REASON_poisoned]
							 [VERDICT_drop] +
					    counts.reason[REASON_poisoned]
							 [VERDICT_reset]));
}

static int run(struct race *r, unsigned long rounds)
{
	unsigned long passed = 0, failed = 0;
	pthread_t thread;
	unsigned int n;

	if (pthread_create(&thread, NULL, second_thread, r)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	pin(r->cpu[0]);
	for (n = 0; n < rounds && failed < FAULTS_MOST; n++) {
		if (one_round(r, n))
			passed++;
		else
			failed++;
	}
	atomic_store(&r->over, true);
	pthread_join(thread, NULL);
	say(r, passed + failed);
	/* One that always comes second does not race. */
	if (r->won[0] < rounds / 100 || r->won[1] < rounds / 100) {
		printf("FAILED: the segments did not contend\n");
		failed++;
	}
	printf("%lu passed, %lu failed\n", passed, failed);
	return failed != 0;
}

/* NULL, or why the race cannot be run. */
static const char *prepare(struct race *r, const struct image *image)
{
	const struct engine_options options = {
		.kind = ENGINE_bpf,
		.slots = 16384,
		.seed = 1,
	};
	const char *error = "the engine says nothing";
	uint32_t ifindex[2];

	if (!choose_cpus(r->cpu))
		return "two CPUs are needed";
	if (links_private() || links_veth("race0", "race1"))
		return "cannot make a pair of interfaces: root is needed";
	r->engine = engine_open(&options, image, &error);
	if (!r->engine)
		return error;
	ifindex[0] = if_nametoindex("race0");
	ifindex[1] = if_nametoindex("race1");
	if (engine_thread_ports(r->engine, ifindex))
		return "the engine does not take the interfaces";
	r->random.state = 1;
	return NULL;
}

int main(void)
{
	const char *count = getenv("RACE_COUNT");
	struct image *image = property_image();
	struct race *r = calloc(1, sizeof(*r));
	const char *error = "no memory, or the policy does not compile";
	int status = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (r && image)
		error = prepare(r, image);
	if (error)
		printf("race_root: %s\n0 passed, 1 failed\n", error);
	else
		status = run(r, count ? strtoul(count, NULL, 0) : ROUNDS);
	if (r)
		engine_close(r->engine);
	image_free(image);
	free(r);
	return status;
}
