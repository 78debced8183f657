// SPDX-License-Identifier: GPL-2.0-only
/*
 * Victims that SIGKILL alone does not end, or that do not look alive: frozen, stopped,
 * waiting for a file system whose server is gone, led by a thread that has exited.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "../bench/slow_backend.h"
#include "kselftest_harness.h"
#include "policy.h"
#include "scene.h"

#define LONG_GRACE_MS	60000
#define NR_THREADS	8
#define MEGABYTES	24	/* of the victim */

/* A process of several threads, whose first one may exit. */
struct crew {
	const char *path;
	bool leader_exits;
};

static void *sleep_forever(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static int crew_main(const void *arg, int ready_fd)
{
	const struct crew *crew = arg;
	pthread_t thread;
	void *mem;
	int i;

	if (set_oom_score_adj(getpid(), 0) || cgroup_write(crew->path, "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, MEGABYTES * MEGABYTE, PROT_READ | PROT_WRITE,
		   MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	for (i = 1; i < NR_THREADS; i++)
		if (pthread_create(&thread, NULL, sleep_forever, NULL))
			return 1;
	if (write(ready_fd, "", 1) != 1)
		return 1;
	if (crew->leader_exits)
		syscall(SYS_exit, 0);
	sleep_forever(NULL);
	return 0;
}

static pid_t crew_start(const char *path, bool leader_exits)
{
	const struct crew crew = { .path = path, .leader_exits = leader_exits };

	return child_start(crew_main, &crew, path);
}

/* Standing still: the OOM killer's SIGKILL is enough, or the OOM reaper is. */
#define V1_FREEZER	"/tmp/freezer"

FIXTURE(still)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t victim;
	bool mounted;
};

FIXTURE_VARIANT(still)
{
	enum { FROZEN, FROZEN_BY_V1, STOPPED } how;
};

FIXTURE_VARIANT_ADD(still, frozen) { .how = FROZEN };
FIXTURE_VARIANT_ADD(still, frozen_by_v1) { .how = FROZEN_BY_V1 };
FIXTURE_VARIANT_ADD(still, stopped) { .how = STOPPED };

FIXTURE_SETUP(still)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/be=-100 T/batch=0,3M T/prod=100,3M T/hog=200"));
	self->victim = crew_start("T/be", false);
	ASSERT_LT(0, self->victim);
	scene_adopt(&self->tree, "T/be", self->victim);
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG,
				 .budget_us = NO_BUDGET_US, .grace_ms = LONG_GRACE_MS);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(still)
{
	if (self->mounted)
		write_file(V1_FREEZER "/be/freezer.state", "THAWED");
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
	if (self->mounted) {
		rmdir(V1_FREEZER "/be");
		umount(V1_FREEZER);
	}
}

static bool file_is(const char *path, const char *text)
{
	char is[64] = "";
	FILE *f = fopen(path, "re");

	if (f) {
		if (!fgets(is, sizeof(is), f))
			is[0] = '\0';
		fclose(f);
	}
	return !strcmp(is, text);
}

static void freeze_by_v1(struct __test_metadata *_metadata, FIXTURE_DATA(still) * self)
{
	char pid[16];

	mkdir(V1_FREEZER, 0700);
	ASSERT_EQ(0, mount("freezer", V1_FREEZER, "cgroup", 0, "freezer"));
	self->mounted = true;
	ASSERT_EQ(0, mkdir(V1_FREEZER "/be", 0700));
	snprintf(pid, sizeof(pid), "%d", self->victim);
	ASSERT_EQ(0, write_file(V1_FREEZER "/be/cgroup.procs", pid));
	ASSERT_EQ(0, write_file(V1_FREEZER "/be/freezer.state", "FROZEN"));
	ASSERT_TRUE(wait_until(file_is(V1_FREEZER "/be/freezer.state", "FROZEN\n")));
}

TEST_F_TIMEOUT(still, is_killed_and_nobody_else, TEST_TIMEOUT_S)
{
	long ms;

	switch (variant->how) {
	case FROZEN:
		ASSERT_EQ(0, cgroup_write("T/be", "cgroup.freeze", "1"));
		ASSERT_TRUE(wait_until(cgroup_read_long("T/be", "cgroup.events", "frozen") == 1));
		break;
	case FROZEN_BY_V1:
		freeze_by_v1(_metadata, self);
		break;
	case STOPPED:
		ASSERT_EQ(0, kill(self->victim, SIGSTOP));
		ASSERT_TRUE(wait_until(process_state(self->victim) == 'T'));
		break;
	}

	EXPECT_EQ(0, scene_feed("T", "T/hog", MEGABYTES / 2, &ms));
	TH_LOG("%d MB of it after %ld ms", MEGABYTES / 2, ms);
	EXPECT_STREQ("T/be", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(0, node_killed(tree_find(&self->tree, "T/batch")));
	EXPECT_EQ(0, node_killed(tree_find(&self->tree, "T/prod")));
}

/*
 * Killed by hand while it waits in the kernel for a file system that does not answer:
 * there is nothing more to be had from it.
 */
#define SLOW_DIR	"/tmp/slow"
#define SHORT_GRACE_MS	5000
#define STUCK_TREE	\
	"T=0 T/be=-100 T/be/old=-1 T/be/new=0,8M T/batch=0,16M T/prod=100,3M T/hog=200"

FIXTURE(stuck)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct slow_backend backend;
	pid_t writer;
	pid_t old;
};

FIXTURE_VARIANT(stuck)
{
	__u32 grace_ms;
};

FIXTURE_VARIANT_ADD(stuck, with_a_grace) { .grace_ms = SHORT_GRACE_MS };
FIXTURE_VARIANT_ADD(stuck, without) {};

static int old_main(const void *arg, int ready_fd)
{
	void *mem;

	if (set_oom_score_adj(getpid(), 0) || cgroup_write("T/be/old", "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, MEGABYTES * MEGABYTE, PROT_READ | PROT_WRITE,
		   MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
	if (mem == MAP_FAILED || write(ready_fd, "", 1) != 1)
		return 1;
	return slow_backend_map(arg, 0) ? 1 : 0;
}

FIXTURE_SETUP(stuck)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, STUCK_TREE));
	ASSERT_EQ(0, slow_backend_start(&self->backend, SLOW_DIR));
	self->writer = slow_backend_write(&self->backend, 0);
	ASSERT_LT(0, self->writer);
	self->old = child_start(old_main, &self->backend, "who gets stuck");
	ASSERT_LT(0, self->old);
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG,
				 .budget_us = NO_BUDGET_US, .grace_ms = variant->grace_ms);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(stuck)
{
	slow_backend_answer(&self->backend);
	if (self->old > 0)
		waitpid(self->old, NULL, 0);
	if (self->writer > 0)
		waitpid(self->writer, NULL, 0);
	slow_backend_stop(&self->backend);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* Without a grace the last one may be killed a moment too early: see holder.h. */
TEST_F_TIMEOUT(stuck, is_chosen_once_at_most, TEST_TIMEOUT_S)
{
	struct bpf_link_info info;
	long ms;

	ASSERT_TRUE(wait_until(process_state(self->old) == 'D'));
	ASSERT_EQ(0, kill(self->old, SIGKILL));
	EXPECT_EQ(0, scene_feed("T", "T/hog", 18, &ms));
	TH_LOG("18 MB after %ld ms", ms);

	EXPECT_EQ('D', process_state(self->old));
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "T/be/new"))));
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "T/batch"))));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_LE(2U, info.oom_policy.selections);
	if (variant->grace_ms) {
		EXPECT_GE(3U, info.oom_policy.selections);
		EXPECT_EQ(0, node_killed(tree_find(&self->tree, "T/prod")));
	}
}

