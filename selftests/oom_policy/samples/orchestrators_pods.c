// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kubernetes below the configuration as it is shipped: kubelet's cgroups, of either
 * driver, have their priorities when it has made them, and those decide who dies, of the
 * machine and below a limit of kubepods. Pods by PriorityClass and label, from a list
 * that changes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "sample.h"
#include "shell.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define SHIPPED		SHARE "/oom-policy.conf"
#define WITH_GRACE	"/tmp/with_grace.conf"
#define PRIORITY	"memory.oom.priority"
#define PODS		"kubepods.slice/kubepods"
#define KIND_PODS	"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods"

/* Containers in the order in which they have to die. */
#define MAX_CONTAINERS	5

struct container {
	const char *path;
	int megabytes;
};

FIXTURE(kubernetes)
{
	pid_t pid[MAX_CONTAINERS];
	int nr;
};

FIXTURE_VARIANT(kubernetes)
{
	const char *pods;	/* the cgroup of all pods */
	const char *classes[2];	/* best-effort and burstable */
	int nr_pods;		/* of the containers, those in pods */
	struct container container[MAX_CONTAINERS];
};

FIXTURE_VARIANT_ADD(kubernetes, systemd_driver) {
	.pods = "kubepods.slice",
	.classes = { PODS "-besteffort.slice", PODS "-burstable.slice" },
	.nr_pods = 4,
	.container = {
		{ PODS "-besteffort.slice/kubepods-besteffort-pod4f1c.slice/cri-aa.scope", 12 },
		{ PODS "-besteffort.slice/kubepods-besteffort-pod77d0.slice/cri-bb.scope", 8 },
		{ PODS "-burstable.slice/kubepods-burstable-pod9a02.slice/cri-cc.scope", 24 },
		{ PODS "-podc5e3.slice/cri-dd.scope", 40 },
		{ "system.slice/kubelet.service", 48 },
	},
};

FIXTURE_VARIANT_ADD(kubernetes, cgroupfs_driver) {
	.pods = "kubepods",
	.classes = { "kubepods/besteffort", "kubepods/burstable" },
	.nr_pods = 4,
	.container = {
		{ "kubepods/besteffort/pod4f1c/aa", 12 },
		{ "kubepods/besteffort/pod77d0/bb", 8 },
		{ "kubepods/burstable/pod9a02/cc", 24 },
		{ "kubepods/podc5e3/dd", 40 },
		{ "system/kubelet", 48 },
	},
};

/* As in kind, where kubelet is itself in a container. */
FIXTURE_VARIANT_ADD(kubernetes, below_a_cgroup_root) {
	.pods = "kubelet.slice/kubelet-kubepods.slice",
	.classes = { KIND_PODS "-besteffort.slice", KIND_PODS "-burstable.slice" },
	.nr_pods = 3,
	.container = {
		{ KIND_PODS "-besteffort.slice/kubelet-kubepods-besteffort-pod4f1c.slice/aa", 8 },
		{ KIND_PODS "-burstable.slice/kubelet-kubepods-burstable-pod9a02.slice/cc", 12 },
		{ KIND_PODS "-podc5e3.slice/cri-dd.scope", 16 },
		{ "kubelet.slice/kubelet.service", 20 },
	},
};

FIXTURE_SETUP(kubernetes)
{
	ASSERT_EQ(0, protect_ancestors());
	/* Who is dying has given nothing back for a moment: no second one for that. */
	ASSERT_EQ(0, shell("sed '/^#grace/s/.//' " SHIPPED " >" WITH_GRACE));
	ASSERT_EQ(0, shell("oom_rules --config " WITH_GRACE " apply"))
		TH_LOG("%s", shell_output);
	ASSERT_EQ(0, shell("bpftool oom show | grep 5000"));
}

static void end_all(pid_t *pid, const struct container *container, int nr)
{
	int n;

	for (n = 0; n < nr; n++) {
		if (pid[n] > 0) {
			kill(pid[n], SIGKILL);
			waitpid(pid[n], NULL, 0);
		}
		pid[n] = 0;
		cgroup_remove_path(container[n].path);
	}
}

