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

/* Less than one part in so many is next to nothing. */
#define NOTHING		8

/*
 * Between two events, the kernel takes back what it has charged ahead, and what a process
 * has mapped it knows only about: by so much less is sure what depends on that.
 */
#define LOOSE		4

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
	int top;			/* policies above it have no say any more */
	bool barren[CANDIDATES];	/* found without killable tasks */
	bool unsparing;			/* all others have been looked at */
	bool spared;			/* somebody was */
	bool lenient;			/* no leaf is passed over */
	bool passed;			/* some were, */
	int futile;			/* so many of them for their last kills, */
	long held;			/* whose victims held so much */
};

/* How the walk has come to its end. */
enum end {
	END_LEAF,	/* a policy has chosen it; what is below it is out of the question */
	END_GROUP,	/* likewise, with all that is below it */
	END_ALL,	/* there are no children of the root any more */
	END_LEFT,	/* none rules there */
	END_ABSTAINED,
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
static bool has_policy(const struct model *model, const struct model_event *event, int node,
		       enum model_stage stage)
{
	const int policy = model->node[node].policy[stage];

	return policy != MODEL_NONE && (event->scope == MODEL_ROOT ||
					model->flags[policy] & BPF_F_OOM_POLICY_MEMCG);
}

int model_ruler(const struct model *model, const struct model_event *event, int node,
		int top, enum model_stage stage)
{
	for (; node != MODEL_NONE; node = model->node[node].parent) {
		if (has_policy(model, event, node, stage))
			return node;
		if (node == top)
			break;
	}
	return MODEL_NONE;
}

static int ruler_of(const struct walk *walk, int node, enum model_stage stage)
{
	return model_ruler(walk->model, walk->event, node == ROOT_TASKS ? MODEL_ROOT : node,
			   walk->top, stage);
}

static void note_margin(struct walk *walk, long pages)
{
	if (labs(pages) < walk->answer->margin)
		walk->answer->margin = labs(pages);
}

/* Somebody else with the same mm is not at or below @top. */
static bool has_outsider(const struct model *model, int task, int top)
{
	int i;

	for (i = 0; i < model->nr_tasks; i++)
		if (i != task && model->task[i].alive &&
		    model->task[i].mm == model->task[task].mm &&
		    !model_is_below(model, model->task[i].node, top))
			return true;
	return false;
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

/*
 * Those who can be killed at or below @top, or there only. If it is to be emptied, who
 * would take an outsider along is passed over as long as there may be somebody else.
 */
static int list_killable(struct walk *walk, int top, bool own, bool emptied, int *list)
{
	const struct model *model = walk->model;
	int i, n = 0, group = find_group(walk, top == ROOT_TASKS ? MODEL_ROOT : top);

	for (i = 0; i < model->nr_tasks; i++) {
		if (!is_killable(&model->task[i]) ||
		    !model_is_below(model, model->task[i].node, top) ||
		    (own && top != ROOT_TASKS && model->task[i].node != top))
			continue;
		if (emptied && !walk->unsparing &&
		    has_outsider(model, i, group == MODEL_NONE ? top : group))
			walk->spared = true;
		else
			list[n++] = i;
	}
	return n;
}

/*
 * Did the last kill there give next to nothing back, with next to nothing left to give? Where
 * one is clearly false, it does not matter how near the other is.
 */
static bool was_in_vain(struct walk *walk, int node)
{
	const struct model_futile *futile = &walk->answer->futile[node];
	const struct model_node *now = &walk->model->node[node];
	const long given = futile->usage / NOTHING - (futile->usage - futile->low);
	const long left = now->usage / NOTHING - now->freeable;
	const long sure = futile->unclear ? 0 : given / LOOSE;

	if (given > 0 && left > 0) {
		note_margin(walk, sure);
		note_margin(walk, left);
		return true;
	}
	note_margin(walk, left > 0 ? sure : given > 0 || -left > -sure ? left : sure);
	return false;
}

static void judge_last_kill(struct walk *walk, int node, int max)
{
	struct model_futile *futile = &walk->answer->futile[node];
	long change;

	if (futile->watched) {
		futile->watched = false;
		if (was_in_vain(walk, node)) {
			futile->kills++;
			futile->held += futile->last;
		} else {
			futile->kills = 0;
			futile->held = 0;
		}
	}
	if (futile->kills < max)
		return;
	change = labs(walk->model->node[node].usage - futile->usage);
	note_margin(walk, (change - futile->held) / LOOSE);
	if (change > futile->held) {
		futile->kills = 0;
		futile->held = 0;
		walk->answer->seen[MODEL_CHANGED] = true;
	}
}

/* A leaf of the policy at @ruler; what is short is never passed over. */
static bool is_in_vain(struct walk *walk, int node, int ruler)
{
	const int policy = walk->model->node[ruler].policy[MODEL_OF_MEMCGS];
	const struct model_futile *futile = &walk->answer->futile[node];
	const int max = walk->model->max_futile[policy];
	bool in_vain = false;

	if (max) {
		judge_last_kill(walk, node, max);
		in_vain = futile->kills >= max;
	}
	if (in_vain) {
		walk->futile++;
		walk->held = futile->held > walk->held ? futile->held : walk->held;
	} else if (walk->futile) {
		/* Who comes in its place has to have more to give. */
		note_margin(walk, (walk->model->node[node].freeable - walk->held) / LOOSE);
		in_vain = walk->model->node[node].freeable <= walk->held;
		walk->answer->seen[MODEL_TOO_LITTLE] |= in_vain;
	}
	walk->passed |= in_vain;
	return in_vain;
}

static long badness(const struct walk *walk, int task)
{
	const struct model_task *t = &walk->model->task[task];

	return t->pages + t->adj * (walk->event->pages / 1000);
}

static int by_badness(struct walk *walk, const int *list, int n)
{
	long points, most = 0, second = LONG_MIN;
	int i, picked = MODEL_NONE;

	for (i = 0; i < n; i++) {
		points = badness(walk, list[i]);
		if (picked == MODEL_NONE || points > most) {
			if (picked != MODEL_NONE)
				second = most;
			most = points;
			picked = list[i];
		} else if (points > second) {
			second = points;
		}
	}
	if (second != LONG_MIN)
		note_margin(walk, most - second);
	return picked;
}

/* ABSTAINED, or who wins under the policy of @ruler; of equals the one with more badness. */
static int play_tasks(struct walk *walk, int ruler, const int *list, int n)
{
	const int policy = walk->model->node[ruler].policy[MODEL_OF_TASKS];
	int i, best = list[0];
	long more;

	for (i = 1; i < n; i++) {
		switch (walk->model->judge_tasks(walk->model, policy, best, list[i])) {
		case BPF_OOM_EQUAL:
			more = badness(walk, list[i]) - badness(walk, best);
			note_margin(walk, more);
			best = more > 0 ? list[i] : best;
			break;
		case BPF_OOM_SECOND:
			best = list[i];
			break;
		case BPF_OOM_ABSTAIN:
			walk->answer->seen[MODEL_TASKS_ABSTAINED] = true;
			return ABSTAINED;
		}
	}
	walk->answer->seen[MODEL_TASK_STAGE] |= n > 1;
	return best;
}

/* The task to die where the walk has ended; *@by_tasks: a policy for tasks has said so. */
static int pick_task(struct walk *walk, int node, enum end end, bool *by_tasks)
{
	const bool own = end == END_LEAF, chosen = own || end == END_GROUP;
	const bool emptied = own || node != MODEL_ROOT;
	int list[MODEL_TASKS], n, task, ruler = MODEL_NONE;

	*by_tasks = false;
	if (end != END_ABSTAINED)
		ruler = ruler_of(walk, node, MODEL_OF_TASKS);
	if (ruler != MODEL_NONE) {
		n = list_killable(walk, node, own, emptied, list);
		task = n ? play_tasks(walk, ruler, list, n) : MODEL_NONE;
		*by_tasks = task != ABSTAINED;
		if (*by_tasks)
			return task;
	}
	n = list_killable(walk, node, own, emptied && chosen, list);
	return by_badness(walk, list, n);
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
	const int policy = walk->model->node[ruler].policy[MODEL_OF_MEMCGS];
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
 * made the last one or, when there was none, rules at @top.
 */
static enum end descend(struct walk *walk, int top, int *node, int *ruler)
{
	int child, here;

	*node = top;
	*ruler = ruler_of(walk, top, MODEL_OF_MEMCGS);
	if (*ruler == MODEL_NONE)
		return END_LEFT;
	while (*node != ROOT_TASKS && !walk->model->node[*node].group) {
		here = ruler_of(walk, *node, MODEL_OF_MEMCGS);
		child = play(walk, here, *node);
		if (child == NO_CHILD)
			return *node == MODEL_ROOT ? END_ALL : END_LEAF;
		*ruler = here;
		if (child == ABSTAINED)
			return END_ABSTAINED;
		*node = child;
	}
	return *node == ROOT_TASKS ? END_LEAF : END_GROUP;
}

/* The outermost node with a policy below @top on the way to @node. */
static int outermost_policy(const struct walk *walk, int top, int node)
{
	int found = MODEL_NONE;

	for (; node != top && node != MODEL_NONE; node = walk->model->node[node].parent)
		if (has_policy(walk->model, walk->event, node, MODEL_OF_MEMCGS) ||
		    has_policy(walk->model, walk->event, node, MODEL_OF_TASKS))
			found = node;
	return found;
}

/* Not what is short, nor where the choice is not the policy's. */
static bool may_pass_over(const struct walk *walk, int top, int node, enum end end)
{
	return !walk->lenient && node != top && node != ROOT_TASKS && node != MODEL_ROOT &&
	       (end == END_LEAF || end == END_GROUP);
}

/*
 * From @top down to a task, without what turned out barren; MODEL_NONE if there is
 * nobody. *@node is where it was picked.
 */
static int find_task(struct walk *walk, int top, int *node, int *ruler, bool *left)
{
	enum end end;
	bool by_tasks;
	int task;

	for (;;) {
		end = descend(walk, top, node, ruler);
		if (end == END_ALL)
			return MODEL_NONE;
		if (!may_pass_over(walk, top, *node, end) || !is_in_vain(walk, *node, *ruler)) {
			task = pick_task(walk, *node, end, &by_tasks);
			if (task != MODEL_NONE)
				break;
			walk->answer->seen[MODEL_BACKTRACKED] |= *node != top;
		}
		if (*node == top)
			return MODEL_NONE;
		walk->barren[*node] = true;
	}
	/* All of a group dies, whoever is asked. */
	*left = end != END_LEAF && end != END_GROUP && !by_tasks &&
		!(end == END_LEFT && walk->model->node[*node].group);
	if (end == END_LEAF || end == END_GROUP)
		return task;
	/* No policy has chosen a memcg. */
	*ruler = MODEL_NONE;
	walk->answer->seen[MODEL_TASKS_ALONE] |= by_tasks;
	return task;
}

/* In the end the stock killer: whoever is left. */
static int fall_back(struct walk *walk, int *ruler)
{
	struct model_answer *answer = walk->answer;
	int list[MODEL_TASKS];

	answer->by_stock = true;
	*ruler = MODEL_NONE;
	answer->task = by_badness(walk, list, list_killable(walk, walk->event->scope, false,
							    false, list));
	return answer->task == MODEL_NONE ? MODEL_NONE : walk->model->task[answer->task].node;
}

/* From the scope, and nobody is passed over any more whose death may be in vain. */
static void begin_anew(struct walk *walk)
{
	memset(walk->barren, 0, sizeof(walk->barren));
	walk->lenient = true;
	walk->passed = false;
	walk->futile = 0;
	walk->held = 0;
}

/*
 * The memcg in which answer->task dies. What oom_badness() has picked is left to the
 * policy further down that is nearest to the top, and to none above that one. *@ruler
 * is the node whose policy chose the memcg, MODEL_NONE if none did.
 */
static int choose(struct walk *walk, int *ruler)
{
	struct model_answer *answer = walk->answer;
	int task, node, next, top = walk->event->scope;
	bool left;

	answer->task = find_task(walk, top, &node, ruler, &left);
	if (answer->task == MODEL_NONE && walk->passed) {
		begin_anew(walk);
		walk->spared = false;
		answer->seen[MODEL_ALL_IN_VAIN] = true;
		answer->task = find_task(walk, top, &node, ruler, &left);
	}
	if (answer->task == MODEL_NONE && walk->spared) {
		begin_anew(walk);
		walk->unsparing = true;
		answer->seen[MODEL_NOT_SPARED] = true;
		answer->task = find_task(walk, top, &node, ruler, &left);
	}
	if (answer->task == MODEL_NONE)
		return fall_back(walk, ruler);

	while (left) {
		next = outermost_policy(walk, node, walk->model->task[answer->task].node);
		if (next == MODEL_NONE)
			return walk->model->task[answer->task].node;
		answer->seen[MODEL_HANDED_OVER] = true;
		walk->top = next;
		task = find_task(walk, next, &node, ruler, &left);
		if (task == MODEL_NONE) {
			*ruler = MODEL_NONE;
			return walk->model->task[answer->task].node;
		}
		answer->task = task;
	}
	return node;
}

/* And who has the same mm. */
static void kill_task(struct walk *walk, int task)
{
	const struct model *model = walk->model;
	struct model_answer *answer = walk->answer;
	int i;

	for (i = 0; i < model->nr_tasks; i++) {
		if (!model->task[i].alive || model->task[i].mm != model->task[task].mm ||
		    answer->dies[i])
			continue;
		answer->nr_dead++;
		answer->dies[i] = true;
	}
}

/* Not at the cost of one who is not below it, where a policy has chosen. */
static void kill_below(struct walk *walk, int top, bool chosen)
{
	const struct model *model = walk->model;
	int i;

	walk->answer->together = true;
	for (i = 0; i < model->nr_tasks; i++) {
		if (!is_killable(&model->task[i]) || walk->answer->dies[i] ||
		    !model_is_below(model, model->task[i].node, top))
			continue;
		if (chosen && has_outsider(model, i, top))
			walk->answer->seen[MODEL_SPARED] = true;
		else
			kill_task(walk, i);
	}
}

/* What the next event that comes to the leaf has to judge. */
static void watch_kill(struct walk *walk, int leaf)
{
	struct model_futile *futile = &walk->answer->futile[leaf];
	const struct model *model = walk->model;
	int i;

	futile->watched = true;
	futile->unclear = false;
	futile->usage = model->node[leaf].usage;
	futile->low = futile->usage;
	futile->last = model->task[walk->answer->task].held;
	for (i = 0; i < model->nr_tasks; i++)
		if (walk->answer->dies[i] && model->task[i].mm != i)
			futile->unclear = true;
}

/* A policy chose what is at @chosen; one for tasks, where it begins with a group. */
static bool is_chosen(const struct walk *walk, int chosen, int policy)
{
	const struct model *model = walk->model;

	return policy != MODEL_NONE ||
	       (model->node[chosen].group &&
		model_ruler(model, walk->event, chosen, walk->top, MODEL_OF_TASKS) != MODEL_NONE);
}

void model_select(const struct model *model, const struct model_event *event,
		  struct model_answer *answer)
{
	struct walk walk = { .model = model, .event = event, .answer = answer, .top = MODEL_NONE };
	int i, group, ruler, policy;
	bool chosen;

	walk.first = model_ruler(model, event, event->scope, MODEL_NONE, MODEL_OF_MEMCGS);
	memset(answer, 0, sizeof(*answer));
	answer->margin = LONG_MAX;
	for (i = 0; i < model->nr_nodes; i++)
		answer->futile[i] = model->node[i].futile;
	answer->chosen = choose(&walk, &ruler);
	answer->seen[MODEL_PASSED_OVER] = walk.futile;
	if (answer->chosen == MODEL_NONE)
		return;

	answer->seen[MODEL_MEMCG] = event->scope != MODEL_ROOT && ruler != MODEL_NONE;
	answer->seen[MODEL_SPARED] |= walk.spared && !walk.unsparing;
	kill_task(&walk, answer->task);
	policy = ruler == MODEL_NONE ? MODEL_NONE : model->node[ruler].policy[MODEL_OF_MEMCGS];
	chosen = is_chosen(&walk, answer->chosen, policy);
	group = find_group(&walk, model->task[answer->task].node);
	if (group != MODEL_NONE) {
		kill_below(&walk, group, chosen);
		answer->seen[MODEL_GROUP] = true;
	} else if (policy != MODEL_NONE && model->flags[policy] & BPF_F_OOM_POLICY_KILL_ALL) {
		kill_below(&walk, answer->chosen, true);
		answer->seen[MODEL_KILL_ALL] = answer->nr_dead > 1;
	}
	if (answer->chosen == ROOT_TASKS)
		answer->chosen = MODEL_ROOT;
	if (chosen && answer->chosen != MODEL_ROOT)
		watch_kill(&walk, answer->chosen);
}
