// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is left of an OOM for the morning after: the recorder and its log, the journal,
 * metrics; and a candidate policy that plays along. What they say has to be what has
 * happened.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "early_kill.h"
#include "policy.h"
#include "says.h"

#define GLOBALS		"/tests/globals.bpf.o"
#define RECORDS		"/sys/fs/bpf/oom_policy_record"
#define JOURNAL		"/run/systemd/journal"
#define NR_RECORDED	64
#define COMPARING	"comparing by_globals with what is decided"

#define ROOT_LABELS	"{cgroup=\"/\",type=\"memcg\"}"
#define FALLBACK_LABELS	"{cgroup=\"/\",type=\"memcg\",reason=\"none_eligible\"}"
#define MAP_LABELS	"{cgroup=\"/\",type=\"memcg\",map=\"seen\"}"
#define ODD_LABELS	"{cgroup=\"/B/q\\\"\\\\\\\\x9b\",type=\"memcg\"}"

#define TREE	"A=0 B=0 A/x=0,2M A/y=0,4M B/z=0,8M,x2 B/e=0 B/f=0"

static void clean_up(void)
{
	shell("bpftool oom record stop; rm -rf /sys/fs/bpf/oom_policy_*");
}

FIXTURE(record)
{
	struct tree tree;
};

FIXTURE_SETUP(record)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
	ASSERT_EQ(0, shell("bpftool oom attach " GLOBALS " / flags memcg,kill_all set backwards=1"))
		TH_LOG("%s", shell_output);
	ASSERT_EQ(0, shell("bpftool oom record start")) TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(record)
{
	clean_up();
	tree_remove(&self->tree);
}

/* An OOM of the machine, and its victims are gone, which the recorder has seen. */
static void strike(struct __test_metadata *_metadata, struct tree *tree, int victims)
{
	const int killed = tree_killed(tree);

	ASSERT_EQ(0, raise_oom_sysrq());
	ASSERT_TRUE(wait_until(tree_killed(tree) == killed + victims));
	ASSERT_TRUE(wait_until(!shell("bpftool -j oom log | jq -e 'last | .exited >= .killed'")));
}

TEST_F_TIMEOUT(record, decision, TEST_TIMEOUT_S)
{
	const struct node *z = tree_find(&self->tree, "B/z"), *x = tree_find(&self->tree, "A/x");
	char pids[64];

	runs(_metadata, 0, "bpftool -j oom log");
	EXPECT_STREQ("[]", shell_output);
	strike(_metadata, &self->tree, 2);

	/* The cgroup goes, and another one takes its name. */
	ASSERT_EQ(0, cgroup_remove("B/z"));
	runs(_metadata, 0, "bpftool -j oom log | jq -r '.[0] | .seq, .scope, .victim, .victim_id,\n"
	     " .killed, .exited, .fallback, (.levels | length)'");
	snprintf(pids, sizeof(pids), "1\n/\n/B/z\n%llu\n2\n2\nnull\n2", z->id);
	EXPECT_STREQ(pids, shell_output);
	runs(_metadata, 0, "bpftool -j oom log | jq '.[0].pid'");
	EXPECT_TRUE(atoi(shell_output) == z->pid[0] || atoi(shell_output) == z->pid[1])
		TH_LOG("%s is neither %d nor %d", shell_output, z->pid[0], z->pid[1]);
	runs(_metadata, 0, "bpftool -j oom log | jq -r '.[0].levels[0] | .level, .winner,\n"
	     " .runner, .eligible, .compared, .prog_name'");
	EXPECT_STREQ("1\nB\nA\n2\n1\nby_globals", shell_output);
	runs(_metadata, 0, "bpftool -j oom log | jq -r '.[0].levels[1] | .level, .winner,\n"
	     " .runner, .eligible, .compared'");
	EXPECT_STREQ("2\nz\nnull\n1\n0", shell_output);

	/* Two of 8 MB: what they held, and what came back. */
	runs(_metadata, 0, "bpftool -j oom log | jq '.[0].held'");
	EXPECT_LE(16 * MEGABYTE, atol(shell_output));
	EXPECT_GT(32 * MEGABYTE, atol(shell_output));
	runs(_metadata, 0, "bpftool -j oom log | jq '.[0].came_back'");
	EXPECT_LE(14 * MEGABYTE, atol(shell_output));
	EXPECT_GT(20 * MEGABYTE, atol(shell_output));

	runs(_metadata, 0, "bpftool oom log");
	says(_metadata, "  #1  scope /  victim /B/z  task ");
	says(_metadata, " and 1 more  held ");
	says(_metadata, "\n    level 1: B (");
	says(_metadata, " rather than A (");
	says_not(_metadata, "still there");

	/* The next one is in a cgroup, which is its scope. */
	ASSERT_EQ(0, raise_oom_sysrq());
	ASSERT_TRUE(wait_until(tree_killed(&self->tree) == 3));
	runs(_metadata, 0, "bpftool -j oom log | jq -r '.[1].victim, .[1].levels[1].runner'");
	EXPECT_STREQ("/A/y\nx", shell_output);
	EXPECT_EQ(0, x->dead[0]);
	runs(_metadata, 0, "bpftool oom log | grep -c scope");
	EXPECT_STREQ("2", shell_output);
}

