// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy's life as an operator sees it: everything that is done to it and told
 * of it here is done and told by "bpftool oom". The JSON of each command has to
 * be read by jq and to carry the facts of the plain output.
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
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "shell.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define TASK_POLICY	"/usr/lib/oom_policy/youngest_task.bpf.o"
#define CONTRARY	"/tests/contrary.bpf.o"
#define PIN		"/sys/fs/bpf/bpftool_oom_test"
#define PINS		"/sys/fs/bpf/bpftool_oom_contrary"
#define NEW_BPF_FS	"/tmp/bpftool_oom_bpffs"
#define SHORT_LIVED	"/sys/fs/cgroup/prod/short"
#define SECOND_MOUNT	"/tmp/bpftool_oom_cgroup2"
#define WATCHING	"watching OOM policies"
#define SWITCHED_OFF	"switched off by vm.oom_policy_enabled: the stock killer decides"
#define NOT_ASKED								\
	"attached without the flag memcg: not asked when /prod meets its limit, "
#define TEXT_SIZE	256

/* More records than the monitor has room for while it stands still. */
#define NR_FALLBACKS	5000

#define TREE								\
	"prod=100 batch=0 besteffort=-100 prod/db=10,16M prod/web=0,4M batch/etl=10,4M batch/ml=0,8M besteffort/job1=30,12M besteffort/job2=10,4M besteffort/job3=20,8M besteffort/safe=0,4M,adj=-1000 besteffort/empty=0"

/* A command has to end with that status. */
__printf(3, 4)
static void runs(struct __test_metadata *_metadata, int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	EXPECT_EQ(status, vshell(fmt, args)) TH_LOG("%s: %s", fmt, shell_output);
	va_end(args);
}

/* The last command has to have said that, among other things. */
static void says(struct __test_metadata *_metadata, const char *text)
{
	EXPECT_NE(NULL, strstr(shell_output, text))
		TH_LOG("'%s' is not in '%s'", text, shell_output);
}

/* The last command has to have begun with that. */
static void begins(struct __test_metadata *_metadata, const char *text)
{
	EXPECT_EQ(0, strncmp(shell_output, text, strlen(text)))
		TH_LOG("'%s' does not begin with '%s'", shell_output, text);
}

/* Also what a test left that was ended by force. */
static void clean_up(void)
{
	shell("rm -rf " PIN " " PINS " /sys/fs/bpf/oom_policy_*");
}

FIXTURE(bpftool)
{
	struct tree tree;
	struct policy *recorder;
};

FIXTURE_SETUP(bpftool)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
}

