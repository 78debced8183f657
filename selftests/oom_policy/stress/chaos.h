/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turmoil for the stress test: tasks that do to policies, cgroups and tasks
 * whatever can be done to them while somebody else runs out of memory.
 */
#ifndef SELFTESTS_OOM_POLICY_CHAOS_H
#define SELFTESTS_OOM_POLICY_CHAOS_H

#include <stdbool.h>
#include <linux/types.h>

#include "progs/stress.h"
#include "hostile.skel.h"
#include "stress.skel.h"

#define ARENA	"arena"
#define TENANTS	"arena/t0", "arena/t1", "arena/t2"
#define HOMES	"arena/t0/a", "arena/t0/b", "arena/t1/a", "arena/t1/b",	\
		"arena/t2/a", "arena/t2/b"

#define NR_ACTORS	10

/* In memory that the actors share with who started them. */
struct chaos_shared {
	__u32 stop;
	__u32 pulse;			/* something has happened */
	__u64 asked;			/* the watchdog */
	__u64 answered;
	__u64 done[NR_ACTORS];
	__u64 refused[NR_ACTORS];	/* of these, how many got an error */
	__u64 surprises;		/* answers that there should not be */
	__s64 last_surprise;
};

struct chaos {
	struct stress *stress;
	struct hostile *hostile;
	struct chaos_shared *shared;
	unsigned int seed;
	bool inject;			/* failing allocations are at hand */
	pid_t pid[NR_ACTORS];
};

/* How many tasks were killed so far. */
__u64 chaos_kills(const struct stress *stress);

/*
 * Ten processes that look again every millisecond would have the machine for
 * themselves: they wait for the pulse to change, or a second at most.
 */
void chaos_pulse(struct chaos_shared *shared);
__u32 chaos_feel(const struct chaos_shared *shared);
void chaos_wait(struct chaos_shared *shared, __u32 pulse);

/* Returns with a policy attached to the root; -1 if that does not come about. */
int chaos_start(struct chaos *chaos);

/* -1 if somebody does not end. Prints what everybody has done. */
int chaos_stop(void);

#endif /* SELFTESTS_OOM_POLICY_CHAOS_H */
