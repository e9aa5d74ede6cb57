/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

struct figure *figures_add(struct figures *all, const char *name,
			   const char *against)
{
	struct figure *f;

	if (all->n == FIGURES)
		abort();
	f = &all->row[all->n++];
	f->name = name;
	f->against = against;
	return f;
}

void figure_sample(struct figure *f, double value, double ratio)
{
	if (f->n == SAMPLES)
		abort();
	f->value[f->n] = value;
	f->ratio[f->n++] = ratio;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The sample that `part` of all are not above. */
static double quantile(const double *samples, size_t n, double part)
{
	double sorted[SAMPLES];

	if (!n)
		return 0;
	memcpy(sorted, samples, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_size);
	return sorted[(size_t)(part * (n - 1) + 0.5)];
}

double figure_median(const struct figure *f)
{
	return quantile(f->value, f->n, 0.5);
}

void figures_print(const struct figures *all, size_t from, const char *title)
{
	const struct figure *f;

	printf("\n%-26s %8s %8s %8s   %s\n", title, "min", "median", "max",
	       "ratio");
	for (f = all->row + from; f < all->row + all->n; f++) {
		printf("%-26s %8.1f %8.1f %8.1f", f->name,
		       quantile(f->value, f->n, 0), figure_median(f),
		       quantile(f->value, f->n, 1));
		if (f->against)
			printf("   %.2f to %s", quantile(f->ratio, f->n, 0.5),
			       f->against);
		putchar('\n');
	}
}

int figures_write(const struct figures *all, const char *path)
{
	FILE *file = fopen(path, "we");
	const struct figure *f;

	if (!file)
		return -errno;
	fputs("[\n", file);
	for (f = all->row; f < all->row + all->n; f++) {
		fprintf(file,
			"  {\"name\": \"%s\", \"unit\": \"ns\", \"min\": %.1f, "
			"\"median\": %.1f, \"max\": %.1f, ",
			f->name, quantile(f->value, f->n, 0), figure_median(f),
			quantile(f->value, f->n, 1));
		if (f->against)
			fprintf(file, "\"against\": \"%s\", \"ratio\": %.3f}",
				f->against, quantile(f->ratio, f->n, 0.5));
		else
			fputs("\"against\": null, \"ratio\": null}", file);
		fputs(f + 1 < all->row + all->n ? ",\n" : "\n", file);
	}
	fputs("]\n", file);
	if (ferror(file) | fclose(file))
		return -EIO;
	return 0;
}
