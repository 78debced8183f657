// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who writes priorities, where, and when: an agent that knows containers only, a limit
 * on all pods, an agent in a cgroup namespace of its own, a cgroup without a memory
 * controller, and cgroups that are made anew.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "policy.h"
#include "sample.h"
#include "shell.h"

#define POLICY		SHARE "/tenant_prio.bpf.o"
#define LEAF_POLICY	SHARE "/leaf_prio.bpf.o"
#define PIN		"/sys/fs/bpf/wiring_policy"
#define MAP_PIN		"/sys/fs/bpf/wiring_priorities"
#define REPORT_SIZE	65536

#define CONTAINERS								\
	"kubepods=0 kubepods/be=0 kubepods/be/podA=0 kubepods/be/podA/c=0,10M "	\
	"kubepods/burst=0 kubepods/burst/podB=0 kubepods/burst/podB/c=0,20M "	\
	"kubepods/podC=0 kubepods/podC/c=0,60M kubepods/podC/pause=0,1M,adj=-998"
#define CLASSES									\
	"kubepods=0 kubepods/be=0 kubepods/be/pod=0,8M kubepods/burst=0 "	\
	"kubepods/burst/pod=0,24M kubepods/burst/grows=0 kubepods/pod=0,60M"
#define ATTACH_LEAVES								\
	"bpftool oom attach " LEAF_POLICY " / flags memcg map oom_priority pin "	\
	MAP_PIN " pin " PIN
#define NO_CONTROLLER								\
	"/parent/init.scope has no memory controller, so no priority: "		\
	"enable it in cgroup.subtree_control of its parent"

/* A command of an operator has to succeed. */
static void runs(struct __test_metadata *_metadata, const char *command)
{
	ASSERT_EQ(0, shell("%s", command)) TH_LOG("%s: %s", command, shell_output);
}

static void clean_up(void)
{
	shell("rm -f " PIN " " MAP_PIN);
}

FIXTURE(containers)
{
	struct tree tree;
	struct policy *recorder;
	int map;
};

FIXTURE_VARIANT(containers)
{
	const char *scope;	/* where the limit is; NULL: the machine */
};

FIXTURE_VARIANT_ADD(containers, machine) {};
FIXTURE_VARIANT_ADD(containers, limit_of_pods) { .scope = "kubepods" };

/* As the agent of kubewharf does: of the containers, and once an hour of no others. */
static const char * const containers[] = {
	"kubepods/be/podA/c", "kubepods/burst/podB/c", "kubepods/podC/c",
};

static const __s64 of_containers[] = { -100, 0, 100 };

static int agent_writes(const struct tree *tree, int map)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(containers); i++)
		if (bpf_map_update_elem(map, &tree_find((void *)tree, containers[i])->id,
					&of_containers[i], BPF_ANY))
			return -1;
	return 0;
}

static bool is_container(const struct tree *tree, __u64 id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(containers); i++)
		if (tree_find((void *)tree, containers[i])->id == id)
			return true;
	return false;
}

static int agent_sweeps(const struct tree *tree, int map)
{
	__u64 key, next, *last = NULL;
	int swept = 0;

	while (!bpf_map_get_next_key(map, last, &next)) {
		if (!is_container(tree, next) && !bpf_map_delete_elem(map, &next)) {
			swept++;
			continue;
		}
		key = next;
		last = &key;
	}
	return swept;
}

FIXTURE_SETUP(containers)
{
	clean_up();
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, CONTAINERS));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	runs(_metadata, ATTACH_LEAVES);
	self->map = bpf_obj_get(MAP_PIN);
	ASSERT_LE(0, self->map);
	ASSERT_EQ(0, agent_writes(&self->tree, self->map));
}

FIXTURE_TEARDOWN(containers)
{
	close(self->map);
	clean_up();
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

static int shortage_in(struct policy *recorder, struct tree *tree, const char *scope)
{
	return scope ? policy_memcg_shortage(recorder, tree, scope, NULL, 1) :
		       policy_event(recorder);
}

TEST_F_TIMEOUT(containers, lowest_first_at_all_levels, TEST_TIMEOUT_S)
{
	const __u64 *pause = &tree_find(&self->tree, "kubepods/podC/pause")->id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(containers); i++) {
		self->recorder->bss->nr_victims = 0;
		/* Unknown it does not count for its pod, but would be the first to die in it. */
		if (i == 2)
			ASSERT_EQ(0, bpf_map_update_elem(self->map, pause, &of_containers[i],
							 BPF_ANY));
		ASSERT_EQ(0, shortage_in(self->recorder, &self->tree, variant->scope));
		EXPECT_STREQ(containers[i], policy_victims(self->recorder, &self->tree));
		EXPECT_TRUE(wait_until(tree_killed(&self->tree) == (int)i + 1));
	}
}

