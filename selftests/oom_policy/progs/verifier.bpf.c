// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that the verifier has to take or to refuse; verifier.c says which.
 * Most are written in assembly, so that no compiler makes them right.
 */
#include <stddef.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kfuncs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u64);
	__type(value, __s64);
} priorities SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __s64);
} storage SEC(".maps");

#define OFF(field)	"i"(offsetof(struct bpf_oom_ctx, field))
#define ASM_PROG(name, code, ...)				\
	SEC("?oom_policy") __attribute__((naked))		\
	int name(void)						\
	{							\
		asm volatile (code : : __VA_ARGS__ : "memory");	\
	}

/* Verdicts. */
ASM_PROG(return_equal, "r0 = 0; exit;")
ASM_PROG(return_first, "r0 = 1; exit;")
ASM_PROG(return_second, "r0 = 2; exit;")
ASM_PROG(return_abstain, "r0 = 3; exit;")
ASM_PROG(return_four, "r0 = 4; exit;")
ASM_PROG(return_minus_one, "r0 = -1; exit;")
ASM_PROG(return_nothing, "exit;")
ASM_PROG(return_unknown, "r0 = *(u64 *)(r1 + %0); exit;", OFF(usage_1))
ASM_PROG(return_two_known_bits,
	 "r0 = *(u64 *)(r1 + %0); r0 &= 3; exit;", OFF(usage_1))
ASM_PROG(return_three_known_bits,
	 "r0 = *(u64 *)(r1 + %0); r0 &= 7; exit;", OFF(usage_1))
ASM_PROG(return_pointer, "r0 = *(u64 *)(r1 + %0); exit;", OFF(cgroup_1))

/* The context. */
ASM_PROG(read_scalars,
	 "r0 = *(u64 *)(r1 + %0);"
	 "r0 = *(u64 *)(r1 + %1);"
	 "r0 = *(u64 *)(r1 + %2);"
	 "r0 = *(u64 *)(r1 + %3);"
	 "r0 = *(u64 *)(r1 + %4);"
	 "r0 = *(u64 *)(r1 + %5);"
	 "r0 = *(u32 *)(r1 + %6);"
	 "r0 = *(u32 *)(r1 + %7);"
	 "r0 = *(u32 *)(r1 + %8);"
	 "r0 = *(u32 *)(r1 + %9);"
	 "r0 = *(u32 *)(r1 + %10);"
	 "r0 = *(u32 *)(r1 + %11);"
	 "r0 = *(u64 *)(r1 + %12);"
	 "r0 = 0; exit;",
	 OFF(cgroup_id_1), OFF(cgroup_id_2), OFF(usage_1), OFF(usage_2),
	 OFF(swap_1), OFF(swap_2), OFF(pid_1), OFF(pid_2),
	 OFF(oom_score_adj_1), OFF(oom_score_adj_2), OFF(level), OFF(flags),
	 OFF(scope_id))
ASM_PROG(write_scratch,
	 "r0 = 0;"
	 "*(u64 *)(r1 + %0) = r0;"
	 "*(u64 *)(r1 + %1) = r0;"
	 "exit;",
	 OFF(scratch_1), OFF(scratch_2))
ASM_PROG(write_cgroup_id, "r0 = 0; *(u64 *)(r1 + %0) = r0; exit;",
	 OFF(cgroup_id_1))
ASM_PROG(write_scope_id, "r0 = 0; *(u64 *)(r1 + %0) = r0; exit;", OFF(scope_id))
ASM_PROG(write_usage, "r0 = 0; *(u64 *)(r1 + %0) = r0; exit;", OFF(usage_2))
ASM_PROG(write_level, "r0 = 0; *(u32 *)(r1 + %0) = r0; exit;", OFF(level))
ASM_PROG(write_cgroup_pointer, "r0 = 0; *(u64 *)(r1 + %0) = r0; exit;",
	 OFF(cgroup_1))
ASM_PROG(read_past_the_end, "r0 = *(u64 *)(r1 + %0); r0 = 0; exit;",
	 "i"(sizeof(struct bpf_oom_ctx)))
ASM_PROG(read_before_the_start, "r0 = *(u64 *)(r1 - 8); r0 = 0; exit;")
ASM_PROG(read_misaligned, "r0 = *(u64 *)(r1 + %0); r0 = 0; exit;",
	 "i"(offsetof(struct bpf_oom_ctx, cgroup_id_1) + 4))
