/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads of coils and registers, pipelined up to five deep, with answers out of
 * order and exceptions. MODBUS Application Protocol V1.1b3, 6.1 to 6.4.
 */
#include "script.h"

struct asked {
	uint16_t id;
	uint8_t unit;
	uint8_t function;
	uint16_t quantity;
};

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_head(uint8_t *p, const struct asked *a, unsigned int length)
{
	put16(p, a->id);
	put16(p + 2, 0);
	put16(p + 4, length);
	p[6] = a->unit;
	p[7] = a->function;
}

static bool ask(struct script *s, struct random *r, struct asked *a, bool wait)
{
	uint8_t *p = script_say(s, 0, 12, wait);

	if (!p)
		return false;
	a->function = (uint8_t)random_within(r, 1, 4);
	a->unit = (uint8_t)random_below(r, 256);
	a->quantity =
	    (uint16_t)random_within(r, 1, random_permille(r, 500) ? 8 : 125);
	put_head(p, a, 6);
	put16(p + 8, random_below(r, 60000));
	put16(p + 10, a->quantity);
	return true;
}

static void answer(struct script *s, struct random *r, const struct asked *a)
{
	unsigned int bytes = 2U * a->quantity;
	uint8_t *p;

	if (random_permille(r, 100)) {
		p = script_say(s, 1, 9, true);
		if (!p)
			return;
		put_head(p, a, 3);
		p[7] |= 0x80;
		p[8] = (uint8_t)random_within(r, 1, 4);
		return;
	}
	if (a->function <= 2)
		bytes = (a->quantity + 7U) / 8;
	p = script_say(s, 1, 9 + bytes, true);
	if (!p)
		return;
	put_head(p, a, 3 + bytes);
	p[8] = (uint8_t)bytes;
	random_fill(r, p + 9, bytes);
}

void modbus_script(struct script *s, struct random *r)
{
	unsigned int rounds = random_within(r, 1, 5);
	unsigned int deep =
	    random_permille(r, 600) ? 1 : random_within(r, 2, 5);
	uint16_t id = (uint16_t)random_below(r, 0x8000);
	struct asked asked[5], swap;
	unsigned int i, j, n;

	while (rounds--) {
		n = random_within(r, 1, deep);
		for (i = 0; i < n; i++) {
			asked[i].id = id++ & 0x7fff;
			if (!ask(s, r, &asked[i], i == 0))
				break;
		}
		n = i;
		for (i = 0; i < n; i++) {
			j = random_permille(r, 200) ? random_within(r, i, n - 1)
						    : i;
			swap = asked[i];
			asked[i] = asked[j];
			asked[j] = swap;
			answer(s, r, &asked[i]);
		}
	}
}

static const char *spoil_request(struct random *r, uint8_t *p)
{
	switch (random_below(r, 7)) {
	case 0:
		p[7] = 6;
		return "modbus: write-single-register";
	case 1:
		p[7] = 5;
		put16(p + 10, 0xff00);
		return "modbus: write-single-coil";
	case 2:
		p[3] = 1;
		return "modbus: protocol identifier";
	case 3:
		p[5] = 7;
		return "modbus: length of a read";
	case 4:
		p[7] = 0;
		return "modbus: function 0";
	case 5:
		p[7] |= 0x80;
		return "modbus: exception from the client";
	}
	put16(p + 10, 0);
	return "modbus: quantity 0";
}

static const char *spoil_answer(struct random *r, uint8_t *p)
{
	switch (random_below(r, 5)) {
	case 0:
		p[0] |= 0x80;
		return "modbus: answer to nothing";
	case 1:
		p[2] = 0x13;
		return "modbus: protocol identifier";
	case 2:
		p[4] = 0x40;
		return "modbus: length of an answer";
	case 3:
		p[6] ^= 0xff;
		return "modbus: answer of another unit";
	}
	p[7] = 90;
	return "modbus: answer of another function";
}

const char *modbus_spoil(struct random *r, unsigned int side, uint8_t *p,
			 uint32_t len)
{
	if (len < 9)
		return NULL;
	return side ? spoil_answer(r, p) : spoil_request(r, p);
}
