/* SPDX-License-Identifier: GPL-2.0-only */
/* TODO: judge the second header too */
