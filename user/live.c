/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "files.h"
#include "live.h"

#define LIVE_MOST (4U << 20) /* what the compiler takes */

static const char head[] =
    "# Written by portcullisd: changes made while it runs. Do not edit; use\n"
    "# portcullis allow, portcullis revoke and portcullis show live.\n";
/* Followed by the number, so that no id is ever given twice. */
static const char next_mark[] = "# next=";

static void change_free(struct live_change *change)
{
	free(change->line);
	free(change->statement);
	free(change->by);
	free(change->at);
	free(change->why);
	*change = (struct live_change){ 0 };
}

void live_free(struct live *live)
{
	size_t i;

	for (i = 0; i < live->n; i++)
		change_free(&live->changes[i]);
	free(live->changes);
	*live = (struct live){ 0 };
}

/* Where the remark begins: the first '#' outside of quotes. */
static const char *remark_of(const char *line)
{
	bool quoted = false;

	for (; *line; line++) {
		if (*line == '\\' && quoted && line[1])
			line++;
		else if (*line == '"')
			quoted = !quoted;
		else if (*line == '#' && !quoted)
			return line;
	}
	return NULL;
}

/* The value of `key=` in a remark, quotes and escapes taken off. */
static char *remark_value(const char *remark, const char *key)
{
	size_t key_len = strlen(key), len = 0;
	bool quoted;
	char *value;

	if (!remark)
		return NULL;
	for (remark++; *remark; remark++) {
		if (isspace((unsigned char)remark[-1]) || remark[-1] == '#') {
			if (!strncmp(remark, key, key_len) &&
			    remark[key_len] == '=')
				break;
		}
	}
	if (!*remark)
		return NULL;
	remark += key_len + 1;
	value = malloc(strlen(remark) + 1);
	if (!value)
		return NULL;
	quoted = *remark == '"';
	for (remark += quoted; *remark; remark++) {
		if (quoted ? *remark == '"' : isspace((unsigned char)*remark))
			break;
		if (quoted && *remark == '\\' && remark[1])
			remark++;
		value[len++] = *remark;
	}
	value[len] = '\0';
	return value;
}

/* "2026-11-24T04:20:00Z" or seconds since 1970; 0: neither. */
static time_t time_of(const char *text)
{
	struct tm tm = { 0 };
	const char *end;

	if (!text)
		return 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end && (!*end || !strcmp(end, "Z")))
		return timegm(&tm);
	if (*text && strspn(text, "0123456789") == strlen(text))
		return strtoll(text, NULL, 10);
	return 0;
}

/* The word behind `word` in a statement, without quotes. */
static char *word_after(const char *statement, const char *word)
{
	size_t len = strlen(word);
	const char *at;

	for (at = strstr(statement, word); at; at = strstr(at + 1, word)) {
		if (at != statement && isspace((unsigned char)at[-1]) &&
		    isspace((unsigned char)at[len])) {
			at += len + strspn(at + len, " \t\"");
			return strndup(at, strcspn(at, " \t;\""));
		}
	}
	return NULL;
}

static unsigned int id_of(const char *text)
{
	unsigned long id;
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return 0;
	id = strtoul(text, &end, 10);
	return *end || id > 0x7fffffff ? 0 : id;
}

static int change_parse(const char *line, size_t len,
			struct live_change *change)
{
	_cleanup_free_ char *id = NULL;
	_cleanup_free_ char *until = NULL;
	const char *remark;
	size_t end;

	change->line = strndup(line, len);
	if (!change->line)
		return -ENOMEM;
	remark = remark_of(change->line);
	end = remark ? (size_t)(remark - change->line) : strlen(change->line);
	while (end && isspace((unsigned char)change->line[end - 1]))
		end--;
	change->statement = strndup(change->line, end);
	if (!change->statement)
		return -ENOMEM;
	if (!end)
		return 0;
	id = remark_value(remark, "id");
	if (!id)
		id = word_after(change->statement, "live");
	until = remark_value(remark, "until");
	if (!until)
		until = word_after(change->statement, "until");
	change->id = id_of(id);
	change->until = time_of(until);
	change->by = remark_value(remark, "by");
	change->at = remark_value(remark, "at");
	change->why = remark_value(remark, "why");
	return 0;
}

