// SPDX-License-Identifier: GPL-2.0-only
/*
 * reclaim_guard: early kills with no user space at all.
 *
 * The idea: when tasks spend their time looking for pages that others still need,
 * the machine is lost long before an allocation fails. The kernel says when a task
 * begins to reclaim on its own behalf and when it ends. So the guard sits on these
 * tracepoints, adds up the time during which some task was at it, and when there
 * is too much of it has a victim killed, by the policies that are attached.
 *
 * How: a bucket that a stall fills and that leaks. It leaks stall_ms in window_ms;
 * when it holds stall_ms, that was too much:
 *
 *	stall_ms 150, window_ms 1000: what leaks is 15 %
 *
 *	tasks in reclaim   time    the bucket
 *	none               1 s     empty
 *	one                100 ms  100 - 15 =  85 ms
 *	none               400 ms   85 - 60 =  25 ms
 *	three at a time    200 ms   25 + 200 - 30 = 195 ms: kill
 *
 * The kill waits for oom_lock, which a tracepoint must not do: so it comes from a
 * work item (bpf_wq). Kill or not, the bucket is then empty, and after a kill it
 * stays so for pause_ms: memory comes back only when the victim is gone. While a
 * victim is dying the kernel kills nobody (-EAGAIN): the guard tries again when the
 * bucket is full once more, window_ms later at the earliest. So there are never
 * more kills than one per pause_ms.
 *
 * Nothing is allocated: neither by the tracepoints, whose map is there from the
 * beginning, nor by the work item, which was made by arm().
 *
 * Limits:
 * - it sees reclaim, not what else tasks wait for when memory is short: pages that
 *   come back from swap, compaction, throttling above memory.high. psi_kill does;
 * - more than 4,096 tasks at a time in reclaim are not counted, but then there
 *   are others that are;
 * - the work item is one of the machine's shared ones: when all workers of a CPU are
 *   stuck, it waits until the kernel has made another;
 * - without a policy the largest process of the scope dies, as the kernel has it.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "reclaim_guard.h"

#define MSEC		1000000ULL
#define EAGAIN		11

int bpf_oom_policy_kill(__u64 cgroup_id, __u64 flags) __ksym;

/* 6.12 does not have it. */
void bpf_mem_cgroup_flush_stats(struct mem_cgroup *memcg) __weak __ksym;

int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags) __ksym;
int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
int bpf_wq_set_callback(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value),
			unsigned int flags) __weak __ksym;

/* As 6.12 calls it. */
int bpf_wq_set_callback_impl(struct bpf_wq *wq,
			     int (*callback)(void *map, int *key, void *value),
			     unsigned int flags, void *aux) __weak __ksym;

/* Set by the loader. */
struct guard_rule guard_rule = { .stall_ms = 150, .window_ms = 1000, .pause_ms = 5000 };

struct guard_counts guard_counts;

/* Tasks in reclaim. Whoever was there before the guard is not in it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} reclaimers SEC(".maps");

struct work {
	struct bpf_wq wq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct work);
} guard_work SEC(".maps");

struct bucket {
	struct bpf_spin_lock lock;
	__u32 reclaimers;
	__u32 queued;
	__u64 as_of;		/* these in ns */
	__u64 level;
	__u64 quiet_until;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct bucket);
} guard_bucket SEC(".maps");

/* The work item is done with, and the bucket stays empty for a while. */
static void rest(__u32 ms)
{
	const __u64 until = bpf_ktime_get_ns() + ms * MSEC;
	struct bucket *bucket;
	int key = 0;

	bucket = bpf_map_lookup_elem(&guard_bucket, &key);
	if (!bucket)
		return;
	bpf_spin_lock(&bucket->lock);
	bucket->quiet_until = until;
	bucket->queued = 0;
	bpf_spin_unlock(&bucket->lock);
}

/* Policies that go by statistics find those of now: they themselves must not sleep. */
static void flush_stats(void)
{
	struct mem_cgroup *memcg;
	struct cgroup *cgrp;

	if (!bpf_ksym_exists(bpf_mem_cgroup_flush_stats))
		return;
	cgrp = bpf_cgroup_from_id(guard_rule.scope_id);
	if (!cgrp)
		return;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (memcg) {
		bpf_mem_cgroup_flush_stats(memcg);
		bpf_put_mem_cgroup(memcg);
	}
	bpf_cgroup_release(cgrp);
}

