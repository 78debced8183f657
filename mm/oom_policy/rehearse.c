// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rehearsals: the same selection over the live tree, and nobody is killed.
 *
 * A rehearsal has an event and marks of its own, under oom_policy_dry_mutex, and takes
 * no lock that an OOM needs, so that neither waits for the other.
 */

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compare.h"
#include "event.h"

/**
 * oom_policy_fill_ctx - the context of one comparison outside of an event
 * @ctx: filled in, but for @ctx->scratch_1 and @ctx->scratch_2, which are zeroed
 * @scope: as if the shortage were there; above the candidates
 * @memcg_1: candidate 1, referenced by the caller
 * @memcg_2: candidate 2, a sibling, referenced by the caller
 * @what_if: priorities that are to be taken for written, or NULL
 */
void oom_policy_fill_ctx(struct bpf_oom_ctx *ctx, struct mem_cgroup *scope,
			 struct mem_cgroup *memcg_1, struct mem_cgroup *memcg_2,
			 const struct oom_policy_what_if *what_if)
{
	struct oom_cand cand_1, cand_2;

	rcu_read_lock();
	oom_policy_cand_if(&cand_1, memcg_1, what_if);
	oom_policy_cand_if(&cand_2, memcg_2, what_if);
	rcu_read_unlock();
	oom_policy_ctx_below(ctx, scope, parent_mem_cgroup(memcg_1));
	oom_policy_set_cand_1(ctx, &cand_1);
	oom_policy_set_cand_2(ctx, &cand_2);
}

static DEFINE_MUTEX(oom_policy_dry_mutex);

/**
 * oom_policy_block - wait until no event and no rehearsal is under way
 *
 * None begins before oom_policy_unblock(): an allocation that fails meanwhile is
 * repeated. The caller must not allocate in between.
 *
 * Return: 0; -EINTR a signal.
 */
int oom_policy_block(void)
{
	if (mutex_lock_interruptible(&oom_policy_dry_mutex))
		return -EINTR;
	if (mutex_lock_interruptible(&oom_lock)) {
		mutex_unlock(&oom_policy_dry_mutex);
		return -EINTR;
	}
	return 0;
}

/**
 * oom_policy_unblock - the counterpart of oom_policy_block()
 */
void oom_policy_unblock(void)
{
	mutex_unlock(&oom_lock);
	mutex_unlock(&oom_policy_dry_mutex);
}

static u64 oom_policy_dry_seq;	/* oom_policy_dry_mutex */

/* What the stock killer thinks of a task, without a shortage. */
static int oom_policy_dry_evaluate(struct task_struct *task, void *arg)
{
	const struct mm_struct *oom_mm = READ_ONCE(task->signal->oom_mm);
	struct oom_control *oc = arg;
	long points;

	if (oom_mm && !mm_flags_test(MMF_OOM_SKIP, oom_mm)) {
		if (oc->chosen)
			put_task_struct(oc->chosen);
		oc->chosen = (void *)-1UL;
		return 1;
	}

	points = oom_badness(task, oc->totalpages);
	if (points == LONG_MIN || points < oc->chosen_points)
		return 0;

	if (oc->chosen)
		put_task_struct(oc->chosen);
	oc->chosen = get_task_struct(task);
	oc->chosen_points = points;
	return 0;
}

static void oom_policy_copy_steps(const struct oom_policy_event *ev,
				  struct bpf_oom_steps *head, struct bpf_oom_step *steps)
{
	unsigned int i;

	for (i = 0; i < ev->nr_steps; i++)
		steps[i] = oom_policy_told_step(&ev->steps[i]);
	if (oom_outcome_left(ev->outcome)) {
		steps[i] = (struct bpf_oom_step) {
			.level = oom_policy_level(ev, ev->leaf) + 1,
			.parent_id = memcg_cgroup_id(ev->leaf),
		};
		i++;
	}
	head->nr_steps = i;
	if (oom_policy_path_cut(ev))
		head->flags |= BPF_OOM_STEPS_TRUNCATED;
	if (ev->over)
		head->flags |= BPF_OOM_STEPS_OVER_BUDGET;
}

static void oom_policy_copy_victim(struct oom_policy_event *ev, struct bpf_oom_ctx *victim)
{
	struct task_struct *task = ev->oc->chosen;
	struct mem_cgroup *memcg;
	struct oom_cand cand;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(task);
	oom_policy_cand_if(&cand, memcg, ev->what_if);
	*victim = (struct bpf_oom_ctx) {
		.cgroup_id_1 = cand.id,
		.scope_id = ev->ctx.scope_id,
		.usage_1 = cand.usage,
		.swap_1 = cand.swap,
		.priority_1 = cand.priority,
		.pid_1 = task_tgid_nr(task),
		.oom_score_adj_1 = READ_ONCE(task->signal->oom_score_adj),
		.level = oom_policy_level(ev, memcg),
		.flags = ev->ctx.flags,
	};
	rcu_read_unlock();
}

/**
 * oom_policy_rehearse - select without killing, as if a policy were attached
 * @policy: rules at @scope; a link of its own that nothing else refers to
 * @scope: the root for a global OOM, else the memcg that met its limit; referenced
 * @what_if: priorities that are to be taken for written, or NULL
 * @victim: candidate 1 becomes the victim: memcg (bytes) and process
 * @head: how many steps were filled in, and whether that is all
 * @steps: room for OOM_POLICY_STEPS + 1 levels
 *
 * Sleeps, but takes no lock that an OOM needs.
 *
 * Return: 0; -ESRCH nobody to kill; -EBUSY a victim is still dying; -EINTR a signal;
 * -ENOMEM; -EOPNOTSUPP if the memory controller is not on cgroup v2.
 */
int oom_policy_rehearse(struct oom_policy *policy, struct mem_cgroup *scope,
			const struct oom_policy_what_if *what_if,
			struct bpf_oom_ctx *victim, struct bpf_oom_steps *head,
			struct bpf_oom_step *steps)
{
	struct oom_control oc = {
		.memcg = mem_cgroup_is_root(scope) ? NULL : scope,
		.totalpages = oom_policy_totalpages(scope),
	};
	struct oom_policy_event *ev;
	int ret;

	if (mem_cgroup_disabled() || !cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return -EOPNOTSUPP;

	ev = kzalloc_obj(*ev, GFP_KERNEL);
	if (!ev)
		return -ENOMEM;

	if (mutex_lock_interruptible(&oom_policy_dry_mutex)) {
		kfree(ev);
		return -EINTR;
	}
	ev->rehearsed = policy;
	ev->what_if = what_if;
	/* Two are for those who were passed over at first. */
	ev->seq = oom_policy_dry_seq += 3;
	oom_policy_begin(ev, &oc, oom_policy_dry_evaluate);
	ev->ctx.flags |= BPF_OOM_EVENT_DRY_RUN;

	ret = oom_policy_decide(ev);
	if (ret == -EINPROGRESS)
		ret = -EBUSY;
	if (ret > 0) {
		oom_policy_copy_steps(ev, head, steps);
		oom_policy_copy_victim(ev, victim);
		put_task_struct(oc.chosen);
	}
	oom_policy_end(ev);
	mutex_unlock(&oom_policy_dry_mutex);

	kfree(ev);
	return min(ret, 0);
}
