// SPDX-License-Identifier: GPL-2.0-only
/*
 * The OOM report of an event in which no policy has a say is, to the letter, that
 * of the untouched kernel.
 *
 *	report record FILE	the untouched kernel: writes its reports
 *	report compare FILE	the same ones here?
 *
 * Two machines are never in the same state: numbers, which of the page types a
 * free area has, and what the stack looked like are left out of the comparison,
 * and that the unit tests at boot taint a kernel.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "kselftest.h"
#include "kmsg.h"
#include "policy.h"

#define REPORT_SIZE	65536
#define LIMIT		"8388608"
#define TOO_MUCH	(16UL << 20)

enum kind { GLOBAL, MEMCG, NR_KINDS };

static const char * const kind_names[] = { "global", "memcg" };

static const struct {
	const char *name;
	enum kind kind;
	const char *attach_to;	/* NULL: nothing, "": the root */
	bool detach;
} cases[] = {
	{ "nothing_attached",		GLOBAL,	NULL,	false },
	{ "attached_elsewhere",		GLOBAL,	"B",	false },
	{ "detached_again",		GLOBAL,	"",	true },
	{ "nothing_attached",		MEMCG,	NULL,	false },
	{ "attached_without_memcg_flag", MEMCG,	"",	false },
	{ "detached_again",		MEMCG,	"",	true },
};

static int take_too_much(void)
{
	char *mem;

	if (write_file("/proc/self/oom_score_adj", "0") || cgroup_write("C", "cgroup.procs", "0"))
		return 1;
	mem = mmap(NULL, TOO_MUCH, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (mem != MAP_FAILED)
		memset(mem, 1, TOO_MUCH);
	return 1;
}

static int raise_memcg_oom(void)
{
	int status;
	pid_t pid;

	if (cgroup_write("C", "memory.max", LIMIT))
		return -1;
	pid = fork();
	if (!pid)
		_exit(take_too_much());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 0 : -1;
}

/* " (UME)", the page types in a free area: as many characters, or none. */
static size_t page_types(const char *text)
{
	size_t n;

	if (strncmp(text, " (", 2))
		return 0;
	n = strspn(text + 2, "UMEHCI");
	return n && text[2 + n] == ')' ? n + 3 : 0;
}

/* The words of one line, without what differs from boot to boot. */
static void keep_words(char *line)
{
	char *to = line, *from = line, *taint;

	taint = strstr(line, "Not tainted");
	if (!taint)
		taint = strstr(line, "Tainted: ");
	if (taint)
		*taint = '\0';
	while (*from) {
		const bool hex = !strncmp(from, "0x", 2);

		if (isdigit(*from)) {
			from += hex ? 2 : 0;
			while (isdigit(*from) || (hex && isxdigit(*from)))
				from++;
			*to++ = 'N';
		} else if (page_types(from)) {
			from += page_types(from);
		} else if (from[0] == ' ' && from[1] == ' ') {
			from++;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static void normalize(char *report)
{
	char *line, *next, *to = report;
	bool in_stack = false;

	for (line = report; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strstr(line, "</TASK>"))
			in_stack = false;
		if (!in_stack && strncmp(line, "Tainted: ", strlen("Tainted: "))) {
			keep_words(line);
			memmove(to, line, strlen(line));
			to += strlen(line);
			*to++ = '\n';
		}
		if (!strncmp(line, "Call Trace:", strlen("Call Trace:")))
			in_stack = true;
	}
	*to = '\0';
}

/* The report of an OOM whose victim the stock killer chooses. */
static void get_report(enum kind kind, const char *attach_to, bool detach, char *report)
{
	struct policy *policy = NULL;
	struct bpf_link *link = NULL;
	struct tree tree;
	int fd, err;

	if (protect_self() || tree_make(&tree, "A=0,64M B=0,8M C=0"))
		ksft_exit_fail_msg("no tree\n");
	if (attach_to) {
		policy = policy_load(&tree);
		link = policy ? attach_with(policy->progs.compare, attach_to) : NULL;
		if (!link || (detach && bpf_link__detach(link)))
			ksft_exit_fail_msg("no policy at /%s\n", attach_to);
	}

	fd = kmsg_open();
	err = kind == GLOBAL ? raise_oom_sysrq() : raise_memcg_oom();
	if (fd < 0 || err || kmsg_read_report(fd, report, REPORT_SIZE) < 0)
		ksft_exit_fail_msg("no report of a %s OOM\n", kind_names[kind]);
	close(fd);
	normalize(report);

	bpf_link__destroy(link);
	policy__destroy(policy);
	tree_remove(&tree);
}

static void record(const char *path)
{
	FILE *f = fopen(path, "we");
	char report[REPORT_SIZE];
	int kind;

	if (!f)
		ksft_exit_fail_msg("cannot write %s: %s\n", path, strerror(errno));
	ksft_set_plan(NR_KINDS);
	for (kind = 0; kind < NR_KINDS; kind++) {
		get_report(kind, NULL, false, report);
		fprintf(f, "%s\n", report);
		ksft_test_result(strstr(report, "Killed process"), "report.recorded.%s\n",
				 kind_names[kind]);
	}
	if (fclose(f))
		ksft_exit_fail_msg("cannot write %s: %s\n", path, strerror(errno));
}

/* Reports in a file are separated by empty lines. */
static void read_stock(const char *path, char stock[NR_KINDS][REPORT_SIZE])
{
	FILE *f = fopen(path, "re");
	char line[8192];
	size_t used = 0;
	int kind = 0;

	if (!f)
		ksft_exit_fail_msg("no reports of the untouched kernel in %s: %s\n", path,
				   strerror(errno));
	while (kind < NR_KINDS && fgets(line, sizeof(line), f)) {
		if (*line != '\n') {
			used += snprintf(stock[kind] + used, REPORT_SIZE - used, "%s", line);
		} else {
			kind++;
			used = 0;
		}
	}
	fclose(f);
}

/* Up to the first difference. */
static bool is_same(char *stock, char *here)
{
	char *line, *other, *saved, *other_saved;

	line = strtok_r(stock, "\n", &saved);
	other = strtok_r(here, "\n", &other_saved);
	while (line && other && !strcmp(line, other)) {
		line = strtok_r(NULL, "\n", &saved);
		other = strtok_r(NULL, "\n", &other_saved);
	}
	if (!line && !other)
		return true;
	ksft_print_msg("untouched kernel: %s\n", line ?: "(end)");
	ksft_print_msg("this kernel:      %s\n", other ?: "(end)");
	return false;
}

static void compare(const char *path)
{
	static char stock[NR_KINDS][REPORT_SIZE], expected[REPORT_SIZE], here[REPORT_SIZE];
	size_t i;

	read_stock(path, stock);
	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		get_report(cases[i].kind, cases[i].attach_to, cases[i].detach, here);
		memcpy(expected, stock[cases[i].kind], REPORT_SIZE);
		ksft_test_result(*expected && is_same(expected, here), "report.%s.%s\n",
				 kind_names[cases[i].kind], cases[i].name);
	}
}

int main(int argc, char **argv)
{
	require_bare_machine();
	ksft_print_header();
	if (argc == 3 && !strcmp(argv[1], "record"))
		record(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "compare"))
		compare(argv[2]);
	else
		ksft_exit_fail_msg("usage: report record FILE | compare FILE\n");
	ksft_finished();
}
