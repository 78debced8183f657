// SPDX-License-Identifier: GPL-2.0-only
/*
 * A killer in user space, or whoever stops a service, has killed already when memory
 * runs out: what it has killed is large, in many pieces, and takes its time to exit.
 * Nobody else has to die for that.
 *
 * It is idle and has its CPU when the one who allocates there has to wait.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "scene.h"

#define ROUNDS		50
#define LARGE_MB	48
#define PIECE		(16 * 1024)
#define WANTED_MB	40
#define GRACE_MS	20000

FIXTURE(killed)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t large;
	int *go;
};

FIXTURE_VARIANT(killed)
{
	const char *tree;
	const char *large;	/* where the one that is killed is */
	const char *innocent;
};

FIXTURE_VARIANT_ADD(killed, not_the_choice)
{
	.tree = "T=0 T/batch=1 T/be=0,8M T/hog=2",
	.large = "T/batch",
	.innocent = "T/be",
};

FIXTURE_VARIANT_ADD(killed, the_choice)
{
	.tree = "T=0 T/batch=1,8M T/be=0 T/hog=2",
	.large = "T/be",
	.innocent = "T/batch",
};

FIXTURE_SETUP(killed)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->go = mmap(NULL, sizeof(*self->go), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->go);
}

FIXTURE_TEARDOWN(killed)
{
	if (self->large > 0) {
		kill(self->large, SIGKILL);
		waitpid(self->large, NULL, 0);
	}
	munmap(self->go, sizeof(*self->go));
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* Every other piece has other rights, so that none is merged with the next. */
static int large_main(const void *arg, int ready_fd)
{
	const struct sched_param param = {};
	const size_t size = LARGE_MB * MEGABYTE;
	size_t at;
	char *mem;

	if (run_on(0, 1) || set_oom_score_adj(getpid(), 0) ||
	    cgroup_write(arg, "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	for (at = 0; at < size; at += 2 * PIECE)
		if (mprotect(mem + at, PIECE, PROT_READ | PROT_WRITE | PROT_EXEC))
			return 1;
	memset(mem, 1, size);
	if (sched_setscheduler(0, SCHED_IDLE, &param) || write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* Out of reach, and there already when it is wanted. */
static int eater_main(const void *arg, int ready_fd)
{
	const size_t size = WANTED_MB * MEGABYTE;
	const int *go = *(int * const *)arg;
	char *mem;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (run_on(0, 1) || mem == MAP_FAILED || cgroup_write("T/hog", "cgroup.procs", "0") ||
	    write(ready_fd, "", 1) != 1)
		return 1;
	while (!__atomic_load_n(go, __ATOMIC_RELAXED))
		;
	memset(mem, 1, size);
	return 0;
}

/* Returns how often memory ran out. */
static long killed_round(struct __test_metadata *_metadata, FIXTURE_DATA(killed) * self,
			 const char *large)
{
	const long before = cgroup_read_long("T", "memory.events", "oom");
	char limit[32];
	pid_t eater;

	*self->go = 0;
	self->large = child_start(large_main, large, large);
	ASSERT_LT(0, self->large);
	eater = child_start(eater_main, &self->go, "T/hog");
	ASSERT_LT(0, eater);
	snprintf(limit, sizeof(limit), "%ld",
		 cgroup_read_long("T", "memory.current", NULL) + MEGABYTE);
	ASSERT_EQ(0, cgroup_write("T", "memory.max", limit));

	ASSERT_EQ(0, cgroup_write(large, "cgroup.kill", "1"));
	__atomic_store_n(self->go, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, wait_exit(eater));
	ASSERT_EQ(self->large, waitpid(self->large, NULL, 0));
	self->large = 0;
	ASSERT_EQ(0, cgroup_write("T", "memory.max", "max"));
	return cgroup_read_long("T", "memory.events", "oom") - before;
}

/* A policy of its own for each: waiting without a break for too long ends the patience. */
TEST_F_TIMEOUT(killed, nobody_else_dies, 4 * TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	int n, short_rounds = 0;
	__u64 waits = 0;

	ASSERT_EQ(0, run_on(0, 0));
	for (n = 0; n < ROUNDS && !node_killed(tree_find(&self->tree, variant->innocent)); n++) {
		self->link = attach_with(self->policy->progs.compare, "",
					 .flags = BPF_F_OOM_POLICY_MEMCG,
					 .budget_us = NO_BUDGET_US, .grace_ms = GRACE_MS);
		ASSERT_NE(NULL, self->link);
		short_rounds += killed_round(_metadata, self, variant->large) > 0;
		ASSERT_EQ(0, policy_info(self->link, &info));
		waits += info.oom_policy.fallback_grace;
		ASSERT_EQ(0, bpf_link__destroy(self->link));
		self->link = NULL;
	}

	EXPECT_EQ(0, tree_killed(&self->tree));
	EXPECT_EQ(ROUNDS, n);
	TH_LOG("%d rounds, memory ran out in %d, %llu waits, second victims: %d", n,
	       short_rounds, waits, tree_killed(&self->tree));
	EXPECT_LT(ROUNDS / 2, short_rounds);
	EXPECT_LT(0U, waits);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
