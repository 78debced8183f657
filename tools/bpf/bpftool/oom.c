// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What bpftool says of OOM policies: the links of BPF_PROG_TYPE_OOM_POLICY and
 * their counters, plain and JSON, with the names of struct bpf_link_info.
 */
#include <stddef.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"

#define COUNTER(field) { #field, offsetof(struct bpf_link_info, oom_policy.field) }

static const struct counter {
	const char *name;
	size_t offset;
} counters[] = {
	COUNTER(selections),
	COUNTER(comparisons),
	COUNTER(kills),
	COUNTER(fallback_none_eligible),
	COUNTER(fallback_budget),
	COUNTER(fallback_abstain),
	COUNTER(fallback_disabled),
	COUNTER(fallback_in_flight),
	COUNTER(last_victim_cgroup_id),
	COUNTER(last_ns),
	COUNTER(worst_ns),
};

static __u64 counter_value(const struct bpf_link_info *info, const struct counter *c)
{
	return *(const __u64 *)((const char *)info + c->offset);
}

void oom_policy_dump_plain(const struct bpf_link_info *info)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	size_t i;

	printf("\n\tcgroup_id %llu  ", info->oom_policy.cgroup_id);
	if (type)
		printf("attach_type %s  ", type);
	else
		printf("attach_type %u  ", info->oom_policy.attach_type);
	printf("flags %#x  budget_us %u  grace_ms %u", info->oom_policy.flags,
	       info->oom_policy.budget_us, info->oom_policy.grace_ms);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		printf("%s%s %llu", i % 3 ? "  " : "\n\t", counters[i].name,
		       counter_value(info, &counters[i]));
}

void oom_policy_dump_json(const struct bpf_link_info *info, json_writer_t *wtr)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	size_t i;

	jsonw_lluint_field(wtr, "cgroup_id", info->oom_policy.cgroup_id);
	if (type)
		jsonw_string_field(wtr, "attach_type", type);
	else
		jsonw_uint_field(wtr, "attach_type", info->oom_policy.attach_type);
	jsonw_uint_field(wtr, "flags", info->oom_policy.flags);
	jsonw_uint_field(wtr, "budget_us", info->oom_policy.budget_us);
	jsonw_uint_field(wtr, "grace_ms", info->oom_policy.grace_ms);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		jsonw_lluint_field(wtr, counters[i].name, counter_value(info, &counters[i]));
}
