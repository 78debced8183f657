// SPDX-License-Identifier: GPL-2.0-only
/*
 * A policy that is asked and does not act; stage.h says what each function is for.
 */
#include <stdio.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "stage.h"

int stage_set(struct stage *stage)
{
	if (tree_make(&stage->tree, "A=0 B=1,2M C=1 A/x=0,2M A/y=1,2M") ||
	    cgroup_make("B/one") || cgroup_make("B/two"))
		return -1;
	stage->policy = policy_load(&stage->tree);
	if (!stage->policy)
		return -1;
	stage->link = attach_with(stage->policy->progs.compare, "",
				  .budget_us = NO_BUDGET_US);
	stage->prog = bpf_program__fd(stage->policy->progs.compare);
	return stage->link ? 0 : -1;
}

void stage_clear(struct stage *stage)
{
	bpf_link__destroy(stage->link);
	policy__destroy(stage->policy);
	cgroup_remove("B/one");
	cgroup_remove("B/two");
	tree_remove(&stage->tree);
}

const char *event_traces(const struct policy *policy, const struct bpf_link *link,
			 struct tree *tree)
{
	static char traces[256];
	struct bpf_link_info info;

	if (policy_info(link, &info))
		return "a link that cannot be read";
	if (!info.oom_policy.selections && !info.oom_policy.comparisons &&
	    !info.oom_policy.kills && !info.oom_policy.fallback_none_eligible &&
	    !info.oom_policy.fallback_abstain && !info.oom_policy.last_victim_cgroup_id &&
	    !info.oom_policy.worst_ns && !policy->bss->nr_events &&
	    !policy->bss->nr_victims && !tree_killed(tree))
		return "";
	snprintf(traces, sizeof(traces),
		 "%llu selections, %llu comparisons, %llu kills, %llu fallbacks, last victim %llu, worst %llu ns, %u events, %u victims, %d dead",
		 info.oom_policy.selections, info.oom_policy.comparisons,
		 info.oom_policy.kills,
		 info.oom_policy.fallback_none_eligible + info.oom_policy.fallback_abstain,
		 info.oom_policy.last_victim_cgroup_id, info.oom_policy.worst_ns,
		 policy->bss->nr_events, policy->bss->nr_victims, tree_killed(tree));
	return traces;
}
