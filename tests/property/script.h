/* SPDX-License-Identifier: GPL-2.0-only */
/* What two ends say to each other: legal conversations of the five protocols,
 * and the same with one message replaced by one that must not be delivered.
 * Knows the protocols, not TCP.
 */
#ifndef PROPERTY_SCRIPT_H
#define PROPERTY_SCRIPT_H

#include <portcullis/abi.h>

#include "random.h"

enum {
	SCRIPT_STREAM = 40000, /* bytes of one direction at most */
	SCRIPT_MESSAGES = 40,
};

struct script_message {
	uint8_t from_server;
	uint32_t first; /* in the stream of its direction */
	uint32_t len;
	uint32_t after; /* bytes of the other direction that come before */
	bool opaque;	/* nobody can judge it: no use in spoiling it */
};

struct script {
	unsigned int proto; /* enum portcullis_proto */
	uint16_t port;
	uint32_t n_messages;
	struct script_message messages[SCRIPT_MESSAGES];
	uint32_t len[2]; /* [1]: from the server */
	uint8_t stream[2][SCRIPT_STREAM];

	/* of an attack: the stream of side evil_side with one message spoilt.
	 * The receiver must never hold the bytes first .. last in full. */
	bool has_evil;
	uint8_t evil_side;
	uint32_t evil_first;
	uint32_t evil_last;
	const char *evil_what;
	uint8_t evil[SCRIPT_STREAM];
	/* the same behind a start that would make all of it opaque, for who
	 * can bring the gate to judge from the start once more */
	bool has_swallow;
	uint8_t swallow[SCRIPT_STREAM];
};

/* A legal conversation of a protocol of the generator's choice. */
void script_make(struct script *s, struct random *r);

/* Spoils one message of `side`; false if that side says nothing. */
bool script_spoil(struct script *s, struct random *r, unsigned int side);

/* What the policy of the test lets this protocol do; class and function as
 * the protocol's own steps tell them. */
bool script_allows(unsigned int proto, unsigned int function,
		   unsigned int class);

/* The policy, in the policy's language. */
extern const char script_policy[];

/* ---- for the files of the protocols ---------------------------------- */

/* Room for a message of at most `len` bytes; NULL when the script is full.
 * `wait`: the side has first read all that the other has said so far;
 * otherwise only what it had to read for its last message. */
uint8_t *script_say(struct script *s, unsigned int side, uint32_t len,
		    bool wait);
/* The last message turned out shorter. */
void script_trim(struct script *s, uint32_t len);

void modbus_script(struct script *s, struct random *r);
void dns_script(struct script *s, struct random *r);
void tls_script(struct script *s, struct random *r);
void http_script(struct script *s, struct random *r);
void ssh_script(struct script *s, struct random *r);

/* Makes the `len` bytes of a message at `p` one that is refused in this place
 * and direction. Returns what was done, NULL where it does not apply. */
const char *modbus_spoil(struct random *r, unsigned int side, uint8_t *p,
			 uint32_t len);
const char *dns_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len);
const char *tls_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len);
const char *http_spoil(struct random *r, unsigned int side, uint8_t *p,
		       uint32_t len);
const char *ssh_spoil(struct random *r, unsigned int side, uint8_t *p,
		      uint32_t len);

/* Lengthens the first record so that it ends with byte `last`. */
bool tls_swallow(uint8_t *p, uint32_t last);

#endif
