// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "bpftool oom" forecasts: what it says first is what would happen, whatever is
 * written, switched off or only supposed; and how cgroups are named to it.
 *
 * The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <string.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "tenants.h"

#define LEAF_POLICY	"/usr/lib/oom_policy/leaf_prio.bpf.o"
#define SHORT_LIVED	"/sys/fs/cgroup/prod/short"
#define SECOND_MOUNT	"/tmp/bpftool_oom_cgroup2"
#define SWITCHED_OFF	"switched off by vm.oom_policy_enabled: the stock killer decides"
#define NOT_ASKED								\
	"attached without the flag memcg: not asked when /prod meets its limit, "

/* Who is never a candidate takes no part; an only child counts for its parent. */
TEST_F_TIMEOUT(bpftool, max_and_only_children_are_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom priority set besteffort max");
	runs(_metadata, 0, "bpftool oom rank");
	says(_metadata, " max  /besteffort: never a candidate (memory.oom.priority is max)");
	runs(_metadata, 0, "bpftool oom compare prod besteffort");
	says(_metadata, "/besteffort takes no part now: never a candidate ");
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, " of /batch/ml, ");
	says(_metadata, "priority max  never a candidate ");

	runs(_metadata, 0, "bpftool oom priority set batch unset");
	runs(_metadata, 0, "echo 1 >/sys/fs/cgroup/batch/etl/cgroup.kill");
	EXPECT_TRUE(wait_until(!shell("grep 'populated 0' " CGROUP_ROOT
				      "/batch/etl/cgroup.events")));
	runs(_metadata, 0, "bpftool oom priority set batch/ml -5");
	runs(_metadata, 0, "bpftool -j oom rank | jq -c '[.children[] | .priority]'");
	EXPECT_STREQ("[-5,100,null]", shell_output);
}

/* What is not written is told as if it were. */
TEST_F_TIMEOUT(bpftool, what_if, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom rank with prod=-200 batch=max");
	says(_metadata, "   1 ");
	says(_metadata, " -200  /prod");
	says(_metadata, " max  /batch: never a candidate ");
	runs(_metadata, 0, "bpftool -j oom rank with prod=-200 | jq -r '.children[0].cgroup'");
	EXPECT_STREQ("/prod", shell_output);
	runs(_metadata, 0, "bpftool oom compare prod batch with prod=-1");
	says(_metadata, "dies first: /prod");
	runs(_metadata, 0, "bpftool oom select / with prod=-200 prod/db=-1 prog " POLICY);
	says(_metadata, " of /prod/db, ");
	says(_metadata, "priority -200");
	runs(_metadata, 0, "bpftool oom check with prod=-200");
	says(_metadata, "contradictions: 0 ");
	runs(_metadata, 0, "bpftool oom priority get prod");
	EXPECT_STREQ("                 100  /prod", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
}

/* A program that is attached nowhere, with the priorities of the cgroups. */
TEST_F_TIMEOUT(bpftool, rehearse_before_attaching, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom select / prog " POLICY);
	says(_metadata, "victim: process ");
	runs(_metadata, 0, "bpftool oom rank prog " POLICY);
	says(_metadata, "not attached");
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool -j oom rank prog " POLICY " | jq -r .children[0].priority");
	EXPECT_STREQ("-100", shell_output);
}

/* The file's are shown beside an order that goes by the map's. */
TEST_F_TIMEOUT(bpftool, whose_priorities_they_are, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom rank");
	says(_metadata, " PRIORITY  CGROUP\n");
	runs(_metadata, 0, "bpftool -j oom rank | jq .priority_map");
	EXPECT_STREQ("false", shell_output);
	runs(_metadata, 0, "bpftool oom rank prog " LEAF_POLICY);
	says(_metadata, ", with priorities of its own in the map oom_priority\n");
	says(_metadata, " memory.oom.priority  CGROUP\n");
	runs(_metadata, 0, "bpftool -j oom rank prog " LEAF_POLICY " | jq .priority_map");
	EXPECT_STREQ("true", shell_output);
}

/* Contradictions are found and named, and are an error for whoever asks. */
TEST_F_TIMEOUT(bpftool, check_names_offenders, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 255, "bpftool oom check prog pinned " PINS "/always_first");
	says(_metadata, "not antisymmetric: run(/prod, /batch) says first, ");
	says(_metadata, "first, run(/batch, /prod) says first");

	runs(_metadata, 0, "bpftool oom attach pinned " PINS "/circle / pin " PIN);
	runs(_metadata, 0, "bpftool oom priority set prod 0");
	runs(_metadata, 0, "bpftool oom priority set batch 1");
	runs(_metadata, 0, "bpftool oom priority set besteffort 2");
	runs(_metadata, 255, "bpftool oom check /");
	says(_metadata, "not transitive: /prod dies before /batch, /batch before /besteffort");
	says(_metadata, ", /besteffort before /prod\n");
	says(_metadata, "contradictions: 1 ");
	runs(_metadata, 255, "bpftool -j oom check /");
	runs(_metadata, 0,
	     "bpftool -j oom check / | jq -r '.not_transitive[].cgroups | join(\" \")'");
	EXPECT_STREQ("/prod /batch /besteffort", shell_output);
	runs(_metadata, 0, "bpftool oom check /batch");
}

