/* SPDX-License-Identifier: GPL-2.0-only */
/* Replay says the same on the kernel's own program, at either door, as on the
 * host engine: of every made-up capture, and of every capture in the folder
 * that CORPUS names (default ../shared/corpus/pcap), if it is there.
 *
 * timeout: 900 s
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../user/files.h"
#include "../user/log.h"
#include "captures/cases.h"
#include "captures/play.h"
#include "tap.h"

enum { CAPTURE_MAX = 1 << 30 };

static unsigned int skipped;

static char *hear(const void *bytes, size_t len, const struct image *image,
		  enum engine_kind kind, enum engine_door door, int *ret_error)
{
	const struct replay_options options = {
		.kind = kind,
		.door = door,
		.slots = 4096,
		.json = true,
		.grace = true,
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

static void compare(const char *name, const void *bytes, size_t len,
		    const struct image *image)
{
	static const char *const doors[] = { "xdp", "tc" };
	int error, other;
	char *host, *bpf;

	for (unsigned int door = DOOR_xdp; door <= DOOR_tc; door++) {
		host = hear(bytes, len, image, ENGINE_host, door, &error);
		bpf = hear(bytes, len, image, ENGINE_bpf, door, &other);
		if (!check(error == other && host && bpf && !strcmp(host, bpf),
			   "%s at %s: the engines do not agree (%d, %d)", name,
			   doors[door], error, other) &&
		    host && bpf)
			say_difference(host, bpf);
		free(host);
		free(bpf);
	}
}

static void compare_cases(const struct image *image)
{
	const struct capture_case *c;
	struct tape tape;

	for (size_t i = 0; (c = case_get(i)); i++) {
		case_make(c, &tape);
		compare(c->name, tape.bytes, tape.len, image);
		tape_free(&tape);
	}
}

static void compare_file(const char *folder, const char *name,
			 const struct image *image)
{
	char *path = files_name("%s/%s", folder, name), *bytes = NULL;
	size_t len;
	int error =
	    path ? files_read(path, CAPTURE_MAX, &bytes, &len) : -ENOMEM;

	if (check(!error, "%s: %s", name, strerror(-error)))
		compare(name, bytes, len, image);
	free(bytes);
	free(path);
}

static void compare_corpus(const struct image *image)
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
			compare_file(folder, entry->d_name, image);
	closedir(dir);
}

int main(void)
{
	struct image *image;

	log_open("replay_root", false);
	image = play_policy(NULL);
	if (check(image, "the built-in policy has errors")) {
		compare_cases(image);
		compare_corpus(image);
	}
	image_free(image);
	printf("%u passed, %u failed, %u skipped\n", tap_passed, tap_failed,
	       skipped);
	return tap_failed || !tap_passed;
}
