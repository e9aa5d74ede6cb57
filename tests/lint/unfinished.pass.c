/* SPDX-License-Identifier: GPL-2.0-only */
/* A todo list of the plant is data: this word in lower case is no mark. */
static const char *const methods[] = { "TODOS", "XXXX" };
