/* SPDX-License-Identifier: GPL-2.0-only */
#include <portcullis/abi.h>

#include "window.h"
