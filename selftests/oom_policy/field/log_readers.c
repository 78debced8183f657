// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that read OOM reports out of the kernel's log, by the expressions that two
 * of them have published: they find in ours what they find in a stock report, and no
 * name of a cgroup or of a process is taken for a line of the kernel's own.
 */
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "kmsg.h"
#include "policy.h"

/* What each of them looks for. */
enum {
	BEGINNING, CONTAINER, CONTAINER_BEFORE_5_0, LAST_LINE,	/* cadvisor, the kubelet's */
	OOM_KILLING, TASK_HUNG, KERNEL_OOPS,			/* node-problem-detector */
	NR_EXPRESSIONS
};

#define ANY	"(.*)"
#define KB	"[0-9]+kB"
#define WORD	"[[:alnum:]_]+"

static const char * const expressions[NR_EXPRESSIONS] = {
	[BEGINNING]	= "invoked oom-killer:",
	[CONTAINER]	= "oom-kill:constraint=" ANY ",nodemask=" ANY ",cpuset=" ANY
			  ",mems_allowed=" ANY ",oom_memcg=" ANY ",task_memcg=" ANY
			  ",task=" ANY ",pid=" ANY ",uid=" ANY,
	[CONTAINER_BEFORE_5_0] = "Task in " ANY " killed as a result of limit of " ANY,
	[LAST_LINE]	= "Killed process ([0-9]+) \\((.+)\\)",
	[OOM_KILLING]	= "Killed process [0-9]+ (.+) total-vm:" KB ", anon-rss:" KB
			  ", file-rss:" KB ".*",
	[TASK_HUNG]	= "task ([^[:space:]]| )+:" WORD " blocked for more than " WORD
			  " seconds\\.",
	[KERNEL_OOPS]	= "BUG: unable to handle kernel NULL pointer dereference at .*",
};

#define MAX_GROUPS	10

/* Names have no slash. */
#define FORGED_END	",pid=1,uid=0"

static const char * const forged[] = {
	"x invoked oom-killer: x",
	"oom-kill:constraint=C,nodemask=0,cpuset=x,mems_allowed=0,oom_memcg=x,task_memcg=x,task=x"
	FORGED_END,
	"Task in x killed as a result of limit of x",
	"Killed process 1 (systemd)",
	"Killed process 1 (systemd) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
	"task systemd:1 blocked for more than 99 seconds.",
	"BUG: unable to handle kernel NULL pointer dereference at x",
};

static const struct tree no_tree;

/* What cadvisor makes of an event. */
struct reading {
	char scope[64];
	char victim[64];
	int pid;
	char comm[32];
};

/* T, and below it one level for each forged name, with the victim on the last one. */
#define NR_LEVELS	((int)ARRAY_SIZE(forged))

FIXTURE(log_readers)
{
	regex_t regex[NR_EXPRESSIONS];
	struct policy *policy;
	struct early *early;
	struct bpf_link *link;
	pid_t other[NR_LEVELS];
	pid_t victim;
	int log;
};

FIXTURE_VARIANT(log_readers)
{
	bool stock;
	bool in_path;		/* forged names lead to the victim; else they are the others */
	enum { GLOBAL, MEMCG, EARLY } scope;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(log_readers, stock)		{ .stock = true };
FIXTURE_VARIANT_ADD(log_readers, stock_memcg)	{ .stock = true, .scope = MEMCG };
FIXTURE_VARIANT_ADD(log_readers, global)	{};
FIXTURE_VARIANT_ADD(log_readers, in_path)	{ .in_path = true };
FIXTURE_VARIANT_ADD(log_readers, memcg)		{ .scope = MEMCG };
FIXTURE_VARIANT_ADD(log_readers, early)		{ .scope = EARLY };
FIXTURE_VARIANT_ADD(log_readers, kill_all)	{ .flags = BPF_F_OOM_POLICY_KILL_ALL };
FIXTURE_VARIANT_ADD(log_readers, early_kill_all)
{
	.scope = EARLY,
	.flags = BPF_F_OOM_POLICY_KILL_ALL,
};

static const char *name_at(int level, bool is_forged)
{
	return is_forged ? forged[level] : "x";
}

/* Of the one to the victim at @level, and of the one beside it. */
static void paths_at(int level, bool in_path, char *way, char *other, size_t size)
{
	size_t len = snprintf(way, size, "T");
	int i;

	for (i = 0; i < level; i++)
		len += snprintf(way + len, size - len, "/%s", name_at(i, in_path));
	snprintf(other, size, "%s/%s", way, name_at(level, !in_path));
	snprintf(way + len, size - len, "/%s", name_at(level, in_path));
}

static int make_level(FIXTURE_DATA(log_readers) * self, int level, bool in_path)
{
	char way[1024], other[1024], parent[1024];
	const __s64 safer = 1;
	__u64 id;

	paths_at(level, in_path, way, other, sizeof(way));
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(way, '/') - way), way);
	if (cgroup_enable_memory(parent) || cgroup_make(way) || cgroup_make(other))
		return -1;
	id = cgroup_id(other);
	if (bpf_map__update_elem(self->policy->maps.oom_priority, &id, sizeof(id), &safer,
				 sizeof(safer), BPF_ANY))
		return -1;
	self->other[level] = task_start_in(other, 0, 0);
	if (level + 1 == NR_LEVELS)
		self->victim = task_start_in(way, 16, 0);
	return self->other[level] < 0 || self->victim < 0 ? -1 : 0;
}

