/* SPDX-License-Identifier: GPL-2.0-only */
/* Traffic for measuring. BPF_PROG_TEST_RUN judges one packet again and again:
 * these programs write the next packet into the same buffer and go on to the
 * gate's own program by a tail call, or to one that does nothing. What the one
 * takes more than the other is the gate's.
 *
 * Headers are stored by whole words, as the core reads them.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <portcullis/abi.h>

#include "traffic.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	AT_ip = 14,
	AT_l4 = 34,
	AT_tcp_payload = 54,
	AT_udp_payload = 42,
	SYN = 0x02,
	PSH_ACK = 0x18,
	ACK = 0x10,
	REQUEST = 12, /* bytes: read holding registers */
	REPLY = 29,
	OPTIONS = 12, /* of a SYN */
};

struct traffic_plan plan;
struct traffic_source polling;
__u64 at[LANE_max];
__u64 fence;
__u64 query[TRAFFIC_WORDS], answer[TRAFFIC_WORDS];
__u32 query_len, answer_len;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, LANE_max);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* The gate's own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct portcullis_slot);
} slots SEC(".maps");

/* Slot of each conversation that is refused. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_MISMATCHED);
	__type(key, __u32);
	__type(value, __u32);
} where SEC(".maps");

struct packet {
	unsigned char *bytes;
	__u32 client; /* addresses and ports: host order */
	__u32 server;
	__u16 cport;
	__u16 sport;
	__u32 cseq;
	__u32 sseq;
	__u32 from_server;
};

static __always_inline void put16(const struct packet *p, __u32 off, __u16 v)
{
	*(__u16 *)(p->bytes + off) = __builtin_bswap16(v);
}

static __always_inline void put32(const struct packet *p, __u32 off, __u32 v)
{
	*(__u32 *)(p->bytes + off) = __builtin_bswap32(v);
}

static __always_inline void put64(const struct packet *p, __u32 off, __u64 v)
{
	*(__u64 *)(p->bytes + off) = __builtin_bswap64(v);
}

static __always_inline __u32 mix(__u32 x)
{
	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	return x ^ x >> 16;
}

/* The `i`th of this round. */
static __always_inline __u32 shuffled(__u32 i, __u32 round)
{
	i = (i * 0x9e3779b1 + round * 0x85ebca6b) & plan.mask;
	i ^= i >> (plan.shift & 31);
	i = (i * 0x2c1b3c6d) & plan.mask;
	i ^= i >> (plan.shift & 31);
	return plan.base + i;
}

/* Who talks in a conversation, and where it began. */
static __always_inline void conversation(struct packet *p, __u32 number)
{
	p->client = 0x0a400001 + (number >> 3);
	p->server = 0x0a800001 + (number & 63);
	p->cport = 32768 + (number & 7) * 1000 + (number >> 16);
	p->sport = 502;
	p->cseq = mix(number);
	p->sseq = mix(~number);
}

/* The checksum matters only where a kernel looks at it. */
static __always_inline void ip_put(const struct packet *p, __u32 l4, __u32 len,
				   int summed)
{
	__u32 src = p->from_server ? p->server : p->client;
	__u32 dst = p->from_server ? p->client : p->server;
	__u32 sum = 0x4500 + 0x4000 + 0x4000 + l4 + len + 20;

	put32(p, AT_ip, 0x45000000 | (len + 20));
	put32(p, AT_ip + 4, 0x4000);
	if (summed) {
		sum += (src >> 16) + (src & 0xffff);
		sum += (dst >> 16) + (dst & 0xffff);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	}
	put32(p, AT_ip + 8, 0x40000000 | l4 << 16 | (summed ? sum : 0));
	put32(p, AT_ip + 12, src);
	put32(p, AT_ip + 16, dst);
}

static __always_inline void ports_put(const struct packet *p)
{
	__u16 from = p->from_server ? p->sport : p->cport;
	__u16 to = p->from_server ? p->cport : p->sport;

	put32(p, AT_l4, (__u32)from << 16 | to);
}

