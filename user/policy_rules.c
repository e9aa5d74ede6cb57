/* SPDX-License-Identifier: GPL-2.0-only */
/* Allow statements to what the kernel looks up.
 *
 * The kernel takes the first key that is there of (asset, asset), (asset,
 * zone), (zone, asset), (zone, zone). So each key must hold every rule that is
 * good for it: (a, b) also those of (a, zone), (zone, b) and (zone, zone). And
 * where (a, zone) and (zone, b) both are keys, (a, b) must be one as well, or
 * (a, zone) would hide the rules of (zone, b).
 */
#include <stdlib.h>
#include <string.h>

#include "policy_tree.h"

/* One rule between two endpoints. Endpoints: a zone's number, or
 * ENDPOINT_asset | the asset's; so the zone sorts before its assets. */
struct pair {
	uint16_t from_zone;
	uint16_t to_zone;
	uint16_t service;
	uint32_t from;
	uint32_t to;
	const struct allow_tree *allow;
};

/* Neighbouring pairs with the same endpoints. */
struct run {
	const struct pair *pairs;
	size_t n;
};

/* The rules of one key, in order of the text. */
struct merged {
	const struct allow_tree *rules[RULESET_RULES];
	size_t n;
};

struct rules {
	struct policy *p;
	struct table rulesets; /* by rule ids */
	struct table shapes;   /* by content */
	struct table limits;   /* likewise */
	size_t keys_room, rulesets_room, shapes_room, conditions_room,
	    limits_room;
	bool full;  /* a limit was reached: no more of anything */
	bool crowd; /* too many rules for a key of this group: one error does */
	size_t first_mode; /* of the keys that say a mode */
};

/* Room for one more in an array of the image. */
static void *grow(struct rules *r, void *array, size_t n, size_t *room,
		  size_t size)
{
	void *grown;

	if (n < *room)
		return array;
	*room = *room ? *room * 2 : 64;
	grown = realloc(array, *room * size);
	if (!grown)
		longjmp(r->p->no_memory, 1);
	memset((char *)grown + n * size, 0, (*room - n) * size);
	return grown;
}

/* ---- shapes and conditions ------------------------------------------- */

static bool has_function(const struct allow_tree *allow, unsigned int proto,
			 unsigned int function)
{
	return allow->functions[proto][function / 64] >> function % 64 & 1;
}

/* Does the rule end before the others do? The end of the last one stands in
 * the ruleset. */
static bool ends_early(const struct allow_tree *allow, uint64_t until)
{
	return allow->until && allow->until_jiffies != until;
}

static bool is_conditional(const struct allow_tree *allow, uint64_t until)
{
	return allow->unit_at.line || allow->limits || ends_early(allow, until);
}

/* Row 0 answers for messages that say no function, and chooses the rule when
 * a conversation opens. Units and arguments cannot be asked for there: the
 * functions that follow are asked about theirs. */
static uint8_t opening_byte(const struct merged *m, unsigned int proto,
			    uint64_t until)
{
	uint8_t byte = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (!m->rules[i]->admits[proto])
			continue;
		if (!ends_early(m->rules[i], until))
			return i + 1;
		byte = SHAPE_ask;
	}
	return byte;
}

static uint8_t function_byte(const struct merged *m, unsigned int proto,
			     unsigned int function, uint64_t until)
{
	uint8_t byte = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (!has_function(m->rules[i], proto, function))
			continue;
		if (!is_conditional(m->rules[i], until))
			return i + 1;
		byte = SHAPE_ask;
	}
	return byte;
}

static unsigned int find_shape(struct rules *r,
			       const struct portcullis_shape *shape)
{
	struct image *image = r->p->image;
	struct portcullis_shape *copy;
	uintptr_t row =
	    (uintptr_t)table_find(&r->shapes, shape, sizeof(*shape));

	if (row)
		return row - 1;
	image->shapes = grow(r, image->shapes, image->n_shapes, &r->shapes_room,
			     sizeof(*shape));
	row = ++image->n_shapes;
	image->shapes[row - 1] = *shape;
	copy = arena_alloc(r->p, sizeof(*copy));
	*copy = *shape;
	table_add(r->p, &r->shapes, copy, sizeof(*copy), (void *)row);
	return row - 1;
}

