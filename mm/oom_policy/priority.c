// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.oom.priority: a number that comes and goes with its memcg, which policies
 * find in their context, and which the kernel itself gives no meaning but for "max":
 * never a candidate. priority.h says how it is read during a selection.
 *
 * Whoever a cgroup is delegated to must not raise it above its siblings: the file is
 * not among those that are delegated.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/bsearch.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memcontrol.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <trace/events/oom_policy.h>

#include "online.h"
#include "priority.h"

static int oom_priority_cmp(const void *key, const void *elem)
{
	const struct bpf_oom_priority *supposed = elem;
	const u64 id = *(const u64 *)key;

	if (id == supposed->cgroup_id)
		return 0;
	return id < supposed->cgroup_id ? -1 : 1;
}

/* What is written there, or is to be taken for it. */
static u8 oom_priority_own(const struct oom_policy_what_if *what_if,
			   struct mem_cgroup *memcg, s64 *priority)
{
	const struct oom_policy_memcg *slots = oom_policy_memcg(memcg);
	const u64 id = cgroup_id(memcg->css.cgroup);
	const struct bpf_oom_priority *supposed;
	u8 state;

	if (what_if) {
		supposed = bsearch(&id, what_if->list, what_if->nr, sizeof(*supposed),
				   oom_priority_cmp);
		if (supposed) {
			*priority = supposed->priority;
			return supposed->state;
		}
	}

	/* Pairs with the release in oom_priority_write(). */
	state = smp_load_acquire(&slots->priority_state);
	*priority = atomic64_read(&slots->priority);
	return state;
}

static struct mem_cgroup *oom_priority_only_child(const struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;

	if (!oom_policy_has_only_child(memcg))
		return NULL;

	/* All the others may be removed ones that are still charged. */
	list_for_each_entry_rcu(css, &memcg->css.children, sibling) {
		/* Its tasks come and go, too. */
		if (oom_policy_online(css) && data_race(cgroup_is_populated(css->cgroup)))
			return mem_cgroup_from_css(css);
	}
	return NULL;
}

/**
 * oom_policy_priority_if - the priority of a candidate in a rehearsal
 * @what_if: what is to be taken for written, or NULL
 * @memcg: the candidate; under RCU
 *
 * Return: its own, else that of its only populated child, else 0.
 */
struct oom_policy_priority
oom_policy_priority_if(const struct oom_policy_what_if *what_if, struct mem_cgroup *memcg)
{
	s64 value;

	do {
		switch (oom_priority_own(what_if, memcg, &value)) {
		case BPF_OOM_PRIORITY_SET:
			return (struct oom_policy_priority) { value, true };
		case BPF_OOM_PRIORITY_MAX:
			return (struct oom_policy_priority) { S64_MAX, false };
		}
		memcg = oom_priority_only_child(memcg);
	} while (memcg);

	return (struct oom_policy_priority) { 0, true };
}

static int oom_priority_show(struct seq_file *m, void *v)
{
	s64 priority;

	switch (oom_priority_own(NULL, mem_cgroup_from_seq(m), &priority)) {
	case BPF_OOM_PRIORITY_SET:
		seq_printf(m, "%lld\n", priority);
		break;
	case BPF_OOM_PRIORITY_MAX:
		seq_puts(m, "max\n");
		break;
	default:
		seq_puts(m, "unset\n");
	}
	return 0;
}

static void oom_priority_set(struct mem_cgroup *memcg, u8 state, s64 priority)
{
	struct oom_policy_memcg *slots = oom_policy_memcg(memcg);

	if (state == BPF_OOM_PRIORITY_SET)
		atomic64_set(&slots->priority, priority);
	/* Pairs with the acquire where a state is read: its number is there by then. */
	smp_store_release(&slots->priority_state, state);
}

/*
 * An empty write is more likely a script's mistake than a wish. So is what is behind a NUL,
 * which strings end at: all of it is as wrong as any other text, without an errno of its
 * own, as no file of cgroups has one. A NUL at the end is how some programs write strings.
 */
