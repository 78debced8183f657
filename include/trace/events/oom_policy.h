/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM oom_policy

#if !defined(_TRACE_OOM_POLICY_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_OOM_POLICY_H

#include <linux/bpf_oom_policy.h>
#include <linux/memcontrol.h>
#include <linux/tracepoint.h>

struct mem_cgroup;

TRACE_DEFINE_ENUM(BPF_OOM_EQUAL);
TRACE_DEFINE_ENUM(BPF_OOM_FIRST);
TRACE_DEFINE_ENUM(BPF_OOM_SECOND);
TRACE_DEFINE_ENUM(BPF_OOM_ABSTAIN);
TRACE_DEFINE_ENUM(OOM_POLICY_NONE_ELIGIBLE);
TRACE_DEFINE_ENUM(OOM_POLICY_BUDGET);
TRACE_DEFINE_ENUM(OOM_POLICY_ABSTAINED);
TRACE_DEFINE_ENUM(OOM_POLICY_DISABLED);
TRACE_DEFINE_ENUM(OOM_POLICY_IN_FLIGHT);
TRACE_DEFINE_ENUM(OOM_POLICY_GRACE);
TRACE_DEFINE_ENUM(OOM_POLICY_FUTILE);

#define show_oom_policy_verdict(verdict)			\
	__print_symbolic(verdict,				\
			 { BPF_OOM_EQUAL, "equal" },		\
			 { BPF_OOM_FIRST, "first" },		\
			 { BPF_OOM_SECOND, "second" },		\
			 { BPF_OOM_ABSTAIN, "abstain" })

#define show_oom_policy_reason(reason)				\
	__print_symbolic(reason,				\
			 { OOM_POLICY_NONE_ELIGIBLE, "none eligible" }, \
			 { OOM_POLICY_BUDGET, "budget" },	\
			 { OOM_POLICY_ABSTAINED, "abstain" },	\
			 { OOM_POLICY_DISABLED, "disabled" },	\
			 { OOM_POLICY_IN_FLIGHT, "in flight" },	\
			 { OOM_POLICY_GRACE, "grace" },		\
			 { OOM_POLICY_FUTILE, "futile" })

/* One run of a program: the candidates (pids are 0 for memcgs), and its answer. */
TRACE_EVENT(oom_policy_compare,
	    TP_PROTO(const struct bpf_oom_ctx *ctx, u32 verdict),

	    TP_ARGS(ctx, verdict),

	    TP_STRUCT__entry(__field(u64, cgroup_id_1)
			     __field(u64, cgroup_id_2)
			     __field(u32, pid_1)
			     __field(u32, pid_2)
			     __field(u32, level)
			     __field(u32, verdict)),

	    TP_fast_assign(__entry->cgroup_id_1 = ctx->cgroup_id_1;
			   __entry->cgroup_id_2 = ctx->cgroup_id_2;
			   __entry->pid_1 = ctx->pid_1;
			   __entry->pid_2 = ctx->pid_2;
			   __entry->level = ctx->level;
			   __entry->verdict = verdict;),

	    TP_printk("level=%u cgroup_id_1=%llu cgroup_id_2=%llu pid_1=%u pid_2=%u verdict=%s",
		      __entry->level, __entry->cgroup_id_1, __entry->cgroup_id_2,
		      __entry->pid_1, __entry->pid_2,
		      show_oom_policy_verdict(__entry->verdict))
);

/*
 * One level of the path to the victim that oom_policy_select tells next. The memcgs are
 * for whoever wants more than their ids; there need not be a runner-up.
 */
