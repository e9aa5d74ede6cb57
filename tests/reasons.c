/* SPDX-License-Identifier: GPL-2.0-only */
/* The reasons one by one. Every case ends with the packet that is to be judged
 * so; what comes before it is judged as it should be, or the case would not
 * get there. Each has its own client port, so that one engine serves them all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../user/policy.h"
#include "../user/protocols.h"
#include "reasons.h"

enum { CLIENT, SERVER };
enum { WIRE_a = 1, WIRE_b = 2 };

/* Hosts are told apart by the second number of their address. */
enum {
	FROM_left = 1,
	FROM_watched = 3,
	FROM_split_header,
	FROM_split_message,
	FROM_few,
	FROM_units,
	FROM_brief,
	FROM_limits,
	FROM_nowhere = 99,
};

static const char policy_services[] =
    "service modbus tcp 502 expect modbus\n"
    "service dns udp 53, tcp 53 expect dns\n"
    "service web tcp 80 expect http\n"
    "service many tcp 8000 expect tls, ssh\n"
    "service iso tcp 102 expect s7comm\n"
    "service osi tcp 4102 expect s7comm_plus, s7comm, mms\n"
    "service rtu tcp 20000 expect dnp3\n"
    "service cip tcp 44818 expect enip\n"
    "service old tcp 5502 expect modbus quirk exception-length, late-transaction-ids\n";
static const char policy_zones[] =
    "zone left { interface a; network 10.1.0.0/16, fd01::/32 }\n"
    "zone right { interface b; network 10.2.0.0/16, fd02::/32\n"
    "  asset worn 10.2.0.77 quirk exception-length, tpdu-number }\n"
    "zone watched { interface a; network 10.3.0.0/16 }\n"
    "zone header { interface a; network 10.4.0.0/16 }\n"
    "zone message { interface a; network 10.5.0.0/16 }\n"
    "zone few { interface a; network 10.6.0.0/16 }\n"
    "zone units { interface a; network 10.7.0.0/16 }\n"
    "zone brief { interface a; network 10.8.0.0/16 }\n"
    "zone limits { interface a; network 10.9.0.0/16 }\n";
static const char policy_conduits[] =
    "conduit usual from left to right {\n"
    "  allow modbus; allow dns; allow web function get; allow many;\n"
    "  allow old; allow iso }\n"
    "conduit looks from watched to right { mode monitor; allow modbus }\n"
    "conduit header from header to right { split header refuse\n"
    "  allow modbus; allow iso; allow osi }\n"
    "conduit message from message to right { split message refuse\n"
    "  allow modbus; allow iso; allow osi }\n"
    "conduit few from few to right { ceiling 1; allow modbus }\n"
    "conduit units from units to right { allow modbus read unit 1-8 }\n"
    "conduit limits from limits to right {\n"
    "  allow modbus read register 0-9, 100 unit 1\n"
    "  allow modbus read coil 7; allow iso read db 1\n"
    "  allow rtu read, write group 60; allow cip any class 0x01 }\n"
    "conduit brief from brief to right { allow modbus until 1010 }\n";
/* What spoke Modbus is to speak HTTP. */
static const char policy_other[] =
    "service modbus tcp 502 expect http\n"
    "conduit usual from left to right { allow modbus }\n";

#define SITE(limit)                                                            \
	"site \"reasons\" { mode enforce; default deny; forward wire a b\n"    \
	"  layer2 drop goose" limit "}\n"
static const char *const policy_sites[] = {
	[POLICY_usual] = SITE(""),
	[POLICY_other] = SITE(""),
	[POLICY_hosts] = SITE("; limit host 1"),
	[POLICY_zones] = SITE("; limit zone 1"),
	[POLICY_watch] =
	    "site \"reasons\" { mode monitor; default monitor; forward wire a b }\n",
};

#define READ "\0\1\0\0\0\6\1\3\0\0\0\2"
#define READ_REPLY "\0\1\0\0\0\7\1\3\4\0\1\0\2"
#define WRITE "\0\1\0\0\0\6\1\6\0\1\0\2"
#define QUESTION "\3plc\0\0\1\0\1"
#define QUERY "\0\1\1\0\0\1\0\0\0\0\0\0" QUESTION
#define ANSWER "\0\1\x81\x80\0\1\0\0\0\0\0\0" QUESTION

/* ---- the gate --------------------------------------------------------- */

/* An address of the gateway itself, which else the loader puts in. */
static bool add_self(struct image *image)
{
	struct image_place4 *places =
	    realloc(image->places4, (image->n_places4 + 1) * sizeof(*places));

	if (!places)
		return false;
	image->places4 = places;
	places[image->n_places4++] = (struct image_place4){
		.key = { .prefixlen = 32, .addr = { 10, 2, 255, 254 } },
		.place = { .zone = 1, .flags = PLACE_self },
	};
	return true;
}

static struct image *make_image(enum reasons_policy policy)
{
	bool is_other = policy == POLICY_other;
	const char *texts[] = { policy_sites[policy], policy_zones,
				is_other ? policy_other : policy_services,
				is_other ? "" : policy_conduits };
	/* Second 1000 is the beginning of packet time. */
	const struct policy_context context = { 1000, 3600000, 1000 };
	struct policy_source sources[4];
	struct image *image = NULL;
	unsigned int i;

	for (i = 0; i < 4; i++)
		sources[i] = (struct policy_source){ "reasons", texts[i],
						     strlen(texts[i]) };
	if (policy_compile(sources, 4, &context, stderr, &image))
		return NULL;
	if (add_self(image))
		return image;
	image_free(image);
	return NULL;
}

