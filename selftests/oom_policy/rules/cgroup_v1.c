// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the memory controller is on cgroup v1 there are no memcgs to compare:
 * attaching to cgroup v2 is refused, and what is attached already is dormant. Wants a
 * machine that has made no cgroup yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"

#define V1_MOUNT	"/tmp/oom_policy_memory_v1"

static int attach(const struct policy *policy, int fd)
{
	return bpf_link_create(bpf_program__fd(policy->progs.compare), fd,
			       BPF_OOM_POLICY, NULL);
}

static int state_of(struct bpf_link *link)
{
	struct bpf_link_info info;

	return policy_info(link, &info) ? -1 : (int)info.oom_policy.state;
}

TEST(memory_on_cgroup_v1)
{
	const struct tree no_tree = {};
	struct policy *policy;
	struct bpf_link *link;
	int root, v1;

	policy = policy_load(&no_tree);
	ASSERT_NE(NULL, policy);
	root = cgroup_open("");
	ASSERT_LE(0, root);

	link = attach_with(policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, link);
	EXPECT_EQ(BPF_OOM_LINK_IN_FORCE, state_of(link));

	ASSERT_EQ(0, cgroup_write("", "cgroup.subtree_control", "-memory"));
	ASSERT_EQ(0, mkdir(V1_MOUNT, 0755));
	ASSERT_EQ(0, mount("none", V1_MOUNT, "cgroup", 0, "memory"));
	v1 = open(V1_MOUNT, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, v1);

	EXPECT_EQ(BPF_OOM_LINK_DORMANT, state_of(link));
	EXPECT_EQ(-EOPNOTSUPP, attach(policy, root));
	EXPECT_EQ(-EBADF, attach(policy, v1));

	close(v1);
	ASSERT_EQ(0, umount(V1_MOUNT));
	EXPECT_TRUE(wait_until(state_of(link) == BPF_OOM_LINK_IN_FORCE));
	EXPECT_EQ(-EBUSY, attach(policy, root));
	bpf_link__destroy(link);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
