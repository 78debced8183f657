// SPDX-License-Identifier: GPL-2.0-only
/*
 * psi_kill: a monitor that has somebody killed before the memory is gone.
 *
 * The idea: a machine, or a tenant with a limit, that spends its time waiting for
 * memory is lost long before an allocation fails. The kernel measures that wait
 * (pressure stall information) and wakes whoever asked for it. What remains is one
 * system call, behind which the kernel chooses by the attached policies and kills.
 *
 *	/proc/pressure/memory, or memory.pressure of a cgroup
 *	   | some 150 ms of the last 1000 ms
 *	   v
 *	poll() returns -> bpf(BPF_PROG_TEST_RUN) -> a victim by the policies
 *	   ^                                           |
 *	   `------- a pause, so that it helps ---------'
 *
 * Monitors that read files and send signals need memory for that, and wait for it
 * like everybody else, when it matters. This one has everything before it says that
 * it is ready: program, trigger and all of its pages, locked. Between the kernel's
 * wake-up and the kill it allocates nothing and asks nobody.
 *
 * What it says comes after the kill, since writing may have to wait for memory.
 * With --dry-run it rehearses the attached policy instead: that takes memory.
 *
 * Limits:
 * - one trigger, one scope: run one for each tenant with a limit;
 * - a victim that is still dying, or the grace of a policy, puts the kill off until
 *   the pressure has built up once more;
 * - the kernel writes its report before it kills: a slow console holds up the kill,
 *   unless the console's log level keeps it out (dmesg -n);
 * - without a policy the largest process of the scope dies, as the kernel has it;
 * - hooks (--prekill) take memory and time when both are short, and after them the
 *   kernel chooses anew: mostly, but not for certain, whom they were told of.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup_path.h"
#include "prekill.h"
#include "psi_kill.skel.h"

#define MACHINE_PSI	"/proc/pressure/memory"

/* One sentence on stderr, and -1. */
#define fail(fmt, ...) ({						\
	fprintf(stderr, "psi_kill: " fmt "\n", ##__VA_ARGS__);		\
	-1;								\
})

static struct {
	const char *cgroup;
	bool full;
	bool dry_run;
	unsigned int threshold_ms;
	unsigned int window_ms;
	unsigned int pause_ms;
	unsigned int prekill_ms;
	const char *prekill[MAX_PREKILL];
	int nr_prekill;
} option = {
	.cgroup = "/", .threshold_ms = 150, .window_ms = 1000, .pause_ms = 5000,
	.prekill_ms = 1000,
};

struct monitor {
	char path[PATH_MAX];	/* of the scope, from the root of cgroup v2 on */
	__u64 scope_id;
	int psi_fd;
	int signal_fd;
	int kill_fd;		/* the program that kills */
	int policy_fd;		/* the one that rules the scope, if it is asked before */
};

static void usage(FILE *to)
{
	fputs("Usage: psi_kill [--cgroup PATH] [--full] [--threshold MS] [--window MS]\n"
	      "                [--pause MS] [--prekill HOOK ...] [--prekill-timeout MS]\n"
	      "                [--dry-run]\n"
	      "\n"
	      "Have a victim killed when tasks have waited too long for memory. The kernel\n"
	      "chooses it by the OOM policies that are attached.\n"
	      "\n"
	      "  --cgroup PATH    watch this cgroup and kill below it (default: the root, which\n"
	      "                   is the whole machine)\n"
	      "  --full           count the time in which all tasks waited, not only some\n"
	      "  --threshold MS   so much waiting is too much (default: 150) ...\n"
	      "  --window MS      ... in this time, 500 to 10000 (default: 1000)\n"
	      "  --pause MS       after a kill, wait this long (default: 5000)\n"
	      "  --prekill HOOK   before a kill run this program with the victim's cgroup as its\n"
	      "                   argument; a directory: tell all of its sockets by varlink, as\n"
	      "                   systemd-oomd does those of /run/systemd/oomd.prekill.hook\n"
	      "  --prekill-timeout MS  so long do all hooks have together (default: 1000)\n"
	      "  --dry-run        tell who would be killed, and kill nobody\n"
	      "  --help           show this text\n"
	      "\n"
	      "PATH is relative to the root of cgroup v2 (prod/db) or absolute below it\n"
	      "(/sys/fs/cgroup/prod/db). Ends with SIGTERM or ^C.\n", to);
}