/* Returns whether a condition must decide anywhere. */
static bool make_shape(struct rules *r, const struct merged *m,
		       unsigned int proto, uint64_t until, uint16_t *ret_row)
{
	struct portcullis_shape shape = { 0 };
	uint64_t some[4] = { 0 };
	bool ask;

	shape.rule[0] = opening_byte(m, proto, until);
	ask = shape.rule[0] == SHAPE_ask;
	for (size_t i = 0; i < m->n; i++)
		for (int w = 0; w < 4; w++)
			some[w] |= m->rules[i]->functions[proto][w];
	for (unsigned int f = 1; f < 255; f++) {
		if (!(some[f / 64] >> f % 64 & 1))
			continue;
		shape.rule[f] = function_byte(m, proto, f, until);
		ask |= shape.rule[f] == SHAPE_ask;
	}
	*ret_row = find_shape(r, &shape);
	return ask;
}

static void limit_reached(struct rules *r, const struct spot *spot, size_t max,
			  const char *what, const char *instead)
{
	if (r->full)
		return;
	r->full = true;
	policy_error(r->p, spot, "the rules need more than %zu %s", max, what);
	policy_note(r->p, "%s", instead);
}

static unsigned int find_limits_row(struct rules *r,
				    const struct portcullis_limits *limits)
{
	struct image *image = r->p->image;
	struct portcullis_limits *copy;
	uintptr_t row =
	    (uintptr_t)table_find(&r->limits, limits, sizeof(*limits));

	if (row)
		return row - 1;
	image->limits = grow(r, image->limits, image->n_limits, &r->limits_room,
			     sizeof(*limits));
	row = ++image->n_limits;
	image->limits[row - 1] = *limits;
	copy = arena_alloc(r->p, sizeof(*copy));
	*copy = *limits;
	table_add(r->p, &r->limits, copy, sizeof(*copy), (void *)row);
	return row - 1;
}

/* What the rule says of this protocol's arguments. */
static unsigned int make_limits(struct rules *r, const struct allow_tree *allow,
				unsigned int proto)
{
	const struct limit_tree *limit = allow->limits;
	struct portcullis_limits limits = { 0 };
	unsigned int row, n = 0;

	for (; limit; limit = limit->next) {
		if (limit->word->proto != allow->service->protos[proto]->id)
			continue;
		for (unsigned int i = 0; i < limit->n; i++, n++) {
			limits.kind[n] = limit->ranges[i].kind;
			limits.first[n] = limit->ranges[i].first;
			limits.last[n] = limit->ranges[i].last;
		}
	}
	row = find_limits_row(r, &limits);
	if (row >= LIMITS_MAX)
		limit_reached(r, &allow->spot, LIMITS_MAX,
			      "different lists of arguments",
			      "rules that limit the same values share one");
	return row;
}

static void add_condition(struct rules *r, const struct allow_tree *allow,
			  unsigned int proto)
{
	struct image *image = r->p->image;
	struct portcullis_condition *c;

	image->conditions = grow(r, image->conditions, image->n_conditions,
				 &r->conditions_room, sizeof(*c));
	c = &image->conditions[image->n_conditions++];
	c->proto = allow->service->protos[proto]->id;
	c->rule = allow->id;
	c->until = allow->until_jiffies;
	memcpy(c->functions, allow->functions[proto], sizeof(c->functions));
	c->limits = make_limits(r, allow, proto);
	if (!allow->unit_at.line)
		return;
	c->flags |= CONDITION_units;
	memcpy(c->units, allow->units, sizeof(c->units));
}

/* ---- rulesets -------------------------------------------------------- */

static void fill_conditions(struct rules *r, const struct merged *m,
			    struct portcullis_ruleset *set)
{
	const struct service_tree *s = m->rules[0]->service;

	set->conditions = r->p->image->n_conditions;
	if (set->conditions + s->n_protos * m->n > CONDITIONS_MAX) {
		limit_reached(
		    r, &m->rules[0]->spot, CONDITIONS_MAX, "conditions",
		    "rules with 'unit' or 'until' for zones take fewer than such rules for pairs of assets");
		return;
	}
	for (unsigned int i = 0; i < s->n_protos; i++)
		for (size_t j = 0; j < m->n; j++)
			add_condition(r, m->rules[j], i);
}

static uint64_t latest_until(const struct merged *m)
{
	uint64_t until = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (!m->rules[i]->until)
			return 0;
		if (m->rules[i]->until_jiffies > until)
			until = m->rules[i]->until_jiffies;
	}
	return until;
}