static int kill_early(void *map, int *key, void *value)
{
	__u32 quiet_ms = guard_rule.window_ms;
	int err;

	(void)map;
	(void)key;
	(void)value;
	flush_stats();
	err = bpf_oom_policy_kill(guard_rule.scope_id, 0);
	if (!err) {
		guard_counts.kills++;
		quiet_ms = guard_rule.pause_ms;
	} else if (err == -EAGAIN) {
		guard_counts.put_off++;
	} else {
		guard_counts.failures++;
		guard_counts.last_error = err;
	}
	rest(quiet_ms);
	return 0;
}

static void ask_for_kill(void)
{
	struct work *work;
	int key = 0;

	work = bpf_map_lookup_elem(&guard_work, &key);
	if (!work || bpf_wq_start(&work->wq, 0))
		rest(guard_rule.window_ms);
}

/* @change: how many tasks more are in reclaim from now on. True: that was too much. */
static __always_inline bool fill(struct bucket *bucket, __u64 now, int change)
{
	const __u64 window = guard_rule.window_ms * MSEC;
	__u64 elapsed = now > bucket->as_of ? now - bucket->as_of : 0, leak;

	if (elapsed > window)
		elapsed = window;
	leak = elapsed * guard_rule.stall_ms / (guard_rule.window_ms ?: 1);
	if (bucket->reclaimers)
		bucket->level += elapsed;
	bucket->level -= leak < bucket->level ? leak : bucket->level;
	bucket->reclaimers += change;
	bucket->as_of = now;

	if (bucket->queued || now < bucket->quiet_until)
		bucket->level = 0;
	if (bucket->level < guard_rule.stall_ms * MSEC || !bucket->level)
		return false;
	bucket->level = 0;
	bucket->queued = 1;
	return true;
}

static void account(int change)
{
	const __u64 now = bpf_ktime_get_ns();
	struct bucket *bucket;
	bool is_full;
	int key = 0;

	bucket = bpf_map_lookup_elem(&guard_bucket, &key);
	if (!bucket)
		return;
	bpf_spin_lock(&bucket->lock);
	is_full = fill(bucket, now, change);
	bpf_spin_unlock(&bucket->lock);
	if (is_full)
		ask_for_kill();
}

static bool in_scope(void)
{
	return !guard_rule.scope_level ||
	       bpf_get_current_ancestor_cgroup_id(guard_rule.scope_level) == guard_rule.scope_id;
}

static int begin(void)
{
	__u32 pid = bpf_get_current_pid_tgid(), one = 1;

	if (in_scope() && !bpf_map_update_elem(&reclaimers, &pid, &one, BPF_NOEXIST))
		account(1);
	return 0;
}

static int end(void)
{
	__u32 pid = bpf_get_current_pid_tgid();

	if (!bpf_map_delete_elem(&reclaimers, &pid))
		account(-1);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int direct_begin(void *ctx)
{
	(void)ctx;
	return begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int direct_end(void *ctx)
{
	(void)ctx;
	return end();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int memcg_begin(void *ctx)
{
	(void)ctx;
	return begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int memcg_end(void *ctx)
{
	(void)ctx;
	return end();
}

/* Somebody scans: a stall that lasts is seen before it ends. */
SEC("tp_btf/mm_vmscan_lru_shrink_inactive")
int scan(void *ctx)
{
	(void)ctx;
	account(0);
	return 0;
}

/* Makes the work item, once, while there is memory. */
SEC("syscall")
int arm(void *ctx)
{
	struct work *work;
	int key = 0, err;

	(void)ctx;
	work = bpf_map_lookup_elem(&guard_work, &key);
	if (!work)
		return -1;
	err = bpf_wq_init(&work->wq, &guard_work, 0);
	if (err)
		return err;
	if (bpf_ksym_exists(bpf_wq_set_callback))
		return bpf_wq_set_callback(&work->wq, kill_early, 0);
	return bpf_wq_set_callback_impl(&work->wq, kill_early, 0, NULL);
}

char _license[] SEC("license") = "GPL";
