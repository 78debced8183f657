/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks that hold memory in a cgroup, and do nothing. */
#ifndef SELFTESTS_OOM_POLICY_TASKS_H
#define SELFTESTS_OOM_POLICY_TASKS_H

#include <stdbool.h>
#include <sys/types.h>

struct task {
	const char *path;
	int megabytes;
	int adj;	/* oom_score_adj */
	bool shared;	/* in memory that the OOM reaper cannot take */
	bool moved;	/* allocated before it came here: the cgroup is charged nothing */
	bool threads;	/* it has a second thread */
};

/* Returns when it has its memory; -1 if it does not get it. */
pid_t task_start(const struct task *task);
pid_t task_start_in(const char *path, int megabytes, int adj);

#endif /* SELFTESTS_OOM_POLICY_TASKS_H */
