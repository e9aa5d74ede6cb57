/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface over pins.c, generation.c and interfaces.c; and what is read
 * from the maps.
 */
#include "datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "generation.h"
#include "interfaces.h"
#include "jiffies.h"
#include "pins.h"

/* The kernel of Debian 12. */
enum { KERNEL_MAJOR = 6, KERNEL_MINOR = 1 };

uint64_t monotonic_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* ---- open and close ---------------------------------------------------- */

static int check_kernel(char *error, size_t error_len)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return 0; /* what is missing shows when it is asked for */
	if (major > KERNEL_MAJOR ||
	    (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	return say(error, error_len, -ENOTSUP,
		   "kernel %s is too old: %d.%d or newer is needed", u.release,
		   KERNEL_MAJOR, KERNEL_MINOR);
}

/* The smallest program tells whether programs can be loaded at all. */
static int check_bpf(struct datapath *dp, char *error, size_t error_len)
{
	dp->probe = jiffies_open();
	if (dp->probe >= 0)
		return 0;
	if ((dp->probe == -EPERM || dp->probe == -EACCES) && !geteuid())
		return say(
		    error, error_len, dp->probe,
		    "root may not load BPF programs here: run outside of the container, or let it use bpf(2), CAP_BPF and CAP_NET_ADMIN");
	if (dp->probe == -EPERM || dp->probe == -EACCES)
		return say(
		    error, error_len, dp->probe,
		    "no permission to load BPF programs: it needs CAP_BPF and CAP_NET_ADMIN (run as root)");
	if (dp->probe == -ENOSYS)
		return say(
		    error, error_len, dp->probe,
		    "this kernel has no BPF: one with CONFIG_BPF_SYSCALL is needed");
	return say(error, error_len, dp->probe,
		   "the kernel does not load BPF programs: %s",
		   strerror(-dp->probe));
}

static struct datapath *make(const struct datapath_options *options)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	int i;

	if (!dp)
		return NULL;
	dp->options = *options;
	if (options->pin_dir)
		snprintf(dp->pin_dir, sizeof(dp->pin_dir), "%s",
			 options->pin_dir);
	else
		snprintf(dp->pin_dir, sizeof(dp->pin_dir),
			 "/sys/fs/bpf/portcullis/v%d", PORTCULLIS_ABI);
	dp->options.pin_dir = dp->pin_dir;
	for (i = 0; i < PIN_max; i++)
		dp->map[i] = -1;
	dp->prog_xdp = dp->prog_tc = dp->prog_copy = -1;
	dp->probe = dp->link_fd = -1;
	return dp;
}

static int on_event(void *arg, void *data, size_t len);

static int open_rest(struct datapath *dp, char *error, size_t error_len)
{
	dp->n_cpus = libbpf_num_possible_cpus();
	dp->nft = nft_open();
	dp->link_fd = netlink_open();
	dp->ring = ring_buffer__new(dp->map[PIN_events], on_event, dp, NULL);
	if (dp->n_cpus < 1 || !dp->nft)
		return say(error, error_len, -ENOMEM, "out of memory");
	if (dp->link_fd < 0)
		return say(error, error_len, dp->link_fd,
			   "cannot listen to the network interfaces: %s",
			   strerror(-dp->link_fd));
	if (!dp->ring)
		return say(error, error_len, -errno,
			   "cannot open the ring of events: %s",
			   strerror(errno));
	return 0;
}

struct datapath *datapath_open(const struct datapath_options *options,
			       bool *ret_adopted, char *error, size_t error_len)
{
	struct datapath *dp = make(options);
	bool adopted = false;
	int err;

	if (!dp) {
		say(error, error_len, 0, "out of memory");
		return NULL;
	}
	err = check_kernel(error, error_len) ?:
	      check_bpf(dp, error, error_len) ?:
	      pins_open(dp, &adopted, error, error_len);
	if (!err) {
		err = open_rest(dp, error, error_len);
		if (err && !adopted)
			pins_remove(dp);
	}
	if (err) {
		datapath_close(dp);
		errno = -err;
		return NULL;
	}
	if (adopted)
		interfaces_follow(dp);
	*ret_adopted = adopted;
	return dp;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	ring_buffer__free(dp->ring);
	nft_close(dp->nft);
	if (dp->link_fd >= 0)
		close(dp->link_fd);
	if (dp->probe >= 0)
		close(dp->probe);
	generation_free(dp->generation);
	pins_close(dp);
	free(dp);
}

/* Of pins that cannot be read only the pins can go; the links go with them. */
static int detach_pins(struct datapath *dp, char *error, size_t error_len)
{
	bool adopted;
	int err = check_bpf(dp, error, error_len);

	if (err)
		return err;
	if (!pins_open(dp, &adopted, error, error_len))
		interfaces_release(dp);
	pins_remove(dp);
	if (error_len)
		error[0] = '\0';
	return 0;
}

