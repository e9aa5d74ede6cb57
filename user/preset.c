/* SPDX-License-Identifier: GPL-2.0-only */
#include "preset.h"

#include <stdio.h>
#include <string.h>

static const struct preset_service t0885[] = {
#define PRESET(name, ports, expect, ...) { #name, ports, expect },
#include <portcullis/t0885.def>
#undef PRESET
};

static const char *const names[] = { "t0885", NULL };

const struct preset_service *preset_find(const char *name, size_t *ret_n)
{
	if (strcmp(name, names[0]))
		return NULL;
	*ret_n = sizeof(t0885) / sizeof(t0885[0]);
	return t0885;
}

const char *const *preset_names(void)
{
	return names;
}

char *preset_policy(const char *name, const char *a, const char *b)
{
	const struct preset_service *services;
	char *text = NULL;
	size_t n, len;
	FILE *out;

	services = preset_find(name, &n);
	out = services ? open_memstream(&text, &len) : NULL;
	if (!out)
		return NULL;
	fprintf(
	    out,
	    "# Made by: portcullis apply --preset %s %s %s\n"
	    "# It watches: nothing is refused until a conduit says so.\n"
	    "site \"preset %s\" {\n"
	    "\tmode monitor\n"
	    "\tdefault monitor\n"
	    "\tforward wire %s %s\n"
	    "}\n"
	    "use %s\n"
	    "zone any \"everybody\" { network any }\n"
	    "conduit any \"every protocol of the preset\" from any to any {\n",
	    name, a, b, name, a, b, name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "\tallow %s any\n", services[i].name);
	fputs("}\n", out);
	return fclose(out) ? NULL : text;
}
