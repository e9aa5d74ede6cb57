/* SPDX-License-Identifier: GPL-2.0-only */
/* Tokens to tree: conduits and allow statements, in a conduit or live. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy_tree.h"

/* ---- allow ----------------------------------------------------------- */

enum { ASKS_MAX = 256 };

static const char *const option_words[] = { "from", "to",   "unit", "until",
					    "in",   "live", NULL };

static const struct {
	const char *word;
	const char *instead;
} later_options[] = {
	{ "address", "allow the function for the whole unit, or leave it out" },
	{ "object", "allow the function for the whole unit, or leave it out" },
	{ "rate",
	  "leave it out; 'ceiling' bounds the conversations of a conduit" },
	{ "burst",
	  "leave it out; 'ceiling' bounds the conversations of a conduit" },
	{ "during",
	  "leave it out; 'portcullis allow … --for 2h' opens for a time" },
	{ "window",
	  "leave it out; 'portcullis allow … --for 2h' opens for a time" },
	{ "peer", "write a second conduit for the other direction" },
	{ NULL, NULL },
};

static int find_option(const char *word)
{
	for (int i = 0; option_words[i]; i++)
		if (!strcmp(option_words[i], word))
			return i;
	return -1;
}

static const char *find_later_option(const char *word)
{
	for (int i = 0; later_options[i].word; i++)
		if (!strcmp(later_options[i].word, word))
			return later_options[i].instead;
	return NULL;
}

static bool near_option(const char *word, struct guess *guess)
{
	size_t n;
	const struct argument_word *arguments = argument_list(&n);

	guess_start(guess, word);
	for (int i = 0; option_words[i]; i++)
		guess_offer(guess, option_words[i], NULL);
	for (size_t i = 0; i < n; i++)
		guess_offer(guess, arguments[i].word, NULL);
	return guess->best;
}

