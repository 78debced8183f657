/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the OOM policy tests share: trees of cgroups whose tasks hold memory,
 * waiting for something to happen, and raising a global OOM.
 *
 * Functions returning int give 0 or -1 with the reason already on stderr, as
 * KTAP diagnostics, unless they say otherwise.
 */
#ifndef SELFTESTS_OOM_POLICY_HELPERS_H
#define SELFTESTS_OOM_POLICY_HELPERS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <linux/capability.h>
#include <linux/types.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define MAX_NODES	16
#define MAX_TASKS	4

/*
 * Far beyond what an emulated machine full of checks needs on a busy host: reaching
 * it is a failure.
 */
#define DEADLINE_S	100

/* The harness' own time-out, for tests that wait for more than one thing. */
#define TEST_TIMEOUT_S	(4 * DEADLINE_S)

time_t now_s(void);
void nap(void);

/* Looks again and again until @cond is true; false when the deadline passes. */
#define wait_until(cond) ({						\
	const time_t __end = now_s() + DEADLINE_S;			\
	bool __met;							\
									\
	while (!(__met = (cond)) && now_s() < __end)			\
		nap();							\
	__met;								\
})

#define diag(fmt, ...)	fprintf(stderr, "# " fmt "\n", ##__VA_ARGS__)

/* cgroups; every path is relative to CGROUP_ROOT, "" is the root */
int cgroup_open(const char *path);
__u64 cgroup_id(const char *path);
int cgroup_write(const char *path, const char *file, const char *text);
long cgroup_read_long(const char *path, const char *file, const char *key);
int cgroup_make(const char *path);
int cgroup_enable_memory(const char *path);
int cgroup_remove(const char *path);

/*
 * A tree is described by words, one per cgroup, parents first:
 *
 *	PATH=PRIORITY[,NM][,xTASKS][,adj=N][,group][,shared][,moved][,threads]
 *
 * NM: each task of the cgroup holds that many megabytes; no NM, no task.
 * adj: oom_score_adj of its tasks, 0 unless given. group: memory.oom.group=1.
 * shared: in memory that the OOM reaper cannot take. moved: allocated before
 * the task came here, so that the cgroup is charged nothing. threads: each task
 * has a second thread.
 */
struct node {
	char path[32];
	__s64 priority;
	__u64 id;
	int megabytes;
	int nr_tasks;
	int adj;
	bool group;
	bool shared;
	bool moved;
	bool threads;
	pid_t pid[MAX_TASKS];
	int status[MAX_TASKS];	/* of waitpid(), once dead */
	bool dead[MAX_TASKS];
};

struct tree {
	struct node node[MAX_NODES];
	int nr_nodes;
};

int tree_make(struct tree *tree, const char *text);
void tree_remove(struct tree *tree);
struct node *tree_find(struct tree *tree, const char *path);
struct node *tree_find_id(struct tree *tree, __u64 id);
struct node *tree_find_pid(struct tree *tree, pid_t pid);
int node_killed(struct node *node);
int tree_killed(struct tree *tree);

/* Ends the program with a skip if somebody else keeps cgroups here. */
void require_bare_machine(void);

/* The OOM killer must look elsewhere, whatever this process and its children do. */
int protect_self(void);

/* Keeps the named capabilities and no other. */
#define CAP(name)	(1ULL << CAP_##name)
#define ALL_CAPS	((1ULL << (CAP_LAST_CAP + 1)) - 1)
int keep_capabilities(__u64 caps);

int raise_oom_sysrq(void);

/*
 * Victims that stay: a tracer stops every task of the tree, or the second thread
 * of one that has two, where SIGKILL has arrived and the memory is still there.
 * Without it the stock killer has a gap: a victim's mm counts as done with just
 * before its memory is free, and whoever asks in between causes a second kill.
 */
struct holder {
	pid_t pid;
	const __u32 *stopped;	/* how many tasks are held so by now */
};

int hold_tasks(struct holder *holder, const struct tree *tree);
void let_go(struct holder *holder);

/* A child that takes page after page until *@sated is non-zero. */
pid_t hog_start(const __u32 *sated);

/* Exit status of a child, -1 if it was killed or does not end. */
int wait_exit(pid_t pid);

/*
 * A shortage: a reserve of memory, and a hog. Ending it gives the reserve back,
 * so that nobody needs a victim's memory any more.
 */
struct shortage {
	pid_t hog;
	void *reserve;
};

int shortage_begin(struct shortage *shortage, const __u32 *sated);
int shortage_end(struct shortage *shortage);

#endif /* SELFTESTS_OOM_POLICY_HELPERS_H */
