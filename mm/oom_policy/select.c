// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selection of an OOM victim by BPF policies.
 *
 * From the scope of the event (the root, or the memcg that met its limit) the
 * children of one memcg at a time play a tournament (match.h), with a policy program
 * as the judge of each pair; the winner's children play next (walk.c), down to a leaf,
 * of which task.c picks a task. A leaf with nobody to kill is marked and the next-best
 * sibling takes its place, so that in the end there is a victim or the stock killer
 * decides.
 *
 * Whatever the programs answer, a selection ends: each try of a leaf finds a victim or
 * marks a memcg that is not looked at again; leaves that were passed over for somebody
 * else's sake, or since a kill there is in vain, have one more turn each. Over the time
 * budget no program is asked any more: the best so far wins, and from there on the tie
 * rule decides.
 * Nothing here allocates, sleeps on a lock or prints.
 *
 * Children are walked under RCU. A memcg is used outside of RCU only with a reference
 * to it or to one below it. What an event holds is in event.h.
 */

#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "compare.h"
#include "event.h"

/*
 * The best is candidate 1 since it has won. A program writes nothing but the scratch
 * words, so that it is still there, and what was read of the other is afterwards.
 */
static __always_inline int oom_policy_compare(void *arg, struct oom_cand *best,
					      struct oom_cand *next)
{
	struct oom_policy_event *ev = arg;
	struct bpf_oom_ctx *ctx = &ev->ctx;
	u32 verdict;

	oom_policy_set_cand_2(ctx, next);
	verdict = oom_policy_run(ev, ev->policy, ctx);

	next->id = ctx->cgroup_id_2;
	next->usage = ctx->usage_2;
	next->swap = ctx->swap_2;
	next->priority = ctx->priority_2;
	if (verdict != BPF_OOM_FIRST)	/* who loses needs it no more */
		next->scratch = ctx->scratch_2;
	return verdict;
}

/* Nobody is asked. */
static __always_inline int oom_policy_tie(void *arg, struct oom_cand *best,
					  struct oom_cand *next)
{
	return BPF_OOM_EQUAL;
}

/* The root has no counter of its own tasks: add them up and let them play first. */
static void oom_policy_play_root(struct oom_policy_event *ev, struct mem_cgroup *root,
				 struct oom_match *match)
{
	struct oom_cand self = {
		.node = root,
		.id = memcg_cgroup_id(root),
	};
	void *dropped;

	if (!(ev->policy->flags & BPF_F_OOM_POLICY_ROOT_TASKS) ||
	    oom_policy_marked(ev, root))
		return;

	oom_policy_scan(root, false, oom_policy_add_task, &self);
	if (!self.usage)
		return;

	oom_match_play(match, &self, oom_policy_compare, ev, &dropped);
	oom_policy_set_cand_1(&ev->ctx, &self);
}

static void oom_policy_put_match(const struct oom_match *match)
{
	mem_cgroup_put(match->best.node);
	mem_cgroup_put(match->runner.node);
}

static void memcg_get(struct mem_cgroup *memcg)
{
	if (memcg)
		css_get(&memcg->css);
}

/*
 * Before RCU is let go of: reference what the match refers to, and put what it
 * referred to the last time. A newcomer has its first reference as long as the
 * critical section lasts in which it was not dying.
 */
static void oom_policy_keep(const struct oom_match *match, struct mem_cgroup **kept)
{
	memcg_get(match->best.node);
	memcg_get(match->runner.node);
	mem_cgroup_put(kept[0]);
	mem_cgroup_put(kept[1]);
	kept[0] = match->best.node;
	kept[1] = match->runner.node;
}

static __always_inline bool oom_policy_eligible(const struct oom_policy_event *ev,
						struct cgroup_subsys_state *css,
						bool marked)
{
	/* Tasks come and go: who sees the last one leave, or does not, is right either way. */
	return data_race(cgroup_is_populated(css->cgroup)) &&
	       oom_policy_online(css) &&
	       !(marked && oom_policy_marked(ev, mem_cgroup_from_css(css)));
}

/*
 * Let go of RCU for a moment. A css that is on its way in cannot be kept, nor one that
 * nobody keeps any more: do so at a later one.
 * Returns after how many more to come again.
 */
static unsigned int oom_policy_pause(struct cgroup_subsys_state *css,
				     const struct oom_match *match,
				     struct mem_cgroup **kept)
{
	if (!(READ_ONCE(css->flags) & (CSS_ONLINE | CSS_DYING)) || !css_tryget(css))
		return 1;