static void make_ruleset(struct rules *r, const struct merged *m,
			 struct portcullis_ruleset *set)
{
	const struct service_tree *s = m->rules[0]->service;
	const struct conduit_tree *c = m->rules[0]->conduit;
	bool ask = false;

	*set = (struct portcullis_ruleset){
		.service = s->id,
		.conduit = c->id,
		.mode = c->mode,
		.action = c->action,
		.flags = c->flags,
		.n_rules = m->n,
		.ceiling = c->ceiling,
		.until = latest_until(m),
		.quirks = s->quirks,
	};
	for (size_t i = 0; i < m->n; i++)
		set->rule[i] = m->rules[i]->id;
	for (unsigned int i = 0; i < s->n_protos; i++) {
		set->protos[i] = s->protos[i]->id;
		ask |= make_shape(r, m, i, set->until, &set->shape[i]);
	}
	if (ask)
		fill_conditions(r, m, set);
	if (r->p->image->n_shapes > SHAPES_MAX)
		limit_reached(
		    r, &m->rules[0]->spot, SHAPES_MAX,
		    "different lists of functions",
		    "allow classes where single functions are not needed");
}

static unsigned int find_ruleset(struct rules *r, const struct merged *m)
{
	struct image *image = r->p->image;
	struct portcullis_ruleset set;
	uint32_t ids[RULESET_RULES], *key;
	uintptr_t row;

	for (size_t i = 0; i < m->n; i++)
		ids[i] = m->rules[i]->id;
	row = (uintptr_t)table_find(&r->rulesets, ids, m->n * sizeof(*ids));
	if (row)
		return row - 1;
	if (image->n_rulesets == RULESETS_MAX) {
		limit_reached(
		    r, &m->rules[0]->spot, RULESETS_MAX, "combinations",
		    "rules for zones take fewer than rules for pairs of assets");
		return 0;
	}
	make_ruleset(r, m, &set);
	image->rulesets = grow(r, image->rulesets, image->n_rulesets,
			       &r->rulesets_room, sizeof(set));
	row = ++image->n_rulesets;
	image->rulesets[row - 1] = set;
	key = arena_alloc(r->p, m->n * sizeof(*key));
	memcpy(key, ids, m->n * sizeof(*key));
	table_add(r->p, &r->rulesets, key, m->n * sizeof(*key), (void *)row);
	return row - 1;
}

/* ---- keys ------------------------------------------------------------ */

static const struct allow_tree *latest(const struct run *runs, size_t n_runs,
				       size_t *ret_n)
{
	const struct allow_tree *last = NULL;

	for (size_t i = 0; i < n_runs; i++) {
		for (size_t j = 0; j < runs[i].n; j++, ++*ret_n) {
			const struct allow_tree *a = runs[i].pairs[j].allow;

			if (!last || a->id > last->id)
				last = a;
		}
	}
	return last;
}

/* "7", or "policy:7" if that is another text. */
static const char *line_of(struct policy *p, const struct spot *here,
			   const struct spot *there)
{
	const char *where = policy_where(p, here, there);

	return here->source == there->source ? where + strlen("line ") : where;
}

static void too_many_rules(struct rules *r, const struct pair *pair,
			   const struct run *runs, size_t n_runs)
{
	const struct allow_tree *last;
	struct text text = { 0 };
	size_t n = 0, shown = 0;

	last = latest(runs, n_runs, &n);
	for (size_t i = 0; i < n_runs; i++) {
		for (size_t j = 0; j < runs[i].n && shown < 20; j++, shown++) {
			const struct allow_tree *a = runs[i].pairs[j].allow;

			text_add(r->p, &text, "%s%s", text.len ? ", " : "",
				 line_of(r->p, &last->spot, &a->spot));
		}
	}
	policy_error(
	    r->p, &last->spot,
	    "%zu rules for '%s' hold between the same two; at most %d can", n,
	    pair->allow->service->name.text, RULESET_RULES);
	policy_note(r->p, "they stand at lines %s%s", text.data,
		    n > shown ? ", …" : "");
	policy_note(
	    r->p,
	    "put functions or assets that share a rule into one statement");
}

/* The rules of up to four runs, in order of the text. */
static bool merge(struct rules *r, const struct pair *pair,
		  const struct run *runs, size_t n_runs,
		  struct merged *ret_merged)
{
	size_t at[4] = { 0 };
	struct merged m = { .n = 0 };