TRACE_EVENT(oom_policy_level,
	    TP_PROTO(u64 scope_id, const struct bpf_oom_step *step,
		     struct mem_cgroup *winner, struct mem_cgroup *runner),

	    TP_ARGS(scope_id, step, winner, runner),

	    TP_STRUCT__entry(__field(u64, scope_id)
			     __field(u64, parent_id)
			     __field(u64, winner_id)
			     __field(u64, runner_id)
			     __field(u64, winner_usage)
			     __field(u64, runner_usage)
			     __field(u32, level)
			     __field(u32, prog_id)
			     __field(u32, eligible)
			     __field(u32, compared)),

	    TP_fast_assign(__entry->scope_id = scope_id;
			   __entry->parent_id = step->parent_id;
			   __entry->winner_id = step->winner_id;
			   __entry->runner_id = step->runner_id;
			   __entry->winner_usage = step->winner_usage;
			   __entry->runner_usage = step->runner_usage;
			   __entry->level = step->level;
			   __entry->prog_id = step->prog_id;
			   __entry->eligible = step->eligible;
			   __entry->compared = step->compared;),

	    TP_printk("scope_id=%llu level=%u parent_id=%llu winner_id=%llu winner_usage=%llu runner_id=%llu runner_usage=%llu eligible=%u compared=%u prog_id=%u",
		      __entry->scope_id, __entry->level, __entry->parent_id,
		      __entry->winner_id, __entry->winner_usage, __entry->runner_id,
		      __entry->runner_usage, __entry->eligible, __entry->compared,
		      __entry->prog_id)
);

/* A policy has led to a victim; ns is what the whole selection took. */
TRACE_EVENT(oom_policy_select,
	    TP_PROTO(u64 scope_id, u64 victim_id, pid_t pid, u32 compared, u64 ns),

	    TP_ARGS(scope_id, victim_id, pid, compared, ns),

	    TP_STRUCT__entry(__field(u64, scope_id)
			     __field(u64, victim_id)
			     __field(u64, ns)
			     __field(pid_t, pid)
			     __field(u32, compared)),

	    TP_fast_assign(__entry->scope_id = scope_id;
			   __entry->victim_id = victim_id;
			   __entry->ns = ns;
			   __entry->pid = pid;
			   __entry->compared = compared;),

	    TP_printk("scope_id=%llu victim_id=%llu pid=%d compared=%u ns=%llu",
		      __entry->scope_id, __entry->victim_id, __entry->pid,
		      __entry->compared, __entry->ns)
);

/* No policy decides: why, and how long it took to find out. */
TRACE_EVENT(oom_policy_fallback,
	    TP_PROTO(u64 scope_id, u32 reason, u64 ns),

	    TP_ARGS(scope_id, reason, ns),

	    TP_STRUCT__entry(__field(u64, scope_id)
			     __field(u64, ns)
			     __field(u32, reason)),

	    TP_fast_assign(__entry->scope_id = scope_id;
			   __entry->ns = ns;
			   __entry->reason = reason;),

	    TP_printk("scope_id=%llu reason=%s ns=%llu", __entry->scope_id,
		      show_oom_policy_reason(__entry->reason), __entry->ns)
);

/* Who was not killed, so that another with the same memory, elsewhere, need not die. */
TRACE_EVENT(oom_policy_spare,
	    TP_PROTO(u64 memcg_id, pid_t pid, pid_t other, u32 nr),

	    TP_ARGS(memcg_id, pid, other, nr),

	    TP_STRUCT__entry(__field(u64, memcg_id)
			     __field(pid_t, pid)
			     __field(pid_t, other)
			     __field(u32, nr)),

	    TP_fast_assign(__entry->memcg_id = memcg_id;
			   __entry->pid = pid;
			   __entry->other = other;
			   __entry->nr = nr;),

	    TP_printk("memcg_id=%llu pid=%d other=%d nr=%u", __entry->memcg_id,
		      __entry->pid, __entry->other, __entry->nr)
);

/* An event in which a policy took part is over, and all that die of it are marked. */
TRACE_EVENT(oom_policy_done,
	    TP_PROTO(u64 scope_id, u64 ns),

	    TP_ARGS(scope_id, ns),

	    TP_STRUCT__entry(__field(u64, scope_id)
			     __field(u64, ns)),

	    TP_fast_assign(__entry->scope_id = scope_id;
			   __entry->ns = ns;),

	    TP_printk("scope_id=%llu ns=%llu", __entry->scope_id, __entry->ns)
);

/* A cgroup v2 gets its memcg; in mkdir(2) that is before anybody can see the cgroup. */
TRACE_EVENT(oom_policy_memcg_online,
	    TP_PROTO(struct mem_cgroup *memcg),

	    TP_ARGS(memcg),

	    TP_STRUCT__entry(__field(u64, cgroup_id)),

	    TP_fast_assign(__entry->cgroup_id = cgroup_id(memcg->css.cgroup);),

	    TP_printk("cgroup_id=%llu", __entry->cgroup_id)
);

#endif /* _TRACE_OOM_POLICY_H */

#include <trace/define_trace.h>
