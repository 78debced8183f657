// SPDX-License-Identifier: GPL-2.0-only
/*
 * Using "bpftool oom" in the wrong way: one sentence that says what is wrong, an
 * exit status that says so too, the same in JSON, and nothing has changed.
 *
 * The machine must have no cgroups but these.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "shell.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define CONTRARY	"/tests/contrary.bpf.o"
#define REFUSED		"/tests/refused.bpf.o"
#define LEAF_POLICY	"/usr/lib/oom_policy/leaf_prio.bpf.o"
#define WOULD_HIDE							\
	" is in no BPF file system, and to mount one on /usr/lib/oom_policy would hide what is there: choose a pin below /sys/fs/bpf"
#define TASK_POLICY	"/usr/lib/oom_policy/youngest_task.bpf.o"
#define BPF_FS		"/sys/fs/bpf"
#define V1_MOUNT	"/tmp/bpftool_wrong_v1"

#define NO_PRIORITY							\
	"a priority is a number from -9223372036854775808 to 9223372036854775807, max or unset, not "
#define NO_CONTROLLER							\
	"/B/sub has no memory controller, so no priority: enable it in cgroup.subtree_control of its parent"

/*
 * A and B have processes, A has a policy of its own, B/sub no memory controller, C no
 * processes.
 */
FIXTURE(wrong)
{
	char before[OUTPUT_SIZE];
};

FIXTURE_VARIANT(wrong)
{
	const char *command;
	const char *says;	/* @: an id that is not known before */
	bool bare;		/* with nothing attached */
	bool nobody;
};

FIXTURE_VARIANT_ADD(wrong, no_such_cgroup)
{
	.command = "show nowhere",
	.says = "no such cgroup: nowhere (cgroup v2 is mounted at /sys/fs/cgroup)",
};

FIXTURE_VARIANT_ADD(wrong, not_a_cgroup)
{
	.command = "select /tmp",
	.says = "/tmp is not a cgroup: cgroup v2 is mounted at /sys/fs/cgroup",
};

FIXTURE_VARIANT_ADD(wrong, leads_out_of_cgroup_v2)
{
	.command = "rank /../../../tmp",
	.says = "/../../../tmp is not a cgroup: it leads out of /sys/fs/cgroup",
};

/* A dot in front is the working directory, which is the root of files. */
FIXTURE_VARIANT_ADD(wrong, working_directory_is_no_cgroup)
{
	.command = "rank .",
	.says = ". is not a cgroup: cgroup v2 is mounted at /sys/fs/cgroup",
};

FIXTURE_VARIANT_ADD(wrong, no_such_cgroup_from_here)
{
	.command = "rank ./sys/fs/cgroup/nowhere",
	.says =
		"no such cgroup: ./sys/fs/cgroup/nowhere (cgroup v2 is mounted at /sys/fs/cgroup)",
};

FIXTURE_VARIANT_ADD(wrong, no_such_id)
{
	.command = "show 999999",
	.says = "no cgroup has the id 999999 (a path begins with a slash or with './')",
};

FIXTURE_VARIANT_ADD(wrong, no_such_id_of_64_bits)
{
	.command = "compare A 99999999999999999999",
	.says =
		"no cgroup has the id 99999999999999999999 (a path begins with a slash or with './')",
};

FIXTURE_VARIANT_ADD(wrong, quotation_mark)
{
	.command = "select 'a\"b'",
	.says = "no such cgroup: a\"b (cgroup v2 is mounted at /sys/fs/cgroup)",
};

FIXTURE_VARIANT_ADD(wrong, file_of_a_cgroup)
{
	.command = "rank /sys/fs/cgroup/A/memory.max",
	.says = "/sys/fs/cgroup/A/memory.max is a file, not a cgroup",
};

FIXTURE_VARIANT_ADD(wrong, cgroup_v1)
{
	.command = "attach " POLICY " " V1_MOUNT,
	.says = V1_MOUNT " is a cgroup of version 1, which has no OOM policies",
};

/* As from "$CGROUP" that is not set: not the whole machine. */
FIXTURE_VARIANT_ADD(wrong, empty_cgroup)
{
	.command = "detach ''",
	.says = "a cgroup is missing: '/' is the root",
};

FIXTURE_VARIANT_ADD(wrong, show_two_cgroups)
{
	.command = "show A B",
	.says = "show takes one cgroup at most, what is 'B'?",
};

