/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the OOM killer, the memory controller and fork call when a BPF OOM
 * policy may have a say, and the state that a policy keeps in each memcg.
 *
 * Everything here is a no-op without CONFIG_BPF_OOM_POLICY. With it, and with
 * nothing attached, a selection costs one static branch.
 */
#ifndef _LINUX_OOM_POLICY_H
#define _LINUX_OOM_POLICY_H

#include <linux/atomic.h>
#include <linux/jump_label.h>
#include <linux/types.h>

struct mem_cgroup;
struct oom_control;
struct oom_policy;
struct signal_struct;
struct task_struct;

typedef int (*oom_policy_task_fn)(struct task_struct *task, void *arg);

#ifdef CONFIG_BPF_OOM_POLICY

enum oom_policy_stage {
	OOM_POLICY_STAGE_MEMCG,
	OOM_POLICY_STAGE_TASK,
	NR_OOM_POLICY_STAGES
};

/**
 * struct oom_policy_futile - what came of the last kills in a memcg; pages
 * @usage: of memory and swap when a policy last chose a victim here
 * @low: the least since then, as victims have left
 * @last: what that victim held
 * @held: what the victims of @kills held in all
 * @kills: how many in a row have given next to nothing back
 * @watched: the last kill is still to be judged
 * @left: a victim has left since
 *
 * oom_lock, but @low and @left are written by victims on their way out.
 */
struct oom_policy_futile {
	unsigned long usage;
	unsigned long low;
	unsigned long last;
	unsigned long held;
	unsigned int kills;
	bool watched;
	bool left;
};

/**
 * struct oom_policy_memcg - what a memcg knows about policies
 * @policy: the attached policies; written under oom_policy_mutex, read under RCU
 * @offline: no further attachment; oom_policy_mutex
 * @mark: number of the last event that found nothing to kill here; oom_lock
 * @dry_mark: the same for rehearsals; oom_policy_dry_mutex
 * @priority: memory.oom.priority, if there is one
 * @priority_state: BPF_OOM_PRIORITY_*; written after @priority, read before it
 * @futile: what came of the last kills here
 */
struct oom_policy_memcg {
	struct oom_policy __rcu *policy[NR_OOM_POLICY_STAGES];
	bool offline;
	u64 mark;
	u64 dry_mark;
	atomic64_t priority;
	u8 priority_state;
	struct oom_policy_futile futile;
};

/**
 * struct oom_policy_victim - what a process's signal remembers of its death
 * @killed: when its mm became oom_mm; of whoever dies otherwise, when an event has
 *	    first seen that; ns
 * @pages: what its mm held then, memory and swap
 * @shared: of these, the shared memory
 * @over: nothing will come back from an OOM victim any more
 * @dying: it has to die, or does, and its memory is not back
 * @unmapped: its mm is gone
 */
struct oom_policy_victim {
	u64 killed;
	unsigned long pages;
	unsigned long shared;
	bool over;
	bool dying;
	bool unmapped;
};

/**
 * struct oom_policy_wait - whom an event has to wait for, once oom_lock is free
 * @victim: of the OOM killer or of somebody else: whose memory is on its way, referenced, or NULL
 * @until: the end of its grace, ns
 */
struct oom_policy_wait {
	struct task_struct *victim;
	u64 until;
};

DECLARE_STATIC_KEY_FALSE(oom_policy_attached);
extern atomic_t oom_policy_victims;

bool __oom_policy_select(struct oom_control *oc, oom_policy_task_fn evaluate);
void __oom_policy_report(struct oom_control *oc);
bool __oom_policy_dump_tasks(struct oom_control *oc, oom_policy_task_fn dump);
void __oom_policy_kill_all(struct oom_control *oc, oom_policy_task_fn kill,
			   const char *message);
void __oom_policy_done(struct oom_control *oc);
bool __oom_policy_spares(struct task_struct *task);
void oom_policy_victim_exits(struct oom_control *oc, oom_policy_task_fn kill,
			     const char *message);
void __oom_policy_memcg_online(struct mem_cgroup *memcg);
void oom_policy_memcg_offline(struct mem_cgroup *memcg);
void oom_policy_victim_begin(struct task_struct *victim);
void oom_policy_signal_end(struct signal_struct *sig);
void oom_policy_wait(struct oom_control *oc);
void __oom_policy_dies(struct signal_struct *sig);
void __oom_policy_exits(struct task_struct *task);
void __oom_policy_unmapped(void);
void __oom_policy_exited(struct task_struct *task);

static inline bool oom_policy_active(void)
{
	return static_branch_unlikely(&oom_policy_attached);
}

#else /* !CONFIG_BPF_OOM_POLICY */

struct oom_policy_memcg {};
struct oom_policy_victim {};
struct oom_policy_wait {};

static inline bool oom_policy_active(void)
{
	return false;
}

static inline bool __oom_policy_select(struct oom_control *oc,
				       oom_policy_task_fn evaluate)
{
	return false;
}

static inline void __oom_policy_report(struct oom_control *oc) {}

static inline bool __oom_policy_dump_tasks(struct oom_control *oc,
					   oom_policy_task_fn dump)
{
	return false;
}

static inline void __oom_policy_kill_all(struct oom_control *oc,
					 oom_policy_task_fn kill,
					 const char *message) {}
