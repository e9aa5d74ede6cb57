/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy language. tests/policy/NAME.policy must compile to NAME.ok, a
 * readable dump of the image, or be refused with exactly NAME.bad. NAME.live,
 * where there is one, is a second text beside it. `policy_test --update` writes
 * the expectations anew, for reading the difference.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "cleanup.h"
#include "policy.h"
#include "preset.h"
#include "protocols.h"
#include "tap.h"

static const struct policy_context context = {
	.now = 1796083200, /* 2026-12-01T00:00:00Z */
	.now_jiffies = 1000000,
	.hz = 100,
};

static const char folder[] = "tests/policy";

/* ---- dump ------------------------------------------------------------ */

static void dump_site(const struct image *image, FILE *out)
{
	fprintf(
	    out,
	    "site \"%s\" default %s, fail %s, evidence %llu, limit host %u, limit zone %u\n",
	    image->site, mode_name(image->default_mode),
	    image->fail_open ? "open" : "closed",
	    (unsigned long long)image->evidence_bytes, image->host_ceiling,
	    image->zone_ceiling);
	for (int i = 0; i < 64; i++) {
		bool drop = image->layer2_drop >> i & 1;

		if (layer2_name(i) && drop != layer2_default_drop(i))
			fprintf(out, "layer2 %s %s\n", drop ? "drop" : "pass",
				layer2_name(i));
	}
}

static void dump_names(const struct image *image, FILE *out)
{
	for (size_t i = 0; i < image->n_ports; i++) {
		const struct image_port *p = &image->ports[i];

		fprintf(out, "port %zu %s", i + 1, p->name);
		if (p->forward == FORWARD_wire)
			fprintf(out, " wire %u peer %u", p->wire, p->peer);
		fprintf(out, "%s\n", p->is_monitor ? " monitor" : "");
	}
	for (size_t i = 1; i < image->n_zones; i++)
		fprintf(out, "zone %zu %s \"%s\"\n", i, image->zones[i].name,
			image->zones[i].title);
	for (size_t i = 1; i < image->n_assets; i++)
		fprintf(out, "asset %zu %s %s zone %s\n", i,
			image->assets[i].name, image->assets[i].address,
			image->zones[image->assets[i].zone].name);
	for (size_t i = 1; i < image->n_services; i++) {
		const struct image_service *s = &image->services[i];

		fprintf(out, "service %zu %s %s expect", i, s->name, s->ports);
		for (int p = 0; p < RULESET_PROTOS && s->protos[p]; p++)
			fprintf(out, " %s", protocol_name(s->protos[p]));
		fputc('\n', out);
	}
}

static void dump_services_map(const struct image *image, FILE *out)
{
	for (int t = 0; t < 2; t++) {
		const uint16_t *of = image->services_map->of[t];

		for (unsigned int port = 0, last; port < 65536;
		     port = last + 1) {
			for (last = port; last < 65535; last++)
				if (of[last + 1] != of[port])
					break;
			if (of[port])
				fprintf(out, "map %s %u-%u %s\n",
					t ? "udp" : "tcp", port, last,
					image->services[of[port]].name);
		}
	}
}

static void dump_quirks(unsigned int quirks, FILE *out)
{
	for (unsigned int i = 0; quirks && i < QUIRK_max; i++)
		if (quirks >> i & 1)
			fprintf(out, " quirk %s", quirk_get(i)->name);
}

static void dump_place(const struct image *image,
		       const struct portcullis_place *place, const char *addr,
		       unsigned int len, FILE *out)
{
	fprintf(out, "place %s/%u zone %s", addr, len,
		image->zones[place->zone].name);
	if (place->asset)
		fprintf(out, " asset %s", image->assets[place->asset].name);
	if (place->flags & PLACE_essential)
		fputs(" essential", out);
	if (place->flags & PLACE_mac)
		fputs(" mac", out);
	dump_quirks(place->flags >> PLACE_quirks, out);
	for (size_t i = 0; i < image->n_ports; i++)
		if (place->ports >> (i + 1) & 1)
			fprintf(out, " on %s", image->ports[i].name);
	fputc('\n', out);
}

