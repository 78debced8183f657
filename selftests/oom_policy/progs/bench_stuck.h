/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/bench_stuck.bpf.c and its user tell each other about one event. */
#ifndef SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H
#define SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H

struct stuck_event {
	__u64 threshold_ns;	/* written by the user */
	__u64 killed_ns;	/* the first SIGKILL to a tenant */
	__u64 allocations;	/* of the killer, between the two */
	__u64 reclaims;
	__u64 faults;
	__u32 by_killer;	/* it was the killer's, not an OOM's */
	__u32 precious;		/* processes of the precious tenants that were killed */
};

#endif /* SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H */
