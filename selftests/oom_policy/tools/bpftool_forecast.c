// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an operator is told of OOMs to come: who would die next and after that, by a policy
 * as it is or as it could be, side by side, and as a page. What is foretold has to happen
 * then.
 *
 * The machine must have no cgroups but these.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "says.h"

#define GLOBALS		"/tests/globals.bpf.o"
#define PRIORITIES	"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define BESIDE_VMLINUX	"/tests/beside_vmlinux.bpf.o"
#define CONTRARY	"/tests/contrary.bpf.o"
#define PINS		"/sys/fs/bpf/forecast"
#define ODD_NAME	"<b>&\"'\033[1m"
#define NR_SIBLINGS	30
#define NR_VICTIMS	3

#define FORETOLD	" | jq -c '[.victims[].by[0] | .cgroup, .root_tasks]'"

#define TREE	"A=0 B=0 A/x=0,2M A/y=0,4M B/z=0,2M"

static void clean_up(void)
{
	shell("rm -rf " PINS " /sys/fs/bpf/oom_policy_*");
}

FIXTURE(forecast)
{
	struct tree tree;
};

FIXTURE_SETUP(forecast)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
}

FIXTURE_TEARDOWN(forecast)
{
	char path[128];
	int n;

	clean_up();
	for (n = 0; n < NR_SIBLINGS; n++) {
		snprintf(path, sizeof(path), CGROUP_ROOT "/B/s%d", n);
		rmdir(path);
	}
	rmdir(CGROUP_ROOT "/B/" ODD_NAME);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(forecast, variables_are_set, TEST_TIMEOUT_S)
{
	static const struct {
		const char *set;
		const char *says;
	} sets[] = {
		{ "", "dies first: /A\n" },
		{ "set backwards=true", "dies first: /B\n" },
		{ "set backwards=1 set backwards=false", "dies first: /A\n" },
		{ "set sign=-1", "dies first: /B\n" },
		{ "set sign=-1 set backwards=true", "dies first: /A\n" },
		{ "set order=BY_USAGE", "dies first: /B\n" },
		{ "set order=1", "dies first: /B\n" },
		{ "set multiplier=0xffffffffffffffff", "dies first: /B\n" },
		{ "set mood=unsure", "verdict: abstain" },
		{ "set mood=", "dies first: /A\n" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		runs(_metadata, 0, "bpftool oom compare A B prog " GLOBALS " %s; echo",
		     sets[i].set);
		strcat(shell_output, "\n");
		says(_metadata, sets[i].says);
	}

	/* And of what is attached. */
	runs(_metadata, 0, "bpftool oom attach " GLOBALS " / set backwards=1");
	runs(_metadata, 0, "bpftool oom rank | awk 'NR == 3 { print $NF }'");
	EXPECT_STREQ("/B", shell_output);
	runs(_metadata, 0, "bpftool oom replace / " GLOBALS " set order=BY_ID");
	runs(_metadata, 0, "bpftool oom rank | awk 'NR == 3 { print $NF }'");
	EXPECT_STREQ("/A", shell_output);
}

TEST_F_TIMEOUT(forecast, variables_that_cannot_be_set, TEST_TIMEOUT_S)
{
	static const struct {
		const char *set;
		const char *says;
	} sets[] = {
		{ "set", "'set' wants NAME=VALUE" },
		{ "set sign", "'set' wants NAME=VALUE, not 'sign'" },
		{ "set =1", "'set' wants NAME=VALUE, not '=1'" },
		{ "set size=1", GLOBALS " has no global variable size; it has " },
		{ "set sign=128", " is a number of 8 bits, of either sign, not '128'" },
		{ "set sign=", " is a number of 8 bits, of either sign, not ''" },
		{ "set multiplier=-1", " is a number of 64 bits, 0 or more, not '-1'" },
		{ "set multiplier=1k", "not '1k'" },
		{ "set multiplier=18446744073709551616", "not '18446744073709551616'" },
		{ "set backwards=2", "backwards of " GLOBALS " is true or false, not '2'" },
		{ "set order=BY_NAME", " is a word of its enum or a number, not 'BY_NAME'" },
		{ "set mood=undecided", " has room for 7 bytes, 'undecided' is longer" },
		{ "set odd=1", " is not a number, a truth value, an enum or a text" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		runs(_metadata, 255, "bpftool oom attach " GLOBALS " / %s", sets[i].set);
		says(_metadata, sets[i].says);
	}
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 255, "bpftool oom attach name circle / set sign=1");
	says(_metadata, "'set' is for an object file: the variables of a loaded program are ");
	runs(_metadata, 255, "bpftool oom attach " PINS "/circle / set sign=1");
	says(_metadata, "'set' is for an object file: " PINS "/circle is a pin");
	runs(_metadata, 0, "bpftool -j oom show | jq '.policies | length'");
	EXPECT_STREQ("0", shell_output);
}

/* By the headers of the kernel's types and of policies, together. */
TEST_F_TIMEOUT(forecast, program_with_both_headers, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom compare A B prog " BESIDE_VMLINUX);
	says(_metadata, "verdict: second, /B is the better victim");
}

/* One OOM after the other; the paths of those who died, in their order. */
static void kill_all(struct __test_metadata *_metadata, struct tree *tree, char *order)
{
	int n, killed;

	*order = '\0';
	for (n = 0; n < NR_VICTIMS; n++) {
		bool counted[MAX_NODES];
		int i;

		for (i = 0; i < tree->nr_nodes; i++)
			counted[i] = node_killed(&tree->node[i]);
		killed = tree_killed(tree);
		ASSERT_EQ(0, raise_oom_sysrq());
		ASSERT_TRUE(wait_until(tree_killed(tree) > killed));
		for (i = 0; i < tree->nr_nodes; i++)
			if (node_killed(&tree->node[i]) && !counted[i])
				sprintf(order + strlen(order), "%s/%s", n ? " " : "",
					tree->node[i].path);
	}
}

TEST_F_TIMEOUT(forecast, victims_of_two_policies, TEST_TIMEOUT_S)
{
	char foretold[256], died[256];

	runs(_metadata, 0, "bpftool oom attach " GLOBALS " / set backwards=1");
	runs(_metadata, 255, "bpftool oom diff prog " GLOBALS);
	says(_metadata, "of the next 3 victims of / 2 differ");
	runs(_metadata, 255, "bpftool oom diff prog " GLOBALS " | tr -s ' '; exit 255");
	says(_metadata, "* 1 /B/z /A/x\n");
	says(_metadata, "\n 2 /A/y /A/y\n");
	says(_metadata, "\n* 3 /A/x /B/z\n");
	runs(_metadata, 0, "bpftool oom diff prog " GLOBALS " set sign=-1");
	says(_metadata, "of the next 3 victims of / 0 differ");
	runs(_metadata, 255,
	     "bpftool oom diff prog " GLOBALS " prog " GLOBALS " set sign=-1 top 1");
	says(_metadata, "of the next 1 victims of / 1 differ");
	runs(_metadata, 255, "bpftool oom diff A prog " GLOBALS);
	says(_metadata, "of the next 2 victims of /A 2 differ");

	runs(_metadata, 0, "bpftool -j oom diff prog " GLOBALS
	     " | jq -r '.differences, ([.victims[] | .same] | join(\" \"))'");
	EXPECT_STREQ("2\nfalse true false", shell_output);
	runs(_metadata, 0, "bpftool -j oom diff prog " GLOBALS
	     " | jq -r '[.victims[].by[0].cgroup] | join(\" \")'");
	snprintf(foretold, sizeof(foretold), "%.200s", shell_output);
	kill_all(_metadata, &self->tree, died);
	EXPECT_STREQ(foretold, died);

	runs(_metadata, 255, "bpftool oom diff");
	says(_metadata, "diff wants something to compare with: ");
}

/* By priorities that are not written. */
TEST_F_TIMEOUT(forecast, victims_of_other_priorities, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " PRIORITIES " /");
	runs(_metadata, 0, "echo 5 >/sys/fs/cgroup/B/memory.oom.priority");
	runs(_metadata, 255, "bpftool oom diff with B=-5 | tr -s ' '; exit 255");
	says(_metadata, "* 1 /A/y /B/z\n");
	says(_metadata, "\n* 2 /A/x /A/y\n");
	says(_metadata, "\n* 3 /B/z /A/x\n");
	runs(_metadata, 0, "bpftool oom diff with B=4");
	runs(_metadata, 255, "bpftool oom diff with B=max");
	says(_metadata, "of the next 3 victims of / 1 differ");
	runs(_metadata, 0, "bpftool oom rank with B=-5 | awk 'NR == 3 { print $NF }'");
	EXPECT_STREQ("/B", shell_output);
	runs(_metadata, 0, "cat /sys/fs/cgroup/B/memory.oom.priority");
	EXPECT_STREQ("5", shell_output);
}

/* They have no cgroup of their own, and no priority: 0. */
TEST_F_TIMEOUT(forecast, processes_of_the_root, TEST_TIMEOUT_S)
{
	pid_t pid;

	ASSERT_EQ(0, protect_ancestors());
	runs(_metadata, 0, "bpftool oom attach " PRIORITIES " / flags root_tasks");
	runs(_metadata, 0, "echo 5 >/sys/fs/cgroup/A/memory.oom.priority");
	runs(_metadata, 0, "echo -5 >/sys/fs/cgroup/B/memory.oom.priority");
	/* Those that are there cannot be killed. */
	runs(_metadata, 0, "bpftool -j oom rank | jq -r '[.children[].cgroup] | join(\" \")'");
	EXPECT_STREQ("/B /A", shell_output);

	pid = task_start_in("", 2, 0);
	ASSERT_LT(0, pid);
	runs(_metadata, 0, "bpftool -j oom rank | jq -r '[.children[].cgroup] | join(\" \")'");
	EXPECT_STREQ("/B / /A", shell_output);
	runs(_metadata, 0, "bpftool oom rank with A=-9 | grep '(processes of the root)'");
	begins(_metadata, "   3 ");
	runs(_metadata, 0, "bpftool oom rank top 1");
	says(_metadata, "\n2 more are not shown");
	runs(_metadata, 0, "bpftool oom rank A");
	says_not(_metadata, "(processes of the root)");
	runs(_metadata, 255, "bpftool oom diff with B=1 | tr -s ' '; exit 255");
	says(_metadata, "* 1 /B/z / (its own processes)\n");
	says(_metadata, "\n* 2 / (its own processes) /B/z\n");
	runs(_metadata, 0, "bpftool -j oom diff with B=-4" FORETOLD);
	EXPECT_STREQ("[\"/B/z\",false,\"/\",true,\"/A/y\",false,\"/A/x\",false]",
		     shell_output);
	runs(_metadata, 0, "bpftool oom report");
	says(_metadata, "processes that are in no cgroup below it");

	ASSERT_EQ(0, raise_oom_sysrq());
	ASSERT_TRUE(wait_until(tree_killed(&self->tree)));
	EXPECT_FALSE(has_ended(pid));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(has_ended(pid)));
	EXPECT_EQ(1, tree_killed(&self->tree));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* One that abstains leads to a cgroup and no further. */
TEST_F_TIMEOUT(forecast, abstention_in_a_diff, TEST_TIMEOUT_S)
{
	runs(_metadata, 0, "bpftool oom attach " GLOBALS " / ");
	runs(_metadata, 255,
	     "bpftool oom diff prog " GLOBALS " set mood=unsure | tr -s ' '; exit 255");
	says(_metadata, "* 1 /A/x / (oom_badness)\n");
	says(_metadata, "\n* 2 /A/y -\n");
}

static void make_siblings(struct __test_metadata *_metadata)
{
	char path[32];
	int n;

	for (n = 0; n < NR_SIBLINGS; n++) {
		snprintf(path, sizeof(path), "B/s%d", n);
		ASSERT_EQ(0, cgroup_make(path));
	}
}

TEST_F_TIMEOUT(forecast, top_of_many, TEST_TIMEOUT_S)
{
	make_siblings(_metadata);
	runs(_metadata, 0, "bpftool oom attach " GLOBALS " / set backwards=1");
	runs(_metadata, 0, "bpftool oom rank B top 1");
	says(_metadata, "/B/z\n");
	says(_metadata, "30 more are not shown: 'all' shows them");
	runs(_metadata, 0, "bpftool oom rank B top 4 | grep -c 'no processes'");
	EXPECT_STREQ("3", shell_output);
	runs(_metadata, 0, "bpftool -j oom rank B top 4 | jq '(.children | length), .not_shown'");
	EXPECT_STREQ("4\n27", shell_output);
	runs(_metadata, 0, "bpftool oom rank B all | grep -c /B/");
	EXPECT_STREQ("31", shell_output);
	runs(_metadata, 0, "bpftool oom rank B | grep -c /B/");
	EXPECT_STREQ("31", shell_output);

	runs(_metadata, 0, "bpftool oom select top 4");
	says(_metadata, "-> z");
	says(_metadata, "`-- and 28 more: 'all' shows them");
	runs(_metadata, 0, "bpftool -j oom select top 4 | jq '.levels[] | .not_shown'");
	EXPECT_STREQ("0\n28", shell_output);
	runs(_metadata, 0, "bpftool oom select | grep -c 'no processes'");
	EXPECT_STREQ("30", shell_output);

	runs(_metadata, 255, "bpftool oom rank B top");
	says(_metadata, "'top' wants a number of cgroups");
	runs(_metadata, 255, "bpftool oom rank B top 0");
	says(_metadata, "a number of cgroups is 1 or more");
	runs(_metadata, 255, "bpftool oom rank B top 1 all");
	says(_metadata, "what is 'all'? the options here are with, prog, top and all");
}

TEST_F_TIMEOUT(forecast, page, TEST_TIMEOUT_S)
{
	char foretold[256], died[256];

	ASSERT_EQ(0, mkdir(CGROUP_ROOT "/B/" ODD_NAME, 0755));
	runs(_metadata, 0, "bpftool oom attach " GLOBALS " / set backwards=1");
	runs(_metadata, 0, "bpftool oom report >/tmp/oom.html");
	runs(_metadata, 0, "head -n 1 /tmp/oom.html; tail -n 1 /tmp/oom.html");
	EXPECT_STREQ("<!DOCTYPE html>\n</html>", shell_output);

	/* It needs nothing from elsewhere, and runs nothing. */
	runs(_metadata, 1, "grep -Ei 'https?:|src=|<script|<link|url\\(|@import' /tmp/oom.html");
	/* A name is a text. */
	runs(_metadata, 1, "grep -F '/<b>' /tmp/oom.html");
	runs(_metadata, 0, "grep -F '&#60;b&#62;&#38;&#34;&#39;?[1m' /tmp/oom.html");
	runs(_metadata, 1, "grep -F \"$(printf '\\033')\" /tmp/oom.html");
	/* What is opened is closed. */
	runs(_metadata, 0,
	     "for tag in tr td table p b i div; do\n"
	     "	begin=$(grep -o \"<$tag[ >]\" /tmp/oom.html | wc -l);\n"
	     "	end=$(grep -o \"</$tag>\" /tmp/oom.html | wc -l);\n"
	     "	[ $begin = $end ] || echo $tag; done");
	EXPECT_STREQ("", shell_output);

	runs(_metadata, 0, "grep -A1 '/A/y' /tmp/oom.html | grep -o '[0-9.]* MB' | head -n 1");
	EXPECT_LE(4, atof(shell_output));
	EXPECT_GT(6, atof(shell_output));
	runs(_metadata, 0, "sed -n '/id=\"victims\"/,/<\\/table>/p' /tmp/oom.html |\n"
	     " grep -o '/[AB]/[xyz]' | tr '\\n' ' '");
	snprintf(foretold, sizeof(foretold), "%.200s", shell_output);
	EXPECT_STREQ("/B/z /A/y /A/x ", foretold);
	kill_all(_metadata, &self->tree, died);
	strcat(died, " ");
	EXPECT_STREQ(foretold, died);

	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=0");
	runs(_metadata, 0, "bpftool oom report | grep -F '<p class=\"warn\">switched off by '");
	runs(_metadata, 0, "sysctl -w vm.oom_policy_enabled=1");
	runs(_metadata, 255, "bpftool -j oom report");
}

/* Of many some are looked at, and it is said; all of them if asked for. */
TEST_F_TIMEOUT(forecast, check_of_many, TEST_TIMEOUT_S)
{
	char path[32];
	int n;

	ASSERT_EQ(0, cgroup_make("C"));
	ASSERT_EQ(0, cgroup_enable_memory("C"));
	for (n = 0; n < 100; n++) {
		snprintf(path, sizeof(path), "C/s%d", n);
		ASSERT_EQ(0, cgroup_make(path));
	}
	runs(_metadata, 0, "bpftool oom check C prog " GLOBALS);
	says(_metadata, "/C: 100 children, 64 of them looked at (pairs: 2016, triples: 41664)");
	says(_metadata, "contradictions: 0 (pairs: 2016, triples: 41664)\n"
	     "not all were looked at: 'all' does");
	runs(_metadata, 0, "bpftool oom check C prog " GLOBALS " all");
	says(_metadata, "/C: 100 children (pairs: 4950, triples: 161700)");
	says_not(_metadata, "not all were looked at");
	runs(_metadata, 0, "bpftool prog loadall " CONTRARY " " PINS);
	runs(_metadata, 255, "bpftool oom check C prog pinned " PINS "/always_first >/tmp/check;"
	     " status=$?; tail -n 3 /tmp/check; exit $status");
	says(_metadata, "... and so on\ncontradictions: 2016 ");
	runs(_metadata, 0, "bpftool -j oom check C prog " GLOBALS
	     " | jq '.levels[0].looked_at, .contradictions'");
	EXPECT_STREQ("64\n0", shell_output);
	for (n = 0; n < 100; n++) {
		snprintf(path, sizeof(path), "C/s%d", n);
		cgroup_remove(path);
	}
	cgroup_remove("C");
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
