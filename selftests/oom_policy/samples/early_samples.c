// SPDX-License-Identifier: GPL-2.0-only
/*
 * The samples that kill early, under a real shortage in a memcg: whom psi_kill and
 * reclaim_guard have killed, when they wait, and what psi_kill says to whoever starts
 * it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "../../../../../samples/oom_policy/reclaim_guard.h"
#include "kselftest_harness.h"
#include "shell.h"
#include "squeezed.h"

#define LONG_GRACE_MS	60000
#define NOTIFY_SOCKET	"/tmp/psi_kill.notify"
#define HOOKS		"/tmp/psi_kill.hooks"
#define HOOK		"/tmp/psi_kill.hook"
#define TOLD		"/tmp/psi_kill.told"
#define HOOK_SCRIPT	"#!/bin/sh\nsed -n /oom_kill./p /sys/fs/cgroup$1/memory.events >" TOLD \
			"\necho $1 >>" TOLD "\n"
#define NOTIFY_METHOD	"io.systemd.oom.Prekill.Notify"
#define REQUEST(cgroup)	"{\"method\":\"" NOTIFY_METHOD "\",\"parameters\":" \
			"{\"cgroup\":\"" cgroup "\"}}"
#define AT_ONCE		"--cgroup P --threshold 20 --window 500 --pause 3600000"
#define PIN		"/sys/fs/bpf/early_samples"
#define TREE		"P=0 P/a=1,8M P/b=-1,8M P/c=2,16M P/hog=9 Q=-9,8M"
#define SLOW_TREE	"P=0 P/a=1,8M P/b=-1,8M,shared P/c=2,16M P/hog=9 Q=-9,8M"

FIXTURE(early_samples)
{
	struct squeezed squeezed;
	struct holder holder;
	int notify_fd;
};

FIXTURE_SETUP(early_samples)
{
	self->notify_fd = -1;
}

FIXTURE_TEARDOWN(early_samples)
{
	let_go(&self->holder);
	shell("rm -rf " PIN " " NOTIFY_SOCKET " " HOOKS " " HOOK " " TOLD);
	squeezed_end(&self->squeezed);
	if (self->notify_fd >= 0)
		close(self->notify_fd);
}

static void start_monitor(struct __test_metadata *_metadata, FIXTURE_DATA(early_samples) * self,
			  const char *options)
{
	char command[256];

	snprintf(command, sizeof(command), "exec psi_kill %s", options);
	ASSERT_EQ(0, squeezed_start_killer(&self->squeezed, command));
	ASSERT_TRUE(wait_until(file_has(KILLER_OUTPUT, "watching ")));
}

TEST_F_TIMEOUT(early_samples, psi_kill_kills_by_the_policy, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	start_monitor(_metadata, self, AT_ONCE);
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "killed a victim below /P;")));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_EQ((__u32)(BPF_OOM_EVENT_MEMCG | BPF_OOM_EVENT_EARLY),
		  self->squeezed.policy->bss->calls[0].flags);
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* Once for each time that it would have killed: the first is enough here. */
TEST_F_TIMEOUT(early_samples, psi_kill_dry_run_kills_nobody, TEST_TIMEOUT_S)
{
	char says[64];

	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	snprintf(says, sizeof(says), "dry run: process %d of /P/b would be killed",
		 tree_find(&self->squeezed.tree, "P/b")->pid[0]);
	start_monitor(_metadata, self, "--cgroup P --threshold 20 --window 500 --dry-run");
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, says)));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
	EXPECT_EQ(0, tree_killed(&self->squeezed.tree));
}

/* The hook is told of the victim, and only when it has ended is anybody killed. */
TEST_F_TIMEOUT(early_samples, psi_kill_runs_a_hook_before, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	ASSERT_EQ(0, shell("printf '%s' >%s && chmod 755 %s", HOOK_SCRIPT, HOOK, HOOK));
	start_monitor(_metadata, self, AT_ONCE " --prekill " HOOK " --prekill-timeout 60000");
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "killed a victim below /P;")));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_TRUE(file_has(TOLD, "oom_kill 0\n/P/b\n"));
	EXPECT_FALSE(file_has(KILLER_OUTPUT, "not waited for"));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* One that never ends has its time, and no more. */
TEST_F_TIMEOUT(early_samples, psi_kill_cuts_a_hook_off, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	ASSERT_EQ(0, shell("printf '#!/bin/sh\nexec sleep 100000\n' >" HOOK " && chmod 755 "
			   HOOK));
	start_monitor(_metadata, self, AT_ONCE " --prekill " HOOK " --prekill-timeout 1");
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "killed a victim below /P;")));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_TRUE(file_has(KILLER_OUTPUT, "1 hooks have not answered in 1 ms: not waited for"));
	EXPECT_NE(0, shell("ps | grep -q '[s]leep 100000'"));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

