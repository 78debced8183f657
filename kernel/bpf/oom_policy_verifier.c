// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program that is an OOM policy may read, write and call, and the kfunc that
 * selects and kills before there is an OOM.
 *
 * Nothing here is locked: the verifier asks, and answers do not change.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/memcontrol.h>
#include <linux/oom_policy_host.h>

#include "oom_policy.h"

static bool oom_policy_ptr_access(struct bpf_insn_access_aux *info,
				  enum bpf_access_type type, int size, u32 btf_id)
{
	if (type == BPF_WRITE || size != sizeof(__u64))
		return false;

	info->btf = bpf_get_btf_vmlinux();
	if (IS_ERR_OR_NULL(info->btf))
		return false;

	info->btf_id = btf_id;
	info->reg_type = PTR_TO_BTF_ID | PTR_TRUSTED;
	return true;
}

/* The context is what the program reads: no access is ever rewritten. */
static bool oom_policy_is_valid_access(int off, int size, enum bpf_access_type type,
				       const struct bpf_prog *prog,
				       struct bpf_insn_access_aux *info)
{
	if (off < 0 || off >= sizeof(struct bpf_oom_ctx) || off % size)
		return false;

	switch (off) {
	case bpf_ctx_range_ptr(struct bpf_oom_ctx, cgroup_1):
	case bpf_ctx_range_ptr(struct bpf_oom_ctx, cgroup_2):
		return oom_policy_ptr_access(info, type, size,
					     bpf_cgroup_btf_id[0]);
	case bpf_ctx_range_ptr(struct bpf_oom_ctx, task_1):
	case bpf_ctx_range_ptr(struct bpf_oom_ctx, task_2):
		if (!oom_policy_judges_tasks(prog))
			return false;
		return oom_policy_ptr_access(info, type, size,
					     btf_tracing_ids[BTF_TRACING_TYPE_TASK]);
	case bpf_ctx_range_till(struct bpf_oom_ctx, scratch_1, scratch_2):
		return true;
	case bpf_ctx_range_till(struct bpf_oom_ctx, pid_1, flags):
		return type == BPF_READ && size <= sizeof(__u32);
	default:
		return type == BPF_READ;
	}
}

/* Creating an element allocates, which nothing may do while memory is short. */
BPF_CALL_5(bpf_oom_policy_storage_get, struct bpf_map *, map,
	   struct cgroup *, cgroup, void *, value, u64, flags, gfp_t, gfp_flags)
{
	if (flags)
		return (unsigned long)NULL;

	return bpf_cgrp_storage_get_proto.func((unsigned long)map,
					       (unsigned long)cgroup,
					       (unsigned long)value, flags,
					       (__force unsigned long)gfp_flags);
}

static struct bpf_func_proto bpf_oom_policy_storage_get_proto = {
	.func		= bpf_oom_policy_storage_get,
	.gpl_only	= false,
	.ret_type	= RET_PTR_TO_MAP_VALUE_OR_NULL,
	.arg1_type	= ARG_CONST_MAP_PTR,
	.arg2_type	= ARG_PTR_TO_BTF_ID_OR_NULL,
	.arg3_type	= ARG_PTR_TO_MAP_VALUE_OR_NULL,
	.arg4_type	= ARG_ANYTHING,
};

/*
 * What is known not to allocate and not to sleep, and nothing else: whoever adds a
 * helper to the kernel does not think of policies. Of the map operations the update is
 * missing, since some types of map allocate: whoever fills a map does it beforehand,
 * and a program changes values where they are. A tail call would lead to a program
 * that was verified for the other stage.
 */
