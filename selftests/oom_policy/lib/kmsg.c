// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading an OOM report out of the kernel's log; kmsg.h says what each function
 * is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"
#include "kmsg.h"

int kmsg_open(void)
{
	const int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0) {
		diag("reading /dev/kmsg: %m");
		return -1;
	}
	return fd;
}

/* The log writes bytes that are not fit for it, and backslashes, as \xNN. */
static void unescape(char *text)
{
	unsigned int byte;
	char *to = text;

	for (; *text; to++) {
		if (sscanf(text, "\\x%2x", &byte) == 1) {
			*to = byte;
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

char *kmsg_line(int fd, char *record, size_t size)
{
	ssize_t len;
	char *text;

	do {
		len = read(fd, record, size - 1);
	} while (len < 0 && errno == EPIPE);	/* overrun: the next one is there */
	if (len <= 0)
		return NULL;
	record[len] = '\0';
	text = strchr(record, ';');
	if (!text)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	unescape(text + 1);
	return text + 1;
}

static char *next_record(int fd, char *record, size_t size)
{
	const time_t end = now_s() + DEADLINE_S;
	char *text;

	for (;;) {
		text = kmsg_line(fd, record, size);
		if (text || now_s() >= end)
			return text;
		nap();
	}
}

int kmsg_read_report(int fd, char *text, size_t size)
{
	char record[8192], *line = NULL;
	size_t used = 0;
	int lines = 0;

	do {
		line = next_record(fd, record, sizeof(record));
		if (!line) {
			diag("the OOM report has no end");
			return -1;
		}
		if (!lines && !strstr(line, "invoked oom-killer"))
			continue;
		lines++;
		if (used < size)
			used += snprintf(text + used, size - used, "%s\n", line);
	} while (!lines || !strstr(line, "Killed process"));
	return lines;
}

int kmsg_count(int fd, const char *text)
{
	char record[8192], *line;
	int lines = 0;

	while ((line = kmsg_line(fd, record, sizeof(record))))
		lines += !!strstr(line, text);
	return lines;
}
