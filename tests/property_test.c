/* SPDX-License-Identifier: GPL-2.0-only */
/* The central property on the host engine, and that the fast way does nothing
 * that the long way would not. */
#include "property.h"

int main(int argc, char **argv)
{
	static const enum engine_kind kinds[] = { ENGINE_host,
						  ENGINE_host_long };

	return property_main(argc, argv, kinds, 2, 20000);
}
