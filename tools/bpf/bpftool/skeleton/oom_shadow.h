/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the programs of "bpftool oom shadow" write to their ring buffer.
 */
#ifndef __OOM_SHADOW_H
#define __OOM_SHADOW_H

#define OOM_SHADOW_CTX		256	/* room for a context that has grown */
#define OOM_SHADOW_RING		(4 * 1024 * 1024)

enum oom_shadow_kind {
	OOM_SHADOW_COMPARED,
	OOM_SHADOW_SELECTED,
	OOM_SHADOW_DONE,	/* the event is over */
};

struct oom_shadow_record {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u64 scope_id;		/* of the latter two */
	__u64 victim_id;
	__u32 kind;
	__u32 verdict;
	__u32 pid;
	__u32 ctx_size;		/* the kernel's */
	char ctx[OOM_SHADOW_CTX];
};

#endif /* __OOM_SHADOW_H */
