/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "../../user/protocols.h"
#include "script.h"

const char script_policy[] = "site \"property\" {\n"
			     "    mode enforce\n"
			     "    default deny\n"
			     "    forward wire a b\n"
			     "}\n"
			     "service modbus tcp 502 expect modbus\n"
			     "service dns tcp 53 expect dns\n"
			     "service tls tcp 443 expect tls\n"
			     "service web tcp 80 expect http\n"
			     "service ssh tcp 22 expect ssh\n"
			     "zone left {\n"
			     "    interface a\n"
			     "    network 10.1.0.0/16, fd01::/32\n"
			     "}\n"
			     "zone right {\n"
			     "    interface b\n"
			     "    network 10.2.0.0/16, fd02::/32\n"
			     "}\n"
			     "zone watched {\n"
			     "    interface a\n"
			     "    network 10.3.0.0/16, fd03::/32\n"
			     "}\n"
			     "conduit there from left to right {\n"
			     "    allow modbus read\n"
			     "    allow dns\n"
			     "    allow tls\n"
			     "    allow web function get\n"
			     "    allow ssh\n"
			     "}\n"
			     "conduit back from right to left {\n"
			     "    allow modbus read\n"
			     "    allow dns\n"
			     "    allow tls\n"
			     "    allow web function get\n"
			     "    allow ssh\n"
			     "}\n"
			     "conduit only-watched from watched to right {\n"
			     "    mode monitor\n"
			     "    allow modbus read\n"
			     "    allow dns\n"
			     "    allow tls\n"
			     "    allow web function get\n"
			     "    allow ssh\n"
			     "}\n";

static const struct {
	unsigned int proto;
	uint16_t port;
	void (*script)(struct script *s, struct random *r);
	const char *(*spoil)(struct random *r, unsigned int side, uint8_t *p,
			     uint32_t len);
} kinds[] = {
	{ PROTO_modbus, 502, modbus_script, modbus_spoil },
	{ PROTO_dns, 53, dns_script, dns_spoil },
	{ PROTO_tls, 443, tls_script, tls_spoil },
	{ PROTO_http, 80, http_script, http_spoil },
	{ PROTO_ssh, 22, ssh_script, ssh_spoil },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

bool script_allows(unsigned int proto, unsigned int function,
		   unsigned int class)
{
	const char *name;

	if (proto == PROTO_modbus)
		return class == CLASS_read;
	if (proto == PROTO_http) {
		name = protocol_function_name(proto, function);
		return name && !strcmp(name, "get");
	}
	return true;
}

uint8_t *script_say(struct script *s, unsigned int side, uint32_t len,
		    bool wait)
{
	struct script_message *m = &s->messages[s->n_messages];
	uint32_t i, after = 0;

	if (s->n_messages == SCRIPT_MESSAGES ||
	    len > SCRIPT_STREAM - s->len[side])
		return NULL;
	for (i = 0; i < s->n_messages; i++)
		if (s->messages[i].from_server == side)
			after = s->messages[i].after;
	m->from_server = (uint8_t)side;
	m->first = s->len[side];
	m->len = len;
	m->opaque = false;
	m->after = wait ? s->len[!side] : after;
	s->len[side] += len;
	s->n_messages++;
	return s->stream[side] + m->first;
}

void script_trim(struct script *s, uint32_t len)
{
	struct script_message *m = &s->messages[s->n_messages - 1];

	s->len[m->from_server] -= m->len - len;
	m->len = len;
}

void script_make(struct script *s, struct random *r)
{
	unsigned int kind = random_below(r, KINDS);

	s->proto = kinds[kind].proto;
	s->port = kinds[kind].port;
	s->n_messages = 0;
	s->len[0] = s->len[1] = 0;
	s->has_evil = s->has_swallow = false;
	kinds[kind].script(s, r);
}

/* Text and bytes of others, which none of the five can take for its own. */
static const char *foreign(unsigned int proto, struct random *r, uint8_t *p,
			   uint32_t len)
{
	static const struct {
		unsigned int proto;
		const char *what;
		const char *text;
	} others[] = {
		{ PROTO_ssh, "ssh banner", "SSH-2.0-OpenSSH_9.2p1\r\n" },
		{ PROTO_unknown, "shell", "id; uname -a\nexec /bin/sh -i\n" },
		{ PROTO_unknown, "telnet", "\xff\xfd\x18\xff\xfd\x20login: " },
		{ PROTO_unknown, "smb", "\xff\xffSMBr\x80\x80\x80\x80\x80" },
		{ PROTO_unknown, "rdp", "\x03\xff\x80\x13\x0e\xe0\xff\xff" },
	};
	unsigned int i = random_below(r, sizeof(others) / sizeof(others[0]));
	size_t n = strlen(others[i].text), k;

	if (others[i].proto == proto)
		i = 1, n = strlen(others[1].text);
	for (k = 0; k < len; k++)
		p[k] = (uint8_t)others[i].text[k % n];
	return others[i].what;
}

static bool spoil_message(struct script *s, struct random *r,
			  const struct script_message *m, unsigned int kind)
{
	uint8_t *p = s->evil + m->first;
	const char *what;

	/* RFC 4253 4.2: a server may say other lines before its banner. */
	if (s->proto == PROTO_ssh && m->from_server && !m->first)
		what = ssh_spoil(r, 1, p, m->len);
	else if (random_permille(r, 250) && m->len >= 8)
		what = foreign(s->proto, r, p, m->len);
	else
		what = kinds[kind].spoil(r, m->from_server, p, m->len);
	if (!what)
		return false;
	s->has_evil = true;
	s->evil_side = m->from_server;
	s->evil_first = m->first;
	s->evil_last = m->first + m->len - 1;
	s->evil_what = what;
	memcpy(s->swallow, s->evil, s->len[m->from_server]);
	s->has_swallow = s->proto == PROTO_tls && m->first &&
			 tls_swallow(s->swallow, s->evil_last);
	return true;
}

bool script_spoil(struct script *s, struct random *r, unsigned int side)
{
	unsigned int kind = 0, tries;
	struct script_message *m;

	while (kinds[kind].proto != s->proto)
		kind++;
	memcpy(s->evil, s->stream[side], s->len[side]);
	for (tries = 0; tries < 20; tries++) {
		m = &s->messages[random_below(r, s->n_messages)];
		if (m->from_server == side && !m->opaque &&
		    spoil_message(s, r, m, kind))
			return true;
	}
	return false;
}
