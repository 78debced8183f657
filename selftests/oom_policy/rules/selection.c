// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who dies: one table of cgroup trees, each with the victim that a real global
 * OOM must find and, where it says so, the comparisons that must lead there.
 *
 * lib/tree.h explains how a tree is written down. The lower priority dies first.
 * The machine must have no cgroups but these.
 */
#include <string.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"

FIXTURE(selection)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_VARIANT(selection)
{
	const char *tree;
	const char *victims;
	const char *calls;	/* NULL: not looked at */
	const char *attach_to;	/* NULL: nothing attached, "": the root */
	bool detach;		/* attached, and detached again */
	bool pressure;		/* a hog instead of sysrq-f */
	__u32 abstain_level;
};

FIXTURE_VARIANT_ADD(selection, seed_example)
{
	.tree = "A=-1 B=1,8M C=2,8M D=3,32M A/E=9,16M A/F=0,8M",
	.calls = "run(A,B)->A run(A,C)->A run(A,D)->A run(A/E,A/F)->A/F",
	.victims = "A/F",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, seed_example_under_pressure)
{
	.tree = "A=-1 B=1,8M C=2,8M D=3,32M A/E=9,16M A/F=0,8M",
	.calls = "run(A,B)->A run(A,C)->A run(A,D)->A run(A/E,A/F)->A/F",
	.victims = "A/F",
	.attach_to = "",
	.pressure = true,
};

FIXTURE_VARIANT_ADD(selection, last_sibling_wins)
{
	.tree = "A=3,32M B=2,8M C=1,8M",
	.calls = "run(A,B)->B run(B,C)->C",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, tie_by_usage)
{
	.tree = "A=0,8M B=0,24M C=0,16M D=1,32M",
	.calls = "run(A,B)->equal run(B,C)->equal run(B,D)->B",
	.victims = "B",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, tie_by_usage_under_pressure)
{
	.tree = "A=0,8M B=0,24M C=0,16M D=1,32M",
	.calls = "run(A,B)->equal run(B,C)->equal run(B,D)->B",
	.victims = "B",
	.attach_to = "",
	.pressure = true,
};

FIXTURE_VARIANT_ADD(selection, tie_by_lower_id)
{
	.tree = "A=0,8M,moved B=0,8M,moved C=0,8M,moved",
	.calls = "run(A,B)->equal run(A,C)->equal",
	.victims = "A",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, three_levels)
{
	.tree = "A=2 B=1 A/x=0,32M B/x=1 B/y=0 B/x/p=0,8M B/y/p=5,8M B/y/q=4,8M",
	.calls = "run(A,B)->B run(B/x,B/y)->B/y run(B/y/p,B/y/q)->B/y/q",
	.victims = "B/y/q",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, single_child_no_call)
{
	.tree = "A=0 A/x=0 A/x/p=0,8M",
	.calls = "",
	.victims = "A/x/p",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, empty_child)
{
	.tree = "A=-9 B=2,8M C=1,8M",
	.calls = "run(B,C)->C",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, unpopulated_subtree)
{
	.tree = "A=-9 A/x=0 A/x/p=0 B=2,8M C=1,8M",
	.calls = "run(B,C)->C",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, unkillable_child_next_best_sibling)
{
	.tree = "A=0,32M,adj=-1000 B=2,8M C=1,8M",
	.calls = "run(A,B)->A run(A,C)->A run(B,C)->C",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, unkillable_child_under_pressure)
{
	.tree = "A=0,32M,adj=-1000 B=2,8M C=1,8M",
	.calls = "run(A,B)->A run(A,C)->A run(B,C)->C",
	.victims = "C",
	.attach_to = "",
	.pressure = true,
};

