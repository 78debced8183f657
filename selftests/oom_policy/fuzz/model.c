// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference: who has to die. See model.h.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf_oom_policy.h>

#include "model.h"

#define UNKILLABLE	(-1000)

/* The candidate that stands for the tasks directly in the root. */
#define ROOT_TASKS	MODEL_NODES
#define CANDIDATES	(MODEL_NODES + 1)

/* What a pass over siblings can find but a child. */
#define NO_CHILD	(-1)
#define ABSTAINED	(-2)

struct walk {
	const struct model *model;
	const struct model_event *event;
	struct model_answer *answer;
	int first;			/* whose policy rules in the scope */
	bool barren[CANDIDATES];	/* found without killable tasks */
};

/* At @top counts as below it. */
bool model_is_below(const struct model *model, int node, int top)
{
	if (top == ROOT_TASKS)
		return node == MODEL_ROOT;
	while (node != top && node != MODEL_NONE)
		node = model->node[node].parent;
	return node == top;
}

static bool is_populated(const struct model *model, int node)
{
	int i;

	for (i = 0; i < model->nr_tasks; i++)
		if (model->task[i].alive && model_is_below(model, model->task[i].node, node))
			return true;
	return false;
}

/* By its own priority, else by that of its only child with processes. */
static bool is_candidate(const struct model *model, int node)
{
	int child, only = MODEL_NONE;

	if (model->node[node].priority != MODEL_UNSET)
		return model->node[node].priority != MODEL_MAX;
	for (child = 0; child < model->nr_nodes; child++) {
		if (model->node[child].parent != node || !is_populated(model, child))
			continue;
		if (only != MODEL_NONE)
			return true;
		only = child;
	}
	return only == MODEL_NONE || is_candidate(model, only);
}

static bool is_killable(const struct model_task *task)
{
	return task->alive && task->adj != UNKILLABLE;
}

/* A policy without the flag does not exist when a memcg meets its limit. */
static bool has_policy(const struct model *model, const struct model_event *event, int node)
{
	const int policy = model->node[node].policy;

	return policy != MODEL_NONE && (event->scope == MODEL_ROOT ||
					model->flags[policy] & BPF_F_OOM_POLICY_MEMCG);
}

/* The node whose policy rules over the children of @node. */
int model_ruler(const struct model *model, const struct model_event *event, int node)
{
	while (node != MODEL_NONE && !has_policy(model, event, node))
		node = model->node[node].parent;
	return node;
}

static void note_margin(struct walk *walk, long pages)
{
	if (labs(pages) < walk->answer->margin)
		walk->answer->margin = labs(pages);
}

/* The task that oom_badness() picks at or below @top, or of its own only. */
static int pick_task(struct walk *walk, int top, bool own)
{
	const struct model *model = walk->model;
	long points, most = 0, second = LONG_MIN;
	int i, picked = MODEL_NONE;

	for (i = 0; i < model->nr_tasks; i++) {
		const struct model_task *task = &model->task[i];

		if (!is_killable(task) || !model_is_below(model, task->node, top) ||
		    (own && top != ROOT_TASKS && task->node != top))
			continue;
		points = task->pages + task->adj * (walk->event->pages / 1000);
		if (picked == MODEL_NONE || points > most) {
			if (picked != MODEL_NONE)
				second = most;
			most = points;
			picked = i;
		} else if (points > second) {
			second = points;
		}
	}
	if (second != LONG_MIN)
		note_margin(walk, most - second);
	return picked;
}

static int judge(const struct walk *walk, int policy, int node_1, int node_2)
{
	return walk->model->judge(walk->model, policy,
				  node_1 == ROOT_TASKS ? MODEL_ROOT : node_1,
				  node_2 == ROOT_TASKS ? MODEL_ROOT : node_2);
}

