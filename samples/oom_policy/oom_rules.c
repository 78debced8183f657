// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts /etc/oom-policy.conf in force: attaches the policy that it names, gives the
 * cgroups that are there their priorities, and leaves BPF programs behind, pinned, that
 * give those to come theirs. oom_rules.bpf.c says how; nothing needs to stay running.
 *
 * The order makes every moment safe. The configuration is read, and the programs are
 * loaded, before anything is changed. Then the new programs are attached, which from
 * there on decide about new cgroups, and only then is the tree walked: whatever is
 * made meanwhile is met by one of the two. A pin takes the place of the old one by
 * rename(2), which ends the old programs. One of these runs at a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "oom_attach.h"
#include "oom_rules.skel.h"

#define DEFAULT_PIN	"/sys/fs/bpf/oom_rules"
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define STATE_DIR	"/run/oom-policy"

/* Of each of two files: itself, and where it is a link, what that leads to, and so on. */
#define MAX_LINKS	8
#define MAX_WATCHED	(2 * MAX_LINKS)

const char *oom_pin_dir = DEFAULT_PIN;

static const char *conf_file = OOM_CONF;

/* What is to be in force. */
static struct oom_conf *new_conf;

static void usage(FILE *to)
{
	fputs("Usage: oom_rules [--config FILE] [--pin DIR] apply\n"
	      "       oom_rules [--config FILE] [--pin DIR] watch\n"
	      "       oom_rules [--config FILE] check [PATH ...]\n"
	      "       oom_rules [--pin DIR] remove\n"
	      "\n"
	      "Policy and priorities of memory cgroups by a configuration, for those that are\n"
	      "there and, from the moment on when they are made, for those to come.\n"
	      "\n"
	      "  apply          put the configuration in force, in place of the one before\n"
	      "  watch          the same, and again whenever one of its files is changed\n"
	      "  check          read it and change nothing; say what cgroups with these paths get\n"
	      "  remove         end it: policy and rules go, priorities stay\n"
	      "  --config FILE  the configuration (default: " OOM_CONF ")\n"
	      "  --pin DIR      keep it in this directory of bpffs (default:\n"
	      "                 " DEFAULT_PIN ")\n"
	      "  --help         show this text\n"
	      "\n"
	      "oom-policy.conf(5) describes the configuration.\n", to);
}

static const char *saved_conf(void)
{
	static char path[PATH_MAX];
	char *name = strdup(oom_pin_dir), *c;

	for (c = name; c && *c; c++)
		if (*c == '/')
			*c = '_';
	snprintf(path, sizeof(path), STATE_DIR "/%s", name ?: "");
	free(name);
	return path;
}

static struct oom_conf *read_conf(const char *file, bool quiet)
{
	struct oom_conf *conf = oom_conf_read(file, quiet);

	if (!conf || !conf->pods_line || !oom_pods_read(conf))
		return conf;
	oom_conf_free(conf);
	return NULL;
}

/* Until the descriptor is closed. */
static int lock(void)
{
	int fd;

	if (mkdir(STATE_DIR, 0755) && errno != EEXIST)
		return fail("cannot make %s: %s", STATE_DIR, strerror(errno));
	fd = open(STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX))
		return fail("cannot have %s for oneself: %s", STATE_DIR, strerror(errno));
	return fd;
}

static int check_cgroup_root(void)
{
	__u64 id;

	if (cgroup_id(CGROUP_ROOT, &id))
		return fail("cgroup v2 is not mounted at %s", CGROUP_ROOT);
	if (id != 1)
		return fail("%s is not the root of this machine: run this where that is mounted",
			    CGROUP_ROOT);
	return 0;
}

/* Loading: nothing that is in force is touched. */

static bool has_xattr_rules(void)
{
	int i;

	for (i = 0; i < new_conf->nr_rules; i++)
		if (new_conf->rules[i].kind >= OOM_RULE_AVOID)
			return true;
	return false;
}

static int load_rules(struct oom_rules **to)
{
	struct oom_rules *skel = oom_rules__open();
	struct oom_pod *pod;
	int i, err;

	*to = skel;
	if (!skel)
		return fail("cannot open the rules: %s", strerror(errno));
	memcpy(skel->data_rules->oom_rules, new_conf->rules, sizeof(new_conf->rules));
	skel->bss->nr_rules = new_conf->nr_rules;
	bpf_program__set_autoload(skel->progs.marked, has_xattr_rules());
	err = oom_rules__load(skel);
	for (i = 0; !err && i < new_conf->nr_pods; i++) {
		pod = &new_conf->pods[i];
		err = bpf_map__update_elem(skel->maps.pods, pod->name, sizeof(pod->name),
					   &pod->value, sizeof(pod->value), BPF_ANY);
	}
	if (!err)
		return 0;
	return fail("the rules take a kernel with memory.oom.priority, and root: %s",
		    strerror(-err));
}

