// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the tournament and the walk: they know nothing of memcgs, and are
 * driven here over arrays and small trees.
 */

#include <kunit/test.h>

#include "../event.h"
#include "../match.h"
#include "../walk.h"

#define TEST_CANDS	6
#define TEST_NODES	16

/* A judge by @rank, lower dies first, unless @verdicts says it all. */
struct test_judge {
	const int *rank;				/* by id */
	const u8 (*verdicts)[TEST_CANDS];		/* by the two ids */
	unsigned int calls;
	u64 scratch_seen;
	void *dropped;					/* by the last play */
};

static int test_compare(void *arg, struct oom_cand *best, struct oom_cand *next)
{
	struct test_judge *judge = arg;

	judge->calls++;
	/* Scratch is 0 for a newcomer and id + 1 for who has been judged before. */
	if (next->scratch || (best->scratch && best->scratch != best->id + 1))
		judge->scratch_seen++;
	best->scratch = best->id + 1;
	next->scratch = next->id + 1;

	if (judge->verdicts)
		return judge->verdicts[best->id][next->id];
	if (judge->rank[best->id] == judge->rank[next->id])
		return BPF_OOM_EQUAL;
	return judge->rank[best->id] < judge->rank[next->id] ? BPF_OOM_FIRST :
							       BPF_OOM_SECOND;
}

static void test_play(struct oom_match *match, const struct oom_cand *cands,
		      const int *order, int n, struct test_judge *judge)
{
	struct oom_cand next;
	int i, outcome;

	memset(match, 0, sizeof(*match));
	for (i = 0; i < n; i++) {
		next = cands[order[i]];
		outcome = oom_match_play(match, &next, test_compare, judge,
					 &judge->dropped);
		if (oom_match_over(outcome))
			break;
	}
}

/* The next permutation in lexicographic order, false after the last. */
static bool test_next_order(int *order, int n)
{
	int i = n - 2, j = n - 1;

	while (i >= 0 && order[i] > order[i + 1])
		i--;
	if (i < 0)
		return false;
	while (order[j] < order[i])
		j--;
	swap(order[i], order[j]);
	for (i++, j = n - 1; i < j; i++, j--)
		swap(order[i], order[j]);
	return true;
}

static void test_cands(struct oom_cand *cands, u64 *nodes)
{
	int i;

	for (i = 0; i < TEST_CANDS; i++)
		cands[i] = (struct oom_cand) { .node = &nodes[i], .id = i };
}

static void oom_match_every_order(struct kunit *test)
{
	static const int rank[TEST_CANDS] = { 0, 1, 2, 3, 4, 5 };
	struct oom_cand cands[TEST_CANDS];
	struct test_judge judge = { .rank = rank };
	int order[TEST_CANDS];
	struct oom_match match;
	u64 nodes[TEST_CANDS];
	int i, n;

	test_cands(cands, nodes);
	for (n = 1; n <= TEST_CANDS; n++) {
		for (i = 0; i < n; i++)
			order[i] = i;
		do {
			judge.calls = 0;
			test_play(&match, cands, order, n, &judge);
			KUNIT_ASSERT_EQ(test, match.best.id, 0);
			KUNIT_ASSERT_EQ(test, judge.calls, n - 1);
			KUNIT_ASSERT_EQ(test, oom_match_compared(&match), n - 1);
			KUNIT_ASSERT_EQ(test, match.eligible, n);
			KUNIT_ASSERT_EQ(test, !match.runner.node, n == 1);
		} while (test_next_order(order, n));
	}
	KUNIT_EXPECT_EQ(test, judge.scratch_seen, 0);
}

static void oom_match_ties(struct kunit *test)
{
	static const int rank[TEST_CANDS];
	struct oom_cand cands[TEST_CANDS] = {
		{ .id = 3, .usage = 100, .swap = 7 },
		{ .id = 2, .usage = 200, .swap = 5 },
		{ .id = 5, .usage = 200, .swap = 6 },
		{ .id = 1, .usage = 200, .swap = 6 },
		{ .id = 0, .usage = 50, .swap = 900 },
	};
	struct test_judge judge = { .rank = rank };
	int order[] = { 0, 1, 2, 3, 4 };
	struct oom_match match;
	int i;

	for (i = 0; i < TEST_CANDS; i++)
		cands[i].node = &cands[i];
	do {
		test_play(&match, cands, order, ARRAY_SIZE(order), &judge);
		KUNIT_ASSERT_EQ(test, match.best.id, 1);
	} while (test_next_order(order, ARRAY_SIZE(order)));
}

