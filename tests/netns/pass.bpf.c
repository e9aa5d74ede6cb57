/* SPDX-License-Identifier: GPL-2.0-only */
/* For the far ends of veth cables: without a program there, frames that the
 * near end sends back by XDP_TX wait in the ring for somebody else's.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char gpl[] SEC("license") = "GPL";
