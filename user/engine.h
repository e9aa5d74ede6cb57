/* SPDX-License-Identifier: GPL-2.0-only */
/* The gate without interfaces: packets in, verdicts out, one at a time. Two
 * engines run the same source: ENGINE_bpf the very kernel program through
 * BPF_PROG_TEST_RUN, ENGINE_host the same C built for this machine. They agree
 * on every verdict and reason; tests hold them to it.
 *
 * One engine is one gate with its own conversations. Not thread-safe: one
 * thread an engine, except engine_race().
 */
#ifndef PORTCULLIS_ENGINE_H
#define PORTCULLIS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image.h"

struct engine;

/* ENGINE_host_long: as ENGINE_host, but every packet is judged the long way, to
 * hold the fast way (bpf/fast.h) against it. */
enum engine_kind { ENGINE_host, ENGINE_bpf, ENGINE_host_long };
enum engine_door { DOOR_xdp, DOOR_tc };

struct engine_options {
	enum engine_kind kind;
	enum engine_door door;
	uint32_t
	    slots;     /* conversations, 0: 16384; rounded up to a power of 2 */
	uint64_t seed; /* of the hash keys; 0: random */
};

/* Builds an engine that enforces `image`. NULL and a sentence in *ret_error
 * (static or thread-local, not to be freed) on failure. */
struct engine *engine_open(const struct engine_options *options,
			   const struct image *image, const char **ret_error);
void engine_close(struct engine *engine); /* NULL is fine */

/* Switches to another policy, as `apply` does: a new generation. 0 / -errno. */
int engine_apply(struct engine *engine, const struct image *image);

/* Lets TCP conversations be picked up mid-stream until `ns` of packet time. */
void engine_grace(struct engine *engine, uint64_t until_ns);

/* How many annexes may be lent (bpf/entries.h); at first all, ANNEXES. */
void engine_annexes(struct engine *engine, uint32_t n);

struct engine_result {
	uint8_t verdict;  /* enum portcullis_verdict */
	uint8_t reason;	  /* enum portcullis_reason */
	uint8_t would;	  /* what enforce would have done */
	uint8_t proto;	  /* committed or expected protocol, 0: none */
	uint8_t function; /* of the last message judged, FUNCTION_none */
	bool from_server; /* the sender is the side that was called */
	bool forwarded;	  /* something goes on to the receiver: the packet, or
			   * the RST that it was made into */
	bool turned;	  /* an RST goes back to the sender instead */
	uint32_t slot;	  /* index + 1 of the conversation, 0: none */
	uint16_t service;
	uint16_t conduit;
	uint32_t rule;
	const uint8_t
	    *out; /* the frame as it leaves; valid till the next run */
	size_t out_len;
};

/* Judges one Ethernet frame that came in on policy port `port` (id: index in
 * image->ports + 1) at `time_ns` (any epoch, must not go back; jiffies are
 * derived from it at 1000 Hz). `frame` is not changed. 0 / -errno. */
int engine_run(struct engine *engine, unsigned int port, uint64_t time_ns,
	       const void *frame, size_t len, struct engine_result *ret_result);

/* For races, ENGINE_bpf with DOOR_xdp only: from then on port 1 and port 2 are
 * the real interfaces `ifindex`, and engine_thread_run() may be called from
 * several threads at once; time stands still and nothing is traced that could
 * be read. 0 / -errno. */
int engine_thread_ports(struct engine *engine, const uint32_t ifindex[2]);
/* As engine_run(). *ret_forwarded: the very frame went on. 0 / -errno. */
int engine_thread_run(struct engine *engine, unsigned int port,
		      const void *frame, size_t len, bool *ret_forwarded);

/* The conversation behind result.slot, NULL if the number is out of range. A
 * copy, valid till the next call. */
const struct portcullis_slot *engine_slot(struct engine *engine, uint32_t slot);

/* Sums over all CPUs. */
int engine_counts(struct engine *engine, struct portcullis_counts *ret_counts);

/* Next event, oldest first. 0: got one, with its evidence; -EAGAIN: none. */
int engine_event(struct engine *engine, struct portcullis_event *ret_event);

#endif