/* Rock, paper, scissors: n - 1 calls, and the same order has the same winner. */
static void oom_match_intransitive(struct kunit *test)
{
	static const u8 verdicts[TEST_CANDS][TEST_CANDS] = {
		{ 0, 1, 2 },
		{ 2, 0, 1 },
		{ 1, 2, 0 },
	};
	struct test_judge judge = { .verdicts = verdicts };
	struct oom_cand cands[TEST_CANDS];
	struct oom_match match, again;
	int order[] = { 0, 1, 2 };
	u64 nodes[TEST_CANDS];

	test_cands(cands, nodes);
	do {
		judge.calls = 0;
		test_play(&match, cands, order, 3, &judge);
		KUNIT_ASSERT_EQ(test, judge.calls, 2);
		test_play(&again, cands, order, 3, &judge);
		KUNIT_ASSERT_EQ(test, match.best.id, again.best.id);
		KUNIT_ASSERT_EQ(test, match.runner.id, again.runner.id);
	} while (test_next_order(order, 3));
}

static void oom_match_abstain(struct kunit *test)
{
	static const u8 verdicts[TEST_CANDS][TEST_CANDS] = {
		{ 0, BPF_OOM_FIRST, BPF_OOM_ABSTAIN },
	};
	struct test_judge judge = { .verdicts = verdicts };
	struct oom_cand cands[TEST_CANDS];
	int order[] = { 0, 1, 2, 3 };
	struct oom_match match;
	u64 nodes[TEST_CANDS];

	test_cands(cands, nodes);
	test_play(&match, cands, order, 4, &judge);
	KUNIT_EXPECT_EQ(test, judge.calls, 2);
	KUNIT_EXPECT_PTR_EQ(test, judge.dropped, (void *)&nodes[2]);
}

/* What is let go of and what is kept, each node exactly once. */
static void oom_match_drops(struct kunit *test)
{
	static const int rank[TEST_CANDS] = { 3, 0, 5, 1, 4, 2 };
	struct test_judge judge = { .rank = rank };
	struct oom_cand cands[TEST_CANDS], next;
	int order[] = { 0, 1, 2, 3, 4, 5 };
	struct oom_match match;
	u64 nodes[TEST_CANDS];
	int i;

	test_cands(cands, nodes);
	do {
		memset(nodes, 0, sizeof(nodes));
		memset(&match, 0, sizeof(match));
		for (i = 0; i < TEST_CANDS; i++) {
			next = cands[order[i]];
			oom_match_play(&match, &next, test_compare, &judge,
				       &judge.dropped);
			if (judge.dropped)
				++*(u64 *)judge.dropped;
		}
		++*(u64 *)match.best.node;
		++*(u64 *)match.runner.node;
		for (i = 0; i < TEST_CANDS; i++)
			KUNIT_ASSERT_EQ(test, nodes[i], 1);
	} while (test_next_order(order, TEST_CANDS));
}

/**
 * struct test_node - a memcg as the walk sees it
 * @parent: index, the root is its own
 * @rank: lower dies first
 * @killable: has a killable task of its own
 * @group: not to be split
 * @mark: number of the event that found it empty
 * @tries: how often it was tried
 */
struct test_node {
	int parent;
	int rank;
	bool killable;
	bool group;
	u64 mark;
	int tries;
};

struct test_tree {
	struct test_node *nodes;
	int nr;
	u64 seq;
	bool self;		/* the root's own tasks play too */
	bool self_marked;
	int abstain;		/* index of a parent whose children are not judged */
	int victim;
	enum oom_walk_choice how;
};