/* What systemd-oomd says to those who want to know, and waits for. */
TEST_F_TIMEOUT(early_samples, psi_kill_tells_hooks_of_systemd, TEST_TIMEOUT_S)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = HOOKS "/one" };
	struct pollfd wait = { .events = POLLIN };
	char said[256] = "";
	int fd;

	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	ASSERT_EQ(0, shell("mkdir " HOOKS));
	/* A second one, whose owner is gone. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(fd, (void *)&address, sizeof(address)));
	close(fd);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/two", HOOKS);
	wait.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(wait.fd, (void *)&address, sizeof(address)));
	ASSERT_EQ(0, listen(wait.fd, 1));

	start_monitor(_metadata, self, AT_ONCE " --prekill " HOOKS " --prekill-timeout 60000");
	ASSERT_EQ(0, squeezed_limit("memory.high", 0));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	ASSERT_EQ(1, poll(&wait, 1, DEADLINE_S * 1000));
	fd = accept4(wait.fd, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_LT(0, recv(fd, said, sizeof(said) - 1, 0));
	EXPECT_STREQ(REQUEST("/P/b"), said);
	EXPECT_STREQ("", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_EQ(3, send(fd, "{}", 3, 0));
	EXPECT_TRUE(wait_until(file_has(KILLER_OUTPUT, "killed a victim below /P;")));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_FALSE(file_has(KILLER_OUTPUT, "not waited for"));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
	close(fd);
	close(wait.fd);
}

TEST_F_TIMEOUT(early_samples, psi_kill_says_when_it_is_ready, TEST_TIMEOUT_S)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = NOTIFY_SOCKET };
	struct pollfd said;
	char text[16] = "";

	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	self->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(0, bind(self->notify_fd, (void *)&address, sizeof(address)));
	ASSERT_EQ(0, setenv("NOTIFY_SOCKET", NOTIFY_SOCKET, 1));
	start_monitor(_metadata, self, "--full");
	said = (struct pollfd) { .fd = self->notify_fd, .events = POLLIN };
	ASSERT_EQ(1, poll(&said, 1, DEADLINE_S * 1000));
	EXPECT_EQ(7, recv(self->notify_fd, text, sizeof(text), 0));
	EXPECT_STREQ("READY=1", text);
	EXPECT_TRUE(file_has(KILLER_OUTPUT, "watching /: full 150 ms of 1000 ms"));
	EXPECT_EQ(0, squeezed_end_killer(&self->squeezed));
}

TEST_F_TIMEOUT(early_samples, psi_kill_ends_with_its_cgroup, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, cgroup_make("gone"));
	start_monitor(_metadata, self, "--cgroup gone");
	ASSERT_EQ(0, cgroup_remove("gone"));
	EXPECT_TRUE(wait_until(has_ended(self->squeezed.killer)));
	EXPECT_TRUE(file_has(KILLER_OUTPUT, "psi_kill: /gone is gone"));
}

/* What is asked for and cannot be: one sentence, and nothing is done. */
static const struct {
	const char *command;
	const char *says;
} wrong[] = {
	{ "psi_kill --threshold 0",
	  "psi_kill: threshold is a number of milliseconds from 1 to 10000, not '0'" },
	{ "psi_kill --window 1s",
	  "psi_kill: window is a number of milliseconds from 500 to 10000, not '1s'" },
	{ "psi_kill --pause -1",
	  "psi_kill: pause is a number of milliseconds from 0 to 3600000, not '-1'" },
	{ "psi_kill --threshold 600 --window 500",
	  "psi_kill: a threshold of 600 ms is never reached in a window of 500 ms" },
	{ "psi_kill --prekill /nowhere",
	  "psi_kill: '/nowhere' is no hook: No such file or directory" },
	{ "psi_kill --prekill /etc/passwd",
	  "psi_kill: '/etc/passwd' is no hook: Permission denied" },
	{ "psi_kill --prekill-timeout 0",
	  "psi_kill: prekill-timeout is a number of milliseconds from 1 to 60000, not '0'" },
	{ "psi_kill --rules /etc/oom-policy.conf --full",
	  "psi_kill: rules are without --cgroup, --full, --threshold and --window" },
	{ "psi_kill now", "psi_kill: what is 'now'? There are options only" },
	{ "psi_kill --cgroup ''", "psi_kill: a cgroup is missing: '/' is the whole machine" },
	{ "reclaim_guard --cgroup ''",
	  "reclaim_guard: a cgroup is missing: '/' is the whole machine" },
	{ "psi_kill --cgroup nowhere",
	  "psi_kill: cannot open cgroup /sys/fs/cgroup/nowhere: No such file or directory" },
	{ "psi_kill --cgroup /sys/fs/cgroup/../bpf",
	  "psi_kill: not a cgroup of cgroup v2: /sys/fs/cgroup/../bpf" },
	{ "psi_kill --dry-run",
	  "psi_kill: no policy rules /: there is nothing to rehearse" },
	{ "NOTIFY_SOCKET=/tmp/nobody psi_kill | grep -v watching",
	  "psi_kill: cannot say that it is ready on /tmp/nobody: No such file or directory" },
	{ "reclaim_guard --stall x",
	  "reclaim_guard: stall is a number of milliseconds from 1 to 3600000, not 'x'" },
	{ "reclaim_guard --stall 2 --window 1",
	  "reclaim_guard: a stall of 2 ms is never reached in a window of 1 ms" },
	{ "reclaim_guard --cgroup nowhere",
	  "reclaim_guard: cannot open cgroup /sys/fs/cgroup/nowhere: No such file or directory" },
	{ "reclaim_guard --pin /tmp/guard",
	  "reclaim_guard: pin directory /tmp/guard is not on bpffs; mount it: mount -t bpf none /sys/fs/bpf",
	},
	{ "mkdir " PIN " && reclaim_guard --pin " PIN,
	  "reclaim_guard: " PIN " exists already: remove it, or choose another --pin" },
};

