// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_stuck KILLER EVENTS: how long a killer takes from the moment when it should
 * act until its SIGKILL, on a machine that thrashes.
 *
 * KILLER is userspace or userspace_locked (bench_killer), psi_kill or reclaim_guard;
 * their programs are in the current directory, on a disk. In each event tenants of
 * low priority grow without end, the precious one uses what it has; there is swap.
 * The moment is the same for all: tasks have waited 150 ms of the last second for
 * memory, as the kernel counts it. This process looks every 5 ms, in real time and
 * from locked memory, and works out afterwards when that was.
 *
 * Prints one line: the times in ms (median, worst), what the killer did between the
 * two moments, and whom it cost. Whoever acts before the moment took no time. It is
 * not a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest.h"
#include "attach.h"
#include "cgroups.h"
#include "helpers.h"
#include "tasks.h"
#include "tree.h"
#include "progs/bench_stuck.h"
#include "bench_stuck.skel.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define GUARD_PIN	"/sys/fs/bpf/bench_guard"
#define SWAP_DEVICE	"/dev/zram0"
#define SWAP_SIZE	"512M"
#define GROWERS		24
#define PRECIOUS_MB	96
#define MAX_EVENTS	200
#define TOO_LONG_US	150000
#define SAMPLE_NS	5000000L
#define MAX_SAMPLES	16384
#define SECOND		1000000000ULL
#define PAGE		4096

#define fail(fmt, ...) ({						\
	fprintf(stderr, "bench_stuck: " fmt "\n", ##__VA_ARGS__);	\
	exit(1);							\
})

static struct bench_stuck *skel;
static pid_t growers[GROWERS], precious, killer;
static int psi_fd;
static __u32 *precious_ready;

static struct sample {
	__u64 ns;
	__u64 stalled_us;
} samples[MAX_SAMPLES];

static struct result {
	__u64 us;
	bool early;
	bool by_killer;
	bool lost;
	int deeds[NR_DEEDS];
} results[MAX_EVENTS];

static void write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("cannot write %s to %s: %s", text, path, strerror(errno));
	close(fd);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void sample_pause(void)
{
	const struct timespec ts = { .tv_nsec = SAMPLE_NS };

	nanosleep(&ts, NULL);
}

/* Microseconds during which some task waited for memory. */
static __u64 stalled_us(void)
{
	char text[256], *total;
	ssize_t len = pread(psi_fd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	total = strstr(text, "total=");
	return total ? strtoull(total + 6, NULL, 10) : 0;
}

static void join(const char *path, int adj)
{
	const struct sched_param param = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	munlockall();
	if (sched_setscheduler(0, SCHED_OTHER, &param) || cgroup_write(path, "cgroup.procs", "0") ||
	    set_oom_score_adj(getpid(), 0))
		_exit(1);
}

/* Half of a page is noise: it compresses to half. */
static void fill_page(char *page, __u64 *seed)
{
	__u64 *word = (__u64 *)page;
	int i;

	for (i = 0; i < PAGE / 16; i++) {
		*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
		word[i] = *seed;
	}
}

static char *map(size_t size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE |
			 MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		_exit(1);
	return mem;
}

/* For each new page it looks at one that it has. */
static void grow(int number)
{
	const size_t pages = 1UL << 20;
	__u64 seed = number + 1;
	char path[32], *mem;
	size_t i;

	snprintf(path, sizeof(path), "grower%d", number);
	join(path, 0);
	mem = map(pages * PAGE);
	for (i = 0; i < pages; i++) {
		fill_page(mem + i * PAGE, &seed);
		mem[(seed >> 20) % (i + 1) * PAGE] ^= 1;
	}
	pause();
}

static void work(void)
{
	const size_t pages = PRECIOUS_MB * MEGABYTE / PAGE;
	__u64 seed = 1000;
	char *mem;
	size_t i;

	join("precious", 0);
	mem = map(pages * PAGE);
	for (i = 0; i < pages; i++)
		fill_page(mem + i * PAGE, &seed);
	*precious_ready = 1;
	for (;;) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		mem[(seed >> 20) % pages * PAGE] ^= 1;
		if (!(seed >> 56))
			nap();
	}
}

