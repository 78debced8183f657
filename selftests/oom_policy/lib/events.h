/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attaching policies with options, and memcg OOMs.
 *
 * Functions returning int give 0 or -1 with the reason already on stderr, as
 * KTAP diagnostics.
 */
#ifndef SELFTESTS_OOM_POLICY_EVENTS_H
#define SELFTESTS_OOM_POLICY_EVENTS_H

#include <bpf/libbpf.h>
#include <sys/types.h>
#include <linux/types.h>

#define MEGABYTE	(1024L * 1024)

/* Returns NULL if it cannot be attached. */
struct bpf_link *attach_with(const struct bpf_program *prog, const char *path,
			     __u32 flags, __u32 budget_us);

/*
 * A memcg out of memory until the end: a protected child lowers the limit of
 * @path below the usage; or it goes to @hog below @path and takes all that the
 * limit leaves. Whoever wants a known number of victims holds the tasks.
 */
struct memcg_shortage {
	const char *path;
	const char *hog;
	pid_t pid;
};

int memcg_shortage_begin(struct memcg_shortage *shortage, const char *path,
			 const char *hog);
int memcg_shortage_end(struct memcg_shortage *shortage);

int set_oom_score_adj(pid_t pid, int adj);

/* A task with so much memory in a cgroup; -1 if it does not get ready. */
pid_t task_start_in(const char *path, int megabytes, int adj);

/*
 * This process and all that it descends from are out of the OOM killer's reach:
 * for tests that let it choose among the tasks of the root cgroup.
 */
int protect_ancestors(void);

#endif /* SELFTESTS_OOM_POLICY_EVENTS_H */
