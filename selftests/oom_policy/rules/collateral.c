// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody elsewhere dies for what a policy has chosen: whoever shares its mm with a
 * process outside (vfork, CLONE_VM) is left alone while there is another choice.
 *
 * P, in A, which is to be kept, has a child C in B with the same memory. B is the
 * policy's choice. Whoever answers after an event has not been killed in it.
 */
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "policy.h"
#include "shell.h"

#define MONITOR	"/tmp/collateral.monitor"
#define STACK	(64 * 1024)
#define TOLD	"the victim is the init of a pid namespace: 1 processes outside of /B die with it"

/*
 * Who is in a pid namespace dies with its init, and the report says how many elsewhere.
 * First of all: after ten reports in a row the kernel leaves some out.
 */
FIXTURE(pid_namespace)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t init;
	int log;
};

/* The child is the last to be where it belongs. */
static int init_main(const void *arg, int ready_fd)
{
	pid_t child;

	if (write_file("/proc/self/oom_score_adj", "0") ||
	    cgroup_write("B", "cgroup.procs", "0"))
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	if (!child && (cgroup_write("A", "cgroup.procs", "0") || write(ready_fd, "", 1) != 1))
		_exit(1);
	for (;;)
		pause();
}

FIXTURE_SETUP(pid_namespace)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=1 B=0"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	self->init = child_start(init_main, NULL, "init of a pid namespace");
	ASSERT_LT(0, self->init);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(pid_namespace)
{
	close(self->log);
	if (self->init > 0) {
		kill(self->init, SIGKILL);
		wait_exit(self->init);
	}
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(pid_namespace, of_the_victim_is_told, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(1U, self->policy->bss->nr_victims);
	EXPECT_TRUE(wait_until(has_ended(self->init)));
	EXPECT_EQ(1, kmsg_count(self->log, TOLD));
}

FIXTURE(collateral)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t parent;
	int ask[2];
	int answer[2];
};

FIXTURE_VARIANT(collateral)
{
	const char *tree;
	const char *at;		/* of the policy; NULL: the root */
	const char *parent;	/* of P; NULL: A */
	const char *child;	/* of C; NULL: B */
	const char *victims;	/* NULL: B */
	int clone_flags;
	int megabytes;		/* of P and C, together */
	__u32 flags;		/* of the policy */
	bool dies;		/* C, and P with it */
};

FIXTURE_VARIANT_ADD(collateral, is_not_the_victim)
{
	.tree = "A=1 B=0,8M",
	.megabytes = 24,
};

FIXTURE_VARIANT_ADD(collateral, is_not_killed_with_all)
{
	.tree = "A=1 B=0,16M",
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
};

FIXTURE_VARIANT_ADD(collateral, is_not_killed_with_a_group)
{
	.tree = "A=1 B=0,16M,group",
};

FIXTURE_VARIANT_ADD(collateral, of_vfork_is_not_killed_with_all)
{
	.tree = "A=1 B=0,16M",
	.clone_flags = CLONE_VFORK,
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
};

FIXTURE_VARIANT_ADD(collateral, of_vfork_is_not_killed_with_a_group)
{
	.tree = "A=1 B=0,16M,group",
	.clone_flags = CLONE_VFORK,
};

/* The choice would be C at first, and then it is left alive as well. */
FIXTURE_VARIANT_ADD(collateral, is_counted_once_with_all)
{
	.tree = "A=1 B=0,8M",
	.megabytes = 24,
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
};

FIXTURE_VARIANT_ADD(collateral, is_counted_once_with_a_group)
{
	.tree = "A=1 B=0,8M,group",
	.megabytes = 24,
};

FIXTURE_VARIANT_ADD(collateral, dies_as_the_last_choice)
{
	.tree = "A=1 B=0",
	.megabytes = 16,
	.dies = true,
};

/*
 * oom_badness() picks in T, and T's policy chooses T/a. What dies is all of G: whoever is
 * in there is not elsewhere, be it outside of T.
 */
#define GROUP "A=1 G=0,group G/T=0 G/T/a=0,16M G/T/b=1,8M G/o=0"

FIXTURE_VARIANT_ADD(collateral, dies_with_a_group_above_the_tenant)
{
	.tree = GROUP,
	.at = "G/T",
	.parent = "G/o",
	.child = "G/o",
	.dies = true,
};

