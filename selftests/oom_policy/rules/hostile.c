// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever a policy answers, and however slowly, an OOM makes progress: somebody
 * who may be killed dies, within the budget and one run of the program.
 *
 * What a run takes is measured on the spot, by BPF_PROG_TEST_RUN. Selections are
 * timed by the kernel; SLACK runs are what an emulated CPU that others use as
 * well may lose on the way.
 */
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "rehearse.h"
#include "hostile.skel.h"

#define SLACK		10
#define NSEC_PER_USEC	1000ULL
#define BUDGET_US	(10 * 1000 * 1000)
#define SLOW_NS		(10 * 1000 * NSEC_PER_USEC)
#define MAX_ROUNDS	8388608U	/* of bpf_loop() */

#define TREE	"T=0 X=1,8M T/a=0,8M,adj=-1000 T/b=2,8M T/c=1,24M T/d=0,8M,adj=-1000"

/* One sibling after the other has nobody to kill: 78 runs of always FIRST. */
#define UNKILLABLE	",1M,adj=-1000"
#define LONG_TREE	"A=0" UNKILLABLE " B=0" UNKILLABLE " C=0" UNKILLABLE	\
			" D=0" UNKILLABLE " E=0" UNKILLABLE " F=0" UNKILLABLE	\
			" G=0" UNKILLABLE " H=0" UNKILLABLE " I=0" UNKILLABLE	\
			" J=0" UNKILLABLE " K=0" UNKILLABLE " L=0,16M M=0,8M"
#define LONG_TREE_RUNS	78U

struct machine {
	struct tree tree;
	struct policy *recorder;
	struct hostile *hostile;
	struct bpf_link *link;
};

static __u64 run_ns(struct __test_metadata *_metadata, const struct bpf_program *prog,
		    __u64 id_1, __u64 id_2)
{
	__u32 verdict, ns;

	ASSERT_EQ(0, rehearse_compare(bpf_program__fd(prog), id_1, id_2, &verdict, &ns));
	return ns;
}

/* The burning takes SLOW_NS at least, if the verifier's limit allows it. */
static void make_slow(struct __test_metadata *_metadata, struct hostile *hostile,
		      __u64 id_1, __u64 id_2)
{
	__u32 *rounds = &hostile->bss->burn_rounds;

	for (*rounds = 1 << 12; *rounds < MAX_ROUNDS; *rounds *= 2)
		if (run_ns(_metadata, hostile->progs.slow, id_1, id_2) >= SLOW_NS)
			break;
}

static void fill_maps(struct __test_metadata *_metadata, struct hostile *hostile,
		      const struct tree *tree)
{
	const struct node *node;
	const __u64 zero = 0;
	int n, fd;

	for (n = 0; n < tree->nr_nodes; n++) {
		node = &tree->node[n];
		ASSERT_EQ(0, bpf_map__update_elem(hostile->maps.hand, &node->id,
						  sizeof(node->id), &node->priority,
						  sizeof(node->priority), BPF_ANY));
		ASSERT_EQ(0, bpf_map__update_elem(hostile->maps.met, &node->id,
						  sizeof(node->id), &zero, sizeof(zero),
						  BPF_ANY));
		fd = cgroup_open(node->path);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, bpf_map__update_elem(hostile->maps.storage, &fd, sizeof(fd),
						  &zero, sizeof(zero), BPF_ANY));
		close(fd);
	}
}

static void set_up(struct __test_metadata *_metadata, struct machine *machine,
		   const char *tree)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&machine->tree, tree));
	machine->recorder = policy_load(&machine->tree);
	ASSERT_NE(NULL, machine->recorder);
	machine->hostile = hostile__open_and_load();
	ASSERT_NE(NULL, machine->hostile);
	fill_maps(_metadata, machine->hostile, &machine->tree);
	make_slow(_metadata, machine->hostile, machine->tree.node[0].id,
		  machine->tree.node[1].id);
}

static void tear_down(struct machine *machine)
{
	bpf_link__destroy(machine->link);
	hostile__destroy(machine->hostile);
	policy__destroy(machine->recorder);
	tree_remove(&machine->tree);
}

/* @expected: NULL for any task of the tree that may be killed. */
static void check_victim(struct __test_metadata *_metadata, struct machine *machine,
			 const char *expected)
{
	const struct policy *recorder = machine->recorder;
	const char *victims = policy_victims(recorder, &machine->tree);
	const struct node *victim;

	if (expected)
		EXPECT_STREQ(expected, victims);
	ASSERT_EQ(1U, recorder->bss->nr_victims);
	victim = tree_find_pid(&machine->tree, recorder->bss->victims[0]);
	ASSERT_NE(NULL, victim) TH_LOG("victim: %s", victims);
	EXPECT_EQ(0, victim->adj);
	EXPECT_TRUE(policy_victims_died(recorder, &machine->tree));
}

static void check_time(struct __test_metadata *_metadata, struct machine *machine,
		       const struct bpf_program *prog, __u64 budget_us)
{
	const struct tree *tree = &machine->tree;
	struct bpf_link_info info;
	__u64 run;

	run = run_ns(_metadata, prog, tree->node[0].id, tree->node[1].id);
	ASSERT_EQ(0, policy_info(machine->link, &info));
	TH_LOG("one run %llu ns, worst selection %llu ns, comparisons %llu", run,
	       info.oom_policy.worst_ns, info.oom_policy.comparisons);
	EXPECT_LE(1U, info.oom_policy.comparisons);
	EXPECT_GE(budget_us * NSEC_PER_USEC + SLACK * run, info.oom_policy.worst_ns);
}

