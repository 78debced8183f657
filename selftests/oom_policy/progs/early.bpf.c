// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early kills: from a syscall program, and from bpf_wq callbacks that are started
 * where an allocation might be: in reclaim, in a page fault, under mmap_lock. And
 * what holds a process on its way out.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "early.h"

char _license[] SEC("license") = "GPL";

#define HOLD_NS		(10ULL * 1000 * 1000 * 1000)

extern int bpf_oom_policy_kill(__u64 cgroup_id, __u64 flags) __ksym;
extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern int bpf_wq_set_callback(struct bpf_wq *wq,
			       int (callback)(void *map, int *key, void *value),
			       unsigned int flags) __weak __ksym;

/* As 6.12 calls it. */
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq,
				    int (callback)(void *map, int *key, void *value),
				    unsigned int flags, void *aux__ign) __weak __ksym;

struct job {
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct job);
} jobs SEC(".maps");

/* Set by a test. */
__u32 target;		/* the process whose doings start a job, or that is held */
__u64 scope;
__u32 go;		/* held no longer */

/* Read by a test. */
__u32 started;
__u32 done;
int result;
__u32 nr_looks;		/* at tasks, whatever for; or pauses */

SEC("syscall")
int kill_now(struct early_args *args)
{
	return bpf_oom_policy_kill(args->cgroup_id, args->flags);
}

static int do_job(void *map, int *key, void *value)
{
	result = bpf_oom_policy_kill(scope, 0);
	done = 1;
	return 0;
}

static __always_inline int set_callback(struct bpf_wq *work)
{
	if (bpf_ksym_exists(bpf_wq_set_callback))
		return bpf_wq_set_callback(work, do_job, 0);
	return bpf_wq_set_callback_impl(work, do_job, 0, NULL);
}

static int start_job(void)
{
	struct job *job;
	int key = 0;

	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	if (__sync_lock_test_and_set(&started, 1))
		return 0;
	job = bpf_map_lookup_elem(&jobs, &key);
	if (!job || bpf_wq_init(&job->work, &jobs, 0) ||
	    set_callback(&job->work) ||
	    bpf_wq_start(&job->work, 0)) {
		result = 1;
		done = 1;
	}
	return 0;
}

SEC("?fentry/oom_policy_find_dying")
int on_look(void *ctx)
{
	nr_looks++;
	return 0;
}

SEC("?fentry/oom_policy_pause")
int on_pause(void *ctx)
{
	nr_looks++;
	return 0;
}

SEC("?fentry/process_shares_mm")
int on_share(void *ctx)
{
	nr_looks++;
	return 0;
}

SEC("?fentry/oom_policy_find_slow")
int on_slow_look(void *ctx)
{
	nr_looks++;
	return 0;
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int in_reclaim(void *ctx)
{
	return start_job();
}

SEC("?fentry/handle_mm_fault")
int in_fault(void *ctx)
{
	return start_job();
}

/* Called with mmap_lock held for writing. */
SEC("?fentry/mmap_region")
int under_mmap_lock(void *ctx)
{
	return start_job();
}

static __u64 hold_until;

static int is_let_go(__u32 turn, void *unused)
{
	return go || bpf_ktime_get_ns() > hold_until;
}

/*
 * Until the test says so, or for HOLD_NS: on a busy host the test may take its time, and
 * longer than this would be a lockup.
 */
static int hold_anybody(void)
{
	int n;

	hold_until = bpf_ktime_get_ns() + HOLD_NS;
	started = 1;
	for (n = 0; n < 64 && !is_let_go(0, NULL); n++)
		bpf_loop(1 << 23, is_let_go, NULL, 0);
	done = 1;
	return 0;
}

static int hold(void)
{
	return bpf_get_current_pid_tgid() >> 32 == target ? hold_anybody() : 0;
}

/* It is known that memory is short, and not yet who is to die. */
SEC("?fentry/__oom_policy_select")
int before_selection(void *ctx)
{
	return hold_anybody();
}

/* Its pages are gone, and its map of them is not. */
SEC("?fentry/free_pgtables")
int with_page_tables(void *ctx)
{
	return hold();
}

/* Its memory is gone, and its files are not. */
SEC("?fentry/exit_files")
int with_files(void *ctx)
{
	return hold();
}
