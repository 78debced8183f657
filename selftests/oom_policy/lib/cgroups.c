// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups by path; cgroups.h says what each function is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups.h"
#include "helpers.h"

static void cgroup_path(char *buf, size_t size, const char *path, const char *file)
{
	snprintf(buf, size, CGROUP_ROOT "/%s%s%s", path, *path ? "/" : "", file);
}

int cgroup_open(const char *path)
{
	char full[PATH_MAX];
	int fd;

	cgroup_path(full, sizeof(full), path, "");
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		diag("opening %s: %m", full);
	return fd;
}

__u64 cgroup_id(const char *path)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} u = { .handle.handle_bytes = sizeof(__u64) };
	char full[PATH_MAX];
	int mount_id;
	__u64 id;

	cgroup_path(full, sizeof(full), path, "");
	if (name_to_handle_at(AT_FDCWD, full, &u.handle, &mount_id, 0)) {
		diag("name_to_handle_at %s: %m", full);
		return 0;
	}
	memcpy(&id, u.handle.f_handle, sizeof(id));
	return id;
}

int cgroup_write(const char *path, const char *file, const char *text)
{
	char full[PATH_MAX];

	cgroup_path(full, sizeof(full), path, file);
	return write_file(full, text);
}

int cgroup_set_priority(const char *path, __s64 priority)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", priority);
	return cgroup_write(path, "memory.oom.priority", text);
}

/* @key: the line "KEY VALUE" is meant; NULL: the file is one number. */
long cgroup_read_long(const char *path, const char *file, const char *key)
{
	char full[PATH_MAX], name[64];
	long value = -1;
	FILE *f;

	cgroup_path(full, sizeof(full), path, file);
	f = fopen(full, "re");
	if (!f) {
		diag("opening %s: %m", full);
		return -1;
	}
	if (!key) {
		if (fscanf(f, "%ld", &value) != 1)
			value = -1;
	} else {
		while (fscanf(f, "%63s %ld", name, &value) == 2 && strcmp(name, key))
			value = -1;
	}
	fclose(f);
	return value;
}

int cgroup_make(const char *path)
{
	char full[PATH_MAX];

	cgroup_path(full, sizeof(full), path, "");
	if (mkdir(full, 0755)) {
		diag("mkdir %s: %m", full);
		return -1;
	}
	return 0;
}

int cgroup_enable_memory(const char *path)
{
	return cgroup_write(path, "cgroup.subtree_control", "+memory");
}

static bool cgroup_vanished(const char *full)
{
	return !rmdir(full) || errno == ENOENT;
}

int cgroup_remove(const char *path)
{
	char full[PATH_MAX];

	cgroup_path(full, sizeof(full), path, "");
	if (!wait_until(cgroup_vanished(full))) {
		diag("rmdir %s: %m", full);
		return -1;
	}
	return 0;
}

int cgroup_make_path(const char *path)
{
	char parent[PATH_MAX], full[PATH_MAX];
	const char *slash;

	for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		cgroup_path(full, sizeof(full), parent, "");
		if ((mkdir(full, 0755) && errno != EEXIST) || cgroup_enable_memory(parent))
			return -1;
	}
	return cgroup_make(path);
}

void cgroup_remove_path(const char *path)
{
	char part[PATH_MAX], full[PATH_MAX], *slash;

	snprintf(part, sizeof(part), "%s", path);
	cgroup_remove(part);
	while ((slash = strrchr(part, '/'))) {
		*slash = '\0';
		cgroup_path(full, sizeof(full), part, "");
		rmdir(full);
	}
}

const char *cgroup_read(const char *path, const char *file)
{
	static char text[4096];
	char full[PATH_MAX];
	ssize_t len = -1;
	int fd;

	cgroup_path(full, sizeof(full), path, file);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[len < 0 ? 0 : len] = '\0';
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}
