// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tenant that is short of memory; squeezed.h says what each function is for.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>

#include "shell.h"
#include "squeezed.h"

int squeezed_begin(struct squeezed *squeezed, const char *tree, __u32 grace_ms)
{
	if (protect_self() || tree_make(&squeezed->tree, tree))
		return -1;
	squeezed->policy = policy_load(&squeezed->tree);
	if (!squeezed->policy)
		return -1;
	squeezed->policy->bss->victims_wanted = UINT32_MAX;
	squeezed->link = attach_with(squeezed->policy->progs.compare, "",
				     .flags = BPF_F_OOM_POLICY_MEMCG,
				     .budget_us = NO_BUDGET_US, .grace_ms = grace_ms);
	return squeezed->link ? 0 : -1;
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void squeezed_end(struct squeezed *squeezed)
{
	end(squeezed->killer);
	end(squeezed->hog);
	unlink(KILLER_OUTPUT);
	bpf_link__destroy(squeezed->link);
	policy__destroy(squeezed->policy);
	tree_remove(&squeezed->tree);
	if (squeezed->swap)
		shell("swapoff " SWAP_DEVICE " && echo 1 >/sys/block/zram0/reset");
}

int squeezed_limit(const char *file, long more)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", cgroup_read_long("P", "memory.current", NULL) + more);
	return cgroup_write("P", file, text);
}

int squeezed_start_hog(struct squeezed *squeezed)
{
	char pid[16];

	squeezed->hog = hog_start(&squeezed->policy->bss->sated);
	if (squeezed->hog <= 0)
		return -1;
	snprintf(pid, sizeof(pid), "%d", squeezed->hog);
	return cgroup_write("P/hog", "cgroup.procs", pid);
}

int squeezed_end_hog(struct squeezed *squeezed)
{
	const pid_t hog = squeezed->hog;

	squeezed->policy->bss->sated = 1;
	squeezed->hog = 0;
	cgroup_write("P", "memory.high", "max");
	cgroup_write("P", "memory.max", "max");
	return wait_exit(hog);
}

int squeezed_add_swap(struct squeezed *squeezed)
{
	if (shell("echo 256M >/sys/block/zram0/disksize && mkswap " SWAP_DEVICE) ||
	    swapon(SWAP_DEVICE, 0))
		return -1;
	squeezed->swap = true;
	return 0;
}

int squeezed_start_killer(struct squeezed *squeezed, const char *command)
{
	squeezed->killer = shell_start(command, KILLER_OUTPUT);
	return squeezed->killer > 0 ? 0 : -1;
}

int squeezed_end_killer(struct squeezed *squeezed)
{
	const pid_t killer = squeezed->killer;

	squeezed->killer = 0;
	return kill(killer, SIGTERM) ?: wait_exit(killer);
}
