/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel functions that the verifier's test programs call. */
#ifndef SELFTESTS_OOM_POLICY_KFUNCS_H
#define SELFTESTS_OOM_POLICY_KFUNCS_H

struct cgroup_subsys_state {
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
} __attribute__((preserve_access_index));

/* libbpf compares the kinds of arguments, and a declaration is another kind. */
struct mem_cgroup {
	struct cgroup_subsys_state css;
} __attribute__((preserve_access_index));

enum vm_event_item { vm_event_first };
enum memcg_memory_event { memory_event_first };

struct bpf_iter_bits {
	__u64 __opaque[2];
};

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

struct mem_cgroup *bpf_get_root_mem_cgroup(void)
	__ksym;
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym;
unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg,
				       enum vm_event_item event) __ksym;
unsigned long bpf_mem_cgroup_memory_events(struct mem_cgroup *memcg,
					   enum memcg_memory_event event) __ksym;

int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *words,
		      __u32 nr_words) __ksym;
void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
int bpf_oom_policy_kill(__u64 cgroup_id, __u64 flags) __ksym;

#endif /* SELFTESTS_OOM_POLICY_KFUNCS_H */
