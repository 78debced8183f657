// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The recorder of "bpftool oom record": the last decisions of OOM policies, in a map that
 * is pinned like the links of these programs, so that nobody has to watch.
 *
 * OOMs come one after the other, under the kernel's oom_lock, and what is told of one
 * comes from one task: fallbacks, the levels, the choice, each victim, the end. The exits of
 * victims come at any time, and are looked for only as long as there are some to come.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "oom_record.h"
#include "oom_reason.bpf.h"

#define OOM_PAGE_SIZE	4096	/* unless user space says otherwise */
#define SAME_OOM_NS	10000000000ULL	/* a kill follows its choice within that */
#define MAX_WAITING	256

/* The kernel that bpftool is built on need not have OOM policies. */
struct bpf_oom_step___local {
	__u32 level;
	__u32 prog_id;
	__u32 eligible;
	__u32 compared;
	__u64 winner_id;
	__u64 runner_id;
	__u64 winner_usage;
	__u64 runner_usage;
} __attribute__((preserve_access_index));

struct page_counter___local {
	atomic_long_t usage;
} __attribute__((preserve_access_index));

struct mem_cgroup___local {
	struct cgroup_subsys_state css;
	struct page_counter___local memory;
} __attribute__((preserve_access_index));

enum cgroup_subsys_id___local {
	memory_cgrp_id___local,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OOM_RECORDED);
	__type(key, __u32);
	__type(value, struct oom_decision);
} decisions SEC(".maps");

/* One that has nothing in it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct oom_decision);
} nothing SEC(".maps");

/* From victims that are dying, by their process ids, to their decisions. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WAITING);
	__type(key, __u32);
	__type(value, __u64);
} dying SEC(".maps");

__u64 page_size = OOM_PAGE_SIZE;
struct oom_record_state state;

static struct oom_decision *decision_of(__u64 seq)
{
	__u32 slot = seq % OOM_RECORDED;
	struct oom_decision *d = bpf_map_lookup_elem(&decisions, &slot);

	return d && d->seq == seq ? d : NULL;
}

static struct oom_decision *new_decision(__u64 scope_id)
{
	__u64 seq = state.seq + 1;
	__u32 slot = seq % OOM_RECORDED, zero = 0;
	struct oom_decision *d, *empty;

	d = bpf_map_lookup_elem(&decisions, &slot);
	empty = bpf_map_lookup_elem(&nothing, &zero);
	if (!d || !empty)
		return NULL;
	bpf_probe_read_kernel(d, sizeof(*d), empty);
	d->time_ns = bpf_ktime_get_boot_ns();
	d->told_ns = d->time_ns;
	d->scope_id = scope_id;
	d->repeated = 1;
	d->seq = seq;
	state.task = bpf_get_current_pid_tgid();
	state.seq = seq;
	return d;
}

/* The one that this task is about, if its victim is still to come, or a new one. */
static struct oom_decision *current_decision(__u64 scope_id)
{
	struct oom_decision *d = decision_of(state.seq);

	state.over = 0;
	if (d && state.task == bpf_get_current_pid_tgid() && !d->victim_id && !d->killed &&
	    d->scope_id == scope_id)
		return d;
	return new_decision(scope_id);
}