	oom_policy_keep(match, kept);
	migrate_enable();
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
	migrate_disable();
	css_put(css);
	return OOM_POLICY_BATCH;
}

/*
 * This is where the time goes. A child that is pinned stays in the list, so that
 * what css_next_child() does for released ones is not needed.
 */
static __always_inline int oom_policy_pass_children(struct oom_policy_event *ev,
						    struct mem_cgroup *parent,
						    struct oom_match *match, bool marked,
						    bool supposed, oom_compare_fn compare)
{
	struct cgroup_subsys_state *css;
	unsigned int left = OOM_POLICY_BATCH;
	struct mem_cgroup *kept[2] = {};
	struct oom_cand next;
	int outcome, ret = 0;
	void *dropped;

	rcu_read_lock();
	migrate_disable();
	ev->prog = oom_policy_prog(ev->policy);
	list_for_each_entry_rcu(css, &parent->css.children, sibling) {
		if (unlikely(!--left || oom_policy_ticked(ev))) {
			if (oom_policy_interrupted(ev)) {
				ret = -EINTR;
				break;
			}
			if (oom_policy_expired(ev) && compare != oom_policy_tie) {
				ret = -ETIME;
				break;
			}
			if (!left) {
				left = oom_policy_pause(css, match, kept);
				ev->prog = oom_policy_prog(ev->policy);
			}
		}
		if (unlikely(!oom_policy_eligible(ev, css, marked)))
			continue;

		if (unlikely(supposed ?
			     !oom_policy_cand_if(&next, mem_cgroup_from_css(css), ev->what_if) :
			     !oom_policy_cand(&next, mem_cgroup_from_css(css))))
			continue;
		outcome = oom_match_play(match, &next, compare, ev, &dropped);
		if (outcome == BPF_OOM_SECOND) {
			oom_policy_set_cand_1(&ev->ctx, &next);
		} else if (outcome != BPF_OOM_FIRST) {
			ret = outcome;
			break;
		}
	}
	oom_policy_keep(match, kept);
	migrate_enable();
	rcu_read_unlock();

	return ret;
}

static int oom_policy_pass_judged(struct oom_policy_event *ev, struct mem_cgroup *parent,
				  struct oom_match *match)
{
	if (ev->what_if)
		return oom_policy_pass_children(ev, parent, match, true, true,
						oom_policy_compare);
	return ev->marked ?
	       oom_policy_pass_children(ev, parent, match, true, false, oom_policy_compare) :
	       oom_policy_pass_children(ev, parent, match, false, false, oom_policy_compare);
}

/*
 * One pass over the children of @parent. Whatever is in the match afterwards is
 * referenced. Returns 0, BPF_OOM_ABSTAIN or -EINTR.
 */
static int oom_policy_pass(struct oom_policy_event *ev, struct mem_cgroup *parent,
			   struct oom_match *match)
{
	int ret;

	/* A leaf, as a rule. */
	if (list_empty(&parent->css.children))
		return 0;

	if (!ev->over) {
		ret = oom_policy_pass_judged(ev, parent, match);
		if (ret != -ETIME)
			return ret;
		if (match->best.node && match->best.node != parent)
			return 0;
		oom_policy_put_match(match);
	}

	match->tied = true;
	return oom_policy_pass_children(ev, parent, match, true, true, oom_policy_tie);
}

static void oom_policy_move(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	mem_cgroup_put(ev->cursor);
	ev->cursor = memcg;
}

/* A leaf's own policy has had no say in what became of the leaf. */
static void oom_policy_chose(struct oom_policy_event *ev)
{
	if (ev->chooser == ev->policy)
		return;

	oom_policy_put(ev->chooser);
	ev->chooser = oom_policy_get(ev->policy);
}

static int oom_policy_choose(void *arg, void *node, void **child)
{
	struct oom_policy_event *ev = arg;
	struct mem_cgroup *parent = node;
	struct oom_match *match = &ev->siblings;
	int ret;

	oom_match_begin(match);
	ev->ctx.level = oom_policy_level(ev, parent) + 1;
	oom_policy_cut_steps(ev, ev->ctx.level);
	if (READ_ONCE(parent->oom_group))
		return OOM_WALK_GROUP;

	oom_policy_enter(ev, parent);
	if (!ev->policy)
		return OOM_WALK_LEFT;
	if (mem_cgroup_is_root(parent))
		oom_policy_play_root(ev, parent, match);
	ret = oom_policy_pass(ev, parent, match);
	oom_policy_count_runs(ev, ev->policy, oom_match_compared(match));
	if (ret) {
		oom_policy_put_match(match);
		return ret < 0 ? ret : OOM_WALK_LEFT;
	}

	if (match->eligible || !ev->chooser)
		oom_policy_chose(ev);
	if (!match->eligible)
		return mem_cgroup_is_root(parent) ? -ESRCH : OOM_WALK_LEAF;

	oom_policy_add_step(ev, parent, match);
	if (match->best.node == parent) {
		mem_cgroup_put(match->best.node);
		return OOM_WALK_SELF;
	}
	oom_policy_move(ev, match->best.node);
	*child = match->best.node;
	return OOM_WALK_CHILD;
}

