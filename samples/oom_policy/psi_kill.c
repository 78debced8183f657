// SPDX-License-Identifier: GPL-2.0-only
/*
 * psi_kill: a monitor that has somebody killed before the memory is gone.
 *
 * The idea: a machine, or a tenant with a limit, that spends its time waiting for
 * memory is lost long before an allocation fails. The kernel measures that wait
 * (pressure stall information) and wakes whoever asked for it. What remains is one
 * system call, behind which the kernel chooses by the attached policies and kills.
 *
 *	/proc/pressure/memory, or memory.pressure of a cgroup
 *	   | some 150 ms of the last 1000 ms
 *	   v
 *	poll() returns -> bpf(BPF_PROG_TEST_RUN) -> a victim by the policies
 *	   ^                                           |
 *	   `------- a pause, so that it helps ---------'
 *
 * Monitors that read files and send signals need memory for that, and wait for it
 * like everybody else, when it matters. This one has everything before it says that
 * it is ready: program, trigger and all of its pages, locked. Between the kernel's
 * wake-up and the kill it allocates nothing and asks nobody.
 *
 * What it says comes after the kill, since writing may have to wait for memory.
 * With --dry-run it rehearses the attached policy instead: that takes memory.
 *
 * One trigger for one scope are its options. With --rules it goes by the lines "early"
 * of oom-policy.conf(5): several scopes, each with several conditions that have to hold
 * for some time. early.c measures them, beginning with the kernel's wake-up.
 *
 * Limits:
 * - a cgroup has to be there when the monitor starts, and the rules are read then;
 * - a pause is one for all scopes;
 * - a victim that is still dying, or the grace of a policy, puts the kill off until
 *   the pressure has built up once more;
 * - the kernel writes its report before it kills: a slow console holds up the kill,
 *   unless the console's log level keeps it out (dmesg -n);
 * - without a policy the largest process of the scope dies, as the kernel has it;
 * - to read memory.stat, for a condition on memory, takes the kernel a page;
 * - hooks (--prekill) take memory and time when both are short, and after them the
 *   kernel chooses anew: mostly, but not for certain, whom they were told of.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "prekill.h"
#include "psi_act.h"

static struct {
	const char *rules;
	const char *cgroup;
	bool one_trigger;	/* options that rules bring themselves */
	bool full;
	unsigned int threshold_ms;
	unsigned int window_ms;
	unsigned int pause_ms;
} option = {
	.cgroup = "/", .threshold_ms = 150, .window_ms = 1000, .pause_ms = 5000,
};

static struct monitor {
	struct rule rules[MAX_EARLY];
	int nr_rules;
	int signal_fd;
} monitor;

static void usage(FILE *to)
{
	fputs("Usage: psi_kill [--cgroup PATH] [--full] [--threshold MS] [--window MS]\n"
	      "                [--pause MS] [--prekill HOOK ...] [--prekill-timeout MS]\n"
	      "                [--dry-run]\n"
	      "       psi_kill --rules FILE [--pause MS] [--prekill HOOK ...]\n"
	      "                [--prekill-timeout MS] [--dry-run]\n"
	      "\n"
	      "Have a victim killed when tasks have waited too long for memory. The kernel\n"
	      "chooses it by the OOM policies that are attached.\n"
	      "\n"
	      "  --cgroup PATH    watch this cgroup and kill below it (default: the root, which\n"
	      "                   is the whole machine)\n"
	      "  --full           count the time in which all tasks waited, not only some\n"
	      "  --threshold MS   so much waiting is too much (default: 150) ...\n"
	      "  --window MS      ... in this time, 500 to 10000 (default: 1000)\n"
	      "  --rules FILE     when to kill, and where, say the lines \"early\" of this file, as\n"
	      "                   oom-policy.conf(5) describes them\n"
	      "  --pause MS       after a kill, wait this long (default: 5000)\n"
	      "  --prekill HOOK   before a kill run this program with the victim's cgroup as its\n"
	      "                   argument; a directory: tell all of its sockets by varlink, as\n"
	      "                   systemd-oomd does those of /run/systemd/oomd.prekill.hook\n"
	      "  --prekill-timeout MS  so long do all hooks have together (default: 1000)\n"
	      "  --dry-run        tell when who would be killed, and kill nobody; with rules, also\n"
	      "                   what is missing when they begin to apply\n"
	      "  --help           show this text\n"
	      "\n"
	      "PATH is relative to the root of cgroup v2 (prod/db) or absolute below it\n"
	      "(/sys/fs/cgroup/prod/db). Ends with SIGTERM or ^C.\n", to);
}

