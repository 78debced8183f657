// SPDX-License-Identifier: GPL-2.0-only
/*
 * The grace: how long the next kill waits for a victim that the reaper has given up
 * on. in_flight.c has the victims that it has not given up on.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "rehearse.h"

#define LONG_GRACE_MS	60000
#define SOME_TIME_S	3

/* A victim that stays, and what comes of a second kill meanwhile. */
FIXTURE(grace)
{
	struct early_scene scene;
};

FIXTURE_VARIANT(grace)
{
	const char *tree;
	const char *scope;
	const char *at;	/* of the policy; NULL: the root */
	__u32 grace_ms;
	bool sysrq;	/* asks for the second kill */
	bool held;	/* it has to wait until the victim is gone */
	bool nothing_held;
};

FIXTURE_VARIANT_ADD(grace, holds_the_next_kill)
{
	.tree = "A=0,32M,shared B=1,32M",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(grace, holds_it_in_a_memcg)
{
	.tree = "T=0 T/a=0,16M,shared,threads T/b=1,16M",
	.scope = "T",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(grace, of_a_tenant_holds_it)
{
	.tree = "T=0 T/a=0,32M,shared T/b=1,32M",
	.scope = "",
	.at = "T",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

/* The first victim is none of the tenant's. */
FIXTURE_VARIANT_ADD(grace, of_a_tenant_holds_nothing_elsewhere)
{
	.tree = "T=0 T/a=0,8M T/b=1,16M V=0,32M,shared",
	.scope = "",
	.at = "T",
	.grace_ms = LONG_GRACE_MS,
	.nothing_held = true,
};

FIXTURE_VARIANT_ADD(grace, none)
{
	.tree = "A=0,32M,shared B=1,32M",
	.scope = "",
};

FIXTURE_VARIANT_ADD(grace, passes)
{
	.tree = "A=0,32M,shared B=1,32M",
	.scope = "",
	.grace_ms = 1,
};

FIXTURE_VARIANT_ADD(grace, ends_when_the_victim_has_shrunk)
{
	.tree = "A=0,32M B=1,32M",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
};

FIXTURE_VARIANT_ADD(grace, does_not_hold_sysrq)
{
	.tree = "A=0,32M,shared B=1,32M",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
	.sysrq = true,
};

FIXTURE_SETUP(grace)
{
	struct early_scene *scene = &self->scene;

	ASSERT_EQ(0, early_scene_set(scene, variant->tree, NULL));
	scene->link = attach_with(scene->policy->progs.compare, variant->at ?: "",
				  .flags = BPF_F_OOM_POLICY_MEMCG,
				  .budget_us = NO_BUDGET_US,
				  .grace_ms = variant->grace_ms);
	ASSERT_NE(NULL, scene->link);
	ASSERT_EQ(0, hold_tasks(&scene->holder, &scene->tree));
}

FIXTURE_TEARDOWN(grace)
{
	early_scene_clear(&self->scene);
}

TEST_F_TIMEOUT(grace, second_kill, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	const char *first = scene->tree.node[scene->tree.nr_nodes - 2].path;
	const __u64 scope = cgroup_id(variant->scope);
	struct policy *policy = scene->policy;
	struct rehearsed rehearsed;
	time_t begin;
	bool again;

	begin = now_s();
	ASSERT_EQ(0, early_kill(scene->early, scope, 0));
	ASSERT_TRUE(wait_until(*scene->holder.stopped));

	if (variant->held || variant->sysrq) {
		/* First it is in flight, then the reaper gives up. */
		ASSERT_TRUE(wait_until(early_kill(scene->early, scope, 0) == 0 ||
				       times_held(scene->link)));
		EXPECT_LT(0U, times_held(scene->link));
		EXPECT_EQ(-EAGAIN, early_kill(scene->early, scope, 0));
		ASSERT_EQ(0, rehearse_select(bpf_program__fd(policy->progs.compare),
					     cgroup_id(variant->at ?: ""), &rehearsed));
		EXPECT_EQ(-EBUSY, rehearsed.retval);
		EXPECT_STREQ(first, policy_victims(policy, &scene->tree));
	}
	if (variant->held)
		let_go(&scene->holder);
	if (variant->sysrq)
		ASSERT_EQ(0, raise_oom_sysrq());

	again = wait_until(policy->bss->nr_victims == 2 ||
			   (!variant->sysrq && early_kill(scene->early, scope, 0) == 0));
	EXPECT_TRUE(again);
	EXPECT_EQ(2U, policy->bss->nr_victims);
	/* Later, it would prove nothing. */
	if (variant->grace_ms == LONG_GRACE_MS)
		EXPECT_GT(LONG_GRACE_MS / 1000, now_s() - begin);
	if (!variant->grace_ms || variant->nothing_held)
		EXPECT_EQ(0U, times_held(scene->link));
}

/*
 * A victim on its way out, held there: its pages may be gone while its page tables are
 * not, and shared memory goes with its files, later still.
 */
FIXTURE(exiting)
{
	struct early_scene scene;
};

FIXTURE_VARIANT(exiting)
{
	const char *tree;
	const char *where;	/* the program that holds it */
	bool held;		/* the second kill has to wait */
};

FIXTURE_VARIANT_ADD(exiting, with_its_page_tables)
{
	.tree = "A=0,32M B=1,32M",
	.where = "with_page_tables",
	.held = true,
};

FIXTURE_VARIANT_ADD(exiting, with_its_shared_memory)
{
	.tree = "A=0,32M,shared B=1,32M",
	.where = "with_files",
	.held = true,
};

FIXTURE_VARIANT_ADD(exiting, with_nothing)
{
	.tree = "A=0,32M B=1,32M",
	.where = "with_files",
};

FIXTURE_SETUP(exiting)
{
	struct early_scene *scene = &self->scene;

	ASSERT_EQ(0, early_scene_set(scene, variant->tree, variant->where));
	scene->link = attach_with(scene->policy->progs.compare, "",
				  .budget_us = NO_BUDGET_US, .grace_ms = LONG_GRACE_MS);
	ASSERT_NE(NULL, scene->link);
	scene->early->bss->target = tree_find(&scene->tree, "A")->pid[0];
	ASSERT_EQ(0, early__attach(scene->early));
}

FIXTURE_TEARDOWN(exiting)
{
	early_scene_clear(&self->scene);
}

TEST_F_TIMEOUT(exiting, second_kill, TEST_TIMEOUT_S)
{
	const __u64 root = cgroup_id("");
	struct early_scene *scene = &self->scene;

	/* Who is held spins: not where this test runs. */
	ASSERT_EQ(0, run_on(0, 0));
	ASSERT_EQ(0, run_on(scene->early->bss->target, 1));
	ASSERT_EQ(0, early_kill(scene->early, root, 0));
	ASSERT_TRUE(wait_until(scene->early->bss->started));

	if (variant->held) {
		EXPECT_EQ(-EAGAIN, early_kill(scene->early, root, 0));
		EXPECT_EQ(1U, times_held(scene->link));
		EXPECT_EQ(0U, scene->early->bss->done);
		scene->early->bss->go = 1;
		EXPECT_TRUE(wait_until(early_kill(scene->early, root, 0) == 0));
	} else {
		EXPECT_EQ(0, early_kill(scene->early, root, 0));
		EXPECT_EQ(0U, scene->early->bss->done);
	}
	EXPECT_STREQ("A B", policy_victims(scene->policy, &scene->tree));
}

/* The same for a real shortage: the one who allocates waits. */
FIXTURE(shortage)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct holder holder;
	struct shortage shortage;
};

FIXTURE_SETUP(shortage)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,32M,shared B=1,32M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->waits_wanted = UINT32_MAX;
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US, .grace_ms = LONG_GRACE_MS);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
}

