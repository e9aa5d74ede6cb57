/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdlib.h>

#include "image.h"

static void free_named(struct image_named *named, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(named[i].name);
		free(named[i].title);
	}
	free(named);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->site);
	free(image->ports);
	free(image->places4);
	free(image->places6);
	free(image->services_map);
	free(image->keys);
	free(image->rulesets);
	free(image->conditions);
	free(image->shapes);
	free(image->limits);
	for (size_t i = 0; i < image->n_rules; i++)
		free(image->rules[i].text);
	free(image->rules);
	for (size_t i = 0; i < image->n_conduits; i++) {
		free(image->conduits[i].name);
		free(image->conduits[i].title);
	}
	free(image->conduits);
	free_named(image->zones, image->n_zones);
	for (size_t i = 0; i < image->n_assets; i++) {
		free(image->assets[i].name);
		free(image->assets[i].address);
	}
	free(image->assets);
	for (size_t i = 0; i < image->n_services; i++) {
		free(image->services[i].name);
		free(image->services[i].ports);
	}
	free(image->services);
	free(image);
}

void image_site(const struct image *image, struct portcullis_site *ret)
{
	*ret = (struct portcullis_site){
		.default_mode = image->default_mode,
		.host_ceiling = image->host_ceiling,
		.zone_ceiling = image->zone_ceiling,
		.layer2_drop = image->layer2_drop,
	};
	/* Zone 1 is the gateway itself. */
	for (size_t i = 0; i < image->n_keys; i++)
		if (image->keys[i].key.to == 1)
			ret->self_ruled = 1;
	for (size_t i = 0; i < image->n_rulesets; i++)
		if (image->rulesets[i].mode == MODE_enforce)
			ret->enforces = 1;
}
