// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "priority": what is in memory.oom.priority of cgroups. And for the rehearsals: what
 * a cgroup counts with among its siblings, by what is written or by what shall be taken
 * for it ("with PATH=PRIORITY").
 *
 * The kernel finds out for itself what a candidate counts with; here it is found out
 * once more, to be shown.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define PRIORITY_FILE	"memory.oom.priority"

/* What shall be taken for written, until oom_priority_done(). */
static struct bpf_oom_priority *supposed;
static int nr_supposed;
static bool suspended;		/* nothing is supposed for now */

/**
 * oom_priority_text() - a priority as one word, as in its file
 * @priority: the priority
 *
 * Return: the word, until the next call.
 */
const char *oom_priority_text(const struct oom_priority *priority)
{
	static char text[32];

	switch (priority->state) {
	case BPF_OOM_PRIORITY_SET:
		snprintf(text, sizeof(text), "%lld", priority->value);
		return text;
	case BPF_OOM_PRIORITY_MAX:
		return "max";
	default:
		return "unset";
	}
}

static bool read_number(const char *text, __s64 *value)
{
	char *end;

	errno = 0;
	*value = strtoll(text, &end, 10);
	return end != text && !*end && !errno && !strspn(text, " \t\n\v\f\r");
}

static bool read_word(const char *text, struct oom_priority *priority)
{
	priority->value = 0;
	if (!strcmp(text, "unset"))
		priority->state = BPF_OOM_PRIORITY_UNSET;
	else if (!strcmp(text, "max"))
		priority->state = BPF_OOM_PRIORITY_MAX;
	else if (read_number(text, &priority->value))
		priority->state = BPF_OOM_PRIORITY_SET;
	else
		return false;
	return true;
}

static int parse_priority(const char *text, struct oom_priority *priority)
{
	if (read_word(text, priority))
		return 0;
	oom_err("a priority is a number from %lld to %lld, max or unset, not '%s'", LLONG_MIN,
		LLONG_MAX, text);
	return -1;
}

/* -errno and nothing set if it cannot be read. */
static int read_priority(const char *path, struct oom_priority *priority)
{
	FILE *f = oom_cgroup_file(path, PRIORITY_FILE, "re");
	char word[32] = "unset";
	int err = 0;

	if (!f)
		err = -errno;
	else if (fscanf(f, "%31s", word) != 1)
		err = -EIO;
	if (f)
		fclose(f);
	read_word(word, priority);
	return err;
}

static const struct bpf_oom_priority *find_supposed(__u64 id)
{
	int i;

	for (i = 0; i < nr_supposed && !suspended; i++)
		if (supposed[i].cgroup_id == id)
			return &supposed[i];
	return NULL;
}

static void own_priority(const char *path, __u64 id, struct oom_priority *priority)
{
	const struct bpf_oom_priority *instead = find_supposed(id);

	if (instead) {
		priority->state = instead->state;
		priority->value = instead->priority;
	} else {
		read_priority(path, priority);
	}
}

/**
 * oom_priority_of() - what a cgroup counts with among its siblings
 * @path: of the cgroup
 * @id: its id
 * @priority: its own, else that of its only populated child, and so on
 */
void oom_priority_of(const char *path, __u64 id, struct oom_priority *priority)
{
	char *at = strdup(path), *child;

	priority->state = BPF_OOM_PRIORITY_UNSET;
	priority->value = 0;
	while (at) {
		own_priority(at, id, priority);
		child = priority->state == BPF_OOM_PRIORITY_UNSET ?
			oom_only_child(at, &id) : NULL;
		free(at);
		at = child;
	}
}

/**
 * oom_priority_supposed() - what shall be taken for written
 * @list: as BPF_PROG_TEST_RUN takes it; until oom_priority_done()
 *
 * Return: its size in bytes.
 */
__u32 oom_priority_supposed(const struct bpf_oom_priority **list)
{
	*list = suspended ? NULL : supposed;
	return suspended ? 0 : nr_supposed * sizeof(*supposed);
}

/**
 * oom_priority_suspend() - have what was supposed count, or not
 * @suspend: not
 */
void oom_priority_suspend(bool suspend)
{
	suspended = suspend;
}

