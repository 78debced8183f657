// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where policies are pinned unless somebody says where: no two in the same place, and
 * what is left of a removed cgroup is in nobody's way.
 *
 * The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "says.h"

#define POLICY		"/tests/globals.bpf.o"
#define TASK_POLICY	"/usr/lib/oom_policy/youngest_task.bpf.o"
#define BPF_FS		"/sys/fs/bpf"
#define LONG_PART	"abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-0123456789"
#define NR_LONG		5

static void clean_up(void)
{
	shell("rm -rf " BPF_FS "/oom_policy_* " BPF_FS "/mine");
}

FIXTURE(pins)
{
	struct tree tree;
};

FIXTURE_SETUP(pins)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "a=0 a/b=0 a_b=0 root=0 a/b.slice=0 t=0"));
}

FIXTURE_TEARDOWN(pins)
{
	clean_up();
	tree_remove(&self->tree);
}

static void pinned_at(struct __test_metadata *_metadata, const char *what, const char *name)
{
	char pin[512];

	runs(_metadata, 0, "bpftool -j oom attach " POLICY " '%s' | jq -r .pinned", what);
	snprintf(pin, sizeof(pin), BPF_FS "/oom_policy_%s", name);
	EXPECT_STREQ(pin, shell_output);
	EXPECT_EQ(0, access(pin, F_OK));
}

TEST_F_TIMEOUT(pins, do_not_collide, TEST_TIMEOUT_S)
{
	pinned_at(_metadata, "/", "root");
	pinned_at(_metadata, "/root", "%72oot");
	pinned_at(_metadata, "/a/b", "a_b");
	pinned_at(_metadata, "/a_b", "a%5fb");
	pinned_at(_metadata, "/a/b.slice", "a_b%2eslice");
	runs(_metadata, 0, "bpftool -j oom attach " TASK_POLICY " /a type task | jq -r .pinned");
	EXPECT_STREQ(BPF_FS "/oom_policy_a+task", shell_output);
	pinned_at(_metadata, "/a", "a");
	runs(_metadata, 0, "bpftool -j oom show | jq '.policies | length'");
	EXPECT_STREQ("7", shell_output);
}

/* Longer than a name in a file system may be, and the same for its first 300 bytes. */
TEST_F_TIMEOUT(pins, long_names, TEST_TIMEOUT_S)
{
	char path[512] = "t", full[600], first[512];
	int n, i;

	for (n = 0; n < NR_LONG; n++) {
		ASSERT_EQ(0, cgroup_enable_memory(path));
		strcat(path, "/" LONG_PART);
		snprintf(full, sizeof(full), CGROUP_ROOT "/%s", path);
		ASSERT_EQ(0, mkdir(full, 0755));
	}
	ASSERT_EQ(0, cgroup_enable_memory(path));
	for (i = 0; i < 2; i++) {
		runs(_metadata, 0, "mkdir %s/%d", full, i);
		runs(_metadata, 0, "bpftool -j oom attach " POLICY " %s/%d | jq -r .pinned", full,
		     i);
		EXPECT_EQ(0, access(shell_output, F_OK));
		EXPECT_GE(strlen(BPF_FS "/") + 255, strlen(shell_output));
		if (i)
			EXPECT_STRNE(first, shell_output);
		snprintf(first, sizeof(first), "%.500s", shell_output);
	}
	runs(_metadata, 0, "bpftool -j oom show | jq '.policies | length'");
	EXPECT_STREQ("2", shell_output);
	runs(_metadata, 0, "rmdir %s/0 %s/1", full, full);
	for (n = 0; n < NR_LONG; n++) {
		rmdir(full);
		*strrchr(full, '/') = '\0';
	}
}

/* The pin is that of a link which is detached for good. */
TEST_F_TIMEOUT(pins, of_a_removed_cgroup, TEST_TIMEOUT_S)
{
	pinned_at(_metadata, "/a/b", "a_b");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /a_b pin " BPF_FS "/mine");
	ASSERT_EQ(0, cgroup_remove("a/b"));
	ASSERT_EQ(0, cgroup_remove("a_b"));
	ASSERT_TRUE(wait_until(!shell("test $(bpftool oom show | grep -c ^detached:) = 2")));
	ASSERT_EQ(0, cgroup_make("a/b"));
	ASSERT_EQ(0, cgroup_make("a_b"));
	pinned_at(_metadata, "/a/b", "a_b");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /a_b pin " BPF_FS "/mine");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '[.policies[].state] | unique[]'");
	EXPECT_STREQ("in_force", shell_output);

	/* One that is in force is not for taking, nor is what is no link. */
	runs(_metadata, 255, "bpftool oom attach " POLICY " /a pin " BPF_FS "/mine");
	says(_metadata, "already exists");
	runs(_metadata, 0, "bpftool oom detach /a_b");
	runs(_metadata, 0, "bpftool map create " BPF_FS
	     "/mine type array key 4 value 4 entries 1 name mine");
	runs(_metadata, 255, "bpftool oom attach " POLICY " /a pin " BPF_FS "/mine");
	says(_metadata, "already exists");
	runs(_metadata, 0, "bpftool map show pinned " BPF_FS "/mine");
}

#define LEAF_POLICY	"/usr/lib/oom_policy/leaf_prio.bpf.o"
#define CLASS_POLICY	"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define AGENTS_MAP	BPF_FS "/mine"
#define MAP_WORDS	" map oom_priority pin " AGENTS_MAP
#define AGENTS_ID	"bpftool -j map show pinned " AGENTS_MAP " | jq .id"
#define PROG_ID		"bpftool -j oom show | jq .policies[].prog_id"
#define MAP_IDS		AGENTS_ID "; bpftool -j prog show id $(" PROG_ID ") | jq .map_ids | "	\
			"grep -cw $(" AGENTS_ID ")"

/* There and back again, with an agent that writes into the map that is pinned. */
TEST_F_TIMEOUT(pins, map_of_an_agent, TEST_TIMEOUT_S)
{
	char id[64];

	runs(_metadata, 0, "bpftool oom attach " LEAF_POLICY " /" MAP_WORDS);
	runs(_metadata, 0, MAP_IDS);
	snprintf(id, sizeof(id), "%.63s", shell_output);
	says(_metadata, "\n1");
	runs(_metadata, 0, "bpftool oom replace / " CLASS_POLICY);
	runs(_metadata, 0, "bpftool oom replace / " LEAF_POLICY MAP_WORDS);
	runs(_metadata, 0, MAP_IDS);
	EXPECT_STREQ(id, shell_output);

	/* A program without that map: nothing is replaced. */
	runs(_metadata, 255, "bpftool oom replace / " CLASS_POLICY MAP_WORDS);
	says(_metadata, CLASS_POLICY " has no map oom_priority");
	runs(_metadata, 255, "bpftool oom replace / " CLASS_POLICY " map oom_priority pin "
	     BPF_FS "/oom_policy_new");
	says(_metadata, " has no map oom_priority");
	EXPECT_NE(0, access(BPF_FS "/oom_policy_new", F_OK));
	runs(_metadata, 255, "bpftool oom replace / " LEAF_POLICY " floor 1M floor 2M");
	says(_metadata, "'floor' is there twice");
	runs(_metadata, 0, MAP_IDS);
	EXPECT_STREQ(id, shell_output);

	/* The first pin of a map that is in use. */
	runs(_metadata, 0, "rm " AGENTS_MAP);
	runs(_metadata, 0, "bpftool oom replace / " LEAF_POLICY MAP_WORDS);
	runs(_metadata, 0, MAP_IDS);
	EXPECT_STREQ(id, shell_output);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
