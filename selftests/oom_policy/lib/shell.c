// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running commands from a test; shell.h says what each function is for.
 */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "shell.h"

#define NOBODY	65534

char shell_output[OUTPUT_SIZE];

static void run_shell(const char *command, int output, bool nobody)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		_exit(126);
	if (nobody && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
		       setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static int collect(const char *command, bool nobody)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_shell(command, fds[1], nobody);
	close(fds[1]);
	while (len < OUTPUT_SIZE - 1 &&
	       (n = read(fds[0], shell_output + len, OUTPUT_SIZE - 1 - len)) > 0)
		len += n;
	close(fds[0]);
	if (len && shell_output[len - 1] == '\n')
		len--;
	shell_output[len] = '\0';
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int vshell(const char *fmt, va_list args)
{
	char command[4096];

	vsnprintf(command, sizeof(command), fmt, args);
	return collect(command, false);
}

int shell(const char *fmt, ...)
{
	va_list args;
	int status;

	va_start(args, fmt);
	status = vshell(fmt, args);
	va_end(args);
	return status;
}

int shell_as_nobody(const char *command)
{
	return collect(command, true);
}

pid_t shell_start(const char *command, const char *output)
{
	const int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid_t pid;

	if (fd < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_shell(command, fd, false);
	close(fd);
	return pid;
}

bool file_has(const char *path, const char *text)
{
	char buf[OUTPUT_SIZE];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[len < 0 ? 0 : len] = '\0';
	return strstr(buf, text);
}
