// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trying a policy without killing; rehearse.h says what each function is for.
 */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "link.h"
#include "rehearse.h"

#define A_FEW	5

struct answer {
	struct bpf_oom_steps head;
	struct bpf_oom_step steps[MAX_REHEARSED_STEPS];
};

int prog_test_run(union bpf_attr *attr)
{
	return sys_bpf(BPF_PROG_TEST_RUN, attr);
}

static int selection(int prog_fd, __u64 scope, struct rehearsed *said, struct answer *answer)
{
	struct bpf_oom_ctx in = { .cgroup_id_1 = scope };

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &said->victim, .ctx_size_out = sizeof(said->victim),
		    .data_out = answer, .data_size_out = answer ? sizeof(*answer) : 0,
		    .flags = BPF_F_TEST_OOM_SELECT);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		return -1;
	said->retval = opts.retval;
	return opts.data_size_out;
}

int rehearse_victim(int prog_fd, __u64 scope, struct rehearsed *said)
{
	return selection(prog_fd, scope, said, NULL) < 0 ? -1 : 0;
}

/* The tests are of this kernel: its steps are as long as ours. */
int rehearse_select(int prog_fd, __u64 scope, struct rehearsed *said)
{
	const struct bpf_oom_step *steps;
	struct answer data = {};
	int size;

	size = selection(prog_fd, scope, said, &data);
	if (size < 0)
		return -1;
	steps = data.steps;
	if (data.head.header_size != sizeof(data.head) ||
	    data.head.step_size != sizeof(*steps) ||
	    size != (const char *)(steps + data.head.nr_steps) - (const char *)&data) {
		errno = EPROTO;
		return -1;
	}
	said->nr_steps = data.head.nr_steps;
	said->truncated = data.head.flags & BPF_OOM_STEPS_TRUNCATED;
	memcpy(said->steps, steps, sizeof(said->steps));
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
