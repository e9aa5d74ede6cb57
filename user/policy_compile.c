/* SPDX-License-Identifier: GPL-2.0-only */
/* The way from text to struct image, and the plain tables of the image. Rules:
 * policy_rules.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_tree.h"

void *image_array(struct policy *p, size_t n, size_t size)
{
	void *array = calloc(n ? n : 1, size);

	if (!array)
		longjmp(p->no_memory, 1);
	return array;
}

char *image_string(struct policy *p, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		longjmp(p->no_memory, 1);
	return copy;
}

/* Counts are raised row by row, so that image_free() finds what is there. */

static void fill_zones(struct policy *p)
{
	struct image *image = p->image;
	const struct zone_tree *z = &p->self;
	struct image_named *row;

	image->zones = image_array(p, p->n_zones + 1, sizeof(*image->zones));
	image->n_zones = p->n_zones + 1;
	image->zones[0].name = image_string(p, "none");
	image->zones[0].title = image_string(p, "");
	for (; z; z = z == &p->self ? p->zones : z->next) {
		row = &image->zones[z->id];
		row->name = image_string(p, z->name.text);
		row->title = image_string(p, z->title);
	}
}

static void fill_assets(struct policy *p)
{
	struct image *image = p->image;
	char shown[INET6_ADDRSTRLEN];
	struct image_asset *row;

	image->assets = image_array(p, p->n_assets + 1, sizeof(*image->assets));
	image->n_assets = p->n_assets + 1;
	image->assets[0].name = image_string(p, "none");
	image->assets[0].address = image_string(p, "");
	for (const struct asset_tree *a = p->assets; a; a = a->next) {
		row = &image->assets[a->id];
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->addr, shown,
			  sizeof(shown));
		row->name = image_string(p, a->name.text);
		row->address = image_string(p, shown);
		row->zone = a->zone->id;
	}
}

static const char *ports_text(struct policy *p, const struct service_tree *s)
{
	struct text text = { 0 };

	for (const struct port_range *r = s->ports; r; r = r->next) {
		text_add(p, &text, "%s%s %u", text.len ? ", " : "",
			 r->l4 == TRANSPORT_udp ? "udp" : "tcp", r->first);
		if (r->last > r->first)
			text_add(p, &text, "-%u", r->last);
	}
	return text.data;
}

static void fill_services(struct policy *p)
{
	struct image *image = p->image;
	struct image_service *row;

	image->services =
	    image_array(p, p->n_services + 1, sizeof(*image->services));
	image->n_services = p->n_services + 1;
	image->services[0].name = image_string(p, "none");
	image->services[0].ports = image_string(p, "");
	for (const struct service_tree *s = p->services; s; s = s->next) {
		row = &image->services[s->id];
		row->name = image_string(p, s->name.text);
		row->ports = image_string(p, ports_text(p, s));
		for (unsigned int i = 0; i < s->n_protos; i++)
			row->protos[i] = s->protos[i]->id;
	}
	image->services_map = image_array(p, 1, sizeof(*image->services_map));
	memcpy(image->services_map->of, p->service_of, sizeof(p->service_of));
}

static void fill_conduits(struct policy *p)
{
	struct image *image = p->image;
	struct image_conduit *row;

	image->conduits =
	    image_array(p, p->n_conduits + 1, sizeof(*image->conduits));
	image->n_conduits = p->n_conduits + 1;
	image->conduits[0].name = image_string(p, "none");
	image->conduits[0].title = image_string(p, "");
	image->conduits[0].mode = p->site.default_mode;
	for (const struct conduit_tree *c = p->conduits; c; c = c->next) {
		row = &image->conduits[c->id];
		row->name = image_string(p, c->name.text);
		row->title = image_string(p, c->title);
		row->from = c->from_zone->id;
		row->to = c->to_zone->id;
		row->mode = c->mode;
		row->action = c->action;
	}
}

static struct portcullis_place place_of(const struct holder *h)
{
	struct portcullis_place place = { .zone = h->zone->id,
					  .ports = h->zone->ports };

	if (!h->asset)
		return place;
	place.asset = h->asset->id;
	if (h->asset->essential)
		place.flags |= PLACE_essential;
	if (h->asset->has_mac)
		place.flags |= PLACE_mac;
	place.flags |= (uint32_t)h->asset->quirks << PLACE_quirks;
	return place;
}

