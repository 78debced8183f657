// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TEST_RUN of OOM policies: what comes back of a comparison and of a selection,
 * each reason for which one is refused, and that nobody is killed, marked or counted
 * by it.
 *
 * lib/tree.h explains how a tree is written down. The lower priority dies first.
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "stage.h"

#define PAGE		4096

#define CTX_SIZE	((int)sizeof(struct bpf_oom_ctx))
#define IDS_SIZE	((int)offsetof(struct bpf_oom_ctx, scope_id))

/* The steps that a selection from the root has. */
#define NR_STEPS	2

/* The kernel that is tested has steps as long as these; one more than there are. */
struct answer {
	struct bpf_oom_steps head;
	struct bpf_oom_step steps[NR_STEPS + 1];
};

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

static __u64 id_of(const char *path)
{
	if (!path)
		return 0;
	return strcmp(path, "?") ? cgroup_id(path) : UNKNOWN_ID;
}

/* As prog_test_run(), from memory that cannot be written to. */
static int read_only_test_run(const union bpf_attr *attr)
{
	const long size = sysconf(_SC_PAGESIZE);
	union bpf_attr *copy;
	int err;

	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (copy == MAP_FAILED)
		return -errno;
	*copy = *attr;
	err = mprotect(copy, size, PROT_READ) ? -errno : prog_test_run(copy);
	munmap(copy, size);
	return err;
}

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

	EXPECT_EQ(variant->err, variant->read_only ? read_only_test_run(&attr) :
						     prog_test_run(&attr));
	EXPECT_EQ(variant->retval, (int)attr.test.retval);
	EXPECT_EQ(variant->calls, (int)self->stage.policy->bss->nr_calls);
	if (variant->data_out && (!variant->err || variant->err == -ENOSPC))
		check_answer(_metadata, &answer, room, attr.test.data_size_out);
	EXPECT_STREQ("", event_traces(self->stage.policy, self->stage.link,
				      &self->stage.tree));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