static void dump_places(const struct image *image, FILE *out)
{
	char addr[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < image->n_places4; i++) {
		const struct image_place4 *p = &image->places4[i];

		inet_ntop(AF_INET, p->key.addr, addr, sizeof(addr));
		dump_place(image, &p->place, addr, p->key.prefixlen, out);
	}
	for (size_t i = 0; i < image->n_places6; i++) {
		const struct image_place6 *p = &image->places6[i];

		inet_ntop(AF_INET6, p->key.addr, addr, sizeof(addr));
		dump_place(image, &p->place, addr, p->key.prefixlen, out);
	}
}

static void dump_rules(const struct image *image, FILE *out)
{
	static const char *const actions[] = { "reset", "drop", "mirror",
					       "divert" };

	for (size_t i = 1; i < image->n_conduits; i++) {
		const struct image_conduit *c = &image->conduits[i];

		fprintf(
		    out,
		    "conduit %zu %s \"%s\" %s > %s, mode %s, on mismatch %s\n",
		    i, c->name, c->title, image->zones[c->from].name,
		    image->zones[c->to].name, mode_name(c->mode),
		    actions[c->action]);
	}
	for (size_t i = 0; i < image->n_rules; i++) {
		const struct image_rule *r = &image->rules[i];

		fprintf(out, "rule %zu %s:%u %s\n", i, r->file, r->line,
			r->text);
		if (r->live_id)
			fprintf(out, "\tlive %u\n", r->live_id);
	}
}

static const char *endpoint(const struct image *image, uint32_t end)
{
	if (end & ENDPOINT_asset)
		return image->assets[end & 0xffff].name;
	return image->zones[end].name;
}

static void print_byte(const char *name, unsigned int byte, FILE *out)
{
	if (byte == SHAPE_ask)
		fprintf(out, " %s=ask", name);
	else if (byte)
		fprintf(out, " %s=%u", name, byte);
}

/* A class by its name where all its functions fare alike, so that a protocol
 * may learn another function without changing what stands in the files. */
static void dump_class(const struct protocol *proto, unsigned int class,
		       const uint8_t bytes[256], FILE *out)
{
	const struct protocol_function *f, *first = NULL;
	bool alike = true;

	for (size_t i = 0; i < proto->n_functions; i++) {
		f = &proto->functions[i];
		if (f->class != class || !f->number)
			continue;
		if (!first)
			first = f;
		if (bytes[f->number] != bytes[first->number])
			alike = false;
	}
	if (first && alike)
		print_byte(class_name(class), bytes[first->number], out);
	for (size_t i = 0; first && !alike && i < proto->n_functions; i++) {
		f = &proto->functions[i];
		if (f->class == class)
			print_byte(f->name, bytes[f->number], out);
	}
}

static void dump_functions(unsigned int id, const uint8_t bytes[256], FILE *out)
{
	const struct protocol *proto = protocol_get(id);
	char number[8];

	print_byte("opening", bytes[0], out);
	for (unsigned int class = 1; class < CLASS_max; class ++)
		dump_class(proto, class, bytes, out);
	for (unsigned int f = 1; f < 256; f++) {
		if (protocol_function_name(id, f))
			continue;
		snprintf(number, sizeof(number), "%u", f);
		print_byte(number, bytes[f], out);
	}
}

static void dump_limits(const struct portcullis_limits *l, FILE *out)
{
	char text[64];

	for (int i = 0; i < LIMIT_RANGES && l->kind[i]; i++) {
		struct portcullis_range range = { l->kind[i], l->first[i],
						  l->last[i] };
		const struct argument_word *word = argument_of(&range);

		argument_text(word, &range, text, sizeof(text));
		fprintf(out, " %s %s", word->word, text);
	}
}