static void fill_places(struct policy *p)
{
	struct image *image = p->image;
	struct image_place4 *place4;
	struct image_place6 *place6;
	size_t n4 = 0, n6 = 0;

	for (const struct holder *h = p->holders; h; h = h->next)
		*(h->network.family == 4 ? &n4 : &n6) += 1;
	image->places4 = image_array(p, n4, sizeof(*image->places4));
	image->places6 = image_array(p, n6, sizeof(*image->places6));
	for (const struct holder *h = p->holders; h; h = h->next) {
		if (h->network.family == 4) {
			place4 = &image->places4[image->n_places4++];
			place4->key.prefixlen = h->network.prefixlen;
			memcpy(place4->key.addr, h->network.addr, 4);
			place4->place = place_of(h);
		} else {
			place6 = &image->places6[image->n_places6++];
			place6->key.prefixlen = h->network.prefixlen;
			memcpy(place6->key.addr, h->network.addr, 16);
			place6->place = place_of(h);
		}
	}
}

static void fill_site(struct policy *p)
{
	const struct site_tree *site = &p->site;
	struct image *image = p->image;

	image->site = image_string(p, site->title ? site->title : "");
	image->default_mode = site->default_mode;
	image->fail_open = site->fail_open;
	image->layer2_drop = site->layer2_drop;
	image->host_ceiling = site->limit[0];
	image->zone_ceiling = site->limit[1];
	image->evidence_bytes = site->evidence;
	image->ports = image_array(p, p->n_ports, sizeof(*image->ports));
	image->n_ports = p->n_ports;
	memcpy(image->ports, p->ports, p->n_ports * sizeof(*image->ports));
}

/* The text and the name of its file share one allocation, so that both live
 * as long as the image. */
static void fill_rule(struct policy *p, const struct allow_tree *a,
		      struct image_rule *row)
{
	const char *file = p->sources[a->spot.source].name;
	size_t len = strlen(a->text) + 1, file_len = strlen(file) + 1;

	row->text = image_array(p, len + file_len, 1);
	memcpy(row->text, a->text, len);
	memcpy(row->text + len, file, file_len);
	row->file = row->text + len;
	row->conduit = a->conduit->id;
	row->service = a->service->id;
	row->line = a->spot.line;
	row->live_id = a->live_id;
}

static void fill_rules(struct policy *p)
{
	struct image *image = p->image;
	size_t n = 0;

	for (struct allow_tree *a = p->allows; a; a = a->next) {
		if (a->expired)
			continue;
		a->id = n++;
		if (n == RULES_MAX + 1) {
			policy_error(p, &a->spot, "more than %d rules",
				     RULES_MAX);
			return;
		}
	}
	image->rules = image_array(p, n, sizeof(*image->rules));
	for (const struct allow_tree *a = p->allows; a; a = a->next)
		if (!a->expired)
			fill_rule(p, a, &image->rules[image->n_rules++]);
	policy_rules(p);
}

/* ---- the way through ------------------------------------------------- */

int policy_open(const struct policy_source *sources, size_t n_sources,
		const struct policy_context *context, uint32_t command_line,
		struct policy **ret_policy)
{
	struct policy *p;

	for (size_t i = 0; i < n_sources; i++)
		if (sources[i].len > POLICY_SOURCE_MAX)
			return -EFBIG;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->sources = sources;
	p->n_sources = n_sources;
	p->context = context;
	p->command_line = command_line;
	p->site.wires_end = &p->site.wires;
	p->services_end = &p->services;
	p->zones_end = &p->zones;
	p->assets_end = &p->assets;
	p->conduits_end = &p->conduits;
	p->allows_end = &p->allows;
	p->holders_end = &p->holders;
	for (int i = 1; i < LAYER2_max; i++)
		if (layer2_name(i) && layer2_default_drop(i))
			p->site.layer2_drop |= 1ULL << i;
	*ret_policy = p;
	return 0;
}

void policy_close(struct policy *p)
{
	if (!p)
		return;
	arena_free(&p->arena);
	image_free(p->image);
	free(p);
}

int policy_run(struct policy *p)
{
	/* Everything that changes lies in *p, so the jump loses nothing. */
	if (setjmp(p->no_memory))
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_sources; i++)
		policy_parse(p, i);
	policy_preset(p);
	policy_resolve(p);
	if (p->n_errors)
		return -EINVAL;
	p->image = image_array(p, 1, sizeof(*p->image));
	fill_site(p);
	fill_zones(p);
	fill_assets(p);
	fill_services(p);
	fill_conduits(p);
	fill_places(p);
	fill_rules(p);
	return p->n_errors ? -EINVAL : 0;
}

int policy_compile(const struct policy_source *sources, size_t n_sources,
		   const struct policy_context *context, FILE *errors,
		   struct image **ret_image)
{
	struct policy *p;
	int err = policy_open(sources, n_sources, context, 0, &p);

	if (err)
		return err;
	err = policy_run(p);
	if (err == -EINVAL)
		policy_print_errors(p, errors);
	if (!err) {
		*ret_image = p->image;
		p->image = NULL;
	}
	policy_close(p);
	return err;
}
