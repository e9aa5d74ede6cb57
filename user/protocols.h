/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of include/portcullis/ and the function lists of bpf/proto/ as
 * data: names for numbers and numbers for names. No I/O.
 */
#ifndef PORTCULLIS_PROTOCOLS_H
#define PORTCULLIS_PROTOCOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <portcullis/abi.h>

struct protocol_function {
	uint8_t number;	  /* what the stepper says(), 0..254 */
	const char *name; /* keyword: lower case, digits, '-' */
	uint8_t class;	  /* enum portcullis_class */
};

struct protocol {
	uint8_t id;	   /* enum portcullis_proto */
	const char *name;  /* keyword and metric label */
	const char *ports; /* policy words, "udp 53, tcp 53" */
	const char *title;
	unsigned int answers; /* UDP answers a request may have */
	uint32_t longest;     /* bytes, 0: no bound */
	const struct protocol_function *functions; /* NULL: none */
	size_t n_functions;
};

/* Does it command or read machines? By the field it was made for; what carries
 * anything, as DCE/RPC, is none. */
bool protocol_is_industrial(unsigned int id);
/* Is `port` where it lives by standard? */
bool protocol_lives_at(unsigned int id, unsigned int l4, unsigned int port);
/* By id or name; NULL if there is none. */
const struct protocol *protocol_get(unsigned int id);
const struct protocol *protocol_find(const char *name);
/* All of them in table order, *ret_n of them. */
const struct protocol *protocol_list(size_t *ret_n);
/* "unknown" for 0 and for ids without a row. */
const char *protocol_name(unsigned int id);
/* The function's keyword, or NULL. */
const char *protocol_function_name(unsigned int id, unsigned int number);
/* After it the connection carries what the protocol does not know. */
bool protocol_is_tunnel(unsigned int id, unsigned int number);

/* What may be tolerated; ids are below QUIRK_max. */
struct quirk {
	const char *name;      /* keyword; NULL: no row */
	const char *protocols; /* " s7comm mms " */
	const char *title;
};
const struct quirk *quirk_get(unsigned int id); /* NULL: no row */
int quirk_find(const char *name);		/* id, or -1 */
bool quirk_is_of(unsigned int id, const struct protocol *protocol);

/* Reasons: NULL for an id without a row. */
const char *reason_name(unsigned int id);
const char *reason_sentence(unsigned int id);
enum portcullis_kind reason_kind(unsigned int id);
int reason_find(const char *name); /* id, or -1 */

const char *kind_name(unsigned int kind);
const char *class_name(unsigned int class);	/* "read"; "none" for 0 */
int class_find(const char *name);		/* id, or -1 */
const char *verdict_name(unsigned int verdict); /* "drop" */
const char *mode_name(unsigned int mode);
const char *layer2_name(unsigned int id); /* NULL: no row */
const char *layer2_title(unsigned int id);
bool layer2_default_drop(unsigned int id);
/* '-' and '_' are the same here; id, or -1. */
int layer2_find(const char *name);

/* What the first bytes that one side sent really are: runs every protocol's
 * stepper over them and returns the one with the strongest evidence, or
 * a protocol that is only known by name (foreign.h), or PROTO_unknown. `len`
 * bytes of payload; l4 is TRANSPORT_*.
 */
unsigned int identify(const uint8_t *bytes, size_t len, unsigned int l4,
		      bool from_server);

#endif
