// SPDX-License-Identifier: GPL-2.0-only
/*
 * oom_rules and /etc/oom-policy.conf: bad lines change nothing; a reload does what is
 * different and no more; and whatever rule a cgroup has, it has when it can first be
 * seen, also where the memory controller comes later. systemd's ManagedOOMPreference=,
 * which is an attribute of the cgroup, heeded where it comes from whom it may.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "sample.h"
#include "shell.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define CONF		"/tmp/rules.conf"
#define PRIORITY	"memory.oom.priority"
#define POLICY_LINE	"policy " SHARE "/tenant_prio.bpf.o\n"
#define LINK_ID		"bpftool -j link show pinned /sys/fs/bpf/oom_rules/policy | jq .id"
#define NOT_ROOT	1000

static int rules(const char *text)
{
	FILE *f = fopen(CONF, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		return -1;
	return shell("oom_rules --config " CONF " apply");
}

/* A program goes a moment after the pin of its link. */
static int remove_rules(void)
{
	if (shell("oom_rules remove"))
		return -1;
	return wait_until(shell("bpftool prog show | grep -E 'name (online|marked) '")) ? 0 : -1;
}

static void expect_priority_at(struct __test_metadata *_metadata, const char *path,
			       const char *value)
{
	EXPECT_STREQ(value, cgroup_read(path, PRIORITY)) TH_LOG("%s", path);
}

#define expect_priority(...)	expect_priority_at(_metadata, __VA_ARGS__)

FIXTURE(rules)
{
	pid_t pid[2];
};

static const char * const used[] = {
	"prod.slice/a.service", "prod.slice/b.service", "prod.slice", "x.slice/y",
	"x.slice/\xe2\x82\xac", "x.slice",
};

FIXTURE_SETUP(rules)
{
	ASSERT_EQ(0, protect_ancestors());
}

FIXTURE_TEARDOWN(rules)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(self->pid); n++) {
		if (self->pid[n] > 0) {
			kill(self->pid[n], SIGKILL);
			waitpid(self->pid[n], NULL, 0);
		}
	}
	for (n = 0; n < ARRAY_SIZE(used); n++)
		shell("rmdir " CGROUP_ROOT "/%s", used[n]);
	shell("oom_rules remove");
}