static void dump_condition(const struct image *image,
			   const struct portcullis_condition *c, FILE *out)
{
	uint8_t bytes[256];

	for (int f = 0; f < 256; f++)
		bytes[f] = c->functions[f / 64] >> f % 64 & 1;
	fprintf(out, "\tif %s rule %u until %llu:", protocol_name(c->proto),
		c->rule, (unsigned long long)c->until);
	dump_functions(c->proto, bytes, out);
	if (c->flags & CONDITION_units)
		fputs(" units", out);
	for (int unit = 0; unit < 256; unit++)
		if (c->units[unit / 64] >> unit % 64 & 1)
			fprintf(out, " %d", unit);
	dump_limits(&image->limits[c->limits], out);
	fputc('\n', out);
}

static void dump_ruleset(const struct image *image,
			 const struct portcullis_ruleset *s, FILE *out)
{
	bool ask = false;

	fprintf(
	    out,
	    "\tconduit %u mode %u action %u flags %x ceiling %u until %llu rules",
	    s->conduit, s->mode, s->action, s->flags, s->ceiling,
	    (unsigned long long)s->until);
	for (int i = 0; i < s->n_rules; i++)
		fprintf(out, " %u", s->rule[i]);
	fputc('\n', out);
	for (int p = 0; p < RULESET_PROTOS && s->protos[p]; p++) {
		const struct portcullis_shape *shape =
		    &image->shapes[s->shape[p]];

		fprintf(out, "\t%s:", protocol_name(s->protos[p]));
		dump_functions(s->protos[p], shape->rule, out);
		fputc('\n', out);
		for (int f = 0; f < 256; f++)
			ask |= shape->rule[f] == SHAPE_ask;
	}
	for (int p = 0; ask && p < RULESET_PROTOS && s->protos[p]; p++)
		for (int i = 0; i < s->n_rules; i++)
			dump_condition(image,
				       &image->conditions[s->conditions +
							  p * s->n_rules + i],
				       out);
}

static void dump_image(const struct image *image, FILE *out)
{
	dump_site(image, out);
	dump_names(image, out);
	dump_services_map(image, out);
	dump_places(image, out);
	dump_rules(image, out);
	for (size_t i = 0; i < image->n_keys; i++) {
		const struct image_key *k = &image->keys[i];

		if (!k->key.service) {
			fprintf(out, "between %s > %s: mode %u\n",
				endpoint(image, k->key.from),
				endpoint(image, k->key.to), k->ruleset);
			continue;
		}
		fprintf(out, "key %s > %s %s: ruleset %u\n",
			endpoint(image, k->key.from),
			endpoint(image, k->key.to),
			image->services[k->key.service].name, k->ruleset);
	}
	for (size_t i = 0; i < image->n_rulesets; i++) {
		fprintf(out, "ruleset %zu\n", i);
		dump_ruleset(image, &image->rulesets[i], out);
	}
}

/* ---- goldens --------------------------------------------------------- */

