// SPDX-License-Identifier: GPL-2.0-only
/*
 * The off switch, as mm/oom_policy/knobs.c has it: sysctl vm.oom_policy_enabled. What
 * is a word for the kernel at boot there is a parameter of the module here.
 */

#include <linux/compiler.h>
#include <linux/module.h>
#include <linux/sysctl.h>

#include <oom_policy_module.h>

#include "../mm/oom_policy/event.h"

static int enabled = 1;
module_param(enabled, int, 0444);
MODULE_PARM_DESC(enabled, "with 0 policies are not asked until vm.oom_policy_enabled is 1");

/**
 * oom_policy_enabled - may policies decide
 *
 * Return: false if they are switched off.
 */
bool oom_policy_enabled(void)
{
	return READ_ONCE(enabled);
}

static struct ctl_table table[] = {
	{
		.procname	= "oom_policy_enabled",
		.data		= &enabled,
		.maxlen		= sizeof(enabled),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static struct ctl_table_header *header;

/**
 * oom_policy_knobs_init - show the switch
 *
 * Return: 0; -EINVAL for a parameter that is not 0 or 1; -ENOMEM.
 */
int __init oom_policy_knobs_init(void)
{
	if (enabled != 0 && enabled != 1)
		return -EINVAL;
	header = register_sysctl("vm", table);
	return header ? 0 : -ENOMEM;
}

/**
 * oom_policy_knobs_exit - the counterpart
 */
void oom_policy_knobs_exit(void)
{
	unregister_sysctl_table(header);
}
