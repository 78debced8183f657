/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random trees of cgroups, tasks and policies, and what happens to them. The
 * same seed gives the same tree and, as long as the same tasks die, the same
 * events.
 */
#ifndef SELFTESTS_OOM_POLICY_FUZZ_TREE_H
#define SELFTESTS_OOM_POLICY_FUZZ_TREE_H

#include "model.h"
#include "progs/fuzz.h"

#define FUZZ_EVENTS	3
#define FUZZ_EVENTS_FULL	6	/* where kills in vain are to be seen */
#define FUZZ_DEPTH	6
#define FUZZ_FAN_OUT	12

/* How a program's table of verdicts is filled. */
enum fuzz_order {
	FUZZ_LOWER_FIRST,
	FUZZ_HIGHER_FIRST,
	FUZZ_CIRCLE,
	FUZZ_ANYHOW,
	FUZZ_NR_ORDERS,
};

enum fuzz_kind {
	FUZZ_SYSRQ,		/* global, asked for */
	FUZZ_PRESSURE,		/* global, the machine is full */
	FUZZ_LIMIT,		/* memcg, its limit sinks below its usage */
	FUZZ_CHARGE,		/* memcg, a task in it asks for more */
	FUZZ_NR_KINDS,
};

struct fuzz_tree {
	__u64 seed;
	__u64 state;		/* of the random numbers */
	struct model model;
	char path[MODEL_NODES][32];
	__u32 colour[MODEL_NODES];
	__u32 task_colour[MODEL_TASKS];
	int full;			/* a leaf whose file outlives its tasks, or MODEL_NONE */
	long file_pages;
	bool grows;			/* the file, before the next event */
	int nr_events;
	bool inside[MODEL_NODES];	/* its tasks sit in a cgroup without the controller */
	int table[MODEL_POLICIES];	/* from FUZZ_PROGS on: a policy for tasks */
	enum fuzz_order order[FUZZ_TABLES];
	bool shy[FUZZ_TABLES];		/* abstains now and then */
	__u8 verdicts[FUZZ_TABLES][FUZZ_COLOURS][FUZZ_COLOURS];
};

struct fuzz_event {
	enum fuzz_kind kind;
	struct model_event model;
	int asking;		/* the task of FUZZ_CHARGE */
};

void fuzz_plant(struct fuzz_tree *tree, __u64 seed);
void fuzz_next_event(struct fuzz_tree *tree, int number, struct fuzz_event *event);
void fuzz_show(const struct fuzz_tree *tree);
void fuzz_show_event(const struct fuzz_tree *tree, const struct fuzz_event *event);

#endif /* SELFTESTS_OOM_POLICY_FUZZ_TREE_H */
