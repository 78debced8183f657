// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "show": which OOM policies there are, as a tree of cgroups, where they are pinned
 * and what they have done. Also what "bpftool link show" says of their links.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/hashmap.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

/* Where it is this, it was not asked for. */
#define DEFAULT_FUTILE	3

#define COUNTER(field) { #field, offsetof(struct bpf_link_info, oom_policy.field) }

static const struct oom_counter counters[] = {
	COUNTER(selections),
	COUNTER(comparisons),
	COUNTER(kills),
	COUNTER(fallback_none_eligible),
	COUNTER(fallback_budget),
	COUNTER(fallback_abstain),
	COUNTER(fallback_disabled),
	COUNTER(fallback_in_flight),
	COUNTER(fallback_grace),
	COUNTER(fallback_futile),
	COUNTER(spared),
	COUNTER(last_victim_cgroup_id),
	COUNTER(last_ns),
	COUNTER(worst_ns),
};

static __u64 counter_value(const struct bpf_link_info *info, const struct oom_counter *c)
{
	return *(const __u64 *)((const char *)info + c->offset);
}

/**
 * oom_counter_at() - one of the counters of a link
 * @i: which one, from 0 on
 *
 * Return: NULL if there are no more.
 */
const struct oom_counter *oom_counter_at(size_t i)
{
	return i < ARRAY_SIZE(counters) ? &counters[i] : NULL;
}

static const char *state_name(const struct bpf_link_info *info)
{
	switch (info->oom_policy.state) {
	case BPF_OOM_LINK_DETACHED:
		return "detached";
	case BPF_OOM_LINK_DORMANT:
		return "dormant";
	case BPF_OOM_LINK_IN_FORCE:
		return "in_force";
	default:
		return "unknown";
	}
}

void oom_policy_dump_plain(const struct bpf_link_info *info)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	char *path = oom_cgroup_path(info->oom_policy.cgroup_id);
	size_t i;

	oom_printf("\n\tcgroup_id %llu  ", info->oom_policy.cgroup_id);
	if (path)
		oom_printf("cgroup %s  ", path);
	if (type)
		oom_printf("attach_type %s  ", type);
	else
		oom_printf("attach_type %u  ", info->oom_policy.attach_type);
	oom_printf("state %s\n\tflags %#x  budget_us %u  grace_ms %u  max_futile %u",
		   state_name(info), info->oom_policy.flags, info->oom_policy.budget_us,
		   info->oom_policy.grace_ms, info->oom_policy.max_futile);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		oom_printf("%s%s %llu", i % 3 ? "  " : "\n\t", counters[i].name,
			   counter_value(info, &counters[i]));
	free(path);
}

void oom_policy_dump_json(const struct bpf_link_info *info, json_writer_t *wtr)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	char *path = oom_cgroup_path(info->oom_policy.cgroup_id);
	size_t i;

	oom_json_cgroup(wtr, "cgroup", info->oom_policy.cgroup_id, path);
	if (type)
		jsonw_string_field(wtr, "attach_type", type);
	else
		jsonw_uint_field(wtr, "attach_type", info->oom_policy.attach_type);
	jsonw_string_field(wtr, "state", state_name(info));
	jsonw_uint_field(wtr, "flags", info->oom_policy.flags);
	jsonw_uint_field(wtr, "budget_us", info->oom_policy.budget_us);
	jsonw_uint_field(wtr, "grace_ms", info->oom_policy.grace_ms);
	jsonw_uint_field(wtr, "max_futile", info->oom_policy.max_futile);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		jsonw_lluint_field(wtr, counters[i].name, counter_value(info, &counters[i]));
	free(path);
}

static const char *type_note(const struct oom_policy *policy)
{
	return policy->info.oom_policy.attach_type == BPF_OOM_POLICY_TASK ? ", type task" : "";
}

static void show_flags_plain(__u32 bits)
{
	const char *sep = "flags ";
	size_t i;

	if (!bits)
		oom_printf("flags none");
	for (i = 0; i < OOM_NR_FLAGS; i++) {
		if (bits & oom_flags[i].bit) {
			oom_printf("%s%s", sep, oom_flags[i].name);
			sep = ",";
		}
		bits &= ~oom_flags[i].bit;
	}
	if (bits)
		oom_printf("%s%#x", sep, bits);
}

