// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "shadow": a candidate policy beside those that decide, on real events.
 *
 * What the programs of an event are given is recorded (skeleton/oom_shadow.bpf.c), and
 * the candidate plays the same tournaments afterwards, by BPF_F_TEST_OOM_CTX: with the
 * values of the moment, in the same order, but in our time. An event pays for the copies,
 * and never runs the candidate. Where the candidate would have gone another way, what is
 * below was not compared, so that the first difference is all that can be told. Pointers
 * are not recorded: a candidate that follows them, by kfuncs or to cgroup storage, finds
 * the root there.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_watch.h"
#include "skeleton/oom_shadow.h"

#ifdef BPFTOOL_WITHOUT_SKELETONS

int oom_do_shadow(int argc, char **argv)
{
	oom_err("this bpftool was built without the BPF skeletons that shadow needs: build it with clang");
	return -1;
}

#else /* BPFTOOL_WITHOUT_SKELETONS */

#include "oom_shadow.skel.h"

/* A comparison; the kernel's context may be longer than ours. */
struct comparison {
	union {
		struct bpf_oom_ctx ctx;
		char room[OOM_SHADOW_CTX];
	};
	__u32 size;
};

/* One pass over siblings, as it was. */
struct pass {
	__u32 level;
	struct comparison *compared;
	int nr;
	__u64 best;		/* id or pid, by the verdicts of the one that decides */
	bool abstained;
};

struct shadow {
	struct oom_shadow_bpf *skel;
	struct oom_watch watch;
	struct oom_judge judge;
	bool tasks;		/* it compares processes */
	struct pass *passes;
	int nr_passes;
	__u32 wanted;
	__u32 seen;
	__u32 agreed;
	__u64 lost;
	bool failed;
};

static __u64 first_of(const struct bpf_oom_ctx *ctx)
{
	return ctx->pid_1 ?: ctx->cgroup_id_1;
}

static __u64 second_of(const struct bpf_oom_ctx *ctx)
{
	return ctx->pid_2 ?: ctx->cgroup_id_2;
}

static void forget_passes(struct shadow *s, int from)
{
	while (s->nr_passes > from)
		free(s->passes[--s->nr_passes].compared);
}

/* The kernel's own rule for equals. */
static bool tie_goes_first(const struct bpf_oom_ctx *ctx)
{
	if (ctx->usage_1 != ctx->usage_2)
		return ctx->usage_1 > ctx->usage_2;
	if (ctx->swap_1 != ctx->swap_2)
		return ctx->swap_1 > ctx->swap_2;
	return first_of(ctx) < second_of(ctx);
}

static bool goes_on(struct pass *pass, const struct bpf_oom_ctx *ctx)
{
	int i;

	if (pass->level != ctx->level || pass->best != first_of(ctx))
		return false;
	for (i = 0; i < pass->nr; i++)
		if (second_of(&pass->compared[i].ctx) == second_of(ctx))
			return false;
	return true;
}

/* The last one, or a new one; levels that are gone back over do not count. */
static struct pass *pass_for(struct shadow *s, const struct bpf_oom_ctx *ctx)
{
	struct pass *more;

	if (s->nr_passes && goes_on(&s->passes[s->nr_passes - 1], ctx))
		return &s->passes[s->nr_passes - 1];
	while (s->nr_passes && s->passes[s->nr_passes - 1].level >= ctx->level)
		forget_passes(s, s->nr_passes - 1);
	more = realloc(s->passes, (s->nr_passes + 1) * sizeof(*more));
	if (!more)
		return NULL;
	s->passes = more;
	more = &more[s->nr_passes++];
	*more = (struct pass) { .level = ctx->level, .best = first_of(ctx) };
	return more;
}

static void on_compared(struct shadow *s, const struct oom_shadow_record *record)
{
	struct comparison now = { .size = record->ctx_size }, *more;
	const struct bpf_oom_ctx *ctx = &now.ctx;
	struct pass *pass;

	memcpy(now.room, record->ctx, record->ctx_size);
	now.ctx.cgroup_1 = NULL;
	now.ctx.cgroup_2 = NULL;
	now.ctx.task_1 = NULL;
	now.ctx.task_2 = NULL;
	if (!!ctx->pid_1 != s->tasks)
		return;
	pass = pass_for(s, ctx);
	more = pass ? realloc(pass->compared, (pass->nr + 1) * sizeof(*more)) : NULL;
	if (!more) {
		s->failed = true;
		return;
	}
	pass->compared = more;
	more[pass->nr++] = now;
	if (record->verdict == BPF_OOM_ABSTAIN)
		pass->abstained = true;
	else if (record->verdict == BPF_OOM_SECOND ||
		 (record->verdict == BPF_OOM_EQUAL && !tie_goes_first(ctx)))
		pass->best = second_of(ctx);
}

