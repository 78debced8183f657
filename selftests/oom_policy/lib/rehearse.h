/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trying a policy without killing, by BPF_PROG_TEST_RUN. Functions give -1 with the
 * reason in errno.
 */
#ifndef SELFTESTS_OOM_POLICY_REHEARSE_H
#define SELFTESTS_OOM_POLICY_REHEARSE_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>

#define MAX_REHEARSED_STEPS	64
#define UNKNOWN_ID		0x10000000000	/* no cgroup has it */
#define NOWHERE			1		/* an address */

/* BPF_PROG_TEST_RUN as it is: 0 or a negative errno. */
int prog_test_run(union bpf_attr *attr);

struct rehearsed {
	int retval;
	struct bpf_oom_ctx victim;
	struct bpf_oom_step steps[MAX_REHEARSED_STEPS];
	int nr_steps;
	bool truncated;
};

/* A selection below @scope, a cgroup id. */
int rehearse_select(int prog_fd, __u64 scope, struct rehearsed *said);

/* The same, and no steps are asked for. */
int rehearse_victim(int prog_fd, __u64 scope, struct rehearsed *said);

/* One comparison. @ns: how long one of a few took; NULL: one is enough. */
int rehearse_compare(int prog_fd, __u64 id_1, __u64 id_2, __u32 *verdict, __u32 *ns);

#endif /* SELFTESTS_OOM_POLICY_REHEARSE_H */
