/* SPDX-License-Identifier: GPL-2.0-only */
/* The gate on real devices: what is attached, pinned, adopted, followed and
 * taken away again. `short` is for the small virtual machine: it has neither
 * nftables nor bridges, and its verifier is slow.
 * vm: short
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath.h"
#include "device.h"
#include "generation.h"
#include "jiffies.h"
#include "links.h"
#include "tap.h"

#define PINS "/sys/fs/bpf/portcullis-test/v1"

enum { ETHERTYPE_lldp = 0x88cc };

static struct datapath_options options = { .pin_dir = PINS, .slots = 4096 };
static char error[512];
static bool is_short;

/* ---- policies, by hand ------------------------------------------------ */

static struct image_named zones[] = {
	{ .name = "none" },
	{ .name = "left" },
	{ .name = "right" },
	{ .name = "self" },
};
static struct image_conduit conduits[] = {
	{ .name = "none" },
	{ .name = "one" },
	{ .name = "two" },
};
static struct image_rule rules[] = {
	{ .text = "allow modbus read", .conduit = 1, .service = 1 },
	{ .text = "allow modbus write", .conduit = 2, .service = 1 },
};
static struct image_asset assets[] = { { .name = "none" } };
static struct image_service services[] = { { .name = "none" },
					   { .name = "modbus" } };
static struct portcullis_services numbers;
static struct portcullis_shape shapes[2];
static struct portcullis_ruleset rulesets[] = {
	{ .service = 1,
	  .conduit = 1,
	  .n_rules = 1,
	  .protos = { PROTO_modbus },
	  .rule = { 0 },
	  .shape = { 1 } },
	{ .service = 1,
	  .conduit = 2,
	  .n_rules = 1,
	  .protos = { PROTO_modbus },
	  .rule = { 1 },
	  .shape = { 1 },
	  .conditions = 1 },
};
static struct portcullis_condition conditions[] = {
	{ .proto = PROTO_modbus, .rule = 0 },
	{ .proto = PROTO_modbus, .rule = 1 },
};
static struct image_key keys[] = {
	{ .key = { 1, 2, 1 }, .ruleset = 0 },
	{ .key = { 2, 1, 1 }, .ruleset = 1 },
};
static struct image_place4 places[] = {
	{ .key = { 24, { 10, 77, 1 } }, .place = { .zone = 1 } },
	{ .key = { 24, { 10, 77, 2 } }, .place = { .zone = 2 } },
};
static struct image_port ports[3];

/* Two ports, and a third for copies if `monitor` is named. */
static const struct image *policy(uint8_t forward, const char *a, const char *b,
				  const char *monitor)
{
	static struct image image = {
		.site = "test",
		.ports = ports,
		.places4 = places,
		.n_places4 = 2,
		.services_map = &numbers,
		.keys = keys,
		.n_keys = 2,
		.rulesets = rulesets,
		.n_rulesets = 2,
		.conditions = conditions,
		.n_conditions = 2,
		.shapes = shapes,
		.n_shapes = 2,
		.rules = rules,
		.n_rules = 2,
		.conduits = conduits,
		.n_conduits = 3,
		.zones = zones,
		.n_zones = 4,
		.assets = assets,
		.n_assets = 1,
		.services = services,
		.n_services = 2,
	};
	const char *const name[] = { a, b, monitor };
	size_t i;

	image.fail_open = is_short;
	numbers.of[0][502] = 1;
	memset(ports, 0, sizeof(ports));
	image.n_ports = monitor ? 3 : 2;
	for (i = 0; i < image.n_ports; i++) {
		strncpy(ports[i].name, name[i], sizeof(ports[i].name) - 1);
		ports[i].is_monitor = i == 2;
		ports[i].forward = i == 2 ? FORWARD_kernel : forward;
		if (forward == FORWARD_wire && i < 2) {
			ports[i].peer = 2 - i;
			ports[i].wire = 1;
		}
	}
	return &image;
}

/* ---- shorthand --------------------------------------------------------- */

static struct datapath *reopen(bool *ret_adopted)
{
	struct datapath *dp;

	error[0] = '\0';
	dp = datapath_open(&options, ret_adopted, error, sizeof(error));
	check(dp, "opens: %s", error);
	if (!dp)
		exit(tap_summary());
	return dp;
}

