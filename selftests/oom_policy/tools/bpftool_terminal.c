// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "bpftool oom" looks like on a terminal: colours where they are wanted, columns
 * below one another, and no name of a tenant's that does anything to the terminal. And
 * the same names in JSON, which has to be JSON whatever they are made of.
 *
 * The machine must have no cgroups but these.
 */
#include <errno.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "says.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define NR_MANY		60
#define ROWS		20
#define PIN		"/sys/fs/bpf/oom_policy_escape"
#define LIST_NAMES	"bpftool -j oom rank prod | jq -r '.children[].cgroup'"
#define PATH_COLOUR	"\033[1m"
#define VICTIM_COLOUR	"\033[1;31m"
#define LOSER_COLOUR	"\033[2m"
#define NO_COLOUR	"\033[0m"

#define WIDE_NAME	"\xe6\x97\xa5\xe6\x9c\xac"	/* two of two columns */
#define MARKED_NAME	"abce\xcc\x81"			/* an accent of its own on the e */
#define C1_NAME		"c1\xc2\x9b[2J"			/* CSI in one character */
#define BIDI_NAME	"bidi\342\200\256cbs"	/* from here on to the left */
#define ISOLATE_NAME	"isolate\xe2\x81\xa6"
#define BYTE_NAME	"byte\x9b\xff"			/* no UTF-8 */
#define LONG_NAME	"long\xc0\x9b"			/* U+001B, in more bytes than it takes */
#define ESCAPE_NAME	"escape\033[31m"
#define TAB_NAME	"tab\tstop"

static const char * const names[] = {
	WIDE_NAME, MARKED_NAME, C1_NAME, BIDI_NAME, ISOLATE_NAME, BYTE_NAME, LONG_NAME,
	ESCAPE_NAME, TAB_NAME,
};

#define ALL_COMMANDS							\
	"show; compare prod batch; rank prod; rank; select; check; priority list;" \
	"priority get prod"

/* No rows: of no known size. */
static struct winsize window;

/* Until EIO: nobody has it open any more. */
static size_t read_terminal(int fd, size_t len)
{
	ssize_t n;

	while (len < OUTPUT_SIZE - 1 &&
	       (n = read(fd, shell_output + len, OUTPUT_SIZE - 1 - len)) > 0)
		len += n;
	return len;
}

/*
 * Exit status; shell_output is what has come to the terminal. Between a look for more and
 * a look whether the other end is closed, a writer can both write and close: then there is
 * EIO with something left, which the next read has.
 */
static int on_terminal(const char *command)
{
	int fd, status;
	size_t len;
	pid_t pid;

	fflush(NULL);
	pid = forkpty(&fd, NULL, NULL, &window);
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	if (pid < 0)
		return -1;
	len = read_terminal(fd, 0);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		status = -1;
	len = read_terminal(fd, len);
	close(fd);
	shell_output[len] = '\0';
	return status < 0 ? -1 : WEXITSTATUS(status);
}

static int make_named(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "prod/%s", name);
	return cgroup_make(path);
}

static void remove_named(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_ROOT "/prod/%s", name);
	rmdir(path);
}

FIXTURE(terminal)
{
	struct tree tree;
};

FIXTURE_SETUP(terminal)
{
	size_t i;

	shell("rm -rf /sys/fs/bpf/oom_policy_*");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		remove_named(names[i]);
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, "prod=0 batch=0,4M prod/db=0,4M prod/abcd=0,2M"));
	ASSERT_EQ(0, shell("bpftool oom attach " POLICY " && bpftool oom priority set /batch 1"))
		TH_LOG("%s", shell_output);
	setenv("TERM", "linux", 1);
	unsetenv("NO_COLOR");
}

FIXTURE_TEARDOWN(terminal)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		remove_named(names[i]);
	shell("rm -rf /sys/fs/bpf/oom_policy_*");
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(terminal, has_colours, TEST_TIMEOUT_S)
{
	ASSERT_EQ(0, on_terminal("bpftool oom select")) TH_LOG("%s", shell_output);
	begins(_metadata, PATH_COLOUR "/  2 eligible");
	EXPECT_NE(NULL, strstr(shell_output, VICTIM_COLOUR "|   |-> db"))
		TH_LOG("%s", shell_output);
	EXPECT_NE(NULL, strstr(shell_output, LOSER_COLOUR "`-- batch"))
		TH_LOG("%s", shell_output);
	EXPECT_NE(NULL, strstr(shell_output, "  victim" NO_COLOUR "\r\n"));
	EXPECT_EQ(NULL, strchr(shell_output, '?'));

	/* An empty one is none. */
	ASSERT_EQ(0, on_terminal("NO_COLOR= bpftool oom select"));
	EXPECT_NE(NULL, strstr(shell_output, VICTIM_COLOUR));
}

