/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a tracing program runs in an interrupt, as the x86 kernel counts it. */
#ifndef SELFTESTS_OOM_POLICY_INTERRUPT_H
#define SELFTESTS_OOM_POLICY_INTERRUPT_H

/* Of the preemption counter: serving a softirq, in a hardirq, in an NMI. */
#define IN_INTERRUPT	0x00ff0100

struct pcpu_hot {
	int preempt_count;
} __attribute__((preserve_access_index));

extern const struct pcpu_hot pcpu_hot __ksym;

static inline bool in_interrupt(void)
{
	const struct pcpu_hot *hot = bpf_this_cpu_ptr(&pcpu_hot);

	return hot->preempt_count & IN_INTERRUPT;
}

#endif /* SELFTESTS_OOM_POLICY_INTERRUPT_H */