static bool apply(struct datapath *dp, const struct image *image)
{
	int err;

	error[0] = '\0';
	err = datapath_apply(dp, image, error, sizeof(error));
	return check(!err, "applies: %s", error);
}

/* That it fails, and says `words`. */
static void refuses(struct datapath *dp, const struct image *image,
		    const char *words)
{
	uint32_t generation = datapath_generation(dp);
	int err;

	error[0] = '\0';
	err = datapath_apply(dp, image, error, sizeof(error));
	check(err < 0 && strstr(error, words), "refuses with '%s': %d '%s'",
	      words, err, error);
	check(!strchr(error, '\n'), "in one line");
	check(datapath_generation(dp) == generation, "the policy stays");
}

static const struct datapath_port_status *status(struct datapath *dp,
						 const char *name)
{
	static const struct datapath_port_status none = { .door = "unknown",
							  .forward = "",
							  .why = "" };
	const struct datapath_port_status *all;
	size_t n, i;

	all = datapath_ports(dp, &n);
	for (i = 0; i < n; i++)
		if (!strcmp(all[i].name, name))
			return &all[i];
	return &none;
}

/* Follows, as the daemon does, until `name` has this door or a second is over.
 */
static bool becomes(struct datapath *dp, const char *name, const char *door)
{
	int i;

	for (i = 0; i < 50; i++) {
		datapath_follow(dp);
		if (!strcmp(status(dp, name)->door, door))
			return true;
		usleep(20000);
	}
	return false;
}

static bool becomes_up(struct datapath *dp, const char *name, bool up)
{
	int i;

	for (i = 0; i < 50; i++) {
		datapath_follow(dp);
		if (status(dp, name)->up == up)
			return true;
		usleep(20000);
	}
	return false;
}

static bool crosses(const char *from, const char *to)
{
	return links_crosses(from, to, ETHERTYPE_lldp);
}

/* Both ways, within a second: a link that came up takes a moment to send. */
static bool carries_again(void)
{
	int i;

	for (i = 0; i < 3; i++)
		if (crosses("h1", "h2") && crosses("h2", "h1"))
			return true;
	return false;
}

static uint32_t xdp_of(const char *name)
{
	uint32_t id = 0;

	bpf_xdp_query_id(if_nametoindex(name), 0, &id);
	return id;
}

/* Whether all of `set` are, and all of `clear` are not. */
static bool has_flags(const char *name, int set, int clear)
{
	int flags = links_flags(name);

	return flags >= 0 && (flags & set) == set && !(flags & clear);
}

static bool has_ipv6(const char *name)
{
	char path[128], digit = '?';
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6",
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, &digit, 1) != 1)
		digit = '?';
	close(fd);
	return digit == '0';
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* A pair of ports p1, p2 with hosts h1, h2 behind them. */
static void make_pair(void)
{
	check(!links_veth("p1", "h1") && !links_veth("p2", "h2"),
	      "makes devices");
	links_gro("h1");
	links_gro("h2");
	links_up("h1", true);
	links_up("h2", true);
}

static void drop_pair(void)
{
	links_delete("p1");
	links_delete("p2");
}

static void detach_all(void)
{
	int err;

	error[0] = '\0';
	err = datapath_detach(&options, error, sizeof(error));
	check(!err, "detaches: %s", error);
	check(!exists("/sys/fs/bpf/portcullis-test"), "no pin is left");
}

/* ---- a wire ------------------------------------------------------------ */

