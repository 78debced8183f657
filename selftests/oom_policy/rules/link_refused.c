// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each reason for which a policy is not attached: one errno per cause, and the slot is as
 * it was; and who may load and attach.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "link.h"
#include "policy.h"

/* Why an attachment is refused, one errno for each cause. */
FIXTURE(refused)
{
	int prog;
	int target;
};

FIXTURE_VARIANT(refused)
{
	enum {
		CGROUP, NO_FD, REGULAR_FILE, CGROUP_FILE, DIRECTORY, CGROUP_V1,
		NO_MEMORY, REMOVED,
	} target;
	bool no_fd_left;
	__u32 link_flags;
	__u32 flags;
	__u32 budget_us;
	__u32 grace_ms;
	__u32 max_futile;
	__u64 behind;		/* what lies behind our part of link_create */
	int err;
};

FIXTURE_VARIANT_ADD(refused, nothing_wrong) { .target = CGROUP };
FIXTURE_VARIANT_ADD(refused, no_fd) { .target = NO_FD, .err = -EBADF };
FIXTURE_VARIANT_ADD(refused, regular_file) { .target = REGULAR_FILE, .err = -EBADF };
FIXTURE_VARIANT_ADD(refused, file_of_a_cgroup) { .target = CGROUP_FILE, .err = -EBADF };
FIXTURE_VARIANT_ADD(refused, other_directory) { .target = DIRECTORY, .err = -EBADF };
FIXTURE_VARIANT_ADD(refused, cgroup_v1_directory) { .target = CGROUP_V1, .err = -EBADF };
FIXTURE_VARIANT_ADD(refused, memory_not_enabled) { .target = NO_MEMORY, .err = -EOPNOTSUPP };
FIXTURE_VARIANT_ADD(refused, removed_cgroup) { .target = REMOVED, .err = -ENOENT };
FIXTURE_VARIANT_ADD(refused, no_fd_left) { .no_fd_left = true, .err = -EMFILE };
FIXTURE_VARIANT_ADD(refused, unknown_flag) { .flags = 1U << 31, .err = -EINVAL };
FIXTURE_VARIANT_ADD(refused, next_free_flag) { .flags = 1U << 3, .err = -EINVAL };
FIXTURE_VARIANT_ADD(refused, any_number_of_kills_in_vain) { .max_futile = 1U << 31 };
FIXTURE_VARIANT_ADD(refused, behind_the_options) { .behind = 1, .err = -EINVAL };
FIXTURE_VARIANT_ADD(refused, longest_grace) { .grace_ms = 60000 };
FIXTURE_VARIANT_ADD(refused, grace_too_long) { .grace_ms = 60001, .err = -ERANGE };
FIXTURE_VARIANT_ADD(refused, longest_budget) { .budget_us = 10000000 };
FIXTURE_VARIANT_ADD(refused, budget_too_long) { .budget_us = 10000001, .err = -ERANGE };
FIXTURE_VARIANT_ADD(refused, link_create_flags) { .link_flags = 1, .err = -EINVAL };

#define V1_MOUNT	"/tmp/oom_policy_cgroup_v1"

FIXTURE_SETUP(refused)
{
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	ASSERT_EQ(0, cgroup_make("A"));

	switch (variant->target) {
	case CGROUP:
	case REMOVED:
		self->target = cgroup_open("A");
		break;
	case NO_FD:
		self->target = -1;
		return;
	case REGULAR_FILE:
		self->target = open("/proc/self/exe", O_RDONLY);
		break;
	case CGROUP_FILE:
		self->target = open(CGROUP_ROOT "/A/cgroup.procs", O_RDONLY);
		break;
	case DIRECTORY:
		self->target = open("/tmp", O_RDONLY | O_DIRECTORY);
		break;
	case CGROUP_V1:
		ASSERT_EQ(0, mkdir(V1_MOUNT, 0755));
		ASSERT_EQ(0, mount("none", V1_MOUNT, "cgroup", 0, "none,name=oom_policy"));
		self->target = open(V1_MOUNT, O_RDONLY | O_DIRECTORY);
		break;
	case NO_MEMORY:
		ASSERT_EQ(0, cgroup_make("A/x"));
		self->target = cgroup_open("A/x");
		break;
	}
	ASSERT_LE(0, self->target);
	if (variant->target == REMOVED)
		ASSERT_EQ(0, cgroup_remove("A"));
}

