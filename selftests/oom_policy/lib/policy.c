// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test policy at work: loading it with the priorities of a tree, attaching
 * it, and telling what it has seen in the words of a test's expectation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "policy.h"

#define TEXT_SIZE	1024

/* Part of the recorder is for a kernel that has no fexit, the rest for all others. */
static void choose_recorder(struct policy *policy)
{
	struct utsname kernel;
	bool no_fexit;

	no_fexit = !uname(&kernel) && kernel.machine[0] == 'i';
	bpf_program__set_autoload(policy->progs.on_event, !no_fexit);
	bpf_program__set_autoload(policy->progs.on_unmarked, !no_fexit);
	bpf_program__set_autoload(policy->progs.on_event_i386_begins, no_fexit);
	bpf_program__set_autoload(policy->progs.on_event_i386, no_fexit);
	bpf_program__set_autoload(policy->progs.on_unmarked_i386, no_fexit);
}

/* Its recorder is attached at once, compare() is not. */
struct policy *policy_load(const struct tree *tree)
{
	struct policy *policy = policy__open();
	int n;

	if (!policy)
		goto err;
	choose_recorder(policy);
	bpf_program__set_autoattach(policy->progs.compare, false);
	if (policy__load(policy) || policy__attach(policy))
		goto err;
	for (n = 0; n < tree->nr_nodes; n++)
		if (bpf_map__update_elem(policy->maps.oom_priority, &tree->node[n].id,
					 sizeof(tree->node[n].id),
					 &tree->node[n].priority,
					 sizeof(tree->node[n].priority), BPF_ANY))
			goto err;
	policy->bss->victims_wanted = 1;
	return policy;
err:
	diag("loading the policy: %m");
	policy__destroy(policy);
	return NULL;
}

int policy_info(const struct bpf_link *link, struct bpf_link_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_link_get_info_by_fd(bpf_link__fd(link), info, &size);
}

static const char *name_of(struct tree *tree, __u64 id)
{
	const struct node *node = tree_find_id(tree, id);

	return node ? node->path : "?";
}

static const char *verdict_of(struct tree *tree, const struct call *call)
{
	switch (call->verdict) {
	case BPF_OOM_EQUAL:
		return "equal";
	case BPF_OOM_FIRST:
		return name_of(tree, call->id_1);
	case BPF_OOM_SECOND:
		return name_of(tree, call->id_2);
	default:
		return "abstain";
	}
}

const char *policy_calls(const struct policy *policy, struct tree *tree)
{
	const struct call *call = policy->bss->calls;
	static char text[TEXT_SIZE];
	FILE *f = fmemopen(text, sizeof(text), "w");
	__u32 n;

	for (n = 0; n < policy->bss->nr_calls && n < MAX_CALLS; n++, call++)
		fprintf(f, "%srun(%s,%s)->%s", n ? " " : "", name_of(tree, call->id_1),
			name_of(tree, call->id_2), verdict_of(tree, call));
	fputc('\0', f);
	fclose(f);
	return text;
}

const char *policy_victims(const struct policy *policy, struct tree *tree)
{
	const __u32 nr_victims = policy->bss->nr_victims;
	static char text[TEXT_SIZE];
	FILE *f = fmemopen(text, sizeof(text), "w");
	__u32 n, found = 0;
	int i;

	for (i = 0; i < tree->nr_nodes; i++)
		for (n = 0; n < nr_victims && n < MAX_VICTIMS; n++)
			if (tree_find_pid(tree, policy->bss->victims[n]) == &tree->node[i])
				fprintf(f, "%s%s", found++ ? " " : "",
					tree->node[i].path);
	if (found != nr_victims)
		fprintf(f, " and %u outside the tree", nr_victims - found);
	fputc('\0', f);
	fclose(f);
	return text;
}

bool policy_victims_died(const struct policy *policy, struct tree *tree)
{
	const int nr_victims = policy->bss->nr_victims;

	return wait_until(tree_killed(tree) >= nr_victims) &&
	       tree_killed(tree) == nr_victims;
}

int policy_event(const struct policy *policy)
{
	const __u32 before = policy->bss->nr_events;

	if (raise_oom_sysrq())
		return -1;
	return wait_until(policy->bss->nr_events > before) ? 0 : -1;
}

/* No word before the machine has memory again: saying it takes some. */
int policy_shortage(struct policy *policy, const struct tree *tree)
{
	struct shortage shortage = {};
	struct holder holder;
	bool sated = false;
	int err;

	if (hold_tasks(&holder, tree))
		return -1;
	err = shortage_begin(&shortage, &policy->bss->sated);
	if (!err)
		sated = wait_until(policy->bss->sated);
	policy->bss->sated = true;
	err |= shortage_end(&shortage);
	let_go(&holder);
	return err || !sated ? -1 : 0;
}

int policy_memcg_shortage(const struct policy *policy, const struct tree *tree,
			  const char *path, const char *hog, __u32 victims)
{
	struct memcg_shortage shortage = {};
	struct holder holder;
	bool killed = false;
	int err;

	if (hold_tasks(&holder, tree))
		return -1;
	err = memcg_shortage_begin(&shortage, path, hog);
	if (!err)
		killed = wait_until(policy->bss->nr_victims >= victims);
	err |= memcg_shortage_end(&shortage);
	let_go(&holder);
	return err || !killed ? -1 : 0;
}
