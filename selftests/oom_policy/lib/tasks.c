// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks that hold memory; tasks.h says what each function is for.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups.h"
#include "helpers.h"
#include "tasks.h"

static void *sleep_forever(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static int task_main(const void *arg, int ready_fd)
{
	const struct task *task = arg;
	const size_t size = task->megabytes * MEGABYTE;
	pthread_t thread;
	void *mem;

	if (set_oom_score_adj(getpid(), task->adj))
		return 1;
	if (!task->moved && cgroup_write(task->path, "cgroup.procs", "0"))
		return 1;
	if (size) {
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_POPULATE |
			   (task->shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
		if (mem == MAP_FAILED)
			return 1;
		memset(mem, 1, size);
	}
	if (task->threads && pthread_create(&thread, NULL, sleep_forever, NULL))
		return 1;
	if (write(ready_fd, "", 1) != 1)
		return 1;
	sleep_forever(NULL);
	return 0;
}

pid_t task_start(const struct task *task)
{
	const pid_t pid = child_start(task_main, task, task->path);
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	if (pid > 0 && task->moved && cgroup_write(task->path, "cgroup.procs", number)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	return pid;
}

pid_t task_start_in(const char *path, int megabytes, int adj)
{
	const struct task task = { .path = path, .megabytes = megabytes, .adj = adj };

	return task_start(&task);
}
