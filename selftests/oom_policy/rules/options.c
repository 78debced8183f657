// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who dies when policies have options, when several are attached, and when the
 * shortage is not the whole machine's: one table of trees, as in selection.c.
 *
 * "root" in a victim list or in a comparison stands for the tasks directly in
 * the root cgroup. The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <string.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"

#define NR_RULES	3

#define MEMCG		BPF_F_OOM_POLICY_MEMCG
#define KILL_ALL	BPF_F_OOM_POLICY_KILL_ALL
#define ROOT_TASKS	BPF_F_OOM_POLICY_ROOT_TASKS

/* One attached policy and what is to be seen of it. */
struct rule {
	const char *at;		/* NULL: no such rule */
	__u32 flags;
	__u32 abstain_level;
	bool inverted;		/* the higher priority dies first */
	const char *calls;
	__u32 kills;
	__u32 abstained;
};

/*
 * A task in the root cgroup, as a node of the tree: tree_remove() ends it and
 * finds no cgroup of that name to remove.
 */
static int add_root_task(struct tree *tree, int megabytes, int adj, __s64 priority)
{
	struct node *node = &tree->node[tree->nr_nodes++];

	snprintf(node->path, sizeof(node->path), "root");
	node->id = cgroup_id("");
	node->priority = priority;
	node->pid[0] = task_start_in("", megabytes, adj);
	node->nr_tasks = node->pid[0] > 0;
	return node->nr_tasks ? 0 : -1;
}

static struct policy *rule_load(const struct rule *rule, const struct tree *tree)
{
	struct policy *policy = policy_load(tree);
	__s64 priority;
	int n;

	if (!policy)
		return NULL;
	policy->bss->abstain_level = rule->abstain_level;
	for (n = 0; rule->inverted && n < tree->nr_nodes; n++) {
		priority = -tree->node[n].priority;
		if (bpf_map__update_elem(policy->maps.oom_priority, &tree->node[n].id,
					 sizeof(tree->node[n].id), &priority,
					 sizeof(priority), BPF_ANY))
			return NULL;
	}
	return policy;
}

FIXTURE(options)
{
	struct tree tree;
	struct policy *policy[NR_RULES];
	struct bpf_link *link[NR_RULES];
};

FIXTURE_VARIANT(options)
{
	const char *tree;
	const char *victims;
	const char *limit;	/* the memcg that is short, NULL: the machine */
	const char *hog;	/* where one takes too much; NULL: the limit is lowered */
	const char *spared;	/* its last task has an oom_score_adj of -1000 */
	const char *group_kill;	/* counted there and nowhere else */
	int root_megabytes;	/* of a task in the root cgroup */
	int root_adj;
	__s64 root_priority;
	struct rule rule[NR_RULES];
};

/* BPF_F_OOM_POLICY_MEMCG */

