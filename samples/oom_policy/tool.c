// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the options of an operator mean; tool.h says what each function is for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "cgroup_path.h"
#include "tool.h"

int parse_number(const char *text, unsigned long high, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *number <= high ? 0 : -1;
}

int parse_share(const char *text, double *percent)
{
	char *end;

	*percent = strtod(text, &end);
	return end != text && !strcmp(end, "%") && *percent >= 0 && *percent <= 100 ? 0 : -1;
}

int parse_ms(const char *what, const char *text, unsigned int low, unsigned int high,
	     unsigned int *ms)
{
	unsigned long value;

	if (parse_number(text, high, &value) || value < low)
		return fail("%s is a number of milliseconds from %u to %u, not '%s'", what, low,
			    high, text);
	*ms = value;
	return 0;
}

/* The number of its inode is that only where this has 64 bits. */
static int handle_id(int dir_fd, const char *dir, int flags, __u64 *id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(*id)];
	} u = { .handle.handle_bytes = sizeof(*id) };
	int mount_id;

	if (name_to_handle_at(dir_fd, dir, &u.handle, &mount_id, flags))
		return -1;
	memcpy(id, u.handle.f_handle, sizeof(*id));
	return 0;
}

int cgroup_id(const char *dir, __u64 *id)
{
	struct statfs fs;

	if (statfs(dir, &fs))
		return -1;
	errno = EMEDIUMTYPE;
	return fs.f_type == CGROUP2_SUPER_MAGIC ? handle_id(AT_FDCWD, dir, 0, id) : -1;
}

int cgroup_fd_id(int fd, __u64 *id)
{
	return handle_id(fd, "", AT_EMPTY_PATH, id);
}

int find_scope(const char *name, struct scope *scope)
{
	const size_t root_len = strlen(CGROUP_ROOT);
	char dir[2 * PATH_MAX], real[PATH_MAX];
	const char *path = name, *c;

	if (!*path)
		return fail("a cgroup is missing: '/' is the whole machine");
	if (!strncmp(path, CGROUP_ROOT, root_len) && (path[root_len] == '/' || !path[root_len]))
		path += root_len;
	path += strspn(path, "/");
	snprintf(dir, sizeof(dir), CGROUP_ROOT "/%s", path);
	if (!realpath(dir, real))
		return fail("cannot open cgroup %s: %s", dir, strerror(errno));
	if (strncmp(real, CGROUP_ROOT, root_len) || cgroup_id(real, &scope->id))
		return fail("not a cgroup of cgroup v2: %s", dir);
	scope->level = 0;
	for (c = real + root_len; *c; c++)
		scope->level += *c == '/';
	snprintf(scope->path, sizeof(scope->path), "%s",
		 scope->level ? real + root_len : "/");
	return 0;
}
