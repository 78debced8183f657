// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "rank": the children of a cgroup in the order in which they would die, by one
 * tournament for each place.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define MIN_WIDTH	12	/* of a column of numbers */

struct ranking {
	struct oom_cgroup scope;
	struct oom_judge judge;
	struct oom_child *children;
	int nr;
	struct oom_child **order;	/* those that take part, the first to die first */
	int nr_eligible;
	int nr_ranked;
	const struct oom_child *abstained[2];	/* from here on there is no order */
};

/* One tournament among those not ranked yet, as the kernel would hold it. */
static int rank_next(struct ranking *r)
{
	struct oom_child *best, *first;
	int i, at = r->nr_ranked, verdict;

	best = r->order[at];
	for (i = at + 1; i < r->nr_eligible; i++) {
		verdict = oom_run(&r->judge, best, r->order[i]);
		if (verdict < 0)
			return -1;
		first = oom_dies_first(verdict, best, r->order[i]);
		if (!first) {
			r->abstained[0] = best;
			r->abstained[1] = r->order[i];
			return 0;
		}
		if (first != best) {
			best = first;
			at = i;
		}
	}
	/* The others stay in the order in which the kernel meets them. */
	memmove(&r->order[r->nr_ranked + 1], &r->order[r->nr_ranked],
		(at - r->nr_ranked) * sizeof(*r->order));
	r->order[r->nr_ranked++] = best;
	return 0;
}

static int rank(struct ranking *r)
{
	int i;

	r->nr = oom_children(r->scope.path, &r->children);
	if (r->nr < 0)
		return -1;
	r->order = calloc(r->nr ?: 1, sizeof(*r->order));
	if (!r->order) {
		oom_err("mem alloc failed");
		return -1;
	}
	for (i = 0; i < r->nr; i++)
		if (!r->children[i].out)
			r->order[r->nr_eligible++] = &r->children[i];
	while (r->nr_ranked < r->nr_eligible && !r->abstained[0])
		if (rank_next(r))
			return -1;
	return 0;
}

/* Of the column of priorities, which are of any length; 0 if there are none. */
static int priority_width(const struct ranking *r)
{
	int width = MIN_WIDTH, i, n;
	bool any = false;

	for (i = 0; i < r->nr; i++) {
		any |= r->children[i].priority.state != BPF_OOM_PRIORITY_UNSET;
		n = strlen(oom_priority_text(&r->children[i].priority));
		width = n > width ? n : width;
	}
	return any ? width : 0;
}

static void rank_line(const struct oom_child *child, int place, int width)
{
	if (place)
		oom_printf("%4d", place);
	else
		oom_printf("   -");
	oom_printf(" %*llu %*llu %*llu", MIN_WIDTH, child->usage / 1024, MIN_WIDTH,
		   child->swap / 1024, MIN_WIDTH, child->freeable / 1024);
	if (width)
		oom_printf(" %*s", width, oom_priority_text(&child->priority));
	oom_printf("  %s%s%s\n", child->path, child->out ? ": " : "", child->out ?: "");
}

static void rank_plain(const struct ranking *r)
{
	const int width = priority_width(r);
	int i;

	oom_caveats_plain(r->judge.policy, r->scope.path, OOM_REHEARSE_CHILDREN);
	if (!r->nr) {
		oom_printf("%s is a leaf: no cgroup below it has the memory controller\n",
			   r->scope.path);
		return;
	}
	oom_printf("children of %s, compared by ", r->scope.path);
	oom_judge_plain(&r->judge);
	oom_printf("\nRANK %*s %*s %*s", MIN_WIDTH, "USAGE kB", MIN_WIDTH, "SWAP kB",
		   MIN_WIDTH, "FREEABLE kB");
	if (width)
		oom_printf(" %*s", width, "PRIORITY");
	oom_printf("  CGROUP\n");
	for (i = 0; i < r->nr_eligible; i++)
		rank_line(r->order[i], i < r->nr_ranked ? i + 1 : 0, width);
	for (i = 0; i < r->nr; i++)
		if (r->children[i].out)
			rank_line(&r->children[i], 0, width);
	if (r->abstained[0])
		oom_printf("abstains between %s and %s: oom_badness() picks below %s\n",
			   r->abstained[0]->path, r->abstained[1]->path, r->scope.path);
}

static void rank_child_json(const struct oom_child *child, int place)
{
	jsonw_start_object(json_wtr);
	if (place)
		jsonw_int_field(json_wtr, "rank", place);
	else
		jsonw_null_field(json_wtr, "rank");
	oom_child_json(child);
	jsonw_end_object(json_wtr);
}

static void rank_json(const struct ranking *r)
{
	int i;

	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "parent", r->scope.id, r->scope.path);
	oom_caveats_json(r->judge.policy, r->scope.path, OOM_REHEARSE_CHILDREN);
	oom_judge_json(&r->judge);
	jsonw_name(json_wtr, "children");
	jsonw_start_array(json_wtr);
	for (i = 0; i < r->nr_eligible; i++)
		rank_child_json(r->order[i], i < r->nr_ranked ? i + 1 : 0);
	for (i = 0; i < r->nr; i++)
		if (r->children[i].out)
			rank_child_json(&r->children[i], 0);
	jsonw_end_array(json_wtr);
	if (r->abstained[0]) {
		jsonw_name(json_wtr, "abstains_between");
		jsonw_start_array(json_wtr);
		for (i = 0; i < 2; i++)
			jsonw_string(json_wtr, r->abstained[i]->path);
		jsonw_end_array(json_wtr);
	}
	jsonw_end_object(json_wtr);
}

int oom_do_rank(int argc, char **argv)
{
	const struct oom_prog_arg *given;
	struct oom_prog_arg arg;
	struct ranking r = {};
	int err = -1;

	if (oom_parse_scope(argc, argv, &r.scope, &arg, &given))
		return -1;
	if (!oom_judge_for(&r.judge, r.scope.path, given, BPF_OOM_POLICY)) {
		err = rank(&r);
		if (!err && json_output)
			rank_json(&r);
		else if (!err)
			rank_plain(&r);
		oom_judge_close(&r.judge);
	}
	free(r.order);
	oom_children_free(r.children, r.nr);
	oom_cgroup_free(&r.scope);
	return err;
}
