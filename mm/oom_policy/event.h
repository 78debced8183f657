/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One OOM event in which policies may take part, from its beginning to its end, and
 * which file of this folder does what to it.
 *
 * oom_lock serializes events: it protects oom_policy_event, the marks in the memcgs
 * and the counters of the policies. A rehearsal has an event and marks of its own,
 * under the mutex of rehearse.c, and never takes oom_lock.
 */
#ifndef _MM_OOM_POLICY_EVENT_H
#define _MM_OOM_POLICY_EVENT_H

#include <linux/bpf_oom_policy.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/oom_policy_host.h>

#include "match.h"
#include "walk.h"

/* Siblings, or tasks, looked at before others may use the CPU. */
#define OOM_POLICY_BATCH	1024

/* How an event stands; from OOM_CHOSE_LEAF on there is a victim in a leaf. */
enum oom_policy_outcome {
	OOM_UNDECIDED,

	/* A victim is dying, or its memory is on its way: nobody is chosen. */
	OOM_WAIT_IN_FLIGHT,
	OOM_WAIT_GRACE,

	/* The stock killer decides. */
	OOM_STOCK_DISABLED,
	OOM_STOCK_NOBODY,	/* nobody to kill where the policies looked */

	/* The policies chose the leaf, and of it a task */
	OOM_CHOSE_LEAF,		/* of its own, since it has no eligible child */
	OOM_CHOSE_GROUP,	/* below, since it is not to be split */
	OOM_CHOSE_SELF,		/* of the root's own, which won against its children */

	/* No policy for memcgs chose below the leaf: of all tasks there */
	OOM_CHOSE_TASK,		/* a policy for tasks did */
	OOM_LEFT,		/* oom_badness() did */
	OOM_LEFT_NOBODY,	/* so it did, the tenant's own policy having found nobody */
};

/* The stock killer has to decide. */
static inline bool oom_outcome_stock(enum oom_policy_outcome outcome)
{
	return outcome >= OOM_STOCK_DISABLED && outcome <= OOM_STOCK_NOBODY;
}

/* There is a victim. */
static inline bool oom_outcome_has_leaf(enum oom_policy_outcome outcome)
{
	return outcome >= OOM_CHOSE_LEAF;
}

/* The leaf is the work of a policy for memcgs. */
static inline bool oom_outcome_chosen(enum oom_policy_outcome outcome)
{
	return outcome >= OOM_CHOSE_LEAF && outcome <= OOM_CHOSE_SELF;
}

/* The victim is the work of oom_badness() alone. */
static inline bool oom_outcome_left(enum oom_policy_outcome outcome)
{
	return outcome >= OOM_LEFT;
}

/* The victim may be anywhere below the leaf, and not only in it. */
static inline bool oom_outcome_subtree(enum oom_policy_outcome outcome)
{
	return outcome == OOM_CHOSE_GROUP || outcome >= OOM_CHOSE_TASK;
}

/**
 * struct oom_policy_step - one level of the path, for the report
 * @parent_id: whose children were compared
 * @prog_id: the program that compared them
 * @winner: the leaf, or above it; the leaf keeps it
 * @runner: referenced, or NULL
 * @winner_usage: bytes
 * @runner_usage: bytes
 * @level: below the scope, 1 for its children
 * @eligible: how many took part
 * @compared: how often the program ran
 */
struct oom_policy_step {
	u64 parent_id;
	u32 prog_id;
	struct mem_cgroup *winner;
	struct mem_cgroup *runner;
	u64 winner_usage;
	u64 runner_usage;
	unsigned int level;
	unsigned int eligible;
	unsigned int compared;
};

/**
 * struct oom_policy_abstention - where a policy left the choice to oom_badness()
 * @link_id: whose
 * @below: where; the leaf or above it, which keeps it; NULL if none did
 */
struct oom_policy_abstention {
	u32 link_id;
	struct mem_cgroup *below;
};

