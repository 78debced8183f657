// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an event tells: the OOM report, the counters of the policies, and tracepoints.
 *
 * Called under oom_lock, which protects the counters and the buffers here; of a
 * rehearsal nothing is told. The report is for an event that is not over: what it
 * names is held by the event.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/timekeeping.h>

#define CREATE_TRACE_POINTS
#include <trace/events/oom_policy.h>

#include "event.h"

/* Counters are written under oom_lock, and read without it by whoever asks a link. */
static void oom_policy_add(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/**
 * oom_policy_count_runs - count the program runs of a match that is over
 * @ev: the event
 * @policy: who judged
 * @runs: how many
 */
void oom_policy_count_runs(struct oom_policy_event *ev, struct oom_policy *policy,
			   unsigned int runs)
{
	ev->compared += runs;
	if (!ev->rehearsed)
		oom_policy_add(&policy->stats.comparisons, runs);
}

static enum oom_policy_fallback oom_policy_reason(enum oom_policy_outcome outcome)
{
	switch (outcome) {
	case OOM_WAIT_IN_FLIGHT:
		return OOM_POLICY_IN_FLIGHT;
	case OOM_WAIT_GRACE:
		return OOM_POLICY_GRACE;
	case OOM_STOCK_DISABLED:
		return OOM_POLICY_DISABLED;
	default:
		return OOM_POLICY_NONE_ELIGIBLE;
	}
}

static void oom_policy_count_fallback(struct oom_policy_event *ev,
				      enum oom_policy_fallback reason, u64 ns)
{
	oom_policy_add(&ev->first->stats.fallbacks[reason], 1);
	trace_oom_policy_fallback(memcg_cgroup_id(ev->scope), reason, ns);
}

static void oom_policy_count_kill(struct oom_policy *policy, u64 victim_id)
{
	if (!policy)
		return;

	oom_policy_add(&policy->stats.kills, 1);
	WRITE_ONCE(policy->stats.last_victim, victim_id);
}

/**
 * oom_policy_count_kills - the choice of an event was killed: count it
 * @ev: the event
 */
void oom_policy_count_kills(struct oom_policy_event *ev)
{
	oom_policy_count_kill(oom_outcome_left(ev->outcome) ? ev->policy : ev->chooser,
			      ev->victim_id);
	oom_policy_count_kill(ev->task_policy, ev->victim_id);
}

/**
 * oom_policy_count_spared - somebody was not killed for the sake of another
 * @ev: the event
 * @task: who
 * @other: pid of the other
 */
void oom_policy_count_spared(struct oom_policy_event *ev, struct task_struct *task,
			     pid_t other)
{
	if (ev->chooser)
		oom_policy_add(&ev->chooser->stats.spared, 1);
	trace_oom_policy_spare(memcg_cgroup_id(ev->leaf), task_pid_nr(task), other, 1);
}

/**
 * oom_policy_trace_done - an event is over, and whoever dies of it is marked
 * @ev: the event, in which a policy took part
 */
void oom_policy_trace_done(const struct oom_policy_event *ev)
{
	trace_oom_policy_done(memcg_cgroup_id(ev->scope),
			      ktime_get_mono_fast_ns() - ev->start);
}

/* Whether programs were asked, or would have been. */
static bool oom_policy_selected(enum oom_policy_outcome outcome)
{
	return outcome >= OOM_STOCK_NOBODY;
}

/**
 * oom_policy_count_passed - count who was passed over for another's sake
 * @ev: the event, after its kills
 *
 * Of a leaf that was emptied, each was counted when it was spared.
 */
void oom_policy_count_passed(const struct oom_policy_event *ev)
{
	const unsigned int nr = ev->spared.nr - (ev->emptying ? ev->spared.here : 0);

	if (!nr || !ev->spare)
		return;

	oom_policy_add(&ev->first->stats.spared, nr);
	trace_oom_policy_spare(ev->spared.memcg_id, ev->spared.pid, ev->spared.other, nr);
}

static void oom_policy_trace_levels(const struct oom_policy_event *ev)
{
	struct bpf_oom_step step;
	unsigned int i;

	if (!trace_oom_policy_level_enabled())
		return;
	for (i = 0; i < ev->nr_steps; i++) {
		step = oom_policy_told_step(&ev->steps[i]);
		trace_oom_policy_level(memcg_cgroup_id(ev->scope), &step,
				       ev->steps[i].winner, ev->steps[i].runner);
	}
}

/**
 * oom_policy_count - count a decision, and trace it
 * @ev: the event, in which a policy took part
 */
void oom_policy_count(struct oom_policy_event *ev)
{
	u64 ns = ktime_get_mono_fast_ns() - ev->start;
	struct task_struct *victim = ev->oc->chosen;

	if (oom_policy_selected(ev->outcome)) {
		oom_policy_add(&ev->first->stats.selections, 1);
		WRITE_ONCE(ev->first->stats.last_ns, ns);
		if (ns > ev->first->stats.worst_ns)
			WRITE_ONCE(ev->first->stats.worst_ns, ns);
	}
	if (ev->over)
		oom_policy_count_fallback(ev, OOM_POLICY_BUDGET, ns);
	if (ev->vain.nr)
		oom_policy_count_fallback(ev, OOM_POLICY_FUTILE, ns);
	if (!oom_outcome_has_leaf(ev->outcome)) {
		oom_policy_count_fallback(ev, oom_policy_reason(ev->outcome), ns);
		return;
	}

	rcu_read_lock();
	ev->victim_id = memcg_cgroup_id(mem_cgroup_from_task(victim));
	rcu_read_unlock();

	/* Whatever a tenant's own policy made of it afterwards. */
	if (ev->abstained.below || ev->outcome == OOM_LEFT)
		oom_policy_count_fallback(ev, OOM_POLICY_ABSTAINED, ns);
	if (oom_outcome_left(ev->outcome) && ev->outcome != OOM_LEFT)
		oom_policy_count_fallback(ev, oom_policy_reason(ev->outcome), ns);
	oom_policy_trace_levels(ev);
	trace_oom_policy_select(memcg_cgroup_id(ev->scope), ev->victim_id,
				task_pid_nr(victim), ev->compared, ns);
	WRITE_ONCE(ev->first->held_since, 0);
	oom_policy_watch_kill(ev);
}

/* A line holds no more of a path or of a name than this: of a longer one, the end. */
#define OOM_POLICY_SHOWN	400

/* Written from its end on. */
struct oom_policy_text {
	char buf[OOM_POLICY_SHOWN + 4];
	char *at;
};

static struct oom_policy_text oom_policy_path;
static struct oom_policy_text oom_policy_name;

static void oom_policy_begin_text(struct oom_policy_text *text)
{
	text->at = text->buf + sizeof(text->buf) - 1;
	*text->at = '\0';
}

/* What there is no room for becomes "...", and is the last of it. */
static bool oom_policy_prepend(struct oom_policy_text *text, const char *what, size_t len)
{
	bool fits = text->at - text->buf >= len + 3;

	if (!fits) {
		what = "...";
		len = 3;
	}
	text->at -= len;
	memcpy(text->at, what, len);
	return fits;
}

/*
 * Names are up to tenants, and lines of the log are read by programs. Without a blank,
 * a comma and an equals sign in it no name is taken for a line of the kernel's own.
 */
static bool oom_policy_prepend_name(struct oom_policy_text *text, const char *name)
{
	size_t i = strlen(name);
	char escaped[4];
	int len;

	while (i--) {
		len = string_escape_mem(name + i, 1, escaped, sizeof(escaped),
					ESCAPE_NAP | ESCAPE_APPEND | ESCAPE_HEX, " \\,=");
		if (!oom_policy_prepend(text, escaped, len))
			return false;
	}
	return true;
}

/**
 * oom_policy_shown_name - a name that a tenant has chosen, for the log
 * @name: the name
 *
 * Return: in a buffer that the next call overwrites, with what is no printable ASCII,
 * blanks, backslashes, commas and equals signs as \xNN; the end of it after "...", if it
 * is too long for a line.
 */
const char *oom_policy_shown_name(const char *name)
{
	oom_policy_begin_text(&oom_policy_name);
	oom_policy_prepend_name(&oom_policy_name, name);
	return oom_policy_name.at;
}

/* The name of the cgroup, and a slash before it; false if that is the end. */
static bool oom_policy_prepend_cgroup(struct oom_policy_text *text, struct cgroup *cgrp)
{
	char name[NAME_MAX + 1];

	cgroup_name(cgrp, name, sizeof(name));
	return oom_policy_prepend_name(text, name) && oom_policy_prepend(text, "/", 1);
}

/**
 * oom_policy_memcg_path - the path of a memcg for the log
 * @memcg: the memcg, referenced
 *
 * Return: as of oom_policy_shown_name(), in another buffer.
 */
const char *oom_policy_memcg_path(struct mem_cgroup *memcg)
{
	struct cgroup *cgrp = memcg->css.cgroup;

	oom_policy_begin_text(&oom_policy_path);
	if (!cgroup_parent(cgrp))
		return "/";
	while (cgroup_parent(cgrp) && oom_policy_prepend_cgroup(&oom_policy_path, cgrp))
		cgrp = cgroup_parent(cgrp);
	return oom_policy_path.at;
}

static void oom_policy_report_stock(enum oom_policy_outcome outcome)
{
	switch (outcome) {
	case OOM_STOCK_DISABLED:
		pr_warn("switched off (vm.oom_policy_enabled), the stock killer decides\n");
		break;
	default:
		pr_warn("nobody to kill below, the stock killer decides\n");
		break;
	}
}

static void oom_policy_report_step(const struct oom_policy_step *step)
{
	char name[NAME_MAX + 1];

	if (!step->runner) {
		pr_info("level %u: %s (%llukB), the only one eligible\n", step->level,
			oom_policy_memcg_path(step->winner), step->winner_usage >> 10);
		return;
	}

	cgroup_name(step->runner->css.cgroup, name, sizeof(name));
	pr_info("level %u: %s (%llukB) rather than %s (%llukB), %u eligible, %u compared by prog id %u\n",
		step->level, oom_policy_memcg_path(step->winner), step->winner_usage >> 10,
		oom_policy_shown_name(name), step->runner_usage >> 10, step->eligible,
		step->compared, step->prog_id);
}

static void oom_policy_report_steps(const struct oom_policy_event *ev)
{
	unsigned int i;

	for (i = 0; i < ev->nr_steps; i++)
		oom_policy_report_step(&ev->steps[i]);
	if (oom_policy_path_cut(ev))
		pr_info("and down to level %u: %s\n", oom_policy_level(ev, ev->leaf),
			oom_policy_memcg_path(ev->leaf));
}

struct oom_policy_others {
	struct mem_cgroup *leaf;
	struct pid_namespace *ns;
	unsigned int nr;
};

static int oom_policy_count_other(struct task_struct *task, void *arg)
{
	struct oom_policy_others *others = arg;

	if (task_tgid_nr_ns(task, others->ns) &&
	    !mem_cgroup_is_descendant(mem_cgroup_from_task(task), others->leaf))
		others->nr++;
	return 0;
}

/*
 * With the init of a pid namespace dies all that is in there and below, wherever it is
 * charged. The victim may have exited by now; RCU keeps what its pid refers to.
 */
static void oom_policy_report_namespace(const struct oom_policy_event *ev)
{
	struct oom_policy_others others = { .leaf = ev->leaf };
	struct pid *pid;

	rcu_read_lock();
	pid = task_tgid(ev->oc->chosen);
	if (pid && is_child_reaper(pid)) {
		others.ns = ns_of_pid(pid);
		oom_policy_scan(root_mem_cgroup, true, oom_policy_count_other, &others);
	}
	rcu_read_unlock();
	if (others.nr)
		pr_warn("the victim is the init of a pid namespace: %u processes outside of %s die with it\n",
			others.nr, oom_policy_memcg_path(ev->leaf));
}

static void oom_policy_report_passed(const struct oom_policy_event *ev)
{
	if (ev->vain.nr)
		pr_info("passed over %s%s: its last %u kills gave next to nothing back\n",
			oom_policy_memcg_path(ev->vain.memcg),
			ev->vain.nr > 1 ? " and others" : "", ev->vain.kills);
	if (!ev->spared.nr || !ev->spare)
		return;
	if (ev->spared.other > 0)
		pr_info("passed over %u, the first pid %d: pid %d, outside of cgroup id %llu, has the same memory\n",
			ev->spared.nr, ev->spared.pid, ev->spared.other, ev->spared.memcg_id);
	else
		pr_info("passed over %u, the first pid %d: too many share memory to look for whom with\n",
			ev->spared.nr, ev->spared.pid);
}

/* Where nobody can be killed, an event comes after the other. */
static DEFINE_RATELIMIT_STATE(oom_policy_ratelimit, DEFAULT_RATELIMIT_INTERVAL,
			      DEFAULT_RATELIMIT_BURST);

void __oom_policy_report(struct oom_control *oc)
{
	struct oom_policy_event *ev = &oom_policy_event;
	const struct bpf_prog *prog;

	if (ev->oc != oc || !ev->first)
		return;
	if (!oc->chosen && !__ratelimit(&oom_policy_ratelimit))
		return;

	rcu_read_lock();
	prog = oom_policy_prog(ev->first);
	pr_info("scope %s, prog %s, prog id %u, link id %u%s\n",
		oom_policy_memcg_path(ev->scope), prog->aux->name, prog->aux->id,
		oom_policy_link_id(ev->first), ev->early ? ", early" : "");
	rcu_read_unlock();

	if (ev->over)
		pr_warn("over budget: the best so far was taken, and then the largest\n");
	if (oom_outcome_stock(ev->outcome)) {
		oom_policy_report_stock(ev->outcome);
		return;
	}

	oom_policy_report_steps(ev);
	oom_policy_report_passed(ev);
	if (ev->abstained.below &&
	    !(oom_outcome_left(ev->outcome) && ev->abstained.below == ev->leaf))
		pr_warn("link id %u abstained below %s: oom_badness() picked there\n",
			ev->abstained.link_id,
			oom_policy_memcg_path(ev->abstained.below));
	if (oom_outcome_left(ev->outcome))
		pr_warn("no policy chose below %s: oom_badness() did\n",
			oom_policy_memcg_path(ev->leaf));
	if (ev->task_policy)
		pr_info("task: the choice of link id %u among %u in %s\n",
			oom_policy_link_id(ev->task_policy), ev->tasks.eligible,
			oom_policy_memcg_path(ev->leaf));
	oom_policy_report_namespace(ev);
}

/* Not of the whole machine's. */
static bool oom_policy_dumps_leaf(const struct oom_policy_event *ev,
				  const struct oom_control *oc)
{
	return ev->oc == oc && ev->first && oom_outcome_has_leaf(ev->outcome) &&
	       !(oom_outcome_subtree(ev->outcome) && mem_cgroup_is_root(ev->leaf));
}

bool __oom_policy_dump_tasks(struct oom_control *oc, oom_policy_task_fn dump)
{
	struct oom_policy_event *ev = &oom_policy_event;

	if (!oom_policy_dumps_leaf(ev, oc))
		return false;

	oom_policy_scan(ev->leaf, oom_outcome_subtree(ev->outcome), dump, oc);
	return true;
}

/**
 * oom_policy_listed - does a task belong in the list of the report
 * @oc: the event; oom_lock is held
 * @task: the task
 *
 * For whoever goes through all of the tasks, having no say in which.
 *
 * Return: false if a policy chose a memcg, and the task is elsewhere.
 */
bool oom_policy_listed(const struct oom_control *oc, struct task_struct *task)
{
	struct oom_policy_event *ev = &oom_policy_event;
	struct mem_cgroup *own;
	bool listed;

	if (!oom_policy_dumps_leaf(ev, oc))
		return true;

	rcu_read_lock();
	own = mem_cgroup_from_task(task);
	listed = oom_outcome_subtree(ev->outcome) ? mem_cgroup_is_descendant(own, ev->leaf) :
						    own == ev->leaf;
	rcu_read_unlock();
	return listed;
}
