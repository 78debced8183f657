// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policies of the stress test, and its judge, who sees every OOM event from
 * its beginning to its end and every task that is marked as a victim in it.
 *
 * Events are serialized by oom_lock, so one set of globals describes the event
 * that is going on. What user space does to the root's policy, and moving tasks
 * between tenants, it announces in two counters, odd while it lasts: events that
 * overlap it are counted apart. A third one is for moves within a tenant: who dies is
 * looked for in one cgroup after the other, by the stock killer as well, and a victim that
 * comes to where it has looked already is not seen.
 */
#include <stdbool.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "stress.h"

#define MAX_DYING	4096
#define MMF_OOM_SKIP	21

char _license[] SEC("license") = "GPL";

struct map_of_ids {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __s64);
};

struct map_of_ids oom_priority SEC(".maps");
struct map_of_ids tenant_of SEC(".maps");

/* Process to the event that has marked it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} marked SEC(".maps");

/* Victims whose task is not gone: the task to the event that has marked it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DYING);
	__type(key, __u64);
	__type(value, __u64);
} dying SEC(".maps");

/* Wakes user space; what it says is the number of the event. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} bell SEC(".maps");

/* Written by user space. */
__u32 policy_epoch;
__u32 move_epoch;
__u32 shift_epoch;

/* Read by user space. */
__u32 sated;			/* somebody was killed */
__u64 nr_events;
__u64 kills[NR_KINDS];
__u64 judged;			/* kills with the policy in place all along */
__u64 unjudged;
__u64 precious_judged;		/* the precious tenant died with the policy in place */
__u64 precious_unjudged;
__u64 precious_event;		/* number of the last such event */
__u64 several_tenants;		/* one event killed in more than one */
__u64 outside_scope;
__u64 while_dying;		/* somebody was chosen while a victim was dying */
__u64 moved;			/* not judged on these three: tasks were moved */
__u64 shifted;			/* not judged on the last one: within a tenant */
__u64 forgotten;		/* dying victims that there was no room for */

/* The event that is going on. */
__u32 now_policy_epoch;
__u32 now_move_epoch;
__u32 now_shift_epoch;
__u64 now_scope;		/* cgroup id, 0 for the machine */
__u32 now_tenants;		/* bits of those who were killed in */
__u32 now_outside;

static __s64 lookup(void *map, __u64 id)
{
	__s64 *value = bpf_map_lookup_elem(map, &id);

	return value ? *value : 0;
}

