/* SPDX-License-Identifier: GPL-2.0-only */
static __always_inline void sample_step(struct step *s, struct state *st)
{
	take(s, 4, *(__u16 *)((__u8 *)s + 2));
}
