// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TYPE_OOM_POLICY: a program that compares two sibling memcgs and says
 * which is the better victim. This file is the program type and its link;
 * mm/oom_policy/ asks the program.
 *
 * A link belongs to a cgroup, and occupies one slot of the memcg that the cgroup has
 * while the memory controller is enabled for it. In between the link is dormant. It goes
 * away with its last reference, by BPF_LINK_DETACH or with the cgroup, whichever comes
 * first.
 *
 * oom_policy_mutex serializes everything that changes a slot or a link's program. It
 * nests inside cgroup_mutex, and, where a program is replaced, inside oom_lock.
 * Selection never takes it: it reads slots under RCU, and holds a reference on a link
 * whose program it goes on asking.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/bpf_verifier.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#define OOM_POLICY_FLAGS	(BPF_F_OOM_POLICY_MEMCG |	\
				 BPF_F_OOM_POLICY_KILL_ALL |	\
				 BPF_F_OOM_POLICY_ROOT_TASKS)

DEFINE_STATIC_KEY_FALSE(oom_policy_attached);

static DEFINE_MUTEX(oom_policy_mutex);

/* Links whose cgroup has no memcg at present; oom_policy_mutex. */
static LIST_HEAD(oom_policy_dormant);

static struct oom_policy *to_oom_policy(const struct bpf_link *link)
{
	return container_of(link, struct oom_policy, link);
}

static void oom_policy_fill_slot(struct oom_policy *policy, struct mem_cgroup *memcg)
{
	lockdep_assert_held(&oom_policy_mutex);

	policy->memcg = memcg;
	rcu_assign_pointer(memcg->oom_policy.policy[policy->stage], policy);
}

static void oom_policy_clear_slot(struct oom_policy *policy)
{
	lockdep_assert_held(&oom_policy_mutex);

	if (!policy->memcg)
		return;

	RCU_INIT_POINTER(policy->memcg->oom_policy.policy[policy->stage], NULL);
	policy->memcg = NULL;
}

static void oom_policy_detach(struct oom_policy *policy)
{
	oom_policy_clear_slot(policy);
	list_del_init(&policy->dormant);
	policy->cgroup_id = 0;
}

/* Cleared before the memcg of a cgroup that is being removed goes offline. */
static bool oom_policy_cgroup_removed(const struct cgroup *cgrp)
{
	return !(READ_ONCE(cgrp->self.flags) & CSS_ONLINE);
}

static bool oom_policy_cgroup_exists(u64 cgroup_id)
{
	struct cgroup *cgrp = __cgroup_get_from_id(cgroup_id);

	if (IS_ERR(cgrp))
		return false;
	cgroup_put(cgrp);
	return true;
}

/*
 * A cgroup does not tell of its removal whom it has no memcg for, and a dormant link
 * does not keep a cgroup: that it is gone is seen when somebody asks.
 */
static enum bpf_oom_link_state oom_policy_state(struct oom_policy *policy)
{
	lockdep_assert_held(&oom_policy_mutex);

	if (policy->memcg)
		return cgroup_subsys_on_dfl(memory_cgrp_subsys) ? BPF_OOM_LINK_IN_FORCE :
								  BPF_OOM_LINK_DORMANT;
	if (policy->cgroup_id && !oom_policy_cgroup_exists(policy->cgroup_id))
		oom_policy_detach(policy);
	return policy->cgroup_id ? BPF_OOM_LINK_DORMANT : BPF_OOM_LINK_DETACHED;
}

/**
 * __oom_policy_memcg_online - put in force again what is attached to a memcg's cgroup
 * @memcg: the memcg, which its cgroup does not show yet; cgroup_mutex is held
 *
 * So the slots are still empty, and nobody but the owner of the id is found: that of a
 * removed cgroup does not come again.
 */