FIXTURE_TEARDOWN(kubernetes)
{
	end_all(self->pid, variant->container, self->nr);
	shell("oom_rules remove");
}

/* As kubelet does: cgroups, one after the other, and then what runs in them. */
static int start_all(pid_t *pid, const struct container *container, int *nr)
{
	for (*nr = 0; *nr < MAX_CONTAINERS && container[*nr].path; ++*nr)
		if (cgroup_make_path(container[*nr].path))
			return -1;
	for (*nr = 0; *nr < MAX_CONTAINERS && container[*nr].path; ++*nr) {
		pid[*nr] = task_start_in(container[*nr].path, container[*nr].megabytes, 0);
		if (pid[*nr] < 0)
			return -1;
	}
	return 0;
}

static int count_dead(const pid_t *pid, int nr)
{
	int n, dead = 0;

	for (n = 0; n < nr; n++)
		dead += pid[n] > 0 && has_ended(pid[n]);
	return dead;
}

/* Who has ended, once somebody has; -1 if nobody does or several have. */
static int next_dead(const pid_t *pid, int nr)
{
	int n, who = -1;

	if (!wait_until(count_dead(pid, nr)))
		return -1;
	for (n = 0; n < nr; n++)
		if (pid[n] > 0 && has_ended(pid[n]))
			who = n;
	return count_dead(pid, nr) == 1 ? who : -1;
}

static void expect_priority_at(struct __test_metadata *_metadata, const char *path,
			       const char *value)
{
	EXPECT_STREQ(value, cgroup_read(path, PRIORITY)) TH_LOG("%s", path);
}

#define expect_priority(...)	expect_priority_at(_metadata, __VA_ARGS__)

static void put_away(pid_t *pid)
{
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

/* Classes and pods that are made anew: with their first look they have what they had. */
TEST_F_TIMEOUT(kubernetes, qos_classes_in_order, TEST_TIMEOUT_S)
{
	int round, n;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, start_all(self->pid, variant->container, &self->nr));
		expect_priority(variant->pods, "-100");
		expect_priority(variant->classes[0], "-200");
		expect_priority(variant->classes[1], "-100");
		for (n = 0; n < self->nr; n++) {
			ASSERT_EQ(0, raise_oom_sysrq());
			EXPECT_EQ(n, next_dead(self->pid, self->nr))
				TH_LOG("%s had to die", variant->container[n].path);
			put_away(&self->pid[n]);
		}
		end_all(self->pid, variant->container, self->nr);
	}
}

/* kubelet limits its pods: the shortage there is a memcg's. */
TEST_F_TIMEOUT(kubernetes, qos_classes_below_a_limit, TEST_TIMEOUT_S)
{
	struct memcg_shortage shortage = {};
	int n;

	ASSERT_EQ(0, start_all(self->pid, variant->container, &self->nr));
	for (n = 0; n < variant->nr_pods - 1; n++) {
		ASSERT_EQ(0, memcg_shortage_begin(&shortage, variant->pods, NULL));
		EXPECT_EQ(n, next_dead(self->pid, self->nr))
			TH_LOG("%s had to die", variant->container[n].path);
		EXPECT_EQ(0, memcg_shortage_end(&shortage));
		put_away(&self->pid[n]);
	}
}

/* A container's number counts in its pod, not for it. */
TEST_F_TIMEOUT(kubernetes, container_raises_itself, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, start_all(self->pid, variant->container, &self->nr));
	ASSERT_EQ(0, cgroup_write(variant->container[0].path, PRIORITY, "1000000"));
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_EQ(0, next_dead(self->pid, self->nr));
}

#define BURSTABLE	PODS "-burstable.slice/"
#define POD(uid)	BURSTABLE "kubepods-burstable-pod" uid ".slice"
#define LIST		"/tmp/pods.json"
#define CONF		"/tmp/pods.conf"
#define SAID		"/tmp/pods.said"

