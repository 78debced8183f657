/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For mm/memcontrol.c: telling BPF programs of a memcg. Of its own, as the headers that
 * every file includes need not know of tracepoints.
 */
#ifndef _MM_OOM_POLICY_ONLINE_H
#define _MM_OOM_POLICY_ONLINE_H

#include <linux/tracepoint-defs.h>

struct mem_cgroup;

#ifdef CONFIG_BPF_OOM_POLICY

DECLARE_TRACEPOINT(oom_policy_memcg_online);

void __oom_policy_memcg_tell(struct mem_cgroup *memcg);

/**
 * oom_policy_memcg_tell - tell BPF programs of a memcg that comes online
 * @memcg: the memcg, which its cgroup does not show yet; cgroup_mutex is held
 */
static inline void oom_policy_memcg_tell(struct mem_cgroup *memcg)
{
	if (tracepoint_enabled(oom_policy_memcg_online))
		__oom_policy_memcg_tell(memcg);
}

#else /* !CONFIG_BPF_OOM_POLICY */

static inline void oom_policy_memcg_tell(struct mem_cgroup *memcg) {}

#endif /* CONFIG_BPF_OOM_POLICY */

#endif /* _MM_OOM_POLICY_ONLINE_H */
