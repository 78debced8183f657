// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loader of the policy tenant_prio: checks everything it was given, loads the
 * policy, fills in the priorities, attaches it and pins link and map, so that
 * nothing needs to stay running. Whatever fails, nothing is left behind, and the
 * policy never rules without its priorities.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tenant_prio.skel.h"

#define DEFAULT_PIN	"/sys/fs/bpf/oom_policy"
#define MAX_GRACE_MS	60000

/* One sentence on stderr, and -1. */
#define fail(fmt, ...) ({						\
	fprintf(stderr, "tenant_prio: " fmt "\n", ##__VA_ARGS__);	\
	-1;								\
})

struct tenant {
	__u64 cgroup_id;
	__s64 priority;
};

static char cgroup_root[PATH_MAX];
static __u32 grace_ms;

static void usage(FILE *to)
{
	fputs("Usage: tenant_prio [--cgroup PATH] [--pin DIR] [--floor SHARE] [--grace MS]\n"
	      "                   [PATH=PRIORITY ...]\n"
	      "\n"
	      "Attach an OOM policy under which the tenant with the lowest priority among its\n"
	      "siblings dies first, and among equals the one that uses most memory.\n"
	      "\n"
	      "  PATH=PRIORITY  priority of a cgroup: a signed 64-bit number, higher is safer;\n"
	      "                 a cgroup that has none given has 0\n"
	      "  --cgroup PATH  govern what is below this cgroup (default: the root, which is\n"
	      "                 the whole machine)\n"
	      "  --pin DIR      keep the policy in this directory of bpffs: DIR/link and\n"
	      "                 DIR/oom_priority (default: " DEFAULT_PIN ")\n"
	      "  --floor SHARE  pass over a tenant that holds less while a sibling holds more: a\n"
	      "                 percentage of the machine's memory and swap (default: 0)\n"
	      "  --grace MS     after a kill, spare the others until the victim has given its\n"
	      "                 memory back, for 60000 ms at most (default: 0)\n"
	      "  --help         show this text\n"
	      "\n"
	      "PATH is relative to the root of cgroup v2 (prod/db) or absolute below it\n"
	      "(/sys/fs/cgroup/prod/db).\n"
	      "\n"
	      "The policy stays when this program ends. Remove it:\n"
	      "  rm -r DIR\n"
	      "Change a priority while it rules, here of the cgroup with id 33 to 7. The id is\n"
	      "what 'stat -c %i' says of the directory; both are eight bytes, lowest first:\n"
	      "  bpftool map update pinned DIR/oom_priority key hex 21 0 0 0 0 0 0 0 \\\n"
	      "          value hex 7 0 0 0 0 0 0 0\n", to);
}

static int find_cgroup_root(void)
{
	struct mntent *mnt;
	FILE *mounts;

	mounts = setmntent("/proc/self/mounts", "r");
	if (!mounts)
		return fail("cannot read /proc/self/mounts: %s", strerror(errno));
	while ((mnt = getmntent(mounts))) {
		if (strcmp(mnt->mnt_type, "cgroup2"))
			continue;
		snprintf(cgroup_root, sizeof(cgroup_root), "%s", mnt->mnt_dir);
		break;
	}
	endmntent(mounts);
	if (!cgroup_root[0])
		return fail("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	return 0;
}

static int open_cgroup(const char *path)
{
	size_t len = strlen(cgroup_root);
	char full[2 * PATH_MAX];
	struct statfs fs;
	int fd;

	if (!*path)
		return fail("a cgroup is missing: '/' is the root");
	if (!strncmp(path, cgroup_root, len) && (path[len] == '/' || !path[len]))
		snprintf(full, sizeof(full), "%s", path);
	else
		snprintf(full, sizeof(full), "%s/%s", cgroup_root, path);

	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return fail("no such cgroup: %s", full);
	if (fd < 0)
		return fail("cannot open cgroup %s: %s", full, strerror(errno));
	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		return fail("not in the cgroup v2 tree: %s", full);
	}
	return fd;
}

static int get_cgroup_id(int fd, __u64 *id)
{
	struct {
		struct file_handle handle;
		__u64 id;
	} h = { .handle.handle_bytes = sizeof(h.id) };
	int mount_id;

	if (name_to_handle_at(fd, "", &h.handle, &mount_id, AT_EMPTY_PATH))
		return fail("cannot get a cgroup's id: %s", strerror(errno));
	memcpy(id, h.handle.f_handle, sizeof(*id));
	return 0;
}

