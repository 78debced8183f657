// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own test_memcontrol must say on this kernel, with and without a
 * policy at the root, what it says on the untouched one, be it good or bad.
 *
 *	memcontrol record FILE		the untouched kernel: writes its verdicts
 *	memcontrol compare FILE		the same verdicts here?
 *	memcontrol compare FILE policy	and with a policy attached to the root?
 *
 * The plain kernel under test has no IP, with which sockets charge memory: there that
 * case is skipped, and the debug kernel has it.
 *
 * Its page-cache cases want a real file system: it runs in /scratch. Those that
 * look at protection hang on which pages reclaim comes across, and fail now and
 * then on any kernel: what counts is the best of a few runs, on all kernels alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "kselftest.h"
#include "policy.h"

#define SCRATCH		"/scratch"
#define MAX_CASES	64
#define MAX_RUNS	4

struct verdict {
	char name[64];
	char word[8];	/* pass, fail or skip */
};

struct verdicts {
	struct verdict of[MAX_CASES];
	int nr;
};

static struct verdict *find(struct verdicts *verdicts, const char *name)
{
	int i;

	for (i = 0; i < verdicts->nr; i++)
		if (!strcmp(verdicts->of[i].name, name))
			return &verdicts->of[i];
	return NULL;
}

/*
 * The children of test_memcontrol repeat what was in its output buffer, and a
 * later run may do better.
 */
static void add(struct verdicts *verdicts, const char *word, const char *name)
{
	struct verdict *verdict = find(verdicts, name);

	if (verdict && strcmp(verdict->word, "fail"))
		return;
	if (!verdict) {
		if (verdicts->nr == MAX_CASES)
			ksft_exit_fail_msg("more than %d cases\n", MAX_CASES);
		verdict = &verdicts->of[verdicts->nr++];
	}
	snprintf(verdict->name, sizeof(verdict->name), "%s", name);
	snprintf(verdict->word, sizeof(verdict->word), "%s", word);
}

static bool any_failed(const struct verdicts *verdicts)
{
	int i;

	for (i = 0; i < verdicts->nr; i++)
		if (!strcmp(verdicts->of[i].word, "fail"))
			return true;
	return false;
}

static void parse_line(struct verdicts *verdicts, const char *line)
{
	char name[64];

	if (sscanf(line, "ok %*d # SKIP %63s", name) == 1)
		add(verdicts, "skip", name);
	else if (sscanf(line, "ok %*d %63s", name) == 1)
		add(verdicts, "pass", name);
	else if (sscanf(line, "not ok %*d %63s", name) == 1)
		add(verdicts, "fail", name);
	else
		ksft_print_msg("%s", line);
}

/* Next to this program; its own exit status is told by its lines. */
static void run_once(struct verdicts *verdicts)
{
	char self[PATH_MAX], path[PATH_MAX + 32], line[256];
	ssize_t len;
	FILE *f;

	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		ksft_exit_fail_msg("/proc/self/exe: %s\n", strerror(errno));
	self[len] = '\0';
	snprintf(path, sizeof(path), "%s/test_memcontrol", dirname(self));
	if (chdir(SCRATCH))
		ksft_exit_fail_msg("no " SCRATCH " for the page-cache cases: %s\n",
				   strerror(errno));

	f = popen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		parse_line(verdicts, line);
	if (!f || !WIFEXITED(pclose(f)) || !verdicts->nr)
		ksft_exit_fail_msg("%s did not run to its end\n", path);
}

static void run_test_memcontrol(struct verdicts *verdicts)
{
	int i;

	for (i = 0; i < MAX_RUNS && (!i || any_failed(verdicts)); i++)
		run_once(verdicts);
}

static void record(const char *path, const struct verdicts *verdicts)
{
	FILE *f = fopen(path, "we");
	int i;

	if (!f)
		ksft_exit_fail_msg("cannot write %s: %s\n", path, strerror(errno));
	ksft_set_plan(verdicts->nr);
	for (i = 0; i < verdicts->nr; i++) {
		fprintf(f, "%s %s\n", verdicts->of[i].word, verdicts->of[i].name);
		ksft_print_msg("%s: %s\n", verdicts->of[i].name, verdicts->of[i].word);
		ksft_test_result_pass("memcontrol.recorded.%s\n", verdicts->of[i].name);
	}
	if (fclose(f))
		ksft_exit_fail_msg("cannot write %s: %s\n", path, strerror(errno));
}

static void read_stock(const char *path, struct verdicts *stock)
{
	char word[8], name[64];
	FILE *f = fopen(path, "re");

	if (!f)
		ksft_exit_fail_msg("no verdicts of the untouched kernel in %s: %s\n", path,
				   strerror(errno));
	while (fscanf(f, "%7s %63s", word, name) == 2)
		add(stock, word, name);
	fclose(f);
	if (!stock->nr)
		ksft_exit_fail_msg("%s has no verdicts\n", path);
}

/* What a smaller kernel than the untouched one cannot say. */
static bool is_out_of_reach(const char *name)
{
	return !strcmp(name, "test_memcg_sock") && access("/proc/net/if_inet6", F_OK);
}

static void compare(const struct verdicts *stock, struct verdicts *here,
		    const char *how)
{
	const struct verdict *verdict;
	const char *word;
	int i;

	ksft_set_plan(stock->nr);
	for (i = 0; i < stock->nr; i++) {
		if (is_out_of_reach(stock->of[i].name)) {
			ksft_test_result_skip("memcontrol.%s.%s: no IPv6 here\n", how,
					      stock->of[i].name);
			continue;
		}
		verdict = find(here, stock->of[i].name);
		word = verdict ? verdict->word : "nothing";
		ksft_print_msg("%s: %s, untouched kernel: %s\n", stock->of[i].name, word,
			       stock->of[i].word);
		ksft_test_result(!strcmp(word, stock->of[i].word), "memcontrol.%s.%s\n",
				 how, stock->of[i].name);
	}
}

static void attach_policy(void)
{
	const struct tree no_tree = {};
	struct policy *policy = policy_load(&no_tree);

	if (!policy || !attach_with(policy->progs.compare, ""))
		ksft_exit_fail_msg("no policy attached\n");
}

int main(int argc, char **argv)
{
	const bool with_policy = argc == 4 && !strcmp(argv[3], "policy");
	struct verdicts here = {}, stock = {};

	ksft_print_header();
	if (argc == 3 && !strcmp(argv[1], "record")) {
		run_test_memcontrol(&here);
		record(argv[2], &here);
	} else if ((argc == 3 || with_policy) && !strcmp(argv[1], "compare")) {
		read_stock(argv[2], &stock);
		if (with_policy)
			attach_policy();
		run_test_memcontrol(&here);
		compare(&stock, &here, with_policy ? "policy" : "no_policy");
	} else {
		ksft_exit_fail_msg("usage: memcontrol record FILE | compare FILE [policy]\n");
	}
	ksft_finished();
}
