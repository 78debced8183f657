/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of BPF_PROG_TYPE_OOM_POLICY: what a policy program is given when two
 * sibling memory cgroups are compared, and what it may answer.
 *
 * The scalar fields of struct bpf_oom_ctx are stable: a program that reads only
 * those needs no kernel headers and no BTF of the running kernel. The pointers
 * are for kfuncs and for cgroup storage; what they point at is the kernel's own.
 *
 * Structures grow at the end. Whoever hands one over says how long the one that it
 * knows is; what is missing in a shorter one is zero.
 */
#ifndef _UAPI__LINUX_BPF_OOM_POLICY_H__
#define _UAPI__LINUX_BPF_OOM_POLICY_H__

/*
 * vmlinux.h, made of the types of a kernel, has all of this: a program that needs it for
 * other types includes it first, and this header to be read.
 */
#ifndef __VMLINUX_H__

#include <linux/bpf.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/* What a program returns; the verifier refuses anything else. */
enum bpf_oom_verdict {
	BPF_OOM_EQUAL	= 0,	/* no preference: the kernel breaks the tie */
	BPF_OOM_FIRST	= 1,	/* candidate 1 is the better victim */
	BPF_OOM_SECOND	= 2,	/* candidate 2 is the better victim */
	BPF_OOM_ABSTAIN	= 3,	/* stop here: oom_badness() picks below the parent */
};

/* ctx->flags: the kind of event. */
enum bpf_oom_event_flags {
	BPF_OOM_EVENT_GLOBAL	= (1U << 0),	/* the whole machine is short */
	BPF_OOM_EVENT_MEMCG	= (1U << 1),	/* a memcg has met its limit */
	BPF_OOM_EVENT_SYSRQ	= (1U << 2),	/* somebody asked by sysrq-f */
	BPF_OOM_EVENT_EARLY	= (1U << 3),	/* asked for before it was too late */
	BPF_OOM_EVENT_DRY_RUN	= (1U << 4),	/* nobody is going to be killed */
};

/* link_create.oom_policy.flags */
enum bpf_oom_policy_flags {
	/* also govern memcg OOMs, not only global ones */
	BPF_F_OOM_POLICY_MEMCG		= (1U << 0),
	/* kill every killable task of the chosen memcg */
	BPF_F_OOM_POLICY_KILL_ALL	= (1U << 1),
	/* tasks directly in the root cgroup take part as one candidate */
	BPF_F_OOM_POLICY_ROOT_TASKS	= (1U << 2),
};

/* link_create.oom_policy.max_futile: no leaf is passed over for kills in vain */
#define BPF_OOM_POLICY_NEVER_FUTILE	0xffffffffU

/* bpf_link_info.oom_policy.state */
enum bpf_oom_link_state {
	BPF_OOM_LINK_DETACHED	= 0,	/* for good */
	BPF_OOM_LINK_DORMANT	= 1,	/* its cgroup has no memory controller */
	BPF_OOM_LINK_IN_FORCE	= 2,
};

/* test.flags of BPF_PROG_TEST_RUN */
enum bpf_oom_test_flags {
	/* rehearse a whole selection instead of one comparison */
	BPF_F_TEST_OOM_SELECT		= (1U << 16),
	/* one comparison of two candidates that the caller has made up */
	BPF_F_TEST_OOM_CTX		= (1U << 17),
	/* many comparisons of live siblings at once */
	BPF_F_TEST_OOM_PAIRS		= (1U << 18),
	/* live siblings in the order in which they would die */
	BPF_F_TEST_OOM_ORDER		= (1U << 19),
};

/* bpf_oom_priority.state; what memory.oom.priority of a cgroup says */
enum bpf_oom_priority_state {
	BPF_OOM_PRIORITY_UNSET	= 0,	/* nothing: that of an only child, or 0 */
	BPF_OOM_PRIORITY_SET	= 1,	/* a number */
	BPF_OOM_PRIORITY_MAX	= 2,	/* never a candidate */
};

/*
 * test.data_in of whatever is run for live cgroups: an array of what is to be taken for
 * written to memory.oom.priority, of each cgroup once.
 */