static void check_clock(struct datapath *dp)
{
	uint64_t before = datapath_jiffies(dp), after;
	struct timespec a, b;
	double rate;

	clock_gettime(CLOCK_MONOTONIC, &a);
	usleep(300000);
	after = datapath_jiffies(dp);
	clock_gettime(CLOCK_MONOTONIC, &b);
	rate = (after - before) /
	       (b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
	check(rate > 0.8 * datapath_hz(dp) && rate < 1.2 * datapath_hz(dp),
	      "jiffies run at %u a second: %.0f", datapath_hz(dp), rate);
}

static void check_wire(void)
{
	struct datapath *dp;
	uint32_t changed = 0, stuck = 0;
	bool adopted, had_ipv6;

	make_pair();
	had_ipv6 = has_ipv6("p1"); /* the kernel may have none */
	dp = reopen(&adopted);
	check(!adopted && !datapath_generation(dp), "loads, with no policy");
	check_clock(dp);
	check(!crosses("h1", "h2"), "nothing joins the ports yet");
	apply(dp, policy(FORWARD_wire, "p1", "p2", NULL));
	check(datapath_generation(dp) == 1, "the first generation");
	check(!strcmp(status(dp, "p1")->door, "xdp-native"), "door: %s (%s)",
	      status(dp, "p1")->door, status(dp, "p1")->why);
	check(!strcmp(status(dp, "p1")->forward, "wire p2"), "forward: %s",
	      status(dp, "p1")->forward);
	check(strstr(status(dp, "p1")->why, "rx-vlan-hw-parse"),
	      "it says what it switched off: %s", status(dp, "p1")->why);
	check(status(dp, "p1")->up && status(dp, "p2")->up, "both are up");
	check(crosses("h1", "h2") && crosses("h2", "h1"), "LLDP crosses");
	check(has_flags("p1", IFF_PROMISC | IFF_NOARP | IFF_UP, 0),
	      "promiscuous and without ARP");
	check(!has_ipv6("p1"), "without IPv6");
	device_prepare("p1", false, &changed, &stuck);
	check(!changed && !stuck, "no offload is left on: %x %x", changed,
	      stuck);
	datapath_close(dp);
	check(crosses("h1", "h2"), "crosses with nobody there");
	detach_all();
	check(!xdp_of("p1") && !xdp_of("p2"), "no program is left");
	check(!crosses("h1", "h2"), "nothing crosses any more");
	check(has_flags("p1", 0, IFF_PROMISC | IFF_NOARP | IFF_UP),
	      "the device is as it was");
	check(has_ipv6("p1") == had_ipv6, "with IPv6 again");
	device_prepare("p1", false, &changed, &stuck);
	check(changed & DEVICE_rxvlan, "and its offloads: %x", changed);
	drop_pair();
}

/* ---- what outlives the daemon ------------------------------------------ */

/* Some counts of rule `rule`, as the programs would write them. */
static void count_rule(struct datapath *dp, size_t rule, uint64_t packets)
{
	struct portcullis_rule_count values[dp->n_cpus];

	memset(values, 0, sizeof(values));
	values[0].packets = packets;
	bpf_map_update_elem(dp->map[PIN_rule_counts],
			    &dp->generation->rule_row[rule], values, 0);
}

static uint64_t rule_packets(struct datapath *dp, size_t rule)
{
	struct portcullis_rule_count count = { 0 };

	check(!datapath_rule_count(dp, rule, &count), "counter of %zu", rule);
	return count.packets;
}

static void count_violation(struct datapath *dp, size_t conduit, int reason,
			    uint64_t n)
{
	uint32_t row =
	    dp->generation->conduit_row[conduit] * REASON_max + reason;
	uint64_t values[dp->n_cpus];

	memset(values, 0, sizeof(values));
	values[dp->n_cpus - 1] = n;
	bpf_map_update_elem(dp->map[PIN_violations], &row, values, 0);
}

static uint64_t violations(struct datapath *dp, size_t conduit, int reason)
{
	static uint64_t all[CONDUITS_MAX][REASON_max];

	check(!datapath_violations(dp, all), "violations");
	return all[conduit][reason];
}

/* Rules and conduits change places; what hangs on them goes along. */
static void swap_rules(void)
{
	struct image_rule rule = rules[0];
	struct image_conduit conduit = conduits[1];

	rules[0] = rules[1];
	rules[1] = rule;
	rules[0].conduit = 1;
	rules[1].conduit = 2;
	conduits[1] = conduits[2];
	conduits[2] = conduit;
}

static void one_flow(uint32_t index, const struct portcullis_slot *slot,
		     void *arg)
{
	struct portcullis_slot *ret = arg;

	check(index == 77, "conversation %u", index);
	*ret = *slot;
}

static void put_flow(struct datapath *dp)
{
	struct portcullis_slot slot = {
		.state = SLOT_live,
		.rule = dp->generation->rule_row[1],
		.conduit = dp->generation->conduit_row[2],
	};
	uint32_t index = 77;

	bpf_map_update_elem(dp->map[PIN_slots], &index, &slot, 0);
}

static uint64_t packets_passed(struct datapath *dp)
{
	struct portcullis_counts counts = { 0 };
	uint64_t sum = 0;
	size_t i;

	check(!datapath_counts(dp, &counts), "counts");
	for (i = 0; i < REASON_max; i++)
		sum += counts.reason[i][VERDICT_pass];
	return sum;
}

/* A daemon that applies and is killed. */
static void run_and_kill(void)
{
	bool adopted;
	int result;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct datapath *dp =
		    datapath_open(&options, &adopted, error, sizeof(error));

		if (!dp ||
		    datapath_apply(dp, policy(FORWARD_wire, "p1", "p2", NULL),
				   error, sizeof(error)))
			_exit(1);
		count_rule(dp, 0, 11);
		count_rule(dp, 1, 22);
		count_violation(dp, 1, REASON_bad_magic, 33);
		put_flow(dp);
		raise(SIGKILL);
	}
	waitpid(pid, &result, 0);
	check(WIFSIGNALED(result), "the daemon was killed");
}

