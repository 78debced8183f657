// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "check": contradictions of a policy among the siblings that there are: pairs whose
 * verdict depends on the order, and triples that go round in a circle.
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

/* How often a contradiction must show again: usage changes from call to call. */
#define CONFIRMATIONS	3

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
	struct oom_cgroup scope;
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
		oom_err("mem alloc failed");
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
			first = oom_dies_first(verdict[0], pair[0], pair[1]);
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
		oom_err("mem alloc failed");
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
	int i;

	oom_caveats_plain(policy_of_scope(q), q->scope.path, OOM_REHEARSE_CHILDREN);
	if (!q->nr_levels)
		oom_printf("nothing to compare: no cgroup at or below %s has two children\n",
			   q->scope.path);
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
	oom_err("no OOM policy rules in %s or below: attach one, or name one with 'prog'", path);
	return -1;
}

int oom_do_check(int argc, char **argv)
{
	struct inquiry q = { .judge = { .fd = -1, .priorities = -1 } };
	struct oom_prog_arg arg;
	int err;

	if (oom_parse_scope(argc, argv, &q.scope, &arg, &q.given))
		return -1;
	err = q.given ? 0 : check_policies(q.scope.path);
	if (!err)
		err = check_tree(&q, q.scope.path);
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
