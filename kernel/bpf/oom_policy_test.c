// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TEST_RUN for OOM policies: comparisons of live memcgs, one or many, or of two
 * candidates that the caller has made up, the order of siblings, or the rehearsal of a
 * whole selection. Nobody is killed and nothing is counted; an OOM at the same time
 * neither waits for a rehearsal nor sees anything of it.
 */

#include <linux/array_size.h>
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/bpfptr.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/oom.h>
#include <linux/oom_policy_host.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define OOM_EVENT_FLAGS	(BPF_OOM_EVENT_GLOBAL |	\
			 BPF_OOM_EVENT_MEMCG |	\
			 BPF_OOM_EVENT_SYSRQ |	\
			 BPF_OOM_EVENT_EARLY |	\
			 BPF_OOM_EVENT_DRY_RUN)

/* Of what if: for some thousand cgroups. */
#define OOM_MAX_WHAT_IF	SZ_64K

/* Of siblings in order: more than there can be. */
#define OOM_MAX_SIBLINGS	SZ_1M

/* Which of two structures is longer, the caller's or ours, does not matter. */
static int oom_test_get_ctx(const union bpf_attr *kattr, struct bpf_oom_ctx *ctx)
{
	void __user *from = u64_to_user_ptr(kattr->test.ctx_in);
	u32 size = kattr->test.ctx_size_in;
	int err;

	if (size < offsetofend(struct bpf_oom_ctx, cgroup_id_2))
		return -EINVAL;
	err = bpf_check_uarg_tail_zero(USER_BPFPTR(from), sizeof(*ctx), size);
	if (err)
		return err;

	memset(ctx, 0, sizeof(*ctx));
	return copy_from_user(ctx, from, min_t(u32, size, sizeof(*ctx))) ? -EFAULT : 0;
}

/* Of live candidates the caller gives the ids, and the kernel the rest. */
static bool oom_test_ids_only(const struct bpf_oom_ctx *ctx)
{
	const size_t ids = offsetofend(struct bpf_oom_ctx, scope_id);

	return !memchr_inv((const void *)ctx + ids, 0, sizeof(*ctx) - ids);
}

/* Whoever has room for as much as was given knows of no more. */
static int oom_test_put_ctx(const union bpf_attr *kattr, union bpf_attr __user *uattr,
			    struct bpf_oom_ctx *ctx)
{
	void __user *to = u64_to_user_ptr(kattr->test.ctx_out);
	u32 given = min_t(u32, kattr->test.ctx_size_in, sizeof(*ctx));
	u32 room = kattr->test.ctx_size_out;
	u32 size = min_t(u32, room, sizeof(*ctx));

	if (!to)
		return 0;

	ctx->cgroup_1 = NULL;
	ctx->cgroup_2 = NULL;
	ctx->task_1 = NULL;
	ctx->task_2 = NULL;
	if (copy_to_user(to, ctx, size) || clear_user(to + size, room - size) ||
	    put_user((u32)sizeof(*ctx), &uattr->test.ctx_size_out))
		return -EFAULT;
	return room < given ? -ENOSPC : 0;
}

static int oom_test_put_steps(const union bpf_attr *kattr, union bpf_attr __user *uattr,
			      struct bpf_oom_steps *head, const struct bpf_oom_step *steps)
{
	void __user *to = u64_to_user_ptr(kattr->test.data_out);
	u32 need = sizeof(*head) + head->nr_steps * sizeof(*steps);
	u32 room = kattr->test.data_size_out;

	if (!to)
		return 0;
	if (put_user(need, &uattr->test.data_size_out))
		return -EFAULT;
	if (room < sizeof(*head))
		return -ENOSPC;

	if (room < need) {
		head->nr_steps = (room - sizeof(*head)) / sizeof(*steps);
		head->flags |= BPF_OOM_STEPS_TRUNCATED;
	}
	if (copy_to_user(to, head, sizeof(*head)) ||
	    copy_to_user(to + sizeof(*head), steps, head->nr_steps * sizeof(*steps)))
		return -EFAULT;
	return room < need ? -ENOSPC : 0;
}

