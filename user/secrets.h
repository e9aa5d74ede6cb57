/* SPDX-License-Identifier: GPL-2.0-only */
/* What packets say in the clear and no file may repeat: the community of SNMP
 * v1 and v2c, and what HTTP carries to prove who asks. No I/O.
 */
#ifndef PORTCULLIS_SECRETS_H
#define PORTCULLIS_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Overwrites them with asterisks, wherever in a frame they stand. Payload from
 * `payload_at` on (0: not known) that was sent `to_snmp` and cannot be read as
 * a message of it is overwritten whole. True: something was. */
bool secrets_hide(uint8_t *frame, size_t len, size_t payload_at, bool to_snmp);

#endif
