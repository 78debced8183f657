// SPDX-License-Identifier: GPL-2.0-only
/*
 * kfuncs that read a memcg, for kernels that do not have them: names and signatures are
 * mainline's, so that a policy written for one kernel loads on the other. None of
 * them sleeps, allocates or flushes the statistics: page states and events may lag behind
 * by what the CPUs have not handed in yet, the usage does not.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/page_counter.h>

#include "memcontrol-v1.h"

__bpf_kfunc_start_defs();

/**
 * bpf_get_root_mem_cgroup - the memcg of the whole machine
 *
 * Return: a reference, to be put; NULL if the memory controller is disabled.
 */
__bpf_kfunc struct mem_cgroup *bpf_get_root_mem_cgroup(void)
{
	if (mem_cgroup_disabled())
		return NULL;

	css_get(&root_mem_cgroup->css);
	return root_mem_cgroup;
}

/**
 * bpf_get_mem_cgroup - the memcg of a cgroup
 * @css: any css of the cgroup, &cgroup->self for one
 *
 * Return: a reference, to be put; NULL if the cgroup has no memory controller or
 * is gone.
 */
__bpf_kfunc struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css)
{
	struct cgroup_subsys_state *memory;

	if (mem_cgroup_disabled())
		return NULL;

	rcu_read_lock();
	memory = rcu_dereference(css->cgroup->subsys[memory_cgrp_id]);
	if (memory && !css_tryget(memory))
		memory = NULL;
	rcu_read_unlock();

	return memory ? mem_cgroup_from_css(memory) : NULL;
}

/**
 * bpf_put_mem_cgroup - put a reference from one of the two above
 * @memcg: the memcg
 */
__bpf_kfunc void bpf_put_mem_cgroup(struct mem_cgroup *memcg)
{
	css_put(&memcg->css);
}

/**
 * bpf_mem_cgroup_usage - what is charged to a memcg
 * @memcg: the memcg
 *
 * Return: bytes, exact.
 */
__bpf_kfunc unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg)
{
	return page_counter_read(&memcg->memory) * PAGE_SIZE;
}

/**
 * bpf_mem_cgroup_page_state - one line of memory.stat
 * @memcg: the memcg
 * @idx: enum node_stat_item or memcg_stat_item
 *
 * Return: bytes for what is counted in pages, else the count; -1 for an item that
 * memcgs do not have.
 */
__bpf_kfunc unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx)
{
	if (idx < 0 || idx >= MEMCG_NR_STAT || (u32)memcg_stats_index(idx) >= U8_MAX)
		return (unsigned long)-1;

	return memcg_page_state_output(memcg, idx);
}

/**
 * bpf_mem_cgroup_vm_events - an event counter of memory.stat
 * @memcg: the memcg
 * @event: the event
 *
 * Return: the count; -1 for an event that memcgs do not count.
 */
__bpf_kfunc unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
						   enum vm_event_item event)
{
	if (event >= NR_VM_EVENT_ITEMS || (u32)memcg_events_index(event) >= U8_MAX)
		return (unsigned long)-1;

	return memcg_events(memcg, event);
}

/**
 * bpf_mem_cgroup_memory_events - a line of memory.events
 * @memcg: the memcg
 * @event: the event
 *
 * Return: the count; -1 for an event that there is not.
 */
__bpf_kfunc unsigned long bpf_mem_cgroup_memory_events(struct mem_cgroup *memcg,
						       enum memcg_memory_event event)
{
	if (event >= MEMCG_NR_MEMORY_EVENTS)
		return (unsigned long)-1;

	return atomic_long_read(&memcg->memory_events[event]);
}

__bpf_kfunc_end_defs();

#ifndef OOM_POLICY_MODULE
BTF_KFUNCS_START(bpf_memcontrol_kfuncs)
#include "bpf_memcontrol_kfuncs.h"
BTF_KFUNCS_END(bpf_memcontrol_kfuncs)

static const struct btf_kfunc_id_set bpf_memcontrol_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_memcontrol_kfuncs,
};

/* For every program type, as in mainline; mm/oom_policy/kfuncs.c has the filter. */
static int __init bpf_memcontrol_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &bpf_memcontrol_kfunc_set);
}
late_initcall(bpf_memcontrol_init);
#endif /* OOM_POLICY_MODULE: it registers them with its own */
