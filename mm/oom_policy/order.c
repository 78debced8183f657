// SPDX-License-Identifier: GPL-2.0-only
/*
 * Siblings in the order in which they would die, by the verdicts of a program.
 *
 * Each is looked up once, and what it holds then counts to the end: thousands of them
 * take a hundred thousand comparisons. Merging asks the fewest, ends with a program that
 * contradicts itself, too, and never turns two around: who was before the other in the
 * list, as the kernel meets them, is candidate 1.
 */

#include <linux/bpf_oom_policy.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/memcontrol.h>
#include <linux/oom_policy_host.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compare.h"

/* @cand.node is NULL where there is no such memcg. */
struct oom_place {
	struct list_head list;
	struct oom_cand cand;
	struct bpf_oom_sibling told;
};

/* @end: BPF_OOM_ABSTAIN or -errno, and nobody is asked any more. */
struct oom_order {
	struct bpf_prog *prog;
	struct bpf_oom_ctx *ctx;
	int end;
};

static bool oom_order_ends(struct oom_order *order)
{
	if (!order->end && signal_pending(current))
		order->end = -EINTR;
	cond_resched();
	return order->end;
}

/* Above 0: @b goes before @a. */
static int oom_order_compare(void *arg, const struct list_head *a, const struct list_head *b)
{
	const struct oom_place *first = list_entry(a, struct oom_place, list);
	const struct oom_place *second = list_entry(b, struct oom_place, list);
	struct oom_order *order = arg;
	u32 verdict;

	if (oom_order_ends(order))
		return 0;

	oom_policy_set_cand_1(order->ctx, &first->cand);
	oom_policy_set_cand_2(order->ctx, &second->cand);
	rcu_read_lock();
	verdict = oom_policy_verdict(NULL, bpf_prog_run_pin_on_cpu(order->prog, order->ctx));
	rcu_read_unlock();

	switch (verdict) {
	case BPF_OOM_FIRST:
		return 0;
	case BPF_OOM_SECOND:
		return 1;
	case BPF_OOM_EQUAL:
		return oom_cand_larger(&second->cand, &first->cand);
	default:
		order->end = BPF_OOM_ABSTAIN;
		return 0;
	}
}

/* Whose children they are is up to the first that is found. */
static int oom_place_fill(struct oom_place *place, struct mem_cgroup *scope,
			  struct mem_cgroup **parent, const struct oom_policy_what_if *what_if)
{
	struct bpf_oom_sibling *told = &place->told;
	struct mem_cgroup *memcg, *above;
	bool candidate;

	memcg = oom_policy_get_memcg(told->cgroup_id);
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);

	above = parent_mem_cgroup(memcg);
	if (!above || (*parent && above != *parent) ||
	    !mem_cgroup_is_descendant(above, scope)) {
		mem_cgroup_put(memcg);
		return -EXDEV;
	}
	*parent = above;

	rcu_read_lock();
	candidate = oom_policy_cand_if(&place->cand, memcg, what_if);
	rcu_read_unlock();
	told->usage = place->cand.usage;
	told->swap = place->cand.swap;
	if (cgroup_is_populated(memcg->css.cgroup))
		told->flags |= BPF_OOM_SIBLING_POPULATED;
	if (!candidate)
		told->flags |= BPF_OOM_SIBLING_MAX;
	return 0;
}

/**
 * oom_policy_order - put siblings in the order in which they would die
 * @prog: compares them
 * @scope: as if the shortage were there
 * @what_if: priorities that are to be taken for written, or NULL
 * @siblings: have the ids; become sorted, those who take no part behind the others
 * @nr: how many
 * @ctx: becomes that of the last comparison
 *
 * Sleeps, but takes no lock that an OOM needs.
 *
 * Return: 0; BPF_OOM_ABSTAIN if there is no order, as the program abstains between the
 * two in @ctx; -EINTR a signal; -ENOMEM.
 */
int oom_policy_order(struct bpf_prog *prog, struct mem_cgroup *scope,
		     const struct oom_policy_what_if *what_if,
		     struct bpf_oom_sibling *siblings, u32 nr, struct bpf_oom_ctx *ctx)
{
	struct oom_order order = { .prog = prog, .ctx = ctx };
	struct mem_cgroup *parent = NULL;
	struct oom_place *places, *place;
	LIST_HEAD(in);
	LIST_HEAD(out);
	u32 i;

	places = kvcalloc(nr, sizeof(*places), GFP_KERNEL);
	if (!places)
		return -ENOMEM;

	for (i = 0; i < nr && !oom_order_ends(&order); i++) {
		place = &places[i];
		place->told.cgroup_id = siblings[i].cgroup_id;
		place->told.err = oom_place_fill(place, scope, &parent, what_if);
		list_add_tail(&place->list,
			      place->told.flags == BPF_OOM_SIBLING_POPULATED ? &in : &out);
	}
	if (parent)
		oom_policy_ctx_below(ctx, scope, parent);
	list_sort(&order, &in, oom_order_compare);
	list_splice_tail(&out, &in);

	i = 0;
	list_for_each_entry(place, &in, list)
		siblings[i++] = place->told;
	for (i = 0; i < nr; i++)
		if (places[i].cand.node)
			mem_cgroup_put(places[i].cand.node);
	kvfree(places);
	return order.end;
}
