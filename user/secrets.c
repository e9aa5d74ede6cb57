/* SPDX-License-Identifier: GPL-2.0-only */
#include "secrets.h"

#include <string.h>
#include <strings.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	BER_INTEGER = 0x02,
	BER_STRING = 0x04,
	BER_SEQUENCE = 0x30,

	SNMP_V3 = 3, /* has no community, RFC 3412 6 */
};

static void hide(uint8_t *bytes, size_t len, size_t from, size_t n)
{
	if (from < len)
		memset(bytes + from, '*', n < len - from ? n : len - from);
}

/* ---- SNMP ------------------------------------------------------------ */

/* The length at *at, which goes behind it: X.690 8.1.3, in any form, for what
 * was refused need not be legal. What cannot be read is endless. */
static size_t ber_length(const uint8_t *bytes, size_t len, size_t *at)
{
	size_t n, length = 0;

	if (*at >= len)
		return SIZE_MAX;
	n = bytes[(*at)++];
	if (n < 0x80)
		return n;
	for (n &= 0x7f; n && *at < len; n--) {
		if (length >> 24)
			return SIZE_MAX;
		length = length << 8 | bytes[(*at)++];
	}
	return n || !length ? SIZE_MAX : length;
}

enum head { HEAD_none, HEAD_secret, HEAD_open };

/* RFC 1157 4, RFC 1901 3: a sequence of a version and a community. */
static enum head hide_community(uint8_t *bytes, size_t len, size_t at)
{
	size_t n, version;

	if (at >= len || bytes[at++] != BER_SEQUENCE)
		return HEAD_none;
	ber_length(bytes, len, &at);
	if (at >= len || bytes[at++] != BER_INTEGER)
		return HEAD_none;
	n = ber_length(bytes, len, &at);
	if (n < 1 || n > 4 || at + n > len)
		return HEAD_none;
	for (version = 0; n; n--)
		version = version << 8 | bytes[at++];
	if (version == SNMP_V3)
		return HEAD_open;
	if (at >= len || bytes[at++] != BER_STRING)
		return HEAD_none;
	n = ber_length(bytes, len, &at);
	hide(bytes, len, at, n);
	return HEAD_secret;
}

/* ---- HTTP ------------------------------------------------------------ */

static const char *const fields[] = {
	"authorization:",
	"proxy-authorization:",
	"cookie:",
	"set-cookie:",
};

/* The length of the name of such a field, if one begins there. */
static size_t field_at(const uint8_t *bytes, size_t len, size_t at)
{
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		n = strlen(fields[i]);
		if (n <= len - at &&
		    !strncasecmp((const char *)bytes + at, fields[i], n))
			return n;
	}
	return 0;
}

/* A line that begins with a space continues the one before, RFC 9112 5.2. */
static bool line_ends(const uint8_t *bytes, size_t len, size_t at)
{
	return bytes[at] == '\n' && !(at + 1 < len && (bytes[at + 1] == ' ' ||
						       bytes[at + 1] == '\t'));
}

static bool hide_field(uint8_t *bytes, size_t len, size_t at)
{
	size_t n = field_at(bytes, len, at);

	if (!n)
		return false;
	for (at += n; at < len && !line_ends(bytes, len, at); at++)
		if (bytes[at] != '\r' && bytes[at] != '\n')
			bytes[at] = '*';
	return true;
}

bool secrets_hide(uint8_t *frame, size_t len, size_t payload_at, bool to_snmp)
{
	bool found = false, is_open = false;
	enum head head;
	size_t at;

	/* A fragment, or a frame that was not understood, may hold them too. */
	for (at = 0; at < len; at++) {
		head = hide_community(frame, len, at);
		found |= head == HEAD_secret;
		is_open |= head == HEAD_open && at == payload_at;
		if (!at || frame[at - 1] == '\n' || at == payload_at)
			found |= hide_field(frame, len, at);
	}
	if (!to_snmp || found || is_open || payload_at >= len)
		return found;
	hide(frame, len, payload_at, len);
	return true;
}
