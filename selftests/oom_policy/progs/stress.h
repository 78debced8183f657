/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/stress.bpf.c and the stress test share. */
#ifndef SELFTESTS_OOM_POLICY_STRESS_BPF_H
#define SELFTESTS_OOM_POLICY_STRESS_BPF_H

/* Tenants by rising priority; what the judge cannot place is nobody's. */
enum {
	NOBODYS,
	LOW,
	T0,
	T1,
	T2,
	RESERVE,
	PRECIOUS,
	NR_TENANTS
};

/* What an OOM was, by who asked for it. */
enum {
	BY_SYSRQ,
	BY_MACHINE,
	BY_MEMCG,
	NR_KINDS
};

#endif /* SELFTESTS_OOM_POLICY_STRESS_BPF_H */
