// SPDX-License-Identifier: GPL-2.0-only
/*
 * The budget of a selection: over it no program is asked any more, wherever the slow
 * policy is. The best so far is taken, and below it the larger one. hostile.c has the
 * longest selections.
 *
 * In T, the policy would have T/a and T/a/x first, and oom_badness() T/b.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "hostile.skel.h"

#define TREE		"T=0 T/a=0 T/a/x=0,4M T/a/y=0,8M T/b=1,24M T/c=2,8M T/d=3,4M"
#define SLOW_ROUNDS	4000000
#define SHORT_BUDGET_US	10000	/* less than one slow run, and more than what comes before */
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
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
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

/* One run that is out of all proportion is forgiven: the second is one too many. */
static void check_over_budget(struct __test_metadata *_metadata,
			      const struct bpf_link *link)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, policy_info(link, &info));
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(1U, info.oom_policy.fallback_budget);
	EXPECT_LE(1U, info.oom_policy.comparisons);
	EXPECT_GE(2U, info.oom_policy.comparisons);
}

/* At T the best so far is T/a; below it nobody is asked, and T/a/y is larger. */
TEST_F_TIMEOUT(budget, over_budget_best_so_far, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->hostile->progs.slow, "", .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/a/y", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
	check_over_budget(_metadata, self->link);
}

/* oom_badness() has picked in T: T's own policy says whom, as far as it gets. */
TEST_F_TIMEOUT(budget, over_budget_in_a_tenant, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow, "T", .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/a/y", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	check_over_budget(_metadata, self->link);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.fallback_abstain);
}

TEST_F_TIMEOUT(budget, over_budget_in_a_memcg_oom, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->hostile->progs.slow, "T",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	EXPECT_EQ(0, policy_memcg_shortage(self->recorder, &self->tree, "T", NULL, 1));
	EXPECT_STREQ("T/a/y", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	/* While T/a/y dies it is not asked again. */
	check_over_budget(_metadata, self->link);
}

/* As when the host takes the CPU away for once: the choice is the policy's to its end. */
TEST_F_TIMEOUT(budget, one_stall_is_forgiven, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->hostile->progs.slow_once, "", .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/d", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_LT(SHORT_BUDGET_US * 1000U, info.oom_policy.last_ns);
	EXPECT_EQ(3U, info.oom_policy.comparisons);
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
}

TEST_F_TIMEOUT(budget, budget_is_the_first_policys, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	struct bpf_link *inner;

	self->link = attach_with(self->hostile->progs.slow, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	inner = attach_with(self->hostile->progs.always_second, "T", .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, inner);
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ("T/d", policy_victims(self->recorder, &self->tree));
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
	EXPECT_STREQ("T/a/x", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(4U, info.oom_policy.comparisons);
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
	const int prog = bpf_program__fd(self->hostile->progs.slow);
	static struct rehearsed said;

	self->link = attach_with(self->hostile->progs.slow, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = SHORT_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, rehearse_select(prog, tree_find(&self->tree, "T")->id, &said));
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ(tree_find(&self->tree, "T/a/y")->id, said.victim.cgroup_id_1);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