FIXTURE_TEARDOWN(bpftool)
{
	clean_up();
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

static void attach_with_priorities(struct __test_metadata *_metadata,
				   const struct tree *tree, const char *options)
{
	const struct node *node;
	char batch[1024];
	int n, len;

	len = snprintf(batch, sizeof(batch), "oom attach " POLICY " / pin " PIN " %s\n",
		       options);
	for (n = 0; n < tree->nr_nodes; n++) {
		node = &tree->node[n];
		len += snprintf(batch + len, sizeof(batch) - len,
				"oom priority set %s %lld\n", node->path,
				(long long)node->priority);
	}
	runs(_metadata, 0, "echo '%s' | bpftool batch file -", batch);
}

/* The last of its programs is attached. */
static bool monitor_runs(pid_t pid)
{
	return !shell("grep -q mark_victim /proc/%d/fdinfo/*", pid);
}

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

static void end_monitor(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F_TIMEOUT(bpftool, whole_life, TEST_TIMEOUT_S)
{
	pid_t monitor, monitor_json;
	char announced[TEXT_SIZE];

	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "no OOM policy is attached");
	attach_with_priorities(_metadata, &self->tree, "");

	runs(_metadata, 0, "bpftool oom priority set besteffort -100");
	runs(_metadata, 0, "bpftool oom compare prod batch");
	says(_metadata, "dies first: /batch");
	runs(_metadata, 0, "bpftool oom compare /prod/db /sys/fs/cgroup/besteffort/job1");
	says(_metadata, "/prod/db and /besteffort/job1 are no siblings: their paths part below /");
	says(_metadata, "dies first: /besteffort");
	runs(_metadata, 0, "bpftool -j oom rank | jq -r '[.children[].cgroup] | join(\" \")'");
	EXPECT_STREQ("/besteffort /batch /prod", shell_output);
	runs(_metadata, 0, "bpftool oom check");
	says(_metadata, "contradictions: 0 ");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	snprintf(announced, sizeof(announced), "%.255s", shell_output);
	EXPECT_STREQ("/besteffort/job2", announced);
	EXPECT_EQ(0U, self->recorder->bss->nr_victims);

	monitor = shell_start("exec bpftool oom monitor count 1", "/tmp/monitor");
	monitor_json = shell_start("exec bpftool -j oom monitor count 1", "/tmp/monitor.json");
	ASSERT_TRUE(wait_until(monitor_runs(monitor)));
	ASSERT_TRUE(wait_until(monitor_runs(monitor_json)));
	EXPECT_EQ(0, policy_shortage(self->recorder, &self->tree));
	end_monitor(_metadata, monitor);
	end_monitor(_metadata, monitor_json);

	EXPECT_STREQ(announced + 1, policy_victims(self->recorder, &self->tree));
	runs(_metadata, 0, "grep -F 'scope /  victim %s  task ' /tmp/monitor", announced);
	runs(_metadata, 0, "jq -r .victim /tmp/monitor.json");
	EXPECT_STREQ(announced, shell_output);
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "kills 1  last victim /besteffort/job2");

	runs(_metadata, 0, "bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "no OOM policy is attached");
	EXPECT_NE(0, access(PIN, F_OK));
}

TEST_F_TIMEOUT(bpftool, replaced_program_keeps_priorities, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool -j oom show | jq .policies[0].prog_id");
	runs(_metadata, 0, "bpftool oom replace / " POLICY);
	runs(_metadata, 0, "bpftool oom priority get /prod");
	says(_metadata, "100  /prod");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[0].pinned[]'");
	EXPECT_STREQ(PIN, shell_output);

	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 0, "bpftool oom replace pinned " PIN " pinned " PINS "/always_first");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[].prog_name'");
	EXPECT_STREQ("always_first", shell_output);
}

TEST_F_TIMEOUT(bpftool, default_pin_and_options, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " POLICY
	     " /besteffort flags memcg,kill_all budget 5000 grace 60000");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_besteffort");
	runs(_metadata, 0, "bpftool oom attach " POLICY " flags root_tasks");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_root");
	runs(_metadata, 0, "bpftool oom show /besteffort/job1");
	says(_metadata, "flags memcg,kill_all  budget 5000 us  grace 60000 ms");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "flags root_tasks  budget 100000 us");
	says(_metadata, "`-- /besteffort: tenant_prio");
	runs(_metadata, 0, "bpftool oom select /besteffort");
	says(_metadata, "with it: every process of /besteffort/job1 (flag kill_all)");
	runs(_metadata, 0, "bpftool oom detach besteffort");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[].cgroup'");
	EXPECT_STREQ("/", shell_output);
}

/* The other slot: who among the processes of a leaf. */
TEST_F_TIMEOUT(bpftool, task_policy, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " TASK_POLICY " /besteffort type task");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_besteffort+task");
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "`-- /besteffort: youngest_task (prog id ");
	says(_metadata, ", type task, pinned ");
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, " of /besteffort/job2, ");
	says(_metadata, "among the processes there rules link id ");
	runs(_metadata, 0, "bpftool oom detach besteffort type task");
	runs(_metadata, 0, "bpftool oom select prog " TASK_POLICY);
	says(_metadata, " us by youngest_task (prog id ");
}

