// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF_PROG_TEST_RUN of OOM policies for many cgroups at once: pairs of siblings, each with
 * a verdict or an error of its own, and the children of a cgroup in the order in which
 * they would die.
 *
 * lib/tree.h explains how a tree is written down. The lower priority dies first.
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "progs/task_calls.h"
#include "task_stage.skel.h"

/* D is larger than B, E is empty, and F is never to die. */
#define TREE	"A=1 B=0,2M C=2,2M D=0,4M E=-1 F=-1,2M A/x=0,2M A/y=-1,2M"
#define NR_TOP		6
#define NR_MANY		(256 * 1024)

struct many {
	const void *data_in;
	__u32 size_in;
	void *data_out;
	__u32 size_out;
	__u32 flags;
	__u32 repeat;
	struct bpf_oom_ctx ctx;	/* goes in and comes out */
	int retval;
};

/* 0 or a negative errno. */
static int test_run(int prog_fd, struct many *many)
{
	struct bpf_oom_ctx in = many->ctx;
	union bpf_attr attr = {
		.test = {
			.prog_fd = prog_fd,
			.ctx_in = (uintptr_t)&in,
			.ctx_size_in = sizeof(in),
			.ctx_out = (uintptr_t)&many->ctx,
			.ctx_size_out = sizeof(many->ctx),
			.data_in = (uintptr_t)many->data_in,
			.data_size_in = many->size_in,
			.data_out = (uintptr_t)many->data_out,
			.data_size_out = many->size_out,
			.flags = many->flags,
			.repeat = many->repeat,
		},
	};
	int err = prog_test_run(&attr);

	many->retval = attr.test.retval;
	return err;
}

FIXTURE(many)
{
	struct tree tree;
	struct policy *policy;
	int prog;
};

