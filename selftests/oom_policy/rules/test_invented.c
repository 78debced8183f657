// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TEST_RUN with candidates that there are not, to try a policy with values:
 * the program sees what was given, and nothing else.
 *
 * The lower priority dies first.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "progs/task_calls.h"
#include "task_stage.skel.h"

#define ONE	(UNKNOWN_ID + 1)	/* priority -1 */
#define TWO	(UNKNOWN_ID + 2)	/* priority 1 */
#define THREE	(UNKNOWN_ID + 3)	/* no priority */
#define FOUR	(UNKNOWN_ID + 4)

#define A_LEVEL	7	/* at which the policy abstains */

FIXTURE(invented)
{
	struct tree tree;
	struct policy *policy;
	struct task_stage *judge;
};

FIXTURE_VARIANT(invented)
{
	struct bpf_oom_ctx ctx;
	size_t field;		/* of the context, set to 1 */
	bool tasks;		/* judged by the policy for tasks, by usage */
	bool data_out;
	__u32 flags;
	__u32 repeat;
	int err;
	int retval;
	__u32 fresh;		/* as in struct call */
};

FIXTURE_VARIANT_ADD(invented, first)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO },
	.retval = BPF_OOM_FIRST,
	.fresh = 3,
};

FIXTURE_VARIANT_ADD(invented, second)
{
	.ctx = { .cgroup_id_1 = TWO, .cgroup_id_2 = ONE },
	.retval = BPF_OOM_SECOND,
	.fresh = 3,
};

FIXTURE_VARIANT_ADD(invented, equal)
{
	.ctx = { .cgroup_id_1 = THREE, .cgroup_id_2 = FOUR },
	.retval = BPF_OOM_EQUAL,
	.fresh = 3,
};

FIXTURE_VARIANT_ADD(invented, abstention)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO, .level = A_LEVEL },
	.retval = BPF_OOM_ABSTAIN,
	.fresh = 3,
};

FIXTURE_VARIANT_ADD(invented, all_that_there_is)
{
	.ctx = {
		.cgroup_id_1 = ONE,
		.cgroup_id_2 = TWO,
		.scope_id = FOUR,
		.usage_1 = 1ULL << 40,
		.usage_2 = 1ULL << 20,
		.swap_1 = 1ULL << 30,
		.swap_2 = 4096,
		.level = 100,
		.flags = BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_SYSRQ |
			 BPF_OOM_EVENT_EARLY | BPF_OOM_EVENT_DRY_RUN,
	},
	.retval = BPF_OOM_FIRST,
	.fresh = 3,
};

/* Every repetition begins with the scratch words that were given. */
FIXTURE_VARIANT_ADD(invented, scratch)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO, .scratch_2 = TWO },
	.repeat = 3,
	.retval = BPF_OOM_FIRST,
	.fresh = 1,
};

FIXTURE_VARIANT_ADD(invented, tasks_first)
{
	.ctx = {
		.cgroup_id_1 = ONE,
		.cgroup_id_2 = ONE,
		.scope_id = TWO,
		.usage_1 = 4096,
		.usage_2 = 8192,
		.swap_2 = 4096,
		.pid_1 = 1U << 30,
		.pid_2 = 1,
		.oom_score_adj_1 = -1000,
		.oom_score_adj_2 = 1000,
		.level = 3,
		.flags = BPF_OOM_EVENT_GLOBAL,
	},
	.tasks = true,
	.retval = BPF_OOM_FIRST,
};

FIXTURE_VARIANT_ADD(invented, tasks_second)
{
	.ctx = { .usage_1 = 8192, .usage_2 = 4096 },
	.tasks = true,
	.repeat = 2,
	.retval = BPF_OOM_SECOND,
};

FIXTURE_VARIANT_ADD(invented, tasks_adj_too_low)
{
	.ctx = { .oom_score_adj_1 = -1001 },
	.tasks = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, tasks_adj_too_high)
{
	.ctx = { .oom_score_adj_2 = 1001 },
	.tasks = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, tasks_pointer_given)
{
	.field = offsetof(struct bpf_oom_ctx, task_2),
	.tasks = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, with_itself)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = ONE },
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, pid_of_a_cgroup)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO, .pid_2 = 1 },
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, adj_of_a_cgroup)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO, .oom_score_adj_1 = 1 },
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, pointer_given)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO },
	.field = offsetof(struct bpf_oom_ctx, cgroup_2),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, event_of_no_kind)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO, .flags = BPF_OOM_EVENT_DRY_RUN << 1 },
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, event_of_two_kinds)
{
	.ctx = {
		.cgroup_id_1 = ONE,
		.cgroup_id_2 = TWO,
		.flags = BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_MEMCG,
	},
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, selection)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO },
	.flags = BPF_F_TEST_OOM_SELECT,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(invented, steps_wanted)
{
	.ctx = { .cgroup_id_1 = ONE, .cgroup_id_2 = TWO },
	.data_out = true,
	.err = -EINVAL,
};

