// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies that nobody should attach. None of them can do more harm than to
 * choose badly: hostile.c proves it.
 */
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kfuncs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} met SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} hand SEC(".maps");

/* Set by a test. */
__u32 burn_rounds;

__u64 sum;

SEC("oom_policy")
int always_first(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_FIRST;
}

SEC("oom_policy")
int always_second(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_SECOND;
}

SEC("oom_policy")
int always_equal(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_EQUAL;
}

SEC("oom_policy")
int always_abstain(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_ABSTAIN;
}

SEC("oom_policy")
int at_random(struct bpf_oom_ctx *ctx)
{
	return bpf_get_prandom_u32() & 3;
}

/* 0 dies before 2, 2 before 1, and 1 before 0. */
SEC("oom_policy")
int rock_paper_scissors(struct bpf_oom_ctx *ctx)
{
	__u64 id_1 = ctx->cgroup_id_1, id_2 = ctx->cgroup_id_2;
	__u64 *hand_1 = bpf_map_lookup_elem(&hand, &id_1);
	__u64 *hand_2 = bpf_map_lookup_elem(&hand, &id_2);

	if (!hand_1 || !hand_2 || *hand_1 == *hand_2)
		return BPF_OOM_EQUAL;
	return (*hand_1 + 1) % 3 == *hand_2 ? BPF_OOM_SECOND : BPF_OOM_FIRST;
}

static long burn(__u64 i, void *unused)
{
	sum += i;
	return 0;
}

SEC("oom_policy")
int slow(struct bpf_oom_ctx *ctx)
{
	bpf_loop(burn_rounds, burn, NULL, 0);
	return BPF_OOM_FIRST;
}

SEC("oom_policy")
int slow_once(struct bpf_oom_ctx *ctx)
{
	if (!sum)
		bpf_loop(burn_rounds, burn, NULL, 0);
	return BPF_OOM_SECOND;
}

static __u64 look_at_memcg(struct cgroup *cgrp)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&cgrp->self);
	__u64 seen = 0;
	int i;

	if (!memcg)
		return 0;
	seen ^= bpf_mem_cgroup_usage(memcg);
	for (i = 0; i < 64; i++) {
		seen ^= bpf_mem_cgroup_page_state(memcg, i);
		seen ^= bpf_mem_cgroup_vm_events(memcg, i);
		seen ^= bpf_mem_cgroup_memory_events(memcg, i);
	}
	bpf_put_mem_cgroup(memcg);
	return seen;
}

static __u64 look_at(struct cgroup *cgrp, __u64 id)
{
	__u64 *known, seen = look_at_memcg(cgrp);
	struct cgroup *held;

	known = bpf_map_lookup_elem(&met, &id);
	if (known)
		seen += __sync_fetch_and_add(known, 1);
	known = bpf_cgrp_storage_get(&storage, cgrp, &seen,
				     BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!known)
		known = bpf_cgrp_storage_get(&storage, cgrp, NULL, 0);
	if (known)
		seen += __sync_fetch_and_add(known, 1);

	held = bpf_cgroup_acquire(cgrp);
	if (held) {
		seen += held->level;
		bpf_cgroup_release(held);
	}
	held = bpf_cgroup_ancestor(cgrp, 0);
	if (held) {
		seen += held->level;
		bpf_cgroup_release(held);
	}
	return seen;
}

/* All fields, and whatever else a policy may reach; keeps notes everywhere. */
SEC("oom_policy")
int reads_everything(struct bpf_oom_ctx *ctx)
{
	__u64 all = ctx->cgroup_id_1 ^ ctx->cgroup_id_2 ^ ctx->usage_1 ^ ctx->usage_2 ^
		    ctx->swap_1 ^ ctx->swap_2 ^ ctx->pid_1 ^ ctx->pid_2 ^
		    ctx->oom_score_adj_1 ^ ctx->oom_score_adj_2 ^ ctx->level ^
		    ctx->flags ^ ctx->scratch_1 ^ ctx->scratch_2;

	all ^= look_at(ctx->cgroup_1, ctx->cgroup_id_1);
	all ^= look_at(ctx->cgroup_2, ctx->cgroup_id_2);
	all ^= bpf_ktime_get_ns() ^ bpf_get_smp_processor_id();
	sum ^= all;
	ctx->scratch_1 = all;
	ctx->scratch_2 = ~all;
	return BPF_OOM_EQUAL;
}

SEC("oom_policy/task")
int task_at_random(struct bpf_oom_ctx *ctx)
{
	return bpf_get_prandom_u32() & 3;
}

SEC("oom_policy/task")
int task_reads_everything(struct bpf_oom_ctx *ctx)
{
	struct task_struct *held;

	sum ^= ctx->usage_1 ^ ctx->usage_2 ^ ctx->swap_1 ^ ctx->swap_2 ^ ctx->pid_1 ^
	       ctx->pid_2 ^ ctx->oom_score_adj_1 ^ ctx->oom_score_adj_2 ^ ctx->level ^
	       ctx->flags ^ ctx->scratch_1 ^ ctx->scratch_2;
	sum ^= look_at(ctx->cgroup_1, ctx->cgroup_id_1);
	sum ^= look_at(ctx->cgroup_2, ctx->cgroup_id_2);
	held = bpf_task_acquire(ctx->task_1);
	if (held) {
		sum ^= held->pid;
		bpf_task_release(held);
	}
	ctx->scratch_1 = ctx->pid_1;
	ctx->scratch_2 = ctx->pid_2;
	return ctx->pid_1 < ctx->pid_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}
