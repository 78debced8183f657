// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.oom.priority: a number that comes and goes with its memcg, which policies
 * find in their context, and which the kernel itself gives no meaning but for "max":
 * never a candidate. priority.h says how it is read during a selection.
 *
 * Whoever a cgroup is delegated to must not raise it above its siblings: the file is
 * not among those that are delegated.
 */

#include <linux/bsearch.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memcontrol.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/string.h>

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
			   const struct mem_cgroup *memcg, s64 *priority)
{
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
	state = smp_load_acquire(&memcg->oom_policy.priority_state);
	*priority = READ_ONCE(memcg->oom_policy.priority);
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

/* An empty write is more likely a script's mistake than a wish. */
static ssize_t oom_priority_write(struct kernfs_open_file *of, char *buf, size_t nbytes,
				  loff_t off)
{
	struct oom_policy_memcg *slots = &mem_cgroup_from_css(of_css(of))->oom_policy;
	s64 priority;
	u8 state;
	int err;

	buf = strstrip(buf);
	if (!strcmp(buf, "max")) {
		state = BPF_OOM_PRIORITY_MAX;
	} else if (!strcmp(buf, "unset")) {
		state = BPF_OOM_PRIORITY_UNSET;
	} else {
		err = kstrtos64(buf, 10, &priority);
		if (err)
			return err;
		WRITE_ONCE(slots->priority, priority);
		state = BPF_OOM_PRIORITY_SET;
	}
	/* Pairs with the acquire where a state is read: its number is there by then. */
	smp_store_release(&slots->priority_state, state);

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

static int __init oom_priority_init(void)
{
	return cgroup_add_dfl_cftypes(&memory_cgrp_subsys, oom_priority_files);
}
subsys_initcall(oom_priority_init);