static void check_adoption(void)
{
	struct portcullis_slot slot = { 0 };
	struct datapath *dp;
	uint64_t before, after;
	bool adopted;

	make_pair();
	run_and_kill();
	check(crosses("h1", "h2"), "a wire works without its daemon");
	dp = reopen(&adopted);
	check(adopted && datapath_generation(dp) == 1, "it is adopted");
	check(!strcmp(status(dp, "p2")->door, "xdp-native"),
	      "with its interfaces: %s", status(dp, "p2")->door);
	check(datapath_slots(dp) == 4096, "and its size");
	before = packets_passed(dp);
	check(before && crosses("h1", "h2"), "it counted");
	after = packets_passed(dp);
	check(after > before, "and goes on: %lu, %lu", before, after);
	swap_rules();
	apply(dp, policy(FORWARD_wire, "p1", "p2", NULL));
	check(rule_packets(dp, 0) == 22 && rule_packets(dp, 1) == 11,
	      "counts go with the text of a rule");
	check(violations(dp, 2, REASON_bad_magic) == 33 &&
		  !violations(dp, 1, REASON_bad_magic),
	      "and with the name of a conduit");
	check(!datapath_flows(dp, one_flow, &slot), "conversations");
	check(slot.rule == 0 && slot.conduit == 1,
	      "a conversation's rule too: %u %u", slot.rule, slot.conduit);
	swap_rules();
	datapath_close(dp);
	detach_all();
	drop_pair();
}

/* Runs a shell command; whether it succeeded. */
static bool run(const char *command)
{
	int result = system(command);

	return WIFEXITED(result) && !WEXITSTATUS(result);
}

#define QUIET " >/dev/null 2>&1"

/* ---- devices without XDP of their own ----------------------------------- */

static void check_generic(void)
{
	struct datapath *dp;
	bool adopted;

	make_pair();
	check(run("ip link add vx type vxlan id 7 remote 192.0.2.1 dstport 4789"
		  " && ip link set vx mtu 1500"),
	      "makes a device that runs no XDP");
	dp = reopen(&adopted);
	refuses(dp, policy(FORWARD_wire, "p1", "p2", "vx"),
		"monitor port vx: its driver does not run XDP");
	check(!xdp_of("p1") && !xdp_of("p2"), "nothing stays attached");
	apply(dp, policy(FORWARD_wire, "p1", "vx", "p2"));
	check(!strcmp(status(dp, "vx")->door, "xdp-generic"), "door: %s (%s)",
	      status(dp, "vx")->door, status(dp, "vx")->why);
	check(!strcmp(status(dp, "p1")->door, "xdp-generic") &&
		  strstr(status(dp, "p1")->why, "the other end"),
	      "the other end does as well: %s (%s)", status(dp, "p1")->door,
	      status(dp, "p1")->why);
	datapath_close(dp);
	detach_all();
	links_delete("vx");
	drop_pair();
}

/* ---- interfaces that come and go ---------------------------------------- */

