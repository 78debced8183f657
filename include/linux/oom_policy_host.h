/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the selection takes from whoever hosts it. The same files make up the kernel's
 * own and the module for kernels that have none (module/): there is no room for a
 * policy in the structures of those, and what holds it is not a link of its own type.
 * Nothing else in mm/oom_policy/ knows the difference.
 */
#ifndef _LINUX_OOM_POLICY_HOST_H
#define _LINUX_OOM_POLICY_HOST_H

#include <linux/oom_policy_compat.h>
#ifdef OOM_POLICY_MODULE
#include <oom_policy_module.h>
#else

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>

/* Of what type a policy program is. */
#define OOM_POLICY_PROG_TYPE	BPF_PROG_TYPE_OOM_POLICY

/**
 * oom_policy_judges_tasks - does a policy program compare tasks
 * @prog: the program
 *
 * Return: false if it compares memcgs.
 */
static inline bool oom_policy_judges_tasks(const struct bpf_prog *prog)
{
	return prog->expected_attach_type == BPF_OOM_POLICY_TASK;
}

/**
 * oom_policy_memcg - what a memcg knows about policies
 * @memcg: the memcg
 *
 * Return: its state, as long as the memcg lives.
 */
static inline struct oom_policy_memcg *oom_policy_memcg(struct mem_cgroup *memcg)
{
	return &memcg->oom_policy;
}

/**
 * oom_policy_victim - what a victim's signal remembers of its death
 * @sig: the signal, with an oom_mm
 *
 * Return: the state, as long as the signal lives.
 */
static inline struct oom_policy_victim *oom_policy_victim(const struct signal_struct *sig)
{
	return (struct oom_policy_victim *)&sig->oom_policy;
}

/**
 * oom_policy_wait_of - whom an event has to wait for
 * @oc: the event
 */
static inline struct oom_policy_wait *oom_policy_wait_of(struct oom_control *oc)
{
	return &oc->oom_policy;
}

/**
 * oom_policy_init_link - a policy of the caller's own, that nothing else refers to
 * @policy: zeroed but for its options
 * @prog: its program; the caller keeps the reference
 */
static inline void oom_policy_init_link(struct oom_policy *policy, struct bpf_prog *prog)
{
	bpf_link_init(&policy->link, BPF_LINK_TYPE_OOM_POLICY, &oom_policy_link_ops, prog,
		      prog->expected_attach_type);
}

/**
 * oom_policy_tryget - hold a policy
 * @policy: the policy, under RCU or held already
 *
 * Return: false if it is on its way out.
 */
static inline bool oom_policy_tryget(struct oom_policy *policy)
{
	return !IS_ERR(bpf_link_inc_not_zero(&policy->link));
}

/**
 * oom_policy_drop - the counterpart of oom_policy_tryget()
 * @policy: the policy; does not sleep
 */
static inline void oom_policy_drop(struct oom_policy *policy)
{
	bpf_link_put(&policy->link);
}

/**
 * oom_policy_prog - the program of a policy
 * @policy: the policy, held; under RCU, since an update may replace the program
 */
static inline struct bpf_prog *oom_policy_prog(const struct oom_policy *policy)
{
	return READ_ONCE(policy->link.prog);
}

/**
 * oom_policy_link_id - the id of the link that holds a policy
 * @policy: the policy, held
 */
static inline u32 oom_policy_link_id(const struct oom_policy *policy)
{
	return READ_ONCE(policy->link.id);
}

/**
 * oom_policy_verdict - what a program has answered
 * @policy: whose program; NULL where nobody counts
 * @verdict: what it has returned: the verifier knows that it is enum bpf_oom_verdict
 */
static inline u32 oom_policy_verdict(struct oom_policy *policy, u32 verdict)
{
	return verdict;
}

#endif /* OOM_POLICY_MODULE */

#endif /* _LINUX_OOM_POLICY_HOST_H */
