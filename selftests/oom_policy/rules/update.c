// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that are replaced while they are asked: an event and a rehearsal go on with
 * the one that they began with, and BPF_LINK_UPDATE waits for them.
 */
#include <pthread.h>
#include <stdbool.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "progs/task_calls.h"
#include "task_stage.skel.h"

#define ROUNDS	3

/* Two programs that differ in what they keep in a scratch word, taking turns. */
struct turns {
	struct task_stage *judge[2];
	struct bpf_link *link;
	pthread_t thread;
	bool stop;
	int updates;
};

FIXTURE(update)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *policy_link;
	struct turns turns;
};

FIXTURE_SETUP(update)
{
	int n;

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,2M,x4 B=0,2M,x4 C=0,2M,x4"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	for (n = 0; n < 2; n++) {
		self->turns.judge[n] = task_stage__open_and_load();
		ASSERT_NE(NULL, self->turns.judge[n]);
		self->turns.judge[n]->bss->mode = TAKE_SMALLEST_SLOWLY;
		self->turns.judge[n]->bss->salt = (n + 1ULL) << 32;
	}
	self->turns.link = attach_with(self->turns.judge[0]->progs.judge, "",
				       .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->turns.link);
}

FIXTURE_TEARDOWN(update)
{
	bpf_link__destroy(self->policy_link);
	bpf_link__destroy(self->turns.link);
	task_stage__destroy(self->turns.judge[0]);
	task_stage__destroy(self->turns.judge[1]);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static void *replace_on_and_on(void *arg)
{
	struct turns *turns = arg;
	struct task_stage *next;

	while (!__atomic_load_n(&turns->stop, __ATOMIC_RELAXED)) {
		next = turns->judge[(turns->updates + 1) % 2];
		if (bpf_link__update_program(turns->link, next->progs.judge))
			break;
		turns->updates++;
	}
	return NULL;
}

static int begin_turns(struct turns *turns)
{
	return pthread_create(&turns->thread, NULL, replace_on_and_on, turns);
}

/* How many there were. */
static int end_turns(struct turns *turns)
{
	__atomic_store_n(&turns->stop, true, __ATOMIC_RELAXED);
	return pthread_join(turns->thread, NULL) ? -1 : turns->updates;
}

/* Of each round one of the two has had all the calls. */
static void expect_one_judge(struct __test_metadata *_metadata, const struct turns *turns)
{
	__u32 calls[2], n, i;

	for (n = 0; n < 2; n++) {
		calls[n] = turns->judge[n]->bss->nr_calls;
		for (i = 0; i < calls[n] && i < MAX_TASK_CALLS; i++) {
			EXPECT_EQ(0U, turns->judge[n]->bss->calls[i].cand[0].foreign);
			EXPECT_EQ(0U, turns->judge[n]->bss->calls[i].cand[1].foreign);
		}
		turns->judge[n]->bss->nr_calls = 0;
	}
	EXPECT_LT(0U, calls[0] + calls[1]);
	EXPECT_TRUE(!calls[0] || !calls[1])
		TH_LOG("%u calls of one program and %u of the other", calls[0], calls[1]);
}

TEST_F_TIMEOUT(update, one_program_judges_an_event, TEST_TIMEOUT_S)
{
	__u32 n;

	ASSERT_EQ(0, begin_turns(&self->turns));
	for (n = 1; n <= ROUNDS; n++) {
		ASSERT_EQ(0, policy_event(self->policy));
		EXPECT_EQ(n, self->policy->bss->nr_victims);
		expect_one_judge(_metadata, &self->turns);
	}
	EXPECT_LT(0, end_turns(&self->turns));
}

TEST_F_TIMEOUT(update, one_program_judges_a_rehearsal, TEST_TIMEOUT_S)
{
	static struct rehearsed said;
	const __u64 scope = cgroup_id("");
	int n;

	/* For its budget; what it chooses it leaves to the link to take a task of. */
	self->policy_link = attach_with(self->policy->progs.compare, "",
					.budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->policy_link);
	ASSERT_EQ(0, begin_turns(&self->turns));
	for (n = 0; n < ROUNDS; n++) {
		ASSERT_EQ(0, rehearse_select(bpf_program__fd(self->policy->progs.compare),
					     scope, &said));
		EXPECT_EQ(0, said.retval);
		expect_one_judge(_metadata, &self->turns);
	}
	EXPECT_LT(0, end_turns(&self->turns));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
