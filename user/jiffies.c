/* SPDX-License-Identifier: GPL-2.0-only */
#include "jiffies.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* An XDP program that writes bpf_jiffies64() over the
 * first eight bytes of its packet, if that has as many. */
static const struct bpf_insn program[] = {
	/* r6 = context */
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
	/* r2 = data, r3 = data_end */
	{ .code = BPF_LDX | BPF_W | BPF_MEM,
	  .dst_reg = 2,
	  .src_reg = 6,
	  .off = offsetof(struct xdp_md, data) },
	{ .code = BPF_LDX | BPF_W | BPF_MEM,
	  .dst_reg = 3,
	  .src_reg = 6,
	  .off = offsetof(struct xdp_md, data_end) },
	/* if data + 8 > data_end goto the end */
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 2 },
	/* NOLINTNEXTLINE(misc-redundant-expression): both names are 0 */
	{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = 8 },
	{ .code = BPF_JMP | BPF_JGT | BPF_X,
	  .dst_reg = 4,
	  .src_reg = 3,
	  .off = 1 },
	{ .code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 2, .src_reg = 0 },
	/* return XDP_PASS */
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
	{ .code = BPF_JMP | BPF_EXIT },
};

int jiffies_open(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "jiffies", "GPL", program,
			     sizeof(program) / sizeof(program[0]), &opts);
}

uint64_t jiffies_read(int probe)
{
	uint8_t in[64] = { 0 }, out[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in,
		    .data_size_in = sizeof(in), .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);
	uint64_t now;

	if (bpf_prog_test_run_opts(probe, &opts))
		return 0;
	memcpy(&now, out, sizeof(now));
	return now;
}

/* The coarse clocks step once a jiffy, and say how far. */
uint32_t jiffies_per_second(void)
{
	struct timespec step;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &step) || step.tv_sec ||
	    step.tv_nsec < 1)
		return 0;
	return (1000000000 + step.tv_nsec / 2) / step.tv_nsec;
}
