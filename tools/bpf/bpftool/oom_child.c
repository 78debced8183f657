// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The children of a cgroup: which there are, what they hold, and whether they would
 * take part.
 *
 * There may be many thousands of them, and each file that is read costs as much as
 * dozens of comparisons: a list has names and ids only, which cost next to nothing, and
 * the rest is looked up for those that are shown.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main.h"
#include "oom.h"

/* Why a child is out; one that is gone is not to be shown. */
const char * const oom_no_processes = "no processes";
const char * const oom_never = "never a candidate (memory.oom.priority is max)";
const char * const oom_gone = "gone";

/* Those that stand for the root itself among its children. */
const char * const oom_root_tasks = "(processes of the root)";

static bool is_populated(const char *path)
{
	FILE *f = oom_cgroup_file(path, "cgroup.events", "re");
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

static bool is_child(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && strcmp(entry->d_name, ".") &&
	       strcmp(entry->d_name, "..");
}

/* Is there anybody in the cgroup or below it whom the OOM killer may take? */
static bool has_killable(const char *path)
{
	FILE *f = oom_cgroup_file(path, "cgroup.procs", "re");
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

	dir = oom_cgroup_opendir(path);
	while (!found && dir && (entry = readdir(dir))) {
		if (!is_child(entry))
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

/* As bpf_mem_cgroup_freeable() does, from files that are up to date. */
static __u64 freeable(const struct oom_child *child)
{
	FILE *f = oom_cgroup_file(child->path, "memory.stat", "re");
	__u64 outlives = 0, swapcached = 0, value;
	char key[64];

	if (!f)
		return child->usage + child->swap;
	while (fscanf(f, "%63s %llu", key, &value) == 2) {
		if (!strcmp(key, "file") || !strcmp(key, "slab_reclaimable"))
			outlives += value;
		else if (!strcmp(key, "swapcached"))
			swapcached = value;
	}
	fclose(f);
	outlives -= swapcached < outlives ? swapcached : outlives;
	return child->swap + child->usage -
	       (outlives < child->usage ? outlives : child->usage);
}

/**
 * oom_child_check() - see whether a cgroup takes part, and what its death is good for
 * @child: has its path, its id, usage and swap; one that is out already stays so, and
 *	   of the processes of the root all is known
 */
void oom_child_check(struct oom_child *child)
{
	if (child->root_tasks)
		return;
	oom_priority_of(child->path, child->id, &child->priority);
	child->freeable = freeable(child);
	if (child->out)
		return;
	if (!is_populated(child->path))
		child->out = oom_no_processes;
	else if (!has_killable(child->path))
		child->out = "nobody to kill";
	else if (child->priority.state == BPF_OOM_PRIORITY_MAX)
		child->out = oom_never;
}

/**
 * oom_child_fill() - see what a cgroup holds and whether it takes part
 * @child: has its path and its id
 *
 * Return: false if it has no memory controller, or has gone.
 */
bool oom_child_fill(struct oom_child *child)
{
	if (!oom_cgroup_read(child->path, "memory.current", &child->usage))
		return false;
	oom_cgroup_read(child->path, "memory.swap.current", &child->swap);
	child->out = NULL;
	oom_child_check(child);
	return true;
}

/**
 * oom_only_child() - the one child of a cgroup that has processes
 * @parent: path
 * @id: becomes the child's
 *
 * Return: its path, for free(); NULL if there is none, or more than one.
 */
char *oom_only_child(const char *parent, __u64 *id)
{
	char *child = NULL, *below = NULL;
	DIR *dir = oom_cgroup_opendir(parent);
	struct dirent *entry;
	bool several = false;

	while (dir && !several && (entry = readdir(dir))) {
		if (!is_child(entry))
			continue;
		if (asprintf(&below, "%s/%s", parent, entry->d_name) < 0)
			break;
		if (!is_populated(below) || oom_cgroup_get_id(dirfd(dir), entry->d_name, id)) {
			free(below);
			continue;
		}
		several = child;
		free(child);
		child = below;
	}
	if (dir)
		closedir(dir);
	if (!several)
		return child;
	free(child);
	return NULL;
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

static int add_child(struct oom_child **children, int *nr, const char *parent,
		     const char *name, __u64 id)
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
	child->id = id;
	if (asprintf(&child->path, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		return -1;
	(*nr)++;
	return 0;
}

/* Do the children of a cgroup have the memory controller? */
static bool gives_memory(const char *parent)
{
	FILE *f = oom_cgroup_file(parent, "cgroup.subtree_control", "re");
	bool found = false;
	char name[32];

	if (!f)
		return false;
	while (!found && fscanf(f, "%31s", name) == 1)
		found = !strcmp(name, "memory");
	fclose(f);
	return found;
}

static int list_children(DIR *dir, const char *parent, struct oom_child **children)
{
	/* Where an inode number has 64 bits it is the id, which saves a call for each. */
	enum { UNKNOWN, YES, NO } inode_is_id = sizeof(ino_t) == sizeof(__u64) ? UNKNOWN : NO;
	struct dirent *entry;
	int nr = 0;
	__u64 id;

	while ((entry = readdir(dir))) {
		if (!is_child(entry))
			continue;
		id = entry->d_ino;
		if (inode_is_id != YES) {
			if (oom_cgroup_get_id(dirfd(dir), entry->d_name, &id))
				continue;	/* just removed */
			if (inode_is_id == UNKNOWN)
				inode_is_id = id == entry->d_ino ? YES : NO;
		}
		if (add_child(children, &nr, parent, entry->d_name, id)) {
			oom_err("mem alloc failed");
			oom_children_free(*children, nr);
			*children = NULL;
			return -1;
		}
	}
	return nr;
}

/**
 * oom_children() - the children that have the memory controller
 * @parent: path
 * @children: for oom_children_free(); they have path and id, the rest is
 *	      oom_child_fill()'s
 *
 * They come in the order of their ids, which is the order in which they were made
 * and in which the kernel meets them. A threaded one may be among them, which has no
 * controller for all that: it cannot be filled.
 *
 * Return: how many, or -1 with the reason told.
 */
int oom_children(const char *parent, struct oom_child **children)
{
	DIR *dir;
	int nr;

	*children = NULL;
	if (oom_cgroup_is_leaf(parent))
		return 0;
	dir = oom_cgroup_opendir(parent);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir) {
		oom_err("cannot list cgroup %s: %s", parent, strerror(errno));
		return -1;
	}
	nr = gives_memory(parent) ? list_children(dir, parent, children) : 0;
	closedir(dir);
	if (nr > 0)
		qsort(*children, nr, sizeof(**children), compare_child_ids);
	return nr;
}
