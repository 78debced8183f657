/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A policy at the root of a small tree, to be asked and not to act: what the tests of
 * rehearsals begin with, and whether anything has happened.
 */
#ifndef SELFTESTS_OOM_POLICY_STAGE_H
#define SELFTESTS_OOM_POLICY_STAGE_H

#include "policy.h"

/* A=0 has x=0 and y=1; B=1 is a leaf with children of no interest; C=1 is empty. */
struct stage {
	struct tree tree;
	struct policy *policy;
	struct bpf_link *link;
	int prog;
};

int stage_set(struct stage *stage);
void stage_clear(struct stage *stage);

/* What an OOM or a comparison for one has left behind, "" if nothing. */
const char *event_traces(const struct policy *policy, const struct bpf_link *link,
			 struct tree *tree);

#endif /* SELFTESTS_OOM_POLICY_STAGE_H */
