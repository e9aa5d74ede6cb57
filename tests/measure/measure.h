/* SPDX-License-Identifier: GPL-2.0-only */
/* What `make bench` is made of: figures, the two kinds of measuring, and the
 * gate that is measured, which is the one that the daemon would run.
 */
#ifndef TESTS_MEASURE_H
#define TESTS_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pins.h"
#include "traffic.h"

#include <traffic.skel.h>

enum { FIGURES = 96, SAMPLES = 256 };

/* Samples of one quantity, each with its ratio to what was measured beside it
 * in the same round. */
struct figure {
	const char *name;
	const char *against;   /* what `ratio` divides by */
	double value[SAMPLES]; /* nanoseconds */
	double ratio[SAMPLES];
	size_t n;
};

struct figures {
	struct figure row[FIGURES];
	size_t n;
};

struct figure *figures_add(struct figures *all, const char *name,
			   const char *against);
void figure_sample(struct figure *figure, double value, double ratio);
double figure_median(const struct figure *figure);
/* A table on stdout. */
void figures_print(const struct figures *all, size_t from, const char *title);
/* As JSON. 0 / -errno. */
int figures_write(const struct figures *all, const char *path);

/* A gate below PINS, its policy in force on interfaces of the namespace of the
 * caller. NULL and a sentence on stderr on failure. */
#define PINS "/sys/fs/bpf/portcullis-bench"
struct datapath *gate_open(const char *name, const char *policy,
			   enum datapath_door door);
/* Packets that had this verdict for this reason. */
uint64_t gate_count(struct datapath *dp, enum portcullis_reason reason,
		    enum portcullis_verdict verdict);
/* A sentence on stderr, what passed or not by reason; returns false. */
bool gate_complain(struct datapath *dp, const char *name);

/* Measures, adds rows. False, and a sentence on stderr: it could not. */
bool programs_measure(struct figures *all);
bool paths_measure(struct figures *all);
/* `build`: where the tests were built. */
bool messages_measure(struct figures *all, const char *build);

/* Runs a command of the system, its text on stderr when it fails. */
__attribute__((format(printf, 1, 2))) bool command(const char *format, ...);
/* A sentence on stderr; returns false. */
__attribute__((format(printf, 1, 2))) bool complain(const char *format, ...);

#endif
