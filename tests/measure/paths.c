/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole paths, in CPU time of the gate a packet.
 *
 *	ends: eNa ---- gNa  gate N  gNb ---- eNb :ends
 *	      clients                    servers
 *
 * The gate's interfaces are polled by kernel threads on the last core: their
 * run time, divided by the packets that came out at the other side, is the
 * figure. The source and the sinks are on the first core. Packets per second
 * would tell how fast the source is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../links.h"
#include "cleanup.h"
#include "measure.h"

enum {
	ROUNDS = 25,
	TURNS = 1 << 17, /* of the source, at most one packet each */
	ENOUGH = 20000,	 /* packets of a sample */
	NFT_PAIRS = 10000,
	PATHS = 6,
};

struct path {
	const char *name;
	const char *against;
	bool (*set_up)(struct path *path);
	enum datapath_door door;
	bool opens; /* it wants to see connections begin */
	/* while it goes on */
	char number;
	int netns;
	struct datapath *gate;
	int thread[2];
	struct traffic_source source;
	struct figure *figure;
	double now; /* of this round */
};

static struct traffic *traffic;
static int ends;

/* ---- gates ------------------------------------------------------------- */

static bool attach(const char *name, const struct bpf_program *program)
{
	int err = bpf_xdp_attach(if_nametoindex(name), bpf_program__fd(program),
				 XDP_FLAGS_DRV_MODE, NULL);

	return !err ||
	       complain("cannot attach %s to %s: %s",
			bpf_program__name(program), name, strerror(-err));
}

static bool attach_both(const struct path *p, const struct bpf_program *program)
{
	char a[] = { 'g', p->number, 'a', 0 }, b[] = { 'g', p->number, 'b', 0 };

	return attach(a, program) && attach(b, program);
}

static bool set_up_redirect(struct path *p)
{
	char a[] = { 'g', p->number, 'a', 0 }, b[] = { 'g', p->number, 'b', 0 };
	__u32 of[2] = { if_nametoindex(a), if_nametoindex(b) };
	int map = bpf_map__fd(traffic->maps.other_end);

	if (bpf_map_update_elem(map, &of[0], &of[1], BPF_ANY) ||
	    bpf_map_update_elem(map, &of[1], &of[0], BPF_ANY))
		return complain("cannot fill the map of %s: %s", p->name,
				strerror(errno));
	return attach_both(p, traffic->progs.bare_redirect);
}

static bool open_gate(struct path *p, const char *forward)
{
	char policy[512];

	snprintf(policy, sizeof(policy),
		 "site \"bench\" { forward %s }\n"
		 "service modbus tcp 502 expect modbus\n"
		 "zone hall { interface g%ca; network 10.64.0.0/10 }\n"
		 "zone cell { interface g%cb; network 10.128.0.0/9 }\n"
		 "conduit polling from hall to cell { allow modbus }\n",
		 forward, p->number, p->number);
	p->gate = gate_open(p->name, policy, p->door);
	return p->gate;
}

static bool set_up_wire(struct path *p)
{
	char wire[32];

	snprintf(wire, sizeof(wire), "wire g%ca g%cb", p->number, p->number);
	return open_gate(p, wire);
}

/* Routes to the ends, which have no addresses. */
static bool set_up_routes(const struct path *p)
{
	char n = p->number;

	return command("echo 1 >/proc/sys/net/ipv4/ip_forward") &&
	       command(
		   "ip route add 10.64.0.0/10 via 192.0.2.3 dev g%ca onlink",
		   n) &&
	       command(
		   "ip route add 10.128.0.0/9 via 192.0.2.4 dev g%cb onlink",
		   n) &&
	       command("ip neigh add 192.0.2.3 lladdr 02:00:00:00:00:03 "
		       "dev g%ca nud permanent",
		       n) &&
	       command("ip neigh add 192.0.2.4 lladdr 02:00:00:00:00:04 "
		       "dev g%cb nud permanent",
		       n);
}

static bool set_up_kernel(struct path *p)
{
	return set_up_routes(p) && open_gate(p, "kernel");
}

/* A program must be there for frames to be taken in at all. */
static bool set_up_tc(struct path *p)
{
	return set_up_kernel(p) && attach_both(p, traffic->progs.bare_pass);
}

static bool set_up_bare(struct path *p)
{
	return set_up_routes(p) && attach_both(p, traffic->progs.bare_pass);
}

/* The same pairs and ports, the protocol identifier and the function code: the
 * nearest that a filter of packets comes to the check. */