bool lab_apply(struct lab *l, enum reasons_policy policy)
{
	struct image *image = make_image(policy);
	bool good = image != NULL;
	unsigned int i;

	for (i = 0; good && i < l->n_engines; i++)
		good = !engine_apply(l->engines[i], image);
	image_free(image);
	return good;
}

static bool lab_start(struct lab *l, uint32_t slots)
{
	struct engine_options options = { .slots = slots, .seed = 7 };
	struct image *image = make_image(POLICY_usual);
	const char *error = "the policy does not compile";
	unsigned int i;

	l->time_ns = 1000000000;
	for (i = 0; image && i < l->n_engines; i++) {
		options.kind = l->kinds[i];
		l->engines[i] = engine_open(&options, image, &error);
		if (!l->engines[i])
			break;
	}
	image_free(image);
	if (image && i == l->n_engines)
		return true;
	printf("reasons: cannot open an engine: %s\n", error);
	return false;
}

static void lab_stop(struct lab *l)
{
	unsigned int i;

	for (i = 0; i < l->n_engines; i++) {
		engine_close(l->engines[i]);
		l->engines[i] = NULL;
	}
}

static bool results_equal(const struct engine_result *a,
			  const struct engine_result *b)
{
	return a->verdict == b->verdict && a->reason == b->reason &&
	       a->would == b->would && a->proto == b->proto &&
	       a->function == b->function && a->from_server == b->from_server &&
	       a->forwarded == b->forwarded && a->turned == b->turned &&
	       a->slot == b->slot && a->rule == b->rule &&
	       (!(a->forwarded || a->turned) ||
		(a->out_len == b->out_len &&
		 !memcmp(a->out, b->out, a->out_len)));
}

/* As fuzz_packet reads it: OP_frame, port, length, bytes. */
static void write_seed(struct lab *l, unsigned int port, const void *frame,
		       size_t len)
{
	enum { OP_frame = 13 };
	const uint8_t head[] = { OP_frame, (uint8_t)port, (uint8_t)(len >> 8),
				 (uint8_t)len };

	if (!l->seed || len > FRAME_MAX)
		return;
	fwrite(head, 1, sizeof(head), l->seed);
	fwrite(frame, 1, len, l->seed);
}

unsigned int lab_judge(struct lab *l, unsigned int port, const void *frame,
		       size_t len)
{
	struct engine_result other;
	unsigned int i;

	write_seed(l, port, frame, len);
	l->time_ns += 1000000;
	for (i = 0; i < l->n_engines; i++) {
		if (i && l->first_only)
			break;
		if (engine_run(l->engines[i], port, l->time_ns, frame, len,
			       i ? &other : &l->last)) {
			printf("%s: an engine takes no frame of %zu bytes\n",
			       l->name, len);
			l->last.reason = REASON_none;
			return REASON_none;
		}
		if (i && !results_equal(&l->last, &other)) {
			printf("%s: the engines differ: %s %s, %s %s\n",
			       l->name, verdict_name(l->last.verdict),
			       reason_name(l->last.reason),
			       verdict_name(other.verdict),
			       reason_name(other.reason));
			l->differs = true;
		}
	}
	l->packets++;
	l->seen[l->last.reason % REASON_max] = 1;
	return l->last.reason;
}

/* ---- conversations ---------------------------------------------------- */

void lab_talk(struct lab *l, struct talk_lab *t, unsigned int l4, uint8_t from,
	      uint16_t port)
{
	uint16_t n = l->ports_used++;

	*t = (struct talk_lab){
		.head = {
			.src_mac = { 2, 0, 0, 0, 0, 1 },
			.dst_mac = { 2, 0, 0, 0, 0, 2 },
			.family = 4,
			.l4 = (uint8_t)l4,
			.sport = (uint16_t)(20000 + n),
			.dport = port,
			.window = 4096,
		},
		.next = { 0xfffffff0U + n, 5000U * n },
	};
	memcpy(t->head.src + 12, (const uint8_t[]){ 10, from, 0, 1 }, 4);
	memcpy(t->head.dst + 12, (const uint8_t[]){ 10, 2, 0, 1 }, 4);
}

static size_t make_segment(struct lab *l, const struct talk_lab *t,
			   unsigned int side, uint8_t flags, int32_t offset,
			   const void *bytes, size_t len)
{
	struct frame f = t->head;

	if (side == SERVER)
		frame_turn(&f);
	f.flags = flags;
	f.seq = t->next[side] + (uint32_t)offset;
	f.ack = flags & FRAME_ACK ? t->next[!side] : 0;
	f.payload = bytes;
	f.payload_len = len;
	return frame_make(&f, l->frame, sizeof(l->frame));
}

unsigned int lab_segment(struct lab *l, struct talk_lab *t, unsigned int side,
			 uint8_t flags, int32_t offset, const void *bytes,
			 size_t len)
{
	size_t n = make_segment(l, t, side, flags, offset, bytes, len);

	return lab_judge(l, side == SERVER ? WIRE_b : WIRE_a, l->frame, n);
}

unsigned int lab_say(struct lab *l, struct talk_lab *t, unsigned int side,
		     const void *bytes, size_t len)
{
	unsigned int reason = lab_segment(l, t, side, FRAME_ACK, 0, bytes, len);

	t->next[side] += (uint32_t)len;
	return reason;
}

static unsigned int lab_bare(struct lab *l, struct talk_lab *t,
			     unsigned int side, uint8_t flags, int32_t offset)
{
	return lab_segment(l, t, side, flags, offset, NULL, 0);
}

unsigned int lab_open(struct lab *l, struct talk_lab *t)
{
	lab_bare(l, t, CLIENT, FRAME_SYN, -1);
	lab_bare(l, t, SERVER, FRAME_SYN | FRAME_ACK, -1);
	return lab_bare(l, t, CLIENT, FRAME_ACK, 0);
}

