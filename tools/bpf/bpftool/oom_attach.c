// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Putting OOM policies in their place: "attach", "detach" and "replace".
 *
 * Everything that can be refused is refused before anything is changed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>

#include <bpf/bpf.h>
#include <bpf/hashmap.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_compat.h"

/* The kernel has two errors of the same name: which one it is has to be known here. */
#define MAX_BUDGET_US	10000000U

static int parse_type(const char *text, __u32 *type)
{
	if (!strcmp(text, "memcg")) {
		*type = BPF_OOM_POLICY;
	} else if (!strcmp(text, "task")) {
		*type = BPF_OOM_POLICY_TASK;
	} else {
		oom_err("type is memcg or task, not '%s'", text);
		return -1;
	}
	return 0;
}

static int parse_flags(char *text, __u32 *bits)
{
	char *name, *saved = NULL;
	size_t i;

	for (name = strtok_r(text, ",", &saved); name; name = strtok_r(NULL, ",", &saved)) {
		for (i = 0; i < OOM_NR_FLAGS; i++)
			if (!strcmp(name, oom_flags[i].name))
				break;
		if (i == OOM_NR_FLAGS) {
			oom_err("flags are memcg, kill_all and root_tasks, not '%s'", name);
			return -1;
		}
		*bits |= oom_flags[i].bit;
	}
	return 0;
}

struct attach_args {
	struct oom_prog_arg prog;
	struct oom_cgroup cgroup;
	unsigned int seen;	/* which options */
	__u32 type;
	__u32 flags;
	__u32 budget_us;
	__u32 grace_ms;
	__u32 max_futile;
	struct oom_load load;
	const char *map_pin;
	bool map_there;		/* it is pinned already */
	const char *pin;
	char default_pin[PATH_MAX];
};

static const char * const attach_options[] = {
	"type", "flags", "budget", "grace", "futile", "floor", "map", "pin",
	"set",		/* as often as there are variables */
};

static size_t find_attach_option(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attach_options); i++)
		if (!strcmp(word, attach_options[i]))
			break;
	return i;
}

/* A word that starts an option, so that the cgroup was left out. */
static bool is_attach_option(const char *word)
{
	return find_attach_option(word) < ARRAY_SIZE(attach_options);
}

/* Of two values one would be lost without a word. */
static int see_option(const char *word, unsigned int *seen)
{
	const unsigned int bit = 1U << find_attach_option(word);

	if (*seen & bit && strcmp(word, "set")) {
		oom_err("'%s' is there twice", word);
		return -1;
	}
	*seen |= bit;
	return 0;
}

/* "floor SIZE" */
static int parse_floor(int *argc, char ***argv, struct oom_load *load)
{
	if (*argc < 2) {
		oom_err("'floor' wants a size");
		return -1;
	}
	if (oom_parse_size((*argv)[1], &load->floor))
		return -1;
	load->has_floor = true;
	*argc -= 2;
	*argv += 2;
	return 0;
}

/* "map NAME pin FILE" */
static int parse_map(int *argc, char ***argv, struct attach_args *args)
{
	if (*argc < 4 || strcmp((*argv)[2], "pin")) {
		oom_err("'map' wants its name, 'pin' and a file");
		return -1;
	}
	args->load.map = (*argv)[1];
	args->load.map_required = true;
	args->map_pin = (*argv)[3];
	*argc -= 4;
	*argv += 4;
	return 0;
}

/* As whoever types it means it: not how the kernel tells "none" from "not given". */
static int parse_futile(int *argc, char ***argv, __u32 *kills)
{
	if (oom_parse_u32(argc, argv, kills, "number of kills"))
		return -1;
	if (!*kills)
		*kills = BPF_OOM_POLICY_NEVER_FUTILE;
	return 0;
}