static void start_event(void)
{
	int i;

	*precious_ready = 0;
	precious = fork();
	if (!precious)
		work();
	if (!wait_until(*precious_ready))
		fail("the precious tenant does not get ready");
	for (i = 0; i < GROWERS; i++) {
		growers[i] = fork();
		if (!growers[i])
			grow(i);
	}
}

static void bury(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void end_event(void)
{
	int i;

	for (i = 0; i < GROWERS; i++)
		if (growers[i] > 0)
			kill(growers[i], SIGKILL);
	for (i = 0; i < GROWERS; i++)
		bury(&growers[i]);
	bury(&precious);
}

/* Stall at a time between two samples, or before all of them. */
static double stalled_at(int n, __u64 ns)
{
	const struct sample *a, *b;

	while (n && samples[n].ns > ns)
		n--;
	a = &samples[n];
	b = a + 1;
	if (a->ns >= ns)
		return a->stalled_us;
	return a->stalled_us + (double)(b->stalled_us - a->stalled_us) * (ns - a->ns) /
			       (b->ns - a->ns);
}

/* When it was too much, 0 if it was not. */
static __u64 find_moment(int nr)
{
	double before = 0, growth;
	int n;

	for (n = 1; n < nr; n++, before = growth) {
		growth = samples[n].stalled_us - stalled_at(n - 1, samples[n].ns - SECOND);
		if (growth >= TOO_LONG_US)
			return samples[n - 1].ns + (samples[n].ns - samples[n - 1].ns) *
			       (TOO_LONG_US - before) / (growth - before);
	}
	return 0;
}

static void judge(const struct stuck_event *event, __u64 moment, struct result *result)
{
	const __u64 nr = event->nr_deeds < MAX_DEEDS ? event->nr_deeds : MAX_DEEDS;
	__u64 i;

	memset(result, 0, sizeof(*result));
	result->by_killer = event->by_killer;
	result->lost = event->precious;
	result->early = !moment || moment > event->killed_ns;
	if (result->early)
		return;
	result->us = (event->killed_ns - moment) / 1000;
	for (i = 0; i < nr; i++)
		if (event->deeds[i] >= moment && event->deeds[i] <= event->killed_ns)
			result->deeds[event->deeds[i] & DEED_MASK]++;
}

/* The first kill ends it. */
static void run_event(struct result *result)
{
	struct stuck_event *event = &skel->bss->event;
	int n = 0;

	memset(event, 0, sizeof(*event));
	samples[n++] = (struct sample) { now_ns(), stalled_us() };
	start_event();
	while (!event->killed_ns) {
		sample_pause();
		if (n == MAX_SAMPLES)
			fail("nothing happens");
		samples[n++] = (struct sample) { now_ns(), stalled_us() };
	}
	judge(event, find_moment(n), result);
	end_event();
}

/* Until nobody has waited for memory for a second, and killers that pause are back. */
static void calm_down(void)
{
	const struct timespec second = { .tv_sec = 1 };
	__u64 before;

	do {
		before = stalled_us();
		nanosleep(&second, NULL);
	} while (stalled_us() - before > TOO_LONG_US / 10);
	nanosleep(&second, NULL);
}

static void add_tenant(const char *path, __u32 is_precious)
{
	const __u64 id = cgroup_make(path) ? 0 : cgroup_id(path);

	if (!id || bpf_map__update_elem(skel->maps.tenants, &id, sizeof(id), &is_precious,
					sizeof(is_precious), BPF_ANY))
		fail("cannot make tenant %s", path);
}

static void make_tenants(void)
{
	char path[32];
	int i;

	add_tenant("precious", 1);
	for (i = 0; i < GROWERS; i++) {
		snprintf(path, sizeof(path), "grower%d", i);
		add_tenant(path, 0);
	}
}

static void attach_policy(void)
{
	struct bpf_object *policy = bpf_object__open_file(POLICY, NULL);

	if (!policy || bpf_object__load(policy) || cgroup_set_priority("precious", 100) ||
	    !attach_with(bpf_object__next_program(policy, NULL), ""))
		fail("cannot attach %s", POLICY);
}

static void exec_userspace(bool locked)
{
	char words[GROWERS + 1][32], *argv[GROWERS + 4] = { "bench_killer" };
	int n = 1, i;

	if (locked)
		argv[n++] = "locked";
	for (i = 0; i < GROWERS; i++) {
		snprintf(words[i], sizeof(words[i]), "grower%d=0", i);
		argv[n++] = words[i];
	}
	snprintf(words[i], sizeof(words[i]), "precious=100");
	argv[n++] = words[i];
	execv("./bench_killer", argv);
}

static void exec_killer(const char *name, int output)
{
	const struct sched_param param = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	munlockall();
	sched_setscheduler(0, SCHED_OTHER, &param);
	setpriority(PRIO_PROCESS, 0, -20);
	dup2(output, STDOUT_FILENO);
	if (!strcmp(name, "psi_kill"))
		execl("./psi_kill", "psi_kill", "--pause", "1000", NULL);
	else
		exec_userspace(!strcmp(name, "userspace_locked"));
	_exit(127);
}

static void start_killer(const char *name)
{
	char byte;
	int fds[2];

	if (!strcmp(name, "reclaim_guard")) {
		if (system("./reclaim_guard --pause 1000 --pin " GUARD_PIN))
			fail("reclaim_guard does not start");
		return;
	}
	if (pipe2(fds, O_CLOEXEC))
		fail("no pipe");
	killer = fork();
	if (!killer)
		exec_killer(name, fds[1]);
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		fail("%s does not start", name);
	skel->bss->killer_tgid = killer;
}

static void prepare(const char *name)
{
	const struct sched_param param = { .sched_priority = 10 };

	precious_ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);
	psi_fd = open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC);
	if (psi_fd < 0 || precious_ready == MAP_FAILED)
		fail("the kernel counts no pressure");
	write_text("/sys/block/zram0/disksize", SWAP_SIZE);
	if (system("mkswap " SWAP_DEVICE " >/dev/null") || swapon(SWAP_DEVICE, 0))
		fail("no swap at " SWAP_DEVICE);
	skel = bench_stuck__open_and_load();
	if (!skel || bench_stuck__attach(skel))
		fail("cannot watch the killer: %s", strerror(errno));
	make_tenants();
	if (strncmp(name, "userspace", 9))
		attach_policy();
	start_killer(name);
	if (protect_ancestors() || mlockall(MCL_CURRENT) ||
	    sched_setscheduler(0, SCHED_FIFO, &param))
		fail("cannot keep its place");
}

