// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What the rehearsals of OOM policies on the live tree of cgroups share: which
 * program judges, one run of it for two cgroups, and who dies first by its verdict.
 * The kernel runs it by BPF_PROG_TEST_RUN; nobody is killed, nothing is counted.
 *
 * A command first finds out everything and then prints, so that an error is all
 * that comes out if there is one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

static const char * const verdict_names[] = {
	[BPF_OOM_EQUAL]		= "equal",
	[BPF_OOM_FIRST]		= "first",
	[BPF_OOM_SECOND]	= "second",
	[BPF_OOM_ABSTAIN]	= "abstain",
};

/**
 * oom_verdict_name() - a verdict in a word
 * @verdict: BPF_OOM_*
 *
 * Return: the word, never NULL.
 */
const char *oom_verdict_name(int verdict)
{
	return verdict < (int)ARRAY_SIZE(verdict_names) ? verdict_names[verdict] : "?";
}

/**
 * oom_judge_for() - the program that a rehearsal asks
 * @judge: oom_judge_close() ends it
 * @path: of the cgroup whose children are compared
 * @arg: the program that was named, NULL: the one that rules there
 * @attach_type: of it
 *
 * One that was named, and is loaded here, goes by the map oom_priority of the ruling one.
 *
 * Return: 0, or -1 with the reason told and nothing to close.
 */
int oom_judge_for(struct oom_judge *judge, const char *path, const struct oom_prog_arg *arg,
		  __u32 attach_type)
{
	const struct oom_policy *list, *ruling;
	struct oom_judge old = { .fd = -1, .priorities = -1 };
	struct oom_load load = { .attach_type = attach_type, .map = OOM_PRIORITY_MAP };
	int err;

	if (!arg)
		return oom_judge_ruling(judge, path, attach_type);
	if (oom_policies(&list) < 0)
		return -1;
	ruling = attach_type == OOM_ANY_TYPE ? oom_policy_asked(path, BPF_OOM_POLICY, path) : NULL;
	ruling = ruling ?: oom_policy_ruling(path, BPF_OOM_POLICY);
	if (ruling && oom_judge_open(&old, ruling->info.prog_id))
		return -1;
	load.map_fd = old.priorities;
	err = oom_judge_init(judge, oom_prog_open(arg, &load));
	if (!err && ruling && judge->id == ruling->info.prog_id)
		judge->policy = ruling;
	oom_judge_close(&old);
	return err;
}

static int parse_top(int *argc, char ***argv, struct oom_view *view)
{
	if (*argc < 2) {
		oom_err("'top' wants a number of cgroups");
		return -1;
	}
	if (oom_parse_u32(argc, argv, &view->top, "number of cgroups"))
		return -1;
	if (view->top)
		return 0;
	oom_err("a number of cgroups is 1 or more");
	return -1;
}

static const char *words_of(unsigned int options)
{
	switch (options) {
	case OOM_OPT_PROG:
		return "the options here are with and prog";
	case OOM_OPT_PROG | OOM_OPT_ALL:
		return "the options here are with, prog and all";
	default:
		return "the options here are with, prog, top and all";
	}
}