static int parse_tenant(const char *arg, struct tenant *tenant)
{
	const char *sep = strrchr(arg, '=');
	char path[PATH_MAX], *end;
	int fd, err;

	if (!sep || sep == arg)
		return fail("not PATH=PRIORITY: '%s'", arg);
	if (sep - arg >= (long)sizeof(path))
		return fail("path too long: '%s'", arg);
	snprintf(path, sizeof(path), "%.*s", (int)(sep - arg), arg);

	errno = 0;
	tenant->priority = strtoll(sep + 1, &end, 10);
	if (end == sep + 1 || *end || strchr(" \t\n\v\f\r", sep[1]))
		return fail("priority of %s is not a number: '%s'", path, sep + 1);
	if (errno == ERANGE)
		return fail("priority of %s does not fit in 64 bits: %s", path, sep + 1);

	fd = open_cgroup(path);
	if (fd < 0)
		return -1;
	err = get_cgroup_id(fd, &tenant->cgroup_id);
	close(fd);
	return err;
}

static int parse_tenants(char **args, int n, struct tenant *tenants)
{
	int i, j;

	for (i = 0; i < n; i++) {
		if (parse_tenant(args[i], &tenants[i]))
			return -1;
		for (j = 0; j < i; j++)
			if (tenants[j].cgroup_id == tenants[i].cgroup_id)
				return fail("the same cgroup twice: '%s' and '%s'",
					    args[j], args[i]);
	}
	return 0;
}

/* A share of the machine, in percent, as bytes. */
static int parse_floor(const char *arg, __u64 *floor)
{
	struct sysinfo info;
	double share;
	char *end;

	share = strtod(arg, &end);
	if (end == arg || (*end && strcmp(end, "%")) || !(share >= 0 && share <= 100))
		return fail("floor is not a percentage from 0 to 100: '%s'", arg);
	if (sysinfo(&info))
		return fail("cannot tell how much memory there is: %s", strerror(errno));
	*floor = share / 100 * (info.totalram + info.totalswap) * info.mem_unit;
	return 0;
}

static int parse_grace(const char *arg)
{
	unsigned long value;
	char *end;

	value = strtoul(arg, &end, 10);
	if (arg[0] < '0' || arg[0] > '9' || *end || value > MAX_GRACE_MS)
		return fail("grace is a number of milliseconds from 0 to %u, not '%s'",
			    MAX_GRACE_MS, arg);
	grace_ms = value;
	return 0;
}

static bool link_governs(int fd, __u64 cgroup_id, __u32 *prog_id)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (bpf_link_get_info_by_fd(fd, &info, &len))
		return false;
	*prog_id = info.prog_id;
	return info.type == BPF_LINK_TYPE_OOM_POLICY &&
	       info.oom_policy.attach_type == BPF_OOM_POLICY &&
	       info.oom_policy.cgroup_id == cgroup_id;
}

/* Which link governs a cgroup: 0 if none does. */
static __u32 find_holder(__u64 cgroup_id, __u32 *prog_id)
{
	bool found = false;
	__u32 id = 0;
	int fd;

	while (!found && !bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		found = link_governs(fd, cgroup_id, prog_id);
		close(fd);
	}
	return found ? id : 0;
}

static int check_slot_free(const char *path, __u64 cgroup_id)
{
	struct bpf_prog_info prog = {};
	__u32 len = sizeof(prog);
	__u32 link_id, prog_id;
	int fd;

	link_id = find_holder(cgroup_id, &prog_id);
	if (!link_id)
		return 0;
	fd = bpf_prog_get_fd_by_id(prog_id);
	if (fd >= 0) {
		bpf_prog_get_info_by_fd(fd, &prog, &len);
		close(fd);
	}
	return fail("cgroup %s has a policy already: program %s, id %u, by link %u; "
		    "remove the link's pin or: bpftool link detach id %u",
		    path, prog.name, prog_id, link_id, link_id);
}

static int load_policy(struct tenant_prio *skel)
{
	int err = tenant_prio__load(skel);

	if (!err)
		return 0;
	if (err == -EPERM)
		return fail("no permission to load a policy: it takes CAP_BPF and CAP_PERFMON");
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL) != 1)
		return fail("this kernel has no OOM policies: it needs CONFIG_BPF_OOM_POLICY=y");
	return fail("the kernel refused the policy: %s", strerror(-err));
}

static int set_priorities(int map_fd, const struct tenant *tenants, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (bpf_map_update_elem(map_fd, &tenants[i].cgroup_id,
					&tenants[i].priority, BPF_NOEXIST))
			return fail("cannot set priority %d of %d: %s", i + 1, n,
				    errno == E2BIG ? "the map is full" : strerror(errno));
	return 0;
}

