// SPDX-License-Identifier: GPL-2.0-only
/*
 * When to kill early, measured; early.h says what each function is for.
 *
 * A pressure has a trigger, so that nobody is awake on a machine that is well. Once it
 * fires, the kernel's count of time waited is read at the end of each window:
 *
 *	pressure full above 40% for 3s		waited in the window	holds since
 *
 *	the trigger fires, window 1 s		400 ms or more		1 s
 *	1 s later				600 ms			2 s
 *	1 s later				 90 ms			no more: sleep
 *
 * What is free is what the machine has left, or what the limit of the cgroup leaves,
 * whichever is the smaller share. Files that nobody has touched of late count as free,
 * as everywhere: MemAvailable, inactive_file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_path.h"
#include "early.h"

#define MACHINE_PSI	"/proc/pressure/memory"
#define NO_LIMIT	(~0ULL)

static int meminfo_fd = -1;

static bool is_pressure(const struct early_condition *c)
{
	return c->is.measure <= OOM_PRESSURE_FULL;
}

static const char *psi_name(const struct early_condition *c)
{
	return c->is.measure == OOM_PRESSURE_FULL ? "full" : "some";
}

/*
 * The number behind the line's beginning @key, and there behind @sub; NO_LIMIT for a
 * word, and for a file or a line that is not there.
 */
static __u64 number_in(int fd, const char *key, const char *sub)
{
	static char text[16384];
	const ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	const char *at = text;
	__u64 number;
	char *end;

	text[len < 0 ? 0 : len] = '\0';
	while (strncmp(at, key, strlen(key))) {
		at = strchr(at, '\n');
		if (!at)
			return NO_LIMIT;
		at++;
	}
	at = strstr(at + strlen(key), sub);
	if (!at)
		return NO_LIMIT;
	at += strlen(sub);
	number = strtoull(at, &end, 10);
	return end == at ? NO_LIMIT : number;
}

