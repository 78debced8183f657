// SPDX-License-Identifier: GPL-2.0-only
/*
 * The link: attach, update, detach, pin, what happens when its cgroup goes
 * away, or its memory controller, what it tells of itself, and each reason for
 * which it is refused.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"

#define PIN	"/sys/fs/bpf/oom_policy_test"

static const struct bpf_insn return_equal[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	const int ret = oom_policy_bpf(cmd, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

static int prog_load(enum bpf_prog_type type, enum bpf_attach_type attach_type)
{
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = attach_type,
		.insns = (uintptr_t)return_equal,
		.insn_cnt = ARRAY_SIZE(return_equal),
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

static int policy_prog(void)
{
	return prog_load(BPF_PROG_TYPE_OOM_POLICY, BPF_OOM_POLICY);
}

static int link_create_typed(int prog_fd, int target_fd, enum bpf_attach_type type)
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

static int link_create(int prog_fd, int target_fd)
{
	return link_create_typed(prog_fd, target_fd, BPF_OOM_POLICY);
}

static int link_create_typed_at(int prog_fd, const char *path, enum bpf_attach_type type)
{
	const int fd = cgroup_open(path);
	int link_fd;

	if (fd < 0)
		return -errno;
	link_fd = link_create_typed(prog_fd, fd, type);
	close(fd);
	return link_fd;
}

static int link_create_at(int prog_fd, const char *path)
{
	return link_create_typed_at(prog_fd, path, BPF_OOM_POLICY);
}

static struct bpf_link_info info_of(struct __test_metadata *_metadata, int link_fd)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	ASSERT_EQ(0, bpf_link_get_info_by_fd(link_fd, &info, &size));
	return info;
}

static __u32 prog_id(struct __test_metadata *_metadata, int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	ASSERT_EQ(0, bpf_prog_get_info_by_fd(prog_fd, &info, &size));
	return info.id;
}

/* 0, or the errno that a file descriptor is not. */
static int only_err(int fd)
{
	return fd < 0 ? fd : 0;
}

/* Attaches and detaches again: is there room for a policy? */
static bool slot_free(int prog_fd, const char *path)
{
	const int link_fd = link_create_at(prog_fd, path);

	if (link_fd >= 0)
		close(link_fd);
	return link_fd >= 0;
}

FIXTURE(link)
{
	int prog;
	int other_prog;
};

FIXTURE_SETUP(link)
{
	ASSERT_EQ(0, protect_self());
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	self->other_prog = policy_prog();
	ASSERT_LE(0, self->other_prog);
	ASSERT_EQ(0, cgroup_make("A"));
}

FIXTURE_TEARDOWN(link)
{
	unlink(PIN);
	cgroup_remove("A");
}

static void attach_and_look(struct __test_metadata *_metadata, int prog_fd,
			    const char *path)
{
	const int link_fd = link_create_at(prog_fd, path);
	struct bpf_link_info info;

	ASSERT_LE(0, link_fd);
	info = info_of(_metadata, link_fd);
	EXPECT_EQ((__u32)BPF_LINK_TYPE_OOM_POLICY, info.type);
	EXPECT_EQ(prog_id(_metadata, prog_fd), info.prog_id);
	EXPECT_EQ(cgroup_id(path), info.oom_policy.cgroup_id);
	EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, info.oom_policy.state);
	EXPECT_EQ((__u32)BPF_OOM_POLICY, info.oom_policy.attach_type);
	EXPECT_EQ(0U, info.oom_policy.flags);
	EXPECT_EQ(0U, info.oom_policy.grace_ms);
	EXPECT_EQ(3U, info.oom_policy.max_futile);
	EXPECT_EQ(0U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.comparisons);
	EXPECT_EQ(0U, info.oom_policy.kills);
	EXPECT_EQ(0U, info.oom_policy.last_victim_cgroup_id);
}

TEST_F(link, attach_to_root)
{
	attach_and_look(_metadata, self->prog, "");
}

TEST_F(link, attach_to_cgroup)
{
	attach_and_look(_metadata, self->prog, "A");
}

TEST_F(link, attach_twice_busy)
{
	const int link_fd = link_create_at(self->prog, "");

	ASSERT_LE(0, link_fd);
	EXPECT_EQ(-EBUSY, link_create_at(self->prog, ""));
	EXPECT_EQ(-EBUSY, link_create_at(self->other_prog, ""));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));

	close(link_fd);
	EXPECT_TRUE(wait_until(slot_free(self->other_prog, "")));
}

