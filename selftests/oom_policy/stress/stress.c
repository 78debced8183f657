// SPDX-License-Identifier: GPL-2.0-only
/*
 * stress -m MINUTES [-s SEED]: OOMs in a loop, in the midst of all that can happen to
 * policies, cgroups and tasks meanwhile (chaos.c). It goes on for that long, however
 * many events a machine gets done in that time, and for a few minutes more if somebody
 * has not had a turn yet.
 *
 * The tree is
 *
 *	/low			may be empty
 *	/arena/t0 .. t2		where the turmoil is
 *	/arena/reserve		nobody touches these, but the OOM killer
 *	/arena/precious		the highest priority, and the largest tasks
 *
 * and after each event the following must hold. The precious tenant lives while
 * one of the reserve that was there before the event does: that is for events
 * during which an honest policy was attached to the root. An event kills in one
 * tenant, inside its scope, and nobody while an earlier victim is dying there:
 * that is for events during which no task was moved from tenant to tenant. The
 * others are counted apart. And the machine answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "kselftest.h"
#include "cgroups.h"
#include "chaos.h"
#include "helpers.h"
#include "shortage.h"
#include "tasks.h"
#include "tree.h"

#define MORE_S		300	/* for whoever has not had a turn */
#define PATIENCE_S	(3 * DEADLINE_S)
#define FREE_KB		(64 * 1024)	/* what the ballast leaves */
#define DEBUGFS		"/sys/kernel/debug/"
#define RESERVE_HOME	"arena/reserve"

#define MAX_WORKERS	32

/* Whom the OOM killer finds. */
static const struct crowd {
	const char *home;
	int tasks;
	int megabytes;		/* each */
} crowds[] = {
	{ "low", 2, 1 },
	{ "arena/t0/a", 2, 1 }, { "arena/t0/b", 2, 1 },
	{ "arena/t1/a", 2, 1 }, { "arena/t1/b", 2, 1 },
	{ "arena/t2/a", 2, 1 }, { "arena/t2/b", 2, 1 },
	{ RESERVE_HOME, 3, 1 },
	{ "arena/precious", 2, 3 },
};

/* Who has died is replaced before the next event. */
static struct worker {
	const struct crowd *crowd;
	pid_t pid;
	__u64 since;		/* there since this event */
} workers[MAX_WORKERS];

static int nr_workers;

static const struct {
	const char *path;
	int tenant;
} tenants[] = {
	{ "low", LOW }, { "arena/t0", T0 }, { "arena/t1", T1 }, { "arena/t2", T2 },
	{ RESERVE_HOME, RESERVE }, { "arena/precious", PRECIOUS },
};

static struct ring_buffer *bell;

/* What main() keeps account of; the rest is in the judge's globals. */
static __u64 precious_lost;
static __u64 no_progress;
static __u64 no_answer;

static __u64 events(void)
{
	return __atomic_load_n(&chaos.stress->bss->nr_events, __ATOMIC_RELAXED);
}

static int make_tree(void)
{
	static const char * const split[] = { TENANTS };
	char path[64];
	unsigned int i;

	if (cgroup_make("low") || cgroup_make(ARENA) || cgroup_enable_memory(ARENA) ||
	    cgroup_write(ARENA, "cgroup.subtree_control", "+pids") ||
	    cgroup_make("arena/hog") || cgroup_make(RESERVE_HOME) ||
	    cgroup_make("arena/precious"))
		return -1;
	for (i = 0; i < ARRAY_SIZE(split); i++) {
		if (cgroup_make(split[i]) || cgroup_enable_memory(split[i]) ||
		    cgroup_write(split[i], "cgroup.subtree_control", "+pids"))
			return -1;
		snprintf(path, sizeof(path), "%s/bomb", split[i]);
		if (cgroup_make(path) || cgroup_write(path, "pids.max", "8"))
			return -1;
		snprintf(path, sizeof(path), "%s/a", split[i]);
		if (cgroup_make(path))
			return -1;
		snprintf(path, sizeof(path), "%s/b", split[i]);
		if (cgroup_make(path))
			return -1;
	}
	return 0;
}

