// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "check": contradictions of a policy among the siblings that there are: pairs whose
 * verdict depends on the order, and triples that go round in a circle.
 *
 * Of many siblings some are looked at, evenly spread, unless all are asked for: then
 * circles are found by counting who dies before how many, as looking at each triple of
 * 10,000 would take years.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

/* How often a contradiction must show again: usage changes from call to call. */
#define CONFIRMATIONS	3

/* Among more siblings, that many are looked at: the work is that of its square. */
#define MAX_SIBLINGS	64

/* So many contradictions are named, and of so many siblings all triples looked at. */
#define MAX_NAMED	1000
#define MAX_TRIPLES_OF	200

#define PROGRESS_NS	1000000000LL

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
	int compared;		/* of them */
	unsigned long long pairs;
	unsigned long long triples;
};

struct inquiry {
	struct oom_cgroup scope;
	const struct oom_prog_arg *given;
	struct oom_judge judge;		/* the last one used */
	__u32 judge_link;
	struct level *levels;
	int nr_levels;
	struct offence *offences;
	int nr_offences;
	unsigned long long found;	/* more than are named */
	bool all;
	unsigned long long pairs;	/* so far */
	long long told_ns;		/* when progress was told last, or it began */
	bool told;
};

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* For whoever waits at a terminal; @end: it is over. */
static void tell_progress(struct inquiry *q, bool end)
{
	if (!isatty(STDERR_FILENO) || json_output)
		return;
	if (end) {
		if (q->told)
			fprintf(stderr, "\r%60s\r", "");
		return;
	}
	if (now_ns() - q->told_ns < PROGRESS_NS)
		return;
	q->told_ns = now_ns();
	q->told = true;
	fprintf(stderr, "\rchecking: %d cgroups, %llu pairs, %llu contradictions ",
		q->nr_levels, q->pairs, q->found);
}

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
		oom_err("mem alloc failed");
	return more;
}

static int add_offence(struct inquiry *q, int nr, struct oom_child **child, const int *verdict)
{
	struct offence *more, *offence;
	int i;

	if (++q->found > MAX_NAMED)
		return 0;
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
		verdict[0] = oom_run_if_there(judge, a, b);
		verdict[1] = oom_run_if_there(judge, b, a);
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
			verdict = oom_run_if_there(judge, a, b);
			if (verdict < 0)
				return -1;
			if (oom_dies_first(verdict, a, b) != c[n])
				return 0;
		}
	}
	return 1;
}

/* The siblings of one level, and who of two dies before the other. */
struct siblings {
	struct oom_child **child;
	int nr;
	signed char *before;
	struct bpf_oom_pair *pairs;
};

static bool before(const struct siblings *s, int i, int j)
{
	return s->before[(size_t)i * s->nr + j];
}

/* One of them with all that come behind it, both ways round. */
static int check_row(struct inquiry *q, struct siblings *s, int i)
{
	struct oom_child *first, *a = s->child[i], *b;
	int j, n = 0, verdict[2], ret;

	for (j = i + 1; j < s->nr; j++) {
		s->pairs[n].cgroup_id_1 = a->id;
		s->pairs[n++].cgroup_id_2 = s->child[j]->id;
		s->pairs[n].cgroup_id_1 = s->child[j]->id;
		s->pairs[n++].cgroup_id_2 = a->id;
	}
	if (n && oom_run_many(&q->judge, BPF_F_TEST_OOM_PAIRS, s->pairs, n * sizeof(*s->pairs)))
		return -1;
	for (j = i + 1, n = 0; j < s->nr; j++, n += 2) {
		struct oom_child *pair[] = { a, s->child[j] };

		b = s->child[j];
		q->pairs++;
		verdict[0] = s->pairs[n].verdict;
		verdict[1] = s->pairs[n + 1].verdict;
		if (verdict[0] < 0 || verdict[1] < 0)
			continue;	/* one has gone */
		if (verdict[0] != mirrored(verdict[1])) {
			ret = is_asymmetric(&q->judge, a, b, verdict);
			if (ret < 0 || (ret && add_offence(q, 2, pair, verdict)))
				return -1;
		}
		a->usage = s->pairs[n].usage_1;
		a->swap = s->pairs[n].swap_1;
		b->usage = s->pairs[n].usage_2;
		b->swap = s->pairs[n].swap_2;
		first = oom_dies_first(verdict[0], a, b);
		s->before[(size_t)i * s->nr + j] = first == a;
		s->before[(size_t)j * s->nr + i] = first == b;
	}
	tell_progress(q, false);
	return 0;
}

