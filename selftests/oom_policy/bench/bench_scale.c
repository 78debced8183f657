// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ten thousand siblings, and a hundred cgroups with a hundred children each: what "rank",
 * "select" and "check" take, against what reading each memory.current takes in the same
 * run, and that they are right. Where the clock ticks once for each instruction, which is
 * what "make bench-tools" boots, the ratio is one of instructions.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "says.h"
#include "tree.h"

#define GLOBALS		"/tests/globals.bpf.o"
#define MULTIPLIER	0x9e3779b97f4a7c15ULL	/* ids in disorder */
#define NR_WIDE		10000
#define NR_OUTER	100
#define NR_INNER	100
#define TOP		200

/* Time to be made good use of: what is measured is not one long sleep. */
#define TIMEOUT_S	3000

static char paths[NR_WIDE][32];
static __u64 ids[NR_WIDE];
static pid_t pids[NR_WIDE];
static int nr;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A cgroup with a process in it. */
static int populate(const char *path)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;
	int fd;

	if (cgroup_make(path))
		return -1;
	fd = cgroup_open(path);
	args.cgroup = fd;
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	close(fd);
	if (pid < 0)
		return -1;
	snprintf(paths[nr], sizeof(paths[nr]), "%s", path);
	ids[nr] = cgroup_id(path);
	pids[nr++] = pid;
	return 0;
}

static void remove_all(void)
{
	int n;

	for (n = 0; n < nr; n++)
		kill(pids[n], SIGKILL);
	for (n = 0; n < nr; n++) {
		waitpid(pids[n], NULL, 0);
		cgroup_remove(paths[n]);
	}
	nr = 0;
}

/* What a tool takes that reads one file of each. */
static double read_all(void)
{
	char path[128], text[32];
	double start = now();
	int n, fd;

	for (n = 0; n < nr; n++) {
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s/memory.current", paths[n]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			return -1;
		close(fd);
	}
	return now() - start;
}

static void takes(struct __test_metadata *_metadata, const char *command, double most)
{
	double start, reading, took;

	reading = read_all();
	ASSERT_LT(0, reading);
	start = now();
	runs(_metadata, 0, "%s >/tmp/said 2>&1", command);
	took = now() - start;
	TH_LOG("%s: %.2f s, %.2f times the %.2f s of reading %d files", command, took,
	       took / reading, reading, nr);
	EXPECT_GT(most * reading, took);
}

static int compare_hashes(const void *a, const void *b)
{
	const __u64 hash_a = *(const __u64 *)a * MULTIPLIER;
	const __u64 hash_b = *(const __u64 *)b * MULTIPLIER;

	return hash_a < hash_b ? -1 : hash_a > hash_b;
}

FIXTURE(wide)
{
};

FIXTURE_SETUP(wide)
{
	char path[32];
	int n;

	ASSERT_EQ(0, cgroup_make("W"));
	ASSERT_EQ(0, cgroup_enable_memory("W"));
	for (n = 0; n < NR_WIDE; n++) {
		snprintf(path, sizeof(path), "W/s%d", n);
		ASSERT_EQ(0, populate(path)) TH_LOG("%s: %m", path);
	}
	ASSERT_EQ(0, shell("bpftool oom attach " GLOBALS " / budget 10000000 set multiplier=%llu",
			   MULTIPLIER)) TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(wide)
{
	shell("rm -f /sys/fs/bpf/oom_policy_*");
	remove_all();
	cgroup_remove("W");
}

TEST_F_TIMEOUT(wide, siblings, TIMEOUT_S)
{
	char *word, *saved;
	int n;

	takes(_metadata, "bpftool oom rank W top 20", 3 / 1.8);
	takes(_metadata, "bpftool oom select / top 20", 1 / 1.8);
	takes(_metadata, "bpftool oom check /", 2);
	runs(_metadata, 0, "cat /tmp/said");
	says(_metadata, "/W: 10000 children, 64 of them looked at (pairs: 2016, ");

	qsort(ids, nr, sizeof(*ids), compare_hashes);
	runs(_metadata, 0, "bpftool -j oom rank W top %d | jq '.children[].cgroup_id'", TOP);
	for (n = 0, word = strtok_r(shell_output, "\n", &saved); word;
	     n++, word = strtok_r(NULL, "\n", &saved))
		ASSERT_EQ(ids[n], strtoull(word, NULL, 10)) TH_LOG("at place %d", n + 1);
	EXPECT_EQ(TOP, n);
	runs(_metadata, 0, "bpftool -j oom select / | jq .levels[1].winner_id");
	EXPECT_EQ(ids[0], strtoull(shell_output, NULL, 10));
}

FIXTURE(deep)
{
};

FIXTURE_SETUP(deep)
{
	char path[32];
	int n, m;

	for (n = 0; n < NR_OUTER; n++) {
		snprintf(path, sizeof(path), "D%d", n);
		ASSERT_EQ(0, cgroup_make(path));
		ASSERT_EQ(0, cgroup_enable_memory(path));
		for (m = 0; m < NR_INNER; m++) {
			snprintf(path, sizeof(path), "D%d/s%d", n, m);
			ASSERT_EQ(0, populate(path)) TH_LOG("%s: %m", path);
		}
	}
	ASSERT_EQ(0, shell("bpftool oom attach " GLOBALS " / budget 10000000 set multiplier=%llu",
			   MULTIPLIER)) TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(deep)
{
	char path[32];
	int n;

	shell("rm -f /sys/fs/bpf/oom_policy_*");
	remove_all();
	for (n = 0; n < NR_OUTER; n++) {
		snprintf(path, sizeof(path), "D%d", n);
		cgroup_remove(path);
	}
}

TEST_F_TIMEOUT(deep, tree, TIMEOUT_S)
{
	takes(_metadata, "bpftool oom rank / top 20", 3 / 1.8);
	takes(_metadata, "bpftool oom select / top 20", 1 / 1.8);
	/* Of 101 cgroups 64 children each: 400,000 comparisons, 4 million triples. */
	takes(_metadata, "bpftool oom check /", 8);
	runs(_metadata, 0, "grep -c '100 children, 64 of them looked at' /tmp/said");
	EXPECT_STREQ("101", shell_output);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
