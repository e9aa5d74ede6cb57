/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy compiler on any bytes. A NUL parts two texts: the policy and the
 * live changes. Where the policy alone compiles, the other text is also typed
 * as a live change.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct policy_context context = {
	.now = 1796083200,
	.now_jiffies = 1000000,
	.hz = 250,
};

/* What the kernel and its loader index by must lie inside. */
static void check_image(const struct image *image)
{
	for (size_t i = 0; i < image->n_keys; i++)
		if (image->keys[i].ruleset >= (image->keys[i].key.service
						   ? image->n_rulesets
						   : MODE_mirror + 1U))
			abort();
	for (size_t i = 0; i < image->n_rulesets; i++) {
		const struct portcullis_ruleset *s = &image->rulesets[i];

		if (!s->n_rules || s->n_rules > RULESET_RULES ||
		    s->conduit >= image->n_conduits ||
		    s->service >= image->n_services ||
		    s->conditions > image->n_conditions)
			abort();
		for (int r = 0; r < s->n_rules; r++)
			if (s->rule[r] >= image->n_rules)
				abort();
		for (int p = 0; p < RULESET_PROTOS; p++)
			if (s->shape[p] >= image->n_shapes)
				abort();
	}
	for (size_t i = 0; i < image->n_conditions; i++)
		if (image->conditions[i].limits &&
		    image->conditions[i].limits >= image->n_limits)
			abort();
	for (size_t i = 0; i < image->n_ports; i++)
		if (image->ports[i].peer > image->n_ports)
			abort();
}

static void type_live(const struct policy_source *sources, size_t n,
		      const char *words, FILE *errors)
{
	char copy[256], *argv[32], *save, *word, *line = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &save); word && argc < 32;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	policy_live_allow(sources, n, &context, argc, argv, 1, "fuzz",
			  context.now + 60, "why", errors, &line);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_source sources[2] = { { .name = "policy" },
					    { .name = "live" } };
	static FILE *errors;
	struct image *image = NULL;
	const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
	char words[256];

	if (!errors)
		errors = fopen("/dev/null", "w");
	if (!errors)
		abort();
	sources[0].text = (const char *)data;
	sources[0].len = cut ? (size_t)(cut - data) : size;
	if (cut) {
		sources[1].text = (const char *)cut + 1;
		sources[1].len = size - sources[0].len - 1;
	}
	if (!policy_compile(sources, cut ? 2 : 1, &context, errors, &image)) {
		check_image(image);
		image_free(image);
		snprintf(words, sizeof(words), "%.*s", (int)sources[1].len,
			 cut ? sources[1].text : "");
		type_live(sources, 1, words, errors);
	}
	return 0;
}