/* What is said first is what would happen. */
TEST_F_TIMEOUT(bpftool, off_switch_is_told_first, TEST_TIMEOUT_S)
{
	static const char * const commands[] = {
		"select", "rank", "compare prod batch", "check", "select prog " POLICY,
	};
	size_t i;

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=0");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		runs(_metadata, 0, "bpftool oom %s", commands[i]);
		begins(_metadata, SWITCHED_OFF "\n");
		runs(_metadata, 0, "bpftool -j oom %s | jq -r '.enabled, .caveats[0]'",
		     commands[i]);
		EXPECT_STREQ("false\n" SWITCHED_OFF, shell_output);
	}
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=1");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		runs(_metadata, 1, "bpftool oom %s | grep oom_policy_enabled", commands[i]);
		runs(_metadata, 0, "bpftool -j oom %s | jq -r '.enabled, .caveats[]'",
		     commands[i]);
		EXPECT_STREQ("true", shell_output);
	}
}

TEST_F_TIMEOUT(bpftool, missing_flag_is_told_first, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom select prod");
	begins(_metadata, NOT_ASKED "the stock killer decides\n");
	runs(_metadata, 0, "bpftool oom rank prod");
	begins(_metadata, NOT_ASKED "only when the machine ");
	runs(_metadata, 0, "bpftool oom compare /prod/db /prod/web");
	begins(_metadata, NOT_ASKED);
	runs(_metadata, 0, "bpftool oom check prod");
	begins(_metadata, NOT_ASKED);
	runs(_metadata, 0, "bpftool -j oom select prod | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("false\n" NOT_ASKED "the stock killer decides", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("false", shell_output);

	/* One above that has the flag is asked instead of one that has not. */
	runs(_metadata, 0, "bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom attach " POLICY " / flags memcg");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /prod");
	runs(_metadata, 0, "bpftool -j oom select prod | jq -r '.attached_to, .caveats[]'");
	EXPECT_STREQ("/", shell_output);
	runs(_metadata, 0, "bpftool -j oom select | jq -r '.asked_at_limit, .caveats[]'");
	EXPECT_STREQ("true", shell_output);
}

TEST_F_TIMEOUT(bpftool, group_is_told_first, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	runs(_metadata, 0, "echo 1 >/sys/fs/cgroup/prod/memory.oom.group");
	runs(_metadata, 0, "bpftool oom rank prod");
	begins(_metadata, "/prod dies as a whole (memory.oom.group): nothing below it ");
	runs(_metadata, 0, "bpftool oom rank");
	begins(_metadata, "children of /");
	runs(_metadata, 0, "bpftool oom select prod");
	EXPECT_EQ(NULL, strstr(shell_output, "compared by"));
	says(_metadata, "with it: every process of /prod (memory.oom.group)");
	runs(_metadata, 0, "echo 0 >/sys/fs/cgroup/prod/memory.oom.group");
}

TEST_F_TIMEOUT(bpftool, leaf_is_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "flags memcg");
	runs(_metadata, 0, "bpftool oom rank /batch/etl");
	EXPECT_STREQ("/batch/etl is a leaf: no cgroup below it has the memory controller",
		     shell_output);
	runs(_metadata, 0, "bpftool oom check /batch/etl");
	begins(_metadata, "nothing to compare: no cgroup at or below /batch/etl has two ");
}

