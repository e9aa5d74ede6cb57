/* SPDX-License-Identifier: GPL-2.0-only */
/* What a rule may limit besides functions and units: the words of the policy
 * language for enum portcullis_argument, and the numbers behind them. No I/O.
 */
#ifndef PORTCULLIS_ARGUMENTS_H
#define PORTCULLIS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <portcullis/abi.h>

struct argument_name {
	const char *name;
	uint32_t first; /* added to the word's base */
	uint32_t last;
};

struct argument_word {
	const char *word;
	uint8_t proto;	     /* enum portcullis_proto: who has it */
	uint8_t kind;	     /* enum portcullis_argument */
	bool hex;	     /* as its numbers are written */
	uint32_t base;	     /* what a number is added to */
	uint32_t max;	     /* of a number; 0: names only */
	const char *example; /* "0-99" */
	const struct argument_name *names; /* ends in NULL; NULL: none */
};

/* All of them in table order, *ret_n of them. */
const struct argument_word *argument_list(size_t *ret_n);
const struct argument_word *argument_find(const char *word); /* or NULL */
/* "0-99", "0x04", "db": a range without its kind. False: that is none. */
bool argument_parse(const struct argument_word *word, const char *text,
		    struct portcullis_range *ret_range);
/* The word that a range belongs to, or NULL. */
const struct argument_word *argument_of(const struct portcullis_range *range);
/* The range as argument_parse() reads it. */
void argument_text(const struct argument_word *word,
		   const struct portcullis_range *range, char *text,
		   size_t size);

#endif
