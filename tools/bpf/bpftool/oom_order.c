// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The order in which siblings would die, by the verdicts of a program.
 *
 * It is made by quicksort, level by level: all comparisons of one level are independent
 * of each other and go to the kernel at once, about two dozen calls for 10,000 siblings.
 * (Merging asks one comparison after the other.) Two are always asked as the kernel
 * meets them, the older one first, and who is equal to the program is told apart by the
 * kernel's own rule, with what both held at the beginning.
 *
 * A program that contradicts itself gets some order, and one whose verdicts lead nowhere
 * is told of. From one that abstains there is no order: what the kernel would do is to
 * play a tournament, and so we do, for each place that is asked for.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include "main.h"
#include "oom.h"

/* A sound program takes about 2 * log2(n) of them. */
#define MAX_LEVELS	200

struct range {
	int from;
	int to;
};

struct sort {
	const struct oom_judge *judge;
	struct oom_order *order;
	struct bpf_oom_pair *pairs;
	struct oom_child **buffer;
	struct range *ranges;		/* that are not in order yet */
	struct range *next;
	int nr_ranges;
};

static void take_look(struct oom_child *child, __u64 usage, __u64 swap, bool populated)
{
	child->usage = usage;
	child->swap = swap;
	child->out = populated ? NULL : oom_no_processes;
}

/* What all of them hold, by comparing each with a neighbour. */
static int look_at_all(const struct oom_judge *judge, struct bpf_oom_pair *pairs,
		       struct oom_child *children, int nr)
{
	struct oom_child *a, *b;
	int i;

	for (i = 0; i < nr; i += 2) {
		pairs[i / 2].cgroup_id_1 = children[i].id;
		pairs[i / 2].cgroup_id_2 = children[i + 1 < nr ? i + 1 : 0].id;
	}
	if (nr > 1 && oom_run_pairs(judge, pairs, (nr + 1) / 2))
		return -1;
	for (i = 0; i < nr; i += 2) {
		const struct bpf_oom_pair *pair = &pairs[i / 2];

		a = &children[i];
		b = i + 1 < nr ? &children[i + 1] : NULL;
		if (nr > 1 && pair->verdict >= 0) {
			take_look(a, pair->usage_1, pair->swap_1,
				  pair->flags & BPF_OOM_PAIR_POPULATED_1);
			if (b)
				take_look(b, pair->usage_2, pair->swap_2,
					  pair->flags & BPF_OOM_PAIR_POPULATED_2);
			continue;
		}
		/* One of the two cannot be compared, or there are no two. */
		if (!oom_child_fill(a))
			a->out = oom_gone;
		if (b && !oom_child_fill(b))
			b->out = oom_gone;
	}
	return 0;
}

static struct oom_child *pivot_of(const struct sort *s, const struct range *range)
{
	return s->order->list[range->from + (range->to - range->from) / 2];
}

static int ask_level(struct sort *s)
{
	struct oom_child *pivot, *child;
	int i, n, nr = 0;

	for (n = 0; n < s->nr_ranges; n++) {
		pivot = pivot_of(s, &s->ranges[n]);
		for (i = s->ranges[n].from; i < s->ranges[n].to; i++) {
			child = s->order->list[i];
			if (child == pivot)
				continue;
			s->pairs[nr].cgroup_id_1 = child->id < pivot->id ? child->id : pivot->id;
			s->pairs[nr].cgroup_id_2 = child->id < pivot->id ? pivot->id : child->id;
			nr++;
		}
	}
	return oom_run_pairs(s->judge, s->pairs, nr);
}

/* Does @child die before @pivot? One that is gone by now does not. */
static bool goes_before(struct sort *s, struct oom_child *child, struct oom_child *pivot,
			int verdict)
{
	struct oom_child *older = child->id < pivot->id ? child : pivot;
	struct oom_child *younger = older == child ? pivot : child;

	if (verdict == BPF_OOM_ABSTAIN && !s->order->abstained[0]) {
		s->order->abstained[0] = older;
		s->order->abstained[1] = younger;
	}
	return verdict >= 0 && oom_dies_first(verdict, older, younger) == child;
}

static void add_range(struct sort *s, int *nr, int from, int to)
{
	if (to - from > 1)
		s->next[(*nr)++] = (struct range) { .from = from, .to = to };
}