/* Why a cgroup has no such file. */
static int explain_no_file(const struct oom_cgroup *cgroup, int err)
{
	if (!strcmp(cgroup->path, "/"))
		oom_err("the root has no priority: it has no siblings");
	else if (err != ENOENT)
		oom_err("cannot open " PRIORITY_FILE " of %s: %s", cgroup->path, strerror(err));
	else if (oom_cgroup_has(cgroup->path, "memory.current"))
		oom_err("this kernel has no %s: run \"modprobe oom_policy\" (package %s), or boot one with %s",
			PRIORITY_FILE, "bpf-oom-policy-dkms", "CONFIG_BPF_OOM_POLICY");
	else
		oom_err("%s has no memory controller, so no priority: enable it in cgroup.subtree_control of its parent",
			cgroup->path);
	return -1;
}

/* One of "PATH=PRIORITY"; a path may have that sign, too. */
static int suppose(char *word)
{
	char *sign = strrchr(word, '=');
	struct bpf_oom_priority *more;
	struct oom_priority priority, now;
	struct oom_cgroup cgroup;
	int err = -1;

	*sign = '\0';
	if (parse_priority(sign + 1, &priority) || oom_cgroup_parse(word, &cgroup))
		return -1;
	err = read_priority(cgroup.path, &now);
	if (err) {
		err = explain_no_file(&cgroup, -err);
	} else if (find_supposed(cgroup.id)) {
		oom_err("twice the same cgroup: %s", cgroup.path);
		err = -1;
	}
	more = err ? NULL : realloc(supposed, (nr_supposed + 1) * sizeof(*supposed));
	if (more) {
		supposed = more;
		supposed[nr_supposed++] = (struct bpf_oom_priority) {
			.cgroup_id = cgroup.id,
			.priority = priority.value,
			.state = priority.state,
		};
	} else if (!err) {
		oom_err("mem alloc failed");
		err = -1;
	}
	oom_cgroup_free(&cgroup);
	return err;
}

/**
 * oom_parse_with() - [with PATH=PRIORITY ...] in front of what is left
 * @argc: words that are left
 * @argv: those words
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_with(int *argc, char ***argv)
{
	if (!*argc || strcmp(**argv, "with"))
		return 0;
	NEXT_ARGP();
	if (!*argc || !strchr(**argv, '=')) {
		oom_err("'with' wants PATH=PRIORITY, one or more");
		return -1;
	}
	while (*argc && strchr(**argv, '=')) {
		if (suppose(**argv))
			return -1;
		NEXT_ARGP();
	}
	return 0;
}

/**
 * oom_priority_done() - forget what was supposed
 */
void oom_priority_done(void)
{
	free(supposed);
	supposed = NULL;
	nr_supposed = 0;
	suspended = false;
}

/**
 * oom_json_priority() - a priority as two fields of JSON
 * @wtr: writes them
 * @prefix: of their names
 * @priority: the priority
 */
void oom_json_priority(json_writer_t *wtr, const char *prefix,
		       const struct oom_priority *priority)
{
	static const char * const states[] = {
		[BPF_OOM_PRIORITY_UNSET]	= "unset",
		[BPF_OOM_PRIORITY_SET]		= "set",
		[BPF_OOM_PRIORITY_MAX]		= "max",
	};
	char key[32];

	snprintf(key, sizeof(key), "%spriority", prefix);
	if (priority->state == BPF_OOM_PRIORITY_SET)
		jsonw_int_field(wtr, key, priority->value);
	else
		jsonw_null_field(wtr, key);
	snprintf(key, sizeof(key), "%spriority_state", prefix);
	jsonw_string_field(wtr, key, states[priority->state]);
}

static void show_priority(const struct oom_cgroup *cgroup, const struct oom_priority *now,
			  const struct oom_priority *old)
{
	if (json_output) {
		jsonw_start_object(json_wtr);
		oom_json_cgroup(json_wtr, "cgroup", cgroup->id, cgroup->path);
		oom_json_priority(json_wtr, "", now);
		if (old)
			oom_json_priority(json_wtr, "old_", old);
		jsonw_end_object(json_wtr);
		return;
	}
	oom_printf("%20s  %s", oom_priority_text(now), cgroup->path);
	if (old)
		oom_printf(" (was %s)", oom_priority_text(old));
	putchar('\n');
}

