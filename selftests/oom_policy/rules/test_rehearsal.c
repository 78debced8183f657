// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rehearsals, by BPF_PROG_TEST_RUN: what the programs are told is what those of a real
 * event are told, each step is told, and the victim is that of the OOM that follows.
 *
 * lib/tree.h explains how a tree is written down. The lower priority dies first.
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "stage.h"

#define KERNEL_STEPS	32	/* that a selection keeps */
#define DEPTH		36

FIXTURE(rehearsed)
{
	struct stage stage;
};

FIXTURE_SETUP(rehearsed)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, stage_set(&self->stage));
}

FIXTURE_TEARDOWN(rehearsed)
{
	stage_clear(&self->stage);
}

/* What a comparison is given is what the program of a real event is given. */
TEST_F(rehearsed, context_is_filled_in)
{
	const struct call *call = self->stage.policy->bss->calls;
	struct bpf_oom_ctx in = {
		.cgroup_id_1 = cgroup_id("A/x"),
		.cgroup_id_2 = cgroup_id("A/y"),
	};
	struct bpf_oom_ctx out = {};
	union bpf_attr attr = {
		.test = {
			.prog_fd = self->stage.prog,
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = sizeof(in),
			.ctx_out = (uintptr_t)&out,
			.ctx_size_out = sizeof(out),
			.repeat = 3,
		},
	};
	int n;

	ASSERT_EQ(0, prog_test_run(&attr));
	EXPECT_EQ(in.cgroup_id_1, out.cgroup_id_1);
	EXPECT_EQ(in.cgroup_id_2, out.cgroup_id_2);
	EXPECT_LE(2U << 20, out.usage_1);
	EXPECT_LE(2U << 20, out.usage_2);
	EXPECT_EQ(0U, out.swap_1);
	EXPECT_EQ(cgroup_id(""), out.scope_id);
	EXPECT_EQ(2U, out.level);
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_DRY_RUN), out.flags);
	EXPECT_EQ(out.cgroup_id_1, out.scratch_1);
	EXPECT_EQ(out.cgroup_id_2, out.scratch_2);
	EXPECT_EQ(NULL, out.cgroup_1);
	EXPECT_EQ(NULL, out.cgroup_2);
	EXPECT_EQ(sizeof(out), attr.test.ctx_size_out);
	for (n = 0; n < 3; n++)
		EXPECT_EQ(3U, call[n].fresh);
	EXPECT_EQ(0U, self->stage.policy->bss->foreign_scratch);
}

/* Of a context that is not as long as the kernel's, the part that both know of. */
TEST_F(rehearsed, context_of_another_length)
{
	struct {
		struct bpf_oom_ctx ctx;
		__u64 more;
	} in = {
		.ctx.cgroup_id_1 = cgroup_id("A/x"),
		.ctx.cgroup_id_2 = cgroup_id("A/y"),
		.ctx.scope_id = cgroup_id("A"),
	}, out;
	union bpf_attr attr = {
		.test = {
			.prog_fd = self->stage.prog,
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = offsetof(struct bpf_oom_ctx, usage_1),
			.ctx_out = (uintptr_t)&out,
			.ctx_size_out = offsetof(struct bpf_oom_ctx, scratch_1),
		},
	};

	memset(&out, 0xaa, sizeof(out));
	ASSERT_EQ(0, prog_test_run(&attr));
	EXPECT_EQ(sizeof(in.ctx), attr.test.ctx_size_out);
	EXPECT_EQ(in.ctx.cgroup_id_1, out.ctx.cgroup_id_1);
	EXPECT_EQ(in.ctx.scope_id, out.ctx.scope_id);
	EXPECT_EQ(1U, out.ctx.level);
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_DRY_RUN), out.ctx.flags);
	EXPECT_EQ(0xaaaaaaaaaaaaaaaaU, out.ctx.scratch_1);

	attr.test.ctx_size_in = sizeof(in);
	attr.test.ctx_size_out = sizeof(out);
	ASSERT_EQ(0, prog_test_run(&attr));
	EXPECT_EQ(sizeof(in.ctx), attr.test.ctx_size_out);
	EXPECT_EQ(in.ctx.cgroup_id_1, out.ctx.scratch_1);
	EXPECT_EQ(0U, out.more);
}

