/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the programs of "bpftool oom monitor" write to their ring buffer.
 */
#ifndef __OOM_MONITOR_H
#define __OOM_MONITOR_H

#define OOM_COMM_LEN	16

enum oom_record_kind {
	OOM_RECORD_FALLBACK,
	OOM_RECORD_SELECT,
	OOM_RECORD_MARK,
	OOM_RECORD_SPARE,
	OOM_RECORD_DONE,
};

/* Why the stock killer had to decide. */
enum oom_record_reason {
	OOM_REASON_OTHER,	/* unknown to this bpftool */
	OOM_REASON_NONE_ELIGIBLE,
	OOM_REASON_BUDGET,
	OOM_REASON_ABSTAIN,
	OOM_REASON_DISABLED,
	OOM_REASON_IN_FLIGHT,
	OOM_REASON_GRACE,
	OOM_REASON_FUTILE,
	OOM_NR_REASONS
};

/* One tracepoint; what it does not tell is 0. */
struct oom_record {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u64 scope_id;
	__u64 victim_id;
	__u64 took_ns;
	__u64 rss;		/* pages: anonymous, file and shared */
	__u32 kind;
	__u32 reason;
	__u32 compared;
	__u32 spared;
	int task;		/* whose allocation it was */
	int pid;		/* of the victim */
	char comm[OOM_COMM_LEN];		/* of the victim, whatever bytes it has */
};

#endif /* __OOM_MONITOR_H */
