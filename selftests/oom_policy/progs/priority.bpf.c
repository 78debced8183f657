// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strict priorities by memory.oom.priority, and by a map, that note what they go by, and
 * whether that is what the name of the cgroup says: two that decide about cgroups, and
 * one about tasks.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "../../../../../samples/oom_policy/kernel_types.h"
#include "priority.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __s64);
} by_id SEC(".maps");

/* Read by a test. */
__u32 nr_seen;
struct seen seen[MAX_SEEN];
__u64 judged;
__u64 mistaken;

static void note(__u64 cgroup_id, __s64 priority, __u32 pid)
{
	__u32 n = nr_seen++;

	if (n >= MAX_SEEN)
		return;
	seen[n].cgroup_id = cgroup_id;
	seen[n].priority = priority;
	seen[n].pid = pid;
}

static void judge(const struct cgroup *cgrp, __s64 priority)
{
	char name[2] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), cgrp->kn->name);
	if (name[0] != 'p' && name[0] != 'c')
		return;
	judged++;
	if (priority != (name[0] == 'p' ? PRECIOUS : CHEAP))
		mistaken++;
}

static int decide(struct bpf_oom_ctx *ctx, __s64 priority_1, __s64 priority_2)
{
	judge(ctx->cgroup_1, priority_1);
	judge(ctx->cgroup_2, priority_2);
	if (priority_1 == priority_2)
		return BPF_OOM_EQUAL;
	return priority_1 < priority_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

SEC("oom_policy")
int by_file(struct bpf_oom_ctx *ctx)
{
	note(ctx->cgroup_id_1, ctx->priority_1, 0);
	note(ctx->cgroup_id_2, ctx->priority_2, 0);
	return decide(ctx, ctx->priority_1, ctx->priority_2);
}

static __s64 in_map(__u64 id)
{
	__s64 *priority = bpf_map_lookup_elem(&by_id, &id);

	return priority ? *priority : 0;
}

SEC("oom_policy")
int by_map(struct bpf_oom_ctx *ctx)
{
	return decide(ctx, in_map(ctx->cgroup_id_1), in_map(ctx->cgroup_id_2));
}

SEC("oom_policy/task")
int by_task(struct bpf_oom_ctx *ctx)
{
	note(ctx->cgroup_id_1, ctx->priority_1, ctx->pid_1);
	note(ctx->cgroup_id_2, ctx->priority_2, ctx->pid_2);
	if (ctx->priority_1 == ctx->priority_2)
		return BPF_OOM_EQUAL;
	return ctx->priority_1 < ctx->priority_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}
