/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernel/bpf/oom_policy.c (program type, link) and mm/oom_policy/
 * (selection) share: the attached policy and its counters.
 */
#ifndef _LINUX_BPF_OOM_POLICY_H
#define _LINUX_BPF_OOM_POLICY_H

#include <linux/bpf.h>
#include <linux/memcontrol.h>
#include <linux/oom_policy.h>
#include <uapi/linux/bpf_oom_policy.h>

#ifdef CONFIG_BPF_OOM_POLICY

#define OOM_POLICY_DEFAULT_BUDGET_US	(100 * USEC_PER_MSEC)
#define OOM_POLICY_MAX_BUDGET_US	(10 * USEC_PER_SEC)
#define OOM_POLICY_MAX_GRACE_MS		(60 * MSEC_PER_SEC)
#define OOM_POLICY_DEFAULT_FUTILE	3

enum oom_policy_fallback {
	OOM_POLICY_NONE_ELIGIBLE,
	OOM_POLICY_BUDGET,
	OOM_POLICY_ABSTAINED,
	OOM_POLICY_DISABLED,
	OOM_POLICY_IN_FLIGHT,
	OOM_POLICY_GRACE,
	OOM_POLICY_FUTILE,
	NR_OOM_POLICY_FALLBACKS
};

/**
 * struct oom_policy - a policy program attached to a cgroup
 * @link: the link that user space holds; link.prog is replaced by an update
 * @cgroup_id: where it is attached, 0 once detached; oom_policy_mutex
 * @memcg: whose slot it occupies, NULL while it is not in force; oom_policy_mutex
 * @dormant: with the others that wait for a memcg of their cgroup; oom_policy_mutex
 * @stage: which slot of the memcg it occupies
 * @flags: BPF_F_OOM_POLICY_*
 * @budget_us: how long a selection may take
 * @grace_ms: how long the next kill waits for the memory of the last
 * @max_futile: how many kills in a row may be in vain in a leaf, 0: any number
 * @held_since: since when events wait for who dies by itself, ns; 0: they do not. oom_lock
 * @held_last: when one last did, ns; oom_lock
 * @stats: counters; written under oom_lock, read without
 */
struct oom_policy {
	struct bpf_link link;
	u64 cgroup_id;
	struct mem_cgroup *memcg;
	struct list_head dormant;
	enum oom_policy_stage stage;
	u32 flags;
	u32 budget_us;
	u32 grace_ms;
	u32 max_futile;
	u64 held_since;
	u64 held_last;
	struct {
		u64 selections;
		u64 comparisons;
		u64 kills;
		u64 spared;
		u64 fallbacks[NR_OOM_POLICY_FALLBACKS];
		u64 last_victim;
		u64 last_ns;
		u64 worst_ns;
	} stats;
};

/**
 * struct oom_policy_what_if - priorities that are not written, for a rehearsal
 * @list: sorted by cgroup id, each of which is there once
 * @nr: how many
 */
struct oom_policy_what_if {
	struct bpf_oom_priority *list;
	u32 nr;
};

static inline enum oom_policy_stage oom_policy_stage(enum bpf_attach_type type)
{
	return type == BPF_OOM_POLICY_TASK ? OOM_POLICY_STAGE_TASK :
					     OOM_POLICY_STAGE_MEMCG;
}

extern const struct bpf_link_ops oom_policy_link_ops;

int bpf_oom_policy_link_attach(const union bpf_attr *attr, struct bpf_prog *prog);
int bpf_prog_test_run_oom_policy(struct bpf_prog *prog, const union bpf_attr *kattr,
				 union bpf_attr __user *uattr);

void oom_policy_fill_ctx(struct bpf_oom_ctx *ctx, struct mem_cgroup *scope,
			 struct mem_cgroup *memcg_1, struct mem_cgroup *memcg_2,
			 const struct oom_policy_what_if *what_if);
int oom_policy_rehearse(struct oom_policy *policy, struct mem_cgroup *scope,
			const struct oom_policy_what_if *what_if,
			struct bpf_oom_ctx *victim, struct bpf_oom_steps *head,
			struct bpf_oom_step *steps);
int oom_policy_order(struct bpf_prog *prog, struct mem_cgroup *scope,
		     const struct oom_policy_what_if *what_if,
		     struct bpf_oom_sibling *siblings, u32 nr, struct bpf_oom_ctx *ctx);

int oom_policy_block(void);
void oom_policy_unblock(void);
struct mem_cgroup *oom_policy_get_memcg(u64 cgroup_id);
int oom_policy_kill(struct mem_cgroup *scope);
unsigned long oom_policy_freeable(struct mem_cgroup *memcg);

int oom_policy_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id);

/* kfuncs: kernel/bpf/oom_policy_verifier.c, mm/bpf_memcontrol.c, and in mm/oom_policy */
int bpf_oom_policy_kill(u64 cgroup_id, u64 flags);
int bpf_oom_policy_select(struct oom_control *oc);
struct mem_cgroup *bpf_get_root_mem_cgroup(void);
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css);
void bpf_put_mem_cgroup(struct mem_cgroup *memcg);
unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg);
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx);
unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg, enum vm_event_item event);
unsigned long bpf_mem_cgroup_memory_events(struct mem_cgroup *memcg,
					   enum memcg_memory_event event);
u64 bpf_mem_cgroup_freeable(struct mem_cgroup *memcg);

/* Steps that a rehearsal or a report can hold; deeper ones are left out. */
#define OOM_POLICY_STEPS	32

#else

static inline int bpf_oom_policy_link_attach(const union bpf_attr *attr,
					     struct bpf_prog *prog)
{
	return -EOPNOTSUPP;
}

#endif /* CONFIG_BPF_OOM_POLICY */

static inline int bpf_oom_policy_check_attach_type(enum bpf_attach_type type)
{
	return type == BPF_OOM_POLICY || type == BPF_OOM_POLICY_TASK ? 0 : -EINVAL;
}

#endif /* _LINUX_BPF_OOM_POLICY_H */
