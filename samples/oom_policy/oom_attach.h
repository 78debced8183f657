/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy of a configuration, and pins: oom_attach.c. Functions that return int give
 * 0, or -1 with the reason told.
 */
#ifndef SAMPLES_OOM_POLICY_OOM_ATTACH_H
#define SAMPLES_OOM_POLICY_OOM_ATTACH_H

#include "oom_conf.h"
#include "tool.h"

struct bpf_object;
struct bpf_program;

/* A directory of bpffs. */
extern const char *oom_pin_dir;

/* A file there, "" for the directory itself; good until the next but one call. */
const char *oom_pin_path(const char *name);
int oom_replace_pin(int fd, const char *name);

/*
 * oom_policy_load() - load the policy that @conf names, and change nothing
 * @obj: for bpf_object__close(), whatever is returned; NULL if none is named
 * @prog: its program
 */
int oom_policy_load(const struct oom_conf *conf, struct bpf_object **obj,
		    struct bpf_program **prog);

/* oom_policy_check() - what of @conf would be refused before the kernel is asked */
int oom_policy_check(const struct oom_conf *conf);

/* oom_policy_put() - have it rule, or nothing if @conf names none; pinned as "policy" */
int oom_policy_put(const struct oom_conf *conf, const struct bpf_program *prog);

#endif /* SAMPLES_OOM_POLICY_OOM_ATTACH_H */
