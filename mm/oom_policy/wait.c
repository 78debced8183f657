// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether an event has to wait for a victim of an earlier one: while it is dying, as
 * the stock killer does.
 *
 * A victim's signal remembers its death; it is written under oom_lock, when the
 * victim is chosen, and read by events and rehearsals.
 * With a grace its memory is waited for, too, until the grace has passed, and that of
 * who dies of something else: dying.c. Who has to wait sleeps when oom_lock is free
 * again, so that the events of others go on.
 */

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/page_counter.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "event.h"

/*
 * Signal structs with an oom_mm, but for those that an event has found to be over: a
 * superset of the victims still dying.
 */
atomic_t oom_policy_victims = ATOMIC_INIT(0);

static bool oom_policy_mapped(struct mm_struct *mm)
{
	/* exit_mmap() empties it in the end: who sees that late waits a little longer. */
	return !data_race(mtree_empty(&mm->mm_mt));
}

/**
 * oom_policy_exiting - has a process files yet
 * @task: one of its threads
 *
 * A thread has them until it has an exit state.
 */
bool oom_policy_exiting(struct task_struct *task)
{
	struct task_struct *thread;
	bool exiting = false;

	rcu_read_lock();
	for_each_thread(task, thread)
		exiting |= !READ_ONCE(thread->exit_state);
	rcu_read_unlock();
	return exiting;
}

/*
 * Nothing will come back from a victim any more. It may go on as a zombie for as long
 * as nobody reaps it: then it is not looked for again.
 */
static bool oom_policy_is_over(struct task_struct *victim)
{
	struct mm_struct *mm = oom_policy_victim_mm(victim);

	return !atomic_read(&mm->mm_users) && !oom_policy_mapped(mm) &&
	       !oom_policy_exiting(victim);
}

static void oom_policy_forget(struct signal_struct *sig)
{
	if (!xchg(&oom_policy_victim(sig)->over, true))
		atomic_dec(&oom_policy_victims);
}

/**
 * oom_policy_signal_end - a signal is freed
 * @sig: the signal
 */
void oom_policy_signal_end(struct signal_struct *sig)
{
	if (sig->oom_mm)
		oom_policy_forget(sig);
	oom_policy_died(sig);
}

/**
 * oom_policy_victim_over - forget a victim of which nothing will come back any more
 * @victim: a task with an oom_mm
 *
 * Return: false if something will.
 */
bool oom_policy_victim_over(struct task_struct *victim)
{
	if (!oom_policy_is_over(victim))
		return false;
	oom_policy_forget(victim->signal);
	return true;
}

static int oom_policy_find_dying(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;

	if (!oom_policy_victim_mm(task) || oom_policy_victim_over(task))
		return 0;
	return ev->evaluate(task, ev->oc);
}

/**
 * oom_policy_in_flight - is a victim dying in the scope
 * @ev: the event
 *
 * The stock scan's rule: it is waited for, unless sysrq insists.
 *
 * Return: true if one is; oc->chosen is -1UL then.
 */
bool oom_policy_in_flight(struct oom_policy_event *ev)
{
	if (ev->oc->order == -1 || !atomic_read(&oom_policy_victims))
		return false;

	if (mem_cgroup_is_root(ev->scope))
		oom_policy_scan(ev->scope, true, oom_policy_find_dying, ev);
	else
		oom_policy_scan_memcgs(ev->scope, CSS_TASK_ITER_PROCS | CSS_TASK_ITER_WITH_DEAD,
				       oom_policy_find_dying, ev);
	return ev->oc->chosen == (void *)-1UL;
}

/**
 * oom_policy_victim_begin - a task has become an OOM victim
 * @victim: its signal has just got its oom_mm; oom_lock is held
 */
void oom_policy_victim_begin(struct task_struct *victim)
{
	struct signal_struct *sig = victim->signal;
	struct oom_policy_victim *state = oom_policy_victim(sig);

	lockdep_assert_held(&oom_lock);

	/* A rehearsal may see oom_mm first: to it the grace has passed then. */
	WRITE_ONCE(state->pages, oom_policy_mm_pages(sig->oom_mm));
	WRITE_ONCE(state->shared, get_mm_counter_sum(sig->oom_mm, MM_SHMEMPAGES));
	WRITE_ONCE(state->killed, ktime_get_mono_fast_ns());
	atomic_inc(&oom_policy_victims);
	/* It has been killed first. */
	oom_policy_died(sig);
}

/*
 * MMF_OOM_SKIP says that waiting for a victim is in vain, or that exit_mmap() is
 * about to free its pages. Either way most of them may still be on their way.
 */