static void begin(struct lab *l, struct talk_lab *t, uint8_t from,
		  uint16_t port)
{
	lab_talk(l, t, 6, from, port);
	lab_open(l, t);
}

/* One packet of a new conversation that says `bytes`. */
#define FIRST(name, port, bytes)                                               \
	static void play_##name(struct lab *l)                                 \
	{                                                                      \
		struct talk_lab t;                                             \
                                                                               \
		begin(l, &t, FROM_left, port);                                 \
		lab_bytes(l, &t, CLIENT, bytes);                               \
	}
/* The same over UDP. */
#define DATAGRAM(name, bytes)                                                  \
	static void play_##name(struct lab *l)                                 \
	{                                                                      \
		struct talk_lab t;                                             \
                                                                               \
		lab_talk(l, &t, 17, FROM_left, 53);                            \
		lab_bytes(l, &t, CLIENT, bytes);                               \
	}

/* ---- passed ----------------------------------------------------------- */

FIRST(ok, 502, READ)

/* A frame without IP: EtherType and what follows, at least 60 bytes. */
static void lab_ether(struct lab *l, uint16_t type, const void *bytes,
		      size_t len)
{
	uint8_t frame[128] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };

	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	memcpy(frame + 14, bytes, len);
	lab_judge(l, WIRE_a, frame, 14 + len < 60 ? 60 : 14 + len);
}

static void play_layer2(struct lab *l)
{
	lab_ether(l, 0x88cc, "\2\7", 2);
}

/* Any IPv4 packet: protocol and what it carries. */
static size_t make_ip4(struct lab *l, uint8_t protocol, const void *bytes,
		       size_t len)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 17, FROM_left, 0);
	n = make_segment(l, &t, CLIENT, 0, 0, bytes, len);
	l->frame[14 + 9] = protocol;
	/* over the UDP header */
	memcpy(l->frame + 34, bytes, len);
	return n;
}

static void play_icmp(struct lab *l)
{
	struct talk_lab t;
	uint8_t error[8 + 28] = { 3, 3 };
	size_t n;

	begin(l, &t, FROM_left, 502);
	make_segment(l, &t, CLIENT, FRAME_ACK, 0, NULL, 0);
	memcpy(error + 8, l->frame + 14, 28);
	n = make_ip4(l, 1, error, sizeof(error));
	memcpy(l->frame + 26, t.head.dst + 12, 4);
	memcpy(l->frame + 30, t.head.src + 12, 4);
	lab_judge(l, WIRE_b, l->frame, n);
}

static void play_to_self(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 22);
	memcpy(t.head.dst + 12, (const uint8_t[]){ 10, 2, 255, 254 }, 4);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
}

/* What a client says first on a connection that is picked up in the grace. */
static void in_the_grace(struct lab *l, uint16_t port, const char *text)
{
	struct talk_lab t;
	unsigned int i;

	for (i = 0; i < l->n_engines; i++)
		engine_grace(l->engines[i], l->time_ns + 1000000000);
	lab_talk(l, &t, 6, FROM_left, port);
	lab_say(l, &t, CLIENT, text, strlen(text));
	for (i = 0; i < l->n_engines; i++)
		engine_grace(l->engines[i], 0);
}

static void play_grace(struct lab *l)
{
	in_the_grace(l, 502, "within a message");
}

static void play_not_judged(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_watched, 502);
	lab_bytes(l, &t, CLIENT, "SSH-2.0-x\r\n");
	lab_bytes(l, &t, CLIENT, "and so on");
}

/* ---- malformed -------------------------------------------------------- */

static void play_runt_frame(struct lab *l)
{
	static const uint8_t cut[18] = { [12] = 0x08, [14] = 0x45 };

	lab_judge(l, WIRE_a, cut, sizeof(cut));
}

static void play_vlan_depth(struct lab *l)
{
	lab_ether(l, 0x88a8, "\0\1\x81\0\0\2\x81\0\0\3\x08\0", 12);
}

static void play_llc_frame(struct lab *l)
{
	lab_ether(l, 46, "\xaa\xaa\3", 3);
}

static void play_ethertype(struct lab *l)
{
	lab_ether(l, 0x1234, "", 0);
}

static void play_layer2_refused(struct lab *l)
{
	lab_ether(l, 0x88b8, "", 0);
}

static void play_arp_malformed(struct lab *l)
{
	lab_ether(l, 0x0806, "\0\1\x08\0\x05\4\0\1", 8);
}

static void play_bad_ip_version(struct lab *l)
{
	lab_ether(l, 0x0800, "\x65\0\0\x28", 4);
}

static void play_bad_ip_header(struct lab *l)
{
	lab_ether(l, 0x0800, "\x44\0\0\x28", 4);
}

static void play_bad_ip_length(struct lab *l)
{
	lab_ether(l, 0x0800, "\x45\0\1\0", 4);
}

static void make_ip6(struct lab *l, struct talk_lab *t)
{
	lab_talk(l, t, 6, FROM_left, 502);
	t->head.family = 6;
	memcpy(t->head.src, (const uint8_t[16]){ 0xfd, 1, [15] = 1 }, 16);
	memcpy(t->head.dst, (const uint8_t[16]){ 0xfd, 2, [15] = 2 }, 16);
}

/* The extension says that it is longer than the packet. */
static void play_bad_ipv6_extension(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	make_ip6(l, &t);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	l->frame[14 + 6] = 60;
	l->frame[14 + 41] = 9;
	lab_judge(l, WIRE_a, l->frame, n);
}

