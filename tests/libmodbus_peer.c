/* SPDX-License-Identifier: GPL-2.0-only */
/* The ends of a Modbus connection by libmodbus, as other people's programs
 * have it:
 *
 *   libmodbus_peer serve ADDRESS PORT         100 registers and 100 coils
 *   libmodbus_peer poll ADDRESS PORT COUNT    transactions of four functions
 *
 * The server gives holding register N the value N at its start. Both say at
 * their end what they have seen, one line.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REGISTERS = 100, CONNECTIONS = 64 };

static volatile sig_atomic_t ending;

static void end(int number)
{
	(void)number;
	ending = 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "libmodbus_peer: %s: %s\n", what,
		modbus_strerror(errno));
	return 1;
}

static modbus_mapping_t *memory(void)
{
	modbus_mapping_t *map;
	int i;

	map = modbus_mapping_new(REGISTERS, REGISTERS, REGISTERS, REGISTERS);
	for (i = 0; map && i < REGISTERS; i++)
		map->tab_registers[i] = i;
	return map;
}

/* One request. False: the connection has ended. */
static bool answer(modbus_t *ctx, int fd, modbus_mapping_t *map)
{
	uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
	int len;

	modbus_set_socket(ctx, fd);
	len = modbus_receive(ctx, request);
	return len >= 0 && modbus_reply(ctx, request, len, map) >= 0;
}

static void serve_all(modbus_t *ctx, modbus_mapping_t *map, int listener)
{
	struct pollfd fds[1 + CONNECTIONS] = { { .fd = listener,
						 .events = POLLIN } };
	unsigned long accepted = 0, requests = 0;
	int n = 1, most = 0, i;

	while (!ending) {
		if (poll(fds, n, -1) < 0)
			continue;
		for (i = n - 1; i > 0; i--) {
			if (!fds[i].revents)
				continue;
			if (answer(ctx, fds[i].fd, map)) {
				requests++;
				continue;
			}
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
		if (!fds[0].revents || n > CONNECTIONS)
			continue;
		fds[n].fd = modbus_tcp_accept(ctx, &listener);
		fds[n].events = POLLIN;
		if (fds[n].fd < 0)
			continue;
		accepted++;
		most = n > most ? n : most;
		n++;
	}
	printf("accepted %lu most %d requests %lu\n", accepted, most, requests);
}

static int serve(modbus_t *ctx)
{
	struct sigaction action = { .sa_handler = end };
	modbus_mapping_t *map = memory();
	int listener;

	sigaction(SIGTERM, &action, NULL);
	listener = modbus_tcp_listen(ctx, CONNECTIONS);
	if (!map || listener < 0)
		return fail("cannot listen");
	serve_all(ctx, map, listener);
	modbus_mapping_free(map);
	close(listener);
	return 0;
}

static bool transact(modbus_t *ctx, int i)
{
	uint16_t words[125];
	uint8_t bits[REGISTERS];
	int at = i % 50, n = 1 + i % 50;

	switch (i & 3) {
	case 0:
		return modbus_read_registers(ctx, at, n, words) == n &&
		       words[n - 1] == at + n - 1;
	case 1:
		return modbus_read_bits(ctx, at, n, bits) == n;
	case 2:
		return modbus_read_input_registers(ctx, at, n, words) == n;
	default:
		return modbus_read_input_bits(ctx, at, n, bits) == n;
	}
}

static int poll_server(modbus_t *ctx, int count)
{
	int i, bad = 0;

	if (modbus_connect(ctx))
		return fail("cannot connect");
	for (i = 0; i < count && !bad; i++) {
		if (!transact(ctx, i)) {
			fail("a transaction");
			bad++;
		}
	}
	modbus_close(ctx);
	printf("transactions %d bad %d\n", i, bad);
	return bad != 0;
}

int main(int argc, char **argv)
{
	bool serves = argc == 4 && !strcmp(argv[1], "serve");
	modbus_t *ctx;
	int code;

	if (!serves && (argc != 5 || strcmp(argv[1], "poll"))) {
		fputs("usage: libmodbus_peer serve|poll ADDRESS PORT [COUNT]\n",
		      stderr);
		return 2;
	}
	ctx = modbus_new_tcp(argv[2], atoi(argv[3]));
	if (!ctx)
		return fail("no context");
	modbus_set_response_timeout(ctx, 3, 0);
	code = serves ? serve(ctx) : poll_server(ctx, atoi(argv[4]));
	modbus_free(ctx);
	return code;
}
