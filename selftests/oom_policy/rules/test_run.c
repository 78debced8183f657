// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TEST_RUN of OOM policies: comparisons of what there is, or of
 * what is made up, a whole selection, each reason for which it is refused, and that nobody is
 * killed, marked or counted by it. A rehearsed selection has the victim of the OOM
 * that follows, and its programs are told the same.
 *
 * lib/tree.h explains how a tree is written down. The lower priority dies first.
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "progs/task_calls.h"
#include "task_stage.skel.h"

#define MAX_STEPS	40
#define KERNEL_STEPS	32	/* that a selection keeps */
#define DEPTH		36
#define TEXT_SIZE	256
#define UNKNOWN_ID	0x10000000000
#define NOWHERE		1	/* an address */
#define PAGE		4096

#define CTX_SIZE	((int)sizeof(struct bpf_oom_ctx))
#define IDS_SIZE	((int)offsetof(struct bpf_oom_ctx, scope_id))

static int test_run(union bpf_attr *attr)
{
	return oom_policy_bpf(BPF_PROG_TEST_RUN, attr, sizeof(*attr)) ? -errno : 0;
}

/* What a rehearsal says; the kernel that is tested has steps as long as these. */
struct answer {
	struct bpf_oom_steps head;
	struct bpf_oom_step steps[MAX_STEPS];
};

/* How many steps there are, or a negative errno; none are asked for if @answer is NULL. */
static int select_below(int prog_fd, __u64 scope, struct answer *answer,
			struct bpf_oom_ctx *victim, int *retval)
{
	const struct bpf_oom_steps *head = &answer->head;
	struct bpf_oom_ctx ctx = { .cgroup_id_1 = scope };
	union bpf_attr attr = {
		.test = {
			.prog_fd = prog_fd,
			.ctx_in = (uintptr_t)&ctx,
			.ctx_size_in = sizeof(ctx),
			.ctx_out = (uintptr_t)victim,
			.ctx_size_out = sizeof(*victim),
			.data_out = (uintptr_t)answer,
			.data_size_out = answer ? sizeof(*answer) : 0,
			.flags = BPF_F_TEST_OOM_SELECT,
		},
	};
	int err;

	err = test_run(&attr);
	*retval = attr.test.retval;
	if (err || !answer)
		return err;
	if (head->header_size != sizeof(*head) || head->step_size != sizeof(answer->steps[0]) ||
	    attr.test.data_size_out != head->header_size + head->nr_steps * head->step_size)
		return -EPROTO;
	return head->nr_steps;
}

/* A policy at the root of a tree, and a leaf with children of no interest. */
struct stage {
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	int prog;
};

static int stage_set(struct stage *stage)
{
	if (tree_make(&stage->tree, "A=0 B=1,2M C=1 A/x=0,2M A/y=1,2M") ||
	    cgroup_make("B/one") || cgroup_make("B/two"))
		return -1;
	stage->policy = policy_load(&stage->tree);
	if (!stage->policy)
		return -1;
	stage->link = attach_with(stage->policy->progs.compare, "",
				  .budget_us = NO_BUDGET_US);
	stage->prog = bpf_program__fd(stage->policy->progs.compare);
	return stage->link ? 0 : -1;
}

static void stage_clear(struct stage *stage)
{
	bpf_link__destroy(stage->link);
	policy__destroy(stage->policy);
	cgroup_remove("B/one");
	cgroup_remove("B/two");
	tree_remove(&stage->tree);
}

FIXTURE(test_run)
{
	struct stage stage;
};

FIXTURE_VARIANT(test_run)
{
	const char *one;	/* NULL: the id 0; "?": one that no cgroup has */
	const char *two;
	bool select;
	const char *scope;	/* NULL: not named; "?": one that no cgroup has */
	int ctx_size_in;	/* more or less than the kernel's */
	int ctx_size_out;
	int data_size_out;	/* less than the steps take */
	size_t field;		/* of the context, or behind it, set to 1 */
	__u32 flags;
	__u32 repeat;
	__u32 cpu;
	__u32 batch_size;
	bool data_in;
	bool data_out;
	enum { NOTHING, CTX_IN, CTX_OUT, DATA_OUT } nowhere;
	bool no_ctx_out;
	bool read_only;		/* the attributes themselves */
	int err;
	int retval;
	int calls;
};