static int oom_test_cmp_priority(const void *a, const void *b)
{
	const struct bpf_oom_priority *prio_a = a, *prio_b = b;

	if (prio_a->cgroup_id == prio_b->cgroup_id)
		return 0;
	return prio_a->cgroup_id < prio_b->cgroup_id ? -1 : 1;
}

static bool oom_test_valid_what_if(const struct oom_policy_what_if *what_if)
{
	const struct bpf_oom_priority *prio = what_if->list;
	u32 i;

	for (i = 0; i < what_if->nr; i++, prio++) {
		if (prio->state > BPF_OOM_PRIORITY_MAX || prio->reserved ||
		    (prio->priority && prio->state != BPF_OOM_PRIORITY_SET) ||
		    (i && prio->cgroup_id == prio[-1].cgroup_id))
			return false;
	}
	return true;
}

/* 0 and NULL if nothing is supposed; else the caller frees the list. */
static int oom_test_get_what_if(const union bpf_attr *kattr,
				struct oom_policy_what_if *what_if,
				const struct oom_policy_what_if **given)
{
	void __user *from = u64_to_user_ptr(kattr->test.data_in);
	u32 size = kattr->test.data_size_in;

	*given = NULL;
	if (!from != !size || size % sizeof(*what_if->list))
		return -EINVAL;
	if (!size)
		return 0;
	if (size > OOM_MAX_WHAT_IF)
		return -E2BIG;

	what_if->list = vmemdup_user(from, size);
	if (IS_ERR(what_if->list))
		return PTR_ERR(what_if->list);
	what_if->nr = size / sizeof(*what_if->list);
	sort(what_if->list, what_if->nr, sizeof(*what_if->list), oom_test_cmp_priority, NULL);
	if (!oom_test_valid_what_if(what_if)) {
		kvfree(what_if->list);
		return -EINVAL;
	}
	*given = what_if;
	return 0;
}

static int oom_test_repeat(struct bpf_prog *prog, struct bpf_oom_ctx *ctx, u32 repeat,
			   u32 *verdict, u32 *duration)
{
	const u64 scratch_1 = ctx->scratch_1;
	const u64 scratch_2 = ctx->scratch_2;
	u64 start, ns = 0;
	u32 i;

	for (i = 0; i < repeat; i++) {
		if (signal_pending(current))
			return -EINTR;
		cond_resched();

		ctx->scratch_1 = scratch_1;
		ctx->scratch_2 = scratch_2;
		rcu_read_lock();
		start = ktime_get_ns();
		*verdict = oom_policy_verdict(NULL, bpf_prog_run_pin_on_cpu(prog, ctx));
		ns += ktime_get_ns() - start;
		rcu_read_unlock();
	}
	*duration = min_t(u64, div_u64(ns, repeat), U32_MAX);
	return 0;
}

static bool oom_test_valid_adj(s32 adj)
{
	return adj >= OOM_SCORE_ADJ_MIN && adj <= OOM_SCORE_ADJ_MAX;
}

/* Nothing is looked up: the values may be any that an event could come with. */
static bool oom_test_valid_ctx(const struct bpf_prog *prog, const struct bpf_oom_ctx *ctx)
{
	const size_t pointers = offsetof(struct bpf_oom_ctx, priority_1) -
				offsetof(struct bpf_oom_ctx, cgroup_1);

	if (ctx->flags & ~OOM_EVENT_FLAGS ||
	    (ctx->flags & BPF_OOM_EVENT_GLOBAL && ctx->flags & BPF_OOM_EVENT_MEMCG))
		return false;
	if (memchr_inv(&ctx->cgroup_1, 0, pointers))
		return false;
	if (oom_policy_judges_tasks(prog))
		return oom_test_valid_adj(ctx->oom_score_adj_1) &&
		       oom_test_valid_adj(ctx->oom_score_adj_2);
	return ctx->cgroup_id_1 != ctx->cgroup_id_2 && !ctx->pid_1 && !ctx->pid_2 &&
	       !ctx->oom_score_adj_1 && !ctx->oom_score_adj_2;
}

/* The verifier has promised pointers that can be followed, to whatever it is. */
static int oom_test_invented(struct bpf_prog *prog, const union bpf_attr *kattr,
			     struct bpf_oom_ctx *ctx, u32 *verdict, u32 *duration)
{
	if (kattr->test.data_in || kattr->test.data_size_in ||
	    kattr->test.data_out || kattr->test.data_size_out ||
	    !oom_test_valid_ctx(prog, ctx))
		return -EINVAL;