static void nft_write(FILE *to)
{
	uint32_t i, c, s;

	fputs("table ip bench {\n"
	      " set pairs { type ipv4_addr . ipv4_addr . inet_service\n"
	      "  elements = {",
	      to);
	for (i = 0; i < NFT_PAIRS; i++) {
		c = i < TRAFFIC_POLLED ? 1 + (i >> 3) : 0x10000 + i;
		s = 1 + (i & 63);
		fprintf(to, "%s 10.%u.%u.%u . 10.128.0.%u . 502", i ? "," : "",
			64 + (c >> 16), c >> 8 & 255, c & 255, s);
	}
	fputs(
	    " }\n }\n"
	    " chain check { @ih,16,16 0 @ih,56,8 1-6 accept; drop; }\n"
	    " chain forward { type filter hook forward priority 0; policy drop;\n"
	    "  ip saddr . ip daddr . tcp dport @pairs jump check\n"
	    "  ip daddr . ip saddr . tcp sport @pairs jump check\n"
	    " }\n}\n",
	    to);
}

static bool set_up_nftables(struct path *p)
{
	FILE *to = popen("nft -f -", "w");

	if (!to)
		return complain("cannot run nft: %s", strerror(errno));
	nft_write(to);
	if (pclose(to))
		return complain("nft does not take the rules");
	return set_up_bare(p);
}

static struct path paths[PATHS] = {
	{ .name = "path-redirect-bare", .set_up = set_up_redirect },
	{ .name = "path-portcullis-wire",
	  .against = "path-redirect-bare",
	  .set_up = set_up_wire,
	  .door = DATAPATH_native,
	  .opens = true },
	{ .name = "path-portcullis-kernel",
	  .against = "path-kernel-bare",
	  .set_up = set_up_kernel,
	  .door = DATAPATH_native,
	  .opens = true },
	{ .name = "path-portcullis-tc",
	  .against = "path-kernel-bare",
	  .set_up = set_up_tc,
	  .door = DATAPATH_tc,
	  .opens = true },
	{ .name = "path-kernel-bare",
	  .against = "path-redirect-bare",
	  .set_up = set_up_bare },
	{ .name = "path-nftables",
	  .against = "path-portcullis-wire",
	  .set_up = set_up_nftables },
};

/* ---- namespaces and threads -------------------------------------------- */

static bool enter(int netns)
{
	return !setns(netns, CLONE_NEWNET) ||
	       complain("cannot enter a namespace: %s", strerror(errno));
}

/* A namespace without IPv6, whose chatter would be counted. */
static int new_namespace(void)
{
	if (links_private() || links_up("lo", true) ||
	    !command("for f in all default; do "
		     "echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done"))
		return -1;
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* One end of the gate: `side` a or b, `mac` 1 or 2, its far end 3 or 4. */
static bool make_cable(const struct path *p, char side, int mac)
{
	char near[] = { 'g', p->number, side, 0 };
	char far[] = { 'e', p->number, side, 0 };

	if (links_veth(near, far))
		return complain("cannot make the interfaces of %s", p->name);
	return command("ip link set %s address 02:00:00:00:00:%02x up", near,
		       mac) &&
	       command("ip link set %s address 02:00:00:00:00:%02x up "
		       "netns /proc/%d/fd/%d",
		       far, mac + 2, getpid(), ends);
}

static bool write_threaded(const char *root, const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/class/net/%s/threaded", root, name);
	file = fopen(path, "we");
	if (!file)
		return false;
	fputs("1\n", file);
	return !fclose(file);
}

/* A sysfs shows the namespace that it was mounted in. */
static bool set_threaded(const char *a, const char *b)
{
	char root[] = "/tmp/portcullis-bench.XXXXXX";
	bool good = false;
	int err = 0;

	if (!mkdtemp(root))
		return complain("cannot make a folder: %s", strerror(errno));
	if (!mount("sysfs", root, "sysfs", 0, NULL)) {
		good = write_threaded(root, a) && write_threaded(root, b);
		err = errno;
		umount2(root, MNT_DETACH);
	}
	rmdir(root);
	return good ||
	       complain("cannot give %s a thread: %s", a, strerror(err));
}

/* The thread that polls an interface, 0: there is none. */
static int thread_of(const char *name)
{
	char want[32], comm[32], path[300];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int found = 0;
	FILE *file;

	snprintf(want, sizeof(want), "napi/%s-", name);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, want, strlen(want)))
			found = atoi(entry->d_name);
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Gives an interface's thread a core. Ahead of other work, so that a burst is
 * handled as one. Returns its number, 0 and a sentence if it cannot. */
static int place_thread(const char *name, int cpu)
{
	struct sched_param first = { .sched_priority = 2 };
	int thread = thread_of(name);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (thread && !sched_setaffinity(thread, sizeof(set), &set) &&
	    !sched_setscheduler(thread, SCHED_FIFO, &first))
		return thread;
	complain("no thread polls %s", name);
	return 0;
}

