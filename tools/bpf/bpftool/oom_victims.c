// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Who would die next, and who after that: the leaves of the tree in the order in which
 * one OOM after the other would come to them, if each emptied its leaf and nobody grew
 * meanwhile. The best of the children of a cgroup is gone through before the second-best
 * has its turn.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "main.h"
#include "oom.h"

struct search {
	const struct oom_judge *judge;		/* that rules at the scope */
	const struct oom_cgroup *scope;
	struct oom_victim *victims;
	int nr;
	int max;
};

/**
 * oom_judge_below() - who compares the children of a cgroup in an OOM
 * @judge: oom_judge_close() ends it
 * @at_scope: the program that rules at the scope, whether attached there or not
 * @scope: of the OOM
 * @path: of the cgroup, at the scope or below
 *
 * Return: 0, or -1 with the reason told and nothing to close.
 */
int oom_judge_below(struct oom_judge *judge, const struct oom_judge *at_scope,
		    const struct oom_cgroup *scope, const char *path)
{
	const struct oom_policy *policy = oom_policy_asked(path, BPF_OOM_POLICY, scope->path);

	if (policy && strcmp(policy->path, scope->path) &&
	    oom_path_below(policy->path, scope->path))
		return oom_judge_open(judge, policy->info.prog_id);
	return oom_judge_open(judge, at_scope->id);
}

/**
 * oom_victim_note() - who of a cgroup dies
 * @victim: the victim, or NULL
 *
 * Return: what comes behind its path.
 */
const char *oom_victim_note(const struct oom_victim *victim)
{
	if (!victim || (!victim->badness && !victim->root_tasks))
		return "";
	return victim->badness ? " (oom_badness)" : " (its own processes)";
}

static int add_victim(struct search *s, const char *path, __u64 id, bool badness)
{
	struct oom_victim *victim = &s->victims[s->nr];

	victim->path = strdup(path);
	victim->id = id;
	victim->root_tasks = false;
	victim->badness = badness;
	if (!victim->path) {
		oom_err("mem alloc failed");
		return -1;
	}
	s->nr++;
	return 0;
}

static int search_below(struct search *s, const char *path, __u64 id);

static int search_children(struct search *s, const char *path, __u64 id,
			   struct oom_child *children, int nr)
{
	struct oom_order order;
	struct oom_judge judge;
	int i, before, err;

	if (oom_judge_below(&judge, s->judge, s->scope, path))
		return -1;
	err = oom_order(&judge, children, nr, s->max - s->nr, &order);
	if (!err)
		oom_order_root(&judge, s->judge->policy, path, id, &order);
	oom_judge_close(&judge);
	if (err)
		return -1;

	before = s->nr;
	for (i = 0; i < order.nr_ranked && s->nr < s->max && !err; i++) {
		if (order.list[i]->root_tasks) {
			err = add_victim(s, path, id, false);
			if (!err)
				s->victims[s->nr - 1].root_tasks = true;
			continue;
		}
		oom_child_check(order.list[i]);
		if (!order.list[i]->out)
			err = search_below(s, order.list[i]->path, order.list[i]->id);
	}
	if (!err && s->nr < s->max && order.abstained[0])
		err = add_victim(s, path, id, true);
	else if (!err && s->nr == before && !order.nr)
		err = add_victim(s, path, id, false);	/* no child has processes: a leaf */
	oom_order_free(&order);
	return err;
}

static int search_below(struct search *s, const char *path, __u64 id)
{
	struct oom_child *children = NULL;
	int nr = 0, err;

	if (!strcmp(path, "/") || !oom_cgroup_number(path, "memory.oom.group"))
		nr = oom_children(path, &children);
	if (nr < 0)
		return -1;
	err = nr ? search_children(s, path, id, children, nr) : add_victim(s, path, id, false);
	oom_children_free(children, nr);
	return err;
}

/**
 * oom_victims() - who would die, one after the other
 * @judge: rules at the scope
 * @scope: of the OOMs
 * @victims: room for @max, for oom_victims_free()
 * @max: how many at most
 *
 * Return: how many, or -1 with the reason told and nothing to free.
 */
int oom_victims(const struct oom_judge *judge, const struct oom_cgroup *scope,
		struct oom_victim *victims, int max)
{
	struct search s = { .judge = judge, .scope = scope, .victims = victims, .max = max };

	if (!search_below(&s, scope->path, scope->id))
		return s.nr;
	oom_victims_free(victims, s.nr);
	return -1;
}

/**
 * oom_victims_free() - end of what oom_victims() found
 * @victims: the list itself stays
 * @nr: how many
 */
void oom_victims_free(struct oom_victim *victims, int nr)
{
	while (nr-- > 0)
		free(victims[nr].path);
}