	ctx->cgroup_1 = &cgrp_dfl_root.cgrp;
	ctx->cgroup_2 = &cgrp_dfl_root.cgrp;
	if (oom_policy_judges_tasks(prog)) {
		ctx->task_1 = current;
		ctx->task_2 = current;
	}
	return oom_test_repeat(prog, ctx, kattr->test.repeat ?: 1, verdict, duration);
}

/* The root unless the caller has named another; for oom_test_put_scope(). */
static struct mem_cgroup *oom_test_get_scope(u64 scope_id)
{
	return scope_id ? oom_policy_get_memcg(scope_id) : root_mem_cgroup;
}

static void oom_test_put_scope(struct mem_cgroup *scope)
{
	if (scope != root_mem_cgroup)
		mem_cgroup_put(scope);
}

static bool oom_test_siblings(struct mem_cgroup *memcg_1, struct mem_cgroup *memcg_2,
			      struct mem_cgroup *scope)
{
	struct mem_cgroup *parent = parent_mem_cgroup(memcg_1);

	return parent && parent == parent_mem_cgroup(memcg_2) &&
	       mem_cgroup_is_descendant(parent, scope);
}

/* Pairs come in rows, and each both ways round: not every one has to be looked up. */
struct oom_test_last {
	struct mem_cgroup *memcg[2];	/* of the pair before, referenced, or NULL */
};

static struct mem_cgroup *oom_test_find(const struct oom_test_last *last, u64 id)
{
	int i;

	for (i = 0; last && i < ARRAY_SIZE(last->memcg); i++) {
		if (last->memcg[i] && cgroup_id(last->memcg[i]->css.cgroup) == id) {
			css_get(&last->memcg[i]->css);
			return last->memcg[i];
		}
	}
	return oom_policy_get_memcg(id);
}

/* Two memcgs that can be told apart; for mem_cgroup_put(). */
static int oom_test_get_two(const struct oom_test_last *last, u64 id_1, u64 id_2,
			    struct mem_cgroup **memcg_1, struct mem_cgroup **memcg_2)
{
	if (id_1 == id_2)
		return -EINVAL;

	*memcg_1 = oom_test_find(last, id_1);
	if (IS_ERR(*memcg_1))
		return PTR_ERR(*memcg_1);
	*memcg_2 = oom_test_find(last, id_2);
	if (IS_ERR(*memcg_2)) {
		mem_cgroup_put(*memcg_1);
		return PTR_ERR(*memcg_2);
	}
	return 0;
}

static void oom_test_keep(struct oom_test_last *last, struct mem_cgroup *memcg_1,
			  struct mem_cgroup *memcg_2)
{
	mem_cgroup_put(last->memcg[0]);
	mem_cgroup_put(last->memcg[1]);
	last->memcg[0] = memcg_1;
	last->memcg[1] = memcg_2;
}

static int oom_test_compare(struct bpf_prog *prog, const union bpf_attr *kattr,
			    struct bpf_oom_ctx *ctx,
			    const struct oom_policy_what_if *what_if,
			    u32 *verdict, u32 *duration)
{
	struct mem_cgroup *memcg_1, *memcg_2, *scope;
	int err;

	if (oom_policy_judges_tasks(prog))
		return -EOPNOTSUPP;
	if (kattr->test.data_out || kattr->test.data_size_out || !oom_test_ids_only(ctx))
		return -EINVAL;

	err = oom_test_get_two(NULL, ctx->cgroup_id_1, ctx->cgroup_id_2, &memcg_1, &memcg_2);
	if (err)
		return err;

	scope = oom_test_get_scope(ctx->scope_id);
	if (IS_ERR(scope)) {
		err = PTR_ERR(scope);
		goto out;
	}
	if (oom_test_siblings(memcg_1, memcg_2, scope)) {
		oom_policy_fill_ctx(ctx, scope, memcg_1, memcg_2, what_if);
		err = oom_test_repeat(prog, ctx, kattr->test.repeat ?: 1, verdict,
				      duration);
	} else {
		err = -EXDEV;
	}
	oom_test_put_scope(scope);
out:
	mem_cgroup_put(memcg_2);
	mem_cgroup_put(memcg_1);
	return err;
}

