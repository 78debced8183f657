// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "diff": the next victims by one policy beside those by another, over the live tree, or
 * by the priorities that there are and by others.
 */
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define DEFAULT_TOP	10
#define MAX_TOP		10000
#define MIN_WIDTH	20	/* of a column of paths */

struct side {
	struct oom_judge judge;
	struct oom_victim *victims;
	int nr;
};

struct diff {
	struct oom_cgroup scope;
	struct oom_prog_arg args[2];
	int nr_args;
	bool with;		/* priorities are supposed, on the second side */
	__u32 top;
	struct side side[2];
};

static int parse_diff(int argc, char **argv, struct diff *d)
{
	const char *path = "/";

	if (argc && strcmp(*argv, "prog") && strcmp(*argv, "top") && strcmp(*argv, "with"))
		path = GET_ARG();
	while (argc) {
		if (!strcmp(*argv, "prog") && d->nr_args < 2) {
			argc--;
			argv++;
			if (oom_prog_parse(&argc, &argv, &d->args[d->nr_args++]))
				return -1;
		} else if (!strcmp(*argv, "with")) {
			if (oom_parse_with(&argc, &argv))
				return -1;
			d->with = true;
		} else if (!strcmp(*argv, "top") && argc > 1) {
			if (oom_parse_u32(&argc, &argv, &d->top, "number of victims"))
				return -1;
			if (!d->top || d->top > MAX_TOP) {
				oom_err("a number of victims is from 1 to %d", MAX_TOP);
				return -1;
			}
		} else {
			oom_err("what is '%s'? the options here are with, prog, once or twice, and top",
				*argv);
			return -1;
		}
	}
	if (!d->nr_args && !d->with) {
		oom_err("diff wants something to compare with: 'prog PROG', once or twice, or 'with CGROUP=PRIORITY'");
		return -1;
	}
	d->top = d->top ?: DEFAULT_TOP;
	return oom_cgroup_parse(path, &d->scope);
}

/* The first side is what rules, unless two are named. */
static int look(struct diff *d, int n)
{
	const struct oom_prog_arg *arg = NULL;
	struct side *side = &d->side[n];

	if (d->nr_args && (n || d->nr_args == 2))
		arg = &d->args[n && d->nr_args == 2];
	oom_priority_suspend(!n);

	side->victims = calloc(d->top, sizeof(*side->victims));
	if (!side->victims) {
		oom_err("mem alloc failed");
		return -1;
	}
	if (oom_judge_for(&side->judge, d->scope.path, arg, BPF_OOM_POLICY))
		return -1;
	side->nr = oom_victims(&side->judge, &d->scope, side->victims, d->top);
	return side->nr < 0 ? -1 : 0;
}

static const struct oom_victim *victim_at(const struct side *side, int i)
{
	return i < side->nr ? &side->victims[i] : NULL;
}

static bool same_at(const struct diff *d, int i)
{
	const struct oom_victim *a = victim_at(&d->side[0], i), *b = victim_at(&d->side[1], i);

	return a && b && a->id == b->id && a->badness == b->badness &&
	       a->root_tasks == b->root_tasks;
}

static int count_rows(const struct diff *d)
{
	return d->side[0].nr > d->side[1].nr ? d->side[0].nr : d->side[1].nr;
}

static int count_differences(const struct diff *d)
{
	int i, nr = 0;

	for (i = 0; i < count_rows(d); i++)
		nr += !same_at(d, i);
	return nr;
}

/* In how many columns; the first one is padded. */
static void print_victim(const struct oom_victim *victim, int width)
{
	const char *path = victim ? victim->path : "-";
	const char *note = oom_victim_note(victim);

	oom_printf("%s%s", path, note);
	if (width)
		oom_pad(width - oom_width(path) - strlen(note));
}

static void diff_plain(const struct diff *d)
{
	const struct oom_judge *a = &d->side[0].judge, *b = &d->side[1].judge;
	int i, n, width = MIN_WIDTH;

	for (i = 0; i < d->side[0].nr; i++) {
		n = oom_width(d->side[0].victims[i].path) +
		    strlen(oom_victim_note(&d->side[0].victims[i]));
		width = n > width ? n : width;
	}
	n = snprintf(NULL, 0, "%s (prog id %u)", a->name, a->id);
	width = n > width ? n : width;

	oom_caveats_plain(a->policy, d->scope.path, OOM_REHEARSE_EVENT);
	oom_printf("        %s (prog id %u)", a->name, a->id);
	oom_pad(width - n);
	oom_printf("  %s (prog id %u)\n", b->name, b->id);
	for (i = 0; i < count_rows(d); i++) {
		oom_printf("%c %4d  ", same_at(d, i) ? ' ' : '*', i + 1);
		print_victim(victim_at(&d->side[0], i), width);
		oom_printf("  ");
		print_victim(victim_at(&d->side[1], i), 0);
		oom_printf("\n");
	}
	oom_printf("of the next %d victims of %s %d differ\n", count_rows(d), d->scope.path,
		   count_differences(d));
}

static void victim_json(const struct oom_victim *victim)
{
	if (!victim) {
		jsonw_null(json_wtr);
		return;
	}
	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "cgroup", victim->id, victim->path);
	jsonw_bool_field(json_wtr, "badness", victim->badness);
	jsonw_bool_field(json_wtr, "root_tasks", victim->root_tasks);
	jsonw_end_object(json_wtr);
}

static void diff_json(const struct diff *d)
{
	int i, n;

	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "scope", d->scope.id, d->scope.path);
	oom_caveats_json(d->side[0].judge.policy, d->scope.path, OOM_REHEARSE_EVENT);
	jsonw_name(json_wtr, "policies");
	jsonw_start_array(json_wtr);
	for (n = 0; n < 2; n++) {
		jsonw_start_object(json_wtr);
		oom_judge_json(&d->side[n].judge);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_name(json_wtr, "victims");
	jsonw_start_array(json_wtr);
	for (i = 0; i < count_rows(d); i++) {
		jsonw_start_object(json_wtr);
		jsonw_int_field(json_wtr, "place", i + 1);
		jsonw_bool_field(json_wtr, "same", same_at(d, i));
		jsonw_name(json_wtr, "by");
		jsonw_start_array(json_wtr);
		for (n = 0; n < 2; n++)
			victim_json(victim_at(&d->side[n], i));
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_int_field(json_wtr, "differences", count_differences(d));
	jsonw_end_object(json_wtr);
}

int oom_do_diff(int argc, char **argv)
{
	struct diff d = {
		.side = {
			{ .judge = { .fd = -1, .priorities = -1 } },
			{ .judge = { .fd = -1, .priorities = -1 } },
		},
	};
	int err, n;

	err = parse_diff(argc, argv, &d) || look(&d, 0) || look(&d, 1) ? -1 : 0;
	if (!err && json_output)
		diff_json(&d);
	else if (!err)
		diff_plain(&d);
	if (!err && count_differences(&d))
		err = -1;
	for (n = 0; n < 2; n++) {
		oom_judge_close(&d.side[n].judge);
		oom_victims_free(d.side[n].victims, d.side[n].nr);
		free(d.side[n].victims);
	}
	oom_cgroup_free(&d.scope);
	return err;
}
