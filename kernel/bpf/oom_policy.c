// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TYPE_OOM_POLICY: a program that compares two sibling memcgs and says
 * which is the better victim. This file is the program type and its link;
 * mm/oom_policy/ asks the program.
 *
 * A link holds a policy. It goes away with its last reference, by BPF_LINK_DETACH or
 * with the cgroup that the policy is attached to, whichever comes first. What a link's
 * program is, and where it is attached, is protected by oom_policy_mutex.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/bpf_verifier.h>
#include <linux/btf_ids.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/oom_policy_host.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "oom_policy.h"

static struct oom_policy *to_oom_policy(const struct bpf_link *link)
{
	return container_of(link, struct oom_policy, link);
}

static int oom_policy_link_detach(struct bpf_link *link)
{
	oom_policy_detach(to_oom_policy(link));
	return 0;
}

/*
 * The branch follows the link and not the slot: an event that has asked a policy
 * holds a reference on its link, and has to come to its end through the branch.
 */
static void oom_policy_link_release(struct bpf_link *link)
{
	oom_policy_link_detach(link);
	static_branch_dec(&oom_policy_attached);
}

static void oom_policy_link_dealloc(struct bpf_link *link)
{
	kfree(to_oom_policy(link));
}

/* On success *@prog is the one that was replaced. */
static int oom_policy_replace(struct bpf_link *link, struct bpf_prog **prog,
			      struct bpf_prog *old_prog)
{
	guard(mutex)(&oom_policy_mutex);

	if (old_prog && old_prog != link->prog)
		return -EPERM;
	if ((*prog)->type != link->prog->type ||
	    (*prog)->expected_attach_type != link->prog->expected_attach_type)
		return -EINVAL;
	if (oom_policy_state(to_oom_policy(link)) == BPF_OOM_LINK_DETACHED)
		return -ENOLINK;

	*prog = xchg(&link->prog, *prog);
	return 0;
}

/*
 * Between events: one event asks one program, which finds in the scratch words what
 * it has put there itself, and is the one that the report names.
 */
static int oom_policy_link_update(struct bpf_link *link, struct bpf_prog *new_prog,
				  struct bpf_prog *old_prog)
{
	int err;

	err = oom_policy_block();
	if (err)
		return err;
	err = oom_policy_replace(link, &new_prog, old_prog);
	oom_policy_unblock();

	if (!err)
		bpf_prog_put(new_prog);
	return err;
}

static int oom_policy_link_fill_info(const struct bpf_link *link,
				     struct bpf_link_info *info)
{
	struct bpf_oom_policy_info own;

	/* The same, field by field. */
	BUILD_BUG_ON(sizeof(own) != sizeof(info->oom_policy));
	BUILD_BUG_ON(offsetof(struct bpf_oom_policy_info, selections) !=
		     offsetof(struct bpf_link_info, oom_policy.selections) -
		     offsetof(struct bpf_link_info, oom_policy));

	oom_policy_get_info(to_oom_policy(link), &own);
	memcpy(&info->oom_policy, &own, sizeof(own));
	return 0;
}

static void oom_policy_link_show_fdinfo(const struct bpf_link *link,
					struct seq_file *seq)
{
	struct bpf_link_info info = {};

	oom_policy_link_fill_info(link, &info);
	seq_printf(seq,
		   "cgroup_id:\t%llu\n"
		   "attach_type:\t%u\n"
		   "flags:\t%#x\n"
		   "budget_us:\t%u\n"
		   "grace_ms:\t%u\n"
		   "max_futile:\t%u\n"
		   "state:\t%u\n"
		   "selections:\t%llu\n"
		   "comparisons:\t%llu\n"
		   "kills:\t%llu\n"
		   "fallback_none_eligible:\t%llu\n"
		   "fallback_budget:\t%llu\n"
		   "fallback_abstain:\t%llu\n"
		   "fallback_disabled:\t%llu\n"
		   "fallback_in_flight:\t%llu\n"
		   "fallback_grace:\t%llu\n"
		   "fallback_futile:\t%llu\n"
		   "spared:\t%llu\n"
		   "last_victim_cgroup_id:\t%llu\n"
		   "last_ns:\t%llu\n"
		   "worst_ns:\t%llu\n",
		   info.oom_policy.cgroup_id,
		   info.oom_policy.attach_type,
		   info.oom_policy.flags,
		   info.oom_policy.budget_us,
		   info.oom_policy.grace_ms,
		   info.oom_policy.max_futile,
		   info.oom_policy.state,
		   info.oom_policy.selections,
		   info.oom_policy.comparisons,
		   info.oom_policy.kills,
		   info.oom_policy.fallback_none_eligible,
		   info.oom_policy.fallback_budget,
		   info.oom_policy.fallback_abstain,
		   info.oom_policy.fallback_disabled,
		   info.oom_policy.fallback_in_flight,
		   info.oom_policy.fallback_grace,
		   info.oom_policy.fallback_futile,
		   info.oom_policy.spared,
		   info.oom_policy.last_victim_cgroup_id,
		   info.oom_policy.last_ns,
		   info.oom_policy.worst_ns);
}

