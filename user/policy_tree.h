/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of the policy compiler, shared by user/policy_*.c only.
 *
 *	policy_lex.c      text -> tokens
 *	policy_parse.c    tokens -> tree: everything but conduits
 *	policy_conduit.c  tokens -> tree: conduits and allow statements
 *	policy_resolve.c  names -> what they name; every check of meaning
 *	policy_rules.c    allow statements -> keys, rulesets, shapes, conditions
 *	policy_compile.c  the rest of struct image, and the way through all this
 *	policy_live.c     one allow statement from a command line
 *	policy_report.c   memory, tables, errors
 *
 * All memory of the tree is one arena. Running out of it jumps to the setjmp
 * in policy_compile.c, so nothing below checks for NULL.
 */
#ifndef PORTCULLIS_POLICY_TREE_H
#define PORTCULLIS_POLICY_TREE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arguments.h"
#include "image.h"
#include "policy.h"
#include "protocols.h"

enum {
	POLICY_ERRORS_MAX = 50,
	POLICY_NAME_MAX = 63,
	POLICY_SOURCE_MAX = 4 << 20,
	POLICY_NOTES_MAX = 2,
	POLICY_KEYS_MAX = 131072,
};

/* Where something stands. line 0: nowhere. */
struct spot {
	uint32_t source;
	uint32_t line;
	uint32_t offset; /* of its first byte in the source */
	uint32_t len;
};

struct word {
	struct spot spot;
	const char *text;
	struct word *next;
};

struct word_list {
	struct word *first;
	struct word *last;
};

/* ---- memory, tables -------------------------------------------------- */

struct arena_block;

struct arena {
	struct arena_block *blocks;
	char *at;
	size_t left;
};

struct table_entry;

/* Byte strings to values; the keys are not copied. */
struct table {
	struct table_entry **buckets;
	size_t n_buckets;
	size_t n;
};

/* The names of one kind of thing. */
struct names {
	const char *kind; /* "zone" */
	struct table table;
	struct word_list list;
};

/* A string that grows. */
struct text {
	char *data; /* NUL-terminated once anything was added */
	size_t len;
	size_t room;
};

/* ---- tree ------------------------------------------------------------ */

struct interface_tree {
	struct word name;
	struct interface_tree *next;
};

struct wire_tree {
	struct word a;
	struct word b;
	struct wire_tree *next;
};

struct site_tree {
	struct word name; /* the word `site` */
	const char *title;
	bool broken;
	struct spot mode_at;
	uint8_t mode;
	struct spot default_at;
	uint8_t default_mode;
	struct spot monitor_at;
	const char *monitor_port;
	struct spot evidence_at;
	uint64_t evidence;
	struct spot fail_at;
	bool fail_open;
	struct spot limit_at[2]; /* host, zone */
	uint32_t limit[2];
	struct spot layer2_at[LAYER2_max];
	uint64_t layer2_drop;
	struct wire_tree *wires;
	struct wire_tree **wires_end;
	struct spot kernel_at;
	struct word_list kernel_ports;
};

struct port_range {
	struct spot spot;
	uint8_t l4;
	uint16_t first;
	uint16_t last;
	struct port_range *next;
};

struct service_tree {
	struct word name;
	bool broken;
	uint16_t id;
	struct port_range *ports;
	struct port_range **ports_end;
	struct word_list expects;
	const struct protocol *protos[RULESET_PROTOS];
	unsigned int n_protos;
	uint16_t quirks;
	struct service_tree *next;
};

struct network_tree {
	struct spot spot;
	uint8_t family; /* 4, 6 */
	uint8_t prefixlen;
	uint8_t addr[16];
	struct network_tree *next;
};

struct zone_tree;

struct asset_tree {
	struct word name;
	struct spot address_at;
	uint8_t family;
	uint8_t addr[16];
	bool has_mac;
	bool essential;
	uint16_t quirks;
	uint16_t id;
	struct zone_tree *zone;
	struct asset_tree *next;
};

struct zone_tree {
	struct word name;
	const char *title;
	bool broken;
	bool is_self;
	uint16_t id;
	uint64_t ports; /* bit per interface */
	struct word_list interfaces;
	struct network_tree *networks;
	struct network_tree **networks_end;
	size_t n_assets;
	struct zone_tree *next;
};

struct conduit_tree {
	struct word name;
	const char *title;
	bool broken;
	uint16_t id;
	struct word from;
	struct word to;
	struct zone_tree *from_zone;
	struct zone_tree *to_zone;
	struct spot mode_at;
	uint8_t mode;
	struct spot action_at;
	uint8_t action;
	struct spot ceiling_at;
	uint32_t ceiling;
	struct spot asymmetric_at;
	uint8_t flags; /* RULESET_* */
	struct conduit_tree *next;
};

