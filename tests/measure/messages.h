/* SPDX-License-Identifier: GPL-2.0-only */
/* What messages.bpf.c and messages.c agree on. Include window.h first. */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

enum { MESSAGE_STEPS = 32 };

/* What a step of a message is given. */
struct message_row {
	struct step step;
	struct state state;
};

#endif
