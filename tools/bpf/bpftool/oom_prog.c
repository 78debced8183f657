// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The programs of OOM policies: by id, by pin or from an object file, which is
 * loaded, with a map or a floor that it is given; and their maps.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "main.h"
#include "oom.h"
#include "oom_compat.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC	0xcafe4a11
#endif

#define FLOOR		"oom_floor"

/* strtoul(), by which bpftool parses, takes what is empty, below 0 or beyond 32 bits. */
static int check_u32(const char *text, const char *what)
{
	if (*text && !strchr(text, '-') && strtoull(text, NULL, 0) <= UINT_MAX)
		return 0;
	oom_err("%s is a number up to %u, not '%s'", what, UINT_MAX, text);
	return -1;
}

/**
 * oom_parse_u32() - parse_u32_arg() that takes no other number for the one meant
 * @argc: words that are left, two or more
 * @argv: those words; the number is the second
 * @value: 0 if it has not been given before
 * @what: it is
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_u32(int *argc, char ***argv, __u32 *value, const char *what)
{
	if (check_u32((*argv)[1], what))
		return -1;
	return parse_u32_arg(argc, argv, value, what);
}

/**
 * oom_prog_parse() - take a program from the command line
 * @argc: words that are left
 * @argv: those words
 * @arg: which program was named; nothing is opened yet
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_prog_parse(int *argc, char ***argv, struct oom_prog_arg *arg)
{
	static const struct {
		const char *word;
		const char *wants;
	} ways[] = {
		{ "id",		"the id of a program" },
		{ "pinned",	"the pin of a program" },
		{ "tag",	"the tag of a program" },
		{ "name",	"the name of a program" },
		{ "file",	"the name of an object file" },
	};
	size_t i;

	if (!*argc) {
		oom_err("which program? 'id ID', 'pinned FILE', 'tag TAG', 'name NAME' or the name of an object file");
		return -1;
	}
	for (i = 0; i < ARRAY_SIZE(ways) && strcmp(**argv, ways[i].word); i++)
		;
	arg->words = *argv;
	arg->nr_words = i < ARRAY_SIZE(ways) ? 2 : 1;
	if (*argc < arg->nr_words) {
		oom_err("'%s' wants %s", **argv, ways[i].wants);
		return -1;
	}
	*argc -= arg->nr_words;
	*argv += arg->nr_words;
	arg->nr_sets = 0;
	if (!strcmp(arg->words[0], "id") && check_u32(arg->words[1], "program ID"))
		return -1;
	if (arg->nr_words == 2 && !strcmp(arg->words[0], "file")) {
		arg->words++;
		arg->nr_words = 1;
	}
	while (*argc && !strcmp(**argv, "set"))
		if (oom_prog_parse_set(argc, argv, arg))
			return -1;
	return 0;
}

/**
 * oom_prog_parse_set() - take "set NAME=VALUE" from the command line
 * @argc: words that are left
 * @argv: those words, the first of which is "set"
 * @arg: the program
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_prog_parse_set(int *argc, char ***argv, struct oom_prog_arg *arg)
{
	if (*argc < 2) {
		oom_err("'set' wants NAME=VALUE");
		return -1;
	}
	if (arg->nr_words == 2) {
		oom_err("'set' is for an object file: the variables of a loaded program are in its maps");
		return -1;
	}
	if (arg->nr_sets == OOM_MAX_SETS) {
		oom_err("more than %d variables cannot be set", OOM_MAX_SETS);
		return -1;
	}
	arg->sets[arg->nr_sets++] = (*argv)[1];
	*argc -= 2;
	*argv += 2;
	return 0;
}

static int set_globals(struct bpf_object *obj, const struct oom_prog_arg *arg)
{
	int i;

	for (i = 0; i < arg->nr_sets; i++)
		if (oom_global_set(obj, arg->words[0], arg->sets[i]))
			return -1;
	return 0;
}

/* The same @fd if it is that of an OOM policy, else -1 and it is closed. */
static int check_prog_type(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	const char *type;

	if (fd < 0)
		return -1;
	if (bpf_prog_get_info_by_fd(fd, &info, &len)) {
		oom_err("can't get prog info: %s", strerror(errno));
	} else if (info.type != BPF_PROG_TYPE_OOM_POLICY) {
		type = libbpf_bpf_prog_type_str(info.type);
		oom_err("%s (prog id %u) is a program of type %s, not an OOM policy", info.name,
			info.id, type ?: "unknown");
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

/* The one of them that is an OOM policy. */
static int find_among(const int *fds, int nr, const char *way, const char *word)
{
	__u32 found_id = 0, len;
	int i, found = -1;

	/* What else it is, if it is one. */
	if (nr == 1)
		return check_prog_type(fds[0]);

	for (i = 0; i < nr; i++) {
		struct bpf_prog_info info = {};

		len = sizeof(info);
		if (bpf_prog_get_info_by_fd(fds[i], &info, &len) ||
		    info.type != BPF_PROG_TYPE_OOM_POLICY) {
			close(fds[i]);
		} else if (found < 0) {
			found = fds[i];
			found_id = info.id;
		} else {
			oom_err("several OOM policies have the %s %s, as prog id %u and %u: name one by its id",
				way, word, found_id, info.id);
			close(found);
			for (; i < nr; i++)
				close(fds[i]);
			return -1;
		}
	}
	if (found < 0)
		oom_err("no OOM policy is loaded that has the %s %s", way, word);
	return found;
}

/* As prog_parse_fd() has it, but a name or a tag needs to be that of one policy only. */
static int find_loaded(const struct oom_prog_arg *arg)
{
	int argc = arg->nr_words, nr, fd = -1;
	char **argv = arg->words;
	int *fds;

	fds = malloc(sizeof(*fds));
	if (!fds) {
		oom_err("mem alloc failed");
		return -1;
	}
	nr = prog_parse_fds(&argc, &argv, &fds);
	if (nr >= 0)
		fd = find_among(fds, nr, arg->words[0], arg->words[1]);
	free(fds);
	return fd;
}

/* A program of the other type may be the one that was meant. */
static void explain_no_policy(const char *file, __u32 attach_type,
			      const struct bpf_program *other)
{
	const bool tasks = attach_type == BPF_OOM_POLICY_TASK;

	if (!other)
		oom_err("%s has no program in a section %s", file,
			tasks ? "oom_policy/task" : "oom_policy");
	else if (tasks)
		oom_err("%s has no program in a section oom_policy/task: %s, which compares cgroups, is attached without 'type task'",
			file, bpf_program__name(other));
	else
		oom_err("%s has no program in a section oom_policy: %s, which compares processes, is attached with 'type task'",
			file, bpf_program__name(other));
}

/* The one policy of that type in an object; the other programs are left out. */
static struct bpf_program *find_policy(struct bpf_object *obj, const char *file,
				       __u32 attach_type)
{
	struct bpf_program *prog, *found = NULL, *other = NULL;

	bpf_object__for_each_program(prog, obj) {
		if (bpf_program__type(prog) != BPF_PROG_TYPE_OOM_POLICY) {
			bpf_program__set_autoload(prog, false);
			continue;
		}
		if (attach_type != OOM_ANY_TYPE &&
		    bpf_program__expected_attach_type(prog) != attach_type) {
			bpf_program__set_autoload(prog, false);
			other = prog;
			continue;
		}
		if (found) {
			oom_err("%s has two OOM policies, %s and %s: pin them with 'bpftool prog loadall' and name one",
				file, bpf_program__name(found), bpf_program__name(prog));
			return NULL;
		}
		found = prog;
	}
	if (!found)
		explain_no_policy(file, attach_type, other);
	return found;
}

/* The object goes on with a map that there is, if it fits. */
static int take_map(struct bpf_object *obj, const char *file, const struct oom_load *load)
{
	struct bpf_map *map = load->map ? bpf_object__find_map_by_name(obj, load->map) : NULL;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (load->map_required && !map) {
		oom_err("%s has no map %s", file, load->map);
		return -1;
	}
	if (load->map_fd < 0 || !map)
		return 0;
	if (!bpf_map_get_info_by_fd(load->map_fd, &info, &len) &&
	    info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map) &&
	    !bpf_map__reuse_fd(map, load->map_fd))
		return 0;
	if (!load->map_required)
		return 0;
	oom_err("%s cannot go on with the map that is pinned: its map %s has another layout", file,
		load->map);
	return -1;
}

/* Where a variable is among the read-only data; -1 if there is no such. */
static long find_variable(const struct btf *btf, const char *name, __u32 size)
{
	const struct btf_type *section, *var;
	const struct btf_var_secinfo *info;
	__u32 i;
	int id;

	id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
	if (id < 0)
		return -1;
	section = btf__type_by_id(btf, id);
	info = btf_var_secinfos(section);
	for (i = 0; i < btf_vlen(section); i++) {
		var = btf__type_by_id(btf, info[i].type);
		if (info[i].size == size && !strcmp(btf__name_by_offset(btf, var->name_off), name))
			return info[i].offset;
	}
	return -1;
}

static int set_floor(struct bpf_object *obj, const char *file, const struct oom_load *load)
{
	struct bpf_map *map;
	long offset = -1;
	char *data;
	size_t size;

	if (!load->has_floor)
		return 0;
	bpf_object__for_each_map(map, obj)
		if (bpf_map__is_internal(map) && strstr(bpf_map__name(map), ".rodata"))
			break;
	data = map ? bpf_map__initial_value(map, &size) : NULL;
	if (data)
		offset = find_variable(bpf_object__btf(obj), FLOOR, sizeof(load->floor));
	if (offset < 0) {
		oom_err("%s knows no floor: it has no 64-bit constant " FLOOR, file);
		return -1;
	}
	memcpy(data + offset, &load->floor, sizeof(load->floor));
	return 0;
}

/* Of the machine, in bytes. */
static __u64 memory_and_swap(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	__u64 kb = 0, value;
	char key[64];

	while (f && fscanf(f, "%63s %llu%*[^\n]", key, &value) == 2)
		if (!strcmp(key, "MemTotal:") || !strcmp(key, "SwapTotal:"))
			kb += value;
	if (f)
		fclose(f);
	return kb * 1024;
}

/**
 * oom_parse_size() - a number of bytes, or a share of the machine's memory and swap
 * @text: BYTES, perhaps with K, M or G behind it, or a percentage
 * @bytes: so many
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_parse_size(const char *text, __u64 *bytes)
{
	static const char units[] = "KMG";
	bool valid = text[0] >= '0' && text[0] <= '9';
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	valid &= !errno;
	if (!strcmp(end, "%")) {
		valid &= *bytes <= 100;
		*bytes *= memory_and_swap() / 100;
	} else if (*end) {
		unit = strchr(units, *end);
		if (unit)
			shift = 10 * (unit - units + 1);
		valid &= unit && !end[1] && *bytes <= ULLONG_MAX >> shift;
		*bytes <<= shift;
	}
	if (valid)
		return 0;
	oom_err("a size is a number of bytes, with K, M or G if need be, or a percentage up to 100%%, not '%s'",
		text);
	return -1;
}

static bool is_statistics(const char *line)
{
	static const char * const begin[] = { "processed ", "verification time ", "stack depth " };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(begin); i++)
		if (!strncmp(line, begin[i], strlen(begin[i])))
			return true;
	return false;
}

/* What the verifier has said last, before its statistics; NULL if it said nothing. */
static char *last_words(const char *log)
{
	const char *line, *end, *last = NULL;
	int len = 0;

	for (line = log; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (end == line || is_statistics(line))
			continue;
		last = line;
		len = end - line;
	}
	return last ? strndup(last, len) : NULL;
}

/**
 * oom_explain_load() - why programs could not be loaded
 * @what: the file they are in, or their name
 * @err: errno
 * @log: of the verifier; may be empty, or NULL
 */
void oom_explain_load(const char *what, int err, const char *log)
{
	char *why = log ? last_words(log) : NULL;

	if (err == EPERM)
		oom_err("no permission to load %s: it takes CAP_BPF and CAP_PERFMON", what);
	else if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL) == 0)
		oom_err("this kernel has no OOM policies: run \"modprobe oom_policy\" (package bpf-oom-policy-dkms), or boot one with CONFIG_BPF_OOM_POLICY");
	else if (why)
		oom_err("the verifier refuses %s: %s (option -d shows all of its log)", what, why);
	else
		oom_err("the kernel refuses %s: %s (option -d shows why)", what, strerror(err));
	free(why);
}