SEC("oom_policy")
int by_priority(struct bpf_oom_ctx *ctx)
{
	__s64 first = lookup(&oom_priority, ctx->cgroup_id_1);
	__s64 second = lookup(&oom_priority, ctx->cgroup_id_2);

	if (first == second)
		return BPF_OOM_EQUAL;
	return first < second ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/* The same, with the priorities kept in the scratch words: 0 is not one of them. */
SEC("oom_policy")
int by_kept_priority(struct bpf_oom_ctx *ctx)
{
	if (!ctx->scratch_1)
		ctx->scratch_1 = lookup(&oom_priority, ctx->cgroup_id_1) + 100;
	if (!ctx->scratch_2)
		ctx->scratch_2 = lookup(&oom_priority, ctx->cgroup_id_2) + 100;

	if (ctx->scratch_1 == ctx->scratch_2)
		return BPF_OOM_EQUAL;
	return ctx->scratch_1 < ctx->scratch_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

static struct cgroup *ancestor(struct cgroup *cgrp, int level)
{
	struct cgroup *found = NULL;

	if (level < 0 || level > BPF_CORE_READ(cgrp, level))
		return NULL;
	bpf_probe_read_kernel(&found, sizeof(found), (void *)cgrp +
			      bpf_core_field_offset(cgrp->ancestors) +
			      level * sizeof(found));
	return found;
}

static __u64 id_at(struct cgroup *cgrp, int level)
{
	struct cgroup *found = ancestor(cgrp, level);

	return found ? BPF_CORE_READ(found, kn, id) : 0;
}

/* Tenants are at level 1 or 2. */
static __u32 find_tenant(struct cgroup *cgrp)
{
	return lookup(&tenant_of, id_at(cgrp, 1)) ?: lookup(&tenant_of, id_at(cgrp, 2));
}

static bool in_scope(struct cgroup *cgrp)
{
	int level;

	if (!now_scope)
		return true;
	for (level = 1; level < MAX_DEPTH; level++)
		if (id_at(cgrp, level) == now_scope)
			return true;
	return false;
}

static unsigned long mm_flags(struct mm_struct *mm)
{
	struct mm_struct___of_words *newer = (void *)mm;

	if (bpf_core_field_exists(newer->flags.__mm_flags))
		return BPF_CORE_READ(newer, flags.__mm_flags[0]);
	return BPF_CORE_READ(mm, flags);
}

/* As the stock killer sees it. What is read counts if the task was kept until then. */
static long count_dying(void *map, __u64 *key, __u64 *event, __u32 *here)
{
	struct task_struct *task = (void *)*key;
	struct mm_struct *mm;
	bool alive;

	if (*event == nr_events)
		return 0;
	mm = BPF_CORE_READ(task, signal, oom_mm);
	alive = BPF_CORE_READ(task, signal, live.counter) > 0 &&
		!(mm_flags(mm) & (1UL << MMF_OOM_SKIP)) &&
		in_scope(BPF_CORE_READ(task, cgroups, dfl_cgrp));
	if (alive && bpf_map_lookup_elem(&dying, key))
		++*here;
	return 0;
}

SEC("fentry/__put_task_struct")
int BPF_PROG(on_put_task, struct task_struct *task)
{
	__u64 key = (__u64)task;

	bpf_map_delete_elem(&dying, &key);
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(on_event_begin, struct oom_control *oc)
{
	nr_events++;
	now_policy_epoch = policy_epoch;
	now_move_epoch = move_epoch;
	now_shift_epoch = shift_epoch;
	now_scope = oc->memcg ? BPF_CORE_READ(oc, memcg, css.cgroup, kn, id) : 0;
	now_tenants = 0;
	now_outside = 0;
	return 0;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_victim, struct task_struct *task)
{
	struct cgroup *cgrp = task->cgroups->dfl_cgrp;
	__u64 key = (__u64)task;
	__u32 tgid = task->tgid;

	if (bpf_map_update_elem(&dying, &key, &nr_events, BPF_NOEXIST))
		forgotten++;
	bpf_map_update_elem(&marked, &tgid, &nr_events, BPF_ANY);
	now_tenants |= 1U << (find_tenant(cgrp) & 31);
	if (!in_scope(cgrp))
		now_outside = 1;
	return 0;
}

static bool unchanged(__u32 before, __u32 after)
{
	return before == after && !(before & 1);
}

static void judge_place(bool sysrq)
{
	__u32 here = 0;

	if (now_tenants & (now_tenants - 1))
		several_tenants++;
	outside_scope += now_outside;
	if (sysrq)
		return;
	if (!unchanged(now_shift_epoch, shift_epoch)) {
		shifted++;
		return;
	}
	bpf_for_each_map_elem(&dying, count_dying, &here, 0);
	while_dying += !!here;
}

static void judge_policy(void)
{
	const bool precious = now_tenants & (1U << PRECIOUS);

	if (!unchanged(now_policy_epoch, policy_epoch)) {
		unjudged++;
		precious_unjudged += precious;
		return;
	}
	judged++;
	if (precious) {
		precious_event = nr_events;
		precious_judged++;
	}
}

SEC("fexit/out_of_memory")
int BPF_PROG(on_event_end, struct oom_control *oc)
{
	const bool sysrq = oc->order == -1;

	/* Nobody is marked anew if the choice is exiting anyway. */
	if (!oc->chosen || oc->chosen == (void *)-1UL || !now_tenants) {
		if (sysrq)
			bpf_ringbuf_output(&bell, &nr_events, sizeof(nr_events), 0);
		return 0;
	}

	kills[sysrq ? BY_SYSRQ : oc->memcg ? BY_MEMCG : BY_MACHINE]++;
	if (unchanged(now_move_epoch, move_epoch))
		judge_place(sysrq);
	else
		moved++;
	judge_policy();
	sated = 1;
	bpf_ringbuf_output(&bell, &nr_events, sizeof(nr_events), 0);
	return 0;
}
