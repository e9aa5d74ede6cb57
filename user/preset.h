/* SPDX-License-Identifier: GPL-2.0-only */
/* Presets: sets of services that a policy can `use`, and the policy around one
 * that `portcullis apply --preset` sends. No I/O.
 */
#ifndef PORTCULLIS_PRESET_H
#define PORTCULLIS_PRESET_H

#include <stddef.h>

/* One service; ports and expect are the policy language's words. */
struct preset_service {
	const char *name;
	const char *ports;
	const char *expect;
};

/* The services of a preset, *ret_n of them; NULL: there is no such preset. */
const struct preset_service *preset_find(const char *name, size_t *ret_n);
/* The names of all presets, NULL behind the last. */
const char *const *preset_names(void);

/* A policy that watches a wire between two interfaces under this preset, to be
 * freed; NULL: no such preset, or no memory. */
char *preset_policy(const char *name, const char *a, const char *b);

#endif