static void do_nothing(int signo)
{
}

TEST_F_TIMEOUT(rehearsed, a_signal_ends_it, TEST_TIMEOUT_S)
{
	const struct itimerval often = {
		.it_value.tv_usec = 10 * 1000,
		.it_interval.tv_usec = 10 * 1000,
	}, never = {};
	struct bpf_oom_ctx in = {
		.cgroup_id_1 = cgroup_id("A"),
		.cgroup_id_2 = cgroup_id("B"),
	};
	union bpf_attr attr = {
		.test = {
			.prog_fd = self->stage.prog,
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = sizeof(in),
			.repeat = UINT32_MAX,
		},
	};

	ASSERT_NE(SIG_ERR, signal(SIGALRM, do_nothing));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(-EINTR, prog_test_run(&attr));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	EXPECT_EQ(0U, attr.test.retval);
}

TEST_F(rehearsed, steps_of_a_selection)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	struct rehearsed said = {};
	const struct bpf_oom_step *steps = said.steps;
	const struct bpf_oom_ctx *victim = &said.victim;

	ASSERT_EQ(0, bpf_prog_get_info_by_fd(self->stage.prog, &info, &size));
	ASSERT_EQ(0, rehearse_select(self->stage.prog, cgroup_id(""), &said));
	ASSERT_EQ(2, said.nr_steps);
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ(1U, steps[0].level);
	EXPECT_EQ(info.id, steps[0].prog_id);
	EXPECT_EQ(2U, steps[0].eligible);
	EXPECT_EQ(1U, steps[0].compared);
	EXPECT_EQ(cgroup_id(""), steps[0].parent_id);
	EXPECT_EQ(cgroup_id("A"), steps[0].winner_id);
	EXPECT_EQ(cgroup_id("B"), steps[0].runner_id);
	EXPECT_LE(4U << 20, steps[0].winner_usage);
	EXPECT_LE(2U << 20, steps[0].runner_usage);
	EXPECT_EQ(2U, steps[1].level);
	EXPECT_EQ(cgroup_id("A"), steps[1].parent_id);
	EXPECT_EQ(cgroup_id("A/x"), steps[1].winner_id);
	EXPECT_EQ(cgroup_id("A/y"), steps[1].runner_id);

	EXPECT_EQ(cgroup_id("A/x"), victim->cgroup_id_1);
	EXPECT_EQ((__u32)tree_find(&self->stage.tree, "A/x")->pid[0], victim->pid_1);
	EXPECT_EQ(2U, victim->level);
	EXPECT_EQ(cgroup_id(""), victim->scope_id);

	EXPECT_FALSE(said.truncated);

	/* Whoever wants no steps gets the victim. */
	said.victim.pid_1 = 0;
	ASSERT_EQ(0, rehearse_victim(self->stage.prog, cgroup_id(""), &said));
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ((__u32)tree_find(&self->stage.tree, "A/x")->pid[0], victim->pid_1);
	EXPECT_STREQ("", event_traces(self->stage.policy, self->stage.link,
				      &self->stage.tree));
}

/* An abstention ends in a last step without a winner. */
TEST_F(rehearsed, steps_of_an_abstention)
{
	struct rehearsed said = {};
	const struct bpf_oom_step *steps = said.steps;

	self->stage.policy->bss->abstain_level = 2;
	ASSERT_EQ(0, rehearse_select(self->stage.prog, cgroup_id(""), &said));
	ASSERT_EQ(2, said.nr_steps);
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ(cgroup_id("A"), steps[0].winner_id);
	EXPECT_EQ(2U, steps[1].level);
	EXPECT_EQ(cgroup_id("A"), steps[1].parent_id);
	EXPECT_EQ(0U, steps[1].winner_id);
	EXPECT_STREQ("", event_traces(self->stage.policy, self->stage.link,
				      &self->stage.tree));
}

