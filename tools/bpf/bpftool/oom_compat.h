/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Our files are written for the bpftool of Linux 7.3. This is what that of 6.12 calls
 * otherwise; for 7.3 the overlay leaves it out, with the lines that include it.
 */
#ifndef OOM_COMPAT_H
#define OOM_COMPAT_H

#include "main.h"

/* The file system bpf has no options for opening an object. */
#define open_obj_pinned_any(path, type, ...)	open_obj_pinned_any(path, type)

#endif