static int check_three(struct inquiry *q, struct siblings *s, int i, int j, int k)
{
	struct oom_child *c[] = { s->child[i], s->child[j], s->child[k] };
	int ret;

	if (before(s, j, i) && before(s, k, j) && before(s, i, k)) {
		c[1] = s->child[k];
		c[2] = s->child[j];
	} else if (!before(s, i, j) || !before(s, j, k) || !before(s, k, i)) {
		return 0;
	}
	ret = is_circle(&q->judge, c);
	return ret < 0 || (ret && add_offence(q, 3, c, NULL)) ? -1 : 0;
}

static int check_triples(struct inquiry *q, struct siblings *s)
{
	int i, j, k;

	for (i = 0; i < s->nr; i++)
		for (j = i + 1; j < s->nr; j++)
			for (k = j + 1; k < s->nr; k++)
				if (check_three(q, s, i, j, k))
					return -1;
	return 0;
}

/*
 * Without a circle, whoever dies before another also dies before more of them. Where
 * that is not so, there is a third one to make a circle of it.
 */
static int check_circles(struct inquiry *q, struct siblings *s)
{
	int *wins, i, j, k, err = 0;

	wins = calloc(s->nr, sizeof(*wins));
	if (!wins) {
		oom_err("mem alloc failed");
		return -1;
	}
	for (i = 0; i < s->nr; i++)
		for (j = 0; j < s->nr; j++)
			wins[i] += before(s, i, j);
	for (i = 0; i < s->nr && !err; i++) {
		for (j = 0; j < s->nr && !err; j++) {
			if (!before(s, i, j) || wins[i] > wins[j])
				continue;
			for (k = 0; k < s->nr; k++)
				if (before(s, j, k) && before(s, k, i))
					break;
			if (k < s->nr)
				err = check_three(q, s, i, j, k);
		}
		tell_progress(q, false);
	}
	free(wins);
	return err;
}