/* A selection goes as deep as the tree does; the steps that have no room are left out. */
TEST_F_TIMEOUT(rehearsed, deeper_than_its_steps, TEST_TIMEOUT_S)
{
	char path[2 * DEPTH] = "D", pid[16];
	struct rehearsed said = {};
	const struct bpf_oom_step *steps = said.steps;
	const struct bpf_oom_ctx *victim = &said.victim;
	__u64 bottom;

	ASSERT_EQ(0, cgroup_make(path));
	while (strlen(path) < 2 * DEPTH - 1) {
		ASSERT_EQ(0, cgroup_enable_memory(path));
		strcat(path, "/d");
		ASSERT_EQ(0, cgroup_make(path));
	}
	bottom = cgroup_id(path);
	snprintf(pid, sizeof(pid), "%d", tree_find(&self->stage.tree, "A/x")->pid[0]);
	ASSERT_EQ(0, cgroup_write(path, "cgroup.procs", pid));

	ASSERT_EQ(0, rehearse_select(self->stage.prog, cgroup_id("D"), &said));
	EXPECT_EQ(KERNEL_STEPS, said.nr_steps);
	EXPECT_EQ(0, said.retval);
	EXPECT_EQ(bottom, victim->cgroup_id_1);
	EXPECT_EQ(DEPTH - 1U, victim->level);
	EXPECT_EQ(cgroup_id("D"), victim->scope_id);
	EXPECT_TRUE(said.truncated);
	EXPECT_EQ((__u32)KERNEL_STEPS, steps[KERNEL_STEPS - 1].level);

	EXPECT_EQ(0, cgroup_write("A/x", "cgroup.procs", pid));
	for (; path[0]; path[strlen(path) < 2 ? 0 : strlen(path) - 2] = '\0')
		EXPECT_EQ(0, cgroup_remove(path));
}

TEST_F_TIMEOUT(rehearsed, waits_for_nobody, TEST_TIMEOUT_S)
{
	struct rehearsed said = {};
	struct holder holder;

	ASSERT_EQ(0, hold_tasks(&holder, &self->stage.tree));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(self->stage.policy->bss->nr_victims));
	EXPECT_EQ(0, rehearse_victim(self->stage.prog, cgroup_id(""), &said));
	EXPECT_EQ(-EBUSY, said.retval);
	let_go(&holder);
}

/* The context of an event is that of its rehearsal but for the kind of event. */
static void told_the_same(struct __test_metadata *_metadata, const struct call *rehearsed,
			  const struct call *event, __u64 scope_id, __u32 level, __u32 flags)
{
	EXPECT_EQ(rehearsed->id_1, event->id_1);
	EXPECT_EQ(rehearsed->id_2, event->id_2);
	EXPECT_EQ(scope_id, rehearsed->scope_id);
	EXPECT_EQ(scope_id, event->scope_id);
	EXPECT_EQ(level, rehearsed->level);
	EXPECT_EQ(level, event->level);
	EXPECT_EQ((__u32)BPF_OOM_EVENT_DRY_RUN, rehearsed->flags & BPF_OOM_EVENT_DRY_RUN);
	EXPECT_EQ(rehearsed->flags & ~BPF_OOM_EVENT_DRY_RUN, event->flags & ~flags);
}

TEST_F_TIMEOUT(rehearsed, an_event_is_told_the_same, TEST_TIMEOUT_S)
{
	const struct policy *policy = self->stage.policy;
	const struct call *call = policy->bss->calls;
	struct rehearsed said = {};
	__u32 level;

	ASSERT_EQ(0, rehearse_victim(self->stage.prog, cgroup_id(""), &said));
	ASSERT_EQ(2U, policy->bss->nr_calls);
	ASSERT_EQ(0, policy_event(policy));
	ASSERT_EQ(4U, policy->bss->nr_calls);
	for (level = 1; level <= 2; level++, call++)
		told_the_same(_metadata, call, call + 2, cgroup_id(""), level,
			      BPF_OOM_EVENT_SYSRQ);
}

