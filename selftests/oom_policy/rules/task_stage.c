// SPDX-License-Identifier: GPL-2.0-only
/*
 * The task stage: which process dies, and which ones the policy was shown to
 * find it. A real OOM for each line of a table; every task has a size of its own.
 *
 * lib/tree.h explains how a tree is written down. The machine must have no cgroups
 * but these.
 */
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "progs/task_calls.h"
#include "task_stage.skel.h"

#define NR_TASKS	6
#define ALL(n)		((1U << (n)) - 1)
#define BIT(n)		(1U << ((n) - 1))

struct leaf_task {
	const char *path;	/* "" is the root, NULL: no such task */
	int megabytes;
	int adj;
};

FIXTURE(task_stage)
{
	struct tree tree;
	pid_t pid[NR_TASKS];
	struct policy *policy;
	struct bpf_link *policy_link;
	struct task_stage *judge;
	struct task_stage *outer;
	struct bpf_link *link;
	struct bpf_link *outer_link;
	struct memcg_shortage shortage;
	struct holder holder;
};

FIXTURE_VARIANT(task_stage)
{
	const char *tree;
	struct leaf_task task[NR_TASKS];
	const char *policy_at;	/* a policy for memcgs; NULL: none */
	__u32 policy_flags;
	__u32 abstain_level;	/* ... that abstains */
	const char *at;		/* the policy for tasks */
	const char *outer_at;	/* a second one, which must not be asked */
	__u32 flags;
	__u32 budget_us;
	__u32 mode;
	const char *limit;	/* the memcg that is short; NULL: the machine */
	bool group;		/* others die with the victim */
	__u32 victim;		/* number of a task, 0: nobody dies */
	__u32 seen;		/* bit by bit: the tasks that were shown */
	__u32 level;
	__u32 fallbacks;
	__u32 abstained;
	__u32 over_budget;
	__u32 none_eligible;
};

FIXTURE_VARIANT_ADD(task_stage, alone_over_the_machine) {
	.tree = "A=0 A/x=0 A/y=0 B=0",
	.task = { { "A/x", 32 }, { "A/y", 24 }, { "B", 4 }, { "B", 40 } },
	.at = "", .victim = 3, .seen = ALL(4), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, alone_with_tasks_of_the_root) {
	.tree = "A=0",
	.task = { { "A", 32 }, { "", 8 }, { "A", 16 } },
	.at = "", .victim = 2, .seen = ALL(3), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, alone_over_a_memcg) {
	.tree = "A=0 A/x=0 A/y=0 B=0",
	.task = { { "A/x", 32 }, { "A/y", 24 }, { "B", 4 }, { "A/x", 16 } },
	.at = "A", .flags = BPF_F_OOM_POLICY_MEMCG, .limit = "A",
	.victim = 4, .seen = BIT(1) | BIT(2) | BIT(4), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, memcg_without_the_flag_is_stock) {
	.tree = "A=0 A/x=0 A/y=0",
	.task = { { "A/x", 32 }, { "A/y", 24 }, { "A/x", 16 } },
	.at = "A", .limit = "A", .victim = 1,
};

FIXTURE_VARIANT_ADD(task_stage, inside_the_leaf) {
	.tree = "A=1 B=0 B/x=1 B/y=0",
	.task = { { "A", 4 }, { "B/x", 4 }, { "B/y", 32 }, { "B/y", 8 }, { "B/y", 16 } },
	.policy_at = "", .at = "", .victim = 4,
	.seen = BIT(3) | BIT(4) | BIT(5), .level = 3,
};

FIXTURE_VARIANT_ADD(task_stage, inside_a_group) {
	.tree = "A=1 B=0,group B/x=1 B/y=0",
	.group = true,
	.task = { { "A", 4 }, { "B/x", 8 }, { "B/y", 32 } },
	.policy_at = "", .at = "", .victim = 2, .seen = BIT(2) | BIT(3), .level = 2,
};

FIXTURE_VARIANT_ADD(task_stage, single_task_is_not_compared) {
	.tree = "A=1 B=0",
	.task = { { "A", 32 }, { "B", 8 } },
	.policy_at = "", .at = "", .victim = 2,
};