static __always_inline void tcp_put(const struct packet *p, __u32 flags,
				    __u32 header, __u32 len, int summed)
{
	ip_put(p, 6, header + len, summed);
	ports_put(p);
	put32(p, AT_l4 + 4, p->from_server ? p->sseq : p->cseq);
	put32(p, AT_l4 + 8,
	      flags == SYN     ? 0
	      : p->from_server ? p->cseq
			       : p->sseq);
	put32(p, AT_l4 + 12, (header / 4) << 28 | flags << 16 | 0xfff0);
	put32(p, AT_l4 + 16, 0);
}

/* RFC 9293 §3.1 maximum segment size, RFC 2018, RFC 7323 §2.2. */
static __always_inline void syn_put(const struct packet *p, __u32 flags,
				    int summed)
{
	tcp_put(p, flags, 20 + OPTIONS, 0, summed);
	put64(p, AT_tcp_payload, 0x020405b401010402ULL);
	put32(p, AT_tcp_payload + 8, 0x01030307);
}

/* SYN, SYN-ACK, ACK. */
static __always_inline void opening_put(struct packet *p, __u32 number,
					__u32 stage, int summed)
{
	conversation(p, number);
	p->from_server = stage == 1;
	p->cseq += stage > 0;
	p->sseq += stage > 1;
	if (stage < 2)
		syn_put(p, stage ? SYN | ACK : SYN, summed);
	else
		tcp_put(p, ACK, 20, 0, summed);
}

/* Ten holding registers asked for, or said, the `round`th time. */
static __always_inline void modbus_put(struct packet *p, __u32 number,
				       __u32 round, __u32 reply, int summed)
{
	__u64 id = (round + number) & 0xffff;

	conversation(p, number);
	p->from_server = reply;
	p->cseq += 1 + (round + reply) * REQUEST;
	p->sseq += 1 + round * REPLY;
	tcp_put(p, PSH_ACK, 20, reply ? REPLY : REQUEST, summed);
	if (!reply) {
		put64(p, AT_tcp_payload, id << 48 | 0x00060103);
		put32(p, AT_tcp_payload + 8, 0x0010000a);
		return;
	}
	put64(p, AT_tcp_payload, id << 48 | 0x00170103);
	put64(p, AT_tcp_payload + 8, 0x1400010002000300ULL | round);
	put64(p, AT_tcp_payload + 16, 0x0400050006000700ULL);
	put64(p, AT_tcp_payload + 24, 0x0800090000000000ULL);
}

/* NULL: the frame is not the one that was given. */
static __always_inline unsigned char *frame_of(struct xdp_md *ctx)
{
	unsigned char *p = (void *)(long)ctx->data;

	return p + TRAFFIC_FRAME > (unsigned char *)(long)ctx->data_end ? NULL
									: p;
}

/* An atomic waits until all that was written is in the cache, as a packet from
 * a device is; and it keeps what is measured apart from what makes it. */
static __always_inline int go_on(struct xdp_md *ctx, const __u32 lane)
{
	__sync_fetch_and_add(&fence, 1);
	bpf_tail_call_static(ctx, &next, lane);
	return XDP_ABORTED;
}

/* Turns of all conversations: first all requests, then all replies. */
static __always_inline void turn(__u32 lane, __u32 *number, __u32 *round,
				 __u32 *reply)
{
	__u64 i = at[lane]++;
	__u32 phase = i >> (plan.bits & 31);

	*round = phase >> 1;
	*reply = phase & 1;
	*number = shuffled((__u32)i & plan.mask, phase);
}

/* A kind of traffic before what stands in a lane. */
#define THROUGH(name, traffic, lane)                                           \
	SEC("xdp.frags") int name(struct xdp_md *ctx)                          \
	{                                                                      \
		return traffic(ctx, lane);                                     \
	}

static __always_inline int modbus(struct xdp_md *ctx, const __u32 lane)
{
	struct packet p = { .bytes = frame_of(ctx) };
	__u32 number, round, reply;

	if (!p.bytes)
		return XDP_ABORTED;
	turn(lane, &number, &round, &reply);
	modbus_put(&p, number, round, reply, 0);
	return go_on(ctx, lane);
}