static int load_file(const struct oom_prog_arg *arg, const struct oom_load *load)
{
	const char *file = arg->words[0];
	struct bpf_program *prog;
	struct bpf_object *obj;
	int fd = -1, err;
	char *log = NULL;

	obj = bpf_object__open_file(file, NULL);
	if (!obj) {
		oom_err("cannot read %s as a BPF object file: %s", file,
			errno >= __LIBBPF_ERRNO__START || errno == EINVAL ? "it is none" :
			strerror(errno));
		return -1;
	}
	prog = find_policy(obj, file, load->attach_type);
	if (!prog || take_map(obj, file, load) || set_floor(obj, file, load) ||
	    set_globals(obj, arg))
		goto out;
	/* The library asks for a log only if need be, and prints one of its own only. */
	if (!verifier_logs)
		log = calloc(1, BPF_LOG_BUF_SIZE);
	if (log)
		bpf_program__set_log_buf(prog, log, BPF_LOG_BUF_SIZE);
	set_max_rlimit();
	err = bpf_object__load(obj);
	if (err) {
		oom_explain_load(file, -err, log);
		goto out;
	}
	fd = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		oom_err("cannot keep %s: %s", file, strerror(errno));
out:
	bpf_object__close(obj);
	free(log);
	return fd;
}