TEST_F_TIMEOUT(rehearsed, an_event_below_is_told_the_same, TEST_TIMEOUT_S)
{
	struct policy *policy = self->stage.policy;
	struct rehearsed said = {};

	bpf_link__destroy(self->stage.link);
	self->stage.link = attach_with(policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				       .flags = BPF_F_OOM_POLICY_MEMCG);
	ASSERT_NE(NULL, self->stage.link);
	ASSERT_EQ(0, rehearse_victim(self->stage.prog, cgroup_id("A"), &said));
	EXPECT_EQ(1U, said.victim.level);
	EXPECT_EQ(cgroup_id("A"), said.victim.scope_id);
	ASSERT_EQ(1U, policy->bss->nr_calls);
	ASSERT_EQ(0, policy_memcg_shortage(policy, &self->stage.tree, "A", NULL, 1));
	ASSERT_LE(2U, policy->bss->nr_calls);
	told_the_same(_metadata, &policy->bss->calls[0], &policy->bss->calls[1],
		      cgroup_id("A"), 1, 0);
}

/* The victim that is announced is the victim. */
FIXTURE(rehearsal)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_VARIANT(rehearsal)
{
	const char *tree;
	const char *victims;
	__u32 abstain_level;
};

FIXTURE_VARIANT_ADD(rehearsal, two_levels)
{
	.tree = "A=-1 B=1,8M C=2,8M D=3,32M A/E=9,16M A/F=0,8M",
	.victims = "A/F",
};

FIXTURE_VARIANT_ADD(rehearsal, tie_by_usage)
{
	.tree = "A=0,8M B=0,24M C=0,16M D=1,32M",
	.victims = "B",
};

FIXTURE_VARIANT_ADD(rehearsal, empty_child)
{
	.tree = "A=-9 B=2,8M C=1,8M",
	.victims = "C",
};

FIXTURE_VARIANT_ADD(rehearsal, unkillable_subtree)
{
	.tree = "A=0 A/x=0 A/x/p=0,8M,adj=-1000 A/y=1,8M,adj=-1000 B=2,32M C=1,8M",
	.victims = "C",
};

FIXTURE_VARIANT_ADD(rehearsal, oom_group)
{
	.tree = "A=0,group A/x=1,8M A/y=0,16M B=1,32M",
	.victims = "A/x A/y",
};

FIXTURE_VARIANT_ADD(rehearsal, abstention)
{
	.tree = "A=0 A/x=0,8M A/y=1,16M B=1,32M",
	.victims = "A/y",
	.abstain_level = 2,
};

FIXTURE_VARIANT_ADD(rehearsal, abstention_at_the_root)
{
	.tree = "A=0,8M B=1,32M",
	.victims = "B",
	.abstain_level = 1,
};

FIXTURE_SETUP(rehearsal)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->policy->bss->abstain_level = variant->abstain_level;
}

FIXTURE_TEARDOWN(rehearsal)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* Attached or not, asked often: the marks of one try are not seen by the next. */
TEST_F_TIMEOUT(rehearsal, announces_the_victim, TEST_TIMEOUT_S)
{
	const int prog = bpf_program__fd(self->policy->progs.compare);
	struct rehearsed said = {}, again = {};

	ASSERT_EQ(0, rehearse_victim(prog, cgroup_id(""), &said));
	EXPECT_EQ(0, said.retval);
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, rehearse_victim(prog, cgroup_id(""), &again));
	EXPECT_EQ(0, again.retval);
	EXPECT_EQ(said.victim.pid_1, again.victim.pid_1);
	EXPECT_STREQ("", event_traces(self->policy, self->link, &self->tree));

	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ(variant->victims, policy_victims(self->policy, &self->tree));
	EXPECT_EQ(self->policy->bss->victims[0], said.victim.pid_1);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
