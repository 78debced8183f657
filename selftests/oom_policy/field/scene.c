// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the scenarios of this folder share; scene.h says what each function is for.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cgroups.h"
#include "helpers.h"
#include "scene.h"

void scene_adopt(struct tree *tree, const char *path, pid_t pid)
{
	struct node *node = tree_find(tree, path);

	node->pid[node->nr_tasks++] = pid;
}

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int eat(const char *path, size_t size)
{
	void *mem;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (protect_self() || cgroup_write(path, "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	memset(mem, 1, size);
	return 0;
}

int scene_feed(const char *path, const char *hog, int megabytes, long *ms)
{
	const long usage = cgroup_read_long(path, "memory.current", NULL);
	const long begin = now_ms();
	char limit[32];
	pid_t pid;
	int err;

	snprintf(limit, sizeof(limit), "%ld", usage + MEGABYTE);
	if (usage < 0 || cgroup_write(path, "memory.max", limit))
		return -1;
	pid = fork();
	if (!pid)
		_exit(eat(hog, megabytes * MEGABYTE));
	if (pid < 0)
		return -1;
	/* Who is killed meanwhile may be many. */
	wait_while_moving(has_ended(pid), cgroup_read_long(path, "memory.events", "oom_kill"));
	err = wait_exit(pid);
	*ms = now_ms() - begin;
	return err;
}
