// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy that has its types from vmlinux.h and from the header of policies: whose name
 * comes last in the alphabet dies first.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf_oom_policy.h>

char _license[] SEC("license") = "GPL";

static char initial(struct cgroup *cgrp)
{
	char name[2] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(cgrp, kn, name));
	return name[0];
}

SEC("oom_policy")
int last_in_alphabet(struct bpf_oom_ctx *ctx)
{
	char a = initial(ctx->cgroup_1), b = initial(ctx->cgroup_2);

	if (a == b)
		return BPF_OOM_EQUAL;
	return a > b ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}
