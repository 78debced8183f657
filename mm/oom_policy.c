// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selection of an OOM victim by BPF policies.
 *
 * From the scope of the event (the root, or the memcg that met its limit) the
 * children of one memcg at a time play a tournament, with a policy program as
 * the judge of each pair; the winner's children play next, down to a leaf, and
 * oom_badness() picks a task inside it. A leaf with nobody to kill is marked
 * and the next-best sibling takes its place, so that in the end there is a
 * victim or the stock killer decides.
 *
 * Whatever the programs answer, a selection ends: each try of a leaf finds a
 * victim or marks a memcg that is not looked at again, and the time budget ends
 * even that. Nothing here allocates, sleeps on a lock or prints while choosing.
 * Only an early kill, which no allocation waits for, begins by waiting for oom_lock.
 *
 * A victim is waited for while it is dying, as the stock killer does, and with a
 * grace until its memory is back; a grace passes.
 *
 * oom_lock serializes events: it protects the one event below, the marks in the
 * memcgs and the counters of the policies. A rehearsal has an event and marks of
 * its own, under oom_policy_dry_mutex, and never takes oom_lock. Children are
 * walked under RCU. A memcg is used outside of RCU only with a reference to it or
 * to one below it.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/bpf_oom_policy.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/page_counter.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/sysctl.h>

#define CREATE_TRACE_POINTS
#include <trace/events/oom_policy.h>

/* Siblings, or tasks, looked at before others may use the CPU. */
#define OOM_POLICY_BATCH	1024

/* Signal structs with an oom_mm: a superset of the victims still dying. */
atomic_t oom_policy_victims = ATOMIC_INIT(0);

static int sysctl_oom_policy_enabled = 1;

/*
 * The tournament and the walk. They know nothing of memcgs: a node is whatever
 * the callbacks take it for.
 */

struct oom_cand {
	void *node;
	u64 id;
	u64 usage;	/* bytes */
	u64 swap;	/* bytes */
	u64 scratch;	/* the program's */
	long points;	/* oom_badness(), for tasks */
};

/**
 * struct oom_match - one pass over siblings
 * @best: the best victim so far
 * @runner: of those that lost to @best itself, the one with most to free
 * @eligible: how many have taken part: all but the first were judged
 */
struct oom_match {
	struct oom_cand best;
	struct oom_cand runner;
	unsigned int eligible;
};

static unsigned int oom_match_compared(const struct oom_match *match)
{
	return match->eligible ? match->eligible - 1 : 0;
}

typedef int (*oom_compare_fn)(void *arg, struct oom_cand *best, struct oom_cand *next);

/* The tie rule: more usage, then more swap, then the lower id. */
static bool oom_cand_larger(const struct oom_cand *a, const struct oom_cand *b)
{
	if (a->usage != b->usage)
		return a->usage > b->usage;
	if (a->swap != b->swap)
		return a->swap > b->swap;
	return a->id < b->id;
}

/*
 * Let @next play against the best so far. Returns BPF_OOM_FIRST if that stays the
 * best, BPF_OOM_SECOND if @next is now, BPF_OOM_ABSTAIN or the negative errno of the
 * judge, in which cases the match is over. What the match lets go of is *@dropped, or
 * NULL. Inlined, because thousands of calls by pointer would take longer than what
 * they do.
 */
static __always_inline int oom_match_play(struct oom_match *match,
					  struct oom_cand *next,
					  oom_compare_fn compare, void *arg,
					  void **dropped)
{
	int verdict;

	match->eligible++;
	if (!match->best.node) {
		*dropped = NULL;
		match->best = *next;
		return BPF_OOM_SECOND;
	}

	verdict = compare(arg, &match->best, next);
	if (likely(verdict == BPF_OOM_FIRST) ||
	    (verdict == BPF_OOM_EQUAL && !oom_cand_larger(next, &match->best))) {
		if (next->usage < match->runner.usage ||
		    (match->runner.node && !oom_cand_larger(next, &match->runner))) {
			*dropped = next->node;
			return BPF_OOM_FIRST;
		}
		*dropped = match->runner.node;
		match->runner = *next;
		return BPF_OOM_FIRST;
	}
	if (verdict == BPF_OOM_SECOND || verdict == BPF_OOM_EQUAL) {
		*dropped = match->runner.node;
		match->runner = match->best;
		match->best = *next;
		return BPF_OOM_SECOND;
	}

	*dropped = next->node;
	if (verdict < 0)
		match->eligible--;
	return verdict;
}

static bool oom_match_over(int outcome)
{
	return outcome != BPF_OOM_FIRST && outcome != BPF_OOM_SECOND;
}

enum oom_walk_choice {
	OOM_WALK_LEAF,		/* no eligible child: the node's own tasks */
	OOM_WALK_SUBTREE,	/* not to be split: all tasks below the node */
	OOM_WALK_SELF,		/* own tasks have won against the children */
	OOM_WALK_CHILD,		/* go on with the child */
};

/**
 * struct oom_walk_ops - the tree that a walk goes through
 * @choose: enum oom_walk_choice for a node, with *@child for OOM_WALK_CHILD, or
 *	    a negative errno to give up
 * @try: 1 if the node yields a victim, 0 if not, a negative errno to give up
 * @mark: the node yielded none, do not choose it again
 * @up: the parent of a node
 */
struct oom_walk_ops {
	int (*choose)(void *arg, void *node, void **child);
	int (*try)(void *arg, void *node, enum oom_walk_choice choice);
	void (*mark)(void *arg, void *node);
	void *(*up)(void *arg, void *node);
};

/*
 * Go down from @start to a victim, backing up as long as there is something
 * left to choose from. Returns 1 for a victim, -ESRCH if there is none, or what
 * a callback gave up with.
 */
static int oom_walk(const struct oom_walk_ops *ops, void *arg, void *start)
{
	void *node = start;
	int choice, ret;

	for (;;) {
		choice = ops->choose(arg, node, &node);
		if (choice < 0)
			return choice;
		if (choice == OOM_WALK_CHILD)
			continue;

		ret = ops->try(arg, node, choice);
		if (ret)
			return ret;

		ops->mark(arg, node);
		if (choice == OOM_WALK_SELF)
			continue;
		if (node == start)
			return -ESRCH;
		node = ops->up(arg, node);
	}
}

