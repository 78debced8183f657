// SPDX-License-Identifier: GPL-2.0-only
/* A policy that the verifier refuses: it reads behind the end of its context. */
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

SEC("oom_policy")
int reads_too_far(struct bpf_oom_ctx *ctx)
{
	return *(int *)((char *)ctx + 4096) & BPF_OOM_ABSTAIN;
}
