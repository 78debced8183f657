// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy's life as an operator sees it: everything that is done to it and told
 * of it here is done and told by "bpftool oom". The JSON of each command has to
 * be read by jq and to carry the facts of the plain output.
 *
 * The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "operator.h"
#include "watch.h"

#define TASK_POLICY	"/usr/lib/oom_policy/youngest_task.bpf.o"
#define NEW_BPF_FS	"/tmp/bpftool_oom_bpffs"
#define TEXT_SIZE	256

FIXTURE(bpftool)
{
	struct tree tree;
	struct policy *recorder;
};

FIXTURE_SETUP(bpftool)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
}

FIXTURE_TEARDOWN(bpftool)
{
	clean_up();
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(bpftool, whole_life, TEST_TIMEOUT_S)
{
	pid_t monitor, monitor_json;
	char announced[TEXT_SIZE];

	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "no OOM policy is attached");
	attach_with_priorities(_metadata, &self->tree, "");

	runs(_metadata, 0, "bpftool oom priority set besteffort -100");
	runs(_metadata, 0, "bpftool oom compare prod batch");
	says(_metadata, "dies first: /batch");
	runs(_metadata, 0, "bpftool oom compare /prod/db /sys/fs/cgroup/besteffort/job1");
	says(_metadata, "/prod/db and /besteffort/job1 are no siblings: their paths part below /");
	says(_metadata, "dies first: /besteffort");
	runs(_metadata, 0, "bpftool -j oom rank | jq -r '[.children[].cgroup] | join(\" \")'");
	EXPECT_STREQ("/besteffort /batch /prod", shell_output);
	runs(_metadata, 0, "bpftool oom check");
	says(_metadata, "contradictions: 0 ");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	snprintf(announced, sizeof(announced), "%.255s", shell_output);
	EXPECT_STREQ("/besteffort/job2", announced);
	EXPECT_EQ(0U, self->recorder->bss->nr_victims);

	monitor = shell_start("exec bpftool oom monitor count 1", "/tmp/monitor");
	monitor_json = shell_start("exec bpftool -j oom monitor count 1", "/tmp/monitor.json");
	ASSERT_TRUE(wait_until(monitor_runs(monitor)));
	ASSERT_TRUE(wait_until(monitor_runs(monitor_json)));
	EXPECT_EQ(0, policy_shortage(self->recorder, &self->tree));
	end_monitor(_metadata, monitor);
	end_monitor(_metadata, monitor_json);

	EXPECT_STREQ(announced + 1, policy_victims(self->recorder, &self->tree));
	runs(_metadata, 0, "grep -F 'scope /  victim %s  task ' /tmp/monitor", announced);
	runs(_metadata, 0, "jq -r .victim /tmp/monitor.json");
	EXPECT_STREQ(announced, shell_output);
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "kills 1  last victim /besteffort/job2");

	runs(_metadata, 0, "bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "no OOM policy is attached");
	EXPECT_NE(0, access(PIN, F_OK));
}

TEST_F_TIMEOUT(bpftool, replaced_program_keeps_priorities, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool -j oom show | jq .policies[0].prog_id");
	runs(_metadata, 0, "bpftool oom replace / " POLICY);
	runs(_metadata, 0, "bpftool oom priority get /prod");
	says(_metadata, "100  /prod");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[0].pinned[]'");
	EXPECT_STREQ(PIN, shell_output);

	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 0, "bpftool oom replace pinned " PIN " pinned " PINS "/always_first");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[].prog_name'");
	EXPECT_STREQ("always_first", shell_output);
}

TEST_F_TIMEOUT(bpftool, default_pin_and_options, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " POLICY
	     " /besteffort flags memcg,kill_all budget 5000 grace 60000");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_besteffort");
	runs(_metadata, 0, "bpftool oom attach " POLICY " flags root_tasks");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_root");
	runs(_metadata, 0, "bpftool oom show /besteffort/job1");
	says(_metadata, "flags memcg,kill_all  budget 5000 us  grace 60000 ms");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "flags root_tasks  budget 100000 us");
	says(_metadata, "`-- /besteffort: tenant_prio");
	runs(_metadata, 0, "bpftool oom select /besteffort");
	says(_metadata, "with it: every process of /besteffort/job1 (flag kill_all)");
	runs(_metadata, 0, "bpftool oom detach besteffort");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '.policies[].cgroup'");
	EXPECT_STREQ("/", shell_output);
}

/* The other slot: who among the processes of a leaf. */
TEST_F_TIMEOUT(bpftool, task_policy, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " TASK_POLICY " /besteffort type task");
	says(_metadata, "pinned /sys/fs/bpf/oom_policy_besteffort+task");
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "`-- /besteffort: youngest_task (prog id ");
	says(_metadata, ", type task, pinned ");
	runs(_metadata, 0, "bpftool oom select");
	says(_metadata, " of /besteffort/job2, ");
	says(_metadata, "among the processes there rules link id ");
	runs(_metadata, 0, "bpftool oom detach besteffort type task");
	runs(_metadata, 0, "bpftool oom select prog " TASK_POLICY);
	says(_metadata, " us by youngest_task (prog id ");
}

