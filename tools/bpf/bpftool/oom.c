// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * OOM policies for an operator: which one rules where and what it has done,
 * attaching, replacing and detaching, and the priorities that a policy goes by.
 * Also what "bpftool link show" says of their links.
 *
 * Everything that can be refused is refused before anything is changed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <linux/err.h>
#include <linux/magic.h>

#include <bpf/bpf.h>
#include <bpf/hashmap.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC	0xcafe4a11
#endif

#define BPF_FS		"/sys/fs/bpf"
#define OFF_SWITCH	"/proc/sys/vm/oom_policy_enabled"

#define COUNTER(field) { #field, offsetof(struct bpf_link_info, oom_policy.field) }

static const struct counter {
	const char *name;
	size_t offset;
} counters[] = {
	COUNTER(selections),
	COUNTER(comparisons),
	COUNTER(kills),
	COUNTER(fallback_none_eligible),
	COUNTER(fallback_budget),
	COUNTER(fallback_abstain),
	COUNTER(fallback_disabled),
	COUNTER(fallback_in_flight),
	COUNTER(fallback_grace),
	COUNTER(last_victim_cgroup_id),
	COUNTER(last_ns),
	COUNTER(worst_ns),
};

static const struct flag {
	const char *name;
	__u32 bit;
} flags[] = {
	{ "memcg",	BPF_F_OOM_POLICY_MEMCG },
	{ "kill_all",	BPF_F_OOM_POLICY_KILL_ALL },
	{ "root_tasks",	BPF_F_OOM_POLICY_ROOT_TASKS },
};

static __u64 counter_value(const struct bpf_link_info *info, const struct counter *c)
{
	return *(const __u64 *)((const char *)info + c->offset);
}

void oom_policy_dump_plain(const struct bpf_link_info *info)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	char *path = oom_cgroup_path(info->oom_policy.cgroup_id);
	size_t i;

	oom_printf("\n\tcgroup_id %llu  ", info->oom_policy.cgroup_id);
	if (path)
		oom_printf("cgroup %s  ", path);
	if (type)
		oom_printf("attach_type %s  ", type);
	else
		oom_printf("attach_type %u  ", info->oom_policy.attach_type);
	oom_printf("flags %#x  budget_us %u  grace_ms %u", info->oom_policy.flags,
		   info->oom_policy.budget_us, info->oom_policy.grace_ms);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		oom_printf("%s%s %llu", i % 3 ? "  " : "\n\t", counters[i].name,
			   counter_value(info, &counters[i]));
	free(path);
}

void oom_policy_dump_json(const struct bpf_link_info *info, json_writer_t *wtr)
{
	const char *type = libbpf_bpf_attach_type_str(info->oom_policy.attach_type);
	char *path = oom_cgroup_path(info->oom_policy.cgroup_id);
	size_t i;

	oom_json_cgroup(wtr, "cgroup", info->oom_policy.cgroup_id, path);
	if (type)
		jsonw_string_field(wtr, "attach_type", type);
	else
		jsonw_uint_field(wtr, "attach_type", info->oom_policy.attach_type);
	jsonw_uint_field(wtr, "flags", info->oom_policy.flags);
	jsonw_uint_field(wtr, "budget_us", info->oom_policy.budget_us);
	jsonw_uint_field(wtr, "grace_ms", info->oom_policy.grace_ms);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		jsonw_lluint_field(wtr, counters[i].name, counter_value(info, &counters[i]));
	free(path);
}

static void get_prog_name(__u32 id, char *name, size_t size)
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

static const char *type_note(const struct oom_policy *policy)
{
	return policy->info.oom_policy.attach_type == BPF_OOM_POLICY_TASK ? ", type task" : "";
}

static bool is_enabled(void)
{
	FILE *f = fopen(OFF_SWITCH, "re");
	int enabled = 0;

	if (f) {
		if (fscanf(f, "%d", &enabled) != 1)
			enabled = 0;
		fclose(f);
	}
	return enabled;
}

static struct hashmap *find_pins(void)
{
	struct hashmap *pins;

	pins = hashmap__new(hash_fn_for_key_as_id, equal_fn_for_key_as_id, NULL);
	if (IS_ERR(pins)) {
		p_err("mem alloc failed");
		return NULL;
	}
	if (build_pinned_obj_table(pins, BPF_OBJ_LINK)) {
		p_err("cannot look for pinned links: %s", strerror(errno));
		delete_pinned_obj_table(pins);
		return NULL;
	}
	return pins;
}

static void show_flags_plain(__u32 bits)
{
	const char *sep = "flags ";
	size_t i;

	if (!bits)
		oom_printf("flags none");
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (bits & flags[i].bit) {
			oom_printf("%s%s", sep, flags[i].name);
			sep = ",";
		}
		bits &= ~flags[i].bit;
	}
	if (bits)
		oom_printf("%s%#x", sep, bits);
}