void __oom_policy_memcg_online(struct mem_cgroup *memcg)
{
	const u64 id = cgroup_id(memcg->css.cgroup);
	struct oom_policy *policy, *next;

	/* The ids of cgroup v1 are others. */
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return;

	mutex_lock(&oom_policy_mutex);
	list_for_each_entry_safe(policy, next, &oom_policy_dormant, dormant) {
		if (policy->cgroup_id != id)
			continue;
		list_del_init(&policy->dormant);
		oom_policy_fill_slot(policy, memcg);
	}
	mutex_unlock(&oom_policy_mutex);
}

/**
 * oom_policy_memcg_offline - take out of force what is attached to a memcg's cgroup
 * @memcg: the memcg, which goes away; cgroup_mutex is held
 *
 * If the cgroup goes away, too, that is the end of the attachment: the links stay,
 * detached, until their last reference is dropped.
 */
void oom_policy_memcg_offline(struct mem_cgroup *memcg)
{
	struct oom_policy_memcg *slots = &memcg->oom_policy;
	struct oom_policy *policy;
	int stage;

	mutex_lock(&oom_policy_mutex);
	slots->offline = true;
	for (stage = 0; stage < NR_OOM_POLICY_STAGES; stage++) {
		policy = rcu_dereference_protected(slots->policy[stage],
						   lockdep_is_held(&oom_policy_mutex));
		if (!policy)
			continue;
		if (oom_policy_cgroup_removed(memcg->css.cgroup)) {
			oom_policy_detach(policy);
		} else {
			oom_policy_clear_slot(policy);
			list_add_tail(&policy->dormant, &oom_policy_dormant);
		}
	}
	mutex_unlock(&oom_policy_mutex);
}

static int oom_policy_link_detach(struct bpf_link *link)
{
	mutex_lock(&oom_policy_mutex);
	oom_policy_detach(to_oom_policy(link));
	mutex_unlock(&oom_policy_mutex);
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
	struct oom_policy *policy = to_oom_policy(link);

	mutex_lock(&oom_policy_mutex);
	info->oom_policy.state = oom_policy_state(policy);
	info->oom_policy.cgroup_id = policy->cgroup_id;
	mutex_unlock(&oom_policy_mutex);

	info->oom_policy.attach_type = policy->stage == OOM_POLICY_STAGE_TASK ?
				       BPF_OOM_POLICY_TASK : BPF_OOM_POLICY;
	info->oom_policy.flags = policy->flags;
	info->oom_policy.budget_us = policy->budget_us;
	info->oom_policy.grace_ms = policy->grace_ms;
	info->oom_policy.max_futile = policy->max_futile;
	info->oom_policy.selections = READ_ONCE(policy->stats.selections);
	info->oom_policy.comparisons = READ_ONCE(policy->stats.comparisons);
	info->oom_policy.kills = READ_ONCE(policy->stats.kills);
	info->oom_policy.fallback_none_eligible =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_NONE_ELIGIBLE]);
	info->oom_policy.fallback_budget =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_BUDGET]);
	info->oom_policy.fallback_abstain =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_ABSTAINED]);
	info->oom_policy.fallback_disabled =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_DISABLED]);
	info->oom_policy.fallback_in_flight =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_IN_FLIGHT]);
	info->oom_policy.fallback_grace =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_GRACE]);
	info->oom_policy.fallback_futile =
		READ_ONCE(policy->stats.fallbacks[OOM_POLICY_FUTILE]);
	info->oom_policy.spared = READ_ONCE(policy->stats.spared);
	info->oom_policy.last_victim_cgroup_id = READ_ONCE(policy->stats.last_victim);
	info->oom_policy.last_ns = READ_ONCE(policy->stats.last_ns);
	info->oom_policy.worst_ns = READ_ONCE(policy->stats.worst_ns);
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
	u32 known = OOM_POLICY_FLAGS;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	if (attr->link_create.attach_type == BPF_OOM_POLICY_TASK)
		known = BPF_F_OOM_POLICY_MEMCG;
	if (attr->link_create.flags || attr->link_create.oom_policy.flags & ~known)
		return -EINVAL;
	if (attr->link_create.oom_policy.grace_ms > OOM_POLICY_MAX_GRACE_MS ||
	    attr->link_create.oom_policy.budget_us > OOM_POLICY_MAX_BUDGET_US)
		return -ERANGE;

	/* What the other link types have behind it. */
	if (memchr_inv((void *)attr + used, 0,
		       offsetofend(union bpf_attr, link_create) - used))
		return -EINVAL;

	return 0;
}