static char *read_file(const char *name, const char *ending, size_t *ret_len)
{
	char path[512], *text = NULL;
	size_t room, n;
	FILE *in, *out;
	int c;

	snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
	in = fopen(path, "re");
	if (!in)
		return NULL;
	out = open_memstream(&text, &room);
	while (out && (c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(in);
	if (!out)
		return NULL;
	n = ftell(out);
	fclose(out);
	if (ret_len)
		*ret_len = n;
	return text;
}

static void write_file(const char *name, const char *ending, const char *text)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
	out = fopen(path, "we");
	if (out) {
		fputs(text, out);
		fclose(out);
	}
}

/* Dump or errors of one policy, to be freed; *ret_err is what compiling said.
 */
static char *compile_to_text(const struct policy_source *sources, size_t n,
			     int *ret_err)
{
	struct image *image = NULL;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	*ret_err = policy_compile(sources, n, &context, out, &image);
	if (!*ret_err)
		dump_image(image, out);
	image_free(image);
	fclose(out);
	return text;
}

static void golden(const char *name, bool update)
{
	struct policy_source sources[2] = { { .name = "policy" },
					    { .name = "live" } };
	char *policy = read_file(name, ".policy", &sources[0].len);
	char *live = read_file(name, ".live", &sources[1].len);
	char *wanted, *got;
	const char *ending;
	int err = 0;

	sources[0].text = policy;
	sources[1].text = live;
	got = compile_to_text(sources, live ? 2 : 1, &err);
	ending = err ? ".bad" : ".ok";
	if (update)
		write_file(name, ending, got);
	wanted = read_file(name, ending, NULL);
	if (check(wanted, "%s: there is no %s%s for\n%s", name, name, ending,
		  got))
		check(!strcmp(wanted, got), "%s: expected\n%s\ngot\n%s", name,
		      wanted, got);
	free(wanted);
	free(got);
	free(live);
	free(policy);
}

static int is_policy(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".policy");
}

static void goldens(bool update)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_policy, alphasort);

	check(n >= 40, "%s holds %d policies", folder, n);
	for (int i = 0; i < n; i++) {
		*strrchr(entries[i]->d_name, '.') = '\0';
		golden(entries[i]->d_name, update);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* ---- compiling from strings ------------------------------------------ */

static int compile(const char *text, struct image **ret_image,
		   char **ret_errors)
{
	struct policy_source source = { "policy", text, strlen(text) };
	size_t len;
	FILE *out = open_memstream(ret_errors, &len);
	int err = policy_compile(&source, 1, &context, out, ret_image);

	fclose(out);
	return err;
}

/* Protocols that live on the same ports share a service. */
static size_t count_ports(void)
{
	size_t n, ports = 0;
	const struct protocol *list = protocol_list(&n);

	for (size_t i = 0, j; i < n; i++) {
		for (j = 0; strcmp(list[j].ports, list[i].ports) != 0; j++)
			;
		ports += j == i;
	}
	return ports;
}

static void builtin(void)
{
	struct image *image = NULL;
	char *errors = NULL;
	size_t n = count_ports();

	check(!compile(policy_builtin(), &image, &errors), "built-in: %s",
	      errors);
	if (image) {
		check(image->n_keys == n + 1, "%zu keys for %zu sets of ports",
		      image->n_keys, n);
		check(image->n_places4 == 1 && image->n_places6 == 1 &&
			  !image->places4[0].key.prefixlen,
		      "the built-in policy holds not every address");
	}
	image_free(image);
	free(errors);
}

/* Row 0 of a shape answers for messages without a function, so number 0 can
 * only belong to a protocol that has no other. */
static void function_zero(void)
{
	const struct protocol *all;
	size_t n;

	all = protocol_list(&n);
	for (size_t i = 0; i < n; i++)
		for (size_t f = 0; f < all[i].n_functions; f++)
			check(all[i].functions[f].number ||
				  all[i].n_functions == 1,
			      "%s: function '%s' has the number 0", all[i].name,
			      all[i].functions[f].name);
}

static void too_large(void)
{
	size_t len = (4 << 20) + 1;
	char *text = calloc(1, len);
	struct policy_source source = { "policy", text, len };
	struct image *image = NULL;

	memset(text, '\n', len);
	check(policy_compile(&source, 1, &context, stdout, &image) == -EFBIG,
	      "a text over 4 MiB");
	source.len--;
	check(!policy_compile(&source, 1, &context, stdout, &image),
	      "a text of 4 MiB");
	image_free(image);
	free(text);
}

static void many_errors(void)
{
	char *text = NULL, *errors = NULL, *at;
	struct image *image = NULL;
	unsigned int shown = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (int i = 0; i < 75; i++)
		fprintf(out, "zone z%d { network 10.0.0.300 }\n", i);
	fclose(out);
	check(compile(text, &image, &errors) == -EINVAL, "75 errors accepted");
	for (at = errors; (at = strstr(at, ": error: ")); at++)
		shown++;
	check(shown == 50, "%u errors shown", shown);
	check(strstr(errors, "\n75 errors, the first 50 are shown\n"),
	      "no count at the end of\n%s", errors);
	free(errors);
	free(text);
}

static void ten_thousand(void)
{
	struct image *image = NULL;
	char *text = NULL, *errors = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs("service m tcp 502 expect modbus\nzone a {\n", out);
	for (int i = 0; i < 100; i++)
		fprintf(out, "asset a%d 10.1.0.%d\n", i, i);
	for (int i = 0; i < 5000; i++)
		fprintf(out, "network 11.%d.%d.0/24\n", i / 250, i % 250);
	fputs("}\nzone b {\n", out);
	for (int i = 0; i < 100; i++)
		fprintf(out, "asset b%d 10.2.0.%d\n", i, i);
	for (int i = 0; i < 5000; i++)
		fprintf(out, "network fd00:%x::/32\n", i);
	fputs("}\nconduit c from a to b {\n", out);
	for (int i = 0; i < 10000; i++)
		fprintf(out, "allow m read from a%d to b%d\n", i / 100,
			i % 100);
	fputs("}\n", out);
	fclose(out);
	check(!compile(text, &image, &errors), "10,000 rules: %s", errors);
	if (image)
		check(image->n_rules == 10000 && image->n_keys == 10002 &&
			  image->n_places4 == 5200 &&
			  image->n_places6 == 5000 && image->n_shapes == 2,
		      "rules %zu keys %zu places %zu + %zu shapes %zu",
		      image->n_rules, image->n_keys, image->n_places4,
		      image->n_places6, image->n_shapes);
	image_free(image);
	free(errors);
	free(text);
}

/* ---- keys against a plain reading of the rules ------------------------ */

enum { SIDE = 4, MOST_RULES = 12 };

/* A rule as text and as what it plainly means. Masks: bit per asset, 0: all. */
struct plain_rule {
	unsigned int from;
	unsigned int to;
	unsigned int functions; /* bit per function 1..6 */
	unsigned int unit;	/* 0: any, else only this */
	time_t until;
};

static unsigned int random_state = 1;

static unsigned int random_below(unsigned int n)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 16) % n;
}

