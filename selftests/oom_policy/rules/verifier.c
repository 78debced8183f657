// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the verifier must take and what it must refuse, and why: each program of
 * progs/verifier.bpf.c is loaded on its own.
 */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest.h"
#include "verifier.skel.h"

#define BAD_ACCESS	"invalid bpf_context access"
#define BAD_VERDICT	"should have been in [0, 3]"
#define BAD_HELPER	"program of this type cannot use helper"

static const struct {
	const char *prog;
	const char *refusal;	/* part of the verifier's log; NULL: it loads */
} cases[] = {
	{ "return_equal", NULL },
	{ "return_first", NULL },
	{ "return_second", NULL },
	{ "return_abstain", NULL },
	{ "return_two_known_bits", NULL },
	{ "return_four", BAD_VERDICT },
	{ "return_minus_one", BAD_VERDICT },
	{ "return_nothing", "R0 !read_ok" },
	{ "return_unknown", BAD_VERDICT },
	{ "return_three_known_bits", BAD_VERDICT },
	{ "return_pointer", "is not a known value" },

	{ "read_scalars", NULL },
	{ "write_scratch", NULL },
	{ "write_cgroup_id", BAD_ACCESS " off=0 size=8" },
	{ "write_scope_id", BAD_ACCESS },
	{ "write_usage", BAD_ACCESS },
	{ "write_level", BAD_ACCESS },
	{ "write_cgroup_pointer", BAD_ACCESS },
	{ "read_past_the_end", BAD_ACCESS },
	{ "read_before_the_start", BAD_ACCESS },
	{ "read_misaligned", BAD_ACCESS " off=4 size=8" },
	{ "read_two_fields_at_once", BAD_ACCESS },
	{ "read_half_a_pointer", BAD_ACCESS },
	{ "read_upper_half_of_a_pointer", BAD_ACCESS },
	{ "read_task", BAD_ACCESS },
	{ "read_at_unknown_offset", "variable ctx access" },

	{ "follow_scalar", "invalid mem access 'scalar'" },
	{ "follow_pointer_kept_in_scratch", "invalid mem access 'scalar'" },
	{ "follow_shifted_pointer", "invalid variable offset" },
	{ "write_to_cgroup", "only read is supported" },

	{ "cgroup_to_kfuncs", NULL },
	{ "cgroup_fields", NULL },
	{ "cgroup_not_released", "Unreleased reference" },
	{ "cgroup_released_unacquired", "bpf_cgroup_release expects" },
	{ "cgroup_as_task", "expected pointer to STRUCT task_struct" },

	{ "cgroup_storage", NULL },
	{ "hash_map", NULL },
	{ "send_signal", BAD_HELPER " bpf_send_signal" },
	{ "write_user_memory", BAD_HELPER " bpf_probe_write_user" },

	{ "task_stage_reads_task", NULL },
	{ "memcg_read", NULL },
	{ "memcg_not_put", "Unreleased reference" },
	{ "cgroup_as_memcg", "expected pointer to STRUCT mem_cgroup" },

	{ "update_map", BAD_HELPER " bpf_map_update_elem" },
	{ "iterate_bits", "bpf_iter_bits_new is not allowed" },
	{ "call_what_is_not_listed", "bpf_modify_return_test_tp is not allowed" },
	{ "start_timer", BAD_HELPER " bpf_timer_start" },
	{ "tail_call", BAD_HELPER " bpf_tail_call" },
	{ "call_global", NULL },
	{ "call_static", NULL },

	{ "kill_from_syscall", NULL },
	{ "kill_from_sleepable", "bpf_oom_policy_kill is not allowed" },
	{ "kill_from_tracepoint", "program must be sleepable" },
	{ "kill_from_policy", "bpf_oom_policy_kill is not allowed" },
};

static char log_text[1 << 16];

/* 0 or a negative errno: does @name load, with these flags besides its own? */
static int load(const char *name, __u32 flags)
{
	struct verifier *skel = verifier__open();
	struct bpf_program *prog = NULL;
	int err = -ENOENT;

	*log_text = '\0';
	if (skel)
		prog = bpf_object__find_program_by_name(skel->obj, name);
	if (prog) {
		bpf_program__set_autoload(prog, true);
		bpf_program__set_flags(prog, bpf_program__flags(prog) | flags);
		bpf_program__set_log_buf(prog, log_text, sizeof(log_text));
		bpf_program__set_log_level(prog, 1);
		err = verifier__load(skel);
	}
	verifier__destroy(skel);
	return err;
}

static void expect(const char *what, const char *refusal, int err)
{
	const bool ok = refusal ? err && strstr(log_text, refusal) : !err;

	if (!ok && refusal)
		ksft_print_msg("no '%s' from the verifier but (%d):\n%s\n", refusal, err,
			       log_text);
	else if (!ok)
		ksft_print_msg("refused (%d):\n%s\n", err, log_text);
	ksft_test_result(ok, "verifier.%s.%s\n", refusal ? "refused" : "loads", what);
}

/* The load command itself looks at the attach type, without a log. */
static void expect_attach_type(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int good, bad;

	opts.expected_attach_type = BPF_OOM_POLICY;
	good = bpf_prog_load(BPF_PROG_TYPE_OOM_POLICY, NULL, "GPL", insns,
			     ARRAY_SIZE(insns), &opts);
	opts.expected_attach_type = BPF_CGROUP_DEVICE;
	bad = bpf_prog_load(BPF_PROG_TYPE_OOM_POLICY, NULL, "GPL", insns,
			    ARRAY_SIZE(insns), &opts);
	ksft_test_result(good >= 0 && bad == -EINVAL,
			 "verifier.refused.attach_type_of_another_kind\n");
}

int main(void)
{
	size_t i;

	libbpf_set_print(NULL);
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(cases) + 2);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect(cases[i].prog, cases[i].refusal, load(cases[i].prog, 0));
	expect("sleepable", "be sleepable",
	       load("return_equal", BPF_F_SLEEPABLE));
	expect_attach_type();
	ksft_finished();
}
