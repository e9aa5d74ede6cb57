/* SPDX-License-Identifier: GPL-2.0-only */
/* What the gate's program takes for a packet: the very program that the daemon
 * attaches, through BPF_PROG_TEST_RUN, behind the traffic of traffic.bpf.c;
 * less the same traffic before an empty program, both in turns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cleanup.h"
#include "../links.h"
#include "measure.h"

enum { ROUNDS = 40, ROUNDS_A_TABLE = 3 };

enum kind { KIND_established, KIND_dns, KIND_mismatch, KIND_newcomer };

struct load {
	const char *name;
	enum kind kind;
	enum traffic_lane gate;
	uint32_t conversations; /* a power of two; newcomers: rules */
	/* Of a sample; many, for each begins with cold caches, and the kernel
	 * takes two grace periods for it. */
	uint32_t packets;
	uint32_t warm; /* before it, not measured */
	enum portcullis_verdict verdict;
	/* while it goes on */
	struct traffic_plan plan;
	uint64_t at[LANE_max];
	uint64_t judged;
	uint64_t before; /* of the gate's counter */
	struct figure *figure;
};

static struct load loads[] = {
	{ .name = "modbus-established-1",
	  .gate = LANE_1,
	  .conversations = 1,
	  .packets = 65536 },
	{ .name = "modbus-established-256",
	  .gate = LANE_256,
	  .conversations = 256,
	  .packets = 65536 },
	{ .name = "modbus-established-4096",
	  .gate = LANE_4096,
	  .conversations = 4096,
	  .packets = 262144 },
	{ .name = "modbus-established-16384",
	  .gate = LANE_16384,
	  .conversations = 16384,
	  .packets = 262144 },
	{ .name = "dns-udp",
	  .gate = LANE_small,
	  .kind = KIND_dns,
	  .conversations = 256,
	  .packets = 65536 },
	{ .name = "refused",
	  .gate = LANE_small,
	  .kind = KIND_mismatch,
	  .conversations = 256,
	  .packets = 65536,
	  .verdict = VERDICT_reset },
	/* no more events than the ring holds */
	{ .name = "refused-event",
	  .gate = LANE_small,
	  .kind = KIND_mismatch,
	  .conversations = 256,
	  .packets = 2048,
	  .warm = 512,
	  .verdict = VERDICT_reset },
	{ .name = "new-flow-10-rules",
	  .kind = KIND_newcomer,
	  .gate = LANE_ten,
	  .conversations = 10,
	  .packets = 16384 },
	{ .name = "new-flow-10000-rules",
	  .kind = KIND_newcomer,
	  .gate = LANE_large,
	  .conversations = 10000,
	  .packets = 16384 },
};
enum { LOADS = sizeof(loads) / sizeof(loads[0]) };

static struct datapath *gates[LANE_empty];
static struct traffic *traffic;
static uint32_t ingress[LANE_empty];

/* ---- policies ---------------------------------------------------------- */

static const char small_policy[] =
    "site \"bench\" { forward kernel }\n"
    "service modbus tcp 502 expect modbus\n"
    "service dns udp 53 expect dns\n"
    "zone hall { interface a%d; network 10.64.0.0/10 }\n"
    "zone cell { interface b%d; network 10.128.0.0/9 }\n"
    "conduit polling from hall to cell { allow modbus; allow dns }\n";

static void put_assets(FILE *to, const char *zone, uint32_t first, uint32_t n)
{
	uint32_t i, addr;
	char text[INET_ADDRSTRLEN];

	for (i = 0; i < n; i++) {
		addr = htonl(first + i);
		inet_ntop(AF_INET, &addr, text, sizeof(text));
		fprintf(to, "asset %s-%u %s\n", zone, i, text);
	}
}

/* As many rules as prefixes, all in one conduit, each from one asset to
 * another. */
static char *pairs_policy(uint32_t rules, enum traffic_lane lane)
{
	uint32_t hosts = rules / 2, r;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return NULL;
	fprintf(to,
		"site \"bench\" { forward kernel }\n"
		"service modbus tcp 502 expect modbus\n"
		"zone hall { interface a%d\n",
		lane);
	put_assets(to, "hall", 0x0a400001, hosts);
	fprintf(to, "}\nzone cell { interface b%d\n", lane);
	put_assets(to, "cell", 0x0a800001, hosts);
	fputs("}\nconduit pairs from hall to cell {\n", to);
	for (r = 0; r < rules; r++)
		fprintf(to, "allow modbus read from hall-%u to cell-%u\n",
			r % hosts, (r + r / hosts) % hosts);
	fputs("}\n", to);
	if (fclose(to))
		return NULL;
	return text;
}