static int add_hook(const char *file)
{
	const int err = prekill_check(file);

	if (act_option.nr_prekill == MAX_PREKILL)
		return fail("there is room for %d hooks", MAX_PREKILL);
	if (err)
		return fail("'%s' is no hook: %s", file, strerror(err));
	act_option.prekill[act_option.nr_prekill++] = file;
	return 0;
}

static int parse_option(int c, const char *text)
{
	option.one_trigger |= !!strchr("cftw", c);
	switch (c) {
	case 'r':
		option.rules = text;
		return 0;
	case 'c':
		option.cgroup = text;
		return 0;
	case 'f':
		option.full = true;
		return 0;
	case 'n':
		act_option.dry_run = true;
		return 0;
	case 't':
		return parse_ms("threshold", text, 1, 10000, &option.threshold_ms);
	case 'w':
		return parse_ms("window", text, 500, 10000, &option.window_ms);
	case 'p':
		return parse_ms("pause", text, 0, 3600 * 1000, &option.pause_ms);
	case 'k':
		return add_hook(text);
	case 'm':
		return parse_ms("prekill-timeout", text, 1, 60000, &act_option.prekill_ms);
	default:
		fputs("Try 'psi_kill --help'.\n", stderr);
		return -1;
	}
}

static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rules", required_argument, NULL, 'r' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "full", no_argument, NULL, 'f' },
		{ "threshold", required_argument, NULL, 't' },
		{ "window", required_argument, NULL, 'w' },
		{ "pause", required_argument, NULL, 'p' },
		{ "prekill", required_argument, NULL, 'k' },
		{ "prekill-timeout", required_argument, NULL, 'm' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		if (parse_option(c, optarg))
			return -1;
	}
	if (optind < argc)
		return fail("what is '%s'? There are options only", argv[optind]);
	if (option.rules && option.one_trigger)
		return fail("rules are without --cgroup, --full, --threshold and --window");
	if (option.threshold_ms > option.window_ms)
		return fail("a threshold of %u ms is never reached in a window of %u ms",
			    option.threshold_ms, option.window_ms);
	return 0;
}

/*
 * From here on no page of ours has to be found, or made: stack and heap included.
 * And nobody kills the one that asks for the kill.
 */
