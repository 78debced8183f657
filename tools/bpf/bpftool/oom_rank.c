// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "rank": the children of a cgroup in the order in which they would die. What takes time
 * with many of them, whether there is anybody to kill in one, is looked at for those only
 * that are shown.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define MIN_WIDTH	12	/* of a column of numbers */
#define OTHER_LINES	5	/* on a screen: the head, what is not shown, the prompt */

/* So many tournaments are played if a program abstains now and then. */
#define MAX_TOURNAMENTS	50

struct ranking {
	struct oom_cgroup scope;
	struct oom_judge judge;
	struct oom_child *children;
	int nr;
	struct oom_order order;
	struct oom_child **shown;	/* in this order; the first of them have places */
	int nr_shown;
	int nr_places;
	int nr_left;			/* that are not shown */
};

static bool room(const struct ranking *r, int rows)
{
	return r->nr_shown < rows;
}

/* Those with a place come first, until there is no more room. */
static void show_places(struct ranking *r, int rows, struct oom_child **out, int *nr_out)
{
	struct oom_child *child;
	int i;

	for (i = 0; i < r->order.nr_ranked && room(r, rows); i++) {
		child = r->order.list[i];
		oom_child_check(child);
		if (child->out)
			out[(*nr_out)++] = child;
		else
			r->shown[r->nr_shown++] = child;
	}
	r->nr_places = r->nr_shown;
	for (; i < r->order.nr && room(r, rows); i++) {
		child = r->order.list[i];
		oom_child_check(child);
		r->shown[r->nr_shown++] = child;
	}
}

/* Then those that take no part, in the order of their ids. */
static void show_others(struct ranking *r, int rows, struct oom_child **out, int nr_out)
{
	struct oom_child *child;
	int i;

	for (i = 0; i < nr_out && room(r, rows); i++)
		r->shown[r->nr_shown++] = out[i];
	if (r->order.root.out && room(r, rows))
		r->shown[r->nr_shown++] = &r->order.root;
	for (i = 0; i < r->nr && room(r, rows); i++) {
		child = &r->children[i];
		if (!oom_child_left_out(child))
			continue;
		oom_child_check(child);
		r->shown[r->nr_shown++] = child;
	}
}

static int rank(struct ranking *r, int rows)
{
	const int places = rows < MAX_TOURNAMENTS ? rows : MAX_TOURNAMENTS;
	struct oom_child **out;
	int i, nr_out = 0;

	r->nr = oom_children(r->scope.path, &r->children);
	if (r->nr < 0 || oom_order(&r->judge, r->children, r->nr, places, &r->order))
		return -1;
	oom_order_root(&r->judge, r->judge.policy, r->scope.path, r->scope.id, &r->order);
	r->shown = calloc(r->nr + 1, sizeof(*r->shown));
	out = calloc(r->nr + 1, sizeof(*out));
	if (!r->shown || !out) {
		oom_err("mem alloc failed");
		free(out);
		return -1;
	}
	show_places(r, rows, out, &nr_out);
	show_others(r, rows, out, nr_out);
	free(out);
	for (i = 0; i < r->nr; i++)
		r->nr_left += r->children[i].out != oom_gone;
	r->nr_left += !!r->order.root.id;
	r->nr_left -= r->nr_shown;
	return 0;
}

/* Where they come from, if the program goes by other ones, too. */
static const char *priority_title(const struct ranking *r)
{
	return r->judge.priorities < 0 ? "PRIORITY" : "memory.oom.priority";
}

/* Of the column of priorities, which are of any length; 0 if there are none. */
static int priority_width(const struct ranking *r)
{
	const int least = strlen(priority_title(r));
	int width = least > MIN_WIDTH ? least : MIN_WIDTH, i, n;
	bool any = false;

	for (i = 0; i < r->nr_shown; i++) {
		any |= r->shown[i]->priority.state != BPF_OOM_PRIORITY_UNSET;
		n = strlen(oom_priority_text(&r->shown[i]->priority));
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
	oom_printf("  %s%s%s\n", child->root_tasks ? oom_root_tasks : child->path,
		   child->out ? ": " : "", child->out ?: "");
}

static int place_of(const struct ranking *r, int i)
{
	return i < r->nr_places ? i + 1 : 0;
}

static void rank_plain(const struct ranking *r)
{
	const int width = priority_width(r);
	int i;

	oom_caveats_plain(r->judge.policy, r->scope.path, OOM_REHEARSE_CHILDREN);
	if (!r->nr_shown && !r->nr_left) {
		oom_printf("%s is a leaf: no cgroup below it has the memory controller\n",
			   r->scope.path);
		return;
	}
	oom_printf("children of %s, compared by ", r->scope.path);
	oom_judge_plain(&r->judge);
	oom_printf("\nRANK %*s %*s %*s", MIN_WIDTH, "USAGE kB", MIN_WIDTH, "SWAP kB",
		   MIN_WIDTH, "FREEABLE kB");
	if (width)
		oom_printf(" %*s", width, priority_title(r));
	oom_printf("  CGROUP\n");
	for (i = 0; i < r->nr_shown; i++)
		rank_line(r->shown[i], place_of(r, i), width);
	if (r->nr_left)
		oom_printf("%d more are not shown: 'all' shows them\n", r->nr_left);
	if (r->order.abstained[0])
		oom_printf("abstains between %s and %s: oom_badness() picks below %s\n",
			   r->order.abstained[0]->path, r->order.abstained[1]->path,
			   r->scope.path);
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
	for (i = 0; i < r->nr_shown; i++)
		rank_child_json(r->shown[i], place_of(r, i));
	jsonw_end_array(json_wtr);
	jsonw_int_field(json_wtr, "not_shown", r->nr_left);
	if (r->order.abstained[0]) {
		jsonw_name(json_wtr, "abstains_between");
		jsonw_start_array(json_wtr);
		for (i = 0; i < 2; i++)
			jsonw_string(json_wtr, r->order.abstained[i]->path);
		jsonw_end_array(json_wtr);
	}
	jsonw_end_object(json_wtr);
}

int oom_do_rank(int argc, char **argv)
{
	const struct oom_prog_arg *given;
	struct oom_view view = {};
	struct oom_prog_arg arg;
	struct ranking r = {};
	int err = -1;

	if (oom_parse_scope(argc, argv, &r.scope, &arg, &given, &view, OOM_OPT_VIEW))
		return -1;
	if (!oom_judge_for(&r.judge, r.scope.path, given, BPF_OOM_POLICY)) {
		err = rank(&r, oom_view_rows(&view, 1, OTHER_LINES));
		if (!err && json_output)
			rank_json(&r);
		else if (!err)
			rank_plain(&r);
		oom_judge_close(&r.judge);
	}
	free(r.shown);
	oom_order_free(&r.order);
	oom_children_free(r.children, r.nr);
	oom_cgroup_free(&r.scope);
	return err;
}
