// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "report": who would die, as one page of HTML that needs nothing else: for a ticket, or
 * for whoever was not there. The tree of cgroups with what they hold and what a kill
 * would give back, and the next victims in their order.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "main.h"
#include "oom.h"

#define NEXT_VICTIMS	10
#define MAX_ROWS	500	/* of the tree */
#define MAX_CHILDREN	40	/* of one cgroup */
#define MAX_DEPTH	16

struct report {
	struct oom_cgroup scope;
	struct oom_judge judge;
	struct oom_victim victims[NEXT_VICTIMS];
	int nr_victims;
	__u64 largest;		/* of what is in the tree, for the bars */
	int rows;
};

static void html(const char *text)
{
	__u32 point;
	int len;

	for (; *text; text += len) {
		len = oom_utf8(text, &point);
		if (!len || oom_is_control(point)) {
			len = len ?: 1;
			putchar('?');
		} else if (strchr("&<>\"'", *text)) {
			printf("&#%d;", *text);
		} else {
			fwrite(text, 1, len, stdout);
		}
	}
}

static void size_cell(__u64 bytes)
{
	printf("<td class=\"n\">%.1f MB</td>", bytes / 1048576.0);
}

/* Anonymous memory goes with its processes; a tmpfs may outlive them. */
static __u64 comes_back(const char *path)
{
	FILE *f = oom_cgroup_file(path, "memory.stat", "re");
	__u64 value, sum = 0;
	char key[64];

	if (!f)
		return 0;
	while (fscanf(f, "%63s %llu", key, &value) == 2)
		if (!strcmp(key, "anon") || !strcmp(key, "pagetables") ||
		    !strcmp(key, "kernel_stack"))
			sum += value;
	fclose(f);
	return sum;
}

/* Its place among the next victims, 0 if it is none of them. */
static int place_of(const struct report *r, __u64 id)
{
	int i;

	for (i = 0; i < r->nr_victims; i++)
		if (r->victims[i].id == id)
			return i + 1;
	return 0;
}

/* In ems. */
static double indent(int depth)
{
	return 0.6 + 1.4 * depth;
}

static void row(struct report *r, const struct oom_child *child, int depth)
{
	const int place = place_of(r, child->id);
	const char *name = strrchr(child->path, '/');
	const __u64 back = comes_back(child->path);
	const __u64 all = r->largest ?: 1;

	printf("<tr%s><td style=\"padding-left:%.1fem\">", place == 1 ? " class=\"first\"" :
	       place ? " class=\"next\"" : child->out ? " class=\"out\"" : "", indent(depth));
	html(depth && name ? name + 1 : child->path);
	if (place)
		printf(" <b class=\"place\">%d</b>", place);
	if (child->out) {
		printf(" <i>");
		html(child->out);
		printf("</i>");
	}
	printf("</td><td class=\"n\">");
	if (child->priority.state != BPF_OOM_PRIORITY_UNSET)
		html(oom_priority_text(&child->priority));
	printf("</td>");
	size_cell(child->usage);
	size_cell(child->swap);
	size_cell(back);
	printf("<td class=\"bar\"><div style=\"width:%.1f%%\">", 100.0 * child->usage / all);
	printf("<div style=\"width:%.1f%%\"></div></div></td></tr>\n",
	       100.0 * (back < child->usage ? back : child->usage) / (child->usage ?: 1));
	r->rows++;
}

static void more_row(int nr, int depth)
{
	printf("<tr class=\"out\"><td colspan=\"6\" style=\"padding-left:%.1fem\">", indent(depth));
	printf("and %d more</td></tr>\n", nr);
}

static int tree(struct report *r, const char *path, int depth)
{
	struct oom_child *children;
	struct oom_order order;
	struct oom_judge judge;
	int nr, i, shown = 0, err = 0;

	if (depth > MAX_DEPTH)
		return 0;
	nr = oom_children(path, &children);
	if (nr <= 0)
		return nr;
	if (oom_judge_below(&judge, &r->judge, &r->scope, path)) {
		oom_children_free(children, nr);
		return -1;
	}
	err = oom_order(&judge, children, nr, MAX_CHILDREN, &order);
	for (i = 0; !err && i < order.nr && shown < MAX_CHILDREN && r->rows < MAX_ROWS; i++) {
		oom_child_check(order.list[i]);
		row(r, order.list[i], depth);
		shown++;
		err = tree(r, order.list[i]->path, depth + 1);
	}
	for (i = 0; !err && i < nr && shown < MAX_CHILDREN && r->rows < MAX_ROWS; i++) {
		if (!oom_child_left_out(&children[i]))
			continue;
		oom_child_check(&children[i]);
		row(r, &children[i], depth);
		shown++;
		if (children[i].out == oom_never)
			err = tree(r, children[i].path, depth + 1);
	}
	if (!err && shown < nr)
		more_row(nr - shown, depth);
	if (!err)
		oom_order_free(&order);
	oom_judge_close(&judge);
	oom_children_free(children, nr);
	return err;
}

