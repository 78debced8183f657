/* SPDX-License-Identifier: GPL-2.0-only */
/* What the actors of the stress test share; chaos.h is for who starts them. */
#ifndef SELFTESTS_OOM_POLICY_CHAOS_ACTS_H
#define SELFTESTS_OOM_POLICY_CHAOS_ACTS_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

#include "kselftest.h"
#include "chaos.h"

/* Of the process that runs an actor. */
extern struct chaos *chaos;

/* A random number below @n. */
int pick(int n);

/* One of the elements of an array. */
#define PICK(...)	((__VA_ARGS__)[pick(ARRAY_SIZE(__VA_ARGS__))])

bool stopped(void);

/* Makes an epoch of the judge odd, or even again. */
void chaos_announce(__u32 *epoch);

/* Returns when somebody has been killed @n times more, or when all is to stop. */
void await_kills(__u64 n);

/* Like the helpers', for what may well fail: they say nothing. */
int put(const char *cgroup, const char *file, const char *text);
int put_file(const char *path, const char *text);
int put_adj(pid_t pid, int adj);
int open_place(const char *cgroup);

/*
 * The acts. -1 if it was refused: cgroups vanish, slots are taken, allocations are
 * made to fail.
 */
int act_policies(void);
int act_root(void);
int act_rehearsals(void);
int act_cgroups(void);
int act_moves(void);
int act_bombs(void);
int act_knobs(void);
int act_caches(void);

/* Attaches an honest policy to the root, and says so to the judge. */
int install_root(void);

#endif /* SELFTESTS_OOM_POLICY_CHAOS_ACTS_H */
