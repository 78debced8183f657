// SPDX-License-Identifier: GPL-2.0-only
/*
 * Priorities that BPF programs write, and what they are told of memcgs: what comes
 * online, when, and who may do all that.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "tree.h"
#include "progs/set_priority.h"
#include "set_priority.skel.h"

#define PRIORITY	"memory.oom.priority"

FIXTURE(writer)
{
	struct set_priority *skel;
};

FIXTURE_SETUP(writer)
{
	self->skel = set_priority__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, cgroup_make("A"));
}

FIXTURE_TEARDOWN(writer)
{
	set_priority__destroy(self->skel);
	cgroup_remove("A");
}

static int set(const struct set_priority *skel, const char *path, __u32 state, __s64 priority)
{
	struct set_priority_args args = {
		.cgroup_id = cgroup_id(path),
		.state = state,
		.priority = priority,
	};
	int err;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.set_by_id), &opts);
	return err ?: (int)opts.retval;
}

TEST_F(writer, is_what_the_file_says)
{
	EXPECT_EQ(0, set(self->skel, "A", BPF_OOM_PRIORITY_SET, -7));
	EXPECT_STREQ("-7", cgroup_read("A", PRIORITY));
	EXPECT_EQ(0, set(self->skel, "A", BPF_OOM_PRIORITY_SET, LLONG_MIN));
	EXPECT_STREQ("-9223372036854775808", cgroup_read("A", PRIORITY));
	EXPECT_EQ(0, set(self->skel, "A", BPF_OOM_PRIORITY_MAX, 0));
	EXPECT_STREQ("max", cgroup_read("A", PRIORITY));
	EXPECT_EQ(0, set(self->skel, "A", BPF_OOM_PRIORITY_UNSET, 0));
	EXPECT_STREQ("unset", cgroup_read("A", PRIORITY));
}

TEST_F(writer, errors)
{
	EXPECT_EQ(0, set(self->skel, "A", BPF_OOM_PRIORITY_SET, 5));
	EXPECT_EQ(-EINVAL, set(self->skel, "A", BPF_OOM_PRIORITY_MAX + 1, 6));
	EXPECT_STREQ("5", cgroup_read("A", PRIORITY));
	EXPECT_EQ(-EPERM, set(self->skel, "", BPF_OOM_PRIORITY_SET, 6));
}

static __u64 just_online(const struct set_priority *skel, __u32 nr)
{
	return skel->bss->nr_online == nr ? skel->bss->online_id : 0;
}

/* In mkdir(), or when the controller comes; not of a cgroup without it. */
TEST_F(writer, hears_of_memcgs)
{
	ASSERT_EQ(0, set_priority__attach(self->skel));
	ASSERT_EQ(0, cgroup_make("B"));
	EXPECT_EQ(cgroup_id("B"), just_online(self->skel, 1));
	ASSERT_EQ(0, cgroup_make("B/C"));
	EXPECT_EQ(cgroup_id("B"), just_online(self->skel, 1));
	ASSERT_EQ(0, cgroup_enable_memory("B"));
	EXPECT_EQ(cgroup_id("B/C"), just_online(self->skel, 2));
	ASSERT_EQ(0, cgroup_remove("B/C"));
	ASSERT_EQ(0, cgroup_remove("B"));
	EXPECT_EQ(2U, self->skel->bss->nr_online);
}

static int load_without_sys_admin(void)
{
	struct set_priority *skel;
	pid_t pid;
	int err;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (keep_capabilities(ALL_CAPS & ~CAP(SYS_ADMIN)))
			_exit(99);
		skel = set_priority__open();
		err = skel ? set_priority__load(skel) : 0;
		_exit(err == -EACCES ? 0 : 1);
	}
	return wait_exit(pid);
}

TEST(not_everybody)
{
	struct set_priority *skel;

	libbpf_set_print(NULL);
	skel = set_priority__open();
	ASSERT_NE(NULL, skel);
	bpf_program__set_autoload(skel->progs.writes_itself, true);
	EXPECT_EQ(-EACCES, set_priority__load(skel));
	set_priority__destroy(skel);
	EXPECT_EQ(0, load_without_sys_admin());
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
