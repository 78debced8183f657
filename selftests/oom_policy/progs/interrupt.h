/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a tracing program runs in an interrupt: by those bits of the preemption counter
 * that say that the kernel serves a softirq, or is in a hardirq or an NMI. x86 has the
 * counter with what belongs to a CPU, others with the task.
 */
#ifndef SELFTESTS_OOM_POLICY_INTERRUPT_H
#define SELFTESTS_OOM_POLICY_INTERRUPT_H

#include <bpf/bpf_core_read.h>

#define IN_INTERRUPT	0xff000100

/* As they were in 6.12. */
#define IN_INTERRUPT_6		0x00ff0100

struct pcpu_hot {
	int preempt_count;
} __attribute__((preserve_access_index));

struct thread_info___counts {
	struct {
		__u32 count;
	} preempt;
} __attribute__((preserve_access_index));

struct task_struct___counts {
	struct thread_info___counts thread_info;
} __attribute__((preserve_access_index));

extern int LINUX_KERNEL_VERSION __kconfig;
extern const struct pcpu_hot pcpu_hot __ksym __weak;
extern const unsigned long __preempt_count __ksym __weak;

static inline bool in_interrupt(void)
{
	const int version = LINUX_KERNEL_VERSION;
	const struct task_struct___counts *task;
	const struct pcpu_hot *hot;
	const unsigned long *count;

	task = (const void *)bpf_get_current_task_btf();
	if (bpf_core_field_exists(task->thread_info.preempt.count))
		return task->thread_info.preempt.count &
		       (version < KERNEL_VERSION(7, 0, 0) ? IN_INTERRUPT_6 : IN_INTERRUPT);

	if (bpf_ksym_exists(&pcpu_hot)) {
		hot = bpf_this_cpu_ptr(&pcpu_hot);
		return hot->preempt_count & IN_INTERRUPT_6;
	}
	if (!bpf_ksym_exists(&__preempt_count))
		return false;
	count = bpf_this_cpu_ptr(&__preempt_count);
	return *count & IN_INTERRUPT;
}

#endif /* SELFTESTS_OOM_POLICY_INTERRUPT_H */
