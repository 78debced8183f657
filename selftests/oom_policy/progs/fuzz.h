/* SPDX-License-Identifier: GPL-2.0-only */
/* What progs/fuzz.bpf.c shares with the program that drives it. */
#ifndef SELFTESTS_OOM_POLICY_FUZZ_H
#define SELFTESTS_OOM_POLICY_FUZZ_H

#define FUZZ_PROGS	4
#define FUZZ_TASK_PROGS	2
#define FUZZ_TABLES	(FUZZ_PROGS + FUZZ_TASK_PROGS)
#define FUZZ_COLOURS	8

#endif /* SELFTESTS_OOM_POLICY_FUZZ_H */
