// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's structures have no room for: a slot for each id that a memcg can
 * have, and a table of the victims that are dying. All of it is allocated at load.
 *
 * Slots are written as include/linux/oom_policy.h says. The table of victims is written
 * under oom_lock; a rehearsal reads it without, and takes what it sees for what the
 * grace is about: to be late is to see that it has passed.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include <oom_policy_module.h>

#include "../mm/oom_policy/event.h"

struct oom_policy_memcg *oom_policy_slots;

/* More victims at a time are waited for as the stock killer does, and without a grace. */
#define NR_VICTIMS	256

/* The task keeps its signal, and so its address from being another's. */
static struct {
	struct signal_struct *sig;
	struct task_struct *task;
	struct oom_policy_victim state;
} victims[NR_VICTIMS];

static struct oom_policy_victim nobody = { .over = true };

static struct tracepoint *mark_victim;

/**
 * oom_policy_memcg_reset - a memcg begins with an empty slot
 * @memcg: it has just come online; cgroup_mutex is held
 */
void oom_policy_memcg_reset(struct mem_cgroup *memcg)
{
	memset(oom_policy_memcg(memcg), 0, sizeof(struct oom_policy_memcg));
}

/* What is not in the table has nothing to wait for. */
struct oom_policy_victim *oom_policy_victim(const struct signal_struct *sig)
{
	int i;

	for (i = 0; i < NR_VICTIMS; i++)
		if (READ_ONCE(victims[i].sig) == sig)
			return &victims[i].state;
	return &nobody;
}

static void forget(int i)
{
	struct task_struct *task = victims[i].task;

	WRITE_ONCE(victims[i].sig, NULL);
	victims[i].task = NULL;
	put_task_struct(task);
}

/**
 * oom_policy_victims_sweep - forget the victims that are over
 *
 * Nobody tells when a victim's signal goes, so that whoever begins an event looks.
 */
void oom_policy_victims_sweep(void)
{
	int i;

	lockdep_assert_held(&oom_lock);

	for (i = 0; i < NR_VICTIMS; i++)
		if (victims[i].task && (victims[i].state.over ||
					oom_policy_victim_over(victims[i].task)))
			forget(i);
}

static void remember(struct task_struct *task)
{
	int i;

	if (!task->signal->oom_mm || oom_policy_victim(task->signal) != &nobody)
		return;

	for (i = 0; i < NR_VICTIMS; i++) {
		if (victims[i].task)
			continue;
		memset(&victims[i].state, 0, sizeof(victims[i].state));
		victims[i].task = get_task_struct(task);
		WRITE_ONCE(victims[i].sig, task->signal);
		oom_policy_victim_begin(task);
		return;
	}
	pr_warn_once("more than %d victims are dying: the last ones have no grace\n",
		     NR_VICTIMS);
}

static void on_mark_victim(void *data, struct task_struct *task, uid_t uid)
{
	remember(task);
}

static void __init find_mark_victim(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "mark_victim"))
		mark_victim = tp;
}

/* Those of before: they are waited for, and their grace begins now. */
static void __init remember_all(void)
{
	struct task_struct *task;

	mutex_lock(&oom_lock);
	rcu_read_lock();
	for_each_process(task)
		remember(task);
	rcu_read_unlock();
	mutex_unlock(&oom_lock);
}

/**
 * oom_policy_state_init - allocate, and learn of every victim from now on
 *
 * Return: 0; -ENOMEM; -ENOENT if the kernel does not tell of victims.
 */
int __init oom_policy_state_init(void)
{
	int err;

	oom_policy_slots = vcalloc(USHRT_MAX + 1, sizeof(*oom_policy_slots));
	if (!oom_policy_slots)
		return -ENOMEM;

	for_each_kernel_tracepoint(find_mark_victim, NULL);
	err = mark_victim ? tracepoint_probe_register(mark_victim, on_mark_victim, NULL) :
			    -ENOENT;
	if (err) {
		pr_err("the tracepoint oom:mark_victim is not to be had: %d\n", err);
		vfree(oom_policy_slots);
		return err;
	}
	remember_all();
	return 0;
}

/**
 * oom_policy_state_exit - the counterpart; no event and no rehearsal is under way
 */
void oom_policy_state_exit(void)
{
	int i;

	tracepoint_probe_unregister(mark_victim, on_mark_victim, NULL);
	tracepoint_synchronize_unregister();
	for (i = 0; i < NR_VICTIMS; i++)
		if (victims[i].task)
			forget(i);
	vfree(oom_policy_slots);
}
