// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same shortage twice: once for the stock OOM killer, once for the policy
 * tenant_prio. Tenants are the cgroups of demo.conf, set up by libcgroup, with
 * one process each that holds its share of the memory there is. Then one of them
 * grows until the kernel kills somebody; who that is, the kernel says.
 *
 * The growing tenant asks for one step at a time and gets no further one once a
 * kill was counted, so that there is one shortage and one victim. Exit status: 0
 * only if both runs ended with a kill, and the policy's was the tenant it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONF		"/usr/lib/oom_policy/demo.conf"
#define CGROUP_ROOT	"/sys/fs/cgroup"
#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define PIN		"/sys/fs/bpf/oom_policy_demo"
#define DEADLINE_MS	120000
#define MAX_GROUPS	10
#define MAX_MACHINE_MB	2048

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define fail(fmt, ...) ({						\
	fprintf(stderr, "oom_policy_demo: " fmt "\n", ##__VA_ARGS__);	\
	exit(1);							\
})

/*
 * The groups of demo.conf, parents before children: their memory.oom.priority, and
 * the share of the available memory that a tenant holds, in percent.
 */
static struct group {
	const char *path;
	int priority;
	int share;
	pid_t pid;
	int sock;
} groups[MAX_GROUPS] = {
	{ .path = "prod",		.priority = 100 },
	{ .path = "prod/db",		.priority = 10,  .share = 40 },
	{ .path = "prod/web",		.priority = 0,	 .share = 10 },
	{ .path = "batch",		.priority = 0 },
	{ .path = "batch/etl",		.priority = 10,	 .share = 5 },
	{ .path = "batch/ml",		.priority = 0,	 .share = 10 },
	{ .path = "besteffort",		.priority = -100 },
	{ .path = "besteffort/job1",	.priority = 30,	 .share = 5 },
	{ .path = "besteffort/job2",	.priority = 10,	 .share = 5 },
	{ .path = "besteffort/job3",	.priority = 20,	 .share = 5 },
};

/* Grows. Ends below 30 % of the memory, well behind prod/db. */
static struct group *const grower = &groups[4];

/* The number behind the key at the start of a line, without a key the first one. */
static long read_number(const char *file, const char *key)
{
	size_t len = strlen(key);
	char line[256];
	long found = -1;
	FILE *f = fopen(file, "r");

	if (!f)
		fail("cannot read %s: %s", file, strerror(errno));
	while (found < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len))
			found = strtol(line + len, NULL, 10);
	fclose(f);
	if (found < 0)
		fail("no %s in %s", key, file);
	return found;
}

static long group_number(const struct group *g, const char *file, const char *key)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", g->path, file);
	return read_number(path, key);
}

static const char *base_name(const struct group *g)
{
	const char *slash = strrchr(g->path, '/');

	return slash ? slash + 1 : g->path;
}

static bool is_child(const struct group *g, const struct group *parent)
{
	size_t len = parent ? strlen(parent->path) + 1 : 0;

	if (parent && (strncmp(g->path, parent->path, len - 1) || g->path[len - 1] != '/'))
		return false;
	return !strchr(g->path + len, '/');
}

static const struct group *lowest_priority_tenant(void)
{
	const struct group *parent, *lowest = NULL;
	int i;

	do {
		parent = lowest;
		for (lowest = NULL, i = 0; i < MAX_GROUPS; i++)
			if (is_child(&groups[i], parent) &&
			    (!lowest || groups[i].priority < lowest->priority))
				lowest = &groups[i];
	} while (lowest);
	return parent;
}

static struct cgroup *find_cgroup(const struct group *g)
{
	struct cgroup *cgroup = cgroup_new_cgroup(g->path);

	if (!cgroup || !cgroup_add_controller(cgroup, "memory")) {
		fputs("oom_policy_demo: libcgroup is short of memory\n", stderr);
		_exit(1);
	}
	return cgroup;
}

static void touch(size_t size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (mem == MAP_FAILED)
		_exit(1);
	for (i = 0; i < size; i += 4096)
		mem[i] = 1;
}

