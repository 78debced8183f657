// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trees of cgroups and tasks; tree.h says what each function is for.
 */
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "cgroups.h"
#include "helpers.h"
#include "tasks.h"
#include "tree.h"

/* Whatever cgroup is found is a leftover of a test that was ended by force. */
static bool cgroups_are_ours;

void require_bare_machine(void)
{
	DIR *dir = opendir(CGROUP_ROOT);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		ksft_print_header();
		ksft_exit_skip("cgroup /%s is here: not a machine to kill on\n",
			       entry->d_name);
	}
	if (dir)
		closedir(dir);
	cgroups_are_ours = true;
}

static int remove_leftover(const char *full, const struct stat *st, int type,
			   struct FTW *ftw)
{
	if (type != FTW_DP || !ftw->level)
		return 0;
	diag("%s is left over", full);
	return cgroup_remove(full + strlen(CGROUP_ROOT "/"));
}

static int parse_option(struct node *node, const char *word)
{
	if (sscanf(word, "adj=%d", &node->adj) == 1 ||
	    sscanf(word, "x%d", &node->nr_tasks) == 1)
		return 0;

	if (!strcmp(word, "group")) {
		node->group = true;
	} else if (!strcmp(word, "shared")) {
		node->shared = true;
	} else if (!strcmp(word, "moved")) {
		node->moved = true;
	} else if (!strcmp(word, "threads")) {
		node->threads = true;
	} else if (sscanf(word, "%dM", &node->megabytes) == 1) {
		if (!node->nr_tasks)
			node->nr_tasks = 1;
	} else {
		diag("'%s' is no property of a cgroup", word);
		return -1;
	}
	return 0;
}

static int parse_node(struct node *node, char *text)
{
	char *word, *saved;
	long long priority;
	int used;

	if (sscanf(text, "%31[^=]=%lld%n", node->path, &priority, &used) != 2) {
		diag("'%s' is no PATH=PRIORITY", text);
		return -1;
	}
	node->priority = priority;
	for (word = strtok_r(text + used, ",", &saved); word;
	     word = strtok_r(NULL, ",", &saved))
		if (parse_option(node, word))
			return -1;
	if (node->nr_tasks > MAX_TASKS) {
		diag("more than %d tasks in %s", MAX_TASKS, node->path);
		return -1;
	}
	return 0;
}

static int tree_parse(struct tree *tree, const char *text)
{
	char copy[1024], *word, *saved;

	memset(tree, 0, sizeof(*tree));
	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, " ", &saved); word;
	     word = strtok_r(NULL, " ", &saved)) {
		if (tree->nr_nodes == MAX_NODES) {
			diag("more than %d cgroups in '%s'", MAX_NODES, text);
			return -1;
		}
		if (parse_node(&tree->node[tree->nr_nodes], word))
			return -1;
		tree->nr_nodes++;
	}
	return 0;
}

static int node_make(struct node *node)
{
	char parent[sizeof(node->path)];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", node->path);
	slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		if (cgroup_enable_memory(parent))
			return -1;
	}
	if (cgroup_make(node->path))
		return -1;
	if (node->group && cgroup_write(node->path, "memory.oom.group", "1"))
		return -1;
	node->id = cgroup_id(node->path);
	return node->id ? 0 : -1;
}

static int node_start_task(const struct node *node, pid_t *pid)
{
	const struct task task = {
		.path = node->path,
		.megabytes = node->megabytes,
		.adj = node->adj,
		.shared = node->shared,
		.moved = node->moved,
		.threads = node->threads,
	};
	const pid_t started = task_start(&task);

	if (started < 0)
		return -1;
	*pid = started;
	return 0;
}

int tree_make(struct tree *tree, const char *text)
{
	int n, i;

	if (cgroups_are_ours && nftw(CGROUP_ROOT, remove_leftover, 8, FTW_DEPTH | FTW_PHYS))
		return -1;
	if (tree_parse(tree, text))
		return -1;
	for (n = 0; n < tree->nr_nodes; n++)
		if (node_make(&tree->node[n]))
			return -1;
	for (n = 0; n < tree->nr_nodes; n++)
		for (i = 0; i < tree->node[n].nr_tasks; i++)
			if (node_start_task(&tree->node[n], &tree->node[n].pid[i]))
				return -1;
	return 0;
}

void tree_remove(struct tree *tree)
{
	struct node *node;
	int n, i;

	for (n = tree->nr_nodes - 1; n >= 0; n--) {
		node = &tree->node[n];
		for (i = 0; i < MAX_TASKS; i++) {
			if (!node->pid[i] || node->dead[i])
				continue;
			kill(node->pid[i], SIGKILL);
			waitpid(node->pid[i], NULL, 0);
			node->dead[i] = true;
		}
		cgroup_remove(node->path);
	}
	tree->nr_nodes = 0;
}

struct node *tree_find(struct tree *tree, const char *path)
{
	int n;

	for (n = 0; n < tree->nr_nodes; n++)
		if (!strcmp(tree->node[n].path, path))
			return &tree->node[n];
	return NULL;
}

struct node *tree_find_id(struct tree *tree, __u64 id)
{
	int n;

	for (n = 0; n < tree->nr_nodes; n++)
		if (tree->node[n].id == id)
			return &tree->node[n];
	return NULL;
}

struct node *tree_find_pid(struct tree *tree, pid_t pid)
{
	int n, i;

	for (n = 0; n < tree->nr_nodes; n++)
		for (i = 0; i < tree->node[n].nr_tasks; i++)
			if (tree->node[n].pid[i] == pid)
				return &tree->node[n];
	return NULL;
}

/* How many tasks of the node have died of SIGKILL. */
int node_killed(struct node *node)
{
	int i, killed = 0;

	for (i = 0; i < node->nr_tasks; i++) {
		if (!node->dead[i] &&
		    waitpid(node->pid[i], &node->status[i], WNOHANG) == node->pid[i])
			node->dead[i] = true;
		if (node->dead[i] && WIFSIGNALED(node->status[i]) &&
		    WTERMSIG(node->status[i]) == SIGKILL)
			killed++;
	}
	return killed;
}

int tree_killed(struct tree *tree)
{
	int n, killed = 0;

	for (n = 0; n < tree->nr_nodes; n++)
		killed += node_killed(&tree->node[n]);
	return killed;
}
