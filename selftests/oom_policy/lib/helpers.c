// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the OOM policy tests share; helpers.h says what each function is for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "helpers.h"

#define MEGABYTE	(1024UL * 1024)
#define HOG_CHUNK	(4 * MEGABYTE)
#define RESERVE		(16 * MEGABYTE)

time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void nap(void)
{
	const struct timespec ts = { .tv_nsec = 1000 * 1000 };

	nanosleep(&ts, NULL);
}

static int write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd >= 0) {
		len = write(fd, text, strlen(text));
		close(fd);
	}
	if (len < 0) {
		diag("writing '%s' to %s: %m", text, path);
		return -1;
	}
	return 0;
}

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

static void *sleep_forever(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static int task_main(const struct node *node, int ready_fd)
{
	const size_t size = node->megabytes * MEGABYTE;
	pthread_t thread;
	char adj[16];
	void *mem;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(adj, sizeof(adj), "%d", node->adj);
	if (write_file("/proc/self/oom_score_adj", adj))
		return 1;
	if (!node->moved && cgroup_write(node->path, "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_POPULATE |
		   (node->shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	memset(mem, 1, size);
	if (node->threads && pthread_create(&thread, NULL, sleep_forever, NULL))
		return 1;
	if (write(ready_fd, "", 1) != 1)
		return 1;
	sleep_forever(NULL);
	return 0;
}

static int wait_ready(int fd, const char *who)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&ready, 1, DEADLINE_S * 1000) != 1 || read(fd, &byte, 1) != 1) {
		diag("%s does not get ready", who);
		return -1;
	}
	return 0;
}

static int task_start(struct node *node, int i)
{
	char number[16];
	int fds[2], err = -1;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	node->pid[i] = fork();
	if (!node->pid[i])
		_exit(task_main(node, fds[1]));
	close(fds[1]);
	if (node->pid[i] < 0) {
		node->pid[i] = 0;
		goto out;
	}

	err = wait_ready(fds[0], node->path);
	if (!err && node->moved) {
		snprintf(number, sizeof(number), "%d", node->pid[i]);
		err = cgroup_write(node->path, "cgroup.procs", number);
	}
out:
	close(fds[0]);
	return err;
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
			if (task_start(&tree->node[n], i))
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

int protect_self(void)
{
	return write_file("/proc/self/oom_score_adj", "-1000");
}

int raise_oom_sysrq(void)
{
	return write_file("/proc/sysrq-trigger", "f");
}

/* The thread of a task that a tracer has to stop, 0 if there is none. */
static pid_t thread_to_hold(const struct node *node, pid_t pid)
{
	struct dirent *entry;
	char path[32];
	pid_t tid = 0;
	DIR *dir;

	if (!node->threads)
		return pid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (atoi(entry->d_name) && atoi(entry->d_name) != pid)
			tid = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return tid;
}

static int seize_node(const struct node *node)
{
	int i;

	for (i = 0; i < node->nr_tasks; i++) {
		if (ptrace(PTRACE_SEIZE, thread_to_hold(node, node->pid[i]), 0,
			   PTRACE_O_TRACEEXIT)) {
			diag("cannot trace the task of %s: %m", node->path);
			return -1;
		}
	}
	return 0;
}

static int hold_main(const struct tree *tree, __u32 *stopped, int ready_fd)
{
	int n, status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (n = 0; n < tree->nr_nodes; n++)
		if (seize_node(&tree->node[n]))
			return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || write(ready_fd, "", 1) != 1)
		return 1;

	while (waitpid(-1, &status, __WALL) > 0)
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			__atomic_add_fetch(stopped, 1, __ATOMIC_RELAXED);
	return 0;
}

int hold_tasks(struct holder *holder, const struct tree *tree)
{
	__u32 *stopped;
	int fds[2], err;

	stopped = mmap(NULL, sizeof(*stopped), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (stopped == MAP_FAILED || pipe2(fds, O_CLOEXEC))
		return -1;
	holder->stopped = stopped;
	holder->pid = fork();
	if (!holder->pid)
		_exit(hold_main(tree, stopped, fds[1]));
	close(fds[1]);
	err = holder->pid < 0 ? -1 : wait_ready(fds[0], "the tracer");
	close(fds[0]);
	return err;
}

/* A tracer's tasks are free when it is gone. */
void let_go(struct holder *holder)
{
	if (holder->pid <= 0)
		return;
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
	holder->pid = 0;
}

static int hog_main(const __u32 *sated)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *mem;
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		mem = mmap(NULL, HOG_CHUNK, PROT_READ | PROT_WRITE,
			   MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED)
			return 1;
		for (i = 0; i < HOG_CHUNK; i += page) {
			if (__atomic_load_n(sated, __ATOMIC_RELAXED))
				return 0;
			mem[i] = 1;
		}
	}
}

/*
 * The smallest victim has to be enough: its pages must not hide in a CPU's own list,
 * nor may the kernel want more in reserve for each page block that it breaks.
 */
static int keep_reserves_small(void)
{
	return write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000") ?:
	       write_file("/proc/sys/vm/watermark_boost_factor", "0");
}

pid_t hog_start(const __u32 *sated)
{
	pid_t pid;

	if (keep_reserves_small())
		return -1;
	pid = fork();
	if (!pid)
		_exit(hog_main(sated));
	return pid;
}

int wait_exit(pid_t pid)
{
	int status;

	if (!wait_until(waitpid(pid, &status, WNOHANG) == pid)) {
		diag("process %d does not end", pid);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int shortage_begin(struct shortage *shortage, const __u32 *sated)
{
	shortage->reserve = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
	if (shortage->reserve == MAP_FAILED || mlockall(MCL_CURRENT)) {
		diag("no reserve of memory: %m");
		return -1;
	}
	shortage->hog = hog_start(sated);
	return shortage->hog < 0 ? -1 : 0;
}

/* Unmapping could ask for memory, and there is none. */
int shortage_end(struct shortage *shortage)
{
	int err;

	if (!shortage->reserve)
		return 0;
	if (madvise(shortage->reserve, RESERVE, MADV_DONTNEED_LOCKED))
		diag("giving the reserve back: %m");
	err = wait_exit(shortage->hog);
	munmap(shortage->reserve, RESERVE);
	munlockall();
	shortage->reserve = NULL;
	return err;
}

int keep_capabilities(__u64 caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	int i;

	for (i = 0; i < 2; i++) {
		data[i].effective = caps >> (32 * i);
		data[i].permitted = caps >> (32 * i);
	}
	return syscall(__NR_capset, &header, data);
}
