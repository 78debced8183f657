// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What OOM policies do, as it happens: one line per event, put together from the
 * tracepoints of oom_policy and from oom:mark_victim, in a trace instance of our
 * own that goes away with us.
 *
 * The events of one OOM come from one task, one after the other, because the OOM
 * killer runs under a lock: a fallback, a selection, the marking of each victim.
 * Nothing says which marking is the last, so a line is complete when something
 * else happens or nothing has happened for a while.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

/* Longer than the report of a kill takes between two markings. */
#define QUIET_MS	200

/* Per CPU; an event has some hundred bytes. */
#define BUFFER_KB	"64"

struct event {
	bool open;
	int task;		/* whose allocation it was */
	double time;		/* CLOCK_MONOTONIC */
	unsigned long long scope_id;
	unsigned long long ns;
	char reason[32];	/* of a fallback, else empty */
	unsigned int repeated;	/* the same again and again: a victim takes its time */
	unsigned long long victim_id;
	int pid;
	unsigned int compared;
	char comm[32];
	unsigned int killed;
	unsigned long long rss_kb;
};

static char instance[PATH_MAX];

static int find_tracefs(char *dir, size_t size)
{
	struct mntent *mnt;
	FILE *mounts;

	dir[0] = '\0';
	mounts = setmntent("/proc/self/mounts", "r");
	while (mounts && !dir[0] && (mnt = getmntent(mounts)))
		if (!strcmp(mnt->mnt_type, "tracefs"))
			snprintf(dir, size, "%s", mnt->mnt_dir);
	if (mounts)
		endmntent(mounts);
	if (dir[0])
		return 0;
	p_err("tracefs is not mounted: mount -t tracefs none /sys/kernel/tracing");
	return -1;
}

static int write_instance(const char *file, const char *text)
{
	char path[PATH_MAX + 64];
	int fd, err = -1;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
			err = 0;
		close(fd);
	}
	return err;
}

static int switch_on(const char *event)
{
	char file[64];

	snprintf(file, sizeof(file), "events/%s/enable", event);
	if (!write_instance(file, "1"))
		return 0;
	p_err("cannot watch the event %s: %s", event,
	      errno == ENOENT ? "this kernel does not have it" : strerror(errno));
	return -1;
}

static int open_pipe(void)
{
	char path[PATH_MAX + 64];
	int fd;

	if (write_instance("trace_clock", "mono") ||
	    write_instance("buffer_size_kb", BUFFER_KB) ||
	    write_instance("buffer_percent", "0")) {
		p_err("cannot set up %s: %s", instance, strerror(errno));
		return -1;
	}
	snprintf(path, sizeof(path), "%s/trace_pipe", instance);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		p_err("cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	if (switch_on("oom_policy/oom_policy_select") ||
	    switch_on("oom_policy/oom_policy_fallback") ||
	    switch_on("oom/mark_victim")) {
		close(fd);
		return -1;
	}
	return fd;
}

static int make_instance(void)
{
	char dir[PATH_MAX - 64];

	if (find_tracefs(dir, sizeof(dir)))
		return -1;
	snprintf(instance, sizeof(instance), "%s/instances/bpftool_oom_%d", dir, getpid());
	if (!mkdir(instance, 0700))
		return 0;
	p_err("cannot make a trace instance: %s%s", strerror(errno),
	      errno == EACCES || errno == EPERM ? " (it takes root)" : "");
	return -1;
}

/* Local time with its offset, from a stamp of the monotonic clock. */
static void format_time(double mono, char *text, size_t size)
{
	struct timespec real, now;
	char zone[8], day[32];
	struct tm tm;
	double t;
	time_t s;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &now);
	t = real.tv_sec - now.tv_sec + (real.tv_nsec - now.tv_nsec) / 1e9 + mono;
	s = t;
	localtime_r(&s, &tm);
	strftime(day, sizeof(day), "%FT%T", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(text, size, "%s.%03d%s", day, (int)((t - s) * 1000), zone);
}

