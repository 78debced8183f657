// SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause)
/*
 * OOM policies on a kernel that does not know their program type, by the module that
 * brings them: what libbpf asks the kernel about a policy is said here in the words
 * that such a kernel understands, and its answers in ours. So one object file, one
 * loader and one bpftool are for both.
 *
 * The module is there if its device is; the device says what its types are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/magic.h>

#include "bpf.h"
#include "btf.h"
#include "libbpf.h"
#include "libbpf_internal.h"
#include "oom_policy.h"

/* A kernel that knows the program type has no such device. */
static int open_device(void)
{
	int device = open(BPF_OOM_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0 && errno == EACCES)
		errno = EPERM;
	return device;
}

/* After open_device(): there is none, rather than that it is not for us. */
static bool no_device(void)
{
	return errno == ENOENT || errno == ENXIO || errno == ENODEV;
}

static int raw_bpf(enum bpf_cmd cmd, union bpf_attr *attr, unsigned int size)
{
	return syscall(__NR_bpf, cmd, attr, size);
}

static int get_types(int device, struct bpf_oom_device_types *types)
{
	memset(types, 0, sizeof(*types));
	types->size = sizeof(*types);
	return ioctl(device, BPF_OOM_DEVICE_TYPES, types);
}

static void close_keep_errno(int fd)
{
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
}

/* Whether it is the type that the kernel does not know, and not the program. */
static bool type_unknown(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_OOM_POLICY,
		.expected_attach_type = BPF_OOM_POLICY,
		.insns = (__u64)(unsigned long)insns,
		.insn_cnt = 2,
		.license = (__u64)(unsigned long)"",
	};
	int fd = raw_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EINVAL;
}

/* Whoever only tries has no name for it. */
static void say_what_is_missing(const union bpf_attr *attr)
{
	static bool said;
	int err = errno;

	if (err == EINVAL && !said && attr->prog_name[0] && type_unknown()) {
		said = true;
		pr_warn("prog '%s': this kernel has no OOM policies: install the package bpf-oom-policy-dkms and run \"modprobe oom_policy\", or boot a kernel with CONFIG_BPF_OOM_POLICY\n",
			attr->prog_name);
	}
	errno = err;
}

static int load(union bpf_attr *attr, unsigned int size)
{
	struct bpf_oom_device_types types;
	union bpf_attr ours = {};
	int device, btf_fd = -1, fd = -1;

	device = open_device();
	if (device < 0) {
		if (!no_device())
			return -1;
		fd = raw_bpf(BPF_PROG_LOAD, attr, size);
		if (fd < 0)
			say_what_is_missing(attr);
		return fd;
	}

	if (attr->expected_attach_type != BPF_OOM_POLICY &&
	    attr->expected_attach_type != BPF_OOM_POLICY_TASK) {
		errno = EINVAL;
		goto out;
	}
	if (get_types(device, &types))
		goto out;
	btf_fd = bpf_btf_get_fd_by_id(types.btf_id);
	if (btf_fd < 0)
		goto out;

	memcpy(&ours, attr, size);
	ours.prog_type = BPF_PROG_TYPE_STRUCT_OPS;
	ours.expected_attach_type = attr->expected_attach_type == BPF_OOM_POLICY_TASK;
	ours.attach_btf_obj_fd = btf_fd;
	ours.attach_btf_id = types.prog_type_id;
	fd = raw_bpf(BPF_PROG_LOAD, &ours, size);
	/* What the kernel has to say of a failure. */
	attr->log_true_size = ours.log_true_size;
	attr->func_info_rec_size = ours.func_info_rec_size;
	attr->line_info_rec_size = ours.line_info_rec_size;
out:
	close_keep_errno(btf_fd);
	close_keep_errno(device);
	return fd;
}

/* 0 and errno if it is none of cgroup v2. */
static __u64 cgroup_id_of(int cgroup_fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(cgroup_fd, &fs) || fstat(cgroup_fd, &st))
		return 0;
	if (fs.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(st.st_mode)) {
		errno = EBADF;
		return 0;
	}
	return st.st_ino;
}

/* A map whose value is the kernel's type has to come with types of its own, too. */
static struct btf *some_types(void)
{
	struct btf *btf = btf__new_empty();

	if (!btf)
		return NULL;
	if (btf__add_int(btf, "int", 4, BTF_INT_SIGNED) < 0 || btf__load_into_kernel(btf)) {
		btf__free(btf);
		return NULL;
	}
	return btf;
}