static int oom_policy_no_memcg(const struct cgroup *cgrp)
{
	return oom_policy_cgroup_removed(cgrp) ? -ENOENT : -EOPNOTSUPP;
}

/* Consumes the reference on @cgrp. */
static struct mem_cgroup *oom_policy_memcg_of(struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css;
	struct mem_cgroup *memcg;

	if (IS_ERR(cgrp))
		return ERR_CAST(cgrp);

	/* Its own css: an ancestor's would silently govern more than asked for. */
	rcu_read_lock();
	css = rcu_dereference(cgrp->subsys[memory_cgrp_id]);
	if (css && css_tryget_online(css))
		memcg = mem_cgroup_from_css(css);
	else
		memcg = ERR_PTR(oom_policy_no_memcg(cgrp));
	rcu_read_unlock();

	cgroup_put(cgrp);
	return memcg;
}

/**
 * oom_policy_get_memcg - the memcg with a cgroup id
 * @cgroup_id: as seen from the caller's cgroup namespace
 *
 * Return: a reference, to be put; -ENOENT if there is no such cgroup or it is being
 * removed; -EOPNOTSUPP if it has no memory controller of its own.
 */
struct mem_cgroup *oom_policy_get_memcg(u64 cgroup_id)
{
	return oom_policy_memcg_of(cgroup_get_from_id(cgroup_id));
}

static int oom_policy_attach(struct oom_policy *policy, struct mem_cgroup *memcg)
{
	struct oom_policy_memcg *slots = &memcg->oom_policy;

	guard(mutex)(&oom_policy_mutex);

	if (slots->offline)
		return oom_policy_no_memcg(memcg->css.cgroup);
	if (rcu_access_pointer(slots->policy[policy->stage]))
		return -EBUSY;

	policy->cgroup_id = cgroup_id(memcg->css.cgroup);
	oom_policy_fill_slot(policy, memcg);
	return 0;
}

static u32 oom_policy_max_futile(u32 option)
{
	if (option == BPF_OOM_POLICY_NEVER_FUTILE)
		return 0;
	return option ?: OOM_POLICY_DEFAULT_FUTILE;
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

	memcg = oom_policy_memcg_of(cgroup_get_from_fd(attr->link_create.target_fd));
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);

	policy = kzalloc(sizeof(*policy), GFP_USER);
	if (!policy) {
		err = -ENOMEM;
		goto out_put;
	}

	bpf_link_init(&policy->link, BPF_LINK_TYPE_OOM_POLICY,
		      &oom_policy_link_ops, prog);
	INIT_LIST_HEAD(&policy->dormant);
	policy->stage = oom_policy_stage(attr->link_create.attach_type);
	policy->flags = attr->link_create.oom_policy.flags;
	policy->budget_us = attr->link_create.oom_policy.budget_us ?:
			    OOM_POLICY_DEFAULT_BUDGET_US;
	policy->grace_ms = attr->link_create.oom_policy.grace_ms;
	policy->max_futile = oom_policy_max_futile(attr->link_create.oom_policy.max_futile);

	err = bpf_link_prime(&policy->link, &link_primer);
	if (err) {
		kfree(policy);
		goto out_put;
	}

	/* Outside of the mutex, which cgroup removal waits for. */
	static_branch_inc(&oom_policy_attached);
	err = oom_policy_attach(policy, memcg);
	if (err) {
		static_branch_dec(&oom_policy_attached);
		bpf_link_cleanup(&link_primer);
		goto out_put;
	}

	css_put(&memcg->css);
	return bpf_link_settle(&link_primer);