static void show_fallbacks_plain(const struct bpf_link_info *info)
{
	static const char prefix[] = "fallback_";
	const char *sep = "  fallbacks ", *c;
	bool any = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (!is_prefix(prefix, counters[i].name) || !counter_value(info, &counters[i]))
			continue;
		any = true;
		oom_printf("%s", sep);
		for (c = counters[i].name + strlen(prefix); *c; c++)
			putchar(*c == '_' ? ' ' : *c);
		oom_printf(" %llu", counter_value(info, &counters[i]));
		sep = ", ";
	}
	if (!any)
		oom_printf("  fallbacks none");
}

static void show_pins_plain(struct hashmap *pins, __u32 id)
{
	struct hashmap_entry *entry;
	bool pinned = false;

	hashmap__for_each_key_entry(pins, entry, id) {
		oom_printf(", pinned %s", (char *)entry->pvalue);
		pinned = true;
	}
	if (!pinned)
		oom_printf(", not pinned");
}

/* @indent: what stands to the left of the lines after the first. */
static void show_policy_plain(const struct oom_policy *policy, struct hashmap *pins,
			      const char *indent)
{
	const struct bpf_link_info *info = &policy->info;
	char name[MAX_PROG_FULL_NAME];
	char *victim;

	get_prog_name(info->prog_id, name, sizeof(name));
	oom_printf("%s: %s (prog id %u), link id %u%s", policy->path ?: "detached", name,
		   info->prog_id, info->id, type_note(policy));
	show_pins_plain(pins, info->id);

	oom_printf("\n%s", indent);
	show_flags_plain(info->oom_policy.flags);
	oom_printf("  budget %u us", info->oom_policy.budget_us);
	if (info->oom_policy.grace_ms)
		oom_printf("  grace %u ms", info->oom_policy.grace_ms);

	oom_printf("\n%sselections %llu  comparisons %llu  kills %llu", indent,
		   info->oom_policy.selections, info->oom_policy.comparisons,
		   info->oom_policy.kills);
	if (info->oom_policy.last_victim_cgroup_id) {
		victim = oom_cgroup_name(info->oom_policy.last_victim_cgroup_id);
		oom_printf("  last victim %s", victim ?: "?");
		free(victim);
	}

	oom_printf("\n%slast %llu us  worst %llu us", indent, info->oom_policy.last_ns / 1000,
		   info->oom_policy.worst_ns / 1000);
	show_fallbacks_plain(info);
	putchar('\n');
}

static void show_policy_json(const struct oom_policy *policy, struct hashmap *pins)
{
	const struct bpf_link_info *info = &policy->info;
	char name[MAX_PROG_FULL_NAME];
	struct hashmap_entry *entry;
	char *victim;
	size_t i;

	get_prog_name(info->prog_id, name, sizeof(name));
	victim = oom_cgroup_path(info->oom_policy.last_victim_cgroup_id);

	jsonw_start_object(json_wtr);
	jsonw_string_field(json_wtr, "prog_name", name);
	jsonw_uint_field(json_wtr, "prog_id", info->prog_id);
	jsonw_uint_field(json_wtr, "link_id", info->id);
	oom_policy_dump_json(info, json_wtr);
	jsonw_name(json_wtr, "flag_names");
	jsonw_start_array(json_wtr);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (info->oom_policy.flags & flags[i].bit)
			jsonw_string(json_wtr, flags[i].name);
	jsonw_end_array(json_wtr);
	if (victim)
		jsonw_string_field(json_wtr, "last_victim_cgroup", victim);
	else
		jsonw_null_field(json_wtr, "last_victim_cgroup");
	jsonw_name(json_wtr, "pinned");
	jsonw_start_array(json_wtr);
	hashmap__for_each_key_entry(pins, entry, info->id)
		jsonw_string(json_wtr, entry->pvalue);
	jsonw_end_array(json_wtr);
	jsonw_end_object(json_wtr);
	free(victim);
}

/* What "show" is about: all of it, or a cgroup and what is below it. */
struct show {
	const struct oom_policy *list;
	int nr;
	const struct oom_policy *ruling[2];	/* cgroups and tasks */
	const char *path;
	struct hashmap *pins;
};

static bool is_shown(const struct show *show, int i)
{
	const struct oom_policy *policy = &show->list[i];

	if (!show->path)
		return true;
	return policy == show->ruling[0] || policy == show->ruling[1] ||
	       (policy->path && oom_path_below(policy->path, show->path));
}

