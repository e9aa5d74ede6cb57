/* SPDX-License-Identifier: GPL-2.0-only */
/* CIP implicit I/O over UDP: what a Forward Open over EtherNet/IP connects.
 *
 * V2: The CIP Networks Library, volume 2, 2-6 and 3-2. A datagram is two items
 * without a header: a sequenced address (connection and sequence number) and
 * connected data. Both sides send unasked; which connection it is and what the
 * data mean was agreed over TCP and is not looked up here.
 */
#ifndef PORTCULLIS_PROTO_CIPIO_H
#define PORTCULLIS_PROTO_CIPIO_H

#include "window.h"

/* Data of a producer may be inputs or outputs: it moves the process. */
#define cipio_FUNCTIONS(F) F(1, "connected-data", operate)

enum {
	CIPIO_data = 1,
	CIPIO_head = 18,
};

static __always_inline void cipio_step(struct step *s, struct state *st)
{
	__u32 data = le16_at(s, 16);

	(void)st;
	/* count 2; type 0x8002, length 8, V2 2-6.2.3; type 0x00b1, 2-6.3.1 */
	if (u8_at(s, 0) != 2)
		return bad(s, REASON_bad_magic);
	if (s->have < CIPIO_head)
		return bad(s, REASON_truncated);
	if (le16_at(s, 0) != 2 || le32_at(s, 2) != 0x00088002)
		return bad(s, REASON_bad_magic);
	if (!le32_at(s, 6)) /* connection */
		return bad(s, REASON_bad_value);
	if (le16_at(s, 14) != 0x00b1)
		return bad(s, REASON_bad_magic);
	if (CIPIO_head + data > s->left)
		return bad(s, REASON_truncated);
	if (CIPIO_head + data < s->left)
		return bad(s, REASON_trailing_bytes);
	says(s, CIPIO_data, CLASS_operate);
	take(s, CIPIO_head, data);
	message_ends(s);
}

#endif