static void play_fragment(struct lab *l)
{
	struct talk_lab t;
	uint8_t watched;
	size_t n;

	lab_talk(l, &t, 6, FROM_watched, 502);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	l->frame[14 + 6] = 0x20;
	lab_judge(l, WIRE_a, l->frame, n);
	watched = l->last.verdict;
	lab_talk(l, &t, 6, FROM_left, 502);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	l->frame[14 + 6] = 0x20;
	lab_judge(l, WIRE_a, l->frame, n);
	/* Who only watches holds nothing back. */
	if (watched != VERDICT_pass || l->last.verdict != VERDICT_drop)
		l->last.reason = REASON_none;
}

static void play_l4_protocol(struct lab *l)
{
	lab_judge(l, WIRE_a, l->frame, make_ip4(l, 47, "\0\0\x08\0", 4));
}

/* A SYN with one byte of its TCP header changed. */
static void lab_syn_with(struct lab *l, unsigned int at, uint8_t value)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 6, FROM_left, 502);
	t.head.options_len = 4;
	memcpy(t.head.options, "\3\3\7\0", 4);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	l->frame[34 + at] = value;
	lab_judge(l, WIRE_a, l->frame, n);
}

static void play_bad_tcp_header(struct lab *l)
{
	lab_syn_with(l, 12, 0x40);
}

static void play_bad_tcp_options(struct lab *l)
{
	lab_syn_with(l, 21, 1);
}

static void play_bad_tcp_flags(struct lab *l)
{
	lab_syn_with(l, 13, FRAME_SYN | FRAME_FIN);
}

static void play_syn_data(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_segment(l, &t, CLIENT, FRAME_SYN, -1, READ, 12);
}

static void play_bad_udp_length(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 17, FROM_left, 53);
	n = make_segment(l, &t, CLIENT, 0, 0, QUERY, sizeof(QUERY) - 1);
	l->frame[34 + 5]--;
	lab_judge(l, WIRE_a, l->frame, n);
}

static void play_bad_icmp(struct lab *l)
{
	lab_judge(l, WIRE_a, l->frame, make_ip4(l, 1, "\5\0\0\0\0\0\0\0", 8));
}

static void play_same_endpoints(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 502);
	memcpy(t.head.dst, t.head.src, 16);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
}

/* ---- denied ----------------------------------------------------------- */

static void lab_syn_from(struct lab *l, uint8_t from, uint16_t port)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, from, port);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
}

static void play_spoofed(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 6, FROM_left, 502);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	lab_judge(l, WIRE_b, l->frame, n);
}

static void play_no_zone(struct lab *l)
{
	lab_syn_from(l, FROM_nowhere, 502);
}

static void play_no_service(struct lab *l)
{
	lab_syn_from(l, FROM_left, 4444);
}

/* Events of every engine that hold a payload, each of them `len` bytes at
 * `bytes`; l->differs if not every engine has `n`. */
static void lab_shown(struct lab *l, unsigned int n, const void *bytes,
		      size_t len)
{
	struct portcullis_event e;
	unsigned int i, shown;

	for (i = 0; i < l->n_engines; i++) {
		shown = 0;
		while (!engine_event(l->engines[i], &e)) {
			if (!bytes || e.evidence <= e.payload_at)
				continue;
			shown++;
			if (e.reason != l->last.reason ||
			    e.evidence - e.payload_at != (int)len ||
			    memcmp(e.data + e.payload_at, bytes, len))
				l->differs = true;
		}
		if (shown == n)
			continue;
		printf("%s: %u events with a payload, not %u\n", l->name, shown,
		       n);
		l->differs = true;
	}
}

/* Where no service is and nothing is refused, the first payload of every
 * conversation is shown once, from whichever side it comes. */
static void play_watched(struct lab *l)
{
	struct talk_lab t, other;
	unsigned int i;

	l->time_ns += 100000000000;
	lab_shown(l, 0, NULL, 0);
	lab_talk(l, &t, 6, FROM_left, 4444);
	lab_open(l, &t);
	lab_shown(l, 0, READ, sizeof(READ) - 1);
	for (i = 0; i < 100; i++) {
		lab_bytes(l, &t, CLIENT, READ);
		lab_bytes(l, &t, SERVER, READ_REPLY);
		l->time_ns += 1000000000;
	}
	lab_shown(l, 1, READ, sizeof(READ) - 1);
	lab_talk(l, &other, 6, FROM_left, 4444);
	lab_bytes(l, &other, SERVER, "SSH-2.0-x\r\n");
	lab_bytes(l, &other, CLIENT, READ);
	lab_shown(l, 1, "SSH-2.0-x\r\n", 11);
	lab_talk(l, &other, 17, FROM_left, 4444);
	lab_bytes(l, &other, CLIENT, QUERY);
	lab_bytes(l, &other, SERVER, ANSWER);
	lab_shown(l, 1, QUERY, sizeof(QUERY) - 1);
	if (l->last.verdict != VERDICT_pass)
		l->differs = true;
}

/* What is refused shows no byte of TCP: it stops at the SYN. */
static void play_unwatched(struct lab *l)
{
	struct talk_lab t;

	l->time_ns += 100000000000;
	lab_talk(l, &t, 6, FROM_left, 4445);
	lab_syn_from(l, FROM_left, 4445);
	lab_shown(l, 0, NULL, 0);
	lab_bytes(l, &t, CLIENT, READ);
	lab_shown(l, 0, READ, sizeof(READ) - 1);
}

static void play_no_rule(struct lab *l)
{
	lab_syn_from(l, FROM_units, 80);
}

/* Its rule ends at second 1010. */
static void play_rule_expired(struct lab *l)
{
	l->time_ns += 11000000000;
	lab_syn_from(l, FROM_brief, 502);
}