TEST_F(link, detach)
{
	const int link_fd = link_create_at(self->prog, "A");

	ASSERT_LE(0, link_fd);
	EXPECT_EQ(0, bpf_link_detach(link_fd));
	EXPECT_EQ(0U, info_of(_metadata, link_fd).oom_policy.cgroup_id);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info_of(_metadata, link_fd).oom_policy.state);
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
	EXPECT_EQ(0, bpf_link_detach(link_fd));
}

TEST_F(link, late_detach_leaves_the_successor)
{
	const int link_fd = link_create_at(self->prog, "A");
	int successor;

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, bpf_link_detach(link_fd));
	successor = link_create_at(self->other_prog, "A");
	ASSERT_LE(0, successor);
	EXPECT_EQ(0, bpf_link_detach(link_fd));
	EXPECT_EQ(cgroup_id("A"), info_of(_metadata, successor).oom_policy.cgroup_id);
	EXPECT_EQ(-EBUSY, link_create_at(self->prog, "A"));
}

TEST_F(link, removed_cgroup_detaches)
{
	const int link_fd = link_create_at(self->prog, "A");
	struct bpf_link_info info;
	int by_id;

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_TRUE(wait_until(!info_of(_metadata, link_fd).oom_policy.cgroup_id));

	info = info_of(_metadata, link_fd);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info.oom_policy.state);
	by_id = bpf_link_get_fd_by_id(info.id);
	EXPECT_LE(0, by_id);
	EXPECT_EQ(info.id, info_of(_metadata, by_id).id);
	EXPECT_EQ(-ENOLINK, bpf_link_update(link_fd, self->other_prog, NULL));
	EXPECT_EQ(0, bpf_link_detach(link_fd));

	ASSERT_EQ(0, cgroup_make("A"));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(link, unpin_detaches)
{
	const int link_fd = link_create_at(self->prog, "");

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, bpf_obj_pin(link_fd, PIN));
	close(link_fd);
	EXPECT_EQ(-EBUSY, link_create_at(self->other_prog, ""));
	ASSERT_EQ(0, unlink(PIN));
	EXPECT_TRUE(wait_until(slot_free(self->other_prog, "")));
}

TEST_F(link, pin_and_reopen)
{
	const int link_fd = link_create_at(self->prog, "A");
	struct bpf_link_info before, after;
	int again;

	ASSERT_LE(0, link_fd);
	before = info_of(_metadata, link_fd);
	ASSERT_EQ(0, bpf_obj_pin(link_fd, PIN));
	close(link_fd);
	close(self->prog);

	again = bpf_obj_get(PIN);
	ASSERT_LE(0, again);
	after = info_of(_metadata, again);
	EXPECT_EQ(before.id, after.id);
	EXPECT_EQ(before.prog_id, after.prog_id);
	EXPECT_EQ(cgroup_id("A"), after.oom_policy.cgroup_id);
}

/* "NAME:<tab>VALUE" in the fdinfo of @fd; false if there is no such line. */
static bool fdinfo_has(int fd, const char *name, const char *value)
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

TEST_F(link, fdinfo)
{
	const int link_fd = link_create_at(self->prog, "A");
	char number[32];

	ASSERT_LE(0, link_fd);
	if (by_module()) {
		close(link_fd);
		SKIP(return, "a module has no say in a link's fdinfo");
	}
	EXPECT_TRUE(fdinfo_has(link_fd, "link_type", "oom_policy"));
	snprintf(number, sizeof(number), "%u", prog_id(_metadata, self->prog));
	EXPECT_TRUE(fdinfo_has(link_fd, "prog_id", number));
	snprintf(number, sizeof(number), "%ju", (uintmax_t)cgroup_id("A"));
	EXPECT_TRUE(fdinfo_has(link_fd, "cgroup_id", number));
	snprintf(number, sizeof(number), "%u", BPF_OOM_POLICY);
	EXPECT_TRUE(fdinfo_has(link_fd, "attach_type", number));
	snprintf(number, sizeof(number), "%u", BPF_OOM_LINK_IN_FORCE);
	EXPECT_TRUE(fdinfo_has(link_fd, "state", number));
	EXPECT_TRUE(fdinfo_has(link_fd, "selections", "0"));
	EXPECT_TRUE(fdinfo_has(link_fd, "comparisons", "0"));
	EXPECT_TRUE(fdinfo_has(link_fd, "kills", "0"));

	ASSERT_EQ(0, bpf_link_detach(link_fd));
	EXPECT_TRUE(fdinfo_has(link_fd, "cgroup_id", "0"));
}

