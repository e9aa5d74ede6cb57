/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings of a network device that stand in the way of judging its frames:
 * offloads that hide VLAN tags or merge packets, the host's own IPv6 and ARP on
 * a wire. What is changed is remembered by the caller and put back later.
 */
#ifndef PORTCULLIS_DEVICE_H
#define PORTCULLIS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DEVICE_gro = 1U << 0,
	DEVICE_gro_hw = 1U << 1,
	DEVICE_lro = 1U << 2,
	DEVICE_rxvlan = 1U << 3,
	DEVICE_rxvlan_stag = 1U << 4,
	DEVICE_offloads = (1U << 5) - 1,
	DEVICE_promisc = 1U << 8,
	DEVICE_arp = 1U << 9,
	DEVICE_ipv6 = 1U << 10,
	DEVICE_up = 1U << 11,
};

/* Switches the offloads off, and on a wire sets the port promiscuous, up and
 * silent. Adds what it changed to *changed, what would not go off to *stuck.
 * 0 / -errno. */
int device_prepare(const char *name, bool wire, uint32_t *changed,
		   uint32_t *stuck);
/* Up, for a monitor port. 0 / -errno. */
int device_raise(const char *name, uint32_t *changed);
/* Puts `changed` back as it was. A device that is gone is no error. */
void device_restore(const char *name, uint32_t changed);

/* The words `ethtool -k` has for the lowest bit of `offloads`. */
const char *device_offload_name(uint32_t offloads);

/* Administratively up or down. 0 / -errno. */
int device_set_up(const char *name, bool up);
bool device_has_carrier(const char *name);

#endif
