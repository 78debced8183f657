// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.oom.priority: what can be written there and read, by whom, what programs are
 * given for it, and what a rehearsal takes for it that is not written.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "progs/priority.h"
#include "priority.skel.h"

#define FILE_NAME	"memory.oom.priority"
#define NOBODY		65534
#define TEXT_SIZE	64
#define MAX_SET		6

/* 0 or -errno; says nothing. */
static int put_bytes(const char *path, const char *bytes, size_t len)
{
	char full[PATH_MAX];
	int fd, err = 0;

	snprintf(full, sizeof(full), CGROUP_ROOT "/%s/" FILE_NAME, path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, bytes, len) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int put(const char *path, const char *text)
{
	return put_bytes(path, text, strlen(text));
}

/* What is there, without the newline; until the next call. */
static const char *get(const char *path)
{
	static char text[TEXT_SIZE];
	char full[PATH_MAX];
	ssize_t len;
	int fd;

	snprintf(full, sizeof(full), CGROUP_ROOT "/%s/" FILE_NAME, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len - 1 : 0] = '\0';
	return text;
}

FIXTURE(file)
{
	struct tree tree;
};

FIXTURE_SETUP(file)
{
	ASSERT_EQ(0, tree_make(&self->tree, "A=0 A/x=0"));
}

FIXTURE_TEARDOWN(file)
{
	tree_remove(&self->tree);
}

TEST_F(file, takes_numbers_and_two_words)
{
	static const struct {
		const char *written;
		const char *read;
	} good[] = {
		{ "5\n", "5" }, { "-100", "-100" }, { "0\n", "0" }, { " 7", "7" }, { "7 ", "7" },
		{ "-9223372036854775808\n", "-9223372036854775808" },
		{ "9223372036854775807\n", "9223372036854775807" },
		{ "max\n", "max" }, { "unset\n", "unset" }, { "-0", "0" },
	};
	size_t i;

	EXPECT_STREQ("unset", get("A"));
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, put("A", good[i].written));
		EXPECT_STREQ(good[i].read, get("A"));
		EXPECT_STREQ("unset", get("A/x"));
	}
}

TEST_F(file, takes_nothing_else)
{
	static const char * const before[] = { "-42", "max", "unset" };
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "\n", -EINVAL }, { " ", -EINVAL }, { "high", -EINVAL }, { "5 6", -EINVAL },
		{ "5x", -EINVAL }, { "0x10", -EINVAL }, { "1.5", -EINVAL }, { "-", -EINVAL },
		{ "--1", -EINVAL }, { "MAX", -EINVAL }, { "maximum", -EINVAL }, { "\xff", -EINVAL },
		{ "9223372036854775808", -ERANGE }, { "-9223372036854775809", -ERANGE },
		{ "99999999999999999999999999999999", -ERANGE },
	};
	size_t i, j;

	for (j = 0; j < ARRAY_SIZE(before); j++) {
		ASSERT_EQ(0, put("A", before[j]));
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(bad[i].err, put("A", bad[i].text))
				TH_LOG("'%s'", bad[i].text);
			EXPECT_STREQ(before[j], get("A"));
		}
	}
}

/* A string may bring the NUL that ends it, and nothing behind that. */
TEST_F(file, takes_no_nul)
{
	ASSERT_EQ(0, put("A", "-42"));
	EXPECT_EQ(-EINVAL, put_bytes("A", "5\0x", 3));
	EXPECT_EQ(-EINVAL, put_bytes("A", "5\0\n", 3));
	EXPECT_EQ(-EINVAL, put_bytes("A", "max\0imum", 8));
	EXPECT_EQ(-EINVAL, put_bytes("A", "\0x", 2));
	EXPECT_EQ(-EINVAL, put_bytes("A", "\0", 1));
	EXPECT_STREQ("-42", get("A"));
	EXPECT_EQ(0, put_bytes("A", "5", 2));
	EXPECT_STREQ("5", get("A"));
	EXPECT_EQ(0, put_bytes("A", "max\n\0", 5));
	EXPECT_STREQ("max", get("A"));
}

TEST_F(file, is_not_of_the_root)
{
	EXPECT_EQ(-ENOENT, put("", "5"));
}

TEST_F(file, goes_with_its_cgroup)
{
	ASSERT_EQ(0, put("A/x", "5"));
	ASSERT_EQ(0, cgroup_remove("A/x"));
	ASSERT_EQ(0, cgroup_make("A/x"));
	EXPECT_STREQ("unset", get("A/x"));
}

