// SPDX-License-Identifier: GPL-2.0-only
/*
 * Very many tasks in one cgroup: a fork bomb, a thousand that hold next to nothing,
 * thousands of victims that nobody reaps.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "policy.h"
#include "scene.h"

#define NR_TINY		1000
#define NR_UNREAPED	2000

/* So many have to be made, killed and told of in the log. */
#define TIMEOUT_S	(4 * TEST_TIMEOUT_S)

static bool is_populated(const char *path)
{
	return cgroup_read_long(path, "cgroup.events", "populated") != 0;
}

static int touch(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE,
		    -1, 0) == MAP_FAILED;
}

/* In T/be, whose end is that of T's memory. */
#define BOMB_SIZE	(512 * 1024)
#define ONE_BY_ONE	10
#define LINES		120	/* of a report, at most, without its tasks */

FIXTURE(fork_bomb)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t bomb;
	int log;
};

FIXTURE_VARIANT(fork_bomb)
{
	__u32 flags;
	const char *pids_max;
	const char *limit;
};

FIXTURE_VARIANT_ADD(fork_bomb, kill_all)
{
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
	.pids_max = "max",
	.limit = "48M",
};

FIXTURE_VARIANT_ADD(fork_bomb, kill_all_of_bounded_pids)
{
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
	.pids_max = "40",
	.limit = "24M",
};

FIXTURE_VARIANT_ADD(fork_bomb, one_by_one)
{
	.pids_max = "max",
	.limit = "48M",
};

FIXTURE_VARIANT_ADD(fork_bomb, one_by_one_of_bounded_pids)
{
	.pids_max = "40",
	.limit = "24M",
};

FIXTURE_SETUP(fork_bomb)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/be=-100 T/prod=100,8M"));
	ASSERT_EQ(0, cgroup_write("T", "cgroup.subtree_control", "+pids"));
	ASSERT_EQ(0, cgroup_write("T/be", "pids.max", variant->pids_max));
	ASSERT_EQ(0, cgroup_write("T", "memory.max", variant->limit));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG | variant->flags,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(fork_bomb)
{
	cgroup_write("T/be", "cgroup.kill", "1");
	if (self->bomb > 0)
		waitpid(self->bomb, NULL, 0);
	close(self->log);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static void explode(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (set_oom_score_adj(getpid(), 0) || cgroup_write("T/be", "cgroup.procs", "0"))
		_exit(1);
	for (;;)
		if (!fork())
			touch(BOMB_SIZE);
}

TEST_F_TIMEOUT(fork_bomb, is_all_that_dies, TEST_TIMEOUT_S)
{
	long kills, reports;
	int lines;

	self->bomb = fork();
	if (!self->bomb)
		explode();
	ASSERT_LT(0, self->bomb);

	if (variant->flags) {
		EXPECT_TRUE(wait_until(cgroup_read_long("T/be", "memory.events", "oom_kill") > 1));
		EXPECT_TRUE(wait_until(!is_populated("T/be")));
	} else {
		EXPECT_TRUE(wait_until(cgroup_read_long("T/be", "memory.events", "oom_kill") >=
				       ONE_BY_ONE));
		EXPECT_TRUE(is_populated("T/be"));
	}
	EXPECT_EQ(0, cgroup_write("T/be", "cgroup.kill", "1"));
	EXPECT_TRUE(wait_until(!is_populated("T/be")));

	kills = cgroup_read_long("T/be", "memory.events", "oom_kill");
	reports = kills;
	if (variant->flags)
		reports = cgroup_read_long("T/be", "memory.events", "oom_group_kill");
	lines = kmsg_count(self->log, "");
	TH_LOG("%ld killed in %ld events, %d lines", kills, reports, lines);
	EXPECT_GE(reports * (LINES + cgroup_read_long("T/be", "pids.peak", NULL)) + 2 * kills,
		  lines);
	EXPECT_EQ(0, cgroup_read_long("T/prod", "memory.events", "oom_kill"));
	EXPECT_EQ(0, tree_killed(&self->tree));
}

/* A process that leaves children in a cgroup, and never reaps them. */
struct crowd {
	const char *path;
	int nr;
};

static int crowd_main(const void *arg, int ready_fd)
{
	const struct crowd *crowd = arg;
	const char busy = BUSY;
	pid_t pid;
	int n;

	if (set_oom_score_adj(getpid(), 0) || cgroup_write(crowd->path, "cgroup.procs", "0"))
		return 1;
	for (n = 0; n < crowd->nr; n++) {
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		if (pid < 0 || write(ready_fd, &busy, 1) != 1)
			return 1;
	}
	if (cgroup_write("", "cgroup.procs", "0") || protect_self() ||
	    write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t crowd_start(const char *path, int nr)
{
	const struct crowd crowd = { .path = path, .nr = nr };

	return child_start(crowd_main, &crowd, "who leaves a crowd");
}

static void crowd_end(pid_t *leader)
{
	if (*leader <= 0)
		return;
	kill(*leader, SIGKILL);
	wait_exit(*leader);
	*leader = 0;
}

/* Each of them alone is no help. */
#define TINY_TREE	"T=0 T/system=-1 T/system/x=0 T/prod=100,8M T/hog=200"

FIXTURE(tiny)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t leader;
};

FIXTURE_SETUP(tiny)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TINY_TREE));
	self->leader = crowd_start("T/system/x", NR_TINY);
	ASSERT_LT(0, self->leader);
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG | BPF_F_OOM_POLICY_KILL_ALL,
				 .budget_us = NO_BUDGET_US, .grace_ms = 60000);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(tiny)
{
	crowd_end(&self->leader);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(tiny, tasks_go_in_one_kill, TIMEOUT_S)
{
	struct bpf_link_info info;
	long ms;

	EXPECT_EQ(0, scene_feed("T", "T/hog", 32, &ms));
	ASSERT_EQ(0, policy_info(self->link, &info));
	TH_LOG("%d tasks: selection %llu us, 32 MB of theirs after %ld ms", NR_TINY,
	       info.oom_policy.worst_ns / 1000, ms);
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(NR_TINY, cgroup_read_long("T/system/x", "memory.events", "oom_kill"));
	EXPECT_TRUE(wait_until(!is_populated("T/system/x")));
	EXPECT_EQ(0, tree_killed(&self->tree));
}

/* Victims that nobody reaps: the next selections are as without them. */
FIXTURE(unreaped)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	struct bpf_link *looks;
	pid_t leader;
};