static bool set_up_ends(const struct path *p)
{
	char a[] = { 'e', p->number, 'a', 0 }, b[] = { 'e', p->number, 'b', 0 };

	return enter(ends) && attach(a, traffic->progs.sink_replies) &&
	       attach(b, traffic->progs.sink_requests) && set_threaded(a, b) &&
	       place_thread(a, 0) && place_thread(b, 0);
}

static bool set_up_gate(struct path *p)
{
	int last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	char a[] = { 'g', p->number, 'a', 0 }, b[] = { 'g', p->number, 'b', 0 };

	if (!enter(p->netns) || !p->set_up(p) || !set_threaded(a, b))
		return false;
	p->thread[0] = place_thread(a, last);
	p->thread[1] = place_thread(b, last);
	return p->thread[0] && p->thread[1];
}

static bool set_up(struct path *p)
{
	char a[] = { 'e', p->number, 'a', 0 }, b[] = { 'e', p->number, 'b', 0 };

	p->netns = new_namespace();
	if (p->netns < 0 || !make_cable(p, 'a', 1) || !make_cable(p, 'b', 2) ||
	    !set_up_ends(p) || !set_up_gate(p) || !enter(ends))
		return false;
	p->source.out[0] = if_nametoindex(a);
	p->source.out[1] = if_nametoindex(b);
	if (!p->opens) {
		p->source.at = TRAFFIC_OPENING;
		p->source.sent = TRAFFIC_OPENING;
		p->source.got[0] = 2 * TRAFFIC_POLLED;
		p->source.got[1] = TRAFFIC_POLLED;
	}
	return true;
}

/* ---- measuring --------------------------------------------------------- */

/* Nanoseconds that the gate's threads have run. */
static uint64_t run_time(const struct path *p)
{
	uint64_t sum = 0, ns;
	char path[64];
	FILE *file;
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/schedstat",
			 p->thread[i]);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%" SCNu64, &ns) == 1)
			sum += ns;
		fclose(file);
	}
	return sum;
}

static uint64_t arrived(void)
{
	const volatile struct traffic_source *s = &traffic->bss->polling;

	return s->got[0] + s->got[1];
}

static bool source_run(void)
{
	char frame[TRAFFIC_FRAME] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sizeof(frame), .repeat = TURNS,
		    .batch_size = TRAFFIC_BURST,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	return !bpf_prog_test_run_opts(
		   bpf_program__fd(traffic->progs.poll_source), &opts) ||
	       complain("cannot run the source: %s", strerror(errno));
}

/* What is under way arrives, or was lost. */
static bool wait_for_all(const struct path *p)
{
	const struct traffic_source *s = &traffic->bss->polling;
	struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < 500; i++) {
		if (arrived() == s->sent)
			return true;
		nanosleep(&pause, NULL);
	}
	complain("%s: %" PRIu64 " of %" PRIu64 " packets arrived", p->name,
		 arrived(), (uint64_t)s->sent);
	if (p->gate)
		gate_complain(p->gate, p->name);
	return false;
}

static bool sample(struct path *p)
{
	uint64_t from, before;
	int i;

	traffic->bss->polling = p->source;
	before = arrived();
	from = run_time(p);
	for (i = 0; i < 100 && arrived() - before < ENOUGH; i++)
		if (!source_run())
			return false;
	if (!wait_for_all(p))
		return false;
	p->now = (double)(run_time(p) - from) / (arrived() - before);
	p->source = traffic->bss->polling;
	return true;
}

static double against(const struct path *p)
{
	const struct path *other;

	for (other = paths; p->against && other < paths + PATHS; other++)
		if (!strcmp(other->name, p->against))
			return p->now / other->now;
	return 0;
}

/* The first round opens the connections and is not kept. */
static bool rounds(void)
{
	struct path *p;
	int i;

	for (i = 0; i <= ROUNDS; i++) {
		for (p = paths; p < paths + PATHS; p++)
			if (!sample(p))
				return false;
		for (p = paths; i && p < paths + PATHS; p++)
			figure_sample(p->figure, p->now, against(p));
	}
	return true;
}

bool paths_measure(struct figures *all)
{
	struct path *p;
	bool good = true;

	traffic = traffic__open_and_load();
	if (!traffic)
		return complain("cannot load the traffic: %s", strerror(errno));
	ends = new_namespace();
	if (ends < 0)
		return complain("cannot make a namespace: %s", strerror(errno));
	for (p = paths; good && p < paths + PATHS; p++) {
		p->number = '0' + (p - paths);
		p->figure = figures_add(all, p->name, p->against);
		good = set_up(p);
	}
	good = good && rounds();
	for (p = paths; p < paths + PATHS; p++)
		if (p->gate)
			datapath_close(p->gate);
	traffic__destroy(traffic);
	return good;
}
