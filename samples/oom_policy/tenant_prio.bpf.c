// SPDX-License-Identifier: GPL-2.0-only
/*
 * tenant_prio: strict priorities between sibling tenants.
 *
 * The idea: every cgroup has a priority among its siblings, memory.oom.priority, and
 * the sibling with the lowest one dies first. Usage counts only among equals: a tenant
 * cannot change its place by using more or less memory.
 *
 *                        /
 *          ______________|_____________
 *         |              |             |
 *       prod 100      batch 0   besteffort -100     level 1: besteffort
 *       /     \       /     \      /    |    \
 *      db     web   etl     ml  job1  job2  job3
 *      10      0     0      0    30    10    20     level 2: job2
 *
 * Two calls at each level; /besteffort/job2 dies, with 20 MB, although /prod/db has
 * 160 MB. The next shortages take job3, job1, and then of etl and ml the larger one.
 *
 * The floor: a thousand tiny jobs of the lowest priority would all die, one per
 * shortage. With a floor of 15 MB, a tenant that would give back less is passed over as
 * long as one that has more is among its siblings: job2 at 4 MB for job3 at 20 MB, or a
 * job that holds 30 MB of files in tmpfs, which outlive it.
 *
 * Limits: a priority orders siblings only. Without a floor the victim may be small;
 * with one, a precious tenant dies where all others are too small to help.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

/* Bytes; "bpftool oom attach ... floor BYTES" sets it. */
__u64 oom_floor SEC(".rodata");

/* What the root cgroup's own tasks share nobody knows. */
static __always_inline bool is_tiny(struct cgroup *cgrp, __u64 held)
{
	struct mem_cgroup *memcg;
	bool tiny = false;

	if (held < oom_floor)
		return true;
	memcg = cgrp->level ? bpf_get_mem_cgroup(&cgrp->self) : NULL;
	if (memcg) {
		tiny = bpf_mem_cgroup_freeable(memcg) < oom_floor;
		bpf_put_mem_cgroup(memcg);
	}
	return tiny;
}

SEC("oom_policy")
int tenant_prio(struct bpf_oom_ctx *ctx)
{
	bool tiny_1, tiny_2;

	if (oom_floor) {
		tiny_1 = is_tiny(ctx->cgroup_1, ctx->usage_1 + ctx->swap_1);
		tiny_2 = is_tiny(ctx->cgroup_2, ctx->usage_2 + ctx->swap_2);
		if (tiny_1 != tiny_2)
			return tiny_1 ? BPF_OOM_SECOND : BPF_OOM_FIRST;
	}
	if (ctx->priority_1 == ctx->priority_2)
		return BPF_OOM_EQUAL;	/* the kernel takes the larger one */
	return ctx->priority_1 < ctx->priority_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
