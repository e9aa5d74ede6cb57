/* SPDX-License-Identifier: GPL-2.0-only */
/* Names for protocols that the gate does not judge, told by their first bytes,
 * so that an event can say what was on a port. No I/O.
 */
#ifndef PORTCULLIS_FOREIGN_H
#define PORTCULLIS_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Their numbers, behind those of include/portcullis/protocols.def. */
enum { FOREIGN_first = 256 };

/* The number, or PROTO_unknown. The first `len` bytes that one side sent, of a
 * datagram perhaps not all; l4 is TRANSPORT_*. */
unsigned int foreign_identify(const uint8_t *bytes, size_t len, unsigned int l4,
			      bool from_server);

/* NULL: not the number of one. */
const char *foreign_name(unsigned int id);

#endif
