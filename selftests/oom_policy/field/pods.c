// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tenants as orchestrators make them: a pod whose files outlive its processes, a class
 * that has put itself out of reach, a tenant that sleeps above its memory.high.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "policy.h"
#include "scene.h"
#include "shell.h"

#define FILE_IN_TMPFS	"/tmp/pods.data"

/* To a file in tmpfs, until there is an error; returns that. */
static int fill_tmpfs(const char *path, int adj)
{
	static char page[4096];
	const int fd = open(FILE_IN_TMPFS, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || set_oom_score_adj(getpid(), adj) || cgroup_write(path, "cgroup.procs", "0"))
		return 0;
	while (write(fd, page, sizeof(page)) == sizeof(page))
		;
	return errno;
}

static pid_t filler_start(const char *path, int adj)
{
	const pid_t pid = fork();

	if (!pid)
		_exit(fill_tmpfs(path, adj));
	return pid;
}

/* The pause of a pod: who keeps it together, and has nothing. */
#define RESTARTS	6

FIXTURE(pod)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
};

FIXTURE_SETUP(pod)
{
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "pod=0 pod/pause=0,x1 pod/app=0"));
	ASSERT_EQ(0, cgroup_write("pod", "memory.max", "20M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(pod)
{
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	unlink(FILE_IN_TMPFS);
	tree_remove(&self->tree);
}

/* What fills the limit stays: whoever comes to the pod anew dies of it. */
TEST_F_TIMEOUT(pod, app_dies_and_pause_lives, TEST_TIMEOUT_S)
{
	int n, status;
	pid_t app;

	for (n = 0; n < RESTARTS; n++) {
		app = filler_start("pod/app", 0);
		ASSERT_LT(0, app);
		EXPECT_TRUE(wait_until(has_ended(app)));
		kill(app, SIGKILL);
		ASSERT_EQ(app, waitpid(app, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	EXPECT_EQ(RESTARTS, cgroup_read_long("pod/app", "memory.events", "oom_kill"));
	EXPECT_EQ(0, cgroup_read_long("pod/pause", "memory.events", "oom_kill"));
	EXPECT_LT(18 * MEGABYTE, cgroup_read_long("pod", "memory.current", NULL));
	EXPECT_EQ(0, tree_killed(&self->tree));
}

/* Everybody in the lowest class has oom_score_adj -1000. */
#define NR_EVENTS	60
#define LINES		2	/* of ours in the report of an event without a victim */
#define BURST		10	/* reports of that kind ... */
#define INTERVAL_S	5	/* ... in that time */

FIXTURE(out_of_reach)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t hog;
	int log;
};

FIXTURE_VARIANT(out_of_reach)
{
	bool stock;
};

FIXTURE_VARIANT_ADD(out_of_reach, policy) {};
FIXTURE_VARIANT_ADD(out_of_reach, stock) { .stock = true };

FIXTURE_SETUP(out_of_reach)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "be=-100,4M,x2,adj=-1000 batch=0,16M prod=100,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	if (!variant->stock) {
		self->link = attach_with(self->policy->progs.compare, "",
					 .flags = BPF_F_OOM_POLICY_MEMCG,
					 .budget_us = NO_BUDGET_US);
		ASSERT_NE(NULL, self->link);
	}
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(out_of_reach)
{
	if (self->hog > 0) {
		kill(self->hog, SIGKILL);
		waitpid(self->hog, NULL, 0);
	}
	close(self->log);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	unlink(FILE_IN_TMPFS);
	tree_remove(&self->tree);
}

/* The stock killer happens to agree: it takes the largest. */
TEST_F_TIMEOUT(out_of_reach, next_class_gives_one_victim, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, policy_shortage(self->policy, &self->tree));
	EXPECT_STREQ("batch", policy_victims(self->policy, &self->tree));
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
}

static void limit(struct __test_metadata *_metadata, const char *path)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld",
		 cgroup_read_long(path, "memory.current", NULL) + MEGABYTE);
	ASSERT_EQ(0, cgroup_write(path, "memory.max", text));
}

