// SPDX-License-Identifier: GPL-2.0-only
/*
 * The struct_ops type bpf_oom_policy_ops, which stands for the program type, the attach
 * types and the link that this kernel does not have: a program for one of its members is
 * a policy, a map of it says where and how to attach that, and a link of the map is what
 * holds it.
 *
 * A program is not called through the member but run with the context that it was
 * written for, which its access to was checked against. oom_policy_held_lock protects
 * the list of policies and their links.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <oom_policy_module.h>

#include "../kernel/bpf/oom_policy.h"
#include "../mm/oom_policy/priority.h"

static DEFINE_SPINLOCK(oom_policy_held_lock);
static LIST_HEAD(oom_policy_held);
static struct workqueue_struct *oom_policy_wq;

static struct btf *ops_btf;

/* Tells a policy that is attached from one that is made up for a rehearsal. */
static const struct bpf_link_ops held_link_ops;

static struct oom_policy_held *to_held(const struct oom_policy *policy)
{
	return policy && policy->link.ops == &held_link_ops ?
	       container_of(policy, struct oom_policy_held, policy) : NULL;
}

u32 oom_policy_link_id(const struct oom_policy *policy)
{
	struct oom_policy_held *held = to_held(policy);
	u32 id = 0;

	if (!held)
		return 0;

	spin_lock(&oom_policy_held_lock);
	id = held->link ? held->link->id : held->link_id;
	spin_unlock(&oom_policy_held_lock);
	return id;
}

void oom_policy_clamped(struct oom_policy *policy)
{
	struct oom_policy_held *held = to_held(policy);

	if (held)
		atomic64_inc(&held->clamped);
}

static void release(struct work_struct *work)
{
	struct oom_policy_held *held = container_of(work, struct oom_policy_held, release);

	static_branch_dec(&oom_policy_attached);
	oom_policy_killer_put();
	bpf_prog_put(held->policy.link.prog);
	kfree_rcu(held, rcu);
}

/* Neither the branch nor ftrace is to be switched under oom_lock: they sleep. */
void oom_policy_drop(struct oom_policy *policy)
{
	if (atomic64_dec_and_test(&policy->link.refcnt))
		queue_work(oom_policy_wq, &to_held(policy)->release);
}

/**
 * oom_policy_ops_info - what a link says of its policy
 * @link_id: id of a struct_ops link
 * @info: options, state and counters
 * @prog_id: its program
 * @clamped: verdicts of it that were none
 *
 * Return: 0; -ENOENT if no policy is held by such a link.
 */
int oom_policy_ops_info(u32 link_id, struct bpf_oom_policy_info *info, u32 *prog_id,
			u64 *clamped)
{
	struct oom_policy_held *pos, *held = NULL;

	spin_lock(&oom_policy_held_lock);
	list_for_each_entry(pos, &oom_policy_held, all) {
		if (pos->link && pos->link->id == link_id &&
		    oom_policy_tryget(&pos->policy)) {
			held = pos;
			break;
		}
	}
	spin_unlock(&oom_policy_held_lock);
	if (!held)
		return -ENOENT;

	oom_policy_get_info(&held->policy, info);
	*clamped = atomic64_read(&held->clamped);
	rcu_read_lock();
	*prog_id = oom_policy_prog(&held->policy)->aux->id;
	rcu_read_unlock();
	oom_policy_drop(&held->policy);
	return 0;
}

/* As register_bpf_struct_ops() makes it. */
struct map_value {
	struct bpf_struct_ops_common_value common;
	struct bpf_oom_policy_ops data ____cacheline_aligned_in_smp;
};

/**
 * oom_policy_ops_types - of which types programs and maps are
 * @types: filled in
 *
 * Return: 0; -ENOENT if the module does not know its own types.
 */
int oom_policy_ops_types(struct bpf_oom_device_types *types)
{
	s32 prog, map;

	prog = btf_find_by_name_kind(ops_btf, "bpf_oom_policy_ops", BTF_KIND_STRUCT);
	map = btf_find_by_name_kind(ops_btf, "bpf_struct_ops_bpf_oom_policy_ops",
				    BTF_KIND_STRUCT);
	if (prog < 0 || map < 0)
		return -ENOENT;

	*types = (struct bpf_oom_device_types) {
		.size = sizeof(*types),
		.btf_id = btf_obj_id(ops_btf),
		.prog_type_id = prog,
		.map_type_id = map,
		.map_value_size = sizeof(struct map_value),
		.map_data_offset = offsetof(struct map_value, data),
	};
	return 0;
}