FIXTURE_VARIANT_ADD(task_stage, nearest_one_is_asked) {
	.tree = "A=1 B=0 B/x=0 B/y=1",
	.task = { { "A", 4 }, { "B/x", 24 }, { "B/x", 8 }, { "B/y", 4 } },
	.policy_at = "", .at = "B", .outer_at = "", .victim = 3,
	.seen = BIT(2) | BIT(3), .level = 3,
};

FIXTURE_VARIANT_ADD(task_stage, elsewhere_is_not_asked) {
	.tree = "A=1 B=0",
	.task = { { "A", 4 }, { "A", 8 }, { "B", 8 }, { "B", 24 } },
	.policy_at = "", .at = "A", .victim = 4,
};

/* oom_badness() picks a task of A, whose own policy then decides. */
FIXTURE_VARIANT_ADD(task_stage, tenant_of_the_picked_task) {
	.tree = "A=0 A/x=0 B=0",
	.task = { { "A/x", 48 }, { "A/x", 8 }, { "B", 24 } },
	.at = "A", .victim = 2, .seen = BIT(1) | BIT(2), .level = 2,
};

/* Whoever abstained above it is not asked again: not for its KILL_ALL ... */
FIXTURE_VARIANT_ADD(task_stage, tenant_of_the_picked_task_and_kill_all_above) {
	.tree = "A=0 B=1",
	.task = { { "A", 8 }, { "A", 16 }, { "A", 48 }, { "B", 24 } },
	.policy_at = "", .policy_flags = BPF_F_OOM_POLICY_KILL_ALL, .abstain_level = 1,
	.at = "A", .victim = 1, .seen = ALL(3), .level = 2, .fallbacks = 1,
};

/* ... and not about the tenant's children, all of whose tasks are ranked. */
FIXTURE_VARIANT_ADD(task_stage, tenant_of_the_picked_task_ranks_its_subtree) {
	.tree = "A=0 A/x=0 A/y=1 B=1",
	.task = { { "A/x", 48 }, { "A/x", 8 }, { "A/y", 24 }, { "A/y", 4 }, { "B", 16 } },
	.policy_at = "", .abstain_level = 1,
	.at = "A", .victim = 4, .seen = ALL(4), .level = 2, .fallbacks = 1,
};

FIXTURE_VARIANT_ADD(task_stage, unkillable_is_not_shown) {
	.tree = "A=0",
	.task = { { "A", 4, -1000 }, { "A", 32 }, { "A", 8, -1000 }, { "A", 16, -999 } },
	.at = "", .victim = 4, .seen = BIT(2) | BIT(4), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, unkillable_in_the_leaf_is_not_shown) {
	.tree = "A=1 B=0",
	.task = { { "B", 4, -1000 }, { "B", 32 }, { "B", 16 }, { "A", 4 } },
	.policy_at = "", .at = "", .victim = 3, .seen = BIT(2) | BIT(3), .level = 2,
};

FIXTURE_VARIANT_ADD(task_stage, unkillable_leaf_next_best_sibling) {
	.tree = "A=1 B=0 C=2",
	.task = { { "B", 4, -1000 }, { "B", 8, -1000 }, { "A", 24 }, { "A", 16 }, { "C", 4 } },
	.policy_at = "", .at = "", .victim = 4, .seen = BIT(3) | BIT(4), .level = 2,
};

FIXTURE_VARIANT_ADD(task_stage, overrules_oom_score_adj) {
	.tree = "A=0",
	.task = { { "A", 32, 900 }, { "A", 8, -500 }, { "A", 16 } },
	.at = "", .victim = 2, .seen = ALL(3), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, tie_goes_to_oom_badness) {
	.tree = "A=0",
	.task = { { "A", 8 }, { "A", 32 }, { "A", 4, 300 }, { "A", 24 } },
	.at = "", .mode = SAY_EQUAL, .victim = 3, .seen = ALL(4), .level = 1,
};

FIXTURE_VARIANT_ADD(task_stage, tie_in_the_leaf_goes_to_oom_badness) {
	.tree = "A=1 B=0",
	.task = { { "A", 64 }, { "B", 8 }, { "B", 32 }, { "B", 16 } },
	.policy_at = "", .at = "", .mode = SAY_EQUAL, .victim = 3,
	.seen = BIT(2) | BIT(3) | BIT(4), .level = 2,
};

