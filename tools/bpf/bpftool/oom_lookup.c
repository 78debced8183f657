// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Finding what an operator names: a cgroup by its path, the OOM policy that
 * rules there, a program by id, pin or object file, a priority by cgroup.
 *
 * The mount of cgroup v2 and the list of links are looked up once per command
 * and kept until oom_lookup_done().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "main.h"
#include "oom.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC	0xcafe4a11
#endif

#define PRIORITY_MAP	"oom_priority"

static char mount_point[PATH_MAX];
static int mount_fd = -1;

static struct oom_policy *policies;
static int nr_policies = -1;

/* The handle of a cgroup in cgroup v2 is its id. */
struct cgroup_handle {
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	};
};

/* Says nothing. */
static int open_mount(void)
{
	struct mntent *mnt;
	FILE *mounts;

	if (mount_fd >= 0)
		return 0;

	mounts = setmntent("/proc/self/mounts", "r");
	if (!mounts)
		return -1;
	mount_point[0] = '\0';
	while (!mount_point[0] && (mnt = getmntent(mounts)))
		if (!strcmp(mnt->mnt_type, "cgroup2"))
			snprintf(mount_point, sizeof(mount_point), "%s", mnt->mnt_dir);
	endmntent(mounts);

	if (mount_point[0])
		mount_fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return mount_fd < 0 ? -1 : 0;
}

