// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module for kernels that have no OOM policies: when it comes and goes, what it
 * refuses, and what it cannot ask the verifier for. What it decides is up to the other
 * tests, which know nothing of it.
 *
 * "module lockdown" and "module no_memcg" are for machines that are to refuse it: booted
 * with lockdown=integrity and with cgroup_disable=memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "kmsg.h"
#include "link.h"
#include "handler.skel.h"
#include "policy.h"
#include "verifier.skel.h"

#define MODULE	"oom_policy"
#define TAKEN	"oom_policy_taken"	/* has a function of the OOM killer to itself */
#define FTRACE	"/proc/sys/kernel/ftrace_enabled"
#define ROUNDS	25
#define ROUNDS_AMID_OOMS	5	/* each of these has a report on the console */

/* 0 or a negative errno. */
static int load_by_name(const char *name, const char *options)
{
	char path[128];
	int fd, err;

	snprintf(path, sizeof(path), "/lib/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(__NR_finit_module, fd, options, 0) ? -errno : 0;
	close(fd);
	return err;
}

static int unload_by_name(const char *name)
{
	return syscall(__NR_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static int module_load(const char *options)
{
	return load_by_name(MODULE, options);
}

static int module_unload(void)
{
	return unload_by_name(MODULE);
}

/* Links and programs end a moment after their last file descriptor. */
static bool module_goes(void)
{
	return wait_until(module_unload() != -EAGAIN && access(BPF_OOM_DEVICE, F_OK));
}

static char said[4096];

static int keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	const size_t len = strlen(said);

	if (level == LIBBPF_WARN)
		vsnprintf(said + len, sizeof(said) - len, format, args);
	return 0;
}

/* A device that answers is the sign of a module that works. */
static int ask_device(unsigned long request, void *arg)
{
	int fd = open(BPF_OOM_DEVICE, O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = ioctl(fd, request, arg) ? -errno : 0;
	close(fd);
	return err;
}

FIXTURE(absent)
{
	int log;
};

FIXTURE_SETUP(absent)
{
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	said[0] = '\0';
}

FIXTURE_TEARDOWN(absent)
{
	libbpf_set_print(NULL);
	close(self->log);
}

TEST_F(absent, a_loader_says_what_to_install)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_OOM_POLICY);

	libbpf_set_print(keep_words);
	EXPECT_EQ(-EINVAL, bpf_prog_load(BPF_PROG_TYPE_OOM_POLICY, "policy", "GPL",
					 return_equal, NR_RETURN_EQUAL, &opts));
	EXPECT_NE(NULL, strstr(said, "this kernel has no OOM policies"));
	EXPECT_NE(NULL, strstr(said, "bpf-oom-policy-dkms"));
}

TEST_F_TIMEOUT(absent, comes_and_goes, TEST_TIMEOUT_S)
{
	struct bpf_oom_device_types types = { .size = sizeof(types) };
	int round;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, module_load(""));
		ASSERT_EQ(0, ask_device(BPF_OOM_DEVICE_TYPES, &types));
		EXPECT_EQ(0, access("/proc/sys/vm/oom_policy_enabled", R_OK));
		ASSERT_EQ(0, module_unload());
		ASSERT_NE(0, access(BPF_OOM_DEVICE, F_OK));
		ASSERT_NE(0, access("/proc/sys/vm/oom_policy_enabled", F_OK));
	}
	TH_LOG("%d times, with a rehearsal each time", ROUNDS);
	EXPECT_EQ(0, kmsg_count(self->log, "invoked oom-killer"));
}

TEST_F(absent, refused_while_ftrace_is_off)
{
	ASSERT_EQ(0, write_file(FTRACE, "0"));
	EXPECT_EQ(-EBUSY, module_load(""));
	ASSERT_EQ(0, write_file(FTRACE, "1"));
	EXPECT_LT(0, kmsg_count(self->log, "ftrace is off"));
	EXPECT_NE(0, access(BPF_OOM_DEVICE, F_OK));
}

TEST_F(absent, refused_while_a_function_is_redirected)
{
	ASSERT_EQ(0, load_by_name(TAKEN, ""));
	EXPECT_EQ(-EBUSY, module_load(""));
	ASSERT_EQ(0, unload_by_name(TAKEN));
	EXPECT_LT(0, kmsg_count(self->log, "is redirected already"));
	EXPECT_NE(0, access(BPF_OOM_DEVICE, F_OK));
}

TEST_F(absent, refused_with_a_wrong_parameter)
{
	EXPECT_EQ(-EINVAL, module_load("enabled=2"));
	ASSERT_EQ(0, module_load("enabled=0"));
	EXPECT_EQ(0, module_unload());
}

/* Somebody raises one OOM after the other. */
static void *run_out(void *arg)
{
	bool *stop = arg;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		raise_oom_sysrq();
	return NULL;
}

