// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench SHAPE TASKS...: what it costs to choose a victim, and to get as far as its
 * SIGKILL, in a tree of that shape with so many tasks per leaf; for every way to
 * choose there is. One line of JSON for each.
 *
 * It counts the nanoseconds of the machine's clock. In a machine whose clock counts
 * instructions (ICOUNT=1), these are instructions.
 *
 * Every event kills a task, and another takes its place, so that all of them meet
 * the same tree. It has to be the machine's only program: it is not a test.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "bench_shape.h"
#include "cgroups.h"
#include "helpers.h"
#include "shortage.h"
#include "tree.h"
#include "progs/bench_event.h"
#include "bench.skel.h"

#define HERD		"/tests/bench_herd"
#define SHARE		"/usr/lib/oom_policy"
#define RUNS		3	/* of which the one that was disturbed least counts */
#define WALKS		20	/* where they are cheap */
#define MAX_LINKS	8

#define fail(fmt, ...) ({						\
	fprintf(stderr, "bench: " fmt "\n", ##__VA_ARGS__);		\
	exit(1);							\
})

struct figures {
	const char *system;
	__u64 selection;
	__u64 comparisons;
	__u64 sigkill[2];	/* by vm.oom_dump_tasks */
	__u64 rest;		/* from SIGKILL to the end of out_of_memory() */
	__u64 allocated;
};

static struct bench *skel;
static struct bench_event *event;
static struct shape shape;
static int per_leaf;
static FILE *to_herd, *from_herd;

static void write_number(const char *path, long number)
{
	FILE *f = fopen(path, "we");

	if (!f || fprintf(f, "%ld", number) < 0 || fclose(f))
		fail("cannot write %ld to %s: %s", number, path, strerror(errno));
}

/* Idle time costs nothing: the clock goes straight to its end. */
static void settle(void)
{
	sleep(1);
}

/* The tree */

static void make_tree(void)
{
	char path[64];
	int level, n;

	for (level = 1; level <= shape.depth; level++) {
		for (n = 0; n < shape_count(&shape, level); n++) {
			shape_path(&shape, level, n, path, sizeof(path));
			if (cgroup_make(path) ||
			    (level < shape.depth && cgroup_enable_memory(path)))
				exit(1);
		}
	}
}

static void start_herd(const char *shape_name)
{
	int requests[2], answers[2];

	if (pipe(requests) || pipe(answers))
		fail("no pipe: %s", strerror(errno));
	if (!fork()) {
		dup2(requests[0], STDIN_FILENO);
		dup2(answers[1], STDOUT_FILENO);
		close(requests[0]);
		close(requests[1]);
		close(answers[0]);
		close(answers[1]);
		execl(HERD, HERD, shape_name, NULL);
		fail("cannot run %s: %s", HERD, strerror(errno));
	}
	close(requests[0]);
	close(answers[1]);
	to_herd = fdopen(requests[1], "w");
	from_herd = fdopen(answers[0], "r");
}

static void ask_herd(char request)
{
	char answer[32];

	fputc(request, to_herd);
	fflush(to_herd);
	if (!fgets(answer, sizeof(answer), from_herd))
		fail("the herd of tasks is gone");
}

/* Events */

static void attach(struct bpf_link **links, const struct bpf_program *prog)
{
	int i = 0;

	while (links[i])
		i++;
	links[i] = bpf_program__attach(prog);
	if (!links[i])
		fail("cannot watch with %s: %s", bpf_program__name(prog), strerror(errno));
}

