/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all of these programs share: waiting for something to happen, files, and what
 * a process is allowed and spared.
 *
 * Functions returning int give 0 or -1 with the reason already on stderr, as
 * KTAP diagnostics, unless they say otherwise; so it is in all of this folder.
 */
#ifndef SELFTESTS_OOM_POLICY_HELPERS_H
#define SELFTESTS_OOM_POLICY_HELPERS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/types.h>

#define MEGABYTE	(1024L * 1024)

/*
 * Far beyond what an emulated machine full of checks needs on a busy host: reaching
 * it is a failure.
 */
#define DEADLINE_S	100

/* The harness' own time-out, for tests that wait for more than one thing. */
#define TEST_TIMEOUT_S	(4 * DEADLINE_S)

time_t now_s(void);
void nap(void);

/* Looks again and again until @cond is true; false when the deadline passes. */
#define wait_until(cond) ({						\
	const time_t __end = now_s() + DEADLINE_S;			\
	bool __met;							\
									\
	while (!(__met = (cond)) && now_s() < __end)			\
		nap();							\
	__met;								\
})

/*
 * For what takes as long as there is much to do: false when @sign, a number that grows
 * with what has been done, stands still until the deadline passes.
 */
#define wait_while_moving(cond, sign) ({				\
	long __last = 0, __now;						\
	time_t __end = 0;						\
	bool __met;							\
									\
	while (!(__met = (cond))) {					\
		__now = (sign);						\
		if (!__end || __now != __last)				\
			__end = now_s() + DEADLINE_S;			\
		else if (now_s() >= __end)				\
			break;						\
		__last = __now;						\
		nap();							\
	}								\
	__met;								\
})

#define diag(fmt, ...)	fprintf(stderr, "# " fmt "\n", ##__VA_ARGS__)

int write_file(const char *path, const char *text);

int set_oom_score_adj(pid_t pid, int adj);

/* The OOM killer must look elsewhere, whatever this process and its children do. */
int protect_self(void);

/*
 * This process and all that it descends from are out of the OOM killer's reach:
 * for tests that let it choose among the tasks of the root cgroup.
 */
int protect_ancestors(void);

/* Keeps the named capabilities and no other. */
#define CAP(name)	(1ULL << CAP_##name)
#define ALL_CAPS	((1ULL << (CAP_LAST_CAP + 1)) - 1)
int keep_capabilities(__u64 caps);

/*
 * A child that runs @main and dies with its parent. Returns when it has written a byte
 * to @ready_fd; -1 if it does not. Each BUSY that it writes before gives it more time.
 */
#define BUSY	'b'
pid_t child_start(int (*main)(const void *arg, int ready_fd), const void *arg,
		  const char *who);

/* 'R', 'S', 'D', 'T', 'Z': as /proc tells; '?' if there is no such process. */
char process_state(pid_t pid);

/* 0 is this process. */
int run_on(pid_t pid, int cpu);

/* A child is dead, and still to be waited for. */
bool has_ended(pid_t pid);

/* Exit status of a child, -1 if it was killed or does not end. */
int wait_exit(pid_t pid);

/* Whether OOM policies are a module's here, which cannot do all that a kernel can. */
bool by_module(void);

/*
 * bpf(2) as libbpf calls it: where OOM policies are a module's, what is about them is
 * said to that. Else the system call.
 */
int oom_policy_bpf(enum bpf_cmd cmd, union bpf_attr *attr, unsigned int size);

#endif /* SELFTESTS_OOM_POLICY_HELPERS_H */
