/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include <string.h>

#include "../../user/protocols.h"
#include "rig.h"

static const char *kind_of(enum engine_kind kind)
{
	return kind == ENGINE_bpf    ? "kernel"
	       : kind == ENGINE_host ? "host"
				     : "long";
}

bool rig_open(struct rig *g, const enum engine_kind *kinds, unsigned int n,
	      const struct image *image, uint64_t seed)
{
	struct engine_options options = { .slots = 16384, .seed = seed };
	const char *error = NULL;
	unsigned int i;

	for (i = 0; i < n; i++) {
		options.kind = kinds[i];
		g->engines[i] = engine_open(&options, image, &error);
		if (!g->engines[i]) {
			fprintf(stderr,
				"property: cannot open the %s engine: "
				"%s\n",
				kind_of(kinds[i]),
				error ? error : "no reason given");
			rig_close(g);
			return false;
		}
		g->n_engines++;
	}
	g->time_ns = 1000000000;
	return true;
}

void rig_close(struct rig *g)
{
	while (g->n_engines)
		engine_close(g->engines[--g->n_engines]);
}

void rig_begin(struct rig *g, bool verbose, uint64_t seed)
{
	unsigned int i;

	for (i = 0; i < g->n_engines; i++)
		engine_annexes(g->engines[i], seed & 1 ? 0 : ANNEXES);
	g->verbose = verbose;
	g->lines = 0;
	g->fault[0] = 0;
	/* Half a minute of idleness, so that what earlier schedules left in
	 * the table grows old enough to be evicted. */
	g->time_ns += 30000000000ULL;
}

static bool same(const struct engine_result *a, const struct engine_result *b)
{
	return a->verdict == b->verdict && a->reason == b->reason &&
	       a->would == b->would && a->proto == b->proto &&
	       a->function == b->function && a->from_server == b->from_server &&
	       a->forwarded == b->forwarded && a->turned == b->turned &&
	       a->slot == b->slot && a->service == b->service &&
	       a->conduit == b->conduit && a->rule == b->rule;
}

/* Which place of the pool an entry has is nobody's business. */
static bool same_slot(const struct portcullis_slot *a,
		      const struct portcullis_slot *b)
{
	return a->state == b->state && a->client == b->client &&
	       a->proto == b->proto && a->flags == b->flags &&
	       a->seen == b->seen && a->row == b->row &&
	       a->reason == b->reason && a->until == b->until &&
	       !memcmp(a->half, b->half, sizeof(a->half)) &&
	       !memcmp(a->own, b->own, sizeof(a->own)) &&
	       !memcmp(a->shared, b->shared, sizeof(a->shared)) &&
	       !memcmp(a->rest, b->rest, sizeof(a->rest)) &&
	       __builtin_popcountll(a->entries) ==
		   __builtin_popcountll(b->entries) &&
	       !a->annex == !b->annex;
}

static void say_difference(struct rig *g, const struct engine_result *a,
			   const struct engine_result *b, const char *what)
{
	snprintf(
	    g->fault, sizeof(g->fault),
	    "the engines differ in %s: %s %s, would %s, proto %u, "
	    "function %u, slot %u, rule %u, %zu bytes against %s %s, would "
	    "%s, proto %u, function %u, slot %u, rule %u, %zu bytes",
	    what, verdict_name(a->verdict), reason_name(a->reason),
	    verdict_name(a->would), a->proto, a->function, a->slot, a->rule,
	    a->out_len, verdict_name(b->verdict), reason_name(b->reason),
	    verdict_name(b->would), b->proto, b->function, b->slot, b->rule,
	    b->out_len);
}

static bool agree(struct rig *g, const struct engine_result *a,
		  const struct engine_result *b)
{
	if (!same(a, b)) {
		say_difference(g, a, b, "the result");
		return false;
	}
	if ((a->forwarded || a->turned) &&
	    (a->out_len != b->out_len ||
	     memcmp(a->out, b->out, a->out_len) != 0)) {
		say_difference(g, a, b, "the frame");
		return false;
	}
	return true;
}

static bool slots_agree(struct rig *g, unsigned int i,
			const struct engine_result *a,
			const struct engine_result *b)
{
	const struct portcullis_slot *slot =
	    engine_slot(g->engines[0], a->slot);
	const struct portcullis_slot *other =
	    engine_slot(g->engines[i], b->slot);

	if (!a->slot || (slot && other && same_slot(slot, other)))
		return true;
	say_difference(g, a, b, "the slot");
	return false;
}

bool rig_judge(struct rig *g, unsigned int port, const uint8_t *frame,
	       size_t len, struct engine_result *ret)
{
	struct engine_result other;
	unsigned int i;
	int err;

	for (i = 0; i < g->n_engines; i++) {
		err = engine_run(g->engines[i], port, g->time_ns, frame, len,
				 i ? &other : ret);
		if (err) {
			snprintf(g->fault, sizeof(g->fault),
				 "engine_run() gave %d", err);
			return false;
		}
		if (i &&
		    !(agree(g, ret, &other) && slots_agree(g, i, ret, &other)))
			return false;
	}
	g->packets++;
	g->reasons[ret->reason]++;
	return true;
}

static void print_line(const struct diary_line *l)
{
	static const char letters[] = "FSRPAU";
	static const char *const kinds[] = { "", "lost before", "lost behind",
					     "arrives", "" };
	char flags[8] = "......";
	unsigned int i;

	if (l->kind == DIARY_note) {
		printf("%12.3f ms            %s\n", (double)l->time_ns / 1e6,
		       l->note);
		return;
	}
	for (i = 0; i < 6; i++)
		if (l->flags & 1U << i)
			flags[i] = letters[i];
	printf("%12.3f ms port %u %c %s seq %6d ack %6d len %4u win %5u%s  ",
	       (double)l->time_ns / 1e6, l->port, l->from, flags,
	       (int32_t)l->seq, (int32_t)l->ack, l->len, l->window,
	       l->bad_checksum ? " bad checksum" : "");
	if (l->kind == DIARY_judged)
		printf("%s %s%s%s", verdict_name(l->verdict),
		       reason_name(l->reason), l->forwarded ? " ->" : "",
		       l->turned ? " <-" : "");
	printf("%s%s%s\n", kinds[l->kind], l->note ? "  # " : "",
	       l->note ? l->note : "");
}

void rig_write(struct rig *g, const struct diary_line *line)
{
	struct diary_line *l = &g->diary[g->lines++ % DIARY];

	*l = *line;
	l->time_ns = g->time_ns;
	if (g->verbose)
		print_line(l);
}

void rig_print_diary(const struct rig *g)
{
	uint64_t i = g->lines > DIARY ? g->lines - DIARY : 0;

	if (i)
		printf("  (%llu lines before)\n", (unsigned long long)i);
	for (; i < g->lines; i++)
		print_line(&g->diary[i % DIARY]);
}