static void play_protocol_withdrawn(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bytes(l, &t, CLIENT, READ);
	lab_apply(l, POLICY_other);
	lab_bytes(l, &t, SERVER, READ_REPLY);
}

static void play_no_flow(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_bytes(l, &t, CLIENT, READ);
}

/* The request was refused, the answer comes all the same. */
static void play_no_request(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 17, FROM_left, 53);
	lab_bytes(l, &t, CLIENT, "x");
	lab_bytes(l, &t, SERVER, ANSWER);
}

static void play_late_answer(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 17, FROM_left, 53);
	lab_bytes(l, &t, CLIENT, QUERY);
	l->time_ns += 6000000000;
	lab_bytes(l, &t, SERVER, ANSWER);
}

static void play_too_many_answers(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 17, FROM_left, 53);
	lab_bytes(l, &t, CLIENT, QUERY);
	lab_bytes(l, &t, SERVER, ANSWER);
	lab_bytes(l, &t, SERVER, ANSWER);
}

/* On a table of 64 places, all of them verified. */
static void play_table_full(struct lab *l)
{
	struct talk_lab t;
	unsigned int i, most = 4096;

	for (i = 0; i < most; i++) {
		begin(l, &t, FROM_left, 502);
		if (l->last.reason == REASON_table_full)
			return;
		lab_bytes(l, &t, CLIENT, READ);
		lab_bytes(l, &t, SERVER, READ_REPLY);
		lab_syn_from(l, FROM_left, 502);
		if (l->last.reason == REASON_table_full)
			return;
	}
}

static void play_host_ceiling(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_units, 502);
	lab_syn_from(l, FROM_units, 502);
}

static void play_zone_ceiling(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_units, 502);
	lab_syn_from(l, FROM_units, 502);
}

static void play_rule_ceiling(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_few, 502);
	lab_syn_from(l, FROM_few, 502);
}

static void play_not_a_port(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 6, FROM_left, 502);
	n = make_segment(l, &t, CLIENT, FRAME_SYN, -1, NULL, 0);
	lab_judge(l, 3, l->frame, n);
}

/* ---- implausible ------------------------------------------------------ */

static void play_wrong_side(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	begin(l, &t, FROM_left, 502);
	n = make_segment(l, &t, CLIENT, FRAME_ACK, 0, READ, 12);
	lab_judge(l, WIRE_b, l->frame, n);
}

/* The answer in the callee's name, but from the caller's end of the wire: it
 * must teach the gate nothing, or the caller could acknowledge for the callee
 * and send again with other bytes what was judged. */
static void play_forged_answer(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
	n = make_segment(l, &t, SERVER, FRAME_SYN | FRAME_ACK, -1, NULL, 0);
	lab_judge(l, WIRE_a, l->frame, n);
}

static void play_answer_after_forged(struct lab *l)
{
	struct talk_lab t;
	size_t n;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
	n = make_segment(l, &t, SERVER, FRAME_ACK, 0, NULL, 0);
	lab_judge(l, WIRE_a, l->frame, n);
	lab_bare(l, &t, SERVER, FRAME_SYN | FRAME_ACK, -1);
	lab_bare(l, &t, CLIENT, FRAME_ACK, 0);
	lab_bytes(l, &t, CLIENT, READ);
}

static void play_out_of_window(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_segment(l, &t, CLIENT, FRAME_ACK, 100000, READ, 12);
}

static void play_ack_invalid(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	t.next[SERVER] += 100;
	lab_bytes(l, &t, CLIENT, READ);
}

static void play_rst_inexact(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bare(l, &t, CLIENT, FRAME_RST | FRAME_ACK, 5);
}

static void play_handshake(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
	t.next[CLIENT] += 7;
	lab_bare(l, &t, SERVER, FRAME_SYN | FRAME_ACK, -1);
}

static void play_not_acknowledged(struct lab *l)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 502);
	lab_bare(l, &t, CLIENT, FRAME_SYN, -1);
	lab_bytes(l, &t, CLIENT, READ);
}

/* ---- postponed -------------------------------------------------------- */

static void play_ahead(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_segment(l, &t, CLIENT, FRAME_ACK, 12, READ, 12);
}

static void play_inflight_full(struct lab *l)
{
	struct talk_lab t;
	unsigned int i;

	begin(l, &t, FROM_left, 80);
	for (i = 0; i <= POOL_HALF; i++)
		lab_say(l, &t, CLIENT, i < 5 ? &"GET /"[i] : "a", 1);
}

static void play_resend_unknown(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bytes(l, &t, CLIENT, READ);
	lab_segment(l, &t, CLIENT, FRAME_ACK, -12, READ, 5);
}

/* ---- forbidden -------------------------------------------------------- */

static void play_poisoned(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bytes(l, &t, CLIENT, "SSH-2.0-x\r\n");
	lab_bytes(l, &t, CLIENT, "again");
}

static void play_closed(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bare(l, &t, SERVER, FRAME_RST | FRAME_ACK, 0);
	lab_bytes(l, &t, CLIENT, READ);
}

/* A conversation that the fast way has taken up: it must look as far as the
 * long way does. */
static void begin_polling(struct lab *l, struct talk_lab *t, uint8_t from)
{
	unsigned int i;

	begin(l, t, from, 502);
	for (i = 0; i < 2; i++) {
		lab_bytes(l, t, CLIENT, READ);
		lab_bytes(l, t, SERVER, READ_REPLY);
	}
}

static void play_overlap_inconsistent(struct lab *l)
{
	struct talk_lab t;

	begin_polling(l, &t, FROM_left);
	lab_bytes(l, &t, CLIENT, READ);
	lab_segment(l, &t, CLIENT, FRAME_ACK, -12, WRITE, 12);
}