FIXTURE_SETUP(many)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	ASSERT_EQ(0, cgroup_write("F", "memory.oom.priority", "max"));
	ASSERT_EQ(0, cgroup_make("B/one"));
	ASSERT_EQ(0, cgroup_make("B/two"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->prog = bpf_program__fd(self->policy->progs.compare);
}

FIXTURE_TEARDOWN(many)
{
	policy__destroy(self->policy);
	cgroup_remove("B/one");
	cgroup_remove("B/two");
	tree_remove(&self->tree);
}

static __u64 id_of(const char *path)
{
	return strcmp(path, "?") ? cgroup_id(path) : UNKNOWN_ID;
}

/* Whatever is refused of both, with @many as it should be. */
static void check_refused(struct __test_metadata *_metadata, int prog, struct many many)
{
	struct many wrong = many;

	wrong.size_out = 0;
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong.size_out = many.size_out - 1;
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong = many;
	wrong.data_out = (void *)NOWHERE;
	EXPECT_EQ(-EFAULT, test_run(prog, &wrong));
	wrong = many;
	wrong.repeat = 2;
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong = many;
	wrong.size_in = sizeof(struct bpf_oom_priority);
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong = many;
	wrong.ctx.cgroup_id_1 = cgroup_id("A");
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong = many;
	wrong.ctx.usage_1 = 1;
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
	wrong = many;
	wrong.ctx.scope_id = UNKNOWN_ID;
	EXPECT_EQ(-ENOENT, test_run(prog, &wrong));
	wrong = many;
	wrong.flags |= BPF_F_TEST_OOM_PAIRS | BPF_F_TEST_OOM_ORDER;
	EXPECT_EQ(-EINVAL, test_run(prog, &wrong));
}

static void check_tasks_refused(struct __test_metadata *_metadata, struct many many)
{
	struct task_stage *skel = task_stage__open_and_load();

	ASSERT_NE(NULL, skel);
	EXPECT_EQ(-EOPNOTSUPP, test_run(bpf_program__fd(skel->progs.judge), &many));
	task_stage__destroy(skel);
}

TEST_F(many, pairs)
{
	static const struct {
		const char *one;
		const char *two;
		int verdict;
	} asked[] = {
		{ "A", "B", BPF_OOM_SECOND },
		{ "B", "A", BPF_OOM_FIRST },
		{ "B", "D", BPF_OOM_EQUAL },
		{ "A/y", "A/x", BPF_OOM_FIRST },
		{ "A", "E", BPF_OOM_SECOND },
		{ "A", "A/x", -EXDEV },
		{ "A", "?", -ENOENT },
		{ "A", "A", -EINVAL },
		{ "B/one", "B/two", -EOPNOTSUPP },
	};
	struct bpf_oom_pair pairs[ARRAY_SIZE(asked)] = {};
	struct many many = {
		.data_out = pairs,
		.size_out = sizeof(pairs),
		.flags = BPF_F_TEST_OOM_PAIRS,
	};
	const struct call *call = self->policy->bss->calls;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(asked); n++) {
		pairs[n].cgroup_id_1 = id_of(asked[n].one);
		pairs[n].cgroup_id_2 = id_of(asked[n].two);
		pairs[n].verdict = 77;
	}
	ASSERT_EQ(0, test_run(self->prog, &many));
	for (n = 0; n < ARRAY_SIZE(asked); n++) {
		EXPECT_EQ(asked[n].verdict, pairs[n].verdict)
			TH_LOG("%s and %s", asked[n].one, asked[n].two);
		EXPECT_EQ(id_of(asked[n].one), pairs[n].cgroup_id_1);
		EXPECT_EQ(id_of(asked[n].two), pairs[n].cgroup_id_2);
	}
	EXPECT_LE(2 * MEGABYTE, (long)pairs[0].usage_2);
	EXPECT_LE(2 * MEGABYTE, (long)pairs[1].usage_1);
	EXPECT_LE(4 * MEGABYTE, (long)pairs[2].usage_2);
	EXPECT_EQ(0U, pairs[7].usage_1);
	EXPECT_EQ(5U, self->policy->bss->nr_calls);
	EXPECT_EQ(1U, call[0].level);
	EXPECT_EQ(2U, call[3].level);

	/* A scope that the first ones are not below. */
	many.ctx = (struct bpf_oom_ctx) { .scope_id = cgroup_id("A") };
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(-EXDEV, pairs[0].verdict);
	EXPECT_EQ(BPF_OOM_FIRST, pairs[3].verdict);
	EXPECT_EQ(1U, call[5].level);

	many.ctx = (struct bpf_oom_ctx) {};
	check_refused(_metadata, self->prog, many);
	check_tasks_refused(_metadata, many);
	EXPECT_EQ(6U, self->policy->bss->nr_calls);
}

static int compare_ids(const void *a, const void *b)
{
	const struct bpf_oom_sibling *sibling_a = a, *sibling_b = b;

	return sibling_a->cgroup_id < sibling_b->cgroup_id ? -1 : 1;
}

/* The siblings of these paths, in the order of their ids. */
static void list_ids(struct bpf_oom_sibling *siblings, const char * const *paths, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		siblings[i] = (struct bpf_oom_sibling) {
			.cgroup_id = id_of(paths[i]), .usage = 77, .err = 77, .flags = 77,
		};
	qsort(siblings, nr, sizeof(*siblings), compare_ids);
}

/* "D B A C" */
static const char *names_of(const struct bpf_oom_sibling *siblings, int nr, struct tree *tree)
{
	static char text[256];
	int i, len = 0;

	for (i = 0; i < nr; i++) {
		struct node *node = tree_find_id(tree, siblings[i].cgroup_id);

		len += sprintf(text + len, "%s%s", i ? " " : "", node ? node->path : "?");
	}
	return text;
}

