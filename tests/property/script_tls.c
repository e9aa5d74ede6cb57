/* SPDX-License-Identifier: GPL-2.0-only */
/* A handshake of TLS 1.3 or 1.2 in shape, then records of data both ways.
 * RFC 8446 2, 4.1, 5.1 and D.4; RFC 5246 7.3.
 */
#include <string.h>

#include "script.h"

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t *record(struct script *s, unsigned int side, unsigned int type,
		       unsigned int minor, uint32_t len, bool wait)
{
	uint8_t *p = script_say(s, side, 5 + len, wait);

	if (!p)
		return NULL;
	p[0] = (uint8_t)type;
	p[1] = 3;
	p[2] = (uint8_t)minor;
	put16(p + 3, len);
	return p + 5;
}

static uint8_t *handshake(struct script *s, unsigned int side,
			  unsigned int minor, unsigned int type, uint32_t len,
			  bool wait)
{
	uint8_t *p = record(s, side, 22, minor, 4 + len, wait);

	if (!p)
		return NULL;
	p[0] = (uint8_t)type;
	p[1] = 0;
	put16(p + 2, len);
	return p + 4;
}

/* Version, random, no session; one suite and no compression, or the choice of
 * them; one extension, the versions. */
static void client_hello(struct script *s, struct random *r)
{
	static const uint8_t rest[] = { 0, 0, 2, 0x13, 0x01, 1, 0 };
	uint32_t pad = random_permille(r, 200) ? random_below(r, 1500) : 0;
	uint32_t extensions = 4 + 3 + (pad ? 4 + pad : 0);
	uint8_t *p = handshake(s, 0, random_permille(r, 500) ? 1 : 3, 1,
			       34 + sizeof(rest) + 2 + extensions, false);

	put16(p, 0x0303);
	random_fill(r, p + 2, 32);
	memcpy(p + 34, rest, sizeof(rest));
	p += 34 + sizeof(rest);
	put16(p, extensions);
	put16(p + 2, 43);
	put16(p + 4, 3);
	p[6] = 2;
	put16(p + 7, 0x0304);
	if (!pad)
		return;
	put16(p + 9, 21); /* padding, RFC 7685 */
	put16(p + 11, pad);
	memset(p + 13, 0, pad);
}

static void server_hello(struct script *s, struct random *r, bool is_13)
{
	uint32_t extensions = is_13 ? 6 : 0;
	uint8_t *p =
	    handshake(s, 1, 3, 2, 38 + (is_13 ? 2 + extensions : 0), true);

	put16(p, 0x0303);
	random_fill(r, p + 2, 32);
	p[2] = 1; /* not the random of a retry */
	p[34] = 0;
	put16(p + 35, is_13 ? 0x1301 : 0xc02f);
	p[37] = 0;
	if (!is_13)
		return;
	put16(p + 38, extensions);
	put16(p + 40, 43);
	put16(p + 42, 2);
	put16(p + 44, 0x0304);
}

static bool sealed(struct script *s, struct random *r, unsigned int side,
		   unsigned int type, uint32_t len, bool wait)
{
	uint8_t *p = record(s, side, type, 3, len, wait);

	if (p)
		random_fill(r, p, len);
	return p != NULL;
}

static void change(struct script *s, unsigned int side, bool wait)
{
	uint8_t *p = record(s, side, 20, 3, 1, wait);

	*p = 1;
}

static void body(struct random *r, uint8_t *p, uint32_t len)
{
	random_fill(r, p, len);
}

static void handshake_12(struct script *s, struct random *r)
{
	uint32_t certificate = random_within(r, 40, 1800);

	body(r, handshake(s, 1, 3, 11, certificate, false), certificate);
	body(r, handshake(s, 1, 3, 12, 140, false), 140);
	handshake(s, 1, 3, 14, 0, false);
	body(r, handshake(s, 0, 3, 16, 66, true), 66);
	change(s, 0, false);
	sealed(s, r, 0, 22, 40, false);
	change(s, 1, true);
	sealed(s, r, 1, 22, 40, false);
}

static void handshake_13(struct script *s, struct random *r)
{
	change(s, 1, false);
	sealed(s, r, 1, 23, random_within(r, 40, 1800), false);
	change(s, 0, true);
	sealed(s, r, 0, 23, 53, false);
}

void tls_script(struct script *s, struct random *r)
{
	unsigned int records = random_within(r, 1, 8), side = 0, now;
	bool is_13 = random_permille(r, 600);
	uint32_t len;

	client_hello(s, r);
	server_hello(s, r, is_13);
	if (is_13)
		handshake_13(s, r);
	else
		handshake_12(s, r);
	while (records--) {
		len = random_within(r, 24, 400);
		if (random_permille(r, 50))
			len = random_within(r, 1000, 8000);
		now = random_below(r, 2);
		if (!sealed(s, r, now, 23, len, now != side))
			break;
		side = now;
	}
}

const char *tls_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len)
{
	(void)side;
	(void)len;
	switch (random_below(r, 4)) {
	case 0:
		p[0] = 0x47;
		return "tls: record type";
	case 1:
		p[1] = 2;
		return "tls: major version";
	case 2:
		put16(p + 3, 0xc000);
		return "tls: record too long";
	}
	put16(p + 3, 0);
	return "tls: record of no bytes";
}

bool tls_swallow(uint8_t *p, uint32_t last)
{
	uint32_t len = last + 1 - 5;

	if (last < 60 || len > 16384)
		return false;
	put16(p + 3, len);
	p[6] = 0;
	put16(p + 7, len - 4);
	return true;
}
