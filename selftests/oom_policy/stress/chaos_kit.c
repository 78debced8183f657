// SPDX-License-Identifier: GPL-2.0-only
/*
 * What acts of the stress test are made of; chaos_kit.h says what each function is
 * for.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/futex.h>

#include "cgroups.h"
#include "chaos_kit.h"

struct chaos chaos;

int pick(int n)
{
	return rand_r(&chaos.seed) % n;
}

bool stopped(void)
{
	return __atomic_load_n(&chaos.shared->stop, __ATOMIC_RELAXED);
}

__u64 chaos_kills(void)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < NR_KINDS; i++)
		sum += __atomic_load_n(&chaos.stress->bss->kills[i], __ATOMIC_RELAXED);
	return sum;
}

void chaos_pulse(void)
{
	__atomic_add_fetch(&chaos.shared->pulse, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &chaos.shared->pulse, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

__u32 chaos_feel(void)
{
	return __atomic_load_n(&chaos.shared->pulse, __ATOMIC_SEQ_CST);
}

void chaos_wait(__u32 pulse)
{
	const struct timespec patience = { .tv_sec = 1 };

	syscall(SYS_futex, &chaos.shared->pulse, FUTEX_WAIT, pulse, &patience, NULL, 0);
}

void chaos_announce(__u32 *epoch)
{
	__atomic_add_fetch(epoch, 1, __ATOMIC_SEQ_CST);
}

void await_kills(__u64 n)
{
	const __u64 until = chaos_kills() + n;

	await(chaos_kills() >= until);
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
