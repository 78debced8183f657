/* SPDX-License-Identifier: GPL-2.0-only */
/* What the scenarios of this folder share. */
#ifndef SELFTESTS_OOM_POLICY_SCENE_H
#define SELFTESTS_OOM_POLICY_SCENE_H

#include <stdbool.h>
#include <sys/types.h>

#include "tree.h"

/* Somebody of the tree who was started by the test itself. */
void scene_adopt(struct tree *tree, const char *path, pid_t pid);

/*
 * A shortage in the cgroup @path: its limit leaves a megabyte, and somebody out of
 * reach in @hog below it wants @megabytes. Returns 0 when those were had; how long
 * that took is in @ms. The limit stays.
 */
int scene_feed(const char *path, const char *hog, int megabytes, long *ms);

long now_ms(void);

#endif /* SELFTESTS_OOM_POLICY_SCENE_H */