static int parse_attach_option(int *argc, char ***argv, struct attach_args *args)
{
	char *word = **argv, *value;

	if (see_option(word, &args->seen))
		return -1;
	if (!strcmp(word, "set"))
		return oom_prog_parse_set(argc, argv, &args->prog);
	if (*argc < 2) {
		oom_err("'%s' wants a value", word);
		return -1;
	}
	if (!strcmp(word, "floor"))
		return parse_floor(argc, argv, &args->load);
	if (!strcmp(word, "map"))
		return parse_map(argc, argv, args);
	if (!strcmp(word, "budget"))
		return oom_parse_u32(argc, argv, &args->budget_us, "budget in microseconds");
	if (!strcmp(word, "grace"))
		return oom_parse_u32(argc, argv, &args->grace_ms, "grace in milliseconds");
	if (!strcmp(word, "futile"))
		return parse_futile(argc, argv, &args->max_futile);

	value = (*argv)[1];
	*argc -= 2;
	*argv += 2;
	if (!strcmp(word, "type"))
		return parse_type(value, &args->type);
	if (!strcmp(word, "flags"))
		return parse_flags(value, &args->flags);
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
			oom_err("what is '%s'? attach has the options type, flags, budget, grace, futile, floor, map, pin and set",
				*argv);
			return -1;
		}
		if (parse_attach_option(&argc, &argv, args))
			return -1;
	}
	if (args->type == BPF_OOM_POLICY_TASK && args->flags & ~BPF_F_OOM_POLICY_MEMCG) {
		oom_err("of the flags type task has memcg only");
		return -1;
	}
	return oom_cgroup_parse(path, &args->cgroup);
}

/* Without a pin a link would not outlive the command that made it. */
static void choose_pin(struct attach_args *args)
{
	if (args->pin)
		return;
	oom_pin_name(&args->cgroup, args->type, args->default_pin, sizeof(args->default_pin));
	args->pin = args->default_pin;
}

/* What cannot be pinned is not attached, either. */
static int check_pin(const char *pin)
{
	const char *name = strrchr(pin, '/') ?: pin;

	if (strchr(name, '.')) {
		oom_err("a pin has no dot in its name: %s", pin);
		return -1;
	}
	oom_pin_clear(pin);
	return oom_pin_hides(pin) ? -1 : mount_bpffs_for_file(pin);
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
	oom_prog_name(holder->info.prog_id, name, sizeof(name));
	oom_err("%s has an OOM policy already: %s (prog id %u) by link id %u; replace or detach it",
		args->cgroup.path, name, holder->info.prog_id, holder->info.id);
	return -1;
}