/* What the report says of one level. */
struct oom_policy_step {
	u64 parent_id;
	u32 prog_id;
	struct mem_cgroup *winner;	/* the leaf, or above it */
	struct mem_cgroup *runner;	/* referenced, or NULL */
	u64 winner_usage;
	u64 runner_usage;
	unsigned int level;
	unsigned int eligible;
	unsigned int compared;
};

/**
 * struct oom_policy_event - one OOM event in which a policy may take part
 * @oc: the event, NULL when it is over
 * @evaluate: the stock judgement of a task
 * @scope: where the shortage is
 * @rehearsed: the policy that rules at @scope in a rehearsal, NULL in a real event
 * @first: the policy asked first, referenced: it sets the budget
 * @policy: the policy asked last, referenced
 * @chooser: the policy that made the last choice, or the one that rules where
 *	     there was none to make, referenced: its KILL_ALL counts
 * @prog: what is asked in this RCU section
 * @task_policy: the policy that judges the leaf's tasks, referenced, or NULL
 * @tasks: the match of the leaf's tasks
 * @task_verdict: why that match ended early, or 0
 * @cursor: where the walk is, referenced
 * @leaf: the memcg with the victim, referenced
 * @how: how @leaf was reached
 * @badness: oom_badness() picked below @leaf because no policy wanted to
 * @failed: why no policy chose, -errno, or 0
 * @tenant_failed: why a tenant's own policy came to nothing, -errno, or 0
 * @seq: number of the event, for the marks
 * @start: in ns
 * @deadline: in ns
 * @grace: how long to wait for the memory of a victim, in ns
 * @early: asked for by oom_policy_kill()
 * @tick: jiffies at the last look at the clock
 * @marked: something is marked
 * @victim_id: cgroup id of the victim
 * @compared: program runs
 * @ctx: what the programs see
 * @nr_steps: levels in @steps
 * @steps: the path
 */
struct oom_policy_event {
	struct oom_control *oc;
	oom_policy_task_fn evaluate;
	struct mem_cgroup *scope;
	struct oom_policy *rehearsed;
	struct oom_policy *first;
	struct oom_policy *policy;
	struct oom_policy *chooser;
	const struct bpf_prog *prog;
	struct oom_policy *task_policy;
	struct oom_match tasks;
	int task_verdict;
	struct mem_cgroup *cursor;
	struct mem_cgroup *leaf;
	enum oom_walk_choice how;
	bool badness;
	int failed;
	int tenant_failed;
	u64 seq;
	u64 start;
	u64 deadline;
	u64 grace;
	bool early;
	unsigned long tick;
	bool marked;
	u64 victim_id;
	unsigned int compared;
	struct bpf_oom_ctx ctx;
	unsigned int nr_steps;
	struct oom_policy_step steps[OOM_POLICY_STEPS];
};

static struct oom_policy_event oom_policy_event;	/* oom_lock */

static u64 memcg_cgroup_id(struct mem_cgroup *memcg)
{
	return cgroup_id(memcg->css.cgroup);
}

/* Without the flag a policy has no say in a memcg OOM, wherever it sits. */
static bool oom_policy_applies(const struct oom_policy_event *ev,
			       const struct oom_policy *policy)
{
	return !ev->oc->memcg || policy->flags & BPF_F_OOM_POLICY_MEMCG;
}

static struct oom_policy *oom_policy_of(const struct oom_policy_event *ev,
					struct mem_cgroup *memcg,
					enum oom_policy_stage stage)
{
	struct oom_policy *policy;

	if (ev->rehearsed && ev->rehearsed->stage == stage && memcg == ev->scope)
		return ev->rehearsed;

	policy = rcu_dereference(memcg->oom_policy.policy[stage]);
	return policy && oom_policy_applies(ev, policy) ? policy : NULL;
}

/*
 * The nearest policy at @memcg or above: it rules below @memcg. Referenced, unless it
 * is @held, which is already.
 */
static struct oom_policy *oom_policy_get_ruling(const struct oom_policy_event *ev,
						struct mem_cgroup *memcg,
						enum oom_policy_stage stage,
						const struct oom_policy *held)
{
	struct oom_policy *policy = NULL;

	rcu_read_lock();
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		policy = oom_policy_of(ev, memcg, stage);
		if (!policy)
			continue;
		if (policy == held || !IS_ERR(bpf_link_inc_not_zero(&policy->link)))
			break;
		policy = NULL;
	}
	rcu_read_unlock();

	return policy;
}

static void oom_policy_put(struct oom_policy *policy)
{
	if (policy)
		bpf_link_put(&policy->link);
}

static void oom_policy_asked(struct oom_policy_event *ev, struct oom_policy *policy)
{
	if (!policy || ev->first)
		return;

	bpf_link_inc(&policy->link);
	ev->first = policy;
	ev->deadline = ev->start + (u64)policy->budget_us * NSEC_PER_USEC;
	ev->grace = (u64)policy->grace_ms * NSEC_PER_MSEC;
}

/* Who judges the children of @memcg. */
static void oom_policy_enter(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	struct oom_policy *policy;

	policy = oom_policy_get_ruling(ev, memcg, OOM_POLICY_STAGE_MEMCG, ev->policy);
	if (policy == ev->policy)
		return;

	oom_policy_put(ev->policy);
	ev->policy = policy;
	oom_policy_asked(ev, policy);
}

/* A leaf's own policy has had no say in what became of the leaf. */
static void oom_policy_chose(struct oom_policy_event *ev)
{
	if (ev->chooser == ev->policy)
		return;

	bpf_link_inc(&ev->policy->link);
	oom_policy_put(ev->chooser);
	ev->chooser = ev->policy;
}

/* Who judges the tasks of @memcg: nobody if a policy has left it to the kernel. */
static void oom_policy_enter_tasks(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	oom_policy_put(ev->task_policy);
	ev->task_policy = NULL;
	if (ev->badness && ev->policy)
		return;

	ev->task_policy = oom_policy_get_ruling(ev, memcg, OOM_POLICY_STAGE_TASK, NULL);
	oom_policy_asked(ev, ev->task_policy);
}