static int settle(void)
{
	char room[64 * 1024];
	int fd, len;

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return fail("cannot lock its memory: %s", strerror(errno));
	memset(room, 0, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");

	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : write(fd, "-1000", 5);
	if (fd >= 0)
		close(fd);
	return len < 0 ? fail("cannot set its oom_score_adj: %s", strerror(errno)) : 0;
}

/* As sd_notify(3) describes it. */
static int tell_ready(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd, err;

	if (!path)
		return 0;
	len = strlen(path);
	if (len < 2 || len >= sizeof(to.sun_path))
		return fail("not a socket to be ready on: '%s'", path);
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (void *)&to,
			       offsetof(struct sockaddr_un, sun_path) + len) < 0;
	if (err)
		fail("cannot say that it is ready on %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err ? -1 : 0;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* True if the monitor is to pause. */
static bool look(struct rule *rule, long long now)
{
	const unsigned int state = early_look(&rule->early, now);
	bool pause;

	if (act_option.dry_run)
		act_tell_state(rule, state, now);
	if (!early_met(&rule->early, state))
		return false;
	pause = act(rule);
	early_reset(&rule->early);
	return pause;
}

/* Which rule's trigger each descriptor is; the first is for signals. */
struct triggers {
	struct pollfd fds[1 + MAX_EARLY * MAX_CONDITIONS];
	struct rule *rule[1 + MAX_EARLY * MAX_CONDITIONS];
	struct early_condition *condition[1 + MAX_EARLY * MAX_CONDITIONS];
	int nr;
};

static void find_triggers(struct triggers *t)
{
	struct early *early;
	int i, n;

	t->fds[0] = (struct pollfd) { .fd = monitor.signal_fd, .events = POLLIN };
	t->nr = 1;
	for (i = 0; i < monitor.nr_rules; i++) {
		early = &monitor.rules[i].early;
		for (n = 0; n < early->nr; n++) {
			if (early->conditions[n].fd < 0)
				continue;
			t->fds[t->nr] = (struct pollfd) {
				.fd = early->conditions[n].fd, .events = POLLPRI,
			};
			t->rule[t->nr] = &monitor.rules[i];
			t->condition[t->nr++] = &early->conditions[n];
		}
	}
}

/* -1 if no cgroup is left. */
static int heed_triggers(struct triggers *t, long long now)
{
	struct early *early;
	int i, left = 0;

	for (i = 1; i < t->nr; i++) {
		early = &t->rule[i]->early;
		if (t->fds[i].fd >= 0 && t->fds[i].revents & POLLERR) {
			t->fds[i].fd = -1;
			if (!early->gone)
				fail("%s is gone", early->scope.path);
			early->gone = true;
			early_reset(early);
		} else if (t->fds[i].fd >= 0 && t->fds[i].revents) {
			early_wake(early, t->condition[i], now);
		}
		left += !early->gone;
	}
	return left ? 0 : -1;
}

/* When the next rule is to be looked at; -1: when a trigger says so. */
static long long time_left(long long now)
{
	const struct early *early;
	long long left = -1, until;
	int i;

	for (i = 0; i < monitor.nr_rules; i++) {
		early = &monitor.rules[i].early;
		until = early->next_ms > now ? early->next_ms - now : 0;
		if (early->awake && (left < 0 || until < left))
			left = until;
	}
	return left;
}

/* True if the monitor is to pause, in which nothing counts for any rule. */
static bool look_at_all(long long now)
{
	struct early *early;
	bool pause = false;
	int i;

	for (i = 0; i < monitor.nr_rules && !pause; i++) {
		early = &monitor.rules[i].early;
		pause = early->awake && early->next_ms <= now && look(&monitor.rules[i], now);
	}
	for (i = 0; i < monitor.nr_rules && pause; i++)
		early_reset(&monitor.rules[i].early);
	return pause;
}

/* What triggers tell during a pause does not count. */
static int watch(void)
{
	static struct triggers t;
	long long pause_end = 0, left;
	bool paused = false;

	find_triggers(&t);
	for (;;) {
		left = paused ? pause_end - now_ms() : time_left(now_ms());
		if (poll(t.fds, paused ? 1 : t.nr, paused && left < 0 ? 0 : left) < 0)
			return fail("cannot wait for the trigger: %s", strerror(errno));
		if (t.fds[0].revents)
			return 0;
		if (paused) {
			paused = now_ms() < pause_end;
			if (!paused)
				poll(&t.fds[1], t.nr - 1, 0);
			continue;
		}
		if (heed_triggers(&t, now_ms()))
			return -1;
		paused = look_at_all(now_ms());
		if (paused)
			pause_end = now_ms() + option.pause_ms;
	}
}

static int read_rules(void)
{
	struct oom_conf *conf = oom_conf_read(option.rules, false);
	const struct oom_early *from;
	struct rule *rule;
	int i, n, err = 0;

	if (!conf)
		return -1;
	if (!conf->nr_early)
		err = fail("%s has no line 'early'", option.rules);
	for (i = 0; i < conf->nr_early && !err; i++) {
		from = &conf->early[i];
		rule = &monitor.rules[monitor.nr_rules++];
		err = find_scope(from->cgroup, &rule->early.scope);
		if (err)
			fail("it is named in %s:%d", option.rules, from->line);
		snprintf(rule->where, sizeof(rule->where), " by %s:%d", option.rules, from->line);
		rule->early.window_ms = EARLY_WINDOW_MS;
		rule->early.nr = from->nr;
		for (n = 0; n < from->nr; n++)
			rule->early.conditions[n].is = from->conditions[n];
	}
	oom_conf_free(conf);
	return err;
}

static int make_rule(void)
{
	struct rule *rule = &monitor.rules[0];

	monitor.nr_rules = 1;
	rule->early.window_ms = option.window_ms;
	rule->early.nr = 1;
	rule->early.conditions[0].is = (struct oom_condition) {
		.measure = option.full ? OOM_PRESSURE_FULL : OOM_PRESSURE_SOME,
		.percent = 100.0 * option.threshold_ms / option.window_ms,
	};
	return find_scope(option.cgroup, &rule->early.scope);
}

static int open_rule(struct rule *rule)
{
	const struct scope *scope = &rule->early.scope;
	char text[96];
	int n;

	if (act_find_policy(rule))
		return -1;
	if (early_open(&rule->early))
		return -1;
	if (!option.rules) {
		printf("watching %s: %s %u ms of %u ms\n", scope->path,
		       option.full ? "full" : "some", option.threshold_ms, option.window_ms);
		return 0;
	}
	printf("watching %s%s", scope->path, rule->where);
	for (n = 0; n < rule->early.nr; n++) {
		oom_condition_text(&rule->early.conditions[n].is, text, sizeof(text));
		printf("%s%s", n ? " and " : ": ", text);
	}
	putchar('\n');
	return 0;
}

static int start(void)
{
	sigset_t signals;
	int i;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(NULL);

	monitor.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (monitor.signal_fd < 0)
		return fail("cannot wait for signals: %s", strerror(errno));
	if ((option.rules ? read_rules() : make_rule()) || act_load())
		return -1;
	for (i = 0; i < monitor.nr_rules; i++)
		if (open_rule(&monitor.rules[i]))
			return -1;
	return settle() ?: tell_ready();
}

int main(int argc, char **argv)
{
	return parse_options(argc, argv) || start() || watch();
}
