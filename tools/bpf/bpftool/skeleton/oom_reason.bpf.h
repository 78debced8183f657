/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What an event is told with: why the stock killer had to decide, from the kernel's
 * numbers to ours, as the kernel that bpftool is built on need not have OOM policies; and
 * what a victim holds.
 */
#ifndef __OOM_REASON_BPF_H
#define __OOM_REASON_BPF_H

#include "oom_monitor.h"

enum oom_policy_fallback___local {
	OOM_POLICY_NONE_ELIGIBLE___local,
	OOM_POLICY_BUDGET___local,
	OOM_POLICY_ABSTAINED___local,
	OOM_POLICY_DISABLED___local,
	OOM_POLICY_IN_FLIGHT___local,
	OOM_POLICY_GRACE___local,
	OOM_POLICY_FUTILE___local,
};

#define FALLBACK(name)						\
	bpf_core_enum_value(enum oom_policy_fallback___local,	\
			    OOM_POLICY_##name##___local)

static enum oom_record_reason reason_of(u32 reason)
{
	if (reason == FALLBACK(NONE_ELIGIBLE))
		return OOM_REASON_NONE_ELIGIBLE;
	if (reason == FALLBACK(BUDGET))
		return OOM_REASON_BUDGET;
	if (reason == FALLBACK(ABSTAINED))
		return OOM_REASON_ABSTAIN;
	if (reason == FALLBACK(DISABLED))
		return OOM_REASON_DISABLED;
	if (reason == FALLBACK(IN_FLIGHT))
		return OOM_REASON_IN_FLIGHT;
	if (reason == FALLBACK(GRACE))
		return OOM_REASON_GRACE;
	if (reason == FALLBACK(FUTILE))
		return OOM_REASON_FUTILE;
	return OOM_REASON_OTHER;
}

/* As the kernel's own counters are read without their per-CPU parts. */
static u64 rss_pages(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	s64 file = BPF_CORE_READ(mm, rss_stat[MM_FILEPAGES].count);
	s64 anon = BPF_CORE_READ(mm, rss_stat[MM_ANONPAGES].count);
	s64 shmem = BPF_CORE_READ(mm, rss_stat[MM_SHMEMPAGES].count);

	return (file > 0 ? file : 0) + (anon > 0 ? anon : 0) + (shmem > 0 ? shmem : 0);
}

#endif /* __OOM_REASON_BPF_H */
