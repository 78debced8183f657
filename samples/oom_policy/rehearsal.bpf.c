// SPDX-License-Identifier: GPL-2.0-only
/*
 * rehearsal: what tenant_prio would do, for a first week in production.
 *
 * The idea: it decides as tenant_prio would, tells so in a ring buffer, and then
 * abstains, so that the kernel kills whom it would have killed anyway. Compare
 * its records with the OOM reports; once they are what you want, attach
 * tenant_prio in its place.
 *
 *	event       the record says          the kernel kills
 *	Mon 03:10   batch 0 > ml 0           /prod/db, oom_badness() finds it largest
 *	Thu 14:25   besteffort -100 > job2   /prod/db
 *
 * How: the kernel asks about pairs, but a program that abstains is asked about one
 * pair only. So at that one call the program goes down the tree on its own: below
 * the parent of the two it picks among the populated children the one with the
 * lowest priority, then the largest usage, then the lowest id, and so on to a leaf
 * or a memory.oom.group. Worked through for Thursday: of prod 100, batch 0 and
 * besteffort -100 the last; below it of job1 30 and job2 10 job2, which has no
 * children. The record has two levels, and the answer is ABSTAIN.
 *
 * Attach it with the flag root_tasks: abstaining at the root leaves the whole
 * machine to oom_badness(), with the flag even if the root has one populated child
 * only, and processes of its own. Its loader, rehearsal, does so and prints the
 * records.
 *
 * Limits:
 * - a scope whose every level has one populated child is not asked about: no
 *   record;
 * - it does not know which leaves have nobody to kill, and does not back up from
 *   them as the kernel does for tenant_prio;
 * - each level walks what is below the siblings, 16 levels at most;
 * - a full ring buffer loses records, never a decision.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"
#include "rehearsal.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} oom_rehearsal SEC(".maps");

static __u8 own_priority(struct cgroup_subsys_state *css, __s64 *priority)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(css);
	__u8 state;

	if (!memcg)
		return BPF_OOM_PRIORITY_UNSET;
	*priority = memcg->oom_policy.priority.counter;
	state = memcg->oom_policy.priority_state;
	bpf_put_mem_cgroup(memcg);
	return state;
}

/*
 * As the kernel reads memory.oom.priority for tenant_prio, and whether it is one: of
 * those below an only child comes first.
 */
static __u8 priority_of(__u64 id, __s64 *priority)
{
	struct cgroup *top = bpf_cgroup_from_id(id);
	__u8 state = BPF_OOM_PRIORITY_UNSET;
	struct cgroup_subsys_state *css;

	if (!top)
		return BPF_OOM_PRIORITY_MAX;	/* gone meanwhile */
	bpf_for_each(css, css, &top->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		if (!is_populated(css->cgroup))
			continue;
		state = own_priority(css, priority);
		if (state != BPF_OOM_PRIORITY_UNSET ||
		    css->cgroup->nr_populated_domain_children != 1)
			break;
	}
	bpf_cgroup_release(top);
	if (state == BPF_OOM_PRIORITY_UNSET)
		*priority = 0;
	return state;
}

static bool is_better(const struct rehearsal_level *cand, const struct rehearsal_level *best)
{
	if (!best->winner_id)
		return true;
	if (cand->priority != best->priority)
		return cand->priority < best->priority;
	if (cand->usage != best->usage)
		return cand->usage > best->usage;
	return cand->winner_id < best->winner_id;
}

static void play(struct cgroup_subsys_state *css, struct rehearsal_level *best)
{
	struct rehearsal_level cand = {};
	struct mem_cgroup *memcg;

	cand.winner_id = css->cgroup->kn->id;
	if (priority_of(cand.winner_id, &cand.priority) == BPF_OOM_PRIORITY_MAX)
		return;
	memcg = bpf_get_mem_cgroup(css);
	if (!memcg)
		return;
	cand.usage = bpf_mem_cgroup_usage(memcg);
	bpf_put_mem_cgroup(memcg);
	cand.eligible = best->eligible + 1;
	best->eligible++;
	if (is_better(&cand, best))
		*best = cand;
}

static bool is_group(struct cgroup *cgrp)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&cgrp->self);
	bool group;

	if (!memcg)
		return true;
	group = memcg->oom_group;
	bpf_put_mem_cgroup(memcg);
	return group;
}

/* The winner among the children of @parent_id, without an id if it has none. */
static void choose(__u64 parent_id, struct rehearsal_level *best)
{
	struct cgroup *parent = bpf_cgroup_from_id(parent_id);
	struct cgroup_subsys_state *css;
	int level;

	if (!parent)
		return;
	if (!is_group(parent)) {
		level = parent->level + 1;
		bpf_for_each(css, css, &parent->self, BPF_CGROUP_ITER_DESCENDANTS_PRE)
			if (css->cgroup->level == level && is_populated(css->cgroup))
				play(css, best);
	}
	bpf_cgroup_release(parent);
}

static void descend(struct rehearsal_event *record)
{
	__u64 parent_id = record->scope_id;
	struct rehearsal_level best;
	int i;

	bpf_for(i, 0, REHEARSAL_LEVELS) {
		best = (struct rehearsal_level) {};
		choose(parent_id, &best);
		if (!best.winner_id)
			break;
		record->level[i] = best;
		record->nr_levels = i + 1;
		parent_id = best.winner_id;
	}
}

static __u64 parent_of(struct cgroup *cgrp)
{
	struct cgroup *parent = bpf_cgroup_ancestor(cgrp, cgrp->level - 1);
	__u64 id;

	if (!parent)
		return 0;
	id = parent->kn->id;
	bpf_cgroup_release(parent);
	return id;
}

SEC("oom_policy")
int rehearsal(struct bpf_oom_ctx *ctx)
{
	struct rehearsal_event *record;
	__u64 scope_id;

	/* With root_tasks candidate 1 is the root itself; candidate 2 never is. */
	scope_id = parent_of(ctx->cgroup_2);
	record = bpf_ringbuf_reserve(&oom_rehearsal, sizeof(*record), 0);
	if (!record)
		return BPF_OOM_ABSTAIN;
	record->ns = bpf_ktime_get_ns();
	record->scope_id = scope_id;
	record->event_flags = ctx->flags;
	record->nr_levels = 0;
	descend(record);
	bpf_ringbuf_submit(record, 0);
	return BPF_OOM_ABSTAIN;
}

char _license[] SEC("license") = "GPL";
