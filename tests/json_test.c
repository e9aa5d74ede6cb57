/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON writer: what it prints is JSON, whatever it is given. */
#include <string.h>

#include "json.h"
#include "tap.h"

static void expect(const char *what, struct json *json, const char *text)
{
	bool same =
	    json->len == strlen(text) && !memcmp(json->text, text, json->len);

	check(same && !json->failed, "%s: %.*s", what, (int)json->len,
	      json->text);
	json_reset(json);
}

static void test_shapes(struct json *json)
{
	json_object(json, NULL);
	json_end_object(json);
	expect("empty object", json, "{}");

	json_object(json, NULL);
	json_string(json, "a", "b");
	json_array(json, "c");
	json_uint(json, NULL, 1);
	json_uint(json, NULL, 2);
	json_array(json, NULL);
	json_end_array(json);
	json_object(json, NULL);
	json_end_object(json);
	json_end_array(json);
	json_bool(json, "d", true);
	json_bool(json, "e", false);
	json_null(json, "f");
	json_string(json, "g", NULL);
	json_end_object(json);
	json_line(json);
	expect("nested", json,
	       "{\"a\":\"b\",\"c\":[1,2,[],{}],\"d\":true,\"e\":false,"
	       "\"f\":null,\"g\":null}\n");

	json_object(json, NULL);
	json_end_object(json);
	json_line(json);
	json_object(json, NULL);
	json_end_object(json);
	json_line(json);
	expect("two lines", json, "{}\n{}\n");
}

static void test_numbers(struct json *json)
{
	json_uint(json, NULL, 0);
	expect("zero", json, "0");
	json_uint(json, NULL, UINT64_MAX);
	expect("largest", json, "18446744073709551615");
	json_time(json, NULL, 0);
	expect("no time", json, "null");
	json_time(json, NULL, 1795494000);
	expect("time", json, "\"2026-11-24T04:20:00Z\"");
}

static void test_strings(struct json *json)
{
	static const struct {
		const char *value;
		const char *text;
	} cases[] = {
		{ "", "\"\"" },
		{ "quote\" back\\ line\n tab\t",
		  "\"quote\\\" back\\\\ line\\n tab\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x92\xa1",
		  "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x92\xa1\"" },
		/* RFC 3629: cut, overlong, surrogate, above U+10FFFF */
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80",
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_string(json, NULL, cases[i].value);
		expect("string", json, cases[i].text);
	}
}

static void test_base64(struct json *json)
{
	/* RFC 4648, 10 */
	static const char *const cases[][2] = {
		{ "", "\"\"" },
		{ "f", "\"Zg==\"" },
		{ "fo", "\"Zm8=\"" },
		{ "foo", "\"Zm9v\"" },
		{ "foob", "\"Zm9vYg==\"" },
		{ "fooba", "\"Zm9vYmE=\"" },
		{ "foobar", "\"Zm9vYmFy\"" },
		{ "\xff\xff\xfe", "\"///+\"" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_base64(json, NULL, cases[i][0], strlen(cases[i][0]));
		expect("base64", json, cases[i][1]);
	}
}

static void test_growth(struct json *json)
{
	char value[5000];
	size_t size;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	json_string(json, NULL, value);
	check(json->len == sizeof(value) + 1, "grows: %zu bytes", json->len);
	size = json->size;
	json_reset(json);
	json_string(json, NULL, value);
	check(json->size == size, "keeps its memory: %zu", json->size);
	json_reset(json);
}

int main(void)
{
	struct json json = { 0 };

	test_shapes(&json);
	test_numbers(&json);
	test_strings(&json);
	test_base64(&json);
	test_growth(&json);
	json_free(&json);
	return tap_summary();
}
