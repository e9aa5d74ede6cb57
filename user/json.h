/* SPDX-License-Identifier: GPL-2.0-only */
/* A JSON writer into one growing buffer that is used again and again. Keys and
 * values in the order of the calls; `key` is NULL inside arrays and at the top.
 * Strings need not be clean: what is not UTF-8 becomes U+FFFD.
 */
#ifndef PORTCULLIS_JSON_H
#define PORTCULLIS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text; /* not terminated */
	size_t len;
	size_t size;
	bool comma;  /* the next value needs one */
	bool failed; /* out of memory: what stands there is worth nothing */
};

/* Starts anew and keeps the memory. A struct json begins as all zero. */
void json_reset(struct json *json);
void json_free(struct json *json);

void json_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_array(struct json *json, const char *key);
void json_end_array(struct json *json);

void json_string(struct json *json, const char *key, const char *value);
void json_uint(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
void json_base64(struct json *json, const char *key, const void *bytes,
		 size_t len);
/* Seconds since 1970 as "2026-11-24T04:20:00Z"; null for 0. */
void json_time(struct json *json, const char *key, int64_t seconds);

/* Ends a top-level value with a newline. */
void json_line(struct json *json);

#endif
