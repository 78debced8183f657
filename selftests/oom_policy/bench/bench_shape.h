/* SPDX-License-Identifier: GPL-2.0-only */
/* Trees of the bench: every cgroup above the leaves has as many children. */
#ifndef SELFTESTS_OOM_POLICY_BENCH_SHAPE_H
#define SELFTESTS_OOM_POLICY_BENCH_SHAPE_H

#include <stddef.h>

struct shape {
	int fanout;
	int depth;
};

/* "1000", "10x10x10"; -1 if it is neither. */
int shape_parse(struct shape *shape, const char *text);

/* Cgroups on a level; 1 is below the root, depth has the leaves. */
int shape_count(const struct shape *shape, int level);

/* The path of the nth of a level, relative to the root. */
void shape_path(const struct shape *shape, int level, int n, char *path, size_t size);

#endif /* SELFTESTS_OOM_POLICY_BENCH_SHAPE_H */
