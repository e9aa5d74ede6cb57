/* SPDX-License-Identifier: GPL-2.0-only */
/* Captures that are made up, each with what `replay` has to say of it under
 * the built-in policy. Written from the specifications and from what the
 * reasons mean, not from what the engine answered.
 */
#ifndef TESTS_CAPTURES_CASES_H
#define TESTS_CAPTURES_CASES_H

#include "tape.h"

enum { CASE_CONVERSATIONS = 4 };

/* Of one conversation. 0 and NULL are values like others but where said. */
struct expectation {
	const char *verdict; /* NULL: there is no such conversation */
	const char *reason;
	unsigned int first_refused;
	unsigned int delivered; /* packets with payload */
	const char *actual;	/* "null": unknown; NULL: not asked */
	const char *more;	/* words that its JSON must hold, or NULL */
};

struct capture_case {
	const char *name;
	void (*make)(struct tape *tape);
	struct expectation expect[CASE_CONVERSATIONS];
	enum tape_form form;
	enum tape_link link;
	uint32_t snaplen; /* 0: whole packets */
};

#define PASS(delivered_, actual_) PASS_AND(delivered_, actual_, NULL)
#define PASS_AND(delivered_, actual_, more_)                                   \
	{                                                                      \
		.verdict = "pass", .reason = "ok", .delivered = (delivered_),  \
		.actual = (actual_), .more = (more_)                           \
	}
#define DROP(reason_, frame_, delivered_, actual_)                             \
	DROP_AND(reason_, frame_, delivered_, actual_, NULL)
#define DROP_AND(reason_, frame_, delivered_, actual_, more_)                  \
	{                                                                      \
		.verdict = "drop", .reason = (reason_),                        \
		.first_refused = (frame_), .delivered = (delivered_),          \
		.actual = (actual_), .more = (more_)                           \
	}
#define CASE(name_, make_, ...)                                                \
	{                                                                      \
		.name = (name_), .make = (make_), .expect = { __VA_ARGS__ }    \
	}
#define CASE_ON(name_, make_, form_, link_, ...)                               \
	{                                                                      \
		.name = (name_), .make = (make_), .expect = { __VA_ARGS__ },   \
		.form = (form_), .link = (link_)                               \
	}

/* Each ends with a case without a name. */
extern const struct capture_case modbus_cases[];
extern const struct capture_case dns_cases[];
extern const struct capture_case stream_cases[];
extern const struct capture_case tcp_cases[];
extern const struct capture_case frame_cases[];

/* All of them, one after the other; NULL behind the last. */
const struct capture_case *case_get(size_t index);
/* Each with a client port of its own, 40000 and on. */
void case_make(const struct capture_case *c, struct tape *ret_tape);

#endif
