// SPDX-License-Identifier: GPL-2.0-only
/*
 * A link whose cgroup loses its memory controller, and gets it back: it waits with the
 * cgroup, comes back to its slot, and decides again.
 *
 * The machine must have no cgroups but these.
 */
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "link.h"
#include "policy.h"

/* A cgroup that loses its memory controller, and gets it back. */
static int toggle_memory(const char *text)
{
	return cgroup_write("", "cgroup.subtree_control", text);
}

static __u32 state_of(int link_fd)
{
	return info_of(link_fd).oom_policy.state;
}

/* The memcg goes offline a moment later. */
static void fall_dormant(struct __test_metadata *_metadata, int link_fd)
{
	ASSERT_EQ(0, toggle_memory("-memory"));
	ASSERT_TRUE(wait_until(state_of(link_fd) == BPF_OOM_LINK_DORMANT));
}

static void wake_up(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, toggle_memory("+memory"));
}

FIXTURE(dormant)
{
	int prog;
	int other_prog;
	int link;
	__u64 id;
};

FIXTURE_SETUP(dormant)
{
	ASSERT_EQ(0, protect_self());
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	self->other_prog = policy_prog();
	ASSERT_LE(0, self->other_prog);
	ASSERT_EQ(0, cgroup_make("A"));
	self->id = cgroup_id("A");
	self->link = link_create_at(self->prog, "A");
	ASSERT_LE(0, self->link);
	fall_dormant(_metadata, self->link);
}

FIXTURE_TEARDOWN(dormant)
{
	toggle_memory("+memory");
	close(self->link);
	cgroup_remove("A");
}

TEST_F(dormant, keeps_its_cgroup)
{
	char number[32];

	EXPECT_EQ(self->id, info_of(self->link).oom_policy.cgroup_id);
	if (by_module())
		return;
	snprintf(number, sizeof(number), "%ju", (uintmax_t)self->id);
	EXPECT_TRUE(fdinfo_has(self->link, "cgroup_id", number));
	snprintf(number, sizeof(number), "%u", BPF_OOM_LINK_DORMANT);
	EXPECT_TRUE(fdinfo_has(self->link, "state", number));
}

TEST_F(dormant, comes_back_to_its_slot)
{
	EXPECT_EQ(-EOPNOTSUPP, link_create_at(self->other_prog, "A"));
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(self->link));
	EXPECT_EQ(self->id, info_of(self->link).oom_policy.cgroup_id);
	EXPECT_EQ(-EBUSY, link_create_at(self->other_prog, "A"));
}

TEST_F(dormant, again_and_again)
{
	int i;

	for (i = 0; i < 3; i++) {
		wake_up(_metadata);
		EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(self->link));
		fall_dormant(_metadata, self->link);
	}
}

/* Those of another cgroup, and of the other type, are not mixed up with it. */
TEST_F(dormant, each_comes_back_to_its_own)
{
	const int task_prog = prog_load(BPF_PROG_TYPE_OOM_POLICY, BPF_OOM_POLICY_TASK);
	int task_link, other_link;

	ASSERT_LE(0, task_prog);
	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_make("B"));
	task_link = link_create_typed_at(task_prog, "B", BPF_OOM_POLICY_TASK);
	ASSERT_LE(0, task_link);
	other_link = link_create_at(self->other_prog, "B");
	ASSERT_LE(0, other_link);
	ASSERT_EQ(0, bpf_link_detach(self->link));
	fall_dormant(_metadata, task_link);
	EXPECT_TRUE(wait_until(state_of(other_link) == BPF_OOM_LINK_DORMANT));
	wake_up(_metadata);

	EXPECT_TRUE(slot_free(self->prog, "A"));
	EXPECT_EQ(-EBUSY, link_create_at(self->prog, "B"));
	EXPECT_EQ(-EBUSY, link_create_typed_at(task_prog, "B", BPF_OOM_POLICY_TASK));
	EXPECT_EQ(0, bpf_link_detach(other_link));
	EXPECT_TRUE(slot_free(self->prog, "B"));
	EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(task_link));
	close(task_link);
	close(other_link);
	EXPECT_EQ(0, cgroup_remove("B"));
}

TEST_F(dormant, removed_cgroup_detaches)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, cgroup_remove("A"));
	info = info_of(self->link);
	EXPECT_EQ(0U, info.oom_policy.cgroup_id);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info.oom_policy.state);
	EXPECT_EQ(-ENOLINK, bpf_link_update(self->link, self->other_prog, NULL));

	ASSERT_EQ(0, cgroup_make("A"));
	wake_up(_metadata);
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(self->link));
}

/* Nobody has looked since the cgroup went away. */
TEST_F(dormant, removed_cgroup_refuses_update)
{
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_EQ(-ENOLINK, bpf_link_update(self->link, self->other_prog, NULL));
	ASSERT_EQ(0, cgroup_make("A"));
}

/* The memcg of such a cgroup may go offline before or after it is removed. */
TEST_F(dormant, removed_at_once_detaches)
{
	wake_up(_metadata);
	ASSERT_EQ(0, toggle_memory("-memory"));
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_TRUE(wait_until(!info_of(self->link).oom_policy.cgroup_id));
	ASSERT_EQ(0, cgroup_make("A"));
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(self->link));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(dormant, detached_does_not_come_back)
{
	ASSERT_EQ(0, bpf_link_detach(self->link));
	EXPECT_EQ(0U, info_of(self->link).oom_policy.cgroup_id);
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(self->link));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(dormant, closed_does_not_come_back)
{
	ASSERT_EQ(0, bpf_obj_pin(self->link, LINK_PIN));
	close(self->link);
	self->link = -1;
	ASSERT_EQ(0, unlink(LINK_PIN));
	wake_up(_metadata);
	EXPECT_TRUE(wait_until(slot_free(self->other_prog, "A")));
}

TEST_F(dormant, update)
{
	EXPECT_EQ(0, bpf_link_update(self->link, self->other_prog, NULL));
	EXPECT_EQ((__u32)BPF_OOM_LINK_DORMANT, state_of(self->link));
	wake_up(_metadata);
	EXPECT_EQ(prog_id(self->other_prog),
		  info_of(self->link).prog_id);
}

/*
 * A real event before, while and after the cgroups of the tree have no memcgs. The link
 * is the tenant's own, so that oom_badness() says that it is that tenant.
 */
FIXTURE(toggled)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(toggled)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/A=0,8M T/B=1,32M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "T",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, cgroup_write("T", "cgroup.subtree_control", "-memory"));
	fall_dormant(_metadata, bpf_link__fd(self->link));
}

FIXTURE_TEARDOWN(toggled)
{
	toggle_memory("+memory");
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(toggled, stock_killer_while_dormant, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/B", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.kills);
}

TEST_F_TIMEOUT(toggled, in_force_again, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/A", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(tree_find(&self->tree, "T/A")->id, info.oom_policy.last_victim_cgroup_id);
}

TEST_F_TIMEOUT(toggled, updated_program_rules, TEST_TIMEOUT_S)
{
	const int prog_fd = policy_prog();

	ASSERT_EQ(0, bpf_link_update(bpf_link__fd(self->link), prog_fd, NULL));
	ASSERT_EQ(0, bpf_link_update(bpf_link__fd(self->link),
				     bpf_program__fd(self->policy->progs.compare), NULL));
	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/A", policy_victims(self->policy, &self->tree));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