/* The verdict, or -errno; all of @pair is filled in but that. */
static int oom_test_pair(struct bpf_prog *prog, struct mem_cgroup *scope,
			 const struct oom_policy_what_if *what_if,
			 struct oom_test_last *last, struct bpf_oom_pair *pair)
{
	struct mem_cgroup *memcg_1, *memcg_2;
	struct bpf_oom_ctx ctx;
	int ret;

	*pair = (struct bpf_oom_pair) {
		.cgroup_id_1 = pair->cgroup_id_1,
		.cgroup_id_2 = pair->cgroup_id_2,
	};
	ret = oom_test_get_two(last, pair->cgroup_id_1, pair->cgroup_id_2, &memcg_1, &memcg_2);
	if (ret)
		return ret;
	oom_test_keep(last, memcg_1, memcg_2);
	if (!oom_test_siblings(memcg_1, memcg_2, scope))
		return -EXDEV;

	oom_policy_fill_ctx(&ctx, scope, memcg_1, memcg_2, what_if);
	pair->usage_1 = ctx.usage_1;
	pair->usage_2 = ctx.usage_2;
	pair->swap_1 = ctx.swap_1;
	pair->swap_2 = ctx.swap_2;

	rcu_read_lock();
	ret = oom_policy_verdict(NULL, bpf_prog_run_pin_on_cpu(prog, &ctx));
	rcu_read_unlock();
	return ret;
}

static int oom_test_pairs(struct bpf_prog *prog, const union bpf_attr *kattr,
			  struct mem_cgroup *scope, const struct oom_policy_what_if *what_if)
{
	struct bpf_oom_pair __user *user = u64_to_user_ptr(kattr->test.data_out);
	u32 n = kattr->test.data_size_out / sizeof(*user);
	struct oom_test_last last = {};
	struct bpf_oom_pair pair;
	int err = 0;

	for (; n && !err; n--, user++) {
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();

		if (copy_from_user(&pair, user, sizeof(pair))) {
			err = -EFAULT;
			break;
		}
		pair.verdict = oom_test_pair(prog, scope, what_if, &last, &pair);
		if (copy_to_user(user, &pair, sizeof(pair)))
			err = -EFAULT;
	}
	oom_test_keep(&last, NULL, NULL);
	return err;
}

static bool oom_test_ascend(const struct bpf_oom_sibling *siblings, u32 nr)
{
	u32 i;

	for (i = 1; i < nr; i++)
		if (siblings[i].cgroup_id <= siblings[i - 1].cgroup_id)
			return false;
	return true;
}

/* 0 or BPF_OOM_ABSTAIN, or -errno. */
static int oom_test_order(struct bpf_prog *prog, const union bpf_attr *kattr,
			  struct mem_cgroup *scope, const struct oom_policy_what_if *what_if,
			  struct bpf_oom_ctx *ctx)
{
	void __user *user = u64_to_user_ptr(kattr->test.data_out);
	const u32 size = kattr->test.data_size_out;
	struct bpf_oom_sibling *siblings;
	u32 nr = size / sizeof(*siblings);
	int ret;

	if (nr > OOM_MAX_SIBLINGS)
		return -E2BIG;
	siblings = vmemdup_user(user, size);
	if (IS_ERR(siblings))
		return PTR_ERR(siblings);

	ret = oom_test_ascend(siblings, nr) ?
	      oom_policy_order(prog, scope, what_if, siblings, nr, ctx) : -EINVAL;
	if (ret >= 0 && copy_to_user(user, siblings, size))
		ret = -EFAULT;
	kvfree(siblings);
	return ret;
}

