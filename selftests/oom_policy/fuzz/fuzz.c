// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random trees of real cgroups and tasks against the model of the rules: out of
 * memory, on purpose, again and again, and whoever dies must be whom the model
 * names. Beforehand, a rehearsal must name the same one.
 *
 *	fuzz [-n TREES] [-s SEED]	that many trees, from that seed on
 *
 * With -n 1 the tree is shown: so a mismatch, which tells its seed, is seen again.
 *
 * All tasks are children of this program, on one CPU with it. A survivor gets a
 * SIGTERM in the end, so that how a child died says without doubt whether the
 * OOM killer did it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest.h"
#include "fuzz_stand.h"
#include "rehearse.h"

/*
 * So far a limit sinks below the usage: further than the pages that the kernel
 * charges ahead, not as far as the smallest victim frees.
 */
#define SINK_PAGES	70

/* Nearer than that, a decision hangs on counters that are not exact. */
#define CLOSE_CALL	33

/* From here on, each kind of thing has to have happened. */
#define MANY_TREES	200
#define MANY_MISMATCHES	3

/* One event in it. */
struct ordeal {
	struct fuzz_event event;
	struct model_answer answer;
	bool died[MODEL_TASKS];
	int number;
};

static struct {
	int trees, events, rehearsals, nobody, close_calls;
	int passed_over, bad_trees, bad_victims, bad_rehearsals, bad_counts, bad_futile;
	int kinds[FUZZ_NR_KINDS];
	int seen[MODEL_NR_SEEN];	/* trees */
} total;

/* Events. */

static bool is_memcg(const struct fuzz_event *event)
{
	return event->model.scope != MODEL_ROOT;
}

static int set_limit(const struct stand *stand, const struct fuzz_event *event, long pages)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", pages * machine.page);
	return cgroup_write(stand->tree.path[event->model.scope], "memory.max", text);
}

/* The pages charged ahead go back, so that the next one asked for is charged. */
static int settle(const char *path)
{
	const long bytes = cgroup_read_long(path, "memory.current", NULL);
	char text[24];

	snprintf(text, sizeof(text), "%ld", bytes - machine.page);
	return bytes < 0 || cgroup_write(path, "memory.high", text) ||
	       cgroup_write(path, "memory.high", "max") ? -1 : 0;
}

/* What lags behind is up to date when it is read. */
static long read_freeable(const char *path, long usage)
{
	const long file = cgroup_read_long(path, "memory.stat", "file");
	const long slab = cgroup_read_long(path, "memory.stat", "slab_reclaimable");
	const long outlives = (file + slab) / machine.page;

	return file < 0 || slab < 0 ? -1 : usage > outlives ? usage - outlives : 0;
}

/* What its death is expected to give back, shared or not. */
static long read_held(pid_t pid)
{
	char path[32];
	long size, rss = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = -1;
	if (f)
		fclose(f);
	return rss;
}

/* Where nothing is full of files, no kill is in vain. */
static int measure_futile(struct stand *stand)
{
	struct model *model = &stand->tree.model;
	int i;

	for (i = 0; i < model->nr_nodes; i++) {
		model->node[i].freeable = model->node[i].usage;
		if (i == MODEL_ROOT || stand->tree.full == MODEL_NONE)
			continue;
		model->node[i].freeable = read_freeable(stand->tree.path[i],
							model->node[i].usage);
		if (model->node[i].freeable < 0)
			return -1;
	}
	for (i = 0; i < model->nr_tasks; i++) {
		if (!model->task[i].alive || stand->tree.full == MODEL_NONE)
			continue;
		model->task[i].held = read_held(stand->pid[i]);
		if (model->task[i].held < 0)
			return -1;
	}
	return 0;
}