static enum oom_policy_outcome oom_policy_chosen(const struct oom_policy_event *ev,
						 enum oom_walk_choice choice)
{
	switch (choice) {
	case OOM_WALK_GROUP:
		return OOM_CHOSE_GROUP;
	case OOM_WALK_SELF:
		return OOM_CHOSE_SELF;
	case OOM_WALK_LEFT:
		return ev->task_policy ? OOM_CHOSE_TASK : OOM_LEFT;
	default:
		return OOM_CHOSE_LEAF;
	}
}

static int oom_policy_try(void *arg, void *node, enum oom_walk_choice choice)
{
	struct oom_policy_event *ev = arg;
	int ret;

	if (oom_policy_in_vain(ev, node, choice))
		return 0;
	ret = oom_policy_pick_task(ev, node, choice);
	if (ret <= 0)
		return ret;

	css_get(&ev->cursor->css);
	mem_cgroup_put(ev->leaf);
	ev->leaf = node;
	ev->outcome = oom_policy_chosen(ev, choice);
	if (choice == OOM_WALK_LEFT && ev->policy)
		oom_policy_abstained(ev, oom_policy_link_id(ev->policy), node);
	return 1;
}

/* A memcg keeps those above it, so that the reference can be taken from below. */
static void *oom_policy_up(void *arg, void *node)
{
	struct mem_cgroup *parent = parent_mem_cgroup(node);
	struct oom_policy_event *ev = arg;

	css_get(&parent->css);
	oom_policy_move(ev, parent);
	ev->entered = NULL;
	return parent;
}

static const struct oom_walk_ops oom_policy_walk_ops = {
	.choose	= oom_policy_choose,
	.try	= oom_policy_try,
	.mark	= oom_policy_mark,
	.up	= oom_policy_up,
};

/* Consumes the reference on @start. */
static int oom_policy_descend(struct oom_policy_event *ev, struct mem_cgroup *start)
{
	int ret;

	oom_policy_put(ev->chooser);
	ev->chooser = NULL;
	ev->entered = NULL;
	ev->cursor = start;
	ret = oom_walk(&oom_policy_walk_ops, ev, start);
	oom_policy_move(ev, NULL);
	return ret;
}

/*
 * The outermost memcg between the leaf and oc->chosen that has a policy of its
 * own, referenced; NULL if there is none.
 */
static struct mem_cgroup *oom_policy_get_tenant(struct oom_policy_event *ev)
{
	struct mem_cgroup *memcg, *found = NULL;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(ev->oc->chosen);
	for (; memcg && memcg != ev->leaf; memcg = parent_mem_cgroup(memcg))
		if (oom_policy_of(ev, memcg, OOM_POLICY_STAGE_MEMCG) ||
		    oom_policy_of(ev, memcg, OOM_POLICY_STAGE_TASK))
			found = memcg;
	/* Moved out of the subtree meanwhile, or on its way out: leave it. */
	if (!memcg || (found && !css_tryget_online(&found->css)))
		found = NULL;
	rcu_read_unlock();

	return found;
}

/*
 * Where oom_badness() picked a task, the kernel has said which tenant; the
 * tenant's own policy says what inside, and nobody above it: whoever has abstained is
 * not asked again. If it comes to nothing, the pick stands.
 */