static int test_tree_compare(void *arg, struct oom_cand *best, struct oom_cand *next)
{
	struct test_tree *tree = arg;
	int rank_1 = tree->nodes[best->id].rank;
	int rank_2 = tree->nodes[next->id].rank;

	if (rank_1 == rank_2)
		return BPF_OOM_EQUAL;
	return rank_1 < rank_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

static int test_tree_choose(void *arg, void *node, void **child)
{
	struct test_tree *tree = arg;
	struct test_node *parent = node;
	struct oom_match match = {};
	struct oom_cand next;
	void *dropped;
	int i;

	if (parent->group)
		return OOM_WALK_GROUP;
	if (tree->abstain == parent - tree->nodes)
		return OOM_WALK_LEFT;

	for (i = 0; i < tree->nr; i++) {
		struct test_node *pos = &tree->nodes[i];
		bool self = pos == parent && !i && tree->self;

		if ((pos->parent != parent - tree->nodes || !i) && !self)
			continue;
		if (pos->mark == tree->seq)
			continue;
		next = (struct oom_cand) { .node = pos, .id = i };
		oom_match_play(&match, &next, test_tree_compare, tree, &dropped);
	}
	if (!match.eligible)
		return OOM_WALK_LEAF;
	if (match.best.node == node)
		return OOM_WALK_SELF;
	*child = match.best.node;
	return OOM_WALK_CHILD;
}

static bool test_tree_below(struct test_tree *tree, int i, int top)
{
	for (; i; i = tree->nodes[i].parent)
		if (i == top)
			return true;
	return !top;
}

static int test_tree_try(void *arg, void *node, enum oom_walk_choice how)
{
	bool subtree = how == OOM_WALK_GROUP || how == OOM_WALK_LEFT;
	struct test_tree *tree = arg;
	int i, top = (struct test_node *)node - tree->nodes;

	tree->nodes[top].tries++;
	tree->how = how;
	for (i = 0; i < tree->nr; i++) {
		if (subtree ? !test_tree_below(tree, i, top) : i != top)
			continue;
		if (tree->nodes[i].killable) {
			tree->victim = i;
			return 1;
		}
	}
	return 0;
}

static void test_tree_mark(void *arg, void *node)
{
	struct test_tree *tree = arg;

	((struct test_node *)node)->mark = tree->seq;
}

static void *test_tree_up(void *arg, void *node)
{
	struct test_tree *tree = arg;

	return &tree->nodes[((struct test_node *)node)->parent];
}

static const struct oom_walk_ops test_tree_ops = {
	.choose	= test_tree_choose,
	.try	= test_tree_try,
	.mark	= test_tree_mark,
	.up	= test_tree_up,
};

/* One event over the whole tree. */
static int test_tree_walk(struct test_tree *tree)
{
	tree->seq++;
	tree->victim = -1;
	return oom_walk(&test_tree_ops, tree, tree->nodes);
}

static void oom_walk_descends(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0 },
		{ .parent = 0, .rank = 1 },			/* A */
		{ .parent = 0, .rank = 2, .killable = true },	/* B */
		{ .parent = 1, .rank = 9, .killable = true },	/* A/E */
		{ .parent = 1, .rank = 8, .killable = true },	/* A/F */
	};
	struct test_tree tree = { .nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = -1 };

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 4);
	KUNIT_EXPECT_EQ(test, tree.how, OOM_WALK_LEAF);
	KUNIT_EXPECT_EQ(test, nodes[3].tries, 0);
	KUNIT_EXPECT_EQ(test, nodes[4].tries, 1);
}

static void oom_walk_backs_up(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0 },
		{ .parent = 0, .rank = 1 },			/* A */
		{ .parent = 0, .rank = 2 },			/* B */
		{ .parent = 0, .rank = 3, .killable = true },	/* C */
		{ .parent = 1, .rank = 1 },			/* A/D */
		{ .parent = 1, .rank = 2 },			/* A/E */
		{ .parent = 5, .rank = 1 },			/* A/E/F */
		{ .parent = 2, .rank = 2, .killable = true },	/* B/G */
		{ .parent = 2, .rank = 1 },			/* B/H */
	};
	struct test_tree tree = { .nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = -1 };
	int i;

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 7);
	for (i = 0; i < tree.nr; i++)
		KUNIT_EXPECT_LE(test, nodes[i].tries, 1);
}

/* Every node is tried once, and then there is nothing left. */
static void oom_walk_nobody(struct kunit *test)
{
	struct test_node nodes[TEST_NODES];
	struct test_tree tree = { .nodes = nodes, .nr = TEST_NODES, .abstain = -1 };
	int i;

	for (i = 0; i < TEST_NODES; i++)
		nodes[i] = (struct test_node) { .parent = (i - 1) / 2, .rank = i % 3 };

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), -ESRCH);
	for (i = 0; i < TEST_NODES; i++)
		KUNIT_EXPECT_EQ(test, nodes[i].tries, 1);
}