static void check_follow(void)
{
	struct datapath *dp;
	bool adopted;

	make_pair();
	dp = reopen(&adopted);
	apply(dp, policy(FORWARD_wire, "p1", "p2", NULL));
	links_delete("p1");
	check(becomes(dp, "p1", "detached"), "a port that goes is noticed");
	check(becomes_up(dp, "p2", false), "the other end goes down");
	check(!links_veth("p1", "h1") && !links_gro("h1") &&
		  !links_up("h1", true),
	      "makes it anew");
	check(becomes(dp, "p1", "xdp-native"), "a port that comes is attached");
	check(becomes_up(dp, "p2", true), "the other end comes back");
	check(carries_again(), "it carries again");

	links_up("h1", false);
	check(becomes_up(dp, "p2", false), "a pulled cable is passed on");
	check(has_flags("p2", 0, IFF_UP), "the other end is down");
	links_up("h1", true);
	check(becomes_up(dp, "p2", true), "and put back");
	links_up("h2", false);
	check(becomes_up(dp, "p1", false), "likewise from the other side");
	links_up("h2", true);
	check(becomes_up(dp, "p1", true), "and put back");
	check(carries_again(), "it carries again");

	links_up("p1", false);
	links_rename("p1", "q1");
	check(becomes(dp, "p1", "detached"), "a renamed port is let go");
	check(!xdp_of("q1"), "under its new name");
	links_rename("q1", "p1");
	check(becomes(dp, "p1", "xdp-native"), "and taken back");
	datapath_close(dp);
	links_delete("p1");
	check(!links_veth("p1", "h1"), "makes it anew while nobody looks");
	dp = reopen(&adopted);
	check(!strcmp(status(dp, "p1")->door, "xdp-native"),
	      "adoption attaches it: %s", status(dp, "p1")->door);
	datapath_close(dp);
	detach_all();
	drop_pair();
}

/* A policy names other interfaces. */
static void check_change(void)
{
	struct datapath *dp;
	bool adopted;

	make_pair();
	links_veth("p3", "h3");
	links_gro("h3");
	links_up("h3", true);
	dp = reopen(&adopted);
	apply(dp, policy(FORWARD_wire, "p1", "p2", NULL));
	apply(dp, policy(FORWARD_wire, "p3", "p2", NULL));
	check(!xdp_of("p1") && xdp_of("p3"), "programs go along");
	check(crosses("h3", "h2") && crosses("h2", "h3") &&
		  !crosses("h1", "h2"),
	      "so do frames");
	apply(dp, policy(FORWARD_wire, "p1", "p2", "p3"));
	check(!strcmp(status(dp, "p3")->forward, "monitor"), "monitor: %s",
	      status(dp, "p3")->forward);
	check(dp->gate->has_monitor &&
		  dp->gate->monitor_ifindex == if_nametoindex("p3"),
	      "the programs know the monitor port");
	check(crosses("h1", "h2") && !crosses("h3", "h2"),
	      "nothing comes in from there");
	links_delete("p3");
	usleep(50000);
	datapath_follow(dp);
	check(!dp->gate->has_monitor, "nor do they miss it");
	check(crosses("h1", "h2"), "the wire does not either");
	datapath_close(dp);
	detach_all();
	drop_pair();
}

/* ---- what is refused ----------------------------------------------------- */

static void check_refusals(void)
{
	int foreign = jiffies_open();
	struct datapath *dp;
	bool adopted;

	make_pair();
	dp = reopen(&adopted);
	refuses(dp, policy(FORWARD_wire, "p1", "p9", NULL),
		"p9: there is no such interface");
	links_mtu("p2", 1400);
	refuses(dp, policy(FORWARD_wire, "p1", "p2", NULL),
		"MTU 1500 and 1400");
	links_mtu("p2", 1500);
	check(!bpf_xdp_attach(if_nametoindex("p2"), foreign, 0, NULL),
	      "somebody attaches a program");
	refuses(dp, policy(FORWARD_wire, "p1", "p2", NULL), "of somebody else");
	check(!xdp_of("p1") && xdp_of("p2"), "his stays, ours goes");
	check(has_flags("p1", 0, IFF_PROMISC), "and the device is as it was");
	bpf_xdp_detach(if_nametoindex("p2"), 0, NULL);
	options.door = DATAPATH_tc;
	datapath_close(dp);
	dp = reopen(&adopted);
	refuses(dp, policy(FORWARD_wire, "p1", "p2", NULL), "needs XDP");
	options.door = DATAPATH_auto;
	datapath_close(dp);
	dp = reopen(&adopted);
	if (!is_short) {
		check(!links_bridge("br", "p2"), "makes a bridge");
		refuses(dp, policy(FORWARD_wire, "p1", "p2", NULL),
			"p2: belongs to a bridge");
		refuses(dp, policy(FORWARD_wire, "p1", "br", NULL),
			"br: is a bridge");
		links_delete("br");
	}
	rulesets[0].shape[0] = 2;
	refuses(dp, policy(FORWARD_wire, "p1", "p2", NULL), "not sound");
	rulesets[0].shape[0] = 1;
	apply(dp, policy(FORWARD_wire, "p1", "p2", NULL));
	refuses(dp, policy(FORWARD_wire, "p1", "p9", NULL), "p9");
	check(crosses("h1", "h2"), "the old policy stays whole");
	datapath_close(dp);
	detach_all();
	options.wait_for_interfaces = true;
	dp = reopen(&adopted);
	apply(dp, policy(FORWARD_wire, "p1", "p9", NULL));
	check(!strcmp(status(dp, "p9")->door, "detached"), "p9 is waited for");
	links_up("p2", false);
	links_rename("p2", "p9");
	check(becomes(dp, "p9", "xdp-native"), "it is late at boot");
	options.wait_for_interfaces = false;
	datapath_close(dp);
	detach_all();
	links_delete("p9");
	links_delete("p1");
	close(foreign);
}

