// SPDX-License-Identifier: GPL-2.0-only
/*
 * leaf_prio: priorities of leaves, from an agent that knows nothing else.
 *
 * The idea: an agent writes the priorities of containers, and of nothing above them,
 * into a map: the Katalyst agent of kubewharf does. Whoever goes by these alone finds
 * ties at every level above, which usage breaks. So a cgroup ranks by the lowest
 * priority at or below it:
 *
 *                         kubepods -100
 *              _______________|________________
 *             |               |                |
 *       besteffort -100   burstable 0       podC 100      level 1: besteffort
 *             |               |                |
 *         podA -100        podB 0              |          level 2: podA
 *             |               |                |
 *          c -100            c 0            c 100         level 3: its container
 *          10 MB            20 MB          100 MB
 *
 * Worked through: only the three numbers at the bottom are written. By usage podC would
 * die at level 1; by its leaves besteffort does, the one with the lowest of them. What
 * has an entry of its own counts by that, whatever is below it: a container may have
 * cgroups of its own. Below a cgroup without any entry there is none to count: 0. What
 * has none among others that have, as the pause of a pod, does not count above it; among
 * its siblings it has 0.
 *
 * The agent and the map: a hash, u64 cgroup id -> s64, higher is safer, missing is 0.
 *
 *	bpftool oom attach leaf_prio.bpf.o / map oom_priority pin /sys/fs/bpf/oom_priority
 *
 * What it has to do is in Documentation/bpf/prog_oom_policy_agents.rst.
 *
 * Limits:
 * - a cgroup that was made a moment ago has what the map says: nothing. tenant_prio
 *   goes by a file that comes with the cgroup;
 * - each candidate without an entry is searched once at each level, as long as it is
 *   among those that are compared;
 * - entries of removed cgroups stay until the agent deletes them. They do no harm, as
 *   cgroup ids are not used again, but the map has room for 16,384.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

#define NOWHERE	0x7fffffff

/* Preallocated: writing a priority must not need memory when there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __s64);
} oom_priority SEC(".maps");

static __s64 *entry_of(const struct cgroup *cgrp)
{
	__u64 id = cgrp->kn->id;

	return bpf_map_lookup_elem(&oom_priority, &id);
}

/* A parent comes before all that is below it. */
static __s64 lowest(struct cgroup *top)
{
	struct cgroup_subsys_state *css;
	int covered = NOWHERE, level;
	bool found = false;
	__s64 *entry, least = 0;

	entry = entry_of(top);
	if (entry)
		return *entry;

	bpf_for_each(css, css, &top->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		level = css->cgroup->level;
		if (level > covered)
			continue;	/* below one that has an entry */
		covered = NOWHERE;
		if (!is_populated(css->cgroup))
			continue;
		entry = entry_of(css->cgroup);
		if (!entry)
			continue;
		covered = level;
		if (!found || *entry < least)
			least = *entry;
		found = true;
	}
	return least;
}

/*
 * A priority with its sign bit turned over sorts as an unsigned number. A scratch word of
 * zero means "not looked up yet"; the only priority that becomes zero is the lowest
 * possible one, which is then looked up every time: slower, not wrong.
 */
static __always_inline __u64 rank(__u64 scratch, struct cgroup *cgrp)
{
	return scratch ?: (__u64)(cgrp->level ? lowest(cgrp) : 0) ^ (1ULL << 63);
}

SEC("oom_policy")
int leaf_prio(struct bpf_oom_ctx *ctx)
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