/**
 * oom_parse_options() - [with PATH=PRIORITY ...] [prog PROG] [top NUMBER | all]
 * @argc: words that are left
 * @argv: those words
 * @arg: room for the program
 * @given: @arg, or NULL if there is none
 * @view: how much is to be shown; NULL unless there are such options
 * @options: OOM_OPT_*
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_options(int argc, char **argv, struct oom_prog_arg *arg,
		      const struct oom_prog_arg **given, struct oom_view *view,
		      unsigned int options)
{
	*given = NULL;
	while (argc) {
		if (!strcmp(*argv, "prog") && !*given) {
			argc--;
			argv++;
			if (oom_prog_parse(&argc, &argv, arg))
				return -1;
			*given = arg;
		} else if (!strcmp(*argv, "with")) {
			if (oom_parse_with(&argc, &argv))
				return -1;
		} else if (options & OOM_OPT_TOP && !strcmp(*argv, "top") && !view->all) {
			if (parse_top(&argc, &argv, view))
				return -1;
		} else if (options & OOM_OPT_ALL && !strcmp(*argv, "all") && !view->top) {
			view->all = true;
			argc--;
			argv++;
		} else {
			oom_err("what is '%s'? %s", *argv, words_of(options));
			return -1;
		}
	}
	return 0;
}

static bool is_option(const char *word, unsigned int options)
{
	return !strcmp(word, "prog") || !strcmp(word, "with") ||
	       (options & OOM_OPT_TOP && !strcmp(word, "top")) ||
	       (options & OOM_OPT_ALL && !strcmp(word, "all"));
}

/**
 * oom_parse_scope() - [CGROUP] and options at the end of a command line
 * @argc: words that are left
 * @argv: those words
 * @scope: the root if it is left out; oom_cgroup_free() ends it
 * @arg: room for the program
 * @given: @arg, or NULL if there is none
 * @view: as of oom_parse_options()
 * @options: likewise
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_scope(int argc, char **argv, struct oom_cgroup *scope,
		    struct oom_prog_arg *arg, const struct oom_prog_arg **given,
		    struct oom_view *view, unsigned int options)
{
	const char *path = "/";

	if (argc && !is_option(*argv, options))
		path = GET_ARG();
	if (oom_parse_options(argc, argv, arg, given, view, options))
		return -1;
	return oom_cgroup_parse(path, scope);
}

static const char *or_outside(void)
{
	return oom_private_namespace() ? ", or is outside of this cgroup namespace" : "";
}

/**
 * oom_rehearse_select() - a selection, of which nobody dies
 * @judge: the program
 * @scope: id of the cgroup that is out of memory
 * @opts: what goes in beside that, and where victim and steps come out
 *
 * Return: 0; a negative errno, with @opts->retval 0 if the program could not be run.
 */
int oom_rehearse_select(const struct oom_judge *judge, __u64 scope,
			struct bpf_test_run_opts *opts)
{
	struct bpf_oom_ctx ctx = { .cgroup_id_1 = scope };

	opts->ctx_in = &ctx;
	opts->ctx_size_in = sizeof(ctx);
	opts->flags = BPF_F_TEST_OOM_SELECT;
	return bpf_prog_test_run_opts(judge->fd, opts) ?: (int)opts->retval;
}

/**
 * oom_steps_take() - of the kernel's steps what is known here
 * @data: what oom_rehearse_select() has put out
 * @steps: filled; what is known here only is zero
 * @max: how many there is room for
 *
 * Return: how many they are.
 */
int oom_steps_take(const void *data, struct bpf_oom_step *steps, int max)
{
	const struct bpf_oom_steps *head = data;
	size_t size = head->step_size;
	int i;

	if (size > sizeof(*steps))
		size = sizeof(*steps);
	memset(steps, 0, max * sizeof(*steps));
	for (i = 0; i < (int)head->nr_steps && i < max; i++)
		memcpy(&steps[i], data + head->header_size + i * head->step_size, size);
	return i;
}

/**
 * oom_explain_test_run() - why a program could not be run
 * @judge: the program
 * @err: errno
 * @path: the cgroup it was run for
 */
void oom_explain_test_run(const struct oom_judge *judge, int err, const char *path)
{
	switch (err) {
	case EPERM:
		oom_err("no permission to run %s: it takes CAP_SYS_ADMIN", judge->name);
		break;
	case ENOENT:
		oom_err("%s has been removed meanwhile%s", path, or_outside());
		break;
	case EOPNOTSUPP:
		oom_err("%s has no memory controller", path);
		break;
	default:
		oom_err("cannot rehearse %s (prog id %u): %s", judge->name, judge->id,
			strerror(err));
	}
}

/* All that is compared here has a memory controller. */
static void explain_compare(const struct oom_judge *judge, int err, const char *a,
			    const char *b)
{
	if (err == EOPNOTSUPP)
		oom_err("%s (prog id %u) compares processes, not cgroups", judge->name, judge->id);
	else if (err == ENOENT || err == EXDEV)
		oom_err("%s or %s has been removed meanwhile%s", a, b, or_outside());
	else
		oom_explain_test_run(judge, err, a);
}

/* The verdict, or -errno without a word; notes what the program has seen. */
static int ask(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_oom_ctx ctx = { .cgroup_id_1 = a->id, .cgroup_id_2 = b->id };
	const struct bpf_oom_priority *supposed;
	struct bpf_oom_ctx seen = {};
	int err;

	opts.data_size_in = oom_priority_supposed(&supposed);
	opts.data_in = supposed;
	opts.ctx_in = &ctx;
	opts.ctx_size_in = sizeof(ctx);
	opts.ctx_out = &seen;
	opts.ctx_size_out = sizeof(seen);
	err = bpf_prog_test_run_opts(judge->fd, &opts);
	if (err)
		return err;
	a->usage = seen.usage_1;
	a->swap = seen.swap_1;
	b->usage = seen.usage_2;
	b->swap = seen.swap_2;
	return opts.retval;
}