#define S7_REQUEST "\3\0\0\x16\x11\xe0\0\0\0\1\0\xc1\2\1\0\xc2\2\1\2\xc0\1\x0a"
#define S7_CONFIRM "\3\0\0\x16\x11\xd0\0\1\0\3\0\xc0\1\x0a\xc1\2\1\2\xc2\2\1\2"
#define S7_SETUP                                                               \
	"\3\0\0\x19\2\xf0\x80\x32\1\0\0\0\1\0\x08\0\0\xf0\0\0\2\0\2\7\x80"

/* A connection on 102 is set up by two whole messages, of which each waits for
 * the data behind it: nothing is split. Then `len` bytes of the data. */
static unsigned int split_behind_connect(struct lab *l, uint8_t from,
					 uint16_t port, size_t len)
{
	struct talk_lab t;

	begin(l, &t, from, port);
	if (lab_bytes(l, &t, CLIENT, S7_REQUEST) != REASON_ok ||
	    lab_bytes(l, &t, SERVER, S7_CONFIRM) != REASON_ok)
		return REASON_none;
	return lab_say(l, &t, CLIENT, S7_SETUP, len);
}

static bool split_of_data_alone(struct lab *l, uint8_t from,
				enum portcullis_reason reason)
{
	static const uint16_t ports[] = { 102, 4102 };
	struct talk_lab t;
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (split_behind_connect(l, from, ports[i],
					 sizeof(S7_SETUP) - 1) != REASON_ok ||
		    split_behind_connect(l, from, ports[i], 5) != reason)
			return false;
		begin(l, &t, from, ports[i]);
		if (lab_say(l, &t, CLIENT, S7_REQUEST, 21) != reason)
			return false;
		/* of the request all, but of the data a part */
		begin(l, &t, from, ports[i]);
		if (lab_bytes(l, &t, CLIENT, S7_REQUEST "\3\0\0") != reason)
			return false;
	}
	return true;
}

static void play_split_header(struct lab *l)
{
	struct talk_lab t;

	if (!split_of_data_alone(l, FROM_split_header, REASON_split_header)) {
		l->last.reason = REASON_none;
		return;
	}
	begin(l, &t, FROM_split_header, 502);
	lab_say(l, &t, CLIENT, READ, 5);
}

static void play_split_message(struct lab *l)
{
	struct talk_lab t;

	if (!split_of_data_alone(l, FROM_split_message, REASON_split_message)) {
		l->last.reason = REASON_none;
		return;
	}
	begin(l, &t, FROM_split_message, 502);
	/* the values of a write are opaque: cut there */
	lab_say(l, &t, CLIENT, "\0\1\0\0\0\x0b\1\x10\0\0\0\2\4\0", 14);
}

static void play_function_not_allowed(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 80);
	lab_bytes(l, &t, CLIENT, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
	/* The grace is for what stands between messages, not for this. */
	in_the_grace(l, 80, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void play_unit_not_allowed(struct lab *l)
{
	struct talk_lab t;

	begin_polling(l, &t, FROM_units);
	lab_bytes(l, &t, CLIENT, "\0\1\0\0\0\6\x09\3\0\0\0\2");
}

#define S7_READ(ref, db)                                                       \
	"\3\0\0\x1f\2\xf0\x80\x32\1\0\0\0" ref                                 \
	"\0\x0e\0\0\4\1\x12\x0a\x10\2\0\4\0" db "\x84\0\0\0"

/* What is named comes in a step behind the one that says the function. */
static void limits_later(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_limits, 102);
	lab_bytes(l, &t, CLIENT, S7_REQUEST);
	lab_bytes(l, &t, SERVER, S7_CONFIRM);
	lab_bytes(l, &t, CLIENT, S7_SETUP);
	lab_bytes(l, &t, CLIENT, S7_READ("\2", "\1"));
	lab_bytes(l, &t, CLIENT, S7_READ("\3", "\2"));
}

/* A session needs no class; the second request has another. */
static void limits_of_a_session(struct lab *l)
{
#define SESSION "\0\x0a\2\x11\0\0\0\0\1\2\3\4\5\6\7\x08\0\0\0\0"
#define GET_ALL(class)                                                         \
	"\x6f\0\x16\0" SESSION                                                 \
	"\0\0\0\0\x0a\0\2\0\0\0\0\0\xb2\0\6\0\1\2\x20" class "\x24\1"
	struct talk_lab t;

	begin(l, &t, FROM_limits, 44818);
	lab_bytes(
	    l, &t, CLIENT,
	    "\x65\0\4\0\0\0\0\0\0\0\0\0\1\2\3\4\5\6\7\x08\0\0\0\0\1\0\0\0");
	lab_bytes(l, &t, SERVER, "\x65\0\4\0" SESSION "\1\0\0\0");
	lab_bytes(l, &t, CLIENT, GET_ALL("\1"));
	lab_bytes(l, &t, CLIENT, GET_ALL("\4"));
}

/* A poll of classes; then a write that names group 80. */
static void limits_of_objects(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_limits, 20000);
	lab_bytes(l, &t, CLIENT,
		  "\5\x64\x14\xc4\x0a\0\1\0\x8f\xed"
		  "\xc0\xc3\1\x3c\2\6\x3c\3\6\x3c\4\6\x3c\1\6\x9a\x12");
	lab_bytes(l, &t, CLIENT,
		  "\5\x64\x0e\xc4\x0a\0\1\0\x25\x29"
		  "\xc0\xc0\2\x50\1\0\7\7\0\x2c\x49");
}

/* Each conversation of its own; what is wrong before the last byte of one
 * would have poisoned it. */
