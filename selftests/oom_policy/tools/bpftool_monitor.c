// SPDX-License-Identifier: GPL-2.0-only
/*
 * "bpftool oom monitor": each event in a line, whatever its processes are called, nothing
 * lost without a word, and nothing left behind however it ends.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "tenants.h"
#include "watch.h"

/* More records than the monitor has room for while it stands still. */
#define NR_FALLBACKS	5000

static bool monitor_leaves_traces(void)
{
	return !shell("bpftool prog show | grep -E 'name oom_(fallback|select|mark) '") ||
	       !shell("bpftool link show | grep -E 'oom_policy_(fallback|select)'") ||
	       !shell("ls /sys/kernel/tracing/instances | grep .");
}

static void start_monitor(struct __test_metadata *_metadata, const char *command,
			  const char *output)
{
	ASSERT_LT(0, shell_start(command, output));
	ASSERT_TRUE(wait_until(file_has(output, WATCHING)));
}

TEST_F_TIMEOUT(bpftool, abstention_is_told, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 0, "bpftool oom attach pinned " PINS "/always_abstain / pin " PIN);
	runs(_metadata, 0, "bpftool oom compare prod batch");
	says(_metadata, "verdict: abstain, oom_badness() picks below /");
	runs(_metadata, 0, "bpftool oom rank");
	says(_metadata, "abstains between /prod and /batch: oom_badness() picks below /");
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, "no policy chose below: oom_badness() did");
	says(_metadata, " of /prod/db, ");

	start_monitor(_metadata, "exec bpftool oom monitor count 1", "/tmp/monitor");
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(file_has("/tmp/monitor", "fallback: abstain")));
	EXPECT_TRUE(file_has("/tmp/monitor", "scope /  victim /prod/db  task "));
}

TEST_F_TIMEOUT(bpftool, off_switch_is_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=0");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "switched off by vm.oom_policy_enabled");
	start_monitor(_metadata, "exec bpftool oom monitor count 1", "/tmp/monitor");
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(file_has("/tmp/monitor", "fallback: disabled")));
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=1");
}

TEST_F_TIMEOUT(bpftool, monitor_leaves_nothing_behind, TEST_TIMEOUT_S)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		pid = shell_start("exec bpftool oom monitor", "/tmp/monitor");
		ASSERT_LT(0, pid);
		ASSERT_TRUE(wait_until(file_has("/tmp/monitor", WATCHING)));
		EXPECT_TRUE(monitor_leaves_traces());
		EXPECT_EQ(0, kill(pid, signals[i]));
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(signals[i] == SIGKILL, WIFSIGNALED(status));
		EXPECT_TRUE(WIFSIGNALED(status) || !WEXITSTATUS(status));
		EXPECT_TRUE(wait_until(!monitor_leaves_traces()));
	}
}

struct named {
	const char *path;	/* of the cgroup */
	const char *name;
};

static int be_named(const void *arg, int ready_fd)
{
	const struct named *named = arg;

	if (set_oom_score_adj(getpid(), 0) || cgroup_write(named->path, "cgroup.procs", "0") ||
	    prctl(PR_SET_NAME, named->name) || write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* And their processes: one line for each event, and the name as it is in JSON. */
TEST_F_TIMEOUT(bpftool, names_of_processes_do_no_harm, TEST_TIMEOUT_S)
{
	const struct named named = { .path = "besteffort/empty", .name = "a\nb\tc\033d" };
	pid_t victim, plain, json;
	int status;

	attach_with_priorities(_metadata, &self->tree, "");
	victim = child_start(be_named, &named, "the victim");
	ASSERT_LT(0, victim);
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, " (a?b?c?d) of /besteffort/empty, oom_score_adj 0\n");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.comm");
	EXPECT_STREQ(named.name, shell_output);

	plain = shell_start("exec bpftool oom monitor count 1", "/tmp/monitor");
	json = shell_start("exec bpftool -j oom monitor count 1", "/tmp/monitor.json");
	ASSERT_TRUE(wait_until(monitor_runs(plain)));
	ASSERT_TRUE(wait_until(monitor_runs(json)));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_EQ(victim, waitpid(victim, &status, 0));
	end_monitor(_metadata, plain);
	end_monitor(_metadata, json);
	runs(_metadata, 0,
	     "grep -c '  victim /besteffort/empty  task a?b?c?d/%d  rss ' /tmp/monitor", victim);
	runs(_metadata, 0, "wc -l </tmp/monitor");
	EXPECT_STREQ("2", shell_output);
	runs(_metadata, 0, "jq -r .comm /tmp/monitor.json");
	EXPECT_STREQ(named.name, shell_output);
}

/* Each record is in the lines, or counted among those that are lost. */
TEST_F_TIMEOUT(bpftool, monitor_tells_what_it_has_lost, TEST_TIMEOUT_S)
{
	const __u64 empty = tree_find(&self->tree, "besteffort/empty")->id;
	struct early *early = early_load(NULL);
	pid_t pid[2];
	int status, i;

	ASSERT_NE(NULL, early);
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	pid[0] = shell_start("exec bpftool oom monitor", "/tmp/monitor");
	pid[1] = shell_start("exec bpftool -j oom monitor", "/tmp/monitor.json");
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(wait_until(monitor_runs(pid[i])));
		ASSERT_EQ(0, kill(pid[i], SIGSTOP));
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, WUNTRACED));
	}
	for (i = 0; i < NR_FALLBACKS; i++)
		ASSERT_EQ(-ESRCH, early_kill(early, empty, 0));
	early__destroy(early);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, kill(pid[i], SIGTERM));
		EXPECT_EQ(0, kill(pid[i], SIGCONT));
		end_monitor(_metadata, pid[i]);
	}
	runs(_metadata, 0, "jq -s 'map(.lost // .repeated) | add' /tmp/monitor.json");
	EXPECT_EQ(NR_FALLBACKS, atoi(shell_output));
	runs(_metadata, 0, "jq -s 'map(.lost // 0) | add' /tmp/monitor.json");
	EXPECT_LT(0, atoi(shell_output));
	runs(_metadata, 0, "grep -q '  lost %d records: ' /tmp/monitor", atoi(shell_output));
}

/* Who reads a monitor may go, and need not see an error for it. */
TEST_F_TIMEOUT(bpftool, monitor_ends_with_its_reader, TEST_TIMEOUT_S)
{
	const __u64 empty = tree_find(&self->tree, "besteffort/empty")->id;
	struct early *early = early_load(NULL);
	pid_t pid;

	ASSERT_NE(NULL, early);
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	pid = shell_start("(bpftool oom monitor 2>/tmp/monitor; echo $? >/tmp/status) | head -n 1",
			  "/tmp/first");
	ASSERT_LT(0, pid);
	ASSERT_TRUE(wait_until(file_has("/tmp/monitor", WATCHING)));
	EXPECT_TRUE(wait_until(early_kill(early, empty, 0) == -ESRCH && has_ended(pid)));
	early__destroy(early);
	end_monitor(_metadata, pid);
	EXPECT_TRUE(file_has("/tmp/status", "0"));
	EXPECT_TRUE(file_has("/tmp/first", "fallback: none eligible"));
	EXPECT_FALSE(file_has("/tmp/monitor", "Error"));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
