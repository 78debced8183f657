// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shortage on one node: whoever has no memory there is no victim, be it bound
 * elsewhere by a cpuset or by a memory policy, and the next best one dies. Nor is a
 * victim waited for that has none there.
 *
 * Wants two nodes: boot with numa=fake=2.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/mempolicy.h>

#include "kselftest_harness.h"
#include "policy.h"

#define NODE_1		"/sys/devices/system/node/node1"

/* On node 0. The policy would have A/x first, and that is on node 1. */
#define TREE		"A=0 A/x=0 A/y=1,24M B=2,8M H=9"
#define FAR		"A/x"
#define FAR_MEGABYTES	24

FIXTURE(numa)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct holder holder;
	struct shortage shortage;
};

FIXTURE_VARIANT(numa)
{
	bool cpuset;		/* what binds the tasks, else a memory policy */
	bool confined;		/* the shortage is on node 0 only */
	const char *victim;
	const char *calls;
};

FIXTURE_VARIANT_ADD(numa, cpuset_next_best_on_the_node)
{
	.cpuset = true,
	.confined = true,
	.victim = "A/y",
	.calls = "run(A,B)->A run(A,H)->A run(A/x,A/y)->A/x",
};

FIXTURE_VARIANT_ADD(numa, cpuset_everywhere_first_choice)
{
	.cpuset = true,
	.victim = "A/x",
	.calls = "run(A,B)->A run(A/x,A/y)->A/x",
};

FIXTURE_VARIANT_ADD(numa, mempolicy_next_best_on_the_node)
{
	.confined = true,
	.victim = "A/y",
	.calls = "run(A,B)->A run(A/x,A/y)->A/x",
};

FIXTURE_VARIANT_ADD(numa, mempolicy_everywhere_first_choice)
{
	.victim = "A/x",
	.calls = "run(A,B)->A run(A/x,A/y)->A/x",
};

/* For this task and the children that it will have; -1 for any node. */
static int bind_memory(int node)
{
	const unsigned long mask = node < 0 ? 0 : 1UL << node;

	return syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		       node < 0 ? NULL : &mask, sizeof(mask) * 8);
}

/* The memory that is there already moves with it. */
static int bind_cpusets(void)
{
	return cgroup_write("", "cgroup.subtree_control", "+cpuset") ||
	       cgroup_write("A", "cgroup.subtree_control", "+cpuset") ||
	       cgroup_write("A/x", "cpuset.mems", "1") ||
	       cgroup_write("A/y", "cpuset.mems", "0") ||
	       cgroup_write("B", "cpuset.mems", "0") ||
	       cgroup_write("H", "cpuset.mems", "0");
}

FIXTURE_SETUP(numa)
{
	struct node *far;

	ASSERT_EQ(0, access(NODE_1, F_OK)) TH_LOG("one node only");
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, bind_memory(variant->cpuset ? -1 : 0));
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	ASSERT_EQ(0, variant->cpuset ? bind_cpusets() : bind_memory(1));
	far = tree_find(&self->tree, FAR);
	far->pid[0] = task_start_in(FAR, FAR_MEGABYTES, 0);
	ASSERT_LT(0, far->pid[0]);
	far->nr_tasks = 1;
	ASSERT_EQ(0, bind_memory(-1));

	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
}

