// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups as deep and with names as long and as odd as the kernel allows: the right
 * leaf dies, what the report leaves out it says, and what bpftool says can be parsed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "policy.h"
#include "shell.h"

#define MAX_LEVELS	40
#define MAX_TOLD	32	/* level by level */
#define OUTPUT		"/tmp/odd_names.json"

static const struct tree no_tree;

FIXTURE(odd_names)
{
	struct policy *policy;
	struct bpf_link *link;
	int dir[MAX_LEVELS + 1];	/* level by level; 0 is the root */
	char name[MAX_LEVELS + 1][NAME_MAX + 1];
	pid_t other[MAX_LEVELS + 1];	/* in "other", beside the one of that level */
	pid_t victim;
	int log;
};

FIXTURE_VARIANT(odd_names)
{
	int levels;
	int length;		/* of a name; 0: as they are below */
	const char *leaf;	/* its line in the report begins so */
};

FIXTURE_VARIANT_ADD(odd_names, deep)
{
	.levels = MAX_LEVELS,
	.length = 4,
	.leaf = "oom_policy: and down to level 40: /0001/0002/",
};

FIXTURE_VARIANT_ADD(odd_names, long)
{
	.levels = 20,
	.length = 200,
	.leaf = "oom_policy: level 20: ...0",
};

/* Longer than any path that the kernel takes or gives. */
FIXTURE_VARIANT_ADD(odd_names, deep_and_long)
{
	.levels = MAX_LEVELS,
	.length = 200,
	.leaf = "oom_policy: and down to level 40: ...0",
};

/* The last level that has a line of its own, and the first one that has none. */
FIXTURE_VARIANT_ADD(odd_names, as_deep_as_is_told)
{
	.levels = MAX_TOLD,
	.length = 4,
	.leaf = "oom_policy: level 32: /0001/0002/",
};

FIXTURE_VARIANT_ADD(odd_names, one_level_deeper)
{
	.levels = MAX_TOLD + 1,
	.length = 4,
	.leaf = "oom_policy: and down to level 33: /0001/0002/",
};

static const char * const odd[] = {
	"with a space", "it's \"quoted\"", "back\\slash\\x2d\\", "tab\there", "\x1b[31mred",
	"\xff\xfe", "{\"a\":1}", "%s%n", "p\xc3\xa4rchen",
};

/* As the report has them. */
#define ODD_LEAF	"oom_policy: level 9: /with\\x20a\\x20space/it's\\x20\"quoted\"" \
			"/back\\x5cslash\\x5cx2d\\x5c/tab\\x09here/\\x1b[31mred" \
			"/\\xff\\xfe/{\"a\":1}/%s%n/p\\xc3\\xa4rchen ("

FIXTURE_VARIANT_ADD(odd_names, odd)
{
	.levels = ARRAY_SIZE(odd),
	.leaf = ODD_LEAF,
};

static int write_at(int dir, const char *file, const char *text)
{
	const int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd >= 0) {
		len = write(fd, text, strlen(text));
		close(fd);
	}
	return len < 0 ? -1 : 0;
}

static __u64 id_at(int dir, const char *name)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} u = { .handle.handle_bytes = sizeof(__u64) };
	int mount_id;
	__u64 id;

	if (name_to_handle_at(dir, name, &u.handle, &mount_id, 0))
		return 0;
	memcpy(&id, u.handle.f_handle, sizeof(id));
	return id;
}

