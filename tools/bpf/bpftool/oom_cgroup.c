// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Cgroups as an operator names them: by paths from the root of cgroup v2, or from
 * its mount point on. From a path to an id and back, the children of a cgroup with
 * what they hold, and how names are printed.
 *
 * The mount is looked up once per command and kept until oom_cgroup_done().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "main.h"
#include "oom.h"

static char mount_point[PATH_MAX];
static int mount_fd = -1;

/* The handle of a cgroup in cgroup v2 is its id. */
struct cgroup_handle {
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	};
};

/* Says nothing. */
static int open_mount(void)
{
	struct mntent *mnt;
	FILE *mounts;

	if (mount_fd >= 0)
		return 0;

	mounts = setmntent("/proc/self/mounts", "r");
	if (!mounts)
		return -1;
	mount_point[0] = '\0';
	while (!mount_point[0] && (mnt = getmntent(mounts)))
		if (!strcmp(mnt->mnt_type, "cgroup2"))
			snprintf(mount_point, sizeof(mount_point), "%s", mnt->mnt_dir);
	endmntent(mounts);

	if (mount_point[0])
		mount_fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return mount_fd < 0 ? -1 : 0;
}

/**
 * oom_cgroup_mount() - find where cgroup v2 is mounted
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_cgroup_mount(void)
{
	if (!open_mount())
		return 0;
	if (mount_point[0])
		p_err("cannot open %s: %s", mount_point, strerror(errno));
	else
		p_err("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	return -1;
}

static char *full_path(const char *path, const char *file)
{
	char *full;

	if (asprintf(&full, "%s%s%s%s", mount_point, path, *file ? "/" : "", file) < 0)
		return NULL;
	return full;
}

static int get_handle(int dir_fd, const char *name, struct cgroup_handle *h)
{
	int mount_id;

	h->handle.handle_bytes = sizeof(__u64);
	return name_to_handle_at(dir_fd, name, &h->handle, &mount_id,
				 *name ? 0 : AT_EMPTY_PATH);
}

static int get_id(int dir_fd, const char *name, __u64 *id)
{
	struct cgroup_handle h;

	if (get_handle(dir_fd, name, &h))
		return -1;
	memcpy(id, h.handle.f_handle, sizeof(*id));
	return 0;
}

/* The path of a directory of cgroup v2 that is open; NULL if it is none. */
static char *path_of_fd(int fd)
{
	const size_t len = strlen(mount_point);
	char link[64], full[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return NULL;
	full[n] = '\0';
	if (strncmp(full, mount_point, len) || (full[len] && full[len] != '/'))
		return NULL;
	return strdup(full[len] ? full + len : "/");
}

/**
 * oom_cgroup_path() - the path of a cgroup
 * @id: its id
 *
 * Says nothing.
 *
 * Return: its path, for free(); NULL if no cgroup has that id any more.
 */
char *oom_cgroup_path(__u64 id)
{
	struct cgroup_handle h;
	char *path;
	int fd;

	if (!id || open_mount() || get_handle(mount_fd, "", &h))
		return NULL;
	memcpy(h.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	path = path_of_fd(fd);
	close(fd);
	return path;
}

/**
 * oom_cgroup_name() - what to call a cgroup in front of people
 * @id: its id
 *
 * Return: its path, or its id if it has gone; for free(), NULL without memory.
 */
char *oom_cgroup_name(__u64 id)
{
	char *path = oom_cgroup_path(id);

	if (!path && asprintf(&path, "cgroup id %llu (gone)", id) < 0)
		return NULL;
	return path;
}

static void mask(char *text, const char *but)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) && !strchr(but, *text))
			*text = '?';
}

/**
 * oom_mask_name() - make a name fit for a terminal, and for one line
 * @name: control characters in it become question marks
 */
void oom_mask_name(char *name)
{
	mask(name, "");
}

