// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links of policies by the system call; link.h says what each function is for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "kselftest.h"
#include "cgroups.h"
#include "helpers.h"
#include "link.h"

const struct bpf_insn return_equal[NR_RETURN_EQUAL] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	const int ret = oom_policy_bpf(cmd, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

int prog_load(enum bpf_prog_type type, enum bpf_attach_type attach_type)
{
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = attach_type,
		.insns = (uintptr_t)return_equal,
		.insn_cnt = NR_RETURN_EQUAL,
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int policy_prog(void)
{
	return prog_load(BPF_PROG_TYPE_OOM_POLICY, BPF_OOM_POLICY);
}

int link_create_typed(int prog_fd, int target_fd, enum bpf_attach_type type)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = prog_fd,
			.target_fd = target_fd,
			.attach_type = type,
		},
	};

	return sys_bpf(BPF_LINK_CREATE, &attr);
}

int link_create(int prog_fd, int target_fd)
{
	return link_create_typed(prog_fd, target_fd, BPF_OOM_POLICY);
}

int link_create_typed_at(int prog_fd, const char *path, enum bpf_attach_type type)
{
	const int fd = cgroup_open(path);
	int link_fd;

	if (fd < 0)
		return -errno;
	link_fd = link_create_typed(prog_fd, fd, type);
	close(fd);
	return link_fd;
}

int link_create_at(int prog_fd, const char *path)
{
	return link_create_typed_at(prog_fd, path, BPF_OOM_POLICY);
}

struct bpf_link_info info_of(int link_fd)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (bpf_link_get_info_by_fd(link_fd, &info, &size))
		memset(&info, 0xff, sizeof(info));
	return info;
}

__u32 prog_id(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	return bpf_prog_get_info_by_fd(prog_fd, &info, &size) ? 0 : info.id;
}

bool fdinfo_has(int fd, const char *name, const char *value)
{
	char path[64], line[128], wanted[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(wanted, sizeof(wanted), "%s:\t%s\n", name, value);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		found |= !strcmp(line, wanted);
	if (f)
		fclose(f);
	return found;
}

int only_err(int fd)
{
	return fd < 0 ? fd : 0;
}

bool slot_free(int prog_fd, const char *path)
{
	const int link_fd = link_create_at(prog_fd, path);

	if (link_fd >= 0)
		close(link_fd);
	return link_fd >= 0;
}
