// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_slow KIND... [SHORTAGES]: who dies besides when a victim is slow to die.
 *
 * A shortage is a machine in small: a memcg with a limit, and below it a tenant that
 * is large and slow to die, innocent ones that go about their work, and one that
 * allocates until it has what it wants, which the large one alone could give. Every
 * second shortage meets the policy tenant_prio with a grace, the others the stock
 * killer; the tree is the same, and so is the first victim.
 *
 * One line per kind and killer: how many were killed, and how long it took from the
 * first kill until the allocation went through. It is not a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest.h"
#include "attach.h"
#include "cgroups.h"
#include "helpers.h"
#include "slow_backend.h"
#include "tasks.h"
#include "tree.h"
#include "progs/bench_slow.h"
#include "bench_slow.skel.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define SLOW_DIR	"/tmp/slow"
#define GRACE_MS	60000	/* longer than any of them takes */
#define INNOCENTS	4
#define MAX_SEATS	8
#define MAX_SHORTAGES	1000
#define PAGE		4096
#define LEAF		(512L * PAGE)	/* what one page of page tables maps */

#define fail(fmt, ...) ({						\
	fprintf(stderr, "bench_slow: " fmt "\n", ##__VA_ARGS__);	\
	exit(1);							\
})

/* What the processes of one shortage tell each other. */
struct seat {
	__u32 slow_ready;
	__u32 innocents_ready;
	__u32 go;
	__u64 done_ns;
};

struct scene {
	int number;
	bool grace;
	struct seat *seat;
	pid_t slow, hog, writer, innocents[INNOCENTS];
	struct bpf_link *link;
};

struct kind {
	const char *name;
	int at_once;		/* shortages at a time */
	int slow_mb;
	int innocent_mb;
	int wanted_mb;
	int cpu_weight;		/* of the slow one, where all others compute: 100 */
	void (*be_slow)(const struct kind *kind, const struct scene *scene);
};

struct result {
	int shortages;
	int with_innocents;
	int innocents;
	int first_was_slow;
	__u64 recovered[MAX_SHORTAGES];
};

static struct bench_slow *skel;
static struct bpf_object *policy;
static struct slow_backend backend;

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static char *take(size_t size, int flags)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_POPULATE | flags,
			 -1, 0);

	if (mem == MAP_FAILED)
		_exit(1);
	return mem;
}

static void sleep_forever(void)
{
	for (;;)
		pause();
}

static void ready(const struct scene *scene)
{
	__atomic_add_fetch(&scene->seat->slow_ready, 1, __ATOMIC_SEQ_CST);
}

/* Threads that keep taking mmap_lock for writing, and little time to do it in. */
static void *map_and_unmap(void *unused)
{
	void *mem;

	for (;;) {
		mem = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
		if (mem != MAP_FAILED)
			munmap(mem, 16 * PAGE);
	}
	return unused;
}

static void fight(const struct kind *kind, const struct scene *scene)
{
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	take(kind->slow_mb * MEGABYTE, MAP_PRIVATE);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (i = 0; i < 48; i++)
		if (pthread_create(&thread, &attr, map_and_unmap, NULL))
			_exit(1);
	ready(scene);
	map_and_unmap(NULL);
}

/* Memory that the reaper cannot take. */
static void share(const struct kind *kind, const struct scene *scene)
{
	char *mem = take(kind->slow_mb * MEGABYTE, MAP_SHARED);

	mlock(mem, kind->slow_mb * MEGABYTE);
	ready(scene);
	sleep_forever();
}

/* Waits for a slow disk, and nobody else gets its mmap_lock. */
static void wait_for_disk(const struct kind *kind, const struct scene *scene)
{
	take(kind->slow_mb * MEGABYTE, MAP_PRIVATE);
	ready(scene);
	slow_backend_map(&backend, scene->number);
	sleep_forever();
}

/* Mostly page tables: each page of them maps one page that is shared by all. */
static void spread(const struct kind *kind, const struct scene *scene)
{
	const long tables = kind->slow_mb * MEGABYTE / PAGE;
	char *mem = mmap(NULL, tables * LEAF, PROT_READ, MAP_ANONYMOUS | MAP_PRIVATE |
			 MAP_NORESERVE, -1, 0);
	long i;

	if (mem == MAP_FAILED)
		_exit(1);
	for (i = 0; i < tables; i++) {
		__atomic_load_n(mem + i * LEAF, __ATOMIC_RELAXED);
		/* A mapping of its own for each 16th. */
		if (!(i % 16))
			mprotect(mem + i * LEAF, PAGE, PROT_READ | PROT_WRITE);
	}
	ready(scene);
	sleep_forever();
}

static const struct kind kinds[] = {
	{ "mmap_lock", 1, 24, 3, 8, 20, fight },
	{ "shared", 1, 64, 6, 16, 20, share },
	{ "disk", 5, 24, 3, 8, 0, wait_for_disk },
	{ "tables", 1, 48, 6, 16, 20, spread },
};

static void join(const char *path, int adj)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_write(path, "cgroup.procs", "0") || set_oom_score_adj(getpid(), adj))
		_exit(1);
}

