// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "log": what the recorder has kept: who died, when, where and why, by the names that
 * cgroups had then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_record.h"
#include "oom_watch.h"

/* A decision is told when its victims are gone, or have had that long. */
#define SETTLE_NS	2000000000ULL
#define POLL_MS		500

/**
 * oom_decision_time() - when it was, in local time with its offset
 * @d: the decision
 * @text: becomes that
 * @size: room for it
 */
void oom_decision_time(const struct oom_decision *d, char *text, size_t size)
{
	oom_event_time(CLOCK_BOOTTIME, d->time_ns, text, size);
}

/**
 * oom_decision_path() - the path of the victim's memcg, as it was called then
 * @d: the decision
 * @depth: how many names of it, from the root
 *
 * Return: for free(), NULL without memory. What was too much to be kept is "...".
 */
char *oom_decision_path(const struct oom_decision *d, __u32 depth)
{
	const size_t size = (OOM_RECORDED_DEPTH + 1) * (OOM_RECORDED_NAME + 5) + 2;
	char *path = malloc(size);
	size_t len = 0;
	__u32 i, from;

	if (!path)
		return NULL;
	snprintf(path, size, "/");
	for (i = 0; i < depth && i < d->depth; i++) {
		from = d->depth - 1 - i;	/* below which so many names are */
		if (from >= OOM_RECORDED_DEPTH) {
			len = snprintf(path, size, "/...");
			continue;
		}
		len += snprintf(path + len, size - len, "/%.*s%s", OOM_RECORDED_NAME,
				d->path[from],
				strnlen(d->path[from], OOM_RECORDED_NAME) ==
				OOM_RECORDED_NAME - 1 ? "..." : "");
	}
	return path;
}

/**
 * oom_decision_came_back() - what a kill was good for
 * @d: the decision
 *
 * Return: bytes that the memcg of the victim has got rid of, 0 if it grew instead.
 */
__u64 oom_decision_came_back(const struct oom_decision *d)
{
	return d->exited && d->usage_before > d->usage_after ? d->usage_before - d->usage_after : 0;
}

/**
 * oom_decision_reason() - why the stock killer had to decide
 * @d: the decision
 *
 * Return: NULL if it had not.
 */
const char *oom_decision_reason(const struct oom_decision *d)
{
	if (!d->fallback)
		return NULL;
	return oom_reason(d->reason);
}

static void level_plain(const struct oom_recorded_level *level)
{
	char prog[MAX_PROG_FULL_NAME];

	oom_printf("    level %u: %.*s (%llu kB)", level->level, OOM_RECORDED_NAME, level->winner,
		   level->winner_usage / 1024);
	if (level->runner_id)
		oom_printf(" rather than %.*s (%llu kB)", OOM_RECORDED_NAME, level->runner,
			   level->runner_usage / 1024);
	oom_prog_name(level->prog_id, prog, sizeof(prog));
	oom_printf(", %u eligible, %u compared by %s (prog id %u)\n", level->eligible,
		   level->compared, prog, level->prog_id);
}

static __u32 levels_of(const struct oom_decision *d)
{
	return d->nr_levels < OOM_RECORDED_LEVELS ? d->nr_levels : OOM_RECORDED_LEVELS;
}

/* Where an inode's number has 32 bits, the root's id has a generation above its 1. */
static bool is_whole_machine(const struct oom_decision *d)
{
	return (__u32)d->scope_id == 1;
}