/* Pairs, or an order. */
static int oom_test_many(struct bpf_prog *prog, const union bpf_attr *kattr,
			 struct bpf_oom_ctx *ctx, const struct oom_policy_what_if *what_if,
			 u32 *verdict, u32 *duration)
{
	const bool pairs = kattr->test.flags & BPF_F_TEST_OOM_PAIRS;
	const u32 size = pairs ? sizeof(struct bpf_oom_pair) : sizeof(struct bpf_oom_sibling);
	struct mem_cgroup *scope;
	u64 start;
	int ret;

	if (oom_policy_judges_tasks(prog))
		return -EOPNOTSUPP;
	if (!kattr->test.data_size_out || kattr->test.data_size_out % size ||
	    kattr->test.repeat > 1 || ctx->cgroup_id_1 || ctx->cgroup_id_2 ||
	    !oom_test_ids_only(ctx))
		return -EINVAL;

	scope = oom_test_get_scope(ctx->scope_id);
	if (IS_ERR(scope))
		return PTR_ERR(scope);
	start = ktime_get_ns();
	ret = pairs ? oom_test_pairs(prog, kattr, scope, what_if) :
		      oom_test_order(prog, kattr, scope, what_if, ctx);
	*duration = min_t(u64, ktime_get_ns() - start, U32_MAX);
	oom_test_put_scope(scope);
	if (ret < 0)
		return ret;
	*verdict = ret;
	return 0;
}

/*
 * The options of the link by which the program rules at @scope, if it does. Where a memcg
 * meets its limit, links without the flag are asked by nobody: they leave it to those
 * above, and count only if there is no better link of the program.
 */
static void oom_test_attached(struct oom_policy *policy, struct mem_cgroup *scope)
{
	const bool global = mem_cgroup_is_root(scope);
	struct oom_policy *attached, *found = NULL;
	bool asked = false;

	rcu_read_lock();
	for (; scope && !asked; scope = parent_mem_cgroup(scope)) {
		attached = rcu_dereference(oom_policy_memcg(scope)->policy[policy->stage]);
		if (!attached)
			continue;
		asked = global || attached->flags & BPF_F_OOM_POLICY_MEMCG;
		if (oom_policy_prog(attached) == oom_policy_prog(policy) && (asked || !found))
			found = attached;
	}
	if (found) {
		policy->flags = found->flags;
		policy->budget_us = found->budget_us;
		policy->grace_ms = found->grace_ms;
		policy->max_futile = found->max_futile;
	}
	rcu_read_unlock();
}

static int oom_test_select(struct bpf_prog *prog, const union bpf_attr *kattr,
			   union bpf_attr __user *uattr, struct bpf_oom_ctx *ctx,
			   const struct oom_policy_what_if *what_if,
			   u32 *retval, u32 *duration)
{
	struct bpf_oom_steps head = {
		.header_size = sizeof(head),
		.step_size = sizeof(struct bpf_oom_step),
	};
	struct bpf_oom_step *steps;
	struct oom_policy *policy;
	struct mem_cgroup *scope;
	int err = -ENOMEM;
	u64 start;

	if (kattr->test.repeat > 1 || ctx->cgroup_id_2 || ctx->scope_id ||
	    !oom_test_ids_only(ctx))
		return -EINVAL;

	scope = oom_policy_get_memcg(ctx->cgroup_id_1);
	if (IS_ERR(scope))
		return PTR_ERR(scope);

	policy = kzalloc_obj(*policy, GFP_KERNEL);
	steps = kcalloc(OOM_POLICY_STEPS + 1, sizeof(*steps), GFP_KERNEL);
	if (!policy || !steps)
		goto out;

	oom_policy_init_link(policy, prog);
	policy->stage = oom_policy_judges_tasks(prog) ? OOM_POLICY_STAGE_TASK :
						       OOM_POLICY_STAGE_MEMCG;
	policy->budget_us = OOM_POLICY_DEFAULT_BUDGET_US;
	policy->max_futile = OOM_POLICY_DEFAULT_FUTILE;
	oom_test_attached(policy, scope);

	start = ktime_get_ns();
	err = oom_policy_rehearse(policy, scope, what_if, ctx, &head, steps);
	*duration = min_t(u64, ktime_get_ns() - start, U32_MAX);
	/* Without a rehearsal there is no answer, and the call itself has failed. */
	if (err == -ENOMEM || err == -EOPNOTSUPP || err == -EINTR)
		goto out;

	*retval = err;
	err = oom_test_put_steps(kattr, uattr, &head, steps);
out:
	kfree(steps);
	kfree(policy);
	mem_cgroup_put(scope);
	return err;
}