/* datapath_open() in a child that `prepare` has put in a bad place. */
static void open_fails(int (*prepare)(void), const char *words)
{
	int result;
	bool adopted;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (prepare())
			_exit(2);
		if (datapath_open(&options, &adopted, error, sizeof(error)))
			_exit(3);
		if (strstr(error, words) && !strchr(error, '\n'))
			_exit(0);
		fprintf(stderr, "said: %s\n", error);
		_exit(4);
	}
	waitpid(pid, &result, 0);
	check(WIFEXITED(result) && !WEXITSTATUS(result), "'%s': status %d",
	      words, WEXITSTATUS(result));
	check(!exists("/sys/fs/bpf/portcullis-test"), "leaves nothing behind");
}

static int seem_old(void)
{
	return personality(UNAME26) < 0;
}

static int be_nobody(void)
{
	return setgid(65534) || setuid(65534);
}

/* No bpffs, and only the capabilities that the daemon asks for. */
static int lack_bpffs(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2] = { 0 };

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 1;
	while (!umount2("/sys/fs/bpf", MNT_DETACH))
		; /* one may lie on another */
	caps[0].permitted = caps[0].effective = 1U << CAP_NET_ADMIN;
	caps[1].permitted = caps[1].effective =
	    1U << (CAP_BPF - 32) | 1U << (CAP_PERFMON - 32);
	return syscall(SYS_capset, &head, caps);
}

static void check_open(void)
{
	open_fails(seem_old, "is too old: 6.1 or newer is needed");
	open_fails(be_nobody, "CAP_BPF and CAP_NET_ADMIN");
	open_fails(lack_bpffs, "mount -t bpf bpffs /sys/fs/bpf");
}

/* ---- the kernel way ------------------------------------------------------ */

static uint32_t place_flags(struct datapath *dp, uint8_t last)
{
	struct portcullis_lpm4 key = { 32, { 10, 77, 1, last } };
	struct portcullis_place place = { 0 };

	bpf_map_lookup_elem(dp->generation->places4, &key, &place);
	return place.flags;
}

static void check_door(enum datapath_door door, const char *name)
{
	struct datapath *dp;
	bool adopted;

	make_pair();
	links_up("p1", true);
	links_address("p1", "10.77.1.1");
	options.door = door;
	dp = reopen(&adopted);
	apply(dp, policy(FORWARD_kernel, "p1", "p2", NULL));
	check(!strcmp(status(dp, "p1")->door, name), "door: %s (%s)",
	      status(dp, "p1")->door, status(dp, "p1")->why);
	check(place_flags(dp, 1) & PLACE_self, "its address is its own");
	check(!(place_flags(dp, 9) & PLACE_self), "others are not");
	links_address("p1", "10.77.1.9");
	usleep(50000);
	datapath_follow(dp);
	check(place_flags(dp, 9) & PLACE_self &&
		  !(place_flags(dp, 1) & PLACE_self),
	      "changes of address are followed");
	datapath_close(dp);
	dp = reopen(&adopted);
	check(!strcmp(status(dp, "p1")->door, name), "adopted: %s (%s)",
	      status(dp, "p1")->door, status(dp, "p1")->why);
	apply(dp, policy(FORWARD_kernel, "p1", "p2", NULL));
	datapath_close(dp);
	detach_all();
	options.door = DATAPATH_auto;
	drop_pair();
}