static ssize_t oom_priority_write(struct kernfs_open_file *of, char *buf, size_t nbytes,
				  loff_t off)
{
	u8 state = BPF_OOM_PRIORITY_SET;
	size_t len = strnlen(buf, nbytes);
	s64 priority = 0;
	int err;

	if (memchr_inv(buf + len, 0, nbytes - len))
		return -EINVAL;
	buf = strstrip(buf);
	if (!strcmp(buf, "max")) {
		/* On all that a tenant has below it, this would spare the tenant. */
		if (!file_ns_capable(of->file, &init_user_ns, CAP_SYS_RESOURCE))
			return -EPERM;
		state = BPF_OOM_PRIORITY_MAX;
	} else if (!strcmp(buf, "unset")) {
		state = BPF_OOM_PRIORITY_UNSET;
	} else {
		err = kstrtos64(buf, 10, &priority);
		if (err)
			return err;
	}
	oom_priority_set(mem_cgroup_from_css(of_css(of)), state, priority);

	return nbytes;
}

static struct cftype oom_priority_files[] = {
	{
		.name = "oom.priority",
		.flags = CFTYPE_NOT_ON_ROOT,
		.seq_show = oom_priority_show,
		.write = oom_priority_write,
	},
	{ }	/* terminate */
};

/**
 * oom_policy_priority_init - give every cgroup the file
 *
 * Return: 0; -ENOMEM.
 */
int __init oom_policy_priority_init(void)
{
	return cgroup_add_dfl_cftypes(&memory_cgrp_subsys, oom_priority_files);
}

#ifdef OOM_POLICY_MODULE
/**
 * oom_policy_priority_exit - take the file away; nobody is in it afterwards
 */
void oom_policy_priority_exit(void)
{
	cgroup_rm_cftypes(oom_priority_files);
}
#else
subsys_initcall(oom_policy_priority_init);
#endif

/**
 * __oom_policy_memcg_tell - tell BPF programs of a memcg that comes online
 * @memcg: the memcg, of cgroup v1 or v2; cgroup_mutex is held
 *
 * Of v2 only. Nobody can see a cgroup that is being made: what a program writes here is
 * there before the first process.
 */
void __oom_policy_memcg_tell(struct mem_cgroup *memcg)
{
	if (cgroup_subsys_on_dfl(memory_cgrp_subsys))
		trace_oom_policy_memcg_online(memcg);
}

__bpf_kfunc_start_defs();

/**
 * bpf_oom_policy_set_priority - write memory.oom.priority
 * @memcg: whose
 * @state: BPF_OOM_PRIORITY_*
 * @priority: for BPF_OOM_PRIORITY_SET, higher is safer
 *
 * As a write of the file does, without a lock. For programs of any type but OOM
 * policies; CAP_SYS_ADMIN is needed at load.
 *
 * Return: 0; -EINVAL for an unknown state; -EPERM for the root, which has no siblings.
 */
__bpf_kfunc int bpf_oom_policy_set_priority(struct mem_cgroup *memcg, u32 state, s64 priority)
{
	if (state > BPF_OOM_PRIORITY_MAX)
		return -EINVAL;
	if (mem_cgroup_is_root(memcg))
		return -EPERM;

	oom_priority_set(memcg, state, priority);
	return 0;
}

__bpf_kfunc_end_defs();

/**
 * oom_policy_may_set_priority - may a program call bpf_oom_policy_set_priority()
 * @prog: the program, which current is loading
 *
 * A policy judges. And whoever may not attach one may not order what it judges.
 *
 * Return: 0 or -EACCES.
 */
int oom_policy_may_set_priority(const struct bpf_prog *prog)
{
	if (resolve_prog_type(prog) == OOM_POLICY_PROG_TYPE)
		return -EACCES;
	return capable(CAP_SYS_ADMIN) ? 0 : -EACCES;
}

/* A module registers it with its others. */
#ifndef OOM_POLICY_MODULE
BTF_KFUNCS_START(oom_priority_kfuncs)
BTF_ID_FLAGS(func, bpf_oom_policy_set_priority)
BTF_KFUNCS_END(oom_priority_kfuncs)

static int oom_priority_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	return btf_id_set8_contains(&oom_priority_kfuncs, kfunc_id) ?
	       oom_policy_may_set_priority(prog) : 0;
}

static const struct btf_kfunc_id_set oom_priority_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &oom_priority_kfuncs,
	.filter	= oom_priority_kfunc_filter,
};

static int __init oom_priority_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &oom_priority_kfunc_set);
}
late_initcall(oom_priority_kfunc_init);
#endif
