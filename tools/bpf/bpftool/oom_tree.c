// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Rehearsals of OOM policies on the live tree of cgroups: one comparison, an
 * order of siblings, a whole selection, a search for contradictions. The kernel
 * runs the program by BPF_PROG_TEST_RUN; nobody is killed, nothing is counted.
 *
 * A command first finds out everything and then prints, so that an error is all
 * that comes out if there is one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define MAX_STEPS	64	/* the kernel tells 33 at most */

/* How often a contradiction must show again: usage changes from call to call. */
#define CONFIRMATIONS	3

static const char * const verdict_names[] = {
	[BPF_OOM_EQUAL]		= "equal",
	[BPF_OOM_FIRST]		= "first",
	[BPF_OOM_SECOND]	= "second",
	[BPF_OOM_ABSTAIN]	= "abstain",
};

static const char *verdict_name(int verdict)
{
	return verdict < (int)ARRAY_SIZE(verdict_names) ? verdict_names[verdict] : "?";
}

/*
 * The program that rules in @path, or the one that was named. That one, if it is
 * loaded here, goes by the priorities of the ruling one.
 */
static int open_judge(struct oom_judge *judge, const char *path,
		      const struct oom_prog_arg *arg, __u32 attach_type)
{
	const struct oom_policy *list, *ruling;
	struct oom_judge old = { .fd = -1, .priorities = -1 };
	int err;

	if (!arg)
		return oom_judge_ruling(judge, path, attach_type);
	if (oom_policies(&list) < 0)
		return -1;
	ruling = oom_policy_ruling(path, BPF_OOM_POLICY);
	if (ruling && oom_judge_open(&old, ruling->info.prog_id))
		return -1;
	err = oom_judge_init(judge, oom_prog_open(arg, attach_type, old.priorities));
	if (!err && ruling && judge->id == ruling->info.prog_id)
		judge->policy = ruling;
	oom_judge_close(&old);
	return err;
}

/* [prog PROG] at the end of a command line. */
static int parse_prog(int argc, char **argv, struct oom_prog_arg *arg,
		      const struct oom_prog_arg **given)
{
	*given = NULL;
	if (!argc)
		return 0;
	if (strcmp(*argv, "prog")) {
		p_err("what is '%s'? the one option here is prog", *argv);
		return -1;
	}
	argc--;
	argv++;
	if (oom_prog_parse(&argc, &argv, arg))
		return -1;
	*given = arg;
	return argc ? BAD_ARG() : 0;
}

static int parse_scope(int argc, char **argv, struct oom_cgroup *scope,
		       struct oom_prog_arg *arg, const struct oom_prog_arg **given)
{
	const char *path = "/";

	if (argc && strcmp(*argv, "prog"))
		path = GET_ARG();
	if (parse_prog(argc, argv, arg, given))
		return -1;
	return oom_cgroup_parse(path, scope);
}

static void explain_test_run(const struct oom_judge *judge, int err, const char *path)
{
	switch (err) {
	case EPERM:
		p_err("no permission to run %s: it takes CAP_SYS_ADMIN", judge->name);
		break;
	case ENOENT:
		p_err("%s has been removed meanwhile", path);
		break;
	case EOPNOTSUPP:
		p_err("%s has no memory controller", path);
		break;
	default:
		p_err("cannot rehearse %s (prog id %u): %s", judge->name, judge->id,
		      strerror(err));
	}
}

/* All that is compared here has a memory controller. */
static void explain_compare(const struct oom_judge *judge, int err, const char *a,
			    const char *b)
{
	if (err == EOPNOTSUPP)
		p_err("%s (prog id %u) compares processes, not cgroups", judge->name, judge->id);
	else if (err == ENOENT || err == EXDEV)
		p_err("%s or %s has been removed meanwhile", a, b);
	else
		explain_test_run(judge, err, a);
}

