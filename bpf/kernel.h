/* SPDX-License-Identifier: GPL-2.0-only */
/* What the core stands on: in the kernel program the maps and helpers of BPF,
 * on the host plain memory behind the same functions. The only file of bpf/
 * that asks where it is.
 */
#ifndef PORTCULLIS_KERNEL_H
#define PORTCULLIS_KERNEL_H

#include <portcullis/abi.h>

/* A header as it stands in a frame, all of whose fields are aligned within it.
 * The frame is not, which the kernel's machines do not mind; told so, the
 * compiler would take every field together from single bytes. */
#ifdef __bpf__
#define WIRE_LAYOUT
#else
#define WIRE_LAYOUT __attribute__((packed))
#endif

#ifdef __bpf__
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "scratch.h"
#include "maps.h"
#include "frame.h"

/* Makes NAME(f, x) of NAME_inline(f, x): a function of its own for each door,
 * which the verifier sees once, instead of a copy at every caller. */
#define DOOR_FUNCTION(name)                                                    \
	__noinline int name##_xdp(struct xdp_md *ctx, struct scratch *x)       \
	{                                                                      \
		struct frame f = { .xdp = ctx, .is_xdp = 1 };                  \
                                                                               \
		return x ? name##_inline(&f, x) : REASON_internal;             \
	}                                                                      \
	__noinline int name##_tc(struct __sk_buff *ctx, struct scratch *x)     \
	{                                                                      \
		struct frame f = { .skb = ctx };                               \
                                                                               \
		return x ? name##_inline(&f, x) : REASON_internal;             \
	}                                                                      \
	static __always_inline int name(const struct frame *f,                 \
					struct scratch *x)                     \
	{                                                                      \
		return f->is_xdp ? name##_xdp(f->xdp, x)                       \
				 : name##_tc(f->skb, x);                       \
	}

/* Makes NAME(f, turns) of NAME_turn(f): called until it returns 1. */
#define DOOR_LOOP(name)                                                        \
	static long name##_turn_xdp(__u32 i, struct xdp_md **ctx)              \
	{                                                                      \
		struct frame f = { .xdp = *ctx, .is_xdp = 1 };                 \
                                                                               \
		return name##_turn(&f);                                        \
	}                                                                      \
	static long name##_turn_tc(__u32 i, struct __sk_buff **ctx)            \
	{                                                                      \
		struct frame f = { .skb = *ctx };                              \
                                                                               \
		return name##_turn(&f);                                        \
	}                                                                      \
	static __always_inline void name(const struct frame *f, __u32 turns)   \
	{                                                                      \
		struct xdp_md *xdp = f->xdp;                                   \
		struct __sk_buff *skb = f->skb;                                \
                                                                               \
		if (f->is_xdp)                                                 \
			bpf_loop(turns, name##_turn_xdp, &xdp, 0);             \
		else                                                           \
			bpf_loop(turns, name##_turn_tc, &skb, 0);              \
	}
#else
#include "scratch.h"
#include "host.h"
#endif

#endif