/* EQUAL. There is no swap here to look at after the usage. */
static int break_tie(struct walk *walk, int node_1, int node_2)
{
	const struct model_node *first = &walk->model->node[node_1];
	const struct model_node *second = &walk->model->node[node_2];

	walk->answer->seen[MODEL_TIE] = true;
	note_margin(walk, first->usage - second->usage);
	if (first->usage != second->usage)
		return first->usage > second->usage ? node_1 : node_2;
	return first->id < second->id ? node_1 : node_2;
}

/* The root's own tasks play first; some are always there. */
static int list_eligible(struct walk *walk, int parent, __u32 flags, int *list)
{
	const struct model *model = walk->model;
	int node, n = 0;

	if (parent == MODEL_ROOT && flags & BPF_F_OOM_POLICY_ROOT_TASKS &&
	    !walk->barren[ROOT_TASKS])
		list[n++] = ROOT_TASKS;
	for (node = 0; node < model->nr_nodes; node++) {
		if (model->node[node].parent != parent || !is_populated(model, node) ||
		    walk->barren[node])
			continue;
		if (is_candidate(model, node))
			list[n++] = node;
		else
			walk->answer->seen[MODEL_LEFT_OUT] = true;
	}
	return n;
}

static void note_losers(struct walk *walk, int policy, const int *list, int n, int winner)
{
	int i;

	for (i = 0; i < n; i++)
		if (list[i] != winner &&
		    (judge(walk, policy, winner, list[i]) == BPF_OOM_SECOND ||
		     judge(walk, policy, list[i], winner) == BPF_OOM_FIRST))
			walk->answer->seen[MODEL_INTRANSITIVE] = true;
}

/* The eligible children of @parent against each other, under @ruler's policy. */
static int play(struct walk *walk, int ruler, int parent)
{
	const int policy = walk->model->node[ruler].policy;
	const __u32 flags = walk->model->flags[policy];
	int list[CANDIDATES];
	int i, n, best;

	n = list_eligible(walk, parent, flags, list);
	if (!n)
		return NO_CHILD;

	if (n > 1 && ruler != walk->first)
		walk->answer->seen[MODEL_NESTED] = true;

	best = list[0];
	if (best == ROOT_TASKS)
		walk->answer->seen[MODEL_ROOT_TASKS] = true;
	for (i = 1; i < n; i++) {
		switch (judge(walk, policy, best, list[i])) {
		case BPF_OOM_EQUAL:
			best = break_tie(walk, best, list[i]);
			break;
		case BPF_OOM_SECOND:
			best = list[i];
			break;
		case BPF_OOM_ABSTAIN:
			walk->answer->seen[MODEL_ABSTAINED] = true;
			return ABSTAINED;
		}
	}
	note_losers(walk, policy, list, n, best);
	return best;
}

/*
 * Down from @top, as far as there is a choice. *@ruler is the node whose policy
 * made the last one or, when there was none, rules at @top. *@leaf: what is below it is
 * out of the question.
 */
static int descend(struct walk *walk, int top, int *ruler, bool *abstained, bool *leaf)
{
	int node = top, child, here;

	*abstained = false;
	*leaf = false;
	while (node != ROOT_TASKS && !walk->model->node[node].group) {
		here = model_ruler(walk->model, walk->event, node);
		child = play(walk, here, node);
		*leaf = child == NO_CHILD && node != MODEL_ROOT;
		if (child == NO_CHILD)
			break;
		*ruler = here;
		*abstained = child == ABSTAINED;
		if (*abstained)
			break;
		node = child;
	}
	return node;
}

/* The outermost node with a policy below @top on the way to @node. */
static int outermost_policy(const struct walk *walk, int top, int node)
{
	int found = MODEL_NONE;

	for (; node != top && node != MODEL_NONE; node = walk->model->node[node].parent)
		if (has_policy(walk->model, walk->event, node))
			found = node;
	return found;
}