/* Holds its share, then takes a step more for every word it is sent. */
static void tenant(const struct group *g, struct cgroup *cgroup, size_t size, int sock)
{
	char word;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, base_name(g));
	if (cgroup_attach_task(cgroup))
		_exit(1);
	do {
		touch(size);
		size = 1 << 20;
	} while (write(sock, ".", 1) == 1 && read(sock, &word, 1) == 1);
	_exit(1);
}

/* False if the tenant has died instead. */
static bool wait_for_answer(const struct group *g)
{
	struct pollfd fd = { .fd = g->sock, .events = POLLIN };
	char word;

	if (poll(&fd, 1, DEADLINE_MS) != 1)
		fail("no answer from %s within %d s", g->path, DEADLINE_MS / 1000);
	return read(g->sock, &word, 1) == 1;
}

static void start_tenant(struct group *g, size_t size)
{
	struct cgroup *cgroup = find_cgroup(g);
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		fail("socketpair: %s", strerror(errno));
	g->pid = fork();
	if (g->pid < 0)
		fail("fork: %s", strerror(errno));
	if (!g->pid)
		tenant(g, cgroup, size, socks[1]);
	cgroup_free(&cgroup);
	close(socks[1]);
	g->sock = socks[0];
	if (!wait_for_answer(g))
		fail("%s did not get its memory", g->path);
}

static void start_tenants(const char *conf)
{
	long available_kb;
	int i, err;

	err = cgroup_config_load_config(conf);
	if (err)
		fail("libcgroup cannot load %s: %s", conf, cgroup_strerror(err));
	available_kb = read_number("/proc/meminfo", "MemAvailable:");
	for (i = 0; i < MAX_GROUPS; i++)
		if (groups[i].share)
			start_tenant(&groups[i], available_kb / 100 * groups[i].share * 1024);
}

/* Also the way out of a run that failed. */
static void clean_up(void)
{
	struct cgroup *cgroup;
	int i;

	unlink(PIN);
	for (i = MAX_GROUPS - 1; i >= 0; i--) {
		if (groups[i].pid > 0) {
			kill(groups[i].pid, SIGKILL);
			waitpid(groups[i].pid, NULL, 0);
			close(groups[i].sock);
			groups[i].pid = 0;
		}
		cgroup = find_cgroup(&groups[i]);
		cgroup_delete_cgroup(cgroup, 1);
		cgroup_free(&cgroup);
	}
}

static void set_priorities(void)
{
	char path[PATH_MAX];
	FILE *f;
	int i;

	for (i = 0; i < MAX_GROUPS; i++) {
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s/memory.oom.priority",
			 groups[i].path);
		f = fopen(path, "we");
		if (!f || fprintf(f, "%d", groups[i].priority) < 0 || fclose(f))
			fail("cannot set the priority of %s: %s", groups[i].path,
			     strerror(errno));
	}
}

static void attach_policy(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (freopen("/dev/null", "w", stdout))
			execlp("bpftool", "bpftool", "oom", "attach", POLICY, "pin", PIN, NULL);
		perror("oom_policy_demo: cannot run bpftool");
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("the policy could not be attached");
}

static void print_tree(void)
{
	int i;

	printf("%-20s %10s %10s\n", "tenant", "usage", "priority");
	for (i = 0; i < MAX_GROUPS; i++) {
		const struct group *g = &groups[i];
		int depth = strchr(g->path, '/') ? 2 : 0;

		printf("%*s/%-*s %7ld MB %10d%s\n", depth, "", 19 - depth, base_name(g),
		       group_number(g, "memory.current", "") >> 20, g->priority,
		       g == grower ? "  grows" : "");
	}
	putchar('\n');
}