/* ---- the parts --------------------------------------------------------- */

static bool make_interfaces(void)
{
	char a[16], b[16];
	int i, err = links_private();

	for (i = 0; !err && i < LANE_empty; i++) {
		snprintf(a, sizeof(a), "a%d", i);
		snprintf(b, sizeof(b), "b%d", i);
		err = links_veth(a, b);
		ingress[i] = if_nametoindex(a);
	}
	return !err || complain("cannot make interfaces");
}

static bool open_gates(void)
{
	_cleanup_free_ char *ten = pairs_policy(10, LANE_ten);
	_cleanup_free_ char *large = pairs_policy(10000, LANE_large);
	char text[sizeof(small_policy) + 16], name[16];
	int i;

	if (!ten || !large)
		return complain("out of memory");
	for (i = 0; i <= LANE_small; i++) {
		snprintf(text, sizeof(text), small_policy, i, i);
		snprintf(name, sizeof(name), "small-%d", i);
		gates[i] = gate_open(name, text, DATAPATH_native);
	}
	gates[LANE_ten] = gate_open("ten", ten, DATAPATH_native);
	gates[LANE_large] = gate_open("large", large, DATAPATH_native);
	for (i = 0; i < LANE_empty; i++) {
		if (!gates[i])
			return false;
		/* The work of a rate, but no end of it. */
		gates[i]->gate->event_rate = 1000000000;
	}
	return true;
}

static bool open_traffic(void)
{
	/* RFC 1035: "plc17.cell.example" A IN, and 10.128.0.17 for it. */
	static const unsigned char asked[] =
	    "\0\0\1\0\0\1\0\0\0\0\0\0\5plc17\4cell\7example\0\0\1\0\1";
	static const unsigned char told[] =
	    "\0\0\x81\x80\0\1\0\1\0\0\0\0\5plc17\4cell\7example\0\0\1\0\1"
	    "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x0a\x80\0\x11";

	traffic = traffic__open();
	if (!traffic)
		return complain("cannot open the traffic: %s", strerror(errno));
	if (bpf_map__reuse_fd(traffic->maps.slots,
			      gates[LANE_small]->map[PIN_slots]) ||
	    traffic__load(traffic))
		return complain("cannot load the traffic: %s", strerror(errno));
	memcpy(traffic->bss->query, asked, sizeof(asked) - 1);
	memcpy(traffic->bss->answer, told, sizeof(told) - 1);
	traffic->bss->query_len = sizeof(asked) - 1;
	traffic->bss->answer_len = sizeof(told) - 1;
	return true;
}

static bool put_lane(__u32 lane, int prog)
{
	if (!bpf_map_update_elem(bpf_map__fd(traffic->maps.next), &lane, &prog,
				 BPF_ANY))
		return true;
	return complain("cannot put a program behind the traffic: %s",
			strerror(errno));
}

static bool put_lanes(void)
{
	__u32 lane;

	for (lane = 0; lane < LANE_empty; lane++)
		if (!put_lane(lane, gates[lane]->prog_xdp))
			return false;
	return put_lane(LANE_empty, bpf_program__fd(traffic->progs.empty));
}

/* Of this thread: what else the machine does is not in it. */
static uint64_t cpu_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Runs a program of the traffic; nanoseconds for all of it, negative if it
 * cannot. */
static double run(const struct bpf_program *program, enum traffic_lane gate,
		  uint32_t packets)
{
	char frame[TRAFFIC_FRAME] = { 0x02, 0, 0, 0, 0, 2,    0x02,
				      0,    0, 0, 0, 1, 0x08, 0 };
	struct xdp_md where = { .data_end = sizeof(frame),
				.ingress_ifindex = ingress[gate] };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sizeof(frame), .ctx_in = &where,
		    .ctx_size_in = sizeof(where), .repeat = packets);
	uint64_t from = cpu_time();
	int err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	if (!err)
		return cpu_time() - from;
	complain("cannot run %s: %s", bpf_program__name(program),
		 strerror(errno));
	return -1;
}

