// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * OOM policies for an operator: the commands of "bpftool oom". Each is in a file of
 * its name; oom_attach.c has also detach and replace.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

static int do_help(int argc, char **argv)
{
	if (json_output) {
		jsonw_null(json_wtr);
		return 0;
	}

	fprintf(stderr,
		"Usage: %1$s oom { show | list } [CGROUP]\n"
		"       %1$s oom attach   PROG [CGROUP] [type { memcg | task }] [flags FLAGS]\n"
		"                          [budget MICROSECONDS] [grace MILLISECONDS] [futile KILLS]\n"
		"                          [floor SIZE] [map NAME pin FILE] [pin FILE]\n"
		"                          [set NAME=VALUE]...\n"
		"       %1$s oom detach   { CGROUP | LINK } [type { memcg | task }]\n"
		"       %1$s oom replace  { CGROUP | LINK } PROG [floor SIZE] [map NAME pin FILE]\n"
		"                          [type { memcg | task }]\n"
		"       %1$s oom compare  CGROUP CGROUP [WITH] [prog PROG]\n"
		"       %1$s oom rank     [CGROUP] [WITH] [prog PROG] [top NUMBER | all]\n"
		"       %1$s oom select   [CGROUP] [WITH] [prog PROG] [top NUMBER | all]\n"
		"       %1$s oom check    [CGROUP] [WITH] [prog PROG] [all]\n"
		"       %1$s oom diff     [CGROUP] { WITH | prog PROG } [prog PROG] [top NUMBER]\n"
		"       %1$s oom report   [CGROUP] [WITH] [prog PROG]\n"
		"       %1$s oom priority list [all] [CGROUP]\n"
		"       %1$s oom priority get CGROUP\n"
		"       %1$s oom priority set CGROUP PRIORITY\n"
		"       %1$s oom monitor  [count NUMBER]\n"
		"       %1$s oom record   { start | stop }\n"
		"       %1$s oom log      [follow | journal]\n"
		"       %1$s oom shadow   OBJECT_FILE [set NAME=VALUE]... [count NUMBER]\n"
		"       %1$s oom metrics  [openmetrics]\n"
		"       %1$s oom help\n"
		"\n"
		"       CGROUP := { PATH | CGROUP_ID }, a path from the root of cgroup v2, from its\n"
		"                 mount point or, in a cgroup, from the working directory on\n"
		"       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME |\n"
		"                 [file] OBJECT_FILE [set NAME=VALUE]... }\n"
		"       WITH := with CGROUP=PRIORITY ...\n"
		"       PRIORITY := { NUMBER | max | unset }\n"
		"       SIZE := { BYTES[K|M|G] | PERCENT%% }\n"
		"       FLAGS := { memcg | kill_all | root_tasks }[,...]\n"
		"       " HELP_SPEC_LINK "\n"
		"       " HELP_SPEC_OPTIONS " |\n"
		"                    {-n|--nomount} }\n"
		"",
		bin_name);

	return 0;
}

static const struct cmd cmds[] = {
	{ "show",	oom_do_show },
	{ "list",	oom_do_show },
	{ "attach",	oom_do_attach },
	{ "detach",	oom_do_detach },
	{ "replace",	oom_do_replace },
	{ "compare",	oom_do_compare },
	{ "rank",	oom_do_rank },
	{ "select",	oom_do_select },
	{ "check",	oom_do_check },
	{ "diff",	oom_do_diff },
	{ "report",	oom_do_report },
	{ "priority",	oom_do_priority },
	{ "monitor",	oom_do_monitor },
	{ "record",	oom_do_record },
	{ "log",	oom_do_log },
	{ "shadow",	oom_do_shadow },
	{ "metrics",	oom_do_metrics },
	{ "help",	do_help },
	{ 0 }
};

/* What did not get out, somebody has not read. */
static int check_output(void)
{
	if (fflush(stdout))
		fprintf(stderr, "Error: cannot write the output: %s\n", strerror(errno));
	else if (ferror(stdout))
		fprintf(stderr, "Error: cannot write all of the output\n");
	else
		return 0;
	return -1;
}

int do_oom(int argc, char **argv)
{
	int err, i;

	/* Without the blank of oom_keep_numbers(). */
	for (i = 0; i < argc; i++)
		if (argv[i][0] == ' ' && oom_is_negative(argv[i] + 1))
			argv[i]++;

	err = cmd_select(cmds, argc, argv, do_help);
	oom_priority_done();
	oom_link_done();
	oom_cgroup_done();
	if (check_output())
		err = -1;
	if (!err)
		errno = 0;	/* what was looked for and not found is no error of a batch */
	return err;
}