FIXTURE_VARIANT_ADD(selection, unkillable_leaf_next_best_in_its_parent)
{
	.tree = "A=0 A/x=0,8M,adj=-1000 A/y=2,8M A/z=1,8M B=1,32M",
	.victims = "A/z",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, unkillable_subtree_backs_up_two_levels)
{
	.tree = "A=0 A/x=0 A/x/p=0,8M,adj=-1000 A/y=1,8M,adj=-1000 B=2,32M C=1,8M",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, unkillable_task_beside_a_killable_one)
{
	.tree = "A=0 A/x=0,8M,x2 B=1,32M,adj=1000",
	.calls = "run(A,B)->A",
	.victims = "A/x",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, oom_group_on_inner_node)
{
	.tree = "A=0,group A/x=1,8M A/y=0,16M,x2 B=1,32M",
	.calls = "run(A,B)->A",
	.victims = "A/x A/y A/y",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, oom_group_spares_unkillable)
{
	.tree = "A=0,group A/x=1,8M A/y=0,16M,adj=-1000 B=1,32M",
	.calls = "run(A,B)->A",
	.victims = "A/x",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, group_all_unkillable_next)
{
	.tree = "A=0,group A/x=1,8M,adj=-1000 A/y=0,16M,adj=-1000 B=2,32M C=1,8M",
	.calls = "run(A,B)->A run(A,C)->A run(B,C)->C",
	.victims = "C",
	.attach_to = "",
};

FIXTURE_VARIANT_ADD(selection, abstain_picks_inside_the_subtree)
{
	.tree = "A=0 A/x=0,8M A/y=1,16M B=1,32M",
	.calls = "run(A,B)->A run(A/x,A/y)->abstain",
	.victims = "A/y",
	.attach_to = "",
	.abstain_level = 2,
};

FIXTURE_VARIANT_ADD(selection, abstain_at_the_root_is_stock)
{
	.tree = "A=0,8M B=1,32M",
	.calls = "run(A,B)->abstain",
	.victims = "B",
	.attach_to = "",
	.abstain_level = 1,
};

FIXTURE_VARIANT_ADD(selection, no_policy_stock_victim)
{
	.tree = "A=0 A/x=0,8M B=1,32M",
	.calls = "",
	.victims = "B",
};

FIXTURE_VARIANT_ADD(selection, no_policy_stock_victim_under_pressure)
{
	.tree = "A=0 A/x=0,8M B=1,32M",
	.calls = "",
	.victims = "B",
	.pressure = true,
};

FIXTURE_VARIANT_ADD(selection, detached_again_stock_victim)
{
	.tree = "A=0 A/x=0,8M B=1,32M",
	.calls = "",
	.victims = "B",
	.attach_to = "",
	.detach = true,
};

FIXTURE_VARIANT_ADD(selection, nonroot_policy_not_ignored)
{
	.tree = "A=0 A/x=0,8M A/y=1,32M B=0,16M",
	.calls = "run(A/x,A/y)->A/x",
	.victims = "A/x",
	.attach_to = "A",
};

FIXTURE_VARIANT_ADD(selection, nonroot_policy_reaches_no_further)
{
	.tree = "A=0 A/x=0,8M A/y=1,16M B=1,32M",
	.calls = "",
	.victims = "B",
	.attach_to = "A",
};

FIXTURE_SETUP(selection)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->abstain_level = variant->abstain_level;
	if (variant->attach_to) {
		self->link = attach_with(self->policy->progs.compare, variant->attach_to,
					 .budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->link);
	}
	if (variant->detach)
		ASSERT_EQ(0, bpf_link__detach(self->link));
}

FIXTURE_TEARDOWN(selection)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static void check_victims(struct __test_metadata *_metadata,
			  const struct policy *policy, struct tree *tree,
			  const char *expected)
{
	struct node *node;
	long counted;
	int n;

	EXPECT_STREQ(expected, policy_victims(policy, tree));
	EXPECT_TRUE(policy_victims_died(policy, tree));
	for (n = 0; n < tree->nr_nodes; n++) {
		node = &tree->node[n];
		if (!node->nr_tasks || node->moved)
			continue;
		/* The kernel counts the first victim of a group twice. */
		counted = cgroup_read_long(node->path, "memory.events", "oom_kill");
		EXPECT_LE(node_killed(node), counted);
		EXPECT_EQ(!node_killed(node), !counted);
	}
}