FIXTURE_TEARDOWN(refused)
{
	close(self->target);
	if (variant->target == CGROUP_V1) {
		umount(V1_MOUNT);
		rmdir(V1_MOUNT);
	}
	if (variant->target == NO_MEMORY)
		cgroup_remove("A/x");
	cgroup_remove("A");
}

TEST_F(refused, err)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = self->prog,
			.target_fd = self->target,
			.attach_type = BPF_OOM_POLICY,
			.flags = variant->link_flags,
			.oom_policy.flags = variant->flags,
			.oom_policy.budget_us = variant->budget_us,
			.oom_policy.grace_ms = variant->grace_ms,
			.oom_policy.max_futile = variant->max_futile,
		},
	};
	const size_t end = offsetof(union bpf_attr, link_create.oom_policy) +
			   sizeof(attr.link_create.oom_policy);
	const bool module = by_module();
	struct rlimit few, none;
	int ret;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
	none = few;
	none.rlim_cur = 0;
	if (variant->no_fd_left)
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));

	memcpy((char *)&attr + end, &variant->behind, sizeof(variant->behind));

	/* Where there is no module, to look for it would take a descriptor, too. */
	ret = module ? sys_bpf(BPF_LINK_CREATE, &attr) :
		       syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	if (ret < 0 && !module)
		ret = -errno;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(variant->err, only_err(ret));
	if (ret >= 0)
		close(ret);

	/* Whatever came of it, the slot is as it was. */
	if (variant->target == REMOVED)
		ASSERT_EQ(0, cgroup_make("A"));
	EXPECT_TRUE(wait_until(slot_free(self->prog, "A")));
}

/* CAP_SYS_ADMIN implies the two for loading. */
FIXTURE(capability)
{
	int prog;
	int root;
};

FIXTURE_VARIANT(capability)
{
	__u64 caps;
	int load_err;
	int attach_err;
};

FIXTURE_VARIANT_ADD(capability, all) { .caps = ALL_CAPS };

FIXTURE_VARIANT_ADD(capability, none)
{
	.load_err = -EPERM,
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, only_bpf)
{
	.caps = CAP(BPF),
	.load_err = -EPERM,
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, only_perfmon)
{
	.caps = CAP(PERFMON),
	.load_err = -EPERM,
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, bpf_and_net_admin)
{
	.caps = CAP(BPF) | CAP(NET_ADMIN),
	.load_err = -EPERM,
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, bpf_and_perfmon)
{
	.caps = CAP(BPF) | CAP(PERFMON),
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, all_but_sys_admin)
{
	.caps = ALL_CAPS & ~CAP(SYS_ADMIN),
	.attach_err = -EPERM,
};

FIXTURE_VARIANT_ADD(capability, only_sys_admin) { .caps = CAP(SYS_ADMIN) };

FIXTURE_SETUP(capability)
{
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	self->root = cgroup_open("");
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(capability)
{
	close(self->root);
}

TEST_F(capability, load)
{
	/* The types of a module are for CAP_SYS_ADMIN to find. */
	const bool hidden = by_module() && !(variant->caps & CAP(SYS_ADMIN));

	ASSERT_EQ(0, keep_capabilities(variant->caps));
	EXPECT_EQ(hidden ? -EPERM : variant->load_err, only_err(policy_prog()));
}

TEST_F(capability, attach)
{
	ASSERT_EQ(0, keep_capabilities(variant->caps));
	EXPECT_EQ(variant->attach_err, only_err(link_create(self->prog, self->root)));
}

/* Every capability, but in a user namespace of one's own. */
TEST(attach_from_user_namespace)
{
	const int prog = policy_prog();
	const int root = cgroup_open("");

	ASSERT_LE(0, prog);
	ASSERT_LE(0, root);
	ASSERT_EQ(0, unshare(CLONE_NEWUSER));
	EXPECT_EQ(-EPERM, link_create(prog, root));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