static const struct bpf_program *program_of(const struct load *load,
					    enum traffic_lane lane)
{
	const struct bpf_program *established[] = {
		[LANE_1] = traffic->progs.modbus_1,
		[LANE_256] = traffic->progs.modbus_256,
		[LANE_4096] = traffic->progs.modbus_4096,
		[LANE_16384] = traffic->progs.modbus_16384,
	};
	const struct bpf_program *of[][2] = {
		[KIND_established] = { established[load->gate & 3],
				       traffic->progs.modbus_empty },
		[KIND_dns] = { traffic->progs.dns_gate,
			       traffic->progs.dns_empty },
		[KIND_mismatch] = { traffic->progs.mismatch_gate,
				    traffic->progs.mismatch_empty },
		[KIND_newcomer] = { traffic->progs.newcomer_ten,
				    traffic->progs.newcomer_empty },
	};

	if (lane == LANE_large)
		return traffic->progs.newcomer_large;
	return of[load->kind][lane == LANE_empty];
}

/* ---- before it begins -------------------------------------------------- */

static void plan(struct load *load, uint32_t number)
{
	struct traffic_plan *p = &load->plan;

	if (load->kind == KIND_newcomer) {
		p->rules = load->conversations;
		p->hosts = p->rules / 2;
		return;
	}
	p->lane = load->gate;
	p->base = number << 16;
	p->mask = load->conversations - 1;
	while (1U << p->bits < load->conversations)
		p->bits++;
	p->shift = p->bits ? (p->bits + 1) / 2 : 1;
	p->report = !strcmp(load->name, "refused-event");
	p->rows = p->report ? load->conversations : 0;
}

/* The number of the conversation that a client's address and port are from. */
static uint32_t number_of(const struct portcullis_slot *slot)
{
	const struct portcullis_key *k = &slot->key;
	uint32_t addr = ntohl(slot->client ? k->hi_addr[3] : k->lo_addr[3]);
	uint32_t port = ntohs(slot->client ? k->hi_port : k->lo_port);
	uint32_t number = (addr - 0x0a400001) * 8;

	return number + (port - 32768 - (number >> 16)) / 1000;
}

static struct portcullis_slot *map_slots(const struct datapath *dp)
{
	void *slots =
	    mmap(NULL, dp->n_slots * sizeof(struct portcullis_slot),
		 PROT_READ | PROT_WRITE, MAP_SHARED, dp->map[PIN_slots], 0);

	return slots == MAP_FAILED ? NULL : slots;
}

/* Tells the traffic where the conversations stand. */
static bool find_slots(const struct load *load)
{
	const struct datapath *dp = gates[load->gate];
	struct portcullis_slot *slots = map_slots(dp);
	uint32_t i, number, row, n = 0;

	if (!slots)
		return complain("cannot map the conversations: %s",
				strerror(errno));
	for (i = 0; i < dp->n_slots; i++) {
		if (slots[i].state != SLOT_live)
			continue;
		number = number_of(&slots[i]) - load->plan.base;
		if (number >= load->conversations)
			continue;
		row = load->plan.rows + number;
		if (bpf_map_update_elem(bpf_map__fd(traffic->maps.where), &row,
					&i, BPF_ANY))
			break;
		n++;
	}
	munmap(slots, dp->n_slots * sizeof(*slots));
	return n == load->conversations ||
	       complain("%s: %u of %u conversations were found", load->name, n,
			load->conversations);
}

static bool open_conversations(struct load *load)
{
	struct datapath *dp = gates[load->gate];
	uint64_t before = gate_count(dp, REASON_ok, VERDICT_pass);
	uint32_t packets = 3 * load->conversations;

	traffic->bss->plan = load->plan;
	traffic->bss->at[load->gate] = 0;
	if (run(traffic->progs.opening, load->gate, packets) < 0)
		return false;
	if (gate_count(dp, REASON_ok, VERDICT_pass) - before != packets)
		return gate_complain(dp, load->name);
	return true;
}

/* Zeroes the rows of an array that only the programs know. */
static bool clear(struct datapath *dp, const char *name)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), i;
	_cleanup_free_ __u32 *keys = NULL;
	_cleanup_free_ void *rows = NULL;
	_cleanup_close_ int map = -1;
	char path[PIN_PATH];

	map = bpf_obj_get(pin_path(dp, name, path));
	if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &len))
		return complain("cannot open %s: %s", path, strerror(errno));
	keys = calloc(info.max_entries, sizeof(*keys));
	rows = calloc(info.max_entries, (info.value_size + 7) & ~7U);
	if (!keys || !rows)
		return complain("out of memory");
	for (i = 0; i < info.max_entries; i++)
		keys[i] = i;
	len = info.max_entries;
	return !bpf_map_update_batch(map, keys, rows, &len, &opts) ||
	       complain("cannot clear %s: %s", path, strerror(errno));
}

