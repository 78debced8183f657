// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a function of the OOM killer to itself, as a live patch of it would: for the tests
 * of who else may redirect it meanwhile. It changes nothing.
 */

#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/string.h>

static void notrace take(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			 struct ftrace_regs *fregs)
{
}

static struct ftrace_ops taken = {
	.func = take,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_RECURSION,
};

static int __init taken_init(void)
{
	char function[] = "oom_kill_process";
	int err = ftrace_set_filter(&taken, function, strlen(function), 0);

	return err ?: register_ftrace_function(&taken);
}

static void __exit taken_exit(void)
{
	unregister_ftrace_function(&taken);
}

module_init(taken_init);
module_exit(taken_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The authors of bpf-oom-policy");
MODULE_DESCRIPTION("Keeps others from redirecting a function of the OOM killer");