static void print_report(int kmsg)
{
	static const char * const wanted[] = {
		"oom_policy: ", "oom-kill:constraint", "Killed process",
	};
	char record[1024], *text, *end;
	ssize_t len;
	size_t i;

	puts("The kernel's report:");
	while ((len = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (len < 0)
			continue;	/* overrun: the next read has what is left */
		record[len] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		for (i = 0; i < ARRAY_SIZE(wanted); i++)
			if (strstr(text, wanted[i]))
				break;
		if (i < ARRAY_SIZE(wanted))
			printf("  %s\n", text + 1);
	}
	putchar('\n');
}

static void grow(long kills)
{
	long left = read_number("/proc/meminfo", "MemTotal:") >> 10;

	do {
		if (!left--)
			fail("%s holds all there is, and nobody was killed", grower->path);
		if (write(grower->sock, ".", 1) != 1 || !wait_for_answer(grower))
			return;
	} while (read_number("/proc/vmstat", "oom_kill ") == kills);
}

/* Who was killed; more than one victim is a failure of the run. */
static const struct group *find_victim(long kills)
{
	struct group *victim = NULL;
	int i, status;

	for (i = 0; i < MAX_GROUPS; i++) {
		if (!groups[i].share || !group_number(&groups[i], "memory.events", "oom_kill "))
			continue;
		if (victim)
			fail("two tenants were killed: %s and %s", victim->path, groups[i].path);
		victim = &groups[i];
	}
	if (!victim)
		fail("somebody was killed, but none of the tenants");

	wait_for_answer(victim);	/* none comes: the socket closes as it dies */
	if (waitpid(victim->pid, &status, 0) != victim->pid || !WIFSIGNALED(status))
		fail("%s was not killed in the end", victim->path);
	victim->pid = 0;
	close(victim->sock);
	if (read_number("/proc/vmstat", "oom_kill ") != kills + 1)
		fail("more than one task was killed");
	return victim;
}

static void run(const char *who, const char *conf, bool policy, char *result, size_t size)
{
	const struct group *victim;
	int kmsg, pid[MAX_GROUPS], i;
	long kills;

	printf("== %s\n\n", who);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		fail("cannot read /dev/kmsg: %s", strerror(errno));
	kills = read_number("/proc/vmstat", "oom_kill ");

	start_tenants(conf);
	set_priorities();
	if (policy)
		attach_policy();
	print_tree();
	for (i = 0; i < MAX_GROUPS; i++)
		pid[i] = groups[i].pid;

	printf("/%s grows until the memory is gone.\n\n", grower->path);
	fflush(stdout);
	grow(kills);
	victim = find_victim(kills);
	print_report(kmsg);
	close(kmsg);

	snprintf(result, size, "%-13s killed /%-17s (process %s, pid %d)", who, victim->path,
		 base_name(victim), pid[victim - groups]);
	printf("%s\n\n", result);
	if (policy && victim != lowest_priority_tenant())
		fail("the lowest priority has /%s, which should have died",
		     lowest_priority_tenant()->path);
	clean_up();
}

int main(int argc, char **argv)
{
	const char *conf = argc > 1 ? argv[1] : CONF;
	char stock[128], policy[128];
	long total_mb;
	int err;

	if (argc > 2 || conf[0] == '-') {
		fputs("Usage: oom_policy_demo [CONF]\n\n"
		      "Uses up the memory of the machine twice to show whom the OOM killer takes, with\n"
		      "and without a policy. CONF declares the tenants (default: " CONF ").\n",
		      argc == 2 && !strcmp(conf, "--help") ? stdout : stderr);
		return argc == 2 && !strcmp(conf, "--help") ? 0 : 1;
	}
	if (access(conf, R_OK))
		fail("cannot read %s: %s", conf, strerror(errno));
	total_mb = read_number("/proc/meminfo", "MemTotal:") >> 10;
	if (total_mb > MAX_MACHINE_MB)
		fail("this would use up all of %ld MB of memory; use a machine with %d MB at most",
		     total_mb, MAX_MACHINE_MB);
	if (read_number("/proc/meminfo", "SwapTotal:"))
		fail("this machine has swap, which would hide the shortage: swapoff -a");
	err = cgroup_init();
	if (err)
		fail("libcgroup cannot start: %s", cgroup_strerror(err));
	atexit(clean_up);

	printf("A machine with %ld MB of memory and no swap.\n\n", total_mb);
	run("stock killer:", conf, false, stock, sizeof(stock));
	run("tenant_prio:", conf, true, policy, sizeof(policy));
	printf("%s\n%s\n", stock, policy);
	return 0;
}