FIXTURE_TEARDOWN(shortage)
{
	shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(shortage, waits_for_the_grace, TEST_TIMEOUT_S)
{
	struct policy *policy = self->policy;
	bool held, alone;

	/* There even to look takes memory, and waits for the grace with everybody else. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "the kernel keeps track of its memory, in memory");

	ASSERT_EQ(0, shortage_begin(&self->shortage, &policy->bss->sated));
	/* A slow kernel does not get round to many tries before the grace has passed. */
	held = wait_until(times_held(self->link));
	alone = policy->bss->nr_victims == 1;

	/* No word before the machine has memory again: saying it takes some. */
	policy->bss->sated = true;
	EXPECT_EQ(0, shortage_end(&self->shortage));
	let_go(&self->holder);
	EXPECT_TRUE(held);
	EXPECT_TRUE(alone);
}

/* In a memcg one wait is one event, and the shortages of others go on. */
FIXTURE(memcg)
{
	struct early_scene scene;
	struct memcg_shortage shortage;
};

FIXTURE_SETUP(memcg)
{
	struct early_scene *scene = &self->scene;

	ASSERT_EQ(0, early_scene_set(scene, "T=0 T/a=0,16M,shared T/b=1,16M U=0 U/a=0,16M",
				     NULL));
	scene->link = attach_with(scene->policy->progs.compare, "",
				  .flags = BPF_F_OOM_POLICY_MEMCG,
				  .budget_us = NO_BUDGET_US, .grace_ms = LONG_GRACE_MS);
	ASSERT_NE(NULL, scene->link);
	ASSERT_EQ(0, hold_tasks(&scene->holder, &scene->tree));
}

FIXTURE_TEARDOWN(memcg)
{
	let_go(&self->scene.holder);
	memcg_shortage_end(&self->shortage);
	early_scene_clear(&self->scene);
}

TEST_F_TIMEOUT(memcg, wait_is_one_event, TEST_TIMEOUT_S)
{
	const __u64 scope = cgroup_id("T");
	struct early_scene *scene = &self->scene;
	long before;
	time_t end;

	ASSERT_EQ(0, memcg_shortage_begin(&self->shortage, "T", NULL));
	ASSERT_TRUE(wait_until(times_held(scene->link)));

	/* Time for hundreds of tries: whoever waits makes none of its own. */
	before = cgroup_read_long("T", "memory.events.local", "oom");
	for (end = now_s() + SOME_TIME_S; now_s() < end;)
		EXPECT_EQ(-EAGAIN, early_kill(scene->early, scope, 0));
	EXPECT_GE(before + 1, cgroup_read_long("T", "memory.events.local", "oom"));
	EXPECT_STREQ("T/a", policy_victims(scene->policy, &scene->tree));

	/* Nobody waits for T's victim elsewhere. */
	EXPECT_EQ(0, early_kill(scene->early, cgroup_id("U"), 0));
	EXPECT_STREQ("T/a U/a", policy_victims(scene->policy, &scene->tree));
}

/* Whoever has a signal to look after does not wait for the grace to pass. */
TEST_F_TIMEOUT(memcg, wait_ends_with_a_signal, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	const time_t begin = now_s();
	siginfo_t info = {};

	ASSERT_EQ(0, memcg_shortage_begin(&self->shortage, "T", NULL));
	ASSERT_TRUE(wait_until(times_held(scene->link)));
	ASSERT_EQ(0, kill(self->shortage.pid, SIGUSR1));
	EXPECT_TRUE(wait_until(has_ended(self->shortage.pid)));
	/* Later, it would prove nothing; nor if the write has come to its end. */
	EXPECT_GT(LONG_GRACE_MS / 1000, now_s() - begin);
	ASSERT_EQ(0, waitid(P_PID, self->shortage.pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(SIGUSR1, info.si_status);
	EXPECT_STREQ("T/a", policy_victims(scene->policy, &scene->tree));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