static int set_priority(const struct policy *policy, __u64 id, __s64 priority)
{
	return bpf_map__update_elem(policy->maps.oom_priority, &id, sizeof(id), &priority,
				    sizeof(priority), BPF_ANY);
}

FIXTURE_SETUP(invented)
{
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	ASSERT_EQ(0, set_priority(self->policy, ONE, -1));
	ASSERT_EQ(0, set_priority(self->policy, TWO, 1));
	self->policy->bss->abstain_level = A_LEVEL;
	self->judge = task_stage__open_and_load();
	ASSERT_NE(NULL, self->judge);
}

FIXTURE_TEARDOWN(invented)
{
	task_stage__destroy(self->judge);
	policy__destroy(self->policy);
}

static void saw_cgroups(struct __test_metadata *_metadata, const struct call *call,
			const struct bpf_oom_ctx *ctx, __u32 fresh)
{
	EXPECT_EQ(ctx->cgroup_id_1, call->id_1);
	EXPECT_EQ(ctx->cgroup_id_2, call->id_2);
	EXPECT_EQ(ctx->usage_1, call->usage_1);
	EXPECT_EQ(ctx->usage_2, call->usage_2);
	EXPECT_EQ(ctx->scope_id, call->scope_id);
	EXPECT_EQ(ctx->level, call->level);
	EXPECT_EQ(ctx->flags, call->flags);
	EXPECT_EQ(fresh, call->fresh);
}

/* The pointers lead to the root cgroup and to whoever asks. */
static void saw_task(struct __test_metadata *_metadata, const struct task_cand *cand,
		     __u64 cgroup_id_given, __u64 usage, __u64 swap, __u32 pid, __s32 adj)
{
	EXPECT_EQ(cgroup_id_given, cand->cgroup_id);
	EXPECT_EQ(usage, cand->usage);
	EXPECT_EQ(swap, cand->swap);
	EXPECT_EQ(pid, cand->pid);
	EXPECT_EQ(adj, cand->adj);
	EXPECT_EQ(0U, cand->foreign);
	EXPECT_EQ((__u32)getpid(), cand->tgid);
	EXPECT_EQ(cgroup_id(""), cand->cgroup_kn_id);
}

static void saw_tasks(struct __test_metadata *_metadata, const struct task_call *call,
		      const struct bpf_oom_ctx *ctx)
{
	saw_task(_metadata, &call->cand[0], ctx->cgroup_id_1, ctx->usage_1, ctx->swap_1,
		 ctx->pid_1, ctx->oom_score_adj_1);
	saw_task(_metadata, &call->cand[1], ctx->cgroup_id_2, ctx->usage_2, ctx->swap_2,
		 ctx->pid_2, ctx->oom_score_adj_2);
	EXPECT_EQ(ctx->scope_id, call->scope_id);
	EXPECT_EQ(ctx->level, call->level);
	EXPECT_EQ(ctx->flags, call->flags);
}

TEST_F(invented, answer)
{
	const __u32 calls = variant->err ? 0 : variant->repeat ?: 1;
	struct bpf_oom_ctx in = variant->ctx, out = {}, seen;
	struct bpf_program *prog = variant->tasks ? self->judge->progs.judge :
						    self->policy->progs.compare;
	char answer[64];
	union bpf_attr attr = {
		.test = {
			.prog_fd = bpf_program__fd(prog),
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = sizeof(in),
			.ctx_out = (uintptr_t)&out,
			.ctx_size_out = sizeof(out),
			.data_out = variant->data_out ? (uintptr_t)answer : 0,
			.data_size_out = variant->data_out ? sizeof(answer) : 0,
			.flags = BPF_F_TEST_OOM_CTX | variant->flags,
			.repeat = variant->repeat,
		},
	};
	__u32 n;

	if (variant->field)
		*((char *)&in + variant->field) = 1;

	ASSERT_EQ(variant->err, prog_test_run(&attr));
	EXPECT_EQ(variant->retval, (int)attr.test.retval);
	EXPECT_EQ(variant->tasks ? 0 : calls, self->policy->bss->nr_calls);
	EXPECT_EQ(variant->tasks ? calls : 0, self->judge->bss->nr_calls);
	for (n = 0; n < calls; n++) {
		if (variant->tasks)
			saw_tasks(_metadata, &self->judge->bss->calls[n], &in);
		else
			saw_cgroups(_metadata, &self->policy->bss->calls[n], &in,
				    variant->fresh);
	}
	if (variant->err)
		return;

	/* It comes back as it was, but for the scratch words that the programs leave. */
	seen = in;
	seen.scratch_1 = variant->tasks ? in.pid_1 : in.cgroup_id_1;
	seen.scratch_2 = variant->tasks ? in.pid_2 : in.cgroup_id_2;
	EXPECT_EQ(0, memcmp(&seen, &out, sizeof(out)));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