FIXTURE_VARIANT_ADD(wrong, attach_nothing)
{
	.command = "attach",
	.says =
		"which program? 'id ID', 'pinned FILE', 'tag TAG', 'name NAME' or the name of an object file",
};

FIXTURE_VARIANT_ADD(wrong, slot_taken)
{
	.command = "attach " POLICY " /",
	.says =
		"/ has an OOM policy already: tenant_prio (prog id @) by link id @; replace or detach it",
};

FIXTURE_VARIANT_ADD(wrong, no_memory_controller)
{
	.command = "attach " POLICY " B/sub",
	.says =
		"/B/sub has no memory controller: enable it in cgroup.subtree_control of its parent",
};

FIXTURE_VARIANT_ADD(wrong, no_such_file)
{
	.command = "attach nowhere.bpf.o B",
	.says = "cannot read nowhere.bpf.o: No such file or directory",
};

/* Wherever it is to go. */
FIXTURE_VARIANT_ADD(wrong, no_such_file_for_a_taken_slot)
{
	.command = "attach file nowhere.bpf.o",
	.says = "cannot read nowhere.bpf.o: No such file or directory",
};

FIXTURE_VARIANT_ADD(wrong, no_object_file)
{
	.command = "attach /etc/passwd B",
	.says = "cannot read /etc/passwd as a BPF object file: it is none",
};

FIXTURE_VARIANT_ADD(wrong, two_policies_in_one_file)
{
	.command = "attach " CONTRARY " B",
	.says =
		"/tests/contrary.bpf.o has two OOM policies, circle and always_first: pin them with 'bpftool prog loadall' and name one",
};

FIXTURE_VARIANT_ADD(wrong, no_policy_of_that_type_in_file)
{
	.command = "attach " POLICY " B type task",
	.says = POLICY
		" has no program in a section oom_policy/task: tenant_prio, which compares cgroups, is attached without 'type task'",
};

FIXTURE_VARIANT_ADD(wrong, type_task_is_missing)
{
	.command = "attach " TASK_POLICY " B",
	.says = TASK_POLICY
		" has no program in a section oom_policy: youngest_task, which compares processes, is attached with 'type task'",
};

FIXTURE_VARIANT_ADD(wrong, type_task_is_missing_for_a_pin)
{
	.command = "attach pinned " BPF_FS "/task/youngest_task B",
	.says =
		"the kernel does not attach this program to /B: one that compares processes is attached with 'type task'",
};

FIXTURE_VARIANT_ADD(wrong, type_task_is_too_much_for_a_pin)
{
	.command = "attach pinned " BPF_FS "/contrary/circle B type task",
	.says =
		"the kernel does not attach this program to /B: one that compares cgroups is attached without 'type task'",
};

FIXTURE_VARIANT_ADD(wrong, flags_of_type_task)
{
	.command = "attach " TASK_POLICY " B type task flags memcg,kill_all",
	.says = "of the flags type task has memcg only",
};

FIXTURE_VARIANT_ADD(wrong, refused_by_the_verifier)
{
	.command = "attach " REFUSED " B",
	.says = "the verifier refuses " REFUSED
		": invalid bpf_context access off=4096 size=4 (option -d shows all of its log)",
};

FIXTURE_VARIANT_ADD(wrong, wrong_program_type)
{
	.command = "attach pinned " BPF_FS "/skb_prog B",
	.says = "pass (prog id @) is a program of type cgroup_skb, not an OOM policy",
};

FIXTURE_VARIANT_ADD(wrong, pinned_map_for_a_program)
{
	.command = "attach " BPF_FS "/maps/oom_priority B",
	.says = "incorrect object type: map",
};

FIXTURE_VARIANT_ADD(wrong, no_such_program_id)
{
	.command = "attach id 999999 B",
	.says = "get by id (999999): No such file or directory",
};

FIXTURE_VARIANT_ADD(wrong, no_such_program_name)
{
	.command = "attach name nobody B",
	.says = "no OOM policy is loaded that has the name nobody",
};

FIXTURE_VARIANT_ADD(wrong, no_such_program_tag)
{
	.command = "attach tag 0123456789abcdef B",
	.says = "no OOM policy is loaded that has the tag 0123456789abcdef",
};

FIXTURE_VARIANT_ADD(wrong, program_name_of_another_type)
{
	.command = "attach name pass B",
	.says = "pass (prog id @) is a program of type cgroup_skb, not an OOM policy",
};

