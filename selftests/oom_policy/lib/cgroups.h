/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroups; every path is relative to CGROUP_ROOT, "" is the root. */
#ifndef SELFTESTS_OOM_POLICY_CGROUPS_H
#define SELFTESTS_OOM_POLICY_CGROUPS_H

#include <linux/types.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"

int cgroup_open(const char *path);
__u64 cgroup_id(const char *path);
int cgroup_write(const char *path, const char *file, const char *text);
int cgroup_set_priority(const char *path, __s64 priority);

/* @key: the line "KEY VALUE" is meant; NULL: the file is one number. */
long cgroup_read_long(const char *path, const char *file, const char *key);

int cgroup_make(const char *path);
int cgroup_enable_memory(const char *path);
int cgroup_remove(const char *path);

/* With those on the way that are not there, and the memory controller all the way. */
int cgroup_make_path(const char *path);

/* The cgroup and those above it that are empty by now. */
void cgroup_remove_path(const char *path);

/* A file without the newline at its end, until the next call; "" if it cannot be read. */
const char *cgroup_read(const char *path, const char *file);

#endif /* SELFTESTS_OOM_POLICY_CGROUPS_H */
