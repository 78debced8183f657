// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "select": a whole selection without the kill, drawn as a tree of cgroups with the
 * way to the victim in it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define OTHER_LINES	5	/* on a screen: what is said below the tree, the prompt */
#define MAX_STEPS	64	/* the kernel tells 33 at most */
#define STEPS_ROOM	16384	/* for as many that have grown */

struct selection {
	struct oom_cgroup scope;
	struct oom_view view;
	struct oom_judge judge;
	struct bpf_oom_step steps[MAX_STEPS];
	int nr_steps;
	bool truncated;		/* there are levels that the kernel does not tell */
	bool over_budget;	/* from some level on no program was asked */
	char *badness;		/* oom_badness() picked below it, NULL if it did not */
	struct bpf_oom_ctx victim;
	char *victim_path;
	char comm[32];
	char *dies_with;	/* the cgroup that dies as a whole, NULL if one process does */
	const char *why;	/* it does */
	const struct oom_policy *task_policy;	/* may have chosen the process */
	__u32 ns;
};

static void explain_select(const struct selection *s, int err)
{
	switch (err) {
	case ESRCH:
		oom_err("nobody below %s can be killed: the stock killer would decide",
			s->scope.path);
		break;
	case EBUSY:
		oom_err("a victim is still dying below %s: a real OOM would wait for it",
			s->scope.path);
		break;
	default:
		oom_explain_test_run(&s->judge, err, s->scope.path);
	}
}

static void take_steps(struct selection *s, const void *data)
{
	const struct bpf_oom_steps *head = data;

	s->nr_steps = oom_steps_take(data, s->steps, MAX_STEPS);
	s->truncated = head->flags & BPF_OOM_STEPS_TRUNCATED;
	s->over_budget = head->flags & BPF_OOM_STEPS_OVER_BUDGET;
}

static int rehearse(struct selection *s)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	__u64 data[STEPS_ROOM / sizeof(__u64)] = {};
	const struct bpf_oom_priority *supposed;
	int err;

	opts.data_size_in = oom_priority_supposed(&supposed);
	opts.data_in = supposed;
	opts.ctx_out = &s->victim;
	opts.ctx_size_out = sizeof(s->victim);
	opts.data_out = data;
	opts.data_size_out = sizeof(data);
	err = oom_rehearse_select(&s->judge, s->scope.id, &opts);
	if (err) {
		explain_select(s, -err);
		return -1;
	}
	s->ns = opts.duration;
	take_steps(s, data);
	if (s->nr_steps && !s->steps[s->nr_steps - 1].winner_id)
		s->badness = oom_cgroup_name(s->steps[--s->nr_steps].parent_id);
	s->victim_path = oom_cgroup_name(s->victim.cgroup_id_1);
	return 0;
}

/* What the name is made of is up to the process: it can have newlines. */
static void read_comm(struct selection *s)
{
	size_t len = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/comm", s->victim.pid_1);
	f = fopen(path, "re");
	if (f) {
		len = fread(s->comm, 1, sizeof(s->comm) - 1, f);
		fclose(f);
	}
	if (len)
		s->comm[len - 1] = '\0';
	else
		snprintf(s->comm, sizeof(s->comm), "?");
	if (!json_output)
		oom_mask_name(s->comm);
}

static void find_group(struct selection *s)
{
	s->dies_with = oom_cgroup_group(s->victim_path, s->scope.path);
	s->why = "memory.oom.group";
}

/* A program that was named and compared no cgroups is one for processes. */
static bool stands_in(const struct selection *s)
{
	int i;

	for (i = 0; i < s->nr_steps; i++)
		if (s->steps[i].prog_id == s->judge.id)
			return false;
	return true;
}

/* What the policies on the way to the leaf say of its processes. */
static void look_at_leaf(struct selection *s)
{
	const struct bpf_oom_step *last = s->nr_steps ? &s->steps[s->nr_steps - 1] : NULL;
	const struct oom_policy *ruling;
	char *leaf, *parent;

	if (s->badness)
		return;
	leaf = oom_cgroup_path(last ? last->winner_id : s->scope.id);
	parent = oom_cgroup_path(last ? last->parent_id : s->scope.id);
	if (leaf && (s->judge.policy || !stands_in(s)))
		s->task_policy = oom_policy_asked(leaf, BPF_OOM_POLICY_TASK, s->scope.path);
	ruling = parent ? oom_policy_asked(parent, BPF_OOM_POLICY, s->scope.path) : NULL;
	if (!s->dies_with && leaf && ruling &&
	    ruling->info.oom_policy.flags & BPF_F_OOM_POLICY_KILL_ALL &&
	    (!last || ruling->info.prog_id == last->prog_id)) {
		s->dies_with = strdup(leaf);
		s->why = "flag kill_all";
	}
	free(parent);
	free(leaf);
}

