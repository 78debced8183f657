// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loader of reclaim_guard: checks everything it was given, loads and arms the guard,
 * attaches it and pins its links and maps, so that nothing needs to stay running.
 * Whatever fails, nothing is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "reclaim_guard.h"
#include "reclaim_guard.skel.h"
#include "tool.h"

#define MAX_MS		(3600 * 1000)
#define DEFAULT_PIN	"/sys/fs/bpf/reclaim_guard"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const char *cgroup = "/", *pin_dir = DEFAULT_PIN;
static struct guard_rule rule = { .stall_ms = 150, .window_ms = 1000, .pause_ms = 5000 };

static void usage(FILE *to)
{
	fputs("Usage: reclaim_guard [--cgroup PATH] [--stall MS] [--window MS] [--pause MS]\n"
	      "                     [--pin DIR]\n"
	      "\n"
	      "Have the kernel kill a victim by itself, chosen by the OOM policies that are\n"
	      "attached, when tasks have spent too much time in reclaim.\n"
	      "\n"
	      "  --cgroup PATH  watch the tasks of this cgroup and kill below it (default: the\n"
	      "                 root, which is the whole machine)\n"
	      "  --stall MS     so much reclaim is too much (default: 150) ...\n"
	      "  --window MS    ... in this time (default: 1000)\n"
	      "  --pause MS     after a kill, wait this long (default: 5000)\n"
	      "  --pin DIR      keep the guard in this directory of bpffs (default:\n"
	      "                 " DEFAULT_PIN ")\n"
	      "  --help         show this text\n"
	      "\n"
	      "PATH is relative to the root of cgroup v2 (prod/db) or absolute below it\n"
	      "(/sys/fs/cgroup/prod/db).\n"
	      "\n"
	      "The guard stays when this program ends. Remove it:\n"
	      "  rm -r DIR\n"
	      "What it has done so far:\n"
	      "  bpftool map dump pinned DIR/counts\n", to);
}

static int parse_option(int c, const char *text)
{
	switch (c) {
	case 'c':
		cgroup = text;
		return 0;
	case 'd':
		pin_dir = text;
		return 0;
	case 's':
		return parse_ms("stall", text, 1, MAX_MS, &rule.stall_ms);
	case 'w':
		return parse_ms("window", text, 1, MAX_MS, &rule.window_ms);
	case 'p':
		return parse_ms("pause", text, 1, MAX_MS, &rule.pause_ms);
	default:
		fputs("Try 'reclaim_guard --help'.\n", stderr);
		return -1;
	}
}

static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "stall", required_argument, NULL, 's' },
		{ "window", required_argument, NULL, 'w' },
		{ "pause", required_argument, NULL, 'p' },
		{ "pin", required_argument, NULL, 'd' },
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
	if (rule.stall_ms > rule.window_ms)
		return fail("a stall of %u ms is never reached in a window of %u ms",
			    rule.stall_ms, rule.window_ms);
	return 0;
}

static int load_guard(struct reclaim_guard *skel)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	skel->data->guard_rule = rule;
	err = reclaim_guard__load(skel);
	if (err == -EPERM || err == -EACCES)
		return fail("no permission to load the guard: it takes CAP_SYS_ADMIN");
	if (err)
		return fail("the kernel has no OOM policies, or refuses the guard: %s",
			    strerror(-err));
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.arm), &opts) ?: (int)opts.retval;
	if (err)
		return fail("cannot make the work item: %s", strerror(-err));
	err = reclaim_guard__attach(skel);
	if (err)
		return fail("cannot attach to the tracepoints of reclaim: %s", strerror(-err));
	return 0;
}

/* Without a pin of its map the work item would go with this program. */
static int pin_guard(struct reclaim_guard *skel)
{
	const struct {
		const char *name;
		int fd;
	} pins[] = {
		{ "work", bpf_map__fd(skel->maps.guard_work) },
		{ "counts", bpf_map__fd(skel->maps.bss) },
		{ "direct_begin", bpf_link__fd(skel->links.direct_begin) },
		{ "direct_end", bpf_link__fd(skel->links.direct_end) },
		{ "memcg_begin", bpf_link__fd(skel->links.memcg_begin) },
		{ "memcg_end", bpf_link__fd(skel->links.memcg_end) },
		{ "scan", bpf_link__fd(skel->links.scan) },
	};
	char file[PATH_MAX];
	size_t i, n;

	for (n = 0; n < ARRAY_SIZE(pins); n++) {
		snprintf(file, sizeof(file), "%s/%s", pin_dir, pins[n].name);
		if (bpf_obj_pin(pins[n].fd, file))
			break;
	}
	if (n == ARRAY_SIZE(pins))
		return 0;
	fail("cannot pin %s: %s", file, strerror(errno));
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", pin_dir, pins[i].name);
		unlink(file);
	}
	return -1;
}

static int make_dir(void)
{
	struct statfs fs;

	if (strlen(pin_dir) + sizeof("/direct_begin") > PATH_MAX)
		return fail("pin directory's name is too long: %s", pin_dir);
	if (mkdir(pin_dir, 0700)) {
		if (errno == EEXIST)
			return fail("%s exists already: remove it, or choose another --pin",
				    pin_dir);
		return fail("cannot make pin directory %s (is bpffs mounted there?): %s", pin_dir,
			    strerror(errno));
	}
	if (!statfs(pin_dir, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	rmdir(pin_dir);
	return fail("pin directory %s is not on bpffs; mount it: mount -t bpf none /sys/fs/bpf",
		    pin_dir);
}

static int start(void)
{
	struct reclaim_guard *skel;
	struct scope scope;
	int err;

	if (find_scope(cgroup, &scope) || make_dir())
		return -1;
	rule.scope_id = scope.id;
	rule.scope_level = scope.level;
	skel = reclaim_guard__open();
	if (skel)
		err = load_guard(skel) ?: pin_guard(skel);
	else
		err = fail("cannot open the guard: %s", strerror(errno));
	reclaim_guard__destroy(skel);
	if (err)
		rmdir(pin_dir);
	return err;
}

int main(int argc, char **argv)
{
	libbpf_set_print(NULL);
	return parse_options(argc, argv) || start();
}
