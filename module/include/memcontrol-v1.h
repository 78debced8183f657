/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the place of the kernel's own header of that name, which is not for modules: what
 * mm/bpf_memcontrol.c takes from it. All of it is in symbols.c.
 */
#ifndef _OOM_POLICY_MEMCONTROL_H
#define _OOM_POLICY_MEMCONTROL_H

#include <linux/memcontrol.h>
#include <linux/vm_event_item.h>

unsigned long memcg_page_state_output(struct mem_cgroup *memcg, int item);
unsigned long memcg_events(struct mem_cgroup *memcg, int event);
int memcg_stats_index(int idx);
int memcg_events_index(enum vm_event_item idx);

#endif /* _OOM_POLICY_MEMCONTROL_H */