enum style { STYLE_PATH, STYLE_VICTIM, STYLE_LOSER };

static const char * const colours[] = {
	[STYLE_PATH]	= "\033[1m",
	[STYLE_VICTIM]	= "\033[1;31m",
	[STYLE_LOSER]	= "\033[2m",
};

struct line {
	char *tree;
	char *values;
	char *note;
	enum style kind;
};

struct drawing {
	struct line *lines;
	int nr;
	bool failed;
};

static __printf(1, 2) char *text(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

/* Takes the texts over; no values, no note: NULL. */
static void draw_line(struct drawing *d, enum style kind, char *tree, char *values,
		      char *note)
{
	struct line *more = realloc(d->lines, (d->nr + 1) * sizeof(*d->lines));

	if (!more || !tree) {
		d->failed = true;
		free(tree);
		free(values);
		free(note);
		return;
	}
	d->lines = more;
	d->lines[d->nr++] = (struct line) {
		.tree = tree, .values = values, .note = note, .kind = kind,
	};
}

static void print_drawing(const struct drawing *d)
{
	const bool colour = oom_colours();
	int i, columns, width = 0;

	for (i = 0; i < d->nr; i++) {
		columns = oom_width(d->lines[i].tree);
		width = columns > width ? columns : width;
	}
	for (i = 0; i < d->nr; i++) {
		const struct line *line = &d->lines[i];

		/* Our own escapes are not for oom_printf(), which lets none through. */
		if (colour)
			fputs(colours[line->kind], stdout);
		oom_printf("%s", line->tree);
		if (line->values) {
			oom_pad(width - oom_width(line->tree));
			oom_printf("%s", line->values);
		}
		if (line->note)
			oom_printf("  %s", line->note);
		puts(colour ? "\033[0m" : "");
	}
}

static void free_drawing(struct drawing *d)
{
	while (d->nr--) {
		free(d->lines[d->nr].tree);
		free(d->lines[d->nr].values);
		free(d->lines[d->nr].note);
	}
	free(d->lines);
}

/* Where most of it would stay behind, what would not. */
static char *child_values(const struct oom_child *child)
{
	char some[64] = "";

	if (child->freeable < (child->usage + child->swap) / 2)
		snprintf(some, sizeof(some), "  freeable %llu kB", child->freeable / 1024);
	if (child->priority.state == BPF_OOM_PRIORITY_UNSET)
		return text("%12llu kB%s", child->usage / 1024, some);
	return text("%12llu kB%s  priority %s", child->usage / 1024, some,
		    oom_priority_text(&child->priority));
}

/* Who judged among the children of @path, if that is where step @i is. */
static char *step_note(const struct selection *s, int i, const char *path)
{
	const struct bpf_oom_step *step = &s->steps[i];
	struct oom_judge judge;
	char *parent, *note = NULL;

	if (s->badness && !strcmp(path, s->badness) && i == s->nr_steps)
		return text("no policy chose below: oom_badness() did");
	if (i == s->nr_steps)
		return NULL;
	parent = oom_cgroup_path(step->parent_id);
	if (parent && !strcmp(parent, path) && !oom_judge_open(&judge, step->prog_id)) {
		note = text("%u eligible, %u compared by %s (prog id %u)", step->eligible,
			    step->compared, judge.name, judge.id);
		oom_judge_close(&judge);
	}
	free(parent);
	return note;
}

static void draw_below(struct drawing *d, const struct selection *s, int i, const char *at,
		       const char *prefix);

/* Where the path goes on without a policy having chosen the way. */
static void draw_gap(struct drawing *d, const struct selection *s, int i, const char *at,
		     const char *to, const char *prefix)
{
	char *deeper = text("%s    ", prefix);
	const size_t skip = strcmp(at, "/") ? strlen(at) + 1 : 1;

	draw_line(d, i == s->nr_steps ? STYLE_VICTIM : STYLE_PATH,
		  text("%s`-> %s", prefix, strlen(to) > skip ? to + skip : to), NULL,
		  i == s->nr_steps ? NULL : step_note(s, i, to));
	if (deeper && i < s->nr_steps)
		draw_below(d, s, i, to, deeper);
	free(deeper);
}

static void draw_child(struct drawing *d, const struct selection *s, int i,
		       const struct oom_child *child, bool last, const char *prefix)
{
	const struct bpf_oom_step *step = &s->steps[i];
	const bool chosen = child->id == step->winner_id;
	const char *name = strrchr(child->path, '/') + 1;
	char *deeper, *note;

	if (chosen && i + 1 == s->nr_steps && !s->badness)
		note = text("victim");
	else if (chosen)
		note = step_note(s, i + 1, child->path);
	else if (child->id == step->runner_id)
		note = text("runner-up");
	else
		note = child->out ? strdup(child->out) : NULL;

	draw_line(d, !chosen ? STYLE_LOSER : i + 1 == s->nr_steps ? STYLE_VICTIM : STYLE_PATH,
		  text("%s%c-%c %s", prefix, last ? '`' : '|', chosen ? '>' : '-',
		       *name ? name : oom_root_tasks),
		  child_values(child), note);
	if (!chosen)
		return;
	deeper = text("%s%c   ", prefix, last ? ' ' : '|');
	if (deeper)
		draw_below(d, s, i + 1, child->path, deeper);
	free(deeper);
}

/*
 * Of all children those that are shown, filled in: the winner, the runner-up, and the
 * first ones. Returns how many; @left: how many are not.
 */
static int keep_shown(const struct selection *s, const struct bpf_oom_step *step,
		      struct oom_child *children, int nr, int *left)
{
	const int rows = oom_view_rows(&s->view, s->nr_steps, OTHER_LINES + s->nr_steps);
	int n, kept = 0, others = 0;
	bool matters, shown;

	*left = 0;
	for (n = 0; n < nr; n++) {
		matters = children[n].id == step->winner_id || children[n].id == step->runner_id;
		shown = matters || others + 2 < rows;
		/* One that cannot be filled in has gone, or has no memory controller. */
		if (!shown || !oom_child_fill(&children[n])) {
			*left += !shown;
			free(children[n].path);
			continue;
		}
		others += !matters;
		children[kept++] = children[n];
	}
	return kept;
}

/* What is below @at: the children among whom step @i has chosen. */
static void draw_below(struct drawing *d, const struct selection *s, int i, const char *at,
		       const char *prefix)
{
	const struct bpf_oom_step *step = &s->steps[i];
	struct oom_child *children, self = {};
	int nr, n, left;
	char *parent;

	if (i == s->nr_steps) {
		if (strcmp(s->victim_path, at))
			draw_gap(d, s, i, at, s->victim_path, prefix);
		return;
	}

	parent = oom_cgroup_name(step->parent_id);
	if (!parent || strcmp(parent, at)) {
		if (parent)
			draw_gap(d, s, i, at, parent, prefix);
		free(parent);
		return;
	}
	nr = oom_children(parent, &children);
	if (nr < 0) {
		d->failed = true;
		free(parent);
		return;
	}
	nr = keep_shown(s, step, children, nr, &left);
	if (step->winner_id == step->parent_id || step->runner_id == step->parent_id) {
		self.id = step->parent_id;
		self.path = parent;
		self.usage = step->winner_id == self.id ? step->winner_usage :
			     step->runner_usage;
		self.freeable = self.usage;
		draw_child(d, s, i, &self, !nr && !left, prefix);
	}
	for (n = 0; n < nr; n++)
		draw_child(d, s, i, &children[n], n == nr - 1 && !left, prefix);
	if (left)
		draw_line(d, STYLE_LOSER, text("%s`-- and %d more: 'all' shows them", prefix, left),
			  NULL, NULL);
	oom_children_free(children, nr);
	free(parent);
}

static int select_plain(const struct selection *s)
{
	struct drawing d = {};
	int err = -1;

	draw_line(&d, STYLE_PATH, text("%s", s->scope.path), NULL,
		  step_note(s, 0, s->scope.path));
	draw_below(&d, s, 0, s->scope.path, "");
	if (d.failed) {
		oom_err("the cgroups have changed while they were drawn: try again");
		goto out;
	}
	oom_caveats_plain(s->judge.policy, s->scope.path, OOM_REHEARSE_EVENT);
	print_drawing(&d);
	if (s->truncated)
		oom_printf("more levels follow, which the kernel does not tell\n");
	if (s->over_budget)
		oom_printf("over the budget: from there on the larger one was taken\n");
	oom_printf("victim: process %u (%s) of %s, oom_score_adj %d\n", s->victim.pid_1, s->comm,
		   s->victim_path, s->victim.oom_score_adj_1);
	if (s->dies_with)
		oom_printf("with it: every process of %s (%s)\n", s->dies_with, s->why);
	if (s->task_policy)
		oom_printf("among the processes there rules link id %u, attached to %s\n",
			   s->task_policy->info.id, s->task_policy->path);
	oom_printf("rehearsed in %u us by ", s->ns / 1000);
	oom_judge_plain(&s->judge);
	oom_printf("; nobody was killed\n");
	err = 0;
out:
	free_drawing(&d);
	return err;
}

static const char *child_state(const struct bpf_oom_step *step, const struct oom_child *child)
{
	if (child->id == step->winner_id)
		return "chosen";
	if (child->id == step->runner_id)
		return "runner_up";
	return child->out ? "ineligible" : "lost";
}

static void step_json(const struct selection *s, const struct bpf_oom_step *step)
{
	char *winner = oom_cgroup_path(step->winner_id), *runner, *parent;
	struct oom_child *children = NULL;
	struct oom_judge judge;
	int nr = 0, left = 0, i;

	runner = oom_cgroup_path(step->runner_id);
	parent = oom_cgroup_path(step->parent_id);
	if (oom_judge_open(&judge, step->prog_id))
		judge.name[0] = '\0';
	else if (parent)
		nr = oom_children(parent, &children);
	nr = keep_shown(s, step, children, nr, &left);

	jsonw_start_object(json_wtr);
	jsonw_uint_field(json_wtr, "level", step->level);
	oom_json_cgroup(json_wtr, "parent", step->parent_id, parent);
	jsonw_string_field(json_wtr, "prog_name", judge.name);
	jsonw_uint_field(json_wtr, "prog_id", step->prog_id);
	jsonw_uint_field(json_wtr, "eligible", step->eligible);
	jsonw_uint_field(json_wtr, "compared", step->compared);
	oom_json_cgroup(json_wtr, "winner", step->winner_id, winner);
	jsonw_lluint_field(json_wtr, "winner_usage", step->winner_usage);
	oom_json_cgroup(json_wtr, "runner", step->runner_id, runner);
	jsonw_lluint_field(json_wtr, "runner_usage", step->runner_usage);
	jsonw_name(json_wtr, "children");
	jsonw_start_array(json_wtr);
	for (i = 0; i < nr; i++) {
		jsonw_start_object(json_wtr);
		oom_child_json(&children[i]);
		jsonw_string_field(json_wtr, "state", child_state(step, &children[i]));
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_int_field(json_wtr, "not_shown", left);
	jsonw_end_object(json_wtr);

	oom_children_free(children, nr);
	oom_judge_close(&judge);
	free(winner);
	free(runner);
	free(parent);
}

static void select_json(const struct selection *s)
{
	int i;

	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "scope", s->scope.id, s->scope.path);
	oom_caveats_json(s->judge.policy, s->scope.path, OOM_REHEARSE_EVENT);
	oom_judge_json(&s->judge);
	jsonw_name(json_wtr, "levels");
	jsonw_start_array(json_wtr);
	for (i = 0; i < s->nr_steps; i++)
		step_json(s, &s->steps[i]);
	jsonw_end_array(json_wtr);
	jsonw_bool_field(json_wtr, "levels_truncated", s->truncated);
	jsonw_bool_field(json_wtr, "over_budget", s->over_budget);
	if (s->badness)
		jsonw_string_field(json_wtr, "badness_below", s->badness);
	else
		jsonw_null_field(json_wtr, "badness_below");
	jsonw_name(json_wtr, "victim");
	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "cgroup", s->victim.cgroup_id_1, s->victim_path);
	jsonw_uint_field(json_wtr, "pid", s->victim.pid_1);
	jsonw_string_field(json_wtr, "comm", s->comm);
	jsonw_int_field(json_wtr, "oom_score_adj", s->victim.oom_score_adj_1);
	jsonw_lluint_field(json_wtr, "usage", s->victim.usage_1);
	jsonw_lluint_field(json_wtr, "swap", s->victim.swap_1);
	if (s->dies_with)
		jsonw_string_field(json_wtr, "dies_with", s->dies_with);
	else
		jsonw_null_field(json_wtr, "dies_with");
	jsonw_end_object(json_wtr);
	if (s->task_policy)
		jsonw_uint_field(json_wtr, "task_link_id", s->task_policy->info.id);
	else
		jsonw_null_field(json_wtr, "task_link_id");
	jsonw_uint_field(json_wtr, "duration_ns", s->ns);
	jsonw_end_object(json_wtr);
}

int oom_do_select(int argc, char **argv)
{
	const struct oom_prog_arg *given;
	struct selection *s;
	struct oom_prog_arg arg;
	int err = -1;

	s = calloc(1, sizeof(*s));
	if (!s) {
		oom_err("mem alloc failed");
		return -1;
	}
	if (oom_parse_scope(argc, argv, &s->scope, &arg, &given, &s->view, OOM_OPT_VIEW) ||
	    oom_judge_for(&s->judge, s->scope.path, given, OOM_ANY_TYPE))
		goto out;

	err = rehearse(s);
	if (!err && !s->victim_path) {
		oom_err("mem alloc failed");
		err = -1;
	}
	if (!err) {
		read_comm(s);
		find_group(s);
		look_at_leaf(s);
		if (json_output)
			select_json(s);
		else
			err = select_plain(s);
	}
	oom_judge_close(&s->judge);
out:
	oom_cgroup_free(&s->scope);
	free(s->badness);
	free(s->victim_path);
	free(s->dies_with);
	free(s);
	return err;
}
