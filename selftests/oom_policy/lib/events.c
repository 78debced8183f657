// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies with options, and memcg OOMs; events.h says what each function is for.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "events.h"
#include "helpers.h"

#define CUT	(4 * MEGABYTE)	/* what is missing when a limit is lowered */
#define ROOM	(8 * MEGABYTE)	/* what a limit leaves to a hog */

struct bpf_link *attach_with(const struct bpf_program *prog, const char *path,
			     __u32 flags, __u32 budget_us)
{
	LIBBPF_OPTS(bpf_oom_policy_opts, opts, .flags = flags, .budget_us = budget_us);
	const int fd = cgroup_open(path);
	struct bpf_link *link;

	if (fd < 0)
		return NULL;
	link = bpf_program__attach_oom_policy(prog, fd, &opts);
	if (!link)
		diag("attaching to /%s: %m", path);
	close(fd);
	return link;
}

static int set_limit(const char *path, long limit)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", limit);
	return cgroup_write(path, "memory.max", text);
}

static int take_all(const char *path)
{
	char *mem;
	long i;

	if (cgroup_write(path, "cgroup.procs", "0"))
		return 1;
	for (;;) {
		mem = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
			   MAP_PRIVATE | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED)
			return 1;
		for (i = 0; i < ROOM; i += 4096)
			mem[i] = 1;
	}
}

static void leave(int sig)
{
	_exit(sig);
}

int memcg_shortage_begin(struct memcg_shortage *shortage, const char *path,
			 const char *hog)
{
	const long usage = cgroup_read_long(path, "memory.current", NULL);

	if (usage < 0 || (hog && set_limit(path, usage + ROOM)))
		return -1;
	shortage->path = path;
	shortage->hog = hog;
	shortage->pid = fork();
	if (!shortage->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, leave);
		_exit(hog ? take_all(hog) : -set_limit(path, usage - CUT));
	}
	return shortage->pid < 0 ? -1 : 0;
}

/*
 * Only SIGKILL ends a hog. The write heeds any signal, and must not be killed: a
 * dying task that runs into the OOM killer becomes a victim without being chosen.
 */
int memcg_shortage_end(struct memcg_shortage *shortage)
{
	if (shortage->pid <= 0)
		return 0;
	do {
		kill(shortage->pid, shortage->hog ? SIGKILL : SIGUSR1);
		sched_yield();
	} while (!waitpid(shortage->pid, NULL, WNOHANG));
	shortage->pid = 0;
	return cgroup_write(shortage->path, "memory.max", "max");
}

int set_oom_score_adj(pid_t pid, int adj)
{
	char path[64];
	int fd, len;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : dprintf(fd, "%d", adj);
	if (len < 0)
		diag("writing %d to %s: %m", adj, path);
	if (fd >= 0)
		close(fd);
	return len < 0 ? -1 : 0;
}

static int task_main(const char *path, int megabytes, int adj, int ready_fd)
{
	void *mem;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_write(path, "cgroup.procs", "0") || set_oom_score_adj(getpid(), adj))
		return 1;
	mem = mmap(NULL, (megabytes ?: 1) * MEGABYTE, PROT_READ | PROT_WRITE,
		   MAP_ANONYMOUS | MAP_PRIVATE | (megabytes ? MAP_POPULATE : 0), -1, 0);
	if (mem == MAP_FAILED || write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

pid_t task_start_in(const char *path, int megabytes, int adj)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		_exit(task_main(path, megabytes, adj, fds[1]));
	close(fds[1]);
	if (pid > 0 && read(fds[0], &byte, 1) != 1) {
		diag("the task of /%s does not get ready", path);
		pid = -1;
	}
	close(fds[0]);
	return pid;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[128];
	pid_t parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	if (f)
		fclose(f);
	return parent;
}

int protect_ancestors(void)
{
	pid_t pid;

	for (pid = getpid(); pid > 1; pid = parent_of(pid))
		if (set_oom_score_adj(pid, -1000))
			return -1;
	return 0;
}