FIXTURE_SETUP(unreaped)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0 B=1,8M C=2,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_KILL_ALL, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->early = early_load("on_look");
	ASSERT_NE(NULL, self->early);
	self->looks = bpf_program__attach(self->early->progs.on_look);
	ASSERT_NE(NULL, self->looks);
}

FIXTURE_TEARDOWN(unreaped)
{
	crowd_end(&self->leader);
	bpf_link__destroy(self->looks);
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* At tasks, in an event that kills nobody. */
static __u32 looks_of_an_event(FIXTURE_DATA(unreaped) * self)
{
	const __u32 before = self->early->bss->nr_looks;

	if (early_kill(self->early, cgroup_id(""), 0) != -ESRCH)
		return ~0U;
	return self->early->bss->nr_looks - before;
}

TEST_F_TIMEOUT(unreaped, victims_cost_the_next_selection_nothing, TIMEOUT_S)
{
	struct tree *tree = &self->tree;
	struct bpf_link_info before, after;

	/* As it is without them. */
	ASSERT_EQ(0, set_oom_score_adj(tree_find(tree, "C")->pid[0], -1000));
	ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_TRUE(wait_until(node_killed(tree_find(tree, "B"))));
	EXPECT_TRUE(wait_until(!looks_of_an_event(self)));
	ASSERT_EQ(0, policy_info(self->link, &before));

	self->leader = crowd_start("A", NR_UNREAPED);
	ASSERT_LT(0, self->leader);
	ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_EQ(NR_UNREAPED, cgroup_read_long("A", "memory.events", "oom_kill"));
	EXPECT_TRUE(wait_until(!is_populated("A")));

	/* The first event after it may find out. */
	EXPECT_TRUE(wait_until(!looks_of_an_event(self)));
	EXPECT_EQ(0U, looks_of_an_event(self));
	EXPECT_EQ(NR_UNREAPED + 1U, self->policy->bss->nr_victims);
	ASSERT_EQ(0, policy_info(self->link, &after));
	TH_LOG("selection without %llu ns, with %d zombies %llu ns", before.oom_policy.last_ns,
	       NR_UNREAPED, after.oom_policy.last_ns);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