static __u64 smaller(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* Of what there is, in percent. Nothing is left of nothing. */
static double left_of(__u64 all, __u64 used)
{
	return all > used ? 100.0 * (all - used) / all : 0;
}

static double machine_left(const char *all, const char *left)
{
	const __u64 size = number_in(meminfo_fd, all, "");

	return left_of(size, size - smaller(size, number_in(meminfo_fd, left, "")));
}

static double free_share(const struct early *early)
{
	const double machine = machine_left("MemTotal:", "MemAvailable:");
	const __u64 limit = smaller(number_in(early->max_fd, "", ""),
				    number_in(early->high_fd, "", ""));
	__u64 used, idle;
	double here;

	if (limit == NO_LIMIT)
		return machine;
	used = number_in(early->current_fd, "", "");
	idle = number_in(early->stat_fd, "inactive_file ", "");
	here = left_of(limit, idle == NO_LIMIT ? used : used - smaller(used, idle));
	return here < machine ? here : machine;
}

static double swap_share(const struct early *early)
{
	const double machine = machine_left("SwapTotal:", "SwapFree:");
	const __u64 limit = number_in(early->swap_max_fd, "", "");
	double here;

	if (limit == NO_LIMIT)
		return machine;
	here = left_of(limit, number_in(early->swap_current_fd, "", ""));
	return here < machine ? here : machine;
}

static void hold(struct early_condition *c, bool holds, long long since_ms)
{
	if (holds && !c->holds)
		c->since_ms = since_ms;
	c->holds = holds;
}

static void read_pressure(struct early_condition *c, long long now_ms)
{
	c->total_us = number_in(c->fd, psi_name(c), "total=");
	c->looked_ms = now_ms;
}

/* Nothing has been measured yet in a window that has just begun. */
static void look_at_pressure(struct early_condition *c, long long now_ms)
{
	const long long begin_ms = c->looked_ms;
	const __u64 before = c->total_us;

	if (now_ms <= begin_ms)
		return;
	read_pressure(c, now_ms);
	c->value = c->total_us == NO_LIMIT ? 0 :
		   (c->total_us - before) / 10.0 / (now_ms - begin_ms);
	hold(c, c->value >= c->is.percent, begin_ms);
}

static void look_at(const struct early *early, struct early_condition *c, long long now_ms)
{
	if (is_pressure(c)) {
		look_at_pressure(c, now_ms);
		return;
	}
	c->value = c->is.measure == OOM_FREE ? free_share(early) : swap_share(early);
	hold(c, c->value < c->is.percent, now_ms);
}

unsigned int early_look(struct early *early, long long now_ms)
{
	struct early_condition *c;
	unsigned int state = 0;
	int n;

	early->awake = false;
	early->next_ms = now_ms + early->window_ms;
	for (n = 0; n < early->nr; n++) {
		c = &early->conditions[n];
		look_at(early, c, now_ms);
		if (!c->holds)
			continue;
		state |= EARLY_HOLDS(n);
		if (now_ms - c->since_ms >= c->is.for_ms)
			state |= EARLY_MET(n);
		early->awake |= is_pressure(c);
	}
	return state;
}

bool early_met(const struct early *early, unsigned int state)
{
	int n;

	for (n = 0; n < early->nr && state & EARLY_MET(n); n++)
		;
	return n == early->nr;
}

/* What others have waited meanwhile begins to count; who is awake already measures. */
void early_wake(struct early *early, struct early_condition *condition, long long now_ms)
{
	int n;

	for (n = 0; n < early->nr && !early->awake; n++)
		if (is_pressure(&early->conditions[n]))
			read_pressure(&early->conditions[n], now_ms);
	if (early->awake && early->next_ms != now_ms)
		return;
	hold(condition, true, now_ms - early->window_ms);
	condition->value = condition->is.percent;
	early->awake = true;
	early->next_ms = now_ms;
}

void early_reset(struct early *early)
{
	int n;

	for (n = 0; n < early->nr; n++)
		early->conditions[n].holds = false;
	early->awake = false;
}

static int open_file(const struct early *early, const char *name)
{
	char file[2 * PATH_MAX];

	snprintf(file, sizeof(file), CGROUP_ROOT "%s/%s", early->scope.path, name);
	return open(file, O_RDONLY | O_CLOEXEC);
}

static int set_trigger(const struct early *early, struct early_condition *c)
{
	const unsigned int window_us = 1000 * early->window_ms;
	char file[2 * PATH_MAX], text[64];
	int len;

	snprintf(file, sizeof(file), early->scope.level ? CGROUP_ROOT "%s/memory.pressure" :
		 MACHINE_PSI, early->scope.path);
	c->fd = open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (c->fd < 0)
		return fail("cannot open %s: %s%s", file, strerror(errno), errno == ENOENT ?
			    "; it takes CONFIG_PSI and, on some kernels, psi=1" : "");
	len = snprintf(text, sizeof(text), "%s %u %u", psi_name(c),
		       (unsigned int)(c->is.percent / 100 * window_us + 0.5), window_us);
	if (write(c->fd, text, len + 1) < 0)
		return fail("%s takes no trigger '%s': %s", file, text, strerror(errno));
	return 0;
}

/* Everything is read once: what the kernel keeps for a file it has from then on. */
int early_open(struct early *early)
{
	int n;

	if (meminfo_fd < 0)
		meminfo_fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	if (meminfo_fd < 0)
		return fail("cannot open /proc/meminfo: %s", strerror(errno));
	early->current_fd = open_file(early, "memory.current");
	early->max_fd = open_file(early, "memory.max");
	early->high_fd = open_file(early, "memory.high");
	early->stat_fd = open_file(early, "memory.stat");
	early->swap_current_fd = open_file(early, "memory.swap.current");
	early->swap_max_fd = open_file(early, "memory.swap.max");
	for (n = 0; n < early->nr; n++) {
		early->conditions[n].fd = -1;
		if (is_pressure(&early->conditions[n]) &&
		    set_trigger(early, &early->conditions[n]))
			return -1;
	}
	early_look(early, 1);
	early_reset(early);
	return 0;
}
