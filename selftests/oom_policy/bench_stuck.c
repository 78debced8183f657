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
 * from locked memory.
 *
 * Prints one line: the times in ms (median, worst), what the killer did between the
 * two moments, and whom it cost. It is not a test.
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

#include "../kselftest.h"
#include "events.h"
#include "helpers.h"
#include "progs/bench_stuck.h"
#include "bench_stuck.skel.h"

#define POLICY		"/usr/share/oom_policy/tenant_prio.bpf.o"
#define GUARD_PIN	"/sys/fs/bpf/bench_guard"
#define SWAP_DEVICE	"/dev/zram0"
#define SWAP_SIZE	"512M"
#define GROWERS		12
#define PRECIOUS_MB	96
#define MAX_EVENTS	200
#define TOO_LONG_US	150000
#define SAMPLE_NS	5000000L
#define SAMPLES		200	/* in a second */
#define PAGE		4096

#define fail(fmt, ...) ({						\
	fprintf(stderr, "bench_stuck: " fmt "\n", ##__VA_ARGS__);	\
	exit(1);							\
})

static struct bench_stuck *skel;
static pid_t growers[GROWERS], precious, killer;
static int psi_fd;
static struct stuck_event events[MAX_EVENTS];
static __u32 *precious_ready;

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
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
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

/* The first kill ends it. Whoever acts before the moment was early by so much. */
static void run_event(struct stuck_event *result)
{
	static __u64 readings[SAMPLES];
	const __u64 end = now_ns() + 60 * 1000000000ULL;
	struct stuck_event *event = &skel->bss->event;
	__u64 now, calm = stalled_us();
	unsigned int n = 0;

	for (n = 0; n < SAMPLES; n++)
		readings[n] = calm;
	memset(event, 0, sizeof(*event));
	start_event();
	while (!event->killed_ns || !event->threshold_ns) {
		sample_pause();
		now = stalled_us();
		if (!event->threshold_ns && now - readings[n % SAMPLES] >= TOO_LONG_US)
			event->threshold_ns = now_ns();
		readings[n++ % SAMPLES] = now;
		if (now_ns() > end)
			fail("nothing happens");
		/* It was early, and the moment does not come any more. */
		if (event->killed_ns && !event->threshold_ns &&
		    now_ns() > event->killed_ns + 1000000000ULL)
			event->threshold_ns = event->killed_ns;
	}
	*result = *event;
	skel->bss->event.threshold_ns = 0;
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
	const __u64 id = cgroup_id("precious");
	const __s64 priority = 100;

	if (!policy || bpf_object__load(policy) ||
	    bpf_map__update_elem(bpf_object__find_map_by_name(policy, "oom_priority"), &id,
				 sizeof(id), &priority, sizeof(priority), BPF_ANY) ||
	    !attach_with(bpf_object__next_program(policy, NULL), "", 0, 0))
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

static int by_size(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void tell(const char *name, int n)
{
	__u64 allocations = 0, reclaims = 0, faults = 0;
	int by_killer = 0, lost = 0, i;
	long us[MAX_EVENTS];

	for (i = 0; i < n; i++) {
		us[i] = (long)(events[i].killed_ns - events[i].threshold_ns) / 1000;
		allocations += events[i].allocations;
		reclaims += events[i].reclaims;
		faults += events[i].faults;
		by_killer += events[i].by_killer;
		lost += !!events[i].precious;
	}
	qsort(us, n, sizeof(us[0]), by_size);
	printf("| %s | %d | %d | %.1f | %.1f | %.1f | %.1f | %llu | %d |\n", name, n, by_killer,
	       us[n / 2] / 1000.0, us[n - 1] / 1000.0, (double)allocations / n,
	       (double)faults / n, reclaims, lost);
}

int main(int argc, char **argv)
{
	const int n = argc == 3 ? atoi(argv[2]) : 0;
	int i;

	if (n < 1 || n > MAX_EVENTS)
		fail("usage: bench_stuck KILLER EVENTS");
	prepare(argv[1]);
	for (i = 0; i < n; i++) {
		run_event(&events[i]);
		calm_down();
	}
	bury(&killer);
	tell(argv[1], n);
	return 0;
}
