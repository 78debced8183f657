// SPDX-License-Identifier: GPL-2.0-only
/*
 * The off switch: booted with oom_policy=off, policies attach and have no say until
 * the sysctl lets them; and so it is whenever the sysctl is off.
 *
 * In T, the policy would have T/a first, and oom_badness() T/b. Boot with
 * oom_policy=off.
 */
#include <stdio.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "policy.h"

#define SYSCTL	"/proc/sys/vm/oom_policy_enabled"
#define WARNING	4	/* levels of the kernel's log */
#define INFO	6

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

FIXTURE(off_switch)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	int log;
};

FIXTURE_SETUP(off_switch)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/a=0,8M T/b=1,24M T/c=2,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
}

FIXTURE_TEARDOWN(off_switch)
{
	if (self->log > 0)
		close(self->log);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* First of all, for it is about what was said at boot. */
TEST_F_TIMEOUT(off_switch, booted_off_until_switched_on, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);

	ASSERT_EQ(0, enabled()) TH_LOG("not booted with oom_policy=off");
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/b", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);

	ASSERT_EQ(0, write_file(SYSCTL, "1"));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/a T/b", policy_victims(self->policy, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
}

TEST_F_TIMEOUT(off_switch, switched_off_and_on_again, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);

	ASSERT_EQ(0, write_file(SYSCTL, "0"));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(0, write_file(SYSCTL, "1"));
	EXPECT_STREQ("T/b", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(cgroup_id(""), info.oom_policy.cgroup_id);
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);
	EXPECT_EQ(0U, info.oom_policy.kills);

	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("T/a T/b", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_disabled);
	EXPECT_EQ(1U, info.oom_policy.kills);
}

/* That a policy had no say is worth more than what it says in every report. */
TEST_F_TIMEOUT(off_switch, fallbacks_are_warnings, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->log = kmsg_open();
	ASSERT_LT(0, self->log);
	ASSERT_EQ(0, write_file(SYSCTL, "0"));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(0, write_file(SYSCTL, "1"));
	EXPECT_EQ(INFO, kmsg_level(self->log, "oom_policy: scope /, prog "));
	EXPECT_EQ(WARNING, kmsg_level(self->log, "oom_policy: switched off "));

	self->policy->bss->abstain_level = 2;
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(INFO, kmsg_level(self->log, "oom_policy: scope /, prog "));
	EXPECT_EQ(WARNING, kmsg_level(self->log, "oom_policy: no policy chose below /T: "));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
}

TEST_F_TIMEOUT(off_switch, switched_off_in_a_memcg_oom, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	self->link = attach_with(self->policy->progs.compare, "T",
				 .flags = BPF_F_OOM_POLICY_MEMCG,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);

	ASSERT_EQ(0, write_file(SYSCTL, "0"));
	EXPECT_EQ(0, policy_memcg_shortage(self->policy, &self->tree, "T", NULL, 1));
	EXPECT_EQ(0, write_file(SYSCTL, "1"));
	EXPECT_STREQ("T/b", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_LE(1U, info.oom_policy.fallback_disabled);
	EXPECT_EQ(0U, info.oom_policy.kills);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