/* Each range becomes those before the pivot, the pivot, and those behind it. */
static void take_level(struct sort *s)
{
	struct range *range, *swap;
	struct oom_child *pivot, *child;
	int i, n, front, back, pair = 0, nr_next = 0;

	for (n = 0; n < s->nr_ranges; n++) {
		range = &s->ranges[n];
		pivot = pivot_of(s, range);
		front = range->from;
		back = 0;
		for (i = range->from; i < range->to; i++) {
			child = s->order->list[i];
			if (child == pivot)
				continue;
			if (goes_before(s, child, pivot, s->pairs[pair++].verdict))
				s->order->list[front++] = child;
			else
				s->buffer[back++] = child;
		}
		s->order->list[front] = pivot;
		memcpy(&s->order->list[front + 1], s->buffer, back * sizeof(*s->buffer));
		add_range(s, &nr_next, range->from, front);
		add_range(s, &nr_next, front + 1, range->to);
	}
	swap = s->ranges;
	s->ranges = s->next;
	s->next = swap;
	s->nr_ranges = nr_next;
}

static int sort_all(struct sort *s)
{
	int nr = s->order->nr, level;

	s->ranges[0] = (struct range) { .from = 0, .to = nr };
	s->nr_ranges = nr > 1;
	for (level = 0; s->nr_ranges && level < MAX_LEVELS; level++) {
		if (ask_level(s))
			return -1;
		take_level(s);
		if (s->order->abstained[0])
			return 0;
	}
	s->order->endless = s->nr_ranges;
	s->order->nr_ranked = nr;
	return 0;
}

/* One tournament among those not ranked yet, as the kernel would hold it. */
static int rank_next(const struct oom_judge *judge, struct oom_order *order)
{
	struct oom_child *best, *first;
	int i, at = order->nr_ranked, verdict;

	best = order->list[at];
	for (i = at + 1; i < order->nr; i++) {
		verdict = oom_run_if_there(judge, best, order->list[i]);
		if (verdict < 0)
			return -1;
		first = oom_dies_first(verdict, best, order->list[i]);
		if (!first) {
			order->abstained[0] = best;
			order->abstained[1] = order->list[i];
			return 0;
		}
		if (first != best) {
			best = first;
			at = i;
		}
	}
	/* The others stay in the order in which the kernel meets them. */
	memmove(&order->list[order->nr_ranked + 1], &order->list[order->nr_ranked],
		(at - order->nr_ranked) * sizeof(*order->list));
	order->list[order->nr_ranked++] = best;
	return 0;
}

static void list_all(struct oom_order *order, struct oom_child *children, int nr)
{
	int i;

	order->nr = 0;
	for (i = 0; i < nr; i++)
		if (!children[i].out)
			order->list[order->nr++] = &children[i];
}

static int play(const struct oom_judge *judge, struct oom_order *order, int places)
{
	order->abstained[0] = NULL;
	while (order->nr_ranked < order->nr && order->nr_ranked < places && !order->abstained[0])
		if (rank_next(judge, order))
			return -1;
	return 0;
}

/**
 * oom_order() - in which order siblings would die
 * @judge: whose verdicts count
 * @children: what oom_children() has found; those without processes are out afterwards,
 *	      and usage and swap are known. That there is nobody to kill is not looked at.
 * @nr: how many
 * @places: how many places are asked for, should the program abstain
 * @order: for oom_order_free()
 *
 * Return: 0, or -1 with the reason told and nothing to free.
 */
int oom_order(const struct oom_judge *judge, struct oom_child *children, int nr, int places,
	      struct oom_order *order)
{
	struct sort s = { .judge = judge, .order = order };
	const size_t room = nr ?: 1;
	int err = -1;

	memset(order, 0, sizeof(*order));
	order->list = calloc(room, sizeof(*order->list));
	s.buffer = calloc(room, sizeof(*s.buffer));
	s.pairs = calloc(room, sizeof(*s.pairs));
	s.ranges = calloc(room, sizeof(*s.ranges));
	s.next = calloc(room, sizeof(*s.next));
	if (!order->list || !s.buffer || !s.pairs || !s.ranges || !s.next) {
		oom_err("mem alloc failed");
		goto out;
	}
	err = look_at_all(judge, s.pairs, children, nr);
	if (err)
		goto out;
	list_all(order, children, nr);
	err = sort_all(&s);
	if (!err && order->abstained[0]) {
		list_all(order, children, nr);
		err = play(judge, order, places);
	}
out:
	free(s.buffer);
	free(s.pairs);
	free(s.ranges);
	free(s.next);
	if (err)
		oom_order_free(order);
	return err;
}

/**
 * oom_order_free() - end of an order
 * @order: may be empty
 */
void oom_order_free(struct oom_order *order)
{
	free(order->list);
	order->list = NULL;
}