static int find_mount(void)
{
	if (!open_mount())
		return 0;
	if (mount_point[0])
		p_err("cannot open %s: %s", mount_point, strerror(errno));
	else
		p_err("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	return -1;
}

static char *full_path(const char *path, const char *file)
{
	char *full;

	if (asprintf(&full, "%s%s%s%s", mount_point, path, *file ? "/" : "", file) < 0)
		return NULL;
	return full;
}

static int get_handle(int dir_fd, const char *name, struct cgroup_handle *h)
{
	int mount_id;

	h->handle.handle_bytes = sizeof(__u64);
	return name_to_handle_at(dir_fd, name, &h->handle, &mount_id,
				 *name ? 0 : AT_EMPTY_PATH);
}

static int get_id(int dir_fd, const char *name, __u64 *id)
{
	struct cgroup_handle h;

	if (get_handle(dir_fd, name, &h))
		return -1;
	memcpy(id, h.handle.f_handle, sizeof(*id));
	return 0;
}

/* The path of a directory of cgroup v2 that is open; NULL if it is none. */
static char *path_of_fd(int fd)
{
	const size_t len = strlen(mount_point);
	char link[64], full[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return NULL;
	full[n] = '\0';
	if (strncmp(full, mount_point, len) || (full[len] && full[len] != '/'))
		return NULL;
	return strdup(full[len] ? full + len : "/");
}

/* NULL if no cgroup has that id any more; says nothing. */
char *oom_cgroup_path(__u64 id)
{
	struct cgroup_handle h;
	char *path;
	int fd;

	if (!id || open_mount() || get_handle(mount_fd, "", &h))
		return NULL;
	memcpy(h.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	path = path_of_fd(fd);
	close(fd);
	return path;
}

/* For people: the path, or the id of one that has gone. */
char *oom_cgroup_name(__u64 id)
{
	char *path = oom_cgroup_path(id);

	if (!path && asprintf(&path, "cgroup id %llu (gone)", id) < 0)
		return NULL;
	return path;
}

/*
 * printf() for all that has names in it: a tenant chooses those of its cgroups and
 * processes, and must not get at the terminal of whoever looks at them.
 */
int oom_printf(const char *fmt, ...)
{
	va_list args;
	char *text, *c;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return n;
	for (c = text; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\n' && *c != '\t')
			*c = '?';
	fputs(text, stdout);
	free(text);
	return n;
}

void oom_json_cgroup(json_writer_t *wtr, const char *key, __u64 id, const char *path)
{
	char id_key[64];

	if (path)
		jsonw_string_field(wtr, key, path);
	else
		jsonw_null_field(wtr, key);
	snprintf(id_key, sizeof(id_key), "%s_id", key);
	jsonw_lluint_field(wtr, id_key, id);
}

static void explain_no_cgroup(const char *arg)
{
	struct statfs fs;

	if (arg[0] != '/' || statfs(arg, &fs))
		p_err("no such cgroup: %s (cgroup v2 is mounted at %s)", arg, mount_point);
	else if (fs.f_type == CGROUP_SUPER_MAGIC)
		p_err("%s is a cgroup of version 1, which has no OOM policies", arg);
	else
		p_err("%s is not a cgroup: cgroup v2 is mounted at %s", arg, mount_point);
}

/* From the mount point on, or from the root of cgroup v2 with or without a slash. */
int oom_cgroup_parse(const char *arg, struct oom_cgroup *cgroup)
{
	char full[PATH_MAX];
	struct statfs fs;
	size_t len;
	int fd;

	cgroup->path = NULL;
	if (!*arg) {
		p_err("a cgroup is missing: '/' is the root");
		return -1;
	}
	if (find_mount())
		return -1;

	len = strlen(mount_point);
	if (!strncmp(arg, mount_point, len) && (!arg[len] || arg[len] == '/'))
		len = snprintf(full, sizeof(full), "%s", arg);
	else
		len = snprintf(full, sizeof(full), "%s/%s", mount_point, arg);
	if (len >= sizeof(full)) {
		p_err("the path of a cgroup has %d characters at most", PATH_MAX - 1);
		return -1;
	}

	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOTDIR)
			p_err("%s is a file, not a cgroup", arg);
		else if (errno == ENOENT)
			explain_no_cgroup(arg);
		else
			p_err("cannot open cgroup %s: %s", arg, strerror(errno));
		return -1;
	}

	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		p_err("%s is not a cgroup: it leads out of %s", arg, mount_point);
	} else if (get_id(fd, "", &cgroup->id)) {
		p_err("cannot get the id of cgroup %s: %s", arg, strerror(errno));
	} else {
		cgroup->path = path_of_fd(fd);
		if (!cgroup->path)
			p_err("cannot tell the path of cgroup %s", arg);
	}
	close(fd);
	return cgroup->path ? 0 : -1;
}

void oom_cgroup_free(struct oom_cgroup *cgroup)
{
	free(cgroup->path);
	cgroup->path = NULL;
}

int oom_cgroup_open(const char *path)
{
	char *full = full_path(path, "");
	int fd = -1;

	if (full)
		fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		p_err("cannot open cgroup %s: %s", path, strerror(errno));
	free(full);
	return fd;
}

/* At @above or anywhere below it. */
bool oom_path_below(const char *path, const char *above)
{
	const size_t len = strlen(above);

	if (!strcmp(above, "/"))
		return true;
	return !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

static FILE *open_file(const char *path, const char *file)
{
	char *full = full_path(path, file);
	FILE *f = full ? fopen(full, "re") : NULL;

	free(full);
	return f;
}

static DIR *open_dir(const char *path)
{
	char *full = full_path(path, "");
	DIR *dir = full ? opendir(full) : NULL;

	free(full);
	return dir;
}

static bool read_number(const char *path, const char *file, __u64 *value)
{
	FILE *f = open_file(path, file);
	bool found;

	*value = 0;
	if (!f)
		return false;
	found = fscanf(f, "%llu", value) == 1;
	fclose(f);
	return found;
}

/* 0 if there is no such file, or no number in it. */
__u64 oom_cgroup_number(const char *path, const char *file)
{
	__u64 value;

	read_number(path, file, &value);
	return value;
}

static bool is_populated(const char *path)
{
	FILE *f = open_file(path, "cgroup.events");
	char key[32];
	int value;

	if (!f)
		return false;
	while (fscanf(f, "%31s %d", key, &value) == 2) {
		if (!strcmp(key, "populated")) {
			fclose(f);
			return value;
		}
	}
	fclose(f);
	return false;
}

static bool is_killable(int pid)
{
	char path[64];
	int adj = 0;
	FILE *f;

	if (pid <= 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &adj) != 1)
		adj = 0;
	fclose(f);
	return adj != -1000;
}

/* Is there anybody in the cgroup or below it whom the OOM killer may take? */
static bool has_killable(const char *path)
{
	FILE *f = open_file(path, "cgroup.procs");
	struct dirent *entry;
	bool found = false;
	char *below;
	DIR *dir;
	int pid;

	if (f) {
		while (!found && fscanf(f, "%d", &pid) == 1)
			found = is_killable(pid);
		fclose(f);
	}
	if (found)
		return true;

	dir = open_dir(path);
	while (!found && dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0)
			break;
		found = has_killable(below);
		free(below);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* False if it has no memory controller. */
bool oom_child_fill(struct oom_child *child)
{
	if (!read_number(child->path, "memory.current", &child->usage))
		return false;
	read_number(child->path, "memory.swap.current", &child->swap);
	child->out = NULL;
	if (!is_populated(child->path))
		child->out = "no processes";
	else if (!has_killable(child->path))
		child->out = "nobody to kill";
	return true;
}

static int compare_child_ids(const void *a, const void *b)
{
	const struct oom_child *child_a = a, *child_b = b;

	if (child_a->id == child_b->id)
		return 0;
	return child_a->id < child_b->id ? -1 : 1;
}

void oom_children_free(struct oom_child *children, int nr)
{
	while (nr-- > 0)
		free(children[nr].path);
	free(children);
}

static int add_child(struct oom_child **children, int *nr, int dir_fd,
		     const char *parent, const char *name)
{
	struct oom_child *child;
	void *more;

	/* In steps of powers of two. */
	if (!(*nr & (*nr - 1))) {
		more = realloc(*children, (*nr ? *nr * 2 : 1) * sizeof(*child));
		if (!more)
			return -1;
		*children = more;
	}
	child = &(*children)[*nr];
	memset(child, 0, sizeof(*child));
	if (get_id(dir_fd, name, &child->id))
		return 0;	/* just removed */
	if (asprintf(&child->path, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		return -1;
	if (!oom_child_fill(child)) {
		free(child->path);
		return 0;
	}
	(*nr)++;
	return 0;
}

/*
 * The children that have the memory controller, in the order of their ids, which
 * is the order in which they were made and in which the kernel meets them.
 */
int oom_children(const char *parent, struct oom_child **children)
{
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	*children = NULL;
	dir = open_dir(parent);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir) {
		p_err("cannot list cgroup %s: %s", parent, strerror(errno));
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (add_child(children, &nr, dirfd(dir), parent, entry->d_name)) {
			p_err("mem alloc failed");
			oom_children_free(*children, nr);
			closedir(dir);
			return -1;
		}
	}
	closedir(dir);
	if (nr)
		qsort(*children, nr, sizeof(**children), compare_child_ids);
	return nr;
}

/* Parents before children: a slash sorts before everything else. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == '/')
		return *b ? -1 : 1;
	if (*b == '/')
		return *a ? 1 : -1;
	return (unsigned char)*a - (unsigned char)*b;
}

static int compare_policies(const void *a, const void *b)
{
	const struct oom_policy *policy_a = a, *policy_b = b;
	int ret;

	if (!policy_a->path || !policy_b->path) {
		if (policy_a->path)
			return -1;
		if (policy_b->path)
			return 1;
		return policy_a->info.id < policy_b->info.id ? -1 : 1;
	}
	ret = compare_paths(policy_a->path, policy_b->path);
	if (ret)
		return ret;
	return policy_a->info.oom_policy.attach_type < policy_b->info.oom_policy.attach_type ?
	       -1 : 1;
}

static int add_policy(const struct bpf_link_info *info)
{
	void *more = realloc(policies, (nr_policies + 1) * sizeof(*policies));

	if (!more) {
		p_err("mem alloc failed");
		return -1;
	}
	policies = more;
	policies[nr_policies].info = *info;
	policies[nr_policies].path = oom_cgroup_path(info->oom_policy.cgroup_id);
	nr_policies++;
	return 0;
}

/* All links, parents before children, detached ones last. */
int oom_policies(const struct oom_policy **list)
{
	__u32 id = 0;

	*list = policies;
	if (nr_policies >= 0)
		return nr_policies;
	if (find_mount())
		return -1;

	nr_policies = 0;
	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		int fd, err;

		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;	/* gone meanwhile, or EPERM at the next one */
		err = bpf_link_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_OOM_POLICY && add_policy(&info))
			return -1;
	}
	if (errno != ENOENT) {
		p_err("cannot look for OOM policies: %s%s", strerror(errno),
		      errno == EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return -1;
	}
	if (nr_policies)
		qsort(policies, nr_policies, sizeof(*policies), compare_policies);
	*list = policies;
	return nr_policies;
}

/* Attached to that very cgroup; the links must have been looked up. */
const struct oom_policy *oom_policy_at(const char *path, __u32 attach_type)
{
	int i;

	for (i = 0; i < nr_policies; i++)
		if (policies[i].path && !strcmp(policies[i].path, path) &&
		    policies[i].info.oom_policy.attach_type == attach_type)
			return &policies[i];
	return NULL;
}

/* Attached to the cgroup or to the nearest above it: it compares what is below. */
const struct oom_policy *oom_policy_ruling(const char *path, __u32 attach_type)
{
	const struct oom_policy *ruling = NULL;
	int i;

	for (i = 0; i < nr_policies; i++)
		if (policies[i].path && oom_path_below(path, policies[i].path) &&
		    policies[i].info.oom_policy.attach_type == attach_type)
			ruling = &policies[i];
	return ruling;
}

void oom_lookup_done(void)
{
	while (nr_policies > 0)
		free(policies[--nr_policies].path);
	nr_policies = -1;
	free(policies);
	policies = NULL;
	if (mount_fd >= 0)
		close(mount_fd);
	mount_fd = -1;
}

int oom_parse_u32(const char *text, const char *what, __u32 *value)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > UINT_MAX) {
		p_err("%s is a number up to %u, not '%s'", what, UINT_MAX, text);
		return -1;
	}
	*value = number;
	return 0;
}

