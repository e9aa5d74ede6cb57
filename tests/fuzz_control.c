/* SPDX-License-Identifier: GPL-2.0-only */
/* What a stranger may write: bytes on the control socket in any pieces, a
 * daemon's answer, and the file of live changes. The first byte chooses.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the daemon reads: the head first, then what it promises. */
static void fuzz_request(const uint8_t *data, size_t size)
{
	struct control_request request = { 0 };
	size_t i, sum = 0;
	ssize_t whole;
	char *bytes;
	int k;

	for (i = 0; i < size && i < 32; i++) {
		whole = control_size(data, i);
		if (whole > 0 && i < sizeof(struct control_head))
			abort();
	}
	bytes = malloc(size + !size);
	if (!bytes)
		return;
	memcpy(bytes, data, size);
	if (!control_parse(bytes, size, &request)) {
		for (k = 0; k < request.argc; k++)
			sum += strlen(request.argv[k]) + 1;
		if (request.argv[request.argc] || request.argc < 1 ||
		    sum + request.body_len + sizeof(struct control_head) !=
			size)
			abort();
	}
	free(bytes);
}

/* Written and read again it must be the same text. */
static void fuzz_live(const uint8_t *data, size_t size)
{
	struct live live, again;
	size_t len, len_again;
	char *text, *text_again;

	if (live_parse((const char *)data, size, &live)) {
		live_free(&live);
		return;
	}
	live_expire(&live, 1795494000);
	live_remove(&live, 7);
	text = live_text(&live, &len);
	if (text && !live_parse(text, len, &again)) {
		text_again = live_text(&again, &len_again);
		if (text_again &&
		    (len != len_again || memcmp(text, text_again, len)))
			abort();
		free(text_again);
		live_free(&again);
	}
	free(text);
	live_free(&live);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		fuzz_live(data + 1, size - 1);
	else
		fuzz_request(data + 1, size - 1);
	return 0;
}
