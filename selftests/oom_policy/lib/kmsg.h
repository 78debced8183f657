/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the kernel's log, OOM reports above all. */
#ifndef SELFTESTS_OOM_POLICY_KMSG_H
#define SELFTESTS_OOM_POLICY_KMSG_H

#include <stddef.h>

/*
 * What is logged from now on; -1 with the reason on stderr. The kernel reports ten OOMs in
 * five seconds: after as many it returns when there is room for NR_REPORTS.
 */
#define NR_REPORTS	5
int kmsg_open(void);

/* The text of the next record, as dmesg(1) shows it; NULL: none there. */
char *kmsg_line(int fd, char *record, size_t size);

/*
 * The next report, from "invoked oom-killer" to "Killed process", one line per
 * record; the number of lines, or -1 if it does not come to its end in time.
 */
int kmsg_read_report(int fd, char *text, size_t size);

/* How many records with @text there are since kmsg_open() or the last reading. */
int kmsg_count(int fd, const char *text);

/* At which level, 0 to 7, the next record with @text is; -1 if it does not come in time. */
int kmsg_level(int fd, const char *text);

#endif /* SELFTESTS_OOM_POLICY_KMSG_H */