/**
 * oom_printf() - printf() for all that has names in it
 * @fmt: as of printf()
 *
 * A tenant chooses the names of its cgroups and processes, and must not get at the
 * terminal of whoever looks at them.
 *
 * Return: as of printf().
 */
int oom_printf(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return n;
	mask(text, "\n\t");
	fputs(text, stdout);
	free(text);
	return n;
}

/**
 * oom_json_cgroup() - a cgroup as two fields of JSON
 * @wtr: writes them
 * @key: name of the first; that of the second has _id at its end
 * @id: its id
 * @path: its path, NULL if it has gone
 */
void oom_json_cgroup(json_writer_t *wtr, const char *key, __u64 id, const char *path)
{
	char id_key[64];

	if (path)
		jsonw_string_field(wtr, key, path);
	else
		jsonw_null_field(wtr, key);
	snprintf(id_key, sizeof(id_key), "%s_id", key);
	jsonw_lluint_field(wtr, id_key, id);
}

static void explain_no_cgroup(const char *arg)
{
	struct statfs fs;

	if (arg[0] != '/' || statfs(arg, &fs))
		p_err("no such cgroup: %s (cgroup v2 is mounted at %s)", arg, mount_point);
	else if (fs.f_type == CGROUP_SUPER_MAGIC)
		p_err("%s is a cgroup of version 1, which has no OOM policies", arg);
	else
		p_err("%s is not a cgroup: cgroup v2 is mounted at %s", arg, mount_point);
}

/**
 * oom_cgroup_parse() - the cgroup that the user has named
 * @arg: from the mount point on, or from the root with or without a slash
 * @cgroup: path and id; oom_cgroup_free() ends it
 *
 * Return: 0, or -1 with the reason told and nothing to free.
 */
int oom_cgroup_parse(const char *arg, struct oom_cgroup *cgroup)
{
	char full[PATH_MAX];
	struct statfs fs;
	size_t len;
	int fd;

	cgroup->path = NULL;
	if (!*arg) {
		p_err("a cgroup is missing: '/' is the root");
		return -1;
	}
	if (oom_cgroup_mount())
		return -1;

	len = strlen(mount_point);
	if (!strncmp(arg, mount_point, len) && (!arg[len] || arg[len] == '/'))
		len = snprintf(full, sizeof(full), "%s", arg);
	else
		len = snprintf(full, sizeof(full), "%s/%s", mount_point, arg);
	if (len >= sizeof(full)) {
		p_err("the path of a cgroup has %d characters at most", PATH_MAX - 1);
		return -1;
	}

	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOTDIR)
			p_err("%s is a file, not a cgroup", arg);
		else if (errno == ENOENT)
			explain_no_cgroup(arg);
		else
			p_err("cannot open cgroup %s: %s", arg, strerror(errno));
		return -1;
	}

	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		p_err("%s is not a cgroup: it leads out of %s", arg, mount_point);
	} else if (get_id(fd, "", &cgroup->id)) {
		p_err("cannot get the id of cgroup %s: %s", arg, strerror(errno));
	} else {
		cgroup->path = path_of_fd(fd);
		if (!cgroup->path)
			p_err("cannot tell the path of cgroup %s", arg);
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
	char *full = full_path(path, "");
	int fd = -1;

	if (full)
		fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		p_err("cannot open cgroup %s: %s", path, strerror(errno));
	free(full);
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

static FILE *open_file(const char *path, const char *file)
{
	char *full = full_path(path, file);
	FILE *f = full ? fopen(full, "re") : NULL;

	free(full);
	return f;
}

static DIR *open_dir(const char *path)
{
	char *full = full_path(path, "");
	DIR *dir = full ? opendir(full) : NULL;

	free(full);
	return dir;
}

static bool read_number(const char *path, const char *file, __u64 *value)
{
	FILE *f = open_file(path, file);
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

	read_number(path, file, &value);
	return value;
}

static bool is_populated(const char *path)
{
	FILE *f = open_file(path, "cgroup.events");
	char key[32];
	int value;

	if (!f)
		return false;
	while (fscanf(f, "%31s %d", key, &value) == 2) {
		if (!strcmp(key, "populated")) {
			fclose(f);
			return value;
		}
	}
	fclose(f);
	return false;
}

static bool is_killable(int pid)
{
	char path[64];
	int adj = 0;
	FILE *f;

	if (pid <= 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &adj) != 1)
		adj = 0;
	fclose(f);
	return adj != -1000;
}

