// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies that no operator should attach, for the tools that are to say so.
 */
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

/* No agent's: its values are of another size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u32);
} oom_priority SEC(".maps");

/* Stone, paper, scissors: 0 loses to 1 loses to 2 loses to 0. */
SEC("oom_policy")
int circle(struct bpf_oom_ctx *ctx)
{
	const __u64 hand_1 = ctx->priority_1, hand_2 = ctx->priority_2;

	switch ((hand_1 + 3 - hand_2) % 3) {
	case 0:
		return BPF_OOM_EQUAL;
	case 1:
		return BPF_OOM_SECOND;
	default:
		return BPF_OOM_FIRST;
	}
}

SEC("oom_policy")
int always_first(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_FIRST;
}

SEC("oom_policy")
int always_abstain(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_ABSTAIN;
}