FIXTURE(plain)
{
};

FIXTURE_VARIANT(plain)
{
	const char *command;
};

FIXTURE_VARIANT_ADD(plain, no_color)
{
	.command = "NO_COLOR=1 bpftool oom select",
};

FIXTURE_VARIANT_ADD(plain, dumb_terminal)
{
	.command = "TERM=dumb bpftool oom select",
};

FIXTURE_VARIANT_ADD(plain, unknown_terminal)
{
	.command = "unset TERM; bpftool oom select",
};

FIXTURE_VARIANT_ADD(plain, pipe)
{
	.command = "bpftool oom select | cat",
};

FIXTURE_VARIANT_ADD(plain, file)
{
	.command = "bpftool oom select >/tmp/select && cat /tmp/select",
};

FIXTURE_VARIANT_ADD(plain, json)
{
	.command = "bpftool -jp oom select",
};

FIXTURE_SETUP(plain)
{
	ASSERT_EQ(0, protect_self());
	setenv("TERM", "linux", 1);
	unsetenv("NO_COLOR");
	ASSERT_EQ(0, shell("bpftool oom attach " POLICY)) TH_LOG("%s", shell_output);
}

FIXTURE_TEARDOWN(plain)
{
	shell("bpftool oom detach /");
}

TEST_F_TIMEOUT(plain, has_no_colours, TEST_TIMEOUT_S)
{
	struct tree tree;

	ASSERT_EQ(0, tree_make(&tree, "A=0,4M B=0,2M"));
	EXPECT_EQ(0, on_terminal(variant->command)) TH_LOG("%s", shell_output);
	EXPECT_NE(NULL, strstr(shell_output, "victim"));
	EXPECT_EQ(NULL, strchr(shell_output, '\033')) TH_LOG("%s", shell_output);
	EXPECT_EQ(NULL, strchr(shell_output, '?')) TH_LOG("%s", shell_output);
	tree_remove(&tree);
}

/* Without colours, returns, numbers and blanks, which are not the same each time. */
static void simplify(const char *from, char *to)
{
	while (*from) {
		if (*from == '\033')
			from += strcspn(from, "m") + 1;
		else if (strchr("\r 0123456789", *from))
			from++;
		else
			*to++ = *from++;
	}
	*to = '\0';
}

/* Each command says on a terminal what it says into a pipe. */
TEST_F_TIMEOUT(terminal, same_as_into_a_pipe, TEST_TIMEOUT_S)
{
	char commands[] = ALL_COMMANDS, command[128], *word, *saved;
	char piped[OUTPUT_SIZE], seen[OUTPUT_SIZE];

	for (word = strtok_r(commands, ";", &saved); word; word = strtok_r(NULL, ";", &saved)) {
		snprintf(command, sizeof(command), "bpftool oom %s | cat", word);
		EXPECT_EQ(0, shell("%s", command));
		strcat(shell_output, "\n");
		simplify(shell_output, piped);
		snprintf(command, sizeof(command), "bpftool oom %s", word);
		EXPECT_EQ(0, on_terminal(command));
		simplify(shell_output, seen);
		EXPECT_STREQ(piped, seen) TH_LOG("%s", word);
	}
}

/* Once a second, to whoever waits at a terminal and nobody else; gone in the end. */
TEST_F_TIMEOUT(terminal, shows_progress, TEST_TIMEOUT_S)
{
	const char *shown;

	EXPECT_EQ(0, on_terminal("LD_PRELOAD=/tests/fast_clock.so bpftool oom check"));
	shown = strstr(shell_output, "\rchecking: 1 cgroups, ");
	ASSERT_NE(NULL, shown) TH_LOG("%s", shell_output);
	shown = strstr(shown, "                    \r");
	ASSERT_NE(NULL, shown);
	EXPECT_EQ(NULL, strstr(shown, "checking: "));
	EXPECT_NE(NULL, strstr(shown, "contradictions: 0 "));

	EXPECT_EQ(0, on_terminal("LD_PRELOAD=/tests/fast_clock.so bpftool oom check 2>&1 | cat"));
	EXPECT_EQ(NULL, strstr(shell_output, "checking: "));
	EXPECT_EQ(0, on_terminal("LD_PRELOAD=/tests/fast_clock.so bpftool -j oom check"));
	EXPECT_EQ(NULL, strstr(shell_output, "checking: "));
}