static void be_innocent(const struct kind *kind, const struct scene *scene, const char *path)
{
	join(path, 0);
	take(kind->innocent_mb * MEGABYTE, MAP_PRIVATE);
	__atomic_add_fetch(&scene->seat->innocents_ready, 1, __ATOMIC_SEQ_CST);
	while (kind->cpu_weight)
		__asm__ volatile("");
	sleep_forever();
}

/* Takes part in no selection: the shortage must not end with its end. */
static void be_hog(const struct kind *kind, const struct scene *scene, const char *path)
{
	const size_t size = kind->wanted_mb * MEGABYTE;
	char *mem;
	size_t i;

	join(path, -1000);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (mem == MAP_FAILED)
		_exit(1);
	while (!scene->seat->go)
		nap();
	for (i = 0; i < size; i += PAGE)
		mem[i] = 1;
	scene->seat->done_ns = now_ns();
	sleep_forever();
}

static void path_of(const struct scene *scene, const char *tenant, int number, char *path,
		    size_t size)
{
	char name[16] = "";

	if (tenant)
		snprintf(name, sizeof(name), "/%s%.0d", tenant, number);
	snprintf(path, size, "s%d%s", scene->number, name);
}

static void make_tenant(const struct kind *kind, const struct scene *scene,
			const char *tenant, int number, int weight)
{
	char path[64], text[16];

	path_of(scene, tenant, number, path, sizeof(path));
	if (cgroup_make(path))
		fail("cannot make a tenant");
	if (!kind->cpu_weight)
		return;
	snprintf(text, sizeof(text), "%d", weight);
	if (cgroup_write(path, "cpu.weight", text))
		fail("cannot give a tenant its share of the CPUs");
}

static pid_t start_tenant(const struct kind *kind, const struct scene *scene,
			  const char *tenant, int number)
{
	const pid_t pid = fork();
	char path[64];

	if (pid < 0)
		fail("cannot start a tenant: %s", strerror(errno));
	if (pid)
		return pid;
	path_of(scene, tenant, number, path, sizeof(path));
	if (number)
		be_innocent(kind, scene, path);
	if (!strcmp(tenant, "hog"))
		be_hog(kind, scene, path);
	join(path, 0);
	kind->be_slow(kind, scene);
	_exit(1);
}

static void attach_policy(struct scene *scene)
{
	LIBBPF_OPTS(bpf_oom_policy_opts, opts, .flags = BPF_F_OOM_POLICY_MEMCG,
		    .budget_us = 10 * 1000 * 1000, .grace_ms = GRACE_MS);
	char path[64];
	int fd;

	path_of(scene, "slow", 0, path, sizeof(path));
	if (cgroup_set_priority(path, -10))
		fail("cannot set a priority");
	path_of(scene, NULL, 0, path, sizeof(path));
	fd = cgroup_open(path);
	scene->link = bpf_program__attach_oom_policy(bpf_object__next_program(policy, NULL),
						     fd, &opts);
	if (!scene->link)
		fail("cannot attach the policy: %s", strerror(errno));
	close(fd);
}

static void set_up(const struct kind *kind, struct scene *scene)
{
	char path[64];
	int i;

	memset(scene->seat, 0, sizeof(*scene->seat));
	path_of(scene, NULL, 0, path, sizeof(path));
	if (cgroup_make(path) || cgroup_enable_memory(path) ||
	    (kind->cpu_weight && cgroup_write(path, "cgroup.subtree_control", "+cpu")))
		fail("cannot make a machine in small");
	make_tenant(kind, scene, "slow", 0, kind->cpu_weight);
	make_tenant(kind, scene, "hog", 0, 10000);
	for (i = 0; i < INNOCENTS; i++)
		make_tenant(kind, scene, "innocent", i + 1, 100);
	if (scene->grace)
		attach_policy(scene);

	if (kind->be_slow == wait_for_disk)
		scene->writer = slow_backend_write(&backend, scene->number);
	scene->slow = start_tenant(kind, scene, "slow", 0);
	if (!wait_until(scene->seat->slow_ready) ||
	    (kind->be_slow == wait_for_disk && !wait_until(process_state(scene->slow) == 'D')))
		fail("the slow tenant does not get ready");
	for (i = 0; i < INNOCENTS; i++)
		scene->innocents[i] = start_tenant(kind, scene, "innocent", i + 1);
	scene->hog = start_tenant(kind, scene, "hog", 0);
	if (!wait_until(scene->seat->innocents_ready == INNOCENTS))
		fail("the innocent do not get ready");
}

/* The limit leaves one megabyte. */
static void set_off(struct scene *scene)
{
	char path[64], text[32];

	path_of(scene, NULL, 0, path, sizeof(path));
	snprintf(text, sizeof(text), "%ld", cgroup_read_long(path, "memory.current", NULL) +
		 MEGABYTE);
	if (cgroup_write(path, "memory.max", text))
		fail("cannot set a limit");
	scene->seat->go = 1;
}

static bool killed(const struct scene *scene, const char *tenant, int number,
		   struct victims *victims)
{
	char path[64];
	__u64 id;

