// SPDX-License-Identifier: GPL-2.0-only
/*
 * An agent in a container with a cgroup namespace and a mount of its own: policies and
 * victims elsewhere are outside of what it can see, and not gone.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "shell.h"

#define OUTPUT		"/tmp/cgroup_namespace"
#define OUTSIDE		"cgroup id %llu (outside of " CGROUP_ROOT ")"
#define OTHERS		"if one does outside of this cgroup namespace, name it with 'prog'"

FIXTURE(cgroup_namespace)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *root;
	struct bpf_link *own;
	pid_t agent;
};

FIXTURE_SETUP(cgroup_namespace)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "A=-1 A/a=0,8M agent=1"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->root = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->root);
	self->own = attach_with(self->policy->progs.compare, "agent");
	ASSERT_NE(NULL, self->own);
}

FIXTURE_TEARDOWN(cgroup_namespace)
{
	if (self->agent > 0) {
		kill(self->agent, SIGKILL);
		waitpid(self->agent, NULL, 0);
	}
	bpf_link__destroy(self->own);
	bpf_link__destroy(self->root);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
	unlink(OUTPUT);
}

/* A command where /agent is the root of all cgroups; or all others are mounted as well. */
static pid_t agent_start(const char *command, bool all)
{
	char redirected[512];
	pid_t pid;

	snprintf(redirected, sizeof(redirected), "exec >" OUTPUT " 2>&1; %s", command);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_write("agent", "cgroup.procs", "0"))
		_exit(125);
	if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    (!all && (umount2(CGROUP_ROOT, MNT_DETACH) ||
		      mount("none", CGROUP_ROOT, "cgroup2", 0, NULL)))) {
		diag("no cgroup namespace: %m");
		_exit(125);
	}
	execl("/bin/sh", "sh", "-c", redirected, NULL);
	_exit(126);
}

static void says(struct __test_metadata *_metadata, pid_t pid, const char *words)
{
	EXPECT_EQ(0, wait_exit(pid));
	EXPECT_TRUE(file_has(OUTPUT, words)) {
		shell("cat " OUTPUT);
		TH_LOG("'%s' is not in: %s", words, shell_output);
	}
}

static void agent_says(struct __test_metadata *_metadata, const char *command,
		       const char *words)
{
	says(_metadata, agent_start(command, false), words);
}

TEST_F_TIMEOUT(cgroup_namespace, shows_what_is_outside_as_outside, TEST_TIMEOUT_S)
{
	const __u64 id = tree_find(&self->tree, "A/a")->id;
	char words[256];
	int status;

	snprintf(words, sizeof(words), OUTSIDE ": compare (prog id ", cgroup_id(""));
	agent_says(_metadata, "bpftool oom show", words);
	agent_says(_metadata, "bpftool oom show", "/: compare (prog id ");
	agent_says(_metadata, "bpftool -j oom show | jq -r '.policies[].cgroup_state'", "outside");
	snprintf(words, sizeof(words), "bpftool oom show %llu; true", id);
	agent_says(_metadata, words, "(outside of " CGROUP_ROOT ")");

	self->agent = agent_start("exec bpftool oom monitor count 1", false);
	ASSERT_LT(0, self->agent);
	ASSERT_TRUE(wait_until(file_has(OUTPUT, "watching OOM policies")));
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(self->agent, waitpid(self->agent, &status, 0));
	self->agent = 0;
	snprintf(words, sizeof(words), "  scope " OUTSIDE "  victim " OUTSIDE "  task ",
		 cgroup_id(""), id);
	EXPECT_TRUE(file_has(OUTPUT, words)) TH_LOG("no '%s'", words);
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));

	snprintf(words, sizeof(words), "last victim " OUTSIDE, id);
	agent_says(_metadata, "bpftool oom show", words);
	ASSERT_EQ(0, cgroup_remove("A/a"));
	snprintf(words, sizeof(words), "last victim cgroup id %llu (gone)", id);
	agent_says(_metadata, "bpftool oom show", words);
}

/* One that is outside rules inside as well: nobody is told that there is none. */
TEST_F_TIMEOUT(cgroup_namespace, does_not_claim_that_no_policy_rules, TEST_TIMEOUT_S)
{
	bpf_link__destroy(self->own);
	self->own = NULL;
	agent_says(_metadata, "bpftool oom select; true", OTHERS);
	agent_says(_metadata, "bpftool oom rank; true", OTHERS);
	agent_says(_metadata, "bpftool oom check; true", OTHERS);
}

/* The host's mount in a container: the kernel finds none by its id but those below. */
TEST_F_TIMEOUT(cgroup_namespace, outside_in_the_hosts_mount_is_told, TEST_TIMEOUT_S)
{
	says(_metadata, agent_start("bpftool oom rank", true), "outside of it are not compared");
	says(_metadata, agent_start("bpftool oom compare A agent; true", true),
	     "removed meanwhile, or is outside of this cgroup namespace");
	says(_metadata, agent_start("bpftool -j oom show | jq .private_namespace", true), "true");
	EXPECT_NE(0, shell("bpftool oom rank 2>&1 | grep namespace"));

	/* All policies are seen there: that there is none is said as anywhere. */
	bpf_link__destroy(self->own);
	bpf_link__destroy(self->root);
	self->own = NULL;
	self->root = NULL;
	says(_metadata, agent_start("bpftool oom select; true", true),
	     "no OOM policy rules in /: attach one");
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
