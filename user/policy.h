/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy language: text in, struct image out. No BPF, no files: the caller
 * reads them. Grammar: design in user/README.md, manual in
 * portcullis.policy(5).
 */
#ifndef PORTCULLIS_POLICY_H
#define PORTCULLIS_POLICY_H

#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "image.h"

/* One text. Statements of all texts count as one policy; the live file is a
 * text like any other. `text` need not end in NUL; `name` is what errors say.
 */
struct policy_source {
	const char *name;
	const char *text;
	size_t len;
};

/* What compiling needs to know of the world. */
struct policy_context {
	time_t now;	   /* wall clock, for `until` of live statements */
	__u64 now_jiffies; /* the same moment */
	__u32 hz;
};

/* Compiles. On success returns 0 and *ret_image, to be freed by image_free().
 * On errors returns -EINVAL, having written up to 50 of them to `errors`, each
 *	file:line:column: error: what is wrong
 *	   12 |     the line
 *	      |     ^~~~
 *	      = what was expected, the nearest known word
 * and a closing count. -ENOMEM, -EFBIG (a source over 4 MiB). *ret_image is
 * untouched unless 0 is returned.
 */
int policy_compile(const struct policy_source *sources, size_t n_sources,
		   const struct policy_context *context, FILE *errors,
		   struct image **ret_image);

/* The built-in policy: every protocol of the table on its standard ports,
 * anybody to anybody. Text, never freed. */
const char *policy_builtin(void);

/* Checks and completes one allow statement as typed on a command line (argv
 * without the word `allow`), against the policy in `sources`. On success
 * returns 0 and *ret_line: one canonical line for the live file, "in conduit …"
 * resolved, ending in a comment with who, when and why. Errors as above with
 * the file name "command line". */
int policy_live_allow(const struct policy_source *sources, size_t n_sources,
		      const struct policy_context *context, int argc,
		      char *const argv[], unsigned int id, const char *who,
		      time_t until, const char *why, FILE *errors,
		      char **ret_line);

#endif
