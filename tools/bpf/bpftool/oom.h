/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the files of "bpftool oom" share. oom.c has the table of commands, and each
 * command is in a file of its name; oom_attach.c has also detach and replace. What
 * they stand on: oom_cgroup.c finds cgroups, oom_path.c their ids and paths, and
 * oom_child.c those below; oom_priority.c has also priorities, oom_link.c links, oom_pin.c
 * where they are pinned, oom_prog.c programs and oom_global.c their variables;
 * oom_rehearse.c runs a program to hear its verdict, oom_order.c puts siblings in an order
 * by that, oom_watch.c waits for events, and oom_text.c prints.
 *
 * Functions that return int give 0 or more, or -1 with the reason already told
 * by oom_err(), unless they say otherwise.
 */
#ifndef __BPFTOOL_OOM_H
#define __BPFTOOL_OOM_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>

#include <bpf/libbpf.h>

#include "main.h"
#include "oom_text.h"

/* Of cgroups or of tasks, whichever there is. */
#define OOM_ANY_TYPE	__MAX_BPF_ATTACH_TYPE

/* oom_path.c */
int oom_cgroup_mount(void);
const char *oom_mount_point(void);
bool oom_private_namespace(void);
__u64 oom_private_root(void);
char *oom_cgroup_path(__u64 id);
char *oom_cgroup_path_of(int fd);
char *oom_cgroup_name(__u64 id);
int oom_cgroup_open_at(const char *path, const char *file, int flags);
int oom_cgroup_open_id(__u64 id);
int oom_cgroup_get_id(int dir_fd, const char *name, __u64 *id);
void oom_json_cgroup(json_writer_t *wtr, const char *key, __u64 id, const char *path);
void oom_cgroup_done(void);

/* oom_cgroup.c. A path is from the root of cgroup v2: "/" is the root. */
struct oom_cgroup {
	char *path;
	__u64 id;
};

int oom_cgroup_parse(const char *arg, struct oom_cgroup *cgroup);
void oom_cgroup_free(struct oom_cgroup *cgroup);
int oom_cgroup_open(const char *path);
bool oom_path_below(const char *path, const char *above);
bool oom_is_id(const char *arg);

FILE *oom_cgroup_file(const char *path, const char *file, const char *mode);
DIR *oom_cgroup_opendir(const char *path);
bool oom_cgroup_is_leaf(const char *path);
bool oom_cgroup_has(const char *path, const char *file);
bool oom_cgroup_read(const char *path, const char *file, __u64 *value);
__u64 oom_cgroup_number(const char *path, const char *file);
char *oom_cgroup_group(const char *path, const char *scope);

/* oom_priority.c. What memory.oom.priority says, or counts as. */
struct oom_priority {
	enum bpf_oom_priority_state state;
	__s64 value;		/* 0 unless it is set */
};

const char *oom_priority_text(const struct oom_priority *priority);
void oom_priority_of(const char *path, __u64 id, struct oom_priority *priority);
__u32 oom_priority_supposed(const struct bpf_oom_priority **list);
void oom_priority_suspend(bool suspend);
int oom_parse_with(int *argc, char ***argv);
void oom_priority_done(void);
void oom_json_priority(json_writer_t *wtr, const char *prefix,
		       const struct oom_priority *priority);

/* oom_child.c. A child of a cgroup: what it holds, and why it would take no part. */
struct oom_child {
	char *path;
	__u64 id;
	__u64 usage;
	__u64 swap;
	__u64 freeable;		/* of both, what its death is expected to give back */
	struct oom_priority priority;	/* that it counts with */
	const char *out;	/* NULL: it takes part */
	bool root_tasks;	/* it stands for what is directly in the root */
};

extern const char * const oom_root_tasks;
extern const char * const oom_no_processes;
extern const char * const oom_never;
extern const char * const oom_gone;

/* Out by what oom_order() has seen already. */
static inline bool oom_child_left_out(const struct oom_child *child)
{
	return child->out == oom_no_processes || child->out == oom_never;
}

char *oom_only_child(const char *parent, __u64 *id);

int oom_children(const char *parent, struct oom_child **children);
void oom_children_free(struct oom_child *children, int nr);
bool oom_child_fill(struct oom_child *child);
void oom_child_check(struct oom_child *child);

/* oom_link.c. A link; @path is NULL once it is detached, or if it is out of sight. */
struct oom_policy {
	struct bpf_link_info info;
	char *path;
};

