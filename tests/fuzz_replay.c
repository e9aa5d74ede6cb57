/* SPDX-License-Identifier: GPL-2.0-only */
/* Any bytes as a capture, replayed on the host engine: nothing that a file
 * holds makes it fall, and what it says holds together. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "captures/cases.h"
#include "captures/play.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
			       unsigned int seed);

static struct image *image;
static struct replay_gate gate;
static unsigned int runs;

/* Making an engine takes longer than most inputs. */
static void renew_gate(void)
{
	const struct engine_options options = { .slots = 64, .seed = 1 };
	const char *why;

	if (runs++ % 128)
		return;
	engine_close(gate.engine);
	gate = (struct replay_gate){ .engine =
					 engine_open(&options, image, &why) };
	if (!gate.engine)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image = play_policy(NULL);
	if (!image)
		abort();
	return 0;
}

static unsigned int lines_with(const char *text, const char *words)
{
	unsigned int n = 0;

	while ((text = strstr(text, words))) {
		n++;
		text++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct replay_options options = {
		.gate = &gate,
		.json = true,
		.grace = true,
	};
	struct replay_totals totals;
	char *text;
	int error;

	if (!size)
		return 0;
	renew_gate();
	text = play(data, size, image, &options, &error, &totals);
	if (error != 0 && error != -EIO && error != -EBADF)
		abort();
	if (error != -EBADF) {
		if (lines_with(text, "\n") != totals.conversations)
			abort();
		if (lines_with(text, "\"verdict\":\"drop\"") != totals.dropped)
			abort();
	}
	free(text);
	return 0;
}

/* Random bytes are no capture: now and then one that is made up is begun
 * with. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
			       unsigned int seed)
{
	const struct capture_case *c;
	struct tape tape;

	if (seed % 16 == 0) {
		c = case_get(seed / 16 % 80);
		if (!c)
			return LLVMFuzzerMutate(data, size, most);
		case_make(c, &tape);
		size = tape.len < most ? tape.len : most;
		memcpy(data, tape.bytes, size);
		tape_free(&tape);
	}
	return LLVMFuzzerMutate(data, size, most);
}