/* A removed cgroup detaches its policy, and its priority goes with it. */
TEST_F_TIMEOUT(bpftool, removed_cgroup_leaves_nothing, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /besteffort/empty");
	EXPECT_EQ(0, cgroup_remove("besteffort/empty"));
	EXPECT_TRUE(wait_until(!shell("bpftool oom show | grep -q ^detached:")));
	runs(_metadata, 1, "bpftool oom priority list all | grep -E 'empty|gone'");
}

/* Without a memory controller there is nothing to rule, and who rules is somebody else. */
TEST_F_TIMEOUT(bpftool, dormant_policy_is_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /besteffort/empty");
	EXPECT_EQ(0, cgroup_write("besteffort", "cgroup.subtree_control", "-memory"));
	EXPECT_TRUE(wait_until(!shell("bpftool oom show | grep -q dormant")));
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "`-- /besteffort/empty: tenant_prio");
	says(_metadata, "dormant: no memory controller");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '[.policies[].state] | join(\" \")'");
	EXPECT_STREQ("in_force dormant", shell_output);
	runs(_metadata, 0, "bpftool -j oom show /besteffort/empty | jq -r .policies[0].cgroup");
	EXPECT_STREQ("/", shell_output);

	EXPECT_EQ(0, cgroup_enable_memory("besteffort"));
	runs(_metadata, 0, "bpftool -j oom show | jq -r '[.policies[].state] | join(\" \")'");
	EXPECT_STREQ("in_force in_force", shell_output);
	runs(_metadata, 0, "bpftool link show");
	says(_metadata, "state in_force");
}

/* Priorities need no policy, and outlive the one that is there. */
TEST_F_TIMEOUT(bpftool, priorities_are_the_cgroups, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom priority list");
	says(_metadata, "no priority is set");
	runs(_metadata, 0, "bpftool oom priority set batch 7");
	EXPECT_STREQ("                   7  /batch (was unset)", shell_output);
	runs(_metadata, 0, "bpftool oom priority set prod max");
	runs(_metadata, 0, "cat /sys/fs/cgroup/batch/memory.oom.priority");
	EXPECT_STREQ("7", shell_output);
	runs(_metadata, 0, "bpftool oom attach " POLICY " && bpftool oom replace / " POLICY
	     " floor 1M && bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom priority list");
	EXPECT_STREQ("                 max  /prod\n                   7  /batch", shell_output);
	runs(_metadata, 0, "bpftool oom priority list all | grep -c unset");
	EXPECT_STREQ("10", shell_output);
	runs(_metadata, 0, "bpftool oom priority list all prod");
	EXPECT_STREQ("               unset  /prod/db\n               unset  /prod/web",
		     shell_output);
}

/* Who is never a candidate takes no part; an only child counts for its parent. */
TEST_F_TIMEOUT(bpftool, max_and_only_children_are_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom priority set besteffort max");
	runs(_metadata, 0, "bpftool oom rank");
	says(_metadata, " max  /besteffort: never a candidate (memory.oom.priority is max)");
	runs(_metadata, 0, "bpftool oom compare prod besteffort");
	says(_metadata, "/besteffort takes no part now: never a candidate ");
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, " of /batch/ml, ");
	says(_metadata, "priority max  never a candidate ");

	runs(_metadata, 0, "bpftool oom priority set batch unset");
	runs(_metadata, 0, "echo 1 >/sys/fs/cgroup/batch/etl/cgroup.kill");
	EXPECT_TRUE(wait_until(!shell("grep 'populated 0' " CGROUP_ROOT
				      "/batch/etl/cgroup.events")));
	runs(_metadata, 0, "bpftool oom priority set batch/ml -5");
	runs(_metadata, 0, "bpftool -j oom rank | jq -c '[.children[] | .priority]'");
	EXPECT_STREQ("[-5,100,null]", shell_output);
}

