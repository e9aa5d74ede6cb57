/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own program, run packet by packet through BPF_PROG_TEST_RUN. The
 * policy stands in its maps by the very code that fills a running gate's.
 */
#include "engine_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "generation.h"
#include "jiffies.h"
#include "portcullis.skel.h"

struct engine_bpf {
	struct engine base;
	struct portcullis *skel;
	struct datapath dp; /* as far as generation.c reads it */
	int prog;
	enum engine_door door;
	uint32_t n_slots;
	const struct portcullis_slot *slots;
	const struct portcullis_trace *trace;
	uint32_t thread_ifindex[2];
	struct ring_buffer *ring;
	struct portcullis_event event;
	bool got_event;
	__u8 out[ENGINE_FRAME_MOST];
};

static void *map_rows(const struct bpf_map *map, size_t size, int prot)
{
	void *rows = mmap(NULL, size, prot, MAP_SHARED, bpf_map__fd(map), 0);

	return rows == MAP_FAILED ? NULL : rows;
}

static void bpf_engine_close(struct engine *engine)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;

	generation_free(e->dp.generation);
	ring_buffer__free(e->ring);
	portcullis__destroy(e->skel);
	free(e->dp.own);
	free(e);
}

/* Every interface of the image has the id of its place. */
static void plan_ports(const struct image *image, struct interface_plan *plan)
{
	size_t i;

	memset(plan, 0, sizeof(*plan));
	plan->n = image->n_ports;
	for (i = 0; i < plan->n; i++) {
		plan->id[i] = i + 1;
		plan->role[i].forward = image->ports[i].forward;
		plan->role[i].peer = image->ports[i].peer;
	}
}

static void put_ports(struct engine_bpf *e, const struct image *image)
{
	struct portcullis_port ports[PORTS_MAX];
	unsigned int i, n = engine_ports(image, ports);

	memset(e->dp.gate->ports, 0, sizeof(e->dp.gate->ports));
	for (i = 1; i <= n; i++)
		e->dp.gate->ports[ports[i].ifindex % PORT_TABLE] = ports[i];
}

static int bpf_engine_apply(struct engine *engine, const struct image *image)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;
	struct generation *next = NULL;
	struct interface_plan plan;
	char error[256];
	int err;

	plan_ports(image, &plan);
	err =
	    generation_build(&e->dp, image, &plan, &next, error, sizeof(error));
	if (err)
		return err;
	put_ports(e, image);
	generation_switch(&e->dp, image, next);
	engine_gate(image, e->dp.gate->generation, e->dp.gate);
	return 0;
}

static int keep_event(void *arg, void *data, size_t len)
{
	struct engine_bpf *e = arg;

	if (len < sizeof(e->event))
		return 0;
	memcpy(&e->event, data, sizeof(e->event));
	e->got_event = true;
	return 1; /* one at a time */
}

static int set_up(struct engine_bpf *e, const struct engine_options *options)
{
	struct portcullis *skel = e->skel;
	int err;

	e->n_slots = engine_slot_count(options);
	skel->rodata->tracing = 1;
	skel->rodata->set_count = e->n_slots / SET_WAYS;
	skel->rodata->hint_most = e->n_slots - 1;
	bpf_program__set_autoload(skel->progs.portcullis_copy, false);
	bpf_program__set_autoload(skel->progs.portcullis_xdp,
				  options->door == DOOR_xdp);
	bpf_program__set_autoload(skel->progs.portcullis_long_xdp,
				  options->door == DOOR_xdp);
	bpf_program__set_autoload(skel->progs.portcullis_tc,
				  options->door == DOOR_tc);
	bpf_program__set_autoload(skel->progs.portcullis_long_tc,
				  options->door == DOOR_tc);
	err = bpf_map__set_max_entries(skel->maps.slots, e->n_slots) ?:
	      bpf_map__set_max_entries(skel->maps.sets,
				       e->n_slots / SET_WAYS) ?:
	      bpf_map__set_max_entries(skel->maps.hints, e->n_slots) ?:
	      portcullis__load(skel);
	if (err)
		return err;
	return options->door == DOOR_tc
		   ? pins_long_way(skel->maps.long_tc,
				   skel->progs.portcullis_long_tc)
		   : pins_long_way(skel->maps.long_xdp,
				   skel->progs.portcullis_long_xdp);
}

static int open_maps(struct engine_bpf *e, const struct engine_options *options)
{
	struct portcullis *skel = e->skel;

#define MAP(name, value_size)                                                  \
	e->dp.map[PIN_##name] = bpf_map__fd(skel->maps.name);
	PIN_MAPS(MAP)
#undef MAP
	e->dp.n_slots = e->n_slots;
	e->dp.own = calloc(1, sizeof(*e->dp.own));
	e->dp.gate = map_rows(skel->maps.data_gate, sizeof(*e->dp.gate),
			      PROT_READ | PROT_WRITE);
	e->trace = map_rows(skel->maps.trace, sizeof(*e->trace), PROT_READ);
	e->slots = map_rows(skel->maps.slots, e->n_slots * sizeof(*e->slots),
			    PROT_READ);
	e->ring = ring_buffer__new(bpf_map__fd(skel->maps.events), keep_event,
				   e, NULL);
	if (!e->dp.own || !e->dp.gate || !e->trace || !e->slots || !e->ring)
		return -ENOMEM;
	e->dp.gate->annexes = ANNEXES;
	engine_keys(options->seed, e->dp.gate);
	return 0;
}

static const char *why(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return "no permission to load BPF programs: it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
	case ENOSYS:
		return "this kernel has no BPF";
	case ENOMEM:
		return "out of memory";
	default:
		return "the kernel does not take the program";
	}
}

