// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * For "bpftool oom shadow": each comparison with all that the program was given, and how
 * the event ended, in a ring buffer; or one more in "lost" where there is no room.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "oom_shadow.h"

/* The kernel that bpftool is built on need not have OOM policies. */
struct bpf_oom_ctx___local {
	__u64 cgroup_id_1;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, OOM_SHADOW_RING);
} records SEC(".maps");

__u64 lost;

static struct oom_shadow_record *new_record(enum oom_shadow_kind kind)
{
	struct oom_shadow_record *record;

	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return NULL;
	}
	record->time_ns = bpf_ktime_get_ns();
	record->scope_id = 0;
	record->victim_id = 0;
	record->kind = kind;
	record->verdict = 0;
	record->pid = 0;
	record->ctx_size = 0;
	return record;
}

SEC("tp_btf/oom_policy_compare")
int BPF_PROG(oom_shd_compare, struct bpf_oom_ctx___local *given, u32 verdict)
{
	struct oom_shadow_record *record = new_record(OOM_SHADOW_COMPARED);
	__u32 size = bpf_core_type_size(struct bpf_oom_ctx___local);

	if (!record)
		return 0;
	record->verdict = verdict;
	if (size > OOM_SHADOW_CTX)
		size = OOM_SHADOW_CTX;
	record->ctx_size = size;
	bpf_probe_read_kernel(record->ctx, size, given);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/oom_policy_select")
int BPF_PROG(oom_shd_select, u64 scope_id, u64 victim_id, pid_t pid, u32 compared, u64 ns)
{
	struct oom_shadow_record *record = new_record(OOM_SHADOW_SELECTED);

	if (!record)
		return 0;
	record->scope_id = scope_id;
	record->victim_id = victim_id;
	record->pid = pid;
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("tp_btf/oom_policy_done")
int BPF_PROG(oom_shd_done, u64 scope_id, u64 ns)
{
	struct oom_shadow_record *record = new_record(OOM_SHADOW_DONE);

	if (!record)
		return 0;
	record->scope_id = scope_id;
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
