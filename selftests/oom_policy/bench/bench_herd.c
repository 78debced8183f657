// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_herd SHAPE: keeps thousands of tasks in the leaves of a tree. It is static
 * and small, because what it has is what every fork copies. All tasks are alike; the
 * leaves are not, for the first task of each has a file in memory.
 *
 * It reads requests and answers each with a line:
 *	+		one more task in every leaf		"ok"
 *	?		waits for a task to die, and puts
 *			another in its place			the leaf's number
 * The end of its input is its end, and that of its tasks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_shape.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define MAX_PAGES	31

static struct shape shape;
static pid_t *pids;	/* task by task, a leaf after the other */
static int nr_leaves, nr_pids;

static void die(const char *what)
{
	fprintf(stderr, "# bench_herd: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Tasks have what their parent has when it forks. */
static void set_oom_score_adj(const char *adj)
{
	const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, adj, strlen(adj)) < 0)
		die("oom_score_adj");
	close(fd);
}

static void hold_file(int leaf)
{
	const long size = (1 + leaf * 7 % MAX_PAGES) * sysconf(_SC_PAGESIZE);
	const int fd = memfd_create("bench", 0);

	if (fd < 0 || posix_fallocate(fd, 0, size))
		die("memfd_create");
}

/* The nth task of all, where every leaf gets one in turn. */
static pid_t task_start(int root, int n)
{
	const int leaf = n % nr_leaves;
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	char path[64];
	pid_t pid;
	int fd;

	shape_path(&shape, shape.depth, leaf, path, sizeof(path));
	fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	args.cgroup = fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		if (n == leaf)
			hold_file(leaf);
		for (;;)
			pause();
	}
	if (pid < 0)
		die("clone3");
	close(fd);
	return pid;
}

static void add(int root)
{
	const int more = nr_pids + nr_leaves;

	pids = realloc(pids, more * sizeof(*pids));
	if (!pids)
		die("realloc");
	set_oom_score_adj("0");
	for (; nr_pids < more; nr_pids++)
		pids[nr_pids] = task_start(root, nr_pids);
	set_oom_score_adj("-1000");
}

static int replace(int root)
{
	const pid_t dead = waitpid(-1, NULL, 0);
	int i;

	for (i = 0; i < nr_pids && pids[i] != dead; i++)
		;
	if (i == nr_pids)
		die("waitpid");
	set_oom_score_adj("0");
	pids[i] = task_start(root, i);
	set_oom_score_adj("-1000");
	return i % nr_leaves;
}

int main(int argc, char **argv)
{
	const int root = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char request;
	int i;

	if (argc != 2 || shape_parse(&shape, argv[1]))
		return 1;
	if (root < 0)
		die(CGROUP_ROOT);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	nr_leaves = shape_count(&shape, shape.depth);
	set_oom_score_adj("-1000");

	while (read(STDIN_FILENO, &request, 1) == 1) {
		if (request == '+') {
			add(root);
			dprintf(STDOUT_FILENO, "ok\n");
		} else if (request == '?') {
			dprintf(STDOUT_FILENO, "%d\n", replace(root));
		}
	}
	for (i = 0; i < nr_pids; i++)
		kill(pids[i], SIGKILL);
	return 0;
}
