// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a kernel with OOM policies keeps in the signal of a process that dies, and the
 * places where it learns of it. There is no room in that structure here, so this is a
 * table by the signal's address; it is a part of the module, and nothing is allocated.
 *
 * Tracepoints tell of OOM victims, of signals that kill, and of tasks that are freed;
 * ftrace, of a thread that begins to exit, of an mm that is gone, and of a thread that
 * has put its files. A signal is forgotten before it is freed, so that no other gets its
 * address meanwhile.
 *
 * Who finds a state does not hold it: should its process be freed just then and another
 * take its place, this one's grace has begun a moment too early.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/cleanup.h>
#include <linux/ftrace.h>
#include <linux/hash.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/signal.h>

#include <oom_policy_module.h>

#include "../mm/oom_policy/event.h"

#define BUCKET_BITS	9
#define BUCKET_SIZE	8

/* @state is written as include/linux/oom_policy.h says, all else under table_lock. */
struct entry {
	const struct signal_struct *sig;
	bool victim;
	struct oom_policy_victim state;
};

static struct entry table[1 << BUCKET_BITS][BUCKET_SIZE];
static DEFINE_RAW_SPINLOCK(table_lock);

/* Who is not in the table has nothing to wait for. */
static struct oom_policy_victim nobody = { .over = true };

static struct entry *bucket_of(const struct signal_struct *sig)
{
	return table[hash_ptr(sig, BUCKET_BITS)];
}

static struct entry *find(const struct signal_struct *sig)
{
	struct entry *entry = bucket_of(sig);
	int i;

	for (i = 0; i < BUCKET_SIZE; i++, entry++)
		/* Whose state it is: after remember() has made it empty. */
		if (smp_load_acquire(&entry->sig) == sig)
			return entry;
	return NULL;
}

struct oom_policy_victim *oom_policy_victim(const struct signal_struct *sig)
{
	struct entry *entry = find(sig);

	return entry ? &entry->state : &nobody;
}

/* Nobody waits for it any more: its place may be another's. */
static bool is_done(const struct entry *entry)
{
	return entry->victim ? READ_ONCE(entry->state.over) : !READ_ONCE(entry->state.dying);
}

static struct entry *find_room(const struct signal_struct *sig)
{
	struct entry *entry = bucket_of(sig), *done = NULL;
	int i;

	for (i = 0; i < BUCKET_SIZE; i++, entry++) {
		if (!entry->sig)
			return entry;
		if (is_done(entry))
			done = entry;
	}
	return done;
}

/* The entry of a signal; NULL if there is no room for one. */
static struct entry *remember(struct signal_struct *sig, bool victim)
{
	struct entry *entry;

	lockdep_assert_held(&table_lock);

	entry = find(sig);
	if (!entry) {
		entry = find_room(sig);
		if (!entry) {
			pr_warn_once("too many processes are dying: the last ones have no grace\n");
			return NULL;
		}
		entry->victim = false;
		memset(&entry->state, 0, sizeof(entry->state));
		/* For find(). */
		smp_store_release(&entry->sig, sig);
	}
	entry->victim |= victim;
	return entry;
}

/* A victim begins once, however many of its threads are marked. */
static void remember_victim(struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	const struct entry *entry;
	bool begins;

	if (!sig->oom_mm)
		return;

	scoped_guard(raw_spinlock_irqsave, &table_lock) {
		entry = find(sig);
		begins = !entry || !entry->victim;
		entry = remember(sig, true);
	}
	if (entry && begins)
		oom_policy_victim_begin(task);
}

static bool remember_dying(struct signal_struct *sig)
{
	guard(raw_spinlock_irqsave)(&table_lock);
	return !!remember(sig, false);
}

static void on_mark_victim(void *data, struct task_struct *task, uid_t uid)
{
	remember_victim(task);
}

/* siglock is held; whatever the signal was to do is done. */
static void on_signal(void *data, int nr, struct kernel_siginfo *info,
		      struct task_struct *task, int group, int result)
{
	struct signal_struct *sig = task->signal;

	if (nr == SIGKILL)
		oom_policy_sent_kill();
	if (!oom_policy_active() || result != TRACE_SIGNAL_DELIVERED ||
	    !(sig->flags & SIGNAL_GROUP_EXIT) || (sig->core_state && nr != SIGKILL))
		return;
	if (remember_dying(sig))
		oom_policy_dies(sig);
}