out_put:
	css_put(&memcg->css);
	return err;
}

const struct bpf_prog_ops oom_policy_prog_ops = {
	.test_run = bpf_prog_test_run_oom_policy,
};

static bool oom_policy_ptr_access(struct bpf_insn_access_aux *info,
				  enum bpf_access_type type, int size, u32 btf_id)
{
	if (type == BPF_WRITE || size != sizeof(__u64))
		return false;

	info->btf = bpf_get_btf_vmlinux();
	if (IS_ERR_OR_NULL(info->btf))
		return false;

	info->btf_id = btf_id;
	info->reg_type = PTR_TO_BTF_ID | PTR_TRUSTED;
	return true;
}

/* The context is what the program reads: no access is ever rewritten. */
static bool oom_policy_is_valid_access(int off, int size, enum bpf_access_type type,
				       const struct bpf_prog *prog,
				       struct bpf_insn_access_aux *info)
{
	if (off < 0 || off >= sizeof(struct bpf_oom_ctx) || off % size)
		return false;

	switch (off) {
	case bpf_ctx_range(struct bpf_oom_ctx, cgroup_1):
	case bpf_ctx_range(struct bpf_oom_ctx, cgroup_2):
		return oom_policy_ptr_access(info, type, size,
					     bpf_cgroup_btf_id[0]);
	case bpf_ctx_range(struct bpf_oom_ctx, task_1):
	case bpf_ctx_range(struct bpf_oom_ctx, task_2):
		if (prog->expected_attach_type != BPF_OOM_POLICY_TASK)
			return false;
		return oom_policy_ptr_access(info, type, size,
					     btf_tracing_ids[BTF_TRACING_TYPE_TASK]);
	case bpf_ctx_range_till(struct bpf_oom_ctx, scratch_1, scratch_2):
		return true;
	case bpf_ctx_range_till(struct bpf_oom_ctx, pid_1, flags):
		return type == BPF_READ && size <= sizeof(__u32);
	default:
		return type == BPF_READ;
	}
}

/* Creating an element allocates, which nothing may do while memory is short. */
BPF_CALL_5(bpf_oom_policy_storage_get, struct bpf_map *, map,
	   struct cgroup *, cgroup, void *, value, u64, flags, gfp_t, gfp_flags)
{
	if (flags)
		return (unsigned long)NULL;

	return bpf_cgrp_storage_get_proto.func((unsigned long)map,
					       (unsigned long)cgroup,
					       (unsigned long)value, flags,
					       (__force unsigned long)gfp_flags);
}

static const struct bpf_func_proto bpf_oom_policy_storage_get_proto = {
	.func		= bpf_oom_policy_storage_get,
	.gpl_only	= false,
	.ret_type	= RET_PTR_TO_MAP_VALUE_OR_NULL,
	.arg1_type	= ARG_CONST_MAP_PTR,
	.arg2_type	= ARG_PTR_TO_BTF_ID_OR_NULL,
	.arg2_btf_id	= &bpf_cgroup_btf_id[0],
	.arg3_type	= ARG_PTR_TO_MAP_VALUE_OR_NULL,
	.arg4_type	= ARG_ANYTHING,
};

/*
 * What is known not to allocate and not to sleep, and nothing else: whoever adds a
 * helper to the kernel does not think of policies. Of the map operations the update is
 * missing, since some types of map allocate: whoever fills a map does it beforehand,
 * and a program changes values where they are. A tail call would lead to a program
 * that was verified for the other stage.
 */
