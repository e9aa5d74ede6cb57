/* SPDX-License-Identifier: GPL-2.0-only */
/* Random bytes as what a client sends first, to every protocol over each of its
 * transports: how many of them are accepted? Prints the rate of each.
 *
 *	RANDOM_COUNT=1000000 random_test	default: 100,000 payloads a row
 *
 * Lengths are 1 to 512, equally likely. Over TCP the few bytes that a legal
 * message may begin with wait for their rest, since a sender may cut anywhere;
 * so the bound holds for payloads of 8 bytes and more without exception, and
 *for all payloads but where a row below says why not. timeout: 600 s
 */
#include <stdio.h>

#include "protocols.gen.h"
#include "stepping.h"
#include "tap.h"

enum {
	MOST_BYTES = 512,
	WHOLE = 8, /* fewer bytes may be a prefix and no more */
};

static const double bound = 1e-5;

/* Rows whose first bytes may be almost anything, and wait. */
static const struct {
	unsigned int proto;
	double most; /* of all payloads over TCP */
	const char *why;
} exceptions[] = {
	{ PROTO_modbus, 6e-3, "any two bytes are a transaction id" },
	{ PROTO_dns, 1e-2, "a length and an id may be any four bytes" },
	{ PROTO_http, 2e-4, "methods begin with many letters, or a CR" },
	{ PROTO_smb, 8e-5, "a session service packet begins with any of six" },
	{ PROTO_enip, 1.6e-4, "there are many commands and any length" },
};

struct row {
	unsigned int proto, l4;
	uint64_t seed;
	unsigned long count, accepted;	       /* of all */
	unsigned long n_whole, accepted_whole; /* of WHOLE bytes and more */
};

static void broken(const struct conversation *c, const char *what)
{
	check(false, "protocol %u, transport %u: a step %s", c->proto, c->l4,
	      what);
}

/* xorshift64*, so that every machine sees the same bytes. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static size_t payload(uint64_t *state, uint8_t bytes[MOST_BYTES])
{
	size_t len = 1 + (next(state) >> 32) % MOST_BYTES, at;
	uint64_t word;

	for (at = 0; at < MOST_BYTES; at += sizeof(word)) {
		word = next(state);
		memcpy(bytes + at, &word, sizeof(word));
	}
	return len;
}

static void measure(struct row *row)
{
	uint64_t state = row->seed;
	uint8_t bytes[MOST_BYTES];
	struct conversation c;
	unsigned long i;
	size_t len;

	for (i = 0; i < row->count; i++) {
		len = payload(&state, bytes);
		conversation_init(&c, row->proto, row->l4);
		deliver(&c, 0, bytes, len);
		row->accepted += c.reason == REASON_ok;
		if (len < WHOLE)
			continue;
		row->n_whole++;
		row->accepted_whole += c.reason == REASON_ok;
	}
}

static double most_of(const struct row *row, const char **ret_why)
{
	size_t i;

	*ret_why = "";
	for (i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		if (exceptions[i].proto != row->proto ||
		    row->l4 != TRANSPORT_tcp)
			continue;
		*ret_why = exceptions[i].why;
		return exceptions[i].most;
	}
	return bound;
}

/* Chance may add to a rate that is just at its bound: four deviations. */
static void judge_rate(const char *name, const char *of, unsigned long accepted,
		       unsigned long n, double most)
{
	double mean = most * n, over = accepted - mean - 1;

	check(over <= 0 || over * over <= 16 * mean,
	      "%s: %lu of %lu payloads%s accepted, %.1e may be", name, accepted,
	      n, of, most);
}

static void judge_row(const struct row *row, const char *name)
{
	const char *why;
	double most = most_of(row, &why);

	printf("random: %-11s %s seed %016llx: %.1e, %lu of %lu; 8 bytes and "
	       "more: %.1e, %lu of %lu%s%s\n",
	       name, row->l4 == TRANSPORT_udp ? "udp" : "tcp",
	       (unsigned long long)row->seed,
	       (double)row->accepted / row->count, row->accepted, row->count,
	       row->n_whole ? (double)row->accepted_whole / row->n_whole : 0,
	       row->accepted_whole, row->n_whole, *why ? "; " : "", why);
	judge_rate(name, "", row->accepted, row->count, most);
	judge_rate(name, " of 8 bytes and more", row->accepted_whole,
		   row->n_whole, bound);
}

static void run_row(unsigned int proto, const char *name, unsigned int l4,
		    unsigned long count)
{
	struct row row = {
		.proto = proto,
		.l4 = l4,
		.seed = 0x9e3779b97f4a7c15ULL * (2 * proto + l4),
		.count = count,
	};

	measure(&row);
	judge_row(&row, name);
}

int main(void)
{
	const char *text = getenv("RANDOM_COUNT");
	unsigned long count = text ? strtoul(text, NULL, 10) : 100000;

	if (!check(count, "RANDOM_COUNT is no number of payloads"))
		return tap_summary();
#define PROTOCOL(id, name, ports, ...)                                         \
	if (strstr(ports, "tcp"))                                              \
		run_row(id, #name, TRANSPORT_tcp, count);                      \
	if (strstr(ports, "udp"))                                              \
		run_row(id, #name, TRANSPORT_udp, count);
#include <portcullis/protocols.def>
#undef PROTOCOL
	return tap_summary();
}
