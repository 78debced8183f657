// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kill of psi_kill, with the hooks before it, and the rehearsal in its place; what is
 * said of either comes after it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf_oom_policy.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup_path.h"
#include "psi_act.h"
#include "psi_kill.skel.h"

struct act_options act_option = { .prekill_ms = 1000 };

static int kill_fd;		/* the program that kills */
static __u64 *scope_id;		/* what it is told */

int act_load(void)
{
	struct psi_kill *skel = psi_kill__open_and_load();

	if (!skel && (errno == EPERM || errno == EACCES))
		return fail("no permission to load the program: it takes CAP_SYS_ADMIN");
	if (!skel)
		return fail("the kernel has no OOM policies, or refuses the program: %s",
			    strerror(errno));
	/* It stays until the end. */
	kill_fd = bpf_program__fd(skel->progs.kill_one);
	scope_id = &skel->bss->scope_id;
	return 0;
}

/* The program attached to a cgroup, -1 if there is none. */
static int policy_at(__u64 cgroup_id)
{
	struct bpf_link_info info;
	__u32 id = 0, len;
	int fd, err;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		err = bpf_link_get_info_by_fd(fd, &info, &len);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_OOM_POLICY &&
		    info.oom_policy.attach_type == BPF_OOM_POLICY &&
		    info.oom_policy.cgroup_id == cgroup_id)
			return bpf_prog_get_fd_by_id(info.prog_id);
	}
	return -1;
}

/* The nearest one at or above the scope. It may change while we watch. */
static int find_policy(const struct scope *scope)
{
	char full[2 * PATH_MAX], *slash;
	int fd = -1;
	__u64 id;

	snprintf(full, sizeof(full), CGROUP_ROOT "%s", scope->path);
	while (fd < 0 && strlen(full) >= strlen(CGROUP_ROOT)) {
		if (cgroup_id(full, &id))
			return -1;
		fd = policy_at(id);
		slash = strrchr(full, '/');
		*slash = '\0';
	}
	return fd;
}

int act_find_policy(struct rule *rule)
{
	const struct scope *scope = &rule->early.scope;

	rule->policy_fd = -1;
	if (act_option.dry_run || act_option.nr_prekill)
		rule->policy_fd = find_policy(scope);
	if (rule->policy_fd < 0 && act_option.dry_run)
		return fail("no policy rules %s: there is nothing to rehearse", scope->path);
	return 0;
}

/* 0: @out has the victim as candidate 1; else -errno. */
static int rehearse(const struct rule *rule, struct bpf_oom_ctx *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .flags = BPF_F_TEST_OOM_SELECT);
	struct bpf_oom_ctx in = { .cgroup_id_1 = rule->early.scope.id };

	opts.ctx_in = &in;
	opts.ctx_size_in = sizeof(in);
	opts.ctx_out = out;
	opts.ctx_size_out = sizeof(*out);
	return bpf_prog_test_run_opts(rule->policy_fd, &opts) ?: (int)opts.retval;
}

static void tell_rehearsal(const struct rule *rule)
{
	struct bpf_oom_ctx victim = {};
	char path[PATH_MAX];
	const int err = rehearse(rule, &victim);

	if (err)
		printf("dry run: nobody would be killed%s: %s\n", rule->where, strerror(-err));
	else
		printf("dry run: process %u of %s would be killed%s\n", victim.pid_1,
		       path_of(victim.cgroup_id_1, path, sizeof(path)), rule->where);
	if (!err && act_option.nr_prekill)
		printf("dry run: hooks would be told before, and have %u ms\n",
		       act_option.prekill_ms);
}

/* "pressure full above 40% for 10s (it is 3.1%)" */
static void tell_missing(const struct early_condition *c, long long now_ms)
{
	char text[96];

	oom_condition_text(&c->is, text, sizeof(text));
	if (c->holds)
		printf("%s (for %.1f s so far)", text, (now_ms - c->since_ms) / 1000.0);
	else
		printf("%s (it is %.1f%%)", text, c->value);
}

void act_tell_state(struct rule *rule, unsigned int state, long long now_ms)
{
	const struct early *early = &rule->early;
	const time_t now = time(NULL);
	const char *sep = ": missing ";
	char clock[32] = "";
	struct tm tm;
	int n;

	if (!*rule->where || (rule->is_told && state == rule->told))
		return;
	rule->told = state;
	rule->is_told = true;
	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%F %T", &tm);
	printf("dry run: %s%s", clock, rule->where);
	if (early_met(early, state))
		printf(": all conditions hold");
	for (n = 0; n < early->nr; n++) {
		if (state & EARLY_MET(n))
			continue;
		fputs(sep, stdout);
		tell_missing(&early->conditions[n], now_ms);
		sep = ", ";
	}
	putchar('\n');
}

/* Whoever would die as things are; without a policy hooks are told of the scope. */
static void tell_hooks(const struct rule *rule)
{
	struct bpf_oom_ctx victim = { .cgroup_id_1 = rule->early.scope.id };
	char path[PATH_MAX];
	int late;

	if (rule->policy_fd >= 0 && rehearse(rule, &victim))
		return;
	late = prekill_run(act_option.prekill, act_option.nr_prekill,
			   path_of(victim.cgroup_id_1, path, sizeof(path)), act_option.prekill_ms);
	if (late)
		printf("%d hooks have not answered in %u ms: not waited for\n", late,
		       act_option.prekill_ms);
}

/* True if the monitor is to pause. */
static bool tell_kill(const struct rule *rule, int err)
{
	const char *path = rule->early.scope.path;

	switch (err) {
	case 0:
		printf("killed a victim below %s%s; who, the kernel's log says\n", path,
		       rule->where);
		return true;
	case -EAGAIN:
		printf("nobody killed below %s: a victim is still dying\n", path);
		return false;
	case -ESRCH:
		printf("nobody killed below %s: there is nobody to kill\n", path);
		return true;
	case -EPERM:
		printf("nobody killed below %s: it takes CAP_SYS_ADMIN\n", path);
		return true;
	default:
		printf("nobody killed below %s: %s\n", path, strerror(-err));
		return true;
	}
}

/* Without hooks nothing comes between this and the system call. */
bool act(const struct rule *rule)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	if (act_option.dry_run) {
		tell_rehearsal(rule);
		return true;
	}
	if (act_option.nr_prekill)
		tell_hooks(rule);
	*scope_id = rule->early.scope.id;
	err = bpf_prog_test_run_opts(kill_fd, &opts);
	return tell_kill(rule, err ?: (int)opts.retval);
}