static int sleeper_main(const void *arg, int ready_fd)
{
	const int *dir = arg;

	if (set_oom_score_adj(getpid(), 0) || write_at(*dir, "cgroup.procs", "0") ||
	    write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t sleeper_start(int dir)
{
	return child_start(sleeper_main, &dir, "a sleeper");
}

/* The other one is safer. */
static int make_level(FIXTURE_DATA(odd_names) * self, int level, bool last)
{
	const int parent = self->dir[level - 1];
	const __s64 priority = 1;
	int other;
	__u64 id;

	if (write_at(parent, "cgroup.subtree_control", "+memory") ||
	    mkdirat(parent, self->name[level], 0755) || mkdirat(parent, "other", 0755))
		return -1;
	self->dir[level] = openat(parent, self->name[level], O_DIRECTORY | O_CLOEXEC);
	other = openat(parent, "other", O_DIRECTORY | O_CLOEXEC);
	id = id_at(parent, "other");
	if (self->dir[level] < 0 || other < 0 ||
	    bpf_map__update_elem(self->policy->maps.oom_priority, &id, sizeof(id), &priority,
				 sizeof(priority), BPF_ANY))
		return -1;
	self->other[level] = sleeper_start(other);
	close(other);
	if (last)
		self->victim = sleeper_start(self->dir[level]);
	return self->other[level] < 0 || self->victim < 0 ? -1 : 0;
}

FIXTURE_SETUP(odd_names)
{
	int n;

	ASSERT_EQ(0, protect_ancestors());
	self->policy = policy_load(&no_tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->dir[0] = cgroup_open("");
	for (n = 1; n <= variant->levels; n++) {
		if (variant->length)
			snprintf(self->name[n], NAME_MAX, "%0*d", variant->length, n);
		else
			snprintf(self->name[n], NAME_MAX, "%s", odd[n - 1]);
		ASSERT_EQ(0, make_level(self, n, n == variant->levels)) TH_LOG("level %d: %m", n);
	}
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool vanished(int dir, const char *name)
{
	return !unlinkat(dir, name, AT_REMOVEDIR) || errno == ENOENT;
}

FIXTURE_TEARDOWN(odd_names)
{
	int n;

	close(self->log);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	end(self->victim);
	for (n = variant->levels; n; n--) {
		end(self->other[n]);
		close(self->dir[n]);
		wait_until(vanished(self->dir[n - 1], "other"));
		wait_until(vanished(self->dir[n - 1], self->name[n]));
	}
	unlink(OUTPUT);
}

static void check_json(struct __test_metadata *_metadata, const char *command)
{
	EXPECT_EQ(0, shell("bpftool -j oom %s >" OUTPUT, command))
		TH_LOG("%s: %s", command, shell_output);
	EXPECT_EQ(0, shell("jq -e . " OUTPUT " >/dev/null"))
		TH_LOG("%s: %s", command, shell_output);
}

TEST_F_TIMEOUT(odd_names, are_fit_for_json, TEST_TIMEOUT_S)
{
	check_json(_metadata, "show");
	check_json(_metadata, "rank /");
	check_json(_metadata, "select");
	EXPECT_EQ(0, shell("jq .victim.pid " OUTPUT));
	EXPECT_EQ(self->victim, atoi(shell_output));
	EXPECT_EQ(0, shell("jq '.victim.cgroup | split(\"/\") | length' " OUTPUT));
	EXPECT_EQ(variant->levels + 1, atoi(shell_output));
	EXPECT_EQ(0, shell("jq .levels_truncated " OUTPUT));
	EXPECT_STREQ(variant->levels > MAX_TOLD ? "true" : "false", shell_output);
}

TEST_F_TIMEOUT(odd_names, have_paths_of_any_length, TEST_TIMEOUT_S)
{
	EXPECT_EQ(0, shell("bpftool oom select >" OUTPUT)) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, shell("grep -c '|-> ' " OUTPUT));
	EXPECT_EQ(variant->levels > MAX_TOLD ? MAX_TOLD : variant->levels, atoi(shell_output));
	EXPECT_NE(0, shell("grep '(gone)\\|(outside ' " OUTPUT)) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, shell("grep '^victim: process %d ' " OUTPUT, self->victim));
}

/* The winner's own name is in its line, whatever was cut before it. */
static void check_level(struct __test_metadata *_metadata, const char *report, int level,
			const char *name)
{
	char begin[64], end[NAME_MAX + 4];
	const char *line, *found;

	snprintf(begin, sizeof(begin), "\noom_policy: level %d: ", level);
	snprintf(end, sizeof(end), "/%s (", name);
	line = strstr(report, begin);
	ASSERT_NE(NULL, line) TH_LOG("nothing of level %d", level);
	found = strstr(line, end);
	EXPECT_NE(NULL, found);
	EXPECT_GT(strchr(line + 1, '\n'), found) TH_LOG("level %d goes by another name", level);
}

TEST_F_TIMEOUT(odd_names, right_leaf_dies, TEST_TIMEOUT_S)
{
	char report[65536];
	int n;

	ASSERT_EQ(0, policy_event(self->policy));
	ASSERT_EQ(1U, self->policy->bss->nr_victims);
	EXPECT_EQ((__u32)self->victim, self->policy->bss->victims[0]);
	EXPECT_TRUE(wait_until(has_ended(self->victim)));
	EXPECT_LT(0, kmsg_read_report(self->log, report, sizeof(report)));
	EXPECT_NE(NULL, strstr(report, variant->leaf)) TH_LOG("%s", report);
	EXPECT_EQ(variant->levels > MAX_TOLD, !!strstr(report, "oom_policy: and down to level "));
	for (n = 1; variant->length && n <= variant->levels && n <= MAX_TOLD; n++)
		check_level(_metadata, report, n, self->name[n]);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
