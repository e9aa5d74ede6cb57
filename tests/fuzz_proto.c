/* SPDX-License-Identifier: GPL-2.0-only */
/* Two sides send anything, cut anywhere, and every protocol's stepper judges.
 * Input: protocol id, transport (odd: UDP), then runs: one bit side, 15 bits
 * length, bytes. `vectors_test --seeds FOLDER` writes the vectors so.
 *
 * Each input is judged as it is, byte by byte and cut at places that hang on
 * its bytes. The steps must keep their contract, and over TCP what is taken
 * and in which run something is refused must not hang on the cuts. (The reason
 * may, where more than one holds.)
 */
#include <stdio.h>

#include "protocols.gen.h"
#include "stepping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum cuts { CUTS_none, CUTS_all, CUTS_some };

static void broken(const struct conversation *c, const char *what)
{
	fprintf(stderr, "protocol %u, transport %u: a step %s\n", c->proto,
		c->l4, what);
	abort();
}

static void send_cut(struct conversation *c, int side, const uint8_t *bytes,
		     size_t len, enum cuts cuts)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at;
		if (cuts == CUTS_all)
			n = 1;
		else if (cuts == CUTS_some && n > 1)
			n = 1 + (bytes[at] * 167U + len + at) % 61 % (n - 1);
		deliver(c, side, bytes + at, n);
	}
}

/* Returns the number of the run that ended it. */
static size_t play(struct conversation *c, const uint8_t *data, size_t size,
		   enum cuts cuts)
{
	size_t at = 0, len, runs = 0;
	int side;

	while (size - at > 2 && c->reason == REASON_ok) {
		side = data[at] >> 7;
		len = (data[at] & 0x7f) << 8 | data[at + 1];
		at += 2;
		if (len > size - at)
			len = size - at;
		send_cut(c, side, data + at, len, cuts);
		at += len;
		runs++;
	}
	return runs;
}

static void compare(const struct conversation *a, const struct conversation *b)
{
	if ((a->reason == REASON_ok) != (b->reason == REASON_ok))
		broken(b, "is of another mind when it is cut");
	if (a->reason != REASON_ok)
		return;
	/* Text of Telnet has no messages: each run of it ends one. */
	if ((a->messages != b->messages && a->proto != PROTO_telnet) ||
	    a->n_said != b->n_said || memcmp(a->said, b->said, a->n_said))
		broken(b, "reads other messages when it is cut");
	if (is_open(a, 0) != is_open(b, 0) || is_open(a, 1) != is_open(b, 1))
		broken(b, "ends elsewhere when it is cut");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conversation whole, cut;
	enum cuts cuts;
	size_t runs;
	unsigned int l4;

	if (size < 2 || data[0] >= PROTO_max || !function_table[data[0]])
		return 0;
	l4 = data[1] & 1 ? TRANSPORT_udp : TRANSPORT_tcp;
	conversation_init(&whole, data[0], l4);
	runs = play(&whole, data + 2, size - 2, CUTS_none);
	if (l4 == TRANSPORT_udp)
		return 0;
	for (cuts = CUTS_all; cuts <= CUTS_some; cuts++) {
		conversation_init(&cut, data[0], l4);
		if (play(&cut, data + 2, size - 2, cuts) != runs)
			broken(&cut, "ends at another place when it is cut");
		compare(&whole, &cut);
	}
	return 0;
}
