// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "metrics": what policies have done, for Prometheus. Counters of a link begin anew when
 * a policy is attached anew.
 *
 * There are two text formats. Prometheus and the textfile collector of node_exporter read
 * the older one, in which a counter is declared by its whole name; OpenMetrics declares
 * it without "_total" and has an end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "main.h"
#include "oom.h"
#include "oom_record.h"

#define PREFIX		"oom_policy_"
#define FALLBACK	"fallback_"
#define NSEC_PER_SEC	1e9
#define USEC_PER_SEC	1e6

struct output {
	const struct oom_policy *list;
	int nr;
	bool open;		/* OpenMetrics */
};

static void family(const struct output *o, const char *name, bool counter, const char *help)
{
	const char *total = counter && !o->open ? "_total" : "";

	printf("# HELP " PREFIX "%s%s %s\n", name, total, help);
	printf("# TYPE " PREFIX "%s%s %s\n", name, total, counter ? "counter" : "gauge");
}

/* Bytes that are no UTF-8 and what drives a terminal stand there as in JSON. */
static void label(const char *name, const char *value, char before)
{
	__u32 point;
	int len;

	printf("%c%s=\"", before, name);
	for (; *value; value += len) {
		len = oom_utf8(value, &point);
		if (!len || oom_is_control(point)) {
			len = len ?: 1;
			printf("\\\\x%02x", point);
		} else if (*value == '\\' || *value == '"') {
			printf("\\%c", *value);
		} else {
			fwrite(value, 1, len, stdout);
		}
	}
	putchar('"');
}

static const char *type_of(const struct oom_policy *policy)
{
	return policy->info.oom_policy.attach_type == BPF_OOM_POLICY_TASK ? "task" : "memcg";
}

/* A sample of a link; labels follow, and a value. */
static void sample(const struct oom_policy *policy, const char *name, bool counter)
{
	printf(PREFIX "%s%s", name, counter ? "_total" : "");
	label("cgroup", policy->path, '{');
	label("type", type_of(policy), ',');
}

/* The next one that is attached, -1 after the last. */
static int next_policy(const struct output *o, int i)
{
	for (i++; i < o->nr; i++)
		if (o->list[i].path)
			return i;
	return -1;
}

static void print_info(const struct output *o)
{
	char name[MAX_PROG_FULL_NAME], number[16];
	const struct bpf_link_info *info;
	int i;

	family(o, "enabled", false, "Whether policies are asked (vm.oom_policy_enabled).");
	printf(PREFIX "enabled %d\n", oom_policy_enabled());
	family(o, "attached", false, "A policy that is attached, by program and link.");
	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		info = &o->list[i].info;
		oom_prog_name(info->prog_id, name, sizeof(name));
		sample(&o->list[i], "attached", false);
		label("prog", name, ',');
		snprintf(number, sizeof(number), "%u", info->prog_id);
		label("prog_id", number, ',');
		snprintf(number, sizeof(number), "%u", info->id);
		label("link_id", number, ',');
		puts("} 1");
	}
	family(o, "in_force", false, "0 while the cgroup has no memory controller.");
	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		sample(&o->list[i], "in_force", false);
		printf("} %d\n", o->list[i].info.oom_policy.state == BPF_OOM_LINK_IN_FORCE);
	}
}

/* What is told in another way below, or is no number. */
static bool is_special(const char *name)
{
	return !strcmp(name, "last_ns") || !strcmp(name, "worst_ns") ||
	       !strcmp(name, "last_victim_cgroup_id") || is_prefix(FALLBACK, name);
}

static const char *help_of(const char *name)
{
	if (!strcmp(name, "selections"))
		return "Selections in which the policy was the first to be asked.";
	if (!strcmp(name, "comparisons"))
		return "Runs of the program.";
	if (!strcmp(name, "kills"))
		return "Kills of the choice of the policy.";
	if (!strcmp(name, "spared"))
		return "Processes spared for the sake of others that share their memory.";
	return "A counter of the link.";
}

static __u64 value_of(const struct output *o, int i, const struct oom_counter *counter)
{
	return *(const __u64 *)((const char *)&o->list[i].info + counter->offset);
}

static void print_counters(const struct output *o)
{
	const struct oom_counter *counter;
	size_t n;
	int i;

	for (n = 0; (counter = oom_counter_at(n)); n++) {
		if (is_special(counter->name))
			continue;
		family(o, counter->name, true, help_of(counter->name));
		for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
			sample(&o->list[i], counter->name, true);
			printf("} %llu\n", value_of(o, i, counter));
		}
	}
	family(o, "fallbacks", true,
	       "Events in which the stock killer had to decide, or somebody to wait.");
	for (n = 0; (counter = oom_counter_at(n)); n++) {
		if (!is_prefix(FALLBACK, counter->name))
			continue;
		for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
			sample(&o->list[i], "fallbacks", true);
			label("reason", counter->name + strlen(FALLBACK), ',');
			printf("} %llu\n", value_of(o, i, counter));
		}
	}
}

