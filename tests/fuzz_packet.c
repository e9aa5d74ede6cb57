/* SPDX-License-Identifier: GPL-2.0-only */
/* A sequence of packets, as anybody on either side of the gate may send them,
 * through the whole of it. Input: the number of a policy, then operations of
 * one byte with their arguments (enum op); what lies behind the end reads as
 * zero. `reasons_test --seeds FOLDER` writes its cases so, as raw frames.
 *
 * Held for every packet: it gets one reason of the table, never `internal`, and
 * a verdict that goes with its kind; what passes is what came, what was made
 * into an RST is a sound one; the slot is unlocked and its books agree; the
 * counters add up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "../user/engine.h"
#include "../user/policy.h"
#include "../user/protocols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op {
	OP_talk,      /* choose a conversation: number, shape */
	OP_open,      /* its handshake */
	OP_flags,     /* a bare segment: flags, sequence, acknowledgement */
	OP_message,   /* the next built-in message, of its side */
	OP_cut,	      /* the same, cut into segments of n bytes */
	OP_raw,	      /* n bytes of the input: side and n */
	OP_again,     /* the last segment once more */
	OP_changed,   /* the same with a byte changed */
	OP_overlap,   /* data at another place: offset, n, bytes */
	OP_rst,	      /* an exact RST: side */
	OP_fin,	      /* a FIN: side */
	OP_window,    /* the window from here on, and the options of a SYN */
	OP_extension, /* IPv6 from here on with these extension headers */
	OP_frame,     /* port, length, a whole frame */
	OP_spoil,     /* the next frame: a byte changed, or cut short */
	OP_time,      /* time goes on by 2^n ms */
	OP_policy,    /* apply */
	OP_ports,     /* the sides change places */
	OP_grace,     /* picking up is allowed for a while */
	OP_quote,     /* an ICMP error that quotes the last frame */
	OP_number,
};

enum { TALKS = 8, PACKETS_MOST = 400, PAYLOAD_MOST = 1400, SLOTS = 64 };

static const char policy_head[] =
    "service modbus tcp 502 expect modbus\n"
    "service dns udp 53, tcp 53 expect dns\n"
    "service tls tcp 443 expect tls\n"
    "service web tcp 80 expect http\n"
    "service ssh tcp 22 expect ssh\n"
    "service many tcp 8000 expect modbus, tls, http, ssh\n"
    "zone left { interface a; network 10.1.0.0/16, fd01::/32 }\n"
    "zone right { interface b; network 10.2.0.0/16, fd02::/32 }\n";

static const char *const policies[] = {
	"site \"0\" { mode enforce; default deny; forward wire a b }\n"
	"conduit there from left to right {\n"
	"  allow modbus read; allow dns; allow tls; allow web function get\n"
	"  allow ssh; allow many }\n"
	"conduit back from right to left { allow modbus; allow dns }\n",
	"site \"1\" { mode enforce; default monitor; forward wire a b\n"
	"  monitor-port m; limit host 3 conversations }\n"
	"conduit there from left to right { split header refuse\n"
	"  allow modbus any unit 1-8; allow dns; allow web; allow many\n"
	"  on mismatch divert, evidence }\n"
	"conduit back from right to left { split message refuse; ceiling 2\n"
	"  on mismatch drop; allow modbus; allow tls; allow ssh }\n",
	"site \"2\" { mode monitor; forward wire a b; monitor-port m }\n"
	"conduit there from left to right { allow modbus read; allow dns\n"
	"  allow tls; allow web; allow ssh; allow many }\n"
	"conduit back from right to left { mode mirror; allow modbus read }\n",
	"site \"3\" { mode enforce; forward kernel a, b; monitor-port m }\n"
	"conduit there from left to right { on mismatch mirror\n"
	"  allow modbus write; allow dns; allow many; allow tls\n"
	"  allow web; allow ssh until 1010 }\n",
};
enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };

struct message {
	uint8_t side;
	const char *bytes;
	uint16_t len;
};
#define SAYS(side, text)                                                       \
	{                                                                      \
		side, text, sizeof(text) - 1                                   \
	}