	path_of(scene, tenant, number, path, sizeof(path));
	id = cgroup_id(path);
	return !bpf_map__lookup_elem(skel->maps.victims, &id, sizeof(id), victims,
				     sizeof(*victims), 0);
}

static void bury(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void take_down(struct scene *scene)
{
	char path[64];
	int i;

	bury(scene->hog);
	for (i = 0; i < INNOCENTS; i++)
		bury(scene->innocents[i]);
	bury(scene->slow);
	bury(scene->writer);
	bpf_link__destroy(scene->link);
	scene->link = NULL;
	for (i = 0; i < INNOCENTS; i++) {
		path_of(scene, "innocent", i + 1, path, sizeof(path));
		cgroup_remove(path);
	}
	path_of(scene, "slow", 0, path, sizeof(path));
	cgroup_remove(path);
	path_of(scene, "hog", 0, path, sizeof(path));
	cgroup_remove(path);
	path_of(scene, NULL, 0, path, sizeof(path));
	cgroup_remove(path);
}

static void note(const struct scene *scene, struct result *result)
{
	struct victims slow, other;
	int i, innocents = 0;
	__u64 first;

	if (!killed(scene, "slow", 0, &slow))
		fail("the slow tenant was not killed");
	first = slow.first_ns;
	for (i = 0; i < INNOCENTS; i++) {
		if (!killed(scene, "innocent", i + 1, &other))
			continue;
		innocents++;
		if (other.first_ns < first)
			first = other.first_ns;
	}
	result->first_was_slow += first == slow.first_ns;
	result->recovered[result->shortages++] = scene->seat->done_ns - first;
	result->with_innocents += !!innocents;
	result->innocents += innocents;
}

/* The disk answers a second after the reaper has given up on all of the victims. */
static bool all_done(const struct kind *kind, struct scene *scenes)
{
	static __u64 given_up_ns;
	bool done = true;
	int i;

	for (i = 0; i < kind->at_once; i++)
		done = done && scenes[i].seat->done_ns;
	if (kind->be_slow != wait_for_disk)
		return done;
	if (skel->bss->reaper_failed < 10U * kind->at_once)
		given_up_ns = now_ns();
	else if (*backend.held && now_ns() > given_up_ns + 1000000000ULL)
		slow_backend_answer(&backend);
	return done && !*backend.held;
}

static void run_batch(const struct kind *kind, int first, struct seat *seats,
		      struct result *results)
{
	struct scene scenes[MAX_SEATS] = {};
	int i;

	for (i = 0; i < kind->at_once; i++) {
		scenes[i].number = i;
		scenes[i].grace = (first + i) & 1;
		scenes[i].seat = &seats[i];
		set_up(kind, &scenes[i]);
	}
	skel->bss->reaper_failed = 0;
	for (i = 0; i < kind->at_once; i++)
		set_off(&scenes[i]);
	if (!wait_until(all_done(kind, scenes)))
		fail("a shortage of kind %s does not end", kind->name);
	for (i = 0; i < kind->at_once; i++)
		note(&scenes[i], &results[scenes[i].grace]);
	for (i = 0; i < kind->at_once; i++)
		take_down(&scenes[i]);
}

static int by_size(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void tell(const struct kind *kind, struct result *result, bool grace)
{
	const int n = result->shortages;

	qsort(result->recovered, n, sizeof(result->recovered[0]), by_size);
	printf("| %s | %s | %d | %d | %d | %d | %llu | %llu |\n", kind->name,
	       grace ? "policy" : "stock", n, result->first_was_slow, result->with_innocents,
	       result->innocents, result->recovered[n / 2] / 1000000,
	       result->recovered[n - 1] / 1000000);
	fflush(stdout);
}

static void run(const struct kind *kind, int shortages)
{
	static struct result results[2];
	struct seat *seats = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i;

	memset(results, 0, sizeof(results));
	for (i = 0; i < shortages; i += kind->at_once)
		run_batch(kind, i, seats, results);
	tell(kind, &results[false], false);
	tell(kind, &results[true], true);
	munmap(seats, PAGE);
}

static void prepare(void)
{
	if (protect_self() || cgroup_write("", "cgroup.subtree_control", "+cpu"))
		fail("not a machine to kill on");
	skel = bench_slow__open_and_load();
	if (!skel || bench_slow__attach(skel))
		fail("cannot watch the victims: %s", strerror(errno));
	policy = bpf_object__open_file(POLICY, NULL);
	if (!policy || bpf_object__load(policy))
		fail("cannot load %s: %s", POLICY, strerror(errno));
	if (slow_backend_start(&backend, SLOW_DIR))
		fail("no slow disk");
}

int main(int argc, char **argv)
{
	const int shortages = argc > 1 ? atoi(argv[argc - 1]) : 0;
	size_t i;
	int j;

	if (argc < 3 || shortages < 1 || shortages > MAX_SHORTAGES)
		fail("usage: bench_slow KIND... SHORTAGES");
	prepare();
	for (j = 1; j < argc - 1; j++)
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!strcmp(argv[j], kinds[i].name))
				run(&kinds[i], shortages);
	slow_backend_stop(&backend);
	return 0;
}
