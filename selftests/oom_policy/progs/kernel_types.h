/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few fields of kernel types that the programs here read. Where they are, libbpf
 * learns from the running kernel.
 */
#ifndef SELFTESTS_OOM_POLICY_KERNEL_TYPES_H
#define SELFTESTS_OOM_POLICY_KERNEL_TYPES_H

#include <linux/types.h>

#define MAX_DEPTH	8

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[MAX_DEPTH];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
};

struct mm_struct {
	unsigned long flags;
};

/* As 7.3 has it. */
struct mm_struct___of_words {
	struct {
		unsigned long __mm_flags[1];
	} flags;
};

struct signal_struct {
	struct {
		int counter;
	} live;
	struct mm_struct *oom_mm;
};

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct oom_control {
	struct mem_cgroup *memcg;
	int order;
	struct task_struct *chosen;
};

#pragma clang attribute pop

#endif /* SELFTESTS_OOM_POLICY_KERNEL_TYPES_H */