/* One word of what an allow statement lets through. */
struct ask_tree {
	struct word word;
	bool exact; /* stood behind `function` */
	int number; /* exact and numeric, else -1 */
	struct ask_tree *next;
};

/* `register 0-99, 200`. */
struct limit_tree {
	const struct argument_word *word;
	struct spot spot;
	struct portcullis_range ranges[LIMIT_RANGES]; /* rising */
	unsigned int n;
	struct limit_tree *next; /* in order of argument_list() */
};

struct allow_tree {
	struct spot spot; /* the word `allow` */
	bool broken;
	struct word service_name;
	struct word in; /* live statements; else the conduit is set */
	struct ask_tree *asks;
	struct word_list from;
	struct word_list to;
	struct spot unit_at;
	uint64_t units[4];
	struct limit_tree *limits;
	struct spot until_at;
	time_t until;
	struct spot live_at;
	uint32_t live_id;

	/* resolved */
	struct conduit_tree *conduit;
	struct service_tree *service;
	struct asset_tree **from_assets; /* sorted by name; NULL: the zone */
	size_t n_from;
	struct asset_tree **to_assets;
	size_t n_to;
	bool admits[RULESET_PROTOS];
	uint64_t functions[RULESET_PROTOS][4];
	bool expired;
	uint64_t until_jiffies;
	const char *text; /* canonical, with its conduit */
	uint32_t id;	  /* index in image.rules */
	struct allow_tree *next;
};

/* Who an address or network belongs to: one row of the longest-prefix map. */
struct holder {
	struct network_tree network;
	struct zone_tree *zone;
	struct asset_tree *asset; /* NULL: the zone itself */
	struct holder *next;
};

/* ---- the compiler's state -------------------------------------------- */

struct report {
	struct spot spot;
	unsigned int order;
	const char *message;
	const char *notes[POLICY_NOTES_MAX];
};

struct policy {
	const struct policy_source *sources;
	size_t n_sources;
	const struct policy_context *context;
	struct arena arena;
	jmp_buf no_memory;

	struct report reports[POLICY_ERRORS_MAX];
	size_t n_reports;
	size_t n_errors;

	struct site_tree site;
	struct zone_tree self;
	struct service_tree *services, **services_end;
	struct zone_tree *zones, **zones_end;
	struct asset_tree *assets, **assets_end;
	struct conduit_tree *conduits, **conduits_end;
	struct allow_tree *allows, **allows_end;
	size_t n_services, n_zones, n_assets, n_conduits;
	struct names service_names, zone_names, asset_names, conduit_names;
	struct holder *holders, **holders_end;
	struct image_port ports[PORTS_MAX];
	struct spot port_at[PORTS_MAX];
	size_t n_ports;
	uint16_t service_of[2][65536]; /* tcp, udp; 0: none */
	struct word preset;	       /* that is in use; text NULL: none */
	/* 1 + the source that may leave out `in CONDUIT`, 0: none */
	uint32_t command_line;

	struct image *image; /* being filled */
};

/* ---- policy_report.c ------------------------------------------------- */

void *arena_alloc(struct policy *p, size_t size); /* zeroed, aligned to 8 */
char *arena_copy(struct policy *p, const char *bytes, size_t len);
void arena_free(struct arena *arena);

void *table_find(const struct table *table, const void *key, size_t len);
void table_add(struct policy *p, struct table *table, const void *key,
	       size_t len, void *value);

