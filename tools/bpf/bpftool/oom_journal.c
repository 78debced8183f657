// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A decision as an entry of systemd's journal, with fields to look for, by the journal's
 * native protocol: a datagram of lines "FIELD=value".
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "main.h"
#include "oom.h"
#include "oom_record.h"

#define SOCKET		"/run/systemd/journal/socket"
#define WARNING		4

/* Names have nothing in them by now that ends a line. */
static void write_fields(FILE *out, const struct oom_decision *d)
{
	char *path = oom_decision_path(d, d->depth), *scope = oom_decision_path(d, d->scope_depth);
	const char *reason = oom_decision_reason(d);
	char when[64], comm[OOM_COMM_LEN + 1];
	__u32 i;

	if (path)
		oom_mask_name(path);
	if (scope)
		oom_mask_name(scope);
	snprintf(comm, sizeof(comm), "%.*s", OOM_COMM_LEN, d->comm);
	oom_mask_name(comm);
	oom_decision_time(d, when, sizeof(when));

	fprintf(out, "PRIORITY=%d\nSYSLOG_IDENTIFIER=oom-policy\n", WARNING);
	if (d->killed)
		fprintf(out, "MESSAGE=OOM in %s: killed %s (pid %d) of %s, %llu kB came back%s%s\n",
			scope ?: "?", comm, d->pid, path ?: "?",
			oom_decision_came_back(d) / 1024, reason ? ", fallback: " : "",
			reason ?: "");
	else
		fprintf(out, "MESSAGE=OOM in %s: nobody killed%s%s\n", scope ?: "?",
			reason ? ", fallback: " : "", reason ?: "");
	fprintf(out, "OOM_POLICY_SEQ=%llu\nOOM_POLICY_TIME=%s\n", d->seq, when);
	fprintf(out, "OOM_POLICY_SCOPE=%s\nOOM_POLICY_SCOPE_ID=%llu\n", scope ?: "?", d->scope_id);
	if (d->killed)
		fprintf(out, "OOM_POLICY_VICTIM=%s\nOOM_POLICY_VICTIM_ID=%llu\n"
			"OOM_POLICY_PID=%d\nOOM_POLICY_COMM=%s\nOOM_POLICY_KILLED=%u\n"
			"OOM_POLICY_HELD_BYTES=%llu\nOOM_POLICY_CAME_BACK_BYTES=%llu\n",
			path ?: "?", d->victim_id, d->pid, comm, d->killed, d->held,
			oom_decision_came_back(d));
	fprintf(out, "OOM_POLICY_COMPARED=%u\nOOM_POLICY_DURATION_NS=%llu\n", d->compared,
		d->took_ns);
	if (reason)
		fprintf(out, "OOM_POLICY_FALLBACK=%s\n", reason);
	for (i = 0; i < d->nr_levels && i < OOM_RECORDED_LEVELS; i++) {
		char winner[OOM_RECORDED_NAME + 1], runner[OOM_RECORDED_NAME + 1];

		snprintf(winner, sizeof(winner), "%.*s", OOM_RECORDED_NAME, d->levels[i].winner);
		snprintf(runner, sizeof(runner), "%.*s", OOM_RECORDED_NAME, d->levels[i].runner);
		oom_mask_name(winner);
		oom_mask_name(runner);
		fprintf(out, "OOM_POLICY_LEVEL=%u: %s rather than %s\n", d->levels[i].level, winner,
			*runner ? runner : "nobody");
	}
	free(path);
	free(scope);
}

static int send_text(const char *text, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	ssize_t n;
	int fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		oom_err("cannot make a socket: %s", strerror(errno));
		return -1;
	}
	n = sendto(fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&addr, sizeof(addr));
	if (n < 0)
		oom_err("cannot write to the journal at " SOCKET ": %s", strerror(errno));
	close(fd);
	return n < 0 ? -1 : 0;
}

/**
 * oom_journal_send() - append a decision to the journal
 * @d: the decision
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_journal_send(const struct oom_decision *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int err;

	out = open_memstream(&text, &len);
	if (!out) {
		oom_err("mem alloc failed");
		return -1;
	}
	write_fields(out, d);
	err = fclose(out) ? -1 : send_text(text, len);
	free(text);
	return err;
}