int live_add(struct live *live, const char *line)
{
	struct live_change change = { 0 }, *more;

	if (change_parse(line, strcspn(line, "\n"), &change)) {
		change_free(&change);
		return -ENOMEM;
	}
	more = reallocarray(live->changes, live->n + 1, sizeof(*more));
	if (!more) {
		change_free(&change);
		return -ENOMEM;
	}
	live->changes = more;
	live->changes[live->n++] = change;
	if (change.id >= live->next_id)
		live->next_id = change.id + 1;
	return 0;
}

/* Lines of the head are made anew with each writing. */
static bool is_head(const char *line)
{
	size_t part, len = strlen(line);
	const char *at = head;

	for (; *at; at += part + 1) {
		part = strcspn(at, "\n");
		if (part == len && !strncmp(at, line, len))
			return true;
	}
	return false;
}

int live_parse(const char *text, size_t len, struct live *live)
{
	const char *end = text + len, *newline;
	size_t mark = strlen(next_mark), n;
	_cleanup_free_ char *line = NULL;
	unsigned int next;

	*live = (struct live){ .next_id = 1 };
	for (; text < end; text += n + 1) {
		newline = memchr(text, '\n', end - text);
		n = newline ? newline - text : end - text;
		free(line);
		line = strndup(text, n);
		if (!line)
			return -ENOMEM;
		line[strcspn(line, "\r")] = '\0';
		if (!*line || is_head(line))
			continue;
		if (!strncmp(line, next_mark, mark)) {
			next = id_of(line + mark);
			if (next > live->next_id)
				live->next_id = next;
			continue;
		}
		if (live_add(live, line))
			return -ENOMEM;
	}
	return 0;
}

int live_read(const char *path, struct live *live)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int err;

	*live = (struct live){ .next_id = 1 };
	err = files_read(path, LIVE_MOST, &text, &len);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	return live_parse(text, len, live);
}

char *live_text(const struct live *live, size_t *ret_len)
{
	char *text = NULL;
	FILE *out;
	size_t i;

	out = open_memstream(&text, ret_len);
	if (!out)
		return NULL;
	fputs(head, out);
	fprintf(out, "%s%u\n", next_mark, live->next_id);
	for (i = 0; i < live->n; i++)
		fprintf(out, "%s\n", live->changes[i].line);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

int live_write(const char *path, const struct live *live)
{
	_cleanup_free_ char *folder = files_folder(path);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int err;

	text = live_text(live, &len);
	if (!text || !folder)
		return -ENOMEM;
	err = files_make_folder(folder, 0755);
	if (err)
		return err;
	return files_write(path, text, len, 0644);
}

static void remove_at(struct live *live, size_t at)
{
	change_free(&live->changes[at]);
	memmove(&live->changes[at], &live->changes[at + 1],
		(live->n - at - 1) * sizeof(live->changes[0]));
	live->n--;
}

int live_remove(struct live *live, unsigned int id)
{
	size_t i;

	for (i = 0; id && i < live->n; i++) {
		if (live->changes[i].id == id) {
			remove_at(live, i);
			return 0;
		}
	}
	return -ENOENT;
}

const struct live_change *live_find(const struct live *live, unsigned int id)
{
	size_t i;

	for (i = 0; id && i < live->n; i++) {
		if (live->changes[i].id == id)
			return &live->changes[i];
	}
	return NULL;
}

size_t live_expire(struct live *live, time_t now)
{
	size_t i = 0, gone = 0;

	while (i < live->n) {
		if (live->changes[i].id && live->changes[i].until &&
		    live->changes[i].until <= now) {
			remove_at(live, i);
			gone++;
		} else {
			i++;
		}
	}
	return gone;
}

size_t live_count(const struct live *live)
{
	size_t i, n = 0;

	for (i = 0; i < live->n; i++)
		n += live->changes[i].id != 0;
	return n;
}
