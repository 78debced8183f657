// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * For "bpftool oom monitor": each selection, fallback, marking of a victim, sparing of
 * somebody and end of an event as a record in a ring buffer, or one more in "lost" where
 * there is no room for it.
 *
 * Single comparisons are not watched: a selection tells how many there were.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "oom_reason.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} records SEC(".maps");

__u64 lost;
__u64 lost_ends;	/* these are no news */

static struct oom_record *new_record(enum oom_record_kind kind)
{
	struct oom_record *record;

	record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(kind == OOM_RECORD_DONE ? &lost_ends : &lost, 1);
		return NULL;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->time_ns = bpf_ktime_get_ns();
	record->task = bpf_get_current_pid_tgid();
	record->kind = kind;
	return record;
}

SEC("tp_btf/oom_policy_fallback")
int BPF_PROG(oom_fallback, u64 scope_id, u32 reason, u64 ns)
{
	struct oom_record *record = new_record(OOM_RECORD_FALLBACK);

	if (!record)
		return 0;
	record->scope_id = scope_id;
	record->reason = reason_of(reason);
	record->took_ns = ns;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/oom_policy_select")
int BPF_PROG(oom_select, u64 scope_id, u64 victim_id, pid_t pid, u32 compared, u64 ns)
{
	struct oom_record *record = new_record(OOM_RECORD_SELECT);

	if (!record)
		return 0;
	record->scope_id = scope_id;
	record->victim_id = victim_id;
	record->pid = pid;
	record->compared = compared;
	record->took_ns = ns;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/oom_policy_spare")
int BPF_PROG(oom_spare, u64 memcg_id, pid_t pid, pid_t other, u32 nr)
{
	struct oom_record *record = new_record(OOM_RECORD_SPARE);

	if (!record)
		return 0;
	record->spared = nr;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(oom_mark, struct task_struct *task)
{
	struct oom_record *record = new_record(OOM_RECORD_MARK);

	if (!record)
		return 0;
	record->pid = task->pid;
	record->rss = rss_pages(task);
	bpf_probe_read_kernel_str(record->comm, sizeof(record->comm), task->comm);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/oom_policy_done")
int BPF_PROG(oom_done, u64 scope_id, u64 ns)
{
	struct oom_record *record = new_record(OOM_RECORD_DONE);

	if (!record)
		return 0;
	record->scope_id = scope_id;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
