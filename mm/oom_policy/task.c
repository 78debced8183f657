// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which task of the leaf: a policy for tasks has them play as the memcgs did, and
 * without one, or where it abstains, oom_badness() picks. Who must not be killed is
 * told by the stock judgement of a task and never takes part.
 *
 * A task that plays is referenced as long as the match refers to it. Called with a
 * reference to the leaf, and not under RCU.
 */

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>

#include "compare.h"
#include "event.h"

static int oom_policy_worse(const struct oom_cand *best, const struct oom_cand *next)
{
	return next->points > best->points ? BPF_OOM_SECOND : BPF_OOM_FIRST;
}

/*
 * As for memcgs, but that the tie goes to oom_badness(), and all of it before a program
 * has been asked. Over budget, the best so far stays.
 */
static int oom_policy_compare_tasks(void *arg, struct oom_cand *best,
				    struct oom_cand *next)
{
	struct oom_policy_event *ev = arg;
	struct task_struct *task_1 = best->node;
	struct task_struct *task_2 = next->node;
	struct bpf_oom_ctx ctx = {
		.scope_id = ev->ctx.scope_id,
		.usage_1 = best->usage,
		.usage_2 = next->usage,
		.swap_1 = best->swap,
		.swap_2 = next->swap,
		.pid_1 = task_tgid_nr(task_1),
		.pid_2 = task_tgid_nr(task_2),
		.oom_score_adj_1 = READ_ONCE(task_1->signal->oom_score_adj),
		.oom_score_adj_2 = READ_ONCE(task_2->signal->oom_score_adj),
		.level = ev->ctx.level,
		.flags = ev->ctx.flags,
		.scratch_1 = best->scratch,
		.scratch_2 = next->scratch,
		.task_1 = task_1,
		.task_2 = task_2,
	};
	struct mem_cgroup *memcg_1, *memcg_2;
	u32 verdict;

	if (oom_policy_interrupted(ev))
		return -EINTR;
	if (oom_policy_expired(ev))
		return ev->task_runs ? BPF_OOM_FIRST : oom_policy_worse(best, next);

	ev->task_runs++;
	rcu_read_lock();
	migrate_disable();
	memcg_1 = mem_cgroup_from_task(task_1);
	memcg_2 = mem_cgroup_from_task(task_2);
	ctx.cgroup_1 = memcg_1->css.cgroup;
	ctx.cgroup_2 = memcg_2->css.cgroup;
	ctx.cgroup_id_1 = cgroup_id(ctx.cgroup_1);
	ctx.cgroup_id_2 = cgroup_id(ctx.cgroup_2);
	ctx.priority_1 = oom_policy_priority_if(ev->what_if, memcg_1).value;
	ctx.priority_2 = oom_policy_priority_if(ev->what_if, memcg_2).value;
	ev->prog = oom_policy_prog(ev->task_policy);
	verdict = oom_policy_run(ev, ev->task_policy, &ctx);
	best->scratch = ctx.scratch_1;
	next->scratch = ctx.scratch_2;
	migrate_enable();
	rcu_read_unlock();
	cond_resched();

	return verdict == BPF_OOM_EQUAL ? oom_policy_worse(best, next) : verdict;
}

/* Whom it takes along, who is elsewhere, as long as another may die that does not. */
static pid_t oom_policy_takes_along(struct oom_policy_event *ev, struct task_struct *task)
{
	if (!ev->spare || !ev->emptied || tsk_is_oom_victim(task))
		return 0;
	return oom_policy_dies_with(ev, task, ev->emptied, false);
}

static bool oom_policy_spare(struct oom_policy_event *ev, struct task_struct *task)
{
	const pid_t other = oom_policy_takes_along(ev, task);

	if (!other || oom_badness(task, ev->oc->totalpages) == LONG_MIN)
		return false;

	if (!ev->spared.nr++) {
		ev->spared.pid = task_pid_nr(task);
		ev->spared.other = other;
		ev->spared.memcg_id = memcg_cgroup_id(oom_policy_emptied(ev, ev->emptied));
	}
	ev->spared.here++;
	return true;
}

/* The tasks of a leaf are looked at anew. */
static void oom_policy_forget_spared(struct oom_policy_event *ev)
{
	ev->spared.nr -= ev->spared.here;
	ev->spared.here = 0;
}

/* The stock judgement of a task, unless it is to be spared. */
static int oom_policy_evaluate(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;

	return oom_policy_spare(ev, task) ? 0 : ev->evaluate(task, ev->oc);
}

static void oom_policy_unpick(struct oom_control *oc)
{
	oc->chosen = NULL;
	oc->chosen_points = LONG_MIN;
}

