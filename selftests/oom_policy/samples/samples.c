// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who dies under each sample policy: trees on which samples differ from one
 * another, each with a real global OOM per sample.
 *
 * lib/tree.h explains how a tree is written down; a priority of 0 stands for one
 * that was not set. The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/magic.h>

#include "../../../../../samples/oom_policy/rehearsal.h"
#include "kselftest_harness.h"
#include "policy.h"
#include "sample.h"

#define TEXT_SIZE	256
#define NR_PROMISES	3

struct promise {
	const char *path;
	const char *min;
	const char *low;
};

FIXTURE(samples)
{
	struct tree tree;
	struct policy *recorder;
	struct sample sample;
};

FIXTURE_VARIANT(samples)
{
	const char *sample;		/* NULL: the stock killer */
	__u32 flags;
	__u64 floor_mb;
	const char *tree;
	const char *cache;		/* who has page cache besides */
	const char *tasks_of;		/* who has these tasks besides */
	struct sample_task tasks[SAMPLE_TASKS];
	struct promise promises[NR_PROMISES];
	bool pressure;			/* a hog instead of sysrq-f */
	const char *victims;
	int task;			/* which of the tasks, from 1 on */
};

/* Page cache is usage, and no footprint. */
#define CACHE	.tree = "A=0,8M B=0,24M", .cache = "A"

FIXTURE_VARIANT_ADD(samples, cache_tenant_prio) {
	CACHE, .sample = "tenant_prio", .victims = "A",
};

FIXTURE_VARIANT_ADD(samples, cache_biggest) {
	CACHE, .sample = "biggest", .victims = "B",
};

/* The largest leaf is not below the largest sibling. */
#define LARGEST	.tree = "A=0 A/x=0,24M A/y=0,20M B=0,32M C=0 C/z=0 C/z/u=0,28M C/z/v=0,8M"

FIXTURE_VARIANT_ADD(samples, largest_leaf_tenant_prio) {
	LARGEST, .sample = "tenant_prio", .victims = "A/x",
};

FIXTURE_VARIANT_ADD(samples, largest_leaf_biggest) {
	LARGEST, .sample = "biggest", .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, largest_leaf_biggest_under_pressure) {
	LARGEST, .sample = "biggest", .pressure = true, .victims = "B",
};

/* ... or three levels down. */
#define DEEP	.tree = "A=0,24M B=0,20M C=0 C/z=0 C/z/u=0,32M C/z/v=0,4M D=0 D/x=0,30M D/y=0,28M"

FIXTURE_VARIANT_ADD(samples, deep_leaf_tenant_prio) {
	DEEP, .sample = "tenant_prio", .victims = "D/x",
};

FIXTURE_VARIANT_ADD(samples, deep_leaf_biggest) {
	DEEP, .sample = "biggest", .victims = "C/z/u",
};

/* A group is one workload, however it is divided. */
#define GROUP	.tree = "A=0,group A/x=0,16M A/y=0,20M B=0 B/p=0,28M B/q=0,24M"

FIXTURE_VARIANT_ADD(samples, group_tenant_prio) {
	GROUP, .sample = "tenant_prio", .victims = "B/p",
};

FIXTURE_VARIANT_ADD(samples, group_biggest) {
	GROUP, .sample = "biggest", .victims = "A/x A/y",
};

#define ROOT	.tree = "A=0,24M B=0,8M", .tasks_of = "", .tasks = { { 40, 0 } }

FIXTURE_VARIANT_ADD(samples, root_tasks_biggest) {
	ROOT, .sample = "biggest", .flags = BPF_F_OOM_POLICY_ROOT_TASKS, .victims = "root",
};

FIXTURE_VARIANT_ADD(samples, root_tasks_left_out_biggest) {
	ROOT, .sample = "biggest", .victims = "A",
};

#define PROMISE	.tree = "A=0,48M B=0,16M C=0,24M", .promises = {	\
			{ "A", "16M", "64M" }, { "B", "4M", "2M" }, { "C", "0", "16M" } }

FIXTURE_VARIANT_ADD(samples, promise_protection) {
	PROMISE, .sample = "protection", .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, promise_protection_under_pressure) {
	PROMISE, .sample = "protection", .pressure = true, .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, promise_biggest) {
	PROMISE, .sample = "biggest", .victims = "A",
};

