// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy that the tests attach, and a recorder of what becomes of it.
 *
 * compare() sends the child with the lower priority first, says EQUAL for equal
 * ones, and notes every call. The recorder notes every OOM victim, whoever chose
 * it, and counts the global OOM events that ended without one while an earlier
 * victim was there: those that waited.
 */
#include <stdbool.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "calls.h"
#include "kernel_types.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __s64);
} oom_priority SEC(".maps");

/* Set by a test. */
__u32 flip_after_kill;		/* once somebody was killed, prefer the others */
__u32 abstain_level;		/* say ABSTAIN at this level */
__u32 hog_pid;			/* whose OOM events count as waits */
__u32 victims_wanted;		/* the hog may stop after that many victims ... */
__u32 waits_wanted;		/* ... and that many waits, */
__u32 waits_once_unmarked;	/* of which those before a victim left its mm are none */

/* Read by a test. */
__u32 sated;
__u32 nr_events;
__u32 nr_waits;
__u32 nr_victims;
__u32 victims[MAX_VICTIMS];
__u32 nr_unmarked;		/* victims that left their mm, the last user or not */
__u32 nr_calls;
__u32 foreign_scratch;
struct call calls[MAX_CALLS];

static __s64 priority_of(__u64 id)
{
	__s64 *priority = bpf_map_lookup_elem(&oom_priority, &id);

	return priority ? *priority : 0;
}

/* A scratch word has to be zero or what this candidate was given. */
static __u32 fresh(__u64 scratch, __u64 id)
{
	if (scratch && scratch != id)
		foreign_scratch++;
	return !scratch;
}

static void note_call(struct bpf_oom_ctx *ctx, __u32 verdict)
{
	__u32 n = nr_calls++;
	struct call *call;

	if (n >= MAX_CALLS)
		return;
	call = &calls[n];
	call->id_1 = ctx->cgroup_id_1;
	call->id_2 = ctx->cgroup_id_2;
	call->usage_1 = ctx->usage_1;
	call->usage_2 = ctx->usage_2;
	call->scope_id = ctx->scope_id;
	call->level = ctx->level;
	call->flags = ctx->flags;
	call->verdict = verdict;
	call->fresh = fresh(ctx->scratch_1, ctx->cgroup_id_1) |
		      fresh(ctx->scratch_2, ctx->cgroup_id_2) << 1;
	ctx->scratch_1 = ctx->cgroup_id_1;
	ctx->scratch_2 = ctx->cgroup_id_2;
}

SEC("oom_policy")
int compare(struct bpf_oom_ctx *ctx)
{
	__s64 first = priority_of(ctx->cgroup_id_1);
	__s64 second = priority_of(ctx->cgroup_id_2);
	__u32 verdict = BPF_OOM_EQUAL;

	if (flip_after_kill && nr_victims) {
		first = -first;
		second = -second;
	}

	if (ctx->level == abstain_level)
		verdict = BPF_OOM_ABSTAIN;
	else if (first < second)
		verdict = BPF_OOM_FIRST;
	else if (second < first)
		verdict = BPF_OOM_SECOND;

	note_call(ctx, verdict);
	return verdict;
}

/* A victim too many ends it as well: the test has failed, the machine need not. */
static void feed_hog(void)
{
	if (nr_victims > victims_wanted ||
	    (nr_victims == victims_wanted && nr_waits >= waits_wanted))
		sated = 1;
}

/* A thread of a victim that allocates is marked as well: the same victim. */
SEC("tp_btf/mark_victim")
int BPF_PROG(on_victim, struct task_struct *task)
{
	__u32 tgid = task->tgid, i;

	for (i = 0; i < MAX_VICTIMS && i < nr_victims; i++)
		if (victims[i] == tgid)
			return 0;
	if (i < MAX_VICTIMS)
		victims[i] = tgid;
	nr_victims++;
	feed_hog();
	return 0;
}

SEC("?fexit/exit_oom_victim")
int on_unmarked(void *ctx)
{
	nr_unmarked++;
	return 0;
}

static __always_inline int event(bool global)
{
	static __u32 victims_before;

	if (!global)
		return 0;

	if (nr_victims && nr_victims == victims_before &&
	    (nr_unmarked || !waits_once_unmarked) &&
	    bpf_get_current_pid_tgid() >> 32 == hog_pid)
		nr_waits++;
	victims_before = nr_victims;
	nr_events++;
	feed_hog();
	return 0;
}

SEC("?fexit/out_of_memory")
int BPF_PROG(on_event, struct oom_control *oc)
{
	return event(!oc->memcg);
}

/*
 * The same for 32 bits of x86, where the kernel has no trampoline for fexit: the first
 * argument is in EAX, and a pointer has four bytes. One event at a time, as oom_lock is
 * held.
 */
#define I386_EAX	24

static __u32 event_memcg;

SEC("?kprobe/out_of_memory")
int on_event_i386_begins(void *ctx)
{
	const struct oom_control *oc = (void *)(unsigned long)*(__u32 *)(ctx + I386_EAX);

	bpf_probe_read_kernel(&event_memcg, sizeof(event_memcg), &oc->memcg);
	return 0;
}

SEC("?kretprobe/out_of_memory")
int on_event_i386(void *ctx)
{
	return event(!event_memcg);
}

SEC("?kretprobe/exit_oom_victim")
int on_unmarked_i386(void *ctx)
{
	return on_unmarked(ctx);
}
