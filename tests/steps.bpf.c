/* SPDX-License-Identifier: GPL-2.0-only */
/* Every protocol's step in a program of its own, for load_root to say what each
 * costs the verifier. Runs nowhere.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "window.h"
#include "protocols.gen.h"

char LICENSE[] SEC("license") = "GPL";

struct place {
	struct step step;
	struct state state;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct place);
} places SEC(".maps");

#define PROTOCOL(id, name, ...)                                                \
	STEP_APART(name##_step)                                                \
	SEC("xdp") int name(struct xdp_md *ctx)                                \
	{                                                                      \
		struct place *p;                                               \
		__u32 zero = 0;                                                \
                                                                               \
		p = bpf_map_lookup_elem(&places, &zero);                       \
		return p ? name##_step_apart(&p->step, &p->state) : 0;         \
	}
#include <portcullis/protocols.def>
#undef PROTOCOL
