/* SPDX-License-Identifier: GPL-2.0-only */
/* The server of one connection begins its sequence numbers just below the wrap,
 * which no server can be told to do: at its cable, what goes out is moved by a
 * distance that its SYN fixes, and what comes back by the same. For tc, in both
 * directions. SACKs are not moved: the server takes no notice of them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
	SERVER = 502,
	CLIENT = 20001, /* of the one connection */
	BELOW = 61,	/* bytes */
};

__u32 distance;

static __always_inline int read_tcp(struct __sk_buff *skb, __u32 *at,
				    struct tcphdr *tcp)
{
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_TCP)
		return 0;
	*at = ETH_HLEN + ip.ihl * 4;
	return !bpf_skb_load_bytes(skb, *at, tcp, sizeof(*tcp));
}

static __always_inline int change(struct __sk_buff *skb, __u32 tcp, __u32 field,
				  __be32 from, __u32 to)
{
	__be32 word = bpf_htonl(to);

	if (bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), from,
				word, sizeof(word)) ||
	    bpf_skb_store_bytes(skb, tcp + field, &word, sizeof(word), 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc")
int wrap(struct __sk_buff *skb)
{
	struct tcphdr tcp;
	__u32 at;

	if (!read_tcp(skb, &at, &tcp))
		return TC_ACT_OK;
	if (tcp.source == bpf_htons(SERVER) && tcp.dest == bpf_htons(CLIENT)) {
		if (tcp.syn)
			distance = -BELOW - bpf_ntohl(tcp.seq);
		return change(skb, at, offsetof(struct tcphdr, seq), tcp.seq,
			      bpf_ntohl(tcp.seq) + distance);
	}
	if (tcp.dest == bpf_htons(SERVER) && tcp.source == bpf_htons(CLIENT) &&
	    tcp.ack)
		return change(skb, at, offsetof(struct tcphdr, ack_seq),
			      tcp.ack_seq, bpf_ntohl(tcp.ack_seq) - distance);
	return TC_ACT_OK;
}

char gpl[] SEC("license") = "GPL";
