// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loader of the policy rehearsal: attaches it and prints a line for each event
 * until it is interrupted. The policy goes away with it. Priorities are set with
 * "bpftool oom priority" meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup_path.h"
#include "rehearsal.h"
#include "rehearsal.skel.h"

static int print_record(void *unused, void *data, size_t size)
{
	const struct rehearsal_event *record = data;
	const struct rehearsal_level *level;
	char path[4096];
	__u32 i;

	(void)unused;
	if (size < sizeof(*record))
		return 0;
	printf("%llu.%03llu scope %s:", record->ns / 1000000000, record->ns / 1000000 % 1000,
	       path_of(record->scope_id, path, sizeof(path)));
	for (i = 0; i < record->nr_levels && i < REHEARSAL_LEVELS; i++) {
		level = &record->level[i];
		printf(" %s (priority %lld, %lluMB, of %u)",
		       path_of(level->winner_id, path, sizeof(path)), level->priority,
		       level->usage >> 20, level->eligible);
	}
	putchar('\n');
	fflush(stdout);
	return 0;
}

static struct bpf_link *attach_policy(struct rehearsal *skel, const char *path)
{
	LIBBPF_OPTS(bpf_oom_policy_opts, opts, .flags = BPF_F_OOM_POLICY_ROOT_TASKS);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bpf_link *link;

	if (fd < 0) {
		fprintf(stderr, "rehearsal: cannot open cgroup %s: %s\n", path, strerror(errno));
		return NULL;
	}
	link = bpf_program__attach_oom_policy(skel->progs.rehearsal, fd, &opts);
	if (!link)
		fprintf(stderr, "rehearsal: cgroup %s does not take a policy: %s\n", path,
			errno == EBUSY ? "it has a policy already" : strerror(errno));
	close(fd);
	return link;
}

/* Until a signal arrives. */
static int print_records(struct ring_buffer *ring, int signal_fd)
{
	struct pollfd fds[] = {
		{ .fd = ring_buffer__epoll_fd(ring), .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};

	puts("rehearsing OOM policies; nobody is killed on our account");
	fflush(stdout);
	do {
		if (poll(fds, 2, -1) < 0 || ring_buffer__consume(ring) < 0) {
			perror("rehearsal: cannot read the records");
			return 1;
		}
	} while (!fds[1].revents);
	return 0;
}

static int watch(struct rehearsal *skel, const char *path, int signal_fd)
{
	struct bpf_link *link = attach_policy(skel, path);
	struct ring_buffer *ring;
	int status = 1;

	if (!link)
		return 1;
	ring = ring_buffer__new(bpf_map__fd(skel->maps.oom_rehearsal), print_record, NULL, NULL);
	if (ring)
		status = print_records(ring, signal_fd);
	ring_buffer__free(ring);
	bpf_link__destroy(link);
	return status;
}

static void usage(FILE *to)
{
	fputs("Usage: rehearsal [CGROUP]\n\n"
	      "Tells whom priorities would kill, and leaves the kill to the kernel. CGROUP is a\n"
	      "directory (default: " CGROUP_ROOT ", the whole machine). Ends with ^C.\n", to);
}

int main(int argc, char **argv)
{
	struct rehearsal *skel;
	sigset_t signals;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		usage(stderr);
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	libbpf_set_print(NULL);
	skel = rehearsal__open_and_load();
	if (!skel) {
		fprintf(stderr, "rehearsal: cannot load the policy: %s\n", strerror(errno));
		return 1;
	}
	status = watch(skel, argc == 2 ? argv[1] : CGROUP_ROOT,
		       signalfd(-1, &signals, SFD_CLOEXEC));
	rehearsal__destroy(skel);
	return status;
}