TEST_F_TIMEOUT(rules, bad_lines_change_nothing, TEST_TIMEOUT_S)
{
	char link[32];

	ASSERT_EQ(0, rules(POLICY_LINE "path /prod.slice 10\n")) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make("prod.slice"));
	expect_priority("prod.slice", "10");
	ASSERT_EQ(0, shell(LINK_ID));
	snprintf(link, sizeof(link), "%.31s", shell_output);

	EXPECT_EQ(1, rules("path /prod.slice 20\nflags memcg\npath /y twenty\nfoo 1\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":2: "));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":3: a priority is max or a number"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":4: what is 'foo'?"));
	EXPECT_EQ(1, rules("floor 4X\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":1: a floor is a size like 4M"));
	EXPECT_EQ(1, rules("floor 17179869184G\n"));
	/* No such file, no policy in it, no such cgroup: known when all lines are read. */
	EXPECT_EQ(1, rules("path /prod.slice 20\npolicy /no/such/file\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":2: cannot open /no/such/file"));
	EXPECT_EQ(1, rules("path /prod.slice 20\npolicy " SHARE "/reclaim_guard.bpf.o\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":2: "));
	EXPECT_EQ(1, rules(POLICY_LINE "path /prod.slice 20\ncgroup /nowhere\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":3: cannot open cgroup /nowhere"));

	expect_priority("prod.slice", "10");
	ASSERT_EQ(0, shell(LINK_ID));
	EXPECT_STREQ(link, shell_output);
	ASSERT_EQ(0, cgroup_remove("prod.slice"));
	ASSERT_EQ(0, cgroup_make("prod.slice"));
	expect_priority("prod.slice", "10");
}

/* What a line has given it takes away again; what somebody else has written stays. */
TEST_F_TIMEOUT(rules, reload, TEST_TIMEOUT_S)
{
	char link[32];

	ASSERT_EQ(0, cgroup_make_path("prod.slice/a.service"));
	ASSERT_EQ(0, cgroup_make("prod.slice/b.service"));
	ASSERT_EQ(0, rules(POLICY_LINE "path /prod.slice 10\nunit [ab].service 3\n"
			   "unit ?.service 5\n")) TH_LOG("%s", shell_output);
	expect_priority("prod.slice", "10");
	expect_priority("prod.slice/a.service", "5");
	ASSERT_EQ(0, shell(LINK_ID));
	snprintf(link, sizeof(link), "%.31s", shell_output);
	ASSERT_EQ(0, cgroup_write("prod.slice/b.service", PRIORITY, "6"));

	ASSERT_EQ(0, rules(POLICY_LINE "path /prod.slice max\n")) TH_LOG("%s", shell_output);
	expect_priority("prod.slice", "max");
	expect_priority("prod.slice/a.service", "unset");
	expect_priority("prod.slice/b.service", "6");
	ASSERT_EQ(0, shell(LINK_ID));
	EXPECT_STREQ(link, shell_output);

	/* What a link was attached with is for good: a new one takes its place. */
	ASSERT_EQ(0, rules(POLICY_LINE "flags memcg\ngrace 250\n")) TH_LOG("%s", shell_output);
	expect_priority("prod.slice", "unset");
	ASSERT_EQ(0, shell(LINK_ID));
	EXPECT_STRNE(link, shell_output);
	ASSERT_EQ(0, shell("bpftool oom show"));
	EXPECT_NE(NULL, strstr(shell_output, "250"));
	EXPECT_NE(NULL, strstr(shell_output, "memcg"));

	ASSERT_EQ(0, remove_rules());
	EXPECT_EQ(1, shell("bpftool oom show | grep tenant_prio"));
	ASSERT_EQ(0, cgroup_remove("prod.slice/b.service"));
	ASSERT_EQ(0, cgroup_make("prod.slice/b.service"));
	expect_priority("prod.slice/b.service", "unset");
}

/* Somebody else's policy stays, and so does what was in force. */
TEST_F_TIMEOUT(rules, slot_taken, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, shell("bpftool oom attach " SHARE "/biggest.bpf.o"));
	EXPECT_EQ(1, rules(POLICY_LINE "path /prod.slice 10\n"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":1: cgroup / has a policy already"));
	ASSERT_EQ(0, shell("bpftool oom show"));
	EXPECT_NE(NULL, strstr(shell_output, "biggest"));
	ASSERT_EQ(0, shell("bpftool oom detach /"));
	ASSERT_EQ(0, cgroup_make("prod.slice"));
	expect_priority("prod.slice", "unset");
}

TEST_F_TIMEOUT(rules, there_when_it_can_be_seen, TEST_TIMEOUT_S)
{
	int n;

	ASSERT_EQ(0, rules("path /prod.slice/*.service -7\n")) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make("prod.slice"));
	ASSERT_EQ(0, cgroup_enable_memory("prod.slice"));
	for (n = 0; n < 500; n++) {
		ASSERT_EQ(0, cgroup_make("prod.slice/a.service"));
		ASSERT_STREQ("-7", cgroup_read("prod.slice/a.service", PRIORITY));
		ASSERT_EQ(0, cgroup_remove("prod.slice/a.service"));
	}
	expect_priority("prod.slice", "unset");
}

/* A tree that is delegated: cgroups first, the controller when they are populated. */
TEST_F_TIMEOUT(rules, controller_comes_later, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, rules("path /x.slice/y 42\n")) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make("x.slice"));
	ASSERT_EQ(0, cgroup_make("x.slice/y"));
	expect_priority("x.slice/y", "");
	ASSERT_EQ(0, cgroup_enable_memory("x.slice"));
	expect_priority("x.slice/y", "42");
}

/* The larger one has the preference; both are there before their first process. */
TEST_F_TIMEOUT(rules, decides_who_dies, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, rules(POLICY_LINE "unit a.service -1\npath /prod.slice/* 0\n"));
	ASSERT_EQ(0, cgroup_make_path("prod.slice/a.service"));
	ASSERT_EQ(0, cgroup_make("prod.slice/b.service"));
	self->pid[0] = task_start_in("prod.slice/a.service", 8, 0);
	self->pid[1] = task_start_in("prod.slice/b.service", 24, 0);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(has_ended(self->pid[0])));
	EXPECT_FALSE(has_ended(self->pid[1]));
}

/* The lower one is below it. */
TEST_F_TIMEOUT(rules, floor, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, rules(POLICY_LINE "floor 16M\nunit a.service -1\npath /prod.slice/* 0\n"));
	ASSERT_EQ(0, cgroup_make_path("prod.slice/a.service"));
	ASSERT_EQ(0, cgroup_make("prod.slice/b.service"));
	self->pid[0] = task_start_in("prod.slice/a.service", 8, 0);
	self->pid[1] = task_start_in("prod.slice/b.service", 24, 0);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(has_ended(self->pid[1])));
	EXPECT_FALSE(has_ended(self->pid[0]));
}

/* A character of UTF-8, of one to four bytes, and a byte that is none. */
TEST_F_TIMEOUT(rules, any_one_character, TEST_TIMEOUT_S)
{
	static const struct {
		const char *path;
		bool fits;
	} paths[] = {
		{ "/x/ab", true }, { "/x/a\xc3\xa9", true }, { "/x/a\xe2\x82\xac", true },
		{ "/x/a\xf0\x9f\x90\xa7", true }, { "/x/a\xff", true }, { "/x/a", false },
		{ "/x/a\xc3\xa9z", false }, { "/x/a/", false }, { "/x/a\xc3", true },
		{ "/y/a\xc3\xa9", false }, { "/y/aa\xc3\xa9", true },
		{ "/z/\xe2\x82\xac", false }, { "/z/\xe2\x82\xac\xe2\x82\xac", true },
		{ "/y/\xc3\xa9\xe2\x82\xac\xc3\xa9", true },
	};
	size_t i;

	ASSERT_EQ(0, rules("path /x/a? 1\npath /y/??? 1\npath /z/*?? 1\n"))
		TH_LOG("%s", shell_output);
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		ASSERT_EQ(0, shell("oom_rules --config " CONF " check '%s'", paths[i].path));
		EXPECT_EQ(paths[i].fits, !!strstr(shell_output, ": 1, by line "))
			TH_LOG("%s", shell_output);
	}
	/* In the kernel it is the same. */
	ASSERT_EQ(0, rules("path /x.slice/? 3\n")) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make_path("x.slice/\xe2\x82\xac"));
	expect_priority("x.slice/\xe2\x82\xac", "3");
}

