// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tenant that is all in swap is not tiny: what it has there comes back with it.
 */
#include <stdio.h>
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "sample.h"
#include "shell.h"

#define SWAP_DEVICE	"/dev/zram0"
#define FLOOR		(15ULL << 20)

FIXTURE(swapped_out)
{
	struct tree tree;
	struct policy *recorder;
	struct sample sample;
	bool swap;
};

FIXTURE_VARIANT(swapped_out)
{
	const char *tree;
	const char *victim;
};

FIXTURE_VARIANT_ADD(swapped_out, is_above_the_floor)
{
	.tree = "be=-100,48M batch=0,24M",
	.victim = "be",
};

FIXTURE_VARIANT_ADD(swapped_out, tiny_is_below_the_floor)
{
	.tree = "be=-100,4M batch=0,24M",
	.victim = "batch",
};

FIXTURE_SETUP(swapped_out)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, shell("echo 128M >/sys/block/zram0/disksize && mkswap " SWAP_DEVICE))
		TH_LOG("%s", shell_output);
	ASSERT_EQ(0, swapon(SWAP_DEVICE, 0));
	self->swap = true;
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	ASSERT_EQ(0, sample_attach(&self->sample, "tenant_prio", 0, &self->tree, FLOOR));
}

FIXTURE_TEARDOWN(swapped_out)
{
	sample_detach(&self->sample);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
	if (self->swap)
		shell("swapoff " SWAP_DEVICE " && echo 1 >/sys/block/zram0/reset");
}

TEST_F_TIMEOUT(swapped_out, tenant, TEST_TIMEOUT_S)
{
	const long size = tree_find(&self->tree, "be")->megabytes * MEGABYTE;

	/* As much of it as there is: the kernel may give up before the number is reached. */
	EXPECT_TRUE(wait_until((shell("echo 64M >" CGROUP_ROOT "/be/memory.reclaim"),
				cgroup_read_long("be", "memory.swap.current", NULL) >=
				size - MEGABYTE)));
	TH_LOG("%ld kB in memory, %ld kB in swap",
	       cgroup_read_long("be", "memory.current", NULL) / 1024,
	       cgroup_read_long("be", "memory.swap.current", NULL) / 1024);
	EXPECT_GT(4 * MEGABYTE, cgroup_read_long("be", "memory.current", NULL));
	ASSERT_EQ(0, policy_event(self->recorder));
	EXPECT_STREQ(variant->victim, policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
