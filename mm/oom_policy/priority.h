/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The priority of a candidate: memory.oom.priority of its own, else that of its only
 * populated child, else 0. priority.c has the file, and the way down.
 *
 * A write of the file takes no lock: whoever sees a new state sees the value that was
 * written with it, or a newer one.
 */
#ifndef _MM_OOM_POLICY_PRIORITY_H
#define _MM_OOM_POLICY_PRIORITY_H

#include <asm/barrier.h>
#include <linux/bpf_oom_policy.h>
#include <linux/cgroup.h>
#include <linux/limits.h>
#include <linux/memcontrol.h>
#include <linux/oom_policy_host.h>

int oom_policy_priority_init(void);
void oom_policy_priority_exit(void);
int oom_policy_may_set_priority(const struct bpf_prog *prog);
int bpf_oom_policy_set_priority(struct mem_cgroup *memcg, u32 state, s64 priority);

/**
 * struct oom_policy_priority - what a candidate counts with
 * @value: S64_MAX for one that is never a candidate
 * @candidate: whether it may be one
 *
 * In two registers: whatever has its address given away during a pass is in memory.
 */
struct oom_policy_priority {
	s64 value;
	bool candidate;
};

struct oom_policy_priority
oom_policy_priority_if(const struct oom_policy_what_if *what_if, struct mem_cgroup *memcg);

/*
 * One that is on its way in has no tasks of its own yet, and may be freed whoever
 * refers to it if its way fails.
 */
static __always_inline bool oom_policy_online(const struct cgroup_subsys_state *css)
{
	return (READ_ONCE(css->flags) & (CSS_ONLINE | CSS_DYING)) == CSS_ONLINE;
}

static __always_inline bool oom_policy_has_only_child(const struct mem_cgroup *memcg)
{
	/* The children come and go anyway. */
	return data_race(memcg->css.cgroup->nr_populated_domain_children) == 1;
}

/**
 * oom_policy_priority - the priority of a candidate
 * @memcg: the candidate; under RCU
 *
 * Return: its own, else that of its only populated child, else 0.
 */
static __always_inline struct oom_policy_priority
oom_policy_priority(struct mem_cgroup *memcg)
{
	const struct oom_policy_memcg *slots = oom_policy_memcg(memcg);
	struct oom_policy_priority priority = { .candidate = true };
	/* Pairs with the release in oom_priority_write(). */
	const u8 state = smp_load_acquire(&slots->priority_state);

	if (likely(state == BPF_OOM_PRIORITY_SET))
		priority.value = atomic64_read(&slots->priority);
	else if (unlikely(state != BPF_OOM_PRIORITY_UNSET || oom_policy_has_only_child(memcg)))
		priority = oom_policy_priority_if(NULL, memcg);
	return priority;
}

#endif /* _MM_OOM_POLICY_PRIORITY_H */
