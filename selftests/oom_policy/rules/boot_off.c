// SPDX-License-Identifier: GPL-2.0-only
/*
 * Booted with oom_policy=off, policies attach and have no say until the sysctl
 * lets them.
 */
#include <stdio.h>

#include "kselftest_harness.h"
#include "policy.h"

#define SYSCTL	"/proc/sys/vm/oom_policy_enabled"

static int enabled(void)
{
	FILE *f = fopen(SYSCTL, "re");
	int value = -1;

	if (f) {
		if (fscanf(f, "%d", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}

FIXTURE(boot_off)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(boot_off)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M B=1,24M C=2,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "");
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(boot_off)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static pid_t victim_of_sysrq(struct __test_metadata *_metadata, struct policy *policy)
{
	ASSERT_EQ(0, policy_event(policy));
	ASSERT_LT(0U, policy->bss->nr_victims);
	return policy->bss->victims[policy->bss->nr_victims - 1];
}

TEST_F_TIMEOUT(boot_off, no_say_until_switched_on, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, enabled()) TH_LOG("not booted with oom_policy=off");
	EXPECT_EQ(tree_find(&self->tree, "B")->pid[0],
		  victim_of_sysrq(_metadata, self->policy));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);

	ASSERT_EQ(0, write_file(SYSCTL, "1"));
	EXPECT_EQ(tree_find(&self->tree, "A")->pid[0],
		  victim_of_sysrq(_metadata, self->policy));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_TRUE(wait_until(tree_killed(&self->tree) == 2));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
