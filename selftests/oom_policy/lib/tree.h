/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trees of cgroups whose tasks hold memory.
 *
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
#ifndef SELFTESTS_OOM_POLICY_TREE_H
#define SELFTESTS_OOM_POLICY_TREE_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

#define MAX_NODES	16
#define MAX_TASKS	4

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

/* Ends the program with a skip if somebody else keeps cgroups here. */
void require_bare_machine(void);

int tree_make(struct tree *tree, const char *text);
void tree_remove(struct tree *tree);
struct node *tree_find(struct tree *tree, const char *path);
struct node *tree_find_id(struct tree *tree, __u64 id);
struct node *tree_find_pid(struct tree *tree, pid_t pid);

/* How many tasks have died of SIGKILL so far. */
int node_killed(struct node *node);
int tree_killed(struct tree *tree);

#endif /* SELFTESTS_OOM_POLICY_TREE_H */