/* Candidate 1 of @to becomes candidate 2 of @from. */
static void take_second(struct bpf_oom_ctx *to, const struct bpf_oom_ctx *from)
{
	to->cgroup_id_1 = from->cgroup_id_2;
	to->usage_1 = from->usage_2;
	to->swap_1 = from->swap_2;
	to->pid_1 = from->pid_2;
	to->oom_score_adj_1 = from->oom_score_adj_2;
	to->scratch_1 = from->scratch_2;
	to->priority_1 = from->priority_2;
}

static void take_first(struct bpf_oom_ctx *to, const struct bpf_oom_ctx *from)
{
	to->cgroup_id_1 = from->cgroup_id_1;
	to->usage_1 = from->usage_1;
	to->swap_1 = from->swap_1;
	to->pid_1 = from->pid_1;
	to->oom_score_adj_1 = from->oom_score_adj_1;
	to->scratch_1 = from->scratch_1;
	to->priority_1 = from->priority_1;
}

/* A verdict; @now becomes what the program leaves. Or -1. */
static int ask(const struct shadow *s, struct comparison *now)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct comparison out = { .size = now->size };
	int err;

	opts.ctx_in = now->room;
	opts.ctx_size_in = now->size;
	opts.ctx_out = out.room;
	opts.ctx_size_out = out.size;
	opts.flags = BPF_F_TEST_OOM_CTX;
	err = bpf_prog_test_run_opts(s->judge.fd, &opts);
	if (err) {
		oom_explain_test_run(&s->judge, -err, "a candidate");
		return -1;
	}
	*now = out;
	return opts.retval;
}

/* The candidate's own tournament: who wins, 0 if it abstains; or -1. */
static __s64 play(const struct shadow *s, const struct pass *pass)
{
	struct bpf_oom_ctx best = pass->compared[0].ctx;
	struct comparison now;
	int i, verdict;

	best.scratch_1 = 0;
	for (i = 0; i < pass->nr; i++) {
		now = pass->compared[i];
		take_first(&now.ctx, &best);
		now.ctx.scratch_2 = 0;
		verdict = ask(s, &now);
		if (verdict < 0)
			return -1;
		if (verdict == BPF_OOM_ABSTAIN)
			return 0;
		if (verdict == BPF_OOM_SECOND ||
		    (verdict == BPF_OOM_EQUAL && !tie_goes_first(&now.ctx)))
			take_second(&best, &now.ctx);
		else
			take_first(&best, &now.ctx);
	}
	return first_of(&best);
}

struct outcome {
	char when[64];
	char *scope;
	char *victim;
	__u32 pid;
	bool agrees;
	__u32 level;		/* where it does not */
	char *lived;		/* what was chosen there, and what the candidate would have */
	char *shadow;		/* NULL: it abstains */
	int compared;
};

static char *name_of(const struct shadow *s, __u64 id)
{
	char *name = NULL;

	if (!s->tasks)
		return oom_cgroup_name(id);
	if (asprintf(&name, "process %llu", id) < 0)
		return NULL;
	return name;
}

static int judge_event(struct shadow *s, struct outcome *o)
{
	const struct pass *pass;
	__s64 winner;
	int i;

	o->agrees = true;
	for (i = 0; i < s->nr_passes && o->agrees; i++) {
		pass = &s->passes[i];
		o->compared += pass->nr;
		winner = play(s, pass);
		if (winner < 0)
			return -1;
		o->agrees = pass->abstained ? !winner : winner == (__s64)pass->best;
		if (o->agrees)
			continue;
		o->level = pass->level;
		o->lived = pass->abstained ? NULL : name_of(s, pass->best);
		o->shadow = winner ? name_of(s, winner) : NULL;
	}
	return 0;
}

static void outcome_plain(const struct outcome *o)
{
	oom_printf("%s  scope %s  victim %s/%u  ", o->when, o->scope ?: "?", o->victim ?: "?",
		   o->pid);
	if (o->agrees)
		oom_printf("agrees");
	else if (!o->shadow)
		oom_printf("differs at level %u: abstains, %s was chosen", o->level,
			   o->lived ?: "?");
	else
		oom_printf("differs at level %u: %s rather than %s", o->level, o->shadow,
			   o->lived ?: "an abstention");
	oom_printf("  compared %d\n", o->compared);
}