/* A tenant may order what is below it, and not itself among its siblings. */
static int in_child(int (*main)(void))
{
	const pid_t pid = fork();

	if (!pid)
		_exit(main());
	return pid < 0 ? -1 : wait_exit(pid);
}

/* The namespace's root is where the process was that made it. */
static int in_namespace(void)
{
	if (cgroup_write("A/x", "cgroup.procs", "0") || unshare(CLONE_NEWCGROUP) ||
	    cgroup_make("A/x/own") || cgroup_write("A/x/own", "cgroup.procs", "0") ||
	    cgroup_enable_memory("A/x"))
		return 1;
	if (put("A/x", "1000") != -EPERM || strcmp(get("A/x"), "-5"))
		return 2;
	return put("A/x/own", "1000") || strcmp(get("A/x/own"), "1000") ? 3 : 0;
}

TEST_F(file, is_not_delegated_with_a_namespace)
{
	ASSERT_EQ(0, mount("none", CGROUP_ROOT, NULL, MS_REMOUNT, "nsdelegate"));
	ASSERT_EQ(0, put("A/x", "-5"));
	EXPECT_EQ(0, in_child(in_namespace));
	EXPECT_EQ(0, cgroup_remove("A/x/own"));
	EXPECT_EQ(0, mount("none", CGROUP_ROOT, NULL, MS_REMOUNT, ""));
}

/* What systemd gives to whom it delegates: the cgroup and the files of that list. */
static int give_away(const char *path)
{
	FILE *list = fopen("/sys/kernel/cgroup/delegate", "re");
	char full[PATH_MAX], file[TEXT_SIZE];
	int err;

	snprintf(full, sizeof(full), CGROUP_ROOT "/%s", path);
	err = chown(full, NOBODY, NOBODY);
	while (list && fscanf(list, "%63s", file) == 1) {
		if (!strcmp(file, FILE_NAME))
			err = -1;
		snprintf(full, sizeof(full), CGROUP_ROOT "/%s/%s", path, file);
		if (chown(full, NOBODY, NOBODY) && errno != ENOENT)
			err = -1;
	}
	if (list)
		fclose(list);
	return list ? err : -1;
}

static int as_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) || cgroup_make("A/x/own") ||
	    cgroup_enable_memory("A/x"))
		return 1;
	if (put("A/x", "1000") != -EACCES || strcmp(get("A/x"), "-5"))
		return 2;
	if (put("A/x/own", "1000") || strcmp(get("A/x/own"), "1000"))
		return 3;
	return put("A/x/own", "max") != -EPERM || strcmp(get("A/x/own"), "1000") ? 4 : 0;
}

TEST_F(file, is_not_delegated_to_a_user)
{
	ASSERT_EQ(0, put("A/x", "-5"));
	ASSERT_EQ(0, give_away("A/x"));
	EXPECT_EQ(0, in_child(as_nobody));
	EXPECT_EQ(0, cgroup_remove("A/x/own"));
}

/* What a candidate counts with. */
struct own {
	const char *path;
	const char *text;
};

static int put_all(const struct own *own)
{
	int n, err = 0;

	for (n = 0; n < MAX_SET && own[n].path; n++)
		err |= put(own[n].path, own[n].text);
	return err;
}

FIXTURE(candidate)
{
	struct tree tree;
	struct policy *recorder;
	struct priority *skel;
	struct bpf_link *link;
};

FIXTURE_VARIANT(candidate)
{
	const char *tree;
	struct own own[MAX_SET];
	const char *scope;		/* NULL: the machine */
	const char *seen;		/* the first comparison */
	const char *victim;
	__u64 none_eligible;
};

FIXTURE_VARIANT_ADD(candidate, own) {
	.tree = "A=0,4M B=0,8M C=0,16M", .own = { { "A", "10" }, { "B", "-5" } },
	.seen = "A:10 B:-5", .victim = "B",
};

FIXTURE_VARIANT_ADD(candidate, unset_is_that_of_an_only_child) {
	.tree = "A=0 A/x=0,4M B=0,16M", .own = { { "A/x", "-5" } },
	.seen = "A:-5 B:0", .victim = "A/x",
};

FIXTURE_VARIANT_ADD(candidate, unset_is_that_of_an_only_child_further_down) {
	.tree = "A=0 A/x=0 A/x/y=0,4M B=0,16M", .own = { { "A/x/y", "-5" } },
	.seen = "A:-5 B:0", .victim = "A/x/y",
};

