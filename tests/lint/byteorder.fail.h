/* SPDX-License-Identifier: GPL-2.0-only */
static __always_inline __u32 port_of(const struct tcp_header *tcp)
{
	return bpf_ntohs(tcp->dport);
}