static bool is_numeric(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

static bool parse_ask(struct lexer *lex, bool exact, struct ask_tree *ask)
{
	struct policy *p = lex->policy;
	uint64_t number;

	*ask = (struct ask_tree){ .exact = exact, .number = -1 };
	if (!expect_word(lex, "a class or function", &ask->word))
		return false;
	if (!is_numeric(ask->word.text))
		return true;
	if (!exact) {
		policy_error(
		    p, &ask->word.spot,
		    "a number of a function needs the word 'function' before it");
		policy_note(p, "did you mean 'function %s'?", ask->word.text);
		return false;
	}
	if (!parse_number(ask->word.text, 254, &number)) {
		policy_error(p, &ask->word.spot,
			     "'%s' is not the number of a function",
			     ask->word.text);
		policy_note(p, "expected a whole number up to 254");
		return false;
	}
	ask->number = number;
	return true;
}

/* read, write, function 3, read-coils */
static bool parse_asks(struct lexer *lex, struct allow_tree *allow)
{
	struct ask_tree ask, *copy, **end = &allow->asks;
	bool exact = false;
	unsigned int n = 0;

	if (lex->token.kind != TOKEN_word ||
	    find_option(lex->token.text) >= 0 ||
	    argument_find(lex->token.text) ||
	    find_later_option(lex->token.text))
		return true;
	do {
		if (accept_word(lex, "function"))
			exact = true;
		if (!parse_ask(lex, exact, &ask))
			return false;
		for (copy = allow->asks; copy; copy = copy->next) {
			struct spot first = copy->word.spot;

			if (!strcmp(copy->word.text, ask.word.text))
				return once(lex, ask.word.text, &first,
					    &ask.word.spot);
		}
		if (++n > ASKS_MAX) {
			policy_error(lex->policy, &ask.word.spot,
				     "more than %d functions in one statement",
				     ASKS_MAX);
			policy_note(lex->policy, "name their class instead");
			return false;
		}
		copy = arena_alloc(lex->policy, sizeof(*copy));
		*copy = ask;
		*end = copy;
		end = &copy->next;
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool parse_assets(struct lexer *lex, struct word_list *list)
{
	struct word word;

	do {
		if (!expect_word(lex, "an asset", &word))
			return false;
		word_append(lex->policy, list, &word);
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

/* 1, 3-8 */
static bool parse_units(struct lexer *lex, struct allow_tree *allow)
{
	uint64_t first, last;
	struct word word;
	const char *dash, *head;

	do {
		if (!expect_word(lex, "a unit", &word))
			return false;
		dash = strchr(word.text, '-');
		head = word.text;
		if (dash)
			head = arena_copy(lex->policy, head, dash - head);
		if (!parse_number(head, 255, &first) ||
		    (dash && !parse_number(dash + 1, 255, &last)) ||
		    (dash && last < first)) {
			policy_error(lex->policy, &word.spot,
				     "'%s' is not a unit", word.text);
			policy_note(
			    lex->policy,
			    "expected a number up to 255, or a range such as 1-8");
			return false;
		}
		if (!dash)
			last = first;
		for (uint64_t unit = first; unit <= last; unit++)
			allow->units[unit / 64] |= 1ULL << unit % 64;
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct portcullis_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Neighbours become one: what is asked for may lie across both. */
static void join_ranges(struct limit_tree *limit)
{
	struct portcullis_range *out = limit->ranges;
	unsigned int i;

	qsort(limit->ranges, limit->n, sizeof(limit->ranges[0]),
	      compare_ranges);
	for (i = 1; i < limit->n; i++) {
		const struct portcullis_range *next = &limit->ranges[i];

		if (limit->word->names || next->first > out->last + 1)
			*++out = *next;
		else if (next->last > out->last)
			out->last = next->last;
	}
	limit->n = out - limit->ranges + 1;
}

static bool not_an_argument(struct policy *p, const struct argument_word *word,
			    const struct word *given)
{
	const struct argument_name *name = word->names;
	const char *names[32];
	size_t n = 0;

	policy_error(p, &given->spot, "'%s' is not a value of '%s'",
		     given->text, word->word);
	for (; name && name->name && n < 31; name++)
		names[n++] = name->name;
	names[n] = NULL;
	if (n)
		policy_note_words(p, given->text, names);
	if (word->max)
		policy_note(p,
			    word->hex ? "expected a number up to 0x%x, such as "
					"%s"
				      : "expected numbers up to %u, such as %s",
			    word->max, word->example);
	return false;
}

/* In order of the table, so that the text of a rule is always the same. */
static void add_limit(struct allow_tree *allow, struct limit_tree *limit)
{
	struct limit_tree **at = &allow->limits;

	while (*at && (*at)->word < limit->word)
		at = &(*at)->next;
	limit->next = *at;
	*at = limit;
}

/* register 0-99, 200 */
static bool parse_limit(struct lexer *lex, struct allow_tree *allow,
			const struct argument_word *word)
{
	struct policy *p = lex->policy;
	struct limit_tree *limit = arena_alloc(p, sizeof(*limit));
	struct word given;

	limit->word = word;
	limit->spot = lex->token.spot;
	for (struct limit_tree *l = allow->limits; l; l = l->next)
		if (l->word == word)
			return once(lex, word->word, &l->spot, &limit->spot);
	lexer_next(lex);
	do {
		if (!expect_word(lex, "a value", &given))
			return false;
		if (limit->n == LIMIT_RANGES) {
			policy_error(p, &given.spot,
				     "more than %d values of '%s'",
				     LIMIT_RANGES, word->word);
			policy_note(p,
				    "write neighbours as a range such as 0-99");
			return false;
		}
		if (!argument_parse(word, given.text,
				    &limit->ranges[limit->n++]))
			return not_an_argument(p, word, &given);
	} while (accept_token(lex, TOKEN_comma));
	join_ranges(limit);
	add_limit(allow, limit);
	return true;
}

/* Four digits and so on; strptime() would take blanks and signs. */
static bool parse_digits(const char **at, unsigned int n, char after, int *ret)
{
	int number = 0;

	for (; n; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		number = number * 10 + (**at - '0');
	}
	if (*(*at)++ != after)
		return false;
	*ret = number;
	return true;
}

/* 2026-12-24T10:00:00Z */
static bool parse_utc(const char *text, time_t *ret_time)
{
	struct tm tm = { 0 }, made;
	time_t when;

	if (!parse_digits(&text, 4, '-', &tm.tm_year) ||
	    !parse_digits(&text, 2, '-', &tm.tm_mon) ||
	    !parse_digits(&text, 2, 'T', &tm.tm_mday) ||
	    !parse_digits(&text, 2, ':', &tm.tm_hour) ||
	    !parse_digits(&text, 2, ':', &tm.tm_min) ||
	    !parse_digits(&text, 2, 'Z', &tm.tm_sec) || *text)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	made = tm;
	when = timegm(&made);
	/* timegm() turns the 31st of February into one of March. */
	if (made.tm_mon != tm.tm_mon || made.tm_mday != tm.tm_mday ||
	    made.tm_hour != tm.tm_hour || made.tm_min != tm.tm_min ||
	    made.tm_sec != tm.tm_sec || when <= 0)
		return false;
	*ret_time = when;
	return true;
}

static bool parse_until(struct lexer *lex, struct allow_tree *allow)
{
	const struct token *token = &lex->token;
	uint64_t seconds;

	if (token->kind != TOKEN_word && token->kind != TOKEN_string)
		return unexpected(lex, "a time");
	if (parse_number(token->text, 253402300799ULL, &seconds) && seconds) {
		allow->until = seconds;
	} else if (!parse_utc(token->text, &allow->until)) {
		policy_error(lex->policy, &token->spot, "'%s' is not a time",
			     token->text);
		policy_note(
		    lex->policy,
		    "expected UTC such as \"2026-12-24T10:00:00Z\", or seconds since 1970");
		return false;
	}
	lexer_next(lex);
	return true;
}

static bool parse_live_id(struct lexer *lex, struct allow_tree *allow)
{
	uint64_t id;

	if (!expect_number(lex, "the number of a live change", UINT32_MAX, &id))
		return false;
	allow->live_id = id;
	return true;
}

static bool not_an_option(struct lexer *lex, const struct allow_tree *allow)
{
	const struct token *token = &lex->token;
	const char *instead = find_later_option(token->text);
	const struct ask_tree *last = allow->asks;
	struct policy *p = lex->policy;
	struct guess guess;

	if (instead) {
		policy_error(p, &token->spot, "'%s' is not supported yet",
			     token->text);
		policy_note(p, "%s", instead);
		return false;
	}
	while (last && last->next)
		last = last->next;
	/* `allow modbus fron hmi-1`: the misspelt option was taken for a
	 * function; what follows it is not the mistake. */
	if (last && last->word.spot.offset == lex->before.offset &&
	    class_find(last->word.text) <= 0 &&
	    near_option(last->word.text, &guess)) {
		policy_error(p, &last->word.spot, "'%s' is not a rule option",
			     last->word.text);
		guess_note(p, &guess, &last->word.spot);
		return false;
	}
	policy_error(p, &token->spot, "'%s' is not a rule option", token->text);
	if (near_option(token->text, &guess))
		guess_note(p, &guess, &token->spot);
	else if (last && last->word.spot.offset == lex->before.offset)
		policy_note(p, "functions are separated by ','");
	else
		policy_note(
		    p,
		    "expected from, to, unit or until; lists are separated by ','");
	return false;
}

static bool parse_option(struct lexer *lex, struct allow_tree *allow,
			 struct spot seen[])
{
	enum { FROM, TO, UNIT, UNTIL, IN, LIVE };
	struct spot spot = lex->token.spot;
	int option = find_option(lex->token.text);
	const struct argument_word *argument = argument_find(lex->token.text);

	if (argument)
		return parse_limit(lex, allow, argument);
	if (option < 0)
		return not_an_option(lex, allow);
	if (option >= IN && allow->conduit) {
		policy_error(
		    lex->policy, &spot,
		    "'%s' belongs to live changes, outside of conduits",
		    lex->token.text);
		return false;
	}
	lexer_next(lex);
	if (!once(lex, option_words[option], &seen[option], &spot))
		return false;
	switch (option) {
	case FROM:
		return parse_assets(lex, &allow->from);
	case TO:
		return parse_assets(lex, &allow->to);
	case UNIT:
		allow->unit_at = spot;
		return parse_units(lex, allow);
	case UNTIL:
		allow->until_at = spot;
		return parse_until(lex, allow);
	case IN:
		return expect_word(lex, "a conduit", &allow->in);
	default:
		allow->live_at = spot;
		return parse_live_id(lex, allow);
	}
}

static bool parse_allow(struct lexer *lex, const struct word *word,
			struct conduit_tree *conduit)
{
	struct spot seen[6] = { 0 };
	struct policy *p = lex->policy;
	struct allow_tree *allow = arena_alloc(p, sizeof(*allow));

	allow->spot = word->spot;
	allow->conduit = conduit;
	allow->broken = true;
	*p->allows_end = allow;
	p->allows_end = &allow->next;
	if (!expect_word(lex, "a service", &allow->service_name) ||
	    !parse_asks(lex, allow))
		return false;
	while (lex->token.kind == TOKEN_word)
		if (!parse_option(lex, allow, seen))
			return false;
	allow->broken = lex->token.kind != TOKEN_line &&
			lex->token.kind != TOKEN_close &&
			lex->token.kind != TOKEN_end;
	return true;
}

bool parse_live_allow(struct lexer *lex, const struct word *word, void *node)
{
	(void)node;
	return parse_allow(lex, word, NULL);
}

/* ---- canonical text -------------------------------------------------- */

static int compare_asks(const void *a, const void *b)
{
	const struct ask_tree *x = *(struct ask_tree *const *)a;
	const struct ask_tree *y = *(struct ask_tree *const *)b;

	if (x->exact != y->exact)
		return x->exact - y->exact;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->word.text, y->word.text);
}

/* So that "any" says more than nothing. */
static bool has_tunnels(const struct service_tree *s)
{
	for (unsigned int i = 0; i < s->n_protos; i++)
		for (size_t f = 0; f < s->protos[i]->n_functions; f++)
			if (protocol_is_tunnel(
				s->protos[i]->id,
				s->protos[i]->functions[f].number))
				return true;
	return false;
}

static void text_asks(struct policy *p, struct text *text,
		      const struct allow_tree *allow)
{
	struct ask_tree **sorted, *ask;
	bool exact = false;
	size_t n = 0, i = 0;

	for (ask = allow->asks; ask; ask = ask->next) {
		if (!ask->exact && !strcmp(ask->word.text, "any")) {
			if (has_tunnels(allow->service))
				text_add(p, text, " any");
			return;
		}
		n++;
	}
	if (!n)
		return;
	sorted = arena_alloc(p, n * sizeof(*sorted));
	for (ask = allow->asks; ask; ask = ask->next)
		sorted[i++] = ask;
	qsort(sorted, n, sizeof(*sorted), compare_asks);
	for (i = 0; i < n; i++) {
		text_add(p, text, "%s%s%s", i ? ", " : " ",
			 sorted[i]->exact && !exact ? "function " : "",
			 sorted[i]->word.text);
		exact = sorted[i]->exact;
	}
}

static void text_assets(struct policy *p, struct text *text, const char *word,
			struct asset_tree *const *assets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text_add(p, text, "%s%s%s", i ? ", " : word, i ? "" : " ",
			 assets[i]->name.text);
}

static bool has_unit(const struct allow_tree *allow, int unit)
{
	return unit >= 0 && unit < 256 &&
	       (allow->units[unit / 64] >> unit % 64 & 1);
}

static void text_units(struct policy *p, struct text *text,
		       const struct allow_tree *allow)
{
	const char *before = " unit ";
	int last;

	for (int unit = 0; unit < 256; unit++) {
		if (!has_unit(allow, unit) || has_unit(allow, unit - 1))
			continue;
		for (last = unit; has_unit(allow, last + 1); last++)
			;
		text_add(p, text, "%s%d", before, unit);
		if (last > unit)
			text_add(p, text, "-%d", last);
		before = ", ";
	}
}

static void text_limits(struct policy *p, struct text *text,
			const struct allow_tree *allow)
{
	char range[64];

	for (const struct limit_tree *l = allow->limits; l; l = l->next) {
		for (unsigned int i = 0; i < l->n; i++) {
			argument_text(l->word, &l->ranges[i], range,
				      sizeof(range));
			text_add(p, text, "%s%s%s%s", i ? ", " : " ",
				 i ? "" : l->word->word, i ? "" : " ", range);
		}
	}
}

const char *allow_text(struct policy *p, const struct allow_tree *allow)
{
	struct text text = { 0 };
	char when[32];
	struct tm tm;

	text_add(p, &text, "allow %s", allow->service_name.text);
	text_asks(p, &text, allow);
	text_assets(p, &text, " from", allow->from_assets, allow->n_from);
	text_assets(p, &text, " to", allow->to_assets, allow->n_to);
	text_units(p, &text, allow);
	text_limits(p, &text, allow);
	if (allow->until && gmtime_r(&allow->until, &tm)) {
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		text_add(p, &text, " until \"%s\"", when);
	}
	return text.data;
}

/* ---- conduit --------------------------------------------------------- */

static bool conduit_mode(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const words[] = { [MODE_enforce] = "enforce",
					     [MODE_monitor] = "monitor",
					     [MODE_mirror] = "mirror",
					     NULL };
	struct conduit_tree *conduit = node;
	struct spot spot;
	int mode = expect_choice(lex, "a mode", words, &spot);

	if (mode < 0 || !once(lex, "mode", &conduit->mode_at, &word->spot))
		return false;
	conduit->mode = mode;
	return true;
}

static bool conduit_allow(struct lexer *lex, const struct word *word,
			  void *node)
{
	return parse_allow(lex, word, node);
}

/* on mismatch reset, evidence */
static bool conduit_on(struct lexer *lex, const struct word *word, void *node)
{
	static const char *const events[] = { "mismatch", NULL };
	static const char *const words[] = { [ACTION_reset] = "reset",
					     [ACTION_drop] = "drop",
					     [ACTION_mirror] = "mirror",
					     [ACTION_divert] = "divert",
					     "evidence",
					     NULL };
	struct conduit_tree *conduit = node;
	struct spot spot, action_at = { 0 }, evidence_at = { 0 };
	int choice;

	if (expect_choice(lex, "something that can happen", events, &spot) <
		0 ||
	    !once(lex, "on mismatch", &conduit->action_at, &word->spot))
		return false;
	do {
		choice = expect_choice(lex, "an action", words, &spot);
		if (choice < 0)
			return false;
		if (!words[choice + 1]) {
			if (!once(lex, "evidence", &evidence_at, &spot))
				return false;
			conduit->flags |= RULESET_evidence;
			continue;
		}
		if (action_at.line) {
			policy_error(lex->policy, &spot,
				     "'%s' cannot be done besides '%s'",
				     words[choice], words[conduit->action]);
			policy_note(
			    lex->policy,
			    "one action, and 'evidence' with it if wanted");
			return false;
		}
		action_at = spot;
		conduit->action = choice;
	} while (accept_token(lex, TOKEN_comma));
	return true;
}

static bool conduit_split(struct lexer *lex, const struct word *word,
			  void *node)
{
	static const char *const words[] = { "header", "message", NULL };
	static const char *const refuse[] = { "refuse", NULL };
	static const uint8_t flags[] = { RULESET_split_header,
					 RULESET_split_message };
	struct conduit_tree *conduit = node;
	struct spot spot;
	int choice = expect_choice(lex, "what can be split", words, &spot);

	(void)word;
	if (choice < 0 || expect_choice(lex, "what can be done with a split",
					refuse, &spot) < 0)
		return false;
	conduit->flags |= flags[choice];
	return true;
}

static bool conduit_ceiling(struct lexer *lex, const struct word *word,
			    void *node)
{
	struct conduit_tree *conduit = node;
	uint64_t number;

	if (!expect_number(lex, "a number of conversations", UINT32_MAX,
			   &number))
		return false;
	accept_word(lex, "conversations");
	if (!number) {
		policy_error(lex->policy, &word->spot,
			     "a ceiling of 0 would let nobody talk");
		policy_note(
		    lex->policy,
		    "leave the statement out where there is to be no ceiling");
		return false;
	}
	conduit->ceiling = number;
	return once(lex, "ceiling", &conduit->ceiling_at, &word->spot);
}

static bool conduit_asymmetric(struct lexer *lex, const struct word *word,
			       void *node)
{
	struct conduit_tree *conduit = node;

	conduit->flags |= RULESET_asymmetric;
	return once(lex, "asymmetric", &conduit->asymmetric_at, &word->spot);
}

static bool conduit_fragments(struct lexer *lex, const struct word *word,
			      void *node)
{
	static const char *const words[] = { "drop", NULL };
	struct spot spot;

	(void)node;
	if (at_word(lex, "allow")) {
		policy_error(lex->policy, &word->spot,
			     "'fragments allow' is not supported yet");
		policy_note(lex->policy, "fragments are always dropped");
		return false;
	}
	return expect_choice(lex, "what can be done with fragments", words,
			     &spot) >= 0;
}

static const struct statement conduit_statements[] = {
	{ "mode", conduit_mode, NULL },
	{ "allow", conduit_allow, NULL },
	{ "on", conduit_on, NULL },
	{ "split", conduit_split, NULL },
	{ "ceiling", conduit_ceiling, NULL },
	{ "asymmetric", conduit_asymmetric, NULL },
	{ "fragments", conduit_fragments, NULL },
	{ "use", NULL, "write out what it would have brought in" },
	{ "learn", NULL, "'mode monitor' refuses nothing and reports all" },
	{ "window", NULL, "'portcullis allow … --for 2h' opens for a time" },
	{ NULL, NULL, NULL },
};

static bool conduit_ends(struct lexer *lex, struct conduit_tree *conduit)
{
	if (!accept_word(lex, "from"))
		return unexpected(lex, "'from' and a zone");
	if (!expect_word(lex, "the zone where it begins", &conduit->from))
		return false;
	if (!accept_word(lex, "to"))
		return unexpected(lex, "'to' and a zone");
	return expect_word(lex, "the zone where it ends", &conduit->to);
}

bool parse_conduit(struct lexer *lex, const struct word *word, void *node)
{
	struct policy *p = lex->policy;
	struct conduit_tree *conduit;
	struct word name;

	(void)node;
	if (!expect_name(lex, "the name of the conduit", &name))
		return false;
	if (!strcmp(name.text, "from") && !at_word(lex, "from") &&
	    lex->token.kind != TOKEN_string) {
		policy_error(p, &name.spot, "the conduit has no name");
		policy_note(p, "expected a name before 'from'");
		return false;
	}
	conduit = arena_alloc(p, sizeof(*conduit));
	conduit->name = name;
	conduit->title = "";
	*p->conduits_end = conduit;
	p->conduits_end = &conduit->next;
	if (lex->token.kind == TOKEN_string) {
		conduit->title = lex->token.text;
		lexer_next(lex);
	}
	if (!conduit_ends(lex, conduit)) {
		conduit->broken = true;
		skip_head(lex);
		if (lex->resumed)
			return false;
	}
	parse_block(lex, conduit_statements, "of a conduit", &word->spot,
		    conduit);
	return true;
}