/**
 * oom_prog_open() - a program as the user has named it, loaded if need be
 * @arg: which one
 * @load: how, if it is one of an object file
 *
 * Return: its file descriptor, or -1 with the reason told.
 */
int oom_prog_open(const struct oom_prog_arg *arg, const struct oom_load *load)
{
	const char *file = arg->words[0];
	libbpf_print_fn_t print;
	struct statfs fs;
	int fd;

	if (arg->nr_words == 1 && statfs(file, &fs)) {
		oom_err("cannot read %s: %s", file, strerror(errno));
		return -1;
	}
	if (arg->nr_words == 2 || (unsigned int)fs.f_type == BPF_FS_MAGIC) {
		if (load->has_floor || (load->map_required && load->map_fd >= 0)) {
			oom_err("a loaded program keeps its floor and its maps: name an object file");
			return -1;
		}
		if (arg->nr_sets) {
			oom_err("'set' is for an object file: %s is a pin", file);
			return -1;
		}
		return arg->nr_words == 2 ? find_loaded(arg) :
		       check_prog_type(open_obj_pinned_any(file, BPF_OBJ_PROG, NULL));
	}

	print = oom_quiet_libbpf();
	fd = load_file(arg, load);
	libbpf_set_print(print);
	return fd;
}

/**
 * oom_quiet_libbpf() - we say it in one sentence; the library would add its own
 *
 * Return: for libbpf_set_print() afterwards.
 */