int datapath_detach(const struct datapath_options *options, char *error,
		    size_t error_len)
{
	struct datapath *dp = make(options);
	int err = 0;

	if (!dp)
		return say(error, error_len, -ENOMEM, "out of memory");
	dp->nft = nft_open();
	if (!dp->nft)
		err = say(error, error_len, -ENOMEM, "out of memory");
	else if (pins_exist(dp))
		err = detach_pins(dp, error, error_len);
	if (!err)
		nft_remove(dp->nft);
	datapath_close(dp);
	return err;
}

/* ---- apply and follow -------------------------------------------------- */

/* The first policy may meet connections that run already, any later one those
 * that were only watched before it. */
static void set_grace(struct datapath *dp)
{
	uint64_t until;

	if (!dp->options.grace_seconds)
		return;
	until = datapath_jiffies(dp) +
		(uint64_t)dp->options.grace_seconds * dp->gate->hz;
	if (dp->gate->generation)
		dp->gate->resync_until = until;
	else
		dp->gate->grace_until = until;
}

int datapath_apply(struct datapath *dp, const struct image *image, char *error,
		   size_t error_len)
{
	_cleanup_free_ struct interface_plan *plan = calloc(1, sizeof(*plan));
	struct generation *new = NULL;
	int err;

	if (!plan)
		return say(error, error_len, -ENOMEM, "out of memory");
	err = interfaces_plan(dp, image, plan, error, error_len) ?:
	      generation_build(dp, image, plan, &new, error, error_len) ?:
	      interfaces_prepare(dp, image, plan, error, error_len);
	if (!err) {
		err =
		    interfaces_commit(dp, plan, new->number, error, error_len);
		if (err)
			interfaces_undo(dp, plan);
	}
	if (err) {
		generation_free(new);
		return err;
	}
	set_grace(dp);
	generation_switch(dp, image, new);
	interfaces_finish(dp);
	return 0;
}

int datapath_link_fd(const struct datapath *dp)
{
	return dp->link_fd;
}

void datapath_follow(struct datapath *dp)
{
	bool changed = netlink_drain(dp->link_fd);
	uint64_t now = monotonic_now();

	if (!changed && now - dp->followed < 1000000000ULL)
		return;
	dp->followed = now;
	interfaces_follow(dp);
	generation_follow(dp);
}

const struct datapath_port_status *datapath_ports(struct datapath *dp,
						  size_t *ret_n)
{
	interfaces_status(dp, ret_n);
	return dp->status;
}

/* ---- numbers of the kernel back to those of the image ------------------ */

static uint32_t rule_of(const struct datapath *dp, uint32_t row)
{
	if (!dp->generation || row >= RULES_MAX)
		return ~0U;
	return dp->generation->rule_of[row];
}

static uint16_t conduit_of(const struct datapath *dp, uint32_t row)
{
	if (!dp->generation || row >= CONDUITS_MAX ||
	    dp->generation->conduit_of[row] == ~0U)
		return 0;
	return dp->generation->conduit_of[row];
}

/* ---- counters ---------------------------------------------------------- */

/* Adds the values of all CPUs, each a row of 64-bit words. */
static void add_up(uint64_t *sum, const uint64_t *values, size_t words,
		   int n_cpus)
{
	size_t i;
	int cpu;

	memset(sum, 0, words * sizeof(*sum));
	for (cpu = 0; cpu < n_cpus; cpu++)
		for (i = 0; i < words; i++)
			sum[i] += values[cpu * words + i];
}

static int read_sum(struct datapath *dp, enum pin map, uint32_t row,
		    uint64_t *sum, size_t words)
{
	_cleanup_free_ uint64_t *values =
	    calloc(dp->n_cpus * words, sizeof(*values));

	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(dp->map[map], &row, values))
		return -errno;
	add_up(sum, values, words, dp->n_cpus);
	return 0;
}

_Static_assert(sizeof(struct portcullis_counts) % sizeof(uint64_t) == 0 &&
		   sizeof(struct portcullis_rule_count) % sizeof(uint64_t) == 0,
	       "counters are 64-bit words");

int datapath_counts(struct datapath *dp, struct portcullis_counts *ret_counts)
{
	return read_sum(dp, PIN_counts, 0, (uint64_t *)ret_counts,
			sizeof(*ret_counts) / sizeof(uint64_t));
}

int datapath_rule_count(struct datapath *dp, size_t rule,
			struct portcullis_rule_count *ret_count)
{
	if (!dp->generation || rule >= dp->generation->n_rules)
		return -ENOENT;
	return read_sum(dp, PIN_rule_counts, dp->generation->rule_row[rule],
			(uint64_t *)ret_count,
			sizeof(*ret_count) / sizeof(uint64_t));
}