/* A table of conversations without any. */
static bool forget(struct datapath *dp)
{
	struct portcullis_slot *slots = map_slots(dp);

	if (!slots)
		return complain("cannot map the conversations: %s",
				strerror(errno));
	memset(slots, 0, dp->n_slots * sizeof(*slots));
	munmap(slots, dp->n_slots * sizeof(*slots));
	return clear(dp, "sets") && clear(dp, "hints") &&
	       clear(dp, "slots_used");
}

/* ---- measuring --------------------------------------------------------- */

static void ignore(const struct portcullis_event *event, void *arg)
{
	(void)event;
	(void)arg;
}

/* Nanoseconds a packet, negative if it cannot. */
static double lane_run(struct load *load, enum traffic_lane lane)
{
	const struct bpf_program *program = program_of(load, lane);
	double ns = 0;

	traffic->bss->at[lane] = load->at[lane];
	if (load->warm)
		ns = run(program, load->gate, load->warm);
	if (load->plan.report)
		datapath_drain(gates[load->gate], SIZE_MAX, ignore, NULL);
	if (ns >= 0)
		ns = run(program, load->gate, load->packets);
	if (load->plan.report)
		datapath_drain(gates[load->gate], SIZE_MAX, ignore, NULL);
	load->at[lane] = traffic->bss->at[lane];
	return ns < 0 ? ns : ns / load->packets;
}

static bool sample(struct load *load, double empty, unsigned int round)
{
	struct datapath *dp = gates[load->gate];
	double gate, bare, net;

	if (load->kind == KIND_newcomer && round % ROUNDS_A_TABLE == 0 &&
	    !forget(dp))
		return false;
	traffic->bss->plan = load->plan;
	gate = lane_run(load, load->gate);
	bare = lane_run(load, LANE_empty);
	if (gate < 0 || bare < 0)
		return false;
	load->judged += load->warm + load->packets;
	net = gate - bare;
	figure_sample(load->figure, net, (net + empty) / empty);
	return true;
}

/* All its packets had the verdict that they are there for. */
static uint64_t verdicts(const struct load *load)
{
	struct datapath *dp = gates[load->gate];
	uint64_t sum = 0;
	uint32_t i;

	if (load->verdict == VERDICT_pass)
		return gate_count(dp, REASON_ok, VERDICT_pass);
	for (i = 0; i < REASON_max; i++)
		sum += gate_count(dp, i, load->verdict);
	return sum;
}

static bool all_judged(void)
{
	uint64_t want[LANE_empty][VERDICT_max] = { 0 };
	struct load *load;
	bool good = true;

	for (load = loads; load < loads + LOADS; load++)
		want[load->gate][load->verdict] += load->judged;
	for (load = loads; load < loads + LOADS; load++)
		if (good && verdicts(load) - load->before !=
				want[load->gate][load->verdict])
			good = gate_complain(gates[load->gate], load->name);
	return good;
}

static bool prepare(struct figures *all)
{
	struct load *load;

	for (load = loads; load < loads + LOADS; load++) {
		if (!load->verdict)
			load->verdict = VERDICT_pass;
		plan(load, load - loads);
		load->figure = figures_add(all, load->name, "empty program");
		if (load->kind != KIND_newcomer && load->kind != KIND_dns &&
		    !open_conversations(load))
			return false;
		if (load->kind == KIND_mismatch && !find_slots(load))
			return false;
	}
	for (load = loads; load < loads + LOADS; load++)
		load->before = verdicts(load);
	return true;
}

static bool rounds(void)
{
	struct load *load;
	unsigned int i;
	double empty;

	for (i = 0; i < ROUNDS; i++) {
		empty = run(traffic->progs.empty, LANE_small, 65536) / 65536;
		if (empty < 0)
			return false;
		for (load = loads; load < loads + LOADS; load++)
			if (!sample(load, empty, i))
				return false;
	}
	return all_judged();
}

bool programs_measure(struct figures *all)
{
	bool good;
	int i;

	good = make_interfaces() && open_gates() && open_traffic() &&
	       put_lanes() && prepare(all) && rounds();
	traffic__destroy(traffic);
	for (i = 0; i < LANE_empty; i++)
		if (gates[i])
			datapath_close(gates[i]);
	return good;
}