libbpf_print_fn_t oom_quiet_libbpf(void)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);

	if (verifier_logs)
		libbpf_set_print(print);
	return print;
}

/**
 * oom_prog_map() - the map of a loaded program that has that name
 * @prog_fd: the program
 * @name: of which the kernel keeps 15 characters
 * @info: what it is
 *
 * Says nothing.
 *
 * Return: its file descriptor, or -1.
 */
int oom_prog_map(int prog_fd, const char *name, struct bpf_map_info *info)
{
	struct bpf_prog_info prog = {};
	__u32 len = sizeof(prog), nr, i;
	__u32 *ids;
	int fd = -1;

	if (bpf_prog_get_info_by_fd(prog_fd, &prog, &len))
		return -1;
	nr = prog.nr_map_ids;
	ids = calloc(nr ?: 1, sizeof(*ids));
	if (!ids)
		return -1;
	memset(&prog, 0, sizeof(prog));
	prog.nr_map_ids = nr;
	prog.map_ids = ptr_to_u64(ids);
	len = sizeof(prog);
	if (bpf_prog_get_info_by_fd(prog_fd, &prog, &len))
		nr = 0;

	for (i = 0; i < nr && fd < 0; i++) {
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			continue;
		memset(info, 0, sizeof(*info));
		len = sizeof(*info);
		if (!bpf_map_get_info_by_fd(fd, info, &len) &&
		    !strncmp(info->name, name, BPF_OBJ_NAME_LEN - 1))
			break;
		close(fd);
		fd = -1;
	}
	free(ids);
	return fd;
}