/* The kernel's kfuncs that a policy may call: the same as in oom_policy.c. */
#define OOM_POLICY_KFUNC(name)	#name "\0"
static const char kfunc_names[] __initconst =
#include "../kernel/bpf/oom_policy_kfuncs.h"
;
#undef OOM_POLICY_KFUNC

#define MAX_KFUNCS	128

static s32 kfunc_ids[MAX_KFUNCS];	/* the kernel's */
static s32 own_ids[MAX_KFUNCS];		/* the module's */
static int nr_kfuncs, nr_own;

/* What the kernel has of them is the kernel's; the rest is here, or nowhere. */
static void __init find_kfuncs(const struct btf *vmlinux)
{
	const char *name;
	s32 id;

	for (name = kfunc_names; *name; name += strlen(name) + 1) {
		if (WARN_ON_ONCE(nr_kfuncs == MAX_KFUNCS || nr_own == MAX_KFUNCS))
			return;
		id = btf_find_by_name_kind(vmlinux, name, BTF_KIND_FUNC);
		if (id > 0) {
			kfunc_ids[nr_kfuncs++] = id;
			continue;
		}
		id = btf_find_by_name_kind(ops_btf, name, BTF_KIND_FUNC);
		if (id > 0)
			own_ids[nr_own++] = id;
	}
}