/* A removed cgroup detaches its policy, and its priority goes with it. */
TEST_F_TIMEOUT(bpftool, removed_cgroup_leaves_nothing, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /besteffort/empty");
	EXPECT_EQ(0, cgroup_remove("besteffort/empty"));
	EXPECT_TRUE(wait_until(!shell("bpftool oom show | grep -q ^detached:")));
	runs(_metadata, 1, "bpftool oom priority list all | grep -E 'empty|gone'");
}

/* Without a memory controller there is nothing to rule, and who rules is somebody else. */
TEST_F_TIMEOUT(bpftool, dormant_policy_is_told, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /besteffort/empty");
	EXPECT_EQ(0, cgroup_write("besteffort", "cgroup.subtree_control", "-memory"));
	EXPECT_TRUE(wait_until(!shell("bpftool oom show | grep -q dormant")));
	runs(_metadata, 0, "bpftool oom show");
	says(_metadata, "`-- /besteffort/empty: tenant_prio");
	says(_metadata, "dormant: no memory controller");
	runs(_metadata, 0, "bpftool -j oom show | jq -r '[.policies[].state] | join(\" \")'");
	EXPECT_STREQ("in_force dormant", shell_output);
	runs(_metadata, 0, "bpftool -j oom show /besteffort/empty | jq -r .policies[0].cgroup");
	EXPECT_STREQ("/", shell_output);

	EXPECT_EQ(0, cgroup_enable_memory("besteffort"));
	runs(_metadata, 0, "bpftool -j oom show | jq -r '[.policies[].state] | join(\" \")'");
	EXPECT_STREQ("in_force in_force", shell_output);
	runs(_metadata, 0, "bpftool link show");
	says(_metadata, "state in_force");
}

/* Priorities need no policy, and outlive the one that is there. */
TEST_F_TIMEOUT(bpftool, priorities_are_the_cgroups, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom priority list");
	says(_metadata, "no priority is set");
	runs(_metadata, 0, "bpftool oom priority set batch 7");
	EXPECT_STREQ("                   7  /batch (was unset)", shell_output);
	runs(_metadata, 0, "bpftool oom priority set prod max");
	runs(_metadata, 0, "cat /sys/fs/cgroup/batch/memory.oom.priority");
	EXPECT_STREQ("7", shell_output);
	runs(_metadata, 0, "bpftool oom attach " POLICY " && bpftool oom replace / " POLICY
	     " floor 1M && bpftool oom detach /");
	runs(_metadata, 0, "bpftool oom priority list");
	EXPECT_STREQ("                 max  /prod\n                   7  /batch", shell_output);
	runs(_metadata, 0, "bpftool oom priority list all | grep -c unset");
	EXPECT_STREQ("10", shell_output);
	runs(_metadata, 0, "bpftool oom priority list all prod");
	EXPECT_STREQ("                 max  /prod\n               unset  /prod/db\n"
		     "               unset  /prod/web", shell_output);
	runs(_metadata, 0, "bpftool oom priority list batch");
	EXPECT_STREQ("                   7  /batch", shell_output);
}

/* A floor of 10 MB leaves of the lowest class those that hold more. */
TEST_F_TIMEOUT(bpftool, floor_is_heeded, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "floor 10M");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job1", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY " floor 6144K");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job3", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY);
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " POLICY " floor 100%%");
	runs(_metadata, 0, "bpftool -j oom select | jq -r .victim.cgroup");
	EXPECT_STREQ("/besteffort/job2", shell_output);
}

TEST_F_TIMEOUT(bpftool, shows_who_ranks_the_tasks, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " TASK_POLICY " / type task pin " PIN);
	runs(_metadata, 0, "bpftool oom show /prod");
	says(_metadata, "/: youngest_task (prog id ");
	runs(_metadata, 0, "bpftool -j oom show /prod | jq -r '.policies[].attach_type'");
	EXPECT_STREQ("oom_policy_task", shell_output);
}

/* A second bpffs on top: the list of mounts has two, each shows the same pins. */
TEST_F_TIMEOUT(bpftool, detaches_once_where_pins_show_twice, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "mount -t bpf none /sys/fs/bpf");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch");
	runs(_metadata, 0, "bpftool oom detach /batch");
	says(_metadata, "detached tenant_prio");
	runs(_metadata, 1, "ls /sys/fs/bpf | grep .");
	runs(_metadata, 0, "umount /sys/fs/bpf");
}