/* The first thread is a zombie, and the others have the memory. */
FIXTURE(leaderless)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t victim;
};

FIXTURE_VARIANT(leaderless)
{
	const char *path;	/* where it is: "" for the root */
	__u32 flags;
};

FIXTURE_VARIANT_ADD(leaderless, in_a_cgroup) { .path = "be" };
FIXTURE_VARIANT_ADD(leaderless, in_the_root) { .path = "", .flags = BPF_F_OOM_POLICY_ROOT_TASKS };

FIXTURE_SETUP(leaderless)
{
	const __s64 lowest = -200;
	__u64 id;

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "be=-100 batch=0,8M"));
	self->victim = crew_start(variant->path, true);
	ASSERT_LT(0, self->victim);
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	id = cgroup_id(variant->path);
	ASSERT_EQ(0, bpf_map__update_elem(self->policy->maps.oom_priority, &id, sizeof(id),
					  &lowest, sizeof(lowest), BPF_ANY));
	self->link = attach_with(self->policy->progs.compare, "", .flags = variant->flags,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(leaderless)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	kill(self->victim, SIGKILL);
	wait_exit(self->victim);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(leaderless, is_killed_once_for_all_it_has, TEST_TIMEOUT_S)
{
	const struct call *call = self->policy->bss->calls;
	struct bpf_link_info info;

	ASSERT_TRUE(wait_until(process_state(self->victim) == 'Z'));
	ASSERT_FALSE(has_ended(self->victim));
	ASSERT_EQ(0, policy_event(self->policy));
	ASSERT_EQ(1U, self->policy->bss->nr_victims);
	EXPECT_EQ((__u32)self->victim, self->policy->bss->victims[0]);
	EXPECT_EQ(cgroup_id(variant->path), call->id_1);
	EXPECT_LE(MEGABYTES * MEGABYTE, (long)call->usage_1);
	EXPECT_TRUE(wait_until(has_ended(self->victim)));

	/* The next one is somebody else. */
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(2U, self->policy->bss->nr_victims);
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "batch"))));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(2U, info.oom_policy.kills);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