static const struct bpf_func_proto *
oom_policy_func_proto(enum bpf_func_id func_id, const struct bpf_prog *prog)
{
	switch (func_id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
	case BPF_FUNC_map_delete_elem:
	case BPF_FUNC_map_push_elem:
	case BPF_FUNC_map_pop_elem:
	case BPF_FUNC_map_peek_elem:
	case BPF_FUNC_for_each_map_elem:
	case BPF_FUNC_kptr_xchg:
	case BPF_FUNC_spin_lock:
	case BPF_FUNC_spin_unlock:
	case BPF_FUNC_loop:
	case BPF_FUNC_strncmp:
	case BPF_FUNC_strtol:
	case BPF_FUNC_strtoul:
	case BPF_FUNC_snprintf:
	case BPF_FUNC_snprintf_btf:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_trace_vprintk:
	case BPF_FUNC_ringbuf_output:
	case BPF_FUNC_ringbuf_reserve:
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
	case BPF_FUNC_ringbuf_query:
	case BPF_FUNC_ringbuf_reserve_dynptr:
	case BPF_FUNC_ringbuf_submit_dynptr:
	case BPF_FUNC_ringbuf_discard_dynptr:
	case BPF_FUNC_dynptr_from_mem:
	case BPF_FUNC_dynptr_read:
	case BPF_FUNC_dynptr_write:
	case BPF_FUNC_dynptr_data:
	case BPF_FUNC_jiffies64:
	case BPF_FUNC_ktime_get_ns:
	case BPF_FUNC_ktime_get_boot_ns:
	case BPF_FUNC_ktime_get_tai_ns:
	case BPF_FUNC_get_prandom_u32:
	case BPF_FUNC_get_smp_processor_id:
	case BPF_FUNC_get_numa_node_id:
	case BPF_FUNC_per_cpu_ptr:
	case BPF_FUNC_this_cpu_ptr:
	case BPF_FUNC_get_current_pid_tgid:
	case BPF_FUNC_get_ns_current_pid_tgid:
	case BPF_FUNC_get_current_task:
	case BPF_FUNC_get_current_task_btf:
	case BPF_FUNC_get_current_cgroup_id:
	case BPF_FUNC_get_current_ancestor_cgroup_id:
	case BPF_FUNC_task_pt_regs:
	case BPF_FUNC_probe_read_user:
	case BPF_FUNC_probe_read_user_str:
	case BPF_FUNC_probe_read_kernel:
	case BPF_FUNC_probe_read_kernel_str:
		return bpf_base_func_proto(func_id, prog);
	case BPF_FUNC_cgrp_storage_get:
		return &bpf_oom_policy_storage_get_proto;
	case BPF_FUNC_cgrp_storage_delete:
		return &bpf_cgrp_storage_delete_proto;
	default:
		return NULL;
	}
}

BTF_SET_START(oom_policy_kfuncs)
BTF_ID(func, bpf_obj_drop_impl)
BTF_ID(func, bpf_percpu_obj_drop_impl)
BTF_ID(func, bpf_refcount_acquire_impl)
BTF_ID(func, bpf_list_push_front_impl)
BTF_ID(func, bpf_list_push_back_impl)
BTF_ID(func, bpf_list_pop_front)
BTF_ID(func, bpf_list_pop_back)
BTF_ID(func, bpf_rbtree_remove)
BTF_ID(func, bpf_rbtree_add_impl)
BTF_ID(func, bpf_rbtree_first)
BTF_ID(func, bpf_task_acquire)
BTF_ID(func, bpf_task_release)
BTF_ID(func, bpf_task_from_pid)
BTF_ID(func, bpf_task_under_cgroup)
BTF_ID(func, bpf_task_get_cgroup1)
BTF_ID(func, bpf_cgroup_acquire)
BTF_ID(func, bpf_cgroup_release)
BTF_ID(func, bpf_cgroup_ancestor)
BTF_ID(func, bpf_cgroup_from_id)
BTF_ID(func, bpf_throw)
BTF_ID(func, bpf_cast_to_kern_ctx)
BTF_ID(func, bpf_rdonly_cast)
BTF_ID(func, bpf_rcu_read_lock)
BTF_ID(func, bpf_rcu_read_unlock)
BTF_ID(func, bpf_dynptr_slice)
BTF_ID(func, bpf_dynptr_slice_rdwr)
BTF_ID(func, bpf_dynptr_adjust)
BTF_ID(func, bpf_dynptr_is_null)
BTF_ID(func, bpf_dynptr_is_rdonly)
BTF_ID(func, bpf_dynptr_size)
BTF_ID(func, bpf_dynptr_clone)
BTF_ID(func, bpf_iter_num_new)
BTF_ID(func, bpf_iter_num_next)
BTF_ID(func, bpf_iter_num_destroy)
BTF_ID(func, bpf_iter_css_new)
BTF_ID(func, bpf_iter_css_next)
BTF_ID(func, bpf_iter_css_destroy)
BTF_ID(func, bpf_iter_task_new)
BTF_ID(func, bpf_iter_task_next)
BTF_ID(func, bpf_iter_task_destroy)
BTF_ID(func, bpf_get_root_mem_cgroup)
BTF_ID(func, bpf_get_mem_cgroup)
BTF_ID(func, bpf_put_mem_cgroup)
BTF_ID(func, bpf_mem_cgroup_usage)
BTF_ID(func, bpf_mem_cgroup_page_state)
BTF_ID(func, bpf_mem_cgroup_vm_events)
BTF_ID(func, bpf_mem_cgroup_memory_events)
BTF_ID(func, bpf_mem_cgroup_freeable)
BTF_SET_END(oom_policy_kfuncs)

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

