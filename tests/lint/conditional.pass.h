/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PORTCULLIS_SAMPLE_H
#define PORTCULLIS_SAMPLE_H

const volatile _Bool tracing;

#endif