static const char style[] =
	"body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em;\n"
	"  padding: 0 1em; color: #1b1f24; background: #fff; }\n"
	"h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }\n"
	"table { border-collapse: collapse; width: 100%; }\n"
	"th { text-align: left; border-bottom: 2px solid #888; }\n"
	"td, th { padding: .2em .6em; }\n"
	"td { border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }\n"
	".n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }\n"
	".first { background: #fde0dd; } .next { background: #fff3e0; }\n"
	".out { color: #707070; }\n"
	".place { display: inline-block; min-width: 1.5em; text-align: center;\n"
	"  border-radius: 1em; background: #a40e26; color: #fff; font-size: .8em; }\n"
	".bar { width: 25%; } .bar > div { background: #9ec5e8; min-width: 1px; }\n"
	".bar > div > div { background: #1f6fb2; height: .9em; }\n"
	".warn { background: #fff3e0; border-left: 4px solid #d97706; padding: .4em .8em; }\n"
	"@media (prefers-color-scheme: dark) {\n"
	"  body { background: #15181c; color: #e3e6ea; } td { border-color: #333; }\n"
	"  .first { background: #571b1b; } .next, .warn { background: #4a3413; }\n"
	"  .out { color: #9a9a9a; }\n"
	"}\n";

static void page_top(const struct report *r)
{
	struct utsname host = {};
	const time_t now = time(NULL);
	char when[64] = "";
	struct tm tm;

	uname(&host);
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%F %T %z", &tm);
	printf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	       "<meta name=\"viewport\" content=\"width=device-width\">\n"
	       "<title>OOM: ");
	html(host.nodename);
	printf("</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
	printf("<h1>Who dies when memory runs out</h1>\n<p>");
	html(host.nodename);
	printf(", Linux ");
	html(host.release);
	printf(", %s. An OOM %s<b>", when, strcmp(r->scope.path, "/") ? "of " : "of the machine, ");
	html(r->scope.path);
	printf("</b>, by ");
	html(r->judge.name);
	printf(" (prog id %u), ", r->judge.id);
	if (r->judge.policy) {
		printf("attached to ");
		html(r->judge.policy->path);
	} else {
		printf("not attached");
	}
	printf(".</p>\n");
}

static void victim_table(const struct report *r)
{
	int i;

	printf("<h2>The next victims</h2>\n<table id=\"victims\">\n"
	       "<tr><th></th><th>cgroup</th>\n"
	       "<th class=\"n\">usage</th><th class=\"n\">comes back</th></tr>\n");
	for (i = 0; i < r->nr_victims; i++) {
		const struct oom_victim *victim = &r->victims[i];

		printf("<tr%s><td><b class=\"place\">%d</b></td><td>", i ? "" : " class=\"first\"",
		       i + 1);
		html(victim->path);
		if (victim->badness)
			printf(" <i>the policy abstains: oom_badness() picks below</i>");
		else if (victim->root_tasks)
			printf(" <i>processes that are in no cgroup below it</i>");
		printf("</td>");
		size_cell(oom_cgroup_number(victim->path, "memory.current"));
		size_cell(comes_back(victim->path));
		printf("</tr>\n");
	}
	printf("</table>\n");
}

static void caveats(const struct report *r)
{
	char *texts[OOM_NR_CAVEATS];
	int i;

	oom_find_caveats(r->judge.policy, r->scope.path, OOM_REHEARSE_EVENT, texts);
	for (i = 0; i < OOM_NR_CAVEATS; i++) {
		if (texts[i]) {
			printf("<p class=\"warn\">");
			html(texts[i]);
			printf("</p>\n");
		}
		free(texts[i]);
	}
}

/* The largest of all is at the top: a child of the scope, or the scope itself. */
static void find_largest(struct report *r)
{
	struct oom_child *children;
	__u64 usage;
	int i, nr;

	r->largest = oom_cgroup_number(r->scope.path, "memory.current");
	if (r->largest)
		return;
	nr = oom_children(r->scope.path, &children);
	for (i = 0; i < nr; i++) {
		usage = oom_cgroup_number(children[i].path, "memory.current");
		r->largest = usage > r->largest ? usage : r->largest;
	}
	oom_children_free(children, nr);
}

static int report(struct report *r)
{
	int err;

	r->nr_victims = oom_victims(&r->judge, &r->scope, r->victims, NEXT_VICTIMS);
	if (r->nr_victims < 0)
		return -1;
	find_largest(r);
	page_top(r);
	caveats(r);
	victim_table(r);
	printf("<h2>The tree</h2>\n<table id=\"tree\">\n"
	       "<tr><th>cgroup</th><th class=\"n\">priority</th>\n"
	       "<th class=\"n\">usage</th><th class=\"n\">swap</th>\n"
	       "<th class=\"n\">comes back</th><th></th></tr>\n");
	err = tree(r, r->scope.path, 0);
	printf("</table>\n<p>Siblings stand in the order in which they would die.\n"
	       "The order of victims holds if each gives back what it has and nobody else\n"
	       "grows. What comes back is anonymous memory, stacks and page tables; files in\n"
	       "a tmpfs may stay. A bar is the usage, and its dark part what comes back.</p>\n</body>\n</html>\n");
	oom_victims_free(r->victims, r->nr_victims);
	return err;
}

int oom_do_report(int argc, char **argv)
{
	const struct oom_prog_arg *given;
	struct oom_prog_arg arg;
	struct report r = {};
	int err = -1;

	if (json_output) {
		oom_err("report is a page of HTML: leave -j out, or take 'select' or 'diff'");
		return -1;
	}
	if (oom_parse_scope(argc, argv, &r.scope, &arg, &given, NULL, OOM_OPT_PROG))
		return -1;
	if (!oom_judge_for(&r.judge, r.scope.path, given, BPF_OOM_POLICY)) {
		err = report(&r);
		oom_judge_close(&r.judge);
	}
	oom_cgroup_free(&r.scope);
	return err;
}
