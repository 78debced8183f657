/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/kfuncs.bpf.c finds out with kfuncs, for comparison with files. */
#ifndef SELFTESTS_OOM_POLICY_KFUNC_VALUES_H
#define SELFTESTS_OOM_POLICY_KFUNC_VALUES_H

/* Lines of memory.stat: states and events. */
enum kfunc_state {
	STATE_ANON,
	STATE_FILE,
	STATE_SHMEM,
	STATE_KERNEL_STACK,
	STATE_PAGETABLES,
	STATE_INACTIVE_ANON,
	STATE_ACTIVE_ANON,
	STATE_UNEVICTABLE,
	STATE_SLAB_RECLAIMABLE,
	STATE_SLAB_UNRECLAIMABLE,
	STATE_KERNEL,
	STATE_SOCK,
	NR_STATES
};

enum kfunc_vm_event {
	VM_EVENT_PGFAULT,
	VM_EVENT_PGMAJFAULT,
	VM_EVENT_PGLAZYFREE,
	NR_VM_EVENTS
};

/* Lines of memory.events. */
enum kfunc_memory_event {
	MEMORY_EVENT_LOW,
	MEMORY_EVENT_HIGH,
	MEMORY_EVENT_MAX,
	MEMORY_EVENT_OOM,
	MEMORY_EVENT_OOM_KILL,
	MEMORY_EVENT_OOM_GROUP_KILL,
	NR_MEMORY_EVENTS
};

struct kfunc_values {
	__s64 usage;
	__s64 root_usage;
	__s64 freeable;
	__s64 root_freeable;
	__s64 state[NR_STATES];
	__s64 vm_event[NR_VM_EVENTS];
	__s64 memory_event[NR_MEMORY_EVENTS];
	__s64 bad_state;		/* of an item that there is not */
	__s64 bad_vm_event;
	__s64 bad_memory_event;

	/* cgroups */
	__u64 acquired_id;
	__u64 ancestor_id;		/* one level up */
	__u64 from_id_id;
	__u32 from_bad_id;		/* not NULL */
	__u32 descendants;		/* itself among them */
	__u64 descendants_sum;		/* of their ids */

	/* tasks */
	__u32 acquired_pid;
	__u32 from_pid_pid;
	__u32 from_bad_pid;		/* not NULL */
	__u32 under_1;			/* the task is below cgroup 1 */
	__u32 under_2;
	__u32 processes;		/* of the machine */
};

#endif /* SELFTESTS_OOM_POLICY_KFUNC_VALUES_H */