FIXTURE_VARIANT_ADD(candidate, own_counts_and_not_that_of_an_only_child) {
	.tree = "A=0 A/x=0,4M B=0,16M", .own = { { "A", "7" }, { "A/x", "-5" } },
	.seen = "A:7 B:0", .victim = "B",
};

FIXTURE_VARIANT_ADD(candidate, zero_is_not_unset) {
	.tree = "A=0 A/x=0,4M B=0,16M", .own = { { "A", "0" }, { "A/x", "-5" } },
	.seen = "A:0 B:0", .victim = "B",
};

FIXTURE_VARIANT_ADD(candidate, two_children_are_no_only_child) {
	.tree = "A=0 A/x=0,4M A/y=0,4M B=0,24M", .own = { { "A/x", "-5" }, { "A/y", "-5" } },
	.seen = "A:0 B:0", .victim = "B",
};

FIXTURE_VARIANT_ADD(candidate, children_without_processes_do_not_count) {
	.tree = "A=0 A/e=0 A/x=0,4M A/f=0 B=0,16M", .own = { { "A/e", "9" }, { "A/x", "-5" } },
	.seen = "A:-5 B:0", .victim = "A/x",
};

FIXTURE_VARIANT_ADD(candidate, unset_again) {
	.tree = "A=0,4M B=0,16M", .own = { { "A", "-5" }, { "A", "unset" } },
	.seen = "A:0 B:0", .victim = "B",
};

FIXTURE_VARIANT_ADD(candidate, lowest_and_highest) {
	.tree = "A=0,4M B=0,16M",
	.own = { { "A", "-9223372036854775808" }, { "B", "9223372036854775807" } },
	.seen = "A:-9223372036854775808 B:9223372036854775807", .victim = "A",
};

FIXTURE_VARIANT_ADD(candidate, max_is_none) {
	.tree = "A=0,32M B=0,4M C=0,8M", .own = { { "A", "max" } },
	.seen = "B:0 C:0", .victim = "C",
};

FIXTURE_VARIANT_ADD(candidate, max_of_an_only_child) {
	.tree = "A=0 A/x=0,32M B=0,4M C=0,8M", .own = { { "A/x", "max" } },
	.seen = "B:0 C:0", .victim = "C",
};

FIXTURE_VARIANT_ADD(candidate, max_of_all_below) {
	.tree = "A=0 A/x=0,16M A/y=0,16M B=0,4M",
	.own = { { "A", "-5" }, { "A/x", "max" }, { "A/y", "max" } },
	.seen = "A:-5 B:0", .victim = "B",
};

/* Then the stock killer decides, which knows nothing of it. */
FIXTURE_VARIANT_ADD(candidate, max_of_all) {
	.tree = "A=0,32M B=0,4M", .own = { { "A", "max" }, { "B", "max" } },
	.seen = "", .victim = "A", .none_eligible = 1,
};

FIXTURE_VARIANT_ADD(candidate, memcg_own) {
	.tree = "T=0 T/A=0,8M T/B=0,16M P=-9,4M", .own = { { "T/A", "-5" }, { "T", "max" } },
	.scope = "T", .seen = "T/A:-5 T/B:0", .victim = "T/A",
};

FIXTURE_VARIANT_ADD(candidate, memcg_max_is_none) {
	.tree = "T=0 T/A=0,16M T/B=0,8M", .own = { { "T/A", "max" } },
	.scope = "T", .seen = "", .victim = "T/B",
};