static int put_rules(struct oom_rules *skel)
{
	int err = oom_rules__attach(skel);

	if (err)
		return fail("cannot attach the rules: %s", strerror(-err));
	if (oom_replace_pin(bpf_link__fd(skel->links.online), "online"))
		return -1;
	if (skel->links.marked)
		return oom_replace_pin(bpf_link__fd(skel->links.marked), "marked");
	unlink(oom_pin_path("marked"));
	return 0;
}

/* For the next time: what a cgroup had from here can be told from what others set. */
static int save_conf(void)
{
	char fresh[PATH_MAX];
	FILE *from, *to;
	int c, err;

	snprintf(fresh, sizeof(fresh), STATE_DIR "/new");
	from = fopen(conf_file, "re");
	to = fopen(fresh, "we");
	while (from && to && (c = getc(from)) != EOF)
		putc(c, to);
	err = !from || ferror(from) || !to || ferror(to);
	if (from)
		fclose(from);
	if (to)
		err |= fclose(to);
	if (err || rename(fresh, saved_conf()))
		return fail("cannot keep a copy of %s in %s: %s", conf_file, STATE_DIR,
			    strerror(errno));
	return 0;
}

static int make_pin_dir(void)
{
	struct statfs fs;

	if (strlen(oom_pin_dir) + sizeof("/online_new") > PATH_MAX)
		return fail("the name of the directory for pins is too long");
	if (mkdir(oom_pin_dir, 0700) && errno != EEXIST)
		return fail("cannot make %s (is bpffs mounted there?): %s", oom_pin_dir,
			    strerror(errno));
	if (!statfs(oom_pin_dir, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	rmdir(oom_pin_dir);
	return fail("%s is not on bpffs; mount it: mount -t bpf none /sys/fs/bpf", oom_pin_dir);
}

static int put_all(const struct oom_conf *old_conf)
{
	struct bpf_program *prog = NULL;
	struct oom_rules *skel = NULL;
	struct bpf_object *policy;
	int err, nr_set = -1;

	err = oom_policy_load(new_conf, &policy, &prog) ?: load_rules(&skel) ?: make_pin_dir();
	if (!err)
		err = oom_policy_put(new_conf, prog) ?: put_rules(skel);
	if (!err)
		nr_set = oom_walk(CGROUP_ROOT, old_conf, new_conf,
				  bpf_map__fd(skel->maps.marks));
	oom_rules__destroy(skel);
	bpf_object__close(policy);
	if (nr_set < 0 || save_conf()) {
		rmdir(oom_pin_dir);		/* if there is nothing in it */
		return -1;
	}
	printf("oom_rules: %s is in force: %d rules, %d pods, %d priorities written\n", conf_file,
	       new_conf->nr_rules, new_conf->nr_pods / 2, nr_set);
	return 0;
}

static int apply(void)
{
	struct oom_conf *old_conf = NULL;
	int lock_fd, err = -1;

	new_conf = read_conf(conf_file, false);
	if (!new_conf)
		return -1;
	lock_fd = check_cgroup_root() ? -1 : lock();
	if (lock_fd >= 0) {
		if (!access(saved_conf(), F_OK))
			old_conf = read_conf(saved_conf(), true);
		err = put_all(old_conf);
		close(lock_fd);
	}
	oom_conf_free(old_conf);
	oom_conf_free(new_conf);
	return err;
}

static int do_remove(void)
{
	static const char * const names[] = { "marked", "online", "policy" };
	size_t i;

	if (lock() < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (unlink(oom_pin_path(names[i])) && errno != ENOENT)
			return fail("cannot remove %s: %s", oom_pin_path(names[i]),
				    strerror(errno));
	if (rmdir(oom_pin_dir) && errno != ENOENT)
		return fail("cannot remove %s: %s", oom_pin_dir, strerror(errno));
	unlink(saved_conf());
	return 0;
}

/* As the rules see it: from the mount on, without a slash that says nothing. */
static int rule_path(const char *typed, char *path, size_t size)
{
	const char *from = typed;
	size_t len = 0;

	if (!strncmp(from, CGROUP_ROOT "/", sizeof(CGROUP_ROOT)))
		from += sizeof(CGROUP_ROOT) - 1;
	if (*from != '/')
		return fail("the path of a cgroup begins with a slash, not as '%s'", typed);
	for (; *from && len < size; from++)
		if (*from != '/' || (from[1] && from[1] != '/'))
			path[len++] = *from;
	if (len == size)
		return fail("the path of a cgroup has less than %zu characters", size);
	path[len] = '\0';
	return 0;
}

static int check_path(const char *typed)
{
	const struct oom_value *value;
	char path[PATH_SIZE], text[32];

	if (rule_path(typed, path, sizeof(path)))
		return -1;
	value = oom_conf_find(new_conf, path, oom_marks(CGROUP_ROOT, path));
	oom_value_text(value, text, sizeof(text));
	if (value)
		printf("%s: %s, by line %u\n", typed, text, value->line);
	else
		printf("%s: no line is about it\n", typed);
	return 0;
}

static int check(char **paths, int nr)
{
	int i, err;

	new_conf = read_conf(conf_file, false);
	if (!new_conf)
		return -1;
	err = oom_policy_check(new_conf);
	for (i = 0; i < nr && !err; i++)
		err = check_path(paths[i]);
	if (!nr && !err)
		printf("%s: %d rules, %d pods, %d early kills\n", conf_file, new_conf->nr_rules,
		       new_conf->nr_pods / 2, new_conf->nr_early);
	oom_conf_free(new_conf);
	return err;
}

/* Files that are looked at, by inotify. Of a link there is more than one. */
struct watches {
	int fd;
	int nr;
	struct {
		int wd;			/* of the directory */
		char path[PATH_MAX];
	} file[MAX_WATCHED];
};

/* A file is written in place or renamed to, and a link is made anew, too. */
static int watch_path(struct watches *w, const char *path)
{
	char *copy = strdup(path);
	int wd = copy ? inotify_add_watch(w->fd, dirname(copy),
					  IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) : -1;

	free(copy);
	if (wd < 0)
		return -1;
	w->file[w->nr].wd = wd;
	snprintf(w->file[w->nr++].path, sizeof(w->file->path), "%s", path);
	return 0;
}

/* A link may lead nowhere for now: that it is made anew is seen all the same. */
static int watch_file(struct watches *w, const char *file)
{
	char path[PATH_MAX], target[PATH_MAX], *slash;
	ssize_t len;
	int i;

	if (watch_path(w, file))
		return fail("cannot watch the directory of %s: %s", file, strerror(errno));
	snprintf(path, sizeof(path), "%s", file);
	for (i = 1; i < MAX_LINKS; i++) {
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			return 0;
		target[len] = '\0';
		slash = *target == '/' ? NULL : strrchr(path, '/');
		len = slash ? slash + 1 - path : 0;
		if ((size_t)len + strlen(target) >= sizeof(path))
			return 0;
		memcpy(path + len, target, strlen(target) + 1);
		if (watch_path(w, path))
			return 0;
	}
	return 0;
}

/* In a ConfigMap the file is a link that goes by another one, ..data, which is replaced. */
static bool is_about(const struct watches *w, const struct inotify_event *event)
{
	const char *name;
	struct stat st;
	int i;

	for (i = 0; i < w->nr; i++) {
		if (event->wd != w->file[i].wd || !event->len)
			continue;
		if (!strcmp(event->name, "..data"))
			return true;
		name = strrchr(w->file[i].path, '/');
		if (strcmp(event->name, name ? name + 1 : w->file[i].path))
			continue;
		/* A file that has just been made is yet to be written. */
		if (!(event->mask & IN_CREATE) ||
		    (!lstat(w->file[i].path, &st) && S_ISLNK(st.st_mode)))
			return true;
	}
	return false;
}

static bool read_events(const struct watches *w)
{
	const struct inotify_event *event;
	union {
		struct inotify_event event;
		char room[4096];
	} u;
	bool changed = false;
	ssize_t len, at;

	len = read(w->fd, u.room, sizeof(u.room));
	for (at = 0; at < len; at += sizeof(*event) + event->len) {
		event = (const void *)(u.room + at);
		changed |= event->mask & IN_Q_OVERFLOW || is_about(w, event);
	}
	return changed;
}

/*
 * A configuration that is bad is told, and the one before stays, with its list of pods;
 * at the beginning it is the end. Watching comes first, so that no change is missed.
 */
static int watch(void)
{
	static struct watches w;
	char *pods_file = NULL;
	struct oom_conf *conf;
	bool started = false;
	int err;

	for (;;) {
		conf = read_conf(conf_file, false);
		if (conf) {
			free(pods_file);
			pods_file = conf->pods_file ? strdup(conf->pods_file) : NULL;
			oom_conf_free(conf);
		}
		w.nr = 0;
		w.fd = inotify_init1(IN_CLOEXEC);
		if (w.fd < 0)
			return fail("no inotify: %s", strerror(errno));
		if (watch_file(&w, conf_file) || (pods_file && watch_file(&w, pods_file)))
			return -1;
		err = conf ? apply() : -1;
		if (err && !started)
			return -1;
		started = true;
		fflush(stdout);
		while (!read_events(&w))
			;
		close(w.fd);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "pin", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const char *word;
	int c, nr;

	libbpf_set_print(NULL);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			conf_file = optarg;
			break;
		case 'p':
			oom_pin_dir = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			fputs("Try 'oom_rules --help'.\n", stderr);
			return 1;
		}
	}
	word = optind < argc ? argv[optind++] : "";
	nr = argc - optind;
	if (!strcmp(word, "check"))
		return !!check(argv + optind, nr);
	if (nr || (strcmp(word, "apply") && strcmp(word, "watch") && strcmp(word, "remove"))) {
		fail("what is '%s'? There are apply, watch, check and remove", nr ? argv[optind] :
		     word);
		return 1;
	}
	if (!strcmp(word, "watch"))
		return !!watch();
	return !!(strcmp(word, "apply") ? do_remove() : apply());
}