FIXTURE_VARIANT_ADD(task_stage, abstain_leaves_it_to_oom_badness) {
	.tree = "A=0 B=0",
	.task = { { "A", 8 }, { "A", 16 }, { "B", 32 } },
	.at = "", .mode = SAY_ABSTAIN, .victim = 3, .seen = BIT(1) | BIT(2), .level = 1,
	.fallbacks = 1, .abstained = 1,
};

FIXTURE_VARIANT_ADD(task_stage, abstain_in_the_leaf_stays_there) {
	.tree = "A=1 B=0",
	.task = { { "A", 64 }, { "B", 8 }, { "B", 32 } },
	.policy_at = "", .at = "", .mode = SAY_ABSTAIN, .victim = 3,
	.seen = BIT(2) | BIT(3), .level = 2, .fallbacks = 1,
};

FIXTURE_VARIANT_ADD(task_stage, not_asked_where_memcgs_abstained) {
	.tree = "A=1 B=0",
	.task = { { "A", 32 }, { "B", 8 }, { "B", 16 } },
	.policy_at = "", .abstain_level = 1, .at = "", .victim = 1, .fallbacks = 1,
};

/* In time it would come across the last one. */
FIXTURE_VARIANT_ADD(task_stage, over_budget_the_best_so_far) {
	.tree = "A=0",
	.task = { { "A", 16 }, { "A", 32 }, { "A", 24 }, { "A", 8 } },
	.at = "", .mode = TAKE_SMALLEST_SLOWLY, .budget_us = 10000, .victim = 1,
	.seen = BIT(1) | BIT(2) | BIT(3), .level = 1, .fallbacks = 1, .over_budget = 1,
};

FIXTURE_VARIANT_ADD(task_stage, nobody_to_choose_from) {
	.tree = "A=0",
	.task = { { "A", 16, -1000 }, { "A", 8, -1000 } },
	.at = "A", .flags = BPF_F_OOM_POLICY_MEMCG, .limit = "A",
	.fallbacks = 1, .none_eligible = 1,
};

static struct task_stage *load_judge(__u32 mode)
{
	struct task_stage *judge = task_stage__open();

	if (!judge)
		return NULL;
	bpf_program__set_autoattach(judge->progs.judge, false);
	if (task_stage__load(judge) || task_stage__attach(judge)) {
		task_stage__destroy(judge);
		return NULL;
	}
	judge->bss->mode = mode;
	return judge;
}

/* tree_remove() ends those that are in a node's list. */
static int add_task(struct tree *tree, const struct leaf_task *task, pid_t *pid)
{
	struct node *node = tree_find(tree, *task->path ? task->path : "root");

	if (!node) {
		node = &tree->node[tree->nr_nodes++];
		snprintf(node->path, sizeof(node->path), "root");
		node->id = cgroup_id("");
	}
	*pid = task_start_in(task->path, task->megabytes, task->adj);
	if (*pid < 0)
		return -1;
	node->pid[node->nr_tasks++] = *pid;
	return 0;
}