static int parse_ms(const char *what, const char *text, unsigned int low, unsigned int high,
		    unsigned int *ms)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < low || value > high)
		return fail("%s is a number of milliseconds from %u to %u, not '%s'", what, low,
			    high, text);
	*ms = value;
	return 0;
}

static int add_hook(const char *file)
{
	const int err = prekill_check(file);

	if (option.nr_prekill == MAX_PREKILL)
		return fail("there is room for %d hooks", MAX_PREKILL);
	if (err)
		return fail("'%s' is no hook: %s", file, strerror(err));
	option.prekill[option.nr_prekill++] = file;
	return 0;
}

static int parse_option(int c, const char *text)
{
	switch (c) {
	case 'c':
		option.cgroup = text;
		return 0;
	case 'f':
		option.full = true;
		return 0;
	case 'n':
		option.dry_run = true;
		return 0;
	case 't':
		return parse_ms("threshold", text, 1, 10000, &option.threshold_ms);
	case 'w':
		return parse_ms("window", text, 500, 10000, &option.window_ms);
	case 'p':
		return parse_ms("pause", text, 0, 3600 * 1000, &option.pause_ms);
	case 'k':
		return add_hook(text);
	case 'm':
		return parse_ms("prekill-timeout", text, 1, 60000, &option.prekill_ms);
	default:
		fputs("Try 'psi_kill --help'.\n", stderr);
		return -1;
	}
}

static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "full", no_argument, NULL, 'f' },
		{ "threshold", required_argument, NULL, 't' },
		{ "window", required_argument, NULL, 'w' },
		{ "pause", required_argument, NULL, 'p' },
		{ "prekill", required_argument, NULL, 'k' },
		{ "prekill-timeout", required_argument, NULL, 'm' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		if (parse_option(c, optarg))
			return -1;
	}
	if (optind < argc)
		return fail("what is '%s'? There are options only", argv[optind]);
	if (option.threshold_ms > option.window_ms)
		return fail("a threshold of %u ms is never reached in a window of %u ms",
			    option.threshold_ms, option.window_ms);
	return 0;
}

static int get_cgroup_id(const char *full, __u64 *id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(*id)];
	} u = { .handle.handle_bytes = sizeof(*id) };
	struct statfs fs;
	int mount_id;

	if (statfs(full, &fs))
		return fail("cannot open cgroup %s: %s", full, strerror(errno));
	if (fs.f_type != CGROUP2_SUPER_MAGIC ||
	    name_to_handle_at(AT_FDCWD, full, &u.handle, &mount_id, 0))
		return fail("not a cgroup of cgroup v2: %s", full);
	memcpy(id, u.handle.f_handle, sizeof(*id));
	return 0;
}

/* monitor->path begins with a slash and does not end with one, but for the root's. */
static int find_scope(struct monitor *monitor)
{
	const char *path = option.cgroup;
	char full[2 * PATH_MAX];
	size_t len;

	if (!*path)
		return fail("a cgroup is missing: '/' is the whole machine");
	if (!strncmp(path, CGROUP_ROOT, strlen(CGROUP_ROOT)))
		path += strlen(CGROUP_ROOT);
	path += strspn(path, "/");
	if (strlen(path) + 2 > sizeof(monitor->path))
		return fail("path too long: '%s'", path);
	len = sprintf(monitor->path, "/%s", path);
	while (len > 1 && monitor->path[len - 1] == '/')
		monitor->path[--len] = '\0';

	snprintf(full, sizeof(full), CGROUP_ROOT "%s", monitor->path);
	return get_cgroup_id(full, &monitor->scope_id);
}

