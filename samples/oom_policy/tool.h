/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs of this folder have in common: numbers of an operator, and cgroups by
 * their names. Functions that return int give 0 or -1, and unless they say otherwise
 * the reason is told by then.
 */
#ifndef SAMPLES_OOM_POLICY_TOOL_H
#define SAMPLES_OOM_POLICY_TOOL_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <linux/types.h>

/* One sentence on stderr, and -1. */
#define fail(fmt, ...) ({							\
	fprintf(stderr, "%s: " fmt "\n", program_invocation_short_name, ##__VA_ARGS__);	\
	-1;									\
})

/* parse_number() - digits and nothing else, not above @high; nothing is told */
int parse_number(const char *text, unsigned long high, unsigned long *number);

/* parse_share() - "12.5%", from 0 to 100; nothing is told */
int parse_share(const char *text, double *percent);

/* parse_ms() - milliseconds from @low to @high; @what they are is for the message */
int parse_ms(const char *what, const char *text, unsigned int low, unsigned int high,
	     unsigned int *ms);

struct scope {
	char path[PATH_MAX];	/* from the root of cgroup v2 on; that itself is "/" */
	__u64 id;
	unsigned int level;	/* below the root, which is 0 */
};

/* cgroup_id() - the id of a directory of cgroup v2; nothing is told but errno */
int cgroup_id(const char *dir, __u64 *id);
/* cgroup_fd_id() - that of one that is open */
int cgroup_fd_id(int fd, __u64 *id);

/*
 * find_scope() - a cgroup by what an operator calls it
 * @name: relative to the root of cgroup v2, or absolute: below that or with it in front
 */
int find_scope(const char *name, struct scope *scope);

#endif /* SAMPLES_OOM_POLICY_TOOL_H */