static int told(const struct oom_judge *judge, int verdict, const struct oom_child *a,
		const struct oom_child *b)
{
	if (verdict >= 0)
		return verdict;
	explain_compare(judge, -verdict, a->path, b->path);
	return -1;
}

/**
 * oom_run() - let a program compare two cgroups
 * @judge: the program
 * @a: the first; usage and swap become what the program has seen
 * @b: the second, likewise
 *
 * Return: the verdict, or -1 with the reason told.
 */
int oom_run(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b)
{
	return told(judge, ask(judge, a, b), a, b);
}

/**
 * oom_run_if_there() - let a program compare one pair of many
 * @judge: the program
 * @a: the first
 * @b: the second
 *
 * Return: as of oom_run(); ABSTAIN, which contradicts nobody, if one is gone.
 */
int oom_run_if_there(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b)
{
	int verdict = ask(judge, a, b);

	if (verdict == -ENOENT || verdict == -EXDEV)
		return BPF_OOM_ABSTAIN;
	return told(judge, verdict, a, b);
}

/**
 * oom_run_many() - let a program compare many pairs, or put siblings in order
 * @judge: the program
 * @flag: BPF_F_TEST_OOM_PAIRS or BPF_F_TEST_OOM_ORDER
 * @data: what the kernel takes and fills in
 * @size: of that, in bytes
 *
 * That a cgroup is gone is in what comes back, as -errno.
 *
 * Return: 0, or BPF_OOM_ABSTAIN if there is no order; -1 with the reason told.
 */
int oom_run_many(const struct oom_judge *judge, __u32 flag, void *data, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	const struct bpf_oom_priority *supposed;
	struct bpf_oom_ctx ctx = {};
	int err;

	opts.data_size_in = oom_priority_supposed(&supposed);
	opts.data_in = supposed;
	opts.ctx_in = &ctx;
	opts.ctx_size_in = sizeof(ctx);
	opts.data_out = data;
	opts.data_size_out = size;
	opts.flags = flag;
	err = bpf_prog_test_run_opts(judge->fd, &opts);
	if (!err)
		return opts.retval;
	if (err == -EOPNOTSUPP)
		oom_err("%s (prog id %u) compares processes, not cgroups", judge->name, judge->id);
	else
		oom_explain_test_run(judge, -err, "the root");
	return -1;
}

/**
 * oom_compares_cgroups() - what a program compares
 * @judge: the program
 *
 * The kernel does not tell, but has another reason to refuse to compare nothing.
 *
 * Return: false if it compares processes.
 */
bool oom_compares_cgroups(const struct oom_judge *judge)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_oom_ctx ctx = {};

	opts.ctx_in = &ctx;
	opts.ctx_size_in = sizeof(ctx);
	opts.flags = BPF_F_TEST_OOM_PAIRS;
	return bpf_prog_test_run_opts(judge->fd, &opts) != -EOPNOTSUPP;
}

/* The kernel's own rule for equals. */
static bool tie_goes_first(const struct oom_child *a, const struct oom_child *b)
{
	if (a->usage != b->usage)
		return a->usage > b->usage;
	if (a->swap != b->swap)
		return a->swap > b->swap;
	return a->id < b->id;
}

/**
 * oom_dies_first() - who of two dies first
 * @verdict: on the two
 * @a: the first
 * @b: the second
 *
 * By the kernel's own rule if they are equal to the program.
 *
 * Return: NULL if the program leaves it to oom_badness().
 */
struct oom_child *oom_dies_first(int verdict, struct oom_child *a, struct oom_child *b)
{
	switch (verdict) {
	case BPF_OOM_FIRST:
		return a;
	case BPF_OOM_SECOND:
		return b;
	case BPF_OOM_EQUAL:
		return tie_goes_first(a, b) ? a : b;
	default:
		return NULL;
	}
}

/**
 * oom_find_caveats() - why an OOM would go another way
 * @policy: as of oom_caveats_plain()
 * @path: likewise
 * @what: likewise
 * @caveats: become OOM_NR_CAVEATS sentences, for free(); those that do not hold are NULL
 */
void oom_find_caveats(const struct oom_policy *policy, const char *path,
		      enum oom_rehearsal what, char **caveats)
{
	char *group = what == OOM_REHEARSE_CHILDREN ? oom_cgroup_group(path, "/") : NULL;

