// SPDX-License-Identifier: GPL-2.0-only
/*
 * OOM policies on a kernel that has none: what mm/oom_policy/ and kernel/bpf/ compile
 * into a kernel, with another front end. Here it begins and ends.
 *
 * Whatever is missing in the kernel is said in one line, and nothing stays behind. Whoever
 * uses a policy, a kfunc or the device holds the module; when nobody does, it may go,
 * and an OOM that is under way then comes to its end first.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/module.h>

#include <oom_policy_module.h>

#include "../mm/oom_policy/priority.h"

static int __init oom_policy_module_init(void)
{
	int err;

	if (mem_cgroup_disabled()) {
		pr_err("the memory controller is disabled (cgroup_disable=memory)\n");
		return -EOPNOTSUPP;
	}

	err = oom_policy_symbols_init();
	if (err)
		return err;
	err = oom_policy_state_init();
	if (err)
		return err;
	err = oom_policy_victims_init();
	if (err)
		goto out_state;
	err = oom_policy_knobs_init();
	if (err)
		goto out_victims;
	err = oom_policy_hooks_init();
	if (err)
		goto out_knobs;
	err = oom_policy_selftest();
	if (err)
		goto out_hooks;
	err = oom_policy_priority_init();
	if (err)
		goto out_hooks;
	err = oom_policy_device_init();
	if (err)
		goto out_priority;
	err = oom_policy_ops_init();
	if (err)
		goto out_device;

	pr_info("policies can be attached: struct_ops type bpf_oom_policy_ops\n");
	return 0;

out_device:
	oom_policy_device_exit();
out_priority:
	oom_policy_priority_exit();
out_hooks:
	oom_policy_hooks_exit();
out_knobs:
	oom_policy_knobs_exit();
out_victims:
	oom_policy_victims_exit();
out_state:
	oom_policy_state_exit();
	return err;
}

static void __exit oom_policy_module_exit(void)
{
	oom_policy_device_exit();
	oom_policy_priority_exit();
	oom_policy_hooks_exit();
	oom_policy_ops_exit();
	oom_policy_knobs_exit();
	oom_policy_victims_exit();
	oom_policy_state_exit();
}

module_init(oom_policy_module_init);
module_exit(oom_policy_module_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The authors of bpf-oom-policy");
MODULE_DESCRIPTION("BPF policies for the OOM killer, on a kernel that has none");