FIXTURE_VARIANT_ADD(test_run, compare_siblings)
{
	.one = "A",
	.two = "B",
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, compare_the_other_way_round)
{
	.one = "A/y",
	.two = "A/x",
	.retval = BPF_OOM_SECOND,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, compare_equals)
{
	.one = "B",
	.two = "C",
	.retval = BPF_OOM_EQUAL,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, compare_repeatedly)
{
	.one = "A",
	.two = "B",
	.repeat = 1000,
	.retval = BPF_OOM_FIRST,
	.calls = 1000,
};

FIXTURE_VARIANT_ADD(test_run, select_from_the_root)
{
	.one = "",
	.select = true,
	.data_out = true,
	.calls = 2,
};

FIXTURE_VARIANT_ADD(test_run, select_below)
{
	.one = "A",
	.select = true,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, select_once)
{
	.one = "A",
	.select = true,
	.repeat = 1,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, select_where_nobody_is)
{
	.one = "C",
	.select = true,
	.retval = -ESRCH,
};

FIXTURE_VARIANT_ADD(test_run, compare_below_a_scope)
{
	.one = "A/x",
	.two = "A/y",
	.scope = "A",
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, scope_unknown)
{
	.one = "A",
	.two = "B",
	.scope = "?",
	.err = -ENOENT,
};

FIXTURE_VARIANT_ADD(test_run, scope_without_memory_controller)
{
	.one = "A",
	.two = "B",
	.scope = "B/one",
	.err = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(test_run, scope_beside_them)
{
	.one = "A/x",
	.two = "A/y",
	.scope = "B",
	.err = -EXDEV,
};

FIXTURE_VARIANT_ADD(test_run, scope_is_one_of_them)
{
	.one = "A",
	.two = "B",
	.scope = "A",
	.err = -EXDEV,
};

/* An older program's, and a newer one's. */
FIXTURE_VARIANT_ADD(test_run, context_shorter)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = -8,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, contexts_of_ids)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = IDS_SIZE - CTX_SIZE,
	.ctx_size_out = IDS_SIZE - CTX_SIZE,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, context_too_short)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = IDS_SIZE - CTX_SIZE - 1,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, context_longer)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = 8,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, context_longer_with_something_in_it)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = 8,
	.field = sizeof(struct bpf_oom_ctx) + 7,
	.err = -E2BIG,
};

FIXTURE_VARIANT_ADD(test_run, context_longer_with_something_behind_it)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = 8,
	.field = sizeof(struct bpf_oom_ctx) + 8,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, context_of_more_than_a_page)
{
	.one = "A",
	.two = "B",
	.ctx_size_in = PAGE + 1 - CTX_SIZE,
	.err = -E2BIG,
};

FIXTURE_VARIANT_ADD(test_run, answer_of_more_than_a_page)
{
	.one = "A",
	.two = "B",
	.ctx_size_out = PAGE + 1 - CTX_SIZE,
	.err = -E2BIG,
};

FIXTURE_VARIANT_ADD(test_run, usage_given)
{
	.one = "A",
	.two = "B",
	.field = offsetof(struct bpf_oom_ctx, usage_1),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, level_given)
{
	.one = "A",
	.two = "B",
	.field = offsetof(struct bpf_oom_ctx, level),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, scratch_given)
{
	.one = "A",
	.two = "B",
	.field = offsetof(struct bpf_oom_ctx, scratch_2),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, pointer_given)
{
	.one = "A",
	.two = "B",
	.field = offsetof(struct bpf_oom_ctx, cgroup_1),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, unknown_flag)
{
	.one = "A",
	.two = "B",
	.flags = 1U << 19,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, flag_of_another_type)
{
	.one = "A",
	.two = "B",
	.flags = BPF_F_TEST_RUN_ON_CPU,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, cpu_given)
{
	.one = "A",
	.two = "B",
	.cpu = 1,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, batch_given)
{
	.one = "A",
	.two = "B",
	.batch_size = 1,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, data_in_given)
{
	.one = "A",
	.two = "B",
	.data_in = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, data_out_of_a_comparison)
{
	.one = "A",
	.two = "B",
	.data_out = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, compare_with_itself)
{
	.one = "A",
	.two = "A",
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, first_unknown)
{
	.one = "?",
	.two = "B",
	.err = -ENOENT,
};

