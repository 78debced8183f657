/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/policy.bpf.c tells the tests in its global variables. */
#ifndef SELFTESTS_OOM_POLICY_CALLS_H
#define SELFTESTS_OOM_POLICY_CALLS_H

#define MAX_CALLS	64
#define MAX_VICTIMS	16

/* One comparison, as the program saw it. */
struct call {
	__u64 id_1;
	__u64 id_2;
	__u64 usage_1;
	__u64 usage_2;
	__u64 scope_id;
	__u32 level;
	__u32 flags;
	__u32 verdict;
	__u32 fresh;	/* bit 0, 1: the candidate's scratch word was zero */
};

#endif /* SELFTESTS_OOM_POLICY_CALLS_H */