	for (;;) {
		const struct allow_tree *next = NULL;
		size_t from = 0;

		for (size_t i = 0; i < n_runs; i++) {
			const struct allow_tree *a;

			if (at[i] == runs[i].n)
				continue;
			a = runs[i].pairs[at[i]].allow;
			if (next && next->id < a->id)
				continue;
			next = a;
			from = i;
		}
		if (!next)
			break;
		if (m.n == RULESET_RULES) {
			too_many_rules(r, pair, runs, n_runs);
			r->crowd = true;
			return false;
		}
		m.rules[m.n++] = next;
		at[from]++;
	}
	*ret_merged = m;
	return m.n > 0;
}

static void add_key(struct rules *r, const struct pair *pair, uint32_t from,
		    uint32_t to, const struct run *runs, size_t n_runs)
{
	struct image *image = r->p->image;
	struct image_key *key;
	struct merged m;

	if (r->full || r->crowd || !merge(r, pair, runs, n_runs, &m))
		return;
	if (image->n_keys == POLICY_KEYS_MAX) {
		limit_reached(
		    r, &pair->allow->spot, POLICY_KEYS_MAX,
		    "pairs of endpoints",
		    "rules for zones take fewer than rules for pairs of assets");
		return;
	}
	image->keys =
	    grow(r, image->keys, image->n_keys, &r->keys_room, sizeof(*key));
	key = &image->keys[image->n_keys++];
	*key = (struct image_key){
		.key = { from, to, pair->service },
		.ruleset = find_ruleset(r, &m),
	};
}

/* What has no ports, or none that can be believed, is let pass where the
 * conduit between the two zones only watches. Of several the strictest counts.
 */
static void add_mode(struct rules *r, const struct conduit_tree *c,
		     uint16_t from, uint16_t to)
{
	struct image *image = r->p->image;
	uint32_t mode = c->mode;
	struct image_key *key;

	if (mode == MODE_enforce && (c->flags & RULESET_asymmetric))
		mode = MODE_monitor;
	for (size_t i = r->first_mode; i < image->n_keys; i++) {
		key = &image->keys[i];
		if (key->key.from != from || key->key.to != to)
			continue;
		if (key->ruleset > mode)
			key->ruleset = mode;
		return;
	}
	if (image->n_keys == POLICY_KEYS_MAX)
		return;
	image->keys =
	    grow(r, image->keys, image->n_keys, &r->keys_room, sizeof(*key));
	image->keys[image->n_keys++] = (struct image_key){
		.key = { from, to, 0 },
		.ruleset = mode,
	};
}

static void mode_keys(struct rules *r)
{
	r->first_mode = r->p->image->n_keys;
	for (const struct conduit_tree *c = r->p->conduits; c; c = c->next) {
		if (c->broken || !c->from_zone || !c->to_zone)
			continue;
		add_mode(r, c, c->from_zone->id, c->to_zone->id);
		add_mode(r, c, c->to_zone->id, c->from_zone->id);
	}
}

static struct run take_run(const struct pair **at, const struct pair *end)
{
	struct run run = { *at, 0 };

	while (*at < end && (*at)->from == run.pairs->from &&
	       (*at)->to == run.pairs->to) {
		(*at)++;
		run.n++;
	}
	return run;
}

/* The keys (a, *) of one asset: own pairs, and what zones allow towards
 * assets (`to`, sorted) where a's own rule for the whole zone would hide it. */
static void asset_keys(struct rules *r, const struct pair **at,
		       const struct pair *end, const struct run *zone,
		       const struct run *to, size_t n_to)
{
	static const struct run none;
	const struct pair *first = *at;
	uint32_t from = first->from;
	const struct run *whole_end = n_to ? to + n_to : to;
	struct run whole = none, own;

	if (!(first->to & ENDPOINT_asset)) {
		whole = take_run(at, end);
		add_key(r, first, from, first->to,
			(struct run[]){ *zone, whole }, 2);
	}
	while (*at < end && (*at)->from == from) {
		own = take_run(at, end);
		for (; to < whole_end && to->pairs->to < own.pairs->to; to++)
			if (whole.n)
				add_key(r, to->pairs, from, to->pairs->to,
					(struct run[]){ *zone, whole, *to }, 3);
		if (to < whole_end && to->pairs->to == own.pairs->to) {
			add_key(r, own.pairs, from, own.pairs->to,
				(struct run[]){ *zone, whole, *to, own }, 4);
			to++;
		} else {
			add_key(r, own.pairs, from, own.pairs->to,
				(struct run[]){ *zone, whole, own }, 3);
		}
	}
	for (; whole.n && to < whole_end && !r->full && !r->crowd; to++)
		add_key(r, to->pairs, from, to->pairs->to,
			(struct run[]){ *zone, whole, *to }, 3);
}