FIXTURE_VARIANT_ADD(test_run, second_unknown)
{
	.one = "A",
	.two = "?",
	.err = -ENOENT,
};

FIXTURE_VARIANT_ADD(test_run, second_missing)
{
	.one = "A",
	.err = -ENOENT,
};

FIXTURE_VARIANT_ADD(test_run, cousins)
{
	.one = "A/x",
	.two = "B",
	.err = -EXDEV,
};

FIXTURE_VARIANT_ADD(test_run, parent_and_child)
{
	.one = "A",
	.two = "A/x",
	.err = -EXDEV,
};

FIXTURE_VARIANT_ADD(test_run, no_memory_controller)
{
	.one = "B/one",
	.two = "B/two",
	.err = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(test_run, no_room_for_the_context)
{
	.one = "A",
	.two = "B",
	.ctx_size_out = -8,
	.err = -ENOSPC,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, select_repeatedly)
{
	.one = "A",
	.select = true,
	.repeat = 2,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, select_with_two)
{
	.one = "A",
	.two = "B",
	.select = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, select_with_a_scope_twice)
{
	.one = "A",
	.scope = "A",
	.select = true,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, select_with_usage_given)
{
	.one = "A",
	.select = true,
	.field = offsetof(struct bpf_oom_ctx, usage_1),
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, select_what_is_made_up)
{
	.one = "A",
	.select = true,
	.flags = BPF_F_TEST_OOM_CTX,
	.err = -EINVAL,
};

FIXTURE_VARIANT_ADD(test_run, select_unknown)
{
	.one = "?",
	.select = true,
	.err = -ENOENT,
};

FIXTURE_VARIANT_ADD(test_run, select_without_memory_controller)
{
	.one = "B/one",
	.select = true,
	.err = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(test_run, no_room_for_a_step)
{
	.one = "",
	.select = true,
	.data_out = true,
	.data_size_out = -1,
	.err = -ENOSPC,
	.calls = 2,
};

FIXTURE_VARIANT_ADD(test_run, no_room_for_the_steps)
{
	.one = "",
	.select = true,
	.data_out = true,
	.data_size_out = -2 * (int)sizeof(struct bpf_oom_step),
	.err = -ENOSPC,
	.calls = 2,
};

FIXTURE_VARIANT_ADD(test_run, no_room_for_their_header)
{
	.one = "",
	.select = true,
	.data_out = true,
	.data_size_out = -2 * (int)sizeof(struct bpf_oom_step) - 1,
	.err = -ENOSPC,
	.calls = 2,
};

FIXTURE_VARIANT_ADD(test_run, context_nowhere)
{
	.one = "A",
	.two = "B",
	.nowhere = CTX_IN,
	.err = -EFAULT,
};

FIXTURE_VARIANT_ADD(test_run, answer_goes_nowhere)
{
	.one = "A",
	.two = "B",
	.nowhere = CTX_OUT,
	.err = -EFAULT,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, no_context_wanted)
{
	.one = "A",
	.two = "B",
	.no_ctx_out = true,
	.retval = BPF_OOM_FIRST,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, steps_go_nowhere)
{
	.one = "",
	.select = true,
	.data_out = true,
	.nowhere = DATA_OUT,
	.err = -EFAULT,
	.calls = 2,
};

FIXTURE_VARIANT_ADD(test_run, read_only_attributes)
{
	.one = "A",
	.two = "B",
	.read_only = true,
	.err = -EFAULT,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, read_only_attributes_without_context)
{
	.one = "A",
	.two = "B",
	.no_ctx_out = true,
	.read_only = true,
	.err = -EFAULT,
	.calls = 1,
};

FIXTURE_VARIANT_ADD(test_run, read_only_attributes_of_a_selection)
{
	.one = "",
	.select = true,
	.data_out = true,
	.read_only = true,
	.err = -EFAULT,
	.calls = 2,
};

FIXTURE_SETUP(test_run)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, stage_set(&self->stage));
}

FIXTURE_TEARDOWN(test_run)
{
	stage_clear(&self->stage);
}

