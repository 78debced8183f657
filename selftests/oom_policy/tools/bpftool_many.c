// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "bpftool oom" takes where there are many siblings, by what can be counted: its
 * system calls, none of which is for a sibling that is not shown, and the calls of the
 * program, which are as few as an order can be had for. bench_scale has the times.
 *
 * The machine must have no cgroups but these.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "says.h"

#define GLOBALS		"/tests/globals.bpf.o"
#define FEW		8
#define MANY		256
#define LOG2_MANY	8
#define MULTIPLIER	"0x9e3779b97f4a7c15"	/* ids in disorder */

/* Of readdir(), of memory, of a longer output: for all of them together. */
#define SOME_MORE	24

/* One in each cgroup. */
static pid_t pids[MANY];

static int populate(int n)
{
	char path[32], text[16];
	pid_t pid;

	snprintf(path, sizeof(path), "W/s%d", n);
	if (cgroup_make(path))
		return -1;
	pid = fork();
	if (!pid) {
		for (;;)
			pause();
	}
	pids[n] = pid;
	snprintf(text, sizeof(text), "%d", pid);
	return pid < 0 || set_oom_score_adj(pid, 0) ? -1 :
	       cgroup_write(path, "cgroup.procs", text);
}

/* System calls of a command, with those of what it starts; -1 if it fails. */
static long count_syscalls(const char *command)
{
	char line[512];
	int status, signo;
	long calls = 0;
	pid_t pid;

	snprintf(line, sizeof(line), "exec %s >/tmp/said 2>&1", command);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	/* A stop at each end of a call. */
	while (WIFSTOPPED(status)) {
		signo = WSTOPSIG(status);
		calls += signo == SIGTRAP;
		if (ptrace(PTRACE_SYSCALL, pid, NULL, signo == SIGTRAP ? 0L : (long)signo) ||
		    waitpid(pid, &status, 0) != pid)
			return -1;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? calls / 2 : -1;
}

/* How often the attached program has been called. */
static __u64 count_calls(void)
{
	shell("bpftool -j prog show name by_globals | jq '.run_cnt // 0'");
	return strtoull(shell_output, NULL, 10);
}

FIXTURE(many)
{
	int stats;
};

FIXTURE_SETUP(many)
{
	int n;

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, cgroup_make("W"));
	ASSERT_EQ(0, cgroup_enable_memory("W"));
	for (n = 0; n < FEW; n++)
		ASSERT_EQ(0, populate(n));
	self->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	ASSERT_LE(0, self->stats);
	ASSERT_EQ(0, shell("bpftool oom attach " GLOBALS " / set multiplier=" MULTIPLIER))
		TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(many)
{
	char path[32];
	int n;

	shell("bpftool oom detach /");
	close(self->stats);
	for (n = 0; n < MANY; n++) {
		snprintf(path, sizeof(path), "W/s%d", n);
		if (pids[n] > 0) {
			kill(pids[n], SIGKILL);
			waitpid(pids[n], NULL, 0);
			cgroup_remove(path);
		}
		pids[n] = 0;
	}
	cgroup_remove("W");
}

FIXTURE_VARIANT(many)
{
	const char *command;
	__u64 most;	/* calls of the program */
	long more;	/* system calls that are for each */
};

FIXTURE_VARIANT_ADD(many, rank)
{
	.command = "bpftool oom rank W top 4",
	.most = MANY * LOG2_MANY,
};

FIXTURE_VARIANT_ADD(many, rank_of_what_is_supposed)
{
	.command = "bpftool oom rank W with W=5 top 4",
	.most = MANY * LOG2_MANY,
};

FIXTURE_VARIANT_ADD(many, select)
{
	.command = "bpftool oom select top 4",
	.most = MANY - 1,
};

FIXTURE_VARIANT_ADD(many, diff)
{
	.command = "bpftool oom diff with W=5 top 4",
	.most = 2 * MANY * LOG2_MANY,
};

/*
 * 64 of them, both ways round, a row at a time and two calls for it; and whether there are
 * any children below one takes three calls.
 */
FIXTURE_VARIANT_ADD(many, check)
{
	.command = "bpftool oom check W",
	.most = 64 * 63,
	.more = 2 * 64 + 3 * MANY,
};

TEST_F_TIMEOUT(many, takes, TEST_TIMEOUT_S)
{
	long few, many;
	__u64 before;
	int n;

	few = count_syscalls(variant->command);
	ASSERT_LT(0, few);
	for (n = FEW; n < MANY; n++)
		ASSERT_EQ(0, populate(n));
	before = count_calls();
	many = count_syscalls(variant->command);
	ASSERT_LT(0, many);
	TH_LOG("%s: %ld system calls for %d siblings, %ld for %d; %llu calls", variant->command,
	       few, FEW, many, MANY, count_calls() - before);
	EXPECT_GE(few + SOME_MORE + variant->more, many);
	EXPECT_GE(variant->most, count_calls() - before);
	EXPECT_LE((__u64)FEW, count_calls() - before);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
