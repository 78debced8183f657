// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The programs of OOM policies: by id, by pin or from an object file, which is
 * loaded; and their priorities, in a map of a certain name.
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
#include <bpf/libbpf.h>

#include "main.h"
#include "oom.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC	0xcafe4a11
#endif

#define PRIORITY_MAP	"oom_priority"

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
	if (!strcmp(arg->words[0], "id"))
		return check_u32(arg->words[1], "program ID");
	if (arg->nr_words == 2 && !strcmp(arg->words[0], "file")) {
		arg->words++;
		arg->nr_words = 1;
	}
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
		oom_err("this kernel has no OOM policies: it needs CONFIG_BPF_OOM_POLICY=y");
	else if (why)
		oom_err("the verifier refuses %s: %s (option -d shows all of its log)", what, why);
	else
		oom_err("the kernel refuses %s: %s (option -d shows why)", what, strerror(err));
	free(why);
}

static int load_file(const char *file, __u32 attach_type, int priorities)
{
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
	prog = find_policy(obj, file, attach_type);
	if (!prog)
		goto out;
	take_priorities(obj, priorities);
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
 * @attach_type: which one of an object file
 * @priorities: the map that one of an object file shall use, or -1
 *
 * Return: its file descriptor, or -1 with the reason told.
 */
int oom_prog_open(const struct oom_prog_arg *arg, __u32 attach_type, int priorities)
{
	const char *file = arg->words[0];
	libbpf_print_fn_t print;
	struct statfs fs;
	int fd;

	if (arg->nr_words == 2)
		return find_loaded(arg);
	if (statfs(file, &fs)) {
		oom_err("cannot read %s: %s", file, strerror(errno));
		return -1;
	}
	if ((unsigned int)fs.f_type == BPF_FS_MAGIC)
		return check_prog_type(open_obj_pinned_any(file, BPF_OBJ_PROG));

	/* We say it in one sentence; the library would add its own. */
	print = libbpf_set_print(NULL);
	if (verifier_logs)
		libbpf_set_print(print);
	fd = load_file(file, attach_type, priorities);
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
	find_priorities(judge, info.nr_map_ids);
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
 * oom_priority_get() - the priority of a cgroup in the map of a program
 * @judge: the program
 * @id: of the cgroup
 * @priority: 0 if none is set
 *
 * Return: whether one is set.
 */
bool oom_priority_get(const struct oom_judge *judge, __u64 id, __s64 *priority)
{
	*priority = 0;
	return judge->priorities >= 0 &&
	       !bpf_map_lookup_elem(judge->priorities, &id, priority);
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