#define NO_PROMISE .tree = "A=0,48M B=0,16M C=0,24M", .promises = {	\
			{ "A", "0", "4M" } }

FIXTURE_VARIANT_ADD(samples, no_promise_protection) {
	NO_PROMISE, .sample = "protection", .victims = "C",
};

FIXTURE_VARIANT_ADD(samples, no_promise_tenant_prio) {
	NO_PROMISE, .sample = "tenant_prio", .victims = "A",
};

#define UNLIMITED .tree = "A=0,48M B=0,16M", .promises = { { "A", "max", "max" },	\
			{ "B", "0", "15M" } }

FIXTURE_VARIANT_ADD(samples, unlimited_promise_protection) {
	UNLIMITED, .sample = "protection", .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, unlimited_promise_biggest) {
	UNLIMITED, .sample = "biggest", .victims = "A",
};

#define INHERIT	.tree = "P=50 Q=60,32M P/a=0,8M P/b=10 P/b/x=0,4M P/b/y=20,16M P/b/z=5,8M"

FIXTURE_VARIANT_ADD(samples, inherit_inherit) {
	INHERIT, .sample = "inherit", .victims = "P/b/z",
};

FIXTURE_VARIANT_ADD(samples, inherit_tenant_prio) {
	INHERIT, .sample = "tenant_prio", .victims = "P/a",
};

#define INHERIT_FAR .tree = "P=50 P/a=0 P/a/b=0 P/a/b/x=0,24M P/a/b/y=40,8M"

FIXTURE_VARIANT_ADD(samples, inherit_from_far_inherit) {
	INHERIT_FAR, .sample = "inherit", .victims = "P/a/b/y",
};

FIXTURE_VARIANT_ADD(samples, inherit_from_far_tenant_prio) {
	INHERIT_FAR, .sample = "tenant_prio", .victims = "P/a/b/x",
};

#define FLOOR	.tree = "A=-10,4M B=-5,24M C=10,48M D=-20,2M"

FIXTURE_VARIANT_ADD(samples, floor_tenant_prio) {
	FLOOR, .sample = "tenant_prio", .floor_mb = 16, .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, floor_none_tenant_prio) {
	FLOOR, .sample = "tenant_prio", .victims = "D",
};

FIXTURE_VARIANT_ADD(samples, floor_above_all_tenant_prio) {
	FLOOR, .sample = "tenant_prio", .floor_mb = 256, .victims = "D",
};

/* D has more than the floor, but it would not come back for sure. */
FIXTURE_VARIANT_ADD(samples, floor_of_what_comes_back_tenant_prio) {
	.tree = "A=-10,4M B=-5,24M C=10,48M D=-20,24M,shared",
	.sample = "tenant_prio", .floor_mb = 16, .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, floor_biggest) {
	FLOOR, .sample = "biggest", .victims = "C",
};

/* Small values: oom_badness() takes them for shares of a machine of any size. */
#define TASKS	.tree = "A=0", .tasks_of = "A", .victims = "A",		\
		.tasks = { { 48, 20 }, { 8, 30 }, { 16, 0 } }

FIXTURE_VARIANT_ADD(samples, tasks_youngest_task) {
	TASKS, .sample = "youngest_task", .task = 3,
};

FIXTURE_VARIANT_ADD(samples, tasks_score_adj_task) {
	TASKS, .sample = "score_adj_task", .task = 2,
};

FIXTURE_VARIANT_ADD(samples, tasks_stock) {
	TASKS, .task = 1,
};

#define ADJ_TIE	.tree = "A=0", .tasks_of = "A", .victims = "A",		\
		.tasks = { { 8, 50 }, { 32, 50 }, { 48, 0 }, { 16, 50 } }

FIXTURE_VARIANT_ADD(samples, tie_score_adj_task) {
	ADJ_TIE, .sample = "score_adj_task", .task = 2,
};

FIXTURE_VARIANT_ADD(samples, tie_youngest_task) {
	ADJ_TIE, .sample = "youngest_task", .task = 4,
};

