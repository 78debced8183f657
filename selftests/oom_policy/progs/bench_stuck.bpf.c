// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches a killer until its SIGKILL: when it allocates, reclaims and faults. The
 * killer is a process, or whoever is in oom_policy_kill().
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bench_stuck.h"
#include "kernel_types.h"

#define SIGKILL	9

char _license[] SEC("license") = "GPL";

/* Cgroup id of a tenant: 1 if it is precious. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u32);
} tenants SEC(".maps");

__u32 killer_tgid;
struct stuck_event event;

static __u64 in_kill;	/* thread */

static bool is_killer(void)
{
	const __u64 id = bpf_get_current_pid_tgid();

	return in_kill == id || (killer_tgid && killer_tgid == id >> 32);
}

SEC("fentry/oom_policy_kill")
int kill_begin(void *ctx)
{
	in_kill = bpf_get_current_pid_tgid();
	return 0;
}

SEC("fexit/oom_policy_kill")
int kill_end(void *ctx)
{
	in_kill = 0;
	return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, void *info, struct task_struct *task)
{
	__u64 id = task->cgroups->dfl_cgrp->kn->id;
	__u32 *precious = bpf_map_lookup_elem(&tenants, &id);

	if (sig != SIGKILL || !precious || event.killed_ns)
		return 0;
	event.precious = *precious;
	event.by_killer = is_killer();
	event.killed_ns = bpf_ktime_get_ns();
	return 0;
}

static int note(__u32 deed)
{
	__u64 n;

	if (event.killed_ns || !is_killer())
		return 0;
	n = __sync_fetch_and_add(&event.nr_deeds, 1);
	event.deeds[n & (MAX_DEEDS - 1)] = (bpf_ktime_get_ns() & ~(__u64)DEED_MASK) | deed;
	return 0;
}

SEC("tp_btf/mm_page_alloc")
int on_page(void *ctx)
{
	return note(ALLOCATION);
}

SEC("tp_btf/kmalloc")
int on_kmalloc(void *ctx)
{
	return note(ALLOCATION);
}

SEC("tp_btf/kmem_cache_alloc")
int on_cache(void *ctx)
{
	return note(ALLOCATION);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int on_reclaim(void *ctx)
{
	return note(RECLAIM);
}

SEC("tp_btf/page_fault_user")
int on_fault(void *ctx)
{
	return note(FAULT);
}