TEST_F_TIMEOUT(early_samples, wrong_options, TEST_TIMEOUT_S)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_NE(0, shell("set -o pipefail; %s", wrong[i].command))
			TH_LOG("%s", wrong[i].command);
		EXPECT_STREQ(wrong[i].says, shell_output);
	}
	EXPECT_NE(0, shell_as_nobody("psi_kill"));
	EXPECT_STREQ(shell_output,
		     "psi_kill: no permission to load the program: it takes CAP_SYS_ADMIN");
}

static void start_guard(struct __test_metadata *_metadata, FIXTURE_DATA(early_samples) * self,
			const char *options)
{
	ASSERT_EQ(0, squeezed_add_swap(&self->squeezed));
	ASSERT_EQ(0, shell("reclaim_guard --pin " PIN " %s", options))
		TH_LOG("%s", shell_output);
}

static struct guard_counts guard_counts(void)
{
	const int fd = bpf_obj_get(PIN "/counts");
	struct guard_counts counts = {};
	const __u32 zero = 0;

	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &counts))
		diag("no counts of the guard: %m");
	close(fd);
	return counts;
}

static long pages_scanned(void)
{
	return cgroup_read_long("P", "memory.stat", "pgscan");
}

/* However much there is to reclaim afterwards: one kill is one kill. */
TEST_F_TIMEOUT(early_samples, reclaim_guard_kills_once, TEST_TIMEOUT_S)
{
	long scanned;

	ASSERT_EQ(0, squeezed_begin(&self->squeezed, TREE, 0));
	start_guard(_metadata, self, "--cgroup P --stall 5 --window 1000 --pause 3600000");
	ASSERT_EQ(0, squeezed_limit("memory.max", 1 << 20));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(guard_counts().kills));
	ASSERT_EQ(0, squeezed_limit("memory.max", 0));
	scanned = pages_scanned();
	EXPECT_TRUE(wait_until(pages_scanned() > scanned + 1000));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_EQ(1U, guard_counts().kills);
	EXPECT_EQ(0U, guard_counts().failures);

	EXPECT_EQ(0, shell("rm -r " PIN));
	EXPECT_TRUE(wait_until(shell("bpftool prog show | grep -q direct_begin")));
}

/* A victim that keeps its memory: it tries again, and kills when that one is gone. */
TEST_F_TIMEOUT(early_samples, reclaim_guard_waits_for_the_victim, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, squeezed_begin(&self->squeezed, SLOW_TREE, LONG_GRACE_MS));
	ASSERT_EQ(0, hold_tasks(&self->holder, &self->squeezed.tree));
	start_guard(_metadata, self, "--cgroup ./P --stall 5 --window 500 --pause 1");
	ASSERT_EQ(0, squeezed_limit("memory.max", 1 << 20));
	ASSERT_EQ(0, squeezed_start_hog(&self->squeezed));
	EXPECT_TRUE(wait_until(guard_counts().put_off >= 2));
	EXPECT_EQ(1U, guard_counts().kills);
	EXPECT_STREQ("P/b", policy_victims(self->squeezed.policy, &self->squeezed.tree));
	EXPECT_EQ(0U, guard_counts().failures);
	let_go(&self->holder);
	EXPECT_TRUE(wait_until(guard_counts().kills > 1));
	EXPECT_EQ(0, squeezed_end_hog(&self->squeezed));
	/* It goes on until the hog ends, and may have killed all that there are. */
	if (guard_counts().failures)
		EXPECT_EQ(-ESRCH, guard_counts().last_error);
	EXPECT_LT(1U, self->squeezed.policy->bss->nr_victims);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