FIXTURE_VARIANT_ADD(wrong, program_name_missing)
{
	.command = "attach name",
	.says = "'name' wants the name of a program",
};

FIXTURE_VARIANT_ADD(wrong, program_id_missing)
{
	.command = "attach id",
	.says = "'id' wants the id of a program",
};

FIXTURE_VARIANT_ADD(wrong, program_id_no_number)
{
	.command = "attach id seven B",
	.says = "can't parse seven as ID",
};

/* Of 32 bits it would be 7. */
FIXTURE_VARIANT_ADD(wrong, program_id_too_large)
{
	.command = "attach id 4294967303 B",
	.says = "program ID is a number up to 4294967295, not '4294967303'",
};

FIXTURE_VARIANT_ADD(wrong, unknown_flag)
{
	.command = "attach " POLICY " B flags memcg,fast",
	.says = "flags are memcg, kill_all and root_tasks, not 'fast'",
};

FIXTURE_VARIANT_ADD(wrong, unknown_type)
{
	.command = "attach " POLICY " B type thread",
	.says = "type is memcg or task, not 'thread'",
};

FIXTURE_VARIANT_ADD(wrong, budget_no_number)
{
	.command = "attach " POLICY " B budget 10ms",
	.says = "can't parse 10ms as budget in microseconds",
};

FIXTURE_VARIANT_ADD(wrong, budget_empty)
{
	.command = "attach " POLICY " B budget ''",
	.says = "budget in microseconds is a number up to 4294967295, not ''",
};

FIXTURE_VARIANT_ADD(wrong, budget_twice)
{
	.command = "attach " POLICY " B budget 1 budget 2",
	.says = "'budget' is there twice",
};

FIXTURE_VARIANT_ADD(wrong, grace_no_number)
{
	.command = "attach " POLICY " B grace soon",
	.says = "can't parse soon as grace in milliseconds",
};

FIXTURE_VARIANT_ADD(wrong, grace_negative)
{
	.command = "attach " POLICY " B grace -1",
	.says = "grace in milliseconds is a number up to 4294967295, not '-1'",
};

FIXTURE_VARIANT_ADD(wrong, budget_too_long)
{
	.command = "attach " POLICY " B budget 10000001",
	.says = "the budget is too long: the kernel takes 10000000 microseconds at most",
};

FIXTURE_VARIANT_ADD(wrong, grace_too_long)
{
	.command = "attach " POLICY " B grace 60001",
	.says = "the grace is too long: the kernel takes 60000 milliseconds at most",
};

FIXTURE_VARIANT_ADD(wrong, option_without_value)
{
	.command = "attach " POLICY " B pin",
	.says = "'pin' wants a value",
};

FIXTURE_VARIANT_ADD(wrong, unknown_option)
{
	.command = "attach " POLICY " B now",
	.says =
		"what is 'now'? attach has the options type, flags, budget, grace, futile, floor, map, pin and set",
};

#define NO_SIZE								\
	"a size is a number of bytes, with K, M or G if need be, or a percentage up to 100%, not "

FIXTURE_VARIANT_ADD(wrong, floor_no_size)
{
	.command = "attach " POLICY " B floor 5x",
	.says = NO_SIZE "'5x'",
};

FIXTURE_VARIANT_ADD(wrong, floor_too_large)
{
	.command = "attach " POLICY " B floor 17179869184G",
	.says = NO_SIZE "'17179869184G'",
};

FIXTURE_VARIANT_ADD(wrong, floor_of_more_than_all)
{
	.command = "attach " POLICY " B floor 101%",
	.says = NO_SIZE "'101%'",
};

FIXTURE_VARIANT_ADD(wrong, floor_missing)
{
	.command = "attach " POLICY " B floor",
	.says = "'floor' wants a value",
};

FIXTURE_VARIANT_ADD(wrong, floor_of_a_program_without)
{
	.command = "attach " LEAF_POLICY " B floor 5M",
	.says = LEAF_POLICY " knows no floor: it has no 64-bit constant oom_floor",
};

FIXTURE_VARIANT_ADD(wrong, floor_of_a_loaded_program)
{
	.command = "attach pinned " BPF_FS "/contrary/circle B floor 5M",
	.says = "a loaded program keeps its floor and its maps: name an object file",
};

FIXTURE_VARIANT_ADD(wrong, map_without_pin)
{
	.command = "attach " LEAF_POLICY " B map oom_priority",
	.says = "'map' wants its name, 'pin' and a file",
};