THROUGH(modbus_1, modbus, LANE_1)
THROUGH(modbus_256, modbus, LANE_256)
THROUGH(modbus_4096, modbus, LANE_4096)
THROUGH(modbus_16384, modbus, LANE_16384)
THROUGH(modbus_empty, modbus, LANE_empty)

static __always_inline int dns(struct xdp_md *ctx, const __u32 lane)
{
	struct packet p = { .bytes = frame_of(ctx) };
	__u32 number, round, reply, len, i;

	if (!p.bytes)
		return XDP_ABORTED;
	turn(lane, &number, &round, &reply);
	conversation(&p, number);
	p.sport = 53;
	p.from_server = reply;
	len = 8 + (reply ? answer_len : query_len);
	ip_put(&p, 17, len, 0);
	ports_put(&p);
	put32(&p, AT_l4 + 4, len << 16);
	for (i = 0; i < TRAFFIC_WORDS - 1; i++)
		*(__u64 *)(p.bytes + AT_udp_payload + i * 8) =
		    reply ? answer[i] : query[i];
	*(__u32 *)(p.bytes + AT_udp_payload + i * 8) =
	    (__u32)(reply ? answer[i] : query[i]);
	put16(&p, AT_udp_payload, number + round);
	return go_on(ctx, lane);
}

THROUGH(dns_gate, dns, LANE_small)
THROUGH(dns_empty, dns, LANE_empty)

/* A refused conversation lives again. */
static __always_inline void revive(__u32 number)
{
	struct portcullis_slot *slot;
	__u32 key = number & (TRAFFIC_MISMATCHED - 1);
	__u32 *place = bpf_map_lookup_elem(&where, &key);

	if (!place)
		return;
	slot = bpf_map_lookup_elem(&slots, place);
	if (!slot)
		return;
	slot->state = SLOT_live;
	if (plan.report)
		slot->flags &= ~FLOW_reported;
	else
		slot->flags |= FLOW_reported;
}

/* The banner of an SSH client where Modbus is spoken. The gate has cut the
 * frame of the one before. */
static __always_inline int mismatch(struct xdp_md *ctx, const __u32 lane)
{
	struct packet p = {};
	__u32 number, have = ctx->data_end - ctx->data;

	if (bpf_xdp_adjust_tail(ctx, TRAFFIC_FRAME - (int)have))
		return XDP_ABORTED;
	p.bytes = frame_of(ctx);
	if (!p.bytes)
		return XDP_ABORTED;
	number = shuffled((__u32)at[lane]++ & plan.mask, 0);
	revive(plan.rows + number - plan.base);
	conversation(&p, number);
	p.cseq++;
	p.sseq++;
	tcp_put(&p, PSH_ACK, 20, 32, 0);
	put64(&p, AT_tcp_payload, 0x5353482d322e302dULL);
	put64(&p, AT_tcp_payload + 8, 0x4f70656e5353485fULL);
	put64(&p, AT_tcp_payload + 16, 0x392e327031204465ULL);
	put64(&p, AT_tcp_payload + 24, 0x6269616e2d320d0aULL);
	return go_on(ctx, lane);
}

THROUGH(mismatch_gate, mismatch, LANE_small)
THROUGH(mismatch_empty, mismatch, LANE_empty)

/* The SYN of a conversation that was never seen, under some rule. */
static __always_inline int newcomer(struct xdp_md *ctx, const __u32 lane)
{
	struct packet p = { .bytes = frame_of(ctx) };
	__u32 i = (__u32)at[lane]++, rule, hosts = plan.hosts;

	if (!p.bytes || !hosts)
		return XDP_ABORTED;
	rule = ((__u64)mix(i) * plan.rules) >> 32;
	p.client = 0x0a400001 + rule % hosts;
	p.server = 0x0a800001 + (rule + rule / hosts) % hosts;
	p.cport = i;
	p.sport = 502;
	p.cseq = mix(~i);
	syn_put(&p, SYN, 0);
	return go_on(ctx, lane);
}

THROUGH(newcomer_ten, newcomer, LANE_ten)
THROUGH(newcomer_large, newcomer, LANE_large)
THROUGH(newcomer_empty, newcomer, LANE_empty)

