/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The acts of the stress test. -1 if one was refused: cgroups vanish, slots are
 * taken, allocations are made to fail.
 */
#ifndef SELFTESTS_OOM_POLICY_CHAOS_ACTS_H
#define SELFTESTS_OOM_POLICY_CHAOS_ACTS_H

/* chaos_policies.c */
int act_policies(void);
int act_root(void);
int act_rehearsals(void);

/* Attaches an honest policy to the root, and says so to the judge. */
int install_root(void);

/* Takes away what act_policies() has left in bpffs. */
void unpin_slots(void);

/* chaos_cgroups.c */
int act_cgroups(void);
int act_moves(void);
int act_bombs(void);
int act_toggles(void);
int act_knobs(void);
int act_caches(void);

#endif /* SELFTESTS_OOM_POLICY_CHAOS_ACTS_H */
