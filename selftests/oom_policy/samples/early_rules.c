// SPDX-License-Identifier: GPL-2.0-only
/*
 * psi_kill and the lines "early" of oom-policy.conf, under a real shortage in a memcg:
 * nobody is killed before all conditions of a line have held for their time, a dry run
 * says which one is missing, and a bad line is told and nothing begins.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "says.h"
#include "squeezed.h"

#define CONF	"/tmp/early.conf"
#define TREE	"P=0 P/a=1,8M P/b=-1,8M P/c=2,16M P/hog=9 Q=-9,8M"
#define TWO	"pressure full above 5% and free below 50% for 1ms"
#define KILLED	"killed a victim below /P by " CONF

FIXTURE(early_rules)
{
	struct squeezed squeezed;
};

FIXTURE_SETUP(early_rules)
{
	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
}

FIXTURE_TEARDOWN(early_rules)
{
	squeezed_end(&self->squeezed);
	unlink(CONF);
}

static int write_conf(const char *text)
{
	FILE *f = fopen(CONF, "we");

	return !f || fputs(text, f) < 0 || fclose(f) ? -1 : 0;
}

/* @last: about the last line of @conf. The hog can neither grow nor swap. */
static void squeeze(struct __test_metadata *_metadata, FIXTURE_DATA(early_rules) * self,
		    const char *conf, const char *options, const char *last)
{
	char command[256];

	ASSERT_EQ(0, write_conf(conf));
	snprintf(command, sizeof(command), "exec psi_kill --rules " CONF " --pause 3600000 %s",
		 options);
	ASSERT_EQ(0, squeezed_start_killer(&self->squeezed, command));
	ASSERT_TRUE(wait_until(file_has(KILLER_OUTPUT, last)));
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
}

static void expect_victims(struct __test_metadata *_metadata, FIXTURE_DATA(early_rules) * self,
			   const char *victims)
{
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ(victims, policy_victims(self->squeezed.policy, &self->squeezed.tree));
}

/* Where in what the killer has said that is, -1: nowhere. */
static long place_of(const char *text)
{
	const char *at;

	shell("cat " KILLER_OUTPUT);
	at = strstr(shell_output, text);
	return at ? at - shell_output : -1;
}

/* Two lines, and the one whose tenant is short of memory is the one that acts. */
TEST_F_TIMEOUT(early_rules, kills_by_the_policy, TEST_TIMEOUT_S)
{
	squeeze(_metadata, self, "early /Q when pressure some above 10%\n"
		"early /P when " TWO " # and so on\n", "", "watching /P by " CONF ":2: " TWO "\n");
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, KILLED ":2; who, the kernel's log says")));
	expect_victims(_metadata, self, "P/b");
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* It begins to hold, goes on, and only then is it time. */
TEST_F_TIMEOUT(early_rules, holds_for_its_time, TEST_TIMEOUT_S)
{
	const char *early = ":1: missing pressure some above 10% for 3s (for 1.0 s so far)";
	const char *when = ":1: all conditions hold";
	const char *what = "of /P/b would be killed by " CONF ":1";

	squeeze(_metadata, self, "early /P when pressure some above 10% for 3s\n", "--dry-run",
		"watching /P by");
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, what)));
	EXPECT_LE(0, place_of(early));
	EXPECT_LT(place_of(early), place_of(when));
	EXPECT_LT(place_of(when), place_of(what));
	expect_victims(_metadata, self, "");
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
	EXPECT_EQ(0, tree_killed(&self->squeezed.tree));
}

/* A pressure that ends has not lasted. */
TEST_F_TIMEOUT(early_rules, begins_anew, TEST_TIMEOUT_S)
{
	squeeze(_metadata, self, "early /P when pressure some above 10% for 3600s\n", "--dry-run",
		"watching /P by");
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "for 3600s (for 1.0 s so far)")));
	expect_victims(_metadata, self, "");
	EXPECT_TRUE(wait_until(!shell("tail -n 1 " KILLER_OUTPUT " | grep 'for 3600s (it is '")));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* There is swap, although none for the hog; then the tenant may have none of it. */
