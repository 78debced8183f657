/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/bench.bpf.c notes; times in ns, which are instructions in the bench. */
#ifndef SELFTESTS_OOM_POLICY_BENCH_EVENT_H
#define SELFTESTS_OOM_POLICY_BENCH_EVENT_H

/* One OOM event. What is not traced stays zero. */
struct bench_event {
	__u64 task;		/* that selects, while it does */
	__u64 entered;		/* out_of_memory() */
	__u64 chosen;		/* a victim goes to oom_kill_process() */
	__u64 killed;		/* SIGKILL is on its way */
	__u64 left;
	__u64 allocated;	/* objects and pages, from entered to chosen */
};

/* One walk of the whole tree. */
struct bench_walk {
	__u64 root_id;
	__u64 ns;
	__u64 leaves;
	__u64 most_id;
	__u64 most;
};

#endif /* SELFTESTS_OOM_POLICY_BENCH_EVENT_H */