#define A	CGROUP_ROOT "/prod.slice/a.service"
#define B	CGROUP_ROOT "/prod.slice/b.service"

static int mark(const char *path, const char *name, int uid)
{
	const pid_t pid = fork();

	if (!pid)
		_exit((uid && setresuid(uid, uid, uid)) || setxattr(path, name, "1", 1, 0));
	return wait_exit(pid);
}

/* As systemd sets and removes them, between mkdir() and the unit's first process. */
TEST_F_TIMEOUT(rules, managed_oom_preference, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, rules(POLICY_LINE "xattr user.oomd_omit max\nxattr user.oomd_avoid 100\n"
			   "path /prod.slice/* 5\n")) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make_path("prod.slice/a.service"));
	ASSERT_EQ(0, cgroup_make("prod.slice/b.service"));
	expect_priority("prod.slice/a.service", "5");
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", 0));
	expect_priority("prod.slice/a.service", "100");
	expect_priority("prod.slice/b.service", "5");

	self->pid[0] = task_start_in("prod.slice/a.service", 24, 0);
	self->pid[1] = task_start_in("prod.slice/b.service", 8, 0);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(has_ended(self->pid[1])));
	EXPECT_FALSE(has_ended(self->pid[0]));

	/* avoid, then omit: the new one is set before the old one goes. */
	ASSERT_EQ(0, mark(A, "user.oomd_omit", 0));
	ASSERT_EQ(0, removexattr(A, "user.oomd_avoid"));
	expect_priority("prod.slice/a.service", "max");
	ASSERT_EQ(0, removexattr(A, "user.oomd_omit"));
	expect_priority("prod.slice/a.service", "5");
	ASSERT_EQ(0, setxattr(A, "user.oomd_avoid", "0", 1, 0));
	expect_priority("prod.slice/a.service", "5");
	ASSERT_EQ(0, setxattr(A, "user.other", "1", 1, 0));
	expect_priority("prod.slice/a.service", "5");

	/* Those that are there already when the rules come. */
	ASSERT_EQ(0, remove_rules());
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", 0));
	expect_priority("prod.slice/a.service", "5");
	ASSERT_EQ(0, rules("xattr user.oomd_avoid 200\n")) TH_LOG("%s", shell_output);
	expect_priority("prod.slice/a.service", "200");

	/* Said again, it is nothing new: not of one from before, and not of another one. */
	ASSERT_EQ(0, cgroup_write("prod.slice/a.service", "memory.oom.priority", "7"));
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", 0));
	expect_priority("prod.slice/a.service", "7");
	ASSERT_EQ(0, mark(B, "user.oomd_avoid", 0));
	expect_priority("prod.slice/b.service", "200");
	ASSERT_EQ(0, cgroup_write("prod.slice/b.service", "memory.oom.priority", "7"));
	ASSERT_EQ(0, mark(B, "user.oomd_avoid", 0));
	expect_priority("prod.slice/b.service", "7");
	ASSERT_EQ(0, shell("oom_rules --config " CONF " check /prod.slice/b.service"));
	EXPECT_NE(NULL, strstr(shell_output, ": 200, by line ")) TH_LOG("%s", shell_output);

	/* Where no other line is about it, nothing is left of it. */
	ASSERT_EQ(0, removexattr(A, "user.oomd_avoid"));
	expect_priority("prod.slice/a.service", "unset");
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", 0));
	expect_priority("prod.slice/a.service", "200");
	ASSERT_EQ(0, setxattr(A, "user.oomd_avoid", "0", 1, 0));
	expect_priority("prod.slice/a.service", "unset");
	EXPECT_EQ(0, cgroup_write("prod.slice/a.service", "memory.oom.priority", "7"));
	ASSERT_EQ(0, setxattr(A, "user.other", "0", 1, 0));
	expect_priority("prod.slice/a.service", "7");
}