static const struct bpf_func_proto *
oom_policy_func_proto(enum bpf_func_id func_id, const struct bpf_prog *prog)
{
	switch (func_id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
	case BPF_FUNC_map_delete_elem:
	case BPF_FUNC_map_push_elem:
	case BPF_FUNC_map_pop_elem:
	case BPF_FUNC_map_peek_elem:
	case BPF_FUNC_for_each_map_elem:
	case BPF_FUNC_kptr_xchg:
	case BPF_FUNC_spin_lock:
	case BPF_FUNC_spin_unlock:
	case BPF_FUNC_loop:
	case BPF_FUNC_strncmp:
	case BPF_FUNC_strtol:
	case BPF_FUNC_strtoul:
	case BPF_FUNC_snprintf:
	case BPF_FUNC_snprintf_btf:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_trace_vprintk:
	case BPF_FUNC_ringbuf_output:
	case BPF_FUNC_ringbuf_reserve:
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
	case BPF_FUNC_ringbuf_query:
	case BPF_FUNC_ringbuf_reserve_dynptr:
	case BPF_FUNC_ringbuf_submit_dynptr:
	case BPF_FUNC_ringbuf_discard_dynptr:
	case BPF_FUNC_dynptr_from_mem:
	case BPF_FUNC_dynptr_read:
	case BPF_FUNC_dynptr_write:
	case BPF_FUNC_dynptr_data:
	case BPF_FUNC_jiffies64:
	case BPF_FUNC_ktime_get_ns:
	case BPF_FUNC_ktime_get_boot_ns:
	case BPF_FUNC_ktime_get_tai_ns:
	case BPF_FUNC_get_prandom_u32:
	case BPF_FUNC_get_smp_processor_id:
	case BPF_FUNC_get_numa_node_id:
	case BPF_FUNC_per_cpu_ptr:
	case BPF_FUNC_this_cpu_ptr:
	case BPF_FUNC_get_current_pid_tgid:
	case BPF_FUNC_get_ns_current_pid_tgid:
	case BPF_FUNC_get_current_task:
	case BPF_FUNC_get_current_task_btf:
	case BPF_FUNC_get_current_cgroup_id:
	case BPF_FUNC_get_current_ancestor_cgroup_id:
	case BPF_FUNC_task_pt_regs:
	case BPF_FUNC_probe_read_user:
	case BPF_FUNC_probe_read_user_str:
	case BPF_FUNC_probe_read_kernel:
	case BPF_FUNC_probe_read_kernel_str:
		return bpf_base_func_proto(func_id, prog);
	case BPF_FUNC_cgrp_storage_get:
		return &bpf_oom_policy_storage_get_proto;
	case BPF_FUNC_cgrp_storage_delete:
		return &bpf_cgrp_storage_delete_proto;
	default:
		return NULL;
	}
}

const struct bpf_verifier_ops oom_policy_verifier_ops = {
	.is_valid_access	= oom_policy_is_valid_access,
	.get_func_proto		= oom_policy_func_proto,
};

/**
 * oom_policy_verifier_init - make the allow-list of helpers complete
 *
 * To be called before a policy can be loaded: which of the kernel's types a cgroup is
 * need not be a constant.
 */
void oom_policy_verifier_init(void)
{
	bpf_oom_policy_storage_get_proto.arg2_btf_id = &bpf_cgroup_btf_id[0];
}

/**
 * oom_policy_may_kill - may a program call bpf_oom_policy_kill()
 * @prog: the program, which current is loading
 *
 * A bpf_wq callback, which a program of any type may start, has the rights of a
 * kernel thread: whoever loads it has to have them. A sleepable program can be
 * anywhere, with any lock held, but for one that is run by a system call. One that is
 * not sleepable gets here from a callback only, with no lock held.
 *
 * Return: 0 or -EACCES.
 */
int oom_policy_may_kill(const struct bpf_prog *prog)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (prog->type == BPF_PROG_TYPE_SYSCALL)
		return 0;
	return prog->type == OOM_POLICY_PROG_TYPE || prog->sleepable ? -EACCES : 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_oom_policy_kill - kill a victim before memory runs out
 * @cgroup_id: cgroup id of the scope; the root's for the whole machine
 * @flags: 0
 *
 * Selects, kills, reports and counts as an OOM in that scope does, by the policies
 * that would rule there or else as the stock killer, and never panics. For programs
 * of BPF_PROG_TYPE_SYSCALL, and for the bpf_wq callbacks of others.
 *
 * Waits for oom_lock, which is taken by allocations: the caller must not hold a lock
 * that is waited for under oom_lock. A page fault or a reclaimer, with mmap_lock or
 * without, is an allocation itself and waits for nothing here, as a bpf_wq callback
 * has none of the locks of whoever started it.
 *
 * Return: 0 if a victim was killed; -EAGAIN while one is dying or has a grace;
 * -ESRCH if there is nobody to kill; -EINVAL for unknown flags; -EPERM without
 * CAP_SYS_ADMIN in the initial user namespace; -ENOENT if no cgroup has that id or it
 * is being removed; -EOPNOTSUPP if it has no memory controller on v2; -EINTR if the
 * caller is to die; -EBUSY while the OOM killer is disabled.
 */
__bpf_kfunc int bpf_oom_policy_kill(u64 cgroup_id, u64 flags)
{
	struct mem_cgroup *memcg;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (flags)
		return -EINVAL;

	memcg = oom_policy_get_memcg(cgroup_id);
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);

	err = oom_policy_kill(memcg);
	mem_cgroup_put(memcg);
	return err;
}

__bpf_kfunc_end_defs();
