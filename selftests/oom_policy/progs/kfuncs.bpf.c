// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls every kfunc that a policy may call and keeps what it returns, in the
 * value of a map that is changed where it is. Then, for each, a call that the
 * verifier has to refuse; these are not loaded unless asked for.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kfunc_values.h"
#include "kfuncs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kfunc_values);
} found SEC(".maps");

/* Set by the test: a process in cgroup 1. */
__u32 pid;

#define node_state(memcg, item) \
	bpf_mem_cgroup_page_state(memcg, bpf_core_enum_value(enum node_stat_item, item))
#define memcg_state(memcg, item) \
	bpf_mem_cgroup_page_state(memcg, bpf_core_enum_value(enum memcg_stat_item, item))
#define vm_event(memcg, item) \
	bpf_mem_cgroup_vm_events(memcg, bpf_core_enum_value(enum vm_event_item, item))
#define memory_event(memcg, item) \
	bpf_mem_cgroup_memory_events(memcg, bpf_core_enum_value(enum memcg_memory_event, item))

static void look_at_states(struct kfunc_values *values, struct mem_cgroup *memcg)
{
	values->state[STATE_ANON] = node_state(memcg, NR_ANON_MAPPED);
	values->state[STATE_FILE] = node_state(memcg, NR_FILE_PAGES);
	values->state[STATE_SHMEM] = node_state(memcg, NR_SHMEM);
	values->state[STATE_KERNEL_STACK] = node_state(memcg, NR_KERNEL_STACK_KB);
	values->state[STATE_PAGETABLES] = node_state(memcg, NR_PAGETABLE);
	values->state[STATE_INACTIVE_ANON] = node_state(memcg, NR_INACTIVE_ANON);
	values->state[STATE_ACTIVE_ANON] = node_state(memcg, NR_ACTIVE_ANON);
	values->state[STATE_UNEVICTABLE] = node_state(memcg, NR_UNEVICTABLE);
	values->state[STATE_SLAB_RECLAIMABLE] = node_state(memcg, NR_SLAB_RECLAIMABLE_B);
	values->state[STATE_SLAB_UNRECLAIMABLE] = node_state(memcg, NR_SLAB_UNRECLAIMABLE_B);
	values->state[STATE_KERNEL] = memcg_state(memcg, MEMCG_KMEM);
	values->state[STATE_SOCK] = memcg_state(memcg, MEMCG_SOCK);
	values->bad_state = memcg_state(memcg, MEMCG_NR_STAT) &
			    bpf_mem_cgroup_page_state(memcg, -1);
}

static void look_at_events(struct kfunc_values *values, struct mem_cgroup *memcg)
{
	values->vm_event[VM_EVENT_PGFAULT] = vm_event(memcg, PGFAULT);
	values->vm_event[VM_EVENT_PGMAJFAULT] = vm_event(memcg, PGMAJFAULT);
	values->vm_event[VM_EVENT_PGLAZYFREE] = vm_event(memcg, PGLAZYFREE);
	values->memory_event[MEMORY_EVENT_LOW] = memory_event(memcg, MEMCG_LOW);
	values->memory_event[MEMORY_EVENT_HIGH] = memory_event(memcg, MEMCG_HIGH);
	values->memory_event[MEMORY_EVENT_MAX] = memory_event(memcg, MEMCG_MAX);
	values->memory_event[MEMORY_EVENT_OOM] = memory_event(memcg, MEMCG_OOM);
	values->memory_event[MEMORY_EVENT_OOM_KILL] = memory_event(memcg, MEMCG_OOM_KILL);
	values->memory_event[MEMORY_EVENT_OOM_GROUP_KILL] =
		memory_event(memcg, MEMCG_OOM_GROUP_KILL);
	values->bad_vm_event = vm_event(memcg, NR_VM_EVENT_ITEMS);
	values->bad_memory_event = memory_event(memcg, MEMCG_NR_MEMORY_EVENTS);
}

static void look_at_memcgs(struct kfunc_values *values, struct bpf_oom_ctx *ctx)
{
	struct mem_cgroup *memcg;

	memcg = bpf_get_root_mem_cgroup();
	if (memcg) {
		values->root_usage = bpf_mem_cgroup_usage(memcg);
		values->root_freeable = bpf_mem_cgroup_freeable(memcg);
		bpf_put_mem_cgroup(memcg);
	}
	memcg = bpf_get_mem_cgroup(&ctx->cgroup_1->self);
	if (memcg) {
		values->usage = bpf_mem_cgroup_usage(memcg);
		values->freeable = bpf_mem_cgroup_freeable(memcg);
		look_at_states(values, memcg);
		look_at_events(values, memcg);
		bpf_put_mem_cgroup(memcg);
	}
}

static void look_at_cgroups(struct kfunc_values *values, struct bpf_oom_ctx *ctx)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgrp;

	cgrp = bpf_cgroup_acquire(ctx->cgroup_1);
	if (cgrp) {
		values->acquired_id = cgrp->kn->id;
		bpf_cgroup_release(cgrp);
	}
	cgrp = bpf_cgroup_ancestor(ctx->cgroup_1, ctx->cgroup_1->level - 1);
	if (cgrp) {
		values->ancestor_id = cgrp->kn->id;
		bpf_cgroup_release(cgrp);
	}
	cgrp = bpf_cgroup_from_id(ctx->cgroup_id_2);
	if (cgrp) {
		values->from_id_id = cgrp->kn->id;
		bpf_cgroup_release(cgrp);
	}
	cgrp = bpf_cgroup_from_id(-1);
	if (cgrp) {
		values->from_bad_id = 1;
		bpf_cgroup_release(cgrp);
	}
	bpf_for_each(css, css, &ctx->cgroup_1->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		values->descendants++;
		values->descendants_sum += css->cgroup->kn->id;
	}
}

