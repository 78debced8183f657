/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tenant P with a policy inside and a hog that takes memory in P/hog until it is
 * sated: what a killer that comes early, started beside it, makes of that.
 */
#ifndef SELFTESTS_OOM_POLICY_SQUEEZED_H
#define SELFTESTS_OOM_POLICY_SQUEEZED_H

#include "policy.h"

#define KILLER_OUTPUT	"/tmp/killer.out"
#define SWAP_DEVICE	"/dev/zram0"

struct squeezed {
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	pid_t hog, killer;
	bool swap;
};

int squeezed_begin(struct squeezed *squeezed, const char *tree, __u32 grace_ms);
void squeezed_end(struct squeezed *squeezed);

/* A limit of P, memory.high or memory.max, is so much above what it uses. */
int squeezed_limit(const char *file, long more);

/* The hog must not be asked to end by anybody but us, when it has to end as well. */
int squeezed_start_hog(struct squeezed *squeezed);
int squeezed_end_hog(struct squeezed *squeezed);

int squeezed_add_swap(struct squeezed *squeezed);

/* A command that says what it says to KILLER_OUTPUT, and in the end is interrupted. */
int squeezed_start_killer(struct squeezed *squeezed, const char *command);
int squeezed_end_killer(struct squeezed *squeezed);

#endif /* SELFTESTS_OOM_POLICY_SQUEEZED_H */