static void outcome_json(const struct outcome *o)
{
	json_writer_t *wtr = jsonw_new(stdout);

	if (!wtr)
		return;
	jsonw_start_object(wtr);
	jsonw_string_field(wtr, "time", o->when);
	jsonw_string_field(wtr, "scope", o->scope ?: "?");
	jsonw_string_field(wtr, "victim", o->victim ?: "?");
	jsonw_uint_field(wtr, "pid", o->pid);
	jsonw_bool_field(wtr, "agrees", o->agrees);
	if (!o->agrees) {
		jsonw_uint_field(wtr, "level", o->level);
		if (o->lived)
			jsonw_string_field(wtr, "chosen", o->lived);
		else
			jsonw_null_field(wtr, "chosen");
		if (o->shadow)
			jsonw_string_field(wtr, "shadow", o->shadow);
		else
			jsonw_null_field(wtr, "shadow");
	}
	jsonw_int_field(wtr, "compared", o->compared);
	jsonw_end_object(wtr);
	jsonw_destroy(&wtr);
}

static void on_selected(struct shadow *s, const struct oom_shadow_record *record)
{
	struct outcome o = { .pid = record->pid };

	oom_event_time(CLOCK_MONOTONIC, record->time_ns, o.when, sizeof(o.when));
	o.scope = oom_cgroup_name(record->scope_id);
	o.victim = oom_cgroup_name(record->victim_id);
	if (judge_event(s, &o)) {
		s->failed = true;
	} else {
		s->seen++;
		s->agreed += o.agrees;
		if (json_output)
			outcome_json(&o);
		else
			outcome_plain(&o);
		fflush(stdout);
	}
	free(o.scope);
	free(o.victim);
	free(o.lived);
	free(o.shadow);
}

static int on_record(void *ctx, void *data, size_t size)
{
	const struct oom_shadow_record *record = data;
	struct shadow *s = ctx;
	const __u64 lost = READ_ONCE(s->skel->bss->lost);

	if (record->kind == OOM_SHADOW_COMPARED) {
		on_compared(s, record);
		return 0;
	}
	/* With a part of it missing there is nothing to be said of an event. */
	if (lost != s->lost)
		oom_tell_lost(lost - s->lost, "comparisons");
	else if (record->kind == OOM_SHADOW_SELECTED)
		on_selected(s, record);
	s->lost = lost;
	forget_passes(s, 0);
	return 0;
}

static int watch(struct shadow *s)
{
	struct oom_watch *watch = &s->watch;

	while (!watch->over && !ferror(stdout) && !s->failed && s->seen < s->wanted) {
		if (oom_watch_wait(watch, -1) < 0)
			return -1;
		while (s->seen < s->wanted && !s->failed &&
		       ring_buffer__consume_n(watch->records, 1) > 0)
			;
	}
	if (!json_output)
		printf("events %u  agreed %u  differed %u\n", s->seen, s->agreed,
		       s->seen - s->agreed);
	return s->failed ? -1 : 0;
}

static int open_candidate(struct shadow *s, const struct oom_prog_arg *arg)
{
	if (oom_judge_for(&s->judge, "/", arg, OOM_ANY_TYPE))
		return -1;
	s->tasks = !oom_compares_cgroups(&s->judge);
	return 0;
}

int oom_do_shadow(int argc, char **argv)
{
	struct shadow s = { .judge = { .fd = -1, .priorities = -1 } };
	struct oom_prog_arg arg;
	int err;

	if (oom_prog_parse(&argc, &argv, &arg) || oom_parse_count(argc, argv, &s.wanted) ||
	    open_candidate(&s, &arg))
		return -1;
	err = oom_watch_begin(&s.watch);
	if (err)
		goto out;
	s.skel = oom_shadow_bpf__open();
	err = oom_watch_start(&s.watch, s.skel ? s.skel->skeleton : NULL,
			      s.skel ? s.skel->maps.records : NULL, on_record, &s, "shadow");
	if (!err) {
		p_info("comparing %s with what is decided", s.judge.name);
		err = watch(&s);
	}
	forget_passes(&s, 0);
	free(s.passes);
	oom_watch_end(&s.watch);
	oom_shadow_bpf__destroy(s.skel);
out:
	oom_judge_close(&s.judge);
	return err;
}

#endif /* BPFTOOL_WITHOUT_SKELETONS */
