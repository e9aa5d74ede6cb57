/* SPDX-License-Identifier: GPL-2.0-only */
/* What the daemon answers to whom: one table of requests. */
#ifndef PORTCULLIS_REQUESTS_H
#define PORTCULLIS_REQUESTS_H

#include <stdbool.h>

#include "control.h"
#include "eventlog.h"
#include "events.h"
#include "gate.h"

/* What the requests work on. */
struct requests {
	struct gate *gate;
	const struct eventlog *log;
	const struct events_table *events;
	bool detach; /* set by the request of that name: take it all down */
};

/* A control_handler; arg is a struct requests. */
void requests_handle(const struct control_request *request,
		     struct control_reply *reply, void *arg);

#endif