static bool oom_policy_ticked(const struct oom_policy_event *ev)
{
	unsigned long now = jiffies;

	return time_after(now, ev->tick);
}

/* Reading the clock takes as long as a comparison: once in a tick is enough. */
static bool oom_policy_expired(struct oom_policy_event *ev)
{
	ev->tick = jiffies;
	return ktime_get_mono_fast_ns() > ev->deadline;
}

static __always_inline void oom_policy_set_cand_1(struct bpf_oom_ctx *ctx,
						  const struct oom_cand *cand)
{
	struct mem_cgroup *memcg = cand->node;

	ctx->cgroup_id_1 = cand->id;
	ctx->usage_1 = cand->usage;
	ctx->swap_1 = cand->swap;
	ctx->scratch_1 = cand->scratch;
	ctx->cgroup_1 = memcg->css.cgroup;
}

static __always_inline void oom_policy_set_cand_2(struct bpf_oom_ctx *ctx,
						  const struct oom_cand *cand)
{
	struct mem_cgroup *memcg = cand->node;

	ctx->cgroup_id_2 = cand->id;
	ctx->usage_2 = cand->usage;
	ctx->swap_2 = cand->swap;
	ctx->scratch_2 = cand->scratch;
	ctx->cgroup_2 = memcg->css.cgroup;
}

/* Ask ev->prog, in the RCU section in which it was read and without migration. */
static __always_inline u32 oom_policy_run(const struct oom_policy_event *ev,
					  struct bpf_oom_ctx *ctx)
{
	u32 verdict;

	verdict = bpf_prog_run(ev->prog, ctx);
	if (trace_oom_policy_compare_enabled() && !ev->rehearsed)
		trace_oom_policy_compare(ctx, verdict);
	return verdict;
}

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
	verdict = oom_policy_run(ev, ctx);

	next->id = ctx->cgroup_id_2;
	next->usage = ctx->usage_2;
	next->swap = ctx->swap_2;
	if (verdict != BPF_OOM_FIRST)	/* who loses needs it no more */
		next->scratch = ctx->scratch_2;
	return verdict;
}

/* Program runs of a match that is over. */
static void oom_policy_count_runs(struct oom_policy_event *ev, struct oom_policy *policy,
				  const struct oom_match *match)
{
	ev->compared += oom_match_compared(match);
	if (!ev->rehearsed)
		policy->stats.comparisons += oom_match_compared(match);
}

/* As for memcgs, but that the tie goes to oom_badness(). */
static int oom_policy_compare_tasks(void *arg, struct oom_cand *best,
				    struct oom_cand *next)
{
	struct oom_policy_event *ev = arg;
	struct task_struct *task_1 = best->node;
	struct task_struct *task_2 = next->node;
	struct bpf_oom_ctx ctx = {
		.usage_1 = best->usage,
		.usage_2 = next->usage,
		.swap_1 = best->swap,
		.swap_2 = next->swap,
		.pid_1 = task_tgid_nr(task_1),
		.pid_2 = task_tgid_nr(task_2),
		.oom_score_adj_1 = task_1->signal->oom_score_adj,
		.oom_score_adj_2 = task_2->signal->oom_score_adj,
		.level = ev->ctx.level,
		.flags = ev->ctx.flags,
		.scratch_1 = best->scratch,
		.scratch_2 = next->scratch,
		.task_1 = task_1,
		.task_2 = task_2,
	};
	u32 verdict;

	if (oom_policy_expired(ev))
		return -ETIME;

	rcu_read_lock();
	migrate_disable();
	ctx.cgroup_1 = mem_cgroup_from_task(task_1)->css.cgroup;
	ctx.cgroup_2 = mem_cgroup_from_task(task_2)->css.cgroup;
	ctx.cgroup_id_1 = cgroup_id(ctx.cgroup_1);
	ctx.cgroup_id_2 = cgroup_id(ctx.cgroup_2);
	ev->prog = READ_ONCE(ev->task_policy->link.prog);
	verdict = oom_policy_run(ev, &ctx);
	best->scratch = ctx.scratch_1;
	next->scratch = ctx.scratch_2;
	migrate_enable();
	rcu_read_unlock();

	if (verdict != BPF_OOM_EQUAL)
		return verdict;
	return next->points > best->points ? BPF_OOM_SECOND : BPF_OOM_FIRST;
}

static u64 *oom_policy_mark_of(const struct oom_policy_event *ev,
			       struct mem_cgroup *memcg)
{
	return ev->rehearsed ? &memcg->oom_policy.dry_mark : &memcg->oom_policy.mark;
}

static bool oom_policy_marked(const struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	return *oom_policy_mark_of(ev, memcg) == ev->seq;
}

static void oom_policy_mark(void *arg, void *node)
{
	struct oom_policy_event *ev = arg;

	ev->marked = true;
	*oom_policy_mark_of(ev, node) = ev->seq;
}

static __always_inline void oom_policy_cand(struct oom_cand *cand,
					    struct mem_cgroup *memcg)
{
	cand->node = memcg;
	cand->id = memcg_cgroup_id(memcg);
	cand->usage = (u64)page_counter_read(&memcg->memory) * PAGE_SIZE;
	cand->swap = (u64)page_counter_read(&memcg->swap) * PAGE_SIZE;
	cand->scratch = 0;
	cand->points = 0;
}

static void oom_policy_scan_css(struct mem_cgroup *memcg, unsigned int flags,
				oom_policy_task_fn fn, void *arg)
{
	struct css_task_iter it;
	struct task_struct *task;
	unsigned int seen = 0;

	css_task_iter_start(&memcg->css, flags, &it);
	while ((task = css_task_iter_next(&it))) {
		if (fn(task, arg))
			break;
		if (!(++seen % OOM_POLICY_BATCH))
			cond_resched();
	}
	css_task_iter_end(&it);
}

/* Run @fn on the processes of @memcg, or of its whole subtree, until it says stop. */
static void oom_policy_scan(struct mem_cgroup *memcg, bool subtree,
			    oom_policy_task_fn fn, void *arg)
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

