// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_killer [locked] TENANT=PRIORITY...: a killer in user space, as a fair example
 * of its kind. It looks ten times a second at the machine's pressure and memory; when
 * tasks have waited 150 ms of the last second for memory, it looks at the tenants and
 * sends SIGKILL to all of the one with the lowest priority, among equals the largest.
 *
 * "locked" keeps its own pages in memory, as the careful ones do. It says when it is
 * ready, and ends when it is killed.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define TOO_LONG_US	150000	/* in a second */
#define READINGS	10
#define PAUSE_MS	1000

static void sleep_ms(int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* The number behind @key, wherever in the file it is. */
static unsigned long long read_number(const char *path, const char *key)
{
	unsigned long long value = 0;
	FILE *f = fopen(path, "re");
	char line[256], *found;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		found = strstr(line, key);
		if (found) {
			value = strtoull(found + strlen(key), NULL, 10);
			break;
		}
	}
	fclose(f);
	return value;
}

static unsigned long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static bool is_too_long(void)
{
	static struct reading {
		unsigned long long at, stalled;
	} readings[READINGS];
	static unsigned int n;
	struct reading now, before;

	now.at = now_us();
	now.stalled = read_number("/proc/pressure/memory", "total=");
	before = readings[n % READINGS];
	readings[n++ % READINGS] = now;
	/* What a careful monitor looks at besides. */
	read_number("/proc/meminfo", "MemAvailable:");
	read_number("/proc/meminfo", "SwapFree:");
	return n > READINGS && (now.stalled - before.stalled) * 1000000 >=
				TOO_LONG_US * (now.at - before.at);
}

static const char *choose(char **tenants, int n)
{
	long priority, lowest = 0, usage, largest = 0;
	static char chosen[64];
	char path[256], *sep;
	int i;

	chosen[0] = '\0';
	for (i = 0; i < n; i++) {
		sep = strchr(tenants[i], '=');
		if (!sep)
			continue;
		snprintf(path, sizeof(path), CGROUP_ROOT "/%.*s/memory.current",
			 (int)(sep - tenants[i]), tenants[i]);
		usage = read_number(path, "");
		priority = strtol(sep + 1, NULL, 10);
		if (!usage || (chosen[0] && (priority > lowest ||
					     (priority == lowest && usage <= largest))))
			continue;
		lowest = priority;
		largest = usage;
		snprintf(chosen, sizeof(chosen), "%.*s", (int)(sep - tenants[i]), tenants[i]);
	}
	return chosen;
}

static void kill_all(const char *tenant)
{
	char path[256];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/cgroup.procs", tenant);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fscanf(f, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(f);
}

int main(int argc, char **argv)
{
	const bool locked = argc > 1 && !strcmp(argv[1], "locked");

	if (locked && mlockall(MCL_CURRENT | MCL_FUTURE))
		return 1;
	puts("ready");
	fflush(stdout);
	for (;;) {
		sleep_ms(1000 / READINGS);
		if (!is_too_long())
			continue;
		kill_all(choose(argv + 1 + locked, argc - 1 - locked));
		sleep_ms(PAUSE_MS);
	}
}
