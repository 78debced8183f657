/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/nothing_allocated.bpf.c tells the test. */
#ifndef SELFTESTS_OOM_POLICY_WINDOWS_H
#define SELFTESTS_OOM_POLICY_WINDOWS_H

#define STACK_DEPTH	16

enum {
	SELECTION,	/* a selection in an OOM */
	CONTROL,	/* a rehearsal, which is known to allocate */
	NR_WINDOWS
};

struct window {
	__u64 task;			/* who is inside, or 0 */
	__u64 entered;
	__u64 chose;			/* left with a victim */
	__u64 allocated;
	__u64 stack[STACK_DEPTH];	/* of the first allocation */
};

#endif /* SELFTESTS_OOM_POLICY_WINDOWS_H */