int oom_prog_parse(int *argc, char ***argv, struct oom_prog_arg *arg)
{
	bool by_id, pinned;

	if (!*argc) {
		p_err("which program? 'id ID', 'pinned FILE' or the name of an object file");
		return -1;
	}
	by_id = !strcmp(**argv, "id");
	pinned = !strcmp(**argv, "pinned");
	if (by_id || pinned) {
		if (*argc < 2) {
			p_err("'%s' wants the %s of a program", **argv,
			      by_id ? "id" : "pin");
			return -1;
		}
		(*argc)--;
		(*argv)++;
	}
	arg->kind = by_id ? OOM_PROG_ID : pinned ? OOM_PROG_PINNED : OOM_PROG_FILE;
	arg->text = **argv;
	(*argc)--;
	(*argv)++;
	return by_id ? oom_parse_u32(arg->text, "a program id", &arg->id) : 0;
}

static int check_prog_type(int fd, const char *what)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	const char *type;

	if (bpf_prog_get_info_by_fd(fd, &info, &len)) {
		p_err("%s is not a program", what);
		return -1;
	}
	if (info.type == BPF_PROG_TYPE_OOM_POLICY)
		return 0;
	type = libbpf_bpf_prog_type_str(info.type);
	p_err("%s is a program of type %s, not an OOM policy", what, type ?: "unknown");
	return -1;
}

