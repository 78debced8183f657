/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Our files are written for 7.3. This is what 6.12 calls otherwise, with the reason; for
 * 7.3 the overlay leaves it out, with the lines that include it. Versions between take
 * what fits one of the two.
 */
#ifndef _LINUX_OOM_POLICY_COMPAT_H
#define _LINUX_OOM_POLICY_COMPAT_H

#include <linux/btf.h>

/* The module is built with this header for 7.3, too, which has dropped the word. */
#ifdef KF_TRUSTED_ARGS

#include <linux/bpf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/slab.h>

/* A link does not know its attach type; that of its program is the same. */
#define bpf_link_init(link, link_type, ops, prog, ...)	\
	bpf_link_init(link, link_type, ops, prog)

/* Flags of an mm are one word. */
#define mm_flags_test(flag, mm)		test_bit(flag, &(mm)->flags)

/* The first of its versions name what is allocated by its size. */
#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp)		kzalloc(sizeof(obj), gfp)
#endif

/* The counters of an mm are read without what CPUs keep back, by the OOM killer too. */
#define get_mm_rss_sum(mm)		get_mm_rss(mm)
#define get_mm_counter_sum(mm, member)	get_mm_counter(mm, member)

/* It adds up all of its reasons; the first is true of a leaf, and there are most of these. */
static inline bool oom_policy_is_populated(struct cgroup *cgrp)
{
	return cgrp->nr_populated_csets || cgroup_is_populated(cgrp);
}

#define cgroup_is_populated		oom_policy_is_populated

/* Those that are exiting are seen until they have left their cgroup, after their mm. */
#define CSS_TASK_ITER_WITH_DEAD		0

/* The id of a memcg that is small and used again had the name of the cgroup's. */
#define mem_cgroup_private_id(memcg)	mem_cgroup_id(memcg)

/* That arguments of a kfunc are trusted pointers has to be asked for. */
#ifdef CONFIG_DEBUG_INFO_BTF
#undef BTF_ID_FLAGS
#define BTF_ID_FLAGS(prefix, name, ...)	\
	__BTF_ID_FLAGS(prefix, name, KF_TRUSTED_ARGS | (0 + __VA_ARGS__ + 0))
#endif

#endif /* KF_TRUSTED_ARGS */

#endif /* _LINUX_OOM_POLICY_COMPAT_H */
