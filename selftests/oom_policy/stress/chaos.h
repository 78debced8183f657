/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turmoil for the stress test: tasks that do to policies, cgroups and tasks
 * whatever can be done to them while somebody else runs out of memory.
 */
#ifndef SELFTESTS_OOM_POLICY_CHAOS_H
#define SELFTESTS_OOM_POLICY_CHAOS_H

#include "chaos_kit.h"

/* Returns with a policy attached to the root; -1 if that does not come about. */
int chaos_start(void);

/* -1 if somebody does not end. Prints what everybody has done. */
int chaos_stop(void);

#endif /* SELFTESTS_OOM_POLICY_CHAOS_H */
