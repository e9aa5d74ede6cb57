/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own clock, as the programs read it. */
#ifndef PORTCULLIS_JIFFIES_H
#define PORTCULLIS_JIFFIES_H

#include <stdint.h>

/* Loads a program that tells the time: a descriptor, or -errno. -EPERM is also
 * what a process without the right to load programs gets. */
int jiffies_open(void);
/* Runs it. 0 if it cannot be run. */
uint64_t jiffies_read(int probe);
/* Jiffies per second. */
uint32_t jiffies_per_second(void);

#endif