/* All reasons of one conduit, in one call where the kernel can. */
static int read_conduit(struct datapath *dp, uint32_t row, uint64_t *values,
			uint64_t *ret)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t first = row * REASON_max, before = first - 1, after;
	uint32_t keys[REASON_max], count = REASON_max, i;
	int err;

	bpf_map_lookup_batch(dp->map[PIN_violations], row ? &before : NULL,
			     &after, keys, values, &count, &opts);
	for (i = 0; i < REASON_max; i++) {
		if (count == REASON_max) {
			add_up(&ret[i], &values[i * dp->n_cpus], 1, dp->n_cpus);
			continue;
		}
		err = read_sum(dp, PIN_violations, first + i, &ret[i], 1);
		if (err)
			return err;
	}
	return 0;
}

int datapath_violations(struct datapath *dp, uint64_t (*ret)[REASON_max])
{
	const struct generation *g = dp->generation;
	_cleanup_free_ uint64_t *values =
	    calloc((size_t)dp->n_cpus * REASON_max, sizeof(*values));
	size_t i;
	int err;

	if (!values)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret) * CONDUITS_MAX);
	for (i = 0; g && i < g->n_conduits; i++) {
		err = read_conduit(dp, g->conduit_row[i], values, ret[i]);
		if (err)
			return err;
	}
	return 0;
}

/* ---- conversations ----------------------------------------------------- */

/* Seen through a window, since memory of a map counts as the process's. */
enum { FLOW_WINDOW = 2048 };

/* A copy that no CPU was writing to, unless it always is. */
static void copy_slot(struct portcullis_slot *to,
		      const struct portcullis_slot *from)
{
	uint32_t before, after;
	int tries = 10;

	do {
		before = __atomic_load_n(&from->lock, __ATOMIC_ACQUIRE);
		memcpy(to, from, sizeof(*to));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&from->lock, __ATOMIC_RELAXED);
	} while ((before != after || before & 1) && --tries);
}

static void tell_slot(struct datapath *dp, uint32_t index,
		      const struct portcullis_slot *slot,
		      void (*each)(uint32_t index,
				   const struct portcullis_slot *, void *arg),
		      void *arg)
{
	struct portcullis_slot copy;

	if (slot->state == SLOT_free)
		return;
	copy_slot(&copy, slot);
	if (copy.state == SLOT_free)
		return;
	copy.rule = rule_of(dp, copy.rule);
	copy.opened_by = rule_of(dp, copy.opened_by);
	copy.conduit = conduit_of(dp, copy.conduit);
	each(index, &copy, arg);
}

int datapath_flows(struct datapath *dp,
		   void (*each)(uint32_t index, const struct portcullis_slot *,
				void *arg),
		   void *arg)
{
	const struct portcullis_slot *slots;
	uint32_t first, n, i;

	for (first = 0; first < dp->n_slots; first += n) {
		n = dp->n_slots - first;
		if (n > FLOW_WINDOW)
			n = FLOW_WINDOW;
		slots = mmap(NULL, n * sizeof(*slots), PROT_READ, MAP_SHARED,
			     dp->map[PIN_slots], first * sizeof(*slots));
		if (slots == MAP_FAILED)
			return -errno;
		for (i = 0; i < n; i++)
			tell_slot(dp, first + i, &slots[i], each, arg);
		munmap((void *)slots, n * sizeof(*slots));
	}
	return 0;
}

uint32_t datapath_slots(const struct datapath *dp)
{
	return dp->n_slots;
}

/* ---- events ------------------------------------------------------------ */

int datapath_event_fd(const struct datapath *dp)
{
	return ring_buffer__epoll_fd(dp->ring);
}

static int on_event(void *arg, void *data, size_t len)
{
	struct portcullis_event event = { 0 };
	struct datapath *dp = arg;

	memcpy(&event, data, len < sizeof(event) ? len : sizeof(event));
	event.rule = rule_of(dp, event.rule);
	event.conduit = conduit_of(dp, event.conduit);
	if (event.evidence > EVIDENCE_BYTES)
		event.evidence = EVIDENCE_BYTES;
	if (event.record == RECORD_refusal)
		dp->each_event(&event, dp->each_arg);
	return --dp->events_left ? 0 : -ECANCELED;
}

int datapath_drain(struct datapath *dp, size_t most,
		   void (*each)(const struct portcullis_event *, void *arg),
		   void *arg)
{
	int err;

	if (!most)
		return 0;
	if (most > INT32_MAX)
		most = INT32_MAX;
	dp->each_event = each;
	dp->each_arg = arg;
	dp->events_left = most;
	err = ring_buffer__consume(dp->ring);
	if (err < 0 && err != -ECANCELED)
		return err;
	return most - dp->events_left;
}

/* ---- clock ------------------------------------------------------------- */

uint64_t datapath_jiffies(struct datapath *dp)
{
	return jiffies_read(dp->probe);
}

uint32_t datapath_hz(struct datapath *dp)
{
	return dp->gate->hz;
}

uint32_t datapath_generation(struct datapath *dp)
{
	return dp->gate->generation;
}
