// SPDX-License-Identifier: GPL-2.0-only
/*
 * Acts of the stress test upon cgroups, the tasks in them, and memory: all of them
 * inside tenants. Moves from one tenant to another are announced to the judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups.h"
#include "chaos_acts.h"
#include "chaos_kit.h"
#include "helpers.h"

#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define NR_SPARE	4
#define FAR_MOVES	40	/* one of so many is to another tenant */

static const char * const tenants[] = { TENANTS };
static const char * const homes[] = { HOMES };

/* One of the first tasks there; 0 if there is none. */
static pid_t pick_task(const char *path)
{
	char full[128];
	pid_t pid, picked = 0;
	FILE *f;

	snprintf(full, sizeof(full), CGROUP_ROOT "/%s/cgroup.procs", path);
	f = fopen(full, "re");
	while (f && fscanf(f, "%d", &pid) == 1)
		if (!picked || !pick(2))
			picked = pid;
	if (f)
		fclose(f);
	return picked;
}

/* Cgroups that come, get a task or a child, and go. */
int act_cgroups(void)
{
	char path[64], full[128];
	int status = 0;
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%s/spare%d", PICK(tenants), pick(NR_SPARE));
	snprintf(full, sizeof(full), CGROUP_ROOT "/%s", path);
	if (mkdir(full, 0755) && errno != EEXIST)
		return -1;
	if (pick(2)) {
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (put(path, "cgroup.procs", "0") ||
			    put_adj(getpid(), pick(2) ? 0 : 1000))
				_exit(1);
			for (;;)
				pause();
		}
	} else if (!put(path, "cgroup.subtree_control", "+memory")) {
		strcat(full, "/child");
		mkdir(full, 0755);
	}
	await_kills(pick(2));
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	rmdir(full);
	snprintf(full, sizeof(full), CGROUP_ROOT "/%s", path);
	return rmdir(full);
}

/* Mostly within a tenant. The judge is told. */
int act_moves(void)
{
	struct stress__bss *bss = chaos.stress->bss;
	const int from = pick(ARRAY_SIZE(homes));
	const bool far = !pick(FAR_MOVES);
	const pid_t pid = pick_task(homes[from]);
	__u32 *epoch = far ? &bss->move_epoch : &bss->shift_epoch;
	char number[16];
	int err;

	if (!pid)
		return -1;
	snprintf(number, sizeof(number), "%d", pid);
	chaos_announce(epoch);
	err = put(far ? PICK(homes) : homes[from ^ 1], "cgroup.procs", number);
	chaos_announce(epoch);
	return err;
}

/* A fork bomb as large as its pids.max, for the time of one OOM. */
static void bomb(const char *path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (put(path, "cgroup.procs", "0") || put_adj(getpid(), 0))
		_exit(1);
	for (;;)
		if (fork() < 0)
			await_kills(1);
}

int act_bombs(void)
{
	char path[64];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/bomb", PICK(tenants));
	pid = fork();
	if (!pid)
		bomb(path);
	if (pid < 0)
		return -1;
	await_kills(1);
	/* In this order: the first one may not have been there yet, nor its children. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	put(path, "cgroup.kill", "1");
	return 0;
}

/* The children of a tenant lose their memcgs, and get others: policies sleep and wake. */
int act_toggles(void)
{
	const char *tenant = PICK(tenants);
	int err;

	err = put(tenant, "cgroup.subtree_control", "-memory");
	await_kills(pick(2));
	return put(tenant, "cgroup.subtree_control", "+memory") ?: err;
}

/* An OOM of the tenant's own. */
static int squeeze(const char *tenant)
{
	char path[128], number[32];
	long usage = 0;
	FILE *f;
	int err;

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/memory.current", tenant);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%ld", &usage) != 1)
			usage = 0;
		fclose(f);
	}
	snprintf(number, sizeof(number), "%ld", usage - MEGABYTE);
	err = usage > MEGABYTE ? put(tenant, "memory.max", number) : -1;
	return put(tenant, "memory.max", "max") ?: err;
}

int act_knobs(void)
{
	static const int adjs[] = { -1000, -500, 0, 0, 0, 1000 };
	pid_t pid;

	switch (pick(40)) {
	case 0:
		return squeeze(PICK(tenants));
	case 1 ... 9:
		return put(PICK(tenants), "memory.oom.group", pick(4) ? "0" : "1");
	case 10 ... 19:
		return put(PICK(homes), "memory.oom.group", pick(2) ? "0" : "1");
	default:
		pid = pick_task(PICK(homes));
		return pid ? put_adj(pid, PICK(adjs)) : -1;
	}
}

/* The 4 keeps it from telling the console each time. */
int act_caches(void)
{
	static bool quiet;

	await_kills(1);
	if (!quiet)
		quiet = !put_file(DROP_CACHES, "4");
	return put_file(DROP_CACHES, "3");
}
