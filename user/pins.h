/* SPDX-License-Identifier: GPL-2.0-only */
/* The state behind struct datapath, shared by the files that implement it:
 * pins.c (load, pin, adopt), generation.c (fill and switch), interfaces.c
 * (which interfaces, follow them), attach.c (doors), datapath.c (the rest).
 *
 * What must outlive the daemon is in pinned maps. One of them, `loader`, is
 * used by no program: it is the loader's memory, and stays right whenever it
 * dies.
 */
#ifndef PORTCULLIS_PINS_H
#define PORTCULLIS_PINS_H

#include "datapath.h"
#include "identity.h"
#include "netlink.h"
#include "nft.h"

enum { PIN_PATH = 256 };

/* Maps of the object that the loader reads or writes, and the size of a value
 * where an adopted one must have it. */
#define PIN_MAPS(MAP)                                                          \
	MAP(data_gate, sizeof(struct portcullis_gate))                         \
	MAP(rulesets, sizeof(struct portcullis_ruleset))                       \
	MAP(conditions, sizeof(struct portcullis_condition))                   \
	MAP(shapes, sizeof(struct portcullis_shape))                           \
	MAP(limits, sizeof(struct portcullis_limits))                          \
	MAP(places4, 0)                                                        \
	MAP(places6, 0)                                                        \
	MAP(keys, 0)                                                           \
	MAP(services, 0)                                                       \
	MAP(peers, 0)                                                          \
	MAP(copies, 0)                                                         \
	MAP(slots, sizeof(struct portcullis_slot))                             \
	MAP(counts, sizeof(struct portcullis_counts))                          \
	MAP(rule_counts, sizeof(struct portcullis_rule_count))                 \
	MAP(violations, sizeof(__u64))                                         \
	MAP(events, 0)

enum pin {
#define MAP(name, value_size) PIN_##name,
	PIN_MAPS(MAP)
#undef MAP
	    PIN_max,
};

enum attached {
	ATTACHED_none = 0,
	ATTACHED_native,
	ATTACHED_generic,
	ATTACHED_tcx,
	ATTACHED_clsact,
};

/* What an interface is to the policy. */
struct role {
	uint8_t forward;    /* enum portcullis_forward */
	uint8_t peer;	    /* wire: id of the other end */
	uint8_t is_monitor; /* only a target of mirror and divert */
	uint8_t pad;
};

/* An interface, at its port id. Ids stay with names over generations, since
 * conversations remember them. */
struct interface {
	char name[16];	      /* "": the id was never used */
	uint32_t ifindex;     /* 0: not there */
	uint32_t changed;     /* DEVICE_*, to be put back */
	uint64_t lost_before; /* by the device, when it was attached */
	uint64_t
	    settles; /* CLOCK_MONOTONIC ns: till then no carrier, no loss */
	struct role role;
	uint8_t used;	      /* the policy in force names it */
	uint8_t attached;     /* enum attached */
	uint8_t copier;	      /* likewise, of the program that copies */
	uint8_t held;	      /* down, since the other end has no carrier */
	uint8_t seen_carrier; /* since it was attached or let up */
	uint8_t made_clsact;
	uint8_t copies; /* its row of `copies` is there */
	uint8_t pad;
	uint32_t generation; /* last that named it */
	char why[128];
};

/* The row of map `loader`. */
struct own {
	struct interface interfaces[PORTS_MAX]; /* by port id; 0: not used */
	struct identity conduits[CONDUITS_MAX];
	struct identity rules[RULES_MAX];
	uint32_t fail_open;
	uint32_t pad;
};

struct datapath {
	char pin_dir[200];
	struct datapath_options options;
	int map[PIN_max];
	int prog_xdp;
	int prog_tc; /* -1: not needed yet */
	int prog_copy;
	struct own *own;
	struct portcullis_gate *gate;
	uint32_t n_slots;

	int probe; /* program that tells jiffies */
	int n_cpus;
	struct nft *nft;
	int link_fd;
	uint64_t followed; /* CLOCK_MONOTONIC ns */
	struct ring_buffer *ring;
	void (*each_event)(const struct portcullis_event *event, void *arg);
	void *each_arg;
	size_t events_left;

	/* of the policy in force, once this process has applied it */
	struct generation *generation;
	/* handed out, valid till the next call */
	struct datapath_port_status status[PORTS_MAX];
	char status_text[PORTS_MAX][40];
};

/* Loads and pins, or adopts what is pinned: maps, programs, own, gate. On
 * failure a sentence, and what was made is gone. 0 / -errno. */
int pins_open(struct datapath *dp, bool *ret_adopted, char *error,
	      size_t error_len);
/* Loads and pins the program for tc where there is none yet. Likewise. */
/* The program that goes on where the fast way of a door gives up: the one row
 * of `way`. 0 / -errno. */
struct bpf_map;
struct bpf_program;
int pins_long_way(const struct bpf_map *way, const struct bpf_program *prog);
int pins_need_tc(struct datapath *dp, char *error, size_t error_len);
void pins_close(struct datapath *dp);
bool pins_exist(const struct datapath *dp);
void pins_remove(const struct datapath *dp);

/* Path of a pin, in `path` of PIN_PATH bytes. */
const char *pin_path(const struct datapath *dp, const char *name, char *path);

/* Writes a sentence and returns `err`. */
__attribute__((format(printf, 4, 5))) int say(char *error, size_t error_len,
					      int err, const char *format, ...);

uint64_t monotonic_now(void);

#endif
