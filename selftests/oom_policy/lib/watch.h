/* SPDX-License-Identifier: GPL-2.0-only */
/* A "bpftool oom monitor" in the background, for tests that have included the harness. */
#ifndef SELFTESTS_OOM_POLICY_WATCH_H
#define SELFTESTS_OOM_POLICY_WATCH_H

#include <stdbool.h>
#include <sys/wait.h>

#include "helpers.h"
#include "shell.h"

#define WATCHING	"watching OOM policies"

/* The last of its programs is attached. */
static inline bool monitor_runs(pid_t pid)
{
	return !shell("grep -q oom_policy_done /proc/%d/fdinfo/*", pid);
}

static inline void end_monitor(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

#endif /* SELFTESTS_OOM_POLICY_WATCH_H */