static int open_prog_id(__u32 id)
{
	char what[32];
	int fd;

	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0) {
		if (errno == ENOENT)
			p_err("no program has the id %u", id);
		else
			p_err("cannot open the program with id %u: %s", id, strerror(errno));
		return -1;
	}
	snprintf(what, sizeof(what), "program id %u", id);
	if (check_prog_type(fd, what)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_prog_pinned(const char *path)
{
	int fd = bpf_obj_get(path);

	if (fd < 0) {
		p_err("cannot open pinned program %s: %s", path, strerror(errno));
		return -1;
	}
	if (get_fd_type(fd) != BPF_OBJ_PROG) {
		p_err("%s is a pinned %s, not a program", path,
		      get_fd_type_name(get_fd_type(fd)));
	} else if (!check_prog_type(fd, path)) {
		return fd;
	}
	close(fd);
	return -1;
}

/* The one policy of that type in an object; the other programs are left out. */
static struct bpf_program *find_policy(struct bpf_object *obj, const char *file,
				       __u32 attach_type)
{
	struct bpf_program *prog, *found = NULL;

	bpf_object__for_each_program(prog, obj) {
		if (bpf_program__type(prog) != BPF_PROG_TYPE_OOM_POLICY ||
		    (attach_type != OOM_ANY_TYPE &&
		     bpf_program__expected_attach_type(prog) != attach_type)) {
			bpf_program__set_autoload(prog, false);
			continue;
		}
		if (found) {
			p_err("%s has two OOM policies, %s and %s: pin them with 'bpftool prog loadall' and name one",
			      file, bpf_program__name(found), bpf_program__name(prog));
			return NULL;
		}
		found = prog;
	}
	if (!found)
		p_err("%s has no program in a section %s", file,
		      attach_type == BPF_OOM_POLICY_TASK ? "oom_policy/task" : "oom_policy");
	return found;
}

static bool is_priority_map(__u32 type, __u32 key_size, __u32 value_size)
{
	return type == BPF_MAP_TYPE_HASH && key_size == sizeof(__u64) &&
	       value_size == sizeof(__s64);
}

/* What takes the place of a policy goes on with its priorities. */
static void take_priorities(struct bpf_object *obj, int priorities)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, PRIORITY_MAP);

	if (priorities >= 0 && map &&
	    is_priority_map(bpf_map__type(map), bpf_map__key_size(map),
			    bpf_map__value_size(map)))
		bpf_map__reuse_fd(map, priorities);
}