/* The nearest of those shown that is above it, -1 if there is none. */
static int parent_of(const struct show *show, int i)
{
	const char *path = show->list[i].path;
	int j;

	for (j = i - 1; path && j >= 0; j--)
		if (is_shown(show, j) && strcmp(show->list[j].path, path) &&
		    oom_path_below(path, show->list[j].path))
			return j;
	return -1;
}

static int next_child(const struct show *show, int parent, int i)
{
	for (i++; i < show->nr; i++)
		if (is_shown(show, i) && parent_of(show, i) == parent)
			return i;
	return -1;
}

static void show_below_plain(const struct show *show, int parent, const char *prefix)
{
	char indent[256], below[sizeof(indent) + 4];
	int i, next;

	for (i = next_child(show, parent, parent); i >= 0; i = next) {
		next = next_child(show, parent, i);
		if (parent >= 0) {
			oom_printf("%s%c-- ", prefix, next < 0 ? '`' : '|');
			snprintf(indent, sizeof(indent), "%.200s%c   ", prefix,
				 next < 0 ? ' ' : '|');
		} else {
			indent[0] = '\0';
		}
		snprintf(below, sizeof(below), "%s%c   ", indent,
			 next_child(show, i, i) < 0 ? ' ' : '|');
		show_policy_plain(&show->list[i], show->pins, below);
		show_below_plain(show, i, indent);
	}
}

static void show_json(const struct show *show)
{
	int i;

	jsonw_start_object(json_wtr);
	jsonw_bool_field(json_wtr, "enabled", is_enabled());
	jsonw_name(json_wtr, "policies");
	jsonw_start_array(json_wtr);
	for (i = 0; i < show->nr; i++)
		if (is_shown(show, i))
			show_policy_json(&show->list[i], show->pins);
	jsonw_end_array(json_wtr);
	jsonw_end_object(json_wtr);
}

static int do_show(int argc, char **argv)
{
	struct oom_cgroup cgroup = {};
	struct show show = {};
	int err = -1;

	if (argc > 1) {
		p_err("show takes one cgroup at most, what is '%s'?", argv[1]);
		return -1;
	}
	if (argc && oom_cgroup_parse(*argv, &cgroup))
		return -1;
	show.path = cgroup.path;
	show.nr = oom_policies(&show.list);
	if (show.nr < 0)
		goto out;
	if (show.path) {
		show.ruling[0] = oom_policy_ruling(show.path, BPF_OOM_POLICY);
		show.ruling[1] = oom_policy_ruling(show.path, BPF_OOM_POLICY_TASK);
	}
	show.pins = find_pins();
	if (!show.pins)
		goto out;

	if (json_output) {
		show_json(&show);
	} else {
		show_below_plain(&show, -1, "");
		if (next_child(&show, -1, -1) < 0)
			p_info("no OOM policy is attached");
		else if (!is_enabled())
			printf("switched off by vm.oom_policy_enabled: the stock killer decides\n");
	}
	delete_pinned_obj_table(show.pins);
	err = 0;
out:
	oom_cgroup_free(&cgroup);
	return err;
}

static int parse_type(const char *text, __u32 *type)
{
	if (!strcmp(text, "memcg")) {
		*type = BPF_OOM_POLICY;
	} else if (!strcmp(text, "task")) {
		*type = BPF_OOM_POLICY_TASK;
	} else {
		p_err("type is memcg or task, not '%s'", text);
		return -1;
	}
	return 0;
}

static int parse_flags(char *text, __u32 *bits)
{
	char *name, *saved = NULL;
	size_t i;

	for (name = strtok_r(text, ",", &saved); name; name = strtok_r(NULL, ",", &saved)) {
		for (i = 0; i < ARRAY_SIZE(flags); i++)
			if (!strcmp(name, flags[i].name))
				break;
		if (i == ARRAY_SIZE(flags)) {
			p_err("flags are memcg, kill_all and root_tasks, not '%s'", name);
			return -1;
		}
		*bits |= flags[i].bit;
	}
	return 0;
}

struct attach_args {
	struct oom_prog_arg prog;
	struct oom_cgroup cgroup;
	__u32 type;
	__u32 flags;
	__u32 budget_us;
	__u32 grace_ms;
	const char *pin;
	char default_pin[PATH_MAX];
};

/* A word that starts an option, so that the cgroup was left out. */
static bool is_attach_option(const char *word)
{
	return !strcmp(word, "type") || !strcmp(word, "flags") ||
	       !strcmp(word, "budget") || !strcmp(word, "grace") || !strcmp(word, "pin");
}

static int parse_attach_option(char *word, char *value, struct attach_args *args)
{
	if (!strcmp(word, "type"))
		return parse_type(value, &args->type);
	if (!strcmp(word, "flags"))
		return parse_flags(value, &args->flags);
	if (!strcmp(word, "budget"))
		return oom_parse_u32(value, "budget, in microseconds,", &args->budget_us);
	if (!strcmp(word, "grace"))
		return oom_parse_u32(value, "grace, in milliseconds,", &args->grace_ms);
	args->pin = value;
	return 0;
}

