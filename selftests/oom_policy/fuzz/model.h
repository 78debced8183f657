/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has to die: the rules of selection in user space, over a tree in memory.
 *
 * This is written from Documentation/bpf/prog_oom_policy.rst alone, to be held
 * against the kernel. It promises nothing about speed and shares no line with
 * what it judges.
 */
#ifndef SELFTESTS_OOM_POLICY_MODEL_H
#define SELFTESTS_OOM_POLICY_MODEL_H

#include <stdbool.h>
#include <linux/types.h>

#define MODEL_NODES	40
#define MODEL_TASKS	16
#define MODEL_POLICIES	6

#define MODEL_ROOT	0
#define MODEL_NONE	(-1)

/* memory.oom.priority, as far as the kernel itself goes by it. */
enum model_priority {
	MODEL_UNSET,
	MODEL_SET,
	MODEL_MAX,
	MODEL_NR_PRIORITIES,
};

/* What a policy compares. */
enum model_stage {
	MODEL_OF_MEMCGS,
	MODEL_OF_TASKS,
	MODEL_NR_STAGES,
};

/* What came of the last kills in a memcg that a policy had chosen; pages. */
struct model_futile {
	bool watched;		/* the last one is still to be judged */
	bool unclear;		/* and who shared its memory may have gone after it */
	long usage;		/* when that was */
	long low;		/* the least since then */
	long last;		/* what its victim held */
	long held;		/* what the victims of @kills held in all */
	int kills;		/* how many in a row were in vain */
};

/* A memcg. Parents come before their children, siblings in order of creation. */
struct model_node {
	int parent;		/* MODEL_NONE: the root */
	__u64 id;
	long usage;		/* pages */
	long freeable;		/* of these, what does not outlive its tasks */
	struct model_futile futile;
	bool group;		/* memory.oom.group */
	enum model_priority priority;
	int policy[MODEL_NR_STAGES];	/* those attached here, or MODEL_NONE */
};

struct model_task {
	int node;
	int adj;		/* oom_score_adj */
	long pages;		/* of memory that no other task has, but those with the same mm */
	long held;		/* all that it has mapped */
	int mm;			/* the task that had it first: its own number, or a lower one */
	bool alive;
};

struct model {
	struct model_node node[MODEL_NODES];
	int nr_nodes;
	struct model_task task[MODEL_TASKS];
	int nr_tasks;
	__u32 flags[MODEL_POLICIES];	/* BPF_F_OOM_POLICY_* */
	int max_futile[MODEL_POLICIES];	/* 0: any number */
	int nr_policies;
	/* BPF_OOM_*, what @policy answers; not EQUAL about the root, whose usage is unknown */
	int (*judge)(const struct model *model, int policy, int node_1, int node_2);
	/* The same for tasks; whom it has chosen must not depend on their order */
	int (*judge_tasks)(const struct model *model, int policy, int task_1, int task_2);
};

struct model_event {
	int scope;		/* a node; the root: the whole machine is short */
	long pages;		/* in the scope: RAM, or the limit */
};

/* What it took to find the answer. */
enum model_seen {
	MODEL_BACKTRACKED,	/* somewhere there was nobody to kill */
	MODEL_TIE,		/* EQUAL, and the kernel had to choose */
	MODEL_GROUP,		/* memory.oom.group said who dies as well */
	MODEL_NESTED,		/* a policy below the first one was asked */
	MODEL_HANDED_OVER,	/* oom_badness() picked, and a policy picked again */
	MODEL_INTRANSITIVE,	/* a winner would have lost to one it never met */
	MODEL_ABSTAINED,
	MODEL_KILL_ALL,		/* more than one died because of the flag */
	MODEL_ROOT_TASKS,	/* the root's own tasks took part */
	MODEL_MEMCG,		/* a policy ruled over a memcg OOM */
	MODEL_LEFT_OUT,		/* somebody was never a candidate */
	MODEL_TASK_STAGE,	/* a policy chose among tasks */
	MODEL_TASKS_ALONE,	/* the same, and none chose a memcg before */
	MODEL_TASKS_ABSTAINED,
	MODEL_SPARED,		/* somebody lives for the sake of one elsewhere */
	MODEL_NOT_SPARED,	/* nobody else was left, so that one elsewhere dies, too */
	MODEL_PASSED_OVER,	/* a leaf whose last kills were in vain */
	MODEL_TOO_LITTLE,	/* one in its place that had no more to give */
	MODEL_ALL_IN_VAIN,	/* nobody else was left, so that nobody was passed over */
	MODEL_CHANGED,		/* a leaf was passed over no more */
	MODEL_NR_SEEN,
};

struct model_answer {
	int chosen;		/* the memcg, or MODEL_NONE: nobody can be killed */
	int task;		/* the task picked in it */
	bool dies[MODEL_TASKS];
	int nr_dead;
	bool by_stock;		/* no policy found anybody */
	bool together;		/* with all others of a memcg, be there any */
	long margin;		/* pages that the closest call was decided by */
	struct model_futile futile[MODEL_NODES];	/* as the event leaves it behind */
	bool seen[MODEL_NR_SEEN];
};

bool model_is_below(const struct model *model, int node, int top);

/* The node whose policy rules at @node, none of those above @top; MODEL_NONE: no top. */
int model_ruler(const struct model *model, const struct model_event *event, int node,
		int top, enum model_stage stage);
void model_select(const struct model *model, const struct model_event *event,
		  struct model_answer *answer);

#endif /* SELFTESTS_OOM_POLICY_MODEL_H */