/* A delegated cgroup belongs to its tenant, who may set attributes there. */
TEST_F_TIMEOUT(rules, tenant_does_not_raise_itself, TEST_TIMEOUT_S)
{
	const char * const conf = "xattr user.oomd_avoid 100\n";

	ASSERT_EQ(0, rules(conf)) TH_LOG("%s", shell_output);
	ASSERT_EQ(0, cgroup_make_path("prod.slice/a.service"));
	ASSERT_EQ(0, chown(A, NOT_ROOT, NOT_ROOT));
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", NOT_ROOT));
	expect_priority("prod.slice/a.service", "unset");
	ASSERT_EQ(0, rules(conf));
	expect_priority("prod.slice/a.service", "unset");
	EXPECT_NE(0, mark(CGROUP_ROOT "/prod.slice", "user.oomd_avoid", NOT_ROOT));
	expect_priority("prod.slice", "unset");

	/* Its children it may order. */
	ASSERT_EQ(0, chown(CGROUP_ROOT "/prod.slice", NOT_ROOT, NOT_ROOT));
	ASSERT_EQ(0, mark(A, "user.oomd_avoid", NOT_ROOT));
	expect_priority("prod.slice/a.service", "100");
}

static int apply_in_private_namespace(void)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (cgroup_write("prod.slice", "cgroup.procs", "0") ||
		    unshare(CLONE_NEWCGROUP | CLONE_NEWNS) ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    umount2(CGROUP_ROOT, MNT_DETACH) ||
		    mount("none", CGROUP_ROOT, "cgroup2", 0, NULL))
			_exit(99);
		status = rules("path /prod.slice 1\n");
		if (strstr(shell_output, CGROUP_ROOT " is not the root of this machine"))
			_exit(status);
		diag("%s", shell_output);
		_exit(98);
	}
	return wait_exit(pid);
}

TEST_F_TIMEOUT(rules, not_the_machine, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, cgroup_make("prod.slice"));
	EXPECT_EQ(1, apply_in_private_namespace());
	expect_priority("prod.slice", "unset");
}

#define CHECK	"oom_rules --config " SHARE "/oom-policy.conf check"

/* Which line would decide, without changing anything. */
TEST_F(rules, check)
{
	ASSERT_EQ(0, shell(CHECK));
	ASSERT_EQ(0, shell(CHECK " /kubepods/besteffort /a/kubepods.slice /kubepodsx /x/y"));
	EXPECT_NE(NULL, strstr(shell_output, "/kubepods/besteffort: -200, by line "));
	EXPECT_NE(NULL, strstr(shell_output, "/a/kubepods.slice: -100, by line "));
	EXPECT_NE(NULL, strstr(shell_output, "/kubepodsx: no line is about it"));
	EXPECT_NE(NULL, strstr(shell_output, "/x/y: no line is about it"));
	EXPECT_EQ(1, shell("oom_rules check"));
	EXPECT_NE(NULL, strstr(shell_output, "/etc/oom-policy.conf: cannot be read"));
}