static unsigned long oom_policy_mm_pages(struct mm_struct *mm)
{
	return get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS);
}

static void oom_policy_add_mm(struct oom_cand *cand, struct mm_struct *mm)
{
	cand->usage += (u64)get_mm_rss(mm) * PAGE_SIZE + mm_pgtables_bytes(mm);
	cand->swap += (u64)get_mm_counter(mm, MM_SWAPENTS) * PAGE_SIZE;
}

static int oom_policy_add_task(struct task_struct *task, void *arg)
{
	struct task_struct *thread;
	struct mm_struct *mm;

	if (task->flags & PF_KTHREAD)
		return 0;

	/* The leader may have left its mm to the other threads. */
	rcu_read_lock();
	for_each_thread(task, thread) {
		task_lock(thread);
		mm = thread->mm;
		if (mm)
			oom_policy_add_mm(arg, mm);
		task_unlock(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
	return 0;
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

static void oom_policy_get(struct mem_cgroup *memcg)
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
	oom_policy_get(match->best.node);
	oom_policy_get(match->runner.node);
	mem_cgroup_put(kept[0]);
	mem_cgroup_put(kept[1]);
	kept[0] = match->best.node;
	kept[1] = match->runner.node;
}

/*
 * One that is on its way in has no tasks of its own yet, and may be freed whoever
 * refers to it if its way fails.
 */
static __always_inline bool oom_policy_online(const struct cgroup_subsys_state *css)
{
	return (READ_ONCE(css->flags) & (CSS_ONLINE | CSS_DYING)) == CSS_ONLINE;
}

static __always_inline bool oom_policy_eligible(const struct oom_policy_event *ev,
						struct cgroup_subsys_state *css,
						bool marked)
{
	const struct cgroup *cgrp = css->cgroup;

	/* The first is true of a leaf, and there are most of these. */
	return (cgrp->nr_populated_csets || cgroup_is_populated(css->cgroup)) &&
	       oom_policy_online(css) &&
	       !(marked && oom_policy_marked(ev, mem_cgroup_from_css(css)));
}

/*
 * Let go of RCU for a moment. A css that is not online cannot be kept: do so at a
 * later one.
 * Returns after how many more to come again.
 */
static unsigned int oom_policy_pause(struct cgroup_subsys_state *css,
				     const struct oom_match *match,
				     struct mem_cgroup **kept)
{
	if (!oom_policy_online(css) || !css_tryget(css))
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
						    struct oom_match *match, bool marked)
{
	struct cgroup_subsys_state *css;
	unsigned int left = OOM_POLICY_BATCH;
	struct mem_cgroup *kept[2] = {};
	struct oom_cand next;
	int outcome, ret = 0;
	void *dropped;

	rcu_read_lock();
	migrate_disable();
	ev->prog = READ_ONCE(ev->policy->link.prog);
	list_for_each_entry_rcu(css, &parent->css.children, sibling) {
		if (unlikely(!--left || oom_policy_ticked(ev))) {
			if (oom_policy_expired(ev)) {
				ret = -ETIME;
				break;
			}
			if (!left) {
				left = oom_policy_pause(css, match, kept);
				ev->prog = READ_ONCE(ev->policy->link.prog);
			}
		}
		if (unlikely(!oom_policy_eligible(ev, css, marked)))
			continue;

		oom_policy_cand(&next, mem_cgroup_from_css(css));
		outcome = oom_match_play(match, &next, oom_policy_compare, ev, &dropped);
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

/*
 * One pass over the children of @parent. Whatever is in the match afterwards is
 * referenced. Returns 0, BPF_OOM_ABSTAIN or -ETIME.
 */
static int oom_policy_pass(struct oom_policy_event *ev, struct mem_cgroup *parent,
			   struct oom_match *match)
{
	return ev->marked ? oom_policy_pass_children(ev, parent, match, true) :
			    oom_policy_pass_children(ev, parent, match, false);
}

/*
 * Levels at and below @level are chosen anew. What is left are winners at or above
 * the cursor, which keeps them: a step has no reference on its winner.
 */
static void oom_policy_cut_steps(struct oom_policy_event *ev, unsigned int level)
{
	while (ev->nr_steps && ev->steps[ev->nr_steps - 1].level >= level)
		mem_cgroup_put(ev->steps[--ev->nr_steps].runner);
}

static void oom_policy_add_step(struct oom_policy_event *ev, struct mem_cgroup *parent,
				struct oom_match *match)
{
	struct bpf_prog *prog;
	u32 prog_id;

	rcu_read_lock();
	prog = READ_ONCE(ev->policy->link.prog);
	prog_id = prog->aux->id;
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

static void oom_policy_move(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	mem_cgroup_put(ev->cursor);
	ev->cursor = memcg;
}

static int oom_policy_choose(void *arg, void *node, void **child)
{
	struct oom_policy_event *ev = arg;
	struct mem_cgroup *parent = node;
	struct oom_match match = {};
	int ret;

	ev->badness = false;
	ev->ctx.level = parent->css.cgroup->level - ev->scope->css.cgroup->level + 1;
	oom_policy_cut_steps(ev, ev->ctx.level);
	if (READ_ONCE(parent->oom_group))
		return OOM_WALK_SUBTREE;

	oom_policy_enter(ev, parent);
	if (!ev->policy) {
		ev->badness = true;
		return OOM_WALK_SUBTREE;
	}
	/* Even a chain of only children, which asks no program, has to end. */
	if (oom_policy_ticked(ev) && oom_policy_expired(ev))
		return -ETIME;

	if (mem_cgroup_is_root(parent))
		oom_policy_play_root(ev, parent, &match);
	ret = oom_policy_pass(ev, parent, &match);
	oom_policy_count_runs(ev, ev->policy, &match);
	if (ret) {
		oom_policy_put_match(&match);
		if (ret < 0)
			return ret;
		ev->badness = true;
		return OOM_WALK_SUBTREE;
	}

	if (match.eligible || !ev->chooser)
		oom_policy_chose(ev);
	if (!match.eligible)
		return mem_cgroup_is_root(parent) ? -ESRCH : OOM_WALK_LEAF;

	oom_policy_add_step(ev, parent, &match);
	if (match.best.node == parent) {
		mem_cgroup_put(match.best.node);
		return OOM_WALK_SELF;
	}
	oom_policy_move(ev, match.best.node);
	*child = match.best.node;
	return OOM_WALK_CHILD;
}

/* A task that the stock killer would take plays against the best so far. */
static int oom_policy_play_task(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;
	struct oom_control *oc = ev->oc;
	struct oom_cand next = {};
	void *dropped;
	int outcome;

	oc->chosen = NULL;
	oc->chosen_points = LONG_MIN;
	if (ev->evaluate(task, oc))
		return 1;
	if (!oc->chosen)
		return 0;

	next.node = oc->chosen;
	next.points = oc->chosen_points;
	oc->chosen = NULL;
	oom_policy_add_task(task, &next);

	outcome = oom_match_play(&ev->tasks, &next, oom_policy_compare_tasks, ev, &dropped);
	if (dropped)
		put_task_struct(dropped);
	if (oom_match_over(outcome))
		ev->task_verdict = outcome;
	return ev->task_verdict;
}

/* 1 and a referenced oc->chosen, BPF_OOM_ABSTAIN, 0, -EBUSY or -ETIME. */
static int oom_policy_judge_tasks(struct oom_policy_event *ev, struct mem_cgroup *memcg,
				  bool subtree)
{
	struct oom_control *oc = ev->oc;
	bool busy;

	ev->tasks = (struct oom_match) {};
	ev->task_verdict = 0;
	ev->ctx.level = memcg->css.cgroup->level - ev->scope->css.cgroup->level + 1;
	oom_policy_scan(memcg, subtree, oom_policy_play_task, ev);
	oom_policy_count_runs(ev, ev->task_policy, &ev->tasks);

	busy = oc->chosen == (void *)-1UL;
	if (ev->tasks.runner.node)
		put_task_struct(ev->tasks.runner.node);
	if (ev->tasks.best.node && (busy || ev->task_verdict))
		put_task_struct(ev->tasks.best.node);
	if (busy)
		return -EBUSY;
	if (ev->task_verdict)
		return ev->task_verdict;
	if (!ev->tasks.best.node)
		return 0;

	oc->chosen = ev->tasks.best.node;
	oc->chosen_points = ev->tasks.best.points;
	ev->badness = false;
	return 1;
}

static int oom_policy_pick_task(struct oom_policy_event *ev, struct mem_cgroup *memcg,
				bool subtree)
{
	struct oom_control *oc = ev->oc;
	int ret;

	oom_policy_enter_tasks(ev, memcg);
	if (ev->task_policy) {
		ret = oom_policy_judge_tasks(ev, memcg, subtree);
		if (ret != BPF_OOM_ABSTAIN)
			return ret;
		oom_policy_put(ev->task_policy);
		ev->task_policy = NULL;
	}

	oc->chosen = NULL;
	oc->chosen_points = LONG_MIN;
	oom_policy_scan(memcg, subtree, ev->evaluate, oc);
	if (oc->chosen == (void *)-1UL)
		return -EBUSY;
	return !!oc->chosen;
}

static int oom_policy_try(void *arg, void *node, enum oom_walk_choice how)
{
	struct oom_policy_event *ev = arg;
	int ret;

	ret = oom_policy_pick_task(ev, node, how == OOM_WALK_SUBTREE);
	if (ret <= 0)
		return ret;

	css_get(&ev->cursor->css);
	mem_cgroup_put(ev->leaf);
	ev->leaf = node;
	ev->how = how;
	return 1;
}

/* A memcg keeps those above it, so that the reference can be taken from below. */
static void *oom_policy_up(void *arg, void *node)
{
	struct mem_cgroup *parent = parent_mem_cgroup(node);

	css_get(&parent->css);
	oom_policy_move(arg, parent);
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

static int oom_policy_find_dying(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;

	return tsk_is_oom_victim(task) ? ev->evaluate(task, ev->oc) : 0;
}

/* The stock scan's rule: wait for a victim in the scope, unless sysrq insists. */
static bool oom_policy_in_flight(struct oom_policy_event *ev)
{
	if (ev->oc->order == -1 || !atomic_read(&oom_policy_victims))
		return false;

	oom_policy_scan(ev->scope, true, oom_policy_find_dying, ev);
	return ev->oc->chosen == (void *)-1UL;
}

/**
 * oom_policy_victim_begin - a task has become an OOM victim
 * @victim: its signal has just got its oom_mm; oom_lock is held
 */
void oom_policy_victim_begin(struct task_struct *victim)
{
	struct signal_struct *sig = victim->signal;

	lockdep_assert_held(&oom_lock);

	sig->oom_policy.killed = ktime_get_mono_fast_ns();
	sig->oom_policy.pages = oom_policy_mm_pages(sig->oom_mm);
	sig->oom_policy.shared = get_mm_counter(sig->oom_mm, MM_SHMEMPAGES);
	atomic_inc(&oom_policy_victims);
}

/*
 * MMF_OOM_SKIP says that waiting for a victim is in vain, or that exit_mmap() is
 * about to free its pages. Either way most of them may still be on their way.
 */
static bool oom_policy_holds_memory(struct task_struct *task)
{
	const struct signal_struct *sig = task->signal;
	struct mm_struct *mm = sig->oom_mm;
	struct task_struct *thread;
	bool exiting = false;

	if (atomic_read(&mm->mm_users))
		return oom_policy_mm_pages(mm) * 2 > sig->oom_policy.pages;

	/* The counters run ahead of exit_mmap(), which frees in large batches. */
	if (!mtree_empty(&mm->mm_mt))
		return true;

	/* Shared memory goes with its file, which is put after the mm. */
	if (sig->oom_policy.shared * 2 <= sig->oom_policy.pages)
		return false;

	rcu_read_lock();
	for_each_thread(task, thread)
		exiting |= !READ_ONCE(thread->exit_state);
	rcu_read_unlock();
	return exiting;
}

static int oom_policy_find_slow(struct task_struct *task, void *arg)
{
	struct oom_policy_event *ev = arg;

	if (!tsk_is_oom_victim(task) ||
	    ev->start > task->signal->oom_policy.killed + ev->grace ||
	    !oom_policy_holds_memory(task))
		return 0;
	/* What will be free elsewhere is of no use here. */
	if (!ev->oc->memcg && !oom_cpuset_eligible(task, ev->oc))
		return 0;

	ev->oc->chosen = (void *)-1UL;
	return 1;
}

/*
 * As long as the grace lasts, a victim that has not given its memory back is waited
 * for. In a memcg thread by thread: of a process that is exiting the first one may be
 * out of sight while the last one unmaps.
 */
static bool oom_policy_in_grace(struct oom_policy_event *ev)
{
	struct mem_cgroup *memcg = ev->scope;

	if (!ev->grace || ev->oc->order == -1 || !atomic_read(&oom_policy_victims))
		return false;

	if (mem_cgroup_is_root(memcg)) {
		oom_policy_scan(memcg, true, oom_policy_find_slow, ev);
		return !!ev->oc->chosen;
	}

	for (memcg = mem_cgroup_iter(ev->scope, NULL, NULL); memcg;
	     memcg = mem_cgroup_iter(ev->scope, memcg, NULL)) {
		oom_policy_scan_css(memcg, 0, oom_policy_find_slow, ev);
		if (ev->oc->chosen) {
			mem_cgroup_iter_break(ev->scope, memcg);
			return true;
		}
	}
	return false;
}

/*
 * Where oom_badness() picked a task, the kernel has said which tenant; the
 * tenant's own policy says what inside. If it comes to nothing, the pick stands.
 */
static int oom_policy_hand_over(struct oom_policy_event *ev)
{
	unsigned int level = ev->leaf->css.cgroup->level - ev->scope->css.cgroup->level;
	struct task_struct *picked = ev->oc->chosen;
	struct oom_policy *policy = ev->policy;
	struct mem_cgroup *tenant;
	int ret = 0;

	tenant = oom_policy_get_tenant(ev);
	if (!tenant)
		return 0;

	if (policy)
		bpf_link_inc(&policy->link);
	/* Nobody has looked at the grace of one that is the first to be asked. */
	if (!ev->first) {
		oom_policy_enter(ev, tenant);
		oom_policy_enter_tasks(ev, tenant);
		ev->oc->chosen = NULL;
		if (ev->first && oom_policy_in_grace(ev))
			ret = -EINPROGRESS;
	}
	if (!ret)
		ret = oom_policy_descend(ev, tenant);
	else
		mem_cgroup_put(tenant);
	if (ret > 0 || ret == -EBUSY || ret == -EINPROGRESS) {
		oom_policy_put(policy);
		put_task_struct(picked);
		return ret;
	}

	/* As it was when oom_badness() picked. */
	oom_policy_cut_steps(ev, level + 1);
	oom_policy_put(ev->task_policy);
	ev->task_policy = NULL;
	oom_policy_put(ev->policy);
	ev->policy = policy;
	ev->oc->chosen = picked;
	ev->badness = true;
	ev->tenant_failed = ret;
	return 0;
}

/* 1 with a victim in oc->chosen, -EBUSY, -EINPROGRESS, -ESRCH or -ETIME. */
static int oom_policy_decide(struct oom_policy_event *ev)
{
	int ret;

	css_get(&ev->scope->css);
	ret = oom_policy_descend(ev, ev->scope);
	while (ret > 0 && ev->badness) {
		ret = oom_policy_hand_over(ev);
		if (!ret)
			return 1;
	}
	return ret;
}

static void oom_policy_begin(struct oom_policy_event *ev, struct oom_control *oc,
			     oom_policy_task_fn evaluate)
{
	ev->oc = oc;
	ev->evaluate = evaluate;
	ev->scope = oc->memcg ?: root_mem_cgroup;
	ev->badness = false;
	ev->failed = 0;
	ev->tenant_failed = 0;
	ev->seq++;
	ev->start = ktime_get_mono_fast_ns();
	ev->tick = jiffies - 1;
	ev->marked = false;
	ev->victim_id = 0;
	ev->compared = 0;

	ev->ctx = (struct bpf_oom_ctx) {
		.flags = oc->memcg ? BPF_OOM_EVENT_MEMCG : BPF_OOM_EVENT_GLOBAL,
	};
	if (oc->order == -1)
		ev->ctx.flags |= BPF_OOM_EVENT_SYSRQ;
	if (ev->early)
		ev->ctx.flags |= BPF_OOM_EVENT_EARLY;
}

static void oom_policy_end(struct oom_policy_event *ev)
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
	oom_policy_put(ev->task_policy);
	ev->task_policy = NULL;
	ev->oc = NULL;
}

static void oom_policy_count_fallback(struct oom_policy_event *ev,
				      enum oom_policy_fallback reason, u64 ns)
{
	ev->first->stats.fallbacks[reason]++;
	trace_oom_policy_fallback(memcg_cgroup_id(ev->scope), reason, ns);
}

static enum oom_policy_fallback oom_policy_reason(int err)
{
	switch (err) {
	case -EBUSY:
		return OOM_POLICY_IN_FLIGHT;
	case -EINPROGRESS:
		return OOM_POLICY_GRACE;
	case -ETIME:
		return OOM_POLICY_BUDGET;
	case -EPERM:
		return OOM_POLICY_DISABLED;
	default:
		return OOM_POLICY_NONE_ELIGIBLE;
	}
}

static void oom_policy_count_kill(struct oom_policy *policy, u64 victim_id)
{
	if (!policy)
		return;

	policy->stats.kills++;
	policy->stats.last_victim = victim_id;
}

static void oom_policy_count(struct oom_policy_event *ev, int ret)
{
	u64 ns = ktime_get_mono_fast_ns() - ev->start;
	struct task_struct *victim = ev->oc->chosen;

	/* Nobody was asked. */
	if (ret == -EBUSY || ret == -EINPROGRESS || ret == -EPERM) {
		oom_policy_count_fallback(ev, oom_policy_reason(ret), ns);
		return;
	}

	ev->first->stats.selections++;
	ev->first->stats.last_ns = ns;
	ev->first->stats.worst_ns = max(ev->first->stats.worst_ns, ns);

	if (ret < 0) {
		oom_policy_count_fallback(ev, oom_policy_reason(ret), ns);
		return;
	}

	rcu_read_lock();
	ev->victim_id = memcg_cgroup_id(mem_cgroup_from_task(victim));
	rcu_read_unlock();

	if (ev->tenant_failed)
		oom_policy_count_fallback(ev, oom_policy_reason(ev->tenant_failed), ns);
	else if (ev->badness)
		oom_policy_count_fallback(ev, OOM_POLICY_ABSTAINED, ns);
	oom_policy_count_kill(ev->badness ? ev->policy : ev->chooser, ev->victim_id);
	oom_policy_count_kill(ev->task_policy, ev->victim_id);
	trace_oom_policy_select(memcg_cgroup_id(ev->scope), ev->victim_id,
				task_pid_nr(victim), ev->compared, ns);
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
	oom_policy_enter(ev, ev->scope);

	if (!ev->first)
		oom_policy_enter_tasks(ev, ev->scope);

	if (!READ_ONCE(sysctl_oom_policy_enabled))
		ret = -EPERM;
	else if (ev->first && oom_policy_in_flight(ev))
		ret = -EBUSY;
	else if (ev->first && oom_policy_in_grace(ev))
		ret = -EINPROGRESS;
	else
		ret = oom_policy_decide(ev);

	if (ev->first)
		oom_policy_count(ev, ret);
	else
		oom_policy_end(ev);
	if (ret > 0 || ret == -EBUSY || ret == -EINPROGRESS)
		return true;

	ev->failed = ret;
	oc->chosen = NULL;
	oc->chosen_points = LONG_MIN;
	return false;
}

static void oom_policy_report_failure(int err)
{
	switch (err) {
	case -ETIME:
		pr_info("over budget, the stock killer decides\n");
		break;
	case -EPERM:
		pr_info("switched off (vm.oom_policy_enabled), the stock killer decides\n");
		break;
	default:
		pr_info("nobody to kill below, the stock killer decides\n");
		break;
	}
}

/* For the report; oom_lock. What is longer than this is cut. */
static char oom_policy_path[512];
static char oom_policy_name[NAME_MAX + 1];

static const char *memcg_path(struct mem_cgroup *memcg)
{
	cgroup_path(memcg->css.cgroup, oom_policy_path, sizeof(oom_policy_path));
	return oom_policy_path;
}

static void oom_policy_report_step(const struct oom_policy_step *step)
{
	if (!step->runner) {
		pr_info("level %u: %s (%llukB), the only one eligible\n", step->level,
			memcg_path(step->winner), step->winner_usage >> 10);
		return;
	}

	cgroup_name(step->runner->css.cgroup, oom_policy_name, sizeof(oom_policy_name));
	pr_info("level %u: %s (%llukB) rather than %s (%llukB), %u eligible, %u compared by prog id %u\n",
		step->level, memcg_path(step->winner), step->winner_usage >> 10,
		oom_policy_name, step->runner_usage >> 10, step->eligible,
		step->compared, step->prog_id);
}

void __oom_policy_report(struct oom_control *oc)
{
	struct oom_policy_event *ev = &oom_policy_event;
	const struct bpf_prog *prog;
	unsigned int i;

	if (ev->oc != oc || !ev->first)
		return;

	rcu_read_lock();
	prog = READ_ONCE(ev->first->link.prog);
	pr_info("scope %s, prog %s, prog id %u, link id %u%s\n", memcg_path(ev->scope),
		prog->aux->name, prog->aux->id, ev->first->link.id,
		ev->early ? ", early" : "");
	rcu_read_unlock();

	if (ev->failed) {
		oom_policy_report_failure(ev->failed);
		return;
	}

	for (i = 0; i < ev->nr_steps; i++)
		oom_policy_report_step(&ev->steps[i]);
	if (ev->badness)
		pr_info("no policy chose below %s%s: oom_badness() did\n",
			memcg_path(ev->leaf),
			ev->tenant_failed == -ETIME ? " within its budget" : "");
	if (ev->task_policy)
		pr_info("task: the choice of link id %u among %u in %s\n",
			ev->task_policy->link.id, ev->tasks.eligible,
			memcg_path(ev->leaf));
}

static bool oom_policy_has_leaf(struct oom_policy_event *ev, struct oom_control *oc)
{
	return ev->oc == oc && ev->first && ev->leaf && !ev->failed;
}

bool __oom_policy_dump_tasks(struct oom_control *oc, oom_policy_task_fn dump)
{
	struct oom_policy_event *ev = &oom_policy_event;

	if (!oom_policy_has_leaf(ev, oc) ||
	    (mem_cgroup_is_root(ev->leaf) && ev->how == OOM_WALK_SUBTREE))
		return false;

	oom_policy_scan(ev->leaf, ev->how == OOM_WALK_SUBTREE, dump, oc);
	return true;
}

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
	if (!oom_policy_has_leaf(ev, oc) || ev->badness || !ev->chooser ||
	    !(ev->chooser->flags & BPF_F_OOM_POLICY_KILL_ALL) || ev->leaf->oom_group)
		return;

	pr_info("killing all tasks of %s\n", memcg_path(ev->leaf));
	memcg_memory_event(ev->leaf, MEMCG_OOM_GROUP_KILL);
	oom_policy_scan(ev->leaf, ev->how != OOM_WALK_SELF, oom_policy_kill_task, &all);
}

void __oom_policy_done(struct oom_control *oc)
{
	lockdep_assert_held(&oom_lock);

	if (oom_policy_event.oc == oc)
		oom_policy_end(&oom_policy_event);
}

/**
 * oom_policy_fill_ctx - the context of one comparison outside of an event
 * @ctx: filled in, but for @ctx->scratch_1 and @ctx->scratch_2, which are zeroed
 * @memcg_1: candidate 1, referenced by the caller
 * @memcg_2: candidate 2, a sibling, referenced by the caller
 */
void oom_policy_fill_ctx(struct bpf_oom_ctx *ctx, struct mem_cgroup *memcg_1,
			 struct mem_cgroup *memcg_2)
{
	struct oom_cand cand_1, cand_2;

	oom_policy_cand(&cand_1, memcg_1);
	oom_policy_cand(&cand_2, memcg_2);
	*ctx = (struct bpf_oom_ctx) {
		.level = memcg_1->css.cgroup->level,
		.flags = BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_DRY_RUN,
	};
	oom_policy_set_cand_1(ctx, &cand_1);
	oom_policy_set_cand_2(ctx, &cand_2);
}

/* What oom_badness() measures by; a memcg without a limit has the machine's. */
static unsigned long oom_policy_totalpages(struct mem_cgroup *scope)
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

static DEFINE_MUTEX(oom_policy_dry_mutex);
static u64 oom_policy_dry_seq;	/* oom_policy_dry_mutex */

/* What the stock killer thinks of a task, without a shortage. */
static int oom_policy_dry_evaluate(struct task_struct *task, void *arg)
{
	struct oom_control *oc = arg;
	long points;

	if (tsk_is_oom_victim(task) &&
	    !test_bit(MMF_OOM_SKIP, &task->signal->oom_mm->flags)) {
		if (oc->chosen)
			put_task_struct(oc->chosen);
		oc->chosen = (void *)-1UL;
		return 1;
	}

	points = oom_badness(task, oc->totalpages);
	if (points == LONG_MIN || points < oc->chosen_points)
		return 0;

	if (oc->chosen)
		put_task_struct(oc->chosen);
	oc->chosen = get_task_struct(task);
	oc->chosen_points = points;
	return 0;
}

static void oom_policy_copy_steps(const struct oom_policy_event *ev,
				  struct bpf_oom_step *steps, u32 *nr_steps)
{
	const struct oom_policy_step *step;
	unsigned int i;

	for (i = 0; i < ev->nr_steps; i++) {
		step = &ev->steps[i];
		steps[i] = (struct bpf_oom_step) {
			.level = step->level,
			.prog_id = step->prog_id,
			.eligible = step->eligible,
			.compared = step->compared,
			.parent_id = step->parent_id,
			.winner_id = memcg_cgroup_id(step->winner),
			.runner_id = step->runner ? memcg_cgroup_id(step->runner) : 0,
			.winner_usage = step->winner_usage,
			.runner_usage = step->runner_usage,
		};
	}
	if (ev->badness) {
		steps[i] = (struct bpf_oom_step) {
			.level = ev->leaf->css.cgroup->level -
				 ev->scope->css.cgroup->level + 1,
			.parent_id = memcg_cgroup_id(ev->leaf),
		};
		i++;
	}
	*nr_steps = i;
}

static void oom_policy_copy_victim(struct oom_policy_event *ev, struct bpf_oom_ctx *victim)
{
	struct task_struct *task = ev->oc->chosen;
	struct mem_cgroup *memcg;
	struct oom_cand cand;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(task);
	oom_policy_cand(&cand, memcg);
	*victim = (struct bpf_oom_ctx) {
		.cgroup_id_1 = cand.id,
		.usage_1 = cand.usage,
		.swap_1 = cand.swap,
		.pid_1 = task_tgid_nr(task),
		.oom_score_adj_1 = task->signal->oom_score_adj,
		.level = memcg->css.cgroup->level - ev->scope->css.cgroup->level,
		.flags = ev->ctx.flags,
	};
	rcu_read_unlock();
}

/**
 * oom_policy_rehearse - select without killing, as if a policy were attached
 * @policy: rules at @scope; a link of its own that nothing else refers to
 * @scope: the root for a global OOM, else the memcg that met its limit; referenced
 * @victim: candidate 1 becomes the victim: memcg (bytes) and process
 * @steps: room for OOM_POLICY_STEPS + 1 levels
 * @nr_steps: how many were filled in
 *
 * Sleeps, but takes no lock that an OOM needs.
 *
 * Return: 0; -ESRCH nobody to kill; -EBUSY a victim is still dying; -ETIME over
 * budget; -ENOMEM; -EOPNOTSUPP if the memory controller is not on cgroup v2.
 */
int oom_policy_rehearse(struct oom_policy *policy, struct mem_cgroup *scope,
			struct bpf_oom_ctx *victim, struct bpf_oom_step *steps,
			u32 *nr_steps)
{
	struct oom_control oc = {
		.memcg = mem_cgroup_is_root(scope) ? NULL : scope,
		.totalpages = oom_policy_totalpages(scope),
	};
	struct oom_policy_event *ev;
	int ret;

	if (mem_cgroup_disabled() || !cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return -EOPNOTSUPP;

	ev = kzalloc(sizeof(*ev), GFP_KERNEL);
	if (!ev)
		return -ENOMEM;

	mutex_lock(&oom_policy_dry_mutex);
	ev->rehearsed = policy;
	ev->seq = oom_policy_dry_seq++;
	oom_policy_begin(ev, &oc, oom_policy_dry_evaluate);
	ev->ctx.flags |= BPF_OOM_EVENT_DRY_RUN;

	ev->grace = (u64)policy->grace_ms * NSEC_PER_MSEC;

	if (oom_policy_in_flight(ev) || oom_policy_in_grace(ev))
		ret = -EBUSY;
	else
		ret = oom_policy_decide(ev);
	if (ret > 0) {
		oom_policy_copy_steps(ev, steps, nr_steps);
		oom_policy_copy_victim(ev, victim);
		put_task_struct(oc.chosen);
	}
	oom_policy_end(ev);
	mutex_unlock(&oom_policy_dry_mutex);

	kfree(ev);
	return min(ret, 0);
}

static struct ctl_table oom_policy_table[] = {
	{
		.procname	= "oom_policy_enabled",
		.data		= &sysctl_oom_policy_enabled,
		.maxlen		= sizeof(sysctl_oom_policy_enabled),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init oom_policy_init(void)
{
	register_sysctl_init("vm", oom_policy_table);
	return 0;
}
subsys_initcall(oom_policy_init);

static int __init oom_policy_setup(char *str)
{
	bool enabled;

	if (kstrtobool(str, &enabled))
		return -EINVAL;

	sysctl_oom_policy_enabled = enabled;
	return 0;
}
early_param("oom_policy", oom_policy_setup);

#include "tests/oom_policy-kunit.h"
