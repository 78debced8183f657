/* SPDX-License-Identifier: GPL-2.0-only */
/* What psi_kill does when a rule says so, and says of it: psi_act.c. */
#ifndef SAMPLES_OOM_POLICY_PSI_ACT_H
#define SAMPLES_OOM_POLICY_PSI_ACT_H

#include "early.h"
#include "prekill.h"

struct rule {
	struct early early;
	char where[PATH_MAX + 16];	/* " by FILE:LINE", if it is from a file */
	int policy_fd;			/* the one that rules the scope, if it is asked before */
	unsigned int told;		/* by a dry run: how far the conditions were */
	bool is_told;
};

extern struct act_options {
	bool dry_run;
	unsigned int prekill_ms;
	const char *prekill[MAX_PREKILL];
	int nr_prekill;
} act_option;

/* act_load() - the program that kills, which stays until the end. 0 or -1 */
int act_load(void);

/* act_find_policy() - for a rehearsal, if there is to be one. 0 or -1 */
int act_find_policy(struct rule *rule);

/* act() - kill, or rehearse it. True if the monitor is to pause */
bool act(const struct rule *rule);

/* act_tell_state() - what of a rule is missing, when that is something else than before */
void act_tell_state(struct rule *rule, unsigned int state, long long now_ms);

#endif /* SAMPLES_OOM_POLICY_PSI_ACT_H */