static void print_plain_assets(FILE *out, const char *word, const char *prefix,
			       unsigned int mask)
{
	bool first = true;

	for (int i = 0; i < SIDE; i++) {
		if (!(mask >> i & 1))
			continue;
		fprintf(out, "%s %s%d", first ? word : ",", prefix, i);
		first = false;
	}
}

static void print_plain(FILE *out, const struct plain_rule *r)
{
	bool first = true;

	fputs("allow m", out);
	for (int f = 1; f <= 6; f++) {
		if (!(r->functions >> f & 1))
			continue;
		fprintf(out, "%s %d", first ? " function" : ",", f);
		first = false;
	}
	print_plain_assets(out, " from", "a", r->from);
	print_plain_assets(out, " to", "b", r->to);
	if (r->unit)
		fprintf(out, " unit %u", r->unit);
	if (r->until)
		fprintf(out, " until %lld", (long long)r->until);
	fputc('\n', out);
}

static struct plain_rule random_rule(void)
{
	struct plain_rule r = {
		.from = random_below(2) ? random_below(1 << SIDE) : 0,
		.to = random_below(2) ? random_below(1 << SIDE) : 0,
		.functions = (random_below(63) + 1) << 1,
		.unit = random_below(3) ? 0 : random_below(3) + 1,
	};

	if (!random_below(4))
		r.until = context.now + random_below(3) * 10;
	return r;
}

/* `end`: an asset's place on its side, or SIDE for an unnamed host. */
static bool plain_end(unsigned int mask, unsigned int end)
{
	return !mask || (end < SIDE && (mask >> end & 1));
}

