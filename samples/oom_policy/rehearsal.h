/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy rehearsal writes to its ring buffer, one record per event. */
#ifndef SAMPLES_OOM_POLICY_REHEARSAL_H
#define SAMPLES_OOM_POLICY_REHEARSAL_H

#include <linux/types.h>

#define REHEARSAL_LEVELS	16

struct rehearsal_level {
	__u64 winner_id;
	__s64 priority;
	__u64 usage;	/* bytes */
	__u32 eligible;
	__u32 pad;
};

struct rehearsal_event {
	__u64 ns;		/* CLOCK_MONOTONIC */
	__u64 scope_id;
	__u32 event_flags;	/* BPF_OOM_EVENT_* */
	__u32 nr_levels;
	struct rehearsal_level level[REHEARSAL_LEVELS];
};

#endif /* SAMPLES_OOM_POLICY_REHEARSAL_H */
