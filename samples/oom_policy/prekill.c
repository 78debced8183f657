// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks before an early kill: for a heap dump, a word to a load balancer, or a snapshot.
 *
 * A hook is a program, which is run with the path of the cgroup as its argument, or a
 * socket in a directory, to which io.systemd.oom.Prekill.Notify is said by varlink:
 * services that wait for systemd-oomd in /run/systemd/oomd.prekill.hook understand that.
 * All of them begin at once and have one time limit together: memory is short meanwhile.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prekill.h"

#define METHOD		"io.systemd.oom.Prekill.Notify"
#define MAX_REQUEST	(6 * 4096 + 128)

/* What is waited for: a pidfd, or a socket. */
static struct pollfd waits[MAX_PREKILL];
static pid_t pids[MAX_PREKILL];		/* 0: it is a socket */
static int nr_waits;

static void add_wait(int fd, pid_t pid)
{
	waits[nr_waits] = (struct pollfd) { .fd = fd, .events = POLLIN };
	pids[nr_waits++] = pid;
}

int prekill_check(const char *file)
{
	struct stat st;

	if (stat(file, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return 0;
	return access(file, X_OK) ? errno : 0;
}

/* We are out of the OOM killer's reach, and it is not. */
static void make_killable(pid_t pid)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "we");
	if (!f)
		return;
	fputs("0", f);
	fclose(f);
}

/* Our signals are blocked, and theirs are not. */
static void run_program(const char *file, const char *path)
{
	char * const argv[] = { (char *)file, (char *)path, NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int fd;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	errno = posix_spawn(&pid, file, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (errno) {
		printf("hook %s cannot be run: %s\n", file, strerror(errno));
		return;
	}
	make_killable(pid);
	fd = syscall(SYS_pidfd_open, pid, 0);
	add_wait(fd, pid);
}

/* A request ends with a byte of zero. */
static size_t make_request(char *text, size_t size, const char *path)
{
	const unsigned char *c = (const unsigned char *)path;
	size_t len;

	len = snprintf(text, size, "{\"method\":\"" METHOD "\",\"parameters\":{\"cgroup\":\"");
	for (; *c && len + 16 < size; c++) {
		if (*c < ' ' || *c == '"' || *c == '\\')
			len += snprintf(text + len, size - len, "\\u%04x", *c);
		else
			text[len++] = *c;
	}
	return len + snprintf(text + len, size - len, "\"}}") + 1;
}

/* One that nobody listens on is a remnant. */
static void tell_socket(const char *dir, const char *name, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char request[MAX_REQUEST];
	size_t len;
	int fd;

	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", dir, name) >=
	    (int)sizeof(to.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	len = make_request(request, sizeof(request), path);
	if (connect(fd, (void *)&to, sizeof(to)) ||
	    send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
		close(fd);
		return;
	}
	add_wait(fd, 0);
}

static void tell_sockets(const char *dir, const char *path)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && nr_waits < MAX_PREKILL && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			tell_socket(dir, entry->d_name, path);
	if (d)
		closedir(d);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* The whole answer, whatever it is, ends with a byte of zero; so does a hook that goes. */
static int has_answered(int i)
{
	char text[256];
	ssize_t len;

	if (pids[i])
		return waitpid(pids[i], NULL, WNOHANG) == pids[i];
	do
		len = read(waits[i].fd, text, sizeof(text));
	while (len > 0 && !memchr(text, '\0', len));
	return len >= 0 || errno != EAGAIN;
}

static void end_wait(int i)
{
	if (pids[i]) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	close(waits[i].fd);
	waits[i].fd = -1;
}

int prekill_run(const char * const *files, int nr, const char *path, int timeout_ms)
{
	const long long end = now_ms() + timeout_ms;
	int i, left;
	long long ms;

	nr_waits = 0;
	for (i = 0; i < nr && nr_waits < MAX_PREKILL; i++) {
		struct stat st;

		if (!stat(files[i], &st) && S_ISDIR(st.st_mode))
			tell_sockets(files[i], path);
		else
			run_program(files[i], path);
	}

	for (left = nr_waits; left; ) {
		ms = end - now_ms();
		if (ms < 0 || poll(waits, nr_waits, ms) <= 0)
			break;
		for (i = 0; i < nr_waits; i++) {
			if (waits[i].fd < 0 || !waits[i].revents || !has_answered(i))
				continue;
			pids[i] = 0;
			end_wait(i);
			left--;
		}
	}
	for (i = 0; i < nr_waits; i++)
		if (waits[i].fd >= 0)
			end_wait(i);
	return left;
}
