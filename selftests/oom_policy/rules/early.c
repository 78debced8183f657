// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills that a program asks for before there is a shortage: who dies, and what each
 * refusal is called.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "policy.h"

#define REPORT_SIZE	65536

#define PANIC_ON_OOM	"/proc/sys/vm/panic_on_oom"
#define KILL_ALLOCATING	"/proc/sys/vm/oom_kill_allocating_task"

#define TREE	"T=0 T/a=0,8M T/b=1,24M X=-1,8M"

FIXTURE(early)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	struct holder holder;
	int log;
};

FIXTURE_SETUP(early)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(early)
{
	close(self->log);
	write_file(PANIC_ON_OOM, "0");
	write_file(KILL_ALLOCATING, "0");
	let_go(&self->holder);
	bpf_link__destroy(self->link);
	early__destroy(self->early);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(early, whole_machine, TEST_TIMEOUT_S)
{
	const struct call *call = self->policy->bss->calls;
	static char report[REPORT_SIZE];
	struct bpf_link_info info;

	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);

	ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_STREQ("X", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(call->flags, (__u32)(BPF_OOM_EVENT_GLOBAL | BPF_OOM_EVENT_EARLY));

	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(1U, info.oom_policy.kills);
	EXPECT_EQ(tree_find(&self->tree, "X")->id, info.oom_policy.last_victim_cgroup_id);

	ASSERT_LT(0, kmsg_read_report(self->log, report, sizeof(report)));
	EXPECT_NE(NULL, strstr(report, "oom_policy: scope /, prog compare"));
	EXPECT_NE(NULL, strstr(report, ", early\n"));
	EXPECT_NE(NULL, strstr(report, "Out of memory (early): Killed process"));
}

TEST_F_TIMEOUT(early, one_memcg, TEST_TIMEOUT_S)
{
	const struct call *call = self->policy->bss->calls;

	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);

	ASSERT_EQ(0, early_kill(self->early, tree_find(&self->tree, "T")->id, 0));
	EXPECT_STREQ("T/a", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(call->flags, (__u32)(BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_EARLY));
}

/* No policy has a say: the stock killer chooses, in the scope. */
TEST_F_TIMEOUT(early, without_a_policy, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, early_kill(self->early, tree_find(&self->tree, "T")->id, 0));
	EXPECT_STREQ("T/b", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(0U, self->policy->bss->nr_calls);
}

/* What is for real shortages does not apply: no panic, and not the caller. */
TEST_F_TIMEOUT(early, sysctls_of_a_shortage, TEST_TIMEOUT_S)
{
	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, write_file(PANIC_ON_OOM, "2"));
	ASSERT_EQ(0, write_file(KILL_ALLOCATING, "1"));
	ASSERT_EQ(0, write_file("/proc/self/oom_score_adj", "0"));

	EXPECT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_STREQ("X", policy_victims(self->policy, &self->tree));
}

TEST_F_TIMEOUT(early, victim_still_dying, TEST_TIMEOUT_S)
{
	const __u64 root = cgroup_id("");

	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));

	ASSERT_EQ(0, early_kill(self->early, root, 0));
	ASSERT_TRUE(wait_until(*self->holder.stopped));
	EXPECT_EQ(-EAGAIN, early_kill(self->early, root, 0));
	EXPECT_STREQ("X", policy_victims(self->policy, &self->tree));

	let_go(&self->holder);
	EXPECT_TRUE(wait_until(early_kill(self->early, root, 0) == 0));
	EXPECT_STREQ("T/a X", policy_victims(self->policy, &self->tree));
}

/* Nobody rules above the tenant: it is the stock scan that meets the victim. */
TEST_F_TIMEOUT(early, victim_of_a_tenant_still_dying, TEST_TIMEOUT_S)
{
	const __u64 root = cgroup_id("");

	self->link = attach_with(self->policy->progs.compare, "T",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));

	ASSERT_EQ(0, early_kill(self->early, root, 0));
	ASSERT_TRUE(wait_until(*self->holder.stopped));
	EXPECT_EQ(-EAGAIN, early_kill(self->early, root, 0));
	EXPECT_STREQ("T/a", policy_victims(self->policy, &self->tree));
}

/* Nobody is killed where the choice is about to exit anyway, and it is said so. */
TEST_F_TIMEOUT(early, victim_exits_already, TEST_TIMEOUT_S)
{
	struct node *choice = tree_find(&self->tree, "X");
	struct bpf_link_info info;

	self->link = attach_with(self->policy->progs.compare, "",
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
	ASSERT_EQ(0, kill(choice->pid[0], SIGKILL));
	ASSERT_TRUE(wait_until(*self->holder.stopped));

	EXPECT_EQ(-EAGAIN, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_STREQ("X", policy_victims(self->policy, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.selections);
	EXPECT_EQ(0U, info.oom_policy.kills);
}

/* ... but for the rest of the memcg, where all of it is to go. */
TEST_F_TIMEOUT(early, kill_all_though_the_victim_exits, TEST_TIMEOUT_S)
{
	struct node *choice = tree_find(&self->tree, "X");
	struct bpf_link_info info;

	choice->pid[1] = task_start_in("X", 2, 0);
	ASSERT_LT(0, choice->pid[1]);
	choice->nr_tasks = 2;
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_KILL_ALL,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->tree));
	ASSERT_EQ(0, kill(choice->pid[0], SIGKILL));
	ASSERT_TRUE(wait_until(*self->holder.stopped));

	EXPECT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
	EXPECT_STREQ("X X", policy_victims(self->policy, &self->tree));
	ASSERT_EQ(0, policy_info(self->link, &info));
	EXPECT_EQ(1U, info.oom_policy.kills);
}

FIXTURE(refused)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
};