#define REHEARSE .tree = "A=-5 A/x=3,8M A/y=0,4M B=0,48M"

FIXTURE_VARIANT_ADD(samples, rehearse_rehearsal) {
	REHEARSE, .sample = "rehearsal", .flags = BPF_F_OOM_POLICY_ROOT_TASKS, .victims = "B",
};

FIXTURE_VARIANT_ADD(samples, rehearse_tenant_prio) {
	REHEARSE, .sample = "tenant_prio", .victims = "A/y",
};

FIXTURE_SETUP(samples)
{
	const struct promise *promise = variant->promises;
	struct statfs fs;
	int n;

	if (variant->cache && (statfs("/scratch", &fs) || fs.f_type != EXT4_SUPER_MAGIC))
		SKIP(return, "no disk at /scratch");
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, variant->tree));
	if (variant->tasks_of)
		ASSERT_EQ(0, sample_add_tasks(&self->tree, variant->tasks_of, variant->tasks));
	if (variant->cache)
		ASSERT_EQ(0, sample_fill_cache(variant->cache, 64));
	for (n = 0; n < NR_PROMISES && promise[n].path; n++) {
		ASSERT_EQ(0, cgroup_write(promise[n].path, "memory.min", promise[n].min));
		ASSERT_EQ(0, cgroup_write(promise[n].path, "memory.low", promise[n].low));
	}
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	if (variant->sample)
		ASSERT_EQ(0, sample_attach(&self->sample, variant->sample, variant->flags,
					   &self->tree, variant->floor_mb << 20));
	/* A policy sees no more of them than the last flush has. */
	ASSERT_EQ(0, sample_flush_stats(&self->tree));
}

FIXTURE_TEARDOWN(samples)
{
	sample_detach(&self->sample);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

static void check_victims(struct __test_metadata *_metadata, struct policy *recorder,
			  struct tree *tree, const char *expected)
{
	EXPECT_STREQ(expected, policy_victims(recorder, tree));
	EXPECT_TRUE(policy_victims_died(recorder, tree));
}

TEST_F_TIMEOUT(samples, victim, TEST_TIMEOUT_S)
{
	const struct node *node;

	ASSERT_EQ(0, variant->pressure ? policy_shortage(self->recorder, &self->tree) :
					 policy_event(self->recorder));
	check_victims(_metadata, self->recorder, &self->tree, variant->victims);
	if (variant->task) {
		node = tree_find(&self->tree, variant->tasks_of);
		ASSERT_NE(NULL, node);
		EXPECT_EQ((__u32)node->pid[variant->task - 1], self->recorder->bss->victims[0]);
	}
}

/* What a rehearsal writes down, and that it does nothing else. */
struct kept {
	struct rehearsal_event event;
	int nr_events;
};

FIXTURE(rehearsal)
{
	struct tree tree;
	struct policy *recorder;
	struct sample sample;
	struct kept kept;
};

FIXTURE_SETUP(rehearsal)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=-5 A/x=3,8M A/y=0 A/y/p=0,4M B=0,48M C=-9"));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	ASSERT_EQ(0, sample_attach(&self->sample, "rehearsal", BPF_F_OOM_POLICY_ROOT_TASKS,
				   &self->tree, 0));
}

FIXTURE_TEARDOWN(rehearsal)
{
	sample_detach(&self->sample);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

static int keep_event(void *arg, void *data, size_t size)
{
	struct kept *kept = arg;

	if (size == sizeof(kept->event))
		memcpy(&kept->event, data, size);
	kept->nr_events++;
	return 0;
}

TEST_F_TIMEOUT(rehearsal, writes_down_and_kills_nothing_else, TEST_TIMEOUT_S)
{
	const struct rehearsal_event *event = &self->kept.event;
	const struct rehearsal_level *level = event->level;
	struct ring_buffer *ring;
	struct bpf_link_info info;

	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(self->sample.obj,
								"oom_rehearsal"),
				keep_event, &self->kept, NULL);
	ASSERT_NE(NULL, ring);
	ASSERT_EQ(0, policy_event(self->recorder));
	check_victims(_metadata, self->recorder, &self->tree, "B");
	EXPECT_EQ(1, ring_buffer__consume(ring));
	ring_buffer__free(ring);

	EXPECT_EQ(1, self->kept.nr_events);
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_SYSRQ), event->event_flags);
	EXPECT_EQ(cgroup_id(""), event->scope_id);
	ASSERT_EQ(3U, event->nr_levels);
	EXPECT_EQ(tree_find(&self->tree, "A")->id, level[0].winner_id);
	EXPECT_EQ(-5, level[0].priority);
	EXPECT_EQ(2U, level[0].eligible);
	EXPECT_EQ(tree_find(&self->tree, "A/y")->id, level[1].winner_id);
	EXPECT_LE(4U << 20, level[1].usage);
	EXPECT_EQ(tree_find(&self->tree, "A/y/p")->id, level[2].winner_id);
	EXPECT_EQ(1U, level[2].eligible);

	ASSERT_EQ(0, policy_info(self->sample.link, &info));
	EXPECT_EQ(1U, info.oom_policy.comparisons);
	EXPECT_EQ(1U, info.oom_policy.fallback_abstain);
}

