/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two engines have in common: engine.c chooses by it. */
#ifndef PORTCULLIS_ENGINE_HOST_H
#define PORTCULLIS_ENGINE_HOST_H

#include "engine.h"

struct engine_ops {
	struct engine *(*open)(const struct engine_options *options,
			       const struct image *image,
			       const char **ret_error);
	void (*close)(struct engine *engine);
	int (*apply)(struct engine *engine, const struct image *image);
	void (*grace)(struct engine *engine, uint64_t until_jiffies);
	void (*annexes)(struct engine *engine, uint32_t n);
	int (*run)(struct engine *engine, unsigned int port, uint64_t jiffies,
		   const void *frame, size_t len, struct engine_result *ret);
	const struct portcullis_slot *(*slot)(struct engine *engine,
					      uint32_t slot);
	int (*counts)(struct engine *engine, struct portcullis_counts *ret);
	int (*event)(struct engine *engine, struct portcullis_event *ret);
};

/* First member of either engine. */
struct engine {
	const struct engine_ops *ops;
};

extern const struct engine_ops engine_host_ops;
extern const struct engine_ops engine_bpf_ops;

/* Frames that an engine takes, bytes. */
enum { ENGINE_FRAME_MOST = 65536 + 256 };

/* An engine's interfaces are numbers only: port id + this. */
enum { ENGINE_IFINDEX = 1000 };

/* The ports of an image; where it names none, two that are a wire. Fills
 * ports[1..] and returns how many. */
unsigned int engine_ports(const struct image *image,
			  struct portcullis_port ports[PORTS_MAX]);

/* Random or from a seed: the keys of the two hashes. */
void engine_keys(uint64_t seed, struct portcullis_gate *gate);

/* What the gate's row says of an image that becomes `generation`. */
void engine_gate(const struct image *image, uint32_t generation,
		 struct portcullis_gate *gate);

uint32_t engine_slot_count(const struct engine_options *options);

/* From what was traced to what the caller is told. */
void engine_result_from(const struct portcullis_trace *t,
			struct engine_result *ret);

#endif