FIXTURE_VARIANT_ADD(wrong, map_that_is_not_there)
{
	.command = "attach " POLICY " B map oom_priority pin " BPF_FS "/new",
	.says = POLICY " has no map oom_priority",
};

FIXTURE_VARIANT_ADD(wrong, map_of_another_layout)
{
	.command = "attach " LEAF_POLICY " B map oom_priority pin " BPF_FS "/maps/oom_priority",
	.says = LEAF_POLICY
		" cannot go on with the map that is pinned: its map oom_priority has another layout",
};

FIXTURE_VARIANT_ADD(wrong, map_pinned_for_nothing)
{
	.command = "attach " LEAF_POLICY " A map oom_priority pin " BPF_FS "/new",
	.says =
		"/A has an OOM policy already: always_first (prog id @) by link id @; replace or detach it",
};

FIXTURE_VARIANT_ADD(wrong, pin_outside_bpffs)
{
	.command = "attach " POLICY " B pin /tmp/policy --nomount",
	.says = "no BPF file system found, not mounting it due to --nomount option",
};

FIXTURE_VARIANT_ADD(wrong, pin_that_hides_files)
{
	.command = "attach " POLICY " B pin /usr/lib/oom_policy/new",
	.says = "/usr/lib/oom_policy/new" WOULD_HIDE,
};

FIXTURE_VARIANT_ADD(wrong, map_that_hides_files)
{
	.command = "attach " LEAF_POLICY " B map oom_priority pin /usr/lib/oom_policy/new",
	.says = "/usr/lib/oom_policy/new" WOULD_HIDE,
};

FIXTURE_VARIANT_ADD(wrong, pin_twice)
{
	.command = "attach " POLICY " B pin " BPF_FS "/one pin " BPF_FS "/other",
	.says = "'pin' is there twice",
};

FIXTURE_VARIANT_ADD(wrong, pin_exists)
{
	.command = "attach " POLICY " B pin " BPF_FS "/oom_policy_root",
	.says = "can't pin BPF object: path '" BPF_FS "/oom_policy_root' already exists",
};

FIXTURE_VARIANT_ADD(wrong, pin_with_a_dot)
{
	.command = "attach " POLICY " B pin " BPF_FS "/b.policy",
	.says = "a pin has no dot in its name: " BPF_FS "/b.policy",
};

FIXTURE_VARIANT_ADD(wrong, pin_in_no_directory)
{
	.command = "attach " POLICY " B pin " BPF_FS "/tenants/b",
	.says = "can't pin BPF object: dir '" BPF_FS "/tenants' doesn't exist",
};

FIXTURE_VARIANT_ADD(wrong, detach_nothing)
{
	.command = "detach",
	.says = "which policy? a cgroup, 'id LINK_ID' or 'pinned FILE'",
};

FIXTURE_VARIANT_ADD(wrong, detach_where_another_rules)
{
	.command = "detach B",
	.says = "no OOM policy is attached to /B: the one that rules there is attached to /",
};

FIXTURE_VARIANT_ADD(wrong, detach_the_other_type)
{
	.command = "detach / type task",
	.says = "no OOM policy of type task is attached to /",
};

FIXTURE_VARIANT_ADD(wrong, no_such_link_id)
{
	.command = "detach id 999999",
	.says = "no link has the id 999999",
};

FIXTURE_VARIANT_ADD(wrong, no_such_pin_of_a_link)
{
	.command = "detach pinned " BPF_FS "/nothing",
	.says = "bpf obj get (" BPF_FS "/nothing): No such file or directory",
};

FIXTURE_VARIANT_ADD(wrong, link_id_no_number)
{
	.command = "detach id first",
	.says = "can't parse first as link ID",
};

FIXTURE_VARIANT_ADD(wrong, pinned_program_for_a_link)
{
	.command = "detach pinned " BPF_FS "/contrary/circle",
	.says = "incorrect object type: prog",
};

FIXTURE_VARIANT_ADD(wrong, wrong_link_type)
{
	.command = "detach pinned " BPF_FS "/skb_link",
	.says = BPF_FS "/skb_link is a link of type cgroup, not of an OOM policy",
};

FIXTURE_VARIANT_ADD(wrong, replace_by_nothing)
{
	.command = "replace /",
	.says = "which policy, and by which program? a cgroup or a link, then a program",
};

FIXTURE_VARIANT_ADD(wrong, compare_one)
{
	.command = "compare A",
	.says = "compare wants two cgroups",
};

