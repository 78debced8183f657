// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives the cgroups that are there what a configuration says of them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "oom_conf.h"

#define PRIORITY_FILE	"memory.oom.priority"

struct walk {
	const struct oom_conf *was, *is;
	char path[PATH_SIZE];		/* of the cgroup at hand, from the root on */
	int marks_fd;
	int nr_set, nr_failed;
};

void oom_value_text(const struct oom_value *value, char *text, size_t size)
{
	if (!value)
		snprintf(text, size, "unset");
	else if (value->state == BPF_OOM_PRIORITY_MAX)
		snprintf(text, size, "max");
	else
		snprintf(text, size, "%lld", value->priority);
}

static bool has_mark(int fd, const char *name)
{
	char value = 0;

	return fgetxattr(fd, name, &value, sizeof(value)) == 1 && value == '1';
}

/* As the BPF programs have it: a tenant does not raise itself. */
static __u32 read_marks(int fd)
{
	struct stat st, parent;
	__u32 marks = 0;

	if (fstat(fd, &st))
		return 0;
	if (st.st_uid && (fstatat(fd, "..", &parent, 0) || parent.st_uid != st.st_uid))
		return 0;
	if (has_mark(fd, "user.oomd_avoid"))
		marks |= OOM_MARK_AVOID;
	if (has_mark(fd, "user.oomd_omit"))
		marks |= OOM_MARK_OMIT;
	return marks;
}

/* One that nothing is said about any more loses what it has from here, and only that. */
static void write_value(struct walk *walk, int dir, const struct oom_value *was,
			const struct oom_value *is)
{
	const int fd = openat(dir, PRIORITY_FILE, O_RDWR | O_CLOEXEC);
	char had[32], now[32], wanted[32];
	ssize_t len;

	if (fd < 0)
		return;		/* it has no memory controller, or is gone */
	len = read(fd, now, sizeof(now) - 1);
	now[len < 0 ? 0 : len] = '\0';
	now[strcspn(now, "\n")] = '\0';
	oom_value_text(was, had, sizeof(had));
	oom_value_text(is, wanted, sizeof(wanted));
	if (strcmp(now, wanted) && (is || !strcmp(now, had))) {
		if (pwrite(fd, wanted, strlen(wanted), 0) > 0) {
			walk->nr_set++;
		} else if (errno != ENODEV) {
			fprintf(stderr, "oom_rules: cannot write " PRIORITY_FILE " of %s: %s\n",
				walk->path, strerror(errno));
			walk->nr_failed++;
		}
	}
	close(fd);
}

static void visit(struct walk *walk, int fd)
{
	const __u32 marks = read_marks(fd);
	const struct oom_value *is = oom_conf_find(walk->is, walk->path, marks), *was = NULL;

	/* What has changed since the programs are there is known to them. */
	if (marks)
		bpf_map_update_elem(walk->marks_fd, &fd, &marks, BPF_NOEXIST);
	if (!is && walk->was)
		was = oom_conf_find(walk->was, walk->path, marks);
	if (is || was)
		write_value(walk, fd, was, is);
}

/* Takes the descriptor. What is removed meanwhile is not met, or is empty. */
static void descend(struct walk *walk, int fd, size_t len)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	size_t below;
	int child;

	while (dir && (entry = readdir(dir))) {
		below = len + 1 + strlen(entry->d_name);
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") || below >= sizeof(walk->path))
			continue;
		child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child < 0)
			continue;
		walk->path[len] = '/';
		memcpy(walk->path + len + 1, entry->d_name, below - len);
		visit(walk, child);
		descend(walk, child, below);
		walk->path[len] = '\0';
	}
	if (dir)
		closedir(dir);
	else
		close(fd);
}

__u32 oom_marks(const char *root, const char *path)
{
	char full[PATH_MAX];
	__u32 marks;
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	marks = read_marks(fd);
	close(fd);
	return marks;
}

int oom_walk(const char *root, const struct oom_conf *was, const struct oom_conf *is,
	     int marks_fd)
{
	const int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk walk = { .was = was, .is = is, .marks_fd = marks_fd };

	if (fd < 0) {
		fprintf(stderr, "oom_rules: cannot open %s: %s\n", root, strerror(errno));
		return -1;
	}
	descend(&walk, fd, 0);
	return walk.nr_failed ? -1 : walk.nr_set;
}