static void show_fallbacks_plain(const struct bpf_link_info *info)
{
	static const char prefix[] = "fallback_";
	const char *sep = "  fallbacks ", *c;
	bool any = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (!is_prefix(prefix, counters[i].name) || !counter_value(info, &counters[i]))
			continue;
		any = true;
		oom_printf("%s", sep);
		for (c = counters[i].name + strlen(prefix); *c; c++)
			putchar(*c == '_' ? ' ' : *c);
		oom_printf(" %llu", counter_value(info, &counters[i]));
		sep = ", ";
	}
	if (!any)
		oom_printf("  fallbacks none");
}

static void show_pins_plain(struct hashmap *pins, __u32 id)
{
	struct hashmap_entry *entry;
	bool pinned = false;

	hashmap__for_each_key_entry(pins, entry, id) {
		oom_printf(", pinned %s", (char *)entry->pvalue);
		pinned = true;
	}
	if (!pinned)
		oom_printf(", not pinned");
}

/* @indent: what stands to the left of the lines after the first. */
static void show_policy_plain(const struct oom_policy *policy, struct hashmap *pins,
			      const char *indent)
{
	const struct bpf_link_info *info = &policy->info;
	char name[MAX_PROG_FULL_NAME];
	char *victim, *path = NULL;

	oom_prog_name(info->prog_id, name, sizeof(name));
	if (info->oom_policy.cgroup_id)
		path = oom_cgroup_name(info->oom_policy.cgroup_id);
	oom_printf("%s: %s (prog id %u), link id %u%s", path ?: "detached", name,
		   info->prog_id, info->id, type_note(policy));
	free(path);
	show_pins_plain(pins, info->id);

	if (info->oom_policy.state == BPF_OOM_LINK_DORMANT)
		oom_printf("\n%sdormant: no memory controller", indent);

	oom_printf("\n%s", indent);
	show_flags_plain(info->oom_policy.flags);
	oom_printf("  budget %u us", info->oom_policy.budget_us);
	if (info->oom_policy.grace_ms)
		oom_printf("  grace %u ms", info->oom_policy.grace_ms);
	if (info->oom_policy.max_futile != DEFAULT_FUTILE)
		oom_printf("  futile %u", info->oom_policy.max_futile);

	oom_printf("\n%sselections %llu  comparisons %llu  kills %llu", indent,
		   info->oom_policy.selections, info->oom_policy.comparisons,
		   info->oom_policy.kills);
	if (info->oom_policy.spared)
		oom_printf("  spared %llu", info->oom_policy.spared);
	if (info->oom_policy.last_victim_cgroup_id) {
		victim = oom_cgroup_name(info->oom_policy.last_victim_cgroup_id);
		oom_printf("  last victim %s", victim ?: "?");
		free(victim);
	}

	oom_printf("\n%slast %llu us  worst %llu us", indent, info->oom_policy.last_ns / 1000,
		   info->oom_policy.worst_ns / 1000);
	show_fallbacks_plain(info);
	putchar('\n');
}

static void show_policy_json(const struct oom_policy *policy, struct hashmap *pins)
{
	const struct bpf_link_info *info = &policy->info;
	char name[MAX_PROG_FULL_NAME];
	struct hashmap_entry *entry;
	char *victim;
	size_t i;

	oom_prog_name(info->prog_id, name, sizeof(name));
	victim = oom_cgroup_path(info->oom_policy.last_victim_cgroup_id);

	jsonw_start_object(json_wtr);
	jsonw_string_field(json_wtr, "prog_name", name);
	jsonw_uint_field(json_wtr, "prog_id", info->prog_id);
	jsonw_uint_field(json_wtr, "link_id", info->id);
	oom_policy_dump_json(info, json_wtr);
	jsonw_name(json_wtr, "flag_names");
	jsonw_start_array(json_wtr);
	for (i = 0; i < OOM_NR_FLAGS; i++)
		if (info->oom_policy.flags & oom_flags[i].bit)
			jsonw_string(json_wtr, oom_flags[i].name);
	jsonw_end_array(json_wtr);
	if (victim)
		jsonw_string_field(json_wtr, "last_victim_cgroup", victim);
	else
		jsonw_null_field(json_wtr, "last_victim_cgroup");
	jsonw_name(json_wtr, "pinned");
	jsonw_start_array(json_wtr);
	hashmap__for_each_key_entry(pins, entry, info->id)
		jsonw_string(json_wtr, entry->pvalue);
	jsonw_end_array(json_wtr);
	jsonw_end_object(json_wtr);
	free(victim);
}