static int by_time(const void *a, const void *b)
{
	const struct result *x = a, *y = b;

	return x->us < y->us ? -1 : x->us > y->us;
}

static void tell(const char *name, int n)
{
	int early = 0, by_killer = 0, lost = 0, deeds[NR_DEEDS] = {}, i, j;

	for (i = 0; i < n; i++) {
		early += results[i].early;
		by_killer += results[i].by_killer;
		lost += results[i].lost;
		for (j = 0; j < NR_DEEDS; j++)
			deeds[j] += results[i].deeds[j];
	}
	qsort(results, n, sizeof(results[0]), by_time);
	printf("| %s | %d | %d | %d | %.1f | %.1f | %d | %d | %d | %d |\n", name, n, by_killer,
	       early, results[n / 2].us / 1000.0, results[n - 1].us / 1000.0,
	       deeds[ALLOCATION], deeds[FAULT], deeds[RECLAIM], lost);
}

int main(int argc, char **argv)
{
	const int n = argc == 3 ? atoi(argv[2]) : 0;
	int i;

	if (n < 1 || n > MAX_EVENTS)
		fail("usage: bench_stuck KILLER EVENTS");
	prepare(argv[1]);
	for (i = 0; i < n; i++) {
		run_event(&results[i]);
		calm_down();
	}
	bury(&killer);
	tell(argv[1], n);
	return 0;
}
