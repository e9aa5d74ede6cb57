/* SPDX-License-Identifier: GPL-2.0-only */
#include "engine_host.h"

#include <sys/random.h>
#include <string.h>

struct engine *engine_open(const struct engine_options *options,
			   const struct image *image, const char **ret_error)
{
	const struct engine_ops *ops =
	    options->kind == ENGINE_bpf ? &engine_bpf_ops : &engine_host_ops;
	struct engine *engine;

	*ret_error = "out of memory";
	engine = ops->open(options, image, ret_error);
	if (engine)
		engine->ops = ops;
	return engine;
}

void engine_close(struct engine *engine)
{
	if (engine)
		engine->ops->close(engine);
}

int engine_apply(struct engine *engine, const struct image *image)
{
	return engine->ops->apply(engine, image);
}

/* Packet time begins an hour after the engine's own, so that "long ago" can be
 * told from "never". */
static uint64_t jiffies_of(uint64_t ns)
{
	return ns / 1000000 + 3600000;
}

void engine_grace(struct engine *engine, uint64_t until_ns)
{
	engine->ops->grace(engine, until_ns ? jiffies_of(until_ns) : 0);
}

void engine_annexes(struct engine *engine, uint32_t n)
{
	engine->ops->annexes(engine, n);
}

int engine_run(struct engine *engine, unsigned int port, uint64_t time_ns,
	       const void *frame, size_t len, struct engine_result *ret_result)
{
	return engine->ops->run(engine, port, jiffies_of(time_ns), frame, len,
				ret_result);
}

const struct portcullis_slot *engine_slot(struct engine *engine, uint32_t slot)
{
	return engine->ops->slot(engine, slot);
}

int engine_counts(struct engine *engine, struct portcullis_counts *ret_counts)
{
	return engine->ops->counts(engine, ret_counts);
}

int engine_event(struct engine *engine, struct portcullis_event *ret_event)
{
	return engine->ops->event(engine, ret_event);
}

/* ---- shared by the engines ---------------------------------------------- */

unsigned int engine_ports(const struct image *image,
			  struct portcullis_port ports[PORTS_MAX])
{
	unsigned int i, n = image->n_ports;

	memset(ports, 0, PORTS_MAX * sizeof(*ports));
	if (!n) {
		for (i = 1; i <= 2; i++)
			ports[i] = (struct portcullis_port){
				.ifindex = ENGINE_IFINDEX + i,
				.id = i,
				.forward = FORWARD_wire,
				.peer = 3 - i,
				.domain = 1 << 16,
			};
		return 2;
	}
	for (i = 1; i <= n && i < PORTS_MAX; i++)
		ports[i] = (struct portcullis_port){
			.ifindex = ENGINE_IFINDEX + i,
			.id = i,
			.forward = image->ports[i - 1].forward,
			.peer = image->ports[i - 1].peer,
			.domain = (__u32)image->ports[i - 1].wire << 16,
		};
	return i - 1;
}

static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

void engine_keys(uint64_t seed, struct portcullis_gate *gate)
{
	int i;

	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uintptr_t)gate;
	gate->sip_key[0] = mix(&seed);
	gate->sip_key[1] = mix(&seed);
	for (i = 0; i < HASH_WORDS; i++)
		gate->hash_key[i] = mix(&seed);
	gate->hint_mask = HINTS_LEAST - 1;
}

void engine_gate(const struct image *image, uint32_t generation,
		 struct portcullis_gate *gate)
{
	image_site(image, &gate->site[generation & 1]);
	gate->hz = 1000;
	gate->reply_jiffies = 5000;
	gate->resync_until = gate->clock + 10000;
}

uint32_t engine_slot_count(const struct engine_options *options)
{
	uint32_t n = 64;

	while (n < (options->slots ?: 16384))
		n *= 2;
	return n;
}

void engine_result_from(const struct portcullis_trace *t,
			struct engine_result *ret)
{
	ret->verdict = t->verdict;
	ret->reason = t->reason;
	ret->would = t->would;
	ret->proto = t->proto;
	ret->function = t->function;
	ret->from_server = t->from_server;
	ret->turned = t->turned;
	ret->forwarded = !t->turned && (t->verdict == VERDICT_pass ||
					t->verdict == VERDICT_mirror ||
					t->verdict == VERDICT_reset);
	ret->slot = t->slot;
	ret->service = t->service;
	ret->conduit = t->conduit;
	ret->rule = t->rule;
}
