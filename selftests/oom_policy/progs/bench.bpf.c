// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watches of the bench, the cheapest policy, strict priorities by a map, and what a
 * handler would do that looks for its victim itself.
 *
 * A watch lies in the time that it takes, so that only those that a figure needs
 * are attached. All policies and the stock killer are taken between the same two
 * functions: the selection proper is inlined into the first.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../../../../../samples/oom_policy/kernel_types.h"
#include "bench_event.h"
#include "interrupt.h"

#define SIGKILL	9

char _license[] SEC("license") = "GPL";

struct bench_event event;

SEC("fentry/out_of_memory")
int on_entered(void *ctx)
{
	event.task = bpf_get_current_task();
	event.entered = bpf_ktime_get_ns();
	return 0;
}

SEC("fentry/oom_kill_process")
int on_chosen(void *ctx)
{
	event.chosen = bpf_ktime_get_ns();
	event.task = 0;
	return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_killed, int sig)
{
	__u64 now = bpf_ktime_get_ns();

	if (sig == SIGKILL && !event.killed)
		event.killed = now;
	return 0;
}

SEC("fexit/out_of_memory")
int on_left(void *ctx)
{
	event.left = bpf_ktime_get_ns();
	return 0;
}

/* Two functions without a body, called one after the other: what the watches take. */
SEC("fentry/bpf_fentry_test1")
int on_gauge_entered(void *ctx)
{
	return on_entered(ctx);
}

SEC("fentry/bpf_fentry_test2")
int on_gauge_chosen(void *ctx)
{
	return on_chosen(ctx);
}

static int allocation(void)
{
	if (event.task && event.task == bpf_get_current_task() && !in_interrupt())
		event.allocated++;
	return 0;
}

SEC("tp_btf/kmalloc")
int on_kmalloc(void *ctx)
{
	return allocation();
}

SEC("tp_btf/kmem_cache_alloc")
int on_kmem_cache_alloc(void *ctx)
{
	return allocation();
}

SEC("tp_btf/mm_page_alloc")
int on_mm_page_alloc(void *ctx)
{
	return allocation();
}

SEC("tp_btf/percpu_alloc_percpu")
int on_percpu_alloc(void *ctx)
{
	return allocation();
}

SEC("oom_policy")
int trivial(struct bpf_oom_ctx *ctx)
{
	return BPF_OOM_FIRST;
}

/* What tenant_prio goes by, if it were in a map, and looked up once per candidate. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __s64);
} oom_priority SEC(".maps");

static __always_inline __u64 rank(__u64 *scratch, const __u64 *cgroup_id)
{
	__s64 *priority;
	__u64 key;

	if (!*scratch) {
		key = *cgroup_id;
		priority = bpf_map_lookup_elem(&oom_priority, &key);
		*scratch = (priority ? *priority : 0) ^ (1ULL << 63);
	}
	return *scratch;
}

SEC("oom_policy")
int map_prio(struct bpf_oom_ctx *ctx)
{
	__u64 rank_1 = rank(&ctx->scratch_1, &ctx->cgroup_id_1);
	__u64 rank_2 = rank(&ctx->scratch_2, &ctx->cgroup_id_2);

	if (rank_1 == rank_2)
		return BPF_OOM_EQUAL;
	return rank_1 < rank_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

void bpf_rcu_read_lock(void)
	__ksym;
void bpf_rcu_read_unlock(void)
	__ksym;

static __u64 usage_of(struct cgroup_subsys_state *css)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(css);
	__u64 usage;

	if (!memcg)
		return 0;
	usage = bpf_mem_cgroup_usage(memcg);
	bpf_put_mem_cgroup(memcg);
	return usage;
}

/* What a new maximum costs must not depend on how many there are: ids come first. */
static void find_most(struct bench_walk *walk, struct cgroup *root)
{
	__u64 usage, id, leaves = 0, most = 0, most_id = 0;
	struct cgroup_subsys_state *css;

	bpf_rcu_read_lock();
	bpf_for_each(css, css, &root->self, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		if (css->cgroup->nr_descendants || !is_populated(css->cgroup))
			continue;
		id = css->cgroup->kn->id;
		usage = usage_of(css);
		leaves++;
		if (usage > most) {
			most = usage;
			most_id = id;
		}
	}
	bpf_rcu_read_unlock();
	walk->leaves = leaves;
	walk->most = most;
	walk->most_id = most_id;
}

SEC("syscall")
int walk_tree(struct bench_walk *walk)
{
	const __u64 begin = bpf_ktime_get_ns();
	struct cgroup *root = bpf_cgroup_from_id(walk->root_id);

	if (!root)
		return 1;
	find_most(walk, root);
	bpf_cgroup_release(root);
	walk->ns = bpf_ktime_get_ns() - begin;
	return 0;
}
