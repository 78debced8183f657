// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "monitor": what OOM policies do, as it happens. One line per event, put together
 * from the records of skeleton/oom_monitor.bpf.c, whose programs go when we go, by
 * whatever signal.
 *
 * The records of one OOM come from one task, one after the other, because the OOM
 * killer runs under a lock: a fallback, a selection, whom it spares, the marking of
 * each victim, the end. Whoever has to wait tries again and again: that is one line,
 * complete when something else happens or nothing has happened for a while.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/bits.h>

#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_watch.h"
#include "skeleton/oom_monitor.h"

#ifdef BPFTOOL_WITHOUT_SKELETONS

int oom_do_monitor(int argc, char **argv)
{
	oom_err("this bpftool was built without the BPF skeletons that monitor needs: build it with clang");
	return -1;
}

#else /* BPFTOOL_WITHOUT_SKELETONS */

#include "oom_monitor.skel.h"

/* Longer than from one try of who has to wait to the next. */
#define QUIET_MS	200

struct event {
	bool open;
	int task;		/* whose allocation it was */
	__u64 time_ns;
	__u64 scope_id;
	__u64 ns;
	unsigned int reasons;	/* of fallbacks, a bit for each */
	unsigned int repeated;	/* the same again and again: a victim takes its time */
	__u64 victim_id;
	int pid;
	unsigned int compared;
	char comm[OOM_COMM_LEN];
	unsigned int killed;
	unsigned int spared;
	__u64 rss_kb;
};

struct monitor {
	struct oom_monitor_bpf *skel;
	struct oom_watch watch;
	struct event event;
	__u32 seen;		/* complete events */
	__u32 wanted;
	__u64 lost;		/* records, as far as told */
	__u64 lost_ends;
};

#define WAITS	(BIT(OOM_REASON_IN_FLIGHT) | BIT(OOM_REASON_GRACE))

/* "budget, abstain" */
static void name_reasons(unsigned int bits, char *text, size_t size)
{
	size_t len = 0;
	__u32 i;

	text[0] = '\0';
	for (i = 0; i < OOM_NR_REASONS && len < size; i++)
		if (bits & BIT(i))
			len += snprintf(text + len, size - len, "%s%s", len ? ", " : "",
					oom_reason(i));
}

/* One JSON value per line: a reader gets each event as it happens. */
static void print_json(const struct event *event, const char *when)
{
	char *scope = oom_cgroup_path(event->scope_id);
	char *victim = oom_cgroup_path(event->victim_id);
	json_writer_t *wtr = jsonw_new(stdout);
	char why[128];

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
	if (event->victim_id) {
		jsonw_uint_field(wtr, "compared", event->compared);
		jsonw_uint_field(wtr, "spared", event->spared);
	}
	jsonw_lluint_field(wtr, "duration_ns", event->ns);
	name_reasons(event->reasons, why, sizeof(why));
	if (event->reasons)
		jsonw_string_field(wtr, "fallback", why);
	jsonw_uint_field(wtr, "repeated", event->repeated);
	jsonw_end_object(wtr);
	jsonw_destroy(&wtr);
out:
	free(scope);
	free(victim);
}

static void print_plain(struct event *event, const char *when)
{
	char *scope = oom_cgroup_name(event->scope_id);
	char *victim = oom_cgroup_name(event->victim_id);
	char why[128];

	oom_mask_name(event->comm);
	oom_printf("%s  scope %s", when, scope ?: "?");
	if (event->victim_id)
		oom_printf("  victim %s", victim ?: "?");
	if (event->pid)
		oom_printf("  task %s/%d", event->comm[0] ? event->comm : "?", event->pid);
	if (event->killed > 1)
		oom_printf(" and %u more", event->killed - 1);
	if (event->killed)
		oom_printf("  rss %llu kB", event->rss_kb);
	if (event->spared)
		oom_printf("  spared %u", event->spared);
	if (event->victim_id)
		oom_printf("  compared %u", event->compared);
	oom_printf("  took %llu us", event->ns / 1000);
	name_reasons(event->reasons, why, sizeof(why));
	if (event->reasons)
		oom_printf("  fallback: %s", why);
	if (event->repeated > 1)
		oom_printf(" (%u times)", event->repeated);
	putchar('\n');
	free(scope);
	free(victim);
}

static void close_event(struct monitor *m)
{
	struct event *event = &m->event;
	char when[64];

	if (!event->open)
		return;
	oom_event_time(CLOCK_MONOTONIC, event->time_ns, when, sizeof(when));
	if (json_output)
		print_json(event, when);
	else
		print_plain(event, when);
	fflush(stdout);
	event->open = false;
	m->seen++;
}