const struct bpf_link_ops oom_policy_link_ops = {
	.release = oom_policy_link_release,
	.dealloc_deferred = oom_policy_link_dealloc,
	.detach = oom_policy_link_detach,
	.update_prog = oom_policy_link_update,
	.fill_link_info = oom_policy_link_fill_info,
	.show_fdinfo = oom_policy_link_show_fdinfo,
};

static int oom_policy_check_attr(const union bpf_attr *attr)
{
	const size_t used = offsetofend(union bpf_attr, link_create.oom_policy.max_futile);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	if (attr->link_create.flags)
		return -EINVAL;

	/* What the other link types have behind it. */
	if (memchr_inv((void *)attr + used, 0,
		       offsetofend(union bpf_attr, link_create) - used))
		return -EINVAL;

	return 0;
}

/**
 * bpf_oom_policy_link_attach - BPF_LINK_CREATE for an OOM policy
 * @attr: link_create: target_fd is a cgroup v2 directory, oom_policy the options
 * @prog: program of BPF_PROG_TYPE_OOM_POLICY; its reference passes to the link
 *
 * Return: the link's file descriptor; -EPERM without CAP_SYS_ADMIN in the
 * initial user namespace; -EINVAL for unknown flags or non-zero padding; -EBADF
 * if target_fd is not a cgroup v2 directory; -ENOENT if that cgroup is being
 * removed; -EOPNOTSUPP if the memory controller is not enabled there or not on
 * v2; -ERANGE if the grace or the budget is too long; -EBUSY if the slot is taken; -ENOMEM, or
 * what bpf_link_prime() returns.
 */
int bpf_oom_policy_link_attach(const union bpf_attr *attr, struct bpf_prog *prog)
{
	struct bpf_link_primer link_primer;
	struct mem_cgroup *memcg;
	struct oom_policy *policy;
	int err;

	err = oom_policy_check_attr(attr);
	if (err)
		return err;

	policy = kzalloc_obj(*policy, GFP_USER);
	if (!policy)
		return -ENOMEM;

	INIT_LIST_HEAD(&policy->dormant);
	policy->stage = oom_policy_stage(attr->link_create.attach_type);
	policy->flags = attr->link_create.oom_policy.flags;
	policy->budget_us = attr->link_create.oom_policy.budget_us;
	policy->grace_ms = attr->link_create.oom_policy.grace_ms;
	policy->max_futile = attr->link_create.oom_policy.max_futile;
	err = oom_policy_check_options(policy);
	if (err)
		goto out_free;

	memcg = oom_policy_memcg_of(cgroup_get_from_fd(attr->link_create.target_fd));
	if (IS_ERR(memcg)) {
		err = PTR_ERR(memcg);
		goto out_free;
	}

	bpf_link_init(&policy->link, BPF_LINK_TYPE_OOM_POLICY,
		      &oom_policy_link_ops, prog, prog->expected_attach_type);
	err = bpf_link_prime(&policy->link, &link_primer);
	if (err) {
		css_put(&memcg->css);
		goto out_free;
	}

	/* Outside of the mutex, which cgroup removal waits for. */
	static_branch_inc(&oom_policy_attached);
	err = oom_policy_attach(policy, memcg);
	css_put(&memcg->css);
	if (err) {
		static_branch_dec(&oom_policy_attached);
		bpf_link_cleanup(&link_primer);
		return err;
	}
	return bpf_link_settle(&link_primer);

out_free:
	kfree(policy);
	return err;
}

const struct bpf_prog_ops oom_policy_prog_ops = {
	.test_run = bpf_prog_test_run_oom_policy,
};

static int __init oom_policy_prog_init(void)
{
	oom_policy_verifier_init();
	return 0;
}
late_initcall(oom_policy_prog_init);

#define OOM_POLICY_KFUNC(name)	BTF_ID(func, name)
BTF_SET_START(oom_policy_kfuncs)
#include "oom_policy_kfuncs.h"
BTF_SET_END(oom_policy_kfuncs)
#undef OOM_POLICY_KFUNC

/**
 * oom_policy_kfunc_filter - keep OOM policies to the kfuncs that do not allocate
 * @prog: the program that calls
 * @kfunc_id: BTF id of the kfunc in vmlinux
 *
 * Return: -EACCES if @prog is an OOM policy and the kfunc is none of those, else 0.
 */
int oom_policy_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (resolve_prog_type(prog) != BPF_PROG_TYPE_OOM_POLICY)
		return 0;
	return btf_id_set_contains(&oom_policy_kfuncs, kfunc_id) ? 0 : -EACCES;
}

BTF_KFUNCS_START(oom_policy_kill_kfuncs)
BTF_ID_FLAGS(func, bpf_oom_policy_kill, KF_SLEEPABLE)
BTF_KFUNCS_END(oom_policy_kill_kfuncs)

static int oom_policy_kill_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	return btf_id_set8_contains(&oom_policy_kill_kfuncs, kfunc_id) ?
	       oom_policy_may_kill(prog) : 0;
}

static const struct btf_kfunc_id_set oom_policy_kill_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &oom_policy_kill_kfuncs,
	.filter	= oom_policy_kill_filter,
};

static int __init oom_policy_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &oom_policy_kill_kfunc_set);
}
late_initcall(oom_policy_kfunc_init);