static void detach(struct bpf_link **links)
{
	int i;

	for (i = 0; i < MAX_LINKS && links[i]; i++) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

static void raise_event(void)
{
	settle();
	memset(event, 0, sizeof(*event));
	if (raise_oom_sysrq())
		exit(1);
	ask_herd('?');
	if (!event->entered || (!event->chosen && !event->killed))
		fail("the event was not seen");
}

static __u64 least(__u64 a, __u64 b)
{
	return a && a < b ? a : b;
}

static void measure_selection(struct figures *figures)
{
	struct bpf_link *links[MAX_LINKS] = {};
	int i;

	attach(links, skel->progs.on_entered);
	attach(links, skel->progs.on_chosen);
	for (i = 0; i < RUNS; i++) {
		raise_event();
		figures->selection = least(figures->selection,
					   event->chosen - event->entered);
	}
	detach(links);
}

static void measure_kill(struct figures *figures, int dump_tasks)
{
	struct bpf_link *links[MAX_LINKS] = {};

	write_number("/proc/sys/vm/oom_dump_tasks", dump_tasks);
	attach(links, skel->progs.on_entered);
	attach(links, skel->progs.on_killed);
	attach(links, skel->progs.on_left);
	raise_event();
	if (!wait_until(__atomic_load_n(&event->left, __ATOMIC_RELAXED)))
		fail("out_of_memory() does not end");
	figures->sigkill[dump_tasks] = event->killed - event->entered;
	figures->rest = event->left - event->killed;
	detach(links);
	write_number("/proc/sys/vm/oom_dump_tasks", 0);
}

static void measure_allocations(struct figures *figures)
{
	struct bpf_link *links[MAX_LINKS] = {};

	attach(links, skel->progs.on_entered);
	attach(links, skel->progs.on_chosen);
	attach(links, skel->progs.on_kmalloc);
	attach(links, skel->progs.on_kmem_cache_alloc);
	attach(links, skel->progs.on_mm_page_alloc);
	attach(links, skel->progs.on_percpu_alloc);
	raise_event();
	figures->allocated = event->allocated;
	detach(links);
}

static void measure_events(struct figures *figures)
{
	measure_selection(figures);
	measure_allocations(figures);
	measure_kill(figures, 0);
	measure_kill(figures, 1);
}

/* What a walk does not do, it does not say. */
static void print_figures(const struct figures *figures)
{
	const int leaves = shape_count(&shape, shape.depth);

	printf("{\"fanout\":%d,\"depth\":%d,\"leaves\":%d,\"per_leaf\":%d,\"tasks\":%d,",
	       shape.fanout, shape.depth, leaves, per_leaf, leaves * per_leaf);
	printf("\"system\":\"%s\",\"selection\":%llu", figures->system, figures->selection);
	if (figures->comparisons)
		printf(",\"comparisons\":%llu", figures->comparisons);
	if (figures->rest) {
		printf(",\"sigkill_quiet\":%llu,\"sigkill_dump\":%llu",
		       figures->sigkill[0], figures->sigkill[1]);
		printf(",\"rest\":%llu,\"allocations\":%llu", figures->rest,
		       figures->allocated);
	}
	puts("}");
	fflush(stdout);
}

/* Policies */

static __u64 comparisons_of(const struct bpf_link *link, int events)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &size))
		fail("cannot read the link: %s", strerror(errno));
	if (info.oom_policy.kills != (__u64)events)
		fail("the policy has led to %llu of %d victims", info.oom_policy.kills, events);
	return info.oom_policy.comparisons / events;
}

static void measure_policy(const char *name, const struct bpf_program *prog)
{
	struct figures figures = { .system = name, .selection = -1 };
	struct bpf_link *link = attach_with(prog, "", .budget_us = NO_BUDGET_US);

	if (!link)
		exit(1);
	measure_events(&figures);
	figures.comparisons = comparisons_of(link, RUNS + 3);
	bpf_link__destroy(link);
	print_figures(&figures);
}

/* Some order that is not that of the tree. */
static __s64 priority_of(int level, int n)
{
	return (n * 7919 + level * 104729) % 65536;
}

static void set_priority_by_id(const struct bpf_map *map, const char *path, __s64 priority)
{
	const __u64 id = cgroup_id(path);

	if (bpf_map__update_elem(map, &id, sizeof(id), &priority, sizeof(priority), BPF_ANY))
		fail("cannot set the priority of %s: %s", path, strerror(errno));
}

static void set_priority_by_fd(const struct bpf_map *map, const char *path, __s64 priority)
{
	const int fd = cgroup_open(path);

	if (fd < 0 || bpf_map__update_elem(map, &fd, sizeof(fd), &priority,
					   sizeof(priority), BPF_ANY))
		fail("cannot set the priority of %s: %s", path, strerror(errno));
	close(fd);
}

/*
 * Every cgroup has a priority, in its file and in the map of a policy that has one;
 * where they are inherited, those below the root.
 */
static void set_priorities(const struct bpf_object *obj)
{
	const struct bpf_map *by_id = bpf_object__find_map_by_name(obj, "oom_priority");
	const struct bpf_map *by_fd = bpf_object__find_map_by_name(obj, "oom_inherit");
	char path[64];
	int level, n;

	for (level = 1; level <= shape.depth; level++) {
		for (n = 0; n < shape_count(&shape, level); n++) {
			shape_path(&shape, level, n, path, sizeof(path));
			if (cgroup_set_priority(path, priority_of(level, n)))
				exit(1);
			if (by_id)
				set_priority_by_id(by_id, path, priority_of(level, n));
			if (by_fd && level == 1)
				set_priority_by_fd(by_fd, path, priority_of(level, n));
		}
	}
}

