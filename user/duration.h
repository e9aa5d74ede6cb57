/* SPDX-License-Identifier: GPL-2.0-only */
/* Lengths of time as people write them: "90s", "30m", "2h", "1d12h". */
#ifndef PORTCULLIS_DURATION_H
#define PORTCULLIS_DURATION_H

#include <stddef.h>
#include <stdint.h>

#define DURATION_MOST (366ULL * 86400)

/* At least a second, at most DURATION_MOST. 0 / -EINVAL. */
int duration_parse(const char *text, uint64_t *ret_seconds);
/* "2 h 3 min", into `text`, which is returned. */
const char *duration_print(uint64_t seconds, char *text, size_t size);

#endif