FIXTURE_SETUP(task_stage)
{
	int n;

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	for (n = 0; n < NR_TASKS && variant->task[n].path; n++)
		ASSERT_EQ(0, add_task(&self->tree, &variant->task[n], &self->pid[n]));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->abstain_level = variant->abstain_level;
	if (variant->policy_at) {
		self->policy_link = attach_with(self->policy->progs.compare,
						variant->policy_at,
						.flags = variant->policy_flags,
						.budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->policy_link);
	}
	self->judge = load_judge(variant->mode);
	ASSERT_NE(NULL, self->judge);
	self->link = attach_with(self->judge->progs.judge, variant->at,
				 .flags = variant->flags,
				 .budget_us = variant->budget_us ?: NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	if (variant->outer_at) {
		self->outer = load_judge(TAKE_HIGHEST_PID);
		ASSERT_NE(NULL, self->outer);
		self->outer_link = attach_with(self->outer->progs.judge, variant->outer_at,
					       .budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->outer_link);
	}
}

FIXTURE_TEARDOWN(task_stage)
{
	memcg_shortage_end(&self->shortage);
	let_go(&self->holder);
	bpf_link__destroy(self->policy_link);
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->outer_link);
	task_stage__destroy(self->judge);
	task_stage__destroy(self->outer);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static int number_of(const pid_t *pids, __u32 pid)
{
	int n;

	for (n = 0; n < NR_TASKS; n++)
		if (pid && (__u32)pids[n] == pid)
			return n + 1;
	return 0;
}

static void check_cand(struct __test_metadata *_metadata, const struct task_cand *cand,
		       const struct leaf_task *task)
{
	EXPECT_EQ(cand->pid, cand->tgid);
	EXPECT_EQ(task->adj, cand->adj);
	EXPECT_EQ(cgroup_id(task->path), cand->cgroup_id);
	EXPECT_EQ(cand->cgroup_id, cand->cgroup_kn_id);
	EXPECT_LE((__u64)task->megabytes << 20, cand->usage);
	EXPECT_GT((__u64)(task->megabytes + 4) << 20, cand->usage);
	EXPECT_EQ(0U, cand->swap);
	EXPECT_EQ(0U, cand->foreign);
}

static __u32 check_calls(struct __test_metadata *_metadata, const struct task_stage *judge,
			 const pid_t *pids, const struct leaf_task *tasks, __u64 scope_id,
			 __u32 level, __u32 flags)
{
	const struct task_call *call;
	__u32 n, seen = 0;
	int side, number;

	EXPECT_GE((__u32)MAX_TASK_CALLS, judge->bss->nr_calls);
	for (n = 0; n < judge->bss->nr_calls && n < MAX_TASK_CALLS; n++) {
		call = &judge->bss->calls[n];
		EXPECT_EQ(scope_id, call->scope_id);
		EXPECT_EQ(level, call->level);
		EXPECT_EQ(flags, call->flags);
		for (side = 0; side < 2; side++) {
			number = number_of(pids, call->cand[side].pid);
			ASSERT_NE(0, number)
				TH_LOG("process %u is none of ours", call->cand[side].pid);
			check_cand(_metadata, &call->cand[side], &tasks[number - 1]);
			seen |= BIT(number);
		}
	}
	return seen;
}

static int count_bits(__u32 bits)
{
	return __builtin_popcount(bits);
}

TEST_F_TIMEOUT(task_stage, victim, TEST_TIMEOUT_S)
{
	__u32 flags = variant->limit ? BPF_OOM_EVENT_MEMCG :
		      BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_SYSRQ;
	struct bpf_link_info info;
	__u32 seen;

	if (variant->limit) {
		ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
		ASSERT_EQ(0, memcg_shortage_begin(&self->shortage, variant->limit, NULL));
		ASSERT_TRUE(wait_until(self->policy->bss->nr_victims ||
				       self->judge->bss->nr_fallbacks));
	} else {
		ASSERT_EQ(0, policy_event(self->policy));
	}

	if (variant->victim) {
		EXPECT_LE(1U, self->policy->bss->nr_victims);
		if (!variant->limit && !variant->group)
			EXPECT_EQ(1U, self->policy->bss->nr_victims);
		EXPECT_EQ((int)variant->victim,
			  number_of(self->pid, self->policy->bss->victims[0]));
	} else {
		EXPECT_EQ(0U, self->policy->bss->nr_victims);
	}

	seen = check_calls(_metadata, self->judge, self->pid, variant->task,
			   cgroup_id(variant->limit ?: ""), variant->level, flags);
	/* One run that is out of all proportion is forgiven. */
	EXPECT_EQ(variant->seen, variant->over_budget ? seen | variant->seen : seen);
	if (seen)
		EXPECT_EQ(count_bits(seen) - 1, (int)self->judge->bss->nr_calls);
	if (self->outer)
		EXPECT_EQ(0U, self->outer->bss->nr_calls);

	EXPECT_LE(variant->fallbacks, self->judge->bss->nr_fallbacks);
	EXPECT_EQ(!variant->fallbacks, !self->judge->bss->nr_fallbacks);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ((__u32)BPF_OOM_POLICY_TASK, info.oom_policy.attach_type);
	EXPECT_EQ(self->judge->bss->nr_calls, info.oom_policy.comparisons);
	EXPECT_EQ(variant->abstained, info.oom_policy.fallback_abstain);
	EXPECT_EQ(variant->over_budget, info.oom_policy.fallback_budget);
	EXPECT_EQ(!variant->none_eligible, !info.oom_policy.fallback_none_eligible);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
