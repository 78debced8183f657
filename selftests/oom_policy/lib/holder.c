// SPDX-License-Identifier: GPL-2.0-only
/*
 * Victims that stay; holder.h says how.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "holder.h"

/* The thread of a task that a tracer has to stop, 0 if there is none. */
static pid_t thread_to_hold(const struct node *node, pid_t pid)
{
	struct dirent *entry;
	char path[32];
	pid_t tid = 0;
	DIR *dir;

	if (!node->threads)
		return pid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (atoi(entry->d_name) && atoi(entry->d_name) != pid)
			tid = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return tid;
}

static int seize_node(const struct node *node)
{
	int i;

	for (i = 0; i < node->nr_tasks; i++) {
		if (node->dead[i])
			continue;
		if (ptrace(PTRACE_SEIZE, thread_to_hold(node, node->pid[i]), 0,
			   PTRACE_O_TRACEEXIT)) {
			diag("cannot trace the task of %s: %m", node->path);
			return -1;
		}
	}
	return 0;
}

struct hold {
	const struct tree *tree;
	__u32 *stopped;
};

static int hold_main(const void *arg, int ready_fd)
{
	const struct hold *hold = arg;
	int n, status;

	for (n = 0; n < hold->tree->nr_nodes; n++)
		if (seize_node(&hold->tree->node[n]))
			return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || write(ready_fd, "", 1) != 1)
		return 1;

	while (waitpid(-1, &status, __WALL) > 0)
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			__atomic_add_fetch(hold->stopped, 1, __ATOMIC_RELAXED);
	return 0;
}

int hold_tasks(struct holder *holder, const struct tree *tree)
{
	struct hold hold = { .tree = tree };

	hold.stopped = mmap(NULL, sizeof(*hold.stopped), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (hold.stopped == MAP_FAILED)
		return -1;
	holder->stopped = hold.stopped;
	holder->pid = child_start(hold_main, &hold, "the tracer");
	return holder->pid < 0 ? -1 : 0;
}

/* A tracer's tasks are free when it is gone. */
void let_go(struct holder *holder)
{
	if (holder->pid <= 0)
		return;
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
	holder->pid = 0;
}