/* One JSON value per line: a reader gets each event as it happens. */
static void print_json(const struct event *event, const char *when)
{
	char *scope = oom_cgroup_path(event->scope_id);
	char *victim = oom_cgroup_path(event->victim_id);
	json_writer_t *wtr = jsonw_new(stdout);

	if (!wtr)
		goto out;
	jsonw_start_object(wtr);
	jsonw_string_field(wtr, "time", when);
	oom_json_cgroup(wtr, "scope", event->scope_id, scope);
	if (event->pid) {
		oom_json_cgroup(wtr, "victim", event->victim_id, victim);
		jsonw_int_field(wtr, "pid", event->pid);
		jsonw_string_field(wtr, "comm", event->comm);
		jsonw_uint_field(wtr, "killed", event->killed);
		jsonw_lluint_field(wtr, "rss_kb", event->rss_kb);
	}
	if (event->victim_id)
		jsonw_uint_field(wtr, "compared", event->compared);
	jsonw_lluint_field(wtr, "duration_ns", event->ns);
	if (event->reason[0])
		jsonw_string_field(wtr, "fallback", event->reason);
	jsonw_uint_field(wtr, "repeated", event->repeated);
	jsonw_end_object(wtr);
	jsonw_destroy(&wtr);
out:
	free(scope);
	free(victim);
}

static void print_plain(const struct event *event, const char *when)
{
	char *scope = oom_cgroup_name(event->scope_id);
	char *victim = oom_cgroup_name(event->victim_id);

	oom_printf("%s  scope %s", when, scope ?: "?");
	if (event->victim_id)
		oom_printf("  victim %s", victim ?: "?");
	if (event->pid)
		oom_printf("  task %s/%d", event->comm[0] ? event->comm : "?", event->pid);
	if (event->killed > 1)
		oom_printf(" and %u more", event->killed - 1);
	if (event->killed)
		oom_printf("  rss %llu kB", event->rss_kb);
	if (event->victim_id)
		oom_printf("  compared %u", event->compared);
	oom_printf("  took %llu us", event->ns / 1000);
	if (event->reason[0])
		oom_printf("  fallback: %s", event->reason);
	if (event->repeated > 1)
		oom_printf(" (%u times)", event->repeated);
	putchar('\n');
	free(scope);
	free(victim);
}

/* True if there was one to print. */
static bool close_event(struct event *event)
{
	char when[64];

	if (!event->open)
		return false;
	format_time(event->time, when, sizeof(when));
	if (json_output)
		print_json(event, when);
	else
		print_plain(event, when);
	fflush(stdout);
	event->open = false;
	return true;
}

