// SPDX-License-Identifier: GPL-2.0-only
/*
 * A random tree in the machine; fuzz_stand.h says what each function is for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>
#include <linux/sched.h>

#include "fuzz_stand.h"

struct machine machine;

/* The tasks. */

/*
 * A victim dies before whoever asked for memory can ask again: the kernel stops
 * waiting for a victim a moment before its pages are free, and on one CPU that
 * moment can last long enough to kill another. So all that can die run before
 * all that ask.
 */
static int go_first(bool first)
{
	const struct sched_param param = { .sched_priority = first };

	return sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER, &param);
}

static int take(long first, long pages)
{
	return madvise(machine.room + first * machine.page, pages * machine.page,
		       MADV_POPULATE_WRITE);
}

/* SIGUSR1: a task asks for more until somebody has died of it. */
void stand_ask_for_more(int signal)
{
	const __u32 *sated = &machine.recorder->bss->sated;
	static long asked;

	(void)signal;
	go_first(false);
	while (!__atomic_load_n(sated, __ATOMIC_RELAXED) && asked < ROOM_PAGES / 2)
		if (take(ROOM_PAGES / 2 + asked++, 1))
			break;
	/* The next time, it may be the victim. */
	go_first(true);
	__atomic_fetch_add(&machine.shared->asked, 1, __ATOMIC_SEQ_CST);
}

