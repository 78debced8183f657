// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * From the id of a cgroup to its path and back, below the mount point of cgroup v2, and
 * what to say of one that has no path: it is gone, or not to be seen from here. Paths
 * may be of any length.
 *
 * The mount is looked up once per command and kept until oom_cgroup_done().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main.h"
#include "oom.h"

static char mount_point[PATH_MAX];
static int mount_fd = -1;
static __u64 private_root;
static bool private_namespace;
static bool root_told;

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
 * oom_mount_point() - where cgroup v2 is mounted
 *
 * After oom_cgroup_mount().
 */
const char *oom_mount_point(void)
{
	return mount_point;
}

/**
 * oom_cgroup_open_at() - open a file of a cgroup
 * @path: of the cgroup
 * @file: its name, "" for the cgroup's directory
 * @flags: as of open(), O_CLOEXEC is added
 *
 * Piece by piece, as the kernel takes no path that is longer than PATH_MAX, and cgroups
 * can be that deep. After oom_cgroup_mount(). Says nothing.
 *
 * Return: the file descriptor, or -1.
 */
int oom_cgroup_open_at(const char *path, const char *file, int flags)
{
	int dir = mount_fd, next;
	char *all, *at, *cut;

	if (asprintf(&all, "./%s/%s", path, file) < 0)
		return -1;
	for (at = all; dir >= 0 && strlen(at) >= PATH_MAX; at = cut + 1) {
		for (cut = at + PATH_MAX - 1; cut > at && *cut != '/'; cut--)
			;
		*cut = '\0';
		next = openat(dir, at, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir != mount_fd)
			close(dir);
		dir = next;
	}
	next = dir < 0 ? -1 : openat(dir, *at ? at : ".", flags | O_CLOEXEC);
	if (dir >= 0 && dir != mount_fd)
		close(dir);
	free(all);
	return next;
}

static int get_handle(int dir_fd, const char *name, struct cgroup_handle *h)
{
	int mount_id;

	h->handle.handle_bytes = sizeof(__u64);
	return name_to_handle_at(dir_fd, name, &h->handle, &mount_id,
				 *name ? 0 : AT_EMPTY_PATH);
}

/**
 * oom_cgroup_get_id() - the id of a cgroup
 * @dir_fd: of the one above, or of the cgroup
 * @name: below that, or ""
 * @id: becomes the id
 *
 * Return: 0, or -1 without a word.
 */
int oom_cgroup_get_id(int dir_fd, const char *name, __u64 *id)
{
	struct cgroup_handle h;

	if (get_handle(dir_fd, name, &h))
		return -1;
	memcpy(id, h.handle.f_handle, sizeof(*id));
	return 0;
}

/* Whether what is mounted begins above the root of this cgroup namespace. */
static bool mount_is_outside(void)
{
	bool outside = false;
	char *line = NULL, root[4];
	size_t size = 0;
	FILE *mounts;

	mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts && getline(&line, &size, mounts) >= 0) {
		if (!strstr(line, " - cgroup2 "))
			continue;
		/* The fourth field is relative to that root. */
		outside = sscanf(line, "%*s %*s %*s %3s", root) == 1 && !strcmp(root, "/..");
		break;
	}
	if (mounts)
		fclose(mounts);
	free(line);
	return outside;
}

/*
 * In a cgroup namespace of one's own the root that is seen is not that of the machine,
 * which has the first id; or the machine's is, in whose mount the kernel finds by its id
 * only what is below the root of the namespace.
 */
static void look_at_root(void)
{
	__u64 id;

	if (root_told || oom_cgroup_get_id(mount_fd, "", &id))
		return;
	root_told = true;
	private_namespace = id != 1 || mount_is_outside();
	if (id != 1) {
		private_root = id;
		p_info("in a cgroup namespace of its own: / is the cgroup with the id %llu, not the root of the machine; what is outside is not seen",
		       id);
	} else if (private_namespace) {
		p_info("in a cgroup namespace of its own, though all cgroups are mounted: those outside of it are not compared");
	}
}

/**
 * oom_private_namespace() - are there cgroups that the kernel does not find from here?
 *
 * They may be mounted all the same. After oom_cgroup_mount().
 */
bool oom_private_namespace(void)
{
	return private_namespace;
}

/**
 * oom_private_root() - is there more above the root that is seen?
 *
 * Return: the id of that root if so, else 0; after oom_cgroup_mount().
 */
__u64 oom_private_root(void)
{
	return private_root;
}

/**
 * oom_cgroup_mount() - find where cgroup v2 is mounted
 *
 * Says so, once, if it is not all that is seen there.
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_cgroup_mount(void)
{
	if (!open_mount()) {
		look_at_root();
		return 0;
	}
	if (mount_point[0])
		oom_err("cannot open %s: %s", mount_point, strerror(errno));
	else
		oom_err("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	return -1;
}

/* The name of the directory with that inode. */
static char *name_in(int parent_fd, ino_t ino)
{
	const int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char *name = NULL;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	while (!name && (entry = readdir(dir)))
		if (entry->d_ino == ino && strcmp(entry->d_name, ".") &&
		    strcmp(entry->d_name, ".."))
			name = strdup(entry->d_name);
	closedir(dir);
	return name;
}

