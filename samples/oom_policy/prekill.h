/* SPDX-License-Identifier: GPL-2.0-only */
/* Hooks before an early kill: prekill.c. */
#ifndef SAMPLES_OOM_POLICY_PREKILL_H
#define SAMPLES_OOM_POLICY_PREKILL_H

#define MAX_PREKILL	16

/*
 * prekill_check() - is that a hook?
 * @file: a program, or a directory of sockets
 *
 * Return: 0, else errno.
 */
int prekill_check(const char *file);

/*
 * prekill_run() - tell hooks of a kill to come, and wait until all have answered
 * @files: programs, and directories of sockets
 * @nr: how many
 * @path: of the cgroup that is to be killed
 * @timeout_ms: at most that long for all of them
 *
 * Whoever takes longer is cut off: programs are killed.
 *
 * Return: how many were cut off.
 */
int prekill_run(const char * const *files, int nr, const char *path, int timeout_ms);

#endif /* SAMPLES_OOM_POLICY_PREKILL_H */
