// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler of OOMs, which is a BPF program, asks for a victim: it gets whom the OOM
 * killer would take, by a policy or without one, and nobody else can ask.
 *
 * The handler is told of a shortage by a struct_ops type that the kernel has for this
 * test, with CONFIG_OOM_POLICY_KUNIT_TEST.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "policy.h"
#include "handler.skel.h"

#define REPORT_SIZE	65536
#define LOG_SIZE	65536

/* The policy would have X first, and oom_badness() T/b. */
#define TREE	"T=0 T/a=0,8M T/b=1,24M X=-1,8M"

#define BY_HANDLER	"Out of memory (handler): Killed process"
#define BY_KERNEL	"Out of memory: Killed process"

/* In a section with "?" libbpf leaves out the first one only. */
static struct handler *handler_open(void)
{
	struct handler *skel = handler__open();

	if (skel && (bpf_map__set_autocreate(skel->maps.hasty, false) ||
		     bpf_map__set_autocreate(skel->maps.forger, false))) {
		handler__destroy(skel);
		return NULL;
	}
	return skel;
}

FIXTURE(handler)
{
	struct tree tree;
	struct policy *policy;
	struct handler *handler;
	struct bpf_link *link;
	struct bpf_link *handler_link;
	int log;
};

FIXTURE_VARIANT(handler)
{
	bool governed;		/* a policy is attached */
	__u32 questions;
	__u32 kills;
	const char *victim;
	const char *message;
};

FIXTURE_VARIANT_ADD(handler, by_policy)
{
	.governed = true,
	.questions = 1,
	.kills = 1,
	.victim = "X",
	.message = BY_HANDLER,
};

FIXTURE_VARIANT_ADD(handler, without_a_policy)
{
	.questions = 1,
	.kills = 1,
	.victim = "T/b",
	.message = BY_HANDLER,
};

/* The last answer counts, and what the others held is let go of. */
FIXTURE_VARIANT_ADD(handler, asks_more_than_once)
{
	.governed = true,
	.questions = 3,
	.kills = 1,
	.victim = "X",
	.message = BY_HANDLER,
};

/* It only wanted to know: the OOM killer goes on as if it had not been asked. */
FIXTURE_VARIANT_ADD(handler, asks_and_does_not_kill)
{
	.governed = true,
	.questions = 1,
	.victim = "X",
	.message = BY_KERNEL,
};

FIXTURE_SETUP(handler)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	if (variant->governed) {
		self->link = attach_with(self->policy->progs.compare, "",
					 .budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->link);
	}

	self->handler = handler_open();
	ASSERT_NE(NULL, self->handler);
	ASSERT_EQ(0, handler__load(self->handler));
	self->handler->data->questions = variant->questions;
	self->handler->data->kills = variant->kills;
	self->handler_link = bpf_map__attach_struct_ops(self->handler->maps.handler);
	ASSERT_NE(NULL, self->handler_link);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(handler)
{
	close(self->log);
	bpf_link__destroy(self->handler_link);
	handler__destroy(self->handler);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

/* While its victim is dying the handler may be asked again: then it has to wait. */
TEST_F_TIMEOUT(handler, victim, TEST_TIMEOUT_S)
{
	const struct handler *handler = self->handler;
	static char report[REPORT_SIZE];
	struct bpf_link_info info;

	ASSERT_EQ(0, policy_shortage(self->policy, &self->tree));
	EXPECT_STREQ(variant->victim, policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	EXPECT_EQ(tree_find(&self->tree, variant->victim)->pid[0],
		  (pid_t)handler->bss->first_chosen);
	EXPECT_EQ(variant->questions, handler->bss->nr_chosen);
	if (handler->bss->failed)
		EXPECT_EQ(-EAGAIN, handler->bss->failed);

	ASSERT_LT(0, kmsg_read_report(self->log, report, sizeof(report)));
	EXPECT_NE(NULL, strstr(report, variant->message));
	EXPECT_EQ(variant->governed,
		  !!strstr(report, "oom_policy: scope /, prog compare"));
	if (variant->governed) {
		ASSERT_EQ(0, policy_info(self->link, &info));
		EXPECT_EQ(1U, info.oom_policy.kills);
		EXPECT_EQ(tree_find(&self->tree, variant->victim)->id,
			  info.oom_policy.last_victim_cgroup_id);
	}
}

/* Whether the verifier refuses it, and says so. */
static bool refused(struct handler *skel, const char *words)
{
	static char log[LOG_SIZE];
	struct bpf_program *prog;
	bool said;

	log[0] = '\0';
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_log_buf(prog, log, sizeof(log));
	if (!handler__load(skel)) {
		diag("it was loaded");
		return false;
	}
	said = strstr(log, words);
	if (!said)
		diag("%s", log);
	return said;
}

FIXTURE(refused)
{
	struct handler *handler;
};

FIXTURE_SETUP(refused)
{
	self->handler = handler_open();
	ASSERT_NE(NULL, self->handler);
	ASSERT_EQ(0, bpf_map__set_autocreate(self->handler->maps.handler, false));
}

FIXTURE_TEARDOWN(refused)
{
	handler__destroy(self->handler);
}

TEST_F(refused, what_cannot_sleep)
{
	ASSERT_EQ(0, bpf_map__set_autocreate(self->handler->maps.hasty, true));
	EXPECT_TRUE(refused(self->handler, "sleep"));
}

TEST_F(refused, an_event_of_its_own)
{
	ASSERT_EQ(0, bpf_map__set_autocreate(self->handler->maps.forger, true));
	EXPECT_TRUE(refused(self->handler, "STRUCT oom_control"));
}

TEST_F(refused, a_program_of_another_type)
{
	ASSERT_EQ(0, bpf_program__set_autoload(self->handler->progs.onlooker, true));
	EXPECT_TRUE(refused(self->handler, "bpf_oom_policy_select is not allowed"));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