/* A new one, which ends the one before. */
static void open_event(struct monitor *m, const struct oom_record *record)
{
	close_event(m);
	m->event = (struct event) {
		.open = true,
		.task = record->task,
		.time_ns = record->time_ns,
		.scope_id = record->scope_id,
		.ns = record->took_ns,
		.repeated = 1,
	};
}

/* Whoever allocates tries again until the victim is gone: one line for all of it. */
static bool waits(const struct event *event)
{
	return event->reasons & WAITS;
}

/* Between this record and the first one of the event there is no end. */
static bool is_part(const struct event *event, const struct oom_record *record)
{
	return event->open && event->task == record->task && !waits(event);
}

static void on_fallback(struct monitor *m, const struct oom_record *record)
{
	const __u32 bit = BIT(record->reason < OOM_NR_REASONS ? record->reason :
			      OOM_REASON_OTHER);
	struct event *event = &m->event;

	if (event->open && event->reasons & WAITS & bit &&
	    event->scope_id == record->scope_id) {
		event->repeated++;
		return;
	}
	if (bit & WAITS || !is_part(event, record))
		open_event(m, record);
	event->reasons |= bit;
}

static void on_select(struct monitor *m, const struct oom_record *record)
{
	struct event *event = &m->event;

	if (!is_part(event, record))
		open_event(m, record);
	event->victim_id = record->victim_id;
	event->pid = record->pid;
	event->compared = record->compared;
}

/* The first one marked is the victim, the others go with it. */
static void on_mark(struct monitor *m, const struct oom_record *record)
{
	struct event *event = &m->event;

	if (!is_part(event, record))
		return;
	if (!event->killed++) {
		if (!event->pid)
			event->pid = record->pid;
		memcpy(event->comm, record->comm, sizeof(event->comm));
	}
	event->rss_kb += record->rss * (get_page_size() / 1024);
}

static void on_spare(struct monitor *m, const struct oom_record *record)
{
	if (is_part(&m->event, record))
		m->event.spared += record->spared;
}

static void on_done(struct monitor *m, const struct oom_record *record)
{
	if (is_part(&m->event, record))
		close_event(m);
}

static int on_record(void *ctx, void *data, size_t size)
{
	const struct oom_record *record = data;
	struct monitor *m = ctx;

	if (record->kind == OOM_RECORD_FALLBACK)
		on_fallback(m, record);
	else if (record->kind == OOM_RECORD_SELECT)
		on_select(m, record);
	else if (record->kind == OOM_RECORD_SPARE)
		on_spare(m, record);
	else if (record->kind == OOM_RECORD_MARK)
		on_mark(m, record);
	else
		on_done(m, record);
	return 0;
}

static void tell_lost(struct monitor *m)
{
	__u64 lost = READ_ONCE(m->skel->bss->lost);
	__u64 lost_ends = READ_ONCE(m->skel->bss->lost_ends);

	if (lost == m->lost && lost_ends == m->lost_ends)
		return;
	close_event(m);
	m->lost_ends = lost_ends;
	if (lost != m->lost)
		oom_tell_lost(lost - m->lost, "records");
	m->lost = lost;
}

static int watch(struct monitor *m)
{
	struct oom_watch *watch = &m->watch;
	int ready;

	while (!watch->over && !ferror(stdout) && m->seen < m->wanted) {
		ready = oom_watch_wait(watch, m->event.open && waits(&m->event) ? QUIET_MS : -1);
		if (ready < 0)
			return -1;
		if (!ready)
			close_event(m);
		while (m->seen < m->wanted && ring_buffer__consume_n(watch->records, 1) > 0)
			;
		tell_lost(m);
	}
	if (m->seen < m->wanted)
		close_event(m);
	return 0;
}

int oom_do_monitor(int argc, char **argv)
{
	struct monitor m = {};
	int err;

	if (oom_parse_count(argc, argv, &m.wanted) || oom_watch_begin(&m.watch))
		return -1;
	m.skel = oom_monitor_bpf__open();
	err = oom_watch_start(&m.watch, m.skel ? m.skel->skeleton : NULL,
			      m.skel ? m.skel->maps.records : NULL, on_record, &m, "monitor");
	if (!err) {
		p_info("watching OOM policies");
		err = watch(&m);
	}
	oom_watch_end(&m.watch);
	oom_monitor_bpf__destroy(m.skel);
	return err;
}

#endif /* BPFTOOL_WITHOUT_SKELETONS */