static unsigned long long field(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* A new one, which ends the one before. */
static bool open_event(struct event *event, int task, double time, const char *args)
{
	bool printed = close_event(event);

	*event = (struct event) {
		.open = true,
		.task = task,
		.time = time,
		.scope_id = field(args, "scope_id="),
		.ns = field(args, " ns="),
		.repeated = 1,
	};
	return printed;
}

/* Whoever allocates tries again until the victim is gone: one line for all of it. */
static bool waits(const char *reason)
{
	return !strcmp(reason, "in flight") || !strcmp(reason, "grace");
}

static bool on_fallback(struct event *event, int task, double time, const char *args)
{
	const char *reason = strstr(args, " reason="), *end = strstr(args, " ns=");
	char text[sizeof(event->reason)] = "";
	bool printed;

	if (reason && end > reason)
		snprintf(text, sizeof(text), "%.*s", (int)(end - reason) - 8, reason + 8);
	if (event->open && !event->pid && waits(text) && !strcmp(event->reason, text) &&
	    event->scope_id == field(args, "scope_id=")) {
		event->repeated++;
		return false;
	}
	printed = open_event(event, task, time, args);
	snprintf(event->reason, sizeof(event->reason), "%s", text);
	return printed;
}

/* An abstention and where it has led to is one event. */
static bool on_select(struct event *event, int task, double time, const char *args)
{
	bool printed = false;

	if (!event->open || event->task != task || strcmp(event->reason, "abstain") ||
	    event->victim_id)
		printed = open_event(event, task, time, args);
	event->victim_id = field(args, "victim_id=");
	event->pid = field(args, " pid=");
	event->compared = field(args, " compared=");
	return printed;
}

/* The first one marked is the victim, the others go with it. */
static void on_mark(struct event *event, int task, const char *args)
{
	const char *comm = strstr(args, "comm="), *end = strstr(args, " total-vm=");

	if (!event->open || event->task != task || waits(event->reason))
		return;
	if (!event->killed++) {
		if (!event->pid)
			event->pid = field(args, "pid=");
		if (comm && end > comm)
			snprintf(event->comm, sizeof(event->comm), "%.*s",
				 (int)(end - comm) - 5, comm + 5);
	}
	event->rss_kb += field(args, " anon-rss=") + field(args, " file-rss:") +
			 field(args, " shmem-rss:");
}

/* "  COMM-TASK  [CPU] FLAGS  TIME: NAME: ARGS"; COMM can hold anything. */
static bool on_line(struct event *event, const char *line)
{
	static const char * const names[] = {
		": oom_policy_fallback: ", ": oom_policy_select: ", ": mark_victim: ",
	};
	const char *at = NULL, *cpu, *c;
	double time;
	size_t n;
	int task;

	for (n = 0; n < ARRAY_SIZE(names) && !at; n++)
		at = strstr(line, names[n]);
	if (!at)
		return false;
	n--;
	for (c = at; c > line && c[-1] != ' '; c--)
		;
	time = strtod(c, NULL);
	for (cpu = c; cpu > line && *cpu != '['; cpu--)
		;
	for (c = cpu; c > line && *c != '-'; c--)
		;
	task = atoi(c + 1);

	at += strlen(names[n]);
	if (n == 0)
		return on_fallback(event, task, time, at);
	if (n == 1)
		return on_select(event, task, time, at);
	on_mark(event, task, at);
	return false;
}

/* Reads what there is until @limit events are complete; returns how many are. */
static __u32 drain(int fd, struct event *event, __u32 limit)
{
	static char buf[8192];
	static size_t len;
	char *line, *end;
	__u32 nr = 0;
	ssize_t n;

	while (nr < limit && (n = read(fd, buf + len, sizeof(buf) - len - 1)) > 0) {
		len += n;
		buf[len] = '\0';
		for (line = buf; nr < limit && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			nr += on_line(event, line);
		}
		len -= line - buf;
		memmove(buf, line, len);
		if (len == sizeof(buf) - 1)
			len = 0;
	}
	return nr;
}

static int watch(int fd, int signals, __u32 count)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct event event = {};
	__u32 seen = 0;
	int ready;

	while (!fds[1].revents && !ferror(stdout) && seen < count) {
		ready = poll(fds, ARRAY_SIZE(fds), event.open ? QUIET_MS : -1);
		if (ready < 0) {
			p_err("cannot wait for events: %s", strerror(errno));
			return -1;
		}
		if (fds[0].revents)
			seen += drain(fd, &event, count - seen);
		else if (!ready)
			seen += close_event(&event);
	}
	if (seen < count)
		close_event(&event);
	return 0;
}

static int parse_count(int argc, char **argv, __u32 *count)
{
	if (!argc)
		return 0;
	if (strcmp(*argv, "count")) {
		p_err("what is '%s'? the one option here is count", *argv);
		return -1;
	}
	if (argc == 1) {
		p_err("'count' wants a number of events");
		return -1;
	}
	if (argc > 2) {
		p_err("what is '%s'?", argv[2]);
		return -1;
	}
	if (oom_parse_u32(&argc, &argv, count, "number of events"))
		return -1;
	if (!*count) {
		p_err("a number of events is 1 or more");
		return -1;
	}
	return 0;
}

int oom_do_monitor(int argc, char **argv)
{
	int fd, signals, err = -1;
	__u32 count = 0;
	sigset_t set;

	if (parse_count(argc, argv, &count))
		return -1;

	/* The instance has to be removed whatever ends us. */
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0) {
		p_err("cannot wait for signals: %s", strerror(errno));
		return -1;
	}

	if (!make_instance()) {
		fd = open_pipe();
		if (fd >= 0) {
			p_info("watching OOM policies");
			err = watch(fd, signals, count ?: UINT_MAX);
			close(fd);
		}
		if (rmdir(instance)) {
			p_err("cannot remove %s: %s", instance, strerror(errno));
			err = -1;
		}
	}
	close(signals);
	return err;
}
