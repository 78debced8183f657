// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Waiting for events of OOM policies, and telling when they were and why somebody else
 * had to decide.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_watch.h"
#include "skeleton/oom_monitor.h"

#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL

static const char * const reasons[] = {
	[OOM_REASON_OTHER]		= "other",
	[OOM_REASON_NONE_ELIGIBLE]	= "none eligible",
	[OOM_REASON_BUDGET]		= "budget",
	[OOM_REASON_ABSTAIN]		= "abstain",
	[OOM_REASON_DISABLED]		= "disabled",
	[OOM_REASON_IN_FLIGHT]		= "in flight",
	[OOM_REASON_GRACE]		= "grace",
	[OOM_REASON_FUTILE]		= "futile",
};

/**
 * oom_reason() - why the stock killer had to decide, in words
 * @reason: OOM_REASON_*; any other is OOM_REASON_OTHER
 *
 * Return: the words, never NULL.
 */
const char *oom_reason(__u32 reason)
{
	return reasons[reason < ARRAY_SIZE(reasons) ? reason : OOM_REASON_OTHER];
}

/**
 * oom_clock_ns() - what a clock says
 * @clock: CLOCK_*
 */
__s64 oom_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/**
 * oom_event_time() - when it was, in local time with its offset
 * @clock: whose stamp there is
 * @ns: the stamp
 * @text: becomes that
 * @size: room for it
 */
void oom_event_time(clockid_t clock, __u64 ns, char *text, size_t size)
{
	const __s64 real = oom_clock_ns(CLOCK_REALTIME) - oom_clock_ns(clock) + ns;
	const time_t s = real / NSEC_PER_SEC;
	char zone[8], day[32];
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(day, sizeof(day), "%FT%T", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(text, size, "%s.%03d%s", day, (int)(real % NSEC_PER_SEC / NSEC_PER_MSEC), zone);
}

/**
 * oom_tell_lost() - there was no room: who reads the lines has to know of the gap
 * @nr: how many are missing
 * @what: of what
 */
void oom_tell_lost(__u64 nr, const char *what)
{
	json_writer_t *wtr;
	char when[64];

	oom_event_time(CLOCK_MONOTONIC, oom_clock_ns(CLOCK_MONOTONIC), when, sizeof(when));
	if (!json_output) {
		printf("%s  lost %llu %s: they came faster than they were read\n", when, nr,
		       what);
	} else {
		wtr = jsonw_new(stdout);
		if (!wtr)
			return;
		jsonw_start_object(wtr);
		jsonw_string_field(wtr, "time", when);
		jsonw_lluint_field(wtr, "lost", nr);
		jsonw_end_object(wtr);
		jsonw_destroy(&wtr);
	}
	fflush(stdout);
}

/**
 * oom_parse_count() - [count NUMBER] at the end of a command line
 * @argc: words that are left
 * @argv: those words
 * @count: becomes the number, UINT_MAX if there is none
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_count(int argc, char **argv, __u32 *count)
{
	*count = argc ? 0 : UINT_MAX;
	if (!argc)
		return 0;
	if (strcmp(*argv, "count")) {
		oom_err("what is '%s'? the one option here is count", *argv);
		return -1;
	}
	if (argc == 1) {
		oom_err("'count' wants a number of events");
		return -1;
	}
	if (argc > 2)
		return oom_bad_arg(argv[2]);
	if (oom_parse_u32(&argc, &argv, count, "number of events"))
		return -1;
	if (*count)
		return 0;
	oom_err("a number of events is 1 or more");
	return -1;
}

/**
 * oom_watch_begin() - from here on a signal does not end us at once
 * @watch: oom_watch_end() ends it
 *
 * So what has been seen is told before we go.
 *
 * Return: 0, or -1 with the reason told and nothing to end.
 */
int oom_watch_begin(struct oom_watch *watch)
{
	sigset_t set;

	*watch = (struct oom_watch) {};
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (watch->signals >= 0)
		return 0;
	oom_err("cannot wait for signals: %s", strerror(errno));
	return -1;
}

/**
 * oom_watch_start() - load and attach the programs that watch
 * @watch: begun
 * @skel: opened; NULL if that has failed, with errno
 * @records: their ring buffer, if @skel is one
 * @on_record: as of ring_buffer__new()
 * @arg: likewise
 * @who: the command
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_watch_start(struct oom_watch *watch, struct bpf_object_skeleton *skel,
		    const struct bpf_map *records, ring_buffer_sample_fn on_record, void *arg,
		    const char *who)
{
	int err = skel ? 0 : -errno;
	libbpf_print_fn_t print;
	char what[64];

	print = oom_quiet_libbpf();
	set_max_rlimit();
	if (!err)
		err = bpf_object__load_skeleton(skel);
	if (!err)
		err = bpf_object__attach_skeleton(skel);
	libbpf_set_print(print);
	if (err) {
		snprintf(what, sizeof(what), "the programs of %s", who);
		oom_explain_load(what, -err, NULL);
		return -1;
	}
	watch->records = ring_buffer__new(bpf_map__fd(records), on_record, arg, NULL);
	if (watch->records)
		return 0;
	oom_err("cannot read the records of events: %s", strerror(errno));
	return -1;
}

/**
 * oom_watch_wait() - until there is a record, or a signal, which is the end
 * @watch: begun
 * @timeout_ms: at most that long; -1: as long as it takes
 *
 * Return: 0 if it was time; above 0 if there is something; -1 with the reason told.
 */
int oom_watch_wait(struct oom_watch *watch, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = watch->signals, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int ready;

	if (watch->records)
		fds[1].fd = ring_buffer__epoll_fd(watch->records);
	ready = poll(fds, ARRAY_SIZE(fds), timeout_ms);
	if (ready < 0)
		oom_err("cannot wait for events: %s", strerror(errno));
	watch->over = fds[0].revents;
	return ready;
}

/**
 * oom_watch_end() - the counterpart of oom_watch_begin()
 * @watch: begun
 *
 * Whoever was reading has seen enough: that is an end like any other.
 */
void oom_watch_end(struct oom_watch *watch)
{
	struct signalfd_siginfo info;

	ring_buffer__free(watch->records);
	fflush(stdout);
	while (read(watch->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGPIPE) {
			__fpurge(stdout);
			clearerr(stdout);
		}
	}
	close(watch->signals);
}
