// SPDX-License-Identifier: GPL-2.0-only
/*
 * The budget of a selection: over it, the stock killer decides, wherever the slow
 * policy is; within it, the policy does. hostile.c has the longest selections.
 *
 * In T, the policy would have T/a first, and oom_badness() T/b.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "hostile.skel.h"

#define SLOW_ROUNDS	1000000
#define A_FEW		8

FIXTURE(budget)
{
	struct tree tree;
	struct policy *recorder;
	struct hostile *hostile;
	struct bpf_link *link;
};

FIXTURE_SETUP(budget)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/a=0,8M T/b=1,24M T/c=2,8M"));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	self->hostile = hostile__open_and_load();
	ASSERT_NE(NULL, self->hostile);
	self->hostile->bss->burn_rounds = SLOW_ROUNDS;
}

FIXTURE_TEARDOWN(budget)
{
	bpf_link__destroy(self->link);
	hostile__destroy(self->hostile);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

/* Asked once, and not in time. */
static void check_over_budget(struct __test_metadata *_metadata,
			      const struct bpf_link *link, struct bpf_link_info *info)
{
	ASSERT_EQ(0, policy_info(link, info));
	EXPECT_EQ(1U, info->oom_policy.selections);
	EXPECT_EQ(0U, info->oom_policy.kills);
	EXPECT_EQ(1U, info->oom_policy.fallback_budget);
}

TEST_F_TIMEOUT(budget, over_budget_stock_victim, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow, "", .budget_us = 1);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/b", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	check_over_budget(_metadata, self->link, &info);
	EXPECT_GE(1U, info.oom_policy.comparisons);
	EXPECT_LE(1000U, info.oom_policy.last_ns);
}

/* oom_badness() has picked in T: T's own policy only says whom, if it is in time. */
TEST_F_TIMEOUT(budget, over_budget_in_a_tenant, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow, "T", .budget_us = 1);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/b", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	check_over_budget(_metadata, self->link, &info);
	EXPECT_EQ(0U, info.oom_policy.fallback_abstain);
}

TEST_F_TIMEOUT(budget, over_budget_in_a_memcg_oom, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow, "T",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = 1);
	ASSERT_NE(NULL, self->link);
	EXPECT_EQ(0, policy_memcg_shortage(self->recorder, &self->tree, "T", NULL, 1));
	EXPECT_STREQ("T/b", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	/* While T/b dies it is not asked again. */
	check_over_budget(_metadata, self->link, &info);
}

TEST_F_TIMEOUT(budget, budget_is_the_first_policys, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	struct bpf_link *inner;

	self->link = attach_with(self->hostile->progs.slow, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	inner = attach_with(self->hostile->progs.always_second, "T", .budget_us = 1);
	ASSERT_NE(NULL, inner);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/c", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	EXPECT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
	EXPECT_EQ(0, policy_info(inner, &info));
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
	EXPECT_EQ(1U, info.oom_policy.kills);
	bpf_link__destroy(inner);
}

TEST_F_TIMEOUT(budget, slow_within_its_budget, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/a", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(2U, info.oom_policy.comparisons);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
}

static void awake(int sig)
{
}

/* 0 if a signal has ended it. */
static int rehearse_child(const void *arg, int ready_fd)
{
	static struct rehearsed said;
	const struct sigaction act = { .sa_handler = awake };

	if (sigaction(SIGUSR1, &act, NULL) || write(ready_fd, "", 1) != 1)
		return 2;
	if (!rehearse_select(*(const int *)arg, cgroup_id(""), &said))
		return 1;
	return errno == EINTR ? 0 : 2;
}

static bool signal_ends_rehearsal(const struct hostile *hostile)
{
	const int prog = bpf_program__fd(hostile->progs.slow);
	const __u64 before = hostile->bss->sum;
	pid_t child;

	child = child_start(rehearse_child, &prog, "who rehearses");
	if (child < 0)
		return false;
	wait_until(__atomic_load_n(&hostile->bss->sum, __ATOMIC_RELAXED) != before);
	kill(child, SIGUSR1);
	return !wait_exit(child);
}

/* Looked for between two calls of the program: a signal may come too late for that. */
TEST_F_TIMEOUT(budget, rehearsal_ends_with_a_signal, TEST_TIMEOUT_S)
{
	bool ended = false;
	int n;

	self->link = attach_with(self->hostile->progs.slow, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	for (n = 0; n < A_FEW && !ended; n++)
		ended = signal_ends_rehearsal(self->hostile);
	EXPECT_TRUE(ended);
}

/* A rehearsal has the options by which the program would rule there. */
TEST_F(budget, rehearsed_below_the_link)
{
	const int prog = bpf_program__fd(self->hostile->progs.always_first);
	static struct rehearsed said;

	self->link = attach_with(self->hostile->progs.always_first, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = 1);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, rehearse_select(prog, tree_find(&self->tree, "T")->id, &said));
	EXPECT_EQ(-ETIME, said.retval);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
