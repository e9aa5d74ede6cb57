/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames out of a pcap or pcapng file, one at a time, whatever link they were
 * captured on: every frame is handed out as an Ethernet frame. No policy.
 */
#ifndef PORTCULLIS_CAPTURE_H
#define PORTCULLIS_CAPTURE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct capture;

struct capture_frame {
	uint64_t number;      /* in the file, from 1 */
	uint64_t time_ns;     /* since 1970; never goes back within a file */
	const uint8_t *bytes; /* Ethernet frame, valid till the next frame */
	size_t len;	      /* bytes that are in the file */
	size_t wire_len;      /* bytes that were on the wire; above len: cut */
};

/* "-" is standard input. NULL and a sentence in `error` on failure. */
struct capture *capture_open(const char *path, char *error, size_t error_len);
/* The same over an open stream, which is closed with the capture, and also
 * when opening fails. */
struct capture *capture_open_stream(FILE *stream, const char *name, char *error,
				    size_t error_len);
void capture_close(struct capture *capture); /* NULL is fine */

/* 1: a frame; 0: the end of the file; -EIO: the file is damaged or ends
 * inside a frame, capture_error() says how. */
int capture_next(struct capture *capture, struct capture_frame *ret_frame);
const char *capture_error(struct capture *capture);

const char *capture_name(const struct capture *capture);
/* Percent of the file that was read, -1 where its size is not known. */
int capture_progress(const struct capture *capture);

#endif
