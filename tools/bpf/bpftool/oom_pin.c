// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Where links of OOM policies are pinned unless somebody says where: a name that is made
 * of the path of the cgroup so that no two cgroups have the same one, and that does not
 * stand in the way when a cgroup has been removed and made anew.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "main.h"
#include "oom.h"

#define PREFIX		"oom_policy_"
#define TASK_SUFFIX	"+task"
#define ID_ROOM		24	/* a plus sign, and a number of 64 bits */

/* A plus sign is ours: no name has it in it. */
static bool stays(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == ':' || c == '@';
}

/**
 * oom_pin_name() - the default pin of a link
 * @cgroup: where it is attached
 * @attach_type: for cgroups or for tasks
 * @pin: becomes its path
 * @size: room for it
 *
 * "/" is an underscore; what is no letter, digit, "-", ":" or "@" is a percent sign and
 * two digits. BPF file systems take no dot.
 */
void oom_pin_name(const struct oom_cgroup *cgroup, __u32 attach_type, char *pin, size_t size)
{
	const char *suffix = attach_type == BPF_OOM_POLICY_TASK ? TASK_SUFFIX : "";
	const size_t room = NAME_MAX - strlen(PREFIX) - strlen(suffix);
	const char *path = cgroup->path + 1, *c;
	char name[NAME_MAX + 1];
	size_t len = 0, n;

	name[0] = '\0';
	if (!*path)
		len = snprintf(name, sizeof(name), "root");
	for (c = path; *c; c++) {
		/* That name is the root's. */
		const bool plain = stays(*c) && !(c == path && !strcmp(path, "root"));

		n = plain || *c == '/' ? 1 : 3;
		if (len + n > room - ID_ROOM && len + 3 * strlen(c) > room) {
			len += snprintf(name + len, ID_ROOM, "+%llu", cgroup->id);
			break;
		}
		if (n == 3)
			snprintf(name + len, n + 1, "%%%02x", (unsigned char)*c);
		else
			snprintf(name + len, n + 1, "%c", *c == '/' ? '_' : *c);
		len += n;
	}
	snprintf(pin, size, OOM_BPF_FS "/" PREFIX "%s%s", name, suffix);
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		return true;
	while ((entry = readdir(dir)))
		nr += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return !nr;
}

/**
 * oom_pin_hides() - would a BPF file system mounted for a pin hide files?
 * @pin: to be made
 *
 * One is mounted on the directory of a pin that is in none.
 *
 * Return: whether it would, with that told.
 */
bool oom_pin_hides(const char *pin)
{
	char *copy = strdup(pin), *dir = copy ? dirname(copy) : NULL;
	bool hides = false;
	struct statfs fs;

	if (dir && !block_mount && !statfs(dir, &fs))
		hides = (unsigned int)fs.f_type != BPF_FS_MAGIC && !is_empty(dir);
	if (hides)
		oom_err("%s is in no BPF file system, and to mount one on %s would hide what is there: choose a pin below %s",
			pin, dir, OOM_BPF_FS);
	free(copy);
	return hides;
}

/**
 * oom_pin_clear() - remove a pin that has outlived its cgroup
 * @pin: if it is that of an OOM policy that is detached for good it goes, else it stays
 *
 * Return: whether it has gone.
 */
bool oom_pin_clear(const char *pin)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	bool stale = false;
	int fd;

	fd = bpf_obj_get(pin);
	if (fd < 0)
		return false;
	if (get_fd_type(fd) == BPF_OBJ_LINK && !bpf_link_get_info_by_fd(fd, &info, &len))
		stale = info.type == BPF_LINK_TYPE_OOM_POLICY &&
			info.oom_policy.state == BPF_OOM_LINK_DETACHED;
	close(fd);
	return stale && !unlink(pin);
}