/* As "bpftool link pin" has it: a BPF file system that is missing is mounted. */
TEST_F_TIMEOUT(bpftool, mounts_bpffs_for_a_pin, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "mkdir " NEW_BPF_FS);
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch pin " NEW_BPF_FS "/policy");
	runs(_metadata, 0, "grep -q ' " NEW_BPF_FS " bpf ' /proc/mounts");
	runs(_metadata, 0, "bpftool oom detach pinned " NEW_BPF_FS "/policy");
	runs(_metadata, 1, "ls " NEW_BPF_FS " | grep .");
	while (!shell("umount " NEW_BPF_FS))
		;
	runs(_metadata, 0, "rmdir " NEW_BPF_FS);
}

/* Tenants name their cgroups as they like. */
TEST_F_TIMEOUT(bpftool, names_do_no_harm, TEST_TIMEOUT_S)
{
	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "mkdir \"/sys/fs/cgroup/prod/$(printf 'a\\033b')\"");
	runs(_metadata, 0, "bpftool oom rank prod");
	says(_metadata, "/prod/a?b: no processes");
	runs(_metadata, 0, "bpftool -j oom rank prod | jq -c '.children[].cgroup' | grep a");
	EXPECT_STREQ("\"/prod/a\\u001bb\"", shell_output);
	runs(_metadata, 0, "rmdir /sys/fs/cgroup/prod/a?b");
}

TEST_F_TIMEOUT(bpftool, attach_and_detach_in_json, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool -j oom attach " POLICY
	     " /batch | jq -r '.cgroup, .prog_name, .pinned'");
	EXPECT_STREQ("/batch\ntenant_prio\n/sys/fs/bpf/oom_policy_batch", shell_output);
	runs(_metadata, 0,
	     "bpftool -j link show | jq -r '.[] | select(.type == \"oom_policy\").cgroup'");
	EXPECT_STREQ("/batch", shell_output);
	runs(_metadata, 0,
	     "bpftool -j oom priority set /batch/ml -3 | jq -r '.priority, .old_priority_state'");
	EXPECT_STREQ("-3\nunset", shell_output);
	runs(_metadata, 0,
	     "bpftool -j oom priority set /batch/ml max | jq -r '.priority_state, .old_priority'");
	EXPECT_STREQ("max\n-3", shell_output);
	runs(_metadata, 0, "bpftool -j oom detach /batch | jq -r '.cgroup, .prog_name'");
	EXPECT_STREQ("/batch\ntenant_prio", shell_output);
	runs(_metadata, 0, "bpftool -j oom show | jq '.policies | length'");
	EXPECT_STREQ("0", shell_output);
	runs(_metadata, 0, "bpftool -j oom help");
	EXPECT_STREQ("null", shell_output);
}

TEST_F_TIMEOUT(bpftool, full_device_is_an_error, TEST_TIMEOUT_S)
{
	static const char * const commands[] = {
		"show", "select", "rank", "compare prod batch", "check", "priority list",
		"priority get prod",
	};
	static const char * const options[] = { "", "-j", "-jp" };
	size_t i, j;

	attach_with_priorities(_metadata, &self->tree, "");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		for (j = 0; j < ARRAY_SIZE(options); j++) {
			runs(_metadata, 255, "bpftool %s oom %s >/dev/full", options[j],
			     commands[i]);
			begins(_metadata, "Error: cannot write ");
		}
	}
}

TEST_F_TIMEOUT(bpftool, programs_as_elsewhere, TEST_TIMEOUT_S)
{
	char tag[32];

	runs(_metadata, 0, "bpftool oom select prog file " POLICY);
	says(_metadata, "victim: process ");
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 0, "bpftool oom attach name always_abstain /prod");
	says(_metadata, "attached always_abstain ");
	runs(_metadata, 0, "bpftool oom detach /prod");
	runs(_metadata, 0, "bpftool -j prog show pinned " PINS "/circle | jq -r .tag");
	snprintf(tag, sizeof(tag), "%.31s", shell_output);
	runs(_metadata, 0, "bpftool oom attach tag %s /prod", tag);
	says(_metadata, "attached circle ");
	runs(_metadata, 0, "bpftool oom replace /prod name always_first");
	runs(_metadata, 0, "bpftool oom compare /prod/db /prod/web prog name always_first");
	says(_metadata, "verdict: first");
	runs(_metadata, 0, "bpftool oom detach /prod");

	attach_with_priorities(_metadata, &self->tree, "");
	runs(_metadata, 0, "bpftool oom select prog name tenant_prio");
	says(_metadata, "attached to /");
	runs(_metadata, 0, "bpftool oom attach " POLICY " /batch");
	runs(_metadata, 255, "bpftool oom select prog name tenant_prio");
	says(_metadata, "several OOM policies have the name tenant_prio, as prog id ");
}

