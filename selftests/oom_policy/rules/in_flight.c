// SPDX-License-Identifier: GPL-2.0-only
/*
 * One victim for one shortage: while a victim is still dying, wherever it sits,
 * nobody else is killed.
 *
 * A tracer holds the victim where SIGKILL has arrived and its memory is still
 * there. Meanwhile a hog goes on asking for memory, and the policy would by now
 * rather have somebody else: what keeps that one alive is nothing but the
 * kernel's wait, which the recorder must have seen before the tracer lets go.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"

#define WAITS		3

FIXTURE(in_flight)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct holder holder;
	struct shortage shortage;
};

FIXTURE_VARIANT(in_flight)
{
	const char *tree;
	bool waits;		/* the kernel must be seen to wait */
	bool leader_gone;	/* ... when one thread has left the mm */
	bool sysrq;		/* two sysrq-f instead of a shortage */
	__u32 victims_wanted;
	const char *victims;
};

FIXTURE_VARIANT_ADD(in_flight, victim_still_dying_exactly_one_kill)
{
	.tree = "A=0,32M B=1,32M",
	.waits = true,
	.victims_wanted = 1,
	.victims = "A",
};

FIXTURE_VARIANT_ADD(in_flight, in_flight_elsewhere_in_tree)
{
	.tree = "A=0 A/x=0 A/x/p=0,32M B=1 B/x=0,32M C=2,16M",
	.waits = true,
	.victims_wanted = 1,
	.victims = "A/x/p",
};

FIXTURE_VARIANT_ADD(in_flight, leader_gone_thread_holds_memory)
{
	.tree = "A=0,32M,threads B=1,32M",
	.waits = true,
	.leader_gone = true,
	.victims_wanted = 1,
	.victims = "A",
};

/* Memory that cannot be reaped: the kernel gives up on A and has to go on. */
FIXTURE_VARIANT_ADD(in_flight, given_up_victim_makes_way)
{
	.tree = "A=0,32M,shared B=2,32M C=1,32M",
	.victims_wanted = 2,
	.victims = "A B",
};

FIXTURE_VARIANT_ADD(in_flight, sysrq_does_not_wait)
{
	.tree = "A=0,8M B=2,8M C=1,8M",
	.sysrq = true,
	.victims_wanted = 2,
	.victims = "A B",
};

FIXTURE_SETUP(in_flight)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->flip_after_kill = true;
	self->policy->bss->victims_wanted = variant->victims_wanted;
	self->policy->bss->waits_wanted = variant->waits ? WAITS : 0;
	self->policy->bss->waits_once_unmarked = variant->leader_gone;
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
}

FIXTURE_TEARDOWN(in_flight)
{
	shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(in_flight, victims, TEST_TIMEOUT_S)
{
	struct policy *policy = self->policy;
	bool held, gone = true, sated;

	if (variant->sysrq) {
		ASSERT_EQ(0, policy_event(policy));
	} else {
		ASSERT_EQ(0, shortage_begin(&self->shortage, &policy->bss->sated));
		policy->bss->hog_pid = self->shortage.hog;
	}

	held = wait_until(*self->holder.stopped);
	if (variant->leader_gone)
		gone = wait_until(policy->bss->nr_unmarked);
	if (variant->sysrq)
		ASSERT_EQ(0, policy_event(policy));
	sated = wait_until(policy->bss->sated);

	/* No word before the machine has memory again: saying it takes some. */
	policy->bss->sated = true;
	EXPECT_EQ(0, shortage_end(&self->shortage));
	let_go(&self->holder);
	EXPECT_TRUE(held);
	EXPECT_TRUE(gone);
	EXPECT_TRUE(sated);

	EXPECT_STREQ(variant->victims, policy_victims(policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(policy, &self->tree));
}

/*
 * A victim that nobody reaps is over all the same: the event after it finds that out,
 * and the ones that follow look at no task for its sake.
 */
FIXTURE(zombie)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	struct bpf_link *looks;
};

FIXTURE_SETUP(zombie)
{
	/* Nobody but the two can be killed. */
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M B=1,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "");
	ASSERT_NE(NULL, self->link);
	self->early = early_load("on_look");
	ASSERT_NE(NULL, self->early);
	self->looks = bpf_program__attach(self->early->progs.on_look);
	ASSERT_NE(NULL, self->looks);
}

FIXTURE_TEARDOWN(zombie)
{
	bpf_link__destroy(self->looks);
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static bool is_zombie(pid_t pid)
{
	siginfo_t info = {};

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

/* What an event that kills nobody looks at. */
static __u32 looks_of_an_event(struct early *early)
{
	const __u32 before = early->bss->nr_looks;

	if (early_kill(early, cgroup_id(""), 0) != -ESRCH)
		return ~0U;
	return early->bss->nr_looks - before;
}

/* Victims of tests before this one may be on their way for a moment. */
TEST_F_TIMEOUT(zombie, is_looked_at_once, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	ASSERT_TRUE(wait_until(is_zombie(self->tree.node[0].pid[0])));
	ASSERT_EQ(0, set_oom_score_adj(self->tree.node[1].pid[0], -1000));

	EXPECT_LT(0U, looks_of_an_event(self->early));
	EXPECT_TRUE(wait_until(!looks_of_an_event(self->early)));
	EXPECT_TRUE(is_zombie(self->tree.node[0].pid[0]));
	EXPECT_STREQ("A", policy_victims(self->policy, &self->tree));
}

/*
 * Memory that comes after the limit was looked at is seen before somebody dies for it:
 * nobody does.
 */
FIXTURE(late)
{
	struct early_scene scene;
	struct memcg_shortage shortage;
};

FIXTURE_SETUP(late)
{
	struct early_scene *scene = &self->scene;

	ASSERT_EQ(0, early_scene_set(scene, "T=0 T/a=0,16M T/b=1,16M", "before_selection"));
	scene->link = attach_with(scene->policy->progs.compare, "",
				  .flags = BPF_F_OOM_POLICY_MEMCG,
				  .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, scene->link);
	ASSERT_EQ(0, early__attach(scene->early));
}

FIXTURE_TEARDOWN(late)
{
	self->scene.early->bss->go = 1;
	memcg_shortage_end(&self->shortage);
	early_scene_clear(&self->scene);
}

TEST_F_TIMEOUT(late, memory_spares_whom_the_policy_would_take, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	const pid_t pid = tree_find(&scene->tree, "T/b")->pid[0];

	/* Who is held by a program spins, where nobody else has to run. */
	ASSERT_EQ(0, run_on(pid, 0));
	ASSERT_EQ(0, run_on(0, 1));
	ASSERT_EQ(0, memcg_shortage_begin(&self->shortage, "T", NULL));
	ASSERT_EQ(0, run_on(0, 0));
	ASSERT_TRUE(wait_until(scene->early->bss->started));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_TRUE(wait_until(has_ended(pid)));
	scene->early->bss->go = 1;

	/* The limit is what it was meant to be. */
	EXPECT_TRUE(wait_until(has_ended(self->shortage.pid)));
	EXPECT_STREQ("", policy_victims(scene->policy, &scene->tree));
	EXPECT_FALSE(has_ended(tree_find(&scene->tree, "T/a")->pid[0]));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