static void check_candidate(struct __test_metadata *_metadata, struct tree *tree,
			    __u64 id, __u64 usage, __u32 level)
{
	const struct node *node = tree_find_id(tree, id);
	const char *slash;

	ASSERT_NE(NULL, node);
	for (slash = strchr(node->path, '/'); slash; slash = strchr(slash + 1, '/'))
		level--;
	EXPECT_EQ(1U, level);
	EXPECT_LE(node->moved ? 0 : (__u64)node->megabytes * node->nr_tasks << 20, usage);
	EXPECT_FALSE(node->moved && usage);
}

/* Within one pass over siblings, candidate 1 is the winner of the call before. */
static bool same_pass(const struct call *before, const struct call *call)
{
	switch (before->verdict) {
	case BPF_OOM_FIRST:
		return call->id_1 == before->id_1;
	case BPF_OOM_SECOND:
		return call->id_1 == before->id_2;
	case BPF_OOM_EQUAL:
		return call->id_1 == before->id_1 || call->id_1 == before->id_2;
	default:
		return false;
	}
}

static void check_calls(struct __test_metadata *_metadata,
			const struct policy *policy, struct tree *tree,
			const char *expected, __u32 flags)
{
	const struct call *calls = policy->bss->calls, *call;
	__u32 n;

	if (expected)
		EXPECT_STREQ(expected, policy_calls(policy, tree));

	EXPECT_EQ(0U, policy->bss->foreign_scratch);
	ASSERT_GE((__u32)MAX_CALLS, policy->bss->nr_calls);
	for (n = 0; n < policy->bss->nr_calls; n++) {
		call = &calls[n];
		EXPECT_EQ(flags, call->flags);
		EXPECT_EQ(n && same_pass(call - 1, call) ? 2U : 3U, call->fresh);
		check_candidate(_metadata, tree, call->id_1, call->usage_1, call->level);
		check_candidate(_metadata, tree, call->id_2, call->usage_2, call->level);
	}
}

TEST_F_TIMEOUT(selection, victim, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, variant->pressure ? policy_shortage(self->policy, &self->tree) :
					 policy_event(self->policy));
	check_victims(_metadata, self->policy, &self->tree, variant->victims);
	check_calls(_metadata, self->policy, &self->tree, variant->calls,
		    BPF_OOM_EVENT_GLOBAL |
		    (variant->pressure ? 0 : BPF_OOM_EVENT_SYSRQ));
}

/* What a link tells of the selections that it took part in. */
FIXTURE(link_info)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(link_info)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0 B=1,8M C=2,8M A/x=1,8M A/y=0,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(link_info)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(link_info, kill_counted_in_link_info, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.comparisons);
	EXPECT_EQ(0U, info.oom_policy.kills);
	EXPECT_EQ(0U, info.oom_policy.last_victim_cgroup_id);
	EXPECT_EQ(0U, info.oom_policy.worst_ns);

	ASSERT_EQ(0, policy_event(self->policy));
	check_victims(_metadata, self->policy, &self->tree, "A/y");

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(3U, info.oom_policy.comparisons);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(tree_find(&self->tree, "A/y")->id,
		  info.oom_policy.last_victim_cgroup_id);
	EXPECT_EQ(info.oom_policy.last_ns, info.oom_policy.worst_ns);
}

TEST_F_TIMEOUT(link_info, abstention_counted_in_link_info, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->policy->bss->abstain_level = 1;
	ASSERT_EQ(0, policy_event(self->policy));

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(1U, info.oom_policy.comparisons);
	EXPECT_EQ(1U, info.oom_policy.fallback_abstain);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
