// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies that answer whatever a table says: each cgroup has a colour, and each
 * program a verdict for every two colours. So a program is a priority, a circle
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

__u8 verdicts[FUZZ_PROGS][FUZZ_COLOURS][FUZZ_COLOURS];

static int judge(struct bpf_oom_ctx *ctx, __u32 prog)
{
	__u64 id_1 = ctx->cgroup_id_1, id_2 = ctx->cgroup_id_2;
	__u32 *first = bpf_map_lookup_elem(&colours, &id_1);
	__u32 *second = bpf_map_lookup_elem(&colours, &id_2);

	if (!first || !second)
		return BPF_OOM_EQUAL;
	return verdicts[prog][*first % FUZZ_COLOURS][*second % FUZZ_COLOURS] & 3;
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
