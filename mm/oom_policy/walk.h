/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk from the scope down to a victim, and back up from where there is none.
 * It knows nothing of memcgs: a node is whatever the callbacks take it for.
 */
#ifndef _MM_OOM_POLICY_WALK_H
#define _MM_OOM_POLICY_WALK_H

enum oom_walk_choice {
	OOM_WALK_LEAF,		/* no eligible child: the node's own tasks */
	OOM_WALK_GROUP,		/* not to be split: all tasks below the node */
	OOM_WALK_LEFT,		/* no judge below the node: all tasks below it */
	OOM_WALK_SELF,		/* own tasks have won against the children */
	OOM_WALK_CHILD,		/* go on with the child */
};

/**
 * struct oom_walk_ops - the tree that a walk goes through
 * @choose: enum oom_walk_choice for a node, with *@child for OOM_WALK_CHILD, or
 *	    a negative errno to give up
 * @try: 1 if the node yields a victim, 0 if not, a negative errno to give up
 * @mark: the node yielded none, do not choose it again
 * @up: the parent of a node
 */
struct oom_walk_ops {
	int (*choose)(void *arg, void *node, void **child);
	int (*try)(void *arg, void *node, enum oom_walk_choice choice);
	void (*mark)(void *arg, void *node);
	void *(*up)(void *arg, void *node);
};

int oom_walk(const struct oom_walk_ops *ops, void *arg, void *start);

#endif /* _MM_OOM_POLICY_WALK_H */
