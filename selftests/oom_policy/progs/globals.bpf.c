// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy that goes by its global variables, one of each kind that can be set. As it
 * stands, the cgroup with the lower id dies first. One that is in the map
 * "seen" is worth 0.
 */
#include <stdbool.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} seen SEC(".maps");

enum order {
	BY_ID,
	BY_USAGE,
};

enum order order;
__u64 multiplier = 1;
__s8 sign = 1;
bool backwards;
char mood[8] = "sure";
struct {
	int x;
} odd;

static __u64 value(__u64 id, __u64 usage)
{
	if (bpf_map_lookup_elem(&seen, &id))
		return 0;
	return order == BY_USAGE ? usage : id * multiplier;
}

SEC("oom_policy")
int by_globals(struct bpf_oom_ctx *ctx)
{
	__u64 a = value(ctx->cgroup_id_1, ctx->usage_1);
	__u64 b = value(ctx->cgroup_id_2, ctx->usage_2);

	if (mood[0] == 'u' || odd.x)
		return BPF_OOM_ABSTAIN;
	if (a == b)
		return BPF_OOM_EQUAL;
	return (a < b) != (backwards != (sign < 0)) ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}