/* The length of a colour of ours that the text begins with. */
static size_t colour_length(const char *text)
{
	static const char * const colours[] = {
		PATH_COLOUR, VICTIM_COLOUR, LOSER_COLOUR, NO_COLOUR,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(colours); i++)
		if (!strncmp(text, colours[i], strlen(colours[i])))
			return strlen(colours[i]);
	return 0;
}

/* It is UTF-8, none of which does more than to be seen, but for our colours. */
static bool is_harmless(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	unsigned int point;
	int more;

	while (*c) {
		if (colour_length((const char *)c)) {
			c += colour_length((const char *)c);
			continue;
		}
		more = *c < 0x80 ? 0 : *c < 0xc2 ? -1 : *c < 0xe0 ? 1 : *c < 0xf0 ? 2 : 3;
		if (more < 0)
			return false;
		point = more ? *c & (0x3f >> more) : *c;
		for (c++; more; more--, c++) {
			if ((*c & 0xc0) != 0x80)
				return false;
			point = point << 6 | (*c & 0x3f);
		}
		if ((point < ' ' && point != '\r' && point != '\n') ||
		    (point >= 0x7f && point <= 0x9f) || (point >= 0x202a && point <= 0x202e) ||
		    (point >= 0x2066 && point <= 0x2069))
			return false;
	}
	return true;
}

TEST_F_TIMEOUT(terminal, names_do_nothing_to_it, TEST_TIMEOUT_S)
{
	char commands[] = ALL_COMMANDS, command[128], *word, *saved;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		ASSERT_EQ(0, make_named(names[i]));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_EQ(0, shell("bpftool oom priority set '/prod/%s' 1", names[i]))
			TH_LOG("%s", shell_output);
	ASSERT_EQ(0, shell("bpftool oom attach " POLICY " '/prod/" ESCAPE_NAME "' pin " PIN))
		TH_LOG("%s", shell_output);

	for (word = strtok_r(commands, ";", &saved); word; word = strtok_r(NULL, ";", &saved)) {
		snprintf(command, sizeof(command), "bpftool oom %s", word);
		EXPECT_EQ(0, on_terminal(command));
		EXPECT_TRUE(is_harmless(shell_output)) TH_LOG("%s", word);
	}
	ASSERT_EQ(0, on_terminal("bpftool oom rank prod"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/" WIDE_NAME ": no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/c1?[2J: no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/bidi?cbs: no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/isolate?: no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/byte??: no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/long??: no"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod/tab?stop: no"));

	/* Nor do complaints. */
	EXPECT_EQ(255, on_terminal("bpftool oom compare '/prod/" ESCAPE_NAME "' /prod"));
	EXPECT_NE(NULL, strstr(shell_output, "/prod is above /prod/escape?[31m: "));
	EXPECT_TRUE(is_harmless(shell_output));
	EXPECT_EQ(255, on_terminal("bpftool oom rank '/prod/" C1_NAME "/" BIDI_NAME "'"));
	EXPECT_TRUE(is_harmless(shell_output));
	EXPECT_EQ(255, on_terminal("bpftool oom show /prod '" BYTE_NAME "'"));
	EXPECT_TRUE(is_harmless(shell_output));
}

TEST_F_TIMEOUT(terminal, names_are_valid_in_json, TEST_TIMEOUT_S)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		ASSERT_EQ(0, make_named(names[i]));
	ASSERT_EQ(0, shell("bpftool -j oom rank prod"));
	EXPECT_TRUE(is_harmless(shell_output)) TH_LOG("%s", shell_output);
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/" WIDE_NAME "\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/c1\\u009b[2J\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/bidi\\u202ecbs\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/isolate\\u2066\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/byte\\\\x9b\\\\xff\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/long\\\\xc0\\\\x9b\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/escape\\u001b[31m\""));
	EXPECT_NE(NULL, strstr(shell_output, "\"/prod/tab\\tstop\""));
	EXPECT_EQ(0, shell(LIST_NAMES " | grep -Fx '/prod/" BIDI_NAME "'"))
		TH_LOG("%s", shell_output);

	EXPECT_EQ(255, shell("bpftool -j oom rank '/prod/\"" BYTE_NAME "'"));
	EXPECT_TRUE(is_harmless(shell_output)) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, shell("bpftool -j oom rank '/prod/\"" BYTE_NAME "' | jq -r .error"))
		TH_LOG("%s", shell_output);
	begins(_metadata, "no such cgroup: /prod/\"byte\\x9b\\xff (");
}

