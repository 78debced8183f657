/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel does not export goes by other names in here, before anything else is
 * included: so the kernel's own headers declare ours with the right types, and the
 * selection compiles as it is. Behind each name is what symbols.c has found; a name of
 * the kernel's own would be in the way of those who look for that (kprobes, ftrace).
 */
#ifndef _OOM_POLICY_SYMBOLS_H
#define _OOM_POLICY_SYMBOLS_H

#define __cgroup_get_from_id		oom_sym_cgroup_get_from_id
#define bpf_check_uarg_tail_zero	oom_sym_bpf_check_uarg_tail_zero
#define bpf_get_btf_vmlinux		oom_sym_bpf_get_btf_vmlinux
#define bpf_prog_by_id			oom_sym_bpf_prog_by_id
#define btf_find_by_name_kind		oom_sym_btf_find_by_name_kind
#define btf_obj_id			oom_sym_btf_obj_id
#define cgroup_add_dfl_cftypes		oom_sym_cgroup_add_dfl_cftypes
#define cgroup_file_notify		oom_sym_cgroup_file_notify
#define cgroup_rm_cftypes		oom_sym_cgroup_rm_cftypes
#define css_task_iter_end		oom_sym_css_task_iter_end
#define css_task_iter_next		oom_sym_css_task_iter_next
#define css_task_iter_start		oom_sym_css_task_iter_start
#define dump_header			oom_sym_dump_header
#define dump_task			oom_sym_dump_task
#define kernfs_name			oom_sym_kernfs_name
#define mem_cgroup_css_offline		oom_sym_mem_cgroup_css_offline
#define mem_cgroup_css_online		oom_sym_mem_cgroup_css_online
#define mem_cgroup_get_max		oom_sym_mem_cgroup_get_max
#define mem_cgroup_iter			oom_sym_mem_cgroup_iter
#define mem_cgroup_iter_break		oom_sym_mem_cgroup_iter_break
#define mem_cgroup_scan_tasks		oom_sym_mem_cgroup_scan_tasks
#define memcg_events			oom_sym_memcg_events
#define memcg_page_state		oom_sym_memcg_page_state
#define memcg_page_state_output		oom_sym_memcg_page_state_output
#define oom_badness			oom_sym_oom_badness
#define oom_evaluate_task		oom_sym_oom_evaluate_task
#define oom_kill_memcg_member		oom_sym_oom_kill_memcg_member
#define out_of_memory			oom_sym_out_of_memory
#define process_shares_mm		oom_sym_process_shares_mm
#define task_sched_runtime		oom_sym_task_sched_runtime

/* Data: a pointer to the kernel's, but for the root, which does not change. */
#define bpf_cgroup_btf_id		(*oom_sym_bpf_cgroup_btf_id)
#define bpf_cgrp_storage_delete_proto	(*oom_sym_bpf_cgrp_storage_delete_proto)
#define bpf_cgrp_storage_get_proto	(*oom_sym_bpf_cgrp_storage_get_proto)
#define btf_tracing_ids			(*oom_sym_btf_tracing_ids)
#define oom_killer_disabled		(*oom_sym_oom_killer_disabled)
#define oom_lock			(*oom_sym_oom_lock)
#define root_mem_cgroup			oom_sym_root_mem_cgroup
#define total_swap_pages		(*oom_sym_total_swap_pages)

/* Ours, in hooks.c: with the policies' part in it, as in a kernel that has them. */
#define oom_kill_process		oom_policy_kill_process

/* The attach types of a kernel that has them; here they are members of a structure. */
#define BPF_OOM_POLICY			((enum bpf_attach_type)0)
#define BPF_OOM_POLICY_TASK		((enum bpf_attach_type)1)

#endif /* _OOM_POLICY_SYMBOLS_H */