static bool plainly_allowed(const struct plain_rule *rules, size_t n,
			    unsigned int from, unsigned int to,
			    unsigned int function, unsigned int unit,
			    time_t after)
{
	for (size_t i = 0; i < n; i++) {
		const struct plain_rule *r = &rules[i];

		if (plain_end(r->from, from) && plain_end(r->to, to) &&
		    (r->functions >> function & 1) &&
		    (!r->unit || r->unit == unit) &&
		    (!r->until || r->until >= context.now + after) &&
		    (!r->until || r->until > context.now))
			return true;
	}
	return false;
}

static const struct portcullis_ruleset *probe(const struct image *image,
					      uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < image->n_keys; i++)
		if (image->keys[i].key.service &&
		    image->keys[i].key.from == from &&
		    image->keys[i].key.to == to)
			return &image->rulesets[image->keys[i].ruleset];
	return NULL;
}

/* As the kernel looks: assets 1..4 are a0.., 5..8 b0..; zones 2 and 3. */
static const struct portcullis_ruleset *
find_ruleset(const struct image *image, unsigned int from, unsigned int to)
{
	const struct portcullis_ruleset *s = NULL;
	uint32_t a = ENDPOINT_asset | (from + 1),
		 b = ENDPOINT_asset | (to + 1 + SIDE);

	if (from < SIDE && to < SIDE)
		s = probe(image, a, b);
	if (!s && from < SIDE)
		s = probe(image, a, 3);
	if (!s && to < SIDE)
		s = probe(image, 2, b);
	return s ? s : probe(image, 2, 3);
}

static bool ask(const struct image *image, const struct portcullis_ruleset *s,
		unsigned int function, unsigned int unit, uint64_t now)
{
	for (unsigned int i = 0; i < s->n_rules; i++) {
		const struct portcullis_condition *c =
		    &image->conditions[s->conditions + i];

		if (!(c->functions[0] >> function & 1) ||
		    (c->until && now > c->until))
			continue;
		if (!(c->flags & CONDITION_units) ||
		    (c->units[unit / 64] >> unit % 64 & 1))
			return true;
	}
	return false;
}

static bool kernel_allows(const struct image *image, unsigned int from,
			  unsigned int to, unsigned int function,
			  unsigned int unit, time_t after)
{
	const struct portcullis_ruleset *s = find_ruleset(image, from, to);
	uint64_t now = context.now_jiffies + after * context.hz;
	uint8_t row;

	if (!s || (s->until && now > s->until))
		return false;
	row = image->shapes[s->shape[0]].rule[function];
	if (row == SHAPE_ask)
		return ask(image, s, function, unit, now);
	return row;
}

static unsigned int differences(const struct image *image,
				const struct plain_rule *rules, size_t n)
{
	unsigned int wrong = 0;

	for (unsigned int from = 0; from <= SIDE; from++)
		for (unsigned int to = 0; to <= SIDE; to++)
			for (unsigned int f = 1; f <= 6; f++)
				for (unsigned int u = 1; u <= 4; u++)
					for (time_t after = 1; after < 25;
					     after += 10)
						wrong +=
						    plainly_allowed(rules, n,
								    from, to, f,
								    u, after) !=
						    kernel_allows(image, from,
								  to, f, u,
								  after);
	return wrong;
}

/* The merged keys allow exactly what the statements say, whatever key the
 * kernel finds first. */
