/* SPDX-License-Identifier: GPL-2.0-only */
#include "cases.h"

static const struct capture_case *const lists[] = {
	modbus_cases, dns_cases, stream_cases, tcp_cases, frame_cases,
};

const struct capture_case *case_get(size_t index)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const struct capture_case *c = lists[i]; c->name; c++)
			if (!index--)
				return c;
	return NULL;
}

void case_make(const struct capture_case *c, struct tape *ret_tape)
{
	size_t index = 0;

	while (case_get(index) != c)
		index++;
	tape_begin(ret_tape, c->form, c->link, c->snaplen ? c->snaplen : 65535);
	ret_tape->client_port = (uint16_t)(40000 + index);
	c->make(ret_tape);
}
