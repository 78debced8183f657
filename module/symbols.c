// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel does not export: looked up once, at load, all of it or nothing. A
 * kprobe finds kallsyms_lookup_name(), and that finds the rest.
 *
 * Functions are called by static_call(): that is a direct call in the text, so that it
 * does not matter whether the kernel has kept the ENDBR of a function that it calls
 * directly itself. A pointer would fault on a CPU that enforces these. None of the calls
 * here may become a jump (see the Kbuild file): a function that is redirected tells by its
 * return address who calls.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/cgroup.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched/cputime.h>
#include <linux/static_call.h>
#include <linux/swap.h>

#include <memcontrol-v1.h>
#include <oom_policy_module.h>

/* Where the kernel takes no const yet, see Kbuild. */
#ifndef OOM_SYM_CONST
#define OOM_SYM_CONST
#endif

DEFINE_STATIC_CALL_NULL(sc___cgroup_get_from_id, __cgroup_get_from_id);
struct cgroup *__cgroup_get_from_id(u64 id)
{
	return static_call(sc___cgroup_get_from_id)(id);
}

DEFINE_STATIC_CALL_NULL(sc_bpf_check_uarg_tail_zero, bpf_check_uarg_tail_zero);
int bpf_check_uarg_tail_zero(bpfptr_t uaddr, size_t expected, size_t actual)
{
	return static_call(sc_bpf_check_uarg_tail_zero)(uaddr, expected, actual);
}

DEFINE_STATIC_CALL_NULL(sc_bpf_get_btf_vmlinux, bpf_get_btf_vmlinux);
struct btf *bpf_get_btf_vmlinux(void)
{
	return static_call(sc_bpf_get_btf_vmlinux)();
}

DEFINE_STATIC_CALL_NULL(sc_bpf_prog_by_id, bpf_prog_by_id);
struct bpf_prog *bpf_prog_by_id(u32 id)
{
	return static_call(sc_bpf_prog_by_id)(id);
}

DEFINE_STATIC_CALL_NULL(sc_btf_find_by_name_kind, btf_find_by_name_kind);
s32 btf_find_by_name_kind(const struct btf *btf, const char *name, u8 kind)
{
	return static_call(sc_btf_find_by_name_kind)(btf, name, kind);
}

DEFINE_STATIC_CALL_NULL(sc_btf_obj_id, btf_obj_id);
u32 btf_obj_id(const struct btf *btf)
{
	return static_call(sc_btf_obj_id)(btf);
}

DEFINE_STATIC_CALL_NULL(sc_cgroup_add_dfl_cftypes, cgroup_add_dfl_cftypes);
int cgroup_add_dfl_cftypes(struct cgroup_subsys *ss, struct cftype *files)
{
	return static_call(sc_cgroup_add_dfl_cftypes)(ss, files);
}

DEFINE_STATIC_CALL_NULL(sc_cgroup_file_notify, cgroup_file_notify);
void cgroup_file_notify(struct cgroup_file *file)
{
	static_call(sc_cgroup_file_notify)(file);
}

DEFINE_STATIC_CALL_NULL(sc_cgroup_rm_cftypes, cgroup_rm_cftypes);
int cgroup_rm_cftypes(struct cftype *files)
{
	return static_call(sc_cgroup_rm_cftypes)(files);
}

DEFINE_STATIC_CALL_NULL(sc_css_task_iter_end, css_task_iter_end);
void css_task_iter_end(struct css_task_iter *it)
{
	static_call(sc_css_task_iter_end)(it);
}

DEFINE_STATIC_CALL_NULL(sc_css_task_iter_next, css_task_iter_next);
struct task_struct *css_task_iter_next(struct css_task_iter *it)
{
	return static_call(sc_css_task_iter_next)(it);
}

DEFINE_STATIC_CALL_NULL(sc_css_task_iter_start, css_task_iter_start);
void css_task_iter_start(struct cgroup_subsys_state *css, unsigned int flags,
			 struct css_task_iter *it)
{
	static_call(sc_css_task_iter_start)(css, flags, it);
}

DEFINE_STATIC_CALL_NULL(sc_dump_header, dump_header);
void dump_header(struct oom_control *oc)
{
	static_call(sc_dump_header)(oc);
}

DEFINE_STATIC_CALL_NULL(sc_dump_task, dump_task);
int dump_task(struct task_struct *task, void *arg)
{
	return static_call(sc_dump_task)(task, arg);
}

DEFINE_STATIC_CALL_NULL(sc_kernfs_name, kernfs_name);
int kernfs_name(struct kernfs_node *node, char *buf, size_t size)
{
	return static_call(sc_kernfs_name)(node, buf, size);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_css_offline, mem_cgroup_css_offline);
