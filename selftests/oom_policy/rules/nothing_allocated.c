// SPDX-License-Identifier: GPL-2.0-only
/*
 * nothing_allocated COMMAND...: runs another test and watches every selection in
 * it: nothing may be allocated between its beginning and its end.
 *
 * Two results are added to the test's own: that the watcher does see allocations
 * (a rehearsal makes one), and that it saw none in the selections.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest.h"
#include "cgroups.h"
#include "helpers.h"
#include "rehearse.h"
#include "progs/windows.h"
#include "hostile.skel.h"
#include "nothing_allocated.skel.h"

#define ADDED	2

struct symbol {
	unsigned long long address;
	char name[128];
};

/* The last symbol at or before the address; the file is not sorted. */
static void find_symbol(unsigned long long address, struct symbol *best)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	struct symbol here;

	memset(best, 0, sizeof(*best));
	while (f && fscanf(f, "%llx %*c %127s%*[^\n]", &here.address, here.name) >= 2)
		if (here.address <= address && here.address >= best->address)
			*best = here;
	if (f)
		fclose(f);
}

static void print_stack(const struct window *window)
{
	struct symbol symbol;
	int i;

	for (i = 0; i < STACK_DEPTH && window->stack[i]; i++) {
		find_symbol(window->stack[i], &symbol);
		ksft_print_msg("  %s+%#llx\n", symbol.name,
			       window->stack[i] - symbol.address);
	}
}

/* Whether it finds somebody to kill does not matter. */
static void rehearse(void)
{
	struct hostile *hostile = hostile__open_and_load();
	struct rehearsed said;

	if (!hostile)
		ksft_exit_fail_msg("cannot load a policy: %s\n", strerror(errno));
	if (rehearse_select(bpf_program__fd(hostile->progs.always_first), cgroup_id(""), &said))
		ksft_print_msg("rehearsal: %s\n", strerror(errno));
	hostile__destroy(hostile);
}

static FILE *start(char **argv, pid_t *pid)
{
	int fds[2];

	if (pipe(fds))
		return NULL;
	*pid = fork();
	if (!*pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execv(argv[0], argv);
		ksft_exit_fail_msg("cannot run %s: %s\n", argv[0], strerror(errno));
	}
	close(fds[1]);
	return *pid < 0 ? NULL : fdopen(fds[0], "r");
}

/* Passes its output on, with a plan that has our results in it. */
static int run(char **argv, unsigned int *plan)
{
	char line[1024];
	int status = -1;
	pid_t pid;
	FILE *f;

	*plan = 0;
	f = start(argv, &pid);
	while (f && fgets(line, sizeof(line), f)) {
		if (!*plan && sscanf(line, "1..%u", plan) == 1)
			printf("1..%u\n", *plan + ADDED);
		else
			fputs(line, stdout);
		fflush(stdout);
	}
	if (f) {
		fclose(f);
		waitpid(pid, &status, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}

static bool report(bool ok, unsigned int number, const char *name)
{
	printf("%sok %u nothing_allocated.%s\n", ok ? "" : "not ", number, name);
	return ok;
}

int main(int argc, char **argv)
{
	struct nothing_allocated *watcher;
	const struct window *windows;
	unsigned int plan;
	int status;
	bool ok;

	if (argc < 2)
		ksft_exit_fail_msg("usage: nothing_allocated COMMAND...\n");
	if (protect_self())
		return KSFT_FAIL;
	watcher = nothing_allocated__open_and_load();
	if (!watcher || nothing_allocated__attach(watcher))
		ksft_exit_fail_msg("cannot watch: %s\n", strerror(errno));
	windows = watcher->bss->windows;

	status = run(argv + 1, &plan);
	rehearse();

	ksft_print_msg("%llu selections (%llu with a victim), %llu allocations\n",
		       windows[SELECTION].entered, windows[SELECTION].chose,
		       windows[SELECTION].allocated);
	ksft_print_msg("%llu rehearsals, %llu allocations\n",
		       windows[CONTROL].entered, windows[CONTROL].allocated);
	print_stack(&windows[SELECTION]);
	ok = report(windows[CONTROL].entered &&
		    windows[CONTROL].allocated >= windows[CONTROL].entered,
		    plan + 1, "rehearsals_seen_to_allocate");
	ok &= report(windows[SELECTION].chose && !windows[SELECTION].allocated,
		     plan + 2, "by_selections");
	return status || ok ? status : KSFT_FAIL;
}
