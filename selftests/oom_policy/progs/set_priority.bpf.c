// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes memory.oom.priority from a program, and is told of each memcg that comes
 * online; and a policy that would write, which the verifier has to refuse.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"
#include "set_priority.h"

#define ENOENT	2

char _license[] SEC("license") = "GPL";

struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
int bpf_oom_policy_set_priority(struct mem_cgroup *memcg, __u32 state,
				__s64 priority) __ksym;

/* The last one that came online, and how many did. */
__u64 online_id;
__u32 nr_online;

static int set_priority(struct cgroup *cgrp, __u32 state, __s64 priority)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&cgrp->self);
	int err;

	if (!memcg)
		return -ENOENT;
	err = bpf_oom_policy_set_priority(memcg, state, priority);
	bpf_put_mem_cgroup(memcg);
	return err;
}

SEC("syscall")
int set_by_id(struct set_priority_args *args)
{
	struct cgroup *cgrp = bpf_cgroup_from_id(args->cgroup_id);
	int err;

	if (!cgrp)
		return -ENOENT;
	err = set_priority(cgrp, args->state, args->priority);
	bpf_cgroup_release(cgrp);
	return err;
}

SEC("tp_btf/oom_policy_memcg_online")
int hear_of_memcg(__u64 *ctx)
{
	struct mem_cgroup *memcg = (void *)ctx[0];

	/* Of a module's tracepoint the verifier does not know that there always is one. */
	if (!memcg)
		return 0;
	online_id = memcg->css.cgroup->kn->id;
	nr_online++;
	return 0;
}

SEC("?oom_policy")
int writes_itself(struct bpf_oom_ctx *ctx)
{
	struct mem_cgroup *memcg = bpf_get_mem_cgroup(&ctx->cgroup_1->self);

	if (memcg) {
		bpf_oom_policy_set_priority(memcg, BPF_OOM_PRIORITY_SET, 1);
		bpf_put_mem_cgroup(memcg);
	}
	return BPF_OOM_EQUAL;
}
