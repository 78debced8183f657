// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test policy at work: loading it with the priorities of a tree, attaching
 * it, and telling what it has seen in the words of a test's expectation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "policy.h"

/* Its recorder is attached at once, compare() is not. */
struct policy *policy_load(const struct tree *tree)
{
	struct policy *policy = policy__open();
	int n;

	if (!policy)
		goto err;
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

struct bpf_link *policy_attach(struct policy *policy, const char *path)
{
	struct bpf_link *link;
	int fd;

	fd = cgroup_open(path);
	if (fd < 0)
		return NULL;
	link = bpf_program__attach_oom_policy(policy->progs.compare, fd, NULL);
	if (!link)
		diag("attaching the policy to /%s: %m", path);
	close(fd);
	return link;
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

/* "run(A,B)->A run(A,C)->A", in the order of the calls. */
void policy_tell_calls(const struct policy *policy, struct tree *tree,
		       char *text, size_t size)
{
	const struct call *call = policy->bss->calls;
	FILE *f = fmemopen(text, size, "w");
	__u32 n;

	for (n = 0; n < policy->bss->nr_calls && n < MAX_CALLS; n++, call++)
		fprintf(f, "%srun(%s,%s)->%s", n ? " " : "", name_of(tree, call->id_1),
			name_of(tree, call->id_2), verdict_of(tree, call));
	fputc('\0', f);
	fclose(f);
}

/* "A/E A/F": cgroups of the victims, in the order of the tree. */
void policy_tell_victims(const struct policy *policy, struct tree *tree,
			 char *text, size_t size)
{
	const __u32 nr_victims = policy->bss->nr_victims;
	FILE *f = fmemopen(text, size, "w");
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
}