static int set_trigger(struct monitor *monitor)
{
	const bool machine = !strcmp(monitor->path, "/");
	char file[2 * PATH_MAX], text[64];
	int len;

	snprintf(file, sizeof(file), machine ? MACHINE_PSI : CGROUP_ROOT "%s/memory.pressure",
		 monitor->path);
	monitor->psi_fd = open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (monitor->psi_fd < 0)
		return fail("cannot open %s: %s%s", file, strerror(errno), errno == ENOENT ?
			    "; it takes CONFIG_PSI and, on some kernels, psi=1" : "");
	len = snprintf(text, sizeof(text), "%s %u %u", option.full ? "full" : "some",
		       1000 * option.threshold_ms, 1000 * option.window_ms);
	if (write(monitor->psi_fd, text, len + 1) < 0)
		return fail("%s takes no trigger '%s': %s", file, text, strerror(errno));
	return 0;
}

static int load_kill(struct monitor *monitor)
{
	struct psi_kill *skel = psi_kill__open();
	int err;

	if (!skel)
		return fail("cannot open the program: %s", strerror(errno));
	skel->bss->scope_id = monitor->scope_id;
	err = psi_kill__load(skel);
	if (err == -EPERM || err == -EACCES)
		return fail("no permission to load the program: it takes CAP_SYS_ADMIN");
	if (err)
		return fail("the kernel has no OOM policies, or refuses the program: %s",
			    strerror(-err));
	/* It stays until the end. */
	monitor->kill_fd = bpf_program__fd(skel->progs.kill_one);
	return 0;
}

/* The program attached to a cgroup, -1 if there is none. */
static int policy_at(__u64 cgroup_id)
{
	struct bpf_link_info info;
	__u32 id = 0, len;
	int fd, err;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		err = bpf_link_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_OOM_POLICY &&
		    info.oom_policy.attach_type == BPF_OOM_POLICY &&
		    info.oom_policy.cgroup_id == cgroup_id)
			return bpf_prog_get_fd_by_id(info.prog_id);
	}
	return -1;
}

/* The nearest one at or above the scope. It may change while we watch. */
static int find_policy(const struct monitor *monitor)
{
	char full[2 * PATH_MAX], *slash;
	int fd = -1;
	__u64 id;

	snprintf(full, sizeof(full), CGROUP_ROOT "%s", monitor->path);
	while (fd < 0 && strlen(full) >= strlen(CGROUP_ROOT)) {
		if (get_cgroup_id(full, &id))
			return -1;
		fd = policy_at(id);
		slash = strrchr(full, '/');
		*slash = '\0';
	}
	return fd;
}

/*
 * From here on no page of ours has to be found, or made: stack and heap included.
 * And nobody kills the one that asks for the kill.
 */
static int settle(void)
{
	char room[64 * 1024];
	int fd, len;

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return fail("cannot lock its memory: %s", strerror(errno));
	memset(room, 0, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");

	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : write(fd, "-1000", 5);
	if (fd >= 0)
		close(fd);
	return len < 0 ? fail("cannot set its oom_score_adj: %s", strerror(errno)) : 0;
}

/* As sd_notify(3) describes it. */
static int tell_ready(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd, err;

	if (!path)
		return 0;
	len = strlen(path);
	if (len < 2 || len >= sizeof(to.sun_path))
		return fail("not a socket to be ready on: '%s'", path);
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (void *)&to,
			       offsetof(struct sockaddr_un, sun_path) + len) < 0;
	if (err)
		fail("cannot say that it is ready on %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err ? -1 : 0;
}

/* 0: @out has the victim as candidate 1; else -errno. */
static int rehearse(const struct monitor *monitor, struct bpf_oom_ctx *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .flags = BPF_F_TEST_OOM_SELECT);
	struct bpf_oom_ctx in = { .cgroup_id_1 = monitor->scope_id };

	opts.ctx_in = &in;
	opts.ctx_size_in = sizeof(in);
	opts.ctx_out = out;
	opts.ctx_size_out = sizeof(*out);
	return bpf_prog_test_run_opts(monitor->policy_fd, &opts) ?: (int)opts.retval;
}