/* Is there anybody in the cgroup or below it whom the OOM killer may take? */
static bool has_killable(const char *path)
{
	FILE *f = open_file(path, "cgroup.procs");
	struct dirent *entry;
	bool found = false;
	char *below;
	DIR *dir;
	int pid;

	if (f) {
		while (!found && fscanf(f, "%d", &pid) == 1)
			found = is_killable(pid);
		fclose(f);
	}
	if (found)
		return true;

	dir = open_dir(path);
	while (!found && dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0)
			break;
		found = has_killable(below);
		free(below);
	}
	if (dir)
		closedir(dir);
	return found;
}

/**
 * oom_child_fill() - see what a cgroup holds and whether it takes part
 * @child: has its path
 *
 * Return: false if it has no memory controller.
 */
bool oom_child_fill(struct oom_child *child)
{
	if (!read_number(child->path, "memory.current", &child->usage))
		return false;
	read_number(child->path, "memory.swap.current", &child->swap);
	child->out = NULL;
	if (!is_populated(child->path))
		child->out = "no processes";
	else if (!has_killable(child->path))
		child->out = "nobody to kill";
	return true;
}

static int compare_child_ids(const void *a, const void *b)
{
	const struct oom_child *child_a = a, *child_b = b;

	if (child_a->id == child_b->id)
		return 0;
	return child_a->id < child_b->id ? -1 : 1;
}

/**
 * oom_children_free() - end of what oom_children() found
 * @children: may be NULL
 * @nr: how many; below 0 as 0
 */
void oom_children_free(struct oom_child *children, int nr)
{
	while (nr-- > 0)
		free(children[nr].path);
	free(children);
}

static int add_child(struct oom_child **children, int *nr, int dir_fd,
		     const char *parent, const char *name)
{
	struct oom_child *child;
	void *more;

	/* In steps of powers of two. */
	if (!(*nr & (*nr - 1))) {
		more = realloc(*children, (*nr ? *nr * 2 : 1) * sizeof(*child));
		if (!more)
			return -1;
		*children = more;
	}
	child = &(*children)[*nr];
	memset(child, 0, sizeof(*child));
	if (get_id(dir_fd, name, &child->id))
		return 0;	/* just removed */
	if (asprintf(&child->path, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		return -1;
	if (!oom_child_fill(child)) {
		free(child->path);
		return 0;
	}
	(*nr)++;
	return 0;
}

/**
 * oom_children() - the children that have the memory controller
 * @parent: path
 * @children: for oom_children_free()
 *
 * They come in the order of their ids, which is the order in which they were made
 * and in which the kernel meets them.
 *
 * Return: how many, or -1 with the reason told.
 */
int oom_children(const char *parent, struct oom_child **children)
{
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	*children = NULL;
	dir = open_dir(parent);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir) {
		p_err("cannot list cgroup %s: %s", parent, strerror(errno));
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (add_child(children, &nr, dirfd(dir), parent, entry->d_name)) {
			p_err("mem alloc failed");
			oom_children_free(*children, nr);
			closedir(dir);
			return -1;
		}
	}
	closedir(dir);
	if (nr)
		qsort(*children, nr, sizeof(**children), compare_child_ids);
	return nr;
}

/**
 * oom_cgroup_done() - forget the mount
 */
void oom_cgroup_done(void)
{
	if (mount_fd >= 0)
		close(mount_fd);
	mount_fd = -1;
}
