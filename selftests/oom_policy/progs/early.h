/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/early.bpf.c is asked for. */
#ifndef SELFTESTS_OOM_POLICY_EARLY_H
#define SELFTESTS_OOM_POLICY_EARLY_H

#include <linux/types.h>

struct early_args {
	__u64 cgroup_id;
	__u64 flags;
};

#endif /* SELFTESTS_OOM_POLICY_EARLY_H */