FIXTURE_SETUP(candidate)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	ASSERT_EQ(0, put_all(variant->own));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	self->skel = priority__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->link = attach_with(self->skel->progs.by_file, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(candidate)
{
	bpf_link__destroy(self->link);
	priority__destroy(self->skel);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

static const char *first_seen(const struct priority *skel, struct tree *tree)
{
	static char text[256];
	const struct node *node;
	int n, len = 0;

	text[0] = '\0';
	for (n = 0; n < 2 && n < (int)skel->bss->nr_seen; n++) {
		node = tree_find_id(tree, skel->bss->seen[n].cgroup_id);
		len += snprintf(text + len, sizeof(text) - len, "%s%s:%lld", n ? " " : "",
				node ? node->path : "?", skel->bss->seen[n].priority);
	}
	return text;
}

TEST_F_TIMEOUT(candidate, victim, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;

	ASSERT_EQ(0, variant->scope ?
		  policy_memcg_shortage(self->recorder, &self->tree, variant->scope, NULL, 1) :
		  policy_event(self->recorder));
	EXPECT_STREQ(variant->seen, first_seen(self->skel, &self->tree));
	EXPECT_STREQ(variant->victim, policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(variant->none_eligible, info.oom_policy.fallback_none_eligible);
}

/* Processes have the priority of the memcg that they are in. */
FIXTURE(tasks)
{
	struct tree tree;
	struct policy *recorder;
	struct priority *skel;
	struct bpf_link *link;
};

FIXTURE_SETUP(tasks)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,group A/x=0,4M A/y=0,4M A/z=0,4M"));
	ASSERT_EQ(0, put("A/x", "3"));
	ASSERT_EQ(0, put("A/y", "max"));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	self->skel = priority__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->link = attach_with(self->skel->progs.by_task, "A",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(tasks)
{
	bpf_link__destroy(self->link);
	priority__destroy(self->skel);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(tasks, have_that_of_their_memcg, TEST_TIMEOUT_S)
{
	const struct seen *seen = self->skel->bss->seen;
	const struct node *node;
	__s64 expected;
	__u32 n;

	ASSERT_EQ(0, policy_memcg_shortage(self->recorder, &self->tree, "A", NULL, 3));
	EXPECT_EQ(self->recorder->bss->victims[0],
		  (__u32)tree_find(&self->tree, "A/z")->pid[0]);
	ASSERT_EQ(4U, self->skel->bss->nr_seen);
	for (n = 0; n < 4; n++) {
		node = tree_find_pid(&self->tree, seen[n].pid);
		ASSERT_NE(NULL, node);
		expected = !strcmp(node->path, "A/x") ? 3 :
			   !strcmp(node->path, "A/y") ? LLONG_MAX : 0;
		EXPECT_EQ(expected, seen[n].priority) TH_LOG("%s", node->path);
	}
}

/* Without a shortage: what is, what would be, and candidates that are made up. */
FIXTURE(rehearsed)
{
	struct tree tree;
	struct priority *skel;
	int prog;
};

FIXTURE_SETUP(rehearsed)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0 A/x=0,4M B=0,16M C=0,8M"));
	self->skel = priority__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->prog = bpf_program__fd(self->skel->progs.by_file);
}

FIXTURE_TEARDOWN(rehearsed)
{
	priority__destroy(self->skel);
	tree_remove(&self->tree);
}

/* Path of the cgroup that would be taken. */
static const char *would_die(struct tree *tree, int prog, const struct bpf_oom_priority *list,
			     __u32 size)
{
	struct bpf_oom_ctx in = { .cgroup_id_1 = cgroup_id("") }, out = {};
	const struct node *node;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .data_in = list,
		    .data_size_in = size, .flags = BPF_F_TEST_OOM_SELECT);

	if (bpf_prog_test_run_opts(prog, &opts))
		return strerror(errno);
	if (opts.retval)
		return strerror(-opts.retval);
	node = tree_find_id(tree, out.cgroup_id_1);
	return node ? node->path : "?";
}

TEST_F(rehearsed, from_the_live_tree)
{
	EXPECT_STREQ("B", would_die(&self->tree, self->prog, NULL, 0));
	ASSERT_EQ(0, put("A/x", "-5"));
	EXPECT_STREQ("A/x", would_die(&self->tree, self->prog, NULL, 0));
	ASSERT_EQ(0, put("A", "5"));
	ASSERT_EQ(0, put("B", "max"));
	EXPECT_STREQ("C", would_die(&self->tree, self->prog, NULL, 0));
	ASSERT_EQ(0, put("A", "max"));
	ASSERT_EQ(0, put("C", "max"));
	EXPECT_STREQ(strerror(ESRCH), would_die(&self->tree, self->prog, NULL, 0));
}

TEST_F(rehearsed, what_if)
{
	struct bpf_oom_priority list[] = {
		{ .cgroup_id = tree_find(&self->tree, "C")->id, .priority = -7,
		  .state = BPF_OOM_PRIORITY_SET },
		{ .cgroup_id = tree_find(&self->tree, "A/x")->id, .priority = -8,
		  .state = BPF_OOM_PRIORITY_SET },
		{ .cgroup_id = tree_find(&self->tree, "A")->id,
		  .state = BPF_OOM_PRIORITY_UNSET },
	};
	const __u32 one = sizeof(list[0]);

	ASSERT_EQ(0, put("A", "1000"));
	EXPECT_STREQ("C", would_die(&self->tree, self->prog, list, one));
	EXPECT_STREQ("C", would_die(&self->tree, self->prog, list, 2 * one));
	EXPECT_STREQ("A/x", would_die(&self->tree, self->prog, list, 3 * one));
	list[1].state = BPF_OOM_PRIORITY_MAX;
	list[1].priority = 0;
	EXPECT_STREQ("C", would_die(&self->tree, self->prog, list, 3 * one));
	list[0].state = BPF_OOM_PRIORITY_MAX;
	list[0].priority = 0;
	EXPECT_STREQ("B", would_die(&self->tree, self->prog, list, 3 * one));

	/* Nothing of it was written. */
	EXPECT_STREQ("1000", get("A"));
	EXPECT_STREQ("unset", get("A/x"));
	EXPECT_STREQ("unset", get("C"));
	EXPECT_STREQ("B", would_die(&self->tree, self->prog, NULL, 0));
}

TEST_F(rehearsed, one_comparison)
{
	struct bpf_oom_ctx in = {
		.cgroup_id_1 = tree_find(&self->tree, "A")->id,
		.cgroup_id_2 = tree_find(&self->tree, "B")->id,
	}, out;
	const struct bpf_oom_priority high = {
		.cgroup_id = in.cgroup_id_1, .priority = 9, .state = BPF_OOM_PRIORITY_SET,
	};

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));

	ASSERT_EQ(0, put("A/x", "-5"));
	ASSERT_EQ(0, put("B", "max"));
	ASSERT_EQ(0, bpf_prog_test_run_opts(self->prog, &opts));
	EXPECT_EQ((__u32)BPF_OOM_FIRST, opts.retval);
	EXPECT_EQ(-5, out.priority_1);
	EXPECT_EQ(LLONG_MAX, out.priority_2);

	ASSERT_EQ(0, put("B", "5"));
	opts.data_in = &high;
	opts.data_size_in = sizeof(high);
	opts.ctx_size_out = sizeof(out);
	ASSERT_EQ(0, bpf_prog_test_run_opts(self->prog, &opts));
	EXPECT_EQ((__u32)BPF_OOM_SECOND, opts.retval);
	EXPECT_EQ(9, out.priority_1);
	EXPECT_EQ(5, out.priority_2);
}

TEST_F(rehearsed, made_up)
{
	struct bpf_oom_ctx in = {
		.cgroup_id_1 = 1001, .cgroup_id_2 = 1002,
		.priority_1 = LLONG_MIN, .priority_2 = -1,
	};

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .flags = BPF_F_TEST_OOM_CTX);

	ASSERT_EQ(0, bpf_prog_test_run_opts(self->prog, &opts));
	EXPECT_EQ((__u32)BPF_OOM_FIRST, opts.retval);
	in.priority_1 = 0;
	ASSERT_EQ(0, bpf_prog_test_run_opts(self->prog, &opts));
	EXPECT_EQ((__u32)BPF_OOM_SECOND, opts.retval);
	/* Who knows no priorities gives none. */
	opts.ctx_size_in = offsetof(struct bpf_oom_ctx, priority_1);
	ASSERT_EQ(0, bpf_prog_test_run_opts(self->prog, &opts));
	EXPECT_EQ((__u32)BPF_OOM_EQUAL, opts.retval);
}