static void nothing_has_happened(struct __test_metadata *_metadata,
				 struct policy *policy, const struct bpf_link *link,
				 struct tree *tree)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, policy_info(link, &info));
	EXPECT_EQ(0U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.comparisons);
	EXPECT_EQ(0U, info.oom_policy.kills);
	EXPECT_EQ(0U, info.oom_policy.fallback_none_eligible);
	EXPECT_EQ(0U, info.oom_policy.fallback_abstain);
	EXPECT_EQ(0U, info.oom_policy.last_victim_cgroup_id);
	EXPECT_EQ(0U, info.oom_policy.worst_ns);
	EXPECT_EQ(0U, policy->bss->nr_events);
	EXPECT_EQ(0U, policy->bss->nr_victims);
	EXPECT_EQ(0, tree_killed(tree));
}

static __u64 id_of(const char *path)
{
	if (!path)
		return 0;
	return strcmp(path, "?") ? cgroup_id(path) : UNKNOWN_ID;
}

/* As test_run(), from memory that cannot be written to. */
static int test_run_read_only(const union bpf_attr *attr)
{
	const long size = sysconf(_SC_PAGESIZE);
	union bpf_attr *copy;
	int err;

	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (copy == MAP_FAILED)
		return -errno;
	*copy = *attr;
	err = mprotect(copy, size, PROT_READ) ? -errno : test_run(copy);
	munmap(copy, size);
	return err;
}

/* The steps that a selection from the root has. */
#define NR_STEPS	2

/* All that has room is there, and nothing beyond it. */
static void check_answer(struct __test_metadata *_metadata, const struct answer *answer,
			 __u32 room, __u32 needed)
{
	const __u32 size = sizeof(answer->head) + NR_STEPS * sizeof(answer->steps[0]);
	struct bpf_oom_steps head = {};
	__u32 n, fit;

	EXPECT_EQ(size, needed);
	if (room >= sizeof(head)) {
		fit = (room - sizeof(head)) / sizeof(answer->steps[0]);
		head.header_size = sizeof(head);
		head.step_size = sizeof(answer->steps[0]);
		head.nr_steps = fit < NR_STEPS ? fit : NR_STEPS;
		head.flags = fit < NR_STEPS ? BPF_OOM_STEPS_TRUNCATED : 0;
	}
	EXPECT_EQ(0, memcmp(&head, &answer->head, sizeof(head)));
	for (n = 0; n <= NR_STEPS; n++)
		EXPECT_EQ(n < head.nr_steps ? n + 1 : 0, answer->steps[n].level);
}

TEST_F(test_run, answer)
{
	static char in_page[PAGE + 8], out_page[PAGE + 8];
	struct bpf_oom_ctx *in = (void *)in_page;
	struct answer answer = {};
	char data[64] = {};
	const __u32 room = sizeof(answer.head) + NR_STEPS * sizeof(answer.steps[0]) +
			   variant->data_size_out;
	union bpf_attr attr = {
		.test = {
			.prog_fd = self->stage.prog,
			.ctx_in = (uintptr_t)in,
			.ctx_size_in = CTX_SIZE + variant->ctx_size_in,
			.ctx_out = (uintptr_t)out_page,
			.ctx_size_out = CTX_SIZE + variant->ctx_size_out,
			.flags = variant->flags |
				 (variant->select ? BPF_F_TEST_OOM_SELECT : 0),
			.repeat = variant->repeat,
			.cpu = variant->cpu,
			.batch_size = variant->batch_size,
		},
	};

	in->cgroup_id_1 = id_of(variant->one);
	in->cgroup_id_2 = id_of(variant->two);
	in->scope_id = id_of(variant->scope);
	if (variant->field)
		in_page[variant->field] = 1;
	if (variant->data_in) {
		attr.test.data_in = (uintptr_t)data;
		attr.test.data_size_in = sizeof(data);
	}
	if (variant->data_out) {
		attr.test.data_out = (uintptr_t)&answer;
		attr.test.data_size_out = room;
	}

	if (variant->no_ctx_out) {
		attr.test.ctx_out = 0;
		attr.test.ctx_size_out = 0;
	}
	switch (variant->nowhere) {
	case NOTHING:
		break;
	case CTX_IN:
		attr.test.ctx_in = NOWHERE;
		break;
	case CTX_OUT:
		attr.test.ctx_out = NOWHERE;
		break;
	case DATA_OUT:
		attr.test.data_out = NOWHERE;
		break;
	}

	EXPECT_EQ(variant->err, variant->read_only ? test_run_read_only(&attr) :
						     test_run(&attr));
	EXPECT_EQ(variant->retval, (int)attr.test.retval);
	EXPECT_EQ(variant->calls, (int)self->stage.policy->bss->nr_calls);
	if (variant->data_out && (!variant->err || variant->err == -ENOSPC))
		check_answer(_metadata, &answer, room, attr.test.data_size_out);
	nothing_has_happened(_metadata, self->stage.policy, self->stage.link, &self->stage.tree);
}

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

	ASSERT_EQ(0, test_run(&attr));
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
	ASSERT_EQ(0, test_run(&attr));
	EXPECT_EQ(sizeof(in.ctx), attr.test.ctx_size_out);
	EXPECT_EQ(in.ctx.cgroup_id_1, out.ctx.cgroup_id_1);
	EXPECT_EQ(in.ctx.scope_id, out.ctx.scope_id);
	EXPECT_EQ(1U, out.ctx.level);
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_DRY_RUN), out.ctx.flags);
	EXPECT_EQ(0xaaaaaaaaaaaaaaaaU, out.ctx.scratch_1);

	attr.test.ctx_size_in = sizeof(in);
	attr.test.ctx_size_out = sizeof(out);
	ASSERT_EQ(0, test_run(&attr));
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
	EXPECT_EQ(-EINTR, test_run(&attr));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	EXPECT_EQ(0U, attr.test.retval);
}

