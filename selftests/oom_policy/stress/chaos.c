// SPDX-License-Identifier: GPL-2.0-only
/*
 * The actors of the stress test and their pace; chaos.h says what for. Each is a
 * process of its own, out of the OOM killer's reach. After a burst of acts it
 * waits for the next OOM kill, so that the turmoil keeps pace with the events.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>

#include "chaos_acts.h"
#include "helpers.h"

#define BURST		8
#define SLOW_ROUNDS	1024

struct chaos *chaos;
static unsigned int seed;

int pick(int n)
{
	return rand_r(&seed) % n;
}

bool stopped(void)
{
	return __atomic_load_n(&chaos->shared->stop, __ATOMIC_RELAXED);
}

__u64 chaos_kills(const struct stress *stress)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < NR_KINDS; i++)
		sum += __atomic_load_n(&stress->bss->kills[i], __ATOMIC_RELAXED);
	return sum;
}

void chaos_pulse(struct chaos_shared *shared)
{
	__atomic_add_fetch(&shared->pulse, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shared->pulse, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

__u32 chaos_feel(const struct chaos_shared *shared)
{
	return __atomic_load_n(&shared->pulse, __ATOMIC_SEQ_CST);
}

void chaos_wait(struct chaos_shared *shared, __u32 pulse)
{
	const struct timespec patience = { .tv_sec = 1 };

	syscall(SYS_futex, &shared->pulse, FUTEX_WAIT, pulse, &patience, NULL, 0);
}

#define await(cond) do {						\
	__u32 __pulse;							\
									\
	for (;;) {							\
		__pulse = chaos_feel(chaos->shared);			\
		if (stopped() || (cond))				\
			break;						\
		chaos_wait(chaos->shared, __pulse);			\
	}								\
} while (0)

void chaos_announce(__u32 *epoch)
{
	__atomic_add_fetch(epoch, 1, __ATOMIC_SEQ_CST);
}

void await_kills(__u64 n)
{
	const __u64 until = chaos_kills(chaos->stress) + n;

	await(chaos_kills(chaos->stress) >= until);
}

int put_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd >= 0) {
		len = write(fd, text, strlen(text));
		close(fd);
	}
	return len < 0 ? -1 : 0;
}

int put(const char *cgroup, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", cgroup, file);
	return put_file(path, text);
}

int put_adj(pid_t pid, int adj)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%d", adj);
	return put_file(path, text);
}

int open_place(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s", cgroup);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Forks, uses memory, writes and reads: whoever can do that is answering. */
static int answer(void)
{
	char byte = 1;
	int fds[2];
	pid_t pid;
	void *mem;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		mem = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
			   MAP_PRIVATE | MAP_POPULATE, -1, 0);
		_exit(mem == MAP_FAILED || write(fds[1], &byte, 1) != 1);
	}
	close(fds[1]);
	if (pid < 0 || read(fds[0], &byte, 1) != 1)
		byte = 0;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return byte ? 0 : -1;
}

static int act_watchdog(void)
{
	struct chaos_shared *shared = chaos->shared;
	__u64 asked;

	await((asked = __atomic_load_n(&shared->asked, __ATOMIC_RELAXED)) !=
	      shared->answered);
	if (stopped() || answer())
		return -1;
	__atomic_store_n(&shared->answered, asked, __ATOMIC_RELAXED);
	chaos_pulse(shared);
	return 0;
}

#define FAILS	1	/* now and then its allocations do */
#define UNPACED	2	/* waits for kills itself */

static const struct {
	const char *name;
	int (*act)(void);
	int flags;
} actors[NR_ACTORS] = {
	{ "root policy", act_root, UNPACED },
	{ "policies", act_policies, FAILS },
	{ "policies too", act_policies, FAILS },
	{ "cgroups", act_cgroups, FAILS },
	{ "moves", act_moves, FAILS },
	{ "bombs", act_bombs, UNPACED },
	{ "knobs", act_knobs, 0 },
	{ "caches", act_caches, UNPACED },
	{ "rehearsals", act_rehearsals, FAILS },
	{ "watchdog", act_watchdog, UNPACED },
};

static void play(int n)
{
	__u64 *done = &chaos->shared->done[n];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed = chaos->seed + n;
	if (chaos->inject && actors[n].flags & FAILS &&
	    put_file("/proc/self/make-it-fail", "1"))
		_exit(1);
	while (!stopped()) {
		if (actors[n].act())
			__atomic_add_fetch(&chaos->shared->refused[n], 1, __ATOMIC_RELAXED);
		if (!(__atomic_add_fetch(done, 1, __ATOMIC_RELAXED) % BURST) &&
		    !(actors[n].flags & UNPACED))
			await_kills(1);
	}
	_exit(0);
}

int chaos_start(struct chaos *new)
{
	__u32 *epoch = &new->stress->bss->policy_epoch;
	int i;

	chaos = new;
	chaos->hostile->bss->burn_rounds = SLOW_ROUNDS;
	*epoch = 1;
	for (i = 0; i < NR_ACTORS; i++) {
		chaos->pid[i] = fork();
		if (chaos->pid[i] < 0)
			return -1;
		if (chaos->pid[i])
			continue;
		if (actors[i].act == act_root)
			install_root();
		play(i);
	}
	return wait_until(!(__atomic_load_n(epoch, __ATOMIC_SEQ_CST) & 1)) ? 0 : -1;
}

int chaos_stop(void)
{
	const struct chaos_shared *shared = chaos->shared;
	int i, status, err = 0;

	__atomic_store_n(&chaos->shared->stop, 1, __ATOMIC_RELAXED);
	chaos_pulse(chaos->shared);
	for (i = 0; i < NR_ACTORS; i++) {
		if (!wait_until(waitpid(chaos->pid[i], &status, WNOHANG) == chaos->pid[i])) {
			ksft_print_msg("%s: does not end\n", actors[i].name);
			err = -1;
		} else if (status) {
			ksft_print_msg("%s: ended with %#x\n", actors[i].name, status);
			err = -1;
		}
		ksft_print_msg("%s: %llu acts, %llu of them refused\n", actors[i].name,
			       shared->done[i], shared->refused[i]);
	}
	return err;
}