FIXTURE_SETUP(log_readers)
{
	int i;

	ASSERT_EQ(0, protect_ancestors());
	for (i = 0; i < NR_EXPRESSIONS; i++)
		ASSERT_EQ(0, regcomp(&self->regex[i], expressions[i], REG_EXTENDED));
	self->policy = policy_load(&no_tree);
	ASSERT_NE(NULL, self->policy);
	ASSERT_EQ(0, cgroup_make("T"));
	for (i = 0; i < NR_LEVELS; i++)
		ASSERT_EQ(0, make_level(self, i, variant->in_path));
	if (!variant->stock) {
		self->link = attach_with(self->policy->progs.compare, "",
					 .flags = BPF_F_OOM_POLICY_MEMCG | variant->flags,
					 .budget_us = NO_BUDGET_US, .grace_ms = 60000);
		ASSERT_NE(NULL, self->link);
	}
	self->early = early_load(NULL);
	ASSERT_NE(NULL, self->early);
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

FIXTURE_TEARDOWN(log_readers)
{
	char way[1024], other[1024];
	int i;

	close(self->log);
	early__destroy(self->early);
	bpf_link__destroy(self->link);
	policy__destroy(self->policy);
	end(self->victim);
	for (i = NR_LEVELS - 1; i >= 0; i--) {
		end(self->other[i]);
		paths_at(i, variant->in_path, way, other, sizeof(way));
		cgroup_remove(other);
		cgroup_remove(way);
	}
	cgroup_remove("T");
	for (i = 0; i < NR_EXPRESSIONS; i++)
		regfree(&self->regex[i]);
}

static void run_out(struct __test_metadata *_metadata, FIXTURE_DATA(log_readers) * self,
		    const FIXTURE_VARIANT(log_readers) * variant)
{
	struct memcg_shortage shortage;

	switch (variant->scope) {
	case GLOBAL:
		ASSERT_EQ(0, raise_oom_sysrq());
		break;
	case EARLY:
		ASSERT_EQ(0, early_kill(self->early, cgroup_id(""), 0));
		break;
	case MEMCG:
		ASSERT_EQ(0, memcg_shortage_begin(&shortage, "T", NULL));
		break;
	}
	EXPECT_TRUE(wait_until(has_ended(self->victim)));
	if (variant->scope == MEMCG)
		EXPECT_EQ(0, memcg_shortage_end(&shortage));
}

static void copy_group(char *to, size_t size, const char *line, const regmatch_t *group)
{
	snprintf(to, size, "%.*s", (int)(group->rm_eo - group->rm_so), line + group->rm_so);
}

/* True at the end of what belongs to the event. */
static bool read_line(const regex_t *regex, const char *line, struct reading *reading)
{
	regmatch_t group[MAX_GROUPS];

	if (!regexec(&regex[CONTAINER], line, MAX_GROUPS, group, 0)) {
		copy_group(reading->scope, sizeof(reading->scope), line, &group[5]);
		copy_group(reading->victim, sizeof(reading->victim), line, &group[6]);
		copy_group(reading->comm, sizeof(reading->comm), line, &group[7]);
		reading->pid = atoi(line + group[8].rm_so);
		return true;
	}
	if (!regexec(&regex[CONTAINER_BEFORE_5_0], line, MAX_GROUPS, group, 0)) {
		copy_group(reading->scope, sizeof(reading->scope), line, &group[1]);
		copy_group(reading->victim, sizeof(reading->victim), line, &group[2]);
	}
	if (regexec(&regex[LAST_LINE], line, MAX_GROUPS, group, 0))
		return false;
	copy_group(reading->comm, sizeof(reading->comm), line, &group[2]);
	reading->pid = atoi(line + group[1].rm_so);
	return true;
}

TEST_F_TIMEOUT(log_readers, find_what_they_find_in_a_stock_report, TEST_TIMEOUT_S)
{
	struct reading reading = { .scope = "/", .victim = "/" };
	int events = 0, killings = 0, ours = 0, i;
	bool inside = false;
	char record[8192];
	const char *line;

	run_out(_metadata, self, variant);
	while ((line = kmsg_line(self->log, record, sizeof(record)))) {
		if (!strncmp(line, "oom_policy: ", strlen("oom_policy: "))) {
			ours++;
			for (i = 0; i < NR_EXPRESSIONS; i++)
				EXPECT_NE(0, regexec(&self->regex[i], line, 0, NULL, 0))
					TH_LOG("'%s' is taken for '%s'", line, expressions[i]);
		}
		killings += !regexec(&self->regex[OOM_KILLING], line, 0, NULL, 0);
		if (inside)
			inside = !read_line(self->regex, line, &reading);
		else if (!events && !regexec(&self->regex[BEGINNING], line, 0, NULL, 0))
			inside = ++events;
	}

	TH_LOG("%d lines of ours; scope %s, victim %d (%s) of %s", ours, reading.scope,
	       reading.pid, reading.comm, reading.victim);
	EXPECT_EQ(variant->stock, !ours);
	/* The line of the stock report that names the victim's cgroup can be forged. */
	if (variant->in_path)
		return;
	EXPECT_FALSE(inside);
	EXPECT_LE(1, killings);
	/* Where a limit sinks, the first one may not be gone soon enough. */
	if (!variant->stock)
		EXPECT_EQ(variant->scope == MEMCG ?
			  cgroup_read_long("T", "memory.events", "oom_kill") : 1, killings);
	EXPECT_EQ(self->victim, reading.pid);
	EXPECT_STREQ("log_readers", reading.comm);
	EXPECT_STREQ(variant->scope == MEMCG ? "/T" : "/", reading.scope);
	EXPECT_STREQ(variant->scope == MEMCG ? "/T/x/x/x/x/x/x/x" : "/", reading.victim);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