FIXTURE_VARIANT(refused)
{
	enum { MEMCG, REMOVED, NO_MEMORY, NO_SUCH, NO_ROOM } scope;
	__u64 flags;
	__u64 caps;	/* to be dropped */
	int err;
};

FIXTURE_VARIANT_ADD(refused, nobody_killable) { .scope = MEMCG, .err = -ESRCH };
FIXTURE_VARIANT_ADD(refused, no_memory_allowed) { .scope = NO_ROOM, .err = -ESRCH };
FIXTURE_VARIANT_ADD(refused, unknown_flag) { .flags = 1, .err = -EINVAL };
FIXTURE_VARIANT_ADD(refused, no_such_cgroup) { .scope = NO_SUCH, .err = -ENOENT };
FIXTURE_VARIANT_ADD(refused, removed_cgroup) { .scope = REMOVED, .err = -ENOENT };
FIXTURE_VARIANT_ADD(refused, memory_not_enabled) { .scope = NO_MEMORY, .err = -EOPNOTSUPP };
FIXTURE_VARIANT_ADD(refused, no_capability) { .caps = CAP(SYS_ADMIN), .err = -EPERM };

FIXTURE_SETUP(refused)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M,adj=-1000"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	ASSERT_EQ(0, cgroup_make("G"));
	ASSERT_EQ(0, cgroup_make("A/x"));
	/* Were it an OOM, nobody to kill would be the end. */
	ASSERT_EQ(0, write_file(PANIC_ON_OOM, "2"));
}

FIXTURE_TEARDOWN(refused)
{
	write_file(PANIC_ON_OOM, "0");
	early__destroy(self->early);
	policy__destroy(self->policy);
	cgroup_remove("A/x");
	cgroup_remove("G");
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(refused, err, TEST_TIMEOUT_S)
{
	__u64 id = cgroup_id("A");

	switch (variant->scope) {
	case MEMCG:
		break;
	case REMOVED:
		id = cgroup_id("G");
		ASSERT_EQ(0, cgroup_remove("G"));
		break;
	case NO_MEMORY:
		id = cgroup_id("A/x");
		break;
	case NO_SUCH:
		id = UINT64_MAX;
		break;
	case NO_ROOM:
		id = cgroup_id("G");
		ASSERT_EQ(0, cgroup_write("G", "memory.max", "0"));
		break;
	}
	if (variant->caps)
		ASSERT_EQ(0, keep_capabilities(ALL_CAPS & ~variant->caps));

	EXPECT_EQ(variant->err, early_kill(self->early, id, variant->flags));
	EXPECT_EQ(0U, self->policy->bss->nr_victims);
}

/*
 * Kills by a bpf_wq callback that is started where the caller must not wait: what
 * it holds there, the callback does not.
 */
FIXTURE(work)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
};

FIXTURE_VARIANT(work)
{
	const char *prog;
};

FIXTURE_VARIANT_ADD(work, in_reclaim) { .prog = "in_reclaim" };
FIXTURE_VARIANT_ADD(work, in_fault) { .prog = "in_fault" };
FIXTURE_VARIANT_ADD(work, under_mmap_lock) { .prog = "under_mmap_lock" };

FIXTURE_SETUP(work)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG,
				 .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->early = early_load(variant->prog);
	ASSERT_NE(NULL, self->early);
	self->early->bss->scope = tree_find(&self->tree, "T")->id;
	ASSERT_EQ(0, early__attach(self->early));
}

FIXTURE_TEARDOWN(work)
{
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(work, kills, TEST_TIMEOUT_S)
{
	char *mem;

	self->early->bss->target = getpid();
	/* Mapping, a fault, and reclaim: one of them starts it. */
	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, 4096);
	if (!self->early->bss->started)
		cgroup_write("X", "memory.reclaim", "4096");
	munmap(mem, 4096);

	ASSERT_EQ(1U, self->early->bss->started);
	ASSERT_TRUE(wait_until(self->early->bss->done));
	EXPECT_EQ(0, self->early->bss->result);
	EXPECT_STREQ("T/a", policy_victims(self->policy, &self->tree));
}

/*
 * A callback has the rights of a kernel thread: who loads one needs them, too, and
 * any program may start one.
 */
FIXTURE(load) {};

FIXTURE_VARIANT(load)
{
	const char *prog;	/* NULL: one that a system call runs */
};

FIXTURE_VARIANT_ADD(load, run_by_a_system_call) {};
FIXTURE_VARIANT_ADD(load, callback) { .prog = "in_fault" };

FIXTURE_SETUP(load) {}
FIXTURE_TEARDOWN(load) {}

TEST_F(load, without_capability)
{
	struct early *early = early_load(variant->prog);
	/* Of a module's kfuncs libbpf does not even learn then. */
	const int refusal = by_module() ? EINVAL : EACCES;

	EXPECT_NE(NULL, early);
	early__destroy(early);
	ASSERT_EQ(0, keep_capabilities(CAP(BPF) | CAP(PERFMON)));
	libbpf_set_print(NULL);
	EXPECT_EQ(NULL, early_load(variant->prog));
	EXPECT_EQ(refusal, errno);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