static bool is_among(const s32 *ids, int nr, s32 id)
{
	int i;

	for (i = 0; i < nr; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/*
 * struct_ops programs may call more of the kernel's kfuncs than policies, some of which
 * allocate, and no filter of a module is asked about these. A call says by its number
 * which kfunc it is, and by an offset that it is a module's; which module's, only the
 * verifier knows.
 */
static bool calls_allowed_only(const struct bpf_prog *prog)
{
	const struct bpf_insn *insn = prog->insnsi;
	u32 i;

	for (i = 0; i < prog->len; i++, insn++) {
		if (insn->code != (BPF_JMP | BPF_CALL) ||
		    insn->src_reg != BPF_PSEUDO_KFUNC_CALL)
			continue;
		if (insn->off ? !is_among(own_ids, nr_own, insn->imm) :
				!is_among(kfunc_ids, nr_kfuncs, insn->imm))
			return false;
	}
	return true;
}

static int ops_init(struct btf *btf)
{
	ops_btf = btf;
	return 0;
}

/* When a program is loaded: its instructions are still those that were given. */
static int ops_check_member(const struct btf_type *t, const struct btf_member *member,
			    const struct bpf_prog *prog)
{
	if (prog->sleepable)
		return -EINVAL;
	if (calls_allowed_only(prog))
		return 0;
	pr_info_ratelimited("program %s calls a kfunc that an OOM policy may not\n",
			    prog->aux->name);
	return -EACCES;
}

/**
 * oom_policy_is_policy - is a program one of ours
 * @prog: the program
 *
 * Return: false if it is for another struct_ops type, or no such program at all.
 */
bool oom_policy_is_policy(const struct bpf_prog *prog)
{
	return prog->type == BPF_PROG_TYPE_STRUCT_OPS && prog->aux->attach_btf == ops_btf;
}

static int check_prog(const struct bpf_prog *prog, enum oom_policy_stage stage)
{
	bool tasks = stage == OOM_POLICY_STAGE_TASK;

	if (!oom_policy_is_policy(prog) || oom_policy_judges_tasks(prog) != tasks)
		return -EINVAL;
	return 0;
}

/* The map keeps the program; of it a number is enough here. */
static int note_prog(struct bpf_oom_policy_ops *ops, int fd)
{
	struct bpf_prog *prog;

	if (!fd)
		return 0;
	if (ops->prog_id)
		return -EINVAL;

	prog = bpf_prog_get_type_dev(fd, BPF_PROG_TYPE_STRUCT_OPS, false);
	if (IS_ERR(prog))
		return PTR_ERR(prog);
	ops->prog_id = prog->aux->id;
	bpf_prog_put(prog);
	return 0;
}

/* When a map is filled: 1 for a member that is dealt with. */
static int ops_init_member(const struct btf_type *t, const struct btf_member *member,
			   void *kdata, const void *udata)
{
	const struct bpf_oom_policy_ops *from = udata;
	struct bpf_oom_policy_ops *to = kdata;
	u32 offset = __btf_member_bit_offset(t, member) / BITS_PER_BYTE;

	switch (offset) {
	case offsetof(struct bpf_oom_policy_ops, compare):
	case offsetof(struct bpf_oom_policy_ops, compare_tasks):
		return note_prog(to, *(unsigned long *)(udata + offset));
	case offsetof(struct bpf_oom_policy_ops, cgroup_id):
		to->cgroup_id = from->cgroup_id;
		return 1;
	case offsetof(struct bpf_oom_policy_ops, flags):
		to->flags = from->flags;
		return 1;
	case offsetof(struct bpf_oom_policy_ops, budget_us):
		to->budget_us = from->budget_us;
		return 1;
	case offsetof(struct bpf_oom_policy_ops, grace_ms):
		to->grace_ms = from->grace_ms;
		return 1;
	case offsetof(struct bpf_oom_policy_ops, max_futile):
		to->max_futile = from->max_futile;
		return 1;
	default:
		/* Has to be zero. */
		return 0;
	}
}

static int ops_validate(void *kdata)
{
	struct bpf_oom_policy_ops *ops = kdata;

	return ops->prog_id ? 0 : -EINVAL;
}

static struct mem_cgroup *get_memcg(u64 cgroup_id)
{
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return ERR_PTR(-EOPNOTSUPP);
	if (cgroup_id)
		return oom_policy_get_memcg(cgroup_id);
	css_get(&root_mem_cgroup->css);
	return root_mem_cgroup;
}

static void set_options(struct oom_policy *policy, const struct bpf_oom_policy_ops *ops)
{
	policy->stage = ops->compare_tasks ? OOM_POLICY_STAGE_TASK : OOM_POLICY_STAGE_MEMCG;
	policy->flags = ops->flags;
	policy->budget_us = ops->budget_us;
	policy->grace_ms = ops->grace_ms;
	policy->max_futile = ops->max_futile;
}

/* A reference on the program of a map. */
static struct bpf_prog *get_prog(const struct bpf_oom_policy_ops *ops)
{
	struct bpf_prog *prog = bpf_prog_by_id(ops->prog_id);
	int err;

	if (IS_ERR(prog))
		return prog;
	err = check_prog(prog, ops->compare_tasks ? OOM_POLICY_STAGE_TASK :
						    OOM_POLICY_STAGE_MEMCG);
	if (err) {
		bpf_prog_put(prog);
		return ERR_PTR(err);
	}
	return prog;
}

static int attach(struct oom_policy_held *held, u64 cgroup_id)
{
	struct mem_cgroup *memcg;
	int err;

	memcg = get_memcg(cgroup_id);
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);

	err = oom_policy_killer_get();
	if (err)
		goto out;
	static_branch_inc(&oom_policy_attached);
	err = oom_policy_attach(&held->policy, memcg);
	if (err) {
		static_branch_dec(&oom_policy_attached);
		oom_policy_killer_put();
	}
out:
	mem_cgroup_put(memcg);
	return err;
}

/* When a map is linked. */
static int ops_reg(void *kdata, struct bpf_link *link)
{
	struct bpf_oom_policy_ops *ops = kdata;
	struct oom_policy_held *held;
	struct bpf_prog *prog;
	int err;

	/* A map alone has no end that it could be detached by. */
	if (!link)
		return -EOPNOTSUPP;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	held = kzalloc(sizeof(*held), GFP_USER);
	if (!held)
		return -ENOMEM;
	prog = get_prog(ops);
	if (IS_ERR(prog)) {
		err = PTR_ERR(prog);
		goto out_free;
	}

	oom_policy_init_link(&held->policy, prog);
	held->policy.link.ops = &held_link_ops;
	held->link = link;
	INIT_WORK(&held->release, release);
	INIT_LIST_HEAD(&held->policy.dormant);
	set_options(&held->policy, ops);
	err = oom_policy_check_options(&held->policy);
	if (!err)
		err = attach(held, ops->cgroup_id);
	if (err)
		goto out_put;

	spin_lock(&oom_policy_held_lock);
	list_add_tail(&held->all, &oom_policy_held);
	spin_unlock(&oom_policy_held_lock);
	ops->policy = held;
	return 0;

out_put:
	bpf_prog_put(prog);
out_free:
	kfree(held);
	return err;
}

static void ops_unreg(void *kdata, struct bpf_link *link)
{
	struct bpf_oom_policy_ops *ops = kdata;
	struct oom_policy_held *held = ops->policy;

	ops->policy = NULL;
	oom_policy_detach(&held->policy);

	spin_lock(&oom_policy_held_lock);
	list_del(&held->all);
	held->link_id = link->id;
	held->link = NULL;
	spin_unlock(&oom_policy_held_lock);
	oom_policy_drop(&held->policy);
}

/* The options belong to the policy, and only its program is replaced. */
static bool same_options(const struct oom_policy_held *held,
			 const struct bpf_oom_policy_ops *ops, u64 cgroup_id)
{
	struct oom_policy policy = {};

	set_options(&policy, ops);
	return !oom_policy_check_options(&policy) && ops->cgroup_id == cgroup_id &&
	       policy.stage == held->policy.stage && policy.flags == held->policy.flags &&
	       policy.budget_us == held->policy.budget_us &&
	       policy.grace_ms == held->policy.grace_ms &&
	       policy.max_futile == held->policy.max_futile;
}

/* When another map takes the place of the one that is linked. */
static int ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	struct bpf_oom_policy_ops *old = old_kdata, *ops = kdata;
	struct oom_policy_held *held = old->policy;
	struct bpf_prog *prog;
	int err;

	if (!same_options(held, ops, old->cgroup_id))
		return -EINVAL;
	prog = get_prog(ops);
	if (IS_ERR(prog))
		return PTR_ERR(prog);

	err = oom_policy_block();
	if (!err) {
		mutex_lock(&oom_policy_mutex);
		if (oom_policy_state(&held->policy) == BPF_OOM_LINK_DETACHED)
			err = -ENOLINK;
		else
			prog = xchg(&held->policy.link.prog, prog);
		mutex_unlock(&oom_policy_mutex);
		oom_policy_unblock();
	}
	if (!err) {
		ops->policy = held;
		old->policy = NULL;
	}
	bpf_prog_put(prog);
	return err;
}