/**
 * struct oom_policy_spared - who was passed over, for another's sake
 * @pid: the first of them, 0 if there was none
 * @other: who would have died with it, outside of @memcg_id
 * @memcg_id: what was to be emptied
 * @nr: how many in all
 * @here: how many of them in the leaf that was tried last
 */
struct oom_policy_spared {
	pid_t pid;
	pid_t other;
	u64 memcg_id;
	unsigned int nr;
	unsigned int here;
};

/**
 * struct oom_policy_sharers - the last search for who shares an mm
 * @mm: the mm, grabbed, or NULL
 * @memcg: for somebody outside of it; only compared
 * @other: who was found, or 0
 * @searches: how many there were in this event
 */
struct oom_policy_sharers {
	struct mm_struct *mm;
	struct mem_cgroup *memcg;
	pid_t other;
	unsigned int searches;
};

/**
 * struct oom_policy_vain - leaves that were passed over since kills there are in vain
 * @memcg: the first of them, referenced, or NULL
 * @kills: how many there have given next to nothing back
 * @nr: how many leaves
 * @held: what the victims there held, in pages: who takes their place has more to give
 */
struct oom_policy_vain {
	struct mem_cgroup *memcg;
	unsigned int kills;
	unsigned int nr;
	unsigned long held;
};

/**
 * struct oom_policy_event - one OOM event
 * @oc: the event, NULL when it is over
 * @evaluate: the stock judgement of a task
 * @scope: where the shortage is
 * @outcome: how it stands
 * @early: asked for by oom_policy_kill()
 * @exits: the victim was about to exit anyway, so that nobody was killed
 * @emptying: not only the victim dies, and whoever is spared is counted then
 * @rehearsed: the policy that rules at @scope in a rehearsal, NULL in a real event
 * @what_if: priorities that a rehearsal goes by, or NULL
 * @first: the policy asked first, referenced: it sets @budget and @grace
 * @policy: the policy asked last, referenced
 * @entered: the memcg whose children @policy judges, or NULL; only compared
 * @chooser: the policy that made the last choice, or the one that rules where
 *	     there was none to make, referenced: its KILL_ALL counts
 * @task_policy: the policy that judges the leaf's tasks, referenced, or NULL
 * @prog: what is asked in this RCU section
 * @siblings: the match of a memcg's children
 * @tasks: the match of the leaf's tasks
 * @task_runs: program runs in it
 * @task_verdict: why that match ended early, or 0
 * @top: after a hand-over the tenant: policies above it have no say; or NULL
 * @abstained: the first abstention that @leaf is the result of
 * @emptied: outside of it nobody is to die with a task of the leaf; NULL: who does
 *	     is nobody's choice
 * @spare: there may be other choices than those who share their mm with outsiders
 * @spared: these
 * @sharers: whom their mm was found to be shared with
 * @strict: leaves where a kill is in vain are passed over
 * @passed: one was
 * @vain: those of them that are known by their last kills
 * @patient: whoever dies by itself is waited for
 * @cursor: where the walk is, referenced
 * @leaf: the memcg with the victim, referenced
 * @seq: number of the event, for the marks
 * @marked: something is marked
 * @start: in ns
 * @grace: how long to wait for the memory of a victim, in ns
 * @budget: how long programs may be asked, ns of CPU time
 * @began: the task's CPU time at the beginning, ns; before the first look, as of the
 *	   scheduler's last
 * @looked: the same at the last look, 0 before the first
 * @stalled: the longest stretch between two looks, if too long to be ours, ns
 * @tick: jiffies at the last look
 * @over: over budget: no program is asked any more
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
	enum oom_policy_outcome outcome;
	bool early;
	bool exits;
	bool emptying;
	struct oom_policy *rehearsed;
	const struct oom_policy_what_if *what_if;
	struct oom_policy *first;
	struct oom_policy *policy;
	struct mem_cgroup *entered;
	struct oom_policy *chooser;
	struct oom_policy *task_policy;
	const struct bpf_prog *prog;
	struct oom_match siblings;
	struct oom_match tasks;
	unsigned int task_runs;
	int task_verdict;
	struct mem_cgroup *top;
	struct oom_policy_abstention abstained;
	struct mem_cgroup *emptied;
	bool spare;
	struct oom_policy_spared spared;
	struct oom_policy_sharers sharers;
	bool strict;
	bool passed;
	struct oom_policy_vain vain;
	bool patient;
	struct mem_cgroup *cursor;
	struct mem_cgroup *leaf;
	u64 seq;
	bool marked;
	u64 start;
	u64 grace;
	u64 budget;
	u64 began;
	u64 looked;
	u64 stalled;
	unsigned long tick;
	bool over;
	u64 victim_id;
	unsigned int compared;
	struct bpf_oom_ctx ctx;
	unsigned int nr_steps;
	struct oom_policy_step steps[OOM_POLICY_STEPS];
};

extern struct oom_policy_event oom_policy_event;

static inline u64 memcg_cgroup_id(struct mem_cgroup *memcg)
{
	return cgroup_id(memcg->css.cgroup);
}

static inline unsigned int oom_policy_level(const struct oom_policy_event *ev,
					    const struct mem_cgroup *memcg)
{
	return memcg->css.cgroup->level - ev->scope->css.cgroup->level;
}

static inline u64 *oom_policy_mark_of(const struct oom_policy_event *ev,
				      struct mem_cgroup *memcg)
{
	struct oom_policy_memcg *state = oom_policy_memcg(memcg);

	return ev->rehearsed ? &state->dry_mark : &state->mark;
}

/* A rehearsal does not hold oom_lock, under which it is set, once and for all. */
static inline struct mm_struct *oom_policy_victim_mm(const struct task_struct *task)
{
	return READ_ONCE(task->signal->oom_mm);
}

