/* SPDX-License-Identifier: GPL-2.0-only */
/* Early kills, by progs/early.bpf.c. */
#ifndef SELFTESTS_OOM_POLICY_EARLY_KILL_H
#define SELFTESTS_OOM_POLICY_EARLY_KILL_H

#include "policy.h"
#include "early.skel.h"

/* With only that program of the optional ones; NULL: none. */
struct early *early_load(const char *name);

/* What bpf_oom_policy_kill() has answered; less than 0 as well if it was not called. */
int early_kill(struct early *early, __u64 cgroup_id, __u64 flags);

/* A policy, not attached yet, and whoever it may kill: by early kills, and held. */
struct early_scene {
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	struct early *early;
	struct holder holder;
};

/* @name: as of early_load(). The link is for the test to make. */
int early_scene_set(struct early_scene *scene, const char *tree, const char *name);

/* Those who are held go first. */
void early_scene_clear(struct early_scene *scene);

/* How often events had to wait for the grace of a link's last victim. */
__u64 times_held(const struct bpf_link *link);

#endif /* SELFTESTS_OOM_POLICY_EARLY_KILL_H */
