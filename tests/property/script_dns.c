/* SPDX-License-Identifier: GPL-2.0-only */
/* Queries over TCP, pipelined, with answers in their order or not.
 * RFC 1035 4.1 and 4.2.2, RFC 7766 6.2.1.
 */
#include <string.h>

#include "script.h"

struct query {
	uint16_t id;
	uint16_t len; /* of the question */
	uint8_t question[80];
};

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void make_question(struct query *q, struct random *r)
{
	static const uint16_t types[] = { 1, 28, 5, 15, 2, 6, 12, 33 };
	unsigned int labels = random_within(r, 1, 3), n;
	uint8_t *p = q->question;

	while (labels--) {
		n = random_within(r, 1, 20);
		*p++ = (uint8_t)n;
		while (n--)
			*p++ = (uint8_t)('a' + random_below(r, 26));
	}
	*p++ = 0;
	put16(p, types[random_below(r, 8)]);
	put16(p + 2, 1);
	q->len = (uint16_t)(p + 4 - q->question);
}

/* OPT with a cookie or padding, RFC 6891 6.1.2, RFC 7873 4, RFC 7830 3. */
static uint32_t put_opt(uint8_t *p, struct random *r, uint32_t data)
{
	memset(p, 0, 11);
	p[2] = 41;
	put16(p + 3, 1232);
	if (!data)
		return 11;
	put16(p + 9, 4 + data);
	put16(p + 11, data == 8 ? 10 : 12);
	put16(p + 13, data);
	if (data == 8)
		random_fill(r, p + 15, data);
	else
		memset(p + 15, 0, data);
	return 15 + data;
}

static uint32_t choose_opt(struct random *r, uint32_t *ret_data)
{
	*ret_data = random_permille(r, 500) ? 8 : random_below(r, 100);
	if (random_permille(r, 500))
		return 0;
	return *ret_data ? 15 + *ret_data : 11;
}

static bool ask(struct script *s, struct random *r, struct query *q, bool wait)
{
	uint32_t data, opt = choose_opt(r, &data);
	uint8_t *p;

	make_question(q, r);
	p = script_say(s, 0, 14U + q->len + opt, wait);
	if (!p)
		return false;
	memset(p, 0, 14);
	put16(p, 12U + q->len + opt);
	put16(p + 2, q->id);
	p[4] = 1; /* recursion desired */
	p[7] = 1;
	p[13] = opt != 0;
	memcpy(p + 14, q->question, q->len);
	if (opt)
		put_opt(p + 14 + q->len, r, data);
	return true;
}

static void answer(struct script *s, struct random *r, const struct query *q)
{
	unsigned int records = random_below(r, 4);
	uint32_t data, opt = choose_opt(r, &data);
	uint32_t len = 12U + q->len + 16 * records + opt;
	uint8_t *p = script_say(s, 1, 2 + len, true);

	if (!p)
		return;
	memset(p, 0, 2 + len);
	put16(p, len);
	put16(p + 2, q->id);
	p[4] = 0x81;
	p[5] = 0x80;
	p[7] = 1;
	p[9] = (uint8_t)records;
	p[13] = opt != 0;
	memcpy(p + 14, q->question, q->len);
	for (p += 14 + q->len; records--; p += 16) {
		put16(p, 0xc00c);
		put16(p + 2, 1);
		put16(p + 4, 1);
		put16(p + 8, 300);
		put16(p + 10, 4);
		random_fill(r, p + 12, 4);
	}
	if (opt)
		put_opt(p, r, data);
}

void dns_script(struct script *s, struct random *r)
{
	unsigned int rounds = random_within(r, 1, 4);
	unsigned int deep =
	    random_permille(r, 600) ? 1 : random_within(r, 2, 4);
	uint16_t id = (uint16_t)random_below(r, 0x8000);
	struct query queries[4], swap;
	unsigned int i, j, n;

	while (rounds--) {
		n = random_within(r, 1, deep);
		for (i = 0; i < n; i++) {
			queries[i].id = id++ & 0x7fff;
			if (!ask(s, r, &queries[i], i == 0))
				break;
		}
		n = i;
		for (i = 0; i < n; i++) {
			j = random_permille(r, 200) ? random_within(r, i, n - 1)
						    : i;
			swap = queries[i];
			queries[i] = queries[j];
			queries[j] = swap;
			answer(s, r, &queries[i]);
		}
	}
}

const char *dns_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len)
{
	if (len < 20)
		return NULL;
	switch (random_below(r, side ? 4 : 5)) {
	case 0:
		p[4] ^= 0x80;
		return "dns: direction bit";
	case 1:
		p[4] = side ? 0xf9 : 0x79;
		return "dns: opcode 15";
	case 2:
		put16(p, 11);
		return "dns: shorter than its header";
	case 3:
		p[5] |= 0x40;
		return "dns: reserved bit";
	}
	p[4] |= 0x02;
	return "dns: truncation bit over TCP";
}