FIXTURE_VARIANT_ADD(wrong, compare_with_itself)
{
	.command = "compare A /sys/fs/cgroup/A/",
	.says = "twice the same cgroup: /A",
};

FIXTURE_VARIANT_ADD(wrong, compare_with_its_child)
{
	.command = "compare A/x A",
	.says = "/A is above /A/x: it is siblings that are compared",
};

FIXTURE_VARIANT_ADD(wrong, compare_without_memory_controller)
{
	.command = "compare B/sub B/sub2",
	.says = "/B/sub has no memory controller, so it is never a candidate",
};

FIXTURE_VARIANT_ADD(wrong, compare_by_a_task_policy)
{
	.command = "compare A B prog pinned " BPF_FS "/task/youngest_task",
	.says = "youngest_task (prog id @) compares processes, not cgroups",
};

FIXTURE_VARIANT_ADD(wrong, rehearse_unknown_option)
{
	.command = "select / by " POLICY,
	.says = "what is 'by'? the options here are with, prog, top and all",
};

FIXTURE_VARIANT_ADD(wrong, suppose_nothing)
{
	.command = "select / with " POLICY,
	.says = "'with' wants PATH=PRIORITY, one or more",
};

FIXTURE_VARIANT_ADD(wrong, suppose_no_number)
{
	.command = "rank with B=high",
	.says = NO_PRIORITY "'high'",
};

FIXTURE_VARIANT_ADD(wrong, suppose_of_nobody)
{
	.command = "rank with nowhere=5",
	.says = "no such cgroup: nowhere (cgroup v2 is mounted at /sys/fs/cgroup)",
};

FIXTURE_VARIANT_ADD(wrong, suppose_twice)
{
	.command = "compare A B with B=5 /B=6",
	.says = "twice the same cgroup: /B",
};

FIXTURE_VARIANT_ADD(wrong, suppose_without_controller)
{
	.command = "select with B/sub=5",
	.says = NO_CONTROLLER,
};

FIXTURE_VARIANT_ADD(wrong, rehearse_a_number)
{
	.command = "select / -1",
	.says = "what is '-1'? the options here are with, prog, top and all",
};

FIXTURE_VARIANT_ADD(wrong, program_is_a_number)
{
	.command = "attach -1 B",
	.says = "cannot read -1: No such file or directory",
};

FIXTURE_VARIANT_ADD(wrong, nobody_to_kill)
{
	.command = "select C",
	.says = "nobody below /C can be killed: the stock killer would decide",
};

FIXTURE_VARIANT_ADD(wrong, priority_without_controller)
{
	.command = "priority set B/sub -100",
	.says = NO_CONTROLLER,
};

FIXTURE_VARIANT_ADD(wrong, priority_of_the_root)
{
	.command = "priority set / 7",
	.says = "the root has no priority: it has no siblings",
};

FIXTURE_VARIANT_ADD(wrong, priority_no_number)
{
	.command = "priority set B high",
	.says = NO_PRIORITY "'high'",
};

FIXTURE_VARIANT_ADD(wrong, priority_after_a_blank)
{
	.command = "priority set B ' 5'",
	.says = NO_PRIORITY "' 5'",
};

FIXTURE_VARIANT_ADD(wrong, priority_too_low)
{
	.command = "priority set B -9223372036854775809",
	.says = NO_PRIORITY "'-9223372036854775809'",
};

FIXTURE_VARIANT_ADD(wrong, priority_missing)
{
	.command = "priority set B",
	.says = "priority set wants a cgroup and a number, max or unset",
};

FIXTURE_VARIANT_ADD(wrong, unknown_priority_command)
{
	.command = "priority raise B",
	.says = "what is 'raise'? priority has list, get and set",
};

FIXTURE_VARIANT_ADD(wrong, monitor_count_zero)
{
	.command = "monitor count 0",
	.says = "a number of events is 1 or more",
};

FIXTURE_VARIANT_ADD(wrong, monitor_count_no_number)
{
	.command = "monitor count all",
	.says = "can't parse all as number of events",
};

FIXTURE_VARIANT_ADD(wrong, no_policy_to_detach)
{
	.command = "detach /",
	.says = "no OOM policy is attached to /",
	.bare = true,
};

FIXTURE_VARIANT_ADD(wrong, no_policy_to_compare)
{
	.command = "compare A B",
	.says = "no OOM policy rules in /: attach one there or above it",
	.bare = true,
};

