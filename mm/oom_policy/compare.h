/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memcg as a candidate, and one comparison by a program. All of it is inlined: a
 * selection among thousands of siblings does little else.
 */
#ifndef _MM_OOM_POLICY_COMPARE_H
#define _MM_OOM_POLICY_COMPARE_H

#include <linux/filter.h>
#include <linux/jiffies.h>
#include <linux/page_counter.h>
#include <linux/sched/signal.h>
#include <trace/events/oom_policy.h>

#include "event.h"
#include "priority.h"

static __always_inline void oom_policy_fill_cand(struct oom_cand *cand,
						 struct mem_cgroup *memcg)
{
	cand->node = memcg;
	cand->id = memcg_cgroup_id(memcg);
	cand->usage = (u64)page_counter_read(&memcg->memory) * PAGE_SIZE;
	cand->swap = (u64)page_counter_read(&memcg->swap) * PAGE_SIZE;
	cand->scratch = 0;
	cand->points = 0;
}

/* Both under RCU; false: never a candidate. The second is for rehearsals. */
static __always_inline bool oom_policy_cand(struct oom_cand *cand,
					    struct mem_cgroup *memcg)
{
	const struct oom_policy_priority priority = oom_policy_priority(memcg);

	oom_policy_fill_cand(cand, memcg);
	cand->priority = priority.value;
	return priority.candidate;
}

static inline bool oom_policy_cand_if(struct oom_cand *cand, struct mem_cgroup *memcg,
				      const struct oom_policy_what_if *what_if)
{
	const struct oom_policy_priority priority = oom_policy_priority_if(what_if, memcg);

	oom_policy_fill_cand(cand, memcg);
	cand->priority = priority.value;
	return priority.candidate;
}

static __always_inline void oom_policy_set_cand_1(struct bpf_oom_ctx *ctx,
						  const struct oom_cand *cand)
{
	struct mem_cgroup *memcg = cand->node;

	ctx->cgroup_id_1 = cand->id;
	ctx->usage_1 = cand->usage;
	ctx->swap_1 = cand->swap;
	ctx->priority_1 = cand->priority;
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
	ctx->priority_2 = cand->priority;
	ctx->scratch_2 = cand->scratch;
	ctx->cgroup_2 = memcg->css.cgroup;
}

/* What the children of @parent are compared with outside of an event, but for themselves. */
static inline void oom_policy_ctx_below(struct bpf_oom_ctx *ctx, struct mem_cgroup *scope,
					struct mem_cgroup *parent)
{
	*ctx = (struct bpf_oom_ctx) {
		.scope_id = memcg_cgroup_id(scope),
		.level = parent->css.cgroup->level + 1 - scope->css.cgroup->level,
		.flags = BPF_OOM_EVENT_DRY_RUN | (mem_cgroup_is_root(scope) ?
			 BPF_OOM_EVENT_GLOBAL : BPF_OOM_EVENT_MEMCG),
	};
}

/* Ask ev->prog, in the RCU section in which it was read and without migration. */
static __always_inline u32 oom_policy_run(const struct oom_policy_event *ev,
					  struct oom_policy *policy,
					  struct bpf_oom_ctx *ctx)
{
	u32 verdict;

	verdict = oom_policy_verdict(policy, bpf_prog_run(ev->prog, ctx));
	if (trace_oom_policy_compare_enabled() && !ev->rehearsed)
		trace_oom_policy_compare(ctx, verdict);
	return verdict;
}

static inline bool oom_policy_ticked(const struct oom_policy_event *ev)
{
	unsigned long now = jiffies;

	return time_after(now, ev->tick);
}

/* Whoever rehearses may lose patience. */
static inline bool oom_policy_interrupted(const struct oom_policy_event *ev)
{
	return ev->rehearsed && signal_pending(current);
}

#endif /* _MM_OOM_POLICY_COMPARE_H */
