/* SPDX-License-Identifier: GPL-2.0-only */
/* Banners, key exchange in clear, then bytes that say nothing.
 * RFC 4253 4.2, 6, 7.1, 7.3 and 8.
 */
#include <string.h>

#include "script.h"

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void banner(struct script *s, unsigned int side, const char *text,
		   bool wait)
{
	size_t n = strlen(text);
	uint8_t *p = script_say(s, side, (uint32_t)n, wait);

	memcpy(p, text, n);
}

/* A packet of `payload` bytes, padded to a multiple of eight. */
static uint8_t *packet(struct script *s, unsigned int side, unsigned int type,
		       uint32_t payload, bool wait)
{
	uint32_t pad = 8 - (5 + payload) % 8;
	uint8_t *p;

	if (pad < 4)
		pad += 8;
	p = script_say(s, side, 5 + payload + pad, wait);
	put32(p, 1 + payload + pad);
	p[4] = (uint8_t)pad;
	p[5] = (uint8_t)type;
	memset(p + 5 + payload, 0, pad);
	return p + 6;
}

static void kexinit(struct script *s, struct random *r, unsigned int side,
		    bool wait)
{
	static const char *const lists[10] = {
		"curve25519-sha256,ecdh-sha2-nistp256",
		"ssh-ed25519",
		"aes128-ctr,aes256-ctr",
		"aes128-ctr,aes256-ctr",
		"hmac-sha2-256",
		"hmac-sha2-256",
		"none",
		"none",
		"",
		"",
	};
	uint32_t len = 1 + 16 + 5, i;
	uint8_t *p;

	for (i = 0; i < 10; i++)
		len += 4 + (uint32_t)strlen(lists[i]);
	p = packet(s, side, 20, len, wait);
	random_fill(r, p, 16);
	p += 16;
	for (i = 0; i < 10; i++) {
		put32(p, (uint32_t)strlen(lists[i]));
		memcpy(p + 4, lists[i], strlen(lists[i]));
		p += 4 + strlen(lists[i]);
	}
	memset(p, 0, 5);
}

/* ECDH, RFC 5656 4: strings with a length before each. */
static void exchange(struct script *s, struct random *r)
{
	uint8_t *p = packet(s, 0, 30, 1 + 4 + 32, true);

	put32(p, 32);
	random_fill(r, p + 4, 32);
	p = packet(s, 1, 31, 1 + 4 + 51 + 4 + 32 + 4 + 83, true);
	put32(p, 51);
	random_fill(r, p + 4, 51);
	put32(p + 55, 32);
	random_fill(r, p + 59, 32);
	put32(p + 91, 83);
	random_fill(r, p + 95, 83);
}

void ssh_script(struct script *s, struct random *r)
{
	unsigned int blocks = random_within(r, 1, 6);
	uint32_t len;
	uint8_t *p;

	if (random_permille(r, 500)) {
		banner(s, 1, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", false);
		banner(s, 0, "SSH-2.0-PuTTY_Release_0.78\r\n", true);
	} else {
		banner(s, 0, "SSH-2.0-dropbear_2022.83\r\n", false);
		banner(s, 1, "SSH-2.0-dropbear\r\n", random_permille(r, 500));
	}
	kexinit(s, r, 0, false);
	kexinit(s, r, 1, true);
	exchange(s, r);
	packet(s, 1, 21, 1, false);
	packet(s, 0, 21, 1, true);
	while (blocks--) {
		len = random_within(r, 1, 600);
		p = script_say(s, random_below(r, 2), len, true);
		if (!p)
			break;
		random_fill(r, p, len);
		s->messages[s->n_messages - 1].opaque = true;
	}
}

const char *ssh_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len)
{
	(void)side;
	if (!memcmp(p, "SSH-", 4)) {
		if (random_permille(r, 500)) {
			p[4] = '1';
			p[6] = '5';
			return "ssh: version 1.5";
		}
		p[len / 2] = 0x07;
		return "ssh: control byte in the banner";
	}
	switch (random_below(r, 3)) {
	case 0:
		put32(p, 0x00ffff0c);
		return "ssh: packet too long";
	case 1:
		p[5] = 94; /* channel data, RFC 4254 5.2 */
		return "ssh: channel data in clear";
	}
	p[4] = 2;
	return "ssh: too little padding";
}
