// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel's OOM killer and memory controller come by here: ftrace makes these
 * functions of theirs go to ours instead, which call them when they are done. What a
 * kernel with OOM policies has in these places, one call each, is in
 * hooks/common/mm.patch.
 *
 *	out_of_memory()			an event begins and ends
 *	oom_evaluate_task()		its first call in an event: a victim is chosen here
 *	oom_kill_process()		KILL_ALL, after the kill
 *	__oom_kill_process()		the rehearsal at load kills nobody
 *	oom_kill_memcg_member()		R8b for memory.oom.group
 *	dump_header(), dump_task()	the report, and the tasks of the leaf in it
 *	mem_cgroup_css_online(), _offline()	policies come into force and go
 *
 * All of the OOM killer's are called under oom_lock, which protects "event". A function
 * is redirected but where the module itself calls it; and those of the OOM killer, as
 * long as there is a policy, which is why an event may begin before that and end after
 * it, or the other way round. ftrace sleeps, so that no event switches it: killer_mutex.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>

#include <oom_policy_module.h>

#include "../mm/oom_policy/event.h"
#include "../mm/oom_policy/online.h"

/* The event that the kernel has begun; oom_lock. */
static struct {
	struct oom_control *oc;
	bool asked;		/* the policies, for a victim */
	bool killed;		/* somebody */
	struct task_struct *killer;	/* who is in the stock oom_kill_process() */
	struct oom_policy_wait wait;
} event;

/* The event that tells whether we are reached at all; oom_lock. */
static struct {
	struct oom_control *oc;
	bool evaluated;
	bool would_kill;
} selftest;

/* Tasks in functions of ours: they have to leave before the module may. */
static atomic_t inside = ATOMIC_INIT(0);

/* Only a real event waits; rehearsals and early kills give up instead. */
struct oom_policy_wait *oom_policy_wait_of(struct oom_control *oc)
{
	return &event.wait;
}

static bool hook_out_of_memory(struct oom_control *oc)
{
	struct oom_policy_wait wait;
	bool ret;

	atomic_inc(&inside);
	event.oc = oc;
	event.asked = false;
	event.wait = (struct oom_policy_wait) {};

	ret = out_of_memory(oc);

	oom_policy_done(oc);
	event.oc = NULL;
	wait = event.wait;
	/* The callers do nothing more under the lock. Others' events go on meanwhile. */
	if (wait.victim) {
		mutex_unlock(&oom_lock);
		oom_policy_wait_for(&wait, oc->memcg);
		mutex_lock(&oom_lock);
	}
	atomic_dec(&inside);
	return ret;
}

/*
 * The stock scan has come to its first task: this is the beginning of
 * select_bad_process(), which the compiler has made a part of its caller. For the whole
 * machine it holds RCU, which has to be let go of, so that afterwards its place in the
 * list is worth nothing: the scan ends here, and if need be is done all over.
 */
static int hook_evaluate_task(struct task_struct *task, void *arg)
{
	struct oom_control *oc = arg;
	bool chosen;

	if (oc == selftest.oc) {
		selftest.evaluated = true;
		oc->chosen = (void *)-1UL;
		return 1;
	}
	/* Where somebody has been chosen, the scan had begun before there was a policy. */
	if (oc != event.oc || event.asked || oc->chosen || !oom_policy_active())
		return oom_evaluate_task(task, arg);

	event.asked = true;
	if (oc->memcg) {
		chosen = oom_policy_select(oc, oom_evaluate_task);
		return chosen ? 1 : oom_evaluate_task(task, arg);
	}

	rcu_read_unlock();
	chosen = oom_policy_select(oc, oom_evaluate_task);
	rcu_read_lock();
	if (!chosen)
		oom_policy_scan(root_mem_cgroup, true, oom_evaluate_task, oc);
	return 1;
}

/**
 * select_bad_process - choose a victim for an early kill
 * @oc: the event; oom_lock is held
 */
void select_bad_process(struct oom_control *oc)
{
	oc->chosen_points = LONG_MIN;
	if (!oom_policy_select(oc, oom_evaluate_task))
		oom_policy_scan(oc->memcg ?: root_mem_cgroup, true, oom_evaluate_task, oc);
}

/*
 * Would the death of a task help current? The kernel's own function for it is not to be
 * had. Only a grace asks: a victim on other nodes has one, too, so that an event for
 * some nodes may wait for what will be free elsewhere.
 */
bool oom_cpuset_eligible(struct task_struct *start, struct oom_control *oc)
{
	return true;
}

static int hook_kill_member(struct task_struct *task, void *message)
{
	return oom_policy_spares(task) ? 0 : oom_kill_memcg_member(task, message);
}

static void hook_do_kill_process(struct task_struct *victim, const char *message)
{
	if (selftest.oc) {
		selftest.would_kill = true;
		put_task_struct(victim);
		return;
	}
	oom_sym_do_kill_process(victim, message);
}

