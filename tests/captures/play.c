/* SPDX-License-Identifier: GPL-2.0-only */
#include "play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../user/policy.h"

struct image *play_policy(const char *text)
{
	const struct policy_context context = { .now = time(NULL), .hz = 1000 };
	struct policy_source source = { .name = "test" };
	struct image *image = NULL;

	source.text = text ? text : policy_builtin();
	source.len = strlen(source.text);
	if (policy_compile(&source, 1, &context, stdout, &image))
		return NULL;
	return image;
}

char *play(const void *bytes, size_t len, const struct image *image,
	   const struct replay_options *options, int *ret_error,
	   struct replay_totals *ret_totals)
{
	char why[512], *text = NULL;
	FILE *in = fmemopen((void *)bytes, len, "r");
	struct capture *capture = NULL;
	size_t text_len;
	FILE *out;

	*ret_error = -ENOMEM;
	if (!in)
		return NULL;
	capture = capture_open_stream(in, "memory", why, sizeof(why));
	if (!capture) {
		*ret_error = -EBADF;
		return strdup(why);
	}
	out = open_memstream(&text, &text_len);
	if (out) {
		*ret_error =
		    replay_capture(capture, image, options, out, ret_totals);
		fclose(out);
	}
	capture_close(capture);
	return text;
}