#define MESSAGES 12
#define HELLO                                                                  \
	"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03"                         \
	"0123456789abcdef0123456789abcdef\x00\x00\x02\x13\x01\x01\x00"
#define QUERY                                                                  \
	"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03plc\x07"                  \
	"example\x03"                                                          \
	"com\x00\x00\x01\x00\x01"
#define REPLY                                                                  \
	"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03plc\x07"                  \
	"example\x03"                                                          \
	"com\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00"  \
	"\x04\x0a\x14\x03\x05"

/* Legal conversations, each a round that may begin again at its second line. */
static const struct message says[][MESSAGES] = {
	{
	    SAYS(0, "\0\1\0\0\0\6\1\3\0\0\0\2"),
	    SAYS(1, "\0\1\0\0\0\7\1\3\4\0\1\0\2"),
	    SAYS(0, "\0\2\0\0\0\6\1\1\0\0\0\2\0\3\0\0\0\6\1\4\0\0\0\2"),
	    SAYS(1, "\0\2\0\0\0\4\1\1\1\0"),
	    SAYS(1, "\0\3\0\0\0\7\1\4\4\0\1\0\2"),
	    SAYS(0, "\0\4\0\0\0\6\1\5\0\0\xff\0"),
	    SAYS(1, "\0\4\0\0\0\6\1\5\0\0\xff\0"),
	    SAYS(0, "\0\5\0\0\0\x11\1\x14\x0e\6\0\4\0\1\0\2\6\0\3\0\x09\0\2"),
	    SAYS(1, "\0\5\0\0\0\x0f\1\x14\x0c\5\6\x0d\xfe\0\x20\5\6\x33\xcd\0"
		    "\x40"),
	},
	{
	    SAYS(0, "\0\x21\0\1" QUERY),
	    SAYS(1, "\0\x31\0\1" REPLY),
	    SAYS(0, "\0\x21\0\2" QUERY "\0\x21\0\3" QUERY),
	    SAYS(1, "\0\x31\0\3" REPLY "\0\x31\0\2" REPLY),
	},
	{
	    SAYS(0, HELLO),
	    SAYS(1, "\x16\x03\x03\0\x2a\x02\0\0\x26\x03\x03"
		    "0123456789abcdef0123456789abcdef\0\x13\x01\0"),
	    SAYS(1, "\x14\x03\x03\0\1\1\x17\x03\x03\0\x10"
		    "0123456789abcdef"),
	    SAYS(0, "\x14\x03\x03\0\1\1\x17\x03\x03\0\x10"
		    "0123456789abcdef"),
	    SAYS(0, "\x17\x03\x03\1\x10"
		    "0123456789abcdef"),
	    SAYS(1, "\x17\x03\x03\0\x20"
		    "0123456789abcdef0123456789abcdef"),
	},
	{
	    SAYS(0, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
	    SAYS(1, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
	    SAYS(0, "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"),
	    SAYS(1, "HTTP/1.1 204 No Content\r\n\r\n"),
	    SAYS(0, "GET /c HTTP/1.1\r\nHost: a\r\nConnection: "
		    "keep-alive\r\nUpgrade: websocket\r\n\r\n"),
	    SAYS(1, "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n"),
	    SAYS(0, "\x82\x83qqqqabc"),
	    SAYS(1, "\x82\x03"
		    "abc"),
	},
	{
	    SAYS(0, "SSH-2.0-x\r\n"),
	    SAYS(1, "SSH-2.0-y\r\n"),
	    SAYS(0, "\0\0\0\x2c\6\x1e"
		    "0123456789abcdef0123456789abcdef0123456789"),
	    SAYS(0, "\0\0\0\x14\x05\x01\0\0\0\x0b\0\0\0\1a\0\0\0\0\0\0\0\0\0"),
	    SAYS(0, "\0\0\0\x0c\x0a\x15"
		    "0123456789"),
	    SAYS(1, "\0\0\0\x0c\x0a\x15"
		    "0123456789"),
	},
};
static const uint16_t says_port[] = { 502, 53, 443, 80, 22 };
enum { PROTOCOLS = sizeof(says) / sizeof(says[0]) };

struct talk {
	struct frame head; /* as the client sends it */
	uint32_t next[2];
	uint8_t proto; /* row of `says` */
	uint8_t at;    /* next message */
	uint8_t last_side;
	uint32_t last_seq;
	uint16_t last_len;
	uint8_t last[PAYLOAD_MOST];
};

struct run {
	const uint8_t *data;
	size_t size;
	struct engine *engine;
	struct talk talks[TALKS];
	struct talk *talk;
	uint64_t time_ns;
	unsigned int packets;
	unsigned int swapped; /* the sides are on each other's ports */
	uint8_t extension[64];
	uint8_t extension_len;
	uint8_t spoil, spoil_at, spoil_with;
	uint8_t frame[FRAME_MAX];
	size_t frame_len;
};

static struct image *images[POLICIES];

static uint8_t take_byte(struct run *r)
{
	if (!r->size)
		return 0;
	r->size--;
	return *r->data++;
}

static size_t take_bytes(struct run *r, uint8_t *to, size_t n)
{
	if (n > r->size)
		n = r->size;
	if (n)
		memcpy(to, r->data, n);
	r->data += n;
	r->size -= n;
	return n;
}

/* ---- what must hold --------------------------------------------------- */

static void broken(const struct run *r, const struct engine_result *x,
		   const char *what)
{
	size_t i;

	fprintf(stderr, "packet %u, %s %s (would %s): %s\n", r->packets,
		verdict_name(x->verdict),
		reason_name(x->reason) ? reason_name(x->reason) : "?",
		verdict_name(x->would), what);
	for (i = 0; i < r->frame_len && i < 256; i++)
		fprintf(stderr, "%02x%s", r->frame[i],
			i % 16 == 15 ? "\n" : "");
	fprintf(stderr, "\n");
	abort();
}

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static unsigned int sum16(const uint8_t *p, size_t len, unsigned int sum)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += be16(p + i);
	if (len & 1)
		sum += (unsigned int)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Offset of the TCP header of a frame that ends with it, 0: there is none. */
static size_t tcp_of(const uint8_t *p, size_t len, size_t *ret_ip)
{
	size_t at = 12;
	unsigned int next;

	while (at + 6 <= len &&
	       (be16(p + at) == 0x8100 || be16(p + at) == 0x88a8))
		at += 4;
	*ret_ip = at + 2;
	if (be16(p + at) == 0x0800) {
		next = p[at + 2 + 9];
		at += 2 + (p[at + 2] & 15) * 4U;
	} else {
		next = p[at + 2 + 6];
		at += 2 + 40;
		while (next == 0 || next == 43 || next == 60) {
			next = p[at];
			at += (p[at + 1] + 1) * 8U;
		}
	}
	return next == 6 && at + 20 == len ? at : 0;
}

static const char *rst_fault(const struct run *r, const struct engine_result *x)
{
	const uint8_t *out = x->out;
	size_t ip, tcp = tcp_of(out, x->out_len, &ip);
	bool is_ip4 = be16(out + ip - 2) == 0x0800;
	uint8_t tail[8] = { 0, 0, 0, 20, 0, 0, 0, 6 };
	size_t addresses = is_ip4 ? 12 : 8, bytes = is_ip4 ? 4 : 16;
	const uint8_t *was = r->frame + ip + addresses;
	unsigned int sum;

	if (!tcp)
		return "not a bare TCP header";
	if (is_ip4 && be16(out + ip + 2) != x->out_len - ip)
		return "the IPv4 length is wrong";
	if (is_ip4 && sum16(out + ip, tcp - ip, 0) != 0xffff)
		return "the IPv4 checksum is wrong";
	if (!is_ip4 && be16(out + ip + 4) != x->out_len - ip - 40)
		return "the IPv6 length is wrong";
	if (out[tcp + 12] != 0x50 || !(out[tcp + 13] & FRAME_RST) ||
	    out[tcp + 13] & ~(FRAME_RST | FRAME_ACK))
		return "not an RST without options";
	sum = sum16(out + ip + addresses, 2 * bytes, sum16(tail, 8, 0));
	if (sum16(out + tcp, 20, sum) != 0xffff)
		return "the TCP checksum is wrong";
	if (memcmp(out + ip + addresses, was + (x->turned ? bytes : 0),
		   bytes) ||
	    memcmp(out + ip + addresses + bytes, was + (x->turned ? 0 : bytes),
		   bytes))
		return "the addresses are wrong";
	if (memcmp(out, r->frame + (x->turned ? 6 : 0), 6) ||
	    memcmp(out + tcp, r->frame + tcp + (x->turned ? 2 : 0), 2))
		return "it goes to somebody else";
	return NULL;
}

static void check_verdict(const struct run *r, const struct engine_result *x)
{
	enum portcullis_kind kind = reason_kind(x->reason);
	bool may_reset = kind == KIND_denied || kind == KIND_forbidden;

	if (!reason_name(x->reason) || kind == KIND_none)
		broken(r, x, "no reason of the table");
	if (x->reason == REASON_internal)
		broken(r, x, "the gate is at fault");
	if (kind == KIND_passed) {
		if (x->verdict != VERDICT_pass || x->would != VERDICT_pass)
			broken(r, x, "passed, but not let pass");
	} else if (x->would == VERDICT_pass ||
		   (x->would == VERDICT_reset && !may_reset) ||
		   (x->would > VERDICT_reset && kind != KIND_forbidden)) {
		broken(r, x, "enforce would do what the kind does not say");
	} else if (x->verdict != x->would && x->verdict != VERDICT_pass &&
		   !(x->verdict == VERDICT_mirror && kind == KIND_forbidden) &&
		   !(x->verdict == VERDICT_drop && x->would == VERDICT_reset)) {
		broken(r, x, "neither what enforce nor what monitor does");
	}
	if (x->turned && x->verdict != VERDICT_reset)
		broken(r, x, "turned round without a reset");
}

static void check_frame(const struct run *r, const struct engine_result *x)
{
	const char *fault;

	if (x->verdict == VERDICT_reset) {
		fault = rst_fault(r, x);
		if (fault)
			broken(r, x, fault);
	} else if ((x->verdict != VERDICT_drop) &&
		   (x->out_len != r->frame_len ||
		    memcmp(x->out, r->frame, r->frame_len))) {
		broken(r, x, "what passes was changed");
	}
}

static void check_slot(const struct run *r, const struct engine_result *x)
{
	const struct portcullis_slot *slot = engine_slot(r->engine, x->slot);
	unsigned int side;
	uint64_t mine;

	if (!x->slot)
		return;
	if (!slot || slot->lock & 1)
		broken(r, x, "the slot is still locked");
	if (!slot->annex && slot->entries >> SLOT_ENTRIES)
		broken(r, x, "entries without a place");
	for (side = 0; side < 2; side++) {
		const struct portcullis_half *half = &slot->half[side];

		mine = side ? slot->entries & slot->entries_hi
			    : slot->entries & ~slot->entries_hi;
		if ((unsigned int)__builtin_popcountll(mine) != half->entries)
			broken(r, x, "the number of entries is wrong");
		if (half->carry > NEED_BYTES)
			broken(r, x, "the carry is too long");
		if (half->carry && half->skip)
			broken(r, x, "a carry before a body");
		if ((half->flags & HALF_synced) &&
		    (int32_t)(half->next - half->high) > 0)
			broken(r, x, "more judged than forwarded");
	}
}

static void check_counts(const struct run *r, const struct engine_result *x)
{
	static struct portcullis_counts counts;
	uint64_t sum = 0;
	size_t i, k;

	engine_counts(r->engine, &counts);
	for (i = 0; i < REASON_max; i++)
		for (k = 0; k < VERDICT_max; k++)
			sum += counts.reason[i][k];
	if (sum != r->packets)
		broken(r, x, "the counters do not add up");
}

static void judge_frame(struct run *r, unsigned int port)
{
	struct engine_result x;

	if (r->packets >= PACKETS_MOST)
		return;
	if (r->spoil && r->frame_len) {
		if (r->spoil & 1)
			r->frame[r->spoil_at % r->frame_len] ^= r->spoil_with;
		else
			r->frame_len -= r->spoil_at % r->frame_len;
		r->spoil = 0;
	}
	if (engine_run(r->engine, port, r->time_ns, r->frame, r->frame_len, &x))
		abort();
	r->packets++;
	check_verdict(r, &x);
	check_frame(r, &x);
	check_slot(r, &x);
	if (r->packets % 64 == 0 || !r->size)
		check_counts(r, &x);
}

/* ---- packets ---------------------------------------------------------- */

/* Puts the extension headers between the IPv6 header and what it carries. */
static void insert_extension(struct run *r, const struct frame *f)
{
	size_t ip = 14 + (f->outer ? 4 : 0) + (f->vlan ? 4 : 0);
	unsigned int len = r->extension_len;

	if (f->family != 6 || !len || r->frame_len < ip + 40)
		return;
	memmove(r->frame + ip + 40 + len, r->frame + ip + 40,
		r->frame_len - ip - 40);
	memcpy(r->frame + ip + 40, r->extension, len);
	r->frame[ip + 6] = r->extension[1] & 1 ? 60 : 0;
	r->frame[ip + 40] = f->l4;
	r->frame[ip + 41] = (uint8_t)(len / 8 - 1);
	len += be16(r->frame + ip + 4);
	r->frame[ip + 4] = (uint8_t)(len >> 8);
	r->frame[ip + 5] = (uint8_t)len;
	r->frame_len += r->extension_len;
}

static void send_packet(struct run *r, unsigned int side, uint8_t flags,
			uint32_t seq, uint32_t ack, const uint8_t *payload,
			size_t len)
{
	struct frame f = r->talk->head;

	if (side)
		frame_turn(&f);
	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.payload = payload;
	f.payload_len = len;
	if (!(flags & FRAME_SYN))
		f.options_len = 0;
	r->frame_len = frame_make(&f, r->frame, sizeof(r->frame));
	insert_extension(r, &f);
	judge_frame(r, 1 + (side ^ r->swapped));
}

static void send_data(struct run *r, unsigned int side, int32_t offset,
		      const uint8_t *bytes, size_t len)
{
	struct talk *t = r->talk;

	t->last_side = (uint8_t)side;
	t->last_seq = t->next[side] + (uint32_t)offset;
	t->last_len = (uint16_t)len;
	memmove(t->last, bytes, len);
	send_packet(r, side, FRAME_ACK, t->last_seq, t->next[!side], t->last,
		    len);
	if (!offset)
		t->next[side] += (uint32_t)len;
}

static void shape_talk(struct run *r, unsigned int which, unsigned int shape)
{
	struct talk *t = &r->talks[which % TALKS];
	struct frame *f = &t->head;

	r->talk = t;
	if (f->family && !(which & 0x80))
		return;
	memset(t, 0, sizeof(*t));
	*f = (struct frame){
		.src_mac = { 2, 0, 0, 0, 0, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 2 },
		.family = shape & 1 ? 6 : 4,
		.l4 = shape & 2 ? 17 : 6,
		.vlan = shape & 4 ? 7 : 0,
		.outer = (shape & 12) == 12 ? 9 : 0,
		.sport = (uint16_t)(40000 + which % TALKS),
		.window = 502,
	};
	t->proto = (shape >> 4) % PROTOCOLS;
	f->dport = says_port[t->proto];
	if (which & 0x40)
		f->dport = 8000;
	if (f->l4 == 17) {
		f->dport = 53;
		t->proto = 1;
	}
	if (f->family == 6) {
		f->src[0] = f->dst[0] = 0xfd;
		f->src[1] = 1;
		f->dst[1] = 2;
	} else {
		f->src[12] = f->dst[12] = 10;
		f->src[13] = 1;
		f->dst[13] = 2;
	}
	f->src[15] = f->dst[15] = 1;
	t->next[0] = which & 0x20 ? 0xffffffe0U : 1000;
	t->next[1] = which & 0x10 ? 0x7ffffff0U : 2000;
	if (which & 8) { /* the right side opens */
		frame_turn(f);
		f->dport = says_port[t->proto];
		f->sport = (uint16_t)(40000 + which % TALKS);
	}
}

static void choose_talk(struct run *r)
{
	unsigned int which = take_byte(r);

	shape_talk(r, which, take_byte(r));
}

static void open_talk(struct run *r)
{
	struct talk *t = r->talk;

	send_packet(r, 0, FRAME_SYN, t->next[0] - 1, 0, NULL, 0);
	send_packet(r, 1, FRAME_SYN | FRAME_ACK, t->next[1] - 1, t->next[0],
		    NULL, 0);
	send_packet(r, 0, FRAME_ACK, t->next[0], t->next[1], NULL, 0);
}

static void send_message(struct run *r, size_t cut)
{
	struct talk *t = r->talk;
	const struct message *m = &says[t->proto][t->at % MESSAGES];
	const uint8_t *bytes;
	size_t at, n, skip = t->head.l4 == 17 ? 2 : 0;

	if (!m->bytes) {
		t->at = 0;
		m = &says[t->proto][0];
	}
	t->at++;
	bytes = (const uint8_t *)m->bytes + skip;
	for (at = 0; at + skip < m->len; at += n) {
		n = m->len - skip - at;
		if (cut && n > cut)
			n = cut;
		send_data(r, m->side, 0, bytes + at, n);
	}
}

static void send_raw(struct run *r)
{
	uint8_t bytes[PAYLOAD_MOST];
	unsigned int how = take_byte(r);
	size_t n = how & 0x7f;

	if (n == 0x7f)
		n = PAYLOAD_MOST;
	memset(bytes, 0, sizeof(bytes));
	if (take_bytes(r, bytes, n < 0x7f ? n : take_byte(r)) || n)
		send_data(r, how >> 7, 0, bytes, n);
}

static void send_overlap(struct run *r)
{
	uint8_t bytes[PAYLOAD_MOST] = { 0 };
	unsigned int how = take_byte(r);
	int32_t offset = (int8_t)take_byte(r);
	size_t n = how & 0x3f;

	if (how & 0x40)
		offset *= 1 << 23;
	take_bytes(r, bytes, n);
	send_data(r, how >> 7, offset, bytes, n);
}

static void send_flags(struct run *r)
{
	unsigned int how = take_byte(r);
	uint32_t seq = (uint32_t)(int8_t)take_byte(r);
	uint32_t ack = (uint32_t)(int8_t)take_byte(r);
	unsigned int side = how >> 7;

	send_packet(r, side, how & 0x3f, r->talk->next[side] + seq,
		    r->talk->next[!side] + ack, NULL, 0);
}

static void send_quote(struct run *r)
{
	uint8_t quoted[64], how = take_byte(r);
	size_t n = r->frame_len > 14 ? r->frame_len - 14 : 0;
	struct frame f = r->talk->head;

	if (n > sizeof(quoted))
		n = sizeof(quoted);
	memcpy(quoted, r->frame + 14, n);
	if (how & 1)
		frame_turn(&f);
	f.vlan = f.outer = 0;
	f.l4 = f.family == 4 ? 1 : 58;
	f.payload = quoted;
	f.payload_len = n;
	/* frame_make() writes eight bytes of UDP header: the ICMP one */
	f.sport = (uint16_t)(how >> 2 << 8 | (how & 3));
	r->frame_len = frame_make(&f, r->frame, sizeof(r->frame));
	judge_frame(r, 1 + (how >> 1 & 1));
}

static void send_frame(struct run *r)
{
	unsigned int port = take_byte(r);
	size_t len = (size_t)take_byte(r) << 8;

	len |= take_byte(r);
	if (len > sizeof(r->frame))
		len = sizeof(r->frame);
	r->frame_len = take_bytes(r, r->frame, len);
	judge_frame(r, port % 4);
}

static void change_window(struct run *r)
{
	struct frame *f = &r->talk->head;
	unsigned int how = take_byte(r);

	f->window = (uint16_t)(1U << (how & 15));
	f->options_len = (uint8_t)((how >> 4 & 3) * 4);
	take_bytes(r, f->options, f->options_len);
	if (how & 0x40 && f->options_len) {
		f->options[0] = 3;
		f->options[1] = 3;
	}
}

static void change_extension(struct run *r)
{
	memset(r->extension, 0, sizeof(r->extension));
	r->extension_len = (take_byte(r) & 7) * 8;
	take_bytes(r, r->extension, r->extension_len);
}

static void apply_policy(struct run *r)
{
	if (engine_apply(r->engine, images[take_byte(r) % POLICIES]))
		abort();
}

static void send_bare(struct run *r, uint8_t flags)
{
	unsigned int side = take_byte(r) & 1;

	send_packet(r, side, flags, r->talk->next[side], r->talk->next[!side],
		    NULL, 0);
}

static void do_op(struct run *r)
{
	struct talk *t = r->talk;

	switch (take_byte(r) % OP_number) {
	case OP_talk:
		return choose_talk(r);
	case OP_open:
		return open_talk(r);
	case OP_flags:
		return send_flags(r);
	case OP_message:
		return send_message(r, 0);
	case OP_cut:
		return send_message(r, 1 + take_byte(r) % 64);
	case OP_raw:
		return send_raw(r);
	case OP_changed:
		if (t->last_len)
			t->last[take_byte(r) % t->last_len] ^= take_byte(r);
		/* fall through */
	case OP_again:
		return send_packet(r, t->last_side, FRAME_ACK, t->last_seq,
				   t->next[!t->last_side], t->last,
				   t->last_len);
	case OP_overlap:
		return send_overlap(r);
	case OP_rst:
		return send_bare(r, FRAME_RST | FRAME_ACK);
	case OP_fin:
		send_bare(r, FRAME_FIN | FRAME_ACK);
		return;
	case OP_window:
		return change_window(r);
	case OP_extension:
		return change_extension(r);
	case OP_frame:
		return send_frame(r);
	case OP_spoil:
		r->spoil = 2 | (take_byte(r) & 1);
		r->spoil_at = take_byte(r);
		r->spoil_with = take_byte(r);
		return;
	case OP_time:
		r->time_ns += 1000000ULL << (take_byte(r) % 40);
		return;
	case OP_policy:
		return apply_policy(r);
	case OP_ports:
		r->swapped ^= 1;
		return;
	case OP_grace:
		engine_grace(r->engine, r->time_ns + 1000000ULL * take_byte(r));
		return;
	case OP_quote:
		return send_quote(r);
	}
}

static void make_images(void)
{
	const struct policy_context context = { 1000, 3600000, 1000 };
	unsigned int i;

	for (i = 0; i < POLICIES; i++) {
		const struct policy_source sources[] = {
			{ "head", policy_head, sizeof(policy_head) - 1 },
			{ "policy", policies[i], strlen(policies[i]) },
		};

		if (policy_compile(sources, 2, &context, stderr, &images[i]))
			exit(1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct engine_options options = { .kind = ENGINE_host,
						       .slots = SLOTS,
						       .seed = 1 };
	static struct run run;
	const char *error;

	if (!images[0])
		make_images();
	memset(&run, 0, sizeof(run));
	run.data = data;
	run.size = size;
	run.time_ns = 1000000000;
	run.engine =
	    engine_open(&options, images[take_byte(&run) % POLICIES], &error);
	if (!run.engine)
		abort();
	shape_talk(&run, 0, 0);
	while (run.size && run.packets < PACKETS_MOST)
		do_op(&run);
	engine_close(run.engine);
	return 0;
}