/* Of these the first has a class that has a line, the second one that has none. */
#define TWO_PODS							\
	"{\"metadata\":{\"uid\":\"aaaa-01\"},"			\
	"\"spec\":{\"priorityClassName\":\"batch\",\"priority\":7}}," \
	"{\"metadata\":{\"uid\":\"bbbb-02\"},\"spec\":{\"priorityClassName\":\"web\",\"priority\":30}}"
#define THIRD_POD							\
	",{\"metadata\":{\"uid\":\"cccc-03\",\"labels\":"	\
	"{\"koordinator.sh/qosClass\":\"BE\"}},\"spec\":{\"priority\":50}}"

/* By a new file, as who writes such a list should. */
static int write_list(const char *pods)
{
	return shell("cat >" LIST ".new <<'END' && mv " LIST ".new " LIST
		     "\n{\"kind\":\"List\",\"items\":[%s]}\nEND\n", pods);
}

FIXTURE(pod_list)
{
	pid_t watcher;
	pid_t pid[3];
};

static const char * const pods[] = { POD("aaaa_01"), POD("bbbb_02"), POD("cccc_03") };

FIXTURE_SETUP(pod_list)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, write_list(TWO_PODS));
	ASSERT_EQ(0, shell("printf 'policy %s\npods %s\n%s' >" CONF,
			   SHARE "/tenant_prio.bpf.o", LIST,
			   "class batch -50\\nlabel koordinator.sh/qosClass=BE -70\\n"
			   "path **/*-pod*.slice 0\\n"));
	self->watcher = shell_start("exec oom_rules --config " CONF " watch", SAID);
	ASSERT_LT(0, self->watcher);
	ASSERT_TRUE(wait_until(file_has(SAID, "is in force")));
}

FIXTURE_TEARDOWN(pod_list)
{
	size_t n;

	kill(self->watcher, SIGKILL);
	waitpid(self->watcher, NULL, 0);
	shell("oom_rules remove");
	for (n = 0; n < ARRAY_SIZE(pods); n++) {
		if (self->pid[n] > 0) {
			kill(self->pid[n], SIGKILL);
			waitpid(self->pid[n], NULL, 0);
		}
		cgroup_remove_path(pods[n]);
	}
}

/* Each the smaller the later it has to die. */
TEST_F_TIMEOUT(pod_list, by_class_and_label, TEST_TIMEOUT_S)
{
	static const int order[] = { 2, 0, 1 };
	size_t n;

	for (n = 0; n < ARRAY_SIZE(pods); n++) {
		ASSERT_EQ(0, cgroup_make_path(pods[n]));
		self->pid[n] = task_start_in(pods[n], 8, 0);
		ASSERT_LT(0, self->pid[n]);
	}
	expect_priority(pods[0], "-50");
	expect_priority(pods[1], "30");
	expect_priority(pods[2], "0");	/* not in the list so far */
	ASSERT_EQ(0, write_list(TWO_PODS THIRD_POD));
	EXPECT_TRUE(wait_until(!strcmp(cgroup_read(pods[2], PRIORITY), "-70")));
	expect_priority(pods[0], "-50");

	for (n = 0; n < ARRAY_SIZE(order); n++) {
		ASSERT_EQ(0, raise_oom_sysrq());
		EXPECT_EQ(order[n], next_dead(self->pid, ARRAY_SIZE(pods)));
		put_away(&self->pid[order[n]]);
	}
}

/* Half a list, and one of something else: told, and what was in force stays. */
TEST_F_TIMEOUT(pod_list, bad_lists, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, write_list("7"));
	EXPECT_TRUE(wait_until(file_has(SAID, CONF ":2: " LIST " has something that is no pod")));
	ASSERT_EQ(0, write_list("{"));
	EXPECT_TRUE(wait_until(file_has(SAID, CONF ":2: " LIST ", line ")));
	ASSERT_EQ(0, cgroup_make_path(pods[0]));
	expect_priority(pods[0], "-50");
	ASSERT_EQ(0, write_list("{\"metadata\":{\"uid\":\"aaaa-01\"},\"spec\":{\"priority\":9}}"));
	EXPECT_TRUE(wait_until(!strcmp(cgroup_read(pods[0], PRIORITY), "9")));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