/* What one event found empty is looked at again in the next. */
static void oom_walk_marks_end(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0 },
		{ .parent = 0, .rank = 1 },
		{ .parent = 0, .rank = 2, .killable = true },
	};
	struct test_tree tree = { .nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = -1 };

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 2);
	nodes[1].killable = true;
	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 1);
}

/* The same of a real mark: beginning an event is what clears it. */
static void oom_event_clears_marks(struct kunit *test)
{
	struct oom_policy_event *ev = kunit_kzalloc(test, sizeof(*ev), GFP_KERNEL);
	struct mem_cgroup *memcg = kunit_kzalloc(test, sizeof(*memcg), GFP_KERNEL);
	struct oom_control oc = {};

	KUNIT_ASSERT_NOT_NULL(test, ev);
	KUNIT_ASSERT_NOT_NULL(test, memcg);

	oom_policy_begin(ev, &oc, NULL);
	KUNIT_EXPECT_FALSE(test, oom_policy_marked(ev, memcg));
	oom_policy_mark(ev, memcg);
	KUNIT_EXPECT_TRUE(test, oom_policy_marked(ev, memcg));
	oom_policy_begin(ev, &oc, NULL);
	KUNIT_EXPECT_FALSE(test, oom_policy_marked(ev, memcg));
}

static void oom_walk_group(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0 },
		{ .parent = 0, .rank = 1, .group = true },
		{ .parent = 1, .rank = 2, .killable = true },
		{ .parent = 1, .rank = 1, .killable = true },
		{ .parent = 0, .rank = 0, .group = true },
		{ .parent = 4, .rank = 0 },
	};
	struct test_tree tree = { .nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = -1 };

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.how, OOM_WALK_GROUP);
	KUNIT_EXPECT_EQ(test, nodes[1].tries, 1);
	KUNIT_EXPECT_EQ(test, nodes[4].tries, 1);
	KUNIT_EXPECT_EQ(test, nodes[2].tries + nodes[3].tries + nodes[5].tries, 0);
}

static void oom_walk_abstain(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0 },
		{ .parent = 0, .rank = 1 },
		{ .parent = 0, .rank = 2, .killable = true },
		{ .parent = 1, .rank = 2, .killable = true },
	};
	struct test_tree tree = { .nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = 1 };

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.how, OOM_WALK_LEFT);
	KUNIT_EXPECT_EQ(test, tree.victim, 3);
	nodes[3].killable = false;
	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 2);
}

/* The root's own tasks win, have nobody to kill, and leave the field. */
static void oom_walk_self(struct kunit *test)
{
	struct test_node nodes[] = {
		{ .parent = 0, .rank = 1, .killable = true },
		{ .parent = 0, .rank = 2, .killable = true },
	};
	struct test_tree tree = {
		.nodes = nodes, .nr = ARRAY_SIZE(nodes), .abstain = -1, .self = true,
	};

	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.how, OOM_WALK_SELF);
	KUNIT_EXPECT_EQ(test, tree.victim, 0);
	nodes[0].killable = false;
	KUNIT_EXPECT_EQ(test, test_tree_walk(&tree), 1);
	KUNIT_EXPECT_EQ(test, tree.victim, 1);
}

static struct kunit_case oom_policy_test_cases[] = {
	KUNIT_CASE(oom_match_every_order),
	KUNIT_CASE(oom_match_ties),
	KUNIT_CASE(oom_match_intransitive),
	KUNIT_CASE(oom_match_abstain),
	KUNIT_CASE(oom_match_drops),
	KUNIT_CASE(oom_walk_descends),
	KUNIT_CASE(oom_walk_backs_up),
	KUNIT_CASE(oom_walk_nobody),
	KUNIT_CASE(oom_walk_marks_end),
	KUNIT_CASE(oom_event_clears_marks),
	KUNIT_CASE(oom_walk_group),
	KUNIT_CASE(oom_walk_abstain),
	KUNIT_CASE(oom_walk_self),
	{},
};

static struct kunit_suite oom_policy_test_suite = {
	.name = "oom_policy_selection",
	.test_cases = oom_policy_test_cases,
};

kunit_test_suite(oom_policy_test_suite);
