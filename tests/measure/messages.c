/* SPDX-License-Identifier: GPL-2.0-only */
/* What each protocol's steps take for one message: the first of its vectors
 * that begins with a whole one, in the kernel; less the same
 * number of windows that nobody looks at.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cleanup.h"
#include "protocols.gen.h"
#include "../stepping.h"
#include "messages.h"
#include "measure.h"

#include <messages.skel.h>

enum { ROUNDS = 20, REPEAT = 20000, SEED_MAX = 1 << 16 };

struct message {
	unsigned int proto;
	const char *name;
	char figure_name[48];
	struct message_row rows[MESSAGE_STEPS];
	__u32 n_rows;
	const struct bpf_program *program;
	struct figure *figure;
};

static struct message messages[] = {
#define PROTOCOL(id, word, ...) { .proto = id, .name = #word },
#include <portcullis/protocols.def>
#undef PROTOCOL
};
enum { MESSAGES = sizeof(messages) / sizeof(messages[0]) };

/* Needed by stepping.h; here nothing is judged. */
static void broken(const struct conversation *c, const char *what)
{
	(void)c;
	(void)what;
}

/* ---- the messages ------------------------------------------------------ */

/* The seed of the first vector from `line` on; fuzz_proto.c describes its form.
 * Returns its line, 0: there is none. */
static unsigned int next_seed(const char *folder, unsigned int proto,
			      unsigned int from, uint8_t seed[SEED_MAX],
			      size_t *ret_n)
{
	unsigned int id, line, first = UINT_MAX;
	DIR *dir = opendir(folder);
	char path[4096];
	struct dirent *e;
	FILE *f;

	while (dir && (e = readdir(dir)))
		if (sscanf(e->d_name, "%u-%u", &id, &line) == 2 &&
		    id == proto && line >= from && line < first)
			first = line;
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), "%.4000s/%u-%u", folder, proto, first);
	f = fopen(path, "re");
	if (!f)
		return 0;
	*ret_n = fread(seed, 1, SEED_MAX, f);
	fclose(f);
	return first;
}

/* The windows of the first message of a run. False: it does not end here, or
 * has too many. */
static bool cut_up(struct message *m, const uint8_t *bytes, size_t len,
		   unsigned int l4, int side)
{
	struct state st = { 0 };
	size_t at = 0;

	while (at < len && m->n_rows < MESSAGE_STEPS) {
		struct message_row *row = &m->rows[m->n_rows++];
		struct step s = { .have = len - at < WINDOW_BYTES
					      ? len - at
					      : WINDOW_BYTES,
				  .left = l4 == TRANSPORT_udp ? len - at
							      : LEFT_stream,
				  .from_server = side,
				  .free = side,
				  .l4 = l4,
				  .function = FUNCTION_none };

		memcpy(s.bytes, bytes + at, s.have);
		row->step = s;
		row->state = st;
		run_step(m->proto, &s, &st);
		if (s.answer != STEP_take)
			return false;
		if (s.ends || s.skip > len - at - s.n)
			return true;
		at += s.n + s.skip;
	}
	return at == len;
}

static bool find_message(struct message *m, const char *folder)
{
	static uint8_t seed[SEED_MAX];
	unsigned int line = 1, l4;
	size_t n, len;

	for (; (line = next_seed(folder, m->proto, line, seed, &n)); line++) {
		if (n < 4)
			continue;
		len = (seed[2] & 0x7f) << 8 | seed[3];
		if (len > n - 4)
			len = n - 4;
		l4 = seed[1] & 1 ? TRANSPORT_udp : TRANSPORT_tcp;
		m->n_rows = 0;
		if (cut_up(m, seed + 4, len, l4, seed[2] >> 7))
			return true;
	}
	return complain("no vector of %s begins with a message", m->name);
}

/* ---- measuring --------------------------------------------------------- */

/* Nanoseconds a run, negative if it cannot. */
static double run(const struct bpf_program *program)
{
	char frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sizeof(frame), .repeat = REPEAT);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		complain("cannot run %s: %s", bpf_program__name(program),
			 strerror(errno));
	else if (opts.retval == XDP_PASS)
		return opts.duration;
	else
		complain("%s did not take its message",
			 bpf_program__name(program));
	return -1;
}

static bool sample(struct messages *skel, struct message *m)
{
	double with, without;
	__u32 i;

	for (i = 0; i < m->n_rows; i++)
		if (bpf_map_update_elem(bpf_map__fd(skel->maps.rows), &i,
					&m->rows[i], BPF_ANY))
			return complain("cannot fill the rows: %s",
					strerror(errno));
	skel->bss->n_rows = m->n_rows;
	with = run(m->program);
	without = run(skel->progs.nothing);
	if (with < 0 || without < 0)
		return false;
	figure_sample(m->figure, with - without, (with - without) / m->n_rows);
	return true;
}

static bool measure(struct messages *skel, struct figures *all)
{
	struct message *m;
	int round;

	for (m = messages; m < messages + MESSAGES; m++) {
		m->program =
		    bpf_object__find_program_by_name(skel->obj, m->name);
		snprintf(m->figure_name, sizeof(m->figure_name), "message-%s",
			 m->name);
		m->figure = figures_add(all, m->figure_name, "number of steps");
	}
	for (round = 0; round < ROUNDS; round++)
		for (m = messages; m < messages + MESSAGES; m++)
			if (!sample(skel, m))
				return false;
	return true;
}

bool messages_measure(struct figures *all, const char *build)
{
	struct messages *skel;
	struct message *m;
	char folder[4096];
	bool good;

	if (!command("'%s/tests/vectors_test' --seeds '%s/messages' >/dev/null",
		     build, build))
		return false;
	snprintf(folder, sizeof(folder), "%s/messages", build);
	for (m = messages; m < messages + MESSAGES; m++)
		if (!find_message(m, folder))
			return false;
	skel = messages__open_and_load();
	if (!skel)
		return complain("cannot load the steps: %s", strerror(errno));
	good = measure(skel, all);
	messages__destroy(skel);
	return good;
}
