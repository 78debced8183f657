// SPDX-License-Identifier: GPL-2.0-only
/*
 * The off switch: sysctl vm.oom_policy_enabled, and oom_policy=off at boot. Policies
 * stay attached meanwhile, and the stock killer decides.
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/sysctl.h>

#include "event.h"

static int sysctl_oom_policy_enabled = 1;

/**
 * oom_policy_enabled - may policies decide
 *
 * Return: false if they are switched off.
 */
bool oom_policy_enabled(void)
{
	return READ_ONCE(sysctl_oom_policy_enabled);
}

static struct ctl_table oom_policy_table[] = {
	{
		.procname	= "oom_policy_enabled",
		.data		= &sysctl_oom_policy_enabled,
		.maxlen		= sizeof(sysctl_oom_policy_enabled),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init oom_policy_init(void)
{
	register_sysctl_init("vm", oom_policy_table);
	return 0;
}
subsys_initcall(oom_policy_init);

static int __init oom_policy_setup(char *str)
{
	bool enabled;

	if (kstrtobool(str, &enabled))
		return -EINVAL;

	sysctl_oom_policy_enabled = enabled;
	return 0;
}
early_param("oom_policy", oom_policy_setup);
