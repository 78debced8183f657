// SPDX-License-Identifier: GPL-2.0-only
/*
 * biggest: the workload with the largest footprint dies, wherever it is.
 *
 * The idea is that of the cgroup-aware OOM killer proposed in 2017: compare whole
 * workloads instead of processes, by the memory that goes away with them. A
 * workload is a leaf of the tree, or a memcg with memory.oom.group set, which
 * counts with all that is below it. Its footprint is what cannot be dropped while
 * it lives: anonymous memory (with shmem), unevictable pages, unreclaimable slab,
 * kernel stacks, socket buffers, swap. Page cache does not count: it is reclaimed
 * before anybody is killed.
 *
 *                     /                  footprint     usage
 *             ________|________
 *            |        |        |         x   40 MB     40 MB
 *            A        B      cache       y   30 MB     30 MB
 *          /   \                         B   50 MB     50 MB
 *         x     y                        cache 5 MB   200 MB, 195 of it page cache
 *
 * Siblings and the tree: going down by the siblings' own sums would take A (70)
 * and then x (40), and miss B. So a candidate is not worth its sum, but the
 * footprint of the largest workload in its subtree, which an iterator finds:
 * max(40, 30) for A, 50 for B, 5 for cache. Level 1 takes B. Whatever the depth,
 * the path that maxima show ends at the largest workload of the whole scope, so
 * that the descent is the tree-wide search.
 *
 * Tasks in the root cgroup are one more workload if the policy is attached with
 * the flag root_tasks. They have no statistics of their own: what counts is their
 * resident memory, page tables and swap.
 *
 * Where the victim is another one than the tree-wide search of 2017 takes:
 * - R1, nobody to kill: that search passes over a workload without a killable
 *   task. A policy is not told about tasks. It goes there first, and the kernel
 *   then takes the next best below the same parent, and so on upwards: not the
 *   next best of the tree.
 * - R2, ties: equal footprints go by the siblings' usage, not by the order of the
 *   tree. Footprints have a resolution of a page.
 * - R3, nothing on the account: a workload of footprint 0, as of tasks that were
 *   moved here and own nothing yet, was no candidate; here it is the last one.
 *
 * Limits:
 * - the statistics are as of their last flush, due every two seconds, and a policy
 *   cannot ask for one: what was allocated since then does not count. A tenant that
 *   fills the machine in less time is not seen; usage, by which protection and
 *   tenant_prio go, is exact;
 * - each level costs a walk over everything below the siblings;
 * - a large job dies because it is large. Combine it with priorities if that is
 *   not wanted: see tenant_prio.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

#define state(memcg, type, item) \
	bpf_mem_cgroup_page_state(memcg, bpf_core_enum_value(enum type, item))

static __u64 footprint(struct mem_cgroup *memcg)
{
	return state(memcg, node_stat_item, NR_INACTIVE_ANON) +
	       state(memcg, node_stat_item, NR_ACTIVE_ANON) +
	       state(memcg, node_stat_item, NR_UNEVICTABLE) +
	       state(memcg, node_stat_item, NR_SLAB_UNRECLAIMABLE_B) +
	       state(memcg, node_stat_item, NR_KERNEL_STACK_KB) +
	       state(memcg, memcg_stat_item, MEMCG_SOCK) +
	       state(memcg, memcg_stat_item, MEMCG_SWAP);
}

/* For the memory controller, which need not be enabled all the way down. */
static bool is_leaf(const struct cgroup *cgrp)
{
	const __u16 memory = 1 << bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

	return !cgrp->nr_descendants || !(cgrp->subtree_ss_mask & memory);
}

static __u64 workload(struct cgroup_subsys_state *css)
{
	struct mem_cgroup *memcg;
	__u64 size = 0;

	if (!is_populated(css->cgroup))
		return 0;
	memcg = bpf_get_mem_cgroup(css);
	if (!memcg)
		return 0;
	if (memcg->oom_group || is_leaf(css->cgroup))
		size = footprint(memcg);
	bpf_put_mem_cgroup(memcg);
	return size;
}

static __u64 largest(struct cgroup *top)
{
	struct cgroup_subsys_state *css;
	__u64 most = 0, size;

	bpf_for_each(css, css, &top->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		size = workload(css);
		if (size > most)
			most = size;
	}
	return most;
}

/* One more than the size, so that nothing found is not taken for not looked up. */
static __always_inline __u64 worth(__u64 scratch, struct cgroup *cgrp, __u64 usage, __u64 swap)
{
	if (scratch)
		return scratch;
	return 1 + (cgrp->level ? largest(cgrp) : usage + swap);
}

SEC("oom_policy")
int biggest(struct bpf_oom_ctx *ctx)
{
	__u64 worth_1 = worth(ctx->scratch_1, ctx->cgroup_1, ctx->usage_1, ctx->swap_1);
	__u64 worth_2 = worth(ctx->scratch_2, ctx->cgroup_2, ctx->usage_2, ctx->swap_2);

	ctx->scratch_1 = worth_1;
	ctx->scratch_2 = worth_2;

	if (worth_1 == worth_2)
		return BPF_OOM_EQUAL;
	return worth_1 > worth_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
