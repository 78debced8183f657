// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be loaded before the C library: each look at the clock is a second later than the one
 * before, so that what happens once a second can be seen without waiting for it.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	static time_t looks;
	const int ret = syscall(__NR_clock_gettime, clock, ts);

	ts->tv_sec += looks++;
	return ret;
}