static int count_lines(void)
{
	const char *c;
	int n = 0;

	for (c = shell_output; *c; c++)
		n += *c == '\n';
	return n;
}

/* Of many as many as fit, with the prompt below; all of them if asked for. */
TEST_F_TIMEOUT(terminal, shows_what_fits, TEST_TIMEOUT_S)
{
	char path[32];
	int n;

	for (n = 0; n < NR_MANY; n++) {
		snprintf(path, sizeof(path), "prod/s%d", n);
		ASSERT_EQ(0, cgroup_make(path));
	}
	window = (struct winsize) { .ws_row = ROWS, .ws_col = 80 };
	EXPECT_EQ(0, on_terminal("bpftool oom rank prod"));
	EXPECT_NE(NULL, strstr(shell_output, "more are not shown"));
	EXPECT_GT(ROWS, count_lines()) TH_LOG("%s", shell_output);
	EXPECT_LT(ROWS / 2, count_lines()) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, on_terminal("bpftool oom select"));
	EXPECT_NE(NULL, strstr(shell_output, "more: 'all' shows them"));
	EXPECT_NE(NULL, strstr(shell_output, "-> db"));
	EXPECT_GT(ROWS, count_lines()) TH_LOG("%s", shell_output);
	EXPECT_EQ(0, on_terminal("bpftool oom rank prod all"));
	EXPECT_LT(NR_MANY, count_lines());
	EXPECT_EQ(0, on_terminal("bpftool oom select all"));
	EXPECT_LT(NR_MANY, count_lines());
	EXPECT_EQ(0, on_terminal("bpftool oom rank prod | cat"));
	EXPECT_LT(NR_MANY, count_lines());
	window = (struct winsize) {};

	for (n = 0; n < NR_MANY; n++) {
		snprintf(path, sizeof(path), "prod/s%d", n);
		cgroup_remove(path);
	}
}

/* The first line that has the word in it, and its end; NULL if there is none. */
static const char *line_with(const char *word, const char **end)
{
	const char *line = strstr(shell_output, word);

	if (!line)
		return NULL;
	*end = strchrnul(line, '\n');
	while (line > shell_output && line[-1] != '\n')
		line--;
	return line;
}

/* In bytes; -1 if there is no such line. */
static int line_length(const char *word)
{
	const char *end, *line = line_with(word, &end);

	return line ? end - line : -1;
}

/* Where in the line that has one word the other one begins, in bytes; -1: nowhere. */
static int place_of(const char *word, const char *other)
{
	const char *end, *line = line_with(word, &end), *found;

	found = line ? memmem(line, end - line, other, strlen(other)) : NULL;
	return found ? found - line : -1;
}

TEST_F_TIMEOUT(terminal, columns_are_columns, TEST_TIMEOUT_S)
{
	int abcd;

	ASSERT_EQ(0, make_named(WIDE_NAME));
	ASSERT_EQ(0, make_named(MARKED_NAME));
	ASSERT_EQ(0, make_named(BYTE_NAME));

	/* Both are four columns wide in six bytes; the third has a mark for each byte. */
	ASSERT_EQ(0, shell("bpftool oom select"));
	abcd = place_of("-- abcd", " kB");
	ASSERT_LT(0, abcd) TH_LOG("%s", shell_output);
	EXPECT_EQ(abcd + 2, place_of(WIDE_NAME, " kB")) TH_LOG("%s", shell_output);
	EXPECT_EQ(abcd + 2, place_of(MARKED_NAME, " kB")) TH_LOG("%s", shell_output);
	EXPECT_EQ(abcd, place_of("-- byte??", " kB")) TH_LOG("%s", shell_output);

	ASSERT_EQ(0, shell("bpftool oom compare /prod/" WIDE_NAME " /prod/abcd"));
	EXPECT_LT(0, line_length("swap kB"));
	EXPECT_EQ(line_length("swap kB") + 2, line_length("/prod/" WIDE_NAME))
		TH_LOG("%s", shell_output);

	/* And a number that is longer than usual. */
	ASSERT_EQ(0, shell("bpftool oom priority set /prod/db -9223372036854775808"));
	ASSERT_EQ(0, shell("bpftool oom rank prod"));
	EXPECT_EQ(place_of("RANK", "  CGROUP"), place_of("/prod/db", "  /prod/db"))
		TH_LOG("%s", shell_output);
	EXPECT_EQ(place_of("RANK", "  CGROUP"), place_of("/prod/abcd", "  /prod/abcd"))
		TH_LOG("%s", shell_output);
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
