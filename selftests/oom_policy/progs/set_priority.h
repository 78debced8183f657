/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/set_priority.bpf.c is asked for. */
#ifndef SELFTESTS_OOM_POLICY_SET_PRIORITY_H
#define SELFTESTS_OOM_POLICY_SET_PRIORITY_H

#include <linux/types.h>

struct set_priority_args {
	__u64 cgroup_id;
	__s64 priority;
	__u32 state;
	__u32 zero;
};

#endif /* SELFTESTS_OOM_POLICY_SET_PRIORITY_H */
