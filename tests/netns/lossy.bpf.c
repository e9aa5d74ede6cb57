/* SPDX-License-Identifier: GPL-2.0-only */
/* A cable that loses one TCP segment with payload in two hundred, for tc. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { ONE_IN = 200 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen_and_lost SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&seen_and_lost, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline int has_payload(struct __sk_buff *skb)
{
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)) ||
	    eth.h_proto != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, sizeof(eth), &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, sizeof(eth) + ip.ihl * 4, &tcp,
			       sizeof(tcp)))
		return 0;
	return bpf_ntohs(ip.tot_len) > ip.ihl * 4 + tcp.doff * 4;
}

SEC("tc")
int lossy(struct __sk_buff *skb)
{
	if (!has_payload(skb))
		return TC_ACT_OK;
	count(0);
	if (bpf_get_prandom_u32() % ONE_IN)
		return TC_ACT_OK;
	count(1);
	return TC_ACT_SHOT;
}

char gpl[] SEC("license") = "GPL";
