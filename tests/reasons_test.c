/* SPDX-License-Identifier: GPL-2.0-only */
/* Every reason of the table that a packet can get, on the host engine. */
#include "reasons.h"

static const struct reasons_exception except[] = {
	{ REASON_unreadable,
	  "every length is held against the frame's before its bytes are read, and plain memory is always readable" },
	{ REASON_no_policy, "an engine has a policy from its first moment on" },
	{ REASON_busy, "one thread an engine, so no lock is ever held" },
	{ REASON_scratch_busy,
	  "one thread an engine, so no packet comes between" },
	{ REASON_internal,
	  "only a fault of the gate's own code gives it; fuzz_packet and fuzz_proto look for one" },
	{ REASON_none, NULL },
};

int main(int argc, char **argv)
{
	static const enum engine_kind kinds[] = { ENGINE_host };

	return reasons_main(argc, argv, kinds, 1, NULL, except);
}
