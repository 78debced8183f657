// SPDX-License-Identifier: GPL-2.0-only
/*
 * tenant_prio: strict priorities between sibling tenants.
 *
 * The idea: every cgroup has a priority among its siblings, and the sibling
 * with the lowest one dies first. Memory use counts only among equals. So the
 * order in which tenants go is known before there is a shortage, and a tenant
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
 * Worked through: /prod/db uses 160 MB and /besteffort/job2 20 MB, and the
 * machine runs out of memory. Level 1 takes two calls: prod (100) against batch
 * (0) gives batch, batch against besteffort (-100) gives besteffort. Level 2
 * takes two more: job1 (30) against job2 (10) gives job2, job2 against job3 (20)
 * gives job2 again. job2 dies. Were it not enough, the next shortage would take
 * job3, then job1, and only then something below batch: etl or ml, both 0,
 * whichever uses more.
 *
 * The floor: a thousand tiny jobs of the lowest priority would all die, one per
 * shortage, before anything that could end it. With a floor, a tenant that holds
 * less is passed over as long as one that holds more is among its siblings: of
 * those above the floor the lowest priority dies, and only when all are below it,
 * the lowest of them. With a floor of 15 MB and job2 at 4 MB, job1 at 30 MB and
 * job3 at 20 MB, level 2 gives job3: the next priority with something to give.
 *
 * Priorities live in the map oom_priority: cgroup id -> priority, higher is
 * safer, a cgroup that is not in it has 0. Whoever may write the map may change
 * them while the policy runs.
 *
 * Limits:
 * - a priority orders siblings only: a job with priority 1000 below besteffort
 *   still dies before anything below batch;
 * - without a floor the victim may be small: as many shortages, so many kills.
 *   With one, a precious tenant dies where all others are too small to help;
 * - entries of removed cgroups stay until somebody deletes them. They do no
 *   harm, as cgroup ids are not used again, but the map has room for 16,384.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

/* Preallocated: writing a priority must not need memory when there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __s64);
} oom_priority SEC(".maps");

/* Bytes; 0: no floor. The loader sets it. */
__u64 oom_floor;

/*
 * A priority with its sign bit turned over sorts as an unsigned number. A scratch
 * word of zero means "not looked up yet"; the only priority that becomes zero is
 * the lowest possible one, which is then looked up every time: slower, not wrong.
 */
static __always_inline __u64 rank(__u64 *scratch, const __u64 *cgroup_id)
{
	__s64 *priority;
	__u64 key;

	if (!*scratch) {
		key = *cgroup_id;
		priority = bpf_map_lookup_elem(&oom_priority, &key);
		*scratch = (priority ? *priority : 0) ^ (1ULL << 63);
	}
	return *scratch;
}

static __always_inline bool is_tiny(__u64 usage, __u64 swap)
{
	return usage + swap < oom_floor;
}

SEC("oom_policy")
int tenant_prio(struct bpf_oom_ctx *ctx)
{
	__u64 rank_1 = rank(&ctx->scratch_1, &ctx->cgroup_id_1);
	__u64 rank_2 = rank(&ctx->scratch_2, &ctx->cgroup_id_2);

	if (oom_floor &&
	    is_tiny(ctx->usage_1, ctx->swap_1) != is_tiny(ctx->usage_2, ctx->swap_2))
		return is_tiny(ctx->usage_1, ctx->swap_1) ? BPF_OOM_SECOND : BPF_OOM_FIRST;
	if (rank_1 < rank_2)
		return BPF_OOM_FIRST;
	return rank_1 > rank_2 ? BPF_OOM_SECOND :
				 BPF_OOM_EQUAL;	/* the kernel takes the larger one */
}

char _license[] SEC("license") = "GPL";