/* libbpf's own words for it. */
TEST_F(link, libbpf_names)
{
	EXPECT_STREQ("oom_policy", libbpf_bpf_prog_type_str(BPF_PROG_TYPE_OOM_POLICY));
	EXPECT_STREQ("oom_policy", libbpf_bpf_attach_type_str(BPF_OOM_POLICY));
	EXPECT_STREQ("oom_policy", libbpf_bpf_link_type_str(BPF_LINK_TYPE_OOM_POLICY));
	EXPECT_EQ(1, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL));
}

TEST_F(link, skeleton_attaches_to_root)
{
	struct policy *policy = policy__open_and_load();

	ASSERT_NE(NULL, policy);
	ASSERT_EQ(0, policy__attach(policy));
	ASSERT_NE(NULL, policy->links.compare);
	EXPECT_EQ(cgroup_id(""),
		  info_of(_metadata,
			  bpf_link__fd(policy->links.compare)).oom_policy.cgroup_id);
	policy__destroy(policy);
}

/* A cgroup that loses its memory controller, and gets it back. */
static int toggle_memory(const char *text)
{
	return cgroup_write("", "cgroup.subtree_control", text);
}

static __u32 state_of(struct __test_metadata *_metadata, int link_fd)
{
	return info_of(_metadata, link_fd).oom_policy.state;
}

/* The memcg goes offline a moment later. */
static void fall_dormant(struct __test_metadata *_metadata, int link_fd)
{
	ASSERT_EQ(0, toggle_memory("-memory"));
	ASSERT_TRUE(wait_until(state_of(_metadata, link_fd) == BPF_OOM_LINK_DORMANT));
}

static void wake_up(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, toggle_memory("+memory"));
}

FIXTURE(dormant)
{
	int prog;
	int other_prog;
	int link;
	__u64 id;
};

FIXTURE_SETUP(dormant)
{
	ASSERT_EQ(0, protect_self());
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	self->other_prog = policy_prog();
	ASSERT_LE(0, self->other_prog);
	ASSERT_EQ(0, cgroup_make("A"));
	self->id = cgroup_id("A");
	self->link = link_create_at(self->prog, "A");
	ASSERT_LE(0, self->link);
	fall_dormant(_metadata, self->link);
}

FIXTURE_TEARDOWN(dormant)
{
	toggle_memory("+memory");
	close(self->link);
	cgroup_remove("A");
}

TEST_F(dormant, keeps_its_cgroup)
{
	char number[32];

	EXPECT_EQ(self->id, info_of(_metadata, self->link).oom_policy.cgroup_id);
	if (by_module())
		return;
	snprintf(number, sizeof(number), "%ju", (uintmax_t)self->id);
	EXPECT_TRUE(fdinfo_has(self->link, "cgroup_id", number));
	snprintf(number, sizeof(number), "%u", BPF_OOM_LINK_DORMANT);
	EXPECT_TRUE(fdinfo_has(self->link, "state", number));
}

TEST_F(dormant, comes_back_to_its_slot)
{
	EXPECT_EQ(-EOPNOTSUPP, link_create_at(self->other_prog, "A"));
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(_metadata, self->link));
	EXPECT_EQ(self->id, info_of(_metadata, self->link).oom_policy.cgroup_id);
	EXPECT_EQ(-EBUSY, link_create_at(self->other_prog, "A"));
}

TEST_F(dormant, again_and_again)
{
	int i;

	for (i = 0; i < 3; i++) {
		wake_up(_metadata);
		EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(_metadata, self->link));
		fall_dormant(_metadata, self->link);
	}
}

/* Those of another cgroup, and of the other type, are not mixed up with it. */
TEST_F(dormant, each_comes_back_to_its_own)
{
	const int task_prog = prog_load(BPF_PROG_TYPE_OOM_POLICY, BPF_OOM_POLICY_TASK);
	int task_link, other_link;

	ASSERT_LE(0, task_prog);
	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_make("B"));
	task_link = link_create_typed_at(task_prog, "B", BPF_OOM_POLICY_TASK);
	ASSERT_LE(0, task_link);
	other_link = link_create_at(self->other_prog, "B");
	ASSERT_LE(0, other_link);
	ASSERT_EQ(0, bpf_link_detach(self->link));
	fall_dormant(_metadata, task_link);
	EXPECT_TRUE(wait_until(state_of(_metadata, other_link) == BPF_OOM_LINK_DORMANT));
	wake_up(_metadata);

	EXPECT_TRUE(slot_free(self->prog, "A"));
	EXPECT_EQ(-EBUSY, link_create_at(self->prog, "B"));
	EXPECT_EQ(-EBUSY, link_create_typed_at(task_prog, "B", BPF_OOM_POLICY_TASK));
	EXPECT_EQ(0, bpf_link_detach(other_link));
	EXPECT_TRUE(slot_free(self->prog, "B"));
	EXPECT_EQ((__u32)BPF_OOM_LINK_IN_FORCE, state_of(_metadata, task_link));
	close(task_link);
	close(other_link);
	EXPECT_EQ(0, cgroup_remove("B"));
}