static void play_argument_not_allowed(struct lab *l)
{
	struct talk_lab t;

	/* the last two registers, one coil, and a register too far */
	begin_polling(l, &t, FROM_limits);
	lab_bytes(l, &t, CLIENT, "\0\1\0\0\0\6\1\3\0\x8\0\2");
	lab_bytes(l, &t, CLIENT, "\0\2\0\0\0\6\2\1\0\7\0\1");
	lab_bytes(l, &t, CLIENT, "\0\3\0\0\0\6\1\3\0\x9\0\2");
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	/* a coil too many */
	begin_polling(l, &t, FROM_limits);
	lab_bytes(l, &t, CLIENT, "\0\1\0\0\0\6\1\1\0\7\0\2");
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	/* registers of another table */
	begin_polling(l, &t, FROM_limits);
	lab_bytes(l, &t, CLIENT, "\0\1\0\0\0\6\1\4\0\0\0\1");
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	/* no register at all */
	begin_polling(l, &t, FROM_limits);
	lab_bytes(l, &t, CLIENT, "\0\1\0\0\0\2\1\x11");
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	limits_later(l);
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	limits_of_a_session(l);
	if (l->last.reason != REASON_argument_not_allowed)
		return;
	limits_of_objects(l);
}

FIRST(bad_magic, 502, "\0\1\0\1\0\6\1\3\0\0\0\2")

/* How an exception is judged that says it were a byte longer. */
static unsigned int odd_exception(struct lab *l, uint8_t host, uint16_t port)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, port);
	t.head.dst[15] = host;
	lab_open(l, &t);
	lab_bytes(l, &t, CLIENT, READ);
	lab_bytes(l, &t, SERVER, READ_REPLY);
	lab_bytes(l, &t, CLIENT, READ);
	return lab_bytes(l, &t, SERVER, "\0\1\0\0\0\4\1\x83\2");
}

/* The same for COTP data that is numbered. */
static unsigned int numbered_data(struct lab *l, uint8_t host)
{
	struct talk_lab t;

	lab_talk(l, &t, 6, FROM_left, 102);
	t.head.dst[15] = host;
	lab_open(l, &t);
	return lab_bytes(l, &t, CLIENT,
			 S7_REQUEST "\3\0\0\x19\2\xf0\x81"
				    "\x32\1\0\0\0\1\0\x08\0\0\xf0"
				    "\0\0\2\0\2\7\x80");
}

static uint64_t times_tolerated(struct lab *l, enum portcullis_quirk quirk)
{
	static struct portcullis_counts counts;

	return engine_counts(l->engines[0], &counts) ? 0 : counts.quirk[quirk];
}

/* Tolerated on a service, or from an asset, and nowhere else. */
static void play_bad_length(struct lab *l)
{
	uint64_t before = times_tolerated(l, QUIRK_exception_length);
	bool good = odd_exception(l, 1, 5502) == REASON_ok &&
		    odd_exception(l, 77, 502) == REASON_ok &&
		    numbered_data(l, 77) == REASON_ok &&
		    numbered_data(l, 1) == REASON_bad_value;

	good &= times_tolerated(l, QUIRK_exception_length) == before + 2;
	if (odd_exception(l, 1, 502) != REASON_bad_length || !good)
		l->last.reason = REASON_none;
}

FIRST(bad_function, 502, "\0\1\0\0\0\6\1\0\0\0\0\2")
FIRST(bad_value, 502, "\0\1\0\0\0\6\1\3\0\0\0\0")
FIRST(bad_direction, 53, "\0\x15" ANSWER)
FIRST(bad_text, 80, "GET / HTTP/1.1\nHost: a\n\n")
FIRST(smuggling, 80,
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
      "Transfer-Encoding: chunked\r\n\r\n")
FIRST(mismatch, 8000, "GET / HTTP/1.1\r\n")
DATAGRAM(truncated, "\0\1\1\0\0\1")
DATAGRAM(trailing_bytes, QUERY "\0")

static void play_unsolicited(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 502);
	lab_bytes(l, &t, SERVER, READ_REPLY);
}

