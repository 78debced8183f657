// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads /etc/oom-policy.conf. One line, one statement: a word that says what it is
 * about, then one or two more. Everything is checked, and every bad line told, before
 * anybody acts on any of it. oom-policy.conf(5) describes the lines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "oom_conf.h"
#include "tool.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BLANKS		" \t\r\n"
#define MAX_WORDS	(3 + MAX_CONDITIONS * 7)
#define MAX_BUDGET_US	10000000
#define MAX_GRACE_MS	60000

static int parse_priority(struct oom_conf *conf, int line, const char *text,
			  struct oom_value *value)
{
	char *end;

	value->line = line;
	value->state = BPF_OOM_PRIORITY_MAX;
	if (!strcmp(text, "max"))
		return 0;
	value->state = BPF_OOM_PRIORITY_SET;
	errno = 0;
	value->priority = strtoll(text, &end, 10);
	if (end != text && !*end && !errno)
		return 0;
	return conf_fail(conf, line, "a priority is max or a number from %lld to %lld, not '%s'",
			 LLONG_MIN, LLONG_MAX, text);
}

static int parse_limited(struct oom_conf *conf, int line, const char *what, const char *text,
			 unsigned long high, __u32 *number)
{
	unsigned long value;

	if (!parse_number(text, high, &value)) {
		*number = value;
		return 0;
	}
	return conf_fail(conf, line, "%s is a number from 0 to %lu, not '%s'", what, high, text);
}

static int add_rule(struct oom_conf *conf, int line, enum oom_rule_kind kind, const char *glob,
		    const char *priority)
{
	struct oom_rule *rule = &conf->rules[conf->nr_rules];

	if (conf->nr_rules == MAX_RULES)
		return conf_fail(conf, line, "there is room for %d rules", MAX_RULES);
	if (strlen(glob) >= sizeof(rule->glob))
		return conf_fail(conf, line, "a pattern has less than %zu characters",
				 sizeof(rule->glob));
	if (parse_priority(conf, line, priority, &rule->value))
		return -1;
	rule->kind = kind;
	memcpy(rule->glob, glob, strlen(glob) + 1);
	conf->nr_rules++;
	return 0;
}

static int parse_path(struct oom_conf *conf, int line, char **words)
{
	if (words[1][0] != '/' && strncmp(words[1], "**", 2))
		return conf_fail(conf, line, "a path begins with a slash or two stars, not as '%s'",
				 words[1]);
	if (strstr(words[1], "//") || strstr(words[1], "/./") || strstr(words[1], "/../"))
		return conf_fail(conf, line, "no path of a cgroup has //, /./ or /../ in it: '%s'",
				 words[1]);
	if (!strcmp(words[1], "/"))
		return conf_fail(conf, line, "the root has no priority: it has no siblings");
	if (words[1][strlen(words[1]) - 1] == '/')
		return conf_fail(conf, line, "no path ends in a slash: '%s'", words[1]);
	return add_rule(conf, line, OOM_RULE_PATH, words[1], words[2]);
}

static int parse_unit(struct oom_conf *conf, int line, char **words)
{
	if (strchr(words[1], '/'))
		return conf_fail(conf, line, "a unit has no slash in its name: '%s'", words[1]);
	return add_rule(conf, line, OOM_RULE_UNIT, words[1], words[2]);
}

static int parse_xattr(struct oom_conf *conf, int line, char **words)
{
	if (!strcmp(words[1], "user.oomd_avoid"))
		return add_rule(conf, line, OOM_RULE_AVOID, "", words[2]);
	if (!strcmp(words[1], "user.oomd_omit"))
		return add_rule(conf, line, OOM_RULE_OMIT, "", words[2]);
	return conf_fail(conf, line, "an xattr is user.oomd_avoid or user.oomd_omit, not '%s'",
			 words[1]);
}

static int add_class(struct oom_conf *conf, int line, const char *label, const char *name,
		     const char *priority)
{
	struct oom_class *class = &conf->classes[conf->nr_classes];

	if (conf->nr_classes == MAX_CLASSES)
		return conf_fail(conf, line, "there is room for %d classes and labels",
				 MAX_CLASSES);
	if (parse_priority(conf, line, priority, &class->value))
		return -1;
	conf->nr_classes++;
	class->name = strdup(name);
	class->label = label ? strdup(label) : NULL;
	if (!class->name || (label && !class->label))
		return conf_fail(conf, line, "there is no memory left");
	return 0;
}

static int parse_class(struct oom_conf *conf, int line, char **words)
{
	return add_class(conf, line, NULL, words[1], words[2]);
}

