/* SPDX-License-Identifier: GPL-2.0-only */
/* The central property on the host engine. */
#include "property.h"

int main(int argc, char **argv)
{
	static const enum engine_kind kinds[] = { ENGINE_host };

	return property_main(argc, argv, kinds, 1, 20000);
}