/* RFC 9110 7.8: nobody asked to switch. */
static void play_bad_order(struct lab *l)
{
	struct talk_lab t;

	begin(l, &t, FROM_left, 80);
	lab_bytes(l, &t, CLIENT, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	lab_bytes(l, &t, SERVER, "HTTP/1.1 101 OK\r\n\r\n");
}

static void play_too_many_requests(struct lab *l)
{
	struct talk_lab t;
	unsigned int i;

	begin(l, &t, FROM_left, 80);
	for (i = 0; i < 17; i++) {
		lab_bare(l, &t, SERVER, FRAME_ACK, 0);
		lab_bytes(l, &t, CLIENT, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	}
}

/* RFC 1035 2.3.4: a name of 256 bytes. */
static void play_too_long(struct lab *l)
{
	uint8_t query[12 + 4 * 64 + 4] = { 0, 1, 1, 0, 0, 1 };
	struct talk_lab t;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		query[12 + i * 64] = i < 3 ? 63 : 62;
		memset(query + 13 + i * 64, 'a', 63);
	}
	memcpy(query + 12 + 4 * 64 - 1, "\0\0\1\0\1", 5);
	lab_talk(l, &t, 17, FROM_left, 53);
	lab_say(l, &t, CLIENT, query, sizeof(query));
}

/* ---- all of them ------------------------------------------------------ */

#define CASE(name)                                                             \
	{                                                                      \
		REASON_##name, play_##name, POLICY_usual                       \
	}
#define CASE_IN(name, policy)                                                  \
	{                                                                      \
		REASON_##name, play_##name, POLICY_##policy                    \
	}
static const struct reasons_case cases[] = {
	CASE(ok),
	CASE(layer2),
	CASE(icmp),
	CASE(to_self),
	CASE(grace),
	CASE(not_judged),
	CASE(runt_frame),
	CASE(vlan_depth),
	CASE(llc_frame),
	CASE(ethertype),
	CASE(layer2_refused),
	CASE(arp_malformed),
	CASE(bad_ip_version),
	CASE(bad_ip_header),
	CASE(bad_ip_length),
	CASE(bad_ipv6_extension),
	CASE(fragment),
	CASE(l4_protocol),
	CASE(bad_tcp_header),
	CASE(bad_tcp_options),
	CASE(bad_tcp_flags),
	CASE(syn_data),
	CASE(bad_udp_length),
	CASE(bad_icmp),
	CASE(same_endpoints),
	CASE(spoofed),
	CASE(no_zone),
	CASE(no_service),
	{ REASON_no_service, play_watched, POLICY_watch },
	{ REASON_no_service, play_unwatched, POLICY_usual },
	CASE(no_rule),
	CASE(rule_expired),
	CASE(protocol_withdrawn),
	CASE(no_flow),
	CASE(no_request),
	CASE(late_answer),
	CASE(too_many_answers),
	CASE_IN(host_ceiling, hosts),
	CASE_IN(zone_ceiling, zones),
	CASE(rule_ceiling),
	CASE(not_a_port),
	CASE(wrong_side),
	{ REASON_wrong_side, play_forged_answer, POLICY_usual },
	{ REASON_ok, play_answer_after_forged, POLICY_usual },
	CASE(out_of_window),
	CASE(ack_invalid),
	CASE(rst_inexact),
	CASE(handshake),
	CASE(not_acknowledged),
	CASE(ahead),
	CASE(inflight_full),
	CASE(resend_unknown),
	CASE(poisoned),
	CASE(closed),
	CASE(overlap_inconsistent),
	CASE(split_header),
	CASE(split_message),
	CASE(function_not_allowed),
	CASE(unit_not_allowed),
	CASE(argument_not_allowed),
	CASE(bad_magic),
	CASE(bad_length),
	CASE(bad_function),
	CASE(bad_value),
	CASE(bad_direction),
	CASE(bad_order),
	CASE(unsolicited),
	CASE(too_many_requests),
	CASE(bad_text),
	CASE(too_long),
	CASE(truncated),
	CASE(trailing_bytes),
	CASE(smuggling),
	CASE(mismatch),
	{ REASON_none, NULL, POLICY_usual },
};

static bool play_case(struct lab *l, const struct reasons_case *c)
{
	const char *name = reason_name(c->reason);

	l->name = name;
	l->differs = l->first_only = false;
	l->last.reason = REASON_none;
	if (!lab_apply(l, c->policy))
		return false;
	c->play(l);
	if (l->last.reason != c->reason)
		printf("FAILED: %s: judged as %s instead\n", name,
		       reason_name(l->last.reason) ?: "nothing");
	else if (l->differs)
		printf("FAILED: %s: the engines do not agree\n", name);
	return l->last.reason == c->reason && !l->differs;
}

static bool open_seed(struct lab *l, const char *folder, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	l->seed = fopen(path, "w");
	if (!l->seed) {
		fprintf(stderr, "reasons: cannot write %s: %s\n", path,
			strerror(errno));
		return false;
	}
	putc(0, l->seed); /* policy 0 */
	return true;
}

static void play_list(struct lab *l, const struct reasons_case *list,
		      const char *seeds, unsigned int ret[2])
{
	for (; list && list->reason; list++) {
		if (seeds && !open_seed(l, seeds, reason_name(list->reason))) {
			ret[0]++;
			return;
		}
		ret[play_case(l, list)]++;
		if (seeds)
			fclose(l->seed);
		l->seed = NULL;
	}
}

/* What nothing produced and nothing excuses. */
static unsigned int missing(const struct lab *l,
			    const struct reasons_exception *except)
{
	const struct reasons_exception *e;
	unsigned int id, n = 0;

	for (id = 1; id < REASON_max; id++) {
		if (!reason_name(id) || l->seen[id])
			continue;
		for (e = except; e->reason && e->reason != id; e++)
			;
		if (e->reason) {
			printf("not produced: %s: %s\n", reason_name(id),
			       e->why);
			continue;
		}
		printf("FAILED: no packet was judged %s\n", reason_name(id));
		n++;
	}
	return n;
}

int reasons_main(int argc, char **argv, const enum engine_kind *kinds,
		 unsigned int n_kinds, const struct reasons_case *more,
		 const struct reasons_exception *except)
{
	static const struct reasons_case on_a_small_table[] = {
		CASE(table_full),
		{ REASON_none, NULL, POLICY_usual },
	};
	static struct lab lab;
	const char *seeds =
	    argc == 3 && !strcmp(argv[1], "--seeds") ? argv[2] : NULL;
	unsigned int counts[2] = { 0, 0 };

	if (argc != 1 && !seeds) {
		fprintf(stderr, "usage: %s [--seeds FOLDER]\n", argv[0]);
		return 2;
	}
	lab.kinds = kinds;
	lab.n_engines = n_kinds;
	if (lab_start(&lab, 4096)) {
		play_list(&lab, cases, seeds, counts);
		play_list(&lab, more, NULL, counts);
	}
	lab_stop(&lab);
	lab.ports_used = 0;
	if (lab_start(&lab, 64))
		play_list(&lab, on_a_small_table, NULL, counts);
	lab_stop(&lab);
	counts[0] += missing(&lab, except);
	printf("%u packets\n%u passed, %u failed\n", lab.packets, counts[1],
	       counts[0]);
	return counts[0] || !counts[1];
}