static int parse_label(struct oom_conf *conf, int line, char **words)
{
	char *sep = strchr(words[1], '=');

	if (!sep || sep == words[1])
		return conf_fail(conf, line, "a label is KEY=VALUE, not '%s'", words[1]);
	*sep = '\0';
	return add_class(conf, line, words[1], sep + 1, words[2]);
}

static int keep(struct oom_conf *conf, int line, const char *what, char *word, char **to)
{
	if (*word != '/')
		return conf_fail(conf, line, "%s begins with a slash, not as '%s'", what, word);
	*to = strdup(word);
	return *to ? 0 : conf_fail(conf, line, "there is no memory left");
}

static int parse_policy(struct oom_conf *conf, int line, char **words)
{
	return keep(conf, line, "the file of a policy", words[1], &conf->policy);
}

static int parse_cgroup(struct oom_conf *conf, int line, char **words)
{
	return keep(conf, line, "the path of a cgroup", words[1], &conf->cgroup);
}

static int parse_pods(struct oom_conf *conf, int line, char **words)
{
	return keep(conf, line, "the file with the pods", words[1], &conf->pods_file);
}

static int parse_flags(struct oom_conf *conf, int line, char **words)
{
	static const struct {
		const char *name;
		__u32 bit;
	} flags[] = {
		{ "memcg", BPF_F_OOM_POLICY_MEMCG },
		{ "kill_all", BPF_F_OOM_POLICY_KILL_ALL },
		{ "root_tasks", BPF_F_OOM_POLICY_ROOT_TASKS },
	};
	char *name, *saved = NULL;
	size_t i;

	for (name = strtok_r(words[1], ",", &saved); name; name = strtok_r(NULL, ",", &saved)) {
		for (i = 0; i < ARRAY_SIZE(flags) && strcmp(name, flags[i].name); i++)
			;
		if (i == ARRAY_SIZE(flags))
			return conf_fail(conf, line,
					 "flags are memcg, kill_all and root_tasks, not '%s'",
					 name);
		conf->flags |= flags[i].bit;
	}
	return 0;
}

static int parse_budget(struct oom_conf *conf, int line, char **words)
{
	return parse_limited(conf, line, "a budget, in microseconds,", words[1], MAX_BUDGET_US,
			     &conf->budget_us);
}

static int parse_grace(struct oom_conf *conf, int line, char **words)
{
	return parse_limited(conf, line, "a grace, in milliseconds,", words[1], MAX_GRACE_MS,
			     &conf->grace_ms);
}

/* Bytes, with a unit behind them. */
static int parse_size(const char *text, __u64 *bytes)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end++) : NULL;
	if (errno || !unit || *end || *bytes >> (64 - 10 * (unit - units + 1)))
		return -1;
	*bytes <<= 10 * (unit - units + 1);
	return 0;
}

/* That, or a share of the machine's memory and swap */
static int parse_floor(struct oom_conf *conf, int line, char **words)
{
	struct sysinfo info;
	double percent;

	if (!parse_size(words[1], &conf->floor))
		return 0;
	if (parse_share(words[1], &percent))
		return conf_fail(conf, line,
				 "a floor is a size like 4M, or from 0%% to 100%%, not '%s'",
				 words[1]);
	if (sysinfo(&info))
		return conf_fail(conf, line, "how much memory there is cannot be told: %s",
				 strerror(errno));
	conf->floor = percent / 100 * (info.totalram + info.totalswap) * info.mem_unit;
	return 0;
}

/*
 * @nr_words: 0: any number
 * @line: where the line of one that may be there once is kept
 */
static const struct statement {
	const char *name;
	const char *words;
	int nr_words;
	int (*parse)(struct oom_conf *conf, int line, char **words);
	size_t line;
} statements[] = {
	{ "path", "PATTERN PRIORITY", 3, parse_path, 0 },
	{ "unit", "PATTERN PRIORITY", 3, parse_unit, 0 },
	{ "xattr", "NAME PRIORITY", 3, parse_xattr, 0 },
	{ "class", "NAME PRIORITY", 3, parse_class, 0 },
	{ "label", "KEY=VALUE PRIORITY", 3, parse_label, 0 },
	{ "early", "PATH when CONDITION [and CONDITION ...]", 0, oom_early_parse, 0 },
	{ "pods", "FILE", 2, parse_pods, offsetof(struct oom_conf, pods_line) },
	{ "policy", "FILE", 2, parse_policy, offsetof(struct oom_conf, policy_line) },
	{ "cgroup", "PATH", 2, parse_cgroup, offsetof(struct oom_conf, cgroup_line) },
	{ "flags", "FLAG[,FLAG...]", 2, parse_flags, offsetof(struct oom_conf, flags_line) },
	{ "budget", "MICROSECONDS", 2, parse_budget, offsetof(struct oom_conf, budget_line) },
	{ "grace", "MILLISECONDS", 2, parse_grace, offsetof(struct oom_conf, grace_line) },
	{ "floor", "SIZE|SHARE%", 2, parse_floor, offsetof(struct oom_conf, floor_line) },
};

