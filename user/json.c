/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"

static bool reserve(struct json *json, size_t more)
{
	size_t size = json->size ? json->size : 1024;
	char *text;

	if (json->failed)
		return false;
	if (json->size - json->len >= more)
		return true;
	while (size - json->len < more)
		size *= 2;
	text = realloc(json->text, size);
	if (!text) {
		json->failed = true;
		return false;
	}
	json->text = text;
	json->size = size;
	return true;
}

static void put(struct json *json, const char *bytes, size_t len)
{
	if (!reserve(json, len))
		return;
	memcpy(json->text + json->len, bytes, len);
	json->len += len;
}

static void put_char(struct json *json, char byte)
{
	put(json, &byte, 1);
}

/* How many bytes the UTF-8 character at `s` has; 0: it is none. RFC 3629. */
static size_t utf8_len(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	for (i = 1; i < len; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

static void put_escaped(struct json *json, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	char code[6] = { '\\', 'u', '0', '0' };

	code[4] = digits[byte >> 4];
	code[5] = digits[byte & 15];
	switch (byte) {
	case '"':
		put(json, "\\\"", 2);
		break;
	case '\\':
		put(json, "\\\\", 2);
		break;
	case '\n':
		put(json, "\\n", 2);
		break;
	case '\t':
		put(json, "\\t", 2);
		break;
	default:
		put(json, code, sizeof(code));
	}
}

static bool is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void put_string(struct json *json, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t len;

	put_char(json, '"');
	while (*s) {
		for (len = 0; is_plain(s[len]); len++)
			;
		if (len) {
			put(json, (const char *)s, len);
			s += len;
			continue;
		}
		if (*s < 0x80) {
			put_escaped(json, *s++);
			continue;
		}
		len = utf8_len(s);
		if (len)
			put(json, (const char *)s, len);
		else
			put(json, "\xef\xbf\xbd", 3);
		s += len ? len : 1;
	}
	put_char(json, '"');
}

/* What stands before every value. */
static void begin(struct json *json, const char *key)
{
	if (json->comma)
		put_char(json, ',');
	if (key) {
		put_string(json, key);
		put_char(json, ':');
	}
	json->comma = true;
}

void json_reset(struct json *json)
{
	json->len = 0;
	json->comma = false;
	json->failed = false;
}

void json_free(struct json *json)
{
	free(json->text);
	*json = (struct json){ 0 };
}

void json_object(struct json *json, const char *key)
{
	begin(json, key);
	put_char(json, '{');
	json->comma = false;
}

void json_end_object(struct json *json)
{
	put_char(json, '}');
	json->comma = true;
}

void json_array(struct json *json, const char *key)
{
	begin(json, key);
	put_char(json, '[');
	json->comma = false;
}

void json_end_array(struct json *json)
{
	put_char(json, ']');
	json->comma = true;
}

void json_string(struct json *json, const char *key, const char *value)
{
	if (!value) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	put_string(json, value);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	begin(json, key);
	do {
		digits[--at] = '0' + value % 10;
		value /= 10;
	} while (value);
	put(json, digits + at, sizeof(digits) - at);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	if (value)
		put(json, "true", 4);
	else
		put(json, "false", 5);
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	put(json, "null", 4);
}

void json_base64(struct json *json, const char *key, const void *bytes,
		 size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = bytes;
	size_t i, have;
	uint32_t bits;
	char *out;

	begin(json, key);
	if (!reserve(json, (len + 2) / 3 * 4 + 2))
		return;
	out = json->text + json->len;
	*out++ = '"';
	for (i = 0; i < len; i += 3) {
		have = len - i < 3 ? len - i : 3;
		bits = (uint32_t)s[i] << 16;
		if (have > 1)
			bits |= (uint32_t)s[i + 1] << 8;
		if (have > 2)
			bits |= s[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = have > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = have > 2 ? digits[bits & 63] : '=';
	}
	*out++ = '"';
	json->len = out - json->text;
}

void json_time(struct json *json, const char *key, int64_t seconds)
{
	time_t time = seconds;
	char text[32];
	struct tm tm;

	if (!seconds || !gmtime_r(&time, &tm)) {
		json_null(json, key);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_string(json, key, text);
}

void json_line(struct json *json)
{
	put_char(json, '\n');
	json->comma = false;
}