/* Of @cgroup, if it has a priority, and of all below it; returns how many were shown. */
static int list_priorities(const struct oom_cgroup *cgroup, bool all)
{
	struct oom_priority priority;
	struct oom_child *children;
	int nr, i, below, shown = 0;

	if (!read_priority(cgroup->path, &priority) &&
	    (all || priority.state != BPF_OOM_PRIORITY_UNSET)) {
		show_priority(cgroup, &priority, NULL);
		shown++;
	}
	nr = oom_children(cgroup->path, &children);
	if (nr < 0)
		return -1;
	for (i = 0; i < nr && shown >= 0; i++) {
		const struct oom_cgroup child = { children[i].path, children[i].id };

		below = list_priorities(&child, all);
		shown = below < 0 ? -1 : shown + below;
	}
	oom_children_free(children, nr);
	return shown;
}

static int do_priority_list(int argc, char **argv)
{
	const bool all = argc && !strcmp(*argv, "all");
	struct oom_cgroup cgroup;
	int shown;

	if (all)
		NEXT_ARG();
	if (argc > 1) {
		oom_err("priority list takes one cgroup at most, what is '%s'?", argv[1]);
		return -1;
	}
	if (oom_cgroup_parse(argc ? *argv : "/", &cgroup))
		return -1;
	if (json_output)
		jsonw_start_array(json_wtr);
	shown = list_priorities(&cgroup, all);
	if (json_output)
		jsonw_end_array(json_wtr);
	else if (!shown)
		p_info(all ? "no cgroup there has the memory controller" : "no priority is set");
	oom_cgroup_free(&cgroup);
	return shown < 0 ? -1 : 0;
}

static int do_priority_get(int argc, char **argv)
{
	struct oom_priority priority;
	struct oom_cgroup cgroup;
	int err;

	if (argc != 1) {
		oom_err("priority get wants a cgroup and nothing else");
		return -1;
	}
	if (oom_cgroup_parse(*argv, &cgroup))
		return -1;
	err = read_priority(cgroup.path, &priority);
	if (err)
		err = explain_no_file(&cgroup, -err);
	else
		show_priority(&cgroup, &priority, NULL);
	oom_cgroup_free(&cgroup);
	return err;
}

static int write_priority(const struct oom_cgroup *cgroup, const struct oom_priority *priority)
{
	FILE *f = oom_cgroup_file(cgroup->path, PRIORITY_FILE, "we");
	int err;

	if (!f)
		return explain_no_file(cgroup, errno);
	err = fputs(oom_priority_text(priority), f) < 0;
	/* What is buffered is written, or not, here. */
	err |= fclose(f);
	if (err && errno == EPERM)
		oom_err("not allowed to set the priority of %s: it is up to whoever delegated it",
			cgroup->path);
	else if (err)
		oom_err("cannot set the priority of %s: %s", cgroup->path, strerror(errno));
	return err ? -1 : 0;
}

static int do_priority_set(int argc, char **argv)
{
	struct oom_priority priority, old;
	struct oom_cgroup cgroup;
	int err;

	if (argc != 2) {
		oom_err("priority set wants a cgroup and a number, max or unset");
		return -1;
	}
	if (parse_priority(argv[1], &priority) || oom_cgroup_parse(argv[0], &cgroup))
		return -1;
	err = read_priority(cgroup.path, &old);
	if (err)
		err = explain_no_file(&cgroup, -err);
	else
		err = write_priority(&cgroup, &priority);
	if (!err)
		show_priority(&cgroup, &priority, &old);
	oom_cgroup_free(&cgroup);
	return err;
}

int oom_do_priority(int argc, char **argv)
{
	static const struct cmd cmds[] = {
		{ "list",	do_priority_list },
		{ "get",	do_priority_get },
		{ "set",	do_priority_set },
		{ 0 }
	};
	int i;

	if (!argc)
		return do_priority_list(argc, argv);
	for (i = 0; cmds[i].cmd; i++)
		if (is_prefix(*argv, cmds[i].cmd))
			return cmds[i].func(argc - 1, argv + 1);
	oom_err("what is '%s'? priority has list, get and set", *argv);
	return -1;
}
