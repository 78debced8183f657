/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel functions that the verifier's test programs call. */
#ifndef SELFTESTS_OOM_POLICY_KFUNCS_H
#define SELFTESTS_OOM_POLICY_KFUNCS_H

struct cgroup {
	int level;
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

#endif /* SELFTESTS_OOM_POLICY_KFUNCS_H */
