/* SPDX-License-Identifier: GPL-2.0-only */
static __always_inline void sample_step(struct step *s, struct state *st)
{
	struct sample_own *own = (struct sample_own *)st->own;

	own->left = be16_at(s, 2);
	take(s, 4, own->left);
}
