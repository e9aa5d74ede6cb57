/* SPDX-License-Identifier: GPL-2.0-only */
/* Replay on the kernel's own program, at either door: every made-up capture
 * against what is written beside it, and the same lines as the host engine of
 * every capture in the folder that CORPUS names (default
 * ../shared/corpus/pcap), if it is there.
 *
 * Loading a program takes longer than most captures, so each engine judges all
 * of them; the made-up ones differ in their ports.
 *
 * timeout: 600 s
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../user/files.h"
#include "../user/log.h"
#include "captures/expect.h"
#include "tap.h"

enum { CAPTURE_MAX = 1 << 30 };

static unsigned int skipped;

/* The same seed: the engines find the same places for conversations. */
static struct engine *open_engine(enum engine_kind kind, enum engine_door door,
				  const struct image *image)
{
	const struct engine_options options = {
		.kind = kind, .door = door, .slots = 16384, .seed = 1
	};
	const char *why = "no reason given";
	struct engine *engine = engine_open(&options, image, &why);

	check(engine, "cannot open the engine: %s", why);
	return engine;
}

static char *hear(const void *bytes, size_t len, enum engine_door door,
		  const struct image *image, struct replay_gate *gate,
		  int *ret_error)
{
	const struct replay_options options = {
		.gate = gate, .door = door, .json = true, .grace = true
	};
	struct replay_totals totals;

	return play(bytes, len, image, &options, ret_error, &totals);
}

/* The first line in which two texts differ. */
static void say_difference(const char *host, const char *bpf)
{
	size_t at = 0, begin = 0;

	for (; host[at] && host[at] == bpf[at]; at++)
		if (host[at] == '\n')
			begin = at + 1;
	printf("  host: %.*s\n   bpf: %.*s\n", (int)strcspn(host + begin, "\n"),
	       host + begin, (int)strcspn(bpf + begin, "\n"), bpf + begin);
}

static void compare(const char *folder, const char *name, enum engine_door door,
		    const struct image *image, struct replay_gate *host,
		    struct replay_gate *bpf)
{
	char *path = files_name("%s/%s", folder, name), *bytes = NULL;
	char *said = NULL, *too = NULL;
	int error, other;
	size_t len;

	error = path ? files_read(path, CAPTURE_MAX, &bytes, &len) : -ENOMEM;
	if (check(!error, "%s: %s", name, strerror(-error))) {
		said = hear(bytes, len, door, image, host, &error);
		too = hear(bytes, len, door, image, bpf, &other);
		if (!check(error == other && said && too && !strcmp(said, too),
			   "%s: the engines do not agree (%d, %d)", name, error,
			   other) &&
		    said && too)
			say_difference(said, too);
	}
	free(said);
	free(too);
	free(bytes);
	free(path);
}

static void compare_corpus(enum engine_door door, const struct image *image,
			   struct replay_gate *host, struct replay_gate *bpf)
{
	const char *named = getenv("CORPUS");
	const char *folder = named ? named : "../shared/corpus/pcap";
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir) {
		printf("skipped: no captures in %s\n", folder);
		skipped++;
		return;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			compare(folder, entry->d_name, door, image, host, bpf);
	closedir(dir);
}

static void check_door(enum engine_door door, const struct image *image)
{
	struct replay_gate host = { .engine =
					open_engine(ENGINE_host, door, image) };
	struct replay_gate bpf = { .engine =
				       open_engine(ENGINE_bpf, door, image) };
	const struct replay_options options = {
		.gate = &bpf, .door = door, .json = true, .grace = true
	};
	const struct capture_case *c;

	if (host.engine && bpf.engine) {
		for (size_t i = 0; (c = case_get(i)); i++)
			check_case(c, image, &options);
		/* The host engine has not seen those: begin anew. */
		engine_close(bpf.engine);
		bpf = (struct replay_gate){ .engine = open_engine(
						ENGINE_bpf, door, image) };
		if (bpf.engine)
			compare_corpus(door, image, &host, &bpf);
	}
	engine_close(host.engine);
	engine_close(bpf.engine);
}

int main(void)
{
	struct image *image;

	log_open("replay_root", false);
	image = play_policy(NULL);
	if (check(image, "the built-in policy has errors")) {
		check_door(DOOR_xdp, image);
		check_door(DOOR_tc, image);
	}
	image_free(image);
	printf("%u passed, %u failed, %u skipped\n", tap_passed, tap_failed,
	       skipped);
	return tap_failed || !tap_passed;
}
