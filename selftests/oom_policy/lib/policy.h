/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test policy, progs/policy.bpf.c, at work; and by that all that a test of the
 * rules needs.
 */
#ifndef SELFTESTS_OOM_POLICY_POLICY_USER_H
#define SELFTESTS_OOM_POLICY_POLICY_USER_H

#include <stdbool.h>
#include <linux/bpf.h>

#include "attach.h"
#include "cgroups.h"
#include "helpers.h"
#include "holder.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"
#include "progs/calls.h"
#include "policy.skel.h"

/* With the priorities of a tree; its recorder is attached at once, compare() is not. */
struct policy *policy_load(const struct tree *tree);
int policy_info(const struct bpf_link *link, struct bpf_link_info *info);

/* What it has seen, until the next call of the same function. */

/* "run(A,B)->A run(A,C)->A", in the order of the calls. */
const char *policy_calls(const struct policy *policy, struct tree *tree);

/* "A/E A/F": cgroups of the victims, in the order of the tree. */
const char *policy_victims(const struct policy *policy, struct tree *tree);

/* Waits for them to die; false if they do not, or if others have died as well. */
bool policy_victims_died(const struct policy *policy, struct tree *tree);

/*
 * An OOM: by sysrq-f; of the whole machine, until the policy is sated; or of a memcg,
 * as in memcg_shortage_begin(), until it has seen so many victims. In the latter two
 * victims stay until it is over.
 */
int policy_event(const struct policy *policy);
int policy_shortage(struct policy *policy, const struct tree *tree);
int policy_memcg_shortage(const struct policy *policy, const struct tree *tree,
			  const char *path, const char *hog, __u32 victims);

#endif /* SELFTESTS_OOM_POLICY_POLICY_USER_H */
