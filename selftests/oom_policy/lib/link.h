/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Links of policies by the system call itself. Whatever gives a file descriptor gives
 * a negative errno otherwise.
 */
#ifndef SELFTESTS_OOM_POLICY_LINK_H
#define SELFTESTS_OOM_POLICY_LINK_H

#include <stdbool.h>
#include <linux/bpf.h>

#define LINK_PIN	"/sys/fs/bpf/oom_policy_test"

int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr);

/* A program that returns 0: of any type, or a policy that says BPF_OOM_EQUAL. */
#define NR_RETURN_EQUAL	2
extern const struct bpf_insn return_equal[NR_RETURN_EQUAL];
int prog_load(enum bpf_prog_type type, enum bpf_attach_type attach_type);
int policy_prog(void);

int link_create_typed(int prog_fd, int target_fd, enum bpf_attach_type type);
int link_create(int prog_fd, int target_fd);
int link_create_typed_at(int prog_fd, const char *path, enum bpf_attach_type type);
int link_create_at(int prog_fd, const char *path);

/* What is told of them; of none, all bits are set, or the id is 0. */
struct bpf_link_info info_of(int link_fd);
__u32 prog_id(int prog_fd);

/* "NAME:<tab>VALUE" in the fdinfo of @fd; false if there is no such line. */
bool fdinfo_has(int fd, const char *name, const char *value);

/* 0, or the errno that a file descriptor is not. */
int only_err(int fd);

/* Attaches and detaches again: is there room for a policy? */
bool slot_free(int prog_fd, const char *path);

#endif /* SELFTESTS_OOM_POLICY_LINK_H */