TEST_F(dormant, removed_cgroup_detaches)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, cgroup_remove("A"));
	info = info_of(_metadata, self->link);
	EXPECT_EQ(0U, info.oom_policy.cgroup_id);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info.oom_policy.state);
	EXPECT_EQ(-ENOLINK, bpf_link_update(self->link, self->other_prog, NULL));

	ASSERT_EQ(0, cgroup_make("A"));
	wake_up(_metadata);
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(_metadata, self->link));
}

/* Nobody has looked since the cgroup went away. */
TEST_F(dormant, removed_cgroup_refuses_update)
{
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_EQ(-ENOLINK, bpf_link_update(self->link, self->other_prog, NULL));
	ASSERT_EQ(0, cgroup_make("A"));
}

/* The memcg of such a cgroup may go offline before or after it is removed. */
TEST_F(dormant, removed_at_once_detaches)
{
	wake_up(_metadata);
	ASSERT_EQ(0, toggle_memory("-memory"));
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_TRUE(wait_until(!info_of(_metadata, self->link).oom_policy.cgroup_id));
	ASSERT_EQ(0, cgroup_make("A"));
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(_metadata, self->link));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(dormant, detached_does_not_come_back)
{
	ASSERT_EQ(0, bpf_link_detach(self->link));
	EXPECT_EQ(0U, info_of(_metadata, self->link).oom_policy.cgroup_id);
	wake_up(_metadata);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, state_of(_metadata, self->link));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(dormant, closed_does_not_come_back)
{
	ASSERT_EQ(0, bpf_obj_pin(self->link, PIN));
	close(self->link);
	self->link = -1;
	ASSERT_EQ(0, unlink(PIN));
	wake_up(_metadata);
	EXPECT_TRUE(wait_until(slot_free(self->other_prog, "A")));
}

TEST_F(dormant, update)
{
	EXPECT_EQ(0, bpf_link_update(self->link, self->other_prog, NULL));
	EXPECT_EQ((__u32)BPF_OOM_LINK_DORMANT, state_of(_metadata, self->link));
	wake_up(_metadata);
	EXPECT_EQ(prog_id(_metadata, self->other_prog),
		  info_of(_metadata, self->link).prog_id);
}

/* Who rules after BPF_LINK_UPDATE. */
FIXTURE(update)
{
	int prog;
	int new_prog;
	int link;
};

FIXTURE_VARIANT(update)
{
	enum { ANY_OLD, RIGHT_OLD, WRONG_OLD } old;
	bool detached;
	enum bpf_prog_type new_type;
	int err;
};

FIXTURE_VARIANT_ADD(update, any_old_program)
{
	.old = ANY_OLD,
	.new_type = BPF_PROG_TYPE_OOM_POLICY,
};

FIXTURE_VARIANT_ADD(update, right_old_program)
{
	.old = RIGHT_OLD,
	.new_type = BPF_PROG_TYPE_OOM_POLICY,
};

FIXTURE_VARIANT_ADD(update, wrong_old_program)
{
	.old = WRONG_OLD,
	.new_type = BPF_PROG_TYPE_OOM_POLICY,
	.err = -EPERM,
};

