/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /etc/oom-policy.conf, read and checked: oom_conf.c, and oom_early.c for the lines
 * "early". The pods that it refers to: oom_pods.c. All of them say on stderr what is
 * wrong, with file and line, and give -1.
 */
#ifndef SAMPLES_OOM_POLICY_OOM_CONF_H
#define SAMPLES_OOM_POLICY_OOM_CONF_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/bpf_oom_policy.h>

static inline long bpf_loop(__u32 nr, void *step, void *ctx, __u64 flags)
{
	long (*fn)(__u64 i, void *ctx) = step;
	__u32 i;

	for (i = 0; i < nr && !fn(i, ctx); i++)
		;
	return i + !flags;
}

#include "oom_rules.h"

#define OOM_CONF	"/etc/oom-policy.conf"
#define CGROUP_ROOT	"/sys/fs/cgroup"
#define MAX_CLASSES	64
#define MAX_EARLY	16
#define MAX_CONDITIONS	8

/* A line "class" or "label": which pods it is about. */
struct oom_class {
	struct oom_value value;
	char *label;		/* NULL: the name of a PriorityClass */
	char *name;		/* or the label's value */
};

struct oom_pod {
	struct oom_value value;
	char name[POD_SIZE];
};

enum oom_measure {
	OOM_PRESSURE_SOME,
	OOM_PRESSURE_FULL,
	OOM_FREE,
	OOM_SWAP,
};

/* Pressure has to be above, and what is free below, in each second of so long. */
struct oom_condition {
	enum oom_measure measure;
	double percent;
	unsigned int for_ms;
};

/* A line "early": when to kill below a cgroup while there still is some memory. */
struct oom_early {
	int line;
	char *cgroup;
	int nr;
	struct oom_condition conditions[MAX_CONDITIONS];
};

/* The line of an option is 0 if it is not there. */
struct oom_conf {
	const char *file;
	bool quiet;
	char *policy, *cgroup, *pods_file;
	int policy_line, cgroup_line, flags_line, budget_line, grace_line, floor_line;
	int pods_line;
	__u32 flags, budget_us, grace_ms;
	__u64 floor;		/* bytes */

	struct oom_rule rules[MAX_RULES];
	int nr_rules;
	struct oom_class classes[MAX_CLASSES];
	int nr_classes;
	struct oom_early early[MAX_EARLY];
	int nr_early;
	struct oom_pod pods[2 * MAX_PODS];
	int nr_pods;
};

/* What the tool has said is wrong is in the configuration: one sentence, and -1. */
#define conf_fail(conf, line, fmt, ...) ({				\
	const struct oom_conf *__conf = conf;				\
									\
	if (!__conf->quiet)						\
		fprintf(stderr, "%s:%d: " fmt "\n", __conf->file,	\
			(int)(line), ##__VA_ARGS__);			\
	-1;								\
})

/*
 * oom_conf_read() - a configuration, without the pods that it names
 * @file: its name
 * @quiet: say nothing
 *
 * Return: for oom_conf_free(); NULL with every bad line told.
 */
struct oom_conf *oom_conf_read(const char *file, bool quiet);
void oom_conf_free(struct oom_conf *conf);

/*
 * oom_conf_find() - what a cgroup gets
 * @conf: the configuration
 * @path: from the root of cgroup v2 on, with a slash in front
 * @marks: OOM_MARK_*: attributes that it has
 *
 * Return: NULL if nothing is said about it.
 */
const struct oom_value *oom_conf_find(const struct oom_conf *conf, const char *path,
				      __u32 marks);

/*
 * oom_walk() - give each cgroup its priority
 * @root: where cgroup v2 is mounted
 * @was: the configuration that has been in force, or NULL
 * @is: the one that is
 * @marks_fd: the map for the attributes that are there already
 *
 * Return: how many priorities were written, or -1 if some could not be.
 */
int oom_walk(const char *root, const struct oom_conf *was, const struct oom_conf *is,
	     int marks_fd);

/* oom_marks() - OOM_MARK_* of a cgroup; none if it is not there */
__u32 oom_marks(const char *root, const char *path);
void oom_value_text(const struct oom_value *value, char *text, size_t size);

/* oom_early_parse() - a line "early": @words up to a NULL */
int oom_early_parse(struct oom_conf *conf, int line, char **words);

/* oom_condition_text() - as in the file */
void oom_condition_text(const struct oom_condition *condition, char *text, size_t size);

/* oom_pods_read() - fill in @conf->pods from @conf->pods_file; 0, or -1 if told why. */
int oom_pods_read(struct oom_conf *conf);

#endif /* SAMPLES_OOM_POLICY_OOM_CONF_H */