void mem_cgroup_css_offline(struct cgroup_subsys_state *css)
{
	static_call(sc_mem_cgroup_css_offline)(css);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_css_online, mem_cgroup_css_online);
int mem_cgroup_css_online(struct cgroup_subsys_state *css)
{
	return static_call(sc_mem_cgroup_css_online)(css);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_get_max, mem_cgroup_get_max);
unsigned long mem_cgroup_get_max(struct mem_cgroup *memcg)
{
	return static_call(sc_mem_cgroup_get_max)(memcg);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_iter, mem_cgroup_iter);
struct mem_cgroup *mem_cgroup_iter(struct mem_cgroup *root, struct mem_cgroup *prev,
				   struct mem_cgroup_reclaim_cookie *reclaim)
{
	return static_call(sc_mem_cgroup_iter)(root, prev, reclaim);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_iter_break, mem_cgroup_iter_break);
void mem_cgroup_iter_break(struct mem_cgroup *root, struct mem_cgroup *prev)
{
	static_call(sc_mem_cgroup_iter_break)(root, prev);
}

DEFINE_STATIC_CALL_NULL(sc_mem_cgroup_scan_tasks, mem_cgroup_scan_tasks);
void mem_cgroup_scan_tasks(struct mem_cgroup *memcg,
			   int (*fn)(struct task_struct *, void *), void *arg)
{
	static_call(sc_mem_cgroup_scan_tasks)(memcg, fn, arg);
}

DEFINE_STATIC_CALL_NULL(sc_memcg_events, memcg_events);
unsigned long memcg_events(struct mem_cgroup *memcg, int event)
{
	return static_call(sc_memcg_events)(memcg, event);
}

DEFINE_STATIC_CALL_NULL(sc_memcg_page_state, memcg_page_state);
unsigned long memcg_page_state(struct mem_cgroup *memcg, int idx)
{
	return static_call(sc_memcg_page_state)(memcg, idx);
}

DEFINE_STATIC_CALL_NULL(sc_memcg_page_state_output, memcg_page_state_output);
unsigned long memcg_page_state_output(struct mem_cgroup *memcg, int item)
{
	return static_call(sc_memcg_page_state_output)(memcg, item);
}

DEFINE_STATIC_CALL_NULL(sc_oom_badness, oom_badness);
long oom_badness(struct task_struct *task, unsigned long totalpages)
{
	return static_call(sc_oom_badness)(task, totalpages);
}

DEFINE_STATIC_CALL_NULL(sc_oom_evaluate_task, oom_evaluate_task);
int oom_evaluate_task(struct task_struct *task, void *arg)
{
	return static_call(sc_oom_evaluate_task)(task, arg);
}

DEFINE_STATIC_CALL_NULL(sc_oom_kill_memcg_member, oom_kill_memcg_member);
int oom_kill_memcg_member(struct task_struct *task, void *message)
{
	return static_call(sc_oom_kill_memcg_member)(task, message);
}

DEFINE_STATIC_CALL_NULL(sc_out_of_memory, out_of_memory);
bool out_of_memory(struct oom_control *oc)
{
	return static_call(sc_out_of_memory)(oc);
}

DEFINE_STATIC_CALL_NULL(sc_process_shares_mm, process_shares_mm);
bool process_shares_mm(OOM_SYM_CONST struct task_struct *task, OOM_SYM_CONST struct mm_struct *mm)
{
	return static_call(sc_process_shares_mm)(task, mm);
}

DEFINE_STATIC_CALL_NULL(sc_task_sched_runtime, task_sched_runtime);
unsigned long long task_sched_runtime(struct task_struct *task)
{
	return static_call(sc_task_sched_runtime)(task);
}

DEFINE_STATIC_CALL_NULL(sc_oom_sym_kill_process, oom_sym_kill_process);
void oom_sym_kill_process(struct oom_control *oc, const char *message)
{
	static_call(sc_oom_sym_kill_process)(oc, message);
}

DEFINE_STATIC_CALL_NULL(sc_oom_sym_do_kill_process, oom_sym_do_kill_process);
void oom_sym_do_kill_process(struct task_struct *victim, const char *message)
{
	static_call(sc_oom_sym_do_kill_process)(victim, message);
}

DEFINE_STATIC_CALL_NULL(sc_lookup, oom_policy_symbol);

/* What the names in oom_policy_symbols.h point at. */
u32 (*oom_sym_bpf_cgroup_btf_id)[];
const struct bpf_func_proto *oom_sym_bpf_cgrp_storage_delete_proto;
const struct bpf_func_proto *oom_sym_bpf_cgrp_storage_get_proto;
u32 (*oom_sym_btf_tracing_ids)[];
bool *oom_sym_oom_killer_disabled;
struct mutex *oom_sym_oom_lock;	/* one event at a time */
long *oom_sym_total_swap_pages;
struct mem_cgroup *root_mem_cgroup;

