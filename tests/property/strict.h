/* SPDX-License-Identifier: GPL-2.0-only */
/* The strict receiver: what any receiver at all could make of the packets that
 * left the gate. Stacks resolve overlaps in some twenty ways; so as long as
 * the honest end has not acknowledged a byte, every packet that was forwarded
 * with that byte must have given it the same value, unless it is opaque. The
 * one stream that follows goes through the protocol's steps, driven here and
 * not by the gate, and no step may refuse or ask for a function that the
 * policy refuses.
 */
#ifndef PROPERTY_STRICT_H
#define PROPERTY_STRICT_H

#include <window.h>

#include "script.h"

enum { STRICT_BYTES = 66000 };

struct strict_side {
	uint32_t pos;  /* the next byte to be judged */
	bool forever;  /* all from pos on is opaque */
	uint32_t high; /* end of what was ever given */
	uint8_t own[OWN_BYTES];
	uint8_t value[STRICT_BYTES];
	uint8_t mark[STRICT_BYTES + 1]; /* STRICT_* */
};
enum {
	STRICT_given = 1,
	STRICT_opaque = 2,
	STRICT_begins = 4,
	STRICT_twice = 8, /* in two forms, before it was known what it is */
};

struct strict {
	const struct script *script;
	struct strict_side side[2]; /* bytes sent by client, server */
	uint8_t shared[SHARED_BYTES];
	uint32_t steps;
	uint32_t messages;	 /* that ended */
	uint32_t opaque_changes; /* opaque bytes that came in two forms */
	char fault[200];	 /* empty: nothing wrong so far */
};

/* A conversation begins: nothing was given yet. */
void strict_begin(struct strict *s, const struct script *script);

/* The gate lets `len` bytes at offset `first` of `side`'s stream go to an end
 * that has acknowledged all below `acked`. False, and s->fault, if the end
 * must not have them. */
bool strict_give(struct strict *s, unsigned int side, int64_t first,
		 const uint8_t *bytes, size_t len, uint32_t acked);

#endif
