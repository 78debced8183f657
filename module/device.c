// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/oom_policy: what a kernel with OOM policies answers by BPF_PROG_TEST_RUN and
 * BPF_OBJ_GET_INFO_BY_FD. This kernel has no place there for a struct_ops type of a
 * module; kfuncs for SYSCALL programs would do, but need a program of one's own to be
 * verified for each question, and a loader that knows of the module's types. A device
 * needs none of that, and its file's mode says who may ask.
 */

#define pr_fmt(fmt) "oom_policy: " fmt

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include <oom_policy_module.h>

static long device_types(struct bpf_oom_device_types __user *to)
{
	struct bpf_oom_device_types types;
	u32 size;
	int err;

	if (get_user(size, &to->size))
		return -EFAULT;
	if (size < sizeof(types))
		return -EINVAL;

	err = oom_policy_ops_types(&types);
	if (err)
		return err;
	return copy_to_user(to, &types, sizeof(types)) ? -EFAULT : 0;
}

static long device_info(struct bpf_oom_device_info __user *to)
{
	struct bpf_oom_device_info info = {};
	u32 size;
	int err;

	if (get_user(size, &to->size) || get_user(info.link_id, &to->link_id))
		return -EFAULT;
	if (size < offsetofend(struct bpf_oom_device_info, clamped))
		return -EINVAL;

	err = oom_policy_ops_info(info.link_id, &info.info, &info.prog_id, &info.clamped);
	if (err)
		return err;
	info.size = sizeof(info);
	return copy_to_user(to, &info, min_t(size_t, size, sizeof(info))) ? -EFAULT : 0;
}

/* What is behind the part of a test belongs to others. */
static long device_test_run(union bpf_attr __user *from)
{
	union bpf_attr attr = {};
	struct bpf_prog *prog;
	long err;

	if (copy_from_user(&attr, from, sizeof(attr.test)))
		return -EFAULT;
	prog = bpf_prog_get_type_dev(attr.test.prog_fd, BPF_PROG_TYPE_STRUCT_OPS, false);
	if (IS_ERR(prog))
		return PTR_ERR(prog);
	err = oom_policy_is_policy(prog) ? bpf_prog_test_run_oom_policy(prog, &attr, from) :
					   -EINVAL;
	bpf_prog_put(prog);
	return err;
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	switch (cmd) {
	case BPF_OOM_DEVICE_TYPES:
		return device_types((struct bpf_oom_device_types __user *)arg);
	case BPF_OOM_DEVICE_INFO:
		return device_info((struct bpf_oom_device_info __user *)arg);
	case BPF_OOM_DEVICE_TEST_RUN:
		return device_test_run((union bpf_attr __user *)arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations device_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= device_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "oom_policy",
	.mode	= 0600,
	.fops	= &device_fops,
};

/**
 * oom_policy_device_init - make the device
 *
 * Return: 0, or what misc_register() returns.
 */
int __init oom_policy_device_init(void)
{
	return misc_register(&device);
}

/**
 * oom_policy_device_exit - the counterpart; nobody has it open
 */
void oom_policy_device_exit(void)
{
	misc_deregister(&device);
}