static void decision_plain(const struct oom_decision *d)
{
	char *path = oom_decision_path(d, d->depth), *scope = NULL;
	char when[64], comm[OOM_COMM_LEN + 1];
	__u32 i;

	if (d->killed || is_whole_machine(d))
		scope = oom_decision_path(d, d->scope_depth);
	else
		scope = oom_cgroup_name(d->scope_id);
	oom_decision_time(d, when, sizeof(when));
	oom_printf("%s  #%llu  scope %s", when, d->seq, scope ?: "?");
	if (d->killed) {
		snprintf(comm, sizeof(comm), "%.*s", OOM_COMM_LEN, d->comm);
		oom_mask_name(comm);
		oom_printf("  victim %s  task %s/%d", path ?: "?", comm, d->pid);
		if (d->killed > 1)
			oom_printf(" and %u more", d->killed - 1);
		oom_printf("  held %llu kB", d->held / 1024);
		if (d->exited)
			oom_printf("  came back %llu kB", oom_decision_came_back(d) / 1024);
		if (d->exited < d->killed)
			oom_printf("  %u still there", d->killed - d->exited);
	} else {
		oom_printf("  nobody killed");
	}
	oom_printf("  compared %u  took %llu us", d->compared, d->took_ns / 1000);
	if (d->fallback)
		oom_printf("  fallback: %s", oom_decision_reason(d));
	if (d->repeated > 1)
		oom_printf(" (%u times)", d->repeated);
	oom_printf("\n");
	for (i = 0; i < levels_of(d); i++)
		level_plain(&d->levels[i]);
	if (d->nr_levels > OOM_RECORDED_LEVELS)
		oom_printf("    and %u levels more\n", d->nr_levels - OOM_RECORDED_LEVELS);
	free(path);
	free(scope);
}

static void name_json(json_writer_t *wtr, const char *key, const char *name)
{
	char text[OOM_RECORDED_NAME + 1];

	snprintf(text, sizeof(text), "%.*s", OOM_RECORDED_NAME, name);
	jsonw_string_field(wtr, key, text);
}

static void level_json(json_writer_t *wtr, const struct oom_recorded_level *level)
{
	char prog[MAX_PROG_FULL_NAME];

	oom_prog_name(level->prog_id, prog, sizeof(prog));
	jsonw_start_object(wtr);
	jsonw_uint_field(wtr, "level", level->level);
	name_json(wtr, "winner", level->winner);
	jsonw_lluint_field(wtr, "winner_id", level->winner_id);
	jsonw_lluint_field(wtr, "winner_usage", level->winner_usage);
	if (level->runner_id)
		name_json(wtr, "runner", level->runner);
	else
		jsonw_null_field(wtr, "runner");
	jsonw_lluint_field(wtr, "runner_id", level->runner_id);
	jsonw_lluint_field(wtr, "runner_usage", level->runner_usage);
	jsonw_uint_field(wtr, "eligible", level->eligible);
	jsonw_uint_field(wtr, "compared", level->compared);
	jsonw_string_field(wtr, "prog_name", prog);
	jsonw_uint_field(wtr, "prog_id", level->prog_id);
	jsonw_end_object(wtr);
}

static void decision_json(json_writer_t *wtr, const struct oom_decision *d)
{
	char *path = d->killed ? oom_decision_path(d, d->depth) : NULL;
	char *scope = d->killed || is_whole_machine(d) ? oom_decision_path(d, d->scope_depth) :
		      oom_cgroup_path(d->scope_id);
	char when[64];
	__u32 i;

	oom_decision_time(d, when, sizeof(when));
	jsonw_start_object(wtr);
	jsonw_lluint_field(wtr, "seq", d->seq);
	jsonw_string_field(wtr, "time", when);
	oom_json_cgroup(wtr, "scope", d->scope_id, scope);
	oom_json_cgroup(wtr, "victim", d->victim_id, path);
	if (d->killed) {
		jsonw_int_field(wtr, "pid", d->pid);
		name_json(wtr, "comm", d->comm);
	}
	jsonw_uint_field(wtr, "killed", d->killed);
	jsonw_uint_field(wtr, "exited", d->exited);
	jsonw_lluint_field(wtr, "held", d->held);
	if (d->exited)
		jsonw_lluint_field(wtr, "came_back", oom_decision_came_back(d));
	else
		jsonw_null_field(wtr, "came_back");
	jsonw_uint_field(wtr, "compared", d->compared);
	jsonw_lluint_field(wtr, "duration_ns", d->took_ns);
	if (d->fallback)
		jsonw_string_field(wtr, "fallback", oom_decision_reason(d));
	else
		jsonw_null_field(wtr, "fallback");
	jsonw_uint_field(wtr, "repeated", d->repeated);
	jsonw_name(wtr, "levels");
	jsonw_start_array(wtr);
	for (i = 0; i < levels_of(d); i++)
		level_json(wtr, &d->levels[i]);
	jsonw_end_array(wtr);
	jsonw_end_object(wtr);
	free(path);
	free(scope);
}