/* A map with the options of a policy, to be linked. */
static int make_map(int device, const struct bpf_oom_policy_map *policy)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	struct bpf_oom_device_types types;
	int btf_fd, map_fd, err = -1;
	const __u32 key = 0;
	struct btf *btf;
	char *value;

	if (get_types(device, &types))
		return -1;
	btf = some_types();
	if (!btf)
		return -1;
	btf_fd = bpf_btf_get_fd_by_id(types.btf_id);
	if (btf_fd < 0) {
		btf__free(btf);
		return -1;
	}

	opts.btf_fd = btf__fd(btf);
	opts.btf_vmlinux_value_type_id = types.map_type_id;
	opts.value_type_btf_obj_fd = btf_fd;
	opts.map_flags = BPF_F_LINK | BPF_F_VTYPE_BTF_OBJ_FD;
	map_fd = bpf_map_create(BPF_MAP_TYPE_STRUCT_OPS, "oom_policy", sizeof(key),
				types.map_value_size, 1, &opts);
	err = errno;
	btf__free(btf);
	close(btf_fd);
	errno = err;
	if (map_fd < 0)
		return -1;

	err = -1;
	value = calloc(1, types.map_value_size);
	if (value) {
		memcpy(value + types.map_data_offset, policy, sizeof(*policy));
		err = bpf_map_update_elem(map_fd, &key, value, 0);
		free(value);
	}
	if (err) {
		close_keep_errno(map_fd);
		return -1;
	}
	return map_fd;
}

static void set_prog(struct bpf_oom_policy_map *policy, bool tasks, int prog_fd)
{
	if (tasks)
		policy->compare_tasks = prog_fd;
	else
		policy->compare = prog_fd;
}

static bool has_tail(const union bpf_attr *attr, unsigned int size)
{
	unsigned int i = offsetofend(union bpf_attr, link_create.oom_policy.max_futile);

	for (; i < size && i < offsetofend(union bpf_attr, link_create); i++)
		if (((const char *)attr)[i])
			return true;
	return false;
}

static int link_create(union bpf_attr *attr, unsigned int size)
{
	struct bpf_oom_policy_map policy = {
		.flags = attr->link_create.oom_policy.flags,
		.budget_us = attr->link_create.oom_policy.budget_us,
		.grace_ms = attr->link_create.oom_policy.grace_ms,
		.max_futile = attr->link_create.oom_policy.max_futile,
	};
	union bpf_attr ours = {};
	int device, map_fd = -1, fd = -1;

	device = open_device();
	if (device < 0)
		return no_device() ? raw_bpf(BPF_LINK_CREATE, attr, size) : -1;

	/* What the kernel would ask of what is behind our part. */
	if (attr->link_create.flags || has_tail(attr, size)) {
		errno = EINVAL;
		goto out;
	}
	policy.cgroup_id = cgroup_id_of(attr->link_create.target_fd);
	if (!policy.cgroup_id)
		goto out;
	set_prog(&policy, attr->link_create.attach_type == BPF_OOM_POLICY_TASK,
		 attr->link_create.prog_fd);
	map_fd = make_map(device, &policy);
	if (map_fd < 0)
		goto out;

	ours.link_create.map_fd = map_fd;
	ours.link_create.attach_type = BPF_STRUCT_OPS;
	fd = raw_bpf(BPF_LINK_CREATE, &ours, sizeof(ours.link_create));
out:
	close_keep_errno(map_fd);
	close_keep_errno(device);
	return fd;
}

/* Of a link that is a policy's, what the device knows; else -1. */
static int ask_device(int device, __u32 link_id, struct bpf_oom_device_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->link_id = link_id;
	return ioctl(device, BPF_OOM_DEVICE_INFO, info);
}

static int raw_info(int fd, void *info, __u32 len)
{
	union bpf_attr attr = {
		.info = {
			.bpf_fd = fd,
			.info_len = len,
			.info = (__u64)(unsigned long)info,
		},
	};

	return raw_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info));
}

static bool is_ours(int device, const struct bpf_prog_info *info)
{
	struct bpf_oom_device_types types;

	return info->type == BPF_PROG_TYPE_STRUCT_OPS && !get_types(device, &types) &&
	       info->attach_btf_obj_id == types.btf_id &&
	       info->attach_btf_id == types.prog_type_id;
}