static void explain_attach(const struct attach_args *args, int err)
{
	const char *path = args->cgroup.path;

	switch (err) {
	case EPERM:
		oom_err("no permission to attach an OOM policy: it takes CAP_SYS_ADMIN");
		break;
	case EOPNOTSUPP:
		oom_err("%s has no memory controller: enable it in cgroup.subtree_control of its parent%s",
			path, strcmp(path, "/") ? "" : " (is it on cgroup v1?)");
		break;
	case ENOENT:
		oom_err("%s is being removed", path);
		break;
	case EBUSY:
		oom_err("%s has got an OOM policy meanwhile", path);
		break;
	case ETXTBSY:
		oom_err("a live patch, or the like, has a function of the OOM killer that the module oom_policy needs");
		break;
	case ERANGE:
		if (args->budget_us > MAX_BUDGET_US)
			oom_err("the budget is too long: the kernel takes %u microseconds at most",
				MAX_BUDGET_US);
		else
			oom_err("the grace is too long: the kernel takes 60000 milliseconds at most");
		break;
	case EINVAL:
		oom_err("the kernel does not attach this program to %s: one that compares %s 'type task'",
			path, args->type == BPF_OOM_POLICY_TASK ?
			"cgroups is attached without" : "processes is attached with");
		break;
	default:
		oom_err("cannot attach to %s: %s", path, strerror(err));
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
	opts.oom_policy.max_futile = args->max_futile;
	link_fd = bpf_link_create(prog_fd, cgroup_fd, args->type, &opts);
	close(cgroup_fd);
	if (link_fd < 0) {
		explain_attach(args, -link_fd);
		return -1;
	}
	if (do_pin_fd(link_fd, args->pin)) {
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

/* A map that is pinned there already is the one to go on with. */
static int open_map(struct attach_args *args)
{
	if (!args->map_pin)
		return 0;
	args->map_there = !access(args->map_pin, F_OK);
	if (!args->map_there)
		return check_pin(args->map_pin);
	args->load.map_fd = open_obj_pinned_any(args->map_pin, BPF_OBJ_MAP, NULL);
	return args->load.map_fd < 0 ? -1 : 0;
}

/* 1 if it is pinned now and was not before. */
static int pin_map(const struct attach_args *args, const struct oom_judge *judge)
{
	struct bpf_map_info info;
	int fd, err;

	if (!args->map_pin || args->map_there)
		return 0;
	fd = oom_prog_map(judge->fd, args->load.map, &info);
	if (fd < 0) {
		oom_err("%s (prog id %u) has no map %s", judge->name, judge->id, args->load.map);
		return -1;
	}
	err = do_pin_fd(fd, args->map_pin);
	close(fd);
	return err ? -1 : 1;
}

/* With the map pinned first, so that whoever sees the policy finds its map. */
static int attach_with_map(const struct attach_args *args, const struct oom_judge *judge)
{
	int pinned, link_fd;

	pinned = pin_map(args, judge);
	if (pinned < 0)
		return -1;
	link_fd = attach(args, judge->fd);
	if (link_fd < 0 && pinned)
		unlink(args->map_pin);
	return link_fd;
}

int oom_do_attach(int argc, char **argv)
{
	struct attach_args args = { .type = BPF_OOM_POLICY, .load.map_fd = -1 };
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct oom_judge judge;
	int link_fd, err = -1;

	if (parse_attach(argc, argv, &args))
		return -1;
	choose_pin(&args);
	args.load.attach_type = args.type;
	if (open_map(&args) || oom_judge_init(&judge, oom_prog_open(&args.prog, &args.load)))
		goto out;

	link_fd = check_slot(&args) || check_pin(args.pin) ? -1 : attach_with_map(&args, &judge);
	if (link_fd >= 0) {
		bpf_link_get_info_by_fd(link_fd, &info, &len);
		tell_link("attached", &judge, info.id, &args.cgroup, args.pin);
		close(link_fd);
		err = 0;
	}
	oom_judge_close(&judge);
out:
	if (args.map_there && args.load.map_fd >= 0)
		close(args.load.map_fd);
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

	if (bpf_link_get_info_by_fd(target->fd, &target->info, &len)) {
		oom_err("cannot look at %s: %s", what, strerror(errno));
		return -1;
	}
	if (target->info.type != BPF_LINK_TYPE_OOM_POLICY) {
		type = libbpf_bpf_link_type_str(target->info.type);
		oom_err("%s is a link of type %s, not of an OOM policy", what, type ?: "unknown");
		return -1;
	}
	target->cgroup.id = target->info.oom_policy.cgroup_id;
	target->cgroup.path = target->cgroup.id ? oom_cgroup_name(target->cgroup.id) :
						  strdup("?");
	return 0;
}

static int target_by_id(struct target *target, __u32 id)
{
	char what[32];

	target->fd = bpf_link_get_fd_by_id(id);
	if (target->fd < 0) {
		if (errno == ENOENT)
			oom_err("no link has the id %u", id);
		else
			oom_err("cannot open the link with id %u: %s", id, strerror(errno));
		return -1;
	}
	snprintf(what, sizeof(what), "link id %u", id);
	return target_link(target, what);
}

static int target_by_pin(struct target *target, const char *path)
{
	target->fd = open_obj_pinned_any(path, BPF_OBJ_LINK, NULL);
	return target->fd < 0 ? -1 : target_link(target, path);
}

static int target_by_cgroup(struct target *target, const char *text, __u32 type)
{
	const struct oom_policy *list, *policy, *ruling;
	struct oom_cgroup cgroup;
	int err = -1;

	if (oom_cgroup_parse(text, &cgroup))
		return -1;
	if (oom_policies(&list) < 0)
		goto out;
	policy = oom_policy_at(cgroup.path, type);
	ruling = oom_policy_ruling(cgroup.path, type);
	if (policy)
		err = target_by_id(target, policy->info.id);
	else
		oom_err("no OOM policy%s is attached to %s%s%s",
			type == BPF_OOM_POLICY_TASK ? " of type task" : "", cgroup.path,
			ruling ? ": the one that rules there is attached to " : "",
			ruling ? ruling->path : "");
out:
	oom_cgroup_free(&cgroup);
	return err;
}

static int target_parse(int *argc, char ***argv, struct target *target, __u32 type)
{
	const char *word = **argv;
	bool by_id = !strcmp(word, "id"), pinned = !strcmp(word, "pinned");
	__u32 id = 0;

	target->fd = -1;
	if ((by_id || pinned) && *argc < 2) {
		oom_err("'%s' wants the %s of a link", word, by_id ? "id" : "pin");
		return -1;
	}
	if (by_id)
		return oom_parse_u32(argc, argv, &id, "link ID") ? -1 : target_by_id(target, id);
	if (pinned)
		NEXT_ARGP();
	word = **argv;
	NEXT_ARGP();
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
			oom_err("detached, but cannot remove the pin %s: %s",
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
		oom_err("cannot detach link id %u: %s", target->info.id, strerror(-err));
	else
		err = unpin(pins, target->info.id);
	if (!err)
		tell_link("detached", &judge, target->info.id, &target->cgroup, NULL);
	oom_judge_close(&judge);
	return err ? -1 : 0;
}

int oom_do_detach(int argc, char **argv)
{
	struct target target = { .fd = -1 };
	struct hashmap *pins;
	int err = -1;
	__u32 type;

	if (parse_last_type(&argc, argv, &type))
		return -1;
	if (!argc) {
		oom_err("which policy? a cgroup, 'id LINK_ID' or 'pinned FILE'");
		return -1;
	}
	if (target_parse(&argc, &argv, &target, type))
		goto out;
	if (argc) {
		oom_bad_arg(*argv);
		goto out;
	}
	pins = oom_link_pins();
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
		oom_err("the program of link id %u was replaced meanwhile", target->info.id);
		break;
	case -EINVAL:
		oom_err("link id %u takes no program of this type", target->info.id);
		break;
	case -ENOLINK:
		oom_err("link id %u is detached", target->info.id);
		break;
	default:
		oom_err("cannot replace the program of link id %u: %s", target->info.id,
			strerror(-err));
	}
	return -1;
}

/* Floor and map, in any order. */
static int parse_replace(int argc, char **argv, struct attach_args *args)
{
	while (argc) {
		if (strcmp(*argv, "floor") && strcmp(*argv, "map"))
			return oom_bad_arg(*argv);
		if (parse_attach_option(&argc, &argv, args))
			return -1;
	}
	return 0;
}

/*
 * The map that is pinned where told, else the old program's if it is of that name. With
 * the map pinned first, as for attach.
 */
static int replace(struct attach_args *args, const struct target *target,
		   const struct oom_judge *old)
{
	struct oom_judge new;
	int pinned, err;

	if (open_map(args))
		return -1;
	args->load.map = args->load.map ?: OOM_PRIORITY_MAP;
	if (!args->map_there) {
		args->load.map_required = false;	/* pin_map() tells */
		if (!strcmp(args->load.map, OOM_PRIORITY_MAP))
			args->load.map_fd = old->priorities;
	}
	if (oom_judge_init(&new, oom_prog_open(&args->prog, &args->load)))
		return -1;
	pinned = pin_map(args, &new);
	err = pinned < 0 ? -1 : replace_prog(target, old->fd, new.fd);
	if (err && pinned > 0)
		unlink(args->map_pin);
	if (!err)
		tell_link("replaced by", &new, target->info.id, &target->cgroup, NULL);
	oom_judge_close(&new);
	return err;
}

int oom_do_replace(int argc, char **argv)
{
	struct attach_args args = { .load.map_fd = -1 };
	struct target target = { .fd = -1 };
	struct oom_judge old;
	int err = -1;
	__u32 type;

	if (parse_last_type(&argc, argv, &type))
		return -1;
	if (argc < 2) {
		oom_err("which policy, and by which program? a cgroup or a link, then a program");
		return -1;
	}
	if (target_parse(&argc, &argv, &target, type) ||
	    oom_prog_parse(&argc, &argv, &args.prog) || parse_replace(argc, argv, &args))
		goto out;
	if (oom_judge_open(&old, target.info.prog_id))
		goto out;
	args.load.attach_type = target.info.oom_policy.attach_type;
	err = replace(&args, &target, &old);
	if (args.map_there && args.load.map_fd >= 0)
		close(args.load.map_fd);
	oom_judge_close(&old);
out:
	target_close(&target);
	return err;
}
