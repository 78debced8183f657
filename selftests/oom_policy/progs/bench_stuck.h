/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/bench_stuck.bpf.c and its user tell each other about one event. */
#ifndef SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H
#define SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H

#define MAX_DEEDS	16384	/* a power of two */

/* What a killer did; the time of a deed has it in the lowest bits. */
enum {
	ALLOCATION,
	RECLAIM,
	FAULT,
	NR_DEEDS,
	DEED_MASK = 3
};

struct stuck_event {
	__u64 killed_ns;	/* the first SIGKILL to a tenant */
	__u32 by_killer;	/* it was the killer's, not an OOM's */
	__u32 precious;		/* it was the precious tenant's */
	__u64 nr_deeds;
	__u64 deeds[MAX_DEEDS];
};

#endif /* SELFTESTS_OOM_POLICY_BENCH_STUCK_BPF_H */