TEST_F(many, order)
{
	static const char * const paths[] = { "A", "B", "C", "D", "E", "F", "A/x", "?" };
	const int nr = ARRAY_SIZE(paths);
	struct bpf_oom_sibling siblings[ARRAY_SIZE(paths)];
	struct many many = {
		.data_out = siblings,
		.size_out = sizeof(siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};
	const struct call *call = self->policy->bss->calls;
	unsigned int n;

	list_ids(siblings, paths, nr);
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(BPF_OOM_EQUAL, many.retval);
	EXPECT_STREQ("D B A C E F A/x ?", names_of(siblings, nr, &self->tree));
	EXPECT_LE(4 * MEGABYTE, (long)siblings[0].usage);
	EXPECT_LE(2 * MEGABYTE, (long)siblings[5].usage);
	for (n = 0; n < NR_TOP; n++)
		EXPECT_EQ(0, siblings[n].err);
	EXPECT_EQ((__u32)BPF_OOM_SIBLING_POPULATED, siblings[3].flags);
	EXPECT_EQ(0U, siblings[4].flags);
	EXPECT_EQ((__u32)(BPF_OOM_SIBLING_POPULATED | BPF_OOM_SIBLING_MAX), siblings[5].flags);
	EXPECT_EQ(-EXDEV, siblings[6].err);
	EXPECT_EQ(-ENOENT, siblings[7].err);
	EXPECT_EQ(0U, siblings[7].usage);

	/* Four that take part: n * log2(n), as the kernel meets them. */
	EXPECT_GE(8U, self->policy->bss->nr_calls);
	for (n = 0; n < self->policy->bss->nr_calls; n++) {
		EXPECT_LT(call[n].id_1, call[n].id_2);
		EXPECT_EQ(3U, call[n].fresh);
		EXPECT_EQ(1U, call[n].level);
		EXPECT_EQ(cgroup_id(""), call[n].scope_id);
		EXPECT_EQ((__u32)(BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_DRY_RUN), call[n].flags);
	}
	EXPECT_EQ(0, tree_killed(&self->tree));

	list_ids(siblings, paths, nr);
	self->policy->bss->nr_calls = 0;
	many.ctx = (struct bpf_oom_ctx) {};
	check_refused(_metadata, self->prog, many);
	check_tasks_refused(_metadata, many);
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
}

/* Whose order, where there are children of two, and for a shortage in A. */
TEST_F(many, order_below)
{
	static const char * const paths[] = { "A/x", "A/y", "B" };
	struct bpf_oom_sibling siblings[ARRAY_SIZE(paths)];
	struct many many = {
		.data_out = siblings,
		.size_out = sizeof(siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};
	const struct call *call = self->policy->bss->calls;

	list_ids(siblings, paths, ARRAY_SIZE(paths));
	many.ctx.scope_id = cgroup_id("A");
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_STREQ("A/y A/x B", names_of(siblings, ARRAY_SIZE(paths), &self->tree));
	EXPECT_EQ(-EXDEV, siblings[2].err);
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
	EXPECT_EQ(1U, call[0].level);
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_DRY_RUN), call[0].flags);

	/* B is the oldest one, and its siblings are meant. */
	list_ids(siblings, paths, ARRAY_SIZE(paths));
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_STREQ("B A/x A/y", names_of(siblings, ARRAY_SIZE(paths), &self->tree));
	EXPECT_EQ(-EXDEV, siblings[1].err);
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
	list_ids(siblings, paths, 2);
	many.size_out = 2 * sizeof(siblings[0]);
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(2U, call[1].level);

	/* The root has no siblings, and one of A's is no sibling of its own. */
	siblings[0].cgroup_id = cgroup_id("");
	many.size_out = sizeof(siblings[0]);
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(-EXDEV, siblings[0].err);
	siblings[0].cgroup_id = cgroup_id("B/one");
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(-EOPNOTSUPP, siblings[0].err);
	EXPECT_EQ(2U, self->policy->bss->nr_calls);
}

