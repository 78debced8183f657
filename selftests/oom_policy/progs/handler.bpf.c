// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler of OOMs that leaves to the kernel who is to die, and three that may not: one
 * that cannot sleep, one that has its event from elsewhere, and one without any.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"

char _license[] SEC("license") = "GPL";

extern int bpf_oom_policy_select(struct oom_control *oc) __ksym;

/* As the kernel's mm/oom_policy/tests/oom_handler.c has it. */
struct oom_policy_test_ops {
	int (*out_of_memory)(struct oom_control *oc);
};

/* Set by a test. */
__u32 questions = 1;	/* about each event */
__u32 kills = 1;	/* whom it has been told, or leaves that to the OOM killer */

/* Read by a test. */
__u32 nr_chosen;	/* answers that were a victim */
__u32 first_chosen;	/* of these, the first one's process */
int failed;		/* the last other answer */

SEC("struct_ops.s/out_of_memory")
int BPF_PROG(handle, struct oom_control *oc)
{
	int err = 0;
	__u32 i;

	for (i = 0; i < questions && i < 8; i++) {
		err = bpf_oom_policy_select(oc);
		if (err) {
			failed = err;
			return 0;
		}
		if (!nr_chosen++)
			first_chosen = oc->chosen->tgid;
	}
	return kills;
}

SEC(".struct_ops.link")
struct oom_policy_test_ops handler = {
	.out_of_memory = (void *)handle,
};

SEC("struct_ops/out_of_memory")
int BPF_PROG(cannot_sleep, struct oom_control *oc)
{
	return bpf_oom_policy_select(oc);
}

SEC("?.struct_ops.link")
struct oom_policy_test_ops hasty = {
	.out_of_memory = (void *)cannot_sleep,
};

SEC("struct_ops.s/out_of_memory")
int BPF_PROG(forged, struct oom_control *oc)
{
	struct oom_control made_up = {};

	return bpf_oom_policy_select(&made_up);
}

SEC("?.struct_ops.link")
struct oom_policy_test_ops forger = {
	.out_of_memory = (void *)forged,
};

SEC("?fentry/out_of_memory")
int BPF_PROG(onlooker, struct oom_control *oc)
{
	return bpf_oom_policy_select(oc);
}