static inline void __oom_policy_done(struct oom_control *oc) {}

static inline bool __oom_policy_spares(struct task_struct *task)
{
	return false;
}

static inline void oom_policy_victim_exits(struct oom_control *oc,
					   oom_policy_task_fn kill,
					   const char *message) {}
static inline void __oom_policy_memcg_online(struct mem_cgroup *memcg) {}
static inline void oom_policy_memcg_offline(struct mem_cgroup *memcg) {}
static inline void oom_policy_victim_begin(struct task_struct *victim) {}
static inline void oom_policy_signal_end(struct signal_struct *sig) {}
static inline void oom_policy_wait(struct oom_control *oc) {}
static inline void __oom_policy_dies(struct signal_struct *sig) {}
static inline void __oom_policy_exits(struct task_struct *task) {}
static inline void __oom_policy_unmapped(void) {}
static inline void __oom_policy_exited(struct task_struct *task) {}

#endif /* CONFIG_BPF_OOM_POLICY */

/* mm/oom_kill.c: would the death of this task help current? */
bool oom_cpuset_eligible(struct task_struct *start, struct oom_control *oc);

/* mm/oom_kill.c: what an early kill takes from an OOM, under oom_lock. */
extern bool oom_killer_disabled;
void select_bad_process(struct oom_control *oc);
void oom_kill_process(struct oom_control *oc, const char *message);

/**
 * oom_policy_select - let the attached policies choose a victim
 * @oc: the event; oc->chosen must be NULL
 * @evaluate: the stock judgement of one task, called with @oc as argument
 *
 * Called under oom_lock. Allocates nothing and takes no sleeping lock.
 *
 * Return: true if the decision is made (oc->chosen is a task with a reference
 * held, or -1UL where a victim is still dying); false if the stock scan has to
 * decide, with @oc as it was.
 */
static inline bool oom_policy_select(struct oom_control *oc,
				     oom_policy_task_fn evaluate)
{
	return oom_policy_active() && __oom_policy_select(oc, evaluate);
}

/**
 * oom_policy_report - say which policy chose, and how, in the OOM report
 * @oc: the event; nothing is printed if no policy took part in it
 */
static inline void oom_policy_report(struct oom_control *oc)
{
	if (oom_policy_active())
		__oom_policy_report(oc);
}

/**
 * oom_policy_dump_tasks - dump the tasks of the chosen memcg only
 * @oc: the event
 * @dump: prints one task, called with @oc as argument
 *
 * Return: false if no policy chose a memcg: all tasks are to be dumped.
 */
static inline bool oom_policy_dump_tasks(struct oom_control *oc,
					 oom_policy_task_fn dump)
{
	return oom_policy_active() && __oom_policy_dump_tasks(oc, dump);
}

/**
 * oom_policy_kill_all - kill the rest of the chosen memcg if the policy says so
 * @oc: the event, its victim already killed
 * @kill: kills one task, called with @message as argument
 * @message: what the kill is to be called in the log
 */
static inline void oom_policy_kill_all(struct oom_control *oc,
				       oom_policy_task_fn kill,
				       const char *message)
{
	if (oom_policy_active())
		__oom_policy_kill_all(oc, kill, message);
}

/**
 * oom_policy_spares - is a task to be left alive when a memcg is emptied
 * @task: who would be killed with the victim; oom_lock is held
 *
 * Return: true if somebody elsewhere would die with it, and a policy chose the memcg.
 */
static inline bool oom_policy_spares(struct task_struct *task)
{
	return oom_policy_active() && __oom_policy_spares(task);
}

/**
 * oom_policy_done - the event is over: count it, drop what it pinned
 * @oc: the event; called under oom_lock
 *
 * The branch stays on while an event holds a reference on a link.
 */
static inline void oom_policy_done(struct oom_control *oc)
{
	if (oom_policy_active())
		__oom_policy_done(oc);
}

/**
 * oom_policy_memcg_online - a cgroup gets a memcg: put its policies in force again
 * @memcg: the memcg; cgroup_mutex is held
 */
static inline void oom_policy_memcg_online(struct mem_cgroup *memcg)
{
	if (oom_policy_active())
		__oom_policy_memcg_online(memcg);
}

/**
 * oom_policy_dies - a signal is about to kill a process
 * @sig: its signal; siglock is held
 */
static inline void oom_policy_dies(struct signal_struct *sig)
{
	if (oom_policy_active())
		__oom_policy_dies(sig);
}

/**
 * oom_policy_exits - a thread is about to leave its mm
 * @task: current, which exits
 */
static inline void oom_policy_exits(struct task_struct *task)
{
	if (oom_policy_active())
		__oom_policy_exits(task);
}

/**
 * oom_policy_unmapped - current has freed an mm, of which it was the last user
 */
static inline void oom_policy_unmapped(void)
{
	if (oom_policy_active())
		__oom_policy_unmapped();
}

/**
 * oom_policy_exited - a thread has put its mm and its files
 * @task: current, which exits
 */
static inline void oom_policy_exited(struct task_struct *task)
{
	if (oom_policy_active())
		__oom_policy_exited(task);
}

#endif /* _LINUX_OOM_POLICY_H */
