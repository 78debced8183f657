/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the recorder of decisions keeps, for its programs and for "bpftool oom log".
 */
#ifndef __OOM_RECORD_H
#define __OOM_RECORD_H

#include "oom_monitor.h"

#define OOM_RECORDED		64	/* decisions; a power of two */
#define OOM_RECORDED_DEPTH	32	/* names of a path, from its end */
#define OOM_RECORDED_LEVELS	16
#define OOM_RECORDED_NAME	64	/* bytes; what is longer is cut */

struct oom_recorded_level {
	__u64 winner_id;
	__u64 runner_id;	/* 0: nobody lost */
	__u64 winner_usage;	/* bytes */
	__u64 runner_usage;
	__u32 level;
	__u32 prog_id;
	__u32 eligible;
	__u32 compared;
	char winner[OOM_RECORDED_NAME];
	char runner[OOM_RECORDED_NAME];
};

/* What is not known, or not yet, is 0. */
struct oom_decision {
	__u64 seq;		/* 1 is the first one */
	__u64 time_ns;		/* CLOCK_BOOTTIME */
	__u64 told_ns;		/* when something was added to it */
	__u64 scope_id;
	__u64 victim_id;
	__u64 took_ns;
	__u64 held;		/* bytes mapped by those who were killed */
	__u64 usage_before;	/* bytes charged to the memcg of the victim */
	__u64 usage_after;	/* as the last of them so far has exited */
	__u32 fallback;		/* there was one: */
	__u32 reason;		/* enum oom_record_reason */
	__u32 repeated;		/* the same again, without a victim */
	__u32 compared;
	__u32 killed;
	__u32 exited;
	__u32 nr_levels;	/* more than are there, if there were more */
	__u32 depth;		/* of the path, likewise */
	__u32 scope_depth;
	int pid;
	char comm[OOM_COMM_LEN];
	char path[OOM_RECORDED_DEPTH][OOM_RECORDED_NAME];	/* from below */
	struct oom_recorded_level levels[OOM_RECORDED_LEVELS];
};

struct oom_record_state {
	__u64 seq;		/* of the last decision */
	__u64 kills;
	__u64 useless;		/* kills that gave back less than an eighth of what was held */
	__u64 exported;		/* up to there they are in the journal; not the programs' */
	__u64 task;		/* whose decision the last one is */
	__u32 waiting;		/* victims that have not exited yet */
	__u32 over;		/* the event of the last decision is */
};

#endif /* __OOM_RECORD_H */