static void measure_sample(const char *name)
{
	struct bpf_object *obj;
	char path[64];

	snprintf(path, sizeof(path), SHARE "/%s.bpf.o", name);
	obj = bpf_object__open_file(path, NULL);
	if (!obj || bpf_object__load(obj))
		fail("cannot load %s: %s", path, strerror(errno));
	set_priorities(obj);
	measure_policy(name, bpf_object__next_program(obj, NULL));
	bpf_object__close(obj);
}

static void measure_map_prio(void)
{
	set_priorities(skel->obj);
	measure_policy("map_prio", skel->progs.map_prio);
}

/* Walks, which only look for the largest leaf */

static void walk_in_kernel(struct figures *figures)
{
	struct bench_walk walk = { .root_id = cgroup_id("") };
	struct bpf_test_run_opts opts = {
		.sz = sizeof(opts),
		.ctx_in = &walk,
		.ctx_size_in = sizeof(walk),
	};

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.walk_tree), &opts) ||
	    opts.retval || walk.leaves != (__u64)shape_count(&shape, shape.depth))
		fail("the iterator has seen %llu leaves", walk.leaves);
	figures->selection = least(figures->selection, walk.ns);
}

static long current_of(int dir)
{
	const int fd = openat(dir, "memory.current", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return atol(text);
}

/* Of the leaves below, how many there are; consumes the descriptor. */
static int walk_below(int fd, long *most)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int leaves = 0;
	bool leaf = true;
	long usage;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		leaf = false;
		leaves += walk_below(openat(fd, entry->d_name,
					    O_RDONLY | O_DIRECTORY | O_CLOEXEC), most);
	}
	if (leaf) {
		usage = current_of(fd);
		*most = usage > *most ? usage : *most;
	}
	if (dir)
		closedir(dir);
	return leaf ? 1 : leaves;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void walk_in_user_space(struct figures *figures)
{
	const __u64 begin = now_ns();
	long most = -1;
	int leaves;

	leaves = walk_below(cgroup_open(""), &most);
	figures->selection = least(figures->selection, now_ns() - begin);
	if (leaves != shape_count(&shape, shape.depth) || most < 0)
		fail("the walk has seen %d leaves", leaves);
}

static void measure_walk(const char *name, void (*walk)(struct figures *figures), int runs)
{
	struct figures figures = { .system = name, .selection = -1 };
	int i;

	for (i = 0; i < runs; i++) {
		settle();
		walk(&figures);
	}
	print_figures(&figures);
}

static void measure_stock(void)
{
	struct figures figures = { .system = "stock", .selection = -1 };

	measure_events(&figures);
	print_figures(&figures);
}

/* What the watches of a selection take when there is nothing between them. */
static void print_gauge(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_link *links[MAX_LINKS] = {};
	__u64 gauge = -1;
	int i;

	attach(links, skel->progs.on_gauge_entered);
	attach(links, skel->progs.on_gauge_chosen);
	for (i = 0; i < RUNS; i++) {
		if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.on_gauge_entered), &opts))
			fail("cannot gauge the watches: %s", strerror(errno));
		gauge = least(gauge, event->chosen - event->entered);
	}
	detach(links);
	printf("{\"gauge\":%llu}\n", gauge);
}

static void measure_all(void)
{
	measure_stock();
	measure_policy("trivial", skel->progs.trivial);
	measure_sample("tenant_prio");
	measure_map_prio();
	measure_sample("leaf_prio");
	measure_sample("inherit");
	measure_sample("biggest");
	measure_walk("iterator", walk_in_kernel, WALKS);
	measure_walk("userspace", walk_in_user_space, RUNS);
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 3 || shape_parse(&shape, argv[1]))
		fail("usage: bench SHAPE TASKS...");
	if (protect_self())
		return 1;
	write_number("/proc/sys/kernel/threads-max", 200000);
	write_number("/proc/sys/kernel/pid_max", 200000);
	write_number("/proc/sys/vm/oom_dump_tasks", 0);
	make_tree();
	start_herd(argv[1]);

	skel = bench__open_and_load();
	if (!skel)
		fail("cannot load the watches: %s", strerror(errno));
	event = &skel->bss->event;
	print_gauge();
	for (i = 2; i < argc; i++) {
		for (; per_leaf < atoi(argv[i]); per_leaf++)
			ask_herd('+');
		settle();
		measure_all();
	}
	bench__destroy(skel);
	return 0;
}