TEST_F(rehearsed, steps_of_a_selection)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	struct answer answer;
	const struct bpf_oom_step *steps = answer.steps;
	struct bpf_oom_ctx victim = {};
	int retval;

	ASSERT_EQ(0, bpf_prog_get_info_by_fd(self->stage.prog, &info, &size));
	ASSERT_EQ(2, select_below(self->stage.prog, cgroup_id(""), &answer, &victim, &retval));
	EXPECT_EQ(0, retval);
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

	EXPECT_EQ(cgroup_id("A/x"), victim.cgroup_id_1);
	EXPECT_EQ((__u32)tree_find(&self->stage.tree, "A/x")->pid[0], victim.pid_1);
	EXPECT_EQ(2U, victim.level);
	EXPECT_EQ(cgroup_id(""), victim.scope_id);

	EXPECT_EQ(0U, answer.head.flags);

	/* Whoever wants no steps gets the victim. */
	ASSERT_EQ(0, select_below(self->stage.prog, cgroup_id(""), NULL, &victim, &retval));
	EXPECT_EQ(0, retval);
	nothing_has_happened(_metadata, self->stage.policy, self->stage.link, &self->stage.tree);
}

/* An abstention ends in a last step without a winner. */
TEST_F(rehearsed, steps_of_an_abstention)
{
	struct answer answer;
	const struct bpf_oom_step *steps = answer.steps;
	struct bpf_oom_ctx victim = {};
	int retval;

	self->stage.policy->bss->abstain_level = 2;
	ASSERT_EQ(2, select_below(self->stage.prog, cgroup_id(""), &answer, &victim, &retval));
	EXPECT_EQ(0, retval);
	EXPECT_EQ(cgroup_id("A"), steps[0].winner_id);
	EXPECT_EQ(2U, steps[1].level);
	EXPECT_EQ(cgroup_id("A"), steps[1].parent_id);
	EXPECT_EQ(0U, steps[1].winner_id);
	nothing_has_happened(_metadata, self->stage.policy, self->stage.link, &self->stage.tree);
}