FIXTURE_VARIANT_ADD(update, other_program_type)
{
	.old = ANY_OLD,
	.new_type = BPF_PROG_TYPE_SOCKET_FILTER,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(update, detached)
{
	.old = ANY_OLD,
	.detached = true,
	.new_type = BPF_PROG_TYPE_OOM_POLICY,
	.err = -ENOLINK,
};

FIXTURE_SETUP(update)
{
	self->prog = policy_prog();
	ASSERT_LE(0, self->prog);
	self->new_prog = variant->new_type == BPF_PROG_TYPE_OOM_POLICY ?
			 policy_prog() : prog_load(variant->new_type, 0);
	ASSERT_LE(0, self->new_prog);
	self->link = link_create_at(self->prog, "");
	ASSERT_LE(0, self->link);
	if (variant->detached)
		ASSERT_EQ(0, bpf_link_detach(self->link));
}

FIXTURE_TEARDOWN(update)
{
	close(self->link);
}

TEST_F(update, ruler)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	const __u32 old_id = prog_id(_metadata, self->prog);
	const __u32 new_id = prog_id(_metadata, self->new_prog);

	if (variant->old != ANY_OLD) {
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = variant->old == RIGHT_OLD ? self->prog : self->new_prog;
	}
	EXPECT_EQ(variant->err, bpf_link_update(self->link, self->new_prog, &opts));
	if (by_module() && variant->err == -ENOLINK)
		return;	/* a link that has been detached tells nothing there */
	EXPECT_EQ(variant->err ? old_id : new_id,
		  info_of(_metadata, self->link).prog_id);
}

/* A real event, decided by a link that nobody holds but bpffs, and by an update. */
FIXTURE(ruling)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(ruling)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M B=1,32M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
}

FIXTURE_TEARDOWN(ruling)
{
	unlink(PIN);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static void expect_victim(struct __test_metadata *_metadata, struct policy *policy,
			  struct tree *tree, const char *path)
{
	ASSERT_EQ(0, policy_event(policy));
	EXPECT_STREQ(path, policy_victims(policy, tree));
}

TEST_F_TIMEOUT(ruling, pinned_policy_still_rules, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link__pin(self->link, PIN));
	bpf_link__disconnect(self->link);
	close(bpf_link__fd(self->link));
	expect_victim(_metadata, self->policy, &self->tree, "A");
}

TEST_F_TIMEOUT(ruling, unpinned_policy_rules_no_more, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link__pin(self->link, PIN));
	ASSERT_EQ(0, bpf_link__unpin(self->link));
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_TRUE(wait_until(slot_free(bpf_program__fd(self->policy->progs.compare), "")));
	expect_victim(_metadata, self->policy, &self->tree, "B");
}

TEST_F_TIMEOUT(ruling, updated_program_rules, TEST_TIMEOUT_S)
{
	const int prog_fd = policy_prog();
	const int link_fd = link_create_at(prog_fd, "");

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, bpf_link_update(link_fd, bpf_program__fd(self->policy->progs.compare),
				     NULL));
	expect_victim(_metadata, self->policy, &self->tree, "A");
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
}

/*
 * A real event before, while and after the cgroups of the tree have no memcgs. The link
 * is the tenant's own, so that oom_badness() says that it is that tenant.
 */
FIXTURE(toggled)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(toggled)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/A=0,8M T/B=1,32M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "T",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, cgroup_write("T", "cgroup.subtree_control", "-memory"));
	fall_dormant(_metadata, bpf_link__fd(self->link));
}

FIXTURE_TEARDOWN(toggled)
{
	toggle_memory("+memory");
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(toggled, stock_killer_while_dormant, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	expect_victim(_metadata, self->policy, &self->tree, "T/B");
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(0U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.kills);
}

TEST_F_TIMEOUT(toggled, in_force_again, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	expect_victim(_metadata, self->policy, &self->tree, "T/A");
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(tree_find(&self->tree, "T/A")->id, info.oom_policy.last_victim_cgroup_id);
}

TEST_F_TIMEOUT(toggled, updated_program_rules, TEST_TIMEOUT_S)
{
	const int prog_fd = policy_prog();

	ASSERT_EQ(0, bpf_link_update(bpf_link__fd(self->link), prog_fd, NULL));
	ASSERT_EQ(0, bpf_link_update(bpf_link__fd(self->link),
				     bpf_program__fd(self->policy->progs.compare), NULL));
	wake_up(_metadata);
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	expect_victim(_metadata, self->policy, &self->tree, "T/A");
}

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
	struct rlimit few, none;
	int ret;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &few));
	none = few;
	none.rlim_cur = 0;
	if (variant->no_fd_left)
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));

	memcpy((char *)&attr + end, &variant->behind, sizeof(variant->behind));

	ret = sys_bpf(BPF_LINK_CREATE, &attr);
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
	if (by_module() && !(variant->caps & 1ULL << CAP_SYS_ADMIN) && !variant->load_err)
		SKIP(return, "a module's types take CAP_SYS_ADMIN to be found");
	ASSERT_EQ(0, keep_capabilities(variant->caps));
	EXPECT_EQ(variant->load_err, only_err(policy_prog()));
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