static int sharer_main(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (go_first(true))
		_exit(1);
	__atomic_fetch_add(&machine.shared->ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

/* Whoever is to have this one's memory: a brother of it, with a stack of its own. */
static void start_sharers(const struct model *model, int number)
{
	static alignas(16) char stacks[MODEL_TASKS][16 * 1024];
	pid_t pid;
	int i;

	for (i = number + 1; i < model->nr_tasks; i++) {
		if (model->task[i].mm != number)
			continue;
		pid = clone(sharer_main, stacks[i + 1], CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
		__atomic_store_n(&machine.shared->sharer[i], pid, __ATOMIC_SEQ_CST);
	}
}

static void task_main(const struct model *model, int number)
{
	const struct model_task *task = &model->task[number];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Sated for now, it only learns the way: later that costs no page. */
	raise(SIGUSR1);
	if (take(0, task->pages))
		_exit(1);
	start_sharers(model, number);
	if (go_first(true))
		_exit(1);
	__atomic_fetch_add(&machine.shared->ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void task_path(const struct fuzz_tree *tree, int node, char *path)
{
	snprintf(path, PATH_SIZE, "%s%s", tree->path[node],
		 tree->inside[node] ? "/inside" : "");
}

/* Born in its cgroup, a task is charged nowhere else. */
static pid_t fork_into(const struct fuzz_tree *tree, int node)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	char path[PATH_SIZE];
	pid_t pid;
	int fd;

	task_path(tree, node, path);
	fd = cgroup_open(path);
	if (fd < 0)
		return -1;
	args.cgroup = fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		diag("clone3 into /%s: %m", path);
	close(fd);
	return pid;
}

static int start_task(struct stand *stand, int number)
{
	const pid_t pid = fork_into(&stand->tree, stand->tree.model.task[number].node);

	if (!pid)
		task_main(&stand->tree.model, number);
	if (pid < 0)
		return -1;
	stand->pid[number] = pid;
	return 0;
}

/* Charged to the leaf whose task has written it, the file is ours. */
int stand_fill(struct stand *stand)
{
	const struct fuzz_tree *tree = &stand->tree;
	int status;
	pid_t pid;

	if (tree->full == MODEL_NONE)
		return 0;
	if (stand->file < 0)
		stand->file = memfd_create("full", MFD_CLOEXEC);
	if (stand->file < 0)
		return -1;
	pid = fork_into(tree, tree->full);
	if (!pid)
		_exit(!!fallocate(stand->file, 0, 0, tree->file_pages * machine.page));
	if (pid < 0)
		return -1;
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	diag("/%s cannot be filled", tree->path[tree->full]);
	return -1;
}

/* Whose memory it has is there, and has made it. */
static int place_sharer(struct stand *stand, int number)
{
	const pid_t *made = &machine.shared->sharer[number];
	char path[PATH_SIZE], text[16];
	pid_t pid;

	wait_for(__atomic_load_n(made, __ATOMIC_SEQ_CST));
	pid = __atomic_load_n(made, __ATOMIC_SEQ_CST);
	if (pid <= 0) {
		diag("task %d is not born", number);
		return -1;
	}
	stand->pid[number] = pid;
	task_path(&stand->tree, stand->tree.model.task[number].node, path);
	snprintf(text, sizeof(text), "%d", pid);
	return cgroup_write(path, "cgroup.procs", text);
}

/* Notes how a child has died; true if it was killed. */
static bool bury(struct stand *stand, pid_t pid, int status, bool *died)
{
	int i;

	for (i = 0; i < stand->tree.model.nr_tasks; i++) {
		if (stand->pid[i] != pid)
			continue;
		stand->pid[i] = 0;
		died[i] = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		return died[i];
	}
	return false;
}

int stand_bury_the_dead(struct stand *stand, bool *died)
{
	int status, i, n = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!bury(stand, pid, status, died))
			diag("process %d ended by itself, status %#x", pid, status);
	for (i = 0; i < stand->tree.model.nr_tasks; i++)
		n += died[i];
	return n;
}

/* The tree in the machine. */

static int make_node(struct fuzz_tree *tree, int number)
{
	struct model_node *node = &tree->model.node[number];
	const char *path = tree->path[number];
	char inside[PATH_SIZE];

	if (number != MODEL_ROOT) {
		/* The first child brings the controller. */
		if (path[strlen(path) - 1] == 'a' &&
		    cgroup_enable_memory(tree->path[node->parent]))
			return -1;
		if (cgroup_make(path))
			return -1;
	}
	if (node->group && cgroup_write(path, "memory.oom.group", "1"))
		return -1;
	task_path(tree, number, inside);
	if (tree->inside[number] && cgroup_make(inside))
		return -1;
	node->id = cgroup_id(path);
	return node->id ? 0 : -1;
}

const struct bpf_program *stand_program(const struct fuzz_tree *tree, int node,
					enum model_stage stage)
{
	const struct bpf_program *progs[FUZZ_TABLES] = {
		machine.judges->progs.policy_0, machine.judges->progs.policy_1,
		machine.judges->progs.policy_2, machine.judges->progs.policy_3,
		machine.judges->progs.task_policy_0, machine.judges->progs.task_policy_1,
	};

	return progs[tree->table[tree->model.node[node].policy[stage]]];
}

static int attach(struct stand *stand, int node, enum model_stage stage)
{
	const int policy = stand->tree.model.node[node].policy[stage];

	if (policy == MODEL_NONE)
		return 0;
	stand->link[policy] = attach_with(stand_program(&stand->tree, node, stage),
					  stand->tree.path[node],
					  .flags = stand->tree.model.flags[policy],
					  .max_futile = stage == MODEL_OF_TASKS ? 0 :
						(__u32)stand->tree.model.max_futile[policy] ?:
						BPF_OOM_POLICY_NEVER_FUTILE,
					  .budget_us = NO_BUDGET_US);
	return stand->link[policy] ? 0 : -1;
}

static int colour_tasks(const struct stand *stand)
{
	__u32 pid;
	int i;

	for (i = 0; i < stand->tree.model.nr_tasks; i++) {
		pid = stand->pid[i];
		if (bpf_map__update_elem(machine.judges->maps.task_colours, &pid, sizeof(pid),
					 &stand->tree.task_colour[i],
					 sizeof(stand->tree.task_colour[i]), BPF_ANY))
			return -1;
	}
	return 0;
}

/* As long as the pids are ours. */
static void bleach_tasks(const struct stand *stand)
{
	__u32 pid;
	int i;

	for (i = 0; i < stand->tree.model.nr_tasks; i++) {
		pid = stand->born[i];
		bpf_map__delete_elem(machine.judges->maps.task_colours, &pid, sizeof(pid), 0);
	}
}

int stand_make(struct stand *stand)
{
	struct fuzz_tree *tree = &stand->tree;
	int i;

	stand->file = -1;
	for (i = 0; i < tree->model.nr_nodes; i++)
		if (make_node(tree, i))
			return -1;
	if (stand_fill(stand))
		return -1;
	memset(machine.shared, 0, sizeof(*machine.shared));
	machine.recorder->bss->sated = 1;
	for (i = 0; i < tree->model.nr_tasks; i++)
		if (tree->model.task[i].mm == i && start_task(stand, i))
			return -1;
	for (i = 0; i < tree->model.nr_tasks; i++)
		if (tree->model.task[i].mm != i && place_sharer(stand, i))
			return -1;
	memcpy(stand->born, stand->pid, sizeof(stand->born));
	if (!wait_for(machine.shared->ready == tree->model.nr_tasks)) {
		diag("%d of %d tasks get ready", machine.shared->ready, tree->model.nr_tasks);
		return -1;
	}
	for (i = 0; i < tree->model.nr_nodes; i++)
		if (attach(stand, i, MODEL_OF_MEMCGS) || attach(stand, i, MODEL_OF_TASKS))
			return -1;
	if (colour_tasks(stand))
		return -1;
	memcpy(machine.judges->bss->verdicts, tree->verdicts, sizeof(tree->verdicts));
	return 0;
}

bool stand_some_die(const struct stand *stand, const bool *died)
{
	const struct model *model = &stand->tree.model;
	int i, j;

	for (i = 0; i < model->nr_tasks; i++)
		for (j = 0; died[i] && j < model->nr_tasks; j++)
			if (stand->pid[j] && model->task[j].mm == model->task[i].mm)
				return true;
	return false;
}

/* -1: somebody had been killed and no event accounts for it. */
static int end_tasks(struct stand *stand)
{
	bool died[MODEL_TASKS] = {};
	int i, status, err = 0;

	for (i = 0; i < stand->tree.model.nr_tasks; i++)
		if (stand->pid[i])
			kill(stand->pid[i], SIGTERM);
	for (i = 0; i < stand->tree.model.nr_tasks; i++) {
		if (!stand->pid[i] || waitpid(stand->pid[i], &status, 0) < 0)
			continue;
		if (bury(stand, stand->pid[i], status, died)) {
			diag("seed %llu: task %d was killed, too", stand->tree.seed, i);
			err = -1;
		}
	}
	return err;
}

int stand_remove(struct stand *stand)
{
	struct fuzz_tree *tree = &stand->tree;
	char path[PATH_SIZE];
	int i, err;

	for (i = 0; i < tree->model.nr_policies; i++)
		bpf_link__destroy(stand->link[i]);
	err = end_tasks(stand);
	if (stand->file >= 0)
		close(stand->file);
	bleach_tasks(stand);
	for (i = tree->model.nr_nodes - 1; i >= 0; i--) {
		bpf_map__delete_elem(machine.judges->maps.colours, &tree->model.node[i].id,
				     sizeof(tree->model.node[i].id), 0);
		if (i == MODEL_ROOT)
			continue;
		task_path(tree, i, path);
		if (tree->inside[i])
			err |= cgroup_remove(path);
		err |= cgroup_remove(tree->path[i]);
	}
	return err;
}