/* Which items and events a memcg counts; tables of bytes, or of something larger. */
static const u8 *stats_index, *events_index;

enum {
#define SYMBOL(name)	SYM_##name
#include <oom_policy_functions.h>
#include <oom_policy_data.h>
#undef SYMBOL
	SYM_oom_kill_process,
	SYM_do_kill_process,
	SYM_root_mem_cgroup,
	SYM_mem_cgroup_stats_index,
	SYM_mem_cgroup_events_index,
	NR_SYMS
};

/* In the same order. */
static const char * const names[] = {
#define SYMBOL(name)	#name
#include <oom_policy_functions.h>
#include <oom_policy_data.h>
#undef SYMBOL
	[SYM_oom_kill_process] = "oom_kill_process",
	[SYM_do_kill_process] = "__oom_kill_process",
	[SYM_root_mem_cgroup] = "root_mem_cgroup",
	[SYM_mem_cgroup_stats_index] = "mem_cgroup_stats_index",
	[SYM_mem_cgroup_events_index] = "mem_cgroup_events_index",
};

static unsigned long found[NR_SYMS];

/**
 * oom_policy_symbol - the address of a symbol of the kernel
 * @name: its name
 *
 * Return: the address, or 0.
 */
unsigned long oom_policy_symbol(const char *name)
{
	return static_call(sc_lookup)(name);
}

/**
 * memcg_stats_index - where a memcg counts an item
 * @idx: enum node_stat_item or memcg_stat_item, in range
 *
 * Return: U8_MAX or more if it does not.
 */
int memcg_stats_index(int idx)
{
	return stats_index[idx];
}

/**
 * memcg_events_index - where a memcg counts an event
 * @idx: the event, in range
 *
 * Return: U8_MAX or more if it does not.
 */
int memcg_events_index(enum vm_event_item idx)
{
	return events_index[idx];
}

static int __init find_lookup(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long addr;
	int err;

	err = register_kprobe(&probe);
	if (err) {
		pr_err("kprobes are not to be had here (%d): unexported symbols cannot be found\n",
		       err);
		return err;
	}
	static_call_update(sc_lookup, (typeof(oom_policy_symbol) *)probe.addr);
	unregister_kprobe(&probe);

	/* The probe is behind an ENDBR, which a call may skip, and ours need not. */
	addr = oom_policy_symbol("kallsyms_lookup_name");
	if (!addr)
		return -ENOENT;
	static_call_update(sc_lookup, (typeof(oom_policy_symbol) *)addr);
	return 0;
}

/**
 * oom_policy_symbols_init - find everything, or nothing
 *
 * Return: 0; -EEXIST if the kernel has OOM policies of its own; -ENOENT if a symbol is
 * missing, each of which is named in the log; or why there are no kprobes.
 */
int __init oom_policy_symbols_init(void)
{
	int i, err, missing = 0;

	err = find_lookup();
	if (err)
		return err;

	if (oom_policy_symbol("bpf_oom_policy_link_attach")) {
		pr_err("this kernel has OOM policies of its own, and no need of a module\n");
		return -EEXIST;
	}
	for (i = 0; i < NR_SYMS; i++) {
		found[i] = oom_policy_symbol(names[i]);
		if (found[i])
			continue;
		pr_err("this kernel has no %s: it was compiled in a way, or is of a version, that this module is not made for\n",
		       names[i]);
		missing++;
	}
	if (missing)
		return -ENOENT;

#define SYMBOL(name)	static_call_update(sc_##name, (typeof(name) *)found[SYM_##name])
#include <oom_policy_functions.h>
#undef SYMBOL
	(void)0;
#define SYMBOL(name)	(oom_sym_##name = (typeof(oom_sym_##name))found[SYM_##name])
#include <oom_policy_data.h>
#undef SYMBOL
	(void)0;
	static_call_update(sc_oom_sym_kill_process,
			   (typeof(oom_sym_kill_process) *)found[SYM_oom_kill_process]);
	static_call_update(sc_oom_sym_do_kill_process,
			   (typeof(oom_sym_do_kill_process) *)found[SYM_do_kill_process]);
	root_mem_cgroup = *(struct mem_cgroup **)found[SYM_root_mem_cgroup];
	stats_index = (const u8 *)found[SYM_mem_cgroup_stats_index];
	events_index = (const u8 *)found[SYM_mem_cgroup_events_index];
	return 0;
}
