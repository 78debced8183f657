/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a tracing program runs in an interrupt, as the x86 kernel counts it: by those
 * bits of the preemption counter that say that it serves a softirq, or is in a hardirq
 * or an NMI.
 */
#ifndef SELFTESTS_OOM_POLICY_INTERRUPT_H
#define SELFTESTS_OOM_POLICY_INTERRUPT_H

#define IN_INTERRUPT	0xff000100

/* As they were when the counter was in this structure. */
#define IN_INTERRUPT_HOT	0x00ff0100

struct pcpu_hot {
	int preempt_count;
} __attribute__((preserve_access_index));

extern const struct pcpu_hot pcpu_hot __ksym __weak;
extern const unsigned long __preempt_count __ksym __weak;

static inline bool in_interrupt(void)
{
	const struct pcpu_hot *hot;
	const unsigned long *count;

	if (bpf_ksym_exists(&pcpu_hot)) {
		hot = bpf_this_cpu_ptr(&pcpu_hot);
		return hot->preempt_count & IN_INTERRUPT_HOT;
	}
	if (!bpf_ksym_exists(&__preempt_count))
		return false;
	count = bpf_this_cpu_ptr(&__preempt_count);
	return *count & IN_INTERRUPT;
}

#endif /* SELFTESTS_OOM_POLICY_INTERRUPT_H */
