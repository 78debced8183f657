// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The links of OOM policies: which there are, which rules where, what their flags
 * are called and where they are pinned.
 *
 * The list is made once per command and kept until oom_link_done().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <linux/err.h>

#include <bpf/bpf.h>
#include <bpf/hashmap.h>

#include "main.h"
#include "oom.h"

#define OFF_SWITCH	"/proc/sys/vm/oom_policy_enabled"

static struct oom_policy *policies;
static int nr_policies = -1;

const struct oom_flag oom_flags[OOM_NR_FLAGS] = {
	{ "memcg",	BPF_F_OOM_POLICY_MEMCG },
	{ "kill_all",	BPF_F_OOM_POLICY_KILL_ALL },
	{ "root_tasks",	BPF_F_OOM_POLICY_ROOT_TASKS },
};

/* Parents before children: a slash sorts before everything else. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == '/')
		return *b ? -1 : 1;
	if (*b == '/')
		return *a ? 1 : -1;
	return (unsigned char)*a - (unsigned char)*b;
}

static int compare_policies(const void *a, const void *b)
{
	const struct oom_policy *policy_a = a, *policy_b = b;
	int ret;

	if (!policy_a->path || !policy_b->path) {
		if (policy_a->path)
			return -1;
		if (policy_b->path)
			return 1;
		return policy_a->info.id < policy_b->info.id ? -1 : 1;
	}
	ret = compare_paths(policy_a->path, policy_b->path);
	if (ret)
		return ret;
	return policy_a->info.oom_policy.attach_type < policy_b->info.oom_policy.attach_type ?
	       -1 : 1;
}

static int add_policy(const struct bpf_link_info *info)
{
	void *more = realloc(policies, (nr_policies + 1) * sizeof(*policies));

	if (!more) {
		oom_err("mem alloc failed");
		return -1;
	}
	policies = more;
	policies[nr_policies].info = *info;
	policies[nr_policies].path = oom_cgroup_path(info->oom_policy.cgroup_id);
	nr_policies++;
	return 0;
}

/**
 * oom_policies() - all links of OOM policies
 * @list: until oom_link_done()
 *
 * Parents come before children, those without a path last: detached ones, and those
 * that are not to be seen from here.
 *
 * Return: how many, or -1 with the reason told.
 */
int oom_policies(const struct oom_policy **list)
{
	__u32 id = 0;

	*list = policies;
	if (nr_policies >= 0)
		return nr_policies;
	if (oom_cgroup_mount())
		return -1;

	nr_policies = 0;
	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		int fd, err;

		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;	/* gone meanwhile, or EPERM at the next one */
		err = bpf_link_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_OOM_POLICY && add_policy(&info))
			return -1;
	}
	if (errno != ENOENT) {
		oom_err("cannot look for OOM policies: %s%s", strerror(errno),
			errno == EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return -1;
	}
	if (nr_policies)
		qsort(policies, nr_policies, sizeof(*policies), compare_policies);
	*list = policies;
	return nr_policies;
}

/**
 * oom_policy_at() - the policy attached to that very cgroup
 * @path: of the cgroup
 * @attach_type: for cgroups or for tasks
 *
 * After oom_policies().
 *
 * Return: NULL if there is none.
 */
const struct oom_policy *oom_policy_at(const char *path, __u32 attach_type)
{
	int i;

	for (i = 0; i < nr_policies; i++)
		if (policies[i].path && !strcmp(policies[i].path, path) &&
		    policies[i].info.oom_policy.attach_type == attach_type)
			return &policies[i];
	return NULL;
}

static const struct oom_policy *nearest(const char *path, __u32 attach_type, __u32 flags)
{
	const struct oom_policy *ruling = NULL;
	int i;

	for (i = 0; i < nr_policies; i++)
		if (policies[i].info.oom_policy.state == BPF_OOM_LINK_IN_FORCE &&
		    policies[i].path && oom_path_below(path, policies[i].path) &&
		    policies[i].info.oom_policy.attach_type == attach_type &&
		    (policies[i].info.oom_policy.flags & flags) == flags)
			ruling = &policies[i];
	return ruling;
}

/**
 * oom_policy_ruling() - the policy that compares what is below a cgroup
 * @path: of the cgroup
 * @attach_type: for cgroups or for tasks
 *
 * The one attached there or to the nearest above it; after oom_policies().
 *
 * Return: NULL if there is none.
 */
const struct oom_policy *oom_policy_ruling(const char *path, __u32 attach_type)
{
	return nearest(path, attach_type, 0);
}

/**
 * oom_policy_asked() - the policy that an OOM asks about what is below a cgroup
 * @path: of the cgroup
 * @attach_type: for cgroups or for tasks
 * @scope: the cgroup that meets its limit, or the root
 *
 * Those without the flag memcg have no say in the OOM of a memory cgroup, wherever
 * they are attached; after oom_policies().
 *
 * Return: NULL if there is none.
 */
const struct oom_policy *oom_policy_asked(const char *path, __u32 attach_type,
					  const char *scope)
{
	return nearest(path, attach_type, strcmp(scope, "/") ? BPF_F_OOM_POLICY_MEMCG : 0);
}

/**
 * oom_policy_enabled() - are policies asked at all?
 *
 * Return: false if vm.oom_policy_enabled is 0, or not there.
 */
bool oom_policy_enabled(void)
{
	FILE *f = fopen(OFF_SWITCH, "re");
	int enabled = 0;

	if (f) {
		if (fscanf(f, "%d", &enabled) != 1)
			enabled = 0;
		fclose(f);
	}
	return enabled;
}

/**
 * oom_link_done() - forget the list of links
 */
void oom_link_done(void)
{
	while (nr_policies > 0)
		free(policies[--nr_policies].path);
	nr_policies = -1;
	free(policies);
	policies = NULL;
}

/**
 * oom_link_pins() - where links are pinned
 *
 * Return: a table from ids to paths, for delete_pinned_obj_table(); NULL with the
 * reason told.
 */
struct hashmap *oom_link_pins(void)
{
	struct hashmap *pins;

	pins = hashmap__new(hash_fn_for_key_as_id, equal_fn_for_key_as_id, NULL);
	if (IS_ERR(pins)) {
		oom_err("mem alloc failed");
		return NULL;
	}
	if (build_pinned_obj_table(pins, BPF_OBJ_LINK)) {
		oom_err("cannot look for pinned links: %s", strerror(errno));
		delete_pinned_obj_table(pins);
		return NULL;
	}
	return pins;
}
