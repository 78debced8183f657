// SPDX-License-Identifier: GPL-2.0-only
/*
 * On a machine with 10,000 processes in 1,000 memcgs the report of a policy's
 * kill is a page or two, and says who was chosen, at which level, against whom
 * and on what values.
 *
 * The machine must have no cgroups but these.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "kmsg.h"
#include "shell.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define NR_MEMCGS	1000
#define NR_TASKS	10	/* in each */
#define MAX_LINES	100
#define VICTIM		567
#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"

FIXTURE(report_length)
{
	pid_t leader;	/* of all processes */
};

static void path_of(int n, char *path, size_t size)
{
	snprintf(path, size, "job%03d", n);
}

/* Ends when the leader does, and may be killed. */
static void task_main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/*
 * A process that goes from memcg to memcg and leaves children there. It gives no
 * signal of life but by ready_fd.
 */
static int leader_main(int ready_fd)
{
	char path[16];
	int n, i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write_file("/proc/self/oom_score_adj", "0"))
		return 1;
	for (n = 0; n < NR_MEMCGS; n++) {
		path_of(n, path, sizeof(path));
		if (cgroup_write(path, "cgroup.procs", "0"))
			return 1;
		for (i = 0; i < NR_TASKS; i++) {
			const pid_t pid = fork();

			if (!pid)
				task_main();
			if (pid < 0)
				return 1;
		}
	}
	if (cgroup_write("", "cgroup.procs", "0") || write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

FIXTURE_SETUP(report_length)
{
	char path[16], byte;
	int n, fds[2];

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (n = 0; n < NR_MEMCGS; n++) {
		path_of(n, path, sizeof(path));
		ASSERT_EQ(0, cgroup_make(path));
	}
	ASSERT_EQ(0, pipe(fds));
	self->leader = fork();
	if (!self->leader)
		_exit(leader_main(fds[1]));
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &byte, 1));
	close(fds[0]);
}

FIXTURE_TEARDOWN(report_length)
{
	char path[16];
	int n;

	shell("bpftool oom detach /");
	kill(self->leader, SIGKILL);
	while (wait(NULL) > 0)
		;
	for (n = 0; n < NR_MEMCGS; n++) {
		path_of(n, path, sizeof(path));
		cgroup_remove(path);
	}
}

/*
 * Where the kernel itself holds more memory than the tasks do, as under
 * kmemleak, the report has a line for each slab cache, with or without a policy.
 */
static int count_slab_lines(const char *report)
{
	const char *line = strstr(report, "\nUnreclaimable slab info:\n");
	const char *end = strstr(report, "\noom_policy: scope ");
	int lines = 0;

	while (line && end && line < end) {
		lines++;
		line = strchr(line + 1, '\n');
	}
	return lines;
}

TEST_F_TIMEOUT(report_length, ten_thousand_tasks, 4 * TEST_TIMEOUT_S)
{
	char report[32768], path[16], winner[64];
	int fd, lines;

	path_of(VICTIM, path, sizeof(path));
	EXPECT_EQ(0, shell("bpftool oom attach " POLICY)) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, shell("bpftool oom priority set %s -1", path)) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, shell("[ $(ls -d /proc/[0-9]* | wc -l) -gt 10000 ]"));
	EXPECT_EQ(0, shell("bpftool oom select | tail -n 3")) TH_LOG("%s", shell_output);
	EXPECT_NE(NULL, strstr(shell_output, path));

	fd = kmsg_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raise_oom_sysrq());
	lines = kmsg_read_report(fd, report, sizeof(report));
	TH_LOG("%d lines, %d of them of slab caches", lines, count_slab_lines(report));
	EXPECT_LT(0, lines);
	EXPECT_GT(MAX_LINES, lines - count_slab_lines(report));

	snprintf(winner, sizeof(winner), "oom_policy: level 1: /%s (", path);
	EXPECT_NE(NULL, strstr(report, winner)) TH_LOG("%s", report);
	EXPECT_NE(NULL, strstr(report, "kB) rather than job"));
	EXPECT_NE(NULL, strstr(report, ", 1000 eligible, 999 compared by prog id "));
	EXPECT_NE(NULL, strstr(report, "oom_policy: scope /, prog tenant_prio, prog id "));
	close(fd);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