/* The same options and another program: the map is replaced by one with these. */
static int link_update(union bpf_attr *attr, unsigned int size)
{
	struct bpf_prog_info old = {}, prog = {};
	struct bpf_oom_device_info info;
	struct bpf_link_info link = {};
	struct bpf_oom_policy_map policy = {};
	union bpf_attr ours = {};
	int device, map_fd = -1, err = -1;

	device = open_device();
	if (device < 0)
		return raw_bpf(BPF_LINK_UPDATE, attr, size);
	if (raw_info(attr->link_update.link_fd, &link, sizeof(link)) ||
	    link.type != BPF_LINK_TYPE_STRUCT_OPS ||
	    raw_info(attr->link_update.new_prog_fd, &prog, sizeof(prog)) ||
	    !is_ours(device, &prog)) {
		err = raw_bpf(BPF_LINK_UPDATE, attr, size);
		goto out;
	}

	/* Of one that has been detached nothing is known any more. */
	if (ask_device(device, link.id, &info)) {
		errno = ENOLINK;
		goto out;
	}
	if (info.info.state == BPF_OOM_LINK_DETACHED) {
		errno = ENOLINK;
		goto out;
	}
	/* The kernel knows maps, and not programs, so that this is asked here. */
	if (attr->link_update.flags & BPF_F_REPLACE) {
		if (raw_info(attr->link_update.old_prog_fd, &old, sizeof(old)))
			goto out;
		if (old.id != info.prog_id) {
			errno = EPERM;
			goto out;
		}
	} else if (attr->link_update.flags || attr->link_update.old_prog_fd) {
		errno = EINVAL;
		goto out;
	}

	policy.cgroup_id = info.info.cgroup_id;
	policy.flags = info.info.flags;
	policy.budget_us = info.info.budget_us;
	policy.grace_ms = info.info.grace_ms;
	policy.max_futile = info.info.max_futile ?: BPF_OOM_POLICY_NEVER_FUTILE;
	set_prog(&policy, info.info.attach_type, attr->link_update.new_prog_fd);
	map_fd = make_map(device, &policy);
	if (map_fd < 0)
		goto out;
	ours.link_update.link_fd = attr->link_update.link_fd;
	ours.link_update.new_map_fd = map_fd;
	err = raw_bpf(BPF_LINK_UPDATE, &ours, sizeof(ours.link_update));
out:
	close_keep_errno(map_fd);
	close_keep_errno(device);
	return err;
}

static int test_run(union bpf_attr *attr, unsigned int size)
{
	struct bpf_prog_info info = {};
	int device, err;

	device = open_device();
	if (device < 0)
		return raw_bpf(BPF_PROG_TEST_RUN, attr, size);

	if (!raw_info(attr->test.prog_fd, &info, sizeof(info)) && is_ours(device, &info))
		err = ioctl(device, BPF_OOM_DEVICE_TEST_RUN, attr);
	else
		err = raw_bpf(BPF_PROG_TEST_RUN, attr, size);
	close_keep_errno(device);
	return err;
}

static bool tell_link(int device, struct bpf_link_info *link)
{
	struct bpf_oom_device_info info;

	if (ask_device(device, link->id, &info))
		return false;

	link->type = BPF_LINK_TYPE_OOM_POLICY;
	link->prog_id = info.prog_id;
	/* The same, field by field: a kernel that has both asserts it. */
	memcpy(&link->oom_policy, &info.info, sizeof(link->oom_policy));
	link->oom_policy.attach_type = info.info.attach_type ? BPF_OOM_POLICY_TASK :
							       BPF_OOM_POLICY;
	return true;
}

/* A link and a program are asked by the same command. */
static bool fd_is(int fd, const char *what)
{
	char path[64], name[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return false;
	name[len] = '\0';
	return !strncmp(name, "anon_inode:", 11) && strstr(name, what);
}

static int get_info(union bpf_attr *attr, unsigned int size)
{
	void *info = (void *)(unsigned long)attr->info.info;
	const __u32 room = attr->info.info_len;
	struct bpf_prog_info *prog = info;
	struct bpf_link_info *link = info;
	int device, err;

	err = raw_bpf(BPF_OBJ_GET_INFO_BY_FD, attr, size);
	if (err)
		return err;

	device = open_device();
	if (device < 0)
		return 0;
	if (room >= sizeof(*link) && fd_is(attr->info.bpf_fd, "link") &&
	    link->type == BPF_LINK_TYPE_STRUCT_OPS && tell_link(device, link))
		attr->info.info_len = sizeof(*link);
	else if (room >= offsetofend(struct bpf_prog_info, attach_btf_id) &&
		 fd_is(attr->info.bpf_fd, "prog") && is_ours(device, prog))
		prog->type = BPF_PROG_TYPE_OOM_POLICY;
	close(device);
	return 0;
}

/**
 * oom_policy_bpf() - bpf(2), and what concerns a policy in the words of the module
 * @cmd: the command
 * @attr: its argument
 * @size: of that
 *
 * Return: as the system call.
 */
int oom_policy_bpf(enum bpf_cmd cmd, union bpf_attr *attr, unsigned int size)
{
	switch (cmd) {
	case BPF_PROG_LOAD:
		if (attr->prog_type == BPF_PROG_TYPE_OOM_POLICY)
			return load(attr, size);
		break;
	case BPF_LINK_CREATE:
		if (attr->link_create.attach_type == BPF_OOM_POLICY ||
		    attr->link_create.attach_type == BPF_OOM_POLICY_TASK)
			return link_create(attr, size);
		break;
	case BPF_LINK_UPDATE:
		return link_update(attr, size);
	case BPF_PROG_TEST_RUN:
		return test_run(attr, size);
	case BPF_OBJ_GET_INFO_BY_FD:
		return get_info(attr, size);
	default:
		break;
	}
	return raw_bpf(cmd, attr, size);
}
