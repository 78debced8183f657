// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the selection knows of a memcg, as kfuncs for any program; and which kfuncs of
 * whoever else a policy may call. The other kfuncs that read a memcg are in
 * mm/bpf_memcontrol.c.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/oom_policy_host.h>

__bpf_kfunc_start_defs();

/**
 * bpf_mem_cgroup_freeable - what the death of its tasks is expected to give back
 * @memcg: the memcg, with all below it
 *
 * Neither sleeps nor flushes the statistics: what CPUs have not handed in yet is not in it.
 *
 * Return: bytes, as oom_policy_freeable() counts them.
 */
__bpf_kfunc u64 bpf_mem_cgroup_freeable(struct mem_cgroup *memcg)
{
	return (u64)oom_policy_freeable(memcg) * PAGE_SIZE;
}

__bpf_kfunc_end_defs();

#ifndef OOM_POLICY_MODULE
BTF_KFUNCS_START(oom_policy_memcg_kfuncs)
BTF_ID_FLAGS(func, bpf_mem_cgroup_freeable)
BTF_KFUNCS_END(oom_policy_memcg_kfuncs)

static const struct btf_kfunc_id_set oom_policy_memcg_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &oom_policy_memcg_kfuncs,
	.filter	= oom_policy_kfunc_filter,
};

/*
 * For every program type. A filter acts on all that is registered where it is: once on
 * what all types share, and once on what is for OOM policies.
 */
static int __init oom_policy_memcg_kfunc_init(void)
{
	int err;

	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &oom_policy_memcg_kfunc_set);
	return err ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_OOM_POLICY,
						&oom_policy_memcg_kfunc_set);
}
late_initcall(oom_policy_memcg_kfunc_init);
#endif /* OOM_POLICY_MODULE: it registers it with its own */