static struct bpf_link *attach_policy(struct tenant_prio *skel, int cgroup_fd,
				      const char *path, __u64 cgroup_id)
{
	LIBBPF_OPTS(bpf_oom_policy_opts, opts, .grace_ms = grace_ms);
	struct bpf_link *link;

	link = bpf_program__attach_oom_policy(skel->progs.tenant_prio, cgroup_fd, &opts);
	if (link)
		return link;

	switch (errno) {
	case EBUSY:
		if (!check_slot_free(path, cgroup_id))
			fail("cgroup %s has a policy already", path);
		break;
	case EPERM:
		fail("no permission to attach a policy: it takes CAP_SYS_ADMIN");
		break;
	case EOPNOTSUPP:
		fail("the memory controller is not enabled in cgroup %s", path);
		break;
	case ENOENT:
		fail("cgroup %s is being removed", path);
		break;
	default:
		fail("cannot attach to cgroup %s: %s", path, strerror(errno));
	}
	return NULL;
}

static int pin_error(const char *file)
{
	if (errno == EEXIST)
		return fail("%s exists already; remove it or choose another --pin directory", file);
	if (errno == EPERM || errno == EACCES)
		return fail("no permission to pin %s", file);
	return fail("cannot pin %s: %s", file, strerror(errno));
}

/* Takes the pins back when the policy could not be attached. */
static int attach_and_pin(struct tenant_prio *skel, int cgroup_fd, const char *path,
			  __u64 cgroup_id, const char *dir)
{
	char link_file[PATH_MAX], map_file[PATH_MAX];
	struct bpf_link *link;
	struct statfs fs;
	bool made_dir;
	int err = -1;

	if (strlen(dir) + sizeof("/oom_priority") > PATH_MAX)
		return fail("pin directory's name is too long: %s", dir);
	sprintf(link_file, "%s/link", dir);
	sprintf(map_file, "%s/oom_priority", dir);

	made_dir = !mkdir(dir, 0700);
	if (!made_dir && errno != EEXIST)
		return fail("cannot make pin directory %s (is bpffs mounted there?): %s", dir,
			    strerror(errno));
	if (statfs(dir, &fs) || fs.f_type != BPF_FS_MAGIC) {
		fail("pin directory %s is not on bpffs; mount it: mount -t bpf none /sys/fs/bpf",
		     dir);
		goto out_dir;
	}
	if (!access(link_file, F_OK)) {
		errno = EEXIST;
		pin_error(link_file);
		goto out_dir;
	}
	if (bpf_obj_pin(bpf_map__fd(skel->maps.oom_priority), map_file)) {
		pin_error(map_file);
		goto out_dir;
	}

	link = attach_policy(skel, cgroup_fd, path, cgroup_id);
	if (!link)
		goto out_map;
	if (bpf_obj_pin(bpf_link__fd(link), link_file))
		pin_error(link_file);
	else
		err = 0;
	bpf_link__destroy(link);
	if (!err)
		return 0;
out_map:
	unlink(map_file);
out_dir:
	if (made_dir)
		rmdir(dir);
	return err;
}

static int start(const char *path, const char *dir, __u64 floor, const struct tenant *tenants,
		 int n)
{
	struct tenant_prio *skel = NULL;
	int cgroup_fd, err = -1;
	__u64 cgroup_id;

	cgroup_fd = open_cgroup(path);
	if (cgroup_fd < 0)
		return -1;
	if (get_cgroup_id(cgroup_fd, &cgroup_id) || check_slot_free(path, cgroup_id))
		goto out;

	skel = tenant_prio__open();
	if (!skel) {
		fail("cannot open the policy: %s", strerror(errno));
		goto out;
	}
	skel->bss->oom_floor = floor;
	if (load_policy(skel) || set_priorities(bpf_map__fd(skel->maps.oom_priority), tenants, n))
		goto out;
	err = attach_and_pin(skel, cgroup_fd, path, cgroup_id, dir);
out:
	tenant_prio__destroy(skel);
	close(cgroup_fd);
	return err;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "pin", required_argument, NULL, 'p' },
		{ "floor", required_argument, NULL, 'f' },
		{ "grace", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const char *path = "/", *dir = DEFAULT_PIN;
	struct tenant *tenants;
	__u64 floor = 0;
	int c, n, err;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'p':
			dir = optarg;
			break;
		case 'f':
			if (parse_floor(optarg, &floor))
				return 1;
			break;
		case 'g':
			if (parse_grace(optarg))
				return 1;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			fputs("Try 'tenant_prio --help'.\n", stderr);
			return 1;
		}
	}

	libbpf_set_print(NULL);
	n = argc - optind;
	tenants = calloc(n ? n : 1, sizeof(*tenants));
	if (!tenants)
		return 1;
	err = find_cgroup_root() || parse_tenants(argv + optind, n, tenants) ||
	      start(path, dir, floor, tenants, n);
	free(tenants);
	return err ? 1 : 0;
}
