/* SPDX-License-Identifier: GPL-2.0-only */
/* The central property on the kernel engine and the host engine side by side:
 * they must agree on every verdict, every reason and every byte.
 * vm: -n 300
 */
#include "property.h"

int main(int argc, char **argv)
{
	static const enum engine_kind kinds[] = { ENGINE_host, ENGINE_bpf };

	return property_main(argc, argv, kinds, 2, 20000);
}