/* What would be refused is said before it is put in force. */
TEST_F_TIMEOUT(rules, check_refuses_what_apply_does, TEST_TIMEOUT_S)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "policy /no/such/file\n", CONF ":1: cannot open /no/such/file" },
		{ "policy " SHARE "/reclaim_guard.bpf.o\n", CONF ":1: " },
		{ "policy /etc/passwd\n", "BPF object format" },
		{ POLICY_LINE "path * 20\n", CONF ":2: a path begins with" },
		{ POLICY_LINE "path /a/../b 20\n", CONF ":2: no path of a cgroup has" },
		{ POLICY_LINE "path /x 20\ncgroup /nowhere\n",
		  CONF ":3: cannot open cgroup /nowhere" },
		{ "policy " SHARE "/biggest.bpf.o\nfloor 4M\n", CONF ":2: " },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(1, rules(bad[i].text));
		EXPECT_NE(NULL, strstr(shell_output, bad[i].says)) TH_LOG("%s", shell_output);
		EXPECT_EQ(1, shell("oom_rules --config " CONF " check"));
		EXPECT_NE(NULL, strstr(shell_output, bad[i].says)) TH_LOG("%s", shell_output);
		EXPECT_EQ(NULL, strstr(shell_output, " rules, "));
	}
	ASSERT_EQ(0, rules(POLICY_LINE "path /x 20\n"));
	ASSERT_EQ(0, shell("oom_rules --config " CONF " check /x/ //x " CGROUP_ROOT "/x"));
	EXPECT_STREQ("/x/: 20, by line 2\n//x: 20, by line 2\n" CGROUP_ROOT "/x: 20, by line 2",
		     shell_output);
	EXPECT_EQ(1, shell("oom_rules --config " CONF " check x"));
	EXPECT_NE(NULL, strstr(shell_output, "begins with a slash, not as 'x'"));
	ASSERT_EQ(0, shell("printf 'path /x 1\\npath /y 2\\0 3\\n' >" CONF));
	EXPECT_EQ(1, shell("oom_rules --config " CONF " check"));
	EXPECT_NE(NULL, strstr(shell_output, CONF ":2: there is a NUL in this line"));
}

#define LINKS	"/tmp/rules.links"
#define SAID	"/tmp/rules.said"

FIXTURE(links)
{
	pid_t watcher;
};

/* From one directory to a link in another one, and from there to the file. */
FIXTURE_SETUP(links)
{
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, cgroup_make("x.slice"));
	ASSERT_EQ(0, shell("mkdir -p " LINKS "/etc " LINKS "/share " LINKS "/v1 " LINKS "/v2; "
			   "cd " LINKS "; echo path /x.slice 1 >v1/conf; "
			   "echo path /x.slice 2 >v2/conf; "
			   "ln -s ../share/conf etc/conf; ln -s " LINKS "/v1/conf share/conf"));
	self->watcher = shell_start("exec oom_rules --config " LINKS "/etc/conf watch", SAID);
	ASSERT_LT(0, self->watcher);
	ASSERT_TRUE(wait_until(file_has(SAID, "in force")));
}

FIXTURE_TEARDOWN(links)
{
	kill(self->watcher, SIGKILL);
	waitpid(self->watcher, NULL, 0);
	shell("oom_rules remove; rm -r " LINKS "; rmdir " CGROUP_ROOT "/x.slice");
}

#define has_priority(value)	wait_until(!strcmp(cgroup_read("x.slice", PRIORITY), value))

TEST_F_TIMEOUT(links, are_watched, TEST_TIMEOUT_S)
{
	EXPECT_TRUE(has_priority("1"));
	ASSERT_EQ(0, shell("echo path /x.slice 3 >" LINKS "/v1/conf"));
	EXPECT_TRUE(has_priority("3"));
	/* A link that is made anew, in place and by renaming. */
	ASSERT_EQ(0, shell("ln -sf " LINKS "/v2/conf " LINKS "/share/conf"));
	EXPECT_TRUE(has_priority("2"));
	ASSERT_EQ(0, shell("ln -s ../v1/conf " LINKS "/new && mv " LINKS "/new "
			   LINKS "/etc/conf"));
	EXPECT_TRUE(has_priority("3"));
	/* The new target, by another editor. */
	ASSERT_EQ(0, shell("cd " LINKS "/v1; echo path /x.slice 4 >new && mv new conf"));
	EXPECT_TRUE(has_priority("4"));
	/* One that leads nowhere, or in a circle, is told, and the rules stay. */
	ASSERT_EQ(0, shell("ln -sf /no/such/conf " LINKS "/etc/conf"));
	EXPECT_TRUE(wait_until(file_has(SAID, "cannot be read: No such file")));
	ASSERT_EQ(0, shell("ln -sf conf " LINKS "/etc/conf"));
	EXPECT_TRUE(wait_until(file_has(SAID, "cannot be read: Too many levels")));
	EXPECT_TRUE(has_priority("4"));
	ASSERT_EQ(0, shell("ln -sf " LINKS "/v2/conf " LINKS "/etc/conf"));
	EXPECT_TRUE(has_priority("2"));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
