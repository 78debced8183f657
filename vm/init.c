// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the machine under test: mounts what a test needs, runs /vm/command
 * with its output on the virtio-serial port "output", tells how it ended on the
 * port "status" and reboots, which makes QEMU exit. With TTY=ROWSxCOLUMNS in
 * the environment (the kernel command line) the command gets the terminal hvc0;
 * with LEAKS=1 a kernel that can looks for memory leaks after it; with COVERAGE=DIR
 * its gcov counters are left in DIR of the shared folder.
 *
 * The host trusts one line only: "exit N". Anything that goes wrong in here is
 * told as "init: ..." on the same port, and no command runs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define PORTS		"/sys/class/virtio-ports"
#define CGROUP_ROOT	"/sys/fs/cgroup"
#define LEAKS		"/sys/kernel/debug/kmemleak"
#define DEVICE_WAIT_MS	10000
#define TICK_MS		10

static int status_fd = -1;

static const char if_there[] = "";	/* only if the kernel has it */

static const struct {
	const char *source, *target, *type, *options;
	const char *wanted;	/* only with this variable in the environment */
} mounts[] = {
	{ "proc",	"/proc",		"proc",		NULL,	NULL },
	{ "sysfs",	"/sys",			"sysfs",	NULL,	NULL },
	{ "devtmpfs",	"/dev",			"devtmpfs",	NULL,	NULL },
	{ "devpts",	"/dev/pts",		"devpts",	NULL,	NULL },
	{ "tmpfs",	"/dev/shm",		"tmpfs",	NULL,	NULL },
	{ "tmpfs",	"/run",			"tmpfs",	NULL,	NULL },
	{ "tmpfs",	"/tmp",			"tmpfs",	NULL,	NULL },
	{ "cgroup2",	CGROUP_ROOT,		"cgroup2",	NULL,	NULL },
	{ "bpf",	"/sys/fs/bpf",		"bpf",		NULL,	if_there },
	{ "debugfs",	"/sys/kernel/debug",	"debugfs",	NULL,	NULL },
	{ "tracefs",	"/sys/kernel/tracing",	"tracefs",	NULL,	if_there },
	{ "/dev/vda",	"/scratch",		"ext2",		NULL,	"SCRATCH" },
	{ "share",	"/mnt",			"9p",
	  "trans=virtio,version=9p2000.L,msize=262144",			"SHARE" },
};

static noreturn void leave(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static noreturn void die(const char *what)
{
	dprintf(status_fd >= 0 ? status_fd : STDERR_FILENO, "init: %s: %s\n",
		what, strerror(errno));
	leave();
}

static void tick(void)
{
	const struct timespec ts = { .tv_nsec = TICK_MS * 1000 * 1000 };

	nanosleep(&ts, NULL);
}

static bool kernel_has(const char *type)
{
	char line[64], name[64];
	bool hit = false;
	FILE *f;

	f = fopen("/proc/filesystems", "re");
	while (f && !hit && fgets(line, sizeof(line), f))
		hit = sscanf(line, "nodev %63s", name) == 1 && !strcmp(name, type);
	if (f)
		fclose(f);
	return hit;
}

static void mount_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (mounts[i].wanted == if_there ? !kernel_has(mounts[i].type) :
		    mounts[i].wanted && !getenv(mounts[i].wanted))
			continue;
		mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].source, mounts[i].target, mounts[i].type, 0,
			  mounts[i].options))
			die(mounts[i].target);
	}
	if (symlink("/proc/self/fd", "/dev/fd") ||
	    symlink("fd/0", "/dev/stdin") ||
	    symlink("fd/1", "/dev/stdout") || symlink("fd/2", "/dev/stderr"))
		die("/dev");
}

static bool booted_with(const char *word)
{
	char line[4096] = "";
	FILE *f = fopen("/proc/cmdline", "re");

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	return strstr(line, word);
}

/* Ports and terminals are probed by a kernel worker: they may come after us. */
static int open_soon(const char *path, int flags)
{
	int fd = -1;

	for (int ms = 0; ms < DEVICE_WAIT_MS; ms += TICK_MS) {
		fd = open(path, flags);
		if (fd >= 0 || (errno != ENOENT && errno != ENODEV && errno != ENXIO))
			break;
		tick();
	}
	return fd;
}

static bool find_port(const char *name, char *dev, size_t size)
{
	char path[300], found[64];
	struct dirent *entry;
	bool hit = false;
	DIR *dir;

	dir = opendir(PORTS);
	while (!hit && dir && (entry = readdir(dir))) {
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, found, sizeof(found) - 1);
		close(fd);
		if (len <= 0)
			continue;
		found[len] = '\0';
		found[strcspn(found, "\n")] = '\0';
		hit = !strcmp(found, name) &&
		      snprintf(dev, size, "/dev/%s", entry->d_name) < (int)size;
	}
	if (dir)
		closedir(dir);
	return hit;
}

