/* SPDX-License-Identifier: GPL-2.0-only */
/* One vocabulary over two contexts: a frame is what XDP or tc handed in. What
 * is directly readable is read directly; the rest through load_bytes, piece by
 * piece. host.h has the same functions over plain memory.
 */
#ifndef PORTCULLIS_FRAME_H
#define PORTCULLIS_FRAME_H

#include "scratch.h"

/* Which of the two is set stands in a constant of its own, so that the other
 * half of every function here vanishes: that a context is never NULL is more
 * than the compiler knows. */
struct frame {
	struct xdp_md *xdp;
	struct __sk_buff *skb;
	int is_xdp;
};

/* The context's pointers are 32-bit fields that the verifier takes for 64-bit
 * pointers. Read by one instruction that the compiler cannot take apart, or it
 * may compare or copy only half of one. */
static __always_inline void *frame_data(const struct frame *f)
{
	void *p;

	if (f->is_xdp)
		asm volatile("%0 = *(u32 *)(%1 + %2)"
			     : "=r"(p)
			     : "r"(f->xdp),
			       "i"(__builtin_offsetof(struct xdp_md, data)));
	else
		asm volatile("%0 = *(u32 *)(%1 + %2)"
			     : "=r"(p)
			     : "r"(f->skb),
			       "i"(__builtin_offsetof(struct __sk_buff, data)));
	return p;
}

static __always_inline void *frame_end(const struct frame *f)
{
	void *p;

	if (f->is_xdp)
		asm volatile("%0 = *(u32 *)(%1 + %2)"
			     : "=r"(p)
			     : "r"(f->xdp), "i"(__builtin_offsetof(
						struct xdp_md, data_end)));
	else
		asm volatile("%0 = *(u32 *)(%1 + %2)"
			     : "=r"(p)
			     : "r"(f->skb), "i"(__builtin_offsetof(
						struct __sk_buff, data_end)));
	return p;
}

/* Bytes of the whole frame, what is not linear included. */
static __always_inline __u32 frame_length(const struct frame *f)
{
	if (f->is_xdp)
		return bpf_xdp_get_buff_len(f->xdp);
	return f->skb->len;
}

static __always_inline __u32 frame_ifindex(const struct frame *f)
{
	if (f->is_xdp)
		return f->xdp->ingress_ifindex;
	return f->skb->ifindex;
}

/* Eight bytes that may lie anywhere. */
static __always_inline __u64 load64(const void *p)
{
	return *(const __u64 *)p;
}

/* 0, or negative when the bytes are not there. */
static __always_inline int frame_load(const struct frame *f, __u32 off,
				      void *to, __u32 len)
{
	if (f->is_xdp)
		return bpf_xdp_load_bytes(f->xdp, off, to, len);
	return bpf_skb_load_bytes(f->skb, off, to, len);
}

/* Cuts the frame to `len` bytes. */
static __always_inline int frame_cut(const struct frame *f, __u32 len)
{
	if (f->is_xdp)
		return bpf_xdp_adjust_tail(
		    f->xdp, (int)len - (int)bpf_xdp_get_buff_len(f->xdp));
	return bpf_skb_change_tail(f->skb, len, 0);
}

/* The tag that the device took off, if it did: tc only. */
static __always_inline __u16 frame_tag_beside(const struct frame *f)
{
	if (f->is_xdp || !f->skb->vlan_present)
		return 0xffff;
	return f->skb->vlan_tci & 0xfff;
}

static __always_inline __u16 frame_gso(const struct frame *f)
{
	return f->is_xdp ? 0 : (__u16)f->skb->gso_size;
}

#endif
