// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk, see walk.h. Each try of a node finds a victim or marks a node that is not
 * looked at again: that is why a walk over a finite tree ends.
 */

#include <linux/errno.h>

#include "walk.h"

/**
 * oom_walk - go down to a victim, backing up while there is something left to choose
 * @ops: the tree
 * @arg: for @ops
 * @start: where to begin, and the highest node that is tried
 *
 * Return: 1 for a victim, -ESRCH if there is none, or what a callback gave up with.
 */
int oom_walk(const struct oom_walk_ops *ops, void *arg, void *start)
{
	void *node = start;
	int choice, ret;

	for (;;) {
		choice = ops->choose(arg, node, &node);
		if (choice < 0)
			return choice;
		if (choice == OOM_WALK_CHILD)
			continue;

		ret = ops->try(arg, node, choice);
		if (ret)
			return ret;

		ops->mark(arg, node);
		if (choice == OOM_WALK_SELF)
			continue;
		if (node == start)
			return -ESRCH;
		node = ops->up(arg, node);
	}
}