/* A selection goes as deep as the tree does; the steps that have no room are left out. */
TEST_F_TIMEOUT(rehearsed, deeper_than_its_steps, TEST_TIMEOUT_S)
{
	char path[2 * DEPTH] = "D", pid[16];
	struct answer answer;
	const struct bpf_oom_step *steps = answer.steps;
	struct bpf_oom_ctx victim = {};
	__u64 bottom;
	int retval;

	ASSERT_EQ(0, cgroup_make(path));
	while (strlen(path) < 2 * DEPTH - 1) {
		ASSERT_EQ(0, cgroup_enable_memory(path));
		strcat(path, "/d");
		ASSERT_EQ(0, cgroup_make(path));
	}
	bottom = cgroup_id(path);
	snprintf(pid, sizeof(pid), "%d", tree_find(&self->stage.tree, "A/x")->pid[0]);
	ASSERT_EQ(0, cgroup_write(path, "cgroup.procs", pid));

	EXPECT_EQ(KERNEL_STEPS,
		  select_below(self->stage.prog, cgroup_id("D"), &answer, &victim, &retval));
	EXPECT_EQ(0, retval);
	EXPECT_EQ(bottom, victim.cgroup_id_1);
	EXPECT_EQ(DEPTH - 1U, victim.level);
	EXPECT_EQ(cgroup_id("D"), victim.scope_id);
	EXPECT_EQ((__u32)BPF_OOM_STEPS_TRUNCATED, answer.head.flags);
	EXPECT_EQ((__u32)KERNEL_STEPS, steps[KERNEL_STEPS - 1].level);

	EXPECT_EQ(0, cgroup_write("A/x", "cgroup.procs", pid));
	for (; path[0]; path[strlen(path) < 2 ? 0 : strlen(path) - 2] = '\0')
		EXPECT_EQ(0, cgroup_remove(path));
}

TEST_F_TIMEOUT(rehearsed, waits_for_nobody, TEST_TIMEOUT_S)
{
	struct bpf_oom_ctx victim = {};
	struct holder holder;
	int retval;

	ASSERT_EQ(0, hold_tasks(&holder, &self->stage.tree));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(self->stage.policy->bss->nr_victims));
	EXPECT_EQ(0, select_below(self->stage.prog, cgroup_id(""), NULL, &victim, &retval));
	EXPECT_EQ(-EBUSY, retval);
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
	struct bpf_oom_ctx victim = {};
	__u32 level;
	int retval;

	ASSERT_EQ(0, select_below(self->stage.prog, cgroup_id(""), NULL, &victim, &retval));
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
	struct bpf_oom_ctx victim = {};
	int retval;

	bpf_link__destroy(self->stage.link);
	self->stage.link = attach_with(policy->progs.compare, "", .budget_us = NO_BUDGET_US,
				       .flags = BPF_F_OOM_POLICY_MEMCG);
	ASSERT_NE(NULL, self->stage.link);
	ASSERT_EQ(0, select_below(self->stage.prog, cgroup_id("A"), NULL, &victim, &retval));
	EXPECT_EQ(1U, victim.level);
	EXPECT_EQ(cgroup_id("A"), victim.scope_id);
	ASSERT_EQ(1U, policy->bss->nr_calls);
	ASSERT_EQ(0, policy_memcg_shortage(policy, &self->stage.tree, "A", NULL, 1));
	ASSERT_LE(2U, policy->bss->nr_calls);
	told_the_same(_metadata, &policy->bss->calls[0], &policy->bss->calls[1],
		      cgroup_id("A"), 1, 0);
}

/* Candidates that there are not, to try a policy with values. */
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
	struct answer answer;
	union bpf_attr attr = {
		.test = {
			.prog_fd = bpf_program__fd(prog),
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = sizeof(in),
			.ctx_out = (uintptr_t)&out,
			.ctx_size_out = sizeof(out),
			.data_out = variant->data_out ? (uintptr_t)&answer : 0,
			.data_size_out = variant->data_out ? sizeof(answer) : 0,
			.flags = BPF_F_TEST_OOM_CTX | variant->flags,
			.repeat = variant->repeat,
		},
	};
	__u32 n;

	if (variant->field)
		*((char *)&in + variant->field) = 1;

	ASSERT_EQ(variant->err, test_run(&attr));
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
	struct bpf_oom_ctx victim = {}, again = {};
	int retval;

	ASSERT_EQ(0, select_below(prog, cgroup_id(""), NULL, &victim, &retval));
	EXPECT_EQ(0, retval);
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, select_below(prog, cgroup_id(""), NULL, &again, &retval));
	EXPECT_EQ(0, retval);
	EXPECT_EQ(victim.pid_1, again.pid_1);
	nothing_has_happened(_metadata, self->policy, self->link, &self->tree);

	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_STREQ(variant->victims, policy_victims(self->policy, &self->tree));
	EXPECT_EQ(self->policy->bss->victims[0], victim.pid_1);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
