// SPDX-License-Identifier: GPL-2.0-only
/*
 * module_turmoil -m MINUTES: the module comes and goes, again and again, while others
 * run out of memory, are killed and exit, and make and remove cgroups. In between it has
 * a policy in force each time, and a victim is the one that this has chosen.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest.h"
#include "attach.h"
#include "cgroups.h"
#include "helpers.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define MODULE	"/lib/modules/oom_policy.ko"
#define POLICY	"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define NR_LOUD	3

/* Shared with those who make the noise. */
static struct noise {
	long ooms;
	long deaths;
	long cgroups;
} *noise;

static int module_load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 || syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* Links and programs end a moment after their last file descriptor. */
static bool module_goes(void)
{
	return wait_until(!syscall(__NR_delete_module, "oom_policy", O_NONBLOCK));
}

/* A child in @home that touches so much, and then ends; its status. */
static int child_in(const char *home, int megabytes)
{
	const size_t size = megabytes * MEGABYTE;
	const pid_t pid = fork();
	int status = 0;
	void *mem;

	if (!pid) {
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE,
			   -1, 0);
		if (set_oom_score_adj(getpid(), 0) || cgroup_write(home, "cgroup.procs", "0") ||
		    mem == MAP_FAILED)
			_exit(1);
		memset(mem, 1, size);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

static int run_out(const void *unused, int ready_fd)
{
	if (write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		if (WIFSIGNALED(child_in("noise/small", 24)))
			__atomic_add_fetch(&noise->ooms, 1, __ATOMIC_RELAXED);
}

static int live_and_die(const void *unused, int ready_fd)
{
	if (write(ready_fd, "", 1) != 1)
		return 1;
	for (;;) {
		child_in("noise/large", 1);
		__atomic_add_fetch(&noise->deaths, 1, __ATOMIC_RELAXED);
	}
}

static int come_and_go(const void *unused, int ready_fd)
{
	if (write(ready_fd, "", 1) != 1)
		return 1;
	for (;;) {
		if (cgroup_make("noise/new"))
			return 1;
		child_in("noise/new", 1);
		cgroup_remove("noise/new");
		__atomic_add_fetch(&noise->cgroups, 1, __ATOMIC_RELAXED);
	}
}

static const struct {
	const char *name;
	int (*main)(const void *unused, int ready_fd);
} loud[NR_LOUD] = {
	{ "who runs out of memory", run_out },
	{ "who lives and dies", live_and_die },
	{ "who makes cgroups", come_and_go },
};

static pid_t loud_ones[NR_LOUD];

static int set_up(void)
{
	int i;

	noise = mmap(NULL, sizeof(*noise), PROT_READ | PROT_WRITE, MAP_SHARED |
		     MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (noise == MAP_FAILED || protect_ancestors() || cgroup_make("noise") ||
	    cgroup_enable_memory("noise") || cgroup_make("noise/small") ||
	    cgroup_make("noise/large") || cgroup_write("noise/small", "memory.max", "16M") ||
	    cgroup_make("T") || cgroup_enable_memory("T") || cgroup_make("T/low") ||
	    cgroup_make("T/high"))
		return -1;
	for (i = 0; i < NR_LOUD; i++) {
		loud_ones[i] = child_start(loud[i].main, NULL, loud[i].name);
		if (loud_ones[i] < 0)
			return -1;
	}
	return 0;
}

/* They go on until then. */
static bool hush(void)
{
	bool all = true;
	int i, status;

	for (i = 0; i < NR_LOUD; i++) {
		kill(loud_ones[i], SIGKILL);
		if (waitpid(loud_ones[i], &status, 0) != loud_ones[i] ||
		    !WIFSIGNALED(status)) {
			ksft_print_msg("%s: ended before\n", loud[i].name);
			all = false;
		}
	}
	return all;
}

/* The smaller one, in a shortage of those that the policy is asked about. */
static int shortage(void)
{
	const pid_t low = task_start_in("T/low", 4, 0), high = task_start_in("T/high", 12, 0);
	struct memcg_shortage memcg_shortage;
	int err = -1;

	if (low > 0 && high > 0 && !memcg_shortage_begin(&memcg_shortage, "T", NULL)) {
		err = wait_until(has_ended(low) || has_ended(high)) && !has_ended(high) ? 0 : -1;
		memcg_shortage_end(&memcg_shortage);
	}
	kill(low, SIGKILL);
	kill(high, SIGKILL);
	waitpid(low, NULL, 0);
	waitpid(high, NULL, 0);
	return err;
}

static int with_policy(void)
{
	struct bpf_object *obj = bpf_object__open_file(POLICY, NULL);
	struct bpf_link *link = NULL;
	int err = -1;

	if (obj && !bpf_object__load(obj))
		link = attach_with(bpf_object__next_program(obj, NULL), "",
				   .flags = BPF_F_OOM_POLICY_MEMCG,
				   .budget_us = NO_BUDGET_US, .grace_ms = 200 * (rand() % 2));
	if (link && !cgroup_set_priority("T/high", 1))
		err = shortage();
	bpf_link__destroy(link);
	bpf_object__close(obj);
	return err;
}

int main(int argc, char **argv)
{
	const long minutes = argc == 3 && !strcmp(argv[1], "-m") ? atol(argv[2]) : 0;
	long rounds = 0, wrong = 0;
	bool there = false, all;
	time_t end;
	int err = 0;

	if (minutes <= 0) {
		ksft_print_msg("usage: module_turmoil -m MINUTES\n");
		return KSFT_FAIL;
	}
	ksft_print_header();
	ksft_set_plan(3);
	if (set_up())
		ksft_exit_fail_msg("the turmoil does not begin\n");

	for (end = now_s() + 60 * minutes; now_s() < end; rounds++) {
		err = module_load();
		there = !err;
		if (err)
			break;
		if (rounds % 2 && with_policy())
			wrong++;
		there = !module_goes();
		if (there)
			break;
	}
	all = hush();
	ksft_print_msg("%ld rounds, %ld OOMs, %ld deaths and %ld cgroups meanwhile\n", rounds,
		       noise->ooms, noise->deaths, noise->cgroups);
	if (err)
		ksft_print_msg("loading: %d\n", err);
	ksft_test_result(rounds > 1 && !err && !there, "turmoil.module_comes_and_goes\n");
	ksft_test_result(rounds > 1 && !wrong, "turmoil.victims_are_the_chosen_ones\n");
	ksft_test_result(all && noise->ooms && noise->deaths && noise->cgroups,
			 "turmoil.everybody_took_part\n");
	ksft_finished();
}