static int parse_attach(int argc, char **argv, struct attach_args *args)
{
	const char *path = "/";

	if (oom_prog_parse(&argc, &argv, &args->prog))
		return -1;
	if (argc && !is_attach_option(*argv))
		path = GET_ARG();
	while (argc) {
		if (!is_attach_option(*argv)) {
			p_err("what is '%s'? attach has the options type, flags, budget, grace and pin",
			      *argv);
			return -1;
		}
		if (argc < 2) {
			p_err("'%s' wants a value", *argv);
			return -1;
		}
		if (parse_attach_option(argv[0], argv[1], args))
			return -1;
		argc -= 2;
		argv += 2;
	}
	return oom_cgroup_parse(path, &args->cgroup);
}

/* Without a pin a link would not outlive the command that made it. */
static void choose_pin(struct attach_args *args)
{
	char *c;

	if (args->pin)
		return;
	snprintf(args->default_pin, sizeof(args->default_pin), BPF_FS "/oom_policy%s%s",
		 strcmp(args->cgroup.path, "/") ? args->cgroup.path : "/root",
		 args->type == BPF_OOM_POLICY_TASK ? "/task" : "");
	for (c = args->default_pin + strlen(BPF_FS) + 1; *c; c++)
		if (*c == '/' || *c == '.')
			*c = '_';
	args->pin = args->default_pin;
}

static int check_pin(const char *pin)
{
	struct statfs fs;
	char *copy, *dir;
	int err = -1;

	copy = strdup(pin);
	if (!copy) {
		p_err("mem alloc failed");
		return -1;
	}
	dir = dirname(copy);
	if (!access(pin, F_OK))
		p_err("%s exists already: give another place with 'pin'", pin);
	else if (statfs(dir, &fs))
		p_err("cannot pin in directory %s: %s", dir, strerror(errno));
	else if ((unsigned int)fs.f_type != BPF_FS_MAGIC)
		p_err("%s is not in a BPF file system: mount -t bpf none " BPF_FS, pin);
	else if (strchr(pin + strlen(dir), '.'))
		p_err("a pin has no dot in its name: %s", pin);
	else
		err = 0;
	free(copy);
	return err;
}

static int check_slot(const struct attach_args *args)
{
	const struct oom_policy *list, *holder;
	char name[MAX_PROG_FULL_NAME];

	if (oom_policies(&list) < 0)
		return -1;
	holder = oom_policy_at(args->cgroup.path, args->type);
	if (!holder)
		return 0;
	get_prog_name(holder->info.prog_id, name, sizeof(name));
	p_err("%s has an OOM policy already: %s (prog id %u) by link id %u; replace or detach it",
	      args->cgroup.path, name, holder->info.prog_id, holder->info.id);
	return -1;
}

static void explain_attach(const char *path, int err)
{
	switch (err) {
	case EPERM:
		p_err("no permission to attach an OOM policy: it takes CAP_SYS_ADMIN");
		break;
	case EOPNOTSUPP:
		p_err("%s has no memory controller: enable it in cgroup.subtree_control of its parent%s",
		      path, strcmp(path, "/") ? "" : " (is it on cgroup v1?)");
		break;
	case ENOENT:
		p_err("%s is being removed", path);
		break;
	case EBUSY:
		p_err("%s has got an OOM policy meanwhile", path);
		break;
	case ERANGE:
		p_err("the grace is too long: the kernel takes 60000 milliseconds at most");
		break;
	case EINVAL:
		p_err("the kernel does not attach this program to %s: another type, or an unknown option",
		      path);
		break;
	default:
		p_err("cannot attach to %s: %s", path, strerror(err));
	}
}

static int attach(const struct attach_args *args, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int cgroup_fd, link_fd;

	cgroup_fd = oom_cgroup_open(args->cgroup.path);
	if (cgroup_fd < 0)
		return -1;
	opts.oom_policy.flags = args->flags;
	opts.oom_policy.budget_us = args->budget_us;
	opts.oom_policy.grace_ms = args->grace_ms;
	link_fd = bpf_link_create(prog_fd, cgroup_fd, args->type, &opts);
	close(cgroup_fd);
	if (link_fd < 0) {
		explain_attach(args->cgroup.path, -link_fd);
		return -1;
	}
	if (bpf_obj_pin(link_fd, args->pin)) {
		p_err("cannot pin %s: %s; nothing is attached", args->pin, strerror(errno));
		close(link_fd);
		return -1;
	}
	return link_fd;
}

