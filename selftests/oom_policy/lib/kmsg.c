// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading an OOM report out of the kernel's log; kmsg.h says what each function
 * is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "helpers.h"
#include "kmsg.h"

/* How many reports there are at most, and in what time: those of oom_kill_process(). */
#define BURST		10
#define INTERVAL_S	5

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

/* In seconds of the log's clock, which began a little before ours. */
static long logged_at(const char *record)
{
	unsigned long long us;

	return sscanf(record, "%*u,%*u,%llu", &us) == 1 ? us / 1000000 : 0;
}

int kmsg_open(void)
{
	const int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	long reported[BURST - NR_REPORTS + 1] = {};
	char record[8192], *line;
	size_t n = 0;

	if (fd < 0) {
		diag("reading /dev/kmsg: %m");
		return -1;
	}
	while ((line = kmsg_line(fd, record, sizeof(record))))
		if (strstr(line, "invoked oom-killer"))
			reported[n++ % ARRAY_SIZE(reported)] = logged_at(record);
	/* The oldest of them is where the next one would go. */
	if (n >= ARRAY_SIZE(reported) &&
	    !wait_until(now_s() > reported[n % ARRAY_SIZE(reported)] + INTERVAL_S)) {
		diag("the clock stands still");
		return -1;
	}
	return fd;
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

int kmsg_level(int fd, const char *text)
{
	char record[8192], *line;

	do {
		line = next_record(fd, record, sizeof(record));
	} while (line && !strstr(line, text));
	return line ? atoi(record) & 7 : -1;
}