/* Brings the machine in line with the tree and the tree's usages with the machine. */
static int prepare(struct stand *stand, struct fuzz_event *event)
{
	/* The programs do not go by the number. */
	static const char * const priorities[MODEL_NR_PRIORITIES] = {
		[MODEL_UNSET]	= "unset",
		[MODEL_SET]	= "7",
		[MODEL_MAX]	= "max",
	};
	struct model *model = &stand->tree.model;
	long bytes;
	int i;

	if (is_memcg(event) && settle(stand->tree.path[event->model.scope]))
		return -1;
	for (i = 0; i < model->nr_nodes; i++)
		if (bpf_map__update_elem(machine.judges->maps.colours, &model->node[i].id,
					 sizeof(model->node[i].id), &stand->tree.colour[i],
					 sizeof(stand->tree.colour[i]), BPF_ANY))
			return -1;
	for (i = 0; i < model->nr_nodes; i++)
		if (i != MODEL_ROOT && cgroup_write(stand->tree.path[i], "memory.oom.priority",
						    priorities[model->node[i].priority]))
			return -1;
	for (i = 0; i < model->nr_tasks; i++)
		if (model->task[i].alive && set_oom_score_adj(stand->pid[i], model->task[i].adj))
			return -1;
	for (i = 0; i < model->nr_nodes; i++) {
		if (i == MODEL_ROOT)
			continue;
		bytes = cgroup_read_long(stand->tree.path[i], "memory.current", NULL);
		if (bytes < 0)
			return -1;
		model->node[i].usage = bytes / machine.page;
	}
	if (measure_futile(stand))
		return -1;
	event->model.pages = machine.ram;
	if (!is_memcg(event))
		return 0;
	event->model.pages = model->node[event->model.scope].usage;
	return set_limit(stand, event, event->model.pages);
}

/* The policy that rules in the scope must say beforehand who is going to die. */
static bool rehearse(const struct stand *stand, const struct ordeal *ordeal)
{
	const struct model_event *event = &ordeal->event.model;
	const struct model_answer *answer = &ordeal->answer;
	const struct model *model = &stand->tree.model;
	enum model_stage stage = MODEL_OF_MEMCGS;
	struct rehearsed said;
	int fd, ruler;

	ruler = model_ruler(model, event, event->scope, MODEL_NONE, stage);
	if (ruler == MODEL_NONE) {
		stage = MODEL_OF_TASKS;
		ruler = model_ruler(model, event, event->scope, MODEL_NONE, stage);
	}
	if (ruler == MODEL_NONE)
		return true;
	total.rehearsals++;
	fd = bpf_program__fd(stand_program(&stand->tree, ruler, stage));
	if (rehearse_select(fd, model->node[event->scope].id, &said)) {
		diag("BPF_PROG_TEST_RUN: %m");
		return false;
	}
	if (!answer->nr_dead || answer->by_stock) {
		if (said.retval == -ESRCH)
			return true;
	} else if (!said.retval && said.victim.pid_1 == (__u32)stand->pid[answer->task] &&
		   said.victim.cgroup_id_1 == model->node[model->task[answer->task].node].id) {
		return true;
	}
	diag("rehearsal: retval %d, cgroup id %llu, pid %u", said.retval,
	     said.victim.cgroup_id_1, said.victim.pid_1);
	return false;
}

static int raise_charge(const struct stand *stand, const struct fuzz_event *event)
{
	const pid_t pid = stand->pid[event->asking];
	const int asked = machine.shared->asked;

	if (kill(pid, SIGUSR1))
		return -1;
	return wait_for(machine.shared->asked > asked || has_ended(pid)) ? 0 : -1;
}

static int raise_oom(const struct stand *stand, const struct fuzz_event *event)
{
	struct policy__bss *recorder = machine.recorder->bss;
	const __u32 before = recorder->nr_events;
	pid_t hog;

	switch (event->kind) {
	case FUZZ_SYSRQ:
		if (raise_oom_sysrq())
			return -1;
		return wait_for(recorder->nr_events > before) ? 0 : -1;
	case FUZZ_PRESSURE:
		hog = hog_start(&recorder->sated);
		return hog < 0 ? -1 : wait_exit(hog);
	case FUZZ_LIMIT:
		return set_limit(stand, event, event->model.pages - SINK_PAGES);
	default:
		return raise_charge(stand, event);
	}
}

/* One shortage: when this returns, whoever was killed for it is dead. */
static int suffer(struct stand *stand, struct ordeal *ordeal)
{
	const struct fuzz_event *event = &ordeal->event;
	struct policy__bss *recorder = machine.recorder->bss;
	struct model *model = &stand->tree.model;
	int i, err;

	recorder->nr_victims = 0;
	recorder->sated = 0;
	err = raise_oom(stand, event);
	if (is_memcg(event))
		err |= cgroup_write(stand->tree.path[event->model.scope], "memory.max", "max");
	if (!wait_for(stand_bury_the_dead(stand, ordeal->died) >= (int)recorder->nr_victims &&
		      !stand_some_die(stand, ordeal->died)))
		err = -1;
	if (err)
		diag("the event does not end");
	for (i = 0; i < model->nr_tasks; i++)
		if (ordeal->died[i])
			model->task[i].alive = false;
	return err;
}

