// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trying a policy without killing; rehearse.h says what each function is for.
 */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "rehearse.h"

#define A_FEW	5

/* The tests are of this kernel: its steps are as long as ours. */
int rehearse_select(int prog_fd, __u64 scope, struct rehearsed *said)
{
	struct bpf_oom_ctx in = { .cgroup_id_1 = scope };
	struct {
		struct bpf_oom_steps head;
		struct bpf_oom_step steps[MAX_REHEARSED_STEPS];
	} data = {};

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &said->victim, .ctx_size_out = sizeof(said->victim),
		    .data_out = &data, .data_size_out = sizeof(data),
		    .flags = BPF_F_TEST_OOM_SELECT);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		return -1;
	said->retval = opts.retval;
	if (data.head.header_size != sizeof(data.head) ||
	    data.head.step_size != sizeof(data.steps[0])) {
		errno = EPROTO;
		return -1;
	}
	said->nr_steps = data.head.nr_steps;
	said->truncated = data.head.flags & BPF_OOM_STEPS_TRUNCATED;
	memcpy(said->steps, data.steps, sizeof(said->steps));
	return 0;
}

int rehearse_compare(int prog_fd, __u64 id_1, __u64 id_2, __u32 *verdict, __u32 *ns)
{
	struct bpf_oom_ctx in = { .cgroup_id_1 = id_1, .cgroup_id_2 = id_2 }, out;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = ns ? A_FEW : 1);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		return -1;
	*verdict = opts.retval;
	if (ns)
		*ns = opts.duration;
	return 0;
}