/* What is not written is told as if it were. */
TEST_F_TIMEOUT(bpftool, what_if, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom rank with prod=-200 batch=max");
	says(_metadata, "   1 ");
	says(_metadata, " -200  /prod");
	says(_metadata, " max  /batch: never a candidate ");
	runs(_metadata, 0, "bpftool -j oom rank with prod=-200 | jq -r '.children[0].cgroup'");
	EXPECT_STREQ("/prod", shell_output);
	runs(_metadata, 0, "bpftool oom compare prod batch with prod=-1");
	says(_metadata, "dies first: /prod");
	runs(_metadata, 0, "bpftool oom select / with prod=-200 prod/db=-1 prog " POLICY);
	says(_metadata, " of /prod/db, ");
	says(_metadata, "priority -200");
	runs(_metadata, 0, "bpftool oom check with prod=-200");
	says(_metadata, "contradictions: 0 ");
	runs(_metadata, 0, "bpftool oom priority get prod");
	EXPECT_STREQ("                 100  /prod", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
}

/* A floor of 10 MB leaves of the lowest class those that hold more. */
TEST_F_TIMEOUT(bpftool, floor_is_heeded, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "floor 10M");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job1", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY " floor 6144K");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job3", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY);
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY " floor 100%%");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
}

/* A program that is attached nowhere, with the priorities of the cgroups. */
TEST_F_TIMEOUT(bpftool, rehearse_before_attaching, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom select / prog " POLICY);
	says(_metadata, "victim: process ");
	runs(_metadata, 0, "bpftool oom rank prog " POLICY);
	says(_metadata, "not attached");
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool -j oom rank prog " POLICY " | jq -r .children[0].priority");
	EXPECT_STREQ("-100", shell_output);
}

/* Contradictions are found and named, and are an error for whoever asks. */
TEST_F_TIMEOUT(bpftool, check_names_offenders, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 255, "bpftool oom check prog pinned " PINS "/always_first");
	says(_metadata, "not antisymmetric: run(/prod, /batch) says first, ");
	says(_metadata, "first, run(/batch, /prod) says first");

	runs(_metadata, 0, "bpftool oom attach pinned " PINS "/circle / pin " PIN);
	runs(_metadata, 0, "bpftool oom priority set prod 0");
	runs(_metadata, 0, "bpftool oom priority set batch 1");
	runs(_metadata, 0, "bpftool oom priority set besteffort 2");
	runs(_metadata, 255, "bpftool oom check /");
	says(_metadata, "not transitive: /prod dies before /batch, /batch before /besteffort");
	says(_metadata, ", /besteffort before /prod\n");
	says(_metadata, "contradictions: 1 ");
	runs(_metadata, 255, "bpftool -j oom check /");
	runs(_metadata, 0,
	     "bpftool -j oom check / | jq -r '.not_transitive[].cgroups | join(\" \")'");
	EXPECT_STREQ("/prod /batch /besteffort", shell_output);
	runs(_metadata, 0, "bpftool oom check /batch");
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

TEST_F_TIMEOUT(bpftool, shows_who_ranks_the_tasks, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " TASK_POLICY " / type task pin " PIN);
	runs(_metadata, 0, "bpftool oom show /prod");
	says(_metadata, "/: youngest_task (prog id ");
	runs(_metadata, 0, "bpftool -j oom show /prod | jq -r '.policies[].attach_type'");
	EXPECT_STREQ("oom_policy_task", shell_output);
}

/* A second bpffs on top: the list of mounts has two, each shows the same pins. */
TEST_F_TIMEOUT(bpftool, detaches_once_where_pins_show_twice, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "mount -t bpf none /sys/fs/bpf");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch");
	runs(_metadata, 0, "bpftool oom detach /batch");
	says(_metadata, "detached tenant_prio");
	runs(_metadata, 1, "ls /sys/fs/bpf | grep .");
	runs(_metadata, 0, "umount /sys/fs/bpf");
}

/* As "bpftool link pin" has it: a BPF file system that is missing is mounted. */
TEST_F_TIMEOUT(bpftool, mounts_bpffs_for_a_pin, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "mkdir " NEW_BPF_FS);
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch pin " NEW_BPF_FS "/policy");
	runs(_metadata, 0, "grep -q ' " NEW_BPF_FS " bpf ' /proc/mounts");
	runs(_metadata, 0, "bpftool oom detach pinned " NEW_BPF_FS "/policy");
	runs(_metadata, 1, "ls " NEW_BPF_FS " | grep .");
	while (!shell("umount " NEW_BPF_FS))
		;
	runs(_metadata, 0, "rmdir " NEW_BPF_FS);
}

