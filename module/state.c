// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a memcg has no room for in this kernel: a slot for each id that one can have,
 * allocated at load, and written as include/linux/oom_policy.h says.
 */

#include <linux/memcontrol.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <oom_policy_module.h>

struct oom_policy_memcg *oom_policy_slots;

/**
 * oom_policy_memcg_reset - a memcg begins with an empty slot
 * @memcg: it has just come online; cgroup_mutex is held
 */
void oom_policy_memcg_reset(struct mem_cgroup *memcg)
{
	memset(oom_policy_memcg(memcg), 0, sizeof(struct oom_policy_memcg));
}

/**
 * oom_policy_state_init - allocate
 *
 * Return: 0; -ENOMEM.
 */
int __init oom_policy_state_init(void)
{
	oom_policy_slots = vcalloc(USHRT_MAX + 1, sizeof(*oom_policy_slots));
	return oom_policy_slots ? 0 : -ENOMEM;
}

/**
 * oom_policy_state_exit - the counterpart; nobody looks at a memcg any more
 */
void oom_policy_state_exit(void)
{
	vfree(oom_policy_slots);
}
