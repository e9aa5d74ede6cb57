/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs tests/vectors/NAME.txt through the stepper of each protocol.
 *
 *	vectors_test [FOLDER]			default: tests/vectors
 *	vectors_test --seeds OUT [FOLDER]	writes seeds for fuzz_proto
 *
 * One case a line, `#` begins a comment:
 *
 *	REASON [udp|tcp] [open] [twice] [says NAME,NAME…] [quirk WORD,…]
 *		[names WORD=RANGE,…] :
 *		>BYTES <BYTES …		(all on one line)
 *
 * (`+` is as good as a blank there: ok+open)
 *
 *	REASON	how it must end: `ok`, or a reason of include/portcullis/
 *		reasons.def; refused must be the last run, no earlier one
 *	tcp	(default) runs of a stream; udp: each run is a datagram
 *	open	ends inside a message; without it an `ok` case must not
 *	twice	the same once more in the same conversation is `ok` too
 *	says	the functions that the steps told, in order, by keyword
 *	quirk	what is tolerated, and in an `ok` case is what lets it pass:
 *		quirk exception-length,late-transaction-ids
 *	names	what the client's steps named, in order, as the policy has it:
 *		names register=0-99,coil=3; `names -` is nothing
 *	>	a run from the client, <: from the server; *N behind it: N times
 *	BYTES	hex pairs with or without blanks between; 00*200: N times the
 *		bytes of this word; "text" with \r \n \t \\ \" \0 \xHH
 *
 * A TCP case is run whole, with neighbours of one side joined, byte by byte,
 * and cut at every place (at no more than some hundred of a long one); each
 * time the outcome must be the same and every step must keep its contract.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "arguments.h"
#include "protocols.gen.h"
#include "stepping.h"

enum {
	RUNS_MAX = 1024,
	BYTES_MAX = 1 << 20,
	CUTS_MAX = 600,
	SAYS_MAX = 64,
};

struct run {
	int side;
	size_t at, len; /* in bytes of the case */
};

struct vector {
	const char *file;
	unsigned int line, proto, l4;
	enum portcullis_reason reason;
	uint16_t quirks;
	bool open, twice, has_says, has_names;
	uint8_t says[SAYS_MAX];
	size_t n_says, n_names, n_runs, n_bytes;
	struct portcullis_range names[NAMED_MAX];
	struct run runs[RUNS_MAX];
	uint8_t bytes[BYTES_MAX];
};

static struct vector vector;
static const char *complaint; /* of broken(), for the run in hand */

static const char *const reasons[REASON_max] = {
#define REASON(id, name, ...) [id] = #name,
#include <portcullis/reasons.def>
#undef REASON
};

static void broken(const struct conversation *c, const char *what)
{
	(void)c;
	if (!complaint)
		complaint = what;
}

/* ---- reading --------------------------------------------------------- */

static int find_reason(const char *name)
{
	int i;

	for (i = 0; i < REASON_max; i++)
		if (reasons[i] && !strcmp(reasons[i], name))
			return i;
	return -1;
}

static int find_function(unsigned int proto, const char *name)
{
	const struct table_function *f;

	for (f = function_table[proto]; f->name; f++)
		if (!strcmp(f->name, name))
			return f->number;
	return -1;
}

static const char *read_says(struct vector *v, char *names)
{
	char *rest = NULL, *name;
	int number;

	v->has_says = true;
	for (name = strtok_r(names, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest)) {
		number = find_function(v->proto, name);
		if (number < 0)
			return "no function has this name";
		if (v->n_says == SAYS_MAX)
			return "too many functions";
		v->says[v->n_says++] = number;
	}
	return NULL;
}

static const char *read_names(struct vector *v, char *names)
{
	const struct argument_word *word;
	char *rest = NULL, *name, *value;

	v->has_names = true;
	if (!strcmp(names, "-"))
		return NULL;
	for (name = strtok_r(names, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest)) {
		value = strchr(name, '=');
		if (!value || v->n_names == NAMED_MAX)
			return "names wants WORD=RANGE";
		*value++ = 0;
		word = argument_find(name);
		if (!word || word->proto != v->proto ||
		    !argument_parse(word, value, &v->names[v->n_names++]))
			return "no argument of this protocol";
	}
	return NULL;
}

static const struct {
	unsigned int id;
	const char *name;
} quirks[] = {
#define QUIRK(id, name, keyword, ...) { id, keyword },
#include <portcullis/quirks.def>
#undef QUIRK
};