struct bpf_oom_priority {
	__u64 cgroup_id;
	__s64 priority;		/* 0 unless the state is BPF_OOM_PRIORITY_SET */
	__u32 state;		/* BPF_OOM_PRIORITY_* */
	__u32 reserved;		/* 0 */
};

/* An attached policy: what bpf_link_info.oom_policy says of its link, field by field. */
struct bpf_oom_policy_info {
	__u64 cgroup_id;	/* 0 once detached */
	__u32 attach_type;
	__u32 flags;		/* BPF_F_OOM_POLICY_* */
	__u32 budget_us;
	__u32 grace_ms;
	__u32 state;		/* BPF_OOM_LINK_* */
	__u32 max_futile;	/* 0 = any number */
	__u64 selections;
	__u64 comparisons;
	__u64 kills;
	__u64 fallback_none_eligible;
	__u64 fallback_budget;
	__u64 fallback_abstain;
	__u64 fallback_disabled;
	__u64 fallback_in_flight;
	__u64 last_victim_cgroup_id;
	__u64 last_ns;
	__u64 worst_ns;
	__u64 fallback_grace;
	__u64 spared;
	__u64 fallback_futile;
};

struct cgroup;
struct task_struct;

/*
 * Read-only but for the scratch words. A scratch word is zero when its
 * candidate first appears in a pass over siblings and then travels with the
 * candidate, so that the best one so far need not be looked up at every call. It ends
 * with the pass, which one program judges from beginning to end: a program never finds
 * what another one has put there, not even the one that it has replaced.
 *
 * The level counts from the scope, wherever that is in the tree: 1 if the candidates
 * are children of the scope, or processes in the scope itself. It is the same in an
 * event, in a rehearsal of it, and in a comparison that names that scope.
 */
struct bpf_oom_ctx {
	__u64 cgroup_id_1;		/* cgroup v2 ids */
	__u64 cgroup_id_2;
	__u64 scope_id;			/* where the shortage is: the root, or a memcg */
	__u64 usage_1;			/* bytes: memory charged to the candidate */
	__u64 usage_2;
	__u64 swap_1;			/* bytes: swap charged to the candidate */
	__u64 swap_2;
	__u32 pid_1;			/* task stage only, else 0: the process, */
	__u32 pid_2;			/* as the initial pid namespace numbers it */
	__s32 oom_score_adj_1;		/* task stage only, else 0 */
	__s32 oom_score_adj_2;
	__u32 level;			/* below the scope */
	__u32 flags;			/* BPF_OOM_EVENT_* */
	__u64 scratch_1;		/* writable */
	__u64 scratch_2;		/* writable */

	__bpf_md_ptr(struct cgroup *, cgroup_1);
	__bpf_md_ptr(struct cgroup *, cgroup_2);
	__bpf_md_ptr(struct task_struct *, task_1);	/* task stage only */
	__bpf_md_ptr(struct task_struct *, task_2);	/* task stage only */

	/*
	 * memory.oom.priority, higher = safer: the candidate's own, else that of its only
	 * populated child, else 0. Task stage: of the memcg that the process is in.
	 */
	__s64 priority_1;
	__s64 priority_2;
};

/* bpf_oom_steps.flags */
enum bpf_oom_steps_flags {
	/* not all of the levels are there, for want of room here or in the kernel */
	BPF_OOM_STEPS_TRUNCATED		= (1U << 0),
	/* the budget was over: from there on no program was asked */
	BPF_OOM_STEPS_OVER_BUDGET	= (1U << 1),
};

/*
 * test.data_out of a rehearsed selection begins with this. The steps are behind it, the
 * first one header_size bytes from the beginning, and each step_size bytes from the one
 * before: a later kernel may have more to say.
 */
struct bpf_oom_steps {
	__u32 header_size;
	__u32 step_size;
	__u32 nr_steps;		/* that are there */
	__u32 flags;		/* BPF_OOM_STEPS_* */
};

/*
 * One level of a rehearsed selection. A last step without a winner says that no policy
 * chose among the children of parent_id and oom_badness() picked the task.
 */