/* 1: @q->judge is the one that rules there; 0: nobody does. */
static int check_judge(struct inquiry *q, const char *path)
{
	const struct oom_policy *ruling;

	if (q->given) {
		if (q->judge.fd >= 0)
			return 1;
		return oom_judge_for(&q->judge, path, q->given, BPF_OOM_POLICY) ? -1 : 1;
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

static int start_level(struct inquiry *q, const char *parent, int nr, int compared)
{
	struct level *more;

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
	more->compared = compared;
	more->pairs = (unsigned long long)compared * (compared - 1) / 2;
	more->triples = more->pairs * (compared > 2 ? compared - 2 : 0) / 3;
	return 0;
}

static int check_level(struct inquiry *q, const char *parent, struct oom_child *children,
		       int nr)
{
	const int compared = q->all || nr <= MAX_SIBLINGS ? nr : MAX_SIBLINGS;
	struct siblings s = { .nr = compared };
	int i, err = -1;

	if (start_level(q, parent, nr, compared))
		return -1;
	s.child = calloc(s.nr, sizeof(*s.child));
	s.pairs = calloc(s.nr, 2 * sizeof(*s.pairs));
	s.before = calloc(s.nr, s.nr);
	if (!s.child || !s.pairs || !s.before) {
		oom_err("mem alloc failed");
		goto out;
	}
	for (i = 0; i < s.nr; i++)
		s.child[i] = &children[(long long)i * nr / s.nr];
	for (i = 0, err = 0; i < s.nr && !err; i++)
		err = check_row(q, &s, i);
	if (!err)
		err = s.nr <= MAX_TRIPLES_OF ? check_triples(q, &s) : check_circles(q, &s);
out:
	free(s.child);
	free(s.pairs);
	free(s.before);
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
	oom_printf("%s: %d children", level->parent, level->children);
	if (level->compared < level->children)
		oom_printf(", %d of them looked at", level->compared);
	oom_printf(" (pairs: %llu, triples: %llu), compared by %s (prog id %u)\n", level->pairs,
		   level->triples, level->prog_name, level->prog_id);
}

static void offence_plain(const struct offence *o)
{
	if (o->nr == 2)
		oom_printf("not antisymmetric: run(%s, %s) says %s, run(%s, %s) says %s\n",
			   o->path[0], o->path[1], oom_verdict_name(o->verdict[0]),
			   o->path[1], o->path[0], oom_verdict_name(o->verdict[1]));
	else
		oom_printf("not transitive: %s dies before %s, %s before %s, %s before %s\n",
			   o->path[0], o->path[1], o->path[1], o->path[2], o->path[2],
			   o->path[0]);
}

/* The policy that rules where the inquiry begins, NULL if it is not attached. */
static const struct oom_policy *policy_of_scope(const struct inquiry *q)
{
	const struct oom_policy *ruling = oom_policy_ruling(q->scope.path, BPF_OOM_POLICY);

	return q->given && ruling && ruling->info.prog_id != q->judge.id ? NULL : ruling;
}

static void check_plain(const struct inquiry *q)
{
	unsigned long long pairs = 0, triples = 0;
	bool sampled = false;
	int i;

	oom_caveats_plain(policy_of_scope(q), q->scope.path, OOM_REHEARSE_CHILDREN);
	if (!q->nr_levels)
		oom_printf("nothing to compare: no cgroup at or below %s has two children\n",
			   q->scope.path);
	for (i = 0; i < q->nr_levels; i++) {
		const struct level *level = &q->levels[i];

		level_plain(level);
		sampled = sampled || level->compared < level->children;
		pairs += level->pairs;
		triples += level->triples;
	}
	for (i = 0; i < q->nr_offences; i++)
		offence_plain(&q->offences[i]);
	if (q->found > MAX_NAMED)
		oom_printf("... and so on\n");
	oom_printf("contradictions: %llu (pairs: %llu, triples: %llu)\n", q->found, pairs,
		   triples);
	if (sampled)
		oom_printf("not all were looked at: 'all' does\n");
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
				jsonw_string(json_wtr, oom_verdict_name(o->verdict[n]));
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
	oom_json_cgroup(json_wtr, "scope", q->scope.id, q->scope.path);
	oom_caveats_json(policy_of_scope(q), q->scope.path, OOM_REHEARSE_CHILDREN);
	jsonw_name(json_wtr, "levels");
	jsonw_start_array(json_wtr);
	for (i = 0; i < q->nr_levels; i++) {
		const struct level *level = &q->levels[i];

		jsonw_start_object(json_wtr);
		jsonw_string_field(json_wtr, "parent", level->parent);
		jsonw_string_field(json_wtr, "prog_name", level->prog_name);
		jsonw_uint_field(json_wtr, "prog_id", level->prog_id);
		jsonw_int_field(json_wtr, "children", level->children);
		jsonw_int_field(json_wtr, "looked_at", level->compared);
		jsonw_lluint_field(json_wtr, "pairs", level->pairs);
		jsonw_lluint_field(json_wtr, "triples", level->triples);
		jsonw_end_object(json_wtr);
	}
	jsonw_end_array(json_wtr);
	jsonw_lluint_field(json_wtr, "contradictions", q->found);
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
	oom_cgroup_free(&q->scope);
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
	if (oom_private_root())
		oom_err("no OOM policy is seen that rules in %s or below: if one does outside of this cgroup namespace, name it with 'prog'",
			path);
	else
		oom_err("no OOM policy rules in %s or below: attach one, or name one with 'prog'",
			path);
	return -1;
}

int oom_do_check(int argc, char **argv)
{
	struct inquiry q = { .judge = { .fd = -1, .priorities = -1 } };
	struct oom_view view = {};
	struct oom_prog_arg arg;
	int err;

	if (oom_parse_scope(argc, argv, &q.scope, &arg, &q.given, &view,
			    OOM_OPT_PROG | OOM_OPT_ALL))
		return -1;
	q.all = view.all;
	q.told_ns = now_ns();
	err = q.given ? 0 : check_policies(q.scope.path);
	if (!err)
		err = check_tree(&q, q.scope.path);
	tell_progress(&q, true);
	if (!err) {
		if (json_output)
			check_json(&q);
		else
			check_plain(&q);
		err = q.nr_offences ? -1 : 0;
	}
	free_inquiry(&q);
	return err;
}