void text_add(struct policy *p, struct text *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Counts an error; the first POLICY_ERRORS_MAX of them are kept. */
void policy_error(struct policy *p, const struct spot *spot, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));
/* A line below the last error. */
void policy_note(struct policy *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "line 14", or "FILE:14" where that is another source than `here`. */
const char *policy_where(struct policy *p, const struct spot *here,
			 const struct spot *there);
/* Writes what was kept, in order of the text. */
void policy_print_errors(struct policy *p, FILE *out);

/* The nearest of the words offered, if any is near enough. */
struct guess {
	const char *word;
	const char *best;
	unsigned int distance;
	struct spot at; /* of the best, if it has one */
};

void guess_start(struct guess *guess, const char *word);
void guess_offer(struct guess *guess, const char *candidate,
		 const struct spot *at);
/* Writes "did you mean …?" if there is a near word. */
bool guess_note(struct policy *p, const struct guess *guess,
		const struct spot *here);
/* "did you mean X?", else "expected a, b or c". words end in NULL. */
void policy_note_words(struct policy *p, const char *word,
		       const char *const *words);

/* ---- policy_lex.c ---------------------------------------------------- */

/* Bytes of the UTF-8 letter that begins a text; 0 if none does, or one that
 * would control a terminal. */
unsigned int letter_len(const char *text, size_t len);

enum token_kind {
	TOKEN_end,  /* of the source */
	TOKEN_line, /* end of a statement: new line or ';' */
	TOKEN_word,
	TOKEN_string,
	TOKEN_open,
	TOKEN_close,
	TOKEN_comma,
	TOKEN_bad, /* reported by the lexer */
};

struct token {
	enum token_kind kind;
	struct spot spot;
	const char *text; /* of a word or string */
};

struct lexer {
	struct policy *policy;
	const char *text;
	uint32_t len;
	uint32_t at;
	uint32_t line;
	uint32_t source;
	bool quiet;	    /* what is skipped may be nonsense */
	bool resumed;	    /* a block was given up; at a new statement */
	struct spot before; /* of the token taken last */
	struct token token; /* the one to be looked at */
};

void lexer_start(struct lexer *lex, struct policy *p, uint32_t source);
void lexer_next(struct lexer *lex);

/* ---- policy_parse.c -------------------------------------------------- */

void policy_parse(struct policy *p, uint32_t source);

bool at_word(const struct lexer *lex, const char *word);
bool accept_word(struct lexer *lex, const char *word);
bool accept_token(struct lexer *lex, enum token_kind kind);
/* Reports that the token is not what was expected. Always false. */
bool unexpected(struct lexer *lex, const char *expected);
/* Takes the next word; `what` is for the error. */
bool expect_word(struct lexer *lex, const char *what, struct word *ret_word);
/* A word that can be a name: letter first, then letters, digits, - _ . */
bool expect_name(struct lexer *lex, const char *what, struct word *ret_word);
/* One of `words` (ends in NULL): its index, or -1 after an error "'x' is not
 * WHAT". */
int expect_choice(struct lexer *lex, const char *what, const char *const *words,
		  struct spot *ret_spot);
bool expect_number(struct lexer *lex, const char *what, uint64_t max,
		   uint64_t *ret_number);
/* Decimal digits, no leading zero, at most max. */
bool parse_number(const char *text, uint64_t max, uint64_t *ret_number);
/* Reports and returns false if `set` is already somewhere; else notes it. */
bool once(struct lexer *lex, const char *what, struct spot *set,
	  const struct spot *now);
/* policy_preset.c: the statement; and, when all is read, what it means. */
bool parse_use(struct lexer *lex, const struct word *word, void *node);
void policy_preset(struct policy *p);

void word_append(struct policy *p, struct word_list *list,
		 const struct word *word);

/* A statement of a block: its first word was taken and stands in `word`. */
struct statement {
	const char *word;
	bool (*parse)(struct lexer *lex, const struct word *word, void *node);
	const char *later; /* not yet supported, and what to do meanwhile */
};

/* Reads `{ statements }`. `what` and `opened` are for errors. False if anything
 * in it was wrong. */
bool parse_block(struct lexer *lex, const struct statement *statements,
		 const char *what, const struct spot *opened, void *node);
/* From inside of a faulty head to the '{' of its block, or else to the next
 * statement, which `resumed` then says. */
void skip_head(struct lexer *lex);

/* ---- policy_conduit.c ------------------------------------------------ */

bool parse_conduit(struct lexer *lex, const struct word *word, void *node);
/* An allow statement outside of a conduit: a live change. */
bool parse_live_allow(struct lexer *lex, const struct word *word, void *node);
/* "allow modbus read from a to b", canonical, without conduit and `live`. */
const char *allow_text(struct policy *p, const struct allow_tree *allow);

/* ---- policy_resolve.c ------------------------------------------------ */

void policy_resolve(struct policy *p);

/* ---- policy_rules.c -------------------------------------------------- */

/* Fills keys, rulesets, shapes and conditions of p->image. Errors for what
 * does not fit. */
void policy_rules(struct policy *p);

/* ---- policy_compile.c ------------------------------------------------ */

/* An array of the image; jumps to p->no_memory when there is no memory. */
void *image_array(struct policy *p, size_t n, size_t size);
char *image_string(struct policy *p, const char *text);

/* The state for these sources; command_line as in struct policy. 0, -ENOMEM,
 * -EFBIG. To be freed by policy_close(). */
int policy_open(const struct policy_source *sources, size_t n_sources,
		const struct policy_context *context, uint32_t command_line,
		struct policy **ret_policy);
/* Parses, resolves and fills p->image. 0, -EINVAL with errors in p, -ENOMEM. */
int policy_run(struct policy *p);
void policy_close(struct policy *p);

#endif
