/* SPDX-License-Identifier: GPL-2.0-only */
/* The fail-closed table of the kernel way: what would be forwarded from or to a
 * guarded interface that no program watches is dropped. Guarded interfaces are
 * held by name, so that the table stands before the device does; attached ones
 * by index, so that a device made anew under the old name is not among them,
 * also while no daemon runs.
 */
#ifndef PORTCULLIS_NFT_H
#define PORTCULLIS_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nft;

struct nft_guard {
	const char *const *guarded;
	size_t n_guarded;
	const uint32_t *attached;
	size_t n_attached;
};

struct nft *nft_open(void);	 /* NULL: out of memory */
void nft_close(struct nft *nft); /* NULL is fine */

/* Makes the tables hold exactly that, each in one transaction; nothing guarded:
 * no tables. -EINVAL, and the reason in `error`, if the kernel refuses. A
 * kernel without the bridge family is refused only if `bridge` asks for it. */
int nft_set(struct nft *nft, const struct nft_guard *guard, bool bridge,
	    char *error, size_t error_len);
/* Whether the table is there: `nft flush ruleset` takes it away. */
bool nft_stands(struct nft *nft);
void nft_remove(struct nft *nft);

#endif
