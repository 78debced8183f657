/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a command of an operator has to do and to say, for tests that have included the
 * harness.
 */
#ifndef SELFTESTS_OOM_POLICY_SAYS_H
#define SELFTESTS_OOM_POLICY_SAYS_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shell.h"

/* A command has to end with that status. */
__printf(3, 4)
static inline void runs(struct __test_metadata *_metadata, int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	EXPECT_EQ(status, vshell(fmt, args)) TH_LOG("%s: %s", fmt, shell_output);
	va_end(args);
}

/* The last command has to have said that, among other things. */
static inline void says(struct __test_metadata *_metadata, const char *text)
{
	EXPECT_NE(NULL, strstr(shell_output, text))
		TH_LOG("'%s' is not in '%s'", text, shell_output);
}

/* The last command has to have begun with that. */
static inline void begins(struct __test_metadata *_metadata, const char *text)
{
	EXPECT_EQ(0, strncmp(shell_output, text, strlen(text)))
		TH_LOG("'%s' does not begin with '%s'", shell_output, text);
}

/* It must not have said that. */
static inline void says_not(struct __test_metadata *_metadata, const char *text)
{
	EXPECT_EQ(NULL, strstr(shell_output, text))
		TH_LOG("'%s' is in '%s'", text, shell_output);
}

#endif /* SELFTESTS_OOM_POLICY_SAYS_H */
