/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For policies that look behind the pointers of struct bpf_oom_ctx: the few fields
 * and enumerators of kernel types that the samples read, and the kfuncs that they
 * call. Offsets and values are the running kernel's: libbpf fills them in at load.
 */
#ifndef SAMPLES_OOM_POLICY_KERNEL_TYPES_H
#define SAMPLES_OOM_POLICY_KERNEL_TYPES_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	int nr_populated_csets;
};

struct kernfs_node {
	const char *name;
	__u64 id;
	struct kernfs_node *__parent;
};

/* As kernels before 6.15 have it. */
struct kernfs_node___6_12 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	int nr_descendants;
	int nr_populated_domain_children;
	int nr_populated_threaded_children;
	struct kernfs_node *kn;
	__u16 subtree_ss_mask;
};

/* As 6.12 has it. */
struct cgroup___6_12 {
	int nr_populated_csets;
};

struct page_counter {
	unsigned long min;
	unsigned long low;
};

struct oom_policy_memcg {
	struct {
		__s64 counter;
	} priority;
	__u8 priority_state;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	bool oom_group;
	struct oom_policy_memcg oom_policy;
};

struct task_struct {
	__u64 start_time;
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct {
		unsigned int val;
	} i_uid;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct dentry {
	struct inode *d_inode;
	struct dentry *d_parent;
};

#pragma clang attribute pop

enum node_stat_item {
	NR_INACTIVE_ANON,
	NR_ACTIVE_ANON,
	NR_UNEVICTABLE,
	NR_SLAB_UNRECLAIMABLE_B,
	NR_KERNEL_STACK_KB,
};

enum memcg_stat_item {
	MEMCG_SWAP,
	MEMCG_SOCK,
};

enum cgroup_subsys_id {
	memory_cgrp_id,
};

struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_usage(struct mem_cgroup *memcg) __ksym;
__u64 bpf_mem_cgroup_freeable(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym;

struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level) __ksym;
struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;

/* Here is what bpf_for_each(css, ...) and bpf_for() are made of. */
struct bpf_iter_css {
	__u64 opaque[3];
};

int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start,
		     unsigned int flags) __ksym;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;

static __always_inline bool is_populated(const struct cgroup *cgrp)
{
	struct cgroup___6_12 *old = (void *)cgrp;
	int csets;

	if (bpf_core_field_exists(old->nr_populated_csets))
		csets = old->nr_populated_csets;
	else
		csets = cgrp->self.nr_populated_csets;
	return csets + cgrp->nr_populated_domain_children +
	       cgrp->nr_populated_threaded_children > 0;
}

#endif /* SAMPLES_OOM_POLICY_KERNEL_TYPES_H */
