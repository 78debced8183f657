// SPDX-License-Identifier: GPL-2.0-only
/*
 * inherit: priorities that children inherit, and that vanish with their cgroup.
 *
 * The idea: strict priorities as in tenant_prio, but inherited, and kept in the
 * cgroup's own storage. A cgroup that was given none has that of its nearest ancestor
 * with one, and without any such 0. A priority goes away with its cgroup, so that
 * nobody has to clean up a map, and there is no limit on how many there are.
 *
 *                       /
 *              _________|_________
 *             |                   |
 *           prod 100           batch -          level 1: batch (0)
 *         /    |    \          /     \
 *       db    web  canary     etl    ml         level 2: ml
 *       -      -     50       10     -
 *
 * Worked through: prod has 100, batch none up to the root: 0, batch loses. Below
 * it etl has 10 of its own and ml inherits nothing: 0. ml dies. Were prod the
 * scope, db and web would have inherited 100 and canary would die with its 50; in
 * tenant_prio, where nothing is inherited, db and web had 0 and died first.
 *
 * The map takes an open directory of the cgroup for a key. From a shell:
 *
 *	bpftool oom attach /usr/lib/oom_policy/inherit.bpf.o pin /sys/fs/bpf/inherit
 *	exec 3</sys/fs/cgroup/prod
 *	bpftool map update name oom_inherit key hex 03 00 00 00 \
 *		value hex 64 00 00 00 00 00 00 00
 *
 * Limits:
 * - as in tenant_prio a priority orders siblings only;
 * - siblings that inherit have inherited the same: among them usage decides;
 * - of ancestors more than 32 levels up nothing is inherited.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

#define MAX_LEVELS	32

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __s64);
} oom_inherit SEC(".maps");

static __s64 inherited(struct cgroup *cgrp)
{
	int level = cgrp->level, i;
	struct cgroup *ancestor;
	__s64 *own, found = 0;

	for (i = 0; i < MAX_LEVELS && i <= level; i++) {
		ancestor = bpf_cgroup_ancestor(cgrp, level - i);
		if (!ancestor)
			break;
		own = bpf_cgrp_storage_get(&oom_inherit, ancestor, NULL, 0);
		if (own)
			found = *own;
		bpf_cgroup_release(ancestor);
		if (own)
			break;
	}
	return found;
}

/* As in leaf_prio: a priority that sorts as an unsigned number, zero if unknown. */
static __always_inline __u64 rank(__u64 scratch, struct cgroup *cgrp)
{
	return scratch ?: (__u64)inherited(cgrp) ^ (1ULL << 63);
}

SEC("oom_policy")
int inherit(struct bpf_oom_ctx *ctx)
{
	__u64 rank_1 = rank(ctx->scratch_1, ctx->cgroup_1);
	__u64 rank_2 = rank(ctx->scratch_2, ctx->cgroup_2);

	ctx->scratch_1 = rank_1;
	ctx->scratch_2 = rank_2;

	if (rank_1 == rank_2)
		return BPF_OOM_EQUAL;
	return rank_1 < rank_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
