/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's side of linux/oom_policy_host.h, and what its files share. The kernel
 * has no room for a policy in its structures, so that state is in tables that are
 * allocated at load (state.c), and a policy is held by a struct_ops link (ops.c).
 */
#ifndef _OOM_POLICY_MODULE_H
#define _OOM_POLICY_MODULE_H

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/oom_policy_compat.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#define OOM_POLICY_PROG_TYPE	BPF_PROG_TYPE_STRUCT_OPS

/**
 * struct bpf_oom_policy_ops - a policy, as user space describes it
 * @compare: a program that compares memcgs; or
 * @compare_tasks: one that compares tasks
 * @cgroup_id: where it is to be attached, 0 for the root
 * @flags: BPF_F_OOM_POLICY_*
 * @budget_us: how long a selection may take, 0 for the default
 * @grace_ms: how long the next kill waits for the memory of the last
 * @max_futile: 0, or BPF_OOM_POLICY_NEVER_FUTILE
 * @prog_id: the kernel's own: 0
 * @policy: the kernel's own: 0
 */
struct bpf_oom_policy_ops {
	int (*compare)(struct bpf_oom_ctx *ctx);
	int (*compare_tasks)(struct bpf_oom_ctx *ctx);
	u64 cgroup_id;
	u32 flags;
	u32 budget_us;
	u32 grace_ms;
	u32 max_futile;
	u64 prog_id;
	struct oom_policy_held *policy;
};

static_assert(sizeof(struct bpf_oom_policy_ops) == sizeof(struct bpf_oom_policy_map));
static_assert(offsetof(struct bpf_oom_policy_ops, max_futile) ==
	      offsetof(struct bpf_oom_policy_map, max_futile));

/**
 * struct oom_policy_held - a policy and what holds it
 * @policy: the policy; of its link only the count of references and the program count
 * @link: the struct_ops link, NULL once it has gone; oom_policy_held_lock
 * @link_id: its id when it went
 * @clamped: verdicts that were none
 * @all: among all policies; oom_policy_held_lock
 * @release: ends a policy where one may sleep
 * @rcu: readers of slots
 */
struct oom_policy_held {
	struct oom_policy policy;
	struct bpf_link *link;
	u32 link_id;
	atomic64_t clamped;
	struct list_head all;
	struct work_struct release;
	struct rcu_head rcu;
};

/* The members of struct bpf_oom_policy_ops are numbered from 0. */
static inline bool oom_policy_judges_tasks(const struct bpf_prog *prog)
{
	return prog->expected_attach_type == BPF_OOM_POLICY_TASK;
}

extern struct oom_policy_memcg *oom_policy_slots;

/* The id is given back, and 0 from then on, when the memcg is offline. */
static inline struct oom_policy_memcg *oom_policy_memcg(struct mem_cgroup *memcg)
{
	return &oom_policy_slots[mem_cgroup_private_id(memcg)];
}

static inline void oom_policy_init_link(struct oom_policy *policy, struct bpf_prog *prog)
{
	atomic64_set(&policy->link.refcnt, 1);
	policy->link.prog = prog;
}

static inline bool oom_policy_tryget(struct oom_policy *policy)
{
	return atomic64_inc_not_zero(&policy->link.refcnt);
}

static inline struct bpf_prog *oom_policy_prog(const struct oom_policy *policy)
{
	return READ_ONCE(policy->link.prog);
}

void oom_policy_clamped(struct oom_policy *policy);

/* The verifier does not know what a struct_ops program may return. */
static inline u32 oom_policy_verdict(struct oom_policy *policy, u32 verdict)
{
	if (likely(verdict <= BPF_OOM_ABSTAIN))
		return verdict;
	oom_policy_clamped(policy);
	return BPF_OOM_EQUAL;
}

struct oom_policy_victim *oom_policy_victim(const struct signal_struct *sig);
struct oom_policy_wait *oom_policy_wait_of(struct oom_control *oc);
void oom_policy_drop(struct oom_policy *policy);
u32 oom_policy_link_id(const struct oom_policy *policy);

/* hooks.c */
int oom_policy_hooks_init(void);
void oom_policy_hooks_exit(void);
int oom_policy_selftest(void);
int oom_policy_killer_get(void);
void oom_policy_killer_put(void);
void oom_policy_sent_kill(void);

/* knobs.c */
int oom_policy_knobs_init(void);
void oom_policy_knobs_exit(void);

/* ops.c */
bool oom_policy_is_policy(const struct bpf_prog *prog);
int oom_policy_ops_init(void);
void oom_policy_ops_exit(void);
int oom_policy_ops_types(struct bpf_oom_device_types *types);
int oom_policy_ops_info(u32 link_id, struct bpf_oom_policy_info *info, u32 *prog_id,
			u64 *clamped);

/* state.c */
int oom_policy_state_init(void);
void oom_policy_state_exit(void);
void oom_policy_memcg_reset(struct mem_cgroup *memcg);

/* victims.c */
int oom_policy_victims_init(void);
void oom_policy_victims_exit(void);

/* symbols.c */
int oom_policy_symbols_init(void);
unsigned long oom_policy_symbol(const char *name);

/* device.c */
int oom_policy_device_init(void);
void oom_policy_device_exit(void);

/* mm/oom_kill.c and mm/memcontrol.c keep these to themselves. */
int oom_evaluate_task(struct task_struct *task, void *arg);
int oom_kill_memcg_member(struct task_struct *task, void *message);
int dump_task(struct task_struct *task, void *arg);
void dump_header(struct oom_control *oc);
int mem_cgroup_css_online(struct cgroup_subsys_state *css);
void mem_cgroup_css_offline(struct cgroup_subsys_state *css);
void oom_sym_do_kill_process(struct task_struct *victim, const char *message);
void oom_sym_kill_process(struct oom_control *oc, const char *message);

#endif /* _OOM_POLICY_MODULE_H */