/* One line of what has been done. */
static void tell_link(const char *done, const struct oom_judge *judge, __u32 link_id,
		      const struct oom_cgroup *cgroup, const char *pin)
{
	if (!json_output) {
		oom_printf("%s %s (prog id %u) at %s, link id %u%s%s\n", done, judge->name,
			   judge->id, cgroup->path, link_id, pin ? ", pinned " : "", pin ?: "");
		return;
	}
	jsonw_start_object(json_wtr);
	jsonw_string_field(json_wtr, "prog_name", judge->name);
	jsonw_uint_field(json_wtr, "prog_id", judge->id);
	jsonw_uint_field(json_wtr, "link_id", link_id);
	oom_json_cgroup(json_wtr, "cgroup", cgroup->id, cgroup->path);
	if (pin)
		jsonw_string_field(json_wtr, "pinned", pin);
	jsonw_end_object(json_wtr);
}

static int do_attach(int argc, char **argv)
{
	struct attach_args args = { .type = BPF_OOM_POLICY };
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct oom_judge judge;
	int link_fd, err = -1;

	if (parse_attach(argc, argv, &args))
		return -1;
	choose_pin(&args);
	if (check_slot(&args) || check_pin(args.pin) ||
	    oom_judge_init(&judge, oom_prog_open(&args.prog, args.type, -1)))
		goto out;

	link_fd = attach(&args, judge.fd);
	if (link_fd >= 0) {
		bpf_link_get_info_by_fd(link_fd, &info, &len);
		tell_link("attached", &judge, info.id, &args.cgroup, args.pin);
		close(link_fd);
		err = 0;
	}
	oom_judge_close(&judge);
out:
	oom_cgroup_free(&args.cgroup);
	return err;
}

/* A link as the user has named it: by id, by pin, or by where it is attached. */
struct target {
	int fd;
	struct bpf_link_info info;
	struct oom_cgroup cgroup;	/* "?" and 0 once it is detached */
};

static int target_link(struct target *target, const char *what)
{
	__u32 len = sizeof(target->info);
	const char *type;

	if (get_fd_type(target->fd) != BPF_OBJ_LINK) {
		p_err("%s is a pinned %s, not a link", what,
		      get_fd_type_name(get_fd_type(target->fd)));
		return -1;
	}
	if (bpf_link_get_info_by_fd(target->fd, &target->info, &len)) {
		p_err("cannot look at %s: %s", what, strerror(errno));
		return -1;
	}
	if (target->info.type != BPF_LINK_TYPE_OOM_POLICY) {
		type = libbpf_bpf_link_type_str(target->info.type);
		p_err("%s is a link of type %s, not of an OOM policy", what, type ?: "unknown");
		return -1;
	}
	target->cgroup.id = target->info.oom_policy.cgroup_id;
	target->cgroup.path = oom_cgroup_path(target->cgroup.id) ?: strdup("?");
	return 0;
}

static int target_by_id(struct target *target, const char *text)
{
	char what[32];
	__u32 id;

	if (oom_parse_u32(text, "a link id", &id))
		return -1;
	target->fd = bpf_link_get_fd_by_id(id);
	if (target->fd < 0) {
		if (errno == ENOENT)
			p_err("no link has the id %u", id);
		else
			p_err("cannot open the link with id %u: %s", id, strerror(errno));
		return -1;
	}
	snprintf(what, sizeof(what), "link id %u", id);
	return target_link(target, what);
}

static int target_by_pin(struct target *target, const char *path)
{
	target->fd = bpf_obj_get(path);
	if (target->fd < 0) {
		p_err("cannot open pinned link %s: %s", path, strerror(errno));
		return -1;
	}
	return target_link(target, path);
}

static int target_by_cgroup(struct target *target, const char *text, __u32 type)
{
	const struct oom_policy *list, *policy, *ruling;
	struct oom_cgroup cgroup;
	char id[16];
	int err = -1;

	if (oom_cgroup_parse(text, &cgroup))
		return -1;
	if (oom_policies(&list) < 0)
		goto out;
	policy = oom_policy_at(cgroup.path, type);
	ruling = oom_policy_ruling(cgroup.path, type);
	if (policy) {
		snprintf(id, sizeof(id), "%u", policy->info.id);
		err = target_by_id(target, id);
	} else {
		p_err("no OOM policy%s is attached to %s%s%s",
		      type == BPF_OOM_POLICY_TASK ? " of type task" : "", cgroup.path,
		      ruling ? ": the one that rules there is attached to " : "",
		      ruling ? ruling->path : "");
	}
out:
	oom_cgroup_free(&cgroup);
	return err;
}

