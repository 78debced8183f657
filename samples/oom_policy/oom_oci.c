// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hook of an OCI runtime: gives a container the OOM priority that an annotation names.
 *
 * The runtime runs it as createRuntime, with the container's state on standard input:
 * the first process is there, and in its cgroup, but waits. So the priority is there
 * before the first instruction of the container. oci/oom-priority.json tells podman and
 * CRI-O when to run it:
 *
 *	podman run --annotation io.bpf-oom-policy.priority=-100 ...
 *
 * It is that of the container's own cgroup. With none (podman --cgroups=disabled) there is
 * no priority of its own, either. A cgroup above that others are in as well, as with
 * podman's supervisor (--cgroups=split, Quadlet), does not take it over: whoever is in there
 * is ordered by it, and the unit's own priority is up to the unit.
 *
 * Whoever writes annotations chooses the priority: --max keeps that in bounds where it
 * is not the operator. What is wrong is said in one sentence, and with an exit status of
 * 1 the runtime does not start the container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define PRIORITY_FILE	"memory.oom.priority"

/* One sentence on stderr, and -1. */
#define fail(fmt, ...) ({						\
	fprintf(stderr, "oom_oci: " fmt "\n", ##__VA_ARGS__);		\
	-1;								\
})

static const char *annotation = "io.bpf-oom-policy.priority";
static long long max_priority = LLONG_MAX;
static bool has_max, is_optional;

static void usage(FILE *to)
{
	fputs("Usage: oom_oci [--annotation NAME] [--max PRIORITY] [--optional]\n"
	      "\n"
	      "Hook of an OCI runtime, of the stage createRuntime: reads the state of a container\n"
	      "and gives its cgroup the OOM priority that an annotation of it names, a number or\n"
	      "max. Without that annotation it does nothing, and to a cgroup that the runtime is\n"
	      "in as well it does not write.\n"
	      "\n"
	      "  --annotation NAME  the annotation (default: io.bpf-oom-policy.priority)\n"
	      "  --max PRIORITY     take no higher one, and not max\n"
	      "  --optional         where the kernel has no priorities, say so and succeed\n"
	      "  --help             show this text\n", to);
}

static int parse_priority(const char *text, long long *priority)
{
	char *end;

	errno = 0;
	*priority = strtoll(text, &end, 10);
	return end == text || *end || errno || !strchr("-0123456789", *text) ? -1 : 0;
}

static int check_priority(const char *text)
{
	long long priority;

	if (!strcmp(text, "max")) {
		if (has_max)
			return fail("the annotation %s may be %lld at most, not max", annotation,
				    max_priority);
		return 0;
	}
	if (parse_priority(text, &priority))
		return fail("the annotation %s is max or a number from %lld to %lld, not '%s'",
			    annotation, LLONG_MIN, LLONG_MAX, text);
	if (priority > max_priority)
		return fail("the annotation %s may be %lld at most, not %lld", annotation,
			    max_priority, priority);
	return 0;
}

/* The runtime may leave annotations to the bundle. */
static const char *find_annotation(json_t *state, const char *bundle, json_t **config)
{
	json_t *found = json_object_get(json_object_get(state, "annotations"), annotation);
	char path[PATH_MAX];

	if (!found && bundle) {
		snprintf(path, sizeof(path), "%s/config.json", bundle);
		*config = json_load_file(path, 0, NULL);
		found = json_object_get(json_object_get(*config, "annotations"), annotation);
	}
	return json_string_value(found);
}

/* Where the process is in cgroup v2. */
static int find_cgroup(int pid, char *path, size_t size)
{
	char file[64], *line = NULL;
	bool found = false;
	size_t room = 0;
	FILE *f;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	f = fopen(file, "re");
	if (!f)
		return fail("cannot read %s: %s", file, strerror(errno));
	while (!found && getline(&line, &room, f) > 0) {
		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = '\0';
		found = snprintf(path, size, "%s", line + 3) < (int)size;
	}
	free(line);
	fclose(f);
	if (!found)
		return fail("process %d is in no cgroup of version 2", pid);
	return 0;
}

