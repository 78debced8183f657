// SPDX-License-Identifier: GPL-2.0-only
/*
 * psi_kill: the kill of the monitor of the same name, and nothing else.
 *
 * A program of type "syscall" runs when user space asks for it, in one system
 * call. All of the decision is behind bpf_oom_policy_kill(): who dies is up to the
 * policies attached to the scope, or to oom_badness() where there are none.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int bpf_oom_policy_kill(__u64 cgroup_id, __u64 flags) __ksym;

/* Set by the monitor, before each kill. */
__u64 scope_id;

SEC("syscall")
int kill_one(void *ctx)
{
	(void)ctx;
	return bpf_oom_policy_kill(scope_id, 0);
}

char _license[] SEC("license") = "GPL";