TEST_F_TIMEOUT(record, scope_is_a_cgroup, TEST_TIMEOUT_S)
{
	struct early *early = early_load(NULL);

	ASSERT_NE(NULL, early);
	ASSERT_EQ(0, early_kill(early, cgroup_id("A"), 0));
	early__destroy(early);
	ASSERT_TRUE(wait_until(tree_killed(&self->tree) == 1));
	runs(_metadata, 0, "bpftool -j oom log | jq -r '.[0] | .scope, .victim, .levels[0].level,\n"
	     " .levels[0].winner'");
	EXPECT_STREQ("/A\n/A/y\n1\ny", shell_output);
}

/* Nobody to kill, and the same again is one more of it; the oldest ones go. */
TEST_F_TIMEOUT(record, last_ones, TEST_TIMEOUT_S)
{
	const __u64 ids[] = { cgroup_id("B/e"), cgroup_id("B/f") };
	struct early *early = early_load(NULL);
	int n;

	ASSERT_NE(NULL, early);
	EXPECT_EQ(-ESRCH, early_kill(early, ids[0], 0));
	EXPECT_EQ(-ESRCH, early_kill(early, ids[0], 0));
	EXPECT_EQ(-ESRCH, early_kill(early, ids[0], 0));
	runs(_metadata, 0, "bpftool oom log");
	says(_metadata, "#1  scope /B/e  nobody killed");
	says(_metadata, "fallback: none eligible (3 times)");
	for (n = 1; n < NR_RECORDED + 2; n++)
		EXPECT_EQ(-ESRCH, early_kill(early, ids[n % 2], 0));
	early__destroy(early);
	runs(_metadata, 0, "bpftool -j oom log | jq 'length, first.seq, last.seq, last.fallback'");
	EXPECT_STREQ("64\n3\n66\n\"none eligible\"", shell_output);
}

