// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whoever dies of something else than the OOM killer is waited for like a victim, with a
 * grace. grace.c has the OOM killer's own victims.
 *
 * One process of the tree is killed by the test, and held on its way out.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "rehearse.h"

/* Longer than any wait for something to happen. */
#define LONG_GRACE_MS	60000

FIXTURE(dying)
{
	struct early_scene scene;
};

FIXTURE_VARIANT(dying)
{
	const char *tree;
	const char *dies;
	const char *next;	/* the victim, now or later */
	const char *scope;
	const char *where;	/* the program that holds it; NULL: a tracer, on its way in */
	__u32 grace_ms;
	bool by_cgroup_kill;
	bool sysrq;
	bool held;		/* the kill has to wait until it is gone */
	bool passes;		/* until the grace has passed */
};

FIXTURE_VARIANT_ADD(dying, of_a_signal_is_waited_for)
{
	.tree = "A=1,32M B=0,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(dying, of_cgroup_kill_is_waited_for)
{
	.tree = "A=1,32M B=0,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
	.by_cgroup_kill = true,
	.held = true,
};

FIXTURE_VARIANT_ADD(dying, in_a_memcg_is_waited_for)
{
	.tree = "T=0 T/a=1,16M,threads T/b=0,16M",
	.dies = "T/a",
	.next = "T/b",
	.scope = "T",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(dying, elsewhere_is_not_waited_for)
{
	.tree = "T=0 T/b=0,16M U=1,16M",
	.dies = "U",
	.next = "T/b",
	.scope = "T",
	.grace_ms = LONG_GRACE_MS,
};

/* It would have been the choice, and cannot be killed any more. */
FIXTURE_VARIANT_ADD(dying, with_its_page_tables_is_waited_for)
{
	.tree = "A=0,32M B=1,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.where = "with_page_tables",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(dying, with_its_shared_memory_is_waited_for)
{
	.tree = "A=0,32M,shared B=1,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.where = "with_files",
	.grace_ms = LONG_GRACE_MS,
	.held = true,
};

FIXTURE_VARIANT_ADD(dying, with_nothing_is_not_waited_for)
{
	.tree = "A=0,32M B=1,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.where = "with_files",
	.grace_ms = LONG_GRACE_MS,
};

FIXTURE_VARIANT_ADD(dying, without_a_grace_is_not_waited_for)
{
	.tree = "A=1,32M B=0,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
};

FIXTURE_VARIANT_ADD(dying, has_its_grace_and_no_longer)
{
	.tree = "A=1,32M B=0,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.grace_ms = 1,
	.passes = true,
};

FIXTURE_VARIANT_ADD(dying, does_not_hold_sysrq)
{
	.tree = "A=1,32M B=0,32M",
	.dies = "A",
	.next = "B",
	.scope = "",
	.grace_ms = LONG_GRACE_MS,
	.sysrq = true,
};

FIXTURE_SETUP(dying)
{
	struct early_scene *scene = &self->scene;

	ASSERT_EQ(0, early_scene_set(scene, variant->tree, variant->where));
	scene->link = attach_with(scene->policy->progs.compare, "",
				  .flags = BPF_F_OOM_POLICY_MEMCG,
				  .budget_us = NO_BUDGET_US, .grace_ms = variant->grace_ms);
	ASSERT_NE(NULL, scene->link);
	if (variant->where) {
		scene->early->bss->target = tree_find(&scene->tree, variant->dies)->pid[0];
		ASSERT_EQ(0, early__attach(scene->early));
	} else {
		ASSERT_EQ(0, hold_tasks(&scene->holder, &scene->tree));
	}
}

FIXTURE_TEARDOWN(dying)
{
	early_scene_clear(&self->scene);
}

static void check_held(struct __test_metadata *_metadata, struct early_scene *scene,
		       __u64 scope_id)
{
	struct rehearsed rehearsed;

	/* A rehearsal is not the first to see it. */
	ASSERT_EQ(0, rehearse_select(bpf_program__fd(scene->policy->progs.compare),
				     cgroup_id(""), &rehearsed));
	EXPECT_EQ(-EBUSY, rehearsed.retval);
	EXPECT_EQ(-EAGAIN, early_kill(scene->early, scope_id, 0));
	EXPECT_EQ(-EAGAIN, early_kill(scene->early, scope_id, 0));
	EXPECT_EQ(2U, times_held(scene->link));
	EXPECT_EQ(0U, scene->policy->bss->nr_victims);
}

static int kill_next(bool sysrq, struct early *early, __u64 scope)
{
	return sysrq ? raise_oom_sysrq() : early_kill(early, scope, 0);
}

TEST_F_TIMEOUT(dying, process, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	const pid_t pid = tree_find(&scene->tree, variant->dies)->pid[0];
	const __u64 scope_id = cgroup_id(variant->scope);

	/* Who is held by a program spins: not where this test runs. */
	ASSERT_EQ(0, run_on(0, 0));
	ASSERT_EQ(0, run_on(pid, 1));
	ASSERT_EQ(0, variant->by_cgroup_kill ? cgroup_write(variant->dies, "cgroup.kill", "1") :
					       kill(pid, SIGKILL));
	ASSERT_TRUE(wait_until(variant->where ? scene->early->bss->started :
						*scene->holder.stopped));

	if (variant->held) {
		check_held(_metadata, scene, scope_id);
		scene->early->bss->go = 1;
		let_go(&scene->holder);
		EXPECT_TRUE(wait_until(has_ended(pid)));
	} else {
		EXPECT_FALSE(has_ended(pid));
	}

	if (variant->passes)
		EXPECT_TRUE(wait_until(early_kill(scene->early, scope_id, 0) == 0));
	if (!variant->passes)
		EXPECT_EQ(0, kill_next(variant->sysrq, scene->early, scope_id));
	EXPECT_TRUE(wait_until(scene->policy->bss->nr_victims));
	EXPECT_STREQ(variant->next, policy_victims(scene->policy, &scene->tree));
	if (variant->held)
		return;
	EXPECT_EQ(variant->passes, times_held(scene->link) > 0);
	EXPECT_FALSE(has_ended(pid));
}

/* Many of them, one after the other. */
FIXTURE(many)
{
	struct early_scene scene;
};

FIXTURE_SETUP(many)
{
	ASSERT_EQ(0, early_scene_set(&self->scene, "A=1,x4 B=1,x4 C=1,x4 D=1,x4 V=0,8M",
				     "on_slow_look"));
	ASSERT_EQ(0, early__attach(self->scene.early));
}

FIXTURE_TEARDOWN(many)
{
	early_scene_clear(&self->scene);
}

static void attach_many(struct __test_metadata *_metadata, struct early_scene *scene,
			__u32 grace_ms)
{
	scene->link = attach_with(scene->policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				  .grace_ms = grace_ms);
	ASSERT_NE(NULL, scene->link);
}

/* Each has a grace of its own, and yet it ends. */
TEST_F_TIMEOUT(many, do_not_hold_it_for_ever, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	int err = -EAGAIN, n, i;

	attach_many(_metadata, scene, 1);
	ASSERT_EQ(0, hold_tasks(&scene->holder, &scene->tree));
	for (n = 0; n < 16 && err == -EAGAIN; n++) {
		ASSERT_EQ(0, kill(scene->tree.node[n / 4].pid[n % 4], SIGKILL));
		ASSERT_TRUE(wait_until(*scene->holder.stopped == (__u32)n + 1));
		err = early_kill(scene->early, cgroup_id(""), 0);
		for (i = 0; i < 4; i++)
			nap();
	}
	TH_LOG("%d were waited for", n - 1);
	EXPECT_EQ(0, err);
	EXPECT_LT(1, n);
	EXPECT_STREQ("V", policy_victims(scene->policy, &scene->tree));
}

static bool nobody_is_looked_for(struct early_scene *scene)
{
	struct rehearsed rehearsed;

	scene->early->bss->nr_looks = 0;
	return !rehearse_select(bpf_program__fd(scene->policy->progs.compare), cgroup_id(""),
				&rehearsed) && !scene->early->bss->nr_looks;
}

/* Nobody has waited for them, either. Of victims before, the reaper has to let go. */
TEST_F_TIMEOUT(many, zombies_are_not_looked_for, TEST_TIMEOUT_S)
{
	struct early_scene *scene = &self->scene;
	int n;

	attach_many(_metadata, scene, LONG_GRACE_MS);
	ASSERT_TRUE(wait_until(nobody_is_looked_for(scene)));
	for (n = 0; n < 16; n++)
		ASSERT_EQ(0, kill(scene->tree.node[n / 4].pid[n % 4], SIGKILL));
	for (n = 0; n < 16; n++)
		ASSERT_TRUE(wait_until(has_ended(scene->tree.node[n / 4].pid[n % 4])));
	EXPECT_EQ(0, early_kill(scene->early, cgroup_id(""), 0));
	EXPECT_EQ(0U, scene->early->bss->nr_looks);
	EXPECT_STREQ("V", policy_victims(scene->policy, &scene->tree));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