static bool ping(void)
{
	return run(
	    "ip netns exec dp-client ping -c 5 -i 0.1 -W 1 10.77.2.2" QUIET);
}

/*	client 10.77.1.2 -- p1 10.77.1.1 [gate] p2 10.77.2.1 -- server 10.77.2.2
 */
static void make_client(void)
{
	check(run("ip link add p1 type veth peer name h1 netns dp-client &&"
		  "ip addr add 10.77.1.1/24 dev p1 && ip link set p1 up &&"
		  "ip -n dp-client addr add 10.77.1.2/24 dev h1 &&"
		  "ip -n dp-client link set h1 up &&"
		  "ip -n dp-client route add default via 10.77.1.1"),
	      "makes the client's side");
}

static void make_router(void)
{
	check(run("ip netns add dp-client && ip netns add dp-server &&"
		  "ip link add p2 type veth peer name h2 netns dp-server &&"
		  "ip addr add 10.77.2.1/24 dev p2 && ip link set p2 up &&"
		  "ip -n dp-server addr add 10.77.2.2/24 dev h2 &&"
		  "ip -n dp-server link set h2 up &&"
		  "ip -n dp-server route add default via 10.77.2.1 &&"
		  "echo 1 >/proc/sys/net/ipv4/ip_forward"),
	      "makes a router");
	make_client();
}

static bool is_guarded(const char *set, const char *element)
{
	char command[160];

	snprintf(command, sizeof(command),
		 "nft get element inet portcullis %s '{ %s }'" QUIET, set,
		 element);
	return run(command);
}

static bool is_attached_to(const char *name)
{
	char index[16];

	snprintf(index, sizeof(index), "%u", if_nametoindex(name));
	return is_guarded("attached", index);
}

/* No program watches p1: not one packet is forwarded. */
static void check_closed(const char *when)
{
	check(!ping(), "nothing is forwarded %s", when);
	check(run("nft list chain inet portcullis forward |"
		  "grep -q 'iifname.*packets [1-9]'"),
	      "the table drops it %s", when);
}

static void check_guard(void)
{
	struct datapath *dp;
	bool adopted;

	make_router();
	check(ping(), "without the gate all is forwarded");
	dp = reopen(&adopted);
	apply(dp, policy(FORWARD_kernel, "p1", "p2", NULL));
	check(is_guarded("guarded", "p1") && is_guarded("guarded", "p2"),
	      "both are guarded");
	check(is_attached_to("p1") && is_attached_to("p2"),
	      "both are attached");
	links_delete("p1");
	make_client();
	check_closed("before the daemon looks");
	check(becomes(dp, "p1", "xdp-native"), "p1 is attached again");
	check(is_attached_to("p1"), "and let through");
	datapath_close(dp);
	links_delete("p1");
	make_client();
	check_closed("without the daemon");
	dp = reopen(&adopted);
	check(is_attached_to("p1"), "the next daemon lets it through");
	check(run("nft flush ruleset"), "somebody flushes the rules");
	sleep(1);
	datapath_follow(dp);
	check(is_guarded("guarded", "p1") && is_attached_to("p2"),
	      "the table comes back");
	datapath_close(dp);
	detach_all();
	check(!run("nft list table inet portcullis" QUIET) &&
		  !run("nft list table bridge portcullis" QUIET),
	      "no table is left");
	check(ping(), "and all is forwarded again");
	run("ip netns del dp-client; ip netns del dp-server");
	drop_pair();
}

int main(int argc, char **argv)
{
	is_short = argc > 1 && !strcmp(argv[1], "short");
	if (links_private()) {
		perror("a network namespace");
		return 1;
	}
	check_wire();
	check_door(DATAPATH_tc, "tc");
	if (is_short)
		return tap_summary();
	check_door(DATAPATH_auto, "xdp-native");
	check_door(DATAPATH_generic, "xdp-generic");
	check_door(DATAPATH_clsact, "tc");
	check_adoption();
	check_generic();
	check_follow();
	check_change();
	check_refusals();
	check_open();
	check_guard();
	return tap_summary();
}