/* That somebody waits is no decision. */
SEC("tp_btf/oom_policy_fallback")
int BPF_PROG(oom_rec_fallback, u64 scope_id, u32 reason, u64 ns)
{
	const enum oom_record_reason why = reason_of(reason);
	struct oom_decision *d;

	if (why == OOM_REASON_IN_FLIGHT || why == OOM_REASON_GRACE)
		return 0;
	d = current_decision(scope_id);
	if (!d)
		return 0;
	if (d->fallback && d->reason == why && !d->nr_levels)
		d->repeated++;
	d->fallback = 1;
	d->reason = why;
	d->took_ns = ns;
	d->told_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static void read_name(char *name, struct mem_cgroup___local *memcg)
{
	bpf_probe_read_kernel_str(name, OOM_RECORDED_NAME,
				  BPF_CORE_READ(memcg, css.cgroup, kn, name));
}

SEC("tp_btf/oom_policy_level")
int BPF_PROG(oom_rec_level, u64 scope_id, struct bpf_oom_step___local *step,
	     struct mem_cgroup___local *winner, struct mem_cgroup___local *runner)
{
	struct oom_decision *d = current_decision(scope_id);
	struct oom_recorded_level *level;
	__u32 n;

	/* Of a module's tracepoint the verifier does not know what is always there. */
	if (!d || !step || !winner)
		return 0;
	n = d->nr_levels++;
	if (n >= OOM_RECORDED_LEVELS)
		return 0;
	level = &d->levels[n];
	level->winner_id = BPF_CORE_READ(step, winner_id);
	level->runner_id = BPF_CORE_READ(step, runner_id);
	level->winner_usage = BPF_CORE_READ(step, winner_usage);
	level->runner_usage = BPF_CORE_READ(step, runner_usage);
	level->level = BPF_CORE_READ(step, level);
	level->prog_id = BPF_CORE_READ(step, prog_id);
	level->eligible = BPF_CORE_READ(step, eligible);
	level->compared = BPF_CORE_READ(step, compared);
	read_name(level->winner, winner);
	if (level->runner_id && runner)
		read_name(level->runner, runner);
	return 0;
}

SEC("tp_btf/oom_policy_select")
int BPF_PROG(oom_rec_select, u64 scope_id, u64 victim_id, pid_t pid, u32 compared, u64 ns)
{
	struct oom_decision *d = current_decision(scope_id);

	if (!d)
		return 0;
	d->victim_id = victim_id;
	d->pid = pid;
	d->compared = compared;
	d->took_ns = ns;
	d->told_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static struct mem_cgroup___local *memcg_of(struct task_struct *task)
{
	const __u32 at = bpf_core_enum_value(enum cgroup_subsys_id___local,
					     memory_cgrp_id___local);
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;

	bpf_probe_read_kernel(&css, sizeof(css), (void *)set +
			      bpf_core_field_offset(struct css_set, subsys) + at * sizeof(css));
	/* It comes first in there. */
	return (void *)css;
}

static __u64 usage_of(struct mem_cgroup___local *memcg)
{
	const long pages = BPF_CORE_READ(memcg, memory.usage.counter);

	return pages > 0 ? pages * page_size : 0;
}

/* As it is since 6.15, and as it was. */
struct kernfs_node___new {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

struct kernfs_node___old {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	struct kernfs_node___new *now = (void *)node;
	struct kernfs_node___old *then = (void *)node;

	if (bpf_core_field_exists(now->__parent))
		return BPF_CORE_READ(now, __parent);
	return BPF_CORE_READ(then, parent);
}

static void read_path(struct oom_decision *d, struct mem_cgroup___local *memcg)
{
	struct kernfs_node *node = BPF_CORE_READ(memcg, css.cgroup, kn);
	const __u32 depth = BPF_CORE_READ(memcg, css.cgroup, level);
	__u32 i;

	d->depth = depth;
	for (i = 0; i < OOM_RECORDED_DEPTH && i < depth; i++) {
		bpf_probe_read_kernel_str(d->path[i], OOM_RECORDED_NAME,
					  BPF_CORE_READ(node, name));
		if (BPF_CORE_READ(node, id) == d->scope_id)
			d->scope_depth = depth - i;
		node = parent_of(node);
	}
}

/* The first one is the victim, the others go with it. */
SEC("tp_btf/mark_victim")
int BPF_PROG(oom_rec_mark, struct task_struct *task)
{
	struct oom_decision *d = decision_of(state.seq);
	const __u64 now = bpf_ktime_get_boot_ns();
	struct mem_cgroup___local *memcg;
	__u32 tgid;
	__u64 seq;

	/* A kill in which no policy had a part. */
	if (!d || state.over || state.task != bpf_get_current_pid_tgid() ||
	    now - d->told_ns > SAME_OOM_NS)
		return 0;

	memcg = memcg_of(task);
	tgid = BPF_CORE_READ(task, tgid);
	if (!d->killed) {
		d->pid = tgid;
		BPF_CORE_READ_STR_INTO(&d->comm, task, group_leader, comm);
		read_path(d, memcg);
		d->usage_before = usage_of(memcg);
	}
	d->killed++;
	d->told_ns = now;
	d->held += rss_pages(task) * page_size;
	__sync_fetch_and_add(&state.kills, 1);

	seq = d->seq;
	if (!bpf_map_update_elem(&dying, &tgid, &seq, BPF_NOEXIST))
		__sync_fetch_and_add(&state.waiting, 1);
	return 0;
}

/* Whoever this task kills later is of another event. */
SEC("tp_btf/oom_policy_done")
int BPF_PROG(oom_rec_done, u64 scope_id, u64 ns)
{
	state.over = 1;
	return 0;
}

/* Its memory is gone by then; sched_process_exit of 7.3 comes before that. */
SEC("fentry/exit_files")
int BPF_PROG(oom_rec_exit, struct task_struct *task)
{
	struct oom_decision *d;
	__u64 *seq, back;
	__u32 tgid;

	if (!state.waiting)
		return 0;
	tgid = task->tgid;
	seq = bpf_map_lookup_elem(&dying, &tgid);
	if (!seq || BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;

	d = decision_of(*seq);
	if (d) {
		d->usage_after = usage_of(memcg_of(task));
		__sync_fetch_and_add(&d->exited, 1);
		if (d->exited == d->killed) {
			back = d->usage_before > d->usage_after ?
			       d->usage_before - d->usage_after : 0;
			if (back < d->held / 8)
				__sync_fetch_and_add(&state.useless, 1);
		}
	}
	if (!bpf_map_delete_elem(&dying, &tgid))
		__sync_fetch_and_add(&state.waiting, -1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