/* Each line that jq makes of the JSON must be somewhere in the plain output. */
FIXTURE(json)
{
	struct tree tree;
};

FIXTURE_VARIANT(json)
{
	const char *command;
	const char *facts;
	int nr_facts;
};

FIXTURE_VARIANT_ADD(json, show)
{
	.command = "show",
	.facts = ".policies[] | \"\\(.cgroup): \\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "\"link id \\(.link_id), pinned \\(.pinned[0])\",\n"
		 "\"flags \\(.flag_names | join(\",\"))  budget \\(.budget_us) us\",\n"
		 "\"selections \\(.selections)  comparisons \\(.comparisons)\",\n"
		 "\"kills \\(.kills)\", \"last \\(.last_ns / 1000 | floor) us\"",
	.nr_facts = 6,
};

FIXTURE_VARIANT_ADD(json, compare)
{
	.command = "compare /prod/db /batch",
	.facts = "\"\\(.asked[0]) and \\(.asked[1]) are no siblings\",\n"
		 "\"children of \\(.parent), compared by \\(.prog_name)\",\n"
		 "\"(prog id \\(.prog_id)), attached to \\(.attached_to)\",\n"
		 "(.candidates[] | .cgroup, .priority, (.usage / 1024 | floor)),\n"
		 "\"verdict: \\(.verdict)\", \"dies first: \\(.dies_first)\"",
	.nr_facts = 11,
};

FIXTURE_VARIANT_ADD(json, rank)
{
	.command = "rank besteffort",
	.facts = "\"children of \\(.parent), compared by \\(.prog_name)\",\n"
		 "\"(prog id \\(.prog_id)), attached to \\(.attached_to)\",\n"
		 "(.children[] | .rank // \"-\", (.usage / 1024 | floor), .priority,\n"
		 ".cgroup + if .eligible then \"\" else \": \" + .reason end)",
	.nr_facts = 22,
};

FIXTURE_VARIANT_ADD(json, select)
{
	.command = "select",
	.facts = "(.levels[] | \"\\(.eligible) eligible, \\(.compared) compared by\",\n"
		 "\"\\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "(.children[] | (.cgroup | split(\"/\") | last), \"priority \\(.priority)\",\n"
		 "(.reason // empty))),\n"
		 "(.victim | \"victim: process \\(.pid) (\\(.comm)) of \\(.cgroup)\",\n"
		 "\"oom_score_adj \\(.oom_score_adj)\")",
	.nr_facts = 24,
};

FIXTURE_VARIANT_ADD(json, check)
{
	.command = "check",
	.facts = ".levels[] | \"\\(.parent): \\(.children) children\",\n"
		 "\"(pairs: \\(.pairs), triples: \\(.triples)), compared by \\(.prog_name)\"",
	.nr_facts = 8,
};

FIXTURE_VARIANT_ADD(json, priority_list)
{
	.command = "priority list",
	.facts = ".[] | \"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 12,
};

FIXTURE_VARIANT_ADD(json, priority_get)
{
	.command = "priority get besteffort",
	.facts = "\"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 1,
};

FIXTURE_VARIANT_ADD(json, priority_set)
{
	.command = "priority set besteffort -7",
	.facts = "\"\\(.priority)  \\(.cgroup)\"",
	.nr_facts = 1,
};

FIXTURE_VARIANT_ADD(json, replace)
{
	.command = "replace / id $(bpftool -j oom show | jq .policies[0].prog_id)",
	.facts = "\"replaced by \\(.prog_name) (prog id \\(.prog_id))\",\n"
		 "\"at \\(.cgroup), link id \\(.link_id)\"",
	.nr_facts = 2,
};

FIXTURE_SETUP(json)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	attach_with_priorities(_metadata, &self->tree, "flags memcg,kill_all");
}

FIXTURE_TEARDOWN(json)
{
	clean_up();
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(json, same_facts, TEST_TIMEOUT_S)
{
	char plain[OUTPUT_SIZE], *fact, *saved;
	int nr_facts = 0;

	ASSERT_EQ(0, shell("bpftool oom %s", variant->command));
	memcpy(plain, shell_output, sizeof(plain));
	ASSERT_EQ(0, shell("bpftool -j oom %s | jq -r '%s'", variant->command, variant->facts))
		TH_LOG("%s", shell_output);
	for (fact = strtok_r(shell_output, "\n", &saved); fact;
	     fact = strtok_r(NULL, "\n", &saved)) {
		nr_facts++;
		EXPECT_NE(NULL, strstr(plain, fact))
			TH_LOG("'%s' is in the JSON, but not in '%s'", fact, plain);
	}
	EXPECT_EQ(variant->nr_facts, nr_facts);
	EXPECT_EQ(0, shell("bpftool -jp oom %s | jq . >/dev/null", variant->command))
		TH_LOG("%s", shell_output);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
