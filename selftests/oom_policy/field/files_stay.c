// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pod that has filled itself with files in tmpfs: they outlive whoever runs there, and
 * that is started anew each time. By its priority it is always the first to go, and
 * nothing comes back.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "link.h"
#include "policy.h"
#include "rehearse.h"
#include "scene.h"
#include "shell.h"

#define MONITOR		"/tmp/files_stay.monitor"
#define FILE_IN_TMPFS	"/tmp/files_stay.data"
#define FILE_MB		48
#define ROUNDS		8
#define TOLD		"passed over /be/pod: its last"

FIXTURE(pod)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	int log;
};

FIXTURE_VARIANT(pod)
{
	__u32 max_futile;	/* as attached */
	__u32 told;		/* as bpf_link_info has it */
	int kills;		/* there, before somebody else dies; 0: no end */
	bool limit;		/* it is the pod that is short */
};

FIXTURE_VARIANT_ADD(pod, is_passed_over_after_three_kills)
{
	.told = 3,
	.kills = 3,
};

FIXTURE_VARIANT_ADD(pod, is_passed_over_after_as_many_kills_as_asked_for)
{
	.max_futile = 1,
	.told = 1,
	.kills = 1,
};

FIXTURE_VARIANT_ADD(pod, is_never_passed_over_if_asked_for)
{
	.max_futile = BPF_OOM_POLICY_NEVER_FUTILE,
};

FIXTURE_VARIANT_ADD(pod, at_its_own_limit_is_all_there_is)
{
	.told = 3,
	.limit = true,
};

/* What is charged to the pod stays when this is gone. */
static int fill_file(void)
{
	static char megabyte[MEGABYTE];
	const int fd = open(FILE_IN_TMPFS, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || cgroup_write("be/pod", "cgroup.procs", "0"))
		return 1;
	for (n = 0; n < FILE_MB; n++)
		if (write(fd, megabyte, sizeof(megabyte)) != sizeof(megabyte))
			return 1;
	return 0;
}

static void fill(struct __test_metadata *_metadata)
{
	const pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(fill_file());
	ASSERT_EQ(0, wait_exit(pid));
}

FIXTURE_SETUP(pod)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "be=-100 be/pod=0 batch=0,24M,x2 prod=100,24M"));
	fill(_metadata);
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US,
				 .max_futile = variant->max_futile);
	ASSERT_NE(NULL, self->link);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(pod)
{
	close(self->log);
	unlink(FILE_IN_TMPFS);
	bpf_link__destroy(self->link);
	early__destroy(self->early);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* Somebody is started in the pod, there is a shortage: is it who dies? */
static bool sleeper_dies(struct __test_metadata *_metadata, FIXTURE_DATA(pod) * self,
			 __u64 scope)
{
	const __u32 before = self->policy->bss->nr_victims;
	const pid_t pid = task_start_in("be/pod", 0, 0);
	bool died;

	EXPECT_LT(0, pid);
	/* To read them is to have them up to date. */
	EXPECT_LT(FILE_MB * MEGABYTE * 9 / 10,
		  cgroup_read_long("be/pod", "memory.stat", "shmem"));
	EXPECT_EQ(0, early_kill(self->early, scope, 0));
	EXPECT_EQ(before + 1, self->policy->bss->nr_victims);
	died = (pid_t)self->policy->bss->victims[before] == pid;
	if (!died)
		kill(pid, SIGKILL);
	EXPECT_TRUE(wait_until(has_ended(pid)));
	waitpid(pid, NULL, 0);
	return died;
}

static int kills_in_a_row(struct __test_metadata *_metadata, FIXTURE_DATA(pod) * self,
			  __u64 scope)
{
	int n;

	for (n = 0; n < ROUNDS && sleeper_dies(_metadata, self, scope); n++)
		;
	return n;
}

static bool rehearsed_elsewhere(FIXTURE_DATA(pod) * self)
{
	struct rehearsed rehearsed;

	return !rehearse_select(bpf_program__fd(self->policy->progs.compare), cgroup_id(""),
				&rehearsed) &&
	       !rehearsed.retval && rehearsed.victim.cgroup_id_1 == cgroup_id("batch");
}

TEST_F_TIMEOUT(pod, full_of_files, TEST_TIMEOUT_S)
{
	const __u64 scope = cgroup_id(variant->limit ? "be/pod" : "");
	struct bpf_link_info info;
	int kills;

	kills = kills_in_a_row(_metadata, self, scope);
	TH_LOG("kills before the next tenant: %d%s", kills, variant->kills ? "" : " and more");
	EXPECT_EQ(variant->kills ?: ROUNDS, kills);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(variant->told, info.oom_policy.max_futile);
	if (!variant->kills) {
		EXPECT_EQ(0U, info.oom_policy.fallback_futile);
		EXPECT_EQ(0, kmsg_count(self->log, TOLD));
		EXPECT_EQ(0, tree_killed(&self->tree));
		return;
	}

	EXPECT_EQ(1U, info.oom_policy.fallback_futile);
	/* Reports are rate-limited, ten in five seconds: this one was among the first. */
	if (!variant->max_futile)
		EXPECT_EQ(1, kmsg_count(self->log, TOLD));
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "batch")) == 1));
	EXPECT_FALSE(sleeper_dies(_metadata, self, scope));
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "batch")) == 2));
	EXPECT_EQ(2, tree_killed(&self->tree));
}

