/* SPDX-License-Identifier: GPL-2.0-only */
/* Every reason of the table on the kernel engine, the host engine agreeing; and
 * those that only the kernel has, because there other CPUs and other memory
 * are. They are brought about in the program's own maps.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../bpf/scratch.h"
#include "reasons.h"

enum { FDS = 1024 };

/* The map of this process that has this name, -1 if there is none. */
static int map_named(const char *name)
{
	struct bpf_map_info info;
	__u32 len;
	int fd;

	for (fd = 3; fd < FDS; fd++) {
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    info.max_entries && !strcmp(info.name, name))
			return fd;
	}
	printf("no map %s\n", name);
	return -1;
}

/* Another CPU holds the conversation. */
static void play_busy(struct lab *l)
{
	size_t size = 4096 * sizeof(struct portcullis_slot);
	struct portcullis_slot *slots;
	struct talk_lab t;
	__u32 *lock;

	slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     map_named("slots"), 0);
	if (slots == MAP_FAILED)
		return;
	lab_talk(l, &t, 6, 1, 502);
	lab_open(l, &t);
	l->first_only = true;
	if (l->last.slot) {
		lock = &slots[l->last.slot - 1].lock;
		++*lock;
		lab_bytes(l, &t, 0, "\0\1\0\0\0\6\1\3\0\0\0\2");
		++*lock;
	}
	munmap(slots, size);
}

static bool hold_scratches(int fd, __u32 in_use)
{
	int i, n = libbpf_num_possible_cpus();
	struct scratch *all = n > 0 ? calloc(n, sizeof(*all)) : NULL;
	__u32 zero = 0;
	bool good;

	if (!all)
		return false;
	for (i = 0; i < n; i++)
		all[i].in_use = in_use;
	good = !bpf_map_update_elem(fd, &zero, all, 0);
	free(all);
	return good;
}

/* The packet came in while another was being judged: it is dropped and counted,
 * and leaves no trace, since the trace is the other's. */
static void play_scratch_busy(struct lab *l)
{
	static struct portcullis_counts before, after;
	struct talk_lab t;
	int fd = map_named("scratches");

	lab_talk(l, &t, 6, 1, 502);
	l->first_only = true;
	engine_counts(l->engines[0], &before);
	if (!hold_scratches(fd, 1))
		return;
	lab_segment(l, &t, 0, FRAME_SYN, -1, NULL, 0);
	hold_scratches(fd, 0);
	engine_counts(l->engines[0], &after);
	l->last.reason = REASON_none;
	if (after.reason[REASON_scratch_busy][VERDICT_drop] !=
	    before.reason[REASON_scratch_busy][VERDICT_drop] + 1)
		return;
	l->last.reason = REASON_scratch_busy;
	l->seen[REASON_scratch_busy] = 1;
}

/* Before the first apply. */
static void play_no_policy(struct lab *l)
{
	struct portcullis_gate gate, none;
	struct talk_lab t;
	__u32 zero = 0;
	int fd = map_named(".data.gate");

	if (bpf_map_lookup_elem(fd, &zero, &gate))
		return;
	none = gate;
	none.generation = 0;
	if (bpf_map_update_elem(fd, &zero, &none, 0))
		return;
	lab_talk(l, &t, 6, 1, 502);
	l->first_only = true;
	lab_segment(l, &t, 0, FRAME_SYN, -1, NULL, 0);
	bpf_map_update_elem(fd, &zero, &gate, 0);
}

/* XDP cannot load what begins beyond 64 kB of a frame, which the longest IPv4
 * packet behind two VLAN tags has. No interface has such an MTU; if one had,
 * the gate would refuse. Here the engines differ: plain memory goes on. */
static void play_unreadable(struct lab *l)
{
	enum { HEADERS = 14 + 8 + 20 + 20, BEYOND = 65536 - HEADERS };
	static char payload[65535 - 40];
	struct talk_lab t;
	int head;

	lab_talk(l, &t, 6, 1, 80);
	t.head.outer = 9;
	t.head.vlan = 7;
	t.head.window = 65535;
	lab_open(l, &t);
	head = snprintf(payload, sizeof(payload),
			"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ");
	head += snprintf(payload + head, sizeof(payload) - head, "%d\r\n\r\n",
			 BEYOND - head - 9);
	memset(payload + head, 'x', BEYOND - head);
	strcpy(payload + BEYOND, "GET / HTTP/1.1\r\n");
	l->first_only = true;
	lab_say(l, &t, 0, payload, BEYOND + 16);
}

static const struct reasons_case more[] = {
	{ REASON_busy, play_busy, POLICY_usual },
	{ REASON_scratch_busy, play_scratch_busy, POLICY_usual },
	{ REASON_no_policy, play_no_policy, POLICY_usual },
	{ REASON_unreadable, play_unreadable, POLICY_usual },
	{ REASON_none, NULL, POLICY_usual },
};

static const struct reasons_exception except[] = {
	{ REASON_internal,
	  "only a fault of the gate's own code gives it; fuzz_packet and fuzz_proto look for one" },
	{ REASON_none, NULL },
};

int main(int argc, char **argv)
{
	static const enum engine_kind kinds[] = { ENGINE_bpf, ENGINE_host };

	return reasons_main(argc, argv, kinds, 2, more, except);
}