static const char *read_quirks(struct vector *v, char *names)
{
	char *rest = NULL, *name;
	size_t i, n = sizeof(quirks) / sizeof(quirks[0]);

	for (name = strtok_r(names, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest)) {
		for (i = 0; i < n && strcmp(quirks[i].name, name); i++)
			;
		if (i == n)
			return "no quirk has this name";
		v->quirks |= 1U << quirks[i].id;
	}
	return NULL;
}

static const char *read_words(struct vector *v, char *words)
{
	char *rest = NULL, *word = strtok_r(words, " \t+", &rest);
	const char *error = NULL;
	int reason = word ? find_reason(word) : -1;

	if (reason < 0)
		return "the first word is not a reason";
	v->reason = reason;
	while (!error && (word = strtok_r(NULL, " \t+", &rest))) {
		if (!strcmp(word, "udp"))
			v->l4 = TRANSPORT_udp;
		else if (!strcmp(word, "tcp"))
			v->l4 = TRANSPORT_tcp;
		else if (!strcmp(word, "open"))
			v->open = true;
		else if (!strcmp(word, "twice"))
			v->twice = true;
		else if (!strcmp(word, "says") &&
			 (word = strtok_r(NULL, " \t+", &rest)))
			error = read_says(v, word);
		else if (!strcmp(word, "quirk") &&
			 (word = strtok_r(NULL, " \t+", &rest)))
			error = read_quirks(v, word);
		else if (!strcmp(word, "names") &&
			 (word = strtok_r(NULL, " \t+", &rest)))
			error = read_names(v, word);
		else
			return "a word that is not known before the colon";
	}
	return error;
}

static bool put(struct vector *v, uint8_t byte)
{
	if (v->n_bytes == BYTES_MAX)
		return false;
	v->bytes[v->n_bytes++] = byte;
	v->runs[v->n_runs - 1].len++;
	return true;
}

