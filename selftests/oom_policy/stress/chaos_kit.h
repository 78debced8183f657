/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the stress test and its actors share: where they are, what they tell each
 * other, and what acts are made of. It knows no act.
 */
#ifndef SELFTESTS_OOM_POLICY_CHAOS_KIT_H
#define SELFTESTS_OOM_POLICY_CHAOS_KIT_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

#include "kselftest.h"
#include "progs/stress.h"
#include "hostile.skel.h"
#include "stress.skel.h"

#define ARENA	"arena"
#define TENANTS	"arena/t0", "arena/t1", "arena/t2"
#define HOMES	"arena/t0/a", "arena/t0/b", "arena/t1/a", "arena/t1/b",	\
		"arena/t2/a", "arena/t2/b"

#define NR_ACTORS	11

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

/* Of the test, and of each process that runs an actor. */
extern struct chaos chaos;

/* How many tasks were killed so far. */
__u64 chaos_kills(void);

/*
 * Ten processes that look again every millisecond would have the machine for
 * themselves: they wait for the pulse to change, or a second at most.
 */
void chaos_pulse(void);
__u32 chaos_feel(void);
void chaos_wait(__u32 pulse);

/* Makes an epoch of the judge odd, or even again. */
void chaos_announce(__u32 *epoch);

/* A random number below @n. */
int pick(int n);

/* One of the elements of an array. */
#define PICK(...)	((__VA_ARGS__)[pick(ARRAY_SIZE(__VA_ARGS__))])

bool stopped(void);

/* Returns when @cond is true, or when all is to stop. */
#define await(cond) do {						\
	__u32 __pulse;							\
									\
	for (;;) {							\
		__pulse = chaos_feel();					\
		if (stopped() || (cond))				\
			break;						\
		chaos_wait(__pulse);					\
	}								\
} while (0)

/* Returns when somebody has been killed @n times more, or when all is to stop. */
void await_kills(__u64 n);

/* Like the helpers', for what may well fail: they say nothing. */
int put(const char *cgroup, const char *file, const char *text);
int put_file(const char *path, const char *text);
int put_adj(pid_t pid, int adj);
int open_place(const char *cgroup);

#endif /* SELFTESTS_OOM_POLICY_CHAOS_KIT_H */