static void count_death(const struct model *model, int node, int *counts)
{
	for (; node != MODEL_NONE; node = model->node[node].parent)
		counts[node]++;
}

/*
 * memory.events of the root's children against those who are known to be dead. The
 * kernel counts where the memory is, once for each who is killed: of those with the same
 * memory one at least. And the first victim of a group when it picks it and once more
 * with its group, if it is not gone by then.
 */
static bool check_counts(struct stand *stand, const struct ordeal *ordeal)
{
	const struct model *model = &stand->tree.model;
	bool seen[MODEL_TASKS] = {};
	long counted;
	int node, i, mm;

	for (i = 0; i < model->nr_tasks; i++) {
		mm = model->task[i].mm;
		if (!ordeal->died[i])
			continue;
		count_death(model, model->task[mm].node, seen[mm] ? stand->groups : stand->kills);
		seen[mm] = true;
	}
	if (ordeal->answer.together)
		count_death(model, model->task[ordeal->answer.task].node, stand->groups);
	for (node = 0; node < model->nr_nodes; node++) {
		if (model->node[node].parent != MODEL_ROOT)
			continue;
		counted = cgroup_read_long(stand->tree.path[node], "memory.events", "oom_kill");
		if (counted < stand->kills[node] ||
		    counted > stand->kills[node] + stand->groups[node]) {
			diag("memory.events of /%s counts %ld kills, not %d",
			     stand->tree.path[node], counted, stand->kills[node]);
			return false;
		}
	}
	return true;
}

static __u64 times_passed_over(const struct stand *stand)
{
	struct bpf_link_info info;
	__u64 times = 0;
	int i;

	for (i = 0; i < stand->tree.model.nr_policies; i++)
		if (!policy_info(stand->link[i], &info))
			times += info.oom_policy.fallback_futile;
	return times;
}

/* Those who have left have seen what was charged then. */
static void note_futile(struct stand *stand, const struct ordeal *ordeal)
{
	struct model *model = &stand->tree.model;
	struct model_futile *futile;
	long bytes;
	int i;

	for (i = 0; i < model->nr_nodes; i++) {
		futile = &model->node[i].futile;
		*futile = ordeal->answer.futile[i];
		if (!futile->watched)
			continue;
		bytes = cgroup_read_long(stand->tree.path[i], "memory.current", NULL);
		if (bytes >= 0 && bytes / machine.page < futile->low)
			futile->low = bytes / machine.page;
	}
}

static void show_tasks(const char *who, const bool *set)
{
	int i;

	fprintf(stderr, "#  %s:", who);
	for (i = 0; i < MODEL_TASKS; i++)
		if (set[i])
			fprintf(stderr, " %d", i);
	fputc('\n', stderr);
}

static void show_ordeal(struct stand *stand, const struct ordeal *ordeal)
{
	struct model before = stand->tree.model, *model = &stand->tree.model;
	const struct model_answer *answer = &ordeal->answer;
	int i;

	for (i = 0; i < model->nr_tasks; i++)
		model->task[i].alive |= ordeal->died[i];
	diag("seed %llu, event %d", stand->tree.seed, ordeal->number + 1);
	fuzz_show(&stand->tree);
	fuzz_show_event(&stand->tree, &ordeal->event);
	*model = before;

	if (answer->nr_dead)
		fprintf(stderr, "#  the model chooses /%s and task %d\n",
			stand->tree.path[answer->chosen], answer->task);
	show_tasks("expected to die", answer->dies);
	show_tasks("dead", ordeal->died);
}

static void note(struct stand *stand, const struct ordeal *ordeal)
{
	int i;

	total.events++;
	total.kinds[ordeal->event.kind]++;
	total.nobody += !ordeal->answer.nr_dead;
	total.passed_over += ordeal->answer.seen[MODEL_PASSED_OVER];
	for (i = 0; i < MODEL_NR_SEEN; i++)
		stand->seen[i] |= ordeal->answer.seen[i];
}

/* With nobody to kill, some kinds of events have no end. */
static void soften(struct ordeal *ordeal)
{
	if (ordeal->answer.nr_dead)
		return;
	if (ordeal->event.kind == FUZZ_PRESSURE)
		ordeal->event.kind = FUZZ_SYSRQ;
	if (ordeal->event.kind == FUZZ_CHARGE)
		ordeal->event.kind = FUZZ_LIMIT;
}

