// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler of OOMs that is a BPF program, for tests of what such ones are offered:
 * where a kernel has a place for handlers of its own, this is not needed.
 *
 * It is asked as any other notifier is: when the whole machine is short of memory,
 * under oom_lock, before the OOM killer looks for somebody. There it has an event of its
 * own, and may choose; whom it has chosen is killed, and that is the end of it.
 *
 * The handler is written and called under oom_lock.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/uaccess.h>

#include "../event.h"

/**
 * struct oom_policy_test_ops - what a handler is
 * @out_of_memory: told of an event; returns whether whom it has chosen is to be killed
 */
struct oom_policy_test_ops {
	int (*out_of_memory)(struct oom_control *oc);
};

static struct oom_policy_test_ops *handler;

static int oom_handler_notify(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct oom_control oc = {
		.nodemask = &node_states[N_MEMORY],
		.gfp_mask = GFP_KERNEL,
		.totalpages = oom_policy_totalpages(root_mem_cgroup),
		.constraint = CONSTRAINT_NONE,
	};
	int kill;

	if (!handler)
		return NOTIFY_DONE;

	/* A fault of whoever allocates would want this very lock. */
	pagefault_disable();
	kill = handler->out_of_memory(&oc);
	pagefault_enable();

	if (!kill || !oc.chosen || oc.chosen == (void *)-1UL) {
		oom_policy_take_back(&oc);
		return NOTIFY_DONE;
	}
	oom_kill_process(&oc, "Out of memory (handler)");
	oom_policy_done(&oc);
	*(unsigned long *)freed += 1;
	return NOTIFY_OK;
}

static struct notifier_block oom_handler_block = {
	.notifier_call = oom_handler_notify,
};

static const struct bpf_func_proto *oom_handler_func_proto(enum bpf_func_id func_id,
							   const struct bpf_prog *prog)
{
	return bpf_base_func_proto(func_id, prog);
}

static const struct bpf_verifier_ops oom_handler_verifier_ops = {
	.get_func_proto		= oom_handler_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int oom_handler_init_type(struct btf *btf)
{
	return 0;
}

static int oom_handler_init_member(const struct btf_type *type,
				   const struct btf_member *member, void *kdata,
				   const void *udata)
{
	return 0;
}

static int oom_handler_reg(void *kdata, struct bpf_link *link)
{
	int err = 0;

	mutex_lock(&oom_lock);
	if (handler)
		err = -EBUSY;
	else
		handler = kdata;
	mutex_unlock(&oom_lock);
	return err;
}

static void oom_handler_unreg(void *kdata, struct bpf_link *link)
{
	mutex_lock(&oom_lock);
	handler = NULL;
	mutex_unlock(&oom_lock);
}

static int oom_handler_stub(struct oom_control *oc)
{
	return 0;
}

static struct oom_policy_test_ops oom_handler_stubs = {
	.out_of_memory = oom_handler_stub,
};

static struct bpf_struct_ops bpf_oom_policy_test_ops = {
	.verifier_ops	= &oom_handler_verifier_ops,
	.init		= oom_handler_init_type,
	.init_member	= oom_handler_init_member,
	.reg		= oom_handler_reg,
	.unreg		= oom_handler_unreg,
	.name		= "oom_policy_test_ops",
	.cfi_stubs	= &oom_handler_stubs,
	.owner		= THIS_MODULE,
};

static int __init oom_handler_init(void)
{
	int err;

	err = register_bpf_struct_ops(&bpf_oom_policy_test_ops, oom_policy_test_ops);
	return err ?: register_oom_notifier(&oom_handler_block);
}
late_initcall(oom_handler_init);
