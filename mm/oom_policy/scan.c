// SPDX-License-Identifier: GPL-2.0-only
/*
 * Going through the tasks of a memcg, and what they hold. None of this may be called
 * under RCU, but for the machine's whole list of processes it sleeps.
 */

#include <linux/cgroup.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "event.h"

/* After so many tasks others may use the CPU; what takes longer sees to it itself. */
#define OOM_POLICY_TASKS	32

/* For who shares an mm, in one event. */
#define OOM_POLICY_SEARCHES	256

static int oom_policy_scan_css(struct mem_cgroup *memcg, unsigned int flags,
			       oom_policy_task_fn fn, void *arg)
{
	struct css_task_iter it;
	struct task_struct *task;
	unsigned int nr = 0;
	int ret = 0;

	css_task_iter_start(&memcg->css, flags, &it);
	while (!ret && (task = css_task_iter_next(&it))) {
		ret = fn(task, arg);
		if (!(++nr % OOM_POLICY_TASKS))
			cond_resched();
	}
	css_task_iter_end(&it);
	return ret;
}

/**
 * oom_policy_scan_memcgs - run a function on the tasks of a memcg and of all below it
 * @memcg: the memcg, referenced
 * @flags: CSS_TASK_ITER_PROCS for processes, else threads; CSS_TASK_ITER_WITH_DEAD for
 *	   those, too, that have begun to exit and may be about to unmap
 * @fn: the function; stops the scan with a value other than 0
 * @arg: for @fn
 *
 * Others may use the CPU now and then, and after each memcg.
 */
void oom_policy_scan_memcgs(struct mem_cgroup *memcg, unsigned int flags,
			    oom_policy_task_fn fn, void *arg)
{
	struct mem_cgroup *pos;

	for (pos = mem_cgroup_iter(memcg, NULL, NULL); pos;
	     pos = mem_cgroup_iter(memcg, pos, NULL)) {
		if (oom_policy_scan_css(pos, flags, fn, arg)) {
			mem_cgroup_iter_break(memcg, pos);
			return;
		}
		cond_resched();
	}
}

/**
 * oom_policy_scan - run a function on the processes of a memcg
 * @memcg: the memcg, referenced
 * @subtree: on those of all below it, too
 * @fn: the function; stops the scan with a value other than 0
 * @arg: for @fn
 */
void oom_policy_scan(struct mem_cgroup *memcg, bool subtree, oom_policy_task_fn fn,
		     void *arg)
{
	struct task_struct *task;

	if (subtree && !mem_cgroup_is_root(memcg)) {
		mem_cgroup_scan_tasks(memcg, fn, arg);
		return;
	}

	if (!subtree) {
		oom_policy_scan_css(memcg, CSS_TASK_ITER_PROCS, fn, arg);
		return;
	}

	rcu_read_lock();
	for_each_process(task)
		if (fn(task, arg))
			break;
	rcu_read_unlock();
}

/**
 * oom_policy_mm_pages - what the death of an mm is worth
 * @mm: the mm
 *
 * Return: its pages, in memory and in swap.
 */
unsigned long oom_policy_mm_pages(struct mm_struct *mm)
{
	return get_mm_rss_sum(mm) + get_mm_counter_sum(mm, MM_SWAPENTS);
}

/**
 * oom_policy_grab_mm - the mm of a process
 * @task: one of its threads
 *
 * The leader may have left it to the others.
 *
 * Return: the mm, for mmdrop(), or NULL if the last thread has left it.
 */
struct mm_struct *oom_policy_grab_mm(struct task_struct *task)
{
	struct task_struct *thread;
	struct mm_struct *mm = NULL;

	rcu_read_lock();
	for_each_thread(task, thread) {
		task_lock(thread);
		mm = thread->mm;
		if (mm)
			mmgrab(mm);
		task_unlock(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
	return mm;
}

static void oom_policy_add_mm(struct oom_cand *cand, struct mm_struct *mm)
{
	cand->usage += (u64)get_mm_rss_sum(mm) * PAGE_SIZE + mm_pgtables_bytes(mm);
	cand->swap += (u64)get_mm_counter_sum(mm, MM_SWAPENTS) * PAGE_SIZE;
}

/**
 * oom_policy_add_task - add what a process holds to a candidate
 * @task: the process
 * @arg: the candidate
 *
 * Return: 0, for oom_policy_scan() to go on.
 */
int oom_policy_add_task(struct task_struct *task, void *arg)
{
	struct mm_struct *mm;

	/* Of its own flags, which a task changes as it likes, this one stays. */
	if (data_race(task->flags) & PF_KTHREAD)
		return 0;

	mm = oom_policy_grab_mm(task);
	if (mm) {
		oom_policy_add_mm(arg, mm);
		mmdrop(mm);
	}
	return 0;
}

/* The root stands for the tasks that are its own: below it is everybody. */
static bool oom_policy_inside(struct task_struct *task, struct mem_cgroup *memcg)
{
	struct mem_cgroup *own = mem_cgroup_from_task(task);

	return mem_cgroup_is_root(memcg) ? own == memcg :
					   mem_cgroup_is_descendant(own, memcg);
}

static pid_t oom_policy_find_outsider(struct task_struct *task, struct mm_struct *mm,
				      struct mem_cgroup *memcg)
{
	struct task_struct *other;
	pid_t pid = 0;

	rcu_read_lock();
	for_each_process(other) {
		/* Of its own flags, which a task changes as it likes, this one stays. */
		if (data_race(other->flags) & PF_KTHREAD ||
		    same_thread_group(other, task) ||
		    !process_shares_mm(other, mm) || oom_policy_inside(other, memcg))
			continue;
		pid = task_pid_nr(other);
		break;
	}
	rcu_read_unlock();
	return pid;
}

/*
 * Each search is through all processes. Thousands of them may share one mm, of which
 * the last answer is kept, or two by two one of thousands.
 */
static pid_t oom_policy_outsider(struct oom_policy_event *ev, struct task_struct *task,
				 struct mm_struct *mm, struct mem_cgroup *memcg, bool exact)
{
	struct oom_policy_sharers *last = &ev->sharers;

	if (last->mm == mm && last->memcg == memcg)
		return last->other;
	if (!exact && last->searches == OOM_POLICY_SEARCHES)
		return -1;

	last->searches += !exact;
	if (last->mm)
		mmdrop(last->mm);
	mmgrab(mm);
	last->mm = mm;
	last->memcg = memcg;
	last->other = oom_policy_find_outsider(task, mm, memcg);
	cond_resched();
	return last->other;
}

/**
 * oom_policy_dies_with - whom the death of a process takes along
 * @ev: the event
 * @task: the process, by its leader
 * @memcg: the leaf that it is to die with; referenced
 * @exact: search as often as it takes
 *
 * Who has the same mm (vfork, CLONE_VM) dies with it. Others are looked for only if the
 * mm has more users than the process has threads.
 *
 * Return: the pid of one outside of what is emptied with @memcg, 0 if there is none, or -1
 * if there may be one and the event has searched often enough.
 */
pid_t oom_policy_dies_with(struct oom_policy_event *ev, struct task_struct *task,
			   struct mem_cgroup *memcg, bool exact)
{
	struct mm_struct *mm = oom_policy_grab_mm(task);
	pid_t pid = 0;

	if (!mm)
		return 0;
	/* A leader that has left it is one thread less. */
	if (READ_ONCE(task->mm) != mm || atomic_read(&mm->mm_users) > get_nr_threads(task))
		pid = oom_policy_outsider(ev, task, mm, oom_policy_emptied(ev, memcg), exact);
	mmdrop(mm);
	return pid;
}
