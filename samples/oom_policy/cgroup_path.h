/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a cgroup id leads to. Whoever includes this defines _GNU_SOURCE. */
#ifndef SAMPLES_OOM_POLICY_CGROUP_PATH_H
#define SAMPLES_OOM_POLICY_CGROUP_PATH_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/types.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"

/* The path behind an id, "id N" if it is gone. */
static inline const char *path_of(__u64 id, char *path, size_t size)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} u = { .handle.handle_bytes = sizeof(id), .handle.handle_type = 0xfe };
	int mount_fd = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char proc[32], full[4096];
	ssize_t len = -1;
	int fd;

	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, &u.handle, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		len = readlink(proc, full, sizeof(full) - 1);
		close(fd);
	}
	close(mount_fd);
	full[len < 0 ? 0 : len] = '\0';
	if (strncmp(full, CGROUP_ROOT, strlen(CGROUP_ROOT)))
		snprintf(path, size, "id %llu", id);
	else
		snprintf(path, size, "%s", full[strlen(CGROUP_ROOT)] ?
			 full + strlen(CGROUP_ROOT) : "/");
	return path;
}

#endif /* SAMPLES_OOM_POLICY_CGROUP_PATH_H */