/* Mapped before it goes there: a mapping would fail as a whole. */
static int touch_all(void)
{
	const size_t size = 64 * MEGABYTE;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mem == MAP_FAILED || cgroup_write("be", "cgroup.procs", "0"))
		return 1;
	memset(mem, 1, size);
	return 1;
}

/* A system call fails, and a page fault is tried again until somebody gives up. */
TEST_F_TIMEOUT(out_of_reach, fails_at_its_own_limit, TEST_TIMEOUT_S)
{
	const time_t begin = now_s();
	pid_t writer;
	int lines;

	limit(_metadata, "be");
	writer = filler_start("be", -1000);
	ASSERT_LT(0, writer);
	EXPECT_EQ(ENOMEM, wait_exit(writer));

	self->hog = fork();
	if (!self->hog)
		_exit(touch_all());
	ASSERT_LT(0, self->hog);
	EXPECT_TRUE(wait_until(cgroup_read_long("be", "memory.events", "oom") >= NR_EVENTS));
	EXPECT_FALSE(has_ended(self->hog));
	/* From now on it is a victim if it runs out of memory once more. */
	EXPECT_EQ(0U, self->policy->bss->nr_victims);
	EXPECT_EQ(0, kill(self->hog, SIGKILL));
	EXPECT_TRUE(wait_until(has_ended(self->hog)));

	lines = kmsg_count(self->log, "oom_policy: ");
	TH_LOG("%ld OOMs, %d lines of ours", cgroup_read_long("be", "memory.events", "oom"),
	       lines);
	EXPECT_GE(((now_s() - begin) / INTERVAL_S + 2) * BURST * LINES, lines);
	EXPECT_EQ(variant->stock, !lines);
	EXPECT_EQ(0, tree_killed(&self->tree));
}

/* A tenant above its memory.high is put to sleep, longer and longer. */
#define OUTPUT		"/tmp/pods.out"
#define PSI_KILL	"exec psi_kill --cgroup T --threshold 20 --window 500 --pause 3600000"

FIXTURE(asleep)
{
	struct tree tree;
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	pid_t monitor;
};

FIXTURE_SETUP(asleep)
{
	char pid[16];
	pid_t hog;

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "T=0 T/a=-1 T/b=0,8M X=-9,8M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "",
				 .flags = BPF_F_OOM_POLICY_MEMCG, .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	ASSERT_EQ(0, cgroup_write("T/a", "memory.high", "4M"));
	hog = hog_start(NULL);
	ASSERT_LT(0, hog);
	scene_adopt(&self->tree, "T/a", hog);
	ASSERT_EQ(0, set_oom_score_adj(hog, 0));
	snprintf(pid, sizeof(pid), "%d", hog);
	ASSERT_EQ(0, cgroup_write("T/a", "cgroup.procs", pid));
}

FIXTURE_TEARDOWN(asleep)
{
	if (self->monitor > 0) {
		kill(self->monitor, SIGKILL);
		waitpid(self->monitor, NULL, 0);
	}
	unlink(OUTPUT);
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
}

static void check_victim(struct __test_metadata *_metadata, FIXTURE_DATA(asleep) * self)
{
	EXPECT_TRUE(policy_victims_died(self->policy, &self->tree));
	EXPECT_STREQ("T/a", policy_victims(self->policy, &self->tree));
	EXPECT_EQ(1, tree_killed(&self->tree));
}

TEST_F_TIMEOUT(asleep, above_memory_high_is_killed_early, TEST_TIMEOUT_S)
{
	const pid_t hog = tree_find(&self->tree, "T/a")->pid[0];
	long begin;

	ASSERT_TRUE(wait_until(cgroup_read_long("T/a", "memory.events", "high") > 0 &&
			       process_state(hog) == 'D'));
	begin = now_ms();
	EXPECT_EQ(0, early_kill(self->early, cgroup_id("T"), 0));
	EXPECT_TRUE(wait_until(has_ended(hog)));
	TH_LOG("gone after %ld ms", now_ms() - begin);
	check_victim(_metadata, self);
}

