/* A licence that is only spoken of. */
/* SPDX-License-Identifier: GPL-2.0-only */
int x;