/**
 * oom_policy_sent_kill - current has sent a SIGKILL
 *
 * An event that does so has killed somebody, and not found its victim exiting. It is
 * told in an early kill without any policy, too.
 */
void oom_policy_sent_kill(void)
{
	if (READ_ONCE(event.killer) == current)
		event.killed = true;
}

/**
 * oom_kill_process - kill the victim of an event, and who else has to go
 * @oc: the event; oom_lock is held
 * @message: what the kill is to be called in the log
 */
void oom_kill_process(struct oom_control *oc, const char *message)
{
	if (oc == selftest.oc) {
		selftest.would_kill = true;
		put_task_struct(oc->chosen);
		return;
	}

	event.killed = false;
	WRITE_ONCE(event.killer, current);
	oom_sym_kill_process(oc, message);
	WRITE_ONCE(event.killer, NULL);
	if (event.killed)
		oom_policy_kill_all(oc, hook_kill_member, message);
	else
		oom_policy_victim_exits(oc, hook_kill_member, message);
}

static void hook_dump_header(struct oom_control *oc)
{
	dump_header(oc);
	oom_policy_report(oc);
}

static int hook_dump_task(struct task_struct *task, void *arg)
{
	return oom_policy_listed(arg, task) ? dump_task(task, arg) : 0;
}

static int hook_css_online(struct cgroup_subsys_state *css)
{
	struct mem_cgroup *memcg = mem_cgroup_from_css(css);
	int err;

	atomic_inc(&inside);
	err = mem_cgroup_css_online(css);
	if (!err) {
		oom_policy_memcg_reset(memcg);
		oom_policy_memcg_online(memcg);
		oom_policy_memcg_tell(memcg);
	}
	atomic_dec(&inside);
	return err;
}

static void hook_css_offline(struct cgroup_subsys_state *css)
{
	atomic_inc(&inside);
	oom_policy_memcg_offline(mem_cgroup_from_css(css));
	mem_cgroup_css_offline(css);
	atomic_dec(&inside);
}

struct hook {
	const char *name;
	void *ours;
	unsigned long addr;
};

/* Functions that are redirected together. */
struct hooks {
	const char *whose;
	struct ftrace_ops ops;
	struct hook *hook;
	int nr;
	bool on;
};

/* The call of ftrace is the first thing in a function, but for an ENDBR. */
static void notrace redirect(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	const struct hooks *hooks = container_of(ops, struct hooks, ops);
	int i;

	if (within_module(parent_ip, THIS_MODULE))
		return;
	for (i = 0; i < hooks->nr; i++)
		if (ip - hooks->hook[i].addr <= ENDBR_INSN_SIZE) {
			ftrace_regs_set_instruction_pointer(fregs,
							    (unsigned long)hooks->hook[i].ours);
			return;
		}
}

static struct hook memcg_hooks[] = {
	{ .name = "mem_cgroup_css_online", .ours = hook_css_online },
	{ .name = "mem_cgroup_css_offline", .ours = hook_css_offline },
};

/* The first one is called for each task. */
static struct hook killer_hooks[] = {
	{ .name = "oom_evaluate_task", .ours = hook_evaluate_task },
	{ .name = "dump_task", .ours = hook_dump_task },
	{ .name = "dump_header", .ours = hook_dump_header },
	{ .name = "oom_kill_memcg_member", .ours = hook_kill_member },
	{ .name = "__oom_kill_process", .ours = hook_do_kill_process },
	{ .name = "oom_kill_process", .ours = oom_kill_process },
	{ .name = "out_of_memory", .ours = hook_out_of_memory },
};

/* Whoever switches ftrace off is told that it is in use. */
#define REDIRECTING {							\
	.func = redirect,						\
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT |	\
		 FTRACE_OPS_FL_RECURSION,				\
}

/* As long as the module is there: slots are for memcgs, with a policy or without. */
static struct hooks memcgs = {
	.whose = "the memory controller",
	.ops = REDIRECTING,
	.hook = memcg_hooks,
	.nr = ARRAY_SIZE(memcg_hooks),
};

static struct hooks killer = {
	.whose = "the OOM killer",
	.ops = REDIRECTING,
	.hook = killer_hooks,
	.nr = ARRAY_SIZE(killer_hooks),
};

static DEFINE_MUTEX(killer_mutex);
static unsigned int killer_users;	/* killer_mutex */

static int __init find_hooks(struct hooks *hooks)
{
	struct hook *hook;
	int err;

	for (hook = hooks->hook; hook < hooks->hook + hooks->nr; hook++) {
		hook->addr = oom_policy_symbol(hook->name);
		err = ftrace_set_filter_ip(&hooks->ops, hook->addr, 0, 0);
		if (err) {
			pr_err("ftrace does not know %s() in this kernel: %d\n", hook->name,
			       err);
			return err;
		}
	}
	return 0;
}

