// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy for tasks that writes down everything it is shown, and a recorder of
 * the events that ended with no choice of a policy; those that wait are not meant.
 */
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "task_calls.h"

char _license[] SEC("license") = "GPL";

enum oom_policy_fallback { OOM_POLICY_IN_FLIGHT };

/* Set by a test. */
__u32 mode;
__u64 salt;		/* makes the scratch words of two such programs differ */

/* Read by a test. */
__u32 nr_calls;
__u32 nr_fallbacks;
struct task_call calls[MAX_TASK_CALLS];

static int dawdle(__u32 i, void *unused)
{
	return 0;
}

#define NOTE(n)								\
	static void note_##n(struct task_cand *cand, struct bpf_oom_ctx *ctx)	\
	{								\
		cand->cgroup_id = ctx->cgroup_id_##n;			\
		cand->usage = ctx->usage_##n;				\
		cand->swap = ctx->swap_##n;				\
		cand->pid = ctx->pid_##n;				\
		cand->adj = ctx->oom_score_adj_##n;			\
		cand->tgid = ctx->task_##n->tgid;			\
		cand->cgroup_kn_id = ctx->cgroup_##n->kn->id;		\
		cand->foreign = ctx->scratch_##n &&			\
				ctx->scratch_##n != (salt | ctx->pid_##n); \
		ctx->scratch_##n = salt | ctx->pid_##n;			\
	}

NOTE(1)
NOTE(2)

static void note_call(struct bpf_oom_ctx *ctx)
{
	__u32 n = nr_calls++;

	if (n >= MAX_TASK_CALLS)
		return;
	note_1(&calls[n].cand[0], ctx);
	note_2(&calls[n].cand[1], ctx);
	calls[n].scope_id = ctx->scope_id;
	calls[n].level = ctx->level;
	calls[n].flags = ctx->flags;
}

SEC("oom_policy/task")
int judge(struct bpf_oom_ctx *ctx)
{
	note_call(ctx);
	switch (mode) {
	case SAY_EQUAL:
		return BPF_OOM_EQUAL;
	case SAY_ABSTAIN:
		return BPF_OOM_ABSTAIN;
	case TAKE_HIGHEST_PID:
		return ctx->pid_1 > ctx->pid_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
	case TAKE_SMALLEST_SLOWLY:
		bpf_loop(1 << 23, dawdle, NULL, 0);
		break;
	}
	return ctx->usage_1 < ctx->usage_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

SEC("tp_btf/oom_policy_fallback")
int BPF_PROG(on_fallback, __u64 scope, __u32 reason)
{
	if (reason != bpf_core_enum_value(enum oom_policy_fallback, OOM_POLICY_IN_FLIGHT))
		nr_fallbacks++;
	return 0;
}
