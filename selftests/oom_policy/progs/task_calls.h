/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/task_stage.bpf.c is told by a test and tells it. */
#ifndef SELFTESTS_OOM_POLICY_TASK_CALLS_H
#define SELFTESTS_OOM_POLICY_TASK_CALLS_H

#define MAX_TASK_CALLS	32

enum task_mode {
	TAKE_SMALLEST,
	TAKE_HIGHEST_PID,
	SAY_EQUAL,
	SAY_ABSTAIN,
	TAKE_SMALLEST_SLOWLY,
};

struct task_cand {
	__u64 cgroup_id;
	__u64 usage;
	__u64 swap;
	__u32 pid;
	__s32 adj;
	__u32 tgid;		/* by way of the pointer */
	__u32 foreign;		/* the scratch word was another candidate's */
	__u64 cgroup_kn_id;	/* by way of the pointer */
};

struct task_call {
	struct task_cand cand[2];
	__u64 scope_id;
	__u32 level;
	__u32 flags;
};

#endif /* SELFTESTS_OOM_POLICY_TASK_CALLS_H */