/* What "show" is about: all of it, or a cgroup and what is below it. */
struct show {
	const struct oom_policy *list;
	int nr;
	const struct oom_policy *ruling[2];	/* cgroups and tasks */
	const char *path;
	struct hashmap *pins;
};

static bool is_shown(const struct show *show, int i)
{
	const struct oom_policy *policy = &show->list[i];

	if (!show->path)
		return true;
	return policy == show->ruling[0] || policy == show->ruling[1] ||
	       (policy->path && oom_path_below(policy->path, show->path));
}

/* The nearest of those shown that is above it, -1 if there is none. */
static int parent_of(const struct show *show, int i)
{
	const char *path = show->list[i].path;
	int j;

	for (j = i - 1; path && j >= 0; j--)
		if (is_shown(show, j) && strcmp(show->list[j].path, path) &&
		    oom_path_below(path, show->list[j].path))
			return j;
	return -1;
}

static int next_child(const struct show *show, int parent, int i)
{
	for (i++; i < show->nr; i++)
		if (is_shown(show, i) && parent_of(show, i) == parent)
			return i;
	return -1;
}

static void show_below_plain(const struct show *show, int parent, const char *prefix)
{
	char indent[256], below[sizeof(indent) + 4];
	int i, next;

	for (i = next_child(show, parent, parent); i >= 0; i = next) {
		next = next_child(show, parent, i);
		if (parent >= 0) {
			oom_printf("%s%c-- ", prefix, next < 0 ? '`' : '|');
			snprintf(indent, sizeof(indent), "%.200s%c   ", prefix,
				 next < 0 ? ' ' : '|');
		} else {
			indent[0] = '\0';
		}
		snprintf(below, sizeof(below), "%s%c   ", indent,
			 next_child(show, i, i) < 0 ? ' ' : '|');
		show_policy_plain(&show->list[i], show->pins, below);
		show_below_plain(show, i, indent);
	}
}

static void show_json(const struct show *show)
{
	int i;

	jsonw_start_object(json_wtr);
	jsonw_bool_field(json_wtr, "enabled", oom_policy_enabled());
	jsonw_bool_field(json_wtr, "private_namespace", oom_private_namespace());
	jsonw_name(json_wtr, "policies");
	jsonw_start_array(json_wtr);
	for (i = 0; i < show->nr; i++)
		if (is_shown(show, i))
			show_policy_json(&show->list[i], show->pins);
	jsonw_end_array(json_wtr);
	jsonw_end_object(json_wtr);
}

int oom_do_show(int argc, char **argv)
{
	struct oom_cgroup cgroup = {};
	struct show show = {};
	int err = -1;

	if (argc > 1) {
		oom_err("show takes one cgroup at most, what is '%s'?", argv[1]);
		return -1;
	}
	if (argc && oom_cgroup_parse(*argv, &cgroup))
		return -1;
	show.path = cgroup.path;
	show.nr = oom_policies(&show.list);
	if (show.nr < 0)
		goto out;
	if (show.path) {
		show.ruling[0] = oom_policy_ruling(show.path, BPF_OOM_POLICY);
		show.ruling[1] = oom_policy_ruling(show.path, BPF_OOM_POLICY_TASK);
	}
	show.pins = oom_link_pins();
	if (!show.pins)
		goto out;

	if (json_output) {
		show_json(&show);
	} else {
		show_below_plain(&show, -1, "");
		if (next_child(&show, -1, -1) < 0)
			p_info("no OOM policy is attached");
		else if (!oom_policy_enabled())
			printf("switched off by vm.oom_policy_enabled: the stock killer decides\n");
	}
	delete_pinned_obj_table(show.pins);
	err = 0;
out:
	oom_cgroup_free(&cgroup);
	return err;
}