struct bpf_oom_step {
	__u32 level;		/* as in struct bpf_oom_ctx */
	__u32 prog_id;		/* the program that judged here */
	__u32 eligible;
	__u32 compared;
	__u64 parent_id;
	__u64 winner_id;
	__u64 runner_id;	/* 0 if nobody lost to the winner */
	__u64 winner_usage;	/* bytes */
	__u64 runner_usage;	/* bytes */
};

/*
 * One of many comparisons: test.data_out is an array of these, which is read and written
 * back. Of what goes in only the ids count; what comes out has all of it.
 */
struct bpf_oom_pair {
	__u64 cgroup_id_1;
	__u64 cgroup_id_2;
	__u64 usage_1;		/* bytes */
	__u64 usage_2;
	__u64 swap_1;		/* bytes */
	__u64 swap_2;
	__s32 verdict;		/* BPF_OOM_*, or -errno as of a single comparison */
	__u32 reserved;
};

/* bpf_oom_sibling.flags */
enum bpf_oom_sibling_flags {
	/* there are processes in it or below it */
	BPF_OOM_SIBLING_POPULATED	= (1U << 0),
	/* it counts with BPF_OOM_PRIORITY_MAX */
	BPF_OOM_SIBLING_MAX		= (1U << 1),
};

/*
 * One of the siblings that are put in order: test.data_out is an array of these, which
 * is read and written back. Of what goes in only the ids count, which ascend.
 */
struct bpf_oom_sibling {
	__u64 cgroup_id;
	__u64 usage;		/* bytes */
	__u64 swap;		/* bytes */
	__s32 err;		/* 0, or -errno as of a comparison */
	__u32 flags;		/* BPF_OOM_SIBLING_* */
};

/*
 * /dev/oom_policy, of the module for kernels that do not know the program type. A policy
 * is a struct_ops program there, a map has its options, and a link of the map attaches
 * it. The device says of which types these are, and answers for what the kernel has no
 * place: BPF_OOM_DEVICE_TEST_RUN takes a union bpf_attr as BPF_PROG_TEST_RUN does.
 *
 * Of each structure the caller says how long the one is that it knows.
 */

/* The data of a map: struct bpf_oom_policy_ops, as user space sees it. */
struct bpf_oom_policy_map {
	__u64 compare;		/* fd of a program that compares memcgs; or */
	__u64 compare_tasks;	/* of one that compares tasks */
	__u64 cgroup_id;	/* where; 0 for the root */
	__u32 flags;		/* BPF_F_OOM_POLICY_* */
	__u32 budget_us;	/* per selection, 0 = default */
	__u32 grace_ms;		/* for the last victim, 0 = none */
	__u32 max_futile;	/* 0 or BPF_OOM_POLICY_NEVER_FUTILE */
	__u32 reserved[4];	/* must be zero */
};

struct bpf_oom_device_types {
	__u32 size;		/* in */
	__u32 btf_id;		/* of the module's types */
	__u32 prog_type_id;	/* attach_btf_id of a program; its expected_attach_type */
				/* is 0 if it compares memcgs, 1 for tasks */
	__u32 map_type_id;	/* of a map's value */
	__u32 map_value_size;
	__u32 map_data_offset;	/* of struct bpf_oom_policy_map in that */
};

struct bpf_oom_device_info {
	__u32 size;		/* in */
	__u32 link_id;		/* in: of a struct_ops link */
	__u32 prog_id;
	__u32 reserved;
	struct bpf_oom_policy_info info; /* attach_type: 0 compares memcgs, 1 tasks */
	__u64 clamped;		/* verdicts that were none, taken for BPF_OOM_EQUAL */
};

#endif /* __VMLINUX_H__ */

#define BPF_OOM_DEVICE		"/dev/oom_policy"
#define BPF_OOM_DEVICE_TYPES	_IO(0xbf, 0)
#define BPF_OOM_DEVICE_INFO	_IO(0xbf, 1)
#define BPF_OOM_DEVICE_TEST_RUN	_IO(0xbf, 2)

#endif /* _UAPI__LINUX_BPF_OOM_POLICY_H__ */
