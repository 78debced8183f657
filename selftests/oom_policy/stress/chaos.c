// SPDX-License-Identifier: GPL-2.0-only
/*
 * The actors of the stress test and their pace; chaos.h says what for. Each is a
 * process of its own, out of the OOM killer's reach. After a burst of acts it
 * waits for the next OOM kill, so that the turmoil keeps pace with the events.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"
#include "chaos_acts.h"
#include "helpers.h"

#define BURST		8
#define SLOW_ROUNDS	1024

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
	struct chaos_shared *shared = chaos.shared;
	__u64 asked;

	await((asked = __atomic_load_n(&shared->asked, __ATOMIC_RELAXED)) !=
	      shared->answered);
	if (stopped() || answer())
		return -1;
	__atomic_store_n(&shared->answered, asked, __ATOMIC_RELAXED);
	chaos_pulse();
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
	{ "toggles", act_toggles, 0 },
	{ "knobs", act_knobs, 0 },
	{ "caches", act_caches, UNPACED },
	{ "rehearsals", act_rehearsals, FAILS },
	{ "watchdog", act_watchdog, UNPACED },
};

static void play(int n)
{
	__u64 *done = &chaos.shared->done[n];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	chaos.seed += n;
	if (chaos.inject && actors[n].flags & FAILS &&
	    put_file("/proc/self/make-it-fail", "1"))
		_exit(1);
	while (!stopped()) {
		if (actors[n].act())
			__atomic_add_fetch(&chaos.shared->refused[n], 1, __ATOMIC_RELAXED);
		if (!(__atomic_add_fetch(done, 1, __ATOMIC_RELAXED) % BURST) &&
		    !(actors[n].flags & UNPACED))
			await_kills(1);
	}
	_exit(0);
}

int chaos_start(void)
{
	__u32 *epoch = &chaos.stress->bss->policy_epoch;
	int i;

	chaos.hostile->bss->burn_rounds = SLOW_ROUNDS;
	*epoch = 1;
	for (i = 0; i < NR_ACTORS; i++) {
		chaos.pid[i] = fork();
		if (chaos.pid[i] < 0)
			return -1;
		if (chaos.pid[i])
			continue;
		if (actors[i].act == act_root)
			install_root();
		play(i);
	}
	return wait_until(!(__atomic_load_n(epoch, __ATOMIC_SEQ_CST) & 1)) ? 0 : -1;
}

int chaos_stop(void)
{
	const struct chaos_shared *shared = chaos.shared;
	int i, status, err = 0;

	__atomic_store_n(&chaos.shared->stop, 1, __ATOMIC_RELAXED);
	chaos_pulse();
	for (i = 0; i < NR_ACTORS; i++) {
		if (!wait_until(waitpid(chaos.pid[i], &status, WNOHANG) == chaos.pid[i])) {
			ksft_print_msg("%s: does not end\n", actors[i].name);
			err = -1;
		} else if (status) {
			ksft_print_msg("%s: ended with %#x\n", actors[i].name, status);
			err = -1;
		}
		ksft_print_msg("%s: %llu acts, %llu of them refused\n", actors[i].name,
			       shared->done[i], shared->refused[i]);
	}
	unpin_slots();
	return err;
}