static int oom_test_live(struct bpf_prog *prog, const union bpf_attr *kattr,
			 union bpf_attr __user *uattr, struct bpf_oom_ctx *ctx, u32 *retval,
			 u32 *duration)
{
	const struct oom_policy_what_if *given;
	struct oom_policy_what_if what_if;
	int err;

	err = oom_test_get_what_if(kattr, &what_if, &given);
	if (err)
		return err;
	switch (kattr->test.flags) {
	case 0:
		err = oom_test_compare(prog, kattr, ctx, given, retval, duration);
		break;
	case BPF_F_TEST_OOM_SELECT:
		err = oom_test_select(prog, kattr, uattr, ctx, given, retval, duration);
		break;
	default:
		err = oom_test_many(prog, kattr, ctx, given, retval, duration);
	}
	if (given)
		kvfree(given->list);
	return err;
}

/**
 * bpf_prog_test_run_oom_policy - BPF_PROG_TEST_RUN
 * @prog: the program, attached or not
 * @kattr: test: ctx_in is a struct bpf_oom_ctx
 * @uattr: where the results go
 *
 * Without flags the two cgroups whose ids are in the context are compared, repeat times,
 * for a shortage in the one of scope_id, or in the root: retval is the verdict, ctx_out
 * the context as the program left it, duration in ns per call. With BPF_F_TEST_OOM_CTX
 * they are compared by what else is in the context, whether there are such cgroups or
 * not. With BPF_F_TEST_OOM_PAIRS many pairs are compared like that, each with a verdict of
 * its own: data_out is an array of struct bpf_oom_pair, read and written back. With
 * BPF_F_TEST_OOM_ORDER siblings are sorted: data_out is an array of struct bpf_oom_sibling
 * in the order of their ids, which comes back in that of dying; retval is 0, or
 * BPF_OOM_ABSTAIN if there is none as the program abstains between the two in ctx_out. Of
 * the context of both only scope_id counts, the cgroup ids are 0, and duration is ns for
 * all of it. With BPF_F_TEST_OOM_SELECT a selection with cgroup_id_1 as its scope is rehearsed
 * as if @prog were attached there: data_out is a struct bpf_oom_steps with its steps,
 * retval 0 or -errno (-ESRCH nobody to kill, -EBUSY a victim is dying), and ctx_out has
 * the victim as candidate 1. Wherever cgroups are live data_in can have priorities
 * (struct bpf_oom_priority) that are to be taken for written.
 *
 * A context may be shorter or longer than the kernel's, as long as what is beyond it
 * is zero.
 *
 * Return: 0; -EINVAL for other flags, sizes or fields; -E2BIG for a longer context with
 * something in it, for one of more than a page, for too many priorities or siblings; -ENOENT for
 * an id that no cgroup has; -EOPNOTSUPP if it has no memory controller, or to compare
 * cgroups by a program that compares tasks; -EXDEV if the two are not siblings, or not
 * below the scope; -ENOSPC if
 * an answer does not fit; -EINTR, -ENOMEM, -EFAULT.
 */
int bpf_prog_test_run_oom_policy(struct bpf_prog *prog, const union bpf_attr *kattr,
				 union bpf_attr __user *uattr)
{
	u32 retval = 0, duration = 0;
	struct bpf_oom_ctx ctx;
	int err;

	if (kattr->test.cpu || kattr->test.batch_size)
		return -EINVAL;
	if (kattr->test.ctx_size_out > PAGE_SIZE)
		return -E2BIG;

	err = oom_test_get_ctx(kattr, &ctx);
	if (err)
		return err;

	switch (kattr->test.flags) {
	case 0:
	case BPF_F_TEST_OOM_SELECT:
	case BPF_F_TEST_OOM_PAIRS:
	case BPF_F_TEST_OOM_ORDER:
		err = oom_test_live(prog, kattr, uattr, &ctx, &retval, &duration);
		break;
	case BPF_F_TEST_OOM_CTX:
		err = oom_test_invented(prog, kattr, &ctx, &retval, &duration);
		break;
	default:
		err = -EINVAL;
	}
	if (err)
		return err;

	err = oom_test_put_ctx(kattr, uattr, &ctx);
	if (put_user(retval, &uattr->test.retval) ||
	    put_user(duration, &uattr->test.duration))
		return -EFAULT;
	return err;
}
