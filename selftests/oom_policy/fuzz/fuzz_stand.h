/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A random tree in the machine: real cgroups, tasks and policies, and how its tasks
 * have died. The tasks are children of this program, on one CPU with it.
 *
 * Functions return 0, or -1 with the reason told.
 */
#ifndef SELFTESTS_OOM_POLICY_FUZZ_STAND_H
#define SELFTESTS_OOM_POLICY_FUZZ_STAND_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "fuzz_tree.h"
#include "policy.h"
#include "fuzz.skel.h"

/* Of a task: what it takes at first, and from the middle on what it asks for. */
#define ROOM_PAGES	4096

#define PATH_SIZE	64

struct shared {
	int ready;	/* tasks that have their memory */
	int asked;	/* tasks that have asked for more */
	pid_t sharer[MODEL_TASKS];	/* those who were born with another's */
};

/* One tree in the machine. */
struct stand {
	struct fuzz_tree tree;
	pid_t pid[MODEL_TASKS];		/* 0: dead and buried */
	pid_t born[MODEL_TASKS];	/* the same, for ever */
	struct bpf_link *link[MODEL_POLICIES];
	int file;			/* what a leaf is full of, or -1 */
	int kills[MODEL_NODES];		/* so far, at or below the node */
	int groups[MODEL_NODES];	/* those that may be counted, too */
	bool seen[MODEL_NR_SEEN];
};

struct machine {
	struct policy *recorder;
	struct fuzz *judges;
	struct shared *shared;
	char *room;		/* where each task has its memory */
	long page;
	long ram;		/* pages */
};

extern struct machine machine;

/* There is one CPU for all: let the others run meanwhile. */
#define wait_for(cond)	wait_until((sched_yield(), (cond)))

int stand_make(struct stand *stand);
int stand_remove(struct stand *stand);

/* As long as the tree says that it is. */
int stand_fill(struct stand *stand);
const struct bpf_program *stand_program(const struct fuzz_tree *tree, int node,
					enum model_stage stage);

/* Notes who has died; how many of the tasks have, as far as noted. */
int stand_bury_the_dead(struct stand *stand, bool *died);

/* Somebody has died, and not yet all who had the same memory. */
bool stand_some_die(const struct stand *stand, const bool *died);

/* What a task does on SIGUSR1. */
void stand_ask_for_more(int signal);

#endif /* SELFTESTS_OOM_POLICY_FUZZ_STAND_H */
