/* SPDX-License-Identifier: GPL-2.0-only */
/* Attaching policies. */
#ifndef SELFTESTS_OOM_POLICY_ATTACH_H
#define SELFTESTS_OOM_POLICY_ATTACH_H

#include <bpf/libbpf.h>

/* For selections that must not run out of time. */
#define NO_BUDGET_US	(10 * 1000 * 1000)

struct bpf_link *attach_opts(const struct bpf_program *prog, const char *path,
			     const struct bpf_oom_policy_opts *opts);

/*
 * To the cgroup @path, with options as for an initialiser: .flags = ..., .grace_ms = ...
 * NULL if it cannot be attached.
 */
#define attach_with(prog, path, ...) ({					\
	LIBBPF_OPTS(bpf_oom_policy_opts, __opts, __VA_ARGS__);		\
									\
	attach_opts(prog, path, &__opts);				\
})

#endif /* SELFTESTS_OOM_POLICY_ATTACH_H */
