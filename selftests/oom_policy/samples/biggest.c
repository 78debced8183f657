// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sample policy biggest against a direct computation, over random trees.
 *
 * The computation is that of the cgroup-aware OOM killer of 2017: of all leaves
 * and groups of the tree, the one with the largest footprint that has somebody to
 * kill, from memory.stat. The policy's own answer comes from a rehearsed
 * selection; one tree in ten is then put to a real OOM. Where the two differ, one
 * of the rules in the policy's header has to say so, and it says who it is then.
 *
 * biggest [TREES] [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest.h"
#include "policy.h"
#include "rehearse.h"
#include "sample.h"

#define TREES		200
#define MAX_DEPTH	4
#define MAX_STEPS	16
#define REAL_EVERY	10

/* What the policy adds up, by the names that user space has for it. */
static const char * const parts[] = {
	"inactive_anon", "active_anon", "unevictable", "slab_unreclaimable",
	"kernel_stack", "sock",
};

static struct tree tree;
static __u64 footprint[MAX_NODES];	/* of the node with all below it */
static __u64 usage[MAX_NODES];
static __u64 state;

static struct {
	int same, unkillable, tie, real, unexplained, bad_real, retries;
} total;

/* SplitMix64. */
static __u32 draw(__u32 end)
{
	__u64 z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % end;
}

static int depth_of(const char *path)
{
	int depth = 1;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

/* Of a node, or of the root, which is no node, for -1. */
static int parent_of(int node)
{
	const char *slash = strrchr(tree.node[node].path, '/');
	char path[sizeof(tree.node[node].path)] = "";
	const struct node *parent;

	if (slash)
		memcpy(path, tree.node[node].path, slash - tree.node[node].path);
	parent = tree_find(&tree, path);
	return parent ? parent - tree.node : -1;
}

static bool has_children(int node)
{
	int n;

	for (n = 0; n < tree.nr_nodes; n++)
		if (parent_of(n) == node)
			return true;
	return false;
}

/* A tree in the words of helpers.h: many a leaf unkillable, empty or a twin. */
static void describe(char *text, size_t size)
{
	char path[MAX_NODES][sizeof(tree.node[0].path)] = {};
	char above[sizeof(path[0])];
	int children[MAX_NODES] = {}, nr = 2 + draw(MAX_NODES - 2), n, parent;
	int of_root = 0;
	size_t len = 0;

	for (n = 0; n < nr; n++) {
		parent = (int)draw(n + 1) - 1;
		if (parent >= 0 && depth_of(path[parent]) == MAX_DEPTH)
			parent = -1;
		if (parent < 0) {
			path[n][0] = 'A' + of_root++;
			continue;
		}
		memcpy(above, path[parent], sizeof(above));
		snprintf(path[n], sizeof(path[n]), "%.20s/%c", above, 'a' + children[parent]++);
	}
	for (n = 0; n < nr; n++) {
		len += snprintf(text + len, size - len, "%s%s=0", n ? " " : "", path[n]);
		if (children[n] ? !draw(6) : !draw(8))
			len += snprintf(text + len, size - len, ",group");
		if (children[n] || !draw(8))
			continue;
		len += snprintf(text + len, size - len, ",%uM", 1 + draw(9));
		if (!draw(4))
			len += snprintf(text + len, size - len, ",x2");
		if (!draw(4))
			len += snprintf(text + len, size - len, ",shared");
		if (!draw(5))
			len += snprintf(text + len, size - len, ",adj=-1000");
	}
}

static int measure(__u64 *footprints, __u64 *usages)
{
	size_t i;
	long value;
	int n;

	for (n = 0; n < tree.nr_nodes; n++) {
		footprints[n] = 0;
		for (i = 0; i < ARRAY_SIZE(parts); i++) {
			value = cgroup_read_long(tree.node[n].path, "memory.stat", parts[i]);
			if (value < 0)
				return -1;
			footprints[n] += value;
		}
		value = cgroup_read_long(tree.node[n].path, "memory.current", NULL);
		if (value < 0)
			return -1;
		usages[n] = value;
	}
	return 0;
}

static bool is_below(int node, int top)
{
	while (node != top && node >= 0)
		node = parent_of(node);
	return node == top;
}

static bool is_killable(int top)
{
	int n;

	for (n = 0; n < tree.nr_nodes; n++)
		if (is_below(n, top) && tree.node[n].nr_tasks && tree.node[n].adj != -1000)
			return true;
	return false;
}

static bool is_populated(int top)
{
	int n;

	for (n = 0; n < tree.nr_nodes; n++)
		if (is_below(n, top) && tree.node[n].nr_tasks)
			return true;
	return false;
}

static bool is_workload(int node)
{
	return tree.node[node].group || !has_children(node);
}

/* 2017: the largest of the tree that has somebody to kill. */
static int find_directly(bool *tie)
{
	int n, best = -1;

	*tie = false;
	for (n = 0; n < tree.nr_nodes; n++) {
		if (!is_workload(n) || !is_killable(n))
			continue;
		if (best >= 0 && footprint[n] == footprint[best])
			*tie = true;
		/* A group counts before what is in it. */
		if (best < 0 || footprint[n] > footprint[best]) {
			*tie = false;
			best = n;
		}
	}
	return best;
}

static __u64 worth(int top)
{
	__u64 most = 0;
	int n;

	for (n = 0; n < tree.nr_nodes; n++)
		if (is_below(n, top) && is_workload(n) && is_populated(n) && footprint[n] > most)
			most = footprint[n];
	return most;
}

static bool is_better(int a, int b)
{
	const __u64 worth_a = worth(a), worth_b = worth(b);

	if (worth_a != worth_b)
		return worth_a > worth_b;
	if (usage[a] != usage[b])
		return usage[a] > usage[b];
	return tree.node[a].id < tree.node[b].id;
}

/*
 * What the header says: level by level the child worth most, ties by usage (R2),
 * and the next best below the same parent if there is nobody to kill (R1).
 */
static int find_by_rules(int parent, bool *backed_up)
{
	bool tried[MAX_NODES] = {};
	int n, best, found;

	for (;;) {
		best = -1;
		for (n = 0; n < tree.nr_nodes; n++)
			if (parent_of(n) == parent && is_populated(n) && !tried[n] &&
			    (best < 0 || is_better(n, best)))
				best = n;
		if (best < 0)
			return -1;
		if (is_workload(best))
			found = is_killable(best) ? best : -1;
		else
			found = find_by_rules(best, backed_up);
		if (found >= 0)
			return found;
		*backed_up = true;
		tried[best] = true;
	}
}

/* The node whose tasks the policy would kill, -1 if there is none, -2 in trouble. */
static int rehearse(int prog_fd)
{
	struct rehearsed said;
	const struct node *node;

	if (rehearse_select(prog_fd, cgroup_id(""), &said))
		return -2;
	if (said.retval == -ESRCH)
		return -1;
	if (said.retval)
		return -2;
	/* The last step's winner: the task may be below it, in a group. */
	node = tree_find_id(&tree, said.steps[said.nr_steps - 1].winner_id);
	return node ? node - tree.node : -2;
}

/* An answer to statistics that were the same before and after it. */
static int rehearse_steadily(int prog_fd)
{
	__u64 after[MAX_NODES], usage_after[MAX_NODES];
	const time_t end = now_s() + DEADLINE_S;
	int found = -2;

	do {
		if (measure(footprint, usage))
			return -2;
		found = rehearse(prog_fd);
		if (found == -2 || measure(after, usage_after))
			return -2;
		if (!memcmp(after, footprint, sizeof(*after) * tree.nr_nodes) &&
		    !memcmp(usage_after, usage, sizeof(*usage) * tree.nr_nodes))
			return found;
		total.retries++;
	} while (now_s() < end);
	return -2;
}

static const char *name_of(int node)
{
	return node >= 0 ? tree.node[node].path : node == -1 ? "nobody" : "trouble";
}

static void check_real(struct policy *recorder, int expected)
{
	const __u32 before = recorder->bss->nr_victims;
	const struct node *victim;

	if (raise_oom_sysrq() || !wait_until(recorder->bss->nr_victims > before)) {
		total.bad_real++;
		return;
	}
	victim = tree_find_pid(&tree, recorder->bss->victims[before]);
	total.real++;
	if (victim && is_below(victim - tree.node, expected))
		return;
	diag("a real OOM took %s rather than %s", victim ? victim->path : "somebody else",
	     name_of(expected));
	total.bad_real++;
}

static void check_tree(int prog_fd, struct policy *recorder, int number)
{
	bool tie = false, backed_up = false;
	int direct, rules, policy;

	policy = rehearse_steadily(prog_fd);
	direct = find_directly(&tie);
	rules = find_by_rules(-1, &backed_up);
	if (policy == direct) {
		total.same++;
	} else if (policy == rules && backed_up) {
		total.unkillable++;
	} else if (policy == rules && tie) {
		total.tie++;
	} else {
		diag("%s by the policy, %s directly, %s by its rules", name_of(policy),
		     name_of(direct), name_of(rules));
		total.unexplained++;
	}
	if (policy >= 0 && number % REAL_EVERY == 0 && recorder->bss->nr_victims < MAX_VICTIMS)
		check_real(recorder, policy);
}

static void check_seed(struct sample *sample, __u64 seed, int number)
{
	const int before = total.unexplained + total.bad_real;
	struct policy *recorder;
	char text[1024];

	state = seed;
	describe(text, sizeof(text));
	if (tree_make(&tree, text))
		ksft_exit_fail_msg("no tree '%s'\n", text);
	recorder = policy_load(&tree);
	if (!recorder)
		ksft_exit_fail_msg("no recorder of victims\n");
	check_tree(bpf_program__fd(sample->prog), recorder, number);
	if (total.unexplained + total.bad_real > before)
		diag("seed %llu: %s", seed, text);
	policy__destroy(recorder);
	tree_remove(&tree);
}

int main(int argc, char **argv)
{
	const int trees = argc > 1 ? atoi(argv[1]) : TREES;
	const __u64 seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct sample sample = {};
	int n;

	require_bare_machine();
	ksft_print_header();
	ksft_set_plan(3);
	if (protect_ancestors() || sample_attach(&sample, "biggest", 0, &tree, 0))
		ksft_exit_fail_msg("the policy cannot be attached\n");
	for (n = 0; n < trees; n++)
		check_seed(&sample, seed + n, n);
	sample_detach(&sample);

	ksft_print_msg("%d trees: %d as computed, %d by rule R1, %d by rule R2, %d retries\n",
		       trees, total.same, total.unkillable, total.tie, total.retries);
	ksft_test_result(!total.unexplained && total.same, "differences unexplained: %d\n",
			 total.unexplained);
	ksft_test_result(total.unkillable || trees < TREES, "differences by rule R1: %d\n",
			 total.unkillable);
	ksft_test_result(!total.bad_real, "victims of %d real OOMs\n", total.real);
	ksft_finished();
}