static int compare(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_EQUAL;
}

static int compare_tasks(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_EQUAL;
}

static struct bpf_oom_policy_ops stubs = {
	.compare	= compare,
	.compare_tasks	= compare_tasks,
};

static struct bpf_struct_ops ops_type = {
	.verifier_ops	= &oom_policy_verifier_ops,
	.init		= ops_init,
	.check_member	= ops_check_member,
	.init_member	= ops_init_member,
	.validate	= ops_validate,
	.reg		= ops_reg,
	.unreg		= ops_unreg,
	.update		= ops_update,
	.cfi_stubs	= &stubs,
	.name		= "bpf_oom_policy_ops",
	.owner		= THIS_MODULE,
};

static u32 kill_id, priority_id;

static int kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (kfunc_id == kill_id)
		return oom_policy_may_kill(prog);
	return kfunc_id == priority_id ? oom_policy_may_set_priority(prog) : 0;
}

/* A module has one set for each kind of program; this is for all of them. */
BTF_KFUNCS_START(kfuncs)
BTF_ID_FLAGS(func, bpf_oom_policy_kill, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_oom_policy_set_priority)
BTF_ID_FLAGS(func, bpf_mem_cgroup_freeable)
/* Kernels that have dropped the word have these themselves. */
#ifdef KF_TRUSTED_ARGS
#include "../mm/bpf_memcontrol_kfuncs.h"
#endif
BTF_KFUNCS_END(kfuncs)

static const struct btf_kfunc_id_set kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &kfuncs,
	.filter	= kfunc_filter,
};

/**
 * oom_policy_ops_init - offer the type and the kfuncs
 *
 * The last thing to do: from here on somebody may use them. The kernel takes them back
 * with the module.
 *
 * Return: 0; -ENOENT without types of the kernel's own or of the module (BTF); -ENOMEM;
 * what the kernel says of the type.
 */
int __init oom_policy_ops_init(void)
{
	struct btf *vmlinux = bpf_get_btf_vmlinux();
	int err;

	if (IS_ERR_OR_NULL(vmlinux)) {
		pr_err("this kernel has no type information (CONFIG_DEBUG_INFO_BTF)\n");
		return -ENOENT;
	}
	oom_policy_verifier_init();

	oom_policy_wq = alloc_workqueue("oom_policy", WQ_UNBOUND, 0);
	if (!oom_policy_wq)
		return -ENOMEM;
	err = register_bpf_struct_ops(&ops_type, bpf_oom_policy_ops);
	if (!err && !ops_btf)
		err = -ENOENT;
	if (err) {
		pr_err("the kernel does not take the type bpf_oom_policy_ops (%d): was the module built with BTF?\n",
		       err);
		goto out_wq;
	}
	/* Until then no program that calls one is taken. */
	find_kfuncs(vmlinux);
	kill_id = btf_find_by_name_kind(ops_btf, "bpf_oom_policy_kill", BTF_KIND_FUNC);
	priority_id = btf_find_by_name_kind(ops_btf, "bpf_oom_policy_set_priority",
					    BTF_KIND_FUNC);
	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &kfunc_set);
	if (!err)
		return 0;
	pr_err("the kernel does not take the kfuncs: %d\n", err);
out_wq:
	destroy_workqueue(oom_policy_wq);
	return err;
}

/**
 * oom_policy_ops_exit - wait for policies that are on their way out
 */
void oom_policy_ops_exit(void)
{
	destroy_workqueue(oom_policy_wq);
	rcu_barrier();
}