/*
 * A sinking limit can make oom_score_adj worth less between the rehearsal and
 * the event.
 */
static bool is_close_call(const struct ordeal *ordeal)
{
	return ordeal->answer.margin < CLOSE_CALL ||
	       (ordeal->event.kind == FUZZ_LIMIT &&
		ordeal->event.model.pages % 1000 < SINK_PAGES);
}

/*
 * What the victim shares with the one who has had it first is charged elsewhere: its
 * death does not end the shortage, and who comes next is another event.
 */
static bool is_no_end(const struct stand *stand, const struct ordeal *ordeal)
{
	const struct model *model = &stand->tree.model;
	const int scope = ordeal->event.model.scope;

	if (!ordeal->answer.nr_dead || scope == MODEL_ROOT)
		return false;
	return !model_is_below(model,
			       model->task[model->task[ordeal->answer.task].mm].node, scope);
}

/* False when there is no point in going on with the tree. */
static bool do_event(struct stand *stand, struct ordeal *ordeal, bool shown, bool *good)
{
	bool rehearsed, survived, counted, told;
	__u64 before;

	fuzz_next_event(&stand->tree, ordeal->number, &ordeal->event);
	if ((stand->tree.grows && stand_fill(stand)) || prepare(stand, &ordeal->event)) {
		*good = false;
		return false;
	}
	model_select(&stand->tree.model, &ordeal->event.model, &ordeal->answer);
	if (is_close_call(ordeal) || is_no_end(stand, ordeal)) {
		total.close_calls++;
		return false;
	}
	soften(ordeal);
	note(stand, ordeal);

	rehearsed = rehearse(stand, ordeal);
	before = times_passed_over(stand);
	survived = !suffer(stand, ordeal) &&
		   !memcmp(ordeal->died, ordeal->answer.dies, sizeof(ordeal->died));
	counted = check_counts(stand, ordeal);
	told = (times_passed_over(stand) > before) == ordeal->answer.seen[MODEL_PASSED_OVER];
	if (!told)
		diag("passing over a futile leaf is counted %llu times, not %d",
		     times_passed_over(stand) - before,
		     ordeal->answer.seen[MODEL_PASSED_OVER]);
	note_futile(stand, ordeal);
	total.bad_rehearsals += !rehearsed;
	total.bad_victims += !survived;
	total.bad_counts += !counted;
	total.bad_futile += !told;
	*good = rehearsed && survived && counted && told;
	if (shown || !*good)
		show_ordeal(stand, ordeal);
	return *good;
}

static void do_tree(__u64 seed, bool shown)
{
	static struct stand stand;
	struct ordeal ordeal;
	bool good;
	int i;

	memset(&stand, 0, sizeof(stand));
	fuzz_plant(&stand.tree, seed);
	good = !stand_make(&stand);
	for (i = 0; good && i < stand.tree.nr_events; i++) {
		memset(&ordeal, 0, sizeof(ordeal));
		ordeal.number = i;
		if (!do_event(&stand, &ordeal, shown, &good))
			break;
	}
	if (stand_remove(&stand) || !good) {
		diag("see it again: fuzz -n 1 -s %llu", seed);
		total.bad_trees++;
	}
	total.trees++;
	for (i = 0; i < MODEL_NR_SEEN; i++)
		total.seen[i] += stand.seen[i];
}

/* The machine. */

/* Nobody but the tasks of a tree is to die, or to be in the way in the root. */
static int protect_everybody(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t pid;
	int err = dir ? 0 : -1;

	while (!err && (entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid && set_oom_score_adj(pid, -1000) && !kill(pid, 0))
			err = -1;
	}
	if (dir)
		closedir(dir);
	return err;
}