static int name_tenants(struct stress *stress)
{
	unsigned int i;
	__s64 value;
	__u64 id;

	for (i = 0; i < ARRAY_SIZE(tenants); i++) {
		id = cgroup_id(tenants[i].path);
		value = tenants[i].tenant;
		if (bpf_map__update_elem(stress->maps.tenant_of, &id, sizeof(id),
					 &value, sizeof(value), BPF_ANY) ||
		    bpf_map__update_elem(stress->maps.oom_priority, &id, sizeof(id),
					 &value, sizeof(value), BPF_ANY))
			return -1;
	}
	/* All of the arena after what is low. */
	id = cgroup_id(ARENA);
	return bpf_map__update_elem(stress->maps.oom_priority, &id, sizeof(id), &value,
				    sizeof(value), BPF_ANY);
}

static int on_bell(void *unused, void *data, size_t size)
{
	return 0;
}

static int load(void)
{
	struct stress *stress = stress__open();

	if (!stress)
		return -1;
	bpf_program__set_autoattach(stress->progs.by_priority, false);
	bpf_program__set_autoattach(stress->progs.by_kept_priority, false);
	chaos.stress = stress;
	chaos.hostile = hostile__open_and_load();
	if (stress__load(stress) || !chaos.hostile || name_tenants(stress))
		return -1;
	bell = ring_buffer__new(bpf_map__fd(stress->maps.bell), on_bell, NULL, NULL);
	return bell ? stress__attach(stress) : -1;
}

static int put_debugfs(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", dir, file);
	return put_file(path, text);
}

/* Only for tasks that ask for it. */
static int inject(const char *what)
{
	return put_debugfs(what, "verbose", "0") || put_debugfs(what, "task-filter", "Y") ||
	       put_debugfs(what, "ignore-gfp-wait", "N") ||
	       put_debugfs(what, "times", "-1") || put_debugfs(what, "probability", "2");
}

