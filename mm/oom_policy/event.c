// SPDX-License-Identifier: GPL-2.0-only
/*
 * An event and what it holds: the policies that take part, the marks that it leaves
 * in memcgs, and the path that it has taken.
 *
 * A policy is found under RCU and asked with a reference to its link, so that it can
 * be detached meanwhile. A memcg is used outside of RCU only with a reference to it
 * or to one below it.
 */

#include <linux/cgroup.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/sched/cputime.h>
#include <linux/sched/mm.h>
#include <linux/timekeeping.h>

#include "event.h"

/* The one event of the machine; oom_lock. */
struct oom_policy_event oom_policy_event;

/**
 * oom_policy_get - hold a policy as long as an event needs it
 * @policy: may be NULL; under RCU, or held already
 *
 * Return: @policy, or NULL if it is on its way out.
 */
struct oom_policy *oom_policy_get(struct oom_policy *policy)
{
	if (policy && !oom_policy_tryget(policy))
		return NULL;
	return policy;
}

/**
 * oom_policy_put - the counterpart of oom_policy_get()
 * @policy: may be NULL
 */
void oom_policy_put(struct oom_policy *policy)
{
	if (policy)
		oom_policy_drop(policy);
}

/* Without the flag a policy has no say in a memcg OOM, wherever it sits. */
static bool oom_policy_applies(const struct oom_policy_event *ev,
			       const struct oom_policy *policy)
{
	return !ev->oc->memcg || policy->flags & BPF_F_OOM_POLICY_MEMCG;
}

/**
 * oom_policy_of - the policy that a memcg itself has, and that has a say in an event
 * @ev: the event
 * @memcg: the memcg
 * @stage: the slot
 *
 * Return: the policy, under RCU, or NULL.
 */
struct oom_policy *oom_policy_of(const struct oom_policy_event *ev,
				 struct mem_cgroup *memcg, enum oom_policy_stage stage)
{
	struct oom_policy *policy;

	if (ev->rehearsed && ev->rehearsed->stage == stage && memcg == ev->scope)
		return ev->rehearsed;

	policy = rcu_dereference(oom_policy_memcg(memcg)->policy[stage]);
	return policy && oom_policy_applies(ev, policy) ? policy : NULL;
}

/*
 * The nearest policy at @memcg or above rules below @memcg, but none above ev->top.
 * Hold it in the place of what is held now.
 */
static void oom_policy_hold_ruling(const struct oom_policy_event *ev,
				   struct mem_cgroup *memcg,
				   enum oom_policy_stage stage, struct oom_policy **held)
{
	struct oom_policy *policy = NULL;

	rcu_read_lock();
	for (; memcg && !policy; memcg = parent_mem_cgroup(memcg)) {
		policy = oom_policy_of(ev, memcg, stage);
		if (policy != *held)
			policy = oom_policy_get(policy);
		if (memcg == ev->top)
			break;
	}
	rcu_read_unlock();

	if (policy == *held)
		return;
	oom_policy_put(*held);
	*held = policy;
}

static void oom_policy_asked(struct oom_policy_event *ev, struct oom_policy *policy)
{
	if (!policy || ev->first)
		return;

	ev->first = oom_policy_get(policy);
	ev->budget = (u64)policy->budget_us * NSEC_PER_USEC;
	ev->began = READ_ONCE(current->se.sum_exec_runtime);
	ev->looked = 0;
	ev->tick = jiffies;
	ev->grace = (u64)policy->grace_ms * NSEC_PER_MSEC;
}

/**
 * oom_policy_expired - is a selection over its budget
 * @ev: the event, of which a policy has been asked
 *
 * Reading the clock takes longer than a comparison: once in a tick is enough, and most
 * selections are over before the first. What counts is the time of this task, without
 * the one longest stretch between two looks if that was out of all proportion: where a
 * host takes the CPU away for a while, the guest's clock does not tell. A program that is
 * that slow gains one run by it.
 *
 * Return: true if no program is to be asked any more.
 */
bool oom_policy_expired(struct oom_policy_event *ev)
{
	u64 stretch, now = task_sched_runtime(current);

	if (!ev->looked) {
		/* Since the scheduler's last look, but no longer than the event takes. */
		ev->began = now - min(now - ev->began,
				      ktime_get_mono_fast_ns() - ev->start);
		ev->looked = ev->began;
	}
	stretch = now - ev->looked;
	ev->tick = jiffies;
	ev->looked = now;
	if (stretch > 2 * TICK_NSEC)
		ev->stalled = max(ev->stalled, stretch);
	if (now - ev->began - ev->stalled > ev->budget)
		ev->over = true;
	return ev->over;
}

/* On the way down, who judges above judges below, too: most have no policy of their own. */
static bool oom_policy_stays(const struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	return ev->policy && ev->entered && memcg != ev->top &&
	       ev->entered == parent_mem_cgroup(memcg) &&
	       !rcu_access_pointer(oom_policy_memcg(memcg)->policy[OOM_POLICY_STAGE_MEMCG]);
}

/**
 * oom_policy_enter - find out who judges the children of a memcg
 * @ev: the event; its policy is the one that rules afterwards, or NULL
 * @memcg: the memcg, referenced, as is what @ev has entered last
 */