int oom_policies(const struct oom_policy **policies);
const struct oom_policy *oom_policy_at(const char *path, __u32 attach_type);
const struct oom_policy *oom_policy_ruling(const char *path, __u32 attach_type);
const struct oom_policy *oom_policy_asked(const char *path, __u32 attach_type,
					  const char *scope);
bool oom_policy_enabled(void);
void oom_link_done(void);
struct hashmap *oom_link_pins(void);

/* What the bits of bpf_link_info.oom_policy.flags are called. */
#define OOM_NR_FLAGS	3

struct oom_flag {
	const char *name;
	__u32 bit;
};

extern const struct oom_flag oom_flags[OOM_NR_FLAGS];

/* oom_show.c. What a link counts; @offset is in struct bpf_link_info. */
struct oom_counter {
	const char *name;
	size_t offset;
};

const struct oom_counter *oom_counter_at(size_t i);

/* oom_pin.c */
#define OOM_BPF_FS	"/sys/fs/bpf"

void oom_pin_name(const struct oom_cgroup *cgroup, __u32 attach_type, char *pin, size_t size);
bool oom_pin_clear(const char *pin);
bool oom_pin_hides(const char *pin);

/* oom_global.c */
struct bpf_object;
int oom_global_set(struct bpf_object *obj, const char *file, const char *text);

/* oom_prog.c. A program as the user has named it. */
#define OOM_MAX_SETS	32

struct oom_prog_arg {
	char **words;		/* one is a file, two are for prog_parse_fds() */
	int nr_words;
	const char *sets[OOM_MAX_SETS];		/* NAME=VALUE, of a file */
	int nr_sets;
};

int oom_prog_parse(int *argc, char ***argv, struct oom_prog_arg *arg);
int oom_prog_parse_set(int *argc, char ***argv, struct oom_prog_arg *arg);
libbpf_print_fn_t oom_quiet_libbpf(void);
void oom_explain_load(const char *what, int err, const char *log);

/* How an object file is to be loaded. */
struct oom_load {
	__u32 attach_type;
	const char *map;	/* of that name shall be ... */
	int map_fd;		/* ... this one, if there is one, -1: its own */
	bool map_required;
	bool has_floor;
	__u64 floor;		/* bytes, for the variable oom_floor */
};

int oom_prog_open(const struct oom_prog_arg *arg, const struct oom_load *load);
int oom_prog_map(int prog_fd, const char *name, struct bpf_map_info *info);
int oom_parse_size(const char *text, __u64 *bytes);
void oom_prog_name(__u32 id, char *name, size_t size);
int oom_parse_u32(int *argc, char ***argv, __u32 *value, const char *what);

/* A program that compares. Its fds are -1 unless open. */
struct oom_judge {
	int fd;
	int priorities;		/* its map oom_priority, -1 if it has none */
	__u32 id;
	char name[MAX_PROG_FULL_NAME];
	const struct oom_policy *policy;	/* NULL: not asked for by a link */
};

int oom_judge_init(struct oom_judge *judge, int fd);
int oom_judge_open(struct oom_judge *judge, __u32 prog_id);
int oom_judge_ruling(struct oom_judge *judge, const char *path, __u32 attach_type);
void oom_judge_close(struct oom_judge *judge);

#define OOM_PRIORITY_MAP	"oom_priority"

/* How much of many siblings is to be shown. */
struct oom_view {
	__u32 top;	/* 0: not said */
	bool all;
};

int oom_view_rows(const struct oom_view *view, int levels, int others);

/* oom_rehearse.c. A command line that ends in [CGROUP] and these, and perhaps "with". */
enum oom_options {
	OOM_OPT_PROG	= 1,
	OOM_OPT_TOP	= 2,
	OOM_OPT_ALL	= 4,
	OOM_OPT_VIEW	= OOM_OPT_PROG | OOM_OPT_TOP | OOM_OPT_ALL,
};

int oom_parse_options(int argc, char **argv, struct oom_prog_arg *arg,
		      const struct oom_prog_arg **given, struct oom_view *view,
		      unsigned int options);
int oom_parse_scope(int argc, char **argv, struct oom_cgroup *scope,
		    struct oom_prog_arg *arg, const struct oom_prog_arg **given,
		    struct oom_view *view, unsigned int options);

int oom_judge_for(struct oom_judge *judge, const char *path, const struct oom_prog_arg *arg,
		  __u32 attach_type);
