// SPDX-License-Identifier: GPL-2.0-only
/*
 * One victim for one shortage: while a victim is still dying, wherever it sits,
 * nobody else is killed.
 *
 * A tracer holds the victim where SIGKILL has arrived and its memory is still
 * there. Meanwhile a hog goes on asking for memory, and the policy would by now
 * rather have somebody else: what keeps that one alive is nothing but the
 * kernel's wait. The tracer lets go when the recorder has seen the kernel wait.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "policy.h"

#define TEXT_SIZE	256
#define WAITS		3

FIXTURE(in_flight)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t held;
	pid_t hog;
};

FIXTURE_VARIANT(in_flight)
{
	const char *tree;
	const char *held;	/* the first victim's cgroup */
	bool held_by_thread;	/* its leader is gone, another thread has the mm */
	bool sysrq;		/* the second event is a sysrq-f */
	bool waits;		/* the kernel must be seen to wait */
	__u32 victims_wanted;
	const char *victims;
};

FIXTURE_VARIANT_ADD(in_flight, victim_still_dying_exactly_one_kill)
{
	.tree = "A=0,32M B=1,32M",
	.held = "A",
	.waits = true,
	.victims_wanted = 1,
	.victims = "A",
};

FIXTURE_VARIANT_ADD(in_flight, in_flight_elsewhere_in_tree)
{
	.tree = "A=0 A/x=0 A/x/p=0,32M B=1 B/x=0,32M C=2,16M",
	.held = "A/x/p",
	.waits = true,
	.victims_wanted = 1,
	.victims = "A/x/p",
};

FIXTURE_VARIANT_ADD(in_flight, leader_gone_thread_holds_memory)
{
	.tree = "A=0,32M,threads B=1,32M",
	.held = "A",
	.held_by_thread = true,
	.waits = true,
	.victims_wanted = 1,
	.victims = "A",
};

/* Memory that cannot be reaped: the kernel gives up on A and has to go on. */
FIXTURE_VARIANT_ADD(in_flight, given_up_victim_makes_way)
{
	.tree = "A=0,32M,shared B=2,32M C=1,32M",
	.held = "A",
	.victims_wanted = 2,
	.victims = "A B",
};

FIXTURE_VARIANT_ADD(in_flight, sysrq_does_not_wait)
{
	.tree = "A=0,8M B=2,8M C=1,8M",
	.held = "A",
	.sysrq = true,
	.victims_wanted = 2,
	.victims = "A B",
};

static pid_t other_thread(pid_t pid)
{
	struct dirent *entry;
	char path[32];
	pid_t tid = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (atoi(entry->d_name) && atoi(entry->d_name) != pid)
			tid = atoi(entry->d_name);
	closedir(dir);
	return tid;
}

FIXTURE_SETUP(in_flight)
{
	struct node *node;

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->flip_after_kill = true;
	self->policy->bss->victims_wanted = variant->victims_wanted;
	self->policy->bss->waits_wanted = variant->waits ? UINT32_MAX : 0;
	self->link = policy_attach(self->policy, "");
	ASSERT_NE(NULL, self->link);

	node = tree_find(&self->tree, variant->held);
	ASSERT_NE(NULL, node);
	self->held = variant->held_by_thread ? other_thread(node->pid[0]) : node->pid[0];
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->held, 0, PTRACE_O_TRACEEXIT));

	/* Nothing here may have to ask for memory once there is none. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
}

static void let_go(pid_t *held)
{
	if (*held)
		ptrace(PTRACE_DETACH, *held, 0, 0);
	*held = 0;
}

FIXTURE_TEARDOWN(in_flight)
{
	let_go(&self->held);
	if (self->hog > 0)
		kill(self->hog, SIGKILL);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static bool held_at_exit(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WNOHANG | __WALL) == pid &&
	       status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

static void next_event(struct __test_metadata *_metadata, struct policy *policy,
		       bool sysrq)
{
	const __u32 before = policy->bss->nr_events;

	if (sysrq) {
		ASSERT_EQ(0, raise_oom_sysrq());
		ASSERT_TRUE(wait_until(policy->bss->nr_events > before));
	}
}

TEST_F_TIMEOUT(in_flight, victims, TEST_TIMEOUT_S)
{
	struct policy *policy = self->policy;
	char text[TEXT_SIZE];

	if (!variant->sysrq) {
		self->hog = hog_start(&policy->bss->sated);
		ASSERT_LT(0, self->hog);
		policy->bss->hog_pid = self->hog;
	}
	next_event(_metadata, policy, variant->sysrq);
	ASSERT_TRUE(wait_until(held_at_exit(self->held)));
	if (variant->held_by_thread)
		ASSERT_TRUE(wait_until(policy->bss->nr_unmarked));
	if (variant->waits)
		policy->bss->waits_wanted = policy->bss->nr_waits + WAITS;
	next_event(_metadata, policy, variant->sysrq);
	EXPECT_TRUE(wait_until(policy->bss->sated));

	let_go(&self->held);
	if (self->hog) {
		EXPECT_EQ(0, wait_exit(self->hog));
		self->hog = 0;
	}
	policy_tell_victims(policy, &self->tree, text, sizeof(text));
	EXPECT_STREQ(variant->victims, text);
	EXPECT_TRUE(wait_until(tree_killed(&self->tree) >=
			       (int)policy->bss->nr_victims));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