/* In the end the stock killer: whoever is left. */
static int fall_back(struct walk *walk, int *ruler)
{
	struct model_answer *answer = walk->answer;

	answer->by_stock = true;
	*ruler = MODEL_NONE;
	answer->task = pick_task(walk, walk->event->scope, false);
	return answer->task == MODEL_NONE ? MODEL_NONE :
	       walk->model->task[answer->task].node;
}

/*
 * The memcg in which answer->task dies. By what it has found to kill it starts
 * again, without what turned out barren or in the cgroup of a policy further
 * down. *@ruler is the node whose policy chose, MODEL_NONE if none did.
 */
static int choose(struct walk *walk, int *ruler)
{
	struct model_answer *answer = walk->answer;
	int node, next, picked = MODEL_NONE, top = walk->event->scope;
	bool by_badness, leaf;

	for (;;) {
		*ruler = model_ruler(walk->model, walk->event, top);
		by_badness = *ruler == MODEL_NONE;
		leaf = false;
		node = by_badness ? top : descend(walk, top, ruler, &by_badness, &leaf);

		answer->task = pick_task(walk, node, leaf);
		if (answer->task == MODEL_NONE) {
			if (node == top && picked == MODEL_NONE)
				return fall_back(walk, ruler);
			/* The kernel's pick stands. */
			if (node == top) {
				answer->task = picked;
				*ruler = MODEL_NONE;
				return walk->model->task[picked].node;
			}
			walk->barren[node] = true;
			answer->seen[MODEL_BACKTRACKED] = true;
			continue;
		}
		if (!by_badness)
			return node == MODEL_ROOT ? fall_back(walk, ruler) : node;

		next = outermost_policy(walk, node, walk->model->task[answer->task].node);
		if (next == MODEL_NONE) {
			*ruler = MODEL_NONE;
			return walk->model->task[answer->task].node;
		}
		answer->seen[MODEL_HANDED_OVER] = true;
		picked = answer->task;
		top = next;
	}
}

/* memory.oom.group counts up to the scope, and the topmost counts. */
static int find_group(const struct walk *walk, int node)
{
	int found = MODEL_NONE;

	for (; node != MODEL_NONE; node = walk->model->node[node].parent) {
		if (walk->model->node[node].group)
			found = node;
		if (node == walk->event->scope)
			break;
	}
	return found;
}

static void kill_task(struct model_answer *answer, int task)
{
	if (!answer->dies[task])
		answer->nr_dead++;
	answer->dies[task] = true;
}

static void kill_below(struct walk *walk, int top)
{
	const struct model *model = walk->model;
	int i;

	walk->answer->together = true;
	for (i = 0; i < model->nr_tasks; i++)
		if (is_killable(&model->task[i]) &&
		    model_is_below(model, model->task[i].node, top))
			kill_task(walk->answer, i);
}

void model_select(const struct model *model, const struct model_event *event,
		  struct model_answer *answer)
{
	struct walk walk = { .model = model, .event = event, .answer = answer };
	int group, ruler;

	walk.first = model_ruler(model, event, event->scope);
	memset(answer, 0, sizeof(*answer));
	answer->margin = LONG_MAX;
	answer->chosen = choose(&walk, &ruler);
	if (answer->chosen == MODEL_NONE)
		return;

	answer->seen[MODEL_MEMCG] = event->scope != MODEL_ROOT && ruler != MODEL_NONE;
	kill_task(answer, answer->task);
	group = find_group(&walk, model->task[answer->task].node);
	if (group != MODEL_NONE) {
		kill_below(&walk, group);
		answer->seen[MODEL_GROUP] = true;
	} else if (ruler != MODEL_NONE &&
		   model->flags[model->node[ruler].policy] & BPF_F_OOM_POLICY_KILL_ALL) {
		kill_below(&walk, answer->chosen);
		answer->seen[MODEL_KILL_ALL] = answer->nr_dead > 1;
	}
	if (answer->chosen == ROOT_TASKS)
		answer->chosen = MODEL_ROOT;
}