FIXTURE_VARIANT_ADD(wrong, no_policy_to_check)
{
	.command = "check",
	.says = "no OOM policy rules in / or below: attach one, or name one with 'prog'",
	.bare = true,
};

FIXTURE_VARIANT_ADD(wrong, nobody_may_look)
{
	.command = "show",
	.says =
		"cannot look for OOM policies: Operation not permitted (it takes CAP_SYS_ADMIN)",
	.nobody = true,
};

FIXTURE_VARIANT_ADD(wrong, nobody_may_monitor)
{
	.command = "monitor",
	.says =
		"no permission to load the programs of monitor: it takes CAP_BPF and CAP_PERFMON",
	.nobody = true,
};

/* All that a command could have changed. */
static void look_around(char *text)
{
	shell("bpftool -j oom show; bpftool oom priority list all; find " BPF_FS "; "
	      "cat /proc/mounts");
	memcpy(text, shell_output, OUTPUT_SIZE);
}

static int attach_policies(void)
{
	return shell("bpftool oom attach " POLICY " && bpftool oom attach pinned "
		     BPF_FS "/contrary/always_first /A");
}

FIXTURE_SETUP(wrong)
{
	if (variant->bare)
		ASSERT_EQ(0, shell("bpftool oom detach /A && bpftool oom detach /"))
			TH_LOG("%s", shell_output);
	look_around(self->before);
}

FIXTURE_TEARDOWN(wrong)
{
	if (variant->bare)
		EXPECT_EQ(0, attach_policies()) TH_LOG("%s", shell_output);
}

/* An at sign stands for a number. */
static bool matches(const char *text, const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern == '@') {
			if (!strspn(text, "0123456789"))
				return false;
			text += strspn(text, "0123456789");
		} else if (*text++ != *pattern) {
			return false;
		}
	}
	return !*text;
}

TEST_F_TIMEOUT(wrong, use, TEST_TIMEOUT_S)
{
	char command[256], says[256], after[OUTPUT_SIZE];

	snprintf(says, sizeof(says), "Error: %s", variant->says);
	snprintf(command, sizeof(command), "bpftool oom %s", variant->command);
	EXPECT_EQ(255, variant->nobody ? shell_as_nobody(command) : shell("%s", command));
	EXPECT_TRUE(matches(shell_output, says))
		TH_LOG("'%s' is not '%s'", shell_output, says);

	snprintf(command, sizeof(command), "bpftool -j oom %s | jq -r .error",
		 variant->command);
	if (variant->nobody)
		shell_as_nobody(command);
	else
		shell("%s", command);
	EXPECT_TRUE(matches(shell_output, variant->says))
		TH_LOG("'%s' is not '%s'", shell_output, variant->says);

	look_around(after);
	EXPECT_STREQ(self->before, after);
}

/* A program and a link of another kind. */
static int pin_others(void)
{
	static const struct bpf_insn pass[] = {
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = 1,
		},
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const int root = cgroup_open("");
	int prog, link;

	prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "pass", "GPL", pass, 2, NULL);
	link = bpf_link_create(prog, root, BPF_CGROUP_INET_INGRESS, NULL);
	close(root);
	return bpf_obj_pin(prog, BPF_FS "/skb_prog") || bpf_obj_pin(link, BPF_FS "/skb_link") ||
	       close(prog) || close(link);
}

int main(int argc, char **argv)
{
	struct tree tree;
	int ret;

	require_bare_machine();
	if (protect_self() || tree_make(&tree, "A=0 A/x=0,2M A/y=0,2M B=0,2M C=0") ||
	    cgroup_make("B/sub") || cgroup_make("B/sub2") || pin_others() ||
	    shell("mkdir " V1_MOUNT " && mount -t cgroup -o none,name=wrong none " V1_MOUNT) ||
	    shell("bpftool prog loadall " CONTRARY " " BPF_FS "/contrary pinmaps "
		  BPF_FS "/maps") ||
	    shell("bpftool prog loadall " TASK_POLICY " " BPF_FS "/task") || attach_policies()) {
		ksft_print_header();
		ksft_exit_fail_msg("cannot set up what can be used wrongly: %s\n",
				   shell_output);
	}
	ret = test_harness_run(argc, argv);
	shell("rm -r " BPF_FS "/*; umount " V1_MOUNT "; rmdir " V1_MOUNT);
	cgroup_remove("B/sub");
	cgroup_remove("B/sub2");
	tree_remove(&tree);
	return ret;
}
