// SPDX-License-Identifier: GPL-2.0-only
/*
 * protection: who exceeds its promise most dies first.
 *
 * The idea: memory.min and memory.low already say how much memory each tenant was
 * promised. Reclaim respects them, the OOM killer does not know them. Here the
 * promise is the larger of the two, and the tenant whose usage is the largest
 * multiple of its promise is the victim. No map, no loader: the limits that
 * administrators set anyway are the policy.
 *
 *                       /
 *            ___________|___________
 *           |           |           |
 *          db         cache       batch
 *      usage 160      usage 60    usage 30      MB
 *      low   200      low   20    low   none
 *        0.8            3.0        infinite
 *
 * Worked through: db against cache: 160 * 20 < 60 * 200, cache exceeds its promise
 * more. cache against batch: batch was promised nothing, so that anything it uses
 * is too much. batch dies; then cache; db, within its promise, is the last though
 * it is the largest. Fractions are compared by cross-multiplication, in pages.
 *
 * Limits:
 * - a promise is what the file says, not what the parents can keep of it: below a
 *   parent without memory.low a child's promise is worth nothing to reclaim, but
 *   counts here, among its siblings;
 * - a tenant that was promised nothing dies before one that was promised much and
 *   takes ten times that; among those promised nothing the larger usage dies;
 * - usage and promises beyond 8 TB count as 8 TB, "max" among them.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

#define PAGES_SHIFT	12
#define PAGES_MOST	0x80000000ULL	/* its square fits in 64 bits */

static __always_inline __u64 clamp(__u64 pages)
{
	return pages < PAGES_MOST ? pages : PAGES_MOST;
}

/* One more than the pages, so that no promise is not taken for not looked up. */
static __always_inline __u64 promise(__u64 scratch, struct cgroup *cgrp)
{
	struct mem_cgroup *memcg;
	__u64 min, low;

	if (scratch)
		return scratch;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (!memcg)
		return 1;
	min = memcg->memory.min;
	low = memcg->memory.low;
	bpf_put_mem_cgroup(memcg);
	return 1 + clamp(min > low ? min : low);
}

SEC("oom_policy")
int protection(struct bpf_oom_ctx *ctx)
{
	__u64 used_1 = clamp(ctx->usage_1 >> PAGES_SHIFT);
	__u64 used_2 = clamp(ctx->usage_2 >> PAGES_SHIFT);
	__u64 promise_1 = promise(ctx->scratch_1, ctx->cgroup_1);
	__u64 promise_2 = promise(ctx->scratch_2, ctx->cgroup_2);
	__u64 excess_1 = used_1 * (promise_2 - 1);
	__u64 excess_2 = used_2 * (promise_1 - 1);

	ctx->scratch_1 = promise_1;
	ctx->scratch_2 = promise_2;

	if (excess_1 == excess_2)
		return BPF_OOM_EQUAL;
	return excess_1 > excess_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