static int hooks_on(struct hooks *hooks)
{
	int err;

	/* Again, when somebody is attaching a BPF program to one of them just then. */
	do {
		err = register_ftrace_function(&hooks->ops);
		cond_resched();
	} while (err == -EAGAIN);

	hooks->on = !err;
	if (err == -EBUSY)
		pr_err("a function of %s is redirected already, by a live patch or the like, or ftrace is off (sysctl kernel.ftrace_enabled)\n",
		       hooks->whose);
	else if (err)
		pr_err("the functions of %s cannot be redirected: %d\n", hooks->whose, err);
	return err;
}

static void hooks_off(struct hooks *hooks)
{
	if (hooks->on)
		unregister_ftrace_function(&hooks->ops);
	hooks->on = false;
}

static void killer_idle(struct work_struct *work)
{
	guard(mutex)(&killer_mutex);
	if (!killer_users)
		hooks_off(&killer);
}

static DECLARE_DELAYED_WORK(killer_idle_work, killer_idle);

/**
 * oom_policy_killer_get - have the OOM killer come by here
 *
 * An event that has begun is the stock killer's.
 *
 * Return: 0; -ETXTBSY if somebody else has redirected one of its functions; what ftrace
 * returns.
 */
int oom_policy_killer_get(void)
{
	int err;

	guard(mutex)(&killer_mutex);
	if (!killer.on) {
		err = hooks_on(&killer);
		if (err)
			return err == -EBUSY ? -ETXTBSY : err;
	}
	killer_users++;
	return 0;
}

/**
 * oom_policy_killer_put - the counterpart
 *
 * ftrace takes a while to undo it. Whoever attaches another policy at once need not wait
 * for that.
 */
void oom_policy_killer_put(void)
{
	guard(mutex)(&killer_mutex);
	if (!--killer_users)
		schedule_delayed_work(&killer_idle_work, HZ);
}

/**
 * oom_policy_hooks_exit - the kernel goes its own ways again
 *
 * Nobody is in a function of ours afterwards. Who is on the way in or out does not
 * sleep there, and that is what the first and the last wait are about; who is inside may.
 */
void oom_policy_hooks_exit(void)
{
	cancel_delayed_work_sync(&killer_idle_work);
	hooks_off(&killer);
	hooks_off(&memcgs);
	synchronize_rcu_tasks();
	/* All but the counted ones are called under it. */
	mutex_lock(&oom_lock);
	mutex_unlock(&oom_lock);
	while (atomic_read(&inside))
		msleep(20);
	synchronize_rcu_tasks();
}

/**
 * oom_policy_hooks_init - redirect the functions of the memory controller
 *
 * And know all the others, of which oom_policy_selftest() says whether they will do.
 *
 * Return: 0; -EBUSY if somebody else has one, or ftrace is off; what ftrace returns.
 */
int __init oom_policy_hooks_init(void)
{
	int err = find_hooks(&memcgs) ?: find_hooks(&killer);

	return err ?: hooks_on(&memcgs);
}

/*
 * A rehearsal by the kernel's own function, down to the first task that it looks at,
 * which we say is dying: so nobody is chosen. In a kernel thread, to which none of what
 * may come before applies. Should the compiler have copied oom_evaluate_task() to where
 * it is called, a task will be chosen, and is let go of where it would be killed.
 */
static void __init run_selftest(struct work_struct *work)
{
	struct oom_control oc = {
		.gfp_mask = GFP_KERNEL,
		.order = -1,		/* as by sysrq: no panic */
	};

	mutex_lock(&oom_lock);
	selftest.evaluated = false;
	selftest.would_kill = false;
	selftest.oc = &oc;
	out_of_memory(&oc);
	selftest.oc = NULL;
	mutex_unlock(&oom_lock);
}

/**
 * oom_policy_selftest - does the kernel come by here when it looks for a victim
 *
 * Return: 0; -EBUSY while the OOM killer is disabled, or if somebody else has a function
 * of it; what ftrace returns; -ENOEXEC if it does not.
 */
int __init oom_policy_selftest(void)
{
	struct work_struct work;
	int err;

	if (READ_ONCE(oom_killer_disabled)) {
		pr_err("the OOM killer is disabled at present: try again later\n");
		return -EBUSY;
	}

	err = hooks_on(&killer);
	if (err)
		return err;
	INIT_WORK_ONSTACK(&work, run_selftest);
	schedule_work(&work);
	flush_work(&work);
	destroy_work_on_stack(&work);
	hooks_off(&killer);
	if (selftest.evaluated && !selftest.would_kill)
		return 0;

	pr_err("out_of_memory() does not call oom_evaluate_task() in this kernel: its compiler has copied it, and this module cannot work\n");
	return -ENOEXEC;
}
