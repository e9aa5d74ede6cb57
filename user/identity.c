/* SPDX-License-Identifier: GPL-2.0-only */
#include "identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, 128 bits (draft-eastlake-fnv). */
void identity_hash(struct identity *into, const char *text)
{
	const unsigned __int128 prime =
	    ((unsigned __int128)1 << 88) + (1 << 8) + 0x3b;
	unsigned __int128 h;

	if (!into->hash[0] && !into->hash[1]) {
		into->hash[0] = 0x6c62272e07bb0142ULL;
		into->hash[1] = 0x62b821756295c58dULL;
	}
	h = (unsigned __int128)into->hash[0] << 64 | into->hash[1];
	do { /* the NUL too, so that two texts do not run into one */
		h ^= (uint8_t)*text;
		h *= prime;
	} while (*text++);
	into->hash[0] = h >> 64;
	into->hash[1] = (uint64_t)h;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

static bool unused(const struct identity *row)
{
	return !row->hash[0] && !row->hash[1];
}

/* Texts to rows while a plan is made; open addressing. */
struct index {
	const struct identity **text;
	uint32_t *row; /* 0: not known yet */
	size_t mask;
};

static size_t index_find(const struct index *index, const struct identity *text)
{
	size_t at = text->hash[1] & index->mask;

	while (index->text[at] && !same(index->text[at], text))
		at = (at + 1) & index->mask;
	return at;
}

static int index_make(struct index *index, const struct identity *table,
		      size_t size, size_t n)
{
	size_t room = 64, at, i;

	while (room < 2 * (size + n))
		room *= 2;
	index->mask = room - 1;
	index->text = calloc(room, sizeof(*index->text));
	index->row = calloc(room, sizeof(*index->row));
	if (!index->text || !index->row)
		return -ENOMEM;
	for (i = 1; i < size; i++) {
		if (unused(&table[i]))
			continue;
		at = index_find(index, &table[i]);
		index->text[at] = &table[i];
		index->row[at] = i;
	}
	return 0;
}

/* The rows that may be given away, in the order in which they are. */
struct supply {
	const struct identity *table;
	const bool *kept;
	size_t size;
	uint32_t current;
	int round; /* 0: never used, 1: not of this generation, 2: any */
	size_t next;
};

static bool may_give(const struct supply *s, size_t row)
{
	if (s->kept[row])
		return false;
	if (unused(&s->table[row]))
		return s->round == 0;
	if (s->table[row].generation != s->current)
		return s->round == 1;
	return s->round == 2;
}

static uint32_t supply_take(struct supply *s)
{
	for (; s->round < 3; s->round++, s->next = 1)
		for (; s->next < s->size; s->next++)
			if (may_give(s, s->next))
				return s->next++;
	return 0;
}

static int give_rows(struct index *index, struct supply *supply,
		     const struct identity *wanted, size_t n, uint32_t *rows)
{
	size_t at, i;

	for (i = 0; i < n; i++) {
		at = index_find(index, &wanted[i]);
		if (!index->row[at]) {
			index->text[at] = &wanted[i];
			index->row[at] = supply_take(supply);
		}
		if (!index->row[at])
			return -ENOSPC;
		rows[i] = index->row[at];
	}
	return 0;
}

int identity_plan(const struct identity *table, size_t size, uint32_t current,
		  const struct identity *wanted, size_t n, uint32_t *ret_rows)
{
	bool *kept = calloc(size, sizeof(*kept));
	struct index index = { 0 };
	struct supply supply = { table, kept, size, current, 0, 1 };
	int err = kept ? index_make(&index, table, size, n) : -ENOMEM;
	size_t i;

	if (!err) {
		for (i = 0; i < n; i++)
			kept[index.row[index_find(&index, &wanted[i])]] = true;
		err = give_rows(&index, &supply, wanted, n, ret_rows);
	}
	free(index.text);
	free(index.row);
	free(kept);
	return err;
}

void identity_commit(struct identity *table, uint32_t generation,
		     const struct identity *wanted, size_t n,
		     const uint32_t *rows,
		     void (*reused)(uint32_t row, void *arg), void *arg)
{
	struct identity *row;
	size_t i;

	for (i = 0; i < n; i++) {
		row = &table[rows[i]];
		if (!same(row, &wanted[i])) {
			if (!unused(row))
				reused(rows[i], arg);
			memcpy(row->hash, wanted[i].hash, sizeof(row->hash));
		}
		row->generation = generation;
	}
}
