/* SPDX-License-Identifier: GPL-2.0-only */
/* `use PRESET`: services that the policy need not write out. What it declares
 * itself goes first, by name and by port.
 */
#include <stdlib.h>
#include <string.h>

#include "policy_tree.h"
#include "preset.h"

bool parse_use(struct lexer *lex, const struct word *word, void *node)
{
	struct policy *p = lex->policy;
	struct word name;

	(void)word;
	(void)node;
	if (!expect_name(lex, "the name of a preset", &name))
		return false;
	if (!preset_find(name.text, &(size_t){ 0 })) {
		policy_error(p, &name.spot, "no preset named '%s'", name.text);
		policy_note_words(p, name.text, preset_names());
		return false;
	}
	if (p->preset.text) {
		policy_error(p, &name.spot, "'use' stands twice");
		policy_note(p, "first at %s",
			    policy_where(p, &name.spot, &p->preset.spot));
		return false;
	}
	p->preset = name;
	return true;
}

static void add_range(struct policy *p, struct service_tree *service,
		      uint8_t l4, uint32_t first, uint32_t last)
{
	struct port_range *range = arena_alloc(p, sizeof(*range));

	*range = (struct port_range){
		.spot = p->preset.spot, .l4 = l4, .first = first, .last = last
	};
	*service->ports_end = range;
	service->ports_end = &range->next;
}

/* The first range of a declared service that ends at `from` or behind it. */
static const struct port_range *next_taken(const struct service_tree *declared,
					   uint8_t l4, uint32_t from)
{
	const struct port_range *r, *best = NULL;

	for (; declared; declared = declared->next)
		for (r = declared->ports; r; r = r->next)
			if (r->l4 == l4 && r->last >= from &&
			    (!best || r->first < best->first))
				best = r;
	return best;
}

/* What nobody declared of first..last. */
static void add_free(struct policy *p, struct service_tree *service,
		     const struct service_tree *declared, uint8_t l4,
		     uint32_t first, uint32_t last)
{
	const struct port_range *taken;
	uint32_t end;

	while (first <= last) {
		taken = next_taken(declared, l4, first);
		if (taken && taken->first <= first) {
			first = taken->last + 1U;
			continue;
		}
		end = taken && taken->first <= last ? taken->first - 1U : last;
		add_range(p, service, l4, first, end);
		first = end + 1;
	}
}

/* "tcp 53, udp 1024-4999" */
static void add_ports(struct policy *p, struct service_tree *service,
		      const struct service_tree *declared, const char *ports)
{
	char *end;

	while (ports) {
		uint8_t l4 =
		    strncmp(ports, "udp", 3) ? TRANSPORT_tcp : TRANSPORT_udp;
		uint32_t first = strtoul(ports + 4, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		add_free(p, service, declared, l4, first, last);
		ports = *end ? end + 2 : NULL;
	}
}

static void add_expected(struct policy *p, struct service_tree *service,
			 const char *expect)
{
	while (*expect) {
		size_t n = strcspn(expect, ",");
		struct word word = { .spot = p->preset.spot,
				     .text = arena_copy(p, expect, n) };

		word_append(p, &service->expects, &word);
		expect += n + strspn(expect + n, ", ");
	}
}

static bool is_declared(const struct service_tree *declared, const char *name)
{
	for (; declared; declared = declared->next)
		if (!strcmp(declared->name.text, name))
			return true;
	return false;
}

void policy_preset(struct policy *p)
{
	struct service_tree *declared = p->services, *service;
	const struct preset_service *list;
	struct service_tree *first = NULL, **end = &first;
	size_t n;

	list = p->preset.text ? preset_find(p->preset.text, &n) : NULL;
	if (!list)
		return;
	for (size_t i = 0; i < n; i++) {
		if (is_declared(declared, list[i].name))
			continue;
		service = arena_alloc(p, sizeof(*service));
		service->name = (struct word){ .spot = p->preset.spot,
					       .text = list[i].name };
		service->ports_end = &service->ports;
		add_ports(p, service, declared, list[i].ports);
		add_expected(p, service, list[i].expect);
		if (!service->ports)
			continue;
		*end = service;
		end = &service->next;
	}
	*p->services_end = first;
	if (first)
		p->services_end = end;
}