/* Whether any program can be loaded, without what libbpf says of that; of a
 * program that is refused it says more than we could. */
static int probe(void)
{
	libbpf_print_fn_t before = libbpf_set_print(NULL);
	int fd = jiffies_open();

	libbpf_set_print(before);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static struct engine *bpf_engine_open(const struct engine_options *options,
				      const struct image *image,
				      const char **ret_error)
{
	struct engine_bpf *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return NULL;
	e->door = options->door;
	err = probe();
	if (err)
		goto fail;
	e->skel = portcullis__open();
	if (!e->skel) {
		err = -errno;
		goto fail;
	}
	err = set_up(e, options) ?: open_maps(e, options) ?:
				   bpf_engine_apply(&e->base, image);
	if (err)
		goto fail;
	e->prog =
	    bpf_program__fd(e->door == DOOR_tc ? e->skel->progs.portcullis_tc
					       : e->skel->progs.portcullis_xdp);
	return &e->base;
fail:
	*ret_error = why(err);
	bpf_engine_close(&e->base);
	return NULL;
}

static void bpf_engine_grace(struct engine *engine, uint64_t until)
{
	((struct engine_bpf *)engine)->dp.gate->grace_until = until;
}

static void bpf_engine_annexes(struct engine *engine, uint32_t n)
{
	((struct engine_bpf *)engine)->dp.gate->annexes = n;
}

/* The loader gives rules and conduits rows that outlive a policy: back to the
 * numbers of the image. */
static void number_back(const struct generation *g, struct engine_result *ret)
{
	if (ret->slot && ret->rule < RULES_MAX)
		ret->rule = g->rule_of[ret->rule];
	if (ret->conduit && ret->conduit < CONDUITS_MAX)
		ret->conduit = g->conduit_of[ret->conduit];
}

static int bpf_engine_run(struct engine *engine, unsigned int port,
			  uint64_t jiffies, const void *frame, size_t len,
			  struct engine_result *ret)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = len, .data_out = e->out,
		    .data_size_out = sizeof(e->out), .repeat = 1);

	e->dp.gate->clock = jiffies;
	e->dp.gate->trace_ifindex = ENGINE_IFINDEX + port;
	if (bpf_prog_test_run_opts(e->prog, &opts))
		return -errno;
	engine_result_from(e->trace, ret);
	number_back(e->dp.generation, ret);
	ret->out = e->out;
	ret->out_len = opts.data_size_out;
	return 0;
}

int engine_thread_ports(struct engine *engine, const uint32_t ifindex[2])
{
	struct engine_bpf *e = (struct engine_bpf *)engine;
	struct portcullis_port *ports = e->dp.gate->ports, port;
	int i;

	for (i = 0; i < 2; i++) {
		port = ports[(ENGINE_IFINDEX + 1 + i) % PORT_TABLE];
		port.ifindex = ifindex[i];
		ports[ifindex[i] % PORT_TABLE] = port;
		e->thread_ifindex[i] = ifindex[i];
	}
	e->dp.gate->trace_ifindex = 0;
	return 0;
}

int engine_thread_run(struct engine *engine, unsigned int port,
		      const void *frame, size_t len, bool *ret_forwarded)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;
	struct xdp_md ctx = { .data_end = len };
	__u8 out[2048];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	if (port < 1 || port > 2 || len > sizeof(out))
		return -EINVAL;
	ctx.ingress_ifindex = e->thread_ifindex[port - 1];
	if (bpf_prog_test_run_opts(e->prog, &opts))
		return -errno;
	/* Redirects lead nowhere here, which XDP calls aborted; what was made
	 * an RST is another frame. */
	*ret_forwarded = opts.retval != XDP_DROP && opts.data_size_out == len &&
			 !memcmp(out, frame, len);
	return 0;
}

static const struct portcullis_slot *bpf_engine_slot(struct engine *engine,
						     uint32_t slot)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;

	if (!slot || slot > e->n_slots)
		return NULL;
	return &e->slots[slot - 1];
}

static int bpf_engine_counts(struct engine *engine,
			     struct portcullis_counts *ret)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;
	int i, n = libbpf_num_possible_cpus();
	_cleanup_free_ struct portcullis_counts *all = NULL;
	__u64 *sum = (__u64 *)ret;
	__u32 zero = 0;
	size_t k;

	if (n < 0)
		return n;
	all = calloc(n, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (bpf_map_lookup_elem(e->dp.map[PIN_counts], &zero, all))
		return -errno;
	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < n; i++)
		for (k = 0; k < sizeof(*ret) / sizeof(*sum); k++)
			sum[k] += ((const __u64 *)&all[i])[k];
	return 0;
}

static int bpf_engine_event(struct engine *engine, struct portcullis_event *ret)
{
	struct engine_bpf *e = (struct engine_bpf *)engine;

	e->got_event = false;
	ring_buffer__consume(e->ring);
	if (!e->got_event)
		return -EAGAIN;
	*ret = e->event;
	return 0;
}

const struct engine_ops engine_bpf_ops = {
	.open = bpf_engine_open,
	.close = bpf_engine_close,
	.apply = bpf_engine_apply,
	.grace = bpf_engine_grace,
	.annexes = bpf_engine_annexes,
	.run = bpf_engine_run,
	.slot = bpf_engine_slot,
	.counts = bpf_engine_counts,
	.event = bpf_engine_event,
};