FIXTURE_VARIANT_ADD(options, memcg_oom_at_the_policy)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M X=-1,8M",
	.limit = "T",
	.victims = "T/a",
	.rule = { { .at = "T", .flags = MEMCG, .kills = 1,
		    .calls = "run(T/a,T/b)->T/a" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_below_the_policy)
{
	.tree = "S=0 S/T=0 S/T/a=0,8M S/T/b=1,24M S/x=-1,8M X=-1,8M",
	.limit = "S/T",
	.victims = "S/T/a",
	.rule = { { .at = "", .flags = MEMCG, .kills = 1,
		    .calls = "run(S/T/a,S/T/b)->S/T/a" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_of_a_faulting_hog)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M T/hog=-1 X=-1,8M",
	.limit = "T",
	.hog = "T/hog",
	.victims = "T/a",
	.rule = { { .at = "", .flags = MEMCG, .kills = 1, .calls =
		    "run(T/a,T/b)->T/a run(T/a,T/hog)->T/hog run(T/a,T/b)->T/a" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_of_a_leaf)
{
	.tree = "T=0 T/a=0,8M,x2 T/b=1,24M",
	.limit = "T/a",
	.victims = "T/a",
	.rule = { { .at = "T", .flags = MEMCG, .kills = 1, .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_goes_down_two_levels)
{
	.tree = "T=0 T/a=0 T/b=1,24M T/a/p=1,8M T/a/q=0,8M X=-1,8M",
	.limit = "T",
	.victims = "T/a/q",
	.rule = { { .at = "T", .flags = MEMCG, .kills = 1,
		    .calls = "run(T/a,T/b)->T/a run(T/a/p,T/a/q)->T/a/q" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_without_the_flag_is_stock)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M X=-1,8M",
	.limit = "T",
	.victims = "T/b",
	.rule = { { .at = "T", .calls = "" }, { .at = "", .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_of_a_hog_without_the_flag_is_stock)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M T/hog=-1 X=-1,8M",
	.limit = "T",
	.hog = "T/hog",
	.victims = "T/b",
	.rule = { { .at = "T", .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, memcg_oom_passes_over_a_policy_without_the_flag)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M",
	.limit = "T",
	.victims = "T/a",
	.rule = { { .at = "T", .inverted = true, .calls = "" },
		  { .at = "", .flags = MEMCG, .kills = 1,
		    .calls = "run(T/a,T/b)->T/a" } },
};

FIXTURE_VARIANT_ADD(options, memcg_flag_governs_global_oom_too)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M X=1,8M",
	.victims = "T/a",
	.rule = { { .at = "", .flags = MEMCG, .kills = 1,
		    .calls = "run(T,X)->T run(T/a,T/b)->T/a" } },
};

/* BPF_F_OOM_POLICY_KILL_ALL */

FIXTURE_VARIANT_ADD(options, kill_all_empties_the_memcg_and_no_other)
{
	.tree = "A=0,8M,x3 B=1,24M,x2 C=2,8M",
	.victims = "A A A",
	.group_kill = "A",
	.rule = { { .at = "", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A,B)->A run(A,C)->A" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_spares_the_unkillable)
{
	.tree = "A=0,8M,x3 B=1,24M",
	.spared = "A",
	.victims = "A A",
	.group_kill = "A",
	.rule = { { .at = "", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A,B)->A" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_in_a_leaf_of_many)
{
	.tree = "A=0 A/x=1,8M,x2 A/y=0,8M,x2 B=1,24M",
	.victims = "A/y A/y",
	.group_kill = "A/y",
	.rule = { { .at = "", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A,B)->A run(A/x,A/y)->A/y" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_counts_an_oom_group_once)
{
	.tree = "A=0,8M,x2,group B=1,24M",
	.victims = "A A",
	.group_kill = "A",
	.rule = { { .at = "", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A,B)->A" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_in_a_memcg_oom)
{
	.tree = "T=0 T/a=0,8M,x2 T/b=1,24M X=-1,8M",
	.limit = "T",
	.victims = "T/a T/a",
	.group_kill = "T/a",
	.rule = { { .at = "T", .flags = MEMCG | KILL_ALL, .kills = 1,
		    .calls = "run(T/a,T/b)->T/a" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_of_the_outer_policy_ends_at_the_inner)
{
	.tree = "A=0 A/x=0,8M,x2 A/y=1,8M,x2 B=1,24M",
	.victims = "A/x",
	.rule = { { .at = "", .flags = KILL_ALL, .calls = "run(A,B)->A" },
		  { .at = "A", .kills = 1, .calls = "run(A/x,A/y)->A/x" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_of_the_inner_policy_counts)
{
	.tree = "A=0 A/x=0,8M,x2 A/y=1,8M,x2 B=1,24M",
	.victims = "A/x A/x",
	.group_kill = "A/x",
	.rule = { { .at = "", .calls = "run(A,B)->A" },
		  { .at = "A", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A/x,A/y)->A/x" } },
};

FIXTURE_VARIANT_ADD(options, kill_all_not_where_oom_badness_picked)
{
	.tree = "A=0,8M,x2 B=1,24M,x2",
	.victims = "B",
	.rule = { { .at = "", .flags = KILL_ALL, .abstain_level = 1, .kills = 1,
		    .abstained = 1, .calls = "run(A,B)->abstain" } },
};

/* BPF_F_OOM_POLICY_ROOT_TASKS */

FIXTURE_VARIANT_ADD(options, root_tasks_are_a_candidate)
{
	.tree = "A=1,8M B=2,8M",
	.root_megabytes = 32,
	.victims = "root",
	.rule = { { .at = "", .flags = ROOT_TASKS, .kills = 1,
		    .calls = "run(root,A)->root run(root,B)->root" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_of_high_priority_live)
{
	.tree = "A=1,8M B=2,8M",
	.root_megabytes = 32,
	.root_priority = 3,
	.victims = "A",
	.rule = { { .at = "", .flags = ROOT_TASKS, .kills = 1,
		    .calls = "run(root,A)->A run(A,B)->A" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_tie_by_what_they_use)
{
	.tree = "A=0,8M B=0,64M",
	.root_megabytes = 16,
	.victims = "B",
	.rule = { { .at = "", .flags = ROOT_TASKS, .kills = 1,
		    .calls = "run(root,A)->equal run(root,B)->equal" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_unkillable_next_best)
{
	.tree = "A=1,8M B=2,8M",
	.root_megabytes = 32,
	.root_adj = -1000,
	.victims = "A",
	.rule = { { .at = "", .flags = ROOT_TASKS, .kills = 1, .calls =
		    "run(root,A)->root run(root,B)->root run(A,B)->A" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_with_kill_all_leave_the_children)
{
	.tree = "A=1,8M B=2,8M",
	.root_megabytes = 32,
	.victims = "root",
	.rule = { { .at = "", .flags = ROOT_TASKS | KILL_ALL, .kills = 1,
		    .calls = "run(root,A)->root run(root,B)->root" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_without_the_flag_are_none)
{
	.tree = "A=1,8M B=2,8M",
	.root_megabytes = 32,
	.victims = "A",
	.rule = { { .at = "", .kills = 1, .calls = "run(A,B)->A" } },
};

FIXTURE_VARIANT_ADD(options, root_tasks_flag_elsewhere_means_nothing)
{
	.tree = "A=0 A/x=0,8M A/y=1,48M B=1,8M",
	.root_megabytes = 32,
	.root_priority = -1,
	.victims = "A/x",
	.rule = { { .at = "A", .flags = ROOT_TASKS, .kills = 1,
		    .calls = "run(A/x,A/y)->A/x" } },
};

/* BPF_OOM_ABSTAIN */

FIXTURE_VARIANT_ADD(options, abstain_at_the_root_is_stock)
{
	.tree = "A=0 A/x=0,8M B=1 B/x=0,8M B/y=1,24M",
	.victims = "B/y",
	.rule = { { .at = "", .abstain_level = 1, .kills = 1, .abstained = 1,
		    .calls = "run(A,B)->abstain" } },
};

FIXTURE_VARIANT_ADD(options, abstain_at_level_2_stays_in_the_subtree)
{
	.tree = "A=0 A/x=0 A/y=1 A/x/p=0,8M A/y/p=1,16M A/y/q=0,8M B=1,32M",
	.victims = "A/y/p",
	.rule = { { .at = "", .abstain_level = 2, .kills = 1, .abstained = 1,
		    .calls = "run(A,B)->A run(A/x,A/y)->abstain" } },
};

FIXTURE_VARIANT_ADD(options, abstain_in_an_unkillable_subtree_backs_up)
{
	.tree = "A=0 A/x=0,8M,adj=-1000 A/y=0,16M,adj=-1000 B=2,8M C=1,8M",
	.victims = "C",
	.rule = { { .at = "", .abstain_level = 2, .kills = 1, .calls =
		    "run(A,B)->A run(A,C)->A run(A/x,A/y)->abstain run(B,C)->C" } },
};

FIXTURE_VARIANT_ADD(options, abstain_in_a_memcg_oom)
{
	.tree = "T=0 T/a=0,8M T/b=1,24M X=-1,32M",
	.limit = "T",
	.victims = "T/b",
	.rule = { { .at = "T", .flags = MEMCG, .abstain_level = 1, .kills = 1,
		    .abstained = 1, .calls = "run(T/a,T/b)->abstain" } },
};

/* Nested policies */

FIXTURE_VARIANT_ADD(options, nested_policy_rules_inside_its_tenant)
{
	.tree = "A=0 A/x=0,8M A/y=1,8M B=1,32M",
	.victims = "A/y",
	.rule = { { .at = "", .calls = "run(A,B)->A" },
		  { .at = "A", .inverted = true, .kills = 1,
		    .calls = "run(A/x,A/y)->A/y" } },
};

FIXTURE_VARIANT_ADD(options, nested_policy_reaches_no_further)
{
	.tree = "A=1 A/x=0,8M A/y=1,24M B=0,8M",
	.victims = "B",
	.rule = { { .at = "", .kills = 1, .calls = "run(A,B)->B" },
		  { .at = "A", .inverted = true, .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, nested_three_deep)
{
	.tree = "A=0 A/x=0 A/y=1 A/y/p=0,8M A/y/q=1,8M A/x/p=0,8M B=1,32M",
	.victims = "A/y/p",
	.rule = { { .at = "", .calls = "run(A,B)->A" },
		  { .at = "A", .inverted = true, .calls = "run(A/x,A/y)->A/y" },
		  { .at = "A/y", .kills = 1, .calls = "run(A/y/p,A/y/q)->A/y/p" } },
};

FIXTURE_VARIANT_ADD(options, nested_in_vain_the_host_decides_again)
{
	.tree = "A=0 A/x=0,8M,adj=-1000 A/y=1,8M,adj=-1000 B=2,8M C=1,8M",
	.victims = "C",
	.rule = { { .at = "", .kills = 1, .calls =
		    "run(A,B)->A run(A,C)->A run(B,C)->C" },
		  { .at = "A", .inverted = true, .calls = "run(A/x,A/y)->A/y" } },
};

FIXTURE_VARIANT_ADD(options, nested_policy_in_a_memcg_oom_above_it)
{
	.tree = "T=0 T/a=0 T/b=1,24M T/a/p=0,8M T/a/q=1,8M",
	.limit = "T",
	.victims = "T/a/q",
	.rule = { { .at = "T", .flags = MEMCG, .calls = "run(T/a,T/b)->T/a" },
		  { .at = "T/a", .flags = MEMCG, .inverted = true, .kills = 1,
		    .calls = "run(T/a/p,T/a/q)->T/a/q" } },
};

/* Hand-over */

FIXTURE_VARIANT_ADD(options, hand_over_to_the_tenant_oom_badness_picked)
{
	.tree = "A=0 A/x=0,8M A/y=1,24M B=0,16M",
	.victims = "A/x",
	.rule = { { .at = "A", .kills = 1, .calls = "run(A/x,A/y)->A/x" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_only_to_the_tenant_picked)
{
	.tree = "A=0 A/x=0,8M A/y=1,16M B=0,24M",
	.victims = "B",
	.rule = { { .at = "A", .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_to_the_outermost)
{
	.tree = "A=0 A/x=0 A/y=1 A/x/p=1,8M A/x/q=0,8M A/y/p=0,32M",
	.victims = "A/x/p",
	.rule = { { .at = "A", .calls = "run(A/x,A/y)->A/x" },
		  { .at = "A/x", .inverted = true, .kills = 1,
		    .calls = "run(A/x/p,A/x/q)->A/x/p" },
		  { .at = "A/y", .calls = "" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_after_abstaining)
{
	.tree = "A=0,8M B=1 B/x=0,8M B/y=1,24M",
	.victims = "B/x",
	.rule = { { .at = "", .abstain_level = 1, .abstained = 1,
		    .calls = "run(A,B)->abstain" },
		  { .at = "B", .kills = 1, .calls = "run(B/x,B/y)->B/x" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_and_kill_all)
{
	.tree = "A=0 A/x=0,8M,x2 A/y=1,24M B=0,16M",
	.victims = "A/x A/x",
	.group_kill = "A/x",
	.rule = { { .at = "A", .flags = KILL_ALL, .kills = 1,
		    .calls = "run(A/x,A/y)->A/x" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_in_a_memcg_oom)
{
	.tree = "T=0 T/a=0 T/b=1,16M T/a/p=0,8M T/a/q=1,24M",
	.limit = "T",
	.victims = "T/a/p",
	.rule = { { .at = "T/a", .flags = MEMCG, .kills = 1,
		    .calls = "run(T/a/p,T/a/q)->T/a/p" } },
};

FIXTURE_VARIANT_ADD(options, hand_over_in_a_memcg_oom_not_without_the_flag)
{
	.tree = "T=0 T/a=0 T/b=1,16M T/a/p=0,8M T/a/q=1,24M",
	.limit = "T",
	.victims = "T/a/q",
	.rule = { { .at = "T/a", .calls = "" } },
};

FIXTURE_SETUP(options)
{
	struct node *spared;
	int n;

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	if (variant->root_megabytes)
		ASSERT_EQ(0, add_root_task(&self->tree, variant->root_megabytes,
					   variant->root_adj, variant->root_priority));
	if (variant->spared) {
		spared = tree_find(&self->tree, variant->spared);
		ASSERT_EQ(0, set_oom_score_adj(spared->pid[spared->nr_tasks - 1], -1000));
	}
	for (n = 0; n < NR_RULES && variant->rule[n].at; n++) {
		self->policy[n] = rule_load(&variant->rule[n], &self->tree);
		ASSERT_NE(NULL, self->policy[n]);
		self->link[n] = attach_with(self->policy[n]->progs.compare,
					    variant->rule[n].at,
					    .flags = variant->rule[n].flags,
					    .budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->link[n]);
	}
}

FIXTURE_TEARDOWN(options)
{
	int n;

	for (n = 0; n < NR_RULES; n++) {
		bpf_link__destroy(self->link[n]);
		policy__destroy(self->policy[n]);
	}
	tree_remove(&self->tree);
}

static int levels(const char *path)
{
	int n = 1;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static void check_calls(struct __test_metadata *_metadata, const struct rule *rule,
			const struct policy *policy, struct tree *tree,
			const char *limit, __u32 flags)
{
	const struct call *call = policy->bss->calls;
	const struct node *node;
	__u32 n;

	EXPECT_STREQ(rule->calls, policy_calls(policy, tree));
	EXPECT_EQ(0U, policy->bss->foreign_scratch);

	for (n = 0; n < policy->bss->nr_calls && n < MAX_CALLS; n++, call++) {
		EXPECT_EQ(flags, call->flags);
		node = tree_find_id(tree, call->id_2);
		ASSERT_NE(NULL, node);
		EXPECT_EQ((__u32)(levels(node->path) - (limit ? levels(limit) : 0)),
			  call->level);
	}
}

static void check_info(struct __test_metadata *_metadata, const struct rule *rule,
		       const struct bpf_link *link, const struct policy *policy,
		       struct tree *tree)
{
	struct bpf_link_info info;
	const struct node *victim;

	ASSERT_EQ(0, policy_info(link, &info));
	EXPECT_EQ(policy->bss->nr_calls, info.oom_policy.comparisons);
	EXPECT_EQ(rule->kills, info.oom_policy.kills);
	EXPECT_EQ(rule->abstained, info.oom_policy.fallback_abstain);
	EXPECT_EQ(0U, info.oom_policy.fallback_none_eligible);
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
	EXPECT_EQ(0U, info.oom_policy.fallback_disabled);
	if (!rule->kills)
		return;
	victim = tree_find_pid(tree, policy->bss->victims[0]);
	ASSERT_NE(NULL, victim);
	EXPECT_EQ(victim->id, info.oom_policy.last_victim_cgroup_id);
}

static void check_group_kills(struct __test_metadata *_metadata, struct tree *tree,
			      const char *expected)
{
	const struct node *node;
	int n;

	for (n = 0; n < tree->nr_nodes; n++) {
		node = &tree->node[n];
		if (!strcmp(node->path, "root"))
			continue;
		EXPECT_EQ(expected && !strcmp(node->path, expected),
			  cgroup_read_long(node->path, "memory.events.local",
					   "oom_group_kill"));
	}
}

static __u32 words(const char *text)
{
	__u32 n = !!*text;

	for (; *text; text++)
		n += *text == ' ';
	return n;
}

TEST_F_TIMEOUT(options, victim, TEST_TIMEOUT_S)
{
	struct policy *recorder = self->policy[0];
	__u32 flags;
	int n;

	if (variant->limit) {
		flags = BPF_OOM_EVENT_MEMCG;
		EXPECT_EQ(0, policy_memcg_shortage(recorder, &self->tree, variant->limit,
						   variant->hog, words(variant->victims)));
	} else {
		flags = BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_SYSRQ;
		ASSERT_EQ(0, policy_event(recorder));
	}
	EXPECT_STREQ(variant->victims, policy_victims(recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(recorder, &self->tree));
	check_group_kills(_metadata, &self->tree, variant->group_kill);

	for (n = 0; n < NR_RULES && variant->rule[n].at; n++) {
		check_calls(_metadata, &variant->rule[n], self->policy[n],
			    &self->tree, variant->limit, flags);
		check_info(_metadata, &variant->rule[n], self->link[n],
			   self->policy[n], &self->tree);
	}
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