	memset(caveats, 0, OOM_NR_CAVEATS * sizeof(*caveats));
	if (!oom_policy_enabled())
		caveats[0] =
			strdup("switched off by vm.oom_policy_enabled: the stock killer decides");
	if (group && asprintf(&caveats[1], "%s dies as a whole (memory.oom.group): %s", group,
			      strcmp(group, path) ?
			      "nothing here is compared when the machine is out of memory" :
			      "nothing below it is compared") < 0)
		caveats[1] = NULL;
	if (policy && strcmp(path, "/") &&
	    !(policy->info.oom_policy.flags & BPF_F_OOM_POLICY_MEMCG) &&
	    asprintf(&caveats[2],
		     "attached without the flag memcg: not asked when %s meets its limit, %s",
		     path, what == OOM_REHEARSE_EVENT ? "the stock killer decides" :
		     "only when the machine is out of memory") < 0)
		caveats[2] = NULL;
	free(group);
}

/**
 * oom_caveats_plain() - say why an OOM would go another way, one sentence per line
 * @policy: that is rehearsed, NULL: not attached
 * @path: the scope of the OOM, or above what is compared
 * @what: of the two
 */
void oom_caveats_plain(const struct oom_policy *policy, const char *path,
		       enum oom_rehearsal what)
{
	char *caveats[OOM_NR_CAVEATS];
	int i;

	oom_find_caveats(policy, path, what, caveats);
	for (i = 0; i < OOM_NR_CAVEATS; i++) {
		if (caveats[i])
			oom_printf("%s\n", caveats[i]);
		free(caveats[i]);
	}
}

/**
 * oom_caveats_json() - the same as fields of JSON
 * @policy: as of oom_caveats_plain()
 * @path: likewise
 * @what: likewise
 */
void oom_caveats_json(const struct oom_policy *policy, const char *path,
		      enum oom_rehearsal what)
{
	char *caveats[OOM_NR_CAVEATS];
	int i;

	jsonw_bool_field(json_wtr, "enabled", oom_policy_enabled());
	if (policy)
		jsonw_bool_field(json_wtr, "asked_at_limit",
				 policy->info.oom_policy.flags & BPF_F_OOM_POLICY_MEMCG);
	else
		jsonw_null_field(json_wtr, "asked_at_limit");
	oom_find_caveats(policy, path, what, caveats);
	jsonw_name(json_wtr, "caveats");
	jsonw_start_array(json_wtr);
	for (i = 0; i < OOM_NR_CAVEATS; i++) {
		if (caveats[i])
			jsonw_string(json_wtr, caveats[i]);
		free(caveats[i]);
	}
	jsonw_end_array(json_wtr);
}

/**
 * oom_judge_json() - a program and where it is attached, as fields of JSON
 * @judge: the program
 */
void oom_judge_json(const struct oom_judge *judge)
{
	jsonw_string_field(json_wtr, "prog_name", judge->name);
	jsonw_uint_field(json_wtr, "prog_id", judge->id);
	if (judge->policy)
		jsonw_string_field(json_wtr, "attached_to", judge->policy->path);
	else
		jsonw_null_field(json_wtr, "attached_to");
	jsonw_bool_field(json_wtr, "priority_map", judge->priorities >= 0);
}

/**
 * oom_judge_plain() - a program and where it is attached, as words
 * @judge: the program
 */
void oom_judge_plain(const struct oom_judge *judge)
{
	oom_printf("%s (prog id %u)", judge->name, judge->id);
	if (judge->policy)
		oom_printf(", attached to %s", judge->policy->path);
	else
		oom_printf(", not attached");
	if (judge->priorities >= 0)
		oom_printf(", with priorities of its own in the map " OOM_PRIORITY_MAP);
}

/**
 * oom_child_json() - a cgroup and what it holds, as fields of JSON
 * @child: the cgroup
 */
void oom_child_json(const struct oom_child *child)
{
	oom_json_cgroup(json_wtr, "cgroup", child->id, child->path);
	jsonw_lluint_field(json_wtr, "usage", child->usage);
	jsonw_lluint_field(json_wtr, "swap", child->swap);
	jsonw_lluint_field(json_wtr, "freeable", child->freeable);
	oom_json_priority(json_wtr, "", &child->priority);
	jsonw_bool_field(json_wtr, "eligible", !child->out);
	if (child->out)
		jsonw_string_field(json_wtr, "reason", child->out);
}
