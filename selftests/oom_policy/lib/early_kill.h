/* SPDX-License-Identifier: GPL-2.0-only */
/* Early kills, by progs/early.bpf.c. */
#ifndef SELFTESTS_OOM_POLICY_EARLY_KILL_H
#define SELFTESTS_OOM_POLICY_EARLY_KILL_H

#include "early.skel.h"

/* With only that program of the optional ones; NULL: none. */
struct early *early_load(const char *name);

/* What bpf_oom_policy_kill() has answered; less than 0 as well if it was not called. */
int early_kill(struct early *early, __u64 cgroup_id, __u64 flags);

#endif /* SELFTESTS_OOM_POLICY_EARLY_KILL_H */
