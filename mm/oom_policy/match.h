/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tournament: siblings play one after the other against the best so far, and
 * the tie rule decides where the judge does not. n candidates take n - 1 calls, so
 * that a judge that contradicts itself ends, too. Nothing here knows what a node
 * is, and nothing is locked.
 */
#ifndef _MM_OOM_POLICY_MATCH_H
#define _MM_OOM_POLICY_MATCH_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <uapi/linux/bpf_oom_policy.h>

/**
 * struct oom_cand - a candidate
 * @node: a memcg or a task
 * @id: cgroup id, the last word in a tie
 * @usage: bytes
 * @swap: bytes
 * @priority: memory.oom.priority; of memcgs
 * @scratch: the program's
 * @points: oom_badness(), for tasks
 */
struct oom_cand {
	void *node;
	u64 id;
	u64 usage;
	u64 swap;
	s64 priority;
	u64 scratch;
	long points;
};

/**
 * struct oom_match - one pass over siblings
 * @best: the best victim so far
 * @runner: of those that lost to @best itself, the one with most to free
 * @eligible: how many have taken part: all but the first were judged
 * @tied: by the tie rule alone
 */
struct oom_match {
	struct oom_cand best;
	struct oom_cand runner;
	unsigned int eligible;
	bool tied;
};

/* What is not set here belongs to a node. */
static inline void oom_match_begin(struct oom_match *match)
{
	match->best.node = NULL;
	match->runner.node = NULL;
	match->runner.usage = 0;
	match->eligible = 0;
	match->tied = false;
}

typedef int (*oom_compare_fn)(void *arg, struct oom_cand *best, struct oom_cand *next);

static inline unsigned int oom_match_compared(const struct oom_match *match)
{
	return match->eligible && !match->tied ? match->eligible - 1 : 0;
}

/* The tie rule: more usage, then more swap, then the lower id. */
static inline bool oom_cand_larger(const struct oom_cand *a, const struct oom_cand *b)
{
	if (a->usage != b->usage)
		return a->usage > b->usage;
	if (a->swap != b->swap)
		return a->swap > b->swap;
	return a->id < b->id;
}

/**
 * oom_match_play - let a candidate play against the best so far
 * @match: the match
 * @next: who plays; copied
 * @compare: the judge
 * @arg: for @compare
 * @dropped: what the match lets go of, or NULL
 *
 * Inlined, because thousands of calls by pointer would take longer than what they do.
 *
 * Return: BPF_OOM_FIRST if the best stays, BPF_OOM_SECOND if @next is the best now;
 * BPF_OOM_ABSTAIN or the judge's negative errno: the match is over.
 */
static __always_inline int oom_match_play(struct oom_match *match,
					  struct oom_cand *next,
					  oom_compare_fn compare, void *arg,
					  void **dropped)
{
	int verdict;

	match->eligible++;
	if (!match->best.node) {
		*dropped = NULL;
		match->best = *next;
		return BPF_OOM_SECOND;
	}

	verdict = compare(arg, &match->best, next);
	/* Nearly all of them, and nothing else of them is looked at. */
	if (likely(verdict == BPF_OOM_FIRST) && next->usage < match->runner.usage) {
		*dropped = next->node;
		return BPF_OOM_FIRST;
	}
	if (likely(verdict == BPF_OOM_FIRST) ||
	    (verdict == BPF_OOM_EQUAL && !oom_cand_larger(next, &match->best))) {
		if (match->runner.node && !oom_cand_larger(next, &match->runner)) {
			*dropped = next->node;
			return BPF_OOM_FIRST;
		}
		*dropped = match->runner.node;
		match->runner = *next;
		return BPF_OOM_FIRST;
	}
	if (verdict == BPF_OOM_SECOND || verdict == BPF_OOM_EQUAL) {
		*dropped = match->runner.node;
		match->runner = match->best;
		match->best = *next;
		return BPF_OOM_SECOND;
	}

	*dropped = next->node;
	if (verdict < 0)
		match->eligible--;
	return verdict;
}

static inline bool oom_match_over(int outcome)
{
	return outcome != BPF_OOM_FIRST && outcome != BPF_OOM_SECOND;
}

#endif /* _MM_OOM_POLICY_MATCH_H */
