/* SPDX-License-Identifier: GPL-2.0-only */
/* Using progs/policy.bpf.c from a test. */
#ifndef SELFTESTS_OOM_POLICY_POLICY_USER_H
#define SELFTESTS_OOM_POLICY_POLICY_USER_H

#include <linux/bpf.h>

#include "helpers.h"
#include "progs/calls.h"
#include "policy.skel.h"

struct policy *policy_load(const struct tree *tree);
struct bpf_link *policy_attach(struct policy *policy, const char *path);
int policy_info(const struct bpf_link *link, struct bpf_link_info *info);
void policy_tell_calls(const struct policy *policy, struct tree *tree,
		       char *text, size_t size);
void policy_tell_victims(const struct policy *policy, struct tree *tree,
			 char *text, size_t size);

#endif /* SELFTESTS_OOM_POLICY_POLICY_USER_H */
