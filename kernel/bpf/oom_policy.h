/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files that make up the program type: oom_policy.c has it and its link,
 * oom_policy_slots.c knows what is attached where, oom_policy_verifier.c what a program
 * may do.
 */
#ifndef _KERNEL_BPF_OOM_POLICY_H
#define _KERNEL_BPF_OOM_POLICY_H

#include <linux/bpf_oom_policy.h>
#include <linux/mutex.h>

#define OOM_POLICY_FLAGS	(BPF_F_OOM_POLICY_MEMCG |	\
				 BPF_F_OOM_POLICY_KILL_ALL |	\
				 BPF_F_OOM_POLICY_ROOT_TASKS)

/* oom_policy_slots.c */
extern struct mutex oom_policy_mutex;

enum bpf_oom_link_state oom_policy_state(struct oom_policy *policy);
struct mem_cgroup *oom_policy_memcg_of(struct cgroup *cgrp);
int oom_policy_check_options(struct oom_policy *policy);
int oom_policy_attach(struct oom_policy *policy, struct mem_cgroup *memcg);
void oom_policy_detach(struct oom_policy *policy);
void oom_policy_get_info(struct oom_policy *policy, struct bpf_oom_policy_info *info);

/* oom_policy_verifier.c */
extern const struct bpf_verifier_ops oom_policy_verifier_ops;

void oom_policy_verifier_init(void);
int oom_policy_may_kill(const struct bpf_prog *prog);

#endif /* _KERNEL_BPF_OOM_POLICY_H */