FIXTURE_TEARDOWN(numa)
{
	shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* The hog is a child that stays where this process was when it was born. */
static int confine(bool cpuset, bool confined)
{
	if (cpuset)
		return cgroup_write(confined ? "H" : "", "cgroup.procs", "0");
	return bind_memory(confined ? 0 : -1);
}

TEST_F_TIMEOUT(numa, victim, TEST_TIMEOUT_S)
{
	const __u32 *sated = &self->policy->bss->sated;

	ASSERT_EQ(0, confine(variant->cpuset, variant->confined));
	ASSERT_EQ(0, shortage_begin(&self->shortage, sated));
	ASSERT_EQ(0, confine(variant->cpuset, false));
	EXPECT_TRUE(wait_until(*sated));
	EXPECT_EQ(0, shortage_end(&self->shortage));
	let_go(&self->holder);

	EXPECT_STREQ(variant->victim, policy_victims(self->policy, &self->tree));
	EXPECT_STREQ(variant->calls, policy_calls(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
}

/* Everybody may have memory anywhere, and A/x has all of its own where there is plenty. */
FIXTURE(elsewhere)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct holder holder;
	struct shortage shortage;
};

/* All that can be moved. */
static int move_memory(struct tree *tree, const char *path, int node)
{
	const unsigned long from = 1UL << !node, to = 1UL << node;

	if (syscall(SYS_migrate_pages, tree_find(tree, path)->pid[0], sizeof(from) * 8,
		    &from, &to) < 0) {
		diag("%s stays where it is: %m", path);
		return -1;
	}
	return 0;
}

FIXTURE_SETUP(elsewhere)
{
	ASSERT_EQ(0, access(NODE_1, F_OK)) TH_LOG("one node only");
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0 A/x=0,24M A/y=1,24M B=2,8M"));
	ASSERT_EQ(0, move_memory(&self->tree, "A/x", 1));
	ASSERT_EQ(0, move_memory(&self->tree, "A/y", 0));
	ASSERT_EQ(0, move_memory(&self->tree, "B", 0));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
}

FIXTURE_TEARDOWN(elsewhere)
{
	shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(elsewhere, next_best_on_the_node, TEST_TIMEOUT_S)
{
	const __u32 *sated = &self->policy->bss->sated;

	ASSERT_EQ(0, bind_memory(0));
	ASSERT_EQ(0, shortage_begin(&self->shortage, sated));
	ASSERT_EQ(0, bind_memory(-1));
	EXPECT_TRUE(wait_until(*sated));
	EXPECT_EQ(0, shortage_end(&self->shortage));
	let_go(&self->holder);

	EXPECT_STREQ("A/y", policy_victims(self->policy, &self->tree));
	EXPECT_STREQ("run(A,B)->A run(A/x,A/y)->A/x",
		     policy_calls(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
}

#define LONG_GRACE_MS	60000

/* The first victim is slow and on node 0, the next one on node 1. */
FIXTURE(far_victim)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct holder holder;
	struct shortage shortage;
};

FIXTURE_SETUP(far_victim)
{
	struct node *near;

	ASSERT_EQ(0, access(NODE_1, F_OK)) TH_LOG("one node only");
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, bind_memory(0));
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,32M,shared B=1"));
	ASSERT_EQ(0, bind_memory(1));
	near = tree_find(&self->tree, "B");
	near->pid[0] = task_start_in("B", 32, 0);
	ASSERT_LT(0, near->pid[0]);
	near->nr_tasks = 1;
	ASSERT_EQ(0, bind_memory(-1));

	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->victims_wanted = 2;
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				 .grace_ms = LONG_GRACE_MS);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
}

FIXTURE_TEARDOWN(far_victim)
{
	shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(far_victim, is_not_waited_for, TEST_TIMEOUT_S)
{
	const struct policy *policy = self->policy;
	struct bpf_link_info info;
	time_t begin = now_s();
	bool killed;

	ASSERT_EQ(0, raise_oom_sysrq());
	ASSERT_TRUE(wait_until(*self->holder.stopped));
	ASSERT_EQ(0, bind_memory(1));
	ASSERT_EQ(0, shortage_begin(&self->shortage, &policy->bss->sated));
	ASSERT_EQ(0, bind_memory(-1));
	killed = wait_until(policy->bss->nr_victims == 2);
	/* Later, it would prove nothing. */
	EXPECT_GT(LONG_GRACE_MS / 1000, now_s() - begin);
	EXPECT_EQ(0, shortage_end(&self->shortage));
	let_go(&self->holder);

	EXPECT_TRUE(killed);
	EXPECT_TRUE(wait_until(tree_killed(&self->tree) == 2));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.fallback_grace);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