/* The last thread of a process takes the signal along, when RCU readers are done with it. */
static void on_free(void *data, struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	struct entry *entry;

	if (READ_ONCE(sig->nr_threads) || !find(sig))
		return;

	guard(raw_spinlock_irqsave)(&table_lock);
	entry = find(sig);
	if (entry) {
		oom_policy_signal_end(sig);
		WRITE_ONCE(entry->sig, NULL);
	}
}

/* Only who dies with all of its threads, and is not an OOM victim, is new here. */
static void notrace on_exit(unsigned long ip, unsigned long parent_ip,
			    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct signal_struct *sig = current->signal;

	if (oom_policy_active() && current->mm && !READ_ONCE(sig->oom_mm) &&
	    (READ_ONCE(sig->flags) & SIGNAL_GROUP_EXIT) && remember_dying(sig))
		oom_policy_exits(current);
}

static void notrace on_unmapped(unsigned long ip, unsigned long parent_ip,
				struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	if (oom_policy_active() && find(current->signal))
		oom_policy_unmapped();
}

static void notrace on_exited(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	oom_policy_exited(current);
}

/* Called in do_exit() and __mmput(), and nowhere else, where hooks/mm.patch has its calls. */
static struct watch {
	const char *name;
	const char *later_name;		/* in kernels after 6.12 */
	struct ftrace_ops ops;
	bool on;
} watches[] = {
	{
		.name = "exit_signals",
		.ops = { .func = on_exit, .flags = FTRACE_OPS_FL_RECURSION },
	},
	{
		.name = "lru_gen_del_mm",
		.ops = { .func = on_unmapped, .flags = FTRACE_OPS_FL_RECURSION },
	},
	{
		.name = "cgroup_exit",
		.later_name = "cgroup_task_exit",
		.ops = { .func = on_exited, .flags = FTRACE_OPS_FL_RECURSION },
	},
};

static struct told {
	const char *name;
	void *probe;
	struct tracepoint *tp;
	bool on;
} told[] = {
	{ .name = "mark_victim", .probe = on_mark_victim },
	{ .name = "signal_generate", .probe = on_signal },
	{ .name = "sched_process_free", .probe = on_free },
};

static void __init find_tracepoint(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(told); i++)
		if (!strcmp(tp->name, told[i].name))
			told[i].tp = tp;
}

static int __init listen(struct told *one)
{
	int err = -ENOENT;

	if (one->tp)
		err = tracepoint_probe_register(one->tp, one->probe, NULL);
	one->on = !err;
	if (err)
		pr_err("the tracepoint %s is not to be had: %d\n", one->name, err);
	return err;
}

static int __init watch(struct watch *one)
{
	unsigned long addr = oom_policy_symbol(one->name);
	int err = -ENOENT;

	if (!addr && one->later_name)
		addr = oom_policy_symbol(one->later_name);
	if (addr)
		err = ftrace_set_filter_ip(&one->ops, addr, 0, 0);
	if (!err)
		err = register_ftrace_function(&one->ops);
	one->on = !err;
	if (err)
		pr_err("ftrace does not tell of %s() in this kernel: %d\n", one->name, err);
	return err;
}

/* Those of before: they are waited for, and their grace begins now. */
static void __init remember_all(void)
{
	struct task_struct *task;

	mutex_lock(&oom_lock);
	rcu_read_lock();
	for_each_process(task)
		remember_victim(task);
	rcu_read_unlock();
	mutex_unlock(&oom_lock);
}

/**
 * oom_policy_victims_exit - the counterpart; no event and no rehearsal is under way
 */
void oom_policy_victims_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(watches); i++)
		if (watches[i].on)
			unregister_ftrace_function(&watches[i].ops);
	for (i = 0; i < ARRAY_SIZE(told); i++)
		if (told[i].on)
			tracepoint_probe_unregister(told[i].tp, told[i].probe, NULL);
	tracepoint_synchronize_unregister();
}

/**
 * oom_policy_victims_init - learn of whoever dies, from now on
 *
 * Return: 0; -ENOENT if the kernel does not tell; what ftrace returns.
 */
int __init oom_policy_victims_init(void)
{
	int i, err = 0;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(told) && !err; i++)
		err = listen(&told[i]);
	for (i = 0; i < ARRAY_SIZE(watches) && !err; i++)
		err = watch(&watches[i]);
	if (err)
		oom_policy_victims_exit();
	else
		remember_all();
	return err;
}
