// SPDX-License-Identifier: GPL-2.0-only
/*
 * score_adj_task: oom_score_adj as an order, not as a weight.
 *
 * The idea: oom_badness() adds oom_score_adj, in thousandths of the memory there
 * is, to the size of a process. Whether 300 beats 200 then depends on how much
 * memory either uses. Here the highest oom_score_adj dies, and size counts only
 * among equals, where the tie is left to oom_badness(). It reads the ABI's own
 * fields: no kernel types.
 *
 *	on 1000 MB   resident   oom_score_adj   oom_badness()    this policy
 *	a            500 MB     0               500
 *	b            350 MB     200             550 dies
 *	c             50 MB     300             350              dies
 *
 * Worked through: a (0) against b (200) gives b, b against c (300) gives c.
 * kubelet sets 2..999 for burstable and 1000 for best-effort containers: those
 * die in this order, whatever their size.
 *
 * Limits:
 * - -1000 is not for a policy to overrule: such tasks never get here;
 * - whoever may write its own oom_score_adj may only raise it: no tenant can make
 *   itself safer, but its parent, with CAP_SYS_RESOURCE, can.
 */
#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

SEC("oom_policy/task")
int score_adj_task(struct bpf_oom_ctx *ctx)
{
	if (ctx->oom_score_adj_1 == ctx->oom_score_adj_2)
		return BPF_OOM_EQUAL;
	return ctx->oom_score_adj_1 > ctx->oom_score_adj_2 ? BPF_OOM_FIRST : BPF_OOM_SECOND;
}

char _license[] SEC("license") = "GPL";
