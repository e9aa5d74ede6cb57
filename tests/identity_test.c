/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows stay with their texts, and are given away in the right order. */
#include <errno.h>
#include <string.h>

#include "identity.h"
#include "tap.h"

enum { ROWS = 8 };

static struct identity table[ROWS];
static unsigned int given_away;

static void on_reused(uint32_t row, void *arg)
{
	(void)arg;
	given_away |= 1U << row;
}

/* One policy: its texts are letters. Returns what the plan said. */
static int apply(const char *letters, uint32_t generation, uint32_t *rows)
{
	struct identity wanted[16] = { 0 };
	size_t n = strlen(letters), i;
	int err;

	for (i = 0; i < n; i++) {
		const char text[2] = { letters[i] };

		identity_hash(&wanted[i], "conduit");
		identity_hash(&wanted[i], text);
	}
	err = identity_plan(table, ROWS, generation - 1, wanted, n, rows);
	given_away = 0;
	if (!err)
		identity_commit(table, generation, wanted, n, rows, on_reused,
				NULL);
	return err;
}

static void check_stay(void)
{
	uint32_t first[16], second[16];

	check(!apply("abc", 1, first), "a policy of three");
	check(first[0] && first[1] && first[2], "row 0 is not given");
	check(first[0] != first[1] && first[1] != first[2] &&
		  first[0] != first[2],
	      "a row each");
	check(!apply("cxa", 2, second), "another order, one new, one gone");
	check(second[0] == first[2] && second[2] == first[0],
	      "rows stay with their texts");
	check(second[1] != first[1], "the row of the old policy is not taken");
	check(!given_away, "nothing was given away");
	check(!apply("aaa", 3, second) && second[0] == first[0] &&
		  second[1] == first[0] && second[2] == first[0],
	      "equal texts share a row");
}

static void check_reuse(void)
{
	uint32_t rows[16];

	memset(table, 0, sizeof(table));
	check(!apply("abcd", 1, rows), "four");
	check(!apply("defg", 2, rows), "all seven rows have been used");
	check(!given_away, "while unused ones were there, none was reused");
	check(!apply("dehi", 3, rows), "two new ones");
	check(__builtin_popcount(given_away) == 2 && !(given_away & 1U << 4),
	      "they take the rows that the policy before did not name: %x",
	      given_away);
	check(rows[2] <= 3 && rows[3] <= 3, "those of a, b and c");
	check(!apply("1234567", 4, rows), "at last any row may be taken");
	check(apply("12345678", 5, rows) == -ENOSPC,
	      "but there are only so many");
}

static void check_hash(void)
{
	struct identity a = { 0 }, b = { 0 };

	identity_hash(&a, "ab");
	identity_hash(&a, "c");
	identity_hash(&b, "a");
	identity_hash(&b, "bc");
	check(memcmp(a.hash, b.hash, sizeof(a.hash)),
	      "two texts do not run into one");
	check(a.hash[0] && a.hash[1], "both words are used");
}

int main(void)
{
	check_stay();
	check_reuse();
	check_hash();
	return tap_summary();
}