static void plain_reading(void)
{
	struct plain_rule rules[MOST_RULES];
	unsigned int compiled = 0;

	for (int round = 0; round < 2000; round++) {
		char *text = NULL, *errors = NULL;
		struct image *image = NULL;
		size_t n = 1 + random_below(MOST_RULES), len;
		FILE *out = open_memstream(&text, &len);

		fputs("service m tcp 502 expect modbus\nzone a {network any\n",
		      out);
		for (int i = 0; i < SIDE; i++)
			fprintf(out, "asset a%d 10.1.0.%d\n", i, i);
		fputs("}\nzone b {network 11.0.0.0/8\n", out);
		for (int i = 0; i < SIDE; i++)
			fprintf(out, "asset b%d 10.2.0.%d\n", i, i);
		fputs("}\nconduit c from a to b {\n", out);
		for (size_t i = 0; i < n; i++) {
			rules[i] = random_rule();
			print_plain(out, &rules[i]);
		}
		fputs("}\n", out);
		fclose(out);
		/* Two equal rules are refused; nothing else can be. */
		if (!compile(text, &image, &errors)) {
			compiled++;
			check(!differences(image, rules, n),
			      "the keys do not mean what is written:\n%s",
			      text);
		} else {
			check(strstr(errors, "this rule stands here already"),
			      "%s", errors);
		}
		image_free(image);
		free(errors);
		free(text);
	}
	check(compiled > 1500, "only %u of 2000 policies compiled", compiled);
}

/* What apply --preset sends is a policy. */
static void presets(void)
{
	for (const char *const *name = preset_names(); *name; name++) {
		_cleanup_free_ char *text = preset_policy(*name, "p0", "p1");
		struct image *image = NULL;
		char *errors = NULL;

		check(text && !compile(text, &image, &errors), "%s: %s", *name,
		      errors ? errors : "no text");
		check(image && image->n_ports == 2, "%s: a wire", *name);
		image_free(image);
		free(errors);
	}
	check(!preset_policy("t8085", "p0", "p1"), "no such preset");
}

/* ---- live changes ---------------------------------------------------- */

static const char live_base[] =
    "service modbus tcp 502 expect modbus\n"
    "service web tcp 443 expect tls\n"
    "zone hall { network 10.1.0.0/16; asset hmi-1 10.1.0.1 }\n"
    "zone cell { network 10.2.0.0/16; asset plc-1 10.2.0.1 }\n"
    "conduit poll from hall to cell { allow modbus read }\n"
    "conduit back from cell to hall { allow web }\n";

static int live(const char *words, time_t until, const char *why,
		char **ret_line, char **ret_errors)
{
	struct policy_source base = { "policy", live_base, strlen(live_base) };
	char copy[256], *argv[32], *save, *word;
	size_t len;
	int argc = 0, err;
	FILE *out = open_memstream(ret_errors, &len);

	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &save); word && argc < 32;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	err = policy_live_allow(&base, 1, &context, argc, argv, 7, "root",
				until, why, out, ret_line);
	fclose(out);
	return err;
}

static void live_accepted(const char *words, time_t until, const char *why,
			  const char *wanted)
{
	struct policy_source sources[2] = {
		{ "policy", live_base, strlen(live_base) }, { .name = "live" }
	};
	char *line = NULL, *errors = NULL;
	struct image *image = NULL;

	check(!live(words, until, why, &line, &errors), "%s: %s", words,
	      errors ? errors : "");
	free(errors);
	if (!check(line && !strcmp(line, wanted), "%s: expected\n%s\ngot\n%s",
		   words, wanted, line ? line : "nothing"))
		goto out;
	/* What was made must be what the compiler takes. */
	sources[1].text = line;
	sources[1].len = strlen(line);
	check(!policy_compile(sources, 2, &context, stdout, &image) &&
		  image->rules[image->n_rules - 1].live_id == 7,
	      "the line does not compile: %s", line);
out:
	image_free(image);
	free(line);
}

static void live_refused(const char *words, time_t until, const char *wanted)
{
	char *line = NULL, *errors = NULL;

	check(live(words, until, "", &line, &errors) == -EINVAL && !line,
	      "'%s' was accepted: %s", words, line ? line : "");
	check(!strcmp(errors, wanted), "%s: expected\n%s\ngot\n%s", words,
	      wanted, errors);
	free(errors);
	free(line);
}