TEST_F_TIMEOUT(pod, is_told_of_by_bpftool, TEST_TIMEOUT_S)
{
	if (!variant->kills)
		return;

	ASSERT_LT(0, shell_start("exec bpftool oom monitor", MONITOR));
	ASSERT_TRUE(wait_until(file_has(MONITOR, "watching OOM policies")));
	EXPECT_EQ(variant->kills, kills_in_a_row(_metadata, self, cgroup_id("")));
	EXPECT_TRUE(wait_until(!shell("grep -E 'victim /batch .*fallback: futile' " MONITOR)));
	EXPECT_EQ(0, shell("bpftool oom show | grep 'fallbacks futile 1$'"));
	EXPECT_EQ(variant->max_futile ? 0 : 1,
		  shell("bpftool oom show | grep 'budget [0-9]* us  futile 1$'"));
	EXPECT_EQ(0, shell("bpftool -j oom show | jq -e '.policies[0].max_futile == %u'",
			   variant->told));
	EXPECT_EQ(0, shell("bpftool -j oom show | jq -e '.policies[0].fallback_futile == 1'"));
	EXPECT_EQ(0, shell("bpftool oom select | grep -E '(be|pod) .*  freeable [0-9]+ kB'"));
	EXPECT_EQ(0, shell("bpftool oom select | grep 'batch ' | grep -v freeable"));
	EXPECT_EQ(0, shell("bpftool -j oom rank | jq -e 'any(.children[]; %s)'",
			   ".cgroup == \"/be\" and .freeable * 8 < .usage"));
	EXPECT_EQ(0, shell("bpftool oom rank | grep 'FREEABLE kB'"));
}

/* The files are there still, but it is not what it was: the pod has its turn again. */
TEST_F_TIMEOUT(pod, that_has_changed, TEST_TIMEOUT_S)
{
	const __u64 scope = cgroup_id("");

	if (!variant->kills)
		return;
	EXPECT_EQ(variant->kills, kills_in_a_row(_metadata, self, scope));
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "batch")) == 1));
	ASSERT_LT(0, task_start_in("be/pod", 0, 0));
	EXPECT_TRUE(wait_until(rehearsed_elsewhere(self)));
	ASSERT_LT(0, task_start_in("be/pod", 16, 0));
	EXPECT_FALSE(rehearsed_elsewhere(self));
	EXPECT_EQ(0, early_kill(self->early, scope, 0));
	EXPECT_EQ(1, node_killed(tree_find(&self->tree, "batch")));
	EXPECT_EQ(0, node_killed(tree_find(&self->tree, "prod")));
	EXPECT_EQ(0, cgroup_write("be/pod", "cgroup.kill", "1"));
}

/*
 * Without the flag a policy in between is not asked at a limit: a rehearsal there has the
 * options of the one that is.
 */
TEST_F_TIMEOUT(pod, rehearsed_below_who_is_not_asked, TEST_TIMEOUT_S)
{
	const __u64 scope = cgroup_id("be");
	struct rehearsed said = {};
	int prog, link;
	pid_t app;

	if (variant->kills != 1)
		return;
	prog = policy_prog();
	link = link_create_at(prog, "be");
	ASSERT_LE(0, link);
	ASSERT_EQ(0, cgroup_make("be/app"));
	app = task_start_in("be/app", 24, 0);
	ASSERT_LT(0, app);
	EXPECT_TRUE(sleeper_dies(_metadata, self, scope));

	ASSERT_LT(0, task_start_in("be/pod", 0, 0));
	ASSERT_EQ(0, rehearse_select(bpf_program__fd(self->policy->progs.compare), scope, &said));
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ((__u32)app, said.victim.pid_1);
	EXPECT_EQ(0, early_kill(self->early, scope, 0));
	EXPECT_TRUE(wait_until(has_ended(app)));

	EXPECT_EQ(0, cgroup_write("be/pod", "cgroup.kill", "1"));
	close(link);
	EXPECT_TRUE(wait_until(!cgroup_remove("be/app")));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