static void explain_load(const char *file, int err)
{
	if (err == EPERM)
		p_err("no permission to load %s: it takes CAP_BPF and CAP_PERFMON", file);
	else if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL) == 0)
		p_err("this kernel has no OOM policies: it needs CONFIG_BPF_OOM_POLICY=y");
	else
		p_err("the kernel refuses %s: %s (option -d shows why)", file, strerror(err));
}

static int load_file(const char *file, __u32 attach_type, int priorities)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int fd = -1, err;

	obj = bpf_object__open_file(file, NULL);
	if (!obj) {
		p_err("cannot read %s as a BPF object file: %s", file,
		      errno >= __LIBBPF_ERRNO__START || errno == EINVAL ? "it is none" :
		      strerror(errno));
		return -1;
	}
	prog = find_policy(obj, file, attach_type);
	if (!prog)
		goto out;
	take_priorities(obj, priorities);
	set_max_rlimit();
	err = bpf_object__load(obj);
	if (err) {
		explain_load(file, -err);
		goto out;
	}
	fd = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		p_err("cannot keep %s: %s", file, strerror(errno));
out:
	bpf_object__close(obj);
	return fd;
}

/*
 * The program, loaded if it has to be. @attach_type: which one of an object file;
 * @priorities: the map that the program of an object file shall use, or -1.
 */
