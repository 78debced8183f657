// SPDX-License-Identifier: GPL-2.0-only
/*
 * youngest_task: of the processes in the chosen memcg the one started last dies.
 *
 * The idea: in a pool of equal workers the one that started last has the least
 * work to lose, and is often the one that went too far.
 *
 *	worker   started   resident    oom_badness()   this policy
 *	1        09:00     300 MB      dies
 *	2        09:30     200 MB
 *	3        11:58      60 MB                      dies
 *
 * Worked through: 1 against 2 gives 2, 2 against 3 gives 3. Two started in the
 * same nanosecond are left to oom_badness(). Attached alone it judges all
 * processes of the scope, beside a policy for memcgs those of the chosen one.
 *
 * Limits:
 * - the youngest may be small, and a shell or a health check that just started is
 *   the youngest: use it where all processes are of a kind;
 * - what forks faster than it is killed keeps its old processes and loses the new.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"

SEC("oom_policy/task")
int youngest_task(struct bpf_oom_ctx *ctx)
{
	__u64 start_1 = ctx->task_1->start_time;
	__u64 start_2 = ctx->task_2->start_time;

	if (start_1 == start_2)
		return BPF_OOM_EQUAL;
	return start_1 > start_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