TEST_F(many, order_of_what_is_supposed)
{
	static const char * const paths[] = { "A", "B", "C", "D", "E", "F" };
	struct bpf_oom_priority supposed[] = {
		{ .cgroup_id = cgroup_id("F"), .priority = 5, .state = BPF_OOM_PRIORITY_SET },
		{ .cgroup_id = cgroup_id("B"), .state = BPF_OOM_PRIORITY_MAX },
	};
	struct bpf_oom_sibling siblings[NR_TOP];
	struct bpf_oom_pair pair = {
		.cgroup_id_1 = cgroup_id("A"), .cgroup_id_2 = cgroup_id("F"),
	};
	struct many many = {
		.data_in = supposed,
		.size_in = sizeof(supposed),
		.data_out = siblings,
		.size_out = sizeof(siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};

	list_ids(siblings, paths, NR_TOP);
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_STREQ("F D A C B E", names_of(siblings, NR_TOP, &self->tree));
	EXPECT_EQ((__u32)BPF_OOM_SIBLING_POPULATED, siblings[0].flags);
	EXPECT_EQ((__u32)(BPF_OOM_SIBLING_POPULATED | BPF_OOM_SIBLING_MAX), siblings[4].flags);

	self->policy->bss->nr_calls = 0;
	many.data_out = &pair;
	many.size_out = sizeof(pair);
	many.flags = BPF_F_TEST_OOM_PAIRS;
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(BPF_OOM_SECOND, pair.verdict);

	supposed[1].cgroup_id = supposed[0].cgroup_id;
	many.ctx = (struct bpf_oom_ctx) {};
	EXPECT_EQ(-EINVAL, test_run(self->prog, &many));
	many.data_out = siblings;
	many.size_out = sizeof(siblings);
	many.flags = BPF_F_TEST_OOM_ORDER;
	EXPECT_EQ(-EINVAL, test_run(self->prog, &many));
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
}

TEST_F(many, no_order)
{
	static const char * const paths[] = { "A", "B", "C", "D" };
	struct bpf_oom_sibling siblings[ARRAY_SIZE(paths)];
	struct many many = {
		.data_out = siblings,
		.size_out = sizeof(siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};
	unsigned int n;

	self->policy->bss->abstain_level = 1;
	list_ids(siblings, paths, ARRAY_SIZE(paths));
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(BPF_OOM_ABSTAIN, many.retval);
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
	EXPECT_EQ(self->policy->bss->calls[0].id_1, many.ctx.cgroup_id_1);
	EXPECT_EQ(self->policy->bss->calls[0].id_2, many.ctx.cgroup_id_2);
	EXPECT_EQ(NULL, many.ctx.cgroup_1);
	for (n = 0; n < ARRAY_SIZE(paths); n++)
		EXPECT_LE(2 * MEGABYTE, (long)siblings[n].usage);

	/* One alone is not compared. */
	many.size_out = sizeof(siblings[0]);
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(BPF_OOM_EQUAL, many.retval);
	EXPECT_EQ(1U, self->policy->bss->nr_calls);
}

TEST_F(many, order_is_not_for)
{
	struct bpf_oom_sibling siblings[2];
	struct many many = {
		.data_out = siblings,
		.size_out = sizeof(siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};

	/* One that is there twice, and ids that do not ascend. */
	siblings[0].cgroup_id = cgroup_id("A");
	siblings[1].cgroup_id = cgroup_id("A");
	EXPECT_EQ(-EINVAL, test_run(self->prog, &many));
	siblings[0].cgroup_id = siblings[1].cgroup_id + 1;
	EXPECT_EQ(-EINVAL, test_run(self->prog, &many));
	/* More than a machine can have. */
	many.size_out = (1024 * 1024 + 1) * sizeof(siblings[0]);
	EXPECT_EQ(-E2BIG, test_run(self->prog, &many));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
}

static void do_nothing(int signo)
{
}

TEST_F_TIMEOUT(many, a_signal_ends_it, TEST_TIMEOUT_S)
{
	const struct itimerval often = {
		.it_value.tv_usec = 1000,
		.it_interval.tv_usec = 1000,
	}, never = {};
	struct bpf_oom_sibling *siblings = calloc(NR_MANY, sizeof(*siblings));
	struct many many = {
		.data_out = siblings,
		.size_out = NR_MANY * sizeof(*siblings),
		.flags = BPF_F_TEST_OOM_ORDER,
	};
	int n;

	ASSERT_NE(NULL, siblings);
	for (n = 0; n < NR_MANY; n++)
		siblings[n].cgroup_id = UNKNOWN_ID + n;
	ASSERT_EQ(0, test_run(self->prog, &many));
	EXPECT_EQ(-ENOENT, siblings[NR_MANY - 1].err);
	many.ctx = (struct bpf_oom_ctx) {};
	ASSERT_NE(SIG_ERR, signal(SIGALRM, do_nothing));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(-EINTR, test_run(self->prog, &many));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	free(siblings);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