static int digit(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* "text"; returns behind it, NULL if it is broken. */
static char *read_text(struct vector *v, char *p)
{
	static const char names[] = "rnt\\\"0";
	static const char values[] = "\r\n\t\\\"";
	const char *escape;

	for (p++; *p && *p != '"'; p++) {
		if (*p != '\\') {
			if (!put(v, *p))
				return NULL;
			continue;
		}
		if (p[1] == 'x' && digit(p[2]) >= 0 && digit(p[3]) >= 0) {
			if (!put(v, digit(p[2]) << 4 | digit(p[3])))
				return NULL;
			p += 3;
			continue;
		}
		escape = p[1] ? strchr(names, p[1]) : NULL;
		if (!escape || !put(v, values[escape - names]))
			return NULL;
		p++;
	}
	return *p ? p + 1 : NULL;
}

/* Hex pairs up to a blank, perhaps *N; returns behind them. */
static char *read_hex(struct vector *v, char *p)
{
	size_t first = v->n_bytes, n, i;
	unsigned long times = 1;

	while (digit(p[0]) >= 0 && digit(p[1]) >= 0) {
		if (!put(v, digit(p[0]) << 4 | digit(p[1])))
			return NULL;
		p += 2;
	}
	n = v->n_bytes - first;
	if (*p == '*')
		times = strtoul(p + 1, &p, 10);
	if (!n || !times || (*p && !isspace((unsigned char)*p)))
		return NULL;
	for (i = 0; i < n * (times - 1); i++)
		if (!put(v, v->bytes[first + i]))
			return NULL;
	return p;
}

static bool repeat_run(struct vector *v, unsigned long times)
{
	struct run *run = &v->runs[v->n_runs - 1];

	while (times-- > 1) {
		if (v->n_runs == RUNS_MAX)
			return false;
		v->runs[v->n_runs++] = *run;
	}
	return true;
}

static const char *read_runs(struct vector *v, char *p)
{
	unsigned long times = 1;
	int side;

	while (*p) {
		if (isspace((unsigned char)*p)) {
			p++;
		} else if (*p == '>' || *p == '<') {
			side = *p++ == '<';
			if (v->n_runs && !repeat_run(v, times))
				return "too many runs";
			times = *p == '*' ? strtoul(p + 1, &p, 10) : 1;
			if (v->n_runs == RUNS_MAX || !times)
				return "too many runs, or none";
			v->runs[v->n_runs++] =
			    (struct run){ side, v->n_bytes, 0 };
		} else if (!v->n_runs) {
			return "bytes begin with > or <";
		} else {
			p = *p == '"' ? read_text(v, p) : read_hex(v, p);
			if (!p)
				return "neither hex pairs nor \"text\"";
		}
	}
	if (!v->n_runs || !repeat_run(v, times))
		return "no runs, or too many";
	return NULL;
}

/* NULL, or what is wrong with the line. */
static const char *read_line(struct vector *v, char *line)
{
	char *colon = strchr(line, ':');
	const char *error;

	v->l4 = TRANSPORT_tcp;
	v->quirks = 0;
	v->open = v->twice = v->has_says = v->has_names = false;
	v->n_says = v->n_names = v->n_runs = v->n_bytes = 0;
	if (!colon)
		return "no colon";
	*colon = 0;
	error = read_words(v, line);
	return error ? error : read_runs(v, colon + 1);
}

/* ---- running --------------------------------------------------------- */

struct outcome {
	struct conversation c;
	size_t last; /* run at which it ended */
};

/* Delivers the runs; a run is cut before byte `cut` of the case, or before
 * each byte, if `cut` is SIZE_MAX. */
static void play(struct outcome *o, const struct vector *v, size_t cut)
{
	const struct run *r;
	size_t i, j, done = 0, step;

	for (i = 0; i < v->n_runs && o->c.reason == REASON_ok; i++) {
		r = &v->runs[i];
		o->last = i;
		for (j = 0; j < r->len; j += step) {
			step = r->len - j;
			if (cut == SIZE_MAX)
				step = 1;
			else if (cut > done + j && cut < done + r->len)
				step = cut - done - j;
			deliver(&o->c, r->side, v->bytes + r->at + j, step);
		}
		done += r->len;
	}
}

/* Neighbouring runs of one side as one. */
static void play_joined(struct outcome *o, const struct vector *v)
{
	uint8_t *all = malloc(BYTES_MAX + 1);
	size_t i, n;

	if (!all)
		abort();
	for (i = 0; i < v->n_runs && o->c.reason == REASON_ok;
	     i = o->last + 1) {
		n = 0;
		for (o->last = i;; o->last++) {
			if (n + v->runs[o->last].len > BYTES_MAX)
				break;
			memcpy(all + n, v->bytes + v->runs[o->last].at,
			       v->runs[o->last].len);
			n += v->runs[o->last].len;
			if (o->last + 1 == v->n_runs ||
			    v->runs[o->last + 1].side != v->runs[i].side)
				break;
		}
		deliver(&o->c, v->runs[i].side, all, n);
	}
	free(all);
}

static bool fail(const struct vector *v, const char *form, const char *what)
{
	printf("%s:%u: %s: %s\n", v->file, v->line, form, what);
	return false;
}

static bool names_right(const struct vector *v, const struct conversation *c)
{
	return c->n_named == v->n_names &&
	       !memcmp(c->named, v->names, v->n_names * sizeof(v->names[0]));
}

static bool right(const struct vector *v, const struct outcome *o,
		  const char *form)
{
	static char text[160];
	bool open = is_open(&o->c, 0) || is_open(&o->c, 1);

	if (complaint)
		return fail(v, form, complaint);
	if (o->c.reason != v->reason) {
		snprintf(text, sizeof(text), "must be %s, is %s at run %zu",
			 reasons[v->reason], reasons[o->c.reason], o->last + 1);
		return fail(v, form, text);
	}
	if (v->reason != REASON_ok)
		return o->last + 1 == v->n_runs
			   ? true
			   : fail(v, form, "refused before the last run");
	if (open != v->open)
		return fail(v, form,
			    open ? "ends inside a message"
				 : "does not end inside a message");
	if (v->quirks != o->c.tolerated)
		return fail(v, form, "needed other quirks");
	if (v->has_says &&
	    (o->c.n_said != v->n_says || memcmp(o->c.said, v->says, v->n_says)))
		return fail(v, form, "says other functions");
	if (v->has_names && !names_right(v, &o->c))
		return fail(v, form, "names other arguments");
	return true;
}

static bool check_cut(const struct vector *v, size_t cut, const char *form)
{
	static struct outcome o;
	char name[64];

	snprintf(name, sizeof(name), cut && cut != SIZE_MAX ? "%s %zu" : "%s",
		 form, cut);
	conversation_init(&o.c, v->proto, v->l4);
	o.c.quirks = v->quirks;
	play(&o, v, cut);
	return right(v, &o, name);
}

static bool check_twice(const struct vector *v)
{
	static struct outcome o;
	size_t said, named;

	conversation_init(&o.c, v->proto, v->l4);
	o.c.quirks = v->quirks;
	play(&o, v, 0);
	said = o.c.n_said;
	named = o.c.n_named;
	play(&o, v, 0);
	if (o.c.n_said != 2 * said)
		return fail(v, "twice", "says less the second time");
	o.c.n_said = said;
	o.c.n_named = named;
	return right(v, &o, "twice");
}

static bool run_vector(const struct vector *v)
{
	static struct outcome o;
	size_t total = 0, i, cut, stride;

	complaint = NULL;
	for (i = 0; i < v->n_runs; i++)
		total += v->runs[i].len;
	if (!check_cut(v, 0, "whole") || (v->twice && !check_twice(v)))
		return false;
	if (v->l4 == TRANSPORT_udp)
		return true;
	if (!check_cut(v, SIZE_MAX, "byte by byte"))
		return false;
	conversation_init(&o.c, v->proto, v->l4);
	o.c.quirks = v->quirks;
	play_joined(&o, v);
	if (!right(v, &o, "joined"))
		return false;
	stride = total / CUTS_MAX + 1;
	for (cut = 1; cut < total; cut += stride)
		if (!check_cut(v, cut, "cut at"))
			return false;
	return true;
}

/* ---- seeds for fuzz_proto.c, which describes their form --------------- */

static int write_seed(const struct vector *v, const char *folder)
{
	char path[4096];
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%u-%u", folder, v->proto, v->line);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fputc(v->proto, f);
	fputc(v->l4 == TRANSPORT_udp, f);
	for (i = 0; i < v->n_runs; i++) {
		fputc(v->runs[i].side << 7 | (v->runs[i].len >> 8 & 0x7f), f);
		fputc(v->runs[i].len & 0xff, f);
		fwrite(v->bytes + v->runs[i].at, 1, v->runs[i].len & 0x7fff, f);
	}
	return fclose(f) ? -errno : 0;
}

/* ---- files ----------------------------------------------------------- */

static unsigned int passed, failed;

static void no_comment(char *line)
{
	bool text = false;
	char *p = line;

	for (; *p && (text || *p != '#'); p++) {
		if (*p == '"')
			text = !text;
		else if (text && *p == '\\' && p[1])
			p++;
	}
	while (p > line && isspace((unsigned char)p[-1]))
		p--;
	*p = 0;
}

static void run_line(struct vector *v, char *line, const char *seeds,
		     unsigned int counts[2])
{
	const char *error = read_line(v, line);
	int r;

	if (error) {
		fail(v, "cannot be read", error);
		failed++;
		return;
	}
	counts[v->reason != REASON_ok]++;
	if (seeds) {
		r = write_seed(v, seeds);
		if (r)
			fail(v, "cannot write its seed", strerror(-r));
		failed += !!r;
	} else if (run_vector(v)) {
		passed++;
	} else {
		failed++;
	}
}

static void run_file(unsigned int proto, const char *name, const char *folder,
		     const char *seeds)
{
	unsigned int counts[2] = { 0, 0 };
	char path[4096], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.txt", folder, name);
	vector.file = path;
	vector.line = 0;
	vector.proto = proto;
	f = fopen(path, "re");
	if (!f) {
		fail(&vector, "cannot be read", strerror(errno));
		failed++;
		return;
	}
	while (getline(&line, &size, f) >= 0) {
		vector.line++;
		no_comment(line);
		if (*line)
			run_line(&vector, line, seeds, counts);
	}
	free(line);
	fclose(f);
	if (!counts[0] || !counts[1]) {
		fail(&vector, "whole file",
		     counts[0] ? "no case is refused" : "no case is accepted");
		failed++;
	}
}

int main(int argc, char **argv)
{
	const char *seeds = NULL, *folder = "tests/vectors";

	if (argc > 2 && !strcmp(argv[1], "--seeds")) {
		seeds = argv[2];
		if (mkdir(seeds, 0777) && errno != EEXIST) {
			fprintf(stderr, "cannot make folder %s: %s\n", seeds,
				strerror(errno));
			return 2;
		}
		argc -= 2;
		argv += 2;
	}
	if (argc > 1)
		folder = argv[1];
#define PROTOCOL(id, name, ...) run_file(id, #name, folder, seeds);
#include <portcullis/protocols.def>
#undef PROTOCOL
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