ASM_PROG(read_two_fields_at_once, "r0 = *(u64 *)(r1 + %0); r0 = 0; exit;",
	 OFF(pid_1))
ASM_PROG(read_half_a_pointer, "r0 = *(u32 *)(r1 + %0); r0 = 0; exit;",
	 OFF(cgroup_1))
ASM_PROG(read_upper_half_of_a_pointer, "r0 = *(u32 *)(r1 + %0); r0 = 0; exit;",
	 "i"(offsetof(struct bpf_oom_ctx, cgroup_1) + 4))
ASM_PROG(read_task, "r0 = *(u64 *)(r1 + %0); r0 = 0; exit;", OFF(task_1))
ASM_PROG(read_at_unknown_offset,
	 "r2 = *(u32 *)(r1 + %0); r2 &= 8; r1 += r2;"
	 "r0 = *(u64 *)(r1 + 0); r0 = 0; exit;",
	 OFF(level))

/* What is no pointer, or no longer the pointer it was. */
ASM_PROG(follow_scalar,
	 "r2 = *(u64 *)(r1 + %0); r0 = *(u64 *)(r2 + 0); r0 = 0; exit;",
	 OFF(cgroup_id_1))
ASM_PROG(follow_pointer_kept_in_scratch,
	 "r2 = *(u64 *)(r1 + %0);"
	 "*(u64 *)(r1 + %1) = r2;"
	 "r2 = *(u64 *)(r1 + %1);"
	 "r0 = *(u64 *)(r2 + 0); r0 = 0; exit;",
	 OFF(cgroup_1), OFF(scratch_1))
ASM_PROG(follow_shifted_pointer,
	 "r2 = *(u64 *)(r1 + %0);"
	 "r3 = *(u32 *)(r1 + %1); r3 &= 8; r2 += r3;"
	 "r0 = *(u64 *)(r2 + 0); r0 = 0; exit;",
	 OFF(cgroup_1), OFF(level))
ASM_PROG(write_to_cgroup,
	 "r2 = *(u64 *)(r1 + %0); r0 = 0; *(u64 *)(r2 + 0) = r0; exit;",
	 OFF(cgroup_1))