/* The verdict, or -errno without a word; notes what the program has seen. */
static int ask(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_oom_ctx ctx = { .cgroup_id_1 = a->id, .cgroup_id_2 = b->id };
	struct bpf_oom_ctx seen = {};
	int err;

	opts.ctx_in = &ctx;
	opts.ctx_size_in = sizeof(ctx);
	opts.ctx_out = &seen;
	opts.ctx_size_out = sizeof(seen);
	err = bpf_prog_test_run_opts(judge->fd, &opts);
	if (err)
		return err;
	a->usage = seen.usage_1;
	a->swap = seen.swap_1;
	b->usage = seen.usage_2;
	b->swap = seen.swap_2;
	return opts.retval;
}

static int told(const struct oom_judge *judge, int verdict, const struct oom_child *a,
		const struct oom_child *b)
{
	if (verdict >= 0)
		return verdict;
	explain_compare(judge, -verdict, a->path, b->path);
	return -1;
}

static int run(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b)
{
	return told(judge, ask(judge, a, b), a, b);
}

/* The same for one pair of many: ABSTAIN, which contradicts nobody, if one is gone. */
static int run_if_there(const struct oom_judge *judge, struct oom_child *a,
			struct oom_child *b)
{
	int verdict = ask(judge, a, b);

	if (verdict == -ENOENT || verdict == -EXDEV)
		return BPF_OOM_ABSTAIN;
	return told(judge, verdict, a, b);
}

/* The kernel's own rule for equals. */
static bool tie_goes_first(const struct oom_child *a, const struct oom_child *b)
{
	if (a->usage != b->usage)
		return a->usage > b->usage;
	if (a->swap != b->swap)
		return a->swap > b->swap;
	return a->id < b->id;
}

/* Who dies first of two; NULL if the program leaves it to oom_badness(). */
static struct oom_child *dies_first(int verdict, struct oom_child *a, struct oom_child *b)
{
	switch (verdict) {
	case BPF_OOM_FIRST:
		return a;
	case BPF_OOM_SECOND:
		return b;
	case BPF_OOM_EQUAL:
		return tie_goes_first(a, b) ? a : b;
	default:
		return NULL;
	}
}

static void judge_json(const struct oom_judge *judge)
{
	jsonw_string_field(json_wtr, "prog_name", judge->name);
	jsonw_uint_field(json_wtr, "prog_id", judge->id);
	if (judge->policy)
		jsonw_string_field(json_wtr, "attached_to", judge->policy->path);
	else
		jsonw_null_field(json_wtr, "attached_to");
}

static void judge_plain(const struct oom_judge *judge)
{
	oom_printf("%s (prog id %u)", judge->name, judge->id);
	if (judge->policy)
		oom_printf(", attached to %s", judge->policy->path);
	else
		oom_printf(", not attached");
}