TEST_F_TIMEOUT(absent, comes_and_goes_amid_ooms, TEST_TIMEOUT_S)
{
	bool stop = false;
	pthread_t thread;
	int round;

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_out, &stop));
	for (round = 0; round < ROUNDS_AMID_OOMS; round++) {
		EXPECT_EQ(0, module_load(""));
		EXPECT_EQ(0, module_unload());
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("%d OOMs meanwhile", kmsg_count(self->log, "invoked oom-killer"));
}

FIXTURE(present)
{
	struct tree tree;
	struct verifier *skel;
	struct bpf_link *link;
	int log;
};

FIXTURE_SETUP(present)
{
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M B=0,16M C=0,4M"));
	ASSERT_EQ(0, module_load(""));
	self->skel = verifier__open();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(present)
{
	bpf_link__destroy(self->link);
	verifier__destroy(self->skel);
	tree_remove(&self->tree);
	EXPECT_TRUE(module_goes());
	close(self->log);
}

static struct bpf_program *load_one(struct verifier *skel, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, name);

	libbpf_set_print(NULL);
	if (prog)
		bpf_program__set_autoload(prog, true);
	return prog && !verifier__load(skel) ? prog : NULL;
}

/* Such a program runs by a map only, and a map takes it of its own types only. */
TEST_F(present, goes_without_a_program_that_is_not_attached)
{
	struct bpf_program *prog = load_one(self->skel, "return_equal");

	ASSERT_NE(NULL, prog);
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load(""));
	self->link = attach_with(prog, "");
	EXPECT_EQ(NULL, self->link);
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(present, stays_while_a_policy_is_attached)
{
	struct bpf_program *prog = load_one(self->skel, "return_equal");

	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "");
	ASSERT_NE(NULL, self->link);
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_EQ(0, access(BPF_OOM_DEVICE, F_OK));
}

/* Without a policy the OOM killer's functions are anybody's, and with one they are not. */
TEST_F(present, redirects_while_a_policy_is_attached)
{
	struct bpf_program *prog = load_one(self->skel, "return_equal");

	ASSERT_NE(NULL, prog);
	ASSERT_EQ(0, load_by_name(TAKEN, ""));
	self->link = attach_with(prog, "");
	EXPECT_EQ(NULL, self->link);
	EXPECT_EQ(ETXTBSY, errno);
	EXPECT_EQ(1, kmsg_count(self->log, "is redirected already"));
	ASSERT_EQ(0, unload_by_name(TAKEN));

	self->link = attach_with(prog, "");
	ASSERT_NE(NULL, self->link);
	EXPECT_EQ(-EBUSY, load_by_name(TAKEN, ""));
	bpf_link__destroy(self->link);
	self->link = NULL;
	EXPECT_TRUE(wait_until(!load_by_name(TAKEN, "")));
	EXPECT_EQ(0, unload_by_name(TAKEN));
}

TEST_F(present, ftrace_cannot_be_switched_off)
{
	EXPECT_NE(0, write_file(FTRACE, "0"));
	EXPECT_EQ(-EEXIST, module_load(""));
}

/* The verifier does not know the range: a tie instead, which larger usage decides. */
TEST_F_TIMEOUT(present, verdict_out_of_range_is_a_tie, TEST_TIMEOUT_S)
{
	struct bpf_program *prog = load_one(self->skel, "return_four");
	struct bpf_oom_device_info info = { .size = sizeof(info) };
	struct bpf_link_info link = {};
	__u32 len = sizeof(link);

	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "B")) == 1));
	EXPECT_EQ(1, tree_killed(&self->tree));

	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &link, &len));
	info.link_id = link.id;
	ASSERT_EQ(0, ask_device(BPF_OOM_DEVICE_INFO, &info));
	TH_LOG("%llu of %llu verdicts were none", info.clamped, link.oom_policy.comparisons);
	EXPECT_LT(0ULL, info.clamped);
	EXPECT_EQ(link.oom_policy.comparisons, info.clamped);
}

TEST_F(present, kfuncs_that_are_not_listed_are_refused)
{
	EXPECT_EQ(NULL, load_one(self->skel, "iterate_bits"));
	EXPECT_EQ(EACCES, errno);
	EXPECT_LT(0, kmsg_count(self->log, "that an OOM policy may not"));
}

