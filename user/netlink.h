/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel says about links and addresses, and when it changes. Reads
 * only; device.h writes.
 */
#ifndef PORTCULLIS_NETLINK_H
#define PORTCULLIS_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netlink_link {
	uint32_t ifindex;
	char name[16];
	uint32_t flags; /* IFF_* */
	bool carrier;
	uint32_t mtu;
	uint32_t master;  /* ifindex of the bridge, bond …; 0: none */
	char kind[16];	  /* "veth", "bond", "bridge" …; "" for hardware */
	uint64_t tx_lost; /* frames that it was given and did not send */
};

struct netlink_address {
	uint32_t ifindex;
	uint8_t family;	  /* 4 or 6 */
	uint8_t addr[16]; /* network; IPv4 in the first four bytes */
};

/* A non-blocking socket that becomes readable when a link or an address
 * changes. -errno on failure. */
int netlink_open(void);
/* Empties it. True if there was anything, lost messages included. */
bool netlink_drain(int fd);

/* All links / all addresses but the loopback's, to be freed. 0 / -errno. */
int netlink_links(struct netlink_link **ret_links, size_t *ret_n);
int netlink_addresses(struct netlink_address **ret_addresses, size_t *ret_n);

/* Whether any tc filter hangs on the clsact qdisc of a device. */
bool netlink_has_filters(uint32_t ifindex);

const struct netlink_link *netlink_by_name(const struct netlink_link *links,
					   size_t n, const char *name);
const struct netlink_link *netlink_by_index(const struct netlink_link *links,
					    size_t n, uint32_t ifindex);

#endif