/* All rules of one service between two zones. */
static void group_keys(struct rules *r, const struct pair *pairs,
		       const struct pair *end)
{
	const struct pair *at = pairs;
	struct run zone = { pairs, 0 }, *to = NULL;
	size_t n_to = 0;

	if (!(at->from & ENDPOINT_asset) && !(at->to & ENDPOINT_asset)) {
		zone = take_run(&at, end);
		add_key(r, pairs, pairs->from, pairs->to, &zone, 1);
	}
	if (at < end && !(at->from & ENDPOINT_asset))
		to = arena_alloc(r->p, (end - at) * sizeof(*to));
	while (at < end && !(at->from & ENDPOINT_asset)) {
		to[n_to] = take_run(&at, end);
		add_key(r, to[n_to].pairs, to[n_to].pairs->from,
			to[n_to].pairs->to, (struct run[]){ zone, to[n_to] },
			2);
		n_to++;
	}
	while (at < end && !r->full && !r->crowd)
		asset_keys(r, &at, end, &zone, to, n_to);
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_groups(const struct pair *x, const struct pair *y)
{
	int order = compare_u32(x->from_zone, y->from_zone);

	if (!order)
		order = compare_u32(x->to_zone, y->to_zone);
	if (!order)
		order = compare_u32(x->service, y->service);
	return order;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = compare_groups(x, y);

	if (!order)
		order = compare_u32(x->from, y->from);
	if (!order)
		order = compare_u32(x->to, y->to);
	if (!order)
		order = compare_u32(x->allow->id, y->allow->id);
	return order;
}

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

static struct pair *add_pairs(const struct allow_tree *a, struct pair *pair)
{
	uint16_t from_zone = a->conduit->from_zone->id;
	uint16_t to_zone = a->conduit->to_zone->id;

	for (size_t i = 0; i < at_least_one(a->n_from); i++) {
		for (size_t j = 0; j < at_least_one(a->n_to); j++) {
			*pair++ = (struct pair){
				.from_zone = from_zone,
				.to_zone = to_zone,
				.service = a->service->id,
				.allow = a,
				.from = a->n_from ? ENDPOINT_asset |
							a->from_assets[i]->id
						  : from_zone,
				.to = a->n_to
					  ? ENDPOINT_asset | a->to_assets[j]->id
					  : to_zone,
			};
		}
	}
	return pair;
}

/* NULL when there are more than could ever be keys of. */
static struct pair *make_pairs(struct rules *r, size_t *ret_n)
{
	struct pair *pairs, *pair;
	size_t n = 0;

	for (const struct allow_tree *a = r->p->allows; a; a = a->next) {
		if (a->expired)
			continue;
		n += at_least_one(a->n_from) * at_least_one(a->n_to);
		if (n <= POLICY_KEYS_MAX * RULESET_RULES)
			continue;
		limit_reached(
		    r, &a->spot, POLICY_KEYS_MAX, "pairs of endpoints",
		    "rules for zones take fewer than rules for pairs of assets");
		return NULL;
	}
	pairs = pair = arena_alloc(r->p, n * sizeof(*pairs));
	for (const struct allow_tree *a = r->p->allows; a; a = a->next)
		if (!a->expired)
			pair = add_pairs(a, pair);
	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	*ret_n = n;
	return pairs;
}

void policy_rules(struct policy *p)
{
	struct rules r = { .p = p };
	struct portcullis_shape refuse = { 0 };
	struct portcullis_limits none = { 0 };
	const struct pair *at, *end, *next;
	struct pair *pairs;
	size_t n;

	find_shape(&r, &refuse); /* row 0 */
	find_limits_row(&r, &none);
	pairs = make_pairs(&r, &n);
	if (!pairs)
		return;
	end = pairs + n;
	for (at = pairs; at < end && !r.full; at = next) {
		for (next = at; next < end && !compare_groups(at, next);)
			next++;
		r.crowd = false;
		group_keys(&r, at, next);
	}
	mode_keys(&r);
}