enum log_mode { LOG_ALL, LOG_FOLLOW, LOG_JOURNAL };

static int tell_decision(const struct oom_decision *d, enum log_mode mode)
{
	json_writer_t *wtr;

	if (mode == LOG_JOURNAL)
		return oom_journal_send(d);
	if (!json_output) {
		decision_plain(d);
	} else if (mode == LOG_ALL) {
		decision_json(json_wtr, d);
	} else {
		/* One value per line: a reader gets each as it happens. */
		wtr = jsonw_new(stdout);
		if (!wtr)
			return -1;
		decision_json(wtr, d);
		jsonw_destroy(&wtr);
	}
	return 0;
}

static bool is_settled(const struct oom_decision *d)
{
	return (d->killed && d->exited >= d->killed) ||
	       oom_clock_ns(CLOCK_BOOTTIME) - d->told_ns > SETTLE_NS;
}

/* From after @done on; returns the last one told, or -1. */
static __s64 tell_decisions(const struct oom_recorder *recorder, __u64 done, enum log_mode mode)
{
	struct oom_record_state state;
	struct oom_decision d;
	__u64 seq;

	if (oom_recorder_state(recorder, &state))
		return -1;
	seq = state.seq > OOM_RECORDED ? state.seq - OOM_RECORDED : 0;
	for (seq = seq > done ? seq : done; seq < state.seq; seq++) {
		if (!oom_recorder_read(recorder, seq + 1, &d))
			continue;
		/* They come in order, and the next ones wait for this one. */
		if (mode != LOG_ALL && !is_settled(&d))
			break;
		if (tell_decision(&d, mode))
			return -1;
		if (mode == LOG_JOURNAL)
			oom_recorder_exported(recorder, seq + 1);
	}
	return seq;
}

static int follow(const struct oom_recorder *recorder, __u64 done, enum log_mode mode)
{
	struct oom_watch watch;
	__s64 seq = done;

	if (oom_watch_begin(&watch))
		return -1;
	while (!watch.over && !ferror(stdout)) {
		seq = tell_decisions(recorder, seq, mode);
		if (seq < 0)
			break;
		fflush(stdout);
		if (oom_watch_wait(&watch, POLL_MS) < 0) {
			seq = -1;
			break;
		}
	}
	oom_watch_end(&watch);
	return seq < 0 ? -1 : 0;
}

static int log_all(const struct oom_recorder *recorder)
{
	int err;

	if (json_output)
		jsonw_start_array(json_wtr);
	err = tell_decisions(recorder, 0, LOG_ALL) < 0 ? -1 : 0;
	if (json_output)
		jsonw_end_array(json_wtr);
	return err;
}

int oom_do_log(int argc, char **argv)
{
	/* main() has taken "-f" for its own. */
	enum log_mode mode = show_pinned ? LOG_FOLLOW : LOG_ALL;
	struct oom_record_state state;
	struct oom_recorder recorder;
	int err;

	if (argc && !strcmp(*argv, "follow"))
		mode = LOG_FOLLOW;
	else if (argc && !strcmp(*argv, "journal"))
		mode = LOG_JOURNAL;
	else if (argc)
		return oom_bad_arg(*argv);
	if (argc > 1)
		return oom_bad_arg(argv[1]);

	if (oom_recorder_open(&recorder, false))
		return -1;
	err = oom_recorder_state(&recorder, &state);
	if (!err && mode == LOG_ALL)
		err = log_all(&recorder);
	else if (!err)
		err = follow(&recorder, mode == LOG_JOURNAL ? state.exported : 0, mode);
	oom_recorder_close(&recorder);
	return err;
}