/* The runtime is in none of its containers' cgroups. */
static int check_own_cgroup(int pid, const char *path)
{
	const size_t len = strlen(path);
	char ours[PATH_MAX];

	if (!strcmp(path, "/") || strstr(path, "/../"))
		return fail("process %d is in no cgroup of its own, but in %s", pid, path);
	if (find_cgroup(getpid(), ours, sizeof(ours)))
		return -1;
	if (strncmp(ours, path, len) || (ours[len] && ours[len] != '/'))
		return 0;
	return fail("process %d is in no cgroup of its own: its runtime is in %s, too", pid, path);
}

/*
 * Below the cgroup of the container there may be one without the memory controller, as
 * crun's "container": the one above it is meant.
 */
static int open_priority(char *path)
{
	char file[2 * PATH_MAX], *slash;
	int fd;

	snprintf(file, sizeof(file), CGROUP_ROOT "%s/" PRIORITY_FILE, path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	slash = strrchr(path, '/');
	if (fd >= 0 || errno != ENOENT || slash == path || strcmp(slash, "/container"))
		return fd;
	*slash = '\0';
	snprintf(file, sizeof(file), CGROUP_ROOT "%s/" PRIORITY_FILE, path);
	return open(file, O_WRONLY | O_CLOEXEC);
}

static bool has_priorities(void)
{
	return !access("/proc/sys/vm/oom_policy_enabled", F_OK);
}

static int set_priority(int pid, const char *text)
{
	char path[PATH_MAX];
	int fd, err = 0;

	if (is_optional && !has_priorities()) {
		fail("this kernel has no OOM priorities: %s is not heeded", annotation);
		return 0;
	}
	if (find_cgroup(pid, path, sizeof(path)) || check_own_cgroup(pid, path))
		return -1;
	fd = open_priority(path);
	if (fd < 0)
		return fail("cannot open " PRIORITY_FILE " of %s: %s", path,
			    errno != ENOENT ? strerror(errno) :
			    has_priorities() ? "it has no memory controller" :
			    "this kernel has no OOM priorities");
	if (write(fd, text, strlen(text)) < 0)
		err = fail("cannot write " PRIORITY_FILE " of %s: %s", path, strerror(errno));
	close(fd);
	return err;
}

static int hook(void)
{
	json_t *state, *config = NULL;
	const char *bundle = NULL, *text;
	json_error_t error;
	int pid = 0, err = 0;

	state = json_loadf(stdin, 0, &error);
	if (!state)
		return fail("the state of the container is no JSON: line %d: %s", error.line,
			    error.text);
	if (json_unpack_ex(state, &error, 0, "{s?s,s?i}", "bundle", &bundle, "pid", &pid)) {
		err = fail("this is no state of a container: %s", error.text);
		goto out;
	}
	text = find_annotation(state, bundle, &config);
	if (!text)
		goto out;
	if (pid <= 0)
		err = fail("the state names no process: this is for the stage createRuntime");
	else
		err = check_priority(text) ?: set_priority(pid, text);
out:
	json_decref(config);
	json_decref(state);
	return err;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "annotation", required_argument, NULL, 'a' },
		{ "max", required_argument, NULL, 'm' },
		{ "optional", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			annotation = optarg;
			break;
		case 'm':
			has_max = true;
			if (parse_priority(optarg, &max_priority)) {
				fail("--max is a number, not '%s'", optarg);
				return 1;
			}
			break;
		case 'o':
			is_optional = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			fputs("Try 'oom_oci --help'.\n", stderr);
			return 1;
		}
	}
	if (optind < argc) {
		fail("what is '%s'? There are options only", argv[optind]);
		return 1;
	}
	return !!hook();
}