void oom_judge_json(const struct oom_judge *judge);
void oom_judge_plain(const struct oom_judge *judge);
int oom_run(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b);
int oom_run_if_there(const struct oom_judge *judge, struct oom_child *a, struct oom_child *b);
int oom_run_many(const struct oom_judge *judge, __u32 flag, void *data, size_t size);
bool oom_compares_cgroups(const struct oom_judge *judge);
const char *oom_verdict_name(int verdict);
struct oom_child *oom_dies_first(int verdict, struct oom_child *a, struct oom_child *b);
void oom_child_json(const struct oom_child *child);
void oom_explain_test_run(const struct oom_judge *judge, int err, const char *path);

struct bpf_test_run_opts;
int oom_rehearse_select(const struct oom_judge *judge, __u64 scope,
			struct bpf_test_run_opts *opts);
int oom_steps_take(const void *data, struct bpf_oom_step *steps, int max);

/* Why an OOM would go another way than the rehearsal of it. */
enum oom_rehearsal {
	OOM_REHEARSE_EVENT,	/* a whole OOM of that scope */
	OOM_REHEARSE_CHILDREN,	/* what is compared below a cgroup */
};

#define OOM_NR_CAVEATS	3

void oom_find_caveats(const struct oom_policy *policy, const char *path,
		      enum oom_rehearsal what, char **caveats);
void oom_caveats_plain(const struct oom_policy *policy, const char *path,
		       enum oom_rehearsal what);
void oom_caveats_json(const struct oom_policy *policy, const char *path,
		      enum oom_rehearsal what);

/* oom_order.c. Siblings in the order in which they would die. */
struct oom_order {
	struct oom_child **list;	/* of those that take part */
	int nr;
	int nr_ranked;			/* the first of them; the others have no place */
	const struct oom_child *abstained[2];	/* why, if so */
	struct oom_child root;		/* by oom_order_root() */
};

int oom_order(const struct oom_judge *judge, struct oom_child *children, int nr, int places,
	      struct oom_order *order);
void oom_order_root(const struct oom_judge *judge, const struct oom_policy *policy,
		    const char *parent, __u64 id, struct oom_order *order);
void oom_order_free(struct oom_order *order);

/* oom_victims.c. The victims of one OOM after the other, if nothing else changes. */
struct oom_victim {
	char *path;		/* the cgroup that dies */
	__u64 id;
	bool badness;		/* oom_badness() picks somewhere in it */
	bool root_tasks;	/* what is directly in the root */
};

const char *oom_victim_note(const struct oom_victim *victim);

int oom_judge_below(struct oom_judge *judge, const struct oom_judge *at_scope,
		    const struct oom_cgroup *scope, const char *path);
int oom_victims(const struct oom_judge *judge, const struct oom_cgroup *scope,
		struct oom_victim *victims, int max);
void oom_victims_free(struct oom_victim *victims, int nr);

/* The commands. */
int oom_do_show(int argc, char **argv);
int oom_do_attach(int argc, char **argv);
int oom_do_detach(int argc, char **argv);
int oom_do_replace(int argc, char **argv);
int oom_do_compare(int argc, char **argv);
int oom_do_rank(int argc, char **argv);
int oom_do_select(int argc, char **argv);
int oom_do_check(int argc, char **argv);
int oom_do_diff(int argc, char **argv);
int oom_do_report(int argc, char **argv);
int oom_do_metrics(int argc, char **argv);
int oom_do_record(int argc, char **argv);
int oom_do_log(int argc, char **argv);
int oom_do_shadow(int argc, char **argv);
int oom_do_priority(int argc, char **argv);
int oom_do_monitor(int argc, char **argv);

static inline bool oom_is_negative(const char *word)
{
	return word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

/*
 * For main(), before getopt(), which would take a priority below zero for an
 * option: a blank in front keeps it until do_oom(). Inline, as the bootstrap bpftool
 * has no oom.
 */
static inline void oom_keep_numbers(int argc, char **argv)
{
	char *word;
	int i = 1;

	/* The object is the first word that is no option, and no file of an option. */
	while (i < argc && argv[i][0] == '-')
		i += !strcmp(argv[i], "-B") || !strcmp(argv[i], "--base-btf") ? 2 : 1;
	if (i >= argc || !argv[i][0] || strncmp("oom", argv[i], strlen(argv[i])))
		return;

	for (i++; i < argc; i++) {
		if (!oom_is_negative(argv[i]))
			continue;
		word = malloc(strlen(argv[i]) + 2);
		if (!word)
			return;
		sprintf(word, " %s", argv[i]);
		argv[i] = word;
	}
}

#endif /* __BPFTOOL_OOM_H */
