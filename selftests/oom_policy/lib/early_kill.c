// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early kills; early_kill.h says what each function is for.
 */
#include <bpf/bpf.h>

#include "early_kill.h"
#include "progs/early.h"

struct early *early_load(const char *name)
{
	struct early *early = early__open();
	struct bpf_program *prog;

	if (!early)
		return NULL;
	if (name) {
		prog = bpf_object__find_program_by_name(early->obj, name);
		bpf_program__set_autoload(prog, true);
	}
	if (early__load(early)) {
		early__destroy(early);
		return NULL;
	}
	return early;
}

int early_kill(struct early *early, __u64 cgroup_id, __u64 flags)
{
	struct early_args args = { .cgroup_id = cgroup_id, .flags = flags };
	int err;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	err = bpf_prog_test_run_opts(bpf_program__fd(early->progs.kill_now), &opts);
	return err ?: (int)opts.retval;
}
