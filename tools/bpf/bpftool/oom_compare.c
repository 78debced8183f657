// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "compare": what a policy says of two cgroups, or of those above them that are
 * siblings.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

/* The child of @parent at or above @path. */
static char *child_towards(const char *parent, const char *path)
{
	size_t len = strcmp(parent, "/") ? strlen(parent) + 1 : 1;

	return strndup(path, len + strcspn(path + len, "/"));
}

/* The deepest cgroup at or above both. */
static char *common_parent(const char *a, const char *b)
{
	size_t i, len = 0;

	for (i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			len = i;
	return strndup(a, len ?: 1);
}

struct pair {
	struct oom_cgroup asked[2];
	struct oom_child child[2];	/* the siblings */
	char *parent;
	struct oom_judge judge;
	int verdict;
	const struct oom_child *first;	/* to die, NULL: nobody says */
};

static bool are_siblings(const struct pair *pair)
{
	return pair->child[0].id == pair->asked[0].id && pair->child[1].id == pair->asked[1].id;
}

static int find_siblings(struct pair *pair)
{
	const char *a = pair->asked[0].path, *b = pair->asked[1].path;
	struct oom_cgroup cgroup;
	int i, err;

	if (!strcmp(a, b)) {
		oom_err("twice the same cgroup: %s", a);
		return -1;
	}
	if (oom_path_below(a, b) || oom_path_below(b, a)) {
		oom_err("%s is above %s: it is siblings that are compared",
			oom_path_below(a, b) ? b : a, oom_path_below(a, b) ? a : b);
		return -1;
	}
	pair->parent = common_parent(a, b);
	for (i = 0; i < 2; i++) {
		pair->child[i].path = child_towards(pair->parent, pair->asked[i].path);
		if (!pair->parent || !pair->child[i].path) {
			oom_err("mem alloc failed");
			return -1;
		}
		err = oom_cgroup_parse(pair->child[i].path, &cgroup);
		pair->child[i].id = cgroup.id;
		oom_cgroup_free(&cgroup);
		if (err)
			return -1;
		if (!oom_child_fill(&pair->child[i])) {
			oom_err("%s has no memory controller, so it is never a candidate",
				pair->child[i].path);
			return -1;
		}
	}
	return 0;
}

static void compare_row(const char *what, unsigned long long a, unsigned long long b,
			int width)
{
	oom_printf("  %-10s %*llu  %*llu\n", what, width, a, width, b);
}

static void compare_plain(const struct pair *pair)
{
	const struct oom_child *a = &pair->child[0], *b = &pair->child[1];
	int columns[2], width = 20, i;

	for (i = 0; i < 2; i++) {
		columns[i] = oom_width(pair->child[i].path);
		width = columns[i] > width ? columns[i] : width;
	}

	oom_caveats_plain(pair->judge.policy, pair->parent, OOM_REHEARSE_CHILDREN);
	if (!are_siblings(pair))
		oom_printf("%s and %s are no siblings: their paths part below %s\n",
			   pair->asked[0].path, pair->asked[1].path, pair->parent);
	oom_printf("children of %s, compared by ", pair->parent);
	oom_judge_plain(&pair->judge);
	oom_printf("\n  %-10s %*s%s  %*s%s\n", "", width - columns[0], "", a->path,
		   width - columns[1], "", b->path);
	if (a->priority.state || b->priority.state) {
		oom_printf("  %-10s %*s", "priority", width, oom_priority_text(&a->priority));
		oom_printf("  %*s\n", width, oom_priority_text(&b->priority));
	}
	compare_row("usage kB", a->usage / 1024, b->usage / 1024, width);
	compare_row("swap kB", a->swap / 1024, b->swap / 1024, width);
	for (i = 0; i < 2; i++)
		if (pair->child[i].out)
			oom_printf("%s takes no part now: %s\n", pair->child[i].path,
				   pair->child[i].out);

	oom_printf("verdict: %s", oom_verdict_name(pair->verdict));
	switch (pair->verdict) {
	case BPF_OOM_FIRST:
	case BPF_OOM_SECOND:
		oom_printf(", %s is the better victim", pair->first->path);
		break;
	case BPF_OOM_EQUAL:
		oom_printf(", no preference: the kernel takes %s",
			   a->usage != b->usage ? "the larger usage" :
			   a->swap != b->swap ? "the larger swap" : "the lower cgroup id");
		break;
	default:
		oom_printf(", oom_badness() picks below %s", pair->parent);
	}
	if (pair->first)
		oom_printf("\ndies first: %s\n", pair->first->path);
	else
		putchar('\n');
}

static void compare_json(const struct pair *pair)
{
	int i;

	jsonw_start_object(json_wtr);
	jsonw_string_field(json_wtr, "parent", pair->parent);
	oom_caveats_json(pair->judge.policy, pair->parent, OOM_REHEARSE_CHILDREN);
	oom_judge_json(&pair->judge);
	jsonw_bool_field(json_wtr, "siblings", are_siblings(pair));
	jsonw_name(json_wtr, "asked");
	jsonw_start_array(json_wtr);
	for (i = 0; i < 2; i++)
		jsonw_string(json_wtr, pair->asked[i].path);
	jsonw_end_array(json_wtr);
	jsonw_name(json_wtr, "candidates");
	jsonw_start_array(json_wtr);
	for (i = 0; i < 2; i++) {
		jsonw_start_object(json_wtr);
		oom_child_json(&pair->child[i]);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_string_field(json_wtr, "verdict", oom_verdict_name(pair->verdict));
	if (pair->first)
		jsonw_string_field(json_wtr, "dies_first", pair->first->path);
	else
		jsonw_null_field(json_wtr, "dies_first");
	jsonw_end_object(json_wtr);
}

int oom_do_compare(int argc, char **argv)
{
	const struct oom_prog_arg *given;
	struct oom_prog_arg arg;
	struct pair pair = {};
	int err = -1, i;

	if (argc < 2) {
		oom_err("compare wants two cgroups");
		return -1;
	}
	if (oom_parse_options(argc - 2, argv + 2, &arg, &given, NULL, OOM_OPT_PROG) ||
	    oom_cgroup_parse(argv[0], &pair.asked[0]) ||
	    oom_cgroup_parse(argv[1], &pair.asked[1]) || find_siblings(&pair) ||
	    oom_judge_for(&pair.judge, pair.parent, given, BPF_OOM_POLICY))
		goto out;

	pair.verdict = oom_run(&pair.judge, &pair.child[0], &pair.child[1]);
	if (pair.verdict >= 0) {
		pair.first = oom_dies_first(pair.verdict, &pair.child[0], &pair.child[1]);
		if (json_output)
			compare_json(&pair);
		else
			compare_plain(&pair);
		err = 0;
	}
	oom_judge_close(&pair.judge);
out:
	for (i = 0; i < 2; i++) {
		oom_cgroup_free(&pair.asked[i]);
		free(pair.child[i].path);
	}
	free(pair.parent);
	return err;
}
