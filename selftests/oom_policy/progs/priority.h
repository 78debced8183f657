/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/priority.bpf.c tells the tests in its global variables. */
#ifndef SELFTESTS_OOM_POLICY_PRIORITY_H
#define SELFTESTS_OOM_POLICY_PRIORITY_H

#define MAX_SEEN	64

/* What cgroups whose names begin with "p" and "c" have. */
#define PRECIOUS	100
#define CHEAP		(-100)

/* A candidate, as a program saw it. */
struct seen {
	__u64 cgroup_id;
	__s64 priority;
	__u32 pid;
	__u32 reserved;		/* where 64 bits need not be aligned, too */
};

#endif /* SELFTESTS_OOM_POLICY_PRIORITY_H */
