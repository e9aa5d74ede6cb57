/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole files in and out, and where things stand. */
#ifndef PORTCULLIS_FILES_H
#define PORTCULLIS_FILES_H

#include <stddef.h>
#include <sys/types.h>

#define FILES_POLICY "/etc/portcullis/policy.policy"
#define FILES_RUN_DIR "/run/portcullis"
#define FILES_EVENTS "/var/log/portcullis/events.json"

/* Reads all of `path`, at most `most` bytes; a NUL stands behind them. 0, or
 * -EFBIG, -ENOMEM, -errno. */
int files_read(const char *path, size_t most, char **ret_text, size_t *ret_len);

/* Replaces `path` as a whole: who reads it sees the old or the new text, also
 * after a loss of power. 0 / -errno. */
int files_write(const char *path, const char *text, size_t len, mode_t mode);

/* Makes the folder and those above it. 0 / -errno. */
int files_make_folder(const char *path, mode_t mode);

/* As printf into fresh memory; NULL without memory. */
char *files_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Folder that `path` stands in: fresh memory, NULL without memory. */
char *files_folder(const char *path);

/* `option` if given, else what the environment says, else the default. */
const char *files_run_dir(const char *option);

#endif