/* What others have written there is gone after the sweep: nothing depends on it. */
TEST_F_TIMEOUT(containers, order_outlives_the_sweep, TEST_TIMEOUT_S)
{
	static const char * const classes[] = { "kubepods/be", "kubepods/burst", "kubepods/podC" };
	const __s64 wrong[] = { 300, 0, -300 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(classes); i++)
		ASSERT_EQ(0, bpf_map_update_elem(self->map,
						 &tree_find(&self->tree, classes[i])->id,
						 &wrong[i], BPF_ANY));
	EXPECT_EQ(3, agent_sweeps(&self->tree, self->map));
	ASSERT_EQ(0, shortage_in(self->recorder, &self->tree, variant->scope));
	EXPECT_STREQ(containers[0], policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
}

/* A policy that is attached anew goes on with the map that is pinned. */
TEST_F_TIMEOUT(containers, map_outlives_the_policy, TEST_TIMEOUT_S)
{
	runs(_metadata, "bpftool oom replace / " LEAF_POLICY);
	runs(_metadata, "bpftool oom detach /");
	runs(_metadata, ATTACH_LEAVES);
	ASSERT_EQ(0, shortage_in(self->recorder, &self->tree, variant->scope));
	EXPECT_STREQ(containers[0], policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
}

/* Classes by their files: a limit on all pods, and classes that are made anew. */
FIXTURE(classes)
{
	struct tree tree;
	struct policy *recorder;
	int log;
};

FIXTURE_VARIANT(classes)
{
	const char *scope;
};

FIXTURE_VARIANT_ADD(classes, machine) {};
FIXTURE_VARIANT_ADD(classes, limit_of_pods) { .scope = "kubepods" };

FIXTURE_SETUP(classes)
{
	clean_up();
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, CLASSES));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	runs(_metadata, "bpftool oom attach " POLICY " / flags memcg pin " PIN);
	runs(_metadata, "bpftool oom priority set kubepods/be -200");
	runs(_metadata, "bpftool oom priority set kubepods/burst -100");
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(classes)
{
	close(self->log);
	clean_up();
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(classes, lowest_first_and_told, TEST_TIMEOUT_S)
{
	static char report[REPORT_SIZE];

	ASSERT_EQ(0, variant->scope ?
		  policy_memcg_shortage(self->recorder, &self->tree, variant->scope,
					"kubepods/burst/grows", 1) :
		  policy_event(self->recorder));
	EXPECT_STREQ("kubepods/be/pod", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
	ASSERT_LT(0, kmsg_read_report(self->log, report, sizeof(report)));
	EXPECT_NE(NULL, strstr(report, variant->scope ? "oom_policy: scope /kubepods, prog " :
							"oom_policy: scope /, prog tenant_prio"));
	EXPECT_NE(NULL, strstr(report, ": /kubepods/be ("));
}

/* As a runtime makes a cgroup: the file is written before the first task is there. */
TEST_F_TIMEOUT(classes, made_anew, TEST_TIMEOUT_S)
{
	struct node *pod = tree_find(&self->tree, "kubepods/be/pod");
	const __u64 old = tree_find(&self->tree, "kubepods/be")->id;
	int status;

	kill(pod->pid[0], SIGKILL);
	ASSERT_EQ(pod->pid[0], waitpid(pod->pid[0], &status, 0));
	ASSERT_EQ(0, cgroup_remove("kubepods/be/pod"));
	ASSERT_EQ(0, cgroup_remove("kubepods/be"));
	ASSERT_EQ(0, cgroup_make("kubepods/be"));
	runs(_metadata, "bpftool oom priority set kubepods/be -200");
	ASSERT_EQ(0, cgroup_enable_memory("kubepods/be"));
	ASSERT_EQ(0, cgroup_make("kubepods/be/pod"));
	ASSERT_NE(old, cgroup_id("kubepods/be"));
	pod->pid[0] = task_start_in("kubepods/be/pod", 8, 0);
	ASSERT_LT(0, pod->pid[0]);

	ASSERT_EQ(0, shortage_in(self->recorder, &self->tree, variant->scope));
	EXPECT_STREQ("kubepods/be/pod", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
}

/* What has been set stays, whatever becomes of the policy. */
TEST_F_TIMEOUT(classes, outlive_the_policy, TEST_TIMEOUT_S)
{
	runs(_metadata, "bpftool oom replace / " POLICY);
	runs(_metadata, "bpftool oom detach /");
	runs(_metadata, "bpftool oom priority get kubepods/be");
	EXPECT_NE(NULL, strstr(shell_output, "-200  /kubepods/be"));
	runs(_metadata, "bpftool oom attach " POLICY " / flags memcg pin " PIN);
	ASSERT_EQ(0, shortage_in(self->recorder, &self->tree, variant->scope));
	EXPECT_STREQ("kubepods/be/pod", policy_victims(self->recorder, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->recorder, &self->tree));
}

/* An agent whose container has a cgroup namespace of its own. */
FIXTURE(namespaces)
{
	struct tree tree;
};

FIXTURE_SETUP(namespaces)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "agent=0 agent/self=0 agent/below=0 other=0,4M"));
}

FIXTURE_TEARDOWN(namespaces)
{
	clean_up();
	tree_remove(&self->tree);
}

/* Its root is where a process is that makes it: no place for one with controllers below. */
static int own_namespace(void)
{
	return cgroup_write("agent", "cgroup.subtree_control", "-memory") ||
	       cgroup_write("agent", "cgroup.procs", "0") ||
	       unshare(CLONE_NEWCGROUP | CLONE_NEWNS) ||
	       cgroup_write("agent/self", "cgroup.procs", "0") ||
	       cgroup_enable_memory("agent") ||
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       umount2(CGROUP_ROOT, MNT_DETACH) ||
	       mount("none", CGROUP_ROOT, "cgroup2", 0, NULL);
}

/* In the namespace: exit status, and what was said on the way is in @said. */
static int agent_in_namespace(const char *command, char *said, size_t size)
{
	int status, out[2];
	ssize_t len;
	pid_t pid;

	if (pipe(out))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		if (own_namespace())
			_exit(99);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(98);
	}
	close(out[1]);
	for (len = 0; (size_t)len + 1 < size;) {
		const ssize_t n = read(out[0], said + len, size - len - 1);

		if (n <= 0)
			break;
		len += n;
	}
	said[len] = '\0';
	close(out[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void expect_said(struct __test_metadata *_metadata, const char *said, const char *text)
{
	EXPECT_NE(NULL, strstr(said, text))
		TH_LOG("'%s' is not in '%s'", text, said);
}

TEST_F_TIMEOUT(namespaces, root_is_not_the_machines, TEST_TIMEOUT_S)
{
	const unsigned long long agent = tree_find(&self->tree, "agent")->id;
	char said[OUTPUT_SIZE], text[128];

	EXPECT_EQ(0, agent_in_namespace("bpftool oom attach " POLICY " / pin " PIN, said,
					sizeof(said)));
	snprintf(text, sizeof(text),
		 "/ is the cgroup with the id %llu, not the root of the machine", agent);
	expect_said(_metadata, said, text);
	runs(_metadata, "bpftool -j oom show | jq -r '.private_namespace, .policies[].cgroup'");
	EXPECT_STREQ("false\n/agent", shell_output);
}

TEST_F_TIMEOUT(namespaces, outside_is_not_called_gone, TEST_TIMEOUT_S)
{
	const unsigned long long other = tree_find(&self->tree, "other")->id;
	char said[OUTPUT_SIZE], text[128];

	runs(_metadata, "bpftool oom attach " POLICY " /other pin " PIN);
	EXPECT_EQ(0, agent_in_namespace("bpftool oom show", said, sizeof(said)));
	expect_said(_metadata, said, "not the root of the machine");
	snprintf(text, sizeof(text),
		 "cgroup id %llu (outside of " CGROUP_ROOT "): tenant_prio", other);
	expect_said(_metadata, said, text);
	EXPECT_EQ(0, agent_in_namespace("bpftool -j oom show", said, sizeof(said)));
	expect_said(_metadata, said, "\"private_namespace\":true");
}

TEST_F_TIMEOUT(namespaces, priority_of_what_is_below, TEST_TIMEOUT_S)
{
	char said[OUTPUT_SIZE];

	EXPECT_EQ(0, agent_in_namespace("bpftool oom priority set /below -100", said,
					sizeof(said)));
	expect_said(_metadata, said, "not the root of the machine");
	runs(_metadata, "cat " CGROUP_ROOT "/agent/below/memory.oom.priority");
	EXPECT_STREQ("-100", shell_output);

	ASSERT_EQ(0, mount("none", CGROUP_ROOT, NULL, MS_REMOUNT, "nsdelegate"));
	EXPECT_EQ(255, agent_in_namespace("bpftool oom priority set / 1000", said, sizeof(said)));
	expect_said(_metadata, said,
		    "not allowed to set the priority of /: it is up to whoever delegated it");
	EXPECT_EQ(0, mount("none", CGROUP_ROOT, NULL, MS_REMOUNT, ""));
}

/* What has no memory controller is never a candidate. */
TEST(no_memory_controller)
{
	struct tree tree;

	ASSERT_EQ(0, tree_make(&tree, "parent=0"));
	ASSERT_EQ(0, cgroup_make("parent/init.scope"));
	EXPECT_EQ(255, shell("bpftool oom priority set parent/init.scope -100"));
	EXPECT_STREQ("Error: " NO_CONTROLLER, shell_output);
	EXPECT_EQ(255, shell("bpftool oom priority get parent/init.scope"));
	EXPECT_EQ(255, shell("bpftool oom rank / with parent/init.scope=5"));
	EXPECT_EQ(0, cgroup_remove("parent/init.scope"));
	tree_remove(&tree);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
