// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thousand cgroups made, killed and made anew while OOMs run. Each is made as a
 * runtime makes it: with its priority before its first task. Its name says what the
 * priority is, and the policy notes whenever it is given another one. The same with a
 * map, whose agent is one cgroup behind: what is lost is told.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "progs/priority.h"
#include "priority.skel.h"

#define NR_CGROUPS	1000
#define NR_SLOTS	10	/* at a time */
#define MADE_PER_KILL	3

struct slot {
	char path[32];
	pid_t pid;
};

FIXTURE(made_anew)
{
	struct tree tree;
	struct early *early;
	struct priority *skel;
	struct bpf_link *link;
	struct slot slot[NR_SLOTS];
	__u64 scopes[2];
	pthread_t killer;
	bool killer_runs;
	bool over;
	unsigned long made;
	unsigned long kills;
};

FIXTURE_VARIANT(made_anew)
{
	bool by_map;
};

FIXTURE_VARIANT_ADD(made_anew, by_file) {};
FIXTURE_VARIANT_ADD(made_anew, by_map) { .by_map = true };

FIXTURE_SETUP(made_anew)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 other=0,1M"));
	/* Not him, whose priority nobody judges. */
	ASSERT_EQ(0, cgroup_set_priority("other", PRECIOUS));
	ASSERT_EQ(0, cgroup_enable_memory("T"));
	self->scopes[0] = cgroup_id("");
	self->scopes[1] = cgroup_id("T");
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	self->skel = priority__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->link = attach_with(variant->by_map ? self->skel->progs.by_map :
						   self->skel->progs.by_file, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

static int empty_slot(struct slot *slot)
{
	if (slot->pid > 0) {
		kill(slot->pid, SIGKILL);
		if (waitpid(slot->pid, NULL, 0) != slot->pid)
			return -1;
		slot->pid = 0;
	}
	if (!slot->path[0])
		return 0;
	if (cgroup_remove(slot->path))
		return -1;
	slot->path[0] = '\0';
	return 0;
}

FIXTURE_TEARDOWN(made_anew)
{
	int i;

	__atomic_store_n(&self->over, true, __ATOMIC_RELAXED);
	if (self->killer_runs)
		pthread_join(self->killer, NULL);
	bpf_link__destroy(self->link);
	priority__destroy(self->skel);
	early__destroy(self->early);
	for (i = 0; i < NR_SLOTS; i++)
		empty_slot(&self->slot[i]);
	tree_remove(&self->tree);
}

/* OOMs of the machine and of T by turns, as often as there is somebody new to kill. */
static void *kill_on(void *arg)
{
	FIXTURE_DATA(made_anew) * self = arg;

	while (!__atomic_load_n(&self->over, __ATOMIC_RELAXED)) {
		if (self->kills * MADE_PER_KILL >=
		    __atomic_load_n(&self->made, __ATOMIC_RELAXED))
			nap();
		else if (!early_kill(self->early, self->scopes[self->kills % 2], 0))
			self->kills++;
	}
	return NULL;
}

/* Every other one is precious. */
static __s64 priority_of(int n)
{
	return n % 2 ? PRECIOUS : CHEAP;
}

/* The first three steps of a runtime. */
static int make_slot(struct slot *slot, int n, bool with_file)
{
	snprintf(slot->path, sizeof(slot->path), "T/%c%d", n % 2 ? 'p' : 'c', n);
	if (cgroup_make(slot->path) ||
	    (with_file && cgroup_set_priority(slot->path, priority_of(n))))
		return -1;
	slot->pid = task_start_in(slot->path, 1, 0);
	return 0;	/* who is killed on its way in has had its turn */
}

/* What the agent does when it has seen a cgroup. */
static int note_in_map(const struct priority *skel, const struct slot *slot, int n)
{
	const __s64 priority = priority_of(n);
	const __u64 id = cgroup_id(slot->path);

	return bpf_map__update_elem(skel->maps.by_id, &id, sizeof(id), &priority,
				    sizeof(priority), BPF_ANY);
}

TEST_F_TIMEOUT(made_anew, thousand_cgroups, 2 * TEST_TIMEOUT_S)
{
	struct slot *slot;
	int n;

	ASSERT_EQ(0, pthread_create(&self->killer, NULL, kill_on, self));
	self->killer_runs = true;
	for (n = 0; n < NR_CGROUPS; n++) {
		slot = &self->slot[n % NR_SLOTS];
		ASSERT_EQ(0, empty_slot(slot));
		ASSERT_EQ(0, make_slot(slot, n, !variant->by_map));
		__atomic_add_fetch(&self->made, 1, __ATOMIC_RELAXED);
		if (variant->by_map && n)
			ASSERT_EQ(0, note_in_map(self->skel,
						 &self->slot[(n - 1) % NR_SLOTS], n - 1));
	}
	__atomic_store_n(&self->over, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(self->killer, NULL));
	self->killer_runs = false;

	TH_LOG("%d cgroups, %lu kills, %llu priorities looked at, %llu of them missing or stale",
	       NR_CGROUPS, self->kills, self->skel->bss->judged, self->skel->bss->mistaken);
	EXPECT_LT(0U, self->kills);
	EXPECT_LT(0U, self->skel->bss->judged);
	EXPECT_EQ(variant->by_map, self->skel->bss->mistaken > 0);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
