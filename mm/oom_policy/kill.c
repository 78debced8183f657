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

static int oom_policy_kill_task(struct task_struct *task, void *arg)
{
	struct oom_policy_kill *all = arg;

	return task->flags & PF_KTHREAD ? 0 : all->kill(task, (void *)all->message);
}

void __oom_policy_kill_all(struct oom_control *oc, oom_policy_task_fn kill,
			   const char *message)
{
	struct oom_policy_kill all = { .kill = kill, .message = message };
	struct oom_policy_event *ev = &oom_policy_event;

	/* Without a policy's choice there is no memcg to empty; a group is empty. */
	if (ev->oc != oc || !oom_outcome_chosen(ev->outcome) || !ev->chooser ||
	    !(ev->chooser->flags & BPF_F_OOM_POLICY_KILL_ALL) || ev->leaf->oom_group)
		return;

	pr_info("killing all tasks of %s\n", oom_policy_memcg_path(ev->leaf));
	memcg_memory_event(ev->leaf, MEMCG_OOM_GROUP_KILL);
	oom_policy_scan(ev->leaf, ev->outcome != OOM_CHOSE_SELF, oom_policy_kill_task, &all);
}

void __oom_policy_done(struct oom_control *oc)
{
	lockdep_assert_held(&oom_lock);

	if (oom_policy_event.oc == oc)
		oom_policy_end(&oom_policy_event);
}

/**
 * oom_policy_totalpages - what oom_badness() measures by
 * @scope: where the shortage is
 *
 * Return: pages of the machine, or fewer where the scope has a limit; at least 1.
 */
unsigned long oom_policy_totalpages(struct mem_cgroup *scope)
{
	unsigned long pages = totalram_pages() + total_swap_pages;

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
 * Return: 0 if a victim was killed; -EAGAIN while one is still dying or has a grace;
 * -ESRCH nobody to kill; -EBUSY the OOM killer is disabled; -EINTR the caller dies.
 */
int oom_policy_kill(struct mem_cgroup *scope)
{
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

	oom_policy_event.early = true;
	select_bad_process(&oc);
	if (!oc.chosen)
		ret = -ESRCH;
	else if (oc.chosen == (void *)-1UL)
		ret = -EAGAIN;
	else
		oom_kill_process(&oc, global ? "Out of memory (early)" :
				 "Memory cgroup out of memory (early)");
	oom_policy_done(&oc);
	oom_policy_event.early = false;
out:
	mutex_unlock(&oom_lock);
	return ret;
}
