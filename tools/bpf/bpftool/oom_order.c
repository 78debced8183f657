// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The order in which siblings would die, by the verdicts of a program. The kernel sorts
 * them, in one call.
 *
 * From a program that abstains there is no order: what the kernel would do is to play a
 * tournament, and so we do, for each place that is asked for.
 *
 * The processes of the root are nobody's child. Which place they have among its children,
 * where they are a candidate, rehearsals tell, with those before it out of the way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>

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
	order->list = calloc(nr + 1, sizeof(*order->list));
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

static bool is_among(const struct oom_order *order, int nr, __u64 id)
{
	int i;

	for (i = 0; i < nr && order->list[i]->id != id; i++)
		;
	return i < nr;
}

/* What is supposed, and of the first @nr that they are no candidates; its size. */
static size_t suppose_out(const struct oom_order *order, int nr, struct bpf_oom_priority *list)
{
	const struct bpf_oom_priority *supposed;
	int i, given, n = 0;

	given = oom_priority_supposed(&supposed) / sizeof(*supposed);
	for (i = 0; i < given; i++)
		if (!is_among(order, nr, supposed[i].cgroup_id))
			list[n++] = supposed[i];
	for (i = 0; i < nr; i++)
		list[n++] = (struct bpf_oom_priority) {
			.cgroup_id = order->list[i]->id,
			.state = BPF_OOM_PRIORITY_MAX,
		};
	return n * sizeof(*list);
}

/*
 * Do the processes of the root die first without the first @nr? 1, with their usage noted,
 * or 0; -1, without a word, if that cannot be told now.
 */
static int root_is_next(const struct oom_judge *judge, struct oom_order *order, int nr)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	const struct bpf_oom_priority *supposed;
	struct bpf_oom_priority *list;
	struct bpf_oom_step step;
	size_t size;
	__u64 data[2048] = {};
	int err;

	list = calloc(oom_priority_supposed(&supposed) / sizeof(*supposed) + nr + 1,
		      sizeof(*list));
	if (!list)
		return -1;
	size = suppose_out(order, nr, list);
	opts.data_in = size ? list : NULL;
	opts.data_size_in = size;
	opts.data_out = data;
	opts.data_size_out = sizeof(data);
	err = oom_rehearse_select(judge, order->root.id, &opts);
	free(list);
	if (err)
		return opts.retval && err == -ESRCH ? 0 : -1;
	if (!oom_steps_take(data, &step, 1) || step.winner_id != order->root.id)
		return 0;
	order->root.usage = step.winner_usage;
	order->root.freeable = step.winner_usage;
	return 1;
}

/* Their place: by halves, as who dies before one dies before all behind it. Or -1. */
static int root_place(const struct oom_judge *judge, struct oom_order *order)
{
	int from = 0, to = order->nr_ranked, middle, ret;

	while (from < to) {
		middle = from + (to - from) / 2;
		ret = root_is_next(judge, order, middle);
		if (ret < 0)
			return -1;
		if (ret)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/**
 * oom_order_root() - put the processes of the root among its children
 * @judge: whose order it is
 * @policy: by which it is asked, NULL: none; it has the flags
 * @parent: whose children are in order
 * @id: its id
 * @order: @order->root has an id afterwards if they take part. Then it is in the list, or
 *	   out if which place it has cannot be told.
 */
void oom_order_root(const struct oom_judge *judge, const struct oom_policy *policy,
		    const char *parent, __u64 id, struct oom_order *order)
{
	struct oom_child *root = &order->root;
	int place, ret = -1;

	if (strcmp(parent, "/") || !policy || strcmp(policy->path, "/") ||
	    !(policy->info.oom_policy.flags & BPF_F_OOM_POLICY_ROOT_TASKS))
		return;
	*root = (struct oom_child) { .id = id, .path = (char *)parent, .root_tasks = true };
	if (!order->abstained[0])
		ret = root_is_next(judge, order, order->nr_ranked);
	place = ret > 0 ? root_place(judge, order) : -1;
	if (!ret) {
		root->id = 0;		/* there is nobody to kill among them */
	} else if (place < 0) {
		root->out = "take part, in a place that cannot be told now";
	} else {
		memmove(&order->list[place + 1], &order->list[place],
			(order->nr - place) * sizeof(*order->list));
		order->list[place] = root;
		order->nr_ranked++;
		order->nr++;
	}
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