/* A task that the stock killer would take plays against the best so far. */
static int oom_policy_play_task(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;
	struct oom_control *oc = ev->oc;
	struct oom_cand next = {};
	void *dropped;
	int outcome;

	oom_policy_unpick(oc);
	if (oom_policy_evaluate(task, ev))
		return 1;
	if (!oc->chosen)
		return 0;

	next.node = oc->chosen;
	next.points = oc->chosen_points;
	oc->chosen = NULL;
	oom_policy_add_task(task, &next);

	outcome = oom_match_play(&ev->tasks, &next, oom_policy_compare_tasks, ev, &dropped);
	if (dropped)
		put_task_struct(dropped);
	if (oom_match_over(outcome))
		ev->task_verdict = outcome;
	return ev->task_verdict;
}

/* 1 and a referenced oc->chosen, BPF_OOM_ABSTAIN, 0, -EBUSY or -EINTR. */
static int oom_policy_judge_tasks(struct oom_policy_event *ev, struct mem_cgroup *memcg,
				  bool subtree)
{
	struct oom_control *oc = ev->oc;
	bool busy;

	ev->tasks = (struct oom_match) {};
	ev->task_verdict = 0;
	ev->task_runs = 0;
	ev->ctx.level = oom_policy_level(ev, memcg) + 1;
	if (subtree)
		oom_policy_scan_memcgs(memcg, CSS_TASK_ITER_PROCS, oom_policy_play_task, ev);
	else
		oom_policy_scan(memcg, false, oom_policy_play_task, ev);
	oom_policy_count_runs(ev, ev->task_policy, ev->task_runs);

	busy = oc->chosen == (void *)-1UL;
	if (ev->tasks.runner.node)
		put_task_struct(ev->tasks.runner.node);
	if (ev->tasks.best.node && (busy || ev->task_verdict))
		put_task_struct(ev->tasks.best.node);
	if (busy)
		return -EBUSY;
	if (ev->task_verdict)
		return ev->task_verdict;
	if (!ev->tasks.best.node)
		return 0;

	oc->chosen = ev->tasks.best.node;
	oc->chosen_points = ev->tasks.best.points;
	return 1;
}

/*
 * oom_badness() picks. Nearly always there is nobody to spare: to look at the one that was
 * picked tells as much as to look at all.
 */
static void oom_policy_pick_worst(struct oom_policy_event *ev, struct mem_cgroup *memcg,
				  bool subtree)
{
	struct oom_control *oc = ev->oc;

	oom_policy_unpick(oc);
	oom_policy_scan(memcg, subtree, ev->evaluate, oc);
	if (!oc->chosen || oc->chosen == (void *)-1UL ||
	    !oom_policy_takes_along(ev, oc->chosen))
		return;

	put_task_struct(oc->chosen);
	oom_policy_unpick(oc);
	oom_policy_scan(memcg, subtree, oom_policy_evaluate, ev);
}

/**
 * oom_policy_pick_task - pick a task of the leaf
 * @ev: the event; its task policy is the one that picked, or NULL
 * @memcg: the leaf, referenced
 * @choice: how the walk got there
 *
 * Return: 1 and a referenced oc->chosen, 0 if there is nobody to kill, -EBUSY if a
 * victim is dying, -EINTR a signal for whoever rehearses.
 */
int oom_policy_pick_task(struct oom_policy_event *ev, struct mem_cgroup *memcg,
			 enum oom_walk_choice choice)
{
	bool subtree = choice == OOM_WALK_GROUP || choice == OOM_WALK_LEFT;
	struct oom_control *oc = ev->oc;
	u32 abstained = 0;
	int ret;

	/* Where a policy has abstained, or there is no time to ask, it is the kernel's turn. */
	if (ev->over || (choice == OOM_WALK_LEFT && ev->policy))
		oom_policy_leave_tasks(ev);
	else
		oom_policy_enter_tasks(ev, memcg);

	ev->spared.here = 0;
	ev->emptied = subtree && mem_cgroup_is_root(memcg) ? NULL : memcg;
	if (ev->task_policy) {
		ret = oom_policy_judge_tasks(ev, memcg, subtree);
		if (ret != BPF_OOM_ABSTAIN)
			return ret;
		abstained = oom_policy_link_id(ev->task_policy);
		oom_policy_leave_tasks(ev);
		oom_policy_forget_spared(ev);
	}

	if (choice == OOM_WALK_LEFT)
		ev->emptied = NULL;
	oom_policy_pick_worst(ev, memcg, subtree);
	if (oc->chosen == (void *)-1UL)
		return -EBUSY;
	if (!oc->chosen)
		return 0;
	if (abstained)
		oom_policy_abstained(ev, abstained, memcg);
	return 1;
}