FIXTURE_VARIANT_ADD(collateral, outside_of_a_group_above_the_tenant)
{
	.tree = GROUP,
	.at = "G/T",
	.child = "G/o",
	.victims = "G/T/a G/T/b",
};

struct sharer {
	const int *ask;
	const int *answer;
	const char *parent;
	const char *child;
	int clone_flags;
	int megabytes;
	int ready_fd;
};

static int child_main(void *arg)
{
	const struct sharer *sharer = arg;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_write(sharer->child, "cgroup.procs", "0") ||
	    write(sharer->ready_fd, "", 1) != 1)
		_exit(1);
	while (read(sharer->ask[0], &byte, 1) == 1)
		if (write(sharer->answer[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static int parent_main(const void *arg, int ready_fd)
{
	struct sharer sharer = *(const struct sharer *)arg;
	const size_t size = sharer.megabytes * MEGABYTE;
	char *stack = malloc(STACK);
	void *memory;

	sharer.ready_fd = ready_fd;
	if (!stack || set_oom_score_adj(getpid(), 0) ||
	    cgroup_write(sharer.parent, "cgroup.procs", "0"))
		return 1;
	if (size) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
		if (memory == MAP_FAILED)
			return 1;
		memset(memory, 1, size);
	}
	if (clone(child_main, stack + STACK, CLONE_VM | sharer.clone_flags | SIGCHLD,
		  &sharer) < 0)
		return 1;
	for (;;)
		pause();
}

FIXTURE_SETUP(collateral)
{
	struct sharer sharer = {
		.ask = self->ask,
		.answer = self->answer,
		.parent = variant->parent ?: "A",
		.child = variant->child ?: "B",
		.clone_flags = variant->clone_flags,
		.megabytes = variant->megabytes,
	};

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	/* The tree's tasks must not keep them open. */
	ASSERT_EQ(0, pipe(self->ask));
	ASSERT_EQ(0, pipe(self->answer));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, variant->at ?: "",
				 .flags = variant->flags, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->parent = child_start(parent_main, &sharer, "who shares its memory");
	ASSERT_LT(0, self->parent);
	close(self->answer[1]);
}

FIXTURE_TEARDOWN(collateral)
{
	if (self->parent > 0) {
		kill(self->parent, SIGKILL);
		wait_exit(self->parent);
	}
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* The pipe ends with the last of the two. */
static bool answers(const int *ask, const int *answer)
{
	char byte = 0;

	return write(ask[1], &byte, 1) == 1 && read(answer[0], &byte, 1) == 1;
}

TEST_F_TIMEOUT(collateral, process, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	ASSERT_LT(0, shell_start("exec bpftool oom monitor count 1", MONITOR));
	ASSERT_TRUE(wait_until(file_has(MONITOR, "watching OOM policies")));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_TRUE(wait_until(file_has(MONITOR, "scope /  victim ")));
	if (variant->dies) {
		EXPECT_FALSE(file_has(MONITOR, "  spared "));
		if (!variant->at)
			EXPECT_EQ(1U, self->policy->bss->nr_victims);
		EXPECT_TRUE(wait_until(has_ended(self->parent)));
		return;
	}

	EXPECT_STREQ(variant->victims ?: "B", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(answers(self->ask, self->answer));
	EXPECT_FALSE(has_ended(self->parent));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	EXPECT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.spared);
	EXPECT_TRUE(file_has(MONITOR, "  spared 1"));
}

/* So many share one mm that each one's search for the others would take for ever. */
#define NR_SHARERS	100
#define FEW_LOOKS	2000U	/* some at each process, not some by each at each */

FIXTURE(crowd)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	pid_t parent;
};

static int sharer_main(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

static int crowd_main(const void *unused, int ready_fd)
{
	char *stacks = malloc(NR_SHARERS * STACK);
	int n;

	if (!stacks || set_oom_score_adj(getpid(), 0) || cgroup_write("B", "cgroup.procs", "0"))
		return 1;
	for (n = 1; n <= NR_SHARERS; n++)
		if (clone(sharer_main, stacks + n * STACK, CLONE_VM | SIGCHLD, NULL) < 0)
			return 1;
	if (write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

FIXTURE_SETUP(crowd)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=1,8M B=0"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->early = early_load("on_share");
	ASSERT_NE(NULL, self->early);
	self->parent = child_start(crowd_main, NULL, "who shares its memory with many");
	ASSERT_LT(0, self->parent);
	ASSERT_EQ(0, early__attach(self->early));
}

FIXTURE_TEARDOWN(crowd)
{
	if (self->parent > 0) {
		kill(self->parent, SIGKILL);
		wait_exit(self->parent);
	}
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(crowd, of_one_mm_is_searched_once, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	TH_LOG("%d processes with one mm: %u looks", NR_SHARERS + 1,
	       self->early->bss->nr_looks);
	EXPECT_LT(0U, self->early->bss->nr_looks);
	EXPECT_GT(FEW_LOOKS, self->early->bss->nr_looks);
	EXPECT_TRUE(wait_until(has_ended(self->parent)));
	EXPECT_EQ(0, tree_killed(&self->tree));
}

/*
 * P is pid 1, which nobody can kill: a victim that shares its memory gives nothing back,
 * and would only be the first of several. Its child is made by a tracer, and never runs.
 */
#ifdef __x86_64__
#define MB_OTHER	"8M"

FIXTURE(init)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t child;
	int log;
};

FIXTURE_VARIANT(init)
{
	const char *tree;
	__u32 flags;
};

/* By oom_badness() the child would be it. */
FIXTURE_VARIANT_ADD(init, is_not_the_victim)
{
	.tree = "A=1 B=0," MB_OTHER ",adj=-500",
};

FIXTURE_VARIANT_ADD(init, is_not_killed_with_all)
{
	.tree = "A=1 B=0," MB_OTHER,
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
};

FIXTURE_VARIANT_ADD(init, is_not_killed_with_a_group)
{
	.tree = "A=1 B=0," MB_OTHER ",group",
};

static bool stops(pid_t pid)
{
	int status;

	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

/* It goes on with what it was doing, a system call from its beginning. */
static int clone_of_init(pid_t *child)
{
	struct user_regs_struct before, regs;
	unsigned long pid = 0;
	int err = -1;

	if (ptrace(PTRACE_SEIZE, 1, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD))
		return -1;
	/* It waits for us. */
	if (ptrace(PTRACE_INTERRUPT, 1, NULL, NULL) || !stops(1) ||
	    ptrace(PTRACE_GETREGS, 1, NULL, &before) || (long)before.orig_rax < 0)
		goto out;
	before.rax = before.orig_rax;
	before.orig_rax = -1;
	before.rip -= 2;
	regs = before;
	regs.rax = __NR_clone;
	regs.rdi = CLONE_VM | SIGCHLD;
	regs.rsi = 0;
	if (ptrace(PTRACE_SETREGS, 1, NULL, &regs) || ptrace(PTRACE_CONT, 1, NULL, NULL) ||
	    !stops(1) || ptrace(PTRACE_GETEVENTMSG, 1, NULL, &pid) ||
	    ptrace(PTRACE_SYSCALL, 1, NULL, NULL) || !stops(1) ||
	    ptrace(PTRACE_SETREGS, 1, NULL, &before))
		goto out;
	*child = pid;
	err = stops(pid) ? 0 : -1;
out:
	ptrace(PTRACE_DETACH, 1, NULL, NULL);
	return err;
}

FIXTURE_SETUP(init)
{
	char pid[16];

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .flags = variant->flags,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, clone_of_init(&self->child)) TH_LOG("%m");
	ASSERT_EQ(0, set_oom_score_adj(self->child, 0));
	snprintf(pid, sizeof(pid), "%d", self->child);
	ASSERT_EQ(0, cgroup_write("B", "cgroup.procs", pid));
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(init)
{
	close(self->log);
	if (self->child > 0) {
		kill(self->child, SIGKILL);
		waitpid(self->child, NULL, __WALL);
	}
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(init, process, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	int status;

	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ("B", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	EXPECT_EQ(0, waitpid(self->child, &status, __WALL | WNOHANG));
	EXPECT_EQ(0, kmsg_count(self->log, "has mm pinned by"));
	EXPECT_EQ(0, policy_info(self->link, &info));
	EXPECT_LE(1U, info.oom_policy.spared);
}
#endif /* __x86_64__ */

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
