// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The order in which siblings would die, by the verdicts of a program. The kernel sorts
 * them, in one call.
 *
 * From a program that abstains there is no order: what the kernel would do is to play a
 * tournament, and so we do, for each place that is asked for.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include "main.h"
#include "oom.h"

static struct oom_child *find_child(struct oom_child *children, int nr, __u64 id)
{
	int from = 0, to = nr, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (children[middle].id == id)
			return &children[middle];
		if (children[middle].id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

/* Those that take part become the list, in the order in which they come. */
static void take_sorted(struct oom_order *order, const struct bpf_oom_sibling *siblings,
			struct oom_child *children, int nr)
{
	struct oom_child *child;
	int i;

	for (i = 0; i < nr; i++) {
		child = find_child(children, nr, siblings[i].cgroup_id);
		if (!child)
			continue;
		child->usage = siblings[i].usage;
		child->swap = siblings[i].swap;
		if (siblings[i].err)
			child->out = oom_gone;
		else if (!(siblings[i].flags & BPF_OOM_SIBLING_POPULATED))
			child->out = oom_no_processes;
		else if (siblings[i].flags & BPF_OOM_SIBLING_MAX)
			child->out = oom_never;
		else
			order->list[order->nr++] = child;
	}
	order->nr_ranked = order->nr;
}

static void list_as_met(struct oom_order *order, struct oom_child *children, int nr)
{
	int i;

	order->nr = 0;
	order->nr_ranked = 0;
	for (i = 0; i < nr; i++)
		if (!children[i].out)
			order->list[order->nr++] = &children[i];
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

static int play(const struct oom_judge *judge, struct oom_order *order, int places)
{
	while (order->nr_ranked < order->nr && order->nr_ranked < places && !order->abstained[0])
		if (rank_next(judge, order))
			return -1;
	return 0;
}

/**
 * oom_order() - in which order siblings would die
 * @judge: whose verdicts count
 * @children: what oom_children() has found; those without processes and those with max are
 *	      out afterwards, and usage and swap are known. That there is nobody to kill is
 *	      not looked at.
 * @nr: how many
 * @places: how many places are asked for, should the program abstain
 * @order: for oom_order_free()
 *
 * Return: 0, or -1 with the reason told and nothing to free.
 */
int oom_order(const struct oom_judge *judge, struct oom_child *children, int nr, int places,
	      struct oom_order *order)
{
	struct bpf_oom_sibling *siblings;
	int i, verdict, err = -1;

	memset(order, 0, sizeof(*order));
	order->list = calloc(nr ?: 1, sizeof(*order->list));
	siblings = calloc(nr ?: 1, sizeof(*siblings));
	if (!order->list || !siblings) {
		oom_err("mem alloc failed");
		goto out;
	}
	for (i = 0; i < nr; i++)
		siblings[i].cgroup_id = children[i].id;
	verdict = nr ? oom_run_many(judge, BPF_F_TEST_OOM_ORDER, siblings,
				    nr * sizeof(*siblings)) : 0;
	if (verdict < 0)
		goto out;
	take_sorted(order, siblings, children, nr);
	err = 0;
	if (verdict == BPF_OOM_ABSTAIN) {
		list_as_met(order, children, nr);
		err = play(judge, order, places);
	}
out:
	free(siblings);
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
