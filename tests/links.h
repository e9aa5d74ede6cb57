/* SPDX-License-Identifier: GPL-2.0-only */
/* Network devices for root tests, without any program: what the small virtual
 * machine has none of. All are in the namespace of the caller.
 */
#ifndef TESTS_LINKS_H
#define TESTS_LINKS_H

#include <stdbool.h>

/* All return 0 / -errno. */
int links_private(void); /* a network namespace of its own */
int links_veth(const char *name, const char *peer);
int links_bridge(const char *name, const char *port);
int links_delete(const char *name);
int links_rename(const char *name, const char *to);
int links_flags(const char *name); /* IFF_*, or -errno */
int links_up(const char *name, bool up);
int links_mtu(const char *name, int mtu);
int links_address(const char *name, const char *address);
/* Native XDP hands frames to a veth only if its other end reads them in turns:
 * generic receive offload makes it do so. */
int links_gro(const char *name);

/* Sends a broadcast frame of this EtherType out of `from`; whether `to` gets
 * it within 300 ms. */
bool links_crosses(const char *from, const char *to, unsigned int ethertype);

#endif
