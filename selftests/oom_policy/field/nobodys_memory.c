// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is nobody's: charged to no cgroup and mapped by no process, as a leak in
 * the kernel is. Here it is in pipes, whose owner is out of the OOM killer's reach. No
 * kill gives it back, and still the order of the tenants holds to the end.
 *
 *	nobodys_memory panic	goes on to the end of the machine, which is a panic
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "policy.h"

#define MAX_PIPES	2048
#define PIPE_SIZE	MEGABYTE
#define TREE	"be=-100,12M batch=0,24M system=50,6M prod=100,48M"

FIXTURE(nobodys_memory)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t leak;
	int log;
};

FIXTURE_SETUP(nobodys_memory)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				 .grace_ms = 60000);
	ASSERT_NE(NULL, self->link);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(nobodys_memory)
{
	if (self->leak > 0) {
		kill(self->leak, SIGKILL);
		waitpid(self->leak, NULL, 0);
	}
	close(self->log);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* A pipe that is as large as it may be, and full; as long as @sated is 0. */
static int fill_pipe(const __u32 *sated)
{
	static char page[4096];
	long room;
	int fds[2];

	if (pipe2(fds, O_NONBLOCK))
		return -1;
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	for (room = fcntl(fds[1], F_GETPIPE_SZ); room > 0; room -= sizeof(page)) {
		if (__atomic_load_n(sated, __ATOMIC_RELAXED))
			return 0;
		if (write(fds[1], page, sizeof(page)) < 0 && errno != ENOMEM)
			return -1;
	}
	return 0;
}

/* Returns 0 when it is sated; with that its memory is free. */
static int leak(const __u32 *sated)
{
	const struct rlimit files = { 2 * MAX_PIPES + 16, 2 * MAX_PIPES + 16 };
	int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setrlimit(RLIMIT_NOFILE, &files))
		return 1;
	for (n = 0; n < MAX_PIPES; n++) {
		if (fill_pipe(sated))
			return 2;
		if (__atomic_load_n(sated, __ATOMIC_RELAXED))
			return 0;
	}
	return 3;
}

/* The one victim more that there is not would be the end of the machine. */
TEST_F_TIMEOUT(nobodys_memory, is_paid_for_in_order, TEST_TIMEOUT_S)
{
	struct policy__bss *bss = self->policy->bss;
	const struct tree *tree = &self->tree;
	struct bpf_link_info info;
	int n;

	bss->victims_wanted = tree->nr_nodes;
	self->leak = fork();
	if (!self->leak)
		_exit(leak(&bss->sated));
	ASSERT_LT(0, self->leak);
	EXPECT_TRUE(wait_while_moving(has_ended(self->leak), bss->nr_events));
	EXPECT_EQ(0, wait_exit(self->leak));
	self->leak = 0;

	ASSERT_EQ(tree->nr_nodes, (int)bss->nr_victims);
	for (n = 0; n < tree->nr_nodes; n++) {
		TH_LOG("victim %d: %s", n + 1,
		       tree_find_pid(&self->tree, bss->victims[n])->path);
		EXPECT_EQ(tree->node[n].pid[0], (pid_t)bss->victims[n]);
	}
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(tree->nr_nodes, (int)info.oom_policy.kills);
	EXPECT_EQ(0U, info.oom_policy.fallback_none_eligible);
	EXPECT_TRUE(wait_until(tree_killed(&self->tree) == tree->nr_nodes));
}

/* With a policy as without one. */
static int use_up_the_machine(void)
{
	static const __u32 never;
	struct bpf_link *link = NULL;
	struct policy *policy;
	struct tree tree;

	if (protect_ancestors() || tree_make(&tree, TREE))
		return 1;
	policy = policy_load(&tree);
	if (policy)
		link = attach_with(policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				   .grace_ms = 60000);
	if (!link)
		return 1;
	diag("the leak ended with %d", leak(&never));
	return 1;
}

int main(int argc, char **argv)
{
	require_bare_machine();
	if (argc == 2 && !strcmp(argv[1], "panic"))
		return use_up_the_machine();
	return test_harness_run(argc, argv);
}