/* From one that has been opened, which is closed, to the one above. */
static int step_up(int fd, char **path)
{
	const int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *name = NULL, *longer = NULL;
	struct stat st;

	if (parent >= 0 && !fstat(fd, &st))
		name = name_in(parent, st.st_ino);
	close(fd);
	if (name && asprintf(&longer, "/%s%s", name, *path) < 0)
		longer = NULL;
	free(name);
	free(*path);
	*path = longer;
	if (longer || parent < 0)
		return parent;
	close(parent);
	return -1;
}

/* Up to where cgroup v2 is mounted; NULL if that is not above it. */
static char *walk_up(int fd)
{
	struct stat top, st;
	char *path;

	if (fstat(mount_fd, &top))
		return NULL;
	path = strdup("");
	fd = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (path && fd >= 0 && !fstat(fd, &st) && st.st_ino != top.st_ino)
		fd = step_up(fd, &path);
	if (fd >= 0 && path) {
		close(fd);
		return path;
	}
	free(path);
	return NULL;
}

/**
 * oom_cgroup_path_of() - the path of a directory that is open
 * @fd: the directory; after oom_cgroup_mount()
 *
 * Return: its path, for free(); NULL if it is not below the mount.
 */
char *oom_cgroup_path_of(int fd)
{
	const size_t len = strlen(mount_point);
	char link[64], full[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return errno == ENAMETOOLONG ? walk_up(fd) : NULL;
	full[n] = '\0';
	if (strncmp(full, mount_point, len) || (full[len] && full[len] != '/'))
		return NULL;
	return strdup(full[len] ? full + len : "/");
}

/**
 * oom_cgroup_open_id() - from an id to its directory
 * @id: the id; after oom_cgroup_mount()
 *
 * Return: the file descriptor, of use as a place only; -1 and errno.
 */
int oom_cgroup_open_id(__u64 id)
{
	struct cgroup_handle h;

	if (get_handle(mount_fd, "", &h))
		return -1;
	memcpy(h.handle.f_handle, &id, sizeof(id));
	return open_by_handle_at(mount_fd, &h.handle, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Why a cgroup has no path. */
enum place {
	PLACE_KNOWN,	/* it has */
	PLACE_GONE,
	PLACE_OUTSIDE,	/* not below the mount: in another cgroup namespace */
	PLACE_HIDDEN,	/* errno says why */
};

static enum place find(__u64 id, char **path)
{
	int fd;

	*path = NULL;
	if (!id)
		return PLACE_GONE;
	if (open_mount())
		return PLACE_HIDDEN;
	fd = oom_cgroup_open_id(id);
	if (fd < 0)
		return errno == ESTALE ? PLACE_GONE : PLACE_HIDDEN;
	*path = oom_cgroup_path_of(fd);
	close(fd);
	return *path ? PLACE_KNOWN : PLACE_OUTSIDE;
}

/**
 * oom_cgroup_path() - the path of a cgroup
 * @id: its id
 *
 * Says nothing.
 *
 * Return: its path, for free(); NULL if no cgroup has that id any more, or if it is not
 * to be seen from here.
 */
char *oom_cgroup_path(__u64 id)
{
	char *path;

	find(id, &path);
	return path;
}

/**
 * oom_cgroup_name() - what to call a cgroup in front of people
 * @id: its id
 *
 * Return: its path, or its id and why that is all that can be said; for free(), NULL
 * without memory.
 */
char *oom_cgroup_name(__u64 id)
{
	char *name = NULL;
	int n = 0;

	switch (find(id, &name)) {
	case PLACE_KNOWN:
		break;
	case PLACE_GONE:
		n = asprintf(&name, "cgroup id %llu (gone)", id);
		break;
	case PLACE_OUTSIDE:
		n = asprintf(&name, "cgroup id %llu (outside of %s)", id, mount_point);
		break;
	default:
		n = asprintf(&name, "cgroup id %llu (%s)", id, strerror(errno));
		break;
	}
	return n < 0 ? NULL : name;
}

/**
 * oom_json_cgroup() - a cgroup as two fields of JSON
 * @wtr: writes them
 * @key: name of the first; that of the second has _id at its end
 * @id: its id
 * @path: its path, NULL if it is not known; a third field, with _state, says why
 */
void oom_json_cgroup(json_writer_t *wtr, const char *key, __u64 id, const char *path)
{
	static const char * const states[] = {
		[PLACE_GONE]	= "gone",
		[PLACE_OUTSIDE]	= "outside",
		[PLACE_HIDDEN]	= "hidden",
	};
	char more[64], *now = NULL;
	enum place place;

	if (path)
		jsonw_string_field(wtr, key, path);
	else
		jsonw_null_field(wtr, key);
	snprintf(more, sizeof(more), "%s_id", key);
	jsonw_lluint_field(wtr, more, id);
	if (path || !id)
		return;
	place = find(id, &now);
	free(now);
	snprintf(more, sizeof(more), "%s_state", key);
	jsonw_string_field(wtr, more, states[place == PLACE_KNOWN ? PLACE_HIDDEN : place]);
}

/**
 * oom_cgroup_done() - forget the mount
 */
void oom_cgroup_done(void)
{
	if (mount_fd >= 0)
		close(mount_fd);
	mount_fd = -1;
	private_root = 0;
	root_told = false;
}