TEST_F_TIMEOUT(early_rules, all_conditions_have_to_hold, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, squeezed_add_swap(&self->squeezed));
	ASSERT_EQ(0, cgroup_write("P", "memory.swap.max", "128M"));
	ASSERT_EQ(0, cgroup_write("P/hog", "memory.swap.max", "0"));
	squeeze(_metadata, self, "early /P when pressure some above 10% and swap below 25%\n",
		"--dry-run", "watching /P by");
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, ":1: missing swap below 25% (it is ")));
	EXPECT_FALSE(file_has(KILLER_OUTPUT, ":1: all conditions hold"));
	ASSERT_EQ(0, cgroup_write("P", "memory.swap.max", "0"));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "of /P/b would be killed")));
	expect_victims(_metadata, self, "");
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* The other tenants are watched as before. */
TEST_F_TIMEOUT(early_rules, a_cgroup_goes, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, cgroup_make("gone"));
	squeeze(_metadata, self,
		"early /gone when pressure some above 1% and pressure full above 1%\n"
		"early /P when pressure some above 10% for 1500ms\n", "", "watching /P by");
	ASSERT_EQ(0, cgroup_remove("gone"));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, KILLED ":2;")));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "psi_kill: /gone is gone")));
	expect_victims(_metadata, self, "P/b");
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

#define THREE	"free below 3% and swap below 2% and pressure full above 1%"

static const struct {
	const char *line;
	const char *says;
} wrong[] = {
	{ "early", "'early' is followed by the path of a cgroup, with a slash in front" },
	{ "early P when",
	  "'early' is followed by the path of a cgroup, with a slash in front, not by 'P'" },
	{ "early /P if free", "'/P' is followed by when, not by 'if'" },
	{ "early /P when load above 1%",
	  "'when' is followed by pressure, free or swap, not by 'load'" },
	{ "early /P when pressure above 1%",
	  "'pressure' is followed by some or full, not by 'above'" },
	{ "early /P when pressure some below 1%",
	  "'some' is followed by above, not by 'below'" },
	{ "early /P when free above 1%", "'free' is followed by below, not by 'above'" },
	{ "early /P when pressure full above 101%",
	  "'above' is followed by a share from 0.01% to 100%, not by '101%'" },
	{ "early /P when pressure full above 0%",
	  "'above' is followed by a share from 0.01% to 100%, not by '0%'" },
	{ "early /P when swap below", "'below' is followed by a share from 0.01% to 100%" },
	{ "early /P when pressure full above 10% for",
	  "'for' is followed by a time, as 10s or 1500ms" },
	{ "early /P when pressure full above 10% for 10",
	  "'for' is followed by a time, as 10s or 1500ms, not by '10'" },
	{ "early /P when pressure full above 10% for 3601s",
	  "'for' is followed by a time from 1ms to 3600s, not by '3601s'" },
	{ "early /P when pressure full above 10% for 0s",
	  "'for' is followed by a time from 1ms to 3600s, not by '0s'" },
	{ "early /P when pressure full above 10% or swap below 3%",
	  "'10%' is followed by and, for or nothing, not by 'or'" },
	{ "early /P when pressure full above 10% for 1s 2s",
	  "'1s' is followed by and or nothing, not by '2s'" },
	{ "early /P when pressure full above 10% and",
	  "'and' is followed by pressure, free or swap" },
	{ "early /P when free below 10% for 3s and swap below 10%",
	  "a pressure is missing: by that the kernel says when to look" },
	{ "early /P when " THREE " and " THREE " and " THREE,
	  "there is room for 8 conditions" },
};

/* By the monitor, and by who reads the same file for other lines. */
TEST_F_TIMEOUT(early_rules, wrong_lines, TEST_TIMEOUT_S)
{
	char conf[512], say[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(conf, sizeof(conf), "early /P when pressure full above 10%%\n%s\n",
			 wrong[i].line);
		snprintf(say, sizeof(say), CONF ":2: %s", wrong[i].says);
		ASSERT_EQ(0, write_conf(conf));
		runs(_metadata, 1, "psi_kill --rules " CONF);
		EXPECT_STREQ(say, shell_output);
		runs(_metadata, 1, "oom_rules --config " CONF " check");
		EXPECT_STREQ(say, shell_output);
	}
	ASSERT_EQ(0, write_conf("early /P when pressure full above 10%\n"));
	runs(_metadata, 0, "oom_rules --config " CONF " check");
	EXPECT_STREQ(CONF ": 0 rules, 0 pods, 1 early kills", shell_output);
	ASSERT_EQ(0, write_conf("path /x 1\n"));
	runs(_metadata, 1, "psi_kill --rules " CONF);
	EXPECT_STREQ("psi_kill: " CONF " has no line 'early'", shell_output);
	ASSERT_EQ(0, write_conf("early /nowhere when pressure full above 10%\n"));
	runs(_metadata, 1, "psi_kill --rules " CONF);
	says(_metadata, "cannot open cgroup /sys/fs/cgroup/nowhere: No such file or directory");
	says(_metadata, "it is named in " CONF ":1");
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
