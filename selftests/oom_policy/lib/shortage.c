// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running out of memory; shortage.h says what each function is for.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups.h"
#include "helpers.h"
#include "shortage.h"

#define HOG_CHUNK	(4 * MEGABYTE)
#define RESERVE		(16 * MEGABYTE)
#define CUT		(4 * MEGABYTE)	/* what is missing when a limit is lowered */
#define ROOM		(8 * MEGABYTE)	/* what a limit leaves to a hog */

int raise_oom_sysrq(void)
{
	return write_file("/proc/sysrq-trigger", "f");
}

/* Page after page; until *@sated is non-zero, if it is not NULL. */
static int take(const __u32 *sated)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *mem;
	long i;

	for (;;) {
		mem = mmap(NULL, HOG_CHUNK, PROT_READ | PROT_WRITE,
			   MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED)
			return 1;
		for (i = 0; i < HOG_CHUNK; i += page) {
			if (sated && __atomic_load_n(sated, __ATOMIC_RELAXED))
				return 0;
			mem[i] = 1;
		}
	}
}

/*
 * The smallest victim has to be enough: its pages must not hide in a CPU's own list,
 * nor may the kernel want more in reserve for each page block that it breaks.
 */
static int keep_reserves_small(void)
{
	return write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000") ?:
	       write_file("/proc/sys/vm/watermark_boost_factor", "0");
}

pid_t hog_start(const __u32 *sated)
{
	pid_t pid;

	if (keep_reserves_small())
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(take(sated));
	}
	return pid;
}

int shortage_begin(struct shortage *shortage, const __u32 *sated)
{
	shortage->reserve = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
	/* A hog that has it as well would keep it when it is given back. */
	if (shortage->reserve == MAP_FAILED ||
	    madvise(shortage->reserve, RESERVE, MADV_DONTFORK) || mlockall(MCL_CURRENT)) {
		diag("no reserve of memory: %m");
		return -1;
	}
	shortage->hog = hog_start(sated);
	return shortage->hog < 0 ? -1 : 0;
}

/* Unmapping could ask for memory, and there is none. */
int shortage_end(struct shortage *shortage)
{
	int err;

	if (!shortage->reserve)
		return 0;
	if (madvise(shortage->reserve, RESERVE, MADV_DONTNEED_LOCKED))
		diag("giving the reserve back: %m");
	err = wait_exit(shortage->hog);
	munmap(shortage->reserve, RESERVE);
	munlockall();
	shortage->reserve = NULL;
	return err;
}

static int set_limit(const char *path, long limit)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", limit);
	return cgroup_write(path, "memory.max", text);
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
		if (!hog)
			_exit(-set_limit(path, usage - CUT));
		_exit(cgroup_write(hog, "cgroup.procs", "0") ? 1 : take(NULL));
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