const struct bpf_verifier_ops oom_policy_verifier_ops = {
	.is_valid_access	= oom_policy_is_valid_access,
	.get_func_proto		= oom_policy_func_proto,
};

__bpf_kfunc_start_defs();

/**
 * bpf_oom_policy_kill - kill a victim before memory runs out
 * @cgroup_id: cgroup id of the scope; the root's for the whole machine
 * @flags: 0
 *
 * Selects, kills, reports and counts as an OOM in that scope does, by the policies
 * that would rule there or else as the stock killer, and never panics. For programs
 * of BPF_PROG_TYPE_SYSCALL, and for the bpf_wq callbacks of others.
 *
 * Waits for oom_lock, which is taken by allocations: the caller must not hold a lock
 * that is waited for under oom_lock. A page fault or a reclaimer, with mmap_lock or
 * without, is an allocation itself and waits for nothing here, as a bpf_wq callback
 * has none of the locks of whoever started it.
 *
 * Return: 0 if a victim was killed; -EAGAIN while one is dying or has a grace;
 * -ESRCH if there is nobody to kill; -EINVAL for unknown flags; -EPERM without
 * CAP_SYS_ADMIN in the initial user namespace; -ENOENT if no cgroup has that id or it
 * is being removed; -EOPNOTSUPP if it has no memory controller on v2; -EINTR if the
 * caller is to die; -EBUSY while the OOM killer is disabled.
 */
__bpf_kfunc int bpf_oom_policy_kill(u64 cgroup_id, u64 flags)
{
	struct mem_cgroup *memcg;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (flags)
		return -EINVAL;

	memcg = oom_policy_get_memcg(cgroup_id);
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);

	err = oom_policy_kill(memcg);
	mem_cgroup_put(memcg);
	return err;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(oom_policy_kill_kfuncs)
BTF_ID_FLAGS(func, bpf_oom_policy_kill, KF_SLEEPABLE)
BTF_KFUNCS_END(oom_policy_kill_kfuncs)

/*
 * A bpf_wq callback, which a program of any type may start, has the rights of a
 * kernel thread: whoever loads it has to have them. A sleepable program can be
 * anywhere, with any lock held, but for one that is run by a system call. One that is
 * not sleepable gets here from a callback only, with no lock held.
 */
static int oom_policy_kill_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&oom_policy_kill_kfuncs, kfunc_id))
		return 0;
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (prog->type == BPF_PROG_TYPE_SYSCALL)
		return 0;
	return prog->type == BPF_PROG_TYPE_OOM_POLICY || prog->sleepable ? -EACCES : 0;
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