TEST_F_TIMEOUT(record, follow, TEST_TIMEOUT_S)
{
	pid_t plain, json;
	int status;

	plain = shell_start("exec bpftool oom log -f", "/tmp/log");
	json = shell_start("exec bpftool -j oom log follow", "/tmp/log.json");
	ASSERT_LT(0, plain);
	ASSERT_LT(0, json);
	strike(_metadata, &self->tree, 2);
	EXPECT_TRUE(wait_until(file_has("/tmp/log", "victim /B/z  task ")));
	EXPECT_TRUE(wait_until(file_has("/tmp/log.json", "\"victim\":\"/B/z\"")));
	EXPECT_EQ(0, kill(plain, SIGTERM));
	EXPECT_EQ(0, kill(json, SIGTERM));
	EXPECT_EQ(plain, waitpid(plain, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(json, waitpid(json, &status, 0));
	EXPECT_EQ(0, status);
	runs(_metadata, 0, "jq -r .seq /tmp/log.json");
	EXPECT_STREQ("1", shell_output);
}

/* In place of the journal. */
static int journal_open(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = JOURNAL "/socket" };
	int fd;

	shell("mkdir -p " JOURNAL "; rm -f " JOURNAL "/socket");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void journal_gets(struct __test_metadata *_metadata, int fd, const char *victim)
{
	char text[4096], field[128];
	ssize_t n;

	n = recv(fd, text, sizeof(text) - 1, 0);
	ASSERT_LT(0, n);
	text[n] = '\0';
	snprintf(field, sizeof(field), "\nOOM_POLICY_VICTIM=%s\n", victim);
	EXPECT_NE(NULL, strstr(text, field)) TH_LOG("%s", text);
	snprintf(field, sizeof(field), " of %s, ", victim);
	EXPECT_NE(NULL, strstr(text, field)) TH_LOG("%s", text);
	EXPECT_EQ(0, strncmp(text, "PRIORITY=4\n", strlen("PRIORITY=4\n")));
	EXPECT_NE(NULL, strstr(text, "\nOOM_POLICY_SCOPE=/\n"));
	EXPECT_NE(NULL, strstr(text, "\nMESSAGE=OOM in /: killed "));
	EXPECT_NE(NULL, strstr(text, "\nOOM_POLICY_LEVEL=1: "));
}

/* Each decision is there once, whoever is started anew. */
TEST_F_TIMEOUT(record, journal, TEST_TIMEOUT_S)
{
	const int fd = journal_open();
	char byte;
	pid_t pid;

	ASSERT_LE(0, fd);
	strike(_metadata, &self->tree, 2);
	pid = shell_start("exec bpftool oom log journal", "/tmp/journal");
	ASSERT_LT(0, pid);
	journal_gets(_metadata, fd, "/B/z");
	EXPECT_EQ(0, kill(pid, SIGTERM));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));

	pid = shell_start("exec bpftool oom log journal", "/tmp/journal");
	ASSERT_LT(0, pid);
	strike(_metadata, &self->tree, 1);
	journal_gets(_metadata, fd, "/A/y");
	EXPECT_EQ(-1, recv(fd, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(0, kill(pid, SIGTERM));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	close(fd);

	/* Without a journal. */
	runs(_metadata, 0, "rm " JOURNAL "/socket");
	ASSERT_EQ(0, raise_oom_sysrq());
	ASSERT_TRUE(wait_until(tree_killed(&self->tree) == 4));
	runs(_metadata, 255, "bpftool oom log journal");
	says(_metadata, "cannot write to the journal at " JOURNAL "/socket: ");
}

TEST_F_TIMEOUT(record, stops_and_starts, TEST_TIMEOUT_S)
{
	runs(_metadata, 255, "bpftool oom record start");
	says(_metadata, "the recorder is running already: its pins are in " RECORDS);
	runs(_metadata, 0, "bpftool prog show | grep -c 'name oom_rec_'");
	EXPECT_STREQ("6", shell_output);
	runs(_metadata, 0, "bpftool -j oom record stop");
	EXPECT_STREQ("{\"recording\":false}", shell_output);
	EXPECT_NE(0, access(RECORDS, F_OK));
	EXPECT_TRUE(wait_until(shell("bpftool prog show | grep 'name oom_rec_'")));
	runs(_metadata, 255, "bpftool oom record stop");
	says(_metadata, "nothing is recorded");
	runs(_metadata, 255, "bpftool oom log");
	says(_metadata, "nothing is recorded: begin with 'oom record start'");
	runs(_metadata, 255, "bpftool oom record");
	says(_metadata, "record wants start or stop");
	runs(_metadata, 255, "bpftool oom log backwards");
	says(_metadata, "what is 'backwards'?");
	runs(_metadata, 0, "bpftool -j oom record start");
	EXPECT_STREQ("{\"recording\":true}", shell_output);
}

/* A sample of the metrics. */
static void sample_is(struct __test_metadata *_metadata, const char *sample, const char *value)
{
	runs(_metadata, 0, "bpftool oom metrics | grep -v '^#' | grep -F '%s ' | sed 's/.* //'",
	     sample);
	EXPECT_STREQ(value, shell_output) TH_LOG("%s", sample);
}

TEST_F_TIMEOUT(record, metrics, TEST_TIMEOUT_S)
{
	struct early *early = early_load(NULL);

	ASSERT_NE(NULL, early);
	strike(_metadata, &self->tree, 2);
	EXPECT_EQ(-ESRCH, early_kill(early, cgroup_id("B/e"), 0));
	early__destroy(early);
	sample_is(_metadata, "oom_policy_enabled", "1");
	sample_is(_metadata, "oom_policy_kills_total" ROOT_LABELS, "1");
	sample_is(_metadata, "oom_policy_selections_total" ROOT_LABELS, "2");
	sample_is(_metadata, "oom_policy_comparisons_total" ROOT_LABELS, "1");
	sample_is(_metadata, "oom_policy_fallbacks_total" FALLBACK_LABELS, "1");
	sample_is(_metadata, "oom_policy_budget_seconds" ROOT_LABELS, "0.100000");
	sample_is(_metadata, "oom_policy_in_force" ROOT_LABELS, "1");
	sample_is(_metadata, "oom_policy_recorded_kills_total", "2");
	sample_is(_metadata, "oom_policy_recorded_decisions_total", "2");
	sample_is(_metadata, "oom_policy_recorded_useless_kills_total", "0");
	runs(_metadata, 0, "bpftool oom metrics | grep 'worst_selection_seconds{' | sed 's/.* //'");
	EXPECT_LT(0, atof(shell_output));

	/* Each sample belongs to the family that was declared last, which has all of its own. */
	runs(_metadata, 0, "bpftool oom metrics |\n"
	     "awk '/^# TYPE/ { family = $3; n[family]++; next }\n"
	     " /^#/ { next } { split($1, name, \"{\"); if (name[1] != family) print }\n"
	     " END { for (f in n) if (n[f] > 1) print f }'");
	EXPECT_STREQ("", shell_output);
	runs(_metadata, 0, "bpftool oom metrics openmetrics | awk '/^# TYPE/ { family = $3;"
	     " suffix = $4 == \"counter\" ? \"_total\" : \"\"; next } /^#/ { next }\n"
	     " { split($1, name, \"{\"); if (name[1] != family suffix) print }'");
	EXPECT_STREQ("", shell_output);
	runs(_metadata, 0, "bpftool oom metrics openmetrics | tail -n 1");
	EXPECT_STREQ("# EOF", shell_output);

	/* Names are quoted, and drive no terminal. */
	ASSERT_EQ(0, mkdir(CGROUP_ROOT "/B/q\"\\\x9b", 0755));
	runs(_metadata, 0, "bpftool oom attach " GLOBALS " '/B/q\"\\\x9b'");
	sample_is(_metadata, "oom_policy_kills_total" ODD_LABELS, "0");
	runs(_metadata, 0, "bpftool oom detach '/B/q\"\\\x9b'");
	rmdir(CGROUP_ROOT "/B/q\"\\\x9b");
	runs(_metadata, 255, "bpftool -j oom metrics");
	runs(_metadata, 255, "bpftool oom metrics json");
	says(_metadata, "what is 'json'?");
}

/* How full a map is. */
TEST_F_TIMEOUT(record, metrics_of_maps, TEST_TIMEOUT_S)
{
	sample_is(_metadata, "oom_policy_map_max_entries" MAP_LABELS, "64");
	sample_is(_metadata, "oom_policy_map_entries" MAP_LABELS, "0");
	runs(_metadata, 0,
	     "bpftool map update name seen key 1 0 0 0 0 0 0 0 value 1 0 0 0 0 0 0 0");
	sample_is(_metadata, "oom_policy_map_entries" MAP_LABELS, "1");
}

static void shadow_says(struct __test_metadata *_metadata, struct tree *tree, const char *set,
			int victims, const char *line)
{
	char command[256];
	int status;
	pid_t pid;

	snprintf(command, sizeof(command), "exec bpftool oom shadow " GLOBALS " %s count 1", set);
	pid = shell_start(command, "/tmp/shadow");
	ASSERT_LT(0, pid);
	ASSERT_TRUE(wait_until(file_has("/tmp/shadow", COMPARING)));
	strike(_metadata, tree, victims);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(file_has("/tmp/shadow", line));
	if (!file_has("/tmp/shadow", line))
		shell("cat /tmp/shadow");
	EXPECT_TRUE(file_has("/tmp/shadow", line)) TH_LOG("%s is not in %s", line, shell_output);
}

TEST_F_TIMEOUT(record, shadow, TEST_TIMEOUT_S)
{
	shadow_says(_metadata, &self->tree, "set order=BY_USAGE set backwards=1", 2,
		    "  agrees  compared 1\nevents 1  agreed 1  differed 0\n");
	/* B is empty now: the first comparison is that of A's children. */
	shadow_says(_metadata, &self->tree, "", 1,
		    "differs at level 2: /A/x rather than /A/y  compared 1\n"
		    "events 1  agreed 0  differed 1\n");
}

TEST_F_TIMEOUT(record, shadow_of_another_way, TEST_TIMEOUT_S)
{
	shadow_says(_metadata, &self->tree, "set order=BY_USAGE", 2,
		    "  victim /B/z/");
	EXPECT_TRUE(file_has("/tmp/shadow", "differs at level 1: /A rather than /B  compared 1\n"));
	shadow_says(_metadata, &self->tree, "set mood=unsure", 1,
		    "differs at level 2: abstains, /A/y was chosen");
	runs(_metadata, 255, "bpftool oom shadow");
	runs(_metadata, 255, "bpftool oom shadow " GLOBALS " count");
	says(_metadata, "'count' wants a number of events");
}

/* More comparisons than there is room for while nobody reads them. */
#define NR_UNREAD	14500

TEST_F_TIMEOUT(record, shadow_tells_what_it_has_lost, TEST_TIMEOUT_S)
{
	static const char * const command[] = {
		"exec bpftool oom shadow " GLOBALS,
		"exec bpftool -j oom shadow " GLOBALS " 2>/dev/null",
	};
	static const char * const said[] = { "/tmp/shadow", "/tmp/shadow.json" };
	const struct node *a = tree_find(&self->tree, "A");
	struct early *early = early_load(NULL);
	int status, i;
	pid_t pid[2];

	/* Two who are compared, and neither of them is killed. */
	ASSERT_NE(NULL, early);
	ASSERT_EQ(0, set_oom_score_adj(tree_find(&self->tree, "A/x")->pid[0], -1000));
	ASSERT_EQ(0, set_oom_score_adj(tree_find(&self->tree, "A/y")->pid[0], -1000));
	for (i = 0; i < 2; i++) {
		pid[i] = shell_start(command[i], said[i]);
		ASSERT_LT(0, pid[i]);
		/* The last of its programs. */
		ASSERT_TRUE(wait_until(!shell("grep -q oom_policy_done /proc/%d/fdinfo/*",
					      pid[i])));
		ASSERT_EQ(0, kill(pid[i], SIGSTOP));
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, WUNTRACED));
	}
	for (i = 0; i < NR_UNREAD; i++)
		ASSERT_EQ(-ESRCH, early_kill(early, a->id, 0));
	early__destroy(early);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, kill(pid[i], SIGTERM));
		EXPECT_EQ(0, kill(pid[i], SIGCONT));
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	runs(_metadata, 0, "jq -s 'map(.lost // 0) | add' /tmp/shadow.json");
	EXPECT_LT(0, atoi(shell_output));
	runs(_metadata, 0, "grep -q '  lost %d comparisons: ' /tmp/shadow", atoi(shell_output));
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
