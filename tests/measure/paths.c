/* SPDX-License-Identifier: GPL-2.0-only */
#include "measure.h"

bool paths_measure(struct figures *all)
{
	(void)all;
	return true;
}