static int open_machine(void)
{
	static const struct tree no_tree;
	struct sysinfo info;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	machine.page = sysconf(_SC_PAGESIZE);
	if (sysinfo(&info) || sched_setaffinity(0, sizeof(one), &one))
		return -1;
	machine.ram = (info.totalram + info.totalswap) * info.mem_unit / machine.page;
	machine.shared = mmap(NULL, machine.page, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	machine.recorder = policy_load(&no_tree);
	machine.judges = fuzz__open_and_load();
	if (machine.shared == MAP_FAILED || !machine.recorder || !machine.judges)
		return -1;
	signal(SIGUSR1, stand_ask_for_more);
	/* Nothing here may have to ask for memory once there is none; the room is not ours. */
	if (mlockall(MCL_CURRENT))
		return -1;
	machine.room = mmap(NULL, ROOM_PAGES * machine.page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (machine.room == MAP_FAILED)
		return -1;
	return protect_everybody();
}

static void report(bool many)
{
	static const char * const seen[MODEL_NR_SEEN] = {
		[MODEL_BACKTRACKED]	= "backtracking",
		[MODEL_TIE]		= "ties",
		[MODEL_GROUP]		= "memory.oom.group",
		[MODEL_NESTED]		= "nested policies",
		[MODEL_HANDED_OVER]	= "hand-over",
		[MODEL_INTRANSITIVE]	= "intransitive answers",
		[MODEL_ABSTAINED]	= "abstaining",
		[MODEL_KILL_ALL]	= "KILL_ALL",
		[MODEL_ROOT_TASKS]	= "ROOT_TASKS",
		[MODEL_MEMCG]		= "a policy in a memcg OOM",
		[MODEL_LEFT_OUT]	= "one that is never a candidate",
		[MODEL_TASK_STAGE]	= "a choice among tasks",
		[MODEL_TASKS_ALONE]	= "a policy for tasks alone",
		[MODEL_TASKS_ABSTAINED]	= "abstaining from tasks",
		[MODEL_SPARED]		= "somebody spared",
		[MODEL_NOT_SPARED]	= "nobody else to kill",
		[MODEL_PASSED_OVER]	= "a leaf passed over for its last kills",
		[MODEL_TOO_LITTLE]	= "one in its place that has no more to give",
		[MODEL_ALL_IN_VAIN]	= "nobody else than such",
		[MODEL_CHANGED]		= "such a leaf that has changed",
	};
	static const char * const kinds[FUZZ_NR_KINDS] = {
		[FUZZ_SYSRQ]	= "by sysrq-f",
		[FUZZ_PRESSURE]	= "of a full machine",
		[FUZZ_LIMIT]	= "of a memcg whose limit sinks",
		[FUZZ_CHARGE]	= "of a memcg that meets its limit",
	};
	int i;

	ksft_test_result(total.events && !total.bad_victims,
			 "victims of %d OOMs in %d trees\n", total.events, total.trees);
	ksft_test_result(!total.bad_rehearsals && (total.rehearsals || !many),
			 "victims of %d rehearsals before them\n", total.rehearsals);
	ksft_test_result(!total.bad_counts, "kills counted in memory.events\n");
	ksft_test_result(!total.bad_futile, "selections that passed over a futile leaf: %d\n",
			 total.passed_over);
	ksft_test_result(!total.bad_trees, "trees without a mismatch: %d\n",
			 total.trees - total.bad_trees);
	for (i = 0; i < FUZZ_NR_KINDS; i++)
		ksft_test_result(total.kinds[i] || !many, "OOMs %s: %d\n", kinds[i],
				 total.kinds[i]);
	for (i = 0; i < MODEL_NR_SEEN; i++)
		ksft_test_result(total.seen[i] || !many, "trees with %s: %d\n", seen[i],
				 total.seen[i]);
	ksft_print_msg("in %d OOMs there was nobody to kill, %d were too close to call\n",
		       total.nobody, total.close_calls);
}

static bool read_number(const char *text, __u64 *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	if (!errno && *text >= '0' && *text <= '9' && !*end)
		return true;
	fprintf(stderr, "fuzz: '%s' is not a number\n", text);
	return false;
}

int main(int argc, char **argv)
{
	__u64 trees = MANY_TREES, seed = 0, i;
	int opt;

	if (getrandom(&seed, sizeof(__u32), 0) < 0)
		return 1;
	while ((opt = getopt(argc, argv, "n:s:")) != -1)
		if ((opt != 'n' && opt != 's') ||
		    !read_number(optarg, opt == 'n' ? &trees : &seed))
			return 2;
	if (optind < argc) {
		fprintf(stderr, "fuzz: '%s' is too much: fuzz [-n TREES] [-s SEED]\n",
			argv[optind]);
		return 2;
	}

	require_bare_machine();
	ksft_print_header();
	ksft_set_plan(5 + FUZZ_NR_KINDS + MODEL_NR_SEEN);
	if (open_machine())
		ksft_exit_fail_msg("cannot set up the machine: %m\n");
	ksft_print_msg("%llu trees from seed %llu on\n", trees, seed);
	for (i = 0; i < trees && total.bad_trees < MANY_MISMATCHES; i++)
		do_tree(seed + i, trees == 1);
	report(trees >= MANY_TREES);
	ksft_finished();
}