/* Tenants name their cgroups as they like. */
TEST_F_TIMEOUT(bpftool, names_do_no_harm, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "mkdir \"/sys/fs/cgroup/prod/$(printf 'a\\033b')\"");
	runs(_metadata, 0, "bpftool oom rank prod");
	says(_metadata, "/prod/a?b: no processes");
	runs(_metadata, 0, "bpftool -j oom rank prod | jq -c '.children[].cgroup' | grep a");
	EXPECT_STREQ("\"/prod/a\\u001bb\"", shell_output);
	runs(_metadata, 0, "rmdir /sys/fs/cgroup/prod/a?b");
}

TEST_F_TIMEOUT(bpftool, attach_and_detach_in_json, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool -j oom attach " POLICY
	     " /batch | jq -r '.cgroup, .prog_name, .pinned'");
	EXPECT_STREQ("/batch\ntenant_prio\n/sys/fs/bpf/oom_policy_batch", shell_output);
	runs(_metadata, 0,
	     "bpftool -j link show | jq -r '.[] | select(.type == \"oom_policy\").cgroup'");
	EXPECT_STREQ("/batch", shell_output);
	runs(_metadata, 0,
	     "bpftool -j oom priority set /batch/ml -3 | jq -r '.priority, .old_priority_state'");
	EXPECT_STREQ("-3\nunset", shell_output);
	runs(_metadata, 0,
	     "bpftool -j oom priority set /batch/ml max | jq -r '.priority_state, .old_priority'");
	EXPECT_STREQ("max\n-3", shell_output);
	runs(_metadata, 0, "bpftool -j oom detach /batch | jq -r '.cgroup, .prog_name'");
	EXPECT_STREQ("/batch\ntenant_prio", shell_output);
	runs(_metadata, 0, "bpftool -j oom show | jq '.policies | length'");
	EXPECT_STREQ("0", shell_output);
	runs(_metadata, 0, "bpftool -j oom help");
	EXPECT_STREQ("null", shell_output);
}

/* Names without a slash in front are below the working directory, if that is a cgroup. */
TEST_F_TIMEOUT(bpftool, paths_from_the_working_directory, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom rank .");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort/job1 && bpftool oom rank ..");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom compare job1 ./job2");
	says(_metadata, "dies first: /besteffort/job2");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom compare ../prod /batch");
	says(_metadata, "children of /, compared by ");
	runs(_metadata, 255, "cd /sys/fs/cgroup/besteffort && bpftool oom rank prod");
	says(_metadata,
	     "no such cgroup: prod (below the working directory; from the root it is /prod)");
	runs(_metadata, 0, "cd /tmp && bpftool oom rank prod");
	says(_metadata, "children of /prod, compared by ");
	runs(_metadata, 255, "cd /tmp && bpftool oom rank .");
	says(_metadata, ". is not a cgroup: cgroup v2 is mounted at /sys/fs/cgroup");

	/* As seen by another mount. */
	runs(_metadata, 0, "mkdir " SECOND_MOUNT " && mount -t cgroup2 none " SECOND_MOUNT);
	runs(_metadata, 0, "cd " SECOND_MOUNT "/besteffort && bpftool oom rank .");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "bpftool oom rank " SECOND_MOUNT "/besteffort");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "umount " SECOND_MOUNT " && rmdir " SECOND_MOUNT);
}

TEST_F_TIMEOUT(bpftool, removed_working_directory, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "mkdir " SHORT_LIVED);
	runs(_metadata, 255, "cd " SHORT_LIVED " && rmdir " SHORT_LIVED " && bpftool oom rank .");
	says(_metadata, "cannot tell the path of cgroup .: it is cgroup id ");
	says(_metadata, " (gone)");
}

