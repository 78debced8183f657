// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all of these programs share; helpers.h says what each function is for.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "helpers.h"

time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void nap(void)
{
	const struct timespec ts = { .tv_nsec = 1000 * 1000 };

	nanosleep(&ts, NULL);
}

int write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd >= 0) {
		len = write(fd, text, strlen(text));
		close(fd);
	}
	if (len < 0) {
		diag("writing '%s' to %s: %m", text, path);
		return -1;
	}
	return 0;
}

int run_on(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(pid, sizeof(set), &set);
}

int set_oom_score_adj(pid_t pid, int adj)
{
	char path[64];
	int fd, len;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : dprintf(fd, "%d", adj);
	if (len < 0)
		diag("writing %d to %s: %m", adj, path);
	if (fd >= 0)
		close(fd);
	return len < 0 ? -1 : 0;
}

int protect_self(void)
{
	return write_file("/proc/self/oom_score_adj", "-1000");
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[128];
	pid_t parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	if (f)
		fclose(f);
	return parent;
}

int protect_ancestors(void)
{
	pid_t pid;

	for (pid = getpid(); pid > 1; pid = parent_of(pid))
		if (set_oom_score_adj(pid, -1000))
			return -1;
	return 0;
}

int keep_capabilities(__u64 caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	int i;

	for (i = 0; i < 2; i++) {
		data[i].effective = caps >> (32 * i);
		data[i].permitted = caps >> (32 * i);
	}
	return syscall(__NR_capset, &header, data);
}

pid_t child_start(int (*main)(const void *arg, int ready_fd), const void *arg,
		  const char *who)
{
	struct pollfd ready = { .events = POLLIN };
	char byte = BUSY;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(main(arg, fds[1]));
	}
	close(fds[1]);
	ready.fd = fds[0];
	while (pid > 0 && byte == BUSY && poll(&ready, 1, DEADLINE_S * 1000) == 1 &&
	       read(fds[0], &byte, 1) == 1)
		;
	if (pid > 0 && byte == BUSY) {
		diag("%s does not get ready", who);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(fds[0]);
	return pid;
}

char process_state(pid_t pid)
{
	char path[32], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(f);
	}
	return state;
}

bool has_ended(pid_t pid)
{
	siginfo_t info = {};

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

int wait_exit(pid_t pid)
{
	int status;

	if (!wait_until(waitpid(pid, &status, WNOHANG) == pid)) {
		diag("process %d does not end", pid);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool by_module(void)
{
	return !access(BPF_OOM_DEVICE, F_OK);
}
