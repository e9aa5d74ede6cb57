/* SPDX-License-Identifier: GPL-2.0-only */
/* GET requests and answers with a length, in chunks or without a body.
 * RFC 9112 3, 4, 6 and 7.1.
 */
#include <stdio.h>
#include <string.h>

#include "script.h"

enum { HTTP_ROOM = 6000 };

static size_t add(uint8_t *p, size_t at, const char *text)
{
	size_t n = strlen(text);

	memcpy(p + at, text, n);
	return at + n;
}

static size_t add_word(uint8_t *p, size_t at, struct random *r, uint32_t most)
{
	uint32_t n = random_within(r, 1, most);

	while (n--)
		p[at++] = (uint8_t)('a' + random_below(r, 26));
	return at;
}

static size_t add_headers(uint8_t *p, size_t at, struct random *r)
{
	uint32_t n = random_below(r, 5);

	while (n--) {
		at = add(p, at, "X-");
		at = add_word(p, at, r, 12);
		at = add(p, at, ": ");
		at = add_word(p, at, r, random_permille(r, 200) ? 150 : 20);
		at = add(p, at, "\r\n");
	}
	return at;
}

static bool request(struct script *s, struct random *r, bool wait)
{
	uint8_t *p = script_say(s, 0, HTTP_ROOM, wait);
	size_t at;

	if (!p)
		return false;
	at = add(p, 0, "GET /");
	at = add_word(p, at, r, 60);
	at = add(p, at, " HTTP/1.1\r\nHost: ");
	at = add_word(p, at, r, 12);
	at = add(p, at, "\r\n");
	at = add_headers(p, at, r);
	at = add(p, at, "\r\n");
	script_trim(s, (uint32_t)at);
	return true;
}

static size_t add_chunks(uint8_t *p, size_t at, struct random *r)
{
	uint32_t chunks = random_below(r, 4), n;
	char size[24];

	at = add(p, at, "Transfer-Encoding: chunked\r\n\r\n");
	while (chunks--) {
		n = random_within(r, 1, random_permille(r, 200) ? 900 : 60);
		snprintf(size, sizeof(size), "%x\r\n", n);
		at = add(p, at, size);
		random_fill(r, p + at, n);
		at = add(p, at + n, "\r\n");
	}
	return add(p, at, "0\r\n\r\n");
}

static size_t add_length(uint8_t *p, size_t at, struct random *r)
{
	uint32_t n = random_below(r, random_permille(r, 200) ? 3000 : 200);
	char line[48];

	snprintf(line, sizeof(line), "Content-Length: %u\r\n\r\n", n);
	at = add(p, at, line);
	random_fill(r, p + at, n);
	return at + n;
}

static void answer(struct script *s, struct random *r)
{
	uint8_t *p = script_say(s, 1, HTTP_ROOM, true);
	uint32_t kind = random_below(r, 5);
	size_t at;

	if (!p)
		return;
	at =
	    add(p, 0,
		kind ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 304 Not Modified\r\n");
	at = add_headers(p, at, r);
	if (!kind)
		at = add(p, at, "\r\n");
	else if (kind <= 2)
		at = add_chunks(p, at, r);
	else
		at = add_length(p, at, r);
	script_trim(s, (uint32_t)at);
}

void http_script(struct script *s, struct random *r)
{
	unsigned int rounds = random_within(r, 1, 4);
	unsigned int deep =
	    random_permille(r, 700) ? 1 : random_within(r, 2, 3);
	unsigned int i, n;

	while (rounds--) {
		n = random_within(r, 1, deep);
		for (i = 0; i < n; i++)
			if (!request(s, r, i == 0))
				break;
		while (i--)
			answer(s, r);
	}
}

static const char *spoil_request(struct random *r, uint8_t *p, uint32_t len)
{
	switch (random_below(r, 5)) {
	case 0:
		memcpy(p, "PUT", 3);
		return "http: PUT";
	case 1:
		memcpy(p, "get", 3);
		return "http: method in lower case";
	case 2:
		p[5] = 0x01;
		return "http: control byte in the target";
	case 3:
		memcpy(p, "HTTP/1.1 200 OK\r\n", len < 17 ? len : 17);
		return "http: answer from the client";
	}
	p[len - 3] = ' ';
	p[len - 2] = '\r';
	p[len - 1] = 'x';
	return "http: bare CR";
}

const char *http_spoil(struct random *r, unsigned int side, uint8_t *p,
		       uint32_t len)
{
	if (!side)
		return spoil_request(r, p, len);
	switch (random_below(r, 3)) {
	case 0:
		p[7] = '7';
		return "http: version 1.7";
	case 1:
		p[9] = '9';
		return "http: status 9xx";
	}
	memcpy(p, "GET / HTTP/1.1\r\n", 16);
	return "http: request from the server";
}
