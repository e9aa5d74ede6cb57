/* SPDX-License-Identifier: GPL-2.0-only */
static __always_inline __u32 port_of(const struct packet *p)
{
	return p->dport; /* host order since packet_parse() */
}
