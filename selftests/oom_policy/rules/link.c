// SPDX-License-Identifier: GPL-2.0-only
/*
 * The link: attach, update, detach, pin, what happens when its cgroup goes away, and what
 * it tells of itself. link_dormant.c has what becomes of it without a memory controller,
 * link_refused.c why there is none.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "link.h"
#include "policy.h"

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
	unlink(LINK_PIN);
	cgroup_remove("A");
}

static void attach_and_look(struct __test_metadata *_metadata, int prog_fd,
			    const char *path)
{
	const int link_fd = link_create_at(prog_fd, path);
	struct bpf_link_info info;

	ASSERT_LE(0, link_fd);
	info = info_of(link_fd);
	EXPECT_EQ((__u32)BPF_LINK_TYPE_OOM_POLICY, info.type);
	EXPECT_EQ(prog_id(prog_fd), info.prog_id);
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
	EXPECT_EQ(0U, info_of(link_fd).oom_policy.cgroup_id);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info_of(link_fd).oom_policy.state);
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
	EXPECT_EQ(cgroup_id("A"), info_of(successor).oom_policy.cgroup_id);
	EXPECT_EQ(-EBUSY, link_create_at(self->prog, "A"));
}

TEST_F(link, removed_cgroup_detaches)
{
	const int link_fd = link_create_at(self->prog, "A");
	struct bpf_link_info info;
	int by_id;

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, cgroup_remove("A"));
	EXPECT_TRUE(wait_until(!info_of(link_fd).oom_policy.cgroup_id));

	info = info_of(link_fd);
	EXPECT_EQ((__u32)BPF_OOM_LINK_DETACHED, info.oom_policy.state);
	by_id = bpf_link_get_fd_by_id(info.id);
	EXPECT_LE(0, by_id);
	EXPECT_EQ(info.id, info_of(by_id).id);
	EXPECT_EQ(-ENOLINK, bpf_link_update(link_fd, self->other_prog, NULL));
	EXPECT_EQ(0, bpf_link_detach(link_fd));

	ASSERT_EQ(0, cgroup_make("A"));
	EXPECT_TRUE(slot_free(self->other_prog, "A"));
}

TEST_F(link, unpin_detaches)
{
	const int link_fd = link_create_at(self->prog, "");

	ASSERT_LE(0, link_fd);
	ASSERT_EQ(0, bpf_obj_pin(link_fd, LINK_PIN));
	close(link_fd);
	EXPECT_EQ(-EBUSY, link_create_at(self->other_prog, ""));
	ASSERT_EQ(0, unlink(LINK_PIN));
	EXPECT_TRUE(wait_until(slot_free(self->other_prog, "")));
}

TEST_F(link, pin_and_reopen)
{
	const int link_fd = link_create_at(self->prog, "A");
	struct bpf_link_info before, after;
	int again;

	ASSERT_LE(0, link_fd);
	before = info_of(link_fd);
	ASSERT_EQ(0, bpf_obj_pin(link_fd, LINK_PIN));
	close(link_fd);
	close(self->prog);

	again = bpf_obj_get(LINK_PIN);
	ASSERT_LE(0, again);
	after = info_of(again);
	EXPECT_EQ(before.id, after.id);
	EXPECT_EQ(before.prog_id, after.prog_id);
	EXPECT_EQ(cgroup_id("A"), after.oom_policy.cgroup_id);
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
	snprintf(number, sizeof(number), "%u", prog_id(self->prog));
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
		  info_of(bpf_link__fd(policy->links.compare)).oom_policy.cgroup_id);
	policy__destroy(policy);
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
	const __u32 old_id = prog_id(self->prog);
	const __u32 new_id = prog_id(self->new_prog);

	if (variant->old != ANY_OLD) {
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = variant->old == RIGHT_OLD ? self->prog : self->new_prog;
	}
	EXPECT_EQ(variant->err, bpf_link_update(self->link, self->new_prog, &opts));
	if (by_module() && variant->err == -ENOLINK)
		return;	/* a link that has been detached tells nothing there */
	EXPECT_EQ(variant->err ? old_id : new_id,
		  info_of(self->link).prog_id);
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
	unlink(LINK_PIN);
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
	ASSERT_EQ(0, bpf_link__pin(self->link, LINK_PIN));
	bpf_link__disconnect(self->link);
	close(bpf_link__fd(self->link));
	expect_victim(_metadata, self->policy, &self->tree, "A");
}

TEST_F_TIMEOUT(ruling, unpinned_policy_rules_no_more, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link__pin(self->link, LINK_PIN));
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

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
