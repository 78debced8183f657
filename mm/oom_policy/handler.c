// SPDX-License-Identifier: GPL-2.0-only
/*
 * The selection for whoever handles an OOM otherwise, and has come to the point where
 * somebody has to die: a kfunc for handlers that are BPF programs.
 *
 * A handler has an event in hand, as an argument of a struct_ops operation, so that
 * nobody else can call this; and it is called under oom_lock, as such an event is.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/init.h>
#include <linux/lockdep.h>
#include <linux/oom.h>
#include <linux/oom_policy_host.h>
#include <linux/sched/task.h>

#include "event.h"

/**
 * oom_policy_take_back - nobody is to be killed for an event, or somebody else
 * @oc: the event, whose victim has not been killed; oom_lock is held
 */
void oom_policy_take_back(struct oom_control *oc)
{
	struct oom_policy_event *ev = &oom_policy_event;
	struct oom_policy_wait *wait = oom_policy_wait_of(oc);

	lockdep_assert_held(&oom_lock);

	if (wait->victim)
		put_task_struct(wait->victim);
	wait->victim = NULL;
	if (oc->chosen && oc->chosen != (void *)-1UL)
		put_task_struct(oc->chosen);
	oc->chosen = NULL;
	if (ev->oc == oc)
		oom_policy_end(ev);
}

__bpf_kfunc_start_defs();

/**
 * bpf_oom_policy_select - whom would the OOM killer take?
 * @oc: the event, as the handler was given it
 *
 * Selects as an OOM does: by the policies that govern the event or else as the stock
 * killer. The victim is in @oc->chosen, for whoever has called the handler to kill, by
 * oom_kill_process(), and to end the event, by oom_policy_done(); or for the next call
 * of this to replace.
 *
 * Return: 0 if there is a victim; -EAGAIN while one is dying or has a grace; -ESRCH if
 * there is nobody to kill.
 */
__bpf_kfunc int bpf_oom_policy_select(struct oom_control *oc)
{
	oom_policy_take_back(oc);
	select_bad_process(oc);
	if (!oc->chosen)
		return -ESRCH;
	return oc->chosen == (void *)-1UL ? -EAGAIN : 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(oom_policy_handler_kfuncs)
BTF_ID_FLAGS(func, bpf_oom_policy_select, KF_SLEEPABLE)
BTF_KFUNCS_END(oom_policy_handler_kfuncs)

static const struct btf_kfunc_id_set oom_policy_handler_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &oom_policy_handler_kfuncs,
};

static int __init oom_policy_handler_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS,
					 &oom_policy_handler_kfunc_set);
}
late_initcall(oom_policy_handler_init);