static int target_parse(int *argc, char ***argv, struct target *target, __u32 type)
{
	const char *word = **argv;
	bool by_id = !strcmp(word, "id"), pinned = !strcmp(word, "pinned");

	target->fd = -1;
	if (by_id || pinned) {
		if (*argc < 2) {
			p_err("'%s' wants the %s of a link", word, by_id ? "id" : "pin");
			return -1;
		}
		(*argc)--;
		(*argv)++;
	}
	word = **argv;
	(*argc)--;
	(*argv)++;
	if (by_id)
		return target_by_id(target, word);
	return pinned ? target_by_pin(target, word) : target_by_cgroup(target, word, type);
}

static void target_close(struct target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	oom_cgroup_free(&target->cgroup);
}

/* The option "type" comes last but says which link is meant: look for it first. */
static int parse_last_type(int *argc, char **argv, __u32 *type)
{
	*type = BPF_OOM_POLICY;
	if (*argc < 2 || strcmp(argv[*argc - 2], "type"))
		return 0;
	*argc -= 2;
	return parse_type(argv[*argc + 1], type);
}

static int unpin(struct hashmap *pins, __u32 id)
{
	struct hashmap_entry *entry;

	hashmap__for_each_key_entry(pins, entry, id) {
		/* A bpffs that is mounted twice shows each pin twice. */
		if (unlink(entry->pvalue) && errno != ENOENT) {
			p_err("detached, but cannot remove the pin %s: %s",
			      (char *)entry->pvalue, strerror(errno));
			return -1;
		}
	}
	return 0;
}

static int detach_link(const struct target *target, struct hashmap *pins)
{
	struct oom_judge judge;
	int err;

	if (oom_judge_open(&judge, target->info.prog_id))
		return -1;
	err = bpf_link_detach(target->fd);
	if (err)
		p_err("cannot detach link id %u: %s", target->info.id, strerror(-err));
	else
		err = unpin(pins, target->info.id);
	if (!err)
		tell_link("detached", &judge, target->info.id, &target->cgroup, NULL);
	oom_judge_close(&judge);
	return err ? -1 : 0;
}

static int do_detach(int argc, char **argv)
{
	struct target target = { .fd = -1 };
	struct hashmap *pins;
	int err = -1;
	__u32 type;

	if (parse_last_type(&argc, argv, &type))
		return -1;
	if (!argc) {
		p_err("which policy? a cgroup, 'id LINK_ID' or 'pinned FILE'");
		return -1;
	}
	if (target_parse(&argc, &argv, &target, type))
		goto out;
	if (argc) {
		BAD_ARG();
		goto out;
	}
	pins = find_pins();
	if (!pins)
		goto out;
	err = detach_link(&target, pins);
	delete_pinned_obj_table(pins);
out:
	target_close(&target);
	return err;
}

static int replace_prog(const struct target *target, int old_fd, int new_fd)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	int err;

	opts.flags = BPF_F_REPLACE;
	opts.old_prog_fd = old_fd;
	err = bpf_link_update(target->fd, new_fd, &opts);
	switch (err) {
	case 0:
		return 0;
	case -EPERM:
		p_err("the program of link id %u was replaced meanwhile", target->info.id);
		break;
	case -EINVAL:
		p_err("link id %u takes no program of this type", target->info.id);
		break;
	case -ENOLINK:
		p_err("link id %u is detached", target->info.id);
		break;
	default:
		p_err("cannot replace the program of link id %u: %s", target->info.id,
		      strerror(-err));
	}
	return -1;
}

static int do_replace(int argc, char **argv)
{
	struct target target = { .fd = -1 };
	struct oom_judge old, new;
	struct oom_prog_arg prog;
	int err = -1;
	__u32 type;

	if (parse_last_type(&argc, argv, &type))
		return -1;
	if (argc < 2) {
		p_err("which policy, and by which program? a cgroup or a link, then a program");
		return -1;
	}
	if (target_parse(&argc, &argv, &target, type) || oom_prog_parse(&argc, &argv, &prog))
		goto out;
	if (argc) {
		BAD_ARG();
		goto out;
	}
	if (oom_judge_open(&old, target.info.prog_id))
		goto out;
	if (oom_judge_init(&new, oom_prog_open(&prog, target.info.oom_policy.attach_type,
					       old.priorities)))
		goto out_old;

	err = replace_prog(&target, old.fd, new.fd);
	if (!err)
		tell_link("replaced by", &new, target.info.id, &target.cgroup, NULL);
	oom_judge_close(&new);
out_old:
	oom_judge_close(&old);
out:
	target_close(&target);
	return err;
}

/* The policy under which @path has a priority among its siblings. */
static int priority_judge(struct oom_judge *judge, const char *path)
{
	if (oom_judge_ruling(judge, path, BPF_OOM_POLICY))
		return -1;
	if (judge->priorities >= 0)
		return 0;
	if (judge->odd_priorities)
		p_err("the map oom_priority of %s (prog id %u) is not a hash from u64 to s64",
		      judge->name, judge->id);
	else
		p_err("%s (prog id %u), which rules in %s, has no priorities: no map oom_priority",
		      judge->name, judge->id, path);
	oom_judge_close(judge);
	return -1;
}

