/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel functions that policies may call, and what they take. */
#ifndef SELFTESTS_OOM_POLICY_KFUNCS_H
#define SELFTESTS_OOM_POLICY_KFUNCS_H

#include "kernel_types.h"

enum node_stat_item {
	NR_ANON_MAPPED,
	NR_FILE_PAGES,
	NR_SHMEM,
	NR_KERNEL_STACK_KB,
	NR_PAGETABLE,
	NR_INACTIVE_ANON,
	NR_ACTIVE_ANON,
	NR_UNEVICTABLE,
	NR_SLAB_RECLAIMABLE_B,
	NR_SLAB_UNRECLAIMABLE_B,
};

enum memcg_stat_item { MEMCG_KMEM, MEMCG_SOCK, MEMCG_NR_STAT };

enum vm_event_item { PGFAULT, PGMAJFAULT, PGLAZYFREE, NR_VM_EVENT_ITEMS };

enum memcg_memory_event {
	MEMCG_LOW,
	MEMCG_HIGH,
	MEMCG_MAX,
	MEMCG_OOM,
	MEMCG_OOM_KILL,
	MEMCG_OOM_GROUP_KILL,
	MEMCG_NR_MEMORY_EVENTS,
};

struct bpf_iter_css {
	__u64 opaque[3];
};

struct bpf_iter_task {
	__u64 opaque[3];
};

struct bpf_iter_bits {
	__u64 __opaque[2];
};

struct mem_cgroup *bpf_get_root_mem_cgroup(void)
	__ksym;
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg) __ksym;
__u64 bpf_mem_cgroup_freeable(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym;
unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
				       enum vm_event_item event) __ksym;
unsigned long bpf_mem_cgroup_memory_events(struct mem_cgroup *memcg,
					   enum memcg_memory_event event) __ksym;

struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;

struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
void bpf_task_release(struct task_struct *task) __ksym;
long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor) __ksym;

void bpf_rcu_read_lock(void)
	__ksym;
void bpf_rcu_read_unlock(void)
	__ksym;

int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start,
		     unsigned int flags) __ksym;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task,
		      unsigned int flags) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *words,
		      __u32 nr_words) __ksym;
void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;

int bpf_oom_policy_kill(__u64 cgroup_id, __u64 flags) __ksym;

#endif /* SELFTESTS_OOM_POLICY_KFUNCS_H */
