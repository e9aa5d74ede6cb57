/* SPDX-License-Identifier: GPL-2.0-only */
/* Every protocol's steps over one message, whose windows stand in `rows`: for
 * messages.c to measure. Each row is copied before, as the walk does, by
 * `nothing` too.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "window.h"
#include "protocols.gen.h"

#include "messages.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MESSAGE_STEPS);
	__type(key, __u32);
	__type(value, struct message_row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct message_row);
} places SEC(".maps");

__u32 n_rows;

static __always_inline struct message_row *row_copy(__u32 i)
{
	struct message_row *to, *from = bpf_map_lookup_elem(&rows, &i);
	__u32 zero = 0;

	to = bpf_map_lookup_elem(&places, &zero);
	if (from && to)
		__builtin_memcpy(to, from, sizeof(*to));
	return from ? to : NULL;
}

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	__u32 i;

	for (i = 0; i < MESSAGE_STEPS && i < n_rows; i++)
		if (!row_copy(i))
			return XDP_ABORTED;
	return XDP_PASS;
}

/* XDP_PASS: every step took what it was given. */
#define PROTOCOL(id, name, ...)                                                \
	STEP_APART(name##_step)                                                \
	SEC("xdp") int name(struct xdp_md *ctx)                                \
	{                                                                      \
		struct message_row *row;                                       \
		__u32 i;                                                       \
                                                                               \
		for (i = 0; i < MESSAGE_STEPS && i < n_rows; i++) {            \
			row = row_copy(i);                                     \
			if (!row)                                              \
				return XDP_ABORTED;                            \
			name##_step_apart(&row->step, &row->state);            \
			if (row->step.answer != STEP_take)                     \
				return XDP_DROP;                               \
		}                                                              \
		return XDP_PASS;                                               \
	}
#include <portcullis/protocols.def>
#undef PROTOCOL