static void look_at_task(struct kfunc_values *values, struct bpf_oom_ctx *ctx,
			 struct task_struct *task)
{
	struct task_struct *again;

	values->from_pid_pid = task->pid;
	values->under_1 = bpf_task_under_cgroup(task, ctx->cgroup_1);
	values->under_2 = bpf_task_under_cgroup(task, ctx->cgroup_2);
	again = bpf_task_acquire(task);
	if (again) {
		values->acquired_pid = again->pid;
		bpf_task_release(again);
	}
}

static void look_at_tasks(struct kfunc_values *values, struct bpf_oom_ctx *ctx)
{
	struct task_struct *task;

	task = bpf_task_from_pid(pid);
	if (task) {
		look_at_task(values, ctx, task);
		bpf_task_release(task);
	}
	task = bpf_task_from_pid(-1);
	if (task) {
		values->from_bad_pid = 1;
		bpf_task_release(task);
	}
	bpf_rcu_read_lock();
	bpf_for_each(task, task, NULL, 0 /* processes */)
		values->processes++;
	bpf_rcu_read_unlock();
}

SEC("oom_policy")
int look(struct bpf_oom_ctx *ctx)
{
	struct kfunc_values *values;
	__u32 zero = 0;

	values = bpf_map_lookup_elem(&found, &zero);
	if (!values)
		return BPF_OOM_ABSTAIN;
	look_at_memcgs(values, ctx);
	look_at_cgroups(values, ctx);
	look_at_tasks(values, ctx);
	return BPF_OOM_SECOND;
}

/* The same may be called in the task stage. */
SEC("?oom_policy/task")
int task_stage(struct bpf_oom_ctx *ctx)
{
	long under = bpf_task_under_cgroup(ctx->task_1, ctx->cgroup_2);
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&ctx->cgroup_1->self);
	struct task_struct *task = bpf_task_acquire(ctx->task_1);

	if (memcg) {
		under += bpf_mem_cgroup_usage(memcg);
		bpf_put_mem_cgroup(memcg);
	}
	if (task)
		bpf_task_release(task);
	return under ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/* To be refused. */
SEC("?oom_policy")
int root_memcg_not_put(struct bpf_oom_ctx *ctx)
{
	return !!bpf_get_root_mem_cgroup();
}

SEC("?oom_policy")
int memcg_of_a_number(struct bpf_oom_ctx *ctx)
{
	return !!bpf_get_mem_cgroup((void *)ctx->cgroup_id_1);
}

SEC("?oom_policy")
int put_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	bpf_put_mem_cgroup((void *)ctx->cgroup_1);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int usage_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_usage((void *)ctx->cgroup_1);
}

SEC("?oom_policy")
int freeable_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_freeable((void *)ctx->cgroup_1);
}

SEC("?oom_policy")
int page_state_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_page_state((void *)ctx->cgroup_1, 0);
}

SEC("?oom_policy")
int vm_events_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_vm_events((void *)ctx->cgroup_1, 0);
}

SEC("?oom_policy")
int memory_events_of_a_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_memory_events((void *)ctx->cgroup_1, 0);
}

SEC("?oom_policy")
int usage_of_perhaps_nothing(struct bpf_oom_ctx *ctx)
{
	return !!bpf_mem_cgroup_usage(bpf_get_root_mem_cgroup());
}

SEC("?oom_policy")
int cgroup_not_released(struct bpf_oom_ctx *ctx)
{
	return !!bpf_cgroup_acquire(ctx->cgroup_1);
}

SEC("?oom_policy")
int ancestor_not_released(struct bpf_oom_ctx *ctx)
{
	return !!bpf_cgroup_ancestor(ctx->cgroup_1, 0);
}

SEC("?oom_policy")
int from_id_not_released(struct bpf_oom_ctx *ctx)
{
	return !!bpf_cgroup_from_id(1);
}

SEC("?oom_policy")
int release_of_what_is_not_ours(struct bpf_oom_ctx *ctx)
{
	bpf_cgroup_release(ctx->cgroup_1);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int acquire_of_no_task(struct bpf_oom_ctx *ctx)
{
	return !!bpf_task_acquire((void *)ctx->cgroup_1);
}

SEC("?oom_policy")
int from_pid_not_released(struct bpf_oom_ctx *ctx)
{
	return !!bpf_task_from_pid(1);
}

SEC("?oom_policy")
int release_of_no_task(struct bpf_oom_ctx *ctx)
{
	bpf_task_release((void *)ctx->cgroup_1);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int no_task_under_cgroup(struct bpf_oom_ctx *ctx)
{
	return !!bpf_task_under_cgroup((void *)ctx->cgroup_1, ctx->cgroup_2);
}

SEC("?oom_policy")
int rcu_not_unlocked(struct bpf_oom_ctx *ctx)
{
	bpf_rcu_read_lock();
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int rcu_not_locked(struct bpf_oom_ctx *ctx)
{
	bpf_rcu_read_unlock();
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int css_iterator_kept(struct bpf_oom_ctx *ctx)
{
	struct bpf_iter_css it;

	bpf_iter_css_new(&it, &ctx->cgroup_1->self, BPF_CGROUP_ITER_DESCENDANTS_PRE);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int task_iterator_kept(struct bpf_oom_ctx *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, NULL, 0);
	bpf_rcu_read_unlock();
	return BPF_OOM_EQUAL;
}
