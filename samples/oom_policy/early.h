/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conditions under which to kill early, watched: early.c. The kernel says when a pressure
 * begins to be one; from then on all conditions are looked at in each window, until no
 * pressure is left.
 */
#ifndef SAMPLES_OOM_POLICY_EARLY_H
#define SAMPLES_OOM_POLICY_EARLY_H

#include "oom_conf.h"
#include "tool.h"

#define EARLY_WINDOW_MS	1000

struct early_condition {
	struct oom_condition is;
	int fd;			/* of a pressure: its file, with a trigger */
	bool holds;
	long long since_ms;	/* if it does */
	double value;		/* percent, in the last window */
	__u64 total_us;		/* of a pressure, at looked_ms */
	long long looked_ms;
};

/* The machine has no files of the second kind: their descriptors are -1. */
struct early {
	struct scope scope;
	unsigned int window_ms;
	int nr;
	struct early_condition conditions[MAX_CONDITIONS];
	int current_fd, max_fd, high_fd, stat_fd, swap_current_fd, swap_max_fd;
	bool awake;		/* some pressure holds */
	bool gone;		/* with its cgroup */
	long long next_ms;	/* awake: when to look again */
};

/* What is left to say of a condition, as bits per condition; for who tells changes. */
#define EARLY_HOLDS(n)	(1U << (2 * (n)))
#define EARLY_MET(n)	(2U << (2 * (n)))

/* early_open() - set the triggers; scope, window and conditions are there. 0 or -1 */
int early_open(struct early *early);

/* early_wake() - the trigger of a condition says that it holds */
void early_wake(struct early *early, struct early_condition *condition, long long now_ms);

/*
 * early_look() - measure what is to be measured by now
 *
 * Nothing is allocated here, but the kernel takes a page to tell what of a cgroup's
 * memory is "free".
 *
 * Return: EARLY_* bits of all conditions.
 */
unsigned int early_look(struct early *early, long long now_ms);

/* early_met() - all conditions hold, each for as long as it has to */
bool early_met(const struct early *early, unsigned int state);

/* early_reset() - everything begins anew */
void early_reset(struct early *early);

#endif /* SAMPLES_OOM_POLICY_EARLY_H */