/* Opens the conversations of the plan. */
SEC("xdp.frags")
int opening(struct xdp_md *ctx)
{
	struct packet p = { .bytes = frame_of(ctx) };
	__u32 lane = plan.lane & 7;
	__u64 i;

	if (!p.bytes || lane >= LANE_max)
		return XDP_ABORTED;
	i = at[lane]++;
	opening_put(&p, plan.base + ((__u32)i & plan.mask),
		    i >> (plan.bits & 31), 0);
	bpf_tail_call(ctx, &next, lane);
	return XDP_ABORTED;
}

SEC("xdp.frags")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* ---- through a path ---------------------------------------------------- */

static __always_inline void ethernet_put(const struct packet *p)
{
	put32(p, 0, 0x02000000);
	put32(p, 4, p->from_server ? 0x00020200 : 0x00010200);
	put32(p, 8, p->from_server ? 0x00000004 : 0x00000003);
	put16(p, 12, 0x0800);
}

/* Four groups of 64 conversations take turns: requests of one, replies of the
 * one before the last. 0: what must have arrived before is still under way. */
static __always_inline int polled_put(struct packet *p, __u64 i)
{
	__u32 pair = i / (2 * TRAFFIC_BURST);
	__u32 reply = (i / TRAFFIC_BURST) & 1, of = pair - 2 * reply, number;
	__u64 need;

	need = reply	  ? 2 * TRAFFIC_POLLED + (pair - 1) * TRAFFIC_BURST
	       : pair < 4 ? TRAFFIC_POLLED
			  : TRAFFIC_POLLED + (pair - 3) * TRAFFIC_BURST;
	if (*(volatile __u64 *)&polling.got[!reply] < need)
		return 0;
	number = (of & 3) * TRAFFIC_BURST +
		 ((i * 37 + of * 11) & (TRAFFIC_BURST - 1));
	modbus_put(p, number, of >> 2, reply, 1);
	return 1;
}

/* No packet before all of the burst before it have arrived. */
static __always_inline int opening_polled_put(struct packet *p, __u64 i)
{
	__u64 need = i & ~(__u64)(TRAFFIC_BURST - 1);

	if (*(volatile __u64 *)&polling.got[0] +
		*(volatile __u64 *)&polling.got[1] <
	    need)
		return 0;
	opening_put(p, i & (TRAFFIC_POLLED - 1), i / TRAFFIC_POLLED, 1);
	return 1;
}

SEC("xdp")
int poll_source(struct xdp_md *ctx)
{
	struct packet p = { .bytes = frame_of(ctx) };
	__u64 i = polling.at;
	int sent;

	if (!p.bytes)
		return XDP_ABORTED;
	if (i >= TRAFFIC_OPENING && i < TRAFFIC_OPENING + 4 * TRAFFIC_BURST &&
	    ((i - TRAFFIC_OPENING) & TRAFFIC_BURST)) {
		/* No replies yet. */
		polling.at = i + TRAFFIC_BURST;
		return XDP_DROP;
	}
	if (i < TRAFFIC_OPENING)
		sent = opening_polled_put(&p, i);
	else
		sent = polled_put(&p, i - TRAFFIC_OPENING);
	if (!sent)
		return XDP_DROP;
	ethernet_put(&p);
	polling.at = i + 1;
	polling.sent++;
	return bpf_redirect(polling.out[!!p.from_server], 0);
}

static __always_inline int sink(struct xdp_md *ctx, __u32 from_server)
{
	unsigned char *p = (void *)(long)ctx->data;

	if (p + 14 <= (unsigned char *)(long)ctx->data_end && p[12] == 8 &&
	    p[13] == 0)
		polling.got[from_server]++;
	return XDP_DROP;
}

SEC("xdp")
int sink_requests(struct xdp_md *ctx)
{
	return sink(ctx, 0);
}

SEC("xdp")
int sink_replies(struct xdp_md *ctx)
{
	return sink(ctx, 1);
}

/* The other end of the wire, by the interface a frame came in on. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} other_end SEC(".maps");

SEC("xdp")
int bare_redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&other_end, ctx->ingress_ifindex, 0);
}

SEC("xdp")
int bare_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
