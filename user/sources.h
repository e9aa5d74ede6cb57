/* SPDX-License-Identifier: GPL-2.0-only */
/* The texts that are one policy: the human's file, and what stands in
 * policy.d/ beside it in sorted order, the live changes among them.
 */
#ifndef PORTCULLIS_SOURCES_H
#define PORTCULLIS_SOURCES_H

#include <stdio.h>

#include "live.h"
#include "policy.h"

#define SOURCES_LIVE "90-live.policy"
#define SOURCES_MOST (4U << 20) /* bytes a text */

struct sources {
	struct policy_source *list;
	size_t n;
};

/* Where the live changes of a policy stand; NULL without memory. */
char *sources_live_path(const char *policy_path);

/* Reads `policy_path` and its policy.d/. `text`, if not NULL, is taken instead
 * of what the file holds, under the name `name`; so is `live`, if not NULL, in
 * the place of the live file. 0, or -errno with a sentence in `errors`. */
int sources_read(struct sources *sources, const char *policy_path,
		 const char *name, const char *text, size_t len,
		 const struct live *live, FILE *errors);
void sources_free(struct sources *sources);

#endif
