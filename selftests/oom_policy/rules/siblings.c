// SPDX-License-Identifier: GPL-2.0-only
/*
 * So many siblings that a pass lets go of RCU on the way: the right one dies,
 * wherever it stands, everybody takes part, and nobody minds if some vanish.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "policy.h"

#define NR_SIBLINGS	1500
#define VANISH_FROM	900
#define VANISH_TO	1150

FIXTURE(siblings)
{
	struct policy *policy;
	struct bpf_link *link;
	pid_t pid[NR_SIBLINGS];
	__u64 id[NR_SIBLINGS];
	int nr;
};

static void name_of(char *name, size_t size, int n)
{
	snprintf(name, size, "T/s%d", n);
}

FIXTURE_SETUP(siblings)
{
	const struct tree no_tree = {};
	char path[32];

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, cgroup_make("T"));
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	for (self->nr = 0; self->nr < NR_SIBLINGS; self->nr++) {
		name_of(path, sizeof(path), self->nr);
		ASSERT_EQ(0, cgroup_make(path));
		self->id[self->nr] = cgroup_id(path);
		self->pid[self->nr] = task_start_in(path, 0, 0);
		ASSERT_LT(0, self->pid[self->nr]);
	}
	self->policy = policy_load(&no_tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(siblings)
{
	char path[32];
	int n;

	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	for (n = 0; n < self->nr; n++)
		kill(self->pid[n], SIGKILL);
	for (n = 0; n < self->nr; n++) {
		waitpid(self->pid[n], NULL, 0);
		name_of(path, sizeof(path), n);
		cgroup_remove(path);
	}
	cgroup_remove("T");
}

static void condemn(struct __test_metadata *_metadata, const struct policy *policy,
		    __u64 id)
{
	const __s64 priority = -1;

	ASSERT_EQ(0, bpf_map__update_elem(policy->maps.oom_priority, &id, sizeof(id),
					  &priority, sizeof(priority), BPF_ANY));
	ASSERT_EQ(0, policy_event(policy));
	ASSERT_EQ(0, bpf_map__delete_elem(policy->maps.oom_priority, &id, sizeof(id), 0));
}

/* One by one, in the same crowd but for the dead. */
TEST_F_TIMEOUT(siblings, the_right_one_dies, TEST_TIMEOUT_S)
{
	static const int order[] = { 1024, 0, NR_SIBLINGS - 1, 1022, 1023, 1025, 700 };
	struct policy *policy = self->policy;
	struct bpf_link_info info;
	__u64 comparisons = 0;
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(order); n++) {
		condemn(_metadata, policy, self->id[order[n]]);
		ASSERT_EQ(n + 1, policy->bss->nr_victims);
		EXPECT_EQ(self->pid[order[n]], (pid_t)policy->bss->victims[n]);
		ASSERT_TRUE(wait_until(has_ended(self->pid[order[n]])));
		comparisons += NR_SIBLINGS - n - 1;
	}

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(comparisons, info.oom_policy.comparisons);
	EXPECT_EQ(ARRAY_SIZE(order), info.oom_policy.kills);
	TH_LOG("worst selection among %d: %llu ns", NR_SIBLINGS, info.oom_policy.worst_ns);
}

/* Where passes pause. */
static int vanish(const pid_t *pid)
{
	char path[32];
	int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (n = VANISH_FROM; n < VANISH_TO; n++) {
		kill(pid[n], SIGKILL);
		name_of(path, sizeof(path), n);
		if (cgroup_remove(path))
			return 1;
	}
	return 0;
}

TEST_F_TIMEOUT(siblings, others_vanish_meanwhile, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	int n = NR_SIBLINGS, status;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(vanish(self->pid));

	while (!waitpid(child, &status, WNOHANG) && --n > VANISH_TO) {
		condemn(_metadata, self->policy, self->id[n]);
		ASSERT_TRUE(wait_until(has_ended(self->pid[n])));
		ASSERT_EQ(0, policy_info(self->link, &info));
		EXPECT_EQ(self->id[n], info.oom_policy.last_victim_cgroup_id);
	}
	TH_LOG("%d selections meanwhile", NR_SIBLINGS - n);
	if (n <= VANISH_TO)
		EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
