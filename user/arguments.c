/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

/* An area of S7comm with whatever DB number. */
#define AREA(number) (__u32)(number) << 16, (__u32)(number) << 16 | 0xffff

static const struct argument_name areas[] = {
	{ "p", AREA(0x80) },
	{ "i", AREA(0x81) },
	{ "q", AREA(0x82) },
	{ "m", AREA(0x83) },
	{ "db", AREA(0x84) },
	{ "di", AREA(0x85) },
	{ "l", AREA(0x86) },
	{ "v", AREA(0x87) },
	{ "counter", AREA(0x1c) },
	{ "timer", AREA(0x1d) },
	{ "counter-200", AREA(0x1e) },
	{ "timer-200", AREA(0x1f) },
	{ NULL, 0, 0 },
};

static const struct argument_name classes[] = {
	{ "tag", CIP_tag, CIP_tag },
	{ NULL, 0, 0 },
};

#define TABLE(table) ((__u32)(table) << 16)

static const struct argument_word words[] = {
	{ "coil", PROTO_modbus, ARGUMENT_address, false, TABLE(TABLE_coil),
	  0xffff, "0-15", NULL },
	{ "discrete-input", PROTO_modbus, ARGUMENT_address, false,
	  TABLE(TABLE_discrete_input), 0xffff, "0-15", NULL },
	{ "input-register", PROTO_modbus, ARGUMENT_address, false,
	  TABLE(TABLE_input_register), 0xffff, "0-99", NULL },
	{ "register", PROTO_modbus, ARGUMENT_address, false,
	  TABLE(TABLE_register), 0xffff, "0-99", NULL },
	{ "db", PROTO_s7comm, ARGUMENT_area, false, TABLE(0x84), 0xffff, "1-20",
	  NULL },
	{ "area", PROTO_s7comm, ARGUMENT_area, false, 0, 0, "db, m", areas },
	{ "group", PROTO_dnp3, ARGUMENT_group, false, 0, 255, "1-50", NULL },
	{ "class", PROTO_enip, ARGUMENT_class, true, 0, 0xffff, "0x04, 0x66",
	  classes },
};

const struct argument_word *argument_list(size_t *ret_n)
{
	*ret_n = sizeof(words) / sizeof(words[0]);
	return words;
}

const struct argument_word *argument_find(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].word, word))
			return &words[i];
	return NULL;
}

/* Decimal without leading zeros, or 0x and hex; *text is moved behind it. */
static bool take_number(const char **text, uint32_t max, uint32_t *ret)
{
	int base = !strncmp(*text, "0x", 2) ? 16 : 10;
	const char *digits = *text + (base == 16 ? 2 : 0);
	size_t n = strspn(digits,
			  base == 16 ? "0123456789abcdefABCDEF" : "0123456789");
	unsigned long number = n && n < 10 ? strtoul(digits, NULL, base) : 0;

	if (!n || n >= 10 || number > max ||
	    (base == 10 && n > 1 && *digits == '0'))
		return false;
	*text = digits + n;
	*ret = number;
	return true;
}

bool argument_parse(const struct argument_word *word, const char *text,
		    struct portcullis_range *ret_range)
{
	const struct argument_name *name = word->names;
	uint32_t first, last;

	for (; name && name->name; name++) {
		if (strcmp(name->name, text))
			continue;
		ret_range->kind = word->kind;
		ret_range->first = word->base + name->first;
		ret_range->last = word->base + name->last;
		return true;
	}
	if (!word->max || !take_number(&text, word->max, &first))
		return false;
	last = first;
	if (*text == '-') {
		text++;
		if (!take_number(&text, word->max, &last))
			return false;
	}
	if (*text || last < first)
		return false;
	ret_range->kind = word->kind;
	ret_range->first = word->base + first;
	ret_range->last = word->base + last;
	return true;
}

static const struct argument_name *
find_name(const struct argument_word *word,
	  const struct portcullis_range *range)
{
	const struct argument_name *name = word->names;

	for (; name && name->name; name++)
		if (range->first - word->base == name->first &&
		    range->last - word->base == name->last)
			return name;
	return NULL;
}

const struct argument_word *argument_of(const struct portcullis_range *range)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].kind == range->kind &&
		    ((range->first >= words[i].base &&
		      range->first - words[i].base <= words[i].max) ||
		     find_name(&words[i], range)))
			return &words[i];
	return NULL;
}

void argument_text(const struct argument_word *word,
		   const struct portcullis_range *range, char *text,
		   size_t size)
{
	const struct argument_name *name = find_name(word, range);
	const char *form = word->hex ? "0x%02x" : "%u";
	int n;

	if (name) {
		snprintf(text, size, "%s", name->name);
		return;
	}
	n = snprintf(text, size, form, range->first - word->base);
	if (range->last == range->first || n < 0 || (size_t)n >= size)
		return;
	n += snprintf(text + n, size - n, "-");
	snprintf(text + n, size - n, form, range->last - word->base);
}
