// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "priority": the priorities that a policy goes by, which are in its map
 * oom_priority, by the paths of their cgroups.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

/* The policy under which @path has a priority among its siblings. */
static int priority_judge(struct oom_judge *judge, const char *path)
{
	if (oom_judge_ruling(judge, path, BPF_OOM_POLICY))
		return -1;
	if (judge->priorities >= 0)
		return 0;
	if (judge->odd_priorities)
		oom_err("the map oom_priority of %s (prog id %u) is not a hash from u64 to s64",
			judge->name, judge->id);
	else
		oom_err("%s (prog id %u), which rules in %s, has no priorities: no map oom_priority",
			judge->name, judge->id, path);
	oom_judge_close(judge);
	return -1;
}

static int priority_judge_of(struct oom_judge *judge, const struct oom_cgroup *cgroup)
{
	char *parent = strdup(cgroup->path);
	int err;

	if (!parent) {
		oom_err("mem alloc failed");
		return -1;
	}
	err = priority_judge(judge, dirname(parent));
	free(parent);
	return err;
}

static int parse_priority(const char *text, __s64 *priority)
{
	char *end;

	errno = 0;
	*priority = strtoll(text, &end, 10);
	if (end != text && !*end && !errno && !strspn(text, " \t\n\v\f\r"))
		return 0;
	oom_err("a priority is a number from %lld to %lld, not '%s'", LLONG_MIN, LLONG_MAX, text);
	return -1;
}

static void show_priority(__u64 id, const char *path, __s64 priority, bool set)
{
	if (json_output) {
		jsonw_start_object(json_wtr);
		oom_json_cgroup(json_wtr, "cgroup", id, path);
		jsonw_int_field(json_wtr, "priority", priority);
		jsonw_bool_field(json_wtr, "set", set);
		jsonw_end_object(json_wtr);
	} else if (path) {
		oom_printf("%20lld  %s%s\n", priority, path, set ? "" : " (not set)");
	} else {
		oom_printf("%20lld  cgroup id %llu (gone)\n", priority, id);
	}
}

struct priority {
	__u64 id;
	__s64 value;
	char *path;
};

static int compare_priorities(const void *a, const void *b)
{
	const struct priority *prio_a = a, *prio_b = b;

	if (!prio_a->path || !prio_b->path)
		return !prio_a->path - !prio_b->path;
	return strcmp(prio_a->path, prio_b->path);
}

static int list_priorities(int map_fd)
{
	struct priority *list = NULL, *more;
	__u64 id, *prev = NULL;
	int nr = 0, i, err = -1;

	while (!bpf_map_get_next_key(map_fd, prev, &id)) {
		more = realloc(list, (nr + 1) * sizeof(*list));
		if (!more) {
			oom_err("mem alloc failed");
			goto out;
		}
		list = more;
		prev = &list[nr].id;
		*prev = id;
		if (!bpf_map_lookup_elem(map_fd, &id, &list[nr].value))
			list[nr++].path = oom_cgroup_path(id);
	}
	if (nr)
		qsort(list, nr, sizeof(*list), compare_priorities);

	if (json_output)
		jsonw_start_array(json_wtr);
	for (i = 0; i < nr; i++)
		show_priority(list[i].id, list[i].path, list[i].value, true);
	if (json_output)
		jsonw_end_array(json_wtr);
	else if (!nr)
		p_info("no priority is set");
	err = 0;
out:
	while (nr--)
		free(list[nr].path);
	free(list);
	return err;
}

static int do_priority_list(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	int err;

	if (argc > 1) {
		oom_err("priority list takes one cgroup at most, what is '%s'?", argv[1]);
		return -1;
	}
	if (oom_cgroup_parse(argc ? *argv : "/", &cgroup))
		return -1;
	err = priority_judge(&judge, cgroup.path);
	if (!err) {
		err = list_priorities(judge.priorities);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err;
}

static int do_priority_get(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	__s64 priority;
	bool set;
	int err;

	if (argc != 1) {
		oom_err("priority get wants a cgroup and nothing else");
		return -1;
	}
	if (oom_cgroup_parse(*argv, &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		set = oom_priority_get(&judge, cgroup.id, &priority);
		show_priority(cgroup.id, cgroup.path, priority, set);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err;
}

static int do_priority_set(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	__s64 priority;
	int err;

	if (argc != 2) {
		oom_err("priority set wants a cgroup and a number");
		return -1;
	}
	if (parse_priority(argv[1], &priority) || oom_cgroup_parse(argv[0], &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		err = bpf_map_update_elem(judge.priorities, &cgroup.id, &priority, BPF_ANY);
		if (err)
			oom_err("cannot set the priority of %s: %s", cgroup.path,
				err == -E2BIG ? "the map is full" : strerror(-err));
		else
			show_priority(cgroup.id, cgroup.path, priority, true);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err ? -1 : 0;
}

static int delete_priority(const struct oom_judge *judge, __u64 id, const char *name)
{
	const int err = bpf_map_delete_elem(judge->priorities, &id);

	if (err == -ENOENT)
		oom_err("%s has no priority set", name);
	else if (err)
		oom_err("cannot delete the priority of %s: %s", name, strerror(-err));
	return err ? -1 : 0;
}

/* Entries stay when their cgroup goes: find the policy that has this one. */
static int delete_priority_of_id(const char *text)
{
	const struct oom_policy *list;
	struct oom_judge judge;
	int nr, i, err = -1;
	bool found = false;
	__s64 priority;
	char *end;
	__u64 id;

	errno = 0;
	id = strtoull(text, &end, 10);
	if (!oom_is_id(text) || *end || errno) {
		oom_err("a cgroup id is a number, not '%s'", text);
		return -1;
	}
	nr = oom_policies(&list);
	for (i = 0; i < nr && !found; i++) {
		if (oom_judge_open(&judge, list[i].info.prog_id))
			return -1;
		found = oom_priority_get(&judge, id, &priority);
		if (found)
			err = delete_priority(&judge, id, "the cgroup");
		oom_judge_close(&judge);
	}
	if (nr >= 0 && !found)
		oom_err("no OOM policy has a priority for the cgroup id %s", text);
	return err;
}

static bool is_gone(const char *arg)
{
	char *path;

	if (!oom_is_id(arg))
		return false;
	path = oom_cgroup_path(strtoull(arg, NULL, 10));
	free(path);
	return !path;
}

static int do_priority_delete(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	int err;

	if ((argc == 2 && !strcmp(argv[0], "id")) || (argc == 1 && is_gone(argv[0]))) {
		err = delete_priority_of_id(argv[argc - 1]);
		goto out;
	}
	if (argc != 1) {
		oom_err("priority delete wants a cgroup, or 'id CGROUP_ID'");
		return -1;
	}
	if (oom_cgroup_parse(*argv, &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		err = delete_priority(&judge, cgroup.id, cgroup.path);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
out:
	if (!err && json_output)
		jsonw_null(json_wtr);
	return err;
}

int oom_do_priority(int argc, char **argv)
{
	static const struct cmd cmds[] = {
		{ "list",	do_priority_list },
		{ "get",	do_priority_get },
		{ "set",	do_priority_set },
		{ "delete",	do_priority_delete },
		{ 0 }
	};
	int i;

	if (!argc)
		return do_priority_list(argc, argv);
	for (i = 0; cmds[i].cmd; i++)
		if (is_prefix(*argv, cmds[i].cmd))
			return cmds[i].func(argc - 1, argv + 1);
	oom_err("what is '%s'? priority has list, get, set and delete", *argv);
	return -1;
}
