/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/bench_slow.bpf.c tells of the victims in one cgroup. */
#ifndef SELFTESTS_OOM_POLICY_BENCH_SLOW_BPF_H
#define SELFTESTS_OOM_POLICY_BENCH_SLOW_BPF_H

struct victims {
	__u64 first_ns;		/* when the first one was killed */
	__u32 processes;
};

#endif /* SELFTESTS_OOM_POLICY_BENCH_SLOW_BPF_H */