TEST_F(present, device_refuses)
{
	struct bpf_oom_device_info info = { .size = sizeof(info), .link_id = ~0U };
	struct bpf_oom_device_types types = { .size = 4 };
	pid_t pid;

	EXPECT_EQ(-ENOENT, ask_device(BPF_OOM_DEVICE_INFO, &info));
	info.size = 8;
	EXPECT_EQ(-EINVAL, ask_device(BPF_OOM_DEVICE_INFO, &info));
	EXPECT_EQ(-EINVAL, ask_device(BPF_OOM_DEVICE_TYPES, &types));
	EXPECT_EQ(-EFAULT, ask_device(BPF_OOM_DEVICE_TYPES, NULL));
	EXPECT_EQ(-ENOTTY, ask_device(_IO(0xbf, 99), NULL));

	/* Root without a capability may open it, and no more. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(keep_capabilities(0) ||
		      ask_device(BPF_OOM_DEVICE_TYPES, &types) != -EPERM);
	EXPECT_EQ(0, wait_exit(pid));
}

/* "oom_policy=off" at boot is for a kernel that has them. */
TEST_F_TIMEOUT(present, begins_switched_off, TEST_TIMEOUT_S)
{
	struct bpf_link_info link = {};
	struct bpf_program *prog;
	__u32 len = sizeof(link);

	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load("enabled=0"));
	prog = load_one(self->skel, "return_first");
	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "");
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, raise_oom_sysrq());
	EXPECT_TRUE(wait_until(node_killed(tree_find(&self->tree, "B")) == 1));
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &link, &len));
	EXPECT_EQ(0ULL, link.oom_policy.comparisons);
	EXPECT_EQ(1ULL, link.oom_policy.fallback_disabled);
}

static char *next_line(int log, char *record, size_t size)
{
	char *line = NULL;

	return wait_until((line = kmsg_line(log, record, size))) ? line : NULL;
}

/* Who chose comes after the tasks. */
TEST_F_TIMEOUT(present, reports_after_the_list, TEST_TIMEOUT_S)
{
	struct bpf_program *prog = load_one(self->skel, "return_first");
	bool listed = false, told = false;
	char record[4096], *line;

	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "", .budget_us = NO_BUDGET_US);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, raise_oom_sysrq());
	while (!told) {
		line = next_line(self->log, record, sizeof(record));
		ASSERT_NE(NULL, line);
		listed |= !!strstr(line, "Tasks state");
		told = !!strstr(line, "oom_policy: scope");
	}
	EXPECT_TRUE(listed);
}

TEST_F(present, takes_static_functions_only)
{
	EXPECT_EQ(NULL, load_one(self->skel, "call_global"));
	verifier__destroy(self->skel);
	self->skel = verifier__open();
	ASSERT_NE(NULL, self->skel);
	EXPECT_NE(NULL, load_one(self->skel, "call_static"));
}

/* Past libbpf nothing knows the type, and a link is one of struct_ops. */
TEST_F(present, is_known_to_libbpf_only)
{
	struct bpf_program *prog = load_one(self->skel, "return_first");
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_OOM_POLICY,
		.expected_attach_type = BPF_OOM_POLICY,
		.insns = (__u64)(unsigned long)return_equal,
		.insn_cnt = NR_RETURN_EQUAL,
		.license = (__u64)(unsigned long)"GPL",
	};
	char text[4096] = {}, path[64];
	int fd;

	EXPECT_EQ(-1, syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
	EXPECT_EQ(EINVAL, errno);

	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "");
	ASSERT_NE(NULL, self->link);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(self->link));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_LT(0, read(fd, text, sizeof(text) - 1));
	close(fd);
	EXPECT_NE(NULL, strstr(text, "link_type:\tstruct_ops"));
}

TEST_F(present, has_no_kfunc_for_handlers)
{
	struct handler *skel = handler__open();
	struct bpf_program *prog;
	struct bpf_map *map;

	ASSERT_NE(NULL, skel);
	bpf_object__for_each_map(map, skel->obj)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, false);
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, prog == skel->progs.onlooker);

	said[0] = '\0';
	libbpf_set_print(keep_words);
	EXPECT_NE(0, handler__load(skel));
	libbpf_set_print(NULL);
	EXPECT_NE(NULL, strstr(said, "'bpf_oom_policy_select': not found"));
	handler__destroy(skel);
}

TEST_F(present, link_tells_nothing_once_detached)
{
	struct bpf_program *prog = load_one(self->skel, "return_equal");
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	ASSERT_NE(NULL, prog);
	self->link = attach_with(prog, "");
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	EXPECT_EQ((__u32)BPF_LINK_TYPE_OOM_POLICY, info.type);

	ASSERT_EQ(0, bpf_link__detach(self->link));
	memset(&info, 0, sizeof(info));
	len = sizeof(info);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	EXPECT_EQ((__u32)BPF_LINK_TYPE_STRUCT_OPS, info.type);
}

static int test_refusal(const char *name, int err, const char *words)
{
	int log = kmsg_open();
	int ret = module_load("");

	ksft_print_header();
	ksft_set_plan(2);
	ksft_print_msg("loading: %d\n", ret);
	ksft_test_result(ret == err && access(BPF_OOM_DEVICE, F_OK), "%s.refused\n", name);
	ksft_test_result(kmsg_count(log, words) > 0, "%s.says_why\n", name);
	ksft_finished();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "lockdown"))
		return test_refusal("lockdown", -EPERM, "unsigned module loading is restricted");
	if (argc > 1 && !strcmp(argv[1], "no_memcg"))
		return test_refusal("no_memcg", -EOPNOTSUPP, "memory controller is disabled");
	return test_harness_run(argc, argv);
}