static void child_json(const struct oom_judge *judge, const struct oom_child *child)
{
	__s64 priority;
	bool set;

	oom_json_cgroup(json_wtr, "cgroup", child->id, child->path);
	jsonw_lluint_field(json_wtr, "usage", child->usage);
	jsonw_lluint_field(json_wtr, "swap", child->swap);
	if (judge->priorities >= 0) {
		set = oom_priority_get(judge, child->id, &priority);
		jsonw_int_field(json_wtr, "priority", priority);
		jsonw_bool_field(json_wtr, "priority_set", set);
	}
	jsonw_bool_field(json_wtr, "eligible", !child->out);
	if (child->out)
		jsonw_string_field(json_wtr, "reason", child->out);
}

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
		p_err("twice the same cgroup: %s", a);
		return -1;
	}
	if (oom_path_below(a, b) || oom_path_below(b, a)) {
		p_err("%s is above %s: it is siblings that are compared",
		      oom_path_below(a, b) ? b : a, oom_path_below(a, b) ? a : b);
		return -1;
	}
	pair->parent = common_parent(a, b);
	for (i = 0; i < 2; i++) {
		pair->child[i].path = child_towards(pair->parent, pair->asked[i].path);
		if (!pair->parent || !pair->child[i].path) {
			p_err("mem alloc failed");
			return -1;
		}
		err = oom_cgroup_parse(pair->child[i].path, &cgroup);
		pair->child[i].id = cgroup.id;
		oom_cgroup_free(&cgroup);
		if (err)
			return -1;
		if (!oom_child_fill(&pair->child[i])) {
			p_err("%s has no memory controller, so it is never a candidate",
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
	int width = 20, i;
	__s64 prio[2];

	for (i = 0; i < 2; i++) {
		oom_priority_get(&pair->judge, pair->child[i].id, &prio[i]);
		if ((int)strlen(pair->child[i].path) > width)
			width = strlen(pair->child[i].path);
	}

	if (!are_siblings(pair))
		oom_printf("%s and %s are no siblings: their paths part below %s\n",
			   pair->asked[0].path, pair->asked[1].path, pair->parent);
	oom_printf("children of %s, compared by ", pair->parent);
	judge_plain(&pair->judge);
	oom_printf("\n  %-10s %*s  %*s\n", "", width, a->path, width, b->path);
	if (pair->judge.priorities >= 0)
		oom_printf("  %-10s %*lld  %*lld\n", "priority", width, prio[0], width, prio[1]);
	compare_row("usage kB", a->usage / 1024, b->usage / 1024, width);
	compare_row("swap kB", a->swap / 1024, b->swap / 1024, width);
	for (i = 0; i < 2; i++)
		if (pair->child[i].out)
			oom_printf("%s takes no part now: %s\n", pair->child[i].path,
				   pair->child[i].out);

	oom_printf("verdict: %s", verdict_name(pair->verdict));
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
	judge_json(&pair->judge);
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
		child_json(&pair->judge, &pair->child[i]);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_string_field(json_wtr, "verdict", verdict_name(pair->verdict));
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
		p_err("compare wants two cgroups");
		return -1;
	}
	if (parse_prog(argc - 2, argv + 2, &arg, &given) ||
	    oom_cgroup_parse(argv[0], &pair.asked[0]) ||
	    oom_cgroup_parse(argv[1], &pair.asked[1]) || find_siblings(&pair) ||
	    open_judge(&pair.judge, pair.parent, given, BPF_OOM_POLICY))
		goto out;

	pair.verdict = run(&pair.judge, &pair.child[0], &pair.child[1]);
	if (pair.verdict >= 0) {
		pair.first = dies_first(pair.verdict, &pair.child[0], &pair.child[1]);
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
		verdict = run(&r->judge, best, r->order[i]);
		if (verdict < 0)
			return -1;
		first = dies_first(verdict, best, r->order[i]);
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
		p_err("mem alloc failed");
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

static void rank_line(const struct ranking *r, const struct oom_child *child, int place)
{
	__s64 priority;

	if (place)
		oom_printf("%4d", place);
	else
		oom_printf("   -");
	oom_printf(" %12llu %12llu", child->usage / 1024, child->swap / 1024);
	if (r->judge.priorities >= 0) {
		oom_priority_get(&r->judge, child->id, &priority);
		oom_printf(" %12lld", priority);
	}
	oom_printf("  %s%s%s\n", child->path, child->out ? ": " : "", child->out ?: "");
}

static void rank_plain(const struct ranking *r)
{
	int i;

	oom_printf("children of %s, compared by ", r->scope.path);
	judge_plain(&r->judge);
	oom_printf("\nRANK %12s %12s", "USAGE kB", "SWAP kB");
	if (r->judge.priorities >= 0)
		oom_printf(" %12s", "PRIORITY");
	oom_printf("  CGROUP\n");
	for (i = 0; i < r->nr_eligible; i++)
		rank_line(r, r->order[i], i < r->nr_ranked ? i + 1 : 0);
	for (i = 0; i < r->nr; i++)
		if (r->children[i].out)
			rank_line(r, &r->children[i], 0);
	if (r->abstained[0])
		oom_printf("abstains between %s and %s: oom_badness() picks below %s\n",
			   r->abstained[0]->path, r->abstained[1]->path, r->scope.path);
}

static void rank_child_json(const struct ranking *r, const struct oom_child *child, int place)
{
	jsonw_start_object(json_wtr);
	if (place)
		jsonw_int_field(json_wtr, "rank", place);
	else
		jsonw_null_field(json_wtr, "rank");
	child_json(&r->judge, child);
	jsonw_end_object(json_wtr);
}

static void rank_json(const struct ranking *r)
{
	int i;

	jsonw_start_object(json_wtr);
	oom_json_cgroup(json_wtr, "parent", r->scope.id, r->scope.path);
	judge_json(&r->judge);
	jsonw_name(json_wtr, "children");
	jsonw_start_array(json_wtr);
	for (i = 0; i < r->nr_eligible; i++)
		rank_child_json(r, r->order[i], i < r->nr_ranked ? i + 1 : 0);
	for (i = 0; i < r->nr; i++)
		if (r->children[i].out)
			rank_child_json(r, &r->children[i], 0);
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

	if (parse_scope(argc, argv, &r.scope, &arg, &given))
		return -1;
	if (!open_judge(&r.judge, r.scope.path, given, BPF_OOM_POLICY)) {
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

struct selection {
	struct oom_cgroup scope;
	struct oom_judge judge;
	struct bpf_oom_step steps[MAX_STEPS];
	int nr_steps;
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
		p_err("nobody below %s can be killed: the stock killer would decide",
		      s->scope.path);
		break;
	case EBUSY:
		p_err("a victim is still dying below %s: a real OOM would wait for it",
		      s->scope.path);
		break;
	case ETIME:
		p_err("over its budget: the stock killer would decide");
		break;
	default:
		explain_test_run(&s->judge, err, s->scope.path);
	}
}

static int rehearse(struct selection *s)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_oom_ctx ctx = { .cgroup_id_1 = s->scope.id };
	int err;

	opts.ctx_in = &ctx;
	opts.ctx_size_in = sizeof(ctx);
	opts.ctx_out = &s->victim;
	opts.ctx_size_out = sizeof(s->victim);
	opts.data_out = s->steps;
	opts.data_size_out = sizeof(s->steps);
	opts.flags = BPF_F_TEST_OOM_SELECT;
	err = bpf_prog_test_run_opts(s->judge.fd, &opts);
	if (!err)
		err = (int)opts.retval;
	if (err) {
		explain_select(s, -err);
		return -1;
	}
	s->ns = opts.duration;
	s->nr_steps = opts.data_size_out / sizeof(s->steps[0]);
	if (s->nr_steps && !s->steps[s->nr_steps - 1].winner_id)
		s->badness = oom_cgroup_name(s->steps[--s->nr_steps].parent_id);
	s->victim_path = oom_cgroup_name(s->victim.cgroup_id_1);
	return 0;
}

static void read_comm(struct selection *s)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/comm", s->victim.pid_1);
	f = fopen(path, "re");
	if (!f || !fgets(s->comm, sizeof(s->comm), f))
		snprintf(s->comm, sizeof(s->comm), "?");
	s->comm[strcspn(s->comm, "\n")] = '\0';
	if (f)
		fclose(f);
}

/* memory.oom.group of the victim's cgroup or the topmost one below the scope. */
static void find_group(struct selection *s)
{
	char *path = strdup(s->victim_path), *slash;

	while (path && strcmp(path, "/") && oom_path_below(path, s->scope.path)) {
		if (oom_cgroup_number(path, "memory.oom.group")) {
			free(s->dies_with);
			s->dies_with = strdup(path);
			s->why = "memory.oom.group";
		}
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	free(path);
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
		s->task_policy = oom_policy_ruling(leaf, BPF_OOM_POLICY_TASK);
	ruling = parent ? oom_policy_ruling(parent, BPF_OOM_POLICY) : NULL;
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
	const bool colour = isatty(STDOUT_FILENO);
	int i, width = 0;

	for (i = 0; i < d->nr; i++)
		if ((int)strlen(d->lines[i].tree) > width)
			width = strlen(d->lines[i].tree);
	for (i = 0; i < d->nr; i++) {
		const struct line *line = &d->lines[i];

		if (colour)
			oom_printf("%s", colours[line->kind]);
		if (line->values)
			oom_printf("%-*s%s", width, line->tree, line->values);
		else
			oom_printf("%s", line->tree);
		if (line->note)
			oom_printf("  %s", line->note);
		oom_printf("%s\n", colour ? "\033[0m" : "");
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

static char *child_values(const struct oom_judge *judge, const struct oom_child *child)
{
	__s64 priority;

	if (judge->priorities < 0)
		return text("%12llu kB", child->usage / 1024);
	oom_priority_get(judge, child->id, &priority);
	return text("%12llu kB  priority %lld", child->usage / 1024, priority);
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
		       const struct oom_judge *judge, const struct oom_child *child,
		       bool last, const char *prefix)
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
		       *name ? name : "(processes of the root)"),
		  child_values(judge, child), note);
	if (!chosen)
		return;
	deeper = text("%s%c   ", prefix, last ? ' ' : '|');
	if (deeper)
		draw_below(d, s, i + 1, child->path, deeper);
	free(deeper);
}

/* What is below @at: the children among whom step @i has chosen. */
static void draw_below(struct drawing *d, const struct selection *s, int i, const char *at,
		       const char *prefix)
{
	const struct bpf_oom_step *step = &s->steps[i];
	struct oom_child *children, self = {};
	struct oom_judge judge;
	char *parent;
	int nr, n;

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
	if (nr < 0 || oom_judge_open(&judge, step->prog_id)) {
		d->failed = true;
		oom_children_free(children, nr);
		free(parent);
		return;
	}
	if (step->winner_id == step->parent_id || step->runner_id == step->parent_id) {
		self.id = step->parent_id;
		self.path = parent;
		self.usage = step->winner_id == self.id ? step->winner_usage :
			     step->runner_usage;
		draw_child(d, s, i, &judge, &self, !nr, prefix);
	}
	for (n = 0; n < nr; n++)
		draw_child(d, s, i, &judge, &children[n], n == nr - 1, prefix);
	oom_judge_close(&judge);
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
		p_err("the cgroups have changed while they were drawn: try again");
		goto out;
	}
	print_drawing(&d);
	oom_printf("victim: process %u (%s) of %s, oom_score_adj %d\n", s->victim.pid_1, s->comm,
		   s->victim_path, s->victim.oom_score_adj_1);
	if (s->dies_with)
		oom_printf("with it: every process of %s (%s)\n", s->dies_with, s->why);
	if (s->task_policy)
		oom_printf("among the processes there rules link id %u, attached to %s\n",
			   s->task_policy->info.id, s->task_policy->path);
	if (s->judge.policy && strcmp(s->scope.path, "/") &&
	    !(s->judge.policy->info.oom_policy.flags & BPF_F_OOM_POLICY_MEMCG))
		oom_printf("attached without the flag memcg: not asked when %s meets its limit\n",
			   s->scope.path);
	oom_printf("rehearsed in %u us by ", s->ns / 1000);
	judge_plain(&s->judge);
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

static void step_json(const struct bpf_oom_step *step)
{
	char *winner = oom_cgroup_path(step->winner_id), *runner, *parent;
	struct oom_child *children = NULL;
	struct oom_judge judge;
	int nr = 0, i;

	runner = oom_cgroup_path(step->runner_id);
	parent = oom_cgroup_path(step->parent_id);
	if (oom_judge_open(&judge, step->prog_id))
		judge.name[0] = '\0';
	else if (parent)
		nr = oom_children(parent, &children);

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
		child_json(&judge, &children[i]);
		jsonw_string_field(json_wtr, "state", child_state(step, &children[i]));
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
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
	judge_json(&s->judge);
	jsonw_name(json_wtr, "levels");
	jsonw_start_array(json_wtr);
	for (i = 0; i < s->nr_steps; i++)
		step_json(&s->steps[i]);
	jsonw_end_array(json_wtr);
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
		p_err("mem alloc failed");
		return -1;
	}
	if (parse_scope(argc, argv, &s->scope, &arg, &given) ||
	    open_judge(&s->judge, s->scope.path, given, OOM_ANY_TYPE))
		goto out;

	err = rehearse(s);
	if (!err && !s->victim_path) {
		p_err("mem alloc failed");
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

/* A contradiction of the program: two siblings, or three in a circle. */
struct offence {
	int nr;
	char *path[3];
	int verdict[2];		/* of two: both ways round */
};

struct level {
	char *parent;
	char prog_name[MAX_PROG_FULL_NAME];
	__u32 prog_id;
	int children;
	unsigned long long pairs;
	unsigned long long triples;
};

struct inquiry {
	const struct oom_prog_arg *given;
	struct oom_judge judge;		/* the last one used */
	__u32 judge_link;
	struct level *levels;
	int nr_levels;
	struct offence *offences;
	int nr_offences;
};

static int mirrored(int verdict)
{
	switch (verdict) {
	case BPF_OOM_FIRST:
		return BPF_OOM_SECOND;
	case BPF_OOM_SECOND:
		return BPF_OOM_FIRST;
	default:
		return verdict;
	}
}

/* Room for one more, or NULL. */
static void *grow(void *list, int nr, size_t size)
{
	void *more = realloc(list, (nr + 1) * size);

	if (!more)
		p_err("mem alloc failed");
	return more;
}

static int add_offence(struct inquiry *q, int nr, struct oom_child **child, const int *verdict)
{
	struct offence *more, *offence;
	int i;

	more = grow(q->offences, q->nr_offences, sizeof(*more));
	if (!more)
		return -1;
	q->offences = more;
	offence = &more[q->nr_offences++];
	memset(offence, 0, sizeof(*offence));
	offence->nr = nr;
	for (i = 0; i < nr; i++)
		offence->path[i] = strdup(child[i]->path);
	if (verdict)
		memcpy(offence->verdict, verdict, sizeof(offence->verdict));
	return 0;
}

/* Does it contradict itself each time? 1 or 0; @verdict: both ways round. */
static int is_asymmetric(const struct oom_judge *judge, struct oom_child *a,
			 struct oom_child *b, int *verdict)
{
	int i;

	for (i = 0; i < CONFIRMATIONS; i++) {
		verdict[0] = run_if_there(judge, a, b);
		verdict[1] = run_if_there(judge, b, a);
		if (verdict[0] < 0 || verdict[1] < 0)
			return -1;
		if (verdict[0] == mirrored(verdict[1]))
			return 0;
	}
	return 1;
}

/* Three, each of which dies before the next, and the last before the first? */
static int is_circle(const struct oom_judge *judge, struct oom_child **c)
{
	int i, n, verdict;

	for (i = 0; i < CONFIRMATIONS; i++) {
		for (n = 0; n < 3; n++) {
			struct oom_child *a = c[n], *b = c[(n + 1) % 3], *swap = NULL;

			/* Asked as the kernel meets them: the older one first. */
			if (a->id > b->id) {
				swap = a;
				a = b;
				b = swap;
			}
			verdict = run_if_there(judge, a, b);
			if (verdict < 0)
				return -1;
			if (dies_first(verdict, a, b) != c[n])
				return 0;
		}
	}
	return 1;
}

static int check_pairs(struct inquiry *q, struct oom_child *children, int nr,
		       signed char *before)
{
	struct oom_child *first;
	int i, j, verdict[2], ret;

	for (i = 0; i < nr; i++) {
		for (j = i + 1; j < nr; j++) {
			struct oom_child *pair[] = { &children[i], &children[j] };

			ret = is_asymmetric(&q->judge, pair[0], pair[1], verdict);
			if (ret < 0 || (ret && add_offence(q, 2, pair, verdict)))
				return -1;
			first = dies_first(verdict[0], pair[0], pair[1]);
			before[(size_t)i * nr + j] = first == pair[0];
			before[(size_t)j * nr + i] = first == pair[1];
		}
	}
	return 0;
}

static int check_triples(struct inquiry *q, struct oom_child *children, int nr,
			 const signed char *before)
{
	int i, j, k, ret;

#define BEFORE(a, b)	before[(size_t)(a) * nr + (b)]
	for (i = 0; i < nr; i++) {
		for (j = i + 1; j < nr; j++) {
			for (k = j + 1; k < nr; k++) {
				struct oom_child *c[] = {
					&children[i], &children[j], &children[k],
				};

				if (BEFORE(j, i) && BEFORE(k, j) && BEFORE(i, k)) {
					c[1] = &children[k];
					c[2] = &children[j];
				} else if (!BEFORE(i, j) || !BEFORE(j, k) || !BEFORE(k, i)) {
					continue;
				}
				ret = is_circle(&q->judge, c);
				if (ret < 0 || (ret && add_offence(q, 3, c, NULL)))
					return -1;
			}
		}
	}
#undef BEFORE
	return 0;
}

/* 1: @q->judge is the one that rules there; 0: nobody does. */
static int check_judge(struct inquiry *q, const char *path)
{
	const struct oom_policy *ruling;

	if (q->given) {
		if (q->judge.fd >= 0)
			return 1;
		return open_judge(&q->judge, path, q->given, BPF_OOM_POLICY) ? -1 : 1;
	}
	ruling = oom_policy_ruling(path, BPF_OOM_POLICY);
	if (!ruling)
		return 0;
	if (q->judge.fd >= 0 && q->judge_link == ruling->info.id)
		return 1;
	oom_judge_close(&q->judge);
	if (oom_judge_ruling(&q->judge, path, BPF_OOM_POLICY))
		return -1;
	q->judge_link = ruling->info.id;
	return 1;
}

static int check_level(struct inquiry *q, const char *parent, struct oom_child *children,
		       int nr)
{
	signed char *before;
	struct level *more;
	int err;

	more = grow(q->levels, q->nr_levels, sizeof(*more));
	if (!more)
		return -1;
	q->levels = more;
	more = &q->levels[q->nr_levels++];
	memset(more, 0, sizeof(*more));
	more->parent = strdup(parent);
	more->prog_id = q->judge.id;
	snprintf(more->prog_name, sizeof(more->prog_name), "%s", q->judge.name);
	more->children = nr;
	more->pairs = (unsigned long long)nr * (nr - 1) / 2;
	more->triples = more->pairs * (nr > 2 ? nr - 2 : 0) / 3;

	before = calloc(nr ?: 1, nr ?: 1);
	if (!before) {
		p_err("mem alloc failed");
		return -1;
	}
	err = check_pairs(q, children, nr, before);
	if (!err)
		err = check_triples(q, children, nr, before);
	free(before);
	return err;
}

static int check_tree(struct inquiry *q, const char *parent)
{
	struct oom_child *children;
	int nr, i, ret;

	ret = check_judge(q, parent);
	if (ret < 0)
		return -1;
	nr = oom_children(parent, &children);
	if (nr < 0)
		return -1;
	if (ret && nr > 1)
		ret = check_level(q, parent, children, nr);
	else
		ret = 0;
	for (i = 0; i < nr && !ret; i++)
		ret = check_tree(q, children[i].path);
	oom_children_free(children, nr);
	return ret;
}

static void level_plain(const struct level *level)
{
	oom_printf("%s: %d children (pairs: %llu, triples: %llu), compared by %s (prog id %u)\n",
		   level->parent, level->children, level->pairs, level->triples,
		   level->prog_name, level->prog_id);
}

static void offence_plain(const struct offence *o)
{
	if (o->nr == 2)
		oom_printf("not antisymmetric: run(%s, %s) says %s, run(%s, %s) says %s\n",
			   o->path[0], o->path[1], verdict_name(o->verdict[0]),
			   o->path[1], o->path[0], verdict_name(o->verdict[1]));
	else
		oom_printf("not transitive: %s dies before %s, %s before %s, %s before %s\n",
			   o->path[0], o->path[1], o->path[1], o->path[2], o->path[2],
			   o->path[0]);
}

static void check_plain(const struct inquiry *q)
{
	unsigned long long pairs = 0, triples = 0;
	int i;

	for (i = 0; i < q->nr_levels; i++) {
		const struct level *level = &q->levels[i];

		level_plain(level);
		pairs += level->pairs;
		triples += level->triples;
	}
	for (i = 0; i < q->nr_offences; i++)
		offence_plain(&q->offences[i]);
	oom_printf("contradictions: %d (pairs: %llu, triples: %llu)\n", q->nr_offences, pairs,
		   triples);
}

static void offences_json(const struct inquiry *q, int nr, const char *name)
{
	const struct offence *o;
	int i, n;

	jsonw_name(json_wtr, name);
	jsonw_start_array(json_wtr);
	for (i = 0; i < q->nr_offences; i++) {
		o = &q->offences[i];
		if (o->nr != nr)
			continue;
		jsonw_start_object(json_wtr);
		jsonw_name(json_wtr, "cgroups");
		jsonw_start_array(json_wtr);
		for (n = 0; n < nr; n++)
			jsonw_string(json_wtr, o->path[n]);
		jsonw_end_array(json_wtr);
		if (nr == 2) {
			jsonw_name(json_wtr, "verdicts");
			jsonw_start_array(json_wtr);
			for (n = 0; n < 2; n++)
				jsonw_string(json_wtr, verdict_name(o->verdict[n]));
			jsonw_end_array(json_wtr);
		}
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
}

static void check_json(const struct inquiry *q)
{
	int i;

	jsonw_start_object(json_wtr);
	jsonw_name(json_wtr, "levels");
	jsonw_start_array(json_wtr);
	for (i = 0; i < q->nr_levels; i++) {
		const struct level *level = &q->levels[i];

		jsonw_start_object(json_wtr);
		jsonw_string_field(json_wtr, "parent", level->parent);
		jsonw_string_field(json_wtr, "prog_name", level->prog_name);
		jsonw_uint_field(json_wtr, "prog_id", level->prog_id);
		jsonw_int_field(json_wtr, "children", level->children);
		jsonw_lluint_field(json_wtr, "pairs", level->pairs);
		jsonw_lluint_field(json_wtr, "triples", level->triples);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	offences_json(q, 2, "not_antisymmetric");
	offences_json(q, 3, "not_transitive");
	jsonw_end_object(json_wtr);
}

static void free_inquiry(struct inquiry *q)
{
	int i;

	oom_judge_close(&q->judge);
	while (q->nr_levels--)
		free(q->levels[q->nr_levels].parent);
	free(q->levels);
	while (q->nr_offences--)
		for (i = 0; i < 3; i++)
			free(q->offences[q->nr_offences].path[i]);
	free(q->offences);
}

/* Is anybody there to be checked? */
static int check_policies(const char *path)
{
	const struct oom_policy *list;
	int nr, i;

	nr = oom_policies(&list);
	if (nr < 0)
		return -1;
	if (oom_policy_ruling(path, BPF_OOM_POLICY))
		return 0;
	for (i = 0; i < nr; i++)
		if (list[i].path && oom_path_below(list[i].path, path) &&
		    list[i].info.oom_policy.attach_type == BPF_OOM_POLICY)
			return 0;
	p_err("no OOM policy rules in %s or below: attach one, or name one with 'prog'", path);
	return -1;
}

int oom_do_check(int argc, char **argv)
{
	struct inquiry q = { .judge = { .fd = -1, .priorities = -1 } };
	struct oom_prog_arg arg;
	struct oom_cgroup scope;
	int err;

	if (parse_scope(argc, argv, &scope, &arg, &q.given))
		return -1;
	err = q.given ? 0 : check_policies(scope.path);
	if (!err)
		err = check_tree(&q, scope.path);
	if (!err) {
		if (json_output)
			check_json(&q);
		else
			check_plain(&q);
		err = q.nr_offences ? -1 : 0;
	}
	free_inquiry(&q);
	oom_cgroup_free(&scope);
	return err;
}
