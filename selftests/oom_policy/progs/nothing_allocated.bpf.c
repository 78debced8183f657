// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts what a task allocates between entering and leaving a function: slab
 * objects, pages and per-CPU memory.
 *
 * Interrupts come in between and may allocate: that is not the task's doing, and
 * not counted.
 */
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "interrupt.h"
#include "kernel_types.h"
#include "windows.h"

char _license[] SEC("license") = "GPL";

struct window windows[NR_WINDOWS];

static void open_window(struct window *window)
{
	window->task = bpf_get_current_task();
	window->entered++;
}

static void count(void *ctx, struct window *window)
{
	if (!window->task || window->task != bpf_get_current_task() || in_interrupt())
		return;
	if (!window->allocated++)
		bpf_get_stack(ctx, window->stack, sizeof(window->stack), 0);
}

static int allocation(void *ctx)
{
	count(ctx, &windows[SELECTION]);
	count(ctx, &windows[CONTROL]);
	return 0;
}

SEC("fentry/__oom_policy_select")
int selection_begins(void *ctx)
{
	open_window(&windows[SELECTION]);
	return 0;
}

SEC("fexit/__oom_policy_select")
int BPF_PROG(selection_ends, struct oom_control *oc)
{
	windows[SELECTION].task = 0;
	if (oc->chosen && oc->chosen != (void *)-1UL)
		windows[SELECTION].chose++;
	return 0;
}

/* Allocates its event, and selects then. */
SEC("fentry/oom_policy_rehearse")
int rehearsal_begins(void *ctx)
{
	open_window(&windows[CONTROL]);
	return 0;
}

SEC("fexit/oom_policy_rehearse")
int rehearsal_ends(void *ctx)
{
	windows[CONTROL].task = 0;
	return 0;
}

SEC("tp_btf/kmalloc")
int on_kmalloc(void *ctx)
{
	return allocation(ctx);
}

SEC("tp_btf/kmem_cache_alloc")
int on_kmem_cache_alloc(void *ctx)
{
	return allocation(ctx);
}

SEC("tp_btf/mm_page_alloc")
int on_mm_page_alloc(void *ctx)
{
	return allocation(ctx);
}

SEC("tp_btf/percpu_alloc_percpu")
int on_percpu_alloc(void *ctx)
{
	return allocation(ctx);
}
