/* SPDX-License-Identifier: GPL-2.0-only */
/* Sample policies at work: loading an installed one, and making it choose. */
#ifndef SELFTESTS_OOM_POLICY_SAMPLE_H
#define SELFTESTS_OOM_POLICY_SAMPLE_H

#include <bpf/libbpf.h>

#include "tree.h"

#define SHARE		"/usr/lib/oom_policy"
#define SAMPLE_TASKS	4

struct sample {
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct bpf_link *link;
};

/* A task of its own size and oom_score_adj; none if it has no megabytes. */
struct sample_task {
	int megabytes;
	int adj;
};

/*
 * Attaches the policy @name to the root. If it knows priorities, those of the tree
 * that are not 0 are set. @floor: bytes, for a policy that has one.
 */
int sample_attach(struct sample *sample, const char *name, __u32 flags,
		  const struct tree *tree, __u64 floor);
void sample_detach(struct sample *sample);

/* Up to SAMPLE_TASKS tasks for a cgroup of the tree, "" for the root. */
int sample_add_tasks(struct tree *tree, const char *path, const struct sample_task *tasks);

/* Bytes of page cache charged to a cgroup, from a disk at /scratch. */
int sample_fill_cache(const char *path, int megabytes);

/* What lags behind in the statistics arrives there. */
int sample_flush_stats(const struct tree *tree);

#endif /* SELFTESTS_OOM_POLICY_SAMPLE_H */
