// SPDX-License-Identifier: GPL-2.0-only
/* Notes who was killed by the OOM killer, when, and how the OOM reaper fares. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bench_slow.h"
#include "kernel_types.h"

char _license[] SEC("license") = "GPL";

/* By cgroup id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct victims);
} victims SEC(".maps");

/* Processes that are known: a thread that is marked as well is no other victim. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} known SEC(".maps");

__u32 reaper_failed;	/* attempts; it gives up after 10 on each */

SEC("tp_btf/skip_task_reaping")
int on_failure(void *ctx)
{
	__sync_fetch_and_add(&reaper_failed, 1);
	return 0;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_victim, struct task_struct *task)
{
	struct victims new = { .first_ns = bpf_ktime_get_ns(), .processes = 1 }, *old;
	__u64 id = task->cgroups->dfl_cgrp->kn->id;
	__u32 tgid = task->tgid, one = 1;

	if (bpf_map_update_elem(&known, &tgid, &one, BPF_NOEXIST))
		return 0;
	old = bpf_map_lookup_elem(&victims, &id);
	if (old)
		__sync_fetch_and_add(&old->processes, 1);
	else
		bpf_map_update_elem(&victims, &id, &new, BPF_NOEXIST);
	return 0;
}