SEC("?oom_policy")
int cgroup_to_kfuncs(struct bpf_oom_ctx *ctx)
{
	struct cgroup *cgrp, *parent;

	cgrp = bpf_cgroup_acquire(ctx->cgroup_1);
	if (cgrp)
		bpf_cgroup_release(cgrp);
	parent = bpf_cgroup_ancestor(ctx->cgroup_2, 0);
	if (parent)
		bpf_cgroup_release(parent);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int cgroup_not_released(struct bpf_oom_ctx *ctx)
{
	return bpf_cgroup_acquire(ctx->cgroup_1) ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

SEC("?oom_policy")
int cgroup_released_unacquired(struct bpf_oom_ctx *ctx)
{
	bpf_cgroup_release(ctx->cgroup_1);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int cgroup_as_task(struct bpf_oom_ctx *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx->cgroup_1);

	if (task)
		bpf_task_release(task);
	return BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int cgroup_fields(struct bpf_oom_ctx *ctx)
{
	return ctx->cgroup_1->level < ctx->cgroup_2->level ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/* Maps and helpers. */
SEC("?oom_policy")
int cgroup_storage(struct bpf_oom_ctx *ctx)
{
	__s64 *priority = bpf_cgrp_storage_get(&storage, ctx->cgroup_1, NULL, 0);

	return priority && *priority < 0 ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int hash_map(struct bpf_oom_ctx *ctx)
{
	__u64 id = ctx->cgroup_id_1;
	__s64 *priority = bpf_map_lookup_elem(&priorities, &id);

	return priority && *priority < 0 ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int send_signal(struct bpf_oom_ctx *ctx)
{
	return bpf_send_signal(9) ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

SEC("?oom_policy")
int write_user_memory(struct bpf_oom_ctx *ctx)
{
	return bpf_probe_write_user(NULL, ctx, 1) ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/* The task stage. */
SEC("?oom_policy/task")
int task_stage_reads_task(struct bpf_oom_ctx *ctx)
{
	return ctx->task_1->pid < ctx->task_2->pid ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/* Memcgs. */
SEC("?oom_policy")
int memcg_read(struct bpf_oom_ctx *ctx)
{
	struct mem_cgroup *root = bpf_get_root_mem_cgroup();
	struct mem_cgroup *memcg;
	unsigned long sum = 0;

	if (root) {
		sum += bpf_mem_cgroup_usage(root);
		bpf_put_mem_cgroup(root);
	}
	memcg = bpf_get_mem_cgroup(&ctx->cgroup_1->self);
	if (memcg) {
		sum += bpf_mem_cgroup_usage(memcg);
		sum += bpf_mem_cgroup_page_state(memcg, 0);
		sum += bpf_mem_cgroup_vm_events(memcg, PGFAULT);
		sum += bpf_mem_cgroup_memory_events(memcg, MEMCG_LOW);
		bpf_put_mem_cgroup(memcg);
	}
	return sum ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int memcg_not_put(struct bpf_oom_ctx *ctx)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&ctx->cgroup_1->self);

	return memcg ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int cgroup_as_memcg(struct bpf_oom_ctx *ctx)
{
	return bpf_mem_cgroup_usage((void *)ctx->cgroup_1) ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

/* What allocates. */
SEC("?oom_policy")
int update_map(struct bpf_oom_ctx *ctx)
{
	__u64 id = ctx->cgroup_id_1;
	__s64 priority = 0;

	return bpf_map_update_elem(&priorities, &id, &priority, BPF_ANY) ?
	       BPF_OOM_FIRST : BPF_OOM_EQUAL;
}

SEC("?oom_policy")
int iterate_bits(struct bpf_oom_ctx *ctx)
{
	__u64 word = ctx->cgroup_id_1;
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, &word, 1);
	bpf_iter_bits_destroy(&it);
	return BPF_OOM_EQUAL;
}

/* What allocates nothing, and yet is not on the list of what a policy may call. */
extern int bpf_modify_return_test_tp(int nonce) __ksym;

SEC("?oom_policy")
int call_what_is_not_listed(struct bpf_oom_ctx *ctx)
{
	return bpf_modify_return_test_tp(1) ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

/*
 * Functions that are checked on their own, and that are checked where they are called. What
 * the former return may be anything to the verifier, and to the compiler if they are weak.
 */
__weak int global_verdict(struct bpf_oom_ctx *ctx)
{
	return ctx->usage_1 > ctx->usage_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

static __noinline int static_verdict(struct bpf_oom_ctx *ctx)
{
	return ctx->usage_1 > ctx->usage_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

SEC("?oom_policy")
int call_global(struct bpf_oom_ctx *ctx)
{
	return global_verdict(ctx) & BPF_OOM_ABSTAIN;
}

SEC("?oom_policy")
int call_static(struct bpf_oom_ctx *ctx)
{
	return static_verdict(ctx);
}

struct alarm {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct alarm);
} alarms SEC(".maps");

SEC("?oom_policy")
int start_timer(struct bpf_oom_ctx *ctx)
{
	__u32 key = 0;
	struct alarm *alarm = bpf_map_lookup_elem(&alarms, &key);

	if (alarm)
		bpf_timer_start(&alarm->timer, 0, 0);
	return BPF_OOM_EQUAL;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} others SEC(".maps");

SEC("?oom_policy")
int tail_call(struct bpf_oom_ctx *ctx)
{
	bpf_tail_call(ctx, &others, 0);
	return BPF_OOM_EQUAL;
}

/* Killing: from where nothing is held only. */
SEC("?syscall")
int kill_from_syscall(void *ctx)
{
	return bpf_oom_policy_kill(1, 0);
}

SEC("?uprobe.s")
int kill_from_sleepable(void *ctx)
{
	return bpf_oom_policy_kill(1, 0);
}

SEC("?raw_tp")
int kill_from_tracepoint(void *ctx)
{
	return bpf_oom_policy_kill(1, 0);
}

SEC("?oom_policy")
int kill_from_policy(struct bpf_oom_ctx *ctx)
{
	return bpf_oom_policy_kill(1, 0) ? BPF_OOM_FIRST : BPF_OOM_EQUAL;
}