static bool oom_policy_victim_holds(struct task_struct *task)
{
	const struct oom_policy_victim *state = oom_policy_victim(task->signal);
	struct mm_struct *mm = oom_policy_victim_mm(task);

	if (atomic_read(&mm->mm_users))
		return oom_policy_mm_pages(mm) * 2 > READ_ONCE(state->pages);

	/* The counters run ahead of exit_mmap(), which frees in large batches. */
	if (oom_policy_mapped(mm))
		return true;

	/* Shared memory goes with its file, which is put after the mm. */
	return oom_policy_mostly_shared(task->signal) && oom_policy_exiting(task);
}

static bool oom_policy_holds_memory(struct task_struct *task)
{
	return oom_policy_victim_mm(task) ? oom_policy_victim_holds(task) :
					    oom_policy_dying_holds(task);
}

static bool oom_policy_is_slow(struct oom_policy_event *ev, struct task_struct *task)
{
	if (!oom_policy_victim_mm(task))
		return oom_policy_dies_slowly(ev, task);
	return ev->start <= READ_ONCE(oom_policy_victim(task->signal)->killed) + ev->grace &&
	       oom_policy_victim_holds(task);
}

static int oom_policy_find_slow(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;
	struct oom_policy_wait *wait = oom_policy_wait_of(ev->oc);

	if (!oom_policy_is_slow(ev, task))
		return 0;
	/* What will be free elsewhere is of no use here. */
	if (!ev->oc->memcg && !oom_cpuset_eligible(task, ev->oc))
		return 0;

	ev->oc->chosen = (void *)-1UL;
	if (ev->rehearsed)
		return 1;
	if (!oom_policy_victim_mm(task))
		oom_policy_held(ev);
	if (ev->early)
		return 1;
	wait->victim = get_task_struct(task);
	wait->until = READ_ONCE(oom_policy_victim(task->signal)->killed) + ev->grace;
	return 1;
}

/**
 * oom_policy_relieved - has memory come from elsewhere
 * @memcg: the scope of an event that is not the whole machine's
 * @pages: what is wanted
 *
 * Return: true if its limit leaves room for that by now.
 */
bool oom_policy_relieved(struct mem_cgroup *memcg, unsigned long pages)
{
	return page_counter_read(&memcg->memory) + pages <= READ_ONCE(memcg->memory.max);
}

/**
 * oom_policy_wait_for - wait for the memory of the victim that an event has found
 * @wait: whom, with a reference that is put; or nobody
 * @memcg: the scope of the event, NULL for the whole machine; oom_lock is not held
 *
 * A memcg's event waits until the grace has passed, or there is no more need to: each
 * try of its own would be told in memory.events. What the whole machine is short of may
 * come from anywhere, so that it is tried again at the next tick; so does whoever has a
 * signal to look after.
 */
void oom_policy_wait_for(const struct oom_policy_wait *wait, struct mem_cgroup *memcg)
{
	if (!wait->victim)
		return;

	do {
		schedule_timeout_killable(1);
	} while (memcg && !oom_policy_relieved(memcg, 1) && !signal_pending(current) &&
		 oom_policy_holds_memory(wait->victim) &&
		 ktime_get_mono_fast_ns() <= wait->until);
	oom_policy_has_waited();
	put_task_struct(wait->victim);
}

/**
 * oom_policy_wait - the same, by the event
 * @oc: the event; oom_lock is not held
 */
void oom_policy_wait(struct oom_control *oc)
{
	oom_policy_wait_for(oom_policy_wait_of(oc), oc->memcg);
}

/**
 * oom_policy_in_grace - is the memory of a victim still on its way
 * @ev: the event
 * @within: the victims that the grace is for; referenced
 *
 * As long as the grace lasts, a victim that has not given its memory back is waited
 * for. In a memcg thread by thread: of a process that is exiting the first one may be
 * out of sight while the last one unmaps.
 *
 * Return: true if it is; oc->chosen is -1UL then.
 */
bool oom_policy_in_grace(struct oom_policy_event *ev, struct mem_cgroup *within)
{
	if (!ev->grace || ev->oc->order == -1)
		return false;
	if (!oom_policy_anybody_dying(ev) && !atomic_read(&oom_policy_victims))
		return false;

	if (mem_cgroup_is_root(within)) {
		oom_policy_scan(within, true, oom_policy_find_slow, ev);
		return !!ev->oc->chosen;
	}

	oom_policy_scan_memcgs(within, CSS_TASK_ITER_WITH_DEAD, oom_policy_find_slow, ev);
	return !!ev->oc->chosen;
}
