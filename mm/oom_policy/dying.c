// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that die of something else than the OOM killer: by themselves, of
 * cgroup.kill, of a killer in user space. With a grace they are waited for like victims,
 * from when an event has first seen them.
 *
 * A process is counted, in its signal and without a lock, from when it has to die until
 * its memory is back: where nobody dies nobody is looked for, and a zombie does not count.
 * While no policy is attached nobody does. What an event writes to a signal, or to a
 * policy, it writes under oom_lock.
 *
 * Nobody can keep the OOM killer waiting by dying again and again: waiting without a break
 * ends after twice the grace, until there was a kill.
 */

#include <asm/barrier.h>
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "event.h"

/* Nobody has waited for so long: the next one who does is another story. */
#define OOM_POLICY_BREAK_NS	NSEC_PER_SEC

static atomic_t oom_policy_dying = ATOMIC_INIT(0);

/* When somebody was last done with waiting, ns. */
static atomic64_t oom_policy_waited = ATOMIC64_INIT(0);

void __oom_policy_dies(struct signal_struct *sig)
{
	struct oom_policy_victim *state = oom_policy_victim(sig);

	if (!READ_ONCE(state->dying) && !xchg(&state->dying, true))
		atomic_inc(&oom_policy_dying);
}

/**
 * oom_policy_died - nothing will come back any more from who died by itself
 * @sig: its signal, dying or not
 */
void oom_policy_died(struct signal_struct *sig)
{
	struct oom_policy_victim *state = oom_policy_victim(sig);

	if (READ_ONCE(state->dying) && xchg(&state->dying, false))
		atomic_dec(&oom_policy_dying);
}

static void oom_policy_note_mm(struct signal_struct *sig, struct mm_struct *mm)
{
	if (READ_ONCE(oom_policy_victim(sig)->pages))
		return;

	WRITE_ONCE(oom_policy_victim(sig)->shared, get_mm_counter_sum(mm, MM_SHMEMPAGES));
	WRITE_ONCE(oom_policy_victim(sig)->pages, oom_policy_mm_pages(mm));
}

/* That of a victim was noted when it was killed. */
void __oom_policy_exits(struct task_struct *task)
{
	struct signal_struct *sig = task->signal;

	if (!task->mm || !(READ_ONCE(sig->flags) & SIGNAL_GROUP_EXIT) ||
	    READ_ONCE(sig->oom_mm))
		return;

	oom_policy_note_mm(sig, task->mm);
	__oom_policy_dies(sig);
}

void __oom_policy_unmapped(void)
{
	struct signal_struct *sig = current->signal;

	/* Not by exec, and not for somebody else. */
	if (!(current->flags & PF_EXITING) || current->mm)
		return;

	/* Pairs with the acquire in oom_policy_dying_holds(): what it held is known. */
	smp_store_release(&oom_policy_victim(sig)->unmapped, true);
	if (!oom_policy_mostly_shared(sig))
		oom_policy_died(sig);
}

static bool oom_policy_is_last(struct task_struct *task)
{
	struct task_struct *thread;
	bool last = true;

	rcu_read_lock();
	for_each_thread(task, thread)
		last &= thread == task || READ_ONCE(thread->exit_state);
	rcu_read_unlock();
	return last;
}

/**
 * oom_policy_dying_left - a thread has put its mm and its files
 * @task: current, which exits
 */
void oom_policy_dying_left(struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	const struct oom_policy_victim *state = oom_policy_victim(sig);

	if (READ_ONCE(state->dying) && READ_ONCE(state->unmapped) &&
	    oom_policy_is_last(task))
		oom_policy_died(sig);
}

/**
 * oom_policy_dying_holds - is the memory of who dies by itself still on its way
 * @task: one of its threads
 *
 * Of an mm that others use, too, nobody asks here whether it goes with it: it does not
 * take long until this one is done with it.
 *
 * Return: true if less than half of it is back.
 */
bool oom_policy_dying_holds(struct task_struct *task)
{
	const struct signal_struct *sig = task->signal;
	unsigned long pages;
	struct mm_struct *mm;

	/* Pairs with the release in __oom_policy_unmapped(). */
	if (smp_load_acquire(&oom_policy_victim(sig)->unmapped))
		return oom_policy_mostly_shared(sig) && oom_policy_exiting(task);

	/* The last one to leave it is the one that frees it. */
	mm = oom_policy_grab_mm(task);
	if (!mm)
		return oom_policy_exiting(task);

	pages = oom_policy_mm_pages(mm);
	mmdrop(mm);
	return pages * 2 > READ_ONCE(oom_policy_victim(sig)->pages);
}

/* The first time that an event sees that it dies, unless that is a rehearsal. */
static u64 oom_policy_first_seen(struct oom_policy_event *ev, struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	u64 seen = READ_ONCE(oom_policy_victim(sig)->killed);
	struct mm_struct *mm;

	if (seen || ev->rehearsed)
		return seen ?: ev->start;

	mm = oom_policy_grab_mm(task);
	if (mm) {
		oom_policy_note_mm(sig, mm);
		mmdrop(mm);
	}
	WRITE_ONCE(oom_policy_victim(sig)->killed, ev->start);
	return ev->start;
}

/**
 * oom_policy_dies_slowly - has an event to wait for who dies by itself
 * @ev: the event
 * @task: one of its threads
 *
 * Return: true if it does die, has not given its memory back, and has its grace.
 */
bool oom_policy_dies_slowly(struct oom_policy_event *ev, struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	u64 seen;

	if (!ev->patient || !READ_ONCE(oom_policy_victim(sig)->dying) ||
	    same_thread_group(task, current))
		return false;

	seen = oom_policy_first_seen(ev, task);
	if (ev->start <= seen + ev->grace && oom_policy_dying_holds(task))
		return true;

	/* Nobody has a longer grace; and a zombie has nothing, even if its mm lives on. */
	if (ev->start > seen + (u64)OOM_POLICY_MAX_GRACE_MS * NSEC_PER_MSEC ||
	    !oom_policy_exiting(task))
		oom_policy_died(sig);
	return false;
}

static bool oom_policy_held_before(const struct oom_policy_event *ev)
{
	const struct oom_policy *policy = ev->first;
	u64 last = max_t(u64, READ_ONCE(policy->held_last), atomic64_read(&oom_policy_waited));

	return READ_ONCE(policy->held_since) && ev->start <= last + OOM_POLICY_BREAK_NS;
}

/**
 * oom_policy_anybody_dying - may there be anybody to wait for who dies by itself
 * @ev: the event, of which a policy has been asked; patient or not from here on
 *
 * Return: false if there is nobody, or if events have waited for too long already.
 */
bool oom_policy_anybody_dying(struct oom_policy_event *ev)
{
	ev->patient = !oom_policy_held_before(ev) ||
		      ev->start <= READ_ONCE(ev->first->held_since) + 2 * ev->grace;
	return ev->patient && atomic_read(&oom_policy_dying);
}

/**
 * oom_policy_held - an event waits for who dies by itself
 * @ev: the event; oom_lock is held
 */
void oom_policy_held(struct oom_policy_event *ev)
{
	struct oom_policy *policy = ev->first;

	if (!oom_policy_held_before(ev))
		WRITE_ONCE(policy->held_since, ev->start);
	WRITE_ONCE(policy->held_last, ev->start);
}

/**
 * oom_policy_has_waited - somebody is done with waiting
 */
void oom_policy_has_waited(void)
{
	atomic64_set(&oom_policy_waited, ktime_get_mono_fast_ns());
}
