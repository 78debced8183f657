// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies that answer whatever a table says: each cgroup has a colour, each process
 * has one, and each program a verdict for every two colours. So a program is a priority, a circle
 * without a best one, or nonsense, as the table was filled.
 */
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "fuzz.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u32);
} colours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} task_colours SEC(".maps");

__u8 verdicts[FUZZ_TABLES][FUZZ_COLOURS][FUZZ_COLOURS];

static int look_up(__u32 table, const __u32 *first, const __u32 *second)
{
	if (!first || !second)
		return BPF_OOM_EQUAL;
	return verdicts[table][*first % FUZZ_COLOURS][*second % FUZZ_COLOURS] & 3;
}

static int judge(struct bpf_oom_ctx *ctx, __u32 table)
{
	__u64 id_1 = ctx->cgroup_id_1, id_2 = ctx->cgroup_id_2;

	return look_up(table, bpf_map_lookup_elem(&colours, &id_1),
		       bpf_map_lookup_elem(&colours, &id_2));
}

static int judge_tasks(struct bpf_oom_ctx *ctx, __u32 table)
{
	__u32 pid_1 = ctx->pid_1, pid_2 = ctx->pid_2;

	return look_up(table, bpf_map_lookup_elem(&task_colours, &pid_1),
		       bpf_map_lookup_elem(&task_colours, &pid_2));
}

#define POLICY(n)							\
	SEC("oom_policy") int policy_##n(struct bpf_oom_ctx *ctx)	\
	{								\
		return judge(ctx, n);					\
	}

POLICY(0)
POLICY(1)
POLICY(2)
POLICY(3)

#define TASK_POLICY(n)							\
	SEC("oom_policy/task") int task_policy_##n(struct bpf_oom_ctx *ctx) \
	{								\
		return judge_tasks(ctx, FUZZ_PROGS + (n));		\
	}

TASK_POLICY(0)
TASK_POLICY(1)
