/* SPDX-License-Identifier: GPL-2.0-only */
/* Doors: putting the programs on an interface and taking them off. */
#ifndef PORTCULLIS_ATTACH_H
#define PORTCULLIS_ATTACH_H

#include "pins.h"

/* How long a link may take to come up before it counts as lost. */
#define SETTLE_NS 5000000000ULL

/* Attaches the programs that `role` asks for to the device `link`, part of a
 * device of kind `master_kind` (""), prepares it and fills in what `it` says of
 * the attachment. On failure `error` says what to do and nothing is left
 * attached. 0 / -errno. */
int attach(struct datapath *dp, struct interface *it, const struct role *role,
	   const struct netlink_link *link, const char *master_kind,
	   char *error, size_t error_len);

/* From native to generic XDP, since `because` it must. A failure leaves it
 * detached, to be found so by attach_stands(). */
void attach_lower(struct datapath *dp, struct interface *it,
		  const char *because);

/* On the kernel way XDP cannot copy to the `monitor` (NULL: none): puts a
 * program that can behind it, or takes it away. What fails is tried again by
 * the next call; production does not depend on it. */
void attach_copier(struct datapath *dp, struct interface *it,
		   const struct interface *monitor);

/* Whether what `it` says is attached still is. */
bool attach_stands(struct datapath *dp, const struct interface *it);

/* Takes the programs off and puts the device back as it was; `name` is what
 * the device is called now, NULL: it is gone. */
void detach(struct datapath *dp, struct interface *it, const char *name);

#endif