static int priority_judge_of(struct oom_judge *judge, const struct oom_cgroup *cgroup)
{
	char *parent = strdup(cgroup->path);
	int err;

	if (!parent) {
		p_err("mem alloc failed");
		return -1;
	}
	err = priority_judge(judge, dirname(parent));
	free(parent);
	return err;
}

static int parse_priority(const char *text, __s64 *priority)
{
	char *end;

	while (*text == ' ')
		text++;
	errno = 0;
	*priority = strtoll(text, &end, 10);
	if (end != text && !*end && !errno && *text != '\t')
		return 0;
	p_err("a priority is a number from %lld to %lld, not '%s'", LLONG_MIN, LLONG_MAX, text);
	return -1;
}

static void show_priority(__u64 id, const char *path, __s64 priority, bool set)
{
	if (json_output) {
		jsonw_start_object(json_wtr);
		oom_json_cgroup(json_wtr, "cgroup", id, path);
		jsonw_int_field(json_wtr, "priority", priority);
		jsonw_bool_field(json_wtr, "set", set);
		jsonw_end_object(json_wtr);
	} else if (path) {
		oom_printf("%20lld  %s%s\n", priority, path, set ? "" : " (not set)");
	} else {
		oom_printf("%20lld  cgroup id %llu (gone)\n", priority, id);
	}
}

struct priority {
	__u64 id;
	__s64 value;
	char *path;
};

static int compare_priorities(const void *a, const void *b)
{
	const struct priority *prio_a = a, *prio_b = b;

	if (!prio_a->path || !prio_b->path)
		return !prio_a->path - !prio_b->path;
	return strcmp(prio_a->path, prio_b->path);
}

static int list_priorities(int map_fd)
{
	struct priority *list = NULL, *more;
	__u64 id, *prev = NULL;
	int nr = 0, i, err = -1;

	while (!bpf_map_get_next_key(map_fd, prev, &id)) {
		more = realloc(list, (nr + 1) * sizeof(*list));
		if (!more) {
			p_err("mem alloc failed");
			goto out;
		}
		list = more;
		prev = &list[nr].id;
		*prev = id;
		if (!bpf_map_lookup_elem(map_fd, &id, &list[nr].value))
			list[nr++].path = oom_cgroup_path(id);
	}
	if (nr)
		qsort(list, nr, sizeof(*list), compare_priorities);

	if (json_output)
		jsonw_start_array(json_wtr);
	for (i = 0; i < nr; i++)
		show_priority(list[i].id, list[i].path, list[i].value, true);
	if (json_output)
		jsonw_end_array(json_wtr);
	else if (!nr)
		p_info("no priority is set");
	err = 0;
out:
	while (nr--)
		free(list[nr].path);
	free(list);
	return err;
}

