// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random trees; fuzz_tree.h says what for.
 *
 * Tasks differ in size by more than oom_badness() can be wrong about them, so
 * that it is clear whom it picks.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <linux/bpf_oom_policy.h>

#include "cgroups.h"
#include "fuzz_tree.h"
#include "helpers.h"

#define SMALLEST_TASK	80	/* pages */
#define TASK_STEP	36

/*
 * A full leaf: what its tasks have, with what the kernel keeps for each, is so small a part
 * of it that no kill there gives back what counts.
 */
#define FULL_TASKS	3
#define KERNEL_PAGES	60	/* about */
#define FULL_TIMES	12
#define FULL_GROWS	1500	/* more than two victims have held, with all that they share */

/* The root's own colour, which is never equal to another. */
#define ROOT_COLOUR	(FUZZ_COLOURS - 1)

/* SplitMix64: any seed is as good as its neighbour. */
static __u64 draw(struct fuzz_tree *tree)
{
	__u64 z = tree->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int draw_below(struct fuzz_tree *tree, int end)
{
	return draw(tree) % end;
}

static bool one_in(struct fuzz_tree *tree, int n)
{
	return !draw_below(tree, n);
}

static int depth_of(const struct model *model, int node)
{
	int depth = 0;

	while ((node = model->node[node].parent) != MODEL_NONE)
		depth++;
	return depth;
}

static int children_of(const struct model *model, int parent)
{
	int node, n = 0;

	for (node = 0; node < model->nr_nodes; node++)
		n += model->node[node].parent == parent;
	return n;
}

/* Most have none, and a few are never candidates. */
static void prioritize(struct fuzz_tree *tree, int node)
{
	tree->model.node[node].priority = one_in(tree, 10) ? MODEL_MAX :
					  one_in(tree, 4) ? MODEL_SET : MODEL_UNSET;
}

static void add_node(struct fuzz_tree *tree, int parent)
{
	struct model *model = &tree->model;
	const int node = model->nr_nodes;

	char *end = stpcpy(tree->path[node], tree->path[parent]);

	if (parent != MODEL_ROOT)
		*end++ = '/';
	*end = 'a' + children_of(model, parent);
	model->node[node] = (struct model_node) {
		.parent = parent,
		.group = one_in(tree, 12),
		.policy = { MODEL_NONE, MODEL_NONE },
	};
	prioritize(tree, node);
	model->nr_nodes++;
}

static void grow(struct fuzz_tree *tree)
{
	const int wanted = 3 + draw_below(tree, MODEL_NODES - 3);
	const int shape = draw_below(tree, 3);
	struct model *model = &tree->model;
	int parent, tries;

	model->nr_nodes = 1;
	model->node[MODEL_ROOT] = (struct model_node) {
		.parent = MODEL_NONE,
		.policy = { MODEL_NONE, MODEL_NONE },
	};
	for (tries = 0; tries < 2 * MODEL_NODES && model->nr_nodes < wanted; tries++) {
		parent = draw_below(tree, model->nr_nodes);
		if (shape == 1 && !one_in(tree, 3))
			parent = model->nr_nodes - 1;
		if (shape == 2 && !one_in(tree, 3))
			parent = draw_below(tree, 1 + model->nr_nodes / 6);
		if (depth_of(model, parent) < FUZZ_DEPTH &&
		    children_of(model, parent) < FUZZ_FAN_OUT)
			add_node(tree, parent);
	}
}

static void add_task(struct fuzz_tree *tree, int node, bool unkillable)
{
	struct model *model = &tree->model;
	struct model_task *task = &model->task[model->nr_tasks];

	if (model->nr_tasks == MODEL_TASKS)
		return;
	task->mm = model->nr_tasks++;
	task->node = node;
	task->alive = true;
	if (unkillable || one_in(tree, 8))
		task->adj = -1000;
	else if (one_in(tree, 6))
		task->adj = 500;
}

/* One mm has one oom_score_adj: what is set for one of its processes is for all. */
static void align_sharers(struct model *model)
{
	int i;

	for (i = 0; i < model->nr_tasks; i++)
		model->task[i].adj = model->task[model->task[i].mm].adj;
}

/* Some have their memory in common with one that is there already, wherever that is. */
static void add_sharers(struct fuzz_tree *tree)
{
	struct model *model = &tree->model;
	int n, node, with;

	for (n = 1 + draw_below(tree, 3); n && model->nr_tasks; n--) {
		with = model->task[draw_below(tree, model->nr_tasks)].mm;
		node = draw_below(tree, model->nr_nodes);
		if (model->nr_tasks == MODEL_TASKS || node == tree->full ||
		    model->task[with].node == tree->full ||
		    (node != MODEL_ROOT && children_of(model, node)))
			continue;
		add_task(tree, node, false);
		model->task[model->nr_tasks - 1].mm = with;
	}
	align_sharers(model);
}

static void shuffle_sizes(struct fuzz_tree *tree)
{
	struct model *model = &tree->model;
	int i, other;
	long pages;

	for (i = 0; i < model->nr_tasks; i++) {
		model->task[i].pages = SMALLEST_TASK + i * TASK_STEP;
		other = draw_below(tree, i + 1);
		pages = model->task[other].pages;
		model->task[other].pages = model->task[i].pages;
		model->task[i].pages = pages;
	}
	for (i = 0; i < model->nr_tasks; i++)
		model->task[i].pages = model->task[model->task[i].mm].pages;
}

static int smallest_of_others(const struct fuzz_tree *tree, int from)
{
	const struct model *model = &tree->model;
	int i, found = from;

	for (i = from; i < model->nr_tasks; i++)
		if (model->task[i].mm == i && model->task[i].pages < model->task[found].pages)
			found = i;
	return found;
}

/* The first tasks, those of the full leaf, are the smallest: its file need not be large. */
static void fill(struct fuzz_tree *tree)
{
	struct model *model = &tree->model;
	int i, other;
	long pages;

	for (i = 0; i < FULL_TASKS; i++) {
		other = smallest_of_others(tree, i);
		pages = model->task[other].pages;
		model->task[other].pages = model->task[i].pages;
		model->task[i].pages = pages;
		tree->file_pages += FULL_TIMES * (pages + KERNEL_PAGES);
	}
	for (i = 0; i < model->nr_tasks; i++)
		model->task[i].pages = model->task[model->task[i].mm].pages;
}

/* A leaf below the root, if there is one among a few. */
static void choose_full(struct fuzz_tree *tree)
{
	int tries, node, n;

	for (tries = 0; tries < 8 && tree->full == MODEL_NONE; tries++) {
		node = draw_below(tree, tree->model.nr_nodes);
		if (node != MODEL_ROOT && !children_of(&tree->model, node))
			tree->full = node;
	}
	if (tree->full == MODEL_NONE)
		return;
	tree->nr_events = FUZZ_EVENTS_FULL;
	for (n = 0; n < FULL_TASKS; n++)
		add_task(tree, tree->full, false);
	/* Not with all of its tasks at once. */
	for (node = tree->full; node != MODEL_NONE; node = tree->model.node[node].parent) {
		tree->model.node[node].group = false;
		if (tree->model.node[node].priority == MODEL_MAX)
			tree->model.node[node].priority = MODEL_UNSET;
	}
}

static void populate(struct fuzz_tree *tree)
{
	struct model *model = &tree->model;
	bool unkillable;
	int node, n;

	if (one_in(tree, 3))
		choose_full(tree);
	if (one_in(tree, 3))
		for (n = 1 + draw_below(tree, 2); n; n--)
			add_task(tree, MODEL_ROOT, false);
	for (node = 1; node < model->nr_nodes; node++) {
		if (children_of(model, node) || node == tree->full || one_in(tree, 6))
			continue;
		unkillable = one_in(tree, 4);
		tree->inside[node] = one_in(tree, 8);
		for (n = one_in(tree, 4) ? 1 + draw_below(tree, 3) : 1; n; n--)
			add_task(tree, node, unkillable);
	}
	if (one_in(tree, 2))
		add_sharers(tree);
	shuffle_sizes(tree);
	if (tree->full != MODEL_NONE)
		fill(tree);
}

static void add_policy(struct fuzz_tree *tree, int node)
{
	struct model *model = &tree->model;
	const int policy = model->nr_policies;

	if (policy == MODEL_POLICIES)
		return;
	model->nr_policies++;
	model->node[node].policy[MODEL_OF_MEMCGS] = policy;
	tree->table[policy] = draw_below(tree, FUZZ_PROGS);
	/* As seldom as by default is too seldom for a few events. */
	model->max_futile[policy] = one_in(tree, 6) ? 0 : 1 + one_in(tree, 3);
	if (one_in(tree, 2))
		model->flags[policy] |= BPF_F_OOM_POLICY_MEMCG;
	if (one_in(tree, tree->full == MODEL_NONE ? 3 : 12))
		model->flags[policy] |= BPF_F_OOM_POLICY_KILL_ALL;
	if (node == MODEL_ROOT && one_in(tree, 3))
		model->flags[policy] |= BPF_F_OOM_POLICY_ROOT_TASKS;
}

static void add_task_policy(struct fuzz_tree *tree, int node)
{
	struct model *model = &tree->model;
	const int policy = model->nr_policies;

	if (policy == MODEL_POLICIES)
		return;
	model->nr_policies++;
	model->node[node].policy[MODEL_OF_TASKS] = policy;
	tree->table[policy] = FUZZ_PROGS + draw_below(tree, FUZZ_TASK_PROGS);
	if (!one_in(tree, 3))
		model->flags[policy] |= BPF_F_OOM_POLICY_MEMCG;
}

static void add_policies(struct fuzz_tree *tree)
{
	const bool tasks = one_in(tree, 2);
	struct model *model = &tree->model;
	int node;

	for (node = 0; tasks && node < model->nr_nodes; node++)
		if (one_in(tree, node == MODEL_ROOT ? 4 : 8))
			add_task_policy(tree, node);

	if (tree->full != MODEL_NONE || !one_in(tree, 4))
		add_policy(tree, MODEL_ROOT);
	for (node = 1; node < model->nr_nodes; node++)
		if (one_in(tree, children_of(model, node) ? 3 : 20))
			add_policy(tree, node);
}

static int verdict(struct fuzz_tree *tree, int prog, int first, int second)
{
	const bool lower = first < second;
	int ahead;

	if (tree->shy[prog] && one_in(tree, 10))
		return BPF_OOM_ABSTAIN;
	if (first == ROOT_COLOUR || second == ROOT_COLOUR)
		return BPF_OOM_FIRST + draw_below(tree, 2);
	switch (tree->order[prog]) {
	case FUZZ_LOWER_FIRST:
	case FUZZ_HIGHER_FIRST:
		if (first == second)
			return BPF_OOM_EQUAL;
		return lower == (tree->order[prog] == FUZZ_LOWER_FIRST) ?
		       BPF_OOM_FIRST : BPF_OOM_SECOND;
	case FUZZ_CIRCLE:
		ahead = (second - first + ROOT_COLOUR) % ROOT_COLOUR;
		if (!ahead)
			return BPF_OOM_EQUAL;
		return ahead <= ROOT_COLOUR / 2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
	default:
		return draw_below(tree, 3);
	}
}

/*
 * In which order the tasks of a leaf are compared is nobody's promise: these verdicts
 * lead to the same one whatever it is. Who is shy abstains of all that have the colour 0.
 */
static int task_verdict(const struct fuzz_tree *tree, int table, int first, int second)
{
	if (tree->shy[table] && (!first || !second))
		return BPF_OOM_ABSTAIN;
	if (first == second)
		return BPF_OOM_EQUAL;
	return (first < second) == (tree->order[table] == FUZZ_LOWER_FIRST) ?
	       BPF_OOM_FIRST : BPF_OOM_SECOND;
}

static void fill_tables(struct fuzz_tree *tree)
{
	int table, first, second;

	for (table = 0; table < FUZZ_TABLES; table++) {
		const bool tasks = table >= FUZZ_PROGS;

		tree->order[table] = draw_below(tree, tasks ? FUZZ_CIRCLE : FUZZ_NR_ORDERS);
		tree->shy[table] = one_in(tree, 3);
		for (first = 0; first < FUZZ_COLOURS; first++)
			for (second = 0; second < FUZZ_COLOURS; second++)
				tree->verdicts[table][first][second] = tasks ?
					task_verdict(tree, table, first, second) :
					verdict(tree, table, first, second);
	}
}

static void colour_node(struct fuzz_tree *tree, int node)
{
	tree->colour[node] = node == MODEL_ROOT ? ROOT_COLOUR : draw_below(tree, ROOT_COLOUR);
}

static const struct fuzz_tree *tree_of(const struct model *model)
{
	return (const void *)((const char *)model - offsetof(struct fuzz_tree, model));
}

static int look_up_verdict(const struct model *model, int policy, int node_1, int node_2)
{
	const struct fuzz_tree *tree = tree_of(model);

	return tree->verdicts[tree->table[policy]][tree->colour[node_1]][tree->colour[node_2]];
}

static int look_up_task_verdict(const struct model *model, int policy, int task_1, int task_2)
{
	const struct fuzz_tree *tree = tree_of(model);
	const int table = tree->table[policy];

	return tree->verdicts[table][tree->task_colour[task_1]][tree->task_colour[task_2]];
}

void fuzz_plant(struct fuzz_tree *tree, __u64 seed)
{
	int node, task, colours;

	memset(tree, 0, sizeof(*tree));
	tree->seed = seed;
	tree->state = seed;
	tree->full = MODEL_NONE;
	tree->nr_events = FUZZ_EVENTS;
	tree->model.judge = look_up_verdict;
	tree->model.judge_tasks = look_up_task_verdict;
	grow(tree);
	populate(tree);
	add_policies(tree);
	fill_tables(tree);
	/* Few colours, many ties. */
	colours = 1 + draw_below(tree, ROOT_COLOUR);
	/* In a tie, what is full is the larger one. */
	if (tree->full != MODEL_NONE && !one_in(tree, 3))
		colours = 1;
	for (node = 0; node < tree->model.nr_nodes; node++) {
		colour_node(tree, node);
		if (node != MODEL_ROOT)
			tree->colour[node] %= colours;
	}
	for (task = 0; task < tree->model.nr_tasks; task++)
		tree->task_colour[task] = draw_below(tree, colours);
}

/* What was barren in one event need not be in the next. */
static void change(struct fuzz_tree *tree)
{
	struct model *model = &tree->model;
	int i;

	for (i = 0; i < model->nr_nodes; i++)
		if (one_in(tree, 4) && (tree->full == MODEL_NONE || one_in(tree, 4))) {
			colour_node(tree, i);
			prioritize(tree, i);
		}
	for (i = 0; i < model->nr_tasks; i++)
		if (one_in(tree, model->task[i].adj == -1000 ? 3 : 8))
			model->task[i].adj = model->task[i].adj == -1000 ? 0 : -1000;
	align_sharers(model);
	tree->grows = tree->full != MODEL_NONE && one_in(tree, 5);
	if (tree->grows)
		tree->file_pages += FULL_GROWS;
}

static bool pick_scope(struct fuzz_tree *tree, struct fuzz_event *event)
{
	const struct model *model = &tree->model;
	int alive[MODEL_TASKS], i, n = 0;

	for (i = 0; i < model->nr_tasks; i++)
		if (model->task[i].alive && model->task[i].node != MODEL_ROOT &&
		    model->task[i].mm == i)
			alive[n++] = i;
	if (!n)
		return false;
	event->asking = alive[draw_below(tree, n)];
	event->model.scope = model->task[event->asking].node;
	/* Upwards, but not to the root. */
	for (i = draw_below(tree, FUZZ_DEPTH); i; i--)
		if (model->node[event->model.scope].parent != MODEL_ROOT)
			event->model.scope = model->node[event->model.scope].parent;
	return true;
}

void fuzz_next_event(struct fuzz_tree *tree, int number, struct fuzz_event *event)
{
	const int n = draw_below(tree, 100);

	if (number)
		change(tree);
	event->model.scope = MODEL_ROOT;
	event->asking = MODEL_NONE;
	event->kind = FUZZ_SYSRQ;
	if (n < 4)
		event->kind = FUZZ_PRESSURE;
	else if (n < 45 && pick_scope(tree, event))
		event->kind = n < 25 ? FUZZ_LIMIT : FUZZ_CHARGE;
}

static void show_task(const struct fuzz_tree *tree, int number)
{
	const struct model_task *task = &tree->model.task[number];

	fprintf(stderr, "; %stask %d: %ld pages, colour %u", task->alive ? "" : "dead ", number,
		task->pages, tree->task_colour[number]);
	if (task->mm != number)
		fprintf(stderr, ", memory of task %d", task->mm);
	if (task->adj)
		fprintf(stderr, ", adj %d", task->adj);
}

static void show_policy(const struct fuzz_tree *tree, int policy)
{
	static const char * const orders[] = {
		[FUZZ_LOWER_FIRST]	= "lower first",
		[FUZZ_HIGHER_FIRST]	= "higher first",
		[FUZZ_CIRCLE]		= "circle",
		[FUZZ_ANYHOW]		= "anyhow",
	};
	const __u32 flags = tree->model.flags[policy];
	const int table = tree->table[policy];

	fprintf(stderr, "; %s %d: %s, futile %d%s%s%s%s",
		table < FUZZ_PROGS ? "policy by table" : "policy for tasks by table", table,
		orders[tree->order[table]], tree->model.max_futile[policy],
		tree->shy[table] ? ", abstains" : "",
		flags & BPF_F_OOM_POLICY_MEMCG ? ", MEMCG" : "",
		flags & BPF_F_OOM_POLICY_KILL_ALL ? ", KILL_ALL" : "",
		flags & BPF_F_OOM_POLICY_ROOT_TASKS ? ", ROOT_TASKS" : "");
}

static void show_table(const struct fuzz_tree *tree, int table)
{
	int first, second;

	fprintf(stderr, "#  table %d by colours:", table);
	for (first = 0; first < FUZZ_COLOURS; first++) {
		fputc(' ', stderr);
		for (second = 0; second < FUZZ_COLOURS; second++)
			fputc("=12-"[tree->verdicts[table][first][second]], stderr);
	}
	fputc('\n', stderr);
}

void fuzz_show(const struct fuzz_tree *tree)
{
	const struct model *model = &tree->model;
	int node, i;

	for (node = 0; node < model->nr_nodes; node++) {
		fprintf(stderr, "#  %*s/%s colour %u", 2 * depth_of(model, node), "",
			tree->path[node], tree->colour[node]);
		if (node != MODEL_ROOT)
			fprintf(stderr, ", %ld pages", model->node[node].usage);
		if (node == tree->full)
			fprintf(stderr, ", full: %ld in a file, %ld freeable", tree->file_pages,
				model->node[node].freeable);
		if (model->node[node].futile.kills)
			fprintf(stderr, ", %d kills in vain of %ld pages",
				model->node[node].futile.kills, model->node[node].futile.held);
		if (model->node[node].group)
			fprintf(stderr, ", group");
		if (model->node[node].priority != MODEL_UNSET)
			fprintf(stderr, ", priority %s",
				model->node[node].priority == MODEL_MAX ? "max" : "set");
		for (i = 0; i < MODEL_NR_STAGES; i++)
			if (model->node[node].policy[i] != MODEL_NONE)
				show_policy(tree, model->node[node].policy[i]);
		for (i = 0; i < model->nr_tasks; i++)
			if (model->task[i].node == node)
				show_task(tree, i);
		fputc('\n', stderr);
	}
	for (i = 0; i < FUZZ_TABLES; i++)
		show_table(tree, i);
}

void fuzz_show_event(const struct fuzz_tree *tree, const struct fuzz_event *event)
{
	static const char * const kinds[] = {
		[FUZZ_SYSRQ]	= "sysrq-f",
		[FUZZ_PRESSURE]	= "the machine is full",
		[FUZZ_LIMIT]	= "memory.max sinks",
		[FUZZ_CHARGE]	= "memory.max is met",
	};

	fprintf(stderr, "#  %s", kinds[event->kind]);
	if (event->model.scope != MODEL_ROOT)
		fprintf(stderr, " of /%s", tree->path[event->model.scope]);
	if (event->kind == FUZZ_CHARGE)
		fprintf(stderr, " by task %d", event->asking);
	fputc('\n', stderr);
}
