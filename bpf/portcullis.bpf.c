/* SPDX-License-Identifier: GPL-2.0-only */
/* The doors. Each translates its context in and the verdict out; what is judged
 * and how is in core.h.
 */
#include "kernel.h"
#include "hash.h"
#include "core.h"

char LICENSE[] SEC("license") = "GPL";

#define TC_OK 0
#define TC_SHOT 2
#define MARK_mirror 0x706f7274 /* in XDP metadata: copy this frame */

/* XDP cannot clone. On a wire a broadcast redirect makes the copy; on the
 * kernel way a mark travels with the frame to portcullis_copy. */
static __always_inline int xdp_mirror(struct xdp_md *ctx,
				      const struct scratch *x)
{
	__u32 id = x->port.id, *mark;
	void *targets;

	if (x->port.forward == FORWARD_wire) {
		targets = bpf_map_lookup_elem(&copies, &id);
		if (targets)
			return bpf_redirect_map(targets, 0, BPF_F_BROADCAST);
		return bpf_redirect_map(&peers, x->port.peer, 0);
	}
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark)))
		return XDP_PASS;
	mark = (void *)(long)ctx->data_meta;
	if ((void *)(mark + 1) <= (void *)(long)ctx->data)
		*mark = MARK_mirror;
	return XDP_PASS;
}

/* Where the fast way gives up. A program of its own, verified on its own: else
 * the verifier walks it once for every place where that may happen. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} long_xdp SEC(".maps"), long_tc SEC(".maps");

/* Fail closed: the program that should have gone on is not there. */
static __always_inline void count_lost_way(void)
{
	struct portcullis_counts *n = counts_get();

	if (n)
		n->reason[REASON_internal][VERDICT_drop]++;
}

/* Input: an Ethernet frame, before the kernel has made a packet of it.
 * First header: Ethernet. Return: XDP_PASS up to the kernel, XDP_REDIRECT along
 * the wire, to the monitor port or back to the sender, XDP_DROP. Can mirror:
 * see xdp_mirror(). */
SEC("xdp.frags")
int portcullis_xdp(struct xdp_md *ctx)
{
	struct frame f = { .xdp = ctx, .is_xdp = 1 };
	__u32 peer;

	if (fast_pass(&f, ctx->ingress_ifindex, &peer))
		return peer ? bpf_redirect_map(&peers, peer, 0) : XDP_PASS;
	bpf_tail_call_static(ctx, &long_xdp, 0);
	count_lost_way();
	return XDP_DROP;
}

SEC("xdp.frags")
int portcullis_long_xdp(struct xdp_md *ctx)
{
	struct frame f = { .xdp = ctx, .is_xdp = 1 };
	struct scratch *x = scratch_get();
	__u8 verdict;

	if (!x)
		return XDP_DROP;
	verdict = judge(&f, x, ctx->ingress_ifindex);
	if (verdict == VERDICT_drop)
		return XDP_DROP;
	if (verdict == VERDICT_divert)
		return bpf_redirect_map(&peers, 0, 0);
	if (verdict == VERDICT_mirror)
		return xdp_mirror(ctx, x);
	/* Not XDP_TX: on veth it waits for the next packet of the other side
	 * where a redirect is flushed at once. */
	if (x->turn)
		return bpf_redirect_map(&peers, x->port.id, 0);
	if (x->port.forward == FORWARD_wire)
		return bpf_redirect_map(&peers, x->port.peer, 0);
	return XDP_PASS;
}

/* Input: a packet at clsact ingress, perhaps a super-frame, perhaps not linear.
 * First header: Ethernet. Return: TC_ACT_OK up to the kernel, TC_ACT_SHOT, or
 * TC_ACT_REDIRECT. Can mirror: yes, it clones. */
SEC("tc")
int portcullis_tc(struct __sk_buff *ctx)
{
	struct frame f = { .skb = ctx };
	__u32 peer;

	if (fast_pass(&f, ctx->ifindex, &peer))
		return TC_OK;
	bpf_tail_call_static(ctx, &long_tc, 0);
	count_lost_way();
	return TC_SHOT;
}

SEC("tc")
int portcullis_long_tc(struct __sk_buff *ctx)
{
	struct frame f = { .skb = ctx };
	const struct portcullis_gate *g = gate_get();
	struct scratch *x = scratch_get();
	__u32 linear;
	__u8 verdict;

	if (!x || !g)
		return TC_SHOT;
	/* Headers must be directly readable. */
	linear = ctx->data_end - ctx->data;
	if (linear < 256 && linear < ctx->len)
		bpf_skb_pull_data(ctx, ctx->len < 256 ? ctx->len : 256);
	verdict = judge(&f, x, ctx->ifindex);
	if (verdict == VERDICT_drop)
		return TC_SHOT;
	if (verdict == VERDICT_divert)
		return bpf_redirect(g->monitor_ifindex, 0);
	if (verdict == VERDICT_mirror && g->monitor_ifindex)
		bpf_clone_redirect(ctx, g->monitor_ifindex, 0);
	if (x->turn)
		return bpf_redirect(ctx->ifindex, 0);
	return TC_OK;
}

/* Companion of portcullis_xdp on the kernel way: copies the frames that it
 * marked. Judges nothing. */
SEC("tc")
int portcullis_copy(struct __sk_buff *ctx)
{
	const struct portcullis_gate *g = gate_get();
	__u32 *mark = (void *)(long)ctx->data_meta;

	if (g && g->monitor_ifindex &&
	    (void *)(mark + 1) <= (void *)(long)ctx->data &&
	    *mark == MARK_mirror)
		bpf_clone_redirect(ctx, g->monitor_ifindex, 0);
	return TC_OK;
}