/**
 * oom_judge_init() - make a judge of a program
 * @judge: oom_judge_close() ends it
 * @fd: the program, the judge's from here on whatever the outcome; may be -1
 *
 * Return: 0, or -1 with nothing to close; the reason is told, by whoever gave -1.
 */
int oom_judge_init(struct oom_judge *judge, int fd)
{
	struct bpf_prog_info info = {};
	struct bpf_map_info map;
	__u32 len = sizeof(info);

	memset(judge, 0, sizeof(*judge));
	judge->fd = fd;
	judge->priorities = -1;
	if (fd < 0)
		return -1;
	if (bpf_prog_get_info_by_fd(fd, &info, &len)) {
		oom_err("cannot look at the program: %s", strerror(errno));
		oom_judge_close(judge);
		return -1;
	}
	judge->id = info.id;
	get_prog_full_name(&info, fd, judge->name, sizeof(judge->name));
	judge->priorities = oom_prog_map(fd, OOM_PRIORITY_MAP, &map);
	return 0;
}

/**
 * oom_judge_open() - make a judge of a loaded program
 * @judge: oom_judge_close() ends it
 * @prog_id: which one
 *
 * Return: 0, or -1 with the reason told and nothing to close.
 */
int oom_judge_open(struct oom_judge *judge, __u32 prog_id)
{
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		oom_err("get by id (%u): %s", prog_id, strerror(errno));
	return oom_judge_init(judge, fd);
}

/* Which of two types is asked first, and what rules there if nothing is asked. */
static const struct oom_policy *policy_of_event(const char *path)
{
	return oom_policy_asked(path, BPF_OOM_POLICY, path) ?:
	       oom_policy_asked(path, BPF_OOM_POLICY_TASK, path) ?:
	       oom_policy_ruling(path, BPF_OOM_POLICY) ?:
	       oom_policy_ruling(path, BPF_OOM_POLICY_TASK);
}

/**
 * oom_judge_ruling() - the program that compares the children of a cgroup
 * @judge: oom_judge_close() ends it
 * @path: of the cgroup
 * @attach_type: OOM_ANY_TYPE: that an OOM of the cgroup asks, or the tasks below it
 *
 * Return: 0, or -1 with the reason told and nothing to close.
 */
int oom_judge_ruling(struct oom_judge *judge, const char *path, __u32 attach_type)
{
	const struct oom_policy *list, *ruling;

	judge->fd = -1;
	judge->priorities = -1;
	if (oom_policies(&list) < 0)
		return -1;
	ruling = attach_type == OOM_ANY_TYPE ? policy_of_event(path) :
		 oom_policy_ruling(path, BPF_OOM_POLICY);
	if (!ruling) {
		if (oom_private_root())
			oom_err("no OOM policy is seen that rules in %s: if one does outside of this cgroup namespace, name it with 'prog'",
				path);
		else
			oom_err("no OOM policy rules in %s: attach one there or above it", path);
		return -1;
	}
	if (oom_judge_open(judge, ruling->info.prog_id))
		return -1;
	judge->policy = ruling;
	return 0;
}

/**
 * oom_judge_close() - end of a judge
 * @judge: may be closed already
 */
void oom_judge_close(struct oom_judge *judge)
{
	if (judge->priorities >= 0)
		close(judge->priorities);
	if (judge->fd >= 0)
		close(judge->fd);
	judge->priorities = -1;
	judge->fd = -1;
}

/**
 * oom_prog_name() - the name of a program
 * @id: its id
 * @name: where to; "?" if it has gone
 * @size: room for the name
 */
void oom_prog_name(__u32 id, char *name, size_t size)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	snprintf(name, size, "?");
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return;
	if (!bpf_prog_get_info_by_fd(fd, &info, &len))
		get_prog_full_name(&info, fd, name, size);
	close(fd);
}