int oom_prog_open(const struct oom_prog_arg *arg, __u32 attach_type, int priorities)
{
	libbpf_print_fn_t print;
	struct statfs fs;
	int fd;

	switch (arg->kind) {
	case OOM_PROG_ID:
		return open_prog_id(arg->id);
	case OOM_PROG_PINNED:
		return open_prog_pinned(arg->text);
	default:
		break;
	}

	if (statfs(arg->text, &fs)) {
		p_err("cannot read %s: %s", arg->text, strerror(errno));
		return -1;
	}
	if ((unsigned int)fs.f_type == BPF_FS_MAGIC)
		return open_prog_pinned(arg->text);

	/* We say it in one sentence; the library would add its own. */
	print = libbpf_set_print(NULL);
	if (verifier_logs)
		libbpf_set_print(print);
	fd = load_file(arg->text, attach_type, priorities);
	libbpf_set_print(print);
	return fd;
}

/* Look for the map by its name among those of the program. */
static void find_priorities(struct oom_judge *judge, __u32 nr_maps)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), i;
	__u32 *ids;

	ids = calloc(nr_maps ?: 1, sizeof(*ids));
	if (!ids)
		return;
	info.nr_map_ids = nr_maps;
	info.map_ids = ptr_to_u64(ids);
	if (bpf_prog_get_info_by_fd(judge->fd, &info, &len))
		info.nr_map_ids = 0;

	for (i = 0; i < info.nr_map_ids && judge->priorities < 0; i++) {
		struct bpf_map_info map = {};
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(map);
		if (fd < 0)
			continue;
		if (bpf_map_get_info_by_fd(fd, &map, &len) || strcmp(map.name, PRIORITY_MAP)) {
			close(fd);
		} else if (is_priority_map(map.type, map.key_size, map.value_size)) {
			judge->priorities = fd;
		} else {
			judge->odd_priorities = true;
			close(fd);
		}
	}
	free(ids);
}

/* The judge owns @fd from here on, whatever the outcome. */
int oom_judge_init(struct oom_judge *judge, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	memset(judge, 0, sizeof(*judge));
	judge->fd = fd;
	judge->priorities = -1;
	if (fd < 0)
		return -1;
	if (bpf_prog_get_info_by_fd(fd, &info, &len)) {
		p_err("cannot look at the program: %s", strerror(errno));
		oom_judge_close(judge);
		return -1;
	}
	judge->id = info.id;
	get_prog_full_name(&info, fd, judge->name, sizeof(judge->name));
	find_priorities(judge, info.nr_map_ids);
	return 0;
}

int oom_judge_open(struct oom_judge *judge, __u32 prog_id)
{
	return oom_judge_init(judge, open_prog_id(prog_id));
}

/* The program that compares the children of the cgroup, or the tasks below it. */
int oom_judge_ruling(struct oom_judge *judge, const char *path, __u32 attach_type)
{
	const struct oom_policy *list, *ruling;

	judge->fd = -1;
	judge->priorities = -1;
	if (oom_policies(&list) < 0)
		return -1;
	ruling = oom_policy_ruling(path, BPF_OOM_POLICY);
	if (!ruling && attach_type == OOM_ANY_TYPE)
		ruling = oom_policy_ruling(path, BPF_OOM_POLICY_TASK);
	if (!ruling) {
		p_err("no OOM policy rules in %s: attach one there or above it", path);
		return -1;
	}
	if (oom_judge_open(judge, ruling->info.prog_id))
		return -1;
	judge->policy = ruling;
	return 0;
}

void oom_judge_close(struct oom_judge *judge)
{
	if (judge->priorities >= 0)
		close(judge->priorities);
	if (judge->fd >= 0)
		close(judge->fd);
	judge->priorities = -1;
	judge->fd = -1;
}

/* False and 0 if none is set. */
bool oom_priority_get(const struct oom_judge *judge, __u64 id, __s64 *priority)
{
	*priority = 0;
	return judge->priorities >= 0 &&
	       !bpf_map_lookup_elem(judge->priorities, &id, priority);
}