static long free_kb(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static int be_ballast(const void *arg, int ready_fd)
{
	const long *size = arg;
	void *mem;

	mem = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE |
		   MAP_POPULATE | MAP_LOCKED, -1, 0);
	if (mem == MAP_FAILED || write(ready_fd, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* Most of the machine is taken, so that a hog is soon done with the rest. */
static int take_ballast(void)
{
	const long size = (free_kb() - FREE_KB) * 1024;

	if (size <= 0)
		return 0;
	if (child_start(be_ballast, &size, "the ballast") < 0)
		return -1;
	ksft_print_msg("ballast: %ld MB, %ld MB free\n", size >> 20, free_kb() >> 10);
	return 0;
}

static bool is_dead(const struct worker *worker)
{
	return worker->pid <= 0 || has_ended(worker->pid);
}

static void gather_crowds(void)
{
	const struct crowd *crowd;
	int i;

	for (crowd = crowds; crowd < crowds + ARRAY_SIZE(crowds); crowd++)
		for (i = 0; i < crowd->tasks; i++)
			workers[nr_workers++].crowd = crowd;
}

/* The first crowd is the first to die, too: it is not always there. */
static void replace_dead(void)
{
	struct worker *worker;

	for (worker = workers; worker < workers + nr_workers; worker++) {
		if (!is_dead(worker))
			continue;
		if (worker->pid > 0)
			waitpid(worker->pid, NULL, 0);
		worker->pid = 0;
		if (worker->crowd == crowds && rand() % 4)
			continue;
		worker->pid = task_start_in(worker->crowd->home,
					    worker->crowd->megabytes, 0);
		worker->since = events();
	}
}

/* Before anybody is replaced: who lives now has lived then. It may have been dying. */
static bool was_there(const struct worker *worker, __u64 event)
{
	const __u32 pid = worker->pid;
	__u64 marked;

	if (is_dead(worker) || worker->since >= event)
		return false;
	return bpf_map__lookup_elem(chaos.stress->maps.marked, &pid, sizeof(pid),
				    &marked, sizeof(marked), 0) ||
	       marked > event || marked <= worker->since;
}

static void judge_precious(void)
{
	static __u64 judged;
	const __u64 now = chaos.stress->bss->precious_judged;
	const __u64 event = chaos.stress->bss->precious_event;
	const struct worker *worker;

	if (now == judged)
		return;
	judged = now;
	for (worker = workers; worker < workers + nr_workers; worker++) {
		if (strcmp(worker->crowd->home, RESERVE_HOME) || !was_there(worker, event))
			continue;
		ksft_print_msg("event %llu: the precious tenant dies before the reserve\n",
			       event);
		precious_lost++;
		return;
	}
}

/* Who is blocked, and where. */
static void tell_console(void)
{
	const int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "w", 1) != 1)
		ksft_print_msg("sysrq-w: %s\n", strerror(errno));
	close(fd);
}

/*
 * The judge rings when somebody is killed, and after a sysrq-f in any case. If
 * who runs out of memory ends by itself, there is no shortage any more.
 */
static void until_killed(__u64 nr_kills, __u64 nr_events, pid_t who)
{
	const time_t end = now_s() + PATIENCE_S;

	while (chaos_kills() == nr_kills && events() < nr_events && !(who && has_ended(who))) {
		if (now_s() >= end) {
			ksft_print_msg("nobody is killed after %llu events\n", events());
			tell_console();
			no_progress++;
			return;
		}
		ring_buffer__poll(bell, 1000);
	}
	ring_buffer__consume(bell);
}

static void memcg_oom(bool hog)
{
	const __u64 before = chaos_kills();
	struct memcg_shortage shortage;

	if (memcg_shortage_begin(&shortage, ARENA, hog ? "arena/hog" : NULL))
		return;
	until_killed(before, ULLONG_MAX, shortage.pid);
	memcg_shortage_end(&shortage);
}

static void global_oom(void)
{
	struct stress__bss *bss = chaos.stress->bss;
	const __u64 before = chaos_kills();
	struct shortage shortage;

	bss->sated = 0;
	if (!shortage_begin(&shortage, &bss->sated))
		until_killed(before, ULLONG_MAX, shortage.hog);
	bss->sated = 1;
	shortage_end(&shortage);
}

static void sysrq_oom(void)
{
	const __u64 nr_kills = chaos_kills(), nr_events = events();

	/* What it chooses may be dying already: not a kill, and no failure. */
	if (!raise_oom_sysrq())
		until_killed(nr_kills, nr_events + 1, 0);
}

static void until_answered(__u64 asked)
{
	const time_t end = now_s() + PATIENCE_S;
	__u32 pulse;

	for (;;) {
		pulse = chaos_feel();
		if (__atomic_load_n(&chaos.shared->answered, __ATOMIC_RELAXED) >= asked)
			return;
		if (now_s() >= end)
			break;
		chaos_wait(pulse);
	}
	ksft_print_msg("no answer after %llu events\n", events());
	tell_console();
	no_answer++;
}

static void one_event(void)
{
	struct chaos_shared *shared = chaos.shared;
	const __u64 asked = __atomic_add_fetch(&shared->asked, 1, __ATOMIC_RELAXED);

	chaos_pulse();
	switch (rand() % 10) {
	case 0 ... 2:
		memcg_oom(true);
		break;
	case 3 ... 5:
		memcg_oom(false);
		break;
	case 6:
		global_oom();
		break;
	default:
		sysrq_oom();
	}
	until_answered(asked);
	chaos_pulse();
	judge_precious();
	replace_dead();
}

static void report(const char *name, bool ok)
{
	ksft_test_result(ok, "stress.%s\n", name);
}

static void print_results(const struct stress__bss *bss)
{
	ksft_print_msg("OOM kills: %llu (machine %llu, memcg %llu, sysrq %llu), %llu events\n",
		       bss->kills[BY_MACHINE] + bss->kills[BY_MEMCG] + bss->kills[BY_SYSRQ],
		       bss->kills[BY_MACHINE], bss->kills[BY_MEMCG], bss->kills[BY_SYSRQ],
		       bss->nr_events);
	ksft_print_msg("with the root's policy in place: %llu, without: %llu\n",
		       bss->judged, bss->unjudged);
	ksft_print_msg("with tasks on the move: %llu, within a tenant: %llu\n", bss->moved,
		       bss->shifted);
	ksft_print_msg("victims that the judge lost sight of: %llu\n", bss->forgotten);
	ksft_print_msg("the precious tenant died: %llu times with the policy, %llu without\n",
		       bss->precious_judged, bss->precious_unjudged);
	if (chaos.shared->surprises)
		ksft_print_msg("answers of rehearsals that are none: %llu, the last one %lld\n",
			       chaos.shared->surprises, chaos.shared->last_surprise);
	ksft_print_msg("violations: %llu\n", precious_lost + bss->several_tenants +
		       bss->outside_scope + bss->while_dying + no_progress + no_answer +
		       chaos.shared->surprises);
}

static bool everybody_acted(void)
{
	int i;

	for (i = 0; i < NR_ACTORS; i++)
		if (!chaos.shared->done[i])
			return false;
	return true;
}

static bool all_had_a_turn(void)
{
	return everybody_acted() && chaos.stress->bss->judged;
}

static int explain(void)
{
	ksft_print_msg("usage: stress -m MINUTES [-s SEED]\n");
	return KSFT_FAIL;
}

static void set_up(void)
{
	if (protect_ancestors() || make_tree())
		ksft_exit_fail_msg("no tree to play in\n");
	if (load())
		ksft_exit_fail_msg("cannot load the judge: %s\n", strerror(errno));
	chaos.shared = mmap(NULL, sizeof(*chaos.shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (chaos.shared == MAP_FAILED || take_ballast())
		ksft_exit_fail_msg("no memory to begin with\n");
	chaos.inject = !inject("failslab") && !inject("fail_page_alloc");
	ksft_print_msg("allocations %s made to fail, seed %u\n",
		       chaos.inject ? "are" : "cannot be", chaos.seed);
	gather_crowds();
	replace_dead();
	if (chaos_start())
		ksft_exit_fail_msg("the turmoil does not start\n");
}

int main(int argc, char **argv)
{
	struct stress__bss result;
	time_t begin, end;
	long minutes = 0;
	bool ended;
	int opt;

	chaos.seed = 1;
	while ((opt = getopt(argc, argv, "m:s:")) != -1) {
		if (opt == 'm')
			minutes = atol(optarg);
		else if (opt == 's')
			chaos.seed = atol(optarg);
		else
			return explain();
	}
	if (optind != argc || minutes <= 0)
		return explain();

	ksft_print_header();
	require_bare_machine();
	ksft_set_plan(8);
	srand(chaos.seed);
	set_up();

	begin = now_s();
	end = begin + 60 * minutes;
	while (now_s() < end || (now_s() < end + MORE_S && !all_had_a_turn()))
		one_event();
	ksft_print_msg("%lld s\n", (long long)(now_s() - begin));
	result = *chaos.stress->bss;
	ended = !chaos_stop();

	print_results(&result);
	report("precious_tenant_lives", result.judged && !precious_lost);
	report("one_tenant_per_event", !result.several_tenants);
	report("nobody_while_a_victim_dies", !result.while_dying && !result.forgotten);
	report("kills_stay_in_scope", !result.outside_scope);
	report("every_shortage_ends", !no_progress);
	report("machine_answers", !no_answer);
	report("rehearsals_answer_as_documented", !chaos.shared->surprises);
	report("everybody_took_part", ended && everybody_acted());
	ksft_finished();
}