/* Names without a slash in front are below the working directory, if that is a cgroup. */
TEST_F_TIMEOUT(bpftool, paths_from_the_working_directory, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom rank .");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort/job1 && bpftool oom rank ..");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom compare job1 ./job2");
	says(_metadata, "dies first: /besteffort/job2");
	runs(_metadata, 0, "cd /sys/fs/cgroup/besteffort && bpftool oom compare ../prod /batch");
	says(_metadata, "children of /, compared by ");
	runs(_metadata, 255, "cd /sys/fs/cgroup/besteffort && bpftool oom rank prod");
	says(_metadata,
	     "no such cgroup: prod (below the working directory; from the root it is /prod)");
	runs(_metadata, 0, "cd /tmp && bpftool oom rank prod");
	says(_metadata, "children of /prod, compared by ");
	runs(_metadata, 255, "cd /tmp && bpftool oom rank .");
	says(_metadata, ". is not a cgroup: cgroup v2 is mounted at /sys/fs/cgroup");

	/* As seen by another mount. */
	runs(_metadata, 0, "mkdir " SECOND_MOUNT " && mount -t cgroup2 none " SECOND_MOUNT);
	runs(_metadata, 0, "cd " SECOND_MOUNT "/besteffort && bpftool oom rank .");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "bpftool oom rank " SECOND_MOUNT "/besteffort");
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "umount " SECOND_MOUNT " && rmdir " SECOND_MOUNT);
}

TEST_F_TIMEOUT(bpftool, removed_working_directory, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "mkdir " SHORT_LIVED);
	runs(_metadata, 255, "cd " SHORT_LIVED " && rmdir " SHORT_LIVED " && bpftool oom rank .");
	says(_metadata, "cannot tell the path of cgroup .: it is cgroup id ");
	says(_metadata, " (gone)");
}

TEST_F_TIMEOUT(bpftool, ids_for_paths, TEST_TIMEOUT_S)
{
	const unsigned long long job1 = tree_find(&self->tree, "besteffort/job1")->id;
	const unsigned long long job2 = tree_find(&self->tree, "besteffort/job2")->id;
	const unsigned long long besteffort = tree_find(&self->tree, "besteffort")->id;

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom compare %llu %llu", job1, job2);
	says(_metadata, "dies first: /besteffort/job2");
	runs(_metadata, 0, "bpftool oom rank %llu", besteffort);
	says(_metadata, "children of /besteffort, compared by ");
	runs(_metadata, 0, "bpftool oom select %llu", besteffort);
	says(_metadata, " of /besteffort/job2, ");
	runs(_metadata, 0, "bpftool oom check %llu", besteffort);
	says(_metadata, "/besteffort: 5 children ");
	runs(_metadata, 0, "bpftool oom priority set %llu -5", job1);
	says(_metadata, "-5  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom priority get %llu", job1);
	says(_metadata, "-5  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom priority set %llu unset", job1);
	says(_metadata, "unset  /besteffort/job1 (was -5)");
	runs(_metadata, 0, "bpftool oom priority get %llu", job1);
	says(_metadata, "unset  /besteffort/job1");
	runs(_metadata, 0, "bpftool oom attach " POLICY " %llu", besteffort);
	says(_metadata, " at /besteffort, link id ");
	runs(_metadata, 0, "bpftool oom show %llu", besteffort);
	says(_metadata, "/besteffort: tenant_prio ");
	runs(_metadata, 0, "bpftool oom replace %llu " POLICY, besteffort);
	runs(_metadata, 0, "bpftool oom detach %llu", besteffort);
	says(_metadata, " at /besteffort, link id ");

	/* That of a file is none. */
	runs(_metadata, 255,
	     "bpftool oom rank $(stat -c %%i /sys/fs/cgroup/besteffort/memory.max)");
	says(_metadata, "no cgroup has the id ");

	/* A name of digits has something in front. */
	runs(_metadata, 0, "mkdir /sys/fs/cgroup/prod/1000");
	runs(_metadata, 0, "bpftool oom rank /prod/1000");
	runs(_metadata, 0, "cd /sys/fs/cgroup/prod && bpftool oom rank ./1000");
	runs(_metadata, 0, "rmdir /sys/fs/cgroup/prod/1000");
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