/* The loaders, as somebody at a shell has them. */
#define PIN_DIR		"/sys/fs/bpf/samples_test"
#define OUTPUT		"/tmp/rehearsal.out"

FIXTURE(loaders)
{
	struct tree tree;
	struct policy *recorder;
};

FIXTURE_SETUP(loaders)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,4M B=0,24M C=0,48M"));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
}

FIXTURE_TEARDOWN(loaders)
{
	system("rm -rf " PIN_DIR " " OUTPUT);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

/* A floor of 16 MB, as near as a percentage of this machine comes. */
TEST_F_TIMEOUT(loaders, floor_of_tenant_prio, TEST_TIMEOUT_S)
{
	char command[TEXT_SIZE];
	struct sysinfo machine;
	unsigned long total_mb;

	ASSERT_EQ(0, sysinfo(&machine));
	total_mb = ((__u64)machine.totalram * machine.mem_unit) >> 20;
	snprintf(command, sizeof(command),
		 "bpftool oom attach " SHARE "/tenant_prio.bpf.o / floor %lu%% pin " PIN_DIR,
		 total_mb > 1600 ? 1 : 1600 / total_mb);
	ASSERT_EQ(0, system(command));
	ASSERT_EQ(0, cgroup_set_priority("A", -10));
	ASSERT_EQ(0, cgroup_set_priority("B", -5));
	ASSERT_EQ(0, cgroup_set_priority("C", 10));
	ASSERT_EQ(0, policy_event(self->recorder));
	check_victims(_metadata, self->recorder, &self->tree, "B");
}

TEST_F_TIMEOUT(loaders, rehearsal_tells_and_goes, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, system("rehearsal >" OUTPUT " & echo $! >" OUTPUT ".pid"));
	ASSERT_TRUE(wait_until(!system("grep -q '^rehearsing' " OUTPUT)));
	ASSERT_EQ(0, system("bpftool oom priority set A -5"));
	ASSERT_EQ(0, policy_event(self->recorder));
	check_victims(_metadata, self->recorder, &self->tree, "C");
	EXPECT_TRUE(wait_until(!system("grep -q 'scope /: /A (priority -5, 4MB, of 3)$' " OUTPUT)));
	EXPECT_EQ(0, system("kill $(cat " OUTPUT ".pid)"));
	EXPECT_TRUE(wait_until(!system("bpftool oom show 2>&1 | grep -q 'no OOM policy'")));
}

/* As the header of inherit says; the directory is open as 3. */
#define PRIORITY_100	"key hex 03 00 00 00 value hex 64 00 00 00 00 00 00 00"

static int set_inherited(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "bpftool map update name oom_inherit %s 3<%s/%s",
		 PRIORITY_100, CGROUP_ROOT, path);
	return system(command);
}

TEST_F_TIMEOUT(loaders, inherit_from_a_shell, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, system("bpftool oom attach " SHARE "/inherit.bpf.o / pin " PIN_DIR));
	ASSERT_EQ(0, set_inherited("A"));
	ASSERT_EQ(0, set_inherited("C"));
	ASSERT_EQ(0, policy_event(self->recorder));
	check_victims(_metadata, self->recorder, &self->tree, "B");
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