TEST_F(rehearsed, wrong_what_if)
{
	static struct bpf_oom_priority many[65536 / sizeof(struct bpf_oom_priority) + 1];
	const __u64 id = tree_find(&self->tree, "A")->id;
	struct bpf_oom_priority list[2] = {};
	const __u32 size = sizeof(list);

	list[0] = (struct bpf_oom_priority) { .cgroup_id = id, .state = BPF_OOM_PRIORITY_MAX };
	EXPECT_STREQ("B", would_die(&self->tree, self->prog, list, size / 2));
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, list, size / 2 - 1));
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, NULL, size));
	EXPECT_STREQ(strerror(EFAULT), would_die(&self->tree, self->prog, (void *)8, size));
	EXPECT_STREQ(strerror(E2BIG), would_die(&self->tree, self->prog, many, sizeof(many)));
	list[1] = list[0];
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, list, size));
	list[1].cgroup_id = 12345;	/* whoever that is */
	EXPECT_STREQ("B", would_die(&self->tree, self->prog, list, size));
	list[1].state = BPF_OOM_PRIORITY_MAX + 1;
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, list, size));
	list[1].state = BPF_OOM_PRIORITY_UNSET;
	list[1].priority = 1;
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, list, size));
	list[1].priority = 0;
	list[1].reserved = 1;
	EXPECT_STREQ(strerror(EINVAL), would_die(&self->tree, self->prog, list, size));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