static void live_changes(void)
{
	live_accepted(
	    "modbus write from hmi-1 to plc-1", 0, "CHG-77",
	    "allow modbus write from hmi-1 to plc-1 in poll live 7  # id=7 by=\"root\" at=2026-12-01T00:00:00Z why=\"CHG-77\"");
	live_accepted(
	    "modbus write, function 16, 5 unit 3,1-2 in poll", 1796090400,
	    "new \"line\"\nof text",
	    "allow modbus write, function 5, 16 unit 1-3 until \"2026-12-01T02:00:00Z\" in poll live 7  # id=7 by=\"root\" at=2026-12-01T00:00:00Z until=2026-12-01T02:00:00Z why=\"new \\\"line\\\" of text\"");
	live_accepted(
	    "web from plc-1", 0, NULL,
	    "allow web from plc-1 in back live 7  # id=7 by=\"root\" at=2026-12-01T00:00:00Z why=\"\"");
	live_refused(
	    "modbus writ in poll", 0,
	    "command line:1:14: error: modbus has no class or function 'writ'\n"
	    "    1 | allow modbus writ in poll\n"
	    "      |              ^~~~\n"
	    "      = did you mean 'write'?\n"
	    "1 error\n");
	live_refused(
	    "modbus write", 0,
	    "command line:1:1: error: several conduits could take this rule\n"
	    "    1 | allow modbus write\n"
	    "      | ^~~~~\n"
	    "      = add 'in CONDUIT' with one of: poll, back\n"
	    "1 error\n");
	live_refused("web from hmi-1 to hmi-1", 0,
		     "command line:1:1: error: no conduit joins these assets\n"
		     "    1 | allow web from hmi-1 to hmi-1\n"
		     "      | ^~~~~\n"
		     "1 error\n");
	live_refused("modbus write from hmi-3", 0,
		     "command line:1:25: error: no asset named 'hmi-3'\n"
		     "    1 | allow modbus write from hmi-3\n"
		     "      |                         ^~~~~\n"
		     "      = did you mean 'hmi-1' (defined at policy:3)?\n"
		     "1 error\n");
	live_refused(
	    "", 0,
	    "command line:1:6: error: expected a service, but nothing follows\n"
	    "    1 | allow\n"
	    "      |      ^\n"
	    "1 error\n");
	live_refused(
	    "modbus read; }", 0,
	    "command line:1:14: error: expected the end of the statement, but found a string\n"
	    "    1 | allow modbus \"read;\" \"}\"\n"
	    "      |              ^~~~~~~\n"
	    "1 error\n");
	live_refused(
	    "modbus write in poll live 3", 0,
	    "command line:1:28: error: 'live' is given by the gate itself\n"
	    "    1 | allow modbus write in poll live 3\n"
	    "      |                            ^~~~\n"
	    "1 error\n");
	live_refused("modbus write in poll until 5", 0,
		     "command line:1:28: error: this time has passed already\n"
		     "    1 | allow modbus write in poll until 5\n"
		     "      |                            ^~~~~\n"
		     "1 error\n");
	live_refused(
	    "modbus write in poll until 1796090400", 1796090400,
	    "command line:1:28: error: the time is given twice: 'until' here, and another one besides\n"
	    "    1 | allow modbus write in poll until 1796090400\n"
	    "      |                            ^~~~~\n"
	    "1 error\n");
	live_refused("modbus read in poll", 0,
		     "command line:1:1: error: this rule stands here already\n"
		     "    1 | allow modbus read in poll\n"
		     "      | ^~~~~\n"
		     "      = first at policy:5\n"
		     "1 error\n");
}

int main(int argc, char *argv[])
{
	goldens(argc > 1 && !strcmp(argv[1], "--update"));
	builtin();
	function_zero();
	too_large();
	many_errors();
	ten_thousand();
	plain_reading();
	presets();
	live_changes();
	return tap_summary();
}
