// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Cgroups as an operator names them: by ids, by paths from the root of cgroup v2 or
 * from its mount point on, and from a working directory that is a cgroup. And
 * what is in the files of a cgroup.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "main.h"
#include "oom.h"

/**
 * oom_is_id() - is that the id of a cgroup?
 * @arg: of the command line; a path of digits only has a slash in it
 */
bool oom_is_id(const char *arg)
{
	return *arg && !arg[strspn(arg, "0123456789")];
}

static int open_given_id(const char *arg)
{
	__u64 id;
	int fd;

	errno = 0;
	id = strtoull(arg, NULL, 10);
	fd = errno ? -1 : oom_cgroup_open_id(id);
	if (fd < 0 && errno == EPERM)
		oom_err("no permission to look for a cgroup by its id: it takes CAP_DAC_READ_SEARCH");
	else if (fd < 0)
		oom_err("no cgroup has the id %s (a path begins with a slash or with './')", arg);
	return fd;
}

static bool in_cgroup2(void)
{
	struct statfs fs;

	return !statfs(".", &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* "." and "..", alone or with more behind them. */
static bool has_dot_in_front(const char *arg)
{
	const size_t dots = strspn(arg, ".");

	return (dots == 1 || dots == 2) && (!arg[dots] || arg[dots] == '/');
}

static void explain_no_cgroup(const char *arg, bool from_here)
{
	struct statfs fs;

	if (from_here && in_cgroup2() && !has_dot_in_front(arg))
		oom_err("no such cgroup: %s (below the working directory; from the root it is /%s)",
			arg, arg);
	else if ((arg[0] != '/' && !from_here) || statfs(arg, &fs))
		oom_err("no such cgroup: %s (cgroup v2 is mounted at %s)", arg, oom_mount_point());
	else if (fs.f_type == CGROUP_SUPER_MAGIC)
		oom_err("%s is a cgroup of version 1, which has no OOM policies", arg);
	else
		oom_err("%s is not a cgroup: cgroup v2 is mounted at %s", arg, oom_mount_point());
}

static int open_given_path(const char *arg)
{
	const bool from_here = has_dot_in_front(arg) || (arg[0] != '/' && in_cgroup2());
	const size_t len = strlen(oom_mount_point());
	const char *below = arg;
	struct statfs fs;
	int fd;

	if (!strncmp(arg, oom_mount_point(), len) && (!arg[len] || arg[len] == '/'))
		below = arg + len;
	if (from_here)
		fd = open(arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	else
		fd = oom_cgroup_open_at(below, "", O_PATH | O_DIRECTORY);
	/* Perhaps where cgroup v2 is mounted once more. */
	if (fd < 0 && errno == ENOENT && arg[0] == '/' && !statfs(arg, &fs) &&
	    fs.f_type == CGROUP2_SUPER_MAGIC)
		fd = open(arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOTDIR)
			oom_err("%s is a file, not a cgroup", arg);
		else if (errno == ENOENT)
			explain_no_cgroup(arg, from_here);
		else
			oom_err("cannot open cgroup %s: %s", arg, strerror(errno));
	} else if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		if (from_here)
			explain_no_cgroup(arg, true);
		else
			oom_err("%s is not a cgroup: it leads out of %s", arg, oom_mount_point());
		close(fd);
		fd = -1;
	}
	return fd;
}

/* NULL if it cannot be told, as of one that is removed. */
static char *path_of_cgroup(int fd, __u64 id)
{
	char *path = oom_cgroup_path_of(fd);
	__u64 id_there = 0;
	int there;

	there = path ? oom_cgroup_open_at(path, "", O_PATH | O_DIRECTORY) : -1;
	if (there >= 0) {
		if (oom_cgroup_get_id(there, "", &id_there))
			id_there = 0;
		close(there);
	}
	if (id_there == id)
		return path;
	free(path);
	return oom_cgroup_path(id);
}

static void explain_no_path(const char *arg, __u64 id)
{
	char *name = oom_cgroup_name(id);

	oom_err("cannot tell the path of cgroup %s: it is %s", arg, name ?: "?");
	free(name);
}

/**
 * oom_cgroup_parse() - the cgroup that the user has named
 * @arg: an id, or a path: from the mount point on, from the working directory on if
 *	 that is a cgroup or the path begins with a dot, else from the root
 * @cgroup: path and id; oom_cgroup_free() ends it
 *
 * Return: 0, or -1 with the reason told and nothing to free.
 */
int oom_cgroup_parse(const char *arg, struct oom_cgroup *cgroup)
{
	int fd;

	cgroup->path = NULL;
	if (!*arg) {
		oom_err("a cgroup is missing: '/' is the root");
		return -1;
	}
	if (oom_cgroup_mount())
		return -1;

	fd = oom_is_id(arg) ? open_given_id(arg) : open_given_path(arg);
	if (fd < 0)
		return -1;
	if (oom_cgroup_get_id(fd, "", &cgroup->id)) {
		oom_err("cannot get the id of cgroup %s: %s", arg, strerror(errno));
	} else {
		cgroup->path = path_of_cgroup(fd, cgroup->id);
		if (!cgroup->path)
			explain_no_path(arg, cgroup->id);
	}
	close(fd);
	return cgroup->path ? 0 : -1;
}

/**
 * oom_cgroup_free() - end of what oom_cgroup_parse() found
 * @cgroup: may be empty
 */
void oom_cgroup_free(struct oom_cgroup *cgroup)
{
	free(cgroup->path);
	cgroup->path = NULL;
}

/**
 * oom_cgroup_open() - open the directory of a cgroup
 * @path: from the root of cgroup v2
 *
 * Return: the file descriptor, or -1 with the reason told.
 */
int oom_cgroup_open(const char *path)
{
	const int fd = oom_cgroup_open_at(path, "", O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		oom_err("cannot open cgroup %s: %s", path, strerror(errno));
	return fd;
}

/**
 * oom_path_below() - where a cgroup is
 * @path: of the cgroup
 * @above: path of another
 *
 * Return: whether the cgroup is the other or anywhere below it.
 */
bool oom_path_below(const char *path, const char *above)
{
	const size_t len = strlen(above);

	if (!strcmp(above, "/"))
		return true;
	return !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

/**
 * oom_cgroup_file() - open a file of a cgroup
 * @path: of the cgroup
 * @file: its name
 * @mode: as of fopen()
 *
 * Return: the file, or NULL with the reason in errno.
 */
FILE *oom_cgroup_file(const char *path, const char *file, const char *mode)
{
	const int fd = oom_cgroup_open_at(path, file, *mode == 'r' ? O_RDONLY : O_WRONLY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, mode);
	const int err = errno;

	if (fd >= 0 && !f)
		close(fd);
	errno = err;
	return f;
}

/**
 * oom_cgroup_has() - has a cgroup that file?
 * @path: of the cgroup
 * @file: its name
 */
bool oom_cgroup_has(const char *path, const char *file)
{
	FILE *f = oom_cgroup_file(path, file, "re");

	if (f)
		fclose(f);
	return f;
}

/**
 * oom_cgroup_is_leaf() - has a cgroup no children?
 * @path: of the cgroup
 *
 * By the links of its directory, one of which each child has: that takes no listing.
 *
 * Return: false if it cannot be told.
 */
bool oom_cgroup_is_leaf(const char *path)
{
	const int fd = oom_cgroup_open_at(path, "", O_PATH | O_DIRECTORY);
	struct stat st;
	bool leaf;

	if (fd < 0)
		return false;
	leaf = !fstat(fd, &st) && st.st_nlink == 2;
	close(fd);
	return leaf;
}

/**
 * oom_cgroup_opendir() - open the directory of a cgroup
 * @path: from the root of cgroup v2
 *
 * Says nothing.
 *
 * Return: NULL with errno if it cannot be opened.
 */
DIR *oom_cgroup_opendir(const char *path)
{
	const int fd = oom_cgroup_open_at(path, "", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/**
 * oom_cgroup_read() - the first number in a file of a cgroup
 * @path: of the cgroup
 * @file: its name
 * @value: 0 if there is none
 *
 * Return: whether there is such a file with a number in it.
 */
bool oom_cgroup_read(const char *path, const char *file, __u64 *value)
{
	FILE *f = oom_cgroup_file(path, file, "re");
	bool found;

	*value = 0;
	if (!f)
		return false;
	found = fscanf(f, "%llu", value) == 1;
	fclose(f);
	return found;
}

/**
 * oom_cgroup_number() - the first number in a file of a cgroup
 * @path: of the cgroup
 * @file: its name
 *
 * Return: the number; 0 if there is no such file, or no number in it.
 */
__u64 oom_cgroup_number(const char *path, const char *file)
{
	__u64 value;

	oom_cgroup_read(path, file, &value);
	return value;
}

/**
 * oom_cgroup_group() - the cgroup that dies as a whole if one of its processes does
 * @path: of the cgroup that the process is in
 * @scope: where the OOM is; what is above it does not count
 *
 * Return: the path of the topmost one with memory.oom.group, for free(); NULL if there
 * is none.
 */
char *oom_cgroup_group(const char *path, const char *scope)
{
	char *group = NULL, *at = strdup(path), *slash;

	while (at && strcmp(at, "/") && oom_path_below(at, scope)) {
		if (oom_cgroup_number(at, "memory.oom.group")) {
			free(group);
			group = strdup(at);
		}
		slash = strrchr(at, '/');
		if (!slash || slash == at)
			break;
		*slash = '\0';
	}
	free(at);
	return group;
}