/* Most of what its mm held goes with its files, which are put later. */
static inline bool oom_policy_mostly_shared(const struct signal_struct *sig)
{
	const struct oom_policy_victim *state = oom_policy_victim(sig);

	return READ_ONCE(state->shared) * 2 > READ_ONCE(state->pages);
}

/* Found to have nobody to kill, in this event. */
static inline bool oom_policy_marked(const struct oom_policy_event *ev,
				     struct mem_cgroup *memcg)
{
	return *oom_policy_mark_of(ev, memcg) == ev->seq;
}

/* The path is as long as it may be, and the way to the leaf is longer. */
static inline bool oom_policy_path_cut(const struct oom_policy_event *ev)
{
	return ev->nr_steps == OOM_POLICY_STEPS &&
	       oom_policy_level(ev, ev->leaf) > ev->steps[OOM_POLICY_STEPS - 1].level;
}

/* A step as it is told outside: by ids, as memcgs may go. */
static inline struct bpf_oom_step oom_policy_told_step(const struct oom_policy_step *step)
{
	return (struct bpf_oom_step) {
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

/* event.c: begin and end, the policies that take part, the budget, marks, the path */
void oom_policy_begin(struct oom_policy_event *ev, struct oom_control *oc,
		      oom_policy_task_fn evaluate);
void oom_policy_end(struct oom_policy_event *ev);
void oom_policy_put(struct oom_policy *policy);
struct oom_policy *oom_policy_get(struct oom_policy *policy);
struct oom_policy *oom_policy_of(const struct oom_policy_event *ev,
				 struct mem_cgroup *memcg, enum oom_policy_stage stage);
void oom_policy_enter(struct oom_policy_event *ev, struct mem_cgroup *memcg);
void oom_policy_enter_tasks(struct oom_policy_event *ev, struct mem_cgroup *memcg);
void oom_policy_leave_tasks(struct oom_policy_event *ev);
bool oom_policy_expired(struct oom_policy_event *ev);
void oom_policy_abstained(struct oom_policy_event *ev, u32 link_id,
			  struct mem_cgroup *below);
void oom_policy_mark(void *arg, void *node);
void oom_policy_add_step(struct oom_policy_event *ev, struct mem_cgroup *parent,
			 struct oom_match *match);
void oom_policy_cut_steps(struct oom_policy_event *ev, unsigned int level);

/* select.c: the passes over siblings, the walk over memcgs, the decision */
int oom_policy_decide(struct oom_policy_event *ev);

/* scan.c: the tasks of a memcg */
void oom_policy_scan(struct mem_cgroup *memcg, bool subtree, oom_policy_task_fn fn,
		     void *arg);
void oom_policy_scan_memcgs(struct mem_cgroup *memcg, unsigned int flags,
			    oom_policy_task_fn fn, void *arg);
int oom_policy_add_task(struct task_struct *task, void *arg);
unsigned long oom_policy_mm_pages(struct mm_struct *mm);
struct mm_struct *oom_policy_grab_mm(struct task_struct *task);
pid_t oom_policy_dies_with(struct oom_policy_event *ev, struct task_struct *task,
			   struct mem_cgroup *memcg, bool exact);

/* task.c: which task of the leaf */
int oom_policy_pick_task(struct oom_policy_event *ev, struct mem_cgroup *memcg,
			 enum oom_walk_choice choice);

/* wait.c: victims that are dying, and their memory */
bool oom_policy_victim_over(struct task_struct *victim);
void oom_policy_wait_for(const struct oom_policy_wait *wait, struct mem_cgroup *memcg);
bool oom_policy_in_flight(struct oom_policy_event *ev);
bool oom_policy_in_grace(struct oom_policy_event *ev, struct mem_cgroup *within);
bool oom_policy_relieved(struct mem_cgroup *memcg, unsigned long pages);
bool oom_policy_exiting(struct task_struct *task);

/* dying.c: whoever dies of something else */
void oom_policy_died(struct signal_struct *sig);
void oom_policy_dying_left(struct task_struct *task);
bool oom_policy_dying_holds(struct task_struct *task);
bool oom_policy_dies_slowly(struct oom_policy_event *ev, struct task_struct *task);
bool oom_policy_anybody_dying(struct oom_policy_event *ev);
void oom_policy_held(struct oom_policy_event *ev);
void oom_policy_has_waited(void);

/* vain.c: leaves where a kill gives nothing back */
bool oom_policy_in_vain(struct oom_policy_event *ev, struct mem_cgroup *memcg,
			enum oom_walk_choice choice);
void oom_policy_watch_kill(struct oom_policy_event *ev);
void oom_policy_forget_vain(struct oom_policy_event *ev);

/* report.c: the report, counters and tracepoints */
bool oom_policy_listed(const struct oom_control *oc, struct task_struct *task);
void oom_policy_count_runs(struct oom_policy_event *ev, struct oom_policy *policy,
			   unsigned int runs);
void oom_policy_count(struct oom_policy_event *ev);
void oom_policy_count_spared(struct oom_policy_event *ev, struct task_struct *task,
			     pid_t other);
void oom_policy_count_passed(const struct oom_policy_event *ev);
void oom_policy_count_kills(struct oom_policy_event *ev);
void oom_policy_trace_done(const struct oom_policy_event *ev);
const char *oom_policy_memcg_path(struct mem_cgroup *memcg);
const char *oom_policy_shown_name(const char *name);

/* kill.c: early kills, and all of a memcg */
struct mem_cgroup *oom_policy_emptied(const struct oom_policy_event *ev,
				      struct mem_cgroup *leaf);
unsigned long oom_policy_totalpages(struct mem_cgroup *scope);

/* handler.c: for handlers of OOMs that are BPF programs */
void oom_policy_take_back(struct oom_control *oc);

/* knobs.c: the off switch */
bool oom_policy_enabled(void);

#endif /* _MM_OOM_POLICY_EVENT_H */
