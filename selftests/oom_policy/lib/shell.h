/* SPDX-License-Identifier: GPL-2.0-only */
/* Running commands from a test, as an operator would. */
#ifndef SELFTESTS_OOM_POLICY_SHELL_H
#define SELFTESTS_OOM_POLICY_SHELL_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/types.h>

#include "kselftest.h"

#define OUTPUT_SIZE	16384

/* What the last command has said, both ways, without the newline at its end. */
extern char shell_output[OUTPUT_SIZE];

/* Exit status of a command of the shell; -1 if it did not end by itself. */
__printf(1, 2) int shell(const char *fmt, ...);
int vshell(const char *fmt, va_list args);

/* The same as nobody, who may nothing. */
int shell_as_nobody(const char *command);

/* In the background, saying what it says to a file; it dies with us. */
pid_t shell_start(const char *command, const char *output);
bool file_has(const char *path, const char *text);

#endif /* SELFTESTS_OOM_POLICY_SHELL_H */
