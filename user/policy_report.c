/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy compiler stands on: memory, tables, errors. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy_tree.h"

/* ---- memory ---------------------------------------------------------- */

struct arena_block {
	struct arena_block *next;
	uint64_t data[];
};

void *arena_alloc(struct policy *p, size_t size)
{
	struct arena *arena = &p->arena;
	struct arena_block *block;
	size_t room = 256 << 10;
	void *at;

	size = (size + 7) & ~(size_t)7;
	if (size > arena->left) {
		if (size > room)
			room = size;
		block = calloc(1, sizeof(*block) + room);
		if (!block)
			longjmp(p->no_memory, 1);
		block->next = arena->blocks;
		arena->blocks = block;
		arena->at = (char *)block->data;
		arena->left = room;
	}
	at = arena->at;
	arena->at += size;
	arena->left -= size;
	return at;
}

char *arena_copy(struct policy *p, const char *bytes, size_t len)
{
	char *copy = arena_alloc(p, len + 1);

	memcpy(copy, bytes, len);
	return copy;
}

void arena_free(struct arena *arena)
{
	struct arena_block *next;

	for (struct arena_block *b = arena->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	memset(arena, 0, sizeof(*arena));
}

/* ---- tables ---------------------------------------------------------- */

struct table_entry {
	struct table_entry *next;
	uint64_t hash;
	const void *key;
	size_t len;
	void *value;
};

/* FNV-1a. Whoever writes the policy rules the gate: no key is needed. */
static uint64_t hash_bytes(const void *key, size_t len)
{
	const unsigned char *bytes = key;
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash ^ hash >> 32;
}

void *table_find(const struct table *table, const void *key, size_t len)
{
	uint64_t hash;

	if (!table->n_buckets)
		return NULL;
	hash = hash_bytes(key, len);
	for (struct table_entry *e =
		 table->buckets[hash & (table->n_buckets - 1)];
	     e; e = e->next)
		if (e->hash == hash && e->len == len &&
		    !memcmp(e->key, key, len))
			return e->value;
	return NULL;
}

static void table_grow(struct policy *p, struct table *table)
{
	size_t n = table->n_buckets ? table->n_buckets * 4 : 64;
	struct table_entry **buckets, *next;

	buckets = arena_alloc(p, n * sizeof(*buckets));
	for (size_t i = 0; i < table->n_buckets; i++) {
		for (struct table_entry *e = table->buckets[i]; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	table->buckets = buckets;
	table->n_buckets = n;
}

void table_add(struct policy *p, struct table *table, const void *key,
	       size_t len, void *value)
{
	struct table_entry *e = arena_alloc(p, sizeof(*e));
	struct table_entry **bucket;

	if (table->n >= table->n_buckets)
		table_grow(p, table);
	*e = (struct table_entry){ .hash = hash_bytes(key, len),
				   .key = key,
				   .len = len,
				   .value = value };
	bucket = &table->buckets[e->hash & (table->n_buckets - 1)];
	e->next = *bucket;
	*bucket = e;
	table->n++;
}

void text_add(struct policy *p, struct text *text, const char *format, ...)
{
	va_list args;
	char *grown;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return;
	if (text->len + n + 1 > text->room) {
		text->room = 2 * (text->len + n + 64);
		grown = arena_alloc(p, text->room);
		if (text->len)
			memcpy(grown, text->data, text->len);
		text->data = grown;
	}
	va_start(args, format);
	vsnprintf(text->data + text->len, n + 1, format, args);
	va_end(args);
	text->len += n;
}

/* ---- errors ---------------------------------------------------------- */

static const char *format_message(struct policy *p, const char *format,
				  va_list args)
{
	char buffer[1024];
	int n = vsnprintf(buffer, sizeof(buffer), format, args);

	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(buffer))
		n = sizeof(buffer) - 1;
	return arena_copy(p, buffer, n);
}

void policy_error(struct policy *p, const struct spot *spot, const char *format,
		  ...)
{
	struct report *report;
	va_list args;

	p->n_errors++;
	if (p->n_errors > POLICY_ERRORS_MAX)
		return;
	report = &p->reports[p->n_reports];
	*report = (struct report){ .spot = *spot, .order = p->n_reports };
	va_start(args, format);
	report->message = format_message(p, format, args);
	va_end(args);
	p->n_reports++;
}

void policy_note(struct policy *p, const char *format, ...)
{
	struct report *report;
	va_list args;

	if (!p->n_errors || p->n_errors > POLICY_ERRORS_MAX)
		return;
	report = &p->reports[p->n_reports - 1];
	for (int i = 0; i < POLICY_NOTES_MAX; i++) {
		if (report->notes[i])
			continue;
		va_start(args, format);
		report->notes[i] = format_message(p, format, args);
		va_end(args);
		return;
	}
}

const char *policy_where(struct policy *p, const struct spot *here,
			 const struct spot *there)
{
	struct text text = { 0 };

	if (here->source == there->source)
		text_add(p, &text, "line %u", there->line);
	else
		text_add(p, &text, "%s:%u", p->sources[there->source].name,
			 there->line);
	return text.data;
}

static int compare_reports(const void *a, const void *b)
{
	const struct report *x = a, *y = b;

	if (x->spot.source != y->spot.source)
		return x->spot.source < y->spot.source ? -1 : 1;
	if (x->spot.offset != y->spot.offset)
		return x->spot.offset < y->spot.offset ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

enum { SHOWN_BEFORE = 100, SHOWN = 160 };

static bool continues_letter(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* A letter of a source, safe for a terminal, or as much blank. Returns how many
 * bytes it has. */
static size_t print_letter(const struct policy_source *source, size_t at,
			   bool blank, FILE *out)
{
	const char *text = source->text + at;
	unsigned int n = letter_len(text, source->len - at);

	if (*text == '\t')
		fputc('\t', out);
	else if (blank)
		fputc(' ', out);
	else if (n)
		fwrite(text, 1, n, out);
	else
		fputc('?', out);
	return n ? n : 1;
}

/* The line around `at`, without its end. */
static void find_line(const struct policy_source *source, size_t at,
		      size_t *ret_begin, size_t *ret_end)
{
	size_t begin = at, end = at;

	while (begin && source->text[begin - 1] != '\n')
		begin--;
	while (end < source->len && source->text[end] != '\n')
		end++;
	if (end > begin && source->text[end - 1] == '\r')
		end--;
	*ret_begin = begin;
	*ret_end = end;
}

static void print_line(const struct policy_source *source,
		       const struct spot *spot, FILE *out)
{
	size_t begin, end, from, to, i;
	size_t mark_end = spot->offset + spot->len;

	find_line(source, spot->offset, &begin, &end);
	from = begin;
	if (spot->offset - begin > SHOWN_BEFORE) {
		from = spot->offset - SHOWN_BEFORE;
		while (from < spot->offset &&
		       continues_letter(source->text[from]))
			from++;
	}
	to = end - from > SHOWN ? from + SHOWN : end;
	fprintf(out, "%5u | %s", spot->line, from > begin ? "..." : "");
	for (i = from; i < to;)
		i += print_letter(source, i, false, out);
	fprintf(out, "%s\n      | %s", i < end ? "..." : "",
		from > begin ? "   " : "");
	for (i = from; i < spot->offset && i < end;)
		i += print_letter(source, i, true, out);
	fputc('^', out);
	for (i = spot->offset + 1; i < mark_end && i < to; i++)
		if (!continues_letter(source->text[i]))
			fputc('~', out);
	fputc('\n', out);
}

static unsigned int column_of(const struct policy_source *source,
			      const struct spot *spot)
{
	unsigned int column = 1;
	size_t i = spot->offset;

	for (; i && source->text[i - 1] != '\n'; i--)
		if (!continues_letter(source->text[i - 1]))
			column++;
	return column;
}

void policy_print_errors(struct policy *p, FILE *out)
{
	qsort(p->reports, p->n_reports, sizeof(p->reports[0]), compare_reports);
	for (size_t i = 0; i < p->n_reports; i++) {
		const struct report *r = &p->reports[i];
		const struct policy_source *source =
		    &p->sources[r->spot.source];

		fprintf(out, "%s:%u:%u: error: %s\n", source->name,
			r->spot.line, column_of(source, &r->spot), r->message);
		print_line(source, &r->spot, out);
		for (int n = 0; n < POLICY_NOTES_MAX && r->notes[n]; n++)
			fprintf(out, "      = %s\n", r->notes[n]);
	}
	fprintf(out, "%zu error%s", p->n_errors, p->n_errors == 1 ? "" : "s");
	if (p->n_errors > p->n_reports)
		fprintf(out, ", the first %zu are shown", p->n_reports);
	fputc('\n', out);
}

/* ---- suggestions ----------------------------------------------------- */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static char lower(char c)
{
	if (c == '_')
		return '-';
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Edits (insert, delete, change, swap neighbours) from a to b, letters of
 * either case and '-' and '_' being equal. Both at most POLICY_NAME_MAX. */
static unsigned int edits(const char *a, size_t n, const char *b, size_t m)
{
	unsigned int rows[3][POLICY_NAME_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *now = rows[2], *spare;

	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);

			now[j] = least(last[j - 1] + (x != y),
				       least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && x == lower(b[j - 2]) &&
			    y == lower(a[i - 2]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

void guess_start(struct guess *guess, const char *word)
{
	size_t len = strlen(word);

	/* Farther than this a word is another word. */
	*guess = (struct guess){ .word = word };
	guess->distance = len < 4 ? 2 : len < 8 ? 3 : 4;
	if (len > POLICY_NAME_MAX)
		guess->distance = 0;
}

void guess_offer(struct guess *guess, const char *candidate,
		 const struct spot *at)
{
	size_t n = strlen(guess->word), m = strlen(candidate);
	size_t apart = n > m ? n - m : m - n;
	unsigned int distance;

	if (m > POLICY_NAME_MAX || apart >= guess->distance)
		return;
	distance = edits(guess->word, n, candidate, m);
	/* Changing every letter makes any short word. */
	if (distance >= guess->distance || distance >= (n < m ? m : n))
		return;
	guess->distance = distance;
	guess->best = candidate;
	guess->at = at ? *at : (struct spot){ 0 };
}

bool guess_note(struct policy *p, const struct guess *guess,
		const struct spot *here)
{
	if (!guess->best)
		return false;
	if (guess->at.line)
		policy_note(p, "did you mean '%s' (defined at %s)?",
			    guess->best, policy_where(p, here, &guess->at));
	else
		policy_note(p, "did you mean '%s'?", guess->best);
	return true;
}

void policy_note_words(struct policy *p, const char *word,
		       const char *const *words)
{
	struct text text = { 0 };
	struct guess guess;

	guess_start(&guess, word);
	for (size_t i = 0; words[i]; i++)
		guess_offer(&guess, words[i], NULL);
	if (guess_note(p, &guess, &(struct spot){ 0 }))
		return;
	for (size_t i = 0; words[i]; i++)
		text_add(p, &text, "%s%s",
			 !i		? ""
			 : words[i + 1] ? ", "
					: " or ",
			 words[i]);
	policy_note(p, "expected %s", text.data);
}
