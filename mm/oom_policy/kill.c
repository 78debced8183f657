// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills beyond that of the one victim: all of the chosen memcg, where its policy says
 * so, and early ones, which no allocation waits for.
 *
 * All of it is under oom_lock; only an early kill begins by waiting for it.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/gfp.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/swap.h>

#include "event.h"

struct oom_policy_kill {
	oom_policy_task_fn kill;
	const char *message;
};

/* Whoever is a victim already has been logged and counted. */
static int oom_policy_kill_task(struct task_struct *task, void *arg)
{
	struct oom_policy_kill *all = arg;

	/* Of its own flags, which a task changes as it likes, this one stays. */
	if (data_race(task->flags) & PF_KTHREAD || tsk_is_oom_victim(task))
		return 0;
	all->kill(task, (void *)all->message);
	cond_resched();
	return 0;
}

/* The topmost group at or above the leaf dies with it, as the OOM killer has it. */
static struct mem_cgroup *oom_policy_group(const struct oom_policy_event *ev,
					   struct mem_cgroup *leaf)
{
	struct mem_cgroup *memcg, *group = NULL;

	for (memcg = leaf; memcg; memcg = parent_mem_cgroup(memcg)) {
		if (READ_ONCE(memcg->oom_group))
			group = memcg;
		if (memcg == ev->scope)
			break;
	}
	return group;
}

/**
 * oom_policy_emptied - what is emptied with a leaf, if anything is
 * @ev: the event
 * @leaf: the leaf, which keeps it
 *
 * Return: the topmost memory.oom.group at or above @leaf, else @leaf.
 */
struct mem_cgroup *oom_policy_emptied(const struct oom_policy_event *ev,
				      struct mem_cgroup *leaf)
{
	return oom_policy_group(ev, leaf) ?: leaf;
}

/* Without a policy's choice there is no memcg to empty. */
static bool oom_policy_kills_all(const struct oom_policy_event *ev)
{
	return oom_outcome_chosen(ev->outcome) && ev->chooser &&
	       ev->chooser->flags & BPF_F_OOM_POLICY_KILL_ALL;
}

static void oom_policy_empty_leaf(struct oom_policy_event *ev, oom_policy_task_fn kill,
				  const char *message)
{
	struct oom_policy_kill all = { .kill = kill, .message = message };

	pr_info("killing all tasks of %s\n", oom_policy_memcg_path(ev->leaf));
	memcg_memory_event(ev->leaf, MEMCG_OOM_GROUP_KILL);
	oom_policy_scan(ev->leaf, ev->outcome != OOM_CHOSE_SELF, oom_policy_kill_task, &all);
}

void __oom_policy_kill_all(struct oom_control *oc, oom_policy_task_fn kill,
			   const char *message)
{
	struct oom_policy_event *ev = &oom_policy_event;

	if (ev->oc != oc)
		return;

	/* A group is empty by now. */
	if (oom_policy_kills_all(ev) && !oom_policy_group(ev, ev->leaf))
		oom_policy_empty_leaf(ev, kill, message);
}

/**
 * oom_policy_victim_exits - the choice of an event is about to exit anyway
 * @oc: the event; its victim is only marked, and the OOM killer goes no further
 * @kill: kills one task, called with @message as argument
 * @message: what a kill is to be called in the log
 *
 * A policy that kills all of a memcg does so all the same.
 */
void oom_policy_victim_exits(struct oom_control *oc, oom_policy_task_fn kill,
			     const char *message)
{
	struct oom_policy_event *ev = &oom_policy_event;

	ev->exits = ev->oc != oc || !oom_policy_kills_all(ev);
	if (!ev->exits)
		oom_policy_empty_leaf(ev, kill, message);
}

bool __oom_policy_spares(struct task_struct *task)
{
	struct oom_policy_event *ev = &oom_policy_event;
	pid_t other;

	if (!ev->oc || !oom_outcome_chosen(ev->outcome))
		return false;
	ev->emptying = true;
	if (tsk_is_oom_victim(task) || is_global_init(task) ||
	    task->signal->oom_score_adj == OOM_SCORE_ADJ_MIN)
		return false;
	other = oom_policy_dies_with(ev, task, ev->leaf, true);
	if (!other)
		return false;

	oom_policy_count_spared(ev, task, other);
	pr_info_ratelimited("spared pid %d (%s): pid %d, outside of %s, has the same memory\n",
			    task_pid_nr(task), oom_policy_shown_name(task->comm), other,
			    oom_policy_memcg_path(oom_policy_emptied(ev, ev->leaf)));
	return true;
}

void __oom_policy_done(struct oom_control *oc)
{
	struct oom_policy_event *ev = &oom_policy_event;

	lockdep_assert_held(&oom_lock);

	if (ev->oc != oc)
		return;

	if (oom_outcome_has_leaf(ev->outcome) && !ev->exits)
		oom_policy_count_kills(ev);
	if (oom_outcome_has_leaf(ev->outcome))
		oom_policy_count_passed(ev);
	oom_policy_trace_done(ev);
	oom_policy_end(ev);
}

/**
 * oom_policy_totalpages - what oom_badness() measures by
 * @scope: where the shortage is
 *
 * Return: pages of the machine, or fewer where the scope has a limit; at least 1.
 */
unsigned long oom_policy_totalpages(struct mem_cgroup *scope)
{
	unsigned long pages = totalram_pages() + READ_ONCE(total_swap_pages);

	if (!mem_cgroup_is_root(scope))
		pages = min(pages, mem_cgroup_get_max(scope));
	return pages ?: 1;
}

/**
 * oom_policy_kill - select and kill as in an OOM, before there is one
 * @scope: the root for the whole machine, or a memcg; referenced
 *
 * Waits for oom_lock; oom_kill_allocating_task and panic_on_oom do not apply.
 *
 * Return: 0 if a victim was killed; -EAGAIN while one is dying or has a grace;
 * -ESRCH nobody to kill; -EBUSY the OOM killer is disabled; -EINTR the caller dies.
 */
int oom_policy_kill(struct mem_cgroup *scope)
{
	struct oom_policy_event *ev = &oom_policy_event;
	bool global = mem_cgroup_is_root(scope);
	/* The nodes of the caller are not what is short: all are. */
	struct oom_control oc = {
		.memcg = global ? NULL : scope,
		.nodemask = &node_states[N_MEMORY],
		.gfp_mask = GFP_KERNEL,
		.totalpages = oom_policy_totalpages(scope),
		.constraint = global ? CONSTRAINT_NONE : CONSTRAINT_MEMCG,
	};
	int ret = 0;

	if (mutex_lock_killable(&oom_lock))
		return -EINTR;
	if (oom_killer_disabled) {
		ret = -EBUSY;
		goto out;
	}

	ev->early = true;
	ev->exits = false;
	select_bad_process(&oc);
	if (!oc.chosen)
		ret = -ESRCH;
	else if (oc.chosen == (void *)-1UL)
		ret = -EAGAIN;
	else
		oom_kill_process(&oc, global ? "Out of memory (early)" :
				 "Memory cgroup out of memory (early)");
	if (ev->exits)
		ret = -EAGAIN;
	oom_policy_done(&oc);
	ev->early = false;
out:
	mutex_unlock(&oom_lock);
	return ret;
}