static void print_seconds(const struct output *o)
{
	int i;

	family(o, "last_selection_seconds", false, "How long the last selection took.");
	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		sample(&o->list[i], "last_selection_seconds", false);
		printf("} %.9f\n", o->list[i].info.oom_policy.last_ns / NSEC_PER_SEC);
	}
	family(o, "worst_selection_seconds", false, "How long the longest selection took.");
	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		sample(&o->list[i], "worst_selection_seconds", false);
		printf("} %.9f\n", o->list[i].info.oom_policy.worst_ns / NSEC_PER_SEC);
	}
	family(o, "budget_seconds", false, "How long programs may be asked in one selection.");
	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		sample(&o->list[i], "budget_seconds", false);
		printf("} %.6f\n", o->list[i].info.oom_policy.budget_us / USEC_PER_SEC);
	}
}

static long count_entries(int fd, __u32 key_size)
{
	char *key = NULL, *next = malloc(key_size), *swap;
	long n = 0;

	while (next && !bpf_map_get_next_key(fd, key, next)) {
		n++;
		swap = key ?: malloc(key_size);
		key = next;
		next = swap;
	}
	free(key);
	free(next);
	return n;
}

typedef void (*map_fn)(const struct oom_policy *policy, int fd, const struct bpf_map_info *map);

/* Of all maps of all programs those that can be full. */
static void each_map(const struct output *o, map_fn fn)
{
	struct bpf_map_info map;
	struct bpf_prog_info prog;
	__u32 ids[64], len, n;
	int i, fd;

	for (i = next_policy(o, -1); i >= 0; i = next_policy(o, i)) {
		memset(&prog, 0, sizeof(prog));
		prog.nr_map_ids = ARRAY_SIZE(ids);
		prog.map_ids = ptr_to_u64(ids);
		len = sizeof(prog);
		fd = bpf_prog_get_fd_by_id(o->list[i].info.prog_id);
		if (fd < 0)
			continue;
		if (bpf_prog_get_info_by_fd(fd, &prog, &len))
			prog.nr_map_ids = 0;
		close(fd);
		for (n = 0; n < prog.nr_map_ids && n < ARRAY_SIZE(ids); n++) {
			memset(&map, 0, sizeof(map));
			len = sizeof(map);
			fd = bpf_map_get_fd_by_id(ids[n]);
			if (fd < 0)
				continue;
			if (!bpf_map_get_info_by_fd(fd, &map, &len) &&
			    map.type == BPF_MAP_TYPE_HASH)
				fn(&o->list[i], fd, &map);
			close(fd);
		}
	}
}

static void print_entries(const struct oom_policy *policy, int fd, const struct bpf_map_info *map)
{
	sample(policy, "map_entries", false);
	label("map", map->name, ',');
	printf("} %ld\n", count_entries(fd, map->key_size));
}

static void print_max_entries(const struct oom_policy *policy, int fd,
			      const struct bpf_map_info *map)
{
	sample(policy, "map_max_entries", false);
	label("map", map->name, ',');
	printf("} %u\n", map->max_entries);
}

static void print_recorder(const struct output *o)
{
	struct oom_record_state state;
	struct oom_recorder recorder;
	bool there;

	there = !oom_recorder_open(&recorder, true) && !oom_recorder_state(&recorder, &state);
	family(o, "recording", false, "Whether decisions are recorded.");
	printf(PREFIX "recording %d\n", there);
	if (!there)
		return;
	family(o, "recorded_decisions", true, "Decisions since the recorder was started.");
	printf(PREFIX "recorded_decisions_total %llu\n", state.seq);
	family(o, "recorded_kills", true, "Processes killed by them.");
	printf(PREFIX "recorded_kills_total %llu\n", state.kills);
	family(o, "recorded_useless_kills", true,
	       "Decisions that gave back less than an eighth of what their victims held.");
	printf(PREFIX "recorded_useless_kills_total %llu\n", state.useless);
	oom_recorder_close(&recorder);
}

int oom_do_metrics(int argc, char **argv)
{
	struct output o = {};

	if (argc && !strcmp(*argv, "openmetrics"))
		o.open = true;
	else if (argc)
		return oom_bad_arg(*argv);
	if (argc > 1)
		return oom_bad_arg(argv[1]);
	if (json_output) {
		oom_err("metrics has a format of its own: leave -j out");
		return -1;
	}
	o.nr = oom_policies(&o.list);
	if (o.nr < 0)
		return -1;
	print_info(&o);
	print_counters(&o);
	print_seconds(&o);
	family(&o, "map_entries", false, "Entries of a hash map of the program.");
	each_map(&o, print_entries);
	family(&o, "map_max_entries", false, "How many entries it has room for.");
	each_map(&o, print_max_entries);
	print_recorder(&o);
	if (o.open)
		puts("# EOF");
	return 0;
}
