// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample policies at work; sample.h says what each function is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "attach.h"
#include "cgroups.h"
#include "helpers.h"
#include "sample.h"
#include "tasks.h"

#define CACHE_FILE	"/scratch/cache"

static int set_priority(const struct bpf_map *map, const struct node *node)
{
	const bool by_id = bpf_map__type(map) == BPF_MAP_TYPE_HASH;
	const int fd = by_id ? -1 : cgroup_open(node->path);
	int err;

	if (by_id)
		err = bpf_map__update_elem(map, &node->id, sizeof(node->id), &node->priority,
					   sizeof(node->priority), BPF_ANY);
	else
		err = bpf_map__update_elem(map, &fd, sizeof(fd), &node->priority,
					   sizeof(node->priority), BPF_ANY);
	if (fd >= 0)
		close(fd);
	if (err)
		diag("priority of %s: %s", node->path, strerror(-err));
	return err ? -1 : 0;
}

/* Of a policy that has a map for them there, else in the files of the cgroups. */
static int set_priorities(const struct bpf_object *obj, const struct tree *tree)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(obj, "oom_priority");
	const struct node *node = tree->node;

	if (!map)
		map = bpf_object__find_map_by_name(obj, "oom_inherit");
	for (; node < tree->node + tree->nr_nodes; node++)
		if (node->priority && (map ? set_priority(map, node) :
				       cgroup_set_priority(node->path, node->priority)))
			return -1;
	return 0;
}

/* The one constant that there is. */
static int set_floor(const struct bpf_object *obj, __u64 floor)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(obj, ".rodata");
	size_t size = 0;
	void *data;

	if (!floor)
		return 0;
	data = map ? bpf_map__initial_value(map, &size) : NULL;
	if (size != sizeof(floor))
		return -1;
	memcpy(data, &floor, sizeof(floor));
	return 0;
}

int sample_attach(struct sample *sample, const char *name, __u32 flags,
		  const struct tree *tree, __u64 floor)
{
	char path[128];

	snprintf(path, sizeof(path), SHARE "/%s.bpf.o", name);
	sample->obj = bpf_object__open_file(path, NULL);
	if (!sample->obj || set_floor(sample->obj, floor) || bpf_object__load(sample->obj)) {
		diag("loading %s: %m", path);
		return -1;
	}
	if (set_priorities(sample->obj, tree))
		return -1;
	sample->prog = bpf_object__next_program(sample->obj, NULL);
	sample->link = attach_with(sample->prog, "",
				   .flags = flags, .budget_us = NO_BUDGET_US);
	return sample->link ? 0 : -1;
}

void sample_detach(struct sample *sample)
{
	bpf_link__destroy(sample->link);
	bpf_object__close(sample->obj);
	memset(sample, 0, sizeof(*sample));
}

int sample_add_tasks(struct tree *tree, const char *path, const struct sample_task *tasks)
{
	struct node *node = tree_find(tree, path);
	int i;

	for (i = 0; i < SAMPLE_TASKS && tasks[i].megabytes; i++) {
		if (!node && !*path) {
			node = &tree->node[tree->nr_nodes++];
			snprintf(node->path, sizeof(node->path), "root");
			node->id = cgroup_id("");
		}
		if (!node || node->nr_tasks == MAX_TASKS)
			return -1;
		node->pid[node->nr_tasks] = task_start_in(path, tasks[i].megabytes,
							  tasks[i].adj);
		if (node->pid[node->nr_tasks++] < 0)
			return -1;
	}
	return 0;
}

static int write_cache(const char *path, int megabytes)
{
	static char megabyte[MEGABYTE];
	const int fd = open(CACHE_FILE, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || cgroup_write(path, "cgroup.procs", "0"))
		return 1;
	while (megabytes--)
		if (write(fd, megabyte, MEGABYTE) != MEGABYTE)
			return 1;
	return fsync(fd) ? 1 : 0;
}

int sample_fill_cache(const char *path, int megabytes)
{
	const pid_t pid = fork();
	int status;

	if (!pid)
		_exit(write_cache(path, megabytes));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		diag("no page cache in %s", path);
		return -1;
	}
	return 0;
}

/* The kernel does so for whoever reads them. */
int sample_flush_stats(const struct tree *tree)
{
	int n;

	for (n = 0; n < tree->nr_nodes; n++)
		if (strcmp(tree->node[n].path, "root") &&
		    cgroup_read_long(tree->node[n].path, "memory.stat", "anon") < 0)
			return -1;
	return 0;
}