TEST_F_TIMEOUT(bpftool, ids_for_paths, TEST_TIMEOUT_S)
{
	const unsigned long long job1 = tree_find(&self->tree, "besteffort/job1")->id;
	const unsigned long long job2 = tree_find(&self->tree, "besteffort/job2")->id;
	const unsigned long long besteffort = tree_find(&self->tree, "besteffort")->id;

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom compare %llu %llu", job1, job2);
	says(_metadata, "dies first: /besteffort/job2");
	runs(_metadata, 0, "bpftool oom rank %llu", besteffort);
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "bpftool oom select %llu", besteffort);
	says(_metadata, " of /besteffort/job2, ");
	runs(_metadata, 0, "bpftool oom check %llu", besteffort);
	says(_metadata, "/besteffort: 5 children ");
	runs(_metadata, 0, "bpftool oom priority set %llu -5", job1);
	says(_metadata, "-5  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom priority get %llu", job1);
	says(_metadata, "-5  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom priority set %llu unset", job1);
	says(_metadata, "unset  /besteffort/job1 (was -5)");
	runs(_metadata, 0, "bpftool oom priority get %llu", job1);
	says(_metadata, "unset  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom attach " POLICY " %llu", besteffort);
	says(_metadata, " at /besteffort, link id ");
	runs(_metadata, 0, "bpftool oom show %llu", besteffort);
	says(_metadata, "/besteffort: tenant_prio ");
	runs(_metadata, 0, "bpftool oom replace %llu " POLICY, besteffort);
	runs(_metadata, 0, "bpftool oom detach %llu", besteffort);
	says(_metadata, " at /besteffort, link id ");

	/* That of a file is none. */
	runs(_metadata, 255,
	     "bpftool oom rank $(stat -c %%i /sys/fs/cgroup/besteffort/memory.max)");
	says(_metadata, "no cgroup has the id ");

	/* A name of digits has something in front. */
	runs(_metadata, 0, "mkdir /sys/fs/cgroup/prod/1000");
	runs(_metadata, 0, "bpftool oom rank /prod/1000");
	runs(_metadata, 0, "cd /sys/fs/cgroup/prod && bpftool oom rank ./1000");
	runs(_metadata, 0, "rmdir /sys/fs/cgroup/prod/1000");
}

TEST_F_TIMEOUT(bpftool, programs_as_elsewhere, TEST_TIMEOUT_S)
{
	char tag[32];

	runs(_metadata, 0, "bpftool oom select prog file " POLICY);
	says(_metadata, "victim: process ");
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 0, "bpftool oom attach name always_abstain /prod");
	says(_metadata, "attached always_abstain ");
	runs(_metadata, 0, "bpftool oom detach /prod");
	runs(_metadata, 0, "bpftool -j prog show pinned " PINS "/circle | jq -r .tag");
	snprintf(tag, sizeof(tag), "%.31s", shell_output);
	runs(_metadata, 0, "bpftool oom attach tag %s /prod", tag);
	says(_metadata, "attached circle ");
	runs(_metadata, 0, "bpftool oom replace /prod name always_first");
	runs(_metadata, 0, "bpftool oom compare /prod/db /prod/web prog name always_first");
	says(_metadata, "verdict: first");
	runs(_metadata, 0, "bpftool oom detach /prod");

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom select prog name tenant_prio");
	says(_metadata, "attached to /");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch");
	runs(_metadata, 255, "bpftool oom select prog name tenant_prio");
	says(_metadata, "several OOM policies have the name tenant_prio, as prog id ");
}

/* What is said first is what would happen. */
TEST_F_TIMEOUT(bpftool, off_switch_is_told_first, TEST_TIMEOUT_S)
{
	static const char * const commands[] = {
		"select", "rank", "compare prod batch", "check", "select prog " POLICY,
	};
	size_t i;

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=0");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		runs(_metadata, 0, "bpftool oom %s", commands[i]);
		begins(_metadata, SWITCHED_OFF "\n");
		runs(_metadata, 0, "bpftool -j oom %s | jq -r '.enabled, .caveats[0]'",
		     commands[i]);
		EXPECT_STREQ("false\n" SWITCHED_OFF, shell_output);
	}
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=1");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		runs(_metadata, 1, "bpftool oom %s | grep oom_policy_enabled", commands[i]);
		runs(_metadata, 0, "bpftool -j oom %s | jq -r '.enabled, .caveats[]'",
		     commands[i]);
		EXPECT_STREQ("true", shell_output);
	}
}

