// SPDX-License-Identifier: GPL-2.0-only
/*
 * A slice whose services come and go: something of the cgroups that are gone is left, so
 * that the kernel keeps them among their siblings. On 6.12 the pages of a file are enough;
 * 7.3 has their parents charged with these, but somebody's inotify it still counts for
 * whom it was made.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "scene.h"

#define NR_DYING	5000
#define NR_LIVE		10
#define SHARED_FILE	"/tmp/dying_cgroups.data"
#define PAGE		4096
#define INSTANCES	"/proc/sys/fs/inotify/max_user_instances"

/* A pass over so many pauses at every 1,024th, if it can: not at each from there on. */
#define MANY_PAUSES	100U

FIXTURE(dying)
{
	struct policy *policy;
	struct bpf_link *link;
	struct early *early;
	pid_t pid[NR_LIVE];
	int nr;
	pid_t keeper[2];
};

static void name_of(char *name, size_t size, int n)
{
	snprintf(name, size, "slice/s%d", n);
}

FIXTURE_SETUP(dying)
{
	const struct tree no_tree = {};

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, write_file(INSTANCES, "10000"));
	ASSERT_EQ(0, cgroup_make("slice"));
	ASSERT_EQ(0, cgroup_enable_memory("slice"));
	self->policy = policy_load(&no_tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->early = early_load("on_pause");
	ASSERT_NE(NULL, self->early);
	ASSERT_EQ(0, early__attach(self->early));
}

/* The next test would find them: they go with the file, and with who watches. */
FIXTURE_TEARDOWN(dying)
{
	char path[32];
	int n;

	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	for (n = 0; n < 2 && self->keeper[n] > 0; n++) {
		kill(self->keeper[n], SIGKILL);
		waitpid(self->keeper[n], NULL, 0);
	}
	for (n = 0; n < self->nr; n++) {
		kill(self->pid[n], SIGKILL);
		waitpid(self->pid[n], NULL, 0);
		name_of(path, sizeof(path), n);
		cgroup_remove(path);
	}
	unlink(SHARED_FILE);
	cgroup_remove("slice");
}

static void add_live(struct __test_metadata *_metadata, FIXTURE_DATA(dying) * self, int nr)
{
	char path[32];

	for (; nr; nr--, self->nr++) {
		name_of(path, sizeof(path), self->nr);
		ASSERT_EQ(0, cgroup_make(path));
		self->pid[self->nr] = task_start_in(path, 0, 0);
		ASSERT_LT(0, self->pid[self->nr]);
	}
}

struct range {
	int from;
	int to;
};

/* Each has one page of the file to its name and an inotify, and somebody has been in it. */
static int leave_behind(const void *arg, int ready_fd)
{
	const int fd = open(SHARED_FILE, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	const struct rlimit files = { 2 * NR_DYING, 2 * NR_DYING };
	const struct range *range = arg;
	char path[32], before[32] = "";
	const char busy = BUSY;
	int n;

	if (fd < 0 || setrlimit(RLIMIT_NOFILE, &files))
		return 1;
	for (n = range->from; n < range->to; n++) {
		snprintf(path, sizeof(path), "slice/d%d", n);
		if (cgroup_make(path) || cgroup_write(path, "cgroup.procs", "0") ||
		    pwrite(fd, "", 1, (off_t)n * PAGE) != 1 || inotify_init() < 0)
			return 1;
		if (*before && cgroup_remove(before))
			return 1;
		if (n % 100 == 0 && write(ready_fd, &busy, 1) != 1)
			return 1;
		snprintf(before, sizeof(before), "%s", path);
	}
	if (cgroup_write("", "cgroup.procs", "0") || cgroup_remove(before) ||
	    write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t add_dying(int from, int to)
{
	const struct range range = { .from = from, .to = to };

	return child_start(leave_behind, &range, "who leaves cgroups behind");
}

static void condemn(struct __test_metadata *_metadata, FIXTURE_DATA(dying) * self, int n,
		    const char *among)
{
	struct policy *policy = self->policy;
	const __u32 before = policy->bss->nr_victims;
	const __s64 priority = -1;
	struct bpf_link_info info;
	char path[32];
	__u64 id;

	name_of(path, sizeof(path), n);
	id = cgroup_id(path);
	ASSERT_EQ(0, bpf_map__update_elem(policy->maps.oom_priority, &id, sizeof(id),
					  &priority, sizeof(priority), BPF_ANY));
	ASSERT_EQ(0, policy_event(policy));
	ASSERT_EQ(before + 1, policy->bss->nr_victims);
	EXPECT_EQ(self->pid[n], (pid_t)policy->bss->victims[before]);
	ASSERT_TRUE(wait_until(has_ended(self->pid[n])));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(id, info.oom_policy.last_victim_cgroup_id);
	EXPECT_EQ(0U, info.oom_policy.fallback_budget);
	TH_LOG("%s: %llu us", among, info.oom_policy.last_ns / 1000);
}

static long nr_dying(void)
{
	return cgroup_read_long("slice", "cgroup.stat", "nr_dying_descendants");
}

/* Those that live are before, between and after the others. */
TEST_F_TIMEOUT(dying, siblings_take_no_part, 4 * TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	__u64 comparisons = 0;
	int n;

	add_live(_metadata, self, NR_LIVE / 2);
	condemn(_metadata, self, 0, "a selection among 5 cgroups");
	condemn(_metadata, self, 1, "a selection among 4 cgroups");
	self->keeper[0] = add_dying(0, NR_DYING / 2);
	ASSERT_LT(0, self->keeper[0]);
	add_live(_metadata, self, 1);
	self->keeper[1] = add_dying(NR_DYING / 2, NR_DYING);
	ASSERT_LT(0, self->keeper[1]);
	add_live(_metadata, self, NR_LIVE - self->nr);
	EXPECT_TRUE(wait_until(nr_dying() >= NR_DYING));

	ASSERT_EQ(0, policy_info(self->link, &info));
	comparisons = info.oom_policy.comparisons;
	for (n = 0; n < 3; n++) {
		static const int order[] = { NR_LIVE / 2, 2, NR_LIVE - 1 };

		condemn(_metadata, self, order[n], "... and the dying");
		comparisons += NR_LIVE - 2 - n - 1;
	}
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(comparisons, info.oom_policy.comparisons);
	EXPECT_LE(NR_DYING, nr_dying());
	TH_LOG("%ld dying, %u pauses", nr_dying(), self->early->bss->nr_looks);
	EXPECT_LE(3U * (NR_DYING / 1024), self->early->bss->nr_looks);
	EXPECT_GT(MANY_PAUSES, self->early->bss->nr_looks);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