static int parse_statement(struct oom_conf *conf, int line, char **words, int nr)
{
	const struct statement *statement;
	int *seen;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(statements) && strcmp(words[0], statements[i].name); i++)
		;
	if (i == ARRAY_SIZE(statements))
		return conf_fail(conf, line, "what is '%s'? oom-policy.conf(5) has the words",
				 words[0]);
	statement = &statements[i];
	if (statement->nr_words && nr != statement->nr_words)
		return conf_fail(conf, line, "%s is followed by %s", statement->name,
				 statement->words);
	if (statement->line) {
		seen = (int *)((char *)conf + statement->line);
		if (*seen)
			return conf_fail(conf, line, "%s is there already, in line %d",
					 statement->name, *seen);
		*seen = line;
	}
	return statement->parse(conf, line, words);
}

static int parse_line(struct oom_conf *conf, int line, char *text)
{
	char *words[MAX_WORDS + 1] = {}, *saved = NULL, *word;
	int nr = 0;

	for (word = strtok_r(text, BLANKS, &saved); word && *word != '#' && nr < MAX_WORDS;
	     word = strtok_r(NULL, BLANKS, &saved))
		words[nr++] = word;
	return nr ? parse_statement(conf, line, words, nr) : 0;
}

/* Options that have nothing to act on, and classes of pods that nobody names. */
static int check_whole(struct oom_conf *conf)
{
	const int options[] = {
		conf->cgroup_line, conf->flags_line, conf->budget_line, conf->grace_line,
		conf->floor_line
	};
	int err = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options) && !conf->policy_line; i++)
		if (options[i])
			err = conf_fail(conf, options[i], "this is for a policy: name one");
	if (conf->nr_classes && !conf->pods_line)
		err = conf_fail(conf, conf->classes[0].value.line,
				"this is for pods: name a file with some");
	return err;
}

static int parse_file(struct oom_conf *conf)
{
	FILE *file = fopen(conf->file, "re");
	char *text = NULL;
	size_t size = 0;
	int line = 0, err = 0;
	ssize_t len;

	if (!file) {
		fprintf(stderr, "%s: cannot be read: %s\n", conf->file, strerror(errno));
		return -1;
	}
	while ((len = getline(&text, &size, file)) >= 0) {
		line++;
		if (strlen(text) == (size_t)len)
			err |= parse_line(conf, line, text);
		else
			err |= conf_fail(conf, line,
					 "there is a NUL in this line: what is behind it would be lost");
	}
	if (ferror(file)) {
		fprintf(stderr, "%s: cannot be read to its end\n", conf->file);
		err = -1;
	}
	free(text);
	fclose(file);
	return err | check_whole(conf);
}

void oom_conf_free(struct oom_conf *conf)
{
	int i;

	if (!conf)
		return;
	for (i = 0; i < conf->nr_classes; i++) {
		free(conf->classes[i].name);
		free(conf->classes[i].label);
	}
	for (i = 0; i < conf->nr_early; i++)
		free(conf->early[i].cgroup);
	free(conf->policy);
	free(conf->cgroup);
	free(conf->pods_file);
	free(conf);
}

struct oom_conf *oom_conf_read(const char *file, bool quiet)
{
	struct oom_conf *conf = calloc(1, sizeof(*conf));

	if (!conf) {
		fprintf(stderr, "%s: there is no memory to read it\n", file);
		return NULL;
	}
	conf->file = file;
	conf->quiet = quiet;
	if (!parse_file(conf))
		return conf;
	oom_conf_free(conf);
	return NULL;
}

const struct oom_value *oom_conf_find(const struct oom_conf *conf, const char *path, __u32 marks)
{
	char room[PATH_SIZE] = "";
	struct oom_search s = {
		.rules = conf->rules,
		.nr_rules = conf->nr_rules,
		.path = room,
		.marks = marks,
	};
	int i;

	if (strlen(path) >= sizeof(room))
		return NULL;
	memcpy(room, path, strlen(path));
	oom_find_base(&s);
	for (i = 0; s.pod && i < conf->nr_pods; i++)
		if (!strcmp(room + s.pod, conf->pods[i].name))
			return &conf->pods[i].value;
	oom_find_rule(&s);
	return s.found < 0 ? NULL : &conf->rules[s.found].value;
}