FIXTURE(hostile)
{
	struct machine machine;
	const struct bpf_program *prog;
};

FIXTURE_VARIANT(hostile)
{
	const char *prog;
	const char *victim;		/* the machine is short */
	const char *memcg_victim;	/* T is short */
};

FIXTURE_VARIANT_ADD(hostile, always_first)
{
	.prog = "always_first", .victim = "T/b", .memcg_victim = "T/b",
};

FIXTURE_VARIANT_ADD(hostile, always_second)
{
	.prog = "always_second", .victim = "X", .memcg_victim = "T/c",
};

FIXTURE_VARIANT_ADD(hostile, always_equal)
{
	.prog = "always_equal", .victim = "T/c", .memcg_victim = "T/c",
};

FIXTURE_VARIANT_ADD(hostile, always_abstain)
{
	.prog = "always_abstain", .victim = "T/c", .memcg_victim = "T/c",
};

FIXTURE_VARIANT_ADD(hostile, at_random)
{
	.prog = "at_random",
};

FIXTURE_VARIANT_ADD(hostile, rock_paper_scissors)
{
	.prog = "rock_paper_scissors", .victim = "X", .memcg_victim = "T/c",
};

FIXTURE_VARIANT_ADD(hostile, slow)
{
	.prog = "slow", .victim = "T/b", .memcg_victim = "T/b",
};

FIXTURE_VARIANT_ADD(hostile, reads_everything)
{
	.prog = "reads_everything", .victim = "T/c", .memcg_victim = "T/c",
};

FIXTURE_SETUP(hostile)
{
	struct machine *machine = &self->machine;

	set_up(_metadata, machine, TREE);
	self->prog = bpf_object__find_program_by_name(machine->hostile->obj,
						      variant->prog);
	ASSERT_NE(NULL, self->prog);
	machine->link = attach_with(self->prog, "", .flags = BPF_F_OOM_POLICY_MEMCG,
				    .budget_us = BUDGET_US);
	ASSERT_NE(NULL, machine->link);
}

FIXTURE_TEARDOWN(hostile)
{
	tear_down(&self->machine);
}

TEST_F_TIMEOUT(hostile, sysrq, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, policy_event(self->machine.recorder));
	check_victim(_metadata, &self->machine, variant->victim);
	check_time(_metadata, &self->machine, self->prog, BUDGET_US);
}

TEST_F_TIMEOUT(hostile, memcg_oom, TEST_TIMEOUT_S)
{
	struct machine *machine = &self->machine;

	EXPECT_EQ(0, policy_memcg_shortage(machine->recorder, &machine->tree, "T", NULL, 1));
	check_victim(_metadata, machine, variant->memcg_victim);
	check_time(_metadata, machine, self->prog, BUDGET_US);
}

TEST_F_TIMEOUT(hostile, pressure, TEST_TIMEOUT_S)
{
	struct machine *machine = &self->machine;

	EXPECT_EQ(0, policy_shortage(machine->recorder, &machine->tree));
	check_victim(_metadata, machine, variant->victim);
	check_time(_metadata, machine, self->prog, BUDGET_US);
}

/* A tree in which a slow program would need long. */
FIXTURE(slow)
{
	struct machine machine;
};

FIXTURE_SETUP(slow)
{
	set_up(_metadata, &self->machine, LONG_TREE);
}

FIXTURE_TEARDOWN(slow)
{
	tear_down(&self->machine);
}

TEST_F_TIMEOUT(slow, all_it_wants, TEST_TIMEOUT_S)
{
	struct machine *machine = &self->machine;
	struct bpf_link_info info;

	machine->link = attach_with(machine->hostile->progs.slow, "",
				    .budget_us = BUDGET_US);
	ASSERT_NE(NULL, machine->link);
	ASSERT_EQ(0, policy_event(machine->recorder));
	check_victim(_metadata, machine, "L");
	ASSERT_EQ(0, policy_info(machine->link, &info));
	EXPECT_EQ(LONG_TREE_RUNS, info.oom_policy.comparisons);
}

TEST_F_TIMEOUT(slow, ends_with_its_budget, TEST_TIMEOUT_S)
{
	struct machine *machine = &self->machine;
	const struct tree *tree = &machine->tree;
	struct bpf_link_info info;
	__u32 budget_us;

	budget_us = 2 * run_ns(_metadata, machine->hostile->progs.slow,
			       tree->node[0].id, tree->node[1].id) / NSEC_PER_USEC;
	machine->link = attach_with(machine->hostile->progs.slow, "",
				    .budget_us = budget_us);
	ASSERT_NE(NULL, machine->link);
	ASSERT_EQ(0, policy_event(machine->recorder));
	check_victim(_metadata, machine, "L");
	check_time(_metadata, machine, machine->hostile->progs.slow, budget_us);
	ASSERT_EQ(0, policy_info(machine->link, &info));
	EXPECT_EQ(1U, info.oom_policy.fallback_budget);
	EXPECT_GT(LONG_TREE_RUNS / 2, info.oom_policy.comparisons);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
