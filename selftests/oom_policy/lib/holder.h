/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Victims that stay: a tracer stops every task of the tree, or the second thread
 * of one that has two, where SIGKILL has arrived and the memory is still there.
 * Without it the stock killer has a gap: a victim's mm counts as done with just
 * before its memory is free, and whoever asks in between causes a second kill.
 */
#ifndef SELFTESTS_OOM_POLICY_HOLDER_H
#define SELFTESTS_OOM_POLICY_HOLDER_H

#include <sys/types.h>
#include <linux/types.h>

#include "tree.h"

struct holder {
	pid_t pid;
	const __u32 *stopped;	/* how many tasks are held so by now */
};

int hold_tasks(struct holder *holder, const struct tree *tree);
void let_go(struct holder *holder);

#endif /* SELFTESTS_OOM_POLICY_HOLDER_H */