static int do_priority_list(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	int err;

	if (argc > 1) {
		p_err("priority list takes one cgroup at most, what is '%s'?", argv[1]);
		return -1;
	}
	if (oom_cgroup_parse(argc ? *argv : "/", &cgroup))
		return -1;
	err = priority_judge(&judge, cgroup.path);
	if (!err) {
		err = list_priorities(judge.priorities);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err;
}

static int do_priority_get(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	__s64 priority;
	bool set;
	int err;

	if (argc != 1) {
		p_err("priority get wants a cgroup and nothing else");
		return -1;
	}
	if (oom_cgroup_parse(*argv, &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		set = oom_priority_get(&judge, cgroup.id, &priority);
		show_priority(cgroup.id, cgroup.path, priority, set);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err;
}

static int do_priority_set(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	__s64 priority;
	int err;

	if (argc != 2) {
		p_err("priority set wants a cgroup and a number");
		return -1;
	}
	if (parse_priority(argv[1], &priority) || oom_cgroup_parse(argv[0], &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		err = bpf_map_update_elem(judge.priorities, &cgroup.id, &priority, BPF_ANY);
		if (err)
			p_err("cannot set the priority of %s: %s", cgroup.path,
			      err == -E2BIG ? "the map is full" : strerror(-err));
		else
			show_priority(cgroup.id, cgroup.path, priority, true);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
	return err ? -1 : 0;
}

static int delete_priority(const struct oom_judge *judge, __u64 id, const char *name)
{
	const int err = bpf_map_delete_elem(judge->priorities, &id);

	if (err == -ENOENT)
		p_err("%s has no priority set", name);
	else if (err)
		p_err("cannot delete the priority of %s: %s", name, strerror(-err));
	return err ? -1 : 0;
}

/* Entries stay when their cgroup goes: find the policy that has this one. */
static int delete_priority_of_id(const char *text)
{
	const struct oom_policy *list;
	struct oom_judge judge;
	int nr, i, err = -1;
	bool found = false;
	__s64 priority;
	char *end;
	__u64 id;

	errno = 0;
	id = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno) {
		p_err("a cgroup id is a number, not '%s'", text);
		return -1;
	}
	nr = oom_policies(&list);
	for (i = 0; i < nr && !found; i++) {
		if (oom_judge_open(&judge, list[i].info.prog_id))
			return -1;
		found = oom_priority_get(&judge, id, &priority);
		if (found)
			err = delete_priority(&judge, id, "the cgroup");
		oom_judge_close(&judge);
	}
	if (nr >= 0 && !found)
		p_err("no OOM policy has a priority for the cgroup id %s", text);
	return err;
}

static int do_priority_delete(int argc, char **argv)
{
	struct oom_cgroup cgroup;
	struct oom_judge judge;
	int err;

	if (argc == 2 && !strcmp(argv[0], "id")) {
		err = delete_priority_of_id(argv[1]);
		goto out;
	}
	if (argc != 1) {
		p_err("priority delete wants a cgroup, or 'id CGROUP_ID'");
		return -1;
	}
	if (oom_cgroup_parse(*argv, &cgroup))
		return -1;
	err = priority_judge_of(&judge, &cgroup);
	if (!err) {
		err = delete_priority(&judge, cgroup.id, cgroup.path);
		oom_judge_close(&judge);
	}
	oom_cgroup_free(&cgroup);
out:
	if (!err && json_output)
		jsonw_null(json_wtr);
	return err;
}

static int do_priority(int argc, char **argv)
{
	static const struct cmd cmds[] = {
		{ "list",	do_priority_list },
		{ "get",	do_priority_get },
		{ "set",	do_priority_set },
		{ "delete",	do_priority_delete },
		{ 0 }
	};
	int i;

	if (!argc)
		return do_priority_list(argc, argv);
	for (i = 0; cmds[i].cmd; i++)
		if (is_prefix(*argv, cmds[i].cmd))
			return cmds[i].func(argc - 1, argv + 1);
	p_err("what is '%s'? priority has list, get, set and delete", *argv);
	return -1;
}

static int do_help(int argc, char **argv)
{
	if (json_output) {
		jsonw_null(json_wtr);
		return 0;
	}

	fprintf(stderr,
		"Usage: %1$s oom { show | list } [CGROUP]\n"
		"       %1$s oom attach   PROG [CGROUP] [type { memcg | task }] [flags FLAGS]\n"
		"                          [budget MICROSECONDS] [grace MILLISECONDS] [pin FILE]\n"
		"       %1$s oom detach   { CGROUP | LINK } [type { memcg | task }]\n"
		"       %1$s oom replace  { CGROUP | LINK } PROG [type { memcg | task }]\n"
		"       %1$s oom compare  CGROUP CGROUP [prog PROG]\n"
		"       %1$s oom rank     [CGROUP] [prog PROG]\n"
		"       %1$s oom select   [CGROUP] [prog PROG]\n"
		"       %1$s oom check    [CGROUP] [prog PROG]\n"
		"       %1$s oom priority list [CGROUP]\n"
		"       %1$s oom priority get CGROUP\n"
		"       %1$s oom priority set CGROUP NUMBER\n"
		"       %1$s oom priority delete { CGROUP | id CGROUP_ID }\n"
		"       %1$s oom monitor  [count NUMBER]\n"
		"       %1$s oom help\n"
		"\n"
		"       CGROUP := a path from the root of cgroup v2, or from its mount point on\n"
		"       PROG := { id PROG_ID | pinned FILE | OBJECT_FILE }\n"
		"       FLAGS := { memcg | kill_all | root_tasks }[,...]\n"
		"       " HELP_SPEC_LINK "\n"
		"       " HELP_SPEC_OPTIONS " }\n"
		"",
		bin_name);

	return 0;
}

static const struct cmd cmds[] = {
	{ "show",	do_show },
	{ "list",	do_show },
	{ "attach",	do_attach },
	{ "detach",	do_detach },
	{ "replace",	do_replace },
	{ "compare",	oom_do_compare },
	{ "rank",	oom_do_rank },
	{ "select",	oom_do_select },
	{ "check",	oom_do_check },
	{ "priority",	do_priority },
	{ "monitor",	oom_do_monitor },
	{ "help",	do_help },
	{ 0 }
};

int do_oom(int argc, char **argv)
{
	int err;

	err = cmd_select(cmds, argc, argv, do_help);
	oom_lookup_done();
	if (!err)
		errno = 0;	/* what was looked for and not found is no error of a batch */
	return err;
}