TEST_F_TIMEOUT(asleep, above_memory_high_is_seen_by_psi_kill, TEST_TIMEOUT_S)
{
	self->monitor = shell_start(PSI_KILL, OUTPUT);
	ASSERT_LT(0, self->monitor);
	EXPECT_TRUE(wait_until(file_has(OUTPUT, "killed a victim below /T;")));
	check_victim(_metadata, self);
}

/*
 * A pod with pages from the kernel's pool of huge ones: charged to nobody, unless the
 * cgroup file system is mounted to do so. They go back to the pool, either way.
 */
#define HUGE_MB		32
#define NR_HUGE		"16"	/* of 2 MB */

FIXTURE(huge_pages)
{
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t pid;
};

FIXTURE_VARIANT(huge_pages)
{
	const char *mount;
	bool charged;
};

FIXTURE_VARIANT_ADD(huge_pages, count_for_nobody)
{
	.mount = "",
};

FIXTURE_VARIANT_ADD(huge_pages, count_where_the_mount_says_so)
{
	.mount = ",memory_hugetlb_accounting",
	.charged = true,
};

static int huge_main(const void *unused, int ready_fd)
{
	const size_t size = HUGE_MB * MEGABYTE;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_ANONYMOUS | MAP_PRIVATE | MAP_HUGETLB, -1, 0);

	if (mem == MAP_FAILED || set_oom_score_adj(getpid(), 0) ||
	    cgroup_write("huge", "cgroup.procs", "0"))
		return 1;
	memset(mem, 1, size);
	if (write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

FIXTURE_SETUP(huge_pages)
{
	if (access("/proc/sys/vm/nr_hugepages", F_OK))
		SKIP(return, "the kernel has no huge pages to give");
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, shell("mount -o remount%s " CGROUP_ROOT, variant->mount));
	ASSERT_EQ(0, write_file("/proc/sys/vm/nr_hugepages", NR_HUGE));
	ASSERT_EQ(0, tree_make(&self->tree, "huge=0 prod=0,16M"));
	self->policy = policy_load(&self->tree);
	ASSERT_NE(NULL, self->policy);
	self->link = attach_with(self->policy->progs.compare, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	self->pid = child_start(huge_main, NULL, "a process with huge pages");
	ASSERT_LT(0, self->pid);
}

FIXTURE_TEARDOWN(huge_pages)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		wait_exit(self->pid);
	}
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	tree_remove(&self->tree);
	write_file("/proc/sys/vm/nr_hugepages", "0");
	shell("mount -o remount " CGROUP_ROOT);
}

TEST_F_TIMEOUT(huge_pages, in_use, TEST_TIMEOUT_S)
{
	EXPECT_EQ(variant->charged,
		  cgroup_read_long("huge", "memory.current", NULL) > HUGE_MB * MEGABYTE);
	ASSERT_EQ(0, policy_event(self->policy));
	EXPECT_EQ(1U, self->policy->bss->nr_victims);
	EXPECT_EQ(variant->charged, (pid_t)self->policy->bss->victims[0] == self->pid);
	if (!variant->charged) {
		EXPECT_STREQ("prod", policy_victims(self->policy, &self->tree));
		EXPECT_FALSE(has_ended(self->pid));
		return;
	}
	EXPECT_TRUE(wait_until(has_ended(self->pid)));
	EXPECT_TRUE(wait_until(!shell("grep -q 'HugePages_Free: *" NR_HUGE "$' /proc/meminfo")));
	EXPECT_GT(MEGABYTE, cgroup_read_long("huge", "memory.current", NULL));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