static int open_port(const char *name)
{
	char dev[64];
	int fd = -1;

	for (int ms = 0; ms < DEVICE_WAIT_MS; ms += TICK_MS) {
		if (find_port(name, dev, sizeof(dev))) {
			fd = open_soon(dev, O_WRONLY | O_CLOEXEC);
			break;
		}
		tick();
	}
	if (fd < 0)
		die(name);
	return fd;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = write(fd, text, strlen(text));
	close(fd);
	return len < 0 ? -1 : 0;
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		return;
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr))
		die("loopback interface");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("loopback interface");
	close(fd);
}

/* A terminal of its own: job control and ^C work as on any console. */
static int open_terminal(const char *size)
{
	struct winsize ws = {};
	int fd = open_soon("/dev/hvc0", O_RDWR);

	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
		return -1;
	if (sscanf(size, "%hux%hu", &ws.ws_row, &ws.ws_col) == 2)
		ioctl(fd, TIOCSWINSZ, &ws);
	return fd;
}

/* Inherited signal masks would make the command deaf. */
static noreturn void run_command(int output, const sigset_t *mask)
{
	const char *size = getenv("TTY");
	int input;

	sigprocmask(SIG_SETMASK, mask, NULL);
	setsid();
	input = size ? open_terminal(size) : open("/dev/null", O_RDONLY);
	if (size)
		output = input;
	if (input < 0 || dup2(input, STDIN_FILENO) < 0 ||
	    dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		die("open the command's input and output");
	if (input > STDERR_FILENO)
		close(input);
	setenv("PATH", "/usr/bin:/bin:/sbin:/usr/sbin", 1);
	setenv("HOME", "/tmp", 1);
	if (chdir("/tmp"))
		die("/tmp");
	execl("/bin/sh", "sh", "/vm/command", NULL);
	die("/bin/sh");
}

/* The port can be short of memory when the machine is: what was read stays. */
static void pass_on(int from, int port)
{
	static char buf[16384];
	ssize_t len, n;

	while ((len = read(from, buf, sizeof(buf))) > 0) {
		for (ssize_t done = 0; done < len; done += n) {
			n = write(port, buf + done, len - done);
			if (n < 0) {
				n = 0;
				tick();
			}
		}
	}
}

/* True when the command has ended; orphans are buried on the way. */
static bool reap(pid_t command, int *status)
{
	bool ended = false;
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == command) {
			*status = st;
			ended = true;
		}
	}
	return ended;
}

static int wait_for(pid_t command, int sigfd, int from, int port)
{
	struct pollfd fds[] = {
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = from, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int status = 0;
	bool ended;

	do {
		poll(fds, ARRAY_SIZE(fds), -1);
		while (read(sigfd, &info, sizeof(info)) > 0)
			;
		ended = reap(command, &status);
		pass_on(from, port);
	} while (!ended);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * The kernel says on the console that there are any; whose they are is put after it.
 * The first scan only learns what changes.
 */
static void find_leaks(void)
{
	char line[256];
	FILE *f;

	if (!getenv("LEAKS") || write_file(LEAKS, "scan") || write_file(LEAKS, "scan"))
		return;
	f = fopen(LEAKS, "re");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

/* The kernel's files have no size and no end but the reader's: they are to be read. */
static void save_coverage(void)
{
	if (!getenv("COVERAGE"))
		return;
	if (system("cd /sys/kernel/debug/gcov || exit 0; to=/mnt/$COVERAGE\n"
		   "find . -name '*.gcda' | while read -r file; do\n"
		   "	mkdir -p \"$to/${file%/*}\" && cat \"$file\" >\"$to/$file\" || exit\n"
		   "done"))
		die("save the coverage");
}

int main(void)
{
	sigset_t chld, before;
	int port, sigfd, status, ends[2];
	pid_t command;

	mount_all();
	status_fd = open_port("status");
	port = open_port("output");
	loopback_up();
	if (write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory") &&
	    !booted_with("cgroup_disable=memory"))
		die("enable the memory controller");
	write_file(CGROUP_ROOT "/cgroup.subtree_control", "+pids");

	/*
	 * A pipe and not the port itself: a port can be opened only once, so
	 * nobody could write to /dev/stderr.
	 */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &before);
	sigfd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sigfd < 0 || pipe2(ends, O_CLOEXEC) ||
	    fcntl(ends[0], F_SETFL, O_NONBLOCK))
		die("pipe to the command");

	dprintf(status_fd, "boot\n");
	command = fork();
	if (command < 0)
		die("fork");
	if (!command)
		run_command(ends[1], &before);
	status = wait_for(command, sigfd, ends[0], port);
	find_leaks();
	save_coverage();
	dprintf(status_fd, "exit %d\n", status);
	leave();
}