static int oom_policy_hand_over(struct oom_policy_event *ev)
{
	unsigned int level = oom_policy_level(ev, ev->leaf);
	struct task_struct *picked = ev->oc->chosen;
	struct mem_cgroup *top = ev->top;
	struct oom_policy *policy;
	struct mem_cgroup *tenant;
	int ret = 0;

	tenant = oom_policy_get_tenant(ev);
	if (!tenant)
		return 0;

	policy = oom_policy_get(ev->policy);
	ev->top = tenant;
	/* Nobody has looked at the grace of one that is the first to be asked. */
	if (!ev->first) {
		oom_policy_enter(ev, tenant);
		oom_policy_enter_tasks(ev, tenant);
		ev->oc->chosen = NULL;
		if (ev->first && oom_policy_in_grace(ev, tenant))
			ret = -EINPROGRESS;
	}
	if (!ret)
		ret = oom_policy_descend(ev, tenant);
	else
		mem_cgroup_put(tenant);
	if (ret != -ESRCH) {
		oom_policy_put(policy);
		put_task_struct(picked);
		return ret;
	}

	/* As it was when oom_badness() picked. */
	oom_policy_cut_steps(ev, level + 1);
	oom_policy_leave_tasks(ev);
	oom_policy_put(ev->policy);
	ev->policy = policy;
	ev->top = top;
	ev->oc->chosen = picked;
	ev->outcome = OOM_LEFT_NOBODY;
	return 0;
}

static int oom_policy_from_scope(struct oom_policy_event *ev)
{
	css_get(&ev->scope->css);
	return oom_policy_descend(ev, ev->scope);
}

static int oom_policy_again(struct oom_policy_event *ev)
{
	ev->seq++;
	oom_policy_forget_vain(ev);
	if (ev->spare)
		ev->spared = (struct oom_policy_spared) {};
	return oom_policy_from_scope(ev);
}

/**
 * oom_policy_decide - go down from the scope to a victim
 * @ev: the event, which has just begun
 *
 * Return: 1 with a victim in oc->chosen and the outcome that led to it, -EBUSY if one
 * is dying, -EINPROGRESS if the memory of one is on its way, -ESRCH if there is nobody
 * to kill, -EINTR a signal for whoever rehearses, -EPERM if policies are switched off.
 */
int oom_policy_decide(struct oom_policy_event *ev)
{
	int ret;

	oom_policy_enter(ev, ev->scope);
	if (!ev->first)
		oom_policy_enter_tasks(ev, ev->scope);

	if (!oom_policy_enabled() && !ev->rehearsed)
		return -EPERM;
	if (ev->first && oom_policy_in_flight(ev))
		return -EBUSY;
	if (ev->first && oom_policy_in_grace(ev, ev->scope))
		return -EINPROGRESS;

	ret = oom_policy_from_scope(ev);
	/* Nobody is left but those: from the beginning, without the marks. */
	if (ret == -ESRCH && ev->passed) {
		ev->strict = false;
		ret = oom_policy_again(ev);
	}
	if (ret == -ESRCH && ev->spared.nr) {
		ev->strict = false;
		ev->spare = false;
		ret = oom_policy_again(ev);
	}
	while (ret > 0 && ev->outcome == OOM_LEFT) {
		ret = oom_policy_hand_over(ev);
		if (!ret)
			return 1;
	}
	return ret;
}

static enum oom_policy_outcome oom_policy_failed(int err)
{
	switch (err) {
	case -EBUSY:
		return OOM_WAIT_IN_FLIGHT;
	case -EINPROGRESS:
		return OOM_WAIT_GRACE;
	case -EPERM:
		return OOM_STOCK_DISABLED;
	default:
		return OOM_STOCK_NOBODY;
	}
}

/*
 * The limit was looked at before the tasks were. A victim that gave its memory back in
 * between was not found dying any more, and the one chosen would die for nothing.
 */
static bool oom_policy_is_late(const struct oom_policy_event *ev)
{
	const struct oom_control *oc = ev->oc;

	return ev->first && !ev->early && oc->memcg &&
	       oom_policy_relieved(oc->memcg, 1UL << oc->order);
}

bool __oom_policy_select(struct oom_control *oc, oom_policy_task_fn evaluate)
{
	struct oom_policy_event *ev = &oom_policy_event;
	int ret;

	lockdep_assert_held(&oom_lock);

	if (mem_cgroup_disabled() || !cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return false;
	/* Who allocates on behalf of the machine (swapoff) has asked to be first. */
	if (!ev->early && oom_task_origin(current))
		return false;

	oom_policy_begin(ev, oc, evaluate);
	ret = oom_policy_decide(ev);
	if (ret > 0 && oom_policy_is_late(ev)) {
		put_task_struct(oc->chosen);
		oc->chosen = (void *)-1UL;
		ret = -EBUSY;
	}
	if (ret < 0)
		ev->outcome = oom_policy_failed(ret);

	if (ev->first)
		oom_policy_count(ev);
	else
		oom_policy_end(ev);
	if (!oom_outcome_stock(ev->outcome))
		return true;

	oc->chosen = NULL;
	oc->chosen_points = LONG_MIN;
	return false;
}