static void tell_rehearsal(const struct monitor *monitor)
{
	struct bpf_oom_ctx victim = {};
	char path[PATH_MAX];
	const int err = rehearse(monitor, &victim);

	if (err)
		printf("dry run: nobody would be killed: %s\n", strerror(-err));
	else
		printf("dry run: process %u of %s would be killed\n", victim.pid_1,
		       path_of(victim.cgroup_id_1, path, sizeof(path)));
	if (!err && option.nr_prekill)
		printf("dry run: hooks would be told before, and have %u ms\n",
		       option.prekill_ms);
}

/* Whoever would die as things are; without a policy hooks are told of the scope. */
static void tell_hooks(const struct monitor *monitor)
{
	struct bpf_oom_ctx victim = { .cgroup_id_1 = monitor->scope_id };
	char path[PATH_MAX];
	int late;

	if (monitor->policy_fd >= 0 && rehearse(monitor, &victim))
		return;
	late = prekill_run(option.prekill, option.nr_prekill,
			   path_of(victim.cgroup_id_1, path, sizeof(path)), option.prekill_ms);
	if (late)
		printf("%d hooks have not answered in %u ms: not waited for\n", late,
		       option.prekill_ms);
}

/* True if the monitor is to pause. */
static bool tell_kill(const struct monitor *monitor, int err)
{
	switch (err) {
	case 0:
		printf("killed a victim below %s; who, the kernel's log says\n", monitor->path);
		return true;
	case -EAGAIN:
		printf("nobody killed below %s: a victim is still dying\n", monitor->path);
		return false;
	case -ESRCH:
		printf("nobody killed below %s: there is nobody to kill\n", monitor->path);
		return true;
	case -EPERM:
		printf("nobody killed below %s: it takes CAP_SYS_ADMIN\n", monitor->path);
		return true;
	default:
		printf("nobody killed below %s: %s\n", monitor->path, strerror(-err));
		return true;
	}
}

/* Without hooks nothing comes between this and the system call. */
static bool act(const struct monitor *monitor)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	if (option.dry_run) {
		tell_rehearsal(monitor);
		return true;
	}
	if (option.nr_prekill)
		tell_hooks(monitor);
	err = bpf_prog_test_run_opts(monitor->kill_fd, &opts);
	return tell_kill(monitor, err ?: (int)opts.retval);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What the trigger tells during a pause does not count. */
static int watch(const struct monitor *monitor)
{
	struct pollfd fds[] = {
		{ .fd = monitor->signal_fd, .events = POLLIN },
		{ .fd = monitor->psi_fd, .events = POLLPRI },
	};
	long pause_end = 0, left;
	bool paused = false;

	for (;;) {
		left = paused ? pause_end - now_ms() : -1;
		if (poll(fds, paused ? 1 : 2, paused && left < 0 ? 0 : left) < 0)
			return fail("cannot wait for the trigger: %s", strerror(errno));
		if (fds[0].revents)
			return 0;
		if (paused) {
			paused = now_ms() < pause_end;
			if (!paused)
				poll(&fds[1], 1, 0);
		} else if (fds[1].revents & POLLERR) {
			return fail("%s is gone", monitor->path);
		} else if (act(monitor)) {
			paused = true;
			pause_end = now_ms() + option.pause_ms;
		}
	}
}

static int start(struct monitor *monitor)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(NULL);

	monitor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (monitor->signal_fd < 0)
		return fail("cannot wait for signals: %s", strerror(errno));
	if (find_scope(monitor) || load_kill(monitor))
		return -1;
	monitor->policy_fd = -1;
	if (option.dry_run || option.nr_prekill) {
		monitor->policy_fd = find_policy(monitor);
		if (monitor->policy_fd < 0 && option.dry_run)
			return fail("no policy rules %s: there is nothing to rehearse",
				    monitor->path);
	}
	if (set_trigger(monitor))
		return -1;
	printf("watching %s: %s %u ms of %u ms\n", monitor->path, option.full ? "full" : "some",
	       option.threshold_ms, option.window_ms);
	return settle() ?: tell_ready();
}

int main(int argc, char **argv)
{
	static struct monitor monitor;

	return parse_options(argc, argv) || start(&monitor) || watch(&monitor);
}