TEST_F_TIMEOUT(bpftool, missing_flag_is_told_first, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom select prod");
	begins(_metadata, NOT_ASKED "the stock killer decides\n");
	runs(_metadata, 0, "bpftool oom rank prod");
	begins(_metadata, NOT_ASKED "only when the machine ");
	runs(_metadata, 0, "bpftool oom compare /prod/db /prod/web");
	begins(_metadata, NOT_ASKED);
	runs(_metadata, 0, "bpftool oom check prod");
	begins(_metadata, NOT_ASKED);
	runs(_metadata, 0, "bpftool -j oom select prod | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("false\n" NOT_ASKED "the stock killer decides", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("false", shell_output);

	/* One above that has the flag is asked instead of one that has not. */
	runs(_metadata, 0, "bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom attach " POLICY " / flags memcg");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /prod");
	runs(_metadata, 0, "bpftool -j oom select prod | jq -r '.attached_to, .caveats[]'");
	EXPECT_STREQ("/", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("true", shell_output);
}

TEST_F_TIMEOUT(bpftool, group_is_told_first, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	runs(_metadata, 0, "echo 1 >/sys/fs/cgroup/prod/memory.oom.group");
	runs(_metadata, 0, "bpftool oom rank prod");
	begins(_metadata, "/prod dies as a whole (memory.oom.group): nothing below it ");
	runs(_metadata, 0, "bpftool oom rank");
	begins(_metadata, "children of /");
	runs(_metadata, 0, "bpftool oom select prod");
	EXPECT_EQ(NULL, strstr(shell_output, "compared by"));
	says(_metadata, "with it: every process of /prod (memory.oom.group)");
	runs(_metadata, 0, "echo 0 >/sys/fs/cgroup/prod/memory.oom.group");
}

TEST_F_TIMEOUT(bpftool, leaf_is_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	runs(_metadata, 0, "bpftool oom rank /batch/etl");
	EXPECT_STREQ("/batch/etl is a leaf: no cgroup below it has the memory controller",
		     shell_output);
	runs(_metadata, 0, "bpftool oom check /batch/etl");
	begins(_metadata, "nothing to compare: no cgroup at or below /batch/etl has two ");
}

TEST_F_TIMEOUT(bpftool, full_device_is_an_error, TEST_TIMEOUT_S)
{
	static const char * const commands[] = {
		"show", "select", "rank", "compare prod batch", "check", "priority list",
		"priority get prod",
	};
	static const char * const options[] = { "", "-j", "-jp" };
	size_t i, j;

	attach_with_priorities(_metadata, &self->tree, "");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		for (j = 0; j < ARRAY_SIZE(options); j++) {
			runs(_metadata, 255, "bpftool %s oom %s >/dev/full", options[j],
			     commands[i]);
			begins(_metadata, "Error: cannot write ");
		}
	}
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

/* Each line that jq makes of the JSON must be somewhere in the plain output. */
FIXTURE(json)
{
	struct tree tree;
};

FIXTURE_VARIANT(json)
{
	const char *command;
	const char *facts;
	int nr_facts;
};

FIXTURE_VARIANT_ADD(json, show)
{
	.command = "show",
	.facts = ".policies[] | \"\\(.cgroup): \\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "\"link id \\(.link_id), pinned \\(.pinned[0])\",\n"
		 "\"flags \\(.flag_names | join(\",\"))  budget \\(.budget_us) us\",\n"
		 "\"selections \\(.selections)  comparisons \\(.comparisons)\",\n"
		 "\"kills \\(.kills)\", \"last \\(.last_ns / 1000 | floor) us\"",
	.nr_facts = 6,
};

FIXTURE_VARIANT_ADD(json, compare)
{
	.command = "compare /prod/db /batch",
	.facts = "\"\\(.asked[0]) and \\(.asked[1]) are no siblings\",\n"
		 "\"children of \\(.parent), compared by \\(.prog_name)\",\n"
		 "\"(prog id \\(.prog_id)), attached to \\(.attached_to)\",\n"
		 "(.candidates[] | .cgroup, .priority, (.usage / 1024 | floor)),\n"
		 "\"verdict: \\(.verdict)\", \"dies first: \\(.dies_first)\"",
	.nr_facts = 11,
};

FIXTURE_VARIANT_ADD(json, rank)
{
	.command = "rank besteffort",
	.facts = "\"children of \\(.parent), compared by \\(.prog_name)\",\n"
		 "\"(prog id \\(.prog_id)), attached to \\(.attached_to)\",\n"
		 "(.children[] | .rank // \"-\", (.usage / 1024 | floor), .priority,\n"
		 ".cgroup + if .eligible then \"\" else \": \" + .reason end)",
	.nr_facts = 22,
};

FIXTURE_VARIANT_ADD(json, select)
{
	.command = "select",
	.facts = "(.levels[] | \"\\(.eligible) eligible, \\(.compared) compared by\",\n"
		 "\"\\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "(.children[] | (.cgroup | split(\"/\") | last), \"priority \\(.priority)\",\n"
		 "(.reason // empty))),\n"
		 "(.victim | \"victim: process \\(.pid) (\\(.comm)) of \\(.cgroup)\",\n"
		 "\"oom_score_adj \\(.oom_score_adj)\")",
	.nr_facts = 24,
};

FIXTURE_VARIANT_ADD(json, check)
{
	.command = "check",
	.facts = ".levels[] | \"\\(.parent): \\(.children) children\",\n"
		 "\"(pairs: \\(.pairs), triples: \\(.triples)), compared by \\(.prog_name)\"",
	.nr_facts = 8,
};

FIXTURE_VARIANT_ADD(json, priority_list)
{
	.command = "priority list",
	.facts = ".[] | \"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 12,
};

FIXTURE_VARIANT_ADD(json, priority_get)
{
	.command = "priority get besteffort",
	.facts = "\"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 1,
};

FIXTURE_VARIANT_ADD(json, priority_set)
{
	.command = "priority set besteffort -7",
	.facts = "\"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 1,
};

FIXTURE_VARIANT_ADD(json, replace)
{
	.command = "replace / id $(bpftool -j oom show | jq .policies[0].prog_id)",
	.facts = "\"replaced by \\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "\"at \\(.cgroup), link id \\(.link_id)\"",
	.nr_facts = 2,
};

FIXTURE_SETUP(json)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	attach_with_priorities(_metadata, &self->tree, "flags memcg,kill_all");
}

FIXTURE_TEARDOWN(json)
{
	clean_up();
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(json, same_facts, TEST_TIMEOUT_S)
{
	char plain[OUTPUT_SIZE], *fact, *saved;
	int nr_facts = 0;

	ASSERT_EQ(0, shell("bpftool oom %s", variant->command));
	memcpy(plain, shell_output, sizeof(plain));
	ASSERT_EQ(0, shell("bpftool -j oom %s | jq -r '%s'", variant->command, variant->facts))
		TH_LOG("%s", shell_output);
	for (fact = strtok_r(shell_output, "\n", &saved); fact;
	     fact = strtok_r(NULL, "\n", &saved)) {
		nr_facts++;
		EXPECT_NE(NULL, strstr(plain, fact))
			TH_LOG("'%s' is in the JSON, but not in '%s'", fact, plain);
	}
	EXPECT_EQ(variant->nr_facts, nr_facts);
	EXPECT_EQ(0, shell("bpftool -jp oom %s | jq . >/dev/null", variant->command))
		TH_LOG("%s", shell_output);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
