/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies that nobody wrote into a file: the built-in one, and single allow
 * statements from a command line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy_tree.h"

/* Is there a row before that has the same ports? */
static bool is_shared(const struct protocol *list, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!strcmp(list[j].ports, list[i].ports))
			return true;
	return false;
}

/* A service and a rule for all rows that have the same ports. */
static void write_builtin(FILE *out)
{
	size_t n;
	const struct protocol *list = protocol_list(&n);

	fputs("zone any \"everybody\" { network any }\n", out);
	for (size_t i = 0; i < n; i++) {
		if (is_shared(list, i))
			continue;
		fprintf(out, "service %s %s expect %s", list[i].name,
			list[i].ports, list[i].name);
		for (size_t j = i + 1; j < n; j++)
			if (!strcmp(list[j].ports, list[i].ports))
				fprintf(out, ", %s", list[j].name);
		fputc('\n', out);
	}
	fputs("conduit any \"every protocol on its standard port\" from any"
	      " to any {\n",
	      out);
	for (size_t i = 0; i < n; i++)
		if (!is_shared(list, i))
			fprintf(out, "\tallow %s any\n", list[i].name);
	fputs("}\n", out);
}

const char *policy_builtin(void)
{
	static char text[16384]; /* 128 rows are less */
	FILE *out = text[0] ? NULL : fmemopen(text, sizeof(text), "w");

	if (out) {
		write_builtin(out);
		fclose(out);
	}
	return text;
}

/* ---- allow from a command line --------------------------------------- */

/* A word that the lexer would take apart is one string: a time with blanks. */
static bool is_plain(const char *word)
{
	return *word && !strpbrk(word, " \t\r\n\"\\{}#;");
}

/* The statement as it would stand in a file. */
static int join_words(int argc, char *const argv[], char **ret_text)
{
	size_t len, room;
	char *text = NULL;
	FILE *out = open_memstream(&text, &room);

	if (!out)
		return -ENOMEM;
	fputs("allow", out);
	for (int i = 0; i < argc; i++) {
		if (is_plain(argv[i]) || !*argv[i]) {
			fprintf(out, " %s", argv[i]);
			continue;
		}
		fputs(" \"", out);
		for (const char *s = argv[i]; *s; s++)
			fprintf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c",
				*s);
		fputc('"', out);
	}
	len = ftell(out);
	if (fclose(out) || !text || !len) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

static void print_time(FILE *out, time_t when)
{
	char text[32];
	struct tm tm;

	if (gmtime_r(&when, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		fputs(text, out);
}

/* In quotes and on one line, whatever it holds. */
static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text,
		      out);
	}
	fputc('"', out);
}

static int print_live(struct policy *p, const struct allow_tree *allow,
		      unsigned int id, const char *who, const char *why,
		      char **ret_line)
{
	char *line = NULL;
	size_t len;
	FILE *out = open_memstream(&line, &len);

	if (!out)
		return -ENOMEM;
	fprintf(out, "%s in %s live %u  # id=%u by=", allow_text(p, allow),
		allow->conduit->name.text, id, id);
	print_quoted(out, who ? who : "");
	fputs(" at=", out);
	print_time(out, p->context->now);
	if (allow->until) {
		fputs(" until=", out);
		print_time(out, allow->until);
	}
	fputs(" why=", out);
	print_quoted(out, why ? why : "");
	if (fclose(out) || !line) {
		free(line);
		return -ENOMEM;
	}
	*ret_line = line;
	return 0;
}

static struct allow_tree *typed_statement(struct policy *p, uint32_t source)
{
	struct allow_tree *found = NULL;

	for (struct allow_tree *a = p->allows; a; a = a->next)
		if (a->spot.source == source)
			found = a;
	return found;
}

/* What the statement alone must say, and must not. */
static void check_typed(struct policy *p, struct allow_tree *allow,
			time_t until)
{
	if (allow->live_at.line)
		policy_error(p, &allow->live_at,
			     "'live' is given by the gate itself");
	if (until && allow->until)
		policy_error(
		    p, &allow->until_at,
		    "the time is given twice: 'until' here, and another one besides");
	else if (until)
		allow->until = until;
	if (allow->until && allow->until <= p->context->now)
		policy_error(
		    p, allow->until_at.line ? &allow->until_at : &allow->spot,
		    "this time has passed already");
}

static int live_line(struct policy *p, uint32_t source, unsigned int id,
		     const char *who, time_t until, const char *why,
		     char **ret_line)
{
	struct allow_tree *allow;
	int err = policy_run(p);

	if (err)
		return err;
	if (setjmp(p->no_memory))
		return -ENOMEM;
	allow = typed_statement(p, source);
	if (!allow)
		return -EINVAL;
	check_typed(p, allow, until);
	if (p->n_errors)
		return -EINVAL;
	return print_live(p, allow, id, who, why, ret_line);
}

int policy_live_allow(const struct policy_source *sources, size_t n_sources,
		      const struct policy_context *context, int argc,
		      char *const argv[], unsigned int id, const char *who,
		      time_t until, const char *why, FILE *errors,
		      char **ret_line)
{
	struct policy_source *all;
	struct policy *p = NULL;
	char *text = NULL;
	int err = -ENOMEM;

	all = calloc(n_sources + 1, sizeof(*all));
	if (!all || join_words(argc, argv, &text))
		goto out;
	if (n_sources)
		memcpy(all, sources, n_sources * sizeof(*all));
	all[n_sources] =
	    (struct policy_source){ "command line", text, strlen(text) };
	err = policy_open(all, n_sources + 1, context, n_sources + 1, &p);
	if (!err)
		err = live_line(p, n_sources, id, who, until, why, ret_line);
	if (err == -EINVAL)
		policy_print_errors(p, errors);
out:
	policy_close(p);
	free(text);
	free(all);
	return err;
}
