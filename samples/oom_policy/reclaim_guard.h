/* SPDX-License-Identifier: GPL-2.0-only */
/* What reclaim_guard is told by its loader, and what it tells. */
#ifndef SAMPLES_OOM_POLICY_RECLAIM_GUARD_H
#define SAMPLES_OOM_POLICY_RECLAIM_GUARD_H

#include <linux/types.h>

struct guard_rule {
	__u64 scope_id;
	__u32 scope_level;	/* depth of the scope's cgroup, 0: the whole machine */
	__u32 stall_ms;
	__u32 window_ms;
	__u32 pause_ms;
};

struct guard_counts {
	__u64 kills;
	__u64 put_off;		/* a victim was still dying */
	__u64 failures;
	__s64 last_error;
};

#endif /* SAMPLES_OOM_POLICY_RECLAIM_GUARD_H */