void oom_policy_enter(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	const bool stays = oom_policy_stays(ev, memcg);

	ev->entered = memcg;
	if (stays)
		return;
	oom_policy_hold_ruling(ev, memcg, OOM_POLICY_STAGE_MEMCG, &ev->policy);
	oom_policy_asked(ev, ev->policy);
}

/**
 * oom_policy_leave_tasks - no policy judges tasks
 * @ev: the event
 */
void oom_policy_leave_tasks(struct oom_policy_event *ev)
{
	oom_policy_put(ev->task_policy);
	ev->task_policy = NULL;
}

/**
 * oom_policy_enter_tasks - find out who judges the tasks of a memcg
 * @ev: the event; its task policy is the one that rules afterwards, or NULL
 * @memcg: the memcg
 */
void oom_policy_enter_tasks(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	oom_policy_hold_ruling(ev, memcg, OOM_POLICY_STAGE_TASK, &ev->task_policy);
	oom_policy_asked(ev, ev->task_policy);
}

/**
 * oom_policy_abstained - a policy has left the choice to oom_badness(), which has made it
 * @ev: the event
 * @link_id: of that policy
 * @below: where: the leaf
 */
void oom_policy_abstained(struct oom_policy_event *ev, u32 link_id,
			  struct mem_cgroup *below)
{
	if (ev->abstained.below)
		return;

	ev->abstained.link_id = link_id;
	ev->abstained.below = below;
}

/**
 * oom_policy_mark - a memcg has nobody to kill: it does not take part any more
 * @arg: the event
 * @node: the memcg
 */
void oom_policy_mark(void *arg, void *node)
{
	struct oom_policy_event *ev = arg;

	ev->marked = true;
	*oom_policy_mark_of(ev, node) = ev->seq;
}

/**
 * oom_policy_cut_steps - levels are chosen anew
 * @ev: the event
 * @level: the first of them
 *
 * What is left are winners at or above the cursor, which keeps them: a step has no
 * reference on its winner.
 */
void oom_policy_cut_steps(struct oom_policy_event *ev, unsigned int level)
{
	while (ev->nr_steps && ev->steps[ev->nr_steps - 1].level >= level)
		mem_cgroup_put(ev->steps[--ev->nr_steps].runner);
}

/**
 * oom_policy_add_step - a level is chosen
 * @ev: the event
 * @parent: whose children have played
 * @match: how; its runner's reference passes to the step
 */
void oom_policy_add_step(struct oom_policy_event *ev, struct mem_cgroup *parent,
			 struct oom_match *match)
{
	u32 prog_id;

	rcu_read_lock();
	prog_id = oom_policy_prog(ev->policy)->aux->id;
	rcu_read_unlock();

	if (ev->nr_steps == OOM_POLICY_STEPS) {
		mem_cgroup_put(match->runner.node);
		return;
	}

	ev->steps[ev->nr_steps++] = (struct oom_policy_step) {
		.parent_id = memcg_cgroup_id(parent),
		.prog_id = prog_id,
		.winner = match->best.node,
		.runner = match->runner.node,
		.winner_usage = match->best.usage,
		.runner_usage = match->runner.usage,
		.level = ev->ctx.level,
		.eligible = match->eligible,
		.compared = oom_match_compared(match),
	};
}

/**
 * oom_policy_begin - an event begins
 * @ev: all that is left of the one before is its number
 * @oc: the event
 * @evaluate: the stock judgement of a task
 */
void oom_policy_begin(struct oom_policy_event *ev, struct oom_control *oc,
		      oom_policy_task_fn evaluate)
{
	ev->oc = oc;
	ev->evaluate = evaluate;
	ev->scope = oc->memcg ?: root_mem_cgroup;
	ev->outcome = OOM_UNDECIDED;
	ev->exits = false;
	ev->entered = NULL;
	ev->emptying = false;
	ev->seq++;
	ev->start = ktime_get_mono_fast_ns();
	ev->stalled = 0;
	ev->over = false;
	ev->top = NULL;
	ev->abstained.below = NULL;
	ev->spare = true;
	ev->spared = (struct oom_policy_spared) {};
	ev->strict = true;
	ev->passed = false;
	ev->patient = false;
	ev->marked = false;
	ev->compared = 0;

	ev->ctx = (struct bpf_oom_ctx) {
		.scope_id = memcg_cgroup_id(ev->scope),
		.flags = oc->memcg ? BPF_OOM_EVENT_MEMCG : BPF_OOM_EVENT_GLOBAL,
	};
	if (oc->order == -1)
		ev->ctx.flags |= BPF_OOM_EVENT_SYSRQ;
	if (ev->early)
		ev->ctx.flags |= BPF_OOM_EVENT_EARLY;
}

/**
 * oom_policy_end - an event is over: drop what it holds
 * @ev: the event
 */
void oom_policy_end(struct oom_policy_event *ev)
{
	oom_policy_cut_steps(ev, 0);
	mem_cgroup_put(ev->leaf);
	ev->leaf = NULL;
	oom_policy_put(ev->first);
	ev->first = NULL;
	oom_policy_put(ev->policy);
	ev->policy = NULL;
	oom_policy_put(ev->chooser);
	ev->chooser = NULL;
	oom_policy_leave_tasks(ev);
	oom_policy_forget_vain(ev);
	if (ev->sharers.mm)
		mmdrop(ev->sharers.mm);
	ev->sharers = (struct oom_policy_sharers) {};
	ev->oc = NULL;
}
